//! `vault grant NAME`.

use std::ffi::OsStr;

use clap::Args;

use super::pins::{Purpose, seen};
use super::team::{member, tell, tell_who_gets_no_proof, unknown_member};
use super::{Context, day, now};
use crate::cli::prompt;
use crate::crypto::keys::{Identity, PublicKey};
use crate::error::{Error, Kind, Result};
use crate::format::{Expected, Fingerprint, NewMember, Opened};
use crate::vars::name::{EnvName, MemberName, shown};
use crate::vault::team::{Changes, Rotated};
use crate::vault::{Key, Project, Vault, join};

/// Give somebody access
///
/// To the environments for which he has asked, unless some are named by -e. His key's fingerprint is shown and
/// asked about: compare it with what he sees, in person or by telephone. If he is a member with another key,
/// that key is replaced, and a new data key is made.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[derive(Debug, Args)]
pub(crate) struct GrantArgs {
    /// The name under which he asks
    #[arg(
        value_name = "MEMBER",
        required_unless_present = "all",
        add = super::completions::member_names()
    )]
    name: Option<String>,
    /// Everybody who asks
    #[arg(long, conflicts_with_all = ["name", "key", "new_key", "again"])]
    all: bool,
    /// Give access to this public key; nobody has to ask (with -e)
    #[arg(long, value_name = "PUBLIC")]
    key: Option<String>,
    /// Make a private key for a machine, and print it this once (with -e)
    #[arg(long, conflicts_with_all = ["key", "again"])]
    new_key: bool,
    /// With --new-key: print the private key on a terminal, too
    #[arg(long, requires = "new_key")]
    show: bool,
    /// Seal to a member once more, and say by whom
    #[arg(long, conflicts_with = "key")]
    again: bool,
    /// The fingerprint of the key, in the place of an answer
    #[arg(long, value_name = "FINGERPRINT")]
    expect: Vec<String>,
}

/// Somebody who is to get access.
struct Wish {
    name: MemberName,
    key: PublicKey,
    environments: Vec<EnvName>,
    /// He has asked by the file, so that the key is anybody's word.
    asked: bool,
    /// His private key was made here.
    issued: bool,
    /// Where he is a member with another key.
    replaces: Vec<EnvName>,
}

/// What has become of one environment.
struct Granted {
    opened: Opened,
    rotated: Option<Rotated>,
    names: Vec<MemberName>,
}

/// Runs it.
pub(crate) fn run(args: &GrantArgs, context: &Context) -> Result<()> {
    let project = context.project()?;
    let name = args.name.as_deref().map(member).transpose()?;
    let expected = expected(&args.expect)?;
    if args.new_key && !args.show && context.ui.out_is_terminal() {
        return Err(Error::usage("the private key would be shown on the terminal")
            .hint("pipe it to where it belongs, or add `--show`"));
    }
    let key = context.key()?;
    if let (true, Some(name)) = (args.again, &name) {
        return again(name, context, &project, &key);
    }
    let made = args.new_key.then(Identity::generate);
    let mut wishes = match (&name, &args.key, &made) {
        (Some(name), Some(text), _) => vec![direct(name, public_key(text)?, context, &project)?],
        (Some(name), None, Some(made)) => {
            let key = made.public_key().ok_or_else(|| Error::failed("cannot make a key"))?;
            vec![Wish { issued: true, ..direct(name, key, context, &project)? }]
        }
        _ => requests(name.as_ref(), context, &project)?,
    };
    look(&mut wishes, context, &project, &key)?;
    for wish in wishes.iter().filter(|wish| wish.asked) {
        ask(wish, &expected, context, &project)?;
    }
    write(&wishes, context, &project, &key)?;
    match made.as_ref().and_then(Identity::secret_line) {
        Some(line) => context.ui.out(&[line.expose(), b"\n"].concat()).map_err(|error| {
            error.hint("the key was granted and is lost now: revoke it, and make another")
        }),
        None => Ok(()),
    }
}

