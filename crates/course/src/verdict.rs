//! What a check, or a step, came to.

use crate::id::{CheckId, StepId};
use crate::words::words;

words! {
    /// The four verdicts.
    pub enum Verdict {
        /// It holds.
        Pass = "pass",
        /// It does not, and the reason is the learner's work.
        Fail = "fail",
        /// It could not be tried: this kernel lacks something.
        Skipped = "skipped",
        /// It could not be tried: infrastructure or privilege, never the learner's fault.
        Error = "error",
    }
}

impl Verdict {
    /// Whether it says something about the learner's work, and so may change points.
    pub fn is_graded(self) -> bool {
        matches!(self, Self::Pass | Self::Fail)
    }
}

/// A step's outcome, as progress records it.
#[derive(Debug, Clone, PartialEq)]
pub struct StepResult {
    /// The step.
    pub step: StepId,
    /// Its verdict.
    pub verdict: Verdict,
    /// Points earned; they count only when the verdict is `pass` or `fail`.
    pub points: u32,
    /// Points that there were to earn.
    pub of: u32,
    /// Each check's verdict, in order.
    pub checks: Vec<(CheckId, Verdict)>,
}
