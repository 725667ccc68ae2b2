//! How `vault` ends and what it says then: the table of exit statuses, errors
//! as JSON, what was perhaps meant, colour, and global flags.

#![allow(clippy::expect_used, reason = "helpers of tests are not #[test]")]

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::run::Run;
use crate::support::sandbox::Sandbox;

/// A sandbox whose staging has `NAME=value`, and an empty production.
#[track_caller]
fn project() -> Sandbox {
    let sandbox = Sandbox::new();
    let init = sandbox.vault(["init", "-e", "staging,production"]).run();
    init.expect_like(0, "", "...\nhint: [..]\n");
    sandbox.vault(["set", "-e", "staging", "NAME=value"]).run().expect(0, "", "");
    sandbox
}

/// `vault run -e staging -- ARGS`.
fn run(sandbox: &Sandbox, args: &[&str]) -> Run {
    sandbox.vault(["run", "-e", "staging", "--"]).args(args)
}

/// Damages the one stored value.
#[track_caller]
fn damage(sandbox: &Sandbox) {
    let text = sandbox.read("project/envs/staging.toml");
    let at = text.find("\nvalue = \"").expect("a value") + "\nvalue = \"".len() + 80;
    let other = if &text[at..=at] == "A" { "B" } else { "A" };
    sandbox.write("project/envs/staging.toml", [&text[..at], other, &text[at + 1..]].concat());
}

#[test]
fn status_0_is_done() {
    let sandbox = project();
    sandbox.vault(["get", "-e", "staging", "NAME"]).run().expect(0, "value", "");
    run(&sandbox, &["sh", "-c", "echo $NAME"]).run().expect(0, "value\n", "");
    sandbox.vault(["version"]).run().expect_like(0, "vault [..].[..].[..]\n", "");
}

#[test]
fn status_1_is_a_no_or_a_failure_without_its_own_number() {
    let sandbox = project();
    sandbox.vault(["unset", "-e", "staging", "NAME"]).run().expect_like(
        1,
        "",
        "vault: [..]\nhint: [..]\n",
    );
    sandbox.vault(["key", "new"]).run().expect_like(
        1,
        "",
        "vault: there is an identity already[..]\nhint: [..]\n",
    );
    sandbox.vault(["scan"]).run().expect(0, "", "");
    sandbox.write("project/notes", "NAME is value, with its key in .env\n");
    sandbox.write("project/.env", "NAME=other\n");
    sandbox.vault(["scan"]).run().expect_like(1, "...\n.env: [..]\n...", "hint: [..]\n");
}

#[test]
fn status_2_is_usage() {
    let sandbox = project();
    for args in [
        &["nothing"][..],
        &["get"],
        &["get", "-e", "staging"],
        &["get", "--nothing", "NAME"],
        &["get", "-e", "staging", "NA-ME"],
        &["get", "-e", "staging,production", "NAME"],
        &["--color", "pink", "list"],
        &["completions", "basic"],
        &["export", "-e", "staging", "toml"],
        &["set", "-e", "staging", "A", "B"],
    ] {
        let output = sandbox.vault(args).run();
        output.expect_that(2, "an error in our form", |output| {
            output.out().is_empty() && output.err().starts_with("vault: ")
        });
    }
}

#[test]
fn status_3_is_not_found() {
    let sandbox = project();
    sandbox.vault(["get", "-e", "staging", "OTHER"]).run().expect_like(
        3,
        "",
        "vault: staging has no OTHER\nhint: [..]\n",
    );
    sandbox.vault(["get", "-e", "qa", "NAME"]).run().expect_like(
        3,
        "",
        "vault: there is no environment `qa`\nhint: [..]\n",
    );
    sandbox.vault(["list"]).cwd("/").run().expect(
        3,
        "",
        "vault: there is no vault here: no `vault.toml` and no `envs/*.toml` in this folder or above it\n\
         hint: make one with `vault init`\n",
    );
    sandbox.vault(["-d", "none", "list"]).run().expect(
        3,
        "",
        "vault: the folder `none` does not exist\n",
    );
    sandbox.vault(["scan", "none"]).run().expect(3, "", "vault: `none` does not exist\n");
    sandbox.vault(["scan", "--staged"]).run().expect_like(
        3,
        "",
        "vault: `--staged` needs a git repository: [..]\nhint: [..]\n",
    );
}

