//! `vault start`: what each process finds in its environment, and when there
//! is none to be had.

use rustix::process::Signal;

use crate::formations::{FOREVER, pid_of, plainly, project, said, start, vault_project};
use crate::support::needs::needs_path;
use crate::support::run::{Output, Run};

/// What `a` says of these variables.
const SHOW: &str = "a: printf '%s|%s|%s\\n' \"${A-unset}\" \"${B-unset}\" \"${C-unset}\"\n";

#[track_caller]
fn shows(run: Run, text: &str, stderr: &str) {
    let stdout = format!("a.1 started (pid=N)\n{text}\na.1 stopped (rc=0)\n");
    plainly(run.args(["--no-prefix", "--no-redact"]).run()).expect(0, &stdout, stderr);
}

/// A refusal before anything was started.
#[track_caller]
fn refused(run: Run, stderr: &str) -> Output {
    run.run().expect_like(125, "", stderr)
}

#[test]
fn without_a_vault_the_dotenv_file_is_read_as_honcho_reads_it() {
    let sandbox = project(SHOW);
    shows(start(&sandbox, []), "unset|unset|unset", "");
    sandbox.write("project/.env", "A=1\nB='x # y'\n# C=2\n");
    shows(start(&sandbox, []), "1|x # y|unset", "");
    // It beats the surrounding environment.
    shows(start(&sandbox, []).env("A", "2").env("C", "3"), "1|x # y|3", "");
    // Another file that is named stands in its place, and the later one wins.
    sandbox.write("project/.env.local", "A=local\n");
    sandbox.write("project/sub/more", "A=more\nC=more\n");
    shows(start(&sandbox, ["-e", ".env.local"]), "local|unset|unset", "");
    shows(start(&sandbox, ["-e", ".env, sub/more,.env.local"]), "local|x # y|more", "");
    shows(start(&sandbox, ["-e", ".env.local,sub/more"]), "more|unset|more", "");
    shows(start(&sandbox, ["-e", ".env", "-e", ".env.local"]), "local|unset|unset", "");
}

#[test]
fn what_honcho_drops_from_a_dotenv_file_in_silence_is_told_by_line() {
    let sandbox = project(SHOW);
    sandbox.write("project/.env", "A=1\nexport B=canary\nC=\n");
    let output = plainly(start(&sandbox, ["--no-prefix"]).run()).expect_like(
        0,
        "a.1 started (pid=N)\n1|unset|unset\na.1 stopped (rc=0)\n",
        "vault: .env:2: left out: [..]\nvault: .env:3: left out: [..]\n",
    );
    assert!(!output.err().contains("canary"), "{}", output.err());
}

#[test]
fn a_dotenv_file_that_is_named_and_missing_or_malformed_stops_everything() {
    let sandbox = project("a: touch marker\n");
    sandbox.write("project/.env", "A=1\n");
    let told =
        "vault: there is no vault here[..], and no dotenv file `production` either\nhint: [..]\n";
    refused(start(&sandbox, ["-e", "production"]), told);
    for name in [".env.nope", "./production", ".env,.env.nope"] {
        let missing = name.rsplit(',').next().unwrap_or_default();
        let stderr = format!(
            "vault: the dotenv file `{missing}` does not exist\n\
             hint: there is no vault here, so `-e` names dotenv files\n"
        );
        refused(start(&sandbox, ["-e", name]), &stderr);
    }
    sandbox.sh("mkdir folder").run().success();
    let stderr = "vault: the dotenv file `folder` is a folder\nhint: [..]\n";
    refused(start(&sandbox, ["-e", "folder"]), stderr);
    sandbox.write("project/bad", "A=1\nB='canary\n");
    refused(start(&sandbox, ["-e", "bad"]), "vault: bad:2: missing closing quote: [..]\n");
    sandbox.write("project/bytes", b"A=1\nB=\xff\n");
    refused(start(&sandbox, ["-e", "bytes"]), "vault: bytes: not UTF-8 text\n");
    assert!(!sandbox.path("project/marker").exists(), "something was started");
}

