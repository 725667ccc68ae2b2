//! Side by side with Honcho itself: the same Procfile and env files, and the
//! same lines, names, ports and statuses, but for what differs on purpose.

#![allow(clippy::expect_used, reason = "helpers of tests have to fail the test")]

use std::path::PathBuf;

use rustix::process::Signal;

use crate::formations::{FOREVER, pid_of, plain, project};
use crate::support::barrier::until;
use crate::support::needs::{needs_path, needs_python};
use crate::support::run::{Output, Run};
use crate::support::sandbox::Sandbox;

/// The program, from where the tests have their Python.
#[track_caller]
fn honcho() -> Option<PathBuf> {
    let program = needs_python("honcho")?.with_file_name("honcho");
    needs_path(&program.to_string_lossy()).then_some(program)
}

/// A project in which both can be asked the same.
struct Both {
    sandbox: Sandbox,
    honcho: PathBuf,
}

impl Both {
    /// None where there is no Honcho.
    #[track_caller]
    fn new(procfile: &str, dotenv: &str) -> Option<Self> {
        let honcho = honcho()?;
        let sandbox = project(procfile);
        if !dotenv.is_empty() {
            sandbox.write("project/.env", dotenv);
        }
        Some(Self { sandbox, honcho })
    }

    fn honcho(&self, words: &[&str]) -> Run {
        self.sandbox.program(&self.honcho, words)
    }

    fn vault(&self, words: &[&str]) -> Run {
        self.sandbox.vault(words)
    }

    /// Runs it with both: the lines of both, without times and numbers, in the order in which they came.
    #[track_caller]
    fn lines(&self, words: &[&str]) -> [(Vec<String>, Option<i32>); 2] {
        let lines = |output: Output| {
            let text = plain(&String::from_utf8_lossy(&output.stdout));
            (text.split('\n').map(str::to_owned).collect(), output.code())
        };
        [lines(self.honcho(words).run()), lines(self.vault(words).run())]
    }

    /// Both print the same in the same order, with the same status.
    #[track_caller]
    fn same(&self, words: &[&str]) {
        let [honcho, vault] = self.lines(words);
        assert_eq!(vault, honcho, "{words:?}");
    }

    /// Both print the same lines in some order, with the same status.
    #[track_caller]
    fn same_sorted(&self, words: &[&str]) {
        let [mut honcho, mut vault] = self.lines(words);
        honcho.0.sort();
        vault.0.sort();
        assert_eq!(vault, honcho, "{words:?}");
    }
}

/// Says what it is given and stays, so that only the one which is told to ends.
const SAY: &str = "echo $HONCHO_PROCESS_NAME $PORT $A; touch up.$HONCHO_PROCESS_NAME;";

#[test]
fn one_process_is_told_in_the_same_lines_with_the_same_status() {
    for command in [
        "echo hello; echo oops >&2",
        "echo hello; exit 3",
        "exit 255",
        "true",
        "no-such-command 2>/dev/null",
        "printf 'no newline'",
        "printf 'a\\rb\\r\\nc\\n\\n'",
        "printf 'a\\377b\\303\\n'",
        "printf '\\342\\202x\\355\\240\\200\\n'",
        "printf 'tab\\tesc\\033[1m \\n'",
        "echo '  blanks  '; echo",
        "echo \"$A|$B\"; echo $0",
        "echo \"it's\" 'a \"b\"' $((1+1)) # no comment",
        " ",
        "echo $PWD; echo a:b",
        "read -r line; echo \"<$line>\"",
    ] {
        let procfile = format!("a: {command}\n");
        let Some(both) = Both::new(&procfile, "A=1\nB='x # y'\n") else { return };
        both.same(&["start"]);
        both.same(&["--no-prefix", "start"]);
    }
    let Some(both) = Both::new("a: echo $PORT; exit 3\n", "") else { return };
    both.same(&["start", "a", "--quiet=a"]);
    both.same(&["--no-colour", "start", "-p", "7000"]);
    both.same(&["start", "-p", "7000", "--no-prefix"]);
    both.same(&["start", "-q", "a", "-q", "b"]);
    both.same(&["start", "-f", "Procfile", "-p", "6000", "-p", "7000"]);
}

