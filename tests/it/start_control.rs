//! `vault ps`, `vault stop` and `vault restart`: a word to the `vault start`
//! that runs in the same project.

#![allow(clippy::expect_used, reason = "helpers of tests have to fail the test")]

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use rustix::process::Signal;

use crate::formations::{FOREVER, is_there, pid_of, plainly, project, start, vault_project};
use crate::support::barrier::{until, wait_for};
use crate::support::needs::{needs, needs_other_user, needs_path};
use crate::support::run::Running;
use crate::support::sandbox::Sandbox;

const NONE_RUNS: &str = "vault: no `vault start` runs in this project\n\
                         hint: start one with `vault start`\n";

/// One that other users may run too.
const PYTHON: &str = "/usr/bin/python3";

/// Two types that stay, three processes.
const STAY: &str = "web: exec sleep 1000\nworker: exec sleep 1000\n";

/// Starts it, and waits until the last process is there.
#[track_caller]
fn started(sandbox: &Sandbox, words: &[&str], last: &str) -> Running {
    let mut running = start(sandbox, words).args(["--no-prefix", "--timeout", "1440m"]).spawn();
    pid_of(&mut running, last);
    running
}

/// The columns of `ps` without the times.
#[track_caller]
fn listed(sandbox: &Sandbox) -> Vec<String> {
    let output = sandbox.vault(["ps"]).run().success();
    let row = |line: &str| {
        let cells: Vec<&str> = line.split_whitespace().collect();
        [cells[0], cells[2], cells[4], cells[5]].join(" ")
    };
    output.out().lines().map(row).collect()
}

fn sockets(sandbox: &Sandbox) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(sandbox.path("run/vault")).into_iter().flatten();
    entries.flatten().map(|entry| entry.path()).collect()
}

#[track_caller]
fn ends(running: Running, status: i32) {
    let output = running.wait();
    assert_eq!((output.code(), output.err()), (Some(status), ""));
}

#[test]
fn what_runs_is_listed_as_a_table_and_as_json() {
    let sandbox = project(STAY);
    let mut running = started(&sandbox, &["-c", "web=2"], "worker.1");
    let pid = pid_of(&mut running, "web.2");
    assert_eq!(
        listed(&sandbox),
        [
            "NAME STATE PORT STARTS",
            "web.1 running 5000 1",
            "web.2 running 5001 1",
            "worker.1 running 5100 1"
        ]
    );
    let output = sandbox.vault(["ps"]).run().success();
    assert!(output.out().contains(&format!("web.2     {pid} ")), "{}", output.out());
    for words in [["ps", "--json"], ["--json", "ps"]] {
        let output = sandbox.vault(words).run().success();
        let mut rows: serde_json::Value = serde_json::from_str(output.out()).expect("JSON");
        for row in rows.as_array_mut().expect("a list") {
            assert!(row["uptime"].as_u64().expect("a number") < 60);
            row["uptime"] = 0.into();
        }
        let row = |name: &str, pid: i32, port: u32| {
            serde_json::json!({
                "name": name, "pid": pid, "state": "running", "uptime": 0, "port": port, "starts": 1
            })
        };
        assert_eq!(rows[1], row("web.2", pid.as_raw_nonzero().get(), 5001));
        assert_eq!(rows.as_array().map(Vec::len), Some(3));
    }
    running.kill(Signal::TERM);
    ends(running, 143);
}

#[test]
fn one_process_or_one_type_is_stopped_and_the_others_go_on() {
    let sandbox = project(STAY);
    let mut running = started(&sandbox, &["-c", "web=3"], "worker.1");
    let pids = ["web.1", "web.2", "web.3"].map(|name| pid_of(&mut running, name));
    sandbox.vault(["stop", "web.2"]).run().expect(0, "", "");
    // It has ended when the command has.
    assert_eq!(pids.map(is_there), [true, false, true]);
    assert_eq!(listed(&sandbox)[2], "web.2 stopped 5001 1");
    sandbox.vault(["stop", "web"]).run().expect(0, "", "");
    assert_eq!(pids.map(is_there), [false; 3]);
    let rows = listed(&sandbox);
    assert_eq!(
        rows[1..],
        [
            "web.1 stopped 5000 1",
            "web.2 stopped 5001 1",
            "web.3 stopped 5002 1",
            "worker.1 running 5100 1"
        ]
    );
    // The last one that goes takes the whole with it.
    sandbox.vault(["stop", "worker"]).run().expect(0, "", "");
    ends(running, 0);
    assert!(sockets(&sandbox).is_empty());
}

