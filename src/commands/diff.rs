//! `vault diff`: two environments, or one and an earlier version of it.

use std::collections::BTreeSet;

use clap::Args;
use serde_json::{Value, json};

use super::Context;
use super::repository::{Repository, path_of};
use crate::error::{Error, Result, shown_path};
use crate::format::FILE_LIMIT;
use crate::secret::Secret;
use crate::vars::Vars;
use crate::vars::export::json_word;
use crate::vars::name::{EnvName, VarName, shown};
use crate::vault::compare::{Change, changes};
use crate::vault::{Project, Vault};

/// Compare two environments by name, or one with an earlier version of it
///
/// Of two it shows which variables only one of them has, and which have different values. With one it shows what
/// has changed since the last commit, or since the one of --rev: names and members, for which no key is needed.
/// Values are shown only with --show. The status is 1 if there is a difference.
#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// The environment
    #[arg(value_name = "ENV", add = super::completions::environment_names())]
    one: Option<String>,
    /// Another one, to compare it with
    #[arg(value_name = "ENV2", conflicts_with = "rev", add = super::completions::environment_names())]
    other: Option<String>,
    /// The commit whose version is compared (default HEAD)
    #[arg(long, value_name = "REV")]
    rev: Option<String>,
    /// Show the values, too
    #[arg(long)]
    show: bool,
}

/// One environment, decrypted.
struct Side {
    name: EnvName,
    vars: Vars,
    files: BTreeSet<VarName>,
}

impl Side {
    fn has(&self, name: &VarName) -> bool {
        self.vars.get(name).is_some()
    }

    /// What a program would get: the value, or a file with it.
    fn same(&self, other: &Self, name: &VarName) -> bool {
        self.vars.get(name) == other.vars.get(name)
            && self.files.contains(name) == other.files.contains(name)
    }
}

/// Runs it. The status is 0 or 1.
pub(crate) fn run(args: &DiffArgs, context: &Context) -> Result<u8> {
    let project = context.project()?;
    match &args.other {
        Some(other) => {
            let one = args.one.as_deref().unwrap_or_default();
            two(one, other, args.show, &project, context)
        }
        None => since(args, &project, context),
    }
}

fn two(one: &str, other: &str, show: bool, project: &Project, context: &Context) -> Result<u8> {
    if one == other {
        return Err(Error::usage("an environment does not differ from itself: name two"));
    }
    let (one, other) = (side(one, project, context)?, side(other, project, context)?);
    let names: BTreeSet<&VarName> =
        one.vars.iter().chain(other.vars.iter()).map(|(name, _)| name).collect();
    let of = |wanted: &dyn Fn(&VarName) -> bool| -> Vec<&VarName> {
        names.iter().copied().filter(|name| wanted(name)).collect()
    };
    let only_one = of(&|name| !other.has(name));
    let only_other = of(&|name| !one.has(name));
    let different = of(&|name| one.has(name) && other.has(name) && !one.same(&other, name));
    let text = if context.ui.json {
        let words =
            |names: &[&VarName]| -> Vec<String> { names.iter().map(ToString::to_string).collect() };
        let all = json!({
            "environments": [one.name.as_str(), other.name.as_str()],
            "only": { one.name.as_str(): words(&only_one), other.name.as_str(): words(&only_other) },
            "different": words(&different),
        });
        format!("{all}\n")
    } else {
        let value =
            |side: &Side, name: &VarName| value_line(side.name.as_str(), side.vars.get(name));
        let line = |what: &str, name: &VarName| {
            let values =
                if show { value(&one, name) + &value(&other, name) } else { String::new() };
            format!("{what}: {name}\n{values}")
        };
        let lines = |what: &str, names: &[&VarName]| {
            names.iter().map(|name| line(what, name)).collect::<Vec<_>>().concat()
        };
        [
            lines(&format!("only in {}", one.name), &only_one),
            lines(&format!("only in {}", other.name), &only_other),
            lines("different", &different),
        ]
        .concat()
    };
    context.ui.out(text.as_bytes())?;
    Ok(u8::from(!(only_one.is_empty() && only_other.is_empty() && different.is_empty())))
}

