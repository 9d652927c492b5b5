//! `lab tour`: the course's whole path in under five minutes. A lab is graded, a Go service is
//! sampled from the kernel, and the profile is built in and judged.

pub mod sample;

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use console::style;
use course::Lab;
use indicatif::{ProgressBar, ProgressStyle};
use labcheck::plan::{Plan, PlannedStep};
use pgo::{decisions::Change, ruler};

use crate::{
    build::go,
    check::{self, Job},
    commands::samples::{
        EVENT_STORE,
        arms::{self, Arm},
    },
    report::{Word, human},
    site::Site,
    trouble::{Exit, OrTrouble as _, Outcome, Trouble},
    vm::On,
};

/// The lab that is graded first.
const GRADED: &str = "first-probe";
/// Time for the paired measurement.
const SPAN: Duration = Duration::from_secs(60);
/// Decisions that are shown by name.
const SHOWN: usize = 6;

/// Runs the command.
pub fn run(site: &Site) -> Outcome {
    let begin = Instant::now();
    let course = site.course()?;
    let steps = 5;

    heading(
        1,
        steps,
        "A lab is graded: the solution of first-probe, in the running kernel",
    );
    let graded = course.find(GRADED)?;
    let solved = grade(site, graded, Some(graded.solution.clone()), "solution")?;
    if solved != Word::Pass {
        return Ok(if solved == Word::Fail {
            Exit::Infrastructure
        } else {
            solved.exit()
        });
    }
    outln!("   And the starter, as a learner gets it:");
    grade(site, graded, None, "starter")?;

    heading(
        2,
        steps,
        "The Go event store under load, sampled from the kernel",
    );
    let folder = site.target().join("tour");
    fs::create_dir_all(&folder)
        .or_infrastructure(|| format!("cannot make {}", site.shown(&folder)))?;
    let store = folder.join("eventstore-off");
    let load = folder.join("eventload");
    let without = spinning("building it without a profile", || {
        EVENT_STORE.build(site, &store, None)
    })?;
    spinning("building its load", || EVENT_STORE.build_load(site, &load))?;
    let profile = profile(&store, &load)?;
    let path = folder.join(sample::PROFILE);
    fs::write(&path, &profile)
        .or_infrastructure(|| format!("cannot write {}", site.shown(&path)))?;
    describe(site, &path, &profile)?;

    heading(3, steps, "The profile goes into the build: go build -pgo");
    let optimised = folder.join("eventstore-pgo");
    let with = spinning(
        "building it again with the profile (everything, std included)",
        || EVENT_STORE.build(site, &optimised, Some(&path)),
    )?;

    heading(
        4,
        steps,
        "What the compiler decided otherwise, in the service's own packages",
    );
    show(&Change::between(&without, &with));

    heading(
        5,
        steps,
        "Does it pay? CPU time for the same requests, three servers in turn",
    );
    measure(&store, &optimised, &load)?;
    outln!(
        "\n{} in {:.0} s. Begin: {}",
        style("Done").bold(),
        begin.elapsed().as_secs_f64(),
        style("lab start").bold()
    );
    Ok(Exit::Pass)
}

fn heading(at: usize, of: usize, text: &str) {
    outln!(
        "\n{} {}",
        style(format!("{at}/{of}")).bold(),
        style(text).bold()
    );
}

/// Shows that something is going on, and how long it took.
fn spinning<T>(what: &str, act: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    let begin = Instant::now();
    let bar = ProgressBar::new_spinner().with_message(what.to_owned());
    bar.enable_steady_tick(Duration::from_millis(120));
    let outcome = act();
    bar.finish_and_clear();
    outln!("   {what}: {:.1} s", begin.elapsed().as_secs_f64());
    outcome
}

fn grade(site: &Site, lab: &Lab, files: Option<PathBuf>, variant: &str) -> Outcome<Word> {
    let report = spinning("building and checking", || {
        check::check(&Job {
            site,
            lab,
            files,
            variant: variant.into(),
            shown_as: format!("my/{}", lab.slug),
            step: None,
            seed: fastrand::u64(..1 << 32),
            tell_truth: false,
            on: &[On::Native],
            interactive: true,
        })
    })?;
    for line in human::lab(&report, None).lines() {
        outln!("   {line}");
    }
    Ok(report.verdict)
}

