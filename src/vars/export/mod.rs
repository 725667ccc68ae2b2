//! The text forms that variables can be exported in.
//!
//! A new format is a variant of [`Format`] with its place in [`Format::ALL`],
//! its row in [`Format::row`] and its function. (The compiler finds a missing
//! row, and calls a variant that is missing in the list dead code.)

mod text;

use std::fmt;
use std::str::FromStr;

use zeroize::Zeroizing;

pub(crate) use self::text::{github_masks, json_word, kamal_word, shell_word};
use super::Vars;
use super::dotenv::Unrepresentable;

/// A form of text that variables can be exported in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// The canonical dotenv file.
    Dotenv,
    /// Commands of a POSIX shell.
    Shell,
    /// Commands of fish.
    Fish,
    /// Commands of `PowerShell`.
    Powershell,
    /// A flat JSON object of strings.
    Json,
    /// A flat YAML mapping of strings.
    Yaml,
    /// The file of `docker run --env-file`.
    Docker,
    /// systemd's `EnvironmentFile=`.
    SystemdEnv,
    /// A Secret of Kubernetes.
    K8s,
    /// Lines for the file that `GITHUB_ENV` names.
    Github,
    /// What `fly secrets import` reads.
    Fly,
    /// Variables of Terraform.
    Tfvars,
    /// The same as JSON.
    TfvarsJson,
    /// `NAME=value` with a NUL behind each.
    Null,
}

/// What some formats hold besides the variables.
pub(crate) struct Options<'a> {
    /// The name of a Secret of Kubernetes.
    pub(crate) name: &'a str,
    /// Its namespace.
    pub(crate) namespace: Option<&'a str>,
    /// Gives a new line that stands in no value.
    pub(crate) delimiter: &'a dyn Fn() -> String,
}

/// Writes all variables in one format.
type Writer = fn(&Vars, &Options<'_>) -> text::Written;

impl Format {
    /// All of them, in the order for lists.
    pub(crate) const ALL: &[Self] = &[
        Self::Dotenv,
        Self::Shell,
        Self::Fish,
        Self::Powershell,
        Self::Json,
        Self::Yaml,
        Self::Docker,
        Self::SystemdEnv,
        Self::K8s,
        Self::Github,
        Self::Fly,
        Self::Tfvars,
        Self::TfvarsJson,
        Self::Null,
    ];

    /// The word for it on the command line, and its function.
    fn row(self) -> (&'static str, Writer) {
        match self {
            Self::Dotenv => ("dotenv", text::dotenv),
            Self::Shell => ("shell", text::shell),
            Self::Fish => ("fish", text::fish),
            Self::Powershell => ("powershell", text::powershell),
            Self::Json => ("json", text::json),
            Self::Yaml => ("yaml", text::yaml),
            Self::Docker => ("docker", text::docker),
            Self::SystemdEnv => ("systemd-env", text::systemd_env),
            Self::K8s => ("k8s", text::k8s),
            Self::Github => ("github", text::github),
            Self::Fly => ("fly", text::fly),
            Self::Tfvars => ("tfvars", text::tfvars),
            Self::TfvarsJson => ("tfvars-json", text::tfvars_json),
            Self::Null => ("null", text::null),
        }
    }

    /// The word for it on the command line.
    pub(crate) fn name(self) -> &'static str {
        self.row().0
    }

    /// The words for all of them.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        Self::ALL.iter().map(|format| format.name())
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(word: &str) -> Result<Self, UnknownFormat> {
        let found = Self::ALL.iter().find(|format| format.name() == word);
        found.copied().ok_or(UnknownFormat)
    }
}

/// A word that names no [`Format`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown export format")]
pub(crate) struct UnknownFormat;

/// A variable that a format cannot hold. Its text never holds the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable}, which the {format} format cannot hold")]
pub(crate) struct ExportError {
    /// The format that was asked for.
    pub(crate) format: Format,
    /// The variable, and what stands in the way.
    pub(crate) variable: Unrepresentable,
}

