//! People who each have a clone of one project, and a key.

#![allow(dead_code, reason = "what the tests of one subject need, those of another may not")]

use crate::support::run::Output;
use crate::support::sandbox::Sandbox;
use crate::team::{public_key, read, somebody};
use crate::vaults::{init, vault_with};

/// A script in this person's clone, which has to succeed.
#[track_caller]
pub(crate) fn sh(person: &Sandbox, script: &str) -> Output {
    person.sh(format!("set -e\n{script}")).run().expect_that(0, script, |_| true)
}

/// Alice, whose project with these environments is committed, with git set up for it.
#[track_caller]
pub(crate) fn alice(environments: &str) -> Sandbox {
    let alice = vault_with(environments);
    sh(&alice, "git init -q -b main . && git add . && git commit -qm start");
    set_up(&alice);
    sh(&alice, "git add . && git commit -qm 'git shows and merges it'");
    alice
}

/// Has git set up for the vault in this clone.
#[track_caller]
pub(crate) fn set_up(person: &Sandbox) {
    person.vault(["git-setup"]).run().expect_that(0, "git is set up", |_| true);
    // What is committed is the subject of other tests.
    sh(person, "rm -f .git/hooks/pre-commit");
}

/// Bob, whom alice has made a member, with a clone of hers; git is set up there unless `plain`.
#[track_caller]
pub(crate) fn member(alice: &Sandbox, name: &str, plain: bool) -> Sandbox {
    let person = somebody(alice, name);
    let key = public_key(&person);
    let grant = alice.vault(["grant", name, "--key", &key, "-e", "staging"]).run();
    grant.expect_that(0, "granted", |output| output.out().is_empty());
    sh(alice, &format!("git commit -qam 'grant {name}'"));
    clone(alice, &person, plain);
    read(&person).run().expect(0, crate::vaults::ALPHA, "");
    person
}

#[track_caller]
pub(crate) fn clone(from: &Sandbox, to: &Sandbox, plain: bool) {
    sh(to, &format!("git clone -q '{}' .", from.project().display()));
    if !plain {
        set_up(to);
    }
}

/// Alice with staging, and bob, who is a member and has a clone.
#[track_caller]
pub(crate) fn two() -> (Sandbox, Sandbox) {
    let alice = alice("staging");
    let bob = member(&alice, "bob", false);
    (alice, bob)
}

/// Sets variables, and commits.
#[track_caller]
pub(crate) fn set(person: &Sandbox, pairs: &[&str]) {
    person.vault(["set", "-e", "staging"]).args(pairs).run().expect(0, "", "");
    sh(person, &format!("git commit -qam 'set {}'", pairs.len()));
}

/// The variables of staging, a line each.
#[track_caller]
pub(crate) fn variables(person: &Sandbox) -> String {
    let export = person.vault(["export", "-e", "staging", "dotenv"]).run();
    export.expect_that(0, "it opens", |_| true).out().to_owned()
}

/// What came back from a merge that ended with a conflict.
#[track_caller]
pub(crate) fn conflict(person: &Sandbox, command: &str) -> Output {
    person.sh(command).run().expect_that(1, "a conflict", |output| {
        !output.err().contains("marker-") && !output.out().contains("marker-")
    })
}

/// A project without any values, for one person.
#[track_caller]
pub(crate) fn empty(name: &str) -> Sandbox {
    let person = Sandbox::new();
    init(&person, name, "staging");
    person
}