/// Samples the store under load; returns the profile.
fn profile(store: &Path, load: &Path) -> Outcome<Vec<u8>> {
    let plan = Plan {
        slug: sample::SLUG.into(),
        steps: vec![PlannedStep {
            id: "sample".into(),
            checks: vec!["sees-it".to_owned()],
            run: None,
        }],
        artifacts: [("store", store), ("load", load)]
            .map(|(name, path)| (name.to_owned(), path.to_owned()))
            .into(),
        tree: store.parent().unwrap_or(store).to_owned(),
        learner_dir: String::new(),
        edit: Vec::new(),
        capabilities: Vec::new(),
        perf_events_only: false,
        privileged: true,
        seed: 1,
        tell_truth: false,
        guest: false,
    };
    let mut results = spinning(&format!("{} s of load, sampled", sample::SECONDS), || {
        Ok(check::run(&plan, true))
    })?;
    let mut result = results
        .pop()
        .ok_or_else(|| Trouble::infrastructure("the runner gave no result", ""))?;
    result.artefacts.remove(sample::PROFILE).ok_or_else(|| {
        let why = result
            .checks
            .iter()
            .map(|check| check.message.as_str())
            .find(|message| !message.is_empty())
            .unwrap_or(&result.message);
        Trouble::infrastructure(format!("no profile was made: {why}"), "see `lab doctor`")
    })
}

/// What is in the profile.
fn describe(site: &Site, path: &Path, bytes: &[u8]) -> Outcome<()> {
    let profile =
        goprof::read(bytes).or_infrastructure(|| "the profile can't be read".to_owned())?;
    outln!(
        "   {}: {} bytes, {} distinct stacks",
        site.shown(path),
        bytes.len(),
        profile.sample.len()
    );
    for finding in goprof::check(&profile) {
        outln!("   {}: {}", finding.id, finding.message);
    }
    let output = go::command()
        .args(["tool", "pprof", "-top", "-nodecount=5"])
        .arg(path)
        .output()
        .or_infrastructure(|| "cannot start go tool pprof".to_owned())?;
    for line in String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter(|line| line.contains('%'))
    {
        outln!("   {line}");
    }
    Ok(())
}

/// The decisions that the profile changed.
fn show(change: &Change) {
    let (inlined, direct) = (change.inlined().count(), change.devirtualised().count());
    outln!(
        "   {inlined} calls inlined and {direct} made direct because of the profile; {} inlined no more.",
        change.lost.len()
    );
    // Direct calls first: they are the rarer.
    for decision in change.devirtualised().chain(change.inlined()).take(SHOWN) {
        outln!("   {decision}");
    }
    if inlined + direct > SHOWN {
        outln!("   … and {} more", inlined + direct - SHOWN);
    }
}

/// Measures the builds against each other and says what that shows.
fn measure(store: &Path, optimised: &Path, load: &Path) -> Outcome<()> {
    let arms = [
        Arm::start(EVENT_STORE, store)?,
        Arm::start(EVENT_STORE, optimised)?,
        Arm::start(EVENT_STORE, store)?,
    ];
    let bar = ProgressBar::new(SPAN.as_secs()).with_style(
        ProgressStyle::with_template("   {bar:40} {pos}/{len} s")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let comparison = arms::compare(&arms, load, SPAN, 1, |elapsed| {
        bar.set_position(elapsed.as_secs())
    })?;
    bar.finish_and_clear();
    let estimates: Vec<ruler::Estimate> = comparison
        .ratios
        .iter()
        .filter_map(|ratios| ruler::estimate(std::slice::from_ref(ratios), 1))
        .collect();
    let [with, again] = estimates.as_slice() else {
        return Err(Trouble::infrastructure("nothing was measured", ""));
    };
    for (name, estimate) in [
        ("with the profile", with),
        ("without, a second copy", again),
    ] {
        let (change, low, high) = estimate.percent();
        outln!(
            "   {name:<24} {change:>+5.1} %  95 % interval [{low:+.1}, {high:+.1}]  {} rounds",
            estimate.pairs
        );
    }
    outln!("   {}", verdict(with, again));
    outln!("   One launch and one link layout each: enough to look at, not to quote.");
    Ok(())
}

/// What the two figures say together.
fn verdict(with: &ruler::Estimate, again: &ruler::Estimate) -> String {
    if !again.holds_one() {
        return "The second copy of the same program differs from the first, so this machine is too noisy now to tell anything.".into();
    }
    let (change, ..) = with.percent();
    match (with.holds_one(), change < 0.0) {
        (true, _) => "No effect shown: the interval holds zero.".into(),
        (false, true) => "The profile saves CPU time here: the interval lies below zero.".into(),
        (false, false) => "The profile costs CPU time here: the interval lies above zero.".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_follows_the_intervals() {
        let estimate = |ratio: f64, low, high| ruler::Estimate {
            ratio,
            interval: (low, high),
            pairs: 20,
        };
        let quiet = estimate(1.0, 0.99, 1.01);
        for (with, again, expected) in [
            (estimate(0.96, 0.94, 0.98), quiet, "saves"),
            (estimate(1.04, 1.02, 1.06), quiet, "costs"),
            (estimate(0.99, 0.97, 1.02), quiet, "No effect shown"),
            (
                estimate(0.96, 0.94, 0.98),
                estimate(1.05, 1.02, 1.08),
                "too noisy",
            ),
        ] {
            let text = verdict(&with, &again);
            assert!(text.contains(expected), "{text}");
        }
    }
}
