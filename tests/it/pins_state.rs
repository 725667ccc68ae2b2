//! The memory of data keys as a file, what a person says about it, and what stands
//! in its place: `trust`, `VAULT_PIN`, folders, many processes at once.
#![allow(clippy::unwrap_used, reason = "helpers of tests are not #[test]")]

use crate::support::needs::needs;
use crate::support::run::Run;
use crate::support::sandbox::Sandbox;
use crate::team::*;
use crate::vaults::{ALPHA, fill, identity, init, vault, vault_with};

/// A file of the memory's place in alice's home.
fn memory() -> std::path::PathBuf {
    std::path::Path::new("home").join(MEMORY)
}

/// A person at work in another folder.
fn at(person: &Sandbox, words: &[&str], folder: &str) -> Run {
    person.vault(words).cwd(person.path(folder))
}

const GET: [&str; 4] = ["get", "-e", "staging", "ALPHA"];

/// Three data keys of staging, one after the other.
fn three_keys() -> (Sandbox, [String; 3], [String; 3]) {
    let alice = vault();
    let mut texts = vec![text(&alice)];
    let mut keys = vec![fingerprint(&alice)];
    for _ in 0..2 {
        rotate(&alice);
        texts.push(text(&alice));
        keys.push(fingerprint(&alice));
    }
    (alice, texts.try_into().unwrap(), keys.try_into().unwrap())
}

#[test]
fn trust_takes_a_whole_fingerprint_and_no_other() {
    let (alice, texts, keys) = three_keys();
    put(&alice, &texts[0]);
    let short = &keys[0][..34];
    for (given, status) in [(short, 2), ("", 2), ("nonsense", 2), (keys[1].as_str(), 5)] {
        let run = alice.vault(["trust", "staging", "--expect", given]).run();
        run.expect_that(status, "refused", |output| {
            output.out().is_empty() && output.err().starts_with("vault: ")
        });
        read(&alice).run().expect_like(5, "", &format!("{OLD}{OLD_READ}"));
    }
    // Without dashes, and with the environment by -e.
    let plain = keys[0].replace('-', "");
    let run = alice.vault(["-e", "staging", "trust", "--expect", &plain]).run();
    run.expect(0, "", &format!("vault: staging: data key {} is accepted\n", keys[0]));
    opens(&alice);
    alice.vault(["trust"]).run().expect(
        2,
        "",
        "vault: the environment is not named\nhint: vault trust ENV\n",
    );
    alice
        .vault(["trust", "stagin"])
        .run()
        .expect_that(3, "no such one", |output| output.err().contains("did you mean `staging`?"));
}

#[test]
fn trust_is_answered_by_a_person_and_never_by_y() {
    let (alice, texts, keys) = three_keys();
    put(&alice, &texts[0]);
    let before = alice.snapshot();
    let told = format!("{OLD}hint: add `--expect` with the fingerprint that a member told you\n");
    for words in [&["trust", "staging"][..], &["trust", "-y", "staging"]] {
        alice.vault(words).run().expect_like(5, "", &told);
    }
    let abandon_it = ["trust", "-y", "staging", "--abandon", &keys[2]];
    alice.vault(abandon_it).run().expect(
        1,
        "",
        "vault: a data key is abandoned by a person, on a terminal\n",
    );
    // On a terminal `-y` does not answer either.
    let mut terminal = alice.vault(["trust", "-y", "staging"]).on_terminal();
    terminal.expect("read it here from now on? [y/N] ");
    terminal.type_line("");
    assert_eq!(terminal.expect_end().1.code(), Some(1));
    let mut terminal = alice.vault(abandon_it).on_terminal();
    terminal.expect("refuse that data key of staging from now on? [y/N] ");
    terminal.type_line("n");
    assert_eq!(terminal.expect_end().1.code(), Some(1));
    alice.assert_unchanged_since(&before);
    // A yes holds this folder to the old file, for reading.
    let mut terminal = alice.vault(["trust", "staging"]).on_terminal();
    terminal.expect(&format!("`vault trust staging --abandon {}`", keys[2]));
    terminal.expect("this folder can be held to it, for reading");
    terminal.expect("[y/N] ");
    terminal.type_line("yes");
    assert_eq!(terminal.expect_end().1.code(), Some(0));
    opens(&alice);
    write(&alice).run().expect_like(
        5,
        "",
        "vault: envs/staging.toml: its data key was replaced, so nothing is written under it\n\
         hint: take the newest version from git; if the later data key was thrown away, `vault \
         trust staging --abandon [..]`\n",
    );
    put(&alice, &texts[2]);
    works(&alice);
}

