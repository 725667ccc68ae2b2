//! `vault export FORMAT`.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;

use super::units::{self, UnitArgs};
use super::wanted::{Loaded, narrow};
use super::{Context, variables};
use crate::crypto;
use crate::error::{Error, Result, shown_path};
use crate::platform;
use crate::process::units::UnitFormat;
use crate::vars::Vars;
use crate::vars::export::{self, Format, Options};
use crate::vars::hex;
use crate::vars::name::{nearest, shown};
use crate::vault::join;

/// Print the variables of an environment in plaintext, or write units for the processes of a Procfile
///
/// FORMAT is one of dotenv, shell, fish, powershell, json, yaml, docker, systemd-env, k8s, github, fly, tfvars,
/// tfvars-json and null, which print the variables; or systemd, supervisord, runit, compose or
/// k8s-deployment, which write files into the folder LOCATION. Those hold no value: what they start calls
/// `vault run`.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The form of the text, or of the units
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
    /// The name of the Secret, for k8s
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Its namespace, for k8s
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    /// Print what is in file secrets too
    #[arg(long)]
    with_files: bool,
    #[command(flatten)]
    units: UnitArgs,
}

/// What a Secret of Kubernetes is called where no name is given.
const SECRET: &str = "app";

/// A word for a format: of secrets, or of units.
enum Wanted {
    Secrets(Format),
    Units(UnitFormat),
}

/// Runs it.
pub(crate) fn run(args: &ExportArgs, context: &Context) -> Result<()> {
    let format = match format(&args.format)
        .map_err(|error| perhaps_an_environment(error, &args.format, context))?
    {
        Wanted::Secrets(format) => format,
        Wanted::Units(format) => {
            args.units.refuse_templates()?;
            if let Some(option) = args.of_secrets() {
                let others: Vec<&str> = Format::names().collect();
                return Err(of_the_others(option, format.name(), &others));
            }
            args.check_names(format.name())?;
            return units::run(format, &args.units, context);
        }
    };
    args.units.refuse_templates()?;
    args.check_names(format.name())?;
    if let Some(option) = args.units.typed(context) {
        return Err(of_the_others(option, format.name(), &UnitFormat::ALL.map(UnitFormat::name)));
    }
    let (only, except) = (variables(&args.only)?, variables(&args.except)?);
    let project = context.project()?;
    let environments = context.environments(&project, &project.settings()?)?;
    let mut loaded = Loaded::default();
    for environment in &environments {
        let (vault, opened) = context.open(&project, environment)?;
        loaded.lay_over(vault.vars(&opened)?, vault.file_names().cloned());
    }
    let environment = join(&environments);
    let Loaded { mut vars, files, .. } = loaded;
    narrow(&mut vars, &environment, &only, &except)?;
    let mut files = files.iter().filter(|name| vars.get(name).is_some());
    if let Some(name) = files.next().filter(|_| !args.with_files) {
        return Err(Error::failed(format!(
            "{environment}: {name} is a file secret: a program gets the path of a file, and no text has that"
        ))
        .about(&environment)
        .hint("`--with-files` prints what is in the files, `--except` leaves them out"));
    }
    let options = Options {
        name: args.name.as_deref().unwrap_or(SECRET),
        namespace: args.namespace.as_deref(),
        delimiter: &|| format!("end-{}", hex(&crypto::random::<16>())),
    };
    let text = export::export(format, &vars, &options)
        .map_err(|error| Error::failed(error.to_string()).about(&environment))?;
    if let Some(path) = &args.output {
        return write(path, &text, context);
    }
    if format == Format::Github {
        return append_for_github(&vars, &text, context);
    }
    if context.ui.out_is_terminal() {
        context.ui.warn("these are the values in plaintext");
    }
    context.ui.out(&text)
}

/// To the file that the runner of GitHub Actions reads after the step, with the masks on stdout before it.
fn append_for_github(vars: &Vars, text: &[u8], context: &Context) -> Result<()> {
    let path = context.outside.get("GITHUB_ENV").map(PathBuf::from).ok_or_else(|| {
        Error::failed("GITHUB_ENV is not set: this is no step of GitHub Actions")
            .hint("`-o FILE` writes the same lines to a file")
    })?;
    if !path.symlink_metadata().is_ok_and(|found| found.is_file()) {
        return Err(not_written(&path, "no regular file"));
    }
    context.ui.out(&export::github_masks(vars))?;
    let failed = |error: std::io::Error| Error::io("write", &path, &error);
    let mut file = std::fs::File::options().append(true).open(&path).map_err(failed)?;
    file.write_all(text).map_err(failed)
}

/// A name for an object of Kubernetes (RFC 1123): a label, or several with dots between them.
fn is_object_name(name: &str, dots: bool) -> bool {
    let edge = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let label = |label: &str| {
        let bytes = label.as_bytes();
        bytes.len() <= 63
            && bytes.first().is_some_and(|byte| edge(*byte))
            && bytes.last().is_some_and(|byte| edge(*byte))
            && bytes.iter().all(|byte| edge(*byte) || *byte == b'-')
    };
    name.len() <= 253 && (dots || !name.contains('.')) && name.split('.').all(label)
}

impl ExportArgs {
    /// Refuses names that Kubernetes would, and those of a format that has none.
    fn check_names(&self, format: &str) -> Result<()> {
        for (flag, name, dots) in
            [("--name", &self.name, true), ("--namespace", &self.namespace, false)]
        {
            let Some(name) = name else { continue };
            if format != Format::K8s.name() {
                return Err(of_the_others(flag, format, &[Format::K8s.name()]));
            }
            if !is_object_name(name, dots) {
                return Err(Error::usage(format!(
                    "`{flag} {}` is no name for Kubernetes",
                    shown(name)
                ))
                .hint("use lower-case letters, digits and `-`"));
            }
        }
        Ok(())
    }

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

/// `vault export staging`, where `-e staging` was meant.
fn perhaps_an_environment(error: Error, word: &str, context: &Context) -> Error {
    let project = context.find_project().ok().flatten();
    match project.and_then(|project| project.called(word)) {
        Some(name) => error.hint(format!(
            "name the environment by `-e {name}`, and a format: vault export dotenv -e {name}"
        )),
        None => error,
    }
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
