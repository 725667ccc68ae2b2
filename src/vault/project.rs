//! The folder of a project: where it is found, which environments it has, how a file in it is changed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::settings::Settings;
use super::{Key, Vault};
use crate::crypto::keys::Identity;
use crate::error::{Error, Result, shown_path};
use crate::format::{FILE_LIMIT, Fingerprint, Mark, Opened, VaultFile, conflict_marker};
use crate::store::file::{self, FolderLock, Staged};
use crate::vars::Vars;
use crate::vars::name::{EnvName, nearest, without_value};

/// The folder of the environments in a project.
pub(crate) const ENVS_FOLDER: &str = "envs";
/// The project's settings.
const SETTINGS_FILE: &str = "vault.toml";
/// The names that an app wants, in many projects.
const EXAMPLE_FILE: &str = ".env.example";
/// Both are written by hand.
const SETTINGS_LIMIT: usize = 64 << 10;

/// A folder that has a `vault.toml`, or an `envs` folder with environments.
#[derive(Debug, Clone)]
pub struct Project {
    root: PathBuf,
    /// The way to `root` from the working directory, so that messages show short paths.
    near: PathBuf,
}

impl Project {
    /// The project of the folder `start`: the nearest folder upwards that has a `vault.toml` or an
    /// `envs/*.toml`. None if there is none up to the root of the file system.
    pub fn discover(start: &Path) -> Option<Self> {
        start.ancestors().map(Self::at).find(Self::exists)
    }

    /// As [`Project::discover`] from the working directory `start`; `home` is the last folder looked at
    /// for a start below it.
    pub(crate) fn discover_from(start: &Path, home: Option<&Path>) -> Option<Self> {
        let mut near = PathBuf::new();
        // The working directory is a real path; the home folder may be given by a link.
        let home = home.map(|home| home.canonicalize().unwrap_or_else(|_| home.to_owned()));
        for folder in start.ancestors() {
            let candidate = Self { root: folder.to_owned(), near: near.clone() };
            if candidate.exists() {
                return Some(candidate);
            }
            if home.as_deref() == Some(folder) {
                return None;
            }
            near.push("..");
        }
        None
    }

    /// Refuses a project that another user laid in our way: its `vault.toml` and its environments decide
    /// what our commands see. Only for one that was found; a folder that was named is meant.
    pub(crate) fn check_owner(&self) -> Result<()> {
        let places =
            [self.near.join("."), self.near.join(ENVS_FOLDER), self.near.join(SETTINGS_FILE)];
        for place in &places {
            if file::belongs_to_another(place) {
                let told = shown_path(place);
                return Err(Error::no_access(format!(
                    "`{told}` belongs to another user, who could choose what your commands see"
                ))
                .hint("if you trust that user, name the project's folder by `-d`"));
            }
        }
        Ok(())
    }

    /// The project in exactly this folder, whether or not it has anything yet.
    pub(crate) fn at(root: &Path) -> Self {
        Self { root: root.to_owned(), near: root.to_owned() }
    }

    /// The project in the working directory `root`, whether or not it has anything yet.
    pub(crate) fn here(root: &Path) -> Self {
        Self { root: root.to_owned(), near: PathBuf::new() }
    }

    /// Whether there is anything of a vault here.
    pub(crate) fn exists(&self) -> bool {
        self.near.join(SETTINGS_FILE).exists() || self.has_environments()
    }

    /// Whether there is a file that can be meant as an environment. A folder that can't be read counts: a
    /// vault was meant here, and the search must not go on to another one above.
    fn has_environments(&self) -> bool {
        match std::fs::read_dir(self.near.join(ENVS_FOLDER)) {
            Ok(entries) => entries
                .flatten()
                .any(|entry| Path::new(&entry.file_name()).extension() == Some("toml".as_ref())),
            Err(error) => error.kind() == std::io::ErrorKind::PermissionDenied,
        }
    }

    /// The project's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The project's folder as it is reached from the working directory, for short paths.
    pub(crate) fn near(&self) -> &Path {
        &self.near
    }

