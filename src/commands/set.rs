//! `vault set NAME[=VALUE]…`.

use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

use clap::Args;
use zeroize::Zeroizing;

use super::pins::Purpose;
use super::{Context, check_storable, now};
use crate::cli::prompt;
use crate::cli::ui::count;
use crate::crypto;
use crate::error::{Error, Result, reason, shown_path};
use crate::format::RecordKind;
use crate::platform;
use crate::secret::Secret;
use crate::vars::hex;
use crate::vars::name::{EnvName, MemberName, VarName, shown};
use crate::vault::SetOutcome;
use crate::vault::exposure::known_to;

/// Set variables of an environment
///
/// With one NAME the value is asked for on a terminal, and is otherwise the exact bytes of stdin. Several
/// NAME=VALUE are written together. A shell keeps what you type in its history: prefer the prompt or stdin.
#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// The variable, with or without its value
    #[arg(required = true, value_name = "NAME[=VALUE]", add = super::completions::variable_names())]
    pairs: Vec<String>,
    /// Take the value from this file
    #[arg(long, value_name = "PATH", conflicts_with = "generate", value_hint = clap::ValueHint::FilePath)]
    file: Option<PathBuf>,
    /// Give programs the path of a file that holds the value, not the value
    ///
    /// As a private key or a certificate: any bytes, at most 1 MiB. It stays a file when it is set again.
    #[arg(long)]
    as_file: bool,
    /// Make a random value: django, hex, hex:BYTES, base64, base64:BYTES or uuid
    #[arg(long, value_name = "KIND")]
    generate: Option<String>,
    /// Leave variables alone that are set already
    #[arg(long)]
    if_missing: bool,
    /// Take one line end off the end of stdin or the file
    #[arg(long)]
    trim: bool,
}

/// Runs it.
pub(crate) fn run(args: &SetArgs, context: &Context) -> Result<()> {
    let project = context.project()?;
    let environment = context.environment(&project)?;
    let settings = project.settings()?;
    let generate = args.generate.as_deref().map(Generator::parse).transpose()?;
    let first = args.pairs.first().and_then(|word| project.called(word));
    let wanted = args.names().map_err(|error| match first {
        Some(name) if args.pairs.len() > 1 => is_an_environment(&name),
        _ => error,
    })?;
    for (name, _) in &wanted {
        check_storable(name, &settings)?;
    }
    // Before anything is asked: a key that opens nothing is told first.
    let key = context.key()?;
    let vault = project.read(&environment)?;
    context.unlock(&project, &vault, &key, Purpose::Write)?;
    let has_no_value = |one: &&(VarName, Option<Secret>)| one.1.is_none();
    let unknown = |name: &&VarName| !vault.file.secrets.contains_key(*name);
    let mut new = wanted.iter().filter(has_no_value).map(|(name, _)| name).filter(unknown);
    if let Some(meant) = new.find_map(|name| project.called(name.as_str())) {
        return Err(is_an_environment(&meant));
    }
    let open_to_set = |name: &VarName| !(args.if_missing && vault.file.secrets.contains_key(name));
    let mut pairs = Vec::new();
    for (name, value) in wanted.into_iter().filter(|(name, _)| open_to_set(name)) {
        let value = match (value, &generate) {
            (Some(value), _) => value,
            (None, Some(generator)) => generator.generate(),
            (None, None) => args.value(&name, context)?,
        };
        pairs.push((name, value));
    }
    if pairs.is_empty() {
        return Ok(());
    }
    let (now, kind) = (now(), args.as_file.then_some(RecordKind::File));
    let outcomes = context.change(&project, &environment, |vault| {
        let opened = context.unlock(&project, vault, &key, Purpose::Write)?;
        let mut outcomes = Vec::new();
        for (name, value) in &pairs {
            // Somebody else may have set it since it was looked at.
            let there = vault.file.secrets.contains_key(name);
            if !(args.if_missing && there) {
                let knew = known_to(&vault.file, name).into_iter().cloned().collect();
                let became = vault.set(&opened, name, value, (kind, None), now)?;
                outcomes.push(Outcome { name, became, knew });
            }
        }
        Ok(outcomes)
    })?;
    tell_closed(context, environment.as_str(), &outcomes);
    context.warn_of_values(
        &settings,
        &environment,
        pairs.iter().map(|(name, value)| (name, value)),
    );
    if context.ui.err_is_terminal() {
        tell(context, environment.as_str(), &outcomes);
        if args.pairs.iter().any(|pair| pair.contains('=')) {
            context.ui.hint("your shell may keep that value in its history; `vault set NAME` asks for it instead");
        }
    }
    Ok(())
}

/// `vault set staging NAME`, where `-e staging` was meant.
fn is_an_environment(name: &EnvName) -> Error {
    Error::usage(format!("`{name}` is an environment, and no variable"))
        .hint(format!("name the environment by `-e {name}`"))
}

