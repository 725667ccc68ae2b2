//! `vault start`: how all of it ends, and that nobody is left behind.

use rustix::process::Signal;

use crate::formations::{FOREVER, is_there, pid_in, pid_of, plain, plainly, project, start};
use crate::support::barrier::{until, wait_for, wait_for_line};
use crate::support::needs::{needs, needs_path};
use crate::support::sandbox::Sandbox;

const VAULT: &str = env!("CARGO_BIN_EXE_vault");

/// A command that hears no SIGTERM, and says in `deaf` when it doesn't.
const DEAF: &str = "exec 2>/dev/null; trap '' TERM INT HUP QUIT; echo $$ >deaf; \
                    while :; do sleep 0.02; done";

/// Long, so that nothing is killed by time in a test that is about something else.
const LATER: [&str; 3] = ["--no-prefix", "--timeout", "1440m"];
/// Short, where killing by time is what the test is about.
const SOON: [&str; 3] = ["--no-prefix", "--timeout", "100ms"];

#[test]
fn a_signal_ends_all_in_order_and_is_the_status() {
    for (signal, name, status) in [
        (Signal::TERM, "SIGTERM", 143),
        (Signal::INT, "SIGINT", 130),
        (Signal::HUP, "SIGHUP", 129),
        (Signal::QUIT, "SIGQUIT", 131),
    ] {
        let sandbox = project(&format!("a: {FOREVER}\n"));
        let mut running = start(&sandbox, LATER).spawn();
        let process = pid_of(&mut running, "a.1");
        running.kill(signal);
        let stdout = format!(
            "a.1 started (pid=N)\n{name} received\nsending SIGTERM to a.1 (pid N)\na.1 stopped (rc=-15)\n"
        );
        plainly(running.wait()).expect(status, &stdout, "");
        assert!(!is_there(process), "{name}");
        sandbox.assert_no_process_left();
    }
}

#[test]
fn a_signal_asks_all_at_once_and_waits_for_all() {
    // The first ends only after the second has been waited for, so one after the other would never end.
    let first = "exec 2>/dev/null; trap 'while kill -0 $(cat second); do sleep 0.02; done; exit 0' TERM; \
                 touch first; while :; do sleep 0.02; done";
    let second =
        "exec 2>/dev/null; trap 'exit 3' TERM; echo $$ >second; while :; do sleep 0.02; done";
    let sandbox = project(&format!("a: {first}\nb: {second}\n"));
    let running = start(&sandbox, LATER).spawn();
    wait_for(&sandbox.path("project/first"));
    wait_for_line(&sandbox.path("project/second"));
    running.kill(Signal::TERM);
    plainly(running.wait()).expect(
        143,
        "a.1 started (pid=N)\nb.1 started (pid=N)\nSIGTERM received\n\
         sending SIGTERM to a.1 (pid N)\nsending SIGTERM to b.1 (pid N)\n\
         b.1 stopped (rc=3)\na.1 stopped (rc=0)\n",
        "",
    );
    sandbox.assert_no_process_left();
}

#[test]
fn what_a_process_says_at_its_end_is_printed() {
    let last = "exec 2>/dev/null; trap 'echo tidying; printf done; exit 0' TERM; touch ready; \
                while :; do sleep 0.02; done";
    let sandbox = project(&format!("a: {last}\n"));
    let running = start(&sandbox, LATER).spawn();
    wait_for(&sandbox.path("project/ready"));
    running.kill(Signal::TERM);
    plainly(running.wait()).expect(
        143,
        "a.1 started (pid=N)\nSIGTERM received\nsending SIGTERM to a.1 (pid N)\n\
         tidying\ndone\na.1 stopped (rc=0)\n",
        "",
    );
}

/// Takes its time to end, and says in `tidied` whether it was heard.
const TIDY: &str = "exec 2>/dev/null\ntrap 'until [ -e go ]; do sleep 0.02; done; \
                    echo one && echo two && echo heard >tidied; exit 0' TERM\n\
                    touch ready\nwhile :; do sleep 0.02; done\n";