#[test]
fn abandon_takes_back_rotations_that_were_thrown_away() {
    let (alice, texts, keys) = three_keys();
    put(&alice, &texts[0]);
    let unknown = "0000-0000-0000-0000-0000-0000-0000-0000";
    alice.vault(["trust", "staging", "--abandon", unknown]).run().expect_like(
        3,
        "",
        "vault: staging: no such data key was accepted here\n...",
    );
    abandon(&alice, &keys[2]);
    // The one between is the newest again.
    read(&alice).run().expect_like(5, "", &format!("{OLD}{OLD_READ}"));
    put(&alice, &texts[1]);
    works(&alice);
    put(&alice, &texts[0]);
    abandon(&alice, &keys[1]);
    works(&alice);
    // Where all are abandoned nobody is believed.
    let screen = abandon(&alice, &keys[0]);
    assert!(screen.contains("nobody is believed then"), "{screen}");
    for text in &texts {
        put(&alice, text);
        stops(&alice, ABANDONED);
    }
    trust(&alice, &keys[2]);
    works(&alice);
}

#[test]
fn two_rotations_on_two_branches_of_which_one_is_thrown_away() {
    let alice = vault();
    let bob = teammate(&alice, "bob");
    let carol = teammate(&alice, "carol");
    send(&alice, &bob);
    opens(&bob);
    // bob rotates last; carol sees his branch, and then alice's, which is the one that is kept.
    rotate(&alice);
    rotate(&bob);
    let between = fingerprint(&bob);
    rotate(&bob);
    let thrown_away = fingerprint(&bob);
    send(&bob, &carol);
    opens_like(&carol, "vault: staging: bob has rotated the data key: the members are the same\n");
    send(&alice, &carol);
    let no_later = "vault: it claims to be no later than the data key that this machine knows\n";
    let taken =
        "vault: envs/staging.toml: alice has made a data key that is not to be taken as it is\n";
    stops(&carol, &format!("{taken}{no_later}{}", ask_or_abandon("alice")));
    abandon(&carol, &thrown_away);
    opens_like(
        &carol,
        "vault: staging: alice has rotated the data key: the members are the same\n",
    );
    works(&carol);
    // The way by --expect alone: what is written would go under a key that is behind.
    let dave = bob;
    send(&alice, &dave);
    trust(&dave, &fingerprint(&alice));
    opens(&dave);
    write(&dave).run().expect_that(5, "the way out", |output| output.err().contains(&thrown_away));
    abandon(&dave, &thrown_away);
    // The one between may be as late as alice's, or not.
    let mut run = write(&dave).run();
    if run.code() == Some(5) && run.err().contains(&between) {
        abandon(&dave, &between);
        run = write(&dave).run();
    }
    run.expect(0, "", "");
}

#[test]
fn a_rotation_is_abandoned_from_a_clone_of_which_nothing_is_remembered() {
    let (alice, texts, keys) = three_keys();
    std::fs::remove_dir_all(alice.path("project/envs")).unwrap();
    let clone = alice.another_home("nobody").with_project("work/clone");
    put(&clone, &texts[1]);
    at(&alice, &GET, "work/clone").run().expect_like(5, "", &format!("{OLD}{OLD_READ}"));
    let words = ["trust", "staging", "--abandon", &keys[2]];
    let mut terminal = at(&alice, &words, "work/clone").on_terminal();
    terminal.expect("[y/N] ");
    terminal.type_line("y");
    assert_eq!(terminal.expect_end().1.code(), Some(0));
    at(&alice, &GET, "work/clone").run().expect(0, ALPHA, "");
}

