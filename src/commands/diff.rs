//! `vault diff ENV ENV2`.

use std::collections::BTreeSet;

use clap::Args;
use serde_json::json;

use super::Context;
use crate::error::{Error, Result};
use crate::vars::Vars;
use crate::vars::name::{EnvName, VarName};

/// Compare two environments by name
///
/// Shows which variables only one of them has, and which have different values. No value is shown. The status
/// is 1 if they differ.
#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// The one
    #[arg(value_name = "ENV", add = super::completions::environment_names())]
    one: String,
    /// The other
    #[arg(value_name = "ENV2", add = super::completions::environment_names())]
    other: String,
}

/// One environment, decrypted.
struct Side {
    name: EnvName,
    vars: Vars,
    files: BTreeSet<VarName>,
}

impl Side {
    fn has(&self, name: &VarName) -> bool {
        self.vars.get(name).is_some()
    }

    /// What a program would get: the value, or a file with it.
    fn same(&self, other: &Self, name: &VarName) -> bool {
        self.vars.get(name) == other.vars.get(name)
            && self.files.contains(name) == other.files.contains(name)
    }
}

/// Runs it. The status is 0 or 1.
pub(crate) fn run(args: &DiffArgs, context: &Context) -> Result<u8> {
    if args.one == args.other {
        return Err(Error::usage("an environment does not differ from itself: name two"));
    }
    let (one, other) = (side(&args.one, context)?, side(&args.other, context)?);
    let names: BTreeSet<&VarName> =
        one.vars.iter().chain(other.vars.iter()).map(|(name, _)| name).collect();
    let of = |wanted: &dyn Fn(&VarName) -> bool| -> Vec<&str> {
        names.iter().filter(|name| wanted(name)).map(|name| name.as_str()).collect()
    };
    let only_one = of(&|name| !other.has(name));
    let only_other = of(&|name| !one.has(name));
    let different = of(&|name| one.has(name) && other.has(name) && !one.same(&other, name));
    let text = if context.ui.json {
        let all = json!({
            "environments": [one.name.as_str(), other.name.as_str()],
            "only": { one.name.as_str(): only_one, other.name.as_str(): only_other },
            "different": different,
        });
        format!("{all}\n")
    } else {
        let lines = |what: String, names: &[&str]| -> String {
            let line = |name: &&str| format!("{what}: {name}\n");
            names.iter().map(line).collect::<Vec<_>>().concat()
        };
        [
            lines(format!("only in {}", one.name), &only_one),
            lines(format!("only in {}", other.name), &only_other),
            lines("different".to_owned(), &different),
        ]
        .concat()
    };
    context.ui.out(text.as_bytes())?;
    Ok(u8::from(!(only_one.is_empty() && only_other.is_empty() && different.is_empty())))
}

fn side(typed: &str, context: &Context) -> Result<Side> {
    let project = context.project()?;
    let name: EnvName = typed.parse().map_err(|_| project.unknown(typed))?;
    let (vault, opened) = context.open(&project, &name)?;
    Ok(Side { name, vars: vault.vars(&opened)?, files: vault.file_names().cloned().collect() })
}
