//! `vault get NAME`.

use clap::Args;

use super::{Context, unknown_variable, variable};
use crate::error::{Error, Result};

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
}

/// Runs it.
pub(crate) fn run(args: &GetArgs, context: &Context) -> Result<()> {
    let name = variable(&args.name)?;
    let project = context.project()?;
    let (vault, opened) = context.open(&project, &context.environment(&project)?)?;
    let value = vault.get(&opened, &name)?.ok_or_else(|| unknown_variable(&vault, &name))?;
    let json = args.format == GetFormat::Json || context.ui.json;
    if json {
        let text = value.expose_str().ok_or_else(|| {
            Error::failed(format!("{name}: the value is not UTF-8 text, and JSON can't hold it"))
        })?;
        return context.ui.out(format!("{}\n", serde_json::Value::from(text)).as_bytes());
    }
    context.ui.out(value.expose())?;
    if context.ui.out_is_terminal() {
        context.ui.out(b"\n")?;
    }
    Ok(())
}
