//! Values go in and come out byte for byte: by a file, by stdin and on the
//! command line, through the vault file, to `get` and into a child.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are not #[test]")]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;

use regex::Regex;

use crate::support::sandbox::Sandbox;
use crate::vaults::{STAGING, field, get, init, set, table, vault};

/// The longest `NAME=value` that Linux lets a program be started with.
const LONGEST: usize = 131_071;

const PEM: &[u8] =
    b"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmi\n\
    CqirVv9mWG9qfSnF\n-----END PRIVATE KEY-----\n";

/// Values that some shell, dotenv reader, TOML writer or JSON writer gets wrong.
fn hard_values() -> Vec<Vec<u8>> {
    let texts: &[&str] = &[
        "",
        " ",
        "   ",
        "\t",
        "\n",
        "\r",
        "\r\n",
        "\n\n\n",
        " a",
        "a ",
        "a\n",
        "a\r\n",
        "\na",
        "a\nb",
        "a\r\nb\r\n",
        "a\rb",
        "a\tb",
        "\"",
        "'",
        "`",
        "\"\"\"",
        "'''",
        "\"quoted\"",
        "'quoted'",
        "it's \"both\"",
        "$HOME",
        "${HOME}",
        "$(id)",
        "`id`",
        "$$",
        "\\",
        "\\\\",
        "\\n",
        "a\\",
        "\\\n",
        "#comment",
        "a # b",
        "a#b",
        "=",
        "a=b",
        "=a=",
        "-",
        "-x",
        "--help",
        "--",
        "!history",
        "%s%n",
        "*?[a-z]~",
        ";|&<>()",
        "null",
        "true",
        "0",
        "{\"key\": [\"va\\\"lue\", null, 1e3, {\"deep\": \"\\u00e9\"}]}",
        "postgres://user:p%40ss@db.example.org:5432/app?sslmode=require&x=%20",
        "\u{1f511}\u{1f468}\u{200d}\u{1f469}",
        "e\u{301} \u{e9} \u{df} \u{9375}\u{306f}\u{91d1}\u{5eab}",
        "\u{feff}with a byte order mark",
        "\u{202e}right to left",
        "\u{2028}\u{2029}\u{85}",
        "\u{1b}[31mred\u{1b}[0m\u{7}\u{8}",
        "\u{1}\u{2}\u{3}\u{1f}\u{7f}",
        "[secrets.OTHER]\nvalue = \"x\"\n",
        "<<<<<<< HEAD\n=======\n>>>>>>> topic\n",
    ];
    let mut all: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    all.extend([
        PEM.to_vec(),
        b"\xff".to_vec(),
        b"\xc3".to_vec(),
        b"a\xf0\x9f\x94".to_vec(),
        b"\xed\xa0\x80".to_vec(),
        (1..=255).collect(),
        vec![b'x'; 100 << 10],
        (1..=255).cycle().take(100 << 10).collect(),
    ]);
    // Where the padding takes another block, with the lengths in front of it.
    for length in [55, 56, 57, 119, 120, 121, 4087, 4088] {
        all.push(vec![b'p'; length]);
    }
    all
}

fn name(index: usize) -> String {
    format!("V{index}")
}

#[test]
fn hard_values_go_in_by_a_file_and_stdin_and_come_out_as_they_were() {
    let values = hard_values();
    assert!(values.len() >= 55, "{}", values.len());
    let alice = Sandbox::new();
    init(&alice, "alice", "staging,production");
    for (index, value) in values.iter().enumerate() {
        let name = name(index);
        alice.write("value", value);
        let file = alice.path("value");
        alice.vault(["set", "-e", "staging", &name, "--file"]).arg(file).run().expect(0, "", "");
        set(&alice, "production", &name, value);
    }
    for (index, value) in values.iter().enumerate() {
        for environment in ["staging", "production"] {
            let got = get(&alice, environment, &name(index));
            assert!(got == *value, "{environment} {index}: {:?}", String::from_utf8_lossy(value));
        }
    }
    // The text that stands in the repository shows none of it.
    for file in [STAGING, "project/envs/production.toml"] {
        let text = alice.read(file);
        assert!(text.lines().all(|line| line.is_ascii() && !line.contains("BEGIN PRIVATE")));
    }
}

