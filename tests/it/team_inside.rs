//! What a member who is about to leave can do under the data key that she still knows,
//! or by text alone, so that she is passed over when she is removed.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are not #[test]")]

use serde_json::{Value, json};

use crate::support::run::Output;
use crate::support::sandbox::Sandbox;
use crate::team::*;
use crate::vaults::{ALPHA, field, fill, init, vault, vault_with, without};

/// alice, bob and eve, all of whom know the file, and alice's machine all three.
fn three() -> (Sandbox, Sandbox, Sandbox) {
    let alice = vault();
    let bob = teammate(&alice, "bob");
    let eve = teammate(&alice, "eve");
    send(&alice, &bob);
    opens(&bob);
    (alice, bob, eve)
}

/// The file as eve writes it anew under the data key that it has.
#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "so that calls need no signs")]
fn rewritten(forger: &Forger, eve: &Sandbox, change: Value) -> String {
    let mut recipe = json!({ "old": file(eve), "keep": true });
    for (field, value) in change.as_object().unwrap() {
        recipe[field] = value.clone();
    }
    forger.forge(eve, &file(eve), recipe)
}

fn members(person: &Sandbox) -> Vec<String> {
    let text = text(person);
    let headers = text.lines().filter_map(|line| line.strip_prefix("[members."));
    headers.map(|name| name.trim_end_matches(']').to_owned()).collect()
}

/// Neither eve's key nor that of a machine of hers opens the file.
#[track_caller]
fn is_out(person: &Sandbox, eve: &Sandbox) {
    send(person, eve);
    read(eve).run().expect_that(4, "no access", |output| output.out().is_empty());
}

#[track_caller]
fn asked(person: &Sandbox, words: &[&str]) -> Output {
    person.vault(words).run()
}

#[test]
fn her_own_block_under_another_name_is_told_and_removed() {
    let Some(forger) = Forger::new() else { return };
    let (alice, bob, eve) = three();
    let text = rewritten(&forger, &eve, json!({ "rename": { "eve": "innocent" } }));
    for person in [&alice, &bob] {
        put(person, &text);
    }
    let told = "vault: staging: the key that this machine knows as eve's stands under the name \
                innocent\nhint: `vault revoke eve -e staging` ends that\n";
    opens_like(&alice, told);
    asked(&alice, &["revoke", "eve"]).expect_like(
        1,
        "",
        &format!("{told}...\nvault: innocent will lose access to staging: not done without an answer\n..."),
    );
    revoke(&alice, "eve");
    assert_eq!(members(&alice), ["alice", "bob"]);
    is_out(&alice, &eve);
    // bob's machine hears who left, and that she was never on record under her old name.
    send(&alice, &bob);
    opens_like(&bob, "vault: staging: alice has rotated the data key: eve left\n");
}

#[test]
fn two_names_that_change_places_remove_nobody_by_mistake_alone() {
    let Some(forger) = Forger::new() else { return };
    let (alice, bob, eve) = three();
    let swap = json!({ "rename": { "eve": "bob", "bob": "eve" } });
    put(&alice, rewritten(&forger, &eve, swap));
    let told = "vault: staging: the key that this machine knows as bob's stands under the name eve\n\
                hint: `vault revoke bob -e staging` ends that\n\
                vault: staging: the key that this machine knows as eve's stands under the name bob\n\
                hint: `vault revoke eve -e staging` ends that\n";
    opens_like(&alice, told);
    asked(&alice, &["revoke", "eve"]).expect_like(
        1,
        "",
        "...\nvault: bob, eve will lose access to staging: not done without an answer\n...",
    );
    revoke(&alice, "eve");
    is_out(&alice, &eve);
    assert_eq!(members(&alice), ["alice"]);
    drop(bob);
}

