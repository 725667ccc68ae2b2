//! Variables from a JSON file, one flat object of strings; and from what `env -0` prints.
//!
//! Nothing is turned into a string silently, because programs disagree on how
//! (`1.0`, `true`, `null`): what is not a string is refused by name.
//!
//! `serde_json` keeps a string with escapes in a buffer of its own that is not
//! wiped; everything here is.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt;

use serde::Deserializer as _;
use serde::de::{self, DeserializeSeed, MapAccess, Visitor};
use serde_json::error::Category;

use crate::secret::Secret;

use super::name::VarName;

/// What is wrong in a JSON file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JsonProblem {
    /// The line it stands on, from 1, if that is known.
    pub(crate) line: Option<usize>,
    /// The variable it belongs to, if that has a valid name.
    pub(crate) name: Option<String>,
    /// What it is. Its text never holds anything of the file.
    pub(crate) code: JsonCode,
}

/// The kinds of [`JsonProblem`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JsonCode {
    /// The file is not UTF-8.
    #[error("not UTF-8: save the file as UTF-8")]
    NotUtf8,
    /// The text breaks the rules of JSON.
    #[error("not valid JSON from here on")]
    Syntax,
    /// The text ends before the object does.
    #[error("the JSON text is cut short")]
    Truncated,
    /// The top is something else than an object.
    #[error("not a JSON object: write {{\"NAME\": \"value\", ...}}")]
    NotObject,
    /// A key is no variable name.
    #[error(
        "a key is not a variable name: use letters, digits and \"_\", no digit at the start, \
         and at most 128 bytes"
    )]
    BadName,
    /// A name that stood before.
    #[error("defined twice: keep one of them")]
    Duplicate,
    /// A value that is not a string.
    #[error("{0}, but only strings are taken: put it in double quotes")]
    NotString(Kind),
    /// A value that is null.
    #[error("null is not a string: write \"\" for an empty value, or leave the name out")]
    Null,
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
    /// `[…]`
    #[error("an array")]
    Array,
    /// `{…}`
    #[error("an object")]
    Object,
}

/// Reads a whole file, in its order, or gives the first thing that is wrong.
/// The caller limits the size.
pub(crate) fn json(text: &[u8]) -> Result<Vec<(VarName, Secret)>, JsonProblem> {
    let text = std::str::from_utf8(text).map_err(|error| not_utf8(text, error))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let refused = Cell::new(None);
    let mut reader = serde_json::Deserializer::from_str(text);
    let vars = reader.deserialize_any(Flat { refused: &refused });
    vars.and_then(|vars| reader.end().map(|()| vars))
        .map_err(|error| problem(&error, refused.take()))
}

/// Where the text stops being UTF-8.
fn not_utf8(text: &[u8], error: std::str::Utf8Error) -> JsonProblem {
    let valid = text.iter().take(error.valid_up_to());
    let line = 1 + valid.filter(|byte| **byte == b'\n').count();
    JsonProblem { line: Some(line), name: None, code: JsonCode::NotUtf8 }
}

/// Puts an error into our own words: those of `serde_json` can quote the file.
fn problem(error: &serde_json::Error, refused: Option<Refused>) -> JsonProblem {
    let (name, code) = refused.unwrap_or(match error.classify() {
        Category::Eof => (None, JsonCode::Truncated),
        Category::Data => (None, JsonCode::NotObject),
        Category::Io | Category::Syntax => (None, JsonCode::Syntax),
    });
    let line = Some(error.line()).filter(|line| *line > 0);
    JsonProblem { line, name: name.map(|name| name.to_string()), code }
}

/// Why the reader below stopped, and at which variable. It travels beside the
/// error, which can hold nothing but text.
type Refused = (Option<VarName>, JsonCode);

/// Notes why, and gives the error that makes `serde_json` stop here.
fn refuse<E: de::Error>(
    refused: &Cell<Option<Refused>>,
    name: Option<&VarName>,
    code: JsonCode,
) -> E {
    refused.set(Some((name.cloned(), code)));
    E::custom("refused")
}

/// Takes the object.
struct Flat<'a> {
    /// Where the reason of a stop is left.
    refused: &'a Cell<Option<Refused>>,
}

