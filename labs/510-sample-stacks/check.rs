//! The truth: how much CPU time a Go program of ours used, and from where it called what.

use std::{fmt::Write as _, time::Duration};

use goprof::{Samples, Symbolizer};
use labcheck::{
    audit::Map,
    busy::{self, Order},
    prelude::*,
    sampler, stacks,
};

pub const STEPS: Steps = &[("count", count), ("stacks", stacks)];

const BPF: &str = "ebpf/src/main.rs";
const USER: &str = "src/main.rs";

/// Samples of the target and of nobody else, as many as its CPU time says.
fn count(lab: &mut Session) -> Result<(), Stop> {
    let order = Order::draw(&mut lab.rng);
    lab.set_truth(order.hz * order.millis / 1000);
    let mut target = Order::target(lab)?;
    let mut other = Order::target(lab)?;

    let started = order.launch(lab, &target);
    let mut learner = lab.require("starts", started)?;
    let program = busy::sampler(&mut learner);
    let program = lab.require("attached", program)?;

    let samples = learner.audit()?.map(&program, "SAMPLES");
    let seen = learner.witness(
        &program,
        || {
            samples
                .clone()
                .and_then(|samples| samples.sum_u64(&0u32.to_ne_bytes()))
        },
        || {
            let used = run(&order, &mut target)?;
            // As much work in another process: none of it belongs in the count.
            run(&order, &mut other)?;
            Ok(used)
        },
    )?;
    let used = seen.outcome;
    let (sample, attach) = (lab.place(BPF, "fn sample"), lab.place(USER, "fn attach"));
    let counted = seen.both().and_then(|(before, after)| {
        let counted = after.wrapping_sub(before);
        if sampler::agrees(counted, used.samples) {
            return Ok(after);
        }
        Err(Failure::learner(format!(
            "process {} used {:.2} s of CPU time, none of it on its first thread, and then another \
             process did the same; at {} Hz the first is about {} samples. SAMPLES grew by {counted}. \
             Look at {sample} and {attach}.",
            target.pid(),
            used.time.as_secs_f64(),
            order.hz,
            used.samples,
        )))
    });
    let counted = lab.require("counts-samples", counted)?;

    let printed = learner
        .stop()
        .and_then(|output| reported(&output.stdout, counted));
    lab.require("reports-samples", printed)
}

/// The kernel keeps the target's stacks, and the report shows who called what.
fn stacks(lab: &mut Session) -> Result<(), Stop> {
    let order = Order::draw(&mut lab.rng);
    let path = lab.artifact("busy")?;
    let binary = gosym::Binary::open(&path).map_err(broken)?;
    lab.set_truth(made_up_report(&order, &binary));
    let mut target = Order::target(lab)?;

    let started = order.launch(lab, &target);
    let mut learner = lab.require("ready", started)?;
    let program = busy::sampler(&mut learner);
    let program = lab.require("sampling", program)?;

    let maps = stacks::maps(&mut learner, &program);
    let seen = learner.witness(
        &program,
        || {
            let (counts, stacks) = maps.clone()?;
            kernel_stacks(&counts, &stacks)
        },
        || run(&order, &mut target),
    )?;
    let (runs, used) = (seen.runs, seen.outcome);
    let (sample, count) = (lab.place(BPF, "fn sample"), lab.place(BPF, "fn count"));
    let kept = seen.both().and_then(|(before, kept)| match kept.total() {
        1.. => no_earlier(&before).map(|()| kept),
        0 => Err(Failure::learner(format!(
            "the kernel ran your program {runs} times while the target worked, but COUNTS counts no \
             stack of the process that STACKS holds. Look at {sample}."
        ))),
    });
    let kept = lab.require("keeps-stacks", kept)?;
    let all = sampler::agrees(kept.total(), used.samples);
    lab.require_that("counts-stacks", all, || {
        format!(
            "the target used CPU time for about {} samples at {} Hz; the counters in COUNTS add up to \
             {}. Look at {count}.",
            used.samples,
            order.hz,
            kept.total(),
        )
    })?;

    // Before the target ends: afterwards nobody knows what its addresses meant.
    let mut symbols = goprof::for_process(target.pid()).map_err(broken)?;
    let place = lab.place(USER, "fn stacks");
    let at_place = |why: String| Failure::learner(format!("{why} Look at {place}."));
    let report = learner.stop().and_then(|output| {
        let report =
            Samples::parse(&output.stdout).map_err(|error| at_place(error.to_string() + "."))?;
        match report.total() {
            0 => Err(at_place("your program printed no stack.".to_owned())),
            _ => Ok(report),
        }
    });
    let report = lab.require("stack-lines", report)?;
    let callers = Callers::of(&report, &mut symbols)
        .judge(&order)
        .map_err(at_place);
    lab.require("shows-callers", callers)?;
    let agrees = stacks::reported(kept.iter(), report.iter(), SLACK).map_err(at_place);
    lab.require("reports-stacks", agrees)
}

