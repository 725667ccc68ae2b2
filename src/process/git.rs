//! What git is asked: about files, about the history, and for the bytes of its objects.
//!
//! git starts helpers that the repository around us may choose, so it gets no key of ours, and no watcher of
//! the file system is asked. What it prints is whatever somebody has committed.
#![expect(clippy::disallowed_types, reason = "this room starts programs")]

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::capture::{Surroundings, command, keyless};
use crate::error::{Error, Result, reason};
use crate::vars::name::shown;

/// What git says, without the line end. None where it says nothing, fails, or isn't there.
pub(crate) fn git(arguments: &[&OsStr], around: &Surroundings<'_>) -> Option<String> {
    let output = asked(arguments, around).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok().filter(|_| output.status.success())?;
    let text = text.trim_end_matches(['\r', '\n']);
    (!text.is_empty()).then(|| text.to_owned())
}

/// All that git prints.
///
/// # Errors
///
/// git isn't there, or fails: then its own first line is told.
pub(crate) fn git_output(arguments: &[&OsStr], around: &Surroundings<'_>) -> Result<Vec<u8>> {
    let output = asked(arguments, around).output().map_err(|error| not_there(&error))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(failed(&String::from_utf8_lossy(&output.stderr)))
}

/// The status that git ends with; None where it isn't there, or is ended by a signal.
pub(crate) fn git_status(arguments: &[&OsStr], around: &Surroundings<'_>) -> Option<i32> {
    let mut command = asked(arguments, around);
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().ok()?.code()
}

/// Hands each part of what git prints to `each`, as it comes, without the `separator` behind it. `each` says
/// whether it wants to see more.
///
/// # Errors
///
/// git isn't there, or fails; or what `each` gives.
pub(crate) fn git_parts(
    arguments: &[&OsStr],
    around: &Surroundings<'_>,
    separator: u8,
    each: &mut dyn FnMut(&[u8]) -> Result<bool>,
) -> Result<()> {
    let mut child = Running::start(asked(arguments, around).stdin(Stdio::null()))?;
    let mut output = BufReader::with_capacity(64 << 10, child.stdout()?);
    let mut part = Vec::new();
    loop {
        part.clear();
        let read = output.read_until(separator, &mut part).map_err(|error| unread(&error))?;
        if read == 0 {
            return child.finish();
        }
        if part.last() == Some(&separator) {
            part.pop();
        }
        if !each(&part)? {
            return Ok(());
        }
    }
}

/// What a name stands for.
pub(crate) enum Object {
    /// A file, with its bytes.
    Blob(Vec<u8>),
    /// A file that is larger than was wanted.
    Large,
    /// Something else.
    Other,
    /// Nothing that this clone has.
    Missing,
}

