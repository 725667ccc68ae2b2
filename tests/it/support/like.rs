//! Expected text with holes: `[..]` stands for anything inside a line, a line
//! that is only `...` for any number of lines, none included.

const ANY_TEXT: &str = "[..]";
const ANY_LINES: &str = "...";

/// Whether the whole of `text` is what `pattern` describes. The final newline
/// counts: `"a"` is not like `"a\n"`.
pub(crate) fn is_like(pattern: &str, text: &str) -> bool {
    let pattern: Vec<&str> = pattern.split('\n').collect();
    let text: Vec<&str> = text.split('\n').collect();
    // The classic matching of one kind of star: after a mismatch only the last
    // star can help, so there is one place to come back to.
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        if p < pattern.len() && pattern[p] == ANY_LINES {
            retry = Some((p, t));
            p += 1;
        } else if p < pattern.len() && line_is_like(pattern[p], text[t]) {
            p += 1;
            t += 1;
        } else if let Some((star, from)) = retry {
            retry = Some((star, from + 1));
            p = star + 1;
            t = from + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|line| *line == ANY_LINES)
}

fn line_is_like(pattern: &str, line: &str) -> bool {
    let Some((start, rest)) = pattern.split_once(ANY_TEXT) else {
        return pattern == line;
    };
    let Some(mut line) = line.strip_prefix(start) else {
        return false;
    };
    let (middle, end) = rest.rsplit_once(ANY_TEXT).unwrap_or(("", rest));
    // The leftmost place for each part leaves the most room for those after it.
    for part in middle.split(ANY_TEXT) {
        let Some(at) = line.find(part) else {
            return false;
        };
        line = &line[at + part.len()..];
    }
    line.ends_with(end)
}
