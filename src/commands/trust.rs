//! `vault trust ENV`: what a person says about a file that this machine does not believe.

use clap::Args;

use super::pins::{Purpose, place, stopped};
use super::{Context, now};
use crate::cli::prompt;
use crate::error::{Error, Result};
use crate::format::{Expected, Fingerprint, Opened};
use crate::vars::name::{EnvName, shown};
use crate::vault::pins::{Candidate, Memory, Stop, Verdict};
use crate::vault::{Project, Vault};

/// Accept an environment that this machine does not believe
///
/// The file may have been rebuilt by somebody who can push and has no key, or by somebody who has left. Ask a
/// member whom you trust, and not by the repository, for the fingerprint of its data key.
#[derive(Debug, Args)]
pub(crate) struct TrustArgs {
    /// The environment
    #[arg(value_name = "ENV", add = super::completions::environment_names())]
    environment: Option<String>,
    /// The fingerprint of its data key, as a member told you
    #[arg(long, value_name = "FINGERPRINT")]
    expect: Option<String>,
    /// Refuse this data key from now on: for a rotation that was thrown away
    #[arg(long, value_name = "FINGERPRINT", conflicts_with = "expect")]
    abandon: Option<String>,
}

/// Runs it.
pub(crate) fn run(args: &TrustArgs, context: &Context) -> Result<()> {
    let project = context.project()?;
    let environment = match &args.environment {
        Some(name) => name.parse().map_err(|_| project.unknown(name))?,
        None => match context.named(&project)?.as_deref() {
            Some([one]) => one.clone(),
            _ => return Err(Error::usage("the environment is not named").hint("vault trust ENV")),
        },
    };
    if context.pinned()?.is_some() {
        return Err(Error::failed(
            "VAULT_PIN is set, and holds in the place of what is trusted here",
        )
        .hint("change VAULT_PIN, or unset it"));
    }
    if let Some(text) = &args.abandon {
        return abandon(&expected("--abandon", text)?, context, &project, &environment);
    }
    let vault = project.read(&environment)?;
    let opened = vault.open(&context.key()?)?;
    let place = place(&project, &environment);
    let candidate = Candidate { place: &place, file: &vault.file, opened: &opened };
    match &args.expect {
        Some(text) => {
            if !expected("--expect", text)?.is(&opened.fingerprint()) {
                let path = crate::error::shown_path(&vault.path);
                return Err(Error::integrity(format!(
                    "{path}: its data key is {}, and not the one that is expected",
                    opened.fingerprint()
                ))
                .about(&environment)
                .hint("take the version from git that the member meant; nothing was accepted"));
            }
        }
        None => ask(context, candidate, &vault, &opened)?,
    }
    accept(context, candidate)?;
    context.ui.say(&format!("{environment}: data key {} is accepted", opened.fingerprint()));
    Ok(())
}

fn expected(flag: &str, text: &str) -> Result<Expected> {
    text.parse().map_err(|rule| Error::usage(format!("`{flag} {}`: {rule}", shown(text))))
}

fn accept(context: &Context, candidate: Candidate<'_>) -> Result<()> {
    let path = context.memory_path().ok_or_else(|| {
        Error::failed("there is no home folder to remember it in").hint("use VAULT_PIN")
    })?;
    context.remember_or_fail(&path, |memory| {
        memory.accept(candidate.seen());
        Ok(())
    })
}

/// Shows what is known, and asks, where a question is enough.
fn ask(context: &Context, candidate: Candidate<'_>, vault: &Vault, opened: &Opened) -> Result<()> {
    let environment = vault.environment();
    let stop = match context.memory()?.judge(candidate, now()) {
        Verdict::Stop(stop) => stop,
        Verdict::Known { .. } | Verdict::New | Verdict::Rotated(_) => return Ok(()),
    };
    let why = stopped(&stop, vault, Purpose::Read);
    let grave = match &stop {
        Stop::Unproven(story) => story.is_grave(),
        Stop::Abandoned | Stop::OtherId | Stop::OtherLedger | Stop::OfLeaver(_) => true,
        Stop::Old(_) => false,
    };
    if grave {
        return Err(why);
    }
    if !prompt::possible() {
        return Err(why.hint("add `--expect` with the fingerprint that a member told you"));
    }
    for message in why.messages() {
        context.ui.warn(message);
    }
    let question = if matches!(stop, Stop::Old(_)) {
        // Perhaps it is the later one that is not wanted: a rotation by mistake, which git has taken back.
        why.hint_text().into_iter().for_each(|hint| context.ui.hint(hint));
        context.ui.say("this folder can be held to it, for reading: a release, an old worktree");
        "vault: read it here from now on?".to_owned()
    } else {
        context.ui.say(&format!("its data key is {}", opened.fingerprint()));
        format!("vault: is that what a member told you of {environment}, not by the repository?")
    };
    if prompt::confirmed(&question)? {
        return Ok(());
    }
    Err(Error::failed("nothing was accepted"))
}

/// Refuses a data key from now on. A person decides, who sees who is believed again.
fn abandon(
    expected: &Expected,
    context: &Context,
    project: &Project,
    environment: &EnvName,
) -> Result<()> {
    let place = place(project, environment);
    // A clone of which nothing is remembered yet. A file that can't be read is no hindrance.
    let id = project.find(environment).ok().flatten().map(|vault| vault.file.id);
    let forget = |memory: &mut Memory<'_>| {
        memory.abandon(&place, id, expected).ok_or_else(|| {
            Error::not_found(format!("{environment}: no such data key was accepted here"))
                .about(environment)
                .hint("the fingerprint is that of the rotation that was thrown away")
        })
    };
    let believed = forget(&mut context.memory()?)?;
    if !prompt::possible() {
        return Err(Error::failed("a data key is abandoned by a person, on a terminal"));
    }
    if believed.is_empty() {
        context.ui.warn("no other data key was accepted: nobody is believed then");
    }
    for one in &believed {
        let fingerprint = one.key.parse().map(|key| Fingerprint::of_key(&key).to_string());
        let (name, fingerprint) = (shown(&one.name), fingerprint.unwrap_or_default());
        if one.had_left {
            context.ui.warn(&format!(
                "{name}, who had left, is believed again (key {fingerprint}): if he left, keep that data key"
            ));
        } else {
            context.ui.say(&format!("{name} is believed again (key {fingerprint})"));
        }
    }
    if !prompt::confirmed(&format!("vault: refuse that data key of {environment} from now on?"))? {
        return Err(Error::failed("nothing was changed"));
    }
    let path = context.memory_path().ok_or_else(|| Error::failed("there is no home folder"))?;
    context.remember_or_fail(&path, |memory| forget(memory).map(drop))?;
    context.ui.say(&format!("{environment}: that data key is refused from now on"));
    Ok(())
}
