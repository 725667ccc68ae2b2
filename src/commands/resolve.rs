//! `vault resolve`: a conflict in a vault file, decided by a person, from git's versions of it.

use std::collections::BTreeMap;
use std::path::Path;

use clap::Args;

use super::merging::{Texts, Versions, settle, told, word};
use super::repository::{Repository, environment_of_path, path_of};
use super::{Context, day, environment_item, now};
use crate::cli::prompt;
use crate::error::{Error, Kind, Result, shown_path};
use crate::format::{Expected, FILE_LIMIT, Fingerprint};
use crate::process::git::Objects;
use crate::vars::name::{EnvName, shown};
use crate::vault::merge::{Choice, Choices, Conflict, Held, Merge, Side};
use crate::vault::{ENVS_FOLDER, Project};

/// Merge an environment on which git sees a conflict
///
/// Works from the versions that git has, never from text with markers. What both sides have changed is asked
/// for; values are shown only when you ask. Without FILE it takes every environment with a conflict.
#[derive(Debug, Args)]
pub(crate) struct ResolveArgs {
    /// The files, or the names of their environments
    #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    files: Vec<String>,
    /// Admit the version whose data key has this fingerprint, this once
    #[arg(long, value_name = "FINGERPRINT")]
    expect: Option<String>,
}

/// Runs it.
pub(crate) fn run(args: &ResolveArgs, context: &Context) -> Result<()> {
    let project = context.project()?;
    let expected = args.expect.as_deref().map(|text| {
        text.parse::<Expected>()
            .map_err(|_| Error::usage("`--expect` takes the fingerprint of a data key"))
    });
    let expected = expected.transpose()?;
    let named: Vec<EnvName> = args
        .files
        .iter()
        .map(|file| {
            environment_item(
                &project,
                file.trim_end_matches(".toml").rsplit('/').next().unwrap_or(file),
            )
        })
        .collect::<Result<_>>()?;
    let repository = Repository::of(&project, context);
    let unmerged = unmerged(&repository)?;
    let from_index = !unmerged.is_empty();
    let found =
        if from_index { unmerged } else { of_merge_commit(&project, context, &repository)? };
    let wanted = |name: &EnvName| named.is_empty() || named.contains(name);
    let found: BTreeMap<EnvName, Texts> =
        found.into_iter().filter(|(name, _)| wanted(name)).collect();
    if let Some(missing) = named.iter().find(|name| !found.contains_key(*name)) {
        return Err(Error::failed(format!("git sees no conflict in {missing}"))
            .about(missing)
            .hint("`git status` shows what there is to merge"));
    }
    if found.is_empty() {
        context.ui.say("there is no conflict in an environment");
        return Ok(());
    }
    for (name, texts) in found {
        let texts = Texts { path: project.path(&name), ..texts };
        resolve(&texts, &project, context, expected.as_ref())?;
        if from_index {
            repository.output(&["add", "--", &path_of(&name)])?;
        }
        let told = shown_path(&texts.path);
        let then = if from_index { " and staged" } else { "" };
        context.ui.say(&format!("{told}: merged{then}"));
    }
    Ok(())
}

fn resolve(
    texts: &Texts,
    project: &Project,
    context: &Context,
    expected: Option<&Expected>,
) -> Result<()> {
    let versions = Versions::open(texts, project, context, expected)?;
    let merge = versions.merge();
    let choices = ask(&merge.conflicts()?, &merge, versions.environment())?;
    let mut outcome = merge.finish(choices, now(), &context.plugins())?;
    outcome.vault.path.clone_from(&texts.path);
    project.put(&outcome.vault)?;
    settle(&outcome, &texts.path, project, context)
}

/// The versions of each environment that the index has as unmerged, in the stages 1 to 3.
fn unmerged(repository: &Repository<'_>) -> Result<BTreeMap<EnvName, Texts>> {
    let list = repository.output(&["ls-files", "--unmerged", "-z", "--", ENVS_FOLDER])?;
    let mut stages: BTreeMap<EnvName, [Option<String>; 3]> = BTreeMap::new();
    for entry in list.split(|byte| *byte == 0) {
        let Ok(entry) = std::str::from_utf8(entry) else { continue };
        let Some((head, path)) = entry.split_once('\t') else { continue };
        let name = environment_of_path(path.as_bytes());
        let [_, id, stage] = head.split(' ').collect::<Vec<_>>()[..] else { continue };
        let stage = stage.parse::<usize>().ok().and_then(|stage| stage.checked_sub(1));
        let Some((name, stage)) = name.zip(stage) else { continue };
        if let Some(place) = stages.entry(name).or_default().get_mut(stage) {
            *place = Some(id.to_owned());
        }
    }
    if stages.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut objects = repository.objects()?;
    stages
        .into_iter()
        .map(|(name, ids)| Ok((name.clone(), texts(&name, ids, &mut objects)?)))
        .collect()
}