fn side(typed: &str, project: &Project, context: &Context) -> Result<Side> {
    let name: EnvName = typed.parse().map_err(|_| project.unknown(typed))?;
    let (vault, opened) = context.open(project, &name)?;
    Ok(Side { name, vars: vault.vars(&opened)?, files: vault.file_names().cloned().collect() })
}

/// A value as a string of JSON, so that it is one line and says where it ends.
fn value_line(whose: &str, value: Option<&Secret>) -> String {
    let Some(value) = value else { return String::new() };
    match json_word(value.expose()) {
        Ok(word) => format!("  {whose}: {}\n", String::from_utf8_lossy(&word)),
        Err(_) => format!("  {whose}: (not text)\n"),
    }
}

/// What has changed of one environment since a commit.
fn since(args: &DiffArgs, project: &Project, context: &Context) -> Result<u8> {
    let name = match &args.one {
        Some(typed) => typed.parse().map_err(|_| unknown(typed, project, context))?,
        None => context.environment(project)?,
    };
    let rev = args.rev.as_deref().unwrap_or("HEAD");
    let before = version(rev, &name, project, context)?;
    let after = project.find(&name)?;
    if before.is_none() && after.is_none() {
        return Err(unknown(name.as_str(), project, context));
    }
    let file = |vault: &Option<Vault>| vault.as_ref().map(|vault| vault.file.clone());
    let found = changes(file(&before).as_ref(), file(&after).as_ref());
    if context.ui.json {
        let all: Vec<Value> = found.iter().map(|change| json!(change.to_string())).collect();
        let text = json!({ "environment": name.as_str(), "rev": rev, "changes": all });
        context.ui.out(format!("{text}\n").as_bytes())?;
    } else {
        let (old, new) = if args.show && !found.is_empty() {
            (vars(before.as_ref(), context)?, vars(after.as_ref(), context)?)
        } else {
            (Vars::default(), Vars::default())
        };
        let line = |change: &Change| {
            let values = change.variable().map(|name| {
                value_line("before", old.get(name)) + &value_line("now", new.get(name))
            });
            format!("{change}\n{}", values.unwrap_or_default())
        };
        context.ui.out(found.iter().map(line).collect::<Vec<_>>().concat().as_bytes())?;
    }
    Ok(u8::from(!found.is_empty()))
}

/// The error for what is no environment. It may be a commit, as for `git diff`.
fn unknown(typed: &str, project: &Project, context: &Context) -> Error {
    let error = project.unknown(typed);
    match Repository::of(project, context).commit(typed) {
        Ok(_) => error.hint(format!("a commit is named by `--rev {}`", shown(typed))),
        Err(_) => error,
    }
}

/// The environment as a commit has it.
fn version(
    rev: &str,
    name: &EnvName,
    project: &Project,
    context: &Context,
) -> Result<Option<Vault>> {
    let repository = Repository::of(project, context);
    let commit = repository.commit(rev)?;
    let path = format!("{commit}:{}{}", repository.prefix(), path_of(name));
    let bytes = repository.objects()?.blob(&path, FILE_LIMIT)?;
    let told = format!("{} at {}", shown_path(&project.path(name)), shown(rev));
    bytes.map(|bytes| Vault::parse(told.as_ref(), name, &bytes)).transpose()
}

/// The values of a version. Nothing of it is believed: it is shown, and goes nowhere else.
fn vars(vault: Option<&Vault>, context: &Context) -> Result<Vars> {
    let Some(vault) = vault else { return Ok(Vars::default()) };
    let opened = vault.open(&context.key()?)?;
    vault.vars(&opened)
}
