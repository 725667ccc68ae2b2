//! Identities and recipients that live behind an `age-plugin-NAME` program.
//!
//! A plugin is a program that somebody else's file could name, so sealing to one needs its name on the
//! user's own allow list. It may answer slowly or never, so it gets a time limit.

use std::sync::Arc;

#[cfg(feature = "plugin")]
use zeroize::Zeroizing;

#[cfg(feature = "plugin")]
use super::keys::unseal_with;
use super::keys::{PublicKey, Unsealed};
use crate::error::{Error, Result};
use crate::secret::Secret;

/// How a plugin reaches the person in front of the machine.
#[cfg_attr(not(feature = "plugin"), expect(dead_code, reason = "only plugins ask"))]
pub(crate) trait Interaction: Send + Sync {
    /// Shows a message, as "touch your key".
    fn message(&self, text: &str);
    /// Asks for something that others may see.
    fn ask(&self, question: &str) -> Option<String>;
    /// Asks for something that nobody may see, as a PIN.
    fn ask_hidden(&self, question: &str) -> Option<Secret>;
}

/// Nobody to ask, for tests.
#[cfg(test)]
pub(crate) struct Silent;

#[cfg(test)]
impl Interaction for Silent {
    fn message(&self, _: &str) {}

    fn ask(&self, _: &str) -> Option<String> {
        None
    }

    fn ask_hidden(&self, _: &str) -> Option<Secret> {
        None
    }
}

/// Which plugins may be sealed to, and how they reach the user.
#[cfg_attr(not(feature = "plugin"), expect(dead_code, reason = "only plugins ask"))]
pub(crate) struct PluginAccess {
    /// The names on the user's allow list.
    pub(crate) allowed: Vec<String>,
    /// How they reach the user.
    pub(crate) interaction: Arc<dyn Interaction>,
}

/// A plugin identity as it stands in an identity file.
#[derive(Clone)]
pub(crate) struct Key {
    /// The plugin's name.
    pub(crate) name: String,
    /// Its public key, if a `# public key:` line gave one.
    pub(crate) public: Option<PublicKey>,
    #[cfg(feature = "plugin")]
    identity: age::plugin::Identity,
    #[cfg(feature = "plugin")]
    interaction: Arc<dyn Interaction>,
}

#[cfg(feature = "plugin")]
mod imp {
    use std::str::FromStr as _;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use age::secrecy::SecretString;

    use super::{
        Arc, Error, Interaction, Key, PluginAccess, PublicKey, Result, Unsealed, Zeroizing,
        unseal_with,
    };

    /// Long enough to find a token in a drawer and touch it.
    const PATIENCE: Duration = Duration::from_secs(120);

    impl Key {
        /// Reads an `AGE-PLUGIN-NAME-1…` line.
        pub(crate) fn parse(
            line: &str,
            public: Option<PublicKey>,
            interaction: &Arc<dyn Interaction>,
        ) -> Result<Self> {
            let identity = age::plugin::Identity::from_str(line).map_err(|_| {
                Error::no_access("the plugin identity is damaged: its checksum is wrong")
            })?;
            let name = identity.plugin().to_owned();
            Ok(Self { name, public, identity, interaction: Arc::clone(interaction) })
        }

        /// Has the plugin open an age file.
        pub(crate) fn unseal(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unsealed> {
            let callbacks = Callbacks(Arc::clone(&self.interaction));
            let plugin = age::plugin::IdentityPluginV1::new(
                &self.name,
                std::slice::from_ref(&self.identity),
                callbacks,
            )
            .map_err(|_| Unsealed::Failed(not_installed(&self.name)))?;
            let (answer, waiting) = mpsc::channel();
            let sealed = sealed.to_vec();
            // Not joined: a plugin that never answers must not hold the command up for ever.
            let asking = move || answer.send(unseal_with(&sealed, &plugin));
            drop(thread::Builder::new().spawn(asking).map_err(|error| {
                let why = crate::error::reason(&error);
                let name = &self.name;
                Unsealed::Failed(Error::no_access(format!("`age-plugin-{name}`: {why}")))
            })?);
            waiting.recv_timeout(PATIENCE).unwrap_or_else(|_| {
                Err(Unsealed::Failed(Error::no_access(format!(
                    "`age-plugin-{}` did not answer within {} seconds",
                    self.name,
                    PATIENCE.as_secs()
                ))))
            })
        }
    }

