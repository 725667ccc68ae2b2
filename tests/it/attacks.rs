//! What somebody with write access to the repository and without a key can do
//! to the content of a vault file, and how it is refused. The files are made by
//! the built binary and edited as text; `attacks_files.rs` has what is done to
//! the file as a whole.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are not #[test]")]

use std::path::Path;

use crate::support::sandbox::Sandbox;
use crate::vaults::{
    ALTERED, DAMAGED, EARLIER_KEY, NOT_VOUCHED, STAGING, assert_all_refused, assert_refused,
    commands, commands_about, decode, encode, export, field, fill, get, identity, init, line_of,
    no_value, set, table, vault, vault_with, with_block, with_field, without,
};

/// A file with two members, whose keys are published.
const TWO_MEMBERS: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/format1/good/two-members-proof");

const VALUE: &str = "value";

/// What reads or replaces one value. `unset` and `init` are left out: removing
/// a bad value is the way to mend it, and a copy is told about another one.
fn about_value(person: &Sandbox, name: &str) -> Vec<crate::support::run::Run> {
    let mut runs = commands_about(person, name);
    runs.truncate(7);
    runs
}

/// A bad value of BETA stops everything that needs it, and says `told`.
#[track_caller]
fn assert_value_refused(person: &Sandbox, text: &str, told: &str) {
    let place = format!("vault: envs/staging.toml:{}: ", line_of(text, "secrets.BETA"));
    assert_refused(person, about_value(person, "BETA"), 5, &format!("{place}{told}"));
    // The other value is none the worse for it, and the bad one can be removed.
    assert_eq!(get(person, "staging", "ALPHA"), crate::vaults::ALPHA.as_bytes());
    person.vault(["unset", "-y", "-e", "staging", "BETA"]).run().expect(0, "", "");
    set(person, "staging", "BETA", "new");
    assert_eq!(get(person, "staging", "BETA"), b"new");
}

/// The value with another key-id in front, which a pusher can write: it stands
/// open in every vouch and value of the file.
fn with_key_id_of(value: &str, other: &str) -> String {
    let (mut bytes, other) = (decode(value), decode(other));
    bytes[..4].copy_from_slice(&other[..4]);
    encode(bytes)
}

#[test]
fn a_value_copied_under_another_name_is_refused() {
    let alice = vault();
    let text = alice.read(STAGING);
    let stolen = field(&text, "secrets.ALPHA", VALUE);
    let text = with_field(&text, "secrets.BETA", VALUE, &stolen);
    alice.write(STAGING, &text);
    assert_value_refused(&alice, &text, &format!("BETA: {ALTERED}"));
}

#[test]
fn two_values_that_change_places_are_refused() {
    let alice = vault();
    let text = alice.read(STAGING);
    let [alpha, beta] = ["secrets.ALPHA", "secrets.BETA"].map(|name| field(&text, name, VALUE));
    let text = with_field(&text, "secrets.ALPHA", VALUE, &beta);
    let text = with_field(&text, "secrets.BETA", VALUE, &alpha);
    alice.write(STAGING, &text);
    let line = line_of(&text, "secrets.ALPHA");
    let told = format!("vault: envs/staging.toml:{line}: ALPHA: {ALTERED}");
    assert_refused(&alice, about_value(&alice, "ALPHA"), 5, &told);
}

#[test]
fn a_value_copied_under_a_name_that_was_not_there_is_refused() {
    let alice = vault();
    let text = alice.read(STAGING);
    let stolen = field(&text, "secrets.ALPHA", VALUE);
    let text = with_block(&text, &format!("[secrets.GAMMA]\nvalue = \"{stolen}\"\n"));
    alice.write(STAGING, &text);
    let line = line_of(&text, "secrets.GAMMA");
    let told = format!("vault: envs/staging.toml:{line}: GAMMA: {ALTERED}");
    assert_refused(&alice, about_value(&alice, "GAMMA"), 5, &told);
}

#[test]
fn a_value_from_another_environment_is_refused() {
    let alice = vault_with("staging,production");
    let text = alice.read(STAGING);
    let theirs = field(&alice.read("project/envs/production.toml"), "secrets.BETA", VALUE);
    let foreign = with_field(&text, "secrets.BETA", VALUE, &theirs);
    alice.write(STAGING, &foreign);
    assert_value_refused(&alice, &foreign, &format!("the value of BETA {EARLIER_KEY}"));

    // The key-id that gives it away can be forged; the tag can't.
    let ours = field(&text, "secrets.BETA", VALUE);
    let forged = with_field(&text, "secrets.BETA", VALUE, &with_key_id_of(&theirs, &ours));
    alice.write(STAGING, &forged);
    assert_value_refused(&alice, &forged, &format!("BETA: {ALTERED}"));
}

