//! `vault doctor`, on machines that lack one thing or another; and that `edit` does as it says.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are not #[test]")]

use serde_json::Value;

use crate::support::needs::{needs, needs_landlock, needs_namespaces};
use crate::support::run::{Output, Run};
use crate::support::sandbox::Sandbox;
use crate::vaults::vault;

const VAULT: &str = env!("CARGO_BIN_EXE_vault");

/// The finding about this.
fn found(output: &Output, subject: &str) -> Value {
    let all: Value = serde_json::from_slice(&output.stdout).unwrap();
    let found = all.as_array().unwrap().iter().find(|one| one["subject"] == subject);
    found.unwrap_or_else(|| panic!("nothing about {subject}: {all}")).clone()
}

fn is(one: &Value, level: &str, value: &str) -> bool {
    (one["level"].as_str(), one["value"].as_str()) == (Some(level), Some(value))
}

/// Runs a script as root of a world of its own, in which `$0` is vault.
fn in_world(person: &Sandbox, script: &str) -> Run {
    let words = ["--user", "--map-root-user", "--mount", "sh", "-e", "-c", script, VAULT];
    person.program("unshare", words)
}

/// What refuses a system call of the way to a world for the editor: the call, its error, and which one of them.
fn refusing(call: &str, error: &str, which: usize) -> [String; 4] {
    let trace = format!("--trace={call}");
    [
        "-f".to_owned(),
        "-o/dev/null".to_owned(),
        trace,
        format!("--inject={call}:error={error}:when={which}"),
    ]
}

#[test]
fn what_is_wrong_is_told_with_what_mends_it() {
    let alice = vault();
    let whole = alice.vault(["doctor", "--json"]).run();
    assert_eq!((whole.code(), whole.err()), (Some(0), ""));
    assert!(is(&found(&whole, "identity"), "ok", "file"));
    assert!(is(&found(&whole, "pins"), "ok", "kept"));
    assert!(is(&found(&whole, "memory"), "ok", "closed"));
    assert!(is(&found(&whole, "file secrets"), "ok", "memory"));
    alice.sh("chmod 644 ../home/.config/vault/identity").run().success();
    let open = alice.vault(["doctor"]).run();
    open.expect_that(1, "the identity is told", |output| {
        output.err().is_empty()
            && output.out().contains("error: identity: the identity `")
            && output.out().contains("hint: run `chmod 600 ")
    });
    let elsewhere = alice.another_home("bob");
    let output = elsewhere.vault(["doctor", "--json"]).run();
    assert!(is(&found(&output, "identity"), "note", "none"));
    assert!(is(&found(&output, "pins"), "note", "none"));
    for (name, value, says) in [
        ("VAULT_KEY", "AGE-SECRET-KEY-1", "VAULT_KEY"),
        ("VAULT_KEY_COMMAND", "touch asked", "VAULT_KEY_COMMAND"),
        ("VAULT_KEY_FILE", "/nowhere/key", "wrong"),
    ] {
        let output = elsewhere.vault(["doctor", "--json"]).env(name, value).run();
        assert_eq!(found(&output, "identity")["value"], says);
        assert!(!output.out().contains("AGE-SECRET"));
    }
    assert!(!elsewhere.path("project/asked").exists());
    let missing = elsewhere.vault(["doctor", "--json"]).env("EDITOR", "no-such-editor").run();
    assert!(is(&found(&missing, "edit"), "error", "wrong"));
    let dumb = elsewhere.vault(["doctor", "--json"]).env("PATH", "/nowhere").run();
    assert!(is(&found(&dumb, "edit"), "note", "builtin"));
    let latin = elsewhere.vault(["doctor", "--json"]).env("LC_ALL", "de_DE.ISO-8859-1").run();
    assert!(is(&found(&latin, "locale"), "note", "other"));
    for (mask, level, value) in
        [("077", "ok", "private"), ("002", "note", "group"), ("0", "warning", "others")]
    {
        let script = format!("umask {mask}; exec {VAULT} doctor --json");
        assert!(is(&found(&elsewhere.sh(script).run(), "umask"), level, value));
    }
}

#[test]
fn where_memory_may_end_up_is_told() {
    if !needs_namespaces() {
        return;
    }
    let alice = vault();
    let head = "Filename Type Size Used Priority";
    let look = |swaps: &str, pattern: &str, limit: &str| {
        alice.write("project/swaps", format!("{head}\n{swaps}"));
        alice.write("project/state", "freeze mem disk\n");
        alice.write("project/pattern", format!("{pattern}\n"));
        let script = format!(
            "mount --bind swaps /proc/swaps; mount --bind state /sys/power/state 2>/dev/null || true
             mount --bind pattern /proc/sys/kernel/core_pattern; {limit} exec \"$0\" doctor --json"
        );
        in_world(&alice, &script).run()
    };
    let none = look("", "core", "ulimit -Sc 0;");
    assert!(is(&found(&none, "swap"), "ok", "none"));
    assert!(is(&found(&none, "core files"), "ok", "none"));
    let zram = look("/dev/zram0 partition 1 0 1\n", "core", "");
    assert!(is(&found(&zram, "swap"), "ok", "memory"));
    let disk = look("/dev/sda9 partition 1 0 1\n", "|/usr/bin/handler %p", "");
    assert!(is(&found(&disk, "swap"), "warning", "disk"));
    assert!(found(&disk, "swap")["message"].as_str().unwrap().contains("/dev/sda9"));
    let told = found(&disk, "core files")["message"].as_str().unwrap().to_owned();
    assert!(
        told.contains("a command that crashes hands its memory to `/usr/bin/handler`"),
        "{told}"
    );
    let closed = look("", "|/usr/bin/handler", "ulimit -Hc 0;");
    assert!(is(&found(&closed, "core files"), "warning", "handler"));
    for output in [none, zram, disk, closed] {
        assert_eq!(output.code(), Some(0), "a warning is no error");
    }
}

