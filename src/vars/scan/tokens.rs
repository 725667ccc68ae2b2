//! Tokens with a prefix that their issuer documents.
//!
//! This is a table of ours because no crate of such rules fits. `kingfisher-rules` needs a newer compiler than we
//! promise, brings a cryptographic library of its own, and holds texts under CC-BY-SA; `keyspoor` needs a newer
//! compiler too, and is a whole scanner; `ripsecrets` is a program, and its rules are code in it;
//! `nosecrets-rules` wants an engine for regular expressions, and half of its rules guess by words near a value,
//! which drowns people in false alarms. What is here has a prefix that nobody writes by chance. So a rule is a
//! line: the prefix, the alphabet and length of what follows, and how random that has to be.

use super::{Hit, Kind, begins_word, entropy, is_placeholder, run};

/// How a token of one sort looks.
struct Shape {
    what: &'static str,
    prefix: &'static [u8],
    body: fn(u8) -> bool,
    shortest: usize,
    longest: usize,
    /// The least entropy of the body, in bits for each character.
    bits: f64,
}

/// No issuer says that its tokens end here; what is longer is something else.
const LONG: usize = 2048;

const fn shape(
    what: &'static str,
    prefix: &'static [u8],
    body: fn(u8) -> bool,
    shortest: usize,
    longest: usize,
    bits: f64,
) -> Shape {
    Shape { what, prefix, body, shortest, longest, bits }
}

fn alphanumeric(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

fn word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The alphabet of base64url.
fn url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

fn dotted(byte: u8) -> bool {
    url(byte) || byte == b'.'
}

fn path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'/'
}

fn upper(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

fn hex(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'a'..=b'f')
}

