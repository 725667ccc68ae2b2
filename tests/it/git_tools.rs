//! What git shows of environments, and what a reviewer sees: `git-setup`, `git diff`, `log`, `check --against`.
#![allow(clippy::unwrap_used, reason = "helpers of tests are not #[test]")]

use serde_json::Value;

use crate::clones::*;
use crate::support::sandbox::Sandbox;
use crate::team::{self, public_key, somebody};
use crate::vaults::{init, table, vault_with, without};

const ATTRIBUTES: &str = "envs/*.toml diff=vault merge=vault\n";
/// What takes the driver's place where it isn't there.
const FALLBACK: &str =
    "; s=$?; case $s in 126|127) git merge-file -q %A %O %B; s=$?; esac; exit $s";

fn config(person: &Sandbox) -> String {
    person.sh("git config --local -l | grep -c vault").run().out().to_owned()
}

#[test]
fn git_is_set_up_once_and_undone_without_a_trace() {
    let alice = vault_with("staging");
    sh(&alice, "git init -q -b main . && printf '*.png binary' > .gitattributes");
    sh(
        &alice,
        "printf '#!/bin/sh\\necho own hook >&2\\n' > .git/hooks/pre-commit && chmod +x .git/hooks/pre-commit",
    );
    let before = alice.snapshot();
    let program = env!("CARGO_BIN_EXE_vault");
    alice.vault(["git-setup"]).run().expect(
        0,
        "",
        &format!(
            "vault: git config: diff.vault.textconv = {program} git-textconv --\n\
             vault: git config: merge.vault.name = vault: environments by name\n\
             vault: git config: merge.vault.driver = {program} git-merge -- %O %A %B %P{FALLBACK}\n\
             vault: git config: merge.vault.recursive = vault-ancestors\n\
             vault: git config: merge.vault-ancestors.driver = {program} git-merge --ancestors -- %O %A %B %P{FALLBACK}\n\
             vault: .gitattributes: {ATTRIBUTES}\
             hint: commit .gitattributes\n\
             vault: pre-commit hook: yours is called first, as pre-commit.before-vault\n\
             vault: pre-commit hook: {program} scan --staged
",
        ),
    );
    assert_eq!(alice.read("project/.gitattributes"), format!("*.png binary\n{ATTRIBUTES}"));
    let set_up = alice.snapshot();
    alice.vault(["git-setup"]).run().expect(0, "", "vault: git is set up already\n");
    alice.assert_unchanged_since(&set_up);
    alice.vault(["git-setup", "--undo"]).run().expect(
        0,
        "",
        "vault: .gitattributes: `envs/*.toml diff=vault merge=vault` removed\n\
         vault: pre-commit hook removed\n\
         vault: pre-commit hook: yours is in its place again\n\
         vault: git config: `diff.vault` removed\n\
         vault: git config: `merge.vault` removed\n\
         vault: git config: `merge.vault-ancestors` removed\n",
    );
    sh(&alice, "printf '*.png binary' > .gitattributes");
    alice.assert_unchanged_since(&before);
    alice.vault(["git-setup", "--undo"]).run().expect(
        0,
        "",
        "vault: nothing of vault is set up in git\n",
    );
}

