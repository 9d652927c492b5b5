//! The sampler, on real processes and a real kernel: what it says of programs whose truth is known.
//! Needs root and `go`; skipped, with the reason, where either is missing.

mod common;

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use goprof::{
    Edges, Error, Event, Meta, Rate, RawStack, Recording, Sampler, Samples, Symbolizer,
    pprof::Profile,
};

use common::known::{build, can_sample};

/// Odd, so that it keeps step with nothing.
const HZ: u32 = 1_997;

/// A program at work, which was built for it.
struct Working {
    program: common::known::Working,
    folder: tempfile::TempDir,
}

impl Working {
    fn start(flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let exe = build(folder.path(), "known", flags);
        Self {
            program: common::known::Working::start(&exe),
            folder,
        }
    }

    fn symbols(&self) -> Symbolizer {
        goprof::for_process(self.program.id()).expect("a Go process")
    }

    /// Samples until there are `enough`.
    fn record(&self, symbols: &Symbolizer, enough: u64) -> Recording {
        record(self.program.id(), HZ, symbols, enough)
    }
}

fn record(process: u32, rate: impl Into<Rate>, symbols: &Symbolizer, enough: u64) -> Recording {
    let sampler = Sampler::start(process, rate, symbols).expect("it samples");
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        std::thread::sleep(Duration::from_millis(100));
        let recording = sampler.recording().expect("maps can be read");
        if recording.samples >= enough || Instant::now() > end {
            return recording;
        }
    }
}

fn edges(samples: &Samples, symbols: &mut Symbolizer) -> Edges {
    Edges::of(&profile(samples, symbols))
}

fn profile(samples: &Samples, symbols: &mut Symbolizer) -> Profile {
    let meta = Meta {
        period_nanos: 1_000_000_000 / i64::from(HZ),
        time_nanos: 0,
        duration_nanos: 1_000_000_000,
    };
    goprof::to_profile(samples, symbols, meta)
}

/// Of 10,000 samples each of eight callees has more than a thousand. A share of 0.69 deviates by 0.014
/// then, and the overlap of all is 0.99; below 0.975 it is by chance in less than one of 100,000 cases.
const RIGHT: f64 = 0.975;

#[test]
fn calls_have_the_weights_that_are_true() {
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
        let recording = working.record(&symbols, 10_000);
        assert_eq!((recording.lost, recording.after_exec), (0, 0), "{flags:?}");
        let (samples, _) = goprof::repair(&recording.stacks, &symbols);
        let edges = edges(&samples, &mut symbols);
        let right = working.program.truth.overlap(&edges);
        assert!(right >= RIGHT, "{flags:?}: {right} of {edges:#?}");
        assert_eq!(working.program.truth.unseen(&edges), [""; 0], "{flags:?}");
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
    let mut bare = Samples::default();
    for (stack, count) in &recording.stacks {
        bare.add(stack.addresses.clone(), *count);
    }
    let right = working.program.truth.overlap(&edges(&bare, &mut symbols));
    // 0.60 was measured.
    assert!(right < 0.8, "{right}");
}

/// Go 1.20 makes frames in a way that loses a caller now and then. Those samples are told: they are all
/// that is wrong.
#[test]
fn callers_that_go_1_20_loses_are_counted() {
    if !can_sample() {
        return;
    }
    const GO: &str = "go1.20.14";
    let folder = tempfile::tempdir().expect("a temporary directory");
    let exe = folder.path().join("frames");
    let built = Command::new("go")
        .current_dir(common::fixture("frames"))
        .args(["build", "-o", common::text(&exe), "."])
        .envs([("GOTOOLCHAIN", GO), ("GOWORK", "off")])
        .output()
        .expect("go starts");
    let why = String::from_utf8_lossy(&built.stderr);
    if why.contains("download") {
        eprintln!("skipped: {GO} can't be fetched: {why}");
        return;
    }
    assert!(built.status.success(), "{why}");
    let mut child = Command::new(&exe).spawn().expect("it starts");
    let mut symbols = {
        // Until it is the program that was started.
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            match goprof::for_process(child.id()) {
                Err(_) if Instant::now() < end => std::thread::sleep(Duration::from_millis(10)),
                other => break other.expect("a Go process"),
            }
        }
    };
    let recording = record(child.id(), HZ, &symbols, 6_000);
    let _ = child.kill();
    let _ = child.wait();
    let (samples, repairs) = goprof::repair(&recording.stacks, &symbols);
    let edges = edges(&samples, &mut symbols);
    let by_weight = edges.by_weight().into_iter();
    let calls = by_weight.filter(|(edge, _)| edge.callee == "main.framed");
    let (mut wrong, mut all) = (0, 0);
    for (edge, weight) in calls {
        all += weight;
        if edge.caller == "main.main" {
            wrong += weight;
        }
    }
    // 2 % were measured.
    assert!(wrong > 0 && wrong * 20 < all, "{wrong} of {all}");
    assert!(
        repairs.unrepaired as i64 >= wrong,
        "{repairs:?}, {wrong} wrong"
    );
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
    let profile = profile(&samples, &mut symbols);
    let folder = working.folder.path();
    let (path, output) = (folder.join("cpu.pprof"), folder.join("preprofile"));
    fs::write(&path, goprof::encode(&profile)).expect("it writes");
    let (path, to) = (common::text(&path), common::text(&output));
    common::go_ok(
        common::text(folder),
        &["tool", "preprofile", "-i", path, "-o", to],
    );
    let text = fs::read_to_string(&output).expect("it was written");
    assert_eq!(text, Edges::of(&profile).preprofile());
    build(folder, "optimised", &[&format!("-pgo={path}")]);
}

#[test]
fn a_rate_that_the_kernel_refuses_is_told_with_its_limit() {
    if !can_sample() {
        return;
    }
    let working = Working::start(&[]);
    for hz in [0, 100_000_000] {
        let error = Sampler::start(working.program.id(), hz, &working.symbols());
        assert!(
            matches!(error, Err(Error::Rate { max: 1.., .. })),
            "{error:?}"
        );
    }
}

/// On a machine with the counter the calls are as right as by the clock; without, it is said.
#[test]
fn cycles_are_sampled_where_they_are_counted() {
    if !can_sample() {
        return;
    }
    let working = Working::start(&[]);
    let mut symbols = working.symbols();
    let rate = Rate {
        event: Event::Cycles,
        hz: HZ,
    };
    let has_counter = Path::new("/sys/bus/event_source/devices/cpu/events/cpu-cycles").exists()
        || Path::new("/sys/bus/event_source/devices/armv8_pmuv3_0/events/cpu_cycles").exists();
    if !has_counter {
        let error = Sampler::start(working.program.id(), rate, &symbols).expect_err("no counter");
        assert!(matches!(error, Error::NoCycles), "{error}");
        eprintln!("skipped: no hardware counter of cycles; only its lack was tested");
        return;
    }
    let recording = record(working.program.id(), rate, &symbols, 10_000);
    let (samples, _) = goprof::repair(&recording.stacks, &symbols);
    let right = working
        .program
        .truth
        .overlap(&edges(&samples, &mut symbols));
    assert!(right >= RIGHT, "{right}");
}
