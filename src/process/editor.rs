//! A person's editor on a text that may reach no disk.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::environ::carries_a_key;
use super::replace::find;
use crate::error::{Error, Result, reason};
use crate::platform::{self, EditorEnd, EditorPlan, Exit, StepRefused, Wall, World};
use crate::vars::name::shown;

/// The variables that name an editor, in their order.
const NAMED_BY: [&str; 3] = ["VAULT_EDITOR", "VISUAL", "EDITOR"];
/// Which are tried where none is named.
const USUAL: [&str; 2] = ["vi", "nano"];
/// A vault file has at most 8 MiB, and quoting makes text longer.
const TEXT_LIMIT: u64 = 32 << 20;

/// Where an editor comes from, and what is around it.
pub(crate) struct Around<'a> {
    /// The one of `--editor`.
    pub(crate) named: Option<&'a str>,
    /// The process's environment.
    pub(crate) environment: &'a [(OsString, OsString)],
    /// The home folder.
    pub(crate) home: Option<PathBuf>,
}

impl Around<'_> {
    fn variable(&self, name: &str) -> Option<&OsStr> {
        let found = self.environment.iter().find(|(key, _)| key == name)?;
        Some(found.1.as_os_str()).filter(|value| !value.is_empty())
    }

    /// Finds the editor for a text of this name, and the best of the tiers that are allowed; see [`choose`].
    /// The one way to both: what `doctor` shows is what `edit` does.
    ///
    /// # Errors
    ///
    /// The editor that is named can't be found.
    pub(crate) fn choose(
        &self,
        text: &str,
        allowed: &[Tier],
    ) -> Result<(Option<EditorPlan>, Option<Choice>)> {
        let plan = if allowed == [Tier::Builtin] { None } else { self.plan(text)? };
        let choice = choose(plan.as_ref(), allowed);
        Ok((plan, choice))
    }

    /// What is to be started for a text of this name. None where no editor is named and none of the
    /// usual ones is there.
    ///
    /// # Errors
    ///
    /// The editor that is named can't be found.
    fn plan(&self, text: &str) -> Result<Option<EditorPlan>> {
        let path = self.variable("PATH");
        let named = self.named.map(|text| ("--editor", text.to_owned())).or_else(|| {
            NAMED_BY
                .into_iter()
                .find_map(|name| Some((name, self.variable(name)?.to_string_lossy().into_owned())))
        });
        let (program, words) = match named {
            Some((source, text)) => named_editor(source, &text, path)?,
            None => match usual_editor(path) {
                Some(usual) => usual,
                None => return Ok(None),
            },
        };
        let passed = self.environment.iter().filter(|(name, _)| !carries_a_key(name)).cloned();
        let folder =
            |name: &str| self.variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
        Ok(Some(EditorPlan {
            silencing: silencing(&program),
            program: program.canonicalize().unwrap_or(program),
            argv: words.into_iter().map(OsString::from).collect(),
            environment: passed.collect(),
            name: format!("{text}.env"),
            home: self.home.clone(),
            temporary: folder("TMPDIR"),
            runtime: folder("XDG_RUNTIME_DIR"),
        }))
    }
}

/// The editor that somebody has named.
fn named_editor(source: &str, text: &str, path: Option<&OsStr>) -> Result<(PathBuf, Vec<String>)> {
    let words = shell_words::split(text)
        .map_err(|_| Error::usage(format!("{source} has a quote that is never closed")))?;
    let first = words.first().ok_or_else(|| {
        Error::usage(format!("{source} names no editor")).hint("name one, as in `--editor nano`")
    })?;
    let found = find(OsStr::new(first), path).map_err(|_| {
        Error::failed(format!("the editor `{}` of {source} is not there", shown(first)))
            .hint("name another, as in `--editor nano`, or add `--isolation builtin`")
    })?;
    Ok((found, words))
}

/// The editor where none is named.
fn usual_editor(path: Option<&OsStr>) -> Option<(PathBuf, Vec<String>)> {
    let there = |name: &str| Some((find(OsStr::new(name), path).ok()?, vec![name.to_owned()]));
    USUAL.into_iter().find_map(there)
}

/// For Emacs, after its own dotfile.
const EMACS_QUIET: &str = "(setq make-backup-files nil auto-save-default nil create-lockfiles nil \
                           kill-emacs-hook nil kill-emacs-query-functions nil)";

