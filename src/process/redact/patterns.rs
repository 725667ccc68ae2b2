//! What is looked for, and whether it begins at a place.
//!
//! The patterns lie sorted, and tables of their first bytes skip the places where none begins, two at a time.
//! On text without values this is several times as fast as an automaton (Aho-Corasick), which looks at every
//! byte; nor does an automaton tell how much of the text may still become a match, which a stream has to know.
//!
//! A place costs a comparison with the patterns that begin as the text does. Only text that begins a very long
//! pattern at every place, and never ends it, is slow.

use std::sync::Arc;

use super::forms;
use crate::secret::Secret;
use crate::vars::Vars;

/// Everything that is hidden: built once, shared by all streams.
pub(crate) struct Patterns {
    /// In the order of their bytes, each once, none shorter than [`forms::SHORTEST`].
    sorted: Vec<Pattern>,
    /// Their first four bytes.
    beginnings: Grams<BEGINNING>,
    /// Three of those: the first ones, and the last ones.
    inner: Grams<INNER>,
}

struct Pattern {
    /// The [`head`] of the bytes, which settles nearly all comparisons without a look at them.
    head: u64,
    bytes: Secret,
    /// `[redacted NAME]`, shared by the forms of a value.
    replacement: Arc<[u8]>,
    /// Where the longest other pattern stands that this one begins with.
    shorter: Option<usize>,
}

/// What is known of a place in the text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict<'p> {
    /// No value begins here.
    Plain,
    /// The longest value that begins here, when nothing that follows can change it.
    Value {
        /// How many bytes of the text it takes.
        length: usize,
        /// What stands in its place.
        replacement: &'p [u8],
    },
    /// All bytes from here on are the beginning of a value, so that more of them may decide.
    Open,
}

impl Patterns {
    /// The patterns of these variables, or nothing if no value is worth hiding.
    ///
    /// Where two variables have a value in common, the first name tells it.
    pub(crate) fn of(vars: &Vars) -> Option<Self> {
        Self::told_as(vars.iter().map(|(name, value)| (format!("[redacted {name}]"), value)))
    }

    /// The patterns of these values, each with what it is told as. The first that has a form tells it.
    pub(crate) fn told_as<'v>(values: impl Iterator<Item = (String, &'v Secret)>) -> Option<Self> {
        let mut sorted = Vec::new();
        for (told, value) in values {
            let replacement: Arc<[u8]> = told.into_bytes().into();
            sorted.extend(forms::of(value.expose()).into_iter().map(|bytes| Pattern {
                head: head(bytes.expose()),
                bytes,
                replacement: Arc::clone(&replacement),
                shorter: None,
            }));
        }
        // The sort is stable and the first of equal ones is kept, so the names stay in order.
        sorted.sort_by(|a, b| a.bytes.expose().cmp(b.bytes.expose()));
        sorted.dedup_by(|later, first| later.bytes == first.bytes);
        nest(&mut sorted);
        let bytes = || sorted.iter().map(|pattern| pattern.bytes.expose());
        let beginnings = Grams::of(bytes());
        let inner = Grams::of(bytes().chain(bytes().filter_map(|bytes| bytes.get(1..))));
        (!sorted.is_empty()).then_some(Self { sorted, beginnings, inner })
    }

    /// The text from the first place on where a value may begin, or where too little text is left to tell.
    pub(super) fn skip<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        let mut rest = text;
        // Two places at a time, as long as there is text enough.
        while let Some(pair) = self.inner.pair(rest) {
            let both = rest.get(2 * pair..).unwrap_or_default();
            let one = both.get(1..).unwrap_or_default();
            if self.beginnings.has(both) {
                return both;
            }
            if self.beginnings.has(one) {
                return one;
            }
            rest = both.get(2..).unwrap_or_default();
        }
        let seen = 2 * (rest.len().saturating_sub(BEGINNING - 1) / 2);
        let rest = rest.get(seen..).unwrap_or_default();
        let place = rest.windows(BEGINNING).position(|four| self.beginnings.has(four));
        let place = place.unwrap_or(rest.len().saturating_sub(BEGINNING - 1));
        rest.get(place..).unwrap_or_default()
    }

    /// Whether a value begins with the first byte of `text`. With `last`, no more text follows.
    pub(super) fn judge(&self, text: &[u8], last: bool) -> Verdict<'_> {
        let key = (head(text), text);
        let next = self.sorted.partition_point(|one| (one.head, one.bytes.expose()) <= key);
        // What begins with the whole text stands right behind it in the order.
        let grows = |pattern: &Pattern| pattern.bytes.expose().starts_with(text);
        if !last && self.sorted.get(next).is_some_and(grows) {
            return Verdict::Open;
        }
        // Of the patterns that the text begins with the longest is the one in front of it, or that one begins
        // with it: whatever stands between the two in the order begins as both do.
        let mut place = next.checked_sub(1);
        while let Some(pattern) = place.and_then(|place| self.sorted.get(place)) {
            if text.starts_with(pattern.bytes.expose()) {
                let length = pattern.bytes.expose().len();
                return Verdict::Value { length, replacement: &pattern.replacement };
            }
            place = pattern.shorter;
        }
        Verdict::Plain
    }

    /// The patterns with their replacements, for the plain implementation that the tests compare with.
    #[cfg(test)]
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.sorted.iter().map(|pattern| (pattern.bytes.expose(), &*pattern.replacement))
    }
}

