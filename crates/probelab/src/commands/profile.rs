//! `lab profile`: records processes to pprof. Works anywhere, without a checkout of the course.

mod live;
mod many;
mod one;
pub mod output;
mod running;

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use goprof::{Error, Where};

use crate::{
    cli::Profile as Options,
    site,
    trouble::{OrTrouble as _, Outcome, Trouble},
};

/// Without --seconds, of a process that runs already.
const SECONDS: u64 = 30;
/// How often it is looked whether the process still runs.
const LOOK: Duration = Duration::from_millis(50);

/// Runs the command.
pub fn run(options: &Options) -> Outcome {
    match &options.cgroup {
        Some(path) => many::run(options, &Where::ControlGroup(path.clone())),
        None if options.all => many::run(options, &Where::All),
        None => one::run(options),
    }
}

/// An error of the profiler's, as one of ours.
fn told(error: Error) -> Trouble {
    let message = error.to_string();
    match error {
        Error::Privilege => {
            let program = site::this_program().unwrap_or_else(|_| "lab".into());
            let words = std::env::args_os().skip(1);
            let words: Vec<String> = words
                .map(|word| word.to_string_lossy().into_owned())
                .collect();
            Trouble::infrastructure(
                message,
                format!("run: sudo -- {} {}", program.display(), words.join(" ")),
            )
        }
        Error::Process { .. }
        | Error::NoGoCode { .. }
        | Error::Rate { .. }
        | Error::NoCycles
        | Error::Namespace
        | Error::ControlGroup { .. } => Trouble::usage(message, ""),
        _ => Trouble::infrastructure(message, ""),
    }
}

/// Set by Ctrl-C, or a request to end.
pub fn interrupted() -> Outcome<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&flag))
            .or_infrastructure(|| "cannot catch signals".to_owned())?;
    }
    Ok(flag)
}

/// Says how much was sampled, and what shares of it were special. `busy` is what kept the CPUs busy.
fn overview(samples: u64, lasted: Duration, hz: u32, busy: &str, shares: &[(u64, &str)]) {
    let seconds = lasted.as_secs_f64();
    outln!(
        "{samples} samples in {seconds:.1} s: {:.2} CPUs were busy{busy}",
        samples as f64 / f64::from(hz) / seconds.max(f64::MIN_POSITIVE)
    );
    for (count, what) in shares.iter().filter(|(count, _)| *count > 0) {
        let share = *count as f64 / samples.max(1) as f64 * 100.0;
        outln!("  {share:>5.1} %  {what}");
    }
}
