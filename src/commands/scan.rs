//! `vault scan`: what should not be in a repository, before it is there for good.
//!
//! A guard against accidents. Findings are told by place and name; of what was found nothing is ever shown.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::Context;
use super::pins::Purpose;
use super::sources::{Ground, Look};
use crate::cli::ui::count;
use crate::crypto::sha256;
use crate::error::{Error, Kind as Failure, Result};
use crate::format::{CONFLICT, conflict_marker};
use crate::process::redact::Patterns;
use crate::secret::Secret;
use crate::vars::hex;
use crate::vars::name::{EnvName, shown_bytes};
use crate::vars::scan::allow::{Allowed, FINGERPRINT};
use crate::vars::scan::{Kind, Searcher, dotfile, is_allowed_by_comment, is_binary};
use crate::vault::{ENVS_FOLDER, Key, Project};

/// Look for secrets in the files of the repository
///
/// Finds values of the vault that your key opens, in every encoding that is hidden in output; private keys;
/// dotenv files with values; tokens of known shapes; and what git left in an environment where it saw a
/// conflict. No value is shown. The status is 1 if anything was found. Without arguments it looks at the
/// files that git tracks.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("where").multiple(false))]
pub(crate) struct ScanArgs {
    /// Look at what is staged, as a hook before a commit does
    #[arg(long, group = "where")]
    staged: bool,
    /// Look at every version of every file that a branch or tag can reach
    #[arg(long, group = "where")]
    history: bool,
    /// Files, and folders with all that lies below
    #[arg(value_name = "PATH", group = "where", value_hint = clap::ValueHint::AnyPath)]
    paths: Vec<PathBuf>,
}

/// A value that stands in more files than this is perhaps public. Without `-v` only these are told.
const MANY: usize = 5;

/// One finding.
struct Finding {
    kind: Kind,
    path: Vec<u8>,
    line: Option<usize>,
    what: String,
    /// `ENV:NAME` of a value.
    value: Option<String>,
    fingerprint: String,
    commit: Option<String>,
}

/// Runs it. The status is 0 or 1.
pub(crate) fn run(args: &ScanArgs, context: &Context) -> Result<u8> {
    let project = context.find_project()?.filter(Project::exists);
    let settings = project.as_ref().map(Project::settings).transpose()?.unwrap_or_default();
    let mut ground = Ground::find(context);
    let mut scan = Scan {
        project: project.as_ref().and_then(|project| place_of(project, ground.root())),
        values: project.as_ref().and_then(|project| values(context, project)),
        searcher: Searcher::new(),
        allowed: settings.scan,
        files: 0,
        seen: BTreeSet::new(),
        found: Vec::new(),
        torn: Vec::new(),
    };
    let each = &mut |look: &Look<'_>| scan.look(look);
    if args.staged {
        ground.staged(each)?;
    } else if args.history {
        ground.history(each)?;
    } else if args.paths.is_empty() {
        ground.tracked(each)?;
    } else {
        ground.named(&args.paths, each)?;
    }
    let searched = if args.history { "version" } else { "file" };
    context.ui.detail(&format!("{} searched", count(scan.files, searched)));
    if !args.history {
        scan.found.sort_by(|a, b| a.path.cmp(&b.path));
    }
    tell(context, &scan.found, args.history)?;
    if !scan.torn.is_empty() {
        return Err(Error::several(Failure::Failed, scan.torn)
            .hint("`vault resolve` merges the versions that git has"));
    }
    Ok(u8::from(!scan.found.is_empty() || ground.is_incomplete))
}

/// The project's folder as seen from the root: what `vault.toml` gives paths from.
fn place_of(project: &Project, root: &Path) -> Option<Vec<u8>> {
    let folder = project.root().canonicalize().ok()?;
    let below = folder.strip_prefix(root).ok()?;
    Some(below.as_os_str().as_encoded_bytes().to_vec())
}

