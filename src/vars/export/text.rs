//! The writers: one function for each format, and the quoting of its reader.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use zeroize::Zeroizing;

use super::Options;
use crate::vars::Vars;
use crate::vars::dotenv::{self, Unrepresentable, Why};
use crate::vars::name::VarName;

/// What a writer gives.
pub(super) type Written = Result<Zeroizing<Vec<u8>>, Unrepresentable>;

/// What a writer of one value alone gives.
type Word = Result<Zeroizing<Vec<u8>>, Why>;

/// Lets `one` write each variable. There is room for the longest form of all, `growth` bytes for each byte and
/// `around` beside them: a buffer that grows leaves copies of values behind.
fn each(
    vars: &Vars,
    growth: usize,
    around: usize,
    one: impl Fn(&mut Vec<u8>, &VarName, &[u8]) -> Result<(), Why>,
) -> Written {
    let size = |(name, value): (&VarName, &crate::secret::Secret)| {
        growth * value.expose().len() + name.as_str().len() + around
    };
    let mut out = Zeroizing::new(Vec::with_capacity(vars.iter().map(size).sum()));
    for (name, value) in vars.iter() {
        one(&mut out, name, value.expose())
            .map_err(|why| Unrepresentable { name: name.clone(), why })?;
    }
    Ok(out)
}

fn text(value: &[u8]) -> Result<&str, Why> {
    std::str::from_utf8(value).map_err(|_| Why::NotUtf8)
}

/// Most readers end at the first NUL, or refuse it.
fn without_nul(value: &[u8]) -> Result<&[u8], Why> {
    if value.contains(&0) { Err(Why::Nul) } else { Ok(value) }
}

/// Text that such a reader takes.
fn plain(value: &[u8]) -> Result<&str, Why> {
    text(without_nul(value)?)
}

fn put(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}

/// Writes bytes with some of them replaced.
fn escaped(out: &mut Vec<u8>, value: &[u8], escape: impl Fn(u8) -> Option<&'static [u8]>) {
    for byte in value {
        match escape(*byte) {
            Some(instead) => out.extend_from_slice(instead),
            None => out.push(*byte),
        }
    }
}

/// What stands for a letter between double quotes, in YAML, JSON and Terraform alike.
fn between_quotes(letter: char) -> Option<&'static [u8]> {
    match letter {
        '"' => Some(br#"\""#),
        '\\' => Some(br"\\"),
        '\n' => Some(br"\n"),
        '\r' => Some(br"\r"),
        '\t' => Some(br"\t"),
        _ => None,
    }
}

/// The canonical dotenv file.
pub(super) fn dotenv(vars: &Vars, _: &Options<'_>) -> Written {
    dotenv::write(vars.iter().map(|(name, value)| (name, value.expose(), "")))
}

/// For a POSIX shell: `.` or `eval`. Any bytes but NUL.
pub(super) fn shell(vars: &Vars, _: &Options<'_>) -> Written {
    each(vars, 4, "export =''\n".len(), |out, name, value| {
        put(out, &[b"export ", name.as_str().as_bytes(), b"="]);
        put_shell_word(out, value)?;
        put(out, &[b"\n"]);
        Ok(())
    })
}

fn put_shell_word(out: &mut Vec<u8>, value: &[u8]) -> Result<(), Why> {
    out.push(b'\'');
    escaped(out, without_nul(value)?, |byte| (byte == b'\'').then_some(br"'\''"));
    out.push(b'\'');
    Ok(())
}

/// A value alone as a word of a POSIX shell.
pub(crate) fn shell_word(value: &[u8]) -> Word {
    let mut out = Zeroizing::new(Vec::with_capacity(4 * value.len() + 2));
    put_shell_word(&mut out, value)?;
    Ok(out)
}

/// A value alone as a JSON string.
pub(crate) fn json_word(value: &[u8]) -> Word {
    let mut out = Zeroizing::new(Vec::with_capacity(6 * value.len() + 2));
    json_string(&mut out, text(value)?, false);
    Ok(out)
}

