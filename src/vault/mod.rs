//! The domain: what people do with a vault.
//!
//! A [`Project`] is the folder; a [`Vault`] is one environment in it, read whole. To read values it is
//! opened with identities, to change it [`Project::change`] takes the lock, reads again, and writes once.
//! Nothing here prompts, prints, or looks at the process's environment or clock.

pub(crate) mod compare;
pub(crate) mod exposure;
mod lint;
pub(crate) mod merge;
pub(crate) mod pins;
mod project;
mod requirements;
pub(crate) mod settings;
pub(crate) mod team;

use std::path::{Path, PathBuf};

pub(crate) use self::lint::doubts;
pub use self::project::Project;
pub(crate) use self::project::{ENVS_FOLDER, join, refuse};
pub(crate) use self::requirements::{missing, unfit};

use crate::crypto::keys::{Identity, PublicKey};
use crate::error::{Kind, Result, shown_path};
use crate::format::{Content, Fault, Opened, Record, RecordKind, VaultFile};
use crate::secret::Secret;
use crate::vars::Vars;
use crate::vars::name::{EnvName, MemberName, VarName, shown};

/// One environment, as its file says.
pub(crate) struct Vault {
    /// Where the file lies.
    pub(crate) path: PathBuf,
    /// What it says.
    pub(crate) file: VaultFile,
}

/// What opens a vault.
pub(crate) enum Key {
    /// Private keys; the first that is a member's counts.
    Identities(Vec<Identity>),
    /// The passphrase of a recovery member.
    Recovery(Secret),
}

impl Key {
    /// Whether opening with it may have started a plugin. age does not wait for those.
    pub(crate) fn used_a_plugin(&self) -> bool {
        match self {
            Self::Identities(all) => all.iter().any(|identity| identity.plugin().is_some()),
            Self::Recovery(_) => false,
        }
    }
}

/// What became of one `set`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SetOutcome {
    /// There was no such name.
    Added,
    /// It had another value.
    Changed,
    /// It had this value already, and keeps its time of change.
    Same,
    /// It had this value already, as another kind.
    OtherKind,
}

