//! Programs that burn CPU time on order, part of it called from the left and part from the right, so
//! that a profile of them can be judged.

use crate::{
    audit::{Hook, Program, ProgramType},
    learner::Learner,
    sampler::{Sampler, Seen},
    session::{Rng, Session},
    verdict::Failure,
    workload::Workload,
};

/// What such a program is told, and how often it is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// Samples a second.
    pub hz: u64,
    /// CPU time to burn.
    pub millis: u64,
    /// Parts of it that one caller has.
    pub left: u64,
    /// Parts that the other has.
    pub right: u64,
    /// Of the order in which the two come.
    pub seed: u64,
}

impl Order {
    /// Another one each time.
    pub fn draw(rng: &mut Rng) -> Self {
        let (left, right) = *rng.pick(&[(1, 4), (1, 3), (2, 3), (3, 2), (3, 1), (4, 1)]);
        Self {
            // Not a divisor of the kernel's own tick, so that the two don't keep step.
            hz: *rng.pick(&[397, 419, 443, 461, 487, 499]),
            millis: rng.between(1_200..=1_500),
            left,
            right,
            seed: rng.between(1..=1 << 40),
        }
    }

    /// The artifact `busy`, as the learner's user, so that its memory map can be read.
    ///
    /// # Errors
    /// [`Failure::Infrastructure`] when it can't be started.
    pub fn target(lab: &mut Session) -> Result<Workload, Failure> {
        Workload::program(&lab.artifact("busy")?, &[], true)
    }

    /// Starts the learner's program, which knows its target as `$PID` and the rate as `$HZ`.
    ///
    /// # Errors
    /// As [`crate::learner::Launch::start`].
    pub fn launch(&self, lab: &Session, target: &Workload) -> Result<Learner, Failure> {
        lab.learner()?
            .set("PID", target.pid())
            .set("HZ", self.hz)
            .start()
    }

    /// What the programs of most labs are sent.
    pub fn line(&self) -> String {
        let Self {
            millis,
            left,
            right,
            seed,
            ..
        } = self;
        format!("{millis} {left} {right} {seed}")
    }

    /// Sends `line` to the target, which answers `done`, and samples it meanwhile.
    ///
    /// # Errors
    /// [`Failure::Infrastructure`] when the target is gone, or our sampler fails.
    pub fn run(&self, target: &mut Workload, line: &str) -> Result<Seen, Failure> {
        let sampler = Sampler::start(self.hz)?;
        target.send(line)?;
        target.expect("done")?;
        sampler.seen(target.pid())
    }

    /// The part of its time that the left caller has.
    pub fn share_of_left(&self) -> f64 {
        self.left as f64 / (self.left + self.right) as f64
    }

    /// Whether of `n` samples `left` can be those of the left caller.
    ///
    /// The order of the two is drawn anew for every few dozen microseconds, so the samples of one
    /// are binomial: four deviations are exceeded in 6 of 100,000 runs. One per cent more is for
    /// the callers' own instructions.
    pub fn fits_share(&self, left: u64, n: u64) -> bool {
        let expected = self.share_of_left();
        let tolerance = 4.0 * (expected * (1.0 - expected) / n as f64).sqrt() + 0.01;
        (left as f64 / n as f64 - expected).abs() <= tolerance
    }
}

/// The learner's program that samples.
///
/// # Errors
/// As [`crate::audit::Audit::attached`].
pub fn sampler(learner: &mut Learner) -> Result<Program, Failure> {
    learner
        .audit()?
        .attached(ProgramType::PERF_EVENT, "the CPU clock", Hook::is_cpu_clock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_may_be_off_by_chance_and_not_by_more() {
        let order = Order {
            hz: 499,
            millis: 1000,
            left: 1,
            right: 3,
            seed: 1,
        };
        for (left, n, fits) in [
            (125, 500, true),
            (160, 500, true),
            (250, 500, false),
            (375, 500, false),
            (0, 500, false),
            (1, 2, true),
            (0, 0, false),
        ] {
            assert_eq!(order.fits_share(left, n), fits, "{left} of {n}");
        }
    }
}
