//! The memory of data keys: each row of the table in docs/format.md, Trust across
//! versions of a file, in its order.
#![allow(clippy::unwrap_used, reason = "helpers of tests are not #[test]")]

use serde_json::json;

use crate::support::sandbox::Sandbox;
use crate::team::*;
use crate::vaults::{ALPHA, fill, init, vault, without};

/// alice, and bob, who has seen her file.
fn pair() -> (Sandbox, Sandbox) {
    let alice = vault();
    let bob = teammate(&alice, "bob");
    (alice, bob)
}

/// The same environment's name under another id, with alice's and bob's keys in it.
fn other_vault(alice: &Sandbox, bob: &Sandbox) -> Sandbox {
    let other = alice.another_home("mallory").with_project("work/mallory");
    init(&other, "mallory", "staging");
    fill(&other, "staging");
    for (name, person) in [("alice", alice), ("bob", bob)] {
        let key = public_key(person);
        let grant = other.vault(["grant", name, "-e", "staging", "--key", &key]).run();
        grant.expect_that(0, "granted", |output| output.out().is_empty());
    }
    other
}

#[test]
fn row_1_an_abandoned_data_key_stops_before_all_else() {
    let (alice, bob) = pair();
    let base = text(&alice);
    rotate(&alice);
    let thrown_away = text(&alice);
    let key = fingerprint(&alice);
    put(&alice, &base);
    stops_with(&alice, &format!("{OLD}{OLD_READ}"), &format!("{OLD}{OLD_WRITE}"));
    // The hint has the fingerprint, which nobody could look up any more.
    read(&alice).run().expect_that(5, "the fingerprint", |output| output.err().contains(&key));
    let screen = abandon(&alice, &key);
    assert!(screen.contains("vault: alice is believed again (key "), "{screen}");
    assert!(screen.contains("vault: bob is believed again (key "), "{screen}");
    works(&alice);
    put(&alice, &thrown_away);
    stops(&alice, ABANDONED);
    alice.vault(["get", "--old-key", "-e", "staging", "ALPHA"]).run().expect(5, "", ABANDONED);
    // In every folder of this machine, and for nobody else.
    let clone = alice.another_home("bob").with_project("work/bob");
    let there = clone.vault(["get", "-e", "staging", "ALPHA"]);
    put(&clone, &thrown_away);
    let memory = alice.home().join(".local/state");
    let key_file = crate::vaults::identity(&alice);
    let there = there.env("XDG_STATE_HOME", memory).env("VAULT_KEY_FILE", key_file);
    there.run().expect(5, "", ABANDONED);
    opens_like(&bob, "vault: staging: alice has rotated the data key: the members are the same\n");
    // It comes back only by its fingerprint.
    alice.vault(["trust", "staging"]).run().expect(5, "", ABANDONED);
    trust(&alice, &key);
    works(&alice);
}

#[test]
fn row_2_another_id_stops_whatever_else_holds() {
    let (alice, bob) = pair();
    let own = text(&bob);
    let mallory = other_vault(&alice, &bob);
    send(&mallory, &bob);
    stops(&bob, OTHER_ID);
    bob.vault(["get", "--old-key", "-e", "staging", "ALPHA"]).run().expect(5, "", OTHER_ID);
    bob.vault(["trust", "staging"]).run().expect(5, "", OTHER_ID);
    // That the id was accepted in another folder does not help it here.
    let elsewhere = bob.another_home("bob").with_project("work/elsewhere");
    send(&mallory, &elsewhere);
    opens(&elsewhere);
    stops(&bob, OTHER_ID);
    // With the fingerprint both belong here.
    trust(&bob, &fingerprint(&mallory));
    works(&bob);
    put(&bob, own);
    works(&bob);
}

#[test]
fn row_3_an_unknown_id_is_remembered_in_silence() {
    let alice = vault();
    let bob = somebody(&alice, "bob");
    grant(&alice, &bob, "bob");
    let memory = bob.home().join(MEMORY);
    assert!(!memory.exists());
    opens(&bob);
    let remembered = std::fs::read_to_string(&memory).unwrap();
    assert!(remembered.starts_with("# What vault accepted on this machine."), "{remembered}");
    assert!(!remembered.contains(ALPHA));
    assert_eq!(bob.mode(&memory), 0o600);
    let environments = bob.read("people/bob/home/.local/state/vault/known_envs.toml");
    works(&bob);
    // Nothing new: nothing is written.
    assert_eq!(bob.read(&memory), environments);
}

