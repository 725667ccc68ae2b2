//! The environment of a child, as a pure function of the parent's and of the variables.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::error::{Error, Result};
use crate::platform::os_string;
use crate::vars::Vars;
use crate::vars::name::VarName;

/// Which of the parent's variables reach the child.
#[derive(Debug, Clone, Default)]
pub(crate) struct Policy {
    /// The parent's value beats the stored one: for these names, or for all where the list is empty.
    pub(crate) preserve: Option<BTreeSet<VarName>>,
    /// Only a short list of the parent's variables goes on.
    pub(crate) clean: bool,
    /// Our own key variables go on too.
    pub(crate) keep_key: bool,
}

/// A child's environment: each name once, in order.
pub(crate) type Environment = BTreeMap<OsString, OsString>;

/// What is left of the parent's environment with `--clean`, besides `LC_*`.
const CLEAN: [&str; 12] = [
    "HOME",
    "PATH",
    "USER",
    "LOGNAME",
    "SHELL",
    "TERM",
    "COLORTERM",
    "LANG",
    "TZ",
    "TMPDIR",
    "XDG_RUNTIME_DIR",
    "SSH_AUTH_SOCK",
];

/// Puts the child's environment together.
///
/// Of names that the parent's environment holds twice the first counts, as for getenv(3): with two of a
/// name, shells would take the one and Python the other.
pub(crate) fn build(parent: &[(OsString, OsString)], vars: Vars, policy: &Policy) -> Environment {
    let mut child: Environment = vars
        .into_iter()
        .map(|(name, secret)| (String::from(name).into(), os_string(secret.into_bytes())))
        .collect();
    let is_preserved = |name: &OsStr| {
        let text = name.to_str();
        let is_named = |only: &BTreeSet<VarName>| text.is_some_and(|name| only.contains(name));
        policy.preserve.as_ref().is_some_and(|only| only.is_empty() || is_named(only))
    };
    let mut seen = BTreeSet::new();
    for (name, value) in parent {
        if !passes(name, policy) || !seen.insert(name) {
            continue;
        }
        if is_preserved(name) || !child.contains_key(name) {
            child.insert(name.clone(), value.clone());
        }
    }
    child
}

/// Whether this variable gives, or leads to, a private key or its passphrase.
pub(crate) fn carries_a_key(name: &OsStr) -> bool {
    let text = name.to_string_lossy();
    ["VAULT_KEY", "VAULT_KEY_FILE", "VAULT_KEY_COMMAND"].contains(&&*text)
        || text.starts_with("VAULT_PASSPHRASE")
}

fn passes(name: &OsStr, policy: &Policy) -> bool {
    if carries_a_key(name) {
        return policy.keep_key;
    }
    let Some(text) = name.to_str() else { return !policy.clean };
    !policy.clean || CLEAN.contains(&text) || text.starts_with("LC_")
}

