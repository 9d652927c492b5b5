//! What a check can say.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use course::Verdict;

use crate::refusal::Refusal;

/// Why an operation of a check did not succeed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Failure {
    /// The learner's program is at fault. The text is what the learner reads.
    #[error("{0}")]
    Learner(String),
    /// The kernel refused one of the learner's BPF programs. The learner reads an explanation of
    /// the verifier's log; the log itself goes into [`CheckResult::detail`].
    #[error("the kernel refused the program {}", .0.program)]
    Refused(Box<Refusal>),
    /// The machine, or Probelab, is at fault.
    #[error("{0}")]
    Infrastructure(String),
    /// This machine can't do what the lab needs.
    #[error("{0}")]
    Unsupported(String),
}

impl Failure {
    /// A failure that the learner can mend.
    pub fn learner(message: impl Into<String>) -> Self {
        Self::Learner(message.into())
    }

    /// Puts a sentence before the explanation of a refusal; other failures stay as they are.
    #[must_use]
    pub fn remark(mut self, text: impl Into<String>) -> Self {
        if let Self::Refused(refusal) = &mut self {
            refusal.remark = text.into();
        }
        self
    }

    /// Ends a learner's message with where to look; other failures stay as they are.
    #[must_use]
    pub fn look_at(mut self, place: &str) -> Self {
        if let Self::Learner(message) = &mut self {
            *message += &format!(" Look at {place}.");
        }
        self
    }

    /// A failure that the learner can't be blamed for.
    pub fn infrastructure(message: impl Into<String>) -> Self {
        Self::Infrastructure(message.into())
    }
}

/// An error of something that the check itself does.
pub fn broken(error: impl std::fmt::Display) -> Failure {
    Failure::infrastructure(error.to_string())
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Infrastructure(error.to_string())
    }
}

/// Why a step ended before its last check.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Stop {
    /// A check failed and was recorded; what follows it could not be checked.
    Failed,
    /// Infrastructure failed: the whole step is an error.
    Error(String),
    /// This machine can't run the step.
    Skipped(String),
}

impl From<Failure> for Stop {
    /// For operations that are not checks, such as starting a workload: whatever goes wrong
    /// there is not the learner's fault.
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unsupported(why) => Self::Skipped(why),
            Failure::Learner(why) | Failure::Infrastructure(why) => Self::Error(why),
            Failure::Refused(_) => Self::Error(failure.to_string()),
        }
    }
}

/// The outcome of one check.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CheckResult {
    /// The check's id, as in `lab.toml`.
    pub id: String,
    /// `None`: not reached, because an earlier check of the step failed.
    pub verdict: Option<Verdict>,
    /// What the learner reads; empty for a pass.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// What the message was drawn from and few want to read, such as a verifier's log.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// The outcome of one step.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StepResult {
    /// The step's id, as in `lab.toml`.
    pub id: String,
    /// The step's verdict: a pass needs every check of it to pass.
    pub verdict: Verdict,
    /// Why the step is an error or was skipped; empty otherwise.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// In the order of `lab.toml`.
    pub checks: Vec<CheckResult>,
    /// Things worth saying that change no verdict.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Files that the step hands out, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub artefacts: BTreeMap<String, Vec<u8>>,
    /// Wall-clock seconds.
    pub seconds: f64,
}

impl StepResult {
    /// A step none of whose checks could be made.
    pub fn unreached(
        id: impl Into<String>,
        verdict: Verdict,
        message: impl Into<String>,
        checks: impl IntoIterator<Item = String>,
    ) -> Self {
        Self {
            id: id.into(),
            verdict,
            message: message.into(),
            checks: checks
                .into_iter()
                .map(|id| CheckResult {
                    id,
                    verdict: None,
                    message: String::new(),
                    detail: String::new(),
                })
                .collect(),
            notes: Vec::new(),
            artefacts: BTreeMap::new(),
            seconds: 0.0,
        }
    }
}
