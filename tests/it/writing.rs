//! Writing: nothing is lost or mixed when several write, when a writer is
//! killed, when git merges, when there is no room or no right to write.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are not #[test]")]
#![allow(clippy::disallowed_methods, reason = "modes and owners are set as other programs would")]

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use rustix::fs::{FlockOperation, flock};
use rustix::process::Signal;

use crate::support::barrier::until;
use crate::support::needs::{needs, needs_other_user};
use crate::support::sandbox::Sandbox;
use crate::vaults::{
    ALPHA, BETA, CONFLICT, LOSSES, STAGING, export, field, get, identity, init, set, table, vault,
    vault_with, with_block,
};

/// What is in the folder of the environments.
fn files_in_envs(sandbox: &Sandbox) -> Vec<String> {
    let entries = std::fs::read_dir(sandbox.path("project/envs")).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn set_mode(sandbox: &Sandbox, rel: &str, mode: u32) {
    let permissions = std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(sandbox.path(rel), permissions).unwrap();
}

/// A repository whose `main` has these variables, with `one` checked out.
fn repository(names: &[&str]) -> Sandbox {
    let alice = Sandbox::new();
    init(&alice, "alice", "staging");
    let pairs = names.iter().map(|name| format!("{name}=old-{name}"));
    alice.vault(["set", "-e", "staging"]).args(pairs).run().expect(0, "", "");
    git(&alice, "git init -q -b main && git add envs && git commit -qm base && git branch two");
    git(&alice, "git checkout -qb one");
    alice
}

#[track_caller]
fn git(alice: &Sandbox, script: &str) {
    alice.sh(script).run().expect(0, "", "");
}

/// Changes on the branch `one`, others on `two`, and merges them in `one`;
/// whether git could.
fn merged(alice: &Sandbox, ours: &[&[&str]], theirs: &[&[&str]]) -> bool {
    let change = |changes: &[&[&str]]| {
        for words in changes {
            alice.vault(*words).args(["-y", "-e", "staging"]).run().expect(0, "", "");
        }
        git(alice, "git commit -qam change");
    };
    change(ours);
    git(alice, "git checkout -q two");
    change(theirs);
    git(alice, "git checkout -q one");
    alice.sh("git merge -q -m merge two").run().code() == Some(0)
}

fn values(alice: &Sandbox) -> BTreeMap<String, String> {
    serde_json::from_str(&export(alice, "staging")).unwrap()
}

fn expected(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn branches_that_change_different_variables_merge_as_plain_text() {
    let alice = repository(&["API_KEY", "CACHE_URL", "DATABASE_URL", "MAIL_URL", "SECRET_KEY"]);
    let ours: &[&[&str]] = &[&["set", "API_KEY=one", "MAIL_URL=one"], &["set", "BROKER_URL=one"]];
    let theirs: &[&[&str]] = &[&["set", "DATABASE_URL=two", "ZONE=two"], &["unset", "SECRET_KEY"]];
    // The removal beside ZONE's block is one hunk on one side.
    assert!(merged(&alice, ours, theirs));
    let all = [
        ("API_KEY", "one"),
        ("BROKER_URL", "one"),
        ("CACHE_URL", "old-CACHE_URL"),
        ("DATABASE_URL", "two"),
        ("MAIL_URL", "one"),
        ("ZONE", "two"),
    ];
    assert_eq!(values(&alice), expected(&all));
    // The merge is what vault itself writes: the next set changes one block.
    let before = alice.read(STAGING);
    set(&alice, "staging", "ZONE", "three");
    let after = alice.read(STAGING);
    let old = table(&before, "secrets.ZONE");
    assert_eq!(before.replace(&old, &table(&after, "secrets.ZONE")), after);
}

#[test]
fn branches_that_change_neighbours_merge_as_plain_text() {
    let alice = repository(&["A", "B", "C"]);
    assert!(merged(&alice, &[&["set", "A=one", "C=one"]], &[&["set", "B=two"]]));
    assert_eq!(values(&alice), expected(&[("A", "one"), ("B", "two"), ("C", "one")]));
}

#[test]
fn branches_that_add_at_one_place_conflict_and_vault_refuses_the_markers() {
    let alice = repository(&["A", "Z"]);
    assert!(!merged(&alice, &[&["set", "M=one"]], &[&["set", "N=two"]]));
    let text = alice.read(STAGING);
    let line = text.lines().position(|line| line.starts_with("<<<<<<<")).unwrap() + 1;
    let told = format!("vault: envs/staging.toml:{line}: {CONFLICT}");
    let before = alice.snapshot();
    for words in [&["get", "A"][..], &["set", "A=x"], &["unset", "-y", "A"], &["list"]] {
        alice.vault(words).args(["-e", "staging"]).run().expect(5, "", &told);
    }
    let run = ["run", "-e", "staging", "--", "true"];
    alice.vault(run).run().expect(125, "", &told);
    alice.assert_unchanged_since(&before);
    // The hint leads out of it.
    git(&alice, "git checkout -q --theirs envs/staging.toml");
    assert_eq!(values(&alice), expected(&[("A", "old-A"), ("N", "two"), ("Z", "old-Z")]));
}

#[test]
fn branches_that_change_one_variable_conflict_and_vault_refuses_the_markers() {
    let alice = repository(&["A", "Z"]);
    assert!(!merged(&alice, &[&["set", "A=one"]], &[&["set", "A=two"]]));
    let get = alice.vault(["get", "-e", "staging", "Z"]).run();
    get.expect_like(
        5,
        "",
        "vault: envs/staging.toml:[..]: a git conflict marker[..]\nhint: [..]\n",
    );
}

#[test]
fn eight_parallel_writers_lose_nothing() {
    let alice = vault();
    let folder = std::fs::File::open(alice.path("project/envs")).unwrap();
    let inode = format!(":{} ", folder.metadata().unwrap().ino());
    // All of them wait for the lock when it is let go, so that they do compete.
    flock(&folder, FlockOperation::LockExclusive).unwrap();
    let writers: Vec<_> = (0..8)
        .map(|n| alice.vault(["set", "-e", "staging", &format!("W{n}=value-{n}")]).spawn())
        .collect();
    let waiting = || {
        let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
        let blocked = |line: &&str| line.contains("->") && line.contains(&inode);
        locks.is_empty() || locks.lines().filter(blocked).count() == writers.len()
    };
    until(waiting, "eight writers to wait for the lock");
    // Who only reads waits for nobody.
    assert_eq!(get(&alice, "staging", "ALPHA"), ALPHA.as_bytes());
    flock(&folder, FlockOperation::Unlock).unwrap();
    for writer in writers {
        writer.wait().expect(0, "", "");
    }
    let values = values(&alice);
    assert_eq!(values.len(), 10);
    assert!((0..8).all(|n| values[&format!("W{n}")] == format!("value-{n}")), "{values:?}");
    assert_eq!(files_in_envs(&alice), ["staging.toml"]);
}

#[test]
fn parallel_changes_of_every_kind_leave_a_whole_file() {
    let alice = vault_with("staging,production");
    let words: [&[&str]; 6] = [
        &["set", "-e", "staging", "ALPHA=changed"],
        &["unset", "-y", "-e", "staging", "BETA"],
        &["import", "-e", "staging", "-"],
        &["set", "-e", "staging", "NEW=1"],
        &["set", "-e", "production", "NEW=1"],
        &["init", "--name", "alice", "-e", "copy", "--from", "production"],
    ];
    let writers: Vec<_> =
        words.iter().map(|words| alice.vault(*words).stdin("FROM_FILE=1\n").spawn()).collect();
    for writer in writers {
        writer.wait().expect_that(0, "no output", |output| output.out().is_empty());
    }
    let all = [("ALPHA", "changed"), ("FROM_FILE", "1"), ("NEW", "1")];
    assert_eq!(values(&alice), expected(&all));
    assert_eq!(get(&alice, "production", "NEW"), b"1");
    assert_eq!(get(&alice, "copy", "BETA"), BETA.as_bytes());
    assert_eq!(files_in_envs(&alice), ["copy.toml", "production.toml", "staging.toml"]);
}

/// What a write does to files. strace knows more names than some machine has,
/// so each stands with a `?`.
const CALLS: &[&str] = &[
    "open",
    "openat",
    "read",
    "write",
    "close",
    "flock",
    "fchmod",
    "fsync",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "linkat",
    "getdents64",
    "umask",
    "fstat",
    "statx",
];

#[test]
fn a_writer_killed_at_any_system_call_leaves_the_old_or_the_new_file() {
    if !needs("strace") {
        return;
    }
    let alice = vault();
    let old = alice.read(STAGING);
    let words = ["set", "-e", "staging", "ALPHA=changed"];
    let vault = env!("CARGO_BIN_EXE_vault");
    let trace = alice.path("trace").into_os_string().into_string().unwrap();
    let names: Vec<String> = CALLS.iter().map(|call| format!("?{call}")).collect();
    let only = format!("trace={}", names.join(","));
    let strace = |more: &[&str]| {
        let run = alice.program("strace", ["-o", &trace, "-e", &only]);
        run.args(more).arg(vault).args(words)
    };
    strace(&[]).run().expect(0, "", "");
    let calls = std::fs::read_to_string(&trace).unwrap();
    let (mut kept, mut replaced, mut leftovers) = (0, 0, 0);
    for call in CALLS {
        let start = format!("{call}(");
        let times = calls.lines().filter(|line| line.starts_with(&start)).count();
        for nth in 1..=times {
            alice.write(STAGING, &old);
            let inject = format!("inject={call}:signal=KILL:when={nth}");
            // strace dies of what its child died of.
            strace(&["-e", &inject]).run().expect_signal(Signal::KILL, "", "");
            let left = files_in_envs(&alice);
            let (stale, whole): (Vec<&String>, Vec<&String>) =
                left.iter().partition(|name| name.starts_with(".staging.toml.tmp-"));
            assert_eq!(whole, ["staging.toml"], "{call} {nth}");
            leftovers += stale.len();
            if alice.read(STAGING) == old {
                kept += 1;
                assert_eq!(get(&alice, "staging", "ALPHA"), ALPHA.as_bytes(), "{call} {nth}");
            } else {
                replaced += 1;
                assert_eq!(get(&alice, "staging", "ALPHA"), b"changed", "{call} {nth}");
            }
            assert_eq!(get(&alice, "staging", "BETA"), BETA.as_bytes(), "{call} {nth}");
            // What was left is nobody's environment, and the next writer's to sweep.
            alice.vault(["list", "-e", "staging"]).run().success();
            alice.vault(["set", "-e", "staging", "NEXT=1"]).run().expect(0, "", "");
            assert_eq!(files_in_envs(&alice), ["staging.toml"], "{call} {nth}");
        }
    }
    // The kills came before, between and after what counts.
    assert!(kept > 5 && replaced > 0 && leftovers > 2, "{kept} {replaced} {leftovers}\n{calls}");
}

#[test]
fn a_writer_whose_system_calls_fail_says_so_and_leaves_the_old_file() {
    if !needs("strace") {
        return;
    }
    let alice = vault();
    let old = alice.read(STAGING);
    let calls = [
        ("?flock", "1+", "ENOLCK", "cannot lock the folder `envs`: no locks available"),
        ("?fchmod", "1+", "EPERM", "cannot set the mode of `envs/staging.toml`: [..]"),
        ("?fsync", "1", "EIO", "cannot write `envs/staging.toml`: [..]"),
        (
            "?rename,?renameat,?renameat2",
            "1+",
            "EACCES",
            "cannot replace `envs/staging.toml`: [..]",
        ),
    ];
    for (call, when, error, told) in calls {
        let inject = format!("inject={call}:error={error}:when={when}");
        let trace = format!("trace={call}");
        let words = ["strace", "-o", "/dev/null", "-e", &trace, "-e", &inject];
        let run = alice.program(words[0], &words[1..]).arg(env!("CARGO_BIN_EXE_vault"));
        let told = format!("vault: {told}\n");
        run.args(["set", "-e", "staging", "ALPHA=changed"]).run().expect_like(1, "", &told);
        assert_eq!(alice.read(STAGING), old, "{call}");
        assert_eq!(files_in_envs(&alice), ["staging.toml"], "{call}");
    }
}

#[test]
fn the_mode_of_a_file_is_kept() {
    let alice = vault();
    for mode in [0o640, 0o600, 0o664, 0o644, 0o444] {
        set_mode(&alice, STAGING, mode);
        set(&alice, "staging", "ALPHA", format!("value-{mode:o}"));
        assert_eq!(alice.mode(STAGING), mode);
        alice.vault(["set", "-e", "staging", &format!("NEW=new-{mode:o}")]).run().expect(0, "", "");
        assert_eq!(alice.mode(STAGING), mode);
    }
}

#[test]
fn new_files_follow_the_umask_and_the_identity_is_ours_alone() {
    for (umask, mode) in [("022", 0o644), ("027", 0o640), ("077", 0o600), ("002", 0o664)] {
        let alice = Sandbox::new();
        let script = format!("umask {umask}; exec \"$0\" init --name alice -e staging");
        let made = alice.sh(script).arg(env!("CARGO_BIN_EXE_vault")).run();
        made.expect_that(0, "made", |output| output.out().is_empty());
        assert_eq!(alice.mode(STAGING), mode, "umask {umask}");
        assert_eq!(alice.mode("home/.config/vault/identity"), 0o600);
        assert_eq!(alice.mode("home/.config/vault"), 0o700);
    }
}

/// The words that run `vault` as that user, with a copy of it that he may
/// execute, wherever the build lies.
fn as_user(alice: &Sandbox, user: u32, words: &[&str]) -> crate::support::run::Run {
    let copy = alice.path("vault-for-all");
    if !copy.exists() {
        std::fs::copy(env!("CARGO_BIN_EXE_vault"), &copy).unwrap();
        set_mode(alice, "vault-for-all", 0o755);
        set_mode(alice, "", 0o755);
    }
    let (uid, gid) = (format!("--reuid={user}"), format!("--regid={user}"));
    alice.program("setpriv", [&uid, &gid, "--clear-groups"]).arg(copy).args(words)
}

#[test]
fn a_home_and_a_project_that_cannot_be_written_are_enough_to_read_and_run() {
    let Some(user) = needs_other_user() else { return };
    if !needs("setpriv") {
        return;
    }
    let alice = vault();
    let key = std::fs::read_to_string(identity(&alice)).unwrap();
    let before = alice.read(STAGING);
    let vault = |words: &[&str]| as_user(&alice, user, words).env("VAULT_KEY", &key);
    vault(&["get", "-e", "staging", "ALPHA"]).run().expect(0, ALPHA, "");
    let echo = ["run", "-e", "staging", "--", "sh", "-c", "echo $BETA"];
    vault(&echo).run().expect(0, &format!("{BETA}\n"), "");
    vault(&["list", "-e", "staging"]).run().success();

    let told = "vault: cannot write beside `envs/staging.toml`: permission denied\n";
    vault(&["set", "-e", "staging", "ALPHA=x"]).run().expect(1, "", told);
    vault(&["unset", "-y", "-e", "staging", "ALPHA"]).run().expect(1, "", told);
    vault(&["import", "-y", "-e", "staging", "-"]).stdin("ALPHA=x\n").run().expect(1, "", told);
    let told = "vault: cannot write beside `envs/new.toml`: permission denied\n";
    vault(&["init", "--name", "alice", "-e", "new"]).run().expect(1, "", told);
    // A key can't be made in a home that is not his.
    let made = as_user(&alice, user, &["key", "new"]).run();
    let path = "$SANDBOX/home/.config/vault";
    made.expect_like(1, "", &format!("vault: cannot [..] `{path}[..]`: permission denied\n"))
        .expect_that(1, "no key is shown", |output| !output.err().contains("AGE-SECRET-KEY"));
    assert_eq!(alice.read(STAGING), before);
    assert_eq!(files_in_envs(&alice), ["staging.toml"]);
}

#[test]
fn a_file_of_another_user_is_read_and_never_replaced() {
    let Some(user) = needs_other_user() else { return };
    let alice = vault();
    std::os::unix::fs::chown(alice.path(STAGING), Some(user), None).unwrap();
    assert_eq!(get(&alice, "staging", "ALPHA"), ALPHA.as_bytes());
    let before = alice.snapshot();
    let told = "vault: `envs/staging.toml` belongs to another user\n";
    alice.vault(["set", "-e", "staging", "ALPHA=x"]).run().expect(1, "", told);
    alice.assert_unchanged_since(&before);
}

#[test]
fn a_full_disk_is_told_and_leaves_the_old_file() {
    if needs_other_user().is_none() || !needs("unshare") || !needs("mount") {
        return;
    }
    let alice = Sandbox::new();
    init(&alice, "alice", "unused");
    alice.write("big", vec![b'x'; 100 << 10]);
    // In a mount namespace of its own: nothing stays mounted, however it ends.
    let script = r#"
        mount -t tmpfs -o size=64k none . 2>/dev/null || exit 77
        cd "$PWD" && "$0" init --name alice -e staging 2>/dev/null && "$0" set -e staging A=1
        cp envs/staging.toml ../before.toml
        "$0" set -e staging BIG <../big; echo "status $?"
        cmp envs/staging.toml ../before.toml && ls -A envs
        "$0" set -e staging B=2 && "$0" get -e staging B
    "#;
    let vault = env!("CARGO_BIN_EXE_vault");
    let run = alice.program("unshare", ["--mount", "sh", "-c", script, vault]).run();
    if run.code() == Some(77) || run.err().contains("unshare") {
        // Root in a container may not be allowed to mount.
        println!("skipped: needs the right to mount");
        return;
    }
    let told = "vault: cannot write `envs/staging.toml`: no space left on device\n";
    run.expect(0, "status 1\nstaging.toml\n2", told);
}

#[test]
fn comments_that_are_not_ours_stop_a_write_and_yes_drops_them() {
    let alice = vault();
    let text = alice.read(STAGING);
    let commented =
        format!("{}# mine, at the end\n", text.replace("by = \"alice\"", "by = \"alice\" # me"))
            .replacen("# Encrypted", "# encrypted", 1);
    alice.write(STAGING, &commented);
    // Reading does not mind, and neither does a change that changes nothing.
    let before = alice.snapshot();
    assert_eq!(get(&alice, "staging", "ALPHA"), ALPHA.as_bytes());
    set(&alice, "staging", "ALPHA", ALPHA);
    let lines = [1, line_with(&commented, "# me"), line_with(&commented, "# mine")];
    let told: String = lines
        .map(|line| format!("vault: envs/staging.toml:{line}: a comment would not be kept\n"))
        .concat();
    let dropped = told.replace("would not be kept", "is dropped");
    let told = format!("{told}{LOSSES}");
    alice.vault(["set", "-e", "staging", "ALPHA=new"]).run().expect(1, "", &told);
    let import = alice.vault(["import", "-e", "staging", "-"]).stdin("NEW=1\n");
    import.run().expect(1, "", &told);
    alice.assert_unchanged_since(&before);
    alice.vault(["set", "-y", "-e", "staging", "ALPHA=new"]).run().expect(0, "", &dropped);
    let after = alice.read(STAGING);
    let new = field(&after, "secrets.ALPHA", "value");
    let old = field(&text, "secrets.ALPHA", "value");
    assert_eq!(after, text.replace(&old, &new));
}

#[track_caller]
fn line_with(text: &str, part: &str) -> usize {
    text.lines().position(|line| line.contains(part)).unwrap() + 1
}

#[test]
fn odd_requests_stop_a_write_and_yes_drops_them_and_keeps_the_good() {
    let alice = vault();
    let text = alice.read(STAGING);
    let key = field(&text, "members.alice", "key");
    let good = format!("[requests.carol]\nkey = \"{key}\"\n");
    let odd = format!("{good}\n[requests.dave]\nkey = \"{key}\"\nwhy = \"please\" # now\n");
    alice.write(STAGING, with_block(&text, &odd));
    let before = alice.snapshot();
    let told = format!(
        "vault: envs/staging.toml: `requests.dave`, which is no request, would not be kept\n{LOSSES}"
    );
    alice.vault(["set", "-e", "staging", "ALPHA=new"]).run().expect(1, "", &told);
    alice.assert_unchanged_since(&before);
    let dropped = "vault: envs/staging.toml: `requests.dave`, which is no request, is dropped\n";
    alice.vault(["set", "-y", "-e", "staging", "ALPHA=new"]).run().expect(0, "", dropped);
    let after = alice.read(STAGING);
    assert_eq!(table(&after, "requests.carol"), good);
    assert!(!after.contains("dave") && !after.contains("please"));
    assert_eq!(get(&alice, "staging", "ALPHA"), b"new");

    // An empty `[requests]` stops nothing.
    let text = alice.read(STAGING).replace("[members.alice]", "[requests]\n\n[members.alice]");
    alice.write(STAGING, &text);
    assert_eq!(get(&alice, "staging", "BETA"), BETA.as_bytes());
}

#[test]
fn a_file_with_crlf_and_another_order_is_read_and_written_in_our_form() {
    let alice = vault();
    let text = alice.read(STAGING);
    let secrets = table(&text, "secrets.ALPHA");
    let moved = with_block(&text.replacen(&format!("\n{secrets}"), "", 1), &secrets);
    let moved = moved.replace('\n', "\r\n").replace("vault = 1", "  vault  =  0x1");
    alice.write(STAGING, &moved);
    assert_eq!(get(&alice, "staging", "ALPHA"), ALPHA.as_bytes());
    set(&alice, "staging", "NEW", "1");
    let after = alice.read(STAGING);
    let new = table(&after, "secrets.NEW");
    assert_eq!(after, format!("{text}\n{new}"));
}

#[test]
fn a_write_leaves_nothing_outside_the_folder_of_the_environments() {
    let alice = vault();
    let before = alice.snapshot();
    set(&alice, "staging", "ALPHA", "new");
    let after = alice.snapshot();
    assert_eq!(before.differences(&after), "- project/envs/staging.toml has other content\n");
}
