//! `vault init`: what it makes, for whom, and what it leaves alone.

#![allow(clippy::expect_used, reason = "helpers of tests are not #[test]")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::support::needs::{needs, needs_other_user};
use crate::support::pty::Terminal;
use crate::support::run::Run;
use crate::support::sandbox::Sandbox;

/// What a first `vault init` says, up to the names.
const MADE_ALL: &str = "vault: made your private key: $SANDBOX/home/.config/vault/identity\n\
    vault: made envs/development.toml\n\
    vault: made envs/staging.toml\n\
    vault: made envs/production.toml\n\
    vault: you are the member tester (key [..])\n\
    hint: `vault set -e development NAME` stores a value; then commit the folder `envs`\n";

#[track_caller]
fn project() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.vault(["init"]).run().expect_like(0, "", MADE_ALL);
    sandbox
}

/// A project whose staging has the members alice and bob and one value, for
/// whoever has one of their published keys.
fn two_members() -> (Sandbox, impl Fn(&str, &[&str]) -> Run) {
    let sandbox = Sandbox::new();
    let case =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/format1/good/two-members-proof");
    let file = std::fs::read(case.join("staging.toml")).expect("a vault file");
    sandbox.write("project/envs/staging.toml", file);
    let program = PathBuf::from(env!("CARGO_BIN_EXE_vault"));
    let base = sandbox.program(program, std::iter::empty::<&str>());
    let run = move |who: &str, args: &[&str]| {
        base.clone().env("VAULT_KEY_FILE", case.join(format!("{who}.key"))).args(args)
    };
    (sandbox, run)
}

/// The value of a line `FIELD = "…"`.
#[track_caller]
fn field(sandbox: &Sandbox, environment: &str, name: &str) -> String {
    let text = sandbox.read(format!("project/envs/{environment}.toml"));
    let line = text.lines().find(|line| line.starts_with(&format!("{name} = ")));
    line.expect("the field").to_owned()
}

#[track_caller]
fn json(sandbox: &Sandbox, args: &[&str]) -> serde_json::Value {
    let output = sandbox.vault(["--json"]).args(args).run().success();
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn a_first_init_makes_a_key_for_nobody_else_and_three_environments() {
    let sandbox = project();
    assert_eq!(sandbox.mode("home/.config/vault"), 0o700);
    assert_eq!(sandbox.mode("home/.config/vault/identity"), 0o600);
    for name in ["development", "staging", "production"] {
        assert!(sandbox.path(format!("project/envs/{name}.toml")).is_file(), "{name}");
        sandbox.vault(["export", "-e", name, "json"]).run().expect(0, "{}\n", "");
    }
    let ids: Vec<String> =
        ["development", "staging", "production"].map(|name| field(&sandbox, name, "id")).into();
    assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2], "{ids:?}");
}

#[test]
fn a_second_init_changes_nothing() {
    let sandbox = project();
    let before = sandbox.snapshot();
    sandbox.vault(["init"]).run().expect_like(
        0,
        "",
        "vault: nothing to do: development, staging, production are there already\n",
    );
    sandbox.vault(["init", "-e", "staging"]).run().expect_like(
        0,
        "",
        "vault: nothing to do: staging is there already\n",
    );
    sandbox.assert_unchanged_since(&before);
}

#[test]
fn environments_are_named_by_repeating_the_flag_or_by_a_list() {
    let sandbox = Sandbox::new();
    sandbox.vault(["init", "--env", "eu", "--env", "us", "-e", "qa,demo"]).run().expect_like(
        0,
        "",
        "vault: made your private key: [..]\n\
         vault: made envs/eu.toml\n\
         vault: made envs/us.toml\n\
         vault: made envs/qa.toml\n\
         vault: made envs/demo.toml\n\
         vault: you are the member tester (key [..])\n\
         hint: `vault set -e eu NAME` stores a value; then commit the folder `envs`\n",
    );
    assert!(!sandbox.path("project/envs/staging.toml").exists());
    // A project that has chosen its own environments does not get the usual ones later.
    let before = sandbox.snapshot();
    sandbox.vault(["init"]).run().expect_like(0, "", "vault: nothing to do: [..]\n");
    sandbox.assert_unchanged_since(&before);
}

#[test]
fn an_environment_named_twice_is_made_once() {
    let sandbox = Sandbox::new();
    sandbox.vault(["init", "-e", "eu,eu", "-e", "eu"]).run().expect_like(
        0,
        "",
        "vault: made your private key: [..]\n\
         vault: made envs/eu.toml\n\
         vault: you are the member tester (key [..])\nhint: [..]\n",
    );
}