#[test]
fn what_a_program_says_after_the_shell_that_started_it_has_died_is_printed() {
    // Whether a shell replaces itself by its last command depends on the shell; this one can't.
    let sandbox = project(&format!("a: sh ./tidy; true\nb: {FOREVER}\n"));
    sandbox.write("project/tidy", TIDY);
    let mut running = start(&sandbox, LATER).spawn();
    let shell = pid_of(&mut running, "a.1");
    wait_for(&sandbox.path("project/ready"));
    running.kill(Signal::TERM);
    until(|| !is_there(shell), "the shell to die of the signal");
    running.wait_for("b.1 stopped");
    sandbox.write("project/go", "");
    plainly(running.wait()).expect(
        143,
        "a.1 started (pid=N)\nb.1 started (pid=N)\nSIGTERM received\n\
         sending SIGTERM to a.1 (pid N)\nsending SIGTERM to b.1 (pid N)\n\
         b.1 stopped (rc=-15)\none\ntwo\na.1 stopped (rc=-15)\n",
        "",
    );
    assert_eq!(wait_for_line(&sandbox.path("project/tidied")), "heard\n");
    sandbox.assert_no_process_left();
}

#[test]
fn what_a_background_child_says_after_the_first_end_is_printed() {
    let sandbox = project("a: sh ./tidy & until [ -e ready ]; do sleep 0.02; done; exit 5\n");
    sandbox.write("project/tidy", TIDY);
    let mut running = start(&sandbox, LATER).spawn();
    running.wait_for("a.1 stopped");
    sandbox.write("project/go", "");
    plainly(running.wait()).expect(5, "a.1 started (pid=N)\na.1 stopped (rc=5)\none\ntwo\n", "");
    assert_eq!(wait_for_line(&sandbox.path("project/tidied")), "heard\n");
    sandbox.assert_no_process_left();
}

#[test]
fn a_program_that_outlives_its_shell_is_killed_when_the_time_is_over() {
    let sandbox = project("a: sh ./script; true\n");
    sandbox.write("project/script", DEAF);
    let running = start(&sandbox, SOON).spawn();
    let deaf = pid_in(&sandbox.path("project/deaf"));
    running.kill(Signal::TERM);
    plainly(running.wait()).expect(
        143,
        "a.1 started (pid=N)\nSIGTERM received\nsending SIGTERM to a.1 (pid N)\n\
         sending SIGKILL to a.1 (pid N)\na.1 stopped (rc=-15)\n",
        "",
    );
    assert!(!is_there(deaf));
    sandbox.assert_no_process_left();
}

#[test]
fn a_process_that_ignores_the_signal_is_killed_when_the_time_is_over() {
    let sandbox = project(&format!("a: {DEAF}\nb: {FOREVER}\n"));
    let running = start(&sandbox, SOON).spawn();
    let deaf = pid_in(&sandbox.path("project/deaf"));
    running.kill(Signal::TERM);
    plainly(running.wait()).expect(
        143,
        "a.1 started (pid=N)\nb.1 started (pid=N)\nSIGTERM received\n\
         sending SIGTERM to a.1 (pid N)\nsending SIGTERM to b.1 (pid N)\n\
         b.1 stopped (rc=-15)\nsending SIGKILL to a.1 (pid N)\na.1 stopped (rc=-9)\n",
        "",
    );
    assert!(!is_there(deaf));
    sandbox.assert_no_process_left();
}

#[test]
fn the_time_runs_from_the_signal_also_when_all_ignore_it() {
    // Honcho waits for a first end before it counts, and so for ever.
    let sandbox = project(&format!("a: {DEAF}\nb: {}\n", DEAF.replace(">deaf", ">deaf2")));
    let running = start(&sandbox, SOON).spawn();
    wait_for_line(&sandbox.path("project/deaf"));
    wait_for_line(&sandbox.path("project/deaf2"));
    running.kill(Signal::INT);
    let output = plainly(running.wait());
    let output = output.expect_that(130, "nothing on stderr", |output| output.stderr.is_empty());
    for line in ["sending SIGKILL to a.1 (pid N)", "sending SIGKILL to b.1 (pid N)"] {
        assert_eq!(output.out().matches(line).count(), 1, "{}", output.out());
    }
    assert_eq!(output.out().matches("stopped (rc=-9)").count(), 2, "{}", output.out());
    sandbox.assert_no_process_left();
}

#[test]
fn a_second_signal_kills_at_once_and_the_first_is_the_status() {
    for (first, second) in [(Signal::TERM, Signal::INT), (Signal::INT, Signal::TERM)] {
        let sandbox = project(&format!("a: {DEAF}\n"));
        let mut running = start(&sandbox, LATER).spawn();
        wait_for_line(&sandbox.path("project/deaf"));
        running.kill(first);
        running.wait_for("sending SIGTERM to a.1");
        running.kill(second);
        let name = |signal| if signal == Signal::INT { "SIGINT" } else { "SIGTERM" };
        let status = if first == Signal::INT { 130 } else { 143 };
        let stdout = format!(
            "a.1 started (pid=N)\n{} received\nsending SIGTERM to a.1 (pid N)\n{} received\n\
             sending SIGKILL to a.1 (pid N)\na.1 stopped (rc=-9)\n",
            name(first),
            name(second),
        );
        plainly(running.wait()).expect(status, &stdout, "");
        sandbox.assert_no_process_left();
    }
}