impl<'de> Visitor<'de> for Flat<'_> {
    type Value = Vec<(VarName, Secret)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let refused = self.refused;
        let mut vars = Vec::new();
        let mut seen = BTreeSet::new();
        while let Some(name) = map.next_key_seed(Key { refused })? {
            if !seen.insert(name.clone()) {
                return Err(refuse(refused, Some(&name), JsonCode::Duplicate));
            }
            let value = map.next_value_seed(Text { refused, name: &name })?;
            vars.push((name, value));
        }
        Ok(vars)
    }
}

/// Takes a key.
struct Key<'a> {
    /// Where the reason of a stop is left.
    refused: &'a Cell<Option<Refused>>,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = VarName;

    fn deserialize<D: de::Deserializer<'de>>(self, key: D) -> Result<VarName, D::Error> {
        key.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = VarName;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a variable name")
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<VarName, E> {
        key.parse().map_err(|_| refuse(self.refused, None, JsonCode::BadName))
    }
}

/// Takes a value.
struct Text<'a> {
    /// Where the reason of a stop is left.
    refused: &'a Cell<Option<Refused>>,
    /// The variable it is for.
    name: &'a VarName,
}

impl Text<'_> {
    /// Refuses what is not a string.
    fn refuse<E: de::Error>(&self, code: JsonCode) -> Result<Secret, E> {
        Err(refuse(self.refused, Some(self.name), code))
    }
}