#[test]
fn row_4_under_the_newest_data_key_a_missing_member_is_a_notice() {
    let (alice, bob) = pair();
    let whole = text(&alice);
    works(&alice);
    put(&alice, without(&text(&alice), "members.bob"));
    let told = "vault: staging: bob was removed from the file and still holds its data key\n\
                hint: `vault revoke bob -e staging` ends that\n";
    opens_like(&alice, told);
    runs_like(&alice, told);
    write(&alice).run().expect(0, "", told);
    // New members are learnt; who was known stays remembered.
    let carol = somebody(&alice, "carol");
    let key = public_key(&carol);
    alice.vault(["grant", "carol", "-e", "staging", "--key", &key]).run().expect_like(
        0,
        "",
        &format!("{told}...\nvault: staging: carol can open it now\n..."),
    );
    put(&alice, without(&text(&alice), "members.carol"));
    let carols = told.replace("bob", "carol");
    opens_like(&alice, &format!("{told}{carols}"));
    // A rotation writes both into the ledger.
    alice.vault(["rotate", "staging"]).run().expect_like(
        0,
        "",
        "...\nvault: staging: bob is removed\nvault: staging: carol is removed\n\
         vault: staging: new data key [..]\n...",
    );
    assert_eq!(former(&text(&alice)), ["bob", "carol"]);
    works(&alice);
    // What was set under the old key can't be read by bob's machine any more, and his old one is old.
    put(&alice, whole);
    read(&alice).run().expect_like(5, "", &format!("{OLD}{OLD_READ}"));
    read(&bob).run().expect(0, ALPHA, "");
}

#[test]
fn row_5_a_data_key_that_was_accepted_elsewhere_is_remembered_here() {
    let (alice, bob) = pair();
    let first = text(&bob);
    let clone = bob.another_home("bob").with_project("work/clone");
    put(&clone, &first);
    opens(&clone);
    rotate(&alice);
    send(&alice, &bob);
    opens_like(&bob, "vault: staging: alice has rotated the data key: the members are the same\n");
    // Later than what is remembered in the clone: nothing is told twice.
    send(&alice, &clone);
    works(&clone);
    // In a folder of which nothing is known: the newest goes, an older one doesn't.
    let fresh = bob.another_home("bob").with_project("work/fresh");
    put(&fresh, &first);
    read(&fresh).run().expect_like(5, "", &format!("{OLD}{OLD_READ}"));
    send(&alice, &fresh);
    works(&fresh);
}

#[test]
fn row_6_an_old_file_stops_and_can_be_read_once() {
    let (alice, bob) = pair();
    let old = text(&bob);
    rotate(&alice);
    send(&alice, &bob);
    read(&bob).run().expect_that(0, "the rotation", |output| !output.err().is_empty());
    put(&bob, &old);
    stops_with(&bob, &format!("{OLD}{OLD_READ}"), &format!("{OLD}{OLD_WRITE}"));
    // Asked for, it is read this once, by every command that reads.
    let before = bob.snapshot();
    for words in [
        &["--old-key", "get", "-e", "staging", "ALPHA"][..],
        &["run", "--old-key", "-e", "staging", "--", "printenv", "ALPHA"],
        &["export", "dotenv", "--old-key", "-e", "staging"],
        &["check", "--old-key", "-e", "staging"],
        &["status", "--old-key"],
    ] {
        let output = bob.vault(words).run();
        output.expect_that(0, "it is read", |output| !output.err().contains("old file"));
    }
    bob.assert_unchanged_since(&before);
    read(&bob).run().expect_like(5, "", &format!("{OLD}{OLD_READ}"));
    // Never for writing.
    for words in [
        &["set", "--old-key", "-e", "staging", "GAMMA=x"][..],
        &["unset", "--old-key", "-e", "staging", "BETA"],
        &["rotate", "--old-key", "staging"],
        &["grant", "--old-key", "x", "-e", "staging", "--new-key"],
        &["revoke", "--old-key", "-y", "alice", "-e", "staging"],
        &["key", "recovery", "--old-key", "-e", "staging"],
    ] {
        bob.vault(words).run().expect_like(5, "", &format!("{OLD}{OLD_WRITE}"));
    }
    let import = bob.vault(["import", "--old-key", "-e", "staging", "-"]).stdin("GAMMA=x\n");
    import.run().expect_like(5, "", &format!("{OLD}{OLD_WRITE}"));
    bob.assert_unchanged_since(&before);
}

