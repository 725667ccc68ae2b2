//! Branches of people who are no members, or none any more.
#![allow(clippy::unwrap_used, reason = "helpers of tests are not #[test]")]

use serde_json::json;

use crate::clones::*;
use crate::support::sandbox::Sandbox;
use crate::team::{self, Forger, file, public_key, somebody};
use crate::vaults::{ALPHA, BETA, table, with_block, without};

/// A commit on a branch `theirs` of this person's clone, with this text as the file of staging.
#[track_caller]
fn branch(person: &Sandbox, text: &str) {
    sh(person, "git checkout -q -b theirs");
    team::put(person, text);
    sh(person, "git commit -qam theirs && git checkout -q main");
}

/// The merge stops with this, and so does `resolve`; nothing of the file is taken.
#[track_caller]
fn stops(person: &Sandbox, told: &str) {
    let before = team::text(person);
    let merge = conflict(person, "git merge theirs");
    assert!(merge.err().contains(told), "{}", merge.err());
    let resolve = person.vault(["resolve"]).run();
    resolve.expect_that(5, told, |output| output.err().contains(told));
    sh(person, "git merge --abort");
    assert_eq!(team::text(person), before);
}

#[test]
fn a_branch_rebuilt_from_public_keys_is_never_merged_in_silence() {
    let Some(forger) = Forger::new() else { return };
    let (alice, bob) = two();
    let mallory = somebody(&alice, "mallory");
    let made = team::made(&team::text(&alice)) + 10;
    let recipe = json!({
        "data_key": "of mallory", "made": made, "by": "bob", "proof": "own", "values": { "ALPHA": "of-mallory" },
    });
    let rebuilt = forger.forge(&mallory, &file(&alice), recipe);
    branch(&alice, &rebuilt);
    set(&alice, &["BETA=mine"]);
    stops(
        &alice,
        "envs/staging.toml (theirs): this is a forgery: it says that bob made its data key",
    );
    conflict(&alice, "git merge theirs");
    let zeros = ["resolve", "--expect", "0000-0000-0000-0000-0000-0000-0000-0000"];
    alice.vault(zeros).run().expect_that(5, "another fingerprint", |_| true);
    sh(&alice, "git merge --abort");
    assert!(!variables(&alice).contains("of-mallory"));
    // Admitted by its fingerprint, which no member would name, it is merged as any other version.
    let merge = conflict(&alice, "git merge theirs");
    let named = merge.err().split("names the fingerprint ").nth(1).unwrap();
    let named = named.split(',').next().unwrap();
    let mut terminal = alice.vault(["resolve", "--expect", named]).on_terminal();
    terminal.expect("keep [o]urs");
    terminal.type_line("o");
    let (text, _) = terminal.expect_end();
    assert!(text.contains("BETA was changed by ours, and removed by theirs"), "{text}");
    drop(bob);
}

#[test]
fn a_leaver_who_goes_on_under_his_old_data_key_is_never_merged_in_silence() {
    let alice = alice("staging");
    let carol = member(&alice, "carol", false);
    team::revoke(&alice, "carol");
    sh(&alice, "git commit -qam 'carol leaves'");
    // She plants a value, a friend, and takes somebody's value away.
    let friend = somebody(&alice, "friend");
    set(&carol, &["ALPHA=of-carol", "NEW=of-carol"]);
    let key = public_key(&friend);
    carol.vault(["grant", "friend", "--key", &key, "-e", "staging"]).run().expect_that(
        0,
        "",
        |_| true,
    );
    carol.vault(["unset", "-y", "-e", "staging", "BETA"]).run().expect(0, "", "");
    sh(&carol, "git commit -qam hers");
    sh(&alice, &format!("git fetch -q '{}' main:theirs", carol.project().display()));
    let merge = conflict(&alice, "git merge theirs");
    for name in ["ALPHA", "BETA", "NEW"] {
        let told =
            format!("{name} was changed by theirs, who did not know that carol had been removed");
        assert!(merge.err().contains(&told), "{}", merge.err());
    }
    sh(&alice, "git merge --abort");
    assert_eq!(variables(&alice), format!("ALPHA={ALPHA}\nBETA={BETA}\n"));
    // A rotation of hers is one of a member whom nobody knows any more.
    team::rotate(&carol);
    sh(&carol, "git commit -qam rotated");
    sh(
        &alice,
        &format!(
            "git branch -D theirs -q; git fetch -q '{}' main:theirs",
            carol.project().display()
        ),
    );
    stops(&alice, "envs/staging.toml (theirs): ");
}

