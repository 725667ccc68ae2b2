//! The bytes of a terminal as keys: what xterm sends, and those that are like it (`ctlseqs`).

use zeroize::Zeroizing;

use crate::platform::Key;
use crate::platform::key::pasted;

/// What begins and ends a pasted text (bracketed paste).
const PASTE: &[u8] = b"\x1b[200~";
const PASTED: &[u8] = b"\x1b[201~";
const ESCAPE: u8 = 0x1b;
/// No terminal's sequence is longer; what is, is none.
const LONGEST_SEQUENCE: usize = 64;

/// Keeps what has come of a key by half.
#[derive(Default)]
pub(super) struct Decoder {
    bytes: Zeroizing<Vec<u8>>,
    /// Up to here no end of a paste was found.
    searched: usize,
}

/// What stands at the start of the bytes.
enum Found {
    /// This many bytes, and the key they mean, if they mean one.
    Key(usize, Option<Key>),
    /// Too little to know.
    Half,
}

impl Decoder {
    /// Whether a key has come by half, which may also be all there is: the escape key.
    pub(super) fn is_waiting(&self) -> bool {
        !self.bytes.is_empty() && !self.bytes.starts_with(PASTE)
    }

    /// The keys that are complete with these bytes.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Vec<Key> {
        // A block that is left for a larger one is wiped, as every freed block.
        self.bytes.extend_from_slice(bytes);
        let mut keys = Vec::new();
        let mut at = 0;
        while let Some(rest) = self.bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let Found::Key(length, key) = first_of(rest, &mut self.searched) else { break };
            self.searched = 0;
            at += length;
            keys.extend(key);
        }
        self.bytes.drain(..at);
        keys
    }

    /// Nothing more comes: what is there is all there is.
    pub(super) fn flush(&mut self) -> Vec<Key> {
        let bytes = std::mem::take(&mut self.bytes);
        match bytes.split_first() {
            Some((&ESCAPE, [])) => vec![Key::Escape],
            Some((&ESCAPE, [byte @ (b'[' | b'O')])) => vec![Key::Alt(char::from(*byte))],
            _ => Vec::new(),
        }
    }
}

fn first_of(rest: &[u8], searched: &mut usize) -> Found {
    match rest {
        [] | [ESCAPE] | [ESCAPE, b'O'] => Found::Half,
        [ESCAPE, ESCAPE, ..] => Found::Key(1, Some(Key::Escape)),
        [ESCAPE, b'[', ..] if rest.starts_with(PASTE) => paste(rest, searched),
        [ESCAPE, b'[', behind @ ..] => sequence(behind),
        [ESCAPE, b'O', letter, ..] => Found::Key(3, named(*letter, false)),
        [ESCAPE, behind @ ..] => match character(behind) {
            Found::Key(length, Some(Key::Char(c))) => Found::Key(1 + length, Some(Key::Alt(c))),
            Found::Key(..) => Found::Key(1, Some(Key::Escape)),
            Found::Half => Found::Half,
        },
        _ => character(rest),
    }
}

/// A pasted text, once its end is there.
fn paste(rest: &[u8], searched: &mut usize) -> Found {
    let from = PASTE.len().max(searched.saturating_sub(PASTED.len()));
    let unseen = rest.get(from..).unwrap_or_default();
    let Some(found) = unseen.windows(PASTED.len()).position(|window| window == PASTED) else {
        *searched = rest.len();
        return Found::Half;
    };
    let text = rest.get(PASTE.len()..from + found).unwrap_or_default();
    let key = pasted(&String::from_utf8_lossy(text));
    Found::Key(from + found + PASTED.len(), Some(key))
}

/// `ESC [ 1 ; 5 C`: numbers, and the letter that ends them.
fn sequence(behind: &[u8]) -> Found {
    let Some(end) = behind.iter().position(|byte| (0x40..=0x7e).contains(byte)) else {
        let over = behind.len() > LONGEST_SEQUENCE;
        return if over { Found::Key(2 + behind.len(), None) } else { Found::Half };
    };
    // The keyboard of the Linux console: `ESC [ [ A` to `E` are the first function keys.
    if behind.starts_with(b"[") {
        let Some(letter) = behind.get(1) else { return Found::Half };
        let key = matches!(letter, b'A'..=b'E').then(|| Key::Function(letter - b'A' + 1));
        return Found::Key(4, key);
    }
    let (numbers, letter) = (behind.get(..end).unwrap_or_default(), behind.get(end).copied());
    let text = std::str::from_utf8(numbers).unwrap_or_default();
    let mut numbers = text.split(';').map(|number| number.parse::<u8>().unwrap_or_default());
    let first = numbers.next().unwrap_or_default();
    // One more than the sum of shift 1, alternate 2, control 4.
    let held = numbers.next().unwrap_or(1).saturating_sub(1);
    let control = held & 0b110 != 0;
    let key = match (letter, first) {
        (Some(b'~'), 1 | 7) => named(b'H', control),
        (Some(b'~'), 4 | 8) => named(b'F', control),
        (Some(b'~'), 3) => Some(Key::Delete),
        (Some(b'~'), 5) => Some(Key::PageUp),
        (Some(b'~'), 6) => Some(Key::PageDown),
        (Some(b'~'), number @ 11..=15) => Some(Key::Function(number - 10)),
        (Some(letter), _) => named(letter, control),
        (None, _) => None,
    };
    Found::Key(2 + end + 1, key)
}

