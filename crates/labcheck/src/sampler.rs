//! A sampler of our own: how many samples of a process there were to be had.
//!
//! CPU time would say it too, were it not for machines that stand still now and then: of all the ticks
//! that fall into such a pause a timer makes up for one, and the time counts as used all the same. A
//! second timer of the same rate loses the same.

use std::collections::BTreeMap;

use crate::{
    cpus,
    perf::{Record, Ring},
    verdict::Failure,
};

/// Looks at every CPU. Needs CAP_PERFMON.
pub struct Sampler {
    rings: Vec<Ring>,
}

impl Sampler {
    /// Begins to look, `hz` times a second.
    ///
    /// # Errors
    /// [`Failure::Infrastructure`] when the kernel refuses.
    pub fn start(hz: u64) -> Result<Self, Failure> {
        let open = |cpu| {
            Ring::of_samples(cpu, hz)
                .map_err(|error| Failure::infrastructure(format!("a sampler of ours: {error}")))
        };
        let rings = cpus::online()?.into_iter().map(open);
        Ok(Self {
            rings: rings.collect::<Result<_, _>>()?,
        })
    }

    /// Stops, and says how often process `pid` was running.
    ///
    /// # Errors
    /// [`Failure::Infrastructure`] when the kernel dropped samples.
    pub fn seen(self, pid: u32) -> Result<Seen, Failure> {
        Ok(self.by_process()?.remove(&pid).unwrap_or_default())
    }

    /// Stops, and says how often each process was running.
    ///
    /// # Errors
    /// [`Failure::Infrastructure`] when the kernel dropped samples.
    pub fn by_process(self) -> Result<BTreeMap<u32, Seen>, Failure> {
        let (mut all, mut lost) = (BTreeMap::<u32, Seen>::new(), false);
        for mut ring in self.rings {
            ring.drain(|record| match record {
                Record::Sample { process, in_kernel } => {
                    let seen = all.entry(process).or_default();
                    seen.samples += 1;
                    seen.in_kernel += u64::from(in_kernel);
                }
                Record::Lost => lost = true,
                Record::Loaded(_) => {}
            });
        }
        if lost {
            return Err(Failure::infrastructure(
                "the kernel dropped samples of our own",
            ));
        }
        Ok(all)
    }
}

/// How often a process was running when the clock ticked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// In all.
    pub samples: u64,
    /// Of these, in the kernel.
    pub in_kernel: u64,
}

/// Whether `count` can be what another sampler has of that of which ours has `expected` samples.
///
/// A clock ticks at fixed times, so of a thread that runs without a break two samplers get the
/// same; of one that is often interrupted each gets n samples with a deviation below the square
/// root of n, and their difference has one below that of 2n. Five of these are exceeded in 6 of 10
/// million runs.
pub fn agrees(count: u64, expected: u64) -> bool {
    count.abs_diff(expected) as f64 <= 5.0 * (2.0 * expected as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samplers_agree_within_what_chance_does() {
        for (count, expected, agree) in [
            (600, 600, true),
            (440, 600, true),
            (300, 600, false),
            (1200, 600, false),
            (0, 600, false),
            (0, 0, true),
        ] {
            assert_eq!(agrees(count, expected), agree, "{count} of {expected}");
        }
    }
}
