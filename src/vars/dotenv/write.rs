//! The writer of the canonical form.

use zeroize::Zeroizing;

use super::check_controls;
use crate::vars::name::VarName;

/// A variable that a text format cannot hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {why}")]
pub(crate) struct Unrepresentable {
    /// Its name.
    pub(crate) name: VarName,
    /// What stands in the way.
    pub(crate) why: Why,
}

/// Why a variable is [`Unrepresentable`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Why {
    /// The value is not text.
    #[error("the value is not UTF-8")]
    NotUtf8,
    /// The value holds NUL.
    #[error("the value holds a NUL byte")]
    Nul,
    /// The value holds a line end, which ends a line of the format.
    #[error("the value holds a line end")]
    LineEnd,
    /// The value ends in CR, which the format takes for a part of the line's end.
    #[error("the value ends in a carriage return")]
    EndsInCr,
    /// The value holds CR LF.
    #[error("the value holds a carriage return at the end of a line")]
    CrLf,
    /// The line would be longer than its reader takes.
    #[error("the value makes a line of over 64 KiB")]
    LineTooLong,
    /// The value holds `"""`.
    #[error("the value holds three double quotes in a row")]
    ThreeQuotes,
    /// The value holds quotes of both kinds, and what would begin a comment.
    #[error("the value holds quotes with a `#` between them")]
    QuoteAndComment,
    /// The value is not in Unicode's form NFC, into which the reader puts it.
    #[error("the value holds letters with accents in parts")]
    NotComposed,
    /// The value would reach its program with escapes in it.
    #[error("the value holds a backslash or a control character")]
    Dumped,
    /// The note would not be read back.
    #[error("the note holds a control character")]
    NoteControl,
}

/// The canonical file: what [`parse`](super::parse) reads back as it was, and what most other
/// programs read right.
pub(crate) fn write<'a>(
    entries: impl Iterator<Item = (&'a VarName, &'a [u8], &'a str)>,
) -> Result<Zeroizing<Vec<u8>>, Unrepresentable> {
    let entries: Vec<_> = entries.collect();
    // Room for the longest form of all: a buffer that grows leaves copies of
    // values behind.
    let room = entries.iter().map(|(name, value, note)| {
        name.as_str().len() + 2 * value.len() + 3 * note.len() + "# \n=\"\"\n".len()
    });
    let mut out = Zeroizing::new(Vec::with_capacity(room.sum()));
    for (name, value, note) in entries {
        check(value, note).map_err(|why| Unrepresentable { name: name.clone(), why })?;
        write_note(&mut out, note);
        out.extend_from_slice(name.as_str().as_bytes());
        out.push(b'=');
        write_value(&mut out, value);
        out.push(b'\n');
    }
    Ok(out)
}

/// Whether [`parse`](super::parse) would read them back.
fn check(value: &[u8], note: &str) -> Result<(), Why> {
    std::str::from_utf8(value).map_err(|_| Why::NotUtf8)?;
    if value.contains(&0) {
        return Err(Why::Nul);
    }
    let mut lines = note.split('\n');
    lines.try_for_each(check_controls).map_err(|_| Why::NoteControl)
}

/// Writes a note as comment lines.
pub(super) fn write_note(out: &mut Vec<u8>, note: &str) {
    if note.is_empty() {
        return;
    }
    for line in note.split('\n') {
        out.extend_from_slice(if line.is_empty() { b"#" } else { b"# " });
        out.extend_from_slice(line.as_bytes());
        out.push(b'\n');
    }
}

/// Writes a value in the plainest form that can hold it.
pub(super) fn write_value(out: &mut Vec<u8>, value: &[u8]) {
    if value.iter().all(|byte| is_plain(*byte)) {
        out.extend_from_slice(value);
    } else if value.iter().any(|byte| matches!(byte, b'\'' | b'\r' | b'\n')) {
        out.push(b'"');
        for byte in value {
            write_escaped(out, *byte);
        }
        out.push(b'"');
    } else {
        out.push(b'\'');
        out.extend_from_slice(value);
        out.push(b'\'');
    }
}

/// What needs no quotes in any program.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_./:@%+,=-".contains(&byte)
}

/// Writes one byte of a value for double quotes.
fn write_escaped(out: &mut Vec<u8>, byte: u8) {
    match byte {
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'"' | b'\\' | b'$' | b'`' => out.extend_from_slice(&[b'\\', byte]),
        byte => out.push(byte),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::vars::dotenv::parse;

    /// The values of `export_vectors.json`.
    fn vectors() -> Value {
        let text = include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/data/dotenv_dialects/export_vectors.json"
        ));
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn writes_the_observed_form() {
        let data = vectors();
        let cases = data["vectors"].as_array().unwrap();
        assert_eq!(cases.len(), 45);
        let name: VarName = "K".parse().unwrap();
        for case in cases {
            let value = case["value"].as_str().unwrap();
            let text = write([(&name, value.as_bytes(), "")].into_iter()).unwrap();
            let want = case["formats"]["dotenv"].as_str();
            assert_eq!(std::str::from_utf8(&text).ok(), want, "vector {}", case["id"]);
        }
    }

    #[test]
    fn refuses_by_name_what_it_cannot_hold() {
        let name: VarName = "K".parse().unwrap();
        for (value, note, why) in [
            (&b"x\xff"[..], "", Why::NotUtf8),
            (b"x\0", "", Why::Nul),
            (b"x", "a\rb", Why::NoteControl),
        ] {
            let error = write([(&name, value, note)].into_iter()).unwrap_err();
            assert_eq!(error, Unrepresentable { name: name.clone(), why });
        }
        let error = Unrepresentable { name, why: Why::Nul };
        assert_eq!(error.to_string(), "K: the value holds a NUL byte");
    }

    #[test]
    fn the_buffer_of_the_writer_never_grows() {
        let name: VarName = "K".parse().unwrap();
        let many = "\n".repeat(50);
        let text = write([(&name, many.as_bytes(), many.as_str()); 9].into_iter()).unwrap();
        assert_eq!(text.capacity(), 9 * (1 + 2 * 50 + 3 * 50 + 7));
    }

    proptest! {
        #[test]
        fn reads_back_what_it_wrote(
            pairs in proptest::collection::vec(
                ("(['\"\\\\$`#=\r\n\t nrA]|[^\0]){0,24}", "([ #=\t\n]|\\PC){0,12}"),
                0..4,
            ),
        ) {
            let names: Vec<VarName> =
                (0..pairs.len()).map(|i| format!("K{i}").parse().unwrap()).collect();
            let all = names.iter().zip(&pairs);
            let text = write(all.map(|(name, (value, note))| (name, value.as_bytes(), &**note)));
            let read: Vec<_> = parse(&text.unwrap())
                .unwrap()
                .into_iter()
                .map(|entry| (entry.value.expose_str().unwrap().to_owned(), entry.note))
                .collect();
            prop_assert_eq!(read, pairs);
        }
    }
}
