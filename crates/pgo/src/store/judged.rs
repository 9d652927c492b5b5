//! A pushed profile, looked at before anything is kept of it.

use blake3::Hash;
use goprof::{Edges, Merge, pprof::Profile};

use super::error::Error;

/// Labels and their bytes, at most.
const LABELS: usize = 64;
const LABEL_BYTES: usize = 8192;

/// A profile that the store can use.
pub struct Judged {
    /// Of the bytes without gzip.
    pub hash: Hash,
    /// Gzipped.
    pub packed: Vec<u8>,
    pub size: u64,
    /// When it began, and how long it took; 0 where it does not say.
    pub time: i64,
    pub duration: i64,
    /// Nanoseconds.
    pub cpu: i64,
    pub samples: i64,
    /// The calls that the compiler would read.
    pub edges: Edges,
}

impl Judged {
    /// Reads a pprof, gzipped or not, of at most `limit` bytes when unpacked.
    ///
    /// # Errors
    /// When it is no pprof, or nothing that the compiler could use.
    pub fn of(bytes: &[u8], limit: u64) -> Result<Self, Error> {
        let raw = goprof::unpack(bytes, limit)?;
        let profile = goprof::read_unpacked(&raw, limit)?;
        if profile.pgo_value_index().is_none() {
            let found: Vec<String> = profile
                .sample_types()
                .map(|(kind, unit)| super::name::shown(&format!("{kind}/{unit}")))
                .collect();
            return Err(Error::NotCpu {
                found: match found.is_empty() {
                    true => "nothing".to_owned(),
                    false => found.join(" and "),
                },
            });
        }
        let mut merge = Merge::default();
        merge.add(&profile)?;
        let read = merge.finish();
        let cpu = read.weight().unwrap_or_default();
        if cpu == 0 {
            return Err(Error::NoSamples);
        }
        start_lines(&read, cpu)?;
        let samples = match (profile.weight(), profile.sample_weight()) {
            (Some(weight), Some(one)) => weight / one.max(1),
            // Without a period nobody knows; each stack was seen once at least.
            _ => i64::try_from(profile.sample.len()).unwrap_or(i64::MAX),
        };
        Ok(Self {
            hash: blake3::hash(&raw),
            packed: match goprof::is_packed(bytes) {
                true => bytes.to_vec(),
                false => goprof::pack(bytes),
            },
            size: raw.len() as u64,
            time: profile.time_nanos.max(0),
            duration: profile.duration_nanos.max(0),
            cpu,
            samples,
            edges: Edges::of(&read),
        })
    }
}

/// Go's compiler refuses a profile without any start line, and where only some lack it takes all and finds
/// no call of those. Code in C never has one; so some may.
fn start_lines(read: &Profile, cpu: i64) -> Result<(), Error> {
    let function_lacks = |id: u64| {
        let function = usize::try_from(id).ok().and_then(|id| id.checked_sub(1));
        let function = function.and_then(|at| read.function.get(at));
        function.is_none_or(|function| function.start_line <= 0)
    };
    let location_lacks: Vec<bool> = read
        .location
        .iter()
        .map(|location| {
            location
                .line
                .iter()
                .any(|line| function_lacks(line.function_id))
        })
        .collect();
    let lacking: f64 = read
        .sample
        .iter()
        .filter(|sample| {
            let mut places = sample.location_id.iter();
            places.any(|id| location_lacks.get(*id as usize - 1) == Some(&true))
        })
        .filter_map(|sample| sample.value.first())
        .map(|value| *value as f64)
        .sum();
    let share = lacking / cpu as f64;
    match share > 0.5 {
        true => Err(Error::StartLines {
            percent: (share * 100.0).round() as i64,
        }),
        false => Ok(()),
    }
}

/// Labels as they are kept: a JSON object, in the order of their names.
///
/// # Errors
/// When there are too many.
pub fn labels(labels: &[(String, String)]) -> Result<String, Error> {
    let too_many = |what: String, limit| Err(Error::Labels { what, limit });
    if labels.len() > LABELS {
        return too_many(labels.len().to_string(), LABELS);
    }
    let bytes: usize = labels.iter().map(|(k, v)| k.len() + v.len()).sum();
    if bytes > LABEL_BYTES {
        return too_many(format!("{bytes} bytes"), LABEL_BYTES);
    }
    let sorted: std::collections::BTreeMap<_, _> = labels.iter().map(|(k, v)| (k, v)).collect();
    Ok(serde_json::to_string(&sorted).unwrap_or_default())
}
