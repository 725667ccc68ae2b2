//! `vault revoke NAME`.

use std::collections::BTreeSet;

use clap::Args;

use super::pins::{Purpose, seen};
use super::team::{
    check_not_myself, member, members, tell, tell_who_gets_no_proof, unknown_member,
};
use super::{Context, day, now};
use crate::cli::ui::count;
use crate::crypto::keys::PublicKey;
use crate::error::{Error, Kind, Result, shown_path};
use crate::format::{Opened, Record};
use crate::vars::name::{EnvName, MemberName, VarName, nearest};
use crate::vault::exposure::exposed_to;
use crate::vault::pins::Memory;
use crate::vault::team::{Changes, Rotated};
use crate::vault::{Key, Project, Vault, few};

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
    memory: Memory<'static>,
    /// The keys that he has anywhere, by the files and by what this machine remembers.
    keys: BTreeSet<PublicKey>,
    /// Where he is a member and our key opens nothing. Anybody can found such an environment, so it keeps nobody from
    /// taking him out of the others.
    closed: Vec<Vault>,
}

/// Runs it.
pub(crate) fn run(args: &RevokeArgs, context: &Context) -> Result<()> {
    let project = context.project()?;
    let mut wanted = Wanted {
        name: member(&args.name)?,
        keep: members(&args.keep)?,
        without: members(&args.without)?,
        memory: context.memory()?,
        keys: BTreeSet::new(),
        closed: Vec::new(),
    };
    let key = context.key()?;
    let opened = wanted.open(context, &project, &key)?;
    let concerned = wanted.concerned(&opened, context)?;
    let everybody: BTreeSet<&MemberName> =
        concerned.iter().flat_map(|one| one.leaving.iter().chain(&one.missing)).collect();
    let told: Vec<&str> = everybody.into_iter().map(MemberName::as_str).collect();
    let environments: Vec<EnvName> = concerned.iter().map(|one| one.environment.clone()).collect();
    let where_ = crate::vault::join(&environments);
    context.confirm(&format!("{} will lose access to {where_}", told.join(", ")))?;

    let (now, plugins) = (now(), context.plugins());
    let mut before = concerned.iter().map(|one| &one.leaving);
    let change = |vault: &mut Vault| {
        let opened = context.unlock(&project, vault, &key, Purpose::Write)?;
        let leaving = wanted.leaving(vault);
        // What was confirmed is what is done, and nothing that came in between.
        if before.next() != Some(&leaving) {
            let environment = vault.environment();
            let message = format!("{environment} was changed by somebody else meanwhile");
            return Err(Error::failed(message).hint("run the same command again"));
        }
        let changes = Changes { removed: leaving, ..Changes::default() };
        let changes = changes.with_memory(&wanted.memory, vault, &opened);
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
    report(context, &wanted.name, &known)?;
    wanted.left_over()
}

/// What happens in one environment.
struct Concerned {
    environment: EnvName,
    leaving: BTreeSet<MemberName>,
    /// Who is written into the ledger as well, because the block was deleted.
    missing: Vec<MemberName>,
}

impl Wanted {
    /// Opens the environments, and sees which keys he has in them.
    fn open(
        &mut self,
        context: &Context,
        project: &Project,
        key: &Key,
    ) -> Result<Vec<(Vault, Opened)>> {
        let named = context.named(project)?.is_some();
        let mut all = Vec::new();
        for environment in context.named_or_all(project)? {
            let vault = project.read(&environment)?;
            let there = vault.file.members.get(&self.name).map(|member| member.key.clone());
            let opened = match context.unlock(project, &vault, key, Purpose::Write) {
                Err(error) if error.kind() == Kind::NoAccess && !named => {
                    match there {
                        Some(_) => self.closed.push(vault),
                        // As far as can be told without a key: by name, which is open to anybody.
                        None => context.tell_left_out(&vault, &error),
                    }
                    continue;
                }
                opened => opened?,
            };
            let remembered = self.memory.key_of(&self.name, &vault.file, &opened.fingerprint());
            self.keys.extend(there.into_iter().chain(remembered));
            all.push((vault, opened));
        }
        Ok(all)
    }

    /// Says where he still has access, because our key has none.
    fn left_over(&self) -> Result<()> {
        let Some(first) = self.closed.first() else { return Ok(()) };
        let names: Vec<EnvName> =
            self.closed.iter().map(|vault| vault.environment().clone()).collect();
        let (name, closed) = (&self.name, crate::vault::join(&names));
        let message = format!("{name} keeps access to {closed}, where your key opens nothing");
        let people = first.file.members.iter().filter(|(_, member)| member.locked.is_none());
        let others = few(people.map(|(other, _)| other).filter(|other| *other != name));
        let hint = if others.is_empty() {
            let (environment, path) = (first.environment(), shown_path(&first.path));
            format!("nobody else is a member of {environment}; if nobody wants it, `git rm {path}`")
        } else {
            format!("`vault revoke {name} -e {closed}` is for a member there: {others}")
        };
        Err(Error::no_access(message).about(first.environment()).hint(hint))
    }

    /// The environments that he can open, and who else loses access to each. Nothing is changed if one of
    /// them can't be.
    fn concerned(&self, opened: &[(Vault, Opened)], context: &Context) -> Result<Vec<Concerned>> {
        let mut concerned = Vec::new();
        let known = |name: &&MemberName| {
            opened.iter().any(|(vault, _)| vault.file.members.contains_key(*name))
        };
        let mut typed = self.keep.iter().chain(&self.without);
        if let (Some(unknown), Some((vault, _))) = (typed.find(|one| !known(one)), opened.first()) {
            return Err(unknown_member(vault, unknown));
        }
        for (vault, opened) in opened {
            let missing = self.memory.missing(&vault.file, &opened.fingerprint());
            let missing: Vec<MemberName> = missing.into_iter().map(|(name, _)| name).collect();
            let leaving = self.leaving(vault);
            if !missing.contains(&self.name) && !self.is_there(vault) {
                if context.globals.env.last().is_some() {
                    return Err(unknown_member(vault, &self.name));
                }
                continue;
            }
            // Whoever does it with a key of his own remains.
            if context.globals.recovery {
                check_somebody_remains(vault, &leaving)?;
            }
            self.check_my_own_key(vault, opened, &leaving)?;
            check_not_myself(vault, opened, leaving.iter())?;
            tell_who_gets_no_proof(context, vault, opened);
            concerned.push(Concerned {
                environment: vault.environment().clone(),
                leaving,
                missing,
            });
        }
        if concerned.is_empty() {
            self.left_over()?;
            let error =
                Error::not_found(format!("nobody is called {} in any environment", self.name));
            let others = opened.iter().flat_map(|(vault, _)| vault.file.members.keys());
            return Err(match nearest(self.name.as_str(), others.map(MemberName::as_str)) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error.hint("`vault members` lists the members"),
            });
        }
        Ok(concerned)
    }

    /// Refuses to go on with a key that the one who is removed has made, as the file says.
    fn check_my_own_key(
        &self,
        vault: &Vault,
        opened: &Opened,
        leaving: &BTreeSet<MemberName>,
    ) -> Result<()> {
        let me = opened.me();
        let mine = vault.file.members.get(me).is_some_and(|one| self.keys.contains(&one.key));
        if *me == self.name || mine || !leaving.contains(me) {
            return Ok(());
        }
        let (environment, name) = (vault.environment(), &self.name);
        let message = format!(
            "{environment}: by the file your key was made by {name}, or by what {name} made"
        );
        Err(Error::failed(message).about(environment).hint(format!(
            "if you made it yourself, add `--keep {me}`; else have a key of your own granted first"
        )))
    }

    /// Whether he is a member, under whatever name.
    fn is_there(&self, vault: &Vault) -> bool {
        let mut members = vault.file.members.iter();
        members.any(|(name, member)| *name == self.name || self.keys.contains(&member.key))
    }

    /// Who loses access to an environment that is concerned.
    fn leaving(&self, vault: &Vault) -> BTreeSet<MemberName> {
        let mut leaving = vault.leaving_with(&self.name, &self.keys, &self.keep);
        let there = |name: &&MemberName| vault.file.members.contains_key(*name);
        leaving.extend(self.without.iter().filter(there).cloned());
        leaving
    }
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
        context.ui.hint("commit the folder `envs`, and have everybody pull");
        return Ok(());
    }
    context.ui.say(&format!(
        "{name} could read {}, and knows each until it has changed at its source and here:",
        count(known.len(), "value")
    ));
    context.ui.out(known.concat().as_bytes())?;
    context.ui.hint("commit the folder `envs`, and have everybody pull; then `vault set -e ENV NAME` stores each new value, and `vault status` lists what is left");
    Ok(())
}
