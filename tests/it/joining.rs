//! `request`, `grant`, `members`: how somebody gets access.

use crate::people::{alice_and, alice_with, fingerprint, join, public_key};
use crate::support::sandbox::Sandbox;
use crate::vaults::{STAGING, get, set};

const FPR: &str = "[..]-[..]";

#[test]
fn who_asks_is_granted_after_a_call_and_opens_what_he_asked_for() {
    let (alice, bob) = alice_and("bob", "staging,production");
    set(&alice, "staging", "A", "value");
    bob.vault(["request", "-e", "staging"]).run().expect_like(
        0,
        "",
        "vault: made your private key: $SANDBOX/people/bob/home/.config/vault/identity\n\
         vault: bob asks for access to staging\nvault: key [..]\n\
         hint: commit the folder `envs`, open a pull request, and tell a member that fingerprint by voice: \
         he runs `vault grant bob`\n",
    );
    bob.vault(["get", "-e", "staging", "A"]).run().expect_that(4, "not yet", |_| true);
    let told = fingerprint(&bob);
    alice.vault(["grant", "bob", "--expect", &told]).run().expect(
        0,
        "",
        "vault: staging: bob can open it now\nhint: commit the folder `envs`\n",
    );
    assert_eq!(get(&bob, "staging", "A"), b"value");
    assert!(!alice.read(STAGING).contains("[requests"));
    bob.vault(["get", "-e", "production", "A"]).run().expect_that(4, "not asked for", |_| true);
}

#[test]
fn asking_again_changes_nothing_and_one_key_asks_under_one_name() {
    let (alice, bob) = alice_and("bob", "staging");
    bob.vault(["request"]).run().expect_that(0, "asked", |_| true);
    let before = alice.snapshot();
    bob.vault(["request"]).run().expect(0, "", "vault: bob has asked for staging already\n");
    alice.assert_unchanged_since(&before);
    bob.vault(["request", "--name", "robert"]).run().expect_that(0, "renamed", |_| true);
    let text = alice.read(STAGING);
    assert!(text.contains("[requests.robert]") && !text.contains("[requests.bob]"), "{text}");
    alice.vault(["request"]).run().expect(0, "", "vault: you are a member of staging already\n");
}

#[test]
fn a_request_under_a_name_that_is_taken_is_refused_and_leaves_no_key_behind() {
    let (alice, mallory) = alice_and("mallory", "staging");
    let before = alice.snapshot();
    mallory.vault(["request", "--name", "alice"]).run().expect(
        1,
        "",
        "vault: staging has a member alice, with another key\n\
         hint: choose another name with `--name`; if it is you, with a new key, add `--replace`\n",
    );
    alice.assert_unchanged_since(&before);
    mallory.vault(["request", "--name", "mal"]).run().expect_that(0, "asked", |_| true);
    let other = alice.another_home("other");
    other.vault(["request", "--name", "mal"]).run().expect(
        1,
        "",
        "vault: staging: another key asks for access as mal\n\
         hint: choose another name with `--name`; if it is you, with a new key, add `--replace`\n",
    );
}

#[test]
fn without_a_terminal_only_the_right_fingerprint_grants_and_yes_is_no_answer() {
    let (alice, bob) = alice_and("bob", "staging");
    bob.vault(["request"]).run().expect_that(0, "asked", |_| true);
    let (text, right) = (alice.read(STAGING), fingerprint(&bob));
    for words in [&["grant", "bob"][..], &["grant", "bob", "-y"], &["grant", "--all", "-y"]] {
        alice.vault(words).run().expect(
            1,
            "",
            "vault: bob: nobody can be asked whether the key is his\n\
             hint: add `--expect` with the fingerprint that he told you\n",
        );
    }
    let wrong = fingerprint(&alice);
    alice.vault(["grant", "bob", "--expect", &wrong]).run().expect(
        5,
        "",
        &format!(
            "vault: bob asks with the key {right}, which is not the one that is expected\n\
             hint: somebody may have put another key there: ask for the fingerprint by voice\n"
        ),
    );
    let short = &right[..34];
    alice.vault(["grant", "bob", "--expect", short]).run().expect(
        2,
        "",
        &format!(
            "vault: `--expect {short}`: a fingerprint is eight groups of four hexadecimal digits\n"
        ),
    );
    assert_eq!(alice.read(STAGING), text);
    let plain = right.replace('-', "").to_uppercase();
    alice.vault(["grant", "bob", "--expect", &plain]).run().expect_that(0, "granted", |_| true);
}

