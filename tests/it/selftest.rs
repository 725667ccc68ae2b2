//! The harness on trial: it has to catch what tests rely on it to catch.

use std::os::unix::process::ExitStatusExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use rustix::process::Signal;

use crate::support::barrier::{until, wait_for, wait_for_line};
use crate::support::like::is_like;
use crate::support::needs::{find_program, needs};
use crate::support::processes;
use crate::support::pty::Terminal;
use crate::support::sandbox::Sandbox;

/// What `action` says when it fails, which it has to.
#[track_caller]
#[expect(clippy::panic, reason = "a helper of tests")]
fn failure(action: impl FnOnce()) -> String {
    match catch_unwind(AssertUnwindSafe(action)) {
        Ok(()) => panic!("this should have failed"),
        Err(payload) => payload.downcast_ref::<String>().cloned().unwrap_or_default(),
    }
}

#[test]
fn all_three_are_compared_and_shown() {
    let sandbox = Sandbox::new();
    let run = || sandbox.sh("echo out; echo err >&2; exit 3").run();
    run().expect(3, "out\n", "err\n");
    for (code, out, err) in [(2, "out\n", "err\n"), (3, "out", "err\n"), (3, "out\n", "")] {
        let text = failure(|| drop(run().expect(code, out, err)));
        for part in ["sh -c", "in /", "exit status 3", "--- stdout\nout", "--- stderr\nerr"] {
            assert!(text.contains(part), "{part:?} is not in {text}");
        }
    }
    failure(|| drop(run().success()));
    failure(|| drop(sandbox.sh("echo err >&2").run().success()));
    failure(|| drop(sandbox.sh("printf '\\377'").run().expect(0, "\u{fffd}", "")));
}

#[test]
fn text_with_holes_is_compared_as_a_whole() {
    let sandbox = Sandbox::new();
    let run = || sandbox.sh("printf 'a 1 b\\nx\\ny\\nend\\n'").run();
    run().expect_like(0, "a [..] b\n...\nend\n", "");
    failure(|| drop(run().expect_like(0, "a [..] b\n...\nend", "")));
    failure(|| drop(run().expect_like(0, "a [..] c\n...\n", "")));
    failure(|| drop(run().expect(0, "a [..] b\n...\nend\n", "")));
    run().expect_that(0, "four lines", |output| output.out().lines().count() == 4);
    failure(|| drop(run().expect_that(0, "five lines", |o| o.out().lines().count() == 5)));
}

#[test]
fn holes_match_what_they_should() {
    for (pattern, text) in [
        ("...", ""),
        ("...", "a\nb"),
        ("a\n...", "a"),
        ("a\n...\nb", "a\nb"),
        ("...\nb\n...", "a\nb\nb\nc"),
        ("...\na\nb", "a\na\nb"),
        ("[..]", ""),
        ("a[..]", "a"),
        ("[..]ab[..]b", "xabab"),
    ] {
        assert!(is_like(pattern, text), "{pattern:?} {text:?}");
    }
    for (pattern, text) in [
        ("", "a"),
        ("a", ""),
        ("a\n...\nb", "ab"),
        ("a[..]a", "a"),
        ("[..]", "a\nb"),
        ("....", "a"),
    ] {
        assert!(!is_like(pattern, text), "{pattern:?} {text:?}");
    }
}

proptest! {
    #[test]
    fn text_without_holes_is_like_itself_only(a in "[a-c\n]{0,6}", b in "[a-c\n]{0,6}") {
        prop_assert_eq!(is_like(&a, &b), a == b);
    }

    #[test]
    fn a_hole_swallows_anything(a in "[ab]{0,4}", b in "[ab\\[.\\]]{0,6}", c in "[ab]{0,4}") {
        let pattern = format!("{a}[..]{c}");
        prop_assert!(is_like(&pattern, &format!("{a}{b}{c}")), "{}", pattern);
    }
}

#[test]
fn the_watchdog_ends_what_hangs_and_shows_what_it_said() {
    let sandbox = Sandbox::new();
    let start = Instant::now();
    let text = failure(|| {
        // Asleep in a child of its own, which must go with it.
        let run = sandbox.sh("echo before; sleep 1000 & wait; true");
        drop(run.limit(Duration::from_millis(300)).run());
    });
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    assert!(text.contains("still ran after") && text.contains("before"), "{text}");
    sandbox.assert_no_process_left();
}

