//! What a command leaves in its memory when it ends: no copy of a value, of a private key or of a
//! passphrase, on the heap, on the stack or anywhere else.
//!
//! The command is stopped in the moment before the kernel takes its memory away, and all of it is
//! searched (`tests/data/exit_scan.py`). The secrets come in by files and pipes: what stands among the
//! arguments or in the environment stays there until the end, in every program.

#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests have to fail the test")]

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::PathBuf;

use crate::people::fingerprint;
use crate::support::needs::{needs, needs_namespaces, needs_ptrace, needs_python};
use crate::support::run::{Output, Run};
use crate::support::sandbox::Sandbox;
use crate::vaults::{STAGING, decode, identity, init, set};

/// Long enough to be cut into pieces, each of which counts as a copy.
const VALUE: &str = "the-first-half-7Q2d5Kp9VwLx-and-the-second-Zx81mW4RtHc3";
const PASSPHRASE: &str = "a passphrase of words that nobody else has 5Jt0qLr8";
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/exit_scan.py");
const VAULT: &str = env!("CARGO_BIN_EXE_vault");

/// What may not be there at the end, and whose key that is.
struct Search<'a> {
    person: &'a Sandbox,
    python: PathBuf,
}

impl<'a> Search<'a> {
    /// None where the machine can't do it.
    #[track_caller]
    fn of(person: &'a Sandbox) -> Option<Self> {
        needs_ptrace().then_some(())?;
        Some(Self { person, python: needs_python("ctypes")? })
    }

    fn report(&self) -> PathBuf {
        self.person.home().join("report")
    }

    /// The program under the search, which has these options more.
    fn program(&self, options: &[&str], words: &[&str]) -> Run {
        let run = self.person.program(&self.python, [OsStr::new(SCRIPT)]).arg(self.report());
        let run = run.args(["--bytes", &hex("value", VALUE), "--bytes"]);
        run.arg(hex("passphrase", PASSPHRASE)).args(options).arg("--").args(words)
    }

    /// vault under the search, for its own user's key as well.
    fn vault(&self, words: &[&str]) -> Run {
        let key = format!("key={}", identity(self.person).display());
        self.program(&["--key", &key], &[&[VAULT], words].concat())
    }

    /// What was found, in the last program that was searched.
    #[track_caller]
    fn found(&self) -> Vec<String> {
        let report = self.person.read(self.report());
        let (searched, found): (Vec<&str>, Vec<&str>) =
            report.lines().partition(|line| line.starts_with("searched "));
        assert!(!searched.is_empty(), "nothing was searched");
        found.into_iter().map(str::to_owned).collect()
    }

    /// The command ends with this status, and has left nothing.
    #[track_caller]
    fn leaves_nothing(&self, status: i32, run: Run) -> Output {
        let output = run.run().expect_that(status, "the command as usual", |_| true);
        assert_eq!(self.found(), [""; 0], "{}", output.err());
        output
    }

    /// vault does, with this input.
    #[track_caller]
    fn vault_leaves_nothing(&self, status: i32, line: &str, input: &str) -> Output {
        let words: Vec<&str> = line.split(' ').collect();
        let run = self.vault(&words).env("VAULT_PASSPHRASE_FILE", self.person.path("passphrase"));
        self.leaves_nothing(status, run.stdin(input))
    }
}

fn hex(label: &str, secret: impl AsRef<[u8]>) -> String {
    secret.as_ref().iter().fold(format!("{label}="), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes all text");
        text
    })
}

/// Alice's project with the value in it, and a file with the passphrase.
fn project() -> Sandbox {
    let alice = Sandbox::new();
    init(&alice, "alice", "staging");
    set(&alice, "staging", "A", VALUE);
    alice.write("passphrase", format!("{PASSPHRASE}\n"));
    alice
}

