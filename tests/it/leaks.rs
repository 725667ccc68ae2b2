//! A stored value and the private key are nowhere that they were not asked for, whatever goes wrong.

#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests have to fail the test")]

use crate::support::run::{Output, Run};
use crate::support::sandbox::Sandbox;

const MARKER: &str = "marker-5f0c-value";
/// The marker in base64 with each of the three phases, less the ends that depend on what surrounds it.
const ENCODED: [&str; 3] =
    ["bWFya2VyLTVmMGMtdmFsdW", "1hcmtlci01ZjBjLXZhbHVl", "tYXJrZXItNWYwYy12YWx1Z"];

#[track_caller]
fn project() -> Sandbox {
    let sandbox = Sandbox::new();
    let made = sandbox.vault(["init", "--name", "alice"]).run();
    made.expect_that(0, "a new project", |output| output.stdout.is_empty());
    let set = sandbox.vault(["set", "-v", "-e", "staging", "SECRET"]).stdin(MARKER).run();
    drop(assert_silent(&sandbox, set));
    sandbox
}

/// Nothing of the value or the key in either stream.
#[track_caller]
fn assert_silent(sandbox: &Sandbox, output: Output) -> Output {
    let identity = sandbox.read("home/.config/vault/identity");
    let key = identity.lines().last().expect("a key");
    let body = key.trim_start_matches("AGE-SECRET-KEY-1");
    for bytes in [&output.stdout, &output.stderr] {
        let text = String::from_utf8_lossy(bytes);
        // A piece is as bad as the whole.
        for secret in [MARKER, &MARKER[..10], &body[..12], &body[40..]].iter().chain(&ENCODED) {
            assert!(!text.contains(secret), "{secret} stands in {text}");
        }
    }
    output
}

/// All commands, each with what else may be said to it, so that nothing ends in success alone.
fn commands() -> Vec<Vec<&'static str>> {
    [
        "init --name alice",
        "init --env qa",
        "set -e staging OTHER=x",
        "set -e staging --if-missing SECRET=x",
        "set -e staging --as-file OTHER=x",
        "run -e staging --file-dir -- false",
        "export -e staging json",
        "doctor",
        "diff staging stagin",
        "diff staging",
        "get -e staging NOPE",
        "get -e staging SECRE",
        "get -e stagin SECRET",
        "unset -e staging NOPE",
        "list",
        "list -e staging",
        "ls",
        "status",
        "key show",
        "key new",
        "run -e staging -- true",
        "run -e staging -- no-such-command",
        "run -e staging --only NOPE -- true",
        "run -e stagin -- true",
        "export -e staging nothing",
        "import -e staging missing.env",
        "completions bash",
        "version",
        "help",
        "help run",
        "frobnicate",
        "get -e staging SECRET --frobnicate",
        "run --frobnicate -- true",
        "kv get",
    ]
    .into_iter()
    .map(|line| line.split(' ').collect())
    .collect()
}

/// Those about people and keys. What asks, has nobody to ask; what needs a passphrase, has none.
fn commands_about_people() -> Vec<Vec<&'static str>> {
    [
        "check",
        "check -e staging,nope",
        "members",
        "members -e stagin",
        "request --name alice",
        "request --name bob --ssh nothing",
        "grant bob",
        "grant --all",
        "grant alice -e staging --again",
        "grant machine -e staging --key age1nothing",
        "revoke bob",
        "revoke -y alice",
        "rotate",
        "rotate stagin",
        "rotate staging",
        "trust staging",
        "trust staging --expect 0000-0000-0000-0000-0000-0000-0000-0000",
        "trust staging --abandon 0000-0000-0000-0000-0000-0000-0000-0000",
        "key list",
        "key export",
        "key import -",
        "key import nothing",
        "key move --to file",
        "key frobnicate",
        "get --recovery -e staging SECRET",
        "edit",
        "edit staging",
        "edit staging --isolation builtin",
        "start",
        "start -f nothing web",
        "ps",
        "stop",
        "restart web",
        "export systemd units -e staging",
        "export json -e staging --only NOPE -o out.json",
        "import -e staging --format json nothing",
        "run --redact -e staging -- false",
        "init -e staging --from nothing",
        "unset -y -e staging NOPE",
        "scan",
        "scan --staged",
        "scan --history",
        "scan nothing",
        "scan envs ../home",
        "log",
        "log SECRET",
        "resolve",
        "git-setup",
        "git-textconv envs/staging.toml",
        "git-merge envs/staging.toml envs/staging.toml nothing envs/staging.toml",
        "check --against HEAD",
        "diff staging --rev HEAD",
    ]
    .into_iter()
    .map(|line| line.split(' ').collect())
    .collect()
}

