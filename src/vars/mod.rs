//! Ground floor: names and values, and the texts that carry them. No files, no keys, no terminal.

pub(crate) mod dotenv;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod lines;
pub(crate) mod name;
pub(crate) mod scan;

use std::collections::{BTreeMap, btree_map};

use self::name::VarName;
use crate::secret::Secret;

/// `NAME=value` of a variable in bytes: one string of execve(2) on Linux, less its NUL (format.md, Record).
pub(crate) const VARIABLE_LIMIT: usize = 131_071;

/// Values that readers stumble over, with their text in each format.
#[cfg(test)]
const EXPORT_VECTORS: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/data/dotenv_dialects/export_vectors.json"
));

/// Whether all bytes of a text are good ones. It doesn't stop at the first that isn't: so the processor looks at
/// sixteen of them at once.
pub(crate) fn every_byte(text: &str, good: impl Fn(u8) -> bool) -> bool {
    text.bytes().fold(true, |all, byte| all & good(byte))
}

/// Bytes in hexadecimal, lower case.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The variables of an environment, in the order of their names. Each name is there once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vars(BTreeMap<VarName, Secret>);

impl Vars {
    /// The pairs in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&VarName, &Secret)> {
        self.0.iter()
    }

    /// The value of a name.
    pub fn get(&self, name: &VarName) -> Option<&Secret> {
        self.0.get(name)
    }

    /// The value of a name that is known to be one.
    pub(crate) fn get_named(&self, name: &str) -> Option<&Secret> {
        self.0.get(name)
    }

    /// Sets a name and gives back what it was before.
    pub fn insert(&mut self, name: VarName, value: Secret) -> Option<Secret> {
        self.0.insert(name, value)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Lays `later` over these: where both have a name, the later value holds.
    pub fn overlay(&mut self, mut later: Vars) {
        self.0.append(&mut later.0);
    }

    /// Keeps the pairs whose name `wanted` says yes to.
    pub fn retain(&mut self, mut wanted: impl FnMut(&VarName) -> bool) {
        self.0.retain(|name, _| wanted(name));
    }
}

impl IntoIterator for Vars {
    type Item = (VarName, Secret);
    type IntoIter = btree_map::IntoIter<VarName, Secret>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl FromIterator<(VarName, Secret)> for Vars {
    fn from_iter<I: IntoIterator<Item = (VarName, Secret)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}