#[test]
fn an_existing_vault_gets_more_environments_from_any_folder_below() {
    let sandbox = project();
    sandbox.write("project/deep/er/keep", "");
    let staging = sandbox.read("project/envs/staging.toml");
    sandbox.vault(["init", "-e", "staging,eu"]).cwd("deep/er").run().expect_like(
        0,
        "",
        "vault: made ../../envs/eu.toml\n\
         vault: you are the member tester (key [..])\nhint: `vault set -e eu NAME` [..]\n",
    );
    assert_eq!(sandbox.read("project/envs/staging.toml"), staging);
    assert!(!sandbox.path("project/deep/er/envs").exists());
    sandbox.vault(["set", "-e", "eu", "A=1"]).run().expect(0, "", "");
}

#[test]
fn the_member_is_named_by_the_flag_then_git_then_the_login() {
    let member = |prepare: &dyn Fn(&Sandbox, Run) -> Run| {
        let sandbox = Sandbox::new();
        let run = prepare(&sandbox, sandbox.vault(["init", "-e", "one"]));
        run.run().expect_like(
            0,
            "",
            "...\nvault: you are the member [..] (key [..])\nhint: [..]\n",
        );
        json(&sandbox, &["status"])["environments"][0]["me"].as_str().unwrap().to_owned()
    };
    let with_mail = |mail: &str| {
        let mail = mail.to_owned();
        move |sandbox: &Sandbox, run: Run| {
            sandbox.write("gitconfig", format!("[user]\n\temail = {mail}\n"));
            run.env("GIT_CONFIG_GLOBAL", sandbox.path("gitconfig"))
        }
    };
    assert_eq!(member(&|_, run| run), "tester");
    assert_eq!(member(&|_, run| run.env("USER", "Ann.Marie")), "ann-marie");
    if needs("git") {
        assert_eq!(member(&with_mail("Alice.B@example.org")), "alice-b");
        // An address without a usable local part falls back to the login.
        assert_eq!(member(&with_mail("…@example.org")), "tester");
        let both = |sandbox: &Sandbox, run: Run| {
            with_mail("alice@example.org")(sandbox, run).args(["--name", "carol"])
        };
        assert_eq!(member(&both), "carol");
    }
}

#[test]
fn root_is_no_name_for_a_member_and_is_asked() {
    let sandbox = Sandbox::new();
    let before = sandbox.snapshot();
    let init = || sandbox.vault(["init"]).env("USER", "root");
    init().run().expect(
        2,
        "",
        "vault: your member name can't be told from git's user.email or from USER\n\
         hint: add `--name ME`\n",
    );
    sandbox.assert_unchanged_since(&before);
    let mut terminal = init().on_terminal();
    terminal.expect("Your member name: ");
    terminal.type_line("not a name");
    let (text, status) = terminal.expect_end();
    assert_eq!(status.code(), Some(2), "{text}");
    sandbox.assert_unchanged_since(&before);
    let mut terminal = init().on_terminal();
    terminal.expect("Your member name: ");
    terminal.type_line("dana");
    terminal.expect("you are the member dana");
    let (text, status) = terminal.expect_end();
    assert_eq!(status.code(), Some(0), "{text}");
}

#[test]
fn an_identity_that_is_there_is_used() {
    let sandbox = Sandbox::new();
    let made = sandbox.vault(["key", "new"]).run().expect_like(
        0,
        "age1[..]\n",
        "vault: made your private key: [..]\nvault: X25519 key, fingerprint [..]\n",
    );
    let identity = sandbox.read("home/.config/vault/identity");
    sandbox.vault(["init", "-e", "one"]).run().expect_like(
        0,
        "",
        "vault: made envs/one.toml\nvault: you are the member tester (key [..])\nhint: [..]\n",
    );
    assert_eq!(sandbox.read("home/.config/vault/identity"), identity);
    let status = json(&sandbox, &["status"]);
    assert_eq!(status["environments"][0]["members"][0]["key"], made.out().trim_end());
}

#[test]
fn a_member_keeps_the_name_that_the_project_has_for_the_key() {
    let sandbox = Sandbox::new();
    let init = |args: &[&str]| sandbox.vault(["init"]).args(args).run();
    init(&["-e", "one", "--name", "carol"]).expect_like(0, "", "...\nhint: [..]\n");
    init(&["-e", "two"]).expect_like(
        0,
        "",
        "vault: made envs/two.toml\nvault: you are the member carol (key [..])\nhint: [..]\n",
    );
}

