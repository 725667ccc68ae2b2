//! Rust source as words and signs with their lines, for the rules of `rooms`.
//!
//! It knows just enough not to be fooled by comments, strings, lifetimes and
//! characters; the compiler has already seen that the rest is Rust.

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
}

impl Token {
    pub(crate) fn is(&self, text: &str) -> bool {
        self.text == text
    }

    pub(crate) fn is_word(&self) -> bool {
        self.text.starts_with(|c: char| c == '_' || c.is_alphabetic())
    }
}

/// Words, numbers, `::`, and each other sign by itself; a string or character
/// is `"`, a lifetime is `'`, whatever they say.
pub(crate) fn tokens(source: &str) -> Vec<Token> {
    let mut lexer = Lexer { rest: source, line: 1, tokens: Vec::new() };
    while !lexer.rest.is_empty() {
        lexer.step();
    }
    lexer.tokens
}

struct Lexer<'a> {
    rest: &'a str,
    line: usize,
    tokens: Vec<Token>,
}

impl Lexer<'_> {
    fn step(&mut self) {
        let rest = self.rest;
        let first = rest.chars().next().unwrap_or_default();
        if rest.starts_with("//") {
            self.skip(rest.find('\n').unwrap_or(rest.len()));
        } else if rest.starts_with("/*") {
            self.skip(block_comment(rest));
        } else if first.is_whitespace() {
            self.skip(first.len_utf8());
        } else if let Some(length) = string(rest) {
            self.push("\"", length);
        } else if first == '\'' {
            match character(rest) {
                Some(length) => self.push("\"", length),
                None => self.push("'", 1 + word(&rest[1..])),
            }
        } else if let Some(raw) = rest.strip_prefix("r#").filter(|raw| word(raw) > 0) {
            self.push(&raw[..word(raw)], 2 + word(raw));
        } else if word(rest) > 0 {
            self.push(&rest[..word(rest)], word(rest));
        } else if rest.starts_with("::") {
            self.push("::", 2);
        } else {
            self.push(&rest[..first.len_utf8()], first.len_utf8());
        }
    }

    fn push(&mut self, text: &str, length: usize) {
        let (text, line) = (text.to_owned(), self.line);
        self.tokens.push(Token { text, line });
        self.skip(length);
    }

    fn skip(&mut self, length: usize) {
        let (skipped, rest) = self.rest.split_at(length);
        self.line += skipped.matches('\n').count();
        self.rest = rest;
    }
}

/// The length of the word or number at the start.
fn word(text: &str) -> usize {
    text.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(text.len())
}

/// The length of the comment at the start; they nest.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of the string at the start, of any kind: `"`, `b"`, `c"`, `r"`,
/// `br##"`.
fn string(text: &str) -> Option<usize> {
    let prefix = text.find(|c| !matches!(c, 'b' | 'c' | 'r'))?;
    if prefix > 2 {
        return None;
    }
    let after = &text[prefix..];
    if text[..prefix].ends_with('r') {
        let hashes = after.len() - after.trim_start_matches('#').len();
        let body = after[hashes..].strip_prefix('"')?;
        let end = format!("\"{}", "#".repeat(hashes));
        let length = body.find(&end).map_or(body.len(), |at| at + end.len());
        return Some(prefix + hashes + 1 + length);
    }
    let body = after.strip_prefix('"')?;
    let mut escaped = false;
    let end = body.find(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    Some(prefix + 1 + end.map_or(body.len(), |at| at + 1))
}

/// The length of the character at the start, which may be a lifetime instead.
fn character(text: &str) -> Option<usize> {
    let body = text.strip_prefix('\'')?;
    let mut chars = body.char_indices();
    if chars.next()?.1 == '\\' {
        // What is escaped may itself be a quote.
        chars.next()?;
        return body[chars.offset()..].find('\'').map(|at| 1 + chars.offset() + at + 1);
    }
    let (at, next) = chars.next()?;
    (next == '\'').then_some(1 + at + 1)
}

#[test]
fn comments_strings_and_characters_are_not_words() {
    let source = "use a::b; // unsafe\n/* unsafe /* */ unsafe */ \"unsafe \\\" unsafe\"\n\
                  r#\"unsafe \" unsafe\"# b'\\'' '\"' 'life r#type ::std \u{e9}";
    let found: Vec<(String, usize)> =
        tokens(source).into_iter().map(|token| (token.text, token.line)).collect();
    let expected = [
        ("use", 1),
        ("a", 1),
        ("::", 1),
        ("b", 1),
        (";", 1),
        ("\"", 2),
        ("\"", 3),
        ("b", 3),
        ("\"", 3),
        ("\"", 3),
        ("'", 3),
        ("type", 3),
        ("::", 3),
        ("std", 3),
        ("\u{e9}", 3),
    ]
    .map(|(text, line)| (text.to_owned(), line));
    assert_eq!(found, expected);
}