#[test]
fn row_7_a_rotation_by_a_remembered_member_goes_through_with_one_line() {
    let (alice, bob) = pair();
    let carol = somebody(&alice, "carol");
    // Who joins and who leaves is told, with the keys of those who join.
    let dave = teammate(&alice, "dave");
    send(&alice, &bob);
    opens(&bob);
    revoke(&alice, "dave");
    grant(&alice, &carol, "carol");
    send(&alice, &bob);
    opens_like(
        &bob,
        "vault: staging: alice has rotated the data key: carol joined (key [..]), dave left\n",
    );
    works(&bob);
    // carol was made known by that; and two rotations at once are skipped.
    send(&bob, &carol);
    works(&carol);
    rotate(&carol);
    send(&carol, &alice);
    read(&alice).run().expect_like(
        0,
        ALPHA,
        "vault: staging: carol has rotated the data key[..]\n",
    );
    rotate(&alice);
    send(&alice, &bob);
    opens_like(&bob, "vault: staging: alice has rotated the data key: the members are the same\n");
    // A member who has another key is told as such.
    let carols = carol.another_home("carol2").with_project("work/carol2");
    carols.vault(["key", "new"]).run().expect_that(0, "a key", |o| !o.out().is_empty());
    let key = public_key(&carols);
    alice.vault(["grant", "carol", "-e", "staging", "--key", &key]).run().expect_that(
        0,
        "her key is replaced",
        |output| output.err().contains("carol is removed"),
    );
    send(&alice, &bob);
    let told = "vault: staging: alice has rotated the data key: carol has another key (key [..])\n";
    opens_like(&bob, told);
    drop(dave);
}

#[test]
fn row_8_a_data_key_of_unknown_origin_stops() {
    let Some(forger) = Forger::new() else { return };
    let (alice, bob) = pair();
    let mallory = somebody(&alice, "mallory");
    let genuine = text(&bob);
    let later = made(&genuine) + 1;
    let forge = |recipe| forger.forge(&mallory, &file(&alice), recipe);
    let values = json!({ "ALPHA": "forged" });

    // From public keys, as if alice had made it: with no proof, a false one, one of his own.
    let joined = "vault: by what this machine remembers, mallory joined (key [..])\n";
    for proof in ["none", "junk", "own"] {
        let recipe = json!({ "data_key": "x", "made": later, "values": values, "proof": proof });
        put(&bob, forge(recipe));
        let by = "vault: envs/staging.toml: this is a forgery: it says that alice ";
        stops(&bob, &format!("{by}{FALSE_PROOF}{}", ask(ANOTHER)));
    }
    // In his own name, and nobody is sent to him.
    let me = json!({ "mallory": public_key(&mallory) });
    let recipe = json!({
        "data_key": "x", "made": later, "values": values, "proof": "own", "by": "mallory", "add": me
    });
    put(&bob, forge(recipe));
    stops(&bob, &format!("{UNPROVEN}{joined}{}", ask(ANOTHER)));
    // In alice's name with his own key in the place of hers.
    let as_alice = json!({ "alice": public_key(&mallory) });
    let recipe = json!({
        "data_key": "x", "made": later, "values": values, "proof": "own", "add": as_alice
    });
    put(&bob, forge(recipe));
    stops(
        &bob,
        &format!(
            "vault: envs/staging.toml: it says that alice made its data key, with another key of \
             his than this machine knows. Whoever made it can read all that is set from now on\n\
             vault: by what this machine remembers, alice has another key (key [..]), alice is not \
             among the former members, so nobody sees what he knows\n{}",
            ask(ANOTHER)
        ),
    );
    // No later than what is known.
    let recipe = json!({
        "data_key": "x", "values": values, "proof": "own", "by": "mallory", "add": me
    });
    put(&bob, forge(recipe));
    let no_later = "vault: it claims to be no later than the data key that this machine knows\n";
    stops(&bob, &format!("{UNPROVEN}{no_later}{joined}{}", ask(ANOTHER)));
    put(&bob, genuine);
    works(&bob);
}

#[test]
fn row_8_a_member_is_not_believed_who_drops_the_ledger_or_runs_ahead() {
    let Some(forger) = Forger::new() else { return };
    let (alice, bob) = pair();
    let dave = teammate(&alice, "dave");
    revoke(&alice, "dave");
    for person in [&bob, &dave] {
        send(&alice, person);
    }
    read(&bob).run().expect_that(0, "the rotation", |output| !output.err().is_empty());
    // alice herself makes these, with her own key and everything right but one thing.
    let later = made(&text(&alice)) + 1;
    let values = json!({ "ALPHA": ALPHA });
    let forge = |more: serde_json::Value| {
        let mut recipe =
            json!({ "data_key": "x", "made": later, "values": values, "proof": "own" });
        for (field, value) in more.as_object().unwrap() {
            recipe[field] = value.clone();
        }
        forger.forge(&alice, &file(&alice), recipe)
    };
    let taken =
        "vault: envs/staging.toml: alice has made a data key that is not to be taken as it is\n";
    let dropped = "vault: it does not know that these were removed: dave\n";
    put(&bob, forge(json!({ "former": {} })));
    stops(&bob, &format!("{taken}{dropped}{}", ask(ANOTHER)));
    // Another key in the entry is as good as none.
    let entry = text(&alice).lines().find_map(|l| l.strip_prefix("[former.\"")).unwrap().to_owned();
    let entry = entry.trim_end_matches("\"]");
    put(&bob, forge(json!({ "former": { entry: public_key(&alice) } })));
    stops(&bob, &format!("{taken}{dropped}{}", ask(ANOTHER)));
    put(&bob, forge(json!({ "made": later + 2 * 86_400 })));
    let ahead = "vault: it claims to be made more than a day from now, after which nobody could \
                 rotate again\n";
    stops(&bob, &format!("{taken}{ahead}{}", ask(ANOTHER)));
    put(&bob, forge(json!({ "made": later - 1 })));
    let no_later = "vault: it claims to be no later than the data key that this machine knows\n";
    stops(&bob, &format!("{taken}{no_later}{}", ask_or_abandon("alice")));
    // With nothing wrong it is believed, so the forger is a good one.
    put(&bob, forge(json!({})));
    opens_like(&bob, "vault: staging: alice has rotated the data key: the members are the same\n");
}

