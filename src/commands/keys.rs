//! Where the private key comes from: the first source of docs/cli.md, Identity, that has one.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use super::Context;
use crate::cli::prompt::{self, OnTerminal};
use crate::crypto::keys::{Identity, PublicKey};
use crate::crypto::plugin::{Interaction, PluginAccess};
use crate::error::{Error, Kind, Result, shown_path};
use crate::process::capture_key;
use crate::secret::Secret;
use crate::store::{identity, keyring};
use crate::vars::name::shown;
use crate::vault::Key;

/// The file of the identity in our configuration folder.
const IDENTITY_FILE: &str = "identity";
/// The list of plugins that may be sealed to, a name a line.
const PLUGINS_FILE: &str = "plugins";
/// What systemd names our credential.
const CREDENTIAL: &str = "vault-key";

impl Context {
    /// What opens a vault: the passphrase of `--recovery`, or the user's private keys.
    pub(crate) fn key(&self) -> Result<Key> {
        if self.globals.recovery {
            return self.passphrase("recovery passphrase").map(Key::Recovery);
        }
        self.identities().map(Key::Identities)
    }

    /// The user's private keys.
    ///
    /// # Errors
    ///
    /// There are none, or the first source that names some can't be used.
    pub(crate) fn identities(&self) -> Result<Vec<Identity>> {
        self.find_identities()?.ok_or_else(|| {
            Error::no_access("no private key: no VAULT_KEY, VAULT_KEY_FILE, VAULT_KEY_COMMAND or credential, and no identity file")
                .hint("name your key by `VAULT_KEY_FILE`; who has none yet asks for access with `vault request`, which makes one")
        })
    }

    /// The user's private keys, or None where no source has any.
    pub(crate) fn find_identities(&self) -> Result<Option<Vec<Identity>>> {
        let sources = self.find_sources()?;
        Ok(sources.map(|all| all.into_iter().flat_map(|source| source.identities).collect()))
    }

    /// The user's private keys with what they come from, or None where no source has any.
    pub(super) fn find_sources(&self) -> Result<Option<Vec<Source>>> {
        let path = match self.key_place() {
            KeyPlace::Variable(text) => {
                if text.starts_with(['/', '~', '.']) {
                    return Err(Error::no_access(
                        "VAULT_KEY is a path, where the key itself is wanted",
                    )
                    .hint("give the path by `VAULT_KEY_FILE`"));
                }
                let text = Secret::new(text.as_bytes().to_vec());
                return self.parse("VAULT_KEY", &text).map(|source| Some(vec![source]));
            }
            KeyPlace::Files(paths) => {
                let read = |path: &PathBuf| self.named_file("VAULT_KEY_FILE", path);
                return paths.iter().map(read).collect::<Result<_>>().map(Some);
            }
            KeyPlace::Command(command) => {
                let words = shell_words::split(&command).map_err(|_| {
                    Error::usage("VAULT_KEY_COMMAND has a quote that is never closed")
                })?;
                let text = capture_key(&words, &self.surroundings())
                    .map_err(|error| error.within("VAULT_KEY_COMMAND").of_kind(Kind::NoAccess))?;
                return self.parse("VAULT_KEY_COMMAND", &text).map(|source| Some(vec![source]));
            }
            KeyPlace::Credential(path) => {
                let source = self.named_file("CREDENTIALS_DIRECTORY", &path)?;
                return Ok(Some(vec![source]));
            }
            KeyPlace::Identity(path) => path,
            KeyPlace::Nowhere => return Ok(None),
        };
        let Some(file) = identity::read_default(&path)? else { return Ok(None) };
        let mut told = shown_path(&path);
        let text = match in_keyring(&file.text) {
            Some(account) => {
                told =
                    format!("{told}, which names the account `{}` of the keyring", shown(account));
                keyring::read(account)?
            }
            None => file.text,
        };
        self.parse(&told, &text).map(|source| Some(vec![source]))
    }

    /// The public keys of the user's own, as far as they can be told without a question and without starting a
    /// program.
    pub(super) fn known_keys(&self) -> KnownKeys {
        let unread = |why: &str| KnownKeys::Unread(why.to_owned());
        let paths = match self.key_place() {
            KeyPlace::Variable(text) => {
                let text = Secret::new(text.as_bytes().to_vec());
                return public_keys(&[("VAULT_KEY".to_owned(), text)]);
            }
            KeyPlace::Command(_) => return unread("printed by VAULT_KEY_COMMAND"),
            KeyPlace::Nowhere => return KnownKeys::None,
            KeyPlace::Identity(path) => {
                return match identity::read_default(&path) {
                    Ok(None) => KnownKeys::None,
                    Ok(Some(file)) if in_keyring(&file.text).is_some() => {
                        unread("in the system keyring")
                    }
                    Ok(Some(file)) => public_keys(&[(shown_path(&path), file.text)]),
                    Err(error) => unread(&error.to_string()),
                };
            }
            KeyPlace::Files(paths) => paths,
            KeyPlace::Credential(path) => vec![path],
        };
        // What is read from a pipe is gone, and it may never be written.
        if paths.iter().any(|path| std::fs::metadata(path).is_ok_and(|file| !file.is_file())) {
            return unread("in a pipe or the like, which is left alone here");
        }
        let read = |path: &PathBuf| {
            let text = identity::read_named(path, identity::KEY_FILE)?.text;
            Ok((shown_path(path), text))
        };
        match paths.iter().map(read).collect::<Result<Vec<_>>>() {
            Ok(texts) => public_keys(&texts),
            Err(error) => unread(&error.to_string()),
        }
    }

