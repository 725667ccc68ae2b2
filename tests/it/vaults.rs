//! Vaults for the tests: made by the built binary, and then edited as text by
//! a pusher, who can write to the repository and has no key.

#![allow(
    dead_code,
    reason = "what the tests of one subject need, those of another may have no use for"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a helper that cannot do its work has to fail the test, and helpers are not #[test]"
)]

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::support::run::{Output, Run};
use crate::support::sandbox::Sandbox;

/// Values that stand nowhere else, so that a leak of one is seen.
pub(crate) const ALPHA: &str = "marker-alpha-7f3a";
pub(crate) const BETA: &str = "marker-beta-91cc";

/// Where the file of `staging` lies, as seen from the root of the sandbox.
pub(crate) const STAGING: &str = "project/envs/staging.toml";

/// A project of alice's: these environments, each with ALPHA and BETA.
pub(crate) fn vault_with(environments: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    init(&sandbox, "alice", environments);
    for environment in environments.split(',') {
        fill(&sandbox, environment);
    }
    sandbox
}

/// A project of alice's with `staging` alone.
pub(crate) fn vault() -> Sandbox {
    vault_with("staging")
}

#[track_caller]
pub(crate) fn init(person: &Sandbox, name: &str, environments: &str) {
    person.vault(["init", "--name", name, "-e", environments]).run().expect_that(
        0,
        "the environments are made",
        |output| output.out().is_empty() && output.err().contains("vault: made envs/"),
    );
}

#[track_caller]
pub(crate) fn fill(person: &Sandbox, environment: &str) {
    let pairs = [format!("ALPHA={ALPHA}"), format!("BETA={BETA}")];
    person.vault(["set", "-e", environment]).args(pairs).run().expect(0, "", "");
}

#[track_caller]
pub(crate) fn set(person: &Sandbox, environment: &str, name: &str, value: impl AsRef<[u8]>) {
    let set = person.vault(["set", "-e", environment]);
    // Nothing on stdin is refused as a mistake.
    let set = if value.as_ref().is_empty() {
        set.arg(format!("{name}="))
    } else {
        set.arg(name).stdin(value)
    };
    set.run().expect(0, "", "");
}

/// `vault get`, which has to succeed.
#[track_caller]
pub(crate) fn get(person: &Sandbox, environment: &str, name: &str) -> Vec<u8> {
    person.vault(["get", "-e", environment, name]).run().success().stdout
}

/// The value of each name in one JSON object.
#[track_caller]
pub(crate) fn export(person: &Sandbox, environment: &str) -> String {
    person.vault(["export", "json", "-e", environment]).run().success().out().to_owned()
}

/// The text of the person's private key.
pub(crate) fn identity(person: &Sandbox) -> PathBuf {
    person.home().join(".config/vault/identity")
}

/// Every command that opens `staging`, with ALPHA as the name it is about.
/// `run` comes first; the others end with the status that cli.md gives them.
pub(crate) fn commands(person: &Sandbox) -> Vec<Run> {
    commands_about(person, "ALPHA")
}

/// As [`commands`], about another variable. The first four read.
pub(crate) fn commands_about(person: &Sandbox, name: &str) -> Vec<Run> {
    let vault = |args: &[&str]| person.vault(args);
    vec![
        vault(&["run", "-e", "staging", "--", "env"]),
        vault(&["get", "-e", "staging", name]),
        vault(&["export", "json", "-e", "staging"]),
        vault(&["export", "dotenv", "-e", "staging"]),
        vault(&["init", "--name", "alice", "-e", "copy", "--from", "staging"]),
        vault(&["set", "-e", "staging", name]).stdin("other"),
        vault(&["import", "-y", "-e", "staging", "-"]).stdin(format!("{name}=other\n")),
        vault(&["unset", "-y", "-e", "staging", name]),
    ]
}

/// Refused: each of these commands ends with its status, says exactly `told`,
/// prints nothing on stdout, and leaves every file as it was. `run` has the
/// status 125 for all that keeps it from starting the command.
#[track_caller]
pub(crate) fn assert_refused(person: &Sandbox, runs: Vec<Run>, status: i32, told: &str) {
    let before = person.snapshot();
    for (index, run) in runs.into_iter().enumerate() {
        let status = if index == 0 { 125 } else { status };
        no_value(&run.run().expect(status, "", told));
    }
    person.assert_unchanged_since(&before);
}

