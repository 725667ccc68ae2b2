//! What a person does at a terminal that is read key by key.

use zeroize::Zeroizing;

use super::Signal;

/// A key, or a text that was pasted. It has no `Debug`: it may be a part of a value.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Key {
    /// A character.
    Char(char),
    /// A letter with the control key, in lower case.
    Control(char),
    /// A character with the alternate key.
    Alt(char),
    /// Pasted text, with LF as its line end.
    Paste(Zeroizing<String>),
    /// The function key of this number.
    Function(u8),
    Enter,
    Tab,
    Escape,
    Backspace,
    Delete,
    Left,
    Right,
    Up,
    Down,
    WordLeft,
    WordRight,
    Home,
    End,
    PageUp,
    PageDown,
    /// To the start of the text.
    Top,
    /// To the end of the text.
    Bottom,
}

/// What an editor waits for.
pub(crate) enum Event {
    /// A key.
    Key(Key),
    /// The terminal has another size.
    Resized,
    /// A signal that asks the process to end.
    Ended(Signal),
    /// The terminal is gone.
    Closed,
}

/// Pasted text with LF as its line end: terminals send CR.
pub(super) fn pasted(text: &str) -> Key {
    Key::Paste(Zeroizing::new(text.replace("\r\n", "\n").replace('\r', "\n")))
}
