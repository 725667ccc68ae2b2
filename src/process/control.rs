//! How `ps`, `stop` and `restart` talk to a `start` that runs: one line of words there, lines back.
//!
//! The socket is named by the project's folder and the number of the process, so that several may run;
//! one that nobody listens on any more is swept by whoever meets it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::{Error, Result, reason};
use crate::platform::{self, Connection, Handle, Listener};
use crate::vars::name::shown;

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Request {
    /// Which processes there are.
    List,
    /// End these, or all and `start` itself.
    Stop(Vec<String>),
    /// End these, or all, and start them again.
    Restart(Vec<String>),
}

impl Request {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ').filter(|word| !word.is_empty()).map(str::to_owned);
        match words.next()?.as_str() {
            "ps" => Some(Self::List),
            "stop" => Some(Self::Stop(words.collect())),
            "restart" => Some(Self::Restart(words.collect())),
            _ => None,
        }
    }

    fn line(&self) -> String {
        match self {
            Self::List => "ps\n".to_owned(),
            Self::Stop(names) => format!("stop {}\n", names.join(" ")),
            Self::Restart(names) => format!("restart {}\n", names.join(" ")),
        }
    }
}

/// The first line of an answer that says yes.
const YES: &str = "ok";
/// A request has at most so many bytes.
const REQUEST_LIMIT: usize = 4096;
/// Whoever connects has so long to say what he wants, and to take the answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The processes that somebody waits for, by their places.
#[derive(Debug)]
pub(crate) struct Awaited {
    /// Which.
    pub(crate) which: Vec<usize>,
    /// They are to run again, and not only to end.
    pub(crate) restart: bool,
}

/// Somebody who asked something, seen from `start`.
#[derive(Debug)]
pub(crate) struct Client {
    connection: Connection,
    asked: Vec<u8>,
    answer: Vec<u8>,
    /// Waits for processes to end or start; then he has all the time they need.
    pub(crate) waits_for: Option<Awaited>,
    until: Instant,
}

impl Client {
    /// Somebody who has just connected.
    pub(crate) fn new(connection: Connection, now: Instant) -> Self {
        let (asked, answer) = (Vec::new(), Vec::new());
        Self { connection, asked, answer, waits_for: None, until: now + PATIENCE }
    }

    /// What can be waited for.
    pub(crate) fn handle(&self) -> Handle<'_> {
        self.connection.handle()
    }

    /// Reads what he says. `Some(Err)` when he is gone or talks nonsense.
    pub(crate) fn read(&mut self) -> Option<Result<Request, ()>> {
        let mut buffer = [0; 1024];
        match self.connection.read(&mut buffer) {
            Ok(0) => return Some(Err(())),
            Ok(count) => self.asked.extend_from_slice(buffer.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
            Err(_) => return Some(Err(())),
        }
        let Some(end) = memchr::memchr(b'\n', &self.asked) else {
            return (self.asked.len() > REQUEST_LIMIT).then_some(Err(()));
        };
        let line = self.asked.get(..end).and_then(|line| std::str::from_utf8(line).ok());
        Some(line.and_then(Request::parse).ok_or(()))
    }

    /// Answers yes, with these lines.
    pub(crate) fn yes(&mut self, lines: &str) {
        self.answer(&format!("{YES}\n{lines}"));
    }

    /// Answers no, and why.
    pub(crate) fn no(&mut self, why: &str) {
        self.answer(&format!("no {why}\n"));
    }

    /// An answer is a few kilobytes at most, and a socket's buffer holds more, so it is written at once.
    fn answer(&mut self, text: &str) {
        self.answer.extend_from_slice(text.as_bytes());
        drop(self.connection.write(&self.answer));
        self.connection.finish();
        self.waits_for = None;
    }

    /// He has closed his side while he waited.
    pub(crate) fn is_gone(&mut self, now: Instant) {
        self.waits_for = None;
        self.until = now;
    }

    /// Whether there is nothing more to do for him.
    pub(crate) fn is_done(&self, now: Instant) -> bool {
        !self.answer.is_empty() || (self.waits_for.is_none() && now >= self.until)
    }

    /// When his patience, or ours with him, ends.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.waits_for.is_none().then_some(self.until)
    }
}

