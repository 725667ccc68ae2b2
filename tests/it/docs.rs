//! Runs the documentation: each `console` block of README.md, `docs/*.md`,
//! `docs/guide/*.md` and `docs/platform/*.md` is typed into a shell as a reader would, and has to answer as printed.
//!
//! A line after `$ ` is a command; a `\` at its end or lines after `> ` go on
//! with it. What follows is its output, stdout and stderr together, where
//! `...` and `[..]` are the holes of `support::like`. One file is one shell in
//! a fresh copy of the repository, so `cd` and `export` last. Each command has
//! to succeed, but in a block headed `console,fails=4` the last one has to end
//! with 4. `console,skip` is not run and has to be in `SKIPPED`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a page that cannot be run has to fail the test"
)]
#![allow(clippy::disallowed_methods, reason = "a shell and git need files")]

use std::fmt::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::like::is_like;
use crate::support::sandbox::Sandbox;

/// The blocks that no test can run: file, first command, reason.
const SKIPPED: &[(&str, &str, &str)] = &[];

/// More than this and the pages are no longer tested by being read.
const MOST_SKIPPED: usize = 5;

/// A page with many commands takes longer than one program may.
const PAGE_LIMIT: Duration = Duration::from_secs(300);

#[derive(Debug, PartialEq, Eq)]
struct Block {
    commands: Vec<Command>,
    skip: bool,
}

#[derive(Debug, PartialEq, Eq)]
struct Command {
    line: usize,
    text: String,
    output: String,
    status: i32,
}

/// The `console` blocks of a page. A block that cannot be read is an error,
/// because otherwise a typing mistake would turn its test off.
fn blocks(page: &str) -> Result<Vec<Block>, String> {
    let mut blocks = Vec::new();
    let mut lines = page.lines().zip(1..);
    while let Some((line, number)) = lines.next() {
        let unindented = line.trim_start();
        let info = unindented.trim_start_matches('`');
        let fence = &unindented[..unindented.len() - info.len()];
        if fence.len() < 3 {
            continue;
        }
        let indent = line.len() - unindented.len();
        let mut body = Vec::new();
        loop {
            let (line, number) = lines.next().ok_or(format!("{number}: the block has no end"))?;
            if line.trim().starts_with(fence) && line.trim().trim_matches('`').is_empty() {
                break;
            }
            // In a list the block is indented as a whole.
            let text = line.get(indent..).filter(|_| line[..indent].trim().is_empty());
            body.push((text.unwrap_or(line), number));
        }
        let mut words = info.trim().split(',');
        if words.next() == Some("console") {
            blocks.push(block(words, &body).map_err(|e| format!("{number}: {e}"))?);
        }
    }
    Ok(blocks)
}

fn block<'a>(
    options: impl Iterator<Item = &'a str>,
    body: &[(&str, usize)],
) -> Result<Block, String> {
    let mut block = Block { commands: Vec::new(), skip: false };
    let mut status = 0;
    for option in options {
        match option.split_once('=') {
            None if option == "skip" => block.skip = true,
            Some(("fails", code)) => {
                status = code.parse().map_err(|_| format!("{code:?} is no exit status"))?;
            }
            _ => return Err(format!("unknown option {option:?}")),
        }
    }
    let mut goes_on = false;
    for (text, line) in body {
        let last = block.commands.last_mut();
        let more = text.strip_prefix("> ").or((*text == ">").then_some(""));
        match (text.strip_prefix("$ "), last) {
            (None, None) => return Err(format!("line {line} is output of no command")),
            (_, Some(last)) if goes_on => write_line(&mut last.text, more.unwrap_or(text)),
            (Some(command), _) => block.commands.push(Command {
                line: *line,
                text: command.to_owned(),
                output: String::new(),
                status: 0,
            }),
            (None, Some(last)) => {
                if let Some(more) = more.filter(|_| last.output.is_empty()) {
                    write_line(&mut last.text, more);
                } else {
                    last.output.push_str(text);
                    last.output.push('\n');
                }
            }
        }
        goes_on = text.ends_with('\\') && (text.starts_with("$ ") || goes_on);
    }
    block.commands.last_mut().ok_or("no command in it")?.status = status;
    Ok(block)
}

