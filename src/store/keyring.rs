//! A private key in the system's keyring. Touched only when an identity file says `keyring:ACCOUNT`, or a
//! `key` command asks for it.

use std::sync::mpsc;
use std::time::Duration;

use keyring::Entry;

use crate::error::{Error, Result};
use crate::platform::KEYRING;
use crate::secret::Secret;
use crate::vars::name::shown;

/// The service name that our entries have in every keyring.
const SERVICE: &str = "procvault";
/// A locked keyring asks on a screen that nobody may be looking at.
const PATIENCE: Duration = Duration::from_secs(5);
/// Reads the key of this account.
pub(crate) fn read(account: &str) -> Result<Secret> {
    with(account, "gives no key", Entry::get_password).map(Secret::from)
}

/// Whether a key can be kept in the keyring, or why not. No keyring has to be unlocked to know that.
pub(crate) fn answers() -> std::result::Result<(), &'static str> {
    // An account that nobody has.
    attempt("doctor", |entry| match entry.get_password() {
        Ok(_) | Err(keyring::Error::NoEntry) => Ok(()),
        Err(error) => Err(error),
    })
}

/// Whether the keyring has a key for this account.
pub(crate) fn has(account: &str) -> Result<bool> {
    with(account, "can't be asked", |entry| match entry.get_password() {
        Ok(text) => {
            drop(Secret::from(text));
            Ok(true)
        }
        Err(keyring::Error::NoEntry) => Ok(false),
        Err(error) => Err(error),
    })
}

/// Stores the key of this account, and reads it back.
pub(crate) fn write(account: &str, text: &Secret) -> Result<()> {
    let copy = text.clone();
    with(account, "takes no key", move |entry| {
        entry.set_password(copy.expose_str().unwrap_or_default())
    })?;
    if read(account)? == *text {
        return Ok(());
    }
    Err(unusable(account, "takes no key", "it gives back something else"))
}

/// Removes the key of this account.
pub(crate) fn delete(account: &str) -> Result<()> {
    with(account, "keeps the key", Entry::delete_credential)
}

/// Does something with the entry of this account.
fn with<T: Send + 'static>(
    account: &str,
    what: &str,
    action: impl FnOnce(&Entry) -> keyring::Result<T> + Send + 'static,
) -> Result<T> {
    attempt(account, action).map_err(|why| unusable(account, what, why))
}

/// As [`with`], or says why not. In a thread, because a keyring that does not answer must not hold the command
/// up for ever.
fn attempt<T: Send + 'static>(
    account: &str,
    action: impl FnOnce(&Entry) -> keyring::Result<T> + Send + 'static,
) -> std::result::Result<T, &'static str> {
    let (answer, waiting) = mpsc::channel();
    let name = account.to_owned();
    // Not joined: see above. Where no thread can be had, nobody answers.
    drop(
        std::thread::Builder::new().spawn(move || {
            answer.send(Entry::new(SERVICE, &name).and_then(|entry| action(&entry)))
        }),
    );
    Err(match waiting.recv_timeout(PATIENCE) {
        Ok(Ok(result)) => return Ok(result),
        Ok(Err(keyring::Error::NoEntry)) => "there is no such entry, or it is locked",
        Ok(Err(keyring::Error::NoStorageAccess(_))) => "it is locked",
        Ok(Err(_)) | Err(mpsc::RecvTimeoutError::Disconnected) => "it can't be reached",
        Err(mpsc::RecvTimeoutError::Timeout) => "it did not answer within 5 seconds",
    })
}

fn unusable(account: &str, what: &str, why: &str) -> Error {
    Error::no_access(format!("{KEYRING} {what} for the account `{}`: {why}", shown(account)))
        .hint("unlock the keyring, or use a key file by `VAULT_KEY_FILE`")
}