#[test]
fn a_colleague_with_her_second_key_is_told_and_removed_with_her_own() {
    let Some(forger) = Forger::new() else { return };
    let (alice, bob, eve) = three();
    let second = somebody(&alice, "second");
    let add = json!({ "add": { "bob": public_key(&second) } });
    put(&alice, rewritten(&forger, &eve, add));
    let told = "vault: staging: another key than this machine knows stands under the name bob, who \
                still holds its data key\nhint: `vault revoke bob -e staging` ends that\n";
    opens_like(&alice, told);
    revoke(&alice, "bob");
    for person in [&bob, &second] {
        is_out(&alice, person);
    }
    assert_eq!(former(&text(&alice)), ["bob", "bob"]);
    assert_eq!(members(&alice), ["alice", "eve"]);
}

#[test]
fn a_second_block_with_her_key_goes_with_the_first() {
    let Some(forger) = Forger::new() else { return };
    for words in [
        &["revoke", "-y", "eve", "-e", "staging"][..],
        &["rotate", "staging", "--without", "eve"],
        &["revoke", "-y", "bob", "--without", "eve", "-e", "staging"],
    ] {
        let (alice, _bob, eve) = three();
        let add = json!({ "add": { "zoe": public_key(&eve) } });
        put(&alice, rewritten(&forger, &eve, add));
        asked(&alice, words).expect_that(0, "both go", |output| {
            let told = output.err();
            told.contains("eve is removed") && told.contains("zoe is removed")
        });
        is_out(&alice, &eve);
    }
    // Her key is replaced: the second block has the old one.
    let (alice, _bob, eve) = three();
    let add = json!({ "add": { "zoe": public_key(&eve) } });
    put(&alice, rewritten(&forger, &eve, add));
    let new = public_key(&somebody(&alice, "new"));
    asked(&alice, &["grant", "eve", "-e", "staging", "--key", &new]).expect_that(
        0,
        "replaced",
        |output| output.err().contains("zoe is removed"),
    );
    is_out(&alice, &eve);
}

#[test]
fn machine_keys_that_a_machine_key_has_issued_go_too() {
    let (alice, _bob, eve) = three();
    let new_key = |run: crate::support::run::Run| {
        let output = run.run();
        output.expect_that(0, "a key", |o| o.out().starts_with("AGE-SECRET-KEY")).out().to_owned()
    };
    let ci = new_key(eve.vault(["grant", "ci", "-e", "staging", "--new-key"]));
    let grant = ["grant", "deploy", "-e", "staging", "--new-key"];
    let deploy = new_key(eve.vault(grant).env("VAULT_KEY", &ci));
    let kept = new_key(eve.vault(["grant", "kept", "-e", "staging", "--new-key"]));
    let of_kept = ["grant", "of-kept", "-e", "staging", "--new-key"];
    let of_kept = new_key(eve.vault(of_kept).env("VAULT_KEY", &kept));
    send(&eve, &alice);
    opens(&alice);
    let revoke = asked(&alice, &["revoke", "eve", "--keep", "kept"]);
    revoke.expect_like(
        1,
        "",
        "...\nvault: ci, deploy, eve will lose access to staging: not done without an answer\n...",
    );
    let revoke = asked(&alice, &["revoke", "-y", "eve", "--keep", "kept"]);
    revoke.expect_that(0, "removed", |_| true);
    assert_eq!(members(&alice), ["alice", "bob", "kept", "of-kept"]);
    is_out(&alice, &eve);
    for key in [&ci, &deploy] {
        read(&alice).env("VAULT_KEY", key).run().expect_that(4, "out", |o| o.out().is_empty());
    }
    for key in [&kept, &of_kept] {
        read(&alice).env("VAULT_KEY", key).run().expect(0, ALPHA, "");
    }
}

