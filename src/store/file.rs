//! Files of the project: read with a limit, and replaced so that a reader sees the old or the new one.

use std::fs::Metadata;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result, shown_path};
use crate::platform::{self, Owner};

/// Where a file of the project really lies.
///
/// A link is followed if its target lies inside `root`: a link that leads outside would let a commit by
/// somebody else have any file of this user read or replaced.
///
/// # Errors
///
/// The link leads outside, or to nothing; a path that does not exist and is no link is given back as is.
pub(crate) fn resolve(path: &Path, root: &Path) -> Result<PathBuf> {
    let Ok(metadata) = std::fs::symlink_metadata(path) else {
        // There is nothing yet; where it would be made must lie inside.
        if let Some(folder) = path.parent().filter(|folder| folder.exists()) {
            resolve(folder, root)?;
        }
        return Ok(path.to_owned());
    };
    let link = metadata.is_symlink();
    let broken = |error| Error::io("follow the link", path, &error);
    let target = if link { path.canonicalize().map_err(broken)? } else { path.to_owned() };
    // The folder may be a link itself, so the comparison is made on real paths even for plain files.
    let real = target.canonicalize().map_err(broken)?;
    let root = root.canonicalize().map_err(|error| Error::io("look at", root, &error))?;
    if !real.starts_with(&root) {
        return Err(Error::integrity(format!(
            "`{}` is a link that leads out of the project",
            shown_path(path)
        ))
        .hint("put the file itself into the project"));
    }
    Ok(target)
}

/// Reads a regular file inside `root` of at most `limit` bytes. None if there is none.
///
/// # Errors
///
/// It is a FIFO, a device or a folder; it is longer; a link leads outside; it can't be read.
pub(crate) fn read(path: &Path, root: &Path, limit: usize) -> Result<Option<Vec<u8>>> {
    let path = &resolve(path, root)?;
    match read_regular(path, limit) {
        Ok(None) => {
            Err(Error::integrity(format!("`{}` is over {}", shown_path(path), size(limit))))
        }
        Ok(Some((bytes, _))) => Ok(Some(bytes)),
        Err(ReadError::Missing) => Ok(None),
        Err(ReadError::NotRegular) => Err(not_regular(path)),
        Err(ReadError::Io(error)) => Err(Error::io("read", path, &error)),
    }
}

fn size(bytes: usize) -> String {
    if bytes >= 1 << 20 { format!("{} MiB", bytes >> 20) } else { format!("{} KiB", bytes >> 10) }
}

/// Whether the file is there and belongs to somebody else than this user and root.
pub(crate) fn belongs_to_another(path: &Path) -> bool {
    std::fs::symlink_metadata(path)
        .is_ok_and(|metadata| platform::owner(&metadata) == Owner::Another)
}

/// Why a file was not read.
pub(crate) enum ReadError {
    /// There is none.
    Missing,
    /// It is a FIFO, a device or a folder.
    NotRegular,
    /// The system says why.
    Io(std::io::Error),
}

pub(super) fn not_regular(path: &Path) -> Error {
    Error::integrity(format!("`{}` is not a regular file", shown_path(path)))
}

/// The bytes and what is known of the file they came from; None if it is over the limit.
pub(crate) fn read_regular(
    path: &Path,
    limit: usize,
) -> Result<Option<(Vec<u8>, Metadata)>, ReadError> {
    let file = platform::open_for_reading(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => ReadError::Missing,
        _ => ReadError::Io(error),
    })?;
    let metadata = file.metadata().map_err(ReadError::Io)?;
    if !metadata.is_file() {
        return Err(ReadError::NotRegular);
    }
    let length = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
    if length > limit {
        return Ok(None);
    }
    // One byte more than the limit: the file may grow between the look at its size and the read.
    let mut bytes = Vec::with_capacity(length + 1);
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    file.take(most).read_to_end(&mut bytes).map_err(ReadError::Io)?;
    Ok((bytes.len() <= limit).then_some((bytes, metadata)))
}

/// A file that is written and not in its place yet. Dropped, it is gone.
pub(crate) struct Staged {
    file: tempfile::NamedTempFile,
    target: PathBuf,
}

impl Staged {
    /// Takes the place of what was there.
    pub(crate) fn put_in_place(self) -> Result<()> {
        let target = self.target;
        let put = self.file.persist(&target);
        put.map(drop).map_err(|error| Error::io("replace", &target, &error.error))
    }
}

/// The right to write in one folder. Others who want it wait until it is dropped.
pub(crate) struct FolderLock {
    folder: PathBuf,
    handle: platform::FolderHandle,
}

impl FolderLock {
    /// Waits for the lock on `folder`, which must exist.
    pub(crate) fn take(folder: &Path) -> Result<Self> {
        let handle = platform::lock_folder(folder)
            .map_err(|error| Error::io("lock the folder", folder, &error))?;
        Ok(Self { folder: folder.to_owned(), handle })
    }

    /// Puts `bytes` in the place of the file `name`: whole, or not at all, and lasting.
    pub(crate) fn replace(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.stage(name, bytes)?.put_in_place()?;
        self.sync()
    }

    /// Writes `bytes` beside the file `name`, under a name that no reader takes for a vault file, lasting
    /// and with the mode of what is there; what an earlier process left under such a name is removed.
    pub(crate) fn stage(&self, name: &str, bytes: &[u8]) -> Result<Staged> {
        let target = self.folder.join(name);
        let failed = |doing: &str, error: &std::io::Error| Error::io(doing, &target, error);
        let old = match std::fs::symlink_metadata(&target) {
            Ok(old) if !old.is_file() => return Err(not_regular(&target)),
            Ok(old) if platform::owner(&old) == Owner::Another => {
                let message = format!("`{}` belongs to another user", shown_path(&target));
                return Err(Error::failed(message));
            }
            Ok(old) => Some(old),
            Err(_) => None,
        };
        self.sweep(name);
        let mut file = tempfile::Builder::new()
            .prefix(&format!(".{name}.tmp-{}.", std::process::id()))
            .tempfile_in(&self.folder)
            .map_err(|error| failed("write beside", &error))?;
        file.write_all(bytes).map_err(|error| failed("write", &error))?;
        platform::set_mode_like(file.as_file(), old.as_ref())
            .map_err(|error| failed("set the mode of", &error))?;
        file.as_file().sync_all().map_err(|error| failed("write", &error))?;
        Ok(Staged { file, target })
    }

    /// Makes what was put in place last through a power cut.
    pub(crate) fn sync(&self) -> Result<()> {
        platform::sync_folder(&self.handle)
            .map_err(|error| Error::io("sync the folder", &self.folder, &error))
    }

    /// Removes what processes that were killed left behind. Nobody else writes here now.
    fn sweep(&self, name: &str) {
        let stale = format!(".{name}.tmp-");
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return };
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with(&stale) {
                // One that can't be removed is in nobody's way.
                drop(std::fs::remove_file(entry.path()));
            }
        }
    }
}
