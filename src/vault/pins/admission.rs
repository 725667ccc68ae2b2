//! Which versions may take part in a merge (format.md, Merging).

use super::{Candidate, Memory, Origin, Stop, Story};
use crate::format::VaultFile;
use crate::vars::hex;

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

impl Memory {
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
            Some(_) => return Admission::Admitted,
            None => {}
        }
        let newest = self.newest(&id).map_or(0, |(_, made)| made);
        let mut story = self.story(candidate, newest, now);
        story.dropped.retain(|entry| !others.iter().any(|other| has_entry(other, entry)));
        if story.origin != Origin::Proven || story.ahead || !story.dropped.is_empty() {
            return Admission::Not(Stop::Unproven(story));
        }
        match self.leaver(&id, story, others) {
            Some(stop) => Admission::Not(stop),
            None => Admission::Admitted,
        }
    }

    /// Who made a data key, if another version has his key on record as removed.
    fn leaver(&self, id: &str, story: Story, others: &[&VaultFile]) -> Option<Stop> {
        let by = story.by?;
        let key = self.newest_known(id)?.members.get(by.as_str())?;
        let mut removed = others.iter().flat_map(|other| other.former.values());
        removed.any(|entry| entry.key.as_str() == key).then_some(Stop::OfLeaver(by))
    }
}

fn has_entry(file: &VaultFile, entry: &str) -> bool {
    file.former.keys().any(|name| name.to_string() == entry)
}
