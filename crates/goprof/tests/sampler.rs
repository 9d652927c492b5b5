//! The sampler, on real processes and a real kernel: what it says of programs whose truth is known.
//! Needs root and `go`; skipped, with the reason, where either is missing.

mod common;

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    time::{Duration, Instant},
};

use goprof::{Error, Meta, RawStack, Recording, Sampler, Symbolizer};

/// Odd, so that it keeps step with nothing.
const HZ: u32 = 1_997;

fn can_sample() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("skipped: sampling needs root");
    }
    root && common::has_go()
}

/// A caller, a callee, and what part of the callee's time the caller's calls have, in 64ths.
type Edges = BTreeMap<(String, String), f64>;

/// The program `edges`, at work.
struct Working {
    child: Child,
    truth: Edges,
    input: Option<ChildStdin>,
    _dir: tempfile::TempDir,
}

impl Working {
    fn start(flags: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let exe = dir.path().join("edges");
        let mut args = vec!["build", "-o", common::text(&exe)];
        args.extend(flags);
        args.push(".");
        common::go_ok("../goprof/edges", &args);
        Self::run(&exe, dir)
    }

    fn run(exe: &Path, dir: tempfile::TempDir) -> Self {
        let mut child = Command::new(exe)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let truth = lines
            .map(|line| line.expect("UTF-8"))
            .take_while(|line| line != "ready")
            .map(|line| {
                let mut fields = line.split(' ').skip(1).map(str::to_owned);
                let mut next = || fields.next().expect("caller, callee, weight");
                let edge = (next(), next());
                (edge, next().parse::<f64>().expect("a number"))
            })
            .collect();
        Self {
            input: child.stdin.take(),
            child,
            truth,
            _dir: dir,
        }
    }

    fn symbols(&self) -> Symbolizer {
        goprof::for_process(self.child.id()).expect("a Go process")
    }

    /// Samples until there are `enough`.
    fn record(&self, symbols: &Symbolizer, enough: u64) -> Recording {
        let sampler = Sampler::start(self.child.id(), HZ, symbols).expect("it samples");
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            std::thread::sleep(Duration::from_millis(100));
            let recording = sampler.recording().expect("maps can be read");
            if recording.samples >= enough || Instant::now() > end {
                return recording;
            }
        }
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}

/// The edges into the functions of `truth`, as shares of each callee in 64ths, and how many samples
/// each callee has.
fn edges(
    samples: &goprof::Samples,
    symbols: &mut Symbolizer,
    truth: &Edges,
) -> (Edges, BTreeMap<String, f64>) {
    let mut counted = Edges::new();
    let mut totals = BTreeMap::new();
    for (stack, count) in samples.iter() {
        let named = symbols.stack(stack);
        let mut names = named
            .locations
            .iter()
            .flat_map(|location| &location.frames)
            .map(|frame| frame.function.clone());
        let (Some(callee), Some(caller)) = (names.next(), names.next()) else {
            continue;
        };
        if truth.keys().any(|(_, known)| *known == callee) {
            *totals.entry(callee.clone()).or_default() += count as f64;
            *counted.entry((caller, callee)).or_default() += count as f64;
        }
    }
    for ((_, callee), weight) in &mut counted {
        *weight *= 64.0 / totals[callee];
    }
    (counted, totals)
}

/// Each callee's samples are divided among its callers as its calls are.
///
/// The callers are drawn at random for each of some hundred thousand calls, so that a share p of n
/// samples deviates by less than the root of p (1 - p) / n; four of these are exceeded in 6 of 100,000
/// cases. Half a per cent more is for samples that fall between two instructions in a way that no
/// profiler can tell.
fn assert_true(recording: &Recording, symbols: &mut Symbolizer, truth: &Edges) {
    let (samples, _) = goprof::repair(&recording.stacks, symbols);
    let (found, totals) = edges(&samples, symbols, truth);
    for ((caller, callee), weight) in truth {
        let n = totals.get(callee).copied().unwrap_or(0.0);
        assert!(n > 100.0, "{n} samples in {callee}");
        let expected = weight / 64.0;
        let share = found
            .get(&(caller.clone(), callee.clone()))
            .map_or(0.0, |share| share / 64.0);
        let tolerance = 4.0 * (expected * (1.0 - expected) / n).sqrt() + 0.005;
        assert!(
            (share - expected).abs() <= tolerance,
            "{caller} → {callee}: {share:.3} of {n} samples, not {expected:.3} ± {tolerance:.3}; {found:#?}"
        );
    }
}