#[test]
fn a_signal_that_a_wrapper_sends_twice_is_one_request() {
    // As timeout(1) does: to its child, and at once to the whole group.
    let slow = "exec 2>/dev/null; trap 'until [ -e go ]; do sleep 0.02; done; exit 0' TERM; \
                touch ready; while :; do sleep 0.02; done";
    let sandbox = project(&format!("a: {slow}\n"));
    let mut running = start(&sandbox, LATER).spawn();
    wait_for(&sandbox.path("project/ready"));
    running.kill(Signal::TERM);
    running.kill(Signal::TERM);
    running.wait_for("sending SIGTERM to a.1");
    sandbox.write("project/go", "");
    let output = plainly(running.wait());
    output.expect_that(143, "its own end, not a kill", |output| {
        output.out().ends_with("a.1 stopped (rc=0)\n")
    });
    sandbox.assert_no_process_left();
}

#[test]
fn a_signal_while_all_are_ending_by_themselves_is_the_status_and_kills_nobody() {
    let slow = "exec 2>/dev/null; trap 'until [ -e go ]; do sleep 0.02; done; exit 0' TERM; \
                touch ready; while :; do sleep 0.02; done";
    let first = "until [ -e ready ]; do sleep 0.02; done; exit 3";
    let sandbox = project(&format!("a: {first}\nb: {slow}\n"));
    let mut running = start(&sandbox, LATER).spawn();
    running.wait_for("sending SIGTERM to b.1");
    running.kill(Signal::TERM);
    running.wait_for("SIGTERM received");
    sandbox.write("project/go", "");
    plainly(running.wait()).expect(
        143,
        "a.1 started (pid=N)\nb.1 started (pid=N)\na.1 stopped (rc=3)\n\
         sending SIGTERM to b.1 (pid N)\nSIGTERM received\nb.1 stopped (rc=0)\n",
        "",
    );
}

#[test]
fn a_signal_during_the_release_ends_it_and_starts_nothing_else() {
    let sandbox = project(&format!("release: {FOREVER}\nweb: touch marker\n"));
    let mut running = start(&sandbox, LATER).spawn();
    pid_of(&mut running, "release.1");
    running.kill(Signal::TERM);
    plainly(running.wait()).expect(
        143,
        "release.1 started (pid=N)\nSIGTERM received\nsending SIGTERM to release.1 (pid N)\n\
         release.1 stopped (rc=-15)\n",
        "",
    );
    assert!(!sandbox.path("project/marker").exists(), "the others were started");
}

#[test]
fn a_signal_during_the_pause_before_a_restart_ends_it_at_once() {
    let sandbox = project("a: exit 1\n");
    let mut running = start(&sandbox, LATER).args(["--restart", "a"]).spawn();
    // The pauses double, so this one is the second and a whole second long.
    running.wait_for("starts again in 1 s");
    running.kill(Signal::TERM);
    let output = plainly(running.wait());
    let output = output.expect_that(143, "nothing on stderr", |output| output.stderr.is_empty());
    assert!(output.out().ends_with("starts again in 1 s\nSIGTERM received\n"), "{}", output.out());
}

/// Counts its interrupts, and ends at SIGTERM with what it has counted.
const COUNTS: &str = "exec 2>/dev/null; n=0; trap 'n=$((n+1))' INT; trap 'echo interrupts: $n; exit 0' TERM; \
                      touch ready; while :; do sleep 0.02; done";

#[test]
fn a_process_that_has_stopped_itself_can_tidy_up() {
    let stopped =
        "exec 2>/dev/null; trap 'echo tidied; exit 0' TERM; echo $$ >it; kill -STOP $$; sleep 1000";
    let sandbox = project(&format!("a: {stopped}\n"));
    let running = start(&sandbox, LATER).spawn();
    let process = pid_in(&sandbox.path("project/it"));
    let state = || std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    until(|| state().contains(") T "), "the process to be stopped");
    running.kill(Signal::TERM);
    plainly(running.wait()).expect(
        143,
        "a.1 started (pid=N)\nSIGTERM received\nsending SIGTERM to a.1 (pid N)\ntidied\n\
         a.1 stopped (rc=0)\n",
        "",
    );
}

