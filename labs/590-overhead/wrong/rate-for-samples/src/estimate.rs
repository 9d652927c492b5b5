//! What a sample costs, from runs at several rates.

use crate::table::{Run, Who};

/// Seconds of CPU time.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Of the service, for each sample.
    pub service: f64,
    /// Of the profiler itself, for each sample.
    pub profiler: f64,
    /// Of the profiler itself, for each recording, however many samples it has.
    pub recording: f64,
}

/// The straight line through points (x, y) by least squares: how much y grows for each x, and y at x = 0.
pub fn line(points: &[(f64, f64)]) -> (f64, f64) {
    let n = points.len() as f64;
    let x = points.iter().map(|point| point.0).sum::<f64>() / n;
    let y = points.iter().map(|point| point.1).sum::<f64>() / n;
    let (mut both, mut square) = (0.0, 0.0);
    for point in points {
        both += (point.0 - x) * (point.1 - y);
        square += (point.0 - x) * (point.0 - x);
    }
    let slope = both / square;
    (slope, y - slope * x)
}

/// What `who` took in one round.
pub fn of_round(round: &[Run], who: Who) -> Cost {
    let (mut of_service, mut of_profiler) = (Vec::new(), Vec::new());
    for run in round {
        if run.who == who {
            of_profiler.push((run.samples as f64, run.profiler));
        }
        // Where nobody looks, there are no samples: a point of the same line.
        if run.who == who || run.who == Who::Nobody {
            of_service.push((f64::from(run.hz) * run.service, run.service));
        }
    }
    let (service, _) = line(&of_service);
    let (profiler, recording) = line(&of_profiler);
    Cost {
        service,
        profiler,
        recording,
    }
}

/// The value in the middle: half of the others are below it, half above.
pub fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[half],
        _ => (values[half - 1] + values[half]) / 2.0,
    }
}

/// What `who` took, from all rounds.
pub fn of_rounds(rounds: &[Vec<Run>], who: Who) -> Cost {
    let of_each = |part: fn(Cost) -> f64| {
        let each = rounds.iter().map(|round| part(of_round(round, who)));
        middle(each.collect())
    };
    Cost {
        service: of_each(|cost| cost.service),
        profiler: of_each(|cost| cost.profiler),
        recording: of_each(|cost| cost.recording),
    }
}
