//! One file for each subcommand: what can be typed, and the story of what happens then.

mod against;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod control;
pub(crate) mod diff;
pub(crate) mod doctor;
pub(crate) mod edit;
pub(crate) mod export;
mod files;
mod findings;
pub(crate) mod get;
pub(crate) mod git_merge;
pub(crate) mod git_setup;
pub(crate) mod git_textconv;
pub(crate) mod grant;
pub(crate) mod import;
mod incoming;
pub(crate) mod init;
pub(crate) mod key;
mod keys;
pub(crate) mod list;
pub(crate) mod log;
pub(crate) mod man;
pub(crate) mod members;
mod merging;
pub(crate) mod overview;
pub(crate) mod pins;
mod recovery;
mod repository;
pub(crate) mod request;
pub(crate) mod resolve;
pub(crate) mod revoke;
pub(crate) mod rotate;
pub(crate) mod run;
pub(crate) mod scan;
pub(crate) mod set;
mod sources;
pub(crate) mod start;
pub(crate) mod status;
mod team;
pub(crate) mod trust;
mod units;
pub(crate) mod unset;
mod wanted;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use self::pins::Purpose;
use crate::cli::settings::Outside;
use crate::cli::ui::Ui;
use crate::error::{Error, Result};
use crate::format::Opened;
use crate::process::Surroundings;
use crate::process::git::git;
use crate::secret::Secret;
use crate::vars::name::{EnvName, VarName, nearest, shown, without_value};
use crate::vault::pins::Seen;
use crate::vault::settings::Settings;
use crate::vault::{Project, Vault, doubts, unfit};

/// What was typed before or after the subcommand.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[derive(Debug, Clone, Default)]
pub(crate) struct Globals {
    /// `--app-root`.
    pub(crate) app_root: Option<PathBuf>,
    /// `--env`, as typed, each time. The last one counts everywhere but in `init`.
    pub(crate) env: Vec<String>,
    /// `--procfile`.
    pub(crate) procfile: Option<PathBuf>,
    /// `--recovery`.
    pub(crate) recovery: bool,
    /// `--old-key`.
    pub(crate) old_key: bool,
    /// `--no-prefix` before `start`.
    pub(crate) no_prefix: bool,
    /// `--yes`.
    pub(crate) yes: bool,
}

/// All that a command works with: the world outside, the terminal, and what was typed globally.
pub(crate) struct Context {
    /// The process's environment and folder.
    pub(crate) outside: Outside,
    /// The terminal.
    pub(crate) ui: Ui,
    /// The global flags.
    pub(crate) globals: Globals,
    /// Notices that were given: a command that writes looks at each file twice.
    pub(crate) told: std::cell::RefCell<BTreeSet<String>>,
}

impl Context {
    /// The project: `-d`, then `VAULT_DIR`, then the nearest one upwards.
    pub(crate) fn project(&self) -> Result<Project> {
        self.find_project()?.ok_or_else(|| {
            Error::not_found("there is no vault here: no `vault.toml` and no `envs/*.toml` in this folder or above it")
                .hint("make one with `vault init`")
        })
    }

    /// As [`Context::project`], or None where there is none yet.
    pub(crate) fn find_project(&self) -> Result<Option<Project>> {
        let named = self
            .globals
            .app_root
            .clone()
            .or_else(|| self.outside.get("VAULT_DIR").map(PathBuf::from));
        let Some(folder) = named else {
            let found =
                Project::discover_from(&self.outside.folder, self.outside.home().as_deref());
            if let Some(project) = &found {
                project.check_owner()?;
            }
            return Ok(found);
        };
        if !folder.is_dir() {
            return Err(Error::not_found(format!(
                "the folder `{}` does not exist",
                crate::error::shown_path(&folder)
            )));
        }
        Ok(Some(Project::at(&folder)))
    }

    /// The environments that are meant: `-e`, then `VAULT_ENV`, then `default` in `vault.toml`.
    ///
    /// # Errors
    ///
    /// None is named anywhere, or an item of the list can't be the name of one.
    pub(crate) fn environments(
        &self,
        project: &Project,
        settings: &Settings,
    ) -> Result<Vec<EnvName>> {
        let vault_env = self.outside.text("VAULT_ENV");
        let list = self.globals.env.last().map(String::as_str).or(vault_env.as_deref());
        let names: Vec<EnvName> = match (list, &settings.default) {
            (Some(list), _) => list
                .split(',')
                .map(str::trim)
                .map(|item| environment_item(project, item))
                .collect::<Result<_>>()?,
            (None, Some(name)) => vec![name.clone()],
            (None, None) => return Err(no_environment(project)),
        };
        self.check_source(project, &names)?;
        Ok(names)
    }