/// Has the target work while we sample it too.
fn run(order: &Order, target: &mut Workload) -> Result<Used, Failure> {
    let clock = |target: &Workload| pgo::ruler::cpu_time(target.pid());
    let before = clock(target)?;
    let samples = order.run(target, &order.line())?.samples;
    Ok(Used {
        samples,
        time: clock(target)?.saturating_sub(before),
    })
}

/// A report as a perfect sampler could print it, for a wrong answer that does not sample.
fn made_up_report(order: &Order, binary: &gosym::Binary) -> String {
    let entry = |name: &str| {
        binary
            .functions()
            .find(|f| f.name == name)
            .map_or(0, |f| f.entry)
    };
    let samples = order.hz * order.millis / 1000;
    let mut text = String::new();
    for (parts, caller) in [
        (order.left, "main.onTheLeft"),
        (order.right, "main.onTheRight"),
    ] {
        let count = samples * parts / (order.left + order.right);
        let stack = [entry("main.burn"), entry(caller), entry("main.work")]
            .map(|pc| format!("{:x}", pc + 8));
        let _ = writeln!(text, "{count} {}", stack.join(";"));
    }
    text
}

/// What a target used while it worked.
#[derive(Clone, Copy)]
struct Used {
    time: Duration,
    /// How often a sampler of ours, of the rate that the learner is told, found it running.
    samples: u64,
}

/// Samples that may be added between a look into a map and the program's own: the target waits for
/// input meanwhile.
const SLACK: u64 = 10;

/// The line `# samples N`, where N is what the kernel had counted.
fn reported(stdout: &str, counted: u64) -> Result<(), Failure> {
    let line = stdout
        .lines()
        .find_map(|line| line.strip_prefix("# samples "));
    match line.map(|text| text.trim().parse::<u64>()) {
        Some(Ok(n)) if (counted..=counted + SLACK).contains(&n) => Ok(()),
        Some(_) => Err(Failure::learner(format!(
            "SAMPLES adds up to {counted} in the kernel; your program printed `# samples {}`.",
            line.unwrap_or_default()
        ))),
        None => Err(Failure::learner(
            "your program printed no line `# samples N`.",
        )),
    }
}

/// Whether nothing was counted before there was any work.
fn no_earlier(before: &Samples) -> Result<(), Failure> {
    match before.total() {
        0..=SLACK => Ok(()),
        total => Err(Failure::learner(format!(
            "COUNTS had {total} samples of the process before it worked: only the kernel's program may \
             count."
        ))),
    }
}

/// What the kernel holds.
fn kernel_stacks(counts: &Map, stacks: &Map) -> Result<Samples, Failure> {
    let mut samples = Samples::default();
    for (stack, count) in stacks::of_process(counts, stacks)? {
        samples.add(stack, count);
    }
    Ok(samples)
}

/// Who called `main.burn`, in a report.
#[derive(Default)]
struct Callers {
    left: u64,
    right: u64,
    total: u64,
    /// The function of the first address that has one and is not `main.burn`.
    first: Option<String>,
}

impl Callers {
    fn of(report: &Samples, symbols: &mut Symbolizer) -> Self {
        let mut callers = Self::default();
        for (stack, count) in report.iter() {
            callers.total += count;
            let named = symbols.stack(stack);
            let mut names = named
                .locations
                .iter()
                .flat_map(|place| &place.frames)
                .map(|frame| frame.function.as_str());
            match (names.next(), names.next()) {
                (Some("main.burn"), Some("main.onTheLeft")) => callers.left += count,
                (Some("main.burn"), Some("main.onTheRight")) => callers.right += count,
                (Some(other), _) if callers.first.is_none() => {
                    callers.first = Some(other.to_owned())
                }
                _ => {}
            }
        }
        callers
    }

    /// Most samples are in `burn`, and its callers have their shares. (Not nearly all: where other
    /// programs want the CPU too, ticks come late and fall into the runtime's waiting.)
    fn judge(&self, order: &Order) -> Result<(), String> {
        let n = self.left + self.right;
        if n * 2 < self.total {
            return Err(format!(
                "the target spends its time in main.burn, called by main.onTheLeft or main.onTheRight; of \
                 your {} samples {n} say so{}. Each line begins with the innermost address.",
                self.total,
                self.first
                    .as_ref()
                    .map(|name| format!(" (others begin in {name})"))
                    .unwrap_or_default()
            ));
        }
        if order.fits_share(self.left, n) {
            return Ok(());
        }
        Err(format!(
            "main.onTheLeft did {:.0} % of the work; your stacks give it {:.0} % ({} of {n} samples).",
            order.share_of_left() * 100.0,
            self.left as f64 / n as f64 * 100.0,
            self.left
        ))
    }
}
