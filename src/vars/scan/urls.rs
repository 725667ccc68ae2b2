//! Addresses of databases and queues with a password in them (RFC 3986, section 3.2.1).

use super::{Hit, Kind, entropy, is_placeholder, run};

/// What stands in the middle of one.
pub(super) const MIDDLE: &[u8] = b"://";

const SCHEMES: [&[u8]; 12] = [
    b"amqp",
    b"amqps",
    b"mariadb",
    b"mongodb",
    b"mongodb+srv",
    b"mysql",
    b"mysql2",
    b"postgis",
    b"postgres",
    b"postgresql",
    b"redis",
    b"rediss",
];

/// Passwords of manuals and of a machine that nobody else reaches.
const ORDINARY: [&[u8]; 14] = [
    b"admin",
    b"changeme",
    b"default",
    b"devel",
    b"guest",
    b"mysql",
    b"passwd",
    b"password",
    b"postgres",
    b"redis",
    b"secret",
    b"testing",
    b"username",
    b"yourpassword",
];

/// Shorter passwords are left alone.
const SHORTEST: usize = 5;

/// The address whose `://` stands at this place.
pub(super) fn around(text: &[u8], at: usize) -> Option<Hit<'_>> {
    let rest = text.get(at..)?.strip_prefix(MIDDLE)?;
    let before = text.get(..at)?;
    let is_scheme = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'+';
    let start = before.iter().rposition(|byte| !is_scheme(byte)).map_or(0, |place| place + 1);
    let scheme = before.get(start..)?;
    // `postgresql+psycopg://` names a driver too.
    let whole = SCHEMES.contains(&scheme);
    let first = scheme.split(|byte| *byte == b'+').next()?;
    if !whole && !SCHEMES.contains(&first) {
        return None;
    }
    let ends = |byte: u8| {
        byte.is_ascii_whitespace() || byte.is_ascii_control() || b"/?#\"'`<>\\".contains(&byte)
    };
    let authority = run(rest, |byte| !ends(byte));
    let user_end = authority.iter().rposition(|byte| *byte == b'@')?;
    let (user, host) = authority.split_at(user_end);
    let colon = user.iter().position(|byte| *byte == b':')?;
    let (user, password) = (user.get(..colon)?, user.get(colon + 1..)?);
    if !is_password(password) || password == user {
        return None;
    }
    let length = scheme.len() + MIDDLE.len() + authority.len();
    let named = text.get(start..at + MIDDLE.len() + user.len())?;
    let what = "an address with a password";
    Some(Hit { kind: Kind::Token, what, at: start, length, identity: [named, host] })
}

/// Whether it is one that somebody would miss: no reference to one, no placeholder, no word of manuals.
fn is_password(password: &[u8]) -> bool {
    let is_reference = password.iter().any(|byte| b"${}<>*[]()".contains(byte));
    let escapes = password.split(|byte| *byte == b'%').skip(1);
    let is_format = !escapes.into_iter().all(|rest| {
        rest.first_chunk::<2>().is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit))
    });
    password.len() >= SHORTEST
        && !is_reference
        && !is_format
        && entropy(password) >= 1.9
        && !ORDINARY.iter().any(|word| password.eq_ignore_ascii_case(word))
        && !is_placeholder(password)
}

#[cfg(test)]
mod tests {
    use super::super::Searcher;
    use super::super::tests::found;

    const WHAT: &str = "an address with a password";

    #[test]
    fn a_password_in_an_address_is_found_and_what_stands_for_one_is_not() {
        // Not in one piece, so that this file has none.
        let at = |scheme: &str, rest: &str| format!("{scheme}://{rest}");
        for (scheme, rest) in [
            ("postgres", "shop:tr0ub4dor@db.internal:5432/shop"),
            ("postgresql+psycopg", "shop:tr0ub4dor@db/shop"),
            ("mysql", "root:tr0ub%404dor@db/shop"),
            ("redis", ":tr0ub4dor@cache:6379/0"),
            ("amqps", "u:tr0ub4dor@queue//"),
            ("mongodb+srv", "u:tr0ub4dor@a,b/x?y=1"),
        ] {
            let text = format!("URL=\"{}\"", at(scheme, rest));
            assert_eq!(found(&text), [(WHAT, 5)], "{text}");
        }
        for (scheme, rest) in [
            ("postgres", "localhost/shop"),
            ("postgres", "shop@localhost/shop"),
            ("postgres", "postgres:postgres@localhost/shop"),
            ("postgres", "shop:shopshop1@/x@y".split_at(8).0),
            ("postgres", "shop:$PASSWORD@db/shop"),
            ("postgres", "shop:${PASSWORD}@db/shop"),
            ("postgres", "{user}:{password}@db/shop"),
            ("postgres", "%s:%swords@db/shop"),
            ("postgres", "USER:PASSWORD@HOST/shop"),
            ("postgres", "u:<password>@db"),
            ("postgres", "u:********@db"),
            ("postgres", "u:p@db/x?y=secret@z"),
            ("https", "shop:tr0ub4dor@example.org/"),
        ] {
            let text = at(scheme, rest);
            assert_eq!(found(&text), [], "{text}");
        }
    }

    #[test]
    fn what_tells_an_address_from_others_has_nothing_of_the_password() {
        let text = ["x postgres", "://shop:tr0ub4dor@db/shop"].concat();
        let hits = Searcher::new().search(text.as_bytes(), true);
        assert_eq!(hits[0].identity, [&b"postgres://shop"[..], b"@db"]);
        assert_eq!(hits[0].length, text.len() - "x /shop".len());
    }
}