/// As [`assert_refused`] with status 5, for every command.
#[track_caller]
pub(crate) fn assert_all_refused(person: &Sandbox, told: &str) {
    assert_refused(person, commands(person), 5, told);
}

/// No value on stdout or stderr, whatever else is there.
#[track_caller]
pub(crate) fn no_value(output: &Output) {
    for value in [ALPHA, BETA] {
        for stream in [&output.stdout, &output.stderr] {
            let shown = String::from_utf8_lossy(stream);
            assert!(!shown.contains(value), "{value} is printed: {shown}");
        }
    }
}

/// The whole block of a table, header and final newline included.
#[track_caller]
pub(crate) fn table(text: &str, name: &str) -> String {
    let start = text.find(&format!("[{name}]\n")).unwrap_or_else(|| panic!("no [{name}]"));
    let rest = &text[start..];
    let end = rest.find("\n\n").map_or(rest.len(), |end| end + 1);
    rest[..end].to_owned()
}

/// The number of the line with this table's header.
#[track_caller]
pub(crate) fn line_of(text: &str, name: &str) -> usize {
    let header = format!("[{name}]");
    let line = text.lines().position(|line| line == header);
    line.unwrap_or_else(|| panic!("no {header}")) + 1
}

/// The text of a field of a table, without its quotes.
#[track_caller]
pub(crate) fn field(text: &str, name: &str, field: &str) -> String {
    let table = table(text, name);
    let start = format!("{field} = \"");
    let line = table.lines().find_map(|line| line.strip_prefix(&start)?.strip_suffix('"'));
    line.unwrap_or_else(|| panic!("no {field} in [{name}]")).to_owned()
}

/// The text with another string in this field.
#[track_caller]
pub(crate) fn with_field(text: &str, name: &str, field_name: &str, new: &str) -> String {
    let old = field(text, name, field_name);
    let block = table(text, name);
    let line = |value: &str| format!("{field_name} = \"{value}\"\n");
    text.replacen(&block, &block.replacen(&line(&old), &line(new), 1), 1)
}

/// The text with this block at its end.
pub(crate) fn with_block(text: &str, block: &str) -> String {
    format!("{text}\n{block}")
}

/// The text without this table.
#[track_caller]
pub(crate) fn without(text: &str, name: &str) -> String {
    text.replacen(&format!("\n{}", table(text, name)), "", 1)
}

pub(crate) fn decode(base64: &str) -> Vec<u8> {
    BASE64.decode(base64).expect("base64 in a file that vault wrote")
}

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64.encode(bytes)
}

/// The hint to every damage that has none of its own.
pub(crate) const DAMAGED: &str =
    "hint: look at the file's last changes in git, and take an earlier version back\n";

/// The end of every message about a line that git left in a conflict.
pub(crate) const CONFLICT: &str = "a git conflict marker: two versions of the file stand here\n\
     hint: `vault resolve` merges the versions that git has\n";

/// The hint that ends the refusal to lose something.
pub(crate) const LOSSES: &str = "hint: add `-y` to drop them\n";

/// What is said where no source has a key.
pub(crate) const NO_KEY: &str = "vault: no private key: no VAULT_KEY, VAULT_KEY_FILE, \
     VAULT_KEY_COMMAND or credential, and no identity file\n\
     hint: name your key by `VAULT_KEY_FILE`; who has none yet asks for access with `vault request`, which makes one\n";

/// The hint to every vouch that does not fit.
pub(crate) const NOT_VOUCHED: &str = "was added or altered by somebody without a key, or the list \
     of former members was\nhint: look at the last changes of this file in git, and take back the \
     one that nobody can explain\n";

/// The end of every message about a block of another data key.
pub(crate) const EARLIER_KEY: &str = "was written under another data key, as before a rotation\n\
     hint: `vault resolve` merges two versions; without a merge, take one of them whole from git\n";

/// The end of every message about a value that its place does not fit.
pub(crate) const ALTERED: &str = "the value was altered, or belongs to another name or \
     environment\nhint: take the value's block back from git; where that is gone, `vault unset` the name and set a new value\n";
