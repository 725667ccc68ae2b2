//! What comes from outside: the process's environment, read once. No other place looks at it.
#![expect(clippy::disallowed_methods, reason = "the one reader of the process's environment")]

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// The process's environment and working directory, as they were at the start.
#[derive(Debug, Clone)]
pub(crate) struct Outside {
    /// Every variable, as the parent passed it.
    pub(crate) environment: Vec<(OsString, OsString)>,
    /// The working directory.
    pub(crate) folder: PathBuf,
}

impl Outside {
    /// Reads them.
    pub(crate) fn read() -> Self {
        // A folder that was deleted has no path. It is still the working directory.
        let folder = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
        Self { environment: std::env::vars_os().collect(), folder }
    }

    /// A variable; an empty one counts as unset.
    pub(crate) fn get(&self, name: &str) -> Option<&OsStr> {
        let found = self.environment.iter().find(|(key, _)| key == name)?;
        Some(found.1.as_os_str()).filter(|value| !value.is_empty())
    }

    /// A variable as text. What isn't UTF-8 in it is replaced, so that no key or name fits it: it doesn't
    /// count as unset, which would let another setting hold.
    pub(crate) fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        self.get(name).map(OsStr::to_string_lossy)
    }

    /// A variable as a list of paths, separated as in PATH; empty ones are left out.
    pub(crate) fn paths(&self, name: &str) -> Vec<PathBuf> {
        let split = self.get(name).map(std::env::split_paths);
        split.into_iter().flatten().filter(|path| !path.as_os_str().is_empty()).collect()
    }

    /// The home folder.
    pub(crate) fn home(&self) -> Option<PathBuf> {
        self.get("HOME").map(PathBuf::from).or_else(std::env::home_dir)
    }

    /// Our folder for configuration: `$XDG_CONFIG_HOME/vault`, else `~/.config/vault`, on every system.
    pub(crate) fn config_folder(&self) -> Option<PathBuf> {
        let given = self.xdg_folder("XDG_CONFIG_HOME");
        given.or_else(|| Some(self.home()?.join(".config"))).map(|folder| folder.join("vault"))
    }

    /// Our folder for what is remembered: `$XDG_STATE_HOME/vault`, else `~/.local/state/vault`.
    pub(crate) fn state_folder(&self) -> Option<PathBuf> {
        let given = self.xdg_folder("XDG_STATE_HOME");
        given.or_else(|| Some(self.home()?.join(".local/state"))).map(|folder| folder.join("vault"))
    }

    /// The folder for what lives as long as the login: `$XDG_RUNTIME_DIR`.
    pub(crate) fn runtime_folder(&self) -> Option<PathBuf> {
        self.xdg_folder("XDG_RUNTIME_DIR")
    }

    /// A relative path counts as unset (XDG Base Directory Specification).
    fn xdg_folder(&self, name: &str) -> Option<PathBuf> {
        self.get(name).map(PathBuf::from).filter(|path| path.is_absolute())
    }
}
