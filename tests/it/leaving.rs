//! `revoke`, `rotate`, `key recovery`: how access ends, and what stays on record.

#![allow(clippy::expect_used, reason = "helpers of tests have to fail the test")]

use crate::people::{alice_and, alice_with, fingerprint, join};
use crate::support::sandbox::Sandbox;
use crate::team::{former, public_key, somebody, teammate, text};
use crate::vaults::{STAGING, field, get, set};

const PRODUCTION: &str = "project/envs/production.toml";

#[test]
fn who_is_revoked_opens_nothing_new_and_what_he_knows_is_listed_oldest_first() {
    let (alice, bob) = alice_with("bob", "staging,production");
    set(&alice, "staging", "OLD", "value");
    set(&alice, "production", "KEY", "value");
    alice.vault(["revoke", "-y", "bob"]).run().expect_like(
        0,
        "production\tKEY\t20[..]\nstaging\tOLD\t20[..]\n",
        "vault: production: bob is removed\nvault: production: new data key [..]\n\
         vault: staging: bob is removed\nvault: staging: new data key [..]\n\
         vault: bob could read 2 values, and knows each until it has changed at its source and here:\n\
         hint: commit the folder `envs`, and have everybody pull; then `vault set -e ENV NAME` stores each new value, and `vault status` lists what is left\n",
    );
    set(&alice, "staging", "NEW", "value");
    bob.vault(["get", "-e", "staging", "NEW"]).run().expect(
        4,
        "",
        "vault: envs/staging.toml: this key opens nothing here\n\
         hint: `vault request -e staging` asks its members to grant you access: alice\n",
    );
    assert_eq!(get(&alice, "staging", "OLD"), b"value");
    let status = alice.vault(["status"]).run().success();
    assert!(status.out().contains("and knows 1 value: OLD"), "{}", status.out());
    // A new value closes it, and says so; the same one again does not.
    alice.vault(["set", "-e", "staging", "OLD=value"]).run().expect(0, "", "");
    alice.vault(["set", "-e", "staging", "OLD=other"]).run().expect(
        0,
        "",
        "vault: staging: OLD is new: bob knew the old value\n",
    );
    let status = alice.vault(["status", "--json"]).run().success();
    let json: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(json["environments"][1]["exposures"][0]["names"], serde_json::json!([]));
}

#[test]
fn it_is_asked_first_and_without_an_answer_nothing_happens() {
    let (alice, _bob) = alice_with("bob", "staging,production");
    let before = alice.snapshot();
    alice.vault(["revoke", "bob"]).run().expect(
        1,
        "",
        "vault: bob will lose access to production, staging: not done without an answer\n\
         hint: add `-y` to say yes\n",
    );
    let mut terminal = alice.vault(["revoke", "bob"]).on_terminal();
    terminal.expect("vault: bob will lose access to production, staging. Go on?");
    terminal.type_line("n");
    assert_eq!(terminal.expect_end().1.code(), Some(1));
    alice.assert_unchanged_since(&before);
}

