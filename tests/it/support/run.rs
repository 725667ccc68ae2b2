//! Programs with a bound on their time and all of their output kept.
//!
//! Each program gets a session of its own, by `setsid` of util-linux: it has
//! no controlling terminal even when the tests were started from one, so a
//! question to `/dev/tty` fails the same way everywhere. Where there is no
//! `setsid` the program stays in the session of the tests.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{Read, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::barrier::{PATIENCE, holds_within};
use super::like::is_like;
use super::needs::find_program;
use super::processes;
use super::pty::Terminal;

/// How long a program may take; a hang costs a minute and not the whole run.
const WATCHDOG: Duration = Duration::from_secs(60);

/// What failure messages and comparisons call the root of the sandbox.
const ROOT_NAME: &str = "$SANDBOX";

/// A program that is about to be started.
#[derive(Clone)]
pub(crate) struct Run {
    program: OsString,
    args: Vec<OsString>,
    environment: BTreeMap<OsString, OsString>,
    cwd: PathBuf,
    root: PathBuf,
    input: Input,
    limit: Duration,
}

#[derive(Clone)]
enum Input {
    Bytes(Vec<u8>),
    Open,
}

impl Run {
    pub(super) fn new(
        program: &OsStr,
        environment: BTreeMap<OsString, OsString>,
        cwd: &Path,
        root: PathBuf,
    ) -> Self {
        Self {
            program: program.to_owned(),
            args: Vec::new(),
            environment,
            cwd: cwd.to_owned(),
            root,
            input: Input::Bytes(Vec::new()),
            limit: WATCHDOG,
        }
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    pub(crate) fn args(mut self, args: impl IntoIterator<Item: AsRef<OsStr>>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    pub(crate) fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment.insert(name.as_ref().to_owned(), value.as_ref().to_owned());
        self
    }

    pub(crate) fn env_remove(mut self, name: impl AsRef<OsStr>) -> Self {
        self.environment.remove(name.as_ref());
        self
    }

    /// A directory, absolute or as seen from the project.
    pub(crate) fn cwd(mut self, directory: impl AsRef<Path>) -> Self {
        self.cwd.push(directory);
        self
    }

    /// What the program reads; without this its input is an empty pipe.
    pub(crate) fn stdin(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.input = Input::Bytes(bytes.as_ref().to_owned());
        self
    }

    /// Leaves the input open, for `Running::write` and `Running::close_stdin`.
    pub(crate) fn stdin_open(mut self) -> Self {
        self.input = Input::Open;
        self
    }

    /// Another bound than the usual minute.
    pub(crate) fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    #[track_caller]
    pub(crate) fn run(self) -> Output {
        self.spawn().wait()
    }

    #[track_caller]
    pub(crate) fn spawn(self) -> Running {
        let label = self.label();
        let mut command = self.command(&[]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|e| panic!("{label}: {e}"));
        let stdout = Collected::from(child.stdout.take().expect("a pipe"));
        let stderr = Collected::from(child.stderr.take().expect("a pipe"));
        let mut stdin = child.stdin.take();
        if let Input::Bytes(bytes) = self.input {
            let mut pipe = stdin.take().expect("a pipe");
            // In a thread, because a program that writes before it has read all
            // would wait for us. One that never reads makes this write fail,
            // which is its right.
            std::thread::spawn(move || drop(pipe.write_all(&bytes)));
        }
        let started = Instant::now();
        let (root, limit) = (self.root, self.limit);
        Running { child, stdin, stdout, stderr, label, root, limit, started, ended: false }
    }

    /// The same program on a terminal of its own.
    #[track_caller]
    pub(crate) fn on_terminal(self) -> Terminal {
        let label = self.label();
        Terminal::open(self.command(&["--ctty"]), label)
    }

    fn command(&self, options: &[&str]) -> Command {
        let mut command = match find_program("setsid") {
            // The test process's child leads no group yet, so `setsid` does not
            // fork, and the process id is that of the program.
            Some(setsid) => {
                let mut command = Command::new(setsid);
                command.args(options).arg(&self.program);
                command
            }
            None => Command::new(&self.program),
        };
        command.args(&self.args).env_clear().envs(&self.environment).current_dir(&self.cwd);
        command
    }

    fn label(&self) -> String {
        let words = std::iter::once(&self.program).chain(&self.args);
        let words: Vec<String> = words.map(|word| quoted(&word.to_string_lossy())).collect();
        format!("`{}` in {}", words.join(" "), self.cwd.display())
    }
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// What a pipe has delivered so far, read by a thread of its own.
struct Collected {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Collected {
    fn from(mut pipe: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&bytes);
        let reader = std::thread::spawn(move || {
            let mut part = [0; 8192];
            while let Ok(count @ 1..) = pipe.read(&mut part) {
                sink.lock().expect("no reader panics").extend_from_slice(&part[..count]);
            }
        });
        Self { bytes, reader }
    }

    fn so_far(&self) -> Vec<u8> {
        self.bytes.lock().expect("no reader panics").clone()
    }
}

/// A program that runs. Dropping it kills it and its session.
pub(crate) struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Collected,
    stderr: Collected,
    label: String,
    root: PathBuf,
    limit: Duration,
    started: Instant,
    ended: bool,
}

impl Running {
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Sends a signal to the program alone.
    #[track_caller]
    pub(crate) fn kill(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap_or_else(|e| panic!("{}: {e}", self.label));
    }

