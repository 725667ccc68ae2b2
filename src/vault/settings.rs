//! `vault.toml`: the project's settings, which anybody may read (docs/cli.md, vault.toml).
//!
//! Walked by hand, so that a mistake is told with its line and the name that was perhaps meant.

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use crate::error::{Error, Result, shown_path};
use crate::vars::dotenv::example;
use crate::vars::name::{EnvName, VarName, nearest, shown};
use crate::vars::scan::allow::Allowed;

/// What `vault.toml` says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    /// The environment that is meant where none is named.
    pub(crate) default: Option<EnvName>,
    /// What an environment must have before a command starts.
    pub(crate) required: BTreeMap<VarName, Requirement>,
    /// There is a table `[required]`, be it an empty one.
    pub(crate) has_required: bool,
    /// Loader variables that may be stored here.
    pub(crate) loader: Vec<VarName>,
    /// How `start` treats processes.
    pub(crate) runner: Runner,
    /// What `scan` leaves alone.
    pub(crate) scan: Vec<Allowed>,
}

/// How `start` treats processes, by the names of their types.
#[derive(Debug, Clone, Default)]
pub(crate) struct Runner {
    /// From being asked to end to being killed.
    pub(crate) timeout: Option<Duration>,
    /// They get a terminal of their own.
    pub(crate) pty: Vec<String>,
    /// Their end with status 0 does not end the others.
    pub(crate) can_end: Vec<String>,
    /// They are started again when they end.
    pub(crate) restart: Vec<String>,
    /// The name of the signal that asks them to end, one of [`STOP_SIGNALS`].
    pub(crate) stop_signal: BTreeMap<String, &'static str>,
    /// Which variables a type gets; one that isn't there gets all.
    pub(crate) env: BTreeMap<String, Vec<VarName>>,
}

impl Runner {
    /// Every process type that is named.
    pub(crate) fn types(&self) -> impl Iterator<Item = &str> {
        let lists = [&self.pty, &self.can_end, &self.restart].into_iter().flatten();
        lists.chain(self.stop_signal.keys()).chain(self.env.keys()).map(String::as_str)
    }
}

/// What may ask a process to end.
const STOP_SIGNALS: [&str; 7] =
    ["SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGKILL"];

/// A time as `5s`, `500ms` or `2m`; a number alone is seconds. At most a day.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    const MOST: Duration = Duration::from_secs(24 * 60 * 60);
    let text = text.trim();
    let unit = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit);
    let number: u64 = number.parse().ok()?;
    let time = match unit {
        "ms" => Duration::from_millis(number),
        "" | "s" => Duration::from_secs(number),
        "m" => Duration::from_secs(number.checked_mul(60)?),
        _ => return None,
    };
    (time <= MOST).then_some(time)
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
    /// The platform gives it, so nobody stores it.
    pub(crate) platform: bool,
    /// An empty value counts as there.
    pub(crate) allow_empty: bool,
    /// The fewest bytes of the value.
    pub(crate) min: usize,
}

impl Requirement {
    /// That it is there.
    const OF_AN_EXAMPLE: Self = Self {
        kind: ValueKind::String,
        envs: None,
        optional: false,
        platform: false,
        allow_empty: true,
        min: 0,
    };
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
    /// Requires the names of an `.env.example`, with any value, where there is no `[required]`. `PORT` is a
    /// thing of the platform.
    pub(crate) fn require_example(&mut self, text: &[u8]) {
        let names = example::names(text).into_iter();
        let names = names.filter(|name| !name.is_ours() && name.as_str() != "PORT");
        self.required.extend(names.map(|name| (name, Requirement::OF_AN_EXAMPLE)));
    }

