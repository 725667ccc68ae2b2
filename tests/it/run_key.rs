//! Where `vault` finds the private key: each source, their order, and what is told when one fails.

#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests have to fail the test")]

use crate::support::needs::needs;
use crate::support::run::Run;
use crate::support::sandbox::Sandbox;

const RUN: [&str; 4] = ["run", "-e", "staging", "--"];
const OPENED: &str = "vault: staging: opened as alice, data key [..]\n";

/// A project whose key lies in `key`, outside the default place, with A=1 in staging.
#[track_caller]
fn project() -> Sandbox {
    let sandbox = Sandbox::new();
    let made = sandbox.vault(["init", "--name", "alice"]).run();
    made.expect_that(0, "a new project", |output| output.stdout.is_empty());
    sandbox.vault(["set", "-e", "staging", "A=1"]).run().expect(0, "", "");
    sandbox.sh("mv ../home/.config/vault/identity ../key; mkdir ../creds").run().success();
    sandbox
}

/// Says the value and where the key came from.
fn show(sandbox: &Sandbox) -> Run {
    sandbox.vault(["-v", "run", "-e", "staging", "--", "printenv", "A"])
}

#[test]
fn the_first_source_that_is_there_counts() {
    let sandbox = project();
    let key = sandbox.read("key");
    let line = key.lines().last().expect("a key");
    // All sources give the right key; each step takes the strongest of them away.
    sandbox
        .sh("cp ../key ../creds/vault-key; (umask 077; cp ../key ../home/.config/vault/identity)")
        .run()
        .success();
    let mut run = show(&sandbox)
        .env("VAULT_KEY", line)
        .env("VAULT_KEY_FILE", "../key")
        .env("VAULT_KEY_COMMAND", "cat ../key")
        .env("CREDENTIALS_DIRECTORY", sandbox.path("creds"));
    for (name, told) in [
        ("VAULT_KEY", "VAULT_KEY"),
        ("VAULT_KEY_FILE", "VAULT_KEY_FILE: `../key`"),
        ("VAULT_KEY_COMMAND", "VAULT_KEY_COMMAND"),
        ("CREDENTIALS_DIRECTORY", "CREDENTIALS_DIRECTORY: `$SANDBOX/creds/vault-key`"),
        ("", "$SANDBOX/home/.config/vault/identity"),
    ] {
        let stderr = format!("vault: the private key comes from {told}\n{OPENED}");
        run.clone().run().expect_like(0, "1\n", &stderr);
        // An empty variable counts as one that is not there.
        run = if name.is_empty() { run } else { run.env(name, "") };
    }
    // A folder for credentials without ours is passed over, and so is XDG_CONFIG_HOME if it is relative.
    sandbox.sh("rm ../creds/vault-key").run().success();
    let told =
        format!("vault: the private key comes from $SANDBOX/home/.config/vault/identity\n{OPENED}");
    let run = show(&sandbox).env("CREDENTIALS_DIRECTORY", sandbox.path("creds"));
    run.env("XDG_CONFIG_HOME", "relative").run().expect_like(0, "1\n", &told);
}

