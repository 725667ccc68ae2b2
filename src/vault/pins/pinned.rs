//! `VAULT_PIN`, in the place of any memory.

use crate::format::{Expected, Fingerprint};
use crate::vars::name::EnvName;

/// `VAULT_PIN`: the data keys that may be opened, in the place of any memory.
#[derive(Debug, Clone)]
pub(crate) struct Pinned(Vec<(EnvName, Expected)>);

/// What `VAULT_PIN` says of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PinVerdict {
    /// It is the last one that is named for this environment.
    Newest,
    /// It is another one that is named: for reading only.
    Named,
    /// Another one is named.
    Other,
    /// None is named for this environment.
    NotNamed,
}

impl Pinned {
    /// Reads `ENV:FINGERPRINT[,ENV:FINGERPRINT…]`. None where it is something else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let one = |item: &str| {
            let (name, fingerprint) = item.trim().split_once(':')?;
            Some((name.parse().ok()?, fingerprint.parse().ok()?))
        };
        text.split(',').map(one).collect::<Option<_>>().map(Self)
    }

    /// Whether this data key may be used for this environment.
    pub(crate) fn judge(&self, environment: &EnvName, fingerprint: &Fingerprint) -> PinVerdict {
        let named: Vec<&Expected> =
            self.0.iter().filter(|(name, _)| name == environment).map(|(_, one)| one).collect();
        match named.last() {
            None => PinVerdict::NotNamed,
            Some(last) if last.is(fingerprint) => PinVerdict::Newest,
            Some(_) if named.iter().any(|one| one.is(fingerprint)) => PinVerdict::Named,
            Some(_) => PinVerdict::Other,
        }
    }
}
