//! Whoever looks, in the same words.

use crate::{others::Looking, sampler::Sampler, table::Who, target::Target};

/// A recording that goes on until it is stopped.
pub enum Recording {
    Nobodys,
    Mine(Sampler),
    /// perf's or bpftrace's.
    Another(Looking),
    /// The service's own.
    Pprof,
}

impl Recording {
    /// Begins to look at the service, `hz` times for each second of CPU time.
    pub fn start(who: Who, hz: u32, target: &mut Target) -> anyhow::Result<Self> {
        Ok(match who {
            Who::Nobody => Self::Nobodys,
            Who::Mine => Self::Mine(Sampler::start(target.pid(), hz)?),
            Who::Perf | Who::Bpftrace => Self::Another(Looking::start(who, target.pid(), hz)?),
            Who::Pprof => {
                target.profile(hz)?;
                Self::Pprof
            }
        })
    }

    /// Ends it.
    pub fn stop(self, target: &mut Target) -> anyhow::Result<Recorded> {
        Ok(match self {
            Self::Nobodys => Recorded::Samples(0),
            Self::Mine(sampler) => Recorded::Samples(sampler.stop()?),
            Self::Another(looking) => Recorded::Samples(looking.stop()?),
            Self::Pprof => Recorded::Profile(target.stop_profile()?),
        })
    }
}

/// What was recorded.
pub enum Recorded {
    Samples(u64),
    /// A pprof, in which they are yet to be counted.
    Profile(Vec<u8>),
}

impl Recorded {
    /// How many samples there are.
    pub fn samples(&self) -> anyhow::Result<u64> {
        match self {
            Self::Samples(samples) => Ok(*samples),
            Self::Profile(bytes) => {
                let profile = goprof::read(bytes)?;
                let counts = profile.sample.iter().filter_map(|s| s.value.first());
                Ok(counts.map(|count| count.unsigned_abs()).sum())
            }
        }
    }
}