#[test]
fn a_member_who_was_deleted_from_the_text_stays_remembered() {
    let (alice, bob, eve) = three();
    let base = text(&alice);
    let told = "vault: staging: eve was removed from the file and still holds its data key\n\
                hint: `vault revoke eve -e staging` ends that\n";
    put(&alice, without(&base, "members.eve"));
    opens_like(&alice, told);
    // Her name is enough, whether or not an environment is named.
    asked(&alice, &["revoke", "eve"]).expect_like(
        1,
        "",
        &format!("{told}vault: eve will lose access to staging: not done without an answer\n..."),
    );
    let with_e = asked(&alice, &["revoke", "-y", "eve", "-e", "staging"]);
    with_e.expect_like(
        0,
        "staging\tALPHA\t[..]\nstaging\tBETA\t[..]\n",
        &format!(
            "{told}vault: staging: eve is removed\nvault: staging: new data key [..]\n\
             vault: eve could read 2 values, [..]\n..."
        ),
    );
    assert_eq!(former(&text(&alice)), ["eve"]);
    works(&alice);
    // bob, to whom it was not told, hears of it; and a revocation of another member takes her along, and says so.
    send(&alice, &bob);
    opens_like(&bob, "vault: staging: alice has rotated the data key: eve left\n");
    let (alice, _bob, _eve) = three();
    put(&alice, without(&text(&alice), "members.eve"));
    asked(&alice, &["revoke", "bob"]).expect_like(
        1,
        "",
        "...\nvault: bob, eve will lose access to staging: not done without an answer\n...",
    );
    asked(&alice, &["rotate", "staging"]).expect_that(0, "rotated", |output| {
        output.err().contains("vault: staging: eve is removed\n")
    });
    assert_eq!(former(&text(&alice)), ["eve"]);
    let recovery = alice.vault(["key", "recovery", "-e", "staging"]).run();
    recovery.expect_that(0, "made", |_| true);
    put(&alice, without(&text(&alice), "members.bob"));
    let replace = alice.vault(["key", "recovery", "--replace", "-e", "staging"]).run();
    replace.expect_that(0, "made", |output| output.err().contains("bob is removed"));
    drop(eve);
}

#[test]
fn who_left_without_a_record_is_told_where_she_was_known() {
    let (alice, bob, _eve) = three();
    // carol's machine has never seen eve, whose block is deleted before carol comes.
    put(&alice, without(&text(&alice), "members.eve"));
    let carol = somebody(&alice, "carol");
    let key = public_key(&carol);
    let grant = alice.vault(["grant", "carol", "-e", "staging", "--key", &key]).run();
    grant.expect_that(0, "granted", |_| true);
    send(&alice, &carol);
    opens(&carol);
    send(&alice, &bob);
    read(&bob).run().expect_that(0, "carol is new", |_| true);
    rotate(&carol);
    assert!(former(&text(&carol)).is_empty());
    send(&carol, &bob);
    let told = "vault: staging: carol has rotated the data key: eve left, eve is not among the \
                former members, so nobody sees what he knows\n";
    opens_like(&bob, told);
    works(&bob);
}

#[test]
fn an_environment_that_is_closed_to_me_is_not_passed_over_in_silence() {
    let alice = vault_with("staging,production");
    let eve = somebody(&alice, "eve");
    let key = public_key(&eve);
    for environment in ["staging", "production"] {
        let grant = alice.vault(["grant", "eve", "-e", environment, "--key", &key]).run();
        grant.expect_that(0, "granted", |_| true);
    }
    // She takes alice out of production, and herself by name, where nobody can check it.
    let production = "project/envs/production.toml";
    let text = alice.read(production);
    let text = without(&text, "members.alice").replace("by = \"alice\"", "by = \"innocent\"");
    alice.write(production, text.replace("[members.eve]", "[members.innocent]"));
    let revoke = asked(&alice, &["revoke", "-y", "eve"]);
    revoke.expect_that(0, "staging is done, and production is told", |output| {
        output.err().starts_with("vault: production: left out: ")
            && output.err().contains("vault: staging: eve is removed\n")
    });
    // Named, it is an error.
    asked(&alice, &["revoke", "-y", "eve", "-e", "production"]).expect_that(
        4,
        "no access",
        |output| output.out().is_empty(),
    );
}

