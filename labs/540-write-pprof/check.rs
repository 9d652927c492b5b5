//! The truth: a Go program of ours, told what to do, and its source, which says where what is
//! called. What the profile should hold is compared with the samples that the kernel still has.

mod samples;
mod source;

use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use goprof::pprof::Profile;
use labcheck::{
    busy::{self, Order},
    golang::Go,
    prelude::*,
    stacks,
};

use samples::{Kernel, Report};
use source::Source;

pub const STEPS: Steps = &[("symbolise", symbolise), ("write", write)];
pub const ON_HOST: Steps = &[("write", read_by_go)];

const SYMBOLISE: &str = "src/symbolise.rs";
const WRITE: &str = "src/write.rs";
const SOURCE: &str = "busy/work/work.go";
const PACKAGE: &str = "probelab.dev/labs/write-pprof/busy/work";
const FILE: &str = "cpu.pprof";
/// Bytes; a profile of a second and a half has some ten thousand.
const LARGEST: u64 = 4 << 20;
/// Samples of a target that waits for input: of the Go runtime, now and then.
const SLACK: u64 = 10;

/// The report names the calls of each stack as the source has them.
fn symbolise(lab: &mut Session) -> Result<(), Stop> {
    let order = Order::draw(&mut lab.rng);
    let source = Source::read(lab)?;
    lab.set_truth(source.made_up(&order));
    let mut target = Order::target(lab)?;

    let started = order.launch(lab, &target);
    let mut learner = lab.require("starts", started)?;
    let kernel = sample(&order, &mut learner, &mut target);
    let kernel = lab.require("samples", kernel)?;

    let place = lab.place(SYMBOLISE, "fn locations");
    let at_place = |why: String| Failure::learner(format!("{why} Look at {place}."));
    let report = learner.stop().and_then(|output| Report::parse(&output.stdout)).and_then(|report| {
        if report.in_step() > 0 && report.in_step() * 2 >= report.total {
            return Ok(report);
        }
        Err(at_place(format!(
            "the target spends its time in work.step; of the {} samples in your report {} name it. Others \
             begin with `{}`.",
            report.total,
            report.in_step(),
            report.other.unwrap_or_default()
        )))
    });
    let report = lab.require("names", report)?;

    let inlined = report.all(|calls| match calls {
        [_, mix, outer] if mix.is("mix") && (outer.is("Left") || outer.is("Right")) => Ok(()),
        _ => Err(
            "work.step is called by work.mix, whose code was inlined into work.Left and work.Right"
                .to_owned(),
        ),
    });
    lab.require("inlined-calls", inlined.map_err(at_place))?;
    let lines = report.all(|calls| {
        for call in calls {
            let caller = ["mix", "Left", "Right"]
                .into_iter()
                .find(|name| call.is(name));
            if let Some(caller) = caller.filter(|caller| call.line != source.call(caller)) {
                return Err(format!(
                    "the call in work.{caller} is on line {} of {SOURCE}",
                    source.call(caller)
                ));
            }
        }
        Ok(())
    });
    lab.require("call-lines", lines.map_err(at_place))?;
    let starts = report.all(|calls| {
        for call in calls {
            let name = ["step", "mix", "Left", "Right"]
                .into_iter()
                .find(|name| call.is(name));
            if let Some(name) = name.filter(|name| call.start_line != source.start(name)) {
                return Err(format!(
                    "work.{name} starts on line {} of {SOURCE}",
                    source.start(name)
                ));
            }
        }
        Ok(())
    });
    lab.require("start-lines", starts.map_err(at_place))?;
    let agrees = agree(&kernel.calls, &report.counts()).map_err(at_place);
    lab.require("from-the-kernel", agrees)
}

