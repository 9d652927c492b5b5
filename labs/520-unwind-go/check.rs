//! The truth: a Go program of ours that burns CPU time at the end of a chain of calls that we tell it.

use std::fmt::Write as _;

use goprof::{Samples, Symbolizer};
use labcheck::{
    audit::Map,
    busy::{self, Order},
    prelude::*,
    sampler::{self, Seen},
    stacks,
};

pub const STEPS: Steps = &[("walk", walk), ("system-calls", system_calls)];

const WALK: &str = "ebpf/src/walk.rs";
const USER: &str = "src/main.rs";

/// Samples that may be added between a look into a map and the program's own: the target waits for
/// input meanwhile.
const SLACK: u64 = 10;

/// The stacks of a program that computes.
fn walk(lab: &mut Session) -> Result<(), Stop> {
    let task = Task::draw(lab, "compute");
    let path = lab.artifact("busy")?;
    let binary = gosym::Binary::open(&path).map_err(broken)?;
    lab.set_truth(task.made_up_report(&binary));
    let mut target = Order::target(lab)?;

    let started = task.order.launch(lab, &target);
    let mut learner = lab.require("starts", started)?;
    let program = busy::sampler(&mut learner);
    let program = lab.require("attached", program)?;

    let (kept, seen) = task.witness(&mut learner, &program, &mut target)?;
    let place = lab.place(WALK, "pub fn walk");
    let at_place = |why: String| Failure::learner(format!("{why} Look at {place}."));
    let kept = lab.require("keeps-stacks", kept.map_err(|why| why.at(&place)))?;

    // Before the target ends: afterwards nobody knows what its addresses meant.
    let mut symbols = goprof::for_process(target.pid()).map_err(broken)?;
    let chains = Chains::of(&kept, &mut symbols, &task);
    // Not nearly all: where other programs want the CPU too, ticks come late and fall into the
    // runtime's waiting.
    lab.require_that("begins-with-leaf", chains.of_work * 2 >= chains.all, || {
        format!(
            "the target spends its time in main.burn; of {} samples that the kernel kept {} begin there{}. \
             Look at {place}.",
            chains.all,
            chains.of_work,
            chains.other()
        )
    })?;
    lab.require("whole-chains", chains.whole(&task).map_err(at_place))?;
    lab.require("callers", chains.callers(&task).map_err(at_place))?;
    // Of what the clock finds in the kernel step system-calls is about: it may be kept or not.
    let own = seen.samples - seen.in_kernel;
    let total = total(&kept);
    let as_many = (own..=seen.samples).contains(&total)
        || sampler::agrees(total, own)
        || sampler::agrees(total, seen.samples);
    lab.require_that("counts-samples", as_many, || {
        format!(
            "at {} Hz the clock found the target in its own code {own} times; COUNTS adds up to {total}. Look \
             at {place}.",
            task.order.hz
        )
    })?;

    let user = lab.place(USER, "fn stacks");
    let printed = learner
        .stop()
        .and_then(|output| reported(&kept, &output, &user));
    lab.require("reports-stacks", printed)
}

/// The stacks of a program that has the kernel work for it.
fn system_calls(lab: &mut Session) -> Result<(), Stop> {
    let task = Task::draw(lab, "read");
    let mut target = Order::target(lab)?;

    let started = task.order.launch(lab, &target);
    let mut learner = lab.require("runs", started)?;
    let program = busy::sampler(&mut learner);
    let program = lab.require("sampling", program)?;

    let (kept, seen) = task.witness(&mut learner, &program, &mut target)?;
    let place = lab.place(WALK, "pub fn start");
    let at_place = |why: String| Failure::learner(format!("{why} Look at {place}."));
    let kept = lab.require("keeps-calls", kept.map_err(|why| why.at(&place)))?;

    let total = total(&kept);
    let of_kernel: u64 = kept
        .iter()
        .filter(|(stack, _)| stacks::begins_in_kernel(stack))
        .map(|(_, count)| count)
        .sum();
    lab.require_that("begins-in-program", of_kernel * 50 <= total, || {
        format!(
            "the stacks should begin where the program entered the kernel; {of_kernel} of {total} samples \
             begin with an address of the kernel's own. Look at {place}."
        )
    })?;
    lab.require_that("counts-calls", sampler::agrees(total, seen.samples), || {
        format!(
            "at {} Hz the clock found the target {} times, {} of these in the kernel; COUNTS adds up to \
             {total}. Look at {place}.",
            task.order.hz, seen.samples, seen.in_kernel
        )
    })?;

    let mut symbols = goprof::for_process(target.pid()).map_err(broken)?;
    let chains = Chains::of(&kept, &mut symbols, &task);
    let whole = if chains.of_work * 2 >= chains.all && chains.in_call * 2 >= chains.of_work {
        chains.whole(&task)
    } else {
        Err(format!(
            "the target reads /dev/zero all the time, in main.drain; of {} samples {} are below that \
             function, {} of these in the system call itself{}.",
            chains.all,
            chains.of_work,
            chains.in_call,
            chains.other()
        ))
    };
    lab.require("chains-of-calls", whole.map_err(at_place))?;
    lab.require("callers-of-calls", chains.callers(&task).map_err(at_place))?;

    let user = lab.place(USER, "fn stacks");
    let printed = learner
        .stop()
        .and_then(|output| reported(&kept, &output, &user));
    lab.require("reports-calls", printed)
}

