//! `vault edit ENV`: an environment in a person's editor, without a byte of it on a disk.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal as _;
use std::time::Instant;

use clap::Args;
use zeroize::Zeroizing;

use super::pins::Purpose;
use super::set::tell_closed;
use super::{Context, check_storable, now};
use crate::cli::editor::{self as builtin, Complaint};
use crate::cli::prompt;
use crate::error::{Error, Kind, Result};
use crate::format::{Opened, RecordKind};
use crate::platform::{EditorPlan, Wall};
use crate::process::editor::{self, Around, Choice, Tier};
use crate::secret::Secret;
use crate::vars::dotenv::Problem;
use crate::vars::dotenv::buffer::{Stored, compose, read, with_head};
use crate::vars::name::{EnvName, VarName};
use crate::vault::exposure::known_to;
use crate::vault::settings::Settings;
use crate::vault::{Key, Project, SetOutcome, Vault, doubts, missing};

/// Change an environment in your editor
///
/// The text is dotenv; comments above a variable are its note, and are encrypted too. It is kept where nothing
/// reaches a disk: a namespace of its own, else a folder in memory behind a fence, else an editor of vault's
/// own. The editor is that of --editor, `VAULT_EDITOR`, VISUAL or EDITOR, else vi or nano.
#[derive(Debug, Args)]
pub(crate) struct EditArgs {
    /// The environment
    #[arg(value_name = "ENV", add = super::completions::environment_names())]
    environment: Option<String>,
    /// The editor, with arguments
    #[arg(long, value_name = "CMD")]
    editor: Option<String>,
    /// How the editor is kept from writing to a disk
    #[arg(long, value_enum, default_value = "auto")]
    isolation: Isolation,
}

/// How the editor is kept from writing to a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Isolation {
    /// The best of these that the system gives
    Auto,
    /// All file systems are read-only or in memory
    Namespace,
    /// Only a folder in memory can be written to
    Landlock,
    /// The editor is vault's own
    Builtin,
}

/// One value with its note.
#[derive(Clone, PartialEq, Eq)]
struct Value {
    bytes: Secret,
    note: Zeroizing<String>,
    is_file: bool,
}

type Values = BTreeMap<VarName, Value>;

/// Runs it.
pub(crate) fn run(args: &EditArgs, context: &Context) -> Result<()> {
    let project = context.project()?;
    let environment = match &args.environment {
        Some(name) => name.parse().map_err(|_| project.unknown(name))?,
        None => context.environment(&project)?,
    };
    let vault = project.read(&environment)?;
    context.refuse_losses(&vault)?;
    let mut desk = Desk::set_up(args, context, &environment)?;
    let key = context.key()?;
    let opened = context.unlock(&project, &vault, &key, Purpose::Write)?;
    let base = values(&vault, &opened)?;
    let work = Work { context, project: &project, environment: &environment, key: &key };
    work.edit(&mut desk, base)
}

impl Context {
    /// Where an editor comes from, if not from `named`, and what is around it.
    pub(super) fn around_the_editor<'a>(&'a self, named: Option<&'a str>) -> Around<'a> {
        let outside = &self.outside;
        Around { named, environment: &outside.environment, home: outside.home() }
    }
}

/// The editor, ready to be started.
struct Desk {
    /// The editor that is started, unless it is our own.
    plan: Option<EditorPlan>,
    choice: Choice,
    title: String,
}

impl Desk {
    /// Finds the editor, and a place for it. All of that before any key is looked for.
    fn set_up(args: &EditArgs, context: &Context, environment: &EnvName) -> Result<Self> {
        if !(prompt::possible() && std::io::stdin().is_terminal()) {
            return Err(Error::failed("there is no terminal for an editor")
                .about(environment)
                .hint("`vault set` changes a value without one"));
        }
        let around = context.around_the_editor(args.editor.as_deref());
        let before = Instant::now();
        let (plan, choice) = around.choose(environment.as_str(), allowed(args.isolation))?;
        let took = before.elapsed();
        let Some(choice) = choice else {
            if plan.is_none() {
                return Err(Error::failed("no editor is named, and neither vi nor nano is there")
                    .hint("set EDITOR, or add `--isolation builtin`"));
            }
            return Err(Error::failed("the system refuses to keep an editor apart in that way")
                .hint("`--isolation auto` takes what there is"));
        };
        for (wall, why) in &choice.refused {
            context.ui.detail(&format!("no {}: {}", Tier::Behind(*wall).word(), editor::told(why)));
        }
        let ready = took.as_secs_f64() * 1000.0;
        context.ui.detail(&format!("{} ready after {ready:.2} ms", choice.tier.word()));
        context.ui.say(&format!("{environment}: {}", choice.tier.told()));
        if choice.tier == Tier::Builtin {
            builtin::possible(&context.outside)?;
        }
        Ok(Self { plan, choice, title: environment.to_string() })
    }

