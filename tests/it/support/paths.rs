//! The paths that Rust source names, in `use` and elsewhere, for the rules of
//! `rooms`, in whose examples (`rooms_examples.rs`) this is tried.

use super::tokens::Token;

/// A path as written at a line, with `use a::{b, c}` taken apart.
pub(crate) struct Reference {
    pub(crate) path: Vec<String>,
    pub(crate) line: usize,
    /// The name it gets in a `use`.
    pub(crate) binds: Option<String>,
    /// The modules written inline round it.
    pub(crate) inside: Vec<String>,
}

/// The code without what only tests see.
pub(crate) fn without_tests(code: &[Token]) -> Vec<Token> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < code.len() {
        let Some(end) = attribute(code, at) else {
            kept.push(code[at].clone());
            at += 1;
            continue;
        };
        if is_test_only(&code[at..end]) {
            at = item_end(code, end);
        } else {
            kept.extend_from_slice(&code[at..end]);
            at = end;
        }
    }
    kept
}

/// The end of the outer attribute that begins at `at`.
fn attribute(code: &[Token], at: usize) -> Option<usize> {
    (code[at].is("#") && code.get(at + 1)?.is("[")).then(|| closing(code, at + 1))
}

/// `#[cfg(test)]` and `#[cfg(all(test, …))]`; not `any` or `not`, which can
/// hold in the product.
fn is_test_only(attribute: &[Token]) -> bool {
    let words: Vec<&str> =
        attribute.iter().filter(|token| token.is_word()).map(|token| token.text.as_str()).collect();
    match words.as_slice() {
        ["cfg", "test"] => true,
        ["cfg", "all", rest @ ..] => {
            rest.contains(&"test") && !rest.contains(&"not") && !rest.contains(&"any")
        }
        _ => false,
    }
}

/// The end of the item at `at`: past its body, or its semicolon.
fn item_end(code: &[Token], mut at: usize) -> usize {
    while at < code.len() {
        match code[at].text.as_str() {
            ";" | "," => return at + 1,
            "{" => {
                let end = closing(code, at);
                // The braces of `use a::{b};` are not a body.
                return end + usize::from(code.get(end).is_some_and(|next| next.is(";")));
            }
            "(" | "[" => at = closing(code, at),
            // The item was the last of its block, as a field may be.
            "}" => return at,
            _ => at += 1,
        }
    }
    at
}

/// Past the bracket that closes the one at `open`.
pub(crate) fn closing(code: &[Token], open: usize) -> usize {
    let mut depth = 0;
    for (at, token) in code.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    code.len()
}

/// Every `use`, taken apart, and every path of two words or more.
pub(crate) fn references(code: &[Token]) -> Vec<Reference> {
    let mut found = Vec::new();
    // Inline modules that are open, each with the end of its body.
    let mut modules: Vec<(String, usize)> = Vec::new();
    let mut at = 0;
    while at < code.len() {
        modules.retain(|(_, end)| at < *end);
        let inside: Vec<String> = modules.iter().map(|(name, _)| name.clone()).collect();
        let word = &code[at];
        if word.is("mod") && code.get(at + 2).is_some_and(|next| next.is("{")) {
            modules.push((code[at + 1].text.clone(), closing(code, at + 2)));
            at += 3;
        } else if word.is("use") && !code.get(at + 1).is_some_and(|next| next.is("<")) {
            // `use<'a>` in a type is about lifetimes.
            at = use_tree(code, at + 1, &[], &inside, &mut found);
        } else if word.is_word() {
            let begins_inside = at > 0 && (code[at - 1].is("::") && follows_word(code, at - 1));
            let path = path_at(code, at);
            at += path.len() * 2 - 1;
            if path.len() > 1 && !begins_inside {
                let line = word.line;
                found.push(Reference { path, line, binds: None, inside });
            }
        } else {
            at += 1;
        }
    }
    found
}

/// Whether the `::` at `at` goes on from a word or `<…>`, so that what comes
/// after it is no beginning.
fn follows_word(code: &[Token], at: usize) -> bool {
    at > 0 && (code[at - 1].is_word() || code[at - 1].is(">"))
}

fn path_at(code: &[Token], mut at: usize) -> Vec<String> {
    let mut path = vec![code[at].text.clone()];
    while code.get(at + 1).is_some_and(|sign| sign.is("::"))
        && code.get(at + 2).is_some_and(Token::is_word)
    {
        path.push(code[at + 2].text.clone());
        at += 2;
    }
    path
}

/// Reads one tree of a `use` and returns where it ends.
fn use_tree(
    code: &[Token],
    mut at: usize,
    before: &[String],
    inside: &[String],
    found: &mut Vec<Reference>,
) -> usize {
    let mut path = before.to_vec();
    let line = code.get(at).map_or(0, |token| token.line);
    while let Some(token) = code.get(at) {
        match token.text.as_str() {
            "::" => {}
            "{" => {
                let end = closing(code, at);
                at += 1;
                while at < end - 1 {
                    at = use_tree(code, at, &path, inside, found);
                    at += usize::from(code[at].is(","));
                }
                return end;
            }
            "as" => {
                let name = code.get(at + 1).map_or(String::new(), |token| token.text.clone());
                bind(found, path, name, line, inside);
                return at + 2;
            }
            "*" => path.push("*".to_owned()),
            _ if token.is_word() => path.push(token.text.clone()),
            _ => break,
        }
        at += 1;
        let goes_on = |next: &Token| token.is("::") || next.is("::") || next.is("as");
        if !code.get(at).is_some_and(goes_on) {
            break;
        }
    }
    let name = path.last().cloned().unwrap_or_default();
    bind(found, path, name, line, inside);
    at
}

fn bind(
    found: &mut Vec<Reference>,
    mut path: Vec<String>,
    mut name: String,
    line: usize,
    inside: &[String],
) {
    // `use a::b::{self}` is about `b`.
    if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
        path.pop();
        if name == "self" {
            name = path.last().cloned().unwrap_or_default();
        }
    }
    if !path.is_empty() {
        found.push(Reference { path, line, binds: Some(name), inside: inside.to_vec() });
    }
}
