//! A private key in the system's keyring. Touched only when an identity file says `keyring:ACCOUNT`.

use crate::error::Result;
use crate::secret::Secret;

/// Reads the key of this account.
#[cfg(feature = "keyring")]
pub(crate) fn read(account: &str) -> Result<Secret> {
    use std::sync::mpsc;
    use std::time::Duration;

    use crate::error::Error;
    use crate::vars::name::shown;

    /// The service name that our entries have in every keyring.
    const SERVICE: &str = "procvault";
    /// A locked keyring asks on a screen that nobody may be looking at.
    const PATIENCE: Duration = Duration::from_secs(5);

    let told = shown(account);
    let unusable = |why: &str| {
        Error::no_access(format!("the system keyring gives no key for the account `{told}`: {why}"))
            .hint("unlock the keyring, or use a key file by `VAULT_KEY_FILE`")
    };
    let (answer, waiting) = mpsc::channel();
    let account = account.to_owned();
    // Not joined: a daemon that does not answer must not hold the command up for ever.
    drop(std::thread::spawn(move || {
        answer.send(keyring::Entry::new(SERVICE, &account).and_then(|entry| entry.get_password()))
    }));
    match waiting.recv_timeout(PATIENCE) {
        Ok(Ok(text)) => Ok(Secret::from(text)),
        Ok(Err(keyring::Error::NoEntry)) => {
            Err(unusable("there is no such entry, or it is locked"))
        }
        Ok(Err(_)) => Err(unusable("it can't be reached")),
        Err(_) => Err(unusable("it did not answer within 5 seconds")),
    }
}

/// This build has no keyring.
#[cfg(not(feature = "keyring"))]
pub(crate) fn read(_: &str) -> Result<Secret> {
    use crate::error::Error;
    Err(Error::no_access("this build has no support for the system keyring")
        .hint("use a key file by `VAULT_KEY_FILE`"))
}