    /// The names of the environments, sorted: each `envs/NAME.toml` whose NAME can be one.
    pub fn environments(&self) -> Result<Vec<EnvName>> {
        let folder = self.near.join(ENVS_FOLDER);
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::io("read the folder", &folder, &error)),
        };
        let name = |file: &str| file.strip_suffix(".toml")?.parse().ok();
        let mut names: Vec<EnvName> =
            entries.flatten().filter_map(|entry| name(entry.file_name().to_str()?)).collect();
        names.sort();
        Ok(names)
    }

    /// Decrypts an environment.
    ///
    /// # Errors
    ///
    /// There is no such environment, the identity is no member's, or the file is damaged.
    pub fn open(&self, environment: &EnvName, identity: &Identity) -> Result<Vars> {
        let vault = self.read(environment)?;
        let opened = vault.open(&Key::Identities(vec![identity.clone()]))?;
        vault.vars(&opened)
    }

    /// Where the file of an environment lies, or would lie.
    pub(crate) fn path(&self, environment: &EnvName) -> PathBuf {
        self.near.join(ENVS_FOLDER).join(format!("{environment}.toml"))
    }

    /// The environment that is called so, if there is one.
    pub(crate) fn called(&self, word: &str) -> Option<EnvName> {
        word.parse().ok().filter(|name| self.path(name).is_file())
    }

    /// Reads an environment. Nothing of it is authenticated yet.
    pub(crate) fn read(&self, environment: &EnvName) -> Result<Vault> {
        self.find(environment)?.ok_or_else(|| self.unknown(environment.as_str()))
    }

    /// Reads an environment if it is there.
    pub(crate) fn find(&self, environment: &EnvName) -> Result<Option<Vault>> {
        let path = self.path(environment);
        let bytes = self.bytes(&path).map_err(|error| error.about(environment))?;
        bytes.map(|bytes| Vault::parse(&path, environment, &bytes)).transpose()
    }

    /// Reads and opens an environment whose members this machine has checked before (see
    /// [`VaultFile::open_marked`]).
    pub(crate) fn open_marked(
        &self,
        environment: &EnvName,
        key: &Key,
        kept: impl FnOnce(&[u8; 16], &Fingerprint) -> Option<Mark>,
    ) -> Option<(Vault, Opened)> {
        let Key::Identities(identities) = key else { return None };
        let path = self.path(environment);
        let bytes = self.bytes(&path).ok()??;
        let (file, opened) = VaultFile::open_marked(&bytes, environment, identities, kept)?;
        Some((Vault { path, file }, opened))
    }

    fn bytes(&self, path: &Path) -> Result<Option<Vec<u8>>> {
        file::read(path, &self.root, FILE_LIMIT)
    }

    /// Whether git has left two versions of an environment in its file.
    pub(crate) fn is_torn(&self, environment: &EnvName) -> bool {
        let read = self.bytes(&self.path(environment));
        read.ok().flatten().is_some_and(|bytes| conflict_marker(&bytes).is_some())
    }

    /// The error for an environment that isn't there: with the near name, or all of them.
    pub(crate) fn unknown(&self, name: &str) -> Error {
        let known = self.environments().unwrap_or_default();
        // With a `=` in it, it is `-e` and a value that belongs to a name: `set NAME -evalue=x`.
        let told = without_value(name);
        let error = Error::not_found(format!("there is no environment `{told}`")).about(told);
        if known.is_empty() {
            return error.hint("make one with `vault init`");
        }
        match nearest(name, known.iter().map(EnvName::as_str)) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint(format!("the environments are {}", join(&known))),
        }
    }

    /// What `vault.toml` says, or nothing if there is none. Without its `[required]`, the names of
    /// `.env.example` are required.
    pub(crate) fn settings(&self) -> Result<Settings> {
        let read = |path: &Path| file::read(path, &self.root, SETTINGS_LIMIT);
        let path = self.near.join(SETTINGS_FILE);
        let mut settings = match read(&path)? {
            Some(bytes) => Settings::parse(&bytes, &path)?,
            None => Settings::default(),
        };
        if !settings.has_required
            && let Some(text) = read(&self.near.join(EXAMPLE_FILE))?
        {
            settings.require_example(&text);
        }
        Ok(settings)
    }

    /// Changes an environment under the lock of its folder: reads it, has `change` change it, and
    /// replaces the file if its text became another.
    ///
    /// `drop_comments` allows comments and odd requests of other programs to be lost.
    pub(crate) fn change<T>(
        &self,
        environment: &EnvName,
        drop_comments: bool,
        change: impl FnOnce(&mut Vault) -> Result<T>,
    ) -> Result<T> {
        let mut change = Some(change);
        let once = |vault: &mut Vault| match change.take() {
            Some(change) => change(vault),
            None => Err(Error::failed("an environment is changed once")),
        };
        let mut changed =
            self.change_all(std::slice::from_ref(environment), drop_comments, once, |_, _| ())?;
        changed.pop().ok_or_else(|| self.unknown(environment.as_str()))
    }

    /// Changes several environments as [`Project::change`] changes one: everything that can fail is done
    /// before the first file is replaced. `wrote` hears of each one that is in place.
    ///
    /// # Errors
    ///
    /// Where replacing fails in the middle, the message says which ones are done. The same change again
    /// finishes the rest, if `change` leaves alone what is done.
    pub(crate) fn change_all<T>(
        &self,
        environments: &[EnvName],
        drop_comments: bool,
        mut change: impl FnMut(&mut Vault) -> Result<T>,
        mut wrote: impl FnMut(&Vault, &T),
    ) -> Result<Vec<T>> {
        // Before the lock, so that a misspelled name is told as such.
        let paths: Vec<PathBuf> = environments
            .iter()
            .map(|name| file::resolve(&self.read(name)?.path, &self.root))
            .collect::<Result<_>>()?;
        let locks = locks(&paths)?;
        let mut vaults = Vec::new();
        let mut staged = Vec::new();
        let mut losses = Vec::new();
        for (environment, path) in environments.iter().zip(&paths) {
            let bytes = self.bytes(path)?.ok_or_else(|| self.unknown(environment.as_str()))?;
            let mut vault = Vault::parse(&self.path(environment), environment, &bytes)?;
            let before = vault.text()?;
            let result = change(&mut vault)?;
            let after = vault.text()?;
            if after != before {
                losses.extend(vault.losses());
                staged.push((vaults.len(), after));
            }
            vaults.push((vault, result));
        }
        if !drop_comments {
            refuse(&losses)?;
        }
        let beside = staged
            .into_iter()
            .map(|(index, text)| {
                let path = paths.get(index).map_or(Path::new(""), PathBuf::as_path);
                let (folder, name) = folder_and_name(path)?;
                let lock = locks.get(&real(folder)).ok_or_else(|| {
                    Error::failed(format!("the folder `{}` is not locked", shown_path(folder)))
                })?;
                Ok((index, lock.stage(name, text.as_bytes())?))
            })
            .collect::<Result<Vec<_>>>()?;
        put_in_place(beside, &vaults, &mut wrote)?;
        for lock in locks.values() {
            lock.sync()?;
        }
        Ok(vaults.into_iter().map(|(_, result)| result).collect())
    }

    /// Puts an environment in the place of whatever lies there, be it readable or not.
    pub(crate) fn put(&self, vault: &Vault) -> Result<()> {
        let path = file::resolve(&vault.path, &self.root)?;
        let (folder, name) = folder_and_name(&path)?;
        FolderLock::take(folder)?.replace(name, vault.text()?.as_bytes())
    }

    /// Writes a new environment. The `envs` folder is made if it isn't there.
    ///
    /// # Errors
    ///
    /// The environment is there already.
    pub(crate) fn create(&self, vault: &Vault) -> Result<()> {
        let environment = vault.environment();
        let folder = self.near.join(ENVS_FOLDER);
        std::fs::create_dir_all(&folder)
            .map_err(|error| Error::io("make the folder", &folder, &error))?;
        let path = file::resolve(&vault.path, &self.root)?;
        let lock = FolderLock::take(&folder)?;
        if std::fs::symlink_metadata(&path).is_ok() {
            return Err(Error::failed(format!("`{}` is there already", shown_path(&vault.path)))
                .about(environment));
        }
        lock.replace(folder_and_name(&path)?.1, vault.text()?.as_bytes())
    }
}