    /// Sends a signal to its group, as a terminal does.
    #[track_caller]
    pub(crate) fn kill_group(&self, signal: Signal) {
        kill_process_group(self.pid(), signal).unwrap_or_else(|e| panic!("{}: {e}", self.label));
    }

    #[track_caller]
    pub(crate) fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let pipe = self.stdin.as_mut().expect("Run::stdin_open");
        pipe.write_all(bytes.as_ref()).expect("a program that reads");
    }

    pub(crate) fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// The whole lines of stdout that have come so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        let bytes = self.stdout.so_far();
        let text = String::from_utf8_lossy(&bytes);
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(str::to_owned).collect()
    }

    /// Waits until `text` stands in stdout or stderr: the handshake with a
    /// program that says when it is ready.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, text: &str) {
        let shown = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).contains(text);
        let came =
            holds_within(PATIENCE, || shown(self.stdout.so_far()) || shown(self.stderr.so_far()));
        assert!(came, "{} never said {text:?}\n{}", self.label, self.so_far());
    }

    fn so_far(&self) -> String {
        both(&self.stdout.so_far(), &self.stderr.so_far())
    }

    /// Waits for the end of the program and of its output.
    #[track_caller]
    pub(crate) fn wait(mut self) -> Output {
        self.stdin = None;
        let left = self.limit.saturating_sub(self.started.elapsed());
        let mut status = None;
        let ended = holds_within(left, || {
            status = self.child.try_wait().expect("a child of ours");
            status.is_some()
        });
        if !ended {
            self.stop();
            let seconds = self.limit.as_secs();
            panic!("{} still ran after {seconds} s\n{}", self.label, self.so_far());
        }
        self.ended = true;
        let drained = holds_within(PATIENCE, || {
            self.stdout.reader.is_finished() && self.stderr.reader.is_finished()
        });
        if !drained {
            let holders = processes::in_session(self.pid());
            let names: Vec<String> = holders.iter().map(|pid| processes::describe(*pid)).collect();
            self.stop();
            panic!(
                "{} ended, but left somebody who holds its output open: {names:?}\n{}",
                self.label,
                self.so_far()
            );
        }
        Output {
            stdout: self.stdout.so_far(),
            stderr: self.stderr.so_far(),
            status: status.expect("it has ended"),
            label: std::mem::take(&mut self.label),
            root: std::mem::take(&mut self.root),
        }
    }

    fn stop(&mut self) {
        processes::kill_all(&processes::in_session(self.pid()));
        if !self.ended {
            // It may have ended in this moment; then there is nothing to kill.
            drop(self.child.kill());
            drop(self.child.wait());
            self.ended = true;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            self.stop();
        }
    }
}

