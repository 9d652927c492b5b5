//! From a learner's files to a verdict: overlay, build, run.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Instant,
};

use course::{Arch, ArtifactKind, Lab, Step};
use labcheck::{
    machine,
    plan::{Plan, PlannedStep, RunSpec},
    verdict::{StepResult, Verdict},
};

use crate::{
    build::Builder,
    elevate,
    lock::Lock,
    needs, registry,
    report::{LabReport, StepReport, Word},
    site::Site,
    trouble::{Outcome, Trouble},
    vm::{self, On},
};

/// One lab to be checked, on one or several kernels.
pub struct Job<'a> {
    pub site: &'a Site,
    pub lab: &'a Lab,
    /// Whose files: laid over the pristine lab. `None` is the starter.
    pub files: Option<PathBuf>,
    /// Names the tree that it is built in: `my`, `solution`, `wrong-…`.
    pub variant: String,
    /// How messages call the folder.
    pub shown_as: String,
    /// Only this step; else all.
    pub step: Option<&'a Step>,
    pub seed: u64,
    /// See [`Plan::tell_truth`].
    pub tell_truth: bool,
    /// Which machines.
    pub on: &'a [On],
    /// Whether the command that gains privilege is announced and may ask for a password.
    pub interactive: bool,
}

/// A lab that has been built, ready to be checked.
pub struct Prepared<'a> {
    site: &'a Site,
    lab: &'a Lab,
    /// Those asked for.
    steps: Vec<&'a Step>,
    hash: String,
    /// Why nothing can be checked, or what to run.
    work: Result<Work, String>,
    seconds: f64,
    interactive: bool,
    /// From the files to the verdict: another check of the same variant would exchange them.
    _lock: Lock,
}

/// What there is to run.
struct Work {
    /// Of the steps that could be built; `None` when none could.
    plan: Option<Plan>,
    /// The steps that could not.
    unbuilt: Vec<StepResult>,
}

/// Lays the files out and builds them. An `Err` is a mistake in how `lab` was called or in the course
/// itself; all that can happen to a learner is in the reports.
pub fn prepare<'a>(job: &Job<'a>) -> Outcome<Prepared<'a>> {
    let Job { site, lab, .. } = *job;
    let tree = site.tree(lab, &job.variant);
    let lock = Lock::wait(
        &site.tree_lock(lab, &job.variant)?,
        &format!("another check of {}", lab.slug),
    )?;
    let overlaid = course::overlay(lab, job.files.as_deref(), &tree)?;
    let steps: Vec<&Step> = lab
        .steps
        .iter()
        .filter(|step| job.step.is_none_or(|only| only.id == step.id))
        .collect();
    let begin = Instant::now();
    let work = if job.on.iter().all(|on| needs::lacking(lab, on).is_some()) {
        Ok(Work {
            plan: None,
            unbuilt: Vec::new(),
        })
    } else {
        build(job, &steps, tree)
    };
    Ok(Prepared {
        site,
        lab,
        steps,
        hash: overlaid.hash,
        work,
        seconds: begin.elapsed().as_secs_f64(),
        interactive: job.interactive,
        _lock: lock,
    })
}

/// Builds what the steps need. An `Err` says that the tools failed, not the learner.
fn build(job: &Job<'_>, steps: &[&Step], tree: PathBuf) -> Result<Work, String> {
    // Those machines are all of one architecture.
    let arch = job.on.first().map_or(Arch::HERE, On::arch);
    let builder = Builder {
        site: job.site,
        lab: job.lab,
        tree: tree.clone(),
        out: job.site.out(job.lab, &job.variant, arch),
        arch,
        shown_as: job.shown_as.clone(),
    };
    if arch != Arch::HERE {
        let lock = job.site.root.join(labvm::kernels::LOCK);
        labvm::kernels::Lock::read(&lock)
            .and_then(|lock| labvm::sysroot::ready(&lock, arch))
            .map_err(|error| Trouble::from(error).report.to_string())?;
    }
    let mut built = Vec::new();
    let mut unbuilt = Vec::new();
    let mut artifacts = BTreeMap::new();
    for step in steps {
        match builder.build(&job.lab.artifacts_for(step)) {
            Err(trouble) => return Err(trouble.report.to_string()),
            Ok(Err(rejected)) => {
                let more = match rejected.count {
                    0 | 1 => String::new(),
                    n => format!("\n({} more)", n - 1),
                };
                let message = format!(
                    "does not compile, so not graded:\n{}{more}",
                    rejected.first_error
                );
                unbuilt.push(self::unbuilt(step, message));
            }
            Ok(Ok(files)) => {
                artifacts.extend(files);
                built.push(*step);
            }
        }
    }
    let plan = (!built.is_empty()).then(|| plan(job, &built, artifacts, tree));
    Ok(Work { plan, unbuilt })
}

