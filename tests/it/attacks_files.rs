//! What somebody with write access to the repository can put in the place of a
//! vault file: other files, files that are too much, names that are none.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are not #[test]")]

use std::fs::File;
use std::os::unix::fs::symlink;

use crate::support::needs::{needs, needs_other_user};
use crate::support::sandbox::Sandbox;
use crate::vaults::{
    CONFLICT, DAMAGED, LOSSES, NOT_VOUCHED, STAGING, assert_all_refused, commands, decode, encode,
    export, field, get, line_of, set, vault, vault_with, with_block, with_field, without,
};

/// A file of the sandbox without its bytes: for what must not be read.
#[track_caller]
fn assert_refused_without_a_look(alice: &Sandbox, told: &str) {
    let before = alice.path(STAGING).symlink_metadata().unwrap();
    for (index, run) in commands(alice).into_iter().enumerate() {
        run.run().expect(if index == 0 { 125 } else { 5 }, "", told);
    }
    alice.vault(["list", "-e", "staging"]).run().expect(5, "", told);
    assert_not_shown(alice, told);
    let after = alice.path(STAGING).symlink_metadata().unwrap();
    assert_eq!(
        (before.len(), before.modified().unwrap()),
        (after.len(), after.modified().unwrap())
    );
    assert_eq!(before.file_type(), after.file_type());
    assert_eq!(names_in(alice, "project/envs"), ["staging.toml"]);
}

/// What needs no key shows nothing of the file either; `status` goes on to say
/// who I am.
#[track_caller]
fn assert_not_shown(alice: &Sandbox, told: &str) {
    alice.vault(["list"]).run().expect(5, "", told);
    let me = "key age1[..]\n    fingerprint [..]\n";
    alice.vault(["status"]).run().expect_like(5, me, told);
}