#[test]
fn hard_values_reach_a_program_byte_for_byte() {
    let values = hard_values();
    let alice = Sandbox::new();
    init(&alice, "alice", "staging");
    for (index, value) in values.iter().enumerate() {
        set(&alice, "staging", &name(index), value);
    }
    let run = ["run", "-e", "staging", "--", "cat", "/proc/self/environ"];
    let child = environment(&alice.vault(run).run().success().stdout);
    for (index, value) in values.iter().enumerate() {
        let got = child.get(name(index).as_bytes());
        assert!(got == Some(value), "{index}: {:?}", String::from_utf8_lossy(value));
    }
    // And nothing but the sandbox's own variables beside them.
    let without = alice.program("cat", ["/proc/self/environ"]).run().success().stdout;
    assert_eq!(child.len(), environment(&without).len() + values.len());
}

/// The variables of a `/proc/PID/environ`, each of which stands there once.
fn environment(bytes: &[u8]) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut all = BTreeMap::new();
    for pair in bytes.split(|byte| *byte == 0).filter(|pair| !pair.is_empty()) {
        let equals = pair.iter().position(|byte| *byte == b'=').unwrap();
        let old = all.insert(pair[..equals].to_vec(), pair[equals + 1..].to_vec());
        assert!(old.is_none(), "{:?} is there twice", String::from_utf8_lossy(pair));
    }
    all
}

#[test]
fn hard_values_on_the_command_line_are_taken_as_they_are() {
    let alice = Sandbox::new();
    init(&alice, "alice", "staging");
    let values = hard_values();
    let texts: Vec<(String, &str)> = values
        .iter()
        .enumerate()
        .filter_map(|(index, value)| Some((name(index), std::str::from_utf8(value).ok()?)))
        .collect();
    let pairs: Vec<String> = texts.iter().map(|(name, text)| format!("{name}={text}")).collect();
    // All of them in one write.
    alice.vault(["set", "-e", "staging"]).args(&pairs).run().expect(0, "", "");
    for (name, text) in &texts {
        assert_eq!(get(&alice, "staging", name), text.as_bytes());
    }
}

#[test]
fn hard_values_that_are_text_come_out_as_json_that_reads_back() {
    let alice = Sandbox::new();
    init(&alice, "alice", "staging");
    let values = hard_values();
    let mut texts = BTreeMap::new();
    for (index, value) in values.into_iter().enumerate() {
        if let Ok(text) = String::from_utf8(value) {
            set(&alice, "staging", &name(index), &text);
            texts.insert(name(index), text);
        }
    }
    let json = crate::vaults::export(&alice, "staging");
    assert_eq!(serde_json::from_str::<BTreeMap<String, String>>(&json).unwrap(), texts);
    for (name, text) in texts.iter().step_by(7) {
        let words = ["get", "--format", "json", "-e", "staging", name];
        let json = alice.vault(words).run().success();
        assert_eq!(serde_json::from_slice::<String>(&json.stdout).unwrap(), *text);
    }
}

#[test]
fn an_argument_that_is_no_utf8_is_refused_without_being_shown() {
    let alice = vault();
    let before = alice.snapshot();
    let pair = OsStr::from_bytes(b"NAME=marker-latin1-\xe9");
    let output = alice.vault(["set", "-e", "staging"]).arg(pair).run();
    output.expect_that(2, "a usage error that does not hold the value", |output| {
        output.out().is_empty()
            && output.err().starts_with("vault: ")
            && !output.err().contains("marker-latin1")
    });
    alice.assert_unchanged_since(&before);
}

