//! Linux, macOS and the BSDs.

mod children;
mod events;
#[cfg(target_os = "linux")]
mod fence;
mod guard;
#[cfg(target_os = "linux")]
mod holder;
mod keys;
#[cfg(target_os = "linux")]
mod memory_folder;
#[cfg(target_os = "linux")]
mod passing;
mod sandbox;
mod screen;
mod socket;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod userns;
#[cfg(target_os = "linux")]
mod world;

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::fs::{File, Metadata, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::process::{Resource, WaitOptions};
use rustix::termios::{LocalModes, OptionalActions};
use signal_hook::consts::SIGINT;

pub(crate) use self::children::{
    Pid, adopt_orphans, children, group_is_alive, local_time, pipe, reap, set_terminal_size,
    signal_group, signal_process, spawn, spawn_beside, terminal_size,
};
pub(crate) use self::events::{
    Handle, Signals, deaf_to_terminal, end_by_signal, handle, output_file, output_handle,
    status_of, wait_for,
};
pub(crate) use self::guard::Guard;
#[cfg(target_os = "linux")]
pub(crate) use self::holder::{hold_files, hold_if_asked};
pub(crate) use self::sandbox::enter_sandbox;
pub(crate) use self::screen::{Console, Keyboard};
pub(crate) use self::socket::{Connection, Listener, default_runtime_folder, folder_identity};
#[cfg(target_os = "linux")]
pub(crate) use self::world::World;
use super::Ended;

/// What people know the system's keyring as.
#[cfg(feature = "keyring")]
pub(crate) const KEYRING: &str = if cfg!(target_os = "macos") {
    "the macOS keychain"
} else {
    "the system keyring (Secret Service)"
};

/// Closes this process to debuggers, core dumps and other processes of the same user. The kernel opens
/// it again at exec, so a command that is run is as it would be without us.
///
/// A lowered `RLIMIT_CORE` would be inherited by the command and could not be raised again; this is not.
pub(crate) fn harden() {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        // It can only fail for a wrong argument.
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}

/// Whether [`harden`] has closed this process. None where the system has no such thing.
pub(crate) fn is_closed() -> Option<bool> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        use rustix::process::{DumpableBehavior, dumpable_behavior};
        dumpable_behavior().ok().map(|found| found == DumpableBehavior::NotDumpable)
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    None
}

/// How long a core file may be, in bytes: the limit, and the most that it can be set to. None is without end.
pub(crate) fn core_limits() -> (Option<u64>, Option<u64>) {
    let limit = rustix::process::getrlimit(Resource::Core);
    (limit.current, limit.maximum)
}

/// Takes a variable out of this process's own environment.
///
/// Only to be called while there is one thread.
#[expect(unsafe_code, reason = "std::env::remove_var is unsafe beside other threads")]
#[expect(clippy::disallowed_methods, reason = "the only writer of our own environment")]
pub(crate) fn forget_variable(name: &str) {
    // SAFETY: main calls this before it starts any thread, so nobody reads the environment meanwhile.
    unsafe { std::env::remove_var(name) };
}

/// Opens a file for reading without waiting for a FIFO's writer, and without handing it to children.
pub(crate) fn open_for_reading(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    Ok(File::from(rustix::fs::open(path, flags, Mode::empty())?))
}

/// Bytes as what a program gets: any bytes are a string to the system.
pub(crate) fn os_string(bytes: Vec<u8>) -> OsString {
    OsString::from_vec(bytes)
}

/// Whose file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// This user's.
    Us,
    /// Root's, who can read everything anyway.
    Root,
    /// Another user's.
    Another,
}

/// Whose file it is.
pub(crate) fn owner(metadata: &Metadata) -> Owner {
    match metadata.uid() {
        uid if uid == rustix::process::geteuid().as_raw() => Owner::Us,
        0 => Owner::Root,
        _ => Owner::Another,
    }
}

/// The permission bits of group and others (octal `077`).
pub(crate) fn group_and_others(metadata: &Metadata) -> u32 {
    metadata.mode() & 0o077
}

/// Sets the mode of a file to `0600`, or of a folder to `0700`.
pub(crate) fn tighten(path: &Path) -> io::Result<()> {
    let mode = if std::fs::metadata(path)?.is_dir() { 0o700 } else { 0o600 };
    std::fs::set_permissions(path, Permissions::from_mode(mode))
}

/// Makes a folder and those above it that are missing, each open to this user alone.
pub(crate) fn make_private_folders(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Sets the permission bits of a file.
pub(crate) fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(mode))
}

/// Gives a new file the mode of the one it replaces, or the usual one (`0666` less the umask).
pub(crate) fn set_mode_like(file: &File, old: Option<&Metadata>) -> io::Result<()> {
    match old {
        Some(old) => file.set_permissions(Permissions::from_mode(old.mode() & 0o777)),
        None => Ok(rustix::fs::fchmod(file, Mode::from_raw_mode(0o666) & !umask())?),
    }
}

