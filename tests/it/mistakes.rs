//! The commonest mistakes, and the whole of what is said to each: what is true, where it is, one thing to
//! do, and never a value.

#![allow(clippy::expect_used, reason = "helpers of tests are not #[test]")]

use std::os::unix::fs::PermissionsExt as _;

use crate::support::needs::needs;
use crate::support::run::Run;
use crate::support::sandbox::Sandbox;

/// What must stand in no message.
const VALUE: &str = "hunter2";

/// A sandbox whose staging has two variables, and an empty development.
#[track_caller]
fn project() -> Sandbox {
    let sandbox = Sandbox::new();
    let init = sandbox.vault(["init", "-e", "development,staging"]).run();
    init.expect_like(0, "", "...\nhint: [..]\n");
    let set = ["set", "-e", "staging", "DATABASE_URL=postgres://shop@db", "SECRET_KEY=hunter2"];
    sandbox.vault(set).run().expect(0, "", "");
    sandbox
}

/// Nothing on stdout, no value anywhere, and exactly this on stderr.
#[track_caller]
fn told(run: Run, code: i32, text: &str) {
    let output = run.run().expect(code, "", text);
    assert!(!output.err().contains(VALUE), "a value is told");
}

/// `vault ARGS` is told this.
#[track_caller]
fn says(sandbox: &Sandbox, args: &[&str], code: i32, text: &str) {
    told(sandbox.vault(args), code, text);
}

/// A person with a new key of his own, who is no member.
#[track_caller]
fn bob(sandbox: &Sandbox) -> Sandbox {
    let bob = sandbox.another_home("bob");
    bob.vault(["key", "new"]).run().expect_like(0, "age1[..]\n", "...\n");
    bob
}

#[test]
fn whoever_names_no_environment_learns_which_there_are() {
    let sandbox = project();
    let text = "vault: no environment is named: neither `-e`, nor VAULT_ENV, nor `default` in vault.toml\n\
                hint: add `-e development`; the environments are development, staging\n";
    says(&sandbox, &["get", "DATABASE_URL"], 2, text);
    says(&sandbox, &["set", "DEBUG=hunter2"], 2, text);
    says(&sandbox, &["run", "--", "true"], 125, text);
}

#[test]
fn a_misspelled_environment_is_told_with_the_near_one() {
    let sandbox = project();
    let text = "vault: there is no environment `stagin`\nhint: did you mean `staging`?\n";
    says(&sandbox, &["get", "-e", "stagin", "DATABASE_URL"], 3, text);
    says(&sandbox, &["run", "-e", "stagin", "--", "true"], 125, text);
    let text = "vault: there is no environment `prod`\n\
                hint: the environments are development, staging\n";
    says(&sandbox, &["list", "-e", "prod"], 3, text);
    let text = "vault: there is no environment `STAGING`\nhint: did you mean `staging`?\n";
    says(&sandbox, &["list", "-e", "STAGING"], 3, text);
}

#[test]
fn an_environment_in_the_place_of_something_else_is_told_with_its_flag() {
    let sandbox = project();
    sandbox.write("project/vault.toml", "default = \"development\"\n");
    let text = "vault: `staging` is an environment, and no variable\n\
                hint: name the environment by `-e staging`\n";
    for words in
        [&["set", "staging"][..], &["set", "staging", "A=hunter2"], &["set", "staging", "A", "x"]]
    {
        let run = sandbox.vault(words).stdin(VALUE);
        told(run, 2, text);
    }
    let text = "vault: development has no staging\nhint: did you mean `-e staging`?\n";
    says(&sandbox, &["get", "staging"], 3, text);
    says(&sandbox, &["unset", "-y", "staging", "SECRET_KEY"], 3, text);
    let text = "vault: unexpected argument `SECRET_KEY` found\n\
                hint: an environment is named by `-e`: vault get -e ENV NAME\n";
    says(&sandbox, &["get", "staging", "SECRET_KEY"], 2, text);
    let text = "vault: there is no export format `staging`\n\
                hint: name the environment by `-e staging`, and a format: vault export dotenv -e staging\n";
    says(&sandbox, &["export", "staging"], 2, text);
    let text = "vault: `staging`: command not found\nhint: did you mean `-e staging`?\n";
    says(&sandbox, &["run", "staging", "--", "true"], 127, text);
    // A value that was glued to the flag isn't shown.
    let text = "vault: there is no environment `PASSWORD=…`\n\
                hint: the environments are development, staging\n";
    says(&sandbox, &["set", "NAME", "-ePASSWORD=hunter2"], 3, text);
    // Whoever has such a variable can go on with it.
    sandbox.vault(["set", "staging=x"]).run().expect(0, "", "");
    sandbox.vault(["set", "staging"]).stdin("y").run().expect(0, "", "");
    sandbox.vault(["get", "staging"]).run().expect(0, "y", "");
}

