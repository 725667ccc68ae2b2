//! `vault diff`.

use crate::support::sandbox::Sandbox;
use crate::vaults::{init, set};

fn two() -> Sandbox {
    let alice = Sandbox::new();
    init(&alice, "alice", "staging,production");
    for (environment, name, value) in [
        ("staging", "SAME", "equal-7f3a"),
        ("production", "SAME", "equal-7f3a"),
        ("staging", "URL", "here-7f3a"),
        ("production", "URL", "there-7f3a"),
        ("staging", "DEBUG", "true"),
        ("production", "SENTRY", "dsn-7f3a"),
    ] {
        set(&alice, environment, name, value);
    }
    alice
}

#[test]
fn names_are_told_by_where_they_are_and_values_never() {
    let alice = two();
    alice.vault(["diff", "staging", "production"]).run().expect(
        1,
        "only in staging: DEBUG\nonly in production: SENTRY\ndifferent: URL\n",
        "",
    );
    alice.vault(["diff", "production", "staging", "--json"]).run().expect(
        1,
        "{\"different\":[\"URL\"],\"environments\":[\"production\",\"staging\"],\
         \"only\":{\"production\":[\"SENTRY\"],\"staging\":[\"DEBUG\"]}}\n",
        "",
    );
    // A file with the same contents is another thing to a program.
    let file = ["set", "-e", "staging", "SAME=equal-7f3a", "--as-file"];
    alice.vault(file).run().expect(0, "", "");
    alice.vault(["diff", "staging", "production"]).run().expect_that(1, "it differs", |output| {
        output.out().contains("different: SAME\n") && !output.out().contains("7f3a")
    });
}

#[test]
fn two_that_are_the_same_say_nothing_and_what_can_not_be_compared_is_told() {
    let alice = two();
    alice.vault(["init", "-e", "copy", "--from", "staging"]).run().expect_that(0, "", |_| true);
    alice.vault(["diff", "staging", "copy"]).run().expect(0, "", "");
    alice.vault(["diff", "staging", "stagin"]).run().expect(
        3,
        "",
        "vault: there is no environment `stagin`\nhint: did you mean `staging`?\n",
    );
    alice.vault(["diff", "staging", "staging"]).run().expect(
        2,
        "",
        "vault: an environment does not differ from itself: name two\n",
    );
    let stranger = alice.another_home("stranger");
    stranger.vault(["key", "new"]).run().expect_that(0, "", |_| true);
    let refused = stranger.vault(["diff", "staging", "production"]).run();
    refused.expect_that(4, "no access", |output| output.out().is_empty());
}

#[test]
fn values_are_shown_only_where_that_is_asked_for() {
    let alice = two();
    alice.vault(["diff", "staging", "production", "--show"]).run().expect(
        1,
        "only in staging: DEBUG\n  staging: \"true\"\nonly in production: SENTRY\n  production: \"dsn-7f3a\"\n\
         different: URL\n  staging: \"here-7f3a\"\n  production: \"there-7f3a\"\n",
        "",
    );
}

#[test]
fn one_environment_is_compared_with_an_earlier_version_of_it_without_a_key() {
    if !crate::support::needs::needs("git") {
        return;
    }
    let alice = two();
    alice.sh("git init -q -b main . && git add . && git commit -qm one").run().success();
    alice.vault(["diff", "staging"]).run().expect(0, "", "");
    set(&alice, "staging", "URL", "new-7f3a");
    alice.vault(["unset", "-y", "-e", "staging", "DEBUG"]).run().expect(0, "", "");
    alice.sh("git commit -qam two").run().success();
    set(&alice, "staging", "NEW", "1");
    let stranger = alice.another_home("stranger");
    stranger.vault(["diff", "staging"]).run().expect(1, "NEW added\n", "");
    let rev = ["diff", "-e", "staging", "--rev", "HEAD~1"];
    let lines = "DEBUG removed\nNEW added\nURL changed\n";
    stranger.vault(rev).run().expect(1, lines, "");
    stranger.vault(rev).arg("--json").run().expect(
        1,
        "{\"changes\":[\"DEBUG removed\",\"NEW added\",\"URL changed\"],\"environment\":\"staging\",\"rev\":\"HEAD~1\"}\n",
        "",
    );
    alice.vault(rev).arg("--show").run().expect(
        1,
        "DEBUG removed\n  before: \"true\"\nNEW added\n  now: \"1\"\n\
         URL changed\n  before: \"here-7f3a\"\n  now: \"new-7f3a\"\n",
        "",
    );
    stranger.vault(rev).arg("--show").run().expect_that(4, "no key", |output| {
        !output.out().contains("7f3a") && !output.err().contains("7f3a")
    });
    alice.vault(["diff", "staging", "--rev", "nothing"]).run().expect(
        3,
        "",
        "vault: git has no commit `nothing`\n\
         hint: fetch it first; a clone that is shallow lacks what is behind its first commit\n",
    );
}
