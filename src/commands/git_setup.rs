//! `vault git-setup`: git shows, merges and guards vault files as what they are.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap::Args;

use super::Context;
use super::export::{not_written, replace_file};
use super::repository::Repository;
use crate::error::{Error, Result, shown_path};
use crate::process::replace::{find, this_program};
use crate::vault::Project;

/// Have git show, merge and guard the files of this vault
///
/// Sets up this clone: `git diff` and `git log -p` show names and members, `git merge` and `git rebase` merge by
/// name, and a commit is scanned for plaintext. The lines for .gitattributes are for all: commit them.
#[derive(Debug, Args)]
pub(crate) struct GitSetupArgs {
    /// Take all of it out again
    #[arg(long)]
    undo: bool,
}

/// What the attributes of vault files are.
const ATTRIBUTES: &str = "envs/*.toml diff=vault merge=vault";
const ATTRIBUTES_FILE: &str = ".gitattributes";
/// The driver for the common ancestors of branches that were merged into each other.
const ANCESTORS: &str = "vault-ancestors";
const HOOK: &str = "pre-commit";
/// What an own hook is moved to, beside ours, which calls it first.
const BEFORE: &str = "pre-commit.before-vault";
/// By this line we know our own hook.
const MARK: &str = "# Written by `vault git-setup`, and removed by `vault git-setup --undo`.";

/// This clone, and the project in it.
struct Clone<'a> {
    context: &'a Context,
    project: &'a Project,
    repository: Repository<'a>,
    /// The way from the top of the work tree to the project: empty, or with a slash at its end.
    prefix: String,
    changed: bool,
}

/// Whether this clone lacks what the project's `.gitattributes` asks for.
pub(super) fn is_missing(project: &Project, context: &Context) -> bool {
    let text = Clone::attributes(&project.near().join(ATTRIBUTES_FILE)).unwrap_or_default();
    let repository = Repository::of(project, context);
    text.lines().any(|line| line == ATTRIBUTES)
        && repository.ask(&["rev-parse", "--git-dir"]).is_some()
        && repository.ask(&["config", "--get", "merge.vault.driver"]).is_none()
}

/// Runs it.
pub(crate) fn run(args: &GitSetupArgs, context: &Context) -> Result<()> {
    let project = context.project()?;
    let repository = Repository::of(&project, context);
    match repository.ask(&["rev-parse", "--is-bare-repository"]).as_deref() {
        Some("true") => {
            return Err(Error::failed("this clone is bare: nothing is merged or committed in it")
                .hint("set up the clones in which people work"));
        }
        Some(_) => {}
        None => {
            return Err(
                Error::failed("there is no repository of git here").hint("`git init` makes one")
            );
        }
    }
    let prefix = repository.prefix();
    if prefix.contains(char::is_control) {
        return Err(Error::failed(
            "the name of the project's folder has a control character, which no hook can hold",
        )
        .hint("rename the folder"));
    }
    let mut clone = Clone { context, project: &project, repository, prefix, changed: false };
    if args.undo {
        clone.undo()?;
    } else {
        clone.set_up()?;
    }
    if !clone.changed {
        let state =
            if args.undo { "nothing of vault is set up in git" } else { "git is set up already" };
        context.ui.say(state);
    }
    Ok(())
}