#[test]
fn a_newcomers_rotation_is_asked_about_and_a_forgery_is_not() {
    let alice = vault();
    let bob = teammate(&alice, "bob");
    let carol = teammate(&alice, "carol");
    rotate(&carol);
    send(&carol, &bob);
    // bob's machine has never heard of carol.
    let told = "vault: by what this machine remembers, carol joined (key [..])\n";
    stops(&bob, &format!("{UNPROVEN}{told}{}", ask(ANOTHER)));
    bob.vault(["trust", "-y", "staging"]).run().expect_like(
        5,
        "",
        &format!(
            "{UNPROVEN}{told}hint: add `--expect` with the fingerprint that a member told you\n"
        ),
    );
    let key = fingerprint(&carol);
    for (answer, status) in [("n", 1), ("", 1), ("y", 0)] {
        let mut terminal = bob.vault(["trust", "-y", "staging"]).on_terminal();
        terminal.expect("nothing proves who made its data key");
        terminal.expect("carol joined");
        terminal.expect(&format!("its data key is {key}"));
        terminal.expect("[y/N] ");
        terminal.type_line(answer);
        assert_eq!(terminal.expect_end().1.code(), Some(status), "{answer}");
    }
    works(&bob);
    let Some(forger) = Forger::new() else { return };
    let recipe = serde_json::json!({
        "data_key": "x", "made": made(&text(&bob)) + 1, "values": { "ALPHA": ALPHA }
    });
    put(&bob, forger.forge(&carol, &file(&bob), recipe));
    let mut terminal = bob.vault(["trust", "staging"]).on_terminal();
    let (screen, status) = terminal.expect_end();
    assert_eq!(status.code(), Some(5), "{screen}");
    assert!(screen.contains("this is a forgery") && !screen.contains("[y/N]"), "{screen}");
}

#[test]
fn a_moved_project_and_a_clone_are_known_by_their_ids() {
    let (alice, texts, _) = three_keys();
    alice.sh("cp -r . ../clone; cp -r . ../old").run().success();
    std::fs::rename(alice.project(), alice.path("moved")).unwrap();
    for folder in ["moved", "clone"] {
        at(&alice, &GET, folder).run().expect(0, ALPHA, "");
        at(&alice, &["set", "-e", "staging", "A=1"], folder).run().expect(0, "", "");
    }
    alice.write("old/envs/staging.toml", &texts[1]);
    at(&alice, &GET, "old").run().expect_like(5, "", &format!("{OLD}{OLD_READ}"));
    // A link to the folder, and a way below it, are the same place.
    std::os::unix::fs::symlink(alice.path("moved"), alice.path("link")).unwrap();
    std::fs::create_dir(alice.path("moved/src")).unwrap();
    let before = alice.read(memory());
    at(&alice, &GET, "link").run().expect(0, ALPHA, "");
    at(&alice, &GET, "moved/src").run().expect(0, ALPHA, "");
    assert_eq!(alice.read(memory()), before);
    // Another project in the first place is another one.
    let other = alice.another_home("mallory").with_project("project");
    init(&other, "mallory", "staging");
    fill(&other, "staging");
    let key = public_key(&alice);
    let grant = other.vault(["grant", "alice", "-e", "staging", "--key", &key]).run();
    grant.expect_that(0, "granted", |output| output.out().is_empty());
    stops(&alice, OTHER_ID);
    trust(&alice, &fingerprint(&other));
    works(&alice);
}

