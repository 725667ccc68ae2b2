//! `vault start`: the Procfile's processes with the variables of an environment.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::Context;
use super::wanted::{Loaded, Wanted};
use crate::error::{Error, Result, reason, shown_path};
use crate::platform::{self, Guard, Sandbox, Signal, StepRefused};
use crate::process::control;
use crate::process::environ::{Environment, Policy, build, carries_a_key};
use crate::process::formation::{self, Concurrency, Instance};
use crate::process::output::Look;
use crate::process::procfile::{ProcessType, Procfile, RELEASE};
use crate::process::redact::Patterns;
use crate::process::supervise::{Plan, Rules, supervise};
use crate::process::units::is_wrapped;
use crate::vars::Vars;
use crate::vars::name::{VarName, shown};
use crate::vault::settings::duration;

/// Start the processes of the Procfile
///
/// All of them, or those that are named, each with the variables of the environment and a PORT of its own.
/// A process type `release` runs first, to its end. The first process that ends is the end of all, and its
/// status is the status of `vault start`. Without a vault, `.env` is read as Honcho reads it.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[derive(Debug, Args)]
pub(crate) struct StartArgs {
    /// How many processes of each type, as in `web=2,worker=1`
    #[arg(short, long, value_name = "TYPE=N,…")]
    concurrency: Option<String>,
    /// The first port; each type has a hundred
    #[arg(short, long, value_name = "PORT")]
    port: Option<String>,
    /// Print no lines of these process types
    #[arg(short, long, value_name = "TYPE,…")]
    quiet: Option<String>,
    /// Print the lines as they are, without time and name
    #[arg(long)]
    no_prefix: bool,
    /// Print the name before each line, but no time
    #[arg(long)]
    no_time: bool,
    /// How long a process may take to end before it is killed, as in 5s, 500ms or 2m (default 5s)
    #[arg(long, value_name = "TIME")]
    timeout: Option<String>,
    /// The end of these, with status 0, does not end the others
    #[arg(long, value_name = "TYPE,…")]
    can_end: Vec<String>,
    /// Start these again when they end, after growing pauses
    #[arg(long, value_name = "TYPE,…")]
    restart: Vec<String>,
    /// Give each process a terminal of its own
    #[arg(long)]
    pty: bool,
    /// Let the kernel end every process when this one ends, even by `kill -9` (Linux)
    ///
    /// The processes are in a pid namespace: their numbers are not those outside.
    #[arg(long)]
    sandbox: bool,
    /// Put file secrets into a folder on a tmpfs, for programs that resolve paths
    #[arg(long)]
    file_dir: bool,
    /// Print values of the environment as they are, not as `[redacted NAME]`
    #[arg(long)]
    no_redact: bool,
    /// Pass `VAULT_KEY` and the like on to the processes
    #[arg(long)]
    keep_key: bool,
    /// Leave the process type `release` out
    #[arg(long, conflicts_with = "release_only")]
    no_release: bool,
    /// Run the process type `release` and nothing else
    #[arg(long, conflicts_with = "processes")]
    release_only: bool,
    /// The process types, in the order in which they are started; all if none is named
    #[arg(value_name = "PROCESS", add = super::completions::process_types())]
    processes: Vec<String>,
}