#[test]
fn the_environment_is_the_sandbox_and_nothing_else() {
    let sandbox = Sandbox::new();
    let env = sandbox.program("env", [""; 0]).env("ADDED", "1").env_remove("TERM").run().success();
    let mut names: Vec<&str> =
        env.out().lines().filter_map(|l| Some(l.split_once('=')?.0)).collect();
    names.sort_unstable();
    let expected = "ADDED GIT_AUTHOR_DATE GIT_AUTHOR_EMAIL GIT_AUTHOR_NAME GIT_CEILING_DIRECTORIES \
                    GIT_COMMITTER_DATE GIT_COMMITTER_EMAIL GIT_COMMITTER_NAME GIT_CONFIG_GLOBAL \
                    GIT_CONFIG_NOSYSTEM HOME LANG NO_COLOR PATH TMPDIR USER XDG_CONFIG_HOME \
                    XDG_RUNTIME_DIR XDG_STATE_HOME";
    assert_eq!(names.join(" "), expected);
    sandbox.sh("echo $HOME; pwd").run().expect(0, "$SANDBOX/home\n$SANDBOX/project\n", "");
    assert_eq!(sandbox.mode("run"), 0o700);
}

#[test]
fn a_program_has_no_terminal_but_its_own() {
    if !needs("setsid") {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.sh("(: </dev/tty) 2>/dev/null || echo none").run().expect(0, "none\n", "");
    // Cargo hands down descriptors of its own, so compare, and do not count.
    let descriptors = || sandbox.sh("ls /proc/self/fd").run().success().stdout;
    let before = descriptors();
    let terminal = Terminal::start(&sandbox, "sleep", ["1000"]);
    assert_eq!(descriptors(), before, "left: while a terminal is open");
    drop(terminal);
    sandbox.assert_no_process_left();
}

#[test]
fn input_is_given_whole_and_then_ends() {
    let sandbox = Sandbox::new();
    let long = "x".repeat(300_000);
    sandbox.program("cat", [""; 0]).stdin(&long).run().expect(0, &long, "");
    sandbox.program("true", [""; 0]).stdin(&long).run().success();
    let mut cat = sandbox.program("cat", [""; 0]).stdin_open().spawn();
    cat.write("a\nb");
    cat.wait_for("b");
    assert_eq!(cat.lines(), ["a"]);
    cat.close_stdin();
    cat.wait().expect(0, "a\nb", "");
}

#[test]
fn a_signal_is_told_from_an_exit() {
    let sandbox = Sandbox::new();
    let mut running = sandbox.sh("echo ready; sleep 1000").spawn();
    running.wait_for("ready");
    running.kill_group(Signal::TERM);
    let output = running.wait().expect_signal(Signal::TERM, "ready\n", "");
    assert_eq!((output.code(), output.signal()), (None, Some(15)));
    failure(|| drop(sandbox.sh("kill -TERM $$").run().expect(143, "", "")));
}

#[test]
fn who_leaves_its_output_open_is_named() {
    let sandbox = Sandbox::new();
    let running = sandbox.sh("trap '' HUP; sleep 1000 & echo $!").spawn();
    let mut left = Vec::new();
    let pid = running.pid();
    until(
        || {
            left = processes::in_session(pid);
            running.lines().len() == 1
                && left.iter().any(|p| processes::describe(*p).contains("sleep"))
        },
        "the sleeper",
    );
    drop(running);
    sandbox.assert_no_process_left();
}

#[test]
fn a_snapshot_sees_every_change() {
    let sandbox = Sandbox::new();
    sandbox.write("project/a", "one");
    sandbox.write("project/b", "one");
    let before = sandbox.snapshot();
    sandbox.assert_unchanged_since(&before);
    sandbox.sh("echo two >a; chmod 4755 b; : >c; rm -r ../tmp; ln -s a d").run().success();
    let text = failure(|| sandbox.assert_unchanged_since(&before));
    for line in [
        "project/a has other",
        "project/b had mode",
        "project/c is new",
        "tmp is gone",
        "project/d is new",
    ] {
        assert!(text.contains(line), "{line:?} is not in {text}");
    }
    assert_eq!(sandbox.mode("project/b"), 0o4755);
    assert_eq!(sandbox.read("project/a"), "two\n");
}

#[test]
fn a_marker_is_found_in_files_names_and_links() {
    for script in ["printf 'a\\000hunter2' >x", "mkdir -p a/hunter2", "ln -s hunter2 x"] {
        let sandbox = Sandbox::new();
        sandbox.assert_nowhere("hunter2");
        sandbox.sh(script).run().success();
        failure(|| sandbox.assert_nowhere("hunter2"));
    }
}

#[test]
fn two_people_share_a_project_and_nothing_else() {
    let tester = Sandbox::new();
    let bob = tester.another_home("bob");
    bob.sh("echo $USER >file; pwd; echo $HOME").run().expect(
        0,
        "$SANDBOX/project\n$SANDBOX/people/bob/home\n",
        "",
    );
    assert_eq!(tester.read("project/file"), "bob\n");
    tester.sh("git init -q -b main && git add . && git commit -qm x").run().success();
    let bob = bob.with_project("people/bob/clone");
    bob.program("git", ["clone", "-q"]).arg(tester.project()).arg(".").run().success();
    bob.sh("git log --format='%an %cI %s'").run().expect(0, "tester 2024-01-02T03:04:05Z x\n", "");
}

#[test]
fn files_are_waited_for() {
    let sandbox = Sandbox::new();
    let running =
        sandbox.sh(": >x; printf 'half ' >y; read go; echo line >>y").stdin_open().spawn();
    wait_for(&sandbox.path("project/x"));
    let mut running = running;
    running.write("go\n");
    assert_eq!(wait_for_line(&sandbox.path("project/y")), "half line\n");
    running.wait().success();
}

#[test]
fn control_c_on_the_terminal_interrupts_the_program() {
    if !needs("setsid") {
        return;
    }
    let sandbox = Sandbox::new();
    let mut terminal = Terminal::start(&sandbox, "sh", ["-c", "echo ready; exec sleep 1000"]);
    terminal.expect("ready");
    terminal.control('c');
    let (text, status) = terminal.expect_end();
    assert_eq!((text.as_str(), status.signal()), ("ready\n^C", Some(2)));
}

#[test]
fn a_terminal_has_a_size_an_echo_and_a_person() {
    if !needs("setsid") {
        return;
    }
    let sandbox = Sandbox::new();
    let script = "trap 'echo now $(stty size)' WINCH; stty size </dev/tty; printf 'name? '; \
                  read name; echo \"hello $name\"; echo resize; \
                  read more || read more; stty -echo; printf 'pin? '; read pin; echo got ${#pin}";
    let mut terminal = sandbox.sh(script).on_terminal();
    terminal.expect("24 80");
    terminal.expect("name? ");
    terminal.type_line("\u{e9}va");
    assert_eq!(terminal.expect_regex(r"hello \w+"), "hello \u{e9}va");
    terminal.expect("resize");
    terminal.resize(30, 100);
    terminal.type_line("");
    terminal.expect("now 30 100");
    // A shell may end its `read` by the signal or go on with it.
    terminal.type_line("");
    terminal.expect("pin? ");
    terminal.type_line("1234");
    terminal.expect("got ");
    let (text, status) = terminal.expect_end();
    assert!(status.success(), "{text}");
    assert!(text.contains("name? \u{e9}va\nhello") && !text.contains("1234"), "{text}");
}

#[test]
fn a_terminal_that_hangs_up_ends_its_session() {
    if !needs("setsid") {
        return;
    }
    let sandbox = Sandbox::new();
    let mut terminal = Terminal::start(&sandbox, "sh", ["-c", "echo ready; exec sleep 1000"]);
    terminal.expect("ready");
    terminal.hang_up();
    let (_, status) = terminal.expect_end();
    assert_eq!(status.signal(), Some(1));
}

#[test]
fn text_that_never_comes_fails_with_the_screen() {
    if !needs("setsid") {
        return;
    }
    let sandbox = Sandbox::new();
    let mut terminal = Terminal::start(&sandbox, "echo", ["something else"]);
    let text = failure(|| terminal.expect("this"));
    assert!(text.contains("\"this\"") && text.contains("something else"), "{text}");
    // What was found is used up.
    let mut terminal = Terminal::start(&sandbox, "echo", ["once"]);
    terminal.expect("once");
    failure(|| terminal.expect("once"));
}

#[test]
fn programs_are_looked_for_in_the_search_path() {
    assert!(find_program("sh").is_some());
    assert!(find_program("no-such-program").is_none());
}

#[test]
fn the_built_vault_is_the_one_that_runs() {
    let sandbox = Sandbox::new();
    let output = sandbox.vault(["--version"]).run();
    assert_eq!(output.signal(), None);
}