/// How a program ended and what it said.
pub(crate) struct Output {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) status: ExitStatus,
    label: String,
    root: PathBuf,
}

impl Output {
    /// The exit status; none if a signal ended the program.
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// The signal that ended the program.
    pub(crate) fn signal(&self) -> Option<i32> {
        self.status.signal()
    }

    #[track_caller]
    pub(crate) fn out(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap_or_else(|_| panic!("not UTF-8: {}", self.report()))
    }

    #[track_caller]
    pub(crate) fn err(&self) -> &str {
        std::str::from_utf8(&self.stderr).unwrap_or_else(|_| panic!("not UTF-8: {}", self.report()))
    }

    /// Exactly this status and this text; the sandbox's root is `$SANDBOX`.
    #[track_caller]
    pub(crate) fn expect(self, code: i32, stdout: &str, stderr: &str) -> Self {
        self.compare(&format!("exit status {code}"), stdout, stderr, |want, is| want == is)
    }

    /// This status and text like this, see `like`.
    #[track_caller]
    pub(crate) fn expect_like(self, code: i32, stdout: &str, stderr: &str) -> Self {
        self.compare(&format!("exit status {code}"), stdout, stderr, is_like)
    }

    /// Ended by this signal, with exactly this text.
    #[track_caller]
    pub(crate) fn expect_signal(self, signal: Signal, stdout: &str, stderr: &str) -> Self {
        let end = format!("signal {}", signal.as_raw());
        self.compare(&end, stdout, stderr, |want, is| want == is)
    }

    /// This status, and `holds`, which looks at both texts, is true of it.
    #[track_caller]
    pub(crate) fn expect_that(
        self,
        code: i32,
        sentence: &str,
        holds: impl FnOnce(&Self) -> bool,
    ) -> Self {
        let right = self.code() == Some(code) && holds(&self);
        assert!(right, "expected exit status {code} and: {sentence}\n{}", self.report());
        self
    }

    /// Status 0 and nothing on stderr; stdout is for the test to look at.
    #[track_caller]
    pub(crate) fn success(self) -> Self {
        let right = self.code() == Some(0) && self.stderr.is_empty();
        assert!(right, "expected exit status 0 and an empty stderr\n{}", self.report());
        self
    }

    #[track_caller]
    fn compare(
        self,
        end: &str,
        stdout: &str,
        stderr: &str,
        same: impl Fn(&str, &str) -> bool,
    ) -> Self {
        let right = self.end() == end
            && same(stdout, &self.shown(&self.stdout))
            && same(stderr, &self.shown(&self.stderr));
        assert!(
            right,
            "expected {end}\n{}\n\nbut was:\n{}",
            both(stdout.as_bytes(), stderr.as_bytes()),
            self.report()
        );
        self
    }

    fn end(&self) -> String {
        match (self.code(), self.signal()) {
            (Some(code), _) => format!("exit status {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "neither exit nor signal".to_owned(),
        }
    }

    /// Text as compared and printed. Bytes that are no UTF-8 become escapes
    /// here, so that they never equal the replacement character.
    fn shown(&self, bytes: &[u8]) -> String {
        let text = bytes.utf8_chunks().map(|chunk| {
            let bad = chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}"));
            chunk.valid().to_owned() + &bad.collect::<String>()
        });
        text.collect::<String>().replace(&*self.root.to_string_lossy(), ROOT_NAME)
    }

    fn report(&self) -> String {
        let (stdout, stderr) = (self.shown(&self.stdout), self.shown(&self.stderr));
        format!("{}: {}\n{}", self.label, self.end(), both(stdout.as_bytes(), stderr.as_bytes()))
    }
}

fn both(stdout: &[u8], stderr: &[u8]) -> String {
    let part = |name: &str, bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        let text = match text.as_ref() {
            "" => "(empty)",
            text => text.strip_suffix('\n').unwrap_or(text),
        };
        let end =
            if bytes.is_empty() || bytes.ends_with(b"\n") { "" } else { " (no final newline)" };
        format!("--- {name}{end}\n{text}")
    };
    format!("{}\n{}", part("stdout", stdout), part("stderr", stderr))
}