#[test]
fn of_several_identities_the_first_makes_the_copy_and_takes_nobodys_name() {
    let sandbox = project();
    sandbox.vault(["set", "-e", "staging", "A=1"]).run().expect(0, "", "");
    let stranger = sandbox.another_home("stranger");
    stranger.vault(["key", "new"]).run().expect_like(0, "age1[..]\n", "...\n");
    let [first, second] =
        [&stranger, &sandbox].map(|person| person.home().join(".config/vault/identity"));
    let with = |keys: &[&PathBuf], args: &[&str]| {
        let keys = std::env::join_paths(keys).expect("paths without a colon");
        sandbox.vault(args).env("VAULT_KEY_FILE", keys).run()
    };
    let before = sandbox.snapshot();
    let copy = ["init", "-e", "qa", "--from", "staging"];
    with(&[&first, &second], &copy).expect(
        1,
        "",
        "vault: tester is a member of development with another key than yours\n\
         hint: choose another name with `--name`\n",
    );
    sandbox.assert_unchanged_since(&before);
    let named = [&copy[..], &["--name", "server"]].concat();
    with(&[&first, &second], &named).expect_like(
        0,
        "",
        "vault: made envs/qa.toml with 1 value\n\
         vault: you are the member server (key [..])\n\
         hint: `vault set -e qa NAME` stores a value; then commit the folder `envs`\n",
    );
    let get = ["get", "-e", "qa", "A"];
    with(&[&first], &get).expect(0, "1", "");
    with(&[&second], &get).expect(
        4,
        "",
        "vault: envs/qa.toml: this key opens nothing here\n\
         hint: `vault request -e qa` asks its members to grant you access: server\n",
    );
}

#[test]
fn a_copy_has_the_values_and_their_times_under_another_id() {
    let sandbox = project();
    sandbox.vault(["set", "-e", "staging", "A=1", "B=two words"]).run().expect(0, "", "");
    sandbox.write("project/n.env", "# a note\nC='x\ny'\n");
    sandbox.vault(["import", "-e", "staging", "n.env"]).run();
    sandbox.vault(["init", "-e", "copy", "--from", "staging"]).run().expect_like(
        0,
        "",
        "vault: made envs/copy.toml with 3 values\n\
         vault: you are the member tester (key [..])\nhint: [..]\n",
    );
    let export = |name: &str| sandbox.vault(["export", "-e", name, "json"]).run().success();
    let values = "{\"A\": \"1\", \"B\": \"two words\", \"C\": \"x\\ny\"}\n";
    assert_eq!((export("staging").out(), export("copy").out()), (values, values));
    assert_ne!(field(&sandbox, "staging", "id"), field(&sandbox, "copy", "id"));
    let listed = json(&sandbox, &["list", "-e", "staging,copy"]);
    for (name, of) in listed["secrets"].as_object().unwrap() {
        assert_eq!(of["staging"]["changed"], of["copy"]["changed"], "{name}");
    }
    // The note came too: the same file again writes nothing.
    let before = sandbox.snapshot();
    sandbox.vault(["import", "-e", "copy", "n.env"]).run().expect_that(0, "imported", |_| true);
    sandbox.assert_unchanged_since(&before);
    // No ciphertext is shared, so nobody sees which values are equal.
    let (one, two) =
        (sandbox.read("project/envs/staging.toml"), sandbox.read("project/envs/copy.toml"));
    for line in one.lines().filter(|line| line.starts_with("value = ")) {
        assert!(!two.contains(line), "{line}");
    }
}

#[test]
fn a_copy_remembers_the_members_who_know_its_values() {
    let (sandbox, run) = two_members();
    run("alice", &["init", "-e", "copy", "--from", "staging"]).run().expect_like(
        0,
        "",
        "vault: made envs/copy.toml with 1 value\n\
         vault: you are the member alice (key [..])\nhint: [..]\n",
    );
    let output = run("alice", &["--json", "status"]).run().success();
    let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let copy = &status["environments"][0];
    assert_eq!(copy["name"], "copy");
    assert_eq!(copy["members"].as_array().unwrap().len(), 1);
    assert_eq!(copy["exposures"][0]["member"], "bob");
    assert_eq!(copy["exposures"][0]["names"], serde_json::json!(["TOKEN"]));
    let former = sandbox.read("project/envs/copy.toml");
    assert!(former.contains("\n[former.\"bob."), "{former}");
    run("bob", &["get", "-e", "copy", "TOKEN"]).run().expect(
        4,
        "",
        "vault: envs/copy.toml: this key opens nothing here\n\
         hint: `vault request -e copy` asks its members to grant you access: alice\n",
    );
    // A new value is none that bob has seen.
    let set = run("alice", &["set", "-e", "copy", "TOKEN=new"]);
    set.run().expect(0, "", "vault: copy: TOKEN is new: bob knew the old value\n");
    let output = run("alice", &["--json", "status"]).run().success();
    let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(status["environments"][0]["exposures"][0]["names"], serde_json::json!([]));
}

