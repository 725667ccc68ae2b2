//! What is exported, read by its real readers: the values of `export_vectors.json`, and random ones made of what
//! readers stumble over.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are not #[test]")]

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::needs::{needs, needs_path, needs_python};
use crate::support::run::Output;
use crate::support::sandbox::Sandbox;
use crate::vaults::init;

const VECTORS: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/data/dotenv_dialects/export_vectors.json"
));
/// Pieces of random values.
const PIECES: [&str; 40] = [
    "a", "Z", "0", "1e3", " ", "  ", "\t", "\n", "\r", "'", "''", "\"", "\\", "\\\\", "\\n", "$",
    "${X}", "$(id)", "`id`", "#", " #", "=", ":", ": ", "-", "- ", "!", "%", "%{x}", "&", "*", "|",
    ">", "{", "[", "~", "null", "é", "\u{2028}", "🔑",
];

/// So many texts of less than `longest` pieces. The same in each run.
pub(crate) fn texts(count: usize, longest: usize, pieces: &[&str]) -> Vec<String> {
    // Numerical Recipes' generator, of which the high bits are good enough.
    let mut state = 20_261_124_u32;
    let mut below = |limit: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        usize::try_from(state >> 8).unwrap() % limit
    };
    let mut text = || {
        let length = below(longest);
        (0..length).map(|_| pieces[below(pieces.len())]).collect()
    };
    (0..count).map(|_| text()).collect()
}

/// Values by name: the vectors, and as many random ones. The same in each run.
pub(crate) fn values() -> BTreeMap<String, String> {
    let data: Value = serde_json::from_str(VECTORS).unwrap();
    let vectors = data["vectors"].as_array().unwrap().iter();
    let vectors = vectors.map(|case| case["value"].as_str().unwrap().to_owned());
    vectors
        .chain(texts(300, 9, &PIECES))
        .enumerate()
        .map(|(number, value)| (format!("V{number}"), value))
        .collect()
}

/// A vault with the values that `wanted` says yes to, and those.
pub(crate) fn vault(wanted: impl Fn(&str) -> bool) -> (Sandbox, BTreeMap<String, String>) {
    let mut values = values();
    values.retain(|_, value| wanted(value));
    let alice = Sandbox::new();
    init(&alice, "alice", "staging");
    let text = serde_json::to_string(&values).unwrap();
    let import = alice.vault(["import", "-e", "staging", "--format", "json", "-"]).stdin(text);
    import.run().expect_that(0, "it comes in", |_| true);
    (alice, values)
}

pub(crate) fn write(alice: &Sandbox, format: &str) {
    alice.vault(["export", "-e", "staging", format, "-o", "out"]).run().expect(0, "", "");
}

/// What `env -0` has printed.
fn environment(output: &Output) -> BTreeMap<String, String> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    let pairs = text.split('\0').filter_map(|pair| pair.split_once('='));
    let ours = pairs.filter(|(name, _)| name.starts_with('V') && *name != "VIRTUAL_ENV");
    ours.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[track_caller]
pub(crate) fn same(who: &str, got: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>) {
    for (name, value) in wanted {
        assert_eq!(got.get(name), Some(value), "{name} of {who}");
    }
    assert_eq!(got.len(), wanted.len(), "{who}");
}

/// What a script of Python prints as a JSON object of what it finds in the file `out`.
#[track_caller]
pub(crate) fn by_python(
    alice: &Sandbox,
    module: &str,
    script: &str,
) -> Option<BTreeMap<String, String>> {
    let python = needs_python(module)?;
    let script = format!("import json, sys\n{script}\nprint(json.dumps(found))");
    let output = alice.program(python, ["-c", &script]).run().success();
    Some(serde_json::from_str(output.out()).unwrap())
}

