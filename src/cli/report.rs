//! From an error to text and a number: the one place that knows the exit statuses (docs/cli.md).

use super::ui::Ui;
use crate::error::{Error, Kind};

/// Everything went well.
pub(crate) const DONE: u8 = 0;
/// The answer is no, or a failure without a status of its own.
pub(crate) const FAILED: u8 = 1;
/// The command line can't be understood.
pub(crate) const USAGE: u8 = 2;
/// An environment, a secret or a member isn't there.
pub(crate) const NOT_FOUND: u8 = 3;
/// No key, or it opens nothing here.
pub(crate) const NO_ACCESS: u8 = 4;
/// A stored or imported file is damaged, tampered with, or badly written.
pub(crate) const INTEGRITY: u8 = 5;
/// `run` and `start`: vault itself failed before the command began (as env(1), timeout(1) and docker).
pub(crate) const RUN_FAILED: u8 = 125;
/// `run`: found, but it can't be executed.
pub(crate) const NOT_EXECUTABLE: u8 = 126;
/// `run`: not found.
pub(crate) const NO_COMMAND: u8 = 127;

/// The exit status of a failure. `run` has statuses of its own, so that they can't be mistaken for the
/// command's; `start` has one for an environment that could not be had.
pub(crate) fn status(error: &Error, of_run: bool) -> u8 {
    match error.kind() {
        Kind::NotExecutable => NOT_EXECUTABLE,
        Kind::NoCommand => NO_COMMAND,
        _ if of_run || error.is_before_command() => RUN_FAILED,
        Kind::Usage => USAGE,
        Kind::NotFound => NOT_FOUND,
        Kind::NoAccess => NO_ACCESS,
        Kind::Integrity => INTEGRITY,
        Kind::Failed => FAILED,
    }
}

/// Tells a failure on stderr.
pub(crate) fn tell(error: &Error, ui: &Ui) {
    if ui.json {
        let mut body = serde_json::json!({
            "code": error.kind().code(),
            "message": error.to_string(),
        });
        if let Some(hint) = error.hint_text() {
            body["hint"] = hint.into();
        }
        if let Some(environment) = error.environment() {
            body["env"] = environment.into();
        }
        ui.raw_line(&serde_json::json!({ "error": body }).to_string());
        return;
    }
    for message in error.messages() {
        ui.fail(message);
    }
    if let Some(hint) = error.hint_text() {
        ui.hint(hint);
    }
}
