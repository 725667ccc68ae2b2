//! The text of the memory: what is kept of it in a file, and read from there.

use std::borrow::Cow;
use std::collections::BTreeMap;

use memchr::memmem;

use super::{Here, KeysByName, Known, Memory, Place};
use crate::format::{Fingerprint, Mark, integer};
use crate::vars::{every_byte, hex};

/// The first line of the file in which it is kept.
const HEADER: &str = "# What vault accepted on this machine. `vault trust` changes it.\n";

impl<'t> Memory<'t> {
    /// Reads the text, the part that concerns `file` alone if one is given.
    ///
    /// A run looks at one environment of many, so the rest isn't parsed.
    pub(crate) fn parse(text: &'t str, about: Option<(&Place, &[u8; 16])>) -> Option<Self> {
        let Some((place, id)) = about else {
            return read(lines(text)).or_else(|| parse_toml(text));
        };
        let wanted = [format!("[id.{}.", hex(id)), format!("[here.{}.", place.key)];
        let mut concerned = true;
        let part = lines(text).filter(|line| {
            if line.starts_with('[') {
                concerned = wanted.iter().any(|start| line.starts_with(start));
            }
            concerned
        });
        let part: Vec<&str> = part.collect();
        read(part.iter().copied()).or_else(|| parse_toml(&part.concat()))
    }

    /// The mark that is kept of an environment's members under this data key, if a run may go by it: it is the newest
    /// here. Nothing else of the text is looked at. None for every text in another form than ours.
    pub(crate) fn mark(
        text: &str,
        place: &Place,
        id: &[u8; 16],
        fingerprint: &Fingerprint,
    ) -> Option<Mark> {
        let here = format!("{}.{}", place.key, place.environment);
        mark(text, &here, &hex(id), &hex(&fingerprint.0))?.parse().ok()
    }

    /// Reads the whole text. What comes of it doesn't need the text any more.
    pub(crate) fn parse_owned(text: &str) -> Option<Memory<'static>> {
        parse_toml(text)
    }

    /// The text that [`Memory::parse`] reads.
    pub(crate) fn to_text(&self) -> Option<String> {
        toml::to_string(self).ok().map(|text| format!("{HEADER}\n{text}"))
    }
}

/// The lines of a text, each with its end.
fn lines(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let length = memchr::memchr(b'\n', text.as_bytes()).map_or(text.len(), |end| end + 1);
        let (line, rest) = text.split_at_checked(length)?;
        text = rest;
        (!line.is_empty()).then_some(line)
    })
}

/// The mark beside a data key, if that is the newest one for this id and this place.
fn mark(text: &str, here: &str, id: &str, key: &str) -> Option<String> {
    let text = text.strip_prefix(HEADER)?;
    let newest = keys(table(text, &format!("[here.{here}.newest]"))?)?;
    let is_newest = newest.get(id)? == key;
    let known = known(table(text, &format!("[id.{id}.{key}]"))?)?;
    known.mark.filter(|_| is_newest && !known.abandoned && !known.noted)
}

/// The fields of the table with this header, in a text of our own.
fn table<'t>(text: &'t str, header: &str) -> Option<Fields<'t>> {
    let whole = format!("\n{header}\n");
    let start = memmem::find(text.as_bytes(), whole.as_bytes())? + whole.len();
    let lines = lines(text.get(start..)?).map(|line| line.strip_suffix('\n').unwrap_or(line));
    fields(&mut lines.peekable())
}

/// The fields up to the next blank line.
fn fields<'t>(
    lines: &mut std::iter::Peekable<impl Iterator<Item = &'t str>>,
) -> Option<Fields<'t>> {
    let mut fields = Fields::new();
    while let Some(line) = lines.next_if(|line| !line.is_empty()) {
        let (name, value) = line.split_at_checked(line.bytes().position(|byte| byte == b' ')?)?;
        fields.push((unquoted(name)?, value.strip_prefix(" = ")?));
    }
    Some(fields)
}

fn parse_toml(text: &str) -> Option<Memory<'static>> {
    toml::from_str(text).ok()
}

