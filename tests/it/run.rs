//! `vault run`: what starts, what refuses to start, and how it ends.
//!
//! The environment of the command has a file of its own, `run_environment`,
//! and so has where the private key comes from, `run_key`.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "helpers of tests have to fail the test, and the files they write hold no secrets"
)]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rustix::process::Signal;

use crate::support::needs::{needs, needs_other_user};
use crate::support::sandbox::Sandbox;

/// What stands in front of each command here.
const RUN: [&str; 4] = ["run", "-e", "staging", "--"];

/// A project with the environments that `init` makes, and these values in staging.
#[track_caller]
fn project(values: &[&str]) -> Sandbox {
    let sandbox = Sandbox::new();
    let made = sandbox.vault(["init", "--name", "alice"]).run();
    made.expect_that(0, "a new project", |output| output.stdout.is_empty());
    store(&sandbox, "staging", values);
    sandbox
}

#[track_caller]
fn store(sandbox: &Sandbox, environment: &str, values: &[&str]) {
    if !values.is_empty() {
        sandbox.vault(["set", "-e", environment]).args(values).run().expect(0, "", "");
    }
}

#[track_caller]
fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
}

/// Runs `touch marker` behind these words; the refusal has to be exactly this, and `touch` never begins.
#[track_caller]
fn refuses(sandbox: &Sandbox, words: &[&str], stderr: &str) {
    sandbox.vault(words).args(["touch", "marker"]).run().expect(125, "", stderr);
    assert!(!sandbox.path("project/marker").exists(), "the command began");
}

#[test]
fn stored_values_reach_the_command() {
    let sandbox = project(&["GREETING=hello there", "EMPTY=", "LINES=a\nb"]);
    let script = r#"printf '%s|%s|%s' "$GREETING" "${EMPTY-unset}" "$LINES""#;
    sandbox.vault(RUN).args(["sh", "-c", script]).run().expect(0, "hello there||a\nb", "");
}

#[test]
fn input_and_output_are_those_of_the_command() {
    let sandbox = project(&["A=1"]);
    let script = "cat; echo err >&2";
    let run = sandbox.vault(RUN).args(["sh", "-c", script]).stdin("in \u{e9}\n");
    run.run().expect(0, "in \u{e9}\n", "err\n");
}

#[test]
fn the_end_is_the_same_as_without_vault() {
    let sandbox = project(&["A=1"]);
    for script in [
        "exit 0",
        "exit 1",
        "exit 42",
        "exit 125",
        "exit 255",
        "kill -TERM $$",
        "kill -SEGV $$",
        "kill -INT $$",
        "kill -HUP $$",
        "kill -QUIT $$",
        "kill -ABRT $$",
        "kill -PIPE $$",
        "kill -KILL $$",
    ] {
        // No core files, so that the status says the same about one on every machine.
        let script = format!("ulimit -c 0; echo out; echo err >&2; {script}");
        let alone = sandbox.sh(&script).run();
        let run = sandbox.vault(RUN).args(["sh", "-c", &script]).run();
        assert_eq!(
            (run.status, run.out(), run.err()),
            (alone.status, "out\n", "err\n"),
            "{script}"
        );
    }
    let run = sandbox.vault(RUN).args(["sh", "-c", "kill -TERM $$"]).run();
    run.expect_signal(Signal::TERM, "", "");
}

#[test]
fn what_is_not_there_is_127() {
    let sandbox = project(&["A=1"]);
    sandbox.write("project/file", "");
    sandbox.write("project/orphan", "#!/no/such/interpreter\n");
    set_mode(&sandbox.path("project/orphan"), 0o755);
    for command in ["no-such-command", "./no-such-command", "/no/such/command", "file/command"] {
        let stderr = format!("vault: `{command}`: command not found\n");
        sandbox.vault(RUN).arg(command).run().expect(127, "", &stderr);
    }
    // A word behind `--` is the command, whatever it looks like.
    sandbox.vault(RUN).arg("-x").run().expect(127, "", "vault: `-x`: command not found\n");
    sandbox.vault(RUN).arg("./orphan").run().expect_like(127, "", "vault: `./orphan`[..]\n");
}

