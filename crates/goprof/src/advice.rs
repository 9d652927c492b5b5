//! What would make a usable profile a better one for PGO.

use crate::{
    check::{Finding, Severity},
    edges::{Edges, HOT},
    pprof::Profile,
};

/// Recordings shorter than this are warned of: Go's own guide records 30 s and says that more is better
/// (go.dev/doc/pgo, "Collecting profiles"). A rule of thumb.
const SHORT: i64 = 30;

/// Warnings about a profile that [`check`](crate::check()) finds nothing wrong with. `edges` are its own.
pub fn advice(profile: &Profile, edges: &Edges) -> Vec<Finding> {
    [
        no_calls(profile, edges),
        unseen_calls(profile, edges),
        time_span(profile),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// How much of the weight of all calls that the program makes is on calls of which this profile has
/// none: an estimate, from how many it has just one sample of (Good, "The population frequencies of
/// species and the estimation of population parameters", Biometrika 40, 1953). `None` where there is no
/// call at all.
pub fn unseen(profile: &Profile, edges: &Edges) -> Option<f64> {
    let one = profile.sample_weight()? as f64;
    let (mut once, mut all) = (0.0, 0.0);
    for (_, weight) in edges.by_weight() {
        let samples = weight as f64 / one;
        all += samples;
        // Nanoseconds are not always whole periods.
        once += f64::from(u8::from(samples < 1.5));
    }
    (all > 0.0).then(|| (once / all).min(1.0))
}

fn no_calls(profile: &Profile, edges: &Edges) -> Option<Finding> {
    (!profile.sample.is_empty() && edges.is_empty()).then(|| Finding {
        id: "no-calls",
        severity: Severity::Warning,
        message: "no sample tells who called the function that was running; PGO is about calls"
            .to_owned(),
        fix: "record whole stacks: the program's frame pointers, or a profiler that unwinds without them",
    })
}

fn unseen_calls(profile: &Profile, edges: &Edges) -> Option<Finding> {
    let unseen = unseen(profile, edges)?;
    // As much as the compiler leaves out when it says which calls are hot.
    (unseen > 1.0 - HOT).then(|| Finding {
        id: "unseen-calls",
        severity: Severity::Warning,
        message: format!(
            "about {:.0} % of the weight is on calls that this profile has never seen; another \
             recording would give other hot calls",
            unseen * 100.0
        ),
        fix: "record longer, at a higher rate, or merge several profiles",
    })
}

fn time_span(profile: &Profile) -> Option<Finding> {
    let seconds = profile.duration_nanos / 1_000_000_000;
    (profile.duration_nanos > 0 && seconds < SHORT).then(|| Finding {
        id: "time-span",
        severity: Severity::Warning,
        message: format!("recorded for {seconds} s, which may be one phase of the work only"),
        fix: "record for 30 s or more, or merge recordings from different times",
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Frame, Location, Meta, ProfileBuilder};

    /// Calls of `main.outer`, each from a line of its own, as often as `counts` says.
    fn calls(counts: &[u64], seconds: i64) -> Profile {
        let meta = Meta {
            period_nanos: 10_000_000,
            time_nanos: 1,
            duration_nanos: seconds * 1_000_000_000,
        };
        let mut builder = ProfileBuilder::new(meta, Vec::new());
        for (line, &count) in (1..).zip(counts) {
            let frame = |function: &str, line| Frame {
                function: function.to_owned(),
                file: "main.go".to_owned(),
                line,
                start_line: 1,
            };
            let location = Location {
                address: u64::from(line),
                mapping: None,
                frames: vec![frame("main.inner", 2), frame("main.outer", line)],
            };
            builder.add(vec![Arc::new(location)], count);
        }
        builder.finish()
    }

    fn ids(profile: &Profile) -> Vec<&'static str> {
        advice(profile, &Edges::of(profile))
            .iter()
            .map(|found| found.id)
            .collect()
    }

    fn unseen(profile: &Profile) -> Option<f64> {
        super::unseen(profile, &Edges::of(profile))
    }

    #[test]
    fn what_is_unseen_follows_from_what_was_seen_once() {
        for (counts, expected) in [
            (&[1000][..], 0.0),
            (&[990, 10], 0.0),
            (&[98, 1, 1], 0.02),
            (&[1, 1, 1, 1], 1.0),
        ] {
            assert_eq!(unseen(&calls(counts, 60)), Some(expected), "{counts:?}");
        }
        assert_eq!(unseen(&calls(&[], 60)), None);
    }

    #[test]
    fn nanoseconds_count_as_samples() {
        let mut profile = calls(&[98, 1, 1], 60);
        profile.sample_type.remove(0);
        for sample in &mut profile.sample {
            sample.value.remove(0);
        }
        assert_eq!(unseen(&profile), Some(0.02));
    }

    #[test]
    fn each_weakness_is_found_and_nothing_else_is() {
        let mut alone = calls(&[5000], 60);
        alone.location[0].line.truncate(1);
        for (profile, expected) in [
            (calls(&[5000], 60), vec![]),
            (alone, vec!["no-calls"]),
            (calls(&[50, 1], 60), vec!["unseen-calls"]),
            (calls(&[5000], 8), vec!["time-span"]),
        ] {
            assert_eq!(ids(&profile), expected);
        }
    }

    #[test]
    fn what_is_estimated_is_what_a_second_recording_shows() {
        // A thousand calls of falling weight, recorded twice: what the first has of the second's.
        let mut random = Random(7);
        let weights: Vec<f64> = (1..=1000).map(|rank| 1.0 / f64::from(rank)).collect();
        let mut record = |samples: u32| {
            let mut counts = vec![0; weights.len()];
            for _ in 0..samples {
                counts[random.pick(&weights)] += 1;
            }
            counts
        };
        let (first, second): (Vec<u64>, Vec<u64>) = (record(2000), record(20_000));
        let new: u64 = first
            .iter()
            .zip(&second)
            .filter(|(seen, _)| **seen == 0)
            .map(|(_, n)| n)
            .sum();
        let truth = new as f64 / 20_000.0;
        let estimate = unseen(&calls(&first, 60)).expect("calls");
        assert!((estimate - truth).abs() < 0.02, "{estimate} for {truth}");
    }

    /// splitmix64: the test is the same each time.
    struct Random(u64);

    impl Random {
        fn pick(&mut self, weights: &[f64]) -> usize {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let uniform = (z ^ (z >> 31)) as f64 / u64::MAX as f64;
            let mut rest = uniform * weights.iter().sum::<f64>();
            weights
                .iter()
                .position(|weight| {
                    rest -= weight;
                    rest <= 0.0
                })
                .unwrap_or(weights.len() - 1)
        }
    }
}
