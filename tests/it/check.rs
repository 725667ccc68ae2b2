//! `vault check`: what is wrong before anything is started.

use crate::formations::{project, vault_project};
use crate::support::needs::needs;

/// What one member alone holds is told for each environment.
const ALONE: &str = "one member alone holds it; a lost key is a lost environment: `vault key recovery` makes another";

#[test]
fn a_good_procfile_is_said_to_be_valid_without_any_vault() {
    let sandbox = project("web: sh -c true\nworker: FOO=1 exec sh\n");
    sandbox.vault(["check"]).run().expect(
        0,
        "note: Procfile: valid procfile detected (web, worker)\n",
        "",
    );
    sandbox.vault(["check", "--json"]).run().expect(
        0,
        "[{\"level\":\"note\",\"message\":\"Procfile: valid procfile detected (web, worker)\"}]\n",
        "",
    );
}

#[test]
fn what_is_left_out_is_told_by_line_and_strict_minds_it() {
    let procfile =
        "web: no-such-program --port $PORT\n b: x\nworker: bin/missing\nok: $HOME/x; cd y\n";
    let sandbox = project(procfile);
    sandbox.write("project/.env", "A=1\nexport B=2\n");
    let told = "warning: .env:2: left out: `export` is not known in this file\n\
                warning: Procfile:2: not a process: it begins with a blank\n\
                warning: Procfile:1: web: `no-such-program` is not found on PATH\n\
                warning: Procfile:3: worker: `bin/missing` is not found on PATH\n\
                note: Procfile: valid procfile detected (web, worker, ok)\n";
    sandbox.vault(["check"]).run().expect(0, told, "");
    sandbox.vault(["check", "--strict"]).run().expect(1, told, "");
}

#[test]
fn a_procfile_that_can_not_be_used_is_status_1() {
    let sandbox = project("web: a\nweb: b\n");
    let told = "error: Procfile:2: the process type `web` is there already, on line 1\n\
                note: give one of them another name\n";
    sandbox.vault(["check"]).run().expect(1, told, "");
    let told = "error: Procfile `None` does not exist or is not a file\n\
                note: name it by `-f`, or its folder by `-d`\n";
    sandbox.vault(["check", "-f", "None"]).run().expect(1, told, "");
    let told = "error: the dotenv file `no.env` does not exist\n\
                note: there is no vault here, so `-e` names dotenv files\n";
    sandbox.vault(["check", "-e", "no.env"]).run().expect(1, told, "");
    sandbox.write("project/.env", "A='open\n");
    let told = "error: .env:1: missing closing quote: a value ends with its line\n";
    sandbox.vault(["check"]).run().expect_that(1, told, |output| output.out().starts_with(told));
    sandbox.write("project/Procfile", "");
    sandbox.sh("rm .env").run().success();
    sandbox.vault(["check"]).run().expect(
        0,
        "warning: Procfile: there is no process in it\nnote: Procfile: valid procfile detected ()\n",
        "",
    );
}

#[test]
fn every_environment_is_looked_at_and_names_that_one_lacks_are_told() {
    let sandbox = vault_project("web: sh\n", &["A=1", "B=2"]);
    sandbox.vault(["set", "-e", "production", "A=3"]).run().expect(0, "", "");
    let told = format!(
        "note: Procfile: valid procfile detected (web)\n\
         warning: development: {ALONE}\nnote: development: whole and authentic, 0 values\n\
         warning: production: {ALONE}\nnote: production: whole and authentic, 1 value\n\
         warning: staging: {ALONE}\nnote: staging: whole and authentic, 2 values\n\
         warning: production: has no B, which staging has\n"
    );
    sandbox.vault(["check"]).run().expect(0, &told, "");
    sandbox.vault(["check", "-e", "staging"]).run().expect(
        0,
        &format!(
            "note: Procfile: valid procfile detected (web)\n\
             warning: staging: {ALONE}\nnote: staging: whole and authentic, 2 values\n"
        ),
        "",
    );
    sandbox.vault(["set", "-e", "development", "B=1"]).run().expect(0, "", "");
    sandbox.vault(["check"]).run().expect_that(0, "two have it", |output| {
        output.out().ends_with("warning: production: has no B, which development, staging have\n")
    });
    // Who says what is required has said what may be missing.
    sandbox.write(
        "project/vault.toml",
        "[required]\nA = { kind = \"string\", envs = [\"staging\"] }\n",
    );
    sandbox
        .vault(["check"])
        .run()
        .expect_that(0, "declared", |output| !output.out().contains("has no "));
}

