//! What `scan` looks for besides the vault's own values: private keys, tokens, addresses with a password, and
//! dotenv files. Bytes in, places out: nothing here reads a file or knows a repository.
//!
//! All that is looked for begins with a fixed text (or, for addresses, has one in the middle). A table of the
//! first three bytes of those texts skips everything else.

pub(crate) mod allow;
pub(crate) mod dotfile;
mod keys;
mod tokens;
mod urls;

use self::allow::ALLOWED_HERE;

/// The sorts of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A value of the vault.
    Value,
    /// A private key.
    PrivateKey,
    /// A dotenv file with values.
    Dotenv,
    /// A token of a known shape, or an address with a password.
    Token,
}

impl Kind {
    /// For programs, and for the fingerprint of a finding: it never changes.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Value => "value",
            Self::PrivateKey => "private-key",
            Self::Dotenv => "dotenv",
            Self::Token => "token",
        }
    }
}

/// Something that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hit<'t> {
    /// Which sort.
    pub(crate) kind: Kind,
    /// In words, with an article.
    pub(crate) what: &'static str,
    /// Where it begins.
    pub(crate) at: usize,
    /// How many bytes it takes.
    pub(crate) length: usize,
    /// The bytes that tell it from others. Of a password, which may be a short one, nothing is in it.
    pub(crate) identity: [&'t [u8]; 2],
}

/// All that is looked for, ready to be looked for.
pub(crate) struct Searcher {
    /// A bit for the hash of each beginning of three bytes.
    beginnings: Box<[u64]>,
}

/// How many bytes of a beginning are looked at.
const BEGINNING: usize = 3;

impl Searcher {
    /// Builds the table.
    pub(crate) fn new() -> Self {
        let mut searcher = Self { beginnings: vec![0; 1 << 10].into() };
        let known = keys::BEGINNINGS.into_iter().chain(tokens::beginnings());
        for beginning in known.chain([urls::MIDDLE]) {
            if let Some((place, bit)) = beginning.first_chunk().copied().map(place)
                && let Some(word) = searcher.beginnings.get_mut(place)
            {
                *word |= bit;
            }
        }
        searcher
    }

    /// What stands in the text, in its order, each outside of the one before. In bytes that are no text only
    /// private keys are looked for: random bytes look like a token now and then.
    pub(crate) fn search<'t>(&self, text: &'t [u8], is_text: bool) -> Vec<Hit<'t>> {
        let mut hits: Vec<Hit<'t>> = Vec::new();
        let mut end = 0;
        for (at, three) in text.windows(BEGINNING).enumerate() {
            let known = three.first_chunk().copied().map(place).is_some_and(|(place, bit)| {
                self.beginnings.get(place).is_some_and(|word| word & bit != 0)
            });
            if !known || at < end {
                continue;
            }
            let hit = keys::at(text, at).or_else(|| {
                if is_text { tokens::at(text, at).or_else(|| urls::around(text, at)) } else { None }
            });
            if let Some(hit) = hit.filter(|hit| hit.at >= end) {
                end = hit.at + hit.length;
                hits.push(hit);
            }
        }
        hits
    }
}

/// Where the bit of a beginning stands: Fibonacci hashing to 16 bits.
fn place([a, b, c]: [u8; BEGINNING]) -> (usize, u64) {
    let hash = u32::from_le_bytes([a, b, c, 0]).wrapping_mul(0x9E37_79B1) >> 16;
    (usize::try_from(hash / u64::BITS).unwrap_or_default(), 1 << (hash % u64::BITS))
}

/// Whether the line round this place says that what stands on it may stay.
pub(crate) fn is_allowed_by_comment(text: &[u8], at: usize) -> bool {
    // So far the comment may be away, so that no long line is looked through for each finding on it.
    const NEAR: usize = 4 << 10;
    let before = text.get(at.saturating_sub(NEAR)..at).unwrap_or_default();
    let behind = text.get(at..).unwrap_or_default();
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let behind = run(behind.get(..NEAR).unwrap_or(behind), |byte| byte != b'\n');
    let has = |part: &[u8]| part.windows(ALLOWED_HERE.len()).any(|part| part == ALLOWED_HERE);
    before.get(start..).is_some_and(has) || has(behind)
}

/// Whether bytes are no text: as git sees it, a NUL near the beginning.
pub(crate) fn is_binary(bytes: &[u8]) -> bool {
    bytes.iter().take(8000).any(|byte| *byte == 0)
}

