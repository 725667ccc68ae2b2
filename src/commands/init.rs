//! `vault init`: environments, an identity, and the first member.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::PathBuf;

use clap::Args;

use super::pins::{Purpose, seen};
use super::recovery::Recovery;
use super::{Context, key, now};
use crate::cli::prompt;
use crate::cli::ui::count;
use crate::crypto::keys::{Identity, PublicKey};
use crate::error::{Error, Result};
use crate::format::{Author, FormerName, NewFile, NewMember, Opened, Record, VaultFile};
use crate::process::git::git;
use crate::vars::name::{EnvName, MemberName};
use crate::vault::exposure::{clock_is_poisoned, time_of_new_key, time_of_removal};
use crate::vault::{Key, Project, Vault, join};

/// What a project gets if it names nothing else.
const DEFAULTS: [&str; 3] = ["development", "staging", "production"];

/// Make a vault, or add environments to one
///
/// Makes a private key if you have none, and the environments development, staging and production unless
/// others are named by --env (which may be repeated). What is there already stays as it is. With --recovery
/// the new environments get a recovery key, under a passphrase that is shown once.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// Your member name
    #[arg(long, value_name = "ME")]
    name: Option<String>,
    /// Copy the values of this environment into the new ones
    #[arg(long, value_name = "ENV", add = super::completions::environment_names())]
    from: Option<String>,
    /// With --from: its members get access too
    #[arg(long, requires = "from")]
    with_members: bool,
}

/// Who makes the environments.
struct Me {
    name: MemberName,
    identity: Identity,
    key: PublicKey,
}

/// Runs it.
pub(crate) fn run(args: &InitArgs, context: &Context) -> Result<()> {
    let project = context.find_project()?.unwrap_or_else(|| Project::here(&context.outside.folder));
    let existing = project.environments()?;
    let identities = context.find_identities()?;
    let member = identities.iter().flatten().find_map(|one| as_member(&project, &existing, one));
    let wanted = wanted(context, &existing, member.is_some(), args.from.is_some())?;
    let mut new: Vec<EnvName> = Vec::new();
    for name in &wanted {
        if !existing.contains(name) && !new.contains(name) {
            new.push(name.clone());
        }
    }
    if new.is_empty() {
        let there = if wanted.is_empty() { &existing } else { &wanted };
        nothing_to_do(context, there, member.is_some());
        return Ok(());
    }
    let source = args.from.as_deref().map(|name| source(context, &project, name)).transpose()?;
    if source.is_none() && identities.is_some() && member.is_none() && !existing.is_empty() {
        context
            .ui
            .warn(&format!("your key opens nothing of what is there already: {}", join(&existing)));
    }
    let me = me(args, context, &project, &existing, identities)?;
    // Here the flag asks for a new recovery key, where elsewhere it opens one.
    let recovery = context.globals.recovery.then(|| Recovery::make(&me.name)).transpose()?;
    let missing = match &source {
        Some((source, opened)) => context.memory()?.missing(&source.file, &opened.fingerprint()),
        None => Vec::new(),
    };
    let (source, recovery) = (source.as_ref(), recovery.as_ref());
    let maker = Maker { context, me: &me, source, missing, recovery };
    // Everything that can fail is done before the first file is written.
    let vaults: Vec<(Vault, Opened)> = new
        .iter()
        .map(|name| maker.build(project.path(name), name, args.with_members))
        .collect::<Result<_>>()?;
    if let Some(recovery) = &recovery {
        recovery.show(context);
    }
    for (vault, opened) in &vaults {
        project.create(vault)?;
        context.pin(vec![seen(&project, vault, opened)])?;
        let values = vault.file.secrets.len();
        let copied =
            if values > 0 { format!(" with {}", count(values, "value")) } else { String::new() };
        context.ui.say(&format!("made {}{copied}", crate::error::shown_path(&vault.path)));
    }
    context.ui.say(&format!(
        "you are the member {} (key {})",
        me.name,
        crate::format::Fingerprint::of_key(&me.key)
    ));
    if let Some(first) = new.first() {
        context.ui.hint(&format!(
            "`vault set -e {first} NAME` stores a value; then commit the folder `envs`"
        ));
    }
    Ok(())
}

