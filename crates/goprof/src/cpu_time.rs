//! The CPU time that a profile tells, whether it counts nanoseconds or samples.

use crate::{
    Error,
    pprof::{Profile, Sample, ValueType},
};

/// How a profile tells it.
pub struct CpuTime {
    index: usize,
    /// Nanoseconds in one of the value: 1, or the period where samples are counted.
    unit: i64,
    /// Between two samples, where the profile says so.
    pub period: Option<i64>,
}

impl CpuTime {
    /// # Errors
    /// When it does not tell CPU time.
    pub fn of(profile: &Profile) -> Result<Self, Error> {
        let position =
            |wanted: (&str, &str)| profile.sample_types().position(|found| found == wanted);
        let of_cpu = profile.period_type.is_some_and(|of| {
            (profile.string(of.r#type), profile.string(of.unit)) == ("cpu", "nanoseconds")
        });
        let period = Some(profile.period).filter(|&period| of_cpu && period > 0);
        if let Some(index) = position(("cpu", "nanoseconds")) {
            return Ok(Self {
                index,
                unit: 1,
                period,
            });
        }
        match (position(("samples", "count")), period) {
            (Some(index), Some(unit)) => Ok(Self {
                index,
                unit,
                period,
            }),
            _ => Err(Error::NoCpuTime),
        }
    }

    /// In nanoseconds.
    pub fn of_sample(&self, sample: &Sample) -> i64 {
        let value = sample.value.get(self.index).copied().unwrap_or_default();
        value.saturating_mul(self.unit)
    }
}

impl Profile {
    /// Makes CPU time in nanoseconds its only value, which can be summed with that of others.
    ///
    /// # Errors
    /// When it does not tell CPU time.
    pub fn keep_cpu_time(&mut self) -> Result<(), Error> {
        let time = CpuTime::of(self)?;
        self.sample_type = match time.unit {
            1 => vec![self.sample_type[time.index]],
            // The period is CPU time, or it would not count.
            _ => self.period_type.iter().copied().collect::<Vec<ValueType>>(),
        };
        for sample in &mut self.sample {
            sample.value = vec![time.of_sample(sample)];
        }
        Ok(())
    }
}
