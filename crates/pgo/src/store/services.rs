//! What there is, and taking it away.

use blake3::Hash;
use rusqlite::{OptionalExtension as _, Row, params};

use super::{Error, ServiceName, Span, Store, Time, hash_of, service_id};

/// A service, as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    pub name: ServiceName,
    pub created: Time,
    /// Profiles that count, and those that were set apart.
    pub profiles: i64,
    pub apart: i64,
    /// Sound profiles that were no use.
    pub passed_over: i64,
    /// When the newest was recorded.
    pub last: Option<Time>,
    /// The newest version, and when it was published.
    pub version: Option<(i64, Time)>,
}

/// A profile, as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    pub hash: Hash,
    pub received: Time,
    pub time: Time,
    pub skewed: bool,
    pub duration: i64,
    pub cpu: i64,
    pub samples: i64,
    pub size: i64,
    /// A JSON object.
    pub labels: String,
    pub apart: bool,
    /// Whether all of it is still kept.
    pub whole: bool,
}

impl Profile {
    fn of(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self {
            hash: hash_of(row.get_ref(0)?.as_blob().unwrap_or_default())?,
            received: row.get(1)?,
            time: row.get(2)?,
            skewed: row.get(3)?,
            duration: row.get(4)?,
            cpu: row.get(5)?,
            samples: row.get(6)?,
            size: row.get(7)?,
            labels: row.get(8)?,
            apart: row.get(9)?,
            whole: row.get(10)?,
        })
    }
}

impl Store {
    /// All services, by name.
    ///
    /// # Errors
    /// When the index fails.
    pub fn services(&self) -> Result<Vec<Service>, Error> {
        self.index.read(|connection| {
            let mut query = connection.prepare_cached(
                "SELECT name, created, passed_over, \
                 (SELECT count(*) FROM profile WHERE service = service.id AND apart = 0), \
                 (SELECT count(*) FROM profile WHERE service = service.id AND apart = 1), \
                 (SELECT max(time) FROM profile WHERE service = service.id AND apart = 0), \
                 (SELECT max(number) FROM version WHERE service = service.id), \
                 (SELECT max(created) FROM version WHERE service = service.id) \
                 FROM service ORDER BY name",
            )?;
            let mut rows = query.query([])?;
            let mut services = Vec::new();
            while let Some(row) = rows.next()? {
                let name: String = row.get(0)?;
                let version = (row.get::<_, Option<i64>>(6)?, row.get::<_, Option<i64>>(7)?);
                services.push(Service {
                    name: name.parse()?,
                    created: row.get(1)?,
                    passed_over: row.get(2)?,
                    profiles: row.get(3)?,
                    apart: row.get(4)?,
                    last: row.get(5)?,
                    version: version.0.zip(version.1),
                });
            }
            Ok(services)
        })
    }

    /// A service's newest profiles, at most `count`.
    ///
    /// # Errors
    /// When there is no such service.
    pub fn profiles(&self, name: &ServiceName, count: u32) -> Result<Vec<Profile>, Error> {
        self.index.read(|connection| {
            let service = service_id(connection, name)?;
            let mut query = connection.prepare_cached(
                "SELECT hash, received, time, skewed, duration, cpu, samples, size, labels, apart, whole \
                 FROM profile WHERE service = ?1 ORDER BY time DESC, hash LIMIT ?2",
            )?;
            let mut rows = query.query(params![service, count])?;
            let mut profiles = Vec::new();
            while let Some(row) = rows.next()? {
                profiles.push(Profile::of(row)?);
            }
            Ok(profiles)
        })
    }

    /// A profile as it was pushed, gzipped.
    ///
    /// # Errors
    /// When there is none, or no longer all of it.
    pub fn raw(&self, name: &ServiceName, hash: &Hash) -> Result<Vec<u8>, Error> {
        let _named = self.naming.read();
        let whole: Option<bool> = self.index.read(|connection| {
            let service = service_id(connection, name)?;
            let found = connection
                .prepare_cached("SELECT whole FROM profile WHERE service = ?1 AND hash = ?2")?
                .query_row(params![service, hash.as_bytes()], |row| row.get(0));
            Ok(found.optional()?)
        })?;
        match whole {
            Some(true) => Ok(goprof::pack(&self.body(hash)?)),
            Some(false) => Err(Error::Folded {
                hash: hash.to_hex().to_string(),
                kept: Span(self.settings.keep_whole),
            }),
            None => Err(no_profile(name, hash)),
        }
    }

    /// Counts a profile that was set apart: it is this service's after all.
    ///
    /// # Errors
    /// When there is no such profile.
    pub fn accept(&self, name: &ServiceName, hash: &Hash) -> Result<(), Error> {
        let (of, hash) = (name.clone(), *hash);
        let service = self.index.write(move |connection| {
            let service = service_id(connection, &of)?;
            let text = "UPDATE profile SET apart = 0 WHERE service = ?1 AND hash = ?2";
            match connection.execute(text, params![service, hash.as_bytes()])? {
                0 => Err(no_profile(&of, &hash)),
                _ => {
                    let text = "UPDATE service SET changed = 1 WHERE id = ?1";
                    connection.execute(text, [service])?;
                    Ok(service)
                }
            }
        })?;
        // Its functions are known from now on.
        self.known().remove(&service);
        Ok(())
    }

    /// Removes a profile. The others of its hour are merged anew.
    ///
    /// # Errors
    /// When there is no such profile; when it is in an hour's merge of profiles that are no longer kept.
    pub fn remove_profile(&self, name: &ServiceName, hash: &Hash) -> Result<(), Error> {
        let (of, hash) = (name.clone(), *hash);
        let kept = Span(self.settings.keep_whole);
        self.index.write(move |connection| {
            let service = service_id(connection, &of)?;
            let found: Option<(i64, Option<i64>)> = connection
                .query_row(
                    "SELECT id, hour FROM profile WHERE service = ?1 AND hash = ?2",
                    params![service, hash.as_bytes()],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )
                .optional()?;
            let (id, hour) = found.ok_or_else(|| no_profile(&of, &hash))?;
            if let Some(hour) = hour {
                let text = "SELECT 1 FROM profile WHERE hour = ?1 AND whole = 0";
                if connection.prepare(text)?.exists([hour])? {
                    let hash = hash.to_hex().to_string();
                    return Err(Error::Folded { hash, kept });
                }
                connection.execute("DELETE FROM hour WHERE id = ?1", [hour])?;
            }
            connection.execute("DELETE FROM profile WHERE id = ?1", [id])?;
            connection.execute("UPDATE service SET changed = 1 WHERE id = ?1", [service])?;
            Ok(())
        })
    }

    /// Removes a service with all that there is of it.
    ///
    /// # Errors
    /// When there is no such service.
    pub fn remove_service(&self, name: &ServiceName) -> Result<(), Error> {
        let name = name.clone();
        let service = self.index.write(move |connection| {
            let service = service_id(connection, &name)?;
            connection.execute("DELETE FROM service WHERE id = ?1", [service])?;
            Ok(service)
        })?;
        self.known().remove(&service);
        Ok(())
    }
}

fn no_profile(name: &ServiceName, hash: &Hash) -> Error {
    Error::NoProfile {
        name: name.to_string(),
        hash: hash.to_hex().to_string(),
    }
}
