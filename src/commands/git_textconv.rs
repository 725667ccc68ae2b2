//! What git compares in the place of a vault file (gitattributes(5), "Performing text diffs of binary files").

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;

use super::{Context, moment};
use crate::error::{Error, Result};
use crate::format::{FILE_LIMIT, Fingerprint, VaultFile, environment_of};
use crate::vars::hex;

/// Print a vault file as lines that can be compared, as git's textconv
#[derive(Debug, Args)]
#[command(hide = true)]
pub(crate) struct GitTextconvArgs {
    /// The file
    file: PathBuf,
}

/// Runs it. What is no vault file is printed as it is: git would show nothing else.
pub(crate) fn run(args: &GitTextconvArgs, context: &Context) -> Result<()> {
    let bytes = std::fs::read(&args.file).map_err(|error| Error::io("read", &args.file, &error))?;
    let file = environment_of(&bytes).filter(|_| bytes.len() <= FILE_LIMIT);
    match file.and_then(|name| VaultFile::parse(&bytes, &name).ok()) {
        Some(file) => context.ui.out(lines(&file).as_bytes()),
        None => context.ui.out(&bytes),
    }
}

/// A line for each thing that can change. A rotation, which encrypts each value again, changes one line.
fn lines(file: &VaultFile) -> String {
    let key_id = file.unverified_key_id().map(|id| hex(&id)).unwrap_or_default();
    let mut text = format!(
        "environment {} (id {})\ndata key of {} ({key_id})\n",
        file.environment,
        hex(&file.id),
        moment(file.made)
    );
    let mut line = |words: std::fmt::Arguments<'_>| {
        // Writing to a string can't fail.
        let _ = text.write_fmt(words);
    };
    for (name, member) in &file.members {
        line(format_args!("member {name} (key {})\n", Fingerprint::of_key(&member.key)));
    }
    for entry in file.former.keys() {
        line(format_args!("removed member {} at {}\n", entry.member(), moment(entry.removed())));
    }
    for (name, key) in &file.requests {
        line(format_args!("{name} asks for access (key {})\n", Fingerprint::of_key(key)));
    }
    for (name, record) in &file.secrets {
        line(format_args!("{name} changed {}\n", moment(record.changed())));
    }
    text
}
