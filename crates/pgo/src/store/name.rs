//! Names of services.

use std::{fmt, str::FromStr};

/// Longest name, in bytes.
const LONGEST: usize = 128;
/// As much of a wrong name as a message repeats, in characters.
const SHOWN: usize = 40;

/// The name that a service's profiles are kept under: parts of letters, digits, `.`, `_` and `-`, joined by
/// `/` (agents in Kubernetes send NAMESPACE/CONTAINER), each beginning with a letter or a digit. No file
/// bears such a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceName(String);

impl ServiceName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{shown}` is no service name: {why}; use letters, digits, `.`, `_` and `-`, and `/` between parts that begin with a letter or a digit"
)]
pub struct WrongName {
    shown: String,
    why: String,
}

impl FromStr for ServiceName {
    type Err = WrongName;

    fn from_str(text: &str) -> Result<Self, WrongName> {
        match fault(text) {
            None => Ok(Self(text.to_owned())),
            Some(why) => Err(WrongName {
                shown: shown(text),
                why,
            }),
        }
    }
}

fn fault(text: &str) -> Option<String> {
    if text.is_empty() {
        return Some("it is empty".to_owned());
    }
    if text.len() > LONGEST {
        return Some(format!(
            "it has {} bytes, and {LONGEST} are allowed",
            text.len()
        ));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
    if let Some(other) = text.chars().find(|c| !allowed(*c)) {
        return Some(format!("it holds `{}`", other.escape_default()));
    }
    let begins_well = |part: &str| part.starts_with(|c: char| c.is_ascii_alphanumeric());
    let wrong = text.split('/').find(|part| !begins_well(part))?;
    Some(match wrong {
        "" => "a part of it is empty".to_owned(),
        part => format!("`{part}` begins with neither a letter nor a digit"),
    })
}

/// What is safe to show anywhere of a text that is not to be trusted.
pub fn shown(text: &str) -> String {
    let mut short: String = text
        .chars()
        .take(SHOWN)
        .flat_map(char::escape_default)
        .collect();
    if text.chars().nth(SHOWN).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_agents_send_are_taken() {
        for name in [
            "checkout",
            "shop.checkout_2",
            "prod/check-out",
            "0",
            "A/B/C",
        ] {
            let parsed: ServiceName = name.parse().expect(name);
            assert_eq!(parsed.as_str(), name);
        }
        assert!("n".repeat(128).parse::<ServiceName>().is_ok());
    }

    #[test]
    fn others_are_refused_and_shown_escaped_and_short() {
        let long = "x".repeat(10_000);
        for (name, why) in [
            ("", "it is empty"),
            ("..", "`..` begins with neither"),
            ("../../etc/passwd", "`..` begins with neither"),
            ("a/../b", "`..` begins with neither"),
            ("/etc", "a part of it is empty"),
            ("a/", "a part of it is empty"),
            (".hidden", "`.hidden` begins with neither"),
            ("a b", "it holds ` `"),
            ("prüfung", "it holds `\\u{fc}`"),
            ("a\0b", "it holds `\\u{0}`"),
            ("a\r\nSet-Cookie: x", "it holds `\\r`"),
            ("<script>", "it holds `<`"),
            (&long, "it has 10000 bytes, and 128 are allowed"),
        ] {
            let error = name.parse::<ServiceName>().expect_err(name).to_string();
            assert!(error.contains(why), "{error}");
            assert!(error.is_ascii() || error.contains('…'), "{error}");
            assert!(error.len() < 400, "{}", error.len());
        }
    }
}
