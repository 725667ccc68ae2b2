//! In a build without the cargo feature `keyring`: says so.

use crate::error::{Error, Result};
use crate::secret::Secret;

/// Reads no key.
pub(crate) fn read(_: &str) -> Result<Secret> {
    Err(none())
}

/// Keeps no key.
pub(crate) fn answers() -> std::result::Result<(), &'static str> {
    Err("this build has no support for it")
}

/// Can't be asked.
pub(crate) fn has(_: &str) -> Result<bool> {
    Err(none())
}

/// Takes no key.
pub(crate) fn write(_: &str, _: &Secret) -> Result<()> {
    Err(none())
}

/// Has no key to remove.
pub(crate) fn delete(_: &str) -> Result<()> {
    Err(none())
}

fn none() -> Error {
    Error::no_access("this build has no support for the system keyring")
        .hint("use a key file by `VAULT_KEY_FILE`")
}
