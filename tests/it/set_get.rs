//! `vault set`, `get` and `unset`: the exact bytes in, the exact bytes out, and
//! what a terminal adds.

#![allow(clippy::expect_used, reason = "helpers of tests are not #[test]")]

use crate::support::barrier::until;
use crate::support::needs::needs;
use crate::support::pty::Terminal;
use crate::support::run::{Output, Run};
use crate::support::sandbox::Sandbox;

/// A sandbox with the environments staging and production.
#[track_caller]
fn project() -> Sandbox {
    let sandbox = Sandbox::new();
    let init = sandbox.vault(["init", "-e", "staging,production"]).run();
    init.expect_like(0, "", "...\nhint: [..]\n");
    sandbox
}

/// `vault COMMAND -e staging ARGS`.
fn on_staging(sandbox: &Sandbox, command: &str, args: &[&str]) -> Run {
    sandbox.vault([command, "-e", "staging"]).args(args)
}

fn set(sandbox: &Sandbox, args: &[&str]) -> Run {
    on_staging(sandbox, "set", args)
}

#[track_caller]
fn get(sandbox: &Sandbox, name: &str) -> Vec<u8> {
    on_staging(sandbox, "get", &[name]).run().success().stdout
}

/// Waits for a question whose answer is hidden, and until it is waited for:
/// what is typed before that would be seen.
#[track_caller]
fn expect_hidden(terminal: &mut Terminal, question: &str) {
    terminal.expect(question);
    let stat = format!("/proc/{}/stat", terminal.pid());
    // Where there is no /proc there is nothing to look at.
    let sleeps = || std::fs::read_to_string(&stat).map_or(true, |text| text.contains(") S "));
    until(sleeps, "the program to read the answer");
}

#[track_caller]
fn screen_at_end(mut terminal: Terminal, code: i32) -> String {
    let (text, status) = terminal.expect_end();
    assert_eq!(status.code(), Some(code), "{text}");
    text
}

#[test]
fn a_value_is_asked_for_on_a_terminal_and_never_shown() {
    let sandbox = project();
    let mut terminal = set(&sandbox, &["TOKEN"]).on_terminal();
    expect_hidden(&mut terminal, "Value of TOKEN (not shown): ");
    terminal.type_line("hunter2 é");
    terminal.expect("vault: 9 characters read");
    let text = screen_at_end(terminal, 0);
    assert!(!text.contains("hunter2"), "{text}");
    assert!(text.ends_with("vault: 9 characters read\nvault: staging: TOKEN added\n"), "{text}");
    assert_eq!(get(&sandbox, "TOKEN"), "hunter2 é".as_bytes());
    sandbox.assert_nowhere("hunter2");
}

#[test]
fn nothing_typed_or_piped_replaces_no_value() {
    let sandbox = project();
    set(&sandbox, &["TOKEN=stored"]).run().expect(0, "", "");
    let told =
        |why| format!("vault: TOKEN: {why}\nhint: `vault set TOKEN=` stores an empty value\n");
    let mut terminal = set(&sandbox, &["TOKEN"]).on_terminal();
    expect_hidden(&mut terminal, "Value of TOKEN (not shown): ");
    terminal.type_line("");
    let text = screen_at_end(terminal, 1);
    assert!(text.ends_with(&told("nothing was typed")), "{text}");
    let run = set(&sandbox, &["TOKEN"]).stdin("").run();
    run.expect(1, "", &told("there is nothing on the standard input"));
    assert_eq!(get(&sandbox, "TOKEN"), b"stored");
    set(&sandbox, &["TOKEN="]).run().expect(0, "", "");
    assert_eq!(get(&sandbox, "TOKEN"), b"");
}

#[test]
fn a_terminal_is_told_what_became_of_each_variable() {
    let sandbox = project();
    let mut told = Vec::new();
    for pair in ["A=1", "A=2", "A=2"] {
        told.push(screen_at_end(set(&sandbox, &[pair]).on_terminal(), 0));
    }
    for (text, what) in told.iter().zip(["added", "changed", "has this value already"]) {
        assert!(text.starts_with(&format!("vault: staging: A {what}\n")), "{text}");
        // Such a value stands in the shell's history now.
        assert!(text.contains("hint: your shell may keep that value in its history"), "{text}");
    }
    // In a pipe there is no shell history, and a script is not talked to.
    set(&sandbox, &["A=3"]).run().expect(0, "", "");
}