#[test]
fn a_stronger_source_that_fails_is_never_passed_over() {
    let sandbox = project();
    sandbox
        .sh("cp ../key ../home/.config/vault/identity; chmod 600 ../home/.config/vault/identity")
        .run()
        .success();
    let run = |name: &str, value: &str| sandbox.vault(RUN).arg("true").env(name, value).run();
    run("VAULT_KEY", "garbage").expect_like(125, "", "vault: VAULT_KEY: [..]\n...");
    let missing = "vault: the key file `../nothing` does not exist\n";
    run("VAULT_KEY_FILE", "../nothing").expect(125, "", missing);
    run("VAULT_KEY_FILE", "../key:../nothing").expect(125, "", missing);
    run("VAULT_KEY_FILE", "../creds").expect_like(125, "", "vault: [..]../creds[..]\n...");
    run("VAULT_KEY_COMMAND", "sh -c 'echo asked >&2; exit 3'").expect(
        125,
        "",
        "asked\nvault: VAULT_KEY_COMMAND: `sh` ended with status 3\n",
    );
    run("VAULT_KEY_COMMAND", "sh -c 'kill -TERM $$'").expect(
        125,
        "",
        "vault: VAULT_KEY_COMMAND: `sh` ended with status 143\n",
    );
    run("VAULT_KEY_COMMAND", "no-such-helper --key").expect(
        125,
        "",
        "vault: VAULT_KEY_COMMAND: cannot run `no-such-helper`: no such file or directory\n",
    );
    run("VAULT_KEY_COMMAND", "cat 'open").expect(
        125,
        "",
        "vault: VAULT_KEY_COMMAND has a quote that is never closed\n",
    );
    run("VAULT_KEY_COMMAND", "true").expect_like(125, "", "vault: VAULT_KEY_COMMAND: [..]\n...");
    run("VAULT_KEY_COMMAND", " ").expect(
        125,
        "",
        "vault: VAULT_KEY_COMMAND: the command that should give a key is empty\n",
    );
    run("VAULT_KEY_COMMAND", "head -c 70000 /dev/zero").expect(
        125,
        "",
        "vault: VAULT_KEY_COMMAND: `head` printed more than a key\n",
    );
}

#[test]
fn the_key_command_is_split_into_words_and_sees_no_shell() {
    let sandbox = project();
    sandbox.sh("cp ../key '../a key $HOME;'").run().success();
    let run = show(&sandbox).env("VAULT_KEY_COMMAND", "cat '../a key $HOME;'").run();
    let told = format!("vault: the private key comes from VAULT_KEY_COMMAND\n{OPENED}");
    run.expect_like(0, "1\n", &told);
    // It gets no input of ours, which is the command's.
    let run = sandbox.vault(RUN).arg("cat").stdin("for the command");
    let run = run.env("VAULT_KEY_COMMAND", "sh -c 'cat; cat ../key'").run();
    run.expect(0, "for the command", "");
}

#[test]
fn several_key_files_are_all_tried() {
    let sandbox = project();
    let bob = sandbox.another_home("bob");
    bob.vault(["key", "new"]).run().expect_that(0, "a key", |o| o.out().starts_with("age1"));
    sandbox.sh("cp ../people/bob/home/.config/vault/identity ../other").run().success();
    let run = sandbox.vault(RUN).args(["printenv", "A"]);
    run.clone().env("VAULT_KEY_FILE", "../other:../key").run().expect(0, "1\n", "");
    run.clone().env("VAULT_KEY_FILE", ":../key:").run().expect(0, "1\n", "");
    run.env("VAULT_KEY_FILE", "../other").run().expect_like(
        125,
        "",
        "vault: [..]\nhint: `vault request -e staging` asks its members to grant you access: alice\n",
    );
}

#[test]
fn a_named_key_file_may_be_a_pipe() {
    let sandbox = project();
    sandbox.sh("mkfifo ../fifo").run().success();
    let vault = env!("CARGO_BIN_EXE_vault");
    let command = "\"$0\" run -e staging -- printenv A";
    let script = format!("cat ../key >../fifo & VAULT_KEY_FILE=../fifo {command}; wait");
    sandbox.sh(script).arg(vault).run().expect(0, "1\n", "");
    let script = format!("cat ../key | VAULT_KEY_FILE=/dev/fd/0 {command}");
    sandbox.sh(script).arg(vault).run().expect(0, "1\n", "");
    let script = format!("VAULT_KEY_FILE=/dev/fd/7 {command} 7<../key");
    sandbox.sh(script).arg(vault).run().expect(0, "1\n", "");
    if needs("bash") {
        let script = format!("VAULT_KEY_FILE=<(cat ../key) {command}");
        sandbox.program("bash", ["-c", &script, vault]).run().expect(0, "1\n", "");
    }
    // A pipe that never ends is no key, and doesn't fill the memory.
    let run = sandbox.vault(RUN).arg("true").env("VAULT_KEY_FILE", "/dev/zero").run();
    run.expect_like(125, "", "vault: [..]\n...");
}