#[test]
fn stop_alone_ends_all_with_status_0() {
    let sandbox = project(STAY);
    let mut running = started(&sandbox, &[], "worker.1");
    let pid = pid_of(&mut running, "web.1");
    sandbox.vault(["stop"]).run().expect(0, "", "");
    assert!(!is_there(pid));
    plainly(running.wait()).expect_like(
        0,
        "web.1 started (pid=N)\nworker.1 started (pid=N)\nstop received\n\
         sending SIGTERM to web.1 (pid N)\nsending SIGTERM to worker.1 (pid N)\n\
         [..].1 stopped (rc=-15)\n[..].1 stopped (rc=-15)\n",
        "",
    );
    assert!(sockets(&sandbox).is_empty(), "its socket is left");
    sandbox.vault(["ps"]).run().expect(1, "", NONE_RUNS);
    sandbox.assert_no_process_left();
}

#[test]
fn a_process_is_started_again_under_its_name_and_port() {
    let sandbox = project(
        "web: echo on $PORT as $VAULT_PROCESS_NAME; exec sleep 1000\nworker: exec sleep 1000\n",
    );
    let mut running = started(&sandbox, &["-c", "web=2"], "worker.1");
    running.wait_for("on 5001 as web.2");
    let before = pid_of(&mut running, "web.2");
    sandbox.vault(["restart", "web.2"]).run().expect(0, "", "");
    // The answer may be there before the lines: until then the last number is the first one's.
    until(
        || running.lines().iter().filter(|line| *line == "on 5001 as web.2").count() == 2,
        "the second one to say its port",
    );
    let after = pid_of(&mut running, "web.2");
    assert!(!is_there(before) && is_there(after));
    assert_eq!(listed(&sandbox)[1..3], ["web.1 running 5000 1", "web.2 running 5001 2"]);
    // What was stopped comes back, and without a name all do.
    sandbox.vault(["stop", "worker"]).run().expect(0, "", "");
    sandbox.vault(["restart"]).run().expect(0, "", "");
    assert_eq!(
        listed(&sandbox)[1..],
        ["web.1 running 5000 2", "web.2 running 5001 3", "worker.1 running 5100 2"]
    );
    running.kill(Signal::INT);
    ends(running, 130);
    sandbox.assert_no_process_left();
}

#[test]
fn who_ignores_the_signal_is_killed_when_the_time_is_over_and_then_started_again() {
    let deaf = "exec 2>/dev/null; trap '' TERM; touch deaf; while :; do sleep 0.02; done";
    let sandbox = project(&format!("a: {deaf}\nb: {FOREVER}\n"));
    let mut running = start(&sandbox, ["--no-prefix", "--timeout", "100ms"]).spawn();
    wait_for(&sandbox.path("project/deaf"));
    let before = pid_of(&mut running, "a.1");
    sandbox.vault(["restart", "a"]).run().expect(0, "", "");
    assert!(!is_there(before));
    running.wait_for("sending SIGKILL to a.1");
    assert_eq!(listed(&sandbox)[1..], ["a.1 running 5000 2", "b.1 running 5100 1"]);
    sandbox.vault(["stop"]).run().expect(0, "", "");
    ends(running, 0);
}

#[test]
fn background_children_go_with_the_process_that_is_stopped() {
    let sandbox = project(&format!("a: sleep 1000 & echo $! >child; wait\nb: {FOREVER}\n"));
    let running = started(&sandbox, &[], "b.1");
    let child = crate::formations::pid_in(&sandbox.path("project/child"));
    sandbox.vault(["stop", "a"]).run().expect(0, "", "");
    assert!(!is_there(child), "its child was left behind");
    sandbox.vault(["stop"]).run().expect(0, "", "");
    ends(running, 0);
}

