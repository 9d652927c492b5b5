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
    // TODO: switch the profiler on for the call below, at 99 samples a second of CPU time.
    profile_yourself_work::serve(plan);

    // TODO: write the report as pprof to profile.pb, and as a flame graph to flame.svg.
    anyhow::bail!("nothing was sampled yet")
}

/// Step 2: the function in which most samples were taken, and how many.
fn hottest(report: &Report) -> Option<(String, isize)> {
    // TODO: add up the samples of each function that was running when one was taken.
    let _ = &report.data;
    None
}
