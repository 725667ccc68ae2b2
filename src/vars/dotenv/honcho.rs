//! The `.env` dialect of Honcho 2.0.0, bit for bit, with what Honcho leaves out or changes in silence
//! told by line.
//!
//! Honcho cuts the text at the boundaries of Python's `str.splitlines`, and each line into tokens with
//! Python's `shlex` in POSIX mode (`honcho/environ.py`, `parse`):
//!
//! | in a line   | what becomes of it                                                        |
//! |-------------|---------------------------------------------------------------------------|
//! | blanks      | outside quotes they end a token and vanish                                |
//! | `#`         | outside quotes it begins a comment, in the middle of a word too           |
//! | `'…'`       | literal                                                                   |
//! | `"…"`       | a backslash goes away before `"` and `\`, and else stays                  |
//! | `\`         | outside quotes it goes away, and the next character is taken literally    |
//! | a word      | ASCII letters, digits, `_`, the letters of Latin-1, and all of the above  |
//! | all others  | each a token of its own                                                   |
//!
//! The first token is the key if it begins as an identifier does, the second one must be `=`, and all
//! others, of which there must be one, are joined to the value. At last each `\n` and `\t` that the value
//! still holds becomes a line feed and a tab, however it was quoted. No value spans lines, and nothing is
//! expanded.
//!
//! One thing differs: a pair with a NUL is an error here, even if a later line takes its place. Honcho
//! hands it to the environment, which can't hold it, and fails there.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::mem;
use std::str::Chars;

use zeroize::Zeroizing;

use super::Unreadable;
use crate::secret::Secret;
use crate::vars::lines::lines;

/// What Honcho leaves out or changes without a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notice {
    /// The line, from 1.
    pub(crate) line: usize,
    /// What became of it and why, without a word of the file.
    pub(crate) why: &'static str,
}

/// What Honcho makes of a text.
#[derive(Debug, Default)]
pub(crate) struct Read {
    /// Keys and values, each key once, in the order in which they first appear. A key is what Honcho takes
    /// for one: it can hold blanks, `=` and the letters of Latin-1.
    pub(crate) pairs: Vec<(String, Secret)>,
    /// What was left out or changed, in the order of the lines.
    pub(crate) notices: Vec<Notice>,
}

const BYTE_ORDER_MARK: &str = "left out: the line begins with a byte order mark";
const EXPORT: &str = "left out: `export` is not known in this file";
const NO_EQUALS: &str = "left out: no `=` on this line";
const BAD_NAME: &str = "left out: what stands before `=` is not a variable name";
const NO_VALUE: &str = "left out: nothing stands behind `=`, and `\"\"` would be an empty value";
const BLANKS_VANISH: &str = "changed: blanks outside quotes are taken out of the value";
const COMMENT: &str = "cut: `#` outside quotes begins a comment, even without a blank before it";

const NO_CLOSING_QUOTE: &str = "missing closing quote: a value ends with its line";
const LONE_BACKSLASH: &str = "backslash at the end of the line, with nothing behind it";
const NUL: &str = "NUL byte, which no variable can hold";

/// Reads one file, or several that were joined with a line feed: that is how Honcho reads a list of
/// files, so of a key that is there twice the later value holds.
///
/// # Errors
///
/// The first line with an unclosed quotation, with nothing behind a backslash, or with a NUL in a pair.
pub(crate) fn read(text: &str) -> Result<Read, Unreadable> {
    let mut reader = Reader::default();
    for (index, line) in lines(text).enumerate() {
        let number = index + 1;
        reader.line(number, line).map_err(|why| Unreadable { line: number, why })?;
    }
    Ok(reader.read)
}

/// What was read so far.
#[derive(Default)]
struct Reader {
    read: Read,
    /// Where each key stands in the pairs.
    places: BTreeMap<String, usize>,
}

