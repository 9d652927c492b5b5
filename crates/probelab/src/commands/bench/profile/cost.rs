//! What a sample costs: the service that is looked at, and the profiler. From what the same work takes with
//! many samples and with few: what a profiler takes at one rate alone drowns in noise.

use std::time::{Duration, Instant};

use goprof::{Edges, Sampler};
use pgo::ruler;

use super::{Part, Row, Service, count, get, meta, others::Other, read, told};
use crate::{
    commands::samples::{EVENT_STORE, arms::Arm},
    trouble::{OrTrouble as _, Outcome, Trouble},
};

/// Samples for each second of CPU time.
const RATES: [u32; 4] = [99, 499, 1_999, 4_999];
/// CPU seconds of the service's in a slice of work.
const SLICE: f64 = 0.7;
/// Slices of each round that nobody looks at: the others are told from their mean.
const ALONE: usize = 3;
/// Resamples that an interval rests on.
const RESAMPLES: usize = 2_000;

/// Who looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Profiler {
    Goprof,
    Other(Other),
    Pprof,
}

impl Profiler {
    fn name(self) -> &'static str {
        match self {
            Self::Goprof => "goprof",
            Self::Other(other) => other.name(),
            Self::Pprof => "runtime/pprof",
        }
    }
}

/// Measures all that are here.
pub fn rows(store: &Service, rounds: u32) -> Outcome<Part> {
    let others = Other::here().into_iter().map(Profiler::Other);
    let here: Vec<Profiler> = [Profiler::Goprof]
        .into_iter()
        .chain(others)
        .chain([Profiler::Pprof])
        .collect();
    const TRIAL: u64 = 100;
    let calibrating = Arm::start(EVENT_STORE, &store.program)?;
    let cost = calibrating.slice(&store.load, 1, TRIAL)?.max(0.001);
    let requests = ((TRIAL as f64 * SLICE / cost) as u64).clamp(50, 20_000);
    drop(calibrating);
    let mut rng = fastrand::Rng::with_seed(1);
    let mut measured = Vec::new();
    for number in 1..=rounds {
        errln!("cost of a sample: round {number}/{rounds}");
        let seed = u64::from(number);
        let with = here
            .iter()
            .flat_map(|profiler| RATES.map(|hz| Some((*profiler, hz))));
        let mut order: Vec<_> = with.chain([None; ALONE]).collect();
        rng.shuffle(&mut order);
        let mut round = Round::default();
        for which in order {
            // A warm store for each: the more one holds, the more its queries take.
            let arm = Arm::start(EVENT_STORE, &store.program)?;
            let begin = Instant::now();
            arm.slice(&store.load, 2 * seed, requests)?;
            let lasts = begin.elapsed();
            // The same work for each, in random order.
            let work = || arm.slice(&store.load, 2 * seed + 1, requests);
            match which {
                None => round.alone.push(work()?),
                Some((profiler, hz)) => {
                    let seen = look(profiler, hz, &arm, lasts, work)?;
                    round.seen.push((profiler, seen));
                }
            }
        }
        measured.push(round);
    }
    let peers = here
        .iter()
        .filter(|profiler| **profiler != Profiler::Goprof);
    let mut rows = Vec::new();
    for peer in peers {
        for (what, of) in [
            ("service", Cost::service as fn(&Cost) -> f64),
            ("profiler", Cost::profiler),
        ] {
            // What it takes itself is the service's.
            if *peer == Profiler::Pprof && what == "profiler" {
                continue;
            }
            rows.push(row(
                format!("CPU of the {what} for a sample, beside {}", peer.name()),
                &measured,
                *peer,
                of,
                &mut rng,
            ));
        }
    }
    let ours = Cost::of(&measured, Profiler::Goprof);
    let sentence = format!(
        "A sample of goprof takes {:.1} µs of the service's time and {:.1} µs of its own: of a busy core {:.2} % at 99 Hz, and {:.0} ms for each recording.",
        ours.service * 1e6,
        ours.profiler * 1e6,
        (ours.service + ours.profiler) * 99.0 * 100.0,
        ours.fixed * 1e3,
    );
    Ok((rows, sentence))
}

/// The same work, looked at in each way.
#[derive(Default)]
struct Round {
    /// CPU seconds of the service, when nobody looked.
    alone: Vec<f64>,
    seen: Vec<(Profiler, Seen)>,
}

/// A slice of work that was looked at.
struct Seen {
    /// CPU seconds of the service.
    service: f64,
    /// CPU seconds of the profiler.
    profiler: f64,
    samples: u64,
}

/// Seconds of CPU time.
struct Cost {
    /// Of the service, for each sample.
    service: f64,
    /// Of the profiler, for each sample.
    profiler: f64,
    /// Of the profiler, for each recording.
    fixed: f64,
}

impl Cost {
    fn service(&self) -> f64 {
        self.service
    }

    fn profiler(&self) -> f64 {
        self.profiler
    }

    /// By least squares over all slices that `profiler` looked at: of the service through what the work
    /// takes alone, of the profiler with what it takes whatever it sees.
    fn of<'a>(rounds: impl IntoIterator<Item = &'a Round>, profiler: Profiler) -> Self {
        let (mut n, mut x, mut xx, mut y, mut xy, mut extra) = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
        for round in rounds {
            let alone = round.alone.iter().sum::<f64>() / round.alone.len() as f64;
            for (_, seen) in round.seen.iter().filter(|(which, _)| *which == profiler) {
                let samples = seen.samples as f64;
                n += 1.0;
                x += samples;
                xx += samples * samples;
                y += seen.profiler;
                xy += samples * seen.profiler;
                extra += samples * (seen.service - alone);
            }
        }
        let slope = (n * xy - x * y) / (n * xx - x * x);
        Self {
            service: extra / xx,
            profiler: slope,
            fixed: (y - slope * x) / n,
        }
    }
}

