//! From a file and a private key to its values, and back: the order of checks is format.md, Vouch.

use super::data_key::{DataKey, Fingerprint, Keys};
use super::member::{Binding, read_seal};
use super::record::Content;
use super::{Fault, Member, Record, RecordKind, VaultFile};
use crate::crypto::keys::{Identity, PublicKey, Unsealed};
use crate::crypto::{self, MacKey};
use crate::error::Kind;
use crate::secret::Secret;
use crate::vars::name::{MemberName, VarName};

/// How many passphrase-protected blocks are tried: each costs about a second.
const LOCKED_TRIED: usize = 4;
/// How many blocks of one's own key are tried: a genuine file has one.
const OWN_TRIED: usize = 4;
/// How many blocks of a plugin are tried whose public key isn't known.
const PLUGIN_TRIED: usize = 16;

/// The right to read and write one file: its data key, after every vouch was found good.
pub(crate) struct Opened {
    pub(super) keys: Keys,
    pub(super) data_key: DataKey,
    pub(super) identity: Identity,
    pub(super) me: MemberName,
}

/// What a member's `proof` says, seen with that member's private key and somebody's public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Whoever has the private key of that public key knew this data key, and put this ledger beside it.
    Holds,
    /// He didn't make it.
    Fails,
    /// There can be none between these two: a key of theirs is of another sort than X25519.
    Impossible,
}

impl Opened {
    /// The same right once more.
    pub(crate) fn again(&self) -> Self {
        let (data_key, identity) = (self.data_key.clone(), self.identity.clone());
        Self { keys: self.keys.clone(), data_key, identity, me: self.me.clone() }
    }

    /// The member whose key opened the file.
    pub(crate) fn me(&self) -> &MemberName {
        &self.me
    }

    /// The name of the data key.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.keys.fingerprint
    }

    /// Checks my block's proof under the public key `by` (format.md, Proof).
    pub(crate) fn proof(&self, file: &VaultFile, by: &PublicKey) -> Proof {
        let Some(mine) = file.members.get(&self.me) else { return Proof::Impossible };
        let binding = Binding::of(file, &self.keys);
        if mine.key.x25519().is_none() || by.x25519().is_none() {
            return Proof::Impossible;
        }
        let key = binding.proof_key(&self.identity, by, &mine.key, by);
        let holds = key
            .zip(mine.proof)
            .is_some_and(|(key, proof)| MacKey::new(&key).matches(&binding.proof_parts(), &proof));
        if holds { Proof::Holds } else { Proof::Fails }
    }

    /// The derived keys.
    #[cfg(test)]
    pub(super) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Decrypts one value.
    pub(crate) fn read(&self, name: &VarName, record: &Record) -> Result<Content, Fault> {
        record.open(&self.keys, name)
    }

    /// As [`Opened::read`], where the record isn't needed afterwards.
    pub(crate) fn take(&self, name: &VarName, record: Record) -> Result<Content, Fault> {
        record.into_content(&self.keys, name)
    }

    /// Encrypts one value.
    pub(crate) fn write(
        &self,
        name: &VarName,
        kind: RecordKind,
        changed: u64,
        note: &str,
        value: &Secret,
    ) -> Result<Record, Fault> {
        Record::seal(&self.keys, name, kind, changed, note, value.expose())
    }
}

impl VaultFile {
    /// Opens the file with the first of `identities` that is a member's.
    ///
    /// # Errors
    ///
    /// [`Kind::NoAccess`] when none of them is. Anything wrong with the seal, or with any vouch in the
    /// file, is an integrity fault: nothing may be read, and nobody sealed to, before that is mended.
    pub(crate) fn open(&self, identities: &[Identity]) -> Result<Opened, Fault> {
        let mut damaged = None;
        for identity in identities {
            if let Some((data_key, name)) = self.open_as_said(identity) {
                return self.verified(data_key, name, identity);
            }
            for (name, member) in self.blocks_of(identity) {
                match identity.unseal(&member.sealed) {
                    Ok(text) => {
                        let data_key = read_seal(&text, self, member.line, name)?;
                        return self.verified(data_key, name, identity);
                    }
                    Err(Unsealed::Failed(error)) => return Err(Fault::from(error)),
                    // A plugin whose public key isn't known is tried on every block of that plugin.
                    Err(_) if identity.public_key().is_none() => {}
                    Err(Unsealed::NotForThisKey | Unsealed::Malformed) => {
                        damaged.get_or_insert((name, member.line));
                    }
                }
            }
        }
        match damaged {
            Some((name, line)) => {
                let message = format!(
                    "the seal of member {name} is damaged: the key that it is for can't open it"
                );
                Err(Fault::integrity(Some(line), message)
                    .hint("take this member's block back from git, or ask another member to grant it again"))
            }
            None => Err(no_access("this key opens nothing here")),
        }
    }

