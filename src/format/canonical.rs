//! What our own writer has written, read line by line.
//!
//! A command that is run waits for this, and a TOML reader takes ten times as long. Any text that is not in
//! the writer's own form is none of ours: it goes the way of [`super::text`], as does every text with a fault,
//! so that there is one place that says what is wrong. That both ways give the same is tested with texts
//! that were changed at random.

use std::collections::BTreeMap;

use memchr::memchr;

use super::scan::{HEADER_LIMIT, HEADERS_LIMIT, LINE_LIMIT, STRUCTURE_LIMIT};
use super::text::{
    Fields, FormerFields, Key, MemberFields, SecretFields, across, bytes_of, former_name, name,
    own_name,
};
use super::{FILE_LIMIT, TIME_LIMIT, VaultFile, write};
use crate::vars::name::EnvName;

/// The file that this text is, if it is in the form of our writer and has no fault.
pub(super) fn read(text: &str, environment: &EnvName) -> Option<VaultFile> {
    if text.len() > FILE_LIMIT {
        return None;
    }
    let mut text = Text { rest: text, line: 0, headers: 0, structure: 0 };
    if text.plain()? != write::header(environment) || text.plain()? != "vault = 1" {
        return None;
    }
    let mut file = VaultFile {
        environment: own_name(("environment", 0), Some(text.field("environment")?), environment)
            .ok()?,
        id: bytes_of(("id", 0), Some(text.field("id")?)).ok()?,
        made: integer(text.plain()?.strip_prefix("made = ")?).filter(|time| *time < TIME_LIMIT)?,
        members: BTreeMap::new(),
        former: BTreeMap::new(),
        requests: BTreeMap::new(),
        odd_requests: Vec::new(),
        secrets: BTreeMap::new(),
        comments: Vec::new(),
    };
    let (mut members, mut former, mut requests, mut secrets) = (vec![], vec![], vec![], vec![]);
    while !text.rest.is_empty() {
        let (kind, key) = text.header()?;
        match kind {
            "members" => members.push((name(key).ok()?, text.table::<MemberFields>(key)?)),
            "former" => former.push((former_name(key).ok()?, text.table::<FormerFields>(key)?)),
            "requests" => requests.push((name(key).ok()?, text.field("key")?.parse().ok()?)),
            "secrets" => secrets.push((name(key).ok()?, text.table::<SecretFields>(key)?)),
            _ => return None,
        }
    }
    file.members = each_once(members)?;
    file.former = each_once(former)?;
    file.requests = each_once(requests)?;
    file.secrets = each_once(secrets)?;
    across(&file).ok()?;
    Some(file)
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
