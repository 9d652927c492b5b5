//! One run after the other.

#![allow(unused)] // Until the TODOs are done.

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
    // TODO (step measure): `clock::read` with the id of that process's clock. Linux makes it of the
    // process's id: all bits inverted, three places to the left, and in the free places a 2, which says
    // exact time of a whole process.
    Ok(0.0)
}

/// The runs of one round, in the order in which they are to be made: each of the `profilers` at each of
/// the RATES, and twice `Who::Nobody` at 0.
pub fn order(profilers: &[Who], rng: &mut Rng) -> Vec<(Who, u32)> {
    // TODO (step measure): all of them, in an order drawn anew by `rng`.
    Vec::new()
}

/// Has the service do its work while `who` looks at it.
pub fn run(round: u32, who: Who, hz: u32, target: &mut Target) -> anyhow::Result<Run> {
    // TODO (step measure): `service` is what the service uses for the work, and nothing else. `profiler`
    // is all else that is used from before the start to after the stop: by this process, by its children
    // (`clock::of_children`), and by the service beside its work.
    let recording = Recording::start(who, hz, target)?;
    target.work()?;
    let recorded = recording.stop(target)?;
    Ok(Run {
        round,
        who,
        hz,
        samples: 0,
        service: 0.0,
        profiler: 0.0,
    })
}
