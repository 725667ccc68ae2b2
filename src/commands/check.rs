//! `vault check`: what is wrong before anything is started.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::Path;

use clap::Args;

use super::Context;
use super::against::against;
use super::findings::{Findings, Form};
use super::pins::Purpose;
use super::wanted::{Item, Loaded, Wanted};
use crate::cli::ui::count;
use crate::crypto::keys::Identity;
use crate::error::{Kind, Result, shown_path};
use crate::process::environ::{Policy, build};
use crate::process::formation::DEFAULT_PORT;
use crate::process::procfile::Procfile;
use crate::process::replace::find;
use crate::vars::Vars;
use crate::vars::name::{EnvName, VarName, shown};
use crate::vault::exposure::{exposed_to, has_another_key};
use crate::vault::settings::Settings;
use crate::vault::{Key, Project, Vault, doubts, missing};

/// Check the Procfile and the environments without starting anything
///
/// Works without a key, and says what it could not look at then. The status is 1 if something is wrong;
/// with --strict also if something only looks wrong.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Count warnings as errors
    #[arg(long)]
    strict: bool,
    /// Compare with the environments of this commit: what a merge would put back, remove or let in
    #[arg(long, value_name = "REV")]
    against: Option<String>,
    /// How to print what was found
    #[arg(long, value_enum, default_value = "text")]
    format: Form,
}

/// Runs it. The status is 0 or 1.
pub(crate) fn run(args: &CheckArgs, context: &Context) -> Result<u8> {
    let mut found = Findings::default();
    // Not the one that a developer works with: what nobody opens is what nobody would see.
    let all = |project: &Project, _: &Settings| {
        project.environments().map(|names| names.into_iter().map(Item::Environment).collect())
    };
    match context.wanted_or(all) {
        Ok(wanted) => {
            let dotenv = read_dotenv(context, &wanted, &mut found);
            check_procfile(context, &wanted, &dotenv.vars, &mut found);
            if let Some(project) = &wanted.project {
                check_environments(context, project, &wanted, &dotenv.vars, &mut found);
                if let Some(rev) = &args.against {
                    against(rev, &wanted.environments(), project, context, &mut found)?;
                }
            }
        }
        Err(error) => found.failed(&error),
    }
    found.tell(args.format, context)?;
    Ok(u8::from(found.is_bad(args.strict)))
}

/// The variables of the dotenv files, and what is wrong with those.
fn read_dotenv(context: &Context, wanted: &Wanted, found: &mut Findings) -> Loaded {
    let loaded = wanted.load_files().unwrap_or_else(|error| {
        found.failed(&error);
        Loaded::default()
    });
    for notice in &loaded.notices {
        found.warn(notice.clone());
    }
    for item in &wanted.items {
        if let Item::File(path) = item {
            check_untracked(context, path, found);
        }
    }
    if let Some(path) = wanted.unread_dotenv() {
        check_untracked(context, &path, found);
        found.note(format!("{}: not read, because there is a vault", shown_path(&path)));
    }
    loaded
}

fn check_untracked(context: &Context, path: &Path, found: &mut Findings) {
    if context.git_tracks(path, false) {
        let told = shown_path(path);
        found.error(format!("{told}: git tracks it, with its values in plaintext"));
    }
}

fn check_procfile(context: &Context, wanted: &Wanted, vars: &Vars, found: &mut Findings) {
    let path = context.procfile_path(wanted, vars);
    let told = shown_path(&path);
    if wanted.project.is_some() && context.globals.procfile.is_none() && !path.exists() {
        return found.note(format!("{told}: not there, so there is nothing to start"));
    }
    let procfile = match Context::read_procfile(&path) {
        Ok(procfile) => procfile,
        Err(error) => return found.failed(&error),
    };
    for notice in procfile.notices(&path) {
        found.warn(notice);
    }
    if procfile.types.is_empty() {
        found.warn(format!("{told}: there is no process in it"));
    }
    for one in &procfile.types {
        if let Some(program) = missing_program(context, wanted, &one.command) {
            let line = one.line;
            found.warn(format!("{told}:{line}: {}: `{program}` is not found on PATH", one.name));
        }
    }
    check_runner(wanted, &procfile, found);
    let names: Vec<&str> = procfile.names().collect();
    found.note(format!("{told}: valid procfile detected ({})", names.join(", ")));
}

