//! `vault revoke NAME`.

use std::collections::BTreeSet;

use clap::Args;

use super::pins::{Purpose, seen};
use super::team::{
    check_not_myself, member, members, tell, tell_who_gets_no_proof, unknown_member,
};
use super::{Context, day, now};
use crate::cli::ui::count;
use crate::error::{Error, Result};
use crate::format::{Opened, Record};
use crate::vars::name::{EnvName, MemberName, VarName, nearest};
use crate::vault::exposure::exposed_to;
use crate::vault::pins::Memory;
use crate::vault::team::{Changes, Rotated};
use crate::vault::{Key, Project, Vault};

/// Take a member's access away, and list what he knows
///
/// In all environments unless some are named by -e. A new data key is made for those who remain. What the
/// member could read stays on record until each value has changed; it is printed as `ENV NAME DATE`, oldest
/// first. Machine keys that the member has issued go too.
#[derive(Debug, Args)]
pub(crate) struct RevokeArgs {
    /// The member
    #[arg(value_name = "MEMBER", add = super::completions::member_names())]
    name: String,
    /// Leave these keys, which the member has issued, their access
    #[arg(long, value_name = "MEMBER,…")]
    keep: Vec<String>,
    /// Remove these members too: for one that can't be sealed to
    #[arg(long, value_name = "MEMBER,…")]
    without: Vec<String>,
}

/// What is asked for.
struct Wanted {
    name: MemberName,
    keep: BTreeSet<MemberName>,
    without: BTreeSet<MemberName>,
    memory: Memory,
}

/// Runs it.
pub(crate) fn run(args: &RevokeArgs, context: &Context) -> Result<()> {
    let project = context.project()?;
    let wanted = Wanted {
        name: member(&args.name)?,
        keep: members(&args.keep)?,
        without: members(&args.without)?,
        memory: context.memory()?,
    };
    let key = context.key()?;
    let concerned = concerned(&wanted, context, &project, &key)?;
    let everybody: BTreeSet<&MemberName> = concerned.iter().flat_map(|(_, who)| who).collect();
    let told: Vec<&str> = everybody.into_iter().map(MemberName::as_str).collect();
    let environments: Vec<EnvName> = concerned.iter().map(|(name, _)| name.clone()).collect();
    let where_ = crate::vault::join(&environments);
    context.confirm(&format!("{} will lose access to {where_}", told.join(", ")))?;

    let (now, plugins) = (now(), context.plugins());
    let mut before = concerned.iter().map(|(_, leaving)| leaving);
    let change = |vault: &mut Vault| {
        let opened = context.unlock(&project, vault, &key, Purpose::Write)?;
        let leaving = wanted.leaving(vault, &opened);
        // What was confirmed is what is done, and nothing that came in between.
        if before.next() != Some(&leaving) {
            let environment = vault.environment();
            let message = format!("{environment} was changed by somebody else meanwhile");
            return Err(Error::failed(message).hint("run the same command again"));
        }
        let missing = wanted.memory.missing(&vault.file, &opened.fingerprint());
        let changes = Changes { removed: leaving, missing, ..Changes::default() };
        vault.rotate(&opened, changes, now, &plugins)
    };
    let mut known = Vec::new();
    let mut recovery = false;
    let wrote = |vault: &Vault, rotated: &Rotated| {
        tell(context, vault, rotated);
        known.extend(exposed(vault, rotated));
        recovery |= rotated.former.iter().any(|entry| entry.member().as_str() == "recovery");
        Some(seen(&project, vault, &rotated.opened))
    };
    context.change_all(&project, &environments, change, wrote)?;
    if recovery {
        context.ui.warn("the recovery key is gone, too");
        context.ui.hint("`vault key recovery` makes a new one");
    }
    report(context, &wanted.name, &known)
}