/// What the kernel kept: stacks and how often each was seen.
type Kept = Vec<(Vec<u64>, u64)>;

/// What the target is told to do.
struct Task {
    order: Order,
    kind: &'static str,
    /// Calls of `main.descend` on each stack.
    depth: u64,
}

impl Task {
    fn draw(lab: &mut Session, kind: &'static str) -> Self {
        Self {
            order: Order::draw(&mut lab.rng),
            kind,
            // More than a cautious loop has, and with the other calls fewer than 127.
            depth: lab.rng.between(40..=100),
        }
    }

    /// The function that all work is done in.
    fn work(&self) -> &'static str {
        match self.kind {
            "read" => "main.drain",
            _ => "main.burn",
        }
    }

    /// The names of a stack below the one that says whether left or right.
    fn chain(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once("main.play")
            .chain((0..self.depth).map(|_| "main.descend"))
            .chain(std::iter::once("main.main.func1"))
    }

    /// Has the target work while the learner's processes stand still. Gives what the kernel kept
    /// meanwhile, or why that does not do, and what a sampler of ours saw.
    fn witness(
        &self,
        learner: &mut Learner,
        program: &Program,
        target: &mut Workload,
    ) -> Result<(Result<Kept, Nothing>, Seen), Failure> {
        let maps = stacks::maps(learner, program);
        let Order {
            millis,
            left,
            right,
            seed,
            ..
        } = self.order;
        let line = format!(
            "{} {millis} {left} {right} {} {seed}",
            self.kind, self.depth
        );
        let seen = learner.witness(
            program,
            || {
                let (counts, stacks): (Map, Map) = maps.clone()?;
                stacks::all(&counts, &stacks)
            },
            || self.order.run(target, &line),
        )?;
        let (runs, ours) = (seen.runs, seen.outcome);
        let kept = match seen.both() {
            Err(failure) => Err(Nothing::Failure(failure)),
            Ok((before, _)) if total(&before) > SLACK => Err(Nothing::Earlier(total(&before))),
            Ok((_, after)) if after.is_empty() => Err(Nothing::Kept { runs }),
            Ok((_, after)) => Ok(after),
        };
        Ok((kept, ours))
    }

    /// A report as a perfect sampler could print it, for a wrong answer that does not walk.
    fn made_up_report(&self, binary: &gosym::Binary) -> String {
        let address = |name: &str| {
            let function = binary.functions().find(|function| function.name == name);
            format!("{:x}", function.map_or(0, |function| function.entry + 8))
        };
        let samples = self.order.hz * self.order.millis / 1000;
        let mut text = String::new();
        for (parts, caller) in [
            (self.order.left, "main.onTheLeft"),
            (self.order.right, "main.onTheRight"),
        ] {
            let count = samples * parts / (self.order.left + self.order.right);
            let stack: Vec<String> = [self.work(), caller]
                .into_iter()
                .chain(self.chain())
                .map(address)
                .collect();
            let _ = writeln!(text, "{count} {}", stack.join(";"));
        }
        text
    }
}

/// Why what the kernel kept is not looked at.
enum Nothing {
    Failure(Failure),
    Earlier(u64),
    Kept { runs: u64 },
}

impl Nothing {
    fn at(self, place: &str) -> Failure {
        match self {
            Self::Failure(failure) => failure,
            Self::Earlier(total) => Failure::learner(format!(
                "COUNTS had {total} samples of the process before it worked: only the kernel's program may \
                 count."
            )),
            Self::Kept { runs } => Failure::learner(format!(
                "the kernel ran your program {runs} times while the target worked, but COUNTS counts no stack \
                 that STACKS holds. Look at {place}."
            )),
        }
    }
}

