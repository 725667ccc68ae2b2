//! Keeps `docs/architecture.md` true: who imports whom, where `unsafe` and
//! platform differences live, how long a file may be.
//!
//! The table between `<!-- rooms -->` and `<!-- /rooms -->` says what a room
//! may import. A room is a folder or a file directly under `src/`. An entry
//! is a room, a part of one (`cli::ui`), or a crate. Test code is exempt. That
//! the rules find what they should is shown in `support/rooms_examples.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a rule that cannot be checked has to fail the test"
)]
#![allow(clippy::disallowed_methods, reason = "the checker itself reads no secrets")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::support::paths::{closing, references, without_tests};
use crate::support::tokens::tokens;

/// Parts of the standard library that only some rooms may use.
const FENCED: &[(&str, &[&str])] = &[
    ("std::process::Command", &["process", "platform"]),
    ("std::env", &["process", "platform", "cli"]),
];

/// What a `cfg` may ask outside `platform`.
const FREE_CFG: &[&str] = &["test", "feature", "debug_assertions", "doc", "not", "all", "any"];

const LONGEST_FILE: usize = 600;

/// The house as a whole: the table and the names that paths can begin with.
#[derive(Default)]
pub(crate) struct Plan {
    /// Room to what it may import.
    pub(crate) allowed: BTreeMap<String, BTreeSet<String>>,
    /// Every room there is under `src/`.
    pub(crate) rooms: BTreeSet<String>,
    /// `Vars` to `vars`, for what `lib.rs` re-exports.
    pub(crate) exports: BTreeMap<String, String>,
    pub(crate) crates: BTreeSet<String>,
}

/// Where a file stands.
struct Place {
    room: String,
    /// The module path below the crate, as for `super`.
    module: Vec<String>,
}

impl Place {
    /// `name` as seen from `src/`.
    fn of(name: &str) -> Self {
        let stem = name.strip_suffix(".rs").unwrap_or(name);
        let mut module: Vec<String> = stem.split('/').map(str::to_owned).collect();
        let room = module[0].clone();
        if module.last().is_some_and(|last| last == "mod") {
            module.pop();
        }
        if room == "lib" || room == "main" {
            module.clear();
        }
        Self { room, module }
    }
}

impl Plan {
    /// What is wrong with the imports of one file, as `LINE: sentence`.
    pub(crate) fn breaches(&self, name: &str, source: &str) -> Vec<(usize, String)> {
        let place = Place::of(name);
        if place.room == "lib" {
            // The map: it lists all rooms and re-exports from them.
            return Vec::new();
        }
        let Some(allowed) = self.allowed.get(&place.room) else {
            return vec![(1, format!("the room `{}` is not in the table", place.room))];
        };
        let code = without_tests(&tokens(source));
        let references = references(&code);
        let bound: BTreeMap<&str, &[String]> = references
            .iter()
            .filter_map(|r| Some((r.binds.as_deref()?, r.path.as_slice())))
            .collect();
        let mut local: BTreeSet<&str> = bound.keys().copied().collect();
        local.extend(code.windows(2).filter(|w| w[0].is("mod")).map(|w| w[1].text.as_str()));

        let mut breaches = Vec::new();
        for reference in &references {
            let is_use = reference.binds.is_some();
            let line = reference.line;
            let mut path = reference.path.clone();
            // `process::Command` after `use std::process`.
            if let Some(target) = bound.get(path[0].as_str()).filter(|_| !is_use) {
                path.splice(..1, target.iter().cloned());
                if path[0] != "std" {
                    // The `use` itself has been judged.
                    continue;
                }
            } else if !is_use && local.contains(path[0].as_str()) {
                continue;
            }
            let Some(target) = self.target(&place, &path, &reference.inside) else {
                continue;
            };
            match target {
                Ok(target) if target[0] == place.room => {}
                Ok(target) if matches!(target[0].as_str(), "std" | "core" | "alloc") => {
                    if let Some(fence) = fence(&place.room, &target) {
                        breaches.push((line, format!("`{}` uses `{fence}`", place.room)));
                    }
                }
                Ok(target) if is_allowed(allowed, &target) => {}
                Ok(target) => breaches.push((
                    line,
                    format!("`{}` may not import `{}`", place.room, target.join("::")),
                )),
                Err(sentence) => breaches.push((line, sentence)),
            }
        }
        breaches.sort();
        breaches.dedup();
        breaches
    }