/// Writes all variables, sorted by name.
pub(crate) fn export(
    format: Format,
    vars: &Vars,
    options: &Options<'_>,
) -> Result<Zeroizing<Vec<u8>>, ExportError> {
    let (_, write) = format.row();
    write(vars, options).map_err(|variable| ExportError { format, variable })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::error::Error;

    use proptest::prelude::*;
    use serde_json::Value;

    use crate::secret::Secret;

    use super::*;

    /// What a test gives back, so that it can use `?`.
    type Outcome = Result<(), Box<dyn Error>>;

    const OPTIONS: Options<'_> =
        Options { name: "app", namespace: None, delimiter: &|| "DELIM".to_owned() };

    /// Variables with these values.
    fn vars(pairs: &[(&str, &[u8])]) -> Result<Vars, Box<dyn Error>> {
        let mut vars = Vars::default();
        for (name, value) in pairs {
            vars.insert(name.parse()?, Secret::new(value.to_vec()));
        }
        Ok(vars)
    }

    #[test]
    fn writes_the_observed_text_in_each_format() -> Outcome {
        let data: Value = serde_json::from_str(crate::vars::EXPORT_VECTORS)?;
        let cases = data["vectors"].as_array().ok_or("no vectors")?;
        assert_eq!(cases.len(), 45);
        for case in cases {
            let value = case["value"].as_str().ok_or("no value")?;
            let vars = vars(&[("K", value.as_bytes())])?;
            for format in Format::ALL.iter().filter(|format| **format != Format::Null) {
                let text = case["formats"][format.name()].as_str().map(str::as_bytes);
                let got = export(*format, &vars, &OPTIONS).ok();
                assert_eq!(got.as_ref().map(|got| got.as_slice()), text, "{format} {}", case["id"]);
            }
        }
        Ok(())
    }

    #[test]
    fn sorts_by_name() -> Outcome {
        let vars = vars(&[("B", b"2"), ("_", b""), ("A", b"1 2")])?;
        assert_eq!(export(Format::Dotenv, &vars, &OPTIONS)?.as_slice(), b"A='1 2'\nB=2\n_=\n");
        assert_eq!(
            export(Format::Json, &vars, &OPTIONS)?.as_slice(),
            b"{\"A\": \"1 2\", \"B\": \"2\", \"_\": \"\"}\n"
        );
        Ok(())
    }

    #[test]
    fn nothing_is_a_file_too() -> Outcome {
        assert_eq!(export(Format::Dotenv, &Vars::default(), &OPTIONS)?.as_slice(), b"");
        assert_eq!(export(Format::Json, &Vars::default(), &OPTIONS)?.as_slice(), b"{}\n");
        Ok(())
    }

    #[test]
    fn refuses_with_the_name_and_the_format() -> Outcome {
        let binary = vars(&[("A", b"x"), ("KEY", b"hunter2\xff")])?;
        for format in Format::ALL {
            let written = export(*format, &binary, &OPTIONS);
            if matches!(format, Format::Shell | Format::K8s | Format::Null) {
                assert!(written.is_ok(), "{format}");
                continue;
            }
            let error = written.err().ok_or("no error")?;
            let text =
                format!("KEY: the value is not UTF-8, which the {format} format cannot hold");
            assert_eq!(error.to_string(), text);
        }
        let nul = vars(&[("KEY", b"\0")])?;
        let holds = |format: &&Format| export(**format, &nul, &OPTIONS).is_ok();
        let holding: Vec<&str> = Format::ALL.iter().filter(holds).map(|one| one.name()).collect();
        assert_eq!(holding, ["json", "yaml", "k8s", "tfvars-json"]);
        assert_eq!(export(Format::Json, &nul, &OPTIONS)?.as_slice(), b"{\"KEY\": \"\\u0000\"}\n");
        Ok(())
    }

    #[test]
    fn refuses_what_a_reader_would_change() -> Outcome {
        let refused = |format: Format, value: &str| -> Result<bool, Box<dyn Error>> {
            Ok(export(format, &vars(&[("K", value.as_bytes())])?, &OPTIONS).is_err())
        };
        let accent_in_parts = "e\u{301}";
        for (format, value) in [
            (Format::Docker, "a\nb"),
            (Format::Docker, "a\r"),
            (Format::Docker, &"x".repeat(64 << 10)),
            (Format::Fly, "a\r\nb"),
            (Format::Fly, "a\"\"\"b"),
            (Format::Fly, "'\"#"),
            (Format::Tfvars, accent_in_parts),
            (Format::TfvarsJson, accent_in_parts),
        ] {
            assert!(refused(format, value)?, "{format} {value:.9}");
        }
        assert!(!refused(Format::Docker, &"x".repeat((64 << 10) - 3))?);
        assert!(!refused(Format::Tfvars, "\u{e9}")?);
        let null = export(Format::Null, &vars(&[("A", b"1\n\xff"), ("B", b"")])?, &OPTIONS)?;
        assert_eq!(null.as_slice(), b"A=1\n\xff\0B=\0");
        Ok(())
    }

    #[test]
    fn masks_are_lines_of_four_characters_or_more() -> Outcome {
        let vars = vars(&[("A", b"100%\nabc\r\nlonger line"), ("B", b"\xc3\xa9\xc3\xa9")])?;
        assert_eq!(
            github_masks(&vars).as_slice(),
            b"::add-mask::100%25\n::add-mask::longer line\n"
        );
        Ok(())
    }

    #[test]
    fn formats_have_names() {
        for name in Format::names() {
            assert_eq!(name.parse::<Format>().map(Format::name), Ok(name));
        }
        assert_eq!("JSON".parse::<Format>(), Err(UnknownFormat));
    }

    proptest! {
        #[test]
        fn json_reads_back(
            values in proptest::collection::btree_map("[A-Z_]{1,3}", any::<String>(), 0..4),
        ) {
            let pairs: Vec<_> = values.iter().map(|(k, v)| (k.as_str(), v.as_bytes())).collect();
            let vars = vars(&pairs).map_err(|error| TestCaseError::fail(error.to_string()))?;
            let text = export(Format::Json, &vars, &OPTIONS)
                .map_err(|error| TestCaseError::fail(error.to_string()))?;
            let read: BTreeMap<String, String> = serde_json::from_slice(&text)
                .map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert_eq!(read, values);
        }
    }
}
