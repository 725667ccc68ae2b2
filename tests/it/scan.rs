//! `vault scan`: what should not be in a repository.

#![allow(clippy::unwrap_used, reason = "helpers of tests are not #[test]")]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::support::run::{Output, Run};
use crate::support::sandbox::Sandbox;
use crate::vaults::{ALPHA, BETA, identity, init, no_value, set, vault, vault_with};

/// 36 letters and digits that are no token of anybody, in two pieces so that no file has them behind a prefix.
const BODY: [&str; 2] = ["Ab1Cd2Ef3Gh4Ij5Kl6", "Mn7Op8Qr9St0UvWxYz"];

fn token() -> String {
    ["ghp_", BODY[0], BODY[1]].concat()
}

fn pem() -> String {
    let body = [BODY[0], BODY[1], BODY[1], "A="].concat();
    format!("-----BEGIN {0} KEY-----\n{body}\n-----END {0} KEY-----\n", "PRIVATE")
}

/// A repository with alice's vault, committed.
fn repository() -> Sandbox {
    let alice = vault();
    git(&alice, "git init -q -b main . && git add . && git commit -q -m vault");
    alice
}

fn git(person: &Sandbox, script: &str) {
    person.sh(script).run().success();
}

/// What was found, without the fingerprints.
#[track_caller]
fn found(run: Run) -> Vec<String> {
    let output = run.run();
    silent(&output);
    let lines: Vec<String> = output
        .out()
        .lines()
        .map(|line| line.rsplit_once(" [").map_or(line, |(told, _)| told).to_owned())
        .collect();
    assert_eq!(output.code(), Some(i32::from(!lines.is_empty())), "{}", output.err());
    lines
}

/// The fingerprint of the one finding.
#[track_caller]
fn fingerprint(run: Run) -> String {
    let output = run.run();
    let line = output.out().lines().next().unwrap().to_owned();
    assert_eq!(output.out().lines().count(), 1, "{}", output.out());
    let digits = line.rsplit_once('[').unwrap().1.trim_end_matches(']');
    assert!(digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()), "{line}");
    digits.to_owned()
}

/// Nothing of a value, a token or a key.
#[track_caller]
fn silent(output: &Output) {
    no_value(output);
    for stream in [&output.stdout, &output.stderr] {
        let text = String::from_utf8_lossy(stream);
        for secret in [BODY[0], BODY[1], "AGE-SECRET-KEY-1", &ALPHA[..10], "tr0ub4dor"] {
            assert!(!text.contains(secret), "{secret} is printed: {text}");
        }
    }
}

#[test]
fn each_kind_is_found_with_its_line_and_nothing_of_it_is_shown() {
    let alice = repository();
    let key = alice.read(identity(&alice));
    alice.write("project/notes.md", format!("one\ntwo: {ALPHA}\n{BETA} and {ALPHA}\n"));
    alice.write("project/deploy/key.txt", key);
    alice.write("project/tls.pem", format!("# ours\n{}", pem()));
    alice.write("project/deploy/.env.production", "A=\nB=1\n");
    alice.write("project/settings.py", format!("X = 1\nTOKEN = '{}'\n", token()));
    alice.write("project/database.yml", ["url: postgres", "://shop:tr0ub4dor@db/shop\n"].concat());
    alice.write("project/.env.example", "A=1\n");
    git(&alice, "git add -A -f");
    let expected = [
        "database.yml:1: an address with a password",
        "deploy/.env.production: a dotenv file with values",
        "deploy/key.txt:2: a private key of age",
        "notes.md:2: a value of staging: ALPHA",
        "notes.md:3: a value of staging: BETA",
        "settings.py:2: a token of GitHub",
        "tls.pem:2: a private key (PEM)",
    ];
    for words in [&["scan"][..], &["scan", "-v"], &["scan", "--staged"], &["scan", "."]] {
        assert_eq!(found(alice.vault(words)), expected, "{words:?}");
    }
    // From a folder inside it is the same.
    assert_eq!(found(alice.vault(["scan"]).cwd("deploy")), expected);
    assert_eq!(found(alice.vault(["scan", "--staged"]).cwd("deploy")), expected);
    assert_eq!(
        found(alice.vault(["scan", "-d", "deploy/..", "--staged"]).cwd("deploy/..")),
        expected
    );
    assert_eq!(found(alice.vault(["scan", "key.txt"]).cwd("deploy")), [expected[2]]);
    assert_eq!(found(alice.vault(["scan", "tls.pem", "./deploy/../notes.md"])).len(), 3);
}

