//! One value: seal, open, padding, changed, note (format.md, Record).

use smallvec::SmallVec;
use zeroize::Zeroizing;

use super::data_key::{KEY_ID_LEN, Keys};
use super::{Fault, TIME_LIMIT, lp};
use crate::crypto;
use crate::secret::Secret;
use crate::vars::VARIABLE_LIMIT;
use crate::vars::name::VarName;

const NONCE_LEN: usize = 24;
const TAG_LEN: usize = 16;
/// key-id, kind, changed and nonce stand before the ciphertext.
const HEAD_LEN: usize = KEY_ID_LEN + 1 + 8 + NONCE_LEN;
/// The plaintext is padded to a multiple of this.
const BLOCK: usize = 64;

/// A file secret, in bytes.
pub(crate) const FILE_LIMIT: usize = 1 << 20;
/// A note, in bytes.
pub(crate) const NOTE_LIMIT: usize = 16 << 10;

/// What the child gets of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordKind {
    /// The value itself, as an environment variable.
    Variable,
    /// The path of a file that holds the value.
    File,
}

impl RecordKind {
    fn byte(self) -> u8 {
        match self {
            Self::Variable => 0,
            Self::File => 1,
        }
    }
}

/// An encrypted value. What needs no key has been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    kind: RecordKind,
    changed: u64,
    bytes: Vec<u8>,
    line: usize,
}

/// What a record holds.
pub(crate) struct Content {
    /// The comment lines above the variable in the editor.
    pub(crate) note: Zeroizing<String>,
    /// The exact bytes.
    pub(crate) value: Secret,
}

impl Record {
    /// Takes the decoded bytes of `value` on line `line`.
    pub(crate) fn parse(bytes: Vec<u8>, line: usize) -> Result<Self, Fault> {
        let fault = |message: &str| Fault::integrity(Some(line), message);
        let cipher = bytes.len().checked_sub(HEAD_LEN + TAG_LEN);
        if !cipher.is_some_and(|len| len > 0 && len % BLOCK == 0) {
            return Err(fault("the value is damaged: its length is no possible one"));
        }
        let kind = match bytes.get(KEY_ID_LEN) {
            Some(0) => RecordKind::Variable,
            Some(1) => RecordKind::File,
            _ => return Err(Fault::newer(Some(line))),
        };
        let changed = array(&bytes, KEY_ID_LEN + 1).map_or(TIME_LIMIT, u64::from_le_bytes);
        if changed >= TIME_LIMIT {
            return Err(fault("the value is damaged: its time of change is no possible one"));
        }
        Ok(Self { kind, changed, bytes, line })
    }

    /// Encrypts a value under a random nonce.
    ///
    /// # Errors
    ///
    /// The note or the value is over its limit, or a variable holds a NUL byte.
    pub(crate) fn seal(
        keys: &Keys,
        name: &VarName,
        kind: RecordKind,
        changed: u64,
        note: &str,
        value: &[u8],
    ) -> Result<Self, Fault> {
        if let Some(message) = refusal(name, kind, note.as_bytes(), value) {
            return Err(Fault::not_storable(format!("{name}: {message}")));
        }
        let too_long = || Fault::not_storable(format!("{name}: the value is too long"));
        let mut plain = Zeroizing::new(Vec::with_capacity(note.len() + value.len() + 8 + BLOCK));
        for part in [note.as_bytes(), value] {
            plain.extend(u32::try_from(part.len()).map_err(|_| too_long())?.to_le_bytes());
            plain.extend(part);
        }
        let padded = plain.len().next_multiple_of(BLOCK);
        plain.resize(padded, 0);

        let nonce: [u8; NONCE_LEN] = crypto::random();
        let associated = associated(kind, changed, name);
        let cipher =
            crypto::encrypt(&keys.values, &nonce, &associated, &plain).ok_or_else(too_long)?;
        let mut bytes = Vec::with_capacity(HEAD_LEN + cipher.len());
        bytes.extend(keys.key_id);
        bytes.push(kind.byte());
        bytes.extend(changed.to_le_bytes());
        bytes.extend(nonce);
        bytes.extend(cipher);
        Ok(Self { kind, changed, bytes, line: 0 })
    }

