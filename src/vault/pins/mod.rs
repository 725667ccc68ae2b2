//! What a machine remembers of environments, and what it makes of a file then (format.md, Trust across
//! versions of a file).
//!
//! A program that knows only public keys can build a whole new file that opens for every member. Nothing in
//! that file can show it; only memory can.

mod admission;
mod pinned;
mod text;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub(crate) use self::admission::Admission;
pub(crate) use self::pinned::{PinVerdict, Pinned};
use crate::crypto;
use crate::crypto::keys::PublicKey;
use crate::format::{Expected, Fingerprint, FormerName, Opened, Proof, VaultFile, unhex};
use crate::vars::hex;
use crate::vars::name::{EnvName, MemberName, shown};

/// How far ahead of our clock a new data key may claim to be made. `made` only grows, so a member who leaves
/// could otherwise rotate to a time after which nobody can rotate again.
const AHEAD: u64 = 24 * 60 * 60;

/// A folder and an environment in it.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// The project's folder, for people.
    path: String,
    /// What stands for the folder.
    key: String,
    environment: EnvName,
}

impl Place {
    /// An environment of the project in the folder at this real path.
    pub(crate) fn new(folder: &std::path::Path, environment: &EnvName) -> Self {
        let digest = crypto::sha256([folder.as_os_str().as_encoded_bytes()]);
        let key = hex(digest.get(..8).unwrap_or_default());
        // A line break in it would look like a line of the memory's own.
        let path = shown(&folder.to_string_lossy());
        Self { path, key, environment: environment.clone() }
    }
}

/// The memory of one machine. What it has of names and keys may still lie in the text that it was read from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Memory<'t> {
    /// By id, each fingerprint that was accepted or abandoned here.
    #[serde(default)]
    id: BTreeMap<String, BTreeMap<String, Known<'t>>>,
    /// By folder and environment, what belongs there.
    #[serde(default)]
    here: BTreeMap<String, BTreeMap<String, Here>>,
}

/// Public keys, by the names of members or of entries of the ledger.
type KeysByName<'t> = BTreeMap<Cow<'t, str>, Cow<'t, str>>;

/// One data key that this machine knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Known<'t> {
    /// For people.
    environment: String,
    made: u64,
    /// A rotation that was thrown away: refused from then on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    abandoned: bool,
    /// Made here by a merge, and never seen in its place: that merge may have been thrown away.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    noted: bool,
    /// What spares a run to check these members and this ledger again. None where a file said something else since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mark: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    members: KeysByName<'t>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    former: KeysByName<'t>,
}

/// What belongs to one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Here {
    /// For people.
    path: String,
    /// By id, the newest fingerprint that was accepted here; empty where that was abandoned.
    newest: BTreeMap<String, String>,
}

/// A file that was opened, about to be judged.
#[derive(Clone, Copy)]
pub(crate) struct Candidate<'a> {
    /// Where it lies.
    pub(crate) place: &'a Place,
    /// What it says.
    pub(crate) file: &'a VaultFile,
    /// Its data key, after every vouch was found good.
    pub(crate) opened: &'a Opened,
}

impl Candidate<'_> {
    /// What there is to remember of it.
    pub(crate) fn seen(self) -> Seen {
        let Self { place, file, opened } = self;
        let known = Known { mark: Some(file.mark(opened).to_string()), ..Known::of(file) };
        Seen { place: place.clone(), id: hex(&file.id), fingerprint: opened.fingerprint(), known }
    }
}

/// What is to be remembered of a file.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    place: Place,
    id: String,
    fingerprint: Fingerprint,
    known: Known<'static>,
}

impl Seen {
    /// The environment, and its data key.
    pub(crate) fn told(&self) -> (&EnvName, &Fingerprint) {
        (&self.place.environment, &self.fingerprint)
    }
}

/// A member who is believed once a data key is abandoned.
pub(crate) struct Believed {
    /// The name, as it is remembered.
    pub(crate) name: String,
    /// The public key.
    pub(crate) key: String,
    /// Under the abandoned data key he was none.
    pub(crate) had_left: bool,
}

/// What is made of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is under a data key that this machine has accepted, or made.
    Known {
        /// What is odd about its members: no vault writes that under one data key.
        odd: Vec<Odd>,
        /// What there is to remember.
        news: News,
    },
    /// This machine has never seen this environment, whatever its place: to be remembered.
    New,
    /// A member whom this machine knows has rotated: to be remembered, and told.
    Rotated(Story),
    /// It is not to be believed.
    Stop(Stop),
}

