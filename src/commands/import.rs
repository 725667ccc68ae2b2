//! `vault import FILE`.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use zeroize::Zeroizing;

use super::pins::Purpose;
use super::{Context, check_storable, now};
use crate::error::{Error, Kind, Result, reason, shown_path};
use crate::format::Opened;
use crate::platform;
use crate::secret::Secret;
use crate::vars::dotenv::{self, Unreadable, docker, honcho};
use crate::vars::import;
use crate::vars::name::{EnvName, VarName, shown};
use crate::vault::Vault;
use crate::vault::settings::Settings;

/// Bring variables in from a plaintext file
///
/// New variables are added. A variable that has another value already is replaced only with -y, or after
/// a question on a terminal. Comment lines above a variable are kept, encrypted, as its note.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The file, or - for stdin
    #[arg(value_hint = clap::ValueHint::FilePath)]
    file: PathBuf,
    /// What the file is; by default json for a name that ends in .json, else dotenv
    #[arg(long, value_enum)]
    format: Option<ImportFormat>,
    /// By whose rules a dotenv file is read (default strict)
    #[arg(long, value_enum)]
    dialect: Option<Dialect>,
    /// Remove the variables that are not in the file
    #[arg(long)]
    replace: bool,
    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum ImportFormat {
    /// NAME=value lines, read strictly: what programs read differently is an error
    Dotenv,
    /// One flat object of strings
    Json,
    /// NAME=value with a NUL behind each, as `env -0` prints
    Null,
}

/// By whose rules a dotenv file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Dialect {
    /// Vault's: what programs read in different ways is an error with its line
    Strict,
    /// Honcho's: exactly what an app under Honcho gets; what Honcho leaves out or changes is told
    Honcho,
    /// Docker's `--env-file`: nothing is quoted
    Docker,
}

impl ImportArgs {
    /// The file as it is called in messages.
    fn told(&self) -> String {
        if self.file == Path::new("-") { "stdin".to_owned() } else { shown_path(&self.file) }
    }
}

/// One variable of the file.
struct Item {
    name: VarName,
    value: Secret,
    note: Option<String>,
}

/// What an import would do, by name.
#[derive(Default, PartialEq, Eq)]
struct Plan {
    added: Vec<VarName>,
    changed: Vec<VarName>,
    removed: Vec<VarName>,
}

/// Runs it.
pub(crate) fn run(args: &ImportArgs, context: &Context) -> Result<()> {
    let project = context.project()?;
    let environment = context.environment(&project)?;
    let items = read(args, context)?;
    check(&items, &project.settings()?, &args.told())?;
    let key = context.key()?;
    let vault = project.read(&environment)?;
    let opened = context.unlock(&project, &vault, &key, Purpose::Write)?;
    let plan = plan(args, &vault, &opened, &items)?;
    if args.dry_run {
        return context.ui.out(plan.to_text().as_bytes());
    }
    for (what, names) in [("replaced", &plan.changed), ("removed", &plan.removed)] {
        if !names.is_empty() {
            let told: Vec<&str> = names.iter().map(VarName::as_str).collect();
            context.confirm(&format!("{environment}: {} will be {what}", told.join(", ")))?;
        }
    }
    let now = now();
    context.change(&project, &environment, |vault| {
        let opened = context.unlock(&project, vault, &key, Purpose::Write)?;
        // What was confirmed is what is done, and nothing that came in between.
        if self::plan(args, vault, &opened, &items)? != plan {
            return Err(Error::failed(format!(
                "{environment} was changed by somebody else meanwhile"
            ))
            .hint("run the same command again"));
        }
        for item in &items {
            vault.set(&opened, &item.name, &item.value, (None, item.note.as_deref()), now)?;
        }
        if args.replace {
            let keep: BTreeSet<&VarName> = items.iter().map(|item| &item.name).collect();
            vault.file.secrets.retain(|name, _| keep.contains(name));
        }
        Ok(())
    })?;
    plan.tell(context, &environment);
    after(args, context);
    Ok(())
}

