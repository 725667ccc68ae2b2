//! What `vault` shows: list, status, keys, help, version and completions. Most
//! of it without any key.

#![allow(clippy::expect_used, reason = "helpers of tests are not #[test]")]

use std::path::Path;

use serde_json::{Value, json};

use crate::support::barrier::until;
use crate::support::needs::needs;
use crate::support::pty::Terminal;
use crate::support::run::Run;
use crate::support::sandbox::Sandbox;

/// A sandbox with one of the golden files as its staging, whose keys lie
/// beside it.
fn golden(case: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    put_golden(&sandbox, case, "staging");
    sandbox
}

fn put_golden(sandbox: &Sandbox, case: &str, environment: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/format1/good").join(case);
    let file = std::fs::read(folder.join("staging.toml")).expect("a vault file");
    sandbox.write(format!("project/envs/{environment}.toml"), file);
    let key = std::fs::read(folder.join("alice.key")).expect("a key");
    sandbox.write("alice.key", key);
}

fn as_alice(sandbox: &Sandbox, args: &[&str]) -> Run {
    sandbox.vault(args).env("VAULT_KEY_FILE", sandbox.path("alice.key"))
}

#[track_caller]
fn json_of(run: Run) -> Value {
    serde_json::from_slice(&run.run().success().stdout).expect("JSON")
}

#[track_caller]
fn two_environments() -> Sandbox {
    let sandbox = Sandbox::new();
    let init = sandbox.vault(["init", "-e", "staging,production"]).run();
    init.expect_like(0, "", "...\nhint: [..]\n");
    sandbox.vault(["set", "-e", "staging", "DATABASE_URL=1", "TOKEN=2"]).run().expect(0, "", "");
    sandbox.vault(["set", "-e", "production", "DATABASE_URL=3"]).run().expect(0, "", "");
    sandbox
}

#[test]
fn the_list_of_one_environment_has_the_day_of_each_change_and_needs_no_key() {
    let sandbox = golden("former");
    let list = "EXPOSED  1970-01-01\nFRESH    2026-11-23\n";
    sandbox.vault(["list", "-e", "staging"]).run().expect(0, list, "");
    sandbox.vault(["ls", "-e", "staging"]).run().expect(0, list, "");
    sandbox.vault(["list", "-e", "staging", "--json"]).run().expect(
        0,
        "{\"environments\":[\"staging\"],\"secrets\":{\
         \"EXPOSED\":{\"staging\":{\"changed\":5,\"kind\":\"variable\"}},\
         \"FRESH\":{\"staging\":{\"changed\":1795435201,\"kind\":\"variable\"}}},\
         \"verified\":false}\n",
        "",
    );
}

#[test]
fn without_an_environment_the_list_is_a_matrix() {
    let sandbox = two_environments();
    // Whoever has no key sees the same.
    for person in [&sandbox, &sandbox.another_home("other")] {
        person.vault(["list"]).run().expect_like(
            0,
            "NAME          production  staging\n\
             DATABASE_URL  20[..]-[..]-[..]  20[..]-[..]-[..]\n\
             TOKEN         -           20[..]-[..]-[..]\n",
            "",
        );
        let listed = json_of(person.vault(["list", "--json"]));
        assert_eq!(listed["environments"], json!(["production", "staging"]));
        assert!(listed["secrets"]["TOKEN"]["production"].is_null());
        assert_eq!(listed["secrets"]["TOKEN"]["staging"]["kind"], "variable");
    }
    // Where to work is not what to look at.
    let all = sandbox.vault(["list"]).run().success();
    sandbox.vault(["list"]).env("VAULT_ENV", "staging").run().expect(0, all.out(), "");
    sandbox.vault(["list", "-e", "qa"]).run().expect(
        3,
        "",
        "vault: there is no environment `qa`\nhint: the environments are production, staging\n",
    );
}

#[test]
fn status_is_of_the_environments_that_are_named() {
    let sandbox = Sandbox::new();
    let init = sandbox.vault(["init", "-e", "production,staging,test"]).run();
    init.expect_that(0, "made", |_| true);
    let names = |words: &[&str]| -> Vec<String> {
        let all = json_of(sandbox.vault(words));
        let all = all["environments"].as_array().unwrap().clone();
        all.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&["status", "--json"]), ["production", "staging", "test"]);
    assert_eq!(names(&["status", "--json", "-e", "test,staging"]), ["test", "staging"]);
    sandbox.vault(["status", "-e", "tst"]).run().expect(
        3,
        "",
        "vault: there is no environment `tst`\nhint: did you mean `test`?\n",
    );
}

