//! `vault start`: which processes start, under which names and ports, and
//! what their lines look like. What ends them, what they get and what becomes
//! of their output are in `start_ending`, `start_environment`, `start_output`.

use crate::formations::{plainly, project, said, start, started};

/// Three types that say their port and end.
const THREE: &str = "b: echo $PORT\na: echo $PORT\nc: echo $PORT\n";
const ALL_END: [&str; 2] = ["--can-end", "a,b,c"];

#[test]
fn all_types_start_in_the_order_of_the_file() {
    let sandbox = project(THREE);
    let output = start(&sandbox, ALL_END).run().success();
    assert_eq!(started(output.out()), ["b.1", "a.1", "c.1"]);
    for (name, port) in [("b.1", "5000"), ("a.1", "5100"), ("c.1", "5200")] {
        assert_eq!(said(output.out(), name), [port], "{name}");
    }
}

#[test]
fn types_that_are_named_start_in_the_order_they_are_named_in_and_once() {
    let sandbox = project(THREE);
    let output = start(&sandbox, ALL_END).args(["c", "b", "c"]).run().success();
    assert_eq!(started(output.out()), ["c.1", "b.1"]);
    // Ports count what was selected, not the file.
    assert_eq!(said(output.out(), "c.1"), ["5000"]);
    assert_eq!(said(output.out(), "b.1"), ["5100"]);
}

#[test]
fn a_concurrency_numbers_names_and_ports_and_none_keeps_its_hundred() {
    let sandbox = project(THREE);
    let output = start(&sandbox, ALL_END).args(["-c", "b=3,a=0"]).run().success();
    assert_eq!(started(output.out()), ["b.1", "b.2", "b.3", "c.1"]);
    for (name, port) in [("b.1", "5000"), ("b.2", "5001"), ("b.3", "5002"), ("c.1", "5200")] {
        assert_eq!(said(output.out(), name), [port], "{name}");
    }
    // Fewer than none is none; given twice, the later one holds.
    let words = ["--concurrency=b=2", "--concurrency", " a = -3 , b = 1 "];
    let output = start(&sandbox, ALL_END).args(words).run().success();
    assert_eq!(started(output.out()), ["b.1", "c.1"]);
}

#[test]
fn a_name_that_is_no_type_is_told_where_it_does_no_harm() {
    let sandbox = project("web: echo $PORT\n");
    for flag in ["-c", "-q", "--can-end", "--restart"] {
        let value = if flag == "-c" { "wob=3" } else { "wob" };
        let stderr = format!("vault: `{flag} wob`: no such process type; did you mean `web`?\n");
        plainly(start(&sandbox, [flag, value]).run()).expect(
            0,
            "TIME system | web.1 started (pid=N)\nTIME web.1  | 5000\nTIME system | web.1 stopped (rc=0)\n",
            &stderr,
        );
    }
    let output = start(&sandbox, ["-q", "other"]).run();
    output.expect_like(0, "...", "vault: `-q other`: no such process type\n");
}

#[test]
fn an_unknown_type_starts_nothing() {
    let sandbox = project("web: touch marker\nworker: touch marker\n");
    start(&sandbox, ["web", "wrker"]).run().expect(
        1,
        "",
        "vault: process type `wrker` does not exist in the Procfile\nhint: did you mean `worker`?\n",
    );
    start(&sandbox, ["database"]).run().expect(
        1,
        "",
        "vault: process type `database` does not exist in the Procfile\nhint: the types are web, worker\n",
    );
    // An instance is no type.
    start(&sandbox, ["web.1"]).run().expect_that(1, "an error", |output| output.stdout.is_empty());
    assert!(!sandbox.path("project/marker").exists(), "something was started");
}