#[test]
fn several_processes_have_the_same_names_ports_and_lines() {
    let wait = |name: &str| format!("{name}: {SAY} exec sleep 1000\n");
    // The last one ends when all have spoken.
    let procfile = wait("web")
        + &wait("long-worker-name")
        + "end: until [ $(ls up.* 2>/dev/null | wc -l) -ge $N ]; do sleep 0.02; done; exit 3\n";
    let Some(both) = Both::new(&procfile, "A=1\n") else { return };
    for (count, words) in [
        (2, &["start"][..]),
        (3, &["start", "-c", "web=2"]),
        (5, &["start", "-c", "web=3,long-worker-name=2"]),
        (2, &["start", "-c", "web=0,long-worker-name=2,other=4"]),
        (1, &["start", "end", "web", "end"]),
        (2, &["start", "-p", "7000", "-q", "web"]),
        (2, &["--no-prefix", "start", "--port=7000"]),
        (2, &["start", "--concurrency", "web=1", "--quiet", "end,web"]),
    ] {
        let count = count.to_string();
        let run = |run: Run| {
            both.sandbox.sh("rm -f up.*").run().success();
            let output = run.env("N", &count).run();
            let mut lines: Vec<String> = plain(&String::from_utf8_lossy(&output.stdout))
                .lines()
                .map(str::to_owned)
                .collect();
            lines.sort();
            (lines, output.code())
        };
        assert_eq!(run(both.vault(words)), run(both.honcho(words)), "{words:?}");
    }
}

#[test]
fn a_port_comes_from_the_same_places_but_for_the_flag_over_the_file() {
    for (dotenv, outside, words) in [
        ("", None, &["start"][..]),
        ("", Some("6000"), &["start"]),
        ("PORT=7000\n", Some("6000"), &["start"]),
        ("", Some("6000"), &["start", "-p", "8000"]),
    ] {
        let Some(both) = Both::new("a: echo $PORT\n", dotenv) else { return };
        let run = |run: Run| {
            let run = outside.into_iter().fold(run, |run, port| run.env("PORT", port));
            let output = run.run();
            (plain(&String::from_utf8_lossy(&output.stdout)), output.code())
        };
        assert_eq!(run(both.vault(words)), run(both.honcho(words)), "{words:?}");
    }
    // On purpose: Honcho's own documentation has it so too.
    let Some(both) = Both::new("a: echo $PORT\n", "PORT=7000\n") else { return };
    let [honcho, vault] = both.lines(&["start", "-p", "8000"]);
    assert!(honcho.0.contains(&"TIME a.1    | 7000".to_owned()), "{honcho:?}");
    assert!(vault.0.contains(&"TIME a.1    | 8000".to_owned()), "{vault:?}");
}

#[test]
fn the_same_lines_of_a_procfile_are_processes() {
    let procfile = "# a comment\n\nweb: echo $PORT\r\n indented: echo no\nblank : echo no\nwith.dot: echo no\n\
                    empty:\nno colon\nw-1:echo tight:er\nx_Y:\t echo tab \nZ: echo end\u{2028}q: echo separated\n\
                    \u{e9}: echo no\n";
    let Some(both) = Both::new(procfile, "") else { return };
    for one in ["web", "w-1", "x_Y", "Z", "q"] {
        both.same(&["start", one]);
    }
    for none in ["indented", "blank", "with.dot", "empty", "\u{e9}", "no"] {
        let [honcho, vault] = both.lines(&["start", none]);
        assert_eq!((vault.1, honcho.1), (Some(1), Some(1)), "{none}");
        assert_eq!(vault.0, honcho.0, "{none}");
    }
}

