//! The truth: a Go program of ours that allocates as many objects as it is told, of which size, in
//! three functions.
//!
//! The probe fires once for an allocation, and once more where the runtime has the goroutine make room
//! for others at the entry of `mallocgc`, or grow its stack there: the function begins again then.
//! Seen was once in some thousand allocations. It can be asked every 10 ms at most, and an allocation
//! with its probe takes some hundredths of a millisecond, ten times that where the machine is emulated:
//! [`more`] allows 2 %, and two objects.

use std::collections::BTreeMap;

use labcheck::{audit::Map, elf, prelude::*};

pub const STEPS: Steps = &[("bytes", bytes), ("sample", sample)];

const BPF: &str = "ebpf/src/main.rs";
/// What a record takes, in allocs/main.go.
const RECORD: u64 = 320;

/// Each allocation, by where it was asked for.
fn bytes(lab: &mut Session) -> Result<(), Stop> {
    let order = Order::draw(lab, 1);
    lab.set_truth(order.report());
    let seen = Scene::set(lab, 0, ["starts", "attached"])?.act(&order)?;
    let place = lab.place(BPF, "pub fn malloc");

    let grown = seen.grown.map_err(|failure| failure.look_at(&place));
    let sizes = grown.and_then(|grown| {
        for kind in order.kinds() {
            let (found, exact) = (grown.of(kind.function).bytes, kind.bytes());
            if !(exact..=more(exact) + 2 * kind.size).contains(&found) {
                return Err(Failure::learner(format!(
                    "{} allocated {} objects of {} bytes, {exact} in all; the stacks with that function grew \
                     by {found} in BYTES, while your program ran {} times. Look at {place}.",
                    kind.function, kind.count, kind.size, seen.runs
                )));
            }
        }
        Ok(grown)
    });
    let grown = lab.require("bytes", sizes)?;
    let counts = order.kinds().into_iter().try_for_each(|kind| {
        let (found, exact) = (grown.of(kind.function).count, kind.count);
        if (exact..=more(exact) + 2).contains(&found) {
            return Ok(());
        }
        Err(Failure::learner(format!(
            "{} allocated {exact} objects; the stacks with that function grew by {found} in COUNTS. Look at \
             {place}.",
            kind.function
        )))
    });
    lab.require("counts", counts)?;
    let printed = reported(seen.learner, &seen.after);
    lab.require("reports-bytes", printed)
}

/// A few allocations, which stand for all.
fn sample(lab: &mut Session) -> Result<(), Stop> {
    let rate = *lab.rng.pick(&[8 << 10, 16 << 10]);
    let order = Order::draw(lab, 10);
    lab.set_truth(order.report());
    let seen = Scene::set(lab, rate, ["ready", "probing"])?.act(&order)?;
    let place = lab.place(BPF, "let rate");

    let grown = seen.grown.map_err(|failure| failure.look_at(&place));
    let samples = grown.and_then(|grown| {
        for kind in order.kinds() {
            let found = grown.of(kind.function).count;
            let (expected, tolerance) = kind.samples(rate);
            if (found as f64 - expected).abs() > tolerance {
                return Err(Failure::learner(format!(
                    "{} allocated {} objects of {} bytes. With a sample for {rate} bytes that is about \
                     {expected:.0} samples; the stacks with that function grew by {found} in COUNTS. Look at \
                     {place}.",
                    kind.function, kind.count, kind.size
                )));
            }
        }
        Ok(grown)
    });
    let grown = lab.require("samples", samples)?;
    let estimates = order.kinds().into_iter().try_for_each(|kind| {
        let found = grown.of(kind.function);
        let (_, tolerance) = kind.samples(rate);
        // A sample stands for `rate` bytes, or for its own where these are more.
        let allowed = tolerance * rate.max(kind.size) as f64;
        if (found.bytes as f64 - kind.bytes() as f64).abs() <= allowed {
            return Ok(());
        }
        Err(Failure::learner(format!(
            "{} allocated {} objects of {} bytes, {} in all; {} of them were kept, and in BYTES they stand \
             for {}. Look at {place}.",
            kind.function,
            kind.count,
            kind.size,
            kind.bytes(),
            found.count,
            found.bytes
        )))
    });
    lab.require("estimates", estimates)?;
    let printed = reported(seen.learner, &seen.after);
    lab.require("reports-samples", printed)
}

