//! The tour's sampling, as a step that the check runner runs: it needs what a check of a lab needs, root.

use std::{
    ffi::OsStr,
    fs,
    time::{Duration, Instant, SystemTime},
};

use goprof::{Meta, Sampler};
use labcheck::{prelude::*, scratch::Scratch};

/// Its name among the labs' checks.
pub const SLUG: &str = "tour";
/// Its steps.
pub const STEPS: Steps = &[("sample", sample)];
/// Seconds of load that are sampled.
pub const SECONDS: u64 = 12;
/// The file that it gives.
pub const PROFILE: &str = "cpu.pprof";
/// Samples for each second of CPU time.
const HZ: u32 = 499;

/// Samples the event store under its training load.
fn sample(lab: &mut Session) -> Result<(), Stop> {
    let store = lab.artifact("store")?;
    let load = lab.artifact("load")?;
    let data = Scratch::new("tour").map_err(Failure::from)?;
    let own = labcheck::learner::LEARNER_UID;
    if labcheck::machine::is_root() {
        std::os::unix::fs::chown(data.path(), Some(own), Some(own)).map_err(Failure::from)?;
    }
    let args = ["serve", "--addr", "127.0.0.1:0", "--data"].map(OsStr::new);
    let args: Vec<&OsStr> = args.into_iter().chain([data.path().as_os_str()]).collect();
    let mut server = Workload::program(&store, &args, true)?;
    let line = server.receive()?;
    let address = line
        .strip_prefix("listening on ")
        .ok_or_else(|| Failure::infrastructure(format!("the event store said {line:?}")))?
        .to_owned();

    let mut symbols = goprof::for_process(server.pid()).map_err(broken)?;
    let sampler = Sampler::start(server.pid(), HZ, &symbols).map_err(broken)?;
    let (began, clock) = (SystemTime::now(), Instant::now());
    let seconds = SECONDS.to_string();
    let args = [
        "--addr",
        &address,
        "--seed",
        "1",
        "--mix",
        "train",
        "--seconds",
        &seconds,
    ];
    let mut driver = Workload::program(&load, &args.map(OsStr::new), true)?;
    driver.set_patience(Duration::from_secs(SECONDS + 30));
    driver.finish()?;
    let recording = sampler.recording().map_err(broken)?;
    drop(sampler);
    let meta = Meta::of(HZ, began, clock.elapsed());
    let (samples, _) = goprof::repair(&recording.stacks, &symbols);
    let profile = goprof::to_profile(&samples, &mut symbols, meta);
    lab.require_that("sees-it", samples.total() > 0, || {
        "the event store was never found running".to_owned()
    })?;
    lab.give(PROFILE, goprof::encode(&profile));
    drop(server);
    let _ = fs::remove_dir_all(data.path());
    Ok(())
}