#[test]
fn each_kind_of_clone_is_set_up_or_refused_with_the_reason() {
    let alice = vault_with("staging");
    alice.vault(["git-setup"]).run().expect(
        1,
        "",
        "vault: there is no repository of git here\nhint: `git init` makes one\n",
    );
    // A tool that keeps the hooks.
    sh(
        &alice,
        "git init -q -b main . && git config core.hooksPath .husky/_ && git add . && git commit -qm one",
    );
    let told = "vault: core.hooksPath is set, so another tool keeps the hooks of this clone\n\
                hint: have its pre-commit hook call `vault scan --staged`\n";
    let output = alice.vault(["git-setup"]).run();
    output.expect_that(0, "no hook", |output| output.err().ends_with(told));
    assert!(!alice.path("project/.husky").exists());
    sh(&alice, "git config --unset core.hooksPath && git add . && git commit -qm two");
    // A worktree has the configuration and the hooks of its clone.
    sh(&alice, "git worktree add -q ../tree && cd ../tree");
    let tree = alice.vault(["git-setup"]).cwd("../tree").run();
    tree.expect_that(0, "hook", |output| output.err().starts_with("vault: pre-commit hook: "));
    assert!(alice.path("project/.git/hooks/pre-commit").exists());
    // A submodule is a repository of its own.
    sh(
        &alice,
        "rm .git/hooks/pre-commit && git init -q ../outer && cd ../outer && \
                git -c protocol.file.allow=always submodule --quiet add ../project shop",
    );
    let outer = alice.vault(["git-setup"]).cwd("../outer/shop").run();
    outer.expect_that(0, "a submodule", |output| output.err().contains("merge.vault.driver"));
    assert!(alice.read("outer/.git/modules/shop/config").contains("git-merge"));
    // A project that is a folder of a repository.
    sh(&alice, "mkdir -p ../mono/shop && cp -r envs ../mono/shop && git init -q ../mono");
    alice.vault(["git-setup"]).cwd("../mono/shop").run().expect_that(0, "a folder", |_| true);
    assert_eq!(alice.read("mono/shop/.gitattributes"), ATTRIBUTES);
    assert!(
        alice.read("mono/.git/hooks/pre-commit").contains(" -d ./shop scan --staged || exit\n")
    );
    // A bare one.
    sh(
        &alice,
        "git clone -q --bare . ../bare.git && mkdir ../bare.git/envs && cp envs/* ../bare.git/envs",
    );
    alice.vault(["git-setup"]).cwd("../bare.git").run().expect(
        1,
        "",
        "vault: this clone is bare: nothing is merged or committed in it\n\
         hint: set up the clones in which people work\n",
    );
    assert_eq!(config(&alice), "5\n");
}

#[test]
fn several_projects_of_one_clone_each_have_their_line_in_the_hook() {
    let alice = vault_with("staging");
    sh(&alice, "git init -q -b main ../mono && cd ../mono && mkdir 'a shop' b");
    sh(&alice, "cp -r envs '../mono/a shop' && cp -r envs ../mono/b && cp -r envs ../mono");
    let hook = || alice.read("mono/.git/hooks/pre-commit");
    let lines = || hook().matches(" scan --staged || exit\n").count();
    for (folder, want) in [("a shop", 1), ("b", 2), (".", 3), ("b", 3)] {
        let run = alice.vault(["git-setup"]).cwd(format!("../mono/{folder}")).run();
        run.expect_that(0, "set up", |_| true);
        assert_eq!(lines(), want, "{}", hook());
    }
    // Plaintext is found in each of them, also where a branch lacks one.
    sh(&alice, "cd ../mono && rm -r b && git add . && git commit -qm start");
    alice.write("mono/a shop/.env", "PASSWORD=some-value\n");
    let commit =
        alice.sh("cd ../mono && git add -f 'a shop/.env' && git commit -qm plaintext").run();
    commit.expect_that(1, "stopped", |output| output.err().contains(".env"));
    sh(&alice, "cd ../mono && git reset -q && rm 'a shop/.env' && mkdir -p b && cp -r envs b");
    // Each is undone by itself, and git's configuration with the last one.
    for (folder, want) in [("a shop", 2), (".", 1)] {
        let run = alice.vault(["git-setup", "--undo"]).cwd(format!("../mono/{folder}")).run();
        let told = "vault: pre-commit hook: this project's line removed\n";
        run.expect_that(0, told, |output| output.err().ends_with(told));
        assert_eq!(lines(), want, "{}", hook());
        sh(&alice, "git -C ../mono config merge.vault.driver");
    }
    alice.vault(["git-setup", "--undo"]).cwd("../mono/b").run().expect_that(0, "gone", |_| true);
    assert!(!alice.path("mono/.git/hooks/pre-commit").exists());
    alice.sh("git -C ../mono config merge.vault.driver").run().expect(1, "", "");
}

