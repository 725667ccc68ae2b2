//! The forms in which a program may write a value.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use crate::secret::Secret;

/// Shorter values are left alone, and no form is shorter: of a value of four bytes each phase of base64 keeps
/// at least four characters.
pub(super) const SHORTEST: usize = 4;

/// Shorter lines of a value are left alone: `}`, `EOF`, a user's name.
const SHORTEST_LINE: usize = 8;

/// Numbers of fewer digits are left alone: they are ports and sizes, and stand everywhere in a log.
const SHORTEST_NUMBER: usize = 6;

/// Values that say nothing, in lower case. Hiding them would spoil every log and protect nobody.
const WORDS: [&[u8]; 21] = [
    b"0.0.0.0",
    b"127.0.0.1",
    b"debug",
    b"default",
    b"development",
    b"disabled",
    b"enabled",
    b"error",
    b"false",
    b"info",
    b"local",
    b"localhost",
    b"none",
    b"null",
    b"production",
    b"staging",
    b"test",
    b"testing",
    b"true",
    b"undefined",
    b"warning",
];

/// All forms of a value, or none if it is one that is left alone.
///
/// White space around a value is no secret, and a value that ends its line would swallow the line's end.
pub(super) fn of(value: &[u8]) -> Vec<Secret> {
    let value = value.trim_ascii();
    if is_ordinary(value) {
        return Vec::new();
    }
    let mut forms = Forms(Vec::new());
    forms.add(Secret::new(value.to_vec()));
    forms.add_base64(value);
    forms.add_percent(value);
    if let Ok(text) = std::str::from_utf8(value) {
        forms.add_json(text);
    }
    if value.contains(&b'\n') {
        forms.add_lines(value);
    }
    forms.0
}

/// Whether hiding this would do more harm than good.
fn is_ordinary(value: &[u8]) -> bool {
    value.len() < SHORTEST
        || value.len() < SHORTEST_NUMBER && value.iter().all(u8::is_ascii_digit)
        || WORDS.iter().any(|word| value.eq_ignore_ascii_case(word))
}

/// Each form once.
struct Forms(Vec<Secret>);

impl Forms {
    fn add(&mut self, form: Secret) {
        if !self.0.contains(&form) {
            self.0.push(form);
        }
    }

    /// base64 of a text that the value stands in, with 0, 1 or 2 bytes in front of it in its group of three:
    /// the characters that have all of their six bits from the value.
    fn add_base64(&mut self, value: &[u8]) {
        for (before, first) in [(0, 0), (1, 2), (2, 3)] {
            let mut text = Zeroizing::new(vec![0; before]);
            text.extend_from_slice(value);
            let end = text.len() * 8 / 6;
            for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
                let encoded = Zeroizing::new(engine.encode(&*text));
                if let Some(own) = encoded.get(first..end) {
                    self.add(Secret::from(own.to_owned()));
                }
            }
        }
    }

    /// As in an address or a form (RFC 3986, 2.3). `/` stays with Python's `quote`, and `!'()*` stay with
    /// JavaScript's `encodeURIComponent`.
    fn add_percent(&mut self, value: &[u8]) {
        for kept in ["", "/", "!'()*"] {
            for blank in ["%20", "+"] {
                let encoded = percent(value, kept.as_bytes(), blank);
                self.add(Secret::from(lower_hex(&encoded)));
                self.add(Secret::from(encoded));
            }
        }
    }

    /// As inside a JSON string: with as little escaped as may be (serde, JavaScript), in ASCII (Python's
    /// `json.dumps`), with `/` escaped, both (PHP), and safe for HTML (Go).
    fn add_json(&mut self, text: &str) {
        for (ascii, more) in [(false, ""), (true, ""), (false, "/"), (true, "/"), (false, "<>&")] {
            self.add(Secret::from(json(text, ascii, more)));
        }
    }

    /// The lines of a value, which programs write one by one, and the value as a terminal has it, which turns
    /// LF into CR LF.
    fn add_lines(&mut self, value: &[u8]) {
        let lines = || value.split(|byte| *byte == b'\n');
        self.add(Secret::new(lines().collect::<Vec<_>>().join(b"\r\n".as_slice())));
        for line in lines().map(<[u8]>::trim_ascii) {
            if line.len() >= SHORTEST_LINE && !is_ordinary(line) && !is_ruler(line) {
                self.add(Secret::new(line.to_vec()));
            }
        }
    }
}

/// Whether a line only separates others: the boundaries of PEM (RFC 7468, 2), or one byte all along.
fn is_ruler(line: &[u8]) -> bool {
    let starts = line.starts_with(b"-----BEGIN ") || line.starts_with(b"-----END ");
    starts && line.ends_with(b"-----") || line.iter().all(|byte| Some(byte) == line.first())
}

