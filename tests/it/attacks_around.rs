//! Attacks on what surrounds a vault file: folders above, links, settings, times, waits, and secrets given
//! in the wrong place.

use std::os::unix::fs::{chown, symlink};

use crate::support::needs::needs_other_user;
use crate::support::sandbox::Sandbox;
use crate::vaults::{STAGING, decode, encode, field, vault, with_field};

const OUTSIDE: &str = "vault: `.` belongs to another user, who could choose what your commands see\n\
                       hint: if you trust that user, name the project's folder by `-d`\n";

#[test]
fn a_project_that_another_user_laid_in_our_way_is_taken_only_where_it_is_named() {
    let Some(other) = needs_other_user() else { return };
    let alice = vault();
    let run = ["run", "-e", "staging", "--", "true"];
    for place in ["project", "project/envs", "project/vault.toml"] {
        alice.write("project/vault.toml", "");
        chown(alice.path(place), Some(other), None).expect("root gives it away");
        let told = match place {
            "project" => OUTSIDE.to_owned(),
            _ => OUTSIDE.replace("`.`", &format!("`{}`", place.trim_start_matches("project/"))),
        };
        alice.vault(run).run().expect(125, "", &told);
        alice.vault(["list"]).run().expect(4, "", &told);
        alice.vault(run).arg("named").env("VAULT_DIR", alice.project()).run().expect(0, "", "");
        chown(alice.path(place), Some(0), None).expect("and takes it back");
    }
    alice.vault(run).run().expect(0, "", "");
}

#[test]
fn no_more_than_four_blocks_of_one_key_are_tried() {
    let alice = vault();
    let text = alice.read(STAGING);
    let start = text.find("[members.alice]").expect("a member");
    let end = text.find("[secrets.").expect("a secret");
    let block = with_field(&text, "members.alice", "sealed", &encode(b"no age file"));
    let block = &block[start..block.find("[secrets.").expect("a secret")];
    let planted: String =
        (0..5).map(|n| block.replace("[members.alice]", &format!("[members.a{n}]"))).collect();
    // The genuine block would be the sixth.
    let six = format!("{}{planted}{}{}", &text[..start], &text[start..end], &text[end..]);
    alice.write(STAGING, six);
    alice.vault(["run", "-e", "staging", "--", "true"]).run().expect_like(
        125,
        "",
        "vault: envs/staging.toml:[..]: the seal of member a0 is damaged: [..]\nhint: [..]\n",
    );
}

#[test]
fn a_status_that_rests_on_an_altered_time_or_member_says_so_and_fails() {
    let alice = vault();
    let text = alice.read(STAGING);
    let mut record = decode(&field(&text, "secrets.ALPHA", "value"));
    record[5] ^= 1;
    alice.write(STAGING, with_field(&text, "secrets.ALPHA", "value", &encode(&record)));
    let status = alice.vault(["status", "--json"]).run();
    status.expect_that(5, "the altered value is told", |output| {
        output.out().contains("\"verified\":false")
            && output.err().contains("the value was altered")
    });
    let mut vouch = decode(&field(&text, "members.alice", "vouch"));
    vouch[35] ^= 1;
    alice.write(STAGING, with_field(&text, "members.alice", "vouch", &encode(&vouch)));
    alice.vault(["status"]).run().expect_that(5, "the altered member is told", |output| {
        output.out().contains("member alice was added or altered") && !output.err().is_empty()
    });
}

#[test]
fn a_folder_of_environments_that_links_out_of_the_project_is_not_written_through() {
    let alice = Sandbox::new();
    alice.write("outside/.dev.toml.tmp-1", "somebody's");
    symlink(alice.path("outside"), alice.path("project/envs")).expect("a link");
    alice.vault(["key", "new"]).run().expect_that(0, "a key", |output| !output.out().is_empty());
    let before = alice.snapshot();
    alice.vault(["init", "--name", "alice", "-e", "dev"]).run().expect(
        5,
        "",
        "vault: `envs` is a link that leads out of the project\n\
         hint: put the file itself into the project\n",
    );
    alice.assert_unchanged_since(&before);
    assert!(!alice.path("outside/dev.toml").exists());
}

#[test]
fn words_of_the_settings_never_reach_the_terminal_raw() {
    let alice = vault();
    let words = "[required]\nALPHA = { kind = \"enum\", of = [\"x\\u001b[31my\"] }\n";
    alice.write("project/vault.toml", words);
    alice.vault(["run", "-e", "staging", "--", "true"]).run().expect(
        125,
        "",
        "vault: staging: ALPHA is not one of x\\u{1b}[31my\n\
         hint: `[required]` in vault.toml asks for it; set it with `vault set -e staging ALPHA`\n",
    );
}

#[test]
fn a_secret_in_the_place_of_a_path_a_command_or_a_name_is_not_repeated() {
    let alice = vault();
    let key = "AGE-SECRET-KEY-1MARKERMARKERMARKER";
    let get = ["get", "-e", "staging", "ALPHA"];
    for (name, value) in [
        ("VAULT_KEY_FILE", key),
        ("VAULT_KEY_COMMAND", key),
        ("VAULT_KEY", "age1markermarkermarker"),
        ("VAULT_KEY", "/marker/path"),
    ] {
        let output = alice.vault(get).env(name, value).run();
        let told = output.err().to_owned();
        assert!(output.code() != Some(0) && output.out().is_empty(), "{told}");
        assert!(!told.to_lowercase().contains("marker"), "{name}: {told}");
    }
    let set = alice.vault(["set", "-e", "staging", "ALPHA", "sk-live-marker"]).run();
    set.expect_that(2, "the word is not repeated", |output| !output.err().contains("marker"));
}

#[test]
fn a_setting_that_is_no_utf8_does_not_count_as_unset() {
    use std::os::unix::ffi::OsStrExt as _;
    let alice = vault();
    alice.write("project/vault.toml", "default = \"staging\"\n");
    let broken = std::ffi::OsStr::from_bytes(b"stag\xff");
    alice.vault(["run", "--", "true"]).env("VAULT_ENV", broken).run().expect_like(
        125,
        "",
        "vault: there is no environment `stag[..]`\nhint: [..]\n",
    );
    alice.write("project/envs/other.toml", "vault = 0");
    alice.vault(["status"]).run().expect_that(5, "a damaged file fails the status", |output| {
        output.err().contains("envs/other.toml:1: not a vault file")
            && output.out().contains("staging: you are")
    });
}
