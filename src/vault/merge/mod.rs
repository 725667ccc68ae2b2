//! Three versions of an environment become one (format.md, Merging).
//!
//! Each version is whole and verified under its own data key, and believed, before it comes here. What two people
//! have changed in different ways is a [`Conflict`], which a person decides; everything else is a rule.

mod requests;
#[cfg(test)]
mod tests;
mod values;

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use self::requests::without_a_key;
pub(crate) use self::values::{Doubt, Held, Merged};
use super::Vault;
use super::exposure::{clock_is_poisoned, time_of_change, time_of_removal};
use crate::crypto::keys::PublicKey;
use crate::crypto::plugin::PluginAccess;
use crate::error::{Error, Result, shown_path};
use crate::format::{Former, FormerName, Member, NewMember, Opened, Rotation, TIME_LIMIT};
use crate::secret::Secret;
use crate::vars::name::{MemberName, VarName};

/// One of the versions, opened.
pub(crate) struct Version {
    /// What its file says.
    pub(crate) vault: Vault,
    /// The right to read it.
    pub(crate) opened: Opened,
}

/// Which of the two versions that are merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The one that is checked out.
    Ours,
    /// The one that comes in.
    Theirs,
}

/// What a person has to decide.
pub(crate) enum Conflict {
    /// A value that both have changed, or that somebody who has left may have changed.
    Value {
        /// The variable.
        name: VarName,
        /// What each side has; None where it was removed.
        ours: Option<Held>,
        theirs: Option<Held>,
        /// Why it was asked for, if not because both have changed it.
        doubt: Option<Doubt>,
    },
    /// One name that was given to two keys.
    Member {
        /// The name.
        name: MemberName,
        ours: PublicKey,
        theirs: PublicKey,
    },
}

/// What was decided.
#[derive(Default)]
pub(crate) struct Choices {
    /// Of values.
    pub(crate) values: BTreeMap<VarName, Choice>,
    /// Of members.
    pub(crate) members: BTreeMap<MemberName, Side>,
}

/// What was decided of a value.
pub(crate) enum Choice {
    /// As it is there, or not at all if it isn't.
    As(Side),
    /// This one.
    New(Secret),
}

/// The versions that are to be merged.
pub(crate) struct Merge<'a> {
    /// The version that both come from. Where there is none that counts, nobody can tell what a side has changed:
    /// all that is different is a conflict.
    pub(crate) base: Option<&'a Version>,
    /// The one that is checked out.
    pub(crate) ours: &'a Version,
    /// The one that comes in.
    pub(crate) theirs: &'a Version,
}

/// What has become of them.
pub(crate) struct Outcome {
    /// The merged environment.
    pub(crate) vault: Vault,
    /// The right to read it.
    pub(crate) opened: Opened,
    /// It is under a data key that no version had.
    pub(crate) is_new_key: bool,
    /// Members of a side that may be a leaver's, who have to be granted again.
    pub(crate) asked_again: Vec<MemberName>,
}

/// Under which data key the result stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Home {
    /// That of this side.
    Of(Side),
    /// A new one.
    New,
}

/// Who is a member of the result.
#[derive(Default)]
struct Members<'a> {
    staying: BTreeMap<MemberName, (&'a Member, Side)>,
    /// Added by a side that may be a leaver's.
    asking: BTreeMap<MemberName, PublicKey>,
    clashing: Vec<(MemberName, PublicKey, PublicKey)>,
}

impl<'a> Merge<'a> {
    /// Everything that a person has to decide.
    ///
    /// # Errors
    ///
    /// The versions are of different environments, or a value is damaged.
    pub(crate) fn conflicts(&self) -> Result<Vec<Conflict>> {
        self.check()?;
        let members = self.members().clashing.into_iter();
        let members = members.map(|(name, ours, theirs)| Conflict::Member { name, ours, theirs });
        let values = self.values()?.into_iter().filter_map(|(name, merged)| match merged {
            Merged::Clash { ours, theirs, doubt } => {
                Some(Conflict::Value { name, ours, theirs, doubt })
            }
            Merged::Is(_) => None,
        });
        Ok(members.chain(values).collect())
    }