/// What there is to remember of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    /// Nothing that isn't remembered.
    Nothing,
    /// That its members were checked as they are: without it, a run checks them again.
    Checked,
    /// More: a data key, a member, or that it lies here too.
    More,
}

/// What somebody has done to a member who is remembered, under the same data key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Odd {
    /// The block is gone. The key still opens the file.
    Gone(MemberName),
    /// Another key stands under the name. The old one still opens the file.
    OtherKey(MemberName),
    /// The key stands under another name.
    OtherName(MemberName, MemberName),
    /// An entry of the ledger is gone, or has another key.
    Unrecorded(FormerName),
    /// There is an entry of the ledger that was not there when the data key was accepted.
    Recorded(FormerName),
}

/// Why a file is not to be believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Its data key was abandoned here.
    Abandoned,
    /// Another environment belongs to this place.
    OtherId,
    /// A later data key was accepted here: this one.
    Old(Fingerprint),
    /// Nothing proves who made this data key.
    Unproven(Story),
    /// Under this data key another record of who was removed is remembered.
    OtherLedger,
    /// The other side of a merge has removed the key of this member, who made it.
    OfLeaver(MemberName),
}

/// What a data key that was never accepted changes, by what the machine remembers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Story {
    /// Who says that he made it.
    pub(crate) by: Option<MemberName>,
    /// What is known of that.
    pub(crate) origin: Origin,
    /// It is later than every data key that is remembered.
    pub(crate) later: bool,
    /// The latest data key that is remembered.
    pub(crate) newest: Option<Fingerprint>,
    /// It claims to be made more than a day from now.
    pub(crate) ahead: bool,
    /// Entries of the ledger that are remembered and not there.
    pub(crate) dropped: Vec<String>,
    /// Members who were not remembered, with their keys.
    pub(crate) joined: Vec<(MemberName, PublicKey)>,
    /// Members who have another key than the one that is remembered, with their new ones.
    pub(crate) other_key: Vec<(MemberName, PublicKey)>,
    /// Members who are not there any more.
    pub(crate) left: Vec<String>,
    /// Members whose remembered keys are neither a member's nor on record as a former member's.
    pub(crate) unrecorded: Vec<String>,
}

/// What is known of who made a data key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The proof holds under the key that is remembered of him.
    Proven,
    /// He has another key now than the one that is remembered, and no proof under that.
    OtherKey,
    /// He has the remembered key, and the proof fails under it.
    Forged,
    /// He isn't remembered, or there can be no proof between two such keys.
    Unknown,
}

impl Story {
    /// Only `trust --expect` may accept it: a question would be answered too easily.
    pub(crate) fn is_grave(&self) -> bool {
        !self.later || matches!(self.origin, Origin::Forged | Origin::OtherKey)
    }
}

impl<'t> Memory<'t> {
    /// What is to be made of a file, at the time `now`. The rows of the table in format.md, in their order.
    pub(crate) fn judge(&self, candidate: Candidate<'_>, now: u64) -> Verdict {
        let Candidate { place, file, opened } = candidate;
        let (id, fingerprint) = (hex(&file.id), hex(&opened.fingerprint().0));
        let known = self.id.get(&id).and_then(|keys| keys.get(&fingerprint));
        if known.is_some_and(|known| known.abandoned) {
            return Verdict::Stop(Stop::Abandoned);
        }
        let here = self.here(place);
        if here.is_some_and(|here| !here.newest.is_empty() && !here.newest.contains_key(&id)) {
            return Verdict::Stop(Stop::OtherId);
        }
        if !self.id.contains_key(&id) {
            return Verdict::New;
        }
        // Where every one was abandoned, none is believed by itself.
        let (newest, newest_made) = self.newest(&id).unwrap_or_default();
        if let Some(known) = known.filter(|known| known.noted && known.made > newest_made) {
            return newly_here(known, file);
        }
        let newest_here = here.and_then(|here| here.newest.get(&id)).filter(|one| !one.is_empty());
        match (known, newest_here) {
            (Some(known), Some(here)) if *here == fingerprint => as_before(known, candidate),
            (Some(known), Some(here)) if known.made > self.made(&id, here) => {
                newly_here(known, file)
            }
            (Some(known), None) if newest == fingerprint => newly_here(known, file),
            (Some(_), later) => {
                let later = later.map_or(newest, String::as_str);
                Verdict::Stop(Stop::Old(fingerprint_of(later).unwrap_or(opened.fingerprint())))
            }
            (None, _) => self.never_accepted(candidate, newest_made, now),
        }
    }