fn names_in(sandbox: &Sandbox, folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(sandbox.path(folder)).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_sealed_block_of_1_mib_is_refused() {
    let alice = vault();
    let text = alice.read(STAGING);
    let huge = with_field(&text, "members.alice", "sealed", &encode(vec![0x2d; 1 << 20]));
    alice.write(STAGING, &huge);
    let line = line_of(&text, "members.alice") + 2;
    let told = format!("vault: envs/staging.toml:{line}: `sealed` is over 64 KiB\n{DAMAGED}");
    assert_all_refused(&alice, &told);
}

#[test]
fn a_sealed_block_of_10_000_stanzas_is_refused() {
    let alice = vault();
    let text = alice.read(STAGING);
    let seal = decode(&field(&text, "members.alice", "sealed"));
    let first_line = "age-encryption.org/v1\n";
    let rest = &seal[first_line.len()..];
    let many = |stanza: &str| {
        let sealed = [first_line.as_bytes(), stanza.repeat(10_000).as_bytes(), rest].concat();
        alice.write(STAGING, with_field(&text, "members.alice", "sealed", &encode(sealed)));
    };
    let line = line_of(&text, "members.alice");
    many("-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n\n");
    let told = format!("vault: envs/staging.toml:{}: `sealed` is over 64 KiB\n{DAMAGED}", line + 2);
    assert_all_refused(&alice, &told);
    // The shortest there are, which stay below that limit: age would take minutes for them.
    many("-> a\n\n");
    let told = format!(
        "vault: envs/staging.toml:{}: `sealed` has over 32 stanzas in its age header\n{DAMAGED}",
        line + 2
    );
    assert_all_refused(&alice, &told);
}

#[test]
fn a_recovery_key_with_scrypt_work_factor_30_is_refused() {
    let alice = Sandbox::new();
    let made = ["init", "--recovery", "--name", "alice", "-e", "staging"];
    let made = alice.vault(made).run().expect_that(0, "made, without data", |output| {
        output.out().is_empty() && output.err().contains("shown this once")
    });
    let mut lines = made.err().lines().skip_while(|line| !line.contains("shown this once"));
    alice.write("passphrase", lines.nth(1).unwrap());
    set(&alice, "staging", "ALPHA", crate::vaults::ALPHA);
    let recovered = |name: &str| {
        alice
            .vault(["get", "--recovery", "-e", "staging", name])
            .env("VAULT_PASSPHRASE_FILE", alice.path("passphrase"))
            .run()
    };
    assert_eq!(recovered("ALPHA").success().stdout, crate::vaults::ALPHA.as_bytes());

    let text = alice.read(STAGING);
    let locked = decode(&field(&text, "members.recovery", "locked"));
    let end = locked.windows(4).position(|part| part == b" 18\n").unwrap();
    let mut costly = locked.clone();
    costly[end + 1..end + 3].copy_from_slice(b"30");
    alice.write(STAGING, with_field(&text, "members.recovery", "locked", &encode(costly)));
    let before = alice.snapshot();
    let place = format!("vault: envs/staging.toml:{}: ", line_of(&text, "members.recovery"));
    let told = format!(
        "{place}member recovery: the passphrase-protected block asks for scrypt work factor 30, \
         more than 20\n{DAMAGED}"
    );
    recovered("ALPHA").expect(5, "", &told);
    alice.assert_unchanged_since(&before);
    // Who has a key of his own sees the forgery without opening it.
    assert_all_refused(&alice, &format!("{place}member recovery {NOT_VOUCHED}"));
}

/// What a hostile name would do to a terminal, as TOML writes it and as it may
/// be shown.
const NAMES: &[(&str, &str)] = &[
    ("A=B", "A=B"),
    (r"A\u0000B", r"A\u{0}B"),
    (r"A\nB", r"A\u{a}B"),
    (r"A\r\u001b[2K\u001b[1Aok", r"A\u{d}\u{1b}[2K\u{1b}[1Aok"),
    (r"\u001b]0;owned\u0007", r"\u{1b}]0;owned\u{7}"),
    (r"A\u009b31m", r"A\u{9b}31m"),
    (r"A\u202eB", r"A\u{202e}B"),
    (r"A\u200bB", r"A\u{200b}B"),
    ("", ""),
    ("A B", "A B"),
    ("../A", "../A"),
];

const VARIABLE: &str =
    "a variable name is letters, digits and `_`, and does not begin with a digit";
const MEMBER: &str = "a member name is lower-case letters, digits, `-` and `_`, at most 63, and \
                      begins with a letter or digit";

#[test]
fn names_that_are_none_are_refused_and_escaped_in_every_kind_of_table() {
    let alice = vault();
    let text = alice.read(STAGING);
    let refused = |block: &str, line: usize, told: &str| {
        alice.write(STAGING, with_block(&text, block));
        let told = format!("vault: envs/staging.toml:{line}: {told}\n{DAMAGED}");
        assert_all_refused(&alice, &told);
        assert_not_shown(&alice, &told);
    };
    let last = text.lines().count() + 2;
    let members = text.split("[members.alice]\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let value = field(&text, "secrets.ALPHA", "value");
    let vouch = field(&text, "members.alice", "vouch");
    let key = field(&text, "members.alice", "key");
    for (name, told) in NAMES {
        let no_name = |rule: &str| format!("`{told}` is no possible name here: {rule}");
        let secret = format!("[secrets.\"{name}\"]\nvalue = \"{value}\"\n");
        refused(&secret, last, &no_name(VARIABLE));
        refused(&format!("[members.\"{name}\"]\n{members}\n"), last, &no_name(MEMBER));
        let former = format!("[former.\"{name}.5\"]\nkey = \"{key}\"\nvouch = \"{vouch}\"\n");
        let rule = "a former entry is named `NAME.REMOVED`, a member name and a time in seconds";
        refused(&former, last, rule);
        let field = format!("[secrets.GAMMA]\nvalue = \"{value}\"\n\"{name}\" = \"x\"\n");
        refused(&field, last + 2, &format!("unknown field `{told}`"));
        let field = format!("[members.bob]\n\"{name}\" = \"x\"\n");
        refused(&field, last + 1, &format!("unknown field `{told}`"));
        refused(&format!("[\"{name}\"]\nx = 1\n"), last, &format!("unknown field `{told}`"));
    }
}

#[test]
fn names_that_are_none_are_refused_in_every_field_that_holds_one() {
    let alice = vault();
    let text = alice.read(STAGING);
    let refused = |text: &str, line: usize, told: &str| {
        alice.write(STAGING, text);
        let told = format!("vault: envs/staging.toml:{line}: {told}\n{DAMAGED}");
        assert_all_refused(&alice, &told);
    };
    let member = line_of(&text, "members.alice");
    for (name, _) in NAMES {
        let environment =
            text.replace("environment = \"staging\"", &format!("environment = \"{name}\""));
        refused(&environment, 3, "`environment` is not an environment name");
        let by = with_field(&text, "members.alice", "by", name);
        refused(&by, member + 3, "`by` is not a member name");
        let issued = format!("alice\"\nissued_by = \"{name}");
        let issued = with_field(&text, "members.alice", "by", &issued);
        refused(&issued, member + 4, "`issued_by` is not a member name");
        let key = with_field(&text, "members.alice", "key", &format!("age1{name}="));
        let told = "`key` is not a public key: `age1…`, `ssh-ed25519 …` or `ssh-rsa …` without a \
                    comment";
        refused(&key, member + 1, told);
    }
}

#[test]
fn a_request_with_a_name_that_is_none_is_escaped_and_never_stops_a_read() {
    let alice = vault();
    let (text, values) = (alice.read(STAGING), export(&alice, "staging"));
    let key = field(&text, "members.alice", "key");
    for (name, told) in NAMES {
        let request = format!("[requests.\"{name}\"]\nkey = \"{key}\"\n");
        alice.write(STAGING, with_block(&text, &request));
        assert_eq!(export(&alice, "staging"), values);
        alice.vault(["status"]).run().expect_that(0, "nothing to escape", |output| {
            output.err().is_empty() && output.out().chars().all(|c| c == '\n' || !c.is_control())
        });
        let before = alice.snapshot();
        let refusal = format!(
            "vault: envs/staging.toml: `requests.{told}`, which is no request, would not be kept\n\
             {LOSSES}"
        );
        alice.vault(["set", "-e", "staging", "ALPHA=other"]).run().expect(1, "", &refusal);
        alice.assert_unchanged_since(&before);
    }
}

#[test]
fn a_fifo_is_refused_without_waiting_for_its_writer() {
    if !needs("mkfifo") {
        return;
    }
    let alice = vault();
    std::fs::remove_file(alice.path(STAGING)).unwrap();
    alice.program("mkfifo", ["envs/staging.toml"]).run().success();
    let told = "vault: `envs/staging.toml` is not a regular file\n";
    assert_refused_without_a_look(&alice, told);
}

#[test]
fn a_device_is_refused() {
    // Only root makes devices.
    if needs_other_user().is_none() || !needs("mknod") {
        return;
    }
    let alice = vault();
    std::fs::remove_file(alice.path(STAGING)).unwrap();
    // The device that never ends.
    alice.program("mknod", ["envs/staging.toml", "c", "1", "5"]).run().success();
    let told = "vault: `envs/staging.toml` is not a regular file\n";
    assert_refused_without_a_look(&alice, told);
}

#[test]
fn a_folder_in_the_place_of_the_file_is_refused() {
    let alice = vault();
    std::fs::remove_file(alice.path(STAGING)).unwrap();
    std::fs::create_dir(alice.path(STAGING)).unwrap();
    let told = "vault: `envs/staging.toml` is not a regular file\n";
    assert_refused_without_a_look(&alice, told);
}

#[test]
fn a_link_that_leads_out_of_the_project_is_refused_for_reading_and_writing() {
    let alice = vault();
    let text = alice.read(STAGING);
    alice.write("outside.toml", &text);
    let told = "vault: `envs/staging.toml` is a link that leads out of the project\n\
                hint: put the file itself into the project\n";
    for target in ["/dev/zero", "../../outside.toml", "../../home/.config/vault/identity", "/"] {
        std::fs::remove_file(alice.path(STAGING)).unwrap();
        symlink(target, alice.path(STAGING)).unwrap();
        assert_refused_without_a_look(&alice, told);
        assert_eq!(alice.read("outside.toml"), text);
    }
}

#[test]
fn a_chain_of_links_and_a_folder_that_is_a_link_lead_nowhere_else_either() {
    let alice = vault();
    let text = alice.read(STAGING);
    alice.write("outside/staging.toml", &text);
    std::fs::remove_file(alice.path(STAGING)).unwrap();
    symlink("../there.toml", alice.path(STAGING)).unwrap();
    symlink("../outside/staging.toml", alice.path("project/there.toml")).unwrap();
    let told = "vault: `envs/staging.toml` is a link that leads out of the project\n\
                hint: put the file itself into the project\n";
    assert_refused_without_a_look(&alice, told);

    std::fs::remove_dir_all(alice.path("project/envs")).unwrap();
    symlink("../outside", alice.path("project/envs")).unwrap();
    let before = alice.snapshot();
    for run in commands(&alice).into_iter().skip(1) {
        run.run().expect(5, "", told);
    }
    alice.assert_unchanged_since(&before);
}

#[test]
fn a_link_to_nothing_and_a_link_to_itself_are_refused() {
    let alice = vault();
    for (target, reason) in
        [("missing.toml", "no such file or directory"), ("staging.toml", "[..]symbolic links[..]")]
    {
        std::fs::remove_file(alice.path(STAGING)).unwrap();
        symlink(target, alice.path(STAGING)).unwrap();
        let before = alice.snapshot();
        for words in [&["get", "-e", "staging", "ALPHA"][..], &["set", "-e", "staging", "A=1"]] {
            let told = format!("vault: cannot follow the link `envs/staging.toml`: {reason}\n");
            alice.vault(words).run().expect_like(1, "", &told);
        }
        alice.assert_unchanged_since(&before);
    }
}

#[test]
fn a_link_inside_the_project_is_followed_and_stays_one() {
    let alice = vault_with("staging,production");
    std::fs::create_dir(alice.path("project/vaults")).unwrap();
    std::fs::rename(alice.path(STAGING), alice.path("project/vaults/elsewhere.toml")).unwrap();
    symlink("../vaults/elsewhere.toml", alice.path(STAGING)).unwrap();
    assert_eq!(get(&alice, "staging", "ALPHA"), crate::vaults::ALPHA.as_bytes());
    set(&alice, "staging", "ALPHA", "new");
    assert_eq!(get(&alice, "staging", "ALPHA"), b"new");
    let link = std::fs::read_link(alice.path(STAGING)).unwrap();
    assert_eq!(link.to_str(), Some("../vaults/elsewhere.toml"));
    assert!(alice.path("project/vaults/elsewhere.toml").symlink_metadata().unwrap().is_file());
    assert_eq!(names_in(&alice, "project/vaults"), ["elsewhere.toml"]);
    assert_eq!(names_in(&alice, "project/envs"), ["production.toml", "staging.toml"]);
    alice.vault(["unset", "-y", "-e", "staging", "BETA"]).run().expect(0, "", "");
    assert!(alice.path(STAGING).symlink_metadata().unwrap().is_symlink());
    // The other environment's file is inside too, but it says whose it is.
    std::fs::remove_file(alice.path(STAGING)).unwrap();
    symlink("production.toml", alice.path(STAGING)).unwrap();
    let told = "vault: envs/staging.toml:3: this file says that it is the environment production, \
                not staging\nhint: put it back under its own name, `production.toml`\n";
    alice.vault(["get", "-e", "staging", "ALPHA"]).run().expect(5, "", told);
}

#[test]
fn settings_that_are_a_link_out_of_the_project_are_refused() {
    let alice = vault();
    symlink("/dev/zero", alice.path("project/vault.toml")).unwrap();
    let told = "vault: `vault.toml` is a link that leads out of the project\n\
                hint: put the file itself into the project\n";
    let before = alice.snapshot();
    alice.vault(["get", "-e", "staging", "ALPHA"]).run().expect(5, "", told);
    alice.vault(["run", "-e", "staging", "--", "env"]).run().expect(125, "", told);
    alice.vault(["set", "-e", "staging", "ALPHA=other"]).run().expect(5, "", told);
    alice.assert_unchanged_since(&before);
}

#[test]
fn a_file_of_1_gib_is_refused_without_being_read() {
    let alice = vault();
    let file = File::options().write(true).open(alice.path(STAGING)).unwrap();
    file.set_len(1 << 30).unwrap();
    let told = "vault: `envs/staging.toml` is over 8 MiB\n";
    assert_refused_without_a_look(&alice, told);
    // It is not in memory either: there is far less room than that, in KiB.
    alice
        .sh("ulimit -v 400000; exec \"$0\" get -e staging ALPHA")
        .arg(env!("CARGO_BIN_EXE_vault"))
        .run()
        .expect(5, "", told);
}

#[test]
fn a_file_just_over_8_mib_is_refused_and_one_just_below_is_not() {
    let alice = vault();
    let text = alice.read(STAGING);
    // Under `requests` anything may stand, in lines that are within the limits.
    let line = format!("x = \"{}\"\n", "x".repeat(1 << 20));
    let padding: Vec<String> = (0..7).map(|n| format!("\n[requests.r{n}]\n{line}")).collect();
    let padding = padding.concat();
    let padded = format!("{text}{padding}");
    let rest = (8 << 20) - padded.len() - "\n[requests.r]\nx = \"\"\n".len();
    let filled = |more: usize| {
        let last = format!("\n[requests.r]\nx = \"{}\"\n", "x".repeat(rest + more));
        alice.write(STAGING, format!("{padded}{last}"));
    };
    filled(0);
    assert_eq!(get(&alice, "staging", "ALPHA"), crate::vaults::ALPHA.as_bytes());
    filled(1);
    let told = "vault: `envs/staging.toml` is over 8 MiB\n";
    assert_all_refused(&alice, told);
}

#[test]
fn a_file_with_conflict_markers_is_refused() {
    let alice = vault();
    let text = alice.read(STAGING);
    let old = crate::vaults::table(&text, "secrets.BETA");
    let new = old.replace("value = \"", "value = \"AAAA");
    let refused = |text: &str, line: usize| {
        alice.write(STAGING, text);
        let told = format!("vault: envs/staging.toml:{line}: {CONFLICT}");
        assert_all_refused(&alice, &told);
        alice.vault(["list"]).run().expect(5, "", &told);
    };
    let line = line_of(&text, "secrets.BETA");
    let merged = format!("<<<<<<< HEAD\n{old}||||||| base\n=======\n{new}>>>>>>> topic\n");
    refused(&text.replace(&old, &merged), line);
    // With one that was overlooked.
    for marker in ["<<<<<<< HEAD", "||||||| base", "=======", ">>>>>>> topic", "=======\r"] {
        refused(&text.replace(&old, &format!("{marker}\n{old}")), line);
    }
}

#[test]
fn a_newer_format_number_is_told_as_such_whatever_else_stands_there() {
    let alice = vault();
    let text = alice.read(STAGING);
    let told = "vault: envs/staging.toml:2: made by a newer vault\n\
                hint: install the current version of vault\n";
    for number in ["2", "3", "9223372036854775807", "0x10"] {
        let newer = text.replace("vault = 1\n", &format!("vault = {number}\n"));
        alice.write(STAGING, &newer);
        assert_all_refused(&alice, told);
        let stranger = without(&newer, "members.alice") + "\n[anything]\nnew = [1, 2]\n";
        alice.write(STAGING, stranger.replace("environment", "name"));
        assert_all_refused(&alice, told);
        assert_not_shown(&alice, told);
    }
}

#[test]
fn a_format_number_that_is_none_makes_it_no_vault_file() {
    let alice = vault();
    let text = alice.read(STAGING);
    for number in ["0", "-1", "1.0", "\"1\"", "true", "[1]"] {
        alice.write(STAGING, text.replace("vault = 1\n", &format!("vault = {number}\n")));
        let told = "vault: envs/staging.toml:2: not a vault file: `vault = 1` is missing\n\
                    hint: take the file back from git, or move it away and make a new one with `vault init`\n";
        assert_all_refused(&alice, told);
    }
    alice.write(STAGING, text.replace("vault = 1\n", ""));
    let told = "vault: envs/staging.toml: not a vault file: `vault = 1` is missing\n\
                hint: take the file back from git, or move it away and make a new one with `vault init`\n";
    assert_all_refused(&alice, told);
    alice.write(STAGING, "");
    assert_all_refused(&alice, told);
    // `init` is not the way to lose what is there.
    init_again(&alice);
}

#[track_caller]
fn init_again(alice: &Sandbox) {
    let before = alice.snapshot();
    let words = ["init", "--name", "alice", "-e", "staging"];
    let told =
        "vault: nothing to do: staging is there already\nhint: you are no member there: [..]\n";
    alice.vault(words).run().expect_like(0, "", told);
    alice.assert_unchanged_since(&before);
}
