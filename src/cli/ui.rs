//! What a person sees. Data goes to stdout, everything else to stderr as `vault: …`, hints as `hint: …`.

use std::io::{self, IsTerminal as _, Write as _};

use anstyle::{AnsiColor, Style};

use super::settings::Outside;
use crate::error::{Error, Result, reason};

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum ColorChoice {
    /// On a terminal, as `NO_COLOR`, `CLICOLOR_FORCE` and `TERM` allow.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The terminal, or what stands in its place.
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
#[derive(Debug, Clone)]
pub(crate) struct Ui {
    color: bool,
    /// Whether what goes to stdout is coloured.
    pub(crate) color_out: bool,
    /// Whether the user wants to know more.
    pub(crate) verbose: bool,
    /// Whether the user wants JSON.
    pub(crate) json: bool,
}

const WARNING: Style = AnsiColor::Yellow.on_default();
const FAILURE: Style = AnsiColor::Red.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default();

#[expect(clippy::unused_self, reason = "who may write to the terminal is who holds a `Ui`")]
impl Ui {
    /// Decides once about colour.
    pub(crate) fn new(color: ColorChoice, verbose: bool, json: bool, outside: &Outside) -> Self {
        let dumb = outside.text("TERM").as_deref() == Some("dumb");
        let forced = outside.text("CLICOLOR_FORCE").is_some_and(|value| value != "0");
        let on = |is_terminal: bool| match color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => {
                forced || (is_terminal && outside.get("NO_COLOR").is_none() && !dumb)
            }
        };
        let (color, color_out) = (on(io::stderr().is_terminal()), on(io::stdout().is_terminal()));
        Self { color, color_out, verbose, json }
    }

    /// Writes data to stdout.
    ///
    /// # Errors
    ///
    /// The disk is full or the like. A reader that closed its end is no failure: it has what it wants.
    pub(crate) fn out(&self, data: &[u8]) -> Result<()> {
        let mut stdout = io::stdout().lock();
        match stdout.write_all(data).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::failed(format!(
                "cannot write to the standard output: {}",
                reason(&error)
            ))),
            _ => Ok(()),
        }
    }

    /// Whether a person reads stdout.
    pub(crate) fn out_is_terminal(&self) -> bool {
        io::stdout().is_terminal()
    }

    /// Whether a person reads stderr.
    pub(crate) fn err_is_terminal(&self) -> bool {
        io::stderr().is_terminal()
    }

    /// Says what was done or found.
    pub(crate) fn say(&self, text: &str) {
        self.line("vault: ", Style::new(), text);
    }

    /// Says what the user should look at.
    pub(crate) fn warn(&self, text: &str) {
        self.line("vault: ", WARNING, text);
    }

    /// Says what went wrong.
    pub(crate) fn fail(&self, text: &str) {
        self.line("vault: ", FAILURE, text);
    }

    /// Says what to do.
    pub(crate) fn hint(&self, text: &str) {
        self.line("hint: ", HINT, text);
    }

    /// Says what only `--verbose` wants to know.
    pub(crate) fn detail(&self, text: &str) {
        if self.verbose {
            self.line("vault: ", Style::new(), text);
        }
    }

    /// Writes a line of its own to stderr, as it is. A closed stderr loses it.
    pub(crate) fn raw_line(&self, text: &str) {
        drop(writeln!(io::stderr().lock(), "{text}"));
    }

    fn line(&self, prefix: &str, style: Style, text: &str) {
        let style = if self.color { style } else { Style::new() };
        self.raw_line(&format!("{style}{prefix}{style:#}{text}"));
    }
}

/// `1 value`, `2 values`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}