#[test]
fn a_port_is_taken_from_the_flag_then_from_env_files_then_from_outside() {
    let sandbox = project("web: echo $PORT\n");
    let port = |file: Option<&str>, outside: Option<&str>, words: &[&str]| {
        sandbox.write("project/.env", file.unwrap_or_default());
        let run = start(&sandbox, words);
        let run = outside.into_iter().fold(run, |run, port| run.env("PORT", port));
        let output = run.run().success();
        said(output.out(), "web.1").concat()
    };
    assert_eq!(port(None, None, &[]), "5000");
    assert_eq!(port(None, Some("6000"), &[]), "6000");
    assert_eq!(port(Some("PORT=7000\n"), Some("6000"), &[]), "7000");
    // On purpose unlike Honcho, where the file would win.
    assert_eq!(port(Some("PORT=7000\n"), Some("6000"), &["-p", "8000"]), "8000");
    assert_eq!(port(None, Some("6000"), &["--port=8000"]), "8000");
    assert_eq!(port(None, None, &["-p", "8000", "-p", "9000"]), "9000");
    // What isn't asked for isn't looked at.
    assert_eq!(port(Some("PORT=none\n"), Some("none"), &["-p", "8000"]), "8000");
}

#[test]
fn a_port_that_is_none_is_refused_and_its_value_from_a_file_is_not_shown() {
    let sandbox = project("web: touch marker\n");
    for port in ["abc", "-1", "70000", "", "80.0"] {
        let stderr = format!("vault: `-p {port}` is no port\n");
        start(&sandbox, [&*format!("--port={port}")]).run().expect(1, "", &stderr);
    }
    let told = "PORT in the surrounding environment is no port\nhint: give one by `-p`\n";
    start(&sandbox, []).env("PORT", "marker").run().expect(1, "", &format!("vault: {told}"));
    sandbox.write("project/.env", "PORT=canary\n");
    let told = "vault: PORT in the environment is no port\nhint: give one by `-p`\n";
    start(&sandbox, []).run().expect(1, "", told);
    assert!(!sandbox.path("project/marker").exists(), "something was started");
}

#[test]
fn a_concurrency_that_is_none_is_refused() {
    let sandbox = project("web: touch marker\n");
    for list in ["web", "web=x", "web=1=2", "web=1.5", "=,web"] {
        let stderr = format!(
            "vault: `-c {list}` is not a list of TYPE=NUMBER\n\
             hint: write it as in `-c web=2,worker=1`\n"
        );
        start(&sandbox, ["-c", list]).run().expect(1, "", &stderr);
    }
    let stderr = "vault: `-c web=1001`: at most 1000 processes of a type\n";
    start(&sandbox, ["-c", "web=1001"]).run().expect(1, "", stderr);
    assert!(!sandbox.path("project/marker").exists(), "something was started");
}

#[test]
fn what_no_flag_is_called_is_a_usage_error() {
    let sandbox = project("web: touch marker\n");
    for (words, told) in [
        (&["--nope"][..], "vault: unexpected argument `--nope` found\nhint: [..]\n"),
        (&["-p"][..], "vault: [..]--port[..]\nhint: [..]\n"),
        (
            &["--timeout", "soon"][..],
            "vault: `--timeout soon` is no time\nhint: write it as in `--timeout 5s`, `500ms` or `2m`\n",
        ),
        (
            &["--no-release", "--release-only"][..],
            "vault: [..]cannot be used with[..]\nhint: [..]\n",
        ),
        (&["--release-only", "web"][..], "vault: [..]cannot be used with[..]\nhint: [..]\n"),
    ] {
        start(&sandbox, words).run().expect_like(2, "", told);
    }
    assert!(!sandbox.path("project/marker").exists(), "something was started");
}

#[test]
fn a_line_bears_time_and_name_and_the_widest_name_decides() {
    let sandbox = project("a: echo hello; echo oops >&2; echo\n");
    plainly(start(&sandbox, []).run()).expect(
        0,
        "TIME system | a.1 started (pid=N)\n\
         TIME a.1    | hello\n\
         TIME a.1    | oops\n\
         TIME a.1    | \n\
         TIME system | a.1 stopped (rc=0)\n",
        "",
    );
    sandbox.write("project/Procfile", "long-name: echo hello\n");
    plainly(start(&sandbox, []).run()).expect(
        0,
        "TIME system      | long-name.1 started (pid=N)\n\
         TIME long-name.1 | hello\n\
         TIME system      | long-name.1 stopped (rc=0)\n",
        "",
    );
}

