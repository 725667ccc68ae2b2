//! Questions to the person at the terminal: asked on /dev/tty, so that stdin and stdout stay free.

use std::io::{BufRead as _, BufReader, Write as _};

use crate::crypto::plugin::Interaction;
use crate::error::{Error, Result, reason};
use crate::platform;
use crate::secret::Secret;

/// Whether there is somebody to ask.
pub(crate) fn possible() -> bool {
    platform::terminal_is_there()
}

/// Asks for one line that nobody may see.
pub(crate) fn hidden(question: &str) -> Result<Secret> {
    platform::with_quiet_terminal(|| rpassword::prompt_password(format!("{question}: ")))
        .map(Secret::from)
        .map_err(|error| match error.kind() {
            // Control-D.
            std::io::ErrorKind::UnexpectedEof => Error::failed("nothing was typed"),
            _ => Error::failed(format!("cannot ask on the terminal: {}", reason(&error))),
        })
}

/// Asks a question that is answered by yes or no; anything but yes is no.
pub(crate) fn confirmed(question: &str) -> Result<bool> {
    let answer = shown(&format!("{question} [y/N] "))?;
    Ok(["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()))
}

/// Asks a question whose usual answer is yes, again after any word that is neither. Control-D is a no: whoever leaves
/// has not said yes.
pub(crate) fn confirmed_unless_no(question: &str) -> Result<bool> {
    loop {
        let answer = shown(&format!("{question} [Y/n] "))?;
        if answer.is_empty() {
            return Ok(false);
        }
        match answer.trim().to_ascii_lowercase().as_str() {
            "n" | "no" => return Ok(false),
            "" | "y" | "yes" => return Ok(true),
            _ => {}
        }
    }
}

/// Asks for one line that may be seen. It is empty, without a line end, after Control-D.
pub(crate) fn shown(question: &str) -> Result<String> {
    let failed = |error| Error::failed(format!("cannot ask on the terminal: {}", reason(&error)));
    let mut terminal =
        std::fs::OpenOptions::new().read(true).write(true).open("/dev/tty").map_err(failed)?;
    terminal.write_all(question.as_bytes()).map_err(failed)?;
    let mut terminal = BufReader::new(terminal);
    let mut answer = String::new();
    terminal.read_line(&mut answer).map_err(failed)?;
    if !answer.ends_with('\n') {
        // What is told next begins a line.
        terminal.get_mut().write_all(b"\n").map_err(failed)?;
    }
    Ok(answer)
}

/// Lets an age plugin reach the user.
pub(crate) struct OnTerminal;

impl Interaction for OnTerminal {
    fn message(&self, text: &str) {
        if let Ok(mut terminal) = std::fs::OpenOptions::new().write(true).open("/dev/tty") {
            // A message that can't be shown is no reason to fail.
            drop(writeln!(terminal, "vault: {}", crate::vars::name::shown(text)));
        }
    }

    fn ask(&self, question: &str) -> Option<String> {
        shown(&format!("{} ", crate::vars::name::shown(question))).ok()
    }

    fn ask_hidden(&self, question: &str) -> Option<Secret> {
        hidden(&crate::vars::name::shown(question)).ok()
    }
}
