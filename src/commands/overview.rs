//! `vault` alone: where you are, what you can open, and what comes next. It asks for nothing and decrypts
//! nothing, so what it says of access is what the files say.

use std::fmt::Write as _;

use super::Context;
use super::git_setup;
use super::keys::KnownKeys;
use super::repository::Repository;
use super::wanted::{DOTENV, PROCFILE};
use crate::cli::ui::count;
use crate::crypto::keys::PublicKey;
use crate::error::{Result, shown_path};
use crate::vars::name::{EnvName, MemberName};
use crate::vault::{ENVS_FOLDER, Project, Vault, few};

/// One environment, as far as it can be read.
struct Environment {
    name: EnvName,
    vault: Option<Vault>,
    /// Git has left two versions of it there.
    is_torn: bool,
    /// Who I am in it.
    me: Option<MemberName>,
    /// As whom I have asked to be let in.
    asked: Option<MemberName>,
}

/// Runs it.
pub(crate) fn run(context: &Context) -> Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    let mut text = format!("vault {version}, encrypted environments for twelve-factor apps\n\n");
    let project = context.find_project()?.filter(Project::exists);
    let has = |file: &str| context.outside.folder.join(file).is_file();
    let keys = context.known_keys();
    let mut row = |name: &str, value: &str| {
        // Writing to a string can't fail.
        let _ = writeln!(text, "{name:<13}{value}");
    };
    match &project {
        Some(project) => row("project", &shown_path(project.root())),
        None => row("project", "none: no `vault.toml` and no `envs/*.toml` here or above"),
    }
    row("your key", &told_keys(&keys));
    let environments = look(project.as_ref(), &keys)?;
    let width = environments.iter().map(|one| one.name.as_str().len()).max().unwrap_or(0);
    for (index, environment) in environments.iter().enumerate() {
        let name = environment.name.as_str();
        let told = format!("{name:<width$}  {}", access(environment, &keys));
        row(if index == 0 { "environments" } else { "" }, &told);
    }
    for file in [PROCFILE, DOTENV].into_iter().filter(|file| has(file)) {
        row(file, "is here");
    }
    let is_committed = || {
        let repository = project.as_ref().map(|project| Repository::of(project, context));
        let words = ["diff", "--quiet", "HEAD", "--", ENVS_FOLDER];
        repository.is_some_and(|repository| repository.does(&words))
    };
    let lacks_setup =
        || project.as_ref().is_some_and(|project| git_setup::is_missing(project, context));
    let next = next(project.as_ref(), &keys, &environments, &has, &is_committed, &lacks_setup);
    text.push('\n');
    for (command, what) in next.into_iter().chain([("vault help".to_owned(), "lists all commands")])
    {
        let _ = writeln!(text, "next: {command:<34} {what}");
    }
    context.ui.out(text.as_bytes())
}

fn told_keys(keys: &KnownKeys) -> String {
    match keys {
        KnownKeys::None => "none yet".to_owned(),
        KnownKeys::Unread(why) => why.clone(),
        KnownKeys::Known(keys) => keys.iter().map(PublicKey::as_str).collect::<Vec<_>>().join(", "),
    }
}

fn look(project: Option<&Project>, keys: &KnownKeys) -> Result<Vec<Environment>> {
    let Some(project) = project else { return Ok(Vec::new()) };
    let mine = match keys {
        KnownKeys::Known(keys) => keys.as_slice(),
        _ => &[],
    };
    let look = |name: EnvName| {
        let vault = project.read(&name).ok();
        let is_torn = vault.is_none() && project.is_torn(&name);
        let me = vault.as_ref().and_then(|vault| vault.me(mine)).cloned();
        let requests = vault.iter().flat_map(|vault| &vault.file.requests);
        let mut asked = requests.filter(|(_, key)| mine.contains(key));
        let asked = asked.next().map(|(name, _)| name.clone());
        Environment { name, vault, is_torn, me, asked }
    };
    Ok(project.environments()?.into_iter().map(look).collect())
}

/// What is in an environment, and whether I get at it.
fn access(environment: &Environment, keys: &KnownKeys) -> String {
    if environment.is_torn {
        return "two versions, from a merge".to_owned();
    }
    let Some(vault) = &environment.vault else {
        return format!("can't be read: `vault check -e {}` says why", environment.name);
    };
    let values = count(vault.file.secrets.len(), "value");
    let waiting: Vec<MemberName> = vault.file.requests.keys().cloned().collect();
    let asked = match (&environment.me, keys) {
        (Some(_), _) if !waiting.is_empty() => format!(", {} asks for access", few(waiting.iter())),
        (Some(_), _) => String::new(),
        (None, KnownKeys::Unread(_)) => format!(", members: {}", vault.member_names()),
        (None, _) if environment.asked.is_some() => {
            format!(", you have asked; who can let you in: {}", vault.people())
        }
        (None, _) => format!(", not open to you: members are {}", vault.member_names()),
    };
    match &environment.me {
        Some(me) => format!("{values}, you are {me}{asked}"),
        None => format!("{values}{asked}"),
    }
}

/// The commands that make sense now, the likeliest first.
fn next(
    project: Option<&Project>,
    keys: &KnownKeys,
    environments: &[Environment],
    has: &dyn Fn(&str) -> bool,
    is_committed: &dyn Fn() -> bool,
    lacks_setup: &dyn Fn() -> bool,
) -> Vec<(String, &'static str)> {
    if project.is_none() {
        let start = ("vault start".to_owned(), "runs the Procfile, with `.env` if there is one");
        let init = ("vault init".to_owned(), "makes a vault here");
        return if has(PROCFILE) { vec![start, init] } else { vec![init] };
    }
    if environments.iter().any(|one| one.is_torn) {
        return vec![("vault resolve".to_owned(), "merges the versions that git has")];
    }
    let open: Vec<&Environment> = environments.iter().filter(|one| one.me.is_some()).collect();
    let asking = |one: &Environment| {
        one.vault.as_ref().and_then(|vault| vault.file.requests.keys().next().cloned())
    };
    match (keys, open.first()) {
        (KnownKeys::None, _) => {
            vec![("vault request".to_owned(), "makes your key, and asks the members for access")]
        }
        (KnownKeys::Known(_), None) if environments.iter().any(|one| one.asked.is_some()) => {
            let push =
                ("git push".to_owned(), "sends your request, for a member to `vault grant` it");
            let commit = || ("git commit envs".to_owned(), "records your request, to be sent");
            if is_committed() { vec![push] } else { vec![commit(), push] }
        }
        (KnownKeys::Known(_), None) => {
            vec![("vault request".to_owned(), "asks the members for access")]
        }
        (_, first) => {
            let name = first.map_or("ENV", |one| one.name.as_str());
            let empty = first.is_some_and(|one| {
                one.vault.as_ref().is_some_and(|vault| vault.file.secrets.is_empty())
            });
            let mut next = Vec::new();
            if let Some(who) = open.iter().find_map(|one| asking(one)) {
                next.push((format!("vault grant {who}"), "lets in who asks"));
            }
            if !open.is_empty() && lacks_setup() {
                let what = "merges environments by name, and scans each commit";
                next.push(("vault git-setup".to_owned(), what));
            }
            if empty && has(DOTENV) {
                next.push((format!("vault import -e {name} .env"), "brings its values in"));
            } else if empty {
                next.push((format!("vault set -e {name} NAME"), "stores a value"));
            }
            next.push((format!("vault run -e {name} -- CMD"), "runs a command with its variables"));
            if has(PROCFILE) {
                next.push((format!("vault start -e {name}"), "runs the Procfile with them"));
            }
            next
        }
    }
}
