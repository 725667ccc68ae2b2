//! The golden files of format 1: every file of `tests/data/format1` is read,
//! or refused, by the built binary as its `cases.json` says, and by the reader
//! in Python that was written from `docs/format.md` alone.
//!
//! What a refusal says stands in `cases.json` as well, as `message`: all of
//! stderr, with the file's path as `FILE`. A new case has the empty message.
//! `VAULT_TEST_RECORD=1` writes what the binary says into `cases.json`; read
//! the difference in git before it is committed, as nobody else judges it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are not #[test]")]
#![allow(clippy::disallowed_methods, reason = "the recording is asked for by a variable")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::needs::{needs, needs_python};
use crate::support::run::{Output, Run};
use crate::support::sandbox::Sandbox;
use crate::vaults::{STAGING, decode, fill, identity, init, set, with_block};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// As many as the smallest machine has cores.
const WORKERS: usize = 2;
/// The Python reader starts an interpreter for each of hundreds of files.
const READER_LIMIT: Duration = Duration::from_secs(600);

fn folder() -> PathBuf {
    Path::new(ROOT).join("tests/data/format1")
}

fn cases(sorts: &[&str]) -> Vec<Value> {
    let text = std::fs::read_to_string(folder().join("cases.json")).unwrap();
    let all: Value = serde_json::from_str(&text).unwrap();
    let cases = |sort: &&str| all[*sort].as_array().unwrap().clone();
    sorts.iter().flat_map(cases).collect()
}

fn text<'a>(case: &'a Value, field: &str) -> &'a str {
    case[field].as_str().unwrap_or_else(|| panic!("{}: no {field}", case["name"]))
}

fn texts(list: &Value) -> BTreeSet<String> {
    list.as_array().unwrap().iter().map(|item| item.as_str().unwrap().to_owned()).collect()
}

/// The bytes of a case's file, which may be given by a recipe.
fn bytes_of(case: &Value) -> Vec<u8> {
    if let Some(file) = case["file"].as_str() {
        return std::fs::read(folder().join(file)).unwrap();
    }
    let mut made = String::new();
    for part in case["generate"].as_array().unwrap() {
        match part["times"].as_u64() {
            Some(times) => {
                for n in 0..times {
                    made.push_str(&text(part, "text").replace("{n}", &n.to_string()));
                }
            }
            None => made.push_str(text(part, "text")),
        }
    }
    made.into_bytes()
}

/// A case laid out as a project, in the folder of one worker.
struct Laid<'a> {
    sandbox: &'a Sandbox,
    project: PathBuf,
    environment: &'a str,
}

impl Laid<'_> {
    /// A command in that project and environment, with this key.
    fn vault(&self, identity: Option<&str>, words: &[&str]) -> Run {
        let run = self.sandbox.vault(words).args(["-e", self.environment]).cwd(&self.project);
        // One case knows nothing of another, whose file lay in the same place.
        let run = run.env("XDG_STATE_HOME", self.project.join("state"));
        match identity {
            None => run,
            Some(path) if Path::new(path).extension().is_some_and(|end| end == "pass") => {
                run.arg("--recovery").env("VAULT_PASSPHRASE_FILE", folder().join(path))
            }
            Some(path) => run.env("VAULT_KEY_FILE", folder().join(path)),
        }
    }

    /// Stderr as it stands in `cases.json`.
    fn told(&self, output: &Output) -> String {
        let text = String::from_utf8_lossy(&output.stderr);
        text.replace(&format!("envs/{}.toml", self.environment), "FILE")
    }
}

/// The environment that a case is laid out as. A few say in the file, and by
/// the name of it, something that names none; the binary is never led to a file
/// of such a name, so it meets the content under a good one.
fn environment_of(case: &Value) -> &str {
    let name = text(case, "environment");
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let all = name.bytes().all(|byte| inner(byte) || b"_-".contains(&byte));
    if all && name.len() < 64 && name.bytes().next().is_some_and(inner) { name } else { "staging" }
}

/// Has every case judged, by as many workers as there are cores, and gives
/// what each says to it, in the order of the cases.
fn over_all<T: Send>(cases: &[Value], judge: impl Fn(&Value, &Laid<'_>) -> T + Sync) -> Vec<T> {
    let sandbox = Sandbox::new();
    let (next, said) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    let worker = |worker: usize| {
        let project = sandbox.path(format!("worker-{worker}"));
        while let Some((index, case)) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, cases.get(at)?)))
        {
            let environment = environment_of(case);
            sandbox.write(project.join(format!("envs/{environment}.toml")), bytes_of(case));
            let laid = Laid { sandbox: &sandbox, project: project.clone(), environment };
            let judgement = judge(case, &laid);
            said.lock().unwrap().insert(index, judgement);
            std::fs::remove_dir_all(&project).unwrap();
        }
    };
    std::thread::scope(|scope| {
        for number in 0..WORKERS {
            scope.spawn(move || worker(number));
        }
    });
    said.into_inner().unwrap().into_values().collect()
}

