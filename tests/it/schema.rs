//! What a project asks of its variables: `[required]`, `.env.example`, and what is probably a mistake.

use crate::support::sandbox::Sandbox;
use crate::vaults::{init, set};

fn project(settings: &str) -> Sandbox {
    let alice = Sandbox::new();
    init(&alice, "alice", "staging,production");
    if !settings.is_empty() {
        alice.write("project/vault.toml", settings);
    }
    alice
}

#[test]
fn set_and_import_warn_of_what_does_not_fit_and_store_it() {
    let alice = project(
        "[required]\nPORT = { kind = \"int\", from = \"platform\" }\nDEBUG = \"bool\"\nTOKEN = { kind = \"string\", min = 8 }\n\
         REGION = { kind = \"enum\", of = [\"eu\", \"us\"], envs = [\"production\"] }\nNAME = \"string\"\n",
    );
    let words = [
        "set",
        "-e",
        "staging",
        "DEBUG=s3cret",
        "TOKEN=s3cret",
        "REGION=s3cret",
        "NAME=",
        "PORT=80",
        "X=1",
    ];
    alice.vault(words).run().expect(
        0,
        "",
        "vault: staging: DEBUG is not true or false\n\
         vault: staging: TOKEN is shorter than 8 bytes\n\
         vault: staging: NAME is empty, which counts as missing\n\
         vault: staging: PORT is stored, and `vault.toml` says that the platform gives it\n",
    );
    alice.vault(["get", "-e", "staging", "DEBUG"]).run().expect(0, "s3cret", "");
    let import = ["import", "-e", "production", "-"];
    let text = "REGION=s3cret\nDEBUG=true\nTOKEN=long-enough\n";
    let told = "vault: production: REGION is not one of eu, us\n\
                vault: production: DEBUG is on: visitors see settings and source\n";
    let dry = alice.vault(import).arg("--dry-run").stdin(text).run();
    dry.expect(0, "add REGION\nadd DEBUG\nadd TOKEN\n", told);
    let stored = format!("vault: production: 3 added\n{told}");
    alice.vault(import).stdin(text).run().expect(0, "", &stored);
}

#[test]
fn what_django_would_warn_of_in_production_is_told_without_the_value() {
    let alice = project("");
    let insecure = format!("SECRET_KEY=django-insecure-{}", "s3cret".repeat(9));
    let url = "DATABASE_URL=postgres://shop:s3cret/x@db/shop";
    let told_of_url = "DATABASE_URL does not parse as a URL: no port where one should be; in a password \
                       `/ ? # @ [ %` are written %2F %3F %23 %40 %5B %25\n";
    let words = [insecure.as_str(), "DEBUG=True", url];
    alice.vault(["set", "-e", "staging"]).args(words).run().expect(
        0,
        "",
        &format!("vault: staging: {told_of_url}"),
    );
    let told = format!(
        "SECRET_KEY begins with `django-insecure-`: Django made it for development\n\
         DEBUG is on: visitors see settings and source\n{told_of_url}"
    );
    let lines = |prefix: &str| -> String {
        let line = |line| format!("{prefix}: production: {line}\n");
        told.lines().map(line).collect::<Vec<_>>().concat()
    };
    let set = alice.vault(["set", "-e", "production"]).args(words).run();
    let set = set.expect(0, "", &lines("vault"));
    assert!(!set.err().contains("s3cret"));
    let check = alice.vault(["check", "-e", "production"]).run();
    let check = check.expect_that(0, "warnings", |output| {
        lines("warning").lines().all(|line| output.out().lines().any(|other| other == line))
    });
    assert!(!check.out().contains("s3cret"));
    alice.vault(["check", "-e", "production", "--strict"]).run().expect_that(1, "strict", |_| true);
    // A command starts all the same.
    alice.vault(["run", "-e", "production", "--", "true"]).run().expect(0, "", "");
    set_short_key(&alice);
}

fn set_short_key(alice: &Sandbox) {
    let told =
        "vault: production: SECRET_KEY has under 50 characters, which Django calls too short\n";
    alice.vault(["set", "-e", "production", "SECRET_KEY=s3cret"]).run().expect(0, "", told);
    alice.write("project/vault.toml", "[required]\nSECRET_KEY = { kind = \"string\", min = 5 }\n");
    alice.vault(["set", "-e", "production", "SECRET_KEY=s3cret2"]).run().expect(0, "", "");
    let generated = ["set", "-e", "production", "SECRET_KEY", "--generate", "django"];
    alice.vault(generated).run().expect(0, "", "");
}

#[test]
fn edit_warns_of_what_was_changed_in_it() {
    let alice = project("");
    let doubtful = ["set", "-e", "production", "A_URL=http://x/#a"];
    alice.vault(doubtful).run().expect_that(0, "stored", |output| output.err().contains("A_URL"));
    set(&alice, "production", "B_URL", "http://x/");
    let editor = "sed -i \"s|B_URL=.*|B_URL='http://x/#b'|\"";
    let words = ["edit", "production", "--isolation", "landlock", "--editor", editor];
    if !crate::support::needs::needs_landlock() {
        return;
    }
    let mut terminal = alice.vault(words).on_terminal();
    terminal.expect("production: B_URL changed");
    terminal.expect("production: B_URL has a `#`, where the address ends");
    let (text, status) = terminal.expect_end();
    assert_eq!(status.code(), Some(0), "{text}");
    assert!(!text.contains("A_URL"), "{text}");
}

const EXAMPLE: &str = "# What the shop needs\nDATABASE_URL=postgres://localhost/shop\nSENTRY_DSN=\n# LATER=1\n\
                       PORT=8000\nKEY=\"one\nNOT=this\"\n";

#[test]
fn the_names_of_an_example_are_required_where_nothing_else_is() {
    let alice = project("");
    alice.write("project/.env.example", EXAMPLE);
    set(&alice, "staging", "DATABASE_URL", "x:y");
    let run = || alice.vault(["run", "-e", "staging", "--", "true"]).run();
    run().expect(
        125,
        "",
        "vault: staging: KEY is missing\nvault: staging: SENTRY_DSN is missing\n\
         hint: `.env.example` lists it, and vault.toml has no `[required]`; set it with `vault set -e staging NAME`\n",
    );
    let start = alice.vault(["start", "-e", "staging"]);
    alice.write("project/Procfile", "web: true\n");
    start.run().expect_that(125, "so is start", |output| output.err().contains("KEY is missing"));
    let check = alice.vault(["check", "-e", "staging"]).run();
    check.expect_that(1, "an error", |output| {
        output
            .out()
            .contains("error: staging: KEY is missing\nerror: staging: SENTRY_DSN is missing\n")
    });
    // What the surroundings give counts, and so does an empty value: an example says nothing of values.
    set(&alice, "staging", "SENTRY_DSN", "x");
    alice.vault(["set", "-e", "staging", "SENTRY_DSN="]).run().expect(0, "", "");
    let given = alice.vault(["run", "-e", "staging", "--", "true"]).env("KEY", "x").run();
    given.expect(0, "", "");
    // Whoever says what is required has said all.
    alice.write("project/vault.toml", "[required]\n");
    run().expect(0, "", "");
    alice.write("project/vault.toml", "default = \"staging\"\n");
    run().expect_that(125, "the example counts again", |_| true);
}
