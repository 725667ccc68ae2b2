//! The reader.

use std::collections::BTreeMap;
use std::mem;

use zeroize::Zeroizing;

use super::{Code, Entry, Problem, Quotes, check_control, check_controls};
use crate::secret::Secret;
use crate::vars::name::{NameError, VarName};

/// After this many problems the reader stops: the rest is mostly echo.
const MAX_PROBLEMS: usize = 20;

/// What may stand around names, `=` and values.
const BLANKS: [char; 2] = [' ', '\t'];

/// Reads a whole file, or gives everything that is wrong in it.
pub(crate) fn parse(text: &[u8]) -> Result<Vec<Entry>, Vec<Problem>> {
    read(text, false)
}

/// As [`parse`], of a text that takes the place of what is stored: a comment that would be lost is a
/// problem, and lines of ours are passed over.
pub(super) fn parse_edited(text: &[u8]) -> Result<Vec<Entry>, Vec<Problem>> {
    read(text, true)
}

fn read(text: &[u8], edited: bool) -> Result<Vec<Entry>, Vec<Problem>> {
    let text = std::str::from_utf8(text).map_err(|error| vec![not_utf8(text, error)])?;
    let mut reader = Reader {
        rest: text.strip_prefix('\u{feff}').unwrap_or(text),
        line: 1,
        edited,
        ..Reader::default()
    };
    reader.read();
    if reader.problems.is_empty() {
        Ok(reader.entries)
    } else {
        // Comments are known to be lost only where no variable follows them.
        reader.problems.sort_by_key(|problem| problem.line);
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
    /// Whether comments may not be lost.
    edited: bool,
    /// The comment lines above it, with their numbers: lines of ours may stand between them.
    comments: Vec<(usize, &'a str)>,
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
                self.drop_comments();
                self.next_line();
            } else if let Some(comment) = line.strip_prefix('#') {
                self.comment(comment);
                self.next_line();
            } else {
                self.statement();
            }
        }
        self.drop_comments();
    }

    /// Comments with no variable under them.
    fn drop_comments(&mut self) {
        if self.edited
            && let Some((first, _)) = self.comments.first()
        {
            self.report(*first, None, Code::StrayComment);
        }
        self.comments.clear();
    }

    /// Keeps a comment line for the variable under it.
    fn comment(&mut self, text: &'a str) {
        if self.edited && text.starts_with(':') {
            return;
        }
        self.comments.push((self.line, text.strip_prefix(BLANKS).unwrap_or(text)));
        if let Err(code) = check_controls(text) {
            self.report(self.line, None, code);
        }
    }

    /// Reads `NAME=value` and goes to the line after it.
    fn statement(&mut self) {
        let line = self.line;
        let comments: Vec<&str> = self.comments.drain(..).map(|(_, text)| text).collect();
        let note = comments.join("\n");
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
            Ok((value, quotes)) => {
                self.entries.push(Entry { name, value, note, line, quotes });
            }
            Err((line, code)) => self.report(line, Some(&name), code),
        }
    }

    /// Reads the value behind the next `=` and goes to the line after it.
    fn value(&mut self) -> Result<(Secret, Quotes), (usize, Code)> {
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
                let quotes = if quote == '"' { Quotes::Double } else { Quotes::Single };
                return self.quoted(body, quote).map(|value| (value, quotes));
            }
        }
        self.next_line();
        let value = bare(first_line(text)).map_err(|code| (line, code))?;
        Ok((value, Quotes::None))
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
        match check_tail(first_line(rest), self.edited) {
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
fn check_tail(tail: &str, edited: bool) -> Result<(), Code> {
    let text = tail.trim_start_matches(BLANKS);
    match text.chars().next() {
        None => Ok(()),
        Some('#') if text.len() < tail.len() && edited => Err(Code::CommentBehind),
        Some('#') if text.len() < tail.len() => check_controls(text),
        Some(c) => check_control(c).and(Err(Code::AfterQuote { opened: None })),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
    fn a_comment_that_would_be_lost_is_told_on_its_own_line() {
        for (text, want) in [
            ("# a", vec![(1, Code::StrayComment)]),
            ("A=1\n# a\n# b", vec![(2, Code::StrayComment)]),
            ("A=1\n# a\n#: ours\n# b\n\n", vec![(2, Code::StrayComment)]),
            ("# a\n# \u{1b}\n\n", vec![(1, Code::StrayComment), (2, Code::Control)]),
            ("# a\n#: ours\nA=1\n", vec![]),
        ] {
            let problems = parse_edited(text.as_bytes()).err().unwrap_or_default();
            let found: Vec<_> = problems.iter().map(|one| (one.line, one.code)).collect();
            assert_eq!(found, want, "{text:?}");
        }
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

    proptest! {
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