fn expected(typed: &[String]) -> Result<Vec<Expected>> {
    let parse = |text: &String| {
        text.parse().map_err(|rule| Error::usage(format!("`--expect {}`: {rule}", shown(text))))
    };
    typed.iter().map(parse).collect()
}

fn public_key(text: &str) -> Result<PublicKey> {
    if text.contains("SECRET-KEY") || text.contains("PRIVATE KEY") {
        return Err(Error::usage("this is a private key, which nobody but its owner should have")
            .hint("the public one is printed by `vault key show`"));
    }
    text.trim().parse()
}

/// A key that the command line names, or makes.
fn direct(name: &MemberName, key: PublicKey, context: &Context, project: &Project) -> Result<Wish> {
    let environments = context.named(project)?.ok_or_else(|| {
        Error::usage("`--key` and `--new-key` need the environments").hint("add `-e ENV`")
    })?;
    let name = name.clone();
    Ok(Wish { name, key, environments, asked: false, issued: false, replaces: Vec::new() })
}

/// What is asked for in the files: by this name, or by everybody.
fn requests(name: Option<&MemberName>, context: &Context, project: &Project) -> Result<Vec<Wish>> {
    let mut wishes: Vec<Wish> = Vec::new();
    let mut member_of = Vec::new();
    for environment in context.named_or_all(project)? {
        let vault = project.read(&environment)?;
        for (asker, key) in &vault.file.requests {
            if name.is_some_and(|name| name != asker) {
                continue;
            }
            match wishes.iter_mut().find(|wish| wish.name == *asker) {
                Some(wish) if wish.key == *key => wish.environments.push(environment.clone()),
                Some(wish) => {
                    let places = format!("{} and {environment}", join(&wish.environments));
                    return Err(Error::failed(format!(
                        "{asker} asks with different keys in {places}"
                    ))
                    .hint("grant one environment at a time, with `-e`"));
                }
                None => wishes.push(Wish {
                    name: asker.clone(),
                    key: key.clone(),
                    environments: vec![environment.clone()],
                    asked: true,
                    issued: false,
                    replaces: Vec::new(),
                }),
            }
        }
        if name.is_some_and(|name| vault.file.members.contains_key(name)) {
            member_of.push(environment);
        }
    }
    match (wishes.is_empty(), name) {
        (true, Some(name)) if !member_of.is_empty() => {
            Err(Error::not_found(format!("{name} is a member of {} already", join(&member_of)))
                .hint("`vault request -e ENV` asks for another environment"))
        }
        (true, Some(name)) => Err(Error::not_found(format!("nobody asks for access as {name}"))
            .hint(
                "he runs `vault request`, and you pull his branch; `vault status` lists who asks",
            )),
        (true, None) => {
            Err(Error::not_found("nobody asks for access").hint("`vault members` lists who has it"))
        }
        (false, _) => Ok(wishes),
    }
}

/// Looks at each environment before anything is asked or written. What our key can't open is left to others.
fn look(wishes: &mut Vec<Wish>, context: &Context, project: &Project, key: &Key) -> Result<()> {
    let named = context.named(project)?.is_some();
    let mut closed = None;
    for wish in wishes.iter_mut() {
        let mut open = Vec::new();
        for environment in std::mem::take(&mut wish.environments) {
            let vault = project.read(&environment)?;
            match context.unlock(project, &vault, key, Purpose::Write) {
                Err(error) if error.kind() == Kind::NoAccess && !named => {
                    context.tell_left_out(&vault, &error);
                    closed.get_or_insert(error);
                    continue;
                }
                Err(error) => return Err(error),
                Ok(opened) => {
                    if check(wish, &vault, &opened)? {
                        wish.replaces.push(environment.clone());
                        tell_who_gets_no_proof(context, &vault, &opened);
                    }
                }
            }
            open.push(environment);
        }
        wish.environments = open;
    }
    wishes.retain(|wish| !wish.environments.is_empty());
    match closed {
        Some(error) if wishes.is_empty() => Err(error),
        _ => Ok(()),
    }
}