#[test]
fn what_can_not_be_executed_is_126() {
    let sandbox = project(&["A=1"]);
    sandbox.write("project/bin/plain", "#!/bin/sh\n");
    sandbox.sh("mkdir folder bin/folder; ln -s loop loop").run().success();
    for command in ["./folder", "bin/plain", "/", "."] {
        let run = sandbox.vault(RUN).arg(command).run();
        if command == "." {
            // A name without a slash is looked for in PATH, where each folder has a `.`.
            run.expect_like(126, "", "vault: `.` can't be executed: [..]\n");
        } else {
            let stderr = format!("vault: `{command}` can't be executed: permission denied\n");
            run.expect(126, "", &stderr);
        }
    }
    sandbox.vault(RUN).arg("./loop").run().expect_like(
        126,
        "",
        "vault: `./loop` can't be executed: too many levels of symbolic links[..]\n",
    );
    let path = sandbox.path("project/bin");
    let run = |command: &str| sandbox.vault(RUN).arg(command).env("PATH", &path).run();
    for command in ["plain", "folder"] {
        let stderr = format!("vault: `{command}` can't be executed: permission denied\n");
        run(command).expect(126, "", &stderr);
    }
}

#[test]
fn a_program_closed_to_an_ordinary_user_is_126() {
    let (Some(user), true) = (needs_other_user(), needs("setpriv")) else { return };
    let sandbox = project(&["A=1"]);
    sandbox.write("project/closed", "#!/bin/sh\necho began\n");
    sandbox.write("project/dark/tool", "#!/bin/sh\necho began\n");
    set_mode(&sandbox.path("project/dark/tool"), 0o755);
    std::fs::copy(env!("CARGO_BIN_EXE_vault"), sandbox.path("vault")).expect("a copy of vault");
    let user = user.to_string();
    let all = sandbox.path("");
    sandbox.program("chown", ["-R", &format!("{user}:{user}")]).arg(all).run().success();
    sandbox.sh("chown root closed dark && chmod 700 closed dark").run().success();
    let vault = sandbox.path("vault");
    for command in ["./closed", "dark/tool"] {
        let run = sandbox
            .program("setpriv", ["--reuid", &user, "--regid", &user, "--clear-groups"])
            .arg(&vault)
            .args(RUN)
            .arg(command);
        let stderr = format!("vault: `{command}` can't be executed: permission denied\n");
        run.run().expect(126, "", &stderr);
    }
}

#[test]
fn a_wrong_command_line_is_125_and_nothing_starts() {
    let sandbox = project(&["A=1"]);
    let hint = "hint: put `--` before the command: vault run [OPTIONS] -- CMD\n";
    refuses(
        &sandbox,
        &["run", "-e", "staging", "--frobnicate"],
        &format!("vault: unexpected argument `--frobnicate` found\n{hint}"),
    );
    refuses(
        &sandbox,
        &["run", "-e", "staging", "-x", "--"],
        &format!("vault: unexpected argument `-x` found\n{hint}"),
    );
    refuses(
        &sandbox,
        &["run", "-e", "staging", "--onyl", "A"],
        "vault: unexpected argument `--onyl` found\nhint: did you mean `--only`?\n",
    );
    refuses(
        &sandbox,
        &["run", "-e", "staging", ""],
        "vault: the command to run is an empty word\n",
    );
    for words in [&["run", "-e", "staging"][..], &RUN] {
        sandbox.vault(words).run().expect(
            125,
            "",
            "vault: there is no command to run\nhint: vault run -e ENV -- CMD\n",
        );
    }
    for list in ["a-b", "A B", "1A"] {
        refuses(
            &sandbox,
            &["run", "-e", "staging", "--only", list, "--"],
            &format!(
                "vault: `{list}`: a variable name is letters, digits and `_`, and does not begin with a digit\n"
            ),
        );
    }
}

#[test]
fn without_a_key_nothing_starts() {
    let sandbox = project(&["A=1"]);
    std::fs::remove_dir_all(sandbox.path("home/.config/vault")).expect("the identity's folder");
    refuses(&sandbox, &RUN, crate::vaults::NO_KEY);
    let bob = sandbox.another_home("bob");
    let made = bob.vault(["key", "new"]).run();
    made.expect_that(0, "a key that is no member's", |output| output.out().starts_with("age1"));
    bob.vault(RUN).args(["touch", "marker"]).run().expect_like(
        125,
        "",
        "vault: [..]\nhint: `vault request -e staging` asks its members to grant you access: alice\n",
    );
    assert!(!sandbox.path("project/marker").exists());
}

#[test]
fn an_environment_that_is_not_there_is_told_with_its_neighbour() {
    let sandbox = project(&["A=1"]);
    refuses(
        &sandbox,
        &["run", "-e", "stagin", "--"],
        "vault: there is no environment `stagin`\nhint: did you mean `staging`?\n",
    );
    refuses(
        &sandbox,
        &["run", "-e", "staging,qa", "--"],
        "vault: there is no environment `qa`\n\
         hint: the environments are development, production, staging\n",
    );
    refuses(
        &sandbox,
        &["run", "--"],
        "vault: no environment is named: neither `-e`, nor VAULT_ENV, nor `default` in vault.toml\n\
         hint: add `-e development`; the environments are development, production, staging\n",
    );
    let elsewhere = sandbox.another_home("bob").with_project("elsewhere");
    elsewhere.vault(RUN).arg("true").run().expect_like(
        125,
        "",
        "vault: there is no vault here[..]\nhint: make one with `vault init`\n",
    );
}

