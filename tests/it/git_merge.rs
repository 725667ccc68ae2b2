//! The merge driver and `vault resolve`, in real repositories.

use crate::clones::*;
use crate::support::needs::needs;
use crate::support::sandbox::Sandbox;
use crate::team::{self, public_key, somebody};
use crate::vaults::{ALPHA, BETA};

/// What bob has done comes to alice as the branch `bobs`.
#[track_caller]
fn fetch(alice: &Sandbox, bob: &Sandbox) {
    let bobs = bob.project().display().to_string();
    sh(alice, &format!("git fetch -q '{bobs}' main:bobs --force"));
}

/// `resolve` on a terminal, with these answers.
#[track_caller]
fn resolve(person: &Sandbox, answers: &[(&str, &str)]) -> String {
    let mut terminal = person.vault(["resolve"]).on_terminal();
    for (question, answer) in answers {
        terminal.expect(question);
        terminal.type_line(answer);
    }
    let (text, status) = terminal.expect_end();
    assert_eq!(status.code(), Some(0), "{text}");
    text
}

const KEEP: &str = "keep [o]urs or [t]heirs, [s]how both, or set a [n]ew value? ";

#[test]
fn what_two_people_have_changed_in_different_places_comes_together() {
    if !needs("git") {
        return;
    }
    let (alice, bob) = two();
    set(&alice, &["ALPHA=a", "NEW_A=1"]);
    set(&bob, &["BETA=b", "NEW_B=2"]);
    bob.vault(["unset", "-y", "-e", "staging", "NEW_B"]).run().expect(0, "", "");
    sh(&bob, "git commit -qam gone");
    fetch(&alice, &bob);
    sh(&alice, "git merge -q bobs -m together");
    assert_eq!(variables(&alice), "ALPHA=a\nBETA=b\nNEW_A=1\n");
    sh(&alice, "git fsck --strict && git diff --quiet && test -z \"$(git status --porcelain)\"");
    // The other way round the text is the same, to the byte.
    let ours = team::text(&alice);
    sh(
        &bob,
        &format!(
            "git fetch -q '{}' main && git merge -q FETCH_HEAD^1 -m back",
            alice.project().display()
        ),
    );
    assert_eq!(team::text(&bob), ours);
    assert_eq!(variables(&bob), "ALPHA=a\nBETA=b\nNEW_A=1\n");
}

#[test]
fn values_that_stay_the_same_keep_their_bytes() {
    let (alice, bob) = two();
    let before = crate::vaults::table(&team::text(&alice), "secrets.BETA");
    set(&alice, &["ALPHA=a"]);
    set(&bob, &["AB=b"]);
    fetch(&alice, &bob);
    sh(&alice, "git merge -q bobs -m together");
    assert_eq!(crate::vaults::table(&team::text(&alice), "secrets.BETA"), before);
    // Both have set the same value: no question, and the earlier time stays.
    set(&alice, &["SAME=x"]);
    set(&bob, &["SAME=x"]);
    fetch(&alice, &bob);
    sh(&alice, "git merge -q bobs -m same");
    assert!(variables(&alice).contains("SAME=x\n"));
}

#[test]
fn two_people_who_grant_two_others_have_both_as_members() {
    let (alice, bob) = two();
    let (carol, dave) = (somebody(&alice, "carol"), somebody(&alice, "dave"));
    let ci = somebody(&alice, "ci");
    for (who, name, person) in
        [(&alice, "carol", &carol), (&bob, "dave", &dave), (&alice, "ci", &ci), (&bob, "ci", &ci)]
    {
        let key = public_key(person);
        let grant = who.vault(["grant", name, "--key", &key, "-e", "staging"]).run();
        grant.expect_that(0, "granted", |_| true);
        sh(who, &format!("git commit -qam 'grant {name}'"));
    }
    fetch(&alice, &bob);
    sh(&alice, "git merge -q bobs -m all");
    for person in [&carol, &dave, &ci, &bob] {
        team::send(&alice, person);
        team::opens(person);
    }
}

