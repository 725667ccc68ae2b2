//! Who joins and who leaves (format.md, Rotation and exposure).

use std::collections::{BTreeMap, BTreeSet};

use super::Vault;
use super::exposure::{clock_is_poisoned, time_of_removal};
use super::pins::Memory;
use crate::crypto::keys::PublicKey;
use crate::crypto::plugin::PluginAccess;
use crate::error::{Error, Kind, Result};
use crate::format::{FormerName, NewMember, Opened, Rotation, TIME_LIMIT};
use crate::vars::name::{MemberName, VarName};

/// A time of change further ahead of the clock than this is somebody's mistake.
const AHEAD: u64 = 24 * 60 * 60;

/// What a new data key changes of the members.
#[derive(Default)]
pub(crate) struct Changes {
    /// They lose their access.
    pub(crate) removed: BTreeSet<MemberName>,
    /// They were members under the present data key, and somebody has deleted their blocks.
    pub(crate) missing: Vec<(MemberName, PublicKey)>,
    /// They were removed before, and somebody has deleted the record of it.
    pub(crate) unrecorded: Vec<(FormerName, PublicKey)>,
    /// They get another key.
    pub(crate) replaced: BTreeMap<MemberName, NewMember>,
}

impl Changes {
    /// As this machine remembers the file, what somebody has deleted from it.
    pub(crate) fn with_memory(
        mut self,
        memory: &Memory<'_>,
        vault: &Vault,
        opened: &Opened,
    ) -> Self {
        let fingerprint = opened.fingerprint();
        self.missing = memory.missing(&vault.file, &fingerprint);
        self.unrecorded = memory.dropped(&vault.file, &fingerprint);
        self
    }
}

/// What has become of a rotation.
pub(crate) struct Rotated {
    /// The file under its new data key.
    pub(crate) opened: Opened,
    /// The new entries of the ledger.
    pub(crate) former: Vec<FormerName>,
    /// Values whose time of change lay ahead of the clock and was lowered.
    pub(crate) lowered: Vec<VarName>,
}

impl Vault {
    /// Makes a new data key for those who remain, at the time `now`, and writes those who leave into the
    /// ledger. Without any [`Changes`] everybody remains.
    ///
    /// # Errors
    ///
    /// Somebody can't be sealed to, a value is damaged, or a time in the file is an impossible one. Nothing
    /// has changed then.
    pub(crate) fn rotate(
        &mut self,
        opened: &Opened,
        mut changes: Changes,
        now: u64,
        plugins: &PluginAccess,
    ) -> Result<Rotated> {
        self.complete(&mut changes);
        let file = &self.file;
        let latest_removed = file.latest_removed();
        let floor = if latest_removed == 0 { now } else { now.max(latest_removed + 1) };
        let lower = |changed: u64| if changed > now + AHEAD { floor } else { changed };
        let lowered = file.secrets.iter().filter(|(_, one)| lower(one.changed()) != one.changed());
        let lowered = lowered.map(|(name, _)| name.clone()).collect();
        let latest_changed =
            file.secrets.values().map(|one| lower(one.changed())).max().unwrap_or(0);

        let mut ledger: BTreeMap<FormerName, PublicKey> =
            file.former.iter().map(|(name, entry)| (name.clone(), entry.key.clone())).collect();
        ledger.extend(changes.unrecorded.iter().cloned());
        let mut former = Vec::new();
        for (name, key) in self.leaving(&changes) {
            let last = ledger.keys().filter(|one| *one.member() == name);
            let last = last.map(FormerName::removed).max();
            let removed = time_of_removal(now, Some(file.made), latest_changed, last)
                .ok_or_else(|| clock_is_poisoned(&name).about(self.environment()))?;
            let entry = FormerName::new(&name, removed);
            ledger.insert(entry.clone(), key);
            former.push(entry);
        }
        let made = ledger.keys().map(FormerName::removed).max().unwrap_or(0);
        let made = made.max(now).max(file.made + 1);
        if made >= TIME_LIMIT {
            return Err(clock_is_poisoned("`made`").about(self.environment()));
        }
        let rotation =
            Rotation { made, members: self.staying(changes), former: ledger, changed: &lower };
        let (file, opened) = file
            .rotated(opened, rotation, plugins)
            .map_err(|fault| self.not_rotated(fault.at(&self.path).about(self.environment())))?;
        self.file = file;
        self.drop_fulfilled_requests();
        Ok(Rotated { opened, former, lowered })
    }

    /// Gives access to one more member, or writes the block of one anew, under the same data key.
    ///
    /// # Errors
    ///
    /// The member can't be sealed to.
    pub(crate) fn grant(
        &mut self,
        opened: &Opened,
        name: &MemberName,
        member: NewMember,
        plugins: &PluginAccess,
    ) -> Result<()> {
        self.file
            .seal_to(opened, name, member, plugins)
            .map_err(|fault| fault.at(&self.path).about(&self.file.environment))?;
        self.drop_fulfilled_requests();
        Ok(())
    }

