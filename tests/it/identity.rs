//! The private key's file: what others could read or put there is refused in
//! the default place, with the command that mends it, and taken where it was
//! named. `docs/cli.md` says where the key is looked for.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are not #[test]")]

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;

use crate::support::needs::{needs, needs_other_user};
use crate::support::pty::Terminal;
use crate::support::sandbox::Sandbox;
use crate::vaults::{ALPHA, NO_KEY, STAGING, commands, get, identity, init, no_value, vault};

const FOLDER: &str = "home/.config/vault";
const FILE: &str = "home/.config/vault/identity";

fn set_mode(sandbox: &Sandbox, rel: &str, mode: u32) {
    let permissions = std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(sandbox.path(rel), permissions).unwrap();
}

/// No command uses that key, and each says `told`; nothing is written.
#[track_caller]
fn assert_no_command_uses_it(alice: &Sandbox, status: i32, told: &str) {
    let file = alice.read(STAGING);
    for (index, run) in commands(alice).into_iter().enumerate() {
        let status = if index == 0 { 125 } else { status };
        let output = run.run().expect(status, "", told);
        no_value(&output);
        assert!(!output.err().contains("AGE-SECRET-KEY"));
    }
    assert_eq!(alice.read(STAGING), file);
    assert!(!alice.path("project/envs/copy.toml").exists());
}

#[test]
fn an_identity_that_others_can_read_or_change_is_refused_until_it_is_mended() {
    let alice = vault();
    for mode in [0o644, 0o640, 0o604, 0o620, 0o602, 0o601, 0o666, 0o777] {
        set_mode(&alice, FILE, mode);
        let told = "vault: the identity `$SANDBOX/home/.config/vault/identity` can be read or \
                    changed by other users\nhint: run `chmod 600 \
                    $SANDBOX/home/.config/vault/identity`\n";
        assert_no_command_uses_it(&alice, 4, told);
        // The hint is a command that helps.
        let refused = alice.vault(["get", "-e", "staging", "ALPHA"]).run();
        let hint = refused.err().split('`').nth_back(1).unwrap().to_owned();
        alice.sh(hint).run().success();
        assert_eq!(get(&alice, "staging", "ALPHA"), ALPHA.as_bytes(), "{mode:o}");
    }
    for mode in [0o600, 0o400] {
        set_mode(&alice, FILE, mode);
        assert_eq!(get(&alice, "staging", "ALPHA"), ALPHA.as_bytes(), "{mode:o}");
    }
}

#[test]
fn an_identity_in_a_folder_that_others_can_write_is_refused_until_it_is_mended() {
    let alice = vault();
    for mode in [0o777, 0o720, 0o702, 0o1777] {
        set_mode(&alice, FOLDER, mode);
        let told = "vault: other users can put another identity into the folder \
                    `$SANDBOX/home/.config/vault`\nhint: run `chmod 700 \
                    $SANDBOX/home/.config/vault`\n";
        assert_no_command_uses_it(&alice, 4, told);
        let refused = alice.vault(["get", "-e", "staging", "ALPHA"]).run();
        let hint = refused.err().split('`').nth_back(1).unwrap().to_owned();
        alice.sh(hint).run().success();
        assert_eq!(get(&alice, "staging", "ALPHA"), ALPHA.as_bytes(), "{mode:o}");
    }
    // That others can look into the folder opens nothing.
    for mode in [0o755, 0o711] {
        set_mode(&alice, FOLDER, mode);
        assert_eq!(get(&alice, "staging", "ALPHA"), ALPHA.as_bytes(), "{mode:o}");
    }
}