/// What the stacks say, in samples.
#[derive(Default)]
struct Chains {
    all: u64,
    /// On whose stack the target's work is: `main.burn` at its end, `main.drain` anywhere.
    of_work: u64,
    /// Of these, with a system call at the end.
    in_call: u64,
    /// Of these, with the whole chain, by who called.
    left: u64,
    right: u64,
    /// One of `of_work` that lacks something, as names.
    broken: Option<Vec<String>>,
    /// What another one begins with.
    first: Option<String>,
}

impl Chains {
    fn of(kept: &Kept, symbols: &mut Symbolizer, task: &Task) -> Self {
        let mut chains = Self::default();
        for (stack, count) in kept {
            chains.all += count;
            let named = symbols.stack(stack);
            let names: Vec<&str> = named
                .locations
                .iter()
                .flat_map(|place| &place.frames)
                .map(|frame| frame.function.as_str())
                // What was inlined has no frame of its own.
                .filter(|name| *name != "main.round")
                .collect();
            let at = match task.kind {
                "read" => names.iter().position(|name| *name == task.work()),
                _ => (names.first() == Some(&task.work())).then_some(0),
            };
            let Some(at) = at else {
                let first = || {
                    names
                        .first()
                        .map_or("an address of no function", |name| *name)
                };
                chains.first.get_or_insert_with(|| first().to_owned());
                continue;
            };
            // At the first and last instructions of a function the frame pointer is its caller's, and no walk
            // by frame pointers finds that caller.
            if at == 0
                && symbols
                    .sp_delta(stack[0])
                    .is_some_and(|(_, moved)| moved == 0)
            {
                chains.all -= count;
                continue;
            }
            chains.of_work += count;
            if names[0].ends_with(".Syscall6") {
                chains.in_call += count;
            }
            let whole = names
                .get(at + 2..)
                .is_some_and(|rest| named.complete && rest.iter().copied().eq(task.chain()));
            match names.get(at + 1) {
                Some(&"main.onTheLeft") if whole => chains.left += count,
                Some(&"main.onTheRight") if whole => chains.right += count,
                _ if chains.broken.is_none() => {
                    chains.broken = Some(names[at..].iter().map(|&name| name.to_owned()).collect());
                }
                _ => {}
            }
        }
        chains
    }

    /// Where stacks begin that have none of the work.
    fn other(&self) -> String {
        let told = |name| format!(" (others begin with {name})");
        self.first.as_ref().map(told).unwrap_or_default()
    }

    /// Whether nearly all stacks lead to where they begin.
    ///
    /// One in thirty may not: there are an instruction or two more of that kind, of some thousand, and now
    /// and then the runtime interrupts the work.
    fn whole(&self, task: &Task) -> Result<(), String> {
        let whole = self.left + self.right;
        if (self.of_work - whole) * 30 <= self.of_work {
            return Ok(());
        }
        Err(format!(
            "each stack should be {}, then main.onTheLeft or main.onTheRight, main.play, {} times main.descend, \
             main.main.func1, and the runtime's function where goroutines begin. Of {} samples {whole} are so. \
             Another is {}.",
            task.work(),
            task.depth,
            self.of_work,
            self.broken.as_deref().map(shown).unwrap_or_default()
        ))
    }

    fn callers(&self, task: &Task) -> Result<(), String> {
        let n = self.left + self.right;
        if task.order.fits_share(self.left, n) {
            return Ok(());
        }
        Err(format!(
            "main.onTheLeft did {:.0} % of the work; your stacks give it {:.0} % ({} of {n} samples).",
            task.order.share_of_left() * 100.0,
            self.left as f64 / n as f64 * 100.0,
            self.left
        ))
    }
}

/// A stack for a message: what is there several times in a row, once.
fn shown(names: &[String]) -> String {
    let runs: Vec<String> = names
        .chunk_by(|a, b| a == b)
        .map(|run| match run {
            [name] => name.clone(),
            run => format!("{} times {}", run.len(), run[0]),
        })
        .collect();
    match &runs[..] {
        [.., _] if runs.len() > 8 => format!("{}, …", runs[..8].join(", ")),
        _ => format!("{}, and no more", runs.join(", ")),
    }
}

/// Whether the program printed what the kernel kept.
fn reported(kept: &Kept, output: &Output, place: &str) -> Result<(), Failure> {
    let at_place = |why: String| Failure::learner(format!("{why} Look at {place}."));
    let report = Samples::parse(&output.stdout).map_err(|error| at_place(format!("{error}.")))?;
    let kept = kept.iter().map(|(stack, count)| (stack.as_slice(), *count));
    stacks::reported(kept, report.iter(), SLACK).map_err(at_place)
}

fn total(kept: &Kept) -> u64 {
    kept.iter().map(|(_, count)| count).sum()
}