fn texts(name: &EnvName, names: [Option<String>; 3], objects: &mut Objects) -> Result<Texts> {
    let mut read = |object: Option<String>| -> Result<Option<Vec<u8>>> {
        object.map_or(Ok(None), |object| objects.blob(&object, FILE_LIMIT))
    };
    let [base, ours, theirs] = names;
    let (base, ours, theirs) = (read(base)?, read(ours)?, read(theirs)?);
    let (Some(ours), Some(theirs)) = (ours, theirs) else {
        return Err(Error::failed(format!(
            "{name} was deleted on one side, and changed on the other"
        ))
        .about(name)
        .hint(format!("`git add {0}` keeps it, `git rm {0}` deletes it", path_of(name))));
    };
    Ok(Texts { path: Path::new("").to_owned(), base, ours, theirs })
}

/// The versions of environments that a merge commit, already made, has left as no version of anybody.
fn of_merge_commit(
    project: &Project,
    context: &Context,
    repository: &Repository<'_>,
) -> Result<BTreeMap<EnvName, Texts>> {
    let Some(base) = repository
        .ask(&["rev-parse", "--verify", "-q", "HEAD^2"])
        .and_then(|_| repository.ask(&["merge-base", "HEAD^1", "HEAD^2"]))
    else {
        return Ok(BTreeMap::new());
    };
    let key = context.key()?;
    let is_broken = |name: &EnvName| {
        let whole = project.read(name).and_then(|vault| {
            let opened = vault.open(&key)?;
            vault.check_values(&opened)
        });
        whole.is_err_and(|error| error.kind() == Kind::Integrity)
    };
    let prefix = repository.prefix();
    let mut objects = repository.objects()?;
    let mut found = BTreeMap::new();
    for name in project.environments()?.into_iter().filter(is_broken) {
        let at = |rev: &str| Some(format!("{rev}:{prefix}{}", path_of(&name)));
        let names = [at(&base), at("HEAD^1"), at("HEAD^2")];
        found.insert(name.clone(), texts(&name, names, &mut objects)?);
    }
    Ok(found)
}

/// Asks for everything that rules can't decide.
fn ask(conflicts: &[Conflict], merge: &Merge<'_>, environment: &EnvName) -> Result<Choices> {
    if !conflicts.is_empty() && !prompt::possible() {
        let messages =
            conflicts.iter().map(|one| format!("{environment}: {}", told(one, merge))).collect();
        return Err(Error::several(Kind::Failed, messages)
            .about(environment)
            .hint("run `vault resolve` on a terminal, where it asks for each"));
    }
    let mut choices = Choices::default();
    for conflict in conflicts {
        let head = format!("vault: {environment}: {}", told(conflict, merge));
        match conflict {
            Conflict::Member { name, ours, theirs } => {
                let key = |side: Side, key| {
                    format!("vault: {}: {}", word(side), Fingerprint::of_key(key))
                };
                let question = format!(
                    "{head}\n{}\n{}\nvault: the other key is removed, with a new data key. Keep [o]urs or [t]heirs? ",
                    key(Side::Ours, ours),
                    key(Side::Theirs, theirs)
                );
                choices.members.insert(name.clone(), side(&question)?);
            }
            Conflict::Value { name, ours, theirs, .. } => {
                let choice = value(&head, (ours.as_ref(), theirs.as_ref()), name.as_str())?;
                choices.values.insert(name.clone(), choice);
            }
        }
    }
    Ok(choices)
}

fn side(question: &str) -> Result<Side> {
    loop {
        match prompt::shown(question)?.trim() {
            "o" | "ours" => return Ok(Side::Ours),
            "t" | "theirs" => return Ok(Side::Theirs),
            "" | "q" | "quit" => return Err(Error::failed("nothing was merged")),
            _ => {}
        }
    }
}

/// Values are masked until they are asked for, and go to the terminal alone.
fn value(head: &str, sides: (Option<&Held>, Option<&Held>), name: &str) -> Result<Choice> {
    let when = |held: Option<&Held>| match held {
        Some(there) => format!("changed {}", day(there.changed)),
        None => "removed".to_owned(),
    };
    let value = |held: Option<&Held>| match held.map(|held| held.value.expose_str()) {
        Some(Some(text)) => shown(text),
        Some(None) => "(not text)".to_owned(),
        None => "(removed)".to_owned(),
    };
    let masked = format!("{head}\nvault: ours: {}; theirs: {}\n", when(sides.0), when(sides.1));
    let clear = || format!("vault: ours: {}\nvault: theirs: {}\n", value(sides.0), value(sides.1));
    let mut above = masked;
    loop {
        let question = "vault: keep [o]urs or [t]heirs, [s]how both, or set a [n]ew value? ";
        match prompt::shown(&format!("{above}{question}"))?.trim() {
            "o" | "ours" => return Ok(Choice::As(Side::Ours)),
            "t" | "theirs" => return Ok(Choice::As(Side::Theirs)),
            "s" | "show" => above = clear(),
            "n" | "new" => {
                return prompt::hidden(&format!("Value of {name} (not shown)")).map(Choice::New);
            }
            "" | "q" | "quit" => return Err(Error::failed("nothing was merged")),
            _ => above = String::new(),
        }
    }
}
