//! Three versions of an environment that are to become one: opened, verified, and believed (format.md, Merging).

use std::path::{Path, PathBuf};

use super::pins::{Purpose, by_pin, place, stopped};
use super::{Context, now};
use crate::cli::ui::count;
use crate::error::{Error, Kind, Result, shown_path};
use crate::format::{Expected, Opened, VaultFile, environment_of};
use crate::vars::name::{EnvName, MemberName};
use crate::vault::merge::{Conflict, Doubt, Merge, Outcome, Version, without_a_key};
use crate::vault::pins::{Admission, Candidate, Memory};
use crate::vault::{Project, Vault};

/// The bytes of the versions, as git has them.
pub(super) struct Texts {
    /// Where the file lies.
    pub(super) path: PathBuf,
    pub(super) base: Option<Vec<u8>>,
    pub(super) ours: Vec<u8>,
    pub(super) theirs: Vec<u8>,
}

impl Texts {
    fn parse(&self, text: &[u8], label: &str) -> Result<Vault> {
        let stem = || self.path.file_stem()?.to_str()?.parse().ok();
        let environment = environment_of(text).or_else(stem).ok_or_else(|| {
            Error::integrity(format!("{}: not a vault file", shown_path(&self.path)))
        })?;
        // Messages say which version they are about.
        let path = PathBuf::from(format!("{} ({label})", self.path.display()));
        Vault::parse(&path, &environment, text)
    }

    /// The merged version for somebody whose key opens nothing here, where one side has changed nothing but requests.
    pub(super) fn merged_without_a_key(&self) -> Option<Vault> {
        let parse = |text| self.parse(text, "").ok();
        let base = parse(self.base.as_ref()?)?;
        let (ours, theirs) = (parse(&self.ours)?, parse(&self.theirs)?);
        let is_lossless = [&ours, &theirs].iter().all(|vault| vault.losses().is_empty());
        let merged = without_a_key(&base, &ours, &theirs).filter(|_| is_lossless)?;
        Some(Vault { path: self.path.clone(), ..merged })
    }
}

/// All of them, opened and believed.
pub(super) struct Versions {
    base: Option<Version>,
    ours: Version,
    theirs: Version,
}

impl Versions {
    pub(super) fn merge(&self) -> Merge<'_> {
        Merge { base: self.base.as_ref(), ours: &self.ours, theirs: &self.theirs }
    }

    pub(super) fn environment(&self) -> &EnvName {
        self.ours.vault.environment()
    }

    /// Opens them with this user's key. `expected` admits one that this machine doesn't know.
    ///
    /// # Errors
    ///
    /// One can't be read, is opened by no key, or is not to be believed.
    pub(super) fn open(
        texts: &Texts,
        project: &Project,
        context: &Context,
        expected: Option<&Expected>,
    ) -> Result<Self> {
        let vaults = [texts.parse(&texts.ours, "ours")?, texts.parse(&texts.theirs, "theirs")?];
        for vault in &vaults {
            let lossless = context.refuse_losses(vault);
            lossless.map_err(|error| error.hint("`vault resolve -y` drops them"))?;
        }
        let key = context.key()?;
        let opened = vaults.each_ref().map(|vault| vault.open(&key));
        // A version from before one was a member, under a data key that another version gives.
        let known: Vec<Opened> = opened.iter().flatten().map(Opened::again).collect();
        let open_like = |vault: &Vault, error: Error| {
            let like = known.iter().find_map(|other| vault.file.open_like(other).ok());
            like.filter(|_| error.kind() == Kind::NoAccess)
                .ok_or_else(|| error.hint("let a member merge who has access to both sides"))
        };
        let mut versions = Vec::new();
        for (vault, opened) in vaults.into_iter().zip(opened) {
            let opened = opened.or_else(|error| open_like(&vault, error))?;
            versions.push(Version { vault, opened });
        }
        let mut judge = Judge { project, context, expected, memory: None };
        for (version, other) in versions.iter().zip(versions.iter().rev()) {
            judge.admit(version, &[&other.vault.file])?;
        }
        // An ancestor that does not count makes questions of all differences, and stops nothing: git makes one up
        // where two branches have been merged into each other.
        let base = texts.base.as_ref().and_then(|text| {
            let vault = texts.parse(text, "the common ancestor").ok()?;
            let opened = vault.open(&key).or_else(|error| open_like(&vault, error)).ok()?;
            let version = Version { vault, opened };
            let sides: Vec<&VaultFile> = versions.iter().map(|side| &side.vault.file).collect();
            judge.admit(&version, &sides).is_ok().then_some(version)
        });
        let [ours, theirs] = <[Version; 2]>::try_from(versions)
            .map_err(|_| Error::failed("there are two sides of a merge"))?;
        Ok(Self { base, ours, theirs })
    }
}

