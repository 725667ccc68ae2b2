//! One flat JSON object of strings.
//!
//! `serde_json` keeps a string with escapes in a buffer of its own; the allocator wipes it.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::{Code, Kind, Pairs, Problem, as_text, line_at};
use crate::secret::Secret;
use crate::vars::name::VarName;

/// Reads a whole file, in its order, or gives everything that is wrong in it, up to the first place that is no
/// JSON. The caller limits the size.
pub(crate) fn json(text: &[u8]) -> Result<Vec<(VarName, Secret)>, Vec<Problem>> {
    let text = as_text(text)?;
    let mut pairs = Pairs::default();
    let mut reader = serde_json::Deserializer::from_str(text);
    let read = reader.deserialize_any(Flat { text, pairs: &mut pairs });
    if let Err(error) = read.and_then(|()| reader.end()) {
        // Its own text can quote the file.
        let code = match error.classify() {
            Category::Eof => Code::Truncated,
            Category::Data => Code::NotObject,
            Category::Io | Category::Syntax => Code::NotJson,
        };
        pairs.refuse(Some(error.line()).filter(|line| *line > 0), None, code);
    }
    pairs.finish()
}

/// Takes the object.
struct Flat<'a> {
    /// The whole text, in which values have their places.
    text: &'a str,
    /// What was found.
    pairs: &'a mut Pairs,
}

impl<'de> Visitor<'de> for Flat<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (mut line, mut place) = (1, 0);
        while let Some((name, value)) = map.next_entry::<Cow<'_, str>, &RawValue>()? {
            let value = value.get();
            // A raw value is a part of the text, so the difference is its place there.
            let start = value.as_ptr().addr().saturating_sub(self.text.as_ptr().addr());
            let between = self.text.as_bytes().get(place..start).unwrap_or_default();
            line += line_at(between, between.len()) - 1;
            place = start;
            self.pairs.take(line, &name, string(value));
        }
        Ok(())
    }
}

/// The string that a JSON value is.
fn string(value: &str) -> Result<Secret, Code> {
    Err(match value.bytes().next() {
        Some(b'"') => {
            return match serde_json::from_str::<String>(value) {
                Ok(text) => Ok(Secret::from(text)),
                // Half of a surrogate pair, which only the reader of the string itself sees.
                Err(_) => Err(Code::NotJson),
            };
        }
        Some(b't' | b'f') => Code::NotString(Kind::Boolean),
        Some(b'n') => Code::Null,
        Some(b'[') => Code::NotString(Kind::Array),
        Some(b'{') => Code::NotString(Kind::Object),
        _ => Code::NotString(Kind::Number),
    })
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::vars::name::NameError;

    /// What a test gives back, so that it can use `?`.
    type Outcome = Result<(), Box<dyn Error>>;

    /// The variables of a good file.
    fn read(text: &str) -> Result<Vec<(String, Vec<u8>)>, Problem> {
        let vars = json(text.as_bytes()).map_err(|mut problems| problems.remove(0))?;
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
        let not = Code::NotString;
        for (text, line, name, code) in [
            ("{\"A\": \"b\",\n\"PORT\": 8080}", 2, Some("PORT"), not(Kind::Number)),
            ("{\"A\": -1}", 1, Some("A"), not(Kind::Number)),
            ("{\"A\": 1.5}", 1, Some("A"), not(Kind::Number)),
            ("{\"A\": true}", 1, Some("A"), not(Kind::Boolean)),
            ("{\"A\": null}", 1, Some("A"), Code::Null),
            ("{\"A\":\n [\"hunter2\"]}", 2, Some("A"), not(Kind::Array)),
            ("{\"A\": {\"B\": \"c\"}}", 1, Some("A"), not(Kind::Object)),
            ("{\"A\": \"1\",\n\n\"A\": \"2\"}", 3, Some("A"), Code::Duplicate),
            ("{\"A-B\": \"c\"}", 1, None, Code::BadName(NameError::Variable)),
            ("{\n\"\": \"c\"}", 2, None, Code::BadName(NameError::Variable)),
            ("[\"hunter2\"]", 1, None, Code::NotObject),
            ("\"hunter2\"", 1, None, Code::NotObject),
            ("{\"A\": \"hunter2\"", 1, None, Code::Truncated),
            ("", 1, None, Code::Truncated),
            ("{\"A\": hunter2}", 1, None, Code::NotJson),
            ("{\"A\": \"b\"}\nhunter2", 2, None, Code::NotJson),
            ("{\"A\": \"\\ud800\"}", 1, Some("A"), Code::NotJson),
            ("{hunter2: 1}", 1, None, Code::NotJson),
        ] {
            let problem = read(text).err();
            let name = name.map(str::to_owned);
            // An error on the top value has no place in serde_json.
            let line = if code == Code::NotObject || text.is_empty() {
                problem.as_ref().and_then(|problem| problem.line)
            } else {
                Some(line)
            };
            assert_eq!(problem, Some(Problem { line, name, code }), "{text}");
            assert!(!code.to_string().contains("hunter2"));
        }
        assert_eq!(
            json(b"{\n\"A\": \"\xff\"}"),
            Err(vec![Problem { line: Some(2), name: None, code: Code::NotUtf8 }])
        );
    }

    #[test]
    fn everything_that_is_wrong_is_told_with_its_line() {
        let text =
            "{\"A\": 1,\n\"B\": \"x\",\n\n\"C\": [\n{}],\n\"D\":\nnull, \"A\": \"\", \"E\": tru";
        let told: Vec<_> = json(text.as_bytes())
            .unwrap_err()
            .into_iter()
            .map(|one| (one.line, one.name.unwrap_or_default(), one.code))
            .collect();
        let want = [
            (Some(1), "A", Code::NotString(Kind::Number)),
            (Some(4), "C", Code::NotString(Kind::Array)),
            (Some(7), "D", Code::Null),
            (Some(7), "A", Code::Duplicate),
            (Some(7), "", Code::Truncated),
        ];
        assert_eq!(told, want.map(|(line, name, code)| (line, name.to_owned(), code)));
    }

    #[test]
    fn messages_say_what_to_do() {
        assert_eq!(
            Code::NotString(Kind::Number).to_string(),
            "a number, but only strings are taken: put it in double quotes"
        );
        assert_eq!(
            Code::NotObject.to_string(),
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