/// Refuses what can't be granted. Whether a member's key would be replaced.
fn check(wish: &Wish, vault: &Vault, opened: &Opened) -> Result<bool> {
    let (name, environment) = (&wish.name, vault.environment());
    vault.check_grantable(name, &wish.key)?;
    let Some(there) = vault.file.members.get(name) else { return Ok(false) };
    if there.key == wish.key {
        return Ok(false);
    }
    let refused = |message: String, hint: &str| {
        Err(Error::failed(message).about(environment).hint(hint.to_owned()))
    };
    if there.locked.is_some() {
        return refused(
            format!("{environment}: {name} is the recovery key, which nobody can ask to replace"),
            "`vault key recovery --replace` makes a new one",
        );
    }
    if name == opened.me() {
        return refused(
            format!("{environment}: you are {name}, and who makes a new data key knows it"),
            "another member replaces your key",
        );
    }
    if wish.issued {
        return refused(
            format!("{environment} has a member {name} already"),
            "choose another name, or revoke that one first",
        );
    }
    Ok(true)
}

/// Shows whose key it is said to be, and asks.
fn ask(wish: &Wish, expected: &[Expected], context: &Context, project: &Project) -> Result<()> {
    let Wish { name, key, environments, replaces, .. } = wish;
    let fingerprint = Fingerprint::of_key(key);
    if expected.iter().any(|one| one.is(&fingerprint)) {
        return Ok(());
    }
    if !expected.is_empty() {
        return Err(Error::integrity(format!(
            "{name} asks with the key {fingerprint}, which is not the one that is expected"
        ))
        .hint("somebody may have put another key there: ask for the fingerprint by voice"));
    }
    if !prompt::possible() {
        return Err(Error::failed(format!("{name}: nobody can be asked whether the key is his"))
            .hint("add `--expect` with the fingerprint that he told you"));
    }
    context.ui.say(&format!("{name} asks for access to {}", join(environments)));
    if !replaces.is_empty() {
        context.ui.warn(&format!(
            "he is a member of {} with another key, which would be replaced",
            join(replaces)
        ));
    }
    context.ui.say(&format!("his key ({}) is {fingerprint}", key.sort()));
    if let Some(who) = environments.first().and_then(|one| committer(one, key, context, project)) {
        context.ui.say(&format!("by git, whom anybody can deceive: {who}"));
    }
    let question = format!("vault: is that the fingerprint that {name} told you?");
    if prompt::confirmed(&question)? {
        return Ok(());
    }
    Err(Error::failed("nothing was changed"))
}

/// Who last committed the line of the request, if git knows.
fn committer(
    environment: &EnvName,
    key: &PublicKey,
    context: &Context,
    project: &Project,
) -> Option<String> {
    let path = project.path(environment);
    let text = std::fs::read_to_string(&path).ok()?;
    let line = text.lines().position(|line| line.contains(key.as_str()))? + 1;
    let range = format!("{line},{line}");
    let mut words = ["--literal-pathspecs", "blame", "--porcelain", "-L", &range, "--"]
        .map(OsStr::new)
        .to_vec();
    words.push(path.as_os_str());
    let said = crate::process::git::git(&words, &context.surroundings())?;
    let field = |start: &str| said.lines().find_map(|line| line.strip_prefix(start));
    if said.starts_with("0000000") {
        return Some("the request is not committed yet".to_owned());
    }
    let when = field("author-time ").and_then(|time| time.parse().ok()).map(day)?;
    let (who, mail) = (field("author ")?, field("author-mail ")?);
    Some(format!("{} {} wrote the request on {when}", shown(who), shown(mail)))
}

