//! What checks are written with.
//!
//! A check drives a workload that it made itself and knows the truth of, runs the learner's
//! program from outside, audits what that program put into the kernel, and compares what it
//! reports with the truth. The modules follow that order: [`workload`], [`learner`],
//! [`audit`], [`session`]. [`runner`] runs the steps of one lab and turns them into results.
//!
//! Everything here runs in one process, as root where the lab needs the kernel. Only the
//! learner's program and the workloads are other processes.

pub mod audit;
mod bpf;
pub mod busy;
pub mod cbpf;
pub mod cgroup;
mod cpus;
mod descendants;
pub mod elf;
mod ending;
mod enter;
mod folder;
pub mod golang;
pub mod hook;
pub mod learner;
pub mod machine;
pub mod map;
mod mounts;
mod perf;
pub mod plan;
pub mod refusal;
pub mod runner;
pub mod sampler;
pub mod scratch;
pub mod session;
pub mod stacks;
mod stream;
mod tracefs;
pub mod verdict;
pub mod workload;

/// What a `check.rs` starts with: `use labcheck::prelude::*;`.
pub mod prelude {
    pub use crate::{
        Steps,
        audit::{Audit, Hook, Program, ProgramType},
        learner::{Learner, Output, Witnessed},
        refusal::Refusal,
        session::Session,
        verdict::{Failure, Stop, broken},
        workload::Workload,
    };
}

/// The steps of one lab, by id: what a `check.rs` exports as `STEPS`.
pub type Steps = &'static [(&'static str, StepFn)];

/// All checks of a lab.
#[derive(Clone, Copy, Debug)]
pub struct Checks {
    /// What drives the learner's program, on whatever machine the lab is checked.
    pub steps: Steps,
    /// What judges afterwards, on the learner's own machine, what a step of the same id gave with
    /// [`session::Session::give`]: a `check.rs` exports it as `ON_HOST`.
    pub on_host: Steps,
}

/// One step: drives the learner's program and records the outcome of each check of the step.
pub type StepFn = fn(&mut session::Session) -> Result<(), verdict::Stop>;

/// The hidden command that does, once for all runs of a virtual machine, what each would do.
pub const REHEARSE: &str = "__rehearse";

fn rehearse() -> std::process::ExitCode {
    match tracefs::prepare_view() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{REHEARSE}: {error}");
            std::process::ExitCode::from(3)
        }
    }
}

/// Runs one of the internal commands that `lab` starts itself with, if `args` names one.
///
/// `lab` is one static program, so the child that drops privilege before it becomes the
/// learner's program, and the workloads, are the same executable under hidden names. Returns
/// `None` when the arguments are a user's.
pub fn internal_command(args: &[std::ffi::OsString]) -> Option<std::process::ExitCode> {
    match args.get(1)?.to_str()? {
        enter::COMMAND => Some(enter::main()),
        REHEARSE => Some(rehearse()),
        workload::COMMAND => Some(workload::main(&args[2..])),
        _ => None,
    }
}