#[test]
fn a_key_of_another_environment_than_the_default_is_told_which_one_it_opens() {
    let sandbox = project();
    sandbox.write("project/vault.toml", "default = \"development\"\n");
    let bob = bob(&sandbox);
    let key = bob.vault(["key", "show"]).run().out().trim().to_owned();
    let grant = sandbox.vault(["grant", "ci", "-e", "staging", "--key", &key]).run();
    grant.expect_that(0, "granted", |output| output.out().is_empty());
    let text = "vault: envs/development.toml: this key opens nothing here\n\
                hint: your key opens staging: add `-e staging`\n";
    says(&bob, &["run", "--", "true"], 125, text);
    bob.vault(["run", "-e", "staging", "--", "true"]).run().expect(0, "", "");
    // Who has typed it means it.
    bob.vault(["run", "-e", "development", "--", "true"]).run().expect_like(
        125,
        "",
        "vault: envs/development.toml: this key opens nothing here\nhint: `vault request -e development` [..]\n",
    );
}

#[test]
fn a_commit_in_the_place_of_an_environment_is_told_with_its_flag() {
    let sandbox = project();
    if !needs("git") {
        return;
    }
    sandbox.sh("git init -q -b main && git add -A && git commit -qm one").run().success();
    for commit in ["HEAD", "main"] {
        let text = format!(
            "vault: there is no environment `{commit}`\nhint: a commit is named by `--rev {commit}`\n"
        );
        says(&sandbox, &["diff", commit], 3, &text);
    }
    let text = "vault: there is no environment `HEAD~9`\n\
                hint: the environments are development, staging\n";
    says(&sandbox, &["diff", "HEAD~9"], 3, text);
}

#[test]
fn an_environment_that_nobody_typed_is_told_with_its_source() {
    let sandbox = project();
    told(
        sandbox.vault(["run", "--", "true"]).env("VAULT_ENV", "stagin"),
        125,
        "vault: VAULT_ENV: there is no environment `stagin`\nhint: did you mean `staging`?\n",
    );
    sandbox.write("project/vault.toml", "default = \"stagin\"\n");
    says(
        &sandbox,
        &["get", "DATABASE_URL"],
        3,
        "vault: vault.toml: there is no environment `stagin`\nhint: did you mean `staging`?\n",
    );
}

#[test]
fn an_environment_without_its_flag_is_answered_with_the_flag() {
    let sandbox = project();
    for (command, word) in [("list", "staging"), ("init", "qa"), ("status", "staging")] {
        let text = format!(
            "vault: unexpected argument `{word}` found\n\
             hint: if that is an environment, name it by `-e {word}`\n"
        );
        says(&sandbox, &[command, word], 2, &text);
    }
    told(
        sandbox.vault(["run", "staging", "--", "true"]).env("VAULT_ENV", "development"),
        127,
        "vault: `staging`: command not found\nhint: did you mean `-e staging`?\n",
    );
}

#[test]
fn a_flag_of_the_command_asks_for_the_dashes_before_the_command() {
    let sandbox = project();
    for (args, flag) in [(["--settings=x", "python"], "--settings"), (["-m", "pytest"], "-m")] {
        let text = format!(
            "vault: unexpected argument `{flag}` found\n\
             hint: put `--` before the command: vault run [OPTIONS] -- CMD\n"
        );
        told(sandbox.vault(["run", "-e", "staging"]).args(args), 125, &text);
    }
}

#[test]
fn a_run_of_nothing_is_told_what_is_missing() {
    let sandbox = project();
    let text = "vault: there is no command to run\nhint: vault run -e ENV -- CMD\n";
    says(&sandbox, &["run", "-e", "staging"], 125, text);
    says(&sandbox, &["run", "-e", "staging", "--"], 125, text);
}