#[test]
fn a_value_that_both_have_changed_is_decided_by_a_person_and_never_reaches_the_disk() {
    let (alice, bob) = two();
    set(&alice, &["ALPHA=marker-of-alice", "BETA=marker-beta-a", "GONE=1"]);
    sh(&bob, &format!("git pull -q '{}' main", alice.project().display()));
    set(&alice, &["ALPHA=marker-alice-2", "BETA=marker-beta-2"]);
    alice.vault(["unset", "-y", "-e", "staging", "GONE"]).run().expect(0, "", "");
    sh(&alice, "git commit -qam gone");
    set(&bob, &["ALPHA=marker-of-bob", "BETA=marker-beta-b", "GONE=2", "FREE=3"]);
    fetch(&alice, &bob);
    let told = "vault: envs/staging.toml: ALPHA was changed on both sides\n\
                vault: envs/staging.toml: BETA was changed on both sides\n\
                vault: envs/staging.toml: GONE was removed by ours, and changed by theirs\n\
                hint: `vault resolve` asks for each\n";
    let merge = conflict(&alice, "git merge bobs");
    assert!(merge.err().contains(told), "{}", merge.err());
    // What is left is nothing that anybody could take for a vault.
    let read = team::read(&alice).run();
    read.expect_that(5, "conflict markers", |output| {
        output.err().contains("hint: `vault resolve` merges the versions that git has\n")
    });
    alice.vault(["resolve"]).run().expect(
        1,
        "",
        "vault: staging: ALPHA was changed on both sides\n\
         vault: staging: BETA was changed on both sides\n\
         vault: staging: GONE was removed by ours, and changed by theirs\n\
         hint: run `vault resolve` on a terminal, where it asks for each\n",
    );
    let mut terminal = alice.vault(["resolve"]).on_terminal();
    terminal.expect("ALPHA was changed on both sides");
    terminal.expect(KEEP);
    assert!(!terminal.screen().contains("marker-"), "{}", terminal.screen());
    terminal.type_line("s");
    terminal.expect("vault: ours: marker-alice-2");
    terminal.expect("vault: theirs: marker-of-bob");
    terminal.expect(KEEP);
    terminal.type_line("t");
    terminal.expect("BETA was changed on both sides");
    terminal.expect(KEEP);
    terminal.type_line("n");
    terminal.expect("Value of BETA (not shown)");
    terminal.type_line("marker-beta-new");
    terminal.expect("GONE was removed by ours");
    terminal.expect("vault: ours: not there; theirs: changed 20");
    terminal.expect(KEEP);
    terminal.type_line("o");
    let (text, status) = terminal.expect_end();
    assert_eq!(status.code(), Some(0), "{text}");
    assert!(text.contains("vault: envs/staging.toml: merged and staged"), "{text}");
    sh(&alice, "git commit -qm together && git fsck --strict");
    assert_eq!(variables(&alice), "ALPHA=marker-of-bob\nBETA=marker-beta-new\nFREE=3\n");
    for marker in ["marker-alice-2", "marker-of-bob", "marker-beta"] {
        alice.assert_nowhere(marker);
    }
}

#[test]
fn who_quits_has_changed_nothing() {
    let (alice, bob) = two();
    set(&alice, &["ALPHA=1"]);
    set(&bob, &["ALPHA=2"]);
    fetch(&alice, &bob);
    conflict(&alice, "git merge bobs");
    let before = alice.snapshot();
    let mut terminal = alice.vault(["resolve", "envs/staging.toml"]).on_terminal();
    terminal.expect(KEEP);
    terminal.type_line("q");
    let (text, status) = terminal.expect_end();
    assert_eq!(status.code(), Some(1), "{text}");
    alice.assert_unchanged_since(&before);
    alice.vault(["resolve", "-e", "other"]).run().expect(
        1,
        "",
        "vault: git sees no conflict in other\nhint: `git status` shows what there is to merge\n",
    );
}