#[test]
fn an_interrupted_question_stores_nothing_and_leaves_the_terminal_as_it_was() {
    let sandbox = project();
    if !needs("stty") {
        return;
    }
    let before = sandbox.snapshot();
    let vault = env!("CARGO_BIN_EXE_vault");
    // The shell outlives the interruption to look at the terminal.
    let script = format!(
        "trap : INT; echo \"was $(stty -g)\"; '{vault}' set -e staging TOKEN; \
         echo \"status $?\"; echo \"is $(stty -g)\""
    );
    let mut terminal = sandbox.sh(script).on_terminal();
    terminal.expect("Value of TOKEN (not shown): ");
    terminal.type_raw("half");
    terminal.control('c');
    terminal.expect("status 130");
    let text = screen_at_end(terminal, 0);
    let modes = |label: &str| text.lines().find_map(|line| line.strip_prefix(label));
    assert!(modes("was ").is_some(), "{text}");
    assert_eq!(modes("is "), modes("was "), "echo, line editing or signals stay off");
    assert!(!text.contains("added"), "{text}");
    sandbox.assert_unchanged_since(&before);
}

#[test]
fn the_standard_input_is_stored_to_the_byte() {
    let sandbox = project();
    for value in [&b"plain"[..], b"line\n", b"\n\n", b"\xff\xfe no text", b"a\r\nb\r\n"] {
        set(&sandbox, &["BYTES"]).stdin(value).run().expect(0, "", "");
        assert_eq!(get(&sandbox, "BYTES"), value);
    }
}

#[test]
fn an_empty_standard_input_is_refused_and_the_old_value_stays() {
    let sandbox = project();
    set(&sandbox, &["OLD=value"]).run().expect(0, "", "");
    let before = sandbox.snapshot();
    for name in ["OLD", "NEW"] {
        let told = format!(
            "vault: {name}: there is nothing on the standard input\n\
             hint: `vault set {name}=` stores an empty value\n"
        );
        set(&sandbox, &[name]).stdin("").run().expect(1, "", &told);
        set(&sandbox, &["--trim", name]).stdin("").run().expect(1, "", &told);
    }
    sandbox.assert_unchanged_since(&before);
    assert_eq!(get(&sandbox, "OLD"), b"value");
    // What the hint says, and an empty file that is named, are no mistakes.
    set(&sandbox, &["OLD="]).run().expect(0, "", "");
    assert_eq!(get(&sandbox, "OLD"), b"");
    sandbox.write("project/nothing", "");
    set(&sandbox, &["NEW", "--file", "nothing"]).run().expect(0, "", "");
    assert_eq!(get(&sandbox, "NEW"), b"");
}

#[test]
fn a_value_with_a_nul_byte_is_refused_because_no_program_could_get_it() {
    let sandbox = project();
    let before = sandbox.snapshot();
    let output = set(&sandbox, &["BYTES"]).stdin(b"sec\0ret").run();
    // What is wrong is what was given, not a file: this is no integrity error.
    output.expect_that(1, "BYTES is named, its value is not", |output| {
        output.err().contains("BYTES") && !output.err().contains("sec") && output.out().is_empty()
    });
    sandbox.assert_unchanged_since(&before);
}

#[test]
fn a_file_is_stored_to_the_byte_and_a_folder_is_none() {
    let sandbox = project();
    sandbox.write("project/key.pem", "-----BEGIN X-----\nabc\n-----END X-----\n");
    set(&sandbox, &["--file", "key.pem", "PEM"]).run().expect(0, "", "");
    assert_eq!(get(&sandbox, "PEM"), b"-----BEGIN X-----\nabc\n-----END X-----\n");
    let before = sandbox.snapshot();
    set(&sandbox, &["--file", "envs", "PEM"]).run().expect(1, "", "vault: `envs` is a folder\n");
    set(&sandbox, &["--file", "none.pem", "PEM"]).run().expect(
        1,
        "",
        "vault: cannot read `none.pem`: no such file or directory\n",
    );
    sandbox.assert_unchanged_since(&before);
}

#[test]
fn trim_takes_one_line_end_off_and_no_more() {
    let sandbox = project();
    for (given, kept) in
        [("a\n", "a"), ("a\n\n", "a\n"), ("a\r\n", "a"), ("a", "a"), (" a \n", " a "), ("\n", "")]
    {
        set(&sandbox, &["--trim", "T"]).stdin(given).run().expect(0, "", "");
        assert_eq!(get(&sandbox, "T"), kept.as_bytes(), "{given:?}");
        sandbox.write("project/t", given);
        set(&sandbox, &["--trim", "--file", "t", "F"]).run().expect(0, "", "");
        assert_eq!(get(&sandbox, "F"), kept.as_bytes(), "{given:?}");
    }
}

