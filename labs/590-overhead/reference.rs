//! The same reckoning as the learner's, by us.

use super::table::{Run, Who};

/// Resamples of an interval: more than the learner's, so that it is steadier.
const RESAMPLES: usize = 4000;

/// Seconds of CPU time: of the service for each sample, of the profiler for each sample, and of the
/// profiler for each recording.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    pub(super) service: f64,
    pub(super) profiler: f64,
    pub(super) recording: f64,
}

/// What `who` took in one round; `None` where its runs tell no line.
pub(super) fn of_round(round: &[Run], who: Who) -> Option<Cost> {
    let its = || round.iter().filter(|run| run.who == who);
    let alone = round.iter().filter(|run| run.who == Who::Nobody);
    let service = its()
        .chain(alone)
        .map(|run| (run.samples as f64, run.service));
    let profiler = its().map(|run| (run.samples as f64, run.profiler));
    let (service, _) = line(&service.collect::<Vec<_>>())?;
    let (profiler, recording) = line(&profiler.collect::<Vec<_>>())?;
    Some(Cost {
        service,
        profiler,
        recording,
    })
}

/// Slope and height at 0, by least squares; `None` where all points are above each other.
fn line(points: &[(f64, f64)]) -> Option<(f64, f64)> {
    let n = points.len() as f64;
    let x = points.iter().map(|(x, _)| x).sum::<f64>() / n;
    let y = points.iter().map(|(_, y)| y).sum::<f64>() / n;
    let square = spread(points.iter().map(|(x, _)| *x));
    let both: f64 = points.iter().map(|(a, b)| (a - x) * (b - y)).sum();
    (square > 0.0).then(|| (both / square, y - both / square * x))
}

/// The sum of squared distances from the mean.
pub(super) fn spread(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let n = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / n;
    values.map(|value| (value - mean).powi(2)).sum()
}

/// The 95 % interval of the median, by resampling.
pub(super) fn interval(values: &[f64], seed: u64) -> (f64, f64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let n = values.len();
    let mut medians: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let mut drawn: Vec<f64> = (0..n).map(|_| values[rng.usize(..n)]).collect();
            pgo::ruler::median(&mut drawn).unwrap_or(f64::NAN)
        })
        .collect();
    medians.sort_by(f64::total_cmp);
    let at = |share: f64| medians[((RESAMPLES - 1) as f64 * share).round() as usize];
    (at(0.025), at(0.975))
}
