//! The limits of the text, checked line by line before any TOML is read (format.md, Limits).
//!
//! A TOML reader spends tens of bytes of memory for each byte of structure, and somebody else may have
//! written the file. So what is read is bounded first, in time and memory proportional to the file.

use super::Fault;

/// The whole file, in bytes.
pub(crate) const FILE_LIMIT: usize = 8 << 20;
pub(super) const LINE_LIMIT: usize = 2 << 20;
pub(super) const HEADER_LIMIT: usize = 200;
pub(super) const HEADERS_LIMIT: usize = 20_000;
/// A line that is anything but one string: keys of thousands of parts and deep arrays end here.
const PLAIN_LINE_LIMIT: usize = 1024;
pub(super) const STRUCTURE_LIMIT: usize = 1 << 20;

/// Where each line of a text begins, to tell the line of an offset.
pub(crate) struct Lines(Vec<usize>);

impl Lines {
    /// The number of the line, from 1, that holds the byte at `offset`.
    pub(crate) fn of(&self, offset: usize) -> usize {
        self.0.partition_point(|start| *start <= offset).max(1)
    }
}

/// Checks the limits and gives the lines.
pub(crate) fn scan(text: &str) -> Result<Lines, Fault> {
    if text.len() > FILE_LIMIT {
        return Err(Fault::integrity(None, "the file is over 8 MiB"));
    }
    let (mut starts, mut start) = (Vec::with_capacity(text.len() / 64), 0);
    let (mut headers, mut structure) = (0, 0);
    for whole in text.split_inclusive('\n') {
        starts.push(start);
        start += whole.len();
        let line = whole.strip_suffix('\n').unwrap_or(whole);
        let line = line.strip_suffix('\r').unwrap_or(line);
        let fault = |message: &str| Fault::integrity(Some(starts.len()), message);
        if line.len() > LINE_LIMIT {
            return Err(fault("the line is over 2 MiB"));
        }
        if is_conflict_marker(line.as_bytes()) {
            return Err(fault(CONFLICT).hint("`vault resolve` merges the versions that git has"));
        }
        if line.trim_start_matches([' ', '\t']).starts_with('[') {
            headers += 1;
            if line.len() > HEADER_LIMIT {
                return Err(fault("the header line is over 200 bytes"));
            }
            if headers > HEADERS_LIMIT {
                return Err(fault("the file has over 20,000 tables"));
            }
        }
        let string = one_string(line);
        if string.is_none() && line.len() > PLAIN_LINE_LIMIT {
            return Err(fault(
                "the line is over 1,024 bytes, and is not one field with one string",
            ));
        }
        structure += whole.len() - string.map_or(0, str::len);
        if structure > STRUCTURE_LIMIT {
            return Err(fault("the file has over 1 MiB outside its strings"));
        }
    }
    Ok(Lines(starts))
}

/// What is said of a conflict marker.
pub(crate) const CONFLICT: &str = "a git conflict marker: two versions of the file stand here";

/// The first line, from 1, on which git has left the mark of a conflict.
pub(crate) fn conflict_marker(text: &[u8]) -> Option<usize> {
    let mut lines = text.split(|byte| *byte == b'\n');
    let line = |line: &[u8]| is_conflict_marker(line.strip_suffix(b"\r").unwrap_or(line));
    lines.position(line).map(|index| index + 1)
}

fn is_conflict_marker(line: &[u8]) -> bool {
    line == b"======="
        || [b"<<<<<<<", b"|||||||", b">>>>>>>"].iter().any(|marker| line.starts_with(*marker))
}

/// The string of a line that is `field = "string"` and nothing else.
fn one_string(line: &str) -> Option<&str> {
    let blanks = [' ', '\t'];
    let (field, rest) = line.split_once('=')?;
    let field = field.trim_matches(blanks);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if field.is_empty() || !field.bytes().all(plain) {
        return None;
    }
    let string = rest.trim_matches(blanks).strip_prefix('"')?.strip_suffix('"')?;
    // Two searches for one byte each are faster than one for either: the library has those in vectors.
    let has = |byte: u8| string.as_bytes().contains(&byte);
    (!has(b'"') && !has(b'\\')).then_some(string)
}

