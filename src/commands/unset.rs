//! `vault unset NAME…`.

use clap::Args;

use super::pins::Purpose;
use super::{Context, unknown_variable, variables};
use crate::error::Result;
use crate::vars::name::VarName;

/// Remove variables from an environment
#[derive(Debug, Args)]
pub(crate) struct UnsetArgs {
    /// The variables
    #[arg(required = true, add = super::completions::variable_names())]
    names: Vec<String>,
}

/// Runs it. The values are not decrypted, so that a damaged one can be removed too.
pub(crate) fn run(args: &UnsetArgs, context: &Context) -> Result<()> {
    let names = variables(&args.names)?;
    let project = context.project()?;
    let environment = context.environment(&project)?;
    let vault = project.read(&environment)?;
    let mut missing = names.iter().filter(|name| !vault.file.secrets.contains_key(*name));
    // An environment among them says what the mistake is.
    let meant = missing.clone().find(|name| project.called(name.as_str()).is_some());
    if let Some(name) = meant.or_else(|| missing.next()) {
        return Err(unknown_variable(&project, &vault, name));
    }
    let key = context.key()?;
    context.unlock(&project, &vault, &key, Purpose::Write)?;
    let told: Vec<&str> = names.iter().map(VarName::as_str).collect();
    context.confirm(&format!("{environment}: {} will be removed", told.join(", ")))?;
    context.change(&project, &environment, |vault| {
        context.unlock(&project, vault, &key, Purpose::Write)?;
        for name in &names {
            vault
                .file
                .secrets
                .remove(name)
                .ok_or_else(|| unknown_variable(&project, vault, name))?;
        }
        Ok(())
    })?;
    if context.ui.err_is_terminal() {
        context.ui.say(&format!("{environment}: {} removed", told.join(", ")));
    }
    Ok(())
}
