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

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::mem;

use zeroize::Zeroizing;

use crate::secret::Secret;
use crate::vars::name::{NameError, VarName};

/// After this many problems the reader stops: the rest is mostly echo.
const MAX_PROBLEMS: usize = 20;

/// What may stand around names, `=` and values.
const BLANKS: [char; 2] = [' ', '\t'];

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
}

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
    /// A control character outside quotes.
    Control,
    /// A NUL byte.
    Nul,
    /// The file is not UTF-8.
    NotUtf8,
}

impl Code {
    /// The short word for scripts and tests.
    pub(crate) fn as_str(self) -> &'static str {
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
            Self::Control => {
                "control character outside quotes: remove it, or put the value in single quotes"
            }
            Self::Nul => "NUL byte, which no variable can hold: remove it",
            Self::NotUtf8 => "not UTF-8: save the file as UTF-8",
        })
    }
}

/// Reads a whole file, or gives everything that is wrong in it.
pub(crate) fn parse(text: &[u8]) -> Result<Vec<Entry>, Vec<Problem>> {
    let text = std::str::from_utf8(text).map_err(|error| vec![not_utf8(text, error)])?;
    let mut reader = Reader {
        rest: text.strip_prefix('\u{feff}').unwrap_or(text),
        line: 1,
        ..Reader::default()
    };
    reader.read();
    if reader.problems.is_empty() {
        Ok(reader.entries)
    } else {
        // A duplicate with a bad value gives two at once.
        reader.problems.truncate(MAX_PROBLEMS);
        Err(reader.problems)
    }
}

/// Where the text stops being UTF-8.
fn not_utf8(text: &[u8], error: std::str::Utf8Error) -> Problem {
    let valid = text.iter().take(error.valid_up_to());
    Problem {
        line: 1 + valid.filter(|byte| **byte == b'\n').count(),
        name: None,
        code: Code::NotUtf8,
    }
}

/// A place in a text and what was found up to there.
#[derive(Default)]
struct Reader<'a> {
    /// What is still to be read; begins with a line.
    rest: &'a str,
    /// The number of that line.
    line: usize,
    /// The comment lines directly above it.
    comments: Vec<&'a str>,
    /// Each name with the line of its first definition.
    seen: BTreeMap<VarName, usize>,
    /// The good variables.
    entries: Vec<Entry>,
    /// The bad things.
    problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    /// Reads to the end, or until there are enough problems.
    fn read(&mut self) {
        while !self.rest.is_empty() && self.problems.len() < MAX_PROBLEMS {
            let line = first_line(self.rest).trim_start_matches(BLANKS);
            if line.is_empty() {
                self.comments.clear();
                self.next_line();
            } else if let Some(comment) = line.strip_prefix('#') {
                self.comment(comment);
                self.next_line();
            } else {
                self.statement();
            }
        }
    }

    /// Keeps a comment line for the variable under it.
    fn comment(&mut self, text: &'a str) {
        self.comments.push(text.strip_prefix(BLANKS).unwrap_or(text));
        if let Err(code) = check_controls(text) {
            self.report(self.line, None, code);
        }
    }

    /// Reads `NAME=value` and goes to the line after it.
    fn statement(&mut self) {
        let line = self.line;
        let note = mem::take(&mut self.comments).join("\n");
        let name = match name_of(first_line(self.rest)) {
            Ok(name) => name,
            Err(code) => {
                self.report(line, None, code);
                self.next_line();
                return;
            }
        };
        // A name with a bad value counts too, so that no problem hides another.
        let first = *self.seen.entry(name.clone()).or_insert(line);
        if first != line {
            self.report(line, Some(&name), Code::Duplicate { first });
        }
        match self.value() {
            Ok(value) => self.entries.push(Entry { name, value, note, line }),
            Err((line, code)) => self.report(line, Some(&name), code),
        }
    }

    /// Reads the value behind the next `=` and goes to the line after it.
    fn value(&mut self) -> Result<Secret, (usize, Code)> {
        let line = self.line;
        let text = self.rest.split_once('=').map_or("", |(_, value)| value);
        let text = text.trim_start_matches(BLANKS);
        for (triple, quote) in [("'''", '\''), ("\"\"\"", '"')] {
            if let Some(body) = text.strip_prefix(triple) {
                // Its lines are no statements: one mistake, one problem.
                self.go_to(body.split_once(triple).map_or(body, |(_, rest)| rest));
                self.next_line();
                return Err((line, Code::TripleQuote));
            }
            if let Some(body) = text.strip_prefix(quote) {
                return self.quoted(body, quote);
            }
        }
        self.next_line();
        bare(first_line(text)).map_err(|code| (line, code))
    }

    /// Reads a quoted value from behind its opening quote.
    fn quoted(&mut self, body: &'a str, quote: char) -> Result<Secret, (usize, Code)> {
        let opened = self.line;
        let Some((inner, rest)) = split_at_quote(body, quote) else {
            // Nobody knows where the value should have ended.
            self.rest = "";
            return Err((opened, Code::Unterminated));
        };
        self.go_to(rest);
        let closed = self.line;
        self.next_line();

        let value = if quote == '"' { unescape(inner) } else { literal(inner) };
        let value = value.map_err(|(before, code)| (opened + line_ends(before), code))?;
        match check_tail(first_line(rest)) {
            Ok(()) => Ok(value),
            Err(Code::AfterQuote { .. }) => {
                let opened = (opened != closed).then_some(opened);
                Err((closed, Code::AfterQuote { opened }))
            }
            Err(code) => Err((closed, code)),
        }
    }

    /// Goes to the start of the next line.
    fn next_line(&mut self) {
        self.go_to(self.rest.split_once('\n').map_or("", |(_, rest)| rest));
    }

    /// Goes on with `rest`, which is the end of what is still to be read.
    fn go_to(&mut self, rest: &'a str) {
        let passed = self.rest.len().saturating_sub(rest.len());
        self.line += line_ends(self.rest.get(..passed).unwrap_or_default());
        self.rest = rest;
    }

    /// Notes a problem.
    fn report(&mut self, line: usize, name: Option<&VarName>, code: Code) {
        let name = name.map(ToString::to_string);
        self.problems.push(Problem { line, name, code });
    }
}

