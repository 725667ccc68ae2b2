//! The readers of texts from outside, held to what `vault::fuzz` demands: over a corpus, and over what a
//! generator of random numbers makes of it.
//!
//! The numbers begin with a seed that is the same each time, so that a failure is no accident of one run.
//! `VAULT_FUZZ_SEED` takes another one, and `VAULT_FUZZ_ROUNDS` more or fewer texts. A failure prints the
//! seed, the round and the text. `tests/fuzz` looks for the same with libFuzzer.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests have to fail the test, and say on what"
)]
#![allow(clippy::disallowed_methods, reason = "settings of the tests themselves")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// What a text from outside is, and what it likes to be made of.
struct Kind {
    name: &'static str,
    check: fn(&[u8]) -> bool,
    words: &'static [&'static str],
    /// How many texts are made, unless somebody says otherwise.
    rounds: u64,
}

const DIALECT: Kind = Kind {
    name: "dialect",
    check: vault::fuzz::dialect,
    words: &[
        "A=", "B=", "export ", "=", "'", "\"", "'''", "\"\"\"", "\\", "\\n", "\\\"", "\\$", "$",
        "`", "#", "# ", "#:", "#: ", " ", "\t", "\n", "\r\n", "\r", "\0", "\u{1b}", "\u{85}",
        "\u{feff}", "\u{2028}", "\u{a0}", "é",
    ],
    rounds: 100_000,
};

const VAULT_FILE: Kind = Kind {
    name: "vault_file",
    check: vault::fuzz::vault_file,
    words: &[
        "vault = 1\n",
        "vault = 2\n",
        "environment = \"staging\"\n",
        "made = 0\n",
        "made = 1_0\n",
        "made = 0x7\n",
        "[members.alice]\n",
        "[members.bob]\n",
        "[former.\"bob.1\"]\n",
        "[requests.x]\n",
        "[secrets.A]\n",
        "[\"secrets\".'B']\n",
        "[[requests]]\n",
        "by = \"alice\"\n",
        "key = \"\"\n",
        "value = \"",
        "\"\"\"",
        "'''",
        "\\u0041",
        "\\",
        "{",
        "}",
        "[",
        "]",
        ".",
        ",",
        "=",
        "\"",
        "#",
        "# x\n",
        "\n",
        "\r\n",
        "\t",
        " ",
        "=======\n",
        "AAAA",
        "\0",
        "\u{feff}",
        "é",
    ],
    rounds: 16_000,
};

const PROCFILE: Kind = Kind {
    name: "procfile",
    check: vault::fuzz::procfile,
    words: &[
        "web", "worker", "release", "a", ":", ": ", "::", "#", " ", "\t", "\n", "\r\n", "\r",
        "\u{b}", "\u{c}", "\u{1c}", "\u{1f}", "\u{85}", "\u{2028}", "\u{3000}", "\u{feff}", "\0",
        "\u{1b}", "-", "_", ".", "é", "٣",
    ],
    rounds: 100_000,
};

const FLAT: Kind = Kind {
    name: "flat",
    check: vault::fuzz::flat,
    words: &[
        "A: ", "B: ", "\"C\": ", "{", "}", "[", "]", ",", ":", "\"", "'", "\\n", "\\u00e9",
        "\\ud83d", "\\x41", "|", ">-", "&a ", "*a", "!!str ", "!", "? ", "- ", "---", "...", "#",
        "1", "yes", "null", "~", "<<", "\n", "\n  ", "\r\n", "\t", "\0", "\u{85}", "\u{2028}",
        "\u{feff}", "é", "export ", "=",
    ],
    rounds: 60_000,
};

/// `SplitMix64`: a few lines, and the same numbers everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below this one, which isn't 0.
    fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).expect("at most 64 bits");
        usize::try_from(self.next() % end).expect("no more than `end`")
    }

    fn of<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }

    /// A part of the text: bytes, or whole lines, which leave more of it valid.
    fn part(&mut self, text: &[u8]) -> std::ops::Range<usize> {
        if self.below(2) == 0 {
            let start = self.below(text.len() + 1);
            return start..start + self.below((text.len() - start).min(40) + 1);
        }
        let starts = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        let starts: Vec<usize> =
            std::iter::once(0).chain(starts.map(|(at, _)| at + 1)).chain([text.len()]).collect();
        let first = self.below(starts.len());
        let last = (first + 1 + self.below(3)).min(starts.len() - 1);
        starts[first]..starts[last]
    }
}

