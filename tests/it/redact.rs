//! Values hidden in what processes print: `start`, and `run --redact`, which is otherwise as `run`.

use crate::formations::{plainly, said, start, vault_project};
use crate::support::barrier::wait_for_line;
use crate::support::needs::{needs, needs_python};
use crate::support::run::Run;
use crate::support::sandbox::Sandbox;

use rustix::process::Signal;

const VAULT: &str = env!("CARGO_BIN_EXE_vault");
const REDACT: [&str; 5] = ["run", "-e", "staging", "--redact", "--"];
const VALUE: &str = "correct-horse-battery";

fn with_value(procfile: &str) -> Sandbox {
    vault_project(procfile, &[&format!("SECRET_KEY={VALUE}"), "SHORT=ab1", "DEBUG=true"])
}

fn redacting(sandbox: &Sandbox, script: &str) -> Run {
    sandbox.vault(REDACT).args(["sh", "-c", script])
}

#[test]
fn start_hides_the_values_of_the_environment_and_no_others() {
    let procfile =
        "a: echo \"$SECRET_KEY, $SHORT, $DEBUG, $LOCAL\"; printf %s \"$SECRET_KEY\" | base64\n";
    let sandbox = with_value(procfile);
    sandbox.write("project/.env.local", "LOCAL=not-stored-in-a-vault\n");
    let words = ["-e", "staging,.env.local"];
    let output = start(&sandbox, words).run().expect_that(0, "all of it", |_| true);
    let hidden =
        ["[redacted SECRET_KEY], ab1, true, not-stored-in-a-vault", "[redacted SECRET_KEY]"];
    assert_eq!(said(output.out(), "a.1"), hidden);
    let shown = start(&sandbox, [&words[..], &["--no-redact"]].concat()).run();
    let shown = shown.expect_that(0, "all of it", |_| true);
    let plain = format!("{VALUE}, ab1, true, not-stored-in-a-vault");
    assert_eq!(said(shown.out(), "a.1"), [plain.as_str(), "Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5"]);
}

#[test]
fn a_value_is_hidden_however_the_writes_cut_it() {
    let Some(python) = needs_python("os") else { return };
    let sandbox = vault_project(
        "",
        &[&format!("SECRET_KEY={VALUE}"), "PREFIX=correct", "LINES=first line\nsecond line"],
    );
    // Every value in every place of a line, in writes of one byte, then of every length up to 40.
    let code = "import os\n\
                value, prefix, lines = os.environ['SECRET_KEY'], os.environ['PREFIX'], os.environ['LINES']\n\
                text = f'<{value}>{prefix}-horse {value}{value} {lines}!{prefix}'.encode() + b'\\xff' + value.encode() + b'\\n'\n\
                for size in range(1, 41):\n    \
                    for at in range(0, len(text), size): os.write(1, text[at:at + size])\n";
    let line: &[u8] = b"<[redacted SECRET_KEY]>[redacted PREFIX]-horse [redacted SECRET_KEY][redacted SECRET_KEY] [redacted LINES]![redacted PREFIX]\xff[redacted SECRET_KEY]\n";
    let output = sandbox.vault(REDACT).arg(&python).args(["-c", code]).run();
    let output = output.expect_that(0, "nothing on stderr", |output| output.stderr.is_empty());
    assert_eq!(output.stdout, line.repeat(40));
    sandbox.write("project/code.py", code);
    sandbox.write("project/Procfile", format!("a: {} code.py\n", python.display()));
    let output = start(&sandbox, ["-e", "staging", "--no-prefix"]).run();
    let shown = String::from_utf8_lossy(line).into_owned();
    assert_eq!(String::from_utf8_lossy(&output.stdout).matches(&shown).count(), 40);
}

#[test]
fn output_without_values_is_the_same_to_the_byte() {
    let sandbox = with_value("");
    let script = "head -c 3000000 /dev/urandom >bytes; cat bytes";
    let output = redacting(&sandbox, script).run();
    let output = output.expect_that(0, "nothing on stderr", |output| output.stderr.is_empty());
    let bytes = std::fs::read(sandbox.path("project/bytes")).unwrap_or_default();
    assert!(output.stdout == bytes && bytes.len() == 3_000_000);
}

#[test]
fn a_prompt_that_ends_as_a_value_begins_is_seen() {
    if !needs("setsid") {
        return;
    }
    let sandbox = with_value("");
    // `corr` may be the beginning of the value, until the wait says that it isn't.
    let script = "printf 'enter corr'; read -r line; echo \"got $line\"";
    let mut terminal = redacting(&sandbox, script).on_terminal();
    terminal.expect("enter corr");
    terminal.type_line("x");
    terminal.expect("got x");
    assert_eq!(terminal.expect_end().1.code(), Some(0));
    let mut running = redacting(&sandbox, script).stdin_open().spawn();
    running.wait_for("enter corr");
    running.write("y\n");
    running.wait().expect(0, "enter corrgot y\n", "");
}