#[test]
fn a_key_that_was_named_may_be_open_to_others_and_the_own_one_may_not() {
    let sandbox = project();
    sandbox.sh("chmod 644 ../key").run().success();
    let run = sandbox.vault(RUN).args(["printenv", "A"]);
    run.clone().env("VAULT_KEY_FILE", "../key").run().expect(0, "1\n", "");
    sandbox.sh("cp ../key ../home/.config/vault/identity").run().success();
    run.run().expect(
        125,
        "",
        "vault: the identity `$SANDBOX/home/.config/vault/identity` can be read or changed by other users\n\
         hint: run `chmod 600 $SANDBOX/home/.config/vault/identity`\n",
    );
}

#[test]
fn a_key_under_a_passphrase_opens_with_it_and_with_no_other() {
    let sandbox = Sandbox::new();
    sandbox.write("right", "correct horse\n");
    sandbox.write("wrong", "battery staple\n");
    sandbox.write("nothing", "");
    let vault = |words: &[&str], file: &str| {
        sandbox.vault(words).env("VAULT_PASSPHRASE_FILE", sandbox.path(file))
    };
    let made = vault(&["key", "new", "--passphrase"], "right").run();
    made.expect_that(0, "a public key", |output| output.out().starts_with("age1"));
    sandbox.assert_nowhere("AGE-SECRET-KEY-1");
    let made = vault(&["init", "--name", "alice"], "right").run();
    made.expect_that(0, "a new project", |output| output.stdout.is_empty());
    vault(&["set", "-e", "staging", "A=1"], "right").run().expect(0, "", "");
    vault(&["run", "-e", "staging", "printenv", "A"], "right").run().expect(0, "1\n", "");
    for file in ["wrong", "nothing"] {
        vault(&["get", "-e", "staging", "A"], file).run().expect_like(
            4,
            "",
            "vault: $SANDBOX/home/.config/vault/identity: [..]passphrase[..]\n...",
        );
        let run = vault(&["run", "-e", "staging", "touch", "marker"], file).run();
        run.expect_like(125, "", "vault: $SANDBOX/home/.config/vault/identity: [..]\n...");
    }
    vault(&["get", "-e", "staging", "A"], "absent").run().expect_like(
        4,
        "",
        "vault: $SANDBOX/home/.config/vault/identity: the passphrase file does not exist\n",
    );
    if needs("setsid") {
        // Nobody to ask, so what would answer is named.
        sandbox.vault(["get", "-e", "staging", "A"]).run().expect_like(
            4,
            "",
            "vault: [..]there is no terminal to ask on\n\
             hint: name a file that holds it by `VAULT_PASSPHRASE_FILE`\n",
        );
    }
    assert!(!sandbox.path("project/marker").exists());
}

#[test]
fn a_passphrase_is_asked_for_on_the_terminal_while_the_input_stays_free() {
    if !needs("setsid") {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.write("right", "correct horse\n");
    let vault =
        |words: &[&str]| sandbox.vault(words).env("VAULT_PASSPHRASE_FILE", sandbox.path("right"));
    let made = vault(&["key", "new", "--passphrase"]).run();
    made.expect_that(0, "a public key", |output| output.out().starts_with("age1"));
    let made = vault(&["init", "--name", "alice"]).run();
    made.expect_that(0, "a new project", |output| output.stdout.is_empty());
    let script = "echo input | \"$0\" run -e staging -- cat >../out; echo ended $?";
    let mut terminal = sandbox.sh(script).arg(env!("CARGO_BIN_EXE_vault")).on_terminal();
    terminal.expect("identity): ");
    terminal.type_line("correct horse");
    terminal.expect("ended 0");
    let (screen, _) = terminal.expect_end();
    assert!(!screen.contains("correct horse"), "{screen}");
    assert_eq!(sandbox.read("out"), "input\n");
}