    /// Refuses a key that may not become the key of the member `name`.
    pub(crate) fn check_grantable(&self, name: &MemberName, key: &PublicKey) -> Result<()> {
        let environment = self.environment();
        let other = self.file.members.iter().find(|(other, one)| *other != name && one.key == *key);
        if let Some((other, _)) = other {
            let message =
                format!("{environment}: this key is a member already, under the name {other}");
            return Err(Error::failed(message).about(environment).hint(
                "each member has a key of its own: ask for one that was made for this member",
            ));
        }
        let former = self.file.former.iter().find(|(_, one)| one.key == *key);
        if let Some((entry, _)) = former {
            let message =
                format!("{environment}: this key was that of {}, who was removed", entry.member());
            return Err(Error::failed(message)
                .about(environment)
                .hint("a new key is made with `vault key new` once the old one is moved away"));
        }
        Ok(())
    }

    /// The members who would be removed with `name`: those with a key of his, and those whose private keys
    /// somebody who is removed has made, whoever that was first.
    pub(crate) fn leaving_with(
        &self,
        name: &MemberName,
        keys: &BTreeSet<PublicKey>,
        keep: &BTreeSet<MemberName>,
    ) -> BTreeSet<MemberName> {
        let (mut leaving, mut keys) = (BTreeSet::new(), keys.clone());
        loop {
            let before = leaving.len();
            for (other, member) in &self.file.members {
                let by = member.issued_by.as_ref().filter(|_| !keep.contains(other));
                let issued = by.is_some_and(|by| by == name || leaving.contains(by));
                if other == name || issued || keys.contains(&member.key) {
                    leaving.insert(other.clone());
                    keys.insert(member.key.clone());
                }
            }
            if leaving.len() == before {
                return leaving;
            }
        }
    }

    /// Members who can't check who has made a data key of the member `me`: a proof needs two X25519 keys.
    pub(crate) fn without_proof(&self, me: &MemberName) -> Vec<&MemberName> {
        let mine = self.file.members.get(me).is_some_and(|one| one.key.x25519().is_some());
        let members = self.file.members.iter().filter(|(name, one)| {
            *name != me && (!mine || one.key.x25519().is_none()) && one.locked.is_none()
        });
        members.map(|(name, _)| name).collect()
    }

    /// Somebody who can't be sealed to need not be: he may be there for that alone.
    fn not_rotated(&self, error: Error) -> Error {
        if error.kind() == Kind::Integrity {
            return error;
        }
        let without =
            format!("`vault rotate {} --without MEMBER` removes him instead", self.environment());
        let hint = error.hint_text().map_or(without.clone(), |hint| format!("{hint}; {without}"));
        error.hint(hint)
    }

    /// A key that is removed under one name is removed under every name.
    fn complete(&self, changes: &mut Changes) {
        let leaving: BTreeSet<PublicKey> =
            self.leaving(changes).into_iter().map(|(_, key)| key).collect();
        let same = self.file.members.iter().filter(|(name, member)| {
            leaving.contains(&member.key) && !changes.replaced.contains_key(*name)
        });
        changes.removed.extend(same.map(|(name, _)| name.clone()));
    }

    /// Everybody who had access and loses it, with the key that he had.
    fn leaving(&self, changes: &Changes) -> Vec<(MemberName, PublicKey)> {
        let goes = |name: &MemberName| {
            changes.removed.contains(name) || changes.replaced.contains_key(name)
        };
        let members = self.file.members.iter().filter(|(name, _)| goes(name));
        let members = members.map(|(name, member)| (name.clone(), member.key.clone()));
        members.chain(changes.missing.iter().cloned()).collect()
    }

    fn staying(&self, mut changes: Changes) -> BTreeMap<MemberName, NewMember> {
        let members = self.file.members.iter();
        let staying = members.filter(|(name, _)| !changes.removed.contains(*name));
        let mut staying: BTreeMap<MemberName, NewMember> =
            staying.map(|(name, member)| (name.clone(), member.again())).collect();
        staying.append(&mut changes.replaced);
        staying
    }

    /// A request whose key is a member's has been granted.
    pub(crate) fn drop_fulfilled_requests(&mut self) {
        let members = &self.file.members;
        self.file.requests.retain(|_, key| !members.values().any(|member| member.key == *key));
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use super::*;
    use crate::crypto::keys::Identity;
    use crate::crypto::plugin::Silent;
    use crate::format::{Author, NewFile, VaultFile};
    use crate::secret::Secret;
    use crate::vault::Key;

    const DAY: u64 = 24 * 60 * 60;

    fn name<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
        text.parse().unwrap()
    }

    fn plugins() -> PluginAccess {
        PluginAccess { allowed: Vec::new(), interaction: Arc::new(Silent) }
    }

    fn new_member(identity: &Identity, issued_by: Option<&str>) -> NewMember {
        let key = identity.public_key().unwrap();
        NewMember { key, locked: None, issued_by: issued_by.map(name) }
    }

