//! Taking a profile in.

use std::{collections::HashSet, time::Duration};

use blake3::Hash;
use goprof::Edges;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    Error, ServiceName, Store, Time,
    judged::{self, Judged},
    kin, nanos, window,
};

/// Clocks may be this much fast.
const FAST: Duration = Duration::from_secs(300);

/// Own functions that are remembered of a service, at most.
const NAMES: usize = 100_000;

/// A profile as it was pushed.
#[derive(Clone, Copy, Debug)]
pub struct Pushed<'a> {
    pub service: &'a ServiceName,
    /// pprof, gzipped or not.
    pub bytes: &'a [u8],
    pub labels: &'a [(String, String)],
    /// When it was recorded by what the client says, for profiles that do not say it themselves.
    pub began: Option<Time>,
    /// Take it for this service's, whatever it looks like.
    pub own: bool,
}

/// What became of a pushed profile.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    Kept,
    /// The same bytes were pushed for the service before, and count once.
    Known,
    /// It looks like another program's: the part of its weight on own functions that the service is known
    /// to have. It is kept, and in no merge.
    Apart(f64),
}

/// An acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Receipt {
    /// Of the profile's bytes without gzip.
    pub hash: Hash,
    pub outcome: Outcome,
    /// Its clock can't be right, so the time at which it was received counts.
    pub skewed: bool,
}

impl Store {
    /// Keeps a profile. `now` is when it was received.
    ///
    /// # Errors
    /// When it is no use ([`Error::is_no_use`]) or not sound; when there is no room.
    pub fn push(&self, pushed: Pushed<'_>, now: Time) -> Result<Receipt, Error> {
        let judged = match Judged::of(pushed.bytes, self.settings.unpacked) {
            Err(error) if error.is_no_use() => {
                self.pass_over(pushed.service)?;
                return Err(error);
            }
            judged => judged?,
        };
        let labels = judged::labels(pushed.labels)?;
        let service = self.service(pushed.service, now)?;
        let (time, skewed) = self.time(&judged, pushed.began, now);
        let share = match pushed.own {
            true => None,
            false => self.share_known(service, &judged.edges, now)?,
        };
        let apart = share.is_some_and(|share| share < kin::KIN);

        let row = Row {
            service,
            hash: judged.hash,
            received: now,
            time,
            skewed,
            duration: judged.duration,
            cpu: judged.cpu,
            samples: judged.samples,
            size: i64::try_from(judged.size).unwrap_or(i64::MAX),
            labels,
            apart,
        };
        let known = self.index.read(|connection| row.known(connection))?;
        if let Some(known) = known.filter(|apart| !(*apart && pushed.own)) {
            let outcome = match (known, share) {
                (true, Some(share)) => Outcome::Apart(share),
                _ => Outcome::Known,
            };
            return Ok(Receipt {
                hash: judged.hash,
                outcome,
                skewed,
            });
        }

        let _named = self.naming.read();
        self.put(&judged.hash, &judged.packed)?;
        self.index.write(move |connection| row.write(connection))?;
        if !apart {
            let mut known = self.known();
            let known_here = known.entry(service).or_default();
            known_here.add(&judged.edges, judged.samples);
            if known_here.names.len() > NAMES {
                // Found anew, of what was pushed last.
                known.remove(&service);
            }
        }
        Ok(Receipt {
            hash: judged.hash,
            outcome: match share {
                Some(share) if apart => Outcome::Apart(share),
                _ => Outcome::Kept,
            },
            skewed,
        })
    }

    /// When it was recorded, and whether that is not what was said.
    fn time(&self, judged: &Judged, began: Option<Time>, now: Time) -> (Time, bool) {
        let said = match judged.time {
            0 => began.unwrap_or(now),
            time => time,
        };
        let latest = now.saturating_add(nanos(FAST));
        let earliest = now.saturating_sub(nanos(self.settings.keep));
        match (earliest..=latest).contains(&said) {
            true => (said.min(now), false),
            false => (now, true),
        }
    }