#[test]
fn on_a_terminal_the_fingerprint_is_asked_about_with_what_git_knows() {
    let (alice, bob) = alice_and("bob", "staging");
    let git = |words: &[&str]| bob.program("git", words).run().expect_that(0, "git", |_| true);
    git(&["init", "-q"]);
    bob.vault(["request"]).run().expect_that(0, "asked", |_| true);
    let told = fingerprint(&bob);
    let mut terminal = alice.vault(["grant", "bob"]).on_terminal();
    terminal.expect("bob asks for access to staging");
    terminal.expect(&format!("his key (X25519) is {told}"));
    terminal.expect("is that the fingerprint that bob told you? [y/N]");
    terminal.type_line("n");
    let (screen, status) = terminal.expect_end();
    assert_eq!(status.code(), Some(1), "{screen}");
    assert!(screen.contains("nothing was changed"), "{screen}");
    git(&["add", "."]);
    git(&["commit", "-qm", "request"]);
    let mut terminal = alice.vault(["grant", "--all"]).on_terminal();
    terminal.expect(
        "by git, whom anybody can deceive: bob <bob@example.org> wrote the request on 2024-01-02",
    );
    terminal.type_line("y");
    let (screen, status) = terminal.expect_end();
    assert_eq!(status.code(), Some(0), "{screen}");
    assert!(alice.read(STAGING).contains("[members.bob]"));
}

#[test]
fn a_request_in_somebody_elses_name_says_that_it_replaces_his_key() {
    let (alice, bob) = alice_with("bob", "staging");
    let mallory = alice.another_home("mallory");
    mallory
        .vault(["request", "--name", "bob", "--replace"])
        .run()
        .expect_that(0, "asked", |_| true);
    let mut terminal = alice.vault(["grant", "bob"]).on_terminal();
    terminal.expect("he is a member of staging with another key, which would be replaced");
    terminal.expect("[y/N]");
    terminal.type_line("");
    assert_eq!(terminal.expect_end().1.code(), Some(1));
    set(&alice, "staging", "A", "value");
    assert_eq!(get(&bob, "staging", "A"), b"value");
}

#[test]
fn a_lost_key_is_replaced_under_a_new_data_key_and_the_old_one_is_on_record() {
    let (alice, bob) = alice_with("bob", "staging,production");
    set(&alice, "staging", "A", "value");
    let new_bob = alice.another_home("new-laptop");
    new_bob
        .vault(["request", "--name", "bob", "--replace"])
        .run()
        .expect_that(0, "asked", |_| true);
    let told = fingerprint(&new_bob);
    alice.vault(["grant", "bob", "--expect", &told]).run().expect_like(
        0,
        "",
        &format!(
            "vault: production: bob is removed\nvault: production: new data key {FPR}\n\
             vault: production: bob can open it now\n\
             vault: staging: bob is removed\nvault: staging: new data key {FPR}\n\
             vault: staging: bob can open it now\nhint: commit the folder `envs`\n"
        ),
    );
    assert_eq!(get(&new_bob, "staging", "A"), b"value");
    bob.vault(["get", "-e", "staging", "A"]).run().expect_that(4, "the old key", |_| true);
    let status = alice.vault(["status"]).run().success();
    assert!(status.out().contains("an earlier key of bob, removed on"), "{}", status.out());
    // His own he can't replace: he would know the new data key.
    let newest = alice.another_home("newest");
    newest
        .vault(["request", "--name", "alice", "--replace"])
        .run()
        .expect_that(0, "asked", |_| true);
    let told = fingerprint(&newest);
    let before = alice.read(STAGING);
    alice.vault(["grant", "alice", "--expect", &told]).run().expect(
        1,
        "",
        "vault: production: you are alice, and who makes a new data key knows it\n\
         hint: another member replaces your key\n",
    );
    assert_eq!(alice.read(STAGING), before);
}

#[test]
fn a_key_that_is_a_members_or_was_one_is_not_granted_under_another_name() {
    let (alice, bob) = alice_with("bob", "staging");
    let key = public_key(&bob);
    let grant = ["grant", "robert", "-e", "staging", "--key", &key];
    alice.vault(grant).run().expect(
        1,
        "",
        "vault: staging: this key is a member already, under the name bob\n\
         hint: each member has a key of its own: ask for one that was made for this member\n",
    );
    alice.vault(["revoke", "-y", "bob"]).run().expect_that(0, "gone", |_| true);
    alice.vault(grant).run().expect(
        1,
        "",
        "vault: staging: this key was that of bob, who was removed\n\
         hint: a new key is made with `vault key new` once the old one is moved away\n",
    );
}

