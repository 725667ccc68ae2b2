//! `vault rotate`.

use clap::Args;

use super::pins::{Purpose, seen};
use super::team::{check_not_myself, members, tell, tell_who_gets_no_proof, unknown_member};
use super::{Context, now};
use crate::error::{Error, Result};
use crate::vars::name::EnvName;
use crate::vault::team::{Changes, Rotated};
use crate::vault::{Project, Vault};

/// Make a new data key
///
/// Everybody who is a member stays one. The values stay too: a new data key does not take back what somebody
/// has read.
#[derive(Debug, Args)]
pub(crate) struct RotateArgs {
    /// The environments
    #[arg(value_name = "ENV", add = super::completions::environment_names())]
    environments: Vec<String>,
    /// All environments
    #[arg(long, conflicts_with = "environments")]
    all: bool,
    /// Remove these members: for one that can't be sealed to
    #[arg(long, value_name = "MEMBER,…")]
    without: Vec<String>,
}

/// Runs it.
pub(crate) fn run(args: &RotateArgs, context: &Context) -> Result<()> {
    let project = context.project()?;
    let environments = wanted(args, context, &project)?;
    let without = members(&args.without)?;
    let key = context.key()?;
    let memory = context.memory()?;
    let mut concerned = Vec::new();
    for environment in environments {
        let vault = project.read(&environment)?;
        let opened = context.unlock_unless_closed(&project, &vault, &key, !args.all)?;
        let Some(opened) = opened else { continue };
        concerned.push(environment);
        if let Some(unknown) = without.iter().find(|one| !vault.file.members.contains_key(*one)) {
            return Err(unknown_member(&vault, unknown));
        }
        check_not_myself(&vault, &opened, without.iter())?;
        tell_who_gets_no_proof(context, &vault, &opened);
    }
    if concerned.is_empty() {
        return Err(Error::no_access("your key opens no environment here"));
    }
    let (now, plugins) = (now(), context.plugins());
    let change = |vault: &mut Vault| {
        let opened = context.unlock(&project, vault, &key, Purpose::Write)?;
        let changes = Changes { removed: without.clone(), ..Changes::default() };
        let changes = changes.with_memory(&memory, vault, &opened);
        vault.rotate(&opened, changes, now, &plugins)
    };
    let wrote = |vault: &Vault, rotated: &Rotated| {
        tell(context, vault, rotated);
        Some(seen(&project, vault, &rotated.opened))
    };
    context.change_all(&project, &concerned, change, wrote)?;
    context.ui.say("the values are the same: what somebody knows is changed at its source");
    Ok(())
}

fn wanted(args: &RotateArgs, context: &Context, project: &Project) -> Result<Vec<EnvName>> {
    if args.all {
        return project.environments();
    }
    if args.environments.is_empty() {
        return context.named(project)?.ok_or_else(|| {
            Error::usage("no environment is named")
                .hint("name one, as in `vault rotate staging`, or add `--all`")
        });
    }
    args.environments.iter().map(|name| name.parse().map_err(|_| project.unknown(name))).collect()
}
