//! `run`: find the program as the parent would, and become it.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use super::environ::Environment;
use crate::error::{Error, Kind, Result, reason};
use crate::platform;
use crate::vars::name::{shown, without_value};

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
    let word = command.to_string_lossy();
    let told = || if word.contains('/') { shown(&word) } else { without_value(&word) };
    let missing = || {
        Error::new(Kind::NoCommand, format!("`{}`: command not found", told()))
            .hint_if(perhaps(&word))
    };
    let refused = |error: &io::Error| {
        let message = format!("`{}` can't be executed: {}", told(), reason(error));
        Error::new(Kind::NotExecutable, message)
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

/// What was probably meant by a command that isn't there.
fn perhaps(word: &str) -> Option<String> {
    let is_path = word.contains('/');
    if !is_path && word.contains('=') {
        return Some(
            "`vault run -- env NAME=VALUE CMD` sets a variable for the command".to_owned(),
        );
    }
    if word.contains(char::is_whitespace) {
        return Some("leave the quotes out, or start a shell: `vault run -- sh -c '…'`".to_owned());
    }
    let is_here = !is_path && Path::new(word).is_file();
    is_here.then(|| format!("did you mean `./{}`?", shown(word)))
}

/// Where this program lies, for files that have to name it.
pub(crate) fn this_program() -> Result<PathBuf> {
    std::env::current_exe().map_err(|error| {
        Error::failed(format!("cannot find the path of this program: {}", reason(&error)))
    })
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Becomes the command. Returns only where that fails, or on a system without exec at its end.
pub(crate) fn replace(program: &Path, argv: &[OsString], environment: &Environment) -> Result<u8> {
    match platform::replace_process(program, argv, environment) {
        Ok(platform::Ended(status)) => Ok(status),
        Err(error) => Err(not_started(program, &error)),
    }
}

/// The error for a program that was found and could not be started.
pub(super) fn not_started(program: &Path, error: &io::Error) -> Error {
    let told = shown(&program.to_string_lossy());
    if is_missing(error) {
        // It was found a moment ago: what is missing is what its first line or its header names.
        let message =
            format!("`{told}` can't be executed: the interpreter that it names is missing");
        return Error::new(Kind::NoCommand, message);
    }
    Error::new(Kind::NotExecutable, format!("`{told}` can't be executed: {}", reason(error)))
}
