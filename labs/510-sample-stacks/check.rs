//! The truth: how much CPU time a Go program of ours used, and from where it called what.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use goprof::{Samples, Symbolizer};
use labcheck::{audit::Map, prelude::*, sampler::Sampler};

pub const STEPS: Steps = &[("count", count), ("stacks", stacks)];

const BPF: &str = "ebpf/src/main.rs";
const USER: &str = "src/main.rs";

/// Samples of the target and of nobody else, as many as its CPU time says.
fn count(lab: &mut Session) -> Result<(), Stop> {
    let order = Order::draw(lab);
    lab.set_truth(order.hz * order.millis / 1000);
    let mut target = target(lab)?;
    let mut other = self::target(lab)?;

    let started = order.launch(lab, &target);
    let mut learner = lab.require("starts", started)?;
    let program = attached(&mut learner);
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
            let used = order.run(&mut target)?;
            // As much work in another process: none of it belongs in the count.
            order.run(&mut other)?;
            Ok(used)
        },
    )?;
    let used = seen.outcome;
    let (sample, attach) = (lab.place(BPF, "fn sample"), lab.place(USER, "fn attach"));
    let counted = seen.both().and_then(|(before, after)| {
        order.judge(after.wrapping_sub(before), &used).map_err(|expected| {
            Failure::learner(format!(
                "process {} used {:.2} s of CPU time, none of it on its first thread, and then another \
                 process did the same; at {} Hz the first is about {expected} samples. SAMPLES grew \
                 by {}. Look at {sample} and {attach}.",
                target.pid(),
                used.time.as_secs_f64(),
                order.hz,
                after.wrapping_sub(before),
            ))
        })?;
        Ok(after)
    });
    let counted = lab.require("counts-samples", counted)?;

    let printed = learner
        .stop()
        .and_then(|output| reported(&output.stdout, counted));
    lab.require("reports-samples", printed)
}