    /// Alice's vault with bob, and `ci`, whose key bob has made; one value, changed at `changed`.
    fn vault(made: u64, changed: u64) -> (Vault, Opened, Identity) {
        let (alice, bob, ci) = (Identity::generate(), Identity::generate(), Identity::generate());
        let me: MemberName = name("alice");
        let key = alice.public_key().unwrap();
        let new = NewFile {
            environment: name("staging"),
            made,
            members: BTreeMap::from([
                (me.clone(), new_member(&alice, None)),
                (name("bob"), new_member(&bob, None)),
                (name("ci"), new_member(&ci, Some("bob"))),
            ]),
            former: BTreeMap::new(),
            author: Author { name: &me, identity: &alice, key: &key },
        };
        let (file, opened) = VaultFile::create(new, &plugins()).unwrap();
        let mut vault = Vault { path: PathBuf::from("staging.toml"), file };
        let value = Secret::from("value".to_owned());
        vault.set(&opened, &name("A"), &value, (None, Some("note")), changed).unwrap();
        (vault, opened, bob)
    }

    fn revoke(vault: &mut Vault, opened: &Opened, who: &[&str], now: u64) -> Rotated {
        let removed = who.iter().map(|who| name(who)).collect();
        let changes = Changes { removed, ..Changes::default() };
        vault.rotate(opened, changes, now, &plugins()).unwrap()
    }

    #[test]
    fn who_leaves_opens_nothing_new_and_stays_on_record_until_the_value_changes() {
        let (mut vault, opened, bob) = vault(1000, 2000);
        assert_eq!(
            vault.leaving_with(&name("bob"), &BTreeSet::new(), &BTreeSet::new()).len(),
            2,
            "ci goes with him"
        );
        let rotated = revoke(&mut vault, &opened, &["bob", "ci"], 3000);
        assert!(vault.open(&Key::Identities(vec![bob])).is_err());
        assert_ne!(rotated.opened.fingerprint(), opened.fingerprint());
        let names: Vec<String> = vault.file.former.keys().map(ToString::to_string).collect();
        assert_eq!(names, ["bob.3000", "ci.3000"]);
        assert_eq!(vault.file.made, 3000);
        let content = vault.get(&rotated.opened, &name("A")).unwrap().unwrap();
        assert_eq!(content.expose(), b"value");
        assert_eq!(vault.file.secrets["A"].changed(), 2000, "encrypted again is not changed");
        let exposed =
            |vault: &Vault| super::super::exposure::known_to(&vault.file, &name("A")).len();
        assert_eq!(exposed(&vault), 2);
        let value = Secret::from("new".to_owned());
        vault.set(&rotated.opened, &name("A"), &value, (None, None), 10).unwrap();
        assert_eq!((vault.file.secrets["A"].changed(), exposed(&vault)), (3001, 0));
    }

    #[test]
    fn a_clock_that_goes_backwards_records_no_removal_before_what_was_read() {
        let (mut vault, opened, _) = vault(1000, 2000);
        let rotated = revoke(&mut vault, &opened, &["bob"], 500);
        assert_eq!(rotated.former[0].removed(), 2000);
        assert_eq!((vault.file.made, rotated.lowered.len()), (2000, 0));
        let again = vault.rotate(&rotated.opened, Changes::default(), 500, &plugins()).unwrap();
        assert_eq!(
            (vault.file.made, again.former.len()),
            (2001, 0),
            "a data key is later than the last"
        );
    }

    #[test]
    fn a_time_of_change_far_ahead_is_lowered_and_never_below_an_earlier_removal() {
        let (mut vault, opened, _) = vault(1000, 5000 + 2 * DAY);
        let rotated = revoke(&mut vault, &opened, &["bob"], 5000);
        assert_eq!(rotated.lowered, [name::<VarName>("A")]);
        assert_eq!(vault.file.secrets["A"].changed(), 5000);
        assert_eq!(rotated.former[0].removed(), 5000);
        let value = Secret::from("x".to_owned());
        vault.set(&rotated.opened, &name("A"), &value, (None, None), 9000 + 3 * DAY).unwrap();
        let again = revoke(&mut vault, &rotated.opened, &["ci"], 100);
        assert_eq!(vault.file.secrets["A"].changed(), 5001, "bob does not come to know it");
        assert_eq!(again.former[0].removed(), 5001);
    }

    #[test]
    fn a_member_who_was_only_deleted_from_the_text_is_written_into_the_ledger() {
        let (mut vault, opened, bob) = vault(1000, 2000);
        vault.file.members.remove(&name::<MemberName>("bob"));
        let missing = vec![(name("bob"), bob.public_key().unwrap())];
        let changes = Changes { missing, ..Changes::default() };
        let rotated = vault.rotate(&opened, changes, 3000, &plugins()).unwrap();
        assert_eq!(rotated.former[0].as_str(), "bob.3000");
    }

    #[test]
    fn a_key_has_one_owner_and_does_not_come_back() {
        let (mut vault, opened, bob) = vault(1000, 2000);
        let key = bob.public_key().unwrap();
        assert!(vault.check_grantable(&name("bob"), &key).is_ok());
        assert!(vault.check_grantable(&name("robert"), &key).is_err());
        revoke(&mut vault, &opened, &["bob"], 3000);
        assert!(vault.check_grantable(&name("bob"), &key).is_err());
    }
}