#[test]
fn the_search_finds_what_a_program_leaves() {
    let alice = project();
    let Some(search) = Search::of(&alice) else { return };
    let found = |words: &[&str], input: &str| {
        let key = format!("key={}", identity(&alice).display());
        search.program(&["--key", &key], words).stdin(input).run().success();
        search.found().iter().map(|line| line.split(' ').nth(1).expect("a label").into()).collect()
    };
    let none: Vec<String> = found(&["sh", "-c", "cat >/dev/null"], VALUE);
    assert_eq!(none, [""; 0], "what another program had is not the program's");
    let value: Vec<String> = found(&["sh", "-c", "read -r line"], &format!("{VALUE}\n"));
    assert!(value.iter().any(|label| label == "value"), "{value:?}");
    // A part of it is enough, wherever its beginning has gone.
    let part: Vec<String> = found(&["sh", "-c", "read -r line"], &format!("{}\n", &VALUE[16..40]));
    assert!(part.iter().any(|label| label == "value"), "{part:?}");
    let python = search.python.to_str().expect("a plain path");
    let code = "import os, re, sys\n\
        text = open(os.environ['HOME'] + '/.config/vault/identity').read().split()[-1]\n\
        number = 0\n\
        for c in text[16:-6].lower():\n    \
            number = number << 5 | 'qpzry9x8gf2tvdw0s3jn54khce6mua7l'.index(c)\n\
        kept = (number >> 4).to_bytes(32, 'big')\n\
        os._exit(0)\n";
    let key: Vec<String> = found(&[python, "-c", code], "");
    for label in ["key-text", "key-bytes"] {
        assert!(key.iter().any(|found| found == label), "{label}: {key:?}");
    }
}

#[test]
fn commands_about_values_leave_nothing() {
    let alice = project();
    let Some(search) = Search::of(&alice) else { return };
    alice.write("value", VALUE);
    let dotenv = format!("A=other\nB='{VALUE}'\n# {VALUE}\nC=\"{VALUE}\\n\"\n");
    let json = format!("{{\"A\": \"{VALUE}\", \"D\": \"\\u0041{VALUE}\"}}");
    alice.write("project/values.env", &dotenv);
    alice.write("project/values.json", &json);
    for (line, input) in [
        ("set -e staging A", VALUE),
        ("set -e staging --trim B", &format!("{VALUE}\n")),
        ("set -e staging --if-missing B", VALUE),
        ("set -e staging C --file ../value", ""),
        ("get -e staging A", ""),
        ("get -e staging A --format json", ""),
        ("list -e staging", ""),
        ("list --json", ""),
        ("status", ""),
        ("check", ""),
        ("members", ""),
        ("export dotenv -e staging", ""),
        ("export json -e staging", ""),
        ("export shell -e staging", ""),
        ("export yaml -e staging", ""),
        ("export k8s -e staging", ""),
        ("export tfvars-json -e staging", ""),
        ("export null -e staging", ""),
        ("export github -e staging -o lines", ""),
        ("export json -e staging --only A -o out.json", ""),
        ("import -e staging --dry-run values.env", ""),
        ("import -y -e staging values.env", ""),
        ("import -y -e staging -", &dotenv),
        ("import -y -e staging --format json -", &json),
        ("import -y -e staging values.json", ""),
        ("init -e copy --from staging", ""),
        ("run -e staging --redact -- true", ""),
        ("run -e staging --redact -- printenv A", ""),
        ("set -e staging F --as-file --file ../value", ""),
        ("run -e staging --redact -- true", ""),
        ("run -e staging --redact --file-dir -- true", ""),
        ("export json -e staging --with-files", ""),
        ("doctor", ""),
        ("unset -y -e staging C", ""),
    ] {
        drop(search.vault_leaves_nothing(0, line, input));
    }
    assert_eq!(search.vault(&["get", "-e", "staging", "A"]).run().success().out(), VALUE);
}

#[test]
fn failures_leave_nothing() {
    let alice = project();
    let Some(search) = Search::of(&alice) else { return };
    let broken = format!("A='{VALUE}'\nB={VALUE} # x\n{VALUE}\nC='{VALUE}\n");
    for (status, line, input) in [
        (3, "get -e staging NOPE", ""),
        (2, "set -e staging LD_PRELOAD", VALUE),
        (1, "set -e staging A", &VALUE.repeat(40_000)),
        (1, "set -e staging A", &format!("{VALUE}\0")),
        (5, "import -y -e staging -", &broken),
        (5, "import -y -e staging --format json -", &format!("{{\"A\": \"{VALUE}\", ")),
        (1, "import -e staging -", &format!("A=other{VALUE}\n")),
        (1, "unset -e staging A", ""),
        (127, "run -e staging no-such-command", ""),
        (125, "run -e staging --only NOPE -- true", ""),
    ] {
        drop(search.vault_leaves_nothing(status, line, input));
    }
    alice.write("value", VALUE);
    let run = search.vault(&["get", "-e", "staging", "A"]);
    drop(search.leaves_nothing(4, run.env("VAULT_KEY_FILE", alice.path("value"))));
    // One of two values is damaged: the other one has been read by then.
    set(&alice, "staging", "B", "x");
    let text = alice.read(STAGING);
    let at = text.rfind("\"\n").expect("the end of a value") - 10;
    let other = if text.as_bytes()[at] == b'A' { "B" } else { "A" };
    alice.write(STAGING, format!("{}{other}{}", &text[..at], &text[at + 1..]));
    drop(search.vault_leaves_nothing(5, "export json -e staging", ""));
    drop(search.vault_leaves_nothing(5, "status", ""));
}

