//! What `-e` names for a command that is run: environments, dotenv files, or both; and what is in them.
//!
//! Without a vault all of them are dotenv files, as for Honcho, and `.env` is read by itself. A vault that
//! was meant and isn't there is an error: an app must not start with the wrong configuration in silence.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::pins::Purpose;
use super::{Context, check_storable};
use crate::crypto::keys::{Identity, PublicKey};
use crate::error::{Error, Kind, Result, shown_path};
use crate::format::Opened;
use crate::platform;
use crate::process::environ::Environment;
use crate::process::procfile::Procfile;
use crate::secret::Secret;
use crate::vars::Vars;
use crate::vars::dotenv::honcho;
use crate::vars::name::{EnvName, VarName, nearest, shown};
use crate::vault::ENVS_FOLDER;
use crate::vault::settings::Settings;
use crate::vault::{Key, Project, Vault, join, missing};

/// One name of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    /// An environment of the vault.
    Environment(EnvName),
    /// A dotenv file.
    File(PathBuf),
}

/// What a command is to be run with.
pub(crate) struct Wanted {
    /// The project, where there is a vault.
    pub(crate) project: Option<Project>,
    /// Its settings, or the defaults.
    pub(crate) settings: Settings,
    /// What was named, later ones winning.
    pub(crate) items: Vec<Item>,
    /// The folder of the Procfile and of `.env`, and where processes run.
    pub(crate) home: PathBuf,
}

/// What all of them hold.
#[derive(Default)]
pub(crate) struct Loaded {
    /// All variables, the later over the earlier.
    pub(crate) vars: Vars,
    /// Of those, the names of which a program gets the path of a file.
    pub(crate) files: BTreeSet<VarName>,
    /// Those of environments alone, if that was asked for: what has to be hidden in output.
    pub(crate) secret: Vars,
    /// Lines of dotenv files that count for nothing.
    pub(crate) notices: Vec<String>,
    /// The environments without their values. They are kept, because a command would have to wait for their
    /// blocks to be freed one by one, and when it has taken over there is nothing to free.
    rest: Vec<Vault>,
    /// Opening may have started a plugin.
    pub(crate) used_a_plugin: bool,
}

/// The file that Honcho reads by itself.
pub(crate) const DOTENV: &str = ".env";
/// The file that Honcho runs.
pub(crate) const PROCFILE: &str = "Procfile";
/// The variable that names another.
const PROCFILE_VARIABLE: &str = "PROCFILE";

impl Context {
    /// What is meant: `-e`, then `VAULT_ENV`, then `default` in `vault.toml`; without a vault `.env`.
    pub(crate) fn wanted(&self) -> Result<Wanted> {
        self.wanted_or(|project, settings| match &settings.default {
            Some(default) => Ok(vec![Item::Environment(default.clone())]),
            None => Err(super::no_environment(project)),
        })
    }

    /// As [`Context::wanted`]; where there is a vault, and neither `-e` nor `VAULT_ENV` names an environment,
    /// `fallback` says what is meant.
    pub(crate) fn wanted_or(
        &self,
        fallback: impl FnOnce(&Project, &Settings) -> Result<Vec<Item>>,
    ) -> Result<Wanted> {
        let project = self.find_project()?.filter(Project::exists);
        let settings = project.as_ref().map(Project::settings).transpose()?.unwrap_or_default();
        let home = self.home(project.as_ref());
        let vault_env = self.outside.text("VAULT_ENV");
        if project.is_none() && (vault_env.is_some() || self.outside.get("VAULT_DIR").is_some()) {
            return self
                .project()
                .and_then(|_| Err(no_vault("VAULT_ENV or VAULT_DIR asks for one")));
        }
        // A link to a folder that isn't mounted, or was left out of an image: a vault was meant.
        let envs = home.join(ENVS_FOLDER);
        if project.is_none() && envs.is_symlink() && !envs.exists() {
            let told = shown_path(&envs);
            return Err(Error::not_found(format!("`{told}` is a link to nothing"))
                .hint("put the environments where it leads, or remove it"));
        }
        let named = self.globals.env.last().map(String::as_str).or(vault_env.as_deref());
        let items = match (named, &project) {
            (Some(list), _) => list
                .split(',')
                .map(str::trim)
                .map(|item| self.item(project.as_ref(), item))
                .collect::<Result<_>>()?,
            (None, Some(project)) => fallback(project, &settings)?,
            (None, None) => {
                let path = home.join(DOTENV);
                if path.is_file() { vec![Item::File(path)] } else { Vec::new() }
            }
        };
        let wanted = Wanted { project, settings, items, home };
        if let Some(project) = &wanted.project {
            self.check_source(project, &wanted.environments())?;
        }
        Ok(wanted)
    }

