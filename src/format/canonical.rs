//! What our own writer has written, read line by line.
//!
//! A command that is run waits for this, and a TOML reader takes ten times as long. Any text that is not in
//! the writer's own form is none of ours: it goes the way of [`super::text`], as does every text with a fault,
//! so that there is one place that says what is wrong. That both ways give the same is tested with texts
//! that were changed at random.

use std::collections::BTreeMap;

use memchr::{memchr, memmem};

use super::scan::{HEADER_LIMIT, HEADERS_LIMIT, LINE_LIMIT, STRUCTURE_LIMIT};
use super::text::{
    Fields, FormerFields, Key, MemberFields, SecretFields, across, bytes_of, former_name, name,
    own_name,
};
use super::{FILE_LIMIT, TIME_LIMIT, VaultFile, write};
use crate::crypto::keys::PublicKey;
use crate::vars::name::EnvName;

/// The file that this text is, if it is in the form of our writer and has no fault.
pub(super) fn read(text: &str, environment: &EnvName) -> Option<VaultFile> {
    if text.len() > FILE_LIMIT {
        return None;
    }
    let mut text = Text::of(text);
    let mut file = text.top(environment)?;
    text.tables(&mut file)?;
    across(&file).ok()?;
    Some(file)
}

/// What the member with this public key needs of such a text to read the values: as [`read`], but of the members
/// there is only he, and nobody of the ledger. Beside it is the text that says who they are, of which nothing else was
/// looked at. The lines in it are not those of the whole text.
pub(super) fn read_own<'t>(
    text: &'t str,
    environment: &EnvName,
    key: &PublicKey,
) -> Option<(VaultFile, &'t str)> {
    /// A table of a member or of the ledger is longer.
    const TABLE: usize = 64;
    if text.len() > FILE_LIMIT {
        return None;
    }
    let mut end = memmem::find(text.as_bytes(), b"\n[secrets.").unwrap_or(text.len());
    while let Some(last) = text.get(..end)?.rfind("\n[")
        && text.get(last..end)?.starts_with("\n[requests.")
    {
        end = last;
    }
    let (head, rest) = text.split_at_checked(end)?;
    let mut file = Text::of(head).top(environment)?;
    let first_field = format!("]\nkey = \"{}\"\n", key.as_str());
    let (before, _) =
        head.split_at_checked(memmem::find(head.as_bytes(), first_field.as_bytes())?)?;
    let mut block = Text::of(head.get(before.rfind('\n')?..)?);
    let (kind, me) = block.header()?;
    (kind == "members").then_some(())?;
    let mine = (name(me).ok()?, block.table::<MemberFields>(me)?);

    let rest = Text { structure: head.len(), headers: head.len() / TABLE, ..Text::of(rest) };
    rest.tables(&mut file)?;
    (file.members.is_empty() && file.former.is_empty()).then_some(())?;
    file.members = BTreeMap::from([mine]);
    Some((file, head))
}

/// The map, if no name is there twice. From a list in order it is made without a search for each name.
fn each_once<K: Ord, V>(list: Vec<(K, V)>) -> Option<BTreeMap<K, V>> {
    let count = list.len();
    let map: BTreeMap<K, V> = list.into_iter().collect();
    (map.len() == count).then_some(map)
}

/// A number as TOML has it and our writers write it: no sign, no leading zero, at most that of an i64.
pub(crate) fn integer(digits: &str) -> Option<u64> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    let leading_zero = digits.len() > 1 && digits.starts_with('0');
    let number = digits.parse().ok().filter(|number: &u64| i64::try_from(*number).is_ok());
    number.filter(|_| plain && !leading_zero)
}

/// The lines that are left, and what the limits of format.md count.
struct Text<'t> {
    rest: &'t str,
    line: usize,
    headers: usize,
    structure: usize,
}

impl<'t> Text<'t> {
    fn of(text: &'t str) -> Self {
        Self { rest: text, line: 0, headers: 0, structure: 0 }
    }