    fn edit(&mut self, text: &[u8], context: &Context) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let in_background = || {
            context.ui.say("the editor went to the background, and is waited for");
            context.ui.hint(&format!("`kill {}` gives it up", std::process::id()));
        };
        match &self.plan {
            Some(plan) if self.choice.tier != Tier::Builtin => {
                self.choice.edit(plan, text, &in_background)
            }
            _ => {
                let text = Secret::new(text.to_vec());
                let edited = builtin::edit(&text, &self.title, &complaints)?;
                let edited = edited.ok_or_else(|| Error::failed("nothing was stored"))?;
                Ok(Some(Zeroizing::new(edited.expose().to_vec())))
            }
        }
    }
}

/// What is wrong with a text, for our own editor.
fn complaints(text: &str) -> Vec<Complaint> {
    let problems = read(text.as_bytes()).err().unwrap_or_default();
    let told = |one: &Problem| match &one.name {
        Some(name) => format!("{name}: {}", one.code.message()),
        None => one.code.message().into_owned(),
    };
    problems.iter().map(|one| Complaint { line: one.line, text: told(one) }).collect()
}

/// All tiers, the best one first.
pub(super) const ANY_TIER: &[Tier] =
    &[Tier::Behind(Wall::Namespace), Tier::Behind(Wall::Landlock), Tier::Builtin];

fn allowed(isolation: Isolation) -> &'static [Tier] {
    match isolation {
        Isolation::Auto => ANY_TIER,
        Isolation::Namespace => &[Tier::Behind(Wall::Namespace)],
        Isolation::Landlock => &[Tier::Behind(Wall::Landlock)],
        Isolation::Builtin => &[Tier::Builtin],
    }
}

/// What stays the same through all rounds of one edit.
struct Work<'a> {
    context: &'a Context,
    project: &'a Project,
    environment: &'a EnvName,
    key: &'a Key,
}

/// What is to be done with a text that came back.
enum Round {
    /// It is stored, or there was nothing to store.
    Done,
    /// It goes back into the editor, with what is wrong on top.
    Again { complaints: Vec<String>, text: Zeroizing<Vec<u8>> },
    /// Somebody else has changed the same variables: both versions go back, on these values.
    Clash { text: Zeroizing<Vec<u8>>, base: Values },
}

