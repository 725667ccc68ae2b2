//! `vault run`: the environment of the command, to the byte.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "helpers of tests have to fail the test, and the files they write hold no secrets"
)]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::needs::needs_python;
use crate::support::run::Output;
use crate::support::sandbox::Sandbox;

const RUN: [&str; 4] = ["run", "-e", "staging", "--"];
/// Shows a program its own environment as the kernel has it.
const SHOW: [&str; 2] = ["cat", "/proc/self/environ"];
/// The most that `NAME=value` may have in bytes.
const LONGEST: usize = 131_071;

#[track_caller]
fn project(values: &[&str]) -> Sandbox {
    let sandbox = Sandbox::new();
    let made = sandbox.vault(["init", "--name", "alice"]).run();
    made.expect_that(0, "a new project", |output| output.stdout.is_empty());
    if !values.is_empty() {
        sandbox.vault(["set", "-e", "staging"]).args(values).run().expect(0, "", "");
    }
    sandbox
}

/// The strings of a `/proc/PID/environ`, in their order.
#[track_caller]
fn strings(output: &Output) -> Vec<String> {
    let text = output.out().strip_suffix('\0').expect("strings that end in NUL");
    text.split('\0').map(str::to_owned).collect()
}

fn script(sandbox: &Sandbox, file: &str, text: &str) {
    sandbox.write(file, text);
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(sandbox.path(file), mode).expect("a mode");
}

#[test]
fn with_nothing_stored_the_environment_is_the_same_to_the_byte() {
    let sandbox = project(&[]);
    let odd = OsStr::from_bytes(b"\xff\xfe not text");
    let dressed = |run: crate::support::run::Run| {
        let run = run.env("ODD", odd).env("EMPTY", "").env("LINES", "a\nb\n").env("lower.dot", "=");
        run.env("AGEDEBUG", "plugin").env("VAULT_TOKEN", "another vault's").run().success().stdout
    };
    let alone = dressed(sandbox.program(SHOW[0], [SHOW[1]]));
    // The harness hands its variables down in the order of their names, which is also the one that
    // comes out, so this compares everything.
    assert_eq!(dressed(sandbox.vault(RUN).args(SHOW)), alone);
}

#[test]
fn what_is_stored_is_added_and_nothing_else_differs() {
    let sandbox = project(&["ADDED=stored", "USER=stored", "HASH=a#b=c $d \"e\""]);
    let alone = sandbox.program(SHOW[0], [SHOW[1]]).run().success();
    let mut expected: Vec<String> =
        strings(&alone).into_iter().filter(|string| !string.starts_with("USER=")).collect();
    for stored in ["ADDED=stored", "USER=stored", "HASH=a#b=c $d \"e\""] {
        expected.push(stored.to_owned());
    }
    let mut found = strings(&sandbox.vault(RUN).args(SHOW).run().success());
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
}

#[test]
fn a_value_is_any_bytes_but_nul() {
    let sandbox = project(&[]);
    let value: Vec<u8> = (1..=255).collect();
    sandbox.vault(["set", "-e", "staging", "BYTES"]).stdin(&value).run().expect(0, "", "");
    let output = sandbox.vault(RUN).args(["sh", "-c", "printf %s \"$BYTES\""]).run().success();
    assert_eq!(output.stdout, value);
    let zero = sandbox.vault(["set", "-e", "staging", "ZERO"]).stdin("a\0b").run();
    zero.expect_that(1, "a message that names it", |o| {
        o.stdout.is_empty() && o.err().contains("ZERO")
    });
}

#[test]
fn only_narrows_what_the_vault_gives_and_not_the_rest() {
    let sandbox = project(&["A=1", "B=2", "USER=stored"]);
    let show = "echo ${A-unset} ${B-unset} $USER";
    for (flags, expected) in [
        (&["--only", "A"][..], "1 unset tester\n"),
        (&["--only", "A,B"], "1 2 tester\n"),
        (&["--only=A", "--only", "USER"], "1 unset stored\n"),
        (&["--only", "A,A,"], "1 unset tester\n"),
    ] {
        let run = sandbox.vault(["run", "-e", "staging"]).args(flags).args(["sh", "-c", show]);
        run.run().expect(0, expected, "");
    }
    sandbox
        .vault(["run", "-e", "staging", "--only", "A,NOPE", "--", "touch", "marker"])
        .run()
        .expect(125, "", "vault: staging has no NOPE\nhint: `vault list` shows the names\n");
    assert!(!sandbox.path("project/marker").exists());
}