    /// The lines before the first table.
    fn top(&mut self, environment: &EnvName) -> Option<VaultFile> {
        if self.plain()? != write::header(environment) || self.plain()? != "vault = 1" {
            return None;
        }
        let said = own_name(("environment", 0), Some(self.field("environment")?), environment);
        let made = |line: &str| integer(line.strip_prefix("made = ")?);
        Some(VaultFile {
            environment: said.ok()?,
            id: bytes_of(("id", 0), Some(self.field("id")?)).ok()?,
            made: made(self.plain()?).filter(|time| *time < TIME_LIMIT)?,
            members: BTreeMap::new(),
            former: BTreeMap::new(),
            requests: BTreeMap::new(),
            odd_requests: Vec::new(),
            secrets: BTreeMap::new(),
            comments: Vec::new(),
        })
    }

    /// All tables up to the end, into the file.
    fn tables(mut self, file: &mut VaultFile) -> Option<()> {
        let (mut members, mut former, mut requests, mut secrets) = (vec![], vec![], vec![], vec![]);
        while !self.rest.is_empty() {
            let (kind, key) = self.header()?;
            match kind {
                "members" => members.push((name(key).ok()?, self.table::<MemberFields>(key)?)),
                "former" => former.push((former_name(key).ok()?, self.table::<FormerFields>(key)?)),
                "requests" => requests.push((name(key).ok()?, self.field("key")?.parse().ok()?)),
                "secrets" => secrets.push((name(key).ok()?, self.table::<SecretFields>(key)?)),
                _ => return None,
            }
        }
        file.members = each_once(members)?;
        file.former = each_once(former)?;
        file.requests = each_once(requests)?;
        file.secrets = each_once(secrets)?;
        Some(())
    }

    /// The next line without its end, which has to be there.
    fn line(&mut self) -> Option<&'t str> {
        let (line, rest) = self.rest.split_at_checked(memchr(b'\n', self.rest.as_bytes())?)?;
        self.rest = rest.get(1..)?;
        self.line += 1;
        (line.len() <= LINE_LIMIT).then_some(line)
    }

    fn count(&mut self, structure: usize) -> Option<()> {
        self.structure += structure + 1;
        (self.structure <= STRUCTURE_LIMIT).then_some(())
    }

    /// The next line, which has no string.
    fn plain(&mut self) -> Option<&'t str> {
        let line = self.line()?;
        self.count(line.len())?;
        Some(line)
    }

    /// The next line as `field = "string"`.
    fn pair(&mut self) -> Option<(&'t str, &'t str)> {
        let line = self.line()?;
        // Its name is short: a search for the blank would get ready longer than it looks.
        let (field, string) = line.split_at_checked(line.bytes().position(|byte| byte == b' ')?)?;
        let string = string.strip_prefix(" = \"")?.strip_suffix('"')?;
        self.count(line.len() - string.len())?;
        Some((field, string))
    }

    /// The next line as this field with a string.
    fn field(&mut self, field: &str) -> Option<&'t str> {
        self.pair().filter(|(found, _)| *found == field).map(|(_, string)| string)
    }

    /// A blank line and `[kind.name]`.
    fn header(&mut self) -> Option<(&'t str, Key<'t>)> {
        self.plain().filter(|line| line.is_empty())?;
        let line = self.plain()?;
        self.headers += 1;
        let (kind, name) = line.strip_prefix('[')?.strip_suffix(']')?.split_once('.')?;
        let quoted = || name.strip_prefix('"')?.strip_suffix('"');
        let name = if kind == "former" { quoted()? } else { name };
        let fits = line.len() <= HEADER_LIMIT && self.headers <= HEADERS_LIMIT;
        fits.then_some((kind, (name, self.line)))
    }

    /// The fields up to the next blank line, in the writer's order and so each at most once.
    fn table<F: Fields>(&mut self, name: Key<'_>) -> Option<F::Whole> {
        let (mut fields, mut order) = (F::default(), F::ORDER.iter());
        while !self.rest.is_empty() && !self.rest.starts_with('\n') {
            let (field, string) = self.pair()?;
            order.find(|next| **next == field)?;
            fields.take((field, self.line), Some(string)).ok()?;
        }
        fields.whole(name).ok()
    }
}