/// The values of all environments that the user's key opens.
fn values(context: &Context, project: &Project) -> Option<Patterns> {
    let not_searched = |why: &dyn std::fmt::Display| {
        context.ui.warn(&format!("values of the vault were not looked for: {why}"));
    };
    let names = project.environments().unwrap_or_default();
    if names.is_empty() {
        return None;
    }
    let key = match context.find_identities() {
        Ok(Some(identities)) => Key::Identities(identities),
        Ok(None) => {
            not_searched(&"there is no private key");
            return None;
        }
        Err(error) => {
            not_searched(&error);
            return None;
        }
    };
    let mut all: Vec<(String, Secret)> = Vec::new();
    let (mut opened_any, mut closed) = (false, Vec::new());
    for name in names {
        match open(context, project, &name, &key) {
            Ok(values) => {
                opened_any = true;
                all.extend(values);
            }
            Err(error) if error.kind() == Failure::NoAccess => closed.push(name),
            Err(error) => {
                context.ui.warn(&format!("values of {name} were not looked for: {error}"));
            }
        }
    }
    if !opened_any && !closed.is_empty() {
        not_searched(&"your key opens no environment here");
    } else if !closed.is_empty() {
        let closed = crate::vault::join(&closed);
        context
            .ui
            .detail(&format!("values of {closed} were not looked for: your key does not open it"));
    }
    Patterns::told_as(all.iter().map(|(told, value)| (told.clone(), value)))
}

fn open(
    context: &Context,
    project: &Project,
    name: &EnvName,
    key: &Key,
) -> Result<Vec<(String, Secret)>> {
    let vault = project.read(name)?;
    let opened = context.unlock(project, &vault, key, Purpose::Read)?;
    let vars = vault.vars(&opened)?;
    Ok(vars.iter().map(|(variable, value)| (format!("{name}:{variable}"), value.clone())).collect())
}

/// What is looked for, and what was found so far.
struct Scan {
    project: Option<Vec<u8>>,
    values: Option<Patterns>,
    searcher: Searcher,
    allowed: Vec<Allowed>,
    files: usize,
    /// Of what was found, to tell it once.
    seen: BTreeSet<String>,
    found: Vec<Finding>,
    /// Environments that stand in two versions, which nobody could open.
    torn: Vec<String>,
}

impl Scan {
    /// Searches one file.
    fn look(&mut self, look: &Look<'_>) {
        let (path, bytes) = (look.path, look.bytes);
        if is_environment(path) {
            let line = conflict_marker(bytes).filter(|_| look.commit.is_none());
            self.torn.extend(line.map(|line| format!("{}:{line}: {CONFLICT}", shown_bytes(path))));
            return;
        }
        if self.is_allowed(path) {
            return;
        }
        self.files += 1;
        let is_text = !is_binary(bytes);
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
        let mut found: Vec<(usize, Kind, String, Option<String>, String)> = Vec::new();
        if is_text
            && dotfile::is_named(name)
            && dotfile::has_values(bytes)
            && !is_allowed_by_comment(bytes, 0)
        {
            let print = fingerprint(Kind::Dotenv, path, &[]);
            found.push((0, Kind::Dotenv, "a dotenv file with values".to_owned(), None, print));
        }
        if let Some(values) = &self.values {
            let mut told_here: BTreeSet<&[u8]> = BTreeSet::new();
            values.find(bytes, |at, told| {
                if told_here.insert(told) {
                    let value = String::from_utf8_lossy(told).into_owned();
                    let what = format!("a value of {}", value.replacen(':', ": ", 1));
                    let print = fingerprint(Kind::Value, path, &[told]);
                    found.push((at, Kind::Value, what, Some(value), print));
                }
            });
        }
        for hit in self.searcher.search(bytes, is_text) {
            if !(is_text && is_allowed_by_comment(bytes, hit.at)) {
                let print = fingerprint(hit.kind, path, &hit.identity);
                found.push((hit.at, hit.kind, hit.what.to_owned(), None, print));
            }
        }
        found.sort_by_key(|one| (one.0, one.1));
        let (mut line, mut counted) = (1, 0);
        for (at, kind, what, value, fingerprint) in found {
            let between = bytes.get(counted..at).unwrap_or_default();
            line += between.split(|byte| *byte == b'\n').count().saturating_sub(1);
            counted = at;
            if self.is_allowed_one(&fingerprint, value.as_deref())
                || !self.seen.insert(fingerprint.clone())
            {
                continue;
            }
            self.found.push(Finding {
                kind,
                path: path.to_owned(),
                line: (is_text && kind != Kind::Dotenv).then_some(line),
                what,
                value,
                fingerprint,
                commit: look.commit.map(str::to_owned),
            });
        }
    }