#[test]
fn a_clean_repository_says_nothing() {
    let alice = repository();
    for words in [&["scan"][..], &["scan", "--staged"], &["scan", "--history"], &["scan", "envs"]] {
        alice.vault(words).run().expect(0, "", "");
    }
    alice.vault(["scan", "--json"]).run().expect(0, "[]\n", "");
}

#[test]
fn a_value_is_found_in_every_encoding_and_short_and_common_ones_are_left_alone() {
    let alice = repository();
    set(&alice, "staging", "PASS", "p@ss/word with blank");
    set(&alice, "staging", "KEY", pem());
    for (name, value) in [("DEBUG", "true"), ("PORT", "8000"), ("TINY", "abc"), ("FOUR", "kT9v")] {
        set(&alice, "staging", name, value);
    }
    let value = |text: String| {
        alice.write("project/file", text);
        found(alice.vault(["scan", "file"]))
    };
    let pass = ["file:1: a value of staging: PASS"];
    for before in ["", "x", "xy"] {
        assert_eq!(value(STANDARD.encode(format!("{before}p@ss/word with blank!"))), pass);
    }
    assert_eq!(value("?a=p%40ss%2Fword%20with%20blank".to_owned()), pass);
    assert_eq!(value("\"p@ss\\/word with blank\"".to_owned()), pass);
    // A line of a value of lines, without what makes it a key.
    let line = pem().lines().nth(1).unwrap().to_owned();
    assert_eq!(value(format!("k = {line}\n")), ["file:1: a value of staging: KEY"]);
    assert_eq!(value("true 8000 abc akT9v kT9vb\n".to_owned()), [""; 0]);
    assert_eq!(value("\n\n= kT9v\n".to_owned()), ["file:3: a value of staging: FOUR"]);
}

#[test]
fn one_value_under_several_names_is_told_once_and_one_that_is_public_does_not_drown_the_rest() {
    let alice = vault_with("staging,production");
    set(&alice, "production", "SITE", "www.shop-7f3a.example");
    set(&alice, "staging", "AGAIN", "www.shop-7f3a.example");
    for number in 0..8 {
        alice.write(format!("project/pages/{number}"), "see www.shop-7f3a.example\n".repeat(3));
    }
    let output = alice.vault(["scan"]).run();
    let lines: Vec<&str> = output.out().lines().collect();
    assert_eq!(lines.len(), 5, "{}", output.out());
    assert!(lines[4].starts_with("pages/4:1: a value of production: SITE ["), "{}", lines[4]);
    let told = "vault: production: SITE is in 3 more files, which `-v` names\n\
                hint: if that value is public, add `production:SITE` to `allow` under `[scan]` in vault.toml\n";
    assert!(output.err().starts_with(told), "{}", output.err());
    assert_eq!(found(alice.vault(["scan", "-v"])).len(), 8);
    let json = alice.vault(["scan", "--json"]).run();
    let all: Value = serde_json::from_str(json.out()).unwrap();
    assert_eq!(all.as_array().unwrap().len(), 8);
    alice.write("project/vault.toml", "[scan]\nallow = [\"production:SITE\"]\n");
    assert_eq!(found(alice.vault(["scan"])), [""; 0]);
}

#[test]
fn without_a_key_that_opens_something_the_rest_is_searched() {
    let alice = repository();
    alice.write("project/notes", format!("{ALPHA}\n{}\n", token()));
    let stranger = alice.another_home("stranger");
    let told = "notes:2: a token of GitHub [[..]]\n";
    stranger.vault(["scan", "notes"]).run().expect_like(
        1,
        told,
        "vault: values of the vault were not looked for: there is no private key\nhint: [..]\n",
    );
    stranger.vault(["key", "new"]).run().expect_that(0, "a key", |_| true);
    stranger.vault(["scan", "notes"]).run().expect_like(
        1,
        told,
        "vault: values of the vault were not looked for: your key opens no environment here\nhint: [..]\n",
    );
    stranger.vault(["scan", "notes"]).env("VAULT_KEY", "nonsense").run().expect_like(
        1,
        told,
        "vault: values of the vault were not looked for: [..]\nhint: [..]\n",
    );
    // A damaged environment is told, and what the others hold is looked for.
    alice.write("project/envs/broken.toml", "nothing\n");
    let output = alice.vault(["scan", "notes"]).run();
    silent(&output);
    assert_eq!(output.out().lines().count(), 2);
    assert!(output.err().contains("were not looked for: envs/broken.toml"), "{}", output.err());
}