/// Dave, whose machine has not seen yet that alice has removed bob: `main` is hers, `theirs` is bob's, and both come
/// from the last one that dave has read.
fn leaver_whom_dave_believes(forger: &Forger) -> Sandbox {
    let (alice, bob) = two();
    let dave = member(&alice, "dave", false);
    team::revoke(&alice, "bob");
    sh(&alice, "git commit -qam 'bob leaves'");
    let recipe = json!({
        "data_key": "of bob", "made": team::made(&team::text(&alice)) + 10, "by": "bob", "proof": "own",
        "add": { "bob": public_key(&bob) }, "former": {}, "values": { "ALPHA": "of-bob" },
    });
    branch(&dave, &forger.forge(&bob, &file(&alice), recipe));
    sh(&dave, &format!("git pull -q '{}' main", alice.project().display()));
    dave
}

#[test]
fn a_leaver_whom_this_machine_still_believes_is_never_merged_in_silence() {
    let Some(forger) = Forger::new() else { return };
    let dave = leaver_whom_dave_believes(&forger);
    let told = "bob made its data key, whom the other side has removed or does not know";
    stops(&dave, &format!("envs/staging.toml (theirs): {told}"));
    // Whichever of them is checked out.
    sh(&dave, "git branch -m main alices && git checkout -q theirs");
    let merge = conflict(&dave, "git merge alices");
    assert!(merge.err().contains(&format!("envs/staging.toml (ours): {told}")), "{}", merge.err());
    sh(&dave, "git merge --abort && git checkout -q alices");
    assert_eq!(variables(&dave), format!("ALPHA={ALPHA}\nBETA={BETA}\n"));
}

#[test]
fn a_proof_alone_admits_no_version_from_tomorrow_or_without_a_leaver() {
    let Some(forger) = Forger::new() else { return };
    let (alice, bob) = two();
    member(&alice, "carol", false);
    let now = team::made(&team::text(&alice));
    let like = file(&alice);
    let rotated_by_bob = |made: u64| {
        let recipe = json!({
            "data_key": "of bob", "made": made, "by": "bob", "proof": "own", "former": {},
            "values": { "ALPHA": "of-bob" },
        });
        forger.forge(&bob, &like, recipe)
    };
    let (ahead, without) = (rotated_by_bob(now + 3 * 86_400), rotated_by_bob(now + 1000));
    branch(&alice, &ahead);
    set(&alice, &["MINE=1"]);
    stops(&alice, "it claims to be made more than a day from now");
    // What is checked out is from before carol left, as what comes in: this machine alone remembers.
    sh(&alice, "git branch before && git checkout -q theirs");
    team::put(&alice, &without);
    sh(&alice, "git commit -q --amend -am 'without her' && git checkout -q main");
    team::revoke(&alice, "carol");
    sh(&alice, "git commit -qam 'carol leaves' && git checkout -q before");
    let merge = conflict(&alice, "git merge theirs");
    let told = "it does not know that these were removed: carol";
    assert!(merge.err().contains(told), "{}", merge.err());
}

