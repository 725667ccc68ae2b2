//! The repository that a project lies in: questions about its commits, from the project's folder.

use std::ffi::OsStr;

use super::Context;
use crate::error::{Error, Result};
use crate::format::{FILE_LIMIT, VaultFile};
use crate::process::Surroundings;
use crate::process::git::{Object, Objects, git, git_output, git_status};
use crate::vars::name::{EnvName, shown};
use crate::vault::{ENVS_FOLDER, Project};

/// What stands under the name of an environment in a commit.
pub(super) enum Version {
    /// Nothing.
    Missing,
    /// Something that is no vault file, or not one of this environment.
    Unreadable,
    /// Its file.
    File(VaultFile),
}

impl Version {
    /// What git has under this name of an object.
    pub(super) fn read(objects: &mut Objects, object: &str, name: &EnvName) -> Result<Self> {
        Ok(match objects.object(object, FILE_LIMIT)? {
            Object::Missing => Self::Missing,
            Object::Blob(bytes) => {
                VaultFile::parse(&bytes, name).map_or(Self::Unreadable, Self::File)
            }
            Object::Large | Object::Other => Self::Unreadable,
        })
    }

    /// The file, where there is one.
    pub(super) fn file(&self) -> Option<&VaultFile> {
        match self {
            Self::File(file) => Some(file),
            Self::Missing | Self::Unreadable => None,
        }
    }
}

/// git, asked in the folder of a project.
pub(super) struct Repository<'a> {
    pub(super) around: Surroundings<'a>,
}

impl<'a> Repository<'a> {
    pub(super) fn of(project: &'a Project, context: &'a Context) -> Self {
        let environment = &context.outside.environment;
        Self { around: Surroundings { folder: project.root(), environment } }
    }

    /// What git says, without the line end. None where it says nothing, fails, or isn't there.
    pub(super) fn ask(&self, words: &[&str]) -> Option<String> {
        git(&as_words(words), &self.around)
    }

    /// All that git prints.
    pub(super) fn output(&self, words: &[&str]) -> Result<Vec<u8>> {
        git_output(&as_words(words), &self.around)
    }

    /// Whether git does it.
    pub(super) fn does(&self, words: &[&str]) -> bool {
        git_status(&as_words(words), &self.around) == Some(0)
    }

    pub(super) fn objects(&self) -> Result<Objects> {
        Objects::start(&self.around)
    }

    /// The id of a commit, however it is named.
    pub(super) fn commit(&self, rev: &str) -> Result<String> {
        let commit = format!("{rev}^{{commit}}");
        let id = self.ask(&["rev-parse", "--verify", "-q", "--end-of-options", &commit]);
        id.ok_or_else(|| {
            Error::not_found(format!("git has no commit `{}`", shown(rev))).hint(
                "fetch it first; a clone that is shallow lacks what is behind its first commit",
            )
        })
    }

    /// The way from the top of the work tree to the project: empty, or with a slash at its end.
    pub(super) fn prefix(&self) -> String {
        self.ask(&["rev-parse", "--show-prefix"]).unwrap_or_default()
    }
}

/// The file of an environment as git calls it, which has slashes on every system.
pub(super) fn path_of(environment: &EnvName) -> String {
    format!("{ENVS_FOLDER}/{environment}.toml")
}

/// The environment of such a path.
pub(super) fn environment_of_path(path: &[u8]) -> Option<EnvName> {
    let name = std::str::from_utf8(path).ok()?.strip_prefix(ENVS_FOLDER)?.strip_prefix('/')?;
    name.strip_suffix(".toml")?.parse().ok()
}

fn as_words<'w>(words: &[&'w str]) -> Vec<&'w OsStr> {
    words.iter().map(|word| OsStr::new(*word)).collect()
}