#[test]
fn status_without_a_key_says_so_and_verifies_nothing() {
    let sandbox = golden("two-members-proof");
    sandbox.vault(["status"]).run().expect_like(
        0,
        "no private key\n\n\
         staging: no access, so nothing here is verified\n    \
         1 value\n    \
         data key [..]… (unverified), made 2026-11-23\n    \
         members: alice, bob\n",
        "",
    );
    let status = json_of(sandbox.vault(["status", "--json"]));
    assert_eq!(status["keys"], json!([]));
    let staging = &status["environments"][0];
    assert_eq!(
        (&staging["me"], &staging["verified"], &staging["fingerprint"]),
        (&Value::Null, &json!(false), &Value::Null)
    );
    assert_eq!(staging["members"][1]["name"], "bob");
}

#[test]
fn status_with_a_key_says_who_i_am_and_who_else_there_is() {
    let sandbox = golden("two-members-proof");
    as_alice(&sandbox, &["status"]).run().expect_like(
        0,
        "key age1[..]\n    fingerprint [..]\n\n\
         staging: you are alice\n    \
         1 value\n    \
         data key [..]-[..]-[..]-[..]-[..]-[..]-[..]-[..], made 2026-11-23\n    \
         members: alice, bob\n",
        "",
    );
    let status = json_of(as_alice(&sandbox, &["status", "--json"]));
    let staging = &status["environments"][0];
    assert_eq!(
        (&staging["me"], &staging["verified"], &staging["values"], &staging["problem"]),
        (&json!("alice"), &json!(true), &json!(1), &Value::Null)
    );
    assert_eq!(staging["members"][0]["fingerprint"], status["keys"][0]["fingerprint"]);
}

#[test]
fn status_tells_requests_and_what_former_members_know() {
    let sandbox = golden("requests");
    as_alice(&sandbox, &["status"]).run().expect_like(
        0,
        "...\nstaging: you are alice\n...\n    asking for access: 9-lives_x, carol, dave\n",
        "",
    );
    let status = json_of(as_alice(&sandbox, &["status", "--json"]));
    let asking = &status["environments"][0]["requests"];
    assert_eq!((&asking[0]["name"], &asking[2]["name"]), (&json!("9-lives_x"), &json!("dave")));

    let sandbox = golden("former");
    as_alice(&sandbox, &["status"]).run().expect_like(
        0,
        "...\n    bob left on 2026-11-23 and knows 1 value: EXPOSED\n...\n    \
         sam left on 1970-01-01 and knows 1 value: EXPOSED\n",
        "",
    );
    let status = json_of(as_alice(&sandbox, &["status", "--json"]));
    let exposures = status["environments"][0]["exposures"].as_array().unwrap();
    let sam = exposures.iter().find(|exposure| exposure["member"] == "sam").unwrap();
    assert_eq!(*sam, json!({"member": "sam", "removed": 100, "names": ["EXPOSED"]}));
}

#[test]
fn a_damaged_environment_hides_none_of_the_others_from_status() {
    let sandbox = golden("two-members-proof");
    sandbox.write("project/envs/broken.toml", "no vault\n");
    as_alice(&sandbox, &["status"]).run().expect_like(
        5,
        "...\nstaging: you are alice\n...\n",
        "vault: envs/broken.toml[..]\n...\n",
    );
}

#[test]
fn a_new_key_is_made_once_and_its_public_key_shown() {
    let sandbox = Sandbox::new();
    let show = || sandbox.vault(["key", "show"]).run();
    show().expect_like(4, "", "vault: no private key: [..]\nhint: [..]\n");
    let made = sandbox.vault(["key", "new"]).run().expect_like(
        0,
        "age1[..]\n",
        "vault: made your private key: $SANDBOX/home/.config/vault/identity\n\
         vault: X25519 key, fingerprint [..]-[..]\n",
    );
    show().expect_like(0, made.out(), "vault: X25519 key, fingerprint [..]-[..]\n");
    let identity = sandbox.read("home/.config/vault/identity");
    sandbox.vault(["key", "new"]).run().expect(
        1,
        "",
        "vault: there is an identity already: `$SANDBOX/home/.config/vault/identity`\n\
         hint: `vault key show` prints its public key\n",
    );
    assert_eq!(sandbox.read("home/.config/vault/identity"), identity);
}

