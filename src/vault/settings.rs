//! `vault.toml`: the project's settings, which anybody may read (docs/cli.md, vault.toml).
//!
//! Walked by hand, so that a mistake is told with its line and the name that was perhaps meant.

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use crate::error::{Error, Result, shown_path};
use crate::vars::name::{EnvName, VarName, nearest, shown};

/// What `vault.toml` says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    /// The environment that is meant where none is named.
    pub(crate) default: Option<EnvName>,
    /// What an environment must have before a command starts.
    pub(crate) required: BTreeMap<VarName, Requirement>,
    /// Loader variables that may be stored here.
    pub(crate) loader: Vec<VarName>,
}

/// What is required of one variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Requirement {
    /// What its value has to look like.
    pub(crate) kind: ValueKind,
    /// Only in these environments; everywhere where it is None.
    pub(crate) envs: Option<Vec<EnvName>>,
    /// It may be missing: by `optional`, or because the platform gives it.
    pub(crate) optional: bool,
    /// An empty value counts as there.
    pub(crate) allow_empty: bool,
    /// The fewest bytes of the value.
    pub(crate) min: usize,
}

/// What a value has to look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ValueKind {
    /// Anything.
    String,
    /// A decimal integer.
    Int,
    /// `true`, `false`, `1`, `0`, `yes`, `no`, `on` or `off`, in any case.
    Bool,
    /// `scheme:rest` (RFC 3986).
    Url,
    /// A `-----BEGIN` and an `-----END` line.
    Pem,
    /// base64 with padding.
    Base64,
    /// One of these words.
    Enum(Vec<String>),
}

const KINDS: [&str; 7] = ["string", "int", "bool", "url", "pem", "base64", "enum"];

impl Settings {
    /// Reads the text of `vault.toml`, which lies at `path`.
    pub(crate) fn parse(bytes: &[u8], path: &Path) -> Result<Self> {
        let text = std::str::from_utf8(bytes)
            .map_err(|_| Error::integrity(format!("{}: not UTF-8 text", shown_path(path))))?;
        let reader = Reader { text, path };
        let document = DeTable::parse(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            reader.error(start, "this is not TOML")
        })?;
        reader.settings(document.get_ref())
    }
}

struct Reader<'a> {
    text: &'a str,
    path: &'a Path,
}

type Value<'a> = Spanned<DeValue<'a>>;

impl Reader<'_> {
    fn settings(&self, document: &DeTable<'_>) -> Result<Settings> {
        const FIELDS: [&str; 4] = ["default", "required", "allow", "runner"];
        const RUNNER: [&str; 6] = ["timeout", "pty", "can_end", "restart", "stop_signal", "env"];
        let mut settings = Settings::default();
        for (name, value) in document {
            match name.get_ref().as_ref() {
                "default" => settings.default = Some(self.parsed(value, "an environment name")?),
                "required" => {
                    for (name, value) in self.table(value)? {
                        let variable = self.name(name)?;
                        settings.required.insert(variable, self.requirement(value)?);
                    }
                }
                "allow" => {
                    for (name, value) in self.table(value)? {
                        self.known(name, &["loader"])?;
                        settings.loader = self.list(value, "a list of variable names")?;
                    }
                }
                // Read by `start`; a misspelled name is told already.
                "runner" => {
                    for (name, _) in self.table(value)? {
                        self.known(name, &RUNNER)?;
                    }
                }
                _ => self.known(name, &FIELDS)?,
            }
        }
        Ok(settings)
    }

    fn requirement(&self, value: &Value<'_>) -> Result<Requirement> {
        const FIELDS: [&str; 7] = ["kind", "envs", "optional", "of", "min", "allow_empty", "from"];
        let mut found = Requirement {
            kind: ValueKind::String,
            envs: None,
            optional: false,
            allow_empty: false,
            min: 0,
        };
        if value.get_ref().is_str() {
            found.kind = self.kind(value, None)?;
            return Ok(found);
        }
        let table = self.table(value)?;
        for (name, value) in table {
            match name.get_ref().as_ref() {
                "kind" => found.kind = self.kind(value, table.get("of"))?,
                "envs" => found.envs = Some(self.list(value, "a list of environment names")?),
                "optional" => found.optional |= self.flag(value)?,
                "allow_empty" => found.allow_empty = self.flag(value)?,
                "min" => {
                    let number = value.get_ref().as_integer();
                    let number = number.and_then(|number| {
                        usize::from_str_radix(number.as_str(), number.radix()).ok()
                    });
                    found.min = number.ok_or_else(|| {
                        self.error(value.span().start, "`min` is not a number of bytes")
                    })?;
                }
                "from" if value.get_ref().as_str() == Some("platform") => found.optional = true,
                "from" => {
                    return Err(self.error(value.span().start, "`from` can only be \"platform\""));
                }
                "of" if table.contains_key("kind") => {}
                _ => self.known(name, &FIELDS)?,
            }
        }
        if !table.contains_key("kind") {
            return Err(self.error(value.span().start, "the field `kind` is missing"));
        }
        Ok(found)
    }

    fn kind(&self, value: &Value<'_>, of: Option<&Value<'_>>) -> Result<ValueKind> {
        let word = self.text(value, "a kind")?;
        Ok(match word {
            "string" => ValueKind::String,
            "int" => ValueKind::Int,
            "bool" => ValueKind::Bool,
            "url" => ValueKind::Url,
            "pem" => ValueKind::Pem,
            "base64" => ValueKind::Base64,
            "enum" => {
                let of = of.ok_or_else(|| {
                    self.error(value.span().start, "an enum needs its words: `of = [\"a\", \"b\"]`")
                })?;
                ValueKind::Enum(self.list(of, "a list of words")?)
            }
            _ => {
                let error =
                    self.error(value.span().start, &format!("there is no kind `{}`", shown(word)));
                return Err(suggest(error, word, &KINDS));
            }
        })
    }

    fn list<T: FromStr>(&self, value: &Value<'_>, what: &str) -> Result<Vec<T>> {
        let wrong = || self.error(value.span().start, &format!("this is not {what}"));
        let items = value.get_ref().as_array().ok_or_else(wrong)?;
        items.iter().map(|item| self.parsed(item, what)).collect()
    }

    fn parsed<T: FromStr>(&self, value: &Value<'_>, what: &str) -> Result<T> {
        let wrong = || self.error(value.span().start, &format!("this is not {what}"));
        self.text(value, what)?.parse().map_err(|_| wrong())
    }

    fn text<'v>(&self, value: &'v Value<'_>, what: &str) -> Result<&'v str> {
        let wrong = || self.error(value.span().start, &format!("this is not {what}"));
        value.get_ref().as_str().ok_or_else(wrong)
    }

    fn flag(&self, value: &Value<'_>) -> Result<bool> {
        value
            .get_ref()
            .as_bool()
            .ok_or_else(|| self.error(value.span().start, "this is neither true nor false"))
    }

    fn table<'v, 'd>(&self, value: &'v Value<'d>) -> Result<&'v DeTable<'d>> {
        value
            .get_ref()
            .as_table()
            .ok_or_else(|| self.error(value.span().start, "this is not a table"))
    }

    fn name(&self, name: &Spanned<DeString<'_>>) -> Result<VarName> {
        let wrong =
            |rule| self.error(name.span().start, &format!("`{}`: {rule}", shown(name.get_ref())));
        name.get_ref().parse().map_err(wrong)
    }

    /// Refuses a field that isn't one of `fields`.
    fn known(&self, name: &Spanned<DeString<'_>>, fields: &[&str]) -> Result<()> {
        let text: &str = name.get_ref();
        if fields.contains(&text) {
            return Ok(());
        }
        let error = self.error(name.span().start, &format!("unknown field `{}`", shown(text)));
        Err(suggest(error, text, fields))
    }

    fn error(&self, offset: usize, message: &str) -> Error {
        let before = self.text.get(..offset).unwrap_or_default();
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        Error::integrity(format!("{}:{line}: {message}", shown_path(self.path)))
    }
}