fn nothing_to_do(context: &Context, there: &[EnvName], member: bool) {
    let are = if there.len() == 1 { "is" } else { "are" };
    context.ui.say(&format!("nothing to do: {} {are} there already", join(there)));
    if !member {
        context
            .ui
            .hint("you are no member there: ask one for access, or name a new environment by `-e`");
    }
}

/// Which environments there shall be. Without a name: the usual three. Where there are environments, they
/// are completed only for a member, and only where the project has not chosen others of its own: somebody
/// who has just cloned it does not want a second founding.
fn wanted(
    context: &Context,
    existing: &[EnvName],
    member: bool,
    from: bool,
) -> Result<Vec<EnvName>> {
    let named = &context.globals.env;
    if !named.is_empty() {
        let parse = |name: &str| {
            name.trim().parse().map_err(|rule| {
                Error::usage(format!("`{}`: {rule}", crate::vars::name::shown(name)))
            })
        };
        return named.iter().flat_map(|list| list.split(',')).map(parse).collect();
    }
    if from {
        return Err(Error::usage("`--from` needs the new environment's name").hint("add `-e NAME`"));
    }
    let own_choice = existing.iter().any(|name| !DEFAULTS.contains(&name.as_str()));
    if own_choice || (!existing.is_empty() && !member) {
        return Ok(Vec::new());
    }
    Ok(DEFAULTS.iter().filter_map(|name| name.parse().ok()).collect())
}

/// An environment whose values are copied, opened.
fn source(context: &Context, project: &Project, name: &str) -> Result<(Vault, Opened)> {
    let environment: EnvName = name.parse().map_err(|_| project.unknown(name))?;
    let vault = project.read(&environment)?;
    let key = Key::Identities(context.identities()?);
    let opened = context.unlock(project, &vault, &key, Purpose::Read)?;
    Ok((vault, opened))
}

/// The first identity makes the environments, under the name that it has in the project already.
fn me(
    args: &InitArgs,
    context: &Context,
    project: &Project,
    existing: &[EnvName],
    identities: Option<Vec<Identity>>,
) -> Result<Me> {
    let with_key = |identity: Identity| Some((identity.public_key()?, identity));
    let unknown = || {
        Error::no_access("the public key of your plugin identity is not known")
            .hint("write it above the identity as `# public key: age1…`")
    };
    let found = match identities {
        Some(identities) => Some(identities.into_iter().find_map(with_key).ok_or_else(unknown)?),
        None => None,
    };
    // The name is settled before a key is made: a run that fails leaves nothing behind.
    let known_as = found.as_ref().and_then(|(_, identity)| as_member(project, existing, identity));
    let name = match (&args.name, known_as) {
        (Some(text), _) => text.parse().map_err(|rule| {
            Error::usage(format!("`{}`: {rule}", crate::vars::name::shown(text)))
        })?,
        (None, Some(name)) => name,
        (None, None) => free_name(context, project, existing)?,
    };
    let (key, identity) = match found {
        Some(found) => found,
        None => with_key(key::make(context, false)?).ok_or_else(unknown)?,
    };
    Ok(Me { name, identity, key })
}

/// A suggested name that nobody with another key has in the project.
fn free_name(context: &Context, project: &Project, existing: &[EnvName]) -> Result<MemberName> {
    let name = suggested(context)?;
    let mut vaults = existing.iter().filter_map(|environment| project.read(environment).ok());
    if let Some(vault) = vaults.find(|vault| vault.file.members.contains_key(&name)) {
        let message =
            format!("{name} is a member of {} with another key than yours", vault.environment());
        return Err(Error::failed(message).hint("choose another name with `--name`"));
    }
    Ok(name)
}

/// Who this identity is in the project already, by a file that it opens and whose members are vouched for.
/// A damaged file tells nothing, and is no reason not to make another environment.
fn as_member(project: &Project, existing: &[EnvName], identity: &Identity) -> Option<MemberName> {
    let key = Key::Identities(vec![identity.clone()]);
    let opened = |name: &EnvName| project.read(name).ok()?.open(&key).ok();
    existing.iter().find_map(opened).map(|opened| opened.me().clone())
}