#[test]
fn a_folder_that_looks_like_a_flag_is_a_folder_and_one_with_a_line_break_is_refused() {
    let alice = vault_with("staging");
    sh(&alice, "git init -q -b main ../mono && mkdir ../mono/-p && cp -r envs ../mono/-p");
    alice.vault(["git-setup"]).cwd("../mono/-p").run().expect_that(0, "set up", |_| true);
    sh(&alice, "cd ../mono && git add . && git commit -qm start && git checkout -q -b side");
    let set = |value: &str| {
        let run = alice.vault(["set", "-e", "staging", value]).cwd("../mono/-p").run();
        run.expect(0, "", "");
        sh(&alice, "cd ../mono && git commit -qam set");
    };
    set("AA=1");
    sh(&alice, "cd ../mono && git checkout -q main");
    set("AB=2");
    sh(&alice, "cd ../mono && git merge -q side -m merged && git show");
    let get = alice.vault(["get", "-e", "staging", "AA"]).cwd("../mono/-p").run();
    get.expect(0, "1", "");
    sh(&alice, "mkdir '../mono/a\nb' && cp -r envs '../mono/a\nb'");
    alice.vault(["git-setup"]).cwd("../mono/a\nb").run().expect(
        1,
        "",
        "vault: the name of the project's folder has a control character, which no hook can hold\n\
         hint: rename the folder\n",
    );
}

/// Where the program is gone, git would leave our side as if it were the merge.
#[test]
fn without_the_program_git_merges_as_text() {
    let (alice, bob) = two();
    let program = alice.path("project/100% gone/vault");
    sh(&alice, "mkdir '100% gone'");
    std::fs::copy(env!("CARGO_BIN_EXE_vault"), &program).unwrap();
    let set_up = alice.program(&program, ["git-setup"]).run();
    set_up.expect_that(0, "set up", |output| output.err().contains("100%% gone"));
    sh(&alice, "rm -f .git/hooks/pre-commit");
    let merge = |value: &str, branch: &str| {
        set(&alice, &[value, "BETA=1"]);
        set(&bob, &[&format!("{value}-of-bob"), "BETA=2"]);
        sh(&alice, &format!("git fetch -q '{}' main:{branch}", bob.project().display()));
        conflict(&alice, &format!("git merge {branch}")).err().to_owned()
    };
    let told = merge("ALPHA=1", "one");
    assert!(told.contains("vault: envs/staging.toml: ALPHA was changed on both sides\n"), "{told}");
    sh(&alice, "git merge --abort && rm -r '100% gone'");
    merge("ALPHA=2", "two");
    let text = team::text(&alice);
    assert!(text.contains("\n<<<<<<< ") && text.contains("\n>>>>>>> "), "{text}");
}

