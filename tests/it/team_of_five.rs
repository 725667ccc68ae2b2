//! Five people, twenty environments of fifty values, and git between them: requests,
//! grants, rotations and revocations on branches, merged as pull requests are.
#![allow(clippy::unwrap_used, reason = "helpers of tests are not #[test]")]

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::needs::{needs, needs_python};
use crate::support::sandbox::Sandbox;
use crate::team_story::{cloned, founded, git, grant_asked, pull, push, request};
use crate::vaults::{decode, identity};

const ENVIRONMENTS: usize = 20;
const VALUES: usize = 50;

fn environment(number: usize) -> String {
    format!("e{number:02}")
}

fn variable(number: usize) -> String {
    format!("V{number:02}")
}

fn value(environment: usize, number: usize) -> String {
    format!("value {number} of {environment}: \"'$#\\ é")
}

fn vault(person: &Sandbox, words: &[&str]) -> String {
    let output = person.vault(words).run();
    let output = output.expect_that(0, "it is done", |_| true);
    output.err().to_owned()
}

/// Works on a branch of one's own, which is pushed.
fn on_branch(person: &Sandbox, branch: &str, work: impl FnOnce()) {
    pull(person);
    git(person, &["checkout", "-q", "-b", branch]);
    work();
    git(person, &["add", "-A"]);
    git(person, &["commit", "-q", "-m", branch]);
    git(person, &["push", "-q", "origin", branch]);
    git(person, &["checkout", "-q", "main"]);
}

/// As the button of a git host: every branch is merged as text.
fn merge(person: &Sandbox, branches: &[&str]) {
    pull(person);
    git(person, &["fetch", "-q", "origin"]);
    for branch in branches {
        git(person, &["merge", "-q", "--no-ff", "-m", branch, &format!("origin/{branch}")]);
    }
    git(person, &["push", "-q", "origin", "main"]);
}

/// Every value of every environment, and nothing else.
fn export(person: &Sandbox, number: usize) -> Value {
    let words = ["export", "json", "-e", &environment(number)];
    let output = person.vault(words).run();
    let output = output.expect_that(0, "it opens", |_| true);
    serde_json::from_slice(&output.stdout).unwrap()
}

struct Team {
    alice: Sandbox,
    others: Vec<(&'static str, Sandbox)>,
    python: PathBuf,
    /// What each value is now.
    now: Vec<Vec<String>>,
}

impl Team {
    fn other(&self, name: &str) -> &Sandbox {
        self.others.iter().find(|(other, _)| *other == name).map(|(_, person)| person).unwrap()
    }

    /// Everybody pulls and reads everything; nobody is asked anything.
    fn all_read(&self, who: &[&str], heard: &str) {
        for (name, person) in
            self.others.iter().map(|(name, one)| (*name, one)).chain([("alice", &self.alice)])
        {
            pull(person);
            if !who.contains(&name) {
                continue;
            }
            let told = person.vault(["status"]).run();
            told.expect_that(0, "what was told", |output| {
                output.err().lines().all(|line| !heard.is_empty() && line.contains(heard))
            });
            for number in 0..ENVIRONMENTS {
                let all = export(person, number);
                assert_eq!(all.as_object().unwrap().len(), VALUES);
                for (index, value) in self.now[number].iter().enumerate() {
                    assert_eq!(all[&variable(index)], value.as_str(), "{name}: {number}");
                }
            }
        }
    }

    /// The reader in Python, which knows the specification alone, agrees.
    fn reader_agrees(&self, person: &Sandbox, members: &[&str]) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/reader.py");
        for number in 0..ENVIRONMENTS {
            let file = person.project().join(format!("envs/{}.toml", environment(number)));
            let run =
                person.program(&self.python, [&script, &file]).arg("-i").arg(identity(person));
            let read: Value = serde_json::from_slice(&run.run().success().stdout).unwrap();
            let secrets = read["secrets"].as_object().unwrap();
            assert_eq!(secrets.len(), VALUES);
            for (index, value) in self.now[number].iter().enumerate() {
                let stored = secrets[&variable(index)]["value_base64"].as_str().unwrap();
                assert_eq!(String::from_utf8(decode(stored)).unwrap(), *value);
            }
            let there: Vec<&String> = read["members"].as_object().unwrap().keys().collect();
            assert_eq!(there, members, "{number}");
            let proofs = read["members"].as_object().unwrap().values();
            assert!(proofs.into_iter().all(|one| one["proof_ok"] != false), "{read}");
        }
    }
}

