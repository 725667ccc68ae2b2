//! The canonical text (format.md): the same content gives the same bytes.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::scan::{foreign_comments, scan};
use super::{Fault, VaultFile};
use crate::vars::name::EnvName;

/// The first line of every file that we write.
pub(super) fn header(environment: &EnvName) -> String {
    format!("# Encrypted environment. Read and change it with `vault edit {environment}`.")
}

impl VaultFile {
    /// The canonical text.
    ///
    /// # Errors
    ///
    /// The file would be over a limit, so that no reader would take it.
    pub(crate) fn to_text(&self) -> Result<String, Fault> {
        let mut text = self.head();
        text.reserve(512 * self.secrets.len());
        for (name, key) in &self.requests {
            table(&mut text, &format!("requests.{name}"));
            string(&mut text, "key", key.as_str());
        }
        for (name, record) in &self.secrets {
            table(&mut text, &format!("secrets.{name}"));
            base64(&mut text, "value", record.bytes());
        }
        scan(&text)
            .map_err(|fault| Fault::integrity(None, format!("not written: {}", fault.message)))?;
        Ok(text)
    }

    /// The part of the canonical text that stands before requests and values: what the vouches are about.
    pub(super) fn head(&self) -> String {
        let mut text = String::with_capacity(1024 * self.members.len() + 512);
        text.push_str(&header(&self.environment));
        text.push('\n');
        let integer = |text: &mut String, field: &str, value: u64| {
            let _ = writeln!(text, "{field} = {value}");
        };
        integer(&mut text, "vault", 1);
        string(&mut text, "environment", self.environment.as_str());
        base64(&mut text, "id", &self.id);
        integer(&mut text, "made", self.made);
        for (name, member) in &self.members {
            table(&mut text, &format!("members.{name}"));
            string(&mut text, "key", member.key.as_str());
            if let Some(locked) = &member.locked {
                base64(&mut text, "locked", locked);
            }
            base64(&mut text, "sealed", &member.sealed);
            string(&mut text, "by", member.by.as_str());
            if let Some(issuer) = &member.issued_by {
                string(&mut text, "issued_by", issuer.as_str());
            }
            if let Some(proof) = &member.proof {
                base64(&mut text, "proof", proof);
            }
            base64(&mut text, "vouch", &member.vouch);
        }
        for (name, former) in &self.former {
            table(&mut text, &format!("former.\"{name}\""));
            string(&mut text, "key", former.key.as_str());
            base64(&mut text, "vouch", &former.vouch);
        }
        text
    }
}

/// The lines with comments that [`VaultFile::to_text`] would lose.
pub(super) fn comments(text: &str, environment: &EnvName) -> Vec<usize> {
    foreign_comments(text, &header(environment))
}

fn table(text: &mut String, name: &str) {
    let _ = writeln!(text, "\n[{name}]");
}

fn string(text: &mut String, field: &str, value: &str) {
    let _ = writeln!(text, "{field} = \"{value}\"");
}

fn base64(text: &mut String, field: &str, value: &[u8]) {
    let _ = write!(text, "{field} = \"");
    BASE64.encode_string(value, text);
    text.push_str("\"\n");
}