#[test]
fn a_ledger_put_beside_somebody_elses_data_key_is_a_forgery() {
    let Some(forger) = Forger::new() else { return };
    let (alice, bob) = pair();
    let dave = teammate(&alice, "dave");
    send(&alice, &bob);
    opens(&bob);
    // A data key of alice's that bob's machine has not seen yet, and that mallory holds.
    revoke(&alice, "dave");
    let mallory = somebody(&alice, "mallory");
    grant(&alice, &mallory, "mallory");
    let genuine = text(&alice);
    let entry = genuine.lines().find_map(|line| line.strip_prefix("[former.\"")).unwrap();
    let entry = entry.trim_end_matches("\"]");
    let removed: u64 = entry.split_once('.').unwrap().1.parse().unwrap();
    // Bob's machine doesn't know mallory, so alice's proofs stay; all the rest is vouched for anew.
    let forge = |former: Option<serde_json::Value>| {
        let mut recipe = json!({ "old": file(&alice), "proof": "kept", "keep": true });
        if let Some(former) = former {
            recipe["former"] = former;
        }
        forger.forge(&mallory, &file(&alice), recipe)
    };
    let daves = public_key(&dave);
    let blamed = format!("bob.{removed}");
    let earlier = format!("dave.{}", removed - 1);
    let told = format!(
        "vault: envs/staging.toml: this is a forgery: it says that alice {FALSE_PROOF}\
         vault: by what this machine remembers, mallory joined (key [..]), dave left[..]\n{}",
        ask(ANOTHER)
    );
    for former in [
        json!({}),
        json!({ entry: public_key(&mallory) }),
        json!({ earlier: daves }),
        json!({ entry: daves, &*blamed: public_key(&bob) }),
    ] {
        let hostile = forge(Some(former));
        put(&bob, &hostile);
        stops(&bob, &told);
        // All but the proof is right: without any memory it opens.
        let fresh = bob.another_home("fresh").with_project("work/fresh");
        put(&fresh, &hostile);
        let key_file = crate::vaults::identity(&bob);
        read(&fresh).env("VAULT_KEY_FILE", key_file).run().expect(0, ALPHA, "");
        std::fs::remove_file(fresh.home().join(MEMORY)).unwrap();
    }
    // Beside alice's own ledger her proof holds, so the forger is a good one.
    put(&bob, forge(None));
    opens_like(
        &bob,
        "vault: staging: alice has rotated the data key: mallory joined (key [..]), dave left\n",
    );
    put(&bob, &genuine);
    works(&bob);
    // Under a data key that was accepted, an entry that comes later is told and not remembered.
    put(&bob, forge(Some(json!({ entry: daves, blamed: public_key(&bob) }))));
    let added = "vault: staging: a record that bob was removed stands there, which this data key did not have\n\
         hint: look at the file's last changes in git: only a rotation writes one\n";
    opens_like(&bob, added);
    // In another clone too, from the first read on.
    bob.sh("cp -r . ../clone").run().success();
    for _ in 0..2 {
        read(&bob).cwd(bob.project().join("../clone")).run().expect_like(0, ALPHA, added);
    }
    put(&bob, genuine);
    works(&bob);
}

#[test]
fn on_a_terminal_an_environment_is_announced_the_first_time_and_never_again() {
    let alice = vault();
    std::fs::remove_file(alice.home().join(MEMORY)).unwrap();
    for first in [true, false] {
        let mut terminal = alice.vault(["get", "-e", "staging", "ALPHA"]).on_terminal();
        let (screen, status) = terminal.expect_end();
        assert_eq!(status.code(), Some(0), "{screen}");
        let told = "vault: staging: seen for the first time on this machine; its members are alice";
        assert_eq!(screen.contains(told), first, "{screen}");
    }
}
