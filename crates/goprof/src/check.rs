//! Whether Go's compiler can use a profile. It accepts much that does not help, in silence.

use crate::pprof::Profile;

/// How much a finding matters for PGO.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Usable, but less good than it could be.
    Warning,
    /// The compiler refuses the profile, or takes it and gets wrong call sites.
    Error,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Stable: `sample-types`, `no-samples`, `start-lines`, `inlined-frames`, `sample-count`,
    /// `duration`; of advice `no-calls`, `unseen-calls`, `time-span`, `stale-names`.
    pub id: &'static str,
    pub severity: Severity,
    pub message: String,
    pub fix: &'static str,
}

/// What a profile should have. The defaults are rules of thumb, not measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expect {
    /// Fewer samples than this are warned of. Default 1,000: with n samples, an edge that holds 1 %
    /// of the weight is seen about n/100 times, ten times here.
    pub min_samples: i64,
}

impl Default for Expect {
    fn default() -> Expect {
        Expect { min_samples: 1000 }
    }
}

/// All findings with the default expectations; none means that nothing stands in the way.
pub fn check(profile: &Profile) -> Vec<Finding> {
    check_with(profile, Expect::default())
}

pub fn check_with(profile: &Profile, expect: Expect) -> Vec<Finding> {
    let checks = [
        sample_types(profile),
        sample_count(profile, expect),
        start_lines(profile),
        inlined_frames(profile),
        duration(profile),
    ];
    checks.into_iter().flatten().collect()
}

fn sample_types(profile: &Profile) -> Option<Finding> {
    if profile.pgo_value_index().is_some() {
        return None;
    }
    let found: Vec<String> = profile
        .sample_types()
        .map(|(kind, unit)| format!("{kind}/{unit}"))
        .collect();
    Some(Finding {
        id: "sample-types",
        severity: Severity::Error,
        message: format!(
            "no sample type is samples/count or cpu/nanoseconds (found: {}); the compiler refuses it",
            if found.is_empty() {
                "none".to_owned()
            } else {
                found.join(", ")
            }
        ),
        fix: "record a CPU profile, or convert it with these sample types",
    })
}

fn sample_count(profile: &Profile, expect: Expect) -> Option<Finding> {
    let sum = profile.weight()?;
    let count = profile.sample_weight().map_or_else(
        || i64::try_from(profile.sample.len()).unwrap_or(i64::MAX),
        |one| sum / one,
    );
    if sum == 0 {
        return Some(Finding {
            id: "no-samples",
            severity: Severity::Error,
            message: "all values are zero; the compiler ignores the profile or blames start lines"
                .to_owned(),
            fix: "record while the program is under load",
        });
    }
    (count < expect.min_samples).then(|| Finding {
        id: "sample-count",
        severity: Severity::Warning,
        message: format!("{count} samples, fewer than {}", expect.min_samples),
        fix: "record longer or more often, or merge several profiles",
    })
}

fn start_lines(profile: &Profile) -> Option<Finding> {
    let missing: Vec<&str> = profile
        .function
        .iter()
        .filter(|f| f.start_line <= 0)
        .map(|f| profile.string(f.name))
        .collect();
    let (first, total) = (missing.first()?, profile.function.len());
    let consequence = if missing.len() == total {
        "the compiler refuses the profile"
    } else {
        "the compiler takes the profile and misses every call site in them"
    };
    Some(Finding {
        id: "start-lines",
        severity: Severity::Error,
        message: format!(
            "{} of {total} functions have no start line (such as {first}): {consequence}",
            missing.len()
        ),
        fix: "record with a profiler that writes Function.start_line; do not symbolise again afterwards",
    })
}

fn inlined_frames(profile: &Profile) -> Option<Finding> {
    if profile.location.is_empty() || profile.location.iter().any(|l| l.line.len() > 1) {
        return None;
    }
    Some(Finding {
        id: "inlined-frames",
        severity: Severity::Warning,
        message: "no location holds an inlined call; edges from and to inlined functions are lost"
            .to_owned(),
        fix: "record with a profiler that expands Go's inline trees; the binary must not be built with -l",
    })
}

fn duration(profile: &Profile) -> Option<Finding> {
    (profile.duration_nanos <= 0).then(|| Finding {
        id: "duration",
        severity: Severity::Warning,
        message: "the profile does not say how long it was recorded".to_owned(),
        fix: "set duration_nanos when writing it; merging weighs profiles by it",
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Frame, Location, Meta, ProfileBuilder};

    fn sound() -> Profile {
        let frame = |name: &str, line| Frame {
            function: name.to_owned(),
            file: "main.go".to_owned(),
            line,
            start_line: 3,
        };
        let meta = Meta {
            period_nanos: 10_000_000,
            time_nanos: 1,
            duration_nanos: 30_000_000_000,
        };
        let mut builder = ProfileBuilder::new(meta, Vec::new());
        let location = Location {
            address: 1,
            mapping: None,
            frames: vec![frame("main.inner", 4), frame("main.outer", 9)],
        };
        builder.add(vec![Arc::new(location)], 3000);
        builder.finish()
    }

    #[test]
    fn a_sound_profile_has_no_findings() {
        assert_eq!(check(&sound()), []);
    }

    #[test]
    fn each_defect_is_found_by_its_id_and_nothing_else_is() {
        type Spoil = fn(&mut Profile);
        let cases: [(&str, Severity, Spoil); 9] = [
            ("sample-types", Severity::Error, |p| {
                p.sample_type.swap(0, 1);
                p.sample_type[0].unit = 0;
                p.sample_type[1].unit = 0;
            }),
            ("sample-types", Severity::Error, |p| {
                p.sample_type.clear();
                p.sample[0].value.clear();
            }),
            ("no-samples", Severity::Error, |p| {
                p.sample[0].value = vec![0, 0]
            }),
            ("no-samples", Severity::Error, |p| p.sample.clear()),
            ("sample-count", Severity::Warning, |p| {
                p.sample[0].value[0] = 999
            }),
            ("start-lines", Severity::Error, |p| {
                p.function[0].start_line = 0
            }),
            ("start-lines", Severity::Error, |p| {
                p.function.iter_mut().for_each(|f| f.start_line = 0);
            }),
            ("inlined-frames", Severity::Warning, |p| {
                p.location[0].line.truncate(1)
            }),
            ("duration", Severity::Warning, |p| p.duration_nanos = 0),
        ];
        for (index, (id, severity, spoil)) in cases.into_iter().enumerate() {
            let mut profile = sound();
            spoil(&mut profile);
            let found: Vec<_> = check(&profile)
                .into_iter()
                .map(|f| (f.id, f.severity))
                .collect();
            assert_eq!(found, [(id, severity)], "case {index}");
        }
    }

    #[test]
    fn partial_and_total_loss_of_start_lines_are_told_apart() {
        let mut profile = sound();
        profile.function[0].start_line = 0;
        let partial = check(&profile).remove(0).message;
        assert!(partial.starts_with("1 of 2 functions"), "{partial}");
        assert!(partial.contains("misses every call site"), "{partial}");
        profile.function[1].start_line = 0;
        let total = check(&profile).remove(0).message;
        assert!(total.contains("refuses"), "{total}");
    }

    #[test]
    fn nanoseconds_are_counted_by_the_period() {
        let mut profile = sound();
        profile.sample_type.remove(0);
        profile.sample[0].value = vec![500 * profile.period];
        let found = check(&profile).remove(0);
        assert_eq!(found.message, "500 samples, fewer than 1000");
    }
}