/// Process types that `vault.toml` names and the Procfile doesn't have.
fn check_runner(wanted: &Wanted, procfile: &Procfile, found: &mut Findings) {
    let named: BTreeSet<&str> = wanted.settings.runner.types().collect();
    for name in named {
        if let Some(suggestion) = procfile.lacks(name) {
            let told = shown(name);
            found.warn(format!(
                "vault.toml: `[runner]` names `{told}`, which is no process type{suggestion}"
            ));
        }
    }
}

/// The program of a command, if it is plain which one that is and it isn't there.
fn missing_program(context: &Context, wanted: &Wanted, command: &str) -> Option<String> {
    const BUILT_IN: [&str; 27] = [
        ".", ":", "[", "alias", "case", "cd", "command", "echo", "eval", "exit", "export", "false",
        "for", "if", "kill", "printf", "pwd", "read", "set", "source", "test", "trap", "true",
        "ulimit", "umask", "wait", "while",
    ];
    let words = shell_words::split(command).ok()?;
    let is_assignment =
        |word: &str| word.split_once('=').is_some_and(|(name, _)| name.parse::<VarName>().is_ok());
    let mut words = words.iter().skip_while(|word| is_assignment(word) || *word == "exec");
    let mut word = words.next()?;
    // What `vault run -- CMD` runs is what matters.
    if word == "vault" && words.next().is_some_and(|word| word == "run") {
        word = words.skip_while(|word| *word != "--").nth(1)?;
    }
    let plain = |c: char| c.is_alphanumeric() || "._-+/@".contains(c);
    if !word.chars().all(plain) || BUILT_IN.contains(&word.as_str()) {
        return None;
    }
    let place = if word.contains('/') {
        wanted.home.join(word).into()
    } else {
        OsStr::new(word).to_owned()
    };
    find(&place, context.outside.get("PATH")).err().map(|_| shown(word))
}

fn check_environments(
    context: &Context,
    project: &Project,
    wanted: &Wanted,
    files: &Vars,
    found: &mut Findings,
) {
    let identities = match context.find_identities() {
        Ok(identities) => identities,
        Err(error) => {
            found.failed(&error);
            None
        }
    };
    let mut vaults = Vec::new();
    for name in wanted.environments() {
        match project.read(&name) {
            Ok(vault) => vaults.push(vault),
            Err(error) => found.failed(&error),
        }
    }
    if identities.is_none() && !vaults.is_empty() {
        found.note("no private key: what is stored was not decrypted, and what is required was only checked by name");
    }
    for vault in &vaults {
        check_vault(context, project, wanted, vault, identities.as_deref(), files, found);
    }
    // Who says what is required has said what an environment may lack.
    if wanted.settings.required.is_empty() {
        check_names(&vaults, found);
    }
}