/// The first line of a text, without its line end.
fn first_line(text: &str) -> &str {
    match text.split_once('\n') {
        Some((line, _)) => line.strip_suffix('\r').unwrap_or(line),
        None => text,
    }
}

/// How many lines end in a text.
fn line_ends(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}

/// The name a statement begins with.
fn name_of(line: &str) -> Result<VarName, Code> {
    let Some((head, _)) = line.split_once('=') else {
        check_controls(line)?;
        let start = |c: char| c.is_ascii_alphabetic() || c == '_';
        let named = line.trim_start_matches(BLANKS).starts_with(start);
        return Err(if named { Code::NoEquals } else { Code::BadName });
    };
    check_controls(head)?;
    let head = head.trim_matches(BLANKS);
    let name = match head.strip_prefix("export") {
        Some(name) if name.starts_with(BLANKS) => name.trim_start_matches(BLANKS),
        _ => head,
    };
    name.parse().map_err(|error| match error {
        NameError::VariableTooLong => Code::NameTooLong,
        _ => Code::BadName,
    })
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

/// An unquoted value: the first character that programs disagree on decides.
fn bare(line: &str) -> Result<Secret, Code> {
    let value = line.trim_matches(BLANKS);
    value.chars().try_for_each(|c| match c {
        '#' => Err(Code::Hash),
        '$' => Err(Code::Dollar),
        '\\' => Err(Code::Backslash),
        '`' => Err(Code::Backtick),
        '\'' | '"' => Err(Code::QuoteInside),
        c => check_control(c),
    })?;
    Ok(Secret::new(value.as_bytes().to_vec()))
}

/// The text up to the closing quote, and the text behind it.
fn split_at_quote(body: &str, quote: char) -> Option<(&str, &str)> {
    let mut escaped = false;
    body.split_once(|c| {
        let closes = c == quote && !escaped;
        escaped = quote == '"' && c == '\\' && !escaped;
        closes
    })
}

/// What stands between single quotes, or a code and the text before its place.
fn literal(inner: &str) -> Result<Secret, (&str, Code)> {
    match inner.split_once('\0') {
        Some((before, _)) => Err((before, Code::Nul)),
        None => Ok(Secret::new(inner.as_bytes().to_vec())),
    }
}

/// What stands between double quotes, or a code and the text before its place.
fn unescape(inner: &str) -> Result<Secret, (&str, Code)> {
    // An escape is longer than what it stands for, so this never grows: a
    // buffer that grows leaves copies of the value behind.
    let mut value = Zeroizing::new(Vec::with_capacity(inner.len()));
    let mut bytes = inner.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        let byte = match byte {
            b'\\' => unescaped(bytes.next().map(|(_, escape)| escape)),
            b'$' => Err(Code::Dollar),
            b'`' => Err(Code::Backtick),
            0 => Err(Code::Nul),
            byte => Ok(byte),
        };
        // Each of these codes is about an ASCII character, so `at` is a boundary.
        value.push(byte.map_err(|code| (inner.get(..at).unwrap_or(inner), code))?);
    }
    Ok(Secret::new(mem::take(&mut *value)))
}

