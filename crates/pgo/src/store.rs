//! The profile store: keeps what is pushed, and gives each service's profile for `go build -pgo`.
//!
//! - [`Store::push`] looks at a profile and keeps it. When it returns, neither `kill -9` nor a power cut
//!   loses the profile: its body was synced to the disk, and then its row in the index.
//! - [`Store::window`] merges what was recorded lately, of each profile only what the compiler reads.
//! - [`Store::publish`] makes a merge a version, if builds with it would differ enough from those with
//!   the version before: each new byte rebuilds everything.
//! - [`Store::sweep`] merges the profiles of an hour into one and removes what is old.
//!
//! All times are given by the caller. Calls block; those that merge take long.

mod bodies;
mod drift;
mod error;
mod index;
mod intake;
mod judged;
mod kin;
mod name;
mod program;
mod services;
mod sweep;
mod tokens;
mod versions;
mod window;

use std::{
    collections::HashMap,
    fs::{self, File},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};

use blake3::Hash;
use rusqlite::{Connection, OptionalExtension as _};

pub use bodies::{Bodies, Files};
pub use drift::Drift;
pub use error::{Error, Span};
pub use intake::{Outcome, Pushed, Receipt};
pub use kin::KIN;
pub use name::{ServiceName, WrongName};
pub use program::name_keys;
pub use services::{Profile, Service};
pub use sweep::Swept;
pub use tokens::{Scope, Scopes, Token, Tokens};
pub use versions::{Published, Version};
pub use window::{Facts, Merged, moment};

use index::Index;

/// Nanoseconds since 1970.
pub type Time = i64;

/// What a store is told when it is opened.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Profiles of this last time are merged for a version.
    pub window: Duration,
    /// What is older is removed; at least the window.
    pub keep: Duration,
    /// Whole profiles are kept for this long, then what the compiler reads of them.
    pub keep_whole: Duration,
    /// Versions of each service that are kept, the newest ones.
    pub keep_versions: u32,
    /// A version is published when more than this part of the weight has drifted.
    pub drift: f64,
    /// The first version takes this many samples.
    pub min_samples: i64,
    /// Bytes of a profile without gzip, at most.
    pub unpacked: u64,
    /// Services, at most.
    pub services: usize,
}

/// A day.
const DAY: Duration = Duration::from_secs(86_400);

impl Default for Settings {
    fn default() -> Self {
        Self {
            window: 14 * DAY,
            keep: 30 * DAY,
            keep_whole: 7 * DAY,
            keep_versions: 100,
            drift: 0.05,
            min_samples: 1000,
            unpacked: 16 << 20,
            services: 1000,
        }
    }
}

/// See the module.
pub struct Store {
    settings: Settings,
    index: Arc<Index>,
    bodies: Box<dyn Bodies>,
    /// Own functions of services, by service: what tells another program's profiles.
    known: Mutex<HashMap<i64, intake::Known>>,
    /// Held for reading while a body is named in the index or read by what is written there, for writing
    /// while bodies that nothing names are removed.
    naming: RwLock<()>,
    /// One merge at a time: each may take as much memory as all its calls.
    merging: Mutex<window::Cache>,
    folder: PathBuf,
    /// Locked while the store is open.
    _lock: File,
}

/// The index, in a store's folder.
pub const INDEX: &str = "index.sqlite";

impl Store {
    /// Opens the store in a folder, which is made if there is none, with bodies in files there.
    ///
    /// # Errors
    /// When another process has opened it; when the folder can't be written; when it is of a later version.
    pub fn open(folder: &Path, settings: Settings) -> Result<Self, Error> {
        let bodies = folder.join("bodies");
        Self::open_with(folder, settings, || {
            let files = Files::open(&bodies).map_err(|error| Error::io("make", &bodies, error))?;
            Ok(Box::new(files))
        })
    }

    /// Opens a store whose bodies are elsewhere.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_with(
        folder: &Path,
        settings: Settings,
        bodies: impl FnOnce() -> Result<Box<dyn Bodies>, Error>,
    ) -> Result<Self, Error> {
        fs::create_dir_all(folder).map_err(|error| Error::io("make", folder, error))?;
        let lock = locked(folder)?;
        let index = Arc::new(Index::open(&folder.join(INDEX))?);
        let store = Self {
            settings: Settings {
                keep: settings.keep.max(settings.window),
                ..settings
            },
            index,
            bodies: bodies()?,
            known: Mutex::default(),
            naming: RwLock::default(),
            merging: Mutex::default(),
            folder: folder.to_owned(),
            _lock: lock,
        };
        // What an earlier process had begun to look at, it may not have finished.
        store.index.write(|connection| {
            connection.execute("UPDATE service SET changed = 1", [])?;
            Ok(())
        })?;
        Ok(store)
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A body without gzip, made sure of by its hash.
    fn body(&self, hash: &Hash) -> Result<Vec<u8>, Error> {
        let damaged = |why: String| Error::Body {
            hash: hash.to_hex().to_string(),
            why,
        };
        let packed = self
            .bodies
            .get(hash)
            .map_err(|error| damaged(error.to_string()))?;
        let raw = goprof::unpack(&packed, LARGEST).map_err(|error| damaged(error.to_string()))?;
        match blake3::hash(&raw) == *hash {
            true => Ok(raw.into_owned()),
            false => Err(damaged("its content is not what was kept".to_owned())),
        }
    }

    fn put(&self, hash: &Hash, packed: &[u8]) -> Result<(), Error> {
        let kept = self.bodies.put(hash, packed);
        kept.map_err(|error| Error::io("keep a body in", Path::new(&self.bodies.place()), error))
    }

    fn known(&self) -> MutexGuard<'_, HashMap<i64, intake::Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bodies that the store wrote itself may be larger than what is taken from others.
const LARGEST: u64 = 1 << 30;

fn locked(folder: &Path) -> Result<File, Error> {
    let path = folder.join("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|error| Error::io("open", &path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(Error::Locked {
            path: folder.display().to_string(),
        }),
        Err(fs::TryLockError::Error(error)) => Err(Error::io("lock", &path, error)),
    }
}

/// The number of a service.
fn service_id(connection: &Connection, name: &ServiceName) -> Result<i64, Error> {
    let found = connection
        .prepare_cached("SELECT id FROM service WHERE name = ?1")?
        .query_row([name.as_str()], |row| row.get(0))
        .optional()?;
    found.ok_or_else(|| Error::NoService {
        name: name.to_string(),
    })
}

/// A hash as the index keeps it.
fn hash_of(bytes: &[u8]) -> Result<Hash, Error> {
    Hash::from_slice(bytes).map_err(|_| Error::Body {
        hash: "?".to_owned(),
        why: "the index holds no hash of it".to_owned(),
    })
}

fn nanos(length: Duration) -> i64 {
    i64::try_from(length.as_nanos()).unwrap_or(i64::MAX)
}