#[test]
fn nobody_revokes_himself_or_the_last_holder() {
    let (alice, bob) = alice_and("bob", "staging");
    let before = alice.read(STAGING);
    alice.vault(["revoke", "-y", "alice"]).run().expect(
        1,
        "",
        "vault: staging: you are alice, and who makes a new data key knows it\n\
         hint: grant a second key of yours first, under another name, and do it with that one\n",
    );
    assert_eq!(alice.read(STAGING), before);
    join(&alice, &bob, "bob");
    alice.vault(["revoke", "-y", "alice"]).run().expect(
        1,
        "",
        "vault: staging: you are alice, and who makes a new data key knows it\n\
         hint: another member does that; the members are alice, bob\n",
    );
    // The recovery passphrase opens it, and may not be all that is left.
    let made = alice.vault(["key", "recovery"]).run();
    let passphrase = passphrase(made.err());
    bob.vault(["revoke", "-y", "alice"]).run().expect_that(
        0,
        "alice and her recovery key",
        |output| output.err().contains("the recovery key is gone, too"),
    );
    let made = bob.vault(["key", "recovery"]).run();
    let newer = self::passphrase(made.err());
    alice.write("old", passphrase);
    alice.write("new", newer);
    let with = |file: &str, words: &[&str]| {
        alice.vault(words).arg("--recovery").env("VAULT_PASSPHRASE_FILE", alice.path(file)).run()
    };
    with("old", &["list", "-e", "staging"]).expect_that(0, "needs no key", |_| true);
    with("old", &["export", "json", "-e", "staging"]).expect_that(4, "an old one", |_| true);
    with("new", &["export", "json", "-e", "staging"]).expect_that(0, "the new one", |_| true);
    with("new", &["revoke", "-y", "bob", "--keep", "recovery"]).expect(
        1,
        "",
        "vault: staging: nobody but the recovery key would be left\n\
         hint: grant somebody else access first\n",
    );
}

/// The line under the announcement.
#[track_caller]
fn passphrase(stderr: &str) -> String {
    let mut lines = stderr.lines().skip_while(|line| !line.contains("recovery passphrase"));
    lines.nth(1).expect("a passphrase").to_owned()
}

#[test]
fn the_last_holder_comes_back_by_the_recovery_passphrase_under_a_new_key() {
    let alice = Sandbox::new();
    alice.vault(["init", "--name", "alice", "-e", "staging"]).run().expect_that(0, "", |_| true);
    set(&alice, "staging", "A", "value");
    let made = alice.vault(["key", "recovery"]).run().expect_like(
        0,
        "",
        "vault: recovery passphrase, shown this once: write it down and lock it away\n[..]\n\
         vault: staging: has a recovery key now\n\
         hint: `vault get --recovery -e ENV NAME` shows whether the passphrase is noted right; then commit the folder `envs`\n",
    );
    alice.vault(["key", "recovery"]).run().expect(
        1,
        "",
        "vault: staging has a recovery key already\n\
         hint: add `--replace` if its passphrase is lost, or known to somebody who left\n",
    );
    alice.write("drawer", passphrase(made.err()));
    let new = alice.another_home("new-laptop");
    new.vault(["request", "--name", "alice", "--replace"]).run().expect_that(0, "", |_| true);
    let told = fingerprint(&new);
    let words = ["grant", "alice", "--recovery", "--expect", &told];
    let grant = new.vault(words).env("VAULT_PASSPHRASE_FILE", alice.path("drawer"));
    grant.run().expect_that(0, "replaced", |output| output.err().contains("alice is removed"));
    assert_eq!(get(&new, "staging", "A"), b"value");
    alice.vault(["get", "-e", "staging", "A"]).run().expect_that(4, "the lost key", |_| true);
    // Nobody has left.
    new.vault(["status"]).run().expect_like(
        0,
        "...\n    an earlier key of alice, removed on [..], could read 1 value: A\n...\n",
        "",
    );
    new.vault(["check"]).run().expect_like(
        0,
        "...\nwarning: staging: an earlier key of alice could read 1 value; `vault status` names them\n...\n",
        "",
    );
    // A passphrase that somebody saw is replaced, and opens nothing any more.
    let before = field(&alice.read(STAGING), "members.recovery", "key");
    let replaced = new.vault(["key", "recovery", "--replace"]).run();
    replaced.expect_that(0, "a new data key", |output| output.err().contains("new data key"));
    assert_ne!(field(&alice.read(STAGING), "members.recovery", "key"), before);
    let get_with = new.vault(["get", "-e", "staging", "A", "--recovery"]);
    let get_with = get_with.env("VAULT_PASSPHRASE_FILE", alice.path("drawer"));
    get_with.run().expect_that(4, "the old passphrase", |_| true);
}

