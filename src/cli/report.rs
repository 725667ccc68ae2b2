//! From an error to text and a number: the one place that knows the exit statuses (docs/cli.md).

use std::panic::{self, PanicHookInfo};

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

/// From now on a panic says where it was, and not what: its message can quote the text that it stumbled
/// over, as that of a cut inside of a character does.
pub(crate) fn tell_panics_without_their_words() {
    panic::set_hook(Box::new(|panicked| {
        use std::io::Write as _;
        drop(writeln!(std::io::stderr(), "{}", panic_text(panicked)));
    }));
}

fn panic_text(panicked: &PanicHookInfo<'_>) -> String {
    // The file alone: the path is one of the machine that built this.
    let place = panicked.location().map_or_else(String::new, |at| {
        let file = at.file().rsplit(['/', '\\']).next().unwrap_or_default();
        format!(" ({file}:{})", at.line())
    });
    format!("vault: a mistake in vault itself ended it{place}")
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn a_panic_is_told_by_its_place_alone() {
        let told = Arc::new(Mutex::new(String::new()));
        let (ours, before) = (std::thread::current().id(), panic::take_hook());
        panic::set_hook(Box::new({
            let told = Arc::clone(&told);
            move |panicked| {
                // Tests on other threads fail in their own way.
                if std::thread::current().id() == ours {
                    *told.lock().unwrap() = panic_text(panicked);
                } else {
                    before(panicked);
                }
            }
        }));
        let text = "marker".to_owned();
        assert!(catch_unwind(AssertUnwindSafe(|| panic!("inside of `{text}`"))).is_err());
        let told = told.lock().unwrap();
        let start = "vault: a mistake in vault itself ended it (report.rs:";
        assert!(told.starts_with(start) && !told.contains("marker"), "{told}");
    }
}
