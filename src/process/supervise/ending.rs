//! The end of all: asked by signal, killed when the time is over, and nobody left behind.

use std::collections::BTreeSet;
use std::io;
use std::time::{Duration, Instant};

use super::slot::{self, Progress, Running, State};
use super::{Supervisor, sending};
use crate::error::reason;
use crate::platform::{self, Caught, Pid, Signal, signal_group, signal_process};

/// The end, since it has begun.
pub(super) struct Ending {
    /// Our own status.
    pub(super) status: u8,
    /// When those that are left are killed.
    kill_at: Instant,
    /// When they were.
    killed_at: Option<Instant>,
    /// When the last process had ended, and only its lines had to be written.
    over_since: Option<Instant>,
    /// The first signal to end, and when it came.
    signal: Option<(Caught, Instant)>,
    /// The orphans that were asked to end.
    asked: BTreeSet<Pid>,
    /// The time between asking and killing.
    timeout: Duration,
}

/// Who isn't gone so long after SIGKILL hangs in the kernel, or isn't ours to kill.
pub(super) const GIVE_UP: Duration = Duration::from_secs(2);

/// Signals of processes that come so close together are one request.
const ONE_REQUEST: Duration = Duration::from_millis(200);

impl Ending {
    /// When something is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        if self.over_since.is_some() {
            // Only a signal ends the wait for a reader, unless a signal began the end.
            return self.signal.as_ref().and(self.over_since).map(|since| since + self.timeout);
        }
        Some(self.killed_at.map_or(self.kill_at, |at| at + GIVE_UP))
    }
}

impl Supervisor {
    /// Begins the end, once: asks every group, and every orphan, to end.
    pub(super) fn end_all(&mut self, status: u8) {
        if self.ending.is_some() {
            return;
        }
        let kill_at = Instant::now() + self.timeout;
        self.ending = Some(Ending {
            status,
            kill_at,
            killed_at: None,
            over_since: None,
            signal: None,
            asked: BTreeSet::new(),
            timeout: self.timeout,
        });
        for slot in &mut self.slots {
            if let Some(pid) = slot.alive() {
                self.printer.say(&sending(slot.stop_signal, &slot.instance.name, pid));
            }
            if let Some(group) = slot.group() {
                signal_group(group, slot.stop_signal);
            }
            if let State::Waiting | State::Pausing(_) | State::Leaving { .. } = slot.state {
                slot.rest();
            }
        }
        let orphans = self.orphans();
        self.end_orphans(&orphans);
    }

    /// A signal to end: the first asks all to, a second one kills them.
    pub(super) fn end_by(&mut self, caught: Caught, now: Instant) {
        self.printer.say(&format!("{} received", caught.signal.name()));
        let status = platform::status_of(caught.signal);
        self.end_all(status);
        let Some(ending) = &mut self.ending else { return };
        let Some((first, came)) = ending.signal else {
            // It may have begun by itself a moment before.
            ending.signal = Some((caught, now));
            ending.status = status;
            return;
        };
        // One request often comes twice: timeout(1) signals its child and then the whole group, npm passes
        // on what the terminal has sent to both of us.
        let again = caught.by_process
            && caught.signal == first.signal
            && (!first.by_process || now < came + ONE_REQUEST);
        if !again {
            ending.kill_at = now;
            if let Some(since) = &mut ending.over_since {
                *since = now.checked_sub(ending.timeout).unwrap_or(now);
            }
        }
    }

    /// Kills whoever is left when the time is over.
    pub(super) fn end_what_is_due(&mut self, now: Instant) {
        let Some(ending) = &mut self.ending else { return };
        if ending.killed_at.is_some() || now < ending.kill_at || ending.over_since.is_some() {
            return;
        }
        ending.killed_at = Some(now);
        for slot in &self.slots {
            if let State::Running(Running { pid, .. }) = slot.state {
                self.printer.say(&sending(Signal::Kill, &slot.instance.name, pid));
            }
            if let Some(group) = slot.group() {
                signal_group(group, Signal::Kill);
            }
        }
    }

    /// Whether nobody is left and all is written.
    pub(super) fn is_over(&mut self, written: bool) -> bool {
        if self.ending.is_none() {
            return false;
        }
        let now = Instant::now();
        let running = self.slots.iter().any(|slot| matches!(slot.state, State::Running(_)));
        let given_up = self
            .ending
            .as_ref()
            .is_some_and(|ending| ending.killed_at.is_some_and(|killed| now >= killed + GIVE_UP));
        let killed = self.ending.as_ref().is_some_and(|ending| ending.killed_at.is_some());
        if running && !given_up && !killed {
            return false;
        }
        let left = self.orphans();
        if !left.is_empty() && !given_up {
            self.end_orphans(&left);
            return false;
        }
        if running && !given_up {
            return false;
        }
        self.wait_for_the_writer(&left, written, now)
    }

    fn wait_for_the_writer(&mut self, left: &[Pid], written: bool, now: Instant) -> bool {
        let Some(ending) = &mut self.ending else { return true };
        let Some(since) = ending.over_since else {
            ending.over_since = Some(now);
            self.read_what_is_left();
            for slot in self.slots.iter().filter(|slot| slot.alive().is_some()) {
                self.printer.say(&format!("{} can't be killed", slot.instance.name));
            }
            for pid in left {
                self.printer
                    .say(&format!("a process that was left behind can't be killed (pid {pid})"));
            }
            return self.printer.pump();
        };
        written || (ending.signal.is_some() && now >= since + ending.timeout)
    }

    /// What those wrote who outlived the process that started them.
    fn read_what_is_left(&mut self) {
        for slot in &mut self.slots {
            if let State::Ended { output, .. } = &mut slot.state {
                let source = &mut slot.source;
                let mut read = 0;
                // A daemon may go on and on.
                while read < slot::LEFT_IN_PIPE
                    && let Progress::More(count) =
                        slot::read(output, source, &mut self.buffer, &mut self.printer)
                {
                    read += count;
                }
                self.printer.finish(source);
            }
        }
    }

    /// Descendants that have lost their parent, some by leaving their session, and became our children.
    fn orphans(&self) -> Vec<Pid> {
        let known: BTreeSet<Pid> = self.slots.iter().filter_map(super::Slot::alive).collect();
        let mut left = platform::children();
        left.retain(|pid| !known.contains(pid) && !self.found_here.contains(pid));
        left
    }

    fn end_orphans(&mut self, left: &[Pid]) {
        let Some(ending) = &mut self.ending else { return };
        for &pid in left {
            if ending.killed_at.is_some() {
                signal_process(pid, Signal::Kill);
            } else if ending.asked.insert(pid) {
                signal_process(pid, Signal::Term);
            }
        }
    }

    /// Nobody reads our lines any more, or the disk is full: the end, in order.
    pub(super) fn output_failed(&mut self, error: &io::Error) {
        /// 128 + SIGPIPE, as of a program in a pipe whose reader has what it wants.
        const READER_GONE: u8 = 141;
        if error.kind() == io::ErrorKind::BrokenPipe {
            return self.end_all(READER_GONE);
        }
        // The one place where this room speaks past its printer, which is what failed.
        let told = format!("vault: cannot write to the standard output: {}\n", reason(error));
        drop(io::Write::write_all(&mut io::stderr().lock(), told.as_bytes()));
        self.end_all(1);
    }
}