#[test]
fn mistakes_have_the_same_status_and_nothing_on_stdout() {
    let Some(both) = Both::new("a: touch marker\n", "") else { return };
    both.sandbox.write("project/twice", "a: touch marker\na: touch marker\n");
    both.sandbox.write("project/empty", "# none\n");
    both.sandbox.write("project/bytes", b"a: touch marker \xff\n");
    for (words, status) in [
        (&["start", "b"][..], 1),
        (&["start", "a", "b"], 1),
        (&["-f", "nope", "start"], 1),
        (&["-f", "/", "start"], 1),
        (&["-f", "twice", "start"], 1),
        (&["-f", "bytes", "start"], 1),
        (&["start", "-c", "a"], 1),
        (&["start", "-c", "a=x"], 1),
        (&["-f", "empty", "start"], 0),
        (&["start", "-c", "a=0"], 0),
        (&["start", "--nope"], 2),
        (&["nope"], 2),
    ] {
        for run in [both.honcho(words), both.vault(words)] {
            let output = run.run();
            assert_eq!(
                (output.code(), output.out()),
                (Some(status), ""),
                "{words:?}: {}",
                output.err()
            );
        }
    }
    // Where the folder isn't, neither is its environment.
    let [honcho, vault] = both.lines(&["-d", "nope", "start"]);
    assert_eq!((honcho.1, vault.1), (Some(1), Some(125)));
    // Told apart from a typing error, because here it is known for one. Honcho has 1, a traceback and all.
    both.sandbox.write("project/.env", "A='x\n");
    let [honcho, vault] = both.lines(&["start"]);
    assert_eq!((honcho.1, vault.1), (Some(1), Some(125)));
    both.sandbox.write("project/.env", "");
    // A file that is named and missing is passed over there.
    let [honcho, vault] = both.lines(&["-f", "empty", "-e", ".env.nope", "start"]);
    assert_eq!((honcho.1, vault.1), (Some(0), Some(125)));
    assert!(!both.sandbox.path("project/marker").exists(), "something was started");
}

#[test]
fn the_first_end_has_the_same_lines_and_the_same_status_but_for_signals() {
    for status in [0, 1, 42] {
        let Some(both) = Both::new(
            &format!(
                "a: until [ -e ready ]; do sleep 0.02; done; rm ready; exit {status}\nb: touch ready; {FOREVER}\n"
            ),
            "",
        ) else {
            return;
        };
        both.same_sorted(&["start"]);
    }
    let Some(both) = Both::new("a: kill -TERM $$\n", "") else { return };
    let [honcho, vault] = both.lines(&["start"]);
    assert_eq!(vault.0, honcho.0);
    assert_eq!((honcho.1, vault.1), (Some(241), Some(143)));
}

#[test]
fn signals_end_both_in_the_same_lines_with_the_same_status() {
    for (signal, status) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let Some(both) = Both::new(&format!("a: {FOREVER}\nb: {FOREVER}\n"), "") else { return };
        let ended = |run: Run| {
            let mut running = run.spawn();
            pid_of(&mut running, "a.1");
            pid_of(&mut running, "b.1");
            // Honcho fails where a signal comes while it prints, so it is signalled while it waits.
            let stat = format!("/proc/{}/stat", running.pid().as_raw_nonzero());
            let waits = || std::fs::read_to_string(&stat).is_ok_and(|text| text.contains(") S "));
            until(waits, "it to have printed");
            running.kill(signal);
            let output = running.wait();
            let mut lines: Vec<String> = plain(output.out()).lines().map(str::to_owned).collect();
            lines.sort();
            assert_eq!(output.code(), Some(status));
            lines
        };
        assert_eq!(ended(both.vault(&["start"])), ended(both.honcho(&["start"])));
    }
}

