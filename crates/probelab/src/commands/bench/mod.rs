//! `lab bench`: claims about speed, measured. Paired and interleaved, medians with intervals.

mod edit;
mod profile;
mod vm;

use pgo::ruler;
use serde::Serialize;

use crate::{
    cli::ListFormat,
    site::Site,
    trouble::{Exit, Outcome, Trouble},
};

/// One line of a result.
#[derive(Debug, Serialize)]
pub struct Row {
    /// What was measured.
    name: String,
    /// Unit of `ours` and `peer`.
    unit: &'static str,
    /// Median.
    ours: f64,
    /// Median of what it is compared with.
    peer: f64,
    /// Median of the paired ratios ours/peer.
    ratio: f64,
    /// 95 % bootstrap interval of `ratio`.
    ci95: [f64; 2],
    /// Pairs.
    n: usize,
}

impl Row {
    /// What was measured of both in the same rounds, in their order.
    fn paired(name: String, unit: &'static str, ours: &[f64], peer: &[f64]) -> Outcome<Self> {
        let ratios: Vec<f64> = ours
            .iter()
            .zip(peer)
            .map(|(ours, peer)| ours / peer)
            .collect();
        let n = ratios.len();
        let estimate = ruler::estimate(&[ratios], 1).ok_or_else(|| {
            Trouble::infrastructure("no round was measured", "ask for more with --rounds")
        })?;
        Ok(Self {
            name,
            unit,
            ours: ruler::median(&mut ours.to_vec()).unwrap_or_default(),
            peer: ruler::median(&mut peer.to_vec()).unwrap_or_default(),
            ratio: estimate.ratio,
            ci95: [estimate.interval.0, estimate.interval.1],
            n,
        })
    }
}

/// A whole result: `probelab/bench/v1`.
#[derive(Debug, Serialize)]
pub struct Measured {
    schema: &'static str,
    bench: &'static str,
    machine: serde_json::Value,
    rows: Vec<Row>,
    /// What it means, in a sentence.
    #[serde(skip)]
    sentence: String,
}

impl Measured {
    fn new(bench: &'static str, rows: Vec<Row>, sentence: String) -> Self {
        let machine = serde_json::json!({
            "kernel": labcheck::machine::release(),
            "arch": course::Arch::HERE,
            "cpus": std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        });
        Self {
            schema: "probelab/bench/v1",
            bench,
            machine,
            rows,
            sentence,
        }
    }
}

type Bench = fn(&Site, u32) -> Outcome<Measured>;

const ALL: [(&str, &str, Bench); 8] = [
    (
        "edit",
        "from saving a one-line BPF edit to the verdict, beside the usual build of aya's template",
        edit::run,
    ),
    ("profile", "the profiler, all that follows", profile::all),
    (
        "profile-calls",
        "whether it knows who calls whom; beside frame pointers alone and runtime/pprof",
        profile::calls,
    ),
    (
        "profile-cost",
        "what a sample costs; beside perf, bpftrace and runtime/pprof",
        profile::cost,
    ),
    (
        "profile-speed",
        "how quickly samples are named and written; beside perf script and go tool pprof",
        profile::speed,
    ),
    (
        "profile-large",
        "a program of more than 100 MB: how long it takes to open, and the memory to profile it",
        profile::large,
    ),
    (
        "profile-gain",
        "what a build gains from its profile, also after five generations; beside runtime/pprof's",
        profile::gain,
    ),
    (
        "vm",
        "a check in a virtual machine: booted, restored, several at once; beside a plain boot",
        vm::run,
    ),
];

/// Whether there is a bench of that name.
pub fn exists(name: &str) -> bool {
    ALL.iter().any(|(known, ..)| *known == name)
}

/// Runs the command.
pub fn run(site: &Site, name: Option<&str>, rounds: u32, format: ListFormat) -> Outcome {
    let Some(name) = name else {
        for (name, what, _) in ALL {
            outln!("{name:<14} {what}");
        }
        return Ok(Exit::Pass);
    };
    let (_, _, bench) = ALL
        .iter()
        .find(|(known, ..)| *known == name)
        .ok_or_else(|| {
            let names: Vec<&str> = ALL.iter().map(|(name, ..)| *name).collect();
            Trouble::usage(
                format!("there is no bench {name}"),
                format!("benches: {}", names.join(", ")),
            )
        })?;
    let measured = bench(site, rounds)?;
    match format {
        ListFormat::Json => outln!(
            "{}",
            serde_json::to_string_pretty(&measured).unwrap_or_default()
        ),
        ListFormat::Human => {
            outln!(
                "{:<28} {:>6} {:>9} {:>9} {:>7}  {:<17} {:>4}",
                "",
                "unit",
                "ours",
                "peer",
                "ratio",
                "95 % interval",
                "n"
            );
            for row in &measured.rows {
                outln!(
                    "{:<28} {:>6} {:>9.3} {:>9.3} {:>7.3}  [{:.3}, {:.3}]    {:>4}",
                    row.name,
                    row.unit,
                    row.ours,
                    row.peer,
                    row.ratio,
                    row.ci95[0],
                    row.ci95[1],
                    row.n
                );
            }
            outln!("{}", measured.sentence);
        }
    }
    Ok(Exit::Pass)
}
