//! `vault start --sandbox`: not even `kill -9` leaves a process behind.

use rustix::process::Signal;

use crate::formations::{FOREVER, plainly, start, vault_project};
use crate::support::barrier::{until, wait_for, wait_for_line};
use crate::support::needs::{needs, needs_namespaces};

/// Processes that leave their session and their parent, and say so.
const DAEMON: &str = "setsid sh -c 'trap \"\" TERM HUP INT; echo $$ >daemon; while :; do sleep 0.05; done' & \
                      until [ -s daemon ]; do sleep 0.02; done; echo up; exec sleep 1000";

#[test]
fn kill_9_leaves_nobody_not_even_who_has_left_the_session() {
    let sandbox = vault_project(&format!("a: {DAEMON}\n"), &["A=1"]);
    if !needs_namespaces() {
        return;
    }
    let mut running = start(&sandbox, ["-e", "staging", "--sandbox"]).spawn();
    running.wait_for("| up");
    running.kill(Signal::KILL);
    running.wait();
    // The kernel ends them in its own time.
    until(|| crate::support::processes::of_sandbox(sandbox.root()).is_empty(), "an empty sandbox");
    sandbox.assert_no_process_left();
}

#[test]
fn it_starts_ends_and_is_asked_as_without() {
    let procfile = format!("a: echo $PPID $A >world; {FOREVER}\nb: {FOREVER}\n");
    let sandbox = vault_project(&procfile, &["A=from-the-vault"]);
    if !needs_namespaces() {
        return;
    }
    let words = ["-e", "staging", "--sandbox", "--no-prefix", "--no-redact"];
    let mut running = start(&sandbox, words).spawn();
    running.wait_for("b.1 started");
    assert_eq!(wait_for_line(&sandbox.path("project/world")), "2 from-the-vault\n");
    let listed = sandbox.vault(["ps"]).run();
    listed.expect_that(0, "both", |output| output.out().matches("running").count() == 2);
    sandbox.vault(["stop", "b"]).run().expect(0, "", "");
    running.kill(Signal::TERM);
    let output = plainly(running.wait());
    output.expect(
        143,
        "a.1 started (pid=N)\nb.1 started (pid=N)\nsending SIGTERM to b.1 (pid N)\nb.1 stopped (rc=-15)\n\
         SIGTERM received\nsending SIGTERM to a.1 (pid N)\na.1 stopped (rc=-15)\n",
        "",
    );
    sandbox.assert_no_process_left();
}

#[test]
fn a_process_sees_only_the_processes_of_its_sandbox() {
    let sandbox =
        vault_project("a: cat /proc/1/comm; ls -d /proc/[0-9]* | wc -l >count; exit 5\n", &[]);
    if !needs_namespaces() {
        return;
    }
    let output = start(&sandbox, ["-e", "staging", "--sandbox", "--no-prefix"]).run();
    output.expect_that(5, "vault as process 1", |output| output.out().contains("\nvault\n"));
    wait_for(&sandbox.path("project/count"));
    let count: usize = wait_for_line(&sandbox.path("project/count")).trim().parse().unwrap_or(0);
    assert!((2..10).contains(&count), "{count}");
}

#[test]
fn one_interrupt_in_a_terminal_is_one_round() {
    let sandbox = vault_project(&format!("a: {FOREVER}\n"), &[]);
    if !needs("setsid") || !needs_namespaces() {
        return;
    }
    let mut terminal = start(&sandbox, ["-e", "staging", "--sandbox", "--no-prefix"]).on_terminal();
    terminal.expect("a.1 started");
    terminal.control('c');
    let (screen, status) = terminal.expect_end();
    assert_eq!(status.code(), Some(130), "{screen}");
    assert_eq!(screen.matches("SIGINT received").count(), 1, "{screen}");
    assert!(screen.contains("a.1 stopped (rc=-15)"), "{screen}");
    sandbox.assert_no_process_left();
}

#[test]
fn a_signal_that_comes_early_is_not_lost() {
    let sandbox = vault_project(&format!("a: {FOREVER}\n"), &[]);
    if !needs_namespaces() {
        return;
    }
    // The key is asked for inside, before anything is started.
    sandbox.write("project/key", "touch asked\nexec sleep 1000\n");
    let running = start(&sandbox, ["-e", "staging", "--sandbox", "--no-prefix"])
        .env("VAULT_KEY_COMMAND", "sh ./key")
        .spawn();
    wait_for(&sandbox.path("project/asked"));
    running.kill(Signal::TERM);
    // Passed on, or, as long as nobody inside is known to listen, ended by it at once: to a shell that is the same.
    let output = running.wait();
    let told = (output.code(), output.signal(), output.out(), output.err());
    assert!(told == (Some(143), None, "", "") || told == (None, Some(15), "", ""), "{told:?}");
    sandbox.assert_no_process_left();
}

#[test]
fn the_job_stops_and_goes_on_as_a_whole() {
    let sandbox = vault_project("a: while :; do echo tick; sleep 0.02; done\n", &[]);
    if !needs("setsid") || !needs("bash") || !needs_namespaces() {
        return;
    }
    let vault = env!("CARGO_BIN_EXE_vault");
    let mut shell = sandbox.program("bash", ["--norc", "--noprofile", "-i"]).on_terminal();
    shell.expect("bash-");
    shell.type_line(&format!("{vault} start -e staging --sandbox --no-prefix -q a"));
    shell.expect("a.1 started");
    shell.control('z');
    shell.expect("Stopped");
    shell.expect("bash-");
    shell.type_line("fg");
    shell.expect("start -e staging");
    shell.control('c');
    shell.expect("SIGINT received");
    shell.expect("a.1 stopped");
    shell.type_line("echo the status was $?; exit");
    shell.expect("the status was 130");
    shell.expect_end();
    sandbox.assert_no_process_left();
}
