//! The face: what can be typed, where it goes, and how the program ends.

pub(crate) mod editor;
pub(crate) mod prompt;
mod report;
pub(crate) mod settings;
pub(crate) mod ui;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use self::settings::Outside;
use self::ui::{ColorChoice, Ui};
use crate::commands::{self, Context, Globals, completions};
use crate::error::{Error, Result};
use crate::platform;
use crate::vars::name::{EnvName, without_value};

/// Encrypted, per-environment secrets for twelve-factor apps, kept in git
#[derive(Debug, Parser)]
#[command(name = "vault", version, args_override_self = true, disable_help_subcommand = false)]
#[command(subcommand_required = true, arg_required_else_help = true, max_term_width = 100)]
#[command(
    after_help = "Start with `vault init`, then `vault set -e development NAME`, then `vault run -e development -- CMD`."
)]
struct Cli {
    #[command(flatten)]
    globals: GlobalArgs,
    #[command(subcommand)]
    command: Command,
}

#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Global options")]
struct GlobalArgs {
    /// The project's folder, if not the nearest one upwards
    #[arg(short = 'd', short_alias = 'C', long, global = true, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    app_root: Option<PathBuf>,
    /// The environment; where several make sense, separated by commas, later ones winning
    #[arg(short, long, global = true, value_name = "ENV", action = clap::ArgAction::Append, add = completions::environment_names())]
    env: Vec<String>,
    /// The Procfile, if not the one in the project's folder
    #[arg(short = 'f', long, global = true, value_name = "FILE")]
    procfile: Option<PathBuf>,
    /// Open with the recovery passphrase (with `init`: make a recovery key)
    #[arg(long, global = true, hide_short_help = true)]
    recovery: bool,
    /// Read an environment under a data key that was replaced since, this once
    #[arg(long, global = true, hide_short_help = true)]
    old_key: bool,
    /// When to colour what goes to the terminal
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "WHEN",
        default_value = "auto",
        overrides_with = "no_color",
        hide_short_help = true
    )]
    color: ColorChoice,
    /// The same as --color never
    #[arg(long, global = true, alias = "no-colour", hide = true, overrides_with = "color")]
    no_color: bool,
    /// The flag of `start`, where Honcho takes it too: before the word
    #[arg(long, hide = true)]
    no_prefix: bool,
    /// Say more about what is done
    #[arg(short, long, global = true, hide_short_help = true)]
    verbose: bool,
    /// Print data, and errors, as JSON
    #[arg(long, global = true)]
    json: bool,
    /// Answer yes to questions
    #[arg(short, long, global = true)]
    yes: bool,
}

#[derive(Debug, Subcommand)]
#[command(defer = true)]
enum Command {
    Init(commands::init::InitArgs),
    Set(commands::set::SetArgs),
    Get(commands::get::GetArgs),
    Unset(commands::unset::UnsetArgs),
    Edit(commands::edit::EditArgs),
    #[command(visible_alias = "ls")]
    List(commands::list::ListArgs),
    Log(commands::log::LogArgs),
    Run(commands::run::RunArgs),
    Start(commands::start::StartArgs),
    Check(commands::check::CheckArgs),
    Diff(commands::diff::DiffArgs),
    Scan(commands::scan::ScanArgs),
    Doctor(commands::doctor::DoctorArgs),
    Ps(commands::control::PsArgs),
    Stop(commands::control::StopArgs),
    Restart(commands::control::RestartArgs),
    Import(commands::import::ImportArgs),
    Export(Box<commands::export::ExportArgs>),
    Status(commands::status::StatusArgs),
    Members(commands::members::MembersArgs),
    Request(commands::request::RequestArgs),
    Grant(commands::grant::GrantArgs),
    Revoke(commands::revoke::RevokeArgs),
    Rotate(commands::rotate::RotateArgs),
    Trust(commands::trust::TrustArgs),
    Key(commands::key::KeyArgs),
    Resolve(commands::resolve::ResolveArgs),
    GitSetup(commands::git_setup::GitSetupArgs),
    GitMerge(commands::git_merge::GitMergeArgs),
    GitTextconv(commands::git_textconv::GitTextconvArgs),
    Completions(completions::CompletionsArgs),
    Man(commands::man::ManArgs),
    /// Print the version
    Version,
    /// What `vault` alone does
    #[command(skip)]
    Overview,
}

