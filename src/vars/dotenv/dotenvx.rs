//! The encrypted dotenv file of dotenvx: what in it is dotenvx's own, and what dotenvx makes of a value that the
//! strict dialect reads in another way. Observed with dotenvx 2.38.2.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::{Entry, Quotes};

/// What the names of its public keys begin with; they stand in the file itself.
pub(crate) const PUBLIC_KEY: &str = "DOTENV_PUBLIC_KEY";
/// What the names of its private keys begin with, in the environment and in `.env.keys`.
pub(crate) const PRIVATE_KEY: &str = "DOTENV_PRIVATE_KEY";
/// The file of its private keys, beside the encrypted one.
pub(crate) const KEYS_FILE: &str = ".env.keys";

const SEALED: &[u8] = b"encrypted:";

const EXPANDED: &str = "dotenvx expands the `$` in it when it is read";
const ESCAPED: &str =
    "a backslash in double quotes, which dotenvx reads otherwise: put the value in single quotes";

/// Whether a value is encrypted by dotenvx.
pub(crate) fn is_sealed(value: &[u8]) -> bool {
    value.starts_with(SEALED)
}

/// The bytes of an encrypted value. None where they are no base64.
pub(crate) fn sealed(value: &[u8]) -> Option<Vec<u8>> {
    BASE64.decode(value.strip_prefix(SEALED)?).ok()
}

/// Why an app under dotenvx gets something else than `value`, which stood at `entry`, if it does.
pub(crate) fn otherwise(entry: &Entry, value: &[u8]) -> Option<&'static str> {
    let holds = |bytes: &[u8]| value.iter().any(|byte| bytes.contains(byte));
    if is_sealed(entry.value.expose()) {
        return (entry.quotes != Quotes::Single && holds(b"$")).then_some(EXPANDED);
    }
    // Of the escapes only those of line ends are the same there; a value has these by an escape alone.
    (entry.quotes == Quotes::Double && holds(b"\\\"")).then_some(ESCAPED)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::vars::dotenv::{DIALECTS, parse};

    #[test]
    fn what_is_not_told_is_what_dotenvx_was_seen_to_read() {
        let data: Value = serde_json::from_str(DIALECTS).unwrap();
        let mut same = 0;
        for case in data["cases"].as_array().unwrap() {
            let Ok(entries) = parse(case["text"].as_str().unwrap().as_bytes()) else { continue };
            if entries.iter().any(|entry| otherwise(entry, entry.value.expose()).is_some()) {
                continue;
            }
            let pair = |entry: &Entry| {
                (entry.name.to_string(), Value::from(entry.value.expose_str().unwrap()))
            };
            let vars: serde_json::Map<_, _> = entries.iter().map(pair).collect();
            assert_eq!(
                case["parsers"]["dotenvx 2.38.2"]["vars"],
                Value::from(vars),
                "{}",
                case["id"]
            );
            same += 1;
        }
        assert_eq!(same, 49);
    }

    #[test]
    fn a_sign_that_dotenvx_expands_is_told_unless_it_stood_in_single_quotes() {
        let entries =
            parse(b"A=encrypted:AA==\nB=\"encrypted:AA==\"\nC='encrypted:AA=='\nD='$x'").unwrap();
        let told = |value: &[u8]| -> Vec<bool> {
            entries.iter().map(|entry| otherwise(entry, value).is_some()).collect()
        };
        assert_eq!(told(b"a$b"), [true, true, false, false]);
        assert_eq!(told(br#"a\n"b"#), [false; 4]);
        assert_eq!(sealed(b"encrypted:AA=="), Some(vec![0]));
        assert_eq!((sealed(b"encrypted:?"), sealed(b"AA==")), (None, None));
    }
}
