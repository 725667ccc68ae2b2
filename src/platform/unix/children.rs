//! Children that stay ours: started in a session of their own, signalled as a group, reaped.
#![expect(unsafe_code, reason = "what a child does between fork and exec; and localtime_r")]
#![expect(clippy::disallowed_types, reason = "the start of programs, called by process/ only")]

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::fs::{Mode, OFlags};
use rustix::process::{WaitOptions, WaitStatus};
use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;

use crate::platform::{Exit, Outlet, Signal, Size, Stream};

/// The number of a process; of a session's leader also that of its group.
pub(crate) type Pid = i32;

/// Starts `argv` in a new session, and gives its number and what it will write, to be read without
/// waiting.
///
/// The kernel kills it when the *thread* that calls this ends, so only the main thread may.
pub(crate) fn spawn<'a>(
    program: &Path,
    argv: &[OsString],
    environment: impl Iterator<Item = (&'a OsString, &'a OsString)>,
    folder: &Path,
    outlet: Outlet,
) -> io::Result<(Pid, File)> {
    let (name, arguments) = argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(program);
    command.arg0(name).args(arguments).current_dir(folder).env_clear().envs(environment);
    let (reader, terminal) = match outlet {
        Outlet::Pipe => {
            let (reader, writer) = io::pipe()?;
            command.stdout(writer.try_clone()?).stderr(writer);
            (OwnedFd::from(reader), false)
        }
        Outlet::Terminal(size) => {
            let (ours, theirs) = open_terminal(size)?;
            let copy = |fd: &OwnedFd| fd.try_clone().map(Stdio::from);
            command.stdin(copy(&theirs)?).stdout(copy(&theirs)?).stderr(theirs);
            (ours, true)
        }
    };
    let reader = without_waiting(reader)?;
    let parent = rustix::process::getpid();
    let become_leader = move || {
        rustix::process::setsid()?;
        if terminal {
            rustix::process::ioctl_tiocsctty(rustix::stdio::stdin())?;
        }
        die_with(parent)
    };
    // SAFETY: between fork and exec only system calls are made, and nothing is allocated or locked.
    unsafe { command.pre_exec(become_leader) };
    let child = command.spawn()?;
    Ok((Pid::try_from(child.id()).unwrap_or(Pid::MAX), reader))
}

/// Asks the kernel to kill this process when its parent's thread ends. The parent may have ended already.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn die_with(parent: rustix::process::Pid) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    if rustix::process::getppid() == Some(parent) {
        return Ok(());
    }
    Err(io::ErrorKind::BrokenPipe.into())
}

/// There is no such thing here.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn die_with(_: rustix::process::Pid) -> io::Result<()> {
    Ok(())
}

/// A new pseudo-terminal: our end and the program's.
fn open_terminal(size: Size) -> io::Result<(OwnedFd, OwnedFd)> {
    let ours = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    rustix::io::fcntl_setfd(&ours, rustix::io::FdFlags::CLOEXEC)?;
    rustix::pty::grantpt(&ours)?;
    rustix::pty::unlockpt(&ours)?;
    let name = rustix::pty::ptsname(&ours, Vec::new())?;
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let theirs = rustix::fs::open(name.as_c_str(), flags, Mode::empty())?;
    rustix::termios::tcsetwinsize(&theirs, winsize(size))?;
    Ok((ours, theirs))
}