#[test]
fn a_value_with_a_nul_byte_is_refused() {
    let alice = vault();
    let before = alice.snapshot();
    for value in [&b"marker\0value"[..], b"\0", b"marker\0"] {
        let told = "vault: ALPHA: a variable can't hold a NUL byte: no environment can\n";
        let output = alice.vault(["set", "-e", "staging", "ALPHA"]).stdin(value).run();
        output.expect(1, "", told);
    }
    alice.assert_unchanged_since(&before);
}

#[test]
fn the_longest_value_is_kept_and_run_and_one_byte_more_is_refused() {
    let alice = Sandbox::new();
    init(&alice, "alice", "staging");
    let longest = vec![b'v'; LONGEST - "LONG=".len()];
    set(&alice, "staging", "LONG", &longest);
    assert!(get(&alice, "staging", "LONG") == longest);
    let run = ["run", "-e", "staging", "--", "cat", "/proc/self/environ"];
    let child = environment(&alice.vault(run).run().success().stdout);
    assert!(child.get(&b"LONG"[..]) == Some(&longest));

    let before = alice.snapshot();
    let told = "vault: LONG: `NAME=value` is over 131,071 bytes, the most that Linux lets a \
                variable have\n";
    let longer = [&longest[..], b"v"].concat();
    alice.vault(["set", "-e", "staging", "LONG"]).stdin(&longer).run().expect(1, "", told);
    let told = "vault: the standard input is over 1 MiB, too long for a value\n";
    let huge = vec![b'v'; (1 << 20) + 1];
    alice.vault(["set", "-e", "staging", "LONG"]).stdin(&huge).run().expect(1, "", told);
    alice.assert_unchanged_since(&before);
}

#[test]
fn trim_takes_one_line_end_and_nothing_else() {
    let alice = Sandbox::new();
    init(&alice, "alice", "staging");
    let cases: &[(&str, &str)] = &[
        ("", ""),
        ("\n", ""),
        ("\r\n", ""),
        ("a", "a"),
        ("a\n", "a"),
        ("a\r\n", "a"),
        ("a\n\n", "a\n"),
        ("a\r\n\r\n", "a\r\n"),
        ("a \n", "a "),
        (" a\t", " a\t"),
        ("a\nb\n", "a\nb"),
        ("\na", "\na"),
    ];
    for (given, kept) in cases {
        let trim = ["set", "--trim", "-e", "staging", "NAME"];
        // Nothing on stdin is refused, which another test shows.
        if !given.is_empty() {
            alice.vault(trim).stdin(given).run().expect(0, "", "");
            assert_eq!(get(&alice, "staging", "NAME"), kept.as_bytes(), "{given:?} by stdin");
        }
        alice.write("value", given);
        let file = alice.path("value");
        alice.vault(trim).arg("--file").arg(file).run().expect(0, "", "");
        assert_eq!(get(&alice, "staging", "NAME"), kept.as_bytes(), "{given:?} by a file");
        // Without the flag nothing is taken.
        set(&alice, "staging", "NAME", given);
        assert_eq!(get(&alice, "staging", "NAME"), given.as_bytes());
    }
}

#[test]
fn if_missing_leaves_what_is_there_untouched() {
    let alice = vault();
    let before = alice.snapshot();
    let words = ["set", "--if-missing", "-e", "staging", "ALPHA"];
    alice.vault(words).stdin("other").run().expect(0, "", "");
    alice.vault(words).args(["--generate", "hex"]).run().expect(0, "", "");
    alice.assert_unchanged_since(&before);
    // Of several, those that are missing are set.
    let pairs = ["set", "--if-missing", "-e", "staging", "ALPHA=other", "GAMMA=3"];
    alice.vault(pairs).run().expect(0, "", "");
    assert_eq!(get(&alice, "staging", "ALPHA"), crate::vaults::ALPHA.as_bytes());
    assert_eq!(get(&alice, "staging", "GAMMA"), b"3");
    // An empty value is there.
    set(&alice, "staging", "EMPTY", "");
    alice.vault(["set", "--if-missing", "-e", "staging", "EMPTY=x"]).run().expect(0, "", "");
    assert_eq!(get(&alice, "staging", "EMPTY"), b"");
}

