//! The truth: a Go program of ours with four functions, of which each is nearly all the time in another
//! state of its frame, and each is called from the left and from the right in shares that we tell it.

use std::{collections::BTreeMap, fmt::Write as _};

use goprof::{RawStack, Symbolizer};
use labcheck::{
    audit::Map,
    busy::{self, Order},
    prelude::*,
    stacks,
};

pub const STEPS: Steps = &[("words", words), ("repair", repair)];

const WORDS: &str = "ebpf/src/words.rs";
const REPAIR: &str = "src/repair.rs";

/// No frame at all; the caller is the first word.
const FRAMELESS: &str = "main.frameless";
/// The stack pointer has moved by one word, and the frame pointer is the caller's; the second word.
const BEGUN: &str = "main.begun";
/// As far, and the frame pointer is set: the chain knows the caller.
const LINKED: &str = "main.linked";
/// A whole frame, at whose end lie data and addresses of code that nobody returns to.
const FRAMED: &str = "main.framed";
const LEAVES: [&str; 4] = [FRAMELESS, BEGUN, LINKED, FRAMED];
/// Who calls the callers.
const REST: [&str; 3] = ["main.round", "main.work", "main.main.func1"];

/// Samples that may be added between a look into a map and the program's own: the target waits for
/// input meanwhile.
const SLACK: u64 = 10;
/// The kernel keeps what may be a return address, and nothing else.
fn words(lab: &mut Session) -> Result<(), Stop> {
    let order = Order::draw(&mut lab.rng);
    let mut target = Order::target(lab)?;

    let started = order.launch(lab, &target);
    let mut learner = lab.require("starts", started)?;
    let program = busy::sampler(&mut learner);
    let program = lab.require("attached", program)?;

    let place = lab.place(WORDS, "pub fn words");
    let at_place = |why: String| Failure::learner(format!("{why} Look at {place}."));
    let kept = witness(&order, &mut learner, &program, &mut target)?;
    let total: u64 = kept.values().sum();
    let with_words: u64 = count(&kept, |stack| stack.words != [0; 2]);
    lab.require_that("keeps-words", with_words > 0, || {
        format!(
            "of {total} samples none has a word beside its stack; half of the target's time is in functions whose \
             return address is one of the two. Look at {place}."
        )
    })?;

    // Before the target ends: afterwards nobody knows what its addresses meant.
    let mut symbols = goprof::for_process(target.pid()).map_err(broken)?;
    let code = symbols.go_code();
    let is_code = |word: u64| word == 0 || code.iter().any(|range| range.contains(&word));
    let data = kept
        .keys()
        .flat_map(|stack| stack.words)
        .find(|word| !is_code(*word));
    lab.require_that("only-code", data.is_none(), || {
        format!(
            "COUNTS has {} keys for {total} samples: a key has the word {:x}, which lies in no range of CODE \
             and should be 0. Look at {place}.",
            kept.len(),
            data.unwrap_or_default()
        )
    })?;
    // The caller is the first word of a leaf that has no frame, and the second of one that has begun its
    // own; at its first and last instructions this has none either.
    let callers = [FRAMELESS, BEGUN].into_iter().try_for_each(|leaf| {
        let mut callers = Callers::default();
        for (stack, count) in &kept {
            if name(&mut symbols, &stack.addresses) == leaf {
                let moved = symbols.sp_delta(stack.addresses[0]);
                let word = usize::from(moved.is_some_and(|(_, bytes)| bytes > 0));
                callers.add(&name(&mut symbols, &stack.words[word..]), leaf, *count);
            }
        }
        callers.judge(&order, leaf, "word beside the stack")
    });
    lab.require("return-addresses", callers.map_err(at_place))?;

    let printed = learner
        .stop()
        .and_then(|output| printed_words(&kept, &output).map_err(at_place));
    lab.require("reports-words", printed)
}

/// The report has each caller once, and where it belongs.
fn repair(lab: &mut Session) -> Result<(), Stop> {
    let order = Order::draw(&mut lab.rng);
    lab.set_truth(made_up_report(&order));
    let mut target = Order::target(lab)?;

    let started = order.launch(lab, &target);
    let mut learner = lab.require("runs", started)?;
    let program = busy::sampler(&mut learner);
    let program = lab.require("sampling", program)?;

    let kept = witness(&order, &mut learner, &program, &mut target)?;
    let words = lab.place(WORDS, "pub fn words");
    let with_words = count(&kept, |stack| stack.words != [0; 2]);
    lab.require_that("words", with_words > 0, || {
        format!("no sample has a word beside its stack: step words comes first. Look at {words}.")
    })?;
    let mut symbols = goprof::for_process(target.pid()).map_err(broken)?;
    let truth = repaired(&kept, &mut symbols);

    let place = lab.place(REPAIR, "pub fn repair");
    let at_place = |why: String| Failure::learner(format!("{why} Look at {place}."));
    let report = learner.stop().and_then(|output| {
        Report::parse(&output.stdout).map_err(|line| {
            at_place(format!(
                "your program printed `{line}`, which is not COUNT FUNCTION;FUNCTION;…."
            ))
        })
    });
    let report = lab.require("stack-lines", report)?;
    for (check, leaf) in [("frameless-callers", FRAMELESS), ("begun-callers", BEGUN)] {
        let callers = report
            .callers(leaf)
            .judge(&order, leaf, "function behind it");
        lab.require(check, callers.map_err(at_place))?;
    }
    let invented = [LINKED, FRAMED].into_iter().try_for_each(|leaf| {
        report
            .callers(leaf)
            .judge(&order, leaf, "function behind it")?;
        report.whole(leaf)
    });
    lab.require("nothing-invented", invented.map_err(at_place))?;
    let whole = [FRAMELESS, BEGUN]
        .into_iter()
        .try_for_each(|leaf| report.whole(leaf));
    lab.require("whole-stacks", whole.map_err(at_place))?;
    lab.require("from-the-kernel", report.agrees(&truth).map_err(at_place))
}

