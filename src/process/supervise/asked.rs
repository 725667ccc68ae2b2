//! What `ps`, `stop` and `restart` ask for, and when they are answered.

use std::time::{Duration, Instant};

use super::slot::{Running, Slot, State, Stopping, Then};
use super::{CLIENTS, Supervisor, WAITING, sending};
use crate::platform::{Listener, signal_group};
use crate::process::control::{Awaited, Client, Request};
use crate::process::formation::Instance;

/// How long nobody is let in after somebody could not be.
const DOOR_SHUT: Duration = Duration::from_secs(1);

/// The answer to whoever wants something else then.
const ALL_END: &str = "all processes are ending";

impl Supervisor {
    pub(super) fn let_in(&mut self, now: Instant) {
        while self.may_let_in() {
            match self.listener.as_ref().map(Listener::accept) {
                Some(Ok(Some(connection))) => self.clients.push(Client::new(connection, now)),
                Some(Err(_)) => {
                    // Who stands at the door would wake us again at once.
                    self.door_shut_until = Some(now + DOOR_SHUT);
                    return;
                }
                Some(Ok(None)) | None => return,
            }
        }
    }

    /// Whoever waits for what he asked for takes no place from those who come to ask.
    pub(super) fn may_let_in(&self) -> bool {
        if self.door_shut_until.is_some() {
            return false;
        }
        let waiting = self.clients.iter().filter(|client| client.waits_for.is_some()).count();
        self.clients.len() - waiting < CLIENTS && waiting < WAITING
    }

    pub(super) fn listen_to(&mut self, index: usize, now: Instant) {
        let Some(client) = self.clients.get_mut(index) else { return };
        if client.waits_for.is_some() {
            // He didn't want to wait any longer.
            return client.is_gone(now);
        }
        match client.read() {
            None => {}
            Some(Err(())) => client.no("that was not understood"),
            Some(Ok(Request::List)) => {
                let lines = listed(&self.slots, now);
                client.yes(&lines);
            }
            Some(Ok(Request::Stop(names))) if names.is_empty() => {
                client.waits_for =
                    Some(Awaited { which: (0..self.slots.len()).collect(), restart: false });
                self.printer.say("stop received");
                self.end_all(0);
            }
            Some(Ok(Request::Stop(names))) => self.stop_some(index, &names, Then::Stay, now),
            Some(Ok(Request::Restart(names))) => {
                self.stop_some(index, &names, Then::Start(Duration::ZERO), now);
            }
        }
    }

    fn stop_some(&mut self, client: usize, names: &[String], then: Then, now: Instant) {
        let found = meant(&self.slots, names);
        let Some(asker) = self.clients.get_mut(client) else { return };
        let which = match found {
            Err(unknown) => {
                return asker.no(&format!("no process is called `{unknown}`"));
            }
            Ok(_) if self.ending.is_some() => return asker.no(ALL_END),
            Ok(which) => which,
        };
        let restart = then != Then::Stay;
        asker.waits_for = Some(Awaited { which: which.clone(), restart });
        for index in which {
            self.stop_one(index, then, now);
        }
    }

    fn stop_one(&mut self, index: usize, then: Then, now: Instant) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        let stopping = Stopping { deadline: now + self.timeout, killed: false, then };
        match &mut slot.state {
            // It has been asked, and its time is running.
            State::Running(Running { stopping: Some(old), .. })
            | State::Leaving { stopping: old, .. } => old.then = then,
            State::Running(running) => {
                running.stopping = Some(stopping);
                if running.exit.is_none() {
                    self.printer.say(&sending(slot.stop_signal, &slot.instance.name, running.pid));
                }
                signal_group(running.pid, slot.stop_signal);
            }
            // It has ended, and left others of its group behind.
            State::Ended { group: Some(group), output }
                if signal_group(*group, slot.stop_signal) =>
            {
                slot.state = State::Leaving { group: *group, stopping, output: output.take() };
            }
            // It is started in its turn, or not at all.
            State::Waiting if then == Then::Stay => self.settle(index, then, now),
            State::Waiting => {}
            State::Pausing(_) | State::Ended { .. } => self.settle(index, then, now),
        }
    }

    /// Tells those who waited for processes that they have ended, or run again.
    pub(super) fn answer_who_waited(&mut self) {
        let settled = |slot: &Slot| match &slot.state {
            State::Running(running) => running.exit.is_none() && running.stopping.is_none(),
            State::Ended { .. } | State::Waiting => true,
            State::Leaving { .. } | State::Pausing(_) => false,
        };
        for client in &mut self.clients {
            let Some(Awaited { which, restart }) = &client.waits_for else { continue };
            if self.ending.is_some() {
                // The others are answered at the end of all.
                if *restart {
                    client.no(ALL_END);
                }
                continue;
            }
            if which.iter().filter_map(|&index| self.slots.get(index)).all(settled) {
                client.yes("");
            }
        }
    }
}

/// The places that are meant by the names of types and processes; all by none.
fn meant(slots: &[Slot], names: &[String]) -> Result<Vec<usize>, String> {
    let is = |slot: &Slot, name: &String| slot.instance.is_called(name);
    if let Some(unknown) = names.iter().find(|name| !slots.iter().any(|slot| is(slot, name))) {
        return Err(unknown.clone());
    }
    let chosen = |slot: &Slot| {
        if names.is_empty() { !slot.is_release } else { names.iter().any(|name| is(slot, name)) }
    };
    Ok(slots.iter().enumerate().filter(|(_, slot)| chosen(slot)).map(|(index, _)| index).collect())
}

/// What `ps` is told: name, pid, state, seconds, port, starts, separated by tabs.
fn listed(slots: &[Slot], now: Instant) -> String {
    let line = |slot: &Slot| {
        let (pid, state, since) = match &slot.state {
            State::Running(running) if running.stopping.is_some() => {
                (running.pid.to_string(), "stopping", Some(running.since))
            }
            State::Running(running) => (running.pid.to_string(), "running", Some(running.since)),
            State::Leaving { .. } => ("-".to_owned(), "stopping", None),
            State::Pausing(_) => ("-".to_owned(), "pausing", None),
            State::Waiting => ("-".to_owned(), "waiting", None),
            State::Ended { .. } => ("-".to_owned(), "stopped", None),
        };
        let seconds = since.map_or(0, |since| now.saturating_duration_since(since).as_secs());
        let Instance { name, port, .. } = &slot.instance;
        format!("{name}\t{pid}\t{state}\t{seconds}\t{port}\t{}\n", slot.starts)
    };
    slots.iter().map(line).collect()
}