    /// Why a name is required, to be read in a hint.
    pub(crate) fn who_requires(&self) -> &'static str {
        if self.has_required {
            "`[required]` in vault.toml asks for it"
        } else {
            "`.env.example` lists it, and vault.toml has no `[required]`"
        }
    }

    /// Reads the text of `vault.toml`, which lies at `path`.
    pub(crate) fn parse(bytes: &[u8], path: &Path) -> Result<Self> {
        let text = std::str::from_utf8(bytes)
            .map_err(|_| Error::integrity(format!("{}: not UTF-8 text", shown_path(path))))?;
        let reader = Reader { text, path };
        let document = DeTable::parse(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            // It tells what is expected, and quotes nothing of the text.
            let why = error.message().lines().next().unwrap_or_default();
            reader.error(start, &format!("this is not TOML: {}", shown(why)))
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
        const FIELDS: [&str; 5] = ["default", "required", "allow", "runner", "scan"];
        let mut settings = Settings::default();
        for (name, value) in document {
            match name.get_ref().as_ref() {
                "default" => settings.default = Some(self.parsed(value, "an environment name")?),
                "required" => {
                    settings.has_required = true;
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
                "runner" => settings.runner = self.runner(value)?,
                "scan" => {
                    for (name, value) in self.table(value)? {
                        self.known(name, &["allow"])?;
                        let what = "a list of paths below the folder, fingerprints and `ENV:NAME`";
                        settings.scan = self.list(value, what)?;
                    }
                }
                _ => self.known(name, &FIELDS)?,
            }
        }
        Ok(settings)
    }

    fn runner(&self, value: &Value<'_>) -> Result<Runner> {
        const FIELDS: [&str; 6] = ["timeout", "pty", "can_end", "restart", "stop_signal", "env"];
        const TYPES: &str = "a list of process types";
        let mut runner = Runner::default();
        for (name, value) in self.table(value)? {
            match name.get_ref().as_ref() {
                "timeout" => {
                    let time = value.get_ref().as_str().and_then(duration).ok_or_else(|| {
                        self.error(value.span().start, "`timeout` is not a time as in \"5s\"")
                    })?;
                    runner.timeout = Some(time);
                }
                "pty" => runner.pty = self.list(value, TYPES)?,
                "can_end" => runner.can_end = self.list(value, TYPES)?,
                "restart" => runner.restart = self.list(value, TYPES)?,
                "stop_signal" => {
                    for (name, value) in self.table(value)? {
                        let signal = self.signal(value)?;
                        runner.stop_signal.insert(name.get_ref().to_string(), signal);
                    }
                }
                "env" => {
                    for (name, value) in self.table(value)? {
                        let names = self.list(value, "a list of variable names")?;
                        runner.env.insert(name.get_ref().to_string(), names);
                    }
                }
                _ => self.known(name, &FIELDS)?,
            }
        }
        Ok(runner)
    }

    fn signal(&self, value: &Value<'_>) -> Result<&'static str> {
        let word = self.text(value, "the name of a signal")?;
        STOP_SIGNALS
            .into_iter()
            .find(|name| *name == word || name.strip_prefix("SIG") == Some(word))
            .ok_or_else(|| {
                let message = format!("`{}` is no signal that ends a process", shown(word));
                suggest(self.error(value.span().start, &message), word, &STOP_SIGNALS)
            })
    }

    fn requirement(&self, value: &Value<'_>) -> Result<Requirement> {
        const FIELDS: [&str; 7] = ["kind", "envs", "optional", "of", "min", "allow_empty", "from"];
        let mut found = Requirement {
            kind: ValueKind::String,
            envs: None,
            optional: false,
            platform: false,
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
                "from" if value.get_ref().as_str() == Some("platform") => {
                    (found.optional, found.platform) = (true, true);
                }
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
can_end = ["migrate"]
restart = ["worker"]
stop_signal = { web = "SIGINT", worker = "QUIT" }
[runner.env]
worker = ["DATABASE_URL"]
[scan]
allow = ["tests/data", "0123456789abcdef", "staging:SITE_URL"]
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
        assert_eq!(settings.scan.len(), 3);
        let runner = settings.runner;
        assert_eq!(runner.timeout, Some(Duration::from_secs(5)));
        assert_eq!((runner.pty, runner.can_end), (vec!["web".into()], vec!["migrate".into()]));
        assert_eq!(
            (runner.stop_signal["web"], runner.stop_signal["worker"]),
            ("SIGINT", "SIGQUIT")
        );
        assert_eq!(runner.env["worker"][0].as_str(), "DATABASE_URL");
    }

    #[test]
    fn a_time_has_a_unit_and_an_end() {
        let told = ["5s", "5", "500ms", "2m", "0s"].map(|text| duration(text).unwrap().as_millis());
        assert_eq!(told, [5000, 5000, 500, 120_000, 0]);
        for text in ["", "s", "-1s", "5 s", "1.5s", "5h", "99999999999999999999", "1441m"] {
            assert_eq!(duration(text), None, "{text}");
        }
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
        assert_eq!(
            refusal("[runner]\nstop_signal = { web = \"SIGTREM\" }"),
            "vault.toml:2: `SIGTREM` is no signal that ends a process | did you mean `SIGTERM`?"
        );
        assert!(refusal("[runner]\ntimeout = 5").contains("vault.toml:2: `timeout`"));
        assert!(refusal("[required]\nA = { min = 1 }").contains("`kind` is missing"));
        assert!(refusal("[required]\nA-B = \"int\"").contains("vault.toml:2: `A-B`"));
        assert!(refusal("default = \"Prod\"").contains("not an environment name"));
        assert!(
            refusal("[scan]\nallow = [\"a\", \"../b\"]")
                .contains("vault.toml:2: this is not a list")
        );
        assert!(refusal("a = ").contains("not TOML"));
        assert!(refusal("[required]\nA = { kind = \"enum\" }").contains("`of ="));
    }
}
