//! `vault export FORMAT LOCATION` for the formats that run a Procfile.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use clap::Args;

use super::Context;
use super::export::{not_written, replace_file};
use super::start::base_port;
use super::wanted::{Item, Wanted};
use crate::cli::ui::count;
use crate::error::{Error, Result, shown_path};
use crate::process::formation::{self, Concurrency, Instance};
use crate::process::replace::this_program;
use crate::process::units::{self, Plan, UnitFile, UnitFormat};
use crate::vars::name::shown;

/// The options that only these formats have, with Honcho's letters.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of the process formats")]
pub(crate) struct UnitArgs {
    /// The app's name, if not that of its folder
    #[arg(short, long)]
    app: Option<String>,
    /// The folder of the logs, if not /var/log/APP
    #[arg(short, long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    log: Option<PathBuf>,
    /// The first port
    #[arg(short, long, value_name = "N")]
    port: Option<String>,
    /// How many processes of each type
    #[arg(short, long, value_name = "TYPE=N,TYPE=N")]
    concurrency: Option<String>,
    /// The user to run as, if not one of the app's name
    #[arg(short, long)]
    user: Option<String>,
    /// The shell that runs the commands, if not /bin/sh
    #[arg(short, long)]
    shell: Option<String>,
    /// Not supported: the formats can't be changed by templates
    #[arg(short, long, value_name = "DIR", hide = true)]
    template_dir: Option<PathBuf>,
    /// The folder to write the files of a process format into
    #[arg(value_hint = clap::ValueHint::DirPath)]
    location: Option<PathBuf>,
}

/// The shell that Honcho takes, too.
const DEFAULT_SHELL: &str = "/bin/sh";

impl UnitArgs {
    /// What was typed that a format of secrets doesn't have.
    pub(crate) fn typed(&self, context: &Context) -> Option<&'static str> {
        [
            ("LOCATION", self.location.is_some()),
            ("-a", self.app.is_some()),
            ("-l", self.log.is_some()),
            ("-p", self.port.is_some()),
            ("-c", self.concurrency.is_some()),
            ("-u", self.user.is_some()),
            ("-s", self.shell.is_some()),
            ("-f", context.globals.procfile.is_some()),
        ]
        .into_iter()
        .find_map(|(name, typed)| typed.then_some(name))
    }

    /// What Honcho has and we have not, refused with the reason whatever the format.
    pub(crate) fn refuse_templates(&self) -> Result<()> {
        if self.template_dir.is_none() {
            return Ok(());
        }
        Err(Error::usage(
            "templates are not supported: text that is put into a template is not quoted for its reader",
        )
        .hint("leave `-t` out and change the written files, or for systemd use `systemctl edit`"))
    }
}

/// Runs it.
pub(crate) fn run(format: UnitFormat, args: &UnitArgs, context: &Context) -> Result<()> {
    let name = format.name();
    let location = args.location.as_ref().ok_or_else(|| {
        Error::usage(format!("`{name}` needs the folder to write to"))
            .hint(format!("vault export {name} LOCATION"))
    })?;
    // Lines that say themselves which environment they want need none to be named.
    let wanted = context.wanted_or(|_, settings| {
        Ok(settings.default.iter().cloned().map(Item::Environment).collect())
    })?;
    let folder = absolute(&context.outside.folder.join(&wanted.home));
    let instances = instances(args, context, &wanted)?;
    let environment = environment(context, &wanted, &instances)?;
    let project = wanted.project.as_ref();
    let project = project.map(|one| absolute(&context.outside.folder.join(one.root())));
    let app = match &args.app {
        Some(app) => app.clone(),
        None => {
            folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
        }
    };
    let plan = Plan {
        app,
        log: args.log.as_ref().map(|log| context.outside.folder.join(log)),
        user: args.user.clone(),
        shell: args.shell.clone().unwrap_or_else(|| DEFAULT_SHELL.to_owned()),
        vault: this_program()?,
        environment,
        project,
        instances,
        folder,
    };
    let (files, notices) = units::write(format, &plan)?;
    put(location, &files)?;
    for notice in notices {
        context.ui.warn(&notice);
    }
    let told = shown_path(location);
    context.ui.say(&format!("{} written to `{told}`", count(files.len(), "file")));
    Ok(())
}

