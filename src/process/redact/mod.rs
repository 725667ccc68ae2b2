//! Hides values in what a child writes, as a stream of any chunks.
//!
//! This guards against accidents: a value in a log line, in a traceback, in a dumped request. A program that
//! wants to let a value out needs only to write it backwards.

mod find;
mod forms;
mod patterns;

use std::sync::Arc;
use std::time::Duration;

use zeroize::{Zeroize as _, Zeroizing};

pub(crate) use self::patterns::Patterns;
use self::patterns::Verdict;

/// Held bytes wait for the rest of a value no longer than this when output pauses, so that a prompt is seen.
pub(crate) const HOLD: Duration = Duration::from_millis(100);

/// The filter of one stream: what goes in comes out with each value replaced by `[redacted NAME]`.
///
/// The matches are leftmost, and of those the longest, over the whole stream; how it is cut into chunks changes
/// nothing. Only bytes that may be the beginning of a value are held back.
pub(crate) struct Redactor {
    patterns: Arc<Patterns>,
    /// Nothing, or what begins a value as far as it goes.
    held: Zeroizing<Vec<u8>>,
}

impl Redactor {
    /// A filter at the beginning of its stream.
    pub(crate) fn new(patterns: Arc<Patterns>) -> Self {
        Self { patterns, held: Zeroizing::default() }
    }

    /// Takes in `bytes`, and appends to `out` what is decided.
    pub(crate) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if self.held.is_empty() {
            // The usual case, without a copy of what is passed on.
            let open = replace(&self.patterns, bytes, false, out);
            self.held.extend_from_slice(open);
        } else {
            self.held.extend_from_slice(bytes);
            let open = replace(&self.patterns, &self.held, false, out).len();
            let decided = self.held.len().saturating_sub(open);
            self.held.drain(..decided);
        }
    }

    /// Whether something is held back, which [`Redactor::flush`] gives out.
    pub(crate) fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    /// Gives out what is held back, as at the end of the stream.
    ///
    /// To be called at the end, and when the output pauses: a prompt must be seen even if it ends as a value
    /// begins. The price is that a value written with a pause inside is not found.
    pub(crate) fn flush(&mut self, out: &mut Vec<u8>) {
        replace(&self.patterns, &self.held, true, out);
        self.held.zeroize();
    }
}

