//! `lab check`.

use std::{path::PathBuf, sync::Arc};

use course::{Arch, Course, Lab, Progress, StepResult, Verdict};
use jiff::Timestamp;

use super::{progress, save};
use crate::{
    check::{self, Job, Prepared},
    cli::{self, Check, Format},
    pool,
    report::{LabReport, Report, Word, human, junit},
    site::Site,
    trouble::{Outcome, Trouble},
    vm::{self, On},
};

/// Runs the command.
pub fn run(site: &Site, options: &Check) -> Outcome {
    let course = site.course()?;
    let mut progress = progress(site)?;
    let labs = chosen(site, &course, &progress, options)?;
    if options.on == cli::Where::Native && (options.kernel.is_some() || options.arch != Arch::HERE)
    {
        return Err(Trouble::usage(
            "--on native is about this machine; --kernel and --arch are about virtual ones",
            "leave one of them out",
        ));
    }
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..1 << 32));
    let started = Timestamp::now().to_string();
    // Looked up once, when a lab wants them.
    let mut machines = None;
    let mut places = Vec::new();
    for lab in &labs {
        places.push(if is_native(options, lab) {
            vec![On::Native]
        } else {
            if machines.is_none() {
                machines = Some(self::machines(site, options)?);
            }
            machines.clone().unwrap_or_default()
        });
    }
    let several = places.iter().map(Vec::len).sum::<usize>() > 1;
    let kernels = places.iter().any(|places| places.len() > 1);
    let mut reports: Vec<LabReport> = Vec::new();
    let mut refused = None;
    let mut trouble = None;
    let tasks = labs.iter().zip(&places).flat_map(|(&lab, places)| {
        let prepared = Arc::new(prepare(site, lab, places, options, seed));
        places
            .iter()
            .enumerate()
            .map(move |(at, on)| (lab, on, at + 1 == places.len(), prepared.clone()))
    });
    // Those of the lab that is being told.
    let mut of_lab: Vec<LabReport> = Vec::new();
    pool::in_order(
        vm::at_once(places.iter().flatten()),
        tasks,
        |(lab, on, last, prepared)| {
            let outcome = match &*prepared {
                Ok(prepared) => Ok(prepared.run(on)),
                // One folder that can't be taken says nothing about the others.
                Err(trouble) => Err((
                    trouble.exit,
                    format!("{:?}", trouble.report),
                    LabReport::error(lab, on, trouble.report.to_string()),
                )),
            };
            (lab, last, outcome)
        },
        |(lab, last, outcome)| {
            let report = match outcome {
                Ok(report) => report,
                Err((exit, message, report)) => {
                    refused = Some(exit);
                    if !several {
                        errln!("{message}");
                        return;
                    }
                    report
                }
            };
            of_lab.push(report);
            // Another's files say nothing about the learner's own progress.
            if options.answer.is_none() && last {
                record(&mut progress, lab, &of_lab);
                if let Err(error) = save(&mut progress) {
                    trouble = Some(error);
                }
            }
            let next = of_lab
                .last()
                .is_some_and(|report| report.verdict == Word::Pass && options.answer.is_none())
                .then(|| course.next(&progress, course.track(None).ok()?))
                .flatten();
            if let Some(report) = of_lab.last() {
                tell(report, next, options, seed, kernels);
            }
            if last {
                reports.append(&mut of_lab);
            }
        },
    );
    if let Some(trouble) = trouble {
        return Err(trouble);
    }
    if let (Some(exit), true) = (refused, reports.is_empty()) {
        return Ok(exit);
    }
    let report = Report::new(seed, started, reports);
    match options.format {
        Format::Human if report.labs.len() > 1 => {
            outln!("{}", human::total(&report, kernels))
        }
        Format::Json => outln!(
            "{}",
            serde_json::to_string_pretty(&report).unwrap_or_default()
        ),
        Format::Junit => out!("{}", junit::document(&report)),
        Format::Human | Format::Jsonl => {}
    }
    Ok(refused.unwrap_or(report.verdict.exit()))
}

/// Prints a lab's report, where the format tells one at a time.
fn tell(report: &LabReport, next: Option<&Lab>, options: &Check, seed: u64, kernels: bool) {
    match options.format {
        Format::Human => {
            if kernels {
                outln!("Linux {}:", report.kernel);
            }
            let next = next.map(|next| format!("lab start {}", next.slug));
            out!("{}", human::lab(report, next.as_deref()));
            if options.raw {
                out!("{}", human::raw(report));
            }
            if report.verdict == Word::Fail {
                outln!("(seed {seed}; `--seed {seed}` replays)");
            }
        }
        Format::Jsonl => outln!("{}", serde_json::to_string(report).unwrap_or_default()),
        Format::Json | Format::Junit => {}
    }
}

