//! `vault members`.

use std::collections::BTreeMap;

use clap::Args;
use serde_json::json;

use super::Context;
use crate::crypto::keys::PublicKey;
use crate::error::Result;
use crate::format::Fingerprint;
use crate::vars::name::{EnvName, MemberName};
use crate::vault::join;

/// List who can open which environments
///
/// A line for each member: the name, the fingerprint of the key, the environments. Needs no key, so nothing
/// here is verified; `vault status` verifies what your key opens.
#[derive(Debug, Args)]
pub(crate) struct MembersArgs {}

/// Runs it.
pub(crate) fn run(_: &MembersArgs, context: &Context) -> Result<()> {
    let project = context.project()?;
    let mut members: BTreeMap<(MemberName, PublicKey), Vec<EnvName>> = BTreeMap::new();
    for environment in context.named_or_all(&project)? {
        for (name, member) in project.read(&environment)?.file.members {
            members.entry((name, member.key)).or_default().push(environment.clone());
        }
    }
    let text = if context.ui.json { as_json(&members) } else { as_text(&members) };
    context.ui.out(text.as_bytes())
}

fn as_text(members: &BTreeMap<(MemberName, PublicKey), Vec<EnvName>>) -> String {
    let line = |((name, key), environments): (&(MemberName, PublicKey), &Vec<EnvName>)| {
        format!("{name}\t{}\t{}\n", Fingerprint::of_key(key), join(environments))
    };
    members.iter().map(line).collect()
}

fn as_json(members: &BTreeMap<(MemberName, PublicKey), Vec<EnvName>>) -> String {
    let one = |((name, key), environments): (&(MemberName, PublicKey), &Vec<EnvName>)| {
        let environments: Vec<&str> = environments.iter().map(EnvName::as_str).collect();
        json!({
            "name": name.as_str(),
            "key": key.as_str(),
            "sort": key.sort(),
            "fingerprint": Fingerprint::of_key(key).to_string(),
            "environments": environments,
        })
    };
    format!("{}\n", json!({ "members": members.iter().map(one).collect::<Vec<_>>() }))
}
