//! Public keys and identities (private keys): parse, show, seal, unseal.
//!
//! A [`PublicKey`] is only known to have the right shape. Whether its age recipient exists is found when
//! something is sealed to it, so that a build without ssh support still reads every file.

use std::fmt;
use std::io::{Read as _, Write as _};
use std::str::FromStr;
use std::sync::Arc;

use bech32::primitives::decode::CheckedHrpstring;
use zeroize::Zeroizing;

use super::plugin::{Interaction, PluginAccess};
use super::{hkdf, plugin, sha256, unlock};
use crate::error::{Error, Result};
use crate::secret::Secret;
use crate::vars::every_byte;

/// How an encrypted file of age begins.
const AGE_BINARY: &str = "age-encryption.org/";
/// How it begins as text.
const AGE_TEXT: &str = "-----BEGIN AGE ENCRYPTED FILE-----";

/// The longest text of a public key in bytes (format.md, Fields).
const PUBLIC_KEY_LIMIT: usize = 4096;
/// A seal is four short lines; what is longer is no seal.
const SEAL_LIMIT: u64 = 4096;

/// A member's public key, in its one canonical text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(String);

impl PublicKey {
    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// SHA-256 over the text: what people compare.
    pub fn fingerprint(&self) -> [u8; 32] {
        sha256([self.0.as_bytes()])
    }

    /// What sort of key it is, in a word for people.
    pub fn sort(&self) -> &'static str {
        match (self.x25519(), self.0.split_once(' ')) {
            (Some(_), _) => "X25519",
            (None, Some(("ssh-rsa", _))) => "ssh-rsa",
            (None, Some(_)) => "ssh-ed25519",
            (None, None) => "plugin",
        }
    }

    /// The point, if this is an X25519 key: Bech32 with the prefix exactly `age` and 32 bytes.
    pub(crate) fn x25519(&self) -> Option<[u8; 32]> {
        let parsed = CheckedHrpstring::new::<bech32::Bech32>(&self.0).ok()?;
        (parsed.hrp().as_str() == "age").then(|| exactly_32(parsed.byte_iter())).flatten()
    }

    /// The name of the plugin that this key needs, if it needs one.
    pub(crate) fn plugin(&self) -> Option<&str> {
        let rest = self.0.strip_prefix("age1")?;
        let (name, _) = rest.rsplit_once('1')?;
        (!name.is_empty()).then_some(name)
    }

    /// Encrypts `plain` to this key alone, as a binary age file.
    ///
    /// # Errors
    ///
    /// The key isn't valid or this build can't seal to its sort; a plugin is not allowed or fails.
    pub(crate) fn seal(&self, plain: &[u8], plugins: &PluginAccess) -> Result<Vec<u8>> {
        let recipient = self.recipient(plugins)?;
        let failed = || match self.plugin() {
            Some(name) => {
                Error::failed(format!("the plugin `{name}` does not seal to this public key"))
                    .hint("see that its device is there, and try again")
            }
            None => Error::failed("cannot seal the data key to this public key"),
        };
        let encryptor = age::Encryptor::with_recipients(std::iter::once(recipient.as_ref()))
            .map_err(|_| failed())?;
        let mut sealed = Vec::new();
        let mut writer = encryptor.wrap_output(&mut sealed).map_err(|_| failed())?;
        writer.write_all(plain).and_then(|()| writer.finish()).map_err(|_| failed())?;
        Ok(sealed)
    }

    fn recipient(&self, plugins: &PluginAccess) -> Result<Box<dyn age::Recipient>> {
        if self.0.starts_with("ssh-") {
            return ssh_recipient(&self.0);
        }
        if let Some(name) = self.plugin() {
            return plugins.recipient(name, &self.0);
        }
        let recipient = age::x25519::Recipient::from_str(&self.0)
            .map_err(|_| Error::failed("the public key is damaged: its checksum is wrong"))?;
        Ok(Box::new(recipient))
    }
}

impl FromStr for PublicKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if is_public_key_shape(text) {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::usage(
            "not a public key: `age1…`, `ssh-ed25519 …` or `ssh-rsa …` without a comment",
        ))
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_public_key_shape(text: &str) -> bool {
    let age = |b: u8| {
        b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'+' | b'.' | b'_' | b'-')
    };
    let base64 = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=');
    let of_ssh = || text.strip_prefix("ssh-ed25519 ").or_else(|| text.strip_prefix("ssh-rsa "));
    text.len() <= PUBLIC_KEY_LIMIT
        && match text.strip_prefix("age1") {
            Some(rest) => !rest.is_empty() && every_byte(rest, age),
            None => of_ssh().is_some_and(|rest| !rest.is_empty() && every_byte(rest, base64)),
        }
}