    /// Where the Procfile is looked for: `-d`; else the working directory, unless only the project above
    /// has one.
    fn home(&self, project: Option<&Project>) -> PathBuf {
        if let Some(folder) = &self.globals.app_root {
            return folder.clone();
        }
        let here = PathBuf::new();
        match project.map(Project::near) {
            Some(root) if !here.join(PROCFILE).exists() && root.join(PROCFILE).exists() => {
                root.to_owned()
            }
            _ => here,
        }
    }

    /// One name of the list: an environment where there is a vault and it can be the name of one.
    fn item(&self, project: Option<&Project>, item: &str) -> Result<Item> {
        if let Some(project) = project.filter(|_| !super::is_dotenv(item)) {
            return super::environment_item(project, item).map(Item::Environment);
        }
        let path = self.globals.app_root.clone().unwrap_or_default().join(item);
        if path.is_file() || is_pipe(&path) {
            return Ok(Item::File(path));
        }
        if project.is_none() && !path.is_dir() && !item.contains(['.', '/']) {
            return Err(Error::not_found(format!(
                "there is no vault here: no `vault.toml` and no `envs/*.toml`, and no dotenv file `{}` either",
                shown(item)
            ))
            .hint("make one with `vault init`"));
        }
        let what = if path.is_dir() { "is a folder" } else { "does not exist" };
        let error = Error::not_found(format!("the dotenv file `{}` {what}", shown_path(&path)));
        Err(match project {
            Some(_) => error.hint("leave it out of `-e`, or make the file"),
            None => error.hint("there is no vault here, so `-e` names dotenv files"),
        })
    }

    /// Where the processes of this project are looked for, without reading anything.
    pub(crate) fn wanted_home(&self) -> Result<PathBuf> {
        let project = self.find_project()?.filter(Project::exists);
        Ok(self.outside.folder.join(self.home(project.as_ref())))
    }

    /// Reads the Procfile at `path`.
    pub(crate) fn read_procfile(path: &Path) -> Result<Procfile> {
        /// More is no Procfile.
        const LIMIT: u64 = 1 << 20;
        let told = shown_path(path);
        let found = path.metadata().ok().filter(std::fs::Metadata::is_file);
        let size = found.map(|found| found.len()).ok_or_else(|| {
            Error::failed(format!("Procfile `{told}` does not exist or is not a file"))
                .hint("name it by `-f`, or its folder by `-d`")
        })?;
        if size > LIMIT {
            return Err(Error::failed(format!("Procfile `{told}` is larger than 1 MiB")));
        }
        let bytes = std::fs::read(path).map_err(|error| Error::io("read", path, &error))?;
        Procfile::parse(&bytes, path)
    }

    /// Where the Procfile lies: `-f`, then `PROCFILE` among `vars`, then that of the surrounding
    /// environment, then `Procfile`.
    pub(crate) fn procfile_path(&self, wanted: &Wanted, vars: &Vars) -> PathBuf {
        if let Some(typed) = &self.globals.procfile {
            return self.globals.app_root.clone().unwrap_or_default().join(typed);
        }
        let stored = vars
            .get_named(PROCFILE_VARIABLE)
            .map(|value| platform::os_string(value.expose().to_vec()));
        let configured =
            stored.or_else(|| self.outside.get(PROCFILE_VARIABLE).map(OsStr::to_owned));
        wanted.home.join(configured.unwrap_or_else(|| PROCFILE.into()))
    }
}

/// Whether something can be read there that is no regular file: `-e <(command)` of a shell.
fn is_pipe(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| !found.is_dir())
}