impl Prepared<'_> {
    /// What there is to run, if anything could be built.
    pub fn plan(&self) -> Option<&Plan> {
        self.work.as_ref().ok()?.plan.as_ref()
    }

    /// Checks it there.
    pub fn run(&self, on: &On) -> LabReport {
        let mut report = LabReport::error(self.lab, on, String::new());
        report.hash.clone_from(&self.hash);
        report.build_seconds = self.seconds;
        if let Some(why) = needs::lacking(self.lab, on) {
            report.verdict = Word::Skipped;
            report.message = why;
            return report;
        }
        let work = match &self.work {
            Ok(work) => work,
            Err(why) => {
                report.message.clone_from(why);
                return report;
            }
        };
        let begin = Instant::now();
        let mut results = work.unbuilt.clone();
        if let Some(plan) = &work.plan {
            results.extend(match on {
                On::Native => run(plan, self.interactive),
                On::Vm(kernel) => {
                    let ran = vm::run(self.site, self.lab, plan, kernel);
                    if let Ok(ran) = &ran {
                        report.accelerator = Some(ran.accelerator.word().to_owned());
                        report.outcome = Some(ran.outcome.word().to_owned());
                    }
                    ran.and_then(|ran| ran.results).unwrap_or_else(|trouble| {
                        unreachable_steps(plan, &trouble.report.to_string())
                    })
                }
            });
        }
        report.check_seconds = begin.elapsed().as_secs_f64();
        for step in &self.steps {
            let result = results.iter().find(|result| step.id == *result.id.as_str());
            report.steps.push(match result {
                Some(result) => StepReport::new(step, result),
                // The runner ended before this step.
                None => StepReport::new(
                    step,
                    &unreached(step, Verdict::Error, "the check runner ended early"),
                ),
            });
        }
        report.points = report.steps.iter().map(|step| step.points).sum();
        report.of = self.steps.iter().map(|step| step.points).sum();
        report.verdict = Word::worst(report.steps.iter().map(|step| step.verdict));
        report
    }
}

/// Builds a job and checks it on the first of its machines.
pub fn check(job: &Job<'_>) -> Outcome<LabReport> {
    let on = job.on.first().unwrap_or(&On::Native);
    Ok(prepare(job)?.run(on))
}

/// Every step of a plan, unreached for this reason.
fn unreachable_steps(plan: &Plan, why: &str) -> Vec<StepResult> {
    let error = |step: &PlannedStep| {
        StepResult::unreached(&step.id, Verdict::Error, why, step.checks.iter().cloned())
    };
    plan.steps.iter().map(error).collect()
}

/// A step whose code does not compile: its first check failed, with the compiler's words.
fn unbuilt(step: &Step, message: String) -> StepResult {
    let mut result = unreached(step, Verdict::Fail, "");
    if let Some(first) = result.checks.first_mut() {
        (first.verdict, first.message) = (Some(Verdict::Fail), message);
    }
    result
}

fn unreached(step: &Step, verdict: Verdict, message: &str) -> StepResult {
    let checks = step.checks.iter().map(ToString::to_string);
    StepResult::unreached(step.id.as_str(), verdict, message, checks)
}

fn plan(
    job: &Job<'_>,
    steps: &[&Step],
    artifacts: BTreeMap<String, PathBuf>,
    tree: PathBuf,
) -> Plan {
    let lab = job.lab;
    Plan {
        slug: lab.slug.to_string(),
        steps: steps
            .iter()
            .map(|step| PlannedStep {
                id: step.id.to_string(),
                checks: step.checks.iter().map(ToString::to_string).collect(),
                run: lab.run_for(step).map(run_spec),
            })
            .collect(),
        artifacts,
        tree,
        learner_dir: job.shown_as.clone(),
        edit: lab.edit.clone(),
        capabilities: capabilities(lab),
        perf_events_only: perf_events_only(lab),
        privileged: needs_privilege(lab),
        seed: job.seed,
        tell_truth: job.tell_truth,
        guest: false,
    }
}

/// How the learner's program is run, for the runner.
fn run_spec(run: &course::Run) -> RunSpec {
    RunSpec {
        artifact: run.artifact.to_string(),
        bpf: run.bpf.as_ref().map(ToString::to_string),
        args: run.args.clone(),
        env: run.env.clone(),
        ready: run.ready.clone(),
        stop: run.stop.number(),
        seconds: run.seconds,
        output_kib: run.output_kib,
    }
}

/// The capabilities of the learner's program, by number.
fn capabilities(lab: &Lab) -> Vec<u8> {
    lab.needs
        .capabilities
        .iter()
        .map(|capability| capability.number())
        .collect()
}

/// See [`Plan::perf_events_only`].
fn perf_events_only(lab: &Lab) -> bool {
    let types = &lab.needs.program_types;
    !types.is_empty()
        && types
            .iter()
            .all(|kind| ["tracepoint", "kprobe", "perf-event"].contains(&kind.as_str()))
}

/// Whether the lab's checks must run as root: its program has something in the kernel.
pub fn needs_privilege(lab: &Lab) -> bool {
    !lab.needs.capabilities.is_empty()
        || lab.artifacts.iter().any(|artifact| {
            matches!(
                artifact.kind,
                ArtifactKind::BpfRust
                    | ArtifactKind::BpfC
                    | ArtifactKind::Kmod
                    | ArtifactKind::Cbpf
            )
        })
}

/// Runs a plan here, or as root where it needs that and we are not.
pub fn run(plan: &Plan, interactive: bool) -> Vec<StepResult> {
    if plan.privileged && !machine::is_root() {
        return elevate::run(plan, interactive).unwrap_or_else(|why| unreachable_steps(plan, &why));
    }
    let Some(checks) = registry::checks(&plan.slug) else {
        let why = format!("this `lab` was built without the checks of {}", plan.slug);
        return unreachable_steps(plan, &why);
    };
    let mut results = Vec::new();
    labcheck::runner::run(plan, checks, |result| results.push(result));
    results
}

/// The folder that a learner named, checked to be one.
pub fn answer_folder(path: &Path) -> Outcome<PathBuf> {
    if path.is_dir() {
        return Ok(path.to_owned());
    }
    Err(crate::trouble::Trouble::usage(
        format!("{} is not a folder", path.display()),
        "give the folder that holds the answer's files, under the names that they have in the lab",
    ))
}