fn exactly_32(mut bytes: impl Iterator<Item = u8>) -> Option<[u8; 32]> {
    let mut out = [0; 32];
    for slot in &mut out {
        *slot = bytes.next()?;
    }
    bytes.next().is_none().then_some(out)
}

/// Why a seal did not open.
#[derive(Debug)]
pub(crate) enum Unsealed {
    /// It is an age file, for another key.
    NotForThisKey,
    /// It is no age file, or a damaged one.
    Malformed,
    /// It could not be tried.
    Failed(Error),
}

/// A private key: what opens a member's seal.
#[derive(Clone)]
pub struct Identity(Inner);

#[derive(Clone)]
enum Inner {
    /// With the public key that the identity file says it has, if it says one.
    X25519(age::x25519::Identity, Option<PublicKey>),
    #[cfg(feature = "ssh")]
    Ssh(super::ssh::Key),
    Plugin(plugin::Key),
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(…)")
    }
}

impl Identity {
    /// A new X25519 identity.
    pub fn generate() -> Self {
        Self(Inner::X25519(age::x25519::Identity::generate(), None))
    }

    /// Every identity in the text of an identity file: `AGE-SECRET-KEY-1…` and `AGE-PLUGIN-…` lines
    /// between comments, an OpenSSH private key, or either under a passphrase, which `ask` is asked for.
    ///
    /// # Errors
    ///
    /// The text is something else (which never gets into the message), or the passphrase is wrong.
    pub(crate) fn parse_all(
        text: &Secret,
        interaction: &Arc<dyn Interaction>,
        ask: &mut dyn FnMut() -> Result<Secret>,
    ) -> Result<Vec<Self>> {
        if text.expose().starts_with(AGE_BINARY.as_bytes()) {
            // Binary: the last byte may well look like a blank, so nothing is trimmed.
            return open_age_file(text.expose(), interaction, ask);
        }
        let trimmed = text.expose().trim_ascii();
        if trimmed.starts_with(AGE_TEXT.as_bytes()) {
            return open_age_file(trimmed, interaction, ask);
        }
        if trimmed.starts_with(b"-----BEGIN ") {
            return parse_ssh(trimmed, ask);
        }
        parse_lines(text, interaction)
    }

    /// Whether the text of a key file is encrypted by age, so that a passphrase is asked for.
    pub(crate) fn is_under_a_passphrase(text: &Secret) -> bool {
        let starts = |start: &str| text.expose().trim_ascii_start().starts_with(start.as_bytes());
        starts(AGE_BINARY) || starts(AGE_TEXT)
    }

    /// The one X25519 identity in the text of a recovery member's `locked` block.
    pub(crate) fn from_line(text: &Secret) -> Result<Self> {
        text.expose_str()
            .and_then(|text| age::x25519::Identity::from_str(text.trim_end()).ok())
            .map(|identity| Self(Inner::X25519(identity, None)))
            .ok_or_else(|| Error::integrity("the locked block holds no private key"))
    }

    /// The public key, where it can be told: a plugin's only from its `# public key:` line.
    pub fn public_key(&self) -> Option<PublicKey> {
        match &self.0 {
            Inner::X25519(identity, _) => Some(PublicKey(identity.to_public().to_string())),
            #[cfg(feature = "ssh")]
            Inner::Ssh(key) => Some(PublicKey(key.public().to_owned())),
            Inner::Plugin(key) => key.public.clone(),
        }
    }

    /// The public key that its `# public key:` line says, which may be wrong. To compute it takes a fifth of
    /// the time of an unsealing, which would show that it is.
    pub(crate) fn said_public_key(&self) -> Option<&PublicKey> {
        match &self.0 {
            Inner::X25519(_, said) => said.as_ref(),
            Inner::Plugin(_) => None,
            #[cfg(feature = "ssh")]
            Inner::Ssh(_) => None,
        }
    }

    /// The name of the plugin that this identity needs, if it needs one.
    pub(crate) fn plugin(&self) -> Option<&str> {
        match &self.0 {
            Inner::Plugin(key) => Some(&key.name),
            Inner::X25519(..) => None,
            #[cfg(feature = "ssh")]
            Inner::Ssh(_) => None,
        }
    }

