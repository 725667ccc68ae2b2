//! One flat YAML mapping of strings.
//!
//! A scalar in quotes, or in a block, is a string to every reader. A plain one is taken only where all agree: by
//! YAML 1.2, by YAML 1.1 (`PyYAML`), and by Ruby's Psych, which each have words and forms of their own.

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};

use super::{Code, Kind, Pairs, Problem, as_text, line_at};
use crate::secret::Secret;
use crate::vars::name::VarName;

/// Reads a whole file, in its order, or gives everything that is wrong in it, up to the first place that is no
/// YAML. Comments are passed over. The caller limits the size.
pub(crate) fn yaml(text: &[u8]) -> Result<Vec<(VarName, Secret)>, Vec<Problem>> {
    let text = as_text(text)?;
    let mut reader = Reader { parser: Parser::new_from_str(text), pairs: Pairs::default() };
    if let Some(place) = unprintable(text) {
        reader.pairs.refuse(Some(line_at(text.as_bytes(), place)), None, Code::Unprintable);
        return reader.pairs.finish();
    }
    if let Err(Stop { line, code }) = reader.read() {
        reader.pairs.refuse(Some(line), None, code);
    }
    reader.pairs.finish()
}

struct Reader<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    pairs: Pairs,
}

/// Why nothing more can be read.
struct Stop {
    line: usize,
    code: Code,
}

impl<'a> Reader<'a> {
    fn read(&mut self) -> Result<(), Stop> {
        let mut documents = 0;
        loop {
            let (event, line) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(()),
                Event::DocumentStart(_) if documents > 0 => {
                    return Err(Stop { line, code: Code::SecondDocument });
                }
                Event::DocumentStart(_) => documents += 1,
                Event::MappingStart(_, None) => self.mapping()?,
                Event::Nothing | Event::StreamStart | Event::DocumentEnd => {}
                _ => return Err(Stop { line, code: Code::NotMapping }),
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, usize), Stop> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, span.start.line())),
            // Its own text can quote the file.
            Some(Err(error)) => Err(Stop { line: error.marker().line(), code: Code::NotYaml }),
            None => Ok((Event::StreamEnd, 0)),
        }
    }

    /// The pairs of the mapping that has just begun.
    fn mapping(&mut self) -> Result<(), Stop> {
        loop {
            let (key, line) = self.next()?;
            let (name, refused) = match key {
                Event::MappingEnd => return Ok(()),
                // `NO` and `Y` are no strings to some readers, as keys too.
                Event::Scalar(name, style, _, tag) => {
                    let refused = string(&name, style, tag.as_deref()).err();
                    (Some(name), refused)
                }
                other => {
                    self.skip(&other)?;
                    (None, None)
                }
            };
            let (value, _) = self.next()?;
            let value = match value {
                Event::Scalar(text, style, _, tag) => string(&text, style, tag.as_deref()),
                Event::Alias(_) => Err(Code::Alias),
                other => {
                    self.skip(&other)?;
                    let list = matches!(other, Event::SequenceStart(..));
                    Err(Code::NotString(if list { Kind::Array } else { Kind::Object }))
                }
            };
            match name {
                Some(name) => self.pairs.take(line, &name, refused.map_or(value, Err)),
                None => self.pairs.refuse(Some(line), None, Code::NoName),
            }
        }
    }

    /// Passes over what has begun with this event.
    fn skip(&mut self, begun: &Event<'_>) -> Result<(), Stop> {
        let depth = |event: &Event<'_>| match event {
            Event::SequenceStart(..) | Event::MappingStart(..) => 1,
            Event::SequenceEnd | Event::MappingEnd => -1,
            _ => 0,
        };
        let mut open = depth(begun);
        while open > 0 {
            open += depth(&self.next()?.0);
        }
        Ok(())
    }
}

/// The first character that is not printable (YAML 1.2.2, 5.1), or that YAML 1.1 takes for the end of a line and
/// 1.2 does not.
fn unprintable(text: &str) -> Option<usize> {
    let mut all = text.char_indices().peekable();
    while let Some((place, character)) = all.next() {
        let fine = match character {
            '\t' | '\n' => true,
            '\r' => all.peek().is_some_and(|(_, next)| *next == '\n'),
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => false,
            other => !other.is_control(),
        };
        if !fine {
            return Some(place);
        }
    }
    None
}

