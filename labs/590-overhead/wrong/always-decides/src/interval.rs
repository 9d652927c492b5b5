//! How sure a difference is.

use fastrand::Rng;

use crate::estimate::middle;

/// Resamples that an interval rests on.
const RESAMPLES: usize = 1000;

/// Whether mine takes less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Less,
    More,
    NotShown,
}

impl Verdict {
    pub fn name(self) -> &'static str {
        match self {
            Self::Less => "less",
            Self::More => "more",
            Self::NotShown => "not-shown",
        }
    }
}

/// The 95 % interval of the difference between `mine` and `theirs`, of which each has a figure for each
/// round, in the same order.
pub fn interval(mine: &[f64], theirs: &[f64], rng: &mut Rng) -> (f64, f64) {
    let pairs = mine.iter().zip(theirs);
    let differences: Vec<f64> = pairs.map(|(mine, theirs)| mine - theirs).collect();
    let n = differences.len();
    let mut middles: Vec<f64> = (0..RESAMPLES)
        .map(|_| middle((0..n).map(|_| differences[rng.usize(..n)]).collect()))
        .collect();
    middles.sort_by(f64::total_cmp);
    let tail = RESAMPLES / 40;
    (middles[tail], middles[RESAMPLES - 1 - tail])
}

/// What an interval of mine - theirs shows.
pub fn verdict((low, high): (f64, f64)) -> Verdict {
    if low + high < 0.0 {
        Verdict::Less
    } else {
        Verdict::More
    }
}
