//! A team for the tests: each member with a home and a project of his own, and
//! the files that go between them; and a forger, who builds files as nobody
//! should (`tests/data/forge.py`).

#![allow(dead_code, reason = "what the tests of one subject need, those of another may not")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a helper that cannot do its work has to fail the test, and helpers are not #[test]"
)]

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::needs::needs_python;
use crate::support::run::{Output, Run};
use crate::support::sandbox::Sandbox;
use crate::vaults::{field, identity};

/// Where the memory lies, as seen from a home.
pub(crate) const MEMORY: &str = ".local/state/vault/known_envs.toml";

/// How a message about a data key of unknown origin begins.
pub(crate) const UNPROVEN: &str = "vault: envs/staging.toml: nothing proves who made its data \
     key, and whoever did can read all that is set from now on\n";
/// How a message about a false proof begins, after the name.
pub(crate) const FALSE_PROOF: &str = "made its data key, and his proof is false. Whoever made it can read all that is set from now on\n";
/// Told of an old file; what follows names the later data key.
pub(crate) const OLD: &str =
    "vault: envs/staging.toml: this is an old file: its data key was replaced since\n";
/// The hints of [`OLD`], for reading and for writing.
pub(crate) const OLD_READ: &str = "hint: take the newest version from git; `--old-key` reads this \
     one once; if the later data key was thrown away, `vault trust staging --abandon [..]`\n";
pub(crate) const OLD_WRITE: &str = "hint: take the newest version from git, and make the change \
     there; if the later data key was thrown away, `vault trust staging --abandon [..]`\n";
/// Told of an id that doesn't belong where the file lies.
pub(crate) const OTHER_ID: &str = "vault: envs/staging.toml: another environment than this one \
     belongs here: its id is not the one that this machine knows\n\
     hint: if the project was founded anew, ask a member for the fingerprint of its data key, and \
     give it to `vault trust staging --expect FINGERPRINT`\n";
/// Told where a person said no to a data key.
pub(crate) const ABANDONED: &str = "vault: envs/staging.toml: its data key was abandoned on this \
     machine\nhint: take another version from git; `vault trust staging --expect FINGERPRINT` \
     revives it\n";

/// The end of every stop that asks for another member's word.
pub(crate) fn ask(whom: &str) -> String {
    format!(
        "hint: ask {whom}, not by the repository, for the fingerprint of staging's data key as \
         `vault status` shows it there, and give it to `vault trust staging --expect FINGERPRINT`\n"
    )
}

/// As [`ask`], where a data key that is known may have been thrown away.
pub(crate) fn ask_or_abandon(whom: &str) -> String {
    let ask = ask(whom);
    let abandon = "if the later data key was thrown away, `vault trust staging --abandon [..]`\n";
    format!("{}; {abandon}", ask.trim_end())
}

pub(crate) const ANOTHER: &str = "another member whom you trust";

/// The file of `staging` in this person's project.
pub(crate) fn file(person: &Sandbox) -> PathBuf {
    person.project().join("envs/staging.toml")
}

#[track_caller]
pub(crate) fn text(person: &Sandbox) -> String {
    std::fs::read_to_string(file(person)).expect("the file of staging")
}

#[track_caller]
pub(crate) fn put(person: &Sandbox, text: impl AsRef<[u8]>) {
    person.write(file(person), text);
}

/// What this person has, the other one gets, as by git.
#[track_caller]
pub(crate) fn send(from: &Sandbox, to: &Sandbox) {
    put(to, text(from));
}

/// Somebody else on a machine of his own, with a key and an empty project.
#[track_caller]
pub(crate) fn somebody(ground: &Sandbox, name: &str) -> Sandbox {
    let person = ground.another_home(name).with_project(format!("work/{name}"));
    person.vault(["key", "new"]).run().expect_that(0, "a key", |o| o.out().starts_with("age1"));
    person
}

/// The public key of this person.
#[track_caller]
pub(crate) fn public_key(person: &Sandbox) -> String {
    let shown = person.vault(["key", "show"]).run();
    let shown = shown.expect_that(0, "a key", |output| output.out().starts_with("age1"));
    shown.out().trim_end().to_owned()
}

/// Makes somebody a member, and gives him the file.
#[track_caller]
pub(crate) fn grant(by: &Sandbox, person: &Sandbox, name: &str) {
    let key = public_key(person);
    let grant = by.vault(["grant", name, "-e", "staging", "--key", &key]);
    grant.run().expect_that(0, "he is a member", |output| output.out().is_empty());
    send(by, person);
}

/// A member more, on a machine of his own that has seen the file.
#[track_caller]
pub(crate) fn teammate(by: &Sandbox, name: &str) -> Sandbox {
    let person = somebody(by, name);
    grant(by, &person, name);
    opens(&person);
    person
}

#[track_caller]
pub(crate) fn rotate(person: &Sandbox) {
    rotate_with(person, &[]);
}

#[track_caller]
pub(crate) fn rotate_with(person: &Sandbox, more: &[&str]) {
    let run = person.vault(["rotate", "staging"]).args(more);
    run.run().expect_that(0, "a new data key", |output| output.err().contains("new data key"));
}

