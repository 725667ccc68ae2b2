//! ssh-ed25519 and ssh-rsa keys, through age.

use std::str::FromStr as _;

use age::secrecy::SecretString;
use age::ssh;

use crate::error::{Error, Result};
use crate::secret::Secret;

/// An unlocked ssh private key and the text of its public key.
#[derive(Clone)]
pub(super) struct Key {
    identity: ssh::Identity,
    public: String,
}

impl Key {
    /// Reads an OpenSSH or PEM private key. `ask` gives its passphrase if it has one.
    pub(super) fn parse(text: &[u8], ask: &mut dyn FnMut() -> Result<Secret>) -> Result<Self> {
        let unusable = || {
            Error::no_access("the ssh private key can't be used")
                .hint("ssh-ed25519 and ssh-rsa keys (2048 to 4096 bits) can decrypt; ecdsa keys, keys on a security key and agents can't: `vault key new` makes one that can")
        };
        let parsed = ssh::Identity::from_buffer(text, None).map_err(|_| unusable())?;
        let public = ssh::Recipient::try_from(parsed.clone()).map_err(|_| unusable())?.to_string();
        let identity = match parsed {
            ssh::Identity::Encrypted(key) => {
                let passphrase = ask()?;
                let passphrase =
                    passphrase.expose_str().map(SecretString::from).ok_or_else(unusable)?;
                let opened = key
                    .decrypt(passphrase)
                    .map_err(|_| Error::no_access("the passphrase does not open the ssh key"))?;
                ssh::Identity::from(opened)
            }
            other => other,
        };
        Ok(Self { identity, public })
    }

    /// The public key, as `ssh-ed25519 AAAA…` without a comment.
    pub(super) fn public(&self) -> &str {
        &self.public
    }

    /// What age opens files with.
    pub(super) fn age(&self) -> &dyn age::Identity {
        &self.identity
    }
}

/// What age seals to.
pub(super) fn recipient(text: &str) -> Result<Box<dyn age::Recipient>> {
    let recipient = ssh::Recipient::from_str(text).map_err(|_| {
        Error::failed(
            "the ssh public key is damaged, too short, or of a sort that age can't seal to",
        )
    })?;
    Ok(Box::new(recipient))
}
