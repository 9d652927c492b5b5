//! The truth: a Go program of ours that burns CPU time on order, in itself or in processes that it has
//! started, and a sampler of our own.

use std::{collections::BTreeMap, fmt::Write as _};

use goprof::Samples;
use labcheck::{
    busy::{self, Order},
    prelude::*,
    sampler::{self, Sampler},
    stacks,
};

pub const STEPS: Steps = &[("sample", sample), ("core", core)];

const SAMPLE: &str = "bpf/sample.bpf.c";
const FAMILY: &str = "bpf/family.bpf.c";
const USER: &str = "src/main.rs";

/// Bytes of a thread's name, include/linux/sched.h: `TASK_COMM_LEN`.
const NAME_SIZE: usize = 16;
/// Samples that may be added between a look into a map and the program's own: the target waits for
/// input meanwhile.
const SLACK: u64 = 10;

/// The stacks of one process.
fn sample(lab: &mut Session) -> Result<(), Stop> {
    let order = Order::draw(&mut lab.rng);
    let binary = gosym::Binary::open(lab.artifact("busy")?).map_err(broken)?;
    lab.set_truth(made_up_report(&order, &binary));
    let mut target = Order::target(lab)?;

    let started = order.launch(lab, &target);
    let mut learner = lab.require("starts", started)?;
    let program = busy::sampler(&mut learner);
    let program = lab.require("attached", program)?;

    let maps = stacks::maps(&mut learner, &program);
    let seen = learner.witness(
        &program,
        || {
            let (counts, stacks) = maps.clone()?;
            stacks::of_process(&counts, &stacks)
        },
        || order.run(&mut target, &format!("burn {}", order.line())),
    )?;
    let (runs, ours) = (seen.runs, seen.outcome.samples);
    let place = lab.place(SAMPLE, "int sample");
    let at_place = |why: String| Failure::learner(format!("{why} Look at {place}."));
    let total = |kept: &[(Vec<u64>, u64)]| kept.iter().map(|(_, count)| count).sum::<u64>();
    let kept = seen.both().and_then(|(before, kept)| {
        let (earlier, now) = (total(&before), total(&kept));
        if earlier > SLACK {
            return Err(Failure::learner(format!(
                "COUNTS had {earlier} samples of the process before it worked: only the kernel's program may \
                 count."
            )));
        }
        // The process's first thread may have a few.
        if now <= SLACK {
            return Err(at_place(format!(
                "the kernel ran your program {runs} times while the target worked; COUNTS counts {now} samples \
                 of its stacks in STACKS."
            )));
        }
        Ok(kept)
    });
    let kept = lab.require("keeps-stacks", kept)?;
    let counted = total(&kept);
    let count = lab.place(SAMPLE, "static void count");
    lab.require_that("counts-samples", sampler::agrees(counted, ours), || {
        format!(
            "the target used CPU time for about {ours} samples at {} Hz; the counters in COUNTS add up to \
             {counted}. Look at {count}.",
            order.hz,
        )
    })?;

    // Before the target ends: afterwards nobody knows what its addresses meant.
    let mut symbols = goprof::for_process(target.pid()).map_err(broken)?;
    let mut by_caller: BTreeMap<String, u64> = BTreeMap::new();
    for (stack, count) in &kept {
        let named = symbols.stack(stack);
        let mut names = named.locations.iter().flat_map(|place| &place.frames);
        if names
            .next()
            .is_some_and(|leaf| leaf.function == "main.burn")
        {
            let caller = names.next().map_or("", |frame| &frame.function);
            *by_caller.entry(caller.to_owned()).or_default() += count;
        }
    }
    let of = |caller: &str| by_caller.get(caller).copied().unwrap_or(0);
    let (left, right) = (of("main.onTheLeft"), of("main.onTheRight"));
    // Not nearly all: where other programs want the CPU too, ticks come late and fall into the
    // runtime's waiting.
    let shares = (left + right) * 2 >= counted && order.fits_share(left, left + right);
    lab.require_that("callers", shares, || {
        format!(
            "main.burn works for main.onTheLeft, which makes {:.0} % of the calls, and main.onTheRight; of \
             {counted} samples {left} are there on the left and {right} on the right. Look at {place}.",
            order.share_of_left() * 100.0
        )
    })?;

    let user = lab.place(USER, "fn stacks");
    let printed = learner.stop().and_then(|output| {
        let at_user = |why: String| Failure::learner(format!("{why} Look at {user}."));
        let report =
            Samples::parse(&output.stdout).map_err(|error| at_user(format!("{error}.")))?;
        let kept = kept.iter().map(|(stack, count)| (stack.as_slice(), *count));
        stacks::reported(kept, report.iter(), SLACK).map_err(at_user)
    });
    lab.require("reports-stacks", printed)
}

