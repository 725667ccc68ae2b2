//! Several people at work on one project, each with a home of his own.

#![allow(
    dead_code,
    reason = "what the tests of one subject need, those of another may have no use for"
)]
#![allow(clippy::expect_used, reason = "helpers of tests have to fail the test")]

use crate::support::sandbox::Sandbox;
use crate::vaults::init;

/// The fingerprint that a person reads to another over the telephone.
#[track_caller]
pub(crate) fn fingerprint(person: &Sandbox) -> String {
    let show = person.vault(["key", "show"]).run();
    let at = show.err().find("fingerprint ").expect("a fingerprint") + "fingerprint ".len();
    show.err()[at..].trim_end().to_owned()
}

/// The public key of a person.
#[track_caller]
pub(crate) fn public_key(person: &Sandbox) -> String {
    person.vault(["key", "show"]).run().out().trim_end().to_owned()
}

/// Alice's project with these environments, and bob, who has a home and no access.
pub(crate) fn alice_and(name: &str, environments: &str) -> (Sandbox, Sandbox) {
    let alice = Sandbox::new();
    init(&alice, "alice", environments);
    let other = alice.another_home(name);
    (alice, other)
}

/// `who` asks, and `member` grants after a call.
#[track_caller]
pub(crate) fn join(member: &Sandbox, who: &Sandbox, name: &str) {
    who.vault(["request", "--name", name]).run().expect_that(0, "asked", |_| true);
    let told = fingerprint(who);
    member.vault(["grant", name, "--expect", &told]).run().expect_that(0, "granted", |_| true);
}

/// Alice's project with these environments, and bob, who is a member of all of them.
pub(crate) fn alice_with(name: &str, environments: &str) -> (Sandbox, Sandbox) {
    let (alice, other) = alice_and(name, environments);
    join(&alice, &other, name);
    (alice, other)
}
