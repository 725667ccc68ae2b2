//! Whether a file is a dotenv file with values in plaintext, by its name and its lines.

use crate::vars::dotenv::dotenvx::{PUBLIC_KEY, is_sealed};

/// What says in a name that the values are made up.
const EXAMPLES: [&[u8]; 5] = [b"example", b"sample", b"template", b"dist", b"schema"];

/// Whether the name of a file is that of a dotenv file: `.env`, `.env.NAME` or `NAME.env`, and not of an example.
pub(crate) fn is_named(name: &[u8]) -> bool {
    let dotenv = name == b".env" || name.starts_with(b".env.") || name.ends_with(b".env");
    let is_example = |part: &[u8]| EXAMPLES.iter().any(|word| part.eq_ignore_ascii_case(word));
    dotenv && !name.split(|byte| *byte == b'.').any(is_example)
}

/// Whether a line sets a name to something that is neither empty nor encrypted by dotenvx or sops.
///
/// The lines are read leniently, as those of a file whose reader is unknown: no quotation spans lines.
pub(crate) fn has_values(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let lines = || text.split(|byte| matches!(byte, b'\n' | b'\r')).filter_map(pair);
    let by_sops = lines().any(|(name, _)| name.starts_with(b"sops_mac"));
    lines().any(|(name, value)| {
        let public = name.starts_with(PUBLIC_KEY.as_bytes()) || name.starts_with(b"DOTENV_VAULT");
        let of_sops = by_sops && (name.starts_with(b"sops_") || value.starts_with(b"ENC["));
        !value.is_empty() && !is_sealed(value) && !public && !of_sops
    })
}

/// The name and the value of a line, without quotes and without a comment that stands in place of the value.
fn pair(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let line = line.trim_ascii();
    let equals = line.iter().position(|byte| *byte == b'=').filter(|_| !line.starts_with(b"#"))?;
    let (name, value) = line.split_at(equals);
    let name = name.strip_prefix(b"export ").unwrap_or(name).trim_ascii();
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.-".contains(byte);
    if name.is_empty() || !name.iter().all(is_name) {
        return None;
    }
    let value = value.get(1..)?.trim_ascii();
    if value.starts_with(b"#") {
        return Some((name, &[]));
    }
    let quote = value.first().filter(|first| matches!(first, b'"' | b'\'' | b'`'));
    let Some(quote) = quote else { return Some((name, value)) };
    let inside = value.get(1..)?;
    let end = inside.iter().position(|byte| byte == quote).unwrap_or(inside.len());
    Some((name, inside.get(..end)?.trim_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_is_a_dotenv_file_and_what_an_example() {
        for name in [
            ".env",
            ".env.local",
            ".env.production",
            "staging.env",
            ".env.keys",
            ".env.example-of-bob",
        ] {
            assert!(is_named(name.as_bytes()), "{name}");
        }
        for name in [
            ".env.example",
            ".env.sample",
            ".env.template",
            ".env.dist",
            ".env.schema",
            ".env.local.example",
            "example.env",
            ".env.EXAMPLE",
            "env",
            ".envrc",
            ".environment",
            "environment",
            "x.envelope",
            "env.py",
        ] {
            assert!(!is_named(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn empty_and_encrypted_values_are_none() {
        for text in [
            "",
            "A=\n# B=1\nC=\"\"\nD='' # x\nE= # one\nno line\n\r\n",
            "\u{feff}A=\n",
            "DOTENV_PUBLIC_KEY=\"02ab\"\nA=\"encrypted:AA==\"\nexport B=encrypted:AA==\n",
            "A=ENC[AES256_GCM,data:x,iv:y,tag:z,type:str]\nsops_version=3.9\nsops_mac=ENC[x]\n",
            "DOTENV_VAULT_CI=\"abc\"\n",
        ] {
            assert!(!has_values(text.as_bytes()), "{text:?}");
        }
        for text in [
            "A=1",
            "export A=1",
            "A='1'",
            "\n\nA = \"x\"",
            "A=encrypted:AA==\nB=plain",
            "A=ENC[x]",
            "A=#\nB=c#",
        ] {
            assert!(has_values(text.as_bytes()), "{text:?}");
        }
    }
}
