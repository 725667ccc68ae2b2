//! One process, from its start to its end, and what its end means for the others.

use std::ffi::OsString;
use std::path::Path;
use std::time::Instant;

use super::slot::{self, Progress, Running, State, Stopping, Then};
use super::{Supervisor, inner_size};
use crate::error::reason;
use crate::platform::{self, Exit, Outlet, signal_group};
use crate::process::environ::check_limits;

/// The shell that runs a command of a Procfile.
const SHELL: &str = "/bin/sh";

impl Supervisor {
    /// Starts those that have not been started yet: a release that is run again finds the others there.
    pub(super) fn start_all(&mut self, which: std::ops::Range<usize>) {
        for index in which {
            if self.slots.get(index).is_some_and(|slot| matches!(slot.state, State::Waiting)) {
                self.start(index);
            }
        }
    }

    pub(super) fn start(&mut self, index: usize) {
        let prefix = self.printer.prefix_width();
        let Some(slot) = self.slots.get_mut(index) else { return };
        let outlet =
            if slot.terminal { Outlet::Terminal(inner_size(prefix)) } else { Outlet::Pipe };
        let environment = (self.environment)(&slot.instance);
        let argv = [SHELL, "-c", &slot.instance.command].map(OsString::from);
        let program = Path::new(SHELL);
        let allowed = check_limits(&environment, program, &argv, platform::environment_limit())
            .map_err(|error| error.to_string());
        let started = allowed.and_then(|()| {
            platform::spawn(program, &argv, environment.iter(), &self.folder, outlet)
                .map_err(|error| reason(&error))
        });
        match started {
            Ok((pid, output)) => {
                slot.starts += 1;
                if let Some(guard) = &mut self.guard {
                    guard.add(pid);
                }
                slot.state = State::Running(Running::new(pid, output, Instant::now()));
                self.printer.say(&format!("{} started (pid={pid})", slot.instance.name));
            }
            Err(why) => {
                slot.state = State::Ended { group: None, output: None };
                self.printer.say(&format!("{} could not be started: {why}", slot.instance.name));
                self.end_all(1);
            }
        }
    }

    /// Reads what a process has written, as far as there is room for its lines.
    pub(super) fn read(&mut self, index: usize, now: Instant) {
        if !self.printer.has_room() {
            return;
        }
        let Some(slot) = self.slots.get_mut(index) else { return };
        match &mut slot.state {
            State::Running(running) => {
                let output = &mut running.output;
                let read =
                    slot::read(output, &mut slot.source, &mut self.buffer, &mut self.printer);
                if let Progress::More(_) = read {
                    running.holding_since = slot.source.is_holding().then_some(now);
                }
            }
            State::Leaving { output, .. } | State::Ended { output, .. } => {
                slot::read(output, &mut slot.source, &mut self.buffer, &mut self.printer);
            }
            State::Waiting | State::Pausing(_) => {}
        }
    }

    /// Notes who has ended, and finishes those whose output has been read.
    pub(super) fn reap(&mut self) {
        while let Some((pid, exit)) = platform::reap() {
            let slot = self.slots.iter_mut().find(|slot| slot.alive() == Some(pid));
            // Any other is an orphan that we adopted.
            if let Some(State::Running(running)) = slot.map(|slot| &mut slot.state) {
                running.exit = Some(exit);
            }
        }
        let now = Instant::now();
        for index in 0..self.slots.len() {
            if let Some(exit) = self.read_to_the_end(index) {
                self.finish(index, exit, now);
            }
        }
    }

    /// Reads what a process that has ended left behind. None while there is more, or it hasn't ended.
    fn read_to_the_end(&mut self, index: usize) -> Option<Exit> {
        let slot = self.slots.get_mut(index)?;
        let State::Running(running) = &mut slot.state else { return None };
        let exit = running.exit?;
        while running.output.is_some() {
            if !self.printer.has_room() {
                return None;
            }
            let output = &mut running.output;
            let read = slot::read(output, &mut slot.source, &mut self.buffer, &mut self.printer);
            let Progress::More(count) = read else { break };
            running.read_since += count;
            // What comes after that is from others who hold the pipe.
            if running.read_since > slot::LEFT_IN_PIPE {
                break;
            }
        }
        Some(exit)
    }