    /// The full path from a room or crate on; none for what is local.
    fn target(
        &self,
        place: &Place,
        path: &[String],
        inside: &[String],
    ) -> Option<Result<Vec<String>, String>> {
        let mut module: Vec<String> = place.module.iter().chain(inside).cloned().collect();
        let mut rest = path;
        match path[0].as_str() {
            // The binary sees the library under its name.
            "vault" if place.room == "main" => (module, rest) = (Vec::new(), &path[1..]),
            "crate" => (module, rest) = (Vec::new(), &path[1..]),
            "self" | "super" => {
                while let Some(first @ ("self" | "super")) = rest.first().map(String::as_str) {
                    if first == "super" {
                        module.pop();
                    }
                    rest = &rest[1..];
                }
            }
            "std" | "core" | "alloc" => return Some(Ok(path.to_vec())),
            name if self.crates.contains(name) => return Some(Ok(path.to_vec())),
            _ => return None,
        }
        let full: Vec<String> = module.iter().chain(rest).cloned().collect();
        let name = full.first()?;
        if self.rooms.contains(name) {
            Some(Ok(full))
        } else if let Some(room) = self.exports.get(name) {
            Some(Ok(std::iter::once(room).chain(&full).cloned().collect()))
        } else {
            Some(Err(format!("`crate::{name}` is neither a room nor re-exported")))
        }
    }
}

fn is_allowed(allowed: &BTreeSet<String>, target: &[String]) -> bool {
    (1..=target.len()).any(|length| allowed.contains(&target[..length].join("::")))
}

/// The fenced name that `target` reaches from a room outside the fence.
fn fence(room: &str, target: &[String]) -> Option<&'static str> {
    FENCED.iter().find_map(|(name, rooms)| {
        let fenced: Vec<&str> = name.split("::").collect();
        let inside =
            target.len() >= fenced.len() && target.iter().zip(&fenced).all(|(a, b)| a == b);
        // `use std::process::*` brings the fenced name, too.
        let glob = target.last().is_some_and(|last| last == "*")
            && target.iter().zip(&fenced).take(target.len() - 1).all(|(a, b)| a == b);
        ((inside || glob) && !rooms.contains(&room)).then_some(*name)
    })
}

/// Lines with a `cfg` that asks for a system; attributes, `cfg_attr`, `cfg!`.
pub(crate) fn platform_cfgs(source: &str) -> Vec<usize> {
    let code = tokens(source);
    let mut lines = Vec::new();
    for (at, token) in code.iter().enumerate() {
        let open = at + 1 + usize::from(code.get(at + 1).is_some_and(|next| next.is("!")));
        if !(token.is("cfg") || token.is("cfg_attr")) || !code.get(open).is_some_and(|t| t.is("("))
        {
            continue;
        }
        let asked = &code[open + 1..closing(&code, open) - 1];
        // What `cfg_attr` adds stands after the first comma outside brackets.
        let mut depth = 0;
        let asked = asked.iter().take_while(|token| {
            depth += i32::from(token.is("(")) - i32::from(token.is(")"));
            !(depth == 0 && token.is(",") && code[at].is("cfg_attr"))
        });
        if asked.filter(|t| t.is_word()).any(|t| !FREE_CFG.contains(&t.text.as_str())) {
            lines.push(token.line);
        }
    }
    lines
}

/// The text between `<!-- name -->` and `<!-- /name -->`.
pub(crate) fn between<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<!-- {name} -->"))?;
    Some(rest.split_once(&format!("<!-- /{name} -->"))?.0)
}

/// Every word in backticks.
fn quoted(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split('`').skip(1).step_by(2).map(str::to_owned)
}

/// Room to what it may import, from the rows of the table.
pub(crate) fn table(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut table = BTreeMap::new();
    for row in text.lines().filter(|line| line.trim_start().starts_with('|')) {
        let cells: Vec<&str> = row.trim().trim_matches('|').split('|').collect();
        for room in quoted(cells[0]) {
            let allowed = cells.get(2).map(|cell| quoted(cell).collect()).unwrap_or_default();
            table.insert(room, allowed);
        }
    }
    table
}

/// `Name` to room for each `pub use room::Name` of `lib.rs`.
pub(crate) fn exports(lib: &str) -> BTreeMap<String, String> {
    let references = references(&tokens(lib)).into_iter();
    references
        .filter_map(|mut r| {
            r.path.retain(|part| part != "crate" && part != "self");
            Some((r.binds?, r.path.first()?.clone()))
        })
        .collect()
}

