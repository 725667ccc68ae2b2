//! `vault export FORMAT`.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;

use super::{Context, unknown_variable, variables};
use crate::error::{Error, Result, reason, shown_path};
use crate::vars::export::{self, Format};
use crate::vars::name::{nearest, shown};

/// Print the variables of an environment in plaintext
///
/// FORMAT is dotenv or json.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The form: dotenv or json
    #[arg(add = super::completions::export_formats())]
    format: String,
    /// Write to this file, readable by you alone, and not to stdout
    #[arg(short, long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    output: Option<PathBuf>,
    /// Only these variables
    #[arg(long, value_name = "A,B")]
    only: Vec<String>,
    /// All but these variables
    #[arg(long, value_name = "A,B")]
    except: Vec<String>,
}

/// Runs it.
pub(crate) fn run(args: &ExportArgs, context: &Context) -> Result<()> {
    let format = format(&args.format)?;
    let (only, except) = (variables(&args.only)?, variables(&args.except)?);
    let project = context.project()?;
    let environment = context.environment(&project)?;
    let (vault, opened) = context.open(&project, &environment)?;
    if let Some(name) =
        only.iter().chain(&except).find(|name| !vault.file.secrets.contains_key(*name))
    {
        return Err(unknown_variable(&vault, name));
    }
    let mut vars = vault.vars(&opened)?;
    vars.retain(|name| (only.is_empty() || only.contains(name)) && !except.contains(name));
    let text = export::export(format, &vars)
        .map_err(|error| Error::failed(error.to_string()).about(&environment))?;
    if let Some(path) = &args.output {
        return write(path, &text, context);
    }
    if context.ui.out_is_terminal() {
        context.ui.warn("these are the values in plaintext");
    }
    context.ui.out(&text)
}

fn format(word: &str) -> Result<Format> {
    word.parse().map_err(|_| {
        let error = Error::usage(format!("there is no export format `{}`", shown(word)));
        match nearest(word, Format::names()) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint(format!(
                "the formats are {}",
                Format::names().collect::<Vec<_>>().join(", ")
            )),
        }
    })
}

/// Puts the text in the place of the file: 0600, never through a link.
fn write(path: &Path, text: &[u8], context: &Context) -> Result<()> {
    let told = shown_path(path);
    match path.symlink_metadata() {
        Ok(there) if !there.is_file() => {
            return Err(Error::failed(format!(
                "`{told}` is a link or no regular file, and is not written through"
            )));
        }
        Ok(_) => context.confirm(&format!("`{told}` will be replaced"))?,
        Err(_) => {}
    }
    let folder =
        path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let failed =
        |error: std::io::Error| Error::failed(format!("cannot write `{told}`: {}", reason(&error)));
    // tempfile makes it 0600 from the first moment.
    let mut file =
        tempfile::Builder::new().prefix(".vault-export.").tempfile_in(folder).map_err(failed)?;
    file.write_all(text).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    if context.git_tracks(path, true) {
        context
            .ui
            .warn(&format!("git does not ignore `{told}`, which holds the values in plaintext"));
        context.ui.hint(&format!("add `{told}` to .gitignore"));
    }
    Ok(())
}
