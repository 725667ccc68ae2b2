//! Units of systemd, under Honcho's names.
//!
//! `APP.target` wants a target for each type, which wants its services; whoever stops or restarts a target
//! does so with all that is part of it. The rules of quoting are those of systemd.service(5), "Command
//! lines", and systemd.syntax(7), "Quoting".

use std::fmt::Write as _;

use super::super::formation::Instance;
use super::super::procfile::RELEASE;
use super::{Plan, UnitFile, UnitFormat, Written, is_bare};

const HEAD: &str = "# Written by `vault export systemd`.\n";

pub(super) fn write(plan: &Plan) -> Written {
    let app = &plan.app;
    let all: Vec<&Instance> = plan.kept(UnitFormat::Systemd).collect();
    let mut types: Vec<&str> = Vec::new();
    for one in &all {
        if !types.contains(&one.type_name.as_str()) {
            types.push(&one.type_name);
        }
    }
    let release = all.iter().find(|one| one.type_name == RELEASE).map(|one| plan.name(one));
    let targets: Vec<String> = types.iter().map(|name| format!("{app}-{name}.target")).collect();
    let mut files = vec![UnitFile::new(
        format!("{app}.target"),
        format!(
            "{HEAD}[Unit]\nWants={}\n\n[Install]\nWantedBy=multi-user.target\n",
            targets.join(" ")
        ),
    )];
    for (name, target) in types.iter().zip(&targets) {
        let of_type = || all.iter().filter(|one| one.type_name == *name);
        let services: Vec<String> =
            of_type().map(|one| format!("{}.service", plan.name(one))).collect();
        files.push(UnitFile::new(
            target,
            format!("{HEAD}[Unit]\nPartOf={app}.target\nWants={}\n", services.join(" ")),
        ));
        for (one, service) in of_type().zip(services) {
            files.push(UnitFile::new(service, text(plan, one, target, release.as_deref())));
        }
    }
    let mut notices = Vec::new();
    if plan.has_vault() {
        notices.push(format!(
            "the units take their key from {place}: put it there with `vault grant MEMBER --new-key -e ENV | systemd-creds encrypt --name=vault-key - {place}`",
            place = credential(app)
        ));
    }
    (files, notices)
}

/// Where systemd looks for credentials that the administrator encrypted (systemd.exec(5)).
fn credential(app: &str) -> String {
    format!("/etc/credstore.encrypted/{app}.vault-key")
}

fn text(plan: &Plan, one: &Instance, target: &str, release: Option<&str>) -> String {
    let is_release = one.type_name == RELEASE;
    let mut text = format!("{HEAD}[Unit]\nPartOf={target}\n");
    let mut line = |name: &str, value: &str| {
        // A String takes all text.
        let _ = writeln!(text, "{name}={value}");
    };
    if let Some(release) = release.filter(|_| !is_release) {
        line("Requires", &format!("{release}.service"));
        line("After", &format!("{release}.service"));
    }
    line("\n[Service]\nUser", &specifiers(plan.user()));
    line("WorkingDirectory", &specifiers(&plan.folder.to_string_lossy()));
    if plan.has_vault() {
        line("LoadCredentialEncrypted", &format!("vault-key:{}", credential(&plan.app)));
        line("Environment", "VAULT_KEY_FILE=%d/vault-key");
        // A user of a service may have no home, and what was accepted has to be remembered somewhere.
        line("StateDirectory", &plan.app);
        line("Environment", &format!("XDG_STATE_HOME=%S/{}", plan.app));
    }
    for (name, value) in plan.variables(one) {
        line("Environment", &word(&format!("{name}={value}"), Dollar::Plain));
    }
    let mut words = plan.words(one, UnitFormat::Systemd).into_iter();
    // In the path of the program itself systemd looks for no variables.
    let program = words.next().map(|path| word(&path, Dollar::Plain));
    let arguments = words.map(|argument| word(&argument, Dollar::Doubled));
    line("ExecStart", &program.into_iter().chain(arguments).collect::<Vec<_>>().join(" "));
    if is_release {
        line("Type", "oneshot");
        // Without it the unit is inactive at its end, and every restart of a service that requires it
        // would run it again.
        line("RemainAfterExit", "yes");
    } else {
        line("Restart", "always");
    }
    line("StandardInput", "null");
    line("StandardOutput", "journal");
    line("StandardError", "journal");
    line("SyslogIdentifier", "%n");
    // The process itself is asked to end, and tells its own children; what is left then is killed.
    line("KillMode", "mixed");
    text.push_str("\n[Install]\nWantedBy=multi-user.target\n");
    text
}

/// What becomes of `$` in a setting.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dollar {
    /// It stands for itself, as in `Environment=`.
    Plain,
    /// It names a variable, as in the arguments of `ExecStart=`; two stand for one.
    Doubled,
}

/// A `%` begins a specifier everywhere; two stand for one.
fn specifiers(text: &str) -> String {
    text.replace('%', "%%")
}

/// One word. In single quotes, too, systemd reads escapes as C does.
fn word(text: &str, dollar: Dollar) -> String {
    if is_bare(text) {
        return text.to_owned();
    }
    let mut out = String::from("'");
    for c in text.chars() {
        match c {
            '\'' => out.push_str(r"\'"),
            '\\' => out.push_str(r"\\"),
            '\n' => out.push_str(r"\n"),
            '\t' => out.push_str(r"\t"),
            '%' => out.push_str("%%"),
            '$' if dollar == Dollar::Doubled => out.push_str("$$"),
            c => out.push(c),
        }
    }
    out.push('\'');
    out
}