/// Of prefixes that begin alike the longest comes first.
const SHAPES: [Shape; 57] = [
    // GitHub: About authentication to GitHub, token formats.
    shape("a token of GitHub", b"github_pat_", word, 60, 255, 3.5),
    shape("a token of GitHub", b"ghp_", alphanumeric, 36, 255, 3.5),
    shape("a token of GitHub", b"gho_", alphanumeric, 36, 255, 3.5),
    shape("a token of GitHub", b"ghu_", alphanumeric, 36, 255, 3.5),
    shape("a token of GitHub", b"ghs_", alphanumeric, 36, 255, 3.5),
    shape("a token of GitHub", b"ghr_", alphanumeric, 36, 255, 3.5),
    // GitLab: Token overview, token prefixes.
    shape("a token of GitLab", b"glpat-", dotted, 20, 320, 3.3),
    shape("a token of GitLab", b"gldt-", dotted, 20, 320, 3.3),
    shape("a token of GitLab", b"glrt-", dotted, 20, 320, 3.3),
    shape("a token of GitLab", b"glptt-", dotted, 20, 320, 3.3),
    shape("a token of GitLab", b"glcbt-", dotted, 20, 320, 3.3),
    shape("a token of GitLab", b"glsoat-", dotted, 20, 320, 3.3),
    shape("a token of GitLab", b"glagent-", dotted, 40, 320, 3.3),
    // Slack: Tokens; Sending messages using incoming webhooks.
    shape("a token of Slack", b"xoxa-", url, 24, 512, 3.0),
    shape("a token of Slack", b"xoxb-", url, 24, 512, 3.0),
    shape("a token of Slack", b"xoxc-", url, 24, 512, 3.0),
    shape("a token of Slack", b"xoxd-", url, 24, 512, 3.0),
    shape("a token of Slack", b"xoxe-", url, 24, 512, 3.0),
    shape("a token of Slack", b"xoxe.xox", dotted, 24, 512, 3.0),
    shape("a token of Slack", b"xoxp-", url, 24, 512, 3.0),
    shape("a token of Slack", b"xoxr-", url, 24, 512, 3.0),
    shape("a token of Slack", b"xoxs-", url, 24, 512, 3.0),
    shape("a token of Slack", b"xapp-", url, 24, 512, 3.0),
    shape("a webhook of Slack", b"hooks.slack.com/services/", path, 40, 128, 3.0),
    // Stripe: API keys; Webhooks.
    shape("a live key of Stripe", b"sk_live_", alphanumeric, 24, 255, 3.5),
    shape("a live key of Stripe", b"rk_live_", alphanumeric, 24, 255, 3.5),
    shape("a webhook secret of Stripe", b"whsec_", alphanumeric, 32, 255, 3.5),
    // AWS: IAM identifiers, unique ID prefixes.
    shape("an access key id of AWS", b"AKIA", upper, 16, 16, 2.8),
    shape("an access key id of AWS", b"ASIA", upper, 16, 16, 2.8),
    // Google Cloud: API keys; OAuth clients.
    shape("an API key of Google", b"AIza", url, 35, 35, 3.5),
    shape("a client secret of Google", b"GOCSPX-", url, 28, 28, 3.3),
    // npm: access tokens.
    shape("a token of npm", b"npm_", alphanumeric, 36, 36, 3.5),
    // PyPI: API tokens, which are macaroons of the version 2 and name their place first.
    shape("a token of PyPI", b"pypi-AgE", url, 50, LONG, 3.5),
    // RubyGems: API keys.
    shape("a token of RubyGems", b"rubygems_", hex, 48, 48, 2.8),
    // Docker Hub: personal access tokens.
    shape("a token of Docker Hub", b"dckr_pat_", url, 27, 64, 3.3),
    // Twilio SendGrid: API keys; Twilio: API keys.
    shape("a key of SendGrid", b"SG.", dotted, 66, 66, 3.5),
    shape("an API key of Twilio", b"SK", hex, 32, 32, 2.8),
    // DigitalOcean: token prefixes.
    shape("a token of DigitalOcean", b"dop_v1_", hex, 64, 64, 2.8),
    shape("a token of DigitalOcean", b"doo_v1_", hex, 64, 64, 2.8),
    shape("a token of DigitalOcean", b"dor_v1_", hex, 64, 64, 2.8),
    // Shopify: access tokens.
    shape("a token of Shopify", b"shpat_", alphanumeric, 32, 64, 2.8),
    shape("a token of Shopify", b"shpca_", alphanumeric, 32, 64, 2.8),
    shape("a token of Shopify", b"shppa_", alphanumeric, 32, 64, 2.8),
    shape("a token of Shopify", b"shpss_", alphanumeric, 32, 64, 2.8),
    // Hugging Face: user access tokens.
    shape("a token of Hugging Face", b"hf_", alphanumeric, 34, 64, 3.5),
    // Anthropic and OpenAI: API keys.
    shape("a key of Anthropic", b"sk-ant-", url, 40, 255, 3.5),
    shape("a key of OpenAI", b"sk-proj-", url, 40, 255, 3.5),
    shape("a key of OpenAI", b"sk-svcacct-", url, 40, 255, 3.5),
    shape("a key of OpenAI", b"sk-admin-", url, 40, 255, 3.5),
    shape("a key of OpenAI", b"sk-", alphanumeric, 48, 64, 3.5),
    // HashiCorp: tokens of Vault; Terraform.
    shape("a token of HashiCorp Vault", b"hvs.", url, 24, 255, 3.5),
    shape("a token of HashiCorp Vault", b"hvb.", url, 90, 512, 3.5),
    // Grafana: service account tokens.
    shape("a token of Grafana", b"glsa_", word, 41, 64, 3.3),
    // Linear, Postman, PlanetScale, Sentry: API keys and tokens.
    shape("a key of Linear", b"lin_api_", alphanumeric, 40, 64, 3.5),
    shape("a key of Postman", b"PMAK-", url, 59, 59, 3.0),
    shape("a token of PlanetScale", b"pscale_tkn_", dotted, 32, 64, 3.3),
    shape("a token of Sentry", b"sntrys_", url, 60, 512, 3.5),
];

/// What they begin with. The one prefix of two characters is there with each character that may follow.
pub(super) fn beginnings() -> impl Iterator<Item = &'static [u8]> {
    const TWILIO: [&[u8]; 16] = [
        b"SK0", b"SK1", b"SK2", b"SK3", b"SK4", b"SK5", b"SK6", b"SK7", b"SK8", b"SK9", b"SKa",
        b"SKb", b"SKc", b"SKd", b"SKe", b"SKf",
    ];
    SHAPES.iter().map(|shape| shape.prefix).chain(TWILIO)
}