fn loud(run: Run) -> Run {
    run.env("RUST_BACKTRACE", "full").env("RUST_LOG", "trace").env("AGEDEBUG", "plugin")
}

#[track_caller]
fn every_command_is_silent(sandbox: &Sandbox, dress: impl Fn(Run) -> Run) {
    for words in commands().into_iter().chain(commands_about_people()) {
        for flags in [&["-v"][..], &["-v", "--json"]] {
            let output = dress(loud(sandbox.vault(flags).args(&words))).run();
            assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"), "{words:?}");
            drop(assert_silent(sandbox, output));
        }
    }
    sandbox.assert_nowhere(MARKER);
    for encoded in &ENCODED {
        sandbox.assert_nowhere(encoded);
    }
}

#[test]
fn no_command_tells_a_value_or_the_key() {
    let sandbox = project();
    every_command_is_silent(&sandbox, |run| run);
    // So the marker is there, for those who ask for it.
    let get = sandbox.vault(["get", "-e", "staging", "SECRET"]).run();
    get.expect(0, MARKER, "");
}

#[test]
fn no_command_tells_a_key_that_is_wrong() {
    let sandbox = project();
    let identity = sandbox.read("home/.config/vault/identity");
    let key = identity.lines().last().expect("a key").to_owned();
    let body = key.trim_start_matches("AGE-SECRET-KEY-1");
    let cut = &key[..key.len() - 1];
    for wrong in [cut, &format!("{key}X"), body, &format!("AGE-PLUGIN-X-1{body}")] {
        let run = loud(sandbox.vault(["-v", "get", "-e", "staging", "SECRET"]));
        let output = assert_silent(&sandbox, run.env("VAULT_KEY", wrong).run());
        assert_eq!((output.code(), output.stdout.len()), (Some(4), 0), "{}", output.err());
        let told = output.err().to_lowercase();
        assert!(!told.contains(&body[..12].to_lowercase()), "{told}");
    }
    every_command_is_silent(&sandbox, |run| run.env("VAULT_KEY", cut));
    every_command_is_silent(&sandbox, |run| run.env("VAULT_KEY_COMMAND", "false"));
    every_command_is_silent(&sandbox, |run| run.env("VAULT_KEY_FILE", "/nothing"));
}

#[test]
fn no_command_tells_anything_of_a_damaged_file() {
    let sandbox = project();
    let text = sandbox.read("project/envs/staging.toml");
    let at = text.rfind("\"\n").expect("the end of a value") - 10;
    for damaged in [
        format!(
            "{}{}{}",
            &text[..at],
            if text.as_bytes()[at] == b'A' { "B" } else { "A" },
            &text[at + 1..]
        ),
        text[..at].to_owned(),
        text.replace("[secrets.SECRET]", "[secrets.OTHER]"),
        format!("<<<<<<< ours\n{text}"),
        String::new(),
    ] {
        sandbox.write("project/envs/staging.toml", damaged);
        every_command_is_silent(&sandbox, |run| run);
    }
}

