//! Members with keys of every sort in one file: ssh keys are made by ssh-keygen.

use crate::people::fingerprint;
use crate::support::needs::needs;
use crate::support::sandbox::Sandbox;
use crate::vaults::{STAGING, get, init, set};

/// Makes an ssh key in the sandbox.
#[track_caller]
fn ssh_key(sandbox: &Sandbox, name: &str, words: &[&str], passphrase: &str) {
    let file = sandbox.path(name);
    let keygen = sandbox.program("ssh-keygen", ["-q", "-N", passphrase, "-f"]);
    keygen.arg(file).args(words).run().expect(0, "", "");
}

/// The fingerprint of the key that this file holds.
#[track_caller]
fn fingerprint_of(person: &Sandbox, file: &str) -> String {
    let show = person.vault(["key", "show"]).env("VAULT_KEY_FILE", person.path(file));
    let show = show.env("VAULT_PASSPHRASE_FILE", person.path("passphrase")).run();
    show.err().trim_end().rsplit(' ').next().unwrap_or_default().to_owned()
}

#[test]
fn keys_of_every_sort_stand_side_by_side_in_one_file() {
    if !needs("ssh-keygen") {
        return;
    }
    let alice = Sandbox::new();
    init(&alice, "alice", "staging");
    set(&alice, "staging", "A", "value");
    alice.write("passphrase", "secret");
    ssh_key(&alice, "ed", &["-t", "ed25519"], "");
    ssh_key(&alice, "rsa", &["-t", "rsa", "-b", "2048"], "");
    ssh_key(&alice, "locked", &["-t", "ed25519"], "secret");
    let bob = alice.another_home("bob");
    bob.vault(["request", "--name", "bob"]).run().expect_that(0, "asked", |_| true);
    let mut told = vec![fingerprint(&bob)];
    for name in ["ed", "rsa", "locked"] {
        let person = alice.another_home(name);
        let public = alice.path(format!("{name}.pub"));
        let request = person.vault(["request", "--name", name, "--ssh"]).arg(public);
        request
            .run()
            .expect_that(0, "asked", |output| !output.err().contains("made your private key"));
        told.push(fingerprint_of(&alice, name));
    }
    let expected = told.iter().flat_map(|one| ["--expect", one]);
    alice.vault(["grant", "--all"]).args(expected).run().expect(
        0,
        "",
        "vault: staging: bob, ed, locked, rsa can open it now\nhint: commit the folder `envs`\n",
    );
    alice.vault(["key", "recovery"]).run().expect_that(0, "a recovery key", |_| true);
    assert_eq!(get(&bob, "staging", "A"), b"value");
    let with = |name: &str| {
        let person = alice.another_home(name);
        let run = person.vault(["get", "-e", "staging", "A"]);
        run.env("VAULT_KEY_FILE", alice.path(name))
    };
    with("ed").run().expect(0, "value", "");
    with("rsa").run().expect(0, "value", "");
    with("locked")
        .env("VAULT_PASSPHRASE_FILE", alice.path("passphrase"))
        .run()
        .expect(0, "value", "");
    with("locked").run().expect_that(4, "no terminal to ask on", |output| {
        output.err().contains("passphrase of the key")
            && output.err().contains("VAULT_PASSPHRASE_FILE")
    });
    if needs("setsid") {
        let mut terminal = with("locked").on_terminal();
        terminal.expect("Passphrase of the key");
        terminal.type_line("secret");
        terminal.expect("value");
        terminal.expect_end();
    }
    // There is no proof for ssh keys. Those members are named, and compare the fingerprint.
    let rotated = alice.vault(["rotate", "staging"]).run();
    rotated.expect_that(0, "who has to compare it", |output| {
        output
            .err()
            .contains("there is no proof of who made the data key; ed, locked, rsa will have to")
    });
    with("ed").run().expect_that(5, "a stop", |output| {
        output.err().starts_with("vault: envs/staging.toml: nothing proves who made its data key")
    });
    let status = alice.vault(["status"]).run().success();
    let line = status.out().lines().find_map(|line| line.trim().strip_prefix("data key "));
    let new = line.and_then(|line| line.split(',').next()).unwrap_or_default().to_owned();
    let ed = alice.another_home("ed");
    let trust = ed.vault(["trust", "staging", "--expect", &new]);
    trust.env("VAULT_KEY_FILE", alice.path("ed")).run().expect(
        0,
        "",
        &format!("vault: staging: data key {new} is accepted\n"),
    );
    with("ed").run().expect(0, "value", "");
    bob.vault(["get", "-e", "staging", "A"]).run().expect(
        0,
        "value",
        "vault: staging: alice has rotated the data key: the members are the same\n",
    );
    assert!(alice.read(STAGING).contains("[members.recovery]"));
}

#[test]
fn ssh_keys_that_can_not_decrypt_are_told_as_such() {
    if !needs("ssh-keygen") {
        return;
    }
    let alice = Sandbox::new();
    ssh_key(&alice, "ec", &["-t", "ecdsa"], "");
    let show = alice.vault(["key", "show"]).env("VAULT_KEY_FILE", alice.path("ec"));
    show.run().expect(
        4,
        "",
        "vault: VAULT_KEY_FILE: `$SANDBOX/ec`: the ssh private key can't be used\n\
         hint: ssh-ed25519 and ssh-rsa keys (2048 to 4096 bits) can decrypt; ecdsa keys, keys on a security key \
         and agents can't: `vault key new` makes one that can\n",
    );
}