    fn never_accepted(&self, candidate: Candidate<'_>, newest_made: u64, now: u64) -> Verdict {
        let story = self.story(candidate, newest_made, now);
        let believed = story.origin == Origin::Proven
            && story.later
            && !story.ahead
            && story.dropped.is_empty();
        if believed { Verdict::Rotated(story) } else { Verdict::Stop(Stop::Unproven(story)) }
    }

    fn story(&self, candidate: Candidate<'_>, newest_made: u64, now: u64) -> Story {
        let Candidate { file, opened, .. } = candidate;
        let nothing = Known::new(file);
        let before = self.newest_known(&hex(&file.id)).unwrap_or(&nothing);
        let by = file.members.get(opened.me()).map(|mine| mine.by.clone());
        let remembered = by.as_ref().and_then(|by| before.members.get(by.as_str()));
        let key_now = by.as_ref().and_then(|by| file.members.get(by)).map(|one| one.key.as_str());
        let proof = remembered.and_then(|key| key.parse().ok()).map(|key| opened.proof(file, &key));
        let origin = match proof {
            Some(Proof::Holds) => Origin::Proven,
            Some(Proof::Fails) if remembered.map(AsRef::as_ref) == key_now => Origin::Forged,
            Some(Proof::Fails) => Origin::OtherKey,
            Some(Proof::Impossible) | None => Origin::Unknown,
        };
        let keys = keys_of(file);
        let ledger: BTreeSet<&str> = file.former.values().map(|one| one.key.as_str()).collect();
        let names = |wanted: &dyn Fn(&str, &str) -> bool| -> Vec<String> {
            let entries = before.members.iter().filter(|(name, key)| wanted(name, key));
            entries.map(|(name, _)| name.clone().into_owned()).collect()
        };
        let there = |name: &str| file.members.keys().any(|one| one.as_str() == name);
        let gone = |key: &str| !keys.contains(key) && !ledger.contains(key);
        let is_new = |name: &MemberName| !before.members.contains_key(name.as_str());
        let has_another = |name: &MemberName, key: &PublicKey| {
            before.members.get(name.as_str()).is_some_and(|old| old != key.as_str())
        };
        let with_key = |wanted: &dyn Fn(&MemberName, &PublicKey) -> bool| {
            let members = file.members.iter().filter(|(name, one)| wanted(name, &one.key));
            members.map(|(name, one)| (name.clone(), one.key.clone())).collect()
        };
        Story {
            by,
            origin,
            later: file.made > newest_made,
            newest: self.newest(&hex(&file.id)).and_then(|(newest, _)| fingerprint_of(newest)),
            ahead: file.made > now.saturating_add(AHEAD),
            dropped: before.dropped(file).iter().map(|(entry, _)| entry.to_string()).collect(),
            joined: with_key(&|name, _| is_new(name)),
            other_key: with_key(&|name, key| has_another(name, key)),
            left: names(&|name, _| !there(name)),
            unrecorded: names(&|_, key| gone(key)),
        }
    }

    /// Remembers a data key that was made here and stands in no place yet: the next read takes it.
    pub(crate) fn note_made(&mut self, seen: Seen) {
        let Seen { id, fingerprint, known, .. } = seen;
        let known = Known { noted: true, ..known };
        self.id.entry(id).or_default().entry(hex(&fingerprint.0)).or_insert(known);
    }

    /// Remembers what was seen as accepted, here and at all.
    pub(crate) fn accept(&mut self, seen: Seen) {
        let Seen { place, id, fingerprint, known: new } = seen;
        let fingerprint = hex(&fingerprint.0);
        let keys = self.id.entry(id.clone()).or_default();
        match keys.get_mut(&fingerprint) {
            Some(known) => {
                (known.abandoned, known.noted) = (false, false);
                known.grow(new);
            }
            None => drop(keys.insert(fingerprint.clone(), new)),
        }
        let folder = self.here.entry(place.key.clone()).or_default();
        let here = folder
            .entry(place.environment.to_string())
            .or_insert_with(|| Here { path: String::new(), newest: BTreeMap::new() });
        here.path.clone_from(&place.path);
        here.newest.insert(id, fingerprint);
    }

    /// Remembers what this machine has made, which it does once that stands in its place. By then another
    /// process of it may have made and remembered a later data key, and that one stays the newest.
    pub(crate) fn accept_made(&mut self, seen: Seen) {
        let before = self.here(&seen.place).and_then(|here| here.newest.get(&seen.id)).cloned();
        let later = before.filter(|before| self.made(&seen.id, before) > seen.known.made);
        let (place, id) = (seen.place.clone(), seen.id.clone());
        self.accept(seen);
        let here = self.here.get_mut(&place.key);
        let here = here.and_then(|folder| folder.get_mut(place.environment.as_str()));
        if let (Some(here), Some(later)) = (here, later) {
            here.newest.insert(id, later);
        }
    }

