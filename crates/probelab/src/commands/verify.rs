//! `lab verify`: the proof that a lab grades what it says it grades.
//!
//! For each lab: the starter fails the check that `[starter]` names, the solution passes, and
//! each planted wrong answer fails the check that it names.

use std::{fmt, path::PathBuf, sync::Arc, time::Instant};

use console::{StyledObject, style};
use course::{Arch, Lab};

use crate::{
    check::{self, Job},
    cli::Verify,
    pool,
    report::{LabReport, Word},
    site::Site,
    trouble::{Exit, Outcome},
    vm::{self, On},
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
pub fn run(site: &Site, options: &Verify) -> Outcome {
    let course = site.course()?;
    let mut labs = Vec::new();
    for name in &options.labs {
        labs.push(course.find(name)?);
    }
    if labs.is_empty() {
        labs = course.labs.iter().collect();
    }
    let places = match (&options.kernel, options.arch) {
        (None, Arch::HERE) => vec![On::Native],
        (wanted, arch) => {
            let wanted = wanted.as_deref().unwrap_or("newest");
            vm::kernels(site, wanted, arch)?
                .into_iter()
                .map(On::Vm)
                .collect()
        }
    };
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..1 << 32));
    let attended = console::user_attended();
    let mut count = Count::default();
    let mut trouble = None;
    let cases = labs
        .into_iter()
        .flat_map(|lab| cases(lab, options.brief))
        .flat_map(|case| {
            let prepared = check::prepare(&Job {
                site,
                lab: case.lab,
                variant: case.name.clone(),
                shown_as: format!("my/{}", case.lab.slug),
                files: case.files.clone(),
                step: case.step,
                seed,
                tell_truth: case.tell_truth,
                on: &places,
                interactive: attended,
            });
            let built = Arc::new((case, prepared));
            places.iter().map(move |on| (on, built.clone()))
        });
    pool::in_order(
        vm::at_once(&places),
        cases,
        |(on, built)| {
            let begin = Instant::now();
            let (case, prepared) = &*built;
            let proof = match prepared {
                Ok(prepared) => judge(case, &prepared.run(on)),
                Err(trouble) => Proof::Unknown(trouble.report.to_string()),
            };
            let exit = prepared.as_ref().err().map(|trouble| trouble.exit);
            let names = (case.lab.slug.to_string(), case.name.clone());
            // Not what was prepared: its lock must not wait until this is told.
            (on, names, exit, proof, begin.elapsed().as_secs_f64())
        },
        |(on, (lab, case), exit, proof, seconds)| {
            trouble = trouble.or(exit);
            let kernel = match on {
                On::Native => String::new(),
                On::Vm(kernel) => format!("{:<6}", kernel.name),
            };
            outln!(
                "{}  {:<18} {:<28} {kernel}{seconds:>5.1} s  {}",
                count.add(&proof),
                lab,
                case,
                proof.text()
            );
        },
    );
    outln!("seed {seed}\n{count}");
    Ok(trouble.unwrap_or_else(|| count.exit()))
}

/// What the proofs came to.
#[derive(Default)]
struct Count {
    passed: usize,
    failed: usize,
    skipped: usize,
    errors: usize,
}

impl Count {
    /// Counts a proof; gives the mark that its line begins with.
    fn add(&mut self, proof: &Proof) -> StyledObject<&'static str> {
        let (count, mark) = match proof {
            Proof::Holds(_) => (&mut self.passed, style("ok  ").green()),
            Proof::Skipped(_) => (&mut self.skipped, style("skip").yellow()),
            Proof::Broken(_) => (&mut self.failed, style("FAIL").red()),
            Proof::Unknown(_) => (&mut self.errors, style("err ").magenta()),
        };
        *count += 1;
        mark
    }

    fn exit(&self) -> Exit {
        match (self.failed, self.errors) {
            (0, 0) => Exit::Pass,
            (0, _) => Exit::Infrastructure,
            _ => Exit::Fail,
        }
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            passed,
            failed,
            skipped,
            ..
        } = self;
        write!(f, "{passed} passed, {failed} failed, {skipped} skipped")?;
        match self.errors {
            0 => Ok(()),
            1 => f.write_str(", 1 error"),
            n => write!(f, ", {n} errors"),
        }
    }
}

/// All cases of a lab, or in brief its solution and its first wrong answer.
fn cases(lab: &Lab, brief: bool) -> Vec<Case<'_>> {
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
    if brief {
        cases.drain(..1);
        cases.truncate(2);
    }
    cases
}

enum Proof {
    Holds(String),
    Skipped(String),
    Broken(String),
    /// The machine, or Probelab, is at fault.
    Unknown(String),
}

impl Proof {
    fn text(&self) -> &str {
        let (Self::Holds(text) | Self::Skipped(text) | Self::Broken(text) | Self::Unknown(text)) =
            self;
        text
    }
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
