//! What the kernel counted, and what the learner's program printed of it.

use std::{collections::BTreeMap, time::Duration};

use goprof::Symbolizer;
use labcheck::prelude::*;

use super::PACKAGE;

/// What the kernel counted.
pub(super) struct Kernel {
    /// Samples in all.
    pub(super) total: u64,
    /// Those in `work.step`, by their three innermost calls.
    pub(super) calls: BTreeMap<String, u64>,
    /// The same by the address that was running.
    pub(super) leaves: BTreeMap<u64, u64>,
    /// How long the target worked.
    pub(super) lasted: Duration,
}

impl Kernel {
    pub(super) fn of(
        stacks: Vec<(Vec<u64>, u64)>,
        symbols: &mut Symbolizer,
        lasted: Duration,
    ) -> Self {
        let mut kernel = Self {
            total: 0,
            calls: BTreeMap::new(),
            leaves: BTreeMap::new(),
            lasted,
        };
        for (stack, count) in stacks {
            kernel.total += count;
            let named = symbols.stack(&stack);
            let calls: Vec<Call> = named
                .locations
                .iter()
                .flat_map(|location| &location.frames)
                .take(3)
                .map(|frame| Call {
                    function: frame.function.clone(),
                    line: frame.line,
                    start_line: frame.start_line,
                })
                .collect();
            if calls.first().is_some_and(|call| call.is("step")) {
                *kernel.calls.entry(shown(&calls)).or_default() += count;
                *kernel.leaves.entry(stack[0]).or_default() += count;
            }
        }
        kernel
    }
}

/// One call of a stack.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) function: String,
    pub(super) line: u32,
    pub(super) start_line: u32,
}

impl Call {
    /// Reads FUNCTION:LINE:START_LINE.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.rsplitn(3, ':');
        let start_line = parts.next()?.parse().ok()?;
        let line = parts.next()?.parse().ok()?;
        Some(Self {
            function: parts.next()?.to_owned(),
            line,
            start_line,
        })
    }

    /// Whether it is of this function of package work.
    pub(super) fn is(&self, name: &str) -> bool {
        self.function
            .strip_prefix(PACKAGE)
            .and_then(|rest| rest.strip_prefix('.'))
            == Some(name)
    }
}

pub(super) fn shown(calls: &[Call]) -> String {
    let calls: Vec<String> = calls
        .iter()
        .map(|call| {
            let function = call.function.rsplit('/').next().unwrap_or_default();
            format!("{function}:{}:{}", call.line, call.start_line)
        })
        .collect();
    calls.join(";")
}

/// What the learner's program printed.
pub(super) struct Report {
    pub(super) total: u64,
    /// The three innermost calls of the stacks that were in `work.step`.
    pub(super) step: Vec<(Vec<Call>, u64)>,
    /// The beginning of another one.
    pub(super) other: Option<String>,
}

impl Report {
    pub(super) fn parse(stdout: &str) -> Result<Self, Failure> {
        let mut report = Self {
            total: 0,
            step: Vec::new(),
            other: None,
        };
        for line in stdout.lines() {
            let (count, calls) = line.split_once(' ').unwrap_or((line, ""));
            let count: u64 = count.parse().map_err(|_| {
                Failure::learner(format!(
                    "your program printed `{line}`, which does not begin with a count."
                ))
            })?;
            report.total += count;
            let calls: Vec<Call> = calls.split(';').take(3).map_while(Call::parse).collect();
            if calls.first().is_some_and(|call| call.is("step")) {
                report.step.push((calls, count));
            } else if report.other.is_none() {
                report.other = Some(shown(&calls));
            }
        }
        Ok(report)
    }

    pub(super) fn in_step(&self) -> u64 {
        self.step.iter().map(|(_, count)| count).sum()
    }

    /// Whether `judge` is content with each stack; else what it says, with an example.
    ///
    /// One in fifty may differ: a sample at the first instruction of `step` has no frame for it yet.
    pub(super) fn all(&self, judge: impl Fn(&[Call]) -> Result<(), String>) -> Result<(), String> {
        let wrong: Vec<(&Vec<Call>, u64, String)> = self
            .step
            .iter()
            .filter_map(|(calls, count)| judge(calls).err().map(|why| (calls, *count, why)))
            .collect();
        let samples: u64 = wrong.iter().map(|(_, count, _)| count).sum();
        match wrong.first() {
            Some((calls, _, why)) if samples * 50 > self.in_step() => Err(format!(
                "{why}; {samples} of {} samples in your report say otherwise, such as `{}`.",
                self.in_step(),
                shown(calls)
            )),
            _ => Ok(()),
        }
    }

    pub(super) fn counts(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for (calls, count) in &self.step {
            *counts.entry(shown(calls)).or_default() += count;
        }
        counts
    }
}
