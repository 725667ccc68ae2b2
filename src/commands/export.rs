//! `vault export FORMAT`.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;

use super::units::{self, UnitArgs};
use super::{Context, unknown_variable, variables};
use crate::error::{Error, Result, shown_path};
use crate::platform;
use crate::process::units::UnitFormat;
use crate::vars::export::{self, Format};
use crate::vars::name::{nearest, shown};

/// Print the variables of an environment in plaintext, or write units for the processes of a Procfile
///
/// FORMAT is dotenv or json, which print the variables; or systemd, supervisord, runit, compose or
/// k8s-deployment, which write files into the folder LOCATION. Those hold no value: what they start calls
/// `vault run`.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The form: dotenv, json, systemd, supervisord, runit, compose or k8s-deployment
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
    /// Print what is in file secrets too
    #[arg(long)]
    with_files: bool,
    #[command(flatten)]
    units: UnitArgs,
}

/// A word for a format: of secrets, or of units.
enum Wanted {
    Secrets(Format),
    Units(UnitFormat),
}

/// Runs it.
pub(crate) fn run(args: &ExportArgs, context: &Context) -> Result<()> {
    let format = match format(&args.format)? {
        Wanted::Secrets(format) => format,
        Wanted::Units(format) => {
            args.units.refuse_templates()?;
            if let Some(option) = args.of_secrets() {
                return Err(of_the_others(
                    option,
                    format.name(),
                    &Format::names().collect::<Vec<_>>(),
                ));
            }
            return units::run(format, &args.units, context);
        }
    };
    args.units.refuse_templates()?;
    if let Some(option) = args.units.typed(context) {
        return Err(of_the_others(option, format.name(), &UnitFormat::ALL.map(UnitFormat::name)));
    }
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
    let mut files = vault.file_names().filter(|name| vars.get(name).is_some());
    if let Some(name) = files.next().filter(|_| !args.with_files) {
        return Err(Error::failed(format!(
            "{environment}: {name} is a file secret: a program gets the path of a file, and no text has that"
        ))
        .about(&environment)
        .hint("`--with-files` prints what is in the files, `--except` leaves them out"));
    }
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

impl ExportArgs {
    /// What was typed that a format of units doesn't have.
    fn of_secrets(&self) -> Option<&'static str> {
        [
            ("-o", self.output.is_some()),
            ("--only", !self.only.is_empty()),
            ("--except", !self.except.is_empty()),
            ("--with-files", self.with_files),
        ]
        .into_iter()
        .find_map(|(name, typed)| typed.then_some(name))
    }
}

fn of_the_others(option: &str, format: &str, others: &[&str]) -> Error {
    Error::usage(format!("`{format}` takes no `{option}`"))
        .hint(format!("`{option}` belongs to {}", others.join(", ")))
}

fn format(word: &str) -> Result<Wanted> {
    if let Ok(format) = word.parse() {
        return Ok(Wanted::Secrets(format));
    }
    if let Some(format) = UnitFormat::of(word) {
        return Ok(Wanted::Units(format));
    }
    let error = Error::usage(format!("there is no export format `{}`", shown(word)));
    if word == "upstart" {
        return Err(Error::usage(
            "upstart is not supported: Ubuntu and Debian replaced upstart by systemd in 2015",
        )
        .hint("use `systemd`"));
    }
    let names: Vec<&str> = Format::names().chain(UnitFormat::ALL.map(UnitFormat::name)).collect();
    Err(match nearest(word, names.iter().copied()) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint(format!("the formats are {}", names.join(", "))),
    })
}

/// Puts the text in the place of the file: 0600, never through a link.
fn write(path: &Path, text: &[u8], context: &Context) -> Result<()> {
    let told = shown_path(path);
    match path.symlink_metadata() {
        Ok(there) if !there.is_file() => {
            return Err(not_written(path, "a link or no regular file"));
        }
        Ok(_) => context.confirm(&format!("`{told}` will be replaced"))?,
        Err(_) => {}
    }
    replace_file(path, text, None)?;
    if context.git_tracks(path, true) {
        context
            .ui
            .warn(&format!("git does not ignore `{told}`, which holds the values in plaintext"));
        context.ui.hint(&format!("add `{told}` to .gitignore"));
    }
    Ok(())
}

/// The refusal to write to what is no plain file or folder.
pub(super) fn not_written(path: &Path, what: &str) -> Error {
    let told = shown_path(path);
    Error::failed(format!("`{told}` is {what}, and is not written through"))
}

/// Puts the bytes in the place of the file, so that a reader sees the old or the new one. Its mode is
/// 0600, or `mode`.
pub(super) fn replace_file(path: &Path, bytes: &[u8], mode: Option<u32>) -> Result<()> {
    let folder =
        path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let failed = |error: std::io::Error| Error::io("write", path, &error);
    // tempfile makes it 0600 from the first moment.
    let mut file =
        tempfile::Builder::new().prefix(".vault-export.").tempfile_in(folder).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    if let Some(mode) = mode {
        platform::set_mode(file.as_file(), mode).map_err(failed)?;
    }
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}