#[test]
fn without_a_vault_and_without_git_the_files_of_the_folder_are_searched() {
    let sandbox = Sandbox::new();
    sandbox.write("project/a/b/c.txt", token());
    sandbox.write("project/.env", "A=1\n");
    // Another repository in it is passed over, and so is git's own folder.
    sandbox.write("project/other/.git/config", token());
    sandbox.write("project/other/x", token());
    sandbox.write("project/.git/x", token());
    let told = [".env: a dotenv file with values", "a/b/c.txt:1: a token of GitHub"];
    assert_eq!(found(sandbox.vault(["scan"])), told);
    assert_eq!(found(sandbox.vault(["scan", "-d", "project"]).cwd("..")), told);
    assert_eq!(found(sandbox.vault(["scan", "other"])), ["other/x:1: a token of GitHub"]);
}

#[test]
fn what_git_does_not_track_is_not_searched() {
    let alice = repository();
    alice.write("project/build/out.txt", ALPHA);
    alice.write("project/.env", "A=1\n");
    alice.vault(["scan"]).run().expect(0, "", "");
    alice.vault(["scan", "--staged"]).run().expect(0, "", "");
    git(&alice, "git add build");
    // Gone from the disk, it is still staged.
    git(&alice, "rm build/out.txt");
    alice.vault(["scan"]).run().expect(0, "", "");
    assert_eq!(found(alice.vault(["scan", "--staged"])).len(), 1);
}

#[test]
fn what_is_staged_is_read_from_the_index() {
    let alice = repository();
    alice.write("project/a.txt", format!("{}\n", token()));
    git(&alice, "git add a.txt");
    alice.write("project/a.txt", "clean\n");
    assert_eq!(found(alice.vault(["scan", "--staged"])), ["a.txt:1: a token of GitHub"]);
    git(&alice, "git add a.txt");
    alice.write("project/a.txt", format!("{}\n", token()));
    alice.vault(["scan", "--staged"]).run().expect(0, "", "");
    // What HEAD has already is not looked at again, wherever it is moved from.
    git(&alice, "git add a.txt && git commit -qm token && git rm -q --cached a.txt");
    alice.vault(["scan", "--staged"]).run().expect(0, "", "");
    // Nor is a link, or another repository.
    symlink("a.txt", alice.path("project/link")).unwrap();
    git(&alice, "git init -q inner && cd inner && git commit -q --allow-empty -m inner");
    git(&alice, "git add link && git add inner 2>/dev/null");
    alice.vault(["scan", "--staged"]).run().expect(0, "", "");
    alice.vault(["scan"]).run().expect(0, "", "");
    // A link that becomes a file.
    git(&alice, "git commit -qm link && rm link && cp a.txt link && git add link");
    assert_eq!(found(alice.vault(["scan", "--staged"])), ["link:1: a token of GitHub"]);
}

#[test]
fn a_hook_stops_the_commit_at_the_root_in_a_folder_and_in_a_worktree() {
    let alice = vault();
    alice.write(
        "home/hook",
        format!("#!/bin/sh\nexec '{}' scan --staged\n", env!("CARGO_BIN_EXE_vault")),
    );
    git(&alice, "git init -q -b main . && install -m 755 ../home/hook .git/hooks/pre-commit");
    // Before the first commit.
    alice.write("project/a.txt", format!("{ALPHA}\n"));
    git(&alice, "git add .");
    let stopped = |script: &str| {
        let output = alice.sh(script).run();
        silent(&output);
        output.expect_that(1, "the commit is stopped", |output| {
            output.err().contains(": a value of staging: ALPHA [")
        })
    };
    stopped("git commit -qm one");
    git(&alice, "git rm -qf --cached a.txt && git commit -qm one");
    git(&alice, "mkdir -p deep/er");
    alice.write("project/deep/er/b.txt", format!("{ALPHA}\n"));
    stopped("cd deep/er && git add b.txt && git commit -qm two");
    // A commit of named files has an index of its own.
    git(&alice, "git reset -q && echo clean > c.txt && git add c.txt && git add -N deep/er/b.txt");
    git(&alice, "git commit -qm three c.txt");
    stopped("git commit -qm four deep/er/b.txt");
    git(&alice, "git reset -q && git worktree add -q ../tree");
    alice.write("tree/d.txt", format!("x\n{ALPHA}\n"));
    let output = stopped("cd ../tree && git add d.txt && git commit -qm five");
    assert!(output.err().starts_with("d.txt:2: "), "{}", output.err());
    // Where the vault is a folder of the repository, as `git-setup` writes the hook.
    let hook = format!("#!/bin/sh\nexec '{}' -d shop scan --staged\n", env!("CARGO_BIN_EXE_vault"));
    alice.write("home/hook", hook);
    git(
        &alice,
        "mkdir ../mono && cp -r . ../mono/shop && rm -rf ../mono/shop/.git && git init -q ../mono",
    );
    git(&alice, "cd ../mono && install -m 755 ../home/hook .git/hooks/pre-commit");
    let output = stopped("cd ../mono && git add . && git commit -qm one");
    assert!(output.err().contains("shop/a.txt:1: a value"), "{}", output.err());
}

