//! `vault check --against REV`: what a branch would change of the environments, for who reviews it. No key is needed.

use std::collections::BTreeSet;
use std::ffi::OsStr;

use super::Context;
use super::findings::{Findings, Level};
use crate::error::{Error, Result};
use crate::format::{FILE_LIMIT, VaultFile};
use crate::process::Surroundings;
use crate::process::git::{Objects, git, git_output};
use crate::vars::name::{EnvName, shown};
use crate::vault::compare::{Change, changes};
use crate::vault::{ENVS_FOLDER, Project};

/// Compares the files in the work tree with those of the commit at which the branch has left `rev`: with what a
/// merge takes them for.
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
    let around = Surroundings { folder: project.root(), environment: &context.outside.environment };
    let ask = |words: &[&str]| {
        let words: Vec<&OsStr> = words.iter().map(OsStr::new).collect();
        git(&words, &around)
    };
    let commit = format!("{rev}^{{commit}}");
    let commit = ask(&["rev-parse", "--verify", "-q", "--end-of-options", &commit]);
    let commit = commit.ok_or_else(|| {
        Error::not_found(format!("git has no commit `{}`", shown(rev)))
            .hint("fetch it first; a clone that is shallow lacks what is behind its first commit")
    })?;
    let start = ask(&["merge-base", &commit, "HEAD"]).unwrap_or(commit);
    let prefix = ask(&["rev-parse", "--show-prefix"]).unwrap_or_default();
    let mut names: BTreeSet<EnvName> = wanted.iter().cloned().collect();
    if context.globals.env.is_empty() {
        names.extend(at_commit(&start, &around)?);
    }
    let mut objects = Objects::start(&around)?;
    for name in names {
        // As it is called in the repository, for pages that show it.
        let file = (name.clone(), format!("{prefix}{ENVS_FOLDER}/{name}.toml"));
        let blob = objects.blob(&format!("{start}:{}", file.1), FILE_LIMIT)?;
        let before = blob.map(|bytes| VaultFile::parse(&bytes, &name));
        // What can't be read now was told already.
        let Ok(after) = project.find(&name) else { continue };
        let after = after.map(|vault| vault.file);
        match before {
            Some(Err(_)) => {
                found.note(format!("{name}: not readable at {}, so not compared", shown(rev)))
            }
            Some(Ok(before)) => compare(Some(&before), after.as_ref(), &file, found),
            None => compare(None, after.as_ref(), &file, found),
        }
    }
    Ok(())
}

/// The environments that a commit has.
fn at_commit(commit: &str, around: &Surroundings<'_>) -> Result<Vec<EnvName>> {
    let folder = format!("{ENVS_FOLDER}/");
    let words = ["ls-tree", "--name-only", "-z", commit, &folder].map(OsStr::new);
    let list = git_output(&words, around)?;
    let name = |path: &[u8]| {
        let path = std::str::from_utf8(path).ok()?;
        path.strip_prefix(&folder)?.strip_suffix(".toml")?.parse().ok()
    };
    Ok(list.split(|byte| *byte == 0).filter_map(name).collect())
}

fn compare(
    before: Option<&VaultFile>,
    after: Option<&VaultFile>,
    (name, file): &(EnvName, String),
    found: &mut Findings,
) {
    for change in changes(before, after) {
        let line = after.and_then(|after| line(&change, after)).unwrap_or(1);
        found.add(level(&change), format!("{name}: {change}"), Some((file.clone(), line)));
    }
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
