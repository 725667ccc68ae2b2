//! Whether an opened file is believed: what this machine remembers, or `VAULT_PIN` in its place.

use std::path::{Path, PathBuf};

use super::{Context, now};
use crate::crypto::keys::PublicKey;
use crate::error::{Error, Kind, Result, shown_path};
use crate::format::{Fingerprint, Opened};
use crate::store::state;
use crate::vars::name::{EnvName, MemberName, shown};
use crate::vault::pins::{
    Candidate, Memory, News, Odd, Origin, PinVerdict, Pinned, Place, Seen, Stop, Story, Verdict,
};
use crate::vault::{Key, Project, Vault};

/// The file of the memory in our state folder.
const MEMORY_FILE: &str = "known_envs.toml";

/// What an environment is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// With `--old-key`, a data key that was replaced will do.
    Read,
    /// Only the newest data key will do.
    Write,
}

impl Context {
    /// Opens an environment and sees whether it is to be believed.
    pub(crate) fn unlock(
        &self,
        project: &Project,
        vault: &Vault,
        key: &Key,
        purpose: Purpose,
    ) -> Result<Opened> {
        let opened = vault.open(key)?;
        self.tell_opened(vault, &opened);
        self.believe(project, vault, &opened, purpose)?;
        Ok(opened)
    }

    /// Opens an environment to read its values, if this machine has checked its members and believed it before as they
    /// are. Of the members only the user is in it then.
    pub(crate) fn open_marked(
        &self,
        project: &Project,
        environment: &EnvName,
        key: &Key,
    ) -> Option<(Vault, Opened)> {
        let path = self.memory_path().filter(|_| self.outside.get("VAULT_PIN").is_none())?;
        let memory = state::read(&path).ok()??;
        let place = place(project, environment);
        project.open_marked(environment, key, |id, fingerprint| {
            Memory::mark(&memory, &place, id, fingerprint)
        })
    }

    /// Says who has opened it, to who wants to know.
    pub(super) fn tell_opened(&self, vault: &Vault, opened: &Opened) {
        self.ui.detail(&format!(
            "{}: opened as {}, data key {}",
            vault.environment(),
            opened.me(),
            opened.fingerprint()
        ));
    }

