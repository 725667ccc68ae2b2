//! Requests that meet in git: whoever asks has no key that opens anything, and merges all the same.

use crate::clones::{alice, clone, sh, two};
use crate::support::needs::needs;
use crate::support::sandbox::Sandbox;
use crate::team::{public_key, read, runs_like, somebody, text};

/// Somebody with a clone of alice's, who has asked for access and committed that.
#[track_caller]
fn asker(alice: &Sandbox, name: &str, plain: bool) -> Sandbox {
    let person = somebody(alice, name);
    clone(alice, &person, plain);
    let request = person.vault(["request", "-e", "staging", "--name", name]).run();
    request.expect_that(0, "asked", |output| output.out().is_empty());
    sh(&person, &format!("git commit -qam 'request of {name}'"));
    person
}

#[test]
fn two_who_ask_on_the_same_day_need_nobody_to_merge() {
    if !needs("git") {
        return;
    }
    for plain in [true, false] {
        let alice = alice("staging");
        let (bob, carol) = (asker(&alice, "bob", plain), asker(&alice, "carol", plain));
        sh(&alice, &format!("git pull -q '{}' main", bob.project().display()));
        let pull = format!("git pull -q --rebase '{}' main", alice.project().display());
        if plain {
            carol.sh(pull).run().expect_that(1, "a conflict in text", |_| true);
            carol.vault(["resolve"]).run().expect(
                0,
                "",
                "vault: in a rebase, ours is what you rebase onto, and theirs is your own commit\n\
                 vault: envs/staging.toml: merged and staged\n\
                 hint: `git rebase --continue` goes on\n",
            );
            sh(&carol, "GIT_EDITOR=true git rebase --continue");
        } else {
            sh(&carol, &pull);
        }
        let merged = text(&carol);
        for person in [&bob, &carol] {
            assert!(merged.contains(&format!("key = \"{}\"", public_key(person))), "{merged}");
        }
        // Alice grants both.
        sh(&alice, &format!("git pull -q '{}' main", carol.project().display()));
        for (name, person) in [("bob", &bob), ("carol", &carol)] {
            let grant = ["grant", name, "-e", "staging", "--key", &public_key(person)];
            let grant = alice.vault(grant).run();
            grant.expect_that(0, "granted", |output| output.out().is_empty());
        }
        sh(&alice, "git commit -qam 'grant both'");
        sh(&carol, &format!("git pull -q '{}' main", alice.project().display()));
        runs_like(&carol, "");
    }
}

#[test]
fn a_request_comes_to_what_members_have_changed_meanwhile() {
    if !needs("git") {
        return;
    }
    let (alice, bob) = two();
    let carol = asker(&alice, "carol", false);
    // Values, and a new data key.
    alice.vault(["set", "-e", "staging", "ALPHA=other"]).run().expect(0, "", "");
    let rotate = alice.vault(["rotate", "staging"]).run();
    rotate.expect_that(0, "a new data key", |_| true);
    sh(&alice, "git commit -qam 'rotate'");
    let theirs = text(&alice);
    sh(&carol, &format!("git pull -q --no-rebase '{}' main", alice.project().display()));
    let request = format!("[requests.carol]\nkey = \"{}\"\n\n", public_key(&carol));
    assert_eq!(text(&carol).replace(&request, ""), theirs, "all else is alice's, to the byte");
    // Where a value of hers stands against another, a member has to merge.
    sh(
        &carol,
        "sed -i 's/^value = \"\\(..\\)./value = \"\\1A/' envs/staging.toml && git commit -qam 'damage'",
    );
    bob.vault(["set", "-e", "staging", "BETA=other"]).run().expect(0, "", "");
    sh(&bob, "git commit -qam 'beta'");
    let pull = format!("git pull -q --no-rebase '{}' main", bob.project().display());
    carol.sh(pull).run().expect_that(1, "a conflict", |output| {
        output.err().contains("hint: let a member merge who has access to both sides\n")
    });
    read(&bob).run().expect_that(0, "his own is whole", |_| true);
}