#[test]
fn generated_values_have_their_form_and_are_never_the_same() {
    let sandbox = project();
    let make = |kind: &str| {
        set(&sandbox, &["--generate", kind, "G"]).run().expect(0, "", "");
        String::from_utf8(get(&sandbox, "G")).unwrap()
    };
    let hex = |text: &str| text.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
    let (one, two) = (make("django"), make("django"));
    assert!(one.len() == 50 && one != two, "two of 50 characters");
    let (plain, long) = (make("hex"), make("hex:20"));
    assert!(plain.len() == 64 && long.len() == 40 && hex(&plain) && hex(&long));
    assert_eq!((make("base64").len(), make("base64:48").len()), (44, 64));
    let parts: Vec<usize> = make("uuid").split('-').map(str::len).collect();
    assert_eq!(parts, [8, 4, 4, 4, 12]);
    let before = sandbox.snapshot();
    for wrong in ["hex:8", "djang", "uuid:16", ""] {
        set(&sandbox, &["--generate", wrong, "G"]).run().expect(
            2,
            "",
            &format!(
                "vault: `{wrong}` is nothing that can be generated\n\
                 hint: use django, hex, hex:BYTES, base64, base64:BYTES (16 to 1024) or uuid\n"
            ),
        );
    }
    sandbox.assert_unchanged_since(&before);
    // Several names get a value each.
    set(&sandbox, &["--generate", "hex", "H1", "H2"]).run().expect(0, "", "");
    assert_ne!(get(&sandbox, "H1"), get(&sandbox, "H2"));
}

#[test]
fn if_missing_leaves_what_is_there_alone() {
    let sandbox = project();
    set(&sandbox, &["A=old"]).run().expect(0, "", "");
    let before = sandbox.snapshot();
    set(&sandbox, &["--if-missing", "A=new"]).run().expect(0, "", "");
    set(&sandbox, &["--if-missing", "--generate", "hex", "A"]).run().expect(0, "", "");
    // Nobody is asked for a value that is not needed.
    let text = screen_at_end(set(&sandbox, &["--if-missing", "A"]).on_terminal(), 0);
    assert!(!text.contains("Value of"), "{text}");
    sandbox.assert_unchanged_since(&before);
    set(&sandbox, &["--if-missing", "A=new", "B=new"]).run().expect(0, "", "");
    assert_eq!((get(&sandbox, "A"), get(&sandbox, "B")), (b"old".to_vec(), b"new".to_vec()));
}

#[test]
fn several_variables_are_one_write_or_none() {
    let sandbox = project();
    set(&sandbox, &["A=1", "B=x=y", "C="]).run().expect(0, "", "");
    let all = |name| String::from_utf8(get(&sandbox, name)).unwrap();
    assert_eq!((all("A"), all("B"), all("C")), ("1".into(), "x=y".into(), String::new()));
    let before = sandbox.snapshot();
    let rule = "a variable name is letters, digits and `_`, and does not begin with a digit";
    let word_2 = "vault: word 2 is not NAME or NAME=VALUE";
    let long = "L".repeat(129);
    for (args, error) in [
        (&["A=2", "D-E=3"][..], format!("{word_2}: {rule}\n")),
        (&["A=2", "1A=3"], format!("{word_2}: {rule}\n")),
        (&["A=2", "=3"], format!("{word_2}: {rule}\nhint: write NAME=VALUE as one word\n")),
        (&["A=2", "A=3"], "vault: A is named twice\n".into()),
        (
            &["A=2", "B"],
            "vault: several variables need a value each: NAME=VALUE\n\
             hint: `vault set NAME` asks for the value of one; a value that you typed here is in your shell's history now\n"
                .into(),
        ),
        (
            &["A=2", "VAULT_KEY=3"],
            "vault: VAULT_KEY is a setting of vault itself and can't be a variable of an environment\n"
                .into(),
        ),
        (
            &["A=2", "LD_PRELOAD=3"],
            "vault: LD_PRELOAD changes how programs load: whoever may set it runs code in every command\n\
             hint: if that is wanted, write `loader = [\"LD_PRELOAD\"]` under `[allow]` in vault.toml\n"
                .into(),
        ),
        (
            &["--generate", "hex", "A=2"],
            "vault: A has two values: one on the command line, and another by a flag\n".into(),
        ),
        (&["A=2", &long], "vault: word 2 is not NAME or NAME=VALUE: a variable name has at most 128 bytes\nhint: write NAME=VALUE as one word\n".into()),
    ] {
        set(&sandbox, args).run().expect_like(2, "", &error);
    }
    sandbox.assert_unchanged_since(&before);
}

