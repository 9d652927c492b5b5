//! The truth: which of six functions the work spends its CPU time in, and how much in each.
//! `work/src/plan.rs` turns the number that we draw into shares, here and in the work itself.
//!
//! At 99 Hz two seconds of CPU time give n = 198 samples. A function with share p is in n·p of
//! them, with a standard deviation of at most 4 % of n (sampling, and turns of random length). We
//! allow 5·√(n·p·(1−p)) + 3 % of n, which six functions together miss less than once in 10,000
//! runs, for any n from 100.
//!
//! The profiler's timer counts CPU time in ticks and misses much of it on a crowded machine, as
//! `work/src/lib.rs` explains. So the work goes on until it was charged two seconds by that clock,
//! or gives up, and writes down what it was charged. Too little is the machine's fault, an error.

use std::collections::BTreeMap;

use labcheck::{learner::RunFolder, prelude::*};

#[path = "work/src/plan.rs"]
#[allow(dead_code)]
mod plan;

pub const STEPS: Steps = &[("sample", sample), ("find", find)];

const SOURCE: &str = "src/main.rs";
const MEGABYTE: u64 = 1 << 20;
/// Less CPU time than this gives too few samples.
const ENOUGH_MS: i64 = 1_300;
/// Fewer samples than this say too little.
const FEWEST: i64 = 100;

/// What the learner's program was told to do.
struct Task {
    plan: u64,
    /// The six functions, hottest first.
    truth: [&'static str; 6],
}

/// What its profile says.
struct Seen {
    /// Samples by the function that was running, its name without a path.
    own: BTreeMap<String, i64>,
    samples: i64,
    cpu_ms: i64,
    /// What the work was charged, by the timer's clock.
    spent_ms: i64,
}

fn sample(lab: &mut Session) -> Result<(), Stop> {
    let task = draw(lab);
    let ended = lab.learner()?.set("PLAN", task.plan).run_to_end();
    let (_, folder) = lab.require("ends", ended)?;

    let seen = read(&folder, &lab.place(SOURCE, "fn sample"));
    let seen = lab.require("profile-written", seen)?;

    let place = lab.place(SOURCE, "fn sample");
    lab.require("covers-the-work", covers(&seen, &place))?;
    lab.require("shares-agree", agrees(&seen, &task, &place))?;

    let drawn = folder.read("flame.svg", MEGABYTE).and_then(|bytes| {
        let text = String::from_utf8_lossy(&bytes);
        if text.contains("<svg") && text.contains(task.truth[0]) {
            return Ok(());
        }
        Err(Failure::learner(format!(
            "flame.svg does not show {}, which took half of the CPU time. Write the same report's \
             flame graph there. Look at {place}.",
            task.truth[0]
        )))
    });
    lab.require("flame-drawn", drawn)
}

fn find(lab: &mut Session) -> Result<(), Stop> {
    let task = draw(lab);
    let ended = lab.learner()?.set("PLAN", task.plan).run_to_end();
    let (output, folder) = lab.require("find-ends", ended)?;

    let place = lab.place(SOURCE, "fn sample");
    let seen = read(&folder, &place).and_then(|seen| {
        covers(&seen, &place)?;
        agrees(&seen, &task, &place)?;
        Ok(seen)
    });
    let seen = lab.require("find-profiles", seen)?;

    let place = lab.place(SOURCE, "fn hottest");
    let line = output
        .stdout
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("hottest "));
    let (name, count) = line
        .and_then(|line| line.trim().rsplit_once(' '))
        .unwrap_or((line.unwrap_or_default(), ""));
    let hot = task.truth[0];
    lab.require_that("names-hottest", last_part(name) == hot, || {
        if line.is_none() {
            return format!(
                "your program printed no line `hottest NAME SAMPLES`. Look at {place}."
            );
        }
        format!(
            "we let the work spend half of its CPU time in {hot}; your program named {name}. Look at {place}."
        )
    })?;
    let in_file = seen.own.get(hot).copied().unwrap_or(0);
    lab.require_that("counts-samples", count.parse() == Ok(in_file), || {
        format!(
            "{hot} was running in {in_file} of the samples in profile.pb; your program said {}. \
             Count from the report that you wrote there. Look at {place}.",
            if count.is_empty() { "no number" } else { count }
        )
    })
}

fn draw(lab: &mut Session) -> Task {
    let plan = lab.rng.between(0..=u64::MAX);
    let truth = plan::hottest_first(plan).map(|index| plan::NAMES[index]);
    lab.set_truth(truth[0]);
    Task { plan, truth }
}