/// The text as [`Memory::to_text`] writes it, line by line: a run waits for this, and a TOML reader takes ten
/// times as long. None for any other text, which the TOML reader judges.
fn read<'t>(mut lines: impl Iterator<Item = &'t str>) -> Option<Memory<'t>> {
    let mut memory = Memory::default();
    if lines.next()? != HEADER {
        return None;
    }
    let mut lines = lines.map(|line| line.strip_suffix('\n').unwrap_or(line)).peekable();
    while let Some(line) = lines.next() {
        if line.is_empty() {
            continue;
        }
        let fields = fields(&mut lines)?;
        let path: Vec<&str> = line.strip_prefix('[')?.strip_suffix(']')?.split('.').collect();
        if !path.iter().all(|part| is_bare(part)) {
            return None;
        }
        match path[..] {
            ["id", id, key] => {
                let keys = memory.id.entry(id.to_owned()).or_default();
                new(keys.insert(key.to_owned(), known(fields)?).is_none())?;
            }
            ["id", id, key, part @ ("members" | "former")] => {
                let known = memory.id.get_mut(id)?.get_mut(key)?;
                let list = if part == "members" { &mut known.members } else { &mut known.former };
                new(list.is_empty())?;
                *list = keys(fields)?;
            }
            ["here", key, environment] => {
                let here = here(fields)?;
                let places = memory.here.entry(key.to_owned()).or_default();
                new(places.insert(environment.to_owned(), here).is_none())?;
            }
            ["here", key, environment, "newest"] => {
                let here = memory.here.get_mut(key)?.get_mut(environment)?;
                new(here.newest.is_empty())?;
                let newest = keys(fields)?.into_iter();
                here.newest = newest.map(|(id, key)| (id.into(), key.into())).collect();
            }
            _ => return None,
        }
    }
    // A text that was cut lacks it, and what belongs to a place would be forgotten.
    let whole = memory.here.values().flat_map(BTreeMap::values).all(|here| !here.newest.is_empty());
    whole.then_some(memory)
}

/// The fields of a table, as they are written.
type Fields<'t> = Vec<(&'t str, &'t str)>;

fn known(mut fields: Fields<'_>) -> Option<Known<'static>> {
    let known = Known {
        environment: string(taken(&mut fields, "environment")?)?.to_owned(),
        made: integer(taken(&mut fields, "made")?)?,
        abandoned: flag(taken(&mut fields, "abandoned"))?,
        noted: flag(taken(&mut fields, "noted"))?,
        mark: match taken(&mut fields, "mark") {
            Some(mark) => Some(string(mark)?.to_owned()),
            None => None,
        },
        members: BTreeMap::new(),
        former: BTreeMap::new(),
    };
    fields.is_empty().then_some(known)
}

fn here(mut fields: Fields<'_>) -> Option<Here> {
    let path = string(taken(&mut fields, "path")?)?.to_owned();
    fields.is_empty().then_some(Here { path, newest: BTreeMap::new() })
}

/// The first field of this name. A second one stays, and is one too many.
fn taken<'t>(fields: &mut Fields<'t>, name: &str) -> Option<&'t str> {
    let at = fields.iter().position(|(found, _)| *found == name)?;
    Some(fields.remove(at).1)
}