#[test]
fn a_damaged_file_stops_everything() {
    let sandbox = project(&["A=1", "B=2"]);
    let text = sandbox.read("project/envs/staging.toml");
    // The last of the value's characters before its end, where each bit is authenticated.
    let at = text.rfind("\"\n").expect("the end of a value") - 10;
    let other = if text.as_bytes()[at] == b'A' { "B" } else { "A" };
    let damaged = format!("{}{other}{}", &text[..at], &text[at + 1..]);
    sandbox.write("project/envs/staging.toml", damaged);
    let run = |words: &[&str]| sandbox.vault(words).args(["touch", "marker"]).run();
    run(&RUN).expect_like(125, "", "vault: envs/staging.toml:[..]\n...");
    // Not even where the damaged value would not be passed.
    run(&["run", "-e", "staging", "--only", "A", "--"]).expect_like(
        125,
        "",
        "vault: envs/staging.toml:[..]\n...",
    );
    sandbox.write("project/envs/staging.toml", "vault = 1\n");
    run(&["run", "-e", "development,staging", "--"]).expect_like(
        125,
        "",
        "vault: envs/staging.toml[..]\n...",
    );
    assert!(!sandbox.path("project/marker").exists(), "the command began");
}

#[test]
fn the_reason_comes_as_json_where_that_is_asked_for() {
    let sandbox = project(&["A=1"]);
    refuses(
        &sandbox,
        &["run", "--json", "-e", "stagin", "--"],
        "{\"error\":{\"code\":\"not-found\",\"env\":\"stagin\",\"hint\":\"did you mean `staging`?\",\
         \"message\":\"there is no environment `stagin`\"}}\n",
    );
}

#[test]
fn what_stands_behind_the_command_belongs_to_it() {
    let sandbox = project(&["A=1"]);
    let script = r#"printf '%s|' "$0" "$@""#;
    let words = ["sh", "-c", script, "-e", "production", "--json", "--help", "-V", "--", "-v", ""];
    let expected = "-e|production|--json|--help|-V|--|-v||";
    for before in [&["run", "-e", "staging", "--"][..], &["-e", "staging", "run"]] {
        sandbox.vault(before).args(words).run().expect(0, expected, "");
    }
    // One `--` is taken off, the next one is a word like any other.
    let run = sandbox.vault(RUN).args(["printf", "%s|", "--", "a"]).run();
    run.expect(0, "--|a|", "");
    sandbox.vault(RUN).arg("--").arg("true").run().expect(
        127,
        "",
        "vault: `--`: command not found\n",
    );
}

#[test]
fn global_flags_count_before_and_after_the_word_run() {
    let sandbox = project(&["A=staging"]);
    store(&sandbox, "production", &["A=production"]);
    for words in [
        &["-e", "staging", "run"][..],
        &["run", "--env=staging"],
        &["-e", "production", "run", "-e", "staging"],
        &["-d", ".", "run", "-e", "production", "-e", "staging", "--"],
    ] {
        sandbox.vault(words).args(["printenv", "A"]).run().expect(0, "staging\n", "");
    }
}

#[test]
fn later_environments_win() {
    let sandbox = project(&["A=staging", "B=staging"]);
    store(&sandbox, "development", &["B=development", "C=development"]);
    let script = "echo $A $B $C";
    for (list, expected) in [
        ("development,staging", "staging staging development\n"),
        ("staging,development", "staging development development\n"),
        ("staging, development", "staging development development\n"),
        ("staging,development,staging", "staging staging development\n"),
        ("staging", "staging staging\n"),
    ] {
        let run = sandbox.vault(["run", "-e", list, "sh", "-c", script]).run();
        run.expect(0, expected, "");
    }
}