impl Vault {
    /// Reads the bytes of the file at `path`, whose environment is `environment`.
    pub(crate) fn parse(path: &Path, environment: &EnvName, bytes: &[u8]) -> Result<Self> {
        let file = VaultFile::parse(bytes, environment)
            .map_err(|fault| fault.at(path).about(environment))?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// The canonical text of its file.
    pub(crate) fn text(&self) -> Result<String> {
        self.file.to_text().map_err(|fault| fault.at(&self.path).about(self.environment()))
    }

    /// The environment.
    pub(crate) fn environment(&self) -> &EnvName {
        &self.file.environment
    }

    /// Opens it and checks every member. Who can grant is named where the key opens nothing.
    pub(crate) fn open(&self, key: &Key) -> Result<Opened> {
        let opened = match key {
            Key::Identities(identities) => self.file.open(identities),
            Key::Recovery(passphrase) => self.file.open_locked(passphrase),
        };
        opened.map_err(|fault| {
            let error = fault.at(&self.path).about(self.environment());
            let lost = error.kind() == Kind::NoAccess && error.hint_text().is_none();
            match key {
                Key::Identities(identities) if lost => error.hint(self.way_in(identities)),
                Key::Recovery(_) if lost => error
                    .hint("check the passphrase; without it, a member's own key opens the file"),
                _ => error,
            }
        })
    }

    /// What somebody does whose key opens nothing here.
    fn way_in(&self, identities: &[Identity]) -> String {
        let asks = |identity: &Identity| {
            let key = identity.public_key();
            let mut requests = self.file.requests.iter();
            requests.find(|(_, asked)| key.as_ref() == Some(asked)).map(|(name, _)| name)
        };
        let people = self.people();
        match identities.iter().find_map(asks) {
            Some(name) => format!(
                "you have asked as {name}: push that, for one of its members to grant it: {people}"
            ),
            None => format!(
                "`vault request -e {}` asks its members to grant you access: {people}",
                self.environment()
            ),
        }
    }

    /// What other programs or people wrote into the file and a write would lose.
    pub(crate) fn losses(&self) -> Vec<String> {
        let path = shown_path(&self.path);
        let comments = self.file.comments.iter().map(|line| format!("{path}:{line}: a comment"));
        let odd = self.file.odd_requests.iter();
        let odd =
            odd.map(|name| format!("{path}: `requests.{}`, which is no request,", shown(name)));
        comments.chain(odd).collect()
    }

    /// Decrypts every value, to know that each is what was stored.
    pub(crate) fn check_values(&self, opened: &Opened) -> Result<()> {
        let mut records = self.file.secrets.iter();
        records.try_for_each(|(name, record)| self.content(opened, name, record).map(drop))
    }

    /// The first member with one of these keys, as the file says.
    pub(crate) fn me(&self, keys: &[PublicKey]) -> Option<&MemberName> {
        let mut members = self.file.members.iter();
        members.find(|(_, member)| keys.contains(&member.key)).map(|(name, _)| name)
    }

    /// The members' names in one line, at most ten of them.
    pub(crate) fn member_names(&self) -> String {
        few(self.file.members.keys())
    }

    /// As [`Vault::member_names`], without the recovery keys, whom nobody can ask.
    pub(crate) fn people(&self) -> String {
        let people = self.file.members.iter().filter(|(_, member)| member.locked.is_none());
        few(people.map(|(name, _)| name))
    }

    /// One value. None if the name isn't there.
    pub(crate) fn get(&self, opened: &Opened, name: &VarName) -> Result<Option<Secret>> {
        let Some(record) = self.file.secrets.get(name) else { return Ok(None) };
        self.content(opened, name, record).map(|content| Some(content.value))
    }

    /// The names of file secrets.
    pub(crate) fn file_names(&self) -> impl Iterator<Item = &VarName> {
        let records = self.file.secrets.iter();
        records.filter(|(_, record)| record.kind() == RecordKind::File).map(|(name, _)| name)
    }

    /// Every value, decrypted. Of a file secret that is what is in the file.
    ///
    /// # Errors
    ///
    /// A value is damaged.
    pub(crate) fn vars(&self, opened: &Opened) -> Result<Vars> {
        self.file
            .secrets
            .iter()
            .map(|(name, record)| Ok((name.clone(), self.content(opened, name, record)?.value)))
            .collect()
    }

    /// As [`Vault::vars`], and takes them out of it: without a copy of each record.
    pub(crate) fn take_vars(&mut self, opened: &Opened) -> Result<Vars> {
        let records = std::mem::take(&mut self.file.secrets).into_iter();
        let failed = |fault: Fault| fault.at(&self.path).about(&self.file.environment);
        records
            .map(|(name, record)| {
                let value = opened.take(&name, record).map_err(failed)?.value;
                Ok((name, value))
            })
            .collect()
    }

    /// Sets a variable, at the time `now`. `note` replaces the note, `kind` the kind; where one is None, the
    /// old one stays. The same value again keeps its time of change, and with the same note and kind its
    /// ciphertext.
    pub(crate) fn set(
        &mut self,
        opened: &Opened,
        name: &VarName,
        value: &Secret,
        (kind, note): (Option<RecordKind>, Option<&str>),
        now: u64,
    ) -> Result<SetOutcome> {
        let old = match self.file.secrets.get(name) {
            Some(record) => {
                Some((record.changed(), self.content(opened, name, record)?, record.kind()))
            }
            None => None,
        };
        let old_note = old.as_ref().map_or("", |(_, content, _)| content.note.as_str());
        let note = note.unwrap_or(old_note);
        let old_kind = old.as_ref().map(|(_, _, kind)| *kind);
        let kind = kind.or(old_kind).unwrap_or(RecordKind::Variable);
        let unchanged = |(changed, content, _): &(u64, Content, RecordKind)| {
            (content.value == *value).then_some(*changed)
        };
        let same = old.as_ref().and_then(unchanged);
        if same.is_some() && note == old_note && old_kind == Some(kind) {
            return Ok(SetOutcome::Same);
        }
        let later = || {
            exposure::time_of_change(now, old.as_ref().map(|old| old.0), self.file.latest_removed())
        };
        let changed = same
            .or_else(later)
            .ok_or_else(|| exposure::clock_is_poisoned(name).about(self.environment()))?;
        let record = opened
            .write(name, kind, changed, note, value)
            .map_err(|fault| fault.at(&self.path).about(self.environment()))?;
        let outcome = match (&old, same) {
            (None, _) => SetOutcome::Added,
            (Some((_, _, old)), Some(_)) if *old != kind => SetOutcome::OtherKind,
            (Some(_), Some(_)) => SetOutcome::Same,
            (Some(_), None) => SetOutcome::Changed,
        };
        self.file.secrets.insert(name.clone(), record);
        Ok(outcome)
    }

    /// Copies a value with its note and time of change from another vault.
    pub(crate) fn copy(
        &mut self,
        mine: &Opened,
        from: &Self,
        theirs: &Opened,
        name: &VarName,
    ) -> Result<()> {
        let Some(record) = from.file.secrets.get(name) else { return Ok(()) };
        let content = from.content(theirs, name, record)?;
        let copied = mine
            .write(name, record.kind(), record.changed(), &content.note, &content.value)
            .map_err(|fault| fault.at(&self.path).about(self.environment()))?;
        self.file.secrets.insert(name.clone(), copied);
        Ok(())
    }

    /// A value with its note.
    pub(crate) fn content(
        &self,
        opened: &Opened,
        name: &VarName,
        record: &Record,
    ) -> Result<Content> {
        opened.read(name, record).map_err(|fault| fault.at(&self.path).about(self.environment()))
    }
}

/// Names in one line, at most ten of them.
pub(crate) fn few<'a>(names: impl Iterator<Item = &'a MemberName>) -> String {
    const SHOWN: usize = 10;
    let all: Vec<&str> = names.map(MemberName::as_str).collect();
    match all.get(..SHOWN) {
        Some(first) if all.len() > SHOWN => {
            format!("{} and {} more", first.join(", "), all.len() - SHOWN)
        }
        _ => all.join(", "),
    }
}
