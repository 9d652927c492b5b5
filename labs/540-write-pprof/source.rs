//! What the target's source says: where what is called, and what the compiler makes of it.

use std::fs;

use labcheck::{busy::Order, golang::Go, prelude::*};

use super::{FILE, PACKAGE, SOURCE};

/// Where the target's source has what.
pub(super) struct Source {
    pub(super) lines: Vec<String>,
}

impl Source {
    pub(super) fn read(lab: &Session) -> Result<Self, Failure> {
        let text = fs::read_to_string(lab.file(SOURCE))?;
        Ok(Self {
            lines: text.lines().map(str::to_owned).collect(),
        })
    }

    pub(super) fn line_with(&self, text: &str) -> u32 {
        self.lines
            .iter()
            .position(|line| line.contains(text))
            .map_or(0, |index| index as u32 + 1)
    }

    /// The line of `func NAME`.
    pub(super) fn start(&self, name: &str) -> u32 {
        self.line_with(&format!("func {name}("))
    }

    /// The line on which `caller` calls the next function inwards; a comment marks it.
    pub(super) fn call(&self, caller: &str) -> u32 {
        self.line_with(&format!("// {caller} calls "))
    }

    /// The report of a perfect sampler, for wrong answers that do not sample.
    pub(super) fn made_up(&self, order: &Order) -> String {
        let loops = self.line_with("for i := uint64(0)");
        let call = |name: &str, line: u32| format!("{PACKAGE}.{name}:{line}:{}", self.start(name));
        let samples = order.hz * order.millis / 1000 / (order.left + order.right);
        [("Left", order.left), ("Right", order.right)]
            .map(|(caller, parts)| {
                let calls = [
                    call("step", loops + 2),
                    call("mix", self.call("mix")),
                    call(caller, self.call(caller)),
                ];
                format!("{} {}", samples * parts, calls.join(";"))
            })
            .join("\n")
    }

    /// Whether Go's own reading of the profile has the calls where the source has them.
    pub(super) fn judge_edges(&self, text: &str, order: &Order) -> Result<(), String> {
        let lines: Vec<&str> = text.lines().skip(1).collect();
        let edges: Vec<(&str, &str, i64, u64)> = lines
            .as_chunks::<3>()
            .0
            .iter()
            .filter_map(|edge| {
                let (offset, weight) = edge[2].split_once(' ')?;
                Some((edge[0], edge[1], offset.parse().ok()?, weight.parse().ok()?))
            })
            .collect();
        let weight = |caller: &str, callee: &str, offset: Option<i64>| -> u64 {
            let (caller, callee) = (format!("{PACKAGE}.{caller}"), format!("{PACKAGE}.{callee}"));
            edges
                .iter()
                .filter(|edge| {
                    edge.0 == caller
                        && edge.1 == callee
                        && offset.is_none_or(|offset| edge.2 == offset)
                })
                .map(|edge| edge.3)
                .sum()
        };
        for (caller, callee) in [("mix", "step"), ("Left", "mix"), ("Right", "mix")] {
            let offset = i64::from(self.call(caller)) - i64::from(self.start(caller));
            let (here, anywhere) = (
                weight(caller, callee, Some(offset)),
                weight(caller, callee, None),
            );
            if here == 0 || here * 50 < anywhere * 49 {
                return Err(format!(
                    "work.{caller} calls work.{callee} {offset} lines below its own first line. `go tool \
                     preprofile` finds {here} samples of that call in {FILE}, and {} elsewhere in work.{caller}.",
                    anywhere - here
                ));
            }
        }
        let (left, right) = (weight("Left", "mix", None), weight("Right", "mix", None));
        if order.fits_share(left, left + right) {
            return Ok(());
        }
        Err(format!(
            "work.Left did {:.0} % of the work; {FILE} gives it {:.0} %.",
            order.share_of_left() * 100.0,
            left as f64 / (left + right) as f64 * 100.0
        ))
    }

    /// Whether the compiler puts `step` in place of the call in `mix`.
    pub(super) fn inlines_step(
        &self,
        go: &Go,
        lab: &Session,
        flags: &[&str],
    ) -> Result<bool, Failure> {
        let source = lab.file(SOURCE);
        let source = source.to_string_lossy();
        let args = [
            &["tool", "compile", "-p", PACKAGE, "-m=2", "-o", "work.o"],
            flags,
            &[&*source],
        ]
        .concat();
        let said = go.run(&args)?;
        if !said.ok {
            return Err(Failure::infrastructure(format!(
                "go tool compile: {}",
                said.stderr
            )));
        }
        let told = said.stdout + &said.stderr;
        Ok(pgo::decisions::parse(&told).iter().any(|decision| {
            decision.line == self.call("mix")
                && matches!(&decision.act, pgo::decisions::Act::Inlined { callee } if callee == "step")
        }))
    }
}