/// The text with one thing changed.
fn mutate(text: &mut Vec<u8>, kind: &Kind, corpus: &[&[u8]], random: &mut Random) {
    let range = random.part(text);
    let at = range.start;
    match random.below(12) {
        0 => drop(text.splice(at..at, random.of(kind.words).bytes())),
        1 => drop(text.splice(range, random.of(kind.words).bytes())),
        2 => drop(text.drain(range)),
        3 => {
            let again = text[range].to_vec();
            let to = random.part(text).start;
            drop(text.splice(to..to, again));
        }
        4 => {
            let other = random.of(corpus);
            let part = random.part(other);
            drop(text.splice(range, other[part].iter().copied()));
        }
        5 => text.truncate(at),
        6 if at < text.len() => text[at] ^= 1 << random.below(8),
        // Another letter or digit: what is a name or base64 stays one.
        7..=10 => {
            let at = random.below(text.len() + 1);
            if let Some(byte) = text.get_mut(at) {
                let first = [b'A', b'a', b'0'].into_iter().find(|first| match first {
                    b'A' => byte.is_ascii_uppercase(),
                    b'a' => byte.is_ascii_lowercase(),
                    _ => byte.is_ascii_digit(),
                });
                if let Some(first) = first {
                    *byte = first + random.next().to_le_bytes()[0] % 10;
                }
            }
        }
        _ => text.insert(at, random.next().to_le_bytes()[0]),
    }
}

fn corpus(kind: &Kind) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/corpus").join(kind.name);
    let entries = std::fs::read_dir(folder).expect("the corpus");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    // In the order of their names: the random numbers choose by place.
    files.sort();
    files.into_iter().map(|path| (path.clone(), std::fs::read(path).expect("a file"))).collect()
}

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// Whether it was one; what fails is told with the text.
#[track_caller]
fn check(kind: &Kind, text: &[u8], which: &str) -> bool {
    catch_unwind(AssertUnwindSafe(|| (kind.check)(text)))
        .unwrap_or_else(|_| panic!("{}, {which}:\n{}", kind.name, text.escape_ascii()))
}

#[track_caller]
fn replay(kind: &Kind) {
    let corpus = corpus(kind);
    let taken = |(path, text): &&(PathBuf, Vec<u8>)| check(kind, text, &path.display().to_string());
    let good: Vec<&[u8]> = corpus.iter().filter(taken).map(|(_, text)| text.as_slice()).collect();
    let size: usize = corpus.iter().map(|(_, text)| text.len()).sum();
    assert!(corpus.len() >= 24 && size < 200 << 10, "{} files, {size} bytes", corpus.len());

    let texts: Vec<&[u8]> = corpus.iter().map(|(_, text)| text.as_slice()).collect();
    let seed = setting("VAULT_FUZZ_SEED").unwrap_or(1);
    let rounds = setting("VAULT_FUZZ_ROUNDS").unwrap_or(kind.rounds);
    let (mut random, mut taken) = (Random(seed), 0);
    for round in 0..rounds {
        // Most of what is made of a bad text is bad in the same way.
        let from = if random.below(4) == 0 { &texts } else { &good };
        let mut text = random.of(from).to_vec();
        for _ in 0..=random.below(4) {
            mutate(&mut text, kind, &texts, &mut random);
        }
        let which = format!("VAULT_FUZZ_SEED={seed}, round {round}");
        taken += u64::from(check(kind, &text, &which));
    }
    println!("{}: {taken} of {rounds} texts were taken", kind.name);
    // Texts that are all refused would say little.
    assert!(taken >= rounds / 20, "{taken} of {rounds} texts were taken");
}

#[test]
fn dotenv_texts_keep_their_promises() {
    replay(&DIALECT);
}

#[test]
fn vault_files_keep_their_promises() {
    replay(&VAULT_FILE);
}

#[test]
fn flat_files_keep_their_promises() {
    replay(&FLAT);
}

#[test]
fn procfiles_keep_their_promises() {
    replay(&PROCFILE);
}

#[test]
fn every_change_is_made_and_the_same_seed_makes_the_same() {
    let all = corpus(&DIALECT);
    let texts: Vec<&[u8]> = all.iter().map(|(_, text)| text.as_slice()).collect();
    let made = |seed: u64| {
        let mut random = Random(seed);
        let mut text = Vec::new();
        (0..500).for_each(|_| mutate(&mut text, &DIALECT, &texts, &mut random));
        text
    };
    assert_eq!(made(7), made(7));
    assert_ne!(made(7), made(8));
}