/// The path without `.` and `..`, which systemd refuses. A link in it stays, because a release is often
/// switched by one.
fn absolute(path: &Path) -> PathBuf {
    if path.components().any(|part| part == Component::ParentDir) {
        return path.canonicalize().unwrap_or_else(|_| path.to_owned());
    }
    path.components().collect()
}

/// The processes, as `start` counts them. Of the variables only those of dotenv files are looked at.
fn instances(args: &UnitArgs, context: &Context, wanted: &Wanted) -> Result<Vec<Instance>> {
    let vars = wanted.load_files()?.vars;
    let path = context.procfile_path(wanted, &vars);
    let procfile = Context::read_procfile(&path)?;
    for notice in procfile.notices(&path) {
        context.ui.warn(&notice);
    }
    let concurrency = Concurrency::parse(args.concurrency.as_deref().unwrap_or_default())?;
    for name in concurrency.names().filter(|name| procfile.find(name).is_none()) {
        context.ui.warn(&format!("`-c {}`: no such process type", shown(name)));
    }
    let base = base_port(args.port.as_deref(), context, &vars)?;
    formation::instances(&formation::selected(&procfile, &[])?, &concurrency, base)
}

/// Where the variables will come from. No key is needed.
///
/// # Errors
///
/// An environment that is named is not there, or none is and a line needs one: better now than when the
/// processes begin.
fn environment(
    context: &Context,
    wanted: &Wanted,
    instances: &[Instance],
) -> Result<units::Wanted> {
    let file = |path: &PathBuf| absolute(&context.outside.folder.join(path));
    let Some(project) = &wanted.project else {
        let paths: Vec<PathBuf> = wanted
            .items
            .iter()
            .filter_map(|item| if let Item::File(path) = item { Some(file(path)) } else { None })
            .collect();
        let nothing = paths.is_empty();
        return Ok(if nothing { units::Wanted::Nothing } else { units::Wanted::Files(paths) });
    };
    if wanted.items.is_empty() && !instances.iter().all(|one| units::is_wrapped(&one.command)) {
        context.environments(project, &wanted.settings)?;
    }
    let name = |item: &Item| match item {
        Item::Environment(name) => project.read(name).map(|_| name.to_string()),
        Item::File(path) => Ok(file(path).to_string_lossy().into_owned()),
    };
    wanted.items.iter().map(name).collect::<Result<_>>().map(units::Wanted::Vault)
}

/// Writes the files below `location`, which is made if it is missing. A file that is there is replaced, as
/// Honcho does; a link is not followed, neither to a file nor to a folder below.
fn put(location: &Path, files: &[UnitFile]) -> Result<()> {
    let is_other = |path: &Path, wanted: fn(&std::fs::Metadata) -> bool| {
        path.symlink_metadata().is_ok_and(|there| !wanted(&there))
    };
    // All of it is judged before anything is written.
    for file in files {
        let path = location.join(&file.path);
        if is_other(&path, std::fs::Metadata::is_file) {
            return Err(not_written(&path, "a link or no regular file"));
        }
        for folder in folders(&file.path) {
            let folder = location.join(folder);
            if is_other(&folder, std::fs::Metadata::is_dir) {
                return Err(not_written(&folder, "a link or no folder"));
            }
        }
    }
    let mut made = BTreeSet::new();
    for file in files {
        let path = location.join(&file.path);
        let folder = path.parent().unwrap_or(location);
        if made.insert(folder.to_owned()) {
            std::fs::create_dir_all(folder)
                .map_err(|error| Error::io("make the folder", folder, &error))?;
        }
        replace_file(&path, file.text.as_bytes(), Some(file.mode))?;
    }
    Ok(())
}

/// The folders that a relative path goes through.
fn folders(path: &Path) -> impl Iterator<Item = &Path> {
    path.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty())
}
