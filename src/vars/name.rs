//! Names: parsed once at the door, so that everything inside can rely on them (format.md, Fields).

use std::fmt;
use std::str::FromStr;

use smol_str::SmolStr;

use super::every_byte;

/// Why a text is not a name of the wanted sort. Its `Display` says the rule, not the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not a variable name.
    #[error("a variable name is letters, digits and `_`, and does not begin with a digit")]
    Variable,
    /// A variable name that is too long.
    #[error("a variable name has at most 128 bytes")]
    VariableTooLong,
    /// Not an environment name.
    #[error(
        "an environment name is lower-case letters, digits, `-` and `_`, at most 63, and begins with a letter or digit"
    )]
    Environment,
    /// Not a member name.
    #[error(
        "a member name is lower-case letters, digits, `-` and `_`, at most 63, and begins with a letter or digit"
    )]
    Member,
}

/// The longest variable name in bytes: `[secrets.NAME]` must fit a header line of 200 bytes.
const VARIABLE_LIMIT: usize = 128;
/// The longest environment or member name in bytes.
const LABEL_LIMIT: usize = 63;

// Those of members are short and many, and each is there several times: up to 23 bytes they need no block.
macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident($text:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name($text);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        // So that a map of names can be asked with a plain `&str`.
        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name_type! {
    /// The name of a variable: `[A-Za-z_][A-Za-z0-9_]*`, at most 128 bytes.
    VarName(String)
}
name_type! {
    /// The name of an environment: `[a-z0-9][a-z0-9_-]*`, at most 63 bytes. It is the file's name too.
    EnvName(SmolStr)
}
name_type! {
    /// The name of a member: `[a-z0-9][a-z0-9_-]*`, at most 63 bytes.
    MemberName(SmolStr)
}

impl From<VarName> for String {
    fn from(name: VarName) -> Self {
        name.0
    }
}

impl FromStr for VarName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let first = text.bytes().next().ok_or(NameError::Variable)?;
        let body = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if first.is_ascii_digit() || !every_byte(text, body) {
            return Err(NameError::Variable);
        }
        if text.len() > VARIABLE_LIMIT {
            return Err(NameError::VariableTooLong);
        }
        Ok(Self(text.to_owned()))
    }
}

impl FromStr for EnvName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if is_label(text) { Ok(Self(text.into())) } else { Err(NameError::Environment) }
    }
}

impl FromStr for MemberName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if is_label(text) { Ok(Self(text.into())) } else { Err(NameError::Member) }
    }
}

impl MemberName {
    /// The member name that a mail address's local part or a login name suggests: lower case, every
    /// other character a `-`. None where nothing usable is left.
    pub fn suggested_by(text: &str) -> Option<Self> {
        let local = text.split('@').next().unwrap_or_default();
        let plain: String = local
            .chars()
            .map(|c| c.to_ascii_lowercase())
            .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' })
            .take(LABEL_LIMIT)
            .collect();
        plain.trim_matches('-').parse().ok()
    }
}

fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.len() <= LABEL_LIMIT
        && text.bytes().next().is_some_and(inner)
        && every_byte(text, |byte| inner(byte) || byte == b'-' || byte == b'_')
}

impl VarName {
    /// Whether the tool itself uses this name, so that no vault may set it: the child would take it for
    /// a setting of the next `vault` (format.md, Fields).
    pub fn is_ours(&self) -> bool {
        let name = self.as_str();
        ["VAULT_KEY", "VAULT_PASSPHRASE"].iter().any(|prefix| name.starts_with(prefix))
            || ["VAULT_DIR", "VAULT_ENV", "VAULT_PIN", "VAULT_COMPLETE"].contains(&name)
    }

    /// Whether this name changes how programs load or find code, so that whoever may set it runs code in
    /// the child. A closed list; `[allow] loader` in `vault.toml` admits single names.
    pub fn is_loader(&self) -> bool {
        const PREFIXES: [&str; 4] = ["LD_", "DYLD_", "BASH_FUNC_", "GIT_"];
        const NAMES: [&str; 20] = [
            "PATH",
            "IFS",
            "ENV",
            "BASH_ENV",
            "SHELLOPTS",
            "PS4",
            "PROMPT_COMMAND",
            "GCONV_PATH",
            "NODE_OPTIONS",
            "NODE_PATH",
            "PYTHONSTARTUP",
            "PYTHONHOME",
            "PYTHONPATH",
            "PYTHONINSPECT",
            "PERL5OPT",
            "PERL5LIB",
            "RUBYOPT",
            "RUBYLIB",
            "JAVA_TOOL_OPTIONS",
            "CLASSPATH",
        ];
        let name = self.as_str();
        NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    }
}

/// `text` as it may be shown on a terminal: control, bidirectional and other invisible characters are
/// written as `\u{…}`, so that a name in somebody else's file can't move the cursor or hide itself.
pub(crate) fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_harmless(c) {
            out.push(c);
        } else {
            out.extend(c.escape_unicode());
        }
    }
    out
}

