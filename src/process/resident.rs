//! `run --redact`: the command beside us, with our eyes on what it prints.
//!
//! Everything else is as if it had replaced us: it is in our process group, so what the terminal sends
//! reaches it without us, and only what another process sends to us is passed on; its end is ours.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::environ::Environment;
use super::redact::{HOLD, Patterns, Redactor};
use super::replace::not_started;
use crate::error::{Error, Result, reason};
use crate::platform::{self, Exit, Handle, Interest, Pid, Signal, Signals, Stream};

/// A pipe that is ready takes so much without waiting (`PIPE_BUF`, pipe(7)).
const AT_ONCE: usize = 4096;

/// Runs the command, hides `hidden` in what it prints, and ends as it does.
pub(crate) fn run_beside(
    program: &Path,
    argv: &[OsString],
    environment: &Environment,
    hidden: &Arc<Patterns>,
) -> Result<u8> {
    use Signal::{Child, Hup, Int, Quit, Term, Usr1, Usr2, Winch};
    let failed =
        |error: io::Error| Error::failed(format!("cannot watch the output: {}", reason(&error)));
    let signals =
        Signals::catch(&[Hup, Int, Quit, Term, Usr1, Usr2, Winch, Child]).map_err(failed)?;
    let (pid, streams) =
        platform::spawn_beside(program, argv, &environment.iter(), signals.child_was_ignored())
            .map_err(|error| not_started(program, &error))?;
    let filter = |stream: Stream| Filter::new(stream, Redactor::new(Arc::clone(hidden)));
    let filters = streams.into_iter().map(filter).collect();
    let exit = Watch { pid, signals, filters, exit: None, over_since: None, asked: false }
        .run()
        .map_err(failed)?;
    if let Exit::Signal(number) = exit {
        platform::end_by_signal(number);
    }
    Ok(exit.status())
}

struct Watch {
    pid: Pid,
    signals: Signals,
    filters: Vec<Filter>,
    exit: Option<Exit>,
    /// When it ended.
    over_since: Option<Instant>,
    /// Somebody has asked it to end.
    asked: bool,
}

/// After the end of a command that was asked to end, its last lines have so long to be read.
const LAST_LINES: Duration = Duration::from_secs(1);

impl Watch {
    fn run(mut self) -> io::Result<Exit> {
        loop {
            if let Some(exit) = self.exit
                && self.filters.iter().all(Filter::is_drained)
            {
                return Ok(exit);
            }
            let mut handles: Vec<(Handle<'_>, Interest)> =
                vec![(self.signals.handle(), Interest::Read)];
            handles.extend(self.filters.iter().filter_map(Filter::watched));
            let now = Instant::now();
            let last = self.over_since.filter(|_| self.asked).map(|since| since + LAST_LINES);
            let due = self.filters.iter().filter_map(Filter::deadline).chain(last).min();
            let mut patience = due.map(|at| at.saturating_duration_since(now));
            if self.exit.is_some() && self.filters.iter().any(Filter::may_read) {
                // What is left is there; whoever else holds the pipe is not waited for.
                patience = Some(Duration::ZERO);
            }
            platform::wait_for(&handles, patience)?;
            drop(handles);
            let told_to_end = self.pass_signals_on();
            let late = last.is_some_and(|at| Instant::now() >= at);
            if let Some(exit) = self.exit.filter(|_| told_to_end || late) {
                return Ok(exit);
            }
            self.reap();
            let ended = self.exit.is_some();
            for filter in &mut self.filters {
                filter.turn(ended)?;
            }
        }
    }

    /// Passes on what is meant for the command. True where that is over, and somebody asks us to end: its
    /// lines may have no reader.
    fn pass_signals_on(&mut self) -> bool {
        for caught in self.signals.take() {
            match caught.signal {
                Signal::Child => {}
                // Its number may be another's by now.
                signal if self.exit.is_some() && ends(signal) => return true,
                _ if self.exit.is_some() => {}
                Signal::Winch => {
                    for filter in &self.filters {
                        filter.resize();
                    }
                    // It may have asked for the size before we had set it.
                    platform::signal_process(self.pid, Signal::Winch);
                }
                signal if caught.by_process => {
                    self.asked |= ends(signal);
                    platform::signal_process(self.pid, signal);
                }
                _ => {}
            }
        }
        false
    }

    fn reap(&mut self) {
        while let Some((pid, exit)) = platform::reap() {
            if pid == self.pid {
                self.exit = Some(exit);
                self.over_since = Some(Instant::now());
            }
        }
    }
}

fn ends(signal: Signal) -> bool {
    matches!(signal, Signal::Hup | Signal::Int | Signal::Quit | Signal::Term)
}

/// One way out of the command, and what is on it.
struct Filter {
    /// What the command writes; None at its end.
    input: Option<File>,
    output: File,
    is_terminal: bool,
    redactor: Redactor,
    /// Where what is read lands.
    buffer: Vec<u8>,
    decided: Vec<u8>,
    written: usize,
    holding_since: Option<Instant>,
}

impl Filter {
    fn new(stream: Stream, redactor: Redactor) -> Self {
        let Stream { input, output, is_terminal } = stream;
        Self {
            input: Some(input),
            output,
            is_terminal,
            redactor,
            buffer: vec![0; 64 << 10],
            decided: Vec::new(),
            written: 0,
            holding_since: None,
        }
    }