#[test]
fn an_identity_that_links_to_another_users_file_is_refused() {
    let Some(user) = needs_other_user() else { return };
    let alice = vault();
    std::fs::rename(identity(&alice), alice.path("planted")).unwrap();
    std::os::unix::fs::chown(alice.path("planted"), Some(user), None).unwrap();
    symlink(alice.path("planted"), identity(&alice)).unwrap();
    let mend = "hint: make an own one with `vault key new`, after you have moved this one away\n";
    let told = format!(
        "vault: the identity `$SANDBOX/home/.config/vault/identity` is a link to another user's \
         file\n{mend}"
    );
    assert_no_command_uses_it(&alice, 4, &told);
    // A file of his at the place itself is no better.
    std::fs::rename(alice.path("planted"), identity(&alice)).unwrap();
    let told = format!(
        "vault: the identity `$SANDBOX/home/.config/vault/identity` belongs to another user\n\
         {mend}"
    );
    assert_no_command_uses_it(&alice, 4, &told);
    // And neither is the folder.
    std::os::unix::fs::chown(identity(&alice), Some(0), None).unwrap();
    std::os::unix::fs::chown(alice.path(FOLDER), Some(user), None).unwrap();
    let told = "vault: other users can put another identity into the folder \
                `$SANDBOX/home/.config/vault`\nhint: run `chmod 700 $SANDBOX/home/.config/vault`\n";
    assert_no_command_uses_it(&alice, 4, told);
}

#[test]
fn an_identity_that_links_to_an_own_file_is_used_by_the_modes_of_that_file() {
    let alice = vault();
    std::fs::rename(identity(&alice), alice.path("dotfiles-key")).unwrap();
    symlink(alice.path("dotfiles-key"), identity(&alice)).unwrap();
    assert_eq!(get(&alice, "staging", "ALPHA"), ALPHA.as_bytes());
    set_mode(&alice, "dotfiles-key", 0o644);
    let told = "vault: the identity `$SANDBOX/home/.config/vault/identity` can be read or changed \
                by other users\nhint: run `chmod 600 $SANDBOX/home/.config/vault/identity`\n";
    assert_no_command_uses_it(&alice, 4, told);
}

#[test]
fn an_identity_that_is_a_fifo_or_a_folder_is_refused_without_waiting() {
    if !needs("mkfifo") {
        return;
    }
    let alice = vault();
    std::fs::remove_file(identity(&alice)).unwrap();
    alice.sh("mkfifo -m 600 \"$HOME/.config/vault/identity\"").run().success();
    let told = "vault: `$SANDBOX/home/.config/vault/identity` is not a regular file\n";
    assert_no_command_uses_it(&alice, 5, told);
    std::fs::remove_file(identity(&alice)).unwrap();
    std::fs::create_dir(identity(&alice)).unwrap();
    assert_no_command_uses_it(&alice, 5, told);
}

#[test]
fn an_identity_that_is_missing_damaged_or_too_long_is_told_without_its_text() {
    let alice = vault();
    let key = std::fs::read_to_string(identity(&alice)).unwrap();
    let damaged = key.replace("AGE-SECRET-KEY-1", "AGE-SECRET-KEY-1Q");
    for text in
        [damaged.as_str(), "", "hello", &"#\n".repeat(40_000), "\u{0}\u{1}", "AGE-SECRET-KEY-1"]
    {
        alice.write(identity(&alice), text);
        for run in commands(&alice) {
            let output = run.run();
            assert!(matches!(output.code(), Some(4 | 5 | 125)), "{text:.20} {}", output.err());
            let secret = key.lines().last().unwrap().split_at(20).1;
            assert!(!output.err().contains(secret) && output.stdout.is_empty());
            assert!(output.err().starts_with("vault: "), "{}", output.err());
        }
    }
    std::fs::remove_file(identity(&alice)).unwrap();
    alice.vault(["get", "-e", "staging", "ALPHA"]).run().expect(4, "", NO_KEY);
    alice.vault(["set", "-e", "staging", "ALPHA=x"]).run().expect(4, "", NO_KEY);
    alice.vault(["run", "-e", "staging", "--", "env"]).run().expect(125, "", NO_KEY);
}

/// Alice's key under another name, where it is found only if it is named.
fn named_key() -> (Sandbox, PathBuf) {
    let alice = vault();
    let path = alice.path("named-key");
    std::fs::rename(identity(&alice), &path).unwrap();
    (alice, path)
}

