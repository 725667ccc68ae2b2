//! Members and identities behind an age plugin: `tests/plugin/fake.rs`, which is found
//! in a PATH of the test's own.

#![allow(clippy::expect_used, reason = "helpers of tests have to fail the test")]
#![allow(clippy::disallowed_methods, reason = "a plugin is found by the search path")]

use std::path::Path;

use rustix::process::Signal;

use crate::people::{alice_and, fingerprint};
use crate::support::run::Run;
use crate::support::sandbox::Sandbox;
use crate::vaults::{STAGING, get, set};

/// The pair that the fake plugin prints.
const PUBLIC: &str = "age1fake1wd5hsar9v4hzqcnew3jhxgr0vc7mlle9";
const PRIVATE: &str = "AGE-PLUGIN-FAKE-1WD5HSAR9V4HZQCNEW3JHXGR0VCLTR8DE";

/// Puts the plugin where `with_plugin` looks for it.
#[track_caller]
fn install(sandbox: &Sandbox) {
    let built = Path::new(env!("CARGO_BIN_EXE_vault"));
    let built = built.parent().expect("a folder").join("examples/age-plugin-fake");
    std::fs::create_dir_all(sandbox.path("plugins")).expect("a folder");
    std::os::unix::fs::symlink(built, sandbox.path("plugins/age-plugin-fake")).expect("a link");
}

fn with_plugin(sandbox: &Sandbox, run: Run) -> Run {
    let search = std::env::var("PATH").expect("a search path");
    run.env("PATH", format!("{}:{search}", sandbox.path("plugins").display()))
}

/// The text of an identity file, with or without its public key.
fn identity(known: bool) -> String {
    let head = if known { format!("# public key: {PUBLIC}\n") } else { String::new() };
    format!("{head}{PRIVATE}\n")
}

fn allow(person: &Sandbox) {
    person.write(person.home().join(".config/vault/plugins"), "# ours\nfake\n");
}

#[test]
fn a_member_behind_a_plugin_opens_seals_and_stays_through_a_rotation() {
    let (alice, bob) = alice_and("bob", "staging");
    install(&alice);
    set(&alice, "staging", "A", "value");
    let grant = ["grant", "token", "-e", "staging", "--key", PUBLIC];
    let text = alice.read(STAGING);
    // A plugin runs a program: only the user's own list may name it, and no file in a repository.
    with_plugin(&alice, alice.vault(grant)).run().expect(
        4,
        "",
        "vault: envs/staging.toml: member token: the plugin `fake` is not on your list of allowed plugins\n\
         hint: if you trust that program, add a line `fake` to `plugins` in the configuration folder of vault\n",
    );
    assert_eq!(alice.read(STAGING), text);
    allow(&alice);
    with_plugin(&alice, alice.vault(grant)).run().expect_that(0, "granted", |_| true);
    for known in [true, false] {
        let read = bob.vault(["get", "-e", "staging", "A"]).env("VAULT_KEY", identity(known));
        with_plugin(&alice, read).run().expect(0, "value", "");
        let run = bob.vault(["run", "-e", "staging", "--", "printenv", "A"]);
        with_plugin(&alice, run.env("VAULT_KEY", identity(known))).run().expect(0, "value\n", "");
    }
    // Its member is checked each time, and nobody is passed over who stands before another member.
    let own = std::fs::read_to_string(crate::vaults::identity(&alice)).expect("a key");
    bob.write("both.key", format!("{}{own}", identity(true)));
    let both = || {
        let run = bob.vault(["run", "-v", "-e", "staging", "--", "printenv", "A"]);
        run.env("VAULT_KEY_FILE", bob.path("both.key"))
    };
    for _ in 0..2 {
        let run = with_plugin(&alice, both()).run();
        run.expect_that(0, "the first opens it", |o| {
            o.err().matches("opened as token").count() == 1
        });
        both().run().expect_that(125, "no plugin", |output| output.out().is_empty());
    }
    let rotate = with_plugin(&alice, alice.vault(["rotate", "staging"])).run();
    rotate
        .expect_that(0, "who has no proof", |output| output.err().contains("; token will have to"));
    allow(&bob);
    let set = bob.vault(["set", "-e", "staging", "A=x"]).env("VAULT_KEY", identity(true));
    with_plugin(&alice, set).run().expect_that(5, "nothing proves it", |output| {
        output.err().contains("nothing proves who made its data key")
    });
}

#[test]
fn somebody_behind_a_plugin_founds_a_vault_and_grants() {
    let (alice, bob) = alice_and("bob", "other");
    install(&alice);
    let carol = alice.another_home("carol");
    allow(&carol);
    let with_key =
        |words: &[&str]| with_plugin(&alice, carol.vault(words).env("VAULT_KEY", identity(true)));
    with_key(&["init", "--name", "carol", "-e", "staging"]).run().expect_that(0, "made", |_| true);
    with_key(&["set", "-e", "staging", "A=value"]).run().expect(0, "", "");
    bob.vault(["request", "-e", "staging"]).run().expect_that(0, "asked", |_| true);
    let told = fingerprint(&bob);
    with_key(&["grant", "bob", "--expect", &told]).run().expect_that(0, "granted", |_| true);
    assert_eq!(get(&bob, "staging", "A"), b"value");
}

#[test]
fn a_plugin_that_is_missing_dead_or_silent_is_told_and_a_signal_ends_the_wait() {
    let (alice, bob) = alice_and("bob", "staging");
    install(&alice);
    allow(&alice);
    let grant = ["grant", "token", "-e", "staging", "--key", PUBLIC];
    let before = alice.read(STAGING);
    alice.vault(grant).run().expect_that(4, "it is missing", |output| {
        output.err().contains("`age-plugin-fake` is not installed")
    });
    let dead = with_plugin(&alice, alice.vault(grant)).env("FAKE_PLUGIN", "dead");
    let dead = dead.run();
    assert!(dead.code() != Some(0) && dead.err().contains("fake"), "{}", dead.err());
    assert_eq!(alice.read(STAGING), before);
    with_plugin(&alice, alice.vault(grant)).run().expect_that(0, "granted", |_| true);
    let read = || bob.vault(["get", "-e", "staging", "A"]).env("VAULT_KEY", identity(true));
    read().run().expect_that(4, "it is missing", |output| output.err().contains("age-plugin-fake"));
    let dead = with_plugin(&alice, read()).env("FAKE_PLUGIN", "dead").run();
    assert!(![Some(0), None].contains(&dead.code()) && dead.out().is_empty());
    // One that says nothing waits for its user, who may be looking for his device; he can end it.
    let running = with_plugin(&alice, read()).env("FAKE_PLUGIN", "hang").spawn();
    crate::support::barrier::until(
        || crate::support::processes::of_sandbox(alice.root()).len() > 1,
        "the plugin to run",
    );
    running.kill_group(Signal::INT);
    running.wait().expect_signal(Signal::INT, "", "");
    alice.assert_no_process_left();
}