    /// The result, at the time `now`.
    ///
    /// # Errors
    ///
    /// As [`Merge::conflicts`]; a member can't be sealed to; or something was not decided.
    pub(crate) fn finish(
        &self,
        choices: Choices,
        now: u64,
        plugins: &PluginAccess,
    ) -> Result<Outcome> {
        self.check()?;
        let mut members = self.members();
        let mut ledger = self.ledger();
        let mut losing = Vec::new();
        for (name, ours, theirs) in std::mem::take(&mut members.clashing) {
            let side = *choices.members.get(&name).ok_or_else(|| undecided(&name))?;
            let kept = self.of(side).vault.file.members.get(&name);
            members.staying.extend(kept.map(|member| (name.clone(), (member, side))));
            losing.push((name, if side == Side::Ours { theirs } else { ours }));
        }
        let values = self.decided(choices.values, now)?;
        // Who loses a name has seen all of it, whatever is written after the merge.
        let latest = values.values().map(|held| held.changed).max().unwrap_or(0);
        let made = self.ours.vault.file.made.max(self.theirs.vault.file.made);
        for (name, key) in losing {
            let last = ledger.keys().filter(|one| *one.member() == name);
            let last = last.map(FormerName::removed).max();
            let removed = time_of_removal(now, Some(made), latest, last)
                .ok_or_else(|| clock_is_poisoned(&name))?;
            ledger.insert(FormerName::new(&name, removed), key);
        }
        let home = self.home(&ledger);
        let (mut vault, opened) = match home {
            Home::Of(side) => self.under(side, &members, plugins)?,
            Home::New => self.under_new_key(&members, ledger, now, plugins)?,
        };
        self.write_values(&mut vault, &opened, values)?;
        vault.file.requests = self.requests(&members);
        vault.drop_fulfilled_requests();
        let asked_again = members.asking.into_keys();
        let asked_again =
            asked_again.filter(|name| vault.file.requests.contains_key(name)).collect();
        Ok(Outcome { vault, opened, is_new_key: home == Home::New, asked_again })
    }