/// The kernel keeps the target's stacks, and the report shows who called what.
fn stacks(lab: &mut Session) -> Result<(), Stop> {
    let order = Order::draw(lab);
    let path = lab.artifact("busy")?;
    let binary = gosym::Binary::open(&path).map_err(broken)?;
    lab.set_truth(order.made_up_report(&binary));
    let mut target = target(lab)?;

    let started = order.launch(lab, &target);
    let mut learner = lab.require("ready", started)?;
    let program = attached(&mut learner);
    let program = lab.require("sampling", program)?;

    let maps = learner.audit()?.map(&program, "COUNTS").and_then(|counts| {
        let stacks = learner.audit()?.map(&program, "STACKS")?;
        Ok((counts, stacks))
    });
    let seen = learner.witness(
        &program,
        || {
            let (counts, stacks) = maps.clone()?;
            kernel_stacks(&counts, &stacks)
        },
        || order.run(&mut target),
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
    let all = order.judge(kept.total(), &used).map_err(|expected| {
        Failure::learner(format!(
            "the target used CPU time for about {expected} samples at {} Hz; the counters in COUNTS \
             add up to {}. Look at {count}.",
            order.hz,
            kept.total(),
        ))
    });
    lab.require("counts-stacks", all)?;

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
    let agrees = agree(&kept, &report).map_err(at_place);
    lab.require("reports-stacks", agrees)
}

/// What the target is told to do, and how often it is looked at.
struct Order {
    hz: u64,
    millis: u64,
    left: u64,
    right: u64,
    seed: u64,
}

impl Order {
    fn draw(lab: &mut Session) -> Self {
        let (left, right) = *lab
            .rng
            .pick(&[(1, 4), (1, 3), (2, 3), (3, 2), (3, 1), (4, 1)]);
        Self {
            // Not a divisor of the kernel's own tick, so that the two don't keep step.
            hz: *lab.rng.pick(&[397, 419, 443, 461, 487, 499]),
            millis: lab.rng.between(1_200..=1_500),
            left,
            right,
            seed: lab.rng.between(1..=1 << 40),
        }
    }

    fn launch(&self, lab: &Session, target: &Workload) -> Result<Learner, Failure> {
        lab.learner()?
            .set("PID", target.pid())
            .set("HZ", self.hz)
            .start()
    }

    /// Has the target work while we sample it too.
    fn run(&self, target: &mut Workload) -> Result<Used, Failure> {
        let clock = |target: &Workload| pgo::ruler::cpu_time(target.pid());
        let sampler = Sampler::start(self.hz)?;
        let before = clock(target)?;
        target.send(&format!(
            "{} {} {} {}",
            self.millis, self.left, self.right, self.seed
        ))?;
        target.expect("done")?;
        Ok(Used {
            samples: sampler.samples_of(target.pid())?,
            time: clock(target)?.saturating_sub(before),
        })
    }

    /// Whether `count` can be the samples of what the target used; else the number expected.
    ///
    /// A clock ticks at fixed times, so of a thread that runs without a break two samplers get the
    /// same; of one that is often interrupted each gets n samples with a deviation below the square
    /// root of n, and their difference has one below that of 2n. Five of these are exceeded in 6 of 10
    /// million runs.
    fn judge(&self, count: u64, used: &Used) -> Result<(), u64> {
        let tolerance = 5.0 * (2.0 * used.samples as f64).sqrt();
        if count.abs_diff(used.samples) as f64 <= tolerance {
            Ok(())
        } else {
            Err(used.samples)
        }
    }

    fn share_of_left(&self) -> f64 {
        self.left as f64 / (self.left + self.right) as f64
    }

    /// A report as a perfect sampler could print it, for a wrong answer that does not sample.
    fn made_up_report(&self, binary: &gosym::Binary) -> String {
        let entry = |name: &str| {
            binary
                .functions()
                .find(|f| f.name == name)
                .map_or(0, |f| f.entry)
        };
        let samples = self.hz * self.millis / 1000;
        let mut text = String::new();
        for (parts, caller) in [
            (self.left, "main.onTheLeft"),
            (self.right, "main.onTheRight"),
        ] {
            let count = samples * parts / (self.left + self.right);
            let stack = [entry("main.burn"), entry(caller), entry("main.work")]
                .map(|pc| format!("{:x}", pc + 8));
            let _ = writeln!(text, "{count} {}", stack.join(";"));
        }
        text
    }
}

/// What a target used while it worked.
#[derive(Clone, Copy)]
struct Used {
    time: Duration,
    /// How often a sampler of ours, of the rate that the learner is told, found it running.
    samples: u64,
}

/// A target, as the learner's user, so that its memory map can be read.
fn target(lab: &mut Session) -> Result<Workload, Failure> {
    Workload::program(&lab.artifact("busy")?, &[], true)
}

fn attached(learner: &mut Learner) -> Result<Program, Failure> {
    learner
        .audit()?
        .attached(ProgramType::PERF_EVENT, "the CPU clock", Hook::is_cpu_clock)
}

fn broken(error: impl std::fmt::Display) -> Failure {
    Failure::infrastructure(error.to_string())
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
    for (stack, count) in labcheck::stacks::of_process(counts, stacks)? {
        samples.add(stack, count);
    }
    Ok(samples)
}

/// Whether the report is what the kernel counted.
fn agree(kernel: &Samples, report: &Samples) -> Result<(), String> {
    let printed: BTreeMap<&[u64], u64> = report.iter().collect();
    for (stack, count) in kernel.iter() {
        let shown = printed.get(stack).copied().unwrap_or(0);
        if shown < count {
            return Err(format!(
                "the kernel counted the stack that begins with {:x} {count} times; your program printed it \
                 with {shown}.",
                stack[0]
            ));
        }
    }
    match report.total() - kernel.total() {
        0..=SLACK => Ok(()),
        more => Err(format!(
            "your program printed {more} samples that the kernel never counted."
        )),
    }
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
    ///
    /// The order of the two is drawn anew for every few dozen microseconds, so the samples of one
    /// are binomial: four deviations are exceeded in 6 of 100,000 runs. One per cent more is for
    /// the callers' own instructions.
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
        let expected = order.share_of_left();
        let found = self.left as f64 / n as f64;
        let tolerance = 4.0 * (expected * (1.0 - expected) / n as f64).sqrt() + 0.01;
        if (found - expected).abs() <= tolerance {
            return Ok(());
        }
        Err(format!(
            "main.onTheLeft did {:.0} % of the work; your stacks give it {:.0} % ({} of {n} samples).",
            expected * 100.0,
            found * 100.0,
            self.left
        ))
    }
}