fn manifest_dir() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text_of(path: impl AsRef<Path>) -> String {
    let path = manifest_dir().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Every Rust file under `directory`, as paths from the manifest's directory.
fn rust_files(directory: &str) -> Vec<String> {
    let mut files = Vec::new();
    let mut open = vec![PathBuf::from(directory)];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(manifest_dir().join(&directory)).expect("a directory") {
            let entry = entry.expect("an entry");
            let path = directory.join(entry.file_name());
            // A package of its own below `tests/`, such as the fuzz targets,
            // keeps what it builds beside itself.
            if entry.path().is_dir() && entry.file_name() != "target" {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path.to_str().expect("UTF-8").to_owned());
            }
        }
    }
    files.sort();
    files
}

fn plan() -> Plan {
    let architecture = text_of("docs/architecture.md");
    let manifest: toml::Table = text_of("Cargo.toml").parse().expect("a manifest");
    let dependencies = manifest["dependencies"].as_table().expect("a table");
    let files = rust_files("src");
    let room = |file: &String| file.split('/').nth(1).map(|name| name.replace(".rs", ""));
    let rooms = files.iter().filter_map(room).filter(|room| room != "lib").collect();
    let text = between(&architecture, "rooms").expect("the table of rooms");
    let mut allowed = table(text);
    // Not worth a row: it calls the face and nothing else.
    allowed.entry("main".to_owned()).or_insert_with(|| BTreeSet::from(["cli".to_owned()]));
    Plan {
        allowed,
        rooms,
        exports: exports(&text_of("src/lib.rs")),
        crates: dependencies.keys().map(|name| name.replace('-', "_")).collect(),
    }
}

#[track_caller]
fn assert_none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

#[test]
fn every_import_is_in_the_table() {
    let plan = plan();
    let mut found = Vec::new();
    for file in rust_files("src") {
        let name = file.strip_prefix("src/").expect("under src");
        let breaches = plan.breaches(name, &text_of(&file));
        found.extend(breaches.iter().map(|(line, sentence)| format!("{file}:{line}: {sentence}")));
    }
    assert_none("docs/architecture.md does not allow this", &found);
}

#[test]
fn every_room_of_the_table_is_there() {
    let plan = plan();
    let gone = plan.allowed.keys().filter(|room| !plan.rooms.contains(*room)).cloned();
    assert_none("rooms of docs/architecture.md without code", &gone.collect::<Vec<_>>());
}

#[test]
fn unsafe_stands_only_where_the_architecture_says() {
    let architecture = text_of("docs/architecture.md");
    let listed: BTreeSet<String> =
        quoted(between(&architecture, "unsafe").expect("the list of unsafe")).collect();
    let has_unsafe = |file: &String| tokens(&text_of(file)).iter().any(|token| token.is("unsafe"));
    let files = rust_files("src").into_iter().chain(rust_files("tests"));
    let found: BTreeSet<String> = files.filter(has_unsafe).collect();
    assert_eq!(found, listed, "left: files with unsafe; right: docs/architecture.md");
}

#[test]
fn only_platform_asks_for_the_system() {
    let mut found = Vec::new();
    for file in rust_files("src").iter().filter(|file| !file.starts_with("src/platform")) {
        let lines = platform_cfgs(&text_of(file));
        found.extend(lines.iter().map(|line| format!("{file}:{line}: cfg of a system")));
    }
    assert_none("this belongs into platform", &found);
}

#[test]
fn no_file_is_longer_than_a_person_reads() {
    let files = rust_files("src").into_iter().chain(rust_files("tests"));
    let found = files.filter_map(|file| {
        let lines = text_of(&file).lines().count();
        (lines > LONGEST_FILE).then(|| format!("{file}: {lines} lines"))
    });
    assert_none("too long", &found.collect::<Vec<_>>());
}

#[test]
fn every_test_file_is_listed() {
    let mut found = Vec::new();
    for (list, folder) in [("main.rs", "tests/it"), ("support/mod.rs", "tests/it/support")] {
        let code = tokens(&text_of(format!("tests/it/{list}")));
        let listed: BTreeSet<&str> = code
            .windows(3)
            .filter(|w| w[0].is("mod") && w[2].is(";"))
            .map(|w| w[1].text.as_str())
            .collect();
        for file in rust_files(folder) {
            let rest = &file[folder.len() + 1..];
            let name = rest.split('/').next().unwrap_or(rest).trim_end_matches(".rs");
            if !["main", "mod"].contains(&name) && !listed.contains(name) {
                found.push(format!("{file}: not listed in tests/it/{list}"));
            }
        }
    }
    assert_none("cargo does not see this", &found);
}