#[test]
fn every_version_that_there_was_is_searched_once_and_the_first_commit_is_told() {
    let alice = repository();
    alice.write("project/a.txt", format!("{}\n", token()));
    git(&alice, "git add . && git commit -qm two && cp a.txt b.txt && echo more >> a.txt");
    let second = alice.sh("git rev-parse HEAD").run().out()[..10].to_owned();
    git(
        &alice,
        "git add . && git commit -qm three && git rm -q a.txt b.txt && git commit -qm four",
    );
    // On a branch that nobody is on, and only there.
    git(&alice, "git checkout -q -b other");
    alice.write("project/c.txt", format!("\n{ALPHA}\n"));
    alice.write("project/sp ace/.env", "A=1\n");
    git(&alice, "git add . && git commit -qm five && git checkout -q main");
    alice.vault(["scan"]).run().expect(0, "", "");
    let lines = found(alice.vault(["scan", "--history"]));
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert_eq!(lines[0], format!("a.txt:1: a token of GitHub in commit {second}"));
    assert!(lines[1].starts_with("c.txt:2: a value of staging: ALPHA in commit "), "{lines:?}");
    assert!(lines[2].starts_with("sp ace/.env: a dotenv file with values in commit "), "{lines:?}");
    // A file of no commit, which only a tag names.
    alice.write("project/loose", format!("{BETA}\n"));
    git(&alice, "git tag loose $(git hash-object -w loose) && rm loose");
    let id = alice.sh("git rev-parse loose").run().out().trim_end().to_owned();
    let told = format!("{id}:1: a value of staging: BETA");
    assert!(found(alice.vault(["scan", "--history"])).contains(&told));
    git(&alice, "git tag -d loose >/dev/null");
    // A clone of the latest commit alone says what it lacks.
    let script = "git clone -q --depth 1 --no-single-branch \"file://$PWD\" ../clone";
    git(&alice, script);
    let output = alice.vault(["scan", "--history"]).cwd("../clone").run();
    silent(&output);
    assert!(
        output.err().starts_with("vault: this clone has only the latest commits"),
        "{}",
        output.err()
    );
    // So does one from which versions were left out, and nothing is fetched.
    git(&alice, "git config uploadpack.allowFilter true");
    git(&alice, "git clone -q --no-checkout --filter=blob:none \"file://$PWD\" ../partial");
    let told = "vault: 5 versions left out of this clone, not searched\n";
    alice.vault(["scan", "--history"]).cwd("../partial").run().expect(0, "", told);
    // A repository without commits has no history.
    git(&alice, "git init -q ../empty");
    alice.vault(["scan", "--history"]).cwd("../empty").run().expect(0, "", "");
}

#[test]
fn odd_names_are_shown_escaped() {
    let alice = repository();
    let odd: [&[u8]; 4] = [b"a b.txt", b"line\nend", b"\xff\xfe", b"esc\x1b[31m"];
    for (number, name) in odd.into_iter().enumerate() {
        let text = format!("{} {number}\n", token());
        alice.write(Path::new("project").join(OsStr::from_bytes(name)), text);
    }
    git(&alice, "git add .");
    let expected = [
        "a b.txt:1: a token of GitHub",
        "esc\\u{1b}[31m:1: a token of GitHub",
        "line\\u{a}end:1: a token of GitHub",
        "\\xff\\xfe:1: a token of GitHub",
    ];
    for words in [&["scan"][..], &["scan", "--staged"], &["scan", "."]] {
        assert_eq!(found(alice.vault(words)), expected, "{words:?}");
    }
    git(&alice, "git commit -qm odd");
    assert_eq!(found(alice.vault(["scan", "--history"])).len(), 4);
}

