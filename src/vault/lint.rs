//! Values that are taken and are probably a mistake: what Django's own `check --deploy` and people's evenings teach.
//! Each is a warning that never says anything of the value.

use super::settings::{Settings, ValueKind};
use crate::vars::name::{EnvName, VarName};

/// What Django's `startproject` puts before a key that it has made.
const INSECURE: &[u8] = b"django-insecure-";
/// Below so many characters Django warns (`security.W009`).
const SHORTEST_KEY: usize = 50;

const IN_A_PASSWORD: &str = "in a password `/ ? # @ [ %` are written %2F %3F %23 %40 %5B %25";

/// What is doubtful about a value that is stored under this name, to be read behind the name.
pub(crate) fn doubts(
    settings: &Settings,
    environment: &EnvName,
    name: &VarName,
    value: &[u8],
) -> Vec<String> {
    let requirement = settings.required.get(name);
    let mut doubts = Vec::new();
    if requirement.is_some_and(|requirement| requirement.platform) {
        doubts.push("is stored, and `vault.toml` says that the platform gives it".to_owned());
    }
    if is_production(environment) {
        let minimum = requirement.is_some_and(|requirement| requirement.min > 0);
        doubts.extend(in_production(name, value, minimum).map(str::to_owned));
    }
    // Who says that it is something else than a URL means it.
    // A name of `.env.example` has no kind that anybody chose.
    let chosen = requirement.filter(|_| settings.has_required);
    let may_be_a_url = chosen.is_none_or(|requirement| requirement.kind == ValueKind::Url);
    if may_be_a_url && (name.as_str() == "URL" || name.as_str().ends_with("_URL")) {
        let text = std::str::from_utf8(value).ok().filter(|text| !text.is_empty());
        doubts.extend(text.and_then(doubtful_url));
    }
    doubts
}

/// An environment whose name begins with the word, as `production-eu`.
fn is_production(environment: &EnvName) -> bool {
    let first = environment.as_str().split(['-', '_']).next().unwrap_or_default();
    ["production", "prod"].contains(&first)
}

fn in_production(name: &VarName, value: &[u8], has_minimum: bool) -> Option<&'static str> {
    match name.as_str() {
        "SECRET_KEY" | "DJANGO_SECRET_KEY" if value.starts_with(INSECURE) => {
            Some("begins with `django-insecure-`: Django made it for development")
        }
        "SECRET_KEY" | "DJANGO_SECRET_KEY" => {
            let characters = String::from_utf8_lossy(value).chars().count();
            (characters < SHORTEST_KEY && !has_minimum)
                .then_some("has under 50 characters, which Django calls too short")
        }
        "DEBUG" | "DJANGO_DEBUG" => {
            let word = value.to_ascii_lowercase();
            let on: [&[u8]; 6] = [b"true", b"1", b"yes", b"on", b"y", b"t"];
            on.contains(&word.as_slice()).then_some("is on: visitors see settings and source")
        }
        _ => None,
    }
}

/// Why a text is no URL reference (RFC 3986, section 4.1), or one that readers understand in different ways.
fn doubtful_url(text: &str) -> Option<String> {
    let wrong = |why: &str| Some(format!("does not parse as a URL: {why}; {IN_A_PASSWORD}"));
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Some("does not parse as a URL: there is white space in it".to_owned());
    }
    let escapes = text.split('%').skip(1);
    let is_escape =
        |rest: &str| rest.len() > 1 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    if !escapes.into_iter().all(is_escape) {
        return wrong("a `%` without two hexadecimal digits");
    }
    if text.contains('#') {
        return Some(
            "has a `#`, where the address ends for most programs; in a password it is %23"
                .to_owned(),
        );
    }
    let authority = text
        .split_once("//")
        .filter(|(before, _)| before.is_empty() || before.strip_suffix(':').is_some_and(is_scheme));
    let (_, authority) = authority?;
    let authority = authority.split(['/', '?']).next().unwrap_or_default();
    if authority.matches('@').count() > 1 {
        return wrong("a second `@`");
    }
    let hosts = authority.rsplit('@').next().unwrap_or_default();
    let has_port = |host: &str| {
        // A database of SQLite that is in memory.
        if host == ":memory:" {
            return true;
        }
        let behind = match host.strip_prefix('[') {
            Some(address) => address.split_once(']').map(|(_, behind)| behind),
            None if host.contains(['[', ']']) => None,
            None => host.find(':').map_or(Some(""), |colon| host.get(colon..)),
        };
        let port = behind.map(|behind| behind.strip_prefix(':').unwrap_or(behind));
        port.is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
    };
    // Databases take several hosts.
    if hosts.split(',').all(has_port) { None } else { wrong("no port where one should be") }
}

