//! What an event loop waits for: signals, and descriptors that can be read.
#![expect(
    unsafe_code,
    reason = "a signal handler that looks at the sender, and sigaction(2) itself"
)]

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};

use crate::platform::{Caught, Interest, Signal};

/// Something to wait for.
pub(crate) type Handle<'a> = BorrowedFd<'a>;

/// The handle of a file.
pub(crate) fn handle(file: &File) -> Handle<'_> {
    file.as_fd()
}

/// The handle of standard output.
pub(crate) fn output_handle() -> Handle<'static> {
    rustix::stdio::stdout()
}

/// Standard output, to be written without a buffer.
pub(crate) fn output_file() -> io::Result<File> {
    rustix::stdio::stdout().try_clone_to_owned().map(File::from)
}

/// Waits until one of the handles is ready, for at most `patience`, and says which are.
pub(crate) fn wait_for(
    handles: &[(Handle<'_>, Interest)],
    patience: Option<Duration>,
) -> io::Result<Vec<bool>> {
    let mut polled: Vec<PollFd<'_>> = handles
        .iter()
        .map(|(handle, interest)| {
            let flags = match interest {
                Interest::Read => PollFlags::IN,
                Interest::Write => PollFlags::OUT,
                Interest::Closed => PollFlags::empty(),
            };
            PollFd::from_borrowed_fd(*handle, flags)
        })
        .collect();
    let patience = patience.map(|time| Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: time.subsec_nanos().into(),
    });
    match rustix::event::poll(&mut polled, patience.as_ref()) {
        // The signal's own handle is ready the next time.
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(polled.iter().map(|one| !one.revents().is_empty()).collect())
}

/// Signals that are caught, and lie ready to be read.
#[derive(Debug)]
pub(crate) struct Signals {
    came: File,
    registered: Vec<signal_hook::SigId>,
    child_was_ignored: bool,
}

/// Set in the byte of a signal that a process sent.
const BY_PROCESS: u8 = 0x80;

impl Signals {
    /// Catches these signals from now on. Those that were ignored when this process was started (nohup(1))
    /// stay ignored, but for SIGCHLD: without it no end of a child is heard. Those that were blocked are not
    /// any more.
    pub(crate) fn catch(signals: &[Signal]) -> io::Result<Self> {
        let (came, send) = super::children::pipe()?;
        let flags = rustix::fs::fcntl_getfl(&send)?;
        // A full pipe holds thousands of signals that nobody has looked at; one more says nothing new.
        rustix::fs::fcntl_setfl(&send, flags | rustix::fs::OFlags::NONBLOCK)?;
        let child_was_ignored = is_ignored(libc::SIGCHLD);
        let mut registered = Vec::new();
        let ours = rustix::process::getpid();
        for &signal in signals {
            let number = number(signal);
            if signal != Signal::Child && is_ignored(number) {
                continue;
            }
            let (send, byte) = (send.try_clone()?, u8::try_from(number).unwrap_or_default());
            let note = move |info: &libc::siginfo_t| {
                // A child that we have just forked still has this handler and this pipe, and the terminal
                // signals it as it signals us.
                if rustix::process::getpid() != ours {
                    return;
                }
                let flag = if info.si_code <= 0 { BY_PROCESS } else { 0 };
                let _ = rustix::io::write(&send, &[byte | flag]);
            };
            // SAFETY: the handler makes a getpid(2), and a write(2) to a descriptor that it owns, which are
            // safe in a signal handler (signal-safety(7)).
            registered.push(unsafe { signal_hook_registry::register_sigaction(number, note)? });
            unblock(number);
        }
        Ok(Self { came, registered, child_was_ignored })
    }

    /// Whether SIGCHLD was ignored before it was caught.
    pub(crate) fn child_was_ignored(&self) -> bool {
        self.child_was_ignored
    }

    /// What can be waited for.
    pub(crate) fn handle(&self) -> Handle<'_> {
        self.came.as_fd()
    }

    /// The signals that came since the last call, in their order.
    pub(crate) fn take(&self) -> Vec<Caught> {
        let mut bytes = [0; 64];
        let count = (&self.came).read(&mut bytes).unwrap_or_default();
        let known = |byte: &u8| {
            let signal =
                CATCHABLE.into_iter().find(|one| number(*one) == i32::from(byte & !BY_PROCESS))?;
            Some(Caught { signal, by_process: byte & BY_PROCESS != 0 })
        };
        bytes.iter().take(count).filter_map(known).collect()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for id in self.registered.drain(..) {
            signal_hook::low_level::unregister(id);
        }
    }
}

const CATCHABLE: [Signal; 8] = [
    Signal::Hup,
    Signal::Int,
    Signal::Quit,
    Signal::Term,
    Signal::Usr1,
    Signal::Usr2,
    Signal::Winch,
    Signal::Child,
];

pub(super) fn number(signal: Signal) -> libc::c_int {
    match signal {
        Signal::Hup => libc::SIGHUP,
        Signal::Int => libc::SIGINT,
        Signal::Quit => libc::SIGQUIT,
        Signal::Term => libc::SIGTERM,
        Signal::Usr1 => libc::SIGUSR1,
        Signal::Usr2 => libc::SIGUSR2,
        Signal::Kill => libc::SIGKILL,
        Signal::Winch => libc::SIGWINCH,
        Signal::Child => libc::SIGCHLD,
    }
}

/// The status of a program that was ended by this signal: 128 + its number.
pub(crate) fn status_of(signal: Signal) -> u8 {
    u8::try_from(128 + number(signal)).unwrap_or(1)
}

/// Lets a signal come that whoever started this process had blocked.
fn unblock(number: libc::c_int) {
    // SAFETY: the set is a local of this function, which the first call initialises.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, number);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const set, std::ptr::null_mut());
    }
}