#[test]
fn a_key_is_found_in_every_environment_whatever_its_name_there() {
    let Some(forger) = Forger::new() else { return };
    let alice = vault_with("staging,production");
    let eve = somebody(&alice, "eve");
    let key = public_key(&eve);
    for environment in ["staging", "production"] {
        let grant = alice.vault(["grant", "eve", "-e", environment, "--key", &key]).run();
        grant.expect_that(0, "granted", |_| true);
    }
    let old = alice.path("project/envs/production.toml");
    let recipe = json!({ "old": old, "keep": true, "rename": { "eve": "innocent" } });
    let renamed = forger.forge(&eve, &old, recipe);
    alice.write(&old, renamed);
    asked(&alice, &["revoke", "-y", "eve"]).expect_that(0, "both", |output| {
        let told = output.err();
        told.contains("production: innocent is removed") && told.contains("staging: eve is removed")
    });
}

#[test]
fn a_rotation_that_gives_names_other_keys_says_so() {
    let Some(forger) = Forger::new() else { return };
    let (alice, bob, eve) = three();
    // eve rotates, which she may, and bob's name gets her key.
    let recipe = json!({
        "data_key": "new", "made": made(&text(&eve)) + 1, "proof": "own", "by": "eve",
        "add": { "bob": public_key(&eve), "robert": public_key(&bob) }, "values": { "ALPHA": ALPHA }
    });
    put(&alice, forger.forge(&eve, &file(&eve), recipe));
    opens_like(
        &alice,
        "vault: staging: eve has rotated the data key: robert joined (key [..]), bob has another \
         key (key [..])\n",
    );
}

#[test]
fn nobody_revokes_himself_and_the_last_holder_stays() {
    let (alice, bob, eve) = three();
    for words in [
        &["revoke", "-y", "alice"][..],
        &["rotate", "staging", "--without", "alice"],
        &["revoke", "-y", "bob", "--without", "alice"],
    ] {
        let before = alice.snapshot();
        asked(&alice, words).expect_that(1, "refused", |output| {
            output.out().is_empty() && !output.err().is_empty()
        });
        alice.assert_unchanged_since(&before);
    }
    // Nobody is kept or removed by a typing mistake.
    for flag in ["--keep", "--without"] {
        let revoke = asked(&alice, &["revoke", "-y", "bob", flag, "eev"]);
        revoke.expect(3, "", "vault: staging has no member eev\nhint: did you mean `eve`?\n");
    }
    let other = alice.another_home("zed").with_project("work/zed");
    init(&other, "zed", "staging");
    fill(&other, "staging");
    asked(&other, &["revoke", "-y", "zed"]).expect_that(1, "the last one", |o| o.out().is_empty());
    drop((bob, eve));
}

#[test]
fn a_record_that_a_member_takes_out_is_told_and_written_again() {
    let Some(forger) = Forger::new() else { return };
    let (alice, bob, eve) = three();
    revoke(&alice, "bob");
    send(&alice, &eve);
    read(&eve).run().expect_that(0, "bob left", |_| true);
    let whole = text(&alice);
    let entry = whole.lines().find_map(|line| line.strip_prefix("[former.\"")).unwrap();
    let entry = entry.trim_end_matches("\"]").to_owned();
    let told = "vault: staging: the record of bob, who was removed, is gone\n\
                hint: `vault rotate staging` writes it again\n";
    for ledger in [json!({}), json!({ entry.as_str(): public_key(&eve) })] {
        put(&alice, rewritten(&forger, &eve, json!({ "former": ledger })));
        opens_like(&alice, told);
    }
    rotate(&alice);
    let again = text(&alice);
    assert_eq!(former(&again), ["bob"]);
    let block = format!("former.\"{entry}\"");
    assert_eq!(field(&again, &block, "key"), field(&whole, &block, "key"));
    works(&alice);
    drop(bob);
}

