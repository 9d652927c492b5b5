//! Tables of runs and of pairs, made of what we know.

use std::fmt::Write as _;

use fastrand::Rng;

use super::{
    reference::{Cost, spread},
    table::{Run, Who},
};

/// A table of runs and what is true of it.
pub(super) struct Known {
    pub(super) runs: Vec<Run>,
    pub(super) truth: Cost,
    /// What an estimate may be off by, in `service` and in `profiler`.
    pub(super) tolerance: (f64, f64),
}

/// What a table is to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// All exact.
    Plain,
    /// The service's work takes another time in each round.
    Drift,
    /// The same, and in one round something else went on.
    Spoiled,
    /// Each run is a little off, by chance.
    Noise,
}

/// Deviation of a run's CPU time in tables with noise: of the service a part of what the work takes, of
/// the profiler seconds.
const NOISE: (f64, f64) = (0.005, 0.0005);

/// A table of `rounds` rounds.
pub(super) fn runs(rng: &mut Rng, kind: Kind, rounds: u32) -> Known {
    let truth = Cost {
        service: between(rng, 3e-6, 40e-6),
        profiler: between(rng, 1e-6, 12e-6),
        recording: between(rng, 2e-3, 40e-3),
    };
    let rates: &[u32] = [
        &[99, 499, 1_999, 4_999][..],
        &[97, 397, 1_499],
        &[61, 251, 997, 1_999, 3_989],
    ][rng.usize(..3)];
    let alone = rng.usize(1..=3);
    let base = between(rng, 0.3, 0.9);
    // One rate is not to be had: the samples say so, the rate does not.
    let cut = rng.usize(..rates.len());
    let spoiled = rng.u32(1..=rounds);
    let mut all = Vec::new();
    let mut slack = (0.0, 0.0);
    for round in 1..=rounds {
        let base = match kind {
            Kind::Plain => base,
            Kind::Drift | Kind::Spoiled | Kind::Noise => base * between(rng, 1.0, 1.5),
        };
        let mut runs = Vec::new();
        for _ in 0..alone {
            runs.push((Who::Nobody, 0, 0, 0.0));
        }
        for (index, &hz) in rates.iter().enumerate() {
            let had = between(rng, 0.9, 1.0) / if index == cut { 3.0 } else { 1.0 };
            let samples = (f64::from(hz) * base * had).round() as u64;
            runs.push((Who::Mine, hz, samples, 1.0));
            let others = (f64::from(hz) * base).round() as u64;
            runs.push((Who::Perf, hz, others, 2.5));
        }
        rng.shuffle(&mut runs);
        let mut runs: Vec<Run> = runs
            .into_iter()
            .map(|(who, hz, samples, times)| {
                let seen = samples as f64 * times;
                let profiler = truth.profiler * seen + truth.recording * times;
                Run {
                    round,
                    who,
                    hz,
                    samples,
                    service: base + truth.service * seen,
                    profiler,
                }
            })
            .collect();
        match kind {
            Kind::Plain | Kind::Drift => {}
            Kind::Spoiled if round == spoiled => {
                for run in runs
                    .iter_mut()
                    .filter(|run| run.hz == rates[rates.len() - 1])
                {
                    run.service *= between(rng, 1.5, 3.0);
                    run.profiler *= between(rng, 3.0, 9.0);
                }
            }
            Kind::Spoiled => {}
            Kind::Noise => {
                for run in runs.iter_mut() {
                    run.service += normal(rng) * NOISE.0 * base;
                    if run.who != Who::Nobody {
                        run.profiler += normal(rng) * NOISE.1;
                    }
                }
                let mine = runs.iter().filter(|run| run.who == Who::Mine);
                let nobody = runs.iter().filter(|run| run.who == Who::Nobody);
                let samples = |run: &Run| run.samples as f64;
                let own = spread(mine.clone().map(samples)).sqrt();
                let both = spread(mine.chain(nobody).map(samples)).sqrt();
                slack.0 += NOISE.0 * base / both;
                slack.1 += NOISE.1 / own;
            }
        }
        all.append(&mut runs);
    }
    // The deviation of a median of n values is 1.253 of theirs, divided by the root of n. Six of
    // these are exceeded twice in a billion tables.
    let n = f64::from(rounds);
    let of_median = 6.0 * 1.253 / n.sqrt() / n;
    Known {
        runs: all,
        truth,
        tolerance: (slack.0 * of_median, slack.1 * of_median),
    }
}

/// Figures of two profilers, round by round.
pub(super) struct Pairs {
    pub(super) pairs: Vec<(f64, f64)>,
    /// The difference of which they tell.
    pub(super) truth: f64,
}

impl Pairs {
    /// Between 12 and 20 rounds. What a round does to both is three times as much as what chance does to
    /// each; in one table of three there is no difference.
    pub(super) fn draw(rng: &mut Rng) -> Self {
        let chance = between(rng, 0.3e-6, 2e-6);
        let truth = match rng.usize(..3) {
            0 => 0.0,
            _ => chance * between(rng, -3.0, 3.0),
        };
        let level = between(rng, 10e-6, 40e-6);
        let pairs = (0..rng.usize(12..=20))
            .map(|_| {
                let round = level + normal(rng) * 3.0 * chance;
                let mine = round + truth + normal(rng) * chance;
                (mine, round + normal(rng) * chance)
            })
            .collect();
        Self { pairs, truth }
    }

    pub(super) fn differences(&self) -> Vec<f64> {
        let pairs = self.pairs.iter();
        pairs.map(|(mine, theirs)| mine - theirs).collect()
    }

    /// As the learner's program reads them.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for (mine, theirs) in &self.pairs {
            let _ = writeln!(text, "{mine:e} {theirs:e}");
        }
        text
    }
}

fn between(rng: &mut Rng, low: f64, high: f64) -> f64 {
    low + (high - low) * rng.f64()
}

/// Of the standard normal distribution (Box and Muller).
fn normal(rng: &mut Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.f64()).cos()
}