/// Starts `argv` in our own process group, with its standard output and standard error led through us.
/// Where these lead to one place they are one stream, so that their order is kept; where they lead to a
/// terminal the child sees one too. It is killed when the thread that calls this ends. With
/// `ignores_children` it is started as this process was: with SIGCHLD ignored.
pub(crate) fn spawn_beside<'a>(
    program: &Path,
    argv: &[OsString],
    environment: &(impl Iterator<Item = (&'a OsString, &'a OsString)> + Clone),
    ignores_children: bool,
) -> io::Result<(Pid, Vec<Stream>)> {
    let (name, arguments) = argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let (output, error) = (rustix::stdio::stdout(), rustix::stdio::stderr());
    let (first, first_end) = stream(output)?;
    let mut streams = vec![first];
    let second_end = if is_same(output, error) {
        first_end.try_clone()?
    } else {
        let (second, end) = stream(error)?;
        streams.push(second);
        end
    };
    let parent = rustix::process::getpid();
    let start = |program: &Path, words: &[&OsStr]| {
        let mut command = Command::new(program);
        command.args(words).env_clear().envs(environment.clone());
        command.stdout(first_end.try_clone()?).stderr(second_end.try_clone()?);
        // SAFETY: between fork and exec only system calls are made, and nothing is allocated or locked.
        unsafe {
            command.arg0(name).pre_exec(move || {
                if ignores_children {
                    super::events::ignore_children();
                }
                die_with(parent)
            });
        }
        command.spawn()
    };
    let words: Vec<&OsStr> = arguments.iter().map(OsString::as_os_str).collect();
    let child = match start(program, &words) {
        // A script without `#!`, as in `replace_process`.
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error()) => {
            start(Path::new("/bin/sh"), &[&[program.as_os_str()], &words[..]].concat())?
        }
        started => started?,
    };
    Ok((Pid::try_from(child.id()).unwrap_or(Pid::MAX), streams))
}

/// A way through us to `output`: our side, and the child's end.
fn stream(output: BorrowedFd<'_>) -> io::Result<(Stream, OwnedFd)> {
    let is_terminal = rustix::termios::isatty(output);
    let (ours, theirs) = if is_terminal {
        let size = rustix::termios::tcgetwinsize(output)?;
        let (ours, theirs) = open_terminal(Size { rows: size.ws_row, columns: size.ws_col })?;
        // What the program writes ends its lines in the outer terminal.
        let mut settings = rustix::termios::tcgetattr(&theirs)?;
        settings.output_modes.remove(rustix::termios::OutputModes::OPOST);
        rustix::termios::tcsetattr(&theirs, rustix::termios::OptionalActions::Now, &settings)?;
        (ours, theirs)
    } else {
        let (reader, writer) = io::pipe()?;
        (OwnedFd::from(reader), OwnedFd::from(writer))
    };
    let output = File::from(output.try_clone_to_owned()?);
    Ok((Stream { input: without_waiting(ours)?, output, is_terminal }, theirs))
}

/// Whether two descriptors lead to the same file, pipe or terminal.
fn is_same(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> bool {
    let place = |fd| rustix::fs::fstat(fd).map(|found| (found.st_dev, found.st_ino));
    matches!((place(one), place(other)), (Ok(one), Ok(other)) if one == other)
}

/// A pipe: the end to read, without waiting, and the end to write.
pub(crate) fn pipe() -> io::Result<(File, File)> {
    let (reader, writer) = io::pipe()?;
    Ok((without_waiting(reader.into())?, File::from(OwnedFd::from(writer))))
}

fn without_waiting(fd: OwnedFd) -> io::Result<File> {
    let flags = rustix::fs::fcntl_getfl(&fd)?;
    rustix::fs::fcntl_setfl(&fd, flags | OFlags::NONBLOCK)?;
    Ok(File::from(fd))
}

fn winsize(size: Size) -> Winsize {
    Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 }
}

/// The size of the terminal that standard output is, if it is one.
pub(crate) fn terminal_size() -> Option<Size> {
    let size = rustix::termios::tcgetwinsize(rustix::stdio::stdout()).ok()?;
    Some(Size { rows: size.ws_row, columns: size.ws_col })
}

/// Tells the programs of a pseudo-terminal its new size.
pub(crate) fn set_terminal_size(terminal: &File, size: Size) {
    // Its programs may be gone.
    let _ = rustix::termios::tcsetwinsize(terminal, winsize(size));
}

/// Makes orphaned descendants our children and not init's.
pub(crate) fn adopt_orphans() {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        // Without it they are left to init, as on other systems.
        let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
    }
}

