//! What dotenvx has encrypted, opened by its own private key: ECIES over secp256k1, as `eciesjs` 0.5 does it.
//!
//! A sealed value is an uncompressed public key (65 bytes), a nonce (16), a tag (16), and the ciphertext of
//! AES-256-GCM. The key is HKDF-SHA256, without salt and info, of that public key and the shared point, both
//! uncompressed.

use aes_gcm::aead::consts::U16;
use aes_gcm::aead::{Aead as _, KeyInit as _};
use aes_gcm::aes::Aes256;
use aes_gcm::{AesGcm, Nonce};
use k256::elliptic_curve::sec1::ToEncodedPoint as _;
use k256::{PublicKey, SecretKey};
use zeroize::Zeroizing;

use super::hkdf;
use crate::secret::Secret;
use crate::vars::hex;

const POINT: usize = 65;
const NONCE: usize = 16;
const TAG: usize = 16;

/// A private key of dotenvx. It is wiped when it is dropped.
pub(crate) struct DotenvxKey(SecretKey);

impl DotenvxKey {
    /// Reads 64 hexadecimal digits.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let mut bytes = Zeroizing::new([0; 32]);
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
        }
        SecretKey::from_slice(&*bytes).ok().map(Self)
    }

    /// The public key as a file of dotenvx names it: the compressed point in hexadecimal digits.
    pub(crate) fn public(&self) -> String {
        hex(self.0.public_key().to_encoded_point(true).as_bytes())
    }

    /// Opens a sealed value, if it was sealed to this key and is whole.
    pub(crate) fn open(&self, sealed: &[u8]) -> Option<Secret> {
        let (point, rest) = sealed.split_at_checked(POINT)?;
        let (nonce, rest) = rest.split_at_checked(NONCE)?;
        let (tag, cipher) = rest.split_at_checked(TAG)?;
        let sender = PublicKey::from_sec1_bytes(point).ok()?;
        let shared = sender.to_projective() * *self.0.to_nonzero_scalar();
        let shared = shared.to_affine().to_encoded_point(false);
        let secret = Zeroizing::new([point, shared.as_bytes()].concat());
        let key: Zeroizing<[u8; 32]> = hkdf(&secret, &[]);
        let message = [cipher, tag].concat();
        let plain = AesGcm::<Aes256, U16>::new((&*key).into())
            .decrypt(Nonce::<U16>::from_slice(nonce), message.as_slice())
            .ok()?;
        Some(Secret::new(plain))
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD as BASE64;

    use super::*;

    /// Made by dotenvx 2.38.2.
    const PRIVATE: &str = "8ee59ca3d95c705d89ac7607ec97b2860a7bcb00829ea4b5468f7ab2dc1aaff3";
    const PUBLIC: &str = "03181877fd3cfa98ec8c90c16a0605a87fa2aa8cbbb0dc6715857124c36baad974";
    const SEALED: &str = "BLfjzXtA62o0kpwP7YPVX2HEJ8m9hOPPqhgPfjIxR31qSTUKWYUV6UfCFzn7y/cWZTyUKnleBIAeT9Mb8g7ilsQnZmvlLwf+93iA+0Uv093al6g6BFQp+hL3kdMsf7sB1J2k8Pit81Lt3Prl";

    #[test]
    fn a_value_that_dotenvx_has_sealed_opens_and_a_changed_one_does_not() {
        let key = DotenvxKey::parse(PRIVATE).unwrap();
        assert_eq!(key.public(), PUBLIC);
        let sealed = BASE64.decode(SEALED).unwrap();
        assert_eq!(key.open(&sealed).unwrap().expose(), br"pa$word#x\n");
        for at in 0..sealed.len() {
            let mut bad = sealed.clone();
            bad[at] ^= 1;
            assert!(key.open(&bad).is_none(), "{at}");
            assert!(key.open(&sealed[..at]).is_none(), "{at}");
        }
        let other = DotenvxKey::parse(&"1".repeat(64)).unwrap();
        assert!(other.open(&sealed).is_none());
    }

    #[test]
    fn what_is_no_key_is_none() {
        for text in ["", "11", &"g".repeat(64), &"0".repeat(64), &"f".repeat(64), &"é".repeat(32)]
        {
            assert!(DotenvxKey::parse(text).is_none(), "{text}");
        }
    }
}
