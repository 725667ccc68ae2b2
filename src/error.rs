//! The one error type: what is true, what to do about it, and which kind of failure it is.
//!
//! A message is lower case, one sentence, without a final period. It names the file, line, environment or
//! member, and never a value or a part of one. Text that comes from a file goes through
//! [`crate::vars::name::shown`] before it gets into a message. The exit status of each [`Kind`] is decided
//! in one place, `cli::report`.

use std::fmt;
use std::path::Path;

/// What sort of failure it is: scripts act on this, through the exit status and the code of `--json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// The command line can't be understood (2).
    Usage,
    /// An environment, a secret or a member isn't there (3).
    NotFound,
    /// No key, or the key opens nothing here (4).
    NoAccess,
    /// A stored or imported file is damaged, tampered with, or badly written (5).
    Integrity,
    /// Any other failure (1).
    Failed,
    /// `run`: the command was found and can't be executed (126).
    NotExecutable,
    /// `run`: the command was not found (127).
    NoCommand,
}

impl Kind {
    /// The word that stands for this kind in `--json` output.
    pub fn code(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::NotFound => "not-found",
            Self::NoAccess => "no-access",
            Self::Integrity => "integrity",
            Self::Failed => "failed",
            Self::NotExecutable => "not-executable",
            Self::NoCommand => "command-not-found",
        }
    }
}

/// A failure, told for the person who has to act on it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Error {
    kind: Kind,
    messages: Vec<String>,
    hint: Option<String>,
    environment: Option<String>,
    before_command: bool,
}

/// Shorthand for results that fail with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A failure of this kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self::several(kind, vec![message.into()])
    }

    /// A wrong command line.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// Something that isn't there.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, message)
    }

    /// A key that is missing or opens nothing.
    pub fn no_access(message: impl Into<String>) -> Self {
        Self::new(Kind::NoAccess, message)
    }

    /// A file that can't be believed or understood.
    pub fn integrity(message: impl Into<String>) -> Self {
        Self::new(Kind::Integrity, message)
    }

    /// A failure without a status of its own.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Kind::Failed, message)
    }

    /// A failed operation on a file: what was tried, on which path, and the system's reason.
    pub fn io(doing: &str, path: &Path, error: &std::io::Error) -> Self {
        Self::failed(format!("cannot {doing} `{}`: {}", shown_path(path), reason(error)))
    }

    /// Several findings of one kind that are told together, each on its own line.
    pub fn several(kind: Kind, messages: Vec<String>) -> Self {
        Self { kind, messages, hint: None, environment: None, before_command: false }
    }

    /// Adds the one action that helps, in the imperative.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the hint only if there is something to say.
    #[must_use]
    pub fn hint_if(self, hint: Option<String>) -> Self {
        match hint {
            Some(hint) => self.hint(hint),
            None => self,
        }
    }

    /// Puts what it comes from in front.
    #[must_use]
    pub(crate) fn within(mut self, source: &str) -> Self {
        self.messages = vec![format!("{source}: {self}")];
        self
    }

    /// The same as another sort of failure.
    #[must_use]
    pub(crate) fn of_kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// Says which environment it is about, for `--json`.
    #[must_use]
    pub fn about(mut self, environment: impl fmt::Display) -> Self {
        self.environment = Some(crate::vars::name::shown(&environment.to_string()));
        self
    }

    /// Says that a command was to be run, and its environment could not be had: that has an exit status
    /// of its own, which can't be mistaken for the command's.
    #[must_use]
    pub(crate) fn before_command(mut self) -> Self {
        self.before_command = true;
        self
    }

    /// Whether a command was to be run, and its environment could not be had.
    pub(crate) fn is_before_command(&self) -> bool {
        self.before_command
    }

    /// What sort of failure it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The sentences, mostly one.
    pub fn messages(&self) -> &[String] {
        &self.messages
    }

    /// The action that helps, if there is one.
    pub fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The environment it is about, if it is about one.
    pub fn environment(&self) -> Option<&str> {
        self.environment.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.messages.join("; "))
    }
}

impl std::error::Error for Error {}

/// A path as it may be shown: with control characters made visible.
pub(crate) fn shown_path(path: &Path) -> String {
    crate::vars::name::shown(&path.to_string_lossy())
}

/// The system's reason in its own words, in lower case and without the error number.
pub(crate) fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut chars = text.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_io_error_names_its_path_and_reason_without_a_number() {
        let error = std::io::Error::from_raw_os_error(2);
        let told = Error::io("read", Path::new("envs/a\u{1b}.toml"), &error).to_string();
        assert_eq!(told, "cannot read `envs/a\\u{1b}.toml`: no such file or directory");
    }
}
