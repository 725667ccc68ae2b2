//! `vault edit` among editors, folders and disks that do what they should not.

#![allow(clippy::unwrap_used, reason = "helpers of tests are not #[test]")]

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;

use rustix::process::Signal;

use crate::edit::{EDITOR, tell};
use crate::support::barrier::{until, wait_for};
use crate::support::needs::{needs, needs_landlock, needs_namespaces, needs_other_user};
use crate::support::pty::Terminal;
use crate::support::run::Run;
use crate::support::sandbox::Sandbox;
use crate::vaults::{ALPHA, STAGING, export, get, init, set, vault};

/// What is typed to the editor of `edit::EDITOR`.
const CHANGE: &str = "sed -i 's/^ALPHA=.*/ALPHA=new/' \"$1\"";
const LOOK: &str = "cat \"$1\" >/dev/null";

fn possible() -> bool {
    needs("setsid") && needs_namespaces()
}

fn edit_with(person: &Sandbox, editor: &str, words: &[&str]) -> Run {
    person.vault(["edit", "staging"]).args(words).env("EDITOR", editor)
}

fn edit(person: &Sandbox, what: &str) -> Terminal {
    let mut terminal = edit_with(person, EDITOR, &[]).on_terminal();
    tell(&mut terminal, what);
    terminal
}

#[track_caller]
fn git(person: &Sandbox, script: &str) {
    person.sh(script).run().success();
}

#[track_caller]
fn ends(mut terminal: Terminal, status: i32, told: &str) {
    let (screen, ended) = terminal.expect_end();
    assert_eq!(ended.code(), Some(status), "{screen}");
    assert!(screen.contains(told), "{told}: {screen}");
}

#[test]
fn an_editor_that_goes_to_the_background_is_waited_for() {
    if !possible() {
        return;
    }
    let alice = vault();
    let what = format!("(trap '' HUP; read go </dev/tty; {CHANGE}) & echo LE''FT");
    let mut terminal = edit(&alice, &what);
    terminal.expect("LEFT");
    // The other one waits for us.
    terminal.expect("the editor went to the background, and is waited for");
    terminal.type_line("");
    ends(terminal, 0, "ALPHA changed");
    assert_eq!(get(&alice, "staging", "ALPHA"), b"new");
}

#[test]
fn an_editor_in_the_background_ends_with_vault_however_that_ends() {
    if !possible() || !needs_landlock() {
        return;
    }
    let alice = vault();
    for tier in ["namespace", "landlock"] {
        for signal in [Signal::KILL, Signal::TERM] {
            let run = edit_with(&alice, EDITOR, &["--isolation", tier]);
            let mut terminal = run.on_terminal();
            // A daemon: in a session of its own, away from the terminal, and its parent is gone.
            let daemon = "cat \"$1\" >/dev/null; (setsid sh -c 'while :; do sleep 1; done' \
                          </dev/null >/dev/null 2>&1 &); echo LE''FT";
            tell(&mut terminal, daemon);
            terminal.expect("LEFT");
            terminal.expect("the editor went to the background, and is waited for");
            terminal.kill(signal);
            let (screen, ended) = terminal.expect_end();
            assert_eq!(ended.signal(), Some(signal.as_raw()), "{screen}");
            alice.assert_no_process_left();
        }
    }
}

#[test]
fn an_editor_that_asks_a_server_outside_stores_nothing_and_shows_it_nothing() {
    if !possible() || !needs("python3") {
        return;
    }
    let alice = vault();
    let before = alice.read(STAGING);
    // By a socket without a path: the folder for temporary files is another one in there.
    let name = format!("vault-test-{}", std::process::id());
    let server = "import os, socket, sys\ns = socket.socket(socket.AF_UNIX)\ns.bind('\\0' + sys.argv[1])\ns.listen()\n\
                  print('up', flush=True)\npath = s.accept()[0].makefile().read()\nprint(path, os.path.exists(path))";
    let mut server = alice.program("python3", ["-c", server, &name]).spawn();
    server.wait_for("up\n");
    let client = format!(
        "python3 -c 'import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(\"\\0{name}\"); s.send(sys.argv[1].encode())' \"$PWD/$1\""
    );
    let terminal = edit(&alice, &client);
    ends(terminal, 1, "never opened the text: it handed its name to another process");
    server.wait().expect_like(0, "up\n/[..]/staging.env False\n", "");
    assert_eq!(alice.read(STAGING), before);
}

