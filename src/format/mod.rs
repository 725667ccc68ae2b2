//! Format 1: bytes to meaning and back, and nothing else. The only room that knows `docs/format.md`.
//!
//! No files, no clock, no environment, no terminal: a vault file is a function of its text and of keys.
//! What is wrong with a file is told as a [`Fault`], with a line; which file it is, the caller knows.

mod data_key;
mod member;
mod open;
mod record;
mod scan;
mod text;
mod write;

use std::collections::BTreeMap;
use std::path::Path;

pub use self::data_key::Fingerprint;
pub(crate) use self::member::{Author, Former, FormerName, Member, NewMember};
pub(crate) use self::open::{NewFile, Opened};
pub(crate) use self::record::{Content, Record, RecordKind};
pub(crate) use self::scan::FILE_LIMIT;

use crate::crypto::keys::PublicKey;
use crate::error::{Error, Kind, shown_path};
use crate::vars::name::{EnvName, MemberName, VarName};

/// Times are below this, wherever they stand: seconds, until the year 36812.
pub(crate) const TIME_LIMIT: u64 = 1 << 40;

/// The length of `x` as a u64, little endian: `lp(x)` is this followed by x.
fn lp(x: &[u8]) -> [u8; 8] {
    // usize is at most 64 bits wide on every system that Rust has.
    u64::try_from(x.len()).unwrap_or(u64::MAX).to_le_bytes()
}

/// One environment as its file says. Nothing in it is authenticated until [`VaultFile::open`] says so.
pub(crate) struct VaultFile {
    /// The environment, equal to the file's own name.
    pub(crate) environment: EnvName,
    /// Made with the environment and never changed.
    pub(crate) id: [u8; 16],
    /// When the data key was made.
    pub(crate) made: u64,
    /// Who may open it; at least one.
    pub(crate) members: BTreeMap<MemberName, Member>,
    /// Who could, and until when: the ledger.
    pub(crate) former: BTreeMap<FormerName, Former>,
    /// Who asks to be let in. Carries no authority.
    pub(crate) requests: BTreeMap<MemberName, PublicKey>,
    /// What stands under `requests` and is no request: lost when the file is written, so it is named.
    pub(crate) odd_requests: Vec<String>,
    /// The values.
    pub(crate) secrets: BTreeMap<VarName, Record>,
    /// The lines with a comment that isn't ours: lost when the file is written, so it stops.
    pub(crate) comments: Vec<usize>,
}

/// What is wrong with a file, and where. The message never holds a value.
#[derive(Debug)]
pub(crate) struct Fault {
    line: Option<usize>,
    kind: Kind,
    message: String,
    hint: Option<String>,
}

impl Fault {
    fn integrity(line: Option<usize>, message: impl Into<String>) -> Self {
        Self { line, kind: Kind::Integrity, message: message.into(), hint: None }
    }

    fn newer(line: Option<usize>) -> Self {
        Self::integrity(line, "made by a newer vault").hint("install the current version of vault")
    }

    fn earlier_key(line: Option<usize>, what: &str) -> Self {
        Self::integrity(
            line,
            format!("{what} was written under another data key, as before a rotation"),
        )
        .hint("take one version of the file whole from git, then make the other change again")
    }

    #[must_use]
    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The line, from 1, where one can be named.
    #[cfg(test)]
    pub(crate) fn line(&self) -> Option<usize> {
        self.line
    }

    /// The sentence alone.
    #[cfg(test)]
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The same as an error about the file at `path`.
    pub(crate) fn at(self, path: &Path) -> Error {
        let place = match self.line {
            Some(line) => format!("{}:{line}", shown_path(path)),
            None => shown_path(path),
        };
        Error::new(self.kind, format!("{place}: {}", self.message)).hint_if(self.hint)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self {
            line: None,
            kind: error.kind(),
            message: error.to_string(),
            hint: error.hint_text().map(str::to_owned),
        }
    }
}

impl VaultFile {
    /// The key-id that the file's blocks say they were made under. Without a key this is all there is,
    /// and nothing proves it.
    pub(crate) fn unverified_key_id(&self) -> Option<[u8; data_key::KEY_ID_LEN]> {
        self.members.values().next().map(Member::key_id)
    }

    /// The latest time at which somebody was removed, 0 where nobody was.
    pub(crate) fn latest_removed(&self) -> u64 {
        self.former.keys().map(FormerName::removed).max().unwrap_or(0)
    }
}
