//! The pages of the book that are made from the program: `docs/commands`, one for each command, is the help
//! of that command. `VAULT_WRITE_DOCS=1 cargo test --test it pages` writes them anew.

#![allow(clippy::expect_used, reason = "helpers of tests are not #[test]")]
#![allow(
    clippy::disallowed_methods,
    reason = "the pages are files, and one variable says to write them"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::support::needs::needs;
use crate::support::sandbox::Sandbox;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/commands");

/// What `vault help` prints of a command, `[]` being vault itself.
fn help(sandbox: &Sandbox, command: &[&str]) -> String {
    let help = sandbox.vault(["help"]).args(command).run().success();
    // clap leaves blanks at the end of some.
    let lines: Vec<&str> = help.out().lines().map(str::trim_end).collect();
    lines.join("\n") + "\n"
}

/// The commands that a help lists, in its order.
fn listed(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let lines = lines.take_while(|line| !line.is_empty());
    // What stands further in goes on with the line above.
    let names = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next()).map(str::to_owned);
    names.filter(|name| name != "help").collect()
}

/// The page of each file name.
fn pages(sandbox: &Sandbox) -> BTreeMap<String, String> {
    let whole = help(sandbox, &[]);
    let mut pages = BTreeMap::new();
    let mut index = format!("# Commands\n\nWhat `vault help` prints:\n\n```text\n{whole}```\n");
    for name in listed(&whole) {
        let text = help(sandbox, &[&name]);
        let about = text.lines().next().unwrap_or_default();
        let _ = write!(index, "\n- [`vault {name}`]({name}.md): {about}");
        let mut page = format!(
            "# vault {name}\n\nWhat `vault help {name}` prints. [Command line](../cli.md) has the rules behind it.\n\n\
             ```text\n{text}```\n"
        );
        for below in listed(&text) {
            let text = help(sandbox, &[&name, &below]);
            let _ = write!(page, "\n## vault {name} {below}\n\n```text\n{text}```\n");
        }
        pages.insert(format!("{name}.md"), page);
    }
    index.push('\n');
    pages.insert("index.md".to_owned(), index);
    pages
}

#[test]
fn each_command_has_a_page_that_is_its_help() {
    let sandbox = Sandbox::new();
    let pages = pages(&sandbox);
    assert!(pages.len() > 25, "the list of commands was not understood");
    if std::env::var_os("VAULT_WRITE_DOCS").is_some() {
        std::fs::create_dir_all(FOLDER).expect("the folder of the pages");
        for (name, page) in &pages {
            std::fs::write(Path::new(FOLDER).join(name), page).expect("a page");
        }
    }
    let there = std::fs::read_dir(FOLDER).expect("the folder of the pages").flatten();
    let there = there.map(|entry| {
        let text = std::fs::read_to_string(entry.path()).expect("a page");
        (entry.file_name().into_string().expect("a name"), text)
    });
    assert_eq!(there.collect::<BTreeMap<_, _>>(), pages, "write them anew, as this file says");
    let summary = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/SUMMARY.md");
    let summary = std::fs::read_to_string(summary).expect("the summary of the book");
    for name in pages.keys() {
        assert!(summary.contains(&format!("(commands/{name})")), "{name} is not in SUMMARY.md");
    }
}

#[test]
fn each_command_has_a_manual_page_that_is_good_roff() {
    let sandbox = Sandbox::new();
    sandbox.vault(["man", "--dir", "pages"]).run().expect(0, "", "");
    let pages = std::fs::read_dir(sandbox.path("project/pages")).expect("pages").flatten();
    let names: Vec<String> =
        pages.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    for command in listed(&help(&sandbox, &[])) {
        assert!(names.contains(&format!("vault-{command}.1")), "{command}");
        let alone = sandbox.vault(["man", &command]).run().success().stdout;
        let file = std::fs::read(sandbox.path(format!("project/pages/vault-{command}.1")));
        assert_eq!(file.expect("a page"), alone, "{command}");
    }
    assert!(names.contains(&"vault.1".to_owned()) && names.contains(&"vault-key-new.1".to_owned()));
    sandbox.vault(["man", "key", "new"]).run().expect_like(0, "[..]\n...\n", "");
    sandbox.vault(["man", "bogus"]).run().expect(
        2,
        "",
        "vault: there is no command `bogus`\nhint: `vault help` shows what there is\n",
    );
    if needs("groff") {
        for name in names {
            let file = format!("pages/{name}");
            let words = ["-k", "-man", "-ww", "-Tutf8", "-z", "-wmac", file.as_str()];
            sandbox.program("groff", words).run().expect(0, "", "");
        }
    }
}

#[test]
fn the_manual_can_be_read() {
    if !needs("man") {
        return;
    }
    let sandbox = Sandbox::new();
    let shown = |words: &str| {
        let vault = env!("CARGO_BIN_EXE_vault");
        sandbox.sh(format!("{vault} {words} | MANWIDTH=80 man -l -")).run().success()
    };
    let main = shown("man");
    for section in ["NAME", "SYNOPSIS", "GLOBAL OPTIONS", "EXIT STATUS", "ENVIRONMENT", "FILES"] {
        assert!(main.out().lines().any(|line| line == section), "{section}: {}", main.out());
    }
    let run = shown("man run");
    assert!(run.out().contains("--preserve-env"), "{}", run.out());
}

/// The name by which a heading is linked to.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

/// The pages below a folder.
fn markdown(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() && entry.file_name() != "book" {
            markdown(&path, found);
        } else if path.extension().is_some_and(|end| end == "md") {
            found.push(path);
        }
    }
}

#[test]
fn every_link_between_pages_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = vec![root.join("README.md")];
    markdown(&root.join("docs"), &mut pages);
    let link = regex::Regex::new(r"\]\(([^)\s]+)\)").expect("a pattern");
    let (mut wrong, mut count) = (Vec::new(), 0);
    for page in &pages {
        let text = std::fs::read_to_string(page).expect("a page");
        for found in link.captures_iter(&text).map(|found| found[1].to_owned()) {
            let (file, heading) = found.split_once('#').unwrap_or((&found, ""));
            if found.contains("://") || found.starts_with("mailto:") {
                continue;
            }
            count += 1;
            let target = if file.is_empty() {
                page.clone()
            } else {
                page.parent().expect("a folder").join(file)
            };
            let headings = std::fs::read_to_string(&target).unwrap_or_default();
            let mut headings = headings.lines().filter(|line| line.starts_with('#'));
            let there = headings.any(|line| anchor(line.trim_start_matches(['#', ' '])) == heading);
            if !target.exists() || (!heading.is_empty() && !there) {
                wrong.push(format!("{}: {found}", page.display()));
            }
        }
    }
    assert!(wrong.is_empty() && count > 200, "{count} links, and these lead nowhere: {wrong:#?}");
}
