//! `vault start`: whose end is the end of all, who may end, who starts again,
//! and what runs before the others.

use rustix::process::Signal;

use crate::formations::{FOREVER, plainly, project, said, start, started, vault_project};

#[test]
fn the_first_process_that_ends_decides_also_with_status_0() {
    for (command, rc, status) in [
        ("exit 0", "0", 0),
        ("exit 42", "42", 42),
        ("exit 255", "255", 255),
        ("no-such-command 2>/dev/null", "127", 127),
        ("kill -TERM $$", "-15", 143),
        ("kill -INT $$", "-2", 130),
        ("kill -HUP $$", "-1", 129),
        ("kill -KILL $$", "-9", 137),
        ("ulimit -c 0; kill -SEGV $$", "-11", 139),
    ] {
        let sandbox = project(&format!("a: {command}\nb: {FOREVER}\n"));
        let stdout = format!(
            "a.1 started (pid=N)\nb.1 started (pid=N)\na.1 stopped (rc={rc})\n\
             sending SIGTERM to b.1 (pid N)\nb.1 stopped (rc=-15)\n"
        );
        plainly(start(&sandbox, ["--no-prefix"]).run()).expect(status, &stdout, "");
        sandbox.assert_no_process_left();
    }
}

#[test]
fn the_status_of_the_first_holds_whatever_the_others_end_with() {
    let trap =
        "exec 2>/dev/null; trap 'exit 9' TERM; echo ready >ready; while :; do sleep 0.02; done";
    let procfile = format!("a: until [ -s ready ]; do sleep 0.02; done; exit 3\nb: {trap}\n");
    let sandbox = project(&procfile);
    plainly(start(&sandbox, ["--no-prefix"]).run()).expect(
        3,
        "a.1 started (pid=N)\nb.1 started (pid=N)\na.1 stopped (rc=3)\n\
         sending SIGTERM to b.1 (pid N)\nb.1 stopped (rc=9)\n",
        "",
    );
}

#[test]
fn who_can_end_with_status_0_leaves_the_others_running() {
    // It ends when the other has been waited for.
    let procfile = "migrate: echo $$ >done\n\
                    web: until [ -s done ] && ! kill -0 $(cat done) 2>/dev/null; do sleep 0.02; done; exit 7\n";
    let sandbox = project(procfile);
    let output = start(&sandbox, ["--no-prefix", "--can-end", "migrate"]).run();
    let output = plainly(output)
        .expect_that(7, "web ended by itself", |output| !output.out().contains("sending"));
    assert!(output.out().contains("migrate.1 stopped (rc=0)\n"), "{}", output.out());
    // A single process can be named too, and if all have ended so has the whole.
    sandbox.write("project/Procfile", "a: true\nb: true\n");
    let output = start(&sandbox, ["--can-end", "a.1", "--can-end", "b"]).run().success();
    assert!(!output.out().contains("sending"), "{}", output.out());
}

#[test]
fn who_can_end_and_fails_ends_the_others() {
    let sandbox = project(&format!("migrate: exit 5\nweb: {FOREVER}\n"));
    plainly(start(&sandbox, ["--no-prefix", "--can-end", "migrate"]).run()).expect(
        5,
        "migrate.1 started (pid=N)\nweb.1 started (pid=N)\nmigrate.1 stopped (rc=5)\n\
         sending SIGTERM to web.1 (pid N)\nweb.1 stopped (rc=-15)\n",
        "",
    );
}

/// Counts its starts in a file, and at the third tells the other that it stays.
const COUNTED: &str = "echo $PORT $VAULT_PROCESS_NAME >>starts; \
                       [ $(wc -l <starts) -lt 3 ] || { touch enough; exec sleep 1000; }; exit ";

#[test]
fn who_restarts_comes_back_after_growing_pauses_under_the_same_name_and_port() {
    let web = "until [ -e enough ]; do sleep 0.02; done; exit 7";
    for status in [0, 3] {
        let sandbox = project(&format!("web: {web}\nworker: {COUNTED}{status}\n"));
        let output = plainly(start(&sandbox, ["--no-time", "--restart", "worker"]).run());
        let own = said(output.out(), "system");
        let own: Vec<&str> = own.iter().map(String::as_str).collect();
        let stopped = format!("worker.1 stopped (rc={status})");
        let expected = [
            "web.1 started (pid=N)",
            "worker.1 started (pid=N)",
            &stopped,
            "worker.1 starts again in 0.5 s",
            "worker.1 started (pid=N)",
            &stopped,
            "worker.1 starts again in 1 s",
            "worker.1 started (pid=N)",
            "web.1 stopped (rc=7)",
            "sending SIGTERM to worker.1 (pid N)",
            "worker.1 stopped (rc=-15)",
        ];
        assert_eq!(own, expected);
        assert_eq!(sandbox.read("project/starts"), "5100 worker.1\n".repeat(3));
        assert_eq!((output.code(), output.err()), (Some(7), ""));
        sandbox.assert_no_process_left();
    }
}