/// The time between asking a process to end and killing it.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Runs it, until all processes have ended.
pub(crate) fn run(args: &StartArgs, context: &Context) -> Result<u8> {
    // Before anything is decrypted.
    if args.sandbox
        && let Sandbox::Over(exit) = platform::enter_sandbox().map_err(|why| refused(&why))?
    {
        return Ok(exit.status());
    }
    let wanted = context.wanted().map_err(Error::before_command)?;
    let rules = rules(args, &wanted)?;
    // In a sandbox the kernel does its work. Without it, as where there may be no more processes, the first
    // that is started says so.
    let guard = if args.sandbox { None } else { Guard::start(rules.timeout).ok() };
    let loaded = wanted.load(context, !args.no_redact).map_err(Error::before_command)?;
    let path = context.procfile_path(&wanted, &loaded.vars);
    let procfile = Context::read_procfile(&path)?;
    let types = formation::selected(&procfile, &args.processes)?;
    let concurrency = Concurrency::parse(args.concurrency.as_deref().unwrap_or_default())?;
    let port = base_port(args.port.as_deref(), context, &loaded.vars)?;
    tell(args, context, &wanted, &loaded, &path, &procfile, &concurrency);

    let (release, instances) = formed(args, &types, &concurrency, port)?;
    if release.is_none() && instances.is_empty() {
        return Ok(0);
    }
    let hidden = Patterns::of(&loaded.secret).map(Arc::new);
    let mut environment = environments(args, context, &wanted, loaded.vars);
    if let Some(first) = release.iter().chain(&instances).next() {
        wanted.check_required(&environment.of(first, false)).map_err(Error::before_command)?;
    }
    let handed_over = context.hand_over(&mut environment.vars, &loaded.files, args.file_dir);
    handed_over.map_err(Error::before_command)?;
    let folder = if context.globals.app_root.is_some() || wanted.home.as_os_str().is_empty() {
        context.outside.folder.clone()
    } else {
        wanted.home.clone()
    };
    let prefix = !(args.no_prefix || context.globals.no_prefix);
    supervise(Plan {
        release,
        instances,
        environment: Box::new(move |instance| environment.of(instance, true)),
        folder,
        rules,
        hidden,
        look: Look { prefix, time: !args.no_time, color: context.ui.color_out && prefix },
        listener: listener(context),
        guard,
    })
}

fn refused(why: &StepRefused) -> Error {
    Error::failed(format!(
        "the system refuses a sandbox, at the step {}: {}",
        why.step,
        reason(&why.error)
    ))
    .hint("leave `--sandbox` out, or allow user namespaces to this user")
}

/// The first port: `-p`, then `PORT` in the environment, then that of the surrounding one.
pub(super) fn base_port(typed: Option<&str>, context: &Context, vars: &Vars) -> Result<u32> {
    if let Some(typed) = typed {
        return formation::port(typed)
            .ok_or_else(|| Error::failed(format!("`-p {}` is no port", shown(typed))));
    }
    if let Some(value) = vars.get_named("PORT") {
        return value.expose_str().and_then(formation::port).ok_or_else(|| {
            Error::failed("PORT in the environment is no port").hint("give one by `-p`")
        });
    }
    match context.outside.text("PORT") {
        Some(text) => formation::port(&text).ok_or_else(|| {
            Error::failed("PORT in the surrounding environment is no port").hint("give one by `-p`")
        }),
        None => Ok(formation::DEFAULT_PORT),
    }
}

/// The release process, and the others.
fn formed(
    args: &StartArgs,
    types: &[&ProcessType],
    concurrency: &Concurrency,
    port: u32,
) -> Result<(Option<Instance>, Vec<Instance>)> {
    let all = formation::instances(types, concurrency, port)?;
    let (release, others): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|instance| instance.type_name == RELEASE);
    // However many are asked for: it is a step, not a service.
    let release = release.into_iter().next().filter(|_| !args.no_release);
    Ok(if args.release_only { (release, Vec::new()) } else { (release, others) })
}

fn rules(args: &StartArgs, wanted: &Wanted) -> Result<Rules> {
    let runner = &wanted.settings.runner;
    let timeout = match &args.timeout {
        Some(text) => Some(duration(text).ok_or_else(|| {
            Error::usage(format!("`--timeout {}` is no time", shown(text)))
                .hint("write it as in `--timeout 5s`, `500ms` or `2m`")
        })?),
        None => runner.timeout,
    };
    let merged = |flag: &[String], settings: &[String]| {
        let mut all = names(flag);
        all.extend_from_slice(settings);
        all
    };
    let stop_signal = runner
        .stop_signal
        .iter()
        .filter_map(|(name, signal)| Signal::stopping(signal).map(|signal| (name.clone(), signal)));
    Ok(Rules {
        can_end: merged(&args.can_end, &runner.can_end),
        restart: merged(&args.restart, &runner.restart),
        terminal: runner.pty.clone(),
        all_terminals: args.pty,
        quiet: names(args.quiet.as_slice()),
        stop_signal: stop_signal.collect(),
        timeout: timeout.unwrap_or(TIMEOUT),
    })
}

