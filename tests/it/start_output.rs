//! `vault start`: every line arrives, whole and once, whatever the processes
//! write and however slow the reader is, in bounded memory.

#![allow(clippy::expect_used, reason = "helpers of tests have to fail the test")]

use std::io::Read as _;
use std::time::Duration;

use rustix::process::Signal;

use crate::formations::{is_there, peak_memory, pid_in, pid_of, plainly, project, said, start};
use crate::support::barrier::{until, wait_for};
use crate::support::needs::{needs, needs_path, needs_python};
use crate::support::sandbox::Sandbox;

const VAULT: &str = env!("CARGO_BIN_EXE_vault");

/// More than vault may ever need, and less than what it is given to print.
const MEMORY: u64 = 32 << 10;

/// Writes so many numbered lines of 100 bytes, the newline included.
fn lines(name: &str, count: usize) -> String {
    let filler = "x".repeat(90 - name.len());
    format!("{name}: exec seq -f '{name} %07g {filler}' 1 {count}\n")
}

/// Fails unless each line of these writers is there, whole, once and in order.
#[track_caller]
fn assert_whole(text: &str, name: &str, count: usize) {
    let filler = "x".repeat(90 - name.len());
    let mut number = 0;
    for line in text.lines().filter(|line| line.starts_with(&format!("{name} "))) {
        number += 1;
        assert_eq!(line, format!("{name} {number:07} {filler}"));
    }
    assert_eq!(number, count, "{name}");
}

/// Runs these writers bare, and every line of stdout is theirs or vault's own.
#[track_caller]
fn run_writers(names: &[&str], count: usize, words: &[&str]) {
    let procfile: String = names.iter().map(|name| lines(name, count)).collect();
    let sandbox = project(&procfile);
    let run = start(&sandbox, ["--no-prefix", "--can-end", &names.join(",")]);
    let output = run.args(words).limit(Duration::from_secs(240)).run().success();
    for name in names {
        assert_whole(output.out(), name, count);
    }
    let all = output.out().lines().count();
    assert_eq!(all, names.len() * (count + 2), "a line was torn");
}

#[test]
fn two_hundred_thousand_lines_of_one_writer_arrive() {
    run_writers(&["a"], 200_000, &[]);
    run_writers(&["a"], 200_000, &["--pty"]);
}

#[test]
fn two_hundred_thousand_lines_of_each_of_four_writers_arrive() {
    run_writers(&["a", "b", "c", "d"], 200_000, &[]);
    run_writers(&["a", "b", "c", "d"], 200_000, &["--pty"]);
}

#[test]
fn the_last_lines_of_a_process_that_ends_right_after_them_arrive() {
    for words in [&[][..], &["--pty"]] {
        for _ in 0..30 {
            run_writers(&["a"], 2000, words);
        }
    }
}

#[test]
fn the_last_lines_of_many_processes_that_end_others_arrive() {
    // Whoever is first ends the others, and all that they had written before has to be there.
    let names = ["a", "b", "c", "d", "e", "f"];
    let write = |name: &str| {
        let script = lines(name, 500).replace("exec ", "");
        let rest = format!("; touch {name}; until [ -e f ]; do sleep 0.02; done\n");
        script.trim_end().to_owned() + &rest
    };
    let sandbox = project(&names.map(write).concat());
    for words in [&[][..], &["--pty"]] {
        sandbox.sh("rm -f ?").run().success();
        let run = start(&sandbox, ["--no-prefix", "--can-end", "a,b,c,d,e,f"]);
        let output = run.args(words).run().success();
        for name in names {
            assert_whole(output.out(), name, 500);
        }
    }
}

#[test]
fn every_line_bears_its_own_prefix_under_load() {
    let sandbox = project(&(lines("a", 20_000) + &lines("b", 20_000)));
    let output = start(&sandbox, ["--can-end", "a,b"]).run().success();
    for name in ["a", "b"] {
        let text = said(output.out(), &format!("{name}.1")).join("\n");
        assert_whole(&text, name, 20_000);
    }
    assert_eq!(output.out().lines().count(), 40_004);
}

