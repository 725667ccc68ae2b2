//! Where values stand in a text that is there whole.
//!
//! What is hidden in output is looked for in files here, by the same patterns. A file is not the output of a
//! program that was given the value, so a short match says less: it counts only where it stands alone.

use super::patterns::{Patterns, Verdict};
use crate::vars::scan::{begins_word, ends_word};

/// Shorter matches have to stand alone: four characters stand somewhere in every long base64 text.
const SHORTEST_INSIDE: usize = 8;

impl Patterns {
    /// Hands to `each` where a value begins, and what it is told as: the leftmost, of those the longest, and
    /// from its end on the next one.
    pub(crate) fn find<'p>(&'p self, text: &[u8], mut each: impl FnMut(usize, &'p [u8])) {
        let mut rest = text;
        loop {
            rest = self.skip(rest);
            if rest.is_empty() {
                return;
            }
            let at = text.len().saturating_sub(rest.len());
            let taken = match self.judge(rest, true) {
                Verdict::Value { length, replacement } => {
                    let alone = || begins_word(text, at) && ends_word(text, at + length);
                    if length >= SHORTEST_INSIDE || alone() {
                        each(at, replacement);
                        length
                    } else {
                        1
                    }
                }
                // With the whole text at hand nothing is open.
                Verdict::Open | Verdict::Plain => 1,
            };
            rest = rest.get(taken..).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;
    use crate::secret::Secret;

    fn found(values: &[&str], text: &str) -> Vec<(usize, String)> {
        let secrets: Vec<Secret> =
            values.iter().map(|value| Secret::from((*value).to_owned())).collect();
        let told = secrets.iter().enumerate().map(|(place, value)| (format!("V{place}"), value));
        let mut found = Vec::new();
        if let Some(patterns) = Patterns::told_as(told) {
            patterns.find(text.as_bytes(), |at, told| {
                found.push((at, String::from_utf8_lossy(told).into_owned()));
            });
        }
        found
    }

    #[test]
    fn a_value_is_found_in_every_form_and_a_short_one_only_where_it_stands_alone() {
        let one = |at, told: &str| vec![(at, told.to_owned())];
        assert_eq!(found(&["correct horse"], "a correct horse."), one(2, "V0"));
        assert_eq!(found(&["correct horse"], "?a=correct%20horse&b"), one(3, "V0"));
        assert_eq!(found(&["kT9vwxyz"], "akT9vwxyzb kT9vwxyz").len(), 2);
        for text in ["kT9v", "'kT9v'", "A=kT9v\n", "a\\nkT9v"] {
            assert_eq!(found(&["kT9v"], text).len(), 1, "{text}");
        }
        for text in ["akT9v", "kT9v_", "kT9vkT9v", "true", ""] {
            assert_eq!(found(&["kT9v", "true"], text), [], "{text}");
        }
        // The first of two names tells it.
        assert_eq!(found(&["same value", "same value"], "same value"), one(0, "V0"));
    }

    proptest! {
        #[test]
        fn base64_of_a_text_with_a_value_in_it_is_found(
            before in "[a-z]{0,5}", value in "[A-Za-z0-9!]{12,30}", after in "[a-z]{0,5}",
        ) {
            let text = STANDARD.encode(format!("{before}{value}{after}"));
            prop_assert_eq!(found(&[&value], &text).len(), 1);
        }
    }
}
