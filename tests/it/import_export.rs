//! `vault import` and `vault export`: plaintext in and out, strictly, and with
//! what has to be said about plaintext that lies around.

#![allow(clippy::expect_used, reason = "helpers of tests are not #[test]")]

use crate::support::needs::needs;
use crate::support::run::Run;
use crate::support::sandbox::Sandbox;

#[track_caller]
fn project() -> Sandbox {
    let sandbox = Sandbox::new();
    let init = sandbox.vault(["init", "-e", "staging,copy"]).run();
    init.expect_like(0, "", "...\nhint: [..]\n");
    sandbox
}

fn import(sandbox: &Sandbox, args: &[&str]) -> Run {
    sandbox.vault(["import", "-e", "staging"]).args(args)
}

fn export(sandbox: &Sandbox, args: &[&str]) -> Run {
    sandbox.vault(["export", "-e", "staging"]).args(args)
}

/// What is said after an import of a file that git does not track.
fn told(done: &str, file: &str) -> String {
    format!(
        "vault: staging: {done}\n\
         vault: the plaintext file `{file}` is still there\n\
         hint: `rm {file}` when you have seen that all is there: `vault list -e staging`\n"
    )
}

#[track_caller]
fn git(sandbox: &Sandbox, args: &[&str]) {
    sandbox.program("git", args).run().expect_that(0, "git does it", |_| true);
}

const GOOD: &str = "# Where the data lies.\n# Ask Zoë.\nDATABASE_URL=postgres://app@db/app\n\
    export  QUOTED = 'a # b $c' # a comment\n\nEMPTY=\nLINES=\"one\\ntwo\\\"\"\r\n";

#[test]
fn a_good_dotenv_file_comes_in_whole() {
    let sandbox = project();
    sandbox.write("project/.env", GOOD);
    import(&sandbox, &[".env"]).run().expect(0, "", &told("4 added", ".env"));
    export(&sandbox, &["json"]).run().expect(
        0,
        "{\"DATABASE_URL\": \"postgres://app@db/app\", \"EMPTY\": \"\", \
         \"LINES\": \"one\\ntwo\\\"\", \"QUOTED\": \"a # b $c\"}\n",
        "",
    );
    // It was read and left alone.
    assert_eq!(sandbox.read("project/.env"), GOOD);
}

#[test]
fn a_second_import_with_the_same_notes_writes_nothing_and_another_note_does() {
    let sandbox = project();
    sandbox.write("project/.env", GOOD);
    import(&sandbox, &[".env"]).run().expect(0, "", &told("4 added", ".env"));
    let before = sandbox.snapshot();
    let same = told("every value was there already", ".env");
    import(&sandbox, &[".env"]).run().expect(0, "", &same);
    sandbox.assert_unchanged_since(&before);
    // Notes are kept encrypted: no word of them stands in the vault.
    assert!(!sandbox.read("project/envs/staging.toml").contains("Zoë"));

    let vault = sandbox.read("project/envs/staging.toml");
    let listed = sandbox.vault(["list", "--json"]).run().success();
    sandbox.write("project/.env", GOOD.replace("Ask Zoë.", "Ask Bob."));
    import(&sandbox, &[".env"]).run().expect(0, "", &same);
    assert_ne!(sandbox.read("project/envs/staging.toml"), vault, "the note was not stored");
    // The value is the same, so its time of change is too.
    sandbox.vault(["list", "--json"]).run().expect(0, listed.out(), "");
}

#[test]
fn all_errors_of_a_dotenv_file_are_told_at_once_and_none_repeats_a_value() {
    let sandbox = project();
    sandbox.write(
        "project/bad.env",
        "GOOD=fine\nHASH=s3cret#x\ns3cret-without-equals\nDOLLAR=s3cret$x\nBACK=s3cret\\x\n\
         1BAD=s3cret\nGOOD=s3cret\nTICK=s3cret`x\nIN=s3cret'x\nAFTER='s3cret'x\nESC=\"s3cret\\x\"\n\
         OPEN=\"s3cret\n",
    );
    let before = sandbox.snapshot();
    let output = import(&sandbox, &["bad.env"]).run().expect_like(
        5,
        "",
        "vault: bad.env:2: HASH: [..]\n\
         vault: bad.env:3: no \"=\" on this line[..]\n\
         vault: bad.env:4: DOLLAR: [..]\n\
         vault: bad.env:5: BACK: [..]\n\
         vault: bad.env:6: not a variable name[..]\n\
         vault: bad.env:7: GOOD: defined twice, first on line 1: keep one of them\n\
         vault: bad.env:8: TICK: [..]\n\
         vault: bad.env:9: IN: [..]\n\
         vault: bad.env:10: AFTER: [..]\n\
         vault: bad.env:11: ESC: [..]\n\
         vault: bad.env:12: OPEN: [..]\n\
         hint: mend the file and import it again; nothing was stored\n",
    );
    assert!(!output.err().contains("s3cret"), "{}", output.err());
    sandbox.assert_unchanged_since(&before);
}

