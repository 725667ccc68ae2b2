//! The configuration of supervisord, under Honcho's names.
//!
//! Three readers take a value in turn: Python's `configparser`, which ends it at a `;` or `#` behind a
//! blank; the replacing of `%(name)s`; and for a command `shlex`, which reads quotes as a shell does. The
//! first one knows no quotes, so what it would take for its own is kept apart by a pair of quotes that
//! means nothing to the last.

use std::fmt::Write as _;

use super::{Plan, UnitFile, UnitFormat, Written, dashed, is_bare};
use crate::error::{Error, Result};
use crate::vars::name::shown;

pub(super) fn write(plan: &Plan) -> Result<Written> {
    let mut text = String::from("; Written by `vault export supervisord`.\n");
    let mut programs = Vec::new();
    let (folder, log, user) = (
        setting(&plan.folder.to_string_lossy())?,
        setting(&plan.log().to_string_lossy())?,
        setting(plan.user())?,
    );
    for one in plan.kept(UnitFormat::Supervisord) {
        let name = dashed(&one.name);
        let words: Vec<String> =
            plan.words(one, UnitFormat::Supervisord).iter().map(|text| word(text)).collect();
        let variables: Vec<String> = plan
            .variables(one)
            .into_iter()
            .map(|(name, value)| Ok(format!("{name}=\"{}\"", setting(&value)?)))
            .collect::<Result<_>>()?;
        // SIGTERM and not Honcho's QUIT: it is what all the other runners send, and programs that know
        // both take QUIT for "at once". To the whole group, because the shell need not pass it on.
        // A String takes all text.
        let _ = write!(
            text,
            "[program:{name}]\n\
             command={}\n\
             autostart=true\n\
             autorestart=true\n\
             stopsignal=TERM\n\
             stopasgroup=true\n\
             killasgroup=true\n\
             stdout_logfile={log}/{name}.log\n\
             stderr_logfile={log}/{name}.error.log\n\
             user={user}\n\
             directory={folder}\n\
             environment={}\n\n",
            words.join(" "),
            variables.join(",")
        );
        programs.push(name);
    }
    let _ = writeln!(text, "[group:{}]\nprograms={}", plan.app, programs.join(","));
    let told = shown(&plan.log().to_string_lossy());
    let mut notices =
        vec![format!("supervisord does not begin where the folder {told} is missing")];
    if plan.has_vault() {
        notices.push(
            "the key is not named in the file: give supervisord `VAULT_KEY_FILE`, the path of a file that the \
             user of the programs can read, in its own environment or in `environment=` of its section \
             [supervisord]"
                .to_owned(),
        );
    }
    Ok((vec![UnitFile::new(format!("{}.conf", plan.app), text)], notices))
}

/// A text without quotes around it, which only the first two readers see.
///
/// # Errors
///
/// They would take something in it for their own, and there is no way to keep it from them. Quotes are
/// refused too: `environment=` strips them off the ends of a value.
fn setting(text: &str) -> Result<String> {
    if text.contains([';', '#', '"', '\'']) || text.contains("%(here)s") {
        return Err(Error::failed(format!(
            "supervisord can't read `{}`: a `;`, `#`, quote or `%(here)s` has no form in its settings",
            shown(text)
        )));
    }
    Ok(text.replace('%', "%%"))
}

/// One word of a command.
fn word(text: &str) -> String {
    if is_bare(text) {
        return text.to_owned();
    }
    let mut out = String::from("'");
    let mut before = None;
    for c in text.chars() {
        match c {
            // Between two pieces in single quotes, one in double quotes.
            '\'' => out.push_str(r#"'"'"'"#),
            // A line that goes on is trimmed at both ends: the quotes there keep its blanks.
            '\n' => out.push_str("''\n ''"),
            ';' | '#' if before.is_some_and(char::is_whitespace) => {
                out.push_str("''");
                out.push(c);
            }
            // `%(here)s` is replaced before `%%` is looked at.
            '(' if before == Some('%') => out.push_str("''("),
            '%' => out.push_str("%%"),
            c => out.push(c),
        }
        before = Some(c);
    }
    out.push('\'');
    out
}
