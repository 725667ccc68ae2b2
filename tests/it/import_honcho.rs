//! `vault import --dialect honcho` beside Honcho itself.

use serde_json::Value;

use crate::export_readers::texts;
use crate::support::needs::needs_python;
use crate::support::sandbox::Sandbox;
use crate::vaults::init;

const DIALECTS: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/dotenv_dialects/dialects.json"));

/// What lines are made of: names, and what Honcho, `shlex` or a person could stumble over.
const PIECES: [&str; 34] = [
    "A=", "B = ", "A_1=", "\nC=", "\nD=", "\n", "\n", "export ", "=", "x", "y z", " ", "\t", "'",
    "''", "\"", "\"\"", "\\", "\\n", "\\t", "\\\"", "#", " # ", "$X", "${X}", "`", "é", "€", "-",
    "{}", "\r\n", "\u{2028}", "\u{feff}", "/",
];

/// The same texts to both: what Honcho reads is stored, and what it can't read, or no vault can hold, is refused.
/// Gives how many were taken.
fn compare(texts: &[String]) -> Option<usize> {
    let python = needs_python("honcho.environ")?;
    let sandbox = Sandbox::new();
    init(&sandbox, "alice", "staging");
    let script = "import json, sys\nfrom honcho.environ import parse\ndef read(text):\n    try: return parse(text)\n    \
                  except Exception: return None\n\
                  print(json.dumps([read(text) for text in json.load(sys.stdin)]))";
    let input = serde_json::to_string(texts).ok()?;
    let honcho = sandbox.program(python, ["-c", script]).stdin(input).run().success();
    let honcho: Vec<Value> = serde_json::from_slice(&honcho.stdout).ok()?;
    let mut taken = 0;
    for (text, wanted) in texts.iter().zip(&honcho) {
        let words = ["import", "-e", "staging", "-y", "--dialect", "honcho", "--replace", "-"];
        let output = sandbox.vault(words).stdin(text).run();
        if output.code() == Some(0) {
            let got = sandbox.vault(["export", "-e", "staging", "json"]).run().success();
            assert_eq!(
                serde_json::from_slice::<Value>(&got.stdout).ok().as_ref(),
                Some(wanted),
                "{text:?}"
            );
            taken += 1;
        } else {
            // It can't be read, or has a name that no variable of a vault has.
            let storable = |name: &String| {
                let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
                name.bytes().all(word) && !name.starts_with(|first: char| first.is_ascii_digit())
            };
            let pairs = wanted.as_object().filter(|pairs| pairs.keys().all(storable));
            assert!(pairs.is_none(), "{text:?}: {}", output.err());
            assert_eq!(output.code(), Some(5), "{text:?}");
        }
    }
    assert_eq!(texts.len(), honcho.len());
    Some(taken)
}

#[test]
fn each_text_on_which_readers_differ_comes_in_as_honcho_reads_it() {
    let data: Value = serde_json::from_str(DIALECTS).unwrap();
    let cases = data["cases"].as_array().unwrap().iter();
    let texts: Vec<String> = cases.map(|case| case["text"].as_str().unwrap().to_owned()).collect();
    assert_eq!(texts.len(), 109);
    if let Some(taken) = compare(&texts) {
        assert!(taken > 80, "{taken}");
    }
}

#[test]
fn random_texts_come_in_as_honcho_reads_them() {
    let texts: Vec<String> =
        texts(150, 14, &PIECES).into_iter().map(|text| format!("A='1'\nZ={text}")).collect();
    if let Some(taken) = compare(&texts) {
        assert!(taken > 40, "{taken}");
    }
}
