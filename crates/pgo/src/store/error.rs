//! What can go wrong in the store. Each message says what, and what to do.

use std::{io, time::Duration};

use super::name::WrongName;

/// Why the store did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error(transparent)]
    Name(#[from] WrongName),
    #[error(transparent)]
    Profile(#[from] goprof::Error),
    #[error("the profile tells {found}, and PGO takes CPU time: push a CPU profile")]
    NotCpu { found: String },
    #[error("the profile holds no samples: record while the program is under load")]
    NoSamples,
    #[error(
        "{percent} % of the profile's weight is in functions without a start line, so Go's compiler would miss their calls: record with a profiler that writes Function.start_line"
    )]
    StartLines { percent: i64 },
    #[error("the labels are {what}, and {limit} are allowed: send fewer")]
    Labels { what: String, limit: usize },
    #[error(
        "the store holds {limit} services, as many as it may, and `{name}` would be one more: remove one, or start the server with a higher --services"
    )]
    Services { limit: usize, name: String },
    #[error("no profile was pushed for `{name}` yet")]
    NoService { name: String },
    #[error("`{name}` has no version {version}: the newest is {newest}")]
    NoVersion {
        name: String,
        version: i64,
        newest: i64,
    },
    #[error("`{name}` has no profile {hash}")]
    NoProfile { name: String, hash: String },
    #[error(
        "of profile {hash} only what the compiler reads was kept, as one with others of its hour: whole profiles are kept for {kept}"
    )]
    Folded { hash: String, kept: Span },
    #[error("`{name}` has no profiles of the last {window}: push one, or ask for a longer window")]
    NothingInWindow { name: String, window: Span },
    #[error(
        "`{name}` has {samples} samples of the last {window}, and a version takes {wanted}: push more, or take what there is with ?window="
    )]
    TooFewSamples {
        name: String,
        samples: i64,
        wanted: i64,
        window: Span,
    },
    #[error(
        "the disk is full where the store lies ({path}), but for a small reserve: nothing was kept; make room there, or remove services"
    )]
    Full { path: String },
    #[error("another server works on {path}: end it, or give this one another --data")]
    Locked { path: String },
    #[error("cannot {what}: {source}")]
    Io { what: String, source: io::Error },
    #[error("the index failed: {0}")]
    Index(#[from] rusqlite::Error),
    #[error(
        "the index in {path} is of a later version of this program ({found}, this one knows {known}): use that one"
    )]
    Later {
        path: String,
        found: i64,
        known: i64,
    },
    #[error("the body of {hash} is lost or damaged: {why}")]
    Body { hash: String, why: String },
}

impl Error {
    /// An error of the file system, told as a full disk where it is one.
    pub fn io(what: impl Into<String>, path: &std::path::Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full {
                path: path.display().to_string(),
            },
            _ => Self::Io {
                what: format!("{} {}", what.into(), path.display()),
                source,
            },
        }
    }

    /// Whether a client that pushes all kinds of profiles, again and again, should hear nothing of it: the
    /// profile is sound and no use here.
    pub fn is_no_use(&self) -> bool {
        matches!(self, Self::NotCpu { .. } | Self::NoSamples)
    }
}

/// A length of time in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = self.0.as_secs();
        let (number, unit) = [(86_400, "day"), (3_600, "hour"), (60, "minute")]
            .into_iter()
            .find(|(length, _)| seconds >= *length && seconds.is_multiple_of(*length))
            .map_or((seconds, "second"), |(length, unit)| {
                (seconds / length, unit)
            });
        write!(f, "{number} {unit}{}", if number == 1 { "" } else { "s" })
    }
}
