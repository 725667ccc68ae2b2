//! `vault man`: the manual, from the same tree as the help.

use std::path::PathBuf;

use clap::Args;
use clap_mangen::Man;

use super::Context;
use crate::error::{Error, Result};
use crate::store::file::FolderLock;
use crate::vars::name::shown;

/// Print the manual page of vault or of one of its commands
///
/// `vault man run | man -l -` shows it.
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The command, as `run` or `key new`; without one the page is about vault itself
    #[arg(value_name = "COMMAND", conflicts_with = "dir")]
    command: Vec<String>,
    /// Write every page into this folder, as packages want them
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    dir: Option<PathBuf>,
}

/// What the page about vault says beside its commands and flags, in roff (`groff_man(7)`).
const MORE: &str = r#".SH "EXIT STATUS"
.TP
0
Done.
.TP
1
The answer is no, or a failure without a status of its own.
.TP
2
The command line can't be understood.
.TP
3
An environment, a variable or a member is not there.
.TP
4
No private key, or it opens nothing here.
.TP
5
A stored or imported file is damaged, tampered with, or badly written.
.TP
125
\fBrun\fR, \fBstart\fR: vault itself failed before the command began.
.TP
126, 127
\fBrun\fR: the command was found and can't be executed; it was not found.
.PP
All other statuses of \fBrun\fR and \fBstart\fR are the command's own.
.SH ENVIRONMENT
.TP
VAULT_ENV
The environment, where \fB\-e\fR names none.
.TP
VAULT_DIR
The project's folder.
.TP
VAULT_KEY, VAULT_KEY_FILE, VAULT_KEY_COMMAND
The private key; files that hold it; a command that prints it. The first of these that is set counts.
.TP
VAULT_PASSPHRASE_FILE
A file that holds the passphrase of a private key.
.TP
VAULT_PIN
The data keys that may be used, in the place of what this machine remembers.
.TP
VAULT_EDITOR, VISUAL, EDITOR
The editor of \fBedit\fR.
.SH FILES
.TP
envs/*.toml
An encrypted environment each. They belong into git.
.TP
vault.toml
The project's settings, all of them optional.
.TP
~/.config/vault/identity
Your private key.
.TP
~/.local/state/vault/known_envs.toml
The data keys that this machine has accepted.
.SH "SEE ALSO"
.BR age (1),
.BR env (1),
.BR git (1)
"#;

/// Runs it. `tree` is that of the help.
pub(crate) fn run(args: &ManArgs, mut tree: clap::Command, context: &Context) -> Result<()> {
    tree.build();
    if let Some(folder) = &args.dir {
        std::fs::create_dir_all(folder)
            .map_err(|error| Error::io("make the folder", folder, &error))?;
        let folder = FolderLock::take(folder)?;
        return write_all(&tree, &folder);
    }
    let mut command = &tree;
    for word in &args.command {
        command = command.find_subcommand(word).ok_or_else(|| {
            Error::usage(format!("there is no command `{}`", shown(word)))
                .hint("`vault help` shows what there is")
        })?;
    }
    context.ui.out(&page(command)?)?;
    if context.ui.out_is_terminal() {
        let words = args.command.iter().map(String::as_str);
        let words: Vec<&str> = ["vault", "man"].into_iter().chain(words).collect();
        context.ui.hint(&format!("`{} | man -l -` shows it as a page", words.join(" ")));
    }
    Ok(())
}

/// The page of a command and of those below it.
fn write_all(command: &clap::Command, folder: &FolderLock) -> Result<()> {
    folder.replace(&format!("{}.1", name(command)), &page(command)?)?;
    shown_commands(command).try_for_each(|below| write_all(below, folder))
}

fn page(command: &clap::Command) -> Result<Vec<u8>> {
    let mut page = Vec::new();
    let failed = |_| Error::failed("cannot write the page");
    let version = concat!("vault ", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone()).manual("Manual of vault").source(version);
    man.title(name(command).to_uppercase()).render(&mut page).map_err(failed)?;
    if command.get_name() == "vault" {
        page.extend(MORE.as_bytes());
    }
    Ok(page)
}

/// `vault-key-new`.
fn name(command: &clap::Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

fn shown_commands(command: &clap::Command) -> impl Iterator<Item = &clap::Command> {
    command.get_subcommands().filter(|one| !one.is_hide_set() && one.get_name() != "help")
}