#[test]
fn a_release_folder_per_deploy_and_an_old_one_that_is_started_again() {
    let alice = vault();
    let server = somebody(&alice, "server");
    grant(&alice, &server, "server");
    let mut texts = Vec::new();
    for release in ["1", "2", "3"] {
        if release != "1" {
            rotate(&alice);
        }
        texts.push(text(&alice));
        let place = format!("releases/{release}/envs/staging.toml");
        server.write(place, texts.last().unwrap());
        let told = if release == "1" {
            ""
        } else {
            "vault: staging: alice has rotated the data key: the members are the same\n"
        };
        let run = ["run", "-e", "staging", "--", "printenv", "ALPHA"];
        let run = at(&server, &run, &format!("releases/{release}")).run();
        run.expect(0, &format!("{ALPHA}\n"), told);
    }
    // Rolled back: each folder still holds what it was released with; for reading.
    for release in ["1", "2", "1", "3"] {
        at(&server, &GET, &format!("releases/{release}")).run().expect(0, ALPHA, "");
    }
    let set = ["set", "-e", "staging", "A=1"];
    at(&server, &set, "releases/1").run().expect_that(5, "no writing", |output| {
        output.err().contains("its data key was replaced, so nothing is written under it")
    });
    // An old file in a newer folder, or in a new one, is old.
    for folder in ["releases/3", "releases/4"] {
        server.write(format!("{folder}/envs/staging.toml"), &texts[0]);
        at(&server, &GET, folder).run().expect_like(5, "", &format!("{OLD}{OLD_READ}"));
    }
}

#[test]
fn vault_pin_stands_in_the_place_of_the_memory() {
    let alice = vault_with("staging,production");
    let first = fingerprint(&alice);
    let old = text(&alice);
    rotate(&alice);
    let second = fingerprint(&alice);
    let pin = |value: &str| alice.vault(GET).env("VAULT_PIN", value);
    let set = |value: &str| write(&alice).env("VAULT_PIN", value);
    let both = format!("staging:{first}, staging:{second}");
    for value in [format!("staging:{second}"), both.clone(), second_plain(&second)] {
        pin(&value).run().expect(0, ALPHA, "");
        set(&value).run().expect(0, "", "");
    }
    // Another one, and nothing for this environment.
    let other = "vault: envs/staging.toml: its data key is not the one that VAULT_PIN names\n\
                 hint: ask a member whether the data key was rotated, and compare the fingerprint \
                 that `vault status` shows there\n";
    pin(&format!("staging:{first}")).run().expect(5, "", other);
    let not_named = "vault: VAULT_PIN is set, and does not name staging\n\
                     hint: add `staging:FINGERPRINT` to it\n";
    pin(&format!("production:{second}")).run().expect(5, "", not_named);
    let run = ["run", "-e", "staging", "--", "env"];
    let run = alice.vault(run).env("VAULT_PIN", format!("production:{second}"));
    run.run().expect(125, "", not_named);
    // What needs no key goes on.
    let list = alice.vault(["list", "-e", "staging"]).env("VAULT_PIN", "production:x");
    list.run().expect_that(0, "the names", |output| output.out().starts_with("ALPHA"));
    // Nonsense stops.
    let nonsense = "vault: VAULT_PIN is not ENV:FINGERPRINT, or several with commas between them\n\
                    hint: `vault status` shows the fingerprint of each environment's data key\n";
    for value in ["x", ":", ",", "staging:", &first, &both[..both.len() - 8], &format!("{both},")] {
        pin(value).run().expect(2, "", nonsense);
    }
    // Rolled back: an old file is read under a pin that names it, and not written.
    put(&alice, &old);
    let before = alice.snapshot();
    pin(&both).run().expect(0, ALPHA, "");
    set(&both).run().expect_like(
        5,
        "",
        "vault: envs/staging.toml: its data key is not the last one that VAULT_PIN names, so \
         nothing is written under it\nhint: [..]\n",
    );
    pin(&format!("staging:{second}")).run().expect(5, "", other);
    // The memory was neither asked nor changed, and can't be.
    for words in
        [&["trust", "staging", "--expect", &first][..], &["trust", "staging", "--abandon", &first]]
    {
        let trust = alice.vault(words).env("VAULT_PIN", &both).run();
        trust.expect_that(1, "refused", |output| {
            output.err().starts_with("vault: VAULT_PIN is set")
        });
    }
    alice.assert_unchanged_since(&before);
    read(&alice).run().expect_like(5, "", &format!("{OLD}{OLD_READ}"));
    pin("").run().expect_like(5, "", &format!("{OLD}{OLD_READ}"));
}