#[test]
fn shells_source_and_evaluate_it() {
    let (alice, values) = vault(|_| true);
    write(&alice, "shell");
    for shell in [&["bash"][..], &["dash"], &["zsh", "-f"], &["busybox", "sh"]] {
        if !needs(shell[0]) {
            return;
        }
        for script in [". ./out; exec env -0", "eval \"$(cat out)\"; exec env -0"] {
            let output = alice.program(shell[0], &shell[1..]).args(["-c", script]).run().success();
            same(shell[0], &environment(&output), &values);
        }
    }
    if needs("fish") {
        write_again(&alice, "fish");
        let words = ["--no-config", "-c", "source out; exec env -0"];
        same("fish", &environment(&alice.program("fish", words).run().success()), &values);
    }
}

pub(crate) fn write_again(alice: &Sandbox, format: &str) {
    alice.vault(["export", "-y", "-e", "staging", format, "-o", "out"]).run().expect(0, "", "");
}

#[test]
fn readers_of_json_and_yaml_find_the_same_strings() {
    let (alice, values) = vault(|_| true);
    write(&alice, "json");
    if needs("jq") {
        let output = alice.program("jq", [".", "out"]).run().success();
        same("jq", &serde_json::from_str(output.out()).unwrap(), &values);
    }
    let script = "found = json.load(open('out'))";
    if let Some(found) = by_python(&alice, "json", script) {
        same("json of Python", &found, &values);
    }
    write_again(&alice, "yaml");
    let script = "import yaml\nfound = yaml.safe_load(open('out', encoding='utf-8', newline=''))";
    if let Some(found) = by_python(&alice, "yaml", script) {
        same("PyYAML", &found, &values);
    }
    alice
        .vault([
            "export",
            "-y",
            "-e",
            "staging",
            "k8s",
            "--name",
            "shop",
            "--namespace",
            "web",
            "-o",
            "out",
        ])
        .run()
        .expect(0, "", "");
    let script = "import base64, yaml\nwhole = yaml.safe_load(open('out'))\n\
                  assert whole['metadata'] == {'name': 'shop', 'namespace': 'web'}, whole['metadata']\n\
                  assert (whole['apiVersion'], whole['kind'], whole['type']) == ('v1', 'Secret', 'Opaque')\n\
                  found = {name: base64.b64decode(text, validate=True).decode() for name, text in whole['data'].items()}";
    if let Some(found) = by_python(&alice, "yaml", script) {
        same("a Secret", &found, &values);
    }
}

#[test]
fn readers_of_files_of_variables_find_the_same_values() {
    // docker's reader, by its source: blanks go from the left of a line, and the rest is NAME=value.
    let (alice, values) = vault(|value| !value.contains('\n') && !value.ends_with('\r'));
    write(&alice, "docker");
    let script = "found = {}\nfor line in open('out', encoding='utf-8', newline='\\n'):\n    \
                  line = line.removesuffix('\\n').removesuffix('\\r').lstrip(' \\t')\n    \
                  if line and not line.startswith('#'):\n        name, _, value = line.partition('=')\n        \
                  found[name] = value";
    if let Some(found) = by_python(&alice, "json", script) {
        same("docker", &found, &values);
    }
    let (alice, values) = vault(|_| true);
    write(&alice, "null");
    if needs("xargs") {
        let output = alice.program("xargs", ["-0", "-a", "out", "env", "-i", "-0"]).run().success();
        same("xargs", &environment(&output), &values);
    }
    write_again(&alice, "tfvars-json");
    if let Some(found) =
        by_python(&alice, "json", "found = json.load(open('out', encoding='ascii'))")
    {
        same("the JSON of Terraform", &found, &values);
    }
}