fn percent(value: &[u8], kept: &[u8], blank: &str) -> String {
    value.iter().fold(String::new(), |mut text, byte| {
        match byte {
            b' ' => text.push_str(blank),
            b'-' | b'.' | b'_' | b'~' => text.push(char::from(*byte)),
            _ if byte.is_ascii_alphanumeric() || kept.contains(byte) => {
                text.push(char::from(*byte));
            }
            _ => {
                // Writing to a string can't fail.
                let _ = write!(text, "%{byte:02X}");
            }
        }
        text
    })
}

/// The same with `%2f` for `%2F`.
fn lower_hex(percent: &str) -> String {
    // How many digits of an escape are still to come.
    let mut digits = 0;
    let lower = percent.chars().map(|c| {
        let inside = digits > 0;
        digits = if c == '%' { 2 } else { u8::saturating_sub(digits, 1) };
        if inside { c.to_ascii_lowercase() } else { c }
    });
    lower.collect()
}

fn json(text: &str, ascii: bool, more: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        let short = match c {
            '"' | '\\' => Some(c),
            '/' if more.contains(c) => Some(c),
            '\u{8}' => Some('b'),
            '\u{c}' => Some('f'),
            '\n' => Some('n'),
            '\r' => Some('r'),
            '\t' => Some('t'),
            _ => None,
        };
        if let Some(short) = short {
            escaped.extend(['\\', short]);
        } else if c < ' ' || more.contains(c) || ascii && c > '~' {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string can't fail.
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        } else {
            escaped.push(c);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forms(value: &str) -> Vec<String> {
        let shown = |form: &Secret| String::from_utf8_lossy(form.expose()).into_owned();
        of(value.as_bytes()).iter().map(shown).collect()
    }

    #[test]
    fn an_ordinary_value_has_itself_and_three_phases() {
        assert_eq!(forms("hunter2"), ["hunter2", "aHVudGVyM", "h1bnRlcj", "odW50ZXIy"]);
    }

    #[test]
    fn short_and_common_values_are_left_alone() {
        for value in ["", "abc", "True", "LOCALHOST", "none\n", "    ", "8000", "65535", "0.0.0.0"]
        {
            assert_eq!(forms(value), [""; 0], "{value:?}");
        }
        for value in ["abcd", "123456", "truely", "8000x"] {
            assert_eq!(forms(value).first().map(String::as_str), Some(value));
        }
    }

    #[test]
    fn no_form_is_shorter_than_the_shortest_value() {
        for value in ["abcd", "a\u{e9}b", "\"\"\"\"", "a\nbc", "????"] {
            assert!(of(value.as_bytes()).iter().all(|form| form.expose().len() >= SHORTEST));
        }
    }

    #[test]
    fn percent_forms_follow_the_dialects() {
        let found = forms("a/b c(\u{e9}~");
        for wanted in [
            "a%2Fb%20c%28%C3%A9~",
            "a%2fb%20c%28%c3%a9~",
            "a/b+c%28%C3%A9~",
            "a%2Fb+c(%C3%A9~",
            "a/b%20c%28%c3%a9~",
        ] {
            assert!(found.contains(&wanted.to_owned()), "{wanted}: {found:?}");
        }
    }

    #[test]
    fn json_forms_follow_the_dialects() {
        let found = forms("a\"\\/\n\u{1b}<\u{e9}\u{1f511}");
        for wanted in [
            "a\\\"\\\\/\\n\\u001b<\u{e9}\u{1f511}",
            "a\\\"\\\\/\\n\\u001b<\\u00e9\\ud83d\\udd11",
            "a\\\"\\\\\\/\\n\\u001b<\u{e9}\u{1f511}",
            "a\\\"\\\\\\/\\n\\u001b<\\u00e9\\ud83d\\udd11",
            "a\\\"\\\\/\\n\\u001b\\u003c\u{e9}\u{1f511}",
        ] {
            assert!(found.contains(&wanted.to_owned()), "{wanted}: {found:?}");
        }
    }

    #[test]
    fn lines_are_forms_unless_they_are_short_or_rulers() {
        let pem = "-----BEGIN KEY-----\nMIIEpAIBAAKCAQEA\n========\n  indented line\nshort\n-----END KEY-----\n";
        let found = forms(pem);
        let lines: Vec<_> = ["MIIEpAIBAAKCAQEA", "indented line"].into();
        for line in pem.lines().map(str::trim) {
            let wanted = lines.contains(&line);
            assert_eq!(found.iter().any(|form| form == line), wanted, "{line}");
        }
        assert!(found.contains(&pem.trim().replace('\n', "\r\n")));
    }
}