/// The token that begins at this place.
pub(super) fn at(text: &[u8], at: usize) -> Option<Hit<'_>> {
    let here = text.get(at..)?;
    // Nearly all are settled by their first two bytes.
    let two = here.first_chunk::<2>()?;
    let shape = SHAPES
        .iter()
        .find(|shape| shape.prefix.first_chunk() == Some(two) && here.starts_with(shape.prefix))?;
    let behind = here.get(shape.prefix.len()..)?;
    // Two more than the longest tell that it is too long, or has a full stop behind it: no text is looked
    // through again for each of many beginnings in it.
    let body = run(behind.get(..shape.longest + 2).unwrap_or(behind), shape.body);
    // The end of a sentence is not of the token.
    let body = body.strip_suffix(b".").unwrap_or(body);
    let has_digit = body.iter().any(u8::is_ascii_digit);
    let has_letter = body.iter().any(u8::is_ascii_alphabetic);
    if !(shape.shortest..=shape.longest).contains(&body.len())
        || !has_digit
        || !has_letter
        || entropy(body) < shape.bits
        || is_placeholder(body)
        || !begins_word(text, at) && !shape.prefix.contains(&b'/')
    {
        return None;
    }
    let length = shape.prefix.len() + body.len();
    let identity = [here.get(..length)?, &[]];
    Some(Hit { kind: Kind::Token, what: shape.what, at, length, identity })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{found, random};
    use super::*;

    /// A body that the shape takes.
    fn body(shape: &Shape) -> String {
        let all = random(20_000);
        let fits = all.chars().filter(|c| (shape.body)(u8::try_from(*c).unwrap()));
        fits.take(shape.shortest).collect()
    }

    #[test]
    fn each_shape_is_found_and_is_not_when_it_is_short_or_made_up() {
        for shape in &SHAPES {
            let prefix = std::str::from_utf8(shape.prefix).unwrap();
            let body = body(shape);
            for text in [
                format!("{prefix}{body}"),
                format!("token = \"{prefix}{body}\""),
                format!("TOKEN={prefix}{body}\nX=1"),
                format!("see {prefix}{body}."),
                format!("\"a\\n{prefix}{body}\""),
            ] {
                assert_eq!(found(&text).first().map(|hit| hit.0), Some(shape.what), "{text}");
            }
            for text in [
                prefix.to_owned(),
                format!("{prefix}{}", &body[1..]),
                format!("{prefix}{}", "x".repeat(shape.shortest)),
                format!("{prefix}{}", "ab1".repeat(shape.shortest)),
                format!("{prefix}EXAMPLE{}", &body[7..]),
            ] {
                assert!(!found(&text).iter().any(|hit| hit.0 == shape.what), "{text}");
            }
        }
    }

    #[test]
    fn of_prefixes_that_begin_alike_the_longest_comes_first() {
        for (place, shape) in SHAPES.iter().enumerate() {
            let earlier =
                SHAPES.iter().take(place).find(|other| shape.prefix.starts_with(other.prefix));
            assert!(earlier.is_none(), "{}", String::from_utf8_lossy(shape.prefix));
        }
    }

    #[test]
    fn what_only_looks_like_a_token_is_none() {
        let (letters, hexadecimal) = (random(36), "0123456789abcdef".repeat(2));
        for text in [
            format!("xghp_{letters}"),
            "sk-fading-circle-with-a-very-long-name-of-a-class".to_owned(),
            "risk-management-and-compliance-of-the-whole-project-2024".to_owned(),
            "npm_config_registry_with_a_long_name_indeed".to_owned(),
            format!("DISK{hexadecimal}"),
            "AKIAIOSFODNN7EXAMPLE".to_owned(),
            "task_live_".to_owned() + &letters,
        ] {
            assert_eq!(found(&text), [], "{text}");
        }
    }
}
