//! What was found, for people, programs, and GitHub's pages.

use serde_json::json;

use super::Context;
use crate::error::{Error, Result};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// It is as it should be.
    Fine,
    /// It will not work, or can't be trusted.
    Error,
    /// It may not be what was meant.
    Warning,
    /// What was found in order, or was not looked at.
    Note,
}

impl Level {
    /// For people and programs.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Fine => "ok",
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// How findings are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Form {
    /// A line each
    Text,
    /// Commands for a step of GitHub Actions, which shows them beside the lines of the files
    Github,
}

/// One of them.
struct Finding {
    level: Level,
    message: String,
    /// The file, as seen from the project, and the line, from 1.
    place: Option<(String, usize)>,
}

/// What was found so far.
#[derive(Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    pub(super) fn error(&mut self, text: impl Into<String>) {
        self.add(Level::Error, text, None);
    }

    pub(super) fn warn(&mut self, text: impl Into<String>) {
        self.add(Level::Warning, text, None);
    }

    pub(super) fn note(&mut self, text: impl Into<String>) {
        self.add(Level::Note, text, None);
    }

    pub(super) fn add(
        &mut self,
        level: Level,
        text: impl Into<String>,
        place: Option<(String, usize)>,
    ) {
        self.0.push(Finding { level, message: text.into(), place });
    }

    /// An error of something that was looked at, with what to do about it.
    pub(super) fn failed(&mut self, error: &Error) {
        for message in error.messages() {
            self.error(message.clone());
        }
        if let Some(hint) = error.hint_text() {
            self.note(hint);
        }
    }

    /// Whether something is wrong, or with `strict` looks wrong.
    pub(super) fn is_bad(&self, strict: bool) -> bool {
        let bad = |level| level == Level::Error || (strict && level == Level::Warning);
        self.0.iter().any(|one| bad(one.level))
    }

    /// Prints all of it.
    pub(super) fn tell(&self, form: Form, context: &Context) -> Result<()> {
        let text = if context.ui.json {
            format!("{}\n", serde_json::Value::Array(self.0.iter().map(Finding::to_json).collect()))
        } else {
            let line = |one: &Finding| match form {
                Form::Text => format!("{}: {}\n", one.level.word(), one.message),
                Form::Github => one.to_github(),
            };
            self.0.iter().map(line).collect::<Vec<_>>().concat()
        };
        context.ui.out(text.as_bytes())
    }
}

impl Finding {
    fn to_json(&self) -> serde_json::Value {
        let mut one = json!({ "level": self.level.word(), "message": self.message });
        if let Some((file, line)) = &self.place {
            one["file"] = json!(file);
            one["line"] = json!(line);
        }
        one
    }

    /// As GitHub's runner reads it: what would end a message or a property is a number.
    fn to_github(&self) -> String {
        let message =
            |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
        let property = |text: &str| message(text).replace(':', "%3A").replace(',', "%2C");
        let command = match self.level {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Note | Level::Fine => "notice",
        };
        let place =
            self.place.as_ref().map(|(file, line)| format!(" file={},line={line}", property(file)));
        format!("::{command}{}::{}\n", place.unwrap_or_default(), message(&self.message))
    }
}