/// What a backslash and this character stand for in double quotes.
fn unescaped(escape: Option<u8>) -> Result<u8, Code> {
    match escape {
        Some(b'n') => Ok(b'\n'),
        Some(b'r') => Ok(b'\r'),
        Some(byte @ (b'"' | b'\\' | b'$' | b'`')) => Ok(byte),
        _ => Err(Code::BadEscape),
    }
}

/// Behind a closing quote only blanks may follow, or a blank and a comment.
fn check_tail(tail: &str) -> Result<(), Code> {
    let text = tail.trim_start_matches(BLANKS);
    match text.chars().next() {
        None => Ok(()),
        Some('#') if text.len() < tail.len() => check_controls(text),
        Some(c) => check_control(c).and(Err(Code::AfterQuote { opened: None })),
    }
}

/// A variable that a text format cannot hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {why}")]
pub(crate) struct Unrepresentable {
    /// Its name.
    pub(crate) name: VarName,
    /// What stands in the way.
    pub(crate) why: Why,
}

/// Why a variable is [`Unrepresentable`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Why {
    /// The value is not text.
    #[error("the value is not UTF-8")]
    NotUtf8,
    /// The value holds NUL.
    #[error("the value holds a NUL byte")]
    Nul,
    /// The note would not be read back.
    #[error("the note holds a control character")]
    NoteControl,
}

/// The canonical file: what [`parse`] reads back as it was, and what most other
/// programs read right.
pub(crate) fn write<'a>(
    entries: impl Iterator<Item = (&'a VarName, &'a [u8], &'a str)>,
) -> Result<Zeroizing<Vec<u8>>, Unrepresentable> {
    let entries: Vec<_> = entries.collect();
    // Room for the longest form of all: a buffer that grows leaves copies of
    // values behind.
    let room = entries.iter().map(|(name, value, note)| {
        name.as_str().len() + 2 * value.len() + 3 * note.len() + "# \n=\"\"\n".len()
    });
    let mut out = Zeroizing::new(Vec::with_capacity(room.sum()));
    for (name, value, note) in entries {
        check(value, note).map_err(|why| Unrepresentable { name: name.clone(), why })?;
        write_note(&mut out, note);
        out.extend_from_slice(name.as_str().as_bytes());
        out.push(b'=');
        write_value(&mut out, value);
        out.push(b'\n');
    }
    Ok(out)
}

/// Whether [`parse`] would read them back.
fn check(value: &[u8], note: &str) -> Result<(), Why> {
    std::str::from_utf8(value).map_err(|_| Why::NotUtf8)?;
    if value.contains(&0) {
        return Err(Why::Nul);
    }
    let mut lines = note.split('\n');
    lines.try_for_each(check_controls).map_err(|_| Why::NoteControl)
}

/// Writes a note as comment lines.
fn write_note(out: &mut Vec<u8>, note: &str) {
    if note.is_empty() {
        return;
    }
    for line in note.split('\n') {
        out.extend_from_slice(if line.is_empty() { b"#" } else { b"# " });
        out.extend_from_slice(line.as_bytes());
        out.push(b'\n');
    }
}

/// Writes a value in the plainest form that can hold it.
fn write_value(out: &mut Vec<u8>, value: &[u8]) {
    if value.iter().all(|byte| is_plain(*byte)) {
        out.extend_from_slice(value);
    } else if value.iter().any(|byte| matches!(byte, b'\'' | b'\r' | b'\n')) {
        out.push(b'"');
        for byte in value {
            write_escaped(out, *byte);
        }
        out.push(b'"');
    } else {
        out.push(b'\'');
        out.extend_from_slice(value);
        out.push(b'\'');
    }
}

/// What needs no quotes in any program.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_./:@%+,=-".contains(&byte)
}