/// Tells each of the sorted patterns the longest other one that it begins with.
fn nest(sorted: &mut [Pattern]) {
    // Those that the last pattern begins with, and itself, from the shortest to the longest.
    let mut open: Vec<usize> = Vec::new();
    let mut shorter = Vec::with_capacity(sorted.len());
    for (place, pattern) in sorted.iter().enumerate() {
        let begins_with = |outer: &usize| {
            let outer = sorted.get(*outer);
            outer.is_some_and(|outer| pattern.bytes.expose().starts_with(outer.bytes.expose()))
        };
        while open.pop_if(|outer| !begins_with(outer)).is_some() {}
        shorter.push(open.last().copied());
        open.push(place);
    }
    for (pattern, shorter) in sorted.iter_mut().zip(shorter) {
        pattern.shorter = shorter;
    }
}

/// The first eight bytes as a number that has the order of the bytes, with zeros for those that are not there.
fn head(bytes: &[u8]) -> u64 {
    let padded = || {
        let mut eight = [0; 8];
        eight.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        eight
    };
    u64::from_be_bytes(bytes.first_chunk().copied().unwrap_or_else(padded))
}

/// How many bytes of a beginning are looked at; no pattern is shorter.
const BEGINNING: usize = forms::SHORTEST;

/// How many bytes of one of two neighbouring places are looked at.
const INNER: usize = BEGINNING - 1;

/// The first `N` bytes of texts, three or four, as a set that may say yes for others too.
struct Grams<const N: usize> {
    /// A bit for each hash.
    bits: Vec<u64>,
    /// How far a product is shifted down to become a hash.
    shift: u32,
}

impl<const N: usize> Grams<N> {
    fn of<'b>(texts: impl Iterator<Item = &'b [u8]> + Clone) -> Self {
        // 8 KiB at least, and at most one of 64 bits set: a false yes costs a search in all patterns.
        let count = texts.clone().count();
        let bits = count.saturating_mul(256).next_power_of_two().clamp(1 << 16, 1 << 26);
        let mut set = Self { bits: vec![0; bits / 64], shift: u32::BITS - bits.ilog2() };
        for text in texts {
            let (place, bit) = set.place(number(text));
            if let Some(word) = set.bits.get_mut(place) {
                *word |= bit;
            }
        }
        set
    }

    fn has(&self, text: &[u8]) -> bool {
        let (place, bit) = self.place(number(text));
        self.bits.get(place).is_some_and(|word| word & bit != 0)
    }

    fn place(&self, number: u32) -> (usize, u64) {
        // Fibonacci hashing: the upper bits of the product depend on all bits of the number.
        const GOLDEN: u32 = 0x9E37_79B1;
        let kept = if N == INNER { number & 0x00FF_FFFF } else { number };
        let hash = kept.wrapping_mul(GOLDEN).wrapping_shr(self.shift);
        (usize::try_from(hash / u64::BITS).unwrap_or(usize::MAX), 1 << (hash % u64::BITS))
    }
}

impl Grams<INNER> {
    /// The first pair of neighbouring places of which one may begin a pattern: the text's first two places
    /// are pair 0. A look at the second place of a pair sees the first three bytes of what begins there, and
    /// the last three of the beginning of what begins before it.
    fn pair(&self, text: &[u8]) -> Option<usize> {
        let looked_at = text.get(1..).unwrap_or_default().windows(BEGINNING).step_by(2);
        looked_at.enumerate().find(|(_, four)| self.has(four)).map(|(pair, _)| pair)
    }
}

/// The first four bytes as a number, with zeros for those that are not there.
fn number(bytes: &[u8]) -> u32 {
    let padded = || {
        let mut four = [0; 4];
        four.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        four
    };
    u32::from_le_bytes(bytes.first_chunk().copied().unwrap_or_else(padded))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(pairs: &[(&str, &str)]) -> Option<Patterns> {
        let pair =
            |&(name, value): &(&str, &str)| (name.parse().unwrap(), Secret::from(value.to_owned()));
        Patterns::of(&pairs.iter().map(pair).collect())
    }

    #[test]
    fn nothing_worth_hiding_is_no_patterns() {
        assert!(patterns(&[]).is_none());
        assert!(patterns(&[("A", "abc"), ("B", "true"), ("C", "8000")]).is_none());
    }

    #[test]
    fn the_longest_value_is_taken_once_it_cannot_grow() {
        let patterns =
            patterns(&[("A", "zzzzab"), ("B", "zzzzabcdx"), ("C", "zzzzabcdefgh")]).unwrap();
        let judge = |text: &str, last| match patterns.judge(text.as_bytes(), last) {
            Verdict::Plain => "plain".to_owned(),
            Verdict::Open => "open".to_owned(),
            Verdict::Value { length, replacement } => {
                format!("{length} {}", String::from_utf8_lossy(replacement))
            }
        };
        assert_eq!(judge("z", false), "open");
        assert_eq!(judge("z", true), "plain");
        assert_eq!(judge("zzzzab", false), "open");
        assert_eq!(judge("zzzzab", true), "6 [redacted A]");
        // The patterns in front of these texts are those of B and C, and A is what they begin with.
        assert_eq!(judge("zzzzabcdz", false), "6 [redacted A]");
        assert_eq!(judge("zzzzabcdefz", false), "6 [redacted A]");
        assert_eq!(judge("zzzzabcdx", false), "9 [redacted B]");
        assert_eq!(judge("zzzzabcdefgh-", false), "12 [redacted C]");
        assert_eq!(judge("zzzy", false), "plain");
        assert_eq!(judge("~", false), "plain");
    }

    #[test]
    fn the_first_of_two_names_tells_a_value() {
        let patterns = patterns(&[("B", "same value"), ("A", "same value")]).unwrap();
        assert!(patterns.pairs().all(|(_, replacement)| replacement == b"[redacted A]"));
    }
}