    /// Tells the end of a process, once, and lets go of it when nobody of its group needs its output.
    ///
    /// A shell that has not replaced itself by its command dies of a signal before the command has tidied
    /// up. What that says on the way is to be seen, and it must not meet a closed pipe.
    fn finish(&mut self, index: usize, exit: Exit, now: Instant) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        let State::Running(running) = &mut slot.state else { return };
        let lingers = running.output.is_some() && platform::group_is_alive(running.pid);
        if lingers && (self.ending.is_some() || running.stopping.is_some()) {
            return;
        }
        if !running.told {
            running.told = true;
            if !lingers {
                self.printer.finish(&mut slot.source);
            }
            self.printer.say(&format!("{} stopped (rc={})", slot.instance.name, exit.rc()));
            self.decide(index, exit, now);
        }
        let ending = self.ending.is_some();
        let Some(slot) = self.slots.get_mut(index) else { return };
        let State::Running(running) = &mut slot.state else { return };
        // What was decided may be the end of it, too.
        if lingers && (ending || running.stopping.is_some()) {
            return;
        }
        let (group, stopping, output) = (running.pid, running.stopping, running.output.take());
        let left = platform::group_is_alive(group).then_some(group);
        if let (None, Some(guard)) = (left, &mut self.guard) {
            guard.forget(group);
        }
        match (stopping.filter(|_| !ending), left) {
            (Some(stopping), Some(group)) => {
                slot.state = State::Leaving { group, stopping, output };
            }
            (Some(stopping), None) => self.settle(index, stopping.then, now),
            (None, group) => {
                self.printer.finish(&mut slot.source);
                slot.state = State::Ended { group, output };
            }
        }
    }

    /// What the end of a process means for it and for the others.
    fn decide(&mut self, index: usize, exit: Exit, now: Instant) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        let State::Running(running) = &mut slot.state else { return };
        if self.ending.is_some() {
            return;
        }
        if let Some(stopping) = running.stopping {
            // What was to be done before the others start has not been done.
            if slot.is_release && stopping.then == Then::Stay {
                self.end_all(exit.status().max(1));
            }
            return;
        }
        if slot.is_release && exit.status() == 0 {
            self.start_all(1..self.slots.len());
        } else if slot.restarts && !slot.is_release {
            let (group, lived) = (running.pid, now.saturating_duration_since(running.since));
            let pause = slot.next_pause(lived);
            let (name, seconds) = (&slot.instance.name, pause.as_secs_f32());
            self.printer.say(&format!("{name} starts again in {seconds} s"));
            // Who is left of its group would be in the way of the new one.
            if platform::group_is_alive(group) {
                signal_group(group, slot.stop_signal);
            }
            let then = Then::Start(pause);
            let stopping = Stopping { deadline: now + self.timeout, killed: false, then };
            if let State::Running(running) = &mut slot.state {
                running.stopping = Some(stopping);
            }
        } else if !(slot.can_end && exit.status() == 0) {
            self.end_all(exit.status());
        }
    }

    /// Nobody of it is left: it rests, or waits for its next start.
    pub(super) fn settle(&mut self, index: usize, then: Then, now: Instant) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        if let State::Leaving { output, .. } = &mut slot.state {
            // What is there; the pipe is closed to whoever would still write.
            slot::read(output, &mut slot.source, &mut self.buffer, &mut self.printer);
        }
        self.printer.finish(&mut slot.source);
        slot.state = match then {
            Then::Stay => State::Ended { group: None, output: None },
            Then::Start(pause) => State::Pausing(now + pause),
        };
    }
}
