//! The merge driver that git calls (gitattributes(5), "Defining a custom merge driver").

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap::Args;

use super::merging::{Texts, Versions, settle, told};
use super::{Context, now};
use crate::crypto;
use crate::error::{Error, Kind, Result, shown_path};
use crate::process::git::git_status;
use crate::secret::Secret;
use crate::vars::hex;
use crate::vars::name::EnvName;
use crate::vault::Project;
use crate::vault::merge::{Choice, Choices, Conflict, Merge};

/// Merge three versions of an environment, as git's merge driver
#[derive(Debug, Args)]
#[command(hide = true)]
pub(crate) struct GitMergeArgs {
    /// The common ancestor (%O)
    base: PathBuf,
    /// Our version, and where the result goes (%A)
    ours: PathBuf,
    /// Their version (%B)
    theirs: PathBuf,
    /// Where the file lies in the repository (%P)
    path: PathBuf,
    /// Merge two common ancestors, of which git makes one (criss-cross merges)
    #[arg(long)]
    ancestors: bool,
}

/// Runs it. A status that is not 0 tells git that there is a conflict.
pub(crate) fn run(args: &GitMergeArgs, context: &Context) -> Result<()> {
    let merged = merged(args, context);
    if merged.is_err() {
        mark(args, context)?;
    }
    merged
}

fn merged(args: &GitMergeArgs, context: &Context) -> Result<()> {
    let read = |path: &Path| std::fs::read(path).map_err(|error| Error::io("read", path, &error));
    // git gives an empty file where there is no ancestor.
    let base = Some(read(&args.base)?).filter(|text| !text.is_empty());
    let texts = Texts {
        path: args.path.clone(),
        base,
        ours: read(&args.ours)?,
        theirs: read(&args.theirs)?,
    };
    let project = project_of(&args.path, context);
    let versions = match Versions::open(&texts, &project, context, None) {
        Err(error) if error.kind() == Kind::NoAccess => {
            let vault = texts.merged_without_a_key().ok_or(error)?;
            return overwrite(&args.ours, vault.text()?.as_bytes());
        }
        opened => opened?,
    };
    let merge = versions.merge();
    let conflicts = merge.conflicts()?;
    let choices = match undecided(&conflicts).filter(|_| args.ancestors) {
        Some(choices) => choices,
        None if conflicts.is_empty() => Choices::default(),
        None => return Err(refused(&conflicts, &merge, args, versions.environment())),
    };
    let mut outcome = merge.finish(choices, now(), &context.plugins())?;
    outcome.vault.path.clone_from(&args.path);
    overwrite(&args.ours, outcome.vault.text()?.as_bytes())?;
    settle(&outcome, &args.path, &project, context)
}

/// A value that is in conflict between two ancestors is in neither side's favour: both have decided it since, and are
/// asked if they have decided it in different ways. So it gets one that neither has. None where something else is in
/// conflict.
fn undecided(conflicts: &[Conflict]) -> Option<Choices> {
    let nobodys = |conflict: &Conflict| match conflict {
        Conflict::Value { name, .. } => {
            Some((name.clone(), Choice::New(Secret::from(hex(&crypto::random::<32>())))))
        }
        Conflict::Member { .. } => None,
    };
    let values = conflicts.iter().map(nobodys).collect::<Option<_>>()?;
    Some(Choices { values, ..Choices::default() })
}

fn refused(
    conflicts: &[Conflict],
    merge: &Merge<'_>,
    args: &GitMergeArgs,
    environment: &EnvName,
) -> Error {
    let file = shown_path(&args.path);
    let messages = conflicts.iter().map(|one| format!("{file}: {}", told(one, merge))).collect();
    Error::several(Kind::Failed, messages).about(environment).hint("`vault resolve` asks for each")
}

/// git's own temporary file, of which there is one copy alone.
fn overwrite(path: &Path, bytes: &[u8]) -> Result<()> {
    use std::io::Write as _;
    let failed = |error: std::io::Error| Error::io("write", path, &error);
    let mut file =
        std::fs::File::options().write(true).truncate(true).open(path).map_err(failed)?;
    file.write_all(bytes).map_err(failed)
}

/// The project whose folder `envs` the file is in. git calls us at the top of the work tree.
fn project_of(path: &Path, context: &Context) -> Project {
    let root = path.parent().and_then(Path::parent).unwrap_or(Path::new(""));
    if root.as_os_str().is_empty() {
        Project::here(&context.outside.folder)
    } else {
        Project::at(root)
    }
}

/// Leaves both versions between git's markers: a file that looks whole would be committed.
fn mark(args: &GitMergeArgs, context: &Context) -> Result<()> {
    let read = |path: &Path| std::fs::read(path).map_err(|error| Error::io("read", path, &error));
    let (ours, theirs) = (read(&args.ours)?, read(&args.theirs)?);
    let words = ["merge-file", "-q", "-L", "ours", "-L", "base", "-L", "theirs", "--"];
    let mut words: Vec<&OsStr> = words.iter().map(OsStr::new).collect();
    words.extend([args.ours.as_os_str(), args.base.as_os_str(), args.theirs.as_os_str()]);
    // From 1 to 127 it is how many conflicts git has marked (git-merge-file(1)). Otherwise it went well as text, or
    // git can't merge it as text, and it is a conflict all the same.
    if !matches!(git_status(&words, &context.surroundings()), Some(1..=127)) {
        let end = |text: &[u8]| if text.ends_with(b"\n") { "" } else { "\n" };
        let mut whole = b"<<<<<<< ours\n".to_vec();
        whole.extend([&ours, end(&ours).as_bytes(), b"=======\n"].concat());
        whole.extend([&theirs, end(&theirs).as_bytes(), b">>>>>>> theirs\n"].concat());
        overwrite(&args.ours, &whole)?;
    }
    Ok(())
}
