//! `start`: many processes under one roof, from the first line to the last orphan.
//!
//! One thread starts, reads, signals and waits for all of them, because the kernel kills a child when the
//! thread that started it ends (`PR_SET_PDEATHSIG`, prctl(2)). Another only writes.

mod asked;
mod ending;
mod life;
mod slot;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::ending::{Ending, GIVE_UP};
use self::slot::{Running, Slot, State};
use super::control::Client;
use super::environ::Environment;
use super::formation::Instance;
use super::output::{Look, Printer, Source};
use super::redact::{Patterns, Redactor};
use crate::error::{Error, Result, reason};
use crate::platform::{
    self, Guard, Handle, Interest, Listener, Pid, Signal, Signals, Size, signal_group,
};

/// How processes are treated. A list holds process types, and names of single processes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rules {
    /// Their end with status 0 does not end the others.
    pub(crate) can_end: Vec<String>,
    /// They are started again when they end.
    pub(crate) restart: Vec<String>,
    /// They get a terminal of their own.
    pub(crate) terminal: Vec<String>,
    /// All get a terminal of their own.
    pub(crate) all_terminals: bool,
    /// Their lines are not printed.
    pub(crate) quiet: Vec<String>,
    /// What asks them to end, where it isn't SIGTERM.
    pub(crate) stop_signal: BTreeMap<String, Signal>,
    /// From being asked to end to being killed.
    pub(crate) timeout: Duration,
}

/// All that is to be started.
pub(crate) struct Plan {
    /// Runs first, to its end; its failure is the end of all.
    pub(crate) release: Option<Instance>,
    /// The others.
    pub(crate) instances: Vec<Instance>,
    /// What each gets.
    pub(crate) environment: Box<dyn Fn(&Instance) -> Environment>,
    /// Where they run.
    pub(crate) folder: PathBuf,
    /// How they are treated.
    pub(crate) rules: Rules,
    /// What is hidden in their output.
    pub(crate) hidden: Option<Arc<Patterns>>,
    /// What their lines look like.
    pub(crate) look: Look,
    /// Where `ps`, `stop` and `restart` ask.
    pub(crate) listener: Option<Listener>,
    /// Who ends them when we are killed.
    pub(crate) guard: Option<Guard>,
}

/// A terminal's size where ours has none.
const USUAL: Size = Size { rows: 24, columns: 80 };
/// At most so many ask at once.
const CLIENTS: usize = 16;
/// At most so many wait for what they asked for.
const WAITING: usize = 256;
/// How often is looked for groups that are empty, so that their numbers may be another's.
const SWEEP: Duration = Duration::from_secs(1);

/// Starts all, prints what they write, and comes back when none is left: with the status of the first
/// that ended, or 128 + N after signal N.
pub(crate) fn supervise(plan: Plan) -> Result<u8> {
    let failed = |error: io::Error| Error::failed(format!("cannot start: {}", reason(&error)));
    Supervisor::new(plan).and_then(Supervisor::run).map_err(failed)
}

struct Supervisor {
    slots: Vec<Slot>,
    environment: Box<dyn Fn(&Instance) -> Environment>,
    folder: PathBuf,
    timeout: Duration,
    printer: Printer,
    signals: Signals,
    listener: Option<Listener>,
    guard: Option<Guard>,
    clients: Vec<Client>,
    /// Children that are not ours to end: whoever became us had started them.
    found_here: BTreeSet<Pid>,
    ending: Option<Ending>,
    buffer: Vec<u8>,
    /// Somebody stood at the door who could not be let in.
    door_shut_until: Option<Instant>,
    /// When was looked for groups that are empty now.
    swept: Instant,
}

/// Who is ready, in the order of the handles.
enum Who {
    Signals,
    Writer,
    Reader,
    Door,
    Client(usize),
    Slot(usize),
}

