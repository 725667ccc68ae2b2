//! The workflows of the documentation, with the commands that they call, on branches as they come in.
#![allow(clippy::unwrap_used, reason = "helpers of tests are not #[test]")]

use std::os::unix::fs::PermissionsExt as _;

use crate::clones::*;
use crate::support::needs::needs_python;
use crate::support::run::Output;
use crate::support::sandbox::Sandbox;
use crate::team;
use crate::vaults::{table, without};

const GITHUB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/guide/review-github.yml");
const GITLAB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/guide/review-gitlab.yml");

/// Somebody's machine without a key, with a full clone whose branch `branch` is checked out, and a `cargo` that
/// installs nothing: the program is there.
fn machine(alice: &Sandbox, name: &str) -> Sandbox {
    let machine = alice.another_home(name).with_project(format!("work/{name}"));
    sh(
        &machine,
        &format!("git clone -q '{}' . && git checkout -q branch", alice.project().display()),
    );
    let bin = format!("people/{name}/bin");
    machine.write(format!("{bin}/cargo"), "#!/bin/sh\n[ \"$*\" = 'install --locked procvault' ]\n");
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(machine.path(format!("{bin}/cargo")), mode).unwrap();
    let program = env!("CARGO_BIN_EXE_vault");
    std::os::unix::fs::symlink(program, machine.path(format!("{bin}/vault"))).unwrap();
    machine
}

/// Runs the commands of a workflow up to the first one that fails; what that said, or the last one.
#[track_caller]
fn review(alice: &Sandbox, name: &str, file: &str) -> Option<Output> {
    let python = needs_python("yaml")?;
    let machine = machine(alice, name);
    let script = "import json, sys, yaml\nwhole = yaml.safe_load(open(sys.argv[1]))\n\
        steps = whole['jobs']['review']['steps'] if 'jobs' in whole else []\n\
        print(json.dumps([step['run'] for step in steps if 'run' in step] or whole['vault-review']['script']))";
    let commands = machine.program(python, ["-c", script, file]).run().success();
    let commands: Vec<String> = serde_json::from_slice(&commands.stdout).unwrap();
    assert!(commands.iter().any(|line| line.starts_with("vault check --against ")), "{commands:?}");
    let bin = machine.path(format!("people/{name}/bin")).display().to_string();
    let mut last = None;
    for command in commands {
        let script = format!("PATH='{bin}':$PATH\n{command}");
        let run = machine.program("bash", ["-eo", "pipefail", "-c", &script]);
        let run = run.env("GITHUB_BASE_REF", "main");
        let output = run.env("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "main").run();
        let failed = output.code() != Some(0);
        last = Some(output);
        if failed {
            break;
        }
    }
    last
}

#[test]
fn a_branch_that_does_what_people_do_passes_without_a_key() {
    let (alice, _bob) = two();
    sh(&alice, "git checkout -q -b branch");
    set(&alice, &["NEW=1", "ALPHA=2"]);
    sh(&alice, "git checkout -q main");
    for (name, file) in [("github", GITHUB), ("gitlab", GITLAB)] {
        let Some(output) = review(&alice, name, file) else { return };
        output.expect_that(0, "all of it passes", |_| true);
    }
}

#[test]
fn a_branch_that_puts_back_or_lets_out_is_stopped_at_its_line() {
    let (alice, _bob) = two();
    let earlier = table(&team::text(&alice), "secrets.ALPHA");
    set(&alice, &["ALPHA=2"]);
    sh(&alice, "git checkout -q -b branch");
    let text = team::text(&alice);
    let text = text.replace(&table(&text, "secrets.ALPHA"), &earlier);
    team::put(&alice, without(&text, "members.bob"));
    sh(&alice, "git commit -qam hostile && git checkout -q main");
    let Some(github) = review(&alice, "github", GITHUB) else { return };
    github.expect_that(1, "annotations", |output| {
        output.out().contains("::error file=envs/staging.toml,line=")
            && output.out().contains("::staging: ALPHA put back to an earlier value\n")
            && output.out().contains("::staging: member bob deleted without a record\n")
    });
    let Some(gitlab) = review(&alice, "gitlab", GITLAB) else { return };
    gitlab.expect_that(1, "lines", |output| {
        output.out().contains("error: staging: ALPHA put back to an earlier value\n")
    });
    // Plaintext is found where all else is as it should be.
    sh(&alice, "git checkout -q branch && git reset -q --hard main");
    alice.write("project/.env", "PASSWORD=some-value\n");
    sh(&alice, "git add -f .env && git commit -qm plaintext && git checkout -q main");
    let Some(found) = review(&alice, "plaintext", GITHUB) else { return };
    found.expect_that(1, "the file", |output| output.out().contains(".env"));
}
