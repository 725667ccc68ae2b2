//! A world of processes that ends with us: a pid namespace (`pid_namespaces(7)`), in which the kernel kills
//! every process when its first one ends for whatever reason.
//!
//! That first one only waits. It is not this program's work that runs there, because the kernel treats it
//! apart: signals that it does not catch don't reach it.
#![cfg_attr(
    any(target_os = "linux", target_os = "android"),
    expect(unsafe_code, reason = "fork(2), while there is one thread")
)]

use std::io;
#[cfg(any(target_os = "linux", target_os = "android"))]
use std::io::{Read as _, Write as _};
#[cfg(any(target_os = "linux", target_os = "android"))]
use std::os::unix::net::UnixStream;

#[cfg(any(target_os = "linux", target_os = "android"))]
use crate::platform::Exit;
use crate::platform::{Sandbox, StepRefused};

/// What asks a process to end, and is passed on into the sandbox.
#[cfg(any(target_os = "linux", target_os = "android"))]
const PASSED_ON: [crate::platform::Signal; 4] = {
    use crate::platform::Signal::{Hup, Int, Quit, Term};
    [Hup, Int, Quit, Term]
};

/// Enters the sandbox. Comes back twice: inside at once, outside when that is over.
///
/// To be called while there is one thread and before any secret is in memory (see `userns`).
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn enter_sandbox() -> Result<Sandbox, StepRefused> {
    use rustix::thread::UnshareFlags;
    let at = |step| move |error: io::Error| StepRefused { step, error };
    super::userns::enter_user_namespace(UnshareFlags::NEWPID | UnshareFlags::NEWNS)?;
    let (outer, inner) = UnixStream::pair().map_err(at("socketpair"))?;
    // SAFETY: there is one thread, so the child's copy of this process is whole.
    match unsafe { libc::fork() } {
        -1 => Err(at("fork")(io::Error::last_os_error())),
        0 => {
            drop(outer);
            begin(inner)
        }
        child => {
            drop(inner);
            // Until the first process of the sandbox can pass signals on, one ends us, and so all of it.
            wait_for_readiness(outer);
            watch(child).map(Sandbox::Over).map_err(at("wait"))
        }
    }
}

/// The first process of the sandbox: furnishes it, and starts the one that comes back inside.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn begin(mut link: UnixStream) -> Result<Sandbox, StepRefused> {
    let at = |step| move |error: io::Error| StepRefused { step, error };
    settle(&mut link)?;
    // SAFETY: there is one thread, so the child's copy of this process is whole.
    match unsafe { libc::fork() } {
        -1 => Err(at("fork")(io::Error::last_os_error())),
        0 => Ok(Sandbox::Inside),
        child => {
            let ended = watch_ready(&mut link, child);
            // Of a signal that ended it, the number is told as a shell does.
            let status = ended.map_or(1, Exit::status);
            // SAFETY: nothing of the copy may be unwound or run at exit a second time.
            unsafe { libc::_exit(status.into()) }
        }
    }
}

/// Dies with the outer process, and sees only the processes of its own world.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn settle(link: &mut UnixStream) -> Result<(), StepRefused> {
    use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
    let at = |step| move |error: rustix::io::Errno| StepRefused { step, error: error.into() };
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .map_err(at("prctl"))?;
    // The outer process may have died before that. Only if it lives does it answer.
    let answered = link.write_all(&[0]).and_then(|()| link.read_exact(&mut [0]));
    answered.map_err(|error| StepRefused { step: "fork", error })?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(at("mount of `/` as private"))?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("proc", "/proc", "proc", flags, None).map_err(at("mount of /proc"))
}

/// Outside: says that we live, and waits until signals can be passed on. Where the other side is gone, its
/// end is heard of next.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn wait_for_readiness(mut link: UnixStream) {
    let answered = link.read_exact(&mut [0]).and_then(|()| link.write_all(&[0]));
    drop(answered.and_then(|()| link.read_exact(&mut [0])));
}

/// As [`watch`], once signals are caught and the outer process knows it.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn watch_ready(link: &mut UnixStream, child: super::Pid) -> io::Result<Exit> {
    let signals = caught()?;
    // Where it is gone, so are we.
    drop(link.write_all(&[0]));
    watch_with(&signals, child)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn watch(child: super::Pid) -> io::Result<Exit> {
    watch_with(&caught()?, child)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn caught() -> io::Result<super::Signals> {
    use crate::platform::Signal::Child;
    let [hup, int, quit, term] = PASSED_ON;
    super::Signals::catch(&[hup, int, quit, term, Child])
}

/// Passes on to `child` what other processes send to us, and waits for its end. What the terminal sends
/// reaches it by itself, because all are in one process group.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn watch_with(signals: &super::Signals, child: super::Pid) -> io::Result<Exit> {
    use crate::platform::Interest;
    loop {
        for caught in signals.take() {
            if caught.by_process && PASSED_ON.contains(&caught.signal) {
                super::signal_process(child, caught.signal);
            }
        }
        while let Some((pid, exit)) = super::reap() {
            if pid == child {
                return Ok(exit);
            }
        }
        super::wait_for(&[(signals.handle(), Interest::Read)], None)?;
    }
}

/// There are no pid namespaces here.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn enter_sandbox() -> Result<Sandbox, StepRefused> {
    Err(StepRefused { step: "unshare", error: io::ErrorKind::Unsupported.into() })
}
