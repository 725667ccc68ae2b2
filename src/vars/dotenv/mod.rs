//! Dotenv text: the strict reader and the canonical writer.
//!
//! The reader takes only what the programs that read `.env` files agree on;
//! everything they read in different ways is a [`Problem`] with its line.
//! It never expands anything.
//!
//! ```text
//! [blanks] ["export" blanks] NAME [blanks] = [blanks] VALUE [blanks] [# comment]
//! ```
//!
//! The comment is allowed only after a quoted value and a blank. A blank is a
//! space or a tab. A line ends with LF or CR LF.
//!
//! | value   | what it holds                                                   |
//! |---------|-----------------------------------------------------------------|
//! | bare    | the trimmed rest of the line, without ``# $ \ ` ' "``           |
//! | `'…'`   | everything but `'`, literally, over any number of lines         |
//! | `"…"`   | the same with the escapes ``\n \r \" \\ \$ \` `` and no others   |
//!
//! Control characters (C0, DEL and C1): outside quotes, comments included,
//! each one but tab and the line end is an error, because programs trim or
//! split on them differently and a terminal obeys them. Inside quotes each one
//! but NUL is data, a raw CR LF too: the writer puts such values in single
//! quotes, so refusing or changing them would lose them on a round trip.
//!
//! A [`Problem`] names a variable only where a valid name stands before `=`. A
//! line without `=` can be the second line of an unquoted secret, and a line of
//! base64 looks like a name.

pub(crate) mod buffer;
pub(crate) mod docker;
pub(crate) mod dotenvx;
pub(crate) mod example;
pub(crate) mod honcho;
mod read;
mod write;

use std::borrow::Cow;

pub(crate) use self::read::parse;
pub(crate) use self::write::{Unrepresentable, Why, write};
use crate::secret::Secret;
use crate::vars::name::VarName;

/// One variable of a file.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Its name.
    pub(crate) name: VarName,
    /// Its value, without quotes and escapes.
    pub(crate) value: Secret,
    /// The comment lines directly above it, each without its `#` and one blank.
    pub(crate) note: String,
    /// The line of its name, from 1.
    pub(crate) line: usize,
    /// What stood around its value.
    pub(crate) quotes: Quotes,
}

/// What stands around a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quotes {
    /// Nothing.
    None,
    /// `'…'`
    Single,
    /// `"…"`
    Double,
}

/// Why a text can't be read by the rules of another program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unreadable {
    /// The line, from 1.
    pub(crate) line: usize,
    /// What is wrong there, without a word of the file.
    pub(crate) why: &'static str,
}

/// The texts on which readers differ, with what each makes of them.
#[cfg(test)]
pub(crate) const DIALECTS: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/dotenv_dialects/dialects.json"));

/// One thing that is wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The line it stands on, from 1.
    pub(crate) line: usize,
    /// The variable it belongs to, if that has a valid name.
    pub(crate) name: Option<String>,
    /// What it is.
    pub(crate) code: Code,
}

/// The kinds of [`Problem`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    /// A line without `=`.
    NoEquals,
    /// Not a variable name.
    BadName,
    /// A variable name over the limit of [`VarName`].
    NameTooLong,
    /// A name that was defined before.
    Duplicate {
        /// The line of the first definition.
        first: usize,
    },
    /// `#` in a bare value.
    Hash,
    /// `$` outside single quotes.
    Dollar,
    /// `\` in a bare value.
    Backslash,
    /// A backtick outside single quotes.
    Backtick,
    /// A quote in a bare value.
    QuoteInside,
    /// Text right after the closing quote.
    AfterQuote {
        /// The line of the opening quote, if it is an earlier one: there the
        /// closing quote is probably missing.
        opened: Option<usize>,
    },
    /// No closing quote.
    Unterminated,
    /// An unknown escape in double quotes.
    BadEscape,
    /// Three quotes in a row at the start of a value.
    TripleQuote,
    /// A comment with no variable under it, where that would lose it.
    StrayComment,
    /// A comment behind a value, where that would lose it.
    CommentBehind,
    /// A control character outside quotes.
    Control,
    /// A NUL byte.
    Nul,
    /// The file is not UTF-8.
    NotUtf8,
}