#[test]
fn a_vault_that_is_meant_and_missing_stops_everything() {
    let sandbox = project("a: touch marker\n");
    sandbox.write("project/.env", "A=1\n");
    for name in ["VAULT_ENV", "VAULT_DIR"] {
        for value in ["production", ".env", "."] {
            let run = start(&sandbox, []).env(name, value);
            run.run().expect_that(125, "why", |output| {
                output.stdout.is_empty() && output.err().starts_with("vault: ")
            });
        }
    }
    assert!(!sandbox.path("project/marker").exists(), "something was started");
}

#[test]
fn stored_values_beat_the_surrounding_ones() {
    let sandbox = vault_project(SHOW, &["A=stored", "B="]);
    let run = start(&sandbox, ["-e", "staging"]).env("A", "outside").env("C", "outside");
    shows(run, "stored||outside", "");
    shows(start(&sandbox, []).env("VAULT_ENV", "staging"), "stored||unset", "");
    sandbox.write("project/vault.toml", "default = \"staging\"\n");
    shows(start(&sandbox, []), "stored||unset", "");
}

#[test]
fn environments_and_dotenv_files_mix_in_the_order_they_are_named_in() {
    let sandbox = vault_project(SHOW, &["A=stored", "B=stored"]);
    sandbox.write("project/.env.local", "B=local\nC=local\n");
    sandbox.sh("cp .env.local staging.env").run().success();
    shows(start(&sandbox, ["-e", "staging,.env.local"]), "stored|local|local", "");
    shows(start(&sandbox, ["-e", ".env.local,staging"]), "stored|stored|local", "");
    shows(start(&sandbox, ["-e", "staging,staging.env"]), "stored|local|local", "");
    shows(start(&sandbox, ["-e", "staging,./.env.local"]), "stored|local|local", "");
    sandbox.vault(["set", "-e", "development", "A=dev"]).run().expect(0, "", "");
    shows(start(&sandbox, ["-e", "staging,development"]), "dev|stored|unset", "");
    refused(
        start(&sandbox, ["-e", "staging,.env.nope"]),
        "vault: the dotenv file `.env.nope` does not exist\n\
         hint: leave it out of `-e`, or make the file\n",
    );
}

#[test]
fn a_dotenv_file_alone_needs_no_key() {
    let sandbox = vault_project(SHOW, &["A=stored"]);
    sandbox.write("project/.env.local", "A=local\n");
    sandbox.sh("rm -r ../home/.config/vault").run().success();
    shows(start(&sandbox, ["-e", ".env.local"]), "local|unset|unset", "");
}

#[test]
fn a_dotenv_file_beside_a_vault_is_not_read_and_that_is_told() {
    let sandbox = vault_project(SHOW, &["A=stored"]);
    sandbox.write("project/.env", "A=dotenv\nB=dotenv\n");
    let told = "vault: `.env` is not read: there is a vault\nhint: `-e staging,.env` takes both\n";
    shows(start(&sandbox, ["-e", "staging"]), "stored|unset|unset", told);
    // The hint is good advice.
    shows(start(&sandbox, ["-e", "staging,.env"]), "dotenv|dotenv|unset", "");
}