/// The file is a pprof of what the kernel sampled.
fn write(lab: &mut Session) -> Result<(), Stop> {
    let order = Order::draw(&mut lab.rng);
    let source = Source::read(lab)?;
    lab.set_truth(source.made_up(&order));
    let mut target = Order::target(lab)?;

    let (began, clock) = (SystemTime::now(), Instant::now());
    let started = order.launch(lab, &target);
    let mut learner = lab.require("runs", started)?;
    let kernel = sample(&order, &mut learner, &mut target)?;
    let place = lab.place(WRITE, "pub fn profile");
    let at_place = |why: String| Failure::learner(format!("{why} Look at {place}."));
    let file = learner.stop_with_files().and_then(|(_, folder)| {
        let bytes = folder.read(FILE, LARGEST)?;
        let profile =
            goprof::read(&bytes).map_err(|error| at_place(format!("{FILE}: {error}.")))?;
        Ok((bytes, profile))
    });
    let lasted = kernel.lasted..clock.elapsed();
    let (bytes, profile) = lab.require("file", file)?;
    lab.give(FILE, bytes);

    let types: Vec<String> = profile
        .sample_types()
        .map(|(what, unit)| format!("{what}/{unit}"))
        .collect();
    lab.require_that("sample-types", types == ["samples/count", "cpu/nanoseconds"], || {
        format!(
            "a CPU profile has the sample types samples/count and cpu/nanoseconds, in this order; {FILE} has \
             [{}]. Look at {place}.",
            types.join(", ")
        )
    })?;
    lab.require("values", values(&profile, order.hz).map_err(at_place))?;
    lab.require(
        "recording",
        recording(&profile, began, lasted, order.hz).map_err(at_place),
    )?;
    // How many samples there are is up to us.
    let finding = goprof::check(&profile)
        .into_iter()
        .find(|finding| finding.id != "sample-count");
    let usable = finding.map_or(Ok(()), |finding| {
        Err(at_place(format!("{FILE}: {}.", finding.message)))
    });
    lab.require("usable", usable)?;
    let agrees = agree(&kernel.leaves, &by_leaf(&profile)).map_err(at_place);
    lab.require("kernel-samples", agrees)
}

/// Go's own tools read the file as what it is.
fn read_by_go(lab: &mut Session) -> Result<(), Stop> {
    let order = Order::draw(&mut lab.rng);
    let source = Source::read(lab)?;
    let bytes = lab.given(FILE)?.to_vec();
    let place = lab.place(WRITE, "pub fn profile");
    let at_place = |why: String| Failure::learner(format!("{why} Look at {place}."));
    let go = Go::as_owner_of(&lab.file(SOURCE))?;
    go.put(FILE, &bytes)?;
    for tool in ["pprof", "preprofile"] {
        go.has_tool(tool)?;
    }
    let top = go.run(&["tool", "pprof", "-top", "-sample_index=samples", FILE])?;
    let first = first_of_top(&top.stdout).and_then(|name| name.strip_prefix(PACKAGE));
    lab.require_that("go-top", top.ok && first == Some(".step"), || {
        format!(
            "`go tool pprof -top` should name work.step first; it says:\n{}{}",
            top.stderr, top.stdout
        )
    })?;
    let edges = go.run(&["tool", "preprofile", "-i", FILE, "-o", "edges"])?;
    let edges = if edges.ok {
        source.judge_edges(
            &fs::read_to_string(go.file("edges")).map_err(broken)?,
            &order,
        )
    } else {
        Err(format!(
            "`go tool preprofile` refuses {FILE}: {}",
            edges.stderr.trim()
        ))
    };
    lab.require("go-edges", edges.map_err(at_place))?;

    // What `go build -pgo` runs for each package: the compiler, with what preprofile made. The
    // whole build would compile Go's standard library anew for each profile.
    if source.inlines_step(&go, lab, &[])? {
        return Err(broken(
            "the compiler inlines work.step without a profile; the lab is out of date",
        )
        .into());
    }
    let inlined = source.inlines_step(&go, lab, &["-pgoprofile=edges"])?;
    lab.require_that("go-inlines", inlined, || {
        format!("with {FILE} Go's compiler should inline the call of work.step, and does not. Look at {place}.")
    })
}

/// Has the target work while the learner's processes stand still; returns what the kernel counted
/// meanwhile.
///
/// How many samples there are is lab sample-stacks' concern. Half of what a sampler of ours finds is
/// asked for here: far more than five deviations below the number expected.
fn sample(order: &Order, learner: &mut Learner, target: &mut Workload) -> Result<Kernel, Failure> {
    let program = busy::sampler(learner)?;
    let (counts, stacks) = stacks::maps(learner, &program)?;
    let clock = Instant::now();
    let seen = learner.witness(
        &program,
        || stacks::of_process(&counts, &stacks),
        || order.run(target, &order.line()),
    )?;
    let ours = seen.outcome.samples;
    let (before, after) = seen.both()?;
    let earlier: u64 = before.iter().map(|(_, count)| count).sum();
    if earlier > SLACK {
        return Err(Failure::learner(format!(
            "COUNTS had {earlier} samples of the target before it worked: only the kernel's program \
             may count."
        )));
    }
    let kernel = Kernel::of(
        after,
        &mut goprof::for_process(target.pid()).map_err(broken)?,
        clock.elapsed(),
    );
    if kernel.total >= ours / 2 {
        return Ok(kernel);
    }
    Err(Failure::learner(format!(
        "the target used {} ms of CPU time, {ours} samples at {} Hz; COUNTS adds up to {}.",
        order.millis, order.hz, kernel.total
    )))
}