#[test]
fn a_public_key_is_granted_without_a_request_and_a_private_one_is_refused_unrepeated() {
    let (alice, bob) = alice_and("bob", "staging");
    set(&alice, "staging", "A", "value");
    bob.vault(["key", "new"]).run().expect_that(0, "a key", |_| true);
    let key = public_key(&bob);
    alice.vault(["grant", "bob", "--key", &key]).run().expect(
        2,
        "",
        "vault: `--key` and `--new-key` need the environments\nhint: add `-e ENV`\n",
    );
    let grant = ["grant", "bob", "-e", "staging", "--key", &key];
    alice.vault(grant).run().expect_that(0, "granted", |_| true);
    assert_eq!(get(&bob, "staging", "A"), b"value");
    let secret = "AGE-SECRET-KEY-1MARKER";
    alice.vault(["grant", "x", "-e", "staging", "--key", secret]).run().expect(
        2,
        "",
        "vault: this is a private key, which nobody but its owner should have\n\
         hint: the public one is printed by `vault key show`\n",
    );
}

#[test]
fn a_machine_gets_a_key_that_is_printed_once_and_goes_with_who_issued_it() {
    let (alice, bob) = alice_with("bob", "staging,production");
    set(&alice, "staging", "A", "value");
    let made = bob.vault(["grant", "ci", "--new-key", "-e", "staging"]).run().expect_that(
        0,
        "a private key",
        |output| output.out().starts_with("AGE-SECRET-KEY-1") && output.out().lines().count() == 1,
    );
    let ci = alice.another_home("ci");
    let run = ["run", "-e", "staging", "--", "sh", "-c", "echo $A"];
    ci.vault(run).env("VAULT_KEY", made.out().trim()).run().expect(0, "value\n", "");
    assert!(alice.read(STAGING).contains("issued_by = \"bob\""));
    alice.assert_nowhere(made.out().trim());
    // On a terminal only if it is wanted there.
    let mut terminal = bob.vault(["grant", "cd", "--new-key", "-e", "staging"]).on_terminal();
    let (screen, status) = terminal.expect_end();
    assert!(status.code() == Some(2) && !screen.contains("AGE-SECRET"), "{screen}");
    assert!(screen.contains("add `--show`"), "{screen}");
    // A name that is taken is not silently given another key.
    bob.vault(["grant", "ci", "--new-key", "-e", "staging"]).run().expect(
        1,
        "",
        "vault: staging has a member ci already\nhint: choose another name, or revoke that one first\n",
    );
    alice.vault(["revoke", "-y", "bob", "-e", "staging"]).run().expect_like(
        0,
        "staging\tA\t[..]\n",
        &format!(
            "vault: staging: bob is removed\nvault: staging: ci is removed\n\
             vault: staging: new data key {FPR}\n\
             vault: bob could read 1 value, and knows each until it has changed at its source and here:\n\
             hint: [..]\n"
        ),
    );
    ci.vault(run).env("VAULT_KEY", made.out().trim()).run().expect_that(125, "gone", |_| true);
}

#[test]
fn an_ssh_key_is_asked_for_by_file_or_text_and_other_sorts_are_refused() {
    let (alice, bob) = alice_and("bob", "staging");
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB9ENmN4pUgZ0Xr0lc1ddhpfz3lL3Xt7Zt0pj0Qm7Uwz";
    alice.write("project/bob.pub", format!("{key} bob@laptop\n"));
    bob.vault(["request", "--ssh", "bob.pub"]).run().expect_that(0, "asked", |_| true);
    assert!(alice.read(STAGING).contains(&format!("key = \"{key}\"\n")));
    for wrong in ["ecdsa-sha2-nistp256 AAAAE2VjZHNh me", "sk-ssh-ed25519@openssh.com AAAAGnNr me"] {
        bob.vault(["request", "--ssh", wrong]).run().expect(
            2,
            "",
            "vault: not an ssh key that can be used\n\
             hint: age seals to ssh-ed25519 and ssh-rsa; for ecdsa and sk keys, leave `--ssh` out and a key is made\n",
        );
    }
    alice.write("project/bob", "-----BEGIN OPENSSH PRIVATE KEY-----\nmarker\n");
    bob.vault(["request", "--ssh", "bob"]).run().expect(
        2,
        "",
        "vault: `bob` is a private key\nhint: give the public one, which ends in `.pub`\n",
    );
}