#[test]
fn what_a_program_says_after_its_shell_has_died_is_printed_and_waited_for() {
    let sandbox = project(&format!("a: sh ./tidy; true\nb: {FOREVER}\n"));
    let tidy = "exec 2>/dev/null\ntrap 'sleep 0.1; echo tidied; touch tidied; exit 0' TERM\n\
                touch ready\nwhile :; do sleep 0.02; done\n";
    sandbox.write("project/tidy", tidy);
    for (word, after) in [("restart", "running 5000 2"), ("stop", "stopped 5000 1")] {
        sandbox.sh("rm -f ready tidied").run().success();
        let mut running = started(&sandbox, &[], "b.1");
        wait_for(&sandbox.path("project/ready"));
        sandbox.vault([word, "a"]).run().expect(0, "", "");
        assert!(sandbox.path("project/tidied").exists(), "it met a closed pipe");
        running.wait_for("tidied\na.1 stopped (rc=-15)\n");
        assert_eq!(listed(&sandbox)[1], format!("a.1 {after}"));
        sandbox.vault(["stop"]).run().expect(0, "", "");
        ends(running, 0);
    }
}

#[test]
fn a_release_that_is_run_again_starts_nothing_else_again() {
    let sandbox = project(&format!("release: echo x >>releases\nweb: {FOREVER}\n"));
    let mut running = started(&sandbox, &[], "web.1");
    let web = pid_of(&mut running, "web.1");
    sandbox.vault(["restart", "release"]).run().expect(0, "", "");
    until(|| sandbox.read("project/releases") == "x\nx\n", "the second release");
    until(|| listed(&sandbox)[1].starts_with("release.1 stopped"), "its end");
    assert_eq!(listed(&sandbox)[1..], ["release.1 stopped 5000 2", "web.1 running 5100 1"]);
    assert!(is_there(web));
    // Without a name the release is not meant.
    sandbox.vault(["restart"]).run().expect(0, "", "");
    assert_eq!(listed(&sandbox)[1..], ["release.1 stopped 5000 2", "web.1 running 5100 2"]);
    sandbox.vault(["stop"]).run().expect(0, "", "");
    ends(running, 0);
    sandbox.assert_no_process_left();
}

#[test]
fn who_is_stopped_before_his_turn_is_not_started() {
    let release = "until [ -e go ]; do sleep 0.02; done";
    let sandbox = project(&format!("release: {release}\nweb: {FOREVER}\nworker: {FOREVER}\n"));
    let mut running = started(&sandbox, &[], "release.1");
    assert_eq!(listed(&sandbox)[2], "web.1 waiting 5100 0");
    sandbox.vault(["stop", "web"]).run().expect(0, "", "");
    sandbox.vault(["restart", "worker"]).run().expect(0, "", "");
    sandbox.write("project/go", "");
    pid_of(&mut running, "worker.1");
    assert_eq!(
        listed(&sandbox)[1..],
        ["release.1 stopped 5000 1", "web.1 stopped 5100 0", "worker.1 running 5200 1"]
    );
    sandbox.vault(["stop"]).run().expect(0, "", "");
    ends(running, 0);
}