#[test]
fn a_value_from_another_project_is_refused() {
    let alice = vault();
    let other = alice.another_home("alice").with_project("other");
    init(&other, "alice", "staging");
    fill(&other, "staging");
    let text = alice.read(STAGING);
    let theirs = field(&alice.read("other/envs/staging.toml"), "secrets.BETA", VALUE);
    let foreign = with_field(&text, "secrets.BETA", VALUE, &theirs);
    alice.write(STAGING, &foreign);
    assert_value_refused(&alice, &foreign, &format!("the value of BETA {EARLIER_KEY}"));

    let ours = field(&text, "secrets.BETA", VALUE);
    let forged = with_field(&text, "secrets.BETA", VALUE, &with_key_id_of(&theirs, &ours));
    alice.write(STAGING, &forged);
    assert_value_refused(&alice, &forged, &format!("BETA: {ALTERED}"));
}

#[test]
fn a_value_of_an_earlier_data_key_is_refused() {
    let alice = vault();
    let earlier = alice.read(STAGING);
    // The environment is made anew: same name, same members, another data key.
    std::fs::remove_file(alice.path(STAGING)).unwrap();
    init(&alice, "alice", "staging");
    fill(&alice, "staging");
    let text = alice.read(STAGING);
    let old = field(&earlier, "secrets.BETA", VALUE);
    let text = with_field(&text, "secrets.BETA", VALUE, &old);
    alice.write(STAGING, &text);
    assert_value_refused(&alice, &text, &format!("the value of BETA {EARLIER_KEY}"));
}

#[test]
fn a_value_whose_time_of_change_or_kind_was_edited_is_refused() {
    let alice = vault();
    let text = alice.read(STAGING);
    let value = decode(&field(&text, "secrets.BETA", VALUE));
    let altered = |at: usize, byte: u8| {
        let mut value = value.clone();
        value[at] ^= byte;
        with_field(&text, "secrets.BETA", VALUE, &encode(value))
    };
    // A day that hides an exposure, or makes one.
    let other_time = altered(7, 1);
    alice.write(STAGING, &other_time);
    assert_value_refused(&alice, &other_time, &format!("BETA: {ALTERED}"));
    // A variable that is passed off as a file.
    let other_kind = altered(4, 1);
    alice.write(STAGING, &other_kind);
    let told = format!(
        "vault: envs/staging.toml:{}: BETA: {ALTERED}",
        line_of(&other_kind, "secrets.BETA")
    );
    let get = alice.vault(["get", "-e", "staging", "BETA"]).run();
    no_value(&get.expect(5, "", &told));
}

#[test]
fn a_staging_file_renamed_to_production_is_refused() {
    let alice = vault_with("staging,production");
    let text = alice.read(STAGING);
    let production = "project/envs/production.toml";
    let runs = || {
        let words: [&[&str]; 5] = [
            &["run", "-e", "production", "--", "env"],
            &["get", "-e", "production", "ALPHA"],
            &["export", "json", "-e", "production"],
            &["set", "-e", "production", "ALPHA=other"],
            &["unset", "-y", "-e", "production", "ALPHA"],
        ];
        words.map(|words| alice.vault(words)).to_vec()
    };
    let mend = "its own name, `staging.toml`\n";
    alice.write(production, &text);
    let told = format!(
        "vault: envs/production.toml:3: this file says that it is the environment staging, not \
         production\nhint: put it back under {mend}"
    );
    assert_refused(&alice, runs(), 5, &told);

    // The line that says so is edited too; what is sealed can't be.
    let renamed = text.replace("environment = \"staging\"", "environment = \"production\"");
    alice.write(production, &renamed);
    let told = format!(
        "vault: envs/production.toml:{}: this file was made for the environment staging, not for \
         production\nhint: put the file back under {mend}",
        line_of(&text, "members.alice")
    );
    assert_refused(&alice, runs(), 5, &told);
}

