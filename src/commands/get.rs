//! `vault get NAME`.

use clap::Args;
use zeroize::Zeroizing;

use super::{Context, unknown_variable, variable};
use crate::error::{Error, Result};
use crate::vars::export;

/// Print the value of a variable
///
/// The exact bytes, with a newline added only on a terminal.
#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// The variable
    #[arg(add = super::completions::variable_names())]
    name: String,
    /// How to print it
    #[arg(long, value_enum, default_value = "raw")]
    format: GetFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum GetFormat {
    /// The exact bytes
    Raw,
    /// A JSON string
    Json,
    /// A quoted word of a POSIX shell
    Shell,
    /// For `$(…)` in the secrets file of Kamal
    Kamal,
}

/// Runs it.
pub(crate) fn run(args: &GetArgs, context: &Context) -> Result<()> {
    let name = variable(&args.name)?;
    let project = context.project()?;
    let (vault, opened) = context.open(&project, &context.environment(&project)?)?;
    let value =
        vault.get(&opened, &name)?.ok_or_else(|| unknown_variable(&project, &vault, &name))?;
    let raw = |value: &[u8]| Ok(Zeroizing::new(value.to_vec()));
    let (format, text) = match args.format {
        _ if context.ui.json => ("json", export::json_word(value.expose())),
        GetFormat::Raw => ("raw", raw(value.expose())),
        GetFormat::Json => ("json", export::json_word(value.expose())),
        GetFormat::Shell => ("shell", export::shell_word(value.expose())),
        GetFormat::Kamal => ("kamal", export::kamal_word(value.expose())),
    };
    let text = text.map_err(|why| {
        Error::failed(format!("{name}: {why}, which the {format} format cannot hold"))
    })?;
    context.ui.out(&text)?;
    // A JSON text ends its line, a value has none of its own.
    if format == "json" || context.ui.out_is_terminal() {
        context.ui.out(b"\n")?;
    }
    Ok(())
}