    /// Where the private keys come from. Nothing of it is read.
    pub(super) fn key_place(&self) -> KeyPlace<'_> {
        let credential = || {
            let folder = PathBuf::from(self.outside.get("CREDENTIALS_DIRECTORY")?);
            Some(folder.join(CREDENTIAL)).filter(|path| path.exists())
        };
        let files = self.outside.paths("VAULT_KEY_FILE");
        if let Some(text) = self.outside.text("VAULT_KEY") {
            KeyPlace::Variable(text)
        } else if !files.is_empty() {
            KeyPlace::Files(files)
        } else if let Some(command) = self.outside.text("VAULT_KEY_COMMAND") {
            KeyPlace::Command(command)
        } else if let Some(path) = credential() {
            KeyPlace::Credential(path)
        } else {
            self.identity_path().map_or(KeyPlace::Nowhere, KeyPlace::Identity)
        }
    }

    /// The default place of the identity. None where there is no home folder.
    pub(crate) fn identity_path(&self) -> Option<PathBuf> {
        self.outside.config_folder().map(|folder| folder.join(IDENTITY_FILE))
    }

    /// A new passphrase, asked for twice.
    pub(crate) fn new_passphrase(&self, what: &str) -> Result<Secret> {
        if let Some(given) = self.passphrase_file()? {
            return Ok(given);
        }
        need_terminal(what)?;
        let first = prompt::hidden(&format!("New {what}"))?;
        if first.is_empty() {
            return Err(Error::failed("an empty passphrase protects nothing"));
        }
        if prompt::hidden(&format!("The same {what} again"))? != first {
            return Err(Error::failed("the two passphrases differ"));
        }
        Ok(first)
    }

    /// Which plugins may be sealed to: the user's own list, never one in a repository.
    pub(crate) fn plugins(&self) -> PluginAccess {
        let file = self.outside.config_folder().map(|folder| folder.join(PLUGINS_FILE));
        let text = file.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
        let names =
            text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        PluginAccess { allowed: names.map(str::to_owned).collect(), interaction: interaction() }
    }

    fn named_file(&self, source: &str, path: &std::path::Path) -> Result<Source> {
        let file = identity::read_named(path, identity::KEY_FILE)?;
        if file.others_can_write && self.ui.err_is_terminal() {
            self.ui.warn(&format!("other users can change the key file `{}`", shown_path(path)));
        }
        self.parse(&format!("{source}: `{}`", shown_path(path)), &file.text)
    }

    /// Reads the text of a source.
    pub(super) fn parse(&self, source: &str, text: &Secret) -> Result<Source> {
        let mut ask = || self.passphrase(&format!("passphrase of the key ({source})"));
        let identities = Identity::parse_all(text, &interaction(), &mut ask)
            .map_err(|error| error.within(source))?;
        self.ui.detail(&format!("the private key comes from {source}"));
        Ok(Source { told: source.to_owned(), identities })
    }

    fn passphrase(&self, what: &str) -> Result<Secret> {
        if let Some(given) = self.passphrase_file()? {
            return Ok(given);
        }
        need_terminal(what)?;
        let mut capital = what.to_owned();
        if let Some(first) = capital.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        prompt::hidden(&capital)
    }

    fn passphrase_file(&self) -> Result<Option<Secret>> {
        let Some(path) = self.outside.get("VAULT_PASSPHRASE_FILE") else { return Ok(None) };
        identity::read_named(&PathBuf::from(path), "passphrase file")
            .map(|file| Some(file.text.without_line_end()))
    }
}

/// The sources of docs/cli.md, Identity, in their order: the first one that is set counts.
pub(super) enum KeyPlace<'a> {
    /// `VAULT_KEY` holds them.
    Variable(Cow<'a, str>),
    /// `VAULT_KEY_FILE` names them.
    Files(Vec<PathBuf>),
    /// `VAULT_KEY_COMMAND` prints them.
    Command(Cow<'a, str>),
    /// A credential of systemd.
    Credential(PathBuf),
    /// The identity file, whether or not it is there.
    Identity(PathBuf),
    /// There is no home folder.
    Nowhere,
}

/// The public keys of these texts, each with its source, as far as no question is asked.
fn public_keys(texts: &[(String, Secret)]) -> KnownKeys {
    const QUESTION: &str = "can't be read without a question";
    let mut keys = Vec::new();
    let mut unread = QUESTION.to_owned();
    for (source, text) in texts {
        match Identity::parse_all(text, &interaction(), &mut || Err(Error::no_access(QUESTION))) {
            Ok(all) => keys.extend(all.iter().filter_map(Identity::public_key)),
            Err(error) => unread = error.within(source).to_string(),
        }
    }
    if keys.is_empty() { KnownKeys::Unread(unread) } else { KnownKeys::Known(keys) }
}

/// What can be told of the user's keys without a question.
pub(super) enum KnownKeys {
    /// There is none.
    None,
    /// There may be one, and this is where.
    Unread(String),
    /// Their public keys, at least one.
    Known(Vec<PublicKey>),
}

/// Private keys, and where they come from.
pub(super) struct Source {
    /// In words, without anything secret.
    pub(super) told: String,
    /// The keys.
    pub(super) identities: Vec<Identity>,
}

/// The account of the system's keyring that this identity file names, if it does.
pub(super) fn in_keyring(text: &Secret) -> Option<&str> {
    text.expose_str()?.trim().strip_prefix("keyring:")
}

fn need_terminal(what: &str) -> Result<()> {
    if prompt::possible() {
        return Ok(());
    }
    Err(Error::no_access(format!("the {what} is needed and there is no terminal to ask on"))
        .hint("name a file that holds it by `VAULT_PASSPHRASE_FILE`"))
}

fn interaction() -> Arc<dyn Interaction> {
    Arc::new(OnTerminal)
}