    /// Sees whether an opened environment is to be believed, and remembers what is new.
    pub(crate) fn believe(
        &self,
        project: &Project,
        vault: &Vault,
        opened: &Opened,
        purpose: Purpose,
    ) -> Result<()> {
        if let Some(pinned) = self.pinned()? {
            return by_pin(&pinned, vault, opened, purpose);
        }
        let Some(path) = self.memory_path() else {
            self.no_memory("there is no home folder");
            return Ok(());
        };
        let place = place(project, vault.environment());
        let candidate = Candidate { place: &place, file: &vault.file, opened };
        let text = state::read(&path)?.unwrap_or_default();
        let about = Some((&place, &vault.file.id));
        let memory = Memory::parse(&text, about).ok_or_else(|| damaged(&path))?;
        // Somebody else may have changed the memory since.
        let accept = |memory: &mut Memory<'_>| {
            let news = self.heard(project, memory, candidate, (vault, purpose), false)?;
            if news != News::Nothing {
                memory.accept(candidate.seen());
            }
            Ok(())
        };
        match self.heard(project, &memory, candidate, (vault, purpose), true)? {
            News::Nothing => Ok(()),
            News::Checked => {
                // What protects is remembered: at worst, the next run checks the members again.
                drop(self.remember_or_fail(&path, accept));
                Ok(())
            }
            News::More => self.remember(&path, accept),
        }
    }

    /// Remembers what this machine has just made.
    pub(crate) fn pin(&self, made: Vec<Seen>) -> Result<()> {
        if let Some(pinned) = self.pinned()? {
            for (environment, fingerprint) in made.iter().map(Seen::told) {
                if pinned.judge(environment, fingerprint) != PinVerdict::Newest {
                    self.ui.warn(&format!(
                        "{environment}: VAULT_PIN does not name its new data key {fingerprint}"
                    ));
                    self.ui.hint(&format!("add `{environment}:{fingerprint}` at its end"));
                }
            }
            return Ok(());
        }
        let Some(path) = self.memory_path().filter(|_| !made.is_empty()) else { return Ok(()) };
        self.remember(&path, |memory| {
            for seen in made {
                memory.accept_made(seen);
            }
            Ok(())
        })
    }

    /// Remembers a data key that a merge has made and that stands nowhere yet.
    pub(super) fn note_made(&self, made: Seen) -> Result<()> {
        match self.memory_path().filter(|_| self.outside.get("VAULT_PIN").is_none()) {
            Some(path) => self.remember(&path, |memory| {
                memory.note_made(made);
                Ok(())
            }),
            None => Ok(()),
        }
    }

    /// Changes the memory. Where it can't be written that is a notice on a terminal.
    pub(super) fn remember(
        &self,
        path: &Path,
        change: impl FnOnce(&mut Memory<'_>) -> Result<()>,
    ) -> Result<()> {
        match self.remember_or_fail(path, change) {
            Err(error) if error.kind() == Kind::Failed => {
                self.no_memory(&error.to_string());
                Ok(())
            }
            updated => updated,
        }
    }

    /// Changes the memory.
    #[expect(clippy::unused_self, reason = "who may change the memory is who holds a `Context`")]
    pub(super) fn remember_or_fail(
        &self,
        path: &Path,
        change: impl FnOnce(&mut Memory<'_>) -> Result<()>,
    ) -> Result<()> {
        state::update(path, |text| {
            let text = text.unwrap_or_default();
            let mut memory = Memory::parse(&text, None).ok_or_else(|| damaged(path))?;
            change(&mut memory)?;
            memory.to_text().ok_or_else(|| Error::failed("the memory can't be written"))
        })
    }

    /// The whole memory, for what concerns more than one file.
    pub(super) fn memory(&self) -> Result<Memory<'static>> {
        let Some(path) = self.memory_path().filter(|_| self.outside.get("VAULT_PIN").is_none())
        else {
            return Ok(Memory::default());
        };
        let text = state::read(&path)?.unwrap_or_default();
        Memory::parse_owned(&text).ok_or_else(|| damaged(&path))
    }

    /// Where the memory lies. None where there is no home folder.
    pub(super) fn memory_path(&self) -> Option<PathBuf> {
        self.outside.state_folder().map(|folder| folder.join(MEMORY_FILE))
    }

    /// What `VAULT_PIN` says, if it is set.
    pub(super) fn pinned(&self) -> Result<Option<Pinned>> {
        let Some(text) = self.outside.text("VAULT_PIN") else { return Ok(None) };
        let pinned = Pinned::parse(&text).ok_or_else(|| {
            Error::usage("VAULT_PIN is not ENV:FINGERPRINT, or several with commas between them")
                .hint("`vault status` shows the fingerprint of each environment's data key")
        });
        pinned.map(Some)
    }

    /// Whether a rebuilt file would go unnoticed on this machine.
    pub(super) fn keeps_no_pin(&self) -> bool {
        let memory = self.memory_path().is_some_and(|path| path.exists());
        !memory && self.outside.get("VAULT_PIN").is_none()
    }

    fn no_memory(&self, why: &str) {
        if self.ui.err_is_terminal() && self.is_news(why) {
            self.ui.warn(&format!("no pin is kept, so a rebuilt file would not be noticed: {why}"));
        }
    }

    /// Tells what is made of a file. What of it has to be remembered.
    fn heard(
        &self,
        project: &Project,
        memory: &Memory<'_>,
        candidate: Candidate<'_>,
        (vault, purpose): (&Vault, Purpose),
        aloud: bool,
    ) -> Result<News> {
        let environment = vault.environment();
        let new = match memory.judge(candidate, now()) {
            Verdict::Known { odd, news } => {
                for one in odd.iter().filter(|_| aloud) {
                    self.tell_odd(one, environment);
                }
                news
            }
            Verdict::New => {
                // As ssh says of a host: whoever expects an old acquaintance may look twice.
                if aloud && self.ui.err_is_terminal() {
                    self.ui.say(&format!(
                        "{environment}: seen for the first time on this machine; its members are {}",
                        vault.member_names()
                    ));
                }
                News::More
            }
            Verdict::Rotated(story) => {
                let told = format!("{environment}: {}", rotated(&story));
                if aloud && self.is_news(&told) {
                    self.ui.say(&told);
                }
                News::More
            }
            Verdict::Stop(Stop::Old(_)) if purpose == Purpose::Read && self.globals.old_key => {
                News::Nothing
            }
            Verdict::Stop(Stop::Old(_)) if replaced_meanwhile(project, vault) => {
                return Ok(News::Nothing);
            }
            Verdict::Stop(stop) => return Err(stopped(&stop, vault, purpose)),
        };
        let later = memory.later(&vault.file).filter(|_| purpose == Purpose::Write);
        if let Some(later) = later {
            if replaced_meanwhile(project, vault) {
                return Ok(News::Nothing);
            }
            return Err(Error::integrity(format!(
                "{}: its data key was replaced, so nothing is written under it",
                shown_path(&vault.path)
            ))
            .about(environment)
            .hint(format!(
                "take the newest version from git; {}",
                thrown_away(environment, &later)
            )));
        }
        Ok(new)
    }

    fn tell_once(&self, told: &str, hint: &str) {
        if self.is_news(told) {
            self.ui.warn(told);
            self.ui.hint(hint);
        }
    }

    fn tell_odd(&self, odd: &Odd, environment: &EnvName) {
        let (name, told) = match odd {
            Odd::Unrecorded(entry) => {
                let told = format!(
                    "{environment}: the record of {}, who was removed, is gone",
                    entry.member()
                );
                return self
                    .tell_once(&told, &format!("`vault rotate {environment}` writes it again"));
            }
            Odd::Recorded(entry) => {
                let told = format!(
                    "{environment}: a record that {} was removed stands there, which this data key did not have",
                    entry.member()
                );
                let hint = "look at the file's last changes in git: only a rotation writes one";
                return self.tell_once(&told, hint);
            }
            Odd::Gone(name) => {
                (name, format!("{name} was removed from the file and still holds its data key"))
            }
            Odd::OtherKey(name) => (
                name,
                format!(
                    "another key than this machine knows stands under the name {name}, who still holds its data key"
                ),
            ),
            Odd::OtherName(name, now) => (
                name,
                format!("the key that this machine knows as {name}'s stands under the name {now}"),
            ),
        };
        let hint = format!("`vault revoke {name} -e {environment}` ends that");
        self.tell_once(&format!("{environment}: {told}"), &hint);
    }
}