impl Reader {
    /// Reads one line. The error says why it can't be read.
    fn line(&mut self, number: usize, line: &str) -> Result<(), &'static str> {
        // No token is longer than its line, so none of these grows: a buffer that grows leaves copies
        // behind. The name can be a secret too, on the second line of an unquoted one.
        let buffer = || Zeroizing::new(String::with_capacity(line.len()));
        let (mut name, mut operator, mut value) = (buffer(), buffer(), buffer());
        let mut tokens = Tokens::new(line);
        if !tokens.next_into(&mut name)? {
            return Ok(());
        }
        let alone = !tokens.next_into(&mut operator)?;
        let exported = !alone && name.as_str() == "export" && tokens.blank;
        let (mut empty, mut spaced) = (true, false);
        // A line that is left out is read to its end too: a quotation that is open there is an error.
        while tokens.next_into(&mut value)? {
            spaced |= tokens.blank && !empty;
            empty = false;
        }

        let mut notice = |why| self.read.notices.push(Notice { line: number, why });
        let named = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let left_out = if name.as_str() == "\u{feff}" {
            // Alone it stands before a blank line or a comment.
            if alone {
                return Ok(());
            }
            Some(BYTE_ORDER_MARK)
        } else if operator.as_str() != "=" {
            let other = if tokens.equals { BAD_NAME } else { NO_EQUALS };
            Some(if exported { EXPORT } else { other })
        } else if !named {
            Some(BAD_NAME)
        } else {
            empty.then_some(NO_VALUE)
        };
        if let Some(why) = left_out {
            notice(why);
            return Ok(());
        }
        if name.contains('\0') || value.contains('\0') {
            return Err(NUL);
        }
        if spaced {
            notice(BLANKS_VANISH);
        }
        if tokens.cut {
            notice(COMMENT);
        }
        self.set(name.as_str().to_owned(), with_escapes(&value));
        Ok(())
    }

    /// Sets a key, which keeps the place where it first was.
    fn set(&mut self, key: String, value: Secret) {
        let pairs = &mut self.read.pairs;
        let place = *self.places.entry(key.clone()).or_insert(pairs.len());
        match pairs.get_mut(place) {
            Some(pair) => pair.1 = value,
            None => pairs.push((key, value)),
        }
    }
}

/// The value with what Honcho makes of `\n` and `\t` in it.
fn with_escapes(text: &str) -> Secret {
    // It never gets longer, so the buffer doesn't grow.
    let mut value = Zeroizing::new(String::with_capacity(text.len()));
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        value.push(match c {
            '\\' if chars.next_if_eq(&'n').is_some() => '\n',
            '\\' if chars.next_if_eq(&'t').is_some() => '\t',
            c => c,
        });
    }
    Secret::from(mem::take(&mut *value))
}

/// The tokens of a line, as Python's `shlex` finds them.
struct Tokens<'a> {
    rest: Peekable<Chars<'a>>,
    /// Whether a blank stood before the last token or the end.
    blank: bool,
    /// Whether the line ended in a comment without a blank before it.
    cut: bool,
    /// Whether one of the tokens was a bare `=`.
    equals: bool,
}

impl<'a> Tokens<'a> {
    fn new(line: &'a str) -> Self {
        Self { rest: line.chars().peekable(), blank: false, cut: false, equals: false }
    }

    /// Puts the next token behind what `token` holds; false if there is none.
    fn next_into(&mut self, token: &mut String) -> Result<bool, &'static str> {
        self.blank = false;
        // The other blanks of `shlex` are CR and LF, which end a line.
        while self.rest.next_if(|c| matches!(c, ' ' | '\t')).is_some() {
            self.blank = true;
        }
        if self.word(token)? {
            return Ok(true);
        }
        match self.rest.next() {
            None => return Ok(false),
            Some('#') => {
                self.cut = !self.blank;
                self.rest = "".chars().peekable();
                return Ok(false);
            }
            Some(c) => {
                self.equals |= c == '=';
                token.push(c);
            }
        }
        Ok(true)
    }

    /// The same for a token that is a word. An empty pair of quotes is one.
    fn word(&mut self, token: &mut String) -> Result<bool, &'static str> {
        let mut found = false;
        while let Some(c) = self.rest.next_if(|c| is_of_a_word(*c)) {
            found = true;
            match c {
                '\'' | '"' => self.quoted(c, token)?,
                '\\' => token.push(self.rest.next().ok_or(LONE_BACKSLASH)?),
                c => token.push(c),
            }
        }
        Ok(found)
    }

    /// What stands behind an opening quote, up to the closing one.
    fn quoted(&mut self, quote: char, token: &mut String) -> Result<(), &'static str> {
        loop {
            let c = self.rest.next().ok_or(NO_CLOSING_QUOTE)?;
            if c == quote {
                return Ok(());
            }
            if c == '\\' && quote == '"' {
                // A backslash that is the last of the line counts before the quote that is missing.
                let escaped = self.rest.next().ok_or(LONE_BACKSLASH)?;
                if !matches!(escaped, '"' | '\\') {
                    token.push('\\');
                }
                token.push(escaped);
            } else {
                token.push(c);
            }
        }
    }
}

