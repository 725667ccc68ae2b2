//! What `env -0` and `export null` print.

use std::collections::BTreeSet;

use crate::secret::Secret;
use crate::vars::name::VarName;

/// Reads `NAME=value` with a NUL behind each. Of a name that is there twice the first one counts, as for
/// getenv(3). Gives the numbers of the parts, from 1, that are something else.
pub(crate) fn null(text: &[u8]) -> Result<Vec<(VarName, Secret)>, Vec<usize>> {
    let text = text.strip_suffix(b"\0").unwrap_or(text);
    let (mut pairs, mut names, mut wrong) = (Vec::new(), BTreeSet::new(), Vec::new());
    let parts = text.split(|byte| *byte == 0).filter(|_| !text.is_empty());
    for (index, part) in parts.enumerate() {
        match pair(part) {
            Some((name, value)) if names.insert(name.clone()) => pairs.push((name, value)),
            Some(_) => {}
            None => wrong.push(index + 1),
        }
    }
    if wrong.is_empty() { Ok(pairs) } else { Err(wrong) }
}

fn pair(part: &[u8]) -> Option<(VarName, Secret)> {
    let (name, value) = part.split_at(part.iter().position(|byte| *byte == b'=')?);
    let name = std::str::from_utf8(name).ok()?.parse().ok()?;
    Some((name, Secret::new(value.get(1..)?.to_vec())))
}