/// A value alone for `$(…)` in the secrets file of Kamal. That takes what the command prints as it is, less one
/// line end; but Kamal writes it into docker's file for the container as Ruby's `String#dump` does, and there a
/// control character becomes an escape, and a backslash two.
pub(crate) fn kamal_word(value: &[u8]) -> Word {
    let letters = plain(value)?;
    if letters.contains(|c: char| c.is_ascii_control() || c == '\\') {
        return Err(Why::Dumped);
    }
    Ok(Zeroizing::new(value.to_vec()))
}

/// For fish, in which `\` is special between single quotes too.
pub(super) fn fish(vars: &Vars, _: &Options<'_>) -> Written {
    each(vars, 2, "set -gx  ''\n".len(), |out, name, value| {
        put(out, &[b"set -gx ", name.as_str().as_bytes(), b" '"]);
        escaped(out, plain(value)?.as_bytes(), |byte| match byte {
            b'\'' => Some(br"\'"),
            b'\\' => Some(br"\\"),
            _ => None,
        });
        put(out, &[b"'\n"]);
        Ok(())
    })
}

/// For `PowerShell`. The typographic quotes end a text there as `'` does.
pub(super) fn powershell(vars: &Vars, _: &Options<'_>) -> Written {
    each(vars, 2, "$env: = ''\n".len(), |out, name, value| {
        put(out, &[b"$env:", name.as_str().as_bytes(), b" = '"]);
        for letter in plain(value)?.chars() {
            let mut bytes = [0; 4];
            let letter_bytes = letter.encode_utf8(&mut bytes).as_bytes();
            out.extend_from_slice(letter_bytes);
            if matches!(letter, '\'' | '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{201b}') {
                out.extend_from_slice(letter_bytes);
            }
        }
        put(out, &[b"'\n"]);
        Ok(())
    })
}

/// A YAML mapping, with every value in double quotes, so that none is a number, a date or null.
pub(super) fn yaml(vars: &Vars, _: &Options<'_>) -> Written {
    each(vars, 6, ": \"\"\n".len(), |out, name, value| {
        put(out, &[name.as_str().as_bytes(), b": \""]);
        for letter in text(value)?.chars() {
            if let Some(escape) = between_quotes(letter) {
                out.extend_from_slice(escape);
                continue;
            }
            match letter {
                '\0'..='\x1f' | '\x7f' => push_hex(out, "\\x", u32::from(letter), 2),
                // What YAML calls not printable, or takes for the end of a line.
                '\u{80}'..='\u{a0}'
                | '\u{2028}'
                | '\u{2029}'
                | '\u{feff}'
                | '\u{fffe}'
                | '\u{ffff}' => push_hex(out, "\\u", u32::from(letter), 4),
                letter => push_char(out, letter),
            }
        }
        put(out, &[b"\"\n"]);
        Ok(())
    })
}

/// `docker run --env-file`, and Compose with `format: raw`: nothing is quoted.
pub(super) fn docker(vars: &Vars, _: &Options<'_>) -> Written {
    each(vars, 1, "=\n".len(), |out, name, value| {
        plain(value)?;
        if value.contains(&b'\n') {
            return Err(Why::LineEnd);
        }
        if value.ends_with(b"\r") {
            return Err(Why::EndsInCr);
        }
        if name.as_str().len() + 1 + value.len() > dotenv::docker::LINE_LIMIT {
            return Err(Why::LineTooLong);
        }
        put(out, &[name.as_str().as_bytes(), b"=", value, b"\n"]);
        Ok(())
    })
}

