//! What the commands about members have in common.

use std::collections::BTreeSet;

use super::Context;
use super::pins::Purpose;
use crate::error::{Error, Kind, Result, shown_path};
use crate::format::Opened;
use crate::vars::name::{EnvName, MemberName, nearest, shown};
use crate::vault::team::Rotated;
use crate::vault::{Key, Project, Vault};

impl Context {
    /// The environments that `-e` names. None where there is no `-e`: who may open what is not left to a
    /// setting of the surroundings.
    pub(crate) fn named(&self, project: &Project) -> Result<Option<Vec<EnvName>>> {
        let Some(list) = self.globals.env.last() else { return Ok(None) };
        let mut named: Vec<EnvName> = Vec::new();
        for item in list.split(',').map(str::trim) {
            let name = super::environment_item(project, item)?;
            if !named.contains(&name) {
                named.push(name);
            }
        }
        Ok(Some(named))
    }

    /// Opens an environment whose members are to change. None, with a warning, where nobody named it and the key opens
    /// nothing there: anybody can found an environment, which must keep nobody from changing the others.
    pub(super) fn unlock_unless_closed(
        &self,
        project: &Project,
        vault: &Vault,
        key: &Key,
        is_named: bool,
    ) -> Result<Option<Opened>> {
        match self.unlock(project, vault, key, Purpose::Write) {
            Err(error) if error.kind() == Kind::NoAccess && !is_named => {
                self.tell_left_out(vault, &error);
                Ok(None)
            }
            opened => opened.map(Some),
        }
    }

    /// Says, once, that an environment is left to its members.
    pub(super) fn tell_left_out(&self, vault: &Vault, error: &Error) {
        let told = format!("{}: left out: {error}", vault.environment());
        if self.is_news(&told) {
            self.ui.warn(&told);
        }
    }

    /// The environments that `-e` names, else all.
    pub(crate) fn named_or_all(&self, project: &Project) -> Result<Vec<EnvName>> {
        match self.named(project)? {
            Some(named) => Ok(named),
            None => project.environments(),
        }
    }
}

/// A member name as it was typed.
pub(super) fn member(text: &str) -> Result<MemberName> {
    text.parse().map_err(|rule| Error::usage(format!("`{}`: {rule}", shown(text))))
}

/// Lists of member names as they were typed, separated by commas.
pub(super) fn members(lists: &[String]) -> Result<BTreeSet<MemberName>> {
    let items = lists.iter().flat_map(|list| list.split(',')).map(str::trim);
    items.filter(|item| !item.is_empty()).map(member).collect()
}

/// The error for a member who isn't there, with the near name among those who are.
pub(super) fn unknown_member(vault: &Vault, name: &MemberName) -> Error {
    let environment = vault.environment();
    if vault.file.requests.contains_key(name) {
        let path = shown_path(&vault.path);
        let told = format!("{environment} has no member {name}, who only asks for access");
        return Error::not_found(told)
            .about(environment)
            .hint(format!("take the block `[requests.{name}]` out of {path}"));
    }
    let error = Error::not_found(format!("{environment} has no member {name}")).about(environment);
    match nearest(name.as_str(), vault.file.members.keys().map(MemberName::as_str)) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint(format!("its members are {}", vault.member_names())),
    }
}

/// Refuses to take the access of the member who opened the file: whoever makes a data key knows it.
pub(super) fn check_not_myself<'a>(
    vault: &Vault,
    opened: &Opened,
    mut leaving: impl Iterator<Item = &'a MemberName>,
) -> Result<()> {
    let members = &vault.file.members;
    let mine = members.get(opened.me()).map(|member| &member.key);
    if !leaving.any(|name| members.get(name).map(|member| &member.key) == mine) {
        return Ok(());
    }
    let environment = vault.environment();
    let others =
        members.values().any(|member| Some(&member.key) != mine && member.locked.is_none());
    let hint = if others {
        format!("another member does that; the members are {}", vault.member_names())
    } else {
        "grant a second key of yours first, under another name, and do it with that one".to_owned()
    };
    Err(Error::failed(format!(
        "{environment}: you are {}, and who makes a new data key knows it",
        opened.me()
    ))
    .about(environment)
    .hint(hint))
}

/// Says what a rotation has changed.
pub(super) fn tell(context: &Context, vault: &Vault, rotated: &Rotated) {
    let environment = vault.environment();
    for entry in &rotated.former {
        context.ui.say(&format!("{environment}: {} is removed", entry.member()));
    }
    for name in &rotated.lowered {
        context.ui.warn(&format!(
            "{environment}: the time of change of {name} lay ahead of the clock, and was set to now"
        ));
    }
    context.ui.say(&format!("{environment}: new data key {}", rotated.opened.fingerprint()));
}

/// Says whose machines will ask before they take the new data key.
pub(super) fn tell_who_gets_no_proof(context: &Context, vault: &Vault, opened: &Opened) {
    let names: Vec<&str> =
        vault.without_proof(opened.me()).into_iter().map(MemberName::as_str).collect();
    if !names.is_empty() {
        context.ui.say(&format!(
            "{}: with an ssh or plugin key there is no proof of who made the data key; {} will have to compare its fingerprint (`vault trust`)",
            vault.environment(),
            names.join(", ")
        ));
    }
}
