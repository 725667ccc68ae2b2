//! Which parts of a dotenv text are hidden.
//!
//! The screen shows what the file in git shows, which is names: values and notes (comments) are encrypted
//! there, so they are hidden here. A note may hold the value that was there before. What is not understood
//! is hidden too: it may be the middle of a key that was pasted badly.

use crate::vars::name::VarName;

/// What of a line is hidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mask {
    /// Nothing.
    Nothing,
    /// What follows these bytes.
    Behind(usize),
}

/// What may stand around names and values.
const BLANKS: [char; 2] = [' ', '\t'];

/// What can go on below; the longer ones, which are refused on saving, hide what they hold meanwhile.
const QUOTES: [&str; 4] = ["\"\"\"", "'''", "\"", "'"];

/// What is hidden of each line.
pub(super) fn masks(lines: &[String]) -> Vec<Mask> {
    let mut open = None;
    lines.iter().map(|line| mask(line, &mut open)).collect()
}

/// `open` is the quote that an earlier line has opened.
fn mask(line: &str, open: &mut Option<&'static str>) -> Mask {
    if let Some(quote) = *open {
        if closes(line, quote) {
            *open = None;
        }
        return Mask::Behind(0);
    }
    let start = line.trim_start_matches(BLANKS);
    if start.trim_end_matches('\r').is_empty() {
        return Mask::Nothing;
    }
    if start.starts_with('#') {
        return Mask::Behind(line.len() - start.len() + 1);
    }
    let Some((head, value)) = line.split_once('=') else { return Mask::Behind(0) };
    let name = head.trim_matches(BLANKS);
    let name = match name.strip_prefix("export") {
        Some(behind) if behind.starts_with(BLANKS) => behind.trim_start_matches(BLANKS),
        _ => name,
    };
    // The value of a line with a bad name may go on below all the same.
    let value = value.trim_start_matches(BLANKS);
    let quote = QUOTES.into_iter().find(|quote| value.starts_with(quote));
    *open = quote.filter(|quote| !closes(value.strip_prefix(quote).unwrap_or_default(), quote));
    if name.parse::<VarName>().is_ok() { Mask::Behind(head.len() + 1) } else { Mask::Behind(0) }
}

/// Whether the quote ends in this part of a value. What a backslash at the end of a line escapes is the end
/// of the line, so each line can be looked at alone.
fn closes(part: &str, quote: &str) -> bool {
    if quote.len() > 1 {
        return part.contains(quote);
    }
    let mut escaped = false;
    part.chars().any(|c| {
        let closes = quote.starts_with(c) && !escaped;
        escaped = quote == "\"" && c == '\\' && !escaped;
        closes
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(text: &str) -> Vec<String> {
        let lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
        let masks = masks(&lines);
        let show = |(line, mask): (&String, Mask)| match mask {
            Mask::Nothing => line.clone(),
            Mask::Behind(at) => format!("{}*", &line[..at]),
        };
        lines.iter().zip(masks).map(show).collect()
    }

    #[test]
    fn names_are_seen_and_nothing_else() {
        assert_eq!(seen("A=1\n\n  export B = 2\nC="), ["A=*", "", "  export B =*", "C=*"]);
        assert_eq!(seen("# was hunter2\n \t#x"), ["#*", " \t#*"]);
        assert_eq!(seen("MIIEpAIBAAKC\nab/c==\n9A=1\n=x"), ["*", "*", "*", "*"]);
    }

    #[test]
    fn a_quoted_value_is_hidden_to_its_end_and_no_further() {
        assert_eq!(seen("A=\"x\n#y\nB=z\"\nC=1"), ["A=*", "*", "*", "C=*"]);
        assert_eq!(seen("A='x\n\\'\nC=1"), ["A=*", "*", "C=*"]);
        assert_eq!(seen("A=\"\\\"\nN=\\\\\"\nC=1"), ["A=*", "*", "C=*"]);
        assert_eq!(seen("A=\"\"\"x\nB=\"\n\"\"\"\nC=1"), ["A=*", "*", "*", "C=*"]);
        assert_eq!(seen("A=\"1\" # it's\nB=it's\nC=1"), ["A=*", "B=*", "C=*"]);
        assert_eq!(seen("A=\"open\nB=1\n\nC=2"), ["A=*", "*", "*", "*"]);
    }

    #[test]
    fn a_bad_name_hides_no_less() {
        assert_eq!(seen("bad name='x\nB=1'\nC=1"), ["*", "*", "C=*"]);
    }
}
