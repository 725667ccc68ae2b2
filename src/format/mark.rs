//! What a machine keeps of members whom it has checked, so that a run need not check them again (format.md, Trust
//! across versions of a file).

use std::fmt;
use std::str::FromStr;

use super::data_key::{Fingerprint, Keys, unhex};
use super::member::read_seal;
use super::{Opened, VaultFile, canonical, lp};
use crate::crypto::MacKey;
use crate::crypto::keys::Identity;
use crate::vars::hex;
use crate::vars::name::EnvName;

/// A tag over the text before requests and values. As with a vouch, only who has the data key can make it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark([u8; 32]);

impl VaultFile {
    /// The mark of this file's members and ledger, of which every vouch was found good.
    pub(crate) fn mark(&self, opened: &Opened) -> Mark {
        over(self.head().as_bytes(), |parts| Mark(MacKey::new(&opened.keys.vouch).tag(parts)))
    }

    /// Opens a text whose members this machine has checked before: `kept` gives the mark that it keeps for an id and
    /// a data key. Of the members only the one who opens it is in the file then.
    ///
    /// None for every text that isn't in our writer's form, or has other members, or that the first of `identities` who
    /// is a member can't open: why, is found out by reading all of it. None too where a plugin would be asked, which
    /// then would be asked twice.
    pub(crate) fn open_marked(
        bytes: &[u8],
        environment: &EnvName,
        identities: &[Identity],
        kept: impl FnOnce(&[u8; 16], &Fingerprint) -> Option<Mark>,
    ) -> Option<(Self, Opened)> {
        if identities.iter().any(|identity| identity.plugin().is_some()) {
            return None;
        }
        let text = std::str::from_utf8(bytes).ok()?;
        let (identity, file, head) = identities.iter().find_map(|identity| {
            let key = identity.said_public_key().cloned().or_else(|| identity.public_key())?;
            let (file, head) = canonical::read_own(text, environment, &key)?;
            Some((identity, file, head))
        })?;
        let (me, mine) = file.members.first_key_value()?;
        let seal = identity.unseal(&mine.sealed).ok()?;
        let data_key = read_seal(&seal, &file, mine.line, me).ok()?;
        let keys = Keys::derive(&data_key, &file.id, &file.environment, file.made);
        let mark = kept(&file.id, &keys.fingerprint)?;
        let is_same =
            over(head.as_bytes(), |parts| MacKey::new(&keys.vouch).matches(parts, &mark.0));
        let opened = Opened { keys, data_key, identity: identity.clone(), me: me.clone() };
        is_same.then_some((file, opened))
    }
}