/// Whether a word can begin at this place: nothing of a word stands before it. The letter of `\n` in a string
/// and the digits of `%3D` in an address are not of a word.
pub(crate) fn begins_word(text: &[u8], at: usize) -> bool {
    let before = text.get(..at).unwrap_or_default();
    match before {
        [.., b'\\', b'n' | b'r' | b't'] | [] => true,
        [.., b'%', high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => true,
        [.., last] => !is_word(*last),
    }
}

/// Whether a word can end before this place.
pub(crate) fn ends_word(text: &[u8], end: usize) -> bool {
    text.get(end).is_none_or(|next| !is_word(*next))
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The bytes of `text` as far as all are of the alphabet.
fn run(text: &[u8], is_of: impl Fn(u8) -> bool) -> &[u8] {
    let end = text.iter().position(|byte| !is_of(*byte)).unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}

/// The entropy of the bytes in bits for each, from how often each one is there (Shannon 1948, section 6).
fn entropy(bytes: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in bytes {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count += 1;
        }
    }
    let all = f64::from(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    let part = |count: &u32| f64::from(*count) / all;
    counts.iter().filter(|count| **count > 0).map(part).map(|part| -part * part.log2()).sum()
}

/// Whether somebody wrote this by hand to stand for a secret.
fn is_placeholder(body: &[u8]) -> bool {
    const WORDS: [&[u8]; 7] =
        [b"example", b"xxxxx", b"placeholder", b"12345678", b"abcdefgh", b"redacted", b"00000000"];
    let lower = body.to_ascii_lowercase();
    WORDS.iter().any(|word| lower.windows(word.len()).any(|part| part == *word))
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Random letters and digits that are always the same, so that no real token has to stand in a test.
    pub(super) fn random(length: usize) -> String {
        const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let mut state = 0x2545_F491_4F6C_DD1D_u64;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let place = usize::try_from(state >> 33).unwrap() % LETTERS.len();
            char::from(LETTERS[place])
        };
        (0..length).map(|_| next()).collect()
    }

    pub(super) fn found(text: &str) -> Vec<(&'static str, usize)> {
        Searcher::new().search(text.as_bytes(), true).iter().map(|hit| (hit.what, hit.at)).collect()
    }

    #[test]
    fn entropy_is_bits_for_each_byte() {
        for (text, bits) in
            [("", 0.0), ("aaaa", 0.0), ("abab", 1.0), ("abcd", 2.0), ("01234567", 3.0)]
        {
            assert!((entropy(text.as_bytes()) - bits).abs() < 1e-9, "{text}");
        }
    }

    #[test]
    fn a_word_begins_behind_an_escape_too() {
        for (text, begins) in [
            ("x", true),
            (" x", true),
            ("=x", true),
            ("\\nx", true),
            ("%3Dx", true),
            ("ax", false),
            ("_x", false),
            ("nx", false),
            ("%3x", false),
            ("-x", true),
        ] {
            assert_eq!(begins_word(text.as_bytes(), text.len() - 1), begins, "{text}");
        }
    }

    #[test]
    fn a_comment_is_on_the_line_or_not() {
        let text = b"one // vault:allow\ntwo\n/* vault:allow */ three\n";
        for (at, allowed) in
            [(0, true), (6, true), (19, false), (22, false), (24, true), (44, true)]
        {
            assert_eq!(is_allowed_by_comment(text, at), allowed, "{at}");
        }
    }

    /// Were each of them to look through the rest of the text, this would take minutes.
    #[test]
    fn many_beginnings_in_one_text_are_each_looked_at_shortly() {
        let known = keys::BEGINNINGS.into_iter().chain(tokens::beginnings());
        for beginning in known.chain([&b"postgres://"[..], b"redis://a:"]) {
            let text = beginning.repeat((1 << 17) / beginning.len());
            assert!(Searcher::new().search(&text, true).is_empty());
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_searched_for_private_keys_alone() {
        let key = format!(
            "AGE-SECRET-KEY-1{}",
            "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L".repeat(2).split_at(58).0
        );
        let text = format!("{key} ghp_{}", random(36));
        let kinds = |is_text| -> Vec<Kind> {
            Searcher::new().search(text.as_bytes(), is_text).iter().map(|hit| hit.kind).collect()
        };
        assert_eq!(kinds(true), [Kind::PrivateKey, Kind::Token]);
        assert_eq!(kinds(false), [Kind::PrivateKey]);
        assert!(is_binary(b"a\0b") && !is_binary(b"ab"));
        assert!(!is_binary(&[&[b'a'; 8000][..], b"\0"].concat()));
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_searched(
            parts in vec(prop_oneof![
                vec(any::<u8>(), 0..40),
                prop::sample::select(vec![
                    "AGE-SECRET-KEY-1", "AGE-PLUGIN-X-1", "-----BEGIN ", "PRIVATE KEY-----", "DOTENV_PRIVATE_KEY",
                    "postgres://", "a:b@", "ghp_", "SG.", "SK", "AKIA", "sk-ant-", "xoxb-", "%3D", "\\n", "=",
                ]).prop_map(|text| text.as_bytes().to_vec()),
                (20..90_usize).prop_map(|length| random(length).into_bytes()),
            ], 0..12),
            is_text: bool,
        ) {
            let text = parts.concat();
            let hits = Searcher::new().search(&text, is_text);
            let mut end = 0;
            for hit in &hits {
                prop_assert!(hit.at >= end && hit.length > 0, "in order, without overlap");
                end = hit.at + hit.length;
                prop_assert!(end <= text.len());
                prop_assert!(!hit.identity[0].is_empty());
            }
        }

        #[test]
        fn a_token_is_found_wherever_it_stands_alone(
            before in "[ -~]{0,20}[ =:\"'`(,\n]", after in "([ \"'`),;\n][ -~]{0,20})?",
        ) {
            let text = format!("{before}ghp_{}{after}", random(36));
            prop_assert!(
                found(&text).contains(&("a token of GitHub", before.len())),
                "{text:?}"
            );
        }
    }
}
