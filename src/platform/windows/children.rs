//! What `start`, `ps` and `run --redact` need and this system doesn't have: sessions, process groups,
//! signals that are sent. They say so.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::platform::{Caught, Exit, Interest, Outlet, Sandbox, Signal, Size, StepRefused, Stream};

/// The number of a process.
pub(crate) type Pid = i32;
/// Something to wait for.
pub(crate) type Handle<'a> = PhantomData<&'a ()>;

fn not_here<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Nothing can be started this way.
pub(crate) fn spawn<'a>(
    _: &Path,
    _: &[OsString],
    _: impl Iterator<Item = (&'a OsString, &'a OsString)>,
    _: &Path,
    _: Outlet,
) -> io::Result<(Pid, File)> {
    not_here()
}

/// Nothing can be started this way.
pub(crate) fn spawn_beside<'a>(
    _: &Path,
    _: &[OsString],
    _: &(impl Iterator<Item = (&'a OsString, &'a OsString)> + Clone),
    _: bool,
) -> io::Result<(Pid, Vec<Stream>)> {
    not_here()
}

/// There are no such pipes.
pub(crate) fn pipe() -> io::Result<(File, File)> {
    not_here()
}

/// It is not asked.
pub(crate) fn terminal_size() -> Option<Size> {
    None
}

/// There is no pseudo-terminal.
pub(crate) fn set_terminal_size(_: &File, _: Size) {}

/// Nobody is adopted.
pub(crate) fn adopt_orphans() {}

/// They are not known.
pub(crate) fn children() -> Vec<Pid> {
    Vec::new()
}

/// Nobody is waited for.
pub(crate) fn reap() -> Option<(Pid, Exit)> {
    None
}

/// There are no groups.
pub(crate) fn signal_group(_: Pid, _: Signal) -> bool {
    false
}

/// There are no signals.
pub(crate) fn signal_process(_: Pid, _: Signal) {}

/// There are no groups.
pub(crate) fn group_is_alive(_: Pid) -> bool {
    false
}

/// Hours, minutes and seconds in UTC.
pub(crate) fn local_time(seconds: u64) -> (u8, u8, u8) {
    let part = |number: u64| u8::try_from(number).unwrap_or_default();
    (part(seconds / 3600 % 24), part(seconds / 60 % 60), part(seconds % 60))
}

/// The handle of a file.
pub(crate) fn handle(_: &File) -> Handle<'_> {
    PhantomData
}

/// The handle of standard output.
pub(crate) fn output_handle() -> Handle<'static> {
    PhantomData
}

/// Standard output without a buffer.
pub(crate) fn output_file() -> io::Result<File> {
    not_here()
}

/// Nothing can be waited for.
pub(crate) fn wait_for(_: &[(Handle<'_>, Interest)], _: Option<Duration>) -> io::Result<Vec<bool>> {
    not_here()
}

/// Signals that are caught.
#[derive(Debug)]
pub(crate) struct Signals;

impl Signals {
    /// None can be.
    pub(crate) fn catch(_: &[Signal]) -> io::Result<Self> {
        not_here()
    }

    /// What can be waited for.
    #[expect(clippy::unused_self, reason = "the other systems have something to show")]
    pub(crate) fn handle(&self) -> Handle<'_> {
        PhantomData
    }

    /// There is no such signal.
    #[expect(clippy::unused_self, reason = "the other systems know")]
    pub(crate) fn child_was_ignored(&self) -> bool {
        false
    }

    /// None came.
    #[expect(clippy::unused_self, reason = "the other systems have something to read")]
    pub(crate) fn take(&self) -> Vec<Caught> {
        Vec::new()
    }
}

/// There are no signals.
pub(crate) fn status_of(_: Signal) -> u8 {
    1
}

/// There are no signals.
pub(crate) fn end_by_signal(_: i32) {}

/// There are no pid namespaces here.
pub(crate) fn enter_sandbox() -> Result<Sandbox, StepRefused> {
    Err(StepRefused { step: "unshare", error: io::ErrorKind::Unsupported.into() })
}

/// Who would end what is left.
#[derive(Debug)]
pub(crate) struct Guard;

#[expect(clippy::unused_self, reason = "the other systems have a process here")]
impl Guard {
    /// There is none.
    pub(crate) fn start(_: Duration) -> io::Result<Self> {
        not_here()
    }

    /// Nothing is guarded.
    pub(crate) fn add(&mut self, _: Pid) {}

    /// Nothing was.
    pub(crate) fn forget(&mut self, _: Pid) {}
}

/// A socket that waits for connections.
#[derive(Debug)]
pub(crate) struct Listener;

impl Listener {
    /// There is none.
    pub(crate) fn at(_: &Path) -> io::Result<Self> {
        not_here()
    }

    /// What can be waited for.
    #[expect(clippy::unused_self, reason = "the other systems have something to show")]
    pub(crate) fn handle(&self) -> Handle<'_> {
        PhantomData
    }

    /// Nobody connects.
    #[expect(clippy::unused_self, reason = "the other systems have somebody to accept")]
    pub(crate) fn accept(&self) -> io::Result<Option<Connection>> {
        Ok(None)
    }
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Connection;

#[expect(clippy::unused_self, reason = "the other systems have a socket here")]
impl Connection {
    /// There is none.
    pub(crate) fn to(_: &Path, _: Duration) -> io::Result<Self> {
        not_here()
    }

    /// What can be waited for.
    pub(crate) fn handle(&self) -> Handle<'_> {
        PhantomData
    }

    /// Nothing comes.
    pub(crate) fn read(&self, _: &mut [u8]) -> io::Result<usize> {
        not_here()
    }

    /// Nothing goes.
    pub(crate) fn write(&self, _: &[u8]) -> io::Result<usize> {
        not_here()
    }

    /// Nothing was begun.
    pub(crate) fn finish(&self) {}
}

/// There is none.
pub(crate) fn folder_identity(_: &Path) -> io::Result<String> {
    not_here()
}

/// There is none.
pub(crate) fn default_runtime_folder() -> PathBuf {
    PathBuf::new()
}
