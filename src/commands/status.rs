//! `vault status`.

use clap::Args;
use serde_json::json;

use super::pins::Purpose;
use super::{Context, day};
use crate::cli::ui::count;
use crate::crypto::keys::{Identity, PublicKey};
use crate::error::{Error, Kind, Result};
use crate::format::{Fingerprint, FormerName, VaultFile};
use crate::vars::hex;
use crate::vars::name::{MemberName, VarName};
use crate::vault::exposure::{exposed_to, has_another_key};
use crate::vault::{Key, Project, Vault};

/// Show who you are, what you can open, who else can, and what is waiting
///
/// Needs no key. What could not be verified with one is marked so.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {}

/// What is known of one environment.
struct Environment {
    vault: Vault,
    /// My name in it and the data key's fingerprint, if my key opens it.
    mine: Option<(MemberName, Fingerprint)>,
    /// What is wrong with it, found with the key.
    problem: Option<Error>,
}

/// Runs it.
pub(crate) fn run(_: &StatusArgs, context: &Context) -> Result<()> {
    let project = context.project()?;
    // A key that can't be used is told, and is no reason to show nothing.
    let identities = match context.find_identities() {
        Ok(found) => found.unwrap_or_default(),
        Err(error) => {
            context.ui.warn(&error.to_string());
            error.hint_text().into_iter().for_each(|hint| context.ui.hint(hint));
            Vec::new()
        }
    };
    let keys: Vec<PublicKey> = identities.iter().filter_map(Identity::public_key).collect();
    let (mut environments, mut damaged) = (Vec::new(), Ok(()));
    for name in context.named_or_all(&project)? {
        match project.read(&name) {
            Ok(vault) => environments.push(look(context, &project, vault, &identities)),
            Err(error) if error.kind() == Kind::NotFound => return Err(error),
            // The others are shown first.
            Err(error) => damaged = damaged.and(Err(error)),
        }
    }
    let text =
        if context.ui.json { as_json(&keys, &environments) } else { as_text(&keys, &environments) };
    context.ui.out(text.as_bytes())?;
    let problem = environments.into_iter().find_map(|environment| environment.problem);
    problem.map_or(damaged, Err)
}

fn look(
    context: &Context,
    project: &Project,
    vault: Vault,
    identities: &[Identity],
) -> Environment {
    let key = Key::Identities(identities.to_vec());
    match context.unlock(project, &vault, &key, Purpose::Read) {
        Ok(opened) => {
            let mine = Some((opened.me().clone(), opened.fingerprint()));
            // The times that say who knows what are only proved with the values.
            let problem = vault.check_values(&opened).err();
            Environment { vault, mine, problem }
        }
        Err(error) => {
            let problem = (error.kind() != Kind::NoAccess).then_some(error);
            Environment { vault, mine: None, problem }
        }
    }
}

fn as_text(keys: &[PublicKey], environments: &[Environment]) -> String {
    let mut lines = Vec::new();
    if keys.is_empty() {
        lines.push("no private key".to_owned());
    }
    for key in keys {
        lines.push(format!("key {key}"));
        lines.push(format!("    fingerprint {}", Fingerprint::of_key(key)));
    }
    for environment in environments {
        lines.push(String::new());
        lines.extend(describe(environment));
    }
    lines.push(String::new());
    lines.join("\n")
}

fn describe(environment: &Environment) -> Vec<String> {
    let file = &environment.vault.file;
    let access = match (&environment.mine, &environment.problem) {
        (_, Some(problem)) => problem.to_string(),
        (Some((me, _)), None) => format!("you are {me}"),
        (None, None) => "no access, so nothing here is verified".to_owned(),
    };
    let mut lines = vec![format!("{}: {access}", file.environment)];
    lines.push(format!("    {}", count(file.secrets.len(), "value")));
    let data_key = match (&environment.mine, file.unverified_key_id()) {
        (Some((_, fingerprint)), _) => fingerprint.to_string(),
        (None, key_id) => format!("{}… (unverified)", hex(&key_id.unwrap_or_default())),
    };
    lines.push(format!("    data key {data_key}, made {}", day(file.made)));
    lines.push(format!("    members: {}", environment.vault.member_names()));
    if !file.requests.is_empty() {
        let names: Vec<&str> = file.requests.keys().map(MemberName::as_str).collect();
        lines.push(format!("    asking for access: {}", names.join(", ")));
    }
    lines.extend(file.former.keys().filter_map(|former| knows(file, former)));
    lines
}

/// What a former member still knows, in a line; None if nothing.
fn knows(file: &VaultFile, former: &FormerName) -> Option<String> {
    let names: Vec<&str> = exposed_to(file, former).into_iter().map(VarName::as_str).collect();
    (!names.is_empty()).then(|| {
        let (who, when) = (former.member(), day(former.removed()));
        let (values, names) = (count(names.len(), "value"), names.join(", "));
        if has_another_key(file, former) {
            format!("    an earlier key of {who}, removed on {when}, could read {values}: {names}")
        } else {
            format!("    {who} left on {when} and knows {values}: {names}")
        }
    })
}

fn as_json(keys: &[PublicKey], environments: &[Environment]) -> String {
    let key = |key: &PublicKey| json!({ "key": key.as_str(), "sort": key.sort(), "fingerprint": Fingerprint::of_key(key).to_string() });
    let all: Vec<serde_json::Value> = environments
        .iter()
        .map(|environment| {
            let file = &environment.vault.file;
            let members: Vec<serde_json::Value> = file
                .members
                .iter()
                .map(|(name, member)| json!({ "name": name.as_str(), "key": member.key.as_str(), "fingerprint": Fingerprint::of_key(&member.key).to_string() }))
                .collect();
            let requests: Vec<serde_json::Value> = file
                .requests
                .iter()
                .map(|(name, key)| json!({ "name": name.as_str(), "key": key.as_str(), "fingerprint": Fingerprint::of_key(key).to_string() }))
                .collect();
            let exposures: Vec<serde_json::Value> = file
                .former
                .keys()
                .map(|former| {
                    let names: Vec<&str> = exposed_to(file, former).into_iter().map(VarName::as_str).collect();
                    json!({ "member": former.member().as_str(), "removed": former.removed(), "names": names })
                })
                .collect();
            json!({
                "name": file.environment.as_str(),
                "me": environment.mine.as_ref().map(|(me, _)| me.as_str()),
                "verified": environment.mine.is_some() && environment.problem.is_none(),
                "problem": environment.problem.as_ref().map(ToString::to_string),
                "fingerprint": environment.mine.as_ref().map(|(_, fingerprint)| fingerprint.to_string()),
                "made": file.made,
                "values": file.secrets.len(),
                "members": members,
                "requests": requests,
                "exposures": exposures,
            })
        })
        .collect();
    format!(
        "{}\n",
        json!({ "keys": keys.iter().map(key).collect::<Vec<_>>(), "environments": all })
    )
}
