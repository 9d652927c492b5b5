//! Profiles made by chance, of few functions, so that they have much in common: recursion, code without
//! names, inlined calls, one function at several addresses.

use fastrand::Rng;
use goprof::pprof::{Function, Line, Location, Profile, Sample, ValueType};

const FUNCTIONS: u64 = 6;
const LOCATIONS: u64 = 12;

/// A profile with cpu/nanoseconds alone.
pub fn profile(rng: &mut Rng) -> Profile {
    let mut strings: Vec<String> = ["", "cpu", "nanoseconds", "main.go"]
        .map(str::to_owned)
        .into();
    let cpu = ValueType { r#type: 1, unit: 2 };
    let start_lines: Vec<i64> = (0..FUNCTIONS).map(|at| 10 * at as i64 + 1).collect();
    let function = (0..FUNCTIONS).map(|at| {
        strings.push(format!("main.f{at}"));
        let name = strings.len() as i64 - 1;
        Function {
            id: at + 1,
            name,
            system_name: name,
            filename: 3,
            start_line: start_lines[at as usize],
        }
    });
    let function: Vec<_> = function.collect();
    let location = (0..LOCATIONS).map(|at| {
        // None where the code has no name; equal names within one place do not happen.
        let first = rng.u64(0..FUNCTIONS);
        let line = (0..rng.u64(0..4)).map(|depth| {
            let of = (first + depth) % FUNCTIONS;
            Line {
                function_id: of + 1,
                line: start_lines[of as usize] + rng.i64(0..3),
                column: 0,
            }
        });
        Location {
            id: at + 1,
            line: line.collect(),
            // Some places share one, as where a profiler knows none.
            address: 0x40_0000 + rng.u64(0..8),
            ..Location::default()
        }
    });
    let location: Vec<_> = location.collect();
    let sample = (0..rng.usize(1..30)).map(|_| Sample {
        location_id: (0..rng.usize(1..5))
            .map(|_| rng.u64(1..=LOCATIONS))
            .collect(),
        value: vec![rng.i64(0..1000) * 10_000_000],
        label: Vec::new(),
    });
    Profile {
        sample_type: vec![cpu],
        sample: sample.collect(),
        location,
        function,
        string_table: strings,
        time_nanos: rng.i64(1..1_000_000),
        duration_nanos: rng.i64(0..1_000_000),
        period_type: Some(cpu),
        period: 10_000_000,
        ..Profile::default()
    }
}
