//! The data key, the four keys derived from it, and fingerprints (format.md, Keys).

use std::fmt;
use std::str::FromStr;

use zeroize::Zeroizing;

use super::lp;
use crate::crypto;
use crate::crypto::keys::PublicKey;
use crate::vars::name::EnvName;

/// The secret of one environment: 32 random bytes.
#[derive(Clone)]
pub(crate) struct DataKey(Zeroizing<[u8; 32]>);

impl DataKey {
    /// A new one.
    pub(crate) fn generate() -> Self {
        Self(Zeroizing::new(crypto::random()))
    }

    /// One that a seal held.
    pub(crate) fn from_bytes(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    /// The bytes, for the seal.
    pub(crate) fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

/// How many bytes of a data key's name stand before each block made under it.
pub(crate) const KEY_ID_LEN: usize = 4;

/// What is derived from a data key for one environment, id and time.
#[derive(Clone)]
pub(crate) struct Keys {
    /// Encrypts values.
    pub(crate) values: Zeroizing<[u8; 32]>,
    /// Authenticates members and former members.
    pub(crate) vouch: Zeroizing<[u8; 32]>,
    /// Tells which data key a block belongs to.
    pub(crate) key_id: [u8; KEY_ID_LEN],
    /// Names the data key to people.
    pub(crate) fingerprint: Fingerprint,
}

impl Keys {
    /// Derives the four keys.
    pub(crate) fn derive(key: &DataKey, id: &[u8; 16], environment: &EnvName, made: u64) -> Self {
        let environment = environment.as_str().as_bytes();
        let (id_len, environment_len, made) = (lp(id), lp(environment), made.to_le_bytes());
        let info =
            |label| [label, &id_len[..], &id[..], &environment_len[..], environment, &made[..]];
        Self {
            values: crypto::hkdf(key.expose(), &info(b"vault/1 values")),
            vouch: crypto::hkdf(key.expose(), &info(b"vault/1 vouch")),
            key_id: *crypto::hkdf(key.expose(), &info(b"vault/1 key-id")),
            fingerprint: Fingerprint(*crypto::hkdf(key.expose(), &info(b"vault/1 fingerprint"))),
        }
    }
}

/// What people compare: of a data key, or of a member's public key. Shown as its first 16 bytes in
/// hexadecimal, eight groups of four joined by `-`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fingerprint(pub(crate) [u8; 32]);

impl Fingerprint {
    /// That of a member's public key.
    pub(crate) fn of_key(key: &PublicKey) -> Self {
        Self(key.fingerprint())
    }
}

/// A fingerprint as a person typed it: all of its bytes, or the first 16, with or without dashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expected(Vec<u8>);

impl Expected {
    /// Whether this is what was typed.
    pub(crate) fn is(&self, fingerprint: &Fingerprint) -> bool {
        fingerprint.0.starts_with(&self.0)
    }
}

impl FromStr for Expected {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        /// Fewer could be found by trying keys until one fits.
        const SHOWN: usize = 16;
        let digits = text.trim().replace('-', "");
        let bytes = unhex(&digits).filter(|bytes| [SHOWN, 32].contains(&bytes.len()));
        bytes.map(Self).ok_or("a fingerprint is eight groups of four hexadecimal digits")
    }
}

/// The bytes of hexadecimal digits, two a byte.
pub(crate) fn unhex(digits: &str) -> Option<Vec<u8>> {
    let nibble = |digit: u8| char::from(digit).to_digit(16).and_then(|n| u8::try_from(n).ok());
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(nibble(*high)? << 4 | nibble(*low)?),
        _ => None,
    };
    digits.as_bytes().chunks(2).map(pair).collect()
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, pair) in self.0.chunks(2).take(8).enumerate() {
            if index > 0 {
                f.write_str("-")?;
            }
            for byte in pair {
                write!(f, "{byte:02x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_shown_in_eight_groups_of_four() {
        let mut bytes = [0; 32];
        bytes.iter_mut().zip(0..).for_each(|(byte, n)| *byte = n * 7);
        let fingerprint = Fingerprint(bytes);
        assert_eq!(fingerprint.to_string(), "0007-0e15-1c23-2a31-383f-464d-545b-6269");
    }

    #[test]
    fn what_is_typed_counts_whole_or_as_shown_and_never_shorter() {
        let fingerprint = Fingerprint([0xab; 32]);
        let shown = fingerprint.to_string();
        for typed in [shown.clone(), shown.replace('-', ""), "AB".repeat(32)] {
            assert!(typed.parse::<Expected>().unwrap().is(&fingerprint), "{typed}");
            assert!(!typed.parse::<Expected>().unwrap().is(&Fingerprint([0xac; 32])));
        }
        for typed in ["", "abab", &shown[..38], &"ab".repeat(31), &"zz".repeat(16), "äb"] {
            assert!(typed.parse::<Expected>().is_err(), "{typed}");
        }
    }
}
