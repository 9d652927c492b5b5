//! From named stacks to a pprof.

#![allow(unused)] // Until the TODOs are done.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use goprof::{
    Samples,
    pprof::{Profile, Sample},
};

use crate::{code::Code, symbolise::locations, tables::Tables};

/// How the samples were taken.
pub struct Recording {
    /// Samples for each second of CPU time.
    pub hz: u32,
    /// When sampling began.
    pub began: SystemTime,
    /// For how long.
    pub lasted: Duration,
}

/// The samples as a pprof with two values each: `samples/count` and `cpu/nanoseconds`.
pub fn profile(samples: &Samples, code: &Code, recording: &Recording) -> Profile {
    let mut tables = Tables::new(code.files());
    let mut profile = Profile::default();

    // TODO: the two sample types; then a sample for each stack: its values, one for each type, and
    // the ids of its locations.

    // TODO: the period and its type, when the recording began and how long it took.

    tables.fill(&mut profile);
    profile
}

/// A duration as pprof wants it.
fn nanos(duration: Duration) -> i64 {
    duration.as_nanos() as i64
}