#[test]
fn one_rotates_and_the_other_sets_a_value() {
    let (alice, bob) = two();
    team::rotate(&alice);
    sh(&alice, "git commit -qam rotated");
    set(&bob, &["BETA=of-bob"]);
    let carol = somebody(&alice, "carol");
    let key = public_key(&carol);
    bob.vault(["grant", "carol", "--key", &key, "-e", "staging"])
        .run()
        .expect_that(0, "", |_| true);
    sh(&bob, "git commit -qam carol");
    fetch(&alice, &bob);
    let rotated = team::fingerprint(&alice);
    sh(&alice, "git merge -q bobs -m together");
    // Under the new data key, to which carol is sealed too.
    assert_eq!(team::fingerprint(&alice), rotated);
    assert!(variables(&alice).contains("BETA=of-bob\n"));
    team::send(&alice, &carol);
    team::opens(&carol);
    // Bob's machine goes along, from his side of the merge too.
    sh(
        &bob,
        &format!(
            "git fetch -q '{}' main && git merge -q FETCH_HEAD^1 -m back",
            alice.project().display()
        ),
    );
    assert!(variables(&bob).contains("BETA=of-bob\n"));
    assert_eq!(team::fingerprint(&bob), rotated);
}

#[test]
fn both_rotate_and_a_new_data_key_is_made() {
    let (alice, bob) = two();
    for (person, pair) in [(&alice, "NEW_A=1"), (&bob, "NEW_B=2")] {
        team::rotate(person);
        set(person, &[pair]);
    }
    fetch(&alice, &bob);
    let before = [team::fingerprint(&alice), team::fingerprint(&bob)];
    let merge = sh(&alice, "git merge -q bobs -m together");
    assert!(merge.err().contains("both sides had another data key; now it is "), "{}", merge.err());
    let now = team::fingerprint(&alice);
    assert!(!before.contains(&now));
    assert!(variables(&alice).ends_with("NEW_A=1\nNEW_B=2\n"), "{}", variables(&alice));
    sh(&bob, &format!("git pull -q --no-rebase '{}' main", alice.project().display()));
    assert!(variables(&bob).ends_with("NEW_A=1\nNEW_B=2\n"));
    set(&bob, &["AFTER=1"]);
}

#[test]
fn one_revokes_while_the_other_sets_and_the_person_sees_whose_value_it_may_be() {
    let alice = alice("staging");
    let carol = member(&alice, "carol", false);
    let bob = member(&alice, "bob", false);
    let dave = somebody(&alice, "dave");
    team::revoke(&alice, "carol");
    sh(&alice, "git commit -qam 'carol leaves'");
    set(&bob, &["BETA=of-bob", "FREE=new"]);
    let key = public_key(&dave);
    bob.vault(["grant", "dave", "--key", &key, "-e", "staging"]).run().expect_that(0, "", |_| true);
    sh(&bob, "git commit -qam dave");
    fetch(&alice, &bob);
    let merge = conflict(&alice, "git merge bobs");
    let told = "BETA was changed by theirs, who did not know that carol had been removed, and may be the one who was\n";
    assert!(merge.err().contains(told), "{}", merge.err());
    let text = resolve(&alice, &[(KEEP, "t"), (KEEP, "t")]);
    let again =
        "dave was granted by somebody who may have been removed, and has to be granted again";
    assert!(text.contains(again), "{text}");
    sh(&alice, "git commit -qm together");
    assert_eq!(variables(&alice), format!("ALPHA={ALPHA}\nBETA=of-bob\nFREE=new\n"));
    // What was set under the data key that carol has is on her list, and dave asks again.
    let status = team::status(&alice);
    let names = status["exposures"][0]["names"].as_array().unwrap();
    let mut names: Vec<&str> = names.iter().map(|name| name.as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["ALPHA", "BETA", "FREE"]);
    assert_eq!(status["requests"][0]["name"], "dave");
    // Her old key opens nothing of it.
    team::send(&alice, &carol);
    team::read(&carol).run().expect_that(4, "no access", |_| true);
    sh(&bob, &format!("git pull -q --no-rebase '{}' main", alice.project().display()));
    assert!(variables(&bob).contains("BETA=of-bob\n"));
}

#[test]
fn one_name_that_two_people_gave_to_two_keys_is_decided_by_a_person() {
    let (alice, bob) = two();
    let (one, other) = (somebody(&alice, "one"), somebody(&alice, "other"));
    for (who, person) in [(&alice, &one), (&bob, &other)] {
        let key = public_key(person);
        let grant = who.vault(["grant", "ci", "--key", &key, "-e", "staging"]).run();
        grant.expect_that(0, "granted", |_| true);
        sh(who, "git commit -qam ci");
    }
    fetch(&alice, &bob);
    let merge = conflict(&alice, "git merge bobs");
    assert!(merge.err().contains("the member ci was given another key on each side\n"));
    resolve(&alice, &[("Keep [o]urs or [t]heirs? ", "t")]);
    sh(&alice, "git commit -qm together");
    team::send(&alice, &other);
    team::opens(&other);
    team::send(&alice, &one);
    team::read(&one).run().expect_that(4, "no access", |_| true);
    assert_eq!(team::former(&team::text(&alice)), ["ci"]);
}