#[test]
fn the_environment_is_the_flag_then_the_variable_then_the_default() {
    let sandbox = project(&["WHICH=staging"]);
    store(&sandbox, "production", &["WHICH=production"]);
    store(&sandbox, "development", &["WHICH=development"]);
    sandbox.write("project/vault.toml", "default = \"development\"\n");
    let run = |words: &[&str]| sandbox.vault(words).args(["printenv", "WHICH"]);
    run(&["run"]).run().expect(0, "development\n", "");
    run(&["run"]).env("VAULT_ENV", "").run().expect(0, "development\n", "");
    run(&["run"]).env("VAULT_ENV", "production").run().expect(0, "production\n", "");
    run(&["run"]).env("VAULT_ENV", "production,staging").run().expect(0, "staging\n", "");
    run(&["run", "-e", "staging"]).env("VAULT_ENV", "production").run().expect(0, "staging\n", "");
    // A wrong name higher up never falls back to what stands below it.
    run(&["run"]).env("VAULT_ENV", "prod").run().expect_like(
        125,
        "",
        "vault: VAULT_ENV: there is no environment `prod`\nhint: [..]\n",
    );
    sandbox.write("project/vault.toml", "default = \"qa\"\n");
    let told = "vault: vault.toml: there is no environment `qa`\nhint: [..]\n";
    run(&["run"]).run().expect_like(125, "", told);
}

#[test]
fn a_script_without_an_interpreter_line_goes_through_the_shell() {
    let sandbox = project(&["GREETING=hello"]);
    sandbox.write("project/bin/script", "echo \"$0|$1|$GREETING\"\n");
    set_mode(&sandbox.path("project/bin/script"), 0o755);
    let run = |command: &str| {
        let path = format!("{}:/usr/bin:/bin", sandbox.path("project/bin").display());
        sandbox.vault(RUN).args([command, "an argument"]).env("PATH", path).run()
    };
    run("bin/script").expect(0, "bin/script|an argument|hello\n", "");
    // As execvp does it, the shell is told where the script was found.
    run("script").expect(0, "$SANDBOX/project/bin/script|an argument|hello\n", "");
}

#[test]
fn the_command_is_called_by_the_name_that_was_typed() {
    let sandbox = project(&["A=1"]);
    let line = sandbox.vault(RUN).args(["cat", "/proc/self/cmdline"]).run();
    line.expect(0, "cat\0/proc/self/cmdline\0", "");
    sandbox.sh("ln -s \"$(command -v cat)\" kitten").run().success();
    let line = sandbox.vault(RUN).args(["./kitten", "/proc/self/cmdline"]).run();
    line.expect(0, "./kitten\0/proc/self/cmdline\0", "");
}

#[test]
fn the_working_directory_stays() {
    let sandbox = project(&["A=1"]);
    sandbox.sh("mkdir -p deep/down").run().success();
    let run = sandbox.vault(RUN).args(["sh", "-c", "pwd; echo $A"]).cwd("deep/down").run();
    run.expect(0, "$SANDBOX/project/deep/down\n1\n", "");
    let run =
        sandbox.vault(["run", "-d", "../project", "-e", "staging", "pwd"]).cwd("../tmp").run();
    run.expect(0, "$SANDBOX/tmp\n", "");
}

#[test]
fn a_folder_in_the_search_path_may_be_relative_or_empty() {
    let sandbox = project(&["A=1"]);
    for (file, says) in [("project/here", "here"), ("project/bin/tool", "tool")] {
        sandbox.write(file, format!("#!/bin/sh\necho {says}\n"));
        set_mode(&sandbox.path(file), 0o755);
    }
    let run = |path: &str, command: &str| sandbox.vault(RUN).arg(command).env("PATH", path).run();
    run("/usr/bin:bin", "tool").expect(0, "tool\n", "");
    for path in [":/usr/bin", "/usr/bin:", "/usr/bin::/bin", "."] {
        run(path, "here").expect(0, "here\n", "");
    }
    let told = "vault: `here`: command not found\nhint: did you mean `./here`?\n";
    run("/usr/bin", "here").expect(127, "", told);
    // No PATH at all: where execvp looks.
    let run = sandbox.vault(RUN).args(["sh", "-c", "echo began"]).env_remove("PATH").run();
    run.expect(0, "began\n", "");
}

#[test]
fn a_file_that_can_not_be_executed_is_passed_over_in_the_search() {
    let sandbox = project(&["A=1"]);
    for (folder, mode) in [("first", 0o644), ("second", 0o755)] {
        let file = format!("project/{folder}/tool");
        sandbox.write(&file, format!("#!/bin/sh\necho {folder}\n"));
        set_mode(&sandbox.path(&file), mode);
    }
    let run = sandbox.vault(RUN).arg("tool").env("PATH", "first:second:/bin").run();
    run.expect(0, "second\n", "");
}

#[test]
fn run_writes_nothing_anywhere() {
    let sandbox = project(&["A=1"]);
    let before = sandbox.snapshot();
    sandbox.vault(RUN).arg("true").run().expect(0, "", "");
    refuses(
        &sandbox,
        &["run", "-e", "stagin", "--"],
        "vault: there is no environment `stagin`\nhint: did you mean `staging`?\n",
    );
    sandbox.assert_unchanged_since(&before);
}