#[test]
fn a_seal_of_another_project_is_refused() {
    let alice = vault();
    let other = alice.another_home("alice").with_project("other");
    std::fs::create_dir_all(identity(&other).parent().unwrap()).unwrap();
    std::fs::copy(identity(&alice), identity(&other)).unwrap();
    init(&other, "alice", "staging");
    let theirs = alice.read("other/envs/staging.toml");
    let text = alice.read(STAGING);
    let block = table(&text, "members.alice");
    let text = text.replace(&block, &table(&theirs, "members.alice"));
    alice.write(STAGING, &text);
    let told = format!(
        "vault: envs/staging.toml:{}: the seal of member alice belongs to another vault: its `id` \
         is not this file's\n{DAMAGED}",
        line_of(&text, "members.alice")
    );
    assert_all_refused(&alice, &told);
}

#[test]
fn a_bit_flipped_anywhere_is_refused_or_changes_no_value() {
    let alice = vault();
    let (bytes, values) = (alice.read(STAGING).into_bytes(), export(&alice, "staging"));
    let worker = |first: usize| {
        let folder = format!("flipped-{first}");
        let mut wrong = Vec::new();
        // Every bit has its turn, as the place of a byte decides which it is.
        for at in (first..bytes.len()).step_by(2) {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at / 2 % 8);
            alice.write(Path::new(&folder).join("envs/staging.toml"), &flipped);
            let output =
                alice.vault(["export", "json", "-e", "staging"]).cwd(alice.path(&folder)).run();
            no_value_on_stderr(&output.stderr);
            let unchanged = output.code() == Some(0) && output.stdout == values.as_bytes();
            let refused = matches!(output.code(), Some(4 | 5)) && output.stdout.is_empty();
            if !(unchanged && output.stderr.is_empty() || refused && !output.stderr.is_empty()) {
                wrong.push(format!("byte {at}: {:?} {}", output.code(), output.err()));
            }
        }
        wrong
    };
    let wrong = std::thread::scope(|scope| {
        let workers = [0, 1].map(|first| scope.spawn(move || worker(first)));
        workers.map(|worker| worker.join().unwrap()).concat()
    });
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[track_caller]
fn no_value_on_stderr(stderr: &[u8]) {
    let text = String::from_utf8_lossy(stderr);
    assert!(!text.contains(crate::vaults::ALPHA) && !text.contains(crate::vaults::BETA), "{text}");
}

/// Alice's vault, and the block that mallory made for herself in one of hers.
fn alice_and_mallory() -> (Sandbox, Sandbox, String) {
    let alice = vault();
    let mallory = alice.another_home("mallory").with_project("theirs");
    init(&mallory, "mallory", "staging");
    let block = table(&alice.read("theirs/envs/staging.toml"), "members.mallory");
    (alice, mallory.with_project("project"), block)
}

#[test]
fn a_planted_member_without_a_vouch_is_refused() {
    let (alice, _, block) = alice_and_mallory();
    let text = alice.read(STAGING);
    let unvouched: Vec<&str> = block.lines().filter(|line| !line.starts_with("vouch")).collect();
    let unvouched = unvouched.join("\n") + "\n";
    let planted = with_block(&text, &unvouched);
    alice.write(STAGING, &planted);
    let line = line_of(&planted, "members.mallory");
    let told =
        format!("vault: envs/staging.toml:{line}: `mallory` has no field `vouch`\n{DAMAGED}");
    assert_all_refused(&alice, &told);

    // With the vouch of somebody else, whether that is altered or not.
    let vouch = field(&text, "members.alice", "vouch");
    let planted = with_block(&text, &format!("{unvouched}vouch = \"{vouch}\"\n"));
    alice.write(STAGING, &planted);
    let told = format!("vault: envs/staging.toml:{line}: member mallory {NOT_VOUCHED}");
    assert_all_refused(&alice, &told);
}

