//! From text to a [`VaultFile`]: every refusal of format.md that needs no key, each with its line.
//!
//! The TOML reader's own messages quote the source, and so names and values; they are never shown. Every
//! table is walked by hand, so that an unknown field, a wrong type or a duplicate is refused in our words.

use std::collections::BTreeMap;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::member::{BLOCK_LIMIT, STANZAS_LIMIT, VOUCH_LEN, stanzas};
use super::scan::{Lines, scan};
use super::{Fault, Former, FormerName, Member, Record, TIME_LIMIT, VaultFile, write};
use crate::crypto::keys::PublicKey;
use crate::vars::name::{EnvName, MemberName, VarName, shown};

/// A name in the file and where it stands.
type Key<'a> = (&'a str, usize);
type Value<'a> = Spanned<DeValue<'a>>;

impl VaultFile {
    /// Reads the text of the file that is named after `environment`.
    pub(crate) fn parse(bytes: &[u8], environment: &EnvName) -> Result<Self, Fault> {
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

impl Reader {
    fn file(&self, document: &DeTable<'_>, environment: &EnvName) -> Result<VaultFile, Fault> {
        self.version(document)?;
        let mut top = Top::default();
        let (mut members, mut former, mut secrets) =
            (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let (mut requests, mut odd_requests) = (BTreeMap::new(), Vec::new());
        for (name, value) in document {
            let key = self.key(name);
            match key.0 {
                "vault" => {}
                "environment" => top.environment = Some(own_name(key, value, environment)?),
                "id" => top.id = Some(bytes_of(key, value)?),
                "made" => top.made = Some(time(key, value)?),
                "members" => members = self.tables(key, value, Self::member)?,
                "former" => former = self.tables(key, value, Self::former)?,
                "secrets" => secrets = self.tables(key, value, Self::secret)?,
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

    fn member(&self, key: Key<'_>, table: &DeTable<'_>) -> Result<(MemberName, Member), Fault> {
        let name = name(key)?;
        let (mut public, mut locked, mut sealed, mut by) = (None, None, None, None);
        let (mut issued_by, mut proof, mut vouch) = (None, None, None);
        for (field, value) in table {
            let field = self.key(field);
            match field.0 {
                "key" => public = Some(public_key(field, value)?),
                "locked" => locked = Some(block(field, value)?),
                "sealed" => sealed = Some(block(field, value)?),
                "by" => by = Some(parsed(field, value, "a member name")?),
                "issued_by" => issued_by = Some(parsed(field, value, "a member name")?),
                "proof" => proof = Some(bytes_of(field, value)?),
                "vouch" => vouch = Some(bytes_of::<VOUCH_LEN>(field, value)?),
                _ => return Err(unknown(field)),
            }
        }
        let member = Member {
            key: public.ok_or_else(|| missing(key, "key"))?,
            locked,
            sealed: sealed.ok_or_else(|| missing(key, "sealed"))?,
            by: by.ok_or_else(|| missing(key, "by"))?,
            issued_by,
            proof,
            vouch: vouch.ok_or_else(|| missing(key, "vouch"))?,
            line: key.1,
        };
        Ok((name, member))
    }

    fn former(&self, key: Key<'_>, table: &DeTable<'_>) -> Result<(FormerName, Former), Fault> {
        let name = key
            .0
            .parse::<FormerName>()
            .map_err(|message| Fault::integrity(Some(key.1), message))?;
        let (mut public, mut vouch) = (None, None);
        for (field, value) in table {
            let field = self.key(field);
            match field.0 {
                "key" => public = Some(public_key(field, value)?),
                "vouch" => vouch = Some(bytes_of::<VOUCH_LEN>(field, value)?),
                _ => return Err(unknown(field)),
            }
        }
        let former = Former {
            key: public.ok_or_else(|| missing(key, "key"))?,
            vouch: vouch.ok_or_else(|| missing(key, "vouch"))?,
            line: key.1,
        };
        Ok((name, former))
    }

    fn secret(&self, key: Key<'_>, table: &DeTable<'_>) -> Result<(VarName, Record), Fault> {
        let name = name(key)?;
        let mut record = None;
        for (field, value) in table {
            let field = self.key(field);
            match field.0 {
                "value" => record = Some(Record::parse(base64(field, value)?, key.1)?),
                _ => return Err(unknown(field)),
            }
        }
        Ok((name, record.ok_or_else(|| missing(key, "value"))?))
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
    fn tables<K: Ord, V>(
        &self,
        what: Key<'_>,
        value: &Value<'_>,
        read: impl Fn(&Self, Key<'_>, &DeTable<'_>) -> Result<(K, V), Fault>,
    ) -> Result<BTreeMap<K, V>, Fault> {
        let entries = table(what, value)?.iter().map(|(name, inner)| {
            let key = self.key(name);
            read(self, key, table(key, inner)?)
        });
        entries.collect()
    }

    fn key<'k>(&self, name: &'k Spanned<toml::de::DeString<'_>>) -> Key<'k> {
        (name.get_ref(), self.lines.of(name.span().start))
    }
}

fn own_name(key: Key<'_>, value: &Value<'_>, expected: &EnvName) -> Result<EnvName, Fault> {
    let name: EnvName = parsed(key, value, "an environment name")?;
    if name != *expected {
        let message = format!("this file says that it is the environment {name}, not {expected}");
        return Err(Fault::integrity(Some(key.1), message)
            .hint(format!("put it back under its own name, `{name}.toml`")));
    }
    Ok(name)
}

fn name<T: FromStr<Err: std::fmt::Display>>(key: Key<'_>) -> Result<T, Fault> {
    key.0.parse().map_err(|rule: T::Err| {
        Fault::integrity(
            Some(key.1),
            format!("`{}` is no possible name here: {rule}", shown(key.0)),
        )
    })
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

fn text<'v>(key: Key<'_>, value: &'v Value<'_>, what: &str) -> Result<&'v str, Fault> {
    match value.get_ref().as_str() {
        Some("") | None => Err(wrong(key, what)),
        Some(text) => Ok(text),
    }
}

fn parsed<T: FromStr>(key: Key<'_>, value: &Value<'_>, what: &str) -> Result<T, Fault> {
    text(key, value, what)?.parse().map_err(|_| wrong(key, what))
}

fn public_key(key: Key<'_>, value: &Value<'_>) -> Result<PublicKey, Fault> {
    parsed(key, value, "a public key: `age1…`, `ssh-ed25519 …` or `ssh-rsa …` without a comment")
}

fn time(key: Key<'_>, value: &Value<'_>) -> Result<u64, Fault> {
    let time = integer(value).and_then(|time| u64::try_from(time).ok());
    time.filter(|time| *time < TIME_LIMIT)
        .ok_or_else(|| wrong(key, "a time in seconds, below 2^40"))
}

fn base64(key: Key<'_>, value: &Value<'_>) -> Result<Vec<u8>, Fault> {
    let text = text(key, value, "base64 with padding")?;
    BASE64.decode(text).map_err(|_| wrong(key, "base64 with padding"))
}

fn bytes_of<const N: usize>(key: Key<'_>, value: &Value<'_>) -> Result<[u8; N], Fault> {
    let bytes = base64(key, value)?;
    bytes.try_into().map_err(|_| wrong(key, &format!("base64 of {N} bytes")))
}

fn block(key: Key<'_>, value: &Value<'_>) -> Result<Vec<u8>, Fault> {
    let bytes = base64(key, value)?;
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
fn across(file: &VaultFile) -> Result<(), Fault> {
    if file.members.is_empty() {
        return Err(Fault::integrity(None, "no member at all: nobody can open this file"));
    }
    for (name, member) in &file.members {
        if !file.members.contains_key(&member.by) {
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