/// A member name from git's user.email, else from the login name. `root` says nothing of who it is.
pub(super) fn suggested(context: &Context) -> Result<MemberName> {
    let words = ["config", "user.email"].map(OsStr::new);
    let mail = git(&words, &context.surroundings());
    let login = context.outside.text("USER").filter(|login| login != "root");
    let name = mail
        .as_deref()
        .and_then(MemberName::suggested_by)
        .or_else(|| login.as_deref().and_then(MemberName::suggested_by));
    if let Some(name) = name {
        return Ok(name);
    }
    let unknown = || {
        Error::usage("your member name can't be told from git's user.email or from USER")
            .hint("add `--name ME`")
    };
    if !prompt::possible() {
        return Err(unknown());
    }
    let answer = prompt::shown("Your member name: ")?;
    answer.trim().parse().map_err(|_| unknown())
}

/// What the new environments have in common.
struct Maker<'a> {
    context: &'a Context,
    me: &'a Me,
    source: Option<&'a (Vault, Opened)>,
    /// Members of the source whose blocks somebody has deleted: they have seen its values too.
    missing: Vec<(MemberName, PublicKey)>,
    recovery: Option<&'a Recovery>,
}

impl Maker<'_> {
    fn build(
        &self,
        path: PathBuf,
        environment: &EnvName,
        with_members: bool,
    ) -> Result<(Vault, Opened)> {
        let now = now();
        let mut members = self.members();
        let mut former = BTreeMap::new();
        if let Some((source, _)) = self.source {
            if with_members {
                take_members(&mut members, source, self.me)?;
            }
            former = ledger_of_copy(source, &self.missing, &members, now)?;
        }
        let latest_removed = former.keys().map(FormerName::removed).max().unwrap_or(0);
        let new = NewFile {
            environment: environment.clone(),
            made: time_of_new_key(now, latest_removed),
            members,
            former,
            author: Author { name: &self.me.name, identity: &self.me.identity, key: &self.me.key },
        };
        let (file, opened) = VaultFile::create(new, &self.context.plugins())
            .map_err(|fault| fault.at(&path).about(environment))?;
        let mut vault = Vault { path, file };
        if let Some((source, theirs)) = self.source {
            for name in source.file.secrets.keys() {
                vault.copy(&opened, source, theirs, name)?;
            }
        }
        Ok((vault, opened))
    }

    /// Who makes it, and the recovery key if one is wanted.
    fn members(&self) -> BTreeMap<MemberName, NewMember> {
        let me = NewMember { key: self.me.key.clone(), locked: None, issued_by: None };
        let mut members = BTreeMap::from([(self.me.name.clone(), me)]);
        if let Some(recovery) = self.recovery {
            members.insert(recovery.name.clone(), recovery.member(&self.me.name));
        }
        members
    }
}

/// The members of the source become members of the copy, under their own names and keys.
fn take_members(
    members: &mut BTreeMap<MemberName, NewMember>,
    source: &Vault,
    me: &Me,
) -> Result<()> {
    for (name, member) in source.file.members.iter().filter(|(_, member)| member.key != me.key) {
        if members.contains_key(name) {
            return Err(Error::failed(format!(
                "{} has a member {name} with another key",
                source.environment()
            ))
            .hint("choose another name with `--name`, or leave `--with-members` out"));
        }
        let taken = NewMember {
            key: member.key.clone(),
            locked: member.locked.clone(),
            issued_by: member.issued_by.clone(),
        };
        members.insert(name.clone(), taken);
    }
    Ok(())
}

/// What the copy knows of people who saw its values: the ledger of the source, and an entry for each
/// member of the source who gets no access to the copy (format.md, Rotation and exposure).
fn ledger_of_copy(
    source: &Vault,
    missing: &[(MemberName, PublicKey)],
    members: &BTreeMap<MemberName, NewMember>,
    now: u64,
) -> Result<BTreeMap<FormerName, PublicKey>> {
    let mut ledger: BTreeMap<FormerName, PublicKey> =
        source.file.former.iter().map(|(name, entry)| (name.clone(), entry.key.clone())).collect();
    let latest_changed = source.file.secrets.values().map(Record::changed).max().unwrap_or(0);
    let of_source = source.file.members.iter().map(|(name, member)| (name, &member.key));
    for (name, key) in of_source.chain(missing.iter().map(|(name, key)| (name, key))) {
        if members.values().any(|other| other.key == *key) {
            continue;
        }
        let last =
            ledger.keys().filter(|entry| entry.member() == name).map(FormerName::removed).max();
        let removed = time_of_removal(now, None, latest_changed, last)
            .ok_or_else(|| clock_is_poisoned(name))?;
        ledger.insert(FormerName::new(name, removed), key.clone());
    }
    Ok(ledger)
}
