//! `vault run`: signals, terminals and descriptors are those that the command has without vault.

#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests have to fail the test")]

use std::path::Path;

use crate::support::barrier::wait_for_line;
use crate::support::needs::{needs, needs_path, needs_python};
use crate::support::sandbox::Sandbox;

const VAULT: &str = env!("CARGO_BIN_EXE_vault");
const RUN: [&str; 4] = ["run", "-e", "staging", "--"];

#[track_caller]
fn project() -> Sandbox {
    let sandbox = Sandbox::new();
    let made = sandbox.vault(["init", "--name", "alice"]).run();
    made.expect_that(0, "a new project", |output| output.stdout.is_empty());
    sandbox.vault(["set", "-e", "staging", "A=1"]).run().expect(0, "", "");
    sandbox
}

#[test]
fn a_reader_that_stops_ends_the_command_in_silence() {
    let sandbox = project();
    for command in ["yes", "\"$0\" run -e staging -- yes"] {
        let script = format!("{{ {command}; echo $? >status; }} | head -n 1");
        sandbox.sh(script).arg(VAULT).run().expect(0, "y\n", "");
        // The pipe's other side may end later than `head`.
        assert_eq!(wait_for_line(&sandbox.path("project/status")), "141\n", "{command}");
        sandbox.sh("rm status").run().success();
    }
}

#[test]
fn vault_itself_is_silent_when_its_reader_stops() {
    let sandbox = project();
    for words in ["help", "list", "get -e staging A", "completions bash"] {
        let script = format!("{{ \"$0\" {words}; echo $? >status; }} | true");
        sandbox.sh(script).arg(VAULT).run().expect(0, "", "");
        assert_eq!(wait_for_line(&sandbox.path("project/status")), "0\n", "{words}");
        sandbox.sh("rm status").run().success();
    }
}

#[test]
fn a_hangup_that_was_ignored_stays_ignored() {
    if !needs("nohup") {
        return;
    }
    let sandbox = project();
    let script = "kill -HUP $$; echo alive";
    let run = sandbox.program("nohup", [VAULT]).args(RUN).args(["sh", "-c", script]);
    run.run().expect(0, "alive\n", "");
}

#[test]
fn what_is_ignored_blocked_or_caught_is_the_same() {
    let Some(python) = needs_python("signal") else { return };
    let sandbox = project();
    // SIGPIPE is the exception: before it could look, the program's runtime has set it, and it goes back
    // to the default.
    let code = "import os, signal, sys
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGTSTP):
    signal.signal(number, signal.SIG_IGN)
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2, signal.SIGWINCH})
os.execvp(sys.argv[1], sys.argv[1:])";
    let lines =
        ["grep", "-E", "^(Sig(Blk|Ign|Cgt)|ShdPnd|NoNewPrivs|Seccomp|Cap.*|Uid|Gid|Groups):"];
    let status = |words: &[&str]| {
        let run = sandbox.program(&python, ["-c", code]).args(words).args(lines);
        run.arg("/proc/self/status").run().success().out().to_owned()
    };
    let vault: Vec<&str> = std::iter::once(VAULT).chain(RUN).collect();
    assert_eq!(status(&vault), status(&[]));
}

#[test]
fn limits_mask_and_niceness_are_the_same() {
    let sandbox = project();
    let set = "umask 027; ulimit -n 200; ulimit -c 0; ulimit -s 4096; ";
    let show = "cat /proc/self/limits; umask; cut -d' ' -f18,19 /proc/self/stat; cat /proc/self/oom_score_adj";
    let alone = sandbox.sh(format!("{set}exec sh -c \"$1\"")).args(["x", show]).run().success();
    let run = sandbox.sh(format!("{set}exec \"$0\" run -e staging -- sh -c \"$1\""));
    run.args([VAULT, show]).run().expect(0, alone.out(), "");
}

