//! `vault` without a word: where you are, and what comes next.

use crate::support::sandbox::Sandbox;

#[test]
fn outside_of_a_project_the_next_step_is_to_make_one_or_to_run_what_is_there() {
    let sandbox = Sandbox::new();
    sandbox.vault([""; 0]).run().expect_like(
        0,
        "vault [..], encrypted environments for twelve-factor apps\n\
         \n\
         project      none: no `vault.toml` and no `envs/*.toml` here or above\n\
         your key     none yet\n\
         \n\
         next: vault init                         makes a vault here\n\
         next: vault help                         lists all commands\n",
        "",
    );
    sandbox.write("project/Procfile", "web: true\n");
    sandbox.vault([""; 0]).run().expect_like(
        0,
        "...\nProcfile     is here\n\
         \n\
         next: vault start                        runs the Procfile, with `.env` if there is one\n\
         next: vault init                         makes a vault here\n...\n",
        "",
    );
}

#[test]
fn a_member_sees_what_he_can_open_and_a_stranger_how_to_get_in() {
    let sandbox = Sandbox::new();
    sandbox.vault(["init", "-e", "staging", "--name", "alice"]).run().expect_like(0, "", "...\n");
    sandbox.write("project/.env", "A=1\n");
    sandbox.vault([""; 0]).run().expect_like(
        0,
        "...\nproject      $SANDBOX/project\nyour key     age1[..]\n\
         environments staging  0 values, you are alice\n.env         is here\n\
         \n\
         next: vault import -e staging .env       brings its values in\n\
         next: vault run -e staging -- CMD        runs a command with its variables\n...\n",
        "",
    );
    sandbox.vault(["import", "-e", "staging", ".env"]).run().expect_like(0, "", "...\n");
    let bob = sandbox.another_home("bob");
    bob.vault([""; 0]).run().expect_like(
        0,
        "...\nyour key     none yet\n\
         environments staging  1 value, not open to you: members are alice\n...\n\
         next: vault request                      makes your key, and asks the members for access\n...\n",
        "",
    );
    bob.vault(["request", "--name", "bob"]).run().expect_like(0, "", "...\n");
    bob.vault([""; 0]).run().expect_like(
        0,
        "...\nenvironments staging  1 value, you have asked; who can let you in: alice\n...\n\
         next: git commit envs                    records your request, to be sent\n\
         next: git push                           sends your request, for a member to `vault grant` it\n...\n",
        "",
    );
    bob.sh("git init -q -b main . && git add . && git commit -q -m asked").run().success();
    bob.vault([""; 0]).run().expect_like(
        0,
        "...\nenvironments staging  [..]\n...\n\
         \nnext: git push                           sends your request, for a member to `vault grant` it\n...\n",
        "",
    );
    sandbox.vault([""; 0]).run().expect_like(
        0,
        "...\nenvironments staging  1 value, you are alice, bob asks for access\n...\n\
         next: vault grant bob                    lets in who asks\n...\n",
        "",
    );
}

#[test]
fn it_asks_for_nothing_starts_nothing_and_writes_nothing() {
    let sandbox = Sandbox::new();
    sandbox.vault(["init", "-e", "staging", "--name", "alice"]).run().expect_like(0, "", "...\n");
    let before = sandbox.snapshot();
    sandbox.vault([""; 0]).env("VAULT_KEY_COMMAND", "touch started").run().expect_like(
        0,
        "...\nyour key     printed by VAULT_KEY_COMMAND\n...\n",
        "",
    );
    sandbox.vault([""; 0]).run().success();
    sandbox.assert_unchanged_since(&before);
    // What is read from a pipe is gone, and nobody may ever write into it.
    sandbox.sh("mkfifo key").run().expect(0, "", "");
    sandbox.vault([""; 0]).env("VAULT_KEY_FILE", "key").run().expect_like(
        0,
        "...\nyour key     in a pipe or the like, which is left alone here\n...\n",
        "",
    );
    sandbox.vault([""; 0]).env("VAULT_KEY_FILE", "nothing").run().expect_like(
        0,
        "...\nyour key     the key file `nothing` does not exist\n...\n",
        "",
    );
    sandbox.vault([""; 0]).env("VAULT_KEY", "AGE-SECRET-KEY-1XX").run().expect_like(
        0,
        "...\nyour key     VAULT_KEY: the key is no age or ssh private key\n...\n",
        "",
    );
    let locked = sandbox.another_home("carol");
    let mut terminal = locked.vault(["key", "new", "--passphrase"]).on_terminal();
    terminal.expect("New passphrase: ");
    terminal.type_line("correct horse");
    terminal.expect("again: ");
    terminal.type_line("correct horse");
    terminal.expect_end();
    let (text, status) = locked.vault([""; 0]).on_terminal().expect_end();
    assert_eq!(status.code(), Some(0), "{text}");
    assert!(text.contains("/identity: can't be read without a question\n"), "{text}");
}

#[test]
fn a_damaged_environment_is_named_and_the_others_are_shown() {
    let sandbox = Sandbox::new();
    sandbox
        .vault(["init", "-e", "production,staging", "--name", "alice"])
        .run()
        .expect_like(0, "", "...\n");
    sandbox.write("project/envs/production.toml", "\u{1b}[31m");
    sandbox.vault([""; 0]).run().expect_like(
        0,
        "...\nenvironments production  can't be read: `vault check -e production` says why\n\
         [..]staging     0 values, you are alice\n...\n",
        "",
    );
    // Nobody may ever write into it.
    sandbox.sh("rm envs/production.toml && mkfifo envs/production.toml").run().success();
    sandbox.vault([""; 0]).run().expect_like(
        0,
        "...\nenvironments production  can't be read: `vault check -e production` says why\n...\n",
        "",
    );
    sandbox.sh("rm envs/production.toml").run().success();
    sandbox.write("project/envs/production.toml", "<<<<<<< HEAD\n");
    sandbox.vault([""; 0]).run().expect_like(
        0,
        "...\nenvironments production  two versions, from a merge\n\
         [..]staging     0 values, you are alice\n\
         \nnext: vault resolve                      merges the versions that git has\n\
         next: vault help                         lists all commands\n",
        "",
    );
}