/// What a letter behind `ESC [` or `ESC O` names.
fn named(letter: u8, control: bool) -> Option<Key> {
    Some(match (letter, control) {
        (b'A', _) => Key::Up,
        (b'B', _) => Key::Down,
        (b'C', false) => Key::Right,
        (b'D', false) => Key::Left,
        (b'C', true) => Key::WordRight,
        (b'D', true) => Key::WordLeft,
        (b'H', false) => Key::Home,
        (b'F', false) => Key::End,
        (b'H', true) => Key::Top,
        (b'F', true) => Key::Bottom,
        (b'M', _) => Key::Enter,
        (b'P'..=b'S', _) => Key::Function(letter - b'P' + 1),
        _ => return None,
    })
}

/// One byte that is a key of its own, or one character in UTF-8.
fn character(rest: &[u8]) -> Found {
    let Some(&first) = rest.first() else { return Found::Half };
    let length = match first {
        b'\r' | b'\n' => return Found::Key(1, Some(Key::Enter)),
        b'\t' => return Found::Key(1, Some(Key::Tab)),
        0x08 | 0x7f => return Found::Key(1, Some(Key::Backspace)),
        0 => return Found::Key(1, Some(Key::Control(' '))),
        ESCAPE => return Found::Key(1, Some(Key::Escape)),
        0x01..=0x1f => {
            let letter = char::from(first + 0x40).to_ascii_lowercase();
            return Found::Key(1, Some(Key::Control(letter)));
        }
        0x20..=0x7f => 1,
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return Found::Key(1, None),
    };
    let half = rest.len() < length;
    let bytes = rest.get(..length.min(rest.len())).unwrap_or_default();
    match std::str::from_utf8(bytes) {
        Ok(text) => Found::Key(length, text.chars().next().map(Key::Char)),
        Err(error) if half && error.error_len().is_none() => Found::Half,
        Err(_) => Found::Key(1, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Vec<Key> {
        let mut decoder = Decoder::default();
        let mut keys = decoder.feed(bytes);
        keys.extend(decoder.flush());
        keys
    }

    #[track_caller]
    fn check(bytes: &str, wanted: &[Key]) {
        let bytes = bytes.as_bytes();
        assert!(all(bytes) == wanted, "{bytes:?}");
        // The same byte by byte.
        let mut decoder = Decoder::default();
        let mut keys: Vec<Key> = bytes.iter().flat_map(|byte| decoder.feed(&[*byte])).collect();
        keys.extend(decoder.flush());
        assert!(keys == wanted, "{bytes:?} byte by byte");
    }

    #[test]
    fn keys_are_known_whole_and_byte_by_byte() {
        check("aé語🔑", &[Key::Char('a'), Key::Char('é'), Key::Char('語'), Key::Char('🔑')]);
        check("\r\t\x7f\x08", &[Key::Enter, Key::Tab, Key::Backspace, Key::Backspace]);
        check(
            "\x13\x1a\x1f\x00",
            &[Key::Control('s'), Key::Control('z'), Key::Control('_'), Key::Control(' ')],
        );
        check(
            "\x1b[A\x1bOB\x1b[1;5C\x1b[1;3D",
            &[Key::Up, Key::Down, Key::WordRight, Key::WordLeft],
        );
        check("\x1b[H\x1b[4~\x1b[1;5H\x1b[1;5F", &[Key::Home, Key::End, Key::Top, Key::Bottom]);
        check("\x1b[3~\x1b[5~\x1b[6~", &[Key::Delete, Key::PageUp, Key::PageDown]);
        check("\x1bOR\x1b[13~\x1b[[C", &[Key::Function(3), Key::Function(3), Key::Function(3)]);
        check("\x1bf\x1b", &[Key::Alt('f'), Key::Escape]);
    }

    #[test]
    fn a_paste_is_one_key_with_plain_line_ends() {
        let paste = |text: &str| Key::Paste(Zeroizing::new(text.to_owned()));
        check(
            "\x1b[200~A=1\r\nB=\x1b[A\rC\x1b[201~x",
            &[paste("A=1\nB=\x1b[A\nC"), Key::Char('x')],
        );
        check("\x1b[200~\x1b[201~", &[paste("")]);
    }

    #[test]
    fn what_is_no_key_is_passed_over() {
        check("\x1b[99;99;99ya", &[Key::Char('a')]);
        assert!(all(b"\xff\xc3a\xe8\xaaz") == [Key::Char('a'), Key::Char('z')]);
        let mut endless = b"\x1b[".to_vec();
        endless.extend([b'1'; 500]);
        let mut decoder = Decoder::default();
        drop(decoder.feed(&endless));
        assert!(!decoder.is_waiting());
    }
}
