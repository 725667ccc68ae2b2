//! Three versions of an environment that are to become one: opened, verified, and believed (format.md, Merging).

use std::path::{Path, PathBuf};

use super::pins::{Purpose, by_pin, place, stopped};
use super::{Context, now};
use crate::cli::ui::count;
use crate::error::{Error, Kind, Result, shown_path};
use crate::format::{Expected, Opened, environment_of};
use crate::vars::name::{EnvName, MemberName};
use crate::vault::merge::{Conflict, Doubt, Merge, Outcome, Side, Version};
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
        let parse = |text: &[u8], label: &str| -> Result<Vault> {
            let stem = || texts.path.file_stem()?.to_str()?.parse().ok();
            let environment = environment_of(text).or_else(stem).ok_or_else(|| {
                Error::integrity(format!("{}: not a vault file", shown_path(&texts.path)))
            })?;
            // Messages say which version they are about.
            let path = PathBuf::from(format!("{} ({label})", texts.path.display()));
            Vault::parse(&path, &environment, text)
        };
        let ours = parse(&texts.ours, "ours")?;
        let theirs = parse(&texts.theirs, "theirs")?;
        let base =
            texts.base.as_ref().map(|text| parse(text, "the common ancestor")).transpose()?;
        let key = context.key()?;
        let opened: Vec<Result<Opened>> = [Some(&ours), Some(&theirs), base.as_ref()]
            .into_iter()
            .flatten()
            .map(|vault| vault.open(&key))
            .collect();
        // A version from before one was a member, under a data key that another version gives.
        let known: Vec<Opened> = opened.iter().flatten().map(Opened::again).collect();
        let mut opened = opened.into_iter();
        let mut version = |vault: Vault| -> Result<Version> {
            let opened = opened.next().unwrap_or_else(|| Err(Error::failed("no such version")));
            let opened = match opened {
                Err(error) if error.kind() == Kind::NoAccess => known
                    .iter()
                    .find_map(|other| vault.file.open_like(other).ok())
                    .ok_or_else(|| error.hint("let a member merge who had access already then")),
                opened => opened,
            }?;
            Ok(Version { vault, opened })
        };
        let (ours, theirs) = (version(ours)?, version(theirs)?);
        let base = base.map(version).transpose()?;
        let versions = Self { base, ours, theirs };
        versions.believe(project, context, expected)?;
        Ok(versions)
    }

    fn believe(
        &self,
        project: &Project,
        context: &Context,
        expected: Option<&Expected>,
    ) -> Result<()> {
        let all = [Some(&self.ours), Some(&self.theirs), self.base.as_ref()];
        let mut all = all.into_iter().flatten().filter(|version| {
            !expected.is_some_and(|expected| expected.is(&version.opened.fingerprint()))
        });
        if let Some(pinned) = context.pinned()? {
            return all.try_for_each(|one| by_pin(&pinned, &one.vault, &one.opened, Purpose::Read));
        }
        let mut memory = context.memory()?;
        all.try_for_each(|version| admit(version, &mut memory, project))
    }
}

fn admit(version: &Version, memory: &mut Memory, project: &Project) -> Result<()> {
    let Version { vault, opened } = version;
    let place = place(project, vault.environment());
    let candidate = Candidate { place: &place, file: &vault.file, opened };
    match memory.admits(candidate, now()) {
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
                word(*side),
                gone.join(", ")
            )
        }
        Conflict::Value { name, doubt: Some(Doubt::PutBack(side)), .. } => {
            format!("{name} was put back to an earlier value by {}", word(*side))
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

/// git's word for a side.
pub(super) fn word(side: Side) -> &'static str {
    match side {
        Side::Ours => "ours",
        Side::Theirs => "theirs",
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
