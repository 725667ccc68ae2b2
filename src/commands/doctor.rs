//! `vault doctor`: what this machine really gives.

use clap::Args;
use serde_json::json;

use super::Context;
use super::edit::ANY_TIER;
use super::findings::Level;
use super::git_setup;
use super::keys::{KeyPlace, in_keyring};
use crate::cli::editor as builtin;
use crate::crypto::keys::Identity;
use crate::error::{Error, Result, shown_path};
use crate::platform::{self, FilePlace, Swap, SwapKind, Wall};
use crate::process::editor::{self, Choice, Tier};
use crate::store::{identity, keyring};
use crate::vars::name::shown;

/// Show what this machine protects, and what not
///
/// Which editor `edit` would start and what would keep it from the disk, where file secrets would lie, swap,
/// hibernation, core files, your key, the keyring, the pins. What can be tried is tried. The status is 1 if
/// something is wrong.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {}

/// One thing that was looked at.
struct Finding {
    subject: &'static str,
    level: Level,
    /// What there is, in a word for programs.
    value: &'static str,
    message: String,
    hint: Option<String>,
}

impl Finding {
    fn new(
        subject: &'static str,
        level: Level,
        value: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self { subject, level, value, message: message.into(), hint: None }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn failed(subject: &'static str, error: &Error) -> Self {
        let found = Self::new(subject, Level::Error, "wrong", error.to_string());
        Self { hint: error.hint_text().map(str::to_owned), ..found }
    }
}

/// Runs it. The status is 0 or 1.
pub(crate) fn run(_: &DoctorArgs, context: &Context) -> Result<u8> {
    // The first two want a process with one thread and no secret. The keyring is asked by a second thread.
    let swaps = platform::swaps();
    let found = vec![
        edit(context),
        file_secrets(context),
        memory(),
        swap(swaps.as_deref()),
        hibernation(swaps.as_deref()),
        cores(),
        identity(context),
        keyring(),
        pins(context),
        umask(),
        locale(context),
    ];
    let found: Vec<Finding> = found.into_iter().chain(clone(context)).collect();
    let text = if context.ui.json { as_json(&found) } else { as_text(&found) };
    context.ui.out(text.as_bytes())?;
    Ok(u8::from(found.iter().any(|one| one.level == Level::Error)))
}

fn as_text(found: &[Finding]) -> String {
    let line = |one: &Finding| {
        let hint = one.hint.as_ref().map(|hint| format!("hint: {hint}\n")).unwrap_or_default();
        format!("{}: {}: {}\n{hint}", one.level.word(), one.subject, one.message)
    };
    found.iter().map(line).collect()
}

fn as_json(found: &[Finding]) -> String {
    let one = |one: &Finding| {
        json!({
            "subject": one.subject,
            "level": one.level.word(),
            "value": one.value,
            "message": one.message,
            "hint": one.hint,
        })
    };
    format!("{}\n", serde_json::Value::Array(found.iter().map(one).collect()))
}

/// As `edit` itself does it, down to the world for the editor.
fn edit(context: &Context) -> Finding {
    const SUBJECT: &str = "edit";
    let around = context.around_the_editor(None);
    let (plan, choice) = match around.choose("doctor", ANY_TIER) {
        Ok(made) => made,
        Err(error) => return Finding::failed(SUBJECT, &error),
    };
    let Some(Choice { tier, refused, .. }) = &choice else {
        return Finding::new(SUBJECT, Level::Error, "none", "there is no editor");
    };
    let why = refused
        .iter()
        .map(|(wall, why)| format!("; no {}: {}", Tier::Behind(*wall).word(), editor::told(why)));
    let why: String = match &plan {
        Some(_) => why.collect(),
        None => "; no editor is named, and neither vi nor nano is there".to_owned(),
    };
    let program = plan.as_ref().filter(|_| *tier != Tier::Builtin);
    let program = program.map(|plan| format!(": `{}`", shown_path(&plan.program)));
    let told = format!("{}{}{why}", tier.told(), program.unwrap_or_default());
    let level = if *tier == Tier::Behind(Wall::Namespace) { Level::Fine } else { Level::Note };
    let found = Finding::new(SUBJECT, level, tier.word(), told);
    if *tier == Tier::Builtin
        && let Err(error) = builtin::possible(&context.outside)
    {
        return found.hint(format!("it can't work here: {error}"));
    }
    if !refused.iter().any(|(wall, _)| *wall == Wall::Namespace) {
        return found;
    }
    found.hint(match platform::forbids_namespaces() {
        Some(setting) => format!("{setting} keeps this user from namespaces (sysctl(8))"),
        None => "a container's seccomp profile may forbid namespaces".to_owned(),
    })
}

/// Both places are tried, with an empty file.
fn file_secrets(context: &Context) -> Finding {
    const SUBJECT: &str = "file secrets";
    let runtime = context.outside.runtime_folder();
    let tried = |place| platform::hold_files(&[("doctor", b"")], place);
    let folder = tried(FilePlace::Folder { runtime: runtime.as_deref() });
    let told = |path: &std::path::PathBuf| {
        path.ancestors()
            .nth(2)
            .map(|base| format!("`--file-dir` puts them below `{}`", shown_path(base)))
    };
    let folder = match &folder {
        Ok(paths) => paths.first().and_then(told).unwrap_or_default(),
        Err(why) => format!("no `--file-dir`: {}", editor::told(why)),
    };
    match tried(FilePlace::Memory) {
        Ok(_) => Finding::new(
            SUBJECT,
            Level::Fine,
            "memory",
            format!("in memory, without a name; {folder}"),
        ),
        Err(why) => Finding::new(
            SUBJECT,
            Level::Warning,
            "none",
            format!("they can't be handed to a program: {}; {folder}", editor::told(&why)),
        ),
    }
}

fn memory() -> Finding {
    const SUBJECT: &str = "memory";
    match platform::is_closed() {
        Some(true) => {
            let told = "closed to other processes of this user while vault runs, and wiped when it is freed";
            Finding::new(SUBJECT, Level::Fine, "closed", told)
        }
        Some(false) => {
            let told = "other processes of this user can read the memory of vault while it runs";
            Finding::new(SUBJECT, Level::Warning, "open", told)
        }
        None => unknown(SUBJECT),
    }
}

fn swap(swaps: Option<&[Swap]>) -> Finding {
    const SUBJECT: &str = "swap";
    let Some(swaps) = swaps else { return unknown(SUBJECT) };
    if swaps.is_empty() {
        return Finding::new(SUBJECT, Level::Fine, "none", "there is none");
    }
    let of = |kind| -> Vec<String> {
        swaps.iter().filter(|one| one.kind == kind).map(|one| shown(&one.name)).collect()
    };
    let disks = of(SwapKind::Disk);
    if disks.is_empty() {
        let encrypted = of(SwapKind::Encrypted);
        let value = if encrypted.is_empty() { "memory" } else { "encrypted" };
        return Finding::new(SUBJECT, Level::Fine, value, "it is in memory (zram), or encrypted");
    }
    let told = format!(
        "memory can be written to {}, and is not known to be encrypted there",
        disks.join(", ")
    );
    Finding::new(SUBJECT, Level::Warning, "disk", told).hint("encrypt the swap, or have none")
}

fn hibernation(swaps: Option<&[Swap]>) -> Finding {
    const SUBJECT: &str = "hibernation";
    let (Some(able), Some(swaps)) = (platform::can_hibernate(), swaps) else {
        return unknown(SUBJECT);
    };
    let disk = |kind| kind != SwapKind::Memory;
    if !able || !swaps.iter().any(|one| disk(one.kind)) {
        return Finding::new(SUBJECT, Level::Fine, "impossible", "this machine can't");
    }
    let encrypted = swaps.iter().all(|one| one.kind != SwapKind::Disk);
    let level = if encrypted { Level::Fine } else { Level::Warning };
    Finding::new(SUBJECT, level, "possible", "it writes all memory to the swap")
}

fn cores() -> Finding {
    const SUBJECT: &str = "core files";
    let Some(pattern) = platform::core_pattern() else { return unknown(SUBJECT) };
    let (soft, hard) = platform::core_limits();
    let ours = "vault and the editor of `edit` leave none";
    let Some(handler) = pattern.strip_prefix('|') else {
        let told = if soft == Some(0) { "" } else { "; a command that crashes writes one" };
        return Finding::new(SUBJECT, Level::Fine, "none", format!("{ours}{told}"));
    };
    let program = handler.split_ascii_whitespace().next().unwrap_or_default();
    let program = shown(program);
    if hard == Some(0) {
        // See `leave_no_core` in platform/unix/world.rs.
        let told = format!(
            "an editor that crashes hands its memory to `{program}`: the hard limit of 0 does not prevent that, and forbids the limit that would"
        );
        return Finding::new(SUBJECT, Level::Warning, "handler", told)
            .hint("have a hard limit of at least 1 (`ulimit -Hc`)");
    }
    let told = format!("{ours}; a command that crashes hands its memory to `{program}`");
    Finding::new(SUBJECT, Level::Fine, "none", told)
}

/// What this clone lacks of what the project asks for.
fn clone(context: &Context) -> Option<Finding> {
    let project = context.find_project().ok()??;
    git_setup::is_missing(&project, context).then(|| {
        let told =
            "this clone merges environments as text, and looks for no plaintext before a commit";
        Finding::new("git", Level::Warning, "not set up", told).hint("`vault git-setup`")
    })
}

/// Where the private key would come from. Nothing is decrypted, run or asked for.
fn identity(context: &Context) -> Finding {
    const SUBJECT: &str = "identity";
    let path = match context.key_place() {
        KeyPlace::Variable(_) => {
            let told =
                "VAULT_KEY holds it: programs of this user can read it in /proc where it was set";
            return Finding::new(SUBJECT, Level::Note, "VAULT_KEY", told)
                .hint("a file that VAULT_KEY_FILE names is seen by fewer");
        }
        KeyPlace::Files(paths) => return named_files(&paths),
        KeyPlace::Command(_) => {
            let told = "VAULT_KEY_COMMAND gives it; the command was not run";
            return Finding::new(SUBJECT, Level::Note, "VAULT_KEY_COMMAND", told);
        }
        KeyPlace::Credential(path) => {
            let told = format!("a credential of systemd: `{}`", shown_path(&path));
            return Finding::new(SUBJECT, Level::Fine, "credential", told);
        }
        KeyPlace::Nowhere => {
            return Finding::new(SUBJECT, Level::Note, "none", "there is no home folder for one");
        }
        KeyPlace::Identity(path) => path,
    };
    let told = shown_path(&path);
    match identity::read_default(&path) {
        Err(error) => Finding::failed(SUBJECT, &error),
        Ok(None) => {
            Finding::new(SUBJECT, Level::Note, "none", format!("there is none at `{told}`"))
                .hint("make one with `vault key new`")
        }
        Ok(Some(file)) if in_keyring(&file.text).is_some() => {
            let account = in_keyring(&file.text).unwrap_or_default();
            match keyring::has(account) {
                Ok(true) => Finding::new(SUBJECT, Level::Fine, "keyring", "it is in the keyring"),
                Ok(false) => Finding::new(
                    SUBJECT,
                    Level::Error,
                    "wrong",
                    format!("`{told}` names an account of the keyring that holds nothing"),
                ),
                Err(error) => Finding::failed(SUBJECT, &error),
            }
        }
        Ok(Some(file)) => {
            let locked = Identity::is_under_a_passphrase(&file.text);
            let (value, how) = if locked {
                ("passphrase", "under a passphrase")
            } else {
                ("file", "your user's alone")
            };
            Finding::new(SUBJECT, Level::Fine, value, format!("`{told}`, {how}"))
        }
    }
}

fn named_files(paths: &[std::path::PathBuf]) -> Finding {
    const SUBJECT: &str = "identity";
    for path in paths {
        match identity::read_named(path, identity::KEY_FILE) {
            Err(error) => return Finding::failed(SUBJECT, &error),
            Ok(file) if file.others_can_write => {
                let told = format!("other users can change the key file `{}`", shown_path(path));
                return Finding::new(SUBJECT, Level::Warning, "VAULT_KEY_FILE", told);
            }
            Ok(_) => {}
        }
    }
    Finding::new(SUBJECT, Level::Fine, "VAULT_KEY_FILE", "VAULT_KEY_FILE names it")
}

fn keyring() -> Finding {
    const SUBJECT: &str = "keyring";
    match keyring::answers() {
        Ok(()) => Finding::new(SUBJECT, Level::Fine, "answers", "a key can be kept in it"),
        Err(why) => {
            Finding::new(SUBJECT, Level::Note, "none", format!("no key can be kept in it: {why}"))
        }
    }
}

fn pins(context: &Context) -> Finding {
    const SUBJECT: &str = "pins";
    match (context.pinned(), context.memory(), context.memory_path()) {
        (Err(error), ..) | (_, Err(error), _) => Finding::failed(SUBJECT, &error),
        (Ok(Some(_)), ..) => {
            Finding::new(SUBJECT, Level::Fine, "VAULT_PIN", "VAULT_PIN names what may be opened")
        }
        (_, _, Some(path)) if path.exists() => {
            let told = format!("`{}` remembers what was accepted here", shown_path(&path));
            Finding::new(SUBJECT, Level::Fine, "kept", told)
        }
        _ => {
            let told = "no pin is kept here yet: a rebuilt file would not be noticed";
            Finding::new(SUBJECT, Level::Note, "none", told)
                .hint("it begins with the first file that is opened; where nothing is kept, set VAULT_PIN")
        }
    }
}

fn umask() -> Finding {
    const SUBJECT: &str = "umask";
    let Some(mask) = platform::file_mask() else { return unknown(SUBJECT) };
    let told = |who: &str| format!("{mask:04o}: {who} can change files that you make");
    let (level, value, told) = match mask & 0o022 {
        0o022 => (Level::Fine, "private", told("nobody else")),
        0o002 => (Level::Note, "group", told("your group")),
        _ => (Level::Warning, "others", told("everybody")),
    };
    Finding::new(SUBJECT, level, value, told)
}

fn locale(context: &Context) -> Finding {
    const SUBJECT: &str = "locale";
    let set = |name| Some((name, context.outside.text(name)?));
    let Some((name, value)) = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set) else {
        let told = "none is set, and vault writes UTF-8";
        return Finding::new(SUBJECT, Level::Note, "none", told);
    };
    let told = format!("{name}={}", shown(&value));
    if value.to_ascii_uppercase().replace('-', "").contains("UTF8") {
        return Finding::new(SUBJECT, Level::Fine, "UTF-8", told);
    }
    Finding::new(SUBJECT, Level::Note, "other", format!("{told} is not UTF-8, which vault writes"))
}

fn unknown(subject: &'static str) -> Finding {
    Finding::new(subject, Level::Note, "unknown", "this system doesn't say")
}
