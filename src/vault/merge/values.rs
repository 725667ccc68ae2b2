//! Values and notes, by name against the base: as two things (format.md, Merging).

use std::collections::{BTreeMap, BTreeSet};

use zeroize::Zeroizing;

use super::{Merge, Side, Version};
use crate::error::Result;
use crate::format::RecordKind;
use crate::secret::Secret;
use crate::vars::name::VarName;

/// What a record holds, in the clear.
#[derive(Clone)]
pub(crate) struct Held {
    pub(crate) value: Secret,
    pub(crate) kind: RecordKind,
    pub(crate) note: Zeroizing<String>,
    pub(crate) changed: u64,
}

/// What becomes of a name.
pub(crate) enum Merged {
    /// This, or nothing.
    Is(Option<Held>),
    /// A person decides.
    Clash { ours: Option<Held>, theirs: Option<Held>, doubt: Option<Doubt> },
}

/// Why a change of one side is not taken as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// This side does not know of a removal that the other one knows of: it may be the leaver's.
    Leaver(Side),
    /// Its record is older than that of the version which both come from: somebody, who needs no key for that, has
    /// put an earlier one back.
    PutBack(Side),
}

impl Held {
    /// The same value, given in the same way.
    fn is_value_of(&self, other: &Self) -> bool {
        self.value == other.value && self.kind == other.kind
    }

    /// The same in everything.
    pub(super) fn is_all_of(&self, other: &Self) -> bool {
        self.is_value_of(other) && self.note == other.note && self.changed == other.changed
    }
}

impl Version {
    /// What a name holds here.
    pub(super) fn held(&self, name: &VarName) -> Result<Option<Held>> {
        let Some(record) = self.vault.file.secrets.get(name) else { return Ok(None) };
        let content = self.vault.content(&self.opened, name, record)?;
        let (kind, changed) = (record.kind(), record.changed());
        Ok(Some(Held { value: content.value, kind, note: content.note, changed }))
    }

    fn all(&self) -> Result<BTreeMap<VarName, Held>> {
        let names = self.vault.file.secrets.keys();
        names
            .filter_map(|name| Some((name, self.held(name).transpose()?)))
            .map(|(name, held)| Ok((name.clone(), held?)))
            .collect()
    }
}

/// Whether two versions have the same value of a name, or both none.
fn same(one: Option<&Held>, other: Option<&Held>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => one.is_value_of(other),
        _ => false,
    }
}

impl Merge<'_> {
    /// Each name of any version. Every value is decrypted, so a damaged one is found.
    pub(super) fn values(&self) -> Result<BTreeMap<VarName, Merged>> {
        let base = self.base.map(Version::all).transpose()?.unwrap_or_default();
        let (ours, theirs) = (self.ours.all()?, self.theirs.all()?);
        let names: BTreeSet<&VarName> =
            base.keys().chain(ours.keys()).chain(theirs.keys()).collect();
        let merged = names.into_iter().map(|name| {
            let merged = self.value(base.get(name), ours.get(name), theirs.get(name));
            (name.clone(), merged)
        });
        Ok(merged.collect())
    }

    fn value(&self, base: Option<&Held>, ours: Option<&Held>, theirs: Option<&Held>) -> Merged {
        let clash = |doubt| Merged::Clash { ours: ours.cloned(), theirs: theirs.cloned(), doubt };
        if let (Some(mine), Some(other)) = (ours, theirs)
            && mine.is_value_of(other)
        {
            let note = merged_note(base, mine, other);
            let since = self.counts_from(Side::Ours, mine);
            let changed = since.min(self.counts_from(Side::Theirs, other));
            return Merged::Is(Some(Held { note, changed, ..mine.clone() }));
        }
        if self.base.is_none() && !same(ours, theirs) {
            return clash(self.leaver());
        }
        let side = match (same(ours, base), same(theirs, base)) {
            // Both have removed it.
            (true, true) => return Merged::Is(ours.cloned()),
            _ if same(ours, theirs) => return Merged::Is(None),
            (true, false) => Side::Theirs,
            (false, true) => Side::Ours,
            (false, false) => return clash(self.leaver()),
        };
        if self.doubt(side).is_some() {
            return clash(Some(Doubt::Leaver(side)));
        }
        let mine = if side == Side::Ours { ours } else { theirs };
        let is_older = mine.zip(base).is_some_and(|(mine, base)| mine.changed < base.changed);
        if is_older {
            return clash(Some(Doubt::PutBack(side)));
        }
        let (changed, other) = if side == Side::Ours { (ours, theirs) } else { (theirs, ours) };
        Merged::Is(changed.map(|held| match other {
            Some(other) => Held { note: merged_note(base, held, other), ..held.clone() },
            None => held.clone(),
        }))
    }

    /// Since when one of the versions has this value: typed in again it is no new one.
    pub(super) fn known_since(&self, name: &VarName, value: &Secret) -> Result<Option<u64>> {
        let base = self.base.map(|base| base.held(name)).transpose()?.flatten();
        let mut all: Vec<(Secret, u64)> =
            base.map(|held| (held.value, held.changed)).into_iter().collect();
        for side in [Side::Ours, Side::Theirs] {
            if let Some(held) = self.of(side).held(name)? {
                let since = self.counts_from(side, &held);
                all.push((held.value, since));
            }
        }
        Ok(all.into_iter().filter(|(there, _)| there == value).map(|(_, since)| since).min())
    }

    /// The side that may be a leaver's, if one may.
    fn leaver(&self) -> Option<Doubt> {
        let mut sides = [Side::Ours, Side::Theirs].into_iter();
        sides.find(|side| self.doubt(*side).is_some()).map(Doubt::Leaver)
    }

    /// Since when a value of a side stands there. Where the side may be a leaver's, it counts as read by whoever had
    /// left when it was set.
    pub(super) fn counts_from(&self, side: Side, held: &Held) -> u64 {
        held.changed.min(self.doubt(side).unwrap_or(u64::MAX))
    }
}

/// Where both have written another note, both are kept.
fn merged_note(base: Option<&Held>, one: &Held, other: &Held) -> Zeroizing<String> {
    let base = base.map_or("", |held| held.note.as_str());
    if one.note == other.note || other.note.as_str() == base {
        return one.note.clone();
    }
    if one.note.as_str() == base || one.note.is_empty() {
        return other.note.clone();
    }
    if other.note.is_empty() {
        return one.note.clone();
    }
    // Whoever merges, in one order.
    let (first, second) = (one.note.as_str().min(&other.note), one.note.as_str().max(&other.note));
    Zeroizing::new(format!("{first}\n{second}"))
}