/// Puts each file in its place, and tells `wrote` of it.
fn put_in_place<T>(
    staged: Vec<(usize, Staged)>,
    vaults: &[(Vault, T)],
    wrote: &mut impl FnMut(&Vault, &T),
) -> Result<()> {
    let mut done = Vec::new();
    let count = staged.len();
    for (index, file) in staged {
        let Some((vault, result)) = vaults.get(index) else { continue };
        if let Err(error) = file.put_in_place() {
            if count == 1 {
                return Err(error);
            }
            let told = if done.is_empty() { "none".to_owned() } else { join(&done) };
            let message = format!("{error}; changed so far: {told}");
            return Err(Error::new(error.kind(), message)
                .about(vault.environment())
                .hint("run the same command again: it finishes the rest"));
        }
        done.push(vault.environment().clone());
        wrote(vault, result);
    }
    Ok(())
}

/// The locks of the folders of these files, each once whatever path leads to it, and taken in one order by
/// everybody.
fn locks(paths: &[PathBuf]) -> Result<BTreeMap<PathBuf, FolderLock>> {
    let mut folders = BTreeMap::new();
    for path in paths {
        let (folder, _) = folder_and_name(path)?;
        folders.entry(real(folder)).or_insert(folder);
    }
    folders.into_iter().map(|(real, folder)| Ok((real, FolderLock::take(folder)?))).collect()
}

fn real(folder: &Path) -> PathBuf {
    folder.canonicalize().unwrap_or_else(|_| folder.to_owned())
}

/// Refuses to lose what others wrote into a file.
pub(crate) fn refuse(losses: &[String]) -> Result<()> {
    if losses.is_empty() {
        return Ok(());
    }
    let messages = losses.iter().map(|loss| format!("{loss} would not be kept")).collect();
    Err(Error::several(crate::error::Kind::Failed, messages).hint("add `-y` to drop them"))
}

fn folder_and_name(path: &Path) -> Result<(&Path, &str)> {
    let folder = path.parent();
    let name = path.file_name().and_then(|name| name.to_str());
    folder
        .zip(name)
        .ok_or_else(|| Error::failed(format!("`{}` has no folder to write in", shown_path(path))))
}

/// Names in one line.
pub(crate) fn join(names: &[EnvName]) -> String {
    names.iter().map(EnvName::as_str).collect::<Vec<_>>().join(", ")
}