fn suggest(error: Error, wrong: &str, known: &[&str]) -> Error {
    match nearest(wrong, known.iter().copied()) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint(format!("possible here: {}", known.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Settings> {
        Settings::parse(text.as_bytes(), Path::new("vault.toml"))
    }

    fn refusal(text: &str) -> String {
        let error = parse(text).unwrap_err();
        format!("{error} | {}", error.hint_text().unwrap_or_default())
    }

    #[test]
    fn every_field_of_the_documented_example_is_read() {
        let settings = parse(
            r#"
default = "development"
[required]
SECRET_KEY = "string"
DATABASE_URL = { kind = "url", envs = ["staging", "production"] }
SENTRY_DSN = { kind = "url", optional = true }
REGION = { kind = "enum", of = ["eu", "us"] }
TOKEN = { kind = "string", min = 32, allow_empty = false }
PORT = { kind = "int", from = "platform" }
[allow]
loader = ["NODE_OPTIONS"]
[runner]
timeout = "5s"
pty = ["web"]
[runner.env]
worker = ["DATABASE_URL"]
"#,
        )
        .unwrap();
        assert_eq!(settings.default.unwrap().as_str(), "development");
        assert_eq!(settings.loader.len(), 1);
        let of = |name: &str| &settings.required[name];
        assert_eq!(of("REGION").kind, ValueKind::Enum(vec!["eu".into(), "us".into()]));
        assert_eq!(of("DATABASE_URL").envs.as_ref().unwrap().len(), 2);
        assert!(of("PORT").optional && of("SENTRY_DSN").optional && !of("SECRET_KEY").optional);
        assert_eq!(of("TOKEN").min, 32);
    }

    #[test]
    fn a_mistake_is_told_with_its_line_and_what_was_meant() {
        assert_eq!(
            refusal("\ndefalt = \"a\"\n"),
            "vault.toml:2: unknown field `defalt` | did you mean `default`?"
        );
        assert_eq!(
            refusal("[required]\nA = \"strin\"\n"),
            "vault.toml:2: there is no kind `strin` | did you mean `string`?"
        );
        assert_eq!(
            refusal("[runner]\npyt = []"),
            "vault.toml:2: unknown field `pyt` | did you mean `pty`?"
        );
        assert!(refusal("[required]\nA = { min = 1 }").contains("`kind` is missing"));
        assert!(refusal("[required]\nA-B = \"int\"").contains("vault.toml:2: `A-B`"));
        assert!(refusal("default = \"Prod\"").contains("not an environment name"));
        assert!(refusal("a = ").contains("not TOML"));
        assert!(refusal("[required]\nA = { kind = \"enum\" }").contains("`of ="));
    }
}
