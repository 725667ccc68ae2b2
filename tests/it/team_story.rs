//! The story of a team on real git clones: alice has founded the project, bob is her
//! teammate, eve leaves, keeps her clone and her key, and tries everything.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are not #[test]")]

use std::path::Path;

use serde_json::{Value, json};

use crate::support::needs::needs;
use crate::support::sandbox::Sandbox;
use crate::team::*;
use crate::vaults::{EARLIER_KEY, fill, init, line_of, table, with_block};

/// alice, bob and eve, each with a clone of one repository, and eve has left: what the
/// team had before, and the time after.
struct Story {
    alice: Sandbox,
    bob: Sandbox,
    eve: Sandbox,
    before: String,
    after: String,
    forger: Forger,
}

#[track_caller]
pub(crate) fn git(person: &Sandbox, words: &[&str]) -> String {
    let output = person.program("git", words).run();
    let output = output.expect_that(0, "git does it", |_| true);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[track_caller]
pub(crate) fn push(person: &Sandbox, message: &str) {
    git(person, &["add", "-A"]);
    git(person, &["commit", "-q", "-m", message]);
    git(person, &["push", "-q", "origin", "HEAD:main"]);
}

#[track_caller]
pub(crate) fn pull(person: &Sandbox) {
    git(person, &["pull", "-q", "--no-rebase", "origin", "main"]);
}

/// alice's repository, with a vault of these environments in it.
#[track_caller]
pub(crate) fn founded(environments: &str) -> Sandbox {
    let alice = Sandbox::new();
    git(&alice, &["init", "-q", "--bare", "-b", "main", "../origin.git"]);
    git(&alice, &["init", "-q", "-b", "main"]);
    git(&alice, &["remote", "add", "origin", "../origin.git"]);
    init(&alice, "alice", environments);
    for environment in environments.split(',') {
        fill(&alice, environment);
    }
    push(&alice, "vault");
    alice
}

/// Somebody with a clone of his own and no key yet.
#[track_caller]
pub(crate) fn cloned(ground: &Sandbox, name: &str) -> Sandbox {
    let person = ground.another_home(name).with_project(format!("work/{name}"));
    git(&person, &["clone", "-q", "../../origin.git", "."]);
    person
}

/// The fingerprint of the key with which somebody asks, as he would tell it by voice.
#[track_caller]
pub(crate) fn request(person: &Sandbox, environments: &str) -> String {
    let output = person.vault(["request", "-e", environments]).run();
    let output =
        output.expect_that(0, "he asks", |output| output.err().contains("asks for access"));
    let line = output.err().lines().find_map(|line| line.strip_prefix("vault: key "));
    line.unwrap().to_owned()
}

#[track_caller]
pub(crate) fn grant_asked(by: &Sandbox, name: &str, fingerprint: &str) {
    let grant = by.vault(["grant", name, "--expect", fingerprint]).run();
    grant.expect_that(0, "granted", |output| output.err().contains(&format!("{name} can open it")));
}

/// Everything up to eve's leaving. bob and eve have seen what was before it.
fn story() -> Option<Story> {
    let forger = Forger::new().filter(|_| needs("git"))?;
    let alice = founded("staging");
    let (bob, eve) = (cloned(&alice, "bob"), cloned(&alice, "eve"));
    for (person, name) in [(&bob, "bob"), (&eve, "eve")] {
        pull(person);
        let fingerprint = request(person, "staging");
        push(person, "request");
        pull(&alice);
        grant_asked(&alice, name, &fingerprint);
        push(&alice, "grant");
    }
    for person in [&bob, &eve] {
        pull(person);
        opens(person);
    }
    let before = text(&alice);
    revoke(&alice, "eve");
    push(&alice, "eve leaves");
    let after = text(&alice);
    Some(Story { alice, bob, eve, before, after, forger })
}

impl Story {
    /// bob has pulled what alice did.
    #[track_caller]
    fn bob_knows(&self) {
        pull(&self.bob);
        opens_like(&self.bob, "vault: staging: alice has rotated the data key: eve left\n");
    }

    /// A file of eve's making, after the newest one.
    #[track_caller]
    fn forge(&self, recipe: Value) -> String {
        self.forge_like(&file(&self.alice), recipe)
    }

    #[track_caller]
    fn forge_like(&self, like: &Path, recipe: Value) -> String {
        self.forger.forge(&self.eve, like, recipe)
    }

    /// The clone that eve keeps, with what was before she left.
    #[track_caller]
    fn old_file(&self) -> std::path::PathBuf {
        let path = self.eve.path("old/staging.toml");
        self.eve.write(&path, &self.before);
        path
    }

    fn later(&self) -> u64 {
        made(&self.after) + 1
    }

    /// eve pushes this, and both who know that she left stop.
    #[track_caller]
    fn refused(&self, text: &str, told: &str) {
        self.refused_with(text, told, told);
    }

    #[track_caller]
    fn refused_with(&self, text: &str, reading: &str, writing: &str) {
        pull(&self.eve);
        put(&self.eve, text);
        push(&self.eve, "looks harmless");
        for person in [&self.alice, &self.bob] {
            pull(person);
            stops_with(person, reading, writing);
        }
        // git takes it back.
        git(&self.alice, &["revert", "--no-edit", "HEAD"]);
        git(&self.alice, &["push", "-q", "origin", "main"]);
        pull(&self.bob);
        for person in [&self.alice, &self.bob] {
            assert_eq!(crate::team::text(person), self.after);
            opens(person);
        }
    }
}

fn values() -> Value {
    json!({ "ALPHA": "forged", "BETA": "forged" })
}

#[test]
fn a_leaver_opens_nothing_new_and_what_she_knew_is_on_record() {
    let Some(story) = story() else { return };
    story.bob_knows();
    let Story { alice, bob, eve, .. } = &story;
    assert_eq!(former(&text(bob)), ["eve"]);
    write(bob).run().expect(0, "", "");
    push(bob, "a new value");
    pull(eve);
    read(eve).run().expect_that(4, "no access", |output| {
        output.out().is_empty() && output.err().contains("asks its members")
    });
    pull(alice);
    let exposures = &status(alice)["exposures"][0];
    assert_eq!(exposures["member"], "eve");
    assert_eq!(exposures["names"], json!(["ALPHA", "BETA"]));
    // Her key is not taken again, under no name.
    for name in ["eve", "innocent"] {
        let key = public_key(eve);
        let grant = alice.vault(["grant", name, "-e", "staging", "--key", &key]).run();
        grant.expect_that(1, "refused", |output| {
            output.err().contains("this key was that of eve, who was removed")
        });
    }
    eve.vault(["request", "-e", "staging", "--name", "innocent"]).run();
    push(eve, "request");
    pull(alice);
    alice.vault(["grant", "innocent", "-y"]).run().expect_that(1, "refused", |output| {
        output.err().contains("this key was that of eve, who was removed")
    });
}

#[test]
fn the_old_file_put_back_is_an_old_file() {
    let Some(story) = story() else { return };
    story.bob_knows();
    let (reading, writing) = (format!("{OLD}{OLD_READ}"), format!("{OLD}{OLD_WRITE}"));
    story.refused_with(&story.before, &reading, &writing);
    // With one more value that she set under the old key.
    put(&story.eve, &story.before);
    story.eve.vault(["set", "-e", "staging", "NEW=x"]).run().expect(0, "", "");
    let more = text(&story.eve);
    git(&story.eve, &["checkout", "-q", "--", "."]);
    story.refused_with(&more, &reading, &writing);
}

#[test]
fn a_file_that_is_rebuilt_from_public_keys_stops() {
    let Some(story) = story() else { return };
    story.bob_knows();
    let later = story.later();
    for by in ["alice", "bob"] {
        for proof in ["none", "junk", "own"] {
            let file = story.forge(json!({
                "data_key": "eve's", "made": later, "by": by, "proof": proof, "values": values()
            }));
            let told = format!(
                "vault: envs/staging.toml: this is a forgery: it says that {by} {FALSE_PROOF}{}",
                ask(ANOTHER)
            );
            story.refused(&file, &told);
        }
    }
    let joined = "vault: by what this machine remembers, eve joined (key [..])\n";
    for former in [story.ledger(), json!({})] {
        let dropped = if former == json!({}) {
            "vault: it does not know that these were removed: eve\n"
        } else {
            ""
        };
        let me = json!({ "eve": public_key(&story.eve) });
        let file = story.forge(json!({
            "data_key": "eve's", "made": later, "by": "eve", "proof": "own", "add": me,
            "former": former, "values": values()
        }));
        story.refused(&file, &format!("{UNPROVEN}{dropped}{joined}{}", ask(ANOTHER)));
    }
}

impl Story {
    /// The ledger of the newest file, which everybody can copy.
    fn ledger(&self) -> Value {
        let parsed: toml::Table = self.after.parse().unwrap();
        let entries = parsed["former"].as_table().unwrap();
        let entries = entries.iter().map(|(name, one)| (name.clone(), json!(one["key"].as_str())));
        Value::Object(entries.collect())
    }
}

#[test]
fn her_own_block_put_back_is_told_by_its_data_key() {
    let Some(story) = story() else { return };
    story.bob_knows();
    let block = table(&story.before, "members.eve");
    let file = with_block(&story.after, &block);
    let told = format!(
        "vault: envs/staging.toml:{}: member eve {EARLIER_KEY}",
        line_of(&file, "members.eve")
    );
    story.refused(&file, &told);
    // With the key-id of the new one it is somebody's without a key.
    let forged = story.forge(json!({
        "old": story.old_file(), "add": { "eve": public_key(&story.eve) }, "keep": true
    }));
    let key_id = |text: &str, name: &str| {
        crate::vaults::decode(&crate::vaults::field(text, name, "vouch"))[..4].to_vec()
    };
    let mut vouch = crate::vaults::decode(&crate::vaults::field(&forged, "members.eve", "vouch"));
    vouch[..4].copy_from_slice(&key_id(&story.after, "members.alice"));
    let vouch = crate::vaults::encode(vouch);
    let block = crate::vaults::with_field(&forged, "members.eve", "vouch", &vouch);
    let file = with_block(&story.after, &table(&block, "members.eve"));
    let told = format!(
        "vault: envs/staging.toml:{}: member eve {}",
        line_of(&file, "members.eve"),
        crate::vaults::NOT_VOUCHED
    );
    story.refused(&file, &told);
    // A stray block with bob's key, sealed with her old data key, stands before his own.
    let stray = table(&forged, "members.bob").replace("[members.bob]", "[members.a]");
    let file = with_block(&story.after, &stray);
    story.eve_tries_on_bob(&file);
}

impl Story {
    /// Whichever block is tried first, nobody accepts the file.
    #[track_caller]
    fn eve_tries_on_bob(&self, text: &str) {
        pull(&self.eve);
        put(&self.eve, text);
        push(&self.eve, "stray");
        for person in [&self.alice, &self.bob] {
            pull(person);
            let before = person.snapshot();
            for run in [read(person), write(person), person.vault(["rotate", "staging"])] {
                run.run().expect_that(5, "refused", |output| output.out().is_empty());
            }
            person.assert_unchanged_since(&before);
        }
    }
}

#[test]
fn her_old_data_key_with_the_ledger_and_a_later_time_stops() {
    let Some(story) = story() else { return };
    story.bob_knows();
    let eve = json!({ "eve": public_key(&story.eve) });
    // Copied under the time of the old key, no reader takes the ledger.
    let old = story.old_file();
    let file = story.forge_like(
        &old,
        json!({
            "old": old, "former": story.ledger(), "values": values(), "made": made(&story.before)
        }),
    );
    pull(&story.eve);
    if made(&story.before) < made(&story.after) {
        put(&story.bob, &file);
        read(&story.bob).run().expect_that(5, "refused", |output| output.out().is_empty());
        git(&story.bob, &["checkout", "-q", "--", "."]);
    }
    // Under a later time it is a data key like any other that nobody has proved.
    for (by, add) in [("alice", json!({})), ("eve", eve)] {
        let file = story.forge(json!({
            "old": story.old_file(), "made": story.later(), "by": by, "add": add, "proof": "own",
            "values": values()
        }));
        let told = if by == "alice" {
            format!(
                "vault: envs/staging.toml: this is a forgery: it says that alice {FALSE_PROOF}{}",
                ask(ANOTHER)
            )
        } else {
            let joined = "vault: by what this machine remembers, eve joined (key [..])\n";
            format!("{UNPROVEN}{joined}{}", ask(ANOTHER))
        };
        story.refused(&file, &told);
    }
    // As old as it is: no later either.
    let file = story.forge(json!({
        "old": story.old_file(), "proof": "own", "values": values()
    }));
    let no_later = "vault: it claims to be no later than the data key that this machine knows\n";
    story.refused(
        &file,
        &format!(
            "vault: envs/staging.toml: this is a forgery: it says that alice {FALSE_PROOF}{no_later}{}",
            ask(ANOTHER)
        ),
    );
}

#[test]
fn a_genuine_rotation_that_never_saw_the_revocation_stops_where_it_is_known() {
    let Some(story) = story() else { return };
    let Story { alice, bob, eve, .. } = &story;
    // bob rotates the branch on which eve still is, twice, so that it is later; eve brings it to main.
    while made(&text(bob)) <= made(&story.after) {
        rotate(bob);
    }
    git(bob, &["add", "-A"]);
    git(bob, &["commit", "-q", "-m", "rotated"]);
    git(bob, &["push", "-q", "origin", "HEAD:refs/heads/bobs"]);
    let theirs = text(bob);
    git(eve, &["fetch", "-q", "origin"]);
    git(eve, &["checkout", "-q", "-B", "main", "origin/main"]);
    put(eve, &theirs);
    push(eve, "bob's rotation");
    pull(alice);
    let told = "vault: envs/staging.toml: bob has made a data key that is not to be taken as it is\n\
                vault: it does not know that these were removed: eve\n\
                vault: by what this machine remembers, eve joined (key [..])\n";
    stops(alice, &format!("{told}{}", ask(ANOTHER)));
    // bob's own machine made it, and would stop at alice's file, which is no later: he gives his up, by
    // the fingerprints that he is told.
    put(bob, &story.after);
    let told = "vault: envs/staging.toml: alice has made a data key that is not to be taken as it is\n\
                vault: it claims to be no later than the data key that this machine knows\n\
                vault: by what this machine remembers, eve left\n";
    stops(bob, &format!("{told}{}", ask_or_abandon("alice")));
    loop {
        let output = read(bob).run();
        let Some((_, key)) = output.err().rsplit_once("--abandon ") else { break };
        let screen = abandon(bob, key.trim_end().trim_end_matches('`'));
        assert!(screen.contains("eve is believed again (key "), "{screen}");
    }
    opens(bob);
    // The line was said in the loop.
    works(bob);
}

#[test]
fn a_machine_that_has_not_seen_the_revocation_believes_her_until_it_has() {
    let Some(story) = story() else { return };
    // eve still has the old file, and rotates it, later than alice did.
    let Story { alice, bob, eve, .. } = &story;
    put(eve, &story.before);
    while made(&text(eve)) <= made(&story.after) {
        rotate(eve);
    }
    let hers = text(eve);
    let key = fingerprint(eve);
    put(bob, &hers);
    opens_like(bob, "vault: staging: eve has rotated the data key: the members are the same\n");
    // alice doesn't, and bob's machine learns by abandoning eve's key. That is said where it stops.
    put(alice, &hers);
    let told = "vault: it does not know that these were removed: eve\n\
                vault: by what this machine remembers, eve joined (key [..])\n";
    stops(alice, &format!("{UNPROVEN}{told}{}", ask(ANOTHER)));
    put(bob, &story.after);
    read(bob).run().expect_that(5, "no later", |output| output.err().contains("no later"));
    abandon(bob, &key);
    opens_like(bob, "vault: staging: alice has rotated the data key: eve left\n");
    works(bob);
    // One that runs centuries ahead is believed by nobody.
    let far = story.forge_like(&story.old_file(), json!({
        "data_key": "far", "made": (1_u64 << 40) - 2, "by": "eve", "proof": "own", "values": values()
    }));
    let laggard = bob.another_home("bob").with_project("work/laggard");
    let state = bob.path("people/laggard-state");
    put(&laggard, &story.before);
    read(&laggard).env("XDG_STATE_HOME", &state).run().expect_that(0, "before", |_| true);
    put(&laggard, &far);
    read(&laggard).env("XDG_STATE_HOME", &state).run().expect_that(5, "ahead", |output| {
        output.err().contains("more than a day from now, after which nobody could rotate again")
    });
}

#[test]
fn a_file_of_another_project_does_not_belong_here() {
    let Some(story) = story() else { return };
    story.bob_knows();
    // eve founds a project of her own, in which alice and bob are members.
    let hers = story.eve.another_home("eve").with_project("work/hers");
    init(&hers, "eve", "staging");
    fill(&hers, "staging");
    for (name, person) in [("alice", &story.alice), ("bob", &story.bob)] {
        let key = public_key(person);
        let grant = hers.vault(["grant", name, "-e", "staging", "--key", &key]).run();
        grant.expect_that(0, "granted", |_| true);
    }
    story.refused(&text(&hers), OTHER_ID);
}

#[test]
fn honest_work_on_branches_goes_on() {
    let Some(story) = story() else { return };
    story.bob_knows();
    let Story { alice, bob, .. } = &story;
    // A branch from before the rotation is an old file, and main is none.
    let words = ["rev-list", "--max-parents=1", "-n", "1", "HEAD~1"];
    let before = git(bob, &words).trim().to_owned();
    git(bob, &["checkout", "-q", "-b", "feature", &before]);
    stops_with(bob, &format!("{OLD}{OLD_READ}"), &format!("{OLD}{OLD_WRITE}"));
    git(bob, &["checkout", "-q", "main"]);
    works(bob);
    git(bob, &["checkout", "-q", "--", "."]);
    // A merge that is given up leaves what was there.
    git(bob, &["checkout", "-q", "feature"]);
    bob.write(bob.project().join("README"), "readme\n");
    git(bob, &["add", "-A"]);
    git(bob, &["commit", "-q", "-m", "readme"]);
    git(bob, &["merge", "-q", "--no-ff", "--no-commit", "main"]);
    works(bob);
    git(bob, &["checkout", "-q", "HEAD", "--", "envs"]);
    git(bob, &["merge", "--abort"]);
    read(bob).run().expect_like(5, "", &format!("{OLD}{OLD_READ}"));
    git(bob, &["merge", "-q", "-m", "merged", "main"]);
    works(bob);
    git(bob, &["commit", "-qam", "a value"]);
    git(bob, &["push", "-q", "origin", "HEAD:main"]);
    pull(alice);
    works(alice);
    // A conflict is told as such, and nothing of it is believed.
    write_value(alice, "1");
    git(alice, &["commit", "-qam", "one"]);
    write_value(bob, "2");
    git(bob, &["commit", "-qam", "two"]);
    git(bob, &["push", "-q", "origin", "HEAD:main"]);
    git(alice, &["fetch", "-q", "origin"]);
    let merge = alice.program("git", ["merge", "origin/main"]).run();
    assert_eq!(merge.code(), Some(1));
    read(alice).run().expect_that(5, "a conflict", |o| o.err().contains("a git conflict marker"));
    git(alice, &["merge", "--abort"]);
    works(alice);
}

#[track_caller]
fn write_value(person: &Sandbox, value: &str) {
    person.vault(["set", "-e", "staging", &format!("ALPHA={value}")]).run().expect_that(
        0,
        "set",
        |_| true,
    );
    // Back to what the helpers look for, in another record.
    let alpha = format!("ALPHA={}", crate::vaults::ALPHA);
    person.vault(["set", "-e", "staging", &alpha]).run().expect_that(0, "set", |_| true);
}

#[test]
fn a_path_that_is_used_again_for_another_project_asks_once() {
    let Some(story) = story() else { return };
    story.bob_knows();
    let bob = &story.bob;
    // bob's folder goes away, and another project is cloned into its place.
    bob.sh("rm -rf .git envs; find . -mindepth 1 -delete").run().success();
    let other = bob.another_home("frank").with_project("work/other");
    init(&other, "frank", "staging");
    fill(&other, "staging");
    let key = public_key(bob);
    let grant = other.vault(["grant", "bob", "-e", "staging", "--key", &key]).run();
    grant.expect_that(0, "granted", |_| true);
    send(&other, bob);
    stops(bob, OTHER_ID);
    trust(bob, &fingerprint(&other));
    works(bob);
    // And the first one is still known wherever it is cloned.
    let again = bob.another_home("bob").with_project("work/again");
    git(&again, &["clone", "-q", "../../origin.git", "."]);
    works(&again);
}