#[test]
fn commands_about_people_leave_nothing() {
    let alice = project();
    let Some(search) = Search::of(&alice) else { return };
    let bob = alice.another_home("bob");
    let asks = Search::of(&bob).expect("as before");
    drop(asks.vault_leaves_nothing(0, "request --name bob", ""));
    let told = fingerprint(&bob);
    drop(search.vault_leaves_nothing(0, &format!("grant bob --expect {told}"), ""));
    drop(asks.vault_leaves_nothing(0, "get -e staging A", ""));
    drop(search.vault_leaves_nothing(0, "grant bob -e staging --again", ""));
    drop(search.vault_leaves_nothing(0, "rotate staging", ""));
    drop(search.vault_leaves_nothing(0, "revoke -y bob", ""));
    drop(asks.vault_leaves_nothing(4, "get -e staging A", ""));
    // The key that is made is searched for as it was printed.
    let printed = alice.path("printed");
    let printed = printed.to_str().expect("a plain path");
    let key = format!("made={printed}");
    let words = [VAULT, "grant", "machine", "-e", "staging", "--new-key"];
    let run = search.program(&["--stdout", printed, "--key", &key], &words);
    drop(search.leaves_nothing(0, run));
    let run = search.vault(&["get", "-e", "staging", "A"]).env("VAULT_KEY_FILE", printed);
    assert_eq!(search.leaves_nothing(0, run).out(), VALUE);
}

#[test]
fn commands_about_keys_leave_nothing() {
    let alice = project();
    let Some(search) = Search::of(&alice) else { return };
    for line in ["key show", "key list", "key list --json"] {
        drop(search.vault_leaves_nothing(0, line, ""));
    }
    let exported = search.vault_leaves_nothing(0, "key export", "");
    // A home that has the key as it was is the one whose key is searched for.
    let script = search.person.home().join(".config/vault/identity");
    let key = format!("key={}", script.display());
    let words = [VAULT, "key", "import", "-"];
    let other = alice.another_home("laptop");
    let importing = Search::of(&other).expect("as before");
    let run = importing.program(&["--key", &key], &words).stdin(exported.out());
    let passphrase = alice.path("passphrase");
    drop(importing.leaves_nothing(0, run.env("VAULT_PASSPHRASE_FILE", &passphrase)));
    let words = [VAULT, "get", "-e", "staging", "A"];
    let run = importing.program(&["--key", &key], &words);
    let run = run.env("VAULT_PASSPHRASE_FILE", &passphrase);
    assert_eq!(importing.leaves_nothing(0, run).out(), VALUE);

    let new = alice.another_home("new");
    drop(Search::of(&new).expect("as before").vault_leaves_nothing(0, "key new", ""));
    let plain = alice.another_home("plain");
    let text = alice.read(identity(&alice));
    let importing = Search::of(&plain).expect("as before");
    drop(importing.vault_leaves_nothing(0, "key import -", &text));
}

#[test]
fn a_recovery_passphrase_leaves_nothing() {
    let alice = project();
    let Some(search) = Search::of(&alice) else { return };
    let made = search.vault_leaves_nothing(0, "key recovery", "");
    let passphrase = made.err().lines().find(|line| line.split('-').count() == 6);
    let passphrase = passphrase.expect("a passphrase of six groups");
    alice.write("recovery", passphrase);
    let words = [VAULT, "get", "--recovery", "-e", "staging", "A"];
    let run = search.program(&["--bytes", &hex("recovery", passphrase)], &words);
    let run = run.env("VAULT_PASSPHRASE_FILE", alice.path("recovery"));
    assert_eq!(search.leaves_nothing(0, run).out(), VALUE);
}

/// The strings of an ssh structure, each with its length before it, up to the first that isn't one.
fn strings(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk() {
        let length = usize::try_from(u32::from_be_bytes(*length)).expect("64 bits");
        let Some((string, rest)) = rest.split_at_checked(length) else { break };
        found.push(string);
        bytes = rest;
    }
    found
}

