//! `vault key`: a private key in its file, in the system's keyring, and on its way.

#![allow(clippy::expect_used, reason = "helpers of tests have to fail the test")]

use crate::people::{fingerprint, public_key};
use crate::support::needs::needs;
use crate::support::run::Run;
use crate::support::sandbox::Sandbox;
use crate::vaults::{get, identity, init, set, vault};

const VAULT: &str = env!("CARGO_BIN_EXE_vault");

/// Runs a script of a shell with a bus of its own and an unlocked keyring on it.
fn with_keyring(person: &Sandbox, script: &str) -> Run {
    let unlock = "printf pw | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1";
    let script = format!("{unlock}\nvault() {{ '{VAULT}' \"$@\"; }}\n{script}");
    person.program("dbus-run-session", ["--", "sh", "-c", &script])
}

fn needs_keyring() -> bool {
    ["dbus-run-session", "gnome-keyring-daemon", "secret-tool"].iter().all(|one| needs(one))
}

#[test]
fn keys_are_listed_with_what_they_come_from_and_never_shown() {
    let alice = vault();
    let file = identity(&alice);
    let told = fingerprint(&alice);
    let list = alice.vault(["key", "list"]).run();
    list.expect(0, &format!("{told}\tX25519\t$SANDBOX/home/.config/vault/identity\n"), "");
    let named = alice.vault(["key", "list", "--json"]).env("VAULT_KEY_FILE", &file).run().success();
    let json: serde_json::Value = serde_json::from_slice(&named.stdout).unwrap();
    assert_eq!(json["keys"][0]["fingerprint"], told);
    assert!(json["keys"][0]["from"].as_str().unwrap().starts_with("VAULT_KEY_FILE: "), "{json}");
    assert!(!named.out().contains("AGE-SECRET"));
    alice.another_home("nobody").vault(["key", "list"]).run().expect(0, "", "");
}

#[test]
fn a_key_goes_to_another_machine_under_a_passphrase() {
    let alice = vault();
    alice.write("passphrase", "correct horse\n");
    let export = || alice.vault(["key", "export"]);
    export().run().expect(
        4,
        "",
        "vault: the passphrase is needed and there is no terminal to ask on\n\
         hint: name a file that holds it by `VAULT_PASSPHRASE_FILE`\n",
    );
    let passphrase = alice.path("passphrase");
    let exported = export().env("VAULT_PASSPHRASE_FILE", &passphrase).run().success();
    assert!(
        exported.out().starts_with("-----BEGIN AGE ENCRYPTED FILE-----\n"),
        "{}",
        exported.out()
    );
    assert!(!exported.out().contains("AGE-SECRET"));
    let other = alice.another_home("other-laptop");
    let import = || other.vault(["key", "import", "-"]).stdin(exported.out());
    import().run().expect_that(4, "a passphrase is needed", |output| output.out().is_empty());
    import().env("VAULT_PASSPHRASE_FILE", &passphrase).run().expect(
        0,
        &format!("{}\n", public_key(&alice)),
        &format!(
            "vault: your private key is in its place: $SANDBOX/people/other-laptop/home/.config/vault/identity\n\
             vault: X25519 key, fingerprint {}\n",
            fingerprint(&alice)
        ),
    );
    assert_eq!(other.mode(identity(&other)), 0o600);
    // It is protected there, too.
    other.assert_nowhere("correct horse\nx");
    let read = other.vault(["get", "-e", "staging", "ALPHA"]);
    read.clone().run().expect_that(4, "protected", |_| true);
    read.env("VAULT_PASSPHRASE_FILE", &passphrase).run().expect(0, crate::vaults::ALPHA, "");
    import().env("VAULT_PASSPHRASE_FILE", &passphrase).run().expect(
        1,
        "",
        "vault: there is an identity already: `$SANDBOX/people/other-laptop/home/.config/vault/identity`\n\
         hint: `vault key show` prints its public key\n",
    );
}

#[test]
fn what_is_no_key_is_not_imported_and_not_repeated() {
    let sandbox = Sandbox::new();
    for (text, told) in [
        ("marker-no-key", "the key is no age or ssh private key"),
        ("", "the key is no age or ssh private key"),
        ("age1markermarker", "this is a public key"),
        ("keyring:marker", "this file only names an account of the keyring"),
    ] {
        let output = sandbox.vault(["key", "import", "-"]).stdin(text).run();
        assert!(
            output.code() != Some(0) && output.err().contains(told),
            "{text}: {}",
            output.err()
        );
        assert!(!output.err().contains("marker"), "{}", output.err());
    }
    assert!(!identity(&sandbox).exists());
}