#[test]
fn a_loader_variable_is_stored_where_the_project_allows_it() {
    let sandbox = project();
    sandbox.write("project/vault.toml", "[allow]\nloader = [\"NODE_OPTIONS\"]\n");
    set(&sandbox, &["NODE_OPTIONS=--inspect"]).run().expect(0, "", "");
    assert_eq!(get(&sandbox, "NODE_OPTIONS"), b"--inspect");
    set(&sandbox, &["NODE_PATH=x"]).run().expect_like(2, "", "vault: NODE_PATH [..]\nhint: [..]\n");
}

#[test]
fn the_same_value_again_writes_nothing() {
    let sandbox = project();
    set(&sandbox, &["A=1"]).run().expect(0, "", "");
    let before = sandbox.snapshot();
    set(&sandbox, &["A=1"]).run().expect(0, "", "");
    sandbox.assert_unchanged_since(&before);
}

#[test]
fn a_value_is_as_long_as_a_program_can_get_it_and_no_longer() {
    let sandbox = project();
    // Linux takes strings of 128 KiB with their NUL: `BIG=` and the value.
    let mut value = vec![b'x'; (128 << 10) - "BIG=".len() - 1];
    set(&sandbox, &["BIG"]).stdin(&value).run().expect(0, "", "");
    assert_eq!(get(&sandbox, "BIG"), value);
    let run = sandbox.vault(["run", "-e", "staging", "--", "sh", "-c", "echo ${#BIG}"]).run();
    run.expect(0, "131067\n", "");
    let before = sandbox.snapshot();
    value.push(b'x');
    // What is wrong is what was typed, not a file: this is no integrity error.
    set(&sandbox, &["BIG"]).stdin(&value).run().expect_like(
        1,
        "",
        "vault: [..]BIG[..]131,071 bytes[..]\n",
    );
    set(&sandbox, &["BIG"]).stdin(vec![b'x'; (1 << 20) + 1]).run().expect(
        1,
        "",
        "vault: the standard input is over 1 MiB, too long for a value\n",
    );
    sandbox.assert_unchanged_since(&before);
}

#[test]
fn get_adds_a_line_end_on_a_terminal_only() {
    let sandbox = project();
    set(&sandbox, &["A=value"]).run().expect(0, "", "");
    on_staging(&sandbox, "get", &["A"]).run().expect(0, "value", "");
    let text = screen_at_end(on_staging(&sandbox, "get", &["A"]).on_terminal(), 0);
    assert_eq!(text, "value\n");
}

#[test]
fn get_gives_a_json_string_by_either_flag() {
    let sandbox = project();
    set(&sandbox, &["A"]).stdin("two\nlines \"é\"").run().expect(0, "", "");
    let string = "\"two\\nlines \\\"é\\\"\"\n";
    on_staging(&sandbox, "get", &["--format", "json", "A"]).run().expect(0, string, "");
    on_staging(&sandbox, "get", &["--json", "A"]).run().expect(0, string, "");
    set(&sandbox, &["B"]).stdin(b"\xff").run().expect(0, "", "");
    on_staging(&sandbox, "get", &["--format", "json", "B"]).run().expect(
        1,
        "",
        "vault: B: the value is not UTF-8, which the json format cannot hold\n",
    );
}

#[test]
fn an_unknown_variable_or_environment_is_status_3_with_what_was_meant() {
    let sandbox = project();
    set(&sandbox, &["DATABASE_URL=1"]).run().expect(0, "", "");
    let get = |name: &str| on_staging(&sandbox, "get", &[name]).run();
    get("DATABASE_URI").expect(
        3,
        "",
        "vault: staging has no DATABASE_URI\nhint: did you mean `DATABASE_URL`?\n",
    );
    get("X").expect(
        3,
        "",
        "vault: staging has no X\nhint: `vault list -e staging` shows the names\n",
    );
    sandbox.vault(["get", "-e", "stagin", "X"]).run().expect(
        3,
        "",
        "vault: there is no environment `stagin`\nhint: did you mean `staging`?\n",
    );
    sandbox.vault(["get", "-e", "qa", "X"]).run().expect(
        3,
        "",
        "vault: there is no environment `qa`\nhint: the environments are production, staging\n",
    );
}