#[test]
fn a_planted_member_with_a_vouch_under_a_key_of_her_own_is_refused() {
    let (alice, mallory, block) = alice_and_mallory();
    let text = alice.read(STAGING);
    let planted = with_block(&text, &block);
    alice.write(STAGING, &planted);
    let line = line_of(&planted, "members.mallory");
    let place = format!("vault: envs/staging.toml:{line}: ");
    assert_all_refused(&alice, &format!("{place}member mallory {EARLIER_KEY}"));
    // Nobody is sealed to before that is mended: not in a copy either.
    let copy = ["init", "--name", "alice", "-e", "copy", "--from", "staging", "--with-members"];
    let told = format!("{place}member mallory {EARLIER_KEY}");
    alice.vault(copy).run().expect(5, "", &told);
    // And she reads nothing.
    let told = format!(
        "{place}the seal of member mallory belongs to another vault: its `id` is not this file's\n{DAMAGED}"
    );
    assert_refused(&mallory, commands(&mallory), 5, &told);

    // The key-id is no secret, and so she may have written the right one.
    let [theirs, ours] =
        ["members.mallory", "members.alice"].map(|name| field(&planted, name, "vouch"));
    let vouch = with_key_id_of(&theirs, &ours);
    alice.write(STAGING, with_field(&planted, "members.mallory", "vouch", &vouch));
    assert_all_refused(&alice, &format!("{place}member mallory {NOT_VOUCHED}"));
}

#[test]
fn a_planted_member_that_takes_the_place_of_the_only_one_is_refused() {
    let (alice, mallory, block) = alice_and_mallory();
    let text = alice.read(STAGING);
    let text = text.replace(&table(&text, "members.alice"), &block);
    alice.write(STAGING, &text);
    let told = "vault: this key opens nothing here\n\
                hint: `vault request -e staging` asks its members to grant you access: mallory\n";
    let told = told.replace("vault: ", "vault: envs/staging.toml: ");
    assert_refused(&alice, commands(&alice), 4, &told);
    let told = format!(
        "vault: envs/staging.toml:{}: the seal of member mallory belongs to another vault: its \
         `id` is not this file's\n{DAMAGED}",
        line_of(&text, "members.mallory")
    );
    assert_refused(&mallory, commands(&mallory), 5, &told);
}

#[test]
fn a_member_whose_key_was_replaced_is_refused() {
    let (alice, mallory, block) = alice_and_mallory();
    let key = field(&with_block("", &block), "members.mallory", "key");
    let text = with_field(&alice.read(STAGING), "members.alice", "key", &key);
    alice.write(STAGING, &text);
    // For alice, nothing here is for her key any more.
    let told = "vault: envs/staging.toml: this key opens nothing here\n\
                hint: `vault request -e staging` asks its members to grant you access: alice\n";
    assert_refused(&alice, commands(&alice), 4, told);
    let told = format!(
        "vault: envs/staging.toml:{}: the seal of member alice is damaged: the key that it is for \
         can't open it\nhint: take this member's block back from git, or ask another member to \
         grant it again\n",
        line_of(&text, "members.alice")
    );
    assert_refused(&mallory, commands(&mallory), 5, &told);
}

/// A sandbox with a copy of the two-member file as `staging`, whose alice is
/// the one at work, with ALPHA and BETA added.
fn two_members() -> Sandbox {
    let alice = Sandbox::new();
    let key = std::fs::read(Path::new(TWO_MEMBERS).join("alice.key")).unwrap();
    let file = std::fs::read(Path::new(TWO_MEMBERS).join("staging.toml")).unwrap();
    let folder = identity(&alice).parent().unwrap().to_owned();
    std::fs::create_dir_all(&folder).unwrap();
    alice.write(identity(&alice), key);
    alice.sh("chmod 600 \"$HOME/.config/vault/identity\"").run().success();
    alice.write(STAGING, file);
    fill(&alice, "staging");
    alice
}

#[test]
fn another_members_key_that_was_replaced_is_refused() {
    let alice = two_members();
    let mallory = alice.another_home("mallory").with_project("theirs");
    init(&mallory, "mallory", "staging");
    let theirs = alice.read("theirs/envs/staging.toml");
    let text = alice.read(STAGING);
    let place = format!("vault: envs/staging.toml:{}: ", line_of(&text, "members.bob"));
    for name in ["key", "sealed", "proof"] {
        let new = field(&theirs, "members.mallory", name);
        alice.write(STAGING, with_field(&text, "members.bob", name, &new));
        assert_all_refused(&alice, &format!("{place}member bob {NOT_VOUCHED}"));
    }
    for (name, new) in [("by", "bob"), ("by", "alice\"\nissued_by = \"alice")] {
        alice.write(STAGING, with_field(&text, "members.bob", name, new));
        assert_all_refused(&alice, &format!("{place}member bob {NOT_VOUCHED}"));
    }
    // A name is what people grant by, so it is bound as well.
    alice.write(STAGING, text.replace("[members.bob]", "[members.rob]"));
    assert_all_refused(&alice, &format!("{place}member rob {NOT_VOUCHED}"));
}