/// RFC 3986, section 3.1.
pub(super) fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn told(settings: &str, environment: &str, name: &str, value: &str) -> Vec<String> {
        let settings = Settings::parse(settings.as_bytes(), Path::new("vault.toml")).unwrap();
        let environment = environment.parse().unwrap();
        doubts(&settings, &environment, &name.parse().unwrap(), value.as_bytes())
    }

    #[test]
    fn what_is_meant_for_development_is_doubtful_in_production_alone() {
        let long = "x".repeat(50);
        let insecure = format!("django-insecure-{long}");
        for (name, value, doubtful) in [
            ("SECRET_KEY", long.as_str(), false),
            ("SECRET_KEY", "x", true),
            ("SECRET_KEY", &insecure, true),
            ("DJANGO_SECRET_KEY", &insecure, true),
            ("DEBUG", "True", true),
            ("DEBUG", "1", true),
            ("DEBUG", "false", false),
            ("DEBUG", "", false),
            ("OTHER", "x", false),
        ] {
            for (environment, counts) in
                [("production", true), ("prod-eu", true), ("staging", false), ("preprod", false)]
            {
                let told = told("", environment, name, value);
                assert_eq!(
                    told.len(),
                    usize::from(doubtful && counts),
                    "{name} {environment} {told:?}"
                );
                assert!(value.len() < 2 || told.iter().all(|text| !text.contains(value)));
            }
        }
        let minimum = "[required]\nSECRET_KEY = { kind = \"string\", min = 32 }";
        assert!(told(minimum, "production", "SECRET_KEY", "short").is_empty());
        assert_eq!(told(minimum, "production", "SECRET_KEY", &insecure).len(), 1);
    }

    #[test]
    fn a_url_that_readers_break_in_different_places_is_doubtful() {
        for good in [
            "postgres://u:p%40ss@db:5432/app?sslmode=require",
            "postgres://u:p@h1:5432,h2:5432/db",
            "postgres://u:p@[::1]:5432/db",
            "postgres://%2Fvar%2Frun/db",
            "sqlite:///db.sqlite3",
            "sqlite://:memory:",
            "redis://:pa$$word@h:6379/0",
            "amqp://u:p@h//",
            "mailto:a@b@c",
            "jdbc:postgresql://h:5432/db",
            "/static/",
            "static/",
            "//cdn.example.com/x",
            "https://example.com:/",
            "",
        ] {
            assert_eq!(told("", "staging", "A_URL", good), Vec::<String>::new(), "{good}");
        }
        for bad in [
            "postgres://u:p#ss@db/app",
            "postgres://u:p/ss@db/app",
            "postgres://u:p?ss@db/app",
            "postgres://u:p@ss@db/app",
            "postgres://u:100%@db/app",
            "postgres://u:p%4@db/app",
            "postgres://u:p[@db:5432]/app",
            "https://example.com:${PORT}/",
            "https://a b/",
            "https://[::1/",
        ] {
            let told = told("", "staging", "DATABASE_URL", bad);
            assert_eq!(told.len(), 1, "{bad} {told:?}");
            assert!(!told[0].contains("ss@") && !told[0].contains("app"), "{told:?}");
        }
        let other = "[required]\nA_URL = \"string\"";
        assert!(told(other, "staging", "A_URL", "a b").is_empty());
        assert!(told("", "staging", "URLS", "a b").is_empty());
    }

    #[test]
    fn what_the_platform_gives_is_not_stored() {
        let settings = "[required]\nPORT = { kind = \"int\", from = \"platform\" }";
        assert_eq!(told(settings, "staging", "PORT", "80").len(), 1);
    }
}
