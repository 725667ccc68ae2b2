//! What containers are started from: a Compose file, and Deployments of Kubernetes.
//!
//! Both are YAML. Every text is written as a JSON string, which YAML 1.2 takes as it stands. In both a `$`
//! begins a reference and two stand for one: in every value of a Compose file (Compose specification,
//! "Interpolation"), and in the commands and values of a container (Kubernetes, "Define a Command and
//! Arguments for a Container").

use std::fmt::Write as _;

use super::super::formation::Instance;
use super::{Plan, UnitFile, UnitFormat, Written, dashed};
use crate::error::{Error, Result};

/// One service for each process, under the names that Honcho gives to processes.
pub(super) fn compose(plan: &Plan) -> Result<Written> {
    let app = label(&plan.app)?;
    // A String takes all text, here and below.
    let mut text =
        format!("# Written by `vault export compose`.\nname: {}\nservices:\n", quoted(&app));
    let variables = |one: &Instance| {
        let mut all = own_variables(plan, one);
        if plan.has_vault() {
            all.push(("VAULT_KEY_FILE", "/run/secrets/vault_key".to_owned()));
        }
        all
    };
    for one in plan.kept(UnitFormat::Compose) {
        let _ = write!(
            text,
            "  {}:\n    \
                 # The image that has the app, and vault in its PATH.\n    \
                 image: {}\n    \
                 # The image's own entrypoint could call vault a second time, without the key.\n    \
                 entrypoint: []\n    \
                 command:\n",
            quoted(&dashed(&one.name)),
            quoted(&app)
        );
        for word in plan.words(one, UnitFormat::Compose) {
            let _ = writeln!(text, "      - {}", quoted(&dollars(&word)));
        }
        text.push_str("    environment:\n");
        for (name, value) in variables(one) {
            let _ = writeln!(text, "      {name}: {}", quoted(&dollars(&value)));
        }
        if plan.has_vault() {
            text.push_str("    secrets:\n      - vault_key\n");
        }
        if let Some(user) = &plan.user {
            let _ = writeln!(text, "    user: {}", quoted(&dollars(user)));
        }
        text.push_str("    restart: always\n");
    }
    let mut notices = plan.image_notices(&app);
    if plan.has_vault() {
        text.push_str(
            "secrets:\n  \
               vault_key:\n    \
                 file: \"${VAULT_KEY_FILE:?the path of the file that holds the key}\"\n",
        );
        notices.push(
            "the key is mounted from the file that VAULT_KEY_FILE names where `docker compose` is called"
                .to_owned(),
        );
    }
    Ok((vec![UnitFile::new("compose.yaml", text)], notices))
}

/// One Deployment for each type.
pub(super) fn kubernetes(plan: &Plan) -> Result<Written> {
    let app = label(&plan.app)?;
    let mut files = Vec::new();
    let mut notices = plan.image_notices(&app);
    let first_of_types = plan.kept(UnitFormat::Kubernetes).filter(|one| one.number == 1);
    for one in first_of_types {
        let name = label(&format!("{app}-{}", one.type_name))?;
        let replicas =
            plan.instances.iter().filter(|other| other.type_name == one.type_name).count();
        files.push(UnitFile::new(format!("{name}.yaml"), deployment(plan, one, replicas, &app)?));
    }
    if plan.has_vault() {
        notices.push(format!(
            "the key comes from the secret `{app}-vault-key`: make it with \
             `kubectl create secret generic {app}-vault-key --from-file=VAULT_KEY=FILE`"
        ));
    }
    if plan.user.as_ref().is_some_and(|user| user.parse::<u32>().is_err()) {
        notices.push("`-u` has no effect: Kubernetes takes only a number".to_owned());
    }
    Ok((files, notices))
}

fn deployment(plan: &Plan, one: &Instance, replicas: usize, app: &str) -> Result<String> {
    let component = label(&one.type_name)?;
    let name = quoted(&label(&format!("{app}-{component}"))?);
    let labels = |indent: &str| {
        format!(
            "{indent}app.kubernetes.io/name: {}\n{indent}app.kubernetes.io/component: {}\n",
            quoted(app),
            quoted(&component)
        )
    };
    let mut text = format!(
        "# Written by `vault export k8s-deployment`.\n\
         apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\n  labels:\n{}\
         spec:\n  replicas: {replicas}\n  selector:\n    matchLabels:\n{}  \
         template:\n    metadata:\n      labels:\n{}    spec:\n",
        labels("    "),
        labels("      "),
        labels("        ")
    );
    if let Some(user) = plan.user.as_ref().and_then(|user| user.parse::<u32>().ok()) {
        let _ = write!(text, "      securityContext:\n        runAsUser: {user}\n");
    }
    let _ = write!(
        text,
        "      containers:\n        \
                 - name: {}\n          \
                   # The image that has the app, and vault in its PATH.\n          \
                   image: {}\n          \
                   command:\n",
        quoted(&component),
        quoted(app)
    );
    for word in plan.words(one, UnitFormat::Kubernetes) {
        let _ = writeln!(text, "            - {}", quoted(&dollars(&word)));
    }
    text.push_str("          env:\n");
    // The pods of a Deployment are alike, so that a number in the name would be the same in all of them:
    // they get the name of their type.
    let alike = Instance { name: one.type_name.clone(), ..one.clone() };
    for (name, value) in own_variables(plan, &alike) {
        let _ = write!(
            text,
            "            - name: {name}\n              value: {}\n",
            quoted(&dollars(&value))
        );
    }
    if plan.has_vault() {
        let _ = write!(
            text,
            "            - name: VAULT_KEY\n              \
                           valueFrom:\n                \
                             secretKeyRef:\n                  \
                               name: {}\n                  \
                               key: VAULT_KEY\n                  \
                               optional: false\n",
            quoted(&format!("{app}-vault-key"))
        );
    }
    Ok(text)
}

/// The unit's variables, less the folder of the project: an image has its own.
fn own_variables(plan: &Plan, one: &Instance) -> Vec<(&'static str, String)> {
    plan.variables(one).into_iter().filter(|(name, _)| *name != "VAULT_DIR").collect()
}

/// A name as Kubernetes wants it, the label of RFC 1123, which is also a name that Compose takes: lower case
/// letters, digits and `-`, not at its ends, at most 63.
fn label(name: &str) -> Result<String> {
    /// The limit of RFC 1123.
    const LONGEST: usize = 63;
    let plain: String = name
        .to_ascii_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let plain = plain.trim_matches('-');
    if plain.is_empty() || plain.len() > LONGEST {
        return Err(Error::failed(format!(
            "`{name}` is no name for Kubernetes and Compose: they want 1 to {LONGEST} letters, digits and `-`"
        )));
    }
    Ok(plain.to_owned())
}

fn dollars(text: &str) -> String {
    text.replace('$', "$$")
}

/// A string of JSON. What YAML does not take as printable is escaped, and so are the separators of lines and
/// paragraphs, which YAML 1.1 takes for the ends of lines.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            ' '..='~'
            | '\u{a0}'..='\u{2027}'
            | '\u{202a}'..='\u{d7ff}'
            | '\u{e000}'..='\u{fefe}'
            | '\u{ff00}'..='\u{fffd}' => {
                out.push(c);
            }
            '\u{10000}'.. => out.push(c),
            c => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
        }
    }
    out.push('"');
    out
}