#[test]
fn a_copy_with_members_opens_for_all_of_them() {
    let (sandbox, run) = two_members();
    run("alice", &["init", "-e", "copy", "--from", "staging", "--with-members"]).run().expect_like(
        0,
        "",
        "vault: made envs/copy.toml with 1 value\n\
         vault: you are the member alice (key [..])\nhint: [..]\n",
    );
    for who in ["alice", "bob"] {
        run(who, &["get", "-e", "copy", "TOKEN"]).run().expect(0, "abc", "");
    }
    assert!(!sandbox.read("project/envs/copy.toml").contains("[former."));
    // From a copy of the copy, made by the other one, alice is missing.
    run("bob", &["init", "-e", "third", "--from", "copy"]).run().expect_like(
        0,
        "",
        "vault: made envs/third.toml with 1 value\n\
         vault: you are the member bob (key [..])\nhint: [..]\n",
    );
    assert!(sandbox.read("project/envs/third.toml").contains("\n[former.\"alice."));
}

#[test]
fn a_copy_needs_a_source_that_opens_and_a_name() {
    let sandbox = project();
    let before = sandbox.snapshot();
    for (args, code, error) in [
        (
            &["--from", "staging"][..],
            2,
            "vault: `--from` needs the new environment's name\nhint: add `-e NAME`\n",
        ),
        (
            &["-e", "x", "--from", "stagin"],
            3,
            "vault: there is no environment `stagin`\nhint: did you mean `staging`?\n",
        ),
        (
            &["-e", "x", "--with-members"],
            2,
            "vault: the following required arguments were not provided: --from <ENV>\nhint: `vault help init` shows what it takes\n",
        ),
    ] {
        sandbox.vault(["init"]).args(args).run().expect(code, "", error);
    }
    sandbox.assert_unchanged_since(&before);
    let stranger = sandbox.another_home("stranger");
    let before = sandbox.snapshot();
    stranger.vault(["init", "-e", "x", "--from", "staging"]).run().expect_like(
        4,
        "",
        "vault: no private key: [..]\nhint: [..]\n",
    );
    sandbox.assert_unchanged_since(&before);
}

#[test]
fn a_recovery_passphrase_is_shown_once_and_opens() {
    let sandbox = Sandbox::new();
    let made = sandbox.vault(["init", "-e", "one", "--recovery"]).run().expect_like(
        0,
        "",
        "vault: made your private key: [..]\n\
         vault: recovery passphrase, shown this once: write it down and lock it away\n\
         [..]\n\
         vault: made envs/one.toml\n\
         vault: you are the member tester (key [..])\nhint: [..]\n",
    );
    let passphrase = made.err().lines().nth(2).unwrap();
    assert_eq!(made.err().matches(passphrase).count(), 1);
    let characters: Vec<char> = passphrase.chars().filter(|c| *c != '-').collect();
    assert_eq!(characters.len(), 26, "{} characters", characters.len());
    // Of 32 characters each is worth 5 bits, 130 in all.
    assert!(characters.iter().all(|c| "0123456789abcdefghjkmnpqrstvwxyz".contains(*c)));
    sandbox.assert_nowhere(passphrase);

    sandbox.vault(["set", "-e", "one", "A=value"]).run().expect(0, "", "");
    // Whoever recovers has lost the key, and has a new machine.
    let elsewhere = sandbox.another_home("elsewhere");
    let get = |passphrase: &str| {
        sandbox.write("passphrase", format!("{passphrase}\n"));
        elsewhere
            .vault(["--recovery", "get", "-e", "one", "A"])
            .env("VAULT_PASSPHRASE_FILE", sandbox.path("passphrase"))
            .run()
    };
    get(passphrase).expect(0, "value", "");
    get("00000-00000-00000-00000-00000-0").expect_like(4, "", "vault: envs/one.toml: [..]\n...\n");
    elsewhere.vault(["--recovery", "get", "-e", "one", "A"]).run().expect(
        4,
        "",
        "vault: the recovery passphrase is needed and there is no terminal to ask on\n\
         hint: name a file that holds it by `VAULT_PASSPHRASE_FILE`\n",
    );
}