#[test]
fn one_key_press_is_one_round_of_signals() {
    if !needs("setsid") {
        return;
    }
    let sandbox = project(&format!("a: {COUNTS}\nb: {FOREVER}\n"));
    let mut terminal = start(&sandbox, LATER).on_terminal();
    wait_for(&sandbox.path("project/ready"));
    terminal.control('c');
    let (screen, status) = terminal.expect_end();
    assert_eq!(status.code(), Some(130), "{screen}");
    for line in ["SIGINT received\n", "interrupts: 0\n", "sending SIGTERM to a.1 ", "to b.1 "] {
        assert_eq!(screen.matches(line).count(), 1, "{line}: {screen}");
    }
    assert!(!screen.contains("SIGKILL"), "{screen}");
    sandbox.assert_no_process_left();
}

#[test]
fn a_second_key_press_kills() {
    if !needs("setsid") {
        return;
    }
    let sandbox = project(&format!("a: {DEAF}\n"));
    let mut terminal = start(&sandbox, LATER).on_terminal();
    wait_for_line(&sandbox.path("project/deaf"));
    terminal.control('c');
    terminal.expect("sending SIGTERM to a.1");
    terminal.control('c');
    let (screen, status) = terminal.expect_end();
    assert_eq!(status.code(), Some(130), "{screen}");
    assert!(screen.contains("sending SIGKILL to a.1"), "{screen}");
    sandbox.assert_no_process_left();
}

#[test]
fn a_wrapper_that_passes_the_key_press_on_does_not_make_it_a_second_one() {
    if !needs("setsid") || !needs("python3") {
        return;
    }
    let slow = "exec 2>/dev/null; trap 'until [ -e go ]; do sleep 0.02; done; echo tidy; exit 0' TERM; \
                touch ready; while :; do sleep 0.02; done";
    let sandbox = project(&format!("a: {slow}\n"));
    let code = "import signal, subprocess, sys
child = subprocess.Popen(sys.argv[1:])
def pass_on(*_):
    child.send_signal(signal.SIGINT)
    open('passed', 'w').close()
signal.signal(signal.SIGINT, pass_on)
sys.exit(child.wait())";
    let run = sandbox.program("python3", ["-c", code, VAULT, "start"]).args(LATER);
    let mut terminal = run.on_terminal();
    wait_for(&sandbox.path("project/ready"));
    terminal.control('c');
    terminal.expect("sending SIGTERM to a.1");
    wait_for(&sandbox.path("project/passed"));
    // It answers, so the signal, which came before, has been dealt with.
    sandbox.vault(["ps"]).run().expect_like(0, "NAME [..]\na.1 [..] running [..]\n", "");
    sandbox.write("project/go", "");
    let (screen, status) = terminal.expect_end();
    assert_eq!(status.code(), Some(130), "{screen}");
    assert!(screen.contains("tidy\n") && !screen.contains("SIGKILL"), "{screen}");
}

#[test]
fn a_window_that_is_closed_ends_all() {
    if !needs("setsid") || !needs_path("/proc/self/stat") {
        return;
    }
    let sandbox = project(&format!("a: echo $$ >pid; {FOREVER}\n"));
    let mut terminal = start(&sandbox, LATER).on_terminal();
    let process = pid_in(&sandbox.path("project/pid"));
    terminal.hang_up();
    let (_, status) = terminal.expect_end();
    assert_eq!(status.code(), Some(129));
    assert!(!is_there(process));
    sandbox.assert_no_process_left();
}

#[test]
fn a_hangup_that_was_ignored_stays_ignored() {
    if !needs("nohup") {
        return;
    }
    let wait = "until [ -e go ]; do sleep 0.02; done; echo alive";
    let sandbox = project(&format!("a: touch ready; {wait}\n"));
    let run = sandbox.program("nohup", [VAULT, "start"]).args(LATER);
    let mut running = run.spawn();
    wait_for(&sandbox.path("project/ready"));
    running.kill(Signal::HUP);
    // Vault answers `ps`, so the signal, which came before, has been dealt with.
    sandbox.vault(["ps"]).run().expect_like(0, "NAME [..]\na.1 [..] running [..]\n", "");
    sandbox.write("project/go", "");
    running.wait_for("alive");
    plainly(running.wait()).expect(0, "a.1 started (pid=N)\nalive\na.1 stopped (rc=0)\n", "");
}

