//! A folder of this user's alone, for a while, that lies in memory.
//!
//! Whoever made it holds a lock on it. One that nobody holds was left behind, and is removed by the next who
//! makes one. The lock and not the number of a process says that: containers may share the place and have
//! numbers of their own.

use std::fs::Metadata;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags};

use super::{Owner, group_and_others, owner};
use crate::platform::StepRefused;

/// Where folders in memory are, if the login has none.
const SHARED_MEMORY: &str = "/dev/shm";
/// `TMPFS_MAGIC` and `RAMFS_MAGIC` of linux/magic.h.
const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];
/// The names of our folders begin so; the number and the start of a process follow.
const PREFIX: &str = "vault.";

/// The folder, and the lock on it.
#[derive(Debug)]
pub(super) struct MemoryFolder {
    path: PathBuf,
    lock: OwnedFd,
}

impl MemoryFolder {
    /// Makes one in the folder of the login, else in that of shared memory, and removes those that were left
    /// behind there.
    ///
    /// # Errors
    ///
    /// Neither is there, or neither lies in memory.
    pub(super) fn make(runtime: Option<&Path>) -> Result<Self, StepRefused> {
        let refused = |error: io::Error| StepRefused { step: "mkdir on a tmpfs", error };
        let shared = Path::new(SHARED_MEMORY);
        let base = runtime
            .filter(|base| is_in_memory(base) && is_ours_alone(base))
            .or_else(|| Some(shared).filter(|base| is_in_memory(base) && is_folder(base)));
        let base = base.ok_or_else(|| refused(io::ErrorKind::NotFound.into()))?;
        sweep(base);
        Self::make_in(base).map_err(refused)
    }

    fn make_in(base: &Path) -> io::Result<Self> {
        /// So often somebody may take it for one that was left behind, before it is locked.
        const ATTEMPTS: usize = 5;
        let own = std::process::id();
        let path = base.join(format!("{PREFIX}{own}.{}", start_of(own).unwrap_or_default()));
        for _ in 0..ATTEMPTS {
            std::fs::DirBuilder::new().mode(0o700).create(&path)?;
            let Ok(lock) = open(&path) else { continue };
            rustix::fs::flock(&lock, FlockOperation::LockExclusive)?;
            if is_at(&lock, &path) {
                return Ok(Self { path, lock });
            }
        }
        Err(io::ErrorKind::ResourceBusy.into())
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it with all that is in it.
    pub(super) fn remove(&self) {
        remove(&self.path);
    }
}

impl AsFd for MemoryFolder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.lock.as_fd()
    }
}

/// Removes a folder with all that is in it. What can't be removed is swept later; it is in memory, and this
/// user's alone.
pub(super) fn remove(path: &Path) {
    drop(std::fs::remove_dir_all(path));
}

fn open(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

fn is_at(folder: &OwnedFd, path: &Path) -> bool {
    let same = |found: rustix::fs::Stat, own: rustix::fs::Stat| {
        (found.st_dev, found.st_ino) == (own.st_dev, own.st_ino)
    };
    let found = rustix::fs::lstat(path);
    found.is_ok_and(|found| rustix::fs::fstat(folder).is_ok_and(|own| same(found, own)))
}

fn is_folder(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|found| found.is_dir())
}

/// Whoever may change the folder around ours could put another one in its place.
fn is_ours_alone(path: &Path) -> bool {
    let only_us =
        |found: &Metadata| owner(found) == Owner::Us && group_and_others(found) & 0o022 == 0;
    std::fs::symlink_metadata(path).is_ok_and(|found| found.is_dir() && only_us(&found))
}

fn is_in_memory(folder: &Path) -> bool {
    let kind = rustix::fs::statfs(folder).map(|found| u64::try_from(found.f_type).unwrap_or(0));
    kind.is_ok_and(|kind| IN_MEMORY.contains(&kind))
}

/// Removes the folders that nobody holds.
fn sweep(base: &Path) {
    let Ok(entries) = std::fs::read_dir(base) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let is_one = name
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX)?.split_once('.'))
            .is_some_and(|(pid, start)| pid.parse::<u32>().is_ok() && start.parse::<u64>().is_ok());
        let ours =
            || entry.metadata().is_ok_and(|found| found.is_dir() && owner(&found) == Owner::Us);
        if !is_one || !ours() {
            continue;
        }
        let Ok(folder) = open(&entry.path()) else { continue };
        if rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive).is_ok() {
            remove(&entry.path());
        }
    }
}

/// When a process was started, in ticks since the boot: the 22nd field of `/proc/PID/stat` (proc(5)).
fn start_of(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()
}