    fn has_pending(&self) -> bool {
        self.written < self.decided.len()
    }

    fn is_drained(&self) -> bool {
        self.input.is_none() && !self.has_pending()
    }

    /// Whether the next thing is to read.
    fn may_read(&self) -> bool {
        self.input.is_some() && !self.has_pending()
    }

    /// What has to be ready: the other side for what is decided, and only then the command's.
    fn watched(&self) -> Option<(Handle<'_>, Interest)> {
        if self.has_pending() {
            return Some((platform::handle(&self.output), Interest::Write));
        }
        self.input.as_ref().map(|input| (platform::handle(input), Interest::Read))
    }

    fn deadline(&self) -> Option<Instant> {
        self.holding_since.filter(|_| !self.has_pending()).map(|since| since + HOLD)
    }

    /// Writes what is decided, or reads more. After the command's end, until nothing is left.
    fn turn(&mut self, ended: bool) -> io::Result<()> {
        /// A command that writes without end must not keep us from signals.
        const ROUNDS: usize = 16;
        for _ in 0..ROUNDS {
            if self.has_pending() {
                let ready = platform::wait_for(
                    &[(platform::handle(&self.output), Interest::Write)],
                    Some(Duration::ZERO),
                )?;
                if ready.first() != Some(&true) {
                    return Ok(());
                }
                self.write();
                continue;
            }
            let Some(input) = &mut self.input else { return Ok(()) };
            match input.read(&mut self.buffer) {
                Ok(count) if count > 0 => {
                    let read = self.buffer.get(..count).unwrap_or_default();
                    self.redactor.push(read, &mut self.decided);
                    self.holding_since = self.redactor.is_holding().then(Instant::now);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && !ended => {
                    if self.holding_since.is_some_and(|since| since.elapsed() >= HOLD) {
                        self.holding_since = None;
                        self.redactor.flush(&mut self.decided);
                        continue;
                    }
                    return Ok(());
                }
                // The end; or others hold its pipe, who outlive it.
                Ok(_) | Err(_) => {
                    self.input = None;
                    self.holding_since = None;
                    self.redactor.flush(&mut self.decided);
                }
            }
        }
        Ok(())
    }

    fn write(&mut self) {
        let rest = self.decided.get(self.written..).unwrap_or_default();
        let some = rest.get(..rest.len().min(AT_ONCE)).unwrap_or_default();
        match self.output.write(some) {
            Ok(count) => self.written += count,
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock
                ) => {}
            Err(_) => {
                // The command shall meet the same closed pipe.
                self.input = None;
                self.written = self.decided.len();
            }
        }
        if !self.has_pending() {
            self.decided.clear();
            self.written = 0;
        }
    }

    fn resize(&self) {
        if let (true, Some(input), Some(size)) =
            (self.is_terminal, &self.input, platform::terminal_size())
        {
            platform::set_terminal_size(input, size);
        }
    }
}
