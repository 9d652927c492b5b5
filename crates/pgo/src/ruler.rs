//! Compares the CPU time of processes that do the same work.
//!
//! All arms are alive and warm. In each round every arm does the same slice of work, in random
//! order, and its CPU time is read from its process clock before and after. A round gives one
//! ratio for each pair of arms, so that what slows the machine for a while slows both; the
//! figure is the median of the ratios, and its interval comes from resampling the rounds.
//!
//! One arm should be a second copy of the baseline (A/A): what it shows is what chance shows.

use std::{io, time::Duration};

/// User plus system CPU time that a process has used: all its threads, exact to the scheduler's
/// clock (`CPUCLOCK_SCHED`, include/linux/posix-timers_types.h: the clock id of a process is
/// `~pid << 3 | 2`).
///
/// # Errors
/// When there is no such process.
pub fn cpu_time(pid: u32) -> io::Result<Duration> {
    let clock = (!pid.cast_signed() << 3) | 2;
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a valid place for the answer; a clock id that means nothing is an error.
    if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let seconds = u64::try_from(time.tv_sec).map_err(io::Error::other)?;
    let nanos = u32::try_from(time.tv_nsec).map_err(io::Error::other)?;
    Ok(Duration::new(seconds, nanos))
}

/// User plus system CPU time of all children of this process that have ended and were waited for, and of
/// theirs (getrusage(2)).
pub fn children_cpu_time() -> Duration {
    // SAFETY: numbers only, for which zeros stand.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is a valid place for the answer; the only error is of another first argument.
    unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage) };
    let time = |time: libc::timeval| {
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        Duration::from_secs(seconds)
            + Duration::from_micros(u64::try_from(time.tv_usec).unwrap_or(0))
    };
    time(usage.ru_utime) + time(usage.ru_stime)
}

/// A ratio with its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Median of the paired ratios: 0.96 is 4 % less.
    pub ratio: f64,
    /// 95 % bootstrap interval of that median.
    pub interval: (f64, f64),
    /// Pairs that it rests on.
    pub pairs: usize,
}

impl Estimate {
    /// Whether the interval holds 1, which says that no difference was shown.
    pub fn holds_one(&self) -> bool {
        (self.interval.0..=self.interval.1).contains(&1.0)
    }

    /// The change in per cent: −4.0 for a ratio of 0.96.
    pub fn percent(&self) -> (f64, f64, f64) {
        let percent = |ratio: f64| (ratio - 1.0) * 100.0;
        (
            percent(self.ratio),
            percent(self.interval.0),
            percent(self.interval.1),
        )
    }
}

/// Resamples that an interval rests on.
const RESAMPLES: usize = 4000;

/// Median and 95 % percentile interval of `ratios`, by resampling whole clusters (launches) and
/// then rounds within them; one cluster is resampled by rounds alone. `None` without ratios.
pub fn estimate(clusters: &[Vec<f64>], seed: u64) -> Option<Estimate> {
    let clusters: Vec<&Vec<f64>> = clusters
        .iter()
        .filter(|cluster| !cluster.is_empty())
        .collect();
    let mut all: Vec<f64> = clusters
        .iter()
        .flat_map(|cluster| cluster.iter().copied())
        .collect();
    let ratio = median(&mut all)?;
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut medians: Vec<f64> = (0..RESAMPLES)
        .filter_map(|_| {
            let mut sample = Vec::with_capacity(all.len());
            for _ in 0..clusters.len() {
                let cluster = clusters[rng.usize(..clusters.len())];
                sample.extend((0..cluster.len()).map(|_| cluster[rng.usize(..cluster.len())]));
            }
            median(&mut sample)
        })
        .collect();
    medians.sort_by(f64::total_cmp);
    let at = |share: f64| medians[((medians.len() - 1) as f64 * share).round() as usize];
    Some(Estimate {
        ratio,
        interval: (at(0.025), at(0.975)),
        pairs: all.len(),
    })
}

/// The middle value, or the mean of the two; sorts `values`.
pub fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_and_even_counts() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&mut []), None);
    }

    #[test]
    fn equal_arms_hold_one_and_unequal_ones_do_not() {
        let mut rng = fastrand::Rng::with_seed(7);
        let mut noisy = |centre: f64| {
            vec![
                (0..40)
                    .map(|_| centre + (rng.f64() - 0.5) * 0.04)
                    .collect::<Vec<_>>(),
            ]
        };
        let equal = estimate(&noisy(1.0), 1).expect("there are ratios");
        let less = estimate(&noisy(0.9), 1).expect("there are ratios");
        assert!(equal.holds_one(), "{equal:?}");
        assert!(
            !less.holds_one() && (0.88..0.92).contains(&less.ratio),
            "{less:?}"
        );
    }

    #[test]
    fn clusters_that_disagree_widen_the_interval() {
        let apart =
            estimate(&[vec![0.9; 20], vec![1.1; 20], vec![1.0; 20]], 3).expect("there are ratios");
        assert!(apart.interval.1 - apart.interval.0 > 0.05, "{apart:?}");
    }

    #[test]
    fn a_process_has_used_cpu_time_and_an_absent_one_has_not() {
        assert!(cpu_time(std::process::id()).expect("our own clock") > Duration::ZERO);
        // Above the highest id that Linux gives.
        assert!(cpu_time(1 << 23).is_err());
    }
}
