//! `vault resolve`: a conflict in a vault file, decided by a person, from git's versions of it.

use std::collections::BTreeMap;
use std::path::Path;

use clap::Args;

use super::merging::{Texts, Versions, settle, told};
use super::repository::{Repository, environment_of_path, path_of};
use super::{Context, environment_item, moment, now};
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
    let mut named: Vec<EnvName> =
        args.files.iter().map(|file| named(file, &project, context)).collect::<Result<_>>()?;
    named.extend(context.named(&project)?.unwrap_or_default());
    let wanted = |name: &EnvName| named.is_empty() || named.contains(name);
    let repository = Repository::of(&project, context);
    let unmerged = unmerged(&repository)?;
    let from_index = !unmerged.is_empty();
    let found = if from_index {
        let mut objects = repository.objects()?;
        let unmerged = unmerged.into_iter().filter(|(name, _)| wanted(name));
        let texts =
            unmerged.map(|(name, ids)| Ok((name.clone(), texts(&name, ids, &mut objects)?)));
        texts.collect::<Result<_>>()?
    } else {
        of_merge_commit(&wanted, &project, context, &repository)?
    };
    if let Some(missing) = named.iter().find(|name| !found.contains_key(*name)) {
        return Err(Error::failed(format!("git sees no conflict in {missing}"))
            .about(missing)
            .hint("`git status` shows what there is to merge"));
    }
    if found.is_empty() {
        context.ui.say("there is no conflict in an environment");
        return Ok(());
    }
    let rebases = from_index && is_rebase(&repository);
    if rebases {
        context.ui.say("in a rebase, ours is what you rebase onto, and theirs is your own commit");
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
    context.ui.hint(match (rebases, from_index) {
        (true, _) => "`git rebase --continue` goes on",
        (false, true) => "`git commit` finishes it",
        (false, false) => "commit the folder `envs`",
    });
    Ok(())
}

/// The environment that was given by its name, or as a file of this project.
fn named(file: &str, project: &Project, context: &Context) -> Result<EnvName> {
    if !file.contains('/') {
        return environment_item(project, file.strip_suffix(".toml").unwrap_or(file));
    }
    let path = context.outside.folder.join(file);
    let real = |path: &Path| path.parent().and_then(|folder| folder.canonicalize().ok());
    let name = path.file_stem().and_then(|stem| stem.to_str()?.parse::<EnvName>().ok());
    let is_here = |name: &EnvName| {
        let own = project.path(name);
        path.file_name() == own.file_name()
            && real(&path).is_some_and(|one| Some(one) == real(&own))
    };
    name.filter(is_here).ok_or_else(|| {
        Error::not_found(format!("`{}` is no environment of this project", shown(file)))
            .hint("give the name of an environment, or its file under `envs`")
    })
}

/// Whether git is in the middle of a rebase (git-rebase(1), of either backend), and not at one of the merges of it.
fn is_rebase(repository: &Repository<'_>) -> bool {
    let exists = |name: &str| {
        let path = repository.ask(&["rev-parse", "--git-path", name]);
        path.is_some_and(|path| repository.around.folder.join(path).exists())
    };
    (exists("rebase-merge") || exists("rebase-apply/rebasing")) && !exists("MERGE_HEAD")
}

fn resolve(
    texts: &Texts,
    project: &Project,
    context: &Context,
    expected: Option<&Expected>,
) -> Result<()> {
    let versions = match Versions::open(texts, project, context, expected) {
        Err(error) if error.kind() == Kind::NoAccess => {
            return project.put(&texts.merged_without_a_key().ok_or(error)?);
        }
        opened => opened?,
    };
    let merge = versions.merge();
    let choices = ask(&merge.conflicts()?, &merge, versions.environment())?;
    let mut outcome = merge.finish(choices, now(), &context.plugins())?;
    outcome.vault.path.clone_from(&texts.path);
    project.put(&outcome.vault)?;
    settle(&outcome, &texts.path, project, context)
}

/// What git has of a file: the ancestor, ours, and theirs.
type Names = [Option<String>; 3];

/// The versions of each environment that the index has as unmerged, in the stages 1 to 3.
fn unmerged(repository: &Repository<'_>) -> Result<BTreeMap<EnvName, Names>> {
    let list = repository.output(&["ls-files", "--unmerged", "-z", "--", ENVS_FOLDER])?;
    let mut stages: BTreeMap<EnvName, Names> = BTreeMap::new();
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
    Ok(stages)
}

fn texts(name: &EnvName, names: Names, objects: &mut Objects) -> Result<Texts> {
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

/// The versions of environments that the last merge, already committed, has left as no version of anybody.
///
/// # Errors
///
/// One is broken, and not by that merge.
fn of_merge_commit(
    wanted: &dyn Fn(&EnvName) -> bool,
    project: &Project,
    context: &Context,
    repository: &Repository<'_>,
) -> Result<BTreeMap<EnvName, Texts>> {
    let mut key = None;
    let mut found = BTreeMap::new();
    for name in project.environments()?.into_iter().filter(wanted) {
        let file = path_of(&name);
        // The last merge that has what none of its parents has. Without one there is nothing to open a file for.
        let merge = repository.ask(&["rev-list", "--merges", "-1", "HEAD", "--", &file]);
        let mut is_whole = || {
            let vault = project.read(&name)?;
            if merge.is_none() {
                return Ok(());
            }
            let key = match &mut key {
                Some(key) => key,
                none => none.insert(context.key()?),
            };
            vault.check_values(&vault.open(key)?)
        };
        let Err(error) = is_whole() else { continue };
        if error.kind() == Kind::NoAccess && key.is_none() {
            return Err(error);
        }
        if error.kind() != Kind::Integrity {
            continue;
        }
        let is_since = |merge: &&String| {
            let words = ["diff", "--quiet", "--no-ext-diff", "--no-textconv", merge, "--", &file];
            let third = format!("{merge}^3");
            repository.does(&words)
                && repository.ask(&["rev-parse", "--verify", "-q", &third]).is_none()
        };
        let Some(merge) = merge.as_ref().filter(is_since) else {
            let hint = format!(
                "no merge of two has left it so; `git log -p {file}` shows what did, and which version was good"
            );
            return Err(error.hint(hint));
        };
        let parents = [format!("{merge}^1"), format!("{merge}^2")];
        let [ours, theirs] = &parents;
        // Of several ancestors none is the one that both come from.
        let bases = repository.ask(&["merge-base", "--all", ours, theirs]);
        let base = bases.filter(|bases| bases.lines().count() == 1);
        let at = |rev: &String| format!("{rev}:{}{file}", repository.prefix());
        let names = [base.as_ref().map(at), Some(at(ours)), Some(at(theirs))];
        found.insert(name.clone(), texts(&name, names, &mut repository.objects()?)?);
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
                    format!("vault: {}: {}", side.word(), Fingerprint::of_key(key))
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
        Some(there) => format!("changed {}", moment(there.changed)),
        None => "not there".to_owned(),
    };
    let value = |held: Option<&Held>| match held.map(|held| held.value.expose_str()) {
        Some(Some(text)) => shown(text),
        Some(None) => "(not text)".to_owned(),
        None => "(not there)".to_owned(),
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
