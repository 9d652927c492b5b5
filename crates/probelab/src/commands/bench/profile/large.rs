//! A large Go program (`fixtures/large`): how long it takes to open, and how much memory to profile it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use pgo::ruler;

use super::{HZ, Part, Row, Service, others::Other, scratch, speed};
use crate::{
    build::go,
    commands::samples::arms::Arm,
    site::{self, Site},
    trouble::{OrTrouble as _, Outcome, Trouble},
};

const MODULE: &str = "fixtures/large";
/// Of each recording, seconds.
const SPAN: u64 = 10;
/// How often a process is asked how much memory it has had.
const LOOK: Duration = Duration::from_millis(20);

/// Measures both, beside the event store's and beside perf.
pub fn rows(site: &Site, store: &Service, rounds: u32) -> Outcome<Part> {
    errln!("a large program: building it, which takes minutes the first time");
    let program = build(site)?;
    let megabytes = fs::metadata(&program).map_or(0, |meta| meta.len()) as f64 / 1e6;
    let small = Arm::start(store.sample, &store.program)?;
    let large = Large::start(&program)?;
    let (mut opened, mut small_opened, mut ours, mut perf) = (vec![], vec![], vec![], vec![]);
    let has_perf = Other::here().contains(&Other::Perf);
    for round in 1..=rounds {
        errln!("a large program: round {round}/{rounds}");
        opened.push(1e3 * speed::own(|| speed::open(large.pid()).map(drop))?);
        small_opened.push(1e3 * speed::own(|| speed::open(small.pid()).map(drop))?);
        ours.push(memory_of_ours(large.pid())?);
        if has_perf {
            let mut perf_looks = Other::Perf.start(HZ, large.pid(), false)?;
            std::thread::sleep(Duration::from_secs(SPAN));
            perf.push(peak(perf_looks.pid()).unwrap_or_default());
            perf_looks.stop()?;
        }
    }
    let mut rows = vec![Row::paired(
        format!("opening {megabytes:.0} MB, beside the event store"),
        "ms",
        &opened,
        &small_opened,
    )?];
    if has_perf {
        rows.push(Row::paired(
            "memory to profile it, beside perf record".into(),
            "MB",
            &ours,
            &perf,
        )?);
    }
    let sentence = format!(
        "A program of {megabytes:.0} MB is open after {:.0} ms of CPU time, and `lab profile` takes {:.0} MB of memory for it.",
        ruler::median(&mut opened).unwrap_or_default(),
        ruler::median(&mut ours).unwrap_or_default(),
    );
    Ok((rows, sentence))
}

/// The program, kept from one run to the next; go builds it again if anything has changed.
fn build(site: &Site) -> Outcome<PathBuf> {
    let folder = site.target().join("bench");
    fs::create_dir_all(&folder).or_infrastructure(|| "cannot make a folder".to_owned())?;
    let program = folder.join("large");
    let output = go::command()
        .current_dir(site.root.join(MODULE))
        .args(["build", "-o"])
        .arg(&program)
        .output()
        .or_infrastructure(|| "cannot start go: `./lab setup` installs it".to_owned())?;
    if !output.status.success() {
        return Err(Trouble::infrastructure(
            format!(
                "{MODULE} does not build: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            ),
            "its modules come by the Go module proxy: is it reached?",
        ));
    }
    Ok(program)
}

/// It runs until it is dropped.
struct Large(Child);

impl Large {
    fn start(program: &Path) -> Outcome<Self> {
        let child = Command::new(program)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .or_infrastructure(|| "cannot start the large program".to_owned())?;
        // Until it does what it does all the time.
        std::thread::sleep(Duration::from_secs(1));
        Ok(Self(child))
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Large {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The most memory that `lab profile` has of its own while it records, names and writes: MB.
fn memory_of_ours(pid: u32) -> Outcome<f64> {
    let folder = scratch()?;
    let lab = site::this_program().or_infrastructure(|| "lab can't find itself".to_owned())?;
    let mut child = Command::new(lab)
        .args(["profile", &pid.to_string(), "--hz", &HZ.to_string()])
        .args(["--seconds", &SPAN.to_string(), "--output"])
        .arg(folder.path().join("large.pprof"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .or_infrastructure(|| "cannot start lab".to_owned())?;
    let mut most = 0.0_f64;
    while matches!(child.try_wait(), Ok(None)) {
        most = most.max(peak(child.id()).unwrap_or_default());
        std::thread::sleep(LOOK);
    }
    if most == 0.0 {
        return Err(Trouble::infrastructure("lab profile has ended at once", ""));
    }
    Ok(most)
}

/// The most memory of its own that a process has had so far (`VmHWM`, proc(5)): MB.
fn peak(pid: u32) -> Option<f64> {
    let status = procfs::process::Process::new(pid.cast_signed()).ok()?;
    let kilobytes = status.status().ok()?.vmhwm?;
    Some(kilobytes as f64 * 1024.0 / 1e6)
}