fn second_plain(fingerprint: &str) -> String {
    format!("staging:{}", fingerprint.replace('-', ""))
}

#[test]
fn under_vault_pin_only_a_new_data_key_has_to_be_named_anew() {
    let alice = vault();
    let pin = format!("staging:{}", fingerprint(&alice));
    let bob = somebody(&alice, "bob");
    let key = public_key(&bob);
    let grant = alice.vault(["grant", "bob", "-e", "staging", "--key", &key]);
    grant.env("VAULT_PIN", &pin).run().expect(
        0,
        "",
        "vault: staging: bob can open it now\nhint: commit the folder `envs`\n",
    );
    alice.vault(["rotate", "staging"]).env("VAULT_PIN", &pin).run().expect_like(
        0,
        "",
        "vault: staging: new data key [..]\n\
         vault: staging: VAULT_PIN does not name its new data key [..]\nhint: add `staging:[..]` at its end\n...",
    );
    read(&alice).env("VAULT_PIN", &pin).run().expect_that(5, "another", |o| o.out().is_empty());
    // The memory never heard of it, and takes it as a rotation of one's own.
    opens_like(&alice, "vault: staging: alice has rotated the data key: bob joined (key [..])\n");
}

#[test]
fn a_damaged_memory_stops_and_a_missing_one_is_a_first_time() {
    let alice = vault();
    let good = alice.read(memory());
    let damaged = "vault: the memory `$SANDBOX/home/.local/state/vault/known_envs.toml` ";
    let begin = "hint: look at it, and move it away to begin a new one\n";
    let look = "hint: look at it; if it is moved away, every environment counts as seen for the \
                first time\n";
    for (content, told) in [
        (good.replace("made = ", "made = x"), format!("{damaged}is damaged\n{look}")),
        (good.replace("made = ", "mode = "), format!("{damaged}is damaged\n{look}")),
        (good.clone() + "unknown = 1\n", format!("{damaged}is damaged\n{look}")),
        (good[..good.len() - 12].to_owned(), format!("{damaged}is damaged\n{look}")),
        (good[..good.rfind("\n[here").unwrap()].into(), format!("{damaged}is damaged\n{look}")),
    ] {
        alice.write(memory(), content);
        stops(&alice, &told);
    }
    alice.write(memory(), b"\xff\xfe");
    stops(&alice, &format!("{damaged}is damaged\n{begin}"));
    std::fs::remove_file(alice.path(memory())).unwrap();
    alice.sh(format!("mkfifo '{}'", alice.path(memory()).display())).run().success();
    read(&alice).run().expect_like(
        5,
        "",
        "vault: `[..]known_envs.toml` is not a regular file\n...",
    );
    std::fs::remove_file(alice.path(memory())).unwrap();
    // Missing: as on the first day. What needs no key never asked for it.
    opens(&alice);
    assert_eq!(alice.read(memory()), good);
    alice.write(memory(), "[[[");
    alice.vault(["list", "-e", "staging"]).run().expect_that(0, "names", |o| o.err().is_empty());
    alice.vault(["members"]).run().expect_that(0, "members", |o| o.err().is_empty());
}