#[test]
fn names_that_nobody_has_and_projects_where_nothing_runs_are_told() {
    let sandbox = project(STAY);
    for words in [&["ps"][..], &["stop"], &["restart"], &["stop", "web"], &["restart", "web.1"]] {
        sandbox.vault(words).run().expect(1, "", NONE_RUNS);
    }
    let running = started(&sandbox, &[], "worker.1");
    for word in ["stop", "restart"] {
        for name in ["wob", "web.2", "WEB", "release"] {
            let stderr =
                format!("vault: no process is called `{name}`\nhint: `vault ps` shows what runs\n");
            sandbox.vault([word, "web", name]).run().expect(1, "", &stderr);
        }
        for name in ["a b", "", "a\nstop", "\u{1b}[31m"] {
            let output = sandbox.vault([word, name]).run();
            output.expect_that(2, "a sentence that no terminal obeys", |output| {
                output.stdout.is_empty()
                    && output.err().starts_with("vault: no process can be called ")
                    && !output.err().contains('\u{1b}')
            });
        }
    }
    // All or nothing: a name that is right beside one that is wrong.
    assert_eq!(listed(&sandbox)[1..], ["web.1 running 5000 1", "worker.1 running 5100 1"]);
    sandbox.vault(["stop"]).run().expect(0, "", "");
    ends(running, 0);
    let output = sandbox.vault(["--json", "ps"]).run();
    output.expect_that(1, "an object on stderr", |output| {
        output.stdout.is_empty() && output.err().starts_with("{\"error\":{")
    });
}

#[test]
fn each_project_has_its_own_and_the_same_one_may_run_twice() {
    let sandbox = project(STAY);
    sandbox.write("project/other/Procfile", "other: exec sleep 1000\n");
    let one = started(&sandbox, &["web"], "web.1");
    let other = started(&sandbox, &["-d", "other"], "other.1");
    let two = started(&sandbox, &["-p", "7000", "worker"], "worker.1");
    let mut rows = listed(&sandbox);
    rows.sort();
    assert_eq!(rows, ["NAME STATE PORT STARTS", "web.1 running 5000 1", "worker.1 running 7000 1"]);
    for run in [sandbox.vault(["-d", "other", "ps"]), sandbox.vault(["ps"]).cwd("other")] {
        run.run().expect_like(0, "NAME [..]\nother.1 [..]\n", "");
    }
    // A name is for the one that has it.
    sandbox.vault(["restart", "worker"]).run().expect(0, "", "");
    sandbox.vault(["stop"]).run().expect(0, "", "");
    ends(one, 0);
    ends(two, 0);
    sandbox.vault(["stop", "-d", "other"]).run().expect(0, "", "");
    ends(other, 0);
}

#[test]
fn from_a_folder_below_the_vault_the_same_one_is_meant() {
    let sandbox = vault_project(STAY, &["A=1"]);
    sandbox.sh("mkdir -p deep/down").run().success();
    let running = started(&sandbox, &["-e", "staging"], "worker.1");
    sandbox.vault(["ps"]).cwd("deep/down").run().expect_like(0, "NAME [..]\nweb.1 [..]\n...", "");
    // No key and no environment is needed for it.
    sandbox.sh("rm -r ../home/.config/vault").run().success();
    sandbox.vault(["stop"]).cwd("deep/down").run().expect(0, "", "");
    ends(running, 0);
}

#[test]
fn a_socket_that_was_left_behind_is_swept() {
    let sandbox = project(STAY);
    let killed = || {
        let running = started(&sandbox, &[], "worker.1");
        running.kill(Signal::KILL);
        assert_eq!(running.wait().signal(), Some(9));
        assert_eq!(sockets(&sandbox).len(), 1, "nothing was left to be swept");
    };
    killed();
    sandbox.vault(["ps"]).run().expect(1, "", NONE_RUNS);
    assert!(sockets(&sandbox).is_empty(), "`ps` has not swept it");
    killed();
    let stale = sockets(&sandbox);
    let running = started(&sandbox, &[], "worker.1");
    assert!(sockets(&sandbox).len() == 1 && sockets(&sandbox) != stale, "`start` has not swept it");
    sandbox.vault(["stop"]).run().expect(0, "", "");
    ends(running, 0);
}

#[test]
fn the_socket_and_its_folder_are_the_users_alone() {
    let sandbox = project(STAY);
    let running = sandbox.sh("umask 000; exec \"$0\" start").arg(env!("CARGO_BIN_EXE_vault"));
    let mut running = running.spawn();
    pid_of(&mut running, "worker.1");
    assert_eq!(sandbox.mode("run/vault"), 0o700);
    let socket = sockets(&sandbox).remove(0);
    assert_eq!(sandbox.mode(socket), 0o600);
    sandbox.vault(["stop"]).run().expect(0, "", "");
    ends(running, 0);
}