impl Supervisor {
    fn new(plan: Plan) -> io::Result<Self> {
        use Signal::{Child, Hup, Int, Quit, Term, Winch};
        let names = plan.release.iter().chain(&plan.instances).map(|one| one.name.as_str());
        let printer = Printer::new(plan.look, names)?;
        let mut slots = Vec::new();
        for instance in plan.release.iter().chain(&plan.instances) {
            let mut slot = place(instance, slots.len(), &plan.rules, plan.hidden.as_ref());
            slot.is_release = slots.is_empty() && plan.release.is_some();
            slots.push(slot);
        }
        let signals = Signals::catch(&[Hup, Int, Quit, Term, Winch, Child])?;
        let found_here = platform::children().into_iter().collect();
        platform::adopt_orphans();
        Ok(Self {
            slots,
            environment: plan.environment,
            folder: plan.folder,
            timeout: plan.rules.timeout,
            printer,
            signals,
            listener: plan.listener,
            guard: plan.guard,
            clients: Vec::new(),
            found_here,
            ending: None,
            buffer: vec![0; 64 << 10],
            door_shut_until: None,
            swept: Instant::now(),
        })
    }

    fn run(mut self) -> io::Result<u8> {
        let first = if self.slots.first().is_some_and(|slot| slot.is_release) {
            0..1
        } else {
            0..self.slots.len()
        };
        self.start_all(first);
        loop {
            let written = self.printer.pump();
            // Before the next wait, which nothing might end.
            if let Some(error) = self.printer.failure() {
                self.output_failed(&error);
            }
            if self.ending.is_none() && self.slots.iter().all(Slot::is_at_rest) {
                self.end_all(0);
            }
            if self.is_over(written) {
                break;
            }
            self.turn()?;
        }
        for client in self.clients.iter_mut().filter(|client| client.waits_for.is_some()) {
            client.yes("");
        }
        Ok(self.ending.as_ref().map_or(0, |ending| ending.status))
    }

    /// Waits for something to happen, and deals with all that has.
    fn turn(&mut self) -> io::Result<()> {
        let (who, handles) = self.watched();
        let patience = self.deadline().map(|at| at.saturating_duration_since(Instant::now()));
        let ready = platform::wait_for(&handles, patience)?;
        drop(handles);
        let now = Instant::now();
        for who in who.into_iter().zip(ready).filter_map(|(who, ready)| ready.then_some(who)) {
            match who {
                Who::Signals => self.take_signals(now),
                // The next pump collects it.
                Who::Writer => {}
                Who::Reader => self.printer.reader_is_gone(),
                Who::Door => self.let_in(now),
                Who::Client(index) => self.listen_to(index, now),
                Who::Slot(index) => self.read(index, now),
            }
        }
        self.reap();
        self.do_what_is_due(now);
        Ok(())
    }