/// The permission bits that new files don't get. None where there are no such bits.
#[expect(clippy::unnecessary_wraps, reason = "one system has none")]
#[cfg_attr(
    target_os = "linux",
    expect(clippy::useless_conversion, reason = "on macOS they are of another size")
)]
pub(crate) fn file_mask() -> Option<u32> {
    Some(umask().bits().into())
}

/// The umask can only be read by setting it; nobody else creates files meanwhile.
fn umask() -> Mode {
    let mask = rustix::process::umask(Mode::from_raw_mode(0o077));
    rustix::process::umask(mask);
    mask
}

/// A locked folder.
pub(crate) type FolderHandle = OwnedFd;

/// Locks a folder against other writers, waiting for them, until the descriptor is dropped.
///
/// The folder and not the file: a file is replaced by rename, and a lock on the old one locks nothing.
///
/// Whoever may read the folder may lock it, so the wait has an end.
pub(crate) fn lock_folder(folder: &Path) -> io::Result<OwnedFd> {
    const PATIENCE: Duration = Duration::from_secs(20);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = rustix::fs::open(folder, flags, Mode::empty())?;
    match rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive) {
        Err(rustix::io::Errno::WOULDBLOCK) => {}
        result => return result.map(|()| folder).map_err(io::Error::from),
    }
    let (done, waiting) = mpsc::channel();
    // Not joined: where the wait ends without the lock, so does the program.
    let waiter = std::thread::Builder::new().spawn(move || {
        let locked = loop {
            match rustix::fs::flock(&folder, FlockOperation::LockExclusive) {
                Err(rustix::io::Errno::INTR) => {}
                result => break result.map(|()| folder).map_err(io::Error::from),
            }
        };
        drop(done.send(locked));
    });
    drop(waiter?);
    waiting.recv_timeout(PATIENCE).unwrap_or_else(|_| Err(io::ErrorKind::ResourceBusy.into()))
}

/// Makes a rename in the folder last through a power cut.
pub(crate) fn sync_folder(folder: &OwnedFd) -> io::Result<()> {
    match rustix::fs::fsync(folder) {
        // Some network file systems can't sync a folder; the rename itself has happened.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOTSUP) | Ok(()) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Whether there is a terminal to ask a person on, wherever stdin and stdout lead.
pub(crate) fn terminal_is_there() -> bool {
    rustix::fs::open("/dev/tty", OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())
        .is_ok()
}

/// Asks something on a terminal whose echo is off from before the question until after the answer, and
/// which is as it was before when ^C ends this process.
///
/// The library that reads hidden lines puts the terminal back only after its own end, and raises SIGINT
/// before that; and it shows the question before it turns the echo off.
pub(crate) fn with_quiet_terminal<T>(ask: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let terminal = rustix::fs::open("/dev/tty", flags, Mode::empty())?;
    let before = rustix::termios::tcgetattr(&terminal)?;
    let mut quiet = before.clone();
    quiet.local_modes.remove(LocalModes::ECHO);
    let interrupted = Arc::new(AtomicBool::new(false));
    let hold = signal_hook::flag::register(SIGINT, Arc::clone(&interrupted))?;
    rustix::termios::tcsetattr(&terminal, OptionalActions::Now, &quiet)?;
    let answer = ask();
    let restored = rustix::termios::tcsetattr(&terminal, OptionalActions::Now, &before);
    signal_hook::low_level::unregister(hold);
    if interrupted.load(Ordering::SeqCst) {
        signal_hook::low_level::emulate_default_handler(SIGINT)?;
    }
    restored?;
    answer
}

/// The terminal as it was before a program had it that may not put it back itself.
#[cfg(target_os = "linux")]
pub(crate) struct Terminal {
    device: OwnedFd,
    settings: rustix::termios::Termios,
}

#[cfg(target_os = "linux")]
impl Terminal {
    /// The terminal that there is to ask on, if there is one.
    pub(crate) fn as_it_is() -> Option<Self> {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let device = rustix::fs::open("/dev/tty", flags, Mode::empty()).ok()?;
        let settings = rustix::termios::tcgetattr(&device).ok()?;
        Some(Self { device, settings })
    }

    /// Puts it back: the settings, the usual screen, a cursor that is seen.
    pub(crate) fn put_back(&self) {
        // Whoever hung up has taken it along.
        let _ = rustix::termios::tcsetattr(&self.device, OptionalActions::Now, &self.settings);
        let _ = rustix::io::write(&self.device, b"\x1b[?1049l\x1b[?25h\x1b[?2004l\x1b[m");
    }
}

/// How many bytes the stack of this thread may have, if it is the first one.
pub(crate) fn stack_limit() -> usize {
    let soft = rustix::process::getrlimit(Resource::Stack).current;
    soft.and_then(|soft| usize::try_from(soft).ok()).unwrap_or(usize::MAX)
}

/// The standard input, without the buffer that the library keeps of it until the process ends.
pub(crate) fn standard_input() -> impl io::Read {
    struct Unbuffered;
    impl io::Read for Unbuffered {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            Ok(rustix::io::read(rustix::stdio::stdin(), buffer)?)
        }
    }
    Unbuffered
}

/// How many bytes arguments and environment may have together: execve(2) allows a quarter of the soft
/// stack limit, at least 128 KiB and at most 6 MiB, each string with its NUL and its pointer.
pub(crate) fn environment_limit() -> usize {
    const LEAST: u64 = 128 << 10;
    const MOST: u64 = 6 << 20;
    let stack = rustix::process::getrlimit(Resource::Stack).current;
    let limit = stack.map_or(MOST, |soft| (soft / 4).clamp(LEAST, MOST));
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// What execvp(3) would find at this path.
pub(crate) fn executable(path: &Path) -> io::Result<()> {
    if std::fs::metadata(path)?.is_dir() {
        return Err(io::Error::from(io::ErrorKind::PermissionDenied));
    }
    rustix::fs::access(path, rustix::fs::Access::EXEC_OK).map_err(io::Error::from)
}

/// Where execvp(3) looks when there is no PATH.
pub(crate) fn find_in_default_path() -> &'static OsStr {
    OsStr::new("/bin:/usr/bin")
}

/// Replaces this process with `program`, and returns only if that fails.
///
/// SIGPIPE goes back to its default, which Rust's runtime had set to be ignored. A script without `#!`
/// is given to /bin/sh, as execvp(3) does in glibc and not in musl.
pub(crate) fn replace_process(
    program: &Path,
    argv: &[OsString],
    environment: &BTreeMap<OsString, OsString>,
) -> io::Result<Ended> {
    let (_, arguments) = argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let environment = Strings::of(
        environment.iter().map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()]),
    )?;
    let failed = execute(program, argv.iter().map(OsString::as_os_str), &environment);
    if failed.raw_os_error() != Some(rustix::io::Errno::NOEXEC.raw_os_error()) {
        return Err(failed);
    }
    let words = [OsStr::new("sh"), program.as_os_str()].into_iter();
    let words = words.chain(arguments.iter().map(OsString::as_os_str));
    Err(execute(Path::new("/bin/sh"), words, &environment))
}

