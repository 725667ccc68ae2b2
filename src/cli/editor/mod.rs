//! The built-in editor: a text that is edited in this process, and nowhere else.
//!
//! No file is written, no program is started, no clipboard is asked, nothing is logged. What is shown goes
//! to the terminal's alternate screen, which is cleared before it is left.
//!
//! **What is in memory meanwhile**, besides the text that was given: the text as it is, what can be undone
//! and redone (each piece that was typed, pasted or deleted), the lines that were cut or copied, the text
//! that was searched for, the bytes of a paste, what the screen shows (twice, to tell what changed), and the
//! bytes that put it there. All of it is in blocks of the heap, is dropped before [`edit`] comes back, also
//! where a panic ends it, and is wiped by the allocator as it is dropped. What is not reached: the stack,
//! where single characters pass, until the command ends; the kernel's buffers of the terminal; the
//! terminal's own memory. On Windows `crossterm` keeps the last events in a static queue for the life of
//! the process.

mod mask;
mod state;
mod terminal;
#[cfg(test)]
mod tests;
mod text;
mod view;

use super::settings::Outside;
use crate::error::{Error, Result};
use crate::platform;
use crate::secret::Secret;

/// What is wrong with a text, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Complaint {
    /// From 1.
    pub(crate) line: usize,
    /// In the words of an error message, and so without a value.
    pub(crate) text: String,
}

/// Lets a person edit a text in the dotenv dialect. `None`: left without saving.
///
/// The text comes back when `check` has nothing against it, also if nothing was changed. See the module for
/// what is in memory meanwhile.
///
/// # Errors
///
/// There is no terminal that can show it, or the terminal or a signal ended it; then nothing is saved.
pub(crate) fn edit(
    text: &Secret,
    title: &str,
    check: &dyn Fn(&str) -> Vec<Complaint>,
) -> Result<Option<Secret>> {
    possible(&Outside::read())?;
    let text = text
        .expose_str()
        .ok_or_else(|| Error::failed("only text can be edited, and this is none"))?;
    terminal::run(state::Editor::new(text, title, check))
}

/// Whether there is a terminal to edit on; to be asked before anything is decrypted.
pub(crate) fn possible(outside: &Outside) -> Result<()> {
    const INSTEAD: &str = "change single values with `vault set NAME`, or many with `vault import`";
    if outside.text("TERM").as_deref() == Some("dumb") {
        return Err(Error::failed("this terminal (TERM=dumb) can't show an editor").hint(INSTEAD));
    }
    if !platform::terminal_is_there() {
        return Err(Error::failed("there is no terminal to edit on").hint(INSTEAD));
    }
    Ok(())
}
