//! What one version of an environment has that another has not, seen without any key.
//!
//! Names, times and members are readable by everybody; nothing here is authenticated.

use std::collections::BTreeSet;
use std::fmt;

use crate::crypto::keys::PublicKey;
use crate::format::{Fingerprint, FormerName, VaultFile};
use crate::vars::name::{MemberName, VarName};

/// One difference, from an earlier version to a later one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// There was no such environment.
    Made,
    /// There is no such environment any more.
    Deleted,
    /// What stands there now is no vault file.
    Unreadable,
    /// Another environment stands under the name: its id is another one.
    OtherId,
    /// Another data key, as after a rotation.
    NewKey,
    /// Another data key, made no later than the one before.
    EarlierKey,
    /// A new name.
    Added(VarName),
    /// A value was set.
    Changed(VarName),
    /// A value has an earlier time of change than before: it was put back.
    Older(VarName),
    /// A record was written anew with the same time of change: another note, or another kind.
    Rewritten(VarName),
    /// A name is gone.
    Removed(VarName),
    /// A new member.
    Joined(MemberName, PublicKey),
    /// A member is none any more, and is on record as removed.
    Left(MemberName),
    /// A member's block is gone, and nothing records it.
    Vanished(MemberName),
    /// A member has another key.
    OtherKey(MemberName, PublicKey),
    /// A removal is not on record any more.
    Unrecorded(MemberName),
    /// Somebody who was removed is a member again, with the same key.
    BackAgain(MemberName),
    /// Somebody asks for access.
    Asks(MemberName, PublicKey),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = |key: &PublicKey| Fingerprint::of_key(key);
        match self {
            Self::Made => f.write_str("made"),
            Self::Deleted => f.write_str("deleted"),
            Self::Unreadable => f.write_str("not readable"),
            Self::OtherId => f.write_str("another environment (its id is another one)"),
            Self::NewKey => f.write_str("new data key"),
            Self::EarlierKey => f.write_str("an earlier data key"),
            Self::Added(name) => write!(f, "{name} added"),
            Self::Changed(name) => write!(f, "{name} changed"),
            Self::Older(name) => write!(f, "{name} put back to an earlier value"),
            Self::Rewritten(name) => write!(f, "{name} written anew"),
            Self::Removed(name) => write!(f, "{name} removed"),
            Self::Joined(name, with) => write!(f, "new member {name} (key {})", key(with)),
            Self::Left(name) => write!(f, "removed member {name}"),
            Self::Vanished(name) => write!(f, "member {name} deleted without a record"),
            Self::OtherKey(name, with) => {
                write!(f, "member {name} has another key ({})", key(with))
            }
            Self::Unrecorded(name) => write!(f, "the removal of {name} is not on record any more"),
            Self::BackAgain(name) => write!(f, "{name}, who was removed, is a member again"),
            Self::Asks(name, with) => write!(f, "{name} asks for access (key {})", key(with)),
        }
    }
}

impl Change {
    /// The variable that it is about.
    pub(crate) fn variable(&self) -> Option<&VarName> {
        match self {
            Self::Added(name)
            | Self::Changed(name)
            | Self::Older(name)
            | Self::Rewritten(name)
            | Self::Removed(name) => Some(name),
            _ => None,
        }
    }
}

/// All that is different, names in their order.
pub(crate) fn changes(before: Option<&VaultFile>, after: Option<&VaultFile>) -> Vec<Change> {
    let (before, after) = match (before, after) {
        (None, None) => return Vec::new(),
        (Some(_), None) => return vec![Change::Deleted],
        (None, Some(after)) => {
            let mut all = vec![Change::Made];
            all.extend(after.members.iter().map(|(name, one)| joined(name, &one.key)));
            all.extend(after.secrets.keys().cloned().map(Change::Added));
            return all;
        }
        (Some(before), Some(after)) => (before, after),
    };
    let mut all = Vec::new();
    if before.id != after.id {
        all.push(Change::OtherId);
    }
    let same_key =
        before.made == after.made && before.unverified_key_id() == after.unverified_key_id();
    if !same_key {
        all.push(if after.made > before.made { Change::NewKey } else { Change::EarlierKey });
    }
    members(before, after, &mut all);
    ledger(before, after, &mut all);
    secrets(before, after, &mut all);
    for (name, key) in &after.requests {
        if before.requests.get(name) != Some(key) {
            all.push(Change::Asks(name.clone(), key.clone()));
        }
    }
    all
}

fn joined(name: &MemberName, key: &PublicKey) -> Change {
    Change::Joined(name.clone(), key.clone())
}

fn members(before: &VaultFile, after: &VaultFile, all: &mut Vec<Change>) {
    let names: BTreeSet<&MemberName> = before.members.keys().chain(after.members.keys()).collect();
    for name in names {
        let key = |file: &VaultFile| file.members.get(name).map(|member| member.key.clone());
        match (key(before), key(after)) {
            (None, Some(key)) => all.push(joined(name, &key)),
            (Some(old), Some(new)) if old != new => {
                all.push(Change::OtherKey(name.clone(), new));
            }
            (Some(old), None) => {
                let recorded = after.former.values().any(|entry| entry.key == old);
                let gone = if recorded { Change::Left } else { Change::Vanished };
                all.push(gone(name.clone()));
            }
            _ => {}
        }
    }
}

fn ledger(before: &VaultFile, after: &VaultFile, all: &mut Vec<Change>) {
    for (entry, former) in &before.former {
        if after.former.get(entry).is_none_or(|now| now.key != former.key) {
            all.push(Change::Unrecorded(entry.member().clone()));
        }
    }
    let removed = |file: &VaultFile, key: &PublicKey| -> Option<FormerName> {
        let entry = file.former.iter().find(|(_, former)| former.key == *key);
        entry.map(|(entry, _)| entry.clone())
    };
    for (name, member) in &after.members {
        let was = before.members.values().any(|one| one.key == member.key);
        if removed(before, &member.key).is_some() && !was {
            all.push(Change::BackAgain(name.clone()));
        }
    }
}

fn secrets(before: &VaultFile, after: &VaultFile, all: &mut Vec<Change>) {
    let names: BTreeSet<&VarName> = before.secrets.keys().chain(after.secrets.keys()).collect();
    for name in names {
        let change: fn(VarName) -> Change =
            match (before.secrets.get(name), after.secrets.get(name)) {
                (None, _) => Change::Added,
                (_, None) => Change::Removed,
                (Some(old), Some(new)) if new.changed() > old.changed() => Change::Changed,
                (Some(old), Some(new)) if new.changed() < old.changed() => Change::Older,
                // A rotation encrypts each value again.
                (Some(old), Some(new))
                    if old.key_id() == new.key_id() && old.bytes() != new.bytes() =>
                {
                    Change::Rewritten
                }
                _ => continue,
            };
        all.push(change(name.clone()));
    }
}
