//! New files, new members, new data keys: everything that needs the data key itself (format.md, Rotation
//! and exposure).

use std::collections::BTreeMap;

use super::data_key::{DataKey, Keys};
use super::member::{Binding, ledger_digest};
use super::{Author, Fault, Former, FormerName, Member, NewMember, Opened, Record, VaultFile};
use crate::crypto;
use crate::crypto::keys::PublicKey;
use crate::crypto::plugin::PluginAccess;
use crate::vars::name::{EnvName, MemberName, VarName};

/// What a new file is made of.
pub(crate) struct NewFile<'a> {
    /// The environment.
    pub(crate) environment: EnvName,
    /// When the data key is made.
    pub(crate) made: u64,
    /// Who may open it; the author among them.
    pub(crate) members: BTreeMap<MemberName, NewMember>,
    /// The ledger that it takes over.
    pub(crate) former: BTreeMap<FormerName, PublicKey>,
    /// Who makes it.
    pub(crate) author: Author<'a>,
}

/// What a new data key for an old file brings with it.
pub(crate) struct Rotation<'a> {
    /// When the new data key is made.
    pub(crate) made: u64,
    /// Everybody who may open the file then.
    pub(crate) members: BTreeMap<MemberName, NewMember>,
    /// The whole ledger.
    pub(crate) former: BTreeMap<FormerName, PublicKey>,
    /// The time of change that a value gets, from the one that it has.
    pub(crate) changed: &'a dyn Fn(u64) -> u64,
}

impl Member {
    /// What of this member a new block of his is made from.
    pub(crate) fn again(&self) -> NewMember {
        NewMember {
            key: self.key.clone(),
            locked: self.locked.clone(),
            issued_by: self.issued_by.clone(),
        }
    }
}

impl VaultFile {
    /// A new environment under a new id and a new data key, without any values.
    pub(crate) fn create(
        new: NewFile<'_>,
        plugins: &PluginAccess,
    ) -> Result<(Self, Opened), Fault> {
        Self::under_new_key(crypto::random(), new, plugins)
    }

    /// The file under a new data key: each value encrypted again, each member sealed to and vouched for
    /// again. It is written by the member who opened the file.
    ///
    /// # Errors
    ///
    /// A value is damaged, or a member can't be sealed to. Nothing has happened then.
    pub(crate) fn rotated(
        &self,
        opened: &Opened,
        rotation: Rotation<'_>,
        plugins: &PluginAccess,
    ) -> Result<(Self, Opened), Fault> {
        let author = self.author(opened)?;
        let new = NewFile {
            environment: self.environment.clone(),
            made: rotation.made,
            members: rotation.members,
            former: rotation.former,
            author,
        };
        let (mut file, renewed) = Self::under_new_key(self.id, new, plugins)?;
        for (name, record) in &self.secrets {
            let again = encrypted_again(name, record, opened, &renewed, rotation.changed)?;
            file.secrets.insert(name.clone(), again);
        }
        file.requests = self.requests.clone();
        file.odd_requests.clone_from(&self.odd_requests);
        file.comments.clone_from(&self.comments);
        Ok((file, renewed))
    }

    /// Seals the data key to one more member, or once more to one, under the same data key.
    ///
    /// # Errors
    ///
    /// The member can't be sealed to.
    pub(crate) fn seal_to(
        &mut self,
        opened: &Opened,
        name: &MemberName,
        new: NewMember,
        plugins: &PluginAccess,
    ) -> Result<(), Fault> {
        let block = {
            let binding = Binding::of(self, &opened.keys);
            binding.member(name, new, &opened.data_key, &self.author(opened)?, plugins)?
        };
        self.members.insert(name.clone(), block);
        Ok(())
    }

    /// The member who opened the file, as the writer of blocks.
    fn author<'a>(&'a self, opened: &'a Opened) -> Result<Author<'a>, Fault> {
        let key = self.members.get(&opened.me).map(|member| &member.key);
        let key = key.ok_or_else(|| Fault::integrity(None, "the member who opened it is gone"))?;
        Ok(Author { name: &opened.me, identity: &opened.identity, key })
    }

    fn under_new_key(
        id: [u8; 16],
        new: NewFile<'_>,
        plugins: &PluginAccess,
    ) -> Result<(Self, Opened), Fault> {
        let data_key = DataKey::generate();
        let keys = Keys::derive(&data_key, &id, &new.environment, new.made);
        let mut binding = Binding::new(&new.environment, &id, &keys, [0; 32]);
        let former: BTreeMap<FormerName, Former> = new
            .former
            .into_iter()
            .map(|(name, key)| {
                let entry = binding.former(&name, key);
                (name, entry)
            })
            .collect();
        binding.ledger = ledger_digest(&former);
        let mut members = BTreeMap::new();
        for (name, member) in new.members {
            let block = binding.member(&name, member, &data_key, &new.author, plugins)?;
            members.insert(name, block);
        }
        let identity = new.author.identity.clone();
        let opened = Opened { keys, data_key, identity, me: new.author.name.clone() };
        let file = Self {
            environment: new.environment,
            id,
            made: new.made,
            members,
            former,
            requests: BTreeMap::new(),
            odd_requests: Vec::new(),
            secrets: BTreeMap::new(),
            comments: Vec::new(),
        };
        Ok((file, opened))
    }
}

fn encrypted_again(
    name: &VarName,
    record: &Record,
    old: &Opened,
    new: &Opened,
    changed: &dyn Fn(u64) -> u64,
) -> Result<Record, Fault> {
    let content = old.read(name, record)?;
    new.write(name, record.kind(), changed(record.changed()), &content.note, &content.value)
}
