//! The file of `docker run --env-file`, as docker reads it (`opts/file.go` and `pkg/kvfile` of its command line):
//! nothing is quoted, and nothing is expanded.

use std::collections::BTreeMap;

use super::Unreadable;
use crate::secret::Secret;
use crate::vars::name::VarName;

/// A longer line docker does not read, in bytes.
pub(crate) const LINE_LIMIT: usize = (64 << 10) - 1;

const NO_VALUE: &str = "no `=`: docker would take the value from its surroundings";
const BAD_NAME: &str =
    "not a variable name: use letters, digits and \"_\", and no digit at the start";
const TOO_LONG: &str = "a line of over 64 KiB, which docker does not read";
const NUL: &str = "NUL byte, which no variable can hold";

/// Reads a whole file. Of a name that is there twice the later value holds.
///
/// # Errors
///
/// Every line that can't be taken.
pub(crate) fn read(text: &str) -> Result<Vec<(VarName, Secret)>, Vec<Unreadable>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (mut pairs, mut refused) = (BTreeMap::new(), Vec::new());
    let text = text.strip_suffix('\n').unwrap_or(text);
    for (index, line) in text.split('\n').enumerate() {
        match pair(line.strip_suffix('\r').unwrap_or(line)) {
            Ok(Some((name, value))) => drop(pairs.insert(name, value)),
            Ok(None) => {}
            Err(why) => refused.push(Unreadable { line: index + 1, why }),
        }
    }
    if refused.is_empty() { Ok(pairs.into_iter().collect()) } else { Err(refused) }
}

fn pair(line: &str) -> Result<Option<(VarName, Secret)>, &'static str> {
    if line.len() > LINE_LIMIT {
        return Err(TOO_LONG);
    }
    let line = line.trim_start_matches([' ', '\t']);
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (name, value) = line.split_once('=').ok_or(NO_VALUE)?;
    let name = name.parse().map_err(|_| BAD_NAME)?;
    if value.contains('\0') {
        return Err(NUL);
    }
    Ok(Some((name, Secret::new(value.as_bytes().to_vec()))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vars::dotenv::DIALECTS;

    #[test]
    fn a_value_is_the_rest_of_its_line() {
        let text = "\u{feff}A=1\n# B=2\n\n \tC= 'x' # y \r\nD=\nA=\\n$X=\n#";
        let read = read(text).unwrap();
        let read: Vec<(&str, &str)> =
            read.iter().map(|(name, value)| (name.as_str(), value.expose_str().unwrap())).collect();
        assert_eq!(read, [("A", "\\n$X="), ("C", " 'x' # y "), ("D", "")]);
    }

    #[test]
    fn gives_the_observed_answer_or_none_for_each_dialect_case() {
        let data: serde_json::Value = serde_json::from_str(DIALECTS).unwrap();
        let mut taken = 0;
        for case in data["cases"].as_array().unwrap() {
            let seen = &case["parsers"]["docker 28.2.2 --env-file"];
            match read(case["text"].as_str().unwrap()) {
                Ok(pairs) => {
                    let pair = |(name, value): (VarName, Secret)| {
                        (name.to_string(), value.expose_str().unwrap().into())
                    };
                    let vars: serde_json::Map<_, _> = pairs.into_iter().map(pair).collect();
                    assert_eq!(seen["vars"], serde_json::Value::from(vars), "{}", case["id"]);
                    taken += 1;
                }
                // What docker refuses too, or no vault can hold, or depends on its surroundings.
                Err(refused) => assert!(
                    seen.get("error").is_some()
                        || refused.iter().all(|one| [NO_VALUE, BAD_NAME].contains(&one.why)),
                    "{}",
                    case["id"]
                ),
            }
        }
        assert!(taken > 70, "{taken}");
    }

    #[test]
    fn every_line_that_docker_reads_otherwise_is_told() {
        let text = format!("A=1\nHOME\nexport B=1\n=x\nC=\0\nD={}\n", "x".repeat(64 << 10));
        let refused: Vec<(usize, &str)> =
            read(&text).unwrap_err().iter().map(|one| (one.line, one.why)).collect();
        assert_eq!(refused, [(2, NO_VALUE), (3, BAD_NAME), (4, BAD_NAME), (5, NUL), (6, TOO_LONG)]);
    }
}
