//! What a sample costs: the service that is looked at, and the profiler.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use goprof::{Edges, Sampler};
use labcheck::{machine, scratch::Scratch};
use pgo::ruler;
use rustix::process::{Pid, Signal};

use super::{Row, meta, told};
use crate::{
    commands::tour::arms::Arm,
    trouble::{OrTrouble as _, Outcome, Trouble},
};

/// Samples for each second of CPU time: many, for what a few cost drowns in noise.
const HZ: u32 = 4_999;
/// CPU seconds of the service's in a slice of work.
const SLICE: f64 = 0.7;
/// Slices for each round that was asked for.
const SLICES: u32 = 8;
/// Resamples that an interval rests on.
const RESAMPLES: usize = 4_000;

/// Measures both in turn; without perf there is nothing to measure beside.
pub fn rows(arm: &Arm, load: &Path, rounds: u32, rng: &mut fastrand::Rng) -> Outcome<Vec<Row>> {
    let Some(perf) = machine::on_path("perf") else {
        errln!("there is no perf, beside which the cost is measured (package linux-perf)");
        return Ok(Vec::new());
    };
    const TRIAL: u64 = 100;
    let cost = arm.slice(load, 1, TRIAL)?.max(0.001);
    let requests = ((TRIAL as f64 * SLICE / cost) as u64).clamp(50, 20_000);
    arm.slice(load, 2, requests)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 1..=rounds * SLICES {
        errln!("cost of a sample: slice {round}/{}", rounds * SLICES);
        // The same work for each, in random order.
        let work = || arm.slice(load, u64::from(round) + 2, requests);
        let mut order = [0, 1, 2];
        rng.shuffle(&mut order);
        let (mut alone, mut with_ours, mut with_perf) = (0.0, None, None);
        for which in order {
            match which {
                0 => alone = work()?,
                1 => with_ours = Some(by_goprof(arm.pid(), work)?),
                _ => with_perf = Some(by_perf(&perf, arm.pid(), work)?),
            }
        }
        ours.extend(with_ours.map(|seen| seen.each(alone)));
        theirs.extend(with_perf.map(|seen| seen.each(alone)));
    }
    Ok(vec![
        row(
            "CPU of the service for a sample, beside perf's",
            &ours,
            &theirs,
            rng,
            |each| each.0,
        ),
        row(
            "CPU of the profiler for a sample, beside perf's",
            &ours,
            &theirs,
            rng,
            |each| each.1,
        ),
    ])
}

/// A slice of work that was looked at.
struct Seen {
    /// CPU seconds of the service.
    service: f64,
    /// CPU seconds of the profiler.
    profiler: f64,
    samples: u64,
}

impl Seen {
    /// Microseconds for each sample: of the service, beyond what the same work took `alone`, and of
    /// the profiler.
    fn each(&self, alone: f64) -> (f64, f64) {
        let micros = |seconds: f64| seconds * 1e6 / self.samples.max(1) as f64;
        (micros(self.service - alone), micros(self.profiler))
    }
}

/// From the start of the sampler to the calls that the compiler would read.
fn by_goprof(pid: u32, work: impl Fn() -> Outcome<f64>) -> Outcome<Seen> {
    let clock =
        || ruler::cpu_time(std::process::id()).or_infrastructure(|| "no clock of ours".to_owned());
    let begin = clock()?;
    let mut symbols = goprof::for_process(pid).map_err(told)?;
    let sampler = Sampler::start(pid, HZ, &symbols).map_err(told)?;
    let ready = clock()?;
    let service = work()?;
    let after = clock()?;
    let recording = sampler.recording().map_err(told)?;
    drop(sampler);
    let (samples, _) = goprof::repair(&recording.stacks, &symbols);
    let profile = goprof::to_profile(&samples, &mut symbols, meta(HZ));
    let bytes = goprof::encode(&profile);
    let end = clock()?;
    // So that nothing of it is left out for being of no use.
    if bytes.is_empty() || Edges::of(&profile).is_empty() {
        return Err(Trouble::infrastructure("goprof has seen nothing", ""));
    }
    Ok(Seen {
        service,
        // Without what it takes to start the load.
        profiler: (ready - begin + (end - after)).as_secs_f64(),
        samples: recording.samples,
    })
}

/// Recording alone, without `perf script` to name what was seen.
fn by_perf(perf: &Path, pid: u32, work: impl Fn() -> Outcome<f64>) -> Outcome<Seen> {
    let folder = Scratch::new("perf").or_infrastructure(|| "cannot make a folder".to_owned())?;
    let data: PathBuf = folder.path().join("perf.data");
    let mut child = Command::new(perf)
        .args(["record", "-e", "cpu-clock", "--call-graph", "fp", "-F"])
        .args([
            HZ.to_string(),
            "-p".to_owned(),
            pid.to_string(),
            "-o".to_owned(),
        ])
        .arg(&data)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .or_infrastructure(|| "cannot start perf".to_owned())?;
    // It says nothing when it is ready.
    std::thread::sleep(Duration::from_millis(500));
    let service = work();
    let _ = rustix::process::kill_process(Pid::from_child(&child), Signal::INT);
    let profiler = cpu_when_ended(&mut child)?;
    let output = child
        .wait_with_output()
        .or_infrastructure(|| "perf is gone".to_owned())?;
    let said = String::from_utf8_lossy(&output.stderr);
    let samples = said
        .split_once(" samples)")
        .and_then(|(before, _)| before.rsplit('(').next()?.parse().ok())
        .ok_or_else(|| {
            Trouble::infrastructure(format!("perf has recorded nothing: {}", said.trim()), "")
        })?;
    Ok(Seen {
        service: service?,
        profiler,
        samples,
    })
}

/// CPU seconds of a child that is ending; it is not waited for.
fn cpu_when_ended(child: &mut Child) -> Outcome<f64> {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let stat = procfs::process::Process::new(child.id().cast_signed())
            .and_then(|process| process.stat())
            .or_infrastructure(|| "perf is gone".to_owned())?;
        if stat.state == 'Z' {
            return Ok((stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64);
        }
        if Instant::now() > until {
            let _ = child.kill();
            return Err(Trouble::infrastructure("perf does not end", ""));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Medians, and the interval of their ratio by resampling rounds: differences of noisy numbers have no
/// ratio round by round.
fn row(
    name: &str,
    ours: &[(f64, f64)],
    theirs: &[(f64, f64)],
    rng: &mut fastrand::Rng,
    of: impl Fn(&(f64, f64)) -> f64,
) -> Row {
    let pairs: Vec<(f64, f64)> = ours.iter().map(&of).zip(theirs.iter().map(&of)).collect();
    let medians = |pairs: &[(f64, f64)]| {
        let median = |side: fn(&(f64, f64)) -> f64| {
            ruler::median(&mut pairs.iter().map(side).collect::<Vec<_>>()).unwrap_or_default()
        };
        (median(|pair| pair.0), median(|pair| pair.1))
    };
    let (ours, peer) = medians(&pairs);
    let mut ratios: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let drawn: Vec<_> = pairs
                .iter()
                .map(|_| pairs[rng.usize(..pairs.len())])
                .collect();
            let (ours, peer) = medians(&drawn);
            ours / peer
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    let at = |share: f64| ratios[((RESAMPLES - 1) as f64 * share) as usize];
    Row {
        name: name.to_owned(),
        unit: "µs",
        ours,
        peer,
        ratio: ours / peer,
        ci95: [at(0.025), at(0.975)],
        n: pairs.len(),
    }
}