    /// Refuses an environment that isn't there and that nobody typed, with where it comes from.
    pub(crate) fn check_source(&self, project: &Project, names: &[EnvName]) -> Result<()> {
        if !self.globals.env.is_empty() {
            return Ok(());
        }
        let is_missing = |name: &&EnvName| std::fs::symlink_metadata(project.path(name)).is_err();
        let Some(name) = names.iter().find(is_missing) else { return Ok(()) };
        let source =
            if self.outside.text("VAULT_ENV").is_some() { "VAULT_ENV" } else { "vault.toml" };
        Err(project.unknown(name.as_str()).within(source))
    }

    /// The one environment that is meant.
    pub(crate) fn environment(&self, project: &Project) -> Result<EnvName> {
        let mut names = self.environments(project, &project.settings()?)?;
        match names.pop() {
            Some(name) if names.is_empty() => Ok(name),
            _ => Err(Error::usage("this command works on one environment, and `-e` names several")
                .hint("run it once for each")),
        }
    }

    /// Reads an environment and opens it with this user's key, to be read.
    pub(crate) fn open(&self, project: &Project, environment: &EnvName) -> Result<(Vault, Opened)> {
        let vault = project.read(environment)?;
        let opened = self.unlock(project, &vault, &self.key()?, Purpose::Read)?;
        Ok((vault, opened))
    }

    /// Changes an environment. With `-y`, what other programs wrote into the file is lost, and named.
    pub(crate) fn change<T>(
        &self,
        project: &Project,
        environment: &EnvName,
        change: impl FnOnce(&mut Vault) -> Result<T>,
    ) -> Result<T> {
        self.tell_losses(project, std::slice::from_ref(environment))?;
        project.change(environment, self.globals.yes, change)
    }

    /// Changes several environments: all, or none, or the message says which. `wrote` hears of each one,
    /// and gives what is to be remembered of it.
    pub(crate) fn change_all<T>(
        &self,
        project: &Project,
        environments: &[EnvName],
        change: impl FnMut(&mut Vault) -> Result<T>,
        mut wrote: impl FnMut(&Vault, &T) -> Option<Seen>,
    ) -> Result<Vec<T>> {
        self.tell_losses(project, environments)?;
        let mut seen = Vec::new();
        let note = |vault: &Vault, result: &T| seen.extend(wrote(vault, result));
        let changed = project.change_all(environments, self.globals.yes, change, note);
        // What is in its place is remembered even where the rest failed.
        self.pin(seen)?;
        changed
    }

    /// Refuses, without `-y`, a file in which a write would lose what others wrote.
    pub(crate) fn refuse_losses(&self, vault: &Vault) -> Result<()> {
        if self.globals.yes { Ok(()) } else { crate::vault::refuse(&vault.losses()) }
    }

    fn tell_losses(&self, project: &Project, environments: &[EnvName]) -> Result<()> {
        if self.globals.yes {
            for environment in environments {
                for loss in project.read(environment)?.losses() {
                    self.ui.warn(&format!("{loss} is dropped"));
                }
            }
        }
        Ok(())
    }

    /// Where helper programs run: where we do.
    pub(crate) fn surroundings(&self) -> Surroundings<'_> {
        Surroundings { folder: &self.outside.folder, environment: &self.outside.environment }
    }

    /// Whether git tracks the file, or (with `or_would`) would track it with `git add`.
    pub(crate) fn git_tracks(&self, path: &Path, or_would: bool) -> bool {
        let mut words = vec!["--literal-pathspecs", "ls-files", "--cached"];
        if or_would {
            words.extend(["--others", "--exclude-standard"]);
        }
        words.push("--");
        let mut words: Vec<&OsStr> = words.into_iter().map(OsStr::new).collect();
        words.push(path.as_os_str());
        git(&words, &self.surroundings()).is_some()
    }

    /// The commits of all branches that changed the file, the newest first, as short name and day.
    pub(crate) fn git_commits_of(&self, path: &Path) -> Vec<String> {
        let words = ["--literal-pathspecs", "log", "--all", "--format=%h of %as", "--"];
        let mut words: Vec<&OsStr> = words.map(OsStr::new).into();
        words.push(path.as_os_str());
        let log = git(&words, &self.surroundings()).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    /// Whether this is to be told, and not told already.
    fn is_news(&self, notice: &str) -> bool {
        self.told.borrow_mut().insert(notice.to_owned())
    }

    /// Warns of values that are stored and don't fit `[required]`, or are probably a mistake.
    pub(crate) fn warn_of_values<'a>(
        &self,
        settings: &Settings,
        environment: &EnvName,
        values: impl IntoIterator<Item = (&'a VarName, &'a Secret)>,
    ) {
        for (name, value) in values {
            let value = value.expose();
            let doubts = doubts(settings, environment, name, value);
            for what in unfit(settings, environment, name, value).into_iter().chain(doubts) {
                self.ui.warn(&format!("{environment}: {name} {what}"));
            }
        }
    }

    /// Asks whether to go on with something that loses data. `-y` answers.
    ///
    /// # Errors
    ///
    /// The answer is no, or there is nobody to ask.
    pub(crate) fn confirm(&self, what: &str) -> Result<()> {
        if self.globals.yes {
            return Ok(());
        }
        if !crate::cli::prompt::possible() {
            return Err(Error::failed(format!("{what}: not done without an answer"))
                .hint("add `-y` to say yes"));
        }
        if crate::cli::prompt::confirmed(&format!("vault: {what}. Go on?"))? {
            return Ok(());
        }
        Err(Error::failed("nothing was changed"))
    }
}

