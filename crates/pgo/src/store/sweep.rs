//! What becomes of profiles with time.

use std::collections::HashSet;

use blake3::Hash;
use rusqlite::{Connection, params};

use super::{
    Error, Store, Time, hash_of, nanos,
    window::{HOUR, begin, hashes, hour_of},
};

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Hours whose profiles were merged into one.
    pub hours: usize,
    /// Profiles of which no longer all is kept, and those that were removed.
    pub folded: usize,
    pub removed: usize,
    /// Versions that were removed.
    pub versions: usize,
    /// Bodies that nothing named any more.
    pub bodies: usize,
}

/// An hour of a service, over for long enough that no more is likely to come.
struct Hour {
    service: i64,
    time: Time,
    profiles: Vec<(i64, Hash)>,
}

impl Store {
    /// Merges the profiles of each hour that is over, and removes what is older than it is to be kept.
    ///
    /// # Errors
    /// When there is no room, or the index fails.
    pub fn sweep(&self, now: Time) -> Result<Swept, Error> {
        let mut swept = Swept::default();
        let hours = self
            .index
            .read(|connection| hours(connection, hour_of(now) - HOUR))?;
        for hour in hours {
            // One that is damaged is told when a window is merged; the others are put together.
            swept.hours += usize::from(self.put_together(&hour).is_ok());
        }
        let settings = self.settings;
        let (folded, removed, versions) = self.index.write(move |connection| {
            let whole = begin(now, settings.keep_whole);
            let text = "UPDATE profile SET whole = 0 WHERE hour NOTNULL AND whole = 1 AND time < ?1";
            let folded = connection.execute(text, [whole])?;
            let old = begin(now, settings.keep);
            connection.execute(
                "UPDATE service SET changed = 1 WHERE id IN (SELECT service FROM profile WHERE time < ?1)",
                [old],
            )?;
            let removed = connection.execute("DELETE FROM profile WHERE time < ?1", [old])?;
            connection.execute("DELETE FROM hour WHERE time < ?1", [old])?;
            let versions = connection.execute(
                "DELETE FROM version WHERE number <= \
                 (SELECT max(number) FROM version newest WHERE newest.service = version.service) - ?1",
                [settings.keep_versions.max(1)],
            )?;
            // A window ends earlier with each hour.
            let from = begin(now, settings.window);
            connection.execute(
                "UPDATE service SET changed = 1 WHERE id IN \
                 (SELECT service FROM profile WHERE time < ?1 AND time >= ?2)",
                params![from, from - nanos(2 * std::time::Duration::from_secs(3600))],
            )?;
            Ok((folded, removed, versions))
        })?;
        (swept.folded, swept.removed, swept.versions) = (folded, removed, versions);
        swept.bodies = self.remove_unnamed()?;
        Ok(swept)
    }

    fn put_together(&self, hour: &Hour) -> Result<(), Error> {
        let _named = self.naming.read();
        let parts: Vec<Hash> = hour.profiles.iter().map(|(_, hash)| *hash).collect();
        let packed = goprof::encode(&self.merged(&parts)?);
        let hash = blake3::hash(&goprof::unpack(&packed, super::LARGEST)?);
        self.put(&hash, &packed)?;
        let (service, time) = (hour.service, hour.time);
        let ids: Vec<i64> = hour.profiles.iter().map(|(id, _)| *id).collect();
        self.index.write(move |connection| {
            let text = "INSERT INTO hour (service, time, hash) VALUES (?1, ?2, ?3)";
            connection.execute(text, params![service, time, hash.as_bytes()])?;
            let hour = connection.last_insert_rowid();
            for id in ids {
                let text =
                    "UPDATE profile SET hour = ?1 WHERE id = ?2 AND hour ISNULL AND apart = 0";
                if connection.execute(text, params![hour, id])? != 1 {
                    // It went meanwhile; the next sweep sees what there is then.
                    return Err(Error::Index(rusqlite::Error::QueryReturnedNoRows));
                }
            }
            Ok(())
        })
    }

    fn remove_unnamed(&self) -> Result<usize, Error> {
        let place = self.bodies.place();
        let failed = |error| Error::io("list the bodies in", std::path::Path::new(&place), error);
        let _nobody_names = self.naming.write();
        let named = self.index.read(named)?;
        let mut count = 0;
        for hash in self.bodies.list().map_err(failed)? {
            if !named.contains(hash.as_bytes()) {
                self.bodies.remove(&hash).map_err(failed)?;
                count += 1;
            }
        }
        Ok(count)
    }
}

/// Hours that ended before `limit` and hold two profiles or more that are not put together.
fn hours(connection: &Connection, limit: Time) -> Result<Vec<Hour>, Error> {
    let mut query = connection.prepare_cached(
        "SELECT service, time, id, hash FROM profile WHERE hour ISNULL AND apart = 0 AND time < ?1 \
         ORDER BY service, time",
    )?;
    let mut rows = query.query([limit])?;
    let mut hours: Vec<Hour> = Vec::new();
    while let Some(row) = rows.next()? {
        let (service, time) = (row.get(0)?, hour_of(row.get(1)?));
        let profile = (
            row.get(2)?,
            hash_of(row.get_ref(3)?.as_blob().unwrap_or_default())?,
        );
        match hours.last_mut() {
            Some(hour) if (hour.service, hour.time) == (service, time) => {
                hour.profiles.push(profile);
            }
            _ => hours.push(Hour {
                service,
                time,
                profiles: vec![profile],
            }),
        }
    }
    hours.retain(|hour| hour.profiles.len() > 1);
    Ok(hours)
}

/// Bodies that the index names.
fn named(connection: &Connection) -> Result<HashSet<[u8; 32]>, Error> {
    let mut query = connection.prepare_cached(
        "SELECT hash FROM profile WHERE whole = 1 UNION SELECT hash FROM hour UNION SELECT hash FROM version",
    )?;
    let found = hashes(&mut query, [])?;
    Ok(found.iter().map(|hash| *hash.as_bytes()).collect())
}