fn write_line(text: &mut String, more: &str) {
    text.push('\n');
    text.push_str(more);
}

/// The `NAME=value ` words before a command, and the command.
fn without_settings(command: &str) -> (&str, &str) {
    let mut rest = command;
    while let Some((word, behind)) = rest.split_once(' ') {
        let name = word.split_once('=').map(|(name, _)| name);
        if !name.is_some_and(|name| name.bytes().all(|b| b == b'_' || b.is_ascii_uppercase())) {
            break;
        }
        rest = behind;
    }
    command.split_at(command.len() - rest.len())
}

/// What to run for a command of a page; none for what is this test itself. The
/// reader builds by `cargo`, which has been done.
fn rewritten(command: &str) -> Result<Option<String>, String> {
    let (settings, bare) = without_settings(command);
    let Some(cargo) = bare.strip_prefix("cargo ") else {
        return Ok(Some(command.to_owned()));
    };
    let run = cargo.strip_prefix("run -q -- ").or_else(|| cargo.strip_prefix("run -- "));
    match run {
        Some(args) => Ok(Some(format!("{settings}vault {args}"))),
        None if cargo == "test" || cargo.starts_with("test ") => Ok(None),
        None => Err(format!("no rule for `{command}`")),
    }
}

/// What is wrong with a page, each as `LINE: sentence`.
fn problems(sandbox: &Sandbox, page: &str) -> Vec<String> {
    let blocks = match blocks(page) {
        Ok(blocks) => blocks,
        Err(problem) => return vec![problem],
    };
    let mut commands = Vec::new();
    let mut problems = Vec::new();
    for command in blocks.into_iter().filter(|b| !b.skip).flat_map(|b| b.commands) {
        match rewritten(&command.text) {
            Ok(Some(text)) => commands.push(Command { text, ..command }),
            Ok(None) => {}
            Err(e) => problems.push(format!("{}: {e}", command.line)),
        }
    }
    if commands.is_empty() {
        return problems;
    }
    let said = run_all(sandbox, &commands);
    for (number, command) in commands.iter().enumerate() {
        let output = std::fs::read(sandbox.path(format!("page/{number}.out")));
        let status = std::fs::read_to_string(sandbox.path(format!("page/{number}.status")));
        let output = String::from_utf8_lossy(&output.unwrap_or_default()).into_owned();
        let status = status.ok().and_then(|status| status.trim().parse().ok());
        problems.extend(problem(command, &output, status));
        if status.is_none() {
            // What comes after the end of the shell says nothing new.
            problems.push(format!("{}: the shell ended here: {said}", command.line));
            break;
        }
    }
    problems
}

fn problem(command: &Command, output: &str, status: Option<i32>) -> Option<String> {
    let trim = |text: &str| text.strip_suffix('\n').unwrap_or(text).to_owned();
    if is_like(&trim(&command.output), &trim(output)) && status == Some(command.status) {
        return None;
    }
    let mut text = format!("{}: $ {}\n", command.line, command.text);
    let status = status.map_or("none".to_owned(), |status| status.to_string());
    write!(
        text,
        "--- expected, status {}\n{}--- actual, status {status}\n{output}",
        command.status, command.output
    )
    .expect("a String takes all text");
    Some(text)
}

