//! From text to a [`VaultFile`]: every refusal of format.md that needs no key, each with its line.
//!
//! What our own writer has written takes the short way of [`canonical`]; here is every other text, and what
//! a field has to look like, for both.
//!
//! The TOML reader's own messages quote the source, and so names and values; they are never shown. Every
//! table is walked by hand, so that an unknown field, a wrong type or a duplicate is refused in our words.

use std::collections::BTreeMap;
use std::str::FromStr;

use base64_simd::AsOut as _;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::member::{BLOCK_LIMIT, STANZAS_LIMIT, VOUCH_LEN, stanzas};
use super::scan::{Lines, scan};
use super::{Fault, Former, FormerName, Member, Record, TIME_LIMIT, VaultFile, canonical, write};
use crate::crypto::keys::PublicKey;
use crate::vars::name::{EnvName, MemberName, shown};

/// A name in the file and where it stands.
pub(super) type Key<'a> = (&'a str, usize);
type Value<'a> = Spanned<DeValue<'a>>;

/// What a field of bytes has to be (RFC 4648, section 4).
const BASE64: &str = "base64 with padding";

impl VaultFile {
    /// Reads the text of the file that is named after `environment`.
    pub(crate) fn parse(bytes: &[u8], environment: &EnvName) -> Result<Self, Fault> {
        let canonical =
            std::str::from_utf8(bytes).ok().and_then(|text| canonical::read(text, environment));
        canonical.map_or_else(|| Self::parse_toml(bytes, environment), Ok)
    }

    /// As [`VaultFile::parse`], for every text that TOML allows.
    pub(crate) fn parse_toml(bytes: &[u8], environment: &EnvName) -> Result<Self, Fault> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let line = before.split(|byte| *byte == b'\n').count();
            Fault::integrity(Some(line), "the file is not UTF-8 text")
        })?;
        if text.starts_with('\u{feff}') {
            return Err(Fault::integrity(Some(1), "the file begins with a byte order mark")
                .hint("save it as UTF-8 without one"));
        }
        let lines = scan(text)?;
        let document = DeTable::parse(text).map_err(|error| {
            let line = error.span().map(|span| lines.of(span.start));
            let twice = error.message().contains("duplicate");
            Fault::integrity(
                line,
                if twice { "a name stands here for the second time" } else { "this is not TOML" },
            )
        })?;
        let reader = Reader { lines };
        let mut file = reader.file(document.get_ref(), environment)?;
        file.comments = write::comments(text, environment);
        Ok(file)
    }
}

/// The environment that a text says it is, if it says so as our own writer does.
pub(crate) fn environment_of(text: &[u8]) -> Option<EnvName> {
    let mut lines = text.split(|byte| *byte == b'\n');
    let line = lines.find_map(|line| line.strip_prefix(b"environment = \""))?;
    let name = line.split(|byte| *byte == b'"').next()?;
    std::str::from_utf8(name).ok()?.parse().ok()
}

struct Reader {
    lines: Lines,
}

/// The fields of a file while they are being gathered.
#[derive(Default)]
struct Top {
    environment: Option<EnvName>,
    id: Option<[u8; 16]>,
    made: Option<u64>,
}

/// The fields of a table while they are being gathered.
pub(super) trait Fields: Default {
    /// What the table is.
    type Whole;

    /// All that there are, in the order in which they are written.
    const ORDER: &[&str];