#[test]
fn no_exit_status_comes_with_a_value() {
    let sandbox = project();
    let file = sandbox.read("project/envs/staging.toml");
    let cut = format!("{}A{}", &file[..file.len() - 12], &file[file.len() - 11..]);
    let wrong = sandbox.read("home/.config/vault/identity").replace("KEY-1", "KEY-1Q");
    sandbox.write("home/wrong", wrong);
    sandbox.write("project/plain", "no program");
    for (status, words) in [
        (0, "list"),
        (1, "unset -e staging SECRET"),
        (2, "get -e staging SECRET --frobnicate"),
        (3, "get -e staging SECRE"),
        (4, "get -e staging SECRET"),
        (5, "get -e staging SECRET"),
        (7, "run -e staging --redact -- sh -c exit\u{a0}7"),
        (125, "run -e stagin -- true"),
        (126, "run -e staging -- ./plain"),
        (127, "run -e staging -- no-such-command"),
    ] {
        sandbox.write("project/envs/staging.toml", if status == 5 { &cut } else { &file });
        for flags in [&["-v"][..], &["-v", "--json"]] {
            let words = words.split(' ').map(|word| word.replace('\u{a0}', " "));
            let mut run = loud(sandbox.vault(flags).args(words));
            if status == 4 {
                run = run.env("VAULT_KEY_FILE", sandbox.path("home/wrong"));
            }
            let output = assert_silent(&sandbox, run.run());
            assert_eq!(output.code(), Some(status), "{}", output.err());
        }
    }
}

#[test]
fn recovery_and_keys_on_their_way_tell_no_value() {
    let sandbox = project();
    sandbox.write("passphrase", "a passphrase of ours");
    let vault = |line: &str| {
        let run = loud(sandbox.vault(["-v"]).args(line.split(' ')));
        run.env("VAULT_PASSPHRASE_FILE", sandbox.path("passphrase"))
    };
    for line in ["key recovery", "key export"] {
        let output = assert_silent(&sandbox, vault(line).run());
        assert_eq!(output.code(), Some(0), "{}", output.err());
        assert!(!output.err().contains("passphrase of ours"), "{}", output.err());
    }
    // Not the passphrase that was shown.
    let output = assert_silent(&sandbox, vault("get --recovery -e staging SECRET").run());
    assert_eq!(output.code(), Some(4), "{}", output.err());
    assert!(!output.err().contains("passphrase of ours"), "{}", output.err());
}

/// Each of them dies wherever its memory ends: in the reader, in the ciphers, in what it prints.
#[test]
fn where_memory_runs_out_nothing_is_told() {
    let sandbox = project();
    let limited = |kilobytes: u32, line: &str| {
        let script = format!("ulimit -v {kilobytes} && exec \"$0\" {line}");
        let run = loud(sandbox.program("sh", ["-c", &script, env!("CARGO_BIN_EXE_vault")]));
        let output = run.stdin(format!("OTHER='{MARKER}{}'\n", "x".repeat(1 << 16))).run();
        assert!(!output.err().contains("panicked"), "{}", output.err());
        let whole = output.code() == Some(0);
        drop(assert_silent(&sandbox, output));
        whole
    };
    for line in ["-v import -e staging --dry-run -", "-v status"] {
        let ends: Vec<bool> = (1..60).map(|step| limited(step * 1000, line)).collect();
        assert!(ends.contains(&true) && ends.contains(&false), "{line}: {ends:?}");
    }
    sandbox.assert_nowhere(MARKER);
}

#[test]
fn a_value_that_breaks_a_rule_is_not_told() {
    let sandbox = project();
    sandbox.write("project/vault.toml", "[required]\nSECRET = \"int\"\nOTHER = \"url\"\n");
    let run = loud(sandbox.vault(["-v", "run", "-e", "staging", "true"])).run();
    assert_eq!(assert_silent(&sandbox, run).code(), Some(125));
    for value in [format!("{MARKER}\0"), MARKER.repeat(10_000), MARKER.repeat(100_000)] {
        let run = loud(sandbox.vault(["-v", "set", "-e", "staging", "OTHER"]).stdin(value)).run();
        let output = assert_silent(&sandbox, run);
        assert!(output.code() != Some(0) && output.err().len() < 1000);
    }
    for text in
        [format!("A='{MARKER}\n"), format!("{MARKER} {MARKER}\n"), format!("A=${{{MARKER}}}\n")]
    {
        let run = loud(sandbox.vault(["-v", "import", "-e", "staging", "-"]).stdin(text)).run();
        drop(assert_silent(&sandbox, run));
    }
    sandbox.assert_nowhere(MARKER);
}