fn keys(fields: Fields<'_>) -> Option<KeysByName<'_>> {
    let count = fields.len();
    let fields = fields.into_iter();
    let pair = |(name, key)| Some((Cow::Borrowed(name), Cow::Borrowed(string(key)?)));
    let keys: KeysByName<'_> = fields.map(pair).collect::<Option<_>>()?;
    (count > 0 && keys.len() == count).then_some(keys)
}

/// Only what is written: a flag that is false isn't.
fn flag(value: Option<&str>) -> Option<bool> {
    match value {
        None => Some(false),
        Some("true") => Some(true),
        Some(_) => None,
    }
}

/// A string between quotes without anything that TOML would read otherwise.
fn string(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    let special = |c: char| c == '"' || c == '\\' || c.is_control();
    let plain = |byte| matches!(byte, b' '..=b'~') && !special(char::from(byte));
    (every_byte(inner, plain) || !inner.contains(special)).then_some(inner)
}

/// The name of a field.
fn unquoted(name: &str) -> Option<&str> {
    if is_bare(name) { Some(name) } else { string(name) }
}

fn is_bare(name: &str) -> bool {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    !name.is_empty() && every_byte(name, bare)
}

/// None where a table stands for the second time.
fn new(is_new: bool) -> Option<()> {
    is_new.then_some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names() -> impl Strategy<Value = KeysByName<'static>> {
        let name = "[a-z][a-z0-9-]{0,5}(\\.[0-9]{1,5})?".prop_map(Cow::Owned);
        let key = "age1[a-z0-9]{0,9}|ssh-rsa [A-Z+/=]{1,9}".prop_map(Cow::Owned);
        prop::collection::btree_map(name, key, 0..4)
    }

    fn memories() -> impl Strategy<Value = Memory<'static>> {
        let mark = prop::option::of("[0-9a-f]{64}");
        let seldom = || prop::bool::weighted(0.2);
        let known = ("[a-z]{1,3}", 0..1_u64 << 40, seldom(), seldom(), mark, names(), names())
            .prop_map(|(environment, made, abandoned, noted, mark, members, former)| Known {
                environment,
                made,
                abandoned,
                noted,
                mark,
                members,
                former,
            });
        let here = (
            "(/[a-zé \"\\\\]{0,4}){0,3}",
            prop::collection::btree_map("1[ab]", prop_oneof![5 => "[01]f", 1 => ""], 1..3),
        )
            .prop_map(|(path, newest)| Here { path, newest });
        let id = prop::collection::btree_map(
            // So few that a place often has one of them.
            "1[ab]",
            prop::collection::btree_map("[01]f", known, 1..3),
            0..3,
        );
        let here = prop::collection::btree_map(
            "[0-9a-f]{4}",
            prop::collection::btree_map("[a-z]{1,3}", here, 1..3),
            0..3,
        );
        (id, here).prop_map(|(id, here)| Memory { id, here })
    }

    /// Whether every mark that is found without the rest of the text may be gone by. All of them are found in a
    /// text of ours.
    fn has_all_marks(text: &str, memory: &Memory<'_>) -> bool {
        let is_ours = memory.to_text().is_some_and(|ours| ours == text);
        let ids = memory
            .id
            .iter()
            .flat_map(|(id, keys)| keys.iter().map(move |(key, one)| (id, key, one)));
        let places =
            memory.here.iter().flat_map(|(key, all)| all.iter().map(move |one| (key, one)));
        let mut all = ids.flat_map(|one| places.clone().map(move |place| (one, place)));
        all.all(|((id, key, known), (folder, (environment, here)))| {
            let counts = !known.abandoned && !known.noted && here.newest.get(id) == Some(key);
            let kept = known.mark.as_ref().filter(|_| counts);
            let found = mark(text, &format!("{folder}.{environment}"), id, key);
            found.as_ref() == kept || (found.is_none() && !is_ours)
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_by_both_readers(memory in memories()) {
            let text = memory.to_text().unwrap();
            prop_assert!(has_all_marks(&text, &memory));
            prop_assert_eq!(parse_toml(&text).unwrap(), memory.clone());
            let has_both = !memory.id.is_empty() && !memory.here.is_empty();
            let plain = memory.here.values().flat_map(BTreeMap::values).all(|here| !here.path.contains(['"', '\\']));
            if plain && has_both {
                prop_assert_eq!(read(lines(&text)), Some(memory));
            }
        }

        #[test]
        fn what_both_readers_take_is_the_same(
            memory in memories(), at: prop::sample::Index, to: prop::sample::Index, what in 0..5_u8,
            byte in prop::sample::select(b"\"'\\=[].# \n\r\ttrue0019az_-+".to_vec()),
        ) {
            let mut changed: Vec<String> = memory.to_text().unwrap().lines().map(str::to_owned).collect();
            let (at, to) = (at.index(changed.len()), to.index(changed.len()));
            match what {
                0 => changed.swap(at, to),
                1 => { let line = changed[at].clone(); changed.insert(to, line) }
                2 => drop(changed.remove(at)),
                4 => changed.truncate(at),
                _ => {
                    let byte_at = to % (changed[at].len() + 1);
                    if changed[at].is_char_boundary(byte_at) {
                        changed[at].insert(byte_at, char::from(byte));
                    }
                }
            }
            let text = format!("{}\n", changed.join("\n"));
            if let Some(whole) = parse_toml(&text) {
                prop_assert!(has_all_marks(&text, &whole), "{}", text);
            }
            if let Some(read) = read(lines(&text)) {
                prop_assert_eq!(Some(read), parse_toml(&text), "{}", text);
            }
        }
    }
}