impl Clone<'_> {
    fn set_up(&mut self) -> Result<()> {
        let vault = self.own_name()?;
        self.set("diff.vault.textconv", &format!("{vault} git-textconv --"))?;
        self.set("merge.vault.name", "vault: environments by name")?;
        self.set("merge.vault.driver", &driver(&vault, "git-merge"))?;
        self.set("merge.vault.recursive", ANCESTORS)?;
        let ancestors = driver(&vault, "git-merge --ancestors");
        self.set(&format!("merge.{ANCESTORS}.driver"), &ancestors)?;
        self.add_attributes()?;
        self.add_hook(&vault)
    }

    fn undo(&mut self) -> Result<()> {
        self.remove_attributes()?;
        if self.remove_hook()? {
            self.context
                .ui
                .detail("another project of this clone goes on with git's configuration");
            return Ok(());
        }
        for section in ["diff.vault", "merge.vault", "merge.vault-ancestors"] {
            if self.repository.does(&["config", "--local", "--remove-section", section]) {
                self.tell(&format!("git config: `{section}` removed"));
            }
        }
        Ok(())
    }

    fn remove_attributes(&mut self) -> Result<()> {
        let path = self.project.near().join(ATTRIBUTES_FILE);
        let text = Self::attributes(&path)?;
        if text.lines().any(|line| line == ATTRIBUTES) {
            let rest: String =
                text.split_inclusive('\n').filter(|line| line.trim_end() != ATTRIBUTES).collect();
            if rest.is_empty() {
                std::fs::remove_file(&path).map_err(|error| Error::io("remove", &path, &error))?;
            } else {
                replace_file(&path, rest.as_bytes(), Some(0o644))?;
            }
            self.tell(&format!("{}: `{ATTRIBUTES}` removed", shown_path(&path)));
        }
        Ok(())
    }

    fn tell(&mut self, what: &str) {
        self.changed = true;
        self.context.ui.say(what);
    }

    /// How git is to call us: by name where that finds this program, else by its path. `HashiCorp`'s program has
    /// the same name.
    fn own_name(&self) -> Result<String> {
        let own = this_program()?;
        let found = find(OsStr::new("vault"), self.context.outside.get("PATH")).ok();
        let real = |path: PathBuf| path.canonicalize().unwrap_or(path);
        if found.map(real) == Some(real(own.clone())) {
            return Ok("vault".to_owned());
        }
        let own = own.to_str().ok_or_else(|| {
            Error::failed(
                "the path of this program is not UTF-8, and git's configuration can't hold it",
            )
        })?;
        Ok(quoted(own))
    }

    fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let there = self.repository.ask(&["config", "--local", "--get", name]);
        if there.as_deref() == Some(value) {
            return Ok(());
        }
        self.repository.output(&["config", "--local", name, value])?;
        self.tell(&format!("git config: {name} = {value}"));
        Ok(())
    }

    fn attributes(path: &Path) -> Result<String> {
        match path.symlink_metadata() {
            Ok(found) if !found.is_file() => {
                return Err(not_written(path, "a link or no regular file"));
            }
            Ok(_) => {}
            Err(_) => return Ok(String::new()),
        }
        std::fs::read_to_string(path).map_err(|error| Error::io("read", path, &error))
    }

    fn add_attributes(&mut self) -> Result<()> {
        let path = self.project.near().join(ATTRIBUTES_FILE);
        let mut text = Self::attributes(&path)?;
        if text.lines().any(|line| line == ATTRIBUTES) {
            return Ok(());
        }
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(ATTRIBUTES);
        text.push('\n');
        replace_file(&path, text.as_bytes(), Some(0o644))?;
        self.tell(&format!("{}: {ATTRIBUTES}", shown_path(&path)));
        self.context.ui.hint(&format!("commit {}", shown_path(&path)));
        Ok(())
    }

    /// Where git looks for hooks; None where somebody else keeps them.
    fn hooks(&mut self) -> Result<Option<PathBuf>> {
        if self.repository.ask(&["config", "--get", "core.hooksPath"]).is_some() {
            return Ok(None);
        }
        let path = self
            .repository
            .ask(&["rev-parse", "--git-path", "hooks"])
            .ok_or_else(|| Error::failed("git does not say where its hooks are"))?;
        Ok(Some(self.project.root().join(path)))
    }

    fn add_hook(&mut self, vault: &str) -> Result<()> {
        let Some(folder) = self.hooks()? else {
            self.context
                .ui
                .warn("core.hooksPath is set, so another tool keeps the hooks of this clone");
            self.context.ui.hint("have its pre-commit hook call `vault scan --staged`");
            return Ok(());
        };
        let path = folder.join(HOOK);
        let there = std::fs::read_to_string(&path).ok();
        let ours = there.as_deref().and_then(Hook::parse);
        let is_ours = ours.is_some();
        let mut hook = ours.unwrap_or_default();
        hook.scans.insert(self.folder_in_clone(), vault.to_owned());
        let text = hook.to_text();
        if there.as_ref() == Some(&text) {
            return Ok(());
        }
        if path.symlink_metadata().is_ok() && !is_ours {
            let before = folder.join(BEFORE);
            if before.symlink_metadata().is_ok() {
                return Err(Error::failed(format!("`{}` is there already", shown_path(&before)))
                    .hint("move it away: the hook that is there now would take its place"));
            }
            std::fs::rename(&path, &before).map_err(|error| Error::io("move", &path, &error))?;
            self.tell(&format!("{HOOK} hook: yours is called first, as {BEFORE}"));
        }
        std::fs::create_dir_all(&folder)
            .map_err(|error| Error::io("make the folder", &folder, &error))?;
        replace_file(&path, text.as_bytes(), Some(0o755))?;
        self.tell(&format!("{HOOK} hook: {vault} scan --staged"));
        Ok(())
    }

    /// Takes this project's line out of the hook. Says whether another project has one there.
    fn remove_hook(&mut self) -> Result<bool> {
        let Some(folder) = self.hooks()? else { return Ok(false) };
        let (path, before) = (folder.join(HOOK), folder.join(BEFORE));
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let Some(mut hook) = Hook::parse(&text) else { return Ok(false) };
        let removed = hook.scans.remove(&self.folder_in_clone());
        if !hook.scans.is_empty() {
            if removed.is_some() {
                replace_file(&path, hook.to_text().as_bytes(), Some(0o755))?;
                self.tell(&format!("{HOOK} hook: this project's line removed"));
            }
            return Ok(true);
        }
        std::fs::remove_file(&path).map_err(|error| Error::io("remove", &path, &error))?;
        self.tell(&format!("{HOOK} hook removed"));
        if before.symlink_metadata().is_ok() {
            std::fs::rename(&before, &path).map_err(|error| Error::io("move", &before, &error))?;
            self.tell(&format!("{HOOK} hook: yours is in its place again"));
        }
        Ok(false)
    }

    /// The project's folder, from the top of the work tree: empty where it is that.
    fn folder_in_clone(&self) -> String {
        self.prefix.trim_end_matches('/').to_owned()
    }
}

