//! How sure a difference is.

#![allow(unused)] // Until the TODOs are done.

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
    // TODO (step interval): a difference for each round; then RESAMPLES times as many rounds as there
    // are, drawn with repetition (`rng.usize(..n)`), and the middle of their differences. The interval
    // holds 95 of 100 of these.
    (f64::NEG_INFINITY, f64::INFINITY)
}

/// What an interval of mine - theirs shows.
pub fn verdict((low, high): (f64, f64)) -> Verdict {
    // TODO (step interval): also an interval that decides nothing is an answer.
    Verdict::Less
}