/// What a mark is a tag over. No vouch begins so.
fn over<T>(head: &[u8], tag: impl FnOnce(&[&[u8]]) -> T) -> T {
    const WHAT: &[u8] = b"head";
    // What another version of this program has checked counts for nothing: it may have checked less.
    const VERSION: &[u8] = env!("CARGO_PKG_VERSION").as_bytes();
    tag(&[&lp(WHAT), WHAT, &lp(VERSION), VERSION, head])
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl FromStr for Mark {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let bytes = unhex(text).and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or("a mark is 64 hexadecimal digits")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::super::tests::{made, name};
    use super::super::{Record, RecordKind};
    use super::*;
    use crate::secret::Secret;
    use crate::vars::name::VarName;

    /// A text of three values, the mark of its members, and the private key of one.
    static MARKED: LazyLock<(String, Mark, Identity)> = LazyLock::new(|| {
        let (mut file, opened, _, bob) = made();
        file.secrets = ["A", "B", "C"].map(|name| value(&opened, name, "a value")).into();
        (file.to_text().unwrap(), file.mark(&opened), bob)
    });

    fn value(opened: &Opened, variable: &str, value: &str) -> (VarName, Record) {
        let (variable, value): (VarName, _) = (name(variable), Secret::from(value.to_owned()));
        let kind = RecordKind::Variable;
        let record = opened.write(&variable, kind, 1000, "a note", &value).unwrap();
        (variable, record)
    }

    fn open(text: &str, mark: &Mark, identity: &Identity) -> Option<(VaultFile, Opened)> {
        let identities = std::slice::from_ref(identity);
        VaultFile::open_marked(text.as_bytes(), &name("staging"), identities, |_, _| Some(*mark))
    }

    fn values(file: &VaultFile, opened: &Opened) -> Option<Vec<(VarName, Secret)>> {
        let all = file.secrets.iter();
        all.map(|(name, one)| Some((name.clone(), opened.read(name, one).ok()?.value))).collect()
    }

    #[test]
    fn a_member_reads_the_values_beside_members_that_were_checked() {
        let (text, mark, bob) = &*MARKED;
        let (file, opened) = open(text, mark, bob).unwrap();
        assert_eq!(opened.me().as_str(), "bob");
        assert_eq!(file.members.len(), 1, "the others are not looked at");
        let whole = VaultFile::parse(text.as_bytes(), &name("staging")).unwrap();
        let whole_opened = whole.open(std::slice::from_ref(bob)).unwrap();
        assert_eq!(opened.fingerprint(), whole_opened.fingerprint());
        let all = values(&file, &opened).unwrap();
        assert_eq!((all.len(), &all), (3, &values(&whole, &whole_opened).unwrap()));
        assert_eq!(whole.mark(&whole_opened), *mark);
        assert_eq!(mark.to_string().parse(), Ok(*mark));
    }

    #[test]
    fn requests_and_values_may_change_and_whatever_else_does_is_checked_again() {
        let (text, mark, bob) = &*MARKED;
        let whole = VaultFile::parse(text.as_bytes(), &name("staging")).unwrap();
        let opened = whole.open(std::slice::from_ref(bob)).unwrap();
        let is_taken = |file: &VaultFile| open(&file.to_text().unwrap(), mark, bob).is_some();

        let mut changed = whole.clone();
        changed.secrets.extend([value(&opened, "B", "another"), value(&opened, "D", "a fourth")]);
        changed.requests.insert(name("dave"), Identity::generate().public_key().unwrap());
        changed.requests.insert(name("erin"), Identity::generate().public_key().unwrap());
        assert!(is_taken(&changed));
        changed.secrets.clear();
        assert!(is_taken(&changed));

        // Every vouch of these is good.
        let mut fewer = whole.clone();
        fewer.former.clear();
        assert!(!is_taken(&fewer));
        let mut later = whole.clone();
        later.made += 1;
        assert!(!is_taken(&later));
        let mut renamed = whole.clone();
        let alice = renamed.members.remove("alice").unwrap();
        renamed.members.insert(name("alina"), alice);
        assert!(!is_taken(&renamed));
        assert!(open(text, mark, &Identity::generate()).is_none());
        let (_, of_another, _, _) = made();
        assert!(
            open(text, &whole.mark(&of_another), bob).is_none(),
            "the mark of another data key"
        );
    }

    #[test]
    fn the_mark_is_asked_for_by_the_data_key_and_without_one_nothing_opens() {
        let (text, mark, bob) = &*MARKED;
        let whole = VaultFile::parse(text.as_bytes(), &name("staging")).unwrap();
        let fingerprint = whole.open(std::slice::from_ref(bob)).unwrap().fingerprint();
        let kept = |id: &[u8; 16], key: &Fingerprint| {
            assert_eq!((id, key), (&whole.id, &fingerprint));
            None
        };
        let bob = std::slice::from_ref(bob);
        assert!(VaultFile::open_marked(text.as_bytes(), &name("staging"), bob, kept).is_none());
        let prod = name("prod");
        let other = VaultFile::open_marked(text.as_bytes(), &prod, bob, |_, _| Some(*mark));
        assert!(other.is_none(), "the file of another environment");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn what_opens_by_its_mark_opens_as_a_whole_with_the_same_values(
            tables in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..4_u8), 0..3),
            bytes in prop::collection::vec(any::<prop::sample::Index>(), 0..2),
            byte in prop::sample::select(b"\"'\\=[].# \n\r\t\0azAZ09_-+".to_vec()),
        ) {
            let (text, mark, bob) = &*MARKED;
            let mut parts: Vec<&str> = text.trim_end().split("\n\n").collect();
            for (at, to, what) in tables {
                let (at, to) = (at.index(parts.len()), to.index(parts.len()));
                match what {
                    0 => parts.swap(at, to),
                    1 => parts.insert(to, parts[at]),
                    _ => drop(parts.remove(at)),
                }
            }
            let mut changed = format!("{}\n", parts.join("\n\n"));
            for at in bytes {
                changed.insert(at.index(changed.len()), char::from(byte));
            }
            if let Some((file, opened)) = open(&changed, mark, bob)
                && let Some(values_of_it) = values(&file, &opened)
            {
                let whole = VaultFile::parse(changed.as_bytes(), &name("staging")).unwrap();
                let whole_opened = whole.open(std::slice::from_ref(bob)).unwrap();
                prop_assert_eq!(values(&whole, &whole_opened), Some(values_of_it));
                prop_assert_eq!(whole.mark(&whole_opened), *mark);
                prop_assert_eq!(opened.me(), whole_opened.me());
            }
        }
    }
}