#[test]
fn git_shows_names_and_members_and_no_value() {
    let (alice, bob) = two();
    set(&alice, &["NEW=marker-new", "ALPHA=marker-other"]);
    alice.vault(["unset", "-y", "-e", "staging", "BETA"]).run().expect(0, "", "");
    let diff = sh(&alice, "git diff -U0 HEAD~1").out().to_owned();
    let lines: Vec<&str> = diff.lines().filter(|line| line.starts_with(['+', '-'])).collect();
    assert!(lines.iter().any(|line| line.starts_with("-ALPHA changed 20")), "{diff}");
    assert!(lines.iter().any(|line| line.starts_with("+ALPHA changed 20")), "{diff}");
    assert!(lines.iter().any(|line| line.starts_with("+NEW changed 20")), "{diff}");
    assert!(lines.iter().any(|line| line.starts_with("-BETA changed 20")), "{diff}");
    assert!(!diff.contains("marker-") && !diff.contains("value ="), "{diff}");
    sh(&alice, "git commit -qam gone");
    team::revoke(&alice, "bob");
    sh(&alice, "git commit -qam 'bob leaves'");
    let log = sh(&alice, "git log -p -1 -U0").out().to_owned();
    let lines: Vec<&str> = log.lines().filter(|line| line.starts_with(['+', '-'])).collect();
    // A rotation, in which each value is encrypted again, is the data key and who left.
    assert_eq!(lines.len(), 2 + 2 + 2, "{log}");
    assert!(lines.iter().any(|line| line.starts_with("-member bob (key ")), "{log}");
    assert!(lines.iter().any(|line| line.starts_with("+removed member bob at 20")), "{log}");
    let grant = sh(&alice, "git log -p --format= -- envs").out().to_owned();
    assert!(grant.contains("\n+member bob (key "), "{grant}");
    // What is no vault file is shown as it is.
    alice.write("project/envs/staging.toml", "<<<<<<< ours\n");
    let broken = sh(&alice, "git diff").out().to_owned();
    assert!(broken.contains("\n+<<<<<<< ours\n"), "{broken}");
    drop(bob);
}

/// The lines of `vault log`, with commits and people left out.
#[track_caller]
fn log(person: &Sandbox, args: &[&str]) -> Vec<String> {
    let output = person.vault(["log"]).args(args).run().success();
    let lines = output.out().lines().map(|line| match line.split_once(": ") {
        Some((head, rest)) if !line.starts_with(' ') => {
            assert!(head.ends_with("@example.org>"), "{head}");
            rest.to_owned()
        }
        _ => line.to_owned(),
    });
    lines.collect()
}

const NEVER: &str =
    "vault: no commit has changed [..]\nhint: `vault list` shows the names that there are\n";

#[test]
fn log_tells_who_changed_what_and_needs_no_key() {
    let (alice, bob) = two();
    set(&alice, &["ALPHA=1", "NEW=1"]);
    alice.vault(["init", "-e", "other"]).run().expect_that(0, "made", |_| true);
    sh(&alice, "git add . && git commit -qm other");
    team::revoke(&alice, "bob");
    alice.vault(["unset", "-y", "-e", "staging", "NEW"]).run().expect(0, "", "");
    sh(&alice, "git commit -qam 'bob leaves' && git rm -q envs/other.toml && git commit -qm gone");
    let stranger = alice.another_home("stranger");
    let lines = log(&stranger, &[]);
    let alices = format!("new member alice (key {})", crate::people::fingerprint(&alice));
    let bobs = format!("new member bob (key {})", crate::people::fingerprint(&bob));
    assert_eq!(
        lines,
        [
            "gone",
            "  other: deleted",
            "bob leaves",
            "  staging: new data key, removed member bob, NEW removed",
            "other",
            &format!("  other: made, {alices}"),
            "set 2",
            "  staging: ALPHA changed, NEW added",
            "grant bob",
            &format!("  staging: {bobs}"),
            "start",
            &format!("  staging: made, {alices}, ALPHA added, BETA added"),
        ]
    );
    assert_eq!(
        log(&stranger, &["ALPHA"]),
        ["set 2", "  staging: ALPHA changed", "start", "  staging: ALPHA added"]
    );
    // An environment that is gone has a history.
    stranger.vault(["log", "-e", "other", "ALPHA"]).run().expect_like(3, "", NEVER);
    let known = "vault: there is no environment `stagin`\nhint: did you mean `staging`?\n";
    alice.vault(["log", "-e", "stagin"]).run().expect_like(3, "", known);
    alice.vault(["log", "UNKNOWN"]).run().expect_like(3, "", NEVER);
    let json = alice.vault(["log", "--json", "NEW"]).run().success();
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json[0]["environments"]["staging"][0], "NEW removed");
    assert_eq!(json[0]["subject"], "bob leaves");
    assert_eq!(json[0]["commit"].as_str().unwrap().len(), 40);
    let fresh = Sandbox::new();
    init(&fresh, "alice", "staging");
    let hint = "hint: `vault log` reads git's history: commit the folder `envs` first\n";
    let none = format!("vault: there is no commit of git here\n{hint}");
    fresh.vault(["log"]).run().expect(1, "", &none);
    sh(&fresh, "git init -q .");
    fresh.vault(["log"]).run().expect(1, "", &none);
}

