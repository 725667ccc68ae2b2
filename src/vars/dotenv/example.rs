//! `.env.example`: which variables an app wants. Only names are read; values there are examples.

use crate::vars::name::VarName;

/// The names that are set in the text, in its order. Lines that set none are passed over, and so are those within
/// a quoted value: no reader of such a file ever agreed on more.
pub(crate) fn names(text: &[u8]) -> Vec<VarName> {
    let text = String::from_utf8_lossy(text);
    let mut names = Vec::new();
    let mut lines = text.trim_start_matches('\u{feff}').lines();
    while let Some(line) = lines.next() {
        let Some((name, value)) = line.split_once('=') else { continue };
        let name = name.trim();
        let name = name.strip_prefix("export ").unwrap_or(name).trim_start();
        let Ok(name) = name.parse() else { continue };
        names.push(name);
        let value = value.trim_start();
        if let Some(quote) = value.chars().next().filter(|c| matches!(c, '"' | '\'')) {
            let closes = |text: &str| text.replace("\\\"", "").contains(quote);
            // One that never closes takes nothing with it.
            let mut ahead = lines.clone();
            if !closes(value.get(1..).unwrap_or_default()) && ahead.any(closes) {
                lines = ahead;
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_are_set_count() {
        let text = b"\xef\xbb\xbfA=\n# B=1\n  export C = x # y\nD: z\nE='two\nF=lines'\nG=\"open\nH=\\\"\nI-J=1\n\xff=1\nK=it's\nL=";
        let names = names(text);
        let names: Vec<&str> = names.iter().map(VarName::as_str).collect();
        assert_eq!(names, ["A", "C", "E", "G", "H", "K", "L"]);
    }
}