#[test]
fn nothing_is_written_when_one_of_the_files_can_not_be_changed() {
    let (alice, _bob) = alice_with("bob", "staging,production,test");
    let whole = alice.read(STAGING);
    // The last of them in their order is damaged.
    alice.write(
        "project/envs/test.toml",
        alice.read("project/envs/test.toml").replace("vouch", "vuoch"),
    );
    let before = alice.snapshot();
    alice
        .vault(["revoke", "-y", "bob"])
        .run()
        .expect_that(5, "the damage", |output| output.err().contains("envs/test.toml"));
    alice.vault(["rotate", "--all"]).run().expect_that(5, "the damage", |_| true);
    alice.assert_unchanged_since(&before);
    assert_eq!(alice.read(STAGING), whole);
}

#[test]
fn an_environment_that_the_user_can_not_open_is_left_to_its_members() {
    let (alice, bob) = alice_with("bob", "staging,production");
    let carol = alice.another_home("carol");
    join(&alice, &carol, "carol");
    alice.vault(["revoke", "-y", "bob", "-e", "production"]).run().expect_that(0, "", |_| true);
    let before = (alice.read(STAGING), alice.read(PRODUCTION));
    bob.vault(["revoke", "-y", "carol", "-e", "staging,production"]).run().expect(
        4,
        "",
        "vault: envs/production.toml: this key opens nothing here\n\
         hint: `vault request -e production` asks its members to grant you access: alice, carol\n",
    );
    assert_eq!((alice.read(STAGING), alice.read(PRODUCTION)), before);
    bob.vault(["revoke", "-y", "carol"]).run().expect_like(
        4,
        "",
        "vault: staging: carol is removed\nvault: staging: new data key [..]\n...\n\
         vault: carol keeps access to production, where your key opens nothing\n\
         hint: `vault revoke carol -e production` is for a member there: alice\n",
    );
    assert!(!alice.read(STAGING).contains("[members.carol]"));
    assert!(alice.read(PRODUCTION).contains("[members.carol]"));
}

#[test]
fn a_member_who_is_not_there_is_told_with_the_near_name() {
    let (alice, _bob) = alice_with("bob", "staging");
    alice.vault(["revoke", "-y", "bop"]).run().expect(
        3,
        "",
        "vault: nobody is called bop in any environment\nhint: did you mean `bob`?\n",
    );
    alice.vault(["revoke", "-y", "bop", "-e", "staging"]).run().expect(
        3,
        "",
        "vault: staging has no member bop\nhint: did you mean `bob`?\n",
    );
    alice.vault(["rotate", "staging", "--without", "bop"]).run().expect(
        3,
        "",
        "vault: staging has no member bop\nhint: did you mean `bob`?\n",
    );
}

#[test]
fn machine_keys_that_a_leaver_issued_stay_where_they_are_named() {
    let (alice, bob) = alice_with("bob", "staging");
    set(&alice, "staging", "A", "value");
    let issue = |name: &str| {
        let made = bob.vault(["grant", name, "--new-key", "-e", "staging"]).run();
        made.out().trim().to_owned()
    };
    let (web, ci) = (issue("web"), issue("ci"));
    alice.vault(["revoke", "-y", "bob", "--keep", "web"]).run().expect_that(0, "", |output| {
        output.err().contains("ci is removed") && !output.err().contains("web is removed")
    });
    let read = |key: &str| alice.vault(["get", "-e", "staging", "A"]).env("VAULT_KEY", key).run();
    read(&web).expect(0, "value", "");
    read(&ci).expect_that(4, "gone with bob", |_| true);
}

