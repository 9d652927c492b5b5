//! What was recorded lately, merged.

use std::{collections::VecDeque, sync::PoisonError, time::Duration};

use blake3::Hash;
use goprof::{Merge, pprof::Profile, quantise};
use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::{Error, ServiceName, Span, Store, Time, hash_of, nanos, service_id};

/// Hours are what profiles are put together by, and what windows begin with.
pub const HOUR: i64 = 3_600_000_000_000;
/// Binary digits of a weight that are kept: it is off by at most 1/16.
const BITS: u32 = 4;
/// Merges that are remembered.
const REMEMBERED: usize = 8;

/// Where a merge comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    pub profiles: i64,
    /// Sums, in nanoseconds.
    pub duration: i64,
    pub cpu: i64,
    pub samples: i64,
    /// When the first and the last of them were recorded.
    pub first: Time,
    pub last: Time,
    /// BLAKE3 of the profiles' hashes, in their order.
    pub inputs: Hash,
}

/// A merge, as it is given out.
#[derive(Clone, Debug)]
pub struct Merged {
    /// Of the bytes without gzip.
    pub hash: Hash,
    /// Gzipped pprof.
    pub packed: Vec<u8>,
    pub facts: Facts,
}

/// What was merged last. Within one set of profiles nothing changes.
#[derive(Debug, Default)]
pub struct Cache(VecDeque<(i64, Hash, Merged)>);

/// The parts that a window is merged from, and what is known of the profiles behind them.
struct Parts {
    service: i64,
    hashes: Vec<Hash>,
    facts: Facts,
}

impl Store {
    /// Merges the profiles of the last `length` before `now`, from the beginning of that hour on. The same
    /// profiles give the same bytes.
    ///
    /// # Errors
    /// When there are none.
    pub fn window(&self, name: &ServiceName, length: Duration, now: Time) -> Result<Merged, Error> {
        let _named = self.naming.read();
        let from = begin(now, length);
        let parts = self.index.read(|connection| {
            let one_state = connection.unchecked_transaction()?;
            let service = service_id(&one_state, name)?;
            Parts::of(&one_state, service, from)
        })?;
        let parts = parts.ok_or_else(|| Error::NothingInWindow {
            name: name.to_string(),
            window: Span(length),
        })?;
        let mut cache = self.merging.lock().unwrap_or_else(PoisonError::into_inner);
        let Parts { service, facts, .. } = parts;
        let remembered = cache.0.iter().find(|(id, inputs, _)| {
            // An hour's merge stands for its profiles, so these alone decide.
            (*id, *inputs) == (service, facts.inputs)
        });
        if let Some((.., merged)) = remembered {
            return Ok(merged.clone());
        }
        let mut profile = self.merged(&parts.hashes)?;
        quantise(&mut profile, BITS);
        comment(&mut profile, name, &facts);
        let packed = goprof::encode(&profile);
        let raw = goprof::unpack(&packed, super::LARGEST)?;
        let merged = Merged {
            hash: blake3::hash(&raw),
            packed,
            facts,
        };
        cache.0.truncate(REMEMBERED - 1);
        cache.0.push_front((service, facts.inputs, merged.clone()));
        Ok(merged)
    }

    /// The sum of bodies.
    pub(super) fn merged(&self, hashes: &[Hash]) -> Result<Profile, Error> {
        let mut merge = Merge::default();
        for hash in hashes {
            merge.add(&self.profile(hash)?)?;
        }
        Ok(merge.finish())
    }

    pub(super) fn profile(&self, hash: &Hash) -> Result<Profile, Error> {
        let read = goprof::read_unpacked(&self.body(hash)?, super::LARGEST);
        read.map_err(|error| Error::Body {
            hash: hash.to_hex().to_string(),
            why: error.to_string(),
        })
    }
}

/// When a window begins that ends now.
pub fn begin(now: Time, length: Duration) -> Time {
    hour_of(now.saturating_sub(nanos(length)))
}

/// The beginning of an hour.
pub fn hour_of(time: Time) -> Time {
    time - time.rem_euclid(HOUR)
}

