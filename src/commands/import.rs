//! `vault import FILE`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;

use super::incoming::{Dialect, Format, Item, Source};
use super::pins::Purpose;
use super::{Context, check_storable, now};
use crate::cli::ui::count;
use crate::error::{Error, Kind, Result};
use crate::format::Opened;
use crate::vars::name::{EnvName, VarName};
use crate::vault::Vault;
use crate::vault::settings::Settings;

/// Bring variables in from a plaintext file, or from one of sops or dotenvx
///
/// New variables are added. A variable that has another value already is replaced only with -y, or after
/// a question on a terminal. Comment lines above a variable are kept, encrypted, as its note.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The file, or - for stdin
    #[arg(value_hint = clap::ValueHint::FilePath)]
    file: PathBuf,
    /// What the file is; by default json or yaml for a name that ends so, else dotenv
    #[arg(long, value_enum)]
    format: Option<Format>,
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
    let source = Source::new(&args.file, args.format, args.dialect)?;
    let items = source.read(context)?;
    let settings = project.settings()?;
    check(&items, &settings, &source.told())?;
    let key = context.key()?;
    let vault = project.read(&environment)?;
    let opened = context.unlock(&project, &vault, &key, Purpose::Write)?;
    let plan = plan(args, &vault, &opened, &items)?;
    let values = || items.iter().map(|item| (&item.name, &item.value));
    if args.dry_run {
        context.warn_of_values(&settings, &environment, values());
        context.ui.out(plan.to_text().as_bytes())?;
        if plan == Plan::default() {
            plan.tell(context, &environment);
        }
        return Ok(());
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
            let keep = names_of(&items);
            vault.file.secrets.retain(|name, _| keep.contains(name));
        }
        Ok(())
    })?;
    plan.tell(context, &environment);
    context.warn_of_values(&settings, &environment, values());
    after(&source, context);
    Ok(())
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

fn names_of(items: &[Item]) -> BTreeSet<&VarName> {
    items.iter().map(|item| &item.name).collect()
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
        let there = names_of(items);
        let gone = vault.file.secrets.keys().filter(|name| !there.contains(name));
        plan.removed = gone.cloned().collect();
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

/// The file is still where it was. In git it stays in the history, so its values are known for good.
fn after(source: &Source<'_>, context: &Context) {
    if source.is_standard_input() {
        return;
    }
    let path = source.path;
    let told = source.told();
    let word = shell_words::quote(&told);
    let tracked = context.git_tracks(path, false);
    if source.is_encrypted() {
        let still = "is still there, and whoever has its key reads these values in it";
        context.ui.warn(&format!("`{told}` {still}"));
        let remove = if tracked { "git rm" } else { "rm" };
        context.ui.hint(&format!(
            "`{remove} {word}` when you have seen that all is there: {}",
            count_hint(context)
        ));
        return;
    }
    context.ui.warn(&format!("the plaintext file `{told}` is still there"));
    let commits = context.git_commits_of(path);
    if !commits.is_empty() {
        context.ui.warn(&format!(
            "git has it in {}: whoever has a clone knows its values, so change them at their sources",
            listed(&commits)
        ));
    }
    if tracked {
        context.ui.hint(&format!("`git rm --cached {word}`, add it to .gitignore, and commit"));
    } else {
        context.ui.hint(&format!(
            "`rm {word}` when you have seen that all is there: {}",
            count_hint(context)
        ));
    }
}

/// Some commits by name, and how many there are.
fn listed(commits: &[String]) -> String {
    const NAMED: usize = 5;
    let named: Vec<&str> = commits.iter().take(NAMED).map(String::as_str).collect();
    let more = commits.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{} ({}{more})", count(commits.len(), "commit"), named.join(", "))
}

fn count_hint(context: &Context) -> String {
    let environment =
        context.globals.env.last().map(|name| format!(" -e {name}")).unwrap_or_default();
    format!("`vault list{environment}`")
}
