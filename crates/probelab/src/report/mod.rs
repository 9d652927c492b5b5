//! The one report that every format is made from: `probelab/report/v1`.

pub mod human;
pub mod junit;

use labcheck::verdict::{StepResult, Verdict};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{trouble::Exit, vm::On};

/// Name and version of the format. A field may be added in v1; none changes its meaning.
pub const SCHEMA: &str = "probelab/report/v1";

/// JSON Schema of [`Report`], as the book publishes it.
pub fn schema() -> String {
    let mut schema = schemars::schema_for!(Report);
    schema.insert("title".to_owned(), SCHEMA.into());
    serde_json::to_string_pretty(&schema).unwrap_or_default() + "\n"
}

/// What `lab check --format json` prints.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Report {
    /// `probelab/report/v1`.
    pub schema: String,
    /// Version of `lab`.
    pub tool: String,
    /// When the first lab began, RFC 3339, UTC.
    pub started: String,
    /// The machine that the checks ran on.
    pub machine: Machine,
    /// Every random choice follows from it: `--seed` replays.
    pub seed: u64,
    /// The worst of the labs' verdicts: `error`, then `fail`, then `skipped`, then `pass`.
    pub verdict: Word,
    /// Points earned in labs that were graded.
    pub points: u32,
    /// Points that could be earned in labs that were graded (`pass` or `fail`).
    pub of: u32,
    /// In the order in which they were checked.
    pub labs: Vec<LabReport>,
}

/// The machine that `lab` ran on.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Machine {
    /// `uname -r`.
    pub kernel: String,
    /// `x86_64` or `aarch64`.
    pub arch: String,
}

/// One lab on one kernel.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct LabReport {
    /// The lab's slug.
    pub lab: String,
    /// Its title.
    pub title: String,
    /// Where it was checked: `native` or `vm`.
    pub on: String,
    /// The kernel that it was checked on, as `uname -r` says.
    pub kernel: String,
    /// The processors that it was checked on: `x86_64` or `aarch64`.
    #[serde(default)]
    pub arch: String,
    /// What ran the virtual machine: `kvm` or `tcg`; null where there was none.
    pub accelerator: Option<String>,
    /// How the virtual machine ended: `done`, or what went wrong with it; null where there was none.
    pub outcome: Option<String>,
    /// Its revision.
    pub revision: u32,
    /// blake3 (hex) of the learner's files, names and bytes.
    pub hash: String,
    /// The lab's verdict: a pass needs every step to pass.
    pub verdict: Word,
    /// Points earned.
    pub points: u32,
    /// Points that could be earned.
    pub of: u32,
    /// Why nothing was graded; else empty.
    pub message: String,
    /// Seconds spent building.
    pub build_seconds: f64,
    /// Seconds spent checking.
    pub check_seconds: f64,
    /// In the order of lab.toml; empty when nothing could be run.
    pub steps: Vec<StepReport>,
}

/// One step.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct StepReport {
    /// The step's id.
    pub step: String,
    /// Its title.
    pub title: String,
    /// Its verdict.
    pub verdict: Word,
    /// Points earned.
    pub points: u32,
    /// Points that could be earned.
    pub of: u32,
    /// Why it is an error or was skipped; else empty.
    pub message: String,
    /// Its checks.
    pub checks: Vec<CheckReport>,
    /// Remarks that change no verdict.
    pub notes: Vec<String>,
    /// Wall-clock seconds.
    pub seconds: f64,
}

/// One check.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct CheckReport {
    /// The check's id.
    pub check: String,
    /// Its verdict; null when an earlier check of the step failed and it was not reached.
    pub verdict: Option<Word>,
    /// What the learner reads; empty for a pass.
    pub message: String,
    /// What the message was drawn from, such as a verifier's log; absent where there is nothing.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// A verdict, as a word.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Word {
    /// As it should be.
    Pass,
    /// The learner's program is wrong.
    Fail,
    /// This machine lacks something that the lab needs.
    Skipped,
    /// Infrastructure failed; never the learner's fault.
    Error,
}

impl From<Verdict> for Word {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Pass => Self::Pass,
            Verdict::Fail => Self::Fail,
            Verdict::Skipped => Self::Skipped,
            Verdict::Error => Self::Error,
        }
    }
}

impl Word {
    /// How much it says about the whole: the largest wins.
    fn weight(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Skipped => 1,
            Self::Fail => 2,
            Self::Error => 3,
        }
    }

    /// The worst of several; a pass when there are none.
    pub fn worst(words: impl IntoIterator<Item = Self>) -> Self {
        words
            .into_iter()
            .max_by_key(|word| word.weight())
            .unwrap_or(Self::Pass)
    }

    /// As it is printed.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Skipped => "skipped",
            Self::Error => "error",
        }
    }

    /// How a command that came to this verdict ends. What was skipped was not wrong.
    pub fn exit(self) -> Exit {
        match self {
            Self::Pass | Self::Skipped => Exit::Pass,
            Self::Fail => Exit::Fail,
            Self::Error => Exit::Infrastructure,
        }
    }
}

impl StepReport {
    /// A step's result, with the titles and points of the course.
    pub fn new(step: &course::Step, result: &StepResult) -> Self {
        let verdict = Word::from(result.verdict);
        Self {
            step: step.id.to_string(),
            title: step.title.clone(),
            verdict,
            points: if verdict == Word::Pass {
                step.points
            } else {
                0
            },
            of: step.points,
            message: result.message.clone(),
            checks: result
                .checks
                .iter()
                .map(|check| CheckReport {
                    check: check.id.clone(),
                    verdict: check.verdict.map(Word::from),
                    message: check.message.clone(),
                    detail: check.detail.clone(),
                })
                .collect(),
            notes: result.notes.clone(),
            seconds: result.seconds,
        }
    }

    /// The check that failed.
    pub fn failed(&self) -> Option<&CheckReport> {
        self.checks
            .iter()
            .find(|check| check.verdict == Some(Word::Fail))
    }
}

impl LabReport {
    /// A lab of which nothing is known but why.
    pub fn error(lab: &course::Lab, on: &On, message: String) -> Self {
        Self {
            lab: lab.slug.to_string(),
            on: on.word().to_owned(),
            kernel: on.release(),
            arch: on.arch().word().to_owned(),
            accelerator: None,
            outcome: None,
            title: lab.title.clone(),
            revision: lab.revision,
            hash: String::new(),
            verdict: Word::Error,
            points: 0,
            of: lab.points(),
            message,
            build_seconds: 0.0,
            check_seconds: 0.0,
            steps: Vec::new(),
        }
    }

    /// Whether its points count.
    pub fn is_graded(&self) -> bool {
        matches!(self.verdict, Word::Pass | Word::Fail)
    }

    /// The first step that did not pass.
    pub fn trouble(&self) -> Option<&StepReport> {
        self.steps.iter().find(|step| step.verdict != Word::Pass)
    }
}

impl Report {
    /// The report of these labs.
    pub fn new(seed: u64, started: String, labs: Vec<LabReport>) -> Self {
        let graded = || labs.iter().filter(|lab| lab.is_graded());
        Self {
            schema: SCHEMA.to_owned(),
            tool: env!("CARGO_PKG_VERSION").to_owned(),
            started,
            machine: Machine {
                kernel: On::Native.release(),
                arch: course::Arch::HERE.word().to_owned(),
            },
            seed,
            verdict: Word::worst(labs.iter().map(|lab| lab.verdict)),
            points: graded().map(|lab| lab.points).sum(),
            of: graded().map(|lab| lab.of).sum(),
            labs,
        }
    }
}