#[test]
fn resolve_needs_no_driver_and_works_in_a_rebase_and_a_cherry_pick() {
    let alice = alice("staging");
    let bob = member(&alice, "bob", true);
    sh(&bob, "rm .gitattributes && git commit -qam 'no attributes'");
    set(&alice, &["AA=1", "ALPHA=a"]);
    sh(&bob, &format!("git fetch -q '{}' main:alices", alice.project().display()));
    // As text, both have added something at the same place.
    set(&bob, &["AB=2"]);
    conflict(&bob, "git rebase alices >&2");
    bob.vault(["resolve"]).run().expect(
        0,
        "",
        "vault: in a rebase, ours is what you rebase onto, and theirs is your own commit\n\
         vault: envs/staging.toml: merged and staged\n\
         hint: `git rebase --continue` goes on\n",
    );
    sh(&bob, "GIT_EDITOR=true git rebase --continue");
    assert_eq!(variables(&bob), format!("AA=1\nAB=2\nALPHA=a\nBETA={BETA}\n"));
    sh(&bob, "git checkout -q -b picked HEAD~1");
    set(&bob, &["AC=3"]);
    conflict(&bob, "git cherry-pick main >&2");
    bob.vault(["resolve", "staging"]).run().expect(
        0,
        "",
        "vault: envs/staging.toml: merged and staged\nhint: `git commit` finishes it\n",
    );
    sh(&bob, "GIT_EDITOR=true git cherry-pick --continue && git fsck --strict");
    assert_eq!(variables(&bob), format!("AA=1\nAB=2\nAC=3\nALPHA=a\nBETA={BETA}\n"));
    bob.vault(["resolve"]).run().expect(0, "", "vault: there is no conflict in an environment\n");
}

#[test]
fn a_merge_that_was_committed_broken_is_made_again_from_its_parents() {
    let (alice, bob) = two();
    set(&alice, &["ALPHA=a"]);
    team::rotate(&bob);
    sh(&bob, "git commit -qam rotated");
    fetch(&alice, &bob);
    // As a web page would merge: lines of both, under two data keys.
    let script = "git -c merge.vault.driver='cat %B > %A' merge -q bobs -m broken || true\n\
                  git checkout -q HEAD~1 -- envs && cp envs/staging.toml ours && git checkout -q HEAD -- envs\n\
                  sed -i '/^\\[secrets.ALPHA/,$d' envs/staging.toml && sed -n '/^\\[secrets.ALPHA/,$p' ours >> envs/staging.toml\n\
                  rm ours && git commit -q --amend -am broken";
    sh(&alice, script);
    let read = team::read(&alice).run();
    read.expect_that(5, "two data keys", |output| output.err().contains("`vault resolve` merges"));
    let told = "vault: envs/staging.toml: merged\nhint: commit the folder `envs`\n";
    alice.vault(["resolve", "-e", "staging"]).run().expect(0, "", told);
    assert_eq!(variables(&alice), format!("ALPHA=a\nBETA={BETA}\n"));
    sh(&alice, "git commit -q --amend -am together && git fsck --strict");
}

#[test]
fn a_merge_that_was_left_broken_is_made_again_later_and_nothing_else_is() {
    let (alice, bob) = two();
    set(&alice, &["ALPHA=a"]);
    set(&bob, &["ALPHA=b"]);
    fetch(&alice, &bob);
    conflict(&alice, "git merge bobs");
    sh(&alice, "git commit -qam 'markers and all' && git commit -q --allow-empty -m later");
    resolve(&alice, &[(KEEP, "t")]);
    assert_eq!(variables(&alice), format!("ALPHA=b\nBETA={BETA}\n"));
    sh(&alice, "git commit -qam together");
    // What breaks after that is no merge's doing.
    let broken = team::text(&alice).replace("[members.alice]", "<<<<<<< ours\n[members.alice]");
    team::put(&alice, broken);
    sh(&alice, "git commit -qam broken");
    alice.vault(["resolve"]).run().expect_that(5, "no merge", |output| {
        output.err().ends_with(
            "hint: no merge of two has left it so; `git log -p envs/staging.toml` shows what did, and which version was good\n",
        )
    });
}