#[test]
fn a_runtime_folder_that_is_open_to_others_gets_no_socket() {
    let sandbox = project("a: exit 5\n");
    let set_mode = |mode| {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(sandbox.path("run/vault"), mode).expect("a mode");
    };
    sandbox.sh("mkdir ../run/vault ../elsewhere").run().success();
    let told = "no socket in `$SANDBOX/run/vault`, so `vault ps` finds nothing: [..]";
    let refused = || {
        plainly(start(&sandbox, ["--no-prefix", "-v"]).run()).expect_like(
            5,
            "a.1 started (pid=N)\na.1 stopped (rc=5)\n",
            &format!("vault: {told}\n"),
        );
        plainly(start(&sandbox, ["--no-prefix"]).run()).expect(
            5,
            "a.1 started (pid=N)\na.1 stopped (rc=5)\n",
            "",
        );
    };
    for mode in [0o777, 0o770, 0o705, 0o701] {
        set_mode(mode);
        refused();
    }
    // A link into another folder is none of ours.
    sandbox
        .sh("rmdir ../run/vault; chmod 700 ../elsewhere; ln -s ../elsewhere ../run/vault")
        .run()
        .success();
    refused();
    sandbox.sh("rm ../run/vault; touch ../run/vault").run().success();
    refused();
}

#[test]
fn another_user_is_refused_even_where_the_modes_let_him_in() {
    let (Some(user), true, true) = (needs_other_user(), needs("setpriv"), needs_path(PYTHON))
    else {
        return;
    };
    let sandbox = project(STAY);
    let mut running = started(&sandbox, &[], "worker.1");
    let pid = pid_of(&mut running, "web.1");
    let socket = sockets(&sandbox).remove(0);
    sandbox.sh("chmod 755 .. ../run ../run/vault; chmod 666 ../run/vault/*").run().success();
    let code = "import socket, sys
client = socket.socket(socket.AF_UNIX)
client.connect(sys.argv[1])
try:
    client.sendall(b'stop\\n')
    print(client.recv(100))
except (BrokenPipeError, ConnectionResetError):
    print(b'')";
    let ids = [format!("--reuid={user}"), format!("--regid={user}"), "--clear-groups".to_owned()];
    let run = sandbox.program("setpriv", ids).args([PYTHON, "-c", code]).arg(&socket);
    run.run().expect(0, "b''\n", "");
    assert!(is_there(pid));
    // The owner is still heard, by the same words.
    let mut stream = UnixStream::connect(&socket).expect("a socket");
    stream.write_all(b"stop\n").expect("a listener");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert_eq!(answer, "ok\n");
    ends(running, 0);
}

#[test]
fn who_says_nothing_or_nonsense_disturbs_nobody() {
    let sandbox = project(STAY);
    let running = started(&sandbox, &[], "worker.1");
    let socket = sockets(&sandbox).remove(0);
    let connect = || UnixStream::connect(&socket).expect("a socket");
    let silent = [connect(), connect(), connect()];
    drop(connect());
    for nonsense in [&b"hello\n"[..], b"\n", b"\xff\xfe\n", b"STOP\n", b"st", &[b'x'; 5000]] {
        let mut stream = connect();
        // It may have been hung up on before all of it was written.
        drop(stream.write_all(nonsense));
        drop(stream.shutdown(std::net::Shutdown::Write));
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer));
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || answer == "no that was not understood\n", "{answer}");
    }
    assert_eq!(listed(&sandbox)[1..], ["web.1 running 5000 1", "worker.1 running 5100 1"]);
    // Whoever leaves before his answer takes nothing with him.
    let mut stream = connect();
    stream.write_all(b"restart web\n").expect("a listener");
    drop(stream);
    until(|| listed(&sandbox)[1] == "web.1 running 5000 2", "the restart");
    drop(silent);
    sandbox.vault(["stop"]).run().expect(0, "", "");
    ends(running, 0);
}
