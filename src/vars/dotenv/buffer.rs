//! The text in which a person edits an environment: the strict dialect, with a few lines of our own.
//!
//! Lines that begin with `#:` are ours: they explain, name problems, and stand for values that no text can
//! hold. They are never read back. Any other comment is the note of the variable under it.

use zeroize::Zeroizing;

use super::read::parse_edited;
use super::write::{write_note, write_value};
use super::{Entry, Problem, check_controls};
use crate::vars::name::VarName;

/// What a line of ours begins with.
pub(crate) const OURS: &str = "#:";

/// One variable as it is stored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stored<'a> {
    /// Its name.
    pub(crate) name: &'a VarName,
    /// Its value.
    pub(crate) value: &'a [u8],
    /// Its note.
    pub(crate) note: &'a str,
    /// It is given to programs as a file.
    pub(crate) is_file: bool,
}

impl Stored<'_> {
    /// Whether it can be edited as text. Control characters can't: an editor would show or save them as
    /// something else.
    pub(crate) fn is_text(&self) -> bool {
        let plain = |c: char| !c.is_control() || matches!(c, '\n' | '\t' | '\r');
        !self.is_file
            && std::str::from_utf8(self.value).is_ok_and(|text| text.chars().all(plain))
            && self.note.split('\n').all(|line| check_controls(line).is_ok())
    }
}

/// The text for these variables, with `head` above it.
pub(crate) fn compose(head: &[String], stored: &[Stored<'_>]) -> Zeroizing<Vec<u8>> {
    // Room for the longest form of all: a buffer that grows leaves copies of values behind.
    let room = stored
        .iter()
        .map(|one| one.name.as_str().len() + 2 * one.value.len() + 3 * one.note.len() + 64);
    let above: usize = head.iter().map(|line| line.len() + OURS.len() + 2).sum();
    let mut out = Zeroizing::new(Vec::with_capacity(above + room.sum::<usize>() + 1));
    for line in head {
        own_line(&mut out, line);
    }
    out.push(b'\n');
    for one in stored {
        if !one.is_text() {
            let what = if one.is_file { "a file secret" } else { "not text" };
            own_line(&mut out, &format!("{}: {what}, kept as it is", one.name));
            continue;
        }
        // A note belongs to what follows, and to nothing before.
        if !one.note.is_empty() && !out.ends_with(b"\n\n") {
            out.push(b'\n');
        }
        write_note(&mut out, one.note);
        out.extend_from_slice(one.name.as_str().as_bytes());
        out.push(b'=');
        if one.value.contains(&b'\n') && !one.value.iter().any(|byte| b"'\r".contains(byte)) {
            out.push(b'\'');
            out.extend_from_slice(one.value);
            out.push(b'\'');
        } else {
            write_value(&mut out, one.value);
        }
        out.push(b'\n');
    }
    out
}

/// Puts these lines of ours in the place of those at the top of a text.
pub(crate) fn with_head(head: &[String], text: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut rest = text;
    while rest.starts_with(OURS.as_bytes()) {
        let end = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |end| end + 1);
        rest = rest.get(end..).unwrap_or_default();
    }
    let above: usize = head.iter().map(|line| line.len() + OURS.len() + 2).sum();
    let mut out = Zeroizing::new(Vec::with_capacity(above + rest.len()));
    for line in head {
        own_line(&mut out, line);
    }
    out.extend_from_slice(rest);
    out
}

fn own_line(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(OURS.as_bytes());
    if !text.is_empty() {
        out.push(b' ');
        out.extend_from_slice(text.as_bytes());
    }
    out.push(b'\n');
}

/// Reads the text back, or gives everything that is wrong in it. A comment that would be lost is wrong.
pub(crate) fn read(text: &[u8]) -> Result<Vec<Entry>, Vec<Problem>> {
    parse_edited(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Code;
    use super::*;

    fn name(text: &str) -> VarName {
        text.parse().unwrap()
    }

    fn lines(text: &str) -> Vec<(usize, Code)> {
        read(text.as_bytes()).unwrap_err().iter().map(|one| (one.line, one.code)).collect()
    }

    #[test]
    fn what_is_written_reads_as_it_was_and_what_is_no_text_is_named() {
        let names = ["A", "B", "C", "D", "E"].map(name);
        let values: [(&[u8], &str); 5] = [
            (b"plain", ""),
            (b"two\nlines", "why\n\nand how"),
            (b"\xff", ""),
            (b"it's\ntwo", ""),
            (b"with\x1b", ""),
        ];
        let stored: Vec<Stored<'_>> = names
            .iter()
            .zip(values)
            .map(|(name, (value, note))| Stored {
                name,
                value,
                note,
                is_file: name.as_str() == "F",
            })
            .collect();
        let text = compose(&["staging".to_owned(), String::new()], &stored);
        let want = "#: staging\n#:\n\nA=plain\n\n# why\n#\n# and how\nB='two\nlines'\n\
                    #: C: not text, kept as it is\nD=\"it's\\ntwo\"\n#: E: not text, kept as it is\n";
        assert_eq!(std::str::from_utf8(&text), Ok(want));
        let read = read(&text).unwrap();
        let names: Vec<&str> = read.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["A", "B", "D"]);
        assert_eq!(read[1].note, "why\n\nand how");
    }

    #[test]
    fn a_comment_that_would_be_lost_is_a_problem() {
        assert_eq!(lines("# lost\n\nA=1\n"), [(1, Code::StrayComment)]);
        assert_eq!(lines("A=1\n# a\n# b\n"), [(2, Code::StrayComment)]);
        assert_eq!(lines("A='1' # why\n"), [(1, Code::CommentBehind)]);
        assert!(read(b"#: ours\n\n#: ours\nA='#: not ours'\n#: ours\n").is_ok());
    }

    #[test]
    fn the_head_is_replaced_and_nothing_else() {
        let text = with_head(&["line 2: x".to_owned()], b"#: old\n#:\n\nA=1\n#: B: kept\n");
        assert_eq!(&text[..], b"#: line 2: x\n\nA=1\n#: B: kept\n");
    }

    proptest! {
        #[test]
        fn any_value_and_note_comes_back(value in "[ -~\n\té☃']{0,40}", note in "([ -~é]{1,10}(\n[ -~é]{0,10}){0,3})?") {
            prop_assume!(note.is_empty() || !note.starts_with(' ') || note.trim() == note);
            let name = name("A");
            let stored = [Stored { name: &name, value: value.as_bytes(), note: &note, is_file: false }];
            let read = read(&compose(&[], &stored)).unwrap();
            prop_assert_eq!(read[0].value.expose(), value.as_bytes());
            prop_assert_eq!(&read[0].note, &note);
        }
    }
}
