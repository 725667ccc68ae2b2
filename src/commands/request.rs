//! `vault request`.

use std::path::Path;

use clap::Args;

use super::team::member;
use super::{Context, init, key};
use crate::crypto::keys::{Identity, PublicKey};
use crate::error::{Error, Result, shown_path};
use crate::format::Fingerprint;
use crate::vars::name::{EnvName, MemberName};
use crate::vault::{Project, Vault, join};

/// Ask for access
///
/// Writes your name and public key into the environments, all of them unless some are named by -e, for a
/// member to grant. A private key is made if you have none. Commit the change and open a pull request.
#[derive(Debug, Args)]
pub(crate) struct RequestArgs {
    /// Your member name
    #[arg(long, value_name = "ME")]
    name: Option<String>,
    /// Ask for this ssh public key: a file, or the key itself
    #[arg(long, value_name = "PUBKEY")]
    ssh: Option<String>,
    /// Ask to have the key of the member of this name replaced by yours
    #[arg(long)]
    replace: bool,
}

/// What became of it in one environment.
enum Outcome {
    Asked,
    AskedBefore,
    Member,
}

/// Runs it.
pub(crate) fn run(args: &RequestArgs, context: &Context) -> Result<()> {
    let project = context.project()?;
    let environments = context.named_or_all(&project)?;
    if environments.is_empty() {
        return Err(Error::not_found("there is no environment to ask for")
            .hint("make one with `vault init`"));
    }
    let known = match &args.ssh {
        Some(ssh) => Some(ssh_key(ssh)?),
        None => known_key(context)?,
    };
    // The name is settled before a key is made: a run that fails leaves nothing behind.
    let name = match (&args.name, &known) {
        (Some(name), _) => member(name)?,
        (None, Some(key)) => match known_as(&project, &environments, key)? {
            Some(name) => name,
            None => init::suggested(context)?,
        },
        (None, None) => init::suggested(context)?,
    };
    for environment in &environments {
        check_name(args, &project.read(environment)?, &name, known.as_ref())?;
    }
    let key = match known {
        Some(key) => key,
        None => key::make(context, false)?.public_key().ok_or_else(no_public_key)?,
    };
    let change = |vault: &mut Vault| {
        if vault.file.members.values().any(|member| member.key == key) {
            return Ok(Outcome::Member);
        }
        check_name(args, vault, &name, Some(&key))?;
        // One key asks under one name.
        vault.file.requests.retain(|other, asks| *other == name || *asks != key);
        let before = vault.file.requests.insert(name.clone(), key.clone());
        Ok(if before.as_ref() == Some(&key) { Outcome::AskedBefore } else { Outcome::Asked })
    };
    let outcomes = context.change_all(&project, &environments, change, |_, _| None)?;
    tell(context, &name, &key, &environments, &outcomes);
    Ok(())
}

/// Refuses a name that is somebody else's. Without a key yet, whoever has the name is somebody else.
fn check_name(
    args: &RequestArgs,
    vault: &Vault,
    name: &MemberName,
    key: Option<&PublicKey>,
) -> Result<()> {
    let environment = vault.environment();
    let member = vault.file.members.get(name).map(|member| &member.key);
    let asker = vault.file.requests.get(name);
    let message = if member.is_some_and(|other| Some(other) != key) {
        format!("{environment} has a member {name}, with another key")
    } else if asker.is_some_and(|other| Some(other) != key) {
        format!("{environment}: another key asks for access as {name}")
    } else {
        return Ok(());
    };
    if args.replace {
        return Ok(());
    }
    Err(Error::failed(message)
        .about(environment)
        .hint("choose another name with `--name`; if it is you, with a new key, add `--replace`"))
}

/// The name under which this key is known in one of the environments, or asks there.
fn known_as(
    project: &Project,
    environments: &[EnvName],
    key: &PublicKey,
) -> Result<Option<MemberName>> {
    for environment in environments {
        let file = project.read(environment)?.file;
        let members = file.members.into_iter().map(|(name, member)| (name, member.key));
        let mut all = members.chain(file.requests);
        if let Some((name, _)) = all.find(|(_, other)| other == key) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// The public key of this user's own identity, if he has one.
fn known_key(context: &Context) -> Result<Option<PublicKey>> {
    let Some(identities) = context.find_identities()? else { return Ok(None) };
    let key = identities.iter().find_map(Identity::public_key);
    key.ok_or_else(no_public_key).map(Some)
}

fn no_public_key() -> Error {
    Error::failed("the public key of your plugin identity is not known")
        .hint("write it above the identity as `# public key: age1…`")
}

/// An ssh public key as in `authorized_keys`: its sort, its base64, and perhaps a comment.
fn ssh_key(given: &str) -> Result<PublicKey> {
    let text = if given.starts_with("ssh-") || given.contains(' ') {
        given.to_owned()
    } else {
        let path = Path::new(given);
        std::fs::read_to_string(path).map_err(|error| Error::io("read", path, &error))?
    };
    if text.contains("PRIVATE KEY") {
        return Err(Error::usage(format!("`{}` is a private key", shown_path(Path::new(given))))
            .hint("give the public one, which ends in `.pub`"));
    }
    let words: Vec<&str> = text.split_ascii_whitespace().take(2).collect();
    words.join(" ").parse().map_err(|_| {
        Error::usage("not an ssh key that can be used").hint(
            "age seals to ssh-ed25519 and ssh-rsa; for ecdsa and sk keys, leave `--ssh` out and a key is made",
        )
    })
}

fn tell(
    context: &Context,
    name: &MemberName,
    key: &PublicKey,
    environments: &[EnvName],
    outcomes: &[Outcome],
) {
    let those = |wanted: fn(&Outcome) -> bool| -> Vec<EnvName> {
        let pairs = environments.iter().zip(outcomes);
        pairs.filter(|(_, outcome)| wanted(outcome)).map(|(name, _)| name.clone()).collect()
    };
    let member = those(|outcome| matches!(outcome, Outcome::Member));
    if !member.is_empty() {
        context.ui.say(&format!("you are a member of {} already", join(&member)));
    }
    let before = those(|outcome| matches!(outcome, Outcome::AskedBefore));
    if !before.is_empty() {
        context.ui.say(&format!("{name} has asked for {} already", join(&before)));
    }
    let asked = those(|outcome| matches!(outcome, Outcome::Asked));
    if asked.is_empty() {
        return;
    }
    context.ui.say(&format!("{name} asks for access to {}", join(&asked)));
    context.ui.say(&format!("key {}", Fingerprint::of_key(key)));
    context.ui.hint(&format!(
        "commit the folder `envs`, open a pull request, and tell a member that fingerprint by voice: he runs `vault grant {name}`"
    ));
}