/// The `wordchars`, `quotes` and `escape` of `shlex` in POSIX mode.
fn is_of_a_word(c: char) -> bool {
    match c {
        // The two signs between the letters of Latin-1.
        '×' | '÷' => false,
        '\'' | '"' | '\\' | '_' | 'À'..='ÿ' => true,
        c => c.is_ascii_alphanumeric(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::*;

    /// The pairs of a text, in their order.
    fn pairs(text: &str) -> Vec<(String, String)> {
        let pairs = read(text).unwrap().pairs.into_iter();
        pairs.map(|(key, value)| (key, value.expose_str().unwrap().to_owned())).collect()
    }

    /// What a text gives, as the test data has it.
    fn answer(text: &str) -> Option<Value> {
        let read = read(text).ok()?;
        let value = |value: &Secret| Value::from(value.expose_str().unwrap());
        Some(read.pairs.iter().map(|(key, text)| (key.clone(), value(text))).collect())
    }

    /// Lines and reasons of what is left out or changed.
    fn notices(text: &str) -> Vec<(usize, &'static str)> {
        read(text).unwrap().notices.into_iter().map(|notice| (notice.line, notice.why)).collect()
    }

    #[test]
    fn values_are_those_that_honcho_gives() {
        for (line, value) in [
            ("FOO=bar", "bar"),
            (" FOO = bar ", "bar"),
            ("FOO=a b", "ab"),
            ("FOO=a#b", "a"),
            ("FOO=a #b", "a"),
            ("FOO='a#b'", "a#b"),
            ("FOO=\"\"", ""),
            ("FOO=\"$HOME ${X}\"", "$HOME ${X}"),
            ("FOO=a\\nb", "anb"),
            ("FOO=\"a\\nb\"", "a\nb"),
            ("FOO='a\\nb'", "a\nb"),
            ("FOO=\"a\\\\nb\"", "a\nb"),
            ("FOO=a\\\\tb", "a\tb"),
            ("FOO=\"a\\rb\"", "a\\rb"),
            ("FOO=\"a\\$b\"", "a\\$b"),
            ("FOO='a'\"b\"c", "abc"),
            ("FOO={\"a\": 1}", "{a:1}"),
            ("FOO='{\"a\": 1}'", "{\"a\": 1}"),
            ("FOO=-----BEGIN KEY-----", "-----BEGINKEY-----"),
        ] {
            assert_eq!(pairs(line), [("FOO".to_owned(), value.to_owned())], "{line}");
        }
    }

    #[test]
    fn a_later_value_takes_the_place_of_the_first() {
        let wanted = [("A", "3"), ("A B", "2"), ("Fé", "4"), ("A=", "5")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(pairs("A=1\n'A B'=2\r\nA=3\u{2028}Fé=4\u{85}A'='=5"), wanted);
        assert_eq!(pairs(""), []);
    }

    #[test]
    fn what_is_left_out_or_changed_is_told_with_its_line() {
        for (line, why) in [
            ("\u{feff}FOO=bar", BYTE_ORDER_MARK),
            ("export FOO=bar", EXPORT),
            ("export\tFOO", EXPORT),
            ("export", NO_EQUALS),
            ("FOO: bar", NO_EQUALS),
            ("FOO bar # a=b", NO_EQUALS),
            ("FOO: 'a=b'", NO_EQUALS),
            ("F-O=bar", BAD_NAME),
            ("1FOO=bar", BAD_NAME),
            ("É=bar", BAD_NAME),
            ("=bar", BAD_NAME),
            ("=", BAD_NAME),
            ("export-x=bar", BAD_NAME),
            ("FOO=", NO_VALUE),
            ("FOO=#x", NO_VALUE),
            ("FOO = # x", NO_VALUE),
        ] {
            assert_eq!(notices(&format!("\n{line}\n")), [(2, why)], "{line}");
            assert_eq!(pairs(line), [], "{line}");
        }
        for (line, why) in [
            ("FOO=a b", &[BLANKS_VANISH][..]),
            ("FOO='a'\t'b' ", &[BLANKS_VANISH]),
            ("FOO=a#b", &[COMMENT]),
            ("FOO=a/#b", &[COMMENT]),
            ("FOO='a'#b", &[COMMENT]),
            ("FOO=a b#c", &[BLANKS_VANISH, COMMENT]),
        ] {
            let found: Vec<_> = notices(line).into_iter().map(|notice| notice.1).collect();
            assert_eq!((found.as_slice(), pairs(line).len()), (why, 1), "{line}");
        }
    }

    #[test]
    fn what_a_person_expects_is_not_told() {
        let text =
            "\u{feff}\n\u{feff}# a\n\n \t\n# it's\n\t# b=c\nA = b \nB='c d' # e\nexport=f\nC=\"\"";
        assert_eq!(notices(text), []);
        assert_eq!(pairs(text).len(), 4);
    }

    #[test]
    fn what_has_no_end_can_not_be_read() {
        for (line, why) in [
            ("FOO=it's", NO_CLOSING_QUOTE),
            ("FOO=\"a\\\"", NO_CLOSING_QUOTE),
            ("# a\u{c}it's", NO_CLOSING_QUOTE),
            ("some 'words", NO_CLOSING_QUOTE),
            ("FOO=a\\", LONE_BACKSLASH),
            ("FOO=\"a\\", LONE_BACKSLASH),
            ("FOO=\0", NUL),
            ("'FOO\0'=a", NUL),
        ] {
            let error = read(&format!("A=b c\n{line}\nB='")).unwrap_err();
            let number = 2 + usize::from(line.starts_with('#'));
            assert_eq!(error, Unreadable { line: number, why }, "{line}");
        }
        // In a line that gives no pair it does no harm.
        assert_eq!(notices("FOO\0=a # \0"), [(1, BAD_NAME)]);
    }

    #[test]
    fn gives_the_observed_answer_for_each_dialect_case() {
        let data: Value = serde_json::from_str(crate::vars::dotenv::DIALECTS).unwrap();
        let cases = data["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 109);
        for case in cases {
            let seen = &case["parsers"]["honcho 2.0.0"];
            let wanted = seen.get("error").is_none().then(|| seen["vars"].clone());
            assert_eq!(answer(case["text"].as_str().unwrap()), wanted, "case {}", case["id"]);
        }
    }

    #[test]
    fn gives_the_observed_answer_for_random_texts() {
        let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/honcho_env.json"));
        let cases: Vec<Value> = serde_json::from_str(text).unwrap();
        assert_eq!(cases.len(), 400);
        for case in cases {
            let wanted = case.get("pairs").cloned();
            assert_eq!(wanted.is_none(), case["error"] == json!(true));
            assert_eq!(answer(case["text"].as_str().unwrap()), wanted, "{}", case["text"]);
        }
    }

    #[test]
    fn reading_takes_linear_time() {
        let lines: Vec<_> = (0..100_000).map(|i| format!("A{i}=b\n")).collect();
        assert_eq!(pairs(&lines.concat()).len(), 100_000);
    }

    proptest! {
        #[test]
        fn a_list_of_files_is_the_later_over_the_earlier(
            first in "([AB]=|export |['\"\\\\# \r\n]|.){0,20}",
            second in "([AB]=|export |['\"\\\\# \r\n]|.){0,20}",
        ) {
            let maps = |text: &str| answer(text).map(|pairs| pairs.as_object().unwrap().clone());
            let wanted: Option<Map<_, _>> = maps(&first)
                .zip(maps(&second))
                .map(|(first, second)| first.into_iter().chain(second).collect());
            prop_assert_eq!(maps(&format!("{first}\n{second}")), wanted);
        }
    }
}
