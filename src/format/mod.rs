//! Format 1: bytes to meaning and back, and nothing else. The only room that knows `docs/format.md`.
//!
//! No files, no clock, no environment, no terminal: a vault file is a function of its text and of keys.
//! What is wrong with a file is told as a [`Fault`], with a line; which file it is, the caller knows.

mod canonical;
mod change;
mod data_key;
mod mark;
mod member;
mod open;
mod record;
mod scan;
mod text;
mod write;

use std::collections::BTreeMap;
use std::path::Path;

pub(crate) use self::canonical::integer;
pub(crate) use self::change::{NewFile, Rotation};
pub use self::data_key::Fingerprint;
pub(crate) use self::data_key::{Expected, unhex};
pub(crate) use self::mark::Mark;
pub(crate) use self::member::{Author, Former, FormerName, Member, NewMember};
pub(crate) use self::open::{Opened, Proof};
pub(crate) use self::record::{Content, Record, RecordKind};
pub(crate) use self::scan::{CONFLICT, FILE_LIMIT, conflict_marker};
pub(crate) use self::text::environment_of;

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
#[derive(Clone)]
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

    /// Something that the user gave and no file can hold. No file is at fault.
    fn not_storable(message: String) -> Self {
        Self { line: None, kind: Kind::Failed, message, hint: None }
    }

    fn newer(line: Option<usize>) -> Self {
        Self::integrity(line, "made by a newer vault").hint("install the current version of vault")
    }

    fn earlier_key(line: Option<usize>, what: &str) -> Self {
        Self::integrity(
            line,
            format!("{what} was written under another data key, as before a rotation"),
        )
        .hint(
            "`vault resolve` merges two versions; without a merge, take one of them whole from git",
        )
    }

    #[must_use]
    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The line, from 1, where one can be named.
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
        let message = match (self.line, self.kind) {
            (Some(line), _) => format!("{}:{line}: {}", shown_path(path), self.message),
            (None, Kind::Failed) => self.message,
            (None, _) => format!("{}: {}", shown_path(path), self.message),
        };
        let damaged = (self.kind == Kind::Integrity).then(|| {
            "look at the file's last changes in git, and take an earlier version back".to_owned()
        });
        Error::new(self.kind, message).hint_if(self.hint.or(damaged))
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::crypto::keys::Identity;
    use crate::crypto::plugin::{PluginAccess, Silent};
    use crate::secret::Secret;

    fn plugins() -> PluginAccess {
        PluginAccess { allowed: Vec::new(), interaction: Arc::new(Silent) }
    }

    pub(super) fn name<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
        text.parse().unwrap()
    }

    /// Alice's file with bob as a member and carol as a former one.
    pub(super) fn made() -> (VaultFile, Opened, Identity, Identity) {
        let (alice, bob) = (Identity::generate(), Identity::generate());
        let key = |identity: &Identity| identity.public_key().unwrap();
        let member =
            |identity: &Identity| NewMember { key: key(identity), locked: None, issued_by: None };
        let me: MemberName = name("alice");
        let new = NewFile {
            environment: name("staging"),
            made: 1000,
            members: BTreeMap::from([(me.clone(), member(&alice)), (name("bob"), member(&bob))]),
            former: BTreeMap::from([(
                FormerName::new(&name("carol"), 900),
                key(&Identity::generate()),
            )]),
            author: Author { name: &me, identity: &alice, key: &key(&alice) },
        };
        let (file, opened) = VaultFile::create(new, &plugins()).unwrap();
        (file, opened, alice, bob)
    }

    fn parse(text: &str) -> Result<VaultFile, Fault> {
        VaultFile::parse(text.as_bytes(), &name("staging"))
    }

    #[test]
    fn what_is_written_is_read_back_and_opens_for_every_member() {
        let (mut file, opened, alice, bob) = made();
        let variable: VarName = name("A");
        let value = Secret::from("value".to_owned());
        let record = opened.write(&variable, RecordKind::Variable, 1000, "note", &value).unwrap();
        file.secrets.insert(variable.clone(), record);
        file.requests.insert(name("dave"), Identity::generate().public_key().unwrap());
        let text = file.to_text().unwrap();
        let read = parse(&text).unwrap();
        assert_eq!(read.to_text().unwrap(), text, "the same content gives the same bytes");
        assert!(read.comments.is_empty() && read.odd_requests.is_empty());
        for (identity, who) in [(alice, "alice"), (bob, "bob")] {
            let opened = read.open(&[Identity::generate(), identity]).unwrap();
            assert_eq!(opened.me().as_str(), who);
            let content = opened.read(&variable, &read.secrets[&variable]).unwrap();
            assert_eq!((content.note.as_str(), content.value.expose()), ("note", &b"value"[..]));
        }
        let stranger = read.open(&[Identity::generate()]).err().unwrap();
        assert_eq!(stranger.kind, Kind::NoAccess);
    }

    #[test]
    fn both_sides_of_a_proof_compute_the_same_and_a_stranger_does_not() {
        let (file, opened, alice, bob) = made();
        let binding = member::Binding::of(&file, opened.keys());
        let (by, mine) = (&file.members["alice"].key, &file.members["bob"]);
        let tag = |identity: &Identity, other| {
            let key = binding.proof_key(identity, by, &mine.key, other).unwrap();
            crate::crypto::MacKey::new(&key).tag(&binding.proof_parts())
        };
        assert_eq!(mine.proof, Some(tag(&alice, &mine.key)));
        assert_eq!(mine.proof, Some(tag(&bob, by)));
        assert_ne!(mine.proof, Some(tag(&Identity::generate(), by)));
    }

    #[test]
    fn a_proof_holds_beside_the_ledger_that_it_was_made_for_and_beside_no_other() {
        let (file, _, alice, bob) = made();
        let by = alice.public_key().unwrap();
        let opened = file.open(&[bob]).unwrap();
        assert_eq!(opened.proof(&file, &by), Proof::Holds);
        let stranger = Identity::generate().public_key().unwrap();
        assert_eq!(opened.proof(&file, &stranger), Proof::Fails);
        let with = |former| VaultFile { former, ..file.clone() };
        assert_eq!(opened.proof(&with(BTreeMap::new()), &by), Proof::Fails);
        let (entry, carol) = file.former.first_key_value().unwrap();
        let other_key = Former { key: stranger, ..carol.clone() };
        let mut former = BTreeMap::from([(entry.clone(), other_key.clone())]);
        assert_eq!(opened.proof(&with(former.clone()), &by), Proof::Fails);
        former = BTreeMap::from([(FormerName::new(entry.member(), 899), carol.clone())]);
        assert_eq!(opened.proof(&with(former.clone()), &by), Proof::Fails);
        former = file.former.clone();
        former.insert(FormerName::new(&name("dave"), 900), other_key);
        assert_eq!(opened.proof(&with(former), &by), Proof::Fails);
    }

    #[test]
    fn comments_that_would_be_lost_are_known_by_their_lines() {
        let (file, ..) = made();
        let text = file.to_text().unwrap();
        let commented = text.replace("\n[members.bob]", "\n# why bob is here\n[members.bob] # see");
        let read = parse(&commented).unwrap();
        assert_eq!(read.comments.len(), 2);
        assert_eq!(read.to_text().unwrap(), text);
    }

    /// A canonical text with a value, a request and a long name.
    fn canonical_text() -> String {
        let (mut file, opened, ..) = made();
        for name in ["A", "A_VERY_LONG_NAME_OF_A_VARIABLE"].map(name::<VarName>) {
            let value = Secret::from("value".to_owned());
            let record = opened.write(&name, RecordKind::Variable, 1000, "note", &value).unwrap();
            file.secrets.insert(name, record);
        }
        file.requests.insert(name("dave"), Identity::generate().public_key().unwrap());
        file.to_text().unwrap()
    }

    #[test]
    fn what_our_writer_writes_is_read_without_a_toml_reader() {
        let text = canonical_text();
        assert!(canonical::read(&text, &name("staging")).is_some());
        // Each of these is TOML, and most are a vault file: the long way judges them.
        for (old, new) in [
            ("# Encrypted", "#  Encrypted"),
            ("vault = 1", "vault =  1"),
            ("made = 1000", "made = 0x3e8"),
            ("made = 1000", "made = 1_000"),
            ("[members.alice]", "[ members.alice]"),
            ("[secrets.A]", "[secrets.\"A\"]"),
            ("[secrets.A]\n", "[secrets.A] # why\n"),
            ("[secrets.A]", "[secrets.A_VERY_LONG_NAME_OF_A_VARIABLE]"),
            ("[requests.dave]\n", "[requests.dave]\nnote = \"x\"\n"),
            ("by = \"alice\"", "by = \"alice\"\nby = \"alice\""),
            ("by = \"alice\"", "by = \"\\u0061lice\""),
            ("by = \"alice\"\n", "by = \"alice\"\r\n"),
            ("by = \"alice\"\n", "by = \"alice\"\n\n"),
            ("by = \"alice\"", "by = 'alice'"),
        ] {
            let other = text.replacen(old, new, 1);
            assert_ne!(other, text, "{old}");
            assert!(canonical::read(&other, &name("staging")).is_none(), "{new}");
        }
        assert!(canonical::read(text.trim_end(), &name("staging")).is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn both_readers_make_the_same_of_a_file_in_which_lines_and_bytes_were_changed(
            edits in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..6_u8), 0..4),
            byte in prop::sample::select(b"\"'\\=[].# \n\r\t\0azAZ09_-+".to_vec()),
        ) {
            static TEXT: std::sync::LazyLock<String> = std::sync::LazyLock::new(canonical_text);
            let mut lines: Vec<String> = TEXT.lines().map(str::to_owned).collect();
            for (at, to, what) in edits {
                let (at, to) = (at.index(lines.len()), to.index(lines.len()));
                match what {
                    0 => lines.swap(at, to),
                    1 => { let line = lines[at].clone(); lines.insert(to, line) }
                    2 if lines.len() > 1 => drop(lines.remove(at)),
                    _ => {
                        let at_byte = to % (lines[at].len() + 1);
                        if lines[at].is_char_boundary(at_byte) {
                            let rest = lines[at].split_off(at_byte);
                            lines[at].push(char::from(byte));
                            lines[at].push_str(rest.get(usize::from(what == 3)..).unwrap_or_default());
                        }
                    }
                }
            }
            let text = format!("{}\n", lines.join("\n"));
            crate::fuzz::vault_file(text.as_bytes());
        }
    }

    proptest! {
        #[test]
        fn a_file_with_something_changed_never_panics(at: prop::sample::Index, byte: u8, cut: bool) {
            let (file, _, alice, _) = made();
            let mut text = file.to_text().unwrap().into_bytes();
            let at = at.index(text.len());
            if cut { text.truncate(at) } else { text[at] = byte }
            if let Ok(read) = VaultFile::parse(&text, &name("staging")) {
                drop(read.open(&[alice]));
            }
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "(vault = 1\n)?([a-z.\"= \\[\\]{}#\n']{0,20}){0,20}") {
            drop(parse(&text));
        }
    }
}
