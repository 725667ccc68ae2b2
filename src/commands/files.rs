//! File secrets on their way to a program, which gets the path of a file and not the value.

use std::collections::BTreeSet;

use super::Context;
use crate::error::{Error, Result, reason};
use crate::platform::{self, FilePlace, StepRefused};
use crate::secret::Secret;
use crate::vars::Vars;
use crate::vars::name::VarName;

impl Context {
    /// Puts paths in the place of those of `vars` that are `files`. What is there lives as long as this
    /// process, or as the command that replaces it.
    ///
    /// With `in_folder` each is a file of its own in a folder that lies in memory, else in no folder at all.
    pub(crate) fn hand_over(
        &self,
        vars: &mut Vars,
        files: &BTreeSet<VarName>,
        in_folder: bool,
    ) -> Result<()> {
        let held: Vec<&VarName> = files.iter().filter(|name| vars.get(name).is_some()).collect();
        if held.is_empty() {
            return Ok(());
        }
        let contents: Vec<(&str, &[u8])> = held
            .iter()
            .copied()
            .filter_map(|name| Some((name.as_str(), vars.get(name)?.expose())))
            .collect();
        let runtime = self.outside.runtime_folder();
        let place = if in_folder {
            FilePlace::Folder { runtime: runtime.as_deref() }
        } else {
            FilePlace::Memory
        };
        let paths = platform::hold_files(&contents, place)
            .map_err(|refused| not_held(&contents, in_folder, &refused))?;
        let paths = paths.into_iter().map(|path| path.into_os_string().into_encoded_bytes());
        for (name, path) in held.into_iter().zip(paths) {
            vars.insert(name.clone(), Secret::new(path));
        }
        Ok(())
    }
}

fn not_held(contents: &[(&str, &[u8])], in_folder: bool, refused: &StepRefused) -> Error {
    let names: Vec<&str> = contents.iter().map(|(name, _)| *name).collect();
    let error = Error::failed(format!(
        "the system refuses to keep files in memory, for {}, at the step {}: {}",
        names.join(", "),
        refused.step,
        reason(&refused.error)
    ));
    if in_folder {
        error.hint("`--file-dir` needs XDG_RUNTIME_DIR or /dev/shm on a tmpfs; leave it out where programs do without")
    } else {
        error.hint("`--file-dir` puts them into a folder on a tmpfs")
    }
}
