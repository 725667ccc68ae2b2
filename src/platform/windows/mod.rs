//! Windows: the same names with what the standard library gives. There is no exec here, so `run` waits
//! for its command; modes and owners of files are left to the system's access lists.

mod children;
mod screen;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io;
use std::path::Path;

pub(crate) use self::children::{
    Connection, Guard, Handle, Listener, Pid, Signals, adopt_orphans, children,
    default_runtime_folder, end_by_signal, enter_sandbox, folder_identity, group_is_alive, handle,
    local_time, output_file, output_handle, pipe, reap, set_terminal_size, signal_group,
    signal_process, spawn, spawn_beside, status_of, terminal_size, wait_for,
};
pub(crate) use self::screen::{Console, Keyboard};
use super::Ended;

/// Whose file it is. Windows' access lists are not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(dead_code, reason = "the other systems tell all three")]
pub(crate) enum Owner {
    /// This user's.
    Us,
    /// Root's.
    Root,
    /// Another user's.
    Another,
}

/// There is nothing to switch off.
pub(crate) fn harden() {}

/// Does something while the terminal's keys end nothing here.
pub(crate) fn deaf_to_terminal<T>(action: impl FnOnce() -> T) -> T {
    action()
}

/// What people know the system's keyring as.
pub(crate) const KEYRING: &str = "the Windows Credential Manager";

/// Takes a variable out of this process's own environment, while there is one thread.
#[expect(unsafe_code, reason = "std::env::remove_var is unsafe beside other threads")]
#[expect(clippy::disallowed_methods, reason = "the only writer of our own environment")]
pub(crate) fn forget_variable(name: &str) {
    // SAFETY: main calls this before it starts any thread, so nobody reads the environment meanwhile.
    unsafe { std::env::remove_var(name) };
}

/// Opens a file for reading.
pub(crate) fn open_for_reading(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// Bytes as what a program gets: only text is a string to this system.
pub(crate) fn os_string(bytes: Vec<u8>) -> OsString {
    OsString::from(String::from_utf8_lossy(&bytes).into_owned())
}

/// There is no such thing.
pub(crate) fn is_closed() -> Option<bool> {
    None
}

/// There are no core files.
pub(crate) fn core_limits() -> (Option<u64>, Option<u64>) {
    (Some(0), Some(0))
}

/// There are no permission bits.
pub(crate) fn file_mask() -> Option<u32> {
    None
}

/// Files are taken to be this user's.
pub(crate) fn owner(_: &Metadata) -> Owner {
    Owner::Us
}

/// There are no permission bits.
pub(crate) fn group_and_others(_: &Metadata) -> u32 {
    0
}

/// There are no permission bits.
pub(crate) fn tighten(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Makes a folder and those above it that are missing.
pub(crate) fn make_private_folders(path: &Path) -> io::Result<()> {
    std::fs::create_dir_all(path)
}

/// Files have no permission bits here.
pub(crate) fn set_mode(_: &File, _: u32) -> io::Result<()> {
    Ok(())
}

/// There are no permission bits.
pub(crate) fn set_mode_like(_: &File, _: Option<&Metadata>) -> io::Result<()> {
    Ok(())
}

/// A locked folder.
pub(crate) type FolderHandle = File;

/// Locks a file beside the folder's own: folders can't be locked here.
pub(crate) fn lock_folder(folder: &Path) -> io::Result<File> {
    use std::os::windows::fs::OpenOptionsExt as _;
    let path = folder.join(".vault.lock");
    loop {
        // No sharing: the second opener fails until the first one closes.
        match std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .share_mode(0)
            .open(&path)
        {
            Err(error) if error.raw_os_error() == Some(32) => {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            result => return result,
        }
    }
}

/// Renames last by themselves.
pub(crate) fn sync_folder(_: &File) -> io::Result<()> {
    Ok(())
}

/// Whether there is a console.
pub(crate) fn terminal_is_there() -> bool {
    File::open("CONIN$").is_ok()
}

/// The console is quiet while it is asked for something hidden.
pub(crate) fn with_quiet_terminal<T>(ask: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    ask()
}

/// What the linker gives the first thread.
pub(crate) fn stack_limit() -> usize {
    1 << 20
}

/// The standard input. The library's, because a console's text has to be translated.
pub(crate) fn standard_input() -> impl io::Read {
    io::stdin().lock()
}

/// The environment block of a process has at most 32,767 characters.
pub(crate) fn environment_limit() -> usize {
    32_767
}

/// Whether there is a file at this path.
pub(crate) fn executable(path: &Path) -> io::Result<()> {
    std::fs::metadata(path).map(drop)
}

/// There is no default.
pub(crate) fn find_in_default_path() -> &'static OsStr {
    OsStr::new("")
}

/// Runs `program` and waits for its end.
#[expect(
    clippy::disallowed_types,
    reason = "the one start of the program, called by process/replace only"
)]
pub(crate) fn replace_process(
    program: &Path,
    argv: &[OsString],
    environment: &BTreeMap<OsString, OsString>,
) -> io::Result<Ended> {
    let arguments = argv.get(1..).unwrap_or_default();
    let status = std::process::Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(environment)
        .status()?;
    Ok(Ended(u8::try_from(shell_status(status)).unwrap_or(1)))
}

/// The status of a helper that was waited for.
pub(crate) fn shell_status(status: std::process::ExitStatus) -> i32 {
    status.code().unwrap_or(1)
}

/// There are no zombies.
pub(crate) fn reap_children() {}