/// What a process that writes this, as printf(1) has it, is printed as.
#[track_caller]
fn prints(written: &str, printed: &str) {
    for words in [&[][..], &["--pty"]] {
        // A terminal would make newlines of its own.
        let raw = if words.is_empty() { "" } else { "stty -onlcr; " };
        let sandbox = project(&format!("a: {raw}printf '{written}'\n"));
        let stdout = format!("a.1 started (pid=N)\n{printed}a.1 stopped (rc=0)\n");
        plainly(start(&sandbox, ["--no-prefix"]).args(words).run()).expect(0, &stdout, "");
    }
}

#[test]
fn a_last_line_without_its_newline_gets_one() {
    prints("one\\ntwo", "one\ntwo\n");
    prints("x", "x\n");
    prints("", "");
    prints("\\n", "\n");
    prints("\\n\\n", "\n\n");
}

#[test]
fn bytes_that_are_no_text_become_the_replacement_character() {
    prints("a\\377b\\n", "a\u{fffd}b\n");
    prints("\\303\\n\\251", "\u{fffd}\n\u{fffd}\n");
    prints("\\303\\251\\342\\202\\254\\n", "\u{e9}\u{20ac}\n");
    // As decoders of the Unicode standard have it: one for each part that could have begun a character.
    prints("\\342\\202x\\n", "\u{fffd}x\n");
    prints("\\355\\240\\200\\n", "\u{fffd}\u{fffd}\u{fffd}\n");
    // Everything else passes.
    prints("tab\\tbell\\007esc\\033[1mnul\\000end\\n", "tab\tbell\u{7}esc\u{1b}[1mnul\0end\n");
}

#[test]
fn a_carriage_return_begins_a_new_line() {
    prints("10%%\\r20%%\\r30%%\\n", "10%\n20%\n30%\n");
    prints("dos\\r\\nend\\r\\n", "dos\nend\n");
    prints("a\\r\\rb\\n", "a\n\nb\n");
    prints("a\\rb", "a\nb\n");
    prints("a\\r", "a\n");
}

#[test]
fn a_line_and_a_character_that_come_in_pieces_stay_whole() {
    let Some(python) = needs_python("fcntl") else { return };
    // Each byte is written only after vault has taken the one before.
    let code = "import fcntl, os, struct, termios
def left():
    return struct.unpack('i', fcntl.ioctl(1, termios.FIONREAD, bytes(4)))[0]
for byte in 'a \u{e9}\u{20ac}\u{1f600} line\\nnext'.encode():
    os.write(1, bytes([byte]))
    while left():
        pass
";
    let sandbox = Sandbox::new();
    sandbox.write("project/pieces.py", code);
    let procfile = format!(
        "a: exec '{}' pieces.py\nb: exec '{}' pieces.py\n",
        python.display(),
        python.display()
    );
    sandbox.write("project/Procfile", procfile);
    let output = start(&sandbox, ["--can-end", "a,b"]).run().success();
    for name in ["a.1", "b.1"] {
        assert_eq!(said(output.out(), name), ["a \u{e9}\u{20ac}\u{1f600} line", "next"]);
    }
}

#[test]
fn a_line_of_ten_mebibytes_stays_whole() {
    let sandbox = project("a: head -c 10485760 /dev/zero | tr '\\0' x; echo end\n");
    let output = start(&sandbox, ["--no-prefix"]).run().success();
    let longest = output.out().lines().map(str::len).max();
    assert_eq!(longest, Some(10 * 1024 * 1024 + 3));
    let line = output.out().lines().nth(1).unwrap_or_default();
    assert!(line.trim_start_matches('x') == "end", "it is broken");
    assert_eq!(output.out().lines().count(), 3);
}