/// What the kernel counted.
type Kept = BTreeMap<RawStack, u64>;

/// Has the target work while the learner's processes stand still; gives what the kernel kept meanwhile.
///
/// How many samples there are is lab sample-stacks' concern. Half of what a sampler of ours finds is
/// asked for here: far more than five deviations below the number expected.
fn witness(
    order: &Order,
    learner: &mut Learner,
    program: &Program,
    target: &mut Workload,
) -> Result<Kept, Failure> {
    let (counts, stacks) = stacks::maps(learner, program)?;
    let seen = learner.witness(
        program,
        || kernel(&counts, &stacks),
        || order.run(target, &order.line()),
    )?;
    let ours = seen.outcome.samples;
    let (before, after) = seen.both()?;
    let (earlier, total) = (before.values().sum::<u64>(), after.values().sum::<u64>());
    if earlier <= SLACK && total >= ours / 2 {
        return Ok(after);
    }
    Err(Failure::infrastructure(format!(
        "the given sampler kept {earlier} samples before the target worked, and {total} of {ours} after"
    )))
}

fn kernel(counts: &Map, stacks: &Map) -> Result<Kept, Failure> {
    let mut kept = Kept::new();
    for key in counts.keys(1 << 17)? {
        let count = counts.sum_u64(&key)?;
        let (fields, _) = key.as_chunks::<8>();
        let [id, first, second] = fields else {
            return Err(broken(
                "a key of COUNTS has another shape than the given one",
            ));
        };
        let stack = stacks.get(&id[..4])?.concat();
        let addresses = stacks::addresses(&stack);
        if !addresses.is_empty() {
            let raw = RawStack {
                addresses,
                words: [first, second].map(|word| u64::from_ne_bytes(*word)),
                in_kernel: false,
                has_words: true,
                kernel: Vec::new(),
            };
            *kept.entry(raw).or_default() += count;
        }
    }
    Ok(kept)
}

/// Who a leaf's callers are, in samples.
#[derive(Default)]
struct Callers {
    left: u64,
    right: u64,
    all: u64,
    other: Option<String>,
}

impl Callers {
    fn add(&mut self, caller: &str, leaf: &str, count: u64) {
        self.all += count;
        match caller.strip_prefix(leaf) {
            Some("Left") => self.left += count,
            Some("Right") => self.right += count,
            _ => self.other = Some(caller.to_owned()),
        }
    }

    /// Whether nearly all are the two that there are, in their shares.
    ///
    /// One in fifty may be another: between two instructions on arm64 the return address is not where the
    /// table says, one instruction of some thousand.
    fn judge(&self, order: &Order, leaf: &str, what: &str) -> Result<(), String> {
        if self.all == 0 {
            return Err(format!(
                "the target spends a fourth of its time in {leaf}, and no stack begins there."
            ));
        }
        let n = self.left + self.right;
        if n == 0 || (self.all - n) * 50 > self.all {
            let other = match self.other.as_deref() {
                Some("") => "no function",
                Some(name) => name,
                None => "nothing",
            };
            return Err(format!(
                "{leaf} is called by {leaf}Left and {leaf}Right; of its {} samples {n} have one of them as the \
                 {what}, others have {other}.",
                self.all
            ));
        }
        if order.fits_share(self.left, n) {
            return Ok(());
        }
        Err(format!(
            "{leaf}Left makes {:.0} % of the calls of {leaf}; as the {what} it is in {:.0} % ({} of {n} \
             samples).",
            order.share_of_left() * 100.0,
            self.left as f64 / n as f64 * 100.0,
            self.left
        ))
    }
}

/// Named stacks, the innermost function first.
struct Report(BTreeMap<Vec<String>, u64>);

