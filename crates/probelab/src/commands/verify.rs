//! `lab verify`: the proof that a lab grades what it says it grades.
//!
//! For each lab: the starter fails the check that `[starter]` names, the solution passes, and
//! each planted wrong answer fails the check that it names.

use std::{path::PathBuf, time::Instant};

use console::style;
use course::Lab;

use crate::{
    check::{self, Job},
    report::{LabReport, Word},
    site::Site,
    trouble::{Exit, Outcome},
    vm::On,
};

/// One thing to prove.
struct Case<'a> {
    lab: &'a Lab,
    name: String,
    files: Option<PathBuf>,
    step: Option<&'a course::Step>,
    /// The check that must fail; `None` where everything must pass.
    fails: Option<String>,
    tell_truth: bool,
}

/// Runs the command.
pub fn run(site: &Site, names: &[String], seed: Option<u64>) -> Outcome {
    let course = site.course()?;
    let mut labs = Vec::new();
    for name in names {
        labs.push(course.find(name)?);
    }
    if labs.is_empty() {
        labs = course.labs.iter().collect();
    }
    let seed = seed.unwrap_or_else(|| fastrand::u64(..1 << 32));
    let (mut proven, mut failed, mut skipped, mut errors) = (0, 0, 0, 0);
    for lab in labs {
        for case in cases(lab) {
            let begin = Instant::now();
            let report = check::check(&Job {
                site,
                lab: case.lab,
                variant: case.name.clone(),
                shown_as: format!("my/{}", lab.slug),
                files: case.files.clone(),
                step: case.step,
                seed,
                tell_truth: case.tell_truth,
                on: &On::Native,
                interactive: console::user_attended(),
            })?;
            let outcome = judge(&case, &report);
            let mark = match &outcome {
                Proof::Holds(_) => {
                    proven += 1;
                    style("ok  ").green()
                }
                Proof::Skipped(_) => {
                    skipped += 1;
                    style("skip").yellow()
                }
                Proof::Broken(_) => {
                    failed += 1;
                    style("FAIL").red()
                }
                Proof::Unknown(_) => {
                    errors += 1;
                    style("err ").magenta()
                }
            };
            let (Proof::Holds(text)
            | Proof::Skipped(text)
            | Proof::Broken(text)
            | Proof::Unknown(text)) = outcome;
            outln!(
                "{mark}  {:<18} {:<28} {:>5.1} s  {text}",
                lab.slug,
                case.name,
                begin.elapsed().as_secs_f64()
            );
        }
    }
    let unknown = match errors {
        0 => String::new(),
        1 => ", 1 error".to_owned(),
        n => format!(", {n} errors"),
    };
    outln!("seed {seed}\n{proven} passed, {failed} failed, {skipped} skipped{unknown}");
    Ok(match (failed, errors) {
        (0, 0) => Exit::Pass,
        (0, _) => Exit::Infrastructure,
        _ => Exit::Fail,
    })
}

fn cases(lab: &Lab) -> Vec<Case<'_>> {
    let mut cases = vec![
        Case {
            lab,
            name: "starter".into(),
            files: None,
            step: lab.step(lab.starter.step.as_str()),
            fails: Some(lab.starter.fails.to_string()),
            tell_truth: false,
        },
        Case {
            lab,
            name: "solution".into(),
            files: Some(lab.solution.clone()),
            step: None,
            fails: None,
            tell_truth: false,
        },
    ];
    cases.extend(lab.wrong.iter().map(|wrong| Case {
        lab,
        name: format!("wrong-{}", wrong.name),
        files: Some(wrong.dir.clone()),
        step: lab.step(wrong.step.as_str()),
        fails: Some(wrong.caught_by.to_string()),
        tell_truth: wrong.knows_truth,
    }));
    cases
}

enum Proof {
    Holds(String),
    Skipped(String),
    Broken(String),
    /// The machine, or Probelab, is at fault.
    Unknown(String),
}

fn judge(case: &Case<'_>, report: &LabReport) -> Proof {
    let trouble = report.trouble();
    let first = |text: &str| text.lines().next().unwrap_or_default().to_owned();
    match (report.verdict, &case.fails) {
        (Word::Skipped, _) => {
            Proof::Skipped(first(trouble.map_or(&report.message, |step| &step.message)))
        }
        (Word::Pass, None) => Proof::Holds(format!("passes {} steps", report.steps.len())),
        (Word::Pass, Some(expected)) => Proof::Broken(format!("passes, but {expected} must fail")),
        (Word::Error, _) => Proof::Unknown(
            trouble
                .map_or(&report.message, |step| &step.message)
                .clone(),
        ),
        (Word::Fail, expected) => {
            let Some((step, check)) = report
                .steps
                .iter()
                .find_map(|step| Some((step, step.failed()?)))
            else {
                return Proof::Broken(format!("fails without a failed check: {}", report.message));
            };
            match expected {
                None => Proof::Broken(format!(
                    "{}/{} fails: {}",
                    step.step, check.check, check.message
                )),
                Some(expected) if *expected == check.check => {
                    Proof::Holds(format!("{}: {}", check.check, first(&check.message)))
                }
                Some(expected) => Proof::Broken(format!(
                    "{} fails, but {expected} must: {}",
                    check.check, check.message
                )),
            }
        }
    }
}
