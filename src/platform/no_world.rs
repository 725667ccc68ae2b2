//! Where the system has nothing that keeps an editor from writing to a disk, nor a place in memory for files.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use super::{EditorEnd, EditorPlan, FilePlace, StepRefused, Wall};

/// There is none.
#[derive(Debug)]
pub(crate) struct World;

impl World {
    /// Is refused.
    pub(crate) fn build(_: &EditorPlan, _: Wall) -> Result<Self, StepRefused> {
        Err(StepRefused { step: "unshare", error: unsupported() })
    }

    /// Nothing can be written.
    pub(crate) fn write(&self, _: &str, _: &[u8]) -> io::Result<()> {
        Err(unsupported())
    }

    /// Nothing can be read.
    pub(crate) fn read(&self, _: &str, _: u64) -> io::Result<Option<Vec<u8>>> {
        Err(unsupported())
    }

    /// Nothing can be started.
    pub(crate) fn edit(&mut self, _: &dyn Fn()) -> io::Result<EditorEnd> {
        Err(unsupported())
    }
}

/// Is refused.
pub(crate) fn hold_files(
    _: &[(&str, &[u8])],
    _: FilePlace<'_>,
) -> Result<Vec<PathBuf>, StepRefused> {
    Err(StepRefused { step: "memfd_create", error: unsupported() })
}

/// This process is none that holds files.
pub(crate) fn hold_if_asked() -> Option<ExitCode> {
    None
}

fn unsupported() -> io::Error {
    io::ErrorKind::Unsupported.into()
}
