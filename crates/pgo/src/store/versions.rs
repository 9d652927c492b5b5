//! Published profiles: quiet ones.

use blake3::Hash;
use goprof::{Edges, pprof::Profile};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{Drift, Error, Facts, Merged, ServiceName, Span, Store, Time, hash_of, service_id};

/// A published profile, which never changes.
#[derive(Clone, Debug)]
pub struct Version {
    /// From 1.
    pub number: i64,
    pub created: Time,
    /// Of the bytes without gzip.
    pub hash: Hash,
    pub facts: Facts,
    /// Why it was published.
    pub reason: String,
}

/// What a look at a service's newest profiles led to.
#[derive(Clone, Debug)]
pub enum Published {
    New(Version),
    /// The newest version stays; nothing, or so little, would be otherwise.
    Same(Version, Drift),
}

const COLUMNS: &str =
    "number, created, hash, profiles, duration, cpu, samples, first, last, inputs, reason";

impl Version {
    fn of(row: &Row<'_>) -> Result<Self, Error> {
        let hash = |column| -> Result<Hash, Error> {
            hash_of(row.get_ref(column)?.as_blob().unwrap_or_default())
        };
        Ok(Self {
            number: row.get(0)?,
            created: row.get(1)?,
            hash: hash(2)?,
            facts: Facts {
                profiles: row.get(3)?,
                duration: row.get(4)?,
                cpu: row.get(5)?,
                samples: row.get(6)?,
                first: row.get(7)?,
                last: row.get(8)?,
                inputs: hash(9)?,
            },
            reason: row.get(10)?,
        })
    }

    fn write(&self, connection: &Connection, service: i64) -> Result<(), Error> {
        let facts = &self.facts;
        connection.execute(
            &format!(
                "INSERT INTO version (service, {COLUMNS}) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
            ),
            params![
                service,
                self.number,
                self.created,
                self.hash.as_bytes(),
                facts.profiles,
                facts.duration,
                facts.cpu,
                facts.samples,
                facts.first,
                facts.last,
                facts.inputs.as_bytes(),
                self.reason,
            ],
        )?;
        Ok(())
    }
}

impl Store {
    /// Looks at what the compiler would do with the profiles of the window, and publishes a version if that
    /// is not what it does with the newest one.
    ///
    /// # Errors
    /// When there are no profiles, or for the first version too few samples.
    pub fn publish(&self, name: &ServiceName, now: Time) -> Result<Published, Error> {
        let service = self.index.read(|connection| service_id(connection, name))?;
        let merged = self.window(name, self.settings.window, now)?;
        let newest = self.newest(name)?;
        let (number, reason) = match newest {
            None => {
                let samples = merged.facts.samples;
                if samples < self.settings.min_samples {
                    return Err(Error::TooFewSamples {
                        name: name.to_string(),
                        samples,
                        wanted: self.settings.min_samples,
                        window: Span(self.settings.window),
                    });
                }
                (1, "the first".to_owned())
            }
            Some(version) if version.facts.inputs == merged.facts.inputs => {
                return Ok(Published::Same(version, Drift::default()));
            }
            Some(version) => {
                let drift = self.drift(&version, &merged)?;
                if drift.most() <= self.settings.drift {
                    return Ok(Published::Same(version, drift));
                }
                (version.number + 1, drift.to_string())
            }
        };
        let version = Version {
            number,
            created: now,
            hash: merged.hash,
            facts: merged.facts,
            reason,
        };
        let _named = self.naming.read();
        self.put(&version.hash, &merged.packed)?;
        let row = version.clone();
        self.index
            .write(move |connection| row.write(connection, service))?;
        Ok(Published::New(version))
    }

    fn drift(&self, version: &Version, merged: &Merged) -> Result<Drift, Error> {
        let published = Edges::of(&self.profile(&version.hash)?);
        let candidate = goprof::read_limited(&merged.packed, super::LARGEST)?;
        Ok(Drift::between(&published, &Edges::of(&candidate)))
    }

    /// Services where something came or went since the last call.
    ///
    /// # Errors
    /// When the index fails.
    pub fn take_changed(&self) -> Result<Vec<ServiceName>, Error> {
        let names: Vec<String> = self.index.write(|connection| {
            let text = "UPDATE service SET changed = 0 WHERE changed = 1 RETURNING name";
            let mut query = connection.prepare(text)?;
            let names = query.query_map([], |row| row.get(0))?;
            Ok(names.collect::<Result<_, _>>()?)
        })?;
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// The newest version.
    ///
    /// # Errors
    /// When there is no such service.
    pub fn newest(&self, name: &ServiceName) -> Result<Option<Version>, Error> {
        Ok(self.versions(name)?.into_iter().next())
    }

    /// A version by its number.
    ///
    /// # Errors
    /// When there is none, or no longer.
    pub fn version(&self, name: &ServiceName, number: i64) -> Result<Version, Error> {
        let mut versions = self.versions(name)?;
        let newest = versions.first().map_or(0, |version| version.number);
        versions.retain(|version| version.number == number);
        versions.pop().ok_or_else(|| Error::NoVersion {
            name: name.to_string(),
            version: number,
            newest,
        })
    }

    /// All versions that are kept, the newest first.
    ///
    /// # Errors
    /// When there is no such service.
    pub fn versions(&self, name: &ServiceName) -> Result<Vec<Version>, Error> {
        self.index.read(|connection| {
            let service = service_id(connection, name)?;
            let mut query = connection.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM version WHERE service = ?1 ORDER BY number DESC"
            ))?;
            let mut rows = query.query([service])?;
            let mut versions = Vec::new();
            while let Some(row) = rows.next()? {
                versions.push(Version::of(row)?);
            }
            Ok(versions)
        })
    }

    /// A version, read.
    ///
    /// # Errors
    /// When its body is lost.
    pub fn version_profile(&self, version: &Version) -> Result<Profile, Error> {
        self.profile(&version.hash)
    }

    /// A version's bytes: gzipped pprof.
    ///
    /// # Errors
    /// When its body is lost.
    pub fn published(&self, version: &Version) -> Result<Vec<u8>, Error> {
        // Read whole, and made sure of.
        Ok(goprof::pack(&self.body(&version.hash)?))
    }
}

/// The hash of a service's newest version.
pub fn newest_hash(connection: &Connection, service: i64) -> Result<Option<Hash>, Error> {
    let found: Option<Vec<u8>> = connection
        .prepare_cached("SELECT hash FROM version WHERE service = ?1 ORDER BY number DESC LIMIT 1")?
        .query_row([service], |row| row.get(0))
        .optional()?;
    found.map(|bytes| hash_of(&bytes)).transpose()
}