/// The newest whole profiles within a window.
pub fn newest(
    connection: &Connection,
    service: i64,
    from: Time,
    count: usize,
) -> Result<Vec<Hash>, Error> {
    let mut query = connection.prepare_cached(
        "SELECT hash FROM profile WHERE service = ?1 AND time >= ?2 AND apart = 0 AND whole = 1 \
         ORDER BY time DESC, hash LIMIT ?3",
    )?;
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    hashes(&mut query, params![service, from, count])
}

/// The first column of each row.
pub fn hashes(
    query: &mut rusqlite::Statement<'_>,
    with: impl rusqlite::Params,
) -> Result<Vec<Hash>, Error> {
    let mut rows = query.query(with)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(hash_of(row.get_ref(0)?.as_blob().unwrap_or_default())?);
    }
    Ok(found)
}

impl Parts {
    fn of(connection: &Connection, service: i64, from: Time) -> Result<Option<Self>, Error> {
        let Some(facts) = facts(connection, service, from)? else {
            return Ok(None);
        };
        let mut query = connection.prepare_cached(
            "SELECT hash FROM hour WHERE service = ?1 AND time >= ?2 UNION ALL \
             SELECT hash FROM profile WHERE service = ?1 AND time >= ?2 AND apart = 0 AND hour IS NULL",
        )?;
        Ok(Some(Self {
            service,
            hashes: hashes(&mut query, params![service, from])?,
            facts,
        }))
    }
}

/// What is known of a service's profiles from a time on; `None` where there are none.
pub fn facts(connection: &Connection, service: i64, from: Time) -> Result<Option<Facts>, Error> {
    let mut query = connection.prepare_cached(
        "SELECT hash, duration, cpu, samples, time FROM profile \
         WHERE service = ?1 AND time >= ?2 AND apart = 0 ORDER BY hash",
    )?;
    let mut rows = query.query(params![service, from])?;
    let mut inputs = blake3::Hasher::new();
    let mut facts: Option<Facts> = None;
    while let Some(row) = rows.next()? {
        inputs.update(row.get_ref(0)?.as_blob().unwrap_or_default());
        let time: Time = row.get(4)?;
        let sum = facts.get_or_insert(Facts {
            profiles: 0,
            duration: 0,
            cpu: 0,
            samples: 0,
            first: time,
            last: time,
            inputs: Hash::from_bytes([0; 32]),
        });
        let add = |to: &mut i64, more: i64| *to = to.saturating_add(more);
        add(&mut sum.profiles, 1);
        add(&mut sum.duration, row.get(1)?);
        add(&mut sum.cpu, row.get(2)?);
        add(&mut sum.samples, row.get(3)?);
        sum.first = sum.first.min(time);
        sum.last = sum.last.max(time);
    }
    Ok(facts.map(|facts| Facts {
        inputs: inputs.finalize(),
        ..facts
    }))
}

/// Writes into a profile where it comes from. `go tool pprof -comments` shows it.
fn comment(profile: &mut Profile, name: &ServiceName, facts: &Facts) {
    let seconds = |nanos: i64| nanos / 1_000_000_000;
    let lines = [
        format!("probelab profile store: service {name}"),
        format!(
            "{} profiles, {} s of recording, {} s of CPU time, recorded from {} to {}",
            facts.profiles,
            seconds(facts.duration),
            seconds(facts.cpu),
            moment(facts.first),
            moment(facts.last)
        ),
        format!("inputs: {}", facts.inputs.to_hex()),
        format!(
            "kept is what Go's compiler reads: two locations a sample, lines counted from func, weights to \
             1 part in {}",
            1 << BITS
        ),
    ];
    for line in lines {
        profile.comment.push(profile.string_table.len() as i64);
        profile.string_table.push(line);
    }
}

/// A time to the second, UTC.
pub fn moment(time: Time) -> String {
    let at = Timestamp::from_second(time.div_euclid(1_000_000_000));
    at.map_or_else(|_| time.to_string(), |at| at.to_string())
}