fn founding() -> Option<Team> {
    let python = needs_python("pyrage").filter(|_| needs("git"))?;
    let all: Vec<String> = (0..ENVIRONMENTS).map(environment).collect();
    let alice = founded(&all.join(","));
    let mut now = Vec::new();
    for (number, environment) in all.iter().enumerate() {
        let values: Vec<String> = (0..VALUES).map(|index| value(number, index)).collect();
        let pairs = values.iter().enumerate();
        let json: serde_json::Map<String, Value> =
            pairs.map(|(index, value)| (variable(index), value.as_str().into())).collect();
        let import = alice
            .vault(["import", "-e", environment, "--format", "json", "-"])
            .stdin(Value::from(json).to_string());
        import.run().expect_that(0, "imported", |_| true);
        vault(&alice, &["unset", "-y", "-e", environment, "ALPHA", "BETA"]);
        now.push(values);
    }
    push(&alice, "values");
    let others = ["bob", "carol", "dave", "erin"].map(|name| (name, cloned(&alice, name)));
    Some(Team { alice, others: others.into(), python, now })
}

#[test]
fn a_team_of_five_over_twenty_environments() {
    let Some(mut team) = founding() else { return };
    let all: Vec<String> = (0..ENVIRONMENTS).map(environment).collect();
    let all = all.join(",");

    // Requests and grants, each on a branch: the one who asks pushes, alice grants on it, and it is merged.
    for (name, person) in &team.others {
        let mut fingerprint = String::new();
        let branch = format!("request-{name}");
        on_branch(person, &branch, || fingerprint = request(person, &all));
        git(&team.alice, &["fetch", "-q", "origin"]);
        git(&team.alice, &["checkout", "-q", &branch]);
        grant_asked(&team.alice, name, &fingerprint);
        git(&team.alice, &["commit", "-qam", "granted"]);
        git(&team.alice, &["push", "-q", "origin", &branch]);
        git(&team.alice, &["checkout", "-q", "main"]);
        merge(&team.alice, &[&branch]);
    }
    let everybody = ["alice", "bob", "carol", "dave", "erin"];
    team.all_read(&everybody, "");
    team.reader_agrees(team.other("erin"), &everybody);

    // Four branches at once: different environments, and different blocks of the same one.
    on_branch(team.other("bob"), "bobs", || {
        vault(team.other("bob"), &["rotate", "e00", "e01", "e02", "e03"]);
        vault(team.other("bob"), &["set", "-e", "e10", "V05=bob's"]);
    });
    on_branch(team.other("carol"), "carols", || {
        vault(team.other("carol"), &["rotate", "e04", "e05", "e06"]);
        vault(team.other("carol"), &["set", "-e", "e10", "V25=carol's", "V27=carol's"]);
    });
    on_branch(team.other("dave"), "daves", || {
        vault(team.other("dave"), &["set", "-e", "e10", "V40=dave's"]);
        vault(team.other("dave"), &["set", "-e", "e11", "V00=dave's"]);
    });
    on_branch(&team.alice, "ci", || {
        let grant = team.alice.vault(["grant", "ci", "--new-key", "-e", "e10,e12"]).run();
        grant.expect_that(0, "a key", |output| output.out().starts_with("AGE-SECRET-KEY"));
    });
    merge(&team.alice, &["bobs", "carols", "daves", "ci"]);
    for (number, index, value) in [
        (10, 5, "bob's"),
        (10, 25, "carol's"),
        (10, 27, "carol's"),
        (10, 40, "dave's"),
        (11, 0, "dave's"),
    ] {
        value.clone_into(&mut team.now[number][index]);
    }
    team.all_read(&everybody, "has rotated the data key: the members are the same");

    // erin leaves: everywhere at once, on a branch, while bob works on.
    on_branch(&team.alice, "erin-leaves", || {
        let told = vault(&team.alice, &["revoke", "-y", "erin"]);
        assert_eq!(told.matches("erin is removed").count(), ENVIRONMENTS, "{told}");
        assert!(
            told.contains(&format!("erin could read {} values", ENVIRONMENTS * VALUES)),
            "{told}"
        );
        let revoke = team.alice.vault(["revoke", "-y", "ci"]).run();
        revoke.expect_that(0, "ci goes too", |output| output.err().contains("e12: ci is removed"));
    });
    merge(&team.alice, &["erin-leaves"]);
    let remaining = ["alice", "bob", "carol", "dave"];
    team.all_read(&remaining, "erin left");
    team.reader_agrees(team.other("dave"), &remaining);
    let erin = team.other("erin");
    for number in 0..ENVIRONMENTS {
        let get = erin.vault(["get", "-e", &environment(number), "V00"]).run();
        get.expect_that(4, "no access", |output| output.out().is_empty());
    }

    // A value that is set anew is known to nobody who left.
    on_branch(team.other("carol"), "renewed", || {
        let told = vault(team.other("carol"), &["set", "-e", "e07", "V01=renewed"]);
        assert!(told.contains("erin knew the old value"), "{told}");
    });
    merge(&team.alice, &["renewed"]);
    "renewed".clone_into(&mut team.now[7][1]);
    team.all_read(&remaining, "");
    let status = team.alice.vault(["status", "--json"]).run().success();
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    let exposed = |number: usize| {
        let exposures = status["environments"][number]["exposures"].as_array().unwrap();
        exposures.iter().map(|one| one["names"].as_array().unwrap().len()).max().unwrap()
    };
    assert_eq!((exposed(6), exposed(7)), (VALUES, VALUES - 1));
}
