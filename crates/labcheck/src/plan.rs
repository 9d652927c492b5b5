//! What the runner is told: everything it needs, and nothing it must look up.
//!
//! `lab` builds as the user and hands a plan to the runner, which may be root. The runner
//! compiles nothing, reads no configuration and writes nothing into the course.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

/// One lab to be run on this machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// The lab's slug.
    pub slug: String,
    /// The steps to run, in order.
    pub steps: Vec<PlannedStep>,
    /// What was built, by artifact name. Absolute paths.
    pub artifacts: BTreeMap<String, PathBuf>,
    /// Where the files that were built from are; a learner's answers are read from here.
    pub tree: PathBuf,
    /// How to call the learner's folder in messages, as `my/first-probe`.
    pub learner_dir: String,
    /// The learner's files, relative to `tree`.
    pub edit: Vec<PathBuf>,
    /// Capabilities that the learner's program may keep, by number
    /// (include/uapi/linux/capability.h).
    pub capabilities: Vec<u8>,
    /// Whether all BPF programs of the lab belong at perf events: tracepoints, probes, clocks.
    pub perf_events_only: bool,
    /// Whether the steps need root: they do when the learner's program needs capabilities.
    pub privileged: bool,
    /// Every random choice of the checks follows from it.
    pub seed: u64,
    /// Tell the learner's program the true answer in `$LAB_TRUTH`. Only for planted wrong
    /// answers, to prove that knowing the answer is not enough.
    pub tell_truth: bool,
    /// Whether this is a machine that has no Go toolchain, so that what [`crate::Checks::on_host`]
    /// does is left to [`crate::runner::finish_on_host`] on another one.
    #[serde(default)]
    pub guest: bool,
}

/// One step of a [`Plan`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlannedStep {
    /// The step's id.
    pub id: String,
    /// Ids of the checks that the step must record.
    pub checks: Vec<String>,
    /// How to run the learner's program.
    pub run: Option<RunSpec>,
}

/// How the learner's program is run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunSpec {
    /// The artifact that is the program.
    pub artifact: String,
    /// The artifact that goes to `$LAB_BPF`.
    pub bpf: Option<String>,
    /// Arguments; `$NAME` is replaced by what the check set under NAME.
    pub args: Vec<String>,
    /// Added to the program's otherwise small environment.
    pub env: BTreeMap<String, String>,
    /// The line by which the program says that its probes are in place.
    pub ready: String,
    /// The signal that ends it, as a number.
    pub stop: i32,
    /// Seconds that one run may take.
    pub seconds: u32,
    /// KiB that the program may print on each of standard output and standard error.
    pub output_kib: u32,
}