#[test]
fn who_restarts_waits_for_its_background_children_and_hears_them_out() {
    let child = "(exec 2>/dev/null; trap 'echo tidied; touch tidied; exit' TERM; touch ready; \
                 while :; do sleep 0.02; done) &";
    let script = format!(
        "[ ! -e tidied ] || exit 0; {child} until [ -e ready ]; do sleep 0.02; done; exit 1"
    );
    let web = "until [ -e tidied ]; do sleep 0.02; done; exec sleep 1000";
    let sandbox = project(&format!("a: {script}\nweb: {web}\n"));
    let mut running = start(&sandbox, ["--no-time", "--restart", "a"]).spawn();
    running.wait_for("a.1 stopped (rc=0)");
    running.kill(Signal::TERM);
    let output = plainly(running.wait());
    let output = output.expect_that(143, "nothing on stderr", |output| output.stderr.is_empty());
    assert_eq!(said(output.out(), "a.1"), ["tidied"]);
    assert_eq!(
        said(output.out(), "system")[2..5],
        ["a.1 stopped (rc=1)", "a.1 starts again in 0.5 s", "a.1 started (pid=N)"]
    );
    sandbox.assert_no_process_left();
}

#[test]
fn the_end_of_another_ends_a_pause_too() {
    // The pause is half a second and the worker never comes back in it.
    let web = "until [ -e failed ]; do sleep 0.02; done; exit 7";
    let sandbox = project(&format!("web: {web}\nworker: touch failed; exit 1\n"));
    let output = plainly(start(&sandbox, ["--restart", "worker"]).run());
    let output = output.expect_that(7, "nothing on stderr", |output| output.stderr.is_empty());
    assert_eq!(started(output.out()), ["web.1", "worker.1"]);
}

#[test]
fn the_settings_of_the_project_say_it_as_the_flags_do() {
    let trap = "trap 'echo got INT; exit 0' INT; touch ready; while :; do sleep 0.02; done";
    let web = "until [ -e enough ] && [ -e ready ]; do sleep 0.02; done; exit 7";
    let procfile = format!("once: true\nworker: {COUNTED}1\nasked: {trap}\nweb: {web}\n");
    let sandbox = vault_project(&procfile, &["A=1"]);
    sandbox.write(
        "project/vault.toml",
        "default = \"staging\"\n[runner]\ncan_end = [\"once\"]\nrestart = [\"worker\"]\n\
         stop_signal = { asked = \"SIGINT\" }\n",
    );
    let output = plainly(start(&sandbox, []).run());
    let output = output.expect_that(7, "nothing on stderr", |output| output.stderr.is_empty());
    let own = said(output.out(), "system");
    assert!(own.contains(&"once.1 stopped (rc=0)".to_owned()), "{own:?}");
    assert!(own.contains(&"worker.1 starts again in 1 s".to_owned()), "{own:?}");
    assert!(own.contains(&"sending SIGINT to asked.1 (pid N)".to_owned()), "{own:?}");
    assert!(own.contains(&"sending SIGTERM to worker.1 (pid N)".to_owned()), "{own:?}");
    assert_eq!(said(output.out(), "asked.1"), ["got INT"]);
}

#[test]
fn a_time_limit_of_the_settings_kills_and_the_flag_beats_it() {
    let deaf = "trap '' TERM; touch deaf; while :; do sleep 0.02; done";
    let web = "until [ -e deaf ]; do sleep 0.02; done; exit 7";
    let sandbox = vault_project(&format!("web: {web}\ndeaf: {deaf}\n"), &["A=1"]);
    let killed = |output: crate::support::run::Output| {
        plainly(output).expect(
            7,
            "web.1 started (pid=N)\ndeaf.1 started (pid=N)\nweb.1 stopped (rc=7)\n\
             sending SIGTERM to deaf.1 (pid N)\nsending SIGKILL to deaf.1 (pid N)\n\
             deaf.1 stopped (rc=-9)\n",
            "",
        );
        sandbox.assert_no_process_left();
    };
    let run = |words: &[&str]| {
        sandbox.sh("rm -f deaf").run().success();
        start(&sandbox, ["-e", "staging", "--no-prefix"]).args(words).run()
    };
    sandbox.write("project/vault.toml", "[runner]\ntimeout = \"100ms\"\n");
    killed(run(&[]));
    // A day, if the flag were not heard; the watchdog would end this test.
    sandbox.write("project/vault.toml", "[runner]\ntimeout = \"1440m\"\n");
    killed(run(&["--timeout", "100ms"]));
    killed(run(&["--timeout", "0"]));
}

/// Each line of the file says what ran, in its order.
fn release(procfile_of_release: &str) -> String {
    format!(
        "web: echo web $PORT >>log; until [ $(wc -l <log) -ge 3 ]; do sleep 0.02; done\n\
         release: {procfile_of_release}\nworker: echo worker $PORT >>log; {FOREVER}\n"
    )
}