/// Seconds since 1970. A clock before that counts as 0.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// The name of the environment whose file an item of `-e` names, as `envs/staging.toml`.
fn named_by_file(item: &str) -> Option<&str> {
    let stem = item.strip_suffix(".toml")?.rsplit('/').next()?;
    stem.parse::<EnvName>().is_ok().then_some(stem)
}

/// Whether an item of `-e` can only be a dotenv file: no name of an environment has a dot or a slash.
fn is_dotenv(item: &str) -> bool {
    item.contains(['.', '/']) && named_by_file(item).is_none()
}

/// An item of `-e` as the name of an environment.
fn environment_item(project: &Project, item: &str) -> Result<EnvName> {
    if let Some(name) = named_by_file(item) {
        let told = Error::usage(format!(
            "`{}` is a file; an environment is given by its name",
            shown(item)
        ));
        return Err(told.hint(format!("write `-e {name}`")));
    }
    if is_dotenv(item) {
        return Err(Error::usage(format!(
            "`{}` is a dotenv file, and this command works on environments of the vault",
            shown(item)
        ))
        .hint("`vault import` brings it in; `run`, `start` and `check` read it as it is"));
    }
    item.parse().map_err(|_| project.unknown(item))
}

fn no_environment(project: &Project) -> Error {
    let known = project.environments().unwrap_or_default();
    let names: Vec<&str> = known.iter().map(EnvName::as_str).collect();
    let error = Error::usage(
        "no environment is named: neither `-e`, nor VAULT_ENV, nor `default` in vault.toml",
    );
    match names.first() {
        Some(first) => {
            error.hint(format!("add `-e {first}`; the environments are {}", names.join(", ")))
        }
        None => error.hint("make one with `vault init`"),
    }
}

/// The error for a variable that isn't there, with the near name among those that are.
pub(crate) fn unknown_variable(project: &Project, vault: &Vault, name: &VarName) -> Error {
    let environment = vault.environment();
    let error = Error::not_found(format!("{environment} has no {name}")).about(environment);
    if let Some(meant) = project.called(name.as_str()) {
        return error.hint(format!("did you mean `-e {meant}`?"));
    }
    match nearest(name.as_str(), vault.file.secrets.keys().map(VarName::as_str)) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint(format!("`vault list -e {environment}` shows the names")),
    }
}

/// A variable name as it was typed.
pub(crate) fn variable(text: &str) -> Result<VarName> {
    text.parse().map_err(|rule| Error::usage(format!("`{}`: {rule}", without_value(text))))
}

/// A list of variable names as it was typed, separated by commas.
pub(crate) fn variables(list: &[String]) -> Result<BTreeSet<VarName>> {
    list.iter()
        .flat_map(|item| item.split(','))
        .filter(|item| !item.is_empty())
        .map(variable)
        .collect()
}

/// Refuses a name that may not be stored: our own, or one that changes how programs load unless
/// `vault.toml` allows it.
pub(crate) fn check_storable(name: &VarName, settings: &Settings) -> Result<()> {
    if name.is_ours() {
        return Err(Error::usage(format!(
            "{name} is a setting of vault itself and can't be a variable of an environment"
        )));
    }
    if name.is_loader() && !settings.loader.contains(name) {
        return Err(Error::usage(format!(
            "{name} changes how programs load: whoever may set it runs code in every command"
        ))
        .hint(format!(
            "if that is wanted, write `loader = [\"{name}\"]` under `[allow]` in vault.toml"
        )));
    }
    Ok(())
}

/// A day as `2026-11-23`, in UTC, of seconds since 1970.
pub(crate) fn day(time: u64) -> String {
    // Howard Hinnant's civil_from_days, for days since 1970: eras of 400 years that begin in March.
    let days = time / 86_400 + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// A moment as `2026-11-23 09:26:40`, in UTC, of seconds since 1970.
pub(crate) fn moment(time: u64) -> String {
    let seconds = time % 86_400;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{} {hours:02}:{minutes:02}:{seconds:02}", day(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_told_as_in_the_calendar() {
        let told =
            [0, 951_782_400, 951_868_800, 1_709_164_800, 1_795_435_200, 4_107_542_399].map(day);
        assert_eq!(
            told,
            ["1970-01-01", "2000-02-29", "2000-03-01", "2024-02-29", "2026-11-23", "2100-02-28"]
        );
    }
}