/// Says whether a version counts, by what this machine remembers.
struct Judge<'a> {
    project: &'a Project,
    context: &'a Context,
    expected: Option<&'a Expected>,
    memory: Option<Memory<'static>>,
}

impl Judge<'_> {
    /// `others` are what it is merged with.
    fn admit(&mut self, version: &Version, others: &[&VaultFile]) -> Result<()> {
        let Version { vault, opened } = version;
        if self.expected.is_some_and(|expected| expected.is(&opened.fingerprint())) {
            return Ok(());
        }
        if let Some(pinned) = self.context.pinned()? {
            return by_pin(&pinned, vault, opened, Purpose::Read);
        }
        let memory = match &mut self.memory {
            Some(memory) => memory,
            none => none.insert(self.context.memory()?),
        };
        admit(version, others, memory, self.project)
    }
}

fn admit(
    version: &Version,
    others: &[&VaultFile],
    memory: &mut Memory<'_>,
    project: &Project,
) -> Result<()> {
    let Version { vault, opened } = version;
    let place = place(project, vault.environment());
    let candidate = Candidate { place: &place, file: &vault.file, opened };
    match memory.admits(candidate, others, now()) {
        Admission::Admitted => Ok(()),
        // A first time: what is checked out is taken, as by any other command, and judges the rest.
        Admission::Unknown => {
            memory.accept(candidate.seen());
            Ok(())
        }
        Admission::Not(stop) => {
            let admits = format!(
                "if a member whom you trust names the fingerprint {}, `vault resolve --expect` admits it this once",
                opened.fingerprint()
            );
            Err(stopped(&stop, vault, Purpose::Read).hint(admits))
        }
    }
}

/// What a person has to decide, in a sentence that shows no value.
pub(super) fn told(conflict: &Conflict, merge: &Merge<'_>) -> String {
    match conflict {
        Conflict::Member { name, .. } => {
            format!("the member {name} was given another key on each side")
        }
        Conflict::Value { name, doubt: Some(Doubt::Leaver(side)), .. } => {
            let gone: Vec<&str> = merge.unknown_removals(*side).map(MemberName::as_str).collect();
            format!(
                "{name} was changed by {}, who did not know that {} had been removed, and may be the one who was",
                side.word(),
                gone.join(", ")
            )
        }
        Conflict::Value { name, doubt: Some(Doubt::PutBack(side)), .. } => {
            format!("{name} was put back to an earlier value by {}", side.word())
        }
        Conflict::Value { name, .. } if merge.base.is_none() => {
            format!(
                "{name} is different on the two sides, and their common ancestor does not count"
            )
        }
        Conflict::Value { name, ours: None, .. } => {
            format!("{name} was removed by ours, and changed by theirs")
        }
        Conflict::Value { name, theirs: None, .. } => {
            format!("{name} was changed by ours, and removed by theirs")
        }
        Conflict::Value { name, .. } => format!("{name} was changed on both sides"),
    }
}

/// Says what the merge has done beside values, and has this machine remember a data key that it has made.
pub(super) fn settle(
    outcome: &Outcome,
    path: &Path,
    project: &Project,
    context: &Context,
) -> Result<()> {
    let environment = outcome.vault.environment();
    let told = shown_path(path);
    if outcome.is_new_key {
        let place = place(project, environment);
        let seen =
            Candidate { place: &place, file: &outcome.vault.file, opened: &outcome.opened }.seen();
        context.note_made(seen)?;
        context.ui.say(&format!(
            "{told}: both sides had another data key; now it is {}",
            outcome.opened.fingerprint()
        ));
    }
    for name in &outcome.asked_again {
        context.ui.warn(&format!(
            "{told}: {name} was granted by somebody who may have been removed, and has to be granted again"
        ));
    }
    context
        .ui
        .detail(&format!("{told}: merged, {}", count(outcome.vault.file.secrets.len(), "value")));
    Ok(())
}
