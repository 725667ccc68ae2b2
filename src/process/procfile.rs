//! The Procfile, read as Honcho reads it, with what Honcho leaves out in silence told by line.

use crate::error::{Error, Kind, Result, shown_path};
use crate::vars::lines::lines;
use crate::vars::name::{nearest, shown};
use std::path::Path;

/// A process type: a name and the shell command that stands behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProcessType {
    /// `[A-Za-z0-9_-]+`.
    pub(crate) name: String,
    /// What `/bin/sh -c` gets, to the byte.
    pub(crate) command: String,
    /// Where it stands in the file, from 1.
    pub(crate) line: usize,
}

/// A line that is no process, no comment and not blank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ignored {
    /// Where it stands in the file, from 1.
    pub(crate) line: usize,
    /// Why it is none.
    pub(crate) why: &'static str,
}

/// All process types of a file, in its order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Procfile {
    /// The types.
    pub(crate) types: Vec<ProcessType>,
    /// The lines that were left out.
    pub(crate) ignored: Vec<Ignored>,
}

/// The type that runs first and to its end, before all others are started.
pub(crate) const RELEASE: &str = "release";

impl Procfile {
    /// Reads the bytes of the file at `path`.
    ///
    /// A line is a process if it matches `^([A-Za-z0-9_-]+):\s*(.+)$`; there are no continuation lines and
    /// no variables. A file without any process is valid.
    ///
    /// # Errors
    ///
    /// It isn't UTF-8, or names a type twice.
    pub(crate) fn parse(bytes: &[u8], path: &Path) -> Result<Self> {
        let told = shown_path(path);
        let text = std::str::from_utf8(bytes)
            .map_err(|_| Error::failed(format!("{told}: not UTF-8 text")))?;
        let mut procfile = Self::default();
        for (index, line) in lines(text).enumerate() {
            let number = index + 1;
            let Some((name, command)) = process(line) else {
                if !line.trim().is_empty() && !line.trim_start().starts_with('#') {
                    procfile.ignored.push(Ignored { line: number, why: why_not(line) });
                }
                continue;
            };
            if let Some(first) = procfile.find(name) {
                let message = format!(
                    "{told}:{number}: the process type `{name}` is there already, on line {}",
                    first.line
                );
                return Err(Error::failed(message).hint("give one of them another name"));
            }
            procfile.types.push(ProcessType {
                name: name.to_owned(),
                command: command.to_owned(),
                line: number,
            });
        }
        Ok(procfile)
    }

    /// The type of this name.
    pub(crate) fn find(&self, name: &str) -> Option<&ProcessType> {
        self.types.iter().find(|one| one.name == name)
    }

    /// The names, in the order of the file.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.types.iter().map(|one| one.name.as_str())
    }

    /// Tells each line of the file at `path` that was left out.
    pub(crate) fn notices(&self, path: &Path) -> impl Iterator<Item = String> {
        let told = shown_path(path);
        let line = move |one: &Ignored| format!("{told}:{}: not a process: {}", one.line, one.why);
        self.ignored.iter().map(line)
    }

    /// Whether `name` is neither a type nor, as in `web.1`, a process of one. With what was perhaps meant, to
    /// be said behind it.
    pub(crate) fn lacks(&self, name: &str) -> Option<String> {
        let type_name = name.split('.').next().unwrap_or_default();
        if self.find(name).or_else(|| self.find(type_name)).is_some() {
            return None;
        }
        let near = nearest(name, self.names());
        Some(near.map_or_else(String::new, |near| format!("; did you mean `{near}`?")))
    }

    /// The error for a type that isn't there, with the near name or all of them.
    pub(crate) fn unknown(&self, name: &str) -> Error {
        let error = Error::new(
            Kind::Failed,
            format!("process type `{}` does not exist in the Procfile", shown(name)),
        );
        match nearest(name, self.names()) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => {
                error.hint(format!("the types are {}", self.names().collect::<Vec<_>>().join(", ")))
            }
        }
    }
}

/// The name and the command of a line that is a process.
fn process(line: &str) -> Option<(&str, &str)> {
    let (name, behind) = line.split_once(':')?;
    if name.is_empty() || !name.bytes().all(is_name_byte) {
        return None;
    }
    let command = behind.trim_start_matches(is_blank);
    if !command.is_empty() {
        return Some((name, command));
    }
    // Only blanks: the expression leaves the last of them to the command, so that it matches.
    let last = behind.char_indices().next_back()?.0;
    Some((name, &behind[last..]))
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

/// What `\s` means in Python: white space, and the separators of ASCII, which never get here.
fn is_blank(c: char) -> bool {
    c.is_whitespace()
}

fn why_not(line: &str) -> &'static str {
    if line.starts_with('\u{feff}') {
        return "it begins with a byte order mark";
    }
    if line.starts_with(is_blank) {
        return "it begins with a blank";
    }
    match line.split_once(':') {
        None => "it has no colon",
        Some(("", _)) => "there is no name before the colon",
        Some((_, "")) => "there is no command behind the colon",
        Some((name, _)) if name.trim_end().bytes().all(is_name_byte) => {
            "there is a blank before the colon"
        }
        Some(_) => "a name is letters, digits, `-` and `_`",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Procfile> {
        Procfile::parse(text.as_bytes(), Path::new("Procfile"))
    }

    fn pairs(text: &str) -> Vec<(String, String)> {
        let types = parse(text).unwrap().types;
        types.into_iter().map(|one| (one.name, one.command)).collect()
    }

    #[test]
    fn names_and_commands_are_taken_as_they_stand() {
        let found = pairs("web: a $PORT  \r\nw-1:b:c # d\nx_Y:\t e\u{2028}z: \n");
        let wanted = [("web", "a $PORT  "), ("w-1", "b:c # d"), ("x_Y", "e"), ("z", " ")]
            .map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(found, wanted);
    }

    #[test]
    fn what_is_no_process_is_told_with_its_line_and_reason() {
        let text = "\u{feff}a: 1\n# c\n\n  # d\n b: 1\nc : 1\nd.e: 1\nf:\ng\n: 1\n";
        let ignored = parse(text).unwrap().ignored;
        let told: Vec<_> = ignored.iter().map(|one| (one.line, one.why)).collect();
        assert_eq!(
            told,
            [
                (1, "it begins with a byte order mark"),
                (5, "it begins with a blank"),
                (6, "there is a blank before the colon"),
                (7, "a name is letters, digits, `-` and `_`"),
                (8, "there is no command behind the colon"),
                (9, "it has no colon"),
                (10, "there is no name before the colon"),
            ]
        );
    }

    #[test]
    fn a_name_given_twice_and_other_bytes_are_refused_and_nothing_is_valid() {
        assert_eq!(parse("").unwrap(), Procfile::default());
        let error = parse("a: 1\nb: 2\na: 3").unwrap_err().to_string();
        assert_eq!(error, "Procfile:3: the process type `a` is there already, on line 1");
        assert!(Procfile::parse(b"a: \xff", Path::new("P")).is_err());
    }
}