    fn of(&self, side: Side) -> &'a Version {
        match side {
            Side::Ours => self.ours,
            Side::Theirs => self.theirs,
        }
    }

    /// Whether the versions can be merged at all.
    fn check(&self) -> Result<()> {
        self.check_ids()?;
        for side in [Side::Ours, Side::Theirs] {
            if self.goes_back(side) {
                return Err(Error::integrity(format!(
                    "{}: goes back to an earlier data key than that of the common ancestor",
                    shown_path(&self.of(side).vault.path)
                ))
                .about(self.ours.vault.environment())
                .hint(format!(
                    "take the other side whole: `git checkout --{} FILE`",
                    side.other().word()
                )));
            }
        }
        let (ours, theirs) = (&self.ours.vault.file.former, &self.theirs.vault.file.former);
        let differs = |(entry, one): &(&FormerName, &Former)| {
            theirs.get(*entry).is_some_and(|other| other.key != one.key)
        };
        match ours.iter().find(differs) {
            None => Ok(()),
            Some((entry, _)) => Err(Error::integrity(format!(
                "the two sides have different keys on record for the removal of {}",
                entry.member()
            ))
            .about(self.ours.vault.environment())
            .hint("find out which one is false: `git log -p FILE`")),
        }
    }

    /// Whether a side has undone a rotation which the other one knows: it has another data key than the version that
    /// both come from, and no later one.
    fn goes_back(&self, side: Side) -> bool {
        let Some(base) = self.base else { return false };
        let (mine, other) = (self.of(side), self.of(side.other()));
        let key = |version: &Version| version.opened.fingerprint();
        key(other) == key(base)
            && key(mine) != key(base)
            && mine.vault.file.made <= base.vault.file.made
    }

    fn check_ids(&self) -> Result<()> {
        let id = |version: &Version| (version.vault.file.id, version.vault.environment().clone());
        let ours = id(self.ours);
        if id(self.theirs) == ours && self.base.is_none_or(|base| id(base) == ours) {
            return Ok(());
        }
        Err(Error::integrity("the two sides have different environments under this name")
            .about(self.ours.vault.environment())
            .hint("choose one of them whole: `git checkout --ours FILE` or `git checkout --theirs FILE`"))
    }

    /// The earliest removal that the other side knows of and this one doesn't: it may be a leaver's.
    fn doubt(&self, side: Side) -> Option<u64> {
        let (mine, other) = (self.of(side), self.of(side.other()));
        let lacks = |entry: &&FormerName| !mine.vault.file.former.contains_key(*entry);
        other.vault.file.former.keys().filter(lacks).map(FormerName::removed).min()
    }

    /// Whose removal this side doesn't know of.
    pub(crate) fn unknown_removals(&self, side: Side) -> impl Iterator<Item = &MemberName> {
        let mine = &self.of(side).vault.file.former;
        let other = self.of(side.other()).vault.file.former.keys();
        other.filter(|entry| !mine.contains_key(*entry)).map(FormerName::member)
    }

    /// Everybody who is on record as removed.
    fn ledger(&self) -> BTreeMap<FormerName, PublicKey> {
        let entries = |version: &'a Version| version.vault.file.former.iter();
        let versions = [Some(self.ours), Some(self.theirs), self.base];
        let all = versions.into_iter().flatten().flat_map(entries);
        all.map(|(name, entry)| (name.clone(), entry.key.clone())).collect()
    }

    /// One key: that one. Where one side still has the base's key, the other side's. Where both were rotated, or
    /// the ledger has grown, which every vouch is bound to: a new one.
    fn home(&self, ledger: &BTreeMap<FormerName, PublicKey>) -> Home {
        let key = |version: &Version| version.opened.fingerprint();
        let base = self.base.map(key);
        let side = if key(self.ours) == key(self.theirs) || base == Some(key(self.theirs)) {
            Side::Ours
        } else if base == Some(key(self.ours)) {
            Side::Theirs
        } else {
            return Home::New;
        };
        let former = &self.of(side).vault.file.former;
        if former.keys().eq(ledger.keys()) { Home::Of(side) } else { Home::New }
    }

    fn members(&self) -> Members<'a> {
        // Who is gone from the text alone has not been removed: only the ledger says who has.
        let removed: BTreeSet<PublicKey> = self.ledger().into_values().collect();
        let in_base: BTreeSet<&PublicKey> = self
            .base
            .iter()
            .flat_map(|base| base.vault.file.members.values().map(|member| &member.key))
            .collect();
        let mut members = Members::default();
        for side in [Side::Ours, Side::Theirs] {
            let other: BTreeSet<&PublicKey> =
                self.of(side.other()).vault.file.members.values().map(|one| &one.key).collect();
            let doubtful = self.doubt(side).is_some();
            for (name, member) in &self.of(side).vault.file.members {
                if removed.contains(&member.key) {
                    continue;
                }
                let is_added = !in_base.contains(&member.key) && !other.contains(&member.key);
                if doubtful && is_added {
                    members.asking.insert(name.clone(), member.key.clone());
                    continue;
                }
                // Nor does a leaver write anew the block of somebody whom the other side has as well.
                let same = self.of(side.other()).vault.file.members.get(name);
                let is_same = same.is_some_and(|same| same.key == member.key);
                if doubtful && is_same && self.doubt(side.other()).is_none() {
                    continue;
                }
                members.add(name, member, side);
            }
        }
        // Under one data key nobody leaves: who is only deleted from the text still holds it.
        for (name, member) in self.base.iter().flat_map(|base| &base.vault.file.members) {
            let same_key = self.base.map(|base| base.opened.fingerprint());
            let side = [Side::Ours, Side::Theirs]
                .into_iter()
                .find(|side| Some(self.of(*side).opened.fingerprint()) == same_key);
            let stays = self.ours.opened.fingerprint() == self.theirs.opened.fingerprint();
            let there = members.staying.values().any(|(one, _)| one.key == member.key);
            let clashes = members.clashing.iter().any(|(clashing, ..)| clashing == name);
            let stays = stays && !there && !clashes && !removed.contains(&member.key);
            if let Some(side) = side.filter(|_| stays) {
                members.add(name, member, side);
            }
        }
        members
    }

    /// The file of this side, with the members of the other one added.
    fn under(
        &self,
        side: Side,
        members: &Members<'_>,
        plugins: &PluginAccess,
    ) -> Result<(Vault, Opened)> {
        let home = self.of(side);
        let mut vault = Vault { path: home.vault.path.clone(), file: home.vault.file.clone() };
        let opened = home.opened.again();
        let same_key = self.ours.opened.fingerprint() == self.theirs.opened.fingerprint();
        for (name, (member, from)) in &members.staying {
            if *from == side && vault.file.members.contains_key(name) {
                continue;
            }
            if same_key {
                // Under one data key a block is as good in one version as in the other.
                vault.file.members.insert(name.clone(), (*member).clone());
            } else if !vault.file.members.contains_key(name) {
                vault.grant(&opened, name, member.again(), plugins)?;
            }
        }
        Ok((vault, opened))
    }

    /// A new data key for all who stay. Of two that are replaced the later one counts as the replaced one.
    fn under_new_key(
        &self,
        members: &Members<'_>,
        former: BTreeMap<FormerName, PublicKey>,
        now: u64,
        plugins: &PluginAccess,
    ) -> Result<(Vault, Opened)> {
        let later = self.ours.vault.file.made >= self.theirs.vault.file.made;
        let replaced = if later { self.ours } else { self.theirs };
        let removed = former.keys().map(FormerName::removed).max().unwrap_or(0);
        let made = removed.max(now).max(replaced.vault.file.made + 1);
        if made >= TIME_LIMIT {
            return Err(clock_is_poisoned("`made`").about(replaced.vault.environment()));
        }
        let members: BTreeMap<MemberName, NewMember> = members
            .staying
            .iter()
            .map(|(name, (member, _))| (name.clone(), member.again()))
            .collect();
        if !members.contains_key(replaced.opened.me()) {
            return Err(Error::no_access("you are no member of one of the two sides any more")
                .about(replaced.vault.environment())
                .hint("let another member merge"));
        }
        let rotation = Rotation { made, members, former, changed: &|changed| changed };
        let path = &replaced.vault.path;
        let (file, opened) = replaced
            .vault
            .file
            .rotated(&replaced.opened, rotation, plugins)
            .map_err(|fault| fault.at(path).about(replaced.vault.environment()))?;
        Ok((Vault { path: path.clone(), file }, opened))
    }

    /// By name against the base. One whose key is a member's goes afterwards.
    fn requests(&self, members: &Members<'_>) -> BTreeMap<MemberName, PublicKey> {
        let of = |version: &'a Version| &version.vault.file.requests;
        let (ours, theirs) = (of(self.ours), of(self.theirs));
        let nothing = BTreeMap::new();
        let base = self.base.map_or(&nothing, of);
        let mut all = members.asking.clone();
        all.extend(requests::requests(base, ours, theirs));
        all
    }

    /// Puts the values in the place of those that are there. One that is the same keeps its ciphertext.
    fn write_values(
        &self,
        vault: &mut Vault,
        opened: &Opened,
        values: BTreeMap<VarName, Held>,
    ) -> Result<()> {
        let mut records = BTreeMap::new();
        for (name, held) in values {
            let reused = [self.ours, self.theirs]
                .into_iter()
                .filter(|version| version.opened.fingerprint() == opened.fingerprint())
                .find_map(|version| {
                    let record = version.vault.file.secrets.get(&name)?;
                    let there = version.held(&name).ok().flatten()?;
                    there.is_all_of(&held).then(|| record.clone())
                });
            let record = match reused {
                Some(record) => record,
                None => opened
                    .write(&name, held.kind, held.changed, &held.note, &held.value)
                    .map_err(|fault| fault.at(&vault.path).about(vault.environment()))?,
            };
            records.insert(name, record);
        }
        vault.file.secrets = records;
        Ok(())
    }

    /// Every value of the result, the decided ones too.
    fn decided(
        &self,
        mut choices: BTreeMap<VarName, Choice>,
        now: u64,
    ) -> Result<BTreeMap<VarName, Held>> {
        let removed = self.ledger().keys().map(FormerName::removed).max().unwrap_or(0);
        let mut values = BTreeMap::new();
        for (name, merged) in self.values()? {
            let held = match merged {
                Merged::Is(held) => held,
                Merged::Clash { ours, theirs, .. } => {
                    match choices.remove(&name).ok_or_else(|| undecided(&name))? {
                        Choice::As(side) => {
                            let held = if side == Side::Ours { ours } else { theirs };
                            held.map(|held| Held { changed: self.counts_from(side, &held), ..held })
                        }
                        Choice::New(value) => {
                            let old = ours.iter().chain(&theirs).map(|held| held.changed).max();
                            let changed = match self.known_since(&name, &value)? {
                                Some(known) => known,
                                None => time_of_change(now, old, removed)
                                    .ok_or_else(|| clock_is_poisoned(&name))?,
                            };
                            ours.or(theirs).map(|held| Held { value, changed, ..held })
                        }
                    }
                }
            };
            values.extend(held.map(|held| (name, held)));
        }
        Ok(values)
    }
}

impl<'a> Members<'a> {
    fn add(&mut self, name: &MemberName, member: &'a Member, side: Side) {
        match self.staying.get(name) {
            None => drop(self.staying.insert(name.clone(), (member, side))),
            Some((there, _)) if there.key != member.key => {
                self.clashing.push((name.clone(), there.key.clone(), member.key.clone()));
                self.staying.remove(name);
            }
            // Both have granted it: any rule will do that everybody comes to.
            Some((there, _)) if there.vouch > member.vouch => {
                self.staying.insert(name.clone(), (member, side));
            }
            Some(_) => {}
        }
    }
}

impl Side {
    /// git's word for it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Theirs => "theirs",
        }
    }

    pub(crate) fn other(self) -> Self {
        match self {
            Self::Ours => Self::Theirs,
            Self::Theirs => Self::Ours,
        }
    }
}

fn undecided(name: impl std::fmt::Display) -> Error {
    Error::failed(format!("{name}: changed on both sides, and nothing was decided"))
}