#[test]
fn a_rotation_keeps_members_and_values_and_every_ciphertext_is_new() {
    let (alice, bob) = alice_with("bob", "staging,production");
    set(&alice, "staging", "A", "value");
    let before = alice.read(STAGING);
    alice.vault(["rotate", "staging"]).run().expect_like(
        0,
        "",
        "vault: staging: new data key [..]\n\
         vault: the values are the same: what somebody knows is changed at its source\n",
    );
    let after = alice.read(STAGING);
    for (table, name) in
        [("secrets.A", "value"), ("members.bob", "sealed"), ("members.bob", "vouch")]
    {
        assert_ne!(field(&before, table, name), field(&after, table, name), "{table}");
    }
    assert!(!after.contains("[former"));
    // Bob's machine knows alice, so her proof is enough.
    bob.vault(["get", "-e", "staging", "A"]).run().expect(0, "value", "");
    alice.vault(["rotate"]).run().expect(
        2,
        "",
        "vault: no environment is named\n\
         hint: name one, as in `vault rotate staging`, or add `--all`\n",
    );
    alice.vault(["rotate", "stagin"]).run().expect(
        3,
        "",
        "vault: there is no environment `stagin`\nhint: did you mean `staging`?\n",
    );
}

#[test]
fn comments_of_others_stop_a_change_of_many_files_before_the_first() {
    let (alice, _bob) = alice_with("bob", "staging,production");
    let text = alice.read(STAGING);
    alice.write(STAGING, format!("{text}# mine\n"));
    let before = alice.snapshot();
    let line = text.lines().count() + 1;
    alice.vault(["rotate", "--all"]).run().expect(
        1,
        "",
        &format!(
            "vault: envs/staging.toml:{line}: a comment would not be kept\nhint: add `-y` to drop them\n"
        ),
    );
    alice.assert_unchanged_since(&before);
}

#[test]
fn an_environment_that_a_leaver_alone_holds_keeps_nobody_from_removing_him() {
    let alice = crate::vaults::vault();
    let dave = teammate(&alice, "dave");
    // A file that anybody can push.
    let founded = dave.vault(["init", "-e", "qa", "--name", "dave"]).run();
    founded.expect_that(0, "made", |_| true);
    let qa = dave.read(dave.project().join("envs/qa.toml"));
    alice.write(alice.project().join("envs/qa.toml"), &qa);
    alice.vault(["rotate", "--all"]).run().expect_like(
        0,
        "",
        "vault: qa: left out: envs/qa.toml: this key opens nothing here\n\
         vault: staging: new data key [..]\n...",
    );
    alice.vault(["key", "recovery"]).run().expect_that(0, "where it can", |output| {
        output.err().contains("vault: staging: has a recovery key now\n")
            && output.err().contains("vault: qa: left out: ")
    });
    let told = "vault: dave keeps access to qa, where your key opens nothing\n\
                hint: nobody else is a member of qa; if nobody wants it, `git rm envs/qa.toml`\n";
    alice.vault(["revoke", "-y", "dave"]).run().expect_like(
        4,
        "staging\tALPHA\t[..]\nstaging\tBETA\t[..]\n",
        &format!("vault: staging: dave is removed\n...\n{told}"),
    );
    assert_eq!(former(&text(&alice)), ["dave"]);
    assert_eq!(alice.read(alice.project().join("envs/qa.toml")), qa);
    // There is nothing else left to do, and the same is said again.
    alice.vault(["revoke", "-y", "dave"]).run().expect(4, "", told);
    // Whoever names it is told why not.
    alice.vault(["revoke", "-y", "dave", "-e", "qa"]).run().expect_that(4, "no access", |output| {
        output.err().starts_with("vault: envs/qa.toml: this key opens nothing here\n")
    });
    // With somebody else in it, he is asked.
    let key = public_key(&somebody(&alice, "erin"));
    let grant = dave.vault(["grant", "erin", "-e", "qa", "--key", &key]).run();
    grant.expect_that(0, "granted", |output| output.out().is_empty());
    alice.write(
        alice.project().join("envs/qa.toml"),
        dave.read(dave.project().join("envs/qa.toml")),
    );
    alice.vault(["revoke", "-y", "dave"]).run().expect(
        4,
        "",
        "vault: dave keeps access to qa, where your key opens nothing\n\
         hint: `vault revoke dave -e qa` is for a member there: erin\n",
    );
}
