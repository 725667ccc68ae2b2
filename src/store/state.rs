//! What this program remembers between its runs: one text, changed under a lock.

use std::path::Path;

use super::file::{FolderLock, ReadError, belongs_to_another, not_regular, read_regular};
use crate::error::{Error, Result, reason, shown_path};
use crate::platform::{self, Owner};

/// Far more than a machine with a thousand environments needs.
const LIMIT: usize = 16 << 20;

/// Reads the text. None if there is none yet.
///
/// # Errors
///
/// It can't be read, or isn't this user's own: what can't be asked must not count as a first time.
pub(crate) fn read(path: &Path) -> Result<Option<String>> {
    let unusable = |why: &str| {
        Error::integrity(format!("the memory `{}` {why}", shown_path(path)))
            .hint("look at it, and move it away to begin a new one")
    };
    if belongs_to_another(path) {
        return Err(unusable("belongs to another user"));
    }
    match read_regular(path, LIMIT) {
        Ok(Some((bytes, _))) => {
            String::from_utf8(bytes).map(Some).map_err(|_| unusable("is damaged"))
        }
        Ok(None) => Err(unusable("is too long")),
        Err(ReadError::Missing) => Ok(None),
        Err(ReadError::NotRegular) => Err(not_regular(path)),
        Err(ReadError::Io(error)) if error.kind() == std::io::ErrorKind::NotADirectory => Ok(None),
        // Somebody else's home, as of `sudo -u`: there is no memory of ours, and none can be made.
        Err(ReadError::Io(error)) if is_denied(&error) && !folder_is_ours(path) => Ok(None),
        Err(ReadError::Io(error)) => Err(unusable(&format!("can't be read: {}", reason(&error)))),
    }
}

fn is_denied(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::PermissionDenied
}

fn folder_is_ours(path: &Path) -> bool {
    // The nearest one that can be looked at: what lies in a closed folder can't be.
    let mut folders = path.ancestors().skip(1);
    let folder = folders.find_map(|folder| std::fs::symlink_metadata(folder).ok());
    folder.is_some_and(|folder| platform::owner(&folder) == Owner::Us)
}

/// Changes the text under the lock of its folder, which is made if it isn't there.
///
/// # Errors
///
/// What `change` says; of the kind [`crate::error::Kind::Failed`] where nothing can be written.
pub(crate) fn update(
    path: &Path,
    change: impl FnOnce(Option<String>) -> Result<String>,
) -> Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    platform::make_private_folders(folder)
        .map_err(|error| Error::io("make the folder", folder, &error))?;
    let lock = FolderLock::take(folder)?;
    let text = change(read(path)?)?;
    // Who lets us open files of his making could fill it, and then nothing could be read of it any more.
    if text.len() > LIMIT {
        let message = format!("the memory `{}` would become too long", shown_path(path));
        return Err(
            Error::integrity(message).hint("nothing was changed; what it knew, it still knows")
        );
    }
    lock.replace(name, text.as_bytes())?;
    platform::tighten(path).map_err(|error| Error::io("set the mode of", path, &error))
}
