//! A sampler of our own: how many samples of a process there were to be had.
//!
//! CPU time would say it too, were it not for machines that stand still now and then: of all the ticks
//! that fall into such a pause a timer makes up for one, and the time counts as used all the same. A
//! second timer of the same rate loses the same.

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
    pub fn samples_of(self, pid: u32) -> Result<u64, Failure> {
        let (mut count, mut lost) = (0, false);
        for mut ring in self.rings {
            ring.drain(|record| match record {
                Record::Sample(found) => count += u64::from(found == pid),
                Record::Lost => lost = true,
                Record::Loaded(_) => {}
            });
        }
        if lost {
            return Err(Failure::infrastructure(
                "the kernel dropped samples of our own",
            ));
        }
        Ok(count)
    }
}
