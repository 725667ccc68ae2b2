//! Bytes at rest: read with a limit, replaced whole or not at all, and private keys wherever they lie.
//!
//! This room moves bytes. It knows neither the vault's format nor what a secret is for.

pub(crate) mod file;
pub(crate) mod identity;
#[cfg(feature = "keyring")]
pub(crate) mod keyring;
#[cfg(not(feature = "keyring"))]
#[path = "no_keyring.rs"]
pub(crate) mod keyring;
pub(crate) mod state;