impl Wanted {
    /// Who loses access to this environment. Nobody where the member has none.
    fn leaving(&self, vault: &Vault, opened: &Opened) -> BTreeSet<MemberName> {
        let mut leaving = vault.leaving_with(&self.name, &self.keep);
        let missing = self.memory.missing(&vault.file, &opened.fingerprint());
        if !leaving.is_empty() || missing.iter().any(|(name, _)| *name == self.name) {
            let there = |name: &&MemberName| vault.file.members.contains_key(*name);
            leaving.extend(self.without.iter().filter(there).cloned());
        }
        leaving
    }

    fn is_remembered(&self, vault: &Vault, opened: &Opened) -> bool {
        let missing = self.memory.missing(&vault.file, &opened.fingerprint());
        missing.iter().any(|(name, _)| *name == self.name)
    }
}

/// The environments that the member can open, and who else loses access to each. Nothing is changed if one
/// of them can't be.
fn concerned(
    wanted: &Wanted,
    context: &Context,
    project: &Project,
    key: &Key,
) -> Result<Vec<(EnvName, BTreeSet<MemberName>)>> {
    let named = context.named(project)?;
    let mut concerned = Vec::new();
    let mut others = Vec::new();
    for environment in context.named_or_all(project)? {
        let vault = project.read(&environment)?;
        let there = vault.file.members.contains_key(&wanted.name);
        let opened = match context.unlock(project, &vault, key, Purpose::Write) {
            // The member isn't there, as far as can be told without a key.
            Err(error)
                if error.kind() == crate::error::Kind::NoAccess && !there && named.is_none() =>
            {
                continue;
            }
            opened => opened?,
        };
        if !there && !wanted.is_remembered(&vault, &opened) {
            if named.is_some() {
                return Err(unknown_member(&vault, &wanted.name));
            }
            others.extend(vault.file.members.into_keys());
            continue;
        }
        let leaving = wanted.leaving(&vault, &opened);
        check_not_myself(&vault, &opened, leaving.iter())?;
        check_somebody_remains(&vault, &leaving)?;
        tell_who_gets_no_proof(context, &vault, &opened);
        concerned.push((environment, leaving));
    }
    if concerned.is_empty() {
        let error =
            Error::not_found(format!("nobody is called {} in any environment", wanted.name));
        let near = nearest(wanted.name.as_str(), others.iter().map(MemberName::as_str));
        return Err(match near {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint("`vault members` lists the members"),
        });
    }
    Ok(concerned)
}

/// A recovery key alone is no holder: its passphrase lies in a drawer, if it does.
fn check_somebody_remains(vault: &Vault, leaving: &BTreeSet<MemberName>) -> Result<()> {
    let mut people = vault.file.members.iter().filter(|(_, member)| member.locked.is_none());
    if people.any(|(name, _)| !leaving.contains(name)) {
        return Ok(());
    }
    let environment = vault.environment();
    Err(Error::failed(format!("{environment}: nobody but the recovery key would be left"))
        .about(environment)
        .hint("grant somebody else access first"))
}

/// What those who left know, as lines of `ENV NAME DATE`, oldest first.
fn exposed(vault: &Vault, rotated: &Rotated) -> Vec<String> {
    let file = &vault.file;
    let Some(latest) = rotated.former.iter().max_by_key(|entry| entry.removed()) else {
        return Vec::new();
    };
    let line = |name: &VarName| {
        let changed = file.secrets.get(name).map_or(0, Record::changed);
        format!("{}\t{name}\t{}\n", vault.environment(), day(changed))
    };
    exposed_to(file, latest).into_iter().map(line).collect()
}

fn report(context: &Context, name: &MemberName, known: &[String]) -> Result<()> {
    if known.is_empty() {
        context.ui.say("there was nothing to read, so nothing has to be changed");
        return Ok(());
    }
    context.ui.say(&format!(
        "{name} could read {}, and knows each until it has changed at its source and here:",
        count(known.len(), "value")
    ));
    context.ui.out(known.concat().as_bytes())?;
    context.ui.hint("`vault set -e ENV NAME` stores the new value; `vault status` lists what is left; have everybody pull");
    Ok(())
}