    /// Decrypts the value that stands under `name`.
    pub(crate) fn open(&self, keys: &Keys, name: &VarName) -> Result<Content, Fault> {
        self.clone().into_content(keys, name)
    }

    /// As [`Record::open`], where the record isn't needed afterwards: its bytes become the value's.
    pub(crate) fn into_content(self, keys: &Keys, name: &VarName) -> Result<Content, Fault> {
        let key_id = self.key_id();
        let Self { kind, changed, bytes, line } = self;
        let mut bytes = Zeroizing::new(bytes);
        let fault = |message: &str| Fault::integrity(Some(line), format!("{name}: {message}"));
        if key_id != keys.key_id {
            return Err(Fault::earlier_key(Some(line), &format!("the value of {name}")));
        }
        let altered = || {
            fault("the value was altered, or belongs to another name or environment").hint(
                "take the value's block back from git; where that is gone, `vault unset` the name and set a new value",
            )
        };
        let nonce = array(&bytes, HEAD_LEN - NONCE_LEN).ok_or_else(altered)?;
        let cipher = bytes.get_mut(HEAD_LEN..).ok_or_else(altered)?;
        let associated = associated(kind, changed, name);
        let plain =
            crypto::decrypt(&keys.values, &nonce, &associated, cipher).ok_or_else(altered)?;

        let malformed = || fault("the value decrypts to something that no vault writes");
        let (note, rest) = take(plain).ok_or_else(malformed)?;
        let (value, padding) = take(rest).ok_or_else(malformed)?;
        if padding.len() >= BLOCK || padding.iter().any(|byte| *byte != 0) {
            return Err(malformed());
        }
        if let Some(message) = refusal(name, kind, note, value) {
            return Err(fault(message));
        }
        let note = Zeroizing::new(std::str::from_utf8(note).map_err(|_| malformed())?.to_owned());
        // The value takes over the buffer, so that there is one copy of it, and one to wipe.
        let (length, behind) = (value.len(), padding.len() + TAG_LEN);
        let end = bytes.len() - behind;
        bytes.truncate(end);
        bytes.drain(..end - length);
        Ok(Content { note, value: Secret::wiped(bytes) })
    }

    /// What the child gets. Not authenticated until the record is opened.
    pub(crate) fn kind(&self) -> RecordKind {
        self.kind
    }

    /// When the value last changed. Not authenticated until the record is opened.
    pub(crate) fn changed(&self) -> u64 {
        self.changed
    }

    /// The line of its value in the file; 0 for one that is not in a file yet.
    pub(crate) fn line(&self) -> usize {
        self.line
    }

    /// Which data key it was made under.
    pub(crate) fn key_id(&self) -> [u8; KEY_ID_LEN] {
        array(&self.bytes, 0).unwrap_or_default()
    }

    /// The bytes, as they stand in the file in base64.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Why this can't be stored, if it can't.
fn refusal(name: &VarName, kind: RecordKind, note: &[u8], value: &[u8]) -> Option<&'static str> {
    if note.len() > NOTE_LIMIT {
        return Some("the comment above it is over 16 KiB");
    }
    match kind {
        RecordKind::Variable if value.contains(&0) => {
            Some("a variable can't hold a NUL byte: no environment can")
        }
        RecordKind::Variable if name.as_str().len() + 1 + value.len() > VARIABLE_LIMIT => {
            Some("`NAME=value` is over 131,071 bytes, the most that Linux lets a variable have")
        }
        RecordKind::File if value.len() > FILE_LIMIT => Some("a file secret is at most 1 MiB"),
        _ => None,
    }
}

