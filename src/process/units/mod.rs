//! What keeps processes running on a server: units for it, made of a Procfile as Honcho's `export` does.
//!
//! Pure: a [`Plan`] goes in, the names and texts of files come out. No file holds a value. Each calls
//! `vault run`, which gets the values when the process begins, or names the dotenv files to read then.

mod manifests;
mod runit;
mod supervisord;
mod systemd;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::formation::Instance;
use super::procfile::RELEASE;
use crate::error::{Error, Result, shown_path};
use crate::vars::name::shown;

/// The variables of a unit that a stored variable of that name must not replace: who proxies to the
/// process, and who reads its logs, goes by what the unit says.
const PRESERVED: &str = "--preserve-env=PORT,HONCHO_PROCESS_NAME,VAULT_PROCESS_NAME";

/// Who keeps the processes running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnitFormat {
    /// A target for the app and for each type, a service for each process.
    Systemd,
    /// One file with a program for each process, and their group.
    Supervisord,
    /// A service folder for each process.
    Runit,
    /// A Compose file with a service for each process.
    Compose,
    /// A Deployment for each type.
    Kubernetes,
}

impl UnitFormat {
    /// All of them, in the order for lists.
    pub(crate) const ALL: [Self; 5] =
        [Self::Systemd, Self::Supervisord, Self::Runit, Self::Compose, Self::Kubernetes];

    /// The word for it on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Systemd => "systemd",
            Self::Supervisord => "supervisord",
            Self::Runit => "runit",
            Self::Compose => "compose",
            Self::Kubernetes => "k8s-deployment",
        }
    }

    /// The format of this name.
    pub(crate) fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == word)
    }

    /// Whether the processes run in an image, whose folders are others than those here.
    fn in_image(self) -> bool {
        matches!(self, Self::Compose | Self::Kubernetes)
    }

    /// Whether the processes write into files under [`Plan::log`].
    fn writes_logs(self) -> bool {
        matches!(self, Self::Supervisord | Self::Runit)
    }
}

/// Where the variables come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// From a vault: the items of `-e`, dotenv files among them by their absolute paths.
    Vault(Vec<String>),
    /// From dotenv files alone, by their absolute paths.
    Files(Vec<PathBuf>),
    /// There are none.
    Nothing,
}

/// All that the units are made of.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The name in front of all names.
    pub(crate) app: String,
    /// Where the processes run.
    pub(crate) folder: PathBuf,
    /// Where the logs go, if it was said; else below `/var/log`.
    pub(crate) log: Option<PathBuf>,
    /// Who they run as, if it was said; else a user of the app's name.
    pub(crate) user: Option<String>,
    /// The shell's absolute path.
    pub(crate) shell: String,
    /// This program's absolute path.
    pub(crate) vault: PathBuf,
    /// Where the variables come from.
    pub(crate) environment: Wanted,
    /// The folder of the vault, if there is one.
    pub(crate) project: Option<PathBuf>,
    /// The processes.
    pub(crate) instances: Vec<Instance>,
}

/// A file to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnitFile {
    /// Where, below the folder that was asked for.
    pub(crate) path: PathBuf,
    /// Its permission bits.
    pub(crate) mode: u32,
    /// What it holds.
    pub(crate) text: String,
}

impl UnitFile {
    fn new(path: impl Into<PathBuf>, text: String) -> Self {
        Self { path: path.into(), mode: 0o644, text }
    }

    fn executable(path: impl Into<PathBuf>, text: String) -> Self {
        Self { path: path.into(), mode: 0o755, text }
    }
}

/// What an export comes to: the files, and what their user has to know or do.
pub(crate) type Written = (Vec<UnitFile>, Vec<String>);