#[test]
fn a_process_that_daemonises_is_gone_after_the_end() {
    if !needs("setsid") || !needs_path("/proc/self/stat") {
        return;
    }
    // Twice forked and in a session of its own, with nothing of ours open: only its parent tells.
    let daemon =
        "(setsid sh -c \"echo \\$\\$ >daemon; exec sleep 1000\" </dev/null >/dev/null 2>&1 &)";
    for deaf in [false, true] {
        let daemon =
            if deaf { daemon.replace("echo", "trap '' TERM; echo") } else { daemon.into() };
        let script = format!("{daemon}; until [ -s daemon ]; do sleep 0.02; done; exit 5");
        let sandbox = project(&format!("a: {script}\n"));
        plainly(start(&sandbox, SOON).run()).expect_like(
            5,
            "a.1 started (pid=N)\na.1 stopped (rc=5)\n...",
            "",
        );
        let process = pid_in(&sandbox.path("project/daemon"));
        assert!(!is_there(process), "the daemon has outlived us");
        sandbox.assert_no_process_left();
    }
}

#[test]
fn background_children_of_two_processes_are_gone_after_the_end() {
    let script = |file: &str| format!("sleep 1000 & echo $! >{file}; sleep 1000 & wait");
    let sandbox = project(&format!("a: {}\nb: {}\n", script("one"), script("two")));
    let running = start(&sandbox, LATER).spawn();
    let children = ["project/one", "project/two"].map(|file| pid_in(&sandbox.path(file)));
    running.kill(Signal::TERM);
    let output = running.wait();
    assert_eq!((output.code(), output.err()), (Some(143), ""));
    assert_eq!(children.map(is_there), [false, false]);
    sandbox.assert_no_process_left();
}

#[test]
fn what_a_shell_has_started_is_ended_when_vault_is_killed_with_nine() {
    // The shell waits, so the kernel's own signal to our child does not reach the program.
    let tidy = "sh -c 'echo $$ >tidy; trap \"echo tidied >said; exit\" TERM; while :; do sleep 0.02; done' >/dev/null 2>&1; true";
    let deaf =
        "sh -c 'trap \"\" TERM; echo $$ >deaf; while :; do sleep 0.02; done' >/dev/null 2>&1; true";
    let sandbox = project(&format!("a: {tidy}\nb: {deaf}\n"));
    let running = start(&sandbox, SOON).spawn();
    let (a, b) = (pid_in(&sandbox.path("project/tidy")), pid_in(&sandbox.path("project/deaf")));
    running.kill(Signal::KILL);
    until(|| !is_there(a) && !is_there(b), "the programs below the shells to be ended");
    assert_eq!(wait_for_line(&sandbox.path("project/said")), "tidied\n");
    running.wait();
    until(|| crate::support::processes::of_sandbox(sandbox.root()).is_empty(), "nobody left");
}

#[test]
fn who_is_killed_with_nine_leaves_no_direct_child() {
    if !needs_path("/proc/self/stat") {
        return;
    }
    let sandbox = project(&format!("a: {DEAF}\nb: echo $$ >b; {FOREVER}\n"));
    for words in [&[][..], &["--pty"]] {
        sandbox.sh("rm -f deaf b").run().success();
        let running = start(&sandbox, words).spawn();
        let (a, b) = (pid_in(&sandbox.path("project/deaf")), pid_in(&sandbox.path("project/b")));
        running.kill(Signal::KILL);
        until(|| !is_there(a) && !is_there(b), "the processes to be killed with vault");
        let output = running.wait();
        assert_eq!((output.signal(), output.err()), (Some(9), ""), "{words:?}");
    }
}

#[test]
fn a_reader_that_stops_ends_all_in_order() {
    if !needs_path("/proc/self/stat") {
        return;
    }
    let tidy = "exec 2>/dev/null; trap 'echo gone >tidied; exit 0' TERM; echo $$ >ready; \
                while :; do sleep 0.02; done";
    for talkative in ["yes", FOREVER] {
        let sandbox = project(&format!("a: {tidy}\nb: {talkative}\n"));
        let script = "{ \"$0\" start; echo $? >status; } | head -n 1";
        let output = sandbox.sh(script).arg(VAULT).run();
        let text = plain(output.out());
        assert_eq!(
            (output.code(), text.as_str()),
            (Some(0), "TIME system | a.1 started (pid=N)\n")
        );
        assert_eq!(output.err(), "");
        // As a program in a pipe that dies of SIGPIPE.
        assert_eq!(wait_for_line(&sandbox.path("project/status")), "141\n", "{talkative}");
        sandbox.assert_no_process_left();
    }
}