#[test]
fn binary_files_are_searched_for_values_and_keys_and_large_ones_are_told() {
    let alice = repository();
    let key = alice.read(identity(&alice));
    alice.write("project/a.bin", format!("\0\n\n{ALPHA}\0{key}\0{}", token()));
    alice.write("project/large", vec![b'x'; (8 << 20) + 1]);
    alice.write("project/just", [&vec![b'\n'; (8 << 20) - 100][..], ALPHA.as_bytes()].concat());
    git(&alice, "git add . && git commit -qm binary");
    for words in [&["scan"][..], &["scan", "--history"]] {
        let output = alice.vault(words).run();
        silent(&output);
        let out = output.out();
        assert!(out.starts_with("a.bin: a value of staging: ALPHA"), "{out}");
        assert!(out.contains("\na.bin: a private key of age"), "{out}");
        assert!(out.contains(&format!("\njust:{}: a value", (8 << 20) - 99)), "{out}");
        assert_eq!(out.lines().count(), 3, "{out}");
        assert!(
            output.err().starts_with("vault: large: over 8 MiB, not searched\n"),
            "{}",
            output.err()
        );
    }
}

#[test]
fn what_is_allowed_by_path_fingerprint_or_comment_stays() {
    let alice = repository();
    alice.write("project/tests/data/key", pem());
    alice.write("project/tests/keys/a.key", pem());
    alice.write("project/a.txt", format!("{} # vault:allow\n{} // vault:allow\n", token(), pem()));
    alice.write("project/.env", "# vault:allow\nA=1\n");
    alice.write("project/notes", format!("{ALPHA} # vault:allow, in vain\n"));
    git(&alice, "git add -f .");
    // The key's first line has no comment behind it, its last one does.
    let all = found(alice.vault(["scan"]));
    assert_eq!(
        all,
        [
            "a.txt:2: a private key (PEM)",
            "notes:1: a value of staging: ALPHA",
            "tests/data/key:1: a private key (PEM)",
            "tests/keys/a.key:1: a private key (PEM)",
        ]
    );
    let value = fingerprint(alice.vault(["scan", "notes"]));
    let key = fingerprint(alice.vault(["scan", "a.txt"]));
    let allow =
        format!("[scan]\nallow = [\"tests/data/\", \"tests/**/*.key\", \"{value}\", \"{key}\"]\n");
    alice.write("project/vault.toml", &allow);
    for words in
        [&["scan"][..], &["scan", "--staged"], &["scan", "tests"], &["scan", "-v", "tests"]]
    {
        assert_eq!(found(alice.vault(words)), [""; 0]);
    }
    git(&alice, "git commit -qam all");
    assert_eq!(found(alice.vault(["scan", "--history"])), [""; 0]);
    // It stays when lines move, and is another one elsewhere.
    alice.write("project/notes", format!("\n\n{ALPHA}\n"));
    alice.write("project/notes2", format!("{ALPHA}\n"));
    assert_eq!(found(alice.vault(["scan", "notes", "notes2"])).len(), 1);
    // In a project that is a folder of the repository a path may begin at either.
    git(
        &alice,
        "mkdir -p ../outer/mono && cp -r envs vault.toml tests ../outer/mono && git init -q ../outer",
    );
    assert_eq!(found(alice.vault(["scan", "."]).cwd("../outer/mono")), [""; 0]);
    alice.write("outer/mono/vault.toml", "[scan]\nallow = [\"mono/tests\"]\n");
    assert_eq!(found(alice.vault(["scan", "."]).cwd("../outer/mono")), [""; 0]);
    alice.write("project/vault.toml", "[scan]\nallow = [\"/\"]\n");
    alice.vault(["scan"]).run().expect(
        5,
        "",
        "vault: vault.toml:2: this is not a list of paths below the folder, fingerprints and `ENV:NAME`\n",
    );
}

#[test]
fn a_fingerprint_says_nothing_of_a_stored_value_or_a_password() {
    let alice = repository();
    let of = |text: String| {
        alice.write("project/a", text);
        fingerprint(alice.vault(["scan", "a"]))
    };
    let before = of(format!("{ALPHA}\n"));
    set(&alice, "staging", "ALPHA", "another-7f3a-value");
    assert_eq!(of("another-7f3a-value\n".to_owned()), before);
    let address = |password: &str| ["mysql", "://u:", password, "@db/x\n"].concat();
    assert_eq!(of(address("tr0ub4dor")), of(address("c0rrect-horse")));
    assert_ne!(of(token()), of(token().replace('A', "B")));
}