/// An environment that was copied without bob, who knows its values: `staging`,
/// with one former entry, and the name of its table.
fn with_a_former_member() -> (Sandbox, String, String) {
    let alice = two_members();
    std::fs::rename(alice.path(STAGING), alice.path("source.toml")).unwrap();
    // A new name for the source, so that the copy can be called staging.
    alice.write("source/envs/staging.toml", alice.read("source.toml"));
    let copy = ["init", "--name", "alice", "-e", "copy", "--from", "staging"];
    alice.vault(copy).cwd(alice.path("source")).run().expect_that(0, "a copy is made", |output| {
        output.out().is_empty() && output.err().contains("vault: made envs/copy.toml")
    });
    alice.write("project/envs/copy.toml", alice.read("source/envs/copy.toml"));
    let text = alice.read("project/envs/copy.toml");
    let header = text.lines().find(|line| line.starts_with("[former.")).unwrap();
    let name = header.trim_matches(['[', ']']).to_owned();
    assert!(name.starts_with("former.\"bob."), "{name}");
    (alice, text, name)
}

#[test]
fn a_former_entry_deleted_added_or_edited_is_refused() {
    let (alice, text, name) = with_a_former_member();
    let members = format!("vault: envs/copy.toml:{}: ", line_of(&text, "members.alice"));
    let refused = |text: &str| {
        alice.write("project/envs/copy.toml", text);
        let words: [&[&str]; 5] = [
            &["run", "-e", "copy", "--", "env"],
            &["get", "-e", "copy", "ALPHA"],
            &["export", "json", "-e", "copy"],
            &["set", "-e", "copy", "ALPHA=other"],
            &["unset", "-y", "-e", "copy", "ALPHA"],
        ];
        let runs = words.map(|words| alice.vault(words)).to_vec();
        assert_refused(&alice, runs, 5, &format!("{members}member alice {NOT_VOUCHED}"));
    };
    // So that nobody sees what the leaver knows.
    refused(&without(&text, &name));
    // So that a name is blamed who never was a member.
    let invented = table(&text, &name).replace("\"bob.", "\"carol.");
    refused(&with_block(&text, &invented));
    // So that a value set since then counts as one he never saw.
    let removed: u64 = name.trim_end_matches('"').rsplit('.').next().unwrap().parse().unwrap();
    refused(&text.replace(&format!("bob.{removed}"), &format!("bob.{}", removed - 1)));
    // So that a later request with his key is not known for his.
    let key = field(&text, "members.alice", "key");
    refused(&with_field(&text, &name, "key", &key));
}

#[test]
fn a_former_entry_with_an_altered_vouch_or_a_time_to_come_is_refused() {
    let (alice, text, name) = with_a_former_member();
    let entry = name.trim_start_matches("former.").trim_matches('"').to_owned();
    let line = line_of(&text, &name);
    let get = |text: &str, told: &str| {
        alice.write("project/envs/copy.toml", text);
        let before = alice.snapshot();
        for words in [["get", "ALPHA"], ["set", "ALPHA=other"]] {
            let run = alice.vault(words).args(["-e", "copy"]).run();
            run.expect(5, "", &format!("vault: envs/copy.toml:{line}: {told}"));
        }
        alice.assert_unchanged_since(&before);
    };
    let mut vouch = decode(&field(&text, &name, "vouch"));
    vouch[20] ^= 1;
    let altered = with_field(&text, &name, "vouch", &encode(&vouch));
    get(&altered, &format!("the former member {entry} {NOT_VOUCHED}"));
    vouch[0] ^= 1;
    let altered = with_field(&text, &name, "vouch", &encode(&vouch));
    get(&altered, &format!("the former member {entry} {EARLIER_KEY}"));
    let later = text.replace(&entry, "bob.1099511627775");
    let told = "the former member bob.1099511627775 was removed after this file's key was made";
    get(&later, &format!("{told}\n{DAMAGED}"));
}

#[test]
fn a_time_of_the_data_key_that_was_altered_is_refused() {
    let alice = vault();
    let text = alice.read(STAGING);
    let made = text.lines().find(|line| line.starts_with("made = ")).unwrap();
    alice.write(STAGING, text.replace(made, "made = 1795435200"));
    assert_all_refused(
        &alice,
        "vault: envs/staging.toml: `made` was altered, or every member but one was put in from \
         another version\nhint: take the file back from git\n",
    );
}
