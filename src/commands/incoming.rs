//! What a file to import holds, whatever its form: in plaintext, or encrypted by another tool.

use std::ffi::{OsStr, OsString};
use std::io::Read as _;
use std::path::Path;

use zeroize::Zeroizing;

use super::Context;
use crate::crypto::dotenvx::DotenvxKey;
use crate::error::{Error, Kind, Result, reason, shown_path};
use crate::platform;
use crate::process::capture_without_key;
use crate::secret::Secret;
use crate::vars::dotenv::{self, Unreadable, docker, dotenvx, honcho};
use crate::vars::import;
use crate::vars::name::{VarName, shown};

/// The largest file, in bytes.
const LIMIT: u64 = 8 << 20;
/// So many things that are wrong are told; more than that, and the file is of another kind.
const TOLD: usize = 20;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// NAME=value lines, read strictly: what programs read differently is an error
    Dotenv,
    /// One flat object of strings
    Json,
    /// One flat mapping of strings; what readers take for something else is an error
    Yaml,
    /// NAME=value with a NUL behind each, as `env -0` prints
    Null,
    /// A dotenv, JSON or YAML file encrypted by sops, which decrypts it
    Sops,
    /// A dotenv file encrypted by dotenvx, opened by its private key
    Dotenvx,
}

/// By whose rules a dotenv file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Dialect {
    /// Vault's: what programs read in different ways is an error with its line
    Strict,
    /// Honcho's: exactly what an app under Honcho gets; what Honcho leaves out or changes is told
    Honcho,
    /// Docker's `--env-file`: nothing is quoted
    Docker,
}

/// One variable of the file.
pub(super) struct Item {
    pub(super) name: VarName,
    pub(super) value: Secret,
    pub(super) note: Option<String>,
}

/// A file, and what it is.
pub(super) struct Source<'a> {
    pub(super) path: &'a Path,
    format: Format,
    dialect: Dialect,
}

impl<'a> Source<'a> {
    /// A format that was not named goes by the file's name.
    pub(super) fn new(
        path: &'a Path,
        format: Option<Format>,
        dialect: Option<Dialect>,
    ) -> Result<Self> {
        let extension = path.extension().map(OsStr::to_ascii_lowercase);
        let by_name = match extension.as_deref().and_then(|extension| extension.to_str()) {
            // Who names a dialect means a dotenv file, whatever its name is.
            _ if dialect.is_some() => Format::Dotenv,
            Some("json") => Format::Json,
            Some("yaml" | "yml") => Format::Yaml,
            _ => Format::Dotenv,
        };
        let format = format.unwrap_or(by_name);
        if dialect.is_some() && format != Format::Dotenv {
            return Err(Error::usage("`--dialect` is for dotenv files"));
        }
        Ok(Self { path, format, dialect: dialect.unwrap_or(Dialect::Strict) })
    }

    /// The file as it is called in messages.
    pub(super) fn told(&self) -> String {
        if self.is_standard_input() { "stdin".to_owned() } else { shown_path(self.path) }
    }

    pub(super) fn is_standard_input(&self) -> bool {
        self.path == Path::new("-")
    }

    /// Whether the file itself is encrypted.
    pub(super) fn is_encrypted(&self) -> bool {
        matches!(self.format, Format::Sops | Format::Dotenvx)
    }

    /// Reads all of it. Everything that is wrong is told at once.
    pub(super) fn read(&self, context: &Context) -> Result<Vec<Item>> {
        let bytes = self.bytes()?;
        self.check_encryption(&bytes)?;
        match (self.format, self.dialect) {
            (Format::Dotenv, Dialect::Strict) => self.strict(&bytes),
            (Format::Dotenv, Dialect::Honcho) => self.honcho(self.text(&bytes)?, context),
            (Format::Dotenv, Dialect::Docker) => self.docker(self.text(&bytes)?),
            (Format::Json, _) => self.json(&bytes, context),
            (Format::Yaml, _) => self.flat(import::yaml(&bytes)),
            (Format::Null, _) => self.null(&bytes),
            (Format::Sops, _) => self.sops(self.text(&bytes)?, context),
            (Format::Dotenvx, _) => self.dotenvx(&bytes, context),
        }
    }

