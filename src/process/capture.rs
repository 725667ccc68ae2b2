//! Small helper programs whose output we want: `git config`, and the command that gives a key.
#![expect(clippy::disallowed_types, reason = "this room starts programs")]

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::{Error, Result, reason};
use crate::platform;
use crate::secret::Secret;
use crate::vars::name::shown;

/// Runs a program in `folder` with this environment and gives its standard output, of at most 64 KiB.
/// Its standard error is ours, so that it can explain itself or ask.
///
/// # Errors
///
/// It can't be started, or ends with another status than 0.
pub(crate) fn capture(
    words: &[String],
    folder: &Path,
    environment: &[(OsString, OsString)],
) -> Result<Secret> {
    const LIMIT: usize = 64 << 10;
    let (program, arguments) = words
        .split_first()
        .ok_or_else(|| Error::failed("the command that should give a key is empty"))?;
    let told = shown(program);
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| Error::failed(format!("cannot run `{told}`: {}", reason(&error))))?;
    let status = platform::wait_for(output.status);
    let text = Secret::new(output.stdout);
    if status != 0 {
        return Err(Error::failed(format!("`{told}` ended with status {status}")));
    }
    if text.expose().len() > LIMIT {
        return Err(Error::failed(format!("`{told}` printed more than a key")));
    }
    Ok(text)
}