#[test]
fn a_key_lives_in_the_keyring_where_other_tools_find_it_and_comes_back() {
    if !needs_keyring() {
        return;
    }
    let alice = Sandbox::new();
    let script = "set -e\n\
        vault key new --keyring >public\ncat \"$HOME/.config/vault/identity\"\n\
        vault init --name alice -e staging 2>/dev/null\nvault set -e staging A=value\nvault get -e staging A; echo\n\
        secret-tool lookup service procvault username default >found\n\
        grep -c '^AGE-SECRET-KEY-1' found\n\
        vault key new --keyring 2>&1 | head -1\n\
        vault key move --to keyring 2>&1\n\
        vault key move --to file\ngrep -c '^AGE-SECRET-KEY-1' \"$HOME/.config/vault/identity\"\n\
        secret-tool lookup service procvault username default || echo gone\n\
        vault key move --to file 2>&1 || true\n\
        vault key move --to keyring --account work\ncat \"$HOME/.config/vault/identity\"\n\
        vault get -e staging A\n";
    let script = script.replace(
        "vault key move --to keyring 2>&1\n",
        "vault key move --to keyring 2>&1 || true\n",
    );
    let output = with_keyring(&alice, &script).run();
    output.expect_that(0, "each step", |output| {
        output.out()
            == format!(
                "keyring:default\nvalue\n1\nvault: there is an identity already: `{}`\n\
                 vault: your private key is in the keyring already\n1\ngone\n\
                 vault: your private key is in its file already\nkeyring:work\nvalue",
                identity(&alice).display()
            )
    });
}

#[test]
fn a_keyring_that_gives_no_key_is_named_with_the_way_out() {
    if !needs_keyring() {
        return;
    }
    let alice = Sandbox::new();
    init(&alice, "alice", "staging");
    set(&alice, "staging", "A", "value");
    let told = |what: &str, why: &str| {
        format!(
            "vault: the system keyring (Secret Service) {what} for the account `default`: {why}\n\
             hint: unlock the keyring, or use a key file by `VAULT_KEY_FILE`\n"
        )
    };
    // There is no bus at all: nothing is lost.
    alice.vault(["key", "move", "--to", "keyring"]).run().expect(
        4,
        "",
        &told("can't be asked", "it can't be reached"),
    );
    assert_eq!(get(&alice, "staging", "A"), b"value");
    with_keyring(&alice, "vault key move --to keyring").run().expect_that(0, "moved", |_| true);
    let read = "vault get -e staging A";
    // Another session, in which nobody has unlocked it.
    let locked =
        alice.program("dbus-run-session", ["--", VAULT, "get", "-e", "staging", "A"]).run();
    locked.expect_that(4, "it is locked", |output| {
        output.err().ends_with(&told("gives no key", "it is locked"))
            || output
                .err()
                .ends_with(&told("gives no key", "there is no such entry, or it is locked"))
    });
    alice.vault(["get", "-e", "staging", "A"]).run().expect(
        4,
        "",
        &told("gives no key", "it can't be reached"),
    );
    // A daemon that says nothing is waited for, but not for ever. It has to be there by its name, or the bus
    // would start another in its place.
    let silent = format!(
        "owner() {{ dbus-send --session --print-reply=literal --dest=org.freedesktop.DBus / \
         org.freedesktop.DBus.GetConnectionUnixProcessID string:org.freedesktop.secrets; }}\n\
         until pid=$(owner 2>/dev/null); do sleep 0.05; done\npid=${{pid##* }}\n\
         kill -STOP $pid\n{read} 2>err; code=$?\nkill -KILL $pid\ncat err >&2; exit $code"
    );
    if needs("dbus-send") {
        with_keyring(&alice, &silent).run().expect_that(4, "it did not answer", |output| {
            output.err().ends_with(&told("gives no key", "it did not answer within 5 seconds"))
        });
    }
    with_keyring(&alice, read).run().expect_that(0, "the value", |output| output.out() == "value");
}