#[test]
fn a_command_that_is_not_found_is_named_with_what_is_probably_wrong() {
    let sandbox = project();
    let run = |words: &[&str], text: &str| {
        told(sandbox.vault(["run", "-e", "staging", "--"]).args(words), 127, text);
    };
    run(&["pyhton", "x.py"], "vault: `pyhton`: command not found\n");
    run(
        &["printenv DATABASE_URL"],
        "vault: `printenv DATABASE_URL`: command not found\n\
         hint: leave the quotes out, or start a shell: `vault run -- sh -c '…'`\n",
    );
    run(
        &["DEBUG=hunter2", "python", "x.py"],
        "vault: `DEBUG=…`: command not found\n\
         hint: `vault run -- env NAME=VALUE CMD` sets a variable for the command\n",
    );
    sandbox.write("project/manage.py", "");
    run(
        &["manage.py"],
        "vault: `manage.py`: command not found\nhint: did you mean `./manage.py`?\n",
    );
}

#[test]
fn whoever_has_no_key_is_told_how_to_get_one() {
    let newcomer = project().another_home("bob");
    let text = "vault: no private key: no VAULT_KEY, VAULT_KEY_FILE, VAULT_KEY_COMMAND or credential, and no identity file\n\
                hint: name your key by `VAULT_KEY_FILE`; who has none yet asks for access with `vault request`, which makes one\n";
    says(&newcomer, &["get", "-e", "staging", "SECRET_KEY"], 4, text);
    says(&newcomer, &["run", "-e", "staging", "--", "true"], 125, text);
}

#[test]
fn a_key_that_opens_nothing_is_told_how_to_ask() {
    let sandbox = project();
    let bob = bob(&sandbox);
    let text = "vault: envs/staging.toml: this key opens nothing here\n\
                hint: `vault request -e staging` asks its members to grant you access: tester\n";
    says(&bob, &["get", "-e", "staging", "SECRET_KEY"], 4, text);
    says(&bob, &["set", "-e", "staging", "SECRET_KEY=hunter2"], 4, text);
    says(&bob, &["run", "-e", "staging", "--", "true"], 125, text);
    let other = sandbox.path("people/bob/home/.config/vault/identity");
    let get = sandbox.vault(["get", "-e", "staging", "SECRET_KEY"]);
    told(get.env("VAULT_KEY_FILE", other), 4, text);
}

#[test]
fn what_is_no_private_key_is_told_for_what_it_is() {
    let sandbox = project();
    let public = sandbox.vault(["key", "show"]).run();
    let given = |name: &str, text: &str, told_of_it: &str| {
        let get = sandbox.vault(["get", "-e", "staging", "SECRET_KEY"]);
        told(get.env(name, text), 4, told_of_it);
    };
    given(
        "VAULT_KEY",
        "/home/somebody/.config/vault/identity",
        "vault: VAULT_KEY is a path, where the key itself is wanted\n\
         hint: give the path by `VAULT_KEY_FILE`\n",
    );
    given(
        "VAULT_KEY",
        public.out().trim_end(),
        "vault: VAULT_KEY: this is a public key; the private one begins with `AGE-SECRET-KEY-1`\n",
    );
    given(
        "VAULT_KEY",
        VALUE,
        "vault: VAULT_KEY: the key is no age or ssh private key\n\
         hint: look at line 1 of the key\n",
    );
    given("VAULT_KEY_FILE", "none", "vault: the key file `none` does not exist\n");
    given(
        "VAULT_KEY_FILE",
        "~/.config/vault/identity",
        "vault: the key file `~/.config/vault/identity` does not exist\n\
         hint: a shell leaves a quoted `~` as it is: write `$HOME`\n",
    );
    given("VAULT_KEY_FILE", "envs", "vault: the key file `envs` is not a regular file\n");
    given(
        "VAULT_KEY_COMMAND",
        "no-such-program",
        "vault: VAULT_KEY_COMMAND: cannot run `no-such-program`: no such file or directory\n",
    );
    given("VAULT_KEY_COMMAND", "false", "vault: VAULT_KEY_COMMAND: `false` ended with status 1\n");
}

#[test]
fn an_identity_that_others_can_read_is_refused_with_the_chmod() {
    let sandbox = project();
    let identity = sandbox.path("home/.config/vault/identity");
    std::fs::set_permissions(&identity, std::fs::Permissions::from_mode(0o644)).unwrap();
    says(
        &sandbox,
        &["get", "-e", "staging", "SECRET_KEY"],
        4,
        "vault: the identity `$SANDBOX/home/.config/vault/identity` can be read or changed by other users\n\
         hint: run `chmod 600 $SANDBOX/home/.config/vault/identity`\n",
    );
}

