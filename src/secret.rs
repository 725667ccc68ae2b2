//! Bytes that must not be seen.
//!
//! A [`Secret`] is wiped when it is dropped, has no `Display`, and its `Debug` shows nothing of it, not
//! even its length. Reading it takes a call to [`Secret::expose`], so every place that does can be found.

use std::fmt;

use zeroize::Zeroizing;

/// A value, a passphrase or the text of a private key.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes over `bytes`; they are wiped with the secret.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Takes over bytes that are wiped already when they are dropped.
    pub(crate) fn wiped(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }

    /// Gives the bytes away, to something that does not wipe them.
    pub(crate) fn into_bytes(mut self) -> Vec<u8> {
        std::mem::take(&mut *self.0)
    }

    /// The bytes themselves.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as text, if they are UTF-8.
    pub fn expose_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// Whether there are no bytes at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The secret without one line end (LF or CR LF) at its end: what a person means who pipes in the
    /// output of a program that ends its line.
    #[must_use]
    pub fn without_line_end(&self) -> Self {
        let bytes = self.expose();
        let trimmed =
            bytes.strip_suffix(b"\n").map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        Self::new(trimmed.unwrap_or(bytes).to_vec())
    }
}

impl From<Vec<u8>> for Secret {
    fn from(bytes: Vec<u8>) -> Self {
        Self::new(bytes)
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text.into_bytes())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing_of_it() {
        let secret = Secret::from("hunter2".to_owned());
        assert_eq!(format!("{secret:?} {secret:#?}"), "Secret(…) Secret(…)");
    }

    #[test]
    fn one_line_end_is_taken_off_and_no_more() {
        let trimmed = |text: &str| Secret::from(text.to_owned()).without_line_end();
        assert_eq!(trimmed("a\n\n").expose(), b"a\n");
        assert_eq!(trimmed("a\r\n").expose(), b"a");
        assert_eq!(trimmed("a ").expose(), b"a ");
        assert_eq!(trimmed("a\r").expose(), b"a\r");
        assert!(trimmed("\n").is_empty());
    }
}