/// `EnvironmentFile=` of systemd (systemd.exec(5)).
pub(super) fn systemd_env(vars: &Vars, _: &Options<'_>) -> Written {
    each(vars, 2, "=\"\"\n".len(), |out, name, value| {
        put(out, &[name.as_str().as_bytes(), b"=\""]);
        escaped(out, plain(value)?.as_bytes(), |byte| match byte {
            b'\\' => Some(br"\\"),
            b'"' => Some(br#"\""#),
            b'$' => Some(br"\$"),
            b'`' => Some(br"\`"),
            _ => None,
        });
        put(out, &[b"\"\n"]);
        Ok(())
    })
}

/// A Secret of Kubernetes. Any bytes. The base64 is quoted, because some of it is null or true for YAML.
pub(super) fn k8s(vars: &Vars, options: &Options<'_>) -> Written {
    let namespace = options.namespace.map(|name| format!("\n  namespace: {name}"));
    let head = format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: {}{}\ntype: Opaque\ndata:{}",
        options.name,
        namespace.unwrap_or_default(),
        if vars.is_empty() { " {}\n" } else { "\n" }
    );
    let data = each(vars, 2, "  : \"====\"\n".len(), |out, name, value| {
        let coded = Zeroizing::new(BASE64.encode(value));
        put(out, &[b"  ", name.as_str().as_bytes(), b": \"", coded.as_bytes(), b"\"\n"]);
        Ok(())
    })?;
    Ok(Zeroizing::new([head.as_bytes(), data.as_slice()].concat()))
}

/// Lines for `GITHUB_ENV`, each value between two lines that no value has.
pub(super) fn github(vars: &Vars, options: &Options<'_>) -> Written {
    each(vars, 1, 256, |out, name, value| {
        plain(value)?;
        let end = (options.delimiter)();
        let name = name.as_str().as_bytes();
        put(out, &[name, b"<<", end.as_bytes(), b"\n", value, b"\n", end.as_bytes(), b"\n"]);
        Ok(())
    })
}

/// Commands to the runner of GitHub Actions that hide values in its log: one for each line of a value that has
/// four characters or more. Shorter ones stand everywhere.
pub(crate) fn github_masks(vars: &Vars) -> Zeroizing<Vec<u8>> {
    const BEFORE: &[u8] = b"::add-mask::";
    let lines = || {
        let values = vars.iter().map(|(_, value)| value.expose());
        let lines = values.flat_map(|value| value.split(|byte| b"\r\n".contains(byte)));
        lines.filter(|line| String::from_utf8_lossy(line).chars().count() >= 4)
    };
    let room = lines().map(|line| BEFORE.len() + 3 * line.len() + 1).sum();
    let mut out = Zeroizing::new(Vec::with_capacity(room));
    for line in lines() {
        out.extend_from_slice(BEFORE);
        escaped(&mut out, line, |byte| (byte == b'%').then_some(b"%25"));
        out.push(b'\n');
    }
    out
}

/// `fly secrets import`. Of what its reader could get wrong all is refused.
pub(super) fn fly(vars: &Vars, _: &Options<'_>) -> Written {
    each(vars, 1, "=\"\"\"\"\"\"\n".len(), |out, name, value| {
        plain(value)?;
        if value.windows(2).any(|two| two == b"\r\n") || value.ends_with(b"\r") {
            return Err(Why::CrLf);
        }
        if value.windows(3).any(|three| three == b"\"\"\"") {
            return Err(Why::ThreeQuotes);
        }
        let name = name.as_str().as_bytes();
        if !has_comment(value) {
            put(out, &[name, b"=\"\"\"", value, b"\"\"\"\n"]);
        } else if value.iter().any(|byte| b"'\n".contains(byte)) {
            return Err(Why::QuoteAndComment);
        } else {
            put(out, &[name, b"='", value, b"'\n"]);
        }
        Ok(())
    })
}

/// Whether a `#` stands behind an odd number of `"`: fly begins a comment there.
fn has_comment(value: &[u8]) -> bool {
    let mut odd = false;
    value.iter().any(|byte| {
        odd ^= *byte == b'"';
        odd && *byte == b'#'
    })
}