/// Writes `text` to `out` with its values replaced, up to where more bytes could change the result, and gives
/// back the rest. With `last`, no more bytes come and nothing is left over.
fn replace<'t>(patterns: &Patterns, text: &'t [u8], last: bool, out: &mut Vec<u8>) -> &'t [u8] {
    // `plain` runs from what is not written yet, `rest` from what is not judged yet.
    let (mut plain, mut rest) = (text, text);
    let write = |out: &mut Vec<u8>, plain: &[u8], rest: &[u8]| {
        let (before, _) = plain.split_at(plain.len().saturating_sub(rest.len()));
        out.extend_from_slice(before);
    };
    loop {
        rest = patterns.skip(rest);
        if rest.is_empty() {
            break;
        }
        match patterns.judge(rest, last) {
            Verdict::Open => break,
            Verdict::Value { length, replacement } => {
                write(out, plain, rest);
                out.extend_from_slice(replacement);
                rest = rest.get(length..).unwrap_or_default();
                plain = rest;
            }
            Verdict::Plain => rest = rest.get(1..).unwrap_or_default(),
        }
    }
    write(out, plain, rest);
    rest
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::secret::Secret;
    use crate::vars::Vars;

    /// The variables `V0`, `V1` and so on, or nothing if none of them is worth hiding.
    fn patterns<V: AsRef<[u8]>>(values: &[V]) -> Option<Arc<Patterns>> {
        let pair = |(place, value): (usize, &V)| {
            (format!("V{place}").parse().unwrap(), Secret::new(value.as_ref().to_vec()))
        };
        Patterns::of(&values.iter().enumerate().map(pair).collect::<Vars>()).map(Arc::new)
    }

    /// What comes out and what is held back after these chunks.
    fn pushed<'c>(
        patterns: &Arc<Patterns>,
        chunks: impl IntoIterator<Item = &'c [u8]>,
    ) -> (Vec<u8>, Redactor) {
        let (mut redactor, mut out) = (Redactor::new(Arc::clone(patterns)), Vec::new());
        for chunk in chunks {
            redactor.push(chunk, &mut out);
        }
        (out, redactor)
    }

    /// What comes out of all of it.
    fn redacted<V: AsRef<[u8]>>(values: &[V], text: impl AsRef<[u8]>) -> String {
        let (mut out, mut redactor) = pushed(&patterns(values).unwrap(), [text.as_ref()]);
        redactor.flush(&mut out);
        String::from_utf8(out).unwrap()
    }

    /// The meaning, without any cleverness: at each place try every pattern, and take the longest. Gives back
    /// what is held too, unless the text ends here.
    fn plainly(patterns: &Patterns, text: &[u8], last: bool) -> (Vec<u8>, Vec<u8>) {
        let (mut out, mut place) = (Vec::new(), 0);
        while place < text.len() {
            let rest = &text[place..];
            let grows =
                |(bytes, _): (&[u8], &[u8])| bytes.len() > rest.len() && bytes.starts_with(rest);
            if !last && patterns.pairs().any(grows) {
                return (out, rest.to_vec());
            }
            let here = patterns.pairs().filter(|(bytes, _)| rest.starts_with(bytes));
            if let Some((bytes, replacement)) = here.max_by_key(|(bytes, _)| bytes.len()) {
                out.extend_from_slice(replacement);
                place += bytes.len();
            } else {
                out.push(rest[0]);
                place += 1;
            }
        }
        (out, Vec::new())
    }

    /// Cuts a text at these places, taken modulo what is left.
    fn cut<'t>(mut text: &'t [u8], lengths: &[usize]) -> Vec<&'t [u8]> {
        let mut chunks = Vec::new();
        for length in lengths {
            let (chunk, rest) = text.split_at(length % (text.len() + 1));
            chunks.push(chunk);
            text = rest;
        }
        chunks.push(text);
        chunks
    }

    /// Values of few different bytes, which overlap, begin with one another and have more than one line.
    fn values() -> impl Strategy<Value = Vec<Vec<u8>>> {
        vec(vec(prop::sample::select(b"aab\n\xff/".to_vec()), 4..14), 1..7)
    }

    /// A text of whole values, of pieces of them, and of bytes of both kinds.
    fn text_of(values: Vec<Vec<u8>>) -> impl Strategy<Value = (Vec<Vec<u8>>, Vec<u8>)> {
        let value = prop::sample::select(values.clone());
        let piece = (value.clone(), 0..14_usize, 0..14_usize).prop_map(|(value, from, to)| {
            let to = to.min(value.len());
            value[from.min(to)..to].to_vec()
        });
        let any = vec(prop::sample::select(b"ab\n\xff\x00x".to_vec()), 0..4);
        let parts = vec(prop_oneof![value, piece, any], 0..12);
        parts.prop_map(move |parts| (values.clone(), parts.concat()))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn any_chunks_give_what_the_whole_gives(
            (values, text) in values().prop_flat_map(text_of),
            lengths in vec(0..9_usize, 0..40),
        ) {
            let Some(patterns) = patterns(&values) else { return Ok(()) };
            let (decided, held) = plainly(&patterns, &text, false);
            let (whole, nothing) = plainly(&patterns, &text, true);
            prop_assert!(nothing.is_empty());
            for chunks in [vec![&*text], cut(&text, &lengths), text.chunks(1).collect()] {
                let (mut out, mut redactor) = pushed(&patterns, chunks);
                prop_assert_eq!((&out, &*redactor.held), (&decided, &held));
                prop_assert_eq!(redactor.is_holding(), !held.is_empty());
                redactor.flush(&mut out);
                prop_assert_eq!(&out, &whole);
                prop_assert!(!redactor.is_holding());
            }
        }

        #[test]
        fn output_without_values_passes_as_it_is(
            text in vec(any::<u8>(), 0..300),
            lengths in vec(0..99_usize, 0..9),
            value in "[a-z]{12}",
        ) {
            let patterns = patterns(&[value]).unwrap();
            let (mut out, mut redactor) = pushed(&patterns, cut(&text, &lengths));
            redactor.flush(&mut out);
            prop_assert_eq!(out, text);
            prop_assert!(!redactor.is_holding());
        }

        #[test]
        fn base64_around_a_value_shows_nothing_of_it(
            before in vec(any::<u8>(), 0..5),
            value in vec(any::<u8>(), 4..60),
            behind in vec(any::<u8>(), 0..5),
        ) {
            prop_assume!(value.trim_ascii() == value && patterns(&[&value]).is_some());
            for engine in [STANDARD, URL_SAFE] {
                let text = engine.encode([&*before, &*value, &*behind].concat());
                // The characters that have bits of the value and of nothing else.
                let from = (8 * before.len()).div_ceil(6);
                let to = 8 * (before.len() + value.len()) / 6;
                let shown = redacted(&[&value], &text);
                for window in text.as_bytes()[from..to].windows(6) {
                    let window = std::str::from_utf8(window).unwrap();
                    prop_assert!(!shown.contains(window), "{} is left of {}: {}", window, text, shown);
                }
            }
        }

        #[test]
        fn json_and_addresses_show_nothing_of_a_value(value in "\\PC{6,30}") {
            prop_assume!(value.trim_ascii() == value && patterns(&[&value]).is_some());
            let text = serde_json::to_string(&[&value]).unwrap();
            prop_assert_eq!(redacted(&[&value], text), "[\"[redacted V0]\"]");
            let escaped = |byte: u8| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    char::from(byte).to_string()
                }
                _ => format!("%{byte:02x}"),
            };
            let text: String = value.bytes().map(escaped).collect();
            prop_assert_eq!(redacted(&[&value], format!("?a={text}&b=")), "?a=[redacted V0]&b=");
        }
    }

    #[test]
    fn the_leftmost_match_counts_and_of_those_the_longest() {
        assert_eq!(
            redacted(&["abcdef", "defghi"], "-abcdefghi-defghi"),
            "-[redacted V0]ghi-[redacted V1]"
        );
        assert_eq!(
            redacted(&["token", "token-long"], "token-lon token-long"),
            "[redacted V0]-lon [redacted V1]"
        );
        // A short value inside what began as a long one, at the end of the output.
        assert_eq!(redacted(&["aaXbbbbYc", "bbbb"], "aaXbbbbY"), "aaX[redacted V1]Y");
        assert_eq!(redacted(&["twice"], "twicetwice"), "[redacted V0][redacted V0]");
    }

    #[test]
    fn a_prompt_is_held_only_until_the_flush() {
        let patterns = patterns(&["word1234"]).unwrap();
        let (mut out, mut redactor) = pushed(&patterns, [b"Pass w".as_slice()]);
        assert_eq!((&*out, redactor.is_holding()), (b"Pass ".as_slice(), true));
        redactor.flush(&mut out);
        assert_eq!((&*out, redactor.is_holding()), (b"Pass w".as_slice(), false));
        // What a pause cuts in two is not found: the price of showing prompts.
        redactor.push(b"ord1234\n", &mut out);
        assert_eq!(out, b"Pass word1234\n");
        assert!(!redactor.is_holding());
    }

    #[test]
    fn a_line_is_not_held_when_no_value_begins_at_its_end() {
        let patterns = patterns(&["word1234\nsecond line", "=/lines"]).unwrap();
        for line in ["a log line\n", "word123\n", "word1234 \n", "password: ", "word1234\nx"] {
            assert!(!pushed(&patterns, [line.as_bytes()]).1.is_holding(), "{line}");
        }
        // Decided with its last byte, as nothing longer begins with it.
        let (out, redactor) = pushed(&patterns, [b"=/line".as_slice(), b"s"]);
        assert_eq!((&*out, redactor.is_holding()), (b"[redacted V1]".as_slice(), false));
    }

    #[test]
    fn a_value_of_lines_is_hidden_whole_on_a_terminal_and_line_by_line() {
        let key =
            "-----BEGIN KEY-----\nMIIEpAIBAAKCAQEA\nq83vEjRWeJASNFZ4\nrest\n-----END KEY-----\n";
        assert_eq!(redacted(&[key], format!("<{key}>")), "<[redacted V0]\n>");
        assert_eq!(redacted(&[key], key.replace('\n', "\r\n")), "[redacted V0]\r\n");
        let shown = redacted(&[key], key.replace('\n', "\n  | "));
        assert_eq!(
            shown,
            "-----BEGIN KEY-----\n  | [redacted V0]\n  | [redacted V0]\n  | rest\n  | -----END KEY-----\n  | "
        );
        assert_eq!(redacted(&[key], serde_json::to_string(key).unwrap()), "\"[redacted V0]\\n\"");
    }

    #[test]
    fn a_value_that_is_no_text_is_hidden_among_bytes_that_are_none() {
        let patterns = patterns(&[b"\xff\x00\xfe\x01".as_slice()]).unwrap();
        let (out, redactor) = pushed(&patterns, [b"\xff\xff\x00\xfe".as_slice(), b"\x01\xff\x80"]);
        assert_eq!(
            (&*out, redactor.is_holding()),
            (b"\xff[redacted V0]\xff\x80".as_slice(), false)
        );
    }

    #[test]
    fn a_value_as_long_as_a_variable_can_be_is_found_in_small_pieces() {
        let value = "0123456789abcdef".repeat(8191);
        let text = format!("<{value}{value}>");
        let (out, redactor) = pushed(&patterns(&[&value]).unwrap(), text.as_bytes().chunks(1000));
        assert_eq!(String::from_utf8(out).unwrap(), "<[redacted V0][redacted V0]>");
        assert!(!redactor.is_holding());
    }
}
