//! `lab pgo`. Works anywhere, without a checkout of the course.

mod check;
mod pull;
mod push;
mod remote;
mod serve;
mod token;

pub use check::Checked;

use crate::{cli::Pgo, trouble::Outcome};

/// Runs the command.
pub fn run(command: Pgo) -> Outcome {
    match command {
        Pgo::Check {
            profile,
            program,
            calls,
            format,
        } => check::run(&profile, program.as_deref(), calls, format),
        Pgo::Serve(options) => serve::run(options),
        Pgo::Push(options) => push::run(&options),
        Pgo::Pull(options) => pull::run(&options),
        Pgo::Token { command } => token::run(command),
    }
}