/// What became of one variable.
pub(super) struct Outcome<'a> {
    /// The variable.
    pub(super) name: &'a VarName,
    /// What.
    pub(super) became: SetOutcome,
    /// Former members who knew the old value.
    pub(super) knew: Vec<MemberName>,
}

/// Says whom a new value has shut out. That the source has it too, only its user knows.
pub(super) fn tell_closed(context: &Context, environment: &str, outcomes: &[Outcome<'_>]) {
    let closed = |one: &&Outcome<'_>| one.became == SetOutcome::Changed && !one.knew.is_empty();
    for Outcome { name, knew, .. } in outcomes.iter().filter(closed) {
        let names: Vec<&str> = knew.iter().map(MemberName::as_str).collect();
        context
            .ui
            .say(&format!("{environment}: {name} is new: {} knew the old value", names.join(", ")));
    }
}

fn tell(context: &Context, environment: &str, outcomes: &[Outcome<'_>]) {
    for Outcome { name, became, .. } in outcomes {
        let what = match became {
            SetOutcome::Added => "added",
            SetOutcome::Changed => "changed",
            SetOutcome::Same => "has this value already",
            SetOutcome::OtherKind => "has this value already, and is a file now",
        };
        context.ui.say(&format!("{environment}: {name} {what}"));
    }
}

impl SetArgs {
    /// The names, with the values that stand on the command line.
    fn names(&self) -> Result<Vec<(VarName, Option<Secret>)>> {
        let mut found: Vec<(VarName, Option<Secret>)> = Vec::new();
        for pair in &self.pairs {
            let (name, value) = match pair.split_once('=') {
                Some((name, value)) => (name, Some(Secret::new(value.as_bytes().to_vec()))),
                None => (pair.as_str(), None),
            };
            // Not shown: what stands in the wrong place here is often the value.
            let name: VarName = name.parse().map_err(|rule| {
                let number = found.len() + 1;
                let told = Error::usage(format!("word {number} is not NAME or NAME=VALUE: {rule}"));
                let is_torn =
                    number > 1 && pair.split_once('=').is_none_or(|(name, _)| name.is_empty());
                if is_torn { told.hint("write NAME=VALUE as one word") } else { told }
            })?;
            if found.iter().any(|(other, _)| *other == name) {
                return Err(Error::usage(format!("{name} is named twice")));
            }
            if value.is_some() && (self.file.is_some() || self.generate.is_some()) {
                return Err(Error::usage(format!(
                    "{name} has two values: one on the command line, and another by a flag"
                )));
            }
            found.push((name, value));
        }
        let open = found.iter().filter(|(_, value)| value.is_none()).count();
        if open > 1 && self.generate.is_none()
            || open == 1 && found.len() > 1 && self.generate.is_none()
        {
            return Err(Error::usage("several variables need a value each: NAME=VALUE").hint(
                "`vault set NAME` asks for the value of one; a value that you typed here is in your shell's history now",
            ));
        }
        Ok(found)
    }

    /// The value of the one name that has none: a file, the terminal, or stdin.
    fn value(&self, name: &VarName, context: &Context) -> Result<Secret> {
        let value = match &self.file {
            Some(path) => read_file(path)?,
            None if std::io::stdin().is_terminal() => return ask(name, context),
            None => from_stdin(name)?,
        };
        if self.file.is_none()
            && !self.trim
            && value.expose().ends_with(b"\n")
            && context.ui.err_is_terminal()
        {
            context
                .ui
                .hint("the value ends in a line end, which is stored too; `--trim` leaves it out");
        }
        Ok(if self.trim { value.without_line_end() } else { value })
    }
}

fn ask(name: &VarName, context: &Context) -> Result<Secret> {
    if !prompt::possible() {
        return Err(Error::failed(format!("{name}: there is no terminal to ask for the value on"))
            .hint("pipe the value in, or name a file with `--file`"));
    }
    let value = prompt::hidden(&format!("Value of {name} (not shown)"))?;
    // Whoever has pasted nothing must not lose what is stored.
    if value.is_empty() {
        return Err(is_empty(name, "nothing was typed"));
    }
    let characters = value.expose_str().map_or(0, |text| text.chars().count());
    context.ui.say(&format!("{} read", count(characters, "character")));
    Ok(value)
}

/// Nothing on stdin is a mistake (`/dev/null` in a job, a program that failed), and would wipe a value.
fn from_stdin(name: &VarName) -> Result<Secret> {
    let value = read_to_end(platform::standard_input(), "the standard input")?;
    if value.is_empty() {
        return Err(is_empty(name, "there is nothing on the standard input"));
    }
    Ok(value)
}

fn is_empty(name: &VarName, why: &str) -> Error {
    Error::failed(format!("{name}: {why}"))
        .hint(format!("`vault set {name}=` stores an empty value"))
}

fn read_file(path: &Path) -> Result<Secret> {
    let told = shown_path(path);
    let file = std::fs::File::open(path).map_err(|error| Error::io("read", path, &error))?;
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err(Error::failed(format!("`{told}` is a folder")));
    }
    read_to_end(file, &format!("`{told}`"))
}

/// Reads a value, which has at most 1 MiB whatever it becomes.
fn read_to_end(from: impl std::io::Read, told: &str) -> Result<Secret> {
    const LIMIT: u64 = 1 << 20;
    let mut bytes = Zeroizing::new(Vec::new());
    from.take(LIMIT + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Error::failed(format!("cannot read {told}: {}", reason(&error))))?;
    if bytes.len() > 1 << 20 {
        return Err(Error::failed(format!("{told} is over 1 MiB, too long for a value")));
    }
    Ok(Secret::new(bytes.to_vec()))
}

/// What `--generate` makes.
enum Generator {
    Django,
    Hex(usize),
    Base64(usize),
    Uuid,
}

impl Generator {
    fn parse(text: &str) -> Result<Self> {
        const DEFAULT_BYTES: usize = 32;
        let wrong = || {
            Error::usage(format!("`{}` is nothing that can be generated", shown(text)))
                .hint("use django, hex, hex:BYTES, base64, base64:BYTES (16 to 1024) or uuid")
        };
        let (kind, bytes) = match text.split_once(':') {
            Some((kind, bytes)) => (kind, Some(bytes.parse::<usize>().map_err(|_| wrong())?)),
            None => (text, None),
        };
        if bytes.is_some_and(|bytes| !(16..=1024).contains(&bytes)) {
            return Err(wrong());
        }
        match (kind, bytes) {
            ("django", None) => Ok(Self::Django),
            ("uuid", None) => Ok(Self::Uuid),
            ("hex", bytes) => Ok(Self::Hex(bytes.unwrap_or(DEFAULT_BYTES))),
            ("base64", bytes) => Ok(Self::Base64(bytes.unwrap_or(DEFAULT_BYTES))),
            _ => Err(wrong()),
        }
    }

    fn generate(&self) -> Secret {
        use base64::Engine as _;
        let text = match self {
            Self::Django => django_key(),
            Self::Hex(bytes) => hex(&random(*bytes)),
            Self::Base64(bytes) => {
                base64::engine::general_purpose::STANDARD.encode(&*random(*bytes))
            }
            Self::Uuid => uuid(),
        };
        Secret::from(text)
    }
}

fn random(bytes: usize) -> Zeroizing<Vec<u8>> {
    let mut all = Zeroizing::new(Vec::with_capacity(bytes));
    while all.len() < bytes {
        let chunk = Zeroizing::new(crypto::random::<32>());
        let rest = (bytes - all.len()).min(chunk.len());
        all.extend(chunk.iter().take(rest));
    }
    all
}

/// 50 characters of the alphabet of Django's `get_random_secret_key`, each equally likely. Only the first is
/// never a `$`: django-environ takes what begins so for the name of another variable.
fn django_key() -> String {
    const ALPHABET: &[u8; 50] = b"abcdefghijklmnopqrstuvwxyz0123456789!@#$%^&*(-_=+)";
    let mut key = String::with_capacity(50);
    while key.len() < 50 {
        // 250 is the largest multiple of 50 in a byte: what lies above would favour the first letters.
        let [byte] = crypto::random::<1>();
        let letter = ALPHABET.get(usize::from(byte % 50)).filter(|_| byte < 250);
        if let Some(letter) = letter.filter(|letter| !key.is_empty() || **letter != b'$') {
            key.push(char::from(*letter));
        }
    }
    key
}

/// A random UUID (RFC 9562, version 4).
fn uuid() -> String {
    let mut bytes = crypto::random::<16>();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits = hex(&bytes);
    let groups = [0..8, 8..12, 12..16, 16..20, 20..32];
    groups.map(|group| digits.get(group).unwrap_or_default().to_owned()).join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generated(kind: &str) -> String {
        Generator::parse(kind).unwrap().generate().expose_str().unwrap().to_owned()
    }

    #[test]
    fn generated_values_have_the_shape_of_their_kind() {
        assert_eq!(generated("django").len(), 50);
        assert_eq!(generated("hex").len(), 64);
        assert_eq!(generated("hex:20").len(), 40);
        assert_eq!(generated("base64:48").len(), 64);
        let uuid = generated("uuid");
        assert_eq!((uuid.len(), uuid.as_bytes()[14], uuid.matches('-').count()), (36, b'4', 4));
        assert!(b"89ab".contains(&uuid.as_bytes()[19]));
        assert_ne!(generated("django"), generated("django"));
        assert!((0..500).all(|_| !generated("django").starts_with('$')));
        for wrong in ["djang", "hex:", "hex:15", "hex:1025", "uuid:16", "django:50", ""] {
            assert!(Generator::parse(wrong).is_err(), "{wrong}");
        }
    }
}
