//! Runs the planned steps of one lab.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Instant,
};

use crate::{
    Checks, StepFn, Steps, ending, machine,
    plan::{Plan, PlannedStep},
    session::Session,
    verdict::{CheckResult, StepResult, Stop, Verdict},
};

/// Runs every step of `plan`, handing each result to `each` as soon as it is known.
pub fn run(plan: &Plan, checks: Checks, mut each: impl FnMut(StepResult)) {
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
            None => run_step(plan, step, checks),
        });
    }
}

fn run_step(plan: &Plan, step: &PlannedStep, checks: Checks) -> StepResult {
    let begin = Instant::now();
    let mut session = Session::new(plan, step);
    let mut outcome = match find(checks.steps, step) {
        None => Err(Stop::Error(format!(
            "check.rs of {} has no step {}",
            plan.slug, step.id
        ))),
        Some(function) => carry_out(function, &mut session),
    };
    let on_host = find(checks.on_host, step);
    if let (Ok(()), Some(function), false) = (&outcome, on_host, plan.guest) {
        session.start_again(plan, step);
        outcome = carry_out(function, &mut session);
    }
    let to_be_finished = plan.guest && on_host.is_some();
    result(step, session, outcome, begin, to_be_finished)
}

/// Does here what a guest could not: the second part of a step that passed there so far.
pub fn finish_on_host(plan: &Plan, checks: Checks, first: StepResult) -> StepResult {
    let step = plan.steps.iter().find(|step| step.id == first.id);
    let (Some(step), Verdict::Pass) = (step, first.verdict) else {
        return first;
    };
    let Some(function) = find(checks.on_host, step) else {
        return first;
    };
    let begin = Instant::now();
    let seconds = first.seconds;
    let mut session = Session::new(plan, step);
    session.results = first.checks;
    session.results.retain(|check| check.verdict.is_some());
    session.notes = first.notes;
    session.artefacts = first.artefacts;
    let outcome = carry_out(function, &mut session);
    let mut result = result(step, session, outcome, begin, false);
    result.seconds += seconds;
    result
}

fn find(steps: Steps, step: &PlannedStep) -> Option<StepFn> {
    steps
        .iter()
        .find(|(id, _)| *id == step.id)
        .map(|(_, function)| *function)
}

fn carry_out(function: StepFn, session: &mut Session) -> Result<(), Stop> {
    catch_unwind(AssertUnwindSafe(|| function(session))).unwrap_or_else(|panic| {
        Err(Stop::Error(format!(
            "the check itself broke: {}",
            panic_text(&*panic)
        )))
    })
}

/// What a session came to. All declared checks must be there for a pass, unless they are
/// `to_be_finished` elsewhere.
fn result(
    step: &PlannedStep,
    session: Session,
    outcome: Result<(), Stop>,
    begin: Instant,
    to_be_finished: bool,
) -> StepResult {
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
            None => {
                if verdict == Verdict::Pass && !to_be_finished {
                    (verdict, message) = (
                        Verdict::Error,
                        format!("check.rs did not record {id}, which lab.toml declares"),
                    );
                }
                checks.push(CheckResult {
                    id: id.clone(),
                    verdict: None,
                    message: String::new(),
                    detail: String::new(),
                });
            }
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
            perf_events_only: false,
            privileged: false,
            seed: 1,
            tell_truth: false,
            guest: false,
        }
    }

    fn only(plan: &Plan, step: crate::StepFn) -> StepResult {
        results(plan, step, None)
    }

    fn results(plan: &Plan, step: StepFn, on_host: Option<StepFn>) -> StepResult {
        let table = |step: StepFn| -> Steps { Box::leak(Box::new([("one", step)])) };
        let checks = Checks {
            steps: table(step),
            on_host: on_host.map_or(&[], table),
        };
        let mut results = Vec::new();
        run(plan, checks, |result| results.push(result));
        finish_on_host(plan, checks, results.remove(0))
    }

    /// A step in two parts comes to the same whether both are made on one machine or not.
    #[test]
    fn a_split_step_is_one_step() {
        let first: StepFn = |session| {
            let number = session.rng.between(1..=1 << 40);
            session.give("number", number.to_le_bytes().to_vec());
            session.require("a", Ok(()))
        };
        let second: StepFn = |session| {
            let number = session.rng.between(1..=1 << 40).to_le_bytes();
            let same = session.given("number")? == number;
            session.require_that("b", same, || "other randomness".into())
        };
        let here = plan(&["a", "b"]);
        let there = Plan {
            guest: true,
            ..here.clone()
        };
        for plan in [&here, &there] {
            let result = results(plan, first, Some(second));
            let verdicts: Vec<_> = result.checks.iter().map(|check| check.verdict).collect();
            assert_eq!(verdicts, [Some(Verdict::Pass); 2], "{}", result.message);
            assert_eq!(result.verdict, Verdict::Pass);
        }
        // What failed in the first part is not judged in the second.
        let failed = results(&there, |_| Err(Stop::Failed), Some(second));
        assert_eq!(failed.verdict, Verdict::Fail);
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