    /// Opens the block of the public key that the identity says it has. None where that opens nothing, be it
    /// that it isn't the identity's: then its own is computed.
    fn open_as_said(&self, identity: &Identity) -> Option<(DataKey, &MemberName)> {
        let said = identity.said_public_key()?;
        let (name, member) = self.members.iter().find(|(_, member)| member.key == *said)?;
        match identity.unseal(&member.sealed) {
            Ok(text) => read_seal(&text, self, member.line, name).ok().map(|key| (key, name)),
            Err(_) => None,
        }
    }

    /// Opens another version of a file that is open already, under the same data key: also one in which the
    /// member who opened it stands not yet.
    ///
    /// # Errors
    ///
    /// It is under another data key, or a vouch is false.
    pub(crate) fn open_like(&self, opened: &Opened) -> Result<Opened, Fault> {
        self.verified(opened.data_key.clone(), &opened.me, &opened.identity)
    }

    /// Opens the file with the passphrase of a recovery member.
    pub(crate) fn open_locked(&self, passphrase: &Secret) -> Result<Opened, Fault> {
        let locked = self
            .members
            .iter()
            .filter_map(|(name, member)| Some((name, member, member.locked.as_ref()?)));
        let mut any = false;
        for (name, member, locked) in locked.take(LOCKED_TRIED) {
            any = true;
            let fault = |error| {
                let fault = Fault::from(error);
                Fault {
                    line: Some(member.line),
                    message: format!("member {name}: {}", fault.message),
                    ..fault
                }
            };
            let Some(text) = crypto::unlock(locked, passphrase).map_err(fault)? else { continue };
            let identity = Identity::from_line(&text).map_err(fault)?;
            if identity.public_key().as_ref() != Some(&member.key) {
                let message =
                    format!("the locked key of member {name} is not the one of its `key`");
                return Err(Fault::integrity(Some(member.line), message));
            }
            return self.open(&[identity]);
        }
        Err(no_access(if any {
            "the passphrase opens no recovery member here"
        } else {
            "there is no recovery member here"
        }))
    }

    /// The blocks that this identity may open, in the order of their names.
    fn blocks_of<'a>(
        &'a self,
        identity: &Identity,
    ) -> impl Iterator<Item = (&'a MemberName, &'a Member)> {
        let public = identity.public_key();
        let plugin = identity.plugin().map(str::to_owned);
        let tried = if public.is_some() { OWN_TRIED } else { PLUGIN_TRIED };
        let blocks = self.members.iter().filter(move |(_, member)| match &public {
            Some(public) => member.key == *public,
            None => plugin.is_some() && member.key.plugin() == plugin.as_deref(),
        });
        blocks.take(tried)
    }

    fn verified(
        &self,
        data_key: DataKey,
        me: &MemberName,
        identity: &Identity,
    ) -> Result<Opened, Fault> {
        let keys = Keys::derive(&data_key, &self.id, &self.environment, self.made);
        if self.members.values().all(|member| member.key_id() != keys.key_id) {
            let message =
                "`made` was altered, or every member but one was put in from another version";
            return Err(Fault::integrity(None, message).hint("take the file back from git"));
        }
        let binding = Binding::of(self, &keys);
        for (name, member) in &self.members {
            binding.check_member(name, member)?;
        }
        for (name, former) in &self.former {
            binding.check_former(name, former)?;
        }
        Ok(Opened { keys, data_key, identity: identity.clone(), me: me.clone() })
    }
}

fn no_access(message: &str) -> Fault {
    Fault { line: None, kind: Kind::NoAccess, message: message.to_owned(), hint: None }
}