#[test]
fn generated_values_have_the_shape_of_their_kind_and_are_never_shown() {
    let alice = Sandbox::new();
    init(&alice, "alice", "staging");
    let kinds = [
        ("django", r"^[a-z0-9!@#$%^&*(\-_=+)]{50}$"),
        ("hex", "^[0-9a-f]{64}$"),
        ("hex:16", "^[0-9a-f]{32}$"),
        ("hex:1024", "^[0-9a-f]{2048}$"),
        ("base64", "^[A-Za-z0-9+/]{43}=$"),
        ("base64:48", "^[A-Za-z0-9+/]{64}$"),
        ("uuid", "^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"),
    ];
    for (kind, shape) in kinds {
        let words = ["set", "-e", "staging", "FIRST", "SECOND", "--generate", kind];
        alice.vault(words).run().expect(0, "", "");
        let [first, second] = ["FIRST", "SECOND"]
            .map(|name| String::from_utf8(get(&alice, "staging", name)).unwrap());
        let shape = Regex::new(shape).unwrap();
        assert!(shape.is_match(&first) && shape.is_match(&second), "{kind}: {first} {second}");
        assert_ne!(first, second);
    }
    let before = alice.snapshot();
    for kind in ["djang", "hex:15", "hex:1025", "hex:", "uuid:16", "django:50", "", "HEX"] {
        let words = ["set", "-e", "staging", "FIRST", "--generate", kind];
        let told = format!(
            "vault: `{kind}` is nothing that can be generated\nhint: use django, hex, hex:BYTES, \
             base64, base64:BYTES (16 to 1024) or uuid\n"
        );
        alice.vault(words).run().expect(2, "", &told);
    }
    alice.assert_unchanged_since(&before);
}

#[test]
fn the_same_value_again_leaves_the_file_untouched() {
    let alice = vault();
    let path = alice.path(STAGING);
    // A day long ago, so that a write within the same second would be seen.
    let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
    let look = || {
        let meta = path.metadata().unwrap();
        (meta.modified().unwrap(), meta.ino(), std::fs::read(&path).unwrap())
    };
    let before = look();
    set(&alice, "staging", "ALPHA", crate::vaults::ALPHA);
    let pairs =
        [format!("ALPHA={}", crate::vaults::ALPHA), format!("BETA={}", crate::vaults::BETA)];
    alice.vault(["set", "-e", "staging"]).args(&pairs).run().expect(0, "", "");
    let told = "vault: staging: every value was there already\n";
    let import = alice.vault(["import", "-e", "staging", "-"]).stdin(pairs.join("\n") + "\n");
    import.run().expect(0, "", told);
    assert!(look() == before);
    assert_eq!(before.0, old);
}

#[test]
fn a_changed_value_changes_its_own_block_and_no_other() {
    let alice = vault();
    let before = alice.read(STAGING);
    set(&alice, "staging", "BETA", "new");
    let after = alice.read(STAGING);
    let old = table(&before, "secrets.BETA");
    assert_eq!(before.replace(&old, &table(&after, "secrets.BETA")), after);
    assert_ne!(before, after);
    // Set back, it is a new ciphertext: equal values can't be told.
    set(&alice, "staging", "BETA", crate::vaults::BETA);
    let again = alice.read(STAGING);
    assert_ne!(field(&again, "secrets.BETA", "value"), field(&before, "secrets.BETA", "value"));
}

