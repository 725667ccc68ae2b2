//! `vault completions SHELL`, and what is completed. Names come from the files, without any key.

use std::collections::BTreeSet;
use std::path::Path;

use clap::Args;
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use clap_complete::env::Shells;

use super::Context;
use crate::cli::settings::Outside;
use crate::error::{Error, Result};
use crate::process::procfile::Procfile;
use crate::process::units::UnitFormat;
use crate::vars::export::Format;
use crate::vault::Project;

/// The variable by which a shell asks this program for completions.
pub(crate) const VARIABLE: &str = "VAULT_COMPLETE";

/// Print a script that completes commands, environments and variables in your shell
///
/// For bash: `source <(vault completions bash)` in ~/.bashrc.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// bash, zsh, fish, elvish or powershell
    #[arg(add = shells())]
    shell: String,
}

/// Runs it.
pub(crate) fn run(args: &CompletionsArgs, context: &Context) -> Result<()> {
    let shells = Shells::builtins();
    let shell = shells.completer(&args.shell).ok_or_else(|| {
        let names: Vec<&str> = shells.names().collect();
        Error::usage(format!(
            "there are no completions for `{}`",
            crate::vars::name::shown(&args.shell)
        ))
        .hint(format!("the shells are {}", names.join(", ")))
    })?;
    let mut script = Vec::new();
    shell
        .write_registration(VARIABLE, "vault", "vault", "vault", &mut script)
        .map_err(|_| Error::failed("cannot write the script"))?;
    context.ui.out(&script)
}

/// The environments of the project around the working directory.
pub(crate) fn environment_names() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let names = project().and_then(|project| project.environments().ok()).unwrap_or_default();
        names.iter().map(|name| CompletionCandidate::new(name.as_str())).collect()
    })
}

/// The variables of all its environments.
pub(crate) fn variable_names() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let Some(project) = project() else { return Vec::new() };
        let names = project.environments().unwrap_or_default();
        let vaults = names.iter().filter_map(|name| project.read(name).ok());
        let mut all: Vec<String> = vaults
            .flat_map(|vault| vault.file.secrets.into_keys().map(|name| name.to_string()))
            .collect();
        all.sort_unstable();
        all.dedup();
        all.into_iter().map(CompletionCandidate::new).collect()
    })
}

/// The members of all its environments, and those who ask.
pub(crate) fn member_names() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let Some(project) = project() else { return Vec::new() };
        let names = project.environments().unwrap_or_default();
        let vaults = names.iter().filter_map(|name| project.read(name).ok());
        let all: BTreeSet<String> = vaults
            .flat_map(|vault| vault.file.members.into_keys().chain(vault.file.requests.into_keys()))
            .map(|name| name.to_string())
            .collect();
        all.into_iter().map(CompletionCandidate::new).collect()
    })
}

/// The process types of the Procfile in the working directory.
pub(crate) fn process_types() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let path = Outside::read().folder.join(super::wanted::PROCFILE);
        let bytes = std::fs::read(&path).unwrap_or_default();
        let procfile = Procfile::parse(&bytes, &path).unwrap_or_default();
        procfile.names().map(|name| CompletionCandidate::new(name.to_owned())).collect()
    })
}

/// The words of `vault export`.
pub(crate) fn export_formats() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let names = Format::names().chain(UnitFormat::ALL.map(UnitFormat::name));
        names.map(CompletionCandidate::new).collect()
    })
}

fn shells() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        Shells::builtins().names().map(|name| CompletionCandidate::new(name.to_owned())).collect()
    })
}

fn project() -> Option<Project> {
    let outside = Outside::read();
    match outside.get("VAULT_DIR") {
        Some(folder) => Some(Project::at(Path::new(folder))),
        None => Project::discover(&outside.folder),
    }
}
