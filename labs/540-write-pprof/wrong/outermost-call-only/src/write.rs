//! From named stacks to a pprof.

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

    // ANCHOR: values
    let period = 1_000_000_000 / i64::from(recording.hz);
    let cpu = tables.value_type("cpu", "nanoseconds");
    profile.sample_type = vec![tables.value_type("samples", "count"), cpu];
    for (stack, count) in samples.iter() {
        let count = count as i64;
        let mut sample = Sample {
            value: vec![count, count * period],
            ..Sample::default()
        };
        for location in locations(stack, code) {
            sample.location_id.push(tables.location(&location));
        }
        if !sample.location_id.is_empty() {
            profile.sample.push(sample);
        }
    }
    // ANCHOR_END: values

    // ANCHOR: recording
    profile.period_type = Some(cpu);
    profile.period = period;
    profile.time_nanos = nanos(
        recording
            .began
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default(),
    );
    profile.duration_nanos = nanos(recording.lasted);
    // ANCHOR_END: recording

    tables.fill(&mut profile);
    profile
}

/// A duration as pprof wants it.
fn nanos(duration: Duration) -> i64 {
    duration.as_nanos() as i64
}