#[test]
fn what_is_no_variable_name_is_told_without_the_value_beside_it() {
    let sandbox = project();
    let rule = "a variable name is letters, digits and `_`, and does not begin with a digit";
    let text = format!("vault: word 1 is not NAME or NAME=VALUE: {rule}\n");
    says(&sandbox, &["set", "-e", "staging", "MY-VAR=hunter2"], 2, &text);
    let text = format!(
        "vault: word 2 is not NAME or NAME=VALUE: {rule}\n\
         hint: write NAME=VALUE as one word\n"
    );
    says(&sandbox, &["set", "-e", "staging", "A", "=", "hunter2"], 2, &text);
    says(&sandbox, &["set", "-e", "staging", "A", "hunter2!"], 2, &text);
    let text = format!("vault: `A=…`: {rule}\n");
    says(&sandbox, &["get", "-e", "staging", "A=hunter2"], 2, &text);
    let text = "vault: a word that begins with `-` is no flag of `set`\n\
                hint: `vault set NAME` asks for a value, or reads it from stdin\n";
    says(&sandbox, &["set", "-e", "staging", "A", "--hunter2"], 2, text);
    says(&sandbox, &["set", "-e", "staging", "A", "-----BEGIN hunter2"], 2, text);
    says(&sandbox, &["set", "-e", "staging", "A", "-hunter2"], 2, text);
    let text =
        "vault: a word that begins with `-` is no flag of `set`\nhint: did you mean `--yes`?\n";
    says(&sandbox, &["set", "-e", "staging", "A", "--yeshunter2"], 2, text);
    let text =
        "vault: unrecognized subcommand `A=…`\nhint: perhaps you want `vault set NAME=VALUE`\n";
    says(&sandbox, &["A=hunter2"], 2, text);
    let text =
        "vault: unrecognized subcommand `A-B=…`\nhint: perhaps you want `vault set NAME=VALUE`\n";
    says(&sandbox, &["A-B=hunter2"], 2, text);
}

#[test]
fn a_name_that_vault_or_a_loader_reads_is_refused() {
    let sandbox = project();
    says(
        &sandbox,
        &["set", "-e", "staging", "PATH=hunter2"],
        2,
        "vault: PATH changes how programs load: whoever may set it runs code in every command\n\
         hint: if that is wanted, write `loader = [\"PATH\"]` under `[allow]` in vault.toml\n",
    );
    says(
        &sandbox,
        &["set", "-e", "staging", "VAULT_KEY=hunter2"],
        2,
        "vault: VAULT_KEY is a setting of vault itself and can't be a variable of an environment\n",
    );
}

#[test]
fn a_value_that_nobody_gives_is_not_stored_as_empty() {
    let text = "vault: TOKEN: there is nothing on the standard input\n\
                hint: `vault set TOKEN=` stores an empty value\n";
    says(&project(), &["set", "-e", "staging", "TOKEN"], 1, text);
}

#[test]
fn outside_of_a_project_the_way_in_is_named() {
    let sandbox = Sandbox::new();
    let text = "vault: there is no vault here: no `vault.toml` and no `envs/*.toml` in this folder or above it\n\
                hint: make one with `vault init`\n";
    says(&sandbox, &["set", "-e", "staging", "A=hunter2"], 3, text);
    says(&sandbox, &["status"], 3, text);
    let text = "vault: there is no vault here: no `vault.toml` and no `envs/*.toml`, and no dotenv file `staging` either\n\
                hint: make one with `vault init`\n";
    says(&sandbox, &["run", "-e", "staging", "--", "true"], 125, text);
    sandbox.write("project/vault.toml", "");
    let text = "vault: there is no environment yet\nhint: make one with `vault init`\n";
    says(&sandbox, &["list"], 3, text);
}

#[test]
fn a_dotenv_file_with_bad_lines_is_told_line_by_line_and_stores_nothing() {
    let sandbox = project();
    let before = sandbox.read("project/envs/staging.toml");
    sandbox.write("project/.env", "A=hunter2\nB hunter2\nC=hunter2 # x\nMY-VAR=hunter2\n");
    says(
        &sandbox,
        &["import", "-e", "staging", ".env"],
        5,
        "vault: .env:2: no \"=\" on this line: write NAME=value, and put a value of several lines in quotes\n\
         vault: .env:3: C: \"#\" in an unquoted value: comment or part of the value? Put the value in single quotes\n\
         vault: .env:4: not a variable name: use letters, digits and \"_\", and no digit at the start\n\
         hint: mend the file and import it again; nothing was stored\n",
    );
    let text = "vault: the file `.evn` does not exist\n";
    says(&sandbox, &["import", "-e", "staging", ".evn"], 3, text);
    assert_eq!(sandbox.read("project/envs/staging.toml"), before);
}