/// What may be counted of what is exactly `exact`.
fn more(exact: u64) -> u64 {
    exact + exact / 50
}

/// What one function of the target allocates.
#[derive(Clone, Copy)]
struct Kind {
    function: &'static str,
    count: u64,
    size: u64,
}

impl Kind {
    fn bytes(&self) -> u64 {
        self.count * self.size
    }

    /// How many samples to expect, and by how many more or fewer there may be.
    ///
    /// An object is kept with the probability p = size / rate, or certainly where that is 1 or more:
    /// binomial. With 250 samples or more the normal distribution is near; 4.5 deviations are exceeded
    /// in 7 of a million cases, of which there are two a run. To them come the objects counted twice.
    fn samples(&self, rate: u64) -> (f64, f64) {
        let p = (self.size as f64 / rate as f64).min(1.0);
        let expected = self.count as f64 * p;
        let deviation = (expected * (1.0 - p)).sqrt();
        (expected, 4.5 * deviation + 0.02 * expected + 2.0)
    }
}

/// What the target is told.
struct Order {
    records: u64,
    buffers: u64,
    buffer_bytes: u64,
    images: u64,
    image_bytes: u64,
    seed: u64,
}

impl Order {
    fn draw(lab: &mut Session, times: u64) -> Self {
        Self {
            records: times * lab.rng.between(1_300..=1_900),
            buffers: times * lab.rng.between(200..=300),
            buffer_bytes: lab.rng.between(2_100..=3_900),
            images: times * lab.rng.between(5..=12),
            image_bytes: lab.rng.between(40_000..=90_000),
            seed: lab.rng.between(1..=1 << 40),
        }
    }

    fn kinds(&self) -> [Kind; 3] {
        let kind = |function, count, size| Kind {
            function,
            count,
            size,
        };
        [
            kind("main.record", self.records, RECORD),
            kind("main.buffer", self.buffers, self.buffer_bytes),
            kind("main.image", self.images, self.image_bytes),
        ]
    }

    /// A report with the right numbers, for a wrong answer that does not trace.
    fn report(&self) -> String {
        let lines = self
            .kinds()
            .map(|kind| format!("stack {} {} 1", kind.bytes(), kind.count));
        lines.join("\n")
    }
}

/// Bytes and allocations.
#[derive(Clone, Copy, Default)]
struct Sum {
    bytes: u64,
    count: u64,
}

/// By stack.
type ByStack = BTreeMap<Vec<u64>, Sum>;