#[test]
fn edges_have_the_weights_that_are_true() {
    if !can_sample() {
        return;
    }
    for flags in [
        &[][..],
        &["-ldflags=-s -w", "-trimpath"],
        &["-buildmode=pie"],
    ] {
        let working = Working::start(flags);
        let mut symbols = working.symbols();
        let recording = working.record(&symbols, 8_000);
        assert_eq!((recording.lost, recording.after_exec), (0, 0), "{flags:?}");
        assert_true(&recording, &mut symbols, &working.truth);
    }
}

/// The repair is what does it.
#[test]
fn frame_pointers_alone_lose_callers() {
    if !can_sample() {
        return;
    }
    let working = Working::start(&[]);
    let mut symbols = working.symbols();
    let recording = working.record(&symbols, 4_000);
    let mut unrepaired = goprof::Samples::default();
    for (stack, count) in &recording.stacks {
        unrepaired.add(stack.addresses.clone(), *count);
    }
    let (found, _) = edges(&unrepaired, &mut symbols, &working.truth);
    let edge = ("main.main".to_owned(), "main.frameless".to_owned());
    let skipped = found.get(&edge).copied().unwrap_or(0.0) / 64.0;
    assert!(skipped > 0.9, "{skipped} of frameless is said to be main's");
}

/// Every sample is in one stack or one of the other numbers. (One CPU's may come between two looks.)
#[test]
fn every_sample_is_accounted_for() {
    if !can_sample() {
        return;
    }
    let working = Working::start(&[]);
    let recording = working.record(&working.symbols(), 2_000);
    let kept: u64 = recording.stacks.values().sum();
    let counted = recording.samples - recording.no_stack - recording.lost;
    assert!(
        (counted..=counted + 200).contains(&kept),
        "{kept} of {counted}"
    );
}

/// A stack is one key, whatever lies at the stack pointer.
#[test]
fn words_that_are_no_code_do_not_multiply_stacks() {
    if !can_sample() {
        return;
    }
    let working = Working::start(&[]);
    let symbols = working.symbols();
    let recording = working.record(&symbols, 4_000);
    let code = symbols.go_code();
    for RawStack { words, .. } in recording.stacks.keys() {
        for word in words {
            let in_code = code.iter().any(|range| range.contains(word));
            assert!(*word == 0 || in_code, "{word:x} is not in {code:x?}");
        }
    }
}

#[test]
fn the_go_toolchain_reads_the_profile() {
    if !can_sample() {
        return;
    }
    let working = Working::start(&["-ldflags=-s -w"]);
    let mut symbols = working.symbols();
    let recording = working.record(&symbols, 2_000);
    let (samples, _) = goprof::repair(&recording.stacks, &symbols);
    let meta = Meta {
        period_nanos: 1_000_000_000 / i64::from(HZ),
        time_nanos: 0,
        duration_nanos: 1_000_000_000,
    };
    let profile = goprof::to_profile(&samples, &mut symbols, meta);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("cpu.pprof");
    std::fs::write(&path, goprof::encode(&profile)).expect("it writes");
    let output = dir.path().join("edges.preprofile");
    let args = [
        "tool",
        "preprofile",
        "-i",
        common::text(&path),
        "-o",
        common::text(&output),
    ];
    common::go_ok("../goprof/edges", &args);
    let text = std::fs::read_to_string(output).expect("it was written");
    let mut lines = text.lines();
    assert!(
        lines.any(|line| line == "main.framelessHeavy") && text.contains("main.base.score\n"),
        "{text}"
    );
    let built = dir.path().join("edges");
    let pgo = format!("-pgo={}", common::text(&path));
    common::go_ok(
        "../goprof/edges",
        &["build", &pgo, "-o", common::text(&built), "."],
    );
}

#[test]
fn a_rate_that_the_kernel_refuses_is_told_with_its_limit() {
    if !can_sample() {
        return;
    }
    let working = Working::start(&[]);
    for hz in [0, 100_000_000] {
        let error = Sampler::start(working.child.id(), hz, &working.symbols());
        assert!(
            matches!(error, Err(Error::Rate { max: 1.., .. })),
            "{error:?}"
        );
    }
}