#[track_caller]
pub(crate) fn revoke(by: &Sandbox, name: &str) -> Output {
    let run = by.vault(["revoke", name, "-y", "-e", "staging"]).run();
    run.expect_that(0, "he is removed", |output| output.err().contains("new data key"))
}

pub(crate) fn read(person: &Sandbox) -> Run {
    person.vault(["get", "-e", "staging", "ALPHA"])
}

pub(crate) fn write(person: &Sandbox) -> Run {
    person.vault(["set", "-e", "staging", "GAMMA=marker-gamma-1d2e"])
}

/// It opens, and nothing is said.
#[track_caller]
pub(crate) fn opens(person: &Sandbox) {
    read(person).run().expect(0, crate::vaults::ALPHA, "");
    runs_like(person, "");
}

/// A command gets the values, with exactly this on stderr, the first time and the second: then the members need not be
/// checked again.
#[track_caller]
pub(crate) fn runs_like(person: &Sandbox, told: &str) {
    for _ in 0..2 {
        let run = person.vault(["run", "-e", "staging", "--", "printenv", "ALPHA"]);
        run.run().expect_like(0, &format!("{}\n", crate::vaults::ALPHA), told);
    }
}

/// It can be read and written, and nothing is said.
#[track_caller]
pub(crate) fn works(person: &Sandbox) {
    opens(person);
    write(person).run().expect(0, "", "");
}

/// Opens with exactly this on stderr.
#[track_caller]
pub(crate) fn opens_like(person: &Sandbox, told: &str) {
    read(person).run().expect_like(0, crate::vaults::ALPHA, told);
}

/// Reading and writing stop with this, and nothing changes anywhere.
#[track_caller]
pub(crate) fn stops(person: &Sandbox, told: &str) {
    stops_with(person, told, told);
}

#[track_caller]
pub(crate) fn stops_with(person: &Sandbox, reading: &str, writing: &str) {
    let before = person.snapshot();
    let run = person.vault(["run", "-e", "staging", "--", "env"]);
    run.run().expect_like(125, "", reading);
    read(person).run().expect_like(5, "", reading);
    person.vault(["export", "json", "-e", "staging"]).run().expect_like(5, "", reading);
    write(person).run().expect_like(5, "", writing);
    person.vault(["unset", "-e", "staging", "ALPHA"]).run().expect_like(5, "", writing);
    person.vault(["rotate", "staging"]).run().expect_like(5, "", writing);
    person.vault(["revoke", "-y", "alice", "-e", "staging"]).run().expect_like(5, "", writing);
    person.assert_unchanged_since(&before);
}

/// What `status` says of staging, for somebody who believes it.
#[track_caller]
pub(crate) fn status(person: &Sandbox) -> Value {
    let output = person.vault(["status", "--json"]).run();
    let status: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let all = status["environments"].as_array().unwrap();
    all.iter().find(|one| one["name"] == "staging").expect("staging").clone()
}

/// The fingerprint of the data key, as `status` shows it.
#[track_caller]
pub(crate) fn fingerprint(person: &Sandbox) -> String {
    let status = status(person);
    status["fingerprint"].as_str().unwrap_or_else(|| panic!("{status}")).to_owned()
}

pub(crate) fn made(text: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix("made = ")).expect("made");
    line.parse().expect("a time")
}

/// The names of the ledger's entries, without their times.
pub(crate) fn former(text: &str) -> Vec<String> {
    let entries = text.lines().filter_map(|line| line.strip_prefix("[former.\""));
    entries.map(|entry| entry.split('.').next().unwrap().to_owned()).collect()
}

pub(crate) fn key_of(text: &str, name: &str) -> String {
    field(text, &format!("members.{name}"), "key")
}

#[track_caller]
pub(crate) fn trust(person: &Sandbox, fingerprint: &str) {
    let run = person.vault(["trust", "staging", "--expect", fingerprint]);
    run.run().expect_like(0, "", "vault: staging: data key [..] is accepted\n");
}

/// Abandons a data key, on a terminal. Gives what was shown.
#[track_caller]
pub(crate) fn abandon(person: &Sandbox, fingerprint: &str) -> String {
    let mut terminal = person.vault(["trust", "staging", "--abandon", fingerprint]).on_terminal();
    terminal.expect("refuse that data key of staging from now on? [y/N] ");
    terminal.type_line("y");
    let (screen, status) = terminal.expect_end();
    assert_eq!(status.code(), Some(0), "{screen}");
    screen
}

/// A Python that runs the forger, and what it writes.
pub(crate) struct Forger {
    python: PathBuf,
}

impl Forger {
    pub(crate) fn new() -> Option<Self> {
        needs_python("pyrage").map(|python| Self { python })
    }

    /// A file after this recipe, by this person, who has his own key.
    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "so that calls need no signs")]
    pub(crate) fn forge(&self, forger: &Sandbox, like: &Path, recipe: Value) -> String {
        let mut whole = json!({ "like": like, "identity": identity(forger) });
        for (field, value) in recipe.as_object().expect("an object") {
            whole[field] = value.clone();
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/forge.py");
        let run = forger.program(&self.python, ["-B"]).arg(script).stdin(whole.to_string());
        run.run().success().out().to_owned()
    }
}
