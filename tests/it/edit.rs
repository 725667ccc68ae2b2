//! `vault edit`, with an editor that does what is typed on the terminal: one line
//! of shell, in which `$1` is the text.

#![allow(clippy::expect_used, reason = "helpers of tests have to fail the test")]

use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::ExitStatusExt as _;

use rustix::process::Signal;

use crate::support::needs::{needs, needs_landlock, needs_namespaces};
use crate::support::processes;
use crate::support::pty::Terminal;
use crate::support::sandbox::Sandbox;
use crate::vaults::{ALPHA, BETA, STAGING, export, get, set, table, vault};

/// Says that it is there, does what it is told, and says that it has.
pub(crate) const EDITOR: &str = r#"sh -c 'echo READY; IFS= read -r line; eval "$line"' sh"#;

/// A vault in which every program can be kept apart, or None where the system doesn't let it.
fn project() -> Option<Sandbox> {
    (needs("setsid") && needs_namespaces()).then(vault)
}

fn edit(person: &Sandbox, words: &[&str]) -> Terminal {
    person.vault(["edit", "staging", "--editor", EDITOR]).args(words).on_terminal()
}

/// Waits for the editor, and has it do this.
#[track_caller]
pub(crate) fn tell(terminal: &mut Terminal, line: &str) {
    terminal.expect("READY");
    terminal.type_line(line);
}

#[track_caller]
fn ends(terminal: &mut Terminal, status: i32) -> String {
    let (screen, ended) = terminal.expect_end();
    assert_eq!(ended.code(), Some(status), "{screen}");
    screen
}