#[test]
fn an_editor_is_split_into_words_and_an_empty_one_is_none() {
    if !possible() {
        return;
    }
    let alice = vault();
    let script = |path: &str, text: &str| {
        alice.write(path, text);
        std::fs::set_permissions(alice.path(path), std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    script("home/my tools/e d", "#!/bin/sh\necho \"$# words, $1, $2\"; cat \"$3\" >/dev/null\n");
    let editor = "'../home/my tools/e d' -x \"a  b\"";
    let mut terminal = edit_with(&alice, editor, &[]).on_terminal();
    terminal.expect("3 words, -x, a  b");
    ends(terminal, 0, "nothing was changed");
    script("home/bin/vi", "#!/bin/sh\necho the usual one; cat \"$1\" >/dev/null\n");
    let path = format!("{}:/usr/bin:/bin", alice.path("home/bin").display());
    let run = edit_with(&alice, "", &[]).env("VISUAL", "").env("VAULT_EDITOR", "");
    let mut terminal = run.env("PATH", path).on_terminal();
    terminal.expect("the usual one");
    ends(terminal, 0, "nothing was changed");
}

#[test]
fn a_runtime_folder_on_a_disk_by_a_link_or_of_another_is_not_taken() {
    if !needs("setsid") || !needs_landlock() {
        return;
    }
    let alice = vault();
    let name = format!("vault-test-{}", std::process::id());
    let theirs = std::path::Path::new("/dev/shm").join(&name);
    std::fs::create_dir(&theirs).unwrap();
    let link = alice.path("link");
    std::os::unix::fs::symlink(&theirs, &link).unwrap();
    let place = |runtime: &std::path::Path| {
        let run = edit_with(&alice, EDITOR, &["--isolation", "landlock"]);
        let mut terminal = run.env("XDG_RUNTIME_DIR", runtime).on_terminal();
        tell(&mut terminal, &format!("echo \"at $PWD, $(stat -f -c %T .).\"; {LOOK}"));
        let told = terminal.expect_regex(r"at /[^ ]*, \w+\.");
        ends(terminal, 0, "nothing was changed");
        told
    };
    // As it should be, it is taken.
    std::fs::set_permissions(&theirs, std::fs::Permissions::from_mode(0o700)).unwrap();
    assert!(place(&theirs).contains(&format!("at /dev/shm/{name}/vault.")));
    let elsewhere = |runtime: &std::path::Path| {
        let told = place(runtime);
        assert!(told.contains("at /dev/shm/vault.") && told.contains(", tmpfs."), "{told}");
    };
    elsewhere(&link);
    elsewhere(std::path::Path::new("/usr"));
    std::fs::set_permissions(&theirs, std::fs::Permissions::from_mode(0o777)).unwrap();
    elsewhere(&theirs);
    std::fs::set_permissions(&theirs, std::fs::Permissions::from_mode(0o700)).unwrap();
    if let Some(other) = needs_other_user() {
        std::os::unix::fs::chown(&theirs, Some(other), Some(other)).unwrap();
        elsewhere(&theirs);
    }
    std::fs::remove_dir_all(&theirs).unwrap();
}

#[test]
fn a_home_with_commas_and_colons_is_covered_too() {
    if !possible() {
        return;
    }
    let alice = Sandbox::new().another_home("a,b:c\\d e");
    init(&alice, "alice", "staging");
    set(&alice, "staging", "ALPHA", ALPHA);
    let what = format!("cp \"$1\" \"$HOME/.kept\" && grep -c ALPHA= \"$HOME/.kept\"; {CHANGE}");
    let mut terminal = edit(&alice, &what);
    terminal.expect_regex("(?m)^1\r?$");
    ends(terminal, 0, "ALPHA changed");
    assert!(!alice.home().join(".kept").exists());
    alice.assert_nowhere(ALPHA);
}

#[test]
fn a_checkout_meanwhile_is_merged_name_by_name() {
    if !possible() || !needs("git") {
        return;
    }
    let alice = vault();
    git(
        &alice,
        "git init -q -b main . && git add -A && git commit -qm first && git checkout -qb other",
    );
    set(&alice, "staging", "BETA", "of-the-branch");
    alice.vault(["rotate", "staging"]).run().expect_that(0, "rotated", |_| true);
    git(&alice, "git commit -qam second && git checkout -q main");
    alice.vault(["get", "-e", "staging", "--old-key", "ALPHA"]).run().success();
    git(&alice, "git checkout -q other");
    set(&alice, "staging", "OTHER", "kept");
    git(&alice, "git commit -qam third && git checkout -q HEAD~1");
    let mut terminal = edit_with(&alice, EDITOR, &[]).on_terminal();
    terminal.expect("READY");
    git(&alice, "git checkout -q other");
    terminal.type_line(CHANGE);
    ends(terminal, 0, "ALPHA changed");
    let want = "{\"ALPHA\": \"new\", \"BETA\": \"of-the-branch\", \"OTHER\": \"kept\"}\n";
    assert_eq!(export(&alice, "staging"), want);
}

#[test]
fn a_full_disk_or_a_closed_folder_keeps_the_text_and_the_file() {
    if !possible() {
        return;
    }
    let alice = vault();
    let before = alice.read(STAGING);
    let within = |script: &str| {
        let script = format!(
            "{script}; exec '{}' edit staging --isolation namespace",
            env!("CARGO_BIN_EXE_vault")
        );
        let words = ["--user", "--map-root-user", "--mount", "sh", "-e", "-c"];
        let run = alice.program("unshare", words).arg(script);
        let mut terminal = run.env("EDITOR", EDITOR).on_terminal();
        tell(&mut terminal, CHANGE);
        terminal
    };
    let full = "cp envs/staging.toml copy; mount -t tmpfs -o size=64k tmpfs envs
        cp copy envs/staging.toml; cat /dev/zero >envs/filler 2>/dev/null || true
        (trap '' HUP; until [ -e free ]; do sleep 0.02; done; rm envs/filler; touch freed
         until [ -e show ]; do sleep 0.02; done; cp envs/staging.toml stored; touch shown) </dev/null >/dev/null 2>&1 & true";
    let mut terminal = within(full);
    terminal.expect("o space left on device");
    terminal.expect("edit again? [Y/n]");
    alice.write("project/free", "");
    wait_for(&alice.path("project/freed"));
    terminal.type_line("");
    // Nothing of it is lost.
    tell(&mut terminal, "grep -c ALPHA=new \"$1\"");
    terminal.expect("ALPHA changed");
    let (screen, ended) = terminal.expect_end();
    assert_eq!(ended.code(), Some(0), "{screen}");
    alice.write("project/show", "");
    until(|| alice.path("project/shown").exists(), "what was stored");
    drop(terminal);
    assert_ne!(alice.read("project/stored"), before);
    let closed = "mount --bind envs envs; mount -o remount,bind,ro envs";
    let mut terminal = within(closed);
    terminal.expect("ead-only file system");
    terminal.expect("edit again? [Y/n]");
    terminal.type_line("n");
    ends(terminal, 1, "nothing was stored");
    assert_eq!(alice.read(STAGING), before);
}
