//! `vault list`.

use clap::Args;
use serde_json::json;

use super::{Context, day};
use crate::error::{Error, Result};
use crate::format::RecordKind;
use crate::vars::name::{EnvName, VarName};
use crate::vault::Vault;

/// List the variables of one environment, or of all side by side
///
/// Shows the day on which each value last changed. Needs no key, so nothing of it is verified.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {}

/// Runs it.
pub(crate) fn run(_: &ListArgs, context: &Context) -> Result<()> {
    let project = context.project()?;
    // VAULT_ENV and the default say where to work, not what to look at: without -e all are shown.
    let names = if context.globals.env.is_empty() {
        project.environments()?
    } else {
        context.environments(&project, &project.settings()?)?
    };
    if names.is_empty() && !context.ui.json {
        let told = Error::not_found("there is no environment yet");
        return Err(told.hint("make one with `vault init`"));
    }
    let vaults: Vec<Vault> = names.iter().map(|name| project.read(name)).collect::<Result<_>>()?;
    let mut variables: Vec<&VarName> =
        vaults.iter().flat_map(|vault| vault.file.secrets.keys()).collect();
    variables.sort_unstable();
    variables.dedup();
    let text = if context.ui.json {
        as_json(&names, &vaults, &variables)
    } else if let [vault] = &vaults[..] {
        one(vault, &variables)
    } else {
        matrix(&names, &vaults, &variables)
    };
    context.ui.out(text.as_bytes())
}

fn one(vault: &Vault, variables: &[&VarName]) -> String {
    let rows: Vec<Vec<String>> =
        variables.iter().map(|name| vec![name.to_string(), cell(vault, name)]).collect();
    aligned(&rows)
}

fn matrix(names: &[EnvName], vaults: &[Vault], variables: &[&VarName]) -> String {
    let mut header = vec!["NAME".to_owned()];
    header.extend(names.iter().map(EnvName::to_string));
    let row = |name: &VarName| {
        let cells = vaults.iter().map(|vault| cell(vault, name));
        std::iter::once(name.to_string()).chain(cells).collect()
    };
    let rows: Vec<Vec<String>> =
        std::iter::once(header).chain(variables.iter().map(|name| row(name))).collect();
    aligned(&rows)
}

fn cell(vault: &Vault, name: &VarName) -> String {
    vault.file.secrets.get(name).map_or_else(|| "-".to_owned(), |record| day(record.changed()))
}

/// Columns, two blanks apart, without blanks at the ends of lines.
fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(String::len).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

fn as_json(names: &[EnvName], vaults: &[Vault], variables: &[&VarName]) -> String {
    let of = |name: &VarName| -> serde_json::Map<String, serde_json::Value> {
        let found = vaults.iter().filter_map(|vault| Some((vault, vault.file.secrets.get(name)?)));
        found
            .map(|(vault, record)| {
                let kind = if record.kind() == RecordKind::File { "file" } else { "variable" };
                (
                    vault.environment().to_string(),
                    json!({ "changed": record.changed(), "kind": kind }),
                )
            })
            .collect()
    };
    let secrets: serde_json::Map<String, serde_json::Value> =
        variables.iter().map(|name| (name.to_string(), of(name).into())).collect();
    let names: Vec<&str> = names.iter().map(EnvName::as_str).collect();
    format!("{}\n", json!({ "environments": names, "secrets": secrets, "verified": false }))
}