/// Microseconds for a sample, and the interval of their ratio by resampling rounds.
fn row(
    name: String,
    rounds: &[Round],
    peer: Profiler,
    of: fn(&Cost) -> f64,
    rng: &mut fastrand::Rng,
) -> Row {
    let both = |rounds: &[&Round]| {
        let cost = |profiler| of(&Cost::of(rounds.iter().copied(), profiler)) * 1e6;
        (cost(Profiler::Goprof), cost(peer))
    };
    let (ours, theirs) = both(&rounds.iter().collect::<Vec<_>>());
    let mut ratios: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let drawn: Vec<_> = rounds
                .iter()
                .map(|_| &rounds[rng.usize(..rounds.len())])
                .collect();
            let (ours, theirs) = both(&drawn);
            ours / theirs
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    let at = |share: f64| ratios[((RESAMPLES - 1) as f64 * share) as usize];
    Row {
        name,
        unit: "µs",
        ours,
        peer: theirs,
        ratio: ours / theirs,
        ci95: [at(0.025), at(0.975)],
        n: rounds.len(),
    }
}

/// `lasts` is about how long the work takes.
fn look(
    profiler: Profiler,
    hz: u32,
    arm: &Arm,
    lasts: Duration,
    work: impl Fn() -> Outcome<f64>,
) -> Outcome<Seen> {
    match profiler {
        Profiler::Goprof => by_goprof(hz, arm.pid(), work),
        Profiler::Other(other) => by_other(other, hz, arm.pid(), work),
        Profiler::Pprof => by_pprof(hz, arm.address(), lasts, work),
    }
}

/// From the start of the sampler to the profile's bytes.
fn by_goprof(hz: u32, pid: u32, work: impl Fn() -> Outcome<f64>) -> Outcome<Seen> {
    let clock =
        || ruler::cpu_time(std::process::id()).or_infrastructure(|| "no clock of ours".to_owned());
    let begin = clock()?;
    let mut symbols = goprof::for_process(pid).map_err(told)?;
    let sampler = Sampler::start(pid, hz, &symbols).map_err(told)?;
    let ready = clock()?;
    let service = work()?;
    let after = clock()?;
    let recording = sampler.recording().map_err(told)?;
    drop(sampler);
    let (samples, _) = goprof::repair(&recording.stacks, &symbols);
    let profile = goprof::to_profile(&samples, &mut symbols, meta(hz));
    let bytes = goprof::encode(&profile);
    let end = clock()?;
    // So that nothing of it is left out for being of no use.
    if bytes.is_empty() || Edges::of(&profile).is_empty() {
        return Err(Trouble::infrastructure("goprof has seen nothing", ""));
    }
    Ok(Seen {
        service,
        // Without what it takes to start the load.
        profiler: (ready - begin + (end - after)).as_secs_f64(),
        samples: recording.samples,
    })
}

/// From its start to its end; nothing is named.
fn by_other(other: Other, hz: u32, pid: u32, work: impl Fn() -> Outcome<f64>) -> Outcome<Seen> {
    let mut looking = other.start(hz, pid, false)?;
    let service = work()?;
    let seen = looking.stop()?;
    Ok(Seen {
        service,
        profiler: seen.cpu,
        samples: seen.samples,
    })
}

/// The service looks at itself, and pays for all of it.
fn by_pprof(
    hz: u32,
    address: &str,
    lasts: Duration,
    work: impl Fn() -> Outcome<f64>,
) -> Outcome<Seen> {
    // It is told how long before it begins: twice as long as the work should take, and a second.
    let seconds = (lasts * 2).as_secs() + 2;
    std::thread::scope(|scope| {
        let path = format!("/debug/pprof/profile?seconds={seconds}&hz={hz}");
        let fetched = scope.spawn(move || get(address, &path));
        std::thread::sleep(Duration::from_millis(300));
        let service = work();
        let body = fetched
            .join()
            .map_err(|_| Trouble::infrastructure("no profile was fetched", ""))??;
        Ok(Seen {
            service: service?,
            profiler: 0.0,
            samples: count(&read(&body)?),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A profiler that takes 10 µs of the service and 2 µs of its own for a sample, and 5 ms for each
    /// recording; and one that takes twice that of the service.
    #[test]
    fn costs_are_told_apart() {
        let round = |noise: f64| {
            let seen = |profiler, samples: u64, each: f64| {
                let samples_ = samples as f64;
                let seen = Seen {
                    service: 1.0 + noise + each * samples_,
                    profiler: 5e-3 + 2e-6 * samples_,
                    samples,
                };
                (profiler, seen)
            };
            let both = |n| {
                [
                    seen(Profiler::Goprof, n, 10e-6),
                    seen(Profiler::Other(Other::Perf), n, 20e-6),
                ]
            };
            Round {
                alone: vec![1.0 + noise; 2],
                seen: [100, 500, 2_000].into_iter().flat_map(both).collect(),
            }
        };
        let rounds = [round(0.0), round(0.1)];
        let ours = Cost::of(&rounds, Profiler::Goprof);
        assert!((ours.service - 10e-6).abs() < 1e-9, "{}", ours.service);
        assert!((ours.profiler - 2e-6).abs() < 1e-9, "{}", ours.profiler);
        assert!((ours.fixed - 5e-3).abs() < 1e-9, "{}", ours.fixed);
        let mut rng = fastrand::Rng::with_seed(1);
        let row = row(
            String::new(),
            &rounds,
            Profiler::Other(Other::Perf),
            Cost::service,
            &mut rng,
        );
        assert!((row.ratio - 0.5).abs() < 1e-6, "{row:?}");
    }
}