#[test]
fn names_in_a_hostile_file_never_reach_the_terminal_raw() {
    let sandbox = project();
    let good = sandbox.read("project/envs/staging.toml");
    let names = [
        r"A=B",
        r"A\u0000B",
        r"A\nB",
        r"A\u001b[2J",
        r"A\u001b]0;x\u0007",
        r"A\u009b31m",
        r"A\u202eB",
        r"A\rB",
        "",
    ];
    for name in names {
        for text in [
            good.replace("[secrets.SECRET]", &format!("[secrets.\"{name}\"]")),
            good.replace("[members.alice]", &format!("[members.\"{name}\"]")),
            good.replace("environment = \"staging\"", &format!("environment = \"{name}\"")),
            format!("{good}\n[requests.\"{name}\"]\nkey = \"{name}\"\n"),
            format!("{good}\n[\"{name}\"]\n"),
        ] {
            sandbox.write("project/envs/staging.toml", text);
            for words in commands() {
                for flags in [&["-v"][..], &["-v", "--json"]] {
                    let output = sandbox.vault(flags).args(&words).run();
                    assert_plain(&output, &words);
                }
            }
            for line in ["check", "members --json", "grant --all", "revoke bob", "rotate staging"] {
                let words: Vec<&str> = line.split(' ').collect();
                assert_plain(&sandbox.vault(["-v"]).args(&words).run(), &words);
            }
        }
        if name == r"A\u001b[2J" {
            sandbox.write("project/envs/staging.toml", &good);
            sandbox.write("project/vault.toml", format!("\"{name}\" = 1\n"));
            assert_plain(&sandbox.vault(["run", "-e", "staging", "true"]).run(), &["vault.toml"]);
            sandbox.sh("rm vault.toml").run().success();
        }
    }
}

#[test]
fn words_of_the_command_line_never_reach_the_terminal_raw() {
    let sandbox = project();
    let word = "a\u{1b}[2Jb\u{202e}c\u{9b}d";
    for words in [
        &[word][..],
        &["get", "-e", word, "A"],
        &["get", "-e", "staging", word],
        &["set", "-e", "staging", word],
        &["run", "-e", "staging", "--", word],
        &["run", "-e", "staging", "--only", word, "true"],
        &["-d", word, "list"],
        &["get", &format!("--{word}")],
        &["--color", word, "list"],
        &["export", "-e", "staging", word],
        &["import", "-e", "staging", word],
        &["set", "-e", "staging", "--generate", word, "A"],
    ] {
        for flags in [&[][..], &["--json"]] {
            let output = sandbox.vault(flags).args(words).run();
            assert_ne!(output.code(), Some(0), "{words:?}");
            assert_plain(&output, words);
        }
    }
    for name in ["VAULT_ENV", "VAULT_DIR", "VAULT_KEY_FILE", "VAULT_KEY_COMMAND"] {
        let run = sandbox.vault(["-v", "run", "true"]).env("VAULT_ENV", "staging");
        assert_plain(&run.env(name, word).run(), &[name]);
    }
}

/// No byte that moves a cursor or hides text.
#[track_caller]
fn assert_plain(output: &Output, words: &[&str]) {
    for bytes in [&output.stdout, &output.stderr] {
        let text = String::from_utf8_lossy(bytes);
        let raw = text.chars().find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}');
        assert_eq!(raw, None, "{words:?}: {text:?}");
    }
}
