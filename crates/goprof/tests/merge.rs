//! Merged profiles: the same calls with the same weights as in what they were made from, the same bytes
//! in whatever order and grouping.

mod common;

use std::path::{Path, PathBuf};

use fastrand::Rng;
use goprof::{Edge, Edges, Error, Merge, encode, pprof::Profile, quantise};

/// Recorded from a real service, by runtime/pprof.
fn committed() -> Vec<PathBuf> {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../labs/610-first-pgo-build/profiles");
    ["one.pprof", "two.pprof", "three.pprof"]
        .map(|name| folder.join(name))
        .into_iter()
        .collect()
}

fn recorded() -> Vec<Profile> {
    let read = |path: &PathBuf| goprof::read(&std::fs::read(path).expect("it is there"));
    let profiles = committed()
        .iter()
        .map(|path| read(path).expect("a pprof"))
        .collect::<Vec<_>>();
    assert_eq!(profiles.len(), 3);
    profiles
}

/// The profile with CPU time for its only value, as the compiler would then take it.
fn of_time(mut profile: Profile) -> Profile {
    profile.keep_cpu_time().expect("it tells CPU time");
    profile
}

fn merged<'a>(profiles: impl IntoIterator<Item = &'a Profile>) -> Profile {
    let mut merge = Merge::default();
    for profile in profiles {
        merge.add(profile).expect("it tells CPU time");
    }
    merge.finish()
}

/// The calls of several profiles together.
fn summed(profiles: &[Profile]) -> Edges {
    let all = profiles.iter().flat_map(|profile| {
        let edges = Edges::of(profile);
        let edges = edges.by_weight().into_iter();
        edges
            .map(|(edge, weight)| (edge.clone(), weight))
            .collect::<Vec<(Edge, i64)>>()
    });
    all.collect()
}

#[test]
fn a_merge_has_the_calls_of_its_profiles() {
    let mut rng = Rng::with_seed(1);
    for round in 0..2000 {
        let profiles: Vec<Profile> = (0..rng.usize(1..4))
            .map(|_| common::random::profile(&mut rng))
            .collect();
        let ours = Edges::of(&merged(&profiles)).preprofile();
        assert_eq!(ours, summed(&profiles).preprofile(), "round {round}");
    }
}

#[test]
fn order_and_grouping_leave_no_trace_in_the_bytes() {
    let mut rng = Rng::with_seed(2);
    for round in 0..300 {
        let mut profiles: Vec<Profile> = (0..rng.usize(2..8))
            .map(|_| common::random::profile(&mut rng))
            .collect();
        let expected = encode(&merged(&profiles));
        let split = rng.usize(1..profiles.len());
        rng.shuffle(&mut profiles);
        let (some, others) = profiles.split_at(split);
        let in_two_steps = merged(&[merged(some), merged(others)]);
        assert_eq!(encode(&in_two_steps), expected, "round {round}");
    }
    let mut profiles = recorded();
    let expected = encode(&merged(&profiles));
    profiles.rotate_left(1);
    assert_eq!(encode(&merged(&profiles)), expected);
    let of_one = merged(&profiles[..1]);
    assert_eq!(encode(&merged(&[of_one, merged(&profiles[1..])])), expected);
}

#[test]
fn written_merges_are_sound() {
    let mut rng = Rng::with_seed(3);
    for _ in 0..300 {
        let profile = merged(&[
            common::random::profile(&mut rng),
            common::random::profile(&mut rng),
        ]);
        assert_eq!(goprof::read(&encode(&profile)).expect("sound"), profile);
        assert!(profile.string_table.is_sorted_by(|a, b| a < b));
    }
}

#[test]
fn durations_are_summed_and_samples_are_time_by_their_period() {
    let profiles = recorded();
    let together = merged(&profiles);
    let durations = profiles.iter().map(|profile| profile.duration_nanos);
    assert_eq!(together.duration_nanos, durations.sum::<i64>());
    let began = profiles.iter().map(|profile| profile.time_nanos).min();
    assert_eq!(Some(together.time_nanos), began);

    // Without cpu/nanoseconds the samples are counted, each a period long.
    let mut counted = profiles[0].clone();
    counted.sample_type.truncate(1);
    for sample in &mut counted.sample {
        sample.value.truncate(1);
    }
    assert_eq!(merged([&counted]), merged([&profiles[0]]));
    assert_eq!(
        Edges::of(&of_time(counted)),
        Edges::of(&of_time(profiles[0].clone()))
    );
}

