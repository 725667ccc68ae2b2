//! Lines as Python's `str.splitlines` cuts them, which is how Honcho cuts its files.

/// The lines of a text, without their ends. CR LF is one end; behind the last end stands no line.
///
/// The boundaries are those in Python's documentation of `str.splitlines`.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest.find(is_line_boundary).unwrap_or(rest.len());
        let (line, behind) = rest.split_at(end);
        let length = if behind.starts_with("\r\n") {
            2
        } else {
            behind.chars().next().map_or(0, char::len_utf8)
        };
        rest = behind.get(length..).unwrap_or_default();
        Some(line)
    })
}

fn is_line_boundary(c: char) -> bool {
    matches!(
        c,
        '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_boundary_ends_a_line_and_no_other_character_does() {
        let text = "a\r\nb\n\rc\u{b}d\u{c}e\u{1c}f\u{1d}g\u{1e}h\u{85}i\u{2028}j\u{2029}";
        let found: Vec<_> = lines(text).collect();
        assert_eq!(found, ["a", "b", "", "c", "d", "e", "f", "g", "h", "i", "j"]);
        assert_eq!(lines("a\u{1f}\t\u{a0}\u{feff}b").count(), 1);
        assert_eq!((lines("").count(), lines("\n").count()), (0, 1));
    }
}