#[test]
fn log_tells_of_a_merge_what_no_parent_has_and_escapes_what_people_wrote() {
    let (alice, bob) = two();
    set(&alice, &["ALPHA=1"]);
    set(&bob, &["BETA=2"]);
    sh(
        &alice,
        &format!(
            "git fetch -q '{}' main:bobs && git merge -q bobs -m merged",
            bob.project().display()
        ),
    );
    assert!(!log(&alice, &[]).contains(&"merged".to_owned()));
    sh(&bob, "git checkout -q -b more");
    team::rotate(&alice);
    sh(&alice, "git commit -qam one");
    team::rotate(&bob);
    sh(&bob, "git commit -qam other");
    sh(
        &alice,
        &format!(
            "git fetch -q '{}' more && git merge -q FETCH_HEAD -m 'both \\033[31m'",
            bob.project().display()
        ),
    );
    let lines = log(&alice, &[]);
    let at = lines.iter().position(|line| line.starts_with("both")).expect("the merge");
    assert_eq!(lines[at + 1], "  staging: new data key");
    alice.write("project/envs/staging.toml", "no vault file\n");
    sh(&alice, "printf 'x\\033[31m\\n' > message && git commit -qa -F message && rm message");
    let lines = log(&alice, &[]);
    assert_eq!(&lines[..2], ["x\\u{1b}[31m", "  staging: not readable"]);
}

/// What `check --against REV` finds of staging, without the notes about the rest.
#[track_caller]
fn against(person: &Sandbox, rev: &str, status: i32) -> Vec<String> {
    let check = person.vault(["check", "--against", rev]).run();
    let check = check.expect_that(status, "what it found", |output| output.stderr.is_empty());
    let own = ["one member alone", "whole and authentic", "left and still knows"];
    check
        .out()
        .lines()
        .filter(|line| line.contains(": staging: ") && !own.iter().any(|word| line.contains(word)))
        .map(|line| line.replacen(": staging: ", ": ", 1))
        .collect()
}

#[test]
fn a_reviewer_without_a_key_sees_what_a_branch_does() {
    let (alice, bob) = two();
    set(&alice, &["ALPHA=1", "NEW=1"]);
    sh(&alice, "git checkout -q -b branch");
    let carol = somebody(&alice, "carol");
    let (key, name) = (public_key(&carol), crate::people::fingerprint(&carol));
    alice.vault(["grant", "carol", "--key", &key, "-e", "staging"]).run().expect_that(
        0,
        "",
        |_| true,
    );
    set(&alice, &["BETA=2"]);
    // What happens on main meanwhile is not this branch's doing.
    sh(&alice, "git checkout -q main");
    // (Here it looks as if carol had been deleted from the text.)
    alice.vault(["set", "-e", "staging", "LATER=1"]).run().expect_that(0, "set", |_| true);
    sh(&alice, "git commit -qam later");
    sh(&alice, "git checkout -q branch");
    let found = against(&alice, "main", 0);
    assert_eq!(
        found,
        [format!("note: new member carol (key {name})"), "note: BETA changed".to_owned()]
    );
    // Values put back or gone, a member who vanished, an id.
    let text = team::text(&alice);
    let earlier = sh(&alice, "git show main~2:envs/staging.toml").out().to_owned();
    let put_back = text.replace(&table(&text, "secrets.ALPHA"), &table(&earlier, "secrets.ALPHA"));
    team::put(&alice, without(&without(&put_back, "members.bob"), "secrets.NEW"));
    let stranger = alice.another_home("stranger");
    let found = against(&stranger, "main", 1);
    for line in [
        "error: member bob deleted without a record",
        "error: ALPHA put back to an earlier value",
        "warning: NEW removed",
    ] {
        assert!(found.contains(&line.to_owned()), "{line}: {found:?}");
    }
    let github = stranger.vault(["check", "--against", "main", "--format", "github"]).run();
    let line = crate::vaults::line_of(&team::text(&alice), "secrets.ALPHA");
    let told = format!(
        "::error file=envs/staging.toml,line={line}::staging: ALPHA put back to an earlier value\n"
    );
    github.expect_that(1, &told, |output| {
        output.out().contains(&told) && output.out().lines().all(|line| line.starts_with("::"))
    });
    let json = stranger.vault(["check", "--against", "main", "--json"]).run();
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    let all = json.as_array().unwrap();
    let one = all.iter().find(|one| one["message"] == "staging: NEW removed").unwrap();
    assert_eq!((&one["level"], &one["file"]), (&"warning".into(), &"envs/staging.toml".into()));
    drop(bob);
}

