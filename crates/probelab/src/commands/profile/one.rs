//! Recording one process.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant, SystemTime},
};

use goprof::{KernelSymbols, Meta, Recording, Sampler, Samples, Symbolizer};
use pgo::ruler;

use super::{LOOK, SECONDS, interrupted, live, output::File, overview, running::Target, told};
use crate::{
    cli::Profile as Options,
    commands::pgo::Checked,
    trouble::{Exit, Outcome, Trouble},
};

/// Without --output; not written over.
const OUTPUT: &str = "cpu.pprof";

/// Fewer samples say little about how many were missed: their number deviates by 5 % by chance.
const FEW: u64 = 400;
/// A share of the CPU time so small that it is told.
const MISSED: f64 = 0.85;

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
    let sampler = Sampler::start(pid, options.rate(), &symbols).map_err(told)?;
    let used_before = ruler::cpu_time(pid);
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
    let used = match (used_before, ruler::cpu_time(pid)) {
        (Ok(before), Ok(now)) => now.checked_sub(before),
        // It has ended.
        _ => None,
    };
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
        used,
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
    /// CPU time of the process, by its own clock; `None` when it has ended.
    used: Option<Duration>,
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
        if let Some(told) = self
            .used
            .and_then(|used| missed(recording.samples, self.hz, used))
        {
            outln!("{told}");
        }
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

/// What to say where samples stand for much less than the CPU time that the process has used.
fn missed(samples: u64, hz: u32, used: Duration) -> Option<String> {
    let (seen, used) = (samples as f64 / f64::from(hz), used.as_secs_f64());
    (samples >= FEW && seen < used * MISSED).then(|| {
        format!(
            "the samples stand for {seen:.1} of the {used:.1} s of CPU time that it used: the timer misses part of what threads take that run for a moment only"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_large_part_that_was_missed_is_told() {
        let used = Duration::from_secs(10);
        let told = missed(700, 100, used).expect("three tenths are missing");
        assert!(told.contains("7.0 of the 10.0 s"), "{told}");
        assert_eq!(missed(950, 100, used), None);
        // By chance, of so few.
        assert_eq!(missed(70, 10, used), None);
    }
}