fn no_vault(why: &str) -> Error {
    Error::not_found(format!(
        "there is no vault here: no `vault.toml` and no `envs/*.toml`, and {why}"
    ))
    .hint("go to the project's folder, or name it by `-d`")
}

impl Wanted {
    /// The environments among what was named.
    pub(crate) fn environments(&self) -> Vec<EnvName> {
        self.items
            .iter()
            .filter_map(|item| match item {
                Item::Environment(name) => Some(name.clone()),
                Item::File(_) => None,
            })
            .collect()
    }

    /// What was named, in words.
    pub(crate) fn told(&self) -> String {
        let word = |item: &Item| match item {
            Item::Environment(name) => name.to_string(),
            Item::File(path) => shown_path(path),
        };
        self.items.iter().map(word).collect::<Vec<_>>().join(", ")
    }

    /// The `.env` beside a vault that nobody reads, if there is one.
    pub(crate) fn unread_dotenv(&self) -> Option<PathBuf> {
        self.project.as_ref()?;
        let path = self.home.join(DOTENV);
        let read = self.items.iter().any(|item| matches!(item, Item::File(file) if *file == path));
        (path.is_file() && !read).then_some(path)
    }

    /// Refuses an environment that lacks what `[required]` in `vault.toml` asks for.
    pub(crate) fn check_required(&self, whole: &Environment) -> Result<()> {
        let environments = self.environments();
        let value = |name: &VarName| {
            whole.get(OsStr::new(name.as_str())).map(|value| value.as_encoded_bytes().to_vec())
        };
        let wrong = missing(&self.settings, &environments, value);
        if wrong.is_empty() {
            return Ok(());
        }
        let told = self.told();
        let messages =
            wrong.iter().map(|one| format!("{told}: {} {}", one.name, one.why)).collect();
        let name = if let [one] = &wrong[..] { one.name.as_str() } else { "NAME" };
        let error = Error::several(Kind::Failed, messages);
        let who = self.settings.who_requires();
        Err(match environments.last() {
            Some(last) => error.hint(format!("{who}; set it with `vault set -e {last} {name}`")),
            None => error.hint(who),
        })
    }

    /// Reads the dotenv files alone.
    pub(crate) fn load_files(&self) -> Result<Loaded> {
        let mut loaded = Loaded::default();
        for item in &self.items {
            if let Item::File(path) = item {
                read_file(path, &mut loaded)?;
            }
        }
        Ok(loaded)
    }

    /// Reads and decrypts all of it. A key is looked for only if there is something to decrypt. With `hides`,
    /// what has to be hidden is kept apart.
    pub(crate) fn load(&self, context: &Context, hides: bool) -> Result<Loaded> {
        let mut loaded = Loaded::default();
        let mut key = None;
        for item in &self.items {
            match item {
                Item::File(path) => read_file(path, &mut loaded)?,
                Item::Environment(name) => {
                    let Some(project) = &self.project else { continue };
                    let key = match &mut key {
                        Some(key) => key,
                        none => none.insert(context.key()?),
                    };
                    let (vars, files, rest) = decrypt(context, project, &self.settings, name, key)?;
                    loaded.rest.push(rest);
                    if hides {
                        loaded.secret.overlay(vars.clone());
                    }
                    loaded.lay_over(vars, files);
                }
            }
        }
        loaded.used_a_plugin = key.is_some_and(|key| key.used_a_plugin());
        Ok(loaded)
    }
}

/// Keeps the variables that `only` names, or all where it names none, but for those that `except` names.
///
/// # Errors
///
/// `told`, which is where they come from, has no variable of a name.
pub(super) fn narrow(
    vars: &mut Vars,
    told: &str,
    only: &BTreeSet<VarName>,
    except: &BTreeSet<VarName>,
) -> Result<()> {
    if let Some(absent) = only.iter().chain(except).find(|name| vars.get(name).is_none()) {
        let known = vars.iter().map(|(name, _)| name.as_str());
        let hint = match nearest(absent.as_str(), known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "`vault list` shows the names".to_owned(),
        };
        return Err(Error::not_found(format!("{told} has no {absent}")).about(told).hint(hint));
    }
    vars.retain(|name| (only.is_empty() || only.contains(name)) && !except.contains(name));
    Ok(())
}