/// Whether another process has rotated the data key since we read the file: it was the newest then. Who is to
/// change it reads it again under the lock.
fn replaced_meanwhile(project: &Project, vault: &Vault) -> bool {
    let now = project.find(vault.environment()).ok().flatten();
    now.is_some_and(|now| now.file.id == vault.file.id && now.file.made > vault.file.made)
}

/// What is to be remembered of a file that this machine has made or changed.
pub(super) fn seen(project: &Project, vault: &Vault, opened: &Opened) -> Seen {
    let place = place(project, vault.environment());
    Candidate { place: &place, file: &vault.file, opened }.seen()
}

/// Where the file lies, whatever path led to it.
pub(super) fn place(project: &Project, environment: &EnvName) -> Place {
    let root = project.near().join(".").canonicalize();
    Place::new(&root.unwrap_or_else(|_| project.root().to_owned()), environment)
}

fn damaged(path: &Path) -> Error {
    Error::integrity(format!("the memory `{}` is damaged", shown_path(path))).hint(
        "look at it; if it is moved away, every environment counts as seen for the first time",
    )
}

pub(super) fn by_pin(
    pinned: &Pinned,
    vault: &Vault,
    opened: &Opened,
    purpose: Purpose,
) -> Result<()> {
    let environment = vault.environment();
    let told = match pinned.judge(environment, &opened.fingerprint()) {
        PinVerdict::Newest => return Ok(()),
        PinVerdict::Named if purpose == Purpose::Read => return Ok(()),
        PinVerdict::Named => {
            "is not the last one that VAULT_PIN names, so nothing is written under it"
        }
        PinVerdict::Other => "is not the one that VAULT_PIN names",
        PinVerdict::NotNamed => {
            return Err(Error::integrity(format!(
                "VAULT_PIN is set, and does not name {environment}"
            ))
            .about(environment)
            .hint(format!("add `{environment}:FINGERPRINT` to it")));
        }
    };
    Err(Error::integrity(format!("{}: its data key {told}", shown_path(&vault.path)))
        .about(environment)
        .hint("ask a member whether the data key was rotated, and compare the fingerprint that `vault status` shows there"))
}

/// A rotation that is believed, in a line.
fn rotated(story: &Story) -> String {
    let by = story.by.as_ref().map_or("somebody", MemberName::as_str);
    let changes = changes(story);
    let changes = if changes.is_empty() { "the members are the same".to_owned() } else { changes };
    format!("{by} has rotated the data key: {changes}")
}

/// Who joined and left.
pub(super) fn changes(story: &Story) -> String {
    let keys = |list: &[(MemberName, PublicKey)], what: &str| -> Vec<String> {
        let one = |(name, key): &(MemberName, PublicKey)| {
            format!("{name} {what} (key {})", Fingerprint::of_key(key))
        };
        list.iter().map(one).collect()
    };
    let left = story.left.iter().map(|name| format!("{} left", shown(name)));
    let unrecorded = story.unrecorded.iter().map(|name| {
        format!("{} is not among the former members, so nobody sees what he knows", shown(name))
    });
    let mut all = keys(&story.joined, "joined");
    all.extend(keys(&story.other_key, "has another key"));
    all.extend(left.chain(unrecorded));
    all.join(", ")
}