#[test]
fn a_leaver_can_not_copy_the_record_of_his_removal_under_his_own_data_key() {
    let Some(forger) = Forger::new() else { return };
    let (alice, bob) = two();
    team::rotate(&bob);
    sh(&bob, "git commit -qam rotated");
    sh(&alice, &format!("git pull -q '{}' main", bob.project().display()));
    team::read(&alice).run().expect_that(0, "read", |_| true);
    // However near to his rotation it is, his removal is later.
    team::revoke(&alice, "bob");
    let text = team::text(&alice);
    let entry = ledger_entry(&text);
    let his = file(&bob);
    let made = team::made(&team::text(&bob));
    assert!(entry.split_once('.').unwrap().1.parse::<u64>().unwrap() > made, "{entry} {made}");
    let recipe = json!({
        "old": his, "by": "bob", "proof": "own", "former": { entry: public_key(&bob) },
        "values": { "ALPHA": "of-bob" },
    });
    let copied = forger.forge(&bob, &his, recipe);
    branch_at(&alice, "HEAD", &copied, "bob leaves");
    stops(&alice, "envs/staging.toml (theirs)");
}

/// The first entry of the ledger, `NAME.REMOVED`.
fn ledger_entry(text: &str) -> String {
    let rest = text.split("[former.\"").nth(1).unwrap();
    rest.split('"').next().unwrap().to_owned()
}

/// A commit of the work tree on `main`, and one with this text on a branch `theirs` from `start`.
#[track_caller]
fn branch_at(person: &Sandbox, start: &str, text: &str, message: &str) {
    sh(person, &format!("git branch theirs {start} && git commit -qam '{message}'"));
    sh(person, "git checkout -q theirs");
    team::put(person, text);
    sh(person, "git commit -qam theirs && git checkout -q main");
}

#[test]
fn a_rotation_is_not_undone_by_a_branch_that_has_the_file_of_before() {
    let (alice, _bob) = two();
    let before = team::text(&alice);
    team::rotate(&alice);
    sh(&alice, "git commit -qam rotated");
    branch(&alice, &before);
    set(&alice, &["LATE=1"]);
    let told = "envs/staging.toml (theirs): goes back to an earlier data key than that of the common ancestor";
    stops(&alice, told);
    // From the other side, too.
    sh(&alice, "git checkout -q theirs");
    let merge = conflict(&alice, "git merge main");
    assert!(merge.err().contains(&told.replace("theirs", "ours")), "{}", merge.err());
}

#[test]
fn a_record_of_a_removal_with_another_key_is_no_record_of_it() {
    let Some(forger) = Forger::new() else { return };
    let (alice, bob) = two();
    let carol = member(&alice, "carol", false);
    let mallory = somebody(&alice, "mallory");
    team::revoke(&alice, "carol");
    let text = team::text(&alice);
    let entry = ledger_entry(&text);
    let recipe = json!({
        "data_key": "of bob", "made": team::made(&text) + 10, "by": "bob", "proof": "own",
        "former": { entry: public_key(&mallory) }, "add": { "carol": public_key(&carol) },
        "values": { "ALPHA": "of-bob" },
    });
    let text = forger.forge(&bob, &file(&alice), recipe);
    branch_at(&alice, "HEAD", &text, "carol leaves");
    stops(&alice, "the two sides have different keys on record for the removal of carol");
}

#[test]
fn whom_a_leaver_has_granted_makes_no_data_key_that_is_merged_in_silence() {
    let Some(forger) = Forger::new() else { return };
    let (alice, bob) = two();
    let dave = member(&alice, "dave", false);
    // Bob, who has been removed meanwhile, grants eve. Dave has looked at his branch once.
    sh(&bob, &format!("git pull -q '{}' main", alice.project().display()));
    team::revoke(&alice, "bob");
    let text = team::text(&alice);
    sh(&alice, "git commit -qam 'bob leaves'");
    let eve = somebody(&alice, "eve");
    team::grant(&bob, &eve, "eve");
    sh(&dave, "git checkout -q -b theirs");
    team::send(&bob, &dave);
    team::opens(&dave);
    let entry = ledger_entry(&text);
    let recipe = json!({
        "data_key": "of eve", "made": team::made(&text) + 10, "by": "eve", "proof": "own", "remove": ["bob"],
        "former": { entry: public_key(&bob) }, "values": { "ALPHA": "of-eve" },
    });
    let text = forger.forge(&eve, &file(&bob), recipe);
    team::put(&dave, text);
    sh(&dave, "git commit -qam theirs && git checkout -q main");
    sh(&dave, &format!("git pull -q '{}' main", alice.project().display()));
    stops(&dave, "eve made its data key, whom the other side has removed or does not know");
}

