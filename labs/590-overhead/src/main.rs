//! overhead: what a sampler costs, the service and itself, beside other profilers. Yours are
//! `estimate.rs`, `interval.rs` and `measure.rs`; the rest is given.
//!
//! `measure --busy PROGRAM [--others perf,bpftrace,pprof] [--rounds N]` measures, and prints a table of
//! runs; `report TABLE` says what it comes to. (The check runs `measure --pid PID --socket NAME`, and
//! `estimate FILE` and `interval FILE` with tables of its own.)

mod clock;
mod estimate;
mod interval;
mod measure;
mod others;
mod recording;
mod report;
mod sampler;
mod table;
mod target;

use std::{fs, path::PathBuf};

use anyhow::{Context as _, bail};
use fastrand::Rng;

use crate::{table::Who, target::Target};

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let command = args.next().unwrap_or_default();
    if command == "measure" {
        return measure();
    }
    let path = args.next().context("which file?")?;
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    match &*command {
        "report" => report::report(&text),
        "estimate" => estimate(&text),
        "interval" => interval(&text),
        _ => bail!("the first argument is measure, report, estimate or interval"),
    }
}

/// Runs round after round, and prints the runs in the order in which they were made.
fn measure() -> anyhow::Result<()> {
    let rounds: u32 = labkit::optional("--rounds")?.unwrap_or(12);
    let mut rng = match labkit::optional("--seed")? {
        Some(seed) => Rng::with_seed(seed),
        None => Rng::new(),
    };
    let others: String = labkit::optional("--others")?.unwrap_or_else(|| "pprof".to_owned());
    let mut profilers = vec![Who::Mine];
    for name in others.split(',') {
        profilers.push(name.parse().map_err(anyhow::Error::msg)?);
    }
    let busy: Option<PathBuf> = labkit::optional("--busy")?;
    let mut target = match &busy {
        Some(program) => Target::start(program)?,
        None => {
            let socket: String = labkit::option("--socket")?;
            Target::connect(labkit::option("--pid")?, &socket)?
        }
    };
    // The first slice warms the machine up.
    target.work()?;
    println!("# round who hz samples service-seconds profiler-seconds");
    for round in 1..=rounds {
        if busy.is_some() {
            eprintln!("round {round}/{rounds}");
        }
        for (who, hz) in measure::order(&profilers, &mut rng) {
            let run = measure::run(round, who, hz, &mut target);
            let run = run.with_context(|| format!("{} at {hz} Hz", who.name()))?;
            println!("{run}");
        }
    }
    match busy {
        Some(_) => Ok(()),
        // The check looks at what the kernel still has.
        None => labkit::ready_and_wait(),
    }
}

/// For each table, with an empty line between: what a sample of mine takes of the service's CPU time,
/// of the sampler's own, and what each recording takes besides; in seconds.
fn estimate(text: &str) -> anyhow::Result<()> {
    for table in text.split("\n\n") {
        let rounds = table::rounds(table::runs(table).map_err(anyhow::Error::msg)?);
        let cost = estimate::of_rounds(&rounds, Who::Mine);
        println!(
            "{:e} {:e} {:e}",
            cost.service, cost.profiler, cost.recording
        );
    }
    Ok(())
}

/// For each table of pairs, with an empty line between: the interval, and the verdict.
fn interval(text: &str) -> anyhow::Result<()> {
    let mut rng = Rng::with_seed(labkit::option("--seed")?);
    for table in text.split("\n\n") {
        let (mut mine, mut theirs) = (Vec::new(), Vec::new());
        for line in table.lines() {
            let (first, second) = line.split_once(' ').context("no pair")?;
            mine.push(first.parse()?);
            theirs.push(second.parse()?);
        }
        let interval = interval::interval(&mine, &theirs, &mut rng);
        let verdict = interval::verdict(interval).name();
        println!("{:e} {:e} {verdict}", interval.0, interval.1);
    }
    Ok(())
}
