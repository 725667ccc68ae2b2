//! `vault ps`, `vault stop` and `vault restart`: a word to the `vault start` that runs in this project.

use clap::Args;

use super::Context;
use crate::error::{Error, Result};
use crate::process::control::{self, Answers, Request};
use crate::vars::name::shown;

/// List the processes of the `vault start` that runs here
#[derive(Debug, Args)]
pub(crate) struct PsArgs {}

/// End processes of the `vault start` that runs here
///
/// The others go on. Without a name all end, and `vault start` with them, with status 0.
#[derive(Debug, Args)]
pub(crate) struct StopArgs {
    /// Process types, or single processes as in `web.1`
    #[arg(value_name = "PROCESS")]
    processes: Vec<String>,
}

/// End processes of the `vault start` that runs here and start them again
#[derive(Debug, Args)]
pub(crate) struct RestartArgs {
    /// Process types, or single processes as in `web.1`; all if none is named
    #[arg(value_name = "PROCESS")]
    processes: Vec<String>,
}

/// Runs `ps`.
pub(crate) fn ps(_: &PsArgs, context: &Context) -> Result<()> {
    let answers = ask(context, &Request::List)?;
    let rows: Vec<Vec<&str>> = answers
        .lines
        .iter()
        .flat_map(|text| text.lines())
        .map(|line| line.split('\t').collect())
        .collect();
    if context.ui.json {
        let objects: Vec<_> = rows.iter().filter_map(|row| object(row)).collect();
        context.ui.out(format!("{}\n", serde_json::Value::Array(objects)).as_bytes())?;
        return answers.silent.map_or(Ok(()), Err);
    }
    let head = vec!["NAME", "PID", "STATE", "UPTIME", "PORT", "STARTS"];
    let rows: Vec<Vec<String>> = std::iter::once(head.into_iter().map(str::to_owned).collect())
        .chain(rows.iter().map(|row| row.iter().enumerate().map(cell).collect()))
        .collect();
    context.ui.out(table(&rows).as_bytes())?;
    answers.silent.map_or(Ok(()), Err)
}

/// Runs `stop`.
pub(crate) fn stop(args: &StopArgs, context: &Context) -> Result<()> {
    let answers = ask(context, &Request::Stop(names(&args.processes)?))?;
    answers.silent.map_or(Ok(()), Err)
}

/// Runs `restart`.
pub(crate) fn restart(args: &RestartArgs, context: &Context) -> Result<()> {
    let answers = ask(context, &Request::Restart(names(&args.processes)?))?;
    answers.silent.map_or(Ok(()), Err)
}

fn ask(context: &Context, request: &Request) -> Result<Answers> {
    let folder = control::folder(context.outside.runtime_folder());
    control::ask(&folder, &context.wanted_home()?, request)
}

/// Names as they were typed: what no process can be called is refused here.
fn names(typed: &[String]) -> Result<Vec<String>> {
    let fits = |name: &&String| {
        !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
    };
    match typed.iter().find(|name| !fits(name)) {
        Some(wrong) => Err(Error::usage(format!("no process can be called `{}`", shown(wrong)))),
        None => Ok(typed.to_vec()),
    }
}

fn object(row: &[&str]) -> Option<serde_json::Value> {
    let [name, pid, state, seconds, port, starts] = row else { return None };
    let number = |text: &str| text.parse::<u64>().ok();
    Some(serde_json::json!({
        "name": name,
        "pid": number(pid),
        "state": state,
        "uptime": number(seconds),
        "port": number(port),
        "starts": number(starts),
    }))
}

fn cell((column, text): (usize, &&str)) -> String {
    match (column, text.parse::<u64>()) {
        (3, Ok(seconds)) => uptime(seconds),
        _ => shown(text),
    }
}

/// `5s`, `3m`, `2h`, `4d`: the largest unit that fits.
fn uptime(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(String::len).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}