#[test]
fn status_4_is_no_access() {
    let sandbox = project();
    let other = sandbox.another_home("other");
    let get = || other.vault(["get", "-e", "staging", "NAME"]);
    get().run().expect_like(4, "", "vault: no private key: [..]\nhint: [..]\n");
    get().env("VAULT_KEY_FILE", "none").run().expect(
        4,
        "",
        "vault: the key file `none` does not exist\n",
    );
    other.vault(["key", "new"]).run().expect_like(0, "age1[..]\n", "...\n");
    get().run().expect(
        4,
        "",
        "vault: envs/staging.toml: this key opens nothing here\n\
         hint: `vault request -e staging` asks its members to grant you access: tester\n",
    );
}

#[test]
fn status_5_is_integrity() {
    let sandbox = project();
    damage(&sandbox);
    let get = || sandbox.vault(["get", "-e", "staging", "NAME"]).run();
    get().expect_like(5, "", "vault: envs/staging.toml:[..]NAME[..]\n...\n");
    sandbox.write("project/envs/staging.toml", "no vault\n");
    get().expect_like(5, "", "vault: envs/staging.toml[..]\n...\n");
    sandbox.write("project/bad.env", "A\n");
    sandbox.vault(["import", "-e", "production", "bad.env"]).run().expect_like(
        5,
        "",
        "vault: bad.env:1: [..]\nhint: [..]\n",
    );
}