#[test]
fn a_reader_that_stops_gives_the_processes_time_to_tidy_up() {
    let tidy = "exec 2>/dev/null; trap 'echo gone >tidied; exit 0' TERM; touch ready; \
                while :; do sleep 0.02; done";
    let sandbox = project(&format!("a: {tidy}\n"));
    let script = "{ \"$0\" start; echo $? >status; } | { read -r line; until [ -e ready ]; do sleep 0.02; done; }";
    sandbox.sh(script).arg(VAULT).run().expect(0, "", "");
    assert_eq!(wait_for_line(&sandbox.path("project/status")), "141\n");
    assert_eq!(wait_for_line(&sandbox.path("project/tidied")), "gone\n");
    sandbox.assert_no_process_left();
}

#[test]
fn a_full_disk_is_told_and_ends_all() {
    if !needs_path("/dev/full") {
        return;
    }
    let sandbox = project(&format!("a: {FOREVER}\n"));
    sandbox.sh("exec \"$0\" start >/dev/full").arg(VAULT).run().expect_like(
        1,
        "",
        "vault: cannot write to the standard output: [..]\n",
    );
    sandbox.assert_no_process_left();
}

#[test]
fn children_that_vault_was_started_with_are_left_alone() {
    if !needs_path("/proc/self/stat") {
        return;
    }
    let sandbox = project("a: exit 5\n");
    let script =
        "sleep 1000 </dev/null >/dev/null 2>&1 & echo $! >own; exec \"$0\" start --no-prefix";
    plainly(sandbox.sh(script).arg(VAULT).run()).expect(
        5,
        "a.1 started (pid=N)\na.1 stopped (rc=5)\n",
        "",
    );
    let own = pid_in(&sandbox.path("project/own"));
    assert!(is_there(own), "vault has ended a process that it had not started");
    crate::support::processes::kill_all(&[own]);
}

#[test]
fn a_child_of_the_shell_before_that_ends_means_nothing() {
    let sandbox = project("a: until [ -e go ]; do sleep 0.02; done; exit 5\n");
    let script = "sh -c 'until [ -e ready ]; do sleep 0.02; done; exit 9' & echo $! >own; \
                  exec \"$0\" start --no-prefix";
    let mut running = sandbox.sh(script).arg(VAULT).spawn();
    pid_of(&mut running, "a.1");
    let own = pid_in(&sandbox.path("project/own"));
    sandbox.write("project/ready", "");
    until(|| !is_there(own), "the earlier child to end");
    sandbox.vault(["ps"]).run().expect_like(0, "NAME [..]\na.1 [..]\n", "");
    sandbox.write("project/go", "");
    plainly(running.wait()).expect(5, "a.1 started (pid=N)\na.1 stopped (rc=5)\n", "");
}

#[test]
fn an_orphan_that_ends_by_itself_ends_nothing() {
    if !needs_path("/proc/self/stat") {
        return;
    }
    let orphan = "(sh -c \"echo \\$\\$ >orphan; until [ -e ready ]; do sleep 0.02; done\" &)";
    let script = format!("{orphan}; until [ -e go ]; do sleep 0.02; done; exit 5");
    let sandbox = project(&format!("a: {script}\n"));
    let running = start(&sandbox, LATER).spawn();
    let process = pid_in(&sandbox.path("project/orphan"));
    sandbox.write("project/ready", "");
    // Vault is its parent now, and has to wait for it.
    until(|| !std::path::Path::new(&format!("/proc/{process}")).exists(), "no zombie to be left");
    sandbox.write("project/go", "");
    plainly(running.wait()).expect(5, "a.1 started (pid=N)\na.1 stopped (rc=5)\n", "");
}

#[test]
fn a_closed_input_or_output_is_no_hindrance() {
    let sandbox = Sandbox::new();
    sandbox.write("project/Procfile", "a: readlink /proc/self/fd/0; touch marker; exit 5\n");
    let run = |redirections: &str| {
        let script = format!("\"$0\" start --no-prefix {redirections}");
        sandbox.sh(script).arg(VAULT).run()
    };
    plainly(run("<&-")).expect(5, "a.1 started (pid=N)\n/dev/null\na.1 stopped (rc=5)\n", "");
    run(">&-").expect(5, "", "");
    run("<&- >&- 2>&-").expect(5, "", "");
}