/// The whole program. Its result is the exit status.
pub fn main() -> ExitCode {
    if let Some(status) = platform::hold_if_asked() {
        return status;
    }
    // Before any secret is in memory.
    platform::harden();
    report::tell_panics_without_their_words();
    // Dropped last, and in a panic as well.
    let _wiped = platform::WipedStack;
    // It makes plugins print file keys; what is run still gets it, from the copy that is read next.
    let outside = Outside::read();
    platform::forget_variable("AGEDEBUG");
    let arguments: Vec<OsString> = std::env::args_os().collect();
    ExitCode::from(start(&arguments, outside))
}

/// In a frame of its own, below the one that wipes the stack.
#[inline(never)]
fn start(arguments: &[OsString], outside: Outside) -> u8 {
    if outside.get(completions::VARIABLE).is_some() {
        return complete(arguments, &outside);
    }
    let Some(cli) = understood(arguments) else { return not_understood(arguments, &outside) };
    let color = cli.globals.color();
    let GlobalArgs {
        app_root,
        env,
        procfile,
        recovery,
        old_key,
        no_prefix,
        verbose,
        json,
        yes,
        ..
    } = cli.globals;
    let ui = Ui::new(color, verbose, json, &outside);
    let context = Context {
        outside,
        ui,
        globals: Globals { app_root, env, procfile, recovery, old_key, no_prefix, yes },
        told: std::cell::RefCell::default(),
    };
    let of_run = matches!(cli.command, Command::Run(_));
    match dispatch(&cli.command, &context) {
        Ok(status) => status,
        Err(error) => {
            report::tell(&error, &context.ui);
            report::status(&error, of_run)
        }
    }
}

fn dispatch(command: &Command, context: &Context) -> Result<u8> {
    match command {
        Command::Run(args) => return commands::run::run(args, context),
        Command::Start(args) => return commands::start::run(args, context),
        Command::Check(args) => return commands::check::run(args, context),
        Command::Diff(args) => return commands::diff::run(args, context),
        Command::Scan(args) => return commands::scan::run(args, context),
        Command::Doctor(args) => return commands::doctor::run(args, context),
        Command::Ps(args) => commands::control::ps(args, context),
        Command::Stop(args) => commands::control::stop(args, context),
        Command::Restart(args) => commands::control::restart(args, context),
        Command::Init(args) => commands::init::run(args, context),
        Command::Set(args) => commands::set::run(args, context),
        Command::Get(args) => commands::get::run(args, context),
        Command::Unset(args) => commands::unset::run(args, context),
        Command::List(args) => commands::list::run(args, context),
        Command::Log(args) => commands::log::run(args, context),
        Command::Import(args) => commands::import::run(args, context),
        Command::Export(args) => commands::export::run(args, context),
        Command::Edit(args) => commands::edit::run(args, context),
        Command::Status(args) => commands::status::run(args, context),
        Command::Members(args) => commands::members::run(args, context),
        Command::Request(args) => commands::request::run(args, context),
        Command::Grant(args) => commands::grant::run(args, context),
        Command::Revoke(args) => commands::revoke::run(args, context),
        Command::Rotate(args) => commands::rotate::run(args, context),
        Command::Trust(args) => commands::trust::run(args, context),
        Command::Key(args) => commands::key::run(args, context),
        Command::Resolve(args) => commands::resolve::run(args, context),
        Command::GitSetup(args) => commands::git_setup::run(args, context),
        Command::GitMerge(args) => commands::git_merge::run(args, context),
        Command::GitTextconv(args) => commands::git_textconv::run(args, context),
        Command::Overview => commands::overview::run(context),
        Command::Completions(args) => completions::run(args, context),
        Command::Man(args) => commands::man::run(args, Cli::command(), context),
        Command::Version => {
            context.ui.out(format!("vault {}\n", env!("CARGO_PKG_VERSION")).as_bytes())
        }
    }?;
    Ok(report::DONE)
}

fn understood(arguments: &[OsString]) -> Option<Cli> {
    if arguments.len() == 1 {
        return Some(Cli { globals: GlobalArgs::default(), command: Command::Overview });
    }
    plain_run(arguments).or_else(|| Cli::try_parse_from(arguments).ok())
}

/// A run in its plainest form, `vault run [-e LIST] [--] CMD…`. It is what people wait for, and clap makes
/// every command of a parser before it reads a word. Any other form is clap's; a test holds the two together.
fn plain_run(arguments: &[OsString]) -> Option<Cli> {
    let (word, mut rest) = arguments.get(1..)?.split_first()?;
    if word != "run" {
        return None;
    }
    let mut globals = GlobalArgs::default();
    if let [flag, list, behind @ ..] = rest
        && (flag == "-e" || flag == "--env")
    {
        globals.env.push(list.to_str().filter(|list| !list.starts_with('-'))?.to_owned());
        rest = behind;
    }
    let command = match rest {
        [dashes, command @ ..] if dashes == "--" => command,
        command => command,
    };
    let is_flag = |word: &OsString| word.as_encoded_bytes().starts_with(b"-");
    if command.is_empty() || (command == rest && is_flag(command.first()?)) {
        return None;
    }
    let args = commands::run::RunArgs::of(command);
    Some(Cli { globals, command: Command::Run(args) })
}