impl Work<'_> {
    fn edit(&self, desk: &mut Desk, mut base: Values) -> Result<()> {
        let mut text = compose(&self.head(), &stored(&base));
        let mut untouched = true;
        loop {
            let Some(edited) = desk.edit(&text, self.context)? else {
                return Err(Error::failed("the text is gone, so nothing is stored"));
            };
            if untouched && edited == text {
                self.context.ui.say(&format!("{}: nothing was changed", self.environment));
                return Ok(());
            }
            untouched = false;
            match self.take(edited, &base)? {
                Round::Done => return Ok(()),
                Round::Again { complaints, text: kept } => {
                    for complaint in &complaints {
                        self.context.ui.fail(complaint);
                    }
                    if !prompt::confirmed_unless_no("vault: edit again?")? {
                        return Err(Error::failed("nothing was stored"));
                    }
                    let head = [complaints, vec![String::new()], self.head()].concat();
                    text = with_head(&head, &kept);
                }
                Round::Clash { text: both, base: theirs } => {
                    self.context.ui.warn(&format!(
                        "{}: somebody else has changed the same variables meanwhile",
                        self.environment
                    ));
                    if !prompt::confirmed_unless_no("vault: look at both?")? {
                        return Err(Error::failed("nothing was stored"));
                    }
                    (text, base) = (both, theirs);
                }
            }
        }
    }

    fn head(&self) -> Vec<String> {
        [
            &format!("{}: save and leave to store, or leave with an error to change nothing.", self.environment),
            "NAME=value, NAME='any text, over several lines too', NAME=\"with \\n and \\\" and \\$\".",
            "Lines that begin with # above a variable are its note. Lines like these are vault's own.",
        ]
        .map(ToString::to_string)
        .to_vec()
    }

    /// Reads a text that came back, and stores what is new in it.
    fn take(&self, text: Zeroizing<Vec<u8>>, base: &Values) -> Result<Round> {
        let settings = self.project.settings()?;
        let edited = match understood(&text, base, &settings) {
            Ok(edited) => edited,
            Err(complaints) => return Ok(Round::Again { complaints, text }),
        };
        let removed: Vec<&str> =
            base.keys().filter(|name| !edited.contains_key(*name)).map(VarName::as_str).collect();
        if !removed.is_empty() && !self.confirms_removal(&removed, &edited, base)? {
            let complaints = vec![format!("{} would be removed", removed.join(", "))];
            return Ok(Round::Again { complaints, text });
        }
        match self.store(&edited, base) {
            Ok(Attempt::Done) => {
                self.warn_of_missing(&edited, &settings);
                let new = edited.iter().filter(|(name, value)| base.get(*name) != Some(*value));
                for (name, value) in new {
                    for doubt in doubts(&settings, self.environment, name, value.bytes.expose()) {
                        self.context.ui.warn(&format!("{}: {name} {doubt}", self.environment));
                    }
                }
                Ok(Round::Done)
            }
            Ok(Attempt::Clash(theirs)) => {
                let text = self.both(&edited, base, &theirs);
                Ok(Round::Clash { text, base: theirs })
            }
            // The text is worth more than the reason: a full disk can be mended.
            Err(error) if error.kind() == Kind::Failed => {
                Ok(Round::Again { complaints: error.messages().to_vec(), text })
            }
            Err(error) => Err(error),
        }
    }

    /// Sums up before something is lost.
    fn confirms_removal(&self, removed: &[&str], edited: &Values, base: &Values) -> Result<bool> {
        let environment = self.environment;
        let added: Vec<&str> =
            edited.keys().filter(|name| !base.contains_key(*name)).map(VarName::as_str).collect();
        if !added.is_empty() {
            self.context.ui.say(&format!("{environment}: {} will be added", added.join(", ")));
        }
        self.context.ui.warn(&format!("{environment}: {} will be removed", removed.join(", ")));
        prompt::confirmed("vault: go on?")
    }

    /// Changes what differs from `base`, and nothing else.
    fn store(&self, edited: &Values, base: &Values) -> Result<Attempt> {
        let mut done = Vec::new();
        let mut closed = Vec::new();
        let mut clash = None;
        let changed = self.context.change(self.project, self.environment, |vault| {
            let opened = self.context.unlock(self.project, vault, self.key, Purpose::Write)?;
            let theirs = values(vault, &opened)?;
            let all: BTreeSet<&VarName> = base.keys().chain(edited.keys()).collect();
            let names = || all.iter().copied().filter(|name| base.get(*name) != edited.get(*name));
            let mut clashes = names().filter(|name| {
                let theirs = theirs.get(*name);
                theirs != base.get(*name) && theirs != edited.get(*name)
            });
            let clashing = clashes.next().is_some();
            if clashing {
                clash = Some(theirs);
                return Err(Error::failed("changed meanwhile"));
            }
            for name in names() {
                let Some(value) = edited.get(name) else {
                    if vault.file.secrets.remove(name).is_some() {
                        done.push(format!("{name} removed"));
                    }
                    continue;
                };
                let knew = known_to(&vault.file, name).into_iter().cloned().collect();
                let outcome =
                    vault.set(&opened, name, &value.bytes, (None, Some(&value.note)), now())?;
                done.extend(told(name, outcome, base.get(name), value));
                closed.push(super::set::Outcome { name, became: outcome, knew });
            }
            Ok(())
        });
        if let Some(theirs) = clash {
            return Ok(Attempt::Clash(theirs));
        }
        changed?;
        let environment = self.environment;
        let done = if done.is_empty() { "nothing was changed".to_owned() } else { done.join(", ") };
        self.context.ui.say(&format!("{environment}: {done}"));
        tell_closed(self.context, environment.as_str(), &closed);
        Ok(Attempt::Done)
    }

    /// What was edited, with the other version beside each variable that somebody else has changed as well.
    fn both(&self, edited: &Values, base: &Values, theirs: &Values) -> Zeroizing<Vec<u8>> {
        let mut head = self.head();
        head.push(String::new());
        head.push(
            "Somebody else has changed some variables meanwhile. Theirs stand below, each a second"
                .to_owned(),
        );
        head.push("time: keep one of the two.".to_owned());
        let mut mine = edited.clone();
        let mut second = Values::new();
        for (name, value) in theirs {
            if base.get(name) == Some(value) || edited.get(name) == Some(value) {
                continue;
            }
            if edited.get(name) == base.get(name) {
                // Only they have changed it.
                mine.insert(name.clone(), value.clone());
            } else {
                second.insert(name.clone(), value.clone());
            }
        }
        for name in base.keys().filter(|name| !theirs.contains_key(*name)) {
            if edited.get(name) == base.get(name) {
                mine.remove(name);
            } else if edited.contains_key(name) {
                head.push(format!(
                    "{name} was removed by somebody else: it stays if you leave it here."
                ));
            }
        }
        let mut text = compose(&head, &stored(&mine));
        let below = compose(&["Theirs:".to_owned()], &stored(&second));
        // Both are as large as they will be, so that no copy is left behind.
        let mut both = Zeroizing::new(Vec::with_capacity(text.len() + below.len()));
        both.append(&mut text);
        both.extend_from_slice(&below);
        both
    }

    /// `[required]` is a rule for commands that run; here it is a notice.
    fn warn_of_missing(&self, edited: &Values, settings: &Settings) {
        let environments = [self.environment.clone()];
        let value = |name: &VarName| edited.get(name).map(|one| one.bytes.expose().to_vec());
        for one in missing(settings, &environments, value) {
            self.context.ui.warn(&format!("{}: {} {}", self.environment, one.name, one.why));
        }
    }
}

