//! Where the system has nothing that keeps an editor from writing to a disk.

use std::io;

use super::{EditorEnd, EditorPlan, StepRefused, Wall};

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
    pub(crate) fn edit(&mut self) -> io::Result<EditorEnd> {
        Err(unsupported())
    }
}

fn unsupported() -> io::Error {
    io::ErrorKind::Unsupported.into()
}
