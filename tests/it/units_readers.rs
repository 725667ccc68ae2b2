//! Exported units in front of those who read them: systemd's own parser, a real
//! supervisord, a real runsvdir, and the published schemas of Compose and
//! Kubernetes.

#![allow(clippy::expect_used, reason = "helpers of tests are not #[test]")]

use rustix::process::Signal;
use serde_json::Value;

use crate::support::barrier::wait_for_line;
use crate::support::needs::{needs, needs_other_user, needs_python};
use crate::support::sandbox::Sandbox;

/// All that one of the readers takes for its own if it is not quoted: quotes,
/// `%`, `$`, a backslash, ` ;`, ` #`, `%(here)s`, `$(…)`, `${…}`, `%n`, a tab. It
/// tells that it was there by a file that comes whole.
const COMMAND: &str = r#"{ echo "a'b" 100% $HOME \ "$PORT" ; printf '%s\n' x "$TOKEN" '%(here)s %n' "$(echo $((1+1)))" ${NONE:-'#1 ;2'}	'$(PORT) $$PORT' "\\" ; } >seen.tmp && mv seen.tmp "seen-$HONCHO_PROCESS_NAME" ; exec sleep 1000 # ; "no'%d"#;

/// What it writes.
fn effect(sandbox: &Sandbox, port: &str) -> String {
    let home = sandbox.home().display();
    format!("a'b 100% {home}  {port}\nx\ns3cret\n%(here)s %n\n2\n#1 ;2\n$(PORT) $$PORT\n\\\n")
}

/// A project whose vault has a stored PORT, which the unit's must beat, and
/// whose Procfile has the awkward command.
#[track_caller]
fn project() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.vault(["init", "-e", "staging"]).run().expect_like(0, "", "...\n");
    let set = ["set", "-e", "staging", "TOKEN=s3cret", "PORT=9999", "HONCHO_PROCESS_NAME=stored"];
    sandbox.vault(set).run().expect(0, "", "");
    sandbox.write("project/Procfile", format!("odd: {COMMAND}\n"));
    sandbox
}

/// Who runs the tests, to whom the programs belong then.
fn me(sandbox: &Sandbox) -> String {
    let id = sandbox.program("id", ["-un"]).run().success();
    id.out().trim().to_owned()
}

#[track_caller]
fn export(sandbox: &Sandbox, format: &str, more: &[&str]) {
    let user = me(sandbox);
    let args = ["export", format, "out", "-a", "shop", "-e", "staging", "-u", &user];
    sandbox.vault(args).args(more).run().expect_that(0, "it is written", |_| true);
}

/// The words that must start the awkward command.
fn words(vault: &str) -> Vec<String> {
    let preserved = "--preserve-env=PORT,HONCHO_PROCESS_NAME,VAULT_PROCESS_NAME";
    [vault, "run", "-e", "staging", preserved, "--", "/bin/sh", "-c", COMMAND]
        .map(str::to_owned)
        .to_vec()
}

#[test]
fn the_awkward_command_does_what_is_expected_of_it_in_a_shell() {
    let sandbox = project();
    let name = ("HONCHO_PROCESS_NAME", "odd.1");
    let sh = sandbox.sh(COMMAND).env("PORT", "1").env("TOKEN", "s3cret").env(name.0, name.1);
    let running = sh.spawn();
    assert_eq!(wait_for_line(&sandbox.path("project/seen-odd.1")), effect(&sandbox, "1"));
    running.kill(Signal::KILL);
    running.wait().expect_signal(Signal::KILL, "", "");
}

#[test]
fn systemd_takes_the_units_and_reads_the_command_as_it_was_meant() {
    if !needs("systemd-analyze") {
        return;
    }
    let sandbox = project();
    let procfile = sandbox.read("project/Procfile");
    sandbox.write("project/Procfile", format!("release: true\n{procfile}"));
    export(&sandbox, "systemd", &[]);
    let folder = sandbox.path("project/out");
    let mut units: Vec<_> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    units.sort();
    assert_eq!(units.len(), 5, "{units:?}");
    let verify = ["verify", "--man=no"];
    sandbox.program("systemd-analyze", verify).args(&units).run().expect(0, "", "");

    // At this level it prints what it has understood. The doubled `$` is still to be read: that happens when
    // the unit is started (systemd.service(5)).
    let run = sandbox.program("systemd-analyze", verify).env("SYSTEMD_LOG_LEVEL", "debug");
    let dump = run.arg(folder.join("shop-odd-1.service")).run();
    let dump = format!("{}{}", dump.out(), dump.err());
    let line = dump
        .lines()
        .find(|line| line.trim().starts_with("Command Line: ") && line.contains("seen"));
    let line = line.unwrap_or_else(|| panic!("no command line in {dump}"));
    let line = line.trim().trim_start_matches("Command Line: ");
    let read: Vec<String> = dumped(line).into_iter().map(|word| word.replace("$$", "$")).collect();
    assert_eq!(read, words(env!("CARGO_BIN_EXE_vault")));
    for setting in ["Environment: PORT=5100", "KillMode: mixed"] {
        assert!(dump.contains(setting), "{setting} in {dump}");
    }
}

/// The words of a command line as systemd prints it: in double quotes where needed, with a backslash before
/// what a shell would expand and the escapes of C for control characters.
fn dumped(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        let last = words.last_mut().expect("there is always one");
        match c {
            '"' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            '\\' => match chars.next().expect("a character behind a backslash") {
                't' => last.push('\t'),
                'n' => last.push('\n'),
                other => last.push(other),
            },
            other => last.push(other),
        }
    }
    words
}