/// Whether a lab is to be checked on this machine itself.
fn is_native(options: &Check, lab: &Lab) -> bool {
    if options.arch != Arch::HERE {
        return false;
    }
    match (&options.kernel, options.on) {
        (None, cli::Where::Native) => true,
        (None, cli::Where::Auto) => !check::needs_privilege(lab) || vm::native_is_meant(),
        _ => false,
    }
}

/// The virtual machines that were asked for.
fn machines(site: &Site, options: &Check) -> Outcome<Vec<On>> {
    let wanted = options.kernel.as_deref().unwrap_or("newest");
    Ok(vm::kernels(site, wanted, options.arch)?
        .into_iter()
        .map(On::Vm)
        .collect())
}

/// Which labs to check: those named; all that were started; or the one being worked on.
fn chosen<'a>(
    site: &Site,
    course: &'a Course,
    progress: &Progress,
    options: &Check,
) -> Outcome<Vec<&'a Lab>> {
    let mut labs = Vec::new();
    for name in &options.labs {
        labs.push(course.find(name)?);
    }
    if options.answer.is_some() && labs.len() != 1 {
        return Err(Trouble::usage(
            "--answer is about one lab",
            "name it: lab check LAB --answer DIR",
        ));
    }
    if !labs.is_empty() {
        return Ok(labs);
    }
    let started: Vec<&Lab> = course
        .labs
        .iter()
        .filter(|lab| site.my_lab(lab).is_dir())
        .collect();
    if options.all {
        labs = started;
    } else {
        labs.extend(started.into_iter().find(|lab| !progress.is_lab_passed(lab)));
    }
    if labs.is_empty() {
        return Err(Trouble::usage(
            "there is nothing to check in my/",
            "start a lab first: lab start",
        ));
    }
    Ok(labs)
}

fn prepare<'a>(
    site: &'a Site,
    lab: &'a Lab,
    on: &'a [On],
    options: &Check,
    seed: u64,
) -> Outcome<Prepared<'a>> {
    let (files, variant): (PathBuf, String) = match &options.answer {
        Some(dir) => {
            let dir = check::answer_folder(dir)?;
            // A tree for each folder: its builds stay incremental, and never mix with another's.
            let name = blake3::hash(
                std::fs::canonicalize(&dir)
                    .unwrap_or(dir.clone())
                    .as_os_str()
                    .as_encoded_bytes(),
            );
            (dir, format!("answer-{}", &name.to_hex()[..8]))
        }
        None => (site.my_lab(lab), "my".into()),
    };
    if !files.is_dir() {
        return Err(Trouble::usage(
            format!("you have not started {}", lab.slug),
            format!("put it into my/ first: lab start {}", lab.slug),
        ));
    }
    let step = match &options.step {
        None => None,
        Some(id) => Some(lab.step(id).ok_or_else(|| {
            let ids: Vec<&str> = lab.steps.iter().map(|step| step.id.as_str()).collect();
            Trouble::usage(
                format!("{} has no step {id}", lab.slug),
                format!("its steps: {}", ids.join(", ")),
            )
        })?),
    };
    check::prepare(&Job {
        site,
        lab,
        on,
        shown_as: site.shown(&files),
        files: Some(files),
        variant,
        step,
        seed,
        tell_truth: false,
        interactive: options.format == Format::Human && console::user_attended(),
    })
}

/// Writes what was graded into the learner's progress. On several kernels a step is passed when it
/// passes on one and fails on none.
fn record(progress: &mut Progress, lab: &Lab, reports: &[LabReport]) {
    for known in &lab.steps {
        let found = reports
            .iter()
            .flat_map(|report| &report.steps)
            .filter(|step| step.step == known.id.as_str())
            .min_by_key(|step| match step.verdict {
                Word::Fail => 0,
                Word::Pass => 1,
                Word::Error => 2,
                Word::Skipped => 3,
            });
        let Some(step) = found else {
            continue;
        };
        progress.record(
            &lab.slug,
            lab.revision,
            &StepResult {
                step: known.id.clone(),
                verdict: verdict(step.verdict),
                points: step.points,
                of: step.of,
                checks: known
                    .checks
                    .iter()
                    .zip(&step.checks)
                    .filter_map(|(id, check)| Some((id.clone(), verdict(check.verdict?))))
                    .collect(),
            },
        );
    }
}

fn verdict(word: Word) -> Verdict {
    match word {
        Word::Pass => Verdict::Pass,
        Word::Fail => Verdict::Fail,
        Word::Skipped => Verdict::Skipped,
        Word::Error => Verdict::Error,
    }
}