#[test]
fn time_and_name_can_be_left_out() {
    let sandbox = project("a: echo hello; echo 'a | b'\n");
    plainly(start(&sandbox, ["--no-time"]).run()).expect(
        0,
        "system | a.1 started (pid=N)\na.1    | hello\na.1    | a | b\nsystem | a.1 stopped (rc=0)\n",
        "",
    );
    let bare = "a.1 started (pid=N)\nhello\na | b\na.1 stopped (rc=0)\n";
    plainly(start(&sandbox, ["--no-prefix"]).run()).expect(0, bare, "");
    plainly(start(&sandbox, ["--no-prefix", "--no-time"]).run()).expect(0, bare, "");
}

#[test]
fn the_time_is_that_of_the_local_zone() {
    let sandbox = project("a: date +%H >hour; echo\n");
    // Once more if the hour has changed in between.
    for zone in ["UTC0", "XYZ-5", "XYZ+9"] {
        let same = || {
            let output = start(&sandbox, []).env("TZ", zone).run().success();
            let hour = sandbox.read("project/hour");
            let own = output.out().lines().nth(1).unwrap_or_default().to_owned();
            own.get(..2) == Some(hour.trim())
        };
        assert!(same() || same(), "{zone}");
    }
}

#[test]
fn prefixes_have_the_colours_of_honcho_in_its_order() {
    let all: Vec<String> = (1..=13).map(|n| format!("p{n:02}")).collect();
    let sandbox = project(&(all.join(": echo hello\n") + ": echo hello\n"));
    let run = start(&sandbox, ["--color", "always", "--can-end", &all.join(",")]).run().success();
    let codes =
        ["36", "33", "32", "35", "31", "34", "36;1", "33;1", "32;1", "35;1", "31;1", "34;1", "36"];
    let text = crate::formations::plain(run.out());
    for (name, code) in all.iter().zip(codes) {
        let line = format!("\u{1b}[0m\u{1b}[{code}mTIME {name}.1  | \u{1b}[0mhello");
        assert!(text.lines().any(|shown| shown == line), "{line:?} is not in {text:?}");
        let own = format!("TIME system | {name}.1 started (pid=N)");
        assert!(text.lines().any(|shown| shown == own), "{own:?} is not in {text:?}");
    }
}

#[test]
fn colour_is_for_terminals_and_never_without_a_prefix() {
    let sandbox = project("a: echo hello\n");
    let is_coloured = |output: &crate::support::run::Output| output.stdout.contains(&0x1b);
    let run = |words: &[&str]| start(&sandbox, words).env_remove("NO_COLOR").env("TERM", "xterm");
    assert!(!is_coloured(&run(&[]).run().success()));
    assert!(is_coloured(&run(&["--color", "always"]).run().success()));
    for no in [&["--color", "never"][..], &["--no-colour"], &["--no-color"]] {
        assert!(!is_coloured(&run(no).env("CLICOLOR_FORCE", "1").run().success()));
    }
    assert!(!is_coloured(&run(&["--color", "always", "--no-prefix"]).run().success()));
    for (words, coloured) in [(&[][..], true), (&["--no-colour"], false), (&["--no-prefix"], false)]
    {
        let (screen, _) = run(words).on_terminal().expect_end();
        assert_eq!(screen.contains('\u{1b}'), coloured, "{words:?}: {screen}");
    }
}