/// Refuses what the kernel would refuse without saying why: a string over the limit of one, or all of
/// them together over `total` bytes.
pub(crate) fn check_limits(
    environment: &Environment,
    program: &Path,
    arguments: &[OsString],
    total: usize,
) -> Result<()> {
    // Each string ends in a NUL, and a pointer to it is kept.
    const OVERHEAD: usize = 1 + size_of::<usize>();
    // The line `#!interpreter argument` of a script, of which the kernel reads 256 bytes.
    const SCRIPT: usize = 256 + 2 * OVERHEAD;
    let size = |name: &OsStr, value: &OsStr| name.len() + 1 + value.len();
    let largest = environment.iter().max_by_key(|(name, value)| size(name, value));
    let Some((name, value)) = largest else { return Ok(()) };
    let (told, longest) = (crate::vars::name::shown(&name.to_string_lossy()), size(name, value));
    if longest > crate::vars::VARIABLE_LIMIT {
        return Err(Error::failed(format!(
            "{told}: `NAME=value` has {longest} bytes, and the most that Linux lets a variable have is {}",
            crate::vars::VARIABLE_LIMIT
        ))
        .hint("let the program read it from a file of its own"));
    }
    let strings: usize = environment.iter().map(|(name, value)| size(name, value) + OVERHEAD).sum();
    let words: usize = arguments.iter().map(|word| word.len() + OVERHEAD).sum();
    // The kernel keeps the program's path beside them, and once more among the arguments of a script.
    let path = 2 * (program.as_os_str().len() + OVERHEAD) + SCRIPT;
    if strings + words + path > total {
        return Err(Error::failed(format!(
            "the command's arguments and environment have {} bytes, and the limit here is {total}; the largest variable is {told} with {longest}",
            strings + words
        ))
        .hint("pass fewer variables with `--only`, or raise the limit with `ulimit -s`"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn vars(pairs: &[(&str, &str)]) -> Vars {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), Secret::from((*value).to_owned())))
            .collect()
    }

    fn built(parent: &[(&str, &str)], stored: &[(&str, &str)], policy: &Policy) -> String {
        let parent: Vec<(OsString, OsString)> = parent
            .iter()
            .map(|(name, value)| (OsString::from(*name), OsString::from(*value)))
            .collect();
        let child = build(&parent, vars(stored), policy);
        let line = |(name, value): (&OsString, &OsString)| {
            format!("{}={}", name.display(), value.display())
        };
        child.iter().map(line).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn stored_values_win_and_each_name_is_there_once() {
        let parent = [("A", "1"), ("B", "parent"), ("A", "2")];
        assert_eq!(
            built(&parent, &[("B", "stored"), ("C", "3")], &Policy::default()),
            "A=1 B=stored C=3"
        );
    }

    #[test]
    fn preserve_keeps_the_parents_value_of_all_or_of_some() {
        let (parent, stored) = ([("A", "p"), ("B", "p")], [("A", "s"), ("B", "s"), ("C", "s")]);
        let preserve = |names: &[&str]| Policy {
            preserve: Some(names.iter().map(|name| name.parse().unwrap()).collect()),
            ..Policy::default()
        };
        assert_eq!(built(&parent, &stored, &preserve(&[])), "A=p B=p C=s");
        assert_eq!(built(&parent, &stored, &preserve(&["B"])), "A=s B=p C=s");
    }

    #[test]
    fn our_key_variables_stay_behind_unless_they_are_kept() {
        let parent = [
            ("VAULT_KEY", "k"),
            ("VAULT_KEY_FILE", "k"),
            ("VAULT_KEY_COMMAND", "k"),
            ("VAULT_PASSPHRASE_FILE", "k"),
            ("VAULT_ENV", "staging"),
            ("VAULT_TOKEN", "another vault's"),
        ];
        assert_eq!(
            built(&parent, &[], &Policy::default()),
            "VAULT_ENV=staging VAULT_TOKEN=another vault's"
        );
        let kept = Policy { keep_key: true, ..Policy::default() };
        assert_eq!(built(&parent, &[], &kept).matches('=').count(), parent.len());
    }

    #[test]
    fn clean_lets_only_the_short_list_through() {
        let parent = [("HOME", "/h"), ("LC_TIME", "C"), ("AWS_SECRET", "x"), ("PATH", "/bin")];
        let clean = Policy { clean: true, ..Policy::default() };
        assert_eq!(built(&parent, &[("A", "1")], &clean), "A=1 HOME=/h LC_TIME=C PATH=/bin");
    }

    #[test]
    fn the_two_limits_name_the_variable() {
        let child = |len: usize| {
            build(&[], vars(&[("BIG", &"x".repeat(len)), ("SMALL", "y")]), &Policy::default())
        };
        let check =
            |len, total| check_limits(&child(len), Path::new("/bin/true"), &["true".into()], total);
        assert!(check(131_067, usize::MAX).is_ok());
        let error = check(131_068, usize::MAX).unwrap_err().to_string();
        assert!(error.starts_with("BIG: ") && error.contains("131072 bytes"), "{error}");
        let error = check(1000, 1000).unwrap_err().to_string();
        assert!(error.contains("the largest variable is BIG with 1004"), "{error}");
    }
}
