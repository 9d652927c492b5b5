//! One run after the other.

use fastrand::Rng;

use crate::{
    clock,
    recording::Recording,
    table::{Run, Who},
    target::Target,
};

/// Samples for each second of CPU time that each profiler is asked for.
const RATES: [u32; 4] = [99, 499, 1_999, 4_999];

/// CPU seconds that process `pid` has used so far: all its threads, also those that have ended.
pub fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let id = (!pid.cast_signed() << 3) | 2;
    Ok(clock::read(id)?)
}

/// The runs of one round, in the order in which they are to be made: each of the `profilers` at each of
/// the RATES, and twice `Who::Nobody` at 0.
pub fn order(profilers: &[Who], rng: &mut Rng) -> Vec<(Who, u32)> {
    let mut runs = vec![(Who::Nobody, 0); 2];
    for who in profilers {
        for hz in RATES {
            runs.push((*who, hz));
        }
    }
    let mut all = Vec::new();
    for group in runs.chunk_by_mut(|one, other| one.0 == other.0) {
        rng.shuffle(group);
        all.extend_from_slice(group);
    }
    all
}

/// Has the service do its work while `who` looks at it.
pub fn run(round: u32, who: Who, hz: u32, target: &mut Target) -> anyhow::Result<Run> {
    let pid = target.pid();
    let all = || {
        let ours = cpu_seconds(std::process::id())? + clock::of_children();
        anyhow::Ok(ours + cpu_seconds(pid)?)
    };
    let first = all()?;
    let recording = Recording::start(who, hz, target)?;
    let begin = cpu_seconds(pid)?;
    target.work()?;
    let service = cpu_seconds(pid)? - begin;
    let recorded = recording.stop(target)?;
    let profiler = all()? - first - service;
    Ok(Run {
        round,
        who,
        hz,
        samples: recorded.samples()?,
        service,
        profiler,
    })
}
