//! What a machine keeps of members whom it has checked, and what a run does without checking them again
//! (docs/format.md, Trust across versions of a file).
#![allow(clippy::unwrap_used, reason = "helpers of tests are not #[test]")]

use crate::support::needs::{needs, needs_other_user};
use crate::support::run::Run;
use crate::support::sandbox::Sandbox;
use crate::team::*;
use crate::vaults::{ALPHA, vault};

/// alice, with bob as a member and carol as a former one.
fn three() -> (Sandbox, Sandbox) {
    let alice = vault();
    let bob = teammate(&alice, "bob");
    teammate(&alice, "carol");
    revoke(&alice, "carol");
    send(&alice, &bob);
    run(&bob).run().expect_that(0, "the rotation is told", |output| !output.err().is_empty());
    runs_like(&alice, "");
    (alice, bob)
}

fn run(person: &Sandbox) -> Run {
    person.vault(["run", "-e", "staging", "--", "printenv", "ALPHA"])
}

/// The text of this person's memory.
fn memory(person: &Sandbox) -> String {
    std::fs::read_to_string(person.home().join(MEMORY)).unwrap()
}

/// The lines with marks, one a data key.
fn marks(memory: &str) -> Vec<String> {
    memory.lines().filter(|line| line.starts_with("mark = ")).map(str::to_owned).collect()
}

/// The line with its last letter or digit as another one, or None where there is none.
fn altered(line: &str) -> Option<String> {
    let at = line.rfind(|c: char| c.is_ascii_alphanumeric())?;
    let other = if line[at..].starts_with('2') { "3" } else { "2" };
    Some(format!("{}{other}{}", &line[..at], &line[at + 1..]))
}

#[test]
fn a_run_finds_what_was_altered_in_any_line_as_if_it_had_never_checked_them() {
    let (alice, _) = three();
    let good = text(&alice);
    let lines: Vec<&str> = good.lines().collect();
    // In its place the memory isn't asked, and so all is read.
    let pin = format!("staging:{}", fingerprint(&alice));
    let mut stopped = 0;
    for (at, line) in lines.iter().enumerate() {
        let without = [&lines[..at], &lines[at + 1..]].concat();
        let mut texts = vec![without.join("\n") + "\n"];
        if let Some(altered) = altered(line) {
            let mut with = lines.clone();
            with[at] = &altered;
            texts.push(with.join("\n") + "\n");
        }
        for text in texts {
            put(&alice, text);
            let whole = run(&alice).env("VAULT_PIN", &pin).run();
            stopped += usize::from(whole.code() == Some(125));
            let status = whole.code().unwrap_or_default();
            run(&alice).run().expect(status, whole.out(), whole.err());
        }
    }
    assert!(stopped > lines.len(), "{stopped} of {} lines", lines.len());
    put(&alice, good);
    runs_like(&alice, "");
}

#[test]
fn the_mark_stays_while_values_change_and_is_made_anew_with_the_members() {
    let (alice, bob) = three();
    let kept = memory(&alice);
    // One data key was replaced when carol left.
    assert_eq!(marks(&kept).len(), 2);
    write(&bob).run().expect(0, "", "");
    let dave = somebody(&bob, "dave");
    send(&bob, &dave);
    let request = dave.vault(["request", "-e", "staging", "--name", "dave"]).run();
    request.expect_that(0, "he asks", |output| output.out().is_empty());
    send(&dave, &alice);
    runs_like(&alice, "");
    assert_eq!(memory(&alice), kept, "nothing of that is about members");

    let accept = bob.vault(["grant", "dave", "-e", "staging", "--key", &public_key(&dave)]).run();
    accept.expect_that(0, "he is a member", |output| output.out().is_empty());
    send(&bob, &alice);
    runs_like(&alice, "");
    let with_dave = marks(&memory(&alice));
    assert_eq!(with_dave.len(), 2);
    assert_ne!(with_dave, marks(&kept));
    // bob puts dave out of the file by hand: that is told at each run, so no mark may spare it.
    put(&alice, crate::vaults::without(&text(&alice), "members.dave"));
    let told = "vault: staging: dave was removed from the file and still holds its data key\n\
                hint: `vault revoke dave -e staging` ends that\n";
    runs_like(&alice, told);
    // Also where there is something to remember beside it.
    let erin = somebody(&bob, "erin");
    send(&alice, &bob);
    let grant = bob.vault(["grant", "erin", "-e", "staging", "--key", &public_key(&erin)]).run();
    grant.expect_that(0, "she is a member", |output| output.out().is_empty());
    send(&bob, &alice);
    runs_like(&alice, told);
}

#[test]
fn a_mark_of_other_members_or_none_costs_nothing_but_time() {
    let (alice, _) = three();
    let good = memory(&alice);
    let other = marks(&good).iter().fold(good.clone(), |memory, mark| {
        memory.replace(mark, &format!("mark = \"{}\"", "0".repeat(64)))
    });
    let short = good.replace("mark = \"", "mark = \"ff");
    let none = good.split_inclusive('\n').filter(|line| !line.starts_with("mark")).collect();
    for text in [other, short, none] {
        alice.write(alice.home().join(MEMORY), text);
        runs_like(&alice, "");
        let made_anew = marks(&memory(&alice));
        assert!(marks(&good).iter().any(|mark| made_anew.contains(mark)), "{made_anew:?}");
    }
}

#[test]
fn where_the_mark_cannot_be_written_nothing_is_said() {
    let Some(other) = needs_other_user() else { return };
    if !needs("setpriv") {
        return;
    }
    let (_, bob) = three();
    let (home, project) = (bob.home().display().to_string(), bob.project().display().to_string());
    // All is bob's own, and the folder of the state is closed to writing.
    let script = format!(
        "sed -i '/^mark/d' '{home}/{MEMORY}' && chmod 755 .. ../../people ../../people/bob ../.. && \
         chown -R {other} '{home}' '{project}' && chmod 500 '{home}/.local/state/vault'"
    );
    bob.sh(script).run().success();
    assert_eq!(marks(&memory(&bob)).len(), 0);
    let words = ["--reuid", &other.to_string(), "--clear-groups", env!("CARGO_BIN_EXE_vault")];
    for _ in 0..2 {
        let as_bob = bob.program("setpriv", words);
        let mut terminal =
            as_bob.args(["run", "-e", "staging", "--", "printenv", "ALPHA"]).on_terminal();
        let (screen, status) = terminal.expect_end();
        assert_eq!((screen.trim(), status.code()), (ALPHA, Some(0)));
    }
    assert_eq!(marks(&memory(&bob)).len(), 0);
}