#[test]
fn group_session_and_terminal_are_the_same() {
    if !needs("setsid") {
        return;
    }
    let sandbox = project();
    // Group, session, terminal and the terminal's foreground group, as seen from the command itself.
    let show = "read -r pid name state parent group session terminal front rest </proc/$$/stat; \
                echo $(($$ == group)) $(($$ == session)) $((terminal != 0)) $((front == group))";
    sandbox.vault(RUN).args(["sh", "-c", show]).run().expect(0, "1 1 0 0\n", "");
    let mut terminal = sandbox.vault(RUN).args(["sh", "-c", show]).on_terminal();
    let (screen, status) = terminal.expect_end();
    assert_eq!((screen.as_str(), status.code()), ("1 1 1 1\n", Some(0)));
    // It is the same process, so whoever started vault has the command as a child.
    let script = "\"$0\" run -e staging -- sh -c 'echo $$ $PPID' & wait $!; echo $! $$";
    let output = sandbox.sh(script).arg(VAULT).run().success();
    let lines: Vec<&str> = output.out().lines().collect();
    assert_eq!(lines[0], lines[1]);
}

#[test]
fn one_key_press_is_one_interrupt() {
    if !needs("setsid") {
        return;
    }
    let sandbox = project();
    let script = "n=0; trap 'n=$((n+1)); echo got $n' INT; echo ready; \
                  until read -r line && [ \"$line\" = end ]; do :; done; echo total $n";
    let mut terminal = sandbox.vault(RUN).args(["sh", "-c", script]).on_terminal();
    terminal.expect("ready");
    for times in 1..=3 {
        terminal.control('c');
        terminal.expect(&format!("got {times}"));
    }
    // Whatever had been sent along with the last one would have come before this line.
    terminal.type_line("end");
    terminal.expect("total 3");
    let (_, status) = terminal.expect_end();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn an_interrupt_ends_the_command_as_it_would_without_vault() {
    use std::os::unix::process::ExitStatusExt as _;
    if !needs("setsid") {
        return;
    }
    let sandbox = project();
    for (key, signal) in [('c', 2), ('\\', 3)] {
        let script = "ulimit -c 0; echo ready; exec sleep 1000";
        let mut terminal = sandbox.vault(RUN).args(["sh", "-c", script]).on_terminal();
        terminal.expect("ready");
        terminal.control(key);
        let (screen, status) = terminal.expect_end();
        assert_eq!(status.signal(), Some(signal), "{screen}");
        assert!(!screen.contains("vault"), "{screen}");
    }
}

#[test]
fn a_command_stops_and_goes_on_under_a_shell_with_job_control() {
    if !needs("setsid") || !needs("bash") {
        return;
    }
    let sandbox = project();
    let words = ["--norc", "--noprofile", "-i"];
    let run = sandbox.program("bash", words).env("PS1", "shell> ").env("VAULT", VAULT);
    let mut terminal = run.env("HISTFILE", "").on_terminal();
    terminal.expect("shell> ");
    sandbox.write("project/job", "echo be''gun; read -r line; echo \"line: $line, $A\"; exit 42\n");
    terminal.type_line("\"$VAULT\" run -e staging -- sh ./job");
    terminal.expect("begun");
    terminal.control('z');
    terminal.expect("Stopped");
    terminal.expect("shell> ");
    terminal.type_line("jobs -l | grep -c Stopp'ed'");
    terminal.expect("1\r\n");
    terminal.expect("shell> ");
    terminal.type_line("fg");
    terminal.expect("job\r\n");
    terminal.type_line("typed");
    terminal.expect("line: typed, 1");
    terminal.expect("shell> ");
    terminal.type_line("echo status $?");
    terminal.expect("status 42");
    terminal.expect("shell> ");
    terminal.type_line("exit");
    let (_, status) = terminal.expect_end();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_new_window_size_reaches_the_command() {
    if !needs("setsid") {
        return;
    }
    let sandbox = project();
    let script = "trap 'echo size $(stty size)' WINCH; echo ready; \
                  until read -r line && [ \"$line\" = end ]; do :; done";
    let mut terminal = sandbox.vault(RUN).args(["sh", "-c", script]).on_terminal();
    terminal.expect("ready");
    terminal.resize(31, 101);
    // A shell may hold the trap back until its `read` has a line.
    terminal.type_line("");
    terminal.expect("size 31 101");
    terminal.type_line("end");
    let (_, status) = terminal.expect_end();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn the_key_is_nowhere_in_what_others_see_of_the_command() {
    let sandbox = project();
    let identity = sandbox.read("home/.config/vault/identity");
    let key = identity.lines().last().expect("a key");
    let run = sandbox.vault(RUN).args(["sh", "-c", "echo ready; read -r line"]).stdin_open();
    let mut running = run.env("VAULT_KEY", key).env("VAULT_KEY_FILE", "x").spawn();
    running.wait_for("ready");
    let process = format!("/proc/{}", running.pid());
    let read = |what: &str| {
        let bytes = std::fs::read(format!("{process}/{what}")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    if Path::new(&process).exists() {
        let environment = read("environ");
        assert!(environment.contains("A=1\0"), "{environment}");
        assert!(!environment.contains("VAULT_") && !environment.contains(key), "{environment}");
        let line = read("cmdline");
        assert_eq!(line, "sh\0-c\0echo ready; read -r line\0");
    }
    running.write("\n");
    running.wait().expect(0, "ready\n", "");
}

#[test]
fn no_descriptor_is_added_and_none_is_taken() {
    let sandbox = project();
    sandbox.sh("cp ../home/.config/vault/identity ../key; mkfifo ../fifo").run().success();
    // The shell opens some of its own; 9 is one that the command has to get.
    let show = "exec 9</dev/null; exec $0 ls -l /proc/self/fd";
    let names = |prefix: &str, name: &str, value: &str| {
        let run = sandbox.sh(show.replace("$0", prefix)).arg(VAULT).env(name, value);
        let output = run.run().success();
        let last = |line: &str| line.split_whitespace().rev().nth(2).map(str::to_owned);
        output.out().lines().filter_map(last).collect::<Vec<_>>()
    };
    let alone = names("", "X", "");
    assert!(alone.contains(&"9".to_owned()), "{alone:?}");
    let run = "\"$0\" run -e staging --";
    for (name, value) in [
        ("X", ""),
        ("VAULT_KEY_FILE", "../key"),
        ("VAULT_KEY_COMMAND", "cat ../key"),
        ("VAULT_ENV", "development"),
    ] {
        assert_eq!(names(run, name, value), alone, "{name}={value}");
    }
    let run = "\"$0\" run -e development,staging,production -v --";
    let script = format!("exec 9</dev/null; exec {run} ls /proc/self/fd 2>/dev/null");
    let plain = sandbox.sh("exec 9</dev/null; exec ls /proc/self/fd 2>/dev/null").run().success();
    sandbox.sh(script).arg(VAULT).run().expect(0, plain.out(), "");
}

#[test]
fn a_closed_input_leads_nowhere() {
    let sandbox = project();
    // Rust's runtime opens /dev/null where 0, 1 or 2 are closed, so no file of vault's can land there;
    // the command then has /dev/null, which is the safe side.
    let script = "exec \"$0\" run -e staging -- sh -c 'readlink /proc/self/fd/0' <&-";
    sandbox.sh(script).arg(VAULT).run().expect(0, "/dev/null\n", "");
}

#[test]
fn the_command_inherits_no_child_of_a_key_command() {
    if !Path::new("/proc/thread-self/children").exists() {
        println!("skipped: needs /proc/thread-self/children");
        return;
    }
    let sandbox = project();
    sandbox.sh("cp ../home/.config/vault/identity ../key").run().success();
    let show = "/proc/thread-self/children";
    // The same look finds a child that nobody has waited for.
    let script = format!("true & exec cat {show}");
    let inherited = sandbox.sh(script).run().success();
    assert!(!inherited.out().trim().is_empty(), "the look finds nothing");
    let run = sandbox.vault(RUN).args(["cat", show]).env("VAULT_KEY_COMMAND", "cat ../key");
    run.run().expect(0, "", "");
}

#[test]
fn a_child_that_vault_was_started_with_stays_the_commands_own() {
    if !needs_path("/proc/thread-self/children") || !needs("python3") {
        return;
    }
    let sandbox = project();
    // The child has ended, and nobody has waited for it: exec makes vault, and then the command, the one
    // that may. A shell would have waited for it already.
    let script = "import os, sys\n\
                  child = os.fork()\n\
                  if child == 0: os._exit(7)\n\
                  os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)\n\
                  os.execvp(sys.argv[1], sys.argv[1:])";
    let children = |before: &[&str]| {
        let command = [before, &["cat", "/proc/thread-self/children"]].concat();
        let run = sandbox.program("python3", ["-c", script]).args(command).run().success();
        run.out().split_whitespace().count()
    };
    assert_eq!(children(&[]), 1);
    let through_vault = [VAULT, "run", "-e", "staging", "--"];
    assert_eq!(children(&through_vault), 1, "vault took the status of another's child");
}