#[test]
fn a_line_without_an_end_does_not_take_all_memory() {
    if !needs_path("/proc/self/status") {
        return;
    }
    let sandbox = project(
        "a: head -c 536870912 /dev/zero | tr '\\0' x; grep VmHWM /proc/$PPID/status >memory\n",
    );
    let script = "\"$0\" start --no-prefix | tr -d '\\n' | wc -c";
    let output = sandbox.sh(script).arg(VAULT).limit(Duration::from_secs(240)).run().success();
    let own = "a.1 started (pid=)a.1 stopped (rc=0)".len();
    let count: usize = output.out().trim().parse().expect("a number");
    // And the digits of a process id.
    assert!((1..=10).contains(&(count - own - 536_870_912)), "{count}");
    let peak = peak_memory(&sandbox.read("project/memory"));
    // The longest line that stays whole has 16 MiB. It lies in three buffers that grow by doubling, one of
    // which may be on its way to a larger place.
    assert!(peak < 5 * (32 << 10) + MEMORY, "{peak} KiB");
}

#[test]
fn a_gigabyte_of_output_needs_little_memory() {
    if !needs_path("/proc/self/status") {
        return;
    }
    let line = "x".repeat(99);
    let count = 256 << 20;
    let end = "grep VmHWM /proc/$PPID/status";
    let procfile: String = ["a", "b", "c", "d"]
        .map(|name| format!("{name}: yes {line} | head -c {count}; {end} >{name}.memory\n"))
        .concat();
    let sandbox = project(&procfile);
    let script = "\"$0\" start --no-prefix --can-end a,b,c,d | grep -c '^x*$'";
    let output = sandbox.sh(script).arg(VAULT).limit(Duration::from_secs(240)).run().success();
    // The last line of each is cut short and still a line.
    assert_eq!(output.out(), format!("{}\n", 4 * ((count / 100) + 1)));
    for name in ["a", "b", "c", "d"] {
        let peak = peak_memory(&sandbox.read(format!("project/{name}.memory")));
        assert!(peak < MEMORY, "{peak} KiB");
    }
}

/// Waits until a process has not written for a while: it is stuck, or so slow
/// that the bounds hold all the more.
#[track_caller]
fn until_stuck(process: rustix::process::Pid) {
    let written = || {
        let text = std::fs::read_to_string(format!("/proc/{process}/io")).unwrap_or_default();
        text.lines().find_map(|line| line.strip_prefix("wchar: ")?.parse::<u64>().ok())
    };
    let (mut last, mut same) = (None, 0);
    until(
        || {
            let now = written();
            same = if now == last && now > Some(0) { same + 1 } else { 0 };
            last = now;
            same > 100
        },
        "the writer to be stuck",
    );
    let total = last.unwrap_or_default();
    assert!(total < 16 << 20, "{total} bytes went somewhere");
}

#[test]
fn a_reader_that_sleeps_makes_the_writers_wait_and_loses_nothing() {
    if !needs("mkfifo") || !needs_path("/proc/self/io") {
        return;
    }
    let sandbox = project(&(lines("a", 300_000).replace("a: ", "a: echo $$ >pid; ")));
    sandbox.sh("mkfifo ../fifo").run().success();
    let run = sandbox.sh("exec \"$0\" start --no-prefix >../fifo").arg(VAULT);
    let running = run.limit(Duration::from_secs(240)).spawn();
    let mut reader = std::fs::File::open(sandbox.path("fifo")).expect("a writer");
    until_stuck(pid_in(&sandbox.path("project/pid")));
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.pid()));
    let peak = peak_memory(&status.expect("its status"));
    assert!(peak < MEMORY, "{peak} KiB");
    // It is awake, though nobody reads.
    sandbox.vault(["ps"]).run().expect_like(0, "NAME [..]\na.1 [..] running [..]\n", "");
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("all of it");
    assert_whole(&text, "a", 300_000);
    assert!(text.ends_with("a.1 stopped (rc=0)\n"));
    running.wait().expect(0, "", "");
}

#[test]
fn a_reader_that_never_comes_back_does_not_keep_vault_from_its_end() {
    if !needs("mkfifo") || !needs_path("/proc/self/io") {
        return;
    }
    for words in ["", "--pty"] {
        let sandbox = project("a: echo $$ >pid; exec yes\n");
        sandbox.sh("mkfifo ../fifo").run().success();
        let script = format!("exec \"$0\" start --timeout 100ms {words} >../fifo");
        let running = sandbox.sh(script).arg(VAULT).spawn();
        let reader = std::fs::File::open(sandbox.path("fifo")).expect("a writer");
        let process = pid_in(&sandbox.path("project/pid"));
        until_stuck(process);
        running.kill(Signal::TERM);
        running.wait().expect(143, "", "");
        assert!(!is_there(process));
        drop(reader);
        sandbox.assert_no_process_left();
    }
}