/// The names of lists separated by commas.
fn names(lists: &[String]) -> Vec<String> {
    let items = lists.iter().flat_map(|list| list.split(',')).map(str::trim);
    items.filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

/// Says what is left out: a user who typed it wants to know.
fn tell(
    args: &StartArgs,
    context: &Context,
    wanted: &Wanted,
    loaded: &Loaded,
    path: &Path,
    procfile: &Procfile,
    concurrency: &Concurrency,
) {
    for notice in &loaded.notices {
        context.ui.warn(notice);
    }
    for notice in procfile.notices(path) {
        context.ui.warn(&notice);
    }
    if procfile.types.is_empty() {
        context.ui.warn(&format!("{}: there is no process in it", shown_path(path)));
    }
    let has_key = || context.outside.environment.iter().any(|(name, _)| carries_a_key(name));
    let wrapped = procfile.types.iter().find(|one| is_wrapped(bare_command(&one.command)));
    if let Some(one) = wrapped.filter(|_| !args.keep_key && has_key()) {
        context
            .ui
            .warn(&format!("`{}` calls `vault run` itself, and gets no key", shown(&one.name)));
        context.ui.hint("leave `vault run` out of its line, or add `--keep-key`");
    }
    if let Some(dotenv) = wanted.unread_dotenv() {
        context.ui.warn(&format!("`{}` is not read: there is a vault", shown_path(&dotenv)));
        context.ui.hint(&format!("`-e {},.env` takes both", wanted.told()));
    }
    let quiet = names(args.quiet.as_slice());
    let lists = [
        ("-c", concurrency.names().map(str::to_owned).collect()),
        ("-q", quiet),
        ("--can-end", names(&args.can_end)),
        ("--restart", names(&args.restart)),
    ];
    for (flag, list) in lists {
        for name in list {
            if let Some(suggestion) = procfile.lacks(&name) {
                let told = shown(&name);
                context.ui.warn(&format!("`{flag} {told}`: no such process type{suggestion}"));
            }
        }
    }
}

/// A command without `exec` and settings before it, which change nothing of what it is.
fn bare_command(command: &str) -> &str {
    let mut rest = command.trim_start();
    while let Some((word, behind)) = rest.split_once([' ', '\t']) {
        let name = word.split_once('=').map(|(name, _)| name);
        let setting = name.is_some_and(|name| {
            name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        });
        if word != "exec" && !setting {
            break;
        }
        rest = behind.trim_start();
    }
    rest
}

/// What each process gets.
struct Environments {
    parent: Vec<(OsString, OsString)>,
    vars: Vars,
    policy: Policy,
    narrowed: BTreeMap<String, BTreeSet<VarName>>,
}

fn environments(args: &StartArgs, context: &Context, wanted: &Wanted, vars: Vars) -> Environments {
    let narrowed = wanted.settings.runner.env.iter();
    Environments {
        parent: context.outside.environment.clone(),
        vars,
        policy: Policy { keep_key: args.keep_key, ..Policy::default() },
        narrowed: narrowed
            .map(|(name, only)| (name.clone(), only.iter().cloned().collect()))
            .collect(),
    }
}

impl Environments {
    /// The whole environment of a process, or what `[runner.env]` leaves of it. As with Honcho, its name
    /// can be overridden by the variables and its port can't.
    fn of(&self, instance: &Instance, narrow: bool) -> Environment {
        let only = self.narrowed.get(&instance.type_name).filter(|_| narrow);
        let mut child = match only {
            Some(only) => {
                let mut vars = self.vars.clone();
                vars.retain(|name| only.contains(name));
                build(&self.parent, vars, &self.policy)
            }
            None => build(&self.parent, self.vars.clone(), &self.policy),
        };
        if self.vars.get_named("HONCHO_PROCESS_NAME").is_none() {
            child.insert("HONCHO_PROCESS_NAME".into(), (&instance.name).into());
        }
        child.insert("VAULT_PROCESS_NAME".into(), (&instance.name).into());
        child.insert("PORT".into(), instance.port.to_string().into());
        child
    }
}

/// The socket for `ps`, `stop` and `restart`. A machine without a place for it can do without.
fn listener(context: &Context) -> Option<platform::Listener> {
    let folder = control::folder(context.outside.runtime_folder());
    let home = context.wanted_home().ok()?;
    match control::listen(&folder, &home) {
        Ok(listener) => Some(listener),
        Err(error) => {
            context.ui.detail(&format!(
                "no socket in `{}`, so `vault ps` finds nothing: {}",
                shown_path(&folder),
                reason(&error)
            ));
            None
        }
    }
}