/// The driver's line. Where the program isn't there any more, git's own merge of text takes its place: git would
/// leave our side as it is, and who commits that has lost the other one.
fn driver(vault: &str, command: &str) -> String {
    // In a driver's line `%` begins what git puts in.
    let vault = vault.replace('%', "%%");
    format!(
        "{vault} {command} -- %O %A %B %P; s=$?; case $s in 126|127) git merge-file -q %A %O %B; s=$?; esac; exit $s"
    )
}

/// Our hook: a scan for each project of the clone.
#[derive(Default)]
struct Hook {
    /// By the project's folder, how `vault` is called.
    scans: BTreeMap<String, String>,
}

impl Hook {
    /// Reads what [`Hook::to_text`] has written; None if it is somebody else's.
    fn parse(text: &str) -> Option<Self> {
        text.contains(MARK).then_some(())?;
        let scan = |line: &str| {
            let words = shell_words::split(line).ok()?;
            match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                [vault, "scan", "--staged", "||", "exit"] => Some((String::new(), quoted(vault))),
                [
                    "[",
                    "!",
                    "-d",
                    folder,
                    "]",
                    "||",
                    vault,
                    "-d",
                    _,
                    "scan",
                    "--staged",
                    "||",
                    "exit",
                ] => Some((folder.strip_prefix("./")?.to_owned(), quoted(vault))),
                _ => None,
            }
        };
        Some(Self { scans: text.lines().filter_map(scan).collect() })
    }

    /// A shell script. A branch may lack the folder of a project.
    fn to_text(&self) -> String {
        let scans = self.scans.iter().map(|(folder, vault)| match quoted(folder) {
            _ if folder.is_empty() => format!("{vault} scan --staged || exit\n"),
            folder => {
                format!("[ ! -d ./{folder} ] || {vault} -d ./{folder} scan --staged || exit\n")
            }
        });
        let head = format!(
            "#!/bin/sh\n{MARK}\nbefore=$(dirname \"$0\")/{BEFORE}\n\
             if [ -x \"$before\" ]; then \"$before\" \"$@\" || exit; fi\n"
        );
        head + &scans.collect::<String>()
    }
}

fn quoted(word: &str) -> String {
    shell_words::quote(word).into_owned()
}