/// One environment: readable, whole, with all that is required, and nobody who has left knows its values.
fn check_vault(
    context: &Context,
    project: &Project,
    wanted: &Wanted,
    vault: &Vault,
    identities: Option<&[Identity]>,
    files: &Vars,
    found: &mut Findings,
) {
    let name = vault.environment();
    let opened = identities.map(|identities| {
        let key = Key::Identities(identities.to_vec());
        context.unlock(project, vault, &key, Purpose::Read)
    });
    if matches!(opened, Some(Ok(_))) && context.keeps_no_pin() {
        found.note(format!(
            "{name}: no pin is kept here, so a rebuilt file would not be noticed (VAULT_PIN)"
        ));
    }
    let vars = match opened {
        Some(Ok(opened)) => match vault.vars(&opened) {
            Ok(vars) => Some(vars),
            Err(error) => return found.failed(&error),
        },
        Some(Err(error)) if error.kind() == Kind::NoAccess => {
            found.note(format!(
                "{name}: your key opens nothing here, so its values were not checked"
            ));
            None
        }
        Some(Err(error)) => return found.failed(&error),
        None => None,
    };
    check_required(context, wanted, vault, vars.as_ref(), files, found);
    for (stored, value) in vars.iter().flat_map(Vars::iter) {
        for doubt in doubts(&wanted.settings, name, stored, value.expose()) {
            found.warn(format!("{name}: {stored} {doubt}"));
        }
    }
    for (rule, stored) in
        vault.file.secrets.keys().filter_map(|stored| {
            Some((super::check_storable(stored, &wanted.settings).err()?, stored))
        })
    {
        found.error(format!("{name}: {stored}: {rule}"));
    }
    let holders = vault.file.members.len();
    if holders == 1 {
        found.warn(format!("{name}: one member alone holds it; a lost key is a lost environment: `vault key recovery` makes another"));
    }
    for former in vault.file.former.keys() {
        let known = exposed_to(&vault.file, former);
        if !known.is_empty() {
            let (who, values) = (former.member(), count(known.len(), "value"));
            let told = if has_another_key(&vault.file, former) {
                format!("an earlier key of {who} could read {values}")
            } else {
                format!("{who} left and still knows {values}")
            };
            found.warn(format!("{name}: {told}; `vault status` names them"));
        }
    }
    let verified = if vars.is_some() { "whole and authentic" } else { "readable" };
    found.note(format!("{name}: {verified}, {}", count(vault.file.secrets.len(), "value")));
}

fn check_required(
    context: &Context,
    wanted: &Wanted,
    vault: &Vault,
    vars: Option<&Vars>,
    files: &Vars,
    found: &mut Findings,
) {
    let name = vault.environment();
    let mut all = vars.cloned().unwrap_or_default();
    all.overlay(files.clone());
    let whole = build(&context.outside.environment, all, &Policy::default());
    let port = DEFAULT_PORT.to_string();
    let value = |wanted: &VarName| {
        let there = whole.get(OsStr::new(wanted.as_str()));
        let there = there.map(|value| value.as_encoded_bytes().to_vec());
        // `start` gives each process one.
        there.or_else(|| (wanted.as_str() == "PORT").then(|| port.clone().into_bytes()))
    };
    for one in missing(&wanted.settings, std::slice::from_ref(name), value) {
        // Without the values only a name that isn't stored can be missed.
        if vars.is_some() || !vault.file.secrets.contains_key(one.name) {
            found.error(format!("{name}: {} {}", one.name, one.why));
        }
    }
}

/// Names that some environments have and others don't.
fn check_names(vaults: &[Vault], found: &mut Findings) {
    let all: BTreeSet<&VarName> =
        vaults.iter().flat_map(|vault| vault.file.secrets.keys()).collect();
    for vault in vaults.iter().filter(|vault| !vault.file.secrets.is_empty()) {
        let lacking: Vec<&str> = all
            .iter()
            .filter(|name| !vault.file.secrets.contains_key(**name))
            .map(|name| name.as_str())
            .collect();
        if !lacking.is_empty() {
            let have: BTreeSet<&EnvName> = vaults
                .iter()
                .filter(|other| lacking.iter().any(|name| other.file.secrets.contains_key(*name)))
                .map(Vault::environment)
                .collect();
            let have: Vec<&str> = have.into_iter().map(EnvName::as_str).collect();
            let verb = if have.len() == 1 { "has" } else { "have" };
            found.warn(format!(
                "{}: has no {}, which {} {verb}",
                vault.environment(),
                lacking.join(", "),
                have.join(", ")
            ));
        }
    }
}