/// The lines with a comment that the canonical writer would lose: a `#` anywhere but in our own first
/// line and below `[requests…]` headers. No valid text outside requests has a `#` in a string.
pub(crate) fn foreign_comments(text: &str, header: &str) -> Vec<usize> {
    if !text.as_bytes().get(1..).unwrap_or_default().contains(&b'#') {
        let not_ours = text.starts_with('#') && text.lines().next() != Some(header);
        return if not_ours { vec![1] } else { Vec::new() };
    }
    let mut found = Vec::new();
    let mut in_requests = false;
    for (index, line) in text.lines().enumerate() {
        if let Some(header) = line.trim_start().strip_prefix('[') {
            let rest = header.trim_start().strip_prefix("requests");
            in_requests = rest.is_some_and(|rest| rest.trim_start().starts_with(['.', ']']));
        }
        let ours = index == 0 && line == header;
        if !in_requests && !ours && line.contains('#') {
            found.push(index + 1);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        scan(text)
            .err()
            .map(|fault| format!("{:?} {}", fault.line(), fault.message()))
            .unwrap_or_default()
    }

    #[test]
    fn every_limit_is_refused_at_the_first_byte_over_it() {
        let value = |n: usize| format!("value = \"{}\"\n", "A".repeat(n));
        assert_eq!(refusal(&value(LINE_LIMIT - 10)), "");
        assert_eq!(refusal(&value(LINE_LIMIT - 9)), "Some(1) the line is over 2 MiB");
        assert_eq!(refusal(&format!("[{}]\n", "a".repeat(198))), "");
        assert!(
            refusal(&format!("\n [{}]\n", "a".repeat(198))).starts_with("Some(2) the header line")
        );
        assert_eq!(refusal(&"[a]\n".repeat(HEADERS_LIMIT)), "");
        assert!(refusal(&"[a]\n".repeat(HEADERS_LIMIT + 1)).starts_with("Some(20001)"));
        assert_eq!(refusal(&value(1 << 20).repeat(7)), "");
        assert!(refusal(&value(1 << 20).repeat(9)).starts_with("None the file is over 8 MiB"));
        assert_eq!(refusal(&"#\n".repeat(STRUCTURE_LIMIT / 2)), "");
        assert!(refusal(&"#\n".repeat(STRUCTURE_LIMIT / 2 + 1)).contains("outside its strings"));
        assert_eq!(refusal(&format!("#{}", "x".repeat(1023))), "");
        assert!(refusal(&format!("#{}", "x".repeat(1024))).contains("over 1,024 bytes"));
        assert!(refusal(&format!("a{} = 1", ".a".repeat(600))).contains("over 1,024 bytes"));
        assert!(
            refusal(&format!("a.b = \"{}\"", "x".repeat(1 << 10))).contains("over 1,024 bytes")
        );
    }

    #[test]
    fn conflict_markers_are_seen_and_padding_is_none() {
        for marker in ["<<<<<<< HEAD", "=======", "||||||| base", ">>>>>>> branch", "=======\r"] {
            assert!(
                refusal(&format!("a = 1\n{marker}\n")).starts_with("Some(2) a git conflict"),
                "{marker}"
            );
        }
        assert_eq!(refusal("value = \"=======\"\n======== \n"), "");
    }

    #[test]
    fn lines_are_told_from_offsets() {
        let lines = scan("ab\n\ncd").unwrap();
        assert_eq!([0, 2, 3, 4, 5, 99].map(|offset| lines.of(offset)), [1, 1, 2, 3, 3, 3]);
        assert_eq!(scan("").unwrap().of(0), 1);
    }

    #[test]
    fn only_comments_that_are_not_ours_are_named() {
        let found = |text: &str| foreign_comments(text, "# ours");
        assert!(found("# ours\na = 1\n").is_empty());
        assert_eq!(found("# theirs\na = 1\n"), [1]);
        assert_eq!(found("# ours\na = 1 # x\n[requests.b] # y\n# z\n[secrets.A]\n# w\n"), [2, 6]);
        assert_eq!(found("# ours\n[requestsx]\n# a\n"), [3]);
    }
}
