//! Variables from files of other forms than dotenv: a flat JSON object or YAML mapping of strings, and what
//! `env -0` prints.
//!
//! Nothing is turned into a string silently, because programs disagree on how (`1.0`, `true`, `null`): what is
//! not a string is refused by name.

mod json;
mod null;
mod yaml;

use std::collections::BTreeSet;

pub(crate) use self::json::json;
pub(crate) use self::null::null;
pub(crate) use self::yaml::yaml;
use super::name::{NameError, VarName};
use crate::secret::Secret;

/// What is wrong in such a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The line it stands on, from 1, if that is known.
    pub(crate) line: Option<usize>,
    /// The variable it belongs to, if that has a valid name.
    pub(crate) name: Option<String>,
    /// What it is.
    pub(crate) code: Code,
}

/// The kinds of [`Problem`]. Their texts never hold anything of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Code {
    /// The file is not UTF-8.
    #[error("not UTF-8: save the file as UTF-8")]
    NotUtf8,
    /// The text breaks the rules of JSON.
    #[error("not valid JSON from here on")]
    NotJson,
    /// The text breaks the rules of YAML.
    #[error("not valid YAML from here on")]
    NotYaml,
    /// The text ends before the object does.
    #[error("the JSON text is cut short")]
    Truncated,
    /// The top is something else than an object.
    #[error("not a JSON object: write {{\"NAME\": \"value\", ...}}")]
    NotObject,
    /// The top is something else than a mapping.
    #[error("not a YAML mapping: write NAME: \"value\" on each line")]
    NotMapping,
    /// A second YAML document.
    #[error("a second document begins here: put each into a file of its own")]
    SecondDocument,
    /// A key is no variable name.
    #[error("{0}")]
    BadName(NameError),
    /// A key is no scalar.
    #[error("a key is not a variable name: only NAME: \"value\" is taken")]
    NoName,
    /// A name that stood before.
    #[error("defined twice: keep one of them")]
    Duplicate,
    /// A value that is not a string.
    #[error("{0}, but only strings are taken: {mend}", mend = .0.mend())]
    NotString(Kind),
    /// A value that is null.
    #[error("null is not a string: write \"\" for an empty value, or leave the name out")]
    Null,
    /// A plain YAML scalar that some reader doesn't take for a string.
    #[error("{0} to some readers of YAML and a string to others: put it in double quotes")]
    Ambiguous(Kind),
    /// A character that YAML lets in nowhere unescaped, or that some readers take for the end of a line.
    #[error(
        "a character that readers of YAML take in different ways: write it as an escape in double quotes"
    )]
    Unprintable,
    /// A YAML scalar with a tag other than `!!str`.
    #[error("a tag: only strings are taken, and they need none")]
    Tag,
    /// A YAML alias.
    #[error("an alias: write the value itself")]
    Alias,
}

/// What a value is, if not a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Kind {
    /// `true` or `false`.
    #[error("a boolean")]
    Boolean,
    /// Any number.
    #[error("a number")]
    Number,
    /// A date or a time.
    #[error("a date or a time")]
    Time,
    /// A symbol of Ruby, or a sign with a meaning of its own.
    #[error("something else than text")]
    Sign,
    /// `[…]`
    #[error("a list")]
    Array,
    /// `{…}`
    #[error("an object")]
    Object,
}

impl Kind {
    /// What makes a string of it, or several.
    fn mend(self) -> &'static str {
        match self {
            Self::Array | Self::Object => "give each value in it a name of its own",
            Self::Boolean | Self::Number | Self::Time | Self::Sign => "put it in double quotes",
        }
    }
}

/// The pairs of a flat file, in its order, and all that is wrong with it.
#[derive(Default)]
struct Pairs {
    good: Vec<(VarName, Secret)>,
    seen: BTreeSet<VarName>,
    problems: Vec<Problem>,
}

impl Pairs {
    /// Takes a pair whose value is a string, or is wrong.
    fn take(&mut self, line: usize, name: &str, value: Result<Secret, Code>) {
        let name: VarName = match name.parse() {
            Ok(name) => name,
            Err(rule) => return self.refuse(Some(line), None, Code::BadName(rule)),
        };
        if !self.seen.insert(name.clone()) {
            return self.refuse(Some(line), Some(&name), Code::Duplicate);
        }
        match value {
            Ok(value) => self.good.push((name, value)),
            Err(code) => self.refuse(Some(line), Some(&name), code),
        }
    }

    fn refuse(&mut self, line: Option<usize>, name: Option<&VarName>, code: Code) {
        self.problems.push(Problem { line, name: name.map(ToString::to_string), code });
    }

    fn finish(self) -> Result<Vec<(VarName, Secret)>, Vec<Problem>> {
        if self.problems.is_empty() { Ok(self.good) } else { Err(self.problems) }
    }
}

/// The text of a file, without a byte order mark.
fn as_text(bytes: &[u8]) -> Result<&str, Vec<Problem>> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = Some(line_at(bytes, error.valid_up_to()));
        vec![Problem { line, name: None, code: Code::NotUtf8 }]
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// The line on which a place stands, from 1.
fn line_at(text: &[u8], place: usize) -> usize {
    1 + text.iter().take(place).filter(|byte| **byte == b'\n').count()
}