#[test]
fn what_is_changed_added_and_noted_is_stored_and_the_rest_keeps_its_ciphertext() {
    let Some(alice) = project() else { return };
    let before = alice.read(STAGING);
    let mut terminal = edit(&alice, &[]);
    terminal.expect("all file systems are read-only or in memory for the editor (namespace)");
    tell(
        &mut terminal,
        r#"sed -i 's/^ALPHA=.*/# why\nALPHA=new/' "$1"; echo "GAMMA='two  words'" >>"$1""#,
    );
    terminal.expect("vault: staging: ALPHA changed, GAMMA added");
    ends(&mut terminal, 0);
    assert_eq!(get(&alice, "staging", "ALPHA"), b"new");
    assert_eq!(get(&alice, "staging", "GAMMA"), b"two  words");
    assert_eq!(table(&alice.read(STAGING), "secrets.BETA"), table(&before, "secrets.BETA"));
    // The note is there the next time, above its variable.
    let mut terminal = edit(&alice, &[]);
    tell(&mut terminal, r#"cat "$1""#);
    terminal.expect("# why");
    terminal.expect("ALPHA=new");
    terminal.expect("nothing was changed");
    ends(&mut terminal, 0);
    alice.assert_nowhere("two  words");
}

#[test]
fn an_unchanged_text_leaves_the_file_as_it_is() {
    let Some(alice) = project() else { return };
    let before = (alice.read(STAGING), alice.path(STAGING).metadata().unwrap().mtime_nsec());
    for line in ["true", r#"cp "$1" x; mv x "$1""#, r#"touch "$1""#] {
        let mut terminal = edit(&alice, &[]);
        tell(&mut terminal, &format!(r#"cat "$1" >/dev/null; {line}"#));
        terminal.expect("vault: staging: nothing was changed");
        ends(&mut terminal, 0);
    }
    assert_eq!(before, (alice.read(STAGING), alice.path(STAGING).metadata().unwrap().mtime_nsec()));
}

#[test]
fn an_editor_that_fails_or_never_looks_stores_nothing() {
    let Some(alice) = project() else { return };
    let before = alice.read(STAGING);
    for (line, told) in [
        (r#"echo X=1 >>"$1"; exit 3"#, "`/[..]` ended with status 3, so nothing is stored"),
        (r#"echo X=1 >>"$1"; kill -9 $$"#, "`/[..]` ended by signal 9, so nothing is stored"),
        ("true", "never opened the text: it handed its name to another process"),
        (r#"cat "$1" >/dev/null; rm "$1""#, "the text is gone, so nothing is stored"),
    ] {
        let mut terminal = edit(&alice, &[]);
        tell(&mut terminal, line);
        let screen = ends(&mut terminal, 1);
        let told = told.rsplit("[..]`").next().expect("a text");
        assert!(screen.contains(told), "{line}: {screen}");
        assert_eq!(alice.read(STAGING), before, "{line}");
    }
}

#[test]
fn what_is_wrong_stands_above_the_text_which_is_kept() {
    let Some(alice) = project() else { return };
    let mut terminal = edit(&alice, &[]);
    tell(&mut terminal, r#"printf 'OPEN="never closed\n' >>"$1""#);
    terminal.expect("OPEN: missing closing quote");
    terminal.expect("vault: edit again? [Y/n]");
    terminal.type_line("");
    tell(&mut terminal, r#"head -1 "$1"; sed -i 's/never closed/closed"/' "$1""#);
    terminal.expect("#: line");
    terminal.expect("vault: staging: OPEN added");
    ends(&mut terminal, 0);
    assert_eq!(get(&alice, "staging", "OPEN"), b"closed");
    // A comment that would be lost is told, and so is a name that may not be stored.
    let before = alice.read(STAGING);
    for (line, told) in [
        (r#"printf '\n# lost\n' >>"$1""#, "a comment with no variable under it"),
        (r#"echo LD_PRELOAD=x >>"$1""#, "LD_PRELOAD changes how programs load"),
        (r#"echo VAULT_KEY=x >>"$1""#, "VAULT_KEY is a setting of vault itself"),
    ] {
        let mut terminal = edit(&alice, &[]);
        tell(&mut terminal, line);
        terminal.expect(told);
        terminal.expect("edit again? [Y/n]");
        terminal.type_line("n");
        assert!(ends(&mut terminal, 1).contains("nothing was stored"));
        assert_eq!(alice.read(STAGING), before);
    }
    // Control-D leaves too.
    let mut terminal = edit(&alice, &[]);
    tell(&mut terminal, r#"echo 1X=y >>"$1""#);
    terminal.expect("edit again? [Y/n]");
    terminal.control('d');
    terminal.expect("\nvault: nothing was stored");
    ends(&mut terminal, 1);
    assert_eq!(alice.read(STAGING), before);
}

#[test]
fn what_would_be_lost_is_summed_up_and_asked_about() {
    let Some(alice) = project() else { return };
    let mut terminal = edit(&alice, &[]);
    tell(&mut terminal, r#"sed -i 's/^ALPHA=/RENAMED=/' "$1""#);
    terminal.expect("staging: RENAMED will be added");
    terminal.expect("staging: ALPHA will be removed");
    terminal.expect("go on? [y/N]");
    terminal.type_line("n");
    terminal.expect("edit again? [Y/n]");
    terminal.type_line("");
    tell(&mut terminal, r#"cat "$1" >/dev/null"#);
    terminal.expect("go on? [y/N]");
    terminal.type_line("y");
    terminal.expect("ALPHA removed, RENAMED added");
    ends(&mut terminal, 0);
    assert_eq!(
        export(&alice, "staging"),
        format!("{{\"BETA\": \"{BETA}\", \"RENAMED\": \"{ALPHA}\"}}\n")
    );
}

#[test]
fn what_somebody_else_changes_meanwhile_is_merged_or_shown_beside() {
    let Some(alice) = project() else { return };
    let mut terminal = edit(&alice, &[]);
    terminal.expect("READY");
    set(&alice, "staging", "BETA", "theirs");
    set(&alice, "staging", "OTHER", "new");
    terminal.type_line(r#"sed -i 's/^ALPHA=.*/ALPHA=mine/' "$1""#);
    terminal.expect("ALPHA changed");
    ends(&mut terminal, 0);
    let want = "{\"ALPHA\": \"mine\", \"BETA\": \"theirs\", \"OTHER\": \"new\"}\n";
    assert_eq!(export(&alice, "staging"), want);
    // The same variable: both versions come back, and one has to be chosen.
    let mut terminal = edit(&alice, &[]);
    terminal.expect("READY");
    set(&alice, "staging", "ALPHA", "theirs-too");
    terminal.type_line(r#"sed -i 's/^ALPHA=.*/ALPHA=mine-again/' "$1""#);
    terminal.expect("somebody else has changed the same variables meanwhile");
    terminal.expect("look at both? [Y/n]");
    terminal.type_line("");
    tell(&mut terminal, r#"grep ALPHA "$1""#);
    terminal.expect("ALPHA=mine-again");
    terminal.expect("ALPHA=theirs-too");
    terminal.expect("defined twice");
    terminal.expect("edit again? [Y/n]");
    terminal.type_line("");
    tell(&mut terminal, r#"sed -i '/^ALPHA=theirs/d' "$1""#);
    terminal.expect("ALPHA changed");
    ends(&mut terminal, 0);
    assert_eq!(get(&alice, "staging", "ALPHA"), b"mine-again");
}

#[test]
fn a_value_that_is_no_text_is_named_and_kept() {
    let Some(alice) = project() else { return };
    set(&alice, "staging", "BINARY", b"\xff\xfe");
    let mut terminal = edit(&alice, &[]);
    tell(&mut terminal, r#"grep BINARY "$1"; sed -i '/BINARY/d; s/^ALPHA=.*/ALPHA=new/' "$1""#);
    terminal.expect("#: BINARY: not text, kept as it is");
    terminal.expect("vault: staging: ALPHA changed");
    ends(&mut terminal, 0);
    assert_eq!(get(&alice, "staging", "BINARY"), b"\xff\xfe");
}

#[test]
fn without_a_terminal_or_an_editor_it_ends_before_a_key_is_asked_for() {
    let alice = vault();
    let key = ["VAULT_KEY_COMMAND", "touch asked"];
    alice.vault(["edit", "staging"]).env(key[0], key[1]).run().expect(
        1,
        "",
        "vault: there is no terminal for an editor\nhint: `vault set` changes a value without one\n",
    );
    if !needs("setsid") {
        return;
    }
    for (editor, told) in [
        ("no-such-editor -x", "the editor `no-such-editor` of VISUAL is not there"),
        ("'", "VISUAL has a quote that is never closed"),
        (" ", "VISUAL names no editor"),
    ] {
        let run = alice.vault(["edit", "staging"]).env(key[0], key[1]).env("VISUAL", editor);
        let (screen, status) = run.on_terminal().expect_end();
        assert!(status.code() != Some(0) && screen.contains(told), "{editor}: {screen}");
    }
    assert!(!alice.path("project/asked").exists());
}

/// Writes the value wherever an editor might, and names each place that takes it.
const LEAKY: &str = r#"for place in "$1.swp" ../x "$HOME/.viminfo" "$HOME/.cache/x" /tmp/leak /var/tmp/leak-of-vault /dev/shm/leak-of-vault "$OLDPWD/x" "$XDG_STATE_HOME/x"; do mkdir -p "$(dirname "$place")" 2>/dev/null; cp "$1" "$place" 2>/dev/null; done"#;

#[track_caller]
fn assert_no_leak(person: &Sandbox) {
    for marker in [ALPHA, BETA] {
        person.assert_nowhere(marker);
    }
    for place in ["/tmp/leak", "/var/tmp/leak-of-vault", "/dev/shm/leak-of-vault"] {
        assert!(!std::path::Path::new(place).exists(), "{place}");
    }
}

#[test]
fn whatever_an_editor_writes_is_gone_afterwards() {
    let Some(alice) = project() else { return };
    let mut terminal = edit(&alice, &["--isolation", "namespace"]);
    tell(&mut terminal, &format!("{LEAKY}; ls -d /tmp/leak \"$HOME/.viminfo\"; echo done"));
    // It was there, for the editor.
    terminal.expect("/tmp/leak");
    terminal.expect(".viminfo");
    terminal.expect("nothing was changed");
    ends(&mut terminal, 0);
    assert_no_leak(&alice);
    alice.assert_no_process_left();
}

#[test]
fn behind_the_fence_an_editor_writes_to_one_folder_in_memory_which_goes() {
    if !needs("setsid") || !needs_landlock() {
        return;
    }
    let alice = vault();
    let mut terminal = edit(&alice, &["--isolation", "landlock"]);
    terminal.expect("the editor can write only to a folder in memory (landlock)");
    tell(&mut terminal, &format!("{LEAKY}; ls \"$1.swp\"; pwd; echo done"));
    terminal.expect("staging.env.swp");
    terminal.expect("nothing was changed");
    ends(&mut terminal, 0);
    assert_no_leak(&alice);
}

#[test]
fn kill_9_of_vault_ends_the_editor_and_leaves_nothing() {
    for isolation in ["namespace", "landlock"] {
        if !needs("setsid") || !needs_namespaces() || !needs_landlock() {
            return;
        }
        let alice = vault();
        let mut terminal = edit(&alice, &["--isolation", isolation]);
        tell(&mut terminal, &format!("{LEAKY}; echo WR''OTE; sleep 1000"));
        terminal.expect("WROTE");
        terminal.kill(Signal::KILL);
        terminal.expect_end();
        alice.assert_no_process_left();
        for marker in [ALPHA, BETA] {
            alice.assert_nowhere(marker);
        }
        // What lay in memory behind the fence is swept by the next start.
        let mut terminal = edit(&alice, &["--isolation", isolation]);
        tell(&mut terminal, r#"cat "$1" >/dev/null"#);
        ends(&mut terminal, 0);
        let left = std::fs::read_dir("/dev/shm").into_iter().flatten().flatten();
        let stale =
            |name: &str| name.starts_with(&format!("vault.{}.", terminal.pid().as_raw_nonzero()));
        assert!(!left.map(|entry| entry.file_name()).any(|name| stale(&name.to_string_lossy())));
    }
}

#[test]
fn a_signal_to_vault_ends_the_editor_and_puts_the_terminal_back() {
    let Some(alice) = project() else { return };
    for signal in [Signal::TERM, Signal::HUP] {
        let mut terminal = edit(&alice, &[]);
        tell(&mut terminal, &format!("{LEAKY}; stty raw -echo; echo WR''OTE; sleep 1000"));
        terminal.expect("WROTE");
        terminal.kill(signal);
        terminal.expect("\u{1b}[?1049l");
        let (screen, status) = terminal.expect_end();
        assert_eq!(status.signal(), Some(signal.as_raw()), "{screen}");
        assert!(processes::of_sandbox(alice.root()).is_empty());
        assert_no_leak(&alice);
    }
}

#[test]
fn an_interrupt_is_the_editors_alone() {
    let Some(alice) = project() else { return };
    let mut terminal = edit(&alice, &[]);
    tell(
        &mut terminal,
        r#"trap 'echo CAU""GHT; got=1' INT; cat "$1" >/dev/null; echo WA''ITS; until [ "$got" ]; do sleep 0.02; done; true"#,
    );
    terminal.expect("WAITS");
    terminal.control('c');
    terminal.expect("CAUGHT");
    terminal.expect("nothing was changed");
    ends(&mut terminal, 0);
}

#[test]
fn the_editor_of_our_own_masks_values_saves_and_writes_no_file() {
    if !needs("setsid") {
        return;
    }
    let alice = vault();
    let before = alice.read(STAGING);
    let edit = || {
        alice
            .vault(["edit", "staging", "--isolation", "builtin"])
            .env("TERM", "xterm")
            .on_terminal()
    };
    let mut terminal = edit();
    terminal.expect("the editor is vault's own, which writes no file (builtin)");
    terminal.expect("ALPHA=");
    terminal.control('q');
    let screen = ends(&mut terminal, 1);
    assert!(screen.contains("nothing was stored") && !screen.contains(ALPHA), "{screen}");
    assert_eq!(alice.read(STAGING), before);
    let mut terminal = edit();
    terminal.expect("ALPHA=");
    // To the end of the text, a line more, and save.
    terminal.type_raw("\u{1b}[1;5FGAMMA=new");
    terminal.expect("GAMMA");
    terminal.control('s');
    terminal.expect("GAMMA added");
    ends(&mut terminal, 0);
    assert_eq!(get(&alice, "staging", "GAMMA"), b"new");
    assert_no_leak(&alice);
}

#[test]
fn an_editor_that_crashes_leaves_no_core_to_anybody() {
    let Some(alice) = project() else { return };
    let before = alice.read(STAGING);
    let mut terminal = edit(&alice, &[]);
    // One byte, and not 0, which a core handler behind a pipe need not heed (core(5)).
    tell(
        &mut terminal,
        r#"cat "$1" >/dev/null; grep 'core file' /proc/self/limits; kill -SEGV $$"#,
    );
    let screen = ends(&mut terminal, 1);
    let limit =
        screen.lines().find(|line| line.starts_with("Max core file size")).expect("a limit");
    let words: Vec<&str> = limit.split_whitespace().skip(4).take(2).collect();
    assert!(words == ["1", "1"] || words == ["0", "0"], "{limit}");
    assert!(screen.contains("ended by signal 11, so nothing is stored"), "{screen}");
    assert_eq!(alice.read(STAGING), before);
}