#[test]
fn a_memory_that_is_full_keeps_what_it_has() {
    let alice = vault();
    let mut full = alice.read(memory());
    let filler = "[here.0000000000000000.x]\npath = \"\"\n\n[here.0000000000000000.x.newest]\n";
    let room = (16 << 20) - full.len() - filler.len() - 100;
    full.push_str(&filler.replace("\"\"", &format!("\"{}\"", "x".repeat(room))));
    alice.write(memory(), &full);
    opens(&alice);
    // Another file, however it came here, is not remembered, and so not opened; the first one still is.
    let clone = alice.another_home("mallory").with_project("work/hers");
    init(&clone, "mallory", "staging");
    fill(&clone, "staging");
    let key = public_key(&alice);
    let grant = clone.vault(["grant", "alice", "-e", "staging", "--key", &key]).run();
    grant.expect_that(0, "granted", |output| output.out().is_empty());
    at(&alice, &GET, "work/hers").run().expect(
        5,
        "",
        "vault: the memory `$SANDBOX/home/.local/state/vault/known_envs.toml` would become too long\n\
         hint: nothing was changed; what it knew, it still knows\n",
    );
    assert!(alice.read(memory()) == full);
    works(&alice);
}

#[test]
fn a_memory_of_somebody_else_is_not_believed() {
    let Some(other) = crate::support::needs::needs_other_user() else { return };
    if !needs("chown") {
        return;
    }
    let alice = vault();
    alice.sh(format!("chown {other} '{}'", alice.path(memory()).display())).run().success();
    let told = "vault: the memory `$SANDBOX/home/.local/state/vault/known_envs.toml` belongs to \
                another user\nhint: look at it, and move it away to begin a new one\n";
    stops(&alice, told);
}

#[test]
fn a_folder_that_cannot_be_written_is_a_notice_on_a_terminal() {
    let alice = vault();
    let old = text(&alice);
    // A plain file stands where the folder would be made, which stops root as well.
    alice.write("blocked", "");
    let blocked = |run: Run| run.env("XDG_STATE_HOME", alice.path("blocked"));
    blocked(read(&alice)).run().expect(0, ALPHA, "");
    blocked(write(&alice)).run().expect(0, "", "");
    let mut terminal = blocked(write(&alice)).on_terminal();
    let (screen, status) = terminal.expect_end();
    assert_eq!(status.code(), Some(0), "{screen}");
    let notice = "no pin is kept, so a rebuilt file would not be noticed";
    assert_eq!(screen.matches(notice).count(), 1, "{screen}");
    // Without a home there is no memory either.
    let run = read(&alice).env("XDG_STATE_HOME", "").env("HOME", alice.path("nowhere"));
    run.env("VAULT_KEY_FILE", identity(&alice)).run().expect(0, ALPHA, "");
    // Rotating works, and is not forgotten by who could remember it.
    blocked(alice.vault(["rotate", "staging"])).run().expect_that(0, "rotated", |_| true);
    opens_like(
        &alice,
        "vault: staging: alice has rotated the data key: the members are the same\n",
    );
    put(&alice, old);
    read(&alice).run().expect_like(5, "", &format!("{OLD}{OLD_READ}"));
    // What a person wants remembered must be.
    let key = alice.vault(["trust", "staging", "--expect", &first_of(&alice)]);
    blocked(key).run().expect_that(1, "it fails", |output| !output.err().is_empty());
}

fn first_of(alice: &Sandbox) -> String {
    let status = alice.vault(["status", "--old-key", "--json"]).run();
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    status["environments"][0]["fingerprint"].as_str().unwrap().to_owned()
}