/// As [`shown`], without what may be a value behind a `=`.
pub(crate) fn without_value(word: &str) -> String {
    match word.split_once('=') {
        Some((name, _)) => format!("{}=…", shown(name)),
        None => shown(word),
    }
}

/// As [`shown`], for the bytes of a path: what is no UTF-8 is written as `\xff`.
pub(crate) fn shown_bytes(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(&shown(chunk.valid()));
        for byte in chunk.invalid() {
            // Writing to a string can't fail.
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

fn is_harmless(c: char) -> bool {
    let invisible = matches!(u32::from(c),
        0x00AD | 0x061C | 0x180E | 0x200B..=0x200F | 0x2028..=0x202E | 0x2060..=0x206F | 0xFE00..=0xFE0F
        | 0xFEFF | 0xFFF9..=0xFFFB | 0xE0000..=0xE0FFF);
    !c.is_control() && !invisible
}

/// The names among `known` that are near enough to `wrong` to be what was meant, nearest first.
pub(crate) fn nearest<'a>(
    wrong: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // The bound is the one that clap uses for its own suggestions. In short names one slip is already
    // less like: two letters the wrong way round are near at any length from three.
    const LIKENESS: f64 = 0.7;
    let wrong = wrong.to_ascii_lowercase();
    let near = |name: &str, likeness: f64| {
        likeness > LIKENESS || (wrong.len() > 2 && strsim::osa_distance(&wrong, name) <= 1)
    };
    known
        .into_iter()
        .map(|name| (name, name.to_ascii_lowercase()))
        .map(|(name, lower)| (strsim::jaro(&wrong, &lower), lower, name))
        .filter(|(likeness, lower, _)| near(lower, *likeness))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, _, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variable_names_are_what_every_shell_takes() {
        for good in ["A", "_", "a_1", "DATABASE_URL", &"A".repeat(128)] {
            assert_eq!(good.parse::<VarName>().unwrap().as_str(), good);
        }
        for bad in ["", "1A", "A-B", "A=B", "A\0", "A\n", "É", "A.B", " A", "A\u{1b}[31m"] {
            assert_eq!(bad.parse::<VarName>(), Err(NameError::Variable), "{bad:?}");
        }
        assert_eq!("A".repeat(129).parse::<VarName>(), Err(NameError::VariableTooLong));
    }

    #[test]
    fn labels_hold_no_dot_and_no_upper_case() {
        for good in ["a", "0", "eu-west_1", &"a".repeat(63)] {
            assert!(good.parse::<EnvName>().is_ok() && good.parse::<MemberName>().is_ok());
        }
        for bad in ["", "-a", "_a", "A", "a.b", "a/b", "..", "a b", &"a".repeat(64)] {
            assert!(
                bad.parse::<EnvName>().is_err() && bad.parse::<MemberName>().is_err(),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn a_mail_address_suggests_a_member_name() {
        let suggested = |text| MemberName::suggested_by(text).map(|name| name.0);
        assert_eq!(suggested("Alice.B@example.com").as_deref(), Some("alice-b"));
        assert_eq!(suggested("bob").as_deref(), Some("bob"));
        assert_eq!(suggested("…@example.com"), None);
    }

    #[test]
    fn our_own_names_and_loader_names_are_known() {
        let name = |text: &str| text.parse::<VarName>().unwrap();
        for ours in
            ["VAULT_KEY", "VAULT_KEY_FILE", "VAULT_PASSPHRASE_FILE", "VAULT_DIR", "VAULT_PIN"]
        {
            assert!(name(ours).is_ours(), "{ours}");
        }
        // HashiCorp's names are stored like any other.
        for other in ["VAULT_ADDR", "VAULT_TOKEN", "VAULT_ENVIRONMENT", "MY_VAULT_KEY"] {
            assert!(!name(other).is_ours(), "{other}");
        }
        for loader in ["LD_PRELOAD", "DYLD_X", "PATH", "GIT_SSH_COMMAND", "PYTHONPATH"] {
            assert!(name(loader).is_loader(), "{loader}");
        }
        for plain in ["LDAP_URL", "PATH_PREFIX", "GITHUB_TOKEN", "ENVIRONMENT"] {
            assert!(!name(plain).is_loader(), "{plain}");
        }
    }

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        assert_eq!(shown("a\u{1b}[31mb\n\u{202e}c"), "a\\u{1b}[31mb\\u{a}\\u{202e}c");
        assert_eq!(shown("héllo ✓"), "héllo ✓");
    }

    #[test]
    fn a_misspelled_name_finds_its_neighbour() {
        assert_eq!(nearest("stagin", ["development", "staging"]), Some("staging"));
        assert_eq!(nearest("qa", ["development", "staging"]), None);
        assert_eq!(nearest("pyt", ["timeout", "pty"]), Some("pty"));
    }
}
