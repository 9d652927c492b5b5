//! Recording one process.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant, SystemTime},
};

use goprof::{KernelSymbols, Meta, Recording, Sampler, Samples, Symbolizer};

use super::{LOOK, SECONDS, interrupted, live, output::File, overview, running::Target, told};
use crate::{
    cli::Profile as Options,
    commands::pgo::Checked,
    trouble::{Exit, Outcome, Trouble},
};

/// Without --output; not written over.
const OUTPUT: &str = "cpu.pprof";

/// Runs the command.
pub fn run(options: &Options) -> Outcome {
    // Before anything is recorded that could then not be kept.
    let path = path_of_output(options)?;
    if options.flamegraph.as_ref() == Some(&path) {
        return Err(Trouble::usage(
            format!("{} can't be both profile and flame graph", path.display()),
            "say --output and --flamegraph with different files",
        ));
    }
    let output = File::create(&path, options.output.is_some())?;
    let flame_graph = options
        .flamegraph
        .as_deref()
        .map(|path| File::create(path, true))
        .transpose()?;
    let interrupted = interrupted()?;

    let target = Target::of(options)?;
    let pid = target.pid();
    // People want to see what the kernel does for the program; Go's compiler does not.
    let kernel = options.flamegraph.as_ref().and_then(|_| {
        KernelSymbols::running()
            .map(Arc::new)
            .map_err(|error| errln!("the flame graph is without the kernel: {error}"))
            .ok()
    });
    let with_kernel = |symbols: Symbolizer| match &kernel {
        Some(kernel) => symbols.with_kernel(Arc::clone(kernel)),
        None => symbols,
    };
    let mut symbols = goprof::for_process(pid).map(with_kernel).map_err(told)?;
    let sampler = Sampler::start(pid, options.hz, &symbols).map_err(told)?;
    let begin = (Instant::now(), SystemTime::now());
    let mut running = target.go()?;

    let limit = match options.exec.is_empty() {
        true => Some(options.seconds.unwrap_or(SECONDS)),
        false => options.seconds,
    };
    let end = limit.map(|seconds| begin.0 + Duration::from_secs(seconds));
    // A command has the terminal for itself.
    let mut view = live::View::new(options.exec.is_empty());
    while !interrupted.load(Ordering::Relaxed) && running.is_running() {
        let now = Instant::now();
        if end.is_some_and(|end| now >= end) {
            break;
        }
        std::thread::sleep(end.map_or(LOOK, |end| LOOK.min(end - now)));
        if view.is_due() {
            // Without a picture the recording is as good.
            if let Ok(so_far) = sampler.recording() {
                view.show(&so_far, &mut symbols);
            }
        }
    }
    let lasted = begin.0.elapsed();
    view.clear();
    let ended_early = options.exec.is_empty() && !running.is_running();
    // With what was mapped meanwhile, a plugin say. First the map, then whether the process is still the
    // program that it was: of another one the map would be wrong.
    let now = goprof::for_process(pid);
    let recording = sampler.recording().map_err(told)?;
    drop(sampler);
    if let (Ok(now), 0) = (now, recording.execs) {
        symbols = with_kernel(now);
    }
    running.end(interrupted.load(Ordering::Relaxed));

    let (samples, repairs) = goprof::repair(&recording.stacks, &symbols);
    let summary = Summary {
        recording: &recording,
        repairs,
        cut: cut(&samples, &mut symbols),
        lasted,
        hz: options.hz,
    };
    summary.show(ended_early);
    if samples.total() == 0 {
        outln!(
            "It used no CPU time, so there is nothing to write. Record it under load, or for longer."
        );
        return Ok(Exit::Fail);
    }
    let meta = Meta::of(options.hz, begin.1, lasted);
    let profile = goprof::to_profile(&samples, &mut symbols, meta);
    output.write(&goprof::encode(&profile))?;
    if let Some(file) = flame_graph {
        let (samples, _) = goprof::repair_with_kernel(&recording.stacks, &symbols);
        let whole = goprof::to_profile(&samples, &mut symbols, meta);
        let svg = goprof::flame_graph(&whole, &format!("Process {pid}")).map_err(told)?;
        file.write(svg.as_bytes())?;
    }
    let checked = Checked::of(profile);
    checked.show(&path, 5);
    Ok(if checked.is_usable() {
        Exit::Pass
    } else {
        Exit::Fail
    })
}

fn path_of_output(options: &Options) -> Outcome<PathBuf> {
    match &options.output {
        Some(path) => Ok(path.clone()),
        None if Path::new(OUTPUT).exists() => Err(Trouble::usage(
            format!("{OUTPUT} is there already, and may be a profile that you want"),
            "say --output FILE; a file that is named is written over",
        )),
        None => Ok(PathBuf::from(OUTPUT)),
    }
}

/// Samples of stacks that end before the function with which Go's stacks begin.
fn cut(samples: &Samples, symbols: &mut Symbolizer) -> u64 {
    samples
        .iter()
        .filter(|(stack, _)| !symbols.stack(stack).complete)
        .map(|(_, count)| count)
        .sum()
}

/// What there is to say about a recording, beside its profile.
struct Summary<'a> {
    recording: &'a Recording,
    repairs: goprof::Repairs,
    cut: u64,
    lasted: Duration,
    hz: u32,
}

impl Summary<'_> {
    fn show(&self, ended_early: bool) {
        let recording = self.recording;
        let in_kernel = recording.stacks.iter().filter(|(stack, _)| stack.in_kernel);
        let in_kernel: u64 = in_kernel.map(|(_, count)| count).sum();
        let shares = [
            (
                in_kernel,
                "in the kernel, told by the Go code that called it",
            ),
            (
                self.repairs.repaired,
                "in a function without a frame, its caller found beside the stack",
            ),
            (
                self.repairs.unrepaired,
                "in a function without a frame, its caller unknown",
            ),
            (
                self.cut,
                "with a stack that can't be followed to its beginning",
            ),
            (recording.no_stack, "without a stack in user space"),
            (
                recording.lost,
                "not kept: more different stacks than there is room for",
            ),
        ];
        overview(recording.samples, self.lasted, self.hz, " with it", &shares);
        if recording.execs > 0 {
            outln!(
                "the process became another program (execve) while it was recorded; {} samples of that are left out",
                recording.after_exec
            );
        }
        if ended_early {
            outln!("the process ended before the time was over");
        }
    }
}