/// Waits for a hidden question, and until its answer is read.
#[track_caller]
fn answer_hidden(terminal: &mut Terminal, question: &str, answer: &str) {
    terminal.expect(question);
    let stat = format!("/proc/{}/stat", terminal.pid());
    let sleeps = || std::fs::read_to_string(&stat).map_or(true, |text| text.contains(") S "));
    until(sleeps, "the program to read the answer");
    terminal.type_line(answer);
}

#[test]
fn a_key_under_a_passphrase_is_asked_for_and_opens() {
    let sandbox = Sandbox::new();
    let new = ["key", "new", "--passphrase"];
    let mut terminal = sandbox.vault(new).on_terminal();
    answer_hidden(&mut terminal, "New passphrase: ", "one");
    answer_hidden(&mut terminal, "The same passphrase again: ", "other");
    let (text, status) = terminal.expect_end();
    assert_eq!(status.code(), Some(1), "{text}");
    assert!(text.ends_with("vault: the two passphrases differ\n"), "{text}");
    assert!(!sandbox.path("home/.config/vault/identity").exists());

    let mut terminal = sandbox.vault(new).on_terminal();
    answer_hidden(&mut terminal, "New passphrase: ", "correct horse");
    answer_hidden(&mut terminal, "The same passphrase again: ", "correct horse");
    terminal.expect("age1");
    let (text, status) = terminal.expect_end();
    assert_eq!(status.code(), Some(0), "{text}");
    assert!(!text.contains("correct"), "{text}");
    sandbox.assert_nowhere("AGE-SECRET-KEY");
    sandbox.assert_nowhere("correct horse");

    let show = || sandbox.vault(["key", "show"]);
    show().run().expect_like(
        4,
        "",
        "vault: [..]passphrase[..] there is no terminal to ask on\nhint: [..]\n",
    );
    for (passphrase, code) in [("correct horse\n", 0), ("wrong\n", 4)] {
        sandbox.write("passphrase", passphrase);
        let run = show().env("VAULT_PASSPHRASE_FILE", sandbox.path("passphrase")).run();
        run.expect_that(code, "the key, or an error", |output| {
            (code == 0) == output.out().starts_with("age1")
        });
    }
}

#[test]
fn help_says_of_every_command_what_it_does() {
    let sandbox = Sandbox::new();
    for args in [&["help"][..], &["--help"], &["-h"]] {
        let help = sandbox.vault(args).run().success();
        let commands = help.out().split("\nCommands:\n").nth(1).unwrap();
        let rows: Vec<&str> = commands.lines().take_while(|line| !line.is_empty()).collect();
        assert!(rows.len() > 10, "{rows:?}");
        for row in rows {
            let words: Vec<&str> = row.split("[alias").next().unwrap().split_whitespace().collect();
            assert!(words.len() > 1, "no word about `{row}`");
        }
    }
    for args in [&["help", "get"][..], &["get", "--help"], &["run", "--help"]] {
        sandbox.vault(args).run().expect_like(0, "[..]\n...\nUsage: vault [..]\n...\n", "");
    }
    let version = format!("vault {}\n", env!("CARGO_PKG_VERSION"));
    for args in [&["version"][..], &["--version"], &["-V"]] {
        sandbox.vault(args).run().expect(0, &version, "");
    }
}

/// What bash offers for the last of the words, by the script that we print.
#[track_caller]
fn completed_by_bash(sandbox: &Sandbox, words: &[&str]) -> Vec<String> {
    let vault = Path::new(env!("CARGO_BIN_EXE_vault"));
    let script = r#"
        PATH="$1:$PATH"; shift
        source <(vault completions bash)
        registered=$(complete -p vault) || exit 1
        [[ $registered =~ -F\ ([^ ]+) ]] || exit 1
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
        COMP_TYPE=9 COMPREPLY=()
        "${BASH_REMATCH[1]}" vault "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        [ ${#COMPREPLY[@]} -eq 0 ] || printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let run = sandbox.program("bash", ["--norc", "-c", script, "bash"]);
    let run = run.arg(vault.parent().expect("its folder")).args(words);
    run.run().success().out().lines().map(|line| line.trim_end().to_owned()).collect()
}

