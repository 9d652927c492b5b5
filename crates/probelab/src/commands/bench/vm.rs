//! What a check in a virtual machine costs: booted and restored, beside the least that a boot takes,
//! and several at once.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use labcheck::{machine, plan::Plan};
use labvm::{floor, kernels::Ready, outcome::Outcome as Ending, qemu::Machine};

use super::{Measured, Row};
use crate::{
    check::{self, Job},
    pool,
    site::Site,
    trouble::{OrTrouble as _, Outcome, Trouble},
    vm::{self, On, Station},
};

/// The lab that is checked: one step, and a program of each side.
const LAB: &str = "first-probe";
const PATIENCE: Duration = Duration::from_secs(120);
/// Counts of machines at once.
const AT_ONCE: [usize; 3] = [1, 2, 4];
/// Verdicts for each of them, and how often that is repeated.
const VERDICTS: usize = 12;
const REPETITIONS: u32 = 3;

/// Runs the bench.
pub fn run(site: &Site, rounds: u32) -> Outcome<Measured> {
    let busybox = busybox()?;
    let course = site.course()?;
    let lab = course.find(LAB)?;
    let kernels = vm::kernels(site, "all", course::Arch::HERE)?;
    let places: Vec<On> = kernels.iter().cloned().map(On::Vm).collect();
    let prepared = check::prepare(&Job {
        site,
        lab,
        files: Some(lab.solution.clone()),
        variant: "solution".into(),
        shown_as: format!("my/{LAB}"),
        step: None,
        seed: 1,
        tell_truth: false,
        on: &places,
        interactive: false,
    })?;
    let plan = prepared
        .plan()
        .ok_or_else(|| Trouble::infrastructure(format!("{LAB} could not be built"), ""))?;
    let nothing = Plan {
        steps: Vec::new(),
        ..plan.clone()
    };
    let mut rows = Vec::new();
    let mut last = None;
    for kernel in &kernels {
        let station = Station::open(site, lab, kernel)?;
        let plain = floor::initramfs(&busybox, &site.target().join("vm"))?;
        let plain = Machine {
            initramfs: &plain,
            ..station.machine()
        };
        let mut samples = Samples::default();
        for round in 0..rounds {
            errln!("Linux {}: round {}/{rounds}", kernel.name, round + 1);
            // Whoever is later in a round finds the machine as the others left it: take turns.
            for turn in 0..4 {
                match (round + turn) % 4 {
                    0 => samples
                        .floor
                        .push(floor::boot(&plain, PATIENCE)?.as_secs_f64()),
                    1 => samples.empty.push(timed(&station, lab, &nothing, true)?.0),
                    2 => samples.cold.push(timed(&station, lab, plan, true)?),
                    _ => samples.warm.push(timed(&station, lab, plan, false)?),
                }
            }
        }
        rows.extend(samples.rows(kernel)?);
        last = Some(station);
    }
    let station = last.ok_or_else(|| Trouble::infrastructure("there is no kernel", ""))?;
    let mut rates = AT_ONCE.map(|_| Vec::new());
    for repetition in 1..=REPETITIONS {
        for (at_once, rates) in AT_ONCE.iter().zip(&mut rates) {
            errln!("{at_once} at once: {repetition}/{REPETITIONS}");
            rates.push(rate(&station, lab, plan, *at_once)?);
        }
    }
    let mut best = 0.0_f64;
    for (at_once, found) in AT_ONCE.iter().zip(&rates) {
        let name = format!("verdicts a minute, {at_once} at once, beside one");
        let row = Row::paired(name, "1/min", found, &rates[0])?;
        best = best.max(row.ours);
        rows.push(row);
    }
    let sentence = format!(
        "A check of {LAB} in a restored machine takes {:.2} s on the newest kernel, {:.2} of what it takes from a boot; \
         {best:.0} verdicts a minute at best, each in a machine of its own.",
        rows_of(&rows, "warm").map_or(0.0, |row| row.ours),
        rows_of(&rows, "warm").map_or(0.0, |row| row.ratio),
    );
    Ok(Measured::new("vm", rows, sentence))
}

fn rows_of<'a>(rows: &'a [Row], word: &str) -> Option<&'a Row> {
    rows.iter()
        .rev()
        .find(|row| row.name.contains(word) && row.unit == "s")
}

/// What was measured on one kernel: seconds, and seconds of CPU time.
#[derive(Default)]
struct Samples {
    floor: Vec<f64>,
    empty: Vec<f64>,
    cold: Vec<(f64, f64)>,
    warm: Vec<(f64, f64)>,
}

impl Samples {
    fn rows(&self, kernel: &Ready) -> Outcome<[Row; 3]> {
        let wall = |pairs: &[(f64, f64)]| pairs.iter().map(|pair| pair.0).collect::<Vec<_>>();
        let cpu = |pairs: &[(f64, f64)]| pairs.iter().map(|pair| pair.1).collect::<Vec<_>>();
        let name = &kernel.name;
        Ok([
            Row::paired(
                format!("boot without a check, beside busybox's, {name}"),
                "s",
                &self.empty,
                &self.floor,
            )?,
            Row::paired(
                format!("warm check, beside a cold one, {name}"),
                "s",
                &wall(&self.warm),
                &wall(&self.cold),
            )?,
            Row::paired(
                format!("warm check, beside a cold one, {name}"),
                "CPU s",
                &cpu(&self.warm),
                &cpu(&self.cold),
            )?,
        ])
    }
}

/// One round trip: seconds, and seconds of CPU time of QEMU's.
fn timed(station: &Station<'_>, lab: &course::Lab, plan: &Plan, cold: bool) -> Outcome<(f64, f64)> {
    let before = cpu_of_children()?;
    let begin = Instant::now();
    let ran = station.run(lab, plan, cold)?;
    let took = begin.elapsed().as_secs_f64();
    if ran.outcome != Ending::Done(Some(0)) {
        return Err(Trouble::infrastructure(ran.outcome.to_string(), ""));
    }
    Ok((took, cpu_of_children()? - before))
}

/// CPU time of children that have ended, in seconds.
fn cpu_of_children() -> Outcome<f64> {
    let stat = procfs::process::Process::myself()
        .and_then(|process| process.stat())
        .or_infrastructure(|| "cannot read /proc/self/stat".to_owned())?;
    Ok((stat.cutime + stat.cstime) as f64 / procfs::ticks_per_second() as f64)
}

/// Verdicts a minute, with so many machines at once.
fn rate(station: &Station<'_>, lab: &course::Lab, plan: &Plan, at_once: usize) -> Outcome<f64> {
    let begin = Instant::now();
    let mut failed = None;
    pool::in_order(
        at_once,
        0..VERDICTS,
        |_| station.run(lab, plan, false),
        |outcome| match outcome {
            Ok(ran) if ran.outcome == Ending::Done(Some(0)) => {}
            Ok(ran) => failed = Some(Trouble::infrastructure(ran.outcome.to_string(), "")),
            Err(trouble) => failed = Some(trouble),
        },
    );
    match failed {
        Some(trouble) => Err(trouble),
        None => Ok(VERDICTS as f64 * 60.0 / begin.elapsed().as_secs_f64()),
    }
}

fn busybox() -> Outcome<PathBuf> {
    machine::on_path("busybox").ok_or_else(|| {
        Trouble::infrastructure(
            "there is no busybox, beside which our guest's boot is measured",
            "sudo apt-get install busybox-static",
        )
    })
}
