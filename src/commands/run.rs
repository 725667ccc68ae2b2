//! `vault run -- CMD`: the main job.

use std::ffi::{OsStr, OsString};
use std::sync::Arc;

use clap::Args;

use super::wanted::{Wanted, narrow};
use super::{Context, variables};
use crate::error::{Error, Result};
use crate::platform;
use crate::process::environ::{Policy, build, check_limits};
use crate::process::redact::Patterns;
use crate::process::replace::{find, replace};
use crate::process::resident::run_beside;

/// Run a command with the variables of an environment
///
/// Replaces itself with the command, which so has exactly the status, signals and terminal that it has
/// without vault. Stored values beat those of the surrounding environment. Several environments may be
/// named, separated by commas; later ones win.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[derive(Debug, Default, Args)]
pub(crate) struct RunArgs {
    /// Pass only these variables of the vault
    #[arg(long, value_name = "A,B")]
    only: Vec<String>,
    /// Pass all but these variables of the vault
    #[arg(long, value_name = "A,B")]
    except: Vec<String>,
    /// Let the surrounding environment win, for these variables or for all
    #[arg(long, value_name = "A,B", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    preserve_env: Option<String>,
    /// Start from a short list of variables, not from the whole surrounding environment
    #[arg(long)]
    clean: bool,
    /// Pass `VAULT_KEY` and the like on to the command
    #[arg(long)]
    keep_key: bool,
    /// Print values of the environment that the command prints as `[redacted NAME]`
    ///
    /// This process then stays beside the command, passes signals on, and ends as it does.
    #[arg(long)]
    redact: bool,
    /// Put file secrets into a folder on a tmpfs, for programs that resolve paths
    #[arg(long)]
    file_dir: bool,
    /// The command and its arguments
    #[arg(trailing_var_arg = true, required = true, value_name = "CMD", value_hint = clap::ValueHint::CommandWithArguments)]
    command: Vec<OsString>,
}

impl RunArgs {
    /// Those of a run without flags.
    pub(crate) fn of(command: &[OsString]) -> Self {
        Self { command: command.to_vec(), ..Self::default() }
    }
}

/// `vault run staging -- CMD`, where `-e staging` was meant.
fn perhaps_an_environment(error: Error, command: &OsStr, wanted: &Wanted) -> Error {
    let word = command.to_str().unwrap_or_default();
    match wanted.project.as_ref().and_then(|project| project.called(word)) {
        Some(name) => error.hint(format!("did you mean `-e {name}`?")),
        None => error,
    }
}

/// Runs it. Returns only where the command could not be started, or on a system without exec.
pub(crate) fn run(args: &RunArgs, context: &Context) -> Result<u8> {
    let (Some(command), wanted) = (args.command.first(), context.wanted()?) else {
        return Err(Error::usage("there is no command to run"));
    };
    if command.is_empty() {
        return Err(Error::usage("the command to run is an empty word"));
    }
    if wanted.items.is_empty() {
        context
            .ui
            .warn("there is no vault and no `.env` here: the command gets nothing from either");
    }
    let loaded = wanted.load(context, args.redact)?;
    let policy = Policy {
        preserve: args
            .preserve_env
            .as_ref()
            .map(|list| variables(std::slice::from_ref(list)))
            .transpose()?,
        clean: args.clean,
        keep_key: args.keep_key,
    };
    // What is required is judged on all of it, before `--only` and `--except` narrow it.
    let parent = &context.outside.environment;
    let all_as_stored = args.only.is_empty() && args.except.is_empty() && loaded.files.is_empty();
    let again = (!all_as_stored).then(|| loaded.vars.clone());
    let mut child = build(parent, loaded.vars, &policy);
    wanted.check_required(&child)?;
    let program = find(command, context.outside.get("PATH"))
        .map_err(|error| perhaps_an_environment(error, command, &wanted))?;
    if let Some(mut vars) = again {
        narrow(&mut vars, &wanted.told(), &variables(&args.only)?, &variables(&args.except)?)?;
        context.hand_over(&mut vars, &loaded.files, args.file_dir)?;
        child = build(parent, vars, &policy);
    }
    check_limits(&child, &program, &args.command, platform::environment_limit())?;
    if loaded.used_a_plugin {
        platform::reap_children();
    }
    match Patterns::of(&loaded.secret) {
        Some(hidden) => run_beside(&program, &args.command, &child, &Arc::new(hidden)),
        None => replace(&program, &args.command, &child),
    }
}
