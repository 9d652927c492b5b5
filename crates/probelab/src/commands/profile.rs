//! `lab profile`: records processes to pprof. Works anywhere, without a checkout of the course.

mod live;
mod many;
mod one;
mod output;
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

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
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
        | Error::Namespace
        | Error::ControlGroup { .. } => Trouble::usage(message, ""),
        _ => Trouble::infrastructure(message, ""),
    }
}

/// Set by Ctrl-C, or a request to end.
fn interrupted() -> Outcome<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&flag))
            .or_infrastructure(|| "cannot catch signals".to_owned())?;
    }
    Ok(flag)
}