/// The reader itself, in the library of systemd.
#[test]
fn systemd_reads_its_file_of_variables() {
    // Where it lies depends on the processor.
    let folders = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let folder = folders.map(|entry| entry.path().join("systemd")).find(|folder| {
        let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
        files
            .map(|file| file.file_name())
            .any(|name| name.to_string_lossy().starts_with("libsystemd-shared-"))
    });
    let folder = folder.map_or("libsystemd-shared".to_owned(), |found| found.display().to_string());
    if !needs_path(&folder) {
        return;
    }
    let (alice, values) = vault(|_| true);
    write(&alice, "systemd-env");
    let script = format!(
        "import ctypes, glob\nlibrary = ctypes.CDLL(glob.glob('{folder}/libsystemd-shared-*.so')[0])\n\
         lines = ctypes.POINTER(ctypes.c_char_p)()\n\
         assert library.load_env_file(None, b'out', ctypes.byref(lines)) >= 0\n\
         found, number = {{}}, 0\nwhile lines[number]:\n    \
         name, _, value = lines[number].decode().partition('=')\n    found[name] = value\n    number += 1"
    );
    if let Some(found) = by_python(&alice, "ctypes", &script) {
        same("systemd", &found, &values);
    }
}

#[test]
fn a_step_of_github_gets_its_lines_and_the_log_its_masks() {
    let (alice, values) = vault(|_| true);
    let unset = alice.vault(["export", "-e", "staging", "github"]).env_remove("GITHUB_ENV").run();
    unset.expect(
        1,
        "",
        "vault: GITHUB_ENV is not set: this is no step of GitHub Actions\n\
         hint: `-o FILE` writes the same lines to a file\n",
    );
    alice.write("project/out", "BEFORE=1\n");
    let run = alice.vault(["export", "-e", "staging", "github"]);
    let output = run.env("GITHUB_ENV", alice.path("project/out")).run().success();
    for line in output.out().lines() {
        let mask = line.strip_prefix("::add-mask::").unwrap_or_else(|| panic!("{line}"));
        let mask = mask.replace("%25", "%");
        assert!(values.values().any(|value| value.contains(&mask)), "{mask}");
    }
    for line in values.values().flat_map(|value| value.split(['\n', '\r'])) {
        let mask = format!("::add-mask::{}\n", line.replace('%', "%25"));
        assert!(line.chars().count() < 4 || output.out().contains(&mask), "{line}");
    }
    // The runner's rules: NAME<<END, lines, END.
    let script = "found, lines = {}, open('out', encoding='utf-8', newline='\\n').read().split('\\n')\n\
                  assert lines.pop(0) == 'BEFORE=1'\nwhile lines != ['']:\n    \
                  name, _, end = lines.pop(0).partition('<<')\n    at = lines.index(end)\n    \
                  found[name] = '\\n'.join(lines[:at])\n    del lines[:at + 1]";
    if let Some(found) = by_python(&alice, "json", script) {
        same("the runner", &found, &values);
    }
    alice.sh("ln -s out link").run().success();
    let link = alice.vault(["export", "-e", "staging", "github"]);
    let link = link.env("GITHUB_ENV", alice.path("project/link")).run();
    link.expect_that(1, "refused", |output| output.err().contains("and is not written through"));
}

#[test]
fn what_a_format_cannot_hold_is_refused_by_name() {
    let alice = Sandbox::new();
    init(&alice, "alice", "staging");
    alice.vault(["set", "-e", "staging", "PEM"]).stdin("line\nline\n").run().expect(0, "", "");
    alice.vault(["export", "-e", "staging", "docker"]).run().expect(
        1,
        "",
        "vault: PEM: the value holds a line end, which the docker format cannot hold\n",
    );
    for (words, told) in [
        (
            &["json", "--name", "x"][..],
            "vault: `json` takes no `--name`\nhint: `--name` belongs to k8s\n",
        ),
        (
            &["k8s", "--name", "My_App"],
            "vault: `--name My_App` is no name for Kubernetes\nhint: use lower-case letters, digits and `-`\n",
        ),
        (
            &["k8s", "--namespace", "a.b"],
            "vault: `--namespace a.b` is no name for Kubernetes\nhint: use lower-case letters, digits and `-`\n",
        ),
    ] {
        alice.vault(["export", "-e", "staging"]).args(words).run().expect(2, "", told);
    }
}