#[test]
fn a_removal_that_is_undone_and_a_key_that_is_replaced_are_errors() {
    let (alice, _bob) = two();
    let before = team::text(&alice);
    team::revoke(&alice, "bob");
    sh(&alice, "git commit -qam 'bob leaves'");
    team::put(&alice, &before);
    let found = against(&alice, "main", 1);
    for line in [
        "error: an earlier data key".to_owned(),
        "error: the removal of bob is not on record any more".to_owned(),
        "error: bob, who was removed, is a member again".to_owned(),
    ] {
        assert!(found.contains(&line), "{line}: {found:?}");
    }
    // Another environment under the name.
    let other = alice.another_home("other").with_project("work/other");
    init(&other, "other", "staging");
    team::send(&other, &alice);
    assert!(
        against(&alice, "main", 1)
            .contains(&"error: another environment (its id is another one)".to_owned())
    );
    sh(&alice, "git rm -qf envs/staging.toml && touch vault.toml");
    alice
        .vault(["check", "--against", "main"])
        .run()
        .expect_that(0, "gone", |output| output.out().contains("warning: staging: deleted\n"));
    alice.vault(["check", "--against", "nothing"]).run().expect(
        3,
        "",
        "vault: git has no commit `nothing`\n\
         hint: fetch it first; a clone that is shallow lacks what is behind its first commit\n",
    );
    alice.vault(["check", "--against", "--output=x"]).run().expect_that(2, "no flag", |_| true);
}

/// Of two ancestors, either may hide what the branch has done.
#[test]
fn what_a_branch_puts_back_in_a_merge_is_found() {
    let (alice, _bob) = two();
    let earlier = table(&team::text(&alice), "secrets.ALPHA");
    sh(&alice, "git checkout -q -b branch");
    set(&alice, &["NEW=1"]);
    sh(&alice, "git branch before && git checkout -q main");
    set(&alice, &["ALPHA=2"]);
    sh(&alice, "git checkout -q branch && git merge -q main -m theirs");
    let text = team::text(&alice);
    team::put(&alice, text.replace(&table(&text, "secrets.ALPHA"), &earlier));
    sh(&alice, "git commit -q --amend -am theirs");
    sh(&alice, "git checkout -q main && git merge -q before -m before && git checkout -q branch");
    assert_eq!(sh(&alice, "git merge-base --all main HEAD").out().lines().count(), 2);
    let found = against(&alice, "main", 1);
    assert!(found.contains(&"error: ALPHA put back to an earlier value".to_owned()), "{found:?}");
}