fn read(args: &ImportArgs, context: &Context) -> Result<Vec<Item>> {
    const LIMIT: u64 = 8 << 20;
    let standard_input = args.file == Path::new("-");
    let told = args.told();
    let failed =
        |error: &std::io::Error| Error::failed(format!("cannot read `{told}`: {}", reason(error)));
    let mut text = Zeroizing::new(Vec::new());
    if standard_input {
        platform::standard_input()
            .take(LIMIT + 1)
            .read_to_end(&mut text)
            .map_err(|error| failed(&error))?;
    } else {
        let file = std::fs::File::open(&args.file).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                Error::not_found(format!("the file `{told}` does not exist"))
            }
            _ => failed(&error),
        })?;
        file.take(LIMIT + 1).read_to_end(&mut text).map_err(|error| failed(&error))?;
    }
    if text.len() > 8 << 20 {
        return Err(Error::integrity(format!("{told}: the file is over 8 MiB")));
    }
    let json =
        args.file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    // Who names a dialect means a dotenv file, whatever its name is.
    let json = json && args.dialect.is_none();
    let format =
        args.format.unwrap_or(if json { ImportFormat::Json } else { ImportFormat::Dotenv });
    if args.dialect.is_some() && format != ImportFormat::Dotenv {
        return Err(Error::usage("`--dialect` is for dotenv files"));
    }
    match (format, args.dialect.unwrap_or(Dialect::Strict)) {
        (ImportFormat::Dotenv, Dialect::Strict) => read_dotenv(&text, &told),
        (ImportFormat::Dotenv, Dialect::Honcho) => {
            read_honcho(as_text(&text, &told)?, &told, context)
        }
        (ImportFormat::Dotenv, Dialect::Docker) => read_docker(as_text(&text, &told)?, &told),
        (ImportFormat::Json, _) => read_json(&text, &told),
        (ImportFormat::Null, _) => read_null(&text, &told),
    }
}

fn as_text<'a>(text: &'a [u8], told: &str) -> Result<&'a str> {
    std::str::from_utf8(text).map_err(|_| Error::integrity(format!("{told}: not UTF-8 text")))
}

/// So many things that are wrong are told; more than that, and the file is of another kind.
const TOLD: usize = 20;

fn wrong(mut messages: Vec<String>, told: &str) -> Error {
    let more = messages.len().saturating_sub(TOLD);
    messages.truncate(TOLD);
    if more > 0 {
        messages.push(format!("{told}: and {more} more"));
    }
    Error::several(Kind::Integrity, messages)
        .hint("mend the file and import it again; nothing was stored")
}

fn read_honcho(text: &str, told: &str, context: &Context) -> Result<Vec<Item>> {
    let read = honcho::read(text)
        .map_err(|one| wrong(vec![format!("{told}:{}: {}", one.line, one.why)], told))?;
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
    if refused.is_empty() { Ok(items) } else { Err(wrong(refused, told)) }
}

fn read_docker(text: &str, told: &str) -> Result<Vec<Item>> {
    let pairs = docker::read(text).map_err(|refused| {
        let line = |one: &Unreadable| format!("{told}:{}: {}", one.line, one.why);
        wrong(refused.iter().map(line).collect(), told)
    })?;
    Ok(without_notes(pairs))
}

fn read_null(text: &[u8], told: &str) -> Result<Vec<Item>> {
    let pairs = import::null(text).map_err(|parts| {
        let part = |number: &usize| format!("{told}: part {number} is not NAME=value");
        wrong(parts.iter().map(part).collect(), told)
    })?;
    Ok(without_notes(pairs))
}

fn without_notes(pairs: Vec<(VarName, Secret)>) -> Vec<Item> {
    pairs.into_iter().map(|(name, value)| Item { name, value, note: None }).collect()
}