impl Report {
    /// Reads `COUNT FUNCTION;FUNCTION;…`, or gives back the line that is something else.
    fn parse(stdout: &str) -> Result<Self, String> {
        let mut stacks = BTreeMap::new();
        for line in stdout.lines() {
            let parsed = line
                .split_once(' ')
                .and_then(|(count, names)| Some((count.parse::<u64>().ok()?, names)));
            let (count, names) = parsed.ok_or(line)?;
            let names = names.split(';').map(str::to_owned).collect();
            *stacks.entry(names).or_default() += count;
        }
        Ok(Self(stacks))
    }

    fn of<'a>(&'a self, leaf: &'a str) -> impl Iterator<Item = (&'a [String], u64)> {
        let stacks = self
            .0
            .iter()
            .map(|(names, count)| (names.as_slice(), *count));
        stacks.filter(move |(names, _)| names[0] == leaf)
    }

    fn callers(&self, leaf: &str) -> Callers {
        let mut callers = Callers::default();
        for (names, count) in self.of(leaf) {
            callers.add(names.get(1).map_or("", String::as_str), leaf, count);
        }
        callers
    }

    /// Whether nearly all stacks of a leaf are as they should be behind its caller.
    fn whole(&self, leaf: &str) -> Result<(), String> {
        let (mut all, mut others, mut one) = (0, 0, None);
        for (names, count) in self.of(leaf) {
            all += count;
            if names.get(2..).is_none_or(|rest| rest != REST) {
                others += count;
                one = Some(names.join(", "));
            }
        }
        match one {
            // As in `Callers::judge`.
            Some(one) if others * 50 > all => Err(format!(
                "behind {leaf} and its caller should be {}; {others} of {all} samples have something else: {one}.",
                REST.join(", ")
            )),
            _ => Ok(()),
        }
    }

    /// Whether the leaves' stacks are those that the kernel has, repaired.
    fn agrees(&self, truth: &Self) -> Result<(), String> {
        let both = self.0.keys().chain(truth.0.keys());
        let differs = both
            .filter(|names| LEAVES.contains(&names[0].as_str()))
            .find(|names| self.0.get(*names) != truth.0.get(*names));
        differs.map_or(Ok(()), |names| {
            let count = |report: &Self| report.0.get(names).copied().unwrap_or(0);
            Err(format!(
                "by what the kernel counted {} samples are {}; your report has {}.",
                count(truth),
                names.join(", "),
                count(self)
            ))
        })
    }
}

/// What the report should be, by the repair of `lab profile`.
fn repaired(kept: &Kept, symbols: &mut Symbolizer) -> Report {
    let (samples, _) = goprof::repair(kept, symbols);
    let mut stacks = BTreeMap::new();
    for (stack, count) in samples.iter() {
        *stacks.entry(names(symbols, stack)).or_default() += count;
    }
    Report(stacks)
}

/// A report as a perfect repair could print it, for a wrong answer that does not repair.
fn made_up_report(order: &Order) -> String {
    let samples = order.hz * order.millis / 1000 / 4 / (order.left + order.right);
    let mut text = String::new();
    for leaf in LEAVES {
        for (parts, side) in [(order.left, "Left"), (order.right, "Right")] {
            let _ = writeln!(
                text,
                "{} {leaf};{leaf}{side};{}",
                samples * parts,
                REST.join(";")
            );
        }
    }
    text
}

/// Whether the program printed what the kernel kept, and at most a little more.
fn printed_words(kept: &Kept, output: &Output) -> Result<(), String> {
    let mut printed: BTreeMap<String, u64> = BTreeMap::new();
    for line in output.stdout.lines() {
        if let Some((count, rest)) = line.split_once(' ') {
            *printed.entry(rest.to_owned()).or_default() += count.parse::<u64>().unwrap_or(0);
        }
    }
    for (stack, count) in kept {
        let addresses: Vec<String> = stack.addresses.iter().map(|pc| format!("{pc:x}")).collect();
        let [first, second] = stack.words;
        let line = format!("{first:x} {second:x} {}", addresses.join(";"));
        let shown = printed.get(&line).copied().unwrap_or(0);
        if shown < *count {
            return Err(format!(
                "the kernel counted `{line}` {count} times; your program printed it with {shown}."
            ));
        }
    }
    match printed.values().sum::<u64>() - kept.values().sum::<u64>() {
        0..=SLACK => Ok(()),
        more => Err(format!(
            "your program printed {more} samples that the kernel never counted."
        )),
    }
}

/// The name of a stack's innermost function; empty where there is none.
fn name(symbols: &mut Symbolizer, stack: &[u64]) -> String {
    names(symbols, &stack[..1]).swap_remove(0)
}

fn names(symbols: &mut Symbolizer, stack: &[u64]) -> Vec<String> {
    let named = symbols.stack(stack);
    let frames = named.locations.iter().flat_map(|place| &place.frames);
    let mut names: Vec<String> = frames.map(|frame| frame.function.clone()).collect();
    if names.is_empty() {
        names.push(String::new());
    }
    names
}

fn count(kept: &Kept, is: impl Fn(&RawStack) -> bool) -> u64 {
    let counted = kept.iter().filter(|(stack, _)| is(stack));
    counted.map(|(_, count)| count).sum()
}
