//! `[required]` against an environment: what is missing, and what does not look like what it has to be.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::lint::is_scheme;
use super::settings::{Requirement, Settings, ValueKind};
use crate::vars::name::{EnvName, VarName, shown};

/// What is wrong with one required variable. Never says anything of its value.
pub(crate) struct Missing<'a> {
    /// The variable.
    pub(crate) name: &'a VarName,
    /// What is wrong, to be read behind the name: "is missing".
    pub(crate) why: String,
}

/// Checks the final environment that a command would get: `value` looks a name up in it. `environments`
/// are those whose variables are in it.
pub(crate) fn missing<'a>(
    settings: &'a Settings,
    environments: &[EnvName],
    value: impl Fn(&VarName) -> Option<Vec<u8>>,
) -> Vec<Missing<'a>> {
    settings
        .required
        .iter()
        .filter(|(_, requirement)| concerns(requirement, environments))
        .filter_map(|(name, requirement)| {
            problem(requirement, value(name).as_deref()).map(|why| Missing { name, why })
        })
        .collect()
}

/// What is wrong with a value that is to be stored under this name, to be read behind the name.
pub(crate) fn unfit(
    settings: &Settings,
    environment: &EnvName,
    name: &VarName,
    value: &[u8],
) -> Option<String> {
    let requirement = settings.required.get(name)?;
    let concerned = concerns(requirement, std::slice::from_ref(environment));
    // An empty one that has to be there is not missing, it is empty.
    match problem(requirement, Some(value)).filter(|_| concerned) {
        Some(_) if value.is_empty() => Some("is empty, which counts as missing".to_owned()),
        other => other,
    }
}

fn concerns(requirement: &Requirement, environments: &[EnvName]) -> bool {
    let only = requirement.envs.as_ref();
    only.is_none_or(|only| only.iter().any(|name| environments.contains(name)))
}

fn problem(requirement: &Requirement, value: Option<&[u8]>) -> Option<String> {
    let value = value.filter(|value| requirement.allow_empty || !value.is_empty());
    let Some(value) = value else {
        return (!requirement.optional).then(|| "is missing".to_owned());
    };
    if value.is_empty() {
        return None;
    }
    if value.len() < requirement.min {
        return Some(format!("is shorter than {} bytes", requirement.min));
    }
    let wanted = match &requirement.kind {
        ValueKind::String => return None,
        ValueKind::Int => "an integer".to_owned(),
        ValueKind::Bool => "true or false".to_owned(),
        ValueKind::Url => "a URL".to_owned(),
        ValueKind::Pem => "PEM text".to_owned(),
        ValueKind::Base64 => "base64".to_owned(),
        ValueKind::Enum(words) => format!("one of {}", shown(&words.join(", "))),
    };
    (!looks_like(&requirement.kind, value)).then(|| format!("is not {wanted}"))
}

fn looks_like(kind: &ValueKind, value: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(value) else { return *kind == ValueKind::String };
    match kind {
        ValueKind::String => true,
        ValueKind::Int => text.parse::<i128>().is_ok(),
        ValueKind::Bool => {
            let word = text.to_ascii_lowercase();
            ["true", "false", "1", "0", "yes", "no", "on", "off"].contains(&word.as_str())
        }
        ValueKind::Url => is_url(text),
        ValueKind::Pem => text.contains("-----BEGIN ") && text.contains("-----END "),
        ValueKind::Base64 => BASE64.decode(text.trim_end()).is_ok(),
        ValueKind::Enum(words) => words.iter().any(|word| word == text),
    }
}

/// `scheme:something` without blanks (RFC 3986, section 3.1).
fn is_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    is_scheme(scheme)
        && !rest.is_empty()
        && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn found(settings: &str, environment: &str, vars: &[(&str, &str)]) -> Vec<String> {
        let settings = Settings::parse(settings.as_bytes(), Path::new("vault.toml")).unwrap();
        let value = |name: &VarName| {
            vars.iter()
                .find(|(key, _)| *key == name.as_str())
                .map(|(_, value)| value.as_bytes().to_vec())
        };
        missing(&settings, &[environment.parse().unwrap()], value)
            .iter()
            .map(|missing| format!("{} {}", missing.name, missing.why))
            .collect()
    }

    #[test]
    fn empty_counts_as_missing_unless_it_is_allowed() {
        let settings = "[required]\nA = \"string\"\nB = { kind = \"int\", allow_empty = true }\nC = { kind = \"url\", optional = true }\nP = { kind = \"int\", from = \"platform\" }";
        assert_eq!(found(settings, "e", &[("A", ""), ("B", "")]), ["A is missing"]);
        assert_eq!(found(settings, "e", &[("A", "x")]), ["B is missing"]);
        assert_eq!(
            found(settings, "e", &[("A", "x"), ("B", "1"), ("P", "eighty")]),
            ["P is not an integer"]
        );
    }

    #[test]
    fn a_kind_is_told_and_the_value_never() {
        let settings = "[required]\nI = \"int\"\nB = \"bool\"\nU = \"url\"\nM = \"pem\"\nS = \"base64\"\nE = { kind = \"enum\", of = [\"eu\", \"us\"] }\nT = { kind = \"string\", min = 4 }";
        let good = [
            ("I", "-1"),
            ("B", "True"),
            ("U", "postgres://u:p@h/db"),
            ("M", "-----BEGIN X-----\n-----END X-----"),
            ("S", "QUI="),
            ("E", "eu"),
            ("T", "abcd"),
        ];
        assert_eq!(found(settings, "e", &good), Vec::<String>::new());
        let bad = good.map(|(name, _)| (name, "?!"));
        let told = found(settings, "e", &bad);
        assert_eq!(told.len(), 7, "{told:?}");
        assert!(told.iter().all(|line| !line.contains("?!")), "{told:?}");
    }

    #[test]
    fn a_requirement_may_concern_some_environments_only() {
        let settings = "[required]\nA = { kind = \"string\", envs = [\"staging\"] }";
        assert_eq!(found(settings, "staging", &[]), ["A is missing"]);
        assert_eq!(found(settings, "development", &[]), Vec::<String>::new());
    }
}
