//! Small helper programs whose output we want: the command that gives a key, and what reads the files of others.
#![expect(clippy::disallowed_types, reason = "this room starts programs")]

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::{Command, Stdio};

use super::environ::carries_a_key;
use crate::error::{Error, Result, reason};
use crate::platform;
use crate::secret::Secret;
use crate::vars::name::shown;

/// Where a helper runs and what it sees.
pub(crate) struct Surroundings<'a> {
    /// Its working directory.
    pub(crate) folder: &'a Path,
    /// Its environment.
    pub(crate) environment: &'a [(OsString, OsString)],
}

/// Runs the command that gives a key, and gives its standard output, of at most 64 KiB.
///
/// # Errors
///
/// It can't be started, ends with another status than 0, or prints more.
pub(crate) fn capture_key(words: &[String], around: &Surroundings<'_>) -> Result<Secret> {
    const LIMIT: usize = 64 << 10;
    let (program, arguments) = words
        .split_first()
        .ok_or_else(|| Error::failed("the command that should give a key is empty"))?;
    // Not shown where somebody gave the key itself in the place of the command.
    let told = if program.contains("AGE-") { "the command".to_owned() } else { shown(program) };
    let text = capture(&told, program, arguments, around)?;
    if text.expose().len() > LIMIT {
        return Err(Error::failed(format!("`{told}` printed more than a key")));
    }
    Ok(text)
}

/// Runs a program that reads what is not ours, without any key of ours, and gives its standard output.
///
/// # Errors
///
/// As [`capture_key`], but for the size.
pub(crate) fn capture_without_key<S: AsRef<OsStr>>(
    program: &str,
    arguments: &[S],
    around: &Surroundings<'_>,
) -> Result<Secret> {
    let environment = keyless(around);
    capture(program, program, arguments, &Surroundings { environment: &environment, ..*around })
}

/// Its standard error is ours, so that it can explain itself or ask.
fn capture<S: AsRef<OsStr>>(
    told: &str,
    program: &str,
    arguments: &[S],
    around: &Surroundings<'_>,
) -> Result<Secret> {
    let output = command(program, arguments, around)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| Error::failed(format!("cannot run `{told}`: {}", reason(&error))))?;
    let text = Secret::new(output.stdout);
    match platform::shell_status(output.status) {
        0 => Ok(text),
        status => Err(Error::failed(format!("`{told}` ended with status {status}"))),
    }
}

pub(super) fn keyless(around: &Surroundings<'_>) -> Vec<(OsString, OsString)> {
    around.environment.iter().filter(|(name, _)| !carries_a_key(name)).cloned().collect()
}

pub(super) fn command<S: AsRef<OsStr>>(
    program: &str,
    arguments: &[S],
    around: &Surroundings<'_>,
) -> Command {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(around.folder)
        .env_clear()
        .envs(around.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null());
    command
}
