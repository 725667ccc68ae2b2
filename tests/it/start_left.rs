//! `vault start`: readers who are slow, processes that are asked twice, and who is
//! left behind by one that has ended.

use rustix::process::Signal;

use crate::formations::{FOREVER, is_there, pid_in, plainly, project, start, vault_project};
use crate::support::barrier::{until, wait_for, wait_for_line};
use crate::support::needs::needs;

const VAULT: &str = env!("CARGO_BIN_EXE_vault");

/// Reads a little at a time, with pauses that are longer than a value is held back, and then all; counts the
/// lines, those in which the value is hidden, and those in which any part of it stands.
const SLOW_READER: &str = "import sys, time\n\
    data = b''\n\
    for turn in range(15):\n    data += sys.stdin.buffer.read1(65536); time.sleep(0.15)\n\
    data += sys.stdin.buffer.read()\n\
    lines = [line for line in data.split(b'\\n') if line.startswith(b'v ')]\n\
    print(len(lines), sum(line == b'v [redacted TOKEN] e' for line in lines), data.count(b'marker'))\n";

#[test]
fn a_value_is_hidden_from_a_reader_who_is_slow() {
    if !needs("python3") {
        return;
    }
    let value = "marker-".repeat(12);
    let sandbox =
        vault_project("a: yes \"v $TOKEN e\" | head -n 100000\n", &[&format!("TOKEN={value}")]);
    sandbox.write("project/slow.py", SLOW_READER);
    let script = format!("{VAULT} start -e staging --no-prefix | python3 slow.py");
    sandbox.sh(script).run().expect(0, "100000 100000 0\n", "");
}

#[test]
fn what_a_process_that_may_end_left_behind_is_stopped_with_it() {
    let left =
        "(trap 'echo bye; exit' TERM; echo $$ >ready; while :; do sleep 0.02; done) 2>/dev/null &";
    let sandbox =
        project(&format!("a: {left} until [ -s ready ]; do sleep 0.02; done\nb: {FOREVER}\n"));
    let running = start(&sandbox, ["--no-prefix", "--can-end", "a", "--timeout", "1440m"]).spawn();
    let group = || {
        let ps = sandbox.vault(["ps"]).run();
        ps.out().lines().any(|line| line.starts_with("a.1") && line.contains("stopped"))
    };
    until(group, "a.1 to have ended");
    sandbox.vault(["stop", "a"]).run().expect(0, "", "");
    running.kill(Signal::TERM);
    plainly(running.wait()).expect(
        143,
        "a.1 started (pid=N)\nb.1 started (pid=N)\na.1 stopped (rc=0)\nbye\n\
         SIGTERM received\nsending SIGTERM to b.1 (pid N)\nb.1 stopped (rc=-15)\n",
        "",
    );
    sandbox.assert_no_process_left();
}

#[test]
fn a_release_that_is_stopped_is_not_done() {
    let sandbox = project(&format!("release: echo up; {FOREVER}\nweb: {FOREVER}\n"));
    let mut running = start(&sandbox, ["--no-prefix"]).spawn();
    running.wait_for("up");
    sandbox.vault(["stop", "release"]).run().expect(0, "", "");
    plainly(running.wait()).expect(
        143,
        "release.1 started (pid=N)\nup\nsending SIGTERM to release.1 (pid N)\n\
         release.1 stopped (rc=-15)\n",
        "",
    );
}

#[test]
fn asking_again_does_not_give_more_time() {
    let deaf = "exec 2>/dev/null; trap '' TERM; echo $$ >deaf; while :; do sleep 0.02; done";
    let sandbox = project(&format!("a: {deaf}\nb: {FOREVER}\n"));
    let mut running = start(&sandbox, ["--no-prefix", "--timeout", "2s"]).spawn();
    let process = pid_in(&sandbox.path("project/deaf"));
    let first = sandbox.vault(["stop", "a"]).spawn();
    running.wait_for("sending SIGTERM to a.1");
    // Each of them comes well within the time, and all together take longer than it.
    while is_there(process) {
        sandbox.sh(format!("timeout 0.3 {VAULT} stop a")).run();
    }
    first.wait().expect(0, "", "");
    running.kill(Signal::TERM);
    let output = plainly(running.wait());
    assert_eq!(output.out().matches("sending SIGTERM to a.1").count(), 1, "{}", output.out());
    assert!(output.out().contains("sending SIGKILL to a.1"), "{}", output.out());
}

#[test]
fn who_waits_shuts_the_door_to_nobody() {
    let deaf =
        "exec 2>/dev/null; trap '' TERM; echo $$ >deaf; until [ -e go ]; do sleep 0.02; done";
    let sandbox = project(&format!("a: {deaf}\nb: {FOREVER}\n"));
    let mut running = start(&sandbox, ["--no-prefix", "--timeout", "1440m"]).spawn();
    wait_for_line(&sandbox.path("project/deaf"));
    let waiting: Vec<_> = (0..20).map(|_| sandbox.vault(["stop", "a"]).spawn()).collect();
    running.wait_for("sending SIGTERM to a.1");
    let list = sandbox.vault(["ps"]).run();
    list.expect_that(0, "both", |output| output.out().lines().count() == 3);
    sandbox.write("project/go", "");
    for one in waiting {
        one.wait().expect(0, "", "");
    }
    running.kill(Signal::TERM);
    running.wait();
}

#[test]
fn a_restart_that_meets_the_end_is_refused() {
    let deaf =
        "exec 2>/dev/null; trap '' TERM; echo $$ >deaf; until [ -e go ]; do sleep 0.02; done";
    let sandbox = project(&format!("a: {deaf}\nb: {FOREVER}\n"));
    let mut running = start(&sandbox, ["--no-prefix", "--timeout", "1440m"]).spawn();
    wait_for_line(&sandbox.path("project/deaf"));
    let restart = sandbox.vault(["restart", "a"]).spawn();
    running.wait_for("sending SIGTERM to a.1");
    running.kill(Signal::TERM);
    restart.wait().expect(
        1,
        "",
        "vault: all processes are ending\nhint: `vault ps` shows what runs\n",
    );
    sandbox.write("project/go", "");
    running.wait();
}

#[test]
fn an_orphan_is_killed_though_a_zombie_keeps_its_group() {
    if !needs("python3") {
        return;
    }
    // The group of `a` keeps a zombie, whose parent has left it and never waits; a daemon hears no signal.
    let script = "import os, signal, time\n\
        signal.signal(signal.SIGTERM, signal.SIG_IGN)\n\
        if os.fork() == 0:\n    os.setsid()\n    open('daemon', 'w').write(str(os.getpid()) + '\\n')\n    \
        while True: time.sleep(1)\n\
        if os.fork() == 0:\n    group = os.getpgrp()\n    os.setsid()\n    \
        if os.fork() == 0:\n        os.setpgid(0, 0)\n        os._exit(0)\n    \
        open('parent', 'w').write(str(os.getpid()) + '\\n')\n    while True: time.sleep(1)\n\
        while True: time.sleep(1)\n";
    let sandbox = project("a: exec python3 keep.py\n");
    sandbox.write("project/keep.py", script);
    let running = start(&sandbox, ["--no-prefix", "--timeout", "100ms"]).spawn();
    wait_for(&sandbox.path("project/daemon"));
    wait_for(&sandbox.path("project/parent"));
    running.kill(Signal::TERM);
    running
        .wait()
        .expect_that(143, "all are gone", |output| !output.out().contains("can't be killed"));
    sandbox.assert_no_process_left();
}