/// What a value is bound to. It is made for each of them, so mostly on the stack.
fn associated(kind: RecordKind, changed: u64, name: &VarName) -> SmallVec<[u8; 128]> {
    let name = name.as_str().as_bytes();
    let mut parts = SmallVec::new();
    parts.push(kind.byte());
    parts.extend_from_slice(&changed.to_le_bytes());
    parts.extend_from_slice(&lp(name));
    parts.extend_from_slice(name);
    parts
}

/// The part behind a u32 length, and what follows it.
fn take(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_at_checked(4)?;
    let len = u32::from_le_bytes(len.try_into().ok()?);
    rest.split_at_checked(usize::try_from(len).ok()?)
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::format::data_key::DataKey;

    fn keys() -> Keys {
        Keys::derive(&DataKey::generate(), &[7; 16], &"staging".parse().unwrap(), 1)
    }

    fn name(text: &str) -> VarName {
        text.parse().unwrap()
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_and_shows_only_its_length_class(
            note in ".{0,80}", value in prop::collection::vec(1_u8.., 0..300), file: bool, changed in 0..TIME_LIMIT,
        ) {
            let (keys, name) = (keys(), name("A"));
            let kind = if file { RecordKind::File } else { RecordKind::Variable };
            let sealed = Record::seal(&keys, &name, kind, changed, &note, &value).unwrap();
            prop_assert_eq!(sealed.bytes().len(), 53 + (8 + note.len() + value.len()).next_multiple_of(64));
            let read = Record::parse(sealed.bytes().to_vec(), 3).unwrap();
            prop_assert_eq!((read.kind(), read.changed(), read.line), (kind, changed, 3));
            let content = read.open(&keys, &name).unwrap();
            prop_assert_eq!((content.note.as_str(), content.value.expose()), (note.as_str(), &value[..]));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            if let Ok(record) = Record::parse(bytes, 1) {
                prop_assert!(record.open(&keys(), &name("A")).is_err());
            }
        }
    }

    #[test]
    fn a_variable_is_as_long_as_the_kernel_takes_and_no_longer() {
        let (keys, name) = (keys(), name("AB"));
        let seal = |len| Record::seal(&keys, &name, RecordKind::Variable, 1, "", &vec![b'x'; len]);
        assert!(seal(131_068).is_ok());
        assert!(seal(131_069).is_err());
        let file = |len| Record::seal(&keys, &name, RecordKind::File, 1, "", &vec![0; len]);
        assert!(file(FILE_LIMIT).is_ok() && file(FILE_LIMIT + 1).is_err());
        assert!(Record::seal(&keys, &name, RecordKind::Variable, 1, "", b"a\0b").is_err());
        assert!(
            Record::seal(&keys, &name, RecordKind::Variable, 1, &"n".repeat(NOTE_LIMIT + 1), b"")
                .is_err()
        );
    }

    #[test]
    fn plaintexts_that_no_writer_makes_are_refused() {
        let (keys, name) = (keys(), name("A"));
        let with = |plain: &[u8]| {
            let nonce = crypto::random();
            let associated = associated(RecordKind::Variable, 5, &name);
            let cipher = crypto::encrypt(&keys.values, &nonce, &associated, plain).unwrap();
            let bytes = [&keys.key_id[..], &[0], &5_u64.to_le_bytes(), &nonce, &cipher].concat();
            Record::parse(bytes, 1).unwrap().open(&keys, &name).is_ok()
        };
        let mut plain = [0; 64];
        assert!(with(&plain));
        plain[63] = 1;
        assert!(!with(&plain), "padding that isn't zero");
        assert!(!with(&[0; 128]), "a block of padding too many");
        plain = [0; 64];
        plain[0] = 61;
        assert!(!with(&plain), "a note that leaves no room for the value's length");
        plain[0] = 1;
        plain[4] = 0xff;
        assert!(!with(&plain), "a note that isn't UTF-8");
        plain = [0; 64];
        plain[7] = 0xff;
        assert!(!with(&plain), "a value longer than the plaintext");
    }
}