#[test]
fn a_named_key_file_is_taken_whatever_its_mode() {
    let (alice, path) = named_key();
    for mode in [0o600, 0o444, 0o644, 0o664, 0o666] {
        set_mode(&alice, "named-key", mode);
        let get = alice.vault(["get", "-e", "staging", "ALPHA"]).env("VAULT_KEY_FILE", &path);
        get.run().expect(0, ALPHA, "");
        let set = alice.vault(["set", "-e", "staging", &format!("M{mode:o}=x")]);
        set.env("VAULT_KEY_FILE", &path).run().expect(0, "", "");
    }
    // The folder of systemd's credentials is named as well.
    std::fs::create_dir(alice.path("credentials")).unwrap();
    std::fs::rename(&path, alice.path("credentials/vault-key")).unwrap();
    let run = alice.vault(["get", "-e", "staging", "ALPHA"]);
    run.env("CREDENTIALS_DIRECTORY", alice.path("credentials")).run().expect(0, ALPHA, "");
}

#[test]
fn a_named_key_file_that_others_can_change_is_noticed_on_a_terminal() {
    let (alice, path) = named_key();
    for (mode, noticed) in [(0o644, false), (0o664, true), (0o666, true)] {
        set_mode(&alice, "named-key", mode);
        let words = ["run", "-e", "staging", "--", "sh", "-c", "echo is $ALPHA"];
        let mut terminal = alice.vault(words).env("VAULT_KEY_FILE", &path).on_terminal();
        let (text, status) = terminal.expect_end();
        let notice = format!("vault: other users can change the key file `{}`\n", path.display());
        let notice = if noticed { notice } else { String::new() };
        assert_eq!((text, status.code()), (format!("{notice}is {ALPHA}\n"), Some(0)), "{mode:o}");
    }
}

#[test]
fn a_named_key_file_may_be_a_fifo_that_a_shell_made() {
    if !needs("bash") {
        return;
    }
    let (alice, path) = named_key();
    let script = "VAULT_KEY_FILE=<(cat \"$1\") \"$0\" get -e staging ALPHA";
    // A process substitution is a word and no part of an assignment in bash,
    // so the descriptor's name goes through `env`.
    let script = script.replace("VAULT_KEY_FILE=<(", "env VAULT_KEY_FILE=<(");
    let run = alice.program("bash", ["-c", &script, env!("CARGO_BIN_EXE_vault")]).arg(&path);
    run.run().expect(0, ALPHA, "");
}

#[test]
fn a_named_key_file_that_is_missing_is_told_and_no_other_is_tried() {
    let alice = vault();
    let run = alice.vault(["get", "-e", "staging", "ALPHA"]).env("VAULT_KEY_FILE", "nowhere");
    run.run().expect(4, "", "vault: the key file `nowhere` does not exist\n");
    let stranger = alice.another_home("stranger").with_project("theirs");
    init(&stranger, "stranger", "staging");
    let run = alice.vault(["get", "-e", "staging", "ALPHA"]);
    let told = "vault: envs/staging.toml: this key opens nothing here\n\
                hint: `vault request -e staging` asks its members to grant you access: alice\n";
    run.env("VAULT_KEY_FILE", identity(&stranger)).run().expect(4, "", told);
}

#[test]
fn a_new_identity_is_never_put_in_the_place_of_another() {
    let alice = vault();
    let before = alice.snapshot();
    let told = "vault: there is an identity already: `$SANDBOX/home/.config/vault/identity`\n";
    let mut terminal = Terminal::start(&alice, "vault", ["key", "new"]);
    let (text, status) = terminal.expect_end();
    let shown = text.replace(&*alice.root().to_string_lossy(), "$SANDBOX");
    assert!(shown.starts_with(told), "{shown}");
    assert_eq!(status.code(), Some(1));
    alice.vault(["key", "new"]).run().expect_like(1, "", &format!("{told}..."));
    alice.assert_unchanged_since(&before);
}