/// What keeps well-known editors from trying to write where the fence doesn't let them.
fn silencing(program: &Path) -> Vec<OsString> {
    // `vi` is a link to many different programs.
    let real = program.canonicalize().unwrap_or_else(|_| program.to_owned());
    let name = real.file_name().map(OsStr::to_string_lossy).unwrap_or_default();
    let starts = |start: &str| name == start || name.starts_with(&format!("{start}."));
    let words: &[&str] = if starts("vim") || starts("nvim") {
        &["-n", "-i", "NONE", "-c", "set noundofile nobackup nowritebackup"]
    } else if starts("nano") {
        &["-R"]
    } else if starts("emacs") || name.starts_with("emacs-") {
        // What is remembered at its end asks for an answer if it can't be.
        &["--eval", EMACS_QUIET]
    } else if starts("micro") {
        &["-backup", "false", "-saveundo", "false", "-savehistory", "false", "-savecursor", "false"]
    } else if starts("joe") {
        &["-nobackups"]
    } else {
        &[]
    };
    words.iter().map(OsString::from).collect()
}

/// How it is made sure that nothing reaches a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tier {
    /// The editor is behind a wall.
    Behind(Wall),
    /// The editor is our own, in this process.
    Builtin,
}

impl Tier {
    /// In a word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Behind(Wall::Namespace) => "namespace",
            Self::Behind(Wall::Landlock) => "landlock",
            Self::Builtin => "builtin",
        }
    }

    /// What it does, in a sentence without its beginning.
    pub(crate) fn told(self) -> &'static str {
        match self {
            Self::Behind(Wall::Namespace) => {
                "all file systems are read-only or in memory for the editor (namespace)"
            }
            Self::Behind(Wall::Landlock) => {
                "the editor can write only to a folder in memory (landlock)"
            }
            Self::Builtin => "the editor is vault's own, which writes no file (builtin)",
        }
    }
}

/// The best tier that this machine gives, with its world, and why not a better one.
pub(crate) struct Choice {
    /// The tier.
    pub(crate) tier: Tier,
    /// What was refused on the way to it.
    pub(crate) refused: Vec<(Wall, StepRefused)>,
    world: Option<World>,
}

/// Tries the tiers that are allowed, the best one first. Each is tried in earnest: a probe could be wrong.
///
/// To be called before any secret is in memory, and while there is one thread.
fn choose(plan: Option<&EditorPlan>, allowed: &[Tier]) -> Option<Choice> {
    let mut refused = Vec::new();
    for &tier in allowed {
        let Tier::Behind(wall) = tier else { return Some(Choice { tier, refused, world: None }) };
        let Some(plan) = plan else { continue };
        match World::build(plan, wall) {
            Ok(world) => return Some(Choice { tier, refused, world: Some(world) }),
            Err(why) => refused.push((wall, why)),
        }
    }
    None
}

/// Why a step was refused, for people.
pub(crate) fn told(refused: &StepRefused) -> String {
    format!("{}: {}", refused.step, reason(&refused.error))
}

impl Choice {
    /// Has a person edit the text, which is called as the plan says. None where it is gone afterwards.
    /// `in_background` is called if the editor goes there.
    ///
    /// # Errors
    ///
    /// The editor can't be started, ends badly, or never opened the text. Nothing may be stored then.
    pub(crate) fn edit(
        &mut self,
        plan: &EditorPlan,
        text: &[u8],
        in_background: &dyn Fn(),
    ) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let Some(world) = &mut self.world else { return Ok(None) };
        let failed = |error: std::io::Error| {
            Error::failed(format!("the editor's folder in memory fails: {}", reason(&error)))
        };
        let program = shown(&plan.program.to_string_lossy());
        world.write(&plan.name, text).map_err(failed)?;
        let ended = platform::deaf_to_terminal(|| world.edit(in_background)).map_err(|_| {
            Error::failed("what keeps the editor apart was killed, and its text is gone")
        })?;
        match ended {
            EditorEnd::NotStarted(error) => {
                Err(Error::failed(format!("cannot start `{program}`: {}", reason(&error))))
            }
            EditorEnd::Exited { exit, .. } if exit != Exit::Code(0) => {
                let how = match exit {
                    Exit::Code(code) => format!("with status {code}"),
                    Exit::Signal(number) => format!("by signal {number}"),
                };
                Err(Error::failed(format!("`{program}` ended {how}, so nothing is stored")))
            }
            EditorEnd::Exited { opened: false, .. } => Err(Error::failed(format!(
                "`{program}` never opened the text: it handed its name to another process, which can't see it"
            ))
            .hint("use an editor that opens the file itself, as in `--editor nano`, or `--isolation builtin`")),
            EditorEnd::Exited { .. } => {
                world.read(&plan.name, TEXT_LIMIT).map(|text| text.map(Zeroizing::new)).map_err(failed)
            }
        }
    }
}