/// The folder of the sockets, in the runtime folder of the user, or where the system has one for him.
pub(crate) fn folder(runtime: Option<PathBuf>) -> PathBuf {
    runtime.unwrap_or_else(platform::default_runtime_folder).join("vault")
}

/// Opens the socket of this `start`.
pub(crate) fn listen(folder: &Path, root: &Path) -> io::Result<Listener> {
    sweep(folder, root);
    let name = format!("{}{}", prefix(root)?, std::process::id());
    let free = |number: &u32| !folder.join(format!("{name}-{number}{SUFFIX}")).exists();
    // In sandboxes several processes have the same number.
    let number = (1..100).find(free).unwrap_or(100);
    Listener::at(&folder.join(format!("{name}-{number}{SUFFIX}")))
}

const SUFFIX: &str = ".sock";

fn prefix(root: &Path) -> io::Result<String> {
    Ok(format!("start-{}-", platform::folder_identity(root)?))
}

/// The sockets of this project's `start`s, those that run.
fn sockets(folder: &Path, root: &Path) -> Vec<PathBuf> {
    let (Ok(prefix), Ok(entries)) = (prefix(root), std::fs::read_dir(folder)) else {
        return Vec::new();
    };
    let ours = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with(&prefix) && name.ends_with(SUFFIX)
    };
    let mut paths: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(ours).collect();
    paths.sort();
    paths
}

/// Removes the sockets that nobody listens on.
fn sweep(folder: &Path, root: &Path) {
    for path in sockets(folder, root) {
        drop(connect(&path, PATIENCE));
    }
}

/// Connects; a socket whose `start` was killed refuses, and is removed. Whoever listens has `patience` to
/// answer.
fn connect(path: &Path, patience: Duration) -> io::Result<Connection> {
    let connected = Connection::to(path, patience);
    if connected.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
        drop(std::fs::remove_file(path));
    }
    connected
}

/// Asks every `start` of this project, and gives their answers' lines, those of one `start` together.
///
/// # Errors
///
/// None runs, or one says no.
pub(crate) fn ask(folder: &Path, root: &Path, request: &Request) -> Result<Answers> {
    /// `stop` waits until the processes have ended, which may take their whole time limit.
    const LONG: Duration = Duration::from_secs(600);
    let patience = if *request == Request::List { PATIENCE } else { LONG };
    let mut answers = Vec::new();
    let mut refused = Vec::new();
    let mut silent = None;
    for path in sockets(folder, root) {
        let Ok(connection) = connect(&path, patience) else { continue };
        let answer = match converse(&connection, request) {
            Ok(answer) => answer,
            Err(error) => {
                silent = Some(not_answered(&error));
                continue;
            }
        };
        match answer.split_once('\n') {
            Some((YES, lines)) => answers.push(lines.to_owned()),
            Some((first, _)) => refused.push(shown(first.strip_prefix("no ").unwrap_or(first))),
            // It was killed meanwhile.
            None => {}
        }
    }
    if let (true, Some(why)) = (answers.is_empty(), refused.pop()) {
        return Err(Error::failed(why).hint("`vault ps` shows what runs"));
    }
    if answers.is_empty() {
        return Err(silent.unwrap_or_else(none_runs));
    }
    Ok(Answers { lines: answers, silent })
}

fn none_runs() -> Error {
    Error::failed("no `vault start` runs in this project").hint("start one with `vault start`")
}

fn not_answered(error: &io::Error) -> Error {
    // A socket's time that is over is told in the words of one that would have to wait.
    let why = match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => "was it stopped?".to_owned(),
        _ => reason(error),
    };
    Error::failed(format!("a `vault start` does not answer: {why}"))
}

/// What the `start`s of a project have answered.
pub(crate) struct Answers {
    /// The lines, those of one `start` together.
    pub(crate) lines: Vec<String>,
    /// One of them did not answer.
    pub(crate) silent: Option<Error>,
}

fn converse(connection: &Connection, request: &Request) -> io::Result<String> {
    const LIMIT: usize = 1 << 20;
    let line = request.line();
    if connection.write(line.as_bytes())? < line.len() {
        return Err(io::ErrorKind::WriteZero.into());
    }
    let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
    while answer.len() < LIMIT {
        match connection.read(&mut buffer)? {
            0 => break,
            count => answer.extend_from_slice(buffer.get(..count).unwrap_or_default()),
        }
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