    /// Whether `vault.toml` allows the path, from the root or from its own folder.
    fn is_allowed(&self, path: &[u8]) -> bool {
        let inner =
            self.project.as_deref().filter(|place| !place.is_empty()).and_then(|place| {
                path.strip_prefix(place).and_then(|rest| rest.strip_prefix(b"/"))
            });
        self.allowed
            .iter()
            .any(|one| one.covers(path) || inner.is_some_and(|inner| one.covers(inner)))
    }

    fn is_allowed_one(&self, fingerprint: &str, value: Option<&str>) -> bool {
        self.allowed.iter().any(|one| match one {
            Allowed::Fingerprint(allowed) => allowed == fingerprint,
            Allowed::Value(allowed) => Some(allowed.as_str()) == value,
            Allowed::Path(_) => false,
        })
    }
}

/// Whether it is the file of an environment: what stands there is sealed.
fn is_environment(path: &[u8]) -> bool {
    let mut parts = path.rsplit(|byte| *byte == b'/');
    let name = parts.next().and_then(|name| name.strip_suffix(b".toml"));
    let is_name =
        |name: &[u8]| std::str::from_utf8(name).is_ok_and(|name| name.parse::<EnvName>().is_ok());
    name.is_some_and(is_name) && parts.next() == Some(ENVS_FOLDER.as_bytes())
}

/// What tells a finding from others, wherever its line moves. `parts` must be no short secret: who sees the
/// fingerprint could try all of them.
fn fingerprint(kind: Kind, path: &[u8], parts: &[&[u8]]) -> String {
    let mut all: Vec<&[u8]> = vec![b"vault scan", b"\0", kind.word().as_bytes(), b"\0", path];
    for part in parts {
        all.extend([b"\0", *part]);
    }
    hex(&sha256(all)).chars().take(FINGERPRINT).collect()
}

fn tell(context: &Context, found: &[Finding], is_history: bool) -> Result<()> {
    if context.ui.json {
        let all: Vec<Value> = found.iter().map(Finding::to_json).collect();
        return context.ui.out(format!("{}\n", Value::Array(all)).as_bytes());
    }
    let mut lines = Vec::new();
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for one in found {
        if let Some(value) = &one.value {
            let times = times.entry(value).or_default();
            *times += 1;
            if *times > MANY && !context.ui.verbose {
                continue;
            }
        }
        lines.push(one.line());
    }
    context.ui.out(lines.concat().as_bytes())?;
    for (value, times) in times.into_iter().filter(|(_, times)| *times > MANY) {
        if !context.ui.verbose {
            let more = count(times - MANY, "more file");
            context
                .ui
                .warn(&format!("{} is in {more}, which `-v` names", value.replacen(':', ": ", 1)));
        }
        context.ui.hint(&format!(
            "if that value is public, add `{value}` to `allow` under `[scan]` in vault.toml"
        ));
    }
    if !found.is_empty() {
        context.ui.hint(if is_history {
            "make new ones of those that are real, wherever they are used: who has the repository has them"
        } else {
            "take it out; what may stay goes by the number in brackets into `allow` under `[scan]` in vault.toml"
        });
    }
    Ok(())
}

impl Finding {
    /// For people.
    fn line(&self) -> String {
        let path = shown_bytes(&self.path);
        let line = self.line.map(|line| format!(":{line}")).unwrap_or_default();
        let commit = self.commit.as_ref().map(|commit| format!(" in commit {commit}"));
        let (what, commit) = (&self.what, commit.unwrap_or_default());
        format!("{path}{line}: {what}{commit} [{}]\n", self.fingerprint)
    }

    /// For programs.
    fn to_json(&self) -> Value {
        let value = self.value.as_ref().and_then(|value| value.split_once(':'));
        let (environment, name) = value.unzip();
        let path =
            std::str::from_utf8(&self.path).map_or_else(|_| shown_bytes(&self.path), str::to_owned);
        json!({
            "kind": self.kind.word(),
            "path": path,
            "line": self.line,
            "what": self.what,
            "env": environment,
            "name": name,
            "fingerprint": self.fingerprint,
            "commit": self.commit,
        })
    }
}