#[test]
fn the_vaults_own_files_links_and_pipes_are_never_a_finding() {
    let alice = repository();
    // A name that stands in plaintext in the file is a value too.
    set(&alice, "staging", "WHO", "staging-of-alice");
    init(&alice, "alice", "staging-of-alice");
    let key = alice.read(identity(&alice));
    alice.write("elsewhere/key", key);
    symlink(alice.path("elsewhere/key"), alice.path("project/link")).unwrap();
    symlink(alice.path("elsewhere"), alice.path("project/folder")).unwrap();
    git(&alice, "mkfifo pipe && git add envs link folder");
    for words in [&["scan"][..], &["scan", "--staged"], &["scan", "."], &["scan", "envs", "pipe"]] {
        alice.vault(words).run().expect(0, "", "");
    }
    alice.vault(["scan", "link"]).run().expect(
        0,
        "",
        "vault: link: a symbolic link, not searched\n",
    );
    // A folder that git knows, and that has become a link since.
    alice.write("project/sub/key", "clean\n");
    git(&alice, "git add sub && rm -r sub && ln -s ../elsewhere sub");
    alice.vault(["scan"]).run().expect(0, "", "");
}

#[test]
fn json_has_all_that_is_told() {
    let alice = repository();
    alice.write("project/a", format!("\n{ALPHA}\n{}\n", token()));
    let output = alice.vault(["scan", "--json", "a"]).run();
    silent(&output);
    let all: Value = serde_json::from_str(output.out()).unwrap();
    let one = &all[0];
    let fields =
        [&one["kind"], &one["path"], &one["line"], &one["env"], &one["name"], &one["commit"]];
    assert_eq!(
        Value::from(fields.map(Clone::clone).to_vec()),
        serde_json::json!(["value", "a", 2, "staging", "ALPHA", null])
    );
    assert_eq!(all[1]["what"], "a token of GitHub");
    assert_eq!(all[1]["kind"], "token");
    assert_eq!(output.err(), "");
    alice.vault(["scan", "--json", "nothing"]).run().expect_like(
        3,
        "",
        "{\"error\":{\"code\":\"not-found\"[..]\n",
    );
}

#[test]
fn what_can_not_be_searched_is_told() {
    let sandbox = Sandbox::new();
    let hint = "hint: go to one, or name files and folders: `vault scan PATH…`\n";
    for flag in ["--staged", "--history"] {
        let told = format!(
            "vault: `{flag}` needs a git repository: git failed: not a git repository[..]\n{hint}"
        );
        sandbox.vault(["scan", flag]).run().expect_like(3, "", &told);
        let without = sandbox.vault(["scan", flag]).env("PATH", "/nowhere").run();
        without.expect_like(
            3,
            "",
            &format!("vault: `{flag}` needs a git repository: cannot run `git`: [..]\n{hint}"),
        );
    }
    // Nothing is searched where one of the paths is not there.
    sandbox.write("project/a", token());
    sandbox.vault(["scan", "a", "no\u{1b}"]).run().expect(
        3,
        "",
        "vault: `no\\u{1b}` does not exist\n",
    );
    sandbox.vault(["scan", "--staged", "a"]).run().expect_that(2, "one or the other", |_| true);
}

#[test]
fn an_environment_that_git_left_in_two_versions_is_not_committed() {
    let alice = repository();
    let text = alice.read("project/envs/staging.toml");
    let torn = text.replacen("\n[secrets", "\n<<<<<<< HEAD\n=======\n>>>>>>> side\n[secrets", 1);
    let line = torn.lines().position(|line| line == "<<<<<<< HEAD").unwrap() + 1;
    alice.write("project/envs/staging.toml", torn);
    git(&alice, "git add envs");
    let told = format!(
        "vault: values of staging were not looked for: envs/staging.toml:{line}: a git conflict marker: two versions of the file stand here\n\
         vault: envs/staging.toml:{line}: a git conflict marker: two versions of the file stand here\n\
         hint: `vault resolve` merges the versions that git has\n"
    );
    for words in [&["scan", "--staged"][..], &["scan"]] {
        alice.vault(words).run().expect(1, "", &told);
    }
    // What counts is what is committed.
    git(&alice, "git commit -qm torn");
    alice.write("project/envs/staging.toml", text);
    git(&alice, "git add envs");
    alice.vault(["scan", "--staged"]).run().expect(0, "", "");
    alice.vault(["scan", "--history"]).run().expect(0, "", "");
}