/// Strings as execve(2) takes them, each with a NUL at its end, in one block: with a block for each, their
/// making takes as long as the kernel's copying.
struct Strings {
    block: Vec<u8>,
    starts: Vec<usize>,
}

impl Strings {
    /// Those that are put together from these parts. One that holds a NUL is refused.
    fn of<'s, const N: usize>(
        strings: impl Iterator<Item = [&'s [u8]; N]> + Clone,
    ) -> io::Result<Self> {
        let length = |parts: [&[u8]; N]| parts.iter().map(|part| part.len()).sum::<usize>() + 1;
        let mut block = Vec::with_capacity(strings.clone().map(length).sum());
        let mut starts = Vec::with_capacity(strings.size_hint().0);
        for parts in strings {
            if parts.iter().any(|part| memchr::memchr(0, part).is_some()) {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            starts.push(block.len());
            for part in parts {
                block.extend_from_slice(part);
            }
            block.push(0);
        }
        Ok(Self { block, starts })
    }

    /// Their addresses, and a null pointer. They are good as long as this lives.
    fn pointers(&self) -> Vec<*const libc::c_char> {
        let start = self.block.as_ptr();
        let addresses = self.starts.iter().map(|at| start.wrapping_add(*at).cast());
        addresses.chain([std::ptr::null()]).collect()
    }
}

/// execve(2). The library's own way there sorts the environment and copies it three times, which takes
/// longer than decrypting it.
#[expect(unsafe_code, reason = "execve takes arrays of pointers")]
fn execute<'a>(
    program: &Path,
    words: impl Iterator<Item = &'a OsStr> + Clone,
    environment: &Strings,
) -> io::Error {
    let (program, words) = match (
        CString::new(program.as_os_str().as_bytes()),
        Strings::of(words.map(|word| [word.as_bytes()])),
    ) {
        (Ok(program), Ok(words)) => (program, words),
        (Err(error), _) => return error.into(),
        (_, Err(error)) => return error,
    };
    let (argv, envp) = (words.pointers(), environment.pointers());
    // SAFETY: both arrays end in a null pointer, and they and the strings live to the end of this function.
    // Rust's runtime ignores SIGPIPE, which would be inherited; as in its own exec, the default is put back.
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        libc::execve(program.as_ptr(), argv.as_ptr(), envp.as_ptr());
    }
    let failed = io::Error::last_os_error();
    // SAFETY: as above. What is left to do is to tell the failure, perhaps into a closed pipe.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    failed
}

/// The status of a helper that was waited for, as a shell would give it.
pub(crate) fn shell_status(status: std::process::ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1)
}

/// Waits for children that were started and forgotten (age does, with plugins), so that the program
/// which replaces us does not inherit a zombie. At most two seconds. Not to be called without need: the
/// children that this process was started with are the command's, and their ends would be lost.
pub(crate) fn reap_children() {
    let until = Instant::now() + Duration::from_secs(2);
    loop {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Ok(Some(_)) => {}
            Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(2)),
            Ok(None) | Err(_) => return,
        }
    }
}
