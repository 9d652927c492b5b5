//! Runs the planned steps of one lab.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Instant,
};

use crate::{
    Steps, ending, machine,
    plan::{Plan, PlannedStep},
    session::Session,
    verdict::{CheckResult, StepResult, Stop, Verdict},
};

/// Runs every step of `plan`, handing each result to `each` as soon as it is known.
pub fn run(plan: &Plan, steps: Steps, mut each: impl FnMut(StepResult)) {
    ending::clean_up_on_signals();
    let obstacle = if plan.privileged {
        machine::obstacle()
    } else {
        None
    };
    for step in &plan.steps {
        each(match &obstacle {
            Some(why) => {
                StepResult::unreached(&step.id, Verdict::Error, why, step.checks.iter().cloned())
            }
            None => run_step(plan, step, steps),
        });
    }
}

fn run_step(plan: &Plan, step: &PlannedStep, steps: Steps) -> StepResult {
    let begin = Instant::now();
    let mut session = Session::new(plan, step);
    let outcome = match steps.iter().find(|(id, _)| *id == step.id) {
        None => Err(Stop::Error(format!(
            "check.rs of {} has no step {}",
            plan.slug, step.id
        ))),
        Some((_, function)) => catch_unwind(AssertUnwindSafe(|| function(&mut session)))
            .unwrap_or_else(|panic| {
                Err(Stop::Error(format!(
                    "the check itself broke: {}",
                    panic_text(&*panic)
                )))
            }),
    };
    let (mut verdict, mut message) = match outcome {
        Ok(()) => (Verdict::Pass, String::new()),
        Err(Stop::Failed) => (Verdict::Fail, String::new()),
        Err(Stop::Error(why)) => (Verdict::Error, why),
        Err(Stop::Skipped(why)) => (Verdict::Skipped, why),
    };
    let mut results = session.results;
    if let Some(unknown) = results
        .iter()
        .find(|result| !step.checks.contains(&result.id))
    {
        (verdict, message) = (
            Verdict::Error,
            format!(
                "check.rs records {}, which lab.toml does not declare",
                unknown.id
            ),
        );
    }
    let mut checks = Vec::new();
    for id in &step.checks {
        match results.iter().position(|result| result.id == *id) {
            Some(at) => checks.push(results.swap_remove(at)),
            None if verdict == Verdict::Pass => {
                (verdict, message) = (
                    Verdict::Error,
                    format!("check.rs did not record {id}, which lab.toml declares"),
                );
                checks.push(CheckResult {
                    id: id.clone(),
                    verdict: None,
                    message: String::new(),
                    detail: String::new(),
                });
            }
            None => checks.push(CheckResult {
                id: id.clone(),
                verdict: None,
                message: String::new(),
                detail: String::new(),
            }),
        }
    }
    StepResult {
        id: step.id.clone(),
        verdict,
        message,
        checks,
        notes: session.notes,
        artefacts: session.artefacts,
        seconds: begin.elapsed().as_secs_f64(),
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::verdict::Failure;

    fn plan(checks: &[&str]) -> Plan {
        Plan {
            slug: "sample".into(),
            steps: vec![PlannedStep {
                id: "one".into(),
                checks: checks.iter().map(ToString::to_string).collect(),
                run: None,
            }],
            artifacts: BTreeMap::new(),
            tree: "/nonexistent".into(),
            learner_dir: "my/sample".into(),
            edit: Vec::new(),
            capabilities: Vec::new(),
            privileged: false,
            seed: 1,
            tell_truth: false,
        }
    }

    fn only(plan: &Plan, step: crate::StepFn) -> StepResult {
        let steps: Steps = Box::leak(Box::new([("one", step)]));
        let mut results = Vec::new();
        run(plan, steps, |result| results.push(result));
        results.remove(0)
    }

    #[test]
    fn a_failed_check_leaves_later_ones_unreached() {
        let result = only(&plan(&["a", "b", "c"]), |session| {
            session.require("a", Ok(()))?;
            session.require_that("b", false, || "no".into())?;
            session.require("c", Ok(()))
        });
        assert_eq!(result.verdict, Verdict::Fail);
        let verdicts: Vec<_> = result.checks.iter().map(|check| check.verdict).collect();
        assert_eq!(verdicts, [Some(Verdict::Pass), Some(Verdict::Fail), None]);
    }

    #[test]
    fn infrastructure_is_never_a_fail() {
        let result = only(&plan(&["a"]), |session| {
            session.require("a", Err(Failure::infrastructure("no disk")))
        });
        assert_eq!(
            (result.verdict, result.message.as_str()),
            (Verdict::Error, "no disk")
        );
        assert_eq!(result.checks[0].verdict, None);
    }

    #[test]
    fn a_pass_that_skips_a_declared_check_is_an_error() {
        let result = only(&plan(&["a", "b"]), |session| session.require("a", Ok(())));
        assert_eq!(result.verdict, Verdict::Error);
    }

    #[test]
    fn a_check_that_panics_is_an_error() {
        let result = only(&plan(&["a"]), |_| panic!("out of range"));
        assert_eq!(
            (result.verdict, result.message.as_str()),
            (Verdict::Error, "the check itself broke: out of range")
        );
    }

    #[test]
    fn the_same_seed_gives_the_same_choices() {
        let plan = plan(&["a"]);
        let draw = || {
            Session::new(&plan, &plan.steps[0])
                .rng
                .between(0..=u64::MAX)
        };
        assert_eq!(draw(), draw());
    }
}