fn read_dotenv(text: &[u8], told: &str) -> Result<Vec<Item>> {
    let entries = dotenv::parse(text).map_err(|problems| {
        let line = |problem: &dotenv::Problem| {
            let name = problem.name.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
            format!("{told}:{}: {name}{}", problem.line, problem.code.message())
        };
        wrong(problems.iter().map(line).collect(), told)
    })?;
    let item = |entry: dotenv::Entry| {
        let note = (!entry.note.is_empty()).then_some(entry.note);
        Item { name: entry.name, value: entry.value, note }
    };
    Ok(entries.into_iter().map(item).collect())
}

fn read_json(text: &[u8], told: &str) -> Result<Vec<Item>> {
    let pairs = import::json(text).map_err(|problem| {
        let line = problem.line.map(|line| format!(":{line}")).unwrap_or_default();
        let name = problem.name.map(|name| format!("{name}: ")).unwrap_or_default();
        Error::integrity(format!("{told}{line}: {name}{}", problem.code))
    })?;
    Ok(without_notes(pairs))
}

/// Every name that may not be stored is told at once.
fn check(items: &[Item], settings: &Settings, told: &str) -> Result<()> {
    let refused: Vec<Error> =
        items.iter().filter_map(|item| check_storable(&item.name, settings).err()).collect();
    let Some(first) = refused.first() else { return Ok(()) };
    let messages = refused.iter().map(|error| format!("{told}: {error}")).collect();
    let hint =
        first.hint_text().unwrap_or("leave these lines out, and import again; nothing was stored");
    Err(Error::several(Kind::Integrity, messages).hint(hint))
}

fn plan(args: &ImportArgs, vault: &Vault, opened: &Opened, items: &[Item]) -> Result<Plan> {
    let mut plan = Plan::default();
    for item in items {
        match vault.get(opened, &item.name)? {
            None => plan.added.push(item.name.clone()),
            Some(old) if old != item.value => plan.changed.push(item.name.clone()),
            Some(_) => {}
        }
    }
    if args.replace {
        let there = |name: &VarName| items.iter().any(|item| item.name == *name);
        plan.removed = vault.file.secrets.keys().filter(|name| !there(name)).cloned().collect();
    }
    Ok(plan)
}

impl Plan {
    fn to_text(&self) -> String {
        let kinds = [("add", &self.added), ("change", &self.changed), ("remove", &self.removed)];
        let lines: Vec<String> = kinds
            .iter()
            .flat_map(|(word, names)| names.iter().map(move |name| format!("{word} {name}\n")))
            .collect();
        lines.concat()
    }

    fn tell(&self, context: &Context, environment: &EnvName) {
        let parts: Vec<String> =
            [("added", &self.added), ("changed", &self.changed), ("removed", &self.removed)]
                .iter()
                .filter(|(_, names)| !names.is_empty())
                .map(|(word, names)| format!("{} {word}", names.len()))
                .collect();
        let told = if parts.is_empty() {
            "every value was there already".to_owned()
        } else {
            parts.join(", ")
        };
        context.ui.say(&format!("{environment}: {told}"));
    }
}

/// The plaintext is still where it was. In git it stays in the history, so its values are known for good.
fn after(args: &ImportArgs, context: &Context) {
    if args.file == Path::new("-") {
        return;
    }
    let told = shown_path(&args.file);
    let word = shell_words::quote(&told);
    context.ui.warn(&format!("the plaintext file `{told}` is still there"));
    if context.git_tracks(&args.file, false) {
        context.ui.warn(&format!(
            "git tracks `{told}`, so its values may be in the history: change them at their sources"
        ));
        context.ui.hint(&format!("`git rm --cached {word}`, add it to .gitignore, and commit"));
    } else {
        context.ui.hint(&format!(
            "`rm {word}` when you have seen that all is there: {}",
            count_hint(context)
        ));
    }
}

fn count_hint(context: &Context) -> String {
    let environment =
        context.globals.env.last().map(|name| format!(" -e {name}")).unwrap_or_default();
    format!("`vault list{environment}`")
}