#[test]
fn a_real_supervisord_starts_the_command_as_it_was_meant_and_ends_it() {
    let Some(python) = needs_python("supervisor") else { return };
    let sandbox = project();
    std::fs::create_dir(sandbox.path("project/logs")).unwrap();
    export(&sandbox, "supervisord", &["-l", "logs"]);
    let tmp = sandbox.path("tmp");
    let tmp = tmp.display();
    sandbox.write(
        "project/main.conf",
        format!(
            "[supervisord]\nnodaemon=true\nlogfile={tmp}/supervisord.log\npidfile={tmp}/supervisord.pid\n\
             [include]\nfiles=out/shop.conf\n"
        ),
    );
    // The way that the notice names; nothing lies in the default place.
    let key = sandbox.path("key");
    std::fs::rename(sandbox.home().join(".config/vault/identity"), &key).unwrap();
    let run = sandbox.program(&python, ["-m", "supervisor.supervisord", "-n", "-c", "main.conf"]);
    let running = run.env("VAULT_KEY_FILE", &key).spawn();
    assert_eq!(wait_for_line(&sandbox.path("project/seen-odd.1")), effect(&sandbox, "5000"));
    running.kill(Signal::TERM);
    running.wait().expect_that(0, "it ends", |_| true);
    sandbox.assert_no_process_left();
    assert_eq!(sandbox.read("project/logs/odd-1.error.log"), "");
}

#[test]
fn a_real_runsvdir_starts_the_command_as_it_was_meant_and_ends_it() {
    // chpst -u wants root.
    if !needs("runsvdir") || needs_other_user().is_none() {
        return;
    }
    let sandbox = project();
    let procfile = sandbox.read("project/Procfile");
    sandbox.write("project/Procfile", format!("{procfile}talk: echo logged ; exec sleep 1000\n"));
    export(&sandbox, "runit", &["-l", "logs"]);
    // The way that the notice names; nothing lies in the default place.
    let key = sandbox.path("key");
    std::fs::rename(sandbox.home().join(".config/vault/identity"), &key).unwrap();
    for name in ["odd", "talk"] {
        let file = format!("project/out/shop-{name}-1/env/VAULT_KEY_FILE");
        sandbox.write(file, key.to_string_lossy().as_bytes());
    }
    let running = sandbox.program("runsvdir", ["-P", "out"]).spawn();
    assert_eq!(wait_for_line(&sandbox.path("project/seen-odd.1")), effect(&sandbox, "5000"));
    assert_eq!(wait_for_line(&sandbox.path("project/logs/talk-1/current")), "logged\n");
    // On HUP it ends its services, and says so by this status (runsvdir(8)).
    running.kill(Signal::HUP);
    running.wait().expect_that(111, "it ends", |_| true);
    sandbox.assert_no_process_left();
}

/// Reads a manifest with a YAML reader that shares nothing with us, judges it by the published schema, and
/// gives it back as JSON.
const JUDGE: &str = r#"
import importlib.resources, json, sys, yaml
kind, path = sys.argv[1:]
document = yaml.safe_load(open(path, encoding="utf-8"))
if kind == "compose":
    import jsonschema
    place = importlib.resources.files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json"
    schema = json.loads(place.read_text(encoding="utf-8"))
    jsonschema.validators.validator_for(schema)(schema).validate(document)
else:
    import kubernetes_validate
    for version in ["1.25", "1.37"]:
        kubernetes_validate.validate(document, version, strict=True)
print(json.dumps(document))
"#;

#[track_caller]
fn judged(sandbox: &Sandbox, kind: &str, path: &str, module: &str) -> Option<Value> {
    let python = needs_python(module)?;
    let run = sandbox.program(python, ["-c", JUDGE, kind, path]).run().success();
    Some(serde_json::from_slice(&run.stdout).expect("JSON"))
}

/// The words of a command. In both manifests two `$` stand for one, and one begins a reference.
fn undoubled(command: &Value) -> Vec<String> {
    let words = command.as_array().expect("a list").iter();
    words
        .map(|word| {
            let word = word.as_str().expect("a string");
            assert!(!word.replace("$$", "").contains('$'), "a reference in {word}");
            word.replace("$$", "$")
        })
        .collect()
}

#[test]
fn compose_files_fit_the_published_schema_and_hold_the_command_as_it_was_meant() {
    let sandbox = project();
    export(&sandbox, "compose", &["-c", "odd=2"]);
    let Some(found) = judged(&sandbox, "compose", "out/compose.yaml", "check_jsonschema") else {
        return;
    };
    let service = &found["services"]["odd-2"];
    assert_eq!(undoubled(&service["command"]), words("vault"));
    assert_eq!(service["environment"]["PORT"], "5001");
    assert_eq!(service["environment"]["HONCHO_PROCESS_NAME"], "odd.2");
    // What the schema can't say: the secret that the service names is there.
    assert_eq!(service["secrets"], serde_json::json!(["vault_key"]));
    assert!(found["secrets"]["vault_key"]["file"].is_string());
}

#[test]
fn deployments_fit_the_published_schema_and_hold_the_command_as_it_was_meant() {
    let sandbox = project();
    export(&sandbox, "k8s-deployment", &["-c", "odd=2"]);
    let Some(found) = judged(&sandbox, "k8s", "out/shop-odd.yaml", "kubernetes_validate") else {
        return;
    };
    assert_eq!(found["spec"]["replicas"], 2);
    let template = &found["spec"]["template"];
    assert_eq!(undoubled(&template["spec"]["containers"][0]["command"]), words("vault"));
    // What the schema can't say: the Deployment finds its pods.
    assert_eq!(found["spec"]["selector"]["matchLabels"], template["metadata"]["labels"]);
}