impl Loaded {
    /// Lays the variables of an environment over the others. `files` are those of which a program gets a path.
    pub(super) fn lay_over(&mut self, vars: Vars, files: impl IntoIterator<Item = VarName>) {
        self.files.retain(|name| vars.get(name).is_none());
        self.files.extend(files);
        self.vars.overlay(vars);
    }
}

/// Lays the variables of a dotenv file over the others.
fn read_file(path: &Path, loaded: &mut Loaded) -> Result<()> {
    const LIMIT: u64 = 8 << 20;
    let told = shown_path(path);
    let failed = |error: std::io::Error| Error::io("read", path, &error);
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut std::io::Read::take(file, LIMIT + 1), &mut bytes)
        .map_err(failed)?;
    let text = Secret::new(bytes);
    if u64::try_from(text.expose().len()).is_ok_and(|size| size > LIMIT) {
        return Err(Error::integrity(format!("{told}: larger than 8 MiB")));
    }
    let text =
        text.expose_str().ok_or_else(|| Error::integrity(format!("{told}: not UTF-8 text")))?;
    let read = honcho::read(text)
        .map_err(|wrong| Error::integrity(format!("{told}:{}: {}", wrong.line, wrong.why)))?;
    let notice = |one: &honcho::Notice| format!("{told}:{}: {}", one.line, one.why);
    loaded.notices.extend(read.notices.iter().map(notice));
    for (name, value) in read.pairs {
        match name.parse::<VarName>() {
            Ok(name) => {
                loaded.files.remove(&name);
                loaded.vars.insert(name, value);
            }
            Err(rule) => {
                loaded.notices.push(format!("{told}: `{}` is ignored: {rule}", shown(&name)));
            }
        }
    }
    Ok(())
}

/// The variables of an environment, the names of those that are files, and the rest of it.
fn decrypt(
    context: &Context,
    project: &Project,
    settings: &Settings,
    environment: &EnvName,
    key: &Key,
) -> Result<(Vars, BTreeSet<VarName>, Vault)> {
    // Whatever goes wrong here, reading all of it says what and where.
    if let Some((vault, opened)) = context.open_marked(project, environment, key)
        && let Ok((vars, files, rest)) = values(vault, &opened, settings)
    {
        context.tell_opened(&rest, &opened);
        return Ok((vars, files, rest));
    }
    let vault = project.read(environment)?;
    let opened = context.unlock(project, &vault, key, Purpose::Read);
    let opened = opened.map_err(|error| elsewhere(error, context, project, environment, key))?;
    values(vault, &opened, settings)
}

/// For an environment that nobody typed, and that the key does not open: those that it does.
fn elsewhere(
    error: Error,
    context: &Context,
    project: &Project,
    environment: &EnvName,
    key: &Key,
) -> Error {
    let Key::Identities(identities) = key else { return error };
    if error.kind() != Kind::NoAccess || !context.globals.env.is_empty() {
        return error;
    }
    let keys: Vec<PublicKey> = identities.iter().filter_map(Identity::public_key).collect();
    let opens = |name: &EnvName| project.read(name).is_ok_and(|one| one.me(&keys).is_some());
    let others = project.environments().unwrap_or_default().into_iter();
    let others: Vec<EnvName> = others.filter(|name| name != environment && opens(name)).collect();
    match others.first() {
        Some(first) => error.hint(format!("your key opens {}: add `-e {first}`", join(&others))),
        None => error,
    }
}

fn values(
    mut vault: Vault,
    opened: &Opened,
    settings: &Settings,
) -> Result<(Vars, BTreeSet<VarName>, Vault)> {
    // Names are judged before anything is decrypted.
    for name in vault.file.secrets.keys() {
        check_storable(name, settings)
            .map_err(|error| error.of_kind(Kind::Integrity).about(vault.environment()))?;
    }
    let files = vault.file_names().cloned().collect();
    Ok((vault.take_vars(opened)?, files, vault))
}