fn complete(arguments: &[OsString], outside: &Outside) -> u8 {
    let completed = clap_complete::CompleteEnv::with_factory(Cli::command)
        .var(completions::VARIABLE)
        .try_complete(arguments.iter(), Some(&outside.folder));
    if completed.is_ok() { report::DONE } else { report::FAILED }
}

/// Help and version go to stdout with status 0. A mistake goes to stderr: 125 for `run`, else 2.
fn not_understood(arguments: &[OsString], outside: &Outside) -> u8 {
    // Once more with every subcommand's arguments known: help and suggestions need them, a run doesn't.
    let mut command = Cli::command();
    command.build();
    let Err(error) = command.try_get_matches_from_mut(arguments) else { return report::USAGE };
    let wants_help = !error.use_stderr() && !is_value_of_set(arguments);
    if wants_help || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        // A reader that closed its end has what it wants.
        drop(error.print());
        return if error.use_stderr() { report::USAGE } else { report::DONE };
    }
    // And leniently, to know the command and how to answer.
    let lenient = Cli::command().ignore_errors(true).try_get_matches_from(arguments).ok();
    let globals = lenient.as_ref().and_then(|matches| GlobalArgs::from_arg_matches(matches).ok());
    let color = globals.as_ref().map(GlobalArgs::color).unwrap_or_default();
    let json = arguments.iter().take_while(|word| *word != "--").any(|word| word == "--json");
    let ui = Ui::new(color, false, json, outside);
    let subcommand = lenient.as_ref().and_then(|matches| matches.subcommand_name());
    let told = if error.use_stderr() {
        not_a_command(&error).unwrap_or_else(|| from_clap(&error, subcommand))
    } else {
        no_flag_of_set()
    };
    report::tell(&told, &ui);
    report::status(&told, subcommand == Some("run"))
}

/// Whether clap has taken the `h` of a value for the flag, as in `vault set NAME -hunter2`.
fn is_value_of_set(arguments: &[OsString]) -> bool {
    let mut words = arguments.iter().filter_map(|word| word.to_str());
    let is_flag = |word: &str| ["-h", "--help", "help", "-V", "--version"].contains(&word);
    words.clone().any(|word| word == "set") && !words.any(is_flag)
}

/// What stands there is probably a value, so it isn't shown.
fn no_flag_of_set() -> Error {
    Error::usage("a word that begins with `-` is no flag of `set`")
        .hint("`vault set NAME` asks for a value, or reads it from stdin")
}

impl GlobalArgs {
    fn color(&self) -> ColorChoice {
        if self.no_color { ColorChoice::Never } else { self.color }
    }
}

/// The mistake that clap found, in our form: its first line, and its suggestion or the usage as a hint.
fn from_clap(error: &clap::Error, subcommand: Option<&str>) -> Error {
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    let mut message =
        first.strip_prefix("error: ").unwrap_or(first).trim_end_matches(':').replace('\'', "`");
    if error.kind() == ErrorKind::MissingRequiredArgument && subcommand == Some("run") {
        return Error::usage("there is no command to run").hint("vault run -e ENV -- CMD");
    }
    if error.kind() == ErrorKind::MissingRequiredArgument {
        let missing: Vec<&str> =
            text.lines().skip(1).map(str::trim).take_while(|line| !line.is_empty()).collect();
        message = format!("{message}: {}", missing.join(" "));
    }
    let told = Error::usage(crate::vars::name::shown(&message));
    let suggested =
        [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg, ContextKind::SuggestedValue]
            .into_iter()
            .find_map(|kind| nearest(error.get(kind)?));
    let found = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(word)) => word.as_str(),
        _ => "",
    };
    match (suggested, subcommand) {
        (near, Some("set")) if found.starts_with('-') => match near {
            Some(near) => no_flag_of_set().hint(format!("did you mean `{near}`?")),
            None => no_flag_of_set(),
        },
        (Some(near), _) => told.hint(format!("did you mean `{near}`?")),
        (None, Some("run")) => told.hint("put `--` before the command: vault run [OPTIONS] -- CMD"),
        (None, Some("get")) if !found.starts_with('-') => {
            told.hint("an environment is named by `-e`: vault get -e ENV NAME")
        }
        (None, Some(_)) if found.parse::<EnvName>().is_ok() => {
            told.hint(format!("if that is an environment, name it by `-e {found}`"))
        }
        (None, Some(subcommand)) => {
            told.hint(format!("`vault help {subcommand}` shows what it takes"))
        }
        (None, None) => told.hint("`vault help` shows what there is"),
    }
}