#[test]
fn without_a_conflict_resolve_needs_no_key() {
    let (alice, _bob) = two();
    let stranger = alice.another_home("stranger");
    let told = "vault: there is no conflict in an environment\n";
    stranger.vault(["resolve"]).run().expect(0, "", told);
}

/// A merge that was good is no reason to write over what somebody has in his work tree.
#[test]
fn a_damaged_work_tree_is_not_merged_over() {
    let (alice, bob) = two();
    set(&alice, &["ALPHA=a"]);
    set(&bob, &["BETA=b"]);
    fetch(&alice, &bob);
    sh(&alice, "git merge -q bobs -m good");
    alice.vault(["set", "-e", "staging", "ALPHA=precious"]).run().expect(0, "", "");
    let damaged = team::text(&alice).replace("[members.alice]", "=======\n[members.alice]");
    team::put(&alice, &damaged);
    alice.vault(["resolve"]).run().expect_that(5, "no merge", |output| {
        output.err().contains("hint: no merge of two has left it so;")
    });
    assert_eq!(team::text(&alice), damaged);
}

#[test]
fn what_somebody_wrote_into_the_file_is_not_dropped_in_silence() {
    let (alice, bob) = two();
    team::put(&bob, format!("{}# Ask Zoe\n", team::text(&bob)));
    sh(&bob, "git commit -qam comment");
    set(&alice, &["MINE=1"]);
    fetch(&alice, &bob);
    let merge = conflict(&alice, "git merge bobs");
    assert!(merge.err().contains(": a comment would not be kept\n"), "{}", merge.err());
    assert!(merge.err().contains("hint: `vault resolve -y` drops them\n"), "{}", merge.err());
    alice.vault(["resolve"]).run().expect_that(1, "not in silence", |_| true);
    alice.vault(["resolve", "-y"]).run().expect_that(0, "merged", |_| true);
    assert_eq!(variables(&alice), format!("ALPHA={ALPHA}\nBETA={BETA}\nMINE=1\n"));
}

#[test]
fn resolve_takes_the_file_that_is_named_and_no_other() {
    let alice = alice("staging,production");
    alice.vault(["set", "-e", "production", "ALPHA=0"]).run().expect(0, "", "");
    sh(&alice, "git commit -qam production && git checkout -q -b side");
    set(&alice, &["ALPHA=a"]);
    sh(&alice, "git rm -q envs/production.toml && git commit -qm gone && git checkout -q main");
    set(&alice, &["ALPHA=b"]);
    alice.vault(["set", "-e", "production", "ALPHA=1"]).run().expect(0, "", "");
    sh(
        &alice,
        "git commit -qam 1 && mkdir -p docs elsewhere/envs && cp envs/staging.toml elsewhere/envs",
    );
    conflict(&alice, "git merge side");
    for file in ["elsewhere/envs/staging.toml", "../staging.toml"] {
        alice.vault(["resolve", file]).run().expect(
            3,
            "",
            &format!(
                "vault: `{file}` is no environment of this project\n\
                 hint: give the name of an environment, or its file under `envs`\n"
            ),
        );
    }
    // The other one, which is gone on one side, doesn't stand in the way.
    let mut terminal = alice.vault(["resolve", "../envs/staging.toml"]).cwd("docs").on_terminal();
    terminal.expect(KEEP);
    terminal.type_line("t");
    terminal.expect_end();
    sh(&alice, "test -z \"$(git ls-files -u envs/staging.toml)\"");
    assert!(variables(&alice).starts_with("ALPHA=a\n"));
}