#[test]
fn every_good_file_opens_to_exactly_its_values() {
    let cases = cases(&["good", "good_generated"]);
    assert!(cases.len() > 30, "{}", cases.len());
    let wrong = over_all(&cases, |case, laid| {
        let mut wrong = Vec::new();
        for identity in texts(&case["identities"]) {
            let opens = texts(&case["opens"]).contains(&identity);
            let check = if opens { opened } else { not_opened };
            wrong.extend(
                check(case, laid, &identity).err().map(|what| format!("{identity}: {what}")),
            );
        }
        wrong.extend(without_a_key(case, laid).err());
        wrong.into_iter().map(|what| format!("{}: {what}", case["name"])).collect::<Vec<_>>()
    });
    let wrong = wrong.concat();
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Nothing on stderr, status 0; gives stdout.
fn good(output: Output) -> Result<Vec<u8>, String> {
    if output.code() == Some(0) && output.stderr.is_empty() {
        return Ok(output.stdout);
    }
    Err(format!("{:?} {}", output.code(), String::from_utf8_lossy(&output.stderr)))
}

#[expect(clippy::needless_pass_by_value, reason = "so that calls need no signs")]
fn same<T: PartialEq + std::fmt::Debug>(what: &str, got: T, wanted: T) -> Result<(), String> {
    if got == wanted {
        return Ok(());
    }
    Err(format!("{what} is {got:.200?} and not {wanted:.200?}"))
}

fn opened(case: &Value, laid: &Laid<'_>, identity: &str) -> Result<(), String> {
    let mut all = BTreeMap::new();
    let mut exportable = true;
    for (name, value) in case["values"].as_object().unwrap() {
        let value = decode(value.as_str().unwrap());
        let got = good(laid.vault(Some(identity), &["get", name]).run())?;
        same(name, String::from_utf8_lossy(&got), String::from_utf8_lossy(&value))?;
        same(name, got.len(), value.len())?;
        same(name, got == value, true)?;
        // JSON holds text only.
        match String::from_utf8(value) {
            Ok(text) => drop(all.insert(name.clone(), Value::from(text))),
            Err(_) => exportable = false,
        }
    }
    let export = laid.vault(Some(identity), &["export", "json", "--with-files"]).run();
    if exportable {
        let got: Value = serde_json::from_slice(&good(export)?).unwrap_or_default();
        same("the export", got, json!(all))?;
    } else {
        same("the export", (export.code() == Some(0), export.stdout.len()), (false, 0))?;
    }
    Ok(())
}

fn not_opened(case: &Value, laid: &Laid<'_>, identity: &str) -> Result<(), String> {
    for words in [&["export", "json"][..], &["get", "NAME"], &["set", "NAME=x"]] {
        let output = laid.vault(Some(identity), words).run();
        same("a stranger's status", output.code(), Some(4))?;
        same("a stranger's output", output.out(), "")?;
    }
    let there = std::fs::read(laid.project.join(format!("envs/{}.toml", laid.environment)));
    same("the file is unchanged", there.unwrap() == bytes_of(case), true)
}

/// What the file says to everybody.
fn without_a_key(case: &Value, laid: &Laid<'_>) -> Result<(), String> {
    let list = good(laid.vault(None, &["list", "--json"]).run())?;
    let list: Value = serde_json::from_slice(&list).unwrap_or_default();
    let mut secrets = json!({});
    for (name, kind) in case["kinds"].as_object().unwrap() {
        let kind = if kind == 0 { "variable" } else { "file" };
        let entry = json!({ "changed": case["changed"][name], "kind": kind });
        secrets[name] = json!({ laid.environment: entry });
    }
    same("the list", &list["secrets"], &secrets)?;

    let status = laid.vault(None, &["status", "--json"]).run();
    let status: Value = serde_json::from_slice(&good(status)?).unwrap_or_default();
    let found = &status["environments"][0];
    let names = |list: &Value, field: &str| -> BTreeSet<String> {
        let list = list.as_array().unwrap();
        list.iter().map(|item| item[field].as_str().unwrap().to_owned()).collect()
    };
    same("the members", names(&found["members"], "name"), texts(&case["members"]))?;
    same("the requests", names(&found["requests"], "name"), texts(&case["requests"]))?;
    let former = found["exposures"].as_array().unwrap().iter();
    let former = former.map(|entry| format!("{}.{}", text(entry, "member"), entry["removed"]));
    same("the former members", former.collect(), texts(&case["former"]))?;
    same("the count of values", &found["values"], &json!(secrets.as_object().unwrap().len()))
}

#[test]
fn every_hostile_file_is_refused_with_its_message() {
    let cases = cases(&["hostile"]);
    assert!(cases.len() > 300, "{}", cases.len());
    let said = over_all(&cases, |case, laid| {
        let output =
            laid.vault(Some(text(case, "identity")), &["export", "json", "--with-files"]).run();
        let told = laid.told(&output);
        let mut wrong = Vec::new();
        if i64::from(output.code().unwrap_or(-1)) != case["status"] {
            wrong.push(format!("status {:?} and not {}", output.code(), case["status"]));
        }
        if !output.stdout.is_empty() {
            wrong.push("something is printed".to_owned());
        }
        let path = laid.project.join(format!("envs/{}.toml", laid.environment));
        if std::fs::read(path).unwrap() != bytes_of(case) {
            wrong.push("the file was changed".to_owned());
        }
        let why = format!("{} ({})", text(case, "name"), text(case, "why"));
        (told, wrong.into_iter().map(|what| format!("{why}: {what}")).collect::<Vec<_>>())
    });
    let mut wrong: Vec<String> = said.iter().flat_map(|(_, wrong)| wrong.clone()).collect();
    if std::env::var_os("VAULT_TEST_RECORD").is_some_and(|value| value == "1") {
        record(cases.iter().map(|case| text(case, "name")).zip(said.iter().map(|said| &*said.0)));
    } else {
        for (case, (told, _)) in cases.iter().zip(&said) {
            let (name, message) = (text(case, "name"), text(case, "message"));
            if message.is_empty() {
                let mend = "run this test with VAULT_TEST_RECORD=1, then read the difference";
                wrong.push(format!("{name}: no message is recorded; {mend}. It is\n{told}"));
            } else if message != told {
                wrong.push(format!("{name}: says\n{told}and not\n{message}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Writes the messages into `cases.json`, in which each case is one line with
/// its message at the end.
fn record<'a>(messages: impl Iterator<Item = (&'a str, &'a str)>) {
    let path = folder().join("cases.json");
    let old = std::fs::read_to_string(&path).unwrap();
    let mut lines: Vec<String> = old.split('\n').map(str::to_owned).collect();
    for (name, message) in messages {
        let start = format!("{{\"name\": {}, ", json!(name));
        let field = "\"message\": ";
        let of_case = |line: &&mut String| line.starts_with(&start) && line.contains(field);
        let line = lines.iter_mut().find(of_case).unwrap_or_else(|| panic!("{name}: no line"));
        let comma = if line.ends_with(',') { "," } else { "" };
        // A `"` inside a message is escaped, so this is never found in one.
        line.truncate(line.rfind(field).unwrap() + field.len());
        line.extend([&*json!(message).to_string(), "}", comma]);
    }
    std::fs::write(path, lines.join("\n")).unwrap();
}

#[test]
fn the_reader_in_python_agrees_about_every_file() {
    let Some(python) = needs_python("pyrage") else { return };
    let sandbox = Sandbox::new();
    let run = sandbox.program(&python, [folder().join("run_reader.py")]).limit(READER_LIMIT).run();
    let output = run.expect_like(0, "[..] passed, 0 failed\n", "");
    let passed: usize = output.out().split(' ').next().unwrap().parse().unwrap();
    assert_eq!(passed, cases(&["good", "good_generated", "hostile"]).len());
}

#[test]
fn the_worked_example_of_the_specification_is_what_its_script_computes() {
    // Stands for the whole pinned environment; an older cryptography won't do.
    let Some(python) = needs_python("pyrage") else { return };
    let sandbox = Sandbox::new();
    let script = folder().join("worked_example.py");
    let page = Path::new(ROOT).join("docs/format.md");
    sandbox.program(&python, [&script]).arg("--check").arg(&page).run().expect_that(
        0,
        "nothing differs",
        |output| output.err().is_empty(),
    );
}

#[test]
fn the_reader_in_python_opens_a_file_that_the_binary_wrote() {
    let Some(python) = needs_python("pyrage") else { return };
    let alice = Sandbox::new();
    let reader = Path::new(ROOT).join("tests/data/reader.py");
    let read = |file: &str, more: &[&Path]| -> Value {
        let run = alice.program(&python, [&reader]).arg(alice.path(file)).args(more).run();
        serde_json::from_slice(&run.success().stdout).unwrap()
    };
    init(&alice, "alice", "staging");
    fill(&alice, "staging");
    let every: Vec<u8> = (1..=255).collect();
    let long = vec![b'l'; 131_071 - "LONG=".len()];
    let values: &[(&str, &[u8])] = &[
        ("EMPTY", b""),
        ("EVERY", &every),
        ("LINES", b"a\r\nb\n\n"),
        ("LONG", &long),
        ("P55", &[b'p'; 55]),
        ("P56", &[b'p'; 56]),
        ("P57", &[b'p'; 57]),
        ("TEXT", "\u{1f511} \"it's\" $HOME \\ #".as_bytes()),
    ];
    for (name, value) in values {
        set(&alice, "staging", name, value);
    }
    alice.vault(["unset", "-y", "-e", "staging", "ALPHA", "BETA"]).run().expect(0, "", "");

    let key = identity(&alice);
    let file = read(STAGING, &[Path::new("-i"), &key]);
    let secrets = file["secrets"].as_object().unwrap();
    let names: Vec<&str> = values.iter().map(|(name, _)| *name).collect();
    assert_eq!(secrets.keys().collect::<Vec<_>>(), names);
    for (name, value) in values {
        assert!(decode(text(&secrets[*name], "value_base64")) == *value, "{name}");
        assert_eq!((&secrets[*name]["kind"], &secrets[*name]["note"]), (&json!(0), &json!("")));
    }
    assert_eq!(file["members"]["alice"]["proof_ok"], true);
    let status = alice.vault(["status", "--json"]).run().success();
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(file["fingerprint"], status["environments"][0]["fingerprint"]);

    // A copy, with a request, and a note that came in with the value.
    let import = alice.vault(["import", "-e", "staging", "-"]).stdin("# ask Zo\u{eb}\nNOTED=1\n");
    import.run().expect(0, "", "vault: staging: 1 added\n");
    let copy = ["init", "--name", "alice", "-e", "copy", "--from", "staging"];
    alice.vault(copy).run().expect_that(0, "made", |output| output.out().is_empty());
    let public = text(&file["members"]["alice"], "key").to_owned();
    let request = format!("[requests.carol]\nkey = \"{public}\"\n");
    let copy = "project/envs/copy.toml";
    alice.write(copy, with_block(&alice.read(copy), &request));
    let copied = read(copy, &[Path::new("-i"), &key]);
    assert_eq!(copied["secrets"]["LONG"], file["secrets"]["LONG"]);
    assert_eq!(copied["secrets"]["NOTED"]["note"], " ask Zo\u{eb}".trim_start());
    assert_ne!((&copied["id"], &copied["key_id"]), (&file["id"], &file["key_id"]));
    assert!(copied["requests"].to_string().contains("carol"));
}

#[test]
fn a_seal_opens_by_hand_with_age_as_the_specification_says() {
    if !needs("age") {
        return;
    }
    let Some(python) = needs_python("tomllib") else { return };
    let page = std::fs::read_to_string(Path::new(ROOT).join("docs/format.md")).unwrap();
    let by_hand = page.split("## By hand").nth(1).unwrap();
    let block = by_hand.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    let alice = Sandbox::new();
    init(&alice, "alice", "staging");
    alice.write("project/staging.toml", alice.read(STAGING));
    let key = std::fs::read_to_string(identity(&alice)).unwrap();
    alice.write("project/key.txt", key);
    // The reader has a `python3` that is new enough; here it may be elsewhere.
    let bin = alice.path("bin");
    std::fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink(&python, bin.join("python3")).unwrap();
    let path = std::env::var_os("PATH").unwrap();
    let search = std::env::join_paths([bin].into_iter().chain(std::env::split_paths(&path)));
    let output = alice.sh(block).env("PATH", search.unwrap()).run().success();

    let file: toml::Table = alice.read(STAGING).parse().unwrap();
    let id = file["id"].as_str().unwrap();
    let head = format!("vault-seal 1\nenvironment staging\nid {id}\nkey ");
    let rest = output.out().strip_prefix(&head).unwrap_or_else(|| panic!("{}", output.out()));
    assert_eq!(decode(rest.strip_suffix('\n').unwrap()).len(), 32);
}
