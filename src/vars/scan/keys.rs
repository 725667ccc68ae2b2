//! Private keys, by the texts that their formats begin with.
//!
//! age's key and what a plugin calls its identity are bech32 (BIP 173) in upper case; PEM is RFC 7468, with the
//! labels of PKCS #1, PKCS #8, SEC 1, `OpenSSH` and `OpenPGP`; dotenvx writes 32 bytes in hexadecimal.

use super::{Hit, Kind, begins_word, entropy, is_placeholder, run};

const AGE: &[u8] = b"AGE-SECRET-KEY-";
const PLUGIN: &[u8] = b"AGE-PLUGIN-";
const PEM: &[u8] = b"-----BEGIN ";
const DOTENVX: &[u8] = b"DOTENV_PRIVATE_KEY";

/// What they begin with.
pub(super) const BEGINNINGS: [&[u8]; 4] = [AGE, PLUGIN, PEM, DOTENVX];

/// The private key that begins at this place.
pub(super) fn at(text: &[u8], at: usize) -> Option<Hit<'_>> {
    let here = text.get(at..)?;
    let (what, length) = if let Some(rest) = here.strip_prefix(AGE) {
        ("a private key of age", AGE.len() + age(rest)?)
    } else if let Some(rest) = here.strip_prefix(PLUGIN) {
        ("an identity of an age plugin", PLUGIN.len() + plugin(rest)?)
    } else if let Some(rest) = here.strip_prefix(PEM) {
        let (what, length) = pem(rest)?;
        (what, PEM.len() + length)
    } else {
        let rest = here.strip_prefix(DOTENVX).filter(|_| begins_word(text, at))?;
        ("a private key of dotenvx", DOTENVX.len() + dotenvx(rest)?)
    };
    let identity = [here.get(..length)?, &[]];
    Some(Hit { kind: Kind::PrivateKey, what, at, length, identity })
}

fn is_bech32(byte: u8) -> bool {
    b"QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L".contains(&byte)
}

/// 32 bytes and a checksum; those of the hybrid kind are longer.
fn age(rest: &[u8]) -> Option<usize> {
    const SHORTEST: usize = 58;
    let start = if rest.starts_with(b"PQ-1") { 4 } else { 1 };
    let data = run(rest.get(start..).filter(|_| rest.get(start - 1) == Some(&b'1'))?, is_bech32);
    (data.len() >= SHORTEST && entropy(data) >= 3.0).then_some(start + data.len())
}

/// The last `1` divides the name of the plugin from its data, which ends with a checksum of six characters.
fn plugin(rest: &[u8]) -> Option<usize> {
    const CHECKSUM: usize = 6;
    // What is longer is one as well, and no text is looked through again for each of many beginnings in it.
    const ENOUGH: usize = 1 << 10;
    let is_of =
        |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"+-._".contains(&byte);
    let whole = run(rest.get(..ENOUGH).unwrap_or(rest), is_of);
    let divide = whole.iter().rposition(|byte| *byte == b'1').filter(|at| *at > 1)?;
    let (name, data) = whole.split_at(divide);
    let data = run(data.get(1..)?, is_bech32);
    (name.ends_with(b"-") && data.len() >= CHECKSUM).then_some(divide + 1 + data.len())
}

/// The line that begins it, and so much of its body that it is sure that there is one: programs and manuals
/// name that line alone.
fn pem(rest: &[u8]) -> Option<(&'static str, usize)> {
    const LONGEST_LABEL: usize = 64;
    const SHORTEST_RUN: usize = 24;
    const HEADERS: usize = 2000;
    let is_label = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b' ';
    let label = run(rest, is_label);
    let end = label.len() + b"-----".len();
    let whole = label.ends_with(b"PRIVATE KEY") || label.ends_with(b"PRIVATE KEY BLOCK");
    if !whole || label.len() > LONGEST_LABEL || !rest.get(label.len()..)?.starts_with(b"-----") {
        return None;
    }
    let what = match label {
        b"OPENSSH PRIVATE KEY" => "a private key of OpenSSH",
        _ if label.ends_with(b"BLOCK") => "a private key of OpenPGP",
        _ => "a private key (PEM)",
    };
    let body = rest.get(end..)?;
    let body = body.get(..HEADERS).unwrap_or(body);
    let body_end = body.windows(5).position(|five| five == b"-----").unwrap_or(body.len());
    let body = body.get(..body_end)?;
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
    let mut at = 0;
    while let Some(skipped) = body.get(at..)?.iter().position(|byte| is_base64(*byte)) {
        at += skipped;
        let found = run(body.get(at..)?, is_base64);
        if found.len() >= SHORTEST_RUN && entropy(found) >= 3.0 {
            return Some((what, end + at + found.len()));
        }
        at += found.len();
    }
    None
}