#[test]
fn what_can_not_be_summed_is_refused_and_leaves_nothing() {
    type Spoil = fn(&mut Profile);
    let cases: [(Spoil, &str); 3] = [
        (|p| p.sample_type[0].unit = 1, "does not tell CPU time"),
        (|p| p.sample[0].value[0] = -1, "negative values"),
        (
            // samples/count, of which nobody says how long one is.
            |p| {
                p.string_table
                    .extend(["samples", "count"].map(str::to_owned));
                p.sample_type[0].r#type = p.string_table.len() as i64 - 2;
                p.sample_type[0].unit = p.string_table.len() as i64 - 1;
                p.period = 0;
            },
            "does not tell CPU time",
        ),
    ];
    for (spoil, expected) in cases {
        let sound = common::random::profile(&mut Rng::with_seed(4));
        let mut spoilt = sound.clone();
        spoil(&mut spoilt);
        let mut merge = Merge::default();
        let error = merge.add(&spoilt).expect_err(expected);
        assert!(
            matches!(error, Error::NoCpuTime | Error::Negative)
                && error.to_string().contains(expected),
            "{error}"
        );
        merge.add(&sound).expect("sound");
        assert_eq!(merge.finish(), merged([&sound]));
    }
}

#[test]
fn no_number_is_too_large() {
    let mut profile = common::random::profile(&mut Rng::with_seed(5));
    for sample in &mut profile.sample {
        sample.value = vec![i64::MAX];
    }
    profile.duration_nanos = i64::MAX;
    profile.location[0]
        .line
        .iter_mut()
        .for_each(|line| line.line = i64::MIN);
    profile
        .function
        .iter_mut()
        .for_each(|function| function.start_line = i64::MAX);
    let together = merged([&profile, &profile]);
    assert_eq!(together.duration_nanos, i64::MAX);
    assert_eq!(encode(&together), encode(&merged([&together])));
}

/// What is rounded away decides about no call that matters.
#[test]
fn rounded_weights_leave_the_hot_calls_hot() {
    let exact = merged(&recorded());
    let mut rounded = exact.clone();
    quantise(&mut rounded, 4);
    let (exact, rounded) = (Edges::of(&exact), Edges::of(&rounded));
    assert!(
        exact.overlap(&rounded) > 0.98,
        "{}",
        exact.overlap(&rounded)
    );
    let hot = rounded.hot();
    let lost: i64 = exact
        .hot()
        .into_iter()
        .filter(|(edge, _)| !hot.iter().any(|(other, _)| other == edge))
        .map(|(_, weight)| weight)
        .sum();
    let share = lost as f64 / exact.total() as f64;
    assert!(share < 0.005, "{share} of the weight is no longer hot");
}

/// By the real tool: byte for byte, for each profile alone and for all of them merged by `pprof -proto`.
#[test]
fn go_tool_preprofile_prints_the_same_for_what_was_merged() {
    if !common::has_go() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let preprofile = |name: &str, profile: &Profile| {
        let [from, to] = ["pprof", "text"].map(|ext| folder.path().join(format!("{name}.{ext}")));
        std::fs::write(&from, encode(profile)).expect("written");
        let (from, to) = (common::text(&from), common::text(&to));
        common::go_ok("pgo", &["tool", "preprofile", "-i", from, "-o", to]);
        std::fs::read_to_string(to).expect("it was written")
    };
    for (at, profile) in recorded().into_iter().enumerate() {
        let theirs = preprofile(&format!("whole{at}"), &of_time(profile.clone()));
        assert!(theirs.lines().count() > 300);
        assert_eq!(
            preprofile(&format!("merged{at}"), &merged([&profile])),
            theirs
        );
    }
    let mut rng = Rng::with_seed(6);
    for at in 0..10 {
        let profile = common::random::profile(&mut rng);
        let theirs = preprofile(&format!("chance{at}"), &profile);
        assert_eq!(
            preprofile(&format!("ours{at}"), &merged([&profile])),
            theirs
        );
    }

    let paths = committed();
    let all = folder.path().join("all.pprof");
    let output = format!("-output={}", common::text(&all));
    let mut args = vec!["tool", "pprof", "-proto", "-symbolize=none", &output];
    args.extend(paths.iter().map(|path| common::text(path)));
    common::go_ok("pgo", &args);
    let by_pprof = goprof::read(&std::fs::read(&all).expect("written")).expect("a pprof");
    let theirs = preprofile("by-pprof", &of_time(by_pprof));
    assert_eq!(preprofile("by-us", &merged(&recorded())), theirs);
}