    /// Refuses a data key from now on. Gives the members who are believed then; None if no such data key was
    /// accepted for an environment of this place, or for the one of this id, which lies there now.
    pub(crate) fn abandon(
        &mut self,
        place: &Place,
        now: Option<[u8; 16]>,
        expected: &Expected,
    ) -> Option<Vec<Believed>> {
        let here = self.here(place).into_iter().flat_map(|here| here.newest.keys().cloned());
        let ids: Vec<String> = here.chain(now.map(|id| hex(&id))).collect();
        let found = ids.iter().find_map(|id| {
            let mut keys = self.id.get(id)?.iter();
            let (fingerprint, _) =
                keys.find(|(text, _)| fingerprint_of(text).is_some_and(|one| expected.is(&one)))?;
            Some((id.clone(), fingerprint.clone()))
        });
        let (id, fingerprint) = found?;
        let members = |memory: &Self| -> KeysByName<'t> {
            memory.newest_known(&id).map(|known| known.members.clone()).unwrap_or_default()
        };
        let before = members(self);
        if let Some(known) = self.id.get_mut(&id).and_then(|keys| keys.get_mut(&fingerprint)) {
            known.abandoned = true;
        }
        let newest = self.newest(&id).map(|(newest, _)| newest.to_owned()).unwrap_or_default();
        for here in self.here.values_mut().flat_map(BTreeMap::values_mut) {
            if let Some(one) = here.newest.get_mut(&id).filter(|one| **one == fingerprint) {
                one.clone_from(&newest);
            }
        }
        let believed = members(self).into_iter().map(|(name, key)| {
            let had_left = !before.values().any(|other| *other == key);
            Believed { name: name.into_owned(), key: key.into_owned(), had_left }
        });
        Some(believed.collect())
    }

    /// A later data key of this environment that was accepted anywhere on this machine.
    pub(crate) fn later(&self, file: &VaultFile) -> Option<Fingerprint> {
        let (newest, made) = self.newest(&hex(&file.id))?;
        fingerprint_of(newest).filter(|_| made > file.made)
    }

    /// Entries of the ledger that were remembered under this data key and are not in the file.
    pub(crate) fn dropped(
        &self,
        file: &VaultFile,
        fingerprint: &Fingerprint,
    ) -> Vec<(FormerName, PublicKey)> {
        let known = self.id.get(&hex(&file.id)).and_then(|keys| keys.get(&hex(&fingerprint.0)));
        known.map(|known| known.dropped(file)).unwrap_or_default()
    }

    /// The key that is remembered of a member of this name under this data key.
    pub(crate) fn key_of(
        &self,
        name: &MemberName,
        file: &VaultFile,
        fingerprint: &Fingerprint,
    ) -> Option<PublicKey> {
        let known = self.id.get(&hex(&file.id))?.get(&hex(&fingerprint.0))?;
        known.members.get(name.as_str())?.parse().ok()
    }

    /// Members who were remembered under this data key and are not in the file, with their keys.
    pub(crate) fn missing(
        &self,
        file: &VaultFile,
        fingerprint: &Fingerprint,
    ) -> Vec<(MemberName, PublicKey)> {
        let known = self.id.get(&hex(&file.id)).and_then(|keys| keys.get(&hex(&fingerprint.0)));
        let members = known.into_iter().flat_map(|known| &known.members);
        let there = |key: &PublicKey| file.members.values().any(|member| member.key == *key);
        members
            .filter_map(|(name, key)| Some((name.parse().ok()?, key.parse().ok()?)))
            .filter(|(_, key)| !there(key))
            .collect()
    }

    fn here(&self, place: &Place) -> Option<&Here> {
        self.here.get(&place.key)?.get(place.environment.as_str())
    }

    fn made(&self, id: &str, fingerprint: &str) -> u64 {
        let known = self.id.get(id).and_then(|keys| keys.get(fingerprint));
        known.map_or(0, |known| known.made)
    }

    /// The latest data key that was accepted for this id, and when it was made.
    fn newest(&self, id: &str) -> Option<(&str, u64)> {
        let keys = self.id.get(id)?.iter();
        let accepted = keys.filter(|(_, known)| !known.abandoned && !known.noted);
        let newest = accepted.max_by_key(|(_, known)| known.made)?;
        Some((newest.0.as_str(), newest.1.made))
    }

    fn newest_known(&self, id: &str) -> Option<&Known<'t>> {
        let (newest, _) = self.newest(id)?;
        self.id.get(id)?.get(newest)
    }
}