#[test]
fn the_surrounding_value_wins_only_where_it_is_preserved() {
    let sandbox = project(&["A=stored", "B=stored", "C=stored"]);
    for (flag, expected) in [
        (None, "stored stored stored\n"),
        (Some("--preserve-env"), "parent parent stored\n"),
        (Some("--preserve-env=B"), "stored parent stored\n"),
        (Some("--preserve-env=A,C"), "parent stored stored\n"),
    ] {
        let run = sandbox.vault(["run", "-e", "staging"]).args(flag);
        let run = run.args(["sh", "-c", "echo $A $B $C"]).env("A", "parent").env("B", "parent");
        run.run().expect(0, expected, "");
    }
    // An empty value of the parent is a value.
    let run = sandbox.vault(["run", "-e", "staging", "--preserve-env", "printenv", "A"]);
    run.env("A", "").run().expect(0, "\n", "");
}

#[test]
fn clean_starts_from_a_short_list() {
    let sandbox = project(&["A=stored", "TZ=stored"]);
    let kept = "COLORTERM HOME LANG LC_ALL LC_TIME LOGNAME PATH SHELL SSH_AUTH_SOCK TERM TMPDIR TZ \
                USER XDG_RUNTIME_DIR";
    let mut run = sandbox.vault(["run", "-e", "staging", "--clean", "--"]).args(SHOW);
    for name in "COLORTERM LC_ALL LC_TIME LOGNAME SHELL SSH_AUTH_SOCK TZ AWS_SECRET LCX lang \
                 VAULT_ENV VAULT_KEY_COMMAND"
        .split_whitespace()
    {
        // A key command that is empty counts as unset.
        run = run.env(name, if name.starts_with("VAULT_KEY") { "" } else { "parent" });
    }
    let output = run.run().success();
    let names: Vec<String> = strings(&output)
        .iter()
        .map(|string| string.split('=').next().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(names.join(" "), format!("A {kept}"));
    assert!(strings(&output).contains(&"TZ=stored".to_owned()));
    let run =
        sandbox.vault(["run", "-e", "staging", "--clean", "--preserve-env", "printenv", "TZ"]);
    run.env("TZ", "parent").run().expect(0, "parent\n", "");
}

#[test]
fn the_key_stays_behind_unless_it_is_kept() {
    let sandbox = project(&["A=1"]);
    let identity = sandbox.read("home/.config/vault/identity");
    let key = identity.lines().last().expect("a key");
    sandbox.write("pass", "unused\n");
    let run = |flags: &[&str]| {
        let run = sandbox.vault(["run", "-e", "staging"]).args(flags).args(SHOW);
        let run = run.env("VAULT_KEY", key).env("VAULT_KEY_FILE", "nothing");
        let run = run.env("VAULT_KEY_COMMAND", "false").env("VAULT_ENV", "production");
        let output = run.env("VAULT_PASSPHRASE_FILE", sandbox.path("pass")).run().success();
        let ours = |string: &String| string.starts_with("VAULT_");
        let mut names: Vec<String> = strings(&output).into_iter().filter(ours).collect();
        for string in &mut names {
            string.truncate(string.find('=').unwrap_or(0));
        }
        names.join(" ")
    };
    assert_eq!(run(&[]), "VAULT_ENV");
    assert_eq!(run(&["--clean"]), "");
    let all = "VAULT_KEY VAULT_KEY_COMMAND VAULT_KEY_FILE VAULT_PASSPHRASE_FILE";
    assert_eq!(run(&["--clean", "--keep-key"]), all);
    assert_eq!(
        run(&["--keep-key"]),
        "VAULT_ENV VAULT_KEY VAULT_KEY_COMMAND VAULT_KEY_FILE VAULT_PASSPHRASE_FILE"
    );
}

#[test]
fn of_a_name_that_the_parent_has_twice_the_first_counts() {
    let Some(python) = needs_python("ctypes") else { return };
    let sandbox = project(&["STORED=stored"]);
    // execve itself, because every library puts the environment into a map first.
    let code = "import ctypes, os, sys
words = [word.encode() for word in sys.argv[1:]]
pairs = [k + b'=' + v for k, v in os.environb.items()]
pairs += [b'TWICE=first', b'TWICE=second', b'STORED=parent', b'STORED=again', b'no equals sign']
array = lambda items: (ctypes.c_char_p * (len(items) + 1))(*items, None)
ctypes.CDLL(None).execve(words[0], array(words), array(pairs))
sys.exit('execve failed')";
    let run = sandbox.program(python, ["-c", code, env!("CARGO_BIN_EXE_vault")]).args(RUN);
    let output = run.args(SHOW).run().success();
    let found = strings(&output);
    let of = |name: &str| found.iter().filter(|s| s.starts_with(name)).cloned().collect::<Vec<_>>();
    assert_eq!(
        (of("TWICE="), of("STORED=")),
        (vec!["TWICE=first".into()], vec!["STORED=stored".into()])
    );
}

#[test]
fn a_stored_search_path_does_not_choose_the_program() {
    let sandbox = project(&["A=1"]);
    script(&sandbox, "project/good/tool", "#!/bin/sh\nprintf 'good %s\\n' \"$PATH\"\n");
    script(&sandbox, "project/evil/tool", "#!/bin/sh\necho evil\n");
    let evil = format!("PATH={}", sandbox.path("project/evil").display());
    let refused = "vault: PATH changes how programs load: whoever may set it runs code in every command\n\
                   hint: if that is wanted, write `loader = [\"PATH\"]` under `[allow]` in vault.toml\n";
    let set = || sandbox.vault(["set", "-e", "staging", &evil]).run();
    set().expect(2, "", refused);
    sandbox.write("project/vault.toml", "[allow]\nloader = [\"PATH\"]\n");
    set().expect(0, "", "");
    let run = |words: &[&str]| {
        sandbox
            .vault(RUN)
            .args(words)
            .env("PATH", format!("{}:/bin", sandbox.path("project/good").display()))
            .run()
    };
    run(&["tool"]).expect(0, "good $SANDBOX/project/evil\n", "");
    run(&["only-in-evil"]).expect(127, "", "vault: `only-in-evil`: command not found\n");
    // What was stored while it was allowed stops everything once it isn't.
    sandbox.write("project/vault.toml", "");
    run(&["tool"]).expect(125, "", refused);
}

#[test]
fn names_that_change_how_programs_load_are_refused_at_both_ends() {
    let names = "LD_PRELOAD LD_ANYTHING DYLD_INSERT_LIBRARIES IFS ENV BASH_ENV BASH_FUNC_x SHELLOPTS \
                 PS4 PROMPT_COMMAND GCONV_PATH NODE_OPTIONS NODE_PATH PYTHONSTARTUP PYTHONHOME \
                 PYTHONPATH PYTHONINSPECT PERL5OPT PERL5LIB RUBYOPT RUBYLIB JAVA_TOOL_OPTIONS \
                 CLASSPATH GIT_SSH_COMMAND GIT_DIR";
    for name in names.split_whitespace() {
        let sandbox = project(&[]);
        let refused = format!(
            "vault: {name} changes how programs load: whoever may set it runs code in every command\n\
             hint: if that is wanted, write `loader = [\"{name}\"]` under `[allow]` in vault.toml\n"
        );
        let set = || sandbox.vault(["set", "-e", "staging", &format!("{name}=x")]).run();
        set().expect(2, "", &refused);
        sandbox.write("project/vault.toml", format!("[allow]\nloader = [\"{name}\"]\n"));
        set().expect(0, "", "");
        let run = || sandbox.vault(RUN).args(["printenv", name]).run();
        if !name.starts_with("LD_") {
            run().expect(0, "x\n", "");
        }
        // Another name that is allowed doesn't allow this one.
        sandbox.write("project/vault.toml", "[allow]\nloader = [\"LD_LIBRARY_PATH\"]\n");
        run().expect(125, "", &refused);
    }
}

#[test]
fn our_own_names_are_never_stored_and_those_of_another_vault_are() {
    let sandbox = project(&[]);
    for name in [
        "VAULT_KEY",
        "VAULT_KEY_FILE",
        "VAULT_KEY_COMMAND",
        "VAULT_PASSPHRASE_FILE",
        "VAULT_PASSPHRASE",
        "VAULT_DIR",
        "VAULT_ENV",
        "VAULT_PIN",
    ] {
        sandbox.write("project/vault.toml", format!("[allow]\nloader = [\"{name}\"]\n"));
        sandbox.vault(["set", "-e", "staging", &format!("{name}=x")]).run().expect(
            2,
            "",
            &format!(
                "vault: {name} is a setting of vault itself and can't be a variable of an environment\n"
            ),
        );
    }
    for name in ["VAULT_ADDR", "VAULT_TOKEN", "VAULT_NAMESPACE", "VAULT_CACERT"] {
        sandbox.vault(["set", "-e", "staging", &format!("{name}=x")]).run().expect(0, "", "");
        sandbox.vault(RUN).args(["printenv", name]).run().expect(0, "x\n", "");
    }
}

#[test]
fn a_value_of_exactly_the_limit_arrives_and_one_more_byte_is_refused() {
    let sandbox = project(&["SMALL=1"]);
    let room = LONGEST - "BIG=".len();
    let set = |bytes: usize| {
        sandbox.vault(["set", "-e", "staging", "BIG"]).stdin("x".repeat(bytes)).run()
    };
    set(room).expect(0, "", "");
    let run = || sandbox.vault(RUN).args(["sh", "-c", "printf %s \"$BIG\""]).run();
    run().expect(0, &"x".repeat(room), "");
    let before = sandbox.snapshot();
    set(room + 1).expect_that(1, "BIG and both sizes are named", |output| {
        let told = output.err();
        output.stdout.is_empty()
            && told.contains("BIG")
            && told.contains("131")
            && told.len() < 1000
    });
    sandbox.assert_unchanged_since(&before);
    run().expect(0, &"x".repeat(room), "");
}

#[test]
fn more_than_the_kernel_takes_in_total_is_told_before_anything_starts() {
    let sandbox = project(&[]);
    for number in 0..24 {
        // The last is longer by a byte than the others, so it is the largest.
        let bytes = 131_000 - usize::from(number != 23);
        let name = format!("PART_{number:02}");
        let value = "x".repeat(bytes);
        sandbox.vault(["set", "-e", "staging", &name]).stdin(value).run().expect(0, "", "");
    }
    let run = |stack: &str, words: &str| {
        let script = format!("ulimit -s {stack} || exit 77; exec \"$0\" run -e staging {words}");
        sandbox.sh(script).arg(env!("CARGO_BIN_EXE_vault")).run()
    };
    if run("65536", "true").code() == Some(77) {
        println!("skipped: needs a hard limit of the stack that allows 64 MiB");
        return;
    }
    run("8192", "touch marker").expect_like(
        125,
        "",
        "vault: the command's arguments and environment have [..] bytes, and the limit here is 2097152; the largest variable is PART_23 with 131008\n\
         hint: pass fewer variables with `--only`, or raise the limit with `ulimit -s`\n",
    );
    assert!(!sandbox.path("project/marker").exists(), "the command began");
    run("8192", "--only PART_03 printenv HOME").expect(0, "$SANDBOX/home\n", "");
    run("65536", "sh -c 'echo ${#PART_00} ${#PART_23}'").expect(0, "130999 131000\n", "");
}

#[test]
fn a_total_that_is_let_through_is_one_that_the_kernel_takes() {
    let sandbox = project(&[]);
    for number in 0..16 {
        let name = format!("PART_{number:02}");
        let value = "x".repeat(if number == 0 { 126_000 } else { 130_000 });
        sandbox.vault(["set", "-e", "staging", &name]).stdin(value).run().expect(0, "", "");
    }
    let ends = |filler: usize| {
        let script = "ulimit -s 8192 || exit 77; exec \"$0\" run -e staging -- /bin/true \"$1\"";
        let run = sandbox.sh(script).arg(env!("CARGO_BIN_EXE_vault")).arg("x".repeat(filler));
        run.run()
    };
    // Where vault's own limit lies, by halving; each size is either let through whole or refused by us.
    let (mut low, mut high) = (0, 100_000);
    ends(low).expect(0, "", "");
    ends(high).expect_like(125, "", "vault: the command's arguments[..]\nhint: [..]\n");
    while high - low > 1 {
        let middle = usize::midpoint(low, high);
        let output = ends(middle);
        match output.code() {
            Some(0) => low = middle,
            Some(125) => high = middle,
            // The kernel counts the program's path as well, which is easily forgotten.
            _ => panic!("with an argument of {middle} bytes: {}", output.err()),
        }
    }
}

#[test]
fn what_is_required_is_checked_before_anything_starts() {
    let sandbox = project(&["NUMBER=many", "EMPTY=", "SHORT=abc", "WHERE=eu"]);
    sandbox.write(
        "project/vault.toml",
        "[required]\nNUMBER = \"int\"\nEMPTY = \"string\"\nABSENT = \"url\"\n\
         SHORT = { kind = \"string\", min = 32 }\nWHERE = { kind = \"enum\", of = [\"us\", \"asia\"] }\n\
         ELSEWHERE = { kind = \"string\", envs = [\"production\"] }\n\
         MAYBE = { kind = \"url\", optional = true }\nPORT = { kind = \"int\", from = \"platform\" }\n",
    );
    let run = || sandbox.vault(RUN).args(["touch", "marker"]);
    let told = "vault: staging: ABSENT is missing\nvault: staging: EMPTY is missing\n\
                vault: staging: NUMBER is not an integer\n\
                vault: staging: SHORT is shorter than 32 bytes\n\
                vault: staging: WHERE is not one of us, asia\n";
    let hint = "hint: `[required]` in vault.toml asks for it; set it with `vault set -e staging";
    run().run().expect(125, "", &format!("{told}{hint} NAME`\n"));
    // The platform's own variable is judged where it is there; so is what may be missing.
    let both = run().env("PORT", "eighty").env("MAYBE", "no url").run();
    both.expect_that(125, "both are named", |output| {
        output.stdout.is_empty()
            && output.err().contains("vault: staging: PORT is not an integer\n")
            && output.err().contains("vault: staging: MAYBE is not a URL\n")
    });
    assert!(!sandbox.path("project/marker").exists(), "the command began");
    sandbox
        .vault(["set", "-e", "staging", "NUMBER=-7", "EMPTY=x", "WHERE=us"])
        .arg(format!("SHORT={}", "x".repeat(32)))
        .run()
        .expect(0, "", "");
    // The hint names a variable where it is the only one.
    let told = "vault: staging: ABSENT is missing\n";
    run().run().expect(125, "", &format!("{told}{hint} ABSENT`\n"));
    assert!(!sandbox.path("project/marker").exists(), "the command began");
    // The surrounding environment may give what the vault lacks; `--only` narrows what was judged whole.
    let run =
        sandbox.vault(["run", "-e", "staging", "--only", "WHERE", "sh", "-c", "echo $WHERE $PORT"]);
    run.env("ABSENT", "https://example.org").env("PORT", "80").run().expect(0, "us 80\n", "");
}

#[test]
fn every_kind_of_requirement_is_met_by_what_it_says() {
    let pem = "-----BEGIN X-----\nAA==\n-----END X-----\n";
    for (kind, good, bad) in [
        ("int", "-1", "1.5"),
        ("bool", "True", "maybe"),
        ("url", "postgres://u:p@h/db", "just words"),
        ("pem", pem, "AA=="),
        ("base64", "QUI=", "QUI"),
        ("string", "anything at all", ""),
    ] {
        let sandbox = project(&[]);
        sandbox.write("project/vault.toml", format!("[required]\nV = \"{kind}\"\n"));
        for (value, status) in [(good, 0), (bad, 125)] {
            let pair = format!("V={value}");
            let set = sandbox.vault(["set", "-e", "staging", &pair]).run();
            set.expect_that(0, "a warning if it does not fit", |output| {
                output.stdout.is_empty() && output.stderr.is_empty() == (status == 0)
            });
            let run = sandbox.vault(RUN).arg("true").run();
            let silent = |value: &str| value.is_empty() || !value.contains(' ');
            run.expect_that(status, "a message without the value", |output| {
                output.stdout.is_empty()
                    && output.stderr.is_empty() == (status == 0)
                    && (silent(value) || !output.err().contains(value))
            });
        }
    }
    let sandbox = project(&["A=1"]);
    sandbox.write("project/vault.toml", "[required]\nA = \"strin\"\n");
    let told = "vault: vault.toml:2: there is no kind `strin`\nhint: did you mean `string`?\n";
    sandbox.vault(RUN).arg("true").run().expect(125, "", told);
}