fn write(wishes: &[Wish], context: &Context, project: &Project, key: &Key) -> Result<()> {
    let mut environments: Vec<EnvName> = Vec::new();
    for environment in wishes.iter().flat_map(|wish| &wish.environments) {
        if !environments.contains(environment) {
            environments.push(environment.clone());
        }
    }
    let memory = context.memory()?;
    let (now, plugins) = (now(), context.plugins());
    let change = |vault: &mut Vault| {
        let mut opened = context.unlock(project, vault, key, Purpose::Write)?;
        let environment = vault.environment().clone();
        let mut changes = Changes::default();
        let (mut names, mut joining) = (Vec::new(), Vec::new());
        for wish in wishes.iter().filter(|wish| wish.environments.contains(&environment)) {
            // What was confirmed is what is done, and nothing that came in between.
            let replaces = check(wish, vault, &opened)?;
            let asks = vault.file.requests.get(&wish.name) == Some(&wish.key) || !wish.asked;
            if replaces != wish.replaces.contains(&environment) || !asks {
                let message = format!("{environment} was changed by somebody else meanwhile");
                return Err(Error::failed(message).hint("run the same command again"));
            }
            let issued_by = wish.issued.then(|| opened.me().clone());
            let member = NewMember { key: wish.key.clone(), locked: None, issued_by };
            names.push(wish.name.clone());
            if replaces {
                changes.replaced.insert(wish.name.clone(), member);
            } else if !vault.file.members.contains_key(&wish.name) {
                joining.push((wish.name.clone(), member));
            }
        }
        let mut rotated = None;
        if !changes.replaced.is_empty() {
            changes = changes.with_memory(&memory, vault, &opened);
            rotated = Some(vault.rotate(&opened, changes, now, &plugins)?);
        }
        for (name, member) in joining {
            let current = rotated.as_ref().map_or(&opened, |rotated| &rotated.opened);
            vault.grant(current, &name, member, &plugins)?;
        }
        vault.drop_fulfilled_requests();
        if let Some(rotated) = &rotated {
            opened = rotated.opened.again();
        }
        Ok(Granted { opened, rotated, names })
    };
    let wrote = |vault: &Vault, granted: &Granted| {
        if let Some(rotated) = &granted.rotated {
            tell(context, vault, rotated);
        }
        let names: Vec<&str> = granted.names.iter().map(MemberName::as_str).collect();
        let environment = vault.environment();
        context.ui.say(&format!("{environment}: {} can open it now", names.join(", ")));
        Some(seen(project, vault, &granted.opened))
    };
    context.change_all(project, &environments, change, wrote)?;
    context.ui.hint("commit the folder `envs`");
    Ok(())
}

/// Writes a member's block anew under the same data key: he gets a proof by somebody whom his machine knows.
fn again(name: &MemberName, context: &Context, project: &Project, key: &Key) -> Result<()> {
    let named = context.named(project)?;
    let mut environments = Vec::new();
    for environment in context.named_or_all(project)? {
        let vault = project.read(&environment)?;
        if vault.file.members.contains_key(name) {
            context.unlock(project, &vault, key, Purpose::Write)?;
            environments.push(environment);
        } else if named.is_some() {
            return Err(unknown_member(&vault, name));
        }
    }
    if environments.is_empty() {
        return Err(Error::not_found(format!("nobody is called {name} in any environment"))
            .hint("`vault members` lists the members"));
    }
    let plugins = context.plugins();
    let change = |vault: &mut Vault| {
        let opened = context.unlock(project, vault, key, Purpose::Write)?;
        let member = vault.file.members.get(name).map(crate::format::Member::again);
        let member = member.ok_or_else(|| unknown_member(vault, name))?;
        vault.grant(&opened, name, member, &plugins)
    };
    context.change_all(project, &environments, change, |_, ()| None)?;
    context.ui.say(&format!("{name}: sealed to again in {}", join(&environments)));
    Ok(())
}
