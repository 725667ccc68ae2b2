//! Texts under a passphrase: age files with one scrypt stanza (format.md, Recovery).

use std::io::Read as _;

use age::secrecy::SecretString;
use zeroize::Zeroizing;

use super::random;
use crate::error::{Error, Result};
use crate::secret::Secret;

/// What we write: about a second of work and 256 MiB.
const WORK_FACTOR: u8 = 18;
/// What we accept: 1 GiB. More is refused before any work is done.
const MAX_WORK_FACTOR: u8 = 20;
/// An identity file is a few lines.
const PLAIN_LIMIT: u64 = 64 * 1024;

/// `plain` in a binary age file that `passphrase` opens.
pub(crate) fn lock(plain: &[u8], passphrase: &Secret) -> Result<Vec<u8>> {
    age::encrypt(&recipient(passphrase)?, plain).map_err(|_| failed())
}

/// As [`lock`], armored, so that it can be pasted.
pub(crate) fn lock_as_text(plain: &[u8], passphrase: &Secret) -> Result<String> {
    age::encrypt_and_armor(&recipient(passphrase)?, plain).map_err(|_| failed())
}

fn recipient(passphrase: &Secret) -> Result<age::scrypt::Recipient> {
    let mut recipient = age::scrypt::Recipient::new(secret_string(passphrase)?);
    recipient.set_work_factor(WORK_FACTOR);
    Ok(recipient)
}

fn failed() -> Error {
    Error::failed("cannot encrypt under the passphrase")
}

/// What `locked` holds, or None when the passphrase doesn't open it.
///
/// # Errors
///
/// `locked` is not an age file under a passphrase, or asks for more than work factor 20.
pub(crate) fn unlock(locked: &[u8], passphrase: &Secret) -> Result<Option<Secret>> {
    let malformed =
        || Error::integrity("the passphrase-protected block is no age file that can be read");
    let decryptor = age::Decryptor::new_buffered(age::armor::ArmoredReader::new(locked))
        .map_err(|_| malformed())?;
    if !decryptor.is_scrypt() {
        return Err(malformed());
    }
    let mut identity = age::scrypt::Identity::new(secret_string(passphrase)?);
    identity.set_max_work_factor(MAX_WORK_FACTOR);
    match decryptor.decrypt(std::iter::once::<&dyn age::Identity>(&identity)) {
        Ok(reader) => {
            let mut plain = Zeroizing::new(Vec::new());
            reader.take(PLAIN_LIMIT).read_to_end(&mut plain).map_err(|_| malformed())?;
            Ok(Some(Secret::new(plain.to_vec())))
        }
        Err(age::DecryptError::ExcessiveWork { required, .. }) => Err(Error::integrity(format!(
            "the passphrase-protected block asks for scrypt work factor {required}, more than {MAX_WORK_FACTOR}"
        ))),
        Err(age::DecryptError::InvalidHeader | age::DecryptError::UnknownFormat) => {
            Err(malformed())
        }
        Err(_) => Ok(None),
    }
}

fn secret_string(passphrase: &Secret) -> Result<SecretString> {
    passphrase
        .expose_str()
        .map(SecretString::from)
        .ok_or_else(|| Error::failed("the passphrase is not UTF-8 text"))
}

/// A passphrase for a person to write down: 26 letters and digits, 5 bits each, so 130 bits, in groups
/// of at most five. The alphabet is Crockford's base 32 in lower case, which leaves out `i l o u`.
pub(crate) fn generate_passphrase() -> Secret {
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let noise = Zeroizing::new(random::<26>());
    let mut text = Vec::with_capacity(32);
    for (index, byte) in noise.iter().enumerate() {
        if index > 0 && index % 5 == 0 {
            text.push(b'-');
        }
        text.push(ALPHABET[usize::from(byte & 31)]);
    }
    Secret::new(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quick_lock(plain: &[u8], passphrase: &str, work: u8) -> Vec<u8> {
        let mut recipient = age::scrypt::Recipient::new(SecretString::from(passphrase));
        recipient.set_work_factor(work);
        age::encrypt(&recipient, plain).unwrap()
    }

    #[test]
    fn only_the_right_passphrase_unlocks() {
        let locked = quick_lock(b"text", "right", 4);
        let with = |text: &str| unlock(&locked, &Secret::from(text.to_owned()));
        assert_eq!(with("right").unwrap().unwrap().expose(), b"text");
        assert!(with("wrong").unwrap().is_none());
    }

    #[test]
    fn a_work_factor_of_thirty_is_refused_before_the_work() {
        let locked = quick_lock(b"text", "p", 4);
        // The factor stands in the header as text. Its MAC is wrong afterwards, which nobody gets to see.
        let text = String::from_utf8_lossy(&locked).into_owned();
        let at = text.find(" 4\n").unwrap();
        let mut costly = locked[..=at].to_vec();
        costly.extend(b"30");
        costly.extend(&locked[at + 2..]);
        let error = unlock(&costly, &Secret::from("p".to_owned())).unwrap_err();
        assert!(error.to_string().contains("work factor 30"), "{error}");
    }

    #[test]
    fn what_is_no_age_file_is_said_to_be_none() {
        for bad in [&b""[..], b"age-encryption.org/v1\n", b"hello"] {
            assert!(unlock(bad, &Secret::from("p".to_owned())).is_err());
        }
    }

    #[test]
    fn a_generated_passphrase_has_26_characters_of_the_alphabet() {
        let one = generate_passphrase();
        let text = one.expose_str().unwrap();
        assert_eq!(text.len(), 26 + 5);
        assert_eq!(text.bytes().filter(|b| *b != b'-').count(), 26);
        assert_ne!(one, generate_passphrase());
    }
}