impl<'de> DeserializeSeed<'de> for Text<'_> {
    type Value = Secret;

    fn deserialize<D: de::Deserializer<'de>>(self, value: D) -> Result<Secret, D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Text<'_> {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Secret, E> {
        Ok(Secret::new(value.as_bytes().to_vec()))
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Secret, E> {
        self.refuse(JsonCode::NotString(Kind::Boolean))
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Secret, E> {
        self.refuse(JsonCode::NotString(Kind::Number))
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Secret, E> {
        self.refuse(JsonCode::NotString(Kind::Number))
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Secret, E> {
        self.refuse(JsonCode::NotString(Kind::Number))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Secret, E> {
        self.refuse(JsonCode::Null)
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, _: A) -> Result<Secret, A::Error> {
        self.refuse(JsonCode::NotString(Kind::Array))
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Secret, A::Error> {
        self.refuse(JsonCode::NotString(Kind::Object))
    }
}

/// Reads `NAME=value` with a NUL behind each. Of a name that is there twice the first one counts, as for
/// getenv(3). Gives the numbers of the parts, from 1, that are something else.
pub(crate) fn null(text: &[u8]) -> Result<Vec<(VarName, Secret)>, Vec<usize>> {
    let text = text.strip_suffix(b"\0").unwrap_or(text);
    let (mut pairs, mut names, mut wrong) = (Vec::new(), BTreeSet::new(), Vec::new());
    let parts = text.split(|byte| *byte == 0).filter(|_| !text.is_empty());
    for (index, part) in parts.enumerate() {
        match null_pair(part) {
            Some((name, value)) if names.insert(name.clone()) => pairs.push((name, value)),
            Some(_) => {}
            None => wrong.push(index + 1),
        }
    }
    if wrong.is_empty() { Ok(pairs) } else { Err(wrong) }
}

fn null_pair(part: &[u8]) -> Option<(VarName, Secret)> {
    let (name, value) = part.split_at(part.iter().position(|byte| *byte == b'=')?);
    let name = std::str::from_utf8(name).ok()?.parse().ok()?;
    Some((name, Secret::new(value.get(1..)?.to_vec())))
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// What a test gives back, so that it can use `?`.
    type Outcome = Result<(), Box<dyn Error>>;

    /// The variables of a good file.
    fn read(text: &str) -> Result<Vec<(String, Vec<u8>)>, JsonProblem> {
        let vars = json(text.as_bytes())?;
        Ok(vars
            .into_iter()
            .map(|(name, value)| (name.to_string(), value.expose().to_vec()))
            .collect())
    }

    #[test]
    fn keeps_the_order_of_the_file() {
        let vars = read("\u{feff}{\"B\": \"a\\n\\u00e9\",\n \"A\": \"\"}\n");
        let want = [("B".to_owned(), "a\né".as_bytes().to_vec()), ("A".to_owned(), Vec::new())];
        assert_eq!(vars.as_deref(), Ok(&want[..]));
        assert_eq!(read("{}"), Ok(Vec::new()));
    }

    #[test]
    fn reads_the_export_vectors() -> Outcome {
        let data: Value = serde_json::from_str(crate::vars::EXPORT_VECTORS)?;
        for case in data["vectors"].as_array().ok_or("no vectors")? {
            let value = case["value"].as_str().ok_or("no value")?;
            let want = [("K".to_owned(), value.as_bytes().to_vec())];
            for format in ["json", "tfvars-json"] {
                let text = case["formats"][format].as_str().ok_or("no text")?;
                assert_eq!(read(text).as_deref(), Ok(&want[..]), "{format} {}", case["id"]);
            }
        }
        Ok(())
    }

    #[test]
    fn refuses_by_name_and_line() {
        let not = JsonCode::NotString;
        for (text, line, name, code) in [
            ("{\"A\": \"b\",\n\"PORT\": 8080}", 2, Some("PORT"), not(Kind::Number)),
            ("{\"A\": -1}", 1, Some("A"), not(Kind::Number)),
            ("{\"A\": 1.5}", 1, Some("A"), not(Kind::Number)),
            ("{\"A\": true}", 1, Some("A"), not(Kind::Boolean)),
            ("{\"A\": null}", 1, Some("A"), JsonCode::Null),
            ("{\"A\":\n [\"hunter2\"]}", 2, Some("A"), not(Kind::Array)),
            ("{\"A\": {\"B\": \"c\"}}", 1, Some("A"), not(Kind::Object)),
            ("{\"A\": \"1\",\n\n\"A\": \"2\"}", 3, Some("A"), JsonCode::Duplicate),
            ("{\"A-B\": \"c\"}", 1, None, JsonCode::BadName),
            ("{\n\"\": \"c\"}", 2, None, JsonCode::BadName),
            ("[\"hunter2\"]", 1, None, JsonCode::NotObject),
            ("\"hunter2\"", 1, None, JsonCode::NotObject),
            ("{\"A\": \"hunter2\"", 1, None, JsonCode::Truncated),
            ("", 1, None, JsonCode::Truncated),
            ("{\"A\": hunter2}", 1, None, JsonCode::Syntax),
            ("{\"A\": \"b\"}\nhunter2", 2, None, JsonCode::Syntax),
            ("{\"A\": \"\\ud800\"}", 1, None, JsonCode::Syntax),
            ("{hunter2: 1}", 1, None, JsonCode::Syntax),
        ] {
            let problem = read(text).err();
            let name = name.map(str::to_owned);
            // An error on the top value has no place in serde_json.
            let line = if code == JsonCode::NotObject || text.is_empty() {
                problem.as_ref().and_then(|problem| problem.line)
            } else {
                Some(line)
            };
            assert_eq!(problem, Some(JsonProblem { line, name, code }), "{text}");
            assert!(!code.to_string().contains("hunter2"));
        }
        assert_eq!(
            json(b"{\n\"A\": \"\xff\"}").err(),
            Some(JsonProblem { line: Some(2), name: None, code: JsonCode::NotUtf8 })
        );
    }

    #[test]
    fn messages_say_what_to_do() {
        assert_eq!(
            JsonCode::NotString(Kind::Number).to_string(),
            "a number, but only strings are taken: put it in double quotes"
        );
        assert_eq!(
            JsonCode::NotObject.to_string(),
            "not a JSON object: write {\"NAME\": \"value\", ...}"
        );
    }

    proptest! {
        #[test]
        fn never_panics(text in proptest::collection::vec(any::<u8>(), 0..100)) {
            drop(json(&text));
        }

        #[test]
        fn never_panics_on_pieces(text in "(\\{|\\}|\\[|\"A\"|\"B\"|: |,|1|null|\"|\\\\|.){0,30}") {
            drop(json(text.as_bytes()));
        }
    }
}