/// Makes the files of a format, and tells what their user has to know or do.
///
/// # Errors
///
/// Something has no form in this format that its reader would take for the same; there is no process.
pub(crate) fn write(format: UnitFormat, plan: &Plan) -> Result<Written> {
    check(format, plan)?;
    let (files, mut notices) = match format {
        UnitFormat::Systemd => systemd::write(plan),
        UnitFormat::Supervisord => supervisord::write(plan)?,
        UnitFormat::Runit => runit::write(plan),
        UnitFormat::Compose => manifests::compose(plan)?,
        UnitFormat::Kubernetes => manifests::kubernetes(plan)?,
    };
    let mut seen = BTreeSet::new();
    if let Some(twice) = files.iter().find(|file| !seen.insert(&file.path)) {
        return Err(Error::failed(format!(
            "two process types would both be written to `{}`",
            shown_path(&twice.path)
        ))
        .hint("give one of them another name"));
    }
    let has_release = plan.instances.iter().any(|one| one.type_name == RELEASE);
    if has_release && format != UnitFormat::Systemd {
        notices.push(format!(
            "`{RELEASE}` is left out: {format} has nothing that runs once, before the others",
            format = format.name()
        ));
    }
    if plan.log.is_some() && !format.writes_logs() {
        notices.push(format!("`-l` has no effect: {} takes the output itself", format.name()));
    }
    Ok((files, notices))
}

/// What holds for all formats, judged before anything is made.
fn check(format: UnitFormat, plan: &Plan) -> Result<()> {
    let refused = |what: &str, why: &str| Error::failed(format!("{what}: {why}"));
    // It becomes file names, unit names, section names and names of images.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    if !plan.app.bytes().all(is_plain) || !plan.app.starts_with(|c: char| c.is_ascii_alphanumeric())
    {
        let what = format!("the name of the app, `{}`", shown(&plan.app));
        let why =
            "it has to be letters, digits, `.`, `-` and `_`, and to begin with a letter or digit";
        return Err(refused(&what, why).hint("give it a name with `-a`"));
    }
    let user = plan.user();
    if user.is_empty() || user.starts_with('-') || !user.chars().all(|c| is_text(c) && c != ' ') {
        return Err(refused("`-u`", "it is no user's name"));
    }
    if !plan.shell.starts_with('/') || !plan.shell.chars().all(|c| is_text(c) && c != ' ') {
        let why = "it has to be the absolute path of one program, without arguments";
        return Err(refused("`-s`", why));
    }
    let log = plan.log();
    let mut paths = vec![&plan.folder, &log, &plan.vault];
    paths.extend(&plan.project);
    if let Wanted::Files(files) = &plan.environment {
        paths.extend(files);
    }
    for path in paths {
        check_path(path)?;
    }
    for item in plan.environment.items() {
        if item.contains(',') || !item.chars().all(is_text) {
            let why = "a name in a list of environments can't have a comma or control character";
            return Err(refused(&format!("`{}`", shown(&item)), why));
        }
    }
    for one in &plan.instances {
        // A newline can't come out of a Procfile, but all formats can hold it.
        if one.command.chars().any(|c| c.is_control() && c != '\t' && c != '\n') {
            let why = "the command has a control character, which no file of units can hold";
            return Err(refused(&format!("process type `{}`", one.type_name), why));
        }
    }
    let none = plan.kept(format).next().is_none();
    if none {
        return Err(Error::failed("there is no process to export"));
    }
    Ok(())
}

/// A path as every reader takes it: some trim it, some join a line that ends in a backslash with the next.
fn check_path(path: &Path) -> Result<()> {
    let refused = |why: &str| Error::failed(format!("the path `{}` {why}", shown_path(path)));
    let text = path.to_str().ok_or_else(|| refused("is not UTF-8"))?;
    if !text.chars().all(is_text) {
        return Err(refused("has a control character"));
    }
    if text.ends_with([' ', '\\']) {
        return Err(refused("ends in a blank or a backslash"));
    }
    Ok(())
}

fn is_text(c: char) -> bool {
    !c.is_control()
}