/// Ignores the ends of children, or does not any more. Makes system calls only.
pub(super) fn ignore_children() {
    // SAFETY: to ignore a signal runs nothing of ours.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
}

fn is_ignored(number: libc::c_int) -> bool {
    // SAFETY: with no new action sigaction(2) only fills in the old one, for which zeros are a value.
    let old = unsafe {
        let mut old: libc::sigaction = std::mem::zeroed();
        libc::sigaction(number, std::ptr::null(), &raw mut old);
        old
    };
    old.sa_sigaction == libc::SIG_IGN
}

/// The signals of a terminal's keys that ask a program to end.
const OF_THE_TERMINAL: [libc::c_int; 2] = [libc::SIGINT, libc::SIGQUIT];
#[cfg(target_os = "linux")]
const TO_END: [libc::c_int; 4] = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM];

/// Lets no request end this process, whoever makes it.
#[cfg(target_os = "linux")]
pub(super) fn ignore_requests_to_end() {
    set_signals(&TO_END, libc::SIG_IGN);
}

/// Lets requests end this process. Makes system calls only.
#[cfg(target_os = "linux")]
pub(super) fn heed_requests_to_end() {
    set_signals(&TO_END, libc::SIG_DFL);
}

#[cfg(target_os = "linux")]
fn set_signals(signals: &[libc::c_int], disposition: libc::sighandler_t) {
    for signal in signals {
        // SAFETY: to ignore a signal, or not to, runs nothing of ours.
        unsafe { libc::signal(*signal, disposition) };
    }
}

/// Does something while the terminal's keys end nothing here.
pub(crate) fn deaf_to_terminal<T>(action: impl FnOnce() -> T) -> T {
    let before = OF_THE_TERMINAL.map(|signal| {
        // SAFETY: as above; what is put back is what was there.
        unsafe { libc::signal(signal, libc::SIG_IGN) }
    });
    let result = action();
    for (signal, disposition) in OF_THE_TERMINAL.into_iter().zip(before) {
        // SAFETY: as above.
        unsafe { libc::signal(signal, disposition) };
    }
    result
}

/// Ends this process by the signal that ended its command, so that its own parent sees the same. Leaves
/// no core of its own. Comes back only where the signal ends nobody.
pub(crate) fn end_by_signal(number: i32) {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Core);
    limit.current = Some(0);
    let _ = setrlimit(Resource::Core, limit);
    drop(signal_hook::low_level::emulate_default_handler(number));
}