/// One shell for all commands; each leaves `N.out` and `N.status`. A command
/// is a file of its own that the shell reads in, so that nothing in it can
/// confuse the frame round it.
fn run_all(sandbox: &Sandbox, commands: &[Command]) -> String {
    let place = sandbox.path("page");
    let place = place.display();
    let mut script = String::new();
    for (number, command) in commands.iter().enumerate() {
        sandbox.write(format!("page/{number}.sh"), format!("{}\n", command.text));
        let file = format!("'{place}/{number}");
        writeln!(
            script,
            "{{ . {file}.sh'; }} >{file}.out' 2>&1 </dev/null\necho $? >{file}.status'"
        )
        .expect("a String takes all text");
    }
    sandbox.write("page/all.sh", script);
    let built = Path::new(env!("CARGO_BIN_EXE_vault"));
    let bin = sandbox.path("bin");
    std::fs::create_dir_all(&bin).expect("a directory");
    symlink(built, bin.join("vault")).expect("a link");
    let search = std::env::var("PATH").expect("a search path");
    let output = sandbox
        .program("sh", [sandbox.path("page/all.sh")])
        .env("PATH", format!("{}:{search}", bin.display()))
        .limit(PAGE_LIMIT)
        .run();
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The repository as somebody who has just cloned it finds it.
fn cloned() -> Sandbox {
    let sandbox = Sandbox::new();
    let source = Path::new(env!("CARGO_MANIFEST_DIR"));
    let list = sandbox
        .program("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .args(["--", ".", ":!target"])
        .env("GIT_CONFIG_COUNT", "1")
        // The files may belong to somebody else than the one who tests them.
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*")
        .cwd(source)
        .run()
        .success();
    for name in list.out().split('\0').filter(|name| !name.is_empty()) {
        let from = source.join(name);
        let to = sandbox.project().join(name);
        std::fs::create_dir_all(to.parent().expect("a parent")).expect("a directory");
        // `copy` keeps the mode. What is deleted and not yet committed is skipped.
        if from.is_symlink() {
            symlink(std::fs::read_link(&from).expect("a target"), &to).expect("a link");
        } else if from.exists() {
            std::fs::copy(&from, &to).unwrap_or_else(|e| panic!("{name}: {e}"));
        }
    }
    // Ignore rules are not asked: what was copied above is what is committed.
    let script = "git init -q -b main . && git add -A -f . && git commit -q -m clone";
    sandbox.sh(script).run().success();
    sandbox
}

fn pages() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = vec![PathBuf::from("README.md")];
    for folder in ["docs", "docs/guide", "docs/platform"] {
        for entry in std::fs::read_dir(root.join(folder)).expect("a folder of pages") {
            let path = Path::new(folder).join(entry.expect("an entry").file_name());
            if path.extension().is_some_and(|extension| extension == "md") {
                paths.push(path);
            }
        }
    }
    paths.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(root.join(&path));
        let text = text.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        (path.display().to_string(), text)
    };
    paths.into_iter().map(read).collect()
}

#[test]
fn every_console_block_answers_as_printed() {
    let mut found = Vec::new();
    for (name, page) in pages() {
        if blocks(&page).is_ok_and(|blocks| blocks.iter().all(|block| block.skip)) {
            continue;
        }
        let problems = problems(&cloned(), &page);
        found.extend(problems.into_iter().map(|problem| format!("{name}:{problem}")));
    }
    assert!(found.is_empty(), "{}", found.join("\n\n"));
}

#[test]
fn what_is_not_run_has_a_reason() {
    let mut skipped = Vec::new();
    for (name, page) in pages() {
        for block in blocks(&page).unwrap_or_default().into_iter().filter(|block| block.skip) {
            skipped.push((name.clone(), block.commands[0].text.clone()));
        }
    }
    let mut listed: Vec<(String, String)> =
        SKIPPED.iter().map(|(name, command, _)| ((*name).into(), (*command).into())).collect();
    listed.sort();
    skipped.sort();
    assert_eq!(skipped, listed, "left: `console,skip` in the pages; right: SKIPPED");
    assert!(skipped.len() <= MOST_SKIPPED, "too much is skipped");
}