impl Code {
    /// The word for it in the test data.
    #[cfg(test)]
    fn as_str(self) -> &'static str {
        match self {
            Self::NoEquals => "no-equals",
            Self::BadName => "bad-name",
            Self::NameTooLong => "name-too-long",
            Self::Duplicate { .. } => "duplicate",
            Self::Hash => "hash",
            Self::Dollar => "dollar",
            Self::Backslash => "backslash",
            Self::Backtick => "backtick",
            Self::QuoteInside => "quote-inside",
            Self::AfterQuote { .. } => "after-quote",
            Self::Unterminated => "unterminated",
            Self::BadEscape => "bad-escape",
            Self::TripleQuote => "triple-quote",
            Self::StrayComment => "stray-comment",
            Self::CommentBehind => "comment-behind",
            Self::Control => "control",
            Self::Nul => "nul",
            Self::NotUtf8 => "not-utf8",
        }
    }

    /// What is wrong and what to do, without a word of the file.
    pub(crate) fn message(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Duplicate { first } => {
                return format!("defined twice, first on line {first}: keep one of them").into();
            }
            Self::AfterQuote { opened: Some(line) } => {
                return format!(
                    "text right after the closing quote of a value that began on line {line}: \
                     is a quote missing there?"
                )
                .into();
            }
            Self::NoEquals => {
                "no \"=\" on this line: write NAME=value, and put a value of several lines in quotes"
            }
            Self::BadName => {
                "not a variable name: use letters, digits and \"_\", and no digit at the start"
            }
            Self::NameTooLong => "the variable name is over 128 bytes: choose a shorter one",
            Self::Hash => {
                "\"#\" in an unquoted value: comment or part of the value? \
                 Put the value in single quotes"
            }
            Self::Dollar => {
                "\"$\" outside single quotes: variable or part of the value? \
                 Put the value in single quotes, or write \\$ in double quotes"
            }
            Self::Backslash => {
                "backslash in an unquoted value: escape or part of the value? \
                 Put the value in single quotes"
            }
            Self::Backtick => {
                "backtick outside single quotes: command, quote or part of the value? \
                 Put the value in single quotes, or write \\` in double quotes"
            }
            Self::QuoteInside => {
                "quote inside an unquoted value: put the whole value in the other kind of quotes"
            }
            Self::AfterQuote { opened: None } => {
                "text right after the closing quote: put the whole value in one pair of quotes; \
                 a comment needs a blank before it"
            }
            Self::Unterminated => "missing closing quote: add it at the end of the value",
            Self::BadEscape => {
                "unknown escape in double quotes: only \\n \\r \\\" \\\\ \\$ \\` are known. \
                 Put the value in single quotes, or write \\\\ for a backslash"
            }
            Self::TripleQuote => "triple quotes: use single ones, they may span lines",
            Self::StrayComment => {
                "a comment with no variable under it: only the notes of variables are kept. \
                 Put it above a variable, without an empty line between, or remove it"
            }
            Self::CommentBehind => {
                "a comment behind a value: put it on a line of its own above the variable"
            }
            Self::Control => {
                "control character outside quotes: remove it, or put the value in single quotes"
            }
            Self::Nul => "NUL byte, which no variable can hold: remove it",
            Self::NotUtf8 => "not UTF-8: save the file as UTF-8",
        })
    }
}

/// Refuses control characters in text outside quotes.
fn check_controls(text: &str) -> Result<(), Code> {
    text.chars().try_for_each(check_control)
}

/// Refuses a control character outside quotes.
fn check_control(c: char) -> Result<(), Code> {
    match c {
        '\0' => Err(Code::Nul),
        '\t' => Ok(()),
        c if c.is_control() => Err(Code::Control),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::*;

    /// The cases of `dialects.json`.
    fn dialects() -> Value {
        serde_json::from_str(DIALECTS).unwrap()
    }

    /// What the data calls `strict`, as this reader gives it.
    fn answer(text: &str) -> Value {
        match parse(text.as_bytes()) {
            Ok(entries) => {
                let text = |value: &Secret| value.expose_str().map(str::to_owned);
                let vars: BTreeMap<_, _> =
                    entries.iter().map(|e| (e.name.as_str(), text(&e.value))).collect();
                json!({ "vars": vars })
            }
            Err(problems) => {
                json!({ "error": { "line": problems[0].line, "code": problems[0].code.as_str() } })
            }
        }
    }

    #[test]
    fn gives_the_observed_answer_for_each_case() {
        let data = dialects();
        let cases = data["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 109);
        for case in cases {
            let text = case["text"].as_str().unwrap();
            assert_eq!(answer(text), case["strict"], "case {}", case["id"]);
        }
    }

    /// One of each code.
    const CODES: [Code; 19] = [
        Code::NoEquals,
        Code::BadName,
        Code::NameTooLong,
        Code::Duplicate { first: 7 },
        Code::Hash,
        Code::Dollar,
        Code::Backslash,
        Code::Backtick,
        Code::QuoteInside,
        Code::AfterQuote { opened: None },
        Code::AfterQuote { opened: Some(7) },
        Code::Unterminated,
        Code::BadEscape,
        Code::TripleQuote,
        Code::StrayComment,
        Code::CommentBehind,
        Code::Control,
        Code::Nul,
        Code::NotUtf8,
    ];

    #[test]
    fn every_code_of_the_data_is_known() {
        let known = CODES.map(Code::as_str);
        for code in dialects()["error_codes"].as_object().unwrap().keys() {
            assert!(known.contains(&code.as_str()), "{code}");
        }
    }

    #[test]
    fn messages_have_one_form() {
        for code in CODES {
            let message = code.message();
            let word = message.split(' ').next().unwrap();
            let lower = !message.starts_with(char::is_uppercase) || word == "NUL";
            assert!(lower && !message.ends_with('.'), "{message}");
            assert!(!message.contains("  ") && !message.contains('\n'), "{message}");
        }
        assert!(Code::Duplicate { first: 7 }.message().contains("line 7"));
        assert_eq!(
            Code::Hash.message(),
            "\"#\" in an unquoted value: comment or part of the value? \
             Put the value in single quotes"
        );
    }
}