#[test]
fn without_a_key_it_says_what_it_did_not_look_at() {
    let sandbox = vault_project("web: sh\n", &["A=not-a-number"]);
    sandbox
        .write("project/vault.toml", "[required]\nA = \"int\"\nB = \"string\"\nPORT = \"int\"\n");
    let stranger = sandbox.another_home("stranger");
    let words = ["check", "-e", "staging"];
    stranger.vault(words).run().expect(
        1,
        &format!(
            "note: Procfile: valid procfile detected (web)\n\
             note: no private key: what is stored was not decrypted, and what is required was only checked by name\n\
             error: staging: B is missing\n\
             warning: staging: {ALONE}\nnote: staging: readable, 1 value\n"
        ),
        "",
    );
    sandbox.vault(words).run().expect(
        1,
        &format!(
            "note: Procfile: valid procfile detected (web)\n\
             error: staging: A is not an integer\nerror: staging: B is missing\n\
             warning: staging: {ALONE}\nnote: staging: whole and authentic, 1 value\n"
        ),
        "",
    );
}

#[test]
fn a_damaged_environment_and_a_runner_for_nobody_are_told() {
    let sandbox = vault_project("web: sh\n", &["A=1"]);
    sandbox.write("project/vault.toml", "[runner]\npty = [\"wob\", \"web\"]\n");
    let text = sandbox.read("project/envs/staging.toml");
    sandbox.write("project/envs/staging.toml", text.replace("vault = ", "valt = "));
    let output = sandbox.vault(["check", "-e", "staging"]).run();
    output.expect_like(
        1,
        "warning: vault.toml: `[runner]` names `wob`, which is no process type; did you mean `web`?\n\
         note: Procfile: valid procfile detected (web)\n\
         error: envs/staging.toml: not a vault file: `vault = 1` is missing\n\
         note: take the file back from git, or move it away and make a new one with `vault init`\n",
        "",
    );
}

#[test]
fn plaintext_that_git_tracks_is_an_error() {
    if !needs("git") {
        return;
    }
    let sandbox = vault_project("web: sh\n", &[]);
    sandbox.write("project/.env", "A=1\n");
    sandbox.sh("git init -q . && git add -f .env").run().success();
    let output = sandbox.vault(["check"]).run();
    output.expect_that(1, "the tracked file", |output| {
        output.out().starts_with(
            "error: .env: git tracks it, with its values in plaintext\n\
             note: .env: not read, because there is a vault\n",
        )
    });
}

#[test]
fn the_default_of_a_developer_hides_no_environment() {
    let sandbox = vault_project("web: sh\n", &["A=1"]);
    sandbox.vault(["init", "-e", "production"]).run().expect_like(0, "", "...\n");
    sandbox.write("project/vault.toml", "default = \"staging\"\n");
    let text = sandbox.read("project/envs/production.toml");
    sandbox.write("project/envs/production.toml", format!("{text}<<<<<<< HEAD\n"));
    let told = "...\nerror: envs/production.toml:[..]: a git conflict marker: two versions of the file stand here\n\
                note: `vault resolve` merges the versions that git has\n...\n";
    sandbox.vault(["check"]).run().expect_like(1, told, "");
    // Only what is named is looked at.
    for run in [
        sandbox.vault(["check", "-e", "staging"]),
        sandbox.vault(["check"]).env("VAULT_ENV", "staging"),
    ] {
        run.run().expect_that(0, "the other one is whole", |output| {
            !output.out().contains("production")
        });
    }
}
