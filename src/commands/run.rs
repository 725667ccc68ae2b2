//! `vault run -- CMD`: the main job.

use std::ffi::OsString;

use clap::Args;

use super::{Context, check_storable, variables};
use crate::error::{Error, Kind, Result};
use crate::platform;
use crate::process::environ::{Environment, Policy, build, check_limits};
use crate::process::replace::{find, replace};
use crate::vars::Vars;
use crate::vars::name::EnvName;
use crate::vault::settings::Settings;
use crate::vault::{Key, Project, missing};

/// Run a command with the variables of an environment
///
/// Replaces itself with the command, which so has exactly the status, signals and terminal that it has
/// without vault. Stored values beat those of the surrounding environment. Several environments may be
/// named, separated by commas; later ones win.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Pass only these variables of the vault
    #[arg(long, value_name = "A,B")]
    only: Vec<String>,
    /// Let the surrounding environment win, for these variables or for all
    #[arg(long, value_name = "A,B", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    preserve_env: Option<String>,
    /// Start from a short list of variables, not from the whole surrounding environment
    #[arg(long)]
    clean: bool,
    /// Pass `VAULT_KEY` and the like on to the command
    #[arg(long)]
    keep_key: bool,
    /// The command and its arguments
    #[arg(trailing_var_arg = true, required = true, value_name = "CMD", value_hint = clap::ValueHint::CommandWithArguments)]
    command: Vec<OsString>,
}

/// Runs it. Returns only where the command could not be started, or on a system without exec.
pub(crate) fn run(args: &RunArgs, context: &Context) -> Result<u8> {
    let (Some(command), project) = (args.command.first(), context.project()?) else {
        return Err(Error::usage("there is no command to run"));
    };
    if command.is_empty() {
        return Err(Error::usage("the command to run is an empty word"));
    }
    let settings = project.settings()?;
    let environments = context.environments(&project, &settings)?;
    let key = context.key()?;
    let stored = decrypt(context, &project, &settings, &environments, &key)?;
    let policy = Policy {
        preserve: args
            .preserve_env
            .as_ref()
            .map(|list| variables(std::slice::from_ref(list)))
            .transpose()?,
        clean: args.clean,
        keep_key: args.keep_key,
    };
    let child = child(args, context, stored, &policy, &settings, &environments)?;
    let program = find(command, context.outside.get("PATH"))?;
    check_limits(&child, &program, &args.command, platform::environment_limit())?;
    if key.used_a_plugin() {
        platform::reap_children();
    }
    replace(&program, &args.command, child)
}

/// The variables of all the environments, the later ones over the earlier.
fn decrypt(
    context: &Context,
    project: &Project,
    settings: &Settings,
    environments: &[EnvName],
    key: &Key,
) -> Result<Vars> {
    let mut stored = Vars::default();
    for environment in environments {
        let vault = project.read(environment)?;
        let opened = vault.open(key)?;
        context.ui.detail(&format!(
            "{environment}: opened as {}, data key {}",
            opened.me(),
            opened.fingerprint()
        ));
        // Names are judged before anything is decrypted.
        for name in vault.file.secrets.keys() {
            check_storable(name, settings).map_err(|error| {
                Error::new(Kind::Integrity, error.to_string())
                    .hint_if(error.hint_text().map(str::to_owned))
                    .about(environment)
            })?;
        }
        stored.overlay(vault.vars(&opened)?);
    }
    Ok(stored)
}

/// The child's environment. What is required is judged on all of it, before `--only` narrows it.
fn child(
    args: &RunArgs,
    context: &Context,
    mut stored: Vars,
    policy: &Policy,
    settings: &Settings,
    environments: &[EnvName],
) -> Result<Environment> {
    let parent = &context.outside.environment;
    let whole = build(parent, &stored, policy);
    let value = |name: &crate::vars::name::VarName| {
        whole
            .get(std::ffi::OsStr::new(name.as_str()))
            .map(|value| value.as_encoded_bytes().to_vec())
    };
    let wrong = missing(settings, environments, value);
    if !wrong.is_empty() {
        let told = crate::vault::join(environments);
        let messages =
            wrong.iter().map(|one| format!("{told}: {} {}", one.name, one.why)).collect();
        let last = environments.last().map_or("", EnvName::as_str);
        let name = if let [one] = &wrong[..] { one.name.as_str() } else { "NAME" };
        return Err(Error::several(Kind::Failed, messages).hint(format!(
            "`[required]` in vault.toml asks for it; set it with `vault set -e {last} {name}`"
        )));
    }
    if args.only.is_empty() {
        return Ok(whole);
    }
    let only = variables(&args.only)?;
    if let Some(absent) = only.iter().find(|name| stored.get(name).is_none()) {
        return Err(Error::not_found(format!(
            "{}: there is no {absent} to pass with `--only`",
            crate::vault::join(environments)
        )));
    }
    stored.retain(|name| only.contains(name));
    Ok(build(parent, &stored, policy))
}
