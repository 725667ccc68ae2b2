//! The file of a private key: found, judged by its mode and owner, read, made.
//!
//! A key in its default place must be this user's alone. A file that the user *named* is never refused
//! for its mode: platforms mount secrets as 0444, and a checkout makes them 0644 (cli.md, Identity).

use std::io::Write as _;
use std::path::Path;

use super::file::{ReadError, not_regular, read_regular};
use crate::error::{Error, Result, shown_path};
use crate::platform::{self, Owner};
use crate::secret::Secret;

/// An identity file is a few lines; an ssh key has at most a few KiB.
const LIMIT: usize = 64 << 10;

/// A key file's text, and what its user should know about it.
pub(crate) struct KeyFile {
    /// The text.
    pub(crate) text: Secret,
    /// Others could put another key there.
    pub(crate) others_can_write: bool,
}

/// What [`read_named`] calls a key file. The path of any other file is not shown.
pub(crate) const KEY_FILE: &str = "key file";

/// Reads a key file that the user named.
///
/// `what` it is for the user: "key file", "passphrase file".
pub(crate) fn read_named(path: &Path, what: &str) -> Result<KeyFile> {
    // Not shown where somebody gave the secret itself in the place of its path.
    let secret = what != KEY_FILE || path.to_string_lossy().contains("AGE-");
    let told = if secret { String::new() } else { format!(" `{}`", shown_path(path)) };
    let missing = || {
        let error = Error::no_access(format!("the {what}{told} does not exist"));
        let tilde = path.starts_with("~");
        error.hint_if(
            tilde.then(|| "a shell leaves a quoted `~` as it is: write `$HOME`".to_owned()),
        )
    };
    if std::fs::metadata(path).is_ok_and(|metadata| metadata.is_dir()) {
        return Err(Error::no_access(format!("the {what}{told} is not a regular file")));
    }
    // A shell's `<(…)` is a FIFO, which can be opened only once.
    if std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir()) {
        return named_pipe(path);
    }
    read(path)?.ok_or_else(missing)
}

/// Reads the key file in its default place, if there is one.
///
/// # Errors
///
/// It, its folder, or what it links to can be read or changed by others.
pub(crate) fn read_default(path: &Path) -> Result<Option<KeyFile>> {
    let Ok(entry) = std::fs::symlink_metadata(path) else { return Ok(None) };
    let told = shown_path(path);
    let target = std::fs::metadata(path).map_err(|error| Error::io("read", path, &error))?;
    if !target.is_file() {
        return Err(not_regular(path));
    }
    if platform::owner(&target) == Owner::Another {
        let what = if entry.is_symlink() {
            "is a link to another user's file"
        } else {
            "belongs to another user"
        };
        return Err(Error::no_access(format!("the identity `{told}` {what}"))
            .hint("make an own one with `vault key new`, after you have moved this one away"));
    }
    if platform::group_and_others(&target) != 0 {
        return Err(Error::no_access(format!(
            "the identity `{told}` can be read or changed by other users"
        ))
        .hint(format!("run `chmod 600 {}`", quoted(&told))));
    }
    if let Some(folder) = path.parent() {
        let metadata =
            std::fs::metadata(folder).map_err(|error| Error::io("look at", folder, &error))?;
        let told = shown_path(folder);
        if platform::group_and_others(&metadata) & 0o022 != 0
            || platform::owner(&metadata) == Owner::Another
        {
            return Err(Error::no_access(format!(
                "other users can put another identity into the folder `{told}`"
            ))
            .hint(format!("run `chmod 700 {}`", quoted(&told))));
        }
    }
    read(path)
}

fn read(path: &Path) -> Result<Option<KeyFile>> {
    match read_regular(path, LIMIT) {
        Ok(Some((bytes, metadata))) => {
            let others_can_write = platform::group_and_others(&metadata) & 0o022 != 0;
            Ok(Some(KeyFile { text: Secret::new(bytes), others_can_write }))
        }
        Ok(None) => {
            Err(Error::no_access(format!("`{}` is too long for a key file", shown_path(path))))
        }
        Err(ReadError::Missing) => Ok(None),
        Err(ReadError::NotRegular) => named_pipe(path).map(Some),
        Err(ReadError::Io(error)) => Err(Error::no_access(format!(
            "cannot read the key file `{}`: {}",
            shown_path(path),
            crate::error::reason(&error)
        ))),
    }
}

/// `VAULT_KEY_FILE=<(…)` gives a FIFO or `/dev/fd/N`: read to its end, within the limit.
fn named_pipe(path: &Path) -> Result<KeyFile> {
    use std::io::Read as _;
    let io = |error| Error::io("read the key file", path, &error);
    let file = std::fs::File::open(path).map_err(io)?;
    if file.metadata().map_err(io)?.is_dir() {
        return Err(not_regular(path));
    }
    let mut bytes = Vec::with_capacity(LIMIT);
    file.take(u64::try_from(LIMIT).unwrap_or(u64::MAX)).read_to_end(&mut bytes).map_err(io)?;
    Ok(KeyFile { text: Secret::new(bytes), others_can_write: false })
}

/// Puts a new key file in the default place: 0600, in a folder that is 0700 if it is made now.
///
/// # Errors
///
/// There is one already: a private key is never replaced.
pub(crate) fn write_new(path: &Path, text: &Secret) -> Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    if !folder.exists() {
        platform::make_private_folders(folder)
            .map_err(|error| Error::io("make the folder", folder, &error))?;
        platform::tighten(folder).map_err(|error| Error::io("set the mode of", folder, &error))?;
    }
    let io = |error| Error::io("write the identity", path, &error);
    // tempfile makes it 0600 from the first moment.
    let mut file = tempfile::Builder::new().prefix(".identity.").tempfile_in(folder).map_err(io)?;
    file.write_all(text.expose()).map_err(io)?;
    file.as_file().sync_all().map_err(io)?;
    file.persist_noclobber(path).map_err(|error| match error.error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Error::failed(format!("there is an identity already: `{}`", shown_path(path)))
        }
        _ => io(error.error),
    })?;
    Ok(())
}

/// Puts another text in the place of the key file, whole or not at all, and reads it back.
pub(crate) fn replace(path: &Path, text: &Secret) -> Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let io = |error| Error::io("write the identity", path, &error);
    let mut file = tempfile::Builder::new().prefix(".identity.").tempfile_in(folder).map_err(io)?;
    file.write_all(text.expose()).map_err(io)?;
    file.as_file().sync_all().map_err(io)?;
    file.persist(path).map_err(|error| io(error.error))?;
    match read(path)? {
        Some(found) if found.text == *text => Ok(()),
        _ => Err(Error::failed(format!("`{}` holds something else", shown_path(path)))),
    }
}

/// The path as one word for a shell, where it isn't plain.
fn quoted(path: &str) -> String {
    shell_words::quote(path).into_owned()
}