#[test]
fn an_unknown_variable_is_told_with_the_near_one_or_the_way_to_all() {
    let sandbox = project();
    let text = "vault: development has no SECRET_KEY\n\
                hint: `vault list -e development` shows the names\n";
    says(&sandbox, &["get", "-e", "development", "SECRET_KEY"], 3, text);
    for wrong in ["DATABSE_URL", "database_url"] {
        let text = format!("vault: staging has no {wrong}\nhint: did you mean `DATABASE_URL`?\n");
        says(&sandbox, &["get", "-e", "staging", wrong], 3, &text);
    }
}

#[test]
fn a_file_that_was_changed_by_hand_is_told_with_its_line() {
    let sandbox = project();
    let whole = sandbox.read("project/envs/staging.toml");
    let lines = whole.lines().count();
    let back = "hint: look at the file's last changes in git, and take an earlier version back\n";
    let put = |text: String| sandbox.write("project/envs/staging.toml", text);
    let get = ["get", "-e", "staging", "SECRET_KEY"];

    put(format!("{whole}NEW = \"hunter2\"\n"));
    let text = format!("vault: envs/staging.toml:{}: unknown field `NEW`\n{back}", lines + 1);
    says(&sandbox, &get, 5, &text);

    put(format!("{whole}\n[secrets.NEW]\nvalue = \"hunter2!\"\n"));
    let text = format!(
        "vault: envs/staging.toml:{}: `value` is not base64 with padding\n{back}",
        lines + 3
    );
    says(&sandbox, &get, 5, &text);

    put(whole.replace("[secrets.SECRET_KEY]", "[secrets.SECRET]"));
    let block = whole.lines().position(|line| line == "[secrets.SECRET_KEY]").expect("a block");
    let text = format!(
        "vault: envs/staging.toml:{}: SECRET: the value was altered, or belongs to another name or environment\n\
         hint: take the value's block back from git; where that is gone, `vault unset` the name and set a new value\n",
        block + 1
    );
    says(&sandbox, &["run", "-e", "staging", "--", "true"], 125, &text);

    put(whole);
    std::fs::copy(sandbox.path("project/envs/staging.toml"), sandbox.path("project/envs/qa.toml"))
        .unwrap();
    let text = "vault: envs/qa.toml:3: this file says that it is the environment staging, not qa\n\
                hint: put it back under its own name, `staging.toml`\n";
    says(&sandbox, &["get", "-e", "qa", "SECRET_KEY"], 5, text);
}

#[test]
fn a_conflict_marker_is_told_from_any_folder_with_the_command_that_merges() {
    let sandbox = project();
    let whole = sandbox.read("project/envs/staging.toml");
    sandbox.write("project/envs/staging.toml", format!("<<<<<<< HEAD\n{whole}"));
    std::fs::create_dir_all(sandbox.path("project/app/shop")).unwrap();
    for (folder, file) in [(".", "envs"), ("app/shop", "../../envs")] {
        let text = format!(
            "vault: {file}/staging.toml:1: a git conflict marker: two versions of the file stand here\n\
             hint: `vault resolve` merges the versions that git has\n"
        );
        let in_folder = |args: &[&str]| sandbox.vault(args).cwd(folder);
        told(in_folder(&["get", "-e", "staging", "SECRET_KEY"]), 5, &text);
        told(in_folder(&["set", "-e", "staging", "A=hunter2"]), 5, &text);
        told(in_folder(&["run", "-e", "staging", "--", "true"]), 125, &text);
    }
}

#[test]
fn a_dotenv_file_that_goes_into_a_commit_is_found() {
    let sandbox = project();
    sandbox.write("project/.env", "STRIPE_KEY=another-value\n");
    sandbox.sh("git init -q && git add -A").run().expect(0, "", "");
    sandbox.vault(["scan", "--staged"]).run().expect_like(
        1,
        ".env: a dotenv file with values [[..]]\n",
        "hint: take it out; what may stay goes by the number in brackets into `allow` under `[scan]` in vault.toml\n",
    );
}

