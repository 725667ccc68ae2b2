//! `run`: find the program as the parent would, and become it.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use super::environ::Environment;
use crate::error::{Error, Kind, Result, reason};
use crate::platform;
use crate::vars::name::shown;

/// Where a command's program lies.
///
/// A name without a slash is looked up in `path`, the PATH of the *parent*: a PATH that is stored in the
/// vault must not choose the program. As execvp(3) does, the search goes on behind a file that may not
/// be executed, and an empty entry means the working directory.
///
/// # Errors
///
/// [`Kind::NoCommand`] (127) or [`Kind::NotExecutable`] (126).
pub(crate) fn find(command: &OsStr, path: Option<&OsStr>) -> Result<PathBuf> {
    let told = shown(&command.to_string_lossy());
    let missing = || Error::new(Kind::NoCommand, format!("`{told}`: command not found"));
    let refused = |error: &io::Error| {
        Error::new(Kind::NotExecutable, format!("`{told}` can't be executed: {}", reason(error)))
    };
    let typed = Path::new(command);
    if command.is_empty() {
        return Err(missing());
    }
    if typed.components().count() > 1 || command.to_string_lossy().contains('/') {
        return match platform::executable(typed) {
            Ok(()) => Ok(typed.to_owned()),
            Err(error) if is_missing(&error) => Err(missing()),
            Err(error) => Err(refused(&error)),
        };
    }
    let mut denied = None;
    for folder in std::env::split_paths(path.unwrap_or(platform::find_in_default_path())) {
        let folder = if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder };
        let candidate = folder.join(typed);
        match platform::executable(&candidate) {
            Ok(()) => return Ok(candidate),
            Err(error) if is_missing(&error) => {}
            Err(error) => denied = denied.or(Some(error)),
        }
    }
    Err(denied.as_ref().map_or_else(missing, refused))
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Becomes the command. Returns only where that fails, or on a system without exec at its end.
pub(crate) fn replace(program: &Path, argv: &[OsString], environment: Environment) -> Result<u8> {
    match platform::replace_process(program, argv, environment.into_iter()) {
        Ok(platform::Ended(status)) => Ok(status),
        Err(error) => {
            let told = shown(&program.to_string_lossy());
            if is_missing(&error) {
                // It was found a moment ago: what is missing is what its first line or its header names.
                let message =
                    format!("`{told}` can't be executed: the interpreter that it names is missing");
                return Err(Error::new(Kind::NoCommand, message));
            }
            Err(Error::new(
                Kind::NotExecutable,
                format!("`{told}` can't be executed: {}", reason(&error)),
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_is_that_of_execvp() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, mode: u32| {
            use std::os::unix::fs::PermissionsExt as _;
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::File::create(&path).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            path
        };
        let (good, plain) = (file("b/tool", 0o755), file("a/tool", 0o644));
        std::fs::create_dir(folder.path().join("a/folder")).unwrap();
        let path =
            std::env::join_paths([folder.path().join("a"), folder.path().join("b")]).unwrap();
        let look = |name: &OsStr| find(name, Some(&path)).map_err(|error| error.kind());
        assert_eq!(
            look(OsStr::new("tool")),
            Ok(good),
            "a file that can't be executed is passed over"
        );
        assert_eq!(look(plain.as_os_str()), Err(Kind::NotExecutable));
        assert_eq!(look(OsStr::new("folder")), Err(Kind::NotExecutable));
        assert_eq!(look(OsStr::new("nothing")), Err(Kind::NoCommand));
        assert_eq!(look(OsStr::new("./nothing")), Err(Kind::NoCommand));
        assert_eq!(look(OsStr::new("")), Err(Kind::NoCommand));
        assert_eq!(find(OsStr::new("sh"), None).map(|path| path.ends_with("sh")).unwrap(), true);
    }
}