#[test]
fn an_environment_that_can_not_be_had_stops_everything() {
    let sandbox = vault_project("a: touch marker\n", &["A=stored"]);
    sandbox.write("project/.env", "A=dotenv\n");
    let stderr = "vault: [..]`stagin`[..]\nhint: did you mean `staging`?\n";
    refused(start(&sandbox, ["-e", "stagin"]), stderr);
    // There is none by itself, and `.env` does not take its place.
    refused(start(&sandbox, []), "vault: [..]\nhint: [..]\n");
    let other = sandbox.another_home("mallory");
    refused(start(&other, ["-e", "staging"]), "vault: [..]\n...\nhint: [..]\n");
    sandbox.write("project/vault.toml", "[required]\nDATABASE_URL = \"url\"\n");
    refused(
        start(&sandbox, ["-e", "staging"]),
        "...\nvault: staging: DATABASE_URL is missing\n\
         hint: `[required]` in vault.toml asks for it; set it with `vault set -e staging DATABASE_URL`\n",
    );
    sandbox.write("project/vault.toml", "nonsense = 1\n");
    refused(start(&sandbox, ["-e", "staging"]), "vault: vault.toml:1: [..]\n...\n");
    sandbox.write("project/vault.toml", "");
    let file = sandbox.read("project/envs/staging.toml");
    sandbox.write("project/envs/staging.toml", file.replace("value = \"", "value = \"AAAA"));
    let output =
        refused(start(&sandbox, ["-e", "staging"]), "vault: envs/staging.toml:[..]\n...\n");
    assert!(!output.err().contains("stored"), "{}", output.err());
    assert!(!sandbox.path("project/marker").exists(), "something was started");
}

#[test]
fn a_required_name_may_come_from_a_dotenv_file_or_from_outside() {
    let sandbox = vault_project(SHOW, &["B=1"]);
    sandbox.write("project/vault.toml", "[required]\nA = \"int\"\nPORT = \"int\"\n");
    sandbox.write("project/.env.local", "A=2\n");
    shows(start(&sandbox, ["-e", "staging"]).env("A", "1"), "1|1|unset", "");
    shows(start(&sandbox, ["-e", "staging,.env.local"]), "2|1|unset", "");
    let run = start(&sandbox, ["-e", "staging"]).env("A", "canary");
    let output = refused(run, "vault: staging: A is not an integer\nhint: [..]\n");
    assert!(!output.err().contains("canary"), "{}", output.err());
}

#[test]
fn a_type_that_is_listed_gets_only_the_names_of_its_list() {
    let show = |name: &str| SHOW.replacen('a', name, 1);
    let sandbox = vault_project(&(show("web") + &show("worker")), &["A=1", "B=2", "C=3"]);
    sandbox.write(
        "project/vault.toml",
        "[required]\nC = \"int\"\n[runner.env]\nworker = [\"B\", \"MISSING\"]\n",
    );
    sandbox.write("project/.env.local", "C=4\n");
    let words = ["-e", "staging,.env.local", "--can-end", "web,worker"];
    let output = start(&sandbox, words).env("A", "outside").run().success();
    assert_eq!(said(output.out(), "web.1"), ["1|2|4"]);
    // The list is about what is stored; what is outside was there before.
    assert_eq!(said(output.out(), "worker.1"), ["outside|2|unset"]);
}

#[test]
fn each_process_is_told_its_name_and_port() {
    let procfile = "web: echo $HONCHO_PROCESS_NAME $VAULT_PROCESS_NAME $PORT\n";
    let sandbox = project(procfile);
    let run = |words: &[&str]| start(&sandbox, words).args(["-c", "web=2", "--can-end", "web"]);
    let output =
        run(&[]).env("HONCHO_PROCESS_NAME", "outer.9").env("VAULT_PROCESS_NAME", "outer.9");
    let output = output.run().success();
    assert_eq!(said(output.out(), "web.1"), ["web.1 web.1 5000"]);
    assert_eq!(said(output.out(), "web.2"), ["web.2 web.2 5001"]);
    // As with Honcho, a dotenv file can take the one name and not the port.
    sandbox.write("project/.env", "HONCHO_PROCESS_NAME=mine\nPORT=7000\n");
    let output = run(&[]).run().success();
    assert_eq!(said(output.out(), "web.1"), ["mine web.1 7000"]);
    assert_eq!(said(output.out(), "web.2"), ["mine web.2 7001"]);
}