/// Under the data key that was accepted here last.
fn as_before(known: &Known<'_>, candidate: Candidate<'_>) -> Verdict {
    let Candidate { file, opened, .. } = candidate;
    // Nearly always it is the same.
    if known.says(file) {
        // A block that was written anew, of a member who was there before, needs a new mark.
        let is_marked = known.mark == Some(file.mark(opened).to_string());
        let news = if is_marked { News::Nothing } else { News::Checked };
        return Verdict::Known { odd: Vec::new(), news };
    }
    let grown = file.members.keys().any(|name| !known.members.contains_key(name.as_str()));
    let news = if grown { News::More } else { News::Nothing };
    Verdict::Known { odd: all_odd(known, file), news }
}

/// Under a data key that was accepted elsewhere, or is later than the one here.
fn newly_here(known: &Known<'_>, file: &VaultFile) -> Verdict {
    Verdict::Known { odd: all_odd(known, file), news: News::More }
}

/// What has become of everybody who is remembered under this data key.
fn all_odd(known: &Known<'_>, file: &VaultFile) -> Vec<Odd> {
    let odd = known.members.iter().filter_map(|(name, key)| odd(name, key, file));
    let unrecorded = known.dropped(file).into_iter().map(|(entry, _)| Odd::Unrecorded(entry));
    let added = file.former.keys().filter(|entry| !known.former.contains_key(entry.as_str()));
    odd.chain(unrecorded).chain(added.cloned().map(Odd::Recorded)).collect()
}

/// What has become of a remembered member.
fn odd(name: &str, key: &str, file: &VaultFile) -> Option<Odd> {
    if file.members.get(name).is_some_and(|one| one.key.as_str() == key) {
        return None;
    }
    let name: MemberName = name.parse().ok()?;
    let now = file.members.iter().find(|(_, one)| one.key.as_str() == key);
    Some(match now {
        Some((other, _)) => Odd::OtherName(name, other.clone()),
        None if file.members.contains_key(&name) => Odd::OtherKey(name),
        None => Odd::Gone(name),
    })
}

fn keys_of(file: &VaultFile) -> BTreeSet<&str> {
    file.members.values().map(|one| one.key.as_str()).collect()
}

impl Known<'_> {
    fn new(file: &VaultFile) -> Self {
        Self {
            environment: file.environment.to_string(),
            made: file.made,
            abandoned: false,
            noted: false,
            mark: None,
            members: BTreeMap::new(),
            former: BTreeMap::new(),
        }
    }

    /// Whether the file has these members and this ledger, no more and no less.
    fn says(&self, file: &VaultFile) -> bool {
        let members = file.members.iter().map(|(name, one)| (name.as_str(), one.key.as_str()));
        let former = file.former.iter().map(|(name, one)| (name.as_str(), one.key.as_str()));
        texts(&self.members).eq(members) && texts(&self.former).eq(former)
    }

    /// Entries of the ledger that are remembered and that the file doesn't have as they were.
    fn dropped(&self, file: &VaultFile) -> Vec<(FormerName, PublicKey)> {
        let former = self.former.iter();
        former
            .filter_map(|(name, key)| Some((name.parse().ok()?, key.parse().ok()?)))
            .filter(|(name, key)| file.former.get(name).is_none_or(|entry| entry.key != *key))
            .collect()
    }

    /// What a file says, all of it.
    fn of(file: &VaultFile) -> Self {
        let pair = |name: &str, key: &PublicKey| (name.to_owned().into(), key.to_string().into());
        let (members, former) = (file.members.iter(), file.former.iter());
        Self {
            members: members.map(|(name, one)| pair(name.as_str(), &one.key)).collect(),
            former: former.map(|(name, one)| pair(name.as_str(), &one.key)).collect(),
            ..Self::new(file)
        }
    }

    /// Under one data key the members only grow, and the first key of a name stays. The ledger is what it was
    /// when the data key was accepted: only a rotation writes into it.
    fn grow(&mut self, new: Self) {
        for (name, key) in &new.members {
            self.members.entry(name.clone()).or_insert_with(|| key.clone());
        }
        // Else there is something to be told each time.
        let is_all = self.members == new.members && self.former == new.former;
        self.mark = new.mark.filter(|_| is_all);
    }
}

fn texts<'k>(keys: &'k KeysByName<'_>) -> impl Iterator<Item = (&'k str, &'k str)> {
    keys.iter().map(|(name, key)| (name.as_ref(), key.as_ref()))
}

fn fingerprint_of(text: &str) -> Option<Fingerprint> {
    unhex(text)?.try_into().ok().map(Fingerprint)
}

#[cfg(test)]
mod tests;