    fn watched(&self) -> (Vec<Who>, Vec<(Handle<'_>, Interest)>) {
        let mut who = vec![Who::Signals, Who::Writer];
        let mut handles =
            vec![(self.signals.handle(), Interest::Read), (self.printer.handle(), Interest::Read)];
        if self.printer.works() {
            who.push(Who::Reader);
            handles.push((platform::output_handle(), Interest::Closed));
        }
        if let Some(listener) = self.listener.as_ref().filter(|_| self.may_let_in()) {
            who.push(Who::Door);
            handles.push((listener.handle(), Interest::Read));
        }
        for (index, client) in self.clients.iter().enumerate() {
            let waits = client.waits_for.is_some();
            who.push(Who::Client(index));
            handles.push((client.handle(), if waits { Interest::Closed } else { Interest::Read }));
        }
        if self.printer.has_room() {
            for (index, slot) in self.slots.iter().enumerate() {
                if let Some(output) = slot.output() {
                    who.push(Who::Slot(index));
                    handles.push((platform::handle(output), Interest::Read));
                }
            }
        }
        (who, handles)
    }

    fn deadline(&self) -> Option<Instant> {
        let has_room = self.printer.has_room();
        let slots = self.slots.iter().filter_map(|slot| slot.deadline(has_room));
        let left = |slot: &Slot| matches!(slot.state, State::Ended { group: Some(_), .. });
        let sweep = self.slots.iter().any(left).then(|| self.swept + SWEEP);
        let clients = self.clients.iter().filter_map(Client::deadline);
        let ending = self.ending.as_ref().and_then(Ending::deadline);
        slots.chain(clients).chain(ending).chain(sweep).chain(self.door_shut_until).min()
    }

    fn do_what_is_due(&mut self, now: Instant) {
        for index in 0..self.slots.len() {
            let Some(slot) = self.slots.get_mut(index) else { continue };
            slot.release_held(&mut self.printer, &mut self.buffer, now);
            match &mut slot.state {
                State::Running(running) => {
                    if let Some(stopping) = &mut running.stopping
                        && !stopping.killed
                        && now >= stopping.deadline
                    {
                        stopping.killed = true;
                        self.printer.say(&sending(Signal::Kill, &slot.instance.name, running.pid));
                        signal_group(running.pid, Signal::Kill);
                    }
                }
                State::Leaving { group, stopping, .. } => {
                    let over = stopping.killed && now >= stopping.deadline + GIVE_UP;
                    if !stopping.killed && now >= stopping.deadline {
                        stopping.killed = true;
                        signal_group(*group, Signal::Kill);
                    } else if over || !platform::group_is_alive(*group) {
                        if let Some(guard) = &mut self.guard {
                            guard.forget(*group);
                        }
                        let then = stopping.then;
                        self.settle(index, then, now);
                    }
                }
                State::Pausing(until) if now >= *until => self.start(index),
                State::Pausing(_) | State::Waiting | State::Ended { .. } => {}
            }
        }
        self.forget_empty_groups(now);
        self.door_shut_until = self.door_shut_until.filter(|until| now < *until);
        self.end_what_is_due(now);
        self.answer_who_waited();
        self.clients.retain(|client| !client.is_done(now));
    }

    /// Lets go of the numbers of groups in which nobody is left: they may come to be others'.
    fn forget_empty_groups(&mut self, now: Instant) {
        if now < self.swept + SWEEP {
            return;
        }
        self.swept = now;
        for slot in &mut self.slots {
            if let State::Ended { group: group @ Some(_), .. } = &mut slot.state
                && let Some(number) = *group
                && !platform::group_is_alive(number)
            {
                *group = None;
                if let Some(guard) = &mut self.guard {
                    guard.forget(number);
                }
            }
        }
    }

    fn take_signals(&mut self, now: Instant) {
        for caught in self.signals.take() {
            match caught.signal {
                Signal::Child => {}
                Signal::Winch => self.resize(),
                _ => self.end_by(caught, now),
            }
        }
    }

    fn resize(&self) {
        let size = inner_size(self.printer.prefix_width());
        for slot in self.slots.iter().filter(|slot| slot.terminal) {
            if let State::Running(Running { output: Some(output), .. }) = &slot.state {
                platform::set_terminal_size(output, size);
            }
        }
    }
}

/// The place of a process, with the rules that concern it.
fn place(instance: &Instance, index: usize, rules: &Rules, hidden: Option<&Arc<Patterns>>) -> Slot {
    let concerned = |list: &[String]| list.iter().any(|name| instance.is_called(name));
    let redactor = hidden.map(|patterns| Redactor::new(Arc::clone(patterns)));
    let source = Source::new(&instance.name, index, concerned(&rules.quiet), redactor);
    let signal = [&instance.name, &instance.type_name]
        .into_iter()
        .find_map(|name| rules.stop_signal.get(name))
        .copied()
        .unwrap_or(Signal::Term);
    let mut slot = Slot::new(instance.clone(), source, signal);
    slot.can_end = concerned(&rules.can_end);
    slot.restarts = concerned(&rules.restart);
    slot.terminal = rules.all_terminals || concerned(&rules.terminal);
    slot
}

fn sending(signal: Signal, name: &str, pid: Pid) -> String {
    format!("sending {} to {name} (pid {pid})", signal.name())
}

/// The size of a process's terminal: ours, less the prefix, so that lines break where they should.
fn inner_size(prefix: usize) -> Size {
    const NARROWEST: u16 = 20;
    let outer = platform::terminal_size().filter(|size| size.columns > 0 && size.rows > 0);
    let outer = outer.unwrap_or(USUAL);
    let prefix = u16::try_from(prefix).unwrap_or(u16::MAX);
    Size { columns: outer.columns.saturating_sub(prefix).max(NARROWEST), ..outer }
}
