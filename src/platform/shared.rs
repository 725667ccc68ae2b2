//! What the systems' functions take and give, where that is the same on all of them.

use std::fs::File;
use std::io;

use super::{Exit, Size};

/// Where a child's output goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outlet {
    /// Standard output and standard error into one pipe; standard input is ours.
    Pipe,
    /// A terminal of this size for all three, which is the child's controlling one.
    Terminal(Size),
}

/// One way out of a child that [`super::spawn_beside`] started.
#[derive(Debug)]
pub(crate) struct Stream {
    /// What the child writes, to be read without waiting.
    pub(crate) input: File,
    /// Where it would have gone.
    pub(crate) output: File,
    /// Both are terminals.
    pub(crate) is_terminal: bool,
}

/// What of a handle is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interest {
    /// Something to read, or its end.
    Read,
    /// Room to write.
    Write,
    /// Only that the other side is gone.
    Closed,
}

/// On which side of the border this process is.
#[derive(Debug)]
#[cfg_attr(windows, allow(dead_code, reason = "the other systems have an inside"))]
pub(crate) enum Sandbox {
    /// Inside, as process 1. What was to be done is done here.
    Inside,
    /// Outside, after the inside has ended.
    Over(Exit),
}

/// What the kernel refused, and why.
#[derive(Debug)]
pub(crate) struct SandboxRefused {
    /// In the words of its manual.
    pub(crate) step: &'static str,
    /// Its reason.
    pub(crate) error: io::Error,
}
