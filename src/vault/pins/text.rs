//! The text of the memory: what is kept of it in a file, and read from there.

use std::collections::BTreeMap;

use super::{Here, Known, Memory, Place};
use crate::format::integer;
use crate::vars::hex;

/// The first line of the file in which it is kept.
const HEADER: &str = "# What vault accepted on this machine. `vault trust` changes it.\n";

impl Memory {
    /// Reads the text, the part that concerns `file` alone if one is given.
    ///
    /// A run looks at one environment of many, so the rest isn't parsed.
    pub(crate) fn parse(text: &str, about: Option<(&Place, &[u8; 16])>) -> Option<Self> {
        let Some((place, id)) = about else { return read(text).or_else(|| parse_toml(text)) };
        let wanted = [format!("[id.{}.", hex(id)), format!("[here.{}.", place.key)];
        let mut part = String::new();
        let mut concerned = true;
        for line in text.split_inclusive('\n') {
            if line.starts_with('[') {
                concerned = wanted.iter().any(|start| line.starts_with(start));
            }
            if concerned {
                part.push_str(line);
            }
        }
        read(&part).or_else(|| parse_toml(&part))
    }

    /// The text that [`Memory::parse`] reads.
    pub(crate) fn to_text(&self) -> Option<String> {
        toml::to_string(self).ok().map(|text| format!("{HEADER}\n{text}"))
    }
}

fn parse_toml(text: &str) -> Option<Memory> {
    toml::from_str(text).ok()
}

/// The text as [`Memory::to_text`] writes it, line by line: a run waits for this, and a TOML reader takes ten
/// times as long. None for any other text, which the TOML reader judges.
fn read(text: &str) -> Option<Memory> {
    let mut memory = Memory::default();
    let mut lines = text.strip_prefix(HEADER)?.lines().peekable();
    while let Some(line) = lines.next() {
        if line.is_empty() {
            continue;
        }
        let mut fields = Fields::default();
        while let Some(line) = lines.next_if(|line| !line.is_empty()) {
            let (name, value) = line.split_once(" = ")?;
            if fields.insert(unquoted(name)?, value).is_some() {
                return None;
            }
        }
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
                *list = strings(fields)?;
            }
            ["here", key, environment] => {
                let here = here(fields)?;
                let places = memory.here.entry(key.to_owned()).or_default();
                new(places.insert(environment.to_owned(), here).is_none())?;
            }
            ["here", key, environment, "newest"] => {
                let here = memory.here.get_mut(key)?.get_mut(environment)?;
                new(here.newest.is_empty())?;
                here.newest = strings(fields)?;
            }
            _ => return None,
        }
    }
    // A text that was cut lacks it, and what belongs to a place would be forgotten.
    let whole = memory.here.values().flat_map(BTreeMap::values).all(|here| !here.newest.is_empty());
    whole.then_some(memory)
}

/// The fields of a table, as they are written.
type Fields<'t> = BTreeMap<&'t str, &'t str>;

fn known(mut fields: Fields<'_>) -> Option<Known> {
    let known = Known {
        environment: string(fields.remove("environment")?)?.to_owned(),
        made: integer(fields.remove("made")?)?,
        abandoned: flag(fields.remove("abandoned"))?,
        noted: flag(fields.remove("noted"))?,
        members: BTreeMap::new(),
        former: BTreeMap::new(),
    };
    fields.is_empty().then_some(known)
}

fn here(mut fields: Fields<'_>) -> Option<Here> {
    let path = string(fields.remove("path")?)?.to_owned();
    fields.is_empty().then_some(Here { path, newest: BTreeMap::new() })
}

fn strings(fields: Fields<'_>) -> Option<BTreeMap<String, String>> {
    let pair = |(name, value): (&str, &str)| Some((name.to_owned(), string(value)?.to_owned()));
    if fields.is_empty() { None } else { fields.into_iter().map(pair).collect() }
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
    (!inner.contains(special)).then_some(inner)
}

/// The name of a field.
fn unquoted(name: &str) -> Option<&str> {
    if is_bare(name) { Some(name) } else { string(name) }
}

fn is_bare(name: &str) -> bool {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    !name.is_empty() && name.bytes().all(bare)
}

/// None where a table stands for the second time.
fn new(is_new: bool) -> Option<()> {
    is_new.then_some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names() -> impl Strategy<Value = BTreeMap<String, String>> {
        prop::collection::btree_map(
            "[a-z][a-z0-9-]{0,5}(\\.[0-9]{1,5})?",
            "age1[a-z0-9]{0,9}|ssh-rsa [A-Z+/=]{1,9}",
            0..4,
        )
    }

    fn memories() -> impl Strategy<Value = Memory> {
        let known = ("[a-z]{1,3}", 0..1_u64 << 40, any::<bool>(), any::<bool>(), names(), names())
            .prop_map(|(environment, made, abandoned, noted, members, former)| Known {
                environment,
                made,
                abandoned,
                noted,
                members,
                former,
            });
        let here = (
            "(/[a-zé \"\\\\]{0,4}){0,3}",
            prop::collection::btree_map("[0-9a-f]{4}", "[0-9a-f]{0,4}", 1..3),
        )
            .prop_map(|(path, newest)| Here { path, newest });
        let id = prop::collection::btree_map(
            "[0-9a-f]{4}",
            prop::collection::btree_map("[0-9a-f]{4}", known, 1..3),
            0..3,
        );
        let here = prop::collection::btree_map(
            "[0-9a-f]{4}",
            prop::collection::btree_map("[a-z]{1,3}", here, 1..3),
            0..3,
        );
        (id, here).prop_map(|(id, here)| Memory { id, here })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_by_both_readers(memory in memories()) {
            let text = memory.to_text().unwrap();
            prop_assert_eq!(parse_toml(&text).unwrap(), memory.clone());
            let has_both = !memory.id.is_empty() && !memory.here.is_empty();
            let plain = memory.here.values().flat_map(BTreeMap::values).all(|here| !here.path.contains(['"', '\\']));
            if plain && has_both {
                prop_assert_eq!(read(&text), Some(memory));
            }
        }

        #[test]
        fn what_both_readers_take_is_the_same(
            memory in memories(), at: prop::sample::Index, to: prop::sample::Index, what in 0..5_u8,
            byte in prop::sample::select(b"\"'\\=[].# \n\r\ttrue0019az_-+".to_vec()),
        ) {
            let mut lines: Vec<String> = memory.to_text().unwrap().lines().map(str::to_owned).collect();
            let (at, to) = (at.index(lines.len()), to.index(lines.len()));
            match what {
                0 => lines.swap(at, to),
                1 => { let line = lines[at].clone(); lines.insert(to, line) }
                2 => drop(lines.remove(at)),
                4 => lines.truncate(at),
                _ => {
                    let byte_at = to % (lines[at].len() + 1);
                    if lines[at].is_char_boundary(byte_at) {
                        lines[at].insert(byte_at, char::from(byte));
                    }
                }
            }
            let text = format!("{}\n", lines.join("\n"));
            if let Some(read) = read(&text) {
                prop_assert_eq!(Some(read), parse_toml(&text), "{}", text);
            }
        }
    }
}