#[test]
fn a_read_only_memory_is_read_and_not_written() {
    let Some(other) = crate::support::needs::needs_other_user() else { return };
    if !needs("setpriv") {
        return;
    }
    let alice = vault();
    let bob = teammate(&alice, "bob");
    rotate(&alice);
    send(&alice, &bob);
    let home = bob.home().display().to_string();
    let project = bob.project().display().to_string();
    // All is bob's own, the folder of the state is closed to writing.
    let script = format!(
        "chmod 755 .. ../../people ../../people/bob ../.. && chown -R {other} '{home}' '{project}' && \
         chmod 500 '{home}/.local/state/vault'"
    );
    bob.sh(script).run().success();
    let words = ["--reuid", &other.to_string(), "--clear-groups", env!("CARGO_BIN_EXE_vault")]
        .map(str::to_owned);
    let as_bob = || bob.program("setpriv", &words).args(GET);
    let told = "vault: staging: alice has rotated the data key: the members are the same\n";
    for _ in 0..2 {
        as_bob().run().expect(0, ALPHA, told);
    }
    // Closed to reading it stops: what can't be asked is no first time.
    bob.sh(format!("chmod 000 '{home}/.local/state/vault'")).run().success();
    as_bob().run().expect_like(
        5,
        "",
        "vault: the memory `[..]` can't be read: permission denied\n...",
    );
    bob.sh(format!("chmod 700 '{home}/.local/state/vault'; chmod 000 '{home}/.local/state'"));
    bob.sh(format!("chmod 000 '{home}/.local/state'")).run().success();
    as_bob().run().expect_like(
        5,
        "",
        "vault: the memory `[..]` can't be read: permission denied\n...",
    );
    bob.sh(format!("chmod -R 700 '{home}/.local/state'")).run().success();
    as_bob().run().expect(0, ALPHA, told);
    as_bob().run().expect(0, ALPHA, "");
}

#[test]
fn a_folder_whose_name_looks_like_the_memory_changes_nothing_in_it() {
    let alice = vault();
    let remembered = alice.read(memory());
    let id = &remembered.split_once("[id.").unwrap().1[..32];
    let rival = "0".repeat(64);
    // Written as it is, this would be a data key that is later than all others.
    let folder =
        format!("x\n[id.{id}.{rival}]\nenvironment = 'staging'\nmade = 99999999999\n#\"'\u{1}#");
    let place = alice.path(&folder);
    std::fs::create_dir_all(&place).unwrap();
    alice.sh("cp -r envs \"$0\"").arg(&place).run().success();
    alice.vault(GET).cwd(&place).run().expect(0, ALPHA, "");
    alice.vault(GET).cwd(&place).run().expect(0, ALPHA, "");
    works(&alice);
    let lines = alice.read(memory());
    assert!(!lines.contains(&format!("\n[id.{id}.{rival}]")), "{lines}");
}

#[test]
fn twenty_processes_at_once_lose_nothing() {
    let alice = vault();
    let environments: Vec<String> = (0..20).map(|number| format!("env{number}")).collect();
    init(&alice, "alice", &environments.join(","));
    let mut whole = alice.read(memory());
    // A first time for everybody, and the memory is as it would be one after the other.
    for round in 0..2 {
        std::fs::remove_file(alice.path(memory())).unwrap();
        let running: Vec<_> = environments
            .iter()
            .map(|environment| {
                alice.vault(["set", "-e", environment]).arg(format!("N{round}=1")).spawn()
            })
            .collect();
        for run in running {
            run.wait().expect(0, "", "");
        }
        opens(&alice);
        assert_eq!(alice.read(memory()), whole);
    }
    // Twenty rotations of one environment, and readers who see one file and the memory of a later one.
    let both: Vec<_> = (0..20)
        .map(|_| (alice.vault(["rotate", "staging"]).spawn(), read(&alice).spawn()))
        .collect();
    for (rotation, reader) in both {
        rotation.wait().expect_that(0, "rotated", |output| output.err().contains("new data key"));
        reader.wait().expect_that(0, "it is read", |output| output.out() == ALPHA);
    }
    whole = alice.read(memory());
    let keys = whole.matches("environment = \"staging\"").count();
    assert_eq!(keys, 21, "{whole}");
    works(&alice);
}
