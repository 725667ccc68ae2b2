//! Which processes are started, under which names, on which ports (as Honcho numbers them).

use crate::error::{Error, Result};
use crate::vars::name::shown;

use super::procfile::{ProcessType, Procfile};

/// The first port where nobody names another.
pub(crate) const DEFAULT_PORT: u32 = 5000;

/// One process of a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Instance {
    /// `web.1`; numbered also where there is only one.
    pub(crate) name: String,
    /// `web`.
    pub(crate) type_name: String,
    /// Its number in the type, from 1.
    pub(crate) number: u32,
    /// What the shell gets.
    pub(crate) command: String,
    /// Its `PORT`.
    pub(crate) port: u32,
}

impl Instance {
    /// Whether the name of a type, or of a single process, means this one.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.name == name || self.type_name == name
    }
}

/// How many processes of each type: `web=2,worker=0`. A type that isn't named has one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Concurrency(Vec<(String, u32)>);

impl Concurrency {
    /// Reads the list. Of a type that is named twice the later number holds; a negative number means none.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        /// More than this many processes of a type is a slip of the hand.
        const MOST: i64 = 1000;
        let wrong = || {
            Error::failed(format!("`-c {}` is not a list of TYPE=NUMBER", shown(text)))
                .hint("write it as in `-c web=2,worker=1`")
        };
        let mut found = Vec::new();
        for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let (name, number) = item.split_once('=').ok_or_else(wrong)?;
            let number: i64 = number.trim().parse().map_err(|_| wrong())?;
            if number > MOST {
                return Err(Error::failed(format!(
                    "`-c {}`: at most {MOST} processes of a type",
                    shown(item)
                )));
            }
            found.push((name.trim().to_owned(), u32::try_from(number).unwrap_or(0)));
        }
        Ok(Self(found))
    }

    /// The number for a type.
    pub(crate) fn of(&self, type_name: &str) -> u32 {
        self.0.iter().rev().find(|(name, _)| name == type_name).map_or(1, |(_, number)| *number)
    }

    /// The types that are named.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }
}

/// The types that are meant: all in the order of the file, or those named, each once.
///
/// # Errors
///
/// One that is named isn't there.
pub(crate) fn selected<'a>(
    procfile: &'a Procfile,
    named: &[String],
) -> Result<Vec<&'a ProcessType>> {
    if named.is_empty() {
        return Ok(procfile.types.iter().collect());
    }
    let mut chosen: Vec<&ProcessType> = Vec::new();
    for name in named {
        let one = procfile.find(name).ok_or_else(|| procfile.unknown(name))?;
        if !chosen.contains(&one) {
            chosen.push(one);
        }
    }
    Ok(chosen)
}

/// The highest port there is.
const LAST_PORT: u32 = 65_535;

/// The processes of the selected types. The port of the i-th process (from 1) of the k-th selected type
/// (from 0) is `base + 100 * k + i - 1`; a type with none still has its hundred.
///
/// # Errors
///
/// A process would get a port over 65535.
pub(crate) fn instances(
    types: &[&ProcessType],
    concurrency: &Concurrency,
    base: u32,
) -> Result<Vec<Instance>> {
    let mut all = Vec::new();
    let mut first = base;
    for one in types {
        for number in 1..=concurrency.of(&one.name) {
            all.push(Instance {
                name: format!("{}.{number}", one.name),
                type_name: one.name.clone(),
                number,
                command: one.command.clone(),
                port: first.saturating_add(number - 1),
            });
        }
        first = first.saturating_add(100);
    }
    match all.iter().find(|one| one.port > LAST_PORT) {
        None => Ok(all),
        Some(one) => Err(Error::failed(format!(
            "`{}`: its port would be {}, and the last one is {LAST_PORT}",
            one.name, one.port
        ))
        .hint("give a lower first port by `-p`")),
    }
}

/// A port as it is typed or stored: decimal, at most 65535.
pub(crate) fn port(text: &str) -> Option<u32> {
    text.trim().parse::<u16>().ok().map(u32::from)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn formed(named: &[&str], concurrency: &str) -> String {
        let procfile =
            Procfile::parse(b"release: r\nweb: w\nworker: k\n", Path::new("Procfile")).unwrap();
        let named: Vec<String> = named.iter().map(|&name| name.to_owned()).collect();
        let types = selected(&procfile, &named).unwrap();
        let all =
            instances(&types, &Concurrency::parse(concurrency).unwrap(), DEFAULT_PORT).unwrap();
        all.iter().map(|one| format!("{}:{}", one.name, one.port)).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn ports_count_the_selected_types_by_hundreds() {
        assert_eq!(formed(&[], ""), "release.1:5000 web.1:5100 worker.1:5200");
        assert_eq!(
            formed(&["worker", "web", "worker"], "web=2"),
            "worker.1:5000 web.1:5100 web.2:5101"
        );
        assert_eq!(formed(&[], "web=0,release=-1, worker = 2"), "worker.1:5200 worker.2:5201");
    }

    #[test]
    fn what_is_no_concurrency_or_no_type_is_refused() {
        for text in ["web", "web=x", "web=1=2", "web=99999999999999999999", "web=1001"] {
            assert!(Concurrency::parse(text).is_err(), "{text}");
        }
        let procfile = Procfile::parse(b"web: w\n", Path::new("Procfile")).unwrap();
        let error = selected(&procfile, &["wob".to_owned()]).unwrap_err();
        assert_eq!(error.hint_text(), Some("did you mean `web`?"));
        let types = selected(&procfile, &[]).unwrap();
        assert!(instances(&types, &Concurrency::parse("web=3").unwrap(), 65_534).is_err());
        assert_eq!(port(" 8000 "), Some(8000));
        assert_eq!((port("-1"), port("80000"), port("eighty")), (None, None, None));
    }
}