/// `DOTENV_PRIVATE_KEY_PRODUCTION="…"`, and the same in JSON and YAML.
fn dotenvx(rest: &[u8]) -> Option<usize> {
    const DIGITS: usize = 64;
    let is_name = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    let name = run(rest, is_name).len();
    let between = run(rest.get(name..)?, |byte| b" \t\"'=:\\".contains(&byte)).len();
    let digits = run(rest.get(name + between..)?, |byte| byte.is_ascii_hexdigit());
    let is_key = digits.len() == DIGITS && entropy(digits) >= 2.5 && !is_placeholder(digits);
    (between > 0 && is_key).then_some(name + between + digits.len())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{found, random};

    /// A key of age that nobody has.
    fn age() -> String {
        let letters = "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L";
        format!("AGE-SECRET-KEY-1{letters}{}", &letters[..26])
    }

    #[test]
    fn keys_of_age_are_found_and_their_names_alone_are_not() {
        let key = age();
        for text in [key.clone(), format!("x{key}x"), format!("\"a\\n{key}\\n\"")] {
            assert_eq!(found(&text).len(), 1, "{text}");
        }
        let hybrid = key.replace("KEY-1", "KEY-PQ-1");
        let yubikey = ["AGE-PLUGIN-YUBIKEY", "-1QGPZRY9X8GF2TVDW0S3."].concat();
        assert_eq!(found(&hybrid), [("a private key of age", 0)]);
        assert_eq!(found(&yubikey), [("an identity of an age plugin", 0)]);
        for text in [
            "AGE-SECRET-KEY-1",
            "AGE-SECRET-KEY-1…",
            &key[..key.len() - 1],
            &format!("AGE-SECRET-KEY-1{}", "Q".repeat(58)),
            "AGE-PLUGIN-YUBIKEY-1...",
            "AGE-PLUGIN-NAME-1",
            "AGE-PLUGIN-",
        ] {
            assert_eq!(found(text), [], "{text}");
        }
    }

    #[test]
    fn a_pem_key_needs_a_body() {
        let body = random(64);
        let begin = |label: &str| format!("-----BEGIN {label}-----");
        for (label, what) in [
            ("PRIVATE KEY", "a private key (PEM)"),
            ("RSA PRIVATE KEY", "a private key (PEM)"),
            ("EC PRIVATE KEY", "a private key (PEM)"),
            ("ENCRYPTED PRIVATE KEY", "a private key (PEM)"),
            ("OPENSSH PRIVATE KEY", "a private key of OpenSSH"),
            ("PGP PRIVATE KEY BLOCK", "a private key of OpenPGP"),
        ] {
            for between in ["\n", "\r\n", "\\n", "\nProc-Type: 4,ENCRYPTED\n\n", " ", "\n    "] {
                let text = format!("k: {}{between}{body}\n", begin(label));
                assert_eq!(found(&text), [(what, 3)], "{text}");
            }
        }
        for text in [
            begin("PRIVATE KEY"),
            format!("{}\n...\n-----END PRIVATE KEY-----\n{body}", begin("PRIVATE KEY")),
            format!("{}\n{}", begin("PRIVATE KEY"), "A".repeat(64)),
            format!("{}\n{body}", begin("PUBLIC KEY")),
            format!("{}\n{body}", begin("CERTIFICATE")),
            format!("{}\n{body}", begin("private key")),
        ] {
            assert_eq!(found(&text), [], "{text}");
        }
    }

    #[test]
    fn a_key_of_dotenvx_is_64_digits() {
        let digits = crate::vars::hex(random(32).as_bytes());
        let digits = digits.as_str();
        for text in [
            format!("DOTENV_PRIVATE_KEY={digits}"),
            format!("export DOTENV_PRIVATE_KEY_CI=\"{digits}\""),
            format!("{{\"DOTENV_PRIVATE_KEY\": \"{digits}\"}}"),
        ] {
            assert_eq!(found(&text).len(), 1, "{text}");
        }
        for text in [
            format!("DOTENV_PRIVATE_KEY={}", &digits[1..]),
            format!("DOTENV_PRIVATE_KEY={digits}0"),
            format!("DOTENV_PUBLIC_KEY={digits}"),
            format!("DOTENV_PRIVATE_KEY={}", "0".repeat(64)),
            "DOTENV_PRIVATE_KEY=$KEY".to_owned(),
        ] {
            assert_eq!(found(&text), [], "{text}");
        }
    }
}