#[test]
fn a_version_that_is_no_file_or_too_large_is_not_taken_for_a_missing_one() {
    let alice = alice("staging");
    let text = team::text(&alice);
    team::put(&alice, format!("{text}{}", "#\n".repeat(4 << 20)));
    sh(&alice, "git commit -qam large");
    team::put(&alice, &text);
    let found = against(&alice, "main", 0);
    assert_eq!(found, ["warning: not readable at main, so not compared"]);
    alice.vault(["diff", "staging"]).run().expect_that(5, "too large", |output| {
        output.err().contains("in git it is no file of up to 8388608 bytes")
    });
    assert_eq!(log(&alice, &[])[..2], ["large", "  staging: not readable"]);
}

#[test]
fn log_tells_of_a_branch_whose_changes_the_merge_has_dropped() {
    let alice = alice("staging");
    sh(&alice, "git checkout -q -b side");
    set(&alice, &["SEEN=1"]);
    sh(&alice, "git checkout -q main && git commit -q --allow-empty -m other");
    sh(&alice, "git merge -q -s ours side -m dropped");
    assert_eq!(log(&alice, &["SEEN"]), ["set 1", "  staging: SEEN added"]);
}

#[test]
fn a_checkout_with_crlf_is_read_and_written_without_a_spurious_diff() {
    let alice = vault_with("staging");
    sh(&alice, "git init -q -b main . && git add . && git commit -qm start");
    sh(&alice, "git config core.autocrlf true && rm envs/staging.toml && git checkout -q -- envs");
    assert!(team::text(&alice).contains("\r\n"));
    let before = alice.snapshot();
    team::opens(&alice);
    alice.assert_unchanged_since(&before);
    sh(&alice, "git diff --exit-code");
    alice.vault(["set", "-e", "staging", "ALPHA=marker-alpha-7f3a"]).run().expect(0, "", "");
    sh(&alice, "git diff --exit-code");
    alice.vault(["set", "-e", "staging", "BETA=2"]).run().expect(0, "", "");
    let diff = sh(&alice, "git diff --numstat 2>/dev/null").out().to_owned();
    assert_eq!(diff, "1\t1\tenvs/staging.toml\n");
    // The driver gets what git has, and gives that.
    set_up(&alice);
    sh(&alice, "git add . 2>/dev/null && git commit -qm beta && git checkout -q -b side");
    set(&alice, &["AA=1"]);
    sh(&alice, "git checkout -q main");
    set(&alice, &["AB=2"]);
    sh(&alice, "git merge -q side -m merged && git diff --exit-code");
    assert!(variables(&alice).starts_with("AA=1\nAB=2\n"));
    let stored = sh(&alice, "git cat-file -p HEAD:envs/staging.toml").out().to_owned();
    assert!(!stored.contains('\r'));
}

#[test]
fn fifty_environments_and_a_thousand_values_are_merged_and_looked_through() {
    let names: Vec<String> = (0..50).map(|number| format!("env{number}")).collect();
    let alice = Sandbox::new();
    init(&alice, "alice", &names.join(","));
    let pairs: Vec<String> =
        (0..20).map(|number| format!("NAME_{number}=value-{number}")).collect();
    for name in &names {
        alice.vault(["set", "-e", name]).args(&pairs).run().expect(0, "", "");
    }
    sh(&alice, "git init -q -b main . && git add . && git commit -qm start");
    set_up(&alice);
    sh(&alice, "git add . && git commit -qm set-up && git checkout -q -b side");
    let commit = |value: &str| {
        for name in &names {
            alice.vault(["set", "-e", name, value]).run().expect(0, "", "");
        }
        sh(&alice, "git commit -qam change");
    };
    commit("NAME_A=1");
    sh(&alice, "git checkout -q main");
    commit("NAME_B=1");
    sh(&alice, "git merge -q side -m merged && git fsck --strict");
    for name in &names {
        let got = alice.vault(["get", "-e", name, "NAME_A"]).run();
        got.expect(0, "1", "");
    }
    assert_eq!(alice.vault(["log"]).run().success().out().lines().count(), 3 * 51);
    let check = alice.vault(["check", "--against", "HEAD~1"]).run();
    check
        .expect_that(0, "all of them", |output| output.out().matches("NAME_A added").count() == 50);
}
