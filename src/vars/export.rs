//! The text forms that variables can be exported in.
//!
//! A new format is a variant of [`Format`] with its place in [`Format::ALL`],
//! its row in [`Format::row`] and its function. (The compiler finds a missing
//! row, and calls a variant that is missing in the list dead code.)

use std::fmt;
use std::str::FromStr;

use zeroize::Zeroizing;

use super::Vars;
use super::dotenv::{self, Unrepresentable, Why};

/// A form of text that variables can be exported in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// The canonical dotenv file.
    Dotenv,
    /// A flat JSON object of strings.
    Json,
}

/// Writes all variables in one format.
type Writer = fn(&Vars) -> Result<Zeroizing<Vec<u8>>, Unrepresentable>;

impl Format {
    /// All of them, in the order for lists.
    pub(crate) const ALL: &[Self] = &[Self::Dotenv, Self::Json];

    /// The word for it on the command line, and its function.
    fn row(self) -> (&'static str, Writer) {
        match self {
            Self::Dotenv => ("dotenv", dotenv),
            Self::Json => ("json", json),
        }
    }

    /// The word for it on the command line.
    pub(crate) fn name(self) -> &'static str {
        self.row().0
    }

    /// The words for all of them.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        Self::ALL.iter().map(|format| format.name())
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(word: &str) -> Result<Self, UnknownFormat> {
        let found = Self::ALL.iter().find(|format| format.name() == word);
        found.copied().ok_or(UnknownFormat)
    }
}

/// A word that names no [`Format`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown export format")]
pub(crate) struct UnknownFormat;

/// A variable that a format cannot hold. Its text never holds the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable}, which the {format} format cannot hold")]
pub(crate) struct ExportError {
    /// The format that was asked for.
    pub(crate) format: Format,
    /// The variable, and what stands in the way.
    pub(crate) variable: Unrepresentable,
}

/// Writes all variables, sorted by name.
pub(crate) fn export(format: Format, vars: &Vars) -> Result<Zeroizing<Vec<u8>>, ExportError> {
    let (_, write) = format.row();
    write(vars).map_err(|variable| ExportError { format, variable })
}

/// The canonical dotenv file.
fn dotenv(vars: &Vars) -> Result<Zeroizing<Vec<u8>>, Unrepresentable> {
    dotenv::write(vars.iter().map(|(name, value)| (name, value.expose(), "")))
}

/// One line with a flat object of strings.
fn json(vars: &Vars) -> Result<Zeroizing<Vec<u8>>, Unrepresentable> {
    // Room for the longest form of all: a buffer that grows leaves copies of
    // values behind.
    let room = vars
        .iter()
        .map(|(name, value)| name.as_str().len() + 6 * value.expose().len() + "\"\": \"\", ".len());
    let mut out = Zeroizing::new(Vec::with_capacity(room.sum::<usize>() + "{}\n".len()));
    out.push(b'{');
    for (place, (name, value)) in vars.iter().enumerate() {
        let value = std::str::from_utf8(value.expose())
            .map_err(|_| Unrepresentable { name: name.clone(), why: Why::NotUtf8 })?;
        if place > 0 {
            out.extend_from_slice(b", ");
        }
        json_string(&mut out, name.as_str());
        out.extend_from_slice(b": ");
        json_string(&mut out, value);
    }
    out.extend_from_slice(b"}\n");
    Ok(out)
}

/// Writes a JSON string with no more escapes than JSON demands.
fn json_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            0x00..=0x1f => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[hex_digit(byte >> 4), hex_digit(byte & 0x0f)]);
            }
            byte => out.push(byte),
        }
    }
    out.push(b'"');
}

/// The hexadecimal digit for a number below 16.
fn hex_digit(number: u8) -> u8 {
    match number {
        0..=9 => b'0' + number,
        _ => b'a' + (number - 10),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::error::Error;

    use proptest::prelude::*;
    use serde_json::Value;

    use crate::secret::Secret;

    use super::*;

    /// What a test gives back, so that it can use `?`.
    type Outcome = Result<(), Box<dyn Error>>;

    /// The values of `export_vectors.json`.
    const VECTORS: &str = include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/dotenv_dialects/export_vectors.json"
    ));

    /// Variables with these values.
    fn vars(pairs: &[(&str, &[u8])]) -> Result<Vars, Box<dyn Error>> {
        let mut vars = Vars::default();
        for (name, value) in pairs {
            vars.insert(name.parse()?, Secret::new(value.to_vec()));
        }
        Ok(vars)
    }

    #[test]
    fn writes_the_observed_text_in_each_format() -> Outcome {
        let data: Value = serde_json::from_str(VECTORS)?;
        let cases = data["vectors"].as_array().ok_or("no vectors")?;
        assert_eq!(cases.len(), 45);
        for case in cases {
            let value = case["value"].as_str().ok_or("no value")?;
            let vars = vars(&[("K", value.as_bytes())])?;
            for format in Format::ALL {
                let text = case["formats"][format.name()].as_str().map(str::as_bytes);
                let got = export(*format, &vars).ok();
                assert_eq!(got.as_ref().map(|got| got.as_slice()), text, "{format} {}", case["id"]);
            }
        }
        Ok(())
    }

    #[test]
    fn sorts_by_name() -> Outcome {
        let vars = vars(&[("B", b"2"), ("_", b""), ("A", b"1 2")])?;
        assert_eq!(export(Format::Dotenv, &vars)?.as_slice(), b"A='1 2'\nB=2\n_=\n");
        assert_eq!(
            export(Format::Json, &vars)?.as_slice(),
            b"{\"A\": \"1 2\", \"B\": \"2\", \"_\": \"\"}\n"
        );
        Ok(())
    }

    #[test]
    fn nothing_is_a_file_too() -> Outcome {
        assert_eq!(export(Format::Dotenv, &Vars::default())?.as_slice(), b"");
        assert_eq!(export(Format::Json, &Vars::default())?.as_slice(), b"{}\n");
        Ok(())
    }

    #[test]
    fn refuses_with_the_name_and_the_format() -> Outcome {
        let binary = vars(&[("A", b"x"), ("KEY", b"hunter2\xff")])?;
        for format in Format::ALL {
            let error = export(*format, &binary).err().ok_or("no error")?;
            let text =
                format!("KEY: the value is not UTF-8, which the {format} format cannot hold");
            assert_eq!(error.to_string(), text);
        }
        let nul = vars(&[("KEY", b"\0")])?;
        assert!(export(Format::Dotenv, &nul).is_err());
        assert_eq!(export(Format::Json, &nul)?.as_slice(), b"{\"KEY\": \"\\u0000\"}\n");
        Ok(())
    }

    #[test]
    fn formats_have_names() {
        for name in Format::names() {
            assert_eq!(name.parse::<Format>().map(Format::name), Ok(name));
        }
        assert_eq!("JSON".parse::<Format>(), Err(UnknownFormat));
    }

    proptest! {
        #[test]
        fn json_reads_back(
            values in proptest::collection::btree_map("[A-Z_]{1,3}", any::<String>(), 0..4),
        ) {
            let pairs: Vec<_> = values.iter().map(|(k, v)| (k.as_str(), v.as_bytes())).collect();
            let vars = vars(&pairs).map_err(|error| TestCaseError::fail(error.to_string()))?;
            let text = export(Format::Json, &vars)
                .map_err(|error| TestCaseError::fail(error.to_string()))?;
            let read: BTreeMap<String, String> = serde_json::from_slice(&text)
                .map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert_eq!(read, values);
        }
    }
}