#[test]
fn a_copy_records_who_was_deleted_from_its_source() {
    let (alice, _bob, eve) = three();
    put(&alice, without(&text(&alice), "members.eve"));
    let copy = ["init", "-e", "demo", "--from", "staging"];
    asked(&alice, &copy).expect_that(0, "made", |output| output.err().contains("made envs/demo"));
    let copied = alice.read("project/envs/demo.toml");
    assert_eq!(former(&copied), ["bob", "eve"]);
    assert!(copied.contains(&public_key(&eve)));
}

#[test]
fn nothing_that_she_writes_into_blocks_makes_her_stay() {
    let Some(forger) = Forger::new() else { return };
    // Everybody else looks like a recovery key.
    let (alice, _bob, eve) = three();
    put(&alice, rewritten(&forger, &eve, json!({ "locked": ["alice", "bob"] })));
    revoke(&alice, "eve");
    is_out(&alice, &eve);
    works(&alice);
    // Everybody else looks as if she had made the key.
    let (alice, bob, eve) = three();
    let issued_by = json!({ "alice": "eve", "bob": "eve" });
    put(&alice, rewritten(&forger, &eve, json!({ "issued_by": issued_by })));
    let revoke = asked(&alice, &["revoke", "-y", "eve"]);
    revoke.expect(
        1,
        "",
        "vault: staging: by the file your key was made by eve, or by what eve made\n\
         hint: if you made it yourself, add `--keep alice`; else have a key of your own granted \
         first\n",
    );
    let revoke = asked(&alice, &["revoke", "-y", "eve", "--keep", "alice,bob"]);
    revoke.expect_that(0, "she is out", |output| output.err().contains("eve is removed"));
    is_out(&alice, &eve);
    send(&alice, &bob);
    opens_like(&bob, "vault: staging: alice has rotated the data key: eve left\n");
}

#[test]
fn a_recovery_key_alone_does_not_stay_behind() {
    let alice = vault();
    let made = alice.vault(["key", "recovery", "-e", "staging"]).run();
    let made = made.expect_that(0, "a passphrase", |output| output.out().is_empty());
    let passphrase = made.err().lines().find(|line| !line.contains(": ")).unwrap().to_owned();
    alice.write("passphrase", passphrase);
    let revoke = alice.vault(["--recovery", "revoke", "-y", "alice"]);
    let revoke = revoke.env("VAULT_PASSPHRASE_FILE", alice.path("passphrase"));
    revoke.run().expect(
        1,
        "",
        "vault: staging: nobody but the recovery key would be left\n\
         hint: grant somebody else access first\n",
    );
    works(&alice);
}

/// Of a plugin that nobody has.
const OF_A_PLUGIN: &str = "age1fake194c3vs4hy6cygqtz0j5lhtpj7hy9xra3jq7vfkczykr30ys6fzqsnrlrtx";

#[test]
fn a_member_who_cannot_be_sealed_to_is_named_and_left_out() {
    let Some(forger) = Forger::new() else { return };
    let (alice, _bob, eve) = three();
    put(&alice, rewritten(&forger, &eve, json!({ "add": { "zz": OF_A_PLUGIN } })));
    opens(&alice);
    let before = text(&alice);
    for words in [&["revoke", "-y", "eve"][..], &["rotate", "staging"]] {
        asked(&alice, words).expect_that(4, "who it is, and what helps", |output| {
            output.err().contains("member zz: ")
                && output
                    .err()
                    .ends_with("; `vault rotate staging --without MEMBER` removes him instead\n")
        });
        assert_eq!(text(&alice), before);
    }
    asked(&alice, &["revoke", "-y", "eve", "--without", "zz"]).expect_that(
        0,
        "both are out",
        |output| output.err().contains("zz is removed"),
    );
    assert_eq!(members(&alice), ["alice", "bob"]);
    is_out(&alice, &eve);
}