/// The string that a scalar is.
fn string(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Secret, Code> {
    match tag {
        Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => {}
        Some(_) => return Err(Code::Tag),
        None if style == ScalarStyle::Plain => check_plain(text)?,
        None => {}
    }
    Ok(Secret::new(text.as_bytes().to_vec()))
}

/// Refuses a plain scalar that some reader takes for something else than a string.
fn check_plain(text: &str) -> Result<(), Code> {
    const NULL: [&str; 5] = ["", "~", "null", "Null", "NULL"];
    // All of YAML 1.1, of which PyYAML leaves out the single letters.
    const BOOLEAN: [&str; 8] = ["y", "n", "yes", "no", "on", "off", "true", "false"];
    if NULL.contains(&text) {
        return Err(Code::Null);
    }
    if BOOLEAN.contains(&text.to_ascii_lowercase().as_str()) {
        return Err(Code::Ambiguous(Kind::Boolean));
    }
    // Merge and value keys of YAML 1.1; symbols of Psych.
    if ["=", "<<"].contains(&text) || text.starts_with(':') {
        return Err(Code::Ambiguous(Kind::Sign));
    }
    if looks_like_a_number(text) {
        return Err(Code::Ambiguous(Kind::Number));
    }
    if looks_like_a_time(text) {
        return Err(Code::Ambiguous(Kind::Time));
    }
    Ok(())
}

/// Integers and floats of YAML 1.1 and 1.2, in all bases, with `_`, with Psych's `,`, and in base 60.
fn looks_like_a_number(text: &str) -> bool {
    let bare: String = text.chars().filter(|c| !matches!(c, '_' | ',')).collect();
    let bare = bare.strip_prefix(['+', '-']).unwrap_or(&bare).to_ascii_lowercase();
    let digits =
        |text: &str, radix: u32| !text.is_empty() && text.chars().all(|c| c.is_digit(radix));
    if let Some(based) = bare.strip_prefix('0').and_then(|rest| rest.get(..1).map(|_| rest)) {
        let (letter, rest) = based.split_at(based.chars().next().map_or(0, char::len_utf8));
        let radix = match letter {
            "x" => 16,
            "o" => 8,
            "b" => 2,
            _ => 10,
        };
        if radix != 10 && digits(rest, radix) {
            return true;
        }
    }
    if [".inf", ".nan"].contains(&bare.as_str()) {
        return true;
    }
    // `inf` and `nan` without a dot are words to all; `1e5`, `1.` and `.5` are numbers to some.
    let begins = bare.strip_prefix('.').unwrap_or(&bare).starts_with(|c: char| c.is_ascii_digit());
    if begins && bare.parse::<f64>().is_ok() {
        return true;
    }
    let mut parts = bare.split(':');
    let first = parts.next().is_some_and(|part| digits(part, 10));
    let mut more = parts.peekable();
    first
        && more.peek().is_some()
        && more.all(|part| part.split('.').all(|piece| piece.is_empty() || digits(piece, 10)))
}

/// `2026-11-28`, with or without a time behind it.
fn looks_like_a_time(text: &str) -> bool {
    let mut parts = text.splitn(3, '-');
    let mut digits = |least: usize, most: usize| {
        let part = parts.next().unwrap_or_default();
        let count = part.bytes().take_while(u8::is_ascii_digit).count();
        (least..=most).contains(&count).then_some(count == part.len())
    };
    digits(4, 4) == Some(true) && digits(1, 2) == Some(true) && digits(1, 2).is_some()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The pairs of a good file.
    fn read(text: &str) -> Vec<(String, String)> {
        let pairs = yaml(text.as_bytes()).unwrap();
        pairs
            .into_iter()
            .map(|(name, value)| (name.to_string(), value.expose_str().unwrap().to_owned()))
            .collect()
    }

    /// Everything that is wrong in a bad one.
    fn wrong(text: &str) -> Vec<(Option<usize>, Option<String>, Code)> {
        let problems = yaml(text.as_bytes()).unwrap_err();
        problems.into_iter().map(|one| (one.line, one.name, one.code)).collect()
    }

    #[test]
    fn strings_of_every_style_come_in_their_order() {
        let text = "\u{feff}# top\n---\nB: \"two\\nlines \\u00e9\"\nA: 'it''s' # why\nPLAIN: a b  # c\n\
                    LITERAL: |\n  x\n   y\nFOLDED: >-\n  x\n  y\nTAGGED: !!str 5\n\"QUOTED\": \"\"\n\
                    URL: postgres://u:p@h:5432/db#x\nIP: 127.0.0.1\nAT: 10.0.0.1:80\n...\n";
        let want = [
            ("B", "two\nlines é"),
            ("A", "it's"),
            ("PLAIN", "a b"),
            ("LITERAL", "x\n y\n"),
            ("FOLDED", "x y"),
            ("TAGGED", "5"),
            ("QUOTED", ""),
            ("URL", "postgres://u:p@h:5432/db#x"),
            ("IP", "127.0.0.1"),
            ("AT", "10.0.0.1:80"),
        ];
        let want = want.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(read(text), want);
        assert_eq!(read("{A: \"1\", B: b}").len(), 2);
        assert_eq!(read("{}"), []);
        assert_eq!(read("# nothing\n"), []);
    }

    #[test]
    fn everything_that_is_wrong_is_told_with_its_line() {
        let text = "A: 5432\nB:\nC: yes\nD: [1, {x: y}]\nE:\n  deep: x\n  deeper: [x]\nF-G: x\nA: x\n\
                    H: !!binary aGk=\nI: &one \"x\"\nJ: *one\n? [k]\n: v\nK: 2026-11-28\nL: :sym\n";
        let not = |kind| Code::NotString(kind);
        let some = |line, name: &str, code| (Some(line), Some(name.to_owned()), code);
        assert_eq!(
            wrong(text),
            [
                some(1, "A", Code::Ambiguous(Kind::Number)),
                some(2, "B", Code::Null),
                some(3, "C", Code::Ambiguous(Kind::Boolean)),
                some(4, "D", not(Kind::Array)),
                some(5, "E", not(Kind::Object)),
                (Some(8), None, Code::BadName(crate::vars::name::NameError::Variable)),
                some(9, "A", Code::Duplicate),
                some(10, "H", Code::Tag),
                some(12, "J", Code::Alias),
                (Some(13), None, Code::NoName),
                some(15, "K", Code::Ambiguous(Kind::Time)),
                some(16, "L", Code::Ambiguous(Kind::Sign)),
            ]
        );
        assert_eq!(wrong("A: \"x\"\nB: \"open\n").last().unwrap().2, Code::NotYaml);
        assert_eq!(wrong("- a\n"), [(Some(1), None, Code::NotMapping)]);
        assert_eq!(wrong("text\n"), [(Some(1), None, Code::NotMapping)]);
        assert_eq!(wrong("A: x\n---\nB: x\n"), [(Some(2), None, Code::SecondDocument)]);
        assert_eq!(yaml(b"A: x\nB: \xff").unwrap_err()[0].line, Some(2));
    }

    #[test]
    fn characters_and_keys_that_readers_differ_on_are_refused() {
        for text in [
            "\u{85}", "\u{2028}", "\u{2029}", "\u{feff}", "\0", "\u{1b}", "\u{7f}", "\r",
            "\u{ffff}",
        ] {
            for around in ["A: x\nB: \"a{}b\"\n", "A: x\nB: a{}b\n", "A: x\n# a{}b\nB: x\n"] {
                let text = around.replace("{}", text);
                assert_eq!(wrong(&text), [(Some(2), None, Code::Unprintable)], "{text:?}");
            }
        }
        assert_eq!(read("A: \"\\N\\L\\0\"\r\nB: '\u{a0}'\r\n")[0].1, "\u{85}\u{2028}\0");
        let some = |line, name: &str, code| (Some(line), Some(name.to_owned()), code);
        assert_eq!(
            wrong("NO: x\ny: [1]\n!!int A: x\n\"ON\": x\n!!str OFF: x\nB: 1\n"),
            [
                some(1, "NO", Code::Ambiguous(Kind::Boolean)),
                some(2, "y", Code::Ambiguous(Kind::Boolean)),
                some(3, "A", Code::Tag),
                some(6, "B", Code::Ambiguous(Kind::Number)),
            ]
        );
    }

    #[test]
    fn plain_scalars_that_readers_differ_on_are_refused() {
        for text in [
            "~",
            "null",
            "y",
            "N",
            "Yes",
            "OFF",
            "True",
            "0",
            "-1",
            "+1",
            "1_000",
            "1,000",
            "0x1F",
            "0o17",
            "017",
            "0b11",
            "1.",
            "1.5",
            ".5",
            "1e3",
            "1.5e-3",
            ".inf",
            "-.INF",
            ".NaN",
            "12:30",
            "12:30:45",
            "1:2.5",
            "2026-11-28",
            "2026-1-2",
            "2026-11-28T10:00:00Z",
            "2026-11-28 10:00:00 +1",
            "=",
            ":a",
        ] {
            assert!(check_plain(text).is_err(), "{text}");
        }
        for text in [
            "a",
            "yess",
            "nan",
            "inf",
            "1.2.3",
            "v1",
            "1a",
            "0x",
            "0xg",
            "a:1",
            "12:a",
            "1-2",
            "2026-11",
            "2026-11-x",
            "20261-1-1",
            "-",
            "_",
            "a,b",
            "é",
            "0é",
        ] {
            assert_eq!(check_plain(text), Ok(()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "(A|B|: |:|-|\\[|\\]|\\{|\\}|\"|'|&a|\\*a|!!str |\\||>|#|\n| |\\?|,|.){0,40}") {
            if let Err(problems) = yaml(text.as_bytes()) {
                prop_assert!(!problems.is_empty());
            }
        }
    }
}