#[test]
fn a_quiet_type_runs_and_only_its_own_lines_are_left_out() {
    let sandbox = project("a: echo hello; touch marker\nb: echo from b\n");
    let output = start(&sandbox, ["-q", "a", "--can-end", "a,b"]).run().success();
    assert_eq!(said(output.out(), "a.1"), [""; 0]);
    assert_eq!(said(output.out(), "b.1"), ["from b"]);
    assert_eq!(started(output.out()), ["a.1", "b.1"]);
    assert!(sandbox.path("project/marker").exists(), "it did not run");
    // Given twice, the later one holds, as with Honcho.
    for words in [&["-q", " a , b "][..], &["-q", "nobody", "--quiet", "a,b"]] {
        let output = start(&sandbox, words).args(["--can-end", "a,b"]).run().success();
        assert!(output.out().lines().all(|line| line.contains("system")), "{}", output.out());
    }
}

#[test]
fn a_line_that_is_no_process_is_told_with_its_number() {
    let sandbox = project(
        "\u{feff}bom: touch marker\n# a comment\n\nweb: echo hello\n indented: touch marker\n\
         blank : touch marker\nwith.dot: touch marker\nempty:\nno colon\n",
    );
    plainly(start(&sandbox, ["--no-prefix"]).run()).expect(
        0,
        "web.1 started (pid=N)\nhello\nweb.1 stopped (rc=0)\n",
        "vault: Procfile:1: not a process: it begins with a byte order mark\n\
         vault: Procfile:5: not a process: it begins with a blank\n\
         vault: Procfile:6: not a process: there is a blank before the colon\n\
         vault: Procfile:7: not a process: a name is letters, digits, `-` and `_`\n\
         vault: Procfile:8: not a process: there is no command behind the colon\n\
         vault: Procfile:9: not a process: it has no colon\n",
    );
    assert!(!sandbox.path("project/marker").exists(), "one of them was started");
}

#[test]
fn a_procfile_without_a_process_is_done_at_once() {
    let sandbox = project("# nothing yet\n");
    start(&sandbox, []).run().expect(0, "", "vault: Procfile: there is no process in it\n");
    sandbox.write("project/Procfile", "web: touch marker\n");
    start(&sandbox, ["-c", "web=0"]).run().expect(0, "", "");
    assert!(!sandbox.path("project/marker").exists(), "it was started");
}

#[test]
fn a_procfile_that_is_missing_or_malformed_is_refused() {
    let sandbox = crate::support::sandbox::Sandbox::new();
    let missing = |name: &str| {
        format!(
            "vault: Procfile `{name}` does not exist or is not a file\n\
             hint: name it by `-f`, or its folder by `-d`\n"
        )
    };
    start(&sandbox, []).run().expect(1, "", &missing("Procfile"));
    start(&sandbox, ["-f", "other"]).run().expect(1, "", &missing("other"));
    sandbox.sh("mkdir Procfile").run().success();
    start(&sandbox, []).run().expect(1, "", &missing("Procfile"));
    sandbox.write("project/twice", "a: touch marker\nb: x\na: y\n");
    start(&sandbox, ["-f", "twice"]).run().expect(
        1,
        "",
        "vault: twice:3: the process type `a` is there already, on line 1\n\
         hint: give one of them another name\n",
    );
    sandbox.write("project/bytes", b"a: touch marker \xff\n");
    start(&sandbox, ["-f", "bytes"]).run().expect(1, "", "vault: bytes: not UTF-8 text\n");
    assert!(!sandbox.path("project/marker").exists(), "something was started");
}

#[test]
fn the_procfile_is_the_one_of_the_flag_then_of_env_files_then_of_outside() {
    let sandbox = project("a: echo usual\n");
    for name in ["flag", "file", "outside"] {
        sandbox.write(format!("project/P.{name}"), format!("a: echo {name}\n"));
    }
    let run = |words: &[&str]| start(&sandbox, words).args(["--no-prefix"]);
    let shows = |run: crate::support::run::Run, name: &str| {
        plainly(run.run()).expect(
            0,
            &format!("a.1 started (pid=N)\n{name}\na.1 stopped (rc=0)\n"),
            "",
        );
    };
    shows(run(&[]), "usual");
    shows(run(&[]).env("PROCFILE", "P.outside"), "outside");
    sandbox.write("project/.env", "PROCFILE=P.file\n");
    shows(run(&[]).env("PROCFILE", "P.outside"), "file");
    shows(run(&["-f", "P.flag"]).env("PROCFILE", "P.outside"), "flag");
    // Honcho takes its flags on both sides of the word.
    let before = sandbox.vault(["-f", "P.flag", "start", "--no-prefix"]);
    shows(before, "flag");
}

