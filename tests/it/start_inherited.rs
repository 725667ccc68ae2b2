//! `vault start` and `vault run --redact` under parents that leave signals ignored or
//! blocked, with readers who never read, and beside processes that were stopped.

use rustix::process::{Pid, Signal, kill_process};

use crate::formations::{FOREVER, pid_of, plainly, project, start, vault_project};
use crate::support::needs::needs;
use crate::support::processes;

const VAULT: &str = env!("CARGO_BIN_EXE_vault");

/// Becomes the command of its arguments, with SIGCHLD ignored and SIGTERM blocked.
const PARENT: &str = "import os, signal, sys\n\
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n\
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})\n\
    os.execvp(sys.argv[1], sys.argv[1:])\n";

#[test]
fn the_end_of_a_process_is_heard_though_the_parent_ignored_its_children() {
    if !needs("python3") {
        return;
    }
    let sandbox = project(&format!("a: exit 5\nb: {FOREVER}\n"));
    let words = ["-c", PARENT, VAULT, "start", "--no-prefix"];
    let output = sandbox.program("python3", words).run();
    output.expect_that(5, "both have ended", |output| output.out().contains("b.1 stopped"));
    sandbox.assert_no_process_left();
}

#[test]
fn a_signal_that_the_parent_had_blocked_ends_all() {
    if !needs("python3") {
        return;
    }
    let sandbox = project(&format!("a: {FOREVER}\n"));
    let words = ["-c", PARENT, VAULT, "start", "--no-prefix"];
    let mut running = sandbox.program("python3", words).spawn();
    pid_of(&mut running, "a.1");
    running.kill(Signal::TERM);
    plainly(running.wait())
        .expect_that(143, "ended", |output| output.out().contains("SIGTERM received"));
}

#[test]
fn a_redacted_command_ends_and_ignores_its_children_as_it_would_without_us() {
    if !needs("python3") {
        return;
    }
    let sandbox = vault_project("", &["TOKEN=a-value"]);
    let script =
        "import signal; print(signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN); exit(4)";
    for flag in ["--redact", "--clean"] {
        let words =
            ["-c", PARENT, VAULT, "run", "-e", "staging", flag, "--", "python3", "-c", script];
        sandbox.program("python3", words).run().expect(4, "True\n", "");
    }
}

/// Starts the command of its arguments, never reads what it prints, and ends it once the file `over` is there.
const NEVER_READS: &str = "import os, signal, subprocess, sys, time\n\
    child = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE)\n\
    while not os.path.exists('over'): time.sleep(0.02)\n\
    child.send_signal(signal.SIGTERM)\n\
    print(child.wait())\n";

#[test]
fn a_redacted_run_whose_command_is_over_can_be_ended_though_nobody_reads() {
    if !needs("python3") {
        return;
    }
    let sandbox = vault_project("", &["TOKEN=a-value"]);
    let command = "head -c 100000 /dev/zero | tr '\\0' x; touch over; exit 3";
    let words =
        ["-c", NEVER_READS, VAULT, "run", "-e", "staging", "--redact", "--", "sh", "-c", command];
    sandbox.program("python3", words).run().expect_that(
        0,
        "its own status, or that of the signal",
        |output| ["3\n", "-15\n"].contains(&output.out()),
    );
    sandbox.assert_no_process_left();
}

#[test]
fn a_guard_that_was_stopped_holds_nothing_up() {
    let sandbox = project(&format!("a: {FOREVER}\n"));
    let mut running = start(&sandbox, ["--no-prefix"]).spawn();
    let process = pid_of(&mut running, "a.1");
    let all = processes::of_sandbox(sandbox.root());
    let others: Vec<Pid> =
        all.into_iter().filter(|pid| *pid != process && *pid != running.pid()).collect();
    assert!(!others.is_empty(), "there is no guard");
    for guard in others {
        kill_process(guard, Signal::STOP).unwrap();
    }
    running.kill(Signal::TERM);
    plainly(running.wait()).expect_that(143, "all are gone", |output| {
        output.out().ends_with("a.1 stopped (rc=-15)\n")
    });
    sandbox.assert_no_process_left();
}

#[test]
fn a_start_that_was_stopped_is_told_and_the_others_are_listed() {
    let sandbox = project(&format!("a: {FOREVER}\n"));
    let mut stopped = start(&sandbox, ["--no-prefix"]).spawn();
    pid_of(&mut stopped, "a.1");
    let mut other = start(&sandbox, ["--no-prefix", "-p", "7000"]).spawn();
    pid_of(&mut other, "a.1");
    stopped.kill(Signal::STOP);
    sandbox.vault(["ps"]).run().expect_that(1, "the other one, and who is silent", |output| {
        output.out().contains(" 7000 ") && output.err().contains("does not answer")
    });
    stopped.kill(Signal::CONT);
    for running in [stopped, other] {
        running.kill(Signal::TERM);
        running.wait();
    }
}

#[test]
fn a_link_to_environments_that_are_not_there_is_no_missing_vault() {
    let sandbox = project("a: echo $A\n");
    sandbox.write("project/.env", "A=plain\n");
    std::os::unix::fs::symlink("not-mounted", sandbox.path("project/envs")).unwrap();
    start(&sandbox, ["--no-prefix"]).run().expect(
        125,
        "",
        "vault: `envs` is a link to nothing\nhint: put the environments where it leads, or remove it\n",
    );
}

#[test]
fn a_line_that_runs_vault_itself_is_told_that_it_gets_no_key() {
    let sandbox = vault_project("a: A=1 exec vault run -e staging -- true\n", &[]);
    let key = std::fs::read_to_string(sandbox.home().join(".config/vault/identity")).unwrap();
    let words = ["-e", "staging", "--no-prefix"];
    let told = "vault: `a` calls `vault run` itself, and gets no key\n\
                hint: leave `vault run` out of its line, or add `--keep-key`\n";
    let run = start(&sandbox, words).env("VAULT_KEY", key.lines().last().unwrap());
    run.run().expect_that(127, "the notice", |output| output.err() == told);
    start(&sandbox, words).run().expect_that(127, "none", |output| output.err().is_empty());
}
