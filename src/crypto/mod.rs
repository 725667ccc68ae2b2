//! The primitives, and the only importer of `age` and the `RustCrypto` crates.
//!
//! Everything here is a pure function of its arguments and the system's random numbers. Errors of `age`
//! are told apart by variant and put into our own words: its texts are translated, wrapped in invisible
//! characters, and now and then quote what they were given.

pub(crate) mod dotenvx;
pub(crate) mod keys;
mod passphrase;
pub(crate) mod plugin;
#[cfg(feature = "ssh")]
mod ssh;

pub(crate) use passphrase::{generate_passphrase, lock, lock_as_text, unlock};

use chacha20poly1305::aead::rand_core::RngCore as _;
use chacha20poly1305::aead::{Aead as _, AeadInPlace as _, OsRng, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// Bytes from the system's generator.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    OsRng.fill_bytes(&mut bytes);
    bytes
}

/// HKDF-SHA256 (RFC 5869) without salt. `info` is the concatenation of its parts.
pub(crate) fn hkdf<const N: usize>(key: &[u8], info: &[&[u8]]) -> Zeroizing<[u8; N]> {
    let mut out = Zeroizing::new([0; N]);
    // The only error is an output of more than 255 hashes; N is 32 at the most. An all-zero key is no
    // silent danger either way: nothing that was made with the right key would verify.
    let _ = Hkdf::<Sha256>::new(None, key).expand_multi_info(info, &mut out[..]);
    out
}

/// A key of HMAC-SHA256 (RFC 2104), already mixed into the two hashes that each tag begins with. It doesn't wipe
/// itself: its place is the stack, which is wiped at the end.
pub(crate) struct MacKey(Hmac<Sha256>);

impl MacKey {
    /// Gets it ready: as much work as for 128 bytes of a message.
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        // HMAC fills a short key up with zeros to the block of its hash (RFC 2104, section 2).
        let mut block = Zeroizing::new([0; 64]);
        let (start, _) = block.split_at_mut(key.len());
        start.copy_from_slice(key);
        Self(<Hmac<Sha256> as hmac::digest::KeyInit>::new((&*block).into()))
    }

    /// The tag over the concatenation of `parts`.
    pub(crate) fn tag(&self, parts: &[&[u8]]) -> [u8; 32] {
        self.over(parts).finalize().into_bytes().into()
    }

    /// Whether `tag` is that over `parts`, compared in constant time.
    pub(crate) fn matches(&self, parts: &[&[u8]], tag: &[u8]) -> bool {
        self.over(parts).verify_slice(tag).is_ok()
    }

    fn over(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(part);
        }
        mac
    }
}

/// SHA-256 over the concatenation of `parts`.
pub(crate) fn sha256<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

/// XChaCha20-Poly1305: the ciphertext with its tag. None only for more than 256 GiB.
pub(crate) fn encrypt(
    key: &[u8; 32],
    nonce: &[u8; 24],
    associated: &[u8],
    plain: &[u8],
) -> Option<Vec<u8>> {
    XChaCha20Poly1305::new(key.into())
        .encrypt(nonce.into(), Payload { msg: plain, aad: associated })
        .ok()
}

/// Decrypts a ciphertext with its tag in its place, and gives the plaintext. None if key, nonce and associated
/// data don't belong to it; then it is as it was.
pub(crate) fn decrypt<'c>(
    key: &[u8; 32],
    nonce: &[u8; 24],
    associated: &[u8],
    cipher: &'c mut [u8],
) -> Option<&'c mut [u8]> {
    let (text, tag) = cipher.split_last_chunk_mut::<16>()?;
    XChaCha20Poly1305::new(key.into())
        .decrypt_in_place_detached(nonce.into(), associated, text, (&*tag).into())
        .ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
    }

    #[test]
    fn hkdf_gives_the_third_vector_of_rfc_5869() {
        let okm: Zeroizing<[u8; 32]> = hkdf(&[0x0b; 22], &[]);
        assert_eq!(
            okm[..],
            bytes("8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d")
        );
        let joined: Zeroizing<[u8; 32]> = hkdf(b"key", &[b"ab", b"c"]);
        assert_eq!(joined, hkdf(b"key", &[b"a", b"bc"]));
    }

    #[test]
    fn a_changed_bit_anywhere_is_noticed() {
        let (key, nonce) = (random(), random());
        let cipher = encrypt(&key, &nonce, b"name", b"value").unwrap();
        let mut plain = cipher.clone();
        assert_eq!(decrypt(&key, &nonce, b"name", &mut plain).unwrap()[..], b"value"[..]);
        let mut same = cipher.clone();
        assert!(decrypt(&key, &nonce, b"other", &mut same).is_none());
        assert_eq!(same, cipher, "nothing is decrypted that isn't genuine");
        for at in 0..cipher.len() {
            let mut bad = cipher.clone();
            bad[at] ^= 1;
            assert!(decrypt(&key, &nonce, b"name", &mut bad).is_none());
        }
        let key = MacKey::new(&key);
        let tag = key.tag(&[b"a", b"b"]);
        assert!(key.matches(&[b"ab"], &tag));
        assert!(!key.matches(&[b"ab"], &tag[..31]));
    }
}