#[test]
fn an_environment_deleted_on_one_side_or_founded_anew_is_no_merge_of_values() {
    let (alice, bob) = two();
    set(&alice, &["ALPHA=a"]);
    sh(&bob, "git rm -q envs/staging.toml && git commit -qm gone");
    fetch(&alice, &bob);
    conflict(&alice, "git merge bobs");
    alice.vault(["resolve"]).run().expect(
        1,
        "",
        "vault: staging was deleted on one side, and changed on the other\n\
         hint: `git add envs/staging.toml` keeps it, `git rm envs/staging.toml` deletes it\n",
    );
    sh(&alice, "git merge --abort");
    bob.vault(["init", "--name", "bob", "-e", "staging"]).run().expect_that(0, "", |_| true);
    sh(&bob, "git add . && git commit -qm anew");
    fetch(&alice, &bob);
    conflict(&alice, "git merge bobs");
    let resolve = alice.vault(["resolve"]).run();
    // A file that alice can't even open.
    resolve.expect_that(4, "bob's own", |output| output.err().contains("(theirs)"));
}

#[test]
fn a_note_and_its_value_are_merged_as_two_things() {
    let (alice, bob) = two();
    let import = |person: &Sandbox, text: &str| {
        let import = person.vault(["import", "-y", "-e", "staging", "-"]).stdin(text).run();
        import.expect_that(0, "imported", |_| true);
        sh(person, "git commit -qam notes");
    };
    import(&alice, &format!("# Ask Zoë.\nALPHA={ALPHA}\n"));
    import(&bob, "ALPHA=of-bob\n# Of bob.\nBETA=of-bob\n");
    import(&alice, &format!("# Of alice.\nBETA={BETA}\n"));
    fetch(&alice, &bob);
    sh(&alice, "git merge -q bobs -m together");
    let mut terminal = alice.vault(["edit", "staging", "--editor", "cat"]).on_terminal();
    terminal.expect("# Ask Zoë.");
    terminal.expect("ALPHA=of-bob");
    // Both have written one: whoever merges, in one order.
    terminal.expect("# Of alice.");
    terminal.expect("# Of bob.");
    terminal.expect("BETA=of-bob");
    terminal.expect_end();
}

/// Two branches that were merged into each other have two common ancestors, which git merges first.
#[test]
fn branches_that_were_merged_into_each_other_are_merged_again() {
    let (alice, bob) = two();
    let cross = |person: &Sandbox, other: &Sandbox, keep: &str| {
        let path = other.project().display().to_string();
        sh(person, &format!("git fetch -q '{path}' main:other --force"));
        person.sh("git merge -q other -m cross").run();
        let mut terminal = person.vault(["resolve"]).on_terminal();
        terminal.expect(KEEP);
        terminal.type_line(keep);
        terminal.expect_end();
    };
    set(&alice, &["ALPHA=a", "BETA=a"]);
    set(&bob, &["ALPHA=b", "NEW=b"]);
    // Each takes the other's commit of before, and decides in a way of his own.
    sh(&bob, "git branch before");
    cross(&alice, &bob, "o");
    cross(&bob, &alice, "o");
    sh(&alice, "git commit -qm cross");
    sh(&bob, "git commit -qm cross");
    set(&alice, &["LATER_A=1"]);
    set(&bob, &["LATER_B=1"]);
    fetch(&alice, &bob);
    assert_eq!(sh(&alice, "git merge-base --all main bobs").out().lines().count(), 2);
    let merge = conflict(&alice, "git merge bobs");
    let told = "vault: envs/staging.toml: ALPHA was changed on both sides\n";
    assert!(merge.err().contains(told), "{}", merge.err());
    assert!(!merge.err().contains("BETA") && !merge.err().contains("LATER"), "{}", merge.err());
    resolve(&alice, &[(KEEP, "t")]);
    sh(&alice, "git commit -qm again && git fsck --strict");
    assert_eq!(variables(&alice), "ALPHA=b\nBETA=a\nLATER_A=1\nLATER_B=1\nNEW=b\n");
}