#[test]
fn the_key_reaches_no_process_unless_it_is_asked_for() {
    let names = "env | grep -c '^VAULT_\\(KEY\\|PASSPHRASE\\)' || true";
    let sandbox = vault_project(&format!("a: {names}; echo $A\n"), &["A=1"]);
    let identity = sandbox.read("home/.config/vault/identity");
    let key = identity.lines().last().unwrap_or_default().to_owned();
    let run = |words: &[&str]| {
        let run = start(&sandbox, words).args(["-e", "staging"]).env("VAULT_KEY", &key);
        run.env("VAULT_KEY_FILE", "x")
            .env("VAULT_KEY_COMMAND", "x")
            .env("VAULT_PASSPHRASE_FILE", "x")
    };
    shows(run(&[]), "0\n1", "");
    shows(run(&["--keep-key"]), "4\n1", "");
}

#[test]
fn the_key_is_nowhere_in_what_others_see_of_a_process() {
    if !needs_path("/proc/self/environ") {
        return;
    }
    let sandbox = vault_project(&format!("a: {FOREVER}\n"), &["A=1"]);
    let identity = sandbox.read("home/.config/vault/identity");
    let key = identity.lines().last().unwrap_or_default().to_owned();
    let mut running = start(&sandbox, ["-e", "staging"]).env("VAULT_KEY", &key).spawn();
    let process = pid_of(&mut running, "a.1");
    let read = |what: &str| {
        let bytes = std::fs::read(format!("/proc/{process}/{what}")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let environment = read("environ");
    assert!(environment.contains("A=1\0"), "{environment}");
    assert!(!environment.contains("VAULT_KEY") && !environment.contains(&key), "{environment}");
    running.kill(Signal::TERM);
    let output = running.wait();
    assert_eq!((output.code(), output.err()), (Some(143), ""));
}

#[test]
fn no_descriptor_is_added_to_a_process() {
    if !needs_path("/proc/self/fd") {
        return;
    }
    // `ls` itself opens the folder as the next free one.
    let names = "exec ls /proc/self/fd";
    let sandbox = vault_project(&format!("a: {names}\nb: {names}\n"), &["A=1"]);
    sandbox.sh("cp ../home/.config/vault/identity ../key").run().success();
    let alone = sandbox.sh(names).run().success();
    let alone: Vec<&str> = alone.out().split_whitespace().collect();
    for words in [&[][..], &["--pty"]] {
        let run = start(&sandbox, words).args(["-e", "staging", "--can-end", "a,b"]);
        let output = run.env("VAULT_KEY_COMMAND", "cat ../key").run().success();
        for name in ["a.1", "b.1"] {
            let shown = said(output.out(), name).join(" ");
            let shown: Vec<&str> = shown.split_whitespace().collect();
            assert_eq!(shown, alone, "{name}, {words:?}");
        }
    }
}

#[test]
fn signals_that_vault_catches_or_ignores_are_as_usual_for_a_process() {
    if !needs_path("/proc/self/status") {
        return;
    }
    // 32 and 33 belong to the C library, which takes them for threads; they stand left of the others.
    let show = "sed -nE 's/^(Sig(Blk|Ign|Cgt):).*(........)$/\\1 \\3/p' /proc/self/status";
    let sandbox = project(&format!("a: {show}\n"));
    let alone = sandbox.sh(show).run().success();
    shows(start(&sandbox, []), alone.out().trim_end(), "");
}

#[test]
fn a_stored_path_does_not_choose_the_shell() {
    let sandbox = vault_project("a: echo real\n", &["A=1"]);
    sandbox.write("project/bin/sh", "#!/bin/sh\necho planted\n");
    sandbox.sh("chmod +x bin/sh").run().success();
    sandbox.write("project/.env.local", "PATH=./bin\n");
    shows(start(&sandbox, ["-e", "staging,.env.local"]), "real", "");
}

#[test]
fn a_variable_over_the_limit_is_told_by_name_and_ends_with_status_1() {
    let sandbox = project("a: touch marker\n");
    let long = "x".repeat(131_072);
    sandbox.write("project/.env", format!("LONG={long}\n"));
    plainly(start(&sandbox, ["--no-prefix"]).run()).expect_like(
        1,
        "a.1 could not be started: LONG: [..] has 131077 bytes[..]\n",
        "",
    );
    assert!(!sandbox.path("project/marker").exists(), "it was started");
}