#[test]
fn a_page_is_taken_apart() {
    let page = "text\n```console\n$ one \\\n  two\nout\n\n> out\n$ cat <<X\n> a\n>\n> X\n```\n\
                ```sh\n$ not this\n```\n- list\n  ````console,fails=4\n  $ a\n  $ b\n  ```\n  ````\n\
                ```console,skip\n$ c\n```\n";
    let command = |line, text: &str, output: &str, status| Command {
        line,
        text: text.to_owned(),
        output: output.to_owned(),
        status,
    };
    let block = |commands, skip| Block { commands, skip };
    let expected = vec![
        block(
            vec![
                command(3, "one \\\n  two", "out\n\n> out\n", 0),
                command(8, "cat <<X\na\n\nX", "", 0),
            ],
            false,
        ),
        block(vec![command(18, "a", "", 0), command(19, "b", "```\n", 4)], false),
        block(vec![command(23, "c", "", 0)], true),
    ];
    assert_eq!(blocks(page), Ok(expected));
}

#[test]
fn a_block_that_cannot_be_read_is_a_problem() {
    let of = |page| blocks(page).expect_err("a problem");
    assert_eq!(of("```console\n$ a\n"), "1: the block has no end");
    assert_eq!(of("```console,fail=4\n$ a\n```"), "1: unknown option \"fail=4\"");
    assert_eq!(of("```console\na\n```"), "1: line 2 is output of no command");
    assert_eq!(of("\n```console\n```"), "2: no command in it");
}

#[test]
fn commands_of_cargo_are_those_of_the_built_program() {
    assert_eq!(rewritten("cargo run -q -- get A"), Ok(Some("vault get A".into())));
    assert_eq!(rewritten("cargo run -- get A"), Ok(Some("vault get A".into())));
    let set = rewritten("A=b C_D=e cargo run -q -- get A=f cargo");
    assert_eq!(set, Ok(Some("A=b C_D=e vault get A=f cargo".into())));
    assert_eq!(rewritten("cargo test"), Ok(None));
    assert_eq!(rewritten("cargo fly"), Err("no rule for `cargo fly`".into()));
    assert_eq!(rewritten("echo cargo"), Ok(Some("echo cargo".into())));
}

#[test]
fn a_true_page_has_no_problem_and_its_shell_persists() {
    let page = "```console\n$ mkdir d && cd d && export A=1\n$ cat <<X\n> $A\n> X\n1\n\
                $ echo to stderr >&2; printf 'no newline'\nto stderr\nno newline\n```\n\
                ```console,fails=3\n$ pwd; ls -a\n/[..]/d\n...\n..\n$ (exit 3)\n```";
    assert_eq!(problems(&Sandbox::new(), page), Vec::<String>::new());
}

#[test]
fn a_false_page_is_found_out() {
    let problems = |page| problems(&Sandbox::new(), page);
    assert_eq!(
        problems("```console\n$ echo a\nb\n```"),
        ["2: $ echo a\n--- expected, status 0\nb\n--- actual, status 0\na\n"]
    );
    assert_eq!(
        problems("```console\n$ echo a\n```"),
        ["2: $ echo a\n--- expected, status 0\n--- actual, status 0\na\n"]
    );
    assert_eq!(
        problems("```console\n$ false\n$ true\n```"),
        ["2: $ false\n--- expected, status 0\n--- actual, status 1\n"]
    );
    assert_eq!(
        problems("```console,fails=4\n$ true\n```"),
        ["2: $ true\n--- expected, status 4\n--- actual, status 0\n"]
    );
    assert_eq!(problems("```console\n$ exit 0\n$ echo a\na\n```").len(), 2);
}

#[test]
fn every_test_that_the_threat_model_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: PathBuf| std::fs::read_to_string(path).expect("a text");
    let tests: String = std::fs::read_dir(root.join("tests/it"))
        .expect("tests/it")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_file())
        .map(read)
        .collect();
    let page = read(root.join("docs/threat-model.md"));
    let rows = page.lines().filter_map(|line| line.trim_end().strip_suffix("` |"));
    let names: Vec<&str> =
        rows.filter_map(|row| row.rsplit_once("| `").map(|(_, name)| name)).collect();
    assert!(names.len() > 20, "the table of attacks was not found");
    for name in names {
        assert!(tests.contains(&format!("#[test]\nfn {name}()")), "there is no test `{name}`");
    }
}
