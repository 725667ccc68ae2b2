//! A world of processes that ends with us: a pid namespace (`pid_namespaces(7)`), in which the kernel kills
//! every process when its first one, which we become, ends for whatever reason.
#![expect(unsafe_code, reason = "fork(2) and unshare(2), while there is one thread")]

use std::fs::File;
use std::io;

use crate::platform::{Exit, Sandbox, SandboxRefused};

/// Enters the sandbox. Comes back twice: inside at once, outside when that is over.
///
/// To be called while there is one thread and before any secret is in memory: a process whose memory is
/// closed may not write its own id maps (`user_namespaces(7)`), so it is open for that moment.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn enter_sandbox() -> Result<Sandbox, SandboxRefused> {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    use rustix::thread::UnshareFlags;
    let at = |step| move |error: io::Error| SandboxRefused { step, error };
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    // It can only fail for a wrong argument.
    let _ = set_dumpable_behavior(DumpableBehavior::Dumpable);
    let flags = UnshareFlags::NEWUSER | UnshareFlags::NEWPID | UnshareFlags::NEWNS;
    // SAFETY: no descriptor table is unshared, which is what could go wrong for owners of descriptors.
    let unshared = unsafe { rustix::thread::unshare_unsafe(flags) };
    let mapped = unshared.map_err(io::Error::from).map_err(at("unshare"));
    let mapped = mapped.and_then(|()| {
        write_map("/proc/self/setgroups", "deny").map_err(at("setgroups"))?;
        write_map("/proc/self/uid_map", &format!("{uid} {uid} 1")).map_err(at("uid_map"))?;
        write_map("/proc/self/gid_map", &format!("{gid} {gid} 1")).map_err(at("gid_map"))
    });
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    mapped?;
    let (outer, inner) = std::os::unix::net::UnixStream::pair().map_err(at("socketpair"))?;
    // SAFETY: there is one thread, so the child's copy of this process is whole.
    match unsafe { libc::fork() } {
        -1 => Err(at("fork")(io::Error::last_os_error())),
        0 => {
            drop(outer);
            settle(inner).map(|()| Sandbox::Inside)
        }
        child => {
            drop(inner);
            watch(outer, child).map(Sandbox::Over).map_err(at("wait"))
        }
    }
}

/// Inside: dies with the outer process, and sees only the processes of its own world.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn settle(mut link: std::os::unix::net::UnixStream) -> Result<(), SandboxRefused> {
    use io::{Read as _, Write as _};
    use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
    let at = |step| move |error: rustix::io::Errno| SandboxRefused { step, error: error.into() };
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .map_err(at("prctl"))?;
    // The outer process may have died before that. Only if it lives does it answer.
    let answered = link.write_all(&[0]).and_then(|()| link.read_exact(&mut [0]));
    answered.map_err(|error| SandboxRefused { step: "fork", error })?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(at("mount of `/` as private"))?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("proc", "/proc", "proc", flags, None).map_err(at("mount of /proc"))
}

/// Outside: passes on what other processes send to us, and waits for the end. What the terminal sends
/// reaches the inside by itself, because both are in one process group.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn watch(mut link: std::os::unix::net::UnixStream, child: super::Pid) -> io::Result<Exit> {
    use super::Signals;
    use crate::platform::Interest;
    use crate::platform::Signal::{Child, Hup, Int, Quit, Term};
    use io::{Read as _, Write as _};
    let signals = Signals::catch(&[Hup, Int, Quit, Term, Child])?;
    if link.read_exact(&mut [0]).is_ok() {
        link.write_all(&[0])?;
    }
    loop {
        super::wait_for(&[(signals.handle(), Interest::Read)], None)?;
        for caught in signals.take() {
            if caught.by_process && caught.signal != Child {
                super::signal_process(child, caught.signal);
            }
        }
        while let Some((pid, exit)) = super::reap() {
            if pid == child {
                return Ok(exit);
            }
        }
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn write_map(path: &str, text: &str) -> io::Result<()> {
    // In one write(2), as these files want it.
    io::Write::write_all(&mut File::options().write(true).open(path)?, text.as_bytes())
}

/// There are no pid namespaces here.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn enter_sandbox() -> Result<Sandbox, SandboxRefused> {
    Err(SandboxRefused { step: "unshare", error: io::ErrorKind::Unsupported.into() })
}