    /// The line that an identity file holds. None for a key that came from elsewhere.
    pub(crate) fn secret_line(&self) -> Option<Secret> {
        use age::secrecy::ExposeSecret as _;
        match &self.0 {
            Inner::X25519(identity, _) => {
                Some(Secret::new(identity.to_string().expose_secret().as_bytes().to_vec()))
            }
            #[cfg(feature = "ssh")]
            Inner::Ssh(_) => None,
            Inner::Plugin(_) => None,
        }
    }

    /// Opens an age file of at most 4 KiB of content.
    pub(crate) fn unseal(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unsealed> {
        match &self.0 {
            Inner::X25519(identity, _) => unseal_with(sealed, identity),
            #[cfg(feature = "ssh")]
            Inner::Ssh(key) => unseal_with(sealed, key.age()),
            Inner::Plugin(key) => key.unseal(sealed),
        }
    }

    /// A key that only the owners of this identity and of `other` can compute, when both are X25519:
    /// HKDF-SHA256 of their static shared secret. None for other sorts, and for an all-zero secret.
    pub(crate) fn shared_key(
        &self,
        other: &PublicKey,
        info: &[&[u8]],
    ) -> Option<Zeroizing<[u8; 32]>> {
        let Inner::X25519(identity, _) = &self.0 else { return None };
        let mine = x25519_dalek::StaticSecret::from(*secret_scalar(identity)?);
        let shared = mine.diffie_hellman(&x25519_dalek::PublicKey::from(other.x25519()?));
        shared.was_contributory().then(|| hkdf(shared.as_bytes(), info))
    }
}

/// The 32 bytes of the private key: age gives them as text only.
fn secret_scalar(identity: &age::x25519::Identity) -> Option<Zeroizing<[u8; 32]>> {
    use age::secrecy::ExposeSecret as _;
    let text = identity.to_string();
    let parsed = CheckedHrpstring::new::<bech32::Bech32>(text.expose_secret()).ok()?;
    exactly_32(parsed.byte_iter()).map(Zeroizing::new)
}

pub(super) fn unseal_with(
    sealed: &[u8],
    identity: &dyn age::Identity,
) -> Result<Zeroizing<Vec<u8>>, Unsealed> {
    // Buffered: the other parser of the crate reads byte by byte and takes seconds for a large stanza.
    let decryptor = age::Decryptor::new_buffered(sealed).map_err(|_| Unsealed::Malformed)?;
    let reader = match decryptor.decrypt(std::iter::once(identity)) {
        Ok(reader) => reader,
        Err(age::DecryptError::NoMatchingKeys) => return Err(Unsealed::NotForThisKey),
        Err(error) => {
            return Err(plugin::failure(&error).map_or(Unsealed::Malformed, Unsealed::Failed));
        }
    };
    let mut plain = Zeroizing::new(Vec::with_capacity(512));
    reader.take(SEAL_LIMIT).read_to_end(&mut plain).map_err(|_| Unsealed::Malformed)?;
    Ok(plain)
}

fn open_age_file(
    file: &[u8],
    interaction: &Arc<dyn Interaction>,
    ask: &mut dyn FnMut() -> Result<Secret>,
) -> Result<Vec<Identity>> {
    let wrong = || Error::no_access("the passphrase does not open the identity file");
    let opened = unlock(file, &ask()?)?.ok_or_else(wrong)?;
    parse_lines(&opened, interaction)
}

fn parse_lines(text: &Secret, interaction: &Arc<dyn Interaction>) -> Result<Vec<Identity>> {
    let no_identity = || Error::no_access("the key is no age or ssh private key");
    let text = text.expose_str().ok_or_else(no_identity)?;
    let mut identities = Vec::new();
    let mut public = None;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(comment) = line.strip_prefix('#') {
            public = comment
                .trim()
                .strip_prefix("public key: ")
                .and_then(|key| key.trim().parse().ok())
                .or(public);
        } else if line.starts_with("AGE-PLUGIN-") {
            identities.push(Identity(Inner::Plugin(plugin::Key::parse(
                line,
                public.take(),
                interaction,
            )?)));
        } else if line.starts_with("AGE-SECRET-KEY-PQ-") {
            return Err(Error::no_access(
                "post-quantum age keys (`AGE-SECRET-KEY-PQ-…`) are not supported yet",
            ));
        } else if line.starts_with("age1") {
            return Err(Error::no_access(
                "this is a public key; the private one begins with `AGE-SECRET-KEY-1`",
            ));
        } else if !line.is_empty() {
            let identity = age::x25519::Identity::from_str(line).map_err(|_| {
                no_identity().hint(format!("look at line {} of the key", index + 1))
            })?;
            identities.push(Identity(Inner::X25519(identity, public.take())));
        }
    }
    if identities.is_empty() { Err(no_identity()) } else { Ok(identities) }
}