#[test]
fn colours_are_the_same_to_the_byte() {
    let procfile = "a: echo one; touch one; exec sleep 1000\n\
                    long-name: until [ -e one ]; do sleep 0.02; done; rm one; echo two\n";
    let Some(both) = Both::new(procfile, "") else { return };
    for words in [&["start"][..], &["--no-colour", "start"], &["--no-prefix", "start"]] {
        let lines = |run: Run| {
            let run = run.env_remove("NO_COLOR").env("TERM", "xterm");
            let (screen, _) = run.on_terminal().expect_end();
            let mut lines: Vec<String> = plain(&screen).lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(lines(both.vault(words)), lines(both.honcho(words)), "{words:?}");
    }
}

/// Env files that `-e` can name, with what is peculiar about Honcho's dialect.
const FILES: [(&str, &str); 4] = [
    (".env", "A=env\nB='one # two'\nC=\"a\\nb\"\nD=a b # c\nexport E=1\nF=\nG=\"\"\n"),
    (".env.local", "A=local\r\nH={\"a\": 1}\r\n H2 = 'x'\"y\"z\r\nF-O=1\n1X=1\n"),
    ("sub/more", "\u{feff}A=bom\nB=more\nPORT=7\nHONCHO_PROCESS_NAME=mine\nI=$HOME ${X}\n"),
    ("empty", ""),
];

#[test]
fn run_gives_the_same_environment_from_the_same_env_files() {
    let Some(both) = Both::new("", "") else { return };
    for (name, text) in FILES {
        both.sandbox.write(format!("project/{name}"), text);
    }
    let environment = |run: Run| {
        let output = run.args(["env", "-0"]).env("A", "outside").env("Z", "outside").run();
        assert_eq!(output.code(), Some(0), "{}", output.err());
        let mut pairs: Vec<String> = output.out().split('\0').map(str::to_owned).collect();
        // Those of the shell that Honcho puts between.
        pairs.retain(|pair| {
            !["_=", "PWD=", "OLDPWD=", "SHLVL="].iter().any(|own| pair.starts_with(own))
        });
        pairs.sort();
        pairs
    };
    for list in [
        "",
        ".env",
        ".env.local",
        ".env,.env.local",
        ".env.local,.env",
        " .env , sub/more ,.env.local",
        "sub/more,empty,.env",
        "empty",
    ] {
        let words: Vec<&str> = if list.is_empty() { vec!["run"] } else { vec!["-e", list, "run"] };
        let vault: Vec<&str> = words.iter().copied().chain(["--"]).collect();
        assert_eq!(environment(both.vault(&vault)), environment(both.honcho(&words)), "{list:?}");
    }
}

#[test]
fn start_gives_the_same_environment_from_the_same_env_files() {
    let Some(both) = Both::new("web: env -0 >shown\nworker: env -0 >shown\n", "") else { return };
    for (name, text) in FILES {
        both.sandbox.write(format!("project/{name}"), text);
    }
    let environment = |run: Run| {
        let output = run.env("A", "outside").env("Z", "outside").run();
        assert_eq!(output.code(), Some(0), "{}", output.err());
        let shown = both.sandbox.read("project/shown");
        let mut pairs: Vec<String> = shown.split('\0').map(str::to_owned).collect();
        pairs.retain(|pair| !pair.starts_with("VAULT_PROCESS_NAME="));
        pairs.sort();
        pairs
    };
    for list in [".env", ".env.local,.env", ".env,sub/more,.env.local", "empty"] {
        for words in [&["start", "web"][..], &["start", "worker", "-p", "6000"]] {
            if list.contains("sub") && words.contains(&"-p") {
                // The one difference, see above.
                continue;
            }
            let words: Vec<&str> = ["-e", list].iter().chain(words).copied().collect();
            assert_eq!(
                environment(both.vault(&words)),
                environment(both.honcho(&words)),
                "{words:?}"
            );
        }
    }
}
