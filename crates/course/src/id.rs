//! Names that stay for ever: lab slugs, step ids, check ids.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What an id may look like, for messages.
pub const ID_RULE: &str = "1 to 32 of the letters a-z, the digits 0-9 and `-`";

/// Whether `text` matches `[a-z0-9-]{1,32}`.
pub fn is_id(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Text that is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an id: an id is {ID_RULE}")]
pub struct BadId(pub String);

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Takes `text` if it matches `[a-z0-9-]{1,32}`.
            pub fn new(text: impl Into<String>) -> Result<Self, BadId> {
                let text = text.into();
                if is_id(&text) { Ok(Self(text)) } else { Err(BadId(text)) }
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.0 == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.0 == *other
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadId;
            fn try_from(text: String) -> Result<Self, BadId> {
                Self::new(text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
    };
}

id_type!(
    /// The name of a lab (`go-arguments`), an artifact, a planted wrong answer or a track.
    Slug
);
id_type!(
    /// The name of a step, unique in its lab.
    StepId
);
id_type!(
    /// The name of a check, unique in its lab.
    CheckId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_short_lower_case_words() {
        let longest = "a".repeat(32);
        for good in ["a", "go-arguments", "010", "-", longest.as_str()] {
            assert!(is_id(good), "{good}");
        }
        let too_long = "a".repeat(33);
        for bad in ["", "Go", "a_b", "a/b", "..", "é", too_long.as_str()] {
            assert!(!is_id(bad), "{bad}");
        }
    }
}