#[cfg(feature = "ssh")]
fn parse_ssh(text: &[u8], ask: &mut dyn FnMut() -> Result<Secret>) -> Result<Vec<Identity>> {
    super::ssh::Key::parse(text, ask).map(|key| vec![Identity(Inner::Ssh(key))])
}

#[cfg(not(feature = "ssh"))]
fn parse_ssh(_: &[u8], _: &mut dyn FnMut() -> Result<Secret>) -> Result<Vec<Identity>> {
    Err(Error::no_access("this build has no support for ssh keys"))
}

#[cfg(feature = "ssh")]
fn ssh_recipient(text: &str) -> Result<Box<dyn age::Recipient>> {
    super::ssh::recipient(text)
}

#[cfg(not(feature = "ssh"))]
fn ssh_recipient(_: &str) -> Result<Box<dyn age::Recipient>> {
    Err(Error::failed("this build has no support for ssh keys"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::plugin::Silent;

    fn parsed(text: &[u8]) -> Result<Vec<Identity>> {
        let interaction: Arc<dyn Interaction> = Arc::new(Silent);
        Identity::parse_all(&Secret::new(text.to_vec()), &interaction, &mut || {
            Ok(Secret::from("pass".to_owned()))
        })
    }

    #[test]
    fn a_protected_identity_opens_whatever_its_last_byte_looks_like() {
        let identity = Identity::generate();
        let line = identity.secret_line().unwrap();
        let mut recipient = age::scrypt::Recipient::new("pass".into());
        recipient.set_work_factor(2);
        let blank = |file: &Vec<u8>| file.last().is_some_and(u8::is_ascii_whitespace);
        let files = std::iter::repeat_with(|| age::encrypt(&recipient, line.expose()).unwrap());
        let file = files.take(5000).find(blank).unwrap();
        assert_eq!(parsed(&file).unwrap()[0].public_key(), identity.public_key());
    }

    #[test]
    fn an_identity_file_may_hold_comments_and_several_keys() {
        let keys = [Identity::generate(), Identity::generate()];
        let lines: Vec<String> = keys
            .iter()
            .map(|key| key.secret_line().unwrap().expose_str().unwrap().to_owned())
            .collect();
        let text = format!("# mine\r\n{}\r\n\n  {}  \n", lines[0], lines[1]);
        let found: Vec<_> =
            parsed(text.as_bytes()).unwrap().iter().map(Identity::public_key).collect();
        assert_eq!(found, keys.map(|key| key.public_key()));
    }

    #[test]
    fn what_is_no_key_is_refused_without_a_word_of_it() {
        let damaged = "AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ";
        for bad in ["", "# only a comment", "hunter2", damaged, "AGE-SECRET-KEY-PQ-1QQQ"] {
            let error = parsed(bad.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), crate::error::Kind::NoAccess);
            let told = format!("{error} {:?}", error.hint_text());
            assert!(!told.contains("hunter2") && !told.contains("QQQ"), "{told}");
        }
    }

    #[test]
    fn sorts_of_public_keys_are_told_apart() {
        let sort = |text: &str| text.parse::<PublicKey>().map(|key| key.sort());
        let x25519 = Identity::generate().public_key().unwrap();
        assert_eq!(sort(x25519.as_str()).unwrap(), "X25519");
        assert_eq!(sort("ssh-rsa AAAA").unwrap(), "ssh-rsa");
        assert_eq!(sort("ssh-ed25519 AAAA").unwrap(), "ssh-ed25519");
        let plugin: PublicKey = "age1yubikey1qqqq".parse().unwrap();
        assert_eq!((plugin.sort(), plugin.plugin()), ("plugin", Some("yubikey")));
        for bad in
            ["", "age1", "ssh-rsa ", "ssh-rsa AAAA me@home", "ssh-dss AAAA", "age1A", "age1\u{1b}"]
        {
            assert!(bad.parse::<PublicKey>().is_err(), "{bad:?}");
        }
    }
}
