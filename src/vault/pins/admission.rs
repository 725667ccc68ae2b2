//! Which versions may take part in a merge (format.md, Merging).

use super::{Candidate, Known, Memory, Origin, Stop};
use crate::crypto::keys::PublicKey;
use crate::format::{Former, FormerName, VaultFile};
use crate::vars::hex;
use crate::vars::name::MemberName;

/// Whether a version may take part in a merge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It may.
    Admitted,
    /// This machine knows nothing of its environment.
    Unknown,
    /// It may not.
    Not(Stop),
}

impl Memory<'_> {
    /// Judges a version at the time `now`: it was accepted here, or it was made by somebody whom this machine
    /// knows. `others` are what it is merged with. One of them may be later than all that this machine knows, so
    /// what they say of leavers counts against a version that has nothing but its proof.
    pub(crate) fn admits(
        &self,
        candidate: Candidate<'_>,
        others: &[&VaultFile],
        now: u64,
    ) -> Admission {
        let Candidate { file, opened, .. } = candidate;
        let id = hex(&file.id);
        let Some(keys) = self.id.get(&id) else { return Admission::Unknown };
        match keys.get(&hex(&opened.fingerprint().0)) {
            Some(known) if known.abandoned => return Admission::Not(Stop::Abandoned),
            Some(known) if !known.has_ledger_of(file) => return Admission::Not(Stop::OtherLedger),
            Some(_) => return Admission::Admitted,
            None => {}
        }
        let nothing = Known::new(file);
        let before = self.newest_known(&id).unwrap_or(&nothing);
        let newest = self.newest(&id).map_or(0, |(_, made)| made);
        let mut story = self.story(candidate, newest, now);
        // Of what is remembered, the other side may have what this one could not know yet.
        let dropped = before.dropped(file).into_iter();
        let lost =
            dropped.filter(|(name, key)| !others.iter().any(|one| has_entry(one, name, key)));
        story.dropped = lost.map(|(name, _)| name.to_string()).collect();
        if story.origin != Origin::Proven || story.ahead || !story.dropped.is_empty() {
            return Admission::Not(Stop::Unproven(story));
        }
        match story.by.filter(|by| before.is_leaver(by, others)) {
            Some(by) => Admission::Not(Stop::OfLeaver(by)),
            None => Admission::Admitted,
        }
    }
}

impl Known<'_> {
    /// Under one data key the ledger never changes (format.md, Rotation and exposure): every vouch is bound to it.
    fn has_ledger_of(&self, file: &VaultFile) -> bool {
        file.former.len() == self.former.len() && self.dropped(file).is_empty()
    }

    /// Whether the other versions speak against a member who is remembered: one has his key on record as removed; or
    /// one knows of a removal that this machine doesn't, and there he is no member. He may be whom the leaver granted.
    fn is_leaver(&self, name: &MemberName, others: &[&VaultFile]) -> bool {
        let Some(key) = self.members.get(name.as_str()) else { return true };
        let is_key = |one: &PublicKey| one.as_str() == key;
        others.iter().any(|other| {
            let is_news = |(name, one): (&FormerName, &Former)| {
                self.former.get(name.as_str()).map(AsRef::as_ref) != Some(one.key.as_str())
            };
            let is_member = other.members.values().any(|one| is_key(&one.key));
            other.former.values().any(|one| is_key(&one.key))
                || (!is_member && other.former.iter().any(is_news))
        })
    }
}

fn has_entry(file: &VaultFile, name: &FormerName, key: &PublicKey) -> bool {
    file.former.get(name).is_some_and(|one| one.key == *key)
}
