//! Who may do what: bearer tokens, of which only hashes are kept.

use std::{fmt, path::Path, str::FromStr, sync::Arc};

use rusqlite::{OptionalExtension as _, params};

use super::{Error, INDEX, Store, Time, index::Index};

/// What a token allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// To push profiles.
    Push,
    /// To read profiles, versions and pages.
    Pull,
    /// To do everything, removing included.
    Admin,
}

impl Scope {
    const ALL: [Self; 3] = [Self::Push, Self::Pull, Self::Admin];

    pub fn word(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Pull => "pull",
            Self::Admin => "admin",
        }
    }
}

/// One scope or several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scopes(Vec<Scope>);

impl Scopes {
    pub fn allow(&self, scope: Scope) -> bool {
        self.0.contains(&scope) || self.0.contains(&Scope::Admin)
    }

    /// What anybody may do where there are no tokens.
    pub fn all() -> Self {
        Self(vec![Scope::Admin])
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> = self.0.iter().map(|scope| scope.word()).collect();
        f.write_str(&words.join(" "))
    }
}

impl FromStr for Scopes {
    type Err = String;

    /// Words with commas or blanks between.
    fn from_str(text: &str) -> Result<Self, String> {
        let words = text.split([',', ' ']).filter(|word| !word.is_empty());
        let mut scopes = words
            .map(|word| {
                let known = Scope::ALL.into_iter().find(|scope| scope.word() == word);
                known.ok_or_else(|| format!("`{word}` is no scope; there are push, pull and admin"))
            })
            .collect::<Result<Vec<_>, _>>()?;
        scopes.sort_unstable();
        scopes.dedup();
        match scopes.is_empty() {
            true => Err("name a scope: push, pull or admin".to_owned()),
            false => Ok(Self(scopes)),
        }
    }
}

/// A token as it is listed: its text is known only to whoever made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub name: String,
    pub scopes: Scopes,
    pub created: Time,
}

/// The tokens of a store, which another process may have opened.
#[derive(Clone, Debug)]
pub struct Tokens {
    index: Arc<Index>,
}

impl Store {
    pub fn tokens(&self) -> Tokens {
        let index = Arc::clone(&self.index);
        Tokens { index }
    }
}

impl Tokens {
    /// Those of the store in a folder.
    ///
    /// # Errors
    /// When the folder or the index in it can't be made.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        std::fs::create_dir_all(folder).map_err(|error| Error::io("make", folder, error))?;
        let index = Arc::new(Index::open(&folder.join(INDEX))?);
        Ok(Self { index })
    }

    /// Makes a token, and returns its text; `None` where there is one of that name.
    ///
    /// # Errors
    /// When the index fails.
    pub fn add(&self, name: &str, scopes: &Scopes, now: Time) -> Result<Option<String>, Error> {
        let mut random = [0_u8; 24];
        let mut filled = 0;
        while filled < random.len() {
            let rest = &mut random[filled..];
            filled += rustix::rand::getrandom(rest, rustix::rand::GetRandomFlags::empty())
                .map_err(|error| Error::io("take randomness for", Path::new(name), error.into()))?;
        }
        let text: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let text = format!("pgo_{text}");
        let hash = blake3::hash(text.as_bytes());
        let (name, scopes) = (name.to_owned(), scopes.to_string());
        let added = self.index.write(move |connection| {
            let text =
                "INSERT OR IGNORE INTO token (name, hash, scopes, created) VALUES (?1, ?2, ?3, ?4)";
            Ok(connection.execute(text, params![name, hash.as_bytes(), scopes, now])?)
        })?;
        Ok((added == 1).then_some(text))
    }

    /// Whether there was one.
    ///
    /// # Errors
    /// When the index fails.
    pub fn remove(&self, name: &str) -> Result<bool, Error> {
        let name = name.to_owned();
        self.index.write(move |connection| {
            Ok(connection.execute("DELETE FROM token WHERE name = ?1", [name])? == 1)
        })
    }

    /// By name.
    ///
    /// # Errors
    /// When the index fails.
    pub fn list(&self) -> Result<Vec<Token>, Error> {
        self.index.read(|connection| {
            let text = "SELECT name, scopes, created FROM token ORDER BY name";
            let mut query = connection.prepare_cached(text)?;
            let rows = query.query_map([], |row| {
                let scopes: String = row.get(1)?;
                Ok((row.get(0)?, scopes, row.get(2)?))
            })?;
            let mut tokens = Vec::new();
            for row in rows {
                let (name, scopes, created) = row?;
                // Another version's scopes allow nothing here.
                let scopes = scopes.parse().unwrap_or(Scopes(Vec::new()));
                tokens.push(Token {
                    name,
                    scopes,
                    created,
                });
            }
            Ok(tokens)
        })
    }

    /// What a token's text allows, with its name; `None` if there is no such token.
    ///
    /// # Errors
    /// When the index fails.
    pub fn check(&self, text: &str) -> Result<Option<(String, Scopes)>, Error> {
        let hash = blake3::hash(text.as_bytes());
        let found: Option<(String, String)> = self.index.read(|connection| {
            let mut query =
                connection.prepare_cached("SELECT name, scopes FROM token WHERE hash = ?1")?;
            let row = query.query_row([hash.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)));
            Ok(row.optional()?)
        })?;
        Ok(found.and_then(|(name, scopes)| Some((name, scopes.parse().ok()?))))
    }

    /// Whether there is none.
    ///
    /// # Errors
    /// When the index fails.
    pub fn is_empty(&self) -> Result<bool, Error> {
        self.index.read(|connection| {
            let mut query = connection.prepare_cached("SELECT 1 FROM token LIMIT 1")?;
            Ok(!query.exists([])?)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_text_until_it_is_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let tokens = Tokens::open(folder.path()).expect("it opens");
        assert!(tokens.is_empty().expect("it reads"));
        let scopes: Scopes = "push,pull".parse().expect("scopes");
        let text = tokens.add("ci", &scopes, 7).expect("it writes");
        let text = text.expect("a new name");
        assert_eq!(tokens.add("ci", &scopes, 8).expect("it writes"), None);
        let other = tokens.add("other", &scopes, 9).expect("it writes");
        assert_ne!(other.expect("a new name"), text);

        let found = tokens.check(&text).expect("it reads").expect("it is there");
        assert_eq!(found, ("ci".to_owned(), scopes));
        for wrong in ["", "pgo_", &text[1..], &text.to_uppercase()] {
            assert_eq!(tokens.check(wrong).expect("it reads"), None, "{wrong}");
        }
        let file = std::fs::read(folder.path().join(INDEX)).expect("the index");
        let kept = |text: &str| file.windows(text.len()).any(|part| part == text.as_bytes());
        assert!(!kept(&text), "the token itself is nowhere");

        assert!(tokens.remove("ci").expect("it writes"));
        assert!(!tokens.remove("ci").expect("it writes"));
        assert_eq!(tokens.check(&text).expect("it reads"), None);
        assert_eq!(tokens.list().expect("it reads").len(), 1);
    }

    #[test]
    fn scopes_allow_what_they_say_and_admin_all() {
        let allow = |text: &str| {
            let scopes: Scopes = text.parse().expect(text);
            Scope::ALL.map(|scope| scopes.allow(scope))
        };
        assert_eq!(allow("push"), [true, false, false]);
        assert_eq!(allow("pull push"), [true, true, false]);
        assert_eq!(allow("admin"), [true, true, true]);
        for wrong in ["", "root", "push,pul"] {
            assert!(wrong.parse::<Scopes>().is_err(), "{wrong}");
        }
    }
}