/// `git cat-file --batch`: the bytes of objects, one after the other, from one process.
pub(crate) struct Objects {
    /// Behind its pipes, which are closed before it is waited for.
    child: Running,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Objects {
    const WORDS: [&str; 2] = ["cat-file", "--batch"];

    /// How many questions may wait for their answers.
    pub(crate) const AHEAD: usize = 50;

    /// Starts it.
    pub(crate) fn start(around: &Surroundings<'_>) -> Result<Self> {
        Self::started(&mut asked(&Self::WORDS.map(OsStr::new), around))
    }

    /// Starts it for what this clone has: where others were left out (`git clone --filter`), git would fetch
    /// each one when it is asked for it.
    pub(crate) fn start_without_network(around: &Surroundings<'_>) -> Result<Self> {
        let mut command = asked(&Self::WORDS.map(OsStr::new), around);
        Self::started(command.env("GIT_NO_LAZY_FETCH", "1"))
    }

    fn started(command: &mut Command) -> Result<Self> {
        let mut child = Running::start(command.stdin(Stdio::piped()))?;
        let questions = child.child.stdin.take().ok_or_else(|| failed(""))?;
        let answers = BufReader::with_capacity(64 << 10, child.stdout()?);
        Ok(Self { child, questions, answers })
    }

    /// The bytes of a blob, by its id or as `REV:PATH`; None where there is none.
    ///
    /// # Errors
    ///
    /// It is larger than `limit`, or no file. git has ended, or speaks another language.
    pub(crate) fn blob(&mut self, name: &str, limit: usize) -> Result<Option<Vec<u8>>> {
        match self.object(name, limit)? {
            Object::Blob(bytes) => Ok(Some(bytes)),
            Object::Missing => Ok(None),
            Object::Large | Object::Other => {
                let told = format!("{}: in git it is no file of up to {limit} bytes", shown(name));
                Err(Error::integrity(told))
            }
        }
    }

    /// An object of any kind, by its id or as `REV:PATH`. The bytes come where it is a blob within `limit`.
    ///
    /// # Errors
    ///
    /// git has ended, or speaks another language.
    pub(crate) fn object(&mut self, name: &str, limit: usize) -> Result<Object> {
        if self.ask(name)? { self.answer(limit) } else { Ok(Object::Other) }
    }

    /// Asks for an object, so that git can fetch it while others are looked at. Says whether there will be an
    /// answer. At most [`Objects::AHEAD`] questions can wait: they all fit into the pipe.
    pub(crate) fn ask(&mut self, name: &str) -> Result<bool> {
        // A line end in a name would be a second question.
        if name.contains(['\n', '\0']) {
            return Ok(false);
        }
        let question = format!("{name}\n");
        self.questions.write_all(question.as_bytes()).map_err(|error| unread(&error))?;
        Ok(true)
    }

    /// The answer to the first question that waits for one.
    pub(crate) fn answer(&mut self, limit: usize) -> Result<Object> {
        let mut head = String::new();
        self.answers.read_line(&mut head).map_err(|error| unread(&error))?;
        let words: Vec<&str> = head.trim_end().rsplitn(3, ' ').collect();
        let [size, sort, _] = words[..] else { return self.none(&head) };
        let Ok(size) = size.parse::<usize>() else { return self.none(&head) };
        let mut rest = (&mut self.answers).take(u64::try_from(size).unwrap_or(u64::MAX));
        if sort != "blob" || size > limit {
            std::io::copy(&mut rest, &mut std::io::sink()).map_err(|error| unread(&error))?;
            self.end_of_line()?;
            return Ok(if sort == "blob" { Object::Large } else { Object::Other });
        }
        let mut bytes = Vec::with_capacity(size);
        rest.read_to_end(&mut bytes).map_err(|error| unread(&error))?;
        self.end_of_line()?;
        Ok(Object::Blob(bytes))
    }

    /// An answer without an object: `NAME missing`, or an end.
    fn none(&mut self, head: &str) -> Result<Object> {
        if head.trim_end().ends_with(" missing") || head.trim_end().ends_with(" ambiguous") {
            return Ok(Object::Missing);
        }
        self.child.finish()?;
        Err(failed("it gave no object"))
    }

    fn end_of_line(&mut self) -> Result<()> {
        let mut end = [0];
        self.answers.read_exact(&mut end).map_err(|error| unread(&error))
    }
}

/// A git that is waited for, and ended where nobody wants to hear more of it.
struct Running {
    child: Child,
}

impl Running {
    fn start(command: &mut Command) -> Result<Self> {
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        child.map(|child| Self { child }).map_err(|error| not_there(&error))
    }

    fn stdout(&mut self) -> Result<ChildStdout> {
        self.child.stdout.take().ok_or_else(|| failed(""))
    }

    fn finish(&mut self) -> Result<()> {
        let mut said = String::new();
        if let Some(stderr) = &mut self.child.stderr {
            // What can't be read is not told.
            drop(stderr.take(4096).read_to_string(&mut said));
        }
        let status = self.child.wait().map_err(|error| unread(&error))?;
        if status.success() { Ok(()) } else { Err(failed(&said)) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended, which is as good.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn asked(arguments: &[&OsStr], around: &Surroundings<'_>) -> Command {
    let environment = keyless(around);
    let around = &Surroundings { environment: &environment, ..*around };
    let settings = ["-c", "core.fsmonitor=false", "-c", "log.showSignature=false"];
    command("git", &[&settings.map(OsStr::new)[..], arguments].concat(), around)
}

fn not_there(error: &std::io::Error) -> Error {
    Error::failed(format!("cannot run `git`: {}", reason(error)))
}

fn unread(error: &std::io::Error) -> Error {
    Error::failed(format!("git can't be read: {}", reason(error)))
}

fn failed(said: &str) -> Error {
    let line = said.lines().next().unwrap_or_default();
    let line = line.strip_prefix("fatal: ").or(line.strip_prefix("error: ")).unwrap_or(line);
    Error::failed(if line.is_empty() {
        "git failed".to_owned()
    } else {
        format!("git failed: {}", shown(line))
    })
}
