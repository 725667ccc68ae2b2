//! Times of change and what a leaver has seen (format.md, Rotation and exposure).

use crate::error::Error;
use crate::format::{FormerName, TIME_LIMIT, VaultFile};
use crate::vars::name::{MemberName, VarName};

/// The time that a new value gets. Clocks differ, so it is later than the old value's time and than
/// every removal, whatever this machine's clock says. None where that would be no possible time.
pub(crate) fn time_of_change(now: u64, old: Option<u64>, latest_removed: u64) -> Option<u64> {
    // 0 stands for "nobody was removed": nothing was exposed then, and any time is late enough.
    let after_removals = if latest_removed == 0 { 0 } else { latest_removed + 1 };
    let after_old = old.map_or(0, |old| old + 1);
    Some(now.max(after_old).max(after_removals)).filter(|time| *time < TIME_LIMIT)
}

/// The time of a data key that replaces none. A removal may not be later.
pub(crate) fn time_of_new_key(now: u64, latest_removed: u64) -> u64 {
    now.max(latest_removed)
}

/// The time at which a member counts as removed: later than the data key that he still has was made, so that he
/// can't copy the record of it into a file under that key, which would look as if it knew that he has left.
pub(crate) fn time_of_removal(
    now: u64,
    made: Option<u64>,
    latest_changed: u64,
    latest_of_that_name: Option<u64>,
) -> Option<u64> {
    let after = |time: Option<u64>| time.map_or(0, |time| time + 1);
    let time = now.max(latest_changed).max(after(made)).max(after(latest_of_that_name));
    Some(time).filter(|time| *time < TIME_LIMIT)
}

/// Somebody's clock was, or somebody made it, centuries ahead.
pub(crate) fn clock_is_poisoned(what: impl std::fmt::Display) -> Error {
    Error::failed(format!(
        "{what}: its time of change, or the last removal of a member, lies at the end of all times"
    ))
    .hint("take the change that wrote that time back in git")
}

/// The names whose values a former member knows, oldest first.
pub(crate) fn exposed_to<'a>(file: &'a VaultFile, former: &FormerName) -> Vec<&'a VarName> {
    let mut exposed: Vec<(u64, &VarName)> = file
        .secrets
        .iter()
        .filter(|(_, record)| record.changed() <= former.removed())
        .map(|(name, record)| (record.changed(), name))
        .collect();
    exposed.sort_unstable();
    exposed.into_iter().map(|(_, name)| name).collect()
}

/// Whether the entry is of a key that its member has replaced, so that nobody has left.
pub(crate) fn has_another_key(file: &VaultFile, former: &FormerName) -> bool {
    file.members.contains_key(former.member())
}

/// The former members who know this value.
pub(crate) fn known_to<'a>(file: &'a VaultFile, name: &VarName) -> Vec<&'a MemberName> {
    let Some(record) = file.secrets.get(name) else { return Vec::new() };
    let knows = |former: &&FormerName| record.changed() <= former.removed();
    let mut names: Vec<&MemberName> =
        file.former.keys().filter(knows).map(FormerName::member).collect();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_goes_backwards_never_makes_a_change_earlier() {
        assert_eq!(time_of_change(100, None, 0), Some(100));
        assert_eq!(time_of_change(100, Some(100), 0), Some(101));
        assert_eq!(time_of_change(100, Some(500), 0), Some(501));
        assert_eq!(time_of_change(100, Some(50), 700), Some(701));
        assert_eq!(time_of_change(100, Some(TIME_LIMIT - 1), 0), None);
        assert_eq!(time_of_removal(100, None, 300, Some(300)), Some(301));
        assert_eq!(time_of_removal(100, Some(99), 0, None), Some(100));
        assert_eq!(time_of_removal(100, Some(400), 300, None), Some(401));
        assert_eq!(time_of_removal(100, Some(TIME_LIMIT - 1), 0, None), None);
        assert_eq!(time_of_new_key(5, 9), 9);
    }
}