/// `vault unset -e staging ARGS` on a terminal, with this answer.
#[track_caller]
fn unset_with_answer(sandbox: &Sandbox, args: &[&str], answer: &str, code: i32) -> String {
    let mut terminal = on_staging(sandbox, "unset", args).on_terminal();
    terminal.expect("will be removed. Go on? [y/N] ");
    terminal.type_line(answer);
    screen_at_end(terminal, code)
}

#[test]
fn unset_asks_on_a_terminal_and_anything_but_yes_is_no() {
    let sandbox = project();
    set(&sandbox, &["A=1", "B=2", "C=3"]).run().expect(0, "", "");
    let before = sandbox.snapshot();
    for answer in ["", "n", "no", "yeah", "j"] {
        let text = unset_with_answer(&sandbox, &["A", "B"], answer, 1);
        assert!(text.starts_with("vault: staging: A, B will be removed. Go on?"), "{text}");
        assert!(text.ends_with("vault: nothing was changed\n"), "{text}");
    }
    sandbox.assert_unchanged_since(&before);
    for (name, yes) in [("A", "y"), ("B", "YES")] {
        let text = unset_with_answer(&sandbox, &[name], yes, 0);
        assert!(text.ends_with(&format!("vault: staging: {name} removed\n")), "{text}");
    }
    on_staging(&sandbox, "export", &["json"]).run().expect(0, "{\"C\": \"3\"}\n", "");
}

#[test]
fn unset_without_a_terminal_needs_the_answer_as_a_flag() {
    let sandbox = project();
    set(&sandbox, &["A=1", "B=2"]).run().expect(0, "", "");
    let before = sandbox.snapshot();
    on_staging(&sandbox, "unset", &["A"]).run().expect(
        1,
        "",
        "vault: staging: A will be removed: not done without an answer\n\
         hint: add `-y` to say yes\n",
    );
    // The input is no place for answers: it may hold a value.
    on_staging(&sandbox, "unset", &["A"]).stdin("y\n").run().expect_like(
        1,
        "",
        "vault: [..]\nhint: [..]\n",
    );
    sandbox.assert_unchanged_since(&before);
    on_staging(&sandbox, "unset", &["-y", "A"]).run().expect(0, "", "");
    on_staging(&sandbox, "export", &["json"]).run().expect(0, "{\"B\": \"2\"}\n", "");
}

#[test]
fn unset_of_an_unknown_name_removes_none_of_the_others() {
    let sandbox = project();
    set(&sandbox, &["TOKEN=1", "B=2"]).run().expect(0, "", "");
    let before = sandbox.snapshot();
    let unset = |args: &[&str]| -> Output { on_staging(&sandbox, "unset", args).run() };
    let error = "vault: staging has no TOKEM\nhint: did you mean `TOKEN`?\n";
    unset(&["-y", "B", "TOKEM"]).expect(3, "", error);
    // It is told before anything is asked.
    unset(&["B", "TOKEM"]).expect(3, "", error);
    sandbox.assert_unchanged_since(&before);
}

#[test]
fn which_environment_is_meant_comes_from_flag_then_variable_then_default() {
    let sandbox = project();
    sandbox.vault(["set", "-e", "staging", "WHERE=staging"]).run().expect(0, "", "");
    sandbox.vault(["set", "-e", "production", "WHERE=production"]).run().expect(0, "", "");
    let get = || sandbox.vault(["get", "WHERE"]);
    get().run().expect(
        2,
        "",
        "vault: no environment is named: neither `-e`, nor VAULT_ENV, nor `default` in vault.toml\n\
         hint: add `-e production`; the environments are production, staging\n",
    );
    sandbox.write("project/vault.toml", "default = \"staging\"\n");
    get().run().expect(0, "staging", "");
    get().env("VAULT_ENV", "production").run().expect(0, "production", "");
    get().env("VAULT_ENV", "").run().expect(0, "staging", "");
    get().env("VAULT_ENV", "production").args(["-e", "staging"]).run().expect(0, "staging", "");
    get().args(["-e", "staging,production"]).run().expect(
        2,
        "",
        "vault: this command works on one environment, and `-e` names several\nhint: run it once for each\n",
    );
}