#[test]
fn unset_removes_the_block_and_leaves_the_rest_to_the_byte() {
    let alice = vault();
    let before = alice.read(STAGING);
    let words = ["unset", "-e", "staging", "BETA"];
    let told = "vault: staging: BETA will be removed: not done without an answer\n\
                hint: add `-y` to say yes\n";
    alice.vault(words).run().expect(1, "", told);
    assert_eq!(alice.read(STAGING), before);
    alice.vault(words).arg("-y").run().expect(0, "", "");
    assert_eq!(alice.read(STAGING), crate::vaults::without(&before, "secrets.BETA"));
    let told = "vault: staging has no BETA\nhint: `vault list -e staging` shows the names\n";
    alice.vault(["get", "-e", "staging", "BETA"]).run().expect(3, "", told);
    alice.vault(words).arg("-y").run().expect(3, "", told);
    // With one that is missing, none is removed.
    alice.vault(["unset", "-y", "-e", "staging", "ALPHA", "BETA"]).run().expect(3, "", told);
    assert_eq!(get(&alice, "staging", "ALPHA"), crate::vaults::ALPHA.as_bytes());
    // The last one takes nothing with it that somebody needs.
    alice.vault(["unset", "-y", "-e", "staging", "ALPHA"]).run().expect(0, "", "");
    alice.vault(["export", "json", "-e", "staging"]).run().expect(0, "{}\n", "");
    set(&alice, "staging", "ALPHA", "again");
    assert_eq!(get(&alice, "staging", "ALPHA"), b"again");
}

#[test]
fn list_shows_names_and_days_without_a_key() {
    let alice = vault();
    let stranger = alice.another_home("stranger");
    let shape = Regex::new(r"^ALPHA  \d{4}-\d\d-\d\d\nBETA   \d{4}-\d\d-\d\d\n$").unwrap();
    for person in [&alice, &stranger] {
        let output = person.vault(["list", "-e", "staging"]).run().success();
        assert!(shape.is_match(output.out()), "{}", output.out());
        let json = person.vault(["list", "--json"]).run().success();
        let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
        assert_eq!(json["environments"], serde_json::json!(["staging"]));
        assert_eq!(json["verified"], serde_json::json!(false));
        let names: Vec<&String> = json["secrets"].as_object().unwrap().keys().collect();
        assert_eq!(names, ["ALPHA", "BETA"]);
        assert_eq!(json["secrets"]["BETA"]["staging"]["kind"], "variable");
    }
}

#[test]
fn names_that_are_none_or_ours_or_the_loaders_are_refused() {
    let alice = vault();
    let before = alice.snapshot();
    for name in ["1A", "A-B", "A.B", "\u{e9}", "A\u{1b}[31m", ""] {
        let words = ["set", "-e", "staging", "--", name];
        let output = alice.vault(words).stdin("marker").run();
        output.expect_that(2, "the rule, and no control character", |output| {
            output.out().is_empty()
                && output.err().contains("a variable name is letters, digits and `_`")
                && !output.err().contains('\u{1b}')
        });
    }
    for name in ["VAULT_KEY", "VAULT_KEY_FILE", "VAULT_PASSPHRASE_FILE", "VAULT_DIR", "VAULT_ENV"] {
        let told = format!(
            "vault: {name} is a setting of vault itself and can't be a variable of an environment\n"
        );
        alice.vault(["set", "-e", "staging", name]).stdin("x").run().expect(2, "", &told);
    }
    for name in ["PATH", "LD_PRELOAD", "NODE_OPTIONS", "GIT_SSH_COMMAND", "BASH_ENV"] {
        let told = format!(
            "vault: {name} changes how programs load: whoever may set it runs code in every \
             command\nhint: if that is wanted, write `loader = [\"{name}\"]` under `[allow]` in \
             vault.toml\n"
        );
        alice.vault(["set", "-e", "staging", name]).stdin("x").run().expect(2, "", &told);
    }
    alice.assert_unchanged_since(&before);
}