/// Variables of Terraform. What it composes anew (Unicode's NFC) it would not give back as it was.
pub(super) fn tfvars(vars: &Vars, _: &Options<'_>) -> Written {
    each(vars, 6, " = \"\"\n".len(), |out, name, value| {
        put(out, &[name.as_str().as_bytes(), b" = \""]);
        let letters = plain(value)?;
        check_composed(letters)?;
        let mut before = ' ';
        for letter in letters.chars() {
            match (letter, between_quotes(letter)) {
                (_, Some(escape)) => out.extend_from_slice(escape),
                // `${` and `%{` begin a template; the sign is doubled, which is seen only at the brace.
                ('{', _) if before == '$' => out.extend_from_slice(b"${"),
                ('{', _) if before == '%' => out.extend_from_slice(b"%{"),
                ('\0'..='\x1f', _) => push_hex(out, "\\u", u32::from(letter), 4),
                _ => push_char(out, letter),
            }
            before = letter;
        }
        put(out, &[b"\"\n"]);
        Ok(())
    })
}

/// The same as JSON, which has no templates, in ASCII.
pub(super) fn tfvars_json(vars: &Vars, _: &Options<'_>) -> Written {
    object(vars, |out, value| {
        check_composed(value)?;
        json_string(out, value, true);
        Ok(())
    })
}

/// One line with a flat object of strings.
pub(super) fn json(vars: &Vars, _: &Options<'_>) -> Written {
    object(vars, |out, value| {
        json_string(out, value, false);
        Ok(())
    })
}

/// `NAME=value` with a NUL behind each, as `env -0` writes them. Any bytes but NUL.
pub(super) fn null(vars: &Vars, _: &Options<'_>) -> Written {
    each(vars, 1, "=\0".len(), |out, name, value| {
        put(out, &[name.as_str().as_bytes(), b"=", without_nul(value)?, b"\0"]);
        Ok(())
    })
}

/// Combining marks, and the letters that have another form of their own: nothing else is composed anew.
fn check_composed(value: &str) -> Result<(), Why> {
    use unicode_normalization::UnicodeNormalization as _;
    if value.is_ascii() || value.chars().eq(value.nfc()) { Ok(()) } else { Err(Why::NotComposed) }
}

fn object(vars: &Vars, value: impl Fn(&mut Vec<u8>, &str) -> Result<(), Why>) -> Written {
    let mut out = each(vars, 6, "{\"\": \"\", }\n".len(), |out, name, bytes| {
        out.extend_from_slice(if out.is_empty() { b"{" } else { b", " });
        json_string(out, name.as_str(), false);
        out.extend_from_slice(b": ");
        value(out, text(bytes)?)
    })?;
    out.extend_from_slice(if vars.is_empty() { b"{}\n" } else { b"}\n" });
    Ok(out)
}

/// Writes a JSON string with no more escapes than JSON demands, or in ASCII.
fn json_string(out: &mut Vec<u8>, text: &str, ascii: bool) {
    out.push(b'"');
    for letter in text.chars() {
        if let Some(escape) = between_quotes(letter) {
            out.extend_from_slice(escape);
            continue;
        }
        match letter {
            '\x08' => out.extend_from_slice(br"\b"),
            '\x0c' => out.extend_from_slice(br"\f"),
            '\0'..='\x1f' => push_hex(out, "\\u", u32::from(letter), 4),
            letter if ascii && !(' '..='~').contains(&letter) => {
                let mut units = [0; 2];
                for unit in letter.encode_utf16(&mut units) {
                    push_hex(out, "\\u", u32::from(*unit), 4);
                }
            }
            letter => push_char(out, letter),
        }
    }
    out.push(b'"');
}

fn push_char(out: &mut Vec<u8>, letter: char) {
    let mut bytes = [0; 4];
    out.extend_from_slice(letter.encode_utf8(&mut bytes).as_bytes());
}

fn push_hex(out: &mut Vec<u8>, before: &str, number: u32, digits: usize) {
    let mut text = Zeroizing::new(String::with_capacity(8));
    // Writing to a string can't fail.
    let _ = write!(text, "{before}{number:0digits$x}");
    out.extend_from_slice(text.as_bytes());
}