#[test]
fn the_release_runs_first_and_to_its_end_and_keeps_its_place_in_the_ports() {
    let sandbox = project(&release("echo release $PORT >log; echo hello"));
    let output = start(&sandbox, ["--no-time"]).run();
    let output = plainly(output).expect_that(0, "an empty stderr", |o| o.stderr.is_empty());
    let own = said(output.out(), "system");
    assert_eq!(
        own[..4],
        [
            "release.1 started (pid=N)",
            "release.1 stopped (rc=0)",
            "web.1 started (pid=N)",
            "worker.1 started (pid=N)"
        ]
    );
    let log = sandbox.read("project/log");
    let mut lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.remove(0), "release 5100");
    lines.sort_unstable();
    assert_eq!(lines, ["web 5000", "worker 5200"]);
    assert_eq!(said(output.out(), "release.1"), ["hello"]);
    // However many are asked for, it is one.
    sandbox.write("project/Procfile", release("echo release $PORT >>log"));
    sandbox.sh("rm log").run().success();
    let output = start(&sandbox, ["-c", "release=3"]).run();
    assert_eq!(started(output.out()), ["release.1", "web.1", "worker.1"]);
    // None asked for is none.
    sandbox.sh("echo x >log").run().success();
    let output = start(&sandbox, ["-c", "release=0"]).run();
    assert_eq!(started(output.out()), ["web.1", "worker.1"]);
}

#[test]
fn a_release_that_fails_is_the_end_and_its_status_counts() {
    for (command, rc, status) in [("exit 3", "3", 3), ("kill -TERM $$", "-15", 143)] {
        let sandbox = project(&release(command));
        plainly(start(&sandbox, ["--no-prefix"]).run()).expect(
            status,
            &format!("release.1 started (pid=N)\nrelease.1 stopped (rc={rc})\n"),
            "",
        );
        assert!(!sandbox.path("project/log").exists(), "something was started");
    }
    // It is no service: to be allowed to end or to be started again changes nothing.
    let sandbox = project(&release("exit 3"));
    let output = start(&sandbox, ["--can-end", "release", "--restart", "release"]).run();
    let output = output.expect_that(3, "an empty stderr", |output| output.stderr.is_empty());
    assert_eq!(started(output.out()), ["release.1"]);
}

#[test]
fn a_release_alone_is_done_when_it_is() {
    let sandbox = project("release: echo hello\n");
    let stdout = "release.1 started (pid=N)\nhello\nrelease.1 stopped (rc=0)\n";
    plainly(start(&sandbox, ["--no-prefix"]).run()).expect(0, stdout, "");
}

#[test]
fn the_release_is_left_out_or_left_alone_where_that_is_asked_for() {
    let sandbox = project(&release("echo release >>log; echo $PORT"));
    sandbox.write("project/log", "x\n");
    let output = start(&sandbox, ["--no-release"]).run().success();
    assert_eq!(started(output.out()), ["web.1", "worker.1"]);
    let log = sandbox.read("project/log");
    // The ports are the same with and without it.
    assert!(log.contains("web 5000\n") && log.contains("worker 5200\n"), "{log}");
    assert!(!log.contains("release"), "{log}");

    let output = plainly(start(&sandbox, ["--no-prefix", "--release-only"]).run());
    output.expect(0, "release.1 started (pid=N)\n5100\nrelease.1 stopped (rc=0)\n", "");
    sandbox.write("project/Procfile", release("exit 4"));
    let output = start(&sandbox, ["--release-only"]).run();
    output.expect_that(4, "its own status", |output| output.stderr.is_empty());
}

#[test]
fn the_release_runs_only_where_no_type_is_named_or_it_is() {
    let sandbox = project(&release("echo $PORT; echo release >log"));
    sandbox.write("project/log", "x\ny\n");
    let output = start(&sandbox, ["web", "worker"]).run().success();
    assert_eq!(started(output.out()), ["web.1", "worker.1"]);
    // First, wherever it is named, but its port is that of its place.
    let output = start(&sandbox, ["worker", "release", "--can-end", "worker"]);
    sandbox.write("project/Procfile", "release: echo $PORT\nworker: echo $PORT\n");
    let output = output.run().success();
    assert_eq!(started(output.out()), ["release.1", "worker.1"]);
    assert_eq!(said(output.out(), "release.1"), ["5100"]);
    assert_eq!(said(output.out(), "worker.1"), ["5000"]);
}

#[test]
fn the_end_of_a_process_waits_for_nobody_who_only_holds_its_output() {
    // With Honcho the end of `a` would be hidden until the sleeper has gone.
    let sandbox = project(&format!("a: sleep 1000 & echo hello; exit 5\nb: {FOREVER}\n"));
    plainly(start(&sandbox, ["--no-prefix"]).run()).expect(
        5,
        "a.1 started (pid=N)\nb.1 started (pid=N)\nhello\na.1 stopped (rc=5)\n\
         sending SIGTERM to b.1 (pid N)\nb.1 stopped (rc=-15)\n",
        "",
    );
    sandbox.assert_no_process_left();
}