/// By how much the target's functions grew.
#[derive(Clone)]
struct Grown(BTreeMap<&'static str, Sum>);

impl Grown {
    fn of(&self, function: &str) -> Sum {
        self.0.get(function).copied().unwrap_or_default()
    }
}

/// The target, and the learner's program at the entry of the runtime's allocator in it.
struct Scene {
    target: Workload,
    learner: Learner,
    program: Program,
}

/// What was seen while the target allocated.
struct Seen {
    learner: Learner,
    runs: u64,
    grown: Result<Grown, Failure>,
    /// What the maps hold of the functions in the end.
    after: ByStack,
}

impl Scene {
    /// Records the checks `starts` and `attached`.
    fn set(lab: &mut Session, rate: u64, [starts, attached]: [&str; 2]) -> Result<Self, Stop> {
        let mut target = Workload::program(&lab.artifact("allocs")?, &[], true)?;
        target.expect("ready")?;
        let started = lab
            .learner()?
            .set("PID", target.pid())
            .set("RATE", rate)
            .start();
        let mut learner = lab.require(starts, started)?;
        let file = target.executable()?;
        let offset = elf::function_offset(&file, "runtime.mallocgc")?;
        let program = learner.audit().and_then(|audit| {
            audit.attached(
                ProgramType::KPROBE,
                "the entry of runtime.mallocgc in the target",
                |hook| hook.is_uprobe_at(&file, offset),
            )
        });
        Ok(Self {
            program: lab.require(attached, program)?,
            target,
            learner,
        })
    }

    /// Has the target allocate while the learner's processes stand still.
    fn act(self, order: &Order) -> Result<Seen, Failure> {
        let Self {
            mut target,
            mut learner,
            program,
        } = self;
        let audit = learner.audit()?;
        let map = |name| audit.map(&program, name);
        let maps = [map("BYTES"), map("COUNTS"), map("STACKS")];
        let seen = learner.witness(
            &program,
            || match maps.clone() {
                [Ok(bytes), Ok(counts), Ok(stacks)] => by_stack(&bytes, &counts, &stacks),
                [bytes, counts, stacks] => Err([bytes, counts, stacks]
                    .into_iter()
                    .find_map(Result::err)
                    .unwrap_or_else(|| broken("no map"))),
            },
            || {
                target.send(&format!(
                    "{} {} {} {} {} {}",
                    order.records,
                    order.buffers,
                    order.buffer_bytes,
                    order.images,
                    order.image_bytes,
                    order.seed
                ))?;
                target.expect("done")
            },
        )?;
        let runs = seen.runs;
        let mut symbols = goprof::for_process(target.pid()).map_err(broken)?;
        let mut function_of = |stack: &[u64]| {
            let named = symbols.stack(stack);
            let mut frames = named.locations.iter().flat_map(|place| &place.frames);
            let kinds = order.kinds();
            frames.find_map(|frame| {
                let kind = kinds.iter().find(|kind| kind.function == frame.function);
                kind.map(|kind| kind.function)
            })
        };
        let mut after = ByStack::new();
        let grown = seen.both().map(|(before, now)| {
            let mut grown = BTreeMap::<_, Sum>::new();
            for (stack, sum) in now {
                let Some(function) = function_of(&stack) else {
                    continue;
                };
                let had = before.get(&stack).copied().unwrap_or_default();
                let grew = grown.entry(function).or_default();
                grew.bytes += sum.bytes.saturating_sub(had.bytes);
                grew.count += sum.count.saturating_sub(had.count);
                after.insert(stack, sum);
            }
            Grown(grown)
        });
        Ok(Seen {
            learner,
            runs,
            grown,
            after,
        })
    }
}

/// What the kernel holds.
fn by_stack(bytes: &Map, counts: &Map, stacks: &Map) -> Result<ByStack, Failure> {
    let mut all = ByStack::new();
    for (stack, bytes) in labcheck::stacks::of_process(bytes, stacks)? {
        all.entry(stack).or_default().bytes += bytes;
    }
    for (stack, count) in labcheck::stacks::of_process(counts, stacks)? {
        all.entry(stack).or_default().count += count;
    }
    Ok(all)
}

/// Whether the lines `stack BYTES COUNT ADDRESS;ADDRESS;…` say what the kernel holds.
fn reported(learner: Learner, kernel: &ByStack) -> Result<(), Failure> {
    let output = learner.stop()?;
    let line = |line: &str| {
        let mut words = line.strip_prefix("stack ")?.split(' ');
        let (bytes, count) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let addresses = words.next()?.split(';');
        let stack: Result<Vec<u64>, _> = addresses
            .map(|text| u64::from_str_radix(text, 16))
            .collect();
        Some((stack.ok()?, Sum { bytes, count }))
    };
    let printed: ByStack = output.stdout.lines().filter_map(line).collect();
    for (stack, sum) in kernel {
        let shown = printed.get(stack).copied().unwrap_or_default();
        if (shown.bytes, shown.count) != (sum.bytes, sum.count) {
            return Err(Failure::learner(format!(
                "the kernel has {} bytes and a count of {} for the stack that begins with {:x}; your program \
                 printed it with {} and {}.",
                sum.bytes, sum.count, stack[0], shown.bytes, shown.count
            )));
        }
    }
    Ok(())
}