/// Our children, adopted ones too. Empty where the system has no /proc.
pub(crate) fn children() -> Vec<Pid> {
    let own = rustix::process::getpid().as_raw_nonzero().get();
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let numbers = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter(|&pid| parent_of(pid) == Some(own)).collect()
}

/// The fourth field of `/proc/PID/stat`, behind the name in parentheses (proc(5)).
fn parent_of(pid: Pid) -> Option<Pid> {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let behind = stat.iter().rposition(|&byte| byte == b')')? + 1;
    let fields = std::str::from_utf8(stat.get(behind..)?).ok()?;
    fields.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// A child that has ended, if there is one, and how.
pub(crate) fn reap() -> Option<(Pid, Exit)> {
    reap_while_any().ok()?
}

/// As [`reap`].
///
/// # Errors
///
/// There is no child left.
pub(super) fn reap_while_any() -> io::Result<Option<(Pid, Exit)>> {
    loop {
        let Some((pid, status)) = rustix::process::wait(WaitOptions::NOHANG)? else {
            return Ok(None);
        };
        if let Some(exit) = exit(status) {
            return Ok(Some((pid.as_raw_nonzero().get(), exit)));
        }
    }
}

/// Kills all our children, and those who become ours when their own parents have ended.
#[cfg(target_os = "linux")]
pub(super) fn kill_all() {
    loop {
        for child in children() {
            signal_process(child, Signal::Kill);
        }
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

fn exit(status: WaitStatus) -> Option<Exit> {
    let signal = status.terminating_signal().map(Exit::Signal);
    signal.or_else(|| status.exit_status().map(Exit::Code))
}

/// Sends a signal to a process's group, and lets those of it go on who were stopped, or they could not
/// answer it. False where nobody is in it.
pub(crate) fn signal_group(leader: Pid, signal: Signal) -> bool {
    use rustix::process::{Signal as System, kill_process_group};
    let Some(group) = rustix::process::Pid::from_raw(leader) else { return false };
    let sent = kill_process_group(group, system_signal(signal)).is_ok();
    sent && kill_process_group(group, System::CONT).is_ok()
}

/// Sends a signal to one process.
pub(crate) fn signal_process(pid: Pid, signal: Signal) {
    if let Some(pid) = rustix::process::Pid::from_raw(pid) {
        // It may have ended.
        let _ = rustix::process::kill_process(pid, system_signal(signal));
    }
}

/// Whether a process's group has a member.
pub(crate) fn group_is_alive(leader: Pid) -> bool {
    rustix::process::Pid::from_raw(leader).is_some_and(|pid| {
        // Not ours to signal is alive too.
        rustix::process::test_kill_process_group(pid) != Err(rustix::io::Errno::SRCH)
    })
}

fn system_signal(signal: Signal) -> rustix::process::Signal {
    use rustix::process::Signal as System;
    match signal {
        Signal::Hup => System::HUP,
        Signal::Int => System::INT,
        Signal::Quit => System::QUIT,
        Signal::Term => System::TERM,
        Signal::Usr1 => System::USR1,
        Signal::Usr2 => System::USR2,
        Signal::Kill => System::KILL,
        Signal::Winch => System::WINCH,
        Signal::Child => System::CHILD,
    }
}

/// Hours, minutes and seconds of the local time at `seconds` since 1970.
pub(crate) fn local_time(seconds: u64) -> (u8, u8, u8) {
    let time = seconds.try_into().unwrap_or_default();
    // SAFETY: `tm` is plain numbers and a pointer, for which zeros are a value; localtime_r(3) writes it.
    let parts = unsafe {
        let mut parts: libc::tm = std::mem::zeroed();
        libc::localtime_r(&raw const time, &raw mut parts);
        parts
    };
    let small = |number: libc::c_int| u8::try_from(number).unwrap_or_default();
    (small(parts.tm_hour), small(parts.tm_min), small(parts.tm_sec))
}