/// Whether each sample has both values, and they agree.
fn values(profile: &Profile, hz: u64) -> Result<(), String> {
    let period = 1_000_000_000 / i64::try_from(hz).unwrap_or(1);
    if profile.sample.is_empty() {
        return Err(format!("{FILE} holds no sample."));
    }
    for sample in &profile.sample {
        match sample.value[..] {
            [count, nanos] if nanos == count * period => {}
            _ => {
                return Err(format!(
                    "at {hz} Hz a sample stands for {period} ns of CPU time; {FILE} has a sample with the \
                     values {:?} (samples, then nanoseconds).",
                    sample.value
                ));
            }
        }
    }
    Ok(())
}

/// Whether the profile says how, when and for how long it was recorded.
fn recording(
    profile: &Profile,
    began: SystemTime,
    lasted: std::ops::Range<Duration>,
    hz: u64,
) -> Result<(), String> {
    let period = 1_000_000_000 / i64::try_from(hz).unwrap_or(1);
    if profile.period != period || profile.period_type != profile.sample_type.get(1).copied() {
        return Err(format!(
            "the period of {FILE} should be {period} of cpu/nanoseconds; it is {}.",
            profile.period
        ));
    }
    let time = Duration::from_nanos(u64::try_from(profile.time_nanos).unwrap_or(0));
    let earliest = began.duration_since(UNIX_EPOCH).unwrap_or_default();
    if time < earliest || time > earliest + lasted.end {
        return Err(format!(
            "{FILE} says that it began at {} ns after 1970, which is not when it ran.",
            profile.time_nanos
        ));
    }
    let duration = Duration::from_nanos(u64::try_from(profile.duration_nanos).unwrap_or(0));
    if !lasted.contains(&duration) {
        return Err(format!(
            "{FILE} says that it was recorded for {} ns; it was between {} and {}.",
            profile.duration_nanos,
            lasted.start.as_nanos(),
            lasted.end.as_nanos()
        ));
    }
    Ok(())
}

/// Whether the profile's samples in `work.step` are those of the kernel. The target rests once it
/// has worked, so not one is added later.
fn agree<K: Ord + std::fmt::Debug>(
    kernel: &BTreeMap<K, u64>,
    learner: &BTreeMap<K, u64>,
) -> Result<(), String> {
    let differs = kernel
        .keys()
        .chain(learner.keys())
        .find(|key| kernel.get(key) != learner.get(key));
    differs.map_or(Ok(()), |key| {
        let count = |map: &BTreeMap<K, u64>| map.get(key).copied().unwrap_or(0);
        Err(format!(
            "the kernel has {} samples of {key:x?}; yours say {}.",
            count(kernel),
            count(learner)
        ))
    })
}

/// The samples in `work.step`, by the address that was running.
fn by_leaf(profile: &Profile) -> BTreeMap<u64, u64> {
    let functions: BTreeMap<u64, &str> = profile
        .function
        .iter()
        .map(|function| (function.id, profile.string(function.name)))
        .collect();
    let step: BTreeMap<u64, u64> = profile
        .location
        .iter()
        .filter(|location| {
            let name = location
                .line
                .first()
                .and_then(|line| functions.get(&line.function_id));
            name.and_then(|name| name.strip_prefix(PACKAGE)) == Some(".step")
        })
        .map(|location| (location.id, location.address))
        .collect();
    let mut leaves = BTreeMap::new();
    for sample in &profile.sample {
        if let Some(address) = sample.location_id.first().and_then(|id| step.get(id)) {
            *leaves.entry(*address).or_default() += sample
                .value
                .first()
                .map_or(0, |&count| count.unsigned_abs());
        }
    }
    leaves
}

/// The function on the first row of what `go tool pprof -top` prints.
fn first_of_top(text: &str) -> Option<&str> {
    let row = text
        .lines()
        .skip_while(|line| !line.contains("flat%"))
        .nth(1)?;
    row.split_whitespace().nth(5)
}