    /// Takes a field. `text` is None where its value is no string.
    fn take(&mut self, field: Key<'_>, text: Option<&str>) -> Result<(), Fault>;

    /// All of them, of the table with this name.
    fn whole(self, name: Key<'_>) -> Result<Self::Whole, Fault>;
}

/// Those of a member.
#[derive(Default)]
pub(super) struct MemberFields {
    key: Option<PublicKey>,
    locked: Option<Vec<u8>>,
    sealed: Option<Vec<u8>>,
    by: Option<MemberName>,
    issued_by: Option<MemberName>,
    proof: Option<[u8; 32]>,
    vouch: Option<[u8; VOUCH_LEN]>,
}

impl Fields for MemberFields {
    type Whole = Member;

    const ORDER: &[&str] = &["key", "locked", "sealed", "by", "issued_by", "proof", "vouch"];

    fn take(&mut self, field: Key<'_>, text: Option<&str>) -> Result<(), Fault> {
        match field.0 {
            "key" => self.key = Some(public_key(field, text)?),
            "locked" => self.locked = Some(block(field, text)?),
            "sealed" => self.sealed = Some(block(field, text)?),
            "by" => self.by = Some(parsed(field, text, "a member name")?),
            "issued_by" => self.issued_by = Some(parsed(field, text, "a member name")?),
            "proof" => self.proof = Some(bytes_of(field, text)?),
            "vouch" => self.vouch = Some(bytes_of(field, text)?),
            _ => return Err(unknown(field)),
        }
        Ok(())
    }

    fn whole(self, name: Key<'_>) -> Result<Member, Fault> {
        Ok(Member {
            key: self.key.ok_or_else(|| missing(name, "key"))?,
            locked: self.locked,
            sealed: self.sealed.ok_or_else(|| missing(name, "sealed"))?,
            by: self.by.ok_or_else(|| missing(name, "by"))?,
            issued_by: self.issued_by,
            proof: self.proof,
            vouch: self.vouch.ok_or_else(|| missing(name, "vouch"))?,
            line: name.1,
        })
    }
}

/// Those of a former member.
#[derive(Default)]
pub(super) struct FormerFields {
    key: Option<PublicKey>,
    vouch: Option<[u8; VOUCH_LEN]>,
}

impl Fields for FormerFields {
    type Whole = Former;

    const ORDER: &[&str] = &["key", "vouch"];

    fn take(&mut self, field: Key<'_>, text: Option<&str>) -> Result<(), Fault> {
        match field.0 {
            "key" => self.key = Some(public_key(field, text)?),
            "vouch" => self.vouch = Some(bytes_of(field, text)?),
            _ => return Err(unknown(field)),
        }
        Ok(())
    }

    fn whole(self, name: Key<'_>) -> Result<Former, Fault> {
        Ok(Former {
            key: self.key.ok_or_else(|| missing(name, "key"))?,
            vouch: self.vouch.ok_or_else(|| missing(name, "vouch"))?,
            line: name.1,
        })
    }
}

/// The one of a value.
#[derive(Default)]
pub(super) struct SecretFields {
    value: Option<Vec<u8>>,
}

impl Fields for SecretFields {
    type Whole = Record;

    const ORDER: &[&str] = &["value"];

    fn take(&mut self, field: Key<'_>, text: Option<&str>) -> Result<(), Fault> {
        match field.0 {
            "value" => self.value = Some(base64(field, text)?),
            _ => return Err(unknown(field)),
        }
        Ok(())
    }

    fn whole(self, name: Key<'_>) -> Result<Record, Fault> {
        Record::parse(self.value.ok_or_else(|| missing(name, "value"))?, name.1)
    }
}

impl Reader {
    fn file(&self, document: &DeTable<'_>, environment: &EnvName) -> Result<VaultFile, Fault> {
        self.version(document)?;
        let mut top = Top::default();
        let (mut members, mut former, mut secrets) =
            (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let (mut requests, mut odd_requests) = (BTreeMap::new(), Vec::new());
        for (field, value) in document {
            let (key, text) = (self.key(field), value.get_ref().as_str());
            match key.0 {
                "vault" => {}
                "environment" => top.environment = Some(own_name(key, text, environment)?),
                "id" => top.id = Some(bytes_of(key, text)?),
                "made" => top.made = Some(time(key, value)?),
                "members" => members = self.tables::<MemberFields, _>(key, value, name)?,
                "former" => former = self.tables::<FormerFields, _>(key, value, former_name)?,
                "secrets" => secrets = self.tables::<SecretFields, _>(key, value, name)?,
                "requests" => (requests, odd_requests) = self.requests(value),
                _ => return Err(unknown(key)),
            }
        }
        let missing =
            |field: &str| Fault::integrity(None, format!("the field `{field}` is missing"));
        let file = VaultFile {
            environment: top.environment.ok_or_else(|| missing("environment"))?,
            id: top.id.ok_or_else(|| missing("id"))?,
            made: top.made.ok_or_else(|| missing("made"))?,
            members,
            former,
            requests,
            odd_requests,
            secrets,
            comments: Vec::new(),
        };
        across(&file)?;
        Ok(file)
    }

    /// `vault` is judged before anything else, so that a newer file is told as such whatever it holds.
    fn version(&self, document: &DeTable<'_>) -> Result<(), Fault> {
        let not_ours = |line| {
            Fault::integrity(line, "not a vault file: `vault = 1` is missing").hint(
                "take the file back from git, or move it away and make a new one with `vault init`",
            )
        };
        let Some((name, value)) = document.iter().find(|(name, _)| name.get_ref() == "vault")
        else {
            return Err(not_ours(None));
        };
        let line = Some(self.key(name).1);
        match integer(value) {
            Some(1) => Ok(()),
            Some(version) if version > 1 => Err(Fault::newer(line)),
            // Too large for any number of ours, and so above 1.
            None if value
                .get_ref()
                .as_integer()
                .is_some_and(|big| !big.as_str().starts_with('-')) =>
            {
                Err(Fault::newer(line))
            }
            _ => Err(not_ours(line)),
        }
    }

    /// Requests carry no authority and never stop a read: what isn't one is only named.
    fn requests(&self, value: &Value<'_>) -> (BTreeMap<MemberName, PublicKey>, Vec<String>) {
        let (mut good, mut odd) = (BTreeMap::new(), Vec::new());
        let Some(table) = value.get_ref().as_table() else {
            return (good, vec!["requests".to_owned()]);
        };
        for (name, request) in table {
            let (name, _) = self.key(name);
            match (name.parse::<MemberName>(), only_key(request.get_ref())) {
                (Ok(name), Some(key)) => drop(good.insert(name, key)),
                _ => odd.push(name.to_owned()),
            }
        }
        (good, odd)
    }

    /// The tables `[what.NAME]` of one kind.
    fn tables<F: Fields, K: Ord>(
        &self,
        what: Key<'_>,
        value: &Value<'_>,
        name: impl Fn(Key<'_>) -> Result<K, Fault>,
    ) -> Result<BTreeMap<K, F::Whole>, Fault> {
        let entries = table(what, value)?.iter().map(|(key, inner)| {
            let key = self.key(key);
            let (name, mut fields) = (name(key)?, F::default());
            for (field, value) in table(key, inner)? {
                fields.take(self.key(field), value.get_ref().as_str())?;
            }
            Ok((name, fields.whole(key)?))
        });
        entries.collect()
    }

    fn key<'k>(&self, name: &'k Spanned<toml::de::DeString<'_>>) -> Key<'k> {
        (name.get_ref(), self.lines.of(name.span().start))
    }
}

pub(super) fn own_name(
    key: Key<'_>,
    text: Option<&str>,
    expected: &EnvName,
) -> Result<EnvName, Fault> {
    let name: EnvName = parsed(key, text, "an environment name")?;
    if name != *expected {
        let message = format!("this file says that it is the environment {name}, not {expected}");
        return Err(Fault::integrity(Some(key.1), message)
            .hint(format!("put it back under its own name, `{name}.toml`")));
    }
    Ok(name)
}

pub(super) fn name<T: FromStr<Err: std::fmt::Display>>(key: Key<'_>) -> Result<T, Fault> {
    key.0.parse().map_err(|rule: T::Err| {
        Fault::integrity(
            Some(key.1),
            format!("`{}` is no possible name here: {rule}", shown(key.0)),
        )
    })
}

pub(super) fn former_name(key: Key<'_>) -> Result<FormerName, Fault> {
    key.0.parse().map_err(|message: &str| Fault::integrity(Some(key.1), message))
}

fn table<'v, 'd>(key: Key<'_>, value: &'v Value<'d>) -> Result<&'v DeTable<'d>, Fault> {
    let table = value.get_ref().as_table().ok_or_else(|| wrong(key, "a table"))?;
    if table.is_empty() {
        return Err(Fault::integrity(
            Some(key.1),
            format!("the table `{}` is empty", shown(key.0)),
        ));
    }
    Ok(table)
}

fn not_empty<'t>(key: Key<'_>, text: Option<&'t str>, what: &str) -> Result<&'t str, Fault> {
    text.filter(|text| !text.is_empty()).ok_or_else(|| wrong(key, what))
}

fn parsed<T: FromStr>(key: Key<'_>, text: Option<&str>, what: &str) -> Result<T, Fault> {
    not_empty(key, text, what)?.parse().map_err(|_| wrong(key, what))
}

fn public_key(key: Key<'_>, text: Option<&str>) -> Result<PublicKey, Fault> {
    parsed(key, text, "a public key: `age1…`, `ssh-ed25519 …` or `ssh-rsa …` without a comment")
}

fn time(key: Key<'_>, value: &Value<'_>) -> Result<u64, Fault> {
    let time = integer(value).and_then(|time| u64::try_from(time).ok());
    time.filter(|time| *time < TIME_LIMIT)
        .ok_or_else(|| wrong(key, "a time in seconds, below 2^40"))
}

fn base64(key: Key<'_>, text: Option<&str>) -> Result<Vec<u8>, Fault> {
    let text = not_empty(key, text, BASE64)?;
    base64_simd::STANDARD.decode_to_vec(text).map_err(|_| wrong(key, BASE64))
}

pub(super) fn bytes_of<const N: usize>(key: Key<'_>, text: Option<&str>) -> Result<[u8; N], Fault> {
    let mut bytes = [0; N];
    let into = bytes.as_mut_slice().as_out();
    let written = text.unwrap_or_default().as_bytes();
    let fits = base64_simd::STANDARD.decoded_length(written).is_ok_and(|length| length == N);
    if fits && base64_simd::STANDARD.decode(written, into).is_ok() {
        return Ok(bytes);
    }
    // Of what is wrong, that it isn't base64 at all is told first.
    base64(key, text)?;
    Err(wrong(key, &format!("base64 of {N} bytes")))
}

fn block(key: Key<'_>, text: Option<&str>) -> Result<Vec<u8>, Fault> {
    let bytes = base64(key, text)?;
    if bytes.len() > BLOCK_LIMIT {
        return Err(Fault::integrity(Some(key.1), format!("`{}` is over 64 KiB", shown(key.0))));
    }
    if stanzas(&bytes) > STANZAS_LIMIT {
        let message =
            format!("`{}` has over {STANZAS_LIMIT} stanzas in its age header", shown(key.0));
        return Err(Fault::integrity(Some(key.1), message));
    }
    Ok(bytes)
}

fn unknown(key: Key<'_>) -> Fault {
    Fault::integrity(Some(key.1), format!("unknown field `{}`", shown(key.0)))
}

/// The rules between tables.
pub(super) fn across(file: &VaultFile) -> Result<(), Fault> {
    if file.members.is_empty() {
        return Err(Fault::integrity(None, "no member at all: nobody can open this file"));
    }
    // Many in a row have been granted by the same member.
    let mut there = None;
    for (name, member) in &file.members {
        if there == Some(&member.by) {
            continue;
        }
        there = file.members.get_key_value(&member.by).map(|(by, _)| by);
        if there.is_none() {
            let message = format!("member {name}: `by` names {}, who is no member", member.by);
            return Err(Fault::integrity(Some(member.line), message));
        }
    }
    for (name, former) in &file.former {
        if name.removed() > file.made {
            let message =
                format!("the former member {name} was removed after this file's key was made");
            return Err(Fault::integrity(Some(former.line), message));
        }
    }
    Ok(())
}

fn integer(value: &Value<'_>) -> Option<i64> {
    let integer = value.get_ref().as_integer()?;
    i64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

fn only_key(request: &DeValue<'_>) -> Option<PublicKey> {
    let table = request.as_table().filter(|table| table.len() == 1)?;
    table.get("key")?.get_ref().as_str()?.parse().ok()
}

fn wrong(key: Key<'_>, what: &str) -> Fault {
    Fault::integrity(Some(key.1), format!("`{}` is not {what}", shown(key.0)))
}

fn missing(key: Key<'_>, field: &str) -> Fault {
    Fault::integrity(Some(key.1), format!("`{}` has no field `{field}`", shown(key.0)))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]
        /// One spelling for each sequence of bytes, as the writer has it (format.md, Fields).
        #[test]
        fn base64_is_read_as_strictly_as_by_the_library_that_writes_it(
            bytes in prop::collection::vec(any::<u8>(), 0..80),
            edit in prop::option::of((any::<prop::sample::Index>(), "[A-Za-z0-9+/=_ \n-]{0,2}", 0..3_usize)),
        ) {
            let mut text = STANDARD.encode(bytes);
            if let Some((at, new, old)) = edit {
                let at = at.index(text.len() + 1);
                text.replace_range(at..(at + old).min(text.len()), &new);
            }
            let read = base64_simd::STANDARD.decode_to_vec(&text).ok();
            prop_assert_eq!(read, STANDARD.decode(&text).ok(), "{}", text);
        }
    }
}