#[test]
fn a_redacted_run_ends_as_its_command_does() {
    let sandbox = with_value("");
    redacting(&sandbox, "echo $SECRET_KEY; echo e$SECRET_KEY >&2; exit 42").run().expect(
        42,
        "[redacted SECRET_KEY]\n",
        "e[redacted SECRET_KEY]\n",
    );
    for signal in [Signal::TERM, Signal::SEGV, Signal::INT, Signal::KILL] {
        let script = format!("ulimit -c 0; kill -{} $$", signal.as_raw());
        redacting(&sandbox, &script).run().expect_signal(signal, "", "");
    }
    sandbox.vault(REDACT).arg("not-there").run().expect(
        127,
        "",
        "vault: `not-there`: command not found\n",
    );
    sandbox.write("project/text", "echo no interpreter $SECRET_KEY\n");
    sandbox.sh("chmod +x text").run().success();
    sandbox.vault(REDACT).arg("./text").run().expect(
        0,
        "no interpreter [redacted SECRET_KEY]\n",
        "",
    );
    sandbox.assert_no_process_left();
}

#[test]
fn a_signal_to_a_redacted_run_reaches_its_command_once() {
    let sandbox = with_value("");
    for (signal, name) in [(Signal::TERM, "TERM"), (Signal::HUP, "HUP"), (Signal::USR1, "USR1")] {
        let script = format!(
            "trap 'echo got {name}' {name}; echo ready; until [ -e go-{name} ]; do sleep 0.02; done"
        );
        let mut running = redacting(&sandbox, &script).spawn();
        running.wait_for("ready");
        running.kill(signal);
        running.wait_for("got");
        sandbox.write(format!("project/go-{name}"), "");
        running.wait().expect(0, &format!("ready\ngot {name}\n"), "");
    }
}

#[test]
fn one_key_press_is_one_interrupt_for_a_redacted_run_too() {
    if !needs("setsid") {
        return;
    }
    let sandbox = with_value("");
    let script = "n=0; trap 'n=$((n+1)); echo got $n' INT; echo ready $SECRET_KEY; test -t 1 && echo tty; \
                  until read -r line && [ \"$line\" = end ]; do :; done; echo total $n";
    let mut terminal = redacting(&sandbox, script).on_terminal();
    terminal.expect("ready [redacted SECRET_KEY]");
    terminal.expect("tty");
    for times in 1..=3 {
        terminal.control('c');
        terminal.expect(&format!("got {times}"));
    }
    terminal.type_line("end");
    terminal.expect("total 3");
    assert_eq!(terminal.expect_end().1.code(), Some(0));
}

#[test]
fn a_redacted_run_stops_and_goes_on_under_a_shell_with_job_control() {
    if !needs("setsid") || !needs("bash") {
        return;
    }
    let sandbox = with_value("");
    let words = ["--norc", "--noprofile", "-i"];
    let run = sandbox.program("bash", words).env("PS1", "shell> ").env("VAULT", VAULT);
    let mut terminal = run.env("HISTFILE", "").on_terminal();
    terminal.expect("shell> ");
    sandbox.write(
        "project/job",
        "echo be''gun; read -r line; echo \"line: $line, $SECRET_KEY\"; exit 42\n",
    );
    terminal.type_line("\"$VAULT\" run -e staging --redact -- sh ./job");
    terminal.expect("begun");
    terminal.control('z');
    terminal.expect("Stopped");
    terminal.expect("shell> ");
    terminal.type_line("fg");
    terminal.expect("job\r\n");
    terminal.type_line("typed");
    terminal.expect("line: typed, [redacted SECRET_KEY]");
    terminal.expect("shell> ");
    terminal.type_line("echo status $?");
    terminal.expect("status 42");
    terminal.type_line("exit");
    assert_eq!(terminal.expect_end().1.code(), Some(0));
}

#[test]
fn a_new_window_size_reaches_a_redacted_command() {
    if !needs("setsid") {
        return;
    }
    let sandbox = with_value("");
    let script = "trap 'echo size $(stty size <&2)' WINCH; echo ready; \
                  until read -r line && [ \"$line\" = end ]; do :; done; echo last $(stty size <&2)";
    let mut terminal = redacting(&sandbox, script).on_terminal();
    terminal.expect("ready");
    terminal.resize(31, 101);
    terminal.type_line("");
    terminal.expect("size 31 101");
    terminal.type_line("end");
    terminal.expect("last 31 101");
    assert_eq!(terminal.expect_end().1.code(), Some(0));
}

#[test]
fn a_reader_that_stops_ends_a_redacted_command_in_silence() {
    let sandbox = with_value("");
    let script = "{ \"$0\" run -e staging --redact -- yes; echo $? >status; } | head -n 1";
    sandbox.sh(script).arg(VAULT).run().expect(0, "y\n", "");
    assert_eq!(wait_for_line(&sandbox.path("project/status")), "141\n");
    sandbox.assert_no_process_left();
}

#[test]
fn kill_9_of_a_redacted_run_ends_its_command() {
    let sandbox = with_value("");
    let mut running = redacting(&sandbox, "echo $$; exec sleep 1000").spawn();
    running.wait_for("\n");
    running.kill(Signal::KILL);
    running.wait();
    sandbox.assert_no_process_left();
}

#[test]
fn an_early_value_in_a_line_without_an_end_is_hidden_too() {
    let sandbox = with_value("a: printf %s \"$SECRET_KEY\"\n");
    let output = plainly(start(&sandbox, ["-e", "staging", "--no-prefix"]).run());
    output.expect(0, "a.1 started (pid=N)\n[redacted SECRET_KEY]\na.1 stopped (rc=0)\n", "");
}