/// The processes that one process has started, by their names.
fn core(lab: &mut Session) -> Result<(), Stop> {
    let order = Order::draw(&mut lab.rng);
    let names: Vec<String> = (0..3).map(|_| lab.rng.word(12)).collect();
    let millis: Vec<u64> = names.iter().map(|_| lab.rng.between(200..=900)).collect();
    let mut target = Family::start(lab, &names)?;
    // Processes of the same names, which somebody else has started.
    let mut other = Family::start(lab, &names)?;

    let started = order.launch(lab, &target.parent);
    let mut learner = lab.require("runs", started)?;
    let program = busy::sampler(&mut learner);
    let program = lab.require("sampling", program)?;

    let by_name = learner.audit()?.map(&program, "BY_NAME");
    let seen = learner.witness(
        &program,
        || by_name.clone()?.entries(NAME_SIZE, 1 << 12),
        || {
            let sampler = Sampler::start(order.hz)?;
            target.work(&millis)?;
            // As much work in itself, and in the others.
            target.parent.send("burn 300 1 1 1")?;
            target.parent.expect("done")?;
            other.work(&millis)?;
            sampler.by_process()
        },
    )?;
    let place = lab.place(FAMILY, "int sample_family");
    let at_place = |why: String| Failure::learner(format!("{why} Look at {place}."));
    let (runs, ours) = (seen.runs, seen.outcome.clone());
    let counted = seen.both().and_then(|(before, after)| {
        let ours = before.iter().filter(|(name, _)| names.contains(&text(name)));
        if let Some(earlier) = ours.map(|(_, count)| count).find(|count| **count > SLACK) {
            return Err(Failure::learner(format!(
                "BY_NAME had {earlier} samples before there was any work: only the kernel's program may count."
            )));
        }
        let counted: BTreeMap<String, u64> = after
            .iter()
            .map(|(name, count)| (text(name), *count))
            .collect();
        if counted.is_empty() {
            return Err(at_place(format!(
                "the kernel ran your program {runs} times while three processes that process {} has started \
                 worked in turn; BY_NAME counts none of them.",
                target.parent.pid()
            )));
        }
        Ok(counted)
    });
    let counted = lab.require("finds-children", counted)?;

    let foreign = counted.keys().find(|name| !names.contains(name));
    lab.require_that("names", foreign.is_none(), || {
        format!(
            "process {} has started the processes {}; BY_NAME also counts `{}`. Look at {place}.",
            target.parent.pid(),
            names.join(", "),
            foreign.map_or("", String::as_str)
        )
    })?;
    let counts = target.children.iter().try_for_each(|(name, pid)| {
        let expected = ours.get(pid).copied().unwrap_or_default().samples;
        let found = counted.get(name).copied().unwrap_or(0);
        if sampler::agrees(found, expected) {
            return Ok(());
        }
        Err(at_place(format!(
            "process {pid}, {name}, used CPU time for about {expected} samples at {} Hz; BY_NAME counts \
             {found}. (Another process of that name, which {} has not started, used as much.)",
            order.hz,
            target.parent.pid()
        )))
    });
    lab.require("counts-children", counts)?;

    let user = lab.place(USER, "fn names");
    let printed = learner.stop().and_then(|output| {
        counted.iter().try_for_each(|(name, count)| {
            let shown = output.stdout.lines().find_map(|line| {
                let (found, shown) = line.rsplit_once(' ')?;
                (found == name).then(|| shown.parse::<u64>().ok())?
            });
            match shown {
                Some(shown) if (*count..=count + SLACK).contains(&shown) => Ok(()),
                _ => Err(Failure::learner(format!(
                    "BY_NAME counts {count} samples of {name}; your program printed {}. Look at {user}.",
                    shown.map_or("none".to_owned(), |shown| shown.to_string())
                ))),
            }
        })
    });
    lab.require("reports-names", printed)
}

/// A process of ours and those that it has started.
struct Family {
    parent: Workload,
    /// By name and number.
    children: Vec<(String, u32)>,
}

impl Family {
    fn start(lab: &mut Session, names: &[String]) -> Result<Self, Failure> {
        let mut parent = Order::target(lab)?;
        parent.send(&format!("start {}", names.join(" ")))?;
        let mut children = Vec::new();
        for name in names {
            let line = parent.receive()?;
            let pid = line
                .strip_prefix(name.as_str())
                .and_then(|pid| pid.trim().parse().ok());
            let pid = pid.ok_or_else(|| broken(format!("busy printed {line:?}")))?;
            children.push((name.clone(), pid));
        }
        parent.expect("done")?;
        Ok(Self { parent, children })
    }

    fn work(&mut self, millis: &[u64]) -> Result<(), Failure> {
        let millis: Vec<String> = millis.iter().map(u64::to_string).collect();
        self.parent.send(&format!("work {}", millis.join(" ")))?;
        self.parent.expect("done")
    }
}

/// A report as a perfect sampler could print it, for a wrong answer that does not sample.
fn made_up_report(order: &Order, binary: &gosym::Binary) -> String {
    let entry = |name: &str| {
        let function = binary.functions().find(|function| function.name == name);
        function.map_or(0, |function| function.entry)
    };
    let samples = order.hz * order.millis / 1000 / (order.left + order.right);
    let mut text = String::new();
    for (parts, caller) in [
        (order.left, "main.onTheLeft"),
        (order.right, "main.onTheRight"),
    ] {
        let stack = ["main.burn", caller, "main.round", "main.work"]
            .map(|name| format!("{:x}", entry(name) + 8));
        let _ = writeln!(text, "{} {}", samples * parts, stack.join(";"));
    }
    text
}

/// The bytes before the first zero.
fn text(bytes: &[u8]) -> String {
    let name = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(name).into_owned()
}