/// The values of a text, those that can't be shown in it included; or what is wrong with it.
fn understood(text: &[u8], base: &Values, settings: &Settings) -> Result<Values, Vec<String>> {
    let told = |line: usize, name: Option<&str>, message: &str| match name {
        Some(name) => format!("line {line}: {name}: {message}"),
        None => format!("line {line}: {message}"),
    };
    let entries = read(text).map_err(|problems| {
        let line = |one: &Problem| told(one.line, one.name.as_deref(), &one.code.message());
        problems.iter().map(line).collect::<Vec<_>>()
    })?;
    let mut complaints = Vec::new();
    let mut values: Values = base
        .iter()
        .filter(|(name, value)| !value.stored(name).is_text())
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    for entry in entries {
        if values.contains_key(&entry.name) {
            complaints.push(format!("{}: is kept as it is, and can't be set here", entry.name));
        } else if let Err(error) = check_storable(&entry.name, settings)
            && !base.contains_key(&entry.name)
        {
            complaints.push(error.to_string());
        }
        let note = Zeroizing::new(entry.note);
        values.insert(entry.name, Value { bytes: entry.value, note, is_file: false });
    }
    if complaints.is_empty() { Ok(values) } else { Err(complaints) }
}

/// What became of an attempt to store.
enum Attempt {
    Done,
    Clash(Values),
}

impl Value {
    fn stored<'a>(&'a self, name: &'a VarName) -> Stored<'a> {
        Stored { name, value: self.bytes.expose(), note: &self.note, is_file: self.is_file }
    }
}

fn stored(values: &Values) -> Vec<Stored<'_>> {
    values.iter().map(|(name, value)| value.stored(name)).collect()
}

/// Everything that is stored, decrypted.
fn values(vault: &Vault, opened: &Opened) -> Result<Values> {
    let names = vault.file.secrets.iter();
    names
        .map(|(name, record)| {
            let content = vault.content(opened, name, record)?;
            let is_file = record.kind() == RecordKind::File;
            Ok((name.clone(), Value { bytes: content.value, note: content.note, is_file }))
        })
        .collect()
}

fn told(
    name: &VarName,
    outcome: SetOutcome,
    before: Option<&Value>,
    after: &Value,
) -> Option<String> {
    match outcome {
        SetOutcome::Added => Some(format!("{name} added")),
        SetOutcome::Changed => Some(format!("{name} changed")),
        SetOutcome::Same | SetOutcome::OtherKind => before
            .is_some_and(|before| before.note != after.note)
            .then(|| format!("{name} has another note")),
    }
}
