//! Recovery keys: made by `init --recovery` and `key recovery`, opened by `--recovery`.

use clap::Args;

use super::pins::{Purpose, seen};
use super::team::{member, tell, tell_who_gets_no_proof};
use super::{Context, now};
use crate::crypto;
use crate::crypto::keys::{Identity, PublicKey};
use crate::error::{Error, Result};
use crate::format::{NewMember, Opened};
use crate::secret::Secret;
use crate::vars::name::MemberName;
use crate::vault::Vault;
use crate::vault::team::{Changes, Rotated};

/// The member name of a recovery key.
const RECOVERY: &str = "recovery";

/// Make a recovery key, whose passphrase is shown once
///
/// A member of the environments (all unless named by -e) that opens them by its passphrase alone, with
/// `--recovery`. Where there is one already, --replace makes another and a new data key.
#[derive(Debug, Args)]
pub(crate) struct RecoveryArgs {
    /// Replace the recovery key that is there
    #[arg(long)]
    replace: bool,
}

/// Runs it.
pub(super) fn run(args: &RecoveryArgs, context: &Context) -> Result<()> {
    let project = context.project()?;
    let is_named = context.named(&project)?.is_some();
    let key = context.key()?;
    let (mut me, mut environments) = (None, Vec::new());
    for environment in context.named_or_all(&project)? {
        let vault = project.read(&environment)?;
        let opened = context.unlock_unless_closed(&project, &vault, &key, is_named)?;
        let Some(opened) = opened else { continue };
        environments.push(environment);
        check(args, &vault, &opened)?;
        if args.replace {
            tell_who_gets_no_proof(context, &vault, &opened);
        }
        me.get_or_insert_with(|| opened.me().clone());
    }
    let me = me.ok_or_else(|| {
        Error::not_found("there is no environment that your key opens")
            .hint("`vault init` makes one, `vault request` asks for access")
    })?;
    let recovery = Recovery::make(&me)?;
    recovery.show(context);
    let memory = context.memory()?;
    let (now, plugins) = (now(), context.plugins());
    let change = |vault: &mut Vault| {
        let opened = context.unlock(&project, vault, &key, Purpose::Write)?;
        check(args, vault, &opened)?;
        let member = recovery.member(opened.me());
        if !vault.file.members.contains_key(&recovery.name) {
            vault.grant(&opened, &recovery.name, member, &plugins)?;
            return Ok(Made::Added(opened));
        }
        let replaced = [(recovery.name.clone(), member)].into();
        let changes = Changes { replaced, ..Changes::default() };
        let changes = changes.with_memory(&memory, vault, &opened);
        vault.rotate(&opened, changes, now, &plugins).map(Made::Replaced)
    };
    let wrote = |vault: &Vault, made: &Made| Some(seen(&project, vault, made.told(context, vault)));
    context.change_all(&project, &environments, change, wrote)?;
    context
        .ui
        .hint("`vault get --recovery -e ENV NAME` shows whether the passphrase is noted right; then commit the folder `envs`");
    Ok(())
}

/// What has become of one environment.
enum Made {
    Added(Opened),
    Replaced(Rotated),
}

impl Made {
    /// Says what has become of it, and gives the right to the file as it is now.
    fn told(&self, context: &Context, vault: &Vault) -> &Opened {
        match self {
            Self::Added(opened) => {
                context.ui.say(&format!("{}: has a recovery key now", vault.environment()));
                opened
            }
            Self::Replaced(rotated) => {
                tell(context, vault, rotated);
                &rotated.opened
            }
        }
    }
}

fn check(args: &RecoveryArgs, vault: &Vault, opened: &Opened) -> Result<()> {
    let environment = vault.environment();
    let there = vault.file.members.iter().find(|(name, _)| name.as_str() == RECOVERY);
    let Some((name, member)) = there else { return Ok(()) };
    if member.locked.is_none() {
        return Err(Error::failed(format!(
            "{environment}: `{RECOVERY}` is the name of a person there"
        ))
        .about(environment)
        .hint("revoke that member first, and grant the key under another name"));
    }
    if name == opened.me() {
        return Err(Error::failed(format!(
            "{environment}: opened by the recovery key, which can't replace itself"
        ))
        .about(environment)
        .hint("request access for a key of your own, and grant it with `--recovery`"));
    }
    if args.replace {
        return Ok(());
    }
    Err(Error::failed(format!("{environment} has a recovery key already"))
        .about(environment)
        .hint("add `--replace` if its passphrase is lost, or known to somebody who left"))
}

/// A recovery key: a member like any other, whose private key lies in the file under a passphrase.
pub(super) struct Recovery {
    /// Its member name.
    pub(super) name: MemberName,
    passphrase: Secret,
    key: PublicKey,
    locked: Vec<u8>,
}

impl Recovery {
    /// Makes one, for the member `me`.
    pub(super) fn make(me: &MemberName) -> Result<Self> {
        let name: MemberName = member(RECOVERY)?;
        if *me == name {
            return Err(Error::usage(
                "your member name can't be `recovery` when a recovery key is made",
            )
            .hint("add `--name ME`"));
        }
        let (identity, passphrase) = (Identity::generate(), crypto::generate_passphrase());
        let (Some(key), Some(line)) = (identity.public_key(), identity.secret_line()) else {
            return Err(Error::failed("cannot make a recovery key"));
        };
        let text = Secret::new([line.expose(), b"\n"].concat());
        let locked = crypto::lock(text.expose(), &passphrase)?;
        Ok(Self { name, passphrase, key, locked })
    }

    /// What is sealed to, in the files of the member `me`.
    pub(super) fn member(&self, me: &MemberName) -> NewMember {
        NewMember {
            key: self.key.clone(),
            locked: Some(self.locked.clone()),
            issued_by: Some(me.clone()),
        }
    }

    /// Shows the passphrase, once.
    pub(super) fn show(&self, context: &Context) {
        context.ui.say("recovery passphrase, shown this once: write it down and lock it away");
        context.ui.raw_line(self.passphrase.expose_str().unwrap_or_default());
    }
}