#[test]
fn a_setting_that_forbids_namespaces_is_named() {
    if !needs_namespaces() || !needs_landlock() {
        return;
    }
    let alice = vault();
    let script = "echo 0 >/proc/sys/user/max_user_namespaces; exec \"$0\" doctor --json";
    let output = in_world(&alice, script).run();
    let edit = found(&output, "edit");
    assert!(is(&edit, "note", "landlock"), "{edit}");
    assert!(edit["message"].as_str().unwrap().contains("no namespace: unshare: "), "{edit}");
    let hint = "user.max_user_namespaces=0 keeps this user from namespaces (sysctl(8))";
    assert_eq!(edit["hint"], hint);
}

/// Attack 31: each step is refused in its turn. Then the next tier holds, and nothing is left of the others.
#[test]
fn a_namespace_that_is_refused_at_any_step_is_replaced_by_the_fence() {
    if !needs("strace") || !needs_namespaces() || !needs_landlock() {
        return;
    }
    let alice = vault();
    let under = |call: &str, error: &str, which: usize, words: &[&str]| {
        let run = alice.program("strace", refusing(call, error, which)).arg(VAULT).args(words);
        run.env("XDG_RUNTIME_DIR", "/dev/shm")
    };
    let mut steps = Vec::new();
    for (call, error) in [
        ("unshare", "ENOSPC"),
        ("unshare", "EPERM"),
        ("mount", "EACCES"),
        ("mount_setattr", "ENOSYS"),
    ] {
        for which in 1.. {
            let output = under(call, error, which, &["doctor", "--json"]).run();
            assert_eq!(output.code(), Some(0), "{call} {which}: {}", output.err());
            let edit = found(&output, "edit");
            if edit["value"] == "namespace" {
                // There are no more of these calls.
                assert!(which > 1, "{call} is never made");
                break;
            }
            assert!(is(&edit, "note", "landlock"), "{edit}");
            let message = edit["message"].as_str().unwrap();
            let step = message.split("no namespace: ").nth(1).unwrap().to_owned();
            steps.push(step.split(": ").next().unwrap().to_owned());
        }
    }
    for step in ["unshare", "mount of / as private", "mount of a ramfs", "mount of a tmpfs"] {
        assert!(steps.iter().any(|one| one == step), "{steps:?}");
    }
    for step in ["mount_setattr of /", "mount of an overlay over the home folder"] {
        assert!(steps.iter().any(|one| one == step), "{steps:?}");
    }
    // The editor comes up behind the fence, and what it saves is stored.
    let editor = "sh -c 'sed -i s/^ALPHA=.*/ALPHA=new/ \"$1\"' sh";
    let words = ["edit", "staging", "--editor", editor];
    let mut terminal = under("mount", "EACCES", 2, &words).on_terminal();
    terminal.expect("the editor can write only to a folder in memory (landlock)");
    terminal.expect("ALPHA changed");
    let (screen, status) = terminal.expect_end();
    assert_eq!(status.code(), Some(0), "{screen}");
    // Who wants that tier and no other gets an error, and no key is looked for.
    let words = ["edit", "staging", "--isolation", "namespace", "--editor", editor];
    let only = under("mount", "EACCES", 2, &words).env("VAULT_KEY_FILE", "/nowhere");
    let (screen, status) = only.on_terminal().expect_end();
    assert_eq!(status.code(), Some(1), "{screen}");
    assert!(screen.contains("the system refuses to keep an editor apart in that way"), "{screen}");
    // Without the fence as well, it is vault's own.
    let words = [
        "-f",
        "-o/dev/null",
        "--trace=unshare,landlock_create_ruleset",
        "--inject=unshare:error=EPERM",
        "--inject=landlock_create_ruleset:error=ENOSYS",
    ];
    let strace = alice.program("strace", words);
    let output = strace.arg(VAULT).args(["doctor", "--json"]).run();
    let edit = found(&output, "edit");
    assert!(is(&edit, "note", "builtin"), "{edit}");
    assert!(edit["message"].as_str().unwrap().contains("no landlock: landlock: "), "{edit}");
}

#[test]
fn a_clone_without_what_the_project_asks_of_git_is_told_so() {
    let alice = vault();
    let told = |wanted: bool| {
        let output = alice.vault(["doctor", "--json"]).run();
        let all: Value = serde_json::from_slice(&output.stdout).unwrap();
        let git = all.as_array().unwrap().iter().find(|one| one["subject"] == "git");
        assert_eq!(git.is_some_and(|one| is(one, "warning", "not set up")), wanted, "{all}");
        let overview = alice.vault([""; 0]).run().success();
        let line = "next: vault git-setup                    merges environments by name, and scans each commit\n";
        assert_eq!(overview.out().contains(line), wanted, "{}", overview.out());
    };
    alice.write("project/.gitattributes", "envs/*.toml diff=vault merge=vault\n");
    told(false);
    alice.sh("git init -q .").run().success();
    told(true);
    alice.vault(["git-setup"]).run().expect_that(0, "git is set up", |_| true);
    told(false);
}
