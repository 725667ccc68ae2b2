//! One process of a formation: what it is, and what has become of it.

use std::fs::File;
use std::io::{self, Read as _};
use std::time::{Duration, Instant};

use crate::platform::{Exit, Pid, Signal};
use crate::process::formation::Instance;
use crate::process::output::{Printer, Source};
use crate::process::redact::HOLD;

/// A place in the formation. It keeps its name, port and colour through restarts.
#[expect(clippy::struct_excessive_bools, reason = "each is a rule of its own")]
pub(super) struct Slot {
    pub(super) instance: Instance,
    pub(super) source: Source,
    pub(super) stop_signal: Signal,
    pub(super) can_end: bool,
    pub(super) restarts: bool,
    pub(super) terminal: bool,
    /// Runs to its end before the others start.
    pub(super) is_release: bool,
    pub(super) state: State,
    /// How often it was started.
    pub(super) starts: u32,
    /// How long to wait before the next restart.
    pause: Duration,
}

/// What has become of a process.
pub(super) enum State {
    /// Not started yet.
    Waiting,
    /// Started, and not yet ended and read to its end.
    Running(Running),
    /// It ended, and others of its group have been asked to. They may still write.
    Leaving { group: Pid, stopping: Stopping, output: Option<File> },
    /// To be started again then.
    Pausing(Instant),
    /// Ended for good. Others of its group may still be there, and write.
    Ended { group: Option<Pid>, output: Option<File> },
}

/// A process that was started.
pub(super) struct Running {
    pub(super) pid: Pid,
    /// What it writes; None at the end of that.
    pub(super) output: Option<File>,
    pub(super) since: Instant,
    /// It has been waited for, and what it wrote is being read.
    pub(super) exit: Option<Exit>,
    /// Its end was told, and others of its group still write.
    pub(super) told: bool,
    /// Bytes read since then.
    pub(super) read_since: usize,
    pub(super) stopping: Option<Stopping>,
    /// When bytes that may begin a hidden value were held back.
    pub(super) holding_since: Option<Instant>,
}

/// A process that was asked to end while the others go on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stopping {
    /// When it is killed.
    pub(super) deadline: Instant,
    pub(super) killed: bool,
    /// What comes then.
    pub(super) then: Then,
}

/// What comes after a process has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// Nothing.
    Stay,
    /// It starts again.
    Start(Duration),
}

/// The pause before the first restart; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// No pause is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Who has run so long has started well, and begins with the first pause again.
const WELL: Duration = Duration::from_secs(60);
/// A process that has ended leaves at most so much in a pipe (pipe(7), `pipe-max-size`). What comes after
/// that is from others who hold the pipe.
pub(super) const LEFT_IN_PIPE: usize = 1 << 20;

/// How often the end of somebody who need not be our child is looked for.
const LOOK: Duration = Duration::from_millis(20);

/// What a read gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// So many bytes; there may be more.
    More(usize),
    /// Nothing for now.
    Nothing,
    /// Its output is at its end.
    End,
}

impl Running {
    pub(super) fn new(pid: Pid, output: File, since: Instant) -> Self {
        Self {
            pid,
            output: Some(output),
            since,
            exit: None,
            told: false,
            read_since: 0,
            stopping: None,
            holding_since: None,
        }
    }
}

/// Reads once, and prints the lines that are complete.
pub(super) fn read(
    output: &mut Option<File>,
    source: &mut Source,
    buffer: &mut [u8],
    printer: &mut Printer,
) -> Progress {
    let Some(file) = output else { return Progress::End };
    match file.read(buffer) {
        Ok(count) if count > 0 => {
            printer.feed(source, buffer.get(..count).unwrap_or_default());
            Progress::More(count)
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Progress::Nothing,
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Progress::More(0),
        // A terminal whose programs are gone says so by an error; any other means that it is unreadable.
        Ok(_) | Err(_) => {
            *output = None;
            Progress::End
        }
    }
}

impl Slot {
    pub(super) fn new(instance: Instance, source: Source, stop_signal: Signal) -> Self {
        Self {
            instance,
            source,
            stop_signal,
            can_end: false,
            restarts: false,
            terminal: false,
            is_release: false,
            state: State::Waiting,
            starts: 0,
            pause: FIRST_PAUSE,
        }
    }

    /// Whether nothing more happens here by itself.
    pub(super) fn is_at_rest(&self) -> bool {
        matches!(self.state, State::Ended { .. } | State::Waiting)
    }

    /// The process that was started and has not ended.
    pub(super) fn alive(&self) -> Option<Pid> {
        match &self.state {
            State::Running(running) if running.exit.is_none() => Some(running.pid),
            _ => None,
        }
    }

    /// The group that may still have members, whether or not its leader is there.
    pub(super) fn group(&self) -> Option<Pid> {
        match &self.state {
            State::Running(running) => Some(running.pid),
            State::Leaving { group, .. } => Some(*group),
            State::Ended { group, .. } => *group,
            State::Waiting | State::Pausing(_) => None,
        }
    }

    /// Nothing more is to happen here. Its group may still have members, who write.
    pub(super) fn rest(&mut self) {
        let group = self.group();
        let output = match &mut self.state {
            State::Leaving { output, .. } => output.take(),
            _ => None,
        };
        self.state = State::Ended { group, output };
    }

    /// What its processes write, as far as anybody reads it.
    pub(super) fn output(&self) -> Option<&File> {
        match &self.state {
            State::Running(running) => running.output.as_ref(),
            State::Leaving { output, .. } | State::Ended { output, .. } => output.as_ref(),
            State::Waiting | State::Pausing(_) => None,
        }
    }

    /// How long to wait before this process, which ran for `lived`, starts again.
    pub(super) fn next_pause(&mut self, lived: Duration) -> Duration {
        if lived >= WELL {
            self.pause = FIRST_PAUSE;
        }
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        pause
    }

    /// When something is due here, as long as there is room for what is read, or there isn't.
    pub(super) fn deadline(&self, has_room: bool) -> Option<Instant> {
        match &self.state {
            State::Running(running) => {
                let killing = running.stopping.filter(|one| !one.killed).map(|one| one.deadline);
                let held = running.holding_since.filter(|_| has_room).map(|since| since + HOLD);
                // Others of its group, who need not be our children, may end.
                let look = running.exit.map(|_| Instant::now() + LOOK);
                killing.into_iter().chain(held).chain(look).min()
            }
            // Whoever is left there need not be our child, so its end is looked for.
            State::Leaving { .. } => Some(Instant::now() + LOOK),
            State::Pausing(until) => Some(*until),
            State::Waiting | State::Ended { .. } => None,
        }
    }

    /// Gives out what has been held back for too long, if nothing follows it: what the process has written
    /// meanwhile may be the rest of a value, and was perhaps not read for want of room.
    pub(super) fn release_held(&mut self, printer: &mut Printer, buffer: &mut [u8], now: Instant) {
        let State::Running(running) = &mut self.state else { return };
        let due = running.holding_since.is_some_and(|since| now >= since + HOLD);
        if !due || !printer.has_room() {
            return;
        }
        match read(&mut running.output, &mut self.source, buffer, printer) {
            Progress::More(_) => {
                running.holding_since = self.source.is_holding().then_some(now);
            }
            Progress::Nothing | Progress::End => {
                printer.release(&mut self.source);
                running.holding_since = None;
            }
        }
    }
}