    fn bytes(&self) -> Result<Zeroizing<Vec<u8>>> {
        let told = self.told();
        let failed = |error: &std::io::Error| {
            Error::failed(format!("cannot read `{told}`: {}", reason(error)))
        };
        let mut bytes = Zeroizing::new(Vec::new());
        if self.is_standard_input() {
            platform::standard_input()
                .take(LIMIT + 1)
                .read_to_end(&mut bytes)
                .map_err(|error| failed(&error))?;
        } else {
            let file = std::fs::File::open(self.path).map_err(|error| match error.kind() {
                std::io::ErrorKind::NotFound => {
                    Error::not_found(format!("the file `{told}` does not exist"))
                }
                _ => failed(&error),
            })?;
            file.take(LIMIT + 1).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
        }
        if u64::try_from(bytes.len()).is_ok_and(|size| size > LIMIT) {
            return Err(Error::integrity(format!("{told}: the file is over 8 MiB")));
        }
        Ok(bytes)
    }

    fn text<'t>(&self, bytes: &'t [u8]) -> Result<&'t str> {
        std::str::from_utf8(bytes)
            .map_err(|_| Error::integrity(format!("{}: not UTF-8 text", self.told())))
    }

    /// Refuses to take ciphertext for values.
    fn check_encryption(&self, bytes: &[u8]) -> Result<()> {
        if self.is_encrypted() || self.format == Format::Null {
            return Ok(());
        }
        let Ok(text) = std::str::from_utf8(bytes) else { return Ok(()) };
        let is_sealed = |line: &str| {
            let value = line.split_once('=').map(|(_, value)| value.trim_start());
            value.is_some_and(|value| {
                dotenvx::is_sealed(value.trim_start_matches(['"', '\'', '`']).as_bytes())
            })
        };
        let (by, format) = if sops_form(text).is_some() {
            ("sops", "sops")
        } else if self.format == Format::Dotenv && text.lines().any(is_sealed) {
            ("dotenvx", "dotenvx")
        } else {
            return Ok(());
        };
        Err(Error::integrity(format!("{}: this file is encrypted by {by}", self.told()))
            .hint(format!("add `--format {format}`")))
    }

    fn wrong(&self, mut messages: Vec<String>) -> Error {
        let more = messages.len().saturating_sub(TOLD);
        messages.truncate(TOLD);
        if more > 0 {
            messages.push(format!("{}: and {more} more", self.told()));
        }
        Error::several(Kind::Integrity, messages)
            .hint("mend the file and import it again; nothing was stored")
    }

    fn strict(&self, bytes: &[u8]) -> Result<Vec<Item>> {
        let item = |entry: dotenv::Entry| {
            let note = (!entry.note.is_empty()).then_some(entry.note);
            Item { name: entry.name, value: entry.value, note }
        };
        Ok(self.entries(bytes)?.into_iter().map(item).collect())
    }

    fn entries(&self, bytes: &[u8]) -> Result<Vec<dotenv::Entry>> {
        let told = self.told();
        dotenv::parse(bytes).map_err(|problems| {
            let line = |problem: &dotenv::Problem| {
                let name =
                    problem.name.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
                format!("{told}:{}: {name}{}", problem.line, problem.code.message())
            };
            self.wrong(problems.iter().map(line).collect())
        })
    }

    fn honcho(&self, text: &str, context: &Context) -> Result<Vec<Item>> {
        let told = self.told();
        let read = honcho::read(text)
            .map_err(|one| self.wrong(vec![format!("{told}:{}: {}", one.line, one.why)]))?;
        for notice in &read.notices {
            context.ui.warn(&format!("{told}:{}: {}", notice.line, notice.why));
        }
        let (mut items, mut refused) = (Vec::new(), Vec::new());
        for (name, value) in read.pairs {
            match name.parse() {
                Ok(name) => items.push(Item { name, value, note: None }),
                Err(rule) => refused.push(format!("{told}: `{}`: {rule}", shown(&name))),
            }
        }
        if refused.is_empty() { Ok(items) } else { Err(self.wrong(refused)) }
    }

    fn docker(&self, text: &str) -> Result<Vec<Item>> {
        let told = self.told();
        let pairs = docker::read(text).map_err(|refused| {
            let line = |one: &Unreadable| format!("{told}:{}: {}", one.line, one.why);
            self.wrong(refused.iter().map(line).collect())
        })?;
        Ok(without_notes(pairs))
    }

    fn null(&self, bytes: &[u8]) -> Result<Vec<Item>> {
        let pairs = import::null(bytes).map_err(|parts| {
            let part = |number: &usize| format!("{}: part {number} is not NAME=value", self.told());
            self.wrong(parts.iter().map(part).collect())
        })?;
        Ok(without_notes(pairs))
    }

    /// What `dotenvx get` prints has the keys of its files among the values.
    fn json(&self, bytes: &[u8], context: &Context) -> Result<Vec<Item>> {
        let all = self.flat(import::json(bytes))?;
        let (keys, items): (Vec<Item>, _) =
            all.into_iter().partition(|item| is_public_key(&item.name));
        for Item { name, .. } in keys {
            let told = self.told();
            context.ui.say(&format!("{told}: {name} is left out: only dotenvx has a use for it"));
        }
        Ok(items)
    }

    fn flat(
        &self,
        read: Result<Vec<(VarName, Secret)>, Vec<import::Problem>>,
    ) -> Result<Vec<Item>> {
        let told = self.told();
        read.map(without_notes).map_err(|problems| {
            let line = |one: &import::Problem| {
                let line = one.line.map(|line| format!(":{line}")).unwrap_or_default();
                let name = one.name.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
                format!("{told}{line}: {name}{}", one.code)
            };
            self.wrong(problems.iter().map(line).collect())
        })
    }

    /// Lets the `sops` that the user has decrypt it: it knows where its keys are.
    fn sops(&self, text: &str, context: &Context) -> Result<Vec<Item>> {
        const BY_HAND: &str = "`sops decrypt --output-type json FILE | vault import --format json -` is the same by hand";
        let told = self.told();
        if self.is_standard_input() {
            return Err(Error::usage("sops needs a file, not the standard input").hint(BY_HAND));
        }
        let form = sops_form(text).ok_or_else(|| {
            Error::integrity(format!("{told}: not encrypted by sops, or of another form"))
                .hint("dotenv, JSON and YAML files of sops can be imported")
        })?;
        // A name that begins with `-` is no flag.
        let path = Path::new(".").join(self.path);
        let words = ["--decrypt", "--input-type", form, "--output-type", "json"];
        let mut words: Vec<OsString> = words.map(OsString::from).into();
        words.push(path.into_os_string());
        let plain = capture_without_key("sops", &words, &context.surroundings())
            .map_err(|error| error.hint(BY_HAND))?;
        // The lines are those of what sops printed, which nobody sees.
        self.flat(import::json(plain.expose()).map_err(|problems| {
            problems.into_iter().map(|one| import::Problem { line: None, ..one }).collect()
        }))
        .map_err(|error| error.hint(format!("`sops edit {told}` mends it; nothing was stored")))
    }

    fn dotenvx(&self, bytes: &[u8], context: &Context) -> Result<Vec<Item>> {
        let told = self.told();
        let by_dotenvx = format!(
            "`dotenvx get -f {} | vault import --format json -` takes what an app gets from dotenvx",
            shell_words::quote(&told)
        );
        let entries = self.entries(bytes).map_err(|error| error.hint(&by_dotenvx))?;
        let is_key = |entry: &dotenv::Entry| is_public_key(&entry.name);
        let public: Vec<&str> = entries
            .iter()
            .filter(|one| is_key(one))
            .filter_map(|one| one.value.expose_str())
            .collect();
        let mut keys = self.dotenvx_keys(context)?;
        if !public.is_empty() {
            keys.retain(|key| public.contains(&key.public().as_str()));
        }
        if keys.is_empty() && entries.iter().any(|one| dotenvx::is_sealed(one.value.expose())) {
            let named = entries.iter().find(|one| is_key(one)).map_or_else(
                || dotenvx::PRIVATE_KEY.to_owned(),
                |one| one.name.as_str().replacen(dotenvx::PUBLIC_KEY, dotenvx::PRIVATE_KEY, 1),
            );
            return Err(Error::no_access(format!(
                "{told}: there is no private key of dotenvx for it"
            ))
            .hint(format!("set `{named}`, or put `{}` beside the file", dotenvx::KEYS_FILE)));
        }
        let own_name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let (mut items, mut refused) = (Vec::new(), Vec::new());
        for entry in entries.into_iter().filter(|entry| !is_key(entry)) {
            let value = if dotenvx::is_sealed(entry.value.expose()) {
                let sealed = dotenvx::sealed(entry.value.expose());
                sealed.and_then(|sealed| keys.iter().find_map(|key| key.open(&sealed)))
            } else {
                Some(entry.value.clone())
            };
            let why = match &value {
                Some(value) => dotenvx::otherwise(&entry, value.expose()),
                None => Some("can't be decrypted: damaged, or encrypted for another key"),
            };
            if let Some(why) = why {
                refused.push(format!("{told}:{}: {}: {why}", entry.line, entry.name));
            }
            // dotenvx heads a file with its name, which says nothing of the variable below.
            let note = (!entry.note.is_empty() && entry.note != own_name).then_some(entry.note);
            items.extend(value.map(|value| Item { name: entry.name, value, note }));
        }
        if refused.is_empty() { Ok(items) } else { Err(self.wrong(refused).hint(by_dotenvx)) }
    }

    /// The private keys of dotenvx: those of the environment, then those beside the file.
    fn dotenvx_keys(&self, context: &Context) -> Result<Vec<DotenvxKey>> {
        let mut texts: Vec<Secret> = Vec::new();
        for (name, value) in &context.outside.environment {
            if name.to_str().is_some_and(|name| name.starts_with(dotenvx::PRIVATE_KEY)) {
                texts.push(Secret::new(value.as_encoded_bytes().to_vec()));
            }
        }
        let path = self.path.with_file_name(dotenvx::KEYS_FILE);
        if !self.is_standard_input() && path.is_file() {
            let file = Source { path: &path, format: Format::Dotenv, dialect: Dialect::Strict };
            for entry in file.entries(&file.bytes()?)? {
                if entry.name.as_str().starts_with(dotenvx::PRIVATE_KEY) {
                    texts.push(entry.value);
                }
            }
        }
        // Several keys may stand in one variable.
        let keys = texts.iter().filter_map(Secret::expose_str).flat_map(|text| text.split(','));
        Ok(keys.filter_map(|text| DotenvxKey::parse(text.trim())).collect())
    }
}

/// Whether dotenvx keeps the public key of a file under this name.
fn is_public_key(name: &VarName) -> bool {
    name.as_str().starts_with(dotenvx::PUBLIC_KEY)
}

fn without_notes(pairs: Vec<(VarName, Secret)>) -> Vec<Item> {
    pairs.into_iter().map(|(name, value)| Item { name, value, note: None }).collect()
}

/// What sops calls the form of a file that it has encrypted. Its message authentication code is encrypted too,
/// so this mark stands in each one.
fn sops_form(text: &str) -> Option<&'static str> {
    if !text.contains("ENC[AES256_GCM,") {
        return None;
    }
    if text.trim_start().starts_with('{') {
        return text.contains("\"sops\"").then_some("json");
    }
    let begins = |word: &str| text.lines().any(|line| line.starts_with(word));
    if begins("sops_mac=") { Some("dotenv") } else { begins("sops:").then_some("yaml") }
}
