//! `vault check --against REV`: what a branch would change of the environments, for who reviews it. No key is needed.

use std::collections::BTreeSet;

use super::Context;
use super::findings::{Findings, Level};
use super::repository::{Repository, Version, environment_of_path, path_of};
use crate::error::Result;
use crate::format::VaultFile;
use crate::process::git::Objects;
use crate::vars::name::{EnvName, shown};
use crate::vault::compare::{Change, changes};
use crate::vault::{ENVS_FOLDER, Project};

/// Compares the files in the work tree with those of the commit at which the branch has left `rev`: with what a
/// merge takes them for. Branches that were merged into each other have several such commits, and each counts.
///
/// # Errors
///
/// git doesn't know `rev`.
pub(super) fn against(
    rev: &str,
    wanted: &[EnvName],
    project: &Project,
    context: &Context,
    found: &mut Findings,
) -> Result<()> {
    let repository = Repository::of(project, context);
    let commit = repository.commit(rev)?;
    let bases = repository.ask(&["merge-base", "--all", &commit, "HEAD"]).unwrap_or(commit);
    let prefix = repository.prefix();
    let mut names: BTreeSet<EnvName> = wanted.iter().cloned().collect();
    if context.globals.env.is_empty() {
        for base in bases.lines() {
            names.extend(at_commit(base, &repository)?);
        }
    }
    let mut objects = repository.objects()?;
    for name in names {
        // As it is called in the repository, for pages that show it.
        let file = format!("{prefix}{}", path_of(&name));
        // What can't be read now was told already.
        let Ok(after) = project.find(&name) else { continue };
        let after = after.map(|vault| vault.file);
        let mut all: Vec<Change> = Vec::new();
        for before in before(&bases, &file, &name, &mut objects)? {
            if matches!(before, Version::Unreadable) {
                found.warn(format!("{name}: not readable at {}, so not compared", shown(rev)));
                continue;
            }
            let more = changes(before.file(), after.as_ref()).into_iter();
            let more: Vec<Change> = more.filter(|change| !all.contains(change)).collect();
            all.extend(more);
        }
        for change in all {
            let line = after.as_ref().and_then(|after| line(&change, after)).unwrap_or(1);
            found.add(level(&change), format!("{name}: {change}"), Some((file.clone(), line)));
        }
    }
    Ok(())
}

/// What stood in a file at each of these commits. One that lacks it counts only if all do.
fn before(
    commits: &str,
    file: &str,
    name: &EnvName,
    objects: &mut Objects,
) -> Result<Vec<Version>> {
    let versions =
        commits.lines().map(|commit| Version::read(objects, &format!("{commit}:{file}"), name));
    let mut all = versions.collect::<Result<Vec<_>>>()?;
    all.retain(|version| !matches!(version, Version::Missing));
    if all.is_empty() {
        all.push(Version::Missing);
    }
    Ok(all)
}

/// The environments that a commit has.
fn at_commit(commit: &str, repository: &Repository<'_>) -> Result<Vec<EnvName>> {
    let folder = format!("{ENVS_FOLDER}/");
    let list = repository.output(&["ls-tree", "--name-only", "-z", commit, &folder])?;
    Ok(list.split(|byte| *byte == 0).filter_map(environment_of_path).collect())
}

/// What no command of ours does is an error: somebody has put something back.
fn level(change: &Change) -> Level {
    match change {
        Change::OtherId
        | Change::EarlierKey
        | Change::Older(_)
        | Change::Vanished(_)
        | Change::Unrecorded(_)
        | Change::BackAgain(_) => Level::Error,
        Change::Deleted | Change::Unreadable | Change::Removed(_) | Change::OtherKey(..) => {
            Level::Warning
        }
        _ => Level::Note,
    }
}

/// Where it stands in the later version.
fn line(change: &Change, after: &VaultFile) -> Option<usize> {
    let line = match change {
        Change::Joined(name, _) | Change::OtherKey(name, _) | Change::BackAgain(name) => {
            after.members.get(name)?.line
        }
        Change::Left(name) => after.former.iter().find(|(entry, _)| entry.member() == name)?.1.line,
        change => after.secrets.get(change.variable()?)?.line(),
    };
    Some(line).filter(|line| *line > 0)
}