#[test]
fn what_is_required_and_missing_is_told_with_the_command_that_sets_it() {
    let sandbox = project();
    sandbox.write("project/vault.toml", "[required]\nSENTRY_DSN = \"url\"\nSECRET_KEY = \"int\"\n");
    says(
        &sandbox,
        &["run", "-e", "staging", "--", "true"],
        125,
        "vault: staging: SECRET_KEY is not an integer\n\
         vault: staging: SENTRY_DSN is missing\n\
         hint: `[required]` in vault.toml asks for it; set it with `vault set -e staging NAME`\n",
    );
}

#[test]
fn settings_that_are_no_toml_are_told_with_line_and_reason() {
    let sandbox = project();
    sandbox.write("project/vault.toml", "SECRET_KEY = \"hunter2\"\n");
    let text = "vault: vault.toml:1: unknown field `SECRET_KEY`\n\
                hint: possible here: default, required, allow, runner, scan\n";
    says(&sandbox, &["get", "-e", "staging", "SECRET_KEY"], 5, text);
    sandbox.write("project/vault.toml", "# ours\ndefault = staging\n");
    sandbox.vault(["get", "SECRET_KEY"]).run().expect_like(
        5,
        "",
        "vault: vault.toml:2: this is not TOML: [..]quoted[..]\n",
    );
}

#[test]
fn a_grant_before_the_request_is_told_the_order() {
    let sandbox = project();
    let text = "vault: nobody asks for access as bob\n\
                hint: he runs `vault request`, and you pull his branch; `vault status` lists who asks\n";
    says(&sandbox, &["grant", "bob"], 3, text);
    bob(&sandbox).vault(["request", "-e", "staging"]).run().expect_like(0, "", "...\nhint: [..]\n");
    says(
        &sandbox,
        &["grant", "bob", "-y"],
        1,
        "vault: bob: nobody can be asked whether the key is his\n\
         hint: add `--expect` with the fingerprint that he told you\n",
    );
}

#[test]
fn a_member_who_is_none_can_lose_nothing() {
    let sandbox = project();
    let text = "vault: nobody is called tim in any environment\n\
                hint: `vault members` lists the members\n";
    says(&sandbox, &["revoke", "tim"], 3, text);
    let text = "vault: staging has no member tim\nhint: its members are tester\n";
    says(&sandbox, &["revoke", "tim", "-e", "staging"], 3, text);
    bob(&sandbox).vault(["request", "-e", "staging"]).run().expect_like(0, "", "...\nhint: [..]\n");
    let text = "vault: staging has no member bob, who only asks for access\n\
                hint: take the block `[requests.bob]` out of envs/staging.toml\n";
    says(&sandbox, &["revoke", "bob", "-e", "staging"], 3, text);
}

#[test]
fn the_words_of_other_programs_are_answered_with_ours() {
    let sandbox = project();
    let text = "vault: this is not HashiCorp Vault, and has no `kv`\n\
                hint: perhaps you want `vault get NAME` and `vault set NAME`\n";
    says(&sandbox, &["kv", "put", "secret/shop", "A=hunter2"], 2, text);
    for (word, meant) in [
        ("add", "`vault set NAME`"),
        ("rm", "`vault unset NAME`"),
        ("remove", "`vault unset NAME`"),
        ("show", "`vault get NAME`, or `vault list`"),
        ("users", "`vault members`"),
        ("exec", "`vault run -- CMD`"),
        ("shell", "`vault run -- CMD`"),
        ("encrypt", "`vault import FILE`"),
        ("decrypt", "`vault export dotenv`"),
        ("invite", "`vault grant MEMBER`"),
        ("whoami", "`vault status`"),
    ] {
        let text =
            format!("vault: unrecognized subcommand `{word}`\nhint: perhaps you want {meant}\n");
        says(&sandbox, &[word], 2, &text);
    }
}

#[test]
fn an_editor_that_is_not_there_is_told_with_the_variable_that_names_it() {
    let sandbox = project();
    let edit = || sandbox.vault(["edit", "staging"]).env("EDITOR", "no-such-editor");
    told(
        edit(),
        1,
        "vault: there is no terminal for an editor\n\
         hint: `vault set` changes a value without one\n",
    );
    let (text, status) = edit().on_terminal().expect_end();
    assert_eq!(status.code(), Some(1), "{text}");
    assert_eq!(
        text,
        "vault: the editor `no-such-editor` of EDITOR is not there\n\
         hint: name another, as in `--editor nano`, or add `--isolation builtin`\n"
    );
}
