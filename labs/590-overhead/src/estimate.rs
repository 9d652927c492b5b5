//! What a sample costs, from runs at several rates.

#![allow(unused)] // Until the TODOs are done.

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
    // TODO (step estimate): with the means X and Y of all points, the slope is the sum of (x-X)(y-Y)
    // divided by the sum of (x-X)(x-X), and the line goes through (X, Y).
    (0.0, 0.0)
}

/// What `who` took in one round.
pub fn of_round(round: &[Run], who: Who) -> Cost {
    // TODO (step estimate): what `service` and `profiler` take over `samples`. Which runs belong to
    // which of the two lines?
    Cost {
        service: 0.0,
        profiler: 0.0,
        recording: 0.0,
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
    // TODO (step estimate): each round tells a cost. A round in which something else went on tells a
    // wrong one, and must not decide.
    Cost {
        service: 0.0,
        profiler: 0.0,
        recording: 0.0,
    }
}
