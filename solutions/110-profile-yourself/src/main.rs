//! Profiles its own work: writes `profile.pb` and `flame.svg`, and names the hottest function.

use std::{collections::HashMap, fs};

use anyhow::{Context as _, Result};
use pprof::{Report, protos::Message as _};

fn main() -> Result<()> {
    let plan: u64 = labkit::option("--plan")?;
    let report = sample(plan)?;
    if let Some((name, samples)) = hottest(&report) {
        println!("hottest {name} {samples}");
    }
    Ok(())
}

/// Step 1: runs the work under the profiler and writes what it saw into the current folder.
fn sample(plan: u64) -> Result<Report> {
    // ANCHOR: sample
    let guard = pprof::ProfilerGuardBuilder::default()
        .frequency(99)
        .blocklist(&["libc", "libgcc", "pthread", "vdso"])
        .build()?;
    profile_yourself_work::serve(plan);
    let report = guard.report().build()?;
    // ANCHOR_END: sample

    // ANCHOR: write
    fs::write("profile.pb", report.pprof()?.encode_to_vec()).context("cannot write profile.pb")?;
    let svg = fs::File::create("flame.svg").context("cannot write flame.svg")?;
    report.flamegraph(svg)?;
    // ANCHOR_END: write
    Ok(report)
}

/// Step 2: the function in which most samples were taken, and how many.
fn hottest(report: &Report) -> Option<(String, isize)> {
    // ANCHOR: find
    let mut own: HashMap<String, isize> = HashMap::new();
    for (stack, count) in &report.data {
        // The leaf comes first: the function that was running.
        if let Some(leaf) = stack.frames.first().and_then(|frame| frame.first()) {
            *own.entry(leaf.name()).or_default() += count;
        }
    }
    own.into_iter().max_by_key(|(_, count)| *count)
    // ANCHOR_END: find
}