#[test]
fn files_are_relative_to_the_folder_that_is_named_and_processes_stay_where_they_were_started() {
    let sandbox = project("a: echo wrong\n");
    sandbox.write("project/app/Procfile", "a: echo $A; pwd\n");
    sandbox.write("project/app/Other", "a: echo other $A; pwd\n");
    sandbox.write("project/app/.env", "A=env\n");
    sandbox.write("project/app/.env.local", "A=local\n");
    let shows = |words: &[&str], text: &str| {
        let stdout = format!("a.1 started (pid=N)\n{text}\n$SANDBOX/project\na.1 stopped (rc=0)\n");
        plainly(start(&sandbox, words).args(["--no-prefix"]).run()).expect(0, &stdout, "");
    };
    shows(&["-d", "app"], "env");
    shows(&["-d", "app", "-f", "Other"], "other env");
    shows(&["-d", "app", "-e", ".env.local"], "local");
    let absolute = sandbox.path("project/app/Other");
    let absolute = absolute.to_str().unwrap_or_default();
    shows(&["-f", absolute, "-e", "app/.env"], "other env");
    shows(
        &["-d", "/", "-f", absolute, "-e", absolute.replace("Other", ".env").as_str()],
        "other env",
    );
    start(&sandbox, ["-d", "app", "-e", "app/.env"]).run().expect(
        125,
        "",
        "vault: the dotenv file `app/app/.env` does not exist\n\
         hint: there is no vault here, so `-e` names dotenv files\n",
    );
}

#[test]
fn below_a_vaults_folder_its_procfile_is_found_and_its_processes_run_there() {
    let sandbox = crate::formations::vault_project("a: pwd\n", &["A=1"]);
    sandbox.sh("mkdir -p deep/down").run().success();
    let run = || start(&sandbox, ["-e", "staging", "--no-prefix"]).cwd("deep/down");
    let stdout = |folder: &str| {
        format!("a.1 started (pid=N)\n$SANDBOX/project{folder}\na.1 stopped (rc=0)\n")
    };
    plainly(run().run()).expect(0, &stdout(""), "");
    // One that lies nearer is the one that is meant.
    sandbox.write("project/deep/down/Procfile", "a: pwd\n");
    plainly(run().run()).expect(0, &stdout("/deep/down"), "");
}

#[test]
fn the_command_is_the_shells_to_the_byte() {
    let sandbox =
        project("a: printf '%s|' \"$0\" 'x  y' $((1+2)) \"a:b\" # no comment in a Procfile\n");
    plainly(start(&sandbox, ["--no-prefix"]).run()).expect(
        0,
        "a.1 started (pid=N)\n/bin/sh|x  y|3|a:b|\na.1 stopped (rc=0)\n",
        "",
    );
    // Only blanks: a process that does nothing.
    sandbox.write("project/Procfile", "a:  \n");
    let stdout = "a.1 started (pid=N)\na.1 stopped (rc=0)\n";
    plainly(start(&sandbox, ["--no-prefix"]).run()).expect(0, stdout, "");
}

#[test]
fn processes_share_the_input_and_have_a_session_of_their_own() {
    let sandbox = project(
        "a: read -r line; echo \"got $line\"; read -r pid name state parent group session tty rest \
         </proc/$$/stat; echo $(($$ == group)) $(($$ == session)) $tty\n",
    );
    plainly(start(&sandbox, ["--no-prefix"]).stdin("a line\n").run()).expect(
        0,
        "a.1 started (pid=N)\ngot a line\n1 1 0\na.1 stopped (rc=0)\n",
        "",
    );
}