/// What is private in the file of an ssh key without a passphrase.
fn private_parts(text: &str) -> Vec<Vec<u8>> {
    let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    let bytes = decode(&body);
    let outside = bytes.strip_prefix(b"openssh-key-v1\0").expect("an ssh key");
    // Cipher, key derivation and its options, the number of keys, the public one, the private one.
    let head: usize = strings(outside).iter().take(3).map(|string| 4 + string.len()).sum();
    let inside = strings(&outside[head + 4..])[1];
    // The first eight bytes are the same number twice.
    let fields = strings(&inside[8..]);
    match fields[0] {
        b"ssh-ed25519" => vec![fields[2][..32].to_vec()],
        // Exponent, coefficient and primes. Numbers are kept with either end first.
        _ => fields[3..7]
            .iter()
            .flat_map(|number| [number.to_vec(), number.iter().rev().copied().collect()])
            .collect(),
    }
}

#[test]
fn ssh_keys_leave_nothing() {
    let alice = project();
    let Some(search) = Search::of(&alice) else { return };
    if !needs("ssh-keygen") {
        return;
    }
    for words in [&["-t", "ed25519"][..], &["-t", "rsa", "-b", "2048"]] {
        let name = words[1];
        let file = alice.path(name);
        let keygen = alice.program("ssh-keygen", ["-q", "-N", "", "-f"]).arg(&file).args(words);
        keygen.run().expect(0, "", "");
        let public = alice.read(format!("{name}.pub"));
        let public: Vec<&str> = public.split(' ').take(2).collect();
        let grant = alice.vault(["grant", name, "-e", "staging", "--key", &public.join(" ")]);
        grant.run().expect_that(0, "granted", |_| true);
        let text = alice.read(&file);
        // A line from the end of the file is of the private part.
        let line = text.lines().rev().nth(3).expect("some lines");
        let mut options = vec!["--bytes".to_owned(), hex("ssh-text", line)];
        for part in private_parts(&text) {
            options.extend(["--bytes".to_owned(), hex("ssh-bytes", part)]);
        }
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        // Who has the file in memory has all of these.
        let keep = "import base64, os, sys\nlines = open(sys.argv[1]).read().split('\\n')\n\
            kept = base64.b64decode(''.join(lines[1:-2]))\nos._exit(0)\n";
        let python = search.python.to_str().expect("a plain path");
        let path = file.to_str().expect("a plain path");
        search.program(&options, &[python, "-c", keep, path]).run().success();
        let kept = search.found();
        for label in ["copy ssh-text ", "copy ssh-bytes "] {
            assert!(kept.iter().any(|line| line.starts_with(label)), "{label}: {kept:?}");
        }
        for (words, out) in [
            (&["get", "-e", "staging", "A"][..], Some(VALUE)),
            (&["key", "list"], None),
            (&["status"], None),
            (&["set", "-e", "staging", "B"], Some("")),
        ] {
            let run = search.program(&options, &[&[VAULT], words].concat()).stdin(VALUE);
            let output = search.leaves_nothing(0, run.env("VAULT_KEY_FILE", &file));
            assert!(out.is_none_or(|out| output.out() == out), "{}", output.out());
        }
    }
}

#[test]
fn editing_leaves_nothing() {
    let alice = project();
    let Some(search) = Search::of(&alice) else { return };
    if !(needs("setsid") && needs_namespaces()) {
        return;
    }
    let editor = r#"sh -c 'sed -i "s/^A=/B=/" "$1"; echo "A=x" >>"$1"' sh"#;
    let run = search.vault(&["edit", "staging", "--editor", editor]);
    let mut terminal = run.on_terminal();
    let (screen, status) = terminal.expect_end();
    assert!(status.success(), "{screen}");
    assert_eq!(search.found(), [""; 0], "{screen}");
    assert_eq!(crate::vaults::get(&alice, "staging", "B"), VALUE.as_bytes());

    let mut terminal = search.vault(&["set", "-e", "staging", "A"]).on_terminal();
    terminal.expect("(not shown): ");
    terminal.type_line(VALUE);
    let (screen, status) = terminal.expect_end();
    assert!(status.success(), "{screen}");
    assert_eq!(search.found(), [""; 0], "{screen}");
}

#[test]
fn processes_of_a_procfile_leave_nothing_beside_them() {
    let alice = project();
    let Some(search) = Search::of(&alice) else { return };
    alice.write("project/Procfile", "web: echo \"$A\"\n");
    let output = search.vault_leaves_nothing(0, "start -e staging", "");
    assert!(output.out().contains("[redacted A]"), "{}", output.out());
}
