//! The tour's sampling, as a step that the check runner runs: it needs what a check of a lab needs
//! (root for the runner, a learner's program without it), so it is one.

use std::{ffi::OsStr, fs, time::Duration};

use labcheck::{prelude::*, scratch::Scratch};

/// Its name among the labs' checks.
pub const SLUG: &str = "tour";
/// Its steps.
pub const STEPS: Steps = &[("sample", sample)];
/// Seconds of load that are sampled.
pub const SECONDS: u64 = 12;
/// The file that it gives.
pub const PROFILE: &str = "cpu.pprof";
/// Largest profile that is taken.
const LIMIT: u64 = 8 << 20;

/// Samples the event store under its training load with a learner's program.
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

    let started = lab.learner()?.set("PID", server.pid()).start();
    let learner = lab.require("starts", started)?;
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
    let (_, files) = lab.require("stops", learner.stop_with_files())?;
    let profile = lab.require("writes-a-profile", files.read(PROFILE, LIMIT))?;
    lab.give(PROFILE, profile);
    drop(server);
    let _ = fs::remove_dir_all(data.path());
    Ok(())
}