#[test]
fn a_terminal_is_one_on_all_three_and_has_the_room_that_the_prefix_leaves() {
    if !needs("setsid") || !needs("stty") {
        return;
    }
    let script = "test -t 0 && test -t 1 && test -t 2 && test -e /dev/tty && stty size; \
                  trap 'stty size' WINCH; touch ready; until [ -e done ]; do sleep 0.02; done";
    let sandbox = project(&format!("a: {script}\n"));
    for (words, first, second) in [
        (&["--pty"][..], "24 62", "30 102"),
        (&["--pty", "--no-time"], "24 71", "30 111"),
        (&["--pty", "--no-prefix"], "24 80", "30 120"),
    ] {
        sandbox.sh("rm -f ready done").run().success();
        let mut terminal = start(&sandbox, words).on_terminal();
        terminal.expect(first);
        wait_for(&sandbox.path("project/ready"));
        terminal.resize(30, 120);
        terminal.expect(second);
        sandbox.write("project/done", "");
        let (screen, status) = terminal.expect_end();
        assert_eq!(status.code(), Some(0), "{screen}");
        sandbox.assert_no_process_left();
    }
    // Where ours is none, it has the usual size.
    sandbox.write("project/Procfile", "a: stty size\n");
    plainly(start(&sandbox, ["--pty", "--no-prefix"]).run()).expect(
        0,
        "a.1 started (pid=N)\n24 80\na.1 stopped (rc=0)\n",
        "",
    );
}

#[test]
fn a_terminal_is_given_to_those_who_are_listed() {
    let show = "test -t 1 && echo terminal || echo pipe";
    let procfile = format!("web: {show}\nworker: {show}\n");
    let sandbox = crate::formations::vault_project(&procfile, &["A=1"]);
    let terminals = |settings: &str, words: &[&str]| {
        sandbox.write("project/vault.toml", settings);
        let run = start(&sandbox, ["-e", "staging", "-c", "web=2", "--can-end", "web,worker"]);
        let output = run.args(words).run().success();
        ["web.1", "web.2", "worker.1"].map(|name| said(output.out(), name).concat())
    };
    assert_eq!(terminals("", &[]), ["pipe", "pipe", "pipe"]);
    let list = "[runner]\npty = [\"web\"]\n";
    assert_eq!(terminals(list, &[]), ["terminal", "terminal", "pipe"]);
    assert_eq!(terminals(list, &["--pty"]), ["terminal"; 3]);
}

#[test]
fn a_terminal_of_a_process_is_ended_as_a_pipe_is() {
    let sandbox =
        project("a: trap 'echo bye; exit 3' TERM; touch ready; while :; do sleep 0.02; done\n");
    let mut running = start(&sandbox, ["--pty", "--no-prefix"]).spawn();
    pid_of(&mut running, "a.1");
    wait_for(&sandbox.path("project/ready"));
    running.kill(Signal::TERM);
    let output = plainly(running.wait());
    let output = output.expect_that(143, "nothing on stderr", |output| output.stderr.is_empty());
    assert!(output.out().contains("bye\n"), "{}", output.out());
    assert!(output.out().ends_with("a.1 stopped (rc=3)\n"), "{}", output.out());
    sandbox.assert_no_process_left();
}

#[test]
fn what_a_background_child_says_after_its_parent_has_ended_is_no_reason_to_wait() {
    // It writes for ever, and holds the pipe.
    let sandbox = project("a: yes & touch ready; exit 5\n");
    let output = start(&sandbox, ["--no-prefix", "-q", "a"]).run();
    plainly(output).expect(5, "a.1 started (pid=N)\na.1 stopped (rc=5)\n", "");
    sandbox.assert_no_process_left();
}
