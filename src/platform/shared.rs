//! What the systems' functions take and give, where that is the same on all of them.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

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
pub(crate) enum Sandbox {
    /// Inside, as process 1. What was to be done is done here.
    Inside,
    /// Outside, after the inside has ended.
    Over(Exit),
}

/// Where the files are that a command gets paths of.
#[derive(Debug, Clone, Copy)]
pub(crate) enum FilePlace<'a> {
    /// In memory, without a name.
    Memory,
    /// In a folder that lies in memory.
    Folder {
        /// That of the login, if there is one.
        runtime: Option<&'a Path>,
    },
}

/// What the kernel refused, and why.
#[derive(Debug)]
pub(crate) struct StepRefused {
    /// In the words of its manual.
    pub(crate) step: &'static str,
    /// Its reason.
    pub(crate) error: io::Error,
}

/// An editor that is to be started, perhaps several times, on a text that lies in a folder of ours.
#[derive(Debug, Clone)]
pub(crate) struct EditorPlan {
    /// The program.
    pub(crate) program: PathBuf,
    /// Its name and arguments, without the text's name.
    pub(crate) argv: Vec<OsString>,
    /// Arguments that keep it from writing where it may not.
    pub(crate) silencing: Vec<OsString>,
    /// Its whole environment.
    pub(crate) environment: Vec<(OsString, OsString)>,
    /// What the text is called in its folder.
    pub(crate) name: String,
    /// The home folder, where programs keep what they remember.
    pub(crate) home: Option<PathBuf>,
    /// A further folder for temporary files, of `TMPDIR`.
    pub(crate) temporary: Option<PathBuf>,
    /// The folder that lives as long as the login, of `XDG_RUNTIME_DIR`.
    pub(crate) runtime: Option<PathBuf>,
}

/// How it is made sure that an editor writes to no disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wall {
    /// A mount namespace whose file systems are read-only or in memory.
    Namespace,
    /// Landlock: nothing can be written but below one folder in memory.
    Landlock,
}

/// How an editor ended.
#[derive(Debug)]
pub(crate) enum EditorEnd {
    /// It ran.
    Exited {
        /// To its end.
        exit: Exit,
        /// It, or a child of it, has opened the text.
        opened: bool,
    },
    /// It could not be started.
    NotStarted(io::Error),
}