#[test]
fn members_are_listed_without_a_key_and_as_json() {
    let (alice, bob) = alice_with("bob", "staging,production");
    alice.vault(["revoke", "-y", "bob", "-e", "production"]).run().expect_that(0, "", |_| true);
    let (a, b) = (fingerprint(&alice), fingerprint(&bob));
    let nobody = alice.another_home("nobody");
    nobody.vault(["members"]).run().expect(
        0,
        &format!("alice\t{a}\tproduction, staging\nbob\t{b}\tstaging\n"),
        "",
    );
    nobody.vault(["members", "-e", "production"]).run().expect(
        0,
        &format!("alice\t{a}\tproduction\n"),
        "",
    );
    let output = nobody.vault(["members", "--json"]).run().success();
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["members"][1]["name"], "bob");
    assert_eq!(json["members"][1]["fingerprint"], b);
    assert_eq!(json["members"][1]["environments"], serde_json::json!(["staging"]));
}

#[test]
fn who_cannot_open_an_environment_grants_the_others_and_says_so() {
    let (alice, bob) = alice_with("bob", "staging,production");
    alice.vault(["revoke", "-y", "bob", "-e", "production"]).run().expect_that(0, "", |_| true);
    let carol = alice.another_home("carol");
    carol.vault(["request", "--name", "carol"]).run().expect_that(0, "asked", |_| true);
    let told = fingerprint(&carol);
    bob.vault(["grant", "carol", "--expect", &told]).run().expect(
        0,
        "",
        "vault: production: left out: envs/production.toml: this key opens nothing here\n\
         vault: staging: carol can open it now\nhint: commit the folder `envs`\n",
    );
    assert!(alice.read("project/envs/production.toml").contains("[requests.carol]"));
    bob.vault(["grant", "carol", "-e", "production", "--expect", &told]).run().expect(
        4,
        "",
        "vault: envs/production.toml: this key opens nothing here\n\
         hint: `vault request -e production` asks its members to grant you access: alice\n",
    );
}

#[test]
fn one_name_with_two_keys_is_not_granted_at_once() {
    let (alice, bob) = alice_and("bob", "staging,production");
    bob.vault(["request", "-e", "staging"]).run().expect_that(0, "asked", |_| true);
    let mallory = alice.another_home("mallory");
    mallory.vault(["request", "-e", "production", "--name", "bob"]).run().expect_that(
        0,
        "asked",
        |_| true,
    );
    let told = fingerprint(&bob);
    alice.vault(["grant", "bob", "--expect", &told]).run().expect(
        1,
        "",
        "vault: bob asks with different keys in production and staging\n\
         hint: grant one environment at a time, with `-e`\n",
    );
}

#[test]
fn nobody_who_asks_and_who_is_a_member_already_are_told_apart() {
    let (alice, _bob) = alice_with("bob", "staging");
    alice.vault(["grant", "bob"]).run().expect(
        3,
        "",
        "vault: bob is a member of staging already\n\
         hint: `vault request -e ENV` asks for another environment\n",
    );
    alice.vault(["grant", "carol"]).run().expect(
        3,
        "",
        "vault: nobody asks for access as carol\n\
         hint: he runs `vault request`, and you pull his branch; `vault status` lists who asks\n",
    );
    alice.vault(["grant", "--all"]).run().expect(
        3,
        "",
        "vault: nobody asks for access\nhint: `vault members` lists who has it\n",
    );
}

#[test]
fn a_member_is_sealed_to_again_by_somebody_else_under_the_same_data_key() {
    let (alice, bob) = alice_with("bob", "staging");
    let carol = alice.another_home("carol");
    join(&bob, &carol, "carol");
    set(&alice, "staging", "A", "value");
    let by = |text: &str| crate::vaults::field(text, "members.carol", "by");
    let before = alice.read(STAGING);
    assert_eq!(by(&before), "bob");
    alice.vault(["grant", "carol", "--again"]).run().expect(
        0,
        "",
        "vault: carol: sealed to again in staging\n",
    );
    let after = alice.read(STAGING);
    assert_eq!(by(&after), "alice");
    assert_eq!(get(&carol, "staging", "A"), b"value");
    let others = |text: &str| text.replace(&crate::vaults::table(text, "members.carol"), "");
    assert_eq!(others(&before), others(&after));
}

#[test]
fn whoever_asks_when_there_is_no_environment_is_told() {
    let sandbox = Sandbox::new();
    sandbox.write("project/vault.toml", "");
    sandbox.vault(["request"]).run().expect(
        3,
        "",
        "vault: there is no environment to ask for\nhint: make one with `vault init`\n",
    );
    assert!(!sandbox.path("home/.config/vault").exists());
}
