//! `vault log`: what git's history says of the environments.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::rc::Rc;

use clap::Args;
use serde_json::{Value, json};

use super::repository::{Repository, Version, environment_of_path};
use super::{Context, variable};
use crate::error::{Error, Result};
use crate::process::git::{Objects, git_parts};
use crate::vars::name::{EnvName, VarName, shown};
use crate::vault::compare::{Change, changes};
use crate::vault::{ENVS_FOLDER, Project};

/// Show when who changed which names, from git's history
///
/// The newest commit comes first. It needs no key, so nothing that it shows is verified; who made a commit is
/// what the commit says.
#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// Only what concerns this variable
    #[arg(add = super::completions::variable_names())]
    name: Option<String>,
}

/// What stands between the fields of a commit; no field has it.
const FIELD: char = '\u{1f}';
/// What a line of a commit begins with, unlike a line of a changed file.
const COMMIT: &[u8] = b"\x1e";

/// One commit, as its line says.
#[derive(Default)]
struct Commit {
    id: String,
    day: String,
    time: u64,
    author: String,
    subject: String,
}

/// What is being told.
struct Teller<'a> {
    context: &'a Context,
    name: Option<VarName>,
    wanted: Option<Vec<EnvName>>,
    objects: Objects,
    commit: Commit,
    /// What git says of the file whose path comes next.
    raw: String,
    /// Of the commit, by environment.
    found: BTreeMap<EnvName, Vec<Change>>,
    told: Vec<Value>,
    found_any: bool,
    /// The versions that were read last: the older one of a commit is the newer one of the next.
    last: BTreeMap<EnvName, (String, Rc<Version>)>,
}

/// Runs it.
pub(crate) fn run(args: &LogArgs, context: &Context) -> Result<()> {
    let project = context.project()?;
    let name = args.name.as_deref().map(variable).transpose()?;
    let wanted = context.named(&project)?;
    let repository = Repository::of(&project, context);
    if repository.ask(&["rev-parse", "--verify", "-q", "HEAD"]).is_none() {
        return Err(Error::failed("there is no commit of git here")
            .hint("`vault log` reads git's history: commit the folder `envs` first"));
    }
    let objects = repository.objects()?;
    let mut teller = Teller {
        context,
        name,
        wanted,
        objects,
        commit: Commit::default(),
        raw: String::new(),
        found: BTreeMap::new(),
        told: Vec::new(),
        found_any: false,
        last: BTreeMap::new(),
    };
    let format = format!("--format=%x1e%h{FIELD}%as{FIELD}%at{FIELD}%aN <%aE>{FIELD}%s");
    // A merge shows what it has that none of its parents has.
    let words = [
        "log",
        // A branch whose changes were undone by the merge is history, too.
        "--full-history",
        "--relative",
        "--raw",
        "-c",
        "--no-abbrev",
        "--no-renames",
        "--no-ext-diff",
        "--no-textconv",
        "--no-color",
        "-z",
        &format,
        "--",
        ENVS_FOLDER,
    ];
    git_parts(&words.map(OsStr::new), &repository.around, 0, &mut |part| teller.part(part))?;
    teller.end_of_commit()?;
    if context.ui.json {
        let all = Value::Array(std::mem::take(&mut teller.told));
        context.ui.out(format!("{all}\n").as_bytes())?;
    } else if !teller.found_any {
        return nothing(&teller, &project);
    }
    Ok(())
}

/// An environment that is gone has a history, and one that never was has none.
fn nothing(teller: &Teller<'_>, project: &Project) -> Result<()> {
    let known = project.environments()?;
    let mut wanted = teller.wanted.iter().flatten();
    let never = |name: &&EnvName| !known.contains(name) && !teller.last.contains_key(*name);
    if let Some(unknown) = wanted.find(never) {
        return Err(project.unknown(unknown.as_str()));
    }
    match &teller.name {
        Some(name) => Err(Error::not_found(format!("no commit has changed {name}"))
            .hint("`vault list` shows the names that there are")),
        None => Ok(()),
    }
}