#[test]
fn status_125_is_run_failing_before_the_command_begins_whatever_the_reason() {
    let sandbox = project();
    let fails = |args: &[&str]| {
        let output = sandbox.vault(["run"]).args(args).run();
        output.expect_that(125, "an error in our form", |output| {
            output.out().is_empty() && output.err().starts_with("vault: ")
        });
    };
    let never = ["--", "touch", "started"];
    let with = |flags: &[&'static str]| [flags, &never].concat();
    fails(&with(&["--nothing"]));
    fails(&with(&["-e", "qa"]));
    fails(&with(&["-e", "staging", "--only", "OTHER"]));
    fails(&with(&["-e", "staging", "--recovery"]));
    fails(&with(&["-e", "a.env"]));
    fails(&["-e", "staging"]);
    fails(&["-e", "staging", ""]);
    sandbox.write("project/vault.toml", "[required]\nOTHER = \"string\"\n");
    fails(&with(&["-e", "staging"]));
    sandbox.write("project/vault.toml", "requierd = 1\n");
    fails(&with(&["-e", "staging"]));
    sandbox.write("project/vault.toml", "");
    damage(&sandbox);
    fails(&with(&["-e", "staging"]));
    assert!(!sandbox.path("project/started").exists());
    // In a working directory that was deleted.
    let vault = env!("CARGO_BIN_EXE_vault");
    let script = format!(
        "mkdir gone && cd gone && rmdir ../gone && exec '{vault}' run -e staging -- touch x"
    );
    sandbox.sh(script).run().expect_like(125, "", "vault: [..]\n...");
}

#[test]
fn status_126_is_found_but_not_executable() {
    let sandbox = project();
    sandbox.write("project/plain", "no program\n");
    run(&sandbox, &["./plain"]).run().expect(
        126,
        "",
        "vault: `./plain` can't be executed: permission denied\n",
    );
    run(&sandbox, &["./envs"]).run().expect(
        126,
        "",
        "vault: `./envs` can't be executed: permission denied\n",
    );
}

#[test]
fn status_127_is_not_found() {
    let sandbox = project();
    for command in ["no-such-command", "./no-such-command", "plain/below"] {
        let error = format!("vault: `{command}`: command not found\n");
        run(&sandbox, &[command]).run().expect(127, "", &error);
    }
}

#[test]
fn the_commands_own_status_and_signal_come_through() {
    let sandbox = project();
    for code in [1, 2, 3, 4, 5, 42, 125, 126, 127, 255] {
        run(&sandbox, &["sh", "-c", &format!("exit {code}")]).run().expect(code, "", "");
    }
    // It is the command, so the parent sees the signal itself; a shell calls it 128+N.
    run(&sandbox, &["sh", "-c", "kill -TERM $$"]).run().expect_signal(Signal::TERM, "", "");
    let vault = env!("CARGO_BIN_EXE_vault");
    for (name, code) in [("TERM", 143), ("INT", 130), ("KILL", 137)] {
        let script = format!("'{vault}' run -e staging -- sh -c 'kill -{name} $$'; echo $?");
        sandbox
            .sh(script)
            .run()
            .expect_that(0, "128 and the signal", |output| output.out() == format!("{code}\n"));
    }
}

/// The error that `--json` gives on stderr.
#[track_caller]
fn json_error(command: Run, code: i32) -> Value {
    let output = command.run().expect_that(code, "one line of JSON on stderr", |output| {
        output.out().is_empty() && output.err().lines().count() == 1
    });
    let value: Value = serde_json::from_slice(&output.stderr).expect("JSON");
    assert_eq!(value.as_object().map(serde_json::Map::len), Some(1), "{value}");
    value["error"].clone()
}

#[test]
fn errors_of_every_kind_are_json_where_it_is_asked_for() {
    let sandbox = project();
    let of = |args: &[&str], code| json_error(sandbox.vault(args), code);
    assert_eq!(
        of(&["--json", "get", "-e", "stagin", "NAME"], 3),
        json!({"code": "not-found", "message": "there is no environment `stagin`",
               "hint": "did you mean `staging`?", "env": "stagin"})
    );
    assert_eq!(
        of(&["get", "-e", "staging", "NAMES", "--json"], 3),
        json!({"code": "not-found", "message": "staging has no NAMES",
               "hint": "did you mean `NAME`?", "env": "staging"})
    );
    assert_eq!(
        of(&["--json", "gett"], 2),
        json!({"code": "usage", "message": "unrecognized subcommand `gett`",
               "hint": "did you mean `get`?"})
    );
    assert_eq!(of(&["--json", "get", "-e", "staging", "A-B"], 2)["code"], "usage");
    assert_eq!(of(&["--json", "unset", "-e", "staging", "NAME"], 1)["code"], "failed");
    assert_eq!(
        of(&["run", "--json", "-e", "staging", "no-such-command"], 127)["code"],
        "command-not-found"
    );
    assert_eq!(of(&["run", "--json", "-e", "staging", "./envs"], 126)["code"], "not-executable");
    assert_eq!(of(&["run", "--json", "-e", "qa", "true"], 125)["code"], "not-found");
    let other = sandbox.another_home("other");
    other.vault(["key", "new"]).run().expect_like(0, "age1[..]\n", "...\n");
    assert_eq!(
        json_error(other.vault(["--json", "get", "-e", "staging", "NAME"]), 4),
        json!({"code": "no-access", "message": "envs/staging.toml: this key opens nothing here",
               "hint": "`vault request -e staging` asks its members to grant you access: tester", "env": "staging"})
    );
    damage(&sandbox);
    let error = of(&["--json", "get", "-e", "staging", "NAME"], 5);
    assert_eq!((&error["code"], &error["env"]), (&json!("integrity"), &json!("staging")));
    // A word of the command's own asks nothing of us.
    let output = sandbox.vault(["run", "-e", "qa", "--", "x", "--json"]).run();
    output.expect_like(125, "", "vault: there is no environment `qa`\nhint: [..]\n");
}

#[test]
fn what_was_perhaps_meant_is_said() {
    let sandbox = project();
    for (args, code, message, near) in [
        (&["exprt"][..], 2, "unrecognized subcommand `exprt`", "export"),
        (&["get", "--fromat", "json", "X"], 2, "unexpected argument `--fromat` found", "--format"),
        (&["list", "--jsn"], 2, "unexpected argument `--jsn` found", "--json"),
        (&["get", "-e", "prodction", "X"], 3, "there is no environment `prodction`", "production"),
        (&["get", "-e", "staging", "NAMEE"], 3, "staging has no NAMEE", "NAME"),
        (&["--color", "alwys", "list"], 2, "invalid value `alwys` for `--color <WHEN>`", "always"),
    ] {
        let text = format!("vault: {message}\nhint: did you mean `{near}`?\n");
        sandbox.vault(args).run().expect(code, "", &text);
    }
}

#[test]
fn the_words_of_another_vault_are_answered() {
    let sandbox = project();
    for (args, meant) in [
        (&["login"][..], "`vault status`"),
        (&["kv", "get", "secret/x"], "`vault get NAME` and `vault set NAME`"),
        (&["-e", "staging", "read", "secret/x"], "`vault get NAME`"),
        (&["server", "-dev"], "`vault init`"),
    ] {
        let word = args.iter().find(|word| ["login", "kv", "read", "server"].contains(word));
        let word = word.unwrap();
        sandbox.vault(args).run().expect(
            2,
            "",
            &format!(
                "vault: this is not HashiCorp Vault, and has no `{word}`\nhint: perhaps you want {meant}\n"
            ),
        );
    }
}

#[test]
fn a_reader_that_has_gone_is_no_failure() {
    let sandbox = project();
    let vault = env!("CARGO_BIN_EXE_vault");
    sandbox.sh("mkfifo gone").run().expect(0, "", "");
    for args in [
        "export -e staging json",
        "list",
        "list --json",
        "status",
        "help",
        "completions bash",
        "version",
    ] {
        // The reader closes its end, then lets the writer begin.
        let script = format!(
            "{{ read _ <gone; '{vault}' {args}; echo \"status $?\" >&2; }} | {{ exec <&-; echo >gone; }}"
        );
        sandbox.sh(script).run().expect(0, "", "status 0\n");
    }
}

#[test]
fn global_flags_stand_before_or_after_and_the_last_one_wins() {
    let sandbox = project();
    sandbox.vault(["set", "-e", "production", "NAME=live"]).run().expect(0, "", "");
    std::fs::create_dir(sandbox.path("elsewhere")).unwrap();
    let away = sandbox.path("elsewhere");
    let project = sandbox.project().to_str().unwrap();
    for (args, value) in [
        (&["-d", project, "-e", "staging", "get", "NAME"][..], "value"),
        (&["get", "-d", project, "NAME", "-e", "staging"], "value"),
        (&["-d", project, "-e", "production", "get", "-e", "staging", "NAME"], "value"),
        (&["-d", project, "get", "-e", "staging", "NAME", "-e", "production"], "live"),
        (&["-d", project, "-e", "staging", "-e", "production", "get", "NAME"], "live"),
        (&["-d", "/nowhere", "-e", "staging", "get", "NAME", "-d", project], "value"),
        (&["-C", project, "get", "--env=staging", "NAME"], "value"),
        (&["--app-root", project, "get", "-estaging", "NAME"], "value"),
    ] {
        sandbox.vault(args).cwd(&away).run().expect(0, value, "");
    }
    sandbox.vault(["-e", "staging", "--json", "get", "--json", "NAME"]).run().expect(
        0,
        "\"value\"\n",
        "",
    );
    // Behind the command's first word they are the command's.
    sandbox
        .vault([
            "run",
            "-e",
            "staging",
            "sh",
            "-c",
            "echo $NAME $*",
            "sh",
            "-e",
            "production",
            "--json",
        ])
        .run()
        .expect(0, "value -e production --json\n", "");
}

const RED: &str = "\u{1b}[1m\u{1b}[31mvault: \u{1b}[0mthere is no environment `qa`\n\
    \u{1b}[36mhint: \u{1b}[0mthe environments are production, staging\n";
const PLAIN: &str = "vault: there is no environment `qa`\n\
    hint: the environments are production, staging\n";

#[test]
fn colour_comes_on_a_terminal_and_where_it_is_forced() {
    let sandbox = project();
    let get =
        |args: &[&str]| sandbox.vault(["get", "-e", "qa", "X"]).args(args).env_remove("NO_COLOR");
    get(&[]).run().expect(3, "", PLAIN);
    get(&["--color", "always"]).run().expect(3, "", RED);
    get(&["--color", "always", "--color", "never"]).run().expect(3, "", PLAIN);
    get(&["--color", "never", "--color=always"]).run().expect(3, "", RED);
    get(&["--color", "always", "--no-color"]).run().expect(3, "", PLAIN);
    get(&[]).env("CLICOLOR_FORCE", "1").run().expect(3, "", RED);
    get(&["--color", "never"]).env("CLICOLOR_FORCE", "1").run().expect(3, "", PLAIN);
    let screen = |run: Run| {
        let (text, status) = run.on_terminal().expect_end();
        assert_eq!(status.code(), Some(3), "{text}");
        text
    };
    let xterm = || get(&[]).env("TERM", "xterm");
    assert_eq!(screen(xterm()), RED);
    assert_eq!(screen(xterm().env("NO_COLOR", "")), RED);
    assert_eq!(screen(xterm().env("NO_COLOR", "1")), PLAIN);
    assert_eq!(screen(xterm().arg("--color=never")), PLAIN);
    assert_eq!(screen(xterm().env("NO_COLOR", "1").arg("--color=always")), RED);
    assert_eq!(screen(xterm().env("TERM", "dumb")), PLAIN);
}

#[test]
fn the_last_of_the_colour_flags_wins_by_either_name() {
    let sandbox = project();
    for off in ["--no-color", "--no-colour"] {
        sandbox.vault([off, "--color", "always", "get", "-e", "qa", "X"]).run().expect(3, "", RED);
    }
}

#[test]
fn a_wrong_command_line_heeds_the_colour_flag_too() {
    let sandbox = project();
    sandbox.vault(["--color", "always", "exprt"]).run().expect(
        2,
        "",
        "\u{1b}[1m\u{1b}[31mvault: \u{1b}[0munrecognized subcommand `exprt`\n\
         \u{1b}[36mhint: \u{1b}[0mdid you mean `export`?\n",
    );
    let plain = sandbox.vault(["--color", "never", "exprt"]).env("CLICOLOR_FORCE", "1");
    plain.run().expect(
        2,
        "",
        "vault: unrecognized subcommand `exprt`\nhint: did you mean `export`?\n",
    );
}

#[test]
fn an_unknown_setting_is_told_with_its_line_and_what_was_meant() {
    let sandbox = project();
    sandbox.write("project/vault.toml", "# ours\ndefalt = \"staging\"\n");
    sandbox.vault(["get", "-e", "staging", "NAME"]).run().expect(
        5,
        "",
        "vault: vault.toml:2: unknown field `defalt`\nhint: did you mean `default`?\n",
    );
    sandbox.write("project/vault.toml", "[runner]\ntimeout = \"5s\"\nnonsense = 1\n");
    sandbox.vault(["get", "-e", "staging", "NAME"]).run().expect_like(
        5,
        "",
        "vault: vault.toml:3: unknown field `nonsense`\nhint: possible here: [..]timeout[..]\n",
    );
    sandbox.write("project/vault.toml", "[required\n");
    sandbox.vault(["get", "-e", "staging", "NAME"]).run().expect_like(
        5,
        "",
        "vault: vault.toml:1: [..]not TOML[..]\n...\n",
    );
}
