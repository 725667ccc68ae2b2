//! What may stay: the list `allow` under `[scan]` in `vault.toml`, and the comment on a line.

use std::str::FromStr;

use crate::vars::name::{EnvName, VarName};

/// What a line says to keep what is on it, other than a value of the vault.
pub(super) const ALLOWED_HERE: &[u8] = b"vault:allow";

/// The hexadecimal digits of a fingerprint.
pub(crate) const FINGERPRINT: usize = 16;

/// One item of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Allowed {
    /// The one finding with this fingerprint.
    Fingerprint(String),
    /// A value that is public, as `ENV:NAME`.
    Value(String),
    /// Files: all that lie at or below a path, which may have `*`, `**` and `?` in it.
    Path(String),
}

impl FromStr for Allowed {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
        if text.len() == FINGERPRINT && text.bytes().all(is_digit) {
            return Ok(Self::Fingerprint(text.to_owned()));
        }
        if let Some((environment, name)) = text.split_once(':')
            && environment.parse::<EnvName>().is_ok()
            && name.parse::<VarName>().is_ok()
        {
            return Ok(Self::Value(text.to_owned()));
        }
        let path = text.strip_prefix("./").unwrap_or(text).trim_end_matches('/');
        // These would allow everything, or nothing at all.
        if path.is_empty()
            || path.starts_with('/')
            || path.split('/').any(|part| matches!(part, "." | ".."))
        {
            return Err("not a path below the folder");
        }
        Ok(Self::Path(path.to_owned()))
    }
}

impl Allowed {
    /// Whether a path, from one of the folders that it can be given from, is at or below this one.
    pub(crate) fn covers(&self, path: &[u8]) -> bool {
        let Self::Path(pattern) = self else { return false };
        let pattern = pattern.as_bytes();
        // A pattern without a slash is about names of files, wherever they lie.
        let is_name = !pattern.contains(&b'/') && pattern.iter().any(|byte| b"*?".contains(byte));
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
        let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(end, _)| end);
        let above = |end: usize| path.get(..end).is_some_and(|above| fits(pattern, above));
        is_name && fits(pattern, name) || fits(pattern, path) || ends.into_iter().any(above)
    }
}

/// Whether the whole text is what the pattern says: `?` is a byte and `*` are any, but `/`; `**` are any.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    // Where the last `*` and the last `**` stand in the pattern, and where the text behind them begins: after a
    // mismatch the nearest one takes a byte more.
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    let mut stars: Option<(usize, usize)> = None;
    while t < text.len() {
        let here = text.get(t).copied().unwrap_or_default();
        match (pattern.get(p), pattern.get(p + 1)) {
            (Some(b'*'), Some(b'*')) => {
                p += 2;
                // `**/x` is `x` too.
                if pattern.get(p) == Some(&b'/') && (t == 0 || text.get(t - 1) == Some(&b'/')) {
                    p += 1;
                }
                (star, stars) = (None, Some((p, t)));
            }
            (Some(b'*'), _) => {
                p += 1;
                star = Some((p, t));
            }
            (Some(b'?'), _) if here != b'/' => (p, t) = (p + 1, t + 1),
            (Some(byte), _) if *byte == here => (p, t) = (p + 1, t + 1),
            _ => match (star, stars) {
                (Some((behind, from)), _) if text.get(from) != Some(&b'/') => {
                    star = Some((behind, from + 1));
                    (p, t) = (behind, from + 1);
                }
                (_, Some((behind, from))) => {
                    (star, stars) = (None, Some((behind, from + 1)));
                    (p, t) = (behind, from + 1);
                }
                _ => return false,
            },
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(pattern: &str, path: &str) -> bool {
        pattern.parse::<Allowed>().unwrap().covers(path.as_bytes())
    }

    #[test]
    fn an_item_is_a_fingerprint_a_value_or_a_path() {
        let parsed = |text: &str| text.parse::<Allowed>();
        assert_eq!(parsed("0123456789abcdef"), Ok(Allowed::Fingerprint("0123456789abcdef".into())));
        assert_eq!(parsed("staging:SITE"), Ok(Allowed::Value("staging:SITE".into())));
        assert_eq!(parsed("./tests/"), Ok(Allowed::Path("tests".into())));
        assert_eq!(parsed("0123456789ABCDEF"), Ok(Allowed::Path("0123456789ABCDEF".into())));
        for text in ["", "/", "./", ".", "..", "/etc", "a/../b", "tests/.."] {
            assert!(parsed(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_path_covers_itself_and_what_lies_below() {
        for (pattern, path) in [
            ("tests/data", "tests/data"),
            ("tests/data", "tests/data/a/b"),
            ("tests/*/keys", "tests/a/keys/x"),
            ("**/fixtures", "a/b/fixtures/x"),
            ("**/fixtures", "fixtures/x"),
            ("a/**/x.key", "a/x.key"),
            ("a/**/x.key", "a/b/c/x.key"),
            ("*.snap", "a/b.snap"),
            ("?.key", "a.key"),
            ("a/**", "a/b"),
        ] {
            assert!(covers(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in [
            ("tests/data", "tests/database"),
            ("tests/data", "a/tests/data"),
            ("data", "tests/data"),
            ("tests/*/keys", "tests/a/b/keys"),
            ("*.snap", "a.snapshot"),
            ("a/?/b", "a//b"),
            ("a/*.key", "a/b/c.key"),
        ] {
            assert!(!covers(pattern, path), "{pattern} {path}");
        }
    }
}