/// What helps where the later data key is one that nobody has any more.
fn thrown_away(environment: &EnvName, later: &Fingerprint) -> String {
    format!("if the later data key was thrown away, `vault trust {environment} --abandon {later}`")
}

/// Why a file isn't believed, and what can be done.
pub(super) fn stopped(stop: &Stop, vault: &Vault, purpose: Purpose) -> Error {
    let environment = vault.environment();
    let path = shown_path(&vault.path);
    let (messages, hint) = match stop {
        Stop::Abandoned => (
            vec![format!("{path}: its data key was abandoned on this machine")],
            format!(
                "take another version from git; `vault trust {environment} --expect FINGERPRINT` revives it"
            ),
        ),
        Stop::OtherId => (
            vec![format!(
                "{path}: another environment than this one belongs here: its id is not the one that this machine knows"
            )],
            format!(
                "if the project was founded anew, ask a member for the fingerprint of its data key, and give it to `vault trust {environment} --expect FINGERPRINT`"
            ),
        ),
        Stop::Old(later) => {
            let mend = match purpose {
                Purpose::Read => {
                    "take the newest version from git; `--old-key` reads this one once"
                }
                Purpose::Write => "take the newest version from git, and make the change there",
            };
            (
                vec![format!("{path}: this is an old file: its data key was replaced since")],
                format!("{mend}; {}", thrown_away(environment, later)),
            )
        }
        Stop::Unproven(story) => (unproven(story, &path), ask_whom(story, environment)),
        Stop::OtherLedger => (
            vec![format!(
                "{path}: its record of who was removed is not the one that this machine knows under its data key"
            )],
            "take another version from git".to_owned(),
        ),
        Stop::OfLeaver(by) => (
            vec![format!(
                "{path}: {by} made its data key, whom the other side has removed or does not know: if he did it after a removal, he can read all that is set from now on"
            )],
            format!("ask a member whom you trust, other than {by}"),
        ),
    };
    Error::several(Kind::Integrity, messages).about(environment).hint(hint)
}

fn unproven(story: &Story, path: &str) -> Vec<String> {
    let by = story.by.as_ref().map_or("somebody", MemberName::as_str);
    let mut messages = vec![match story.origin {
        Origin::Forged => format!(
            "{path}: this is a forgery: it says that {by} made its data key, and his proof is false. Whoever made it can read all that is set from now on"
        ),
        Origin::OtherKey => format!(
            "{path}: it says that {by} made its data key, with another key of his than this machine knows. Whoever made it can read all that is set from now on"
        ),
        Origin::Proven | Origin::Unknown => format!(
            "{path}: nothing proves who made its data key, and whoever did can read all that is set from now on"
        ),
    }];
    if story.origin == Origin::Proven {
        messages =
            vec![format!("{path}: {by} has made a data key that is not to be taken as it is")];
    }
    if !story.later {
        messages
            .push("it claims to be no later than the data key that this machine knows".to_owned());
    }
    if story.ahead {
        messages.push(
            "it claims to be made more than a day from now, after which nobody could rotate again"
                .to_owned(),
        );
    }
    if !story.dropped.is_empty() {
        let names: Vec<&str> =
            story.dropped.iter().filter_map(|entry| entry.split('.').next()).collect();
        messages.push(format!(
            "it does not know that these were removed: {}",
            shown(&names.join(", "))
        ));
    }
    let changes = changes(story);
    if !changes.is_empty() {
        messages.push(format!("by what this machine remembers, {changes}"));
    }
    messages
}

fn ask_whom(story: &Story, environment: &EnvName) -> String {
    let others = "another member whom you trust";
    let whom = match (&story.by, story.origin) {
        // Whoever is not remembered may be nobody but the one who built the file.
        (Some(by), Origin::Unknown) if story.joined.iter().all(|(name, _)| name != by) => {
            by.as_str()
        }
        (Some(by), Origin::Proven) if !story.ahead && story.dropped.is_empty() => by.as_str(),
        _ => others,
    };
    let ask = format!(
        "ask {whom}, not by the repository, for the fingerprint of {environment}'s data key as `vault status` shows it there, and give it to `vault trust {environment} --expect FINGERPRINT`"
    );
    match &story.newest {
        Some(newest) if story.origin == Origin::Proven && !story.later => {
            format!("{ask}; {}", thrown_away(environment, newest))
        }
        _ => ask,
    }
}