    impl PluginAccess {
        /// What age seals to.
        pub(crate) fn recipient(&self, name: &str, key: &str) -> Result<Box<dyn age::Recipient>> {
            if !self.allowed.iter().any(|allowed| allowed == name) {
                return Err(Error::no_access(format!("the plugin `{name}` is not on your list of allowed plugins"))
                    .hint(format!("if you trust that program, add a line `{name}` to `plugins` in the configuration folder of vault")));
            }
            let recipient = age::plugin::Recipient::from_str(key)
                .map_err(|_| Error::failed("the public key is damaged: its checksum is wrong"))?;
            let callbacks = Callbacks(Arc::clone(&self.interaction));
            let plugin = age::plugin::RecipientPluginV1::new(name, &[recipient], &[], callbacks)
                .map_err(|_| not_installed(name))?;
            Ok(Box::new(plugin))
        }
    }

    fn not_installed(name: &str) -> Error {
        Error::no_access(format!("`age-plugin-{name}` is not installed"))
            .hint(format!("install `age-plugin-{name}`, or use another key"))
    }

    /// A plugin's failure in our own words; None for any other failure.
    pub(crate) fn failure(error: &age::DecryptError) -> Option<Error> {
        match error {
            age::DecryptError::Plugin(_) => {
                Some(Error::no_access("the plugin could not open the seal"))
            }
            age::DecryptError::PluginResolve(_) => {
                Some(Error::no_access("the plugin of this key is not installed"))
            }
            _ => None,
        }
    }

    #[derive(Clone)]
    struct Callbacks(Arc<dyn Interaction>);

    impl age::Callbacks for Callbacks {
        fn display_message(&self, message: &str) {
            self.0.message(message);
        }

        fn confirm(&self, message: &str, yes: &str, no: Option<&str>) -> Option<bool> {
            let choices = format!("{message} [{yes}/{}]", no.unwrap_or("no"));
            self.0.ask(&choices).map(|answer| answer.trim().eq_ignore_ascii_case(yes))
        }

        fn request_public_string(&self, description: &str) -> Option<String> {
            self.0.ask(description)
        }

        fn request_passphrase(&self, description: &str) -> Option<SecretString> {
            let answer = self.0.ask_hidden(description)?;
            answer.expose_str().map(SecretString::from)
        }
    }
}

#[cfg(not(feature = "plugin"))]
#[expect(clippy::unused_self, reason = "the same methods as with plugins")]
mod imp {
    use super::{Arc, Error, Interaction, Key, PluginAccess, PublicKey, Result, Unsealed};
    use zeroize::Zeroizing;

    fn unsupported() -> Error {
        Error::no_access("this build has no support for age plugins")
    }

    impl Key {
        /// Plugin identities are refused in this build.
        pub(crate) fn parse(
            _: &str,
            _: Option<PublicKey>,
            _: &Arc<dyn Interaction>,
        ) -> Result<Self> {
            Err(unsupported())
        }

        /// Never reached: no such key can be made in this build.
        pub(crate) fn unseal(&self, _: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unsealed> {
            Err(Unsealed::Failed(unsupported()))
        }
    }

    impl PluginAccess {
        /// Plugin recipients are refused in this build.
        pub(crate) fn recipient(&self, _: &str, _: &str) -> Result<Box<dyn age::Recipient>> {
            Err(unsupported())
        }
    }

    /// There are no plugin failures in this build.
    pub(crate) fn failure(_: &age::DecryptError) -> Option<Error> {
        None
    }
}

pub(crate) use imp::failure;
