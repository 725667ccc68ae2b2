//! What the tests of `vault start` have in common: projects with a Procfile,
//! and what the lines of a run say.

#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests have to fail the test")]

use std::path::Path;

use regex::Regex;
use rustix::process::Pid;

use crate::support::barrier::until;
use crate::support::run::{Output, Run, Running};
use crate::support::sandbox::Sandbox;

/// Runs until it is ended, and answers a signal at once.
pub(crate) const FOREVER: &str = "exec sleep 1000";

/// A project with this Procfile and no vault.
#[track_caller]
pub(crate) fn project(procfile: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("project/Procfile", procfile);
    sandbox
}

/// A project with this Procfile, and these values in its environment `staging`.
#[track_caller]
pub(crate) fn vault_project(procfile: &str, values: &[&str]) -> Sandbox {
    let sandbox = project(procfile);
    let made = sandbox.vault(["init", "--name", "alice"]).run();
    made.expect_that(0, "a new project", |output| output.stdout.is_empty());
    if !values.is_empty() {
        sandbox.vault(["set", "-e", "staging"]).args(values).run().expect(0, "", "");
    }
    sandbox
}

/// `vault start` and these words.
pub(crate) fn start<'a>(sandbox: &Sandbox, words: impl AsRef<[&'a str]>) -> Run {
    sandbox.vault(["start"]).args(words.as_ref())
}

/// Text with `TIME` for each time at the start of a line, and `N` for each
/// process id in a line of the supervisor's own.
pub(crate) fn plain(text: &str) -> String {
    let time = Regex::new(r"(?m)^((?:\x1b\[[0-9;]*m)*)\d\d:\d\d:\d\d ").expect("an expression");
    let pid = Regex::new(r"\(pid([ =])\d+\)").expect("an expression");
    let text = time.replace_all(text, "${1}TIME ");
    pid.replace_all(&text, "(pid${1}N)").into_owned()
}

/// The same output, `plain`.
#[track_caller]
pub(crate) fn plainly(mut output: Output) -> Output {
    output.stdout = plain(output.out()).into_bytes();
    output
}

/// What a process, or `system`, has said, in its order.
pub(crate) fn said(text: &str, name: &str) -> Vec<String> {
    let line = |line: &str| {
        let (prefix, said) =
            line.split_once(" | ").or_else(|| Some((line.strip_suffix(" |")?, "")))?;
        let named = prefix.split_whitespace().last()? == name;
        named.then(|| said.to_owned())
    };
    text.lines().filter_map(line).collect()
}

/// The names of the processes that were started, in their order.
pub(crate) fn started(text: &str) -> Vec<String> {
    let name = |line: String| line.split_once(" started (pid=").map(|(name, _)| name.to_owned());
    said(text, "system").into_iter().filter_map(name).collect()
}

/// The number of a process that runs, as its line says.
#[track_caller]
pub(crate) fn pid_of(running: &mut Running, name: &str) -> Pid {
    let marker = format!("{name} started (pid=");
    running.wait_for(&marker);
    let mut found = None;
    until(
        || {
            found = running.lines().iter().rev().find_map(|line| {
                let (_, behind) = line.split_once(&marker)?;
                behind.strip_suffix(')')?.parse().ok().and_then(Pid::from_raw)
            });
            found.is_some()
        },
        "the whole line",
    );
    found.expect("it was found")
}

/// Whether a process is there and no zombie.
pub(crate) fn is_there(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, fields)| !fields.starts_with(['Z', 'X']))
}

/// The number that somebody wrote into this file.
#[track_caller]
pub(crate) fn pid_in(path: &Path) -> Pid {
    let line = crate::support::barrier::wait_for_line(path);
    line.trim().parse().ok().and_then(Pid::from_raw).expect("a process's number")
}

/// The most memory that a process has had, in KiB.
#[track_caller]
pub(crate) fn peak_memory(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.unwrap_or_else(|| panic!("no VmHWM in {status}"))
}