#[test]
fn a_file_that_is_no_utf_8_or_not_there_is_told() {
    let sandbox = project();
    sandbox.write("project/bad.env", b"A=1\nB=\xff\n");
    let before = sandbox.snapshot();
    import(&sandbox, &["bad.env"]).run().expect(
        5,
        "",
        "vault: bad.env:2: not UTF-8: save the file as UTF-8\n\
         hint: mend the file and import it again; nothing was stored\n",
    );
    import(&sandbox, &["none.env"]).run().expect(
        3,
        "",
        "vault: the file `none.env` does not exist\n",
    );
    sandbox.assert_unchanged_since(&before);
}

#[test]
fn json_comes_in_as_a_flat_object_of_strings_only() {
    let sandbox = project();
    sandbox.write("project/a.json", r#"{"A": "1", "B": "two\nlines é"}"#);
    import(&sandbox, &["a.json"]).run().expect(0, "", &told("2 added", "a.json"));
    let before = sandbox.vault(["list", "--json"]).run().success();
    for (text, error) in [
        (
            "{\"C\": \"s3cret\",\n\"D\": 5}",
            ":2: D: a number, but only strings are taken: put it in double quotes",
        ),
        (
            "{\"D\": null}",
            ":1: D: null is not a string: write \"\" for an empty value, or leave the name out",
        ),
        ("{\"D\": \"s3cret\", \"D\": \"\"}", ":1: D: defined twice: keep one of them"),
        ("[\"s3cret\"]", ":1: not a JSON object: write {\"NAME\": \"value\", ...}"),
        ("{\"D\": \"s3cret", ":1: the JSON text is cut short"),
        ("{\"D\": \"s3cret\"} s3cret", ":1: not valid JSON from here on"),
    ] {
        sandbox.write("project/bad.json", text);
        let hint = "hint: mend the file and import it again; nothing was stored\n";
        let told = format!("vault: bad.json{error}\n{hint}");
        import(&sandbox, &["bad.json"]).run().expect(5, "", &told);
    }
    sandbox.vault(["list", "--json"]).run().expect(0, before.out(), "");
    // The flag beats the file's name.
    sandbox.write("project/c.env", r#"{"C": "3"}"#);
    import(&sandbox, &["--format", "json", "c.env"]).run().expect(0, "", &told("1 added", "c.env"));
}

#[test]
fn the_standard_input_leaves_no_file_to_speak_of() {
    let sandbox = project();
    import(&sandbox, &["-"]).stdin("A=1\nB=2\n").run().expect(0, "", "vault: staging: 2 added\n");
    let json = ["--format", "json", "-"];
    import(&sandbox, &json).stdin("{\"C\": \"3\"}").run().expect(
        0,
        "",
        "vault: staging: 1 added\n",
    );
    import(&sandbox, &["-"]).stdin("A=1\nnothing\n").run().expect_like(
        5,
        "",
        "vault: stdin:2: no \"=\" on this line[..]\nhint: [..]\n",
    );
    export(&sandbox, &["dotenv"]).run().expect(0, "A=1\nB=2\nC=3\n", "");
}

#[test]
fn differing_values_are_replaced_only_after_a_yes() {
    let sandbox = project();
    import(&sandbox, &["-"]).stdin("A=1\nB=2\n").run().expect(0, "", "vault: staging: 2 added\n");
    let before = sandbox.snapshot();
    let next = "A=one\nB=2\nC=3\n";
    import(&sandbox, &["-"]).stdin(next).run().expect(
        1,
        "",
        "vault: staging: A will be replaced: not done without an answer\n\
         hint: add `-y` to say yes\n",
    );
    sandbox.assert_unchanged_since(&before);
    sandbox.write("project/next.env", next);
    let before = sandbox.snapshot();
    let mut terminal = import(&sandbox, &["next.env"]).on_terminal();
    terminal.expect("vault: staging: A will be replaced. Go on? [y/N] ");
    terminal.type_line("n");
    let (text, status) = terminal.expect_end();
    assert_eq!(status.code(), Some(1), "{text}");
    sandbox.assert_unchanged_since(&before);
    import(&sandbox, &["-y", "-"]).stdin(next).run().expect(
        0,
        "",
        "vault: staging: 1 added, 1 changed\n",
    );
    export(&sandbox, &["dotenv"]).run().expect(0, "A=one\nB=2\nC=3\n", "");
}

#[test]
fn replace_removes_what_the_file_has_not_and_a_dry_run_only_tells() {
    let sandbox = project();
    import(&sandbox, &["-"]).stdin("A=1\nB=2\n").run().expect(0, "", "vault: staging: 2 added\n");
    let before = sandbox.snapshot();
    let next = "A=one\nC=3\n";
    import(&sandbox, &["--dry-run", "-"]).stdin(next).run().expect(0, "add C\nchange A\n", "");
    import(&sandbox, &["--dry-run", "--replace", "-"]).stdin(next).run().expect(
        0,
        "add C\nchange A\nremove B\n",
        "",
    );
    import(&sandbox, &["--replace", "-"]).stdin(next).run().expect(
        1,
        "",
        "vault: staging: A will be replaced: not done without an answer\n\
         hint: add `-y` to say yes\n",
    );
    import(&sandbox, &["--replace", "-"]).stdin("A=1\nC=3\n").run().expect(
        1,
        "",
        "vault: staging: B will be removed: not done without an answer\n\
         hint: add `-y` to say yes\n",
    );
    sandbox.assert_unchanged_since(&before);
    // Each of the two has its own question, and one no stops both.
    sandbox.write("project/next.env", next);
    let before = sandbox.snapshot();
    let mut terminal = import(&sandbox, &["--replace", "next.env"]).on_terminal();
    terminal.expect("vault: staging: A will be replaced. Go on? [y/N] ");
    terminal.type_line("y");
    terminal.expect("vault: staging: B will be removed. Go on? [y/N] ");
    terminal.type_line("n");
    let (text, status) = terminal.expect_end();
    assert_eq!(status.code(), Some(1), "{text}");
    sandbox.assert_unchanged_since(&before);
    import(&sandbox, &["-y", "--replace", "-"]).stdin(next).run().expect(
        0,
        "",
        "vault: staging: 1 added, 1 changed, 1 removed\n",
    );
    export(&sandbox, &["dotenv"]).run().expect(0, "A=one\nC=3\n", "");
}

#[test]
fn one_name_that_may_not_be_stored_stops_the_whole_import() {
    let sandbox = project();
    let before = sandbox.snapshot();
    import(&sandbox, &["-"]).stdin("A=1\nVAULT_KEY=x\n").run().expect_like(
        5,
        "",
        "vault: stdin: VAULT_KEY is [..]\nhint: leave these lines out[..]nothing was stored\n",
    );
    import(&sandbox, &["-"]).stdin("A=1\nPATH=/x\n").run().expect_like(
        5,
        "",
        "vault: stdin: PATH changes how programs load[..]\nhint: [..]\n",
    );
    sandbox.assert_unchanged_since(&before);
}

#[test]
fn a_file_that_git_tracks_is_told_to_be_in_the_history() {
    if !needs("git") {
        return;
    }
    let sandbox = project();
    git(&sandbox, &["init", "-q"]);
    sandbox.write("project/.env", "A=1\n");
    sandbox.write("project/.gitignore", "");
    // Not tracked yet: it can still go without a trace.
    import(&sandbox, &[".env"]).run().expect(0, "", &told("1 added", ".env"));
    git(&sandbox, &["add", ".env"]);
    git(&sandbox, &["commit", "-q", "-m", "plaintext"]);
    import(&sandbox, &[".env"]).run().expect(
        0,
        "",
        "vault: staging: every value was there already\n\
         vault: the plaintext file `.env` is still there\n\
         vault: git has it in 1 commit (e96f43f of 2024-01-02): whoever has a clone knows its values, so change them \
         at their sources\n\
         hint: `git rm --cached .env`, add it to .gitignore, and commit\n",
    );
}

#[test]
fn a_file_whose_name_is_a_pattern_for_git_is_that_file_alone() {
    if !needs("git") {
        return;
    }
    let sandbox = project();
    git(&sandbox, &["init", "-q"]);
    sandbox.write("project/[ab].env", "A=1\n");
    sandbox.write("project/a.env", "A=1\n");
    git(&sandbox, &["add", "a.env"]);
    import(&sandbox, &["[ab].env"]).run().expect(
        0,
        "",
        "vault: staging: 1 added\n\
         vault: the plaintext file `[ab].env` is still there\n\
         hint: `rm '[ab].env'` when you have seen that all is there: `vault list -e staging`\n",
    );
}

/// Values that a careless writer would damage.
const HARD: [(&str, &str); 8] = [
    ("BACK", "a\\b"),
    ("BOTH", "it's \"so\""),
    ("CRLF", "a\r\nb"),
    ("DOLLAR", "$HOME `x` ${y}"),
    ("EMPTY", ""),
    ("HASH", " # not a comment "),
    ("PEM", "-----BEGIN X-----\nabc=\n-----END X-----\n"),
    ("UNICODE", "é\u{202e}\u{1b}[31m\u{7f}"),
];

#[test]
fn a_dialect_tells_by_line_what_its_reader_does_in_silence() {
    let sandbox = project();
    sandbox.write("project/old.env", "A=one two\nexport B=1\nC='x'\n");
    import(&sandbox, &["--dialect", "honcho", "--dry-run", "old.env"]).run().expect(
        0,
        "add A\nadd C\n",
        "vault: old.env:1: changed: blanks outside quotes are taken out of the value\n\
         vault: old.env:2: left out: `export` is not known in this file\n",
    );
    import(&sandbox, &["--dialect", "docker", "old.env"]).run().expect(
        5,
        "",
        "vault: old.env:2: not a variable name: use letters, digits and \"_\", and no digit at the start\n\
         hint: mend the file and import it again; nothing was stored\n",
    );
    import(&sandbox, &["--dialect", "docker", "-"]).stdin("C='x'\n").run().expect(
        0,
        "",
        "vault: staging: 1 added\n",
    );
    export(&sandbox, &["json"]).run().expect(0, "{\"C\": \"'x'\"}\n", "");
    let null = "A=1\n2\0B=\0";
    import(&sandbox, &["--format", "null", "--replace", "-y", "-"]).stdin(null).run().expect(
        0,
        "",
        "vault: staging: 2 added, 1 removed\n",
    );
    export(&sandbox, &["null"]).run().expect(0, null, "");
    import(&sandbox, &["--format", "null", "-"]).stdin("no pair\0").run().expect(
        5,
        "",
        "vault: stdin: part 1 is not NAME=value\nhint: mend the file and import it again; nothing was stored\n",
    );
    import(&sandbox, &["--format", "json", "--dialect", "docker", "-"]).stdin("{}").run().expect(
        2,
        "",
        "vault: `--dialect` is for dotenv files\n",
    );
    let many = "x y\n".repeat(30);
    import(&sandbox, &["--dialect", "docker", "-"]).stdin(many).run().expect_that(
        5,
        "twenty are told",
        |output| {
            output.err().contains("stdin:20: ")
                && !output.err().contains("stdin:21: ")
                && output.err().contains("stdin: and 10 more\n")
        },
    );
}

#[test]
fn what_is_exported_comes_back_the_same_through_both_formats() {
    let sandbox = project();
    for (name, value) in HARD {
        let pair = format!("{name}={value}");
        sandbox.vault(["set", "-e", "staging", &pair]).run().expect(0, "", "");
    }
    let json = export(&sandbox, &["json"]).run().success();
    let parsed: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    for (name, value) in HARD {
        assert_eq!(parsed[name], value, "{name}");
    }
    for format in ["dotenv", "json"] {
        let text = export(&sandbox, &[format]).run().success();
        let back = ["import", "-y", "-e", "copy", "--replace", "--format", format, "-"];
        let output = sandbox.vault(back).stdin(&text.stdout).run();
        output.expect_like(0, "", "vault: copy: [..]\n");
        sandbox.vault(["export", "-e", "copy", "json"]).run().expect(0, json.out(), "");
    }
}

#[test]
fn only_and_except_choose_by_name_and_know_their_names() {
    let sandbox = project();
    import(&sandbox, &["-"]).stdin("A=1\nB=2\nC=3\n").run().expect(
        0,
        "",
        "vault: staging: 3 added\n",
    );
    export(&sandbox, &["dotenv", "--only", "A,C"]).run().expect(0, "A=1\nC=3\n", "");
    export(&sandbox, &["--only", "A", "--only", "C", "dotenv"]).run().expect(0, "A=1\nC=3\n", "");
    export(&sandbox, &["dotenv", "--except", "A"]).run().expect(0, "B=2\nC=3\n", "");
    export(&sandbox, &["dotenv", "--only", "A,B", "--except", "B"]).run().expect(0, "A=1\n", "");
    export(&sandbox, &["dotenv", "--except", "A,B,C"]).run().expect(0, "", "");
    for flag in ["--only", "--except"] {
        export(&sandbox, &["dotenv", flag, "A,X"]).run().expect(
            3,
            "",
            "vault: staging has no X\nhint: `vault list` shows the names\n",
        );
    }
    export(&sandbox, &["jsn"]).run().expect(
        2,
        "",
        "vault: there is no export format `jsn`\nhint: did you mean `json`?\n",
    );
}

#[test]
fn a_file_is_written_for_its_owner_alone_and_never_through_a_link() {
    let sandbox = project();
    import(&sandbox, &["-"]).stdin("A=1\n").run().expect(0, "", "vault: staging: 1 added\n");
    export(&sandbox, &["dotenv", "-o", "out.env"]).run().expect(0, "", "");
    assert_eq!(sandbox.read("project/out.env"), "A=1\n");
    assert_eq!(sandbox.mode("project/out.env"), 0o600);

    sandbox.write("project/target", "mine");
    std::os::unix::fs::symlink("target", sandbox.path("project/link")).unwrap();
    std::os::unix::fs::symlink("nowhere", sandbox.path("project/dangling")).unwrap();
    let before = sandbox.snapshot();
    for place in ["link", "dangling", "envs"] {
        export(&sandbox, &["dotenv", "-y", "-o", place]).run().expect(
            1,
            "",
            &format!("vault: `{place}` is a link or no regular file, and is not written through\n"),
        );
    }
    export(&sandbox, &["dotenv", "-o", "no/such/folder"]).run().expect_like(
        1,
        "",
        "vault: cannot write `no/such/folder`: no such file or directory\n",
    );
    sandbox.assert_unchanged_since(&before);
}

#[test]
fn a_file_that_is_there_is_replaced_only_after_a_yes() {
    let sandbox = project();
    import(&sandbox, &["-"]).stdin("A=1\n").run().expect(0, "", "vault: staging: 1 added\n");
    sandbox.write("project/out.env", "mine\n");
    let before = sandbox.snapshot();
    let write = |args: &[&str]| export(&sandbox, &["dotenv", "-o", "out.env"]).args(args);
    write(&[]).run().expect(
        1,
        "",
        "vault: `out.env` will be replaced: not done without an answer\nhint: add `-y` to say yes\n",
    );
    let mut terminal = write(&[]).on_terminal();
    terminal.expect("vault: `out.env` will be replaced. Go on? [y/N] ");
    terminal.type_line("");
    let (text, status) = terminal.expect_end();
    assert_eq!(status.code(), Some(1), "{text}");
    sandbox.assert_unchanged_since(&before);
    write(&["-y"]).run().expect(0, "", "");
    assert_eq!(sandbox.read("project/out.env"), "A=1\n");
    // The mode of what was there does not live on.
    assert_eq!(sandbox.mode("project/out.env"), 0o600);
}

#[test]
fn a_written_file_that_git_would_track_is_told() {
    if !needs("git") {
        return;
    }
    let sandbox = project();
    import(&sandbox, &["-"]).stdin("A=1\n").run().expect(0, "", "vault: staging: 1 added\n");
    git(&sandbox, &["init", "-q"]);
    sandbox.write("project/.gitignore", "ignored.env\n");
    export(&sandbox, &["dotenv", "-o", "ignored.env"]).run().expect(0, "", "");
    export(&sandbox, &["dotenv", "-o", "out.env"]).run().expect(
        0,
        "",
        "vault: git does not ignore `out.env`, which holds the values in plaintext\n\
         hint: add `out.env` to .gitignore\n",
    );
}

#[test]
fn a_terminal_is_told_that_these_are_plaintext() {
    let sandbox = project();
    import(&sandbox, &["-"]).stdin("A=1\n").run().expect(0, "", "vault: staging: 1 added\n");
    let mut terminal = export(&sandbox, &["dotenv"]).on_terminal();
    let (text, status) = terminal.expect_end();
    assert_eq!(
        (text.as_str(), status.code()),
        ("vault: these are the values in plaintext\nA=1\n", Some(0))
    );
}

#[test]
fn a_value_that_is_no_text_is_refused_by_its_name() {
    let sandbox = project();
    import(&sandbox, &["-"]).stdin("A=1\n").run().expect(0, "", "vault: staging: 1 added\n");
    sandbox.vault(["set", "-e", "staging", "BIN"]).stdin(b"s3cret\xff").run().expect(0, "", "");
    let before = sandbox.snapshot();
    for format in ["dotenv", "json"] {
        let error =
            format!("vault: BIN: the value is not UTF-8, which the {format} format cannot hold\n");
        export(&sandbox, &[format]).run().expect(1, "", &error);
        export(&sandbox, &[format, "-o", "out"]).run().expect(1, "", &error);
        export(&sandbox, &[format, "--except", "BIN"]).run().success();
    }
    sandbox.assert_unchanged_since(&before);
}