impl Teller<'_> {
    /// A commit's line, the modes and blobs of a file, or the file's path: git ends each by NUL.
    fn part(&mut self, part: &[u8]) -> Result<bool> {
        let part = part.strip_prefix(b"\n").unwrap_or(part);
        if let Some(line) = part.strip_prefix(COMMIT) {
            self.end_of_commit()?;
            self.commit = commit(&String::from_utf8_lossy(line));
        } else if part.starts_with(b":") {
            self.raw = String::from_utf8_lossy(part).into_owned();
        } else if let Some(name) = environment_of_path(part) {
            self.file(name)?;
        }
        Ok(true)
    }

    /// A file of the commit, of which `raw` has the blobs: one for each parent, then the commit's own.
    fn file(&mut self, name: EnvName) -> Result<()> {
        if self.wanted.as_ref().is_some_and(|wanted| !wanted.contains(&name)) {
            return Ok(());
        }
        let raw = std::mem::take(&mut self.raw);
        let parents = raw.bytes().take_while(|byte| *byte == b':').count();
        let ids: Vec<&str> = raw.split(' ').skip(parents + 1).take(parents + 1).collect();
        let Some((own, parents)) = ids.split_last() else { return Ok(()) };
        let after = self.version(&name, own)?;
        let mut found: Option<Vec<Change>> = None;
        for parent in parents {
            let before = self.version(&name, parent)?;
            let changes = between(&before, &after);
            found = Some(match found {
                Some(mut all) => {
                    all.retain(|change| changes.contains(change));
                    all
                }
                None => changes,
            });
        }
        self.found.insert(name, found.unwrap_or_default());
        Ok(())
    }

    fn version(&mut self, name: &EnvName, id: &str) -> Result<Rc<Version>> {
        if id.bytes().all(|byte| byte == b'0') {
            return Ok(Rc::new(Version::Missing));
        }
        if let Some((_, version)) = self.last.get(name).filter(|(last, _)| last == id) {
            return Ok(Rc::clone(version));
        }
        let version = match Version::read(&mut self.objects, id, name)? {
            // The commit has it, and this clone doesn't.
            Version::Missing => Version::Unreadable,
            version => version,
        };
        let version = Rc::new(version);
        self.last.insert(name.clone(), (id.to_owned(), Rc::clone(&version)));
        Ok(version)
    }

    fn end_of_commit(&mut self) -> Result<()> {
        let commit = std::mem::take(&mut self.commit);
        let mut found = std::mem::take(&mut self.found);
        for changes in found.values_mut() {
            changes.retain(|change| {
                self.name.as_ref().is_none_or(|name| change.variable() == Some(name))
            });
        }
        found.retain(|_, changes| !changes.is_empty());
        if found.is_empty() {
            return Ok(());
        }
        self.found_any = true;
        if self.context.ui.json {
            let all: BTreeMap<&str, Vec<String>> = found
                .iter()
                .map(|(name, changes)| {
                    (name.as_str(), changes.iter().map(ToString::to_string).collect())
                })
                .collect();
            self.told.push(json!({
                "commit": commit.id,
                "time": commit.time,
                "author": commit.author,
                "subject": commit.subject,
                "environments": all,
            }));
            return Ok(());
        }
        let short = commit.id.get(..10).unwrap_or(&commit.id);
        let mut text = format!(
            "{} {} {}: {}\n",
            short,
            commit.day,
            shown(&commit.author),
            shown(&commit.subject)
        );
        for (name, changes) in &found {
            let all: Vec<String> = changes.iter().map(ToString::to_string).collect();
            text.extend(["  ", name.as_str(), ": ", &all.join(", "), "\n"]);
        }
        self.context.ui.out(text.as_bytes())
    }
}

fn between(before: &Version, after: &Version) -> Vec<Change> {
    match (before, after) {
        (_, Version::Unreadable) => vec![Change::Unreadable],
        // What was before can't be said.
        (Version::Unreadable, _) => vec![Change::Made],
        _ => changes(before.file(), after.file()),
    }
}

fn commit(line: &str) -> Commit {
    let mut fields = line.split(FIELD).map(str::to_owned);
    let mut next = || fields.next().unwrap_or_default();
    Commit {
        id: next(),
        day: next(),
        time: next().parse().unwrap_or(0),
        author: next(),
        subject: next(),
    }
}