/// Writes one byte of a value for double quotes.
fn write_escaped(out: &mut Vec<u8>, byte: u8) {
    match byte {
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'"' | b'\\' | b'$' | b'`' => out.extend_from_slice(&[b'\\', byte]),
        byte => out.push(byte),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// The cases of `dialects.json`.
    fn dialects() -> Value {
        let text = include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/data/dotenv_dialects/dialects.json"
        ));
        serde_json::from_str(text).unwrap()
    }

    /// The values of `export_vectors.json`.
    fn vectors() -> Value {
        let text = include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/data/dotenv_dialects/export_vectors.json"
        ));
        serde_json::from_str(text).unwrap()
    }

    /// The problems of a bad file as line, name and code.
    fn problems(text: &str) -> Vec<(usize, Option<String>, &'static str)> {
        let problems = parse(text.as_bytes()).err().unwrap_or_default();
        problems.into_iter().map(|p| (p.line, p.name, p.code.as_str())).collect()
    }

    /// The variables of a good file as name, value, note and line.
    fn entries(text: &[u8]) -> Vec<(String, Vec<u8>, String, usize)> {
        let entries = parse(text).unwrap().into_iter();
        entries.map(|e| (e.name.to_string(), e.value.expose().to_vec(), e.note, e.line)).collect()
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
    const CODES: [Code; 17] = [
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

    #[test]
    fn goes_on_after_a_problem() {
        let text = "A=$x\nA=2\nsome words\nB=\"a\\q\nb $\"\nC=1\nC=#\nD='x\nE\n";
        let name = |name: &str| Some(name.to_owned());
        let want = [
            (1, name("A"), "dollar"),
            (2, name("A"), "duplicate"),
            (3, None, "no-equals"),
            (4, name("B"), "bad-escape"),
            (7, name("C"), "duplicate"),
            (7, name("C"), "hash"),
            (8, name("D"), "unterminated"),
        ];
        assert_eq!(problems(text), want);
        let problems = parse(text.as_bytes()).unwrap_err();
        assert_eq!(problems[4].code, Code::Duplicate { first: 6 });
    }

    #[test]
    fn gives_the_line_inside_a_quoted_value() {
        let text = "A=\"one\r\ntwo\nthree $x\"\nB='\n\0'\nC='\n'c\nD=''c\n";
        let problems = parse(text.as_bytes()).unwrap_err();
        let codes: Vec<_> = problems.iter().map(|p| (p.line, p.code)).collect();
        let want = [
            (3, Code::Dollar),
            (5, Code::Nul),
            (7, Code::AfterQuote { opened: Some(6) }),
            (8, Code::AfterQuote { opened: None }),
        ];
        assert_eq!(codes, want);
    }

    #[test]
    fn a_triple_quoted_value_is_one_problem() {
        for triple in ["'''", "\"\"\""] {
            let text = format!("A={triple}\none\nB=$\n{triple}\nC=#\n");
            let codes: Vec<_> = problems(&text).into_iter().map(|p| (p.0, p.2)).collect();
            assert_eq!(codes, [(1, "triple-quote"), (5, "hash")]);
        }
    }

    #[test]
    fn stops_at_twenty_problems() {
        for bad in ["word\n".repeat(30), format!("A=1\nword\n{}", "A=#\n".repeat(30))] {
            assert_eq!(problems(&bad).len(), 20);
        }
    }

    #[test]
    fn control_characters_are_data_inside_quotes_only() {
        for text in [
            "A=a\u{1}b\n",
            "A=a\rb\n",
            "A=b\r",
            "A=a\u{7f}\n",
            "A=a\u{85}\n",
            "A\u{1b}=b\n",
            "# \u{1b}[2J\n",
            "A='b' # \u{1b}\n",
            "A='b'\u{1b}\n",
            "word\u{1b}\n",
        ] {
            let problems = problems(text);
            assert!(problems.len() == 1 && problems[0].2 == "control", "{}", text.escape_debug());
        }
        let inside = "\u{1}\u{7f}\u{85}\r\n\t\r";
        for quote in ['\'', '"'] {
            let text = format!("A={quote}{inside}{quote}\n");
            assert_eq!(entries(text.as_bytes())[0].1, inside.as_bytes());
        }
        assert_eq!(entries(b"A=a\tb\n")[0].1, b"a\tb");
    }

    #[test]
    fn nul_is_an_error_everywhere() {
        for text in ["A=\0", "A='\0'", "A=\"\0\"", "A\0=b", "# \0", "A='' # \0", "A=''\0"] {
            let problems = problems(text);
            assert!(problems.len() == 1 && problems[0].2 == "nul", "{}", text.escape_debug());
        }
    }

    #[test]
    fn names() {
        let long = "A".repeat(128);
        assert_eq!(entries(format!("{long}=b\n").as_bytes())[0].0, long);
        assert_eq!(problems(&format!("{long}A=b\n")), [(1, None, "name-too-long")]);
        let text = b"export=b\nexportA=b\nexport\t B=c\n";
        let found: Vec<_> = entries(text).into_iter().map(|entry| entry.0).collect();
        assert_eq!(found, ["export", "exportA", "B"]);
        assert_eq!(problems("export A B=c\n"), [(1, None, "bad-name")]);
        assert_eq!(problems("export A\n"), [(1, None, "no-equals")]);
        // This may be a line of an unquoted key.
        assert_eq!(problems("MIIEpAIBAAKCAQEA\n"), [(1, None, "no-equals")]);
    }

    #[test]
    fn a_file_that_is_not_utf8() {
        let want = Problem { line: 3, name: None, code: Code::NotUtf8 };
        assert_eq!(parse(b"A=b\n\n# \xff\n").unwrap_err(), [want]);
    }

    #[test]
    fn notes_belong_to_the_variable_under_them() {
        let text = "\u{feff}# file\r\n\r\n# one\r\n  #  two\r\n#\r\nA=b\r\nC='d' # e\r\n\
                    #f\nexport G=\n# h\n";
        let want = [
            ("A".to_owned(), b"b".to_vec(), "one\n two\n".to_owned(), 6),
            ("C".to_owned(), b"d".to_vec(), String::new(), 7),
            ("G".to_owned(), Vec::new(), "f".to_owned(), 9),
        ];
        assert_eq!(entries(text.as_bytes()), want);
    }

    #[test]
    fn reading_takes_linear_time() {
        let lines: Vec<_> = (0..100_000).map(|i| format!("# note\nA{i}='b'\n")).collect();
        let text = lines.concat();
        assert_eq!(parse(text.as_bytes()).unwrap().len(), 100_000);
    }

    #[test]
    fn writes_the_observed_form() {
        let data = vectors();
        let cases = data["vectors"].as_array().unwrap();
        assert_eq!(cases.len(), 45);
        let name: VarName = "K".parse().unwrap();
        for case in cases {
            let value = case["value"].as_str().unwrap();
            let text = write([(&name, value.as_bytes(), "")].into_iter()).unwrap();
            let want = case["formats"]["dotenv"].as_str();
            assert_eq!(std::str::from_utf8(&text).ok(), want, "vector {}", case["id"]);
        }
    }

    #[test]
    fn refuses_by_name_what_it_cannot_hold() {
        let name: VarName = "K".parse().unwrap();
        for (value, note, why) in [
            (&b"x\xff"[..], "", Why::NotUtf8),
            (b"x\0", "", Why::Nul),
            (b"x", "a\rb", Why::NoteControl),
        ] {
            let error = write([(&name, value, note)].into_iter()).unwrap_err();
            assert_eq!(error, Unrepresentable { name: name.clone(), why });
        }
        let error = Unrepresentable { name, why: Why::Nul };
        assert_eq!(error.to_string(), "K: the value holds a NUL byte");
    }

    #[test]
    fn the_buffer_of_the_writer_never_grows() {
        let name: VarName = "K".parse().unwrap();
        let many = "\n".repeat(50);
        let text = write([(&name, many.as_bytes(), many.as_str()); 9].into_iter()).unwrap();
        assert_eq!(text.capacity(), 9 * (1 + 2 * 50 + 3 * 50 + 7));
    }

    proptest! {
        #[test]
        fn reads_back_what_it_wrote(
            pairs in proptest::collection::vec(
                ("(['\"\\\\$`#=\r\n\t nrA]|[^\0]){0,24}", "([ #=\t\n]|\\PC){0,12}"),
                0..4,
            ),
        ) {
            let names: Vec<VarName> =
                (0..pairs.len()).map(|i| format!("K{i}").parse().unwrap()).collect();
            let all = names.iter().zip(&pairs);
            let text = write(all.map(|(name, (value, note))| (name, value.as_bytes(), &**note)));
            let read: Vec<_> = entries(&text.unwrap())
                .into_iter()
                .map(|(_, value, note, _)| (String::from_utf8(value).unwrap(), note))
                .collect();
            prop_assert_eq!(read, pairs);
        }

        #[test]
        fn never_panics(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Err(problems) = parse(&text) {
                prop_assert!((1..=20).contains(&problems.len()));
            }
        }

        #[test]
        fn problems_stand_in_the_order_of_their_lines(
            text in "(A|B|export |=|'|\"|'''|\\\\|\\$|#|[ \t\r\n]|\u{feff}|.){0,60}",
        ) {
            if let Err(problems) = parse(text.as_bytes()) {
                let lines = text.split('\n').count();
                prop_assert!(problems.iter().all(|p| (1..=lines).contains(&p.line)));
                prop_assert!(problems.is_sorted_by_key(|p| p.line));
            }
        }
    }
}