fn read(folder: &RunFolder, place: &str) -> Result<Seen, Failure> {
    let bytes = folder.read("profile.pb", MEGABYTE)?;
    let unreadable = |why: &str| {
        Failure::learner(format!(
            "profile.pb is no pprof profile: {why}. Look at {place}."
        ))
    };
    let profile = goprof::read_limited(&bytes, 8 * MEGABYTE)
        .map_err(|error| unreadable(&error.to_string()))?;
    let value = |wanted: (&str, &str)| {
        profile
            .sample_types()
            .position(|found| found == wanted)
            .ok_or_else(|| {
                unreadable(&format!(
                    "it has no values of type {}/{}",
                    wanted.0, wanted.1
                ))
            })
    };
    let (count, cpu) = (value(("samples", "count"))?, value(("cpu", "nanoseconds"))?);
    let names: BTreeMap<u64, &str> = profile
        .function
        .iter()
        .map(|function| (function.id, profile.string(function.name)))
        .collect();
    let leaves: BTreeMap<u64, u64> = profile
        .location
        .iter()
        .filter_map(|location| Some((location.id, location.line.first()?.function_id)))
        .collect();
    let mut seen = Seen {
        own: BTreeMap::new(),
        samples: 0,
        cpu_ms: 0,
        spent_ms: spent(folder, place)?,
    };
    for sample in &profile.sample {
        let samples = sample.value.get(count).copied().unwrap_or(0);
        seen.samples = seen.samples.saturating_add(samples);
        seen.cpu_ms = seen
            .cpu_ms
            .saturating_add(sample.value.get(cpu).copied().unwrap_or(0) / 1_000_000);
        let leaf = sample
            .location_id
            .first()
            .and_then(|id| names.get(leaves.get(id)?));
        if let Some(name) = leaf {
            *seen.own.entry(last_part(name).to_owned()).or_default() += samples;
        }
    }
    Ok(seen)
}

/// Enough samples, and CPU time that adds up to what the work took.
fn covers(seen: &Seen, place: &str) -> Result<(), Failure> {
    let Seen {
        samples,
        cpu_ms,
        spent_ms,
        ..
    } = *seen;
    let what = if samples == 0 {
        "profile.pb holds no sample".to_owned()
    } else if samples < FEWEST {
        format!("profile.pb holds {samples} samples, and fewer than {FEWEST} say too little")
    } else if cpu_ms < spent_ms * 7 / 10 || cpu_ms > spent_ms * 13 / 10 {
        format!("profile.pb accounts for {cpu_ms} ms in {samples} samples")
    } else {
        return Ok(());
    };
    Err(Failure::learner(format!(
        "the work took {spent_ms} ms of CPU time; {what}. Is the profiler on while the work runs, \
         all of it, at a rate that the kernel's clock can keep? Look at {place}."
    )))
}

/// What the work was charged for, milliseconds by the clock of the profiler's timer.
fn spent(folder: &RunFolder, place: &str) -> Result<i64, Failure> {
    let record = folder.read(plan::RECORD, 64).ok();
    let spent: Option<i64> =
        record.and_then(|bytes| String::from_utf8_lossy(&bytes).trim().parse().ok());
    let Some(spent) = spent else {
        return Err(Failure::learner(format!(
            "the work did not run to its end: call `serve` once. Look at {place}."
        )));
    };
    if spent < ENOUGH_MS {
        return Err(Failure::infrastructure(format!(
            "this machine is too busy for a profiler that goes by the kernel's clock ticks: of what \
             the work used, {spent} ms were counted. Try again when less is running."
        )));
    }
    Ok(spent)
}

/// Each function has about the share of samples that it has of the CPU time.
fn agrees(seen: &Seen, task: &Task, place: &str) -> Result<(), Failure> {
    let samples = seen.samples as f64;
    for (name, share) in task.truth.iter().zip(plan::SHARES) {
        let p = share as f64 / 100.0;
        let tolerance = 5.0 * (samples * p * (1.0 - p)).sqrt() + 0.03 * samples;
        let found = seen.own.get(*name).copied().unwrap_or(0);
        if (found as f64 - samples * p).abs() > tolerance {
            return Err(Failure::learner(format!(
                "we let the work spend {share} % of its CPU time in {name}; it was running in \
                 {found} of the {} samples in profile.pb. Look at {place}.",
                seen.samples
            )));
        }
    }
    Ok(())
}

/// `checksum` of `work::stages::checksum`.
fn last_part(name: &str) -> &str {
    name.rsplit("::").next().unwrap_or(name)
}