/// Who removes, in such branches, what was in conflict between them is not overruled in silence.
#[test]
fn what_is_removed_after_branches_were_merged_into_each_other_is_asked_for() {
    let (alice, bob) = two();
    let cross = |person: &Sandbox, other: &Sandbox| {
        let path = other.project().display().to_string();
        sh(person, &format!("git fetch -q '{path}' main:other --force"));
        conflict(person, "git merge -q other -m cross");
        resolve(person, &[(KEEP, "o")]);
    };
    set(&alice, &["ALPHA=a"]);
    set(&bob, &["ALPHA=b"]);
    cross(&alice, &bob);
    cross(&bob, &alice);
    sh(&alice, "git commit -qm cross");
    sh(&bob, "git commit -qm cross");
    bob.vault(["unset", "-y", "-e", "staging", "ALPHA"]).run().expect(0, "", "");
    sh(&bob, "git commit -qam gone");
    fetch(&alice, &bob);
    let merge = conflict(&alice, "git merge bobs");
    let told = "vault: envs/staging.toml: ALPHA was changed by ours, and removed by theirs\n";
    assert!(merge.err().contains(told), "{}", merge.err());
    resolve(&alice, &[(KEEP, "t")]);
    assert_eq!(variables(&alice), format!("BETA={BETA}\n"));
}

/// What git can't merge as text stays in conflict, and is never left as if it were whole.
#[test]
fn a_side_that_is_no_text_leaves_markers_too() {
    let (alice, _bob) = two();
    sh(&alice, "git checkout -q -b theirs && printf 'a\\0b' > envs/staging.toml");
    sh(&alice, "git commit -qam binary && git checkout -q main");
    set(&alice, &["ALPHA=1"]);
    conflict(&alice, "git merge theirs");
    let text = team::text(&alice);
    assert!(text.starts_with("<<<<<<< ours\n# Encrypted"), "{text}");
    assert!(text.ends_with("=======\na\0b\n>>>>>>> theirs\n"), "{text}");
}

#[test]
fn a_merge_that_is_thrown_away_leaves_no_trace_in_what_is_believed() {
    let (alice, bob) = two();
    team::rotate(&alice);
    sh(&alice, "git commit -qam one");
    team::rotate(&bob);
    sh(&bob, "git commit -qam other");
    fetch(&alice, &bob);
    sh(&alice, "git merge -q bobs -m made");
    let made = team::text(&alice);
    sh(&alice, "git reset -q --hard HEAD~1");
    team::works(&alice);
    // Taken back, it is what this machine has made.
    team::put(&alice, made);
    team::works(&alice);
}

#[test]
fn a_file_that_was_renamed_takes_the_other_sides_values_along() {
    let (alice, bob) = two();
    sh(&alice, "git mv envs/staging.toml envs/stage.toml && git commit -qm renamed");
    set(&bob, &["ALPHA=of-bob"]);
    fetch(&alice, &bob);
    sh(&alice, "git merge -q bobs -m together");
    // An environment has the name of its file, and is refused under another one; nothing is lost.
    let get = alice.vault(["get", "-e", "stage", "ALPHA"]).run();
    get.expect_that(5, "by name", |output| output.err().contains("staging"));
    sh(&alice, "git mv envs/stage.toml envs/staging.toml");
    assert_eq!(variables(&alice), format!("ALPHA=of-bob\nBETA={BETA}\n"));
}

#[test]
fn what_was_put_aside_or_is_taken_back_goes_by_the_same_rules() {
    let (alice, _bob) = two();
    alice.vault(["set", "-e", "staging", "ASIDE=4"]).run().expect(0, "", "");
    sh(&alice, "git stash -q");
    set(&alice, &["ASIDE_TOO=5"]);
    sh(&alice, "git stash pop -q && git commit -qam popped && git revert --no-edit HEAD~1");
    assert_eq!(variables(&alice), format!("ALPHA={ALPHA}\nASIDE=4\nBETA={BETA}\n"));
    // To take a value back is to put an earlier one in its place, which a person says. (Where nothing else has
    // changed, git takes the earlier file whole, and asks nobody.)
    set(&alice, &["ALPHA=new"]);
    set(&alice, &["BETA=new"]);
    let revert = conflict(&alice, "git revert --no-edit HEAD~1");
    assert!(revert.err().contains("ALPHA was put back to an earlier value by theirs\n"));
    resolve(&alice, &[(KEEP, "t")]);
    sh(&alice, "GIT_EDITOR=true git revert --continue");
    assert_eq!(variables(&alice), format!("ALPHA={ALPHA}\nASIDE=4\nBETA=new\n"));
}