#[test]
fn what_was_copied_planted_or_put_back_stops_a_merge() {
    let (alice, _) = two();
    let text = team::text(&alice);
    let value = table(&text, "secrets.BETA").replace("BETA", "ALPHA");
    let copied = text.replace(&table(&text, "secrets.ALPHA"), &value);
    let planted = "[members.mallory]\nkey = \"age1dqup0gmn3vq3v9ydkrhyy4urefjlrmfh08h0qgqn4hj2e5vj5p7sq8rhkd\"\n\
                   sealed = \"YWdl\"\nby = \"alice\"\nvouch = \"";
    let vouch = crate::vaults::field(&text, "members.alice", "vouch");
    let planted = without(&text, "members.bob")
        .replace("[members.alice]", &format!("{planted}{vouch}\"\n\n[members.alice]"));
    for hostile in [copied, planted] {
        branch(&alice, &hostile);
        set(&alice, &["MINE=1"]);
        let merge = conflict(&alice, "git merge theirs");
        assert!(merge.err().contains("(theirs)"), "{}", merge.err());
        sh(&alice, "git merge --abort && git branch -qD theirs");
        alice.vault(["unset", "-y", "-e", "staging", "MINE"]).run().expect(0, "", "");
        sh(&alice, "git commit -qam back");
    }
    // A request carries no authority, and comes along.
    let mallory = somebody(&alice, "mallory");
    let request = format!("[requests.bobby]\nkey = \"{}\"\n", public_key(&mallory));
    branch(&alice, &with_block(&team::text(&alice), &request));
    set(&alice, &["MINE=1"]);
    sh(&alice, "git merge -q theirs -m request");
    assert_eq!(team::status(&alice)["requests"][0]["name"], "bobby");
}

#[test]
fn a_value_that_a_branch_puts_back_is_asked_for() {
    let (alice, _) = two();
    let earlier = table(&team::text(&alice), "secrets.ALPHA");
    set(&alice, &["ALPHA=new"]);
    let text = team::text(&alice);
    // Whoever can push needs no key for it.
    branch(&alice, &text.replace(&table(&text, "secrets.ALPHA"), &earlier));
    set(&alice, &["MINE=1"]);
    let merge = conflict(&alice, "git merge theirs");
    let told = "envs/staging.toml: ALPHA was put back to an earlier value by theirs\n";
    assert!(merge.err().contains(told), "{}", merge.err());
    let mut terminal = alice.vault(["resolve"]).on_terminal();
    terminal.expect("keep [o]urs");
    terminal.type_line("o");
    terminal.expect_end();
    assert_eq!(variables(&alice), format!("ALPHA=new\nBETA={BETA}\nMINE=1\n"));
}

#[test]
fn a_checkout_meanwhile_is_no_danger_to_a_write() {
    let (alice, bob) = two();
    let before = team::text(&alice);
    set(&bob, &["ALPHA=of-bob"]);
    sh(&alice, &format!("git pull -q '{}' main", bob.project().display()));
    assert!(variables(&alice).starts_with("ALPHA=of-bob\n"));
    // The earlier commit again: the same data key, so git's history alone can tell, and does.
    sh(&alice, "git checkout -q HEAD~1");
    assert_eq!(team::text(&alice), before);
    let check = alice.vault(["check", "--against", "main"]).run();
    check.expect_that(0, "it is an ancestor", |output| !output.out().contains("error: "));
    sh(&alice, "git checkout -q main && git checkout -q HEAD~1 -- envs");
    let check = alice.vault(["check", "--against", "main"]).run();
    check.expect_that(1, "put back", |output| {
        output.out().contains("error: staging: ALPHA put back to an earlier value\n")
    });
}