    /// The service's number; a new one where there is room for one more.
    fn service(&self, name: &ServiceName, now: Time) -> Result<i64, Error> {
        let known = self.index.read(|connection| find(connection, name))?;
        if let Some(id) = known {
            return Ok(id);
        }
        let (name, limit) = (name.clone(), self.settings.services);
        self.index.write(move |connection| {
            // Another push may have been quicker.
            if let Some(id) = find(connection, &name)? {
                return Ok(id);
            }
            let count: i64 =
                connection.query_row("SELECT count(*) FROM service", [], |row| row.get(0))?;
            if usize::try_from(count).is_ok_and(|count| count >= limit) {
                let name = name.to_string();
                return Err(Error::Services { limit, name });
            }
            let text = "INSERT INTO service (name, created) VALUES (?1, ?2)";
            connection.execute(text, params![name.as_str(), now])?;
            Ok(connection.last_insert_rowid())
        })
    }

    /// Counts a sound profile that was no use, where the service has others.
    fn pass_over(&self, name: &ServiceName) -> Result<(), Error> {
        let name = name.to_string();
        self.index.write(move |connection| {
            let text = "UPDATE service SET passed_over = passed_over + 1 WHERE name = ?1";
            connection.execute(text, [name])?;
            Ok(())
        })
    }

    /// The part of the weight on own functions that the service is known to have; `None` where too little
    /// is known of it.
    fn share_known(&self, service: i64, edges: &Edges, now: Time) -> Result<Option<f64>, Error> {
        let enough = self.settings.min_samples;
        let share = |known: &Known| {
            let known = Some(known).filter(|known| known.samples >= enough)?;
            kin::share_known(edges, &known.names)
        };
        if let Some(known) = self.known().get(&service) {
            return Ok(share(known));
        }
        let known = self.own_names(service, now)?;
        let share = share(&known);
        self.known().entry(service).or_insert(known);
        Ok(share)
    }

    /// Own functions of what was recorded within the window, by its newest version and newest profiles.
    fn own_names(&self, service: i64, now: Time) -> Result<Known, Error> {
        const PROFILES: usize = 20;
        let from = window::begin(now, self.settings.window);
        let mut known = Known::default();
        let hashes = self.index.read(|connection| {
            let Some(facts) = window::facts(connection, service, from)? else {
                return Ok(Vec::new());
            };
            known.samples = facts.samples;
            let mut hashes = window::newest(connection, service, from, PROFILES)?;
            hashes.extend(super::versions::newest_hash(connection, service)?);
            Ok(hashes)
        })?;
        for hash in hashes {
            // What is damaged is told when it is merged.
            if let Ok(profile) = self.profile(&hash) {
                known.add(&Edges::of(&profile), 0);
            }
        }
        Ok(known)
    }
}

/// What is known of a service's program.
#[derive(Debug, Default)]
pub struct Known {
    /// Own functions.
    names: HashSet<u64>,
    /// What that rests on.
    samples: i64,
}

impl Known {
    fn add(&mut self, edges: &Edges, samples: i64) {
        self.names.extend(kin::own_names(edges));
        self.samples = self.samples.saturating_add(samples);
    }
}

fn find(connection: &Connection, name: &ServiceName) -> Result<Option<i64>, Error> {
    match super::service_id(connection, name) {
        Ok(id) => Ok(Some(id)),
        Err(Error::NoService { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A profile in the index.
struct Row {
    service: i64,
    hash: Hash,
    received: Time,
    time: Time,
    skewed: bool,
    duration: i64,
    cpu: i64,
    samples: i64,
    size: i64,
    labels: String,
    apart: bool,
}

impl Row {
    /// Whether it is there; if so, whether it was set apart.
    fn known(&self, connection: &Connection) -> Result<Option<bool>, Error> {
        let found = connection
            .prepare_cached("SELECT apart FROM profile WHERE service = ?1 AND hash = ?2")?
            .query_row(params![self.service, self.hash.as_bytes()], |row| {
                row.get(0)
            })
            .optional()?;
        Ok(found)
    }

    fn write(&self, connection: &Connection) -> Result<(), Error> {
        connection
            .prepare_cached(
                "INSERT INTO profile (service, hash, received, time, skewed, duration, cpu, samples, size, \
                 labels, apart) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) \
                 ON CONFLICT (service, hash) DO UPDATE SET apart = min(apart, excluded.apart)",
            )?
            .execute(params![
                self.service,
                self.hash.as_bytes(),
                self.received,
                self.time,
                self.skewed,
                self.duration,
                self.cpu,
                self.samples,
                self.size,
                self.labels,
                self.apart,
            ])?;
        connection
            .prepare_cached("UPDATE service SET changed = 1 WHERE id = ?1")?
            .execute([self.service])?;
        Ok(())
    }
}