/// The nearest of what clap suggests: it puts that last.
fn nearest(suggested: &ContextValue) -> Option<String> {
    match suggested {
        ContextValue::String(name) => Some(name.clone()),
        ContextValue::Strings(names) => names.last().cloned(),
        _ => None,
    }
}

/// A word that is no command here: a pair of name and value, or a word of another program.
fn not_a_command(error: &clap::Error) -> Option<Error> {
    if error.kind() != ErrorKind::InvalidSubcommand {
        return None;
    }
    let Some(ContextValue::String(typed)) = error.get(ContextKind::InvalidSubcommand) else {
        return None;
    };
    if typed.contains('=') {
        let told = format!("unrecognized subcommand `{}`", without_value(typed));
        return Some(Error::usage(told).hint("perhaps you want `vault set NAME=VALUE`"));
    }
    let meant = |words: &[(&str, &'static str)]| {
        words.iter().find(|(word, _)| word == typed).map(|(_, meant)| *meant)
    };
    let (told, meant) = match meant(&OF_HASHICORP) {
        Some(meant) => (format!("this is not HashiCorp Vault, and has no `{typed}`"), meant),
        None => (format!("unrecognized subcommand `{typed}`"), meant(&OF_OTHERS)?),
    };
    Some(Error::usage(told).hint(format!("perhaps you want {meant}")))
}

/// Words that other programs have for what is here, too, with what was perhaps meant here.
const OF_OTHERS: [(&str, &str); 12] = [
    ("add", "`vault set NAME`"),
    ("rm", "`vault unset NAME`"),
    ("remove", "`vault unset NAME`"),
    ("show", "`vault get NAME`, or `vault list`"),
    ("users", "`vault members`"),
    ("exec", "`vault run -- CMD`"),
    ("shell", "`vault run -- CMD`"),
    ("encrypt", "`vault import FILE`"),
    ("decrypt", "`vault export dotenv`"),
    ("invite", "`vault grant MEMBER`"),
    ("whoami", "`vault status`"),
    ("clone", "`git clone`, and then `vault request`"),
];

/// Words of `HashiCorp`'s program of the same name.
const OF_HASHICORP: [(&str, &str); 14] = [
    ("kv", "`vault get NAME` and `vault set NAME`"),
    ("read", "`vault get NAME`"),
    ("write", "`vault set NAME`"),
    ("delete", "`vault unset NAME`"),
    ("login", "`vault status`"),
    ("token", "`vault key show`"),
    ("server", "`vault init`"),
    ("operator", "`vault init`"),
    ("unseal", "`vault status`"),
    ("secrets", "`vault list`"),
    ("auth", "`vault status`"),
    ("policy", "`vault status`"),
    ("agent", "`vault run -- CMD`"),
    ("proxy", "`vault run -- CMD`"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_tree_is_sound_and_every_option_has_help() {
        Cli::command().help_expected(true).debug_assert();
    }

    #[test]
    fn a_plain_run_is_understood_as_clap_understands_it() {
        let lines = [
            "vault run -- true",
            "vault run true",
            "vault run -e staging true",
            "vault run -e a,b -- sh -c x -e y",
            "vault run --env staging -- -x -- y",
            "vault run -e staging run -- true",
            "vault run  a",
            "vault run -- ",
            "vault run -e  -- true",
            "vault run",
            "vault run --",
            "vault run -e",
            "vault run -e a",
            "vault run -e a --",
            "vault run -e -- true",
            "vault run -e a -e b -- true",
            "vault run --env=a -- true",
            "vault run -ea -- true",
            "vault run -e a --only A -- true",
            "vault run --bogus true",
            "vault run -h",
            "vault run true --",
            "vault -e a run true",
            "vault help run",
            "vault",
            "",
        ];
        let mut plain_ones = 0;
        for line in lines {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            let Some(plain) = plain_run(&words) else { continue };
            let by_clap = Cli::try_parse_from(&words).unwrap_or_else(|_| panic!("{line}"));
            assert_eq!(format!("{plain:?}"), format!("{by_clap:?}"), "{line}");
            plain_ones += 1;
        }
        assert_eq!(plain_ones, 10);
    }
}