#[test]
fn names_that_break_the_rule_are_refused_before_anything_is_made() {
    let sandbox = Sandbox::new();
    let before = sandbox.snapshot();
    let long = "a".repeat(64);
    for name in ["Prod", "a.b", "../x", "a b", "-x", "_x", "", &long, "é", "a,,b"] {
        let output = sandbox.vault(["init", &format!("--env={name}")]).run();
        output.expect_like(
            2,
            "",
            "vault: `[..]`: an environment name is lower-case letters, [..]\n",
        );
        if name != "a,,b" {
            let output = sandbox.vault(["init", &format!("--name={name}")]).run();
            output.expect_like(2, "", "vault: `[..]`: a member name is lower-case letters, [..]\n");
        }
    }
    sandbox.assert_unchanged_since(&before);
    // One bad name in a list stops the good ones too.
    sandbox.vault(["init", "-e", "good,Bad"]).run().expect_like(2, "", "vault: `Bad`: [..]\n");
    sandbox.vault(["init", "-e", "x", "--name", "a\u{1b}[31m"]).run().expect_like(
        2,
        "",
        "vault: `a\\u{1b}[31m`: a member name is [..]\n",
    );
    sandbox.assert_unchanged_since(&before);
}

#[test]
fn somebody_with_another_key_has_no_access_and_is_told_whom_to_ask() {
    let sandbox = project();
    sandbox.vault(["set", "-e", "staging", "A=1"]).run().expect(0, "", "");
    let other = sandbox.another_home("mallory");
    other.vault(["key", "new"]).run().expect_like(0, "age1[..]\n", "...\nvault: [..]\n");
    let before = sandbox.snapshot();
    let refused = "vault: envs/staging.toml: this key opens nothing here\n\
                   hint: `vault request -e staging` asks its members to grant you access: tester\n";
    for args in [
        &["get", "-e", "staging", "A"][..],
        &["set", "-e", "staging", "A=2"],
        &["export", "-e", "staging", "json"],
        &["unset", "-y", "-e", "staging", "A"],
        &["init", "-e", "copy", "--from", "staging"],
    ] {
        other.vault(args).run().expect(4, "", refused);
    }
    other.vault(["run", "-e", "staging", "--", "true"]).run().expect(125, "", refused);
    sandbox.assert_unchanged_since(&before);
}

#[test]
fn a_folder_that_may_not_be_written_is_told_and_stays_as_it_is() {
    let sandbox = Sandbox::new();
    // A copy, because the built one may lie where another user can't go.
    let program = sandbox.path("vault");
    std::fs::copy(env!("CARGO_BIN_EXE_vault"), &program).unwrap();
    let init = if rustix::process::geteuid().is_root() {
        // Root may write everywhere, so somebody else has to try.
        let (Some(user), true) = (needs_other_user(), needs("setpriv")) else { return };
        for path in sandbox.snapshot().paths().chain([Path::new("")]) {
            std::os::unix::fs::chown(sandbox.path(path), Some(user), Some(user)).unwrap();
        }
        let ids = [format!("--reuid={user}"), format!("--regid={user}"), "--clear-groups".into()];
        sandbox.program("setpriv", ids).arg(&program).arg("init")
    } else {
        sandbox.program(&program, ["init"])
    };
    let closed = std::fs::Permissions::from_mode(0o555);
    std::fs::set_permissions(sandbox.project(), closed).unwrap();
    init.run().expect_like(1, "", "...\nvault: cannot make the folder `envs`: permission denied\n");
    assert_eq!(std::fs::read_dir(sandbox.project()).unwrap().count(), 0);
}

#[test]
fn on_a_terminal_it_says_the_same_and_asks_nothing() {
    let sandbox = Sandbox::new();
    let mut terminal = Terminal::start(&sandbox, "vault", ["init", "-e", "one"]);
    let (text, status) = terminal.expect_end();
    assert_eq!(status.code(), Some(0), "{text}");
    assert_eq!(text.lines().count(), 4, "{text}");
    assert!(text.contains("hint: `vault set -e one NAME` stores a value"), "{text}");
}
