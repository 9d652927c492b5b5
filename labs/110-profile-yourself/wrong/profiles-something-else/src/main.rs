//! Profiles its own work: writes `profile.pb` and `flame.svg`, and names the hottest function.

use std::{collections::HashMap, fs};

use anyhow::{Context as _, Result};
use pprof::{Report, protos::Message as _};

fn main() -> Result<()> {
    let _plan: u64 = labkit::option("--plan")?;
    let report = sample()?;
    if let Some((name, samples)) = hottest(&report) {
        println!("hottest {name} {samples}");
    }
    Ok(())
}

/// Step 1: runs the work under the profiler and writes what it saw into the current folder.
fn sample() -> Result<Report> {
    let guard = pprof::ProfilerGuardBuilder::default()
        .frequency(99)
        .blocklist(&["libc", "libgcc", "pthread", "vdso"])
        .build()?;
    let begin = cpu_time();
    while cpu_time() < begin + 2 {
        spin();
    }
    let report = guard.report().build()?;

    fs::write("profile.pb", report.pprof()?.encode_to_vec()).context("cannot write profile.pb")?;
    let svg = fs::File::create("flame.svg").context("cannot write flame.svg")?;
    report.flamegraph(svg)?;
    Ok(report)
}

/// Seconds of CPU time so far.
fn cpu_time() -> i64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks = stat
        .split(' ')
        .nth(13)
        .and_then(|ticks| ticks.parse::<i64>().ok());
    ticks.unwrap_or(0) / 100
}

#[inline(never)]
fn spin() {
    let mut x = 1u64;
    for i in 0..50_000_000u64 {
        x = std::hint::black_box(x ^ i);
    }
}

/// Step 2: the function in which most samples were taken, and how many.
fn hottest(report: &Report) -> Option<(String, isize)> {
    let mut own: HashMap<String, isize> = HashMap::new();
    for (stack, count) in &report.data {
        // The leaf comes first: the function that was running.
        if let Some(leaf) = stack.frames.first().and_then(|frame| frame.first()) {
            *own.entry(leaf.name()).or_default() += count;
        }
    }
    own.into_iter().max_by_key(|(_, count)| *count)
}