impl Wanted {
    /// The items of `-e`.
    fn items(&self) -> Vec<String> {
        match self {
            Self::Vault(items) => items.clone(),
            Self::Files(files) => {
                files.iter().map(|file| file.to_string_lossy().into_owned()).collect()
            }
            Self::Nothing => Vec::new(),
        }
    }
}

impl Plan {
    /// Whether the processes need a key.
    fn has_vault(&self) -> bool {
        matches!(self.environment, Wanted::Vault(_))
    }

    /// Who the processes run as.
    fn user(&self) -> &str {
        self.user.as_deref().unwrap_or(&self.app)
    }

    /// Where the logs go.
    fn log(&self) -> PathBuf {
        self.log.clone().unwrap_or_else(|| Path::new("/var/log").join(&self.app))
    }

    /// The processes that the format has: all but `release`, which only systemd can run first and once.
    fn kept(&self, format: UnitFormat) -> impl Iterator<Item = &Instance> {
        self.instances.iter().filter(move |one| {
            if one.type_name == RELEASE {
                format == UnitFormat::Systemd && one.number == 1
            } else {
                true
            }
        })
    }

    /// `shop-web-1`, as Honcho names it.
    fn name(&self, one: &Instance) -> String {
        format!("{}-{}", self.app, dashed(&one.name))
    }

    /// The words that start a process.
    fn words(&self, one: &Instance, format: UnitFormat) -> Vec<String> {
        let in_shell = [self.shell.clone(), "-c".to_owned(), one.command.clone()];
        if is_wrapped(&one.command) || self.environment == Wanted::Nothing {
            return in_shell.into();
        }
        // An image has its own place for the program; it is found there with PATH.
        let vault = if format.in_image() { "vault".into() } else { self.vault.to_string_lossy() };
        let items = self.environment.items().join(",");
        let mut words = [&*vault, "run", "-e", &items, PRESERVED, "--"].map(str::to_owned).to_vec();
        words.extend(in_shell);
        words
    }

    /// The variables that the unit itself has. None of them is a value of an environment.
    fn variables(&self, one: &Instance) -> Vec<(&'static str, String)> {
        let mut all = vec![
            ("PORT", one.port.to_string()),
            ("HONCHO_PROCESS_NAME", one.name.clone()),
            ("VAULT_PROCESS_NAME", one.name.clone()),
        ];
        if let Some(project) = self.project.as_ref().filter(|_| self.has_vault()) {
            // Named, and not looked for from the working folder: a project that is found is refused where
            // it belongs to another user, and a service rarely owns its own code.
            all.push(("VAULT_DIR", project.to_string_lossy().into_owned()));
        }
        all
    }

    /// What is said where a format can't name the folders of an image.
    fn image_notices(&self, image: &str) -> Vec<String> {
        let mut notices = vec![format!(
            "`image: {image}` is a placeholder: write the image that has the app, and `vault` in its PATH"
        )];
        let files: Vec<String> =
            self.environment.items().into_iter().filter(|item| item.starts_with('/')).collect();
        if !files.is_empty() {
            notices.push(format!("the containers must find {} at this path", files.join(", ")));
        }
        notices
    }
}

/// Whether the line of the Procfile calls `vault run` itself.
pub(crate) fn is_wrapped(command: &str) -> bool {
    let mut words = command.split([' ', '\t']).filter(|word| !word.is_empty());
    words.next() == Some("vault") && words.next() == Some("run")
}

/// Every character that is none of a word (Python's `\W`) becomes `-`: `web.1` is `web-1`.
fn dashed(name: &str) -> String {
    name.chars().map(|c| if c.is_alphanumeric() || c == '_' { c } else { '-' }).collect()
}

/// Whether a word means itself to shells and to what reads as they do, so that it needs no quotes.
fn is_bare(word: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_@:=,./+-".contains(&byte);
    !word.is_empty() && word.bytes().all(plain)
}

/// A word for a POSIX shell.
fn for_shell(word: &str) -> String {
    if is_bare(word) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests;