#[test]
fn bash_completes_commands_variables_and_environments_without_a_key() {
    if !needs("bash") {
        return;
    }
    let sandbox = two_environments().another_home("other");
    let names = |words: &[&str]| -> Vec<String> {
        let all = completed_by_bash(&sandbox, words);
        all.into_iter().filter(|word| !word.starts_with('-')).collect()
    };
    assert_eq!(names(&["vault", "get", ""]), ["DATABASE_URL", "TOKEN"]);
    assert_eq!(names(&["vault", "get", "T"]), ["TOKEN"]);
    assert_eq!(names(&["vault", "-e", "staging", "unset", "D"]), ["DATABASE_URL"]);
    assert_eq!(names(&["vault", "get", "-e", ""]), ["production", "staging"]);
    assert_eq!(names(&["vault", "get", "-e", "s"]), ["staging"]);
    assert_eq!(names(&["vault", "init", "--from", "p"]), ["production"]);
    assert_eq!(names(&["vault", "expo"]), ["export"]);
    assert_eq!(
        names(&["vault", "export", ""]),
        [
            "dotenv",
            "shell",
            "fish",
            "powershell",
            "json",
            "yaml",
            "docker",
            "systemd-env",
            "k8s",
            "github",
            "fly",
            "tfvars",
            "tfvars-json",
            "null",
            "systemd",
            "supervisord",
            "runit",
            "compose",
            "k8s-deployment"
        ]
    );
    assert!(completed_by_bash(&sandbox, &["vault", "get", "--form"]) == ["--format"]);
}

#[test]
fn fish_completes_names_without_a_key() {
    if !needs("fish") {
        return;
    }
    let sandbox = two_environments().another_home("other");
    sandbox.write("project/Procfile", "web: true\nworker: true\n");
    let folder = Path::new(env!("CARGO_BIN_EXE_vault")).parent().expect("its folder");
    let script = r"
        set -x PATH $argv[1] $PATH
        vault completions fish | source
        complete -C $argv[2] | string match -rv '^-' | string split -f1 \t; true
    ";
    let names = |line: &str| -> Vec<String> {
        let run = sandbox.program("fish", ["--no-config", "-c", script]);
        let run = run.arg(folder).arg(line).run().success();
        run.out().lines().map(str::to_owned).collect()
    };
    assert_eq!(names("vault get "), ["DATABASE_URL", "TOKEN"]);
    assert_eq!(names("vault list -e "), ["production", "staging"]);
    assert_eq!(names("vault start "), ["web", "worker"]);
    assert_eq!(names("vault revoke "), ["tester"]);
    assert_eq!(names("vault rota"), ["rotate"]);
}

#[test]
fn zsh_completes_names_without_a_key() {
    if !needs("zsh") {
        return;
    }
    let sandbox = two_environments().another_home("other");
    let folder = Path::new(env!("CARGO_BIN_EXE_vault")).parent().expect("its folder");
    let mut zsh = sandbox.program("zsh", ["-f", "-i"]).on_terminal();
    zsh.type_line(&format!("PATH={}:$PATH", folder.display()));
    zsh.type_line(
        "autoload -Uz compinit; compinit -u -D; source <(vault completions zsh); print read''y",
    );
    zsh.expect("ready");
    zsh.type_raw("vault get T\t");
    zsh.expect("vault get TOKEN");
    zsh.type_raw("\x15vault list -e sta\t");
    zsh.expect("vault list -e staging");
    zsh.type_raw("\x15vault members -e production,\x15vault revo\t");
    zsh.expect("vault revoke");
    zsh.type_raw("\x15exit\r");
    zsh.expect_end();
}

#[test]
fn the_scripts_are_read_by_the_other_shells_and_an_unknown_shell_is_told() {
    let sandbox = two_environments();
    let script = |shell: &str| sandbox.vault(["completions", shell]).run().success().stdout;
    for (shell, flag) in [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")] {
        sandbox.write(format!("project/{shell}.txt"), script(shell));
        if needs(shell) {
            sandbox.program(shell, [flag, &format!("{shell}.txt")]).run().expect(0, "", "");
        }
    }
    sandbox.vault(["completions", "bas"]).run().expect(
        2,
        "",
        "vault: there are no completions for `bas`\n\
         hint: the shells are bash, elvish, fish, powershell, zsh\n",
    );
}
