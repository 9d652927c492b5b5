//! The survey, on real processes and a real kernel: which programs ran, and where.
//! Needs root and `go`; skipped, with the reason, where either is missing.

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use common::known::{Working, build, can_sample};
use goprof::{Edges, Error, Meta, Program, Survey, Surveyed, Where};

/// Odd, so that it keeps step with nothing.
const HZ: u32 = 997;

/// Looks, as it should be, several times a second.
fn look(survey: &mut Survey, time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        std::thread::sleep(Duration::from_millis(50));
        survey.look().expect("records");
    }
}

/// Looks until a program has this many samples.
fn look_until(survey: &mut Survey, exe: &Path, enough: u64) -> Surveyed {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        look(survey, Duration::from_millis(200));
        let surveyed = survey.result().expect("a result");
        let samples = program(&surveyed, exe).map_or(0, |program| program.samples.total());
        if samples >= enough || Instant::now() > end {
            return surveyed;
        }
    }
}

fn program<'a>(surveyed: &'a Surveyed, exe: &Path) -> Option<&'a Program> {
    let mut programs = surveyed.programs.iter();
    programs.find(|program| Path::new(&program.path) == exe)
}

fn edges(program: Program) -> Edges {
    let meta = Meta {
        period_nanos: 1_000_000_000 / i64::from(HZ),
        time_nanos: 0,
        duration_nanos: 1_000_000_000,
    };
    let mut symbols = program.symbols;
    Edges::of(&goprof::to_profile(&program.samples, &mut symbols, meta))
}

/// A program that runs twice is told once, also where its code is at another address each time; and one
/// that starts later is told as one that ran before.
#[test]
fn processes_are_told_by_the_program_that_they_run() {
    if !can_sample() {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary directory");
    let exe = build(folder.path(), "known", &["-buildmode=pie"]);
    let before = Working::start(&exe);
    let mut survey = Survey::start(&Where::All, HZ).expect("it samples");
    let _later = Working::start(&exe);
    let mut surveyed = look_until(&mut survey, &exe, 4_000);
    assert_eq!((surveyed.lost, surveyed.records_lost), (0, 0));
    let at = surveyed
        .programs
        .iter()
        .position(|program| Path::new(&program.path) == exe);
    let program = surveyed.programs.remove(at.expect("it is there"));
    assert_eq!(program.processes, 2);
    assert_eq!(
        program.package.as_deref(),
        Some("probelab.dev/fixtures/known-calls")
    );
    assert!(!program.build_id.is_empty());
    let edges = edges(program);
    let right = before.truth.overlap(&edges);
    // Of 4,000 samples each callee has some five hundred: a share of 0.69 deviates by 0.02.
    assert!(right >= 0.96, "{right} of {edges:#?}");
}

/// Its file is deleted as soon as it has started, and it has ended before anybody asks.
#[test]
fn a_program_that_is_gone_is_told() {
    if !can_sample() {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary directory");
    let exe = build(folder.path(), "known", &[]);
    let mut survey = Survey::start(&Where::All, HZ).expect("it samples");
    let working = Working::start(&exe);
    look(&mut survey, Duration::from_millis(200));
    fs::remove_file(&exe).expect("it is there");
    look(&mut survey, Duration::from_millis(500));
    drop(working);
    let surveyed = survey.result().expect("a result");
    let program = program(&surveyed, &exe).expect("it is told");
    assert!(program.samples.total() > 50, "{program:?}");
}

/// A shell that becomes a Go program: what it does before is not that program's.
#[test]
fn a_process_is_the_program_that_it_has_become() {
    if !can_sample() {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary directory");
    let exe = build(folder.path(), "known", &[]);
    let mut survey = Survey::start(&Where::All, HZ).expect("it samples");
    let script = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; exec \"$0\"";
    let working = Working::from(Command::new("sh").args(["-c", script]).arg(&exe));
    let surveyed = look_until(&mut survey, &exe, 300);
    let program = program(&surveyed, &exe).expect("it is told");
    assert_eq!(program.processes, 1);
    assert!(surveyed.other > 20, "{surveyed:?}");
    drop(working);
}

/// A cgroup2 directory of our own; removed in the end, when nothing is in it.
struct Group(PathBuf);

impl Group {
    /// `None`, with the reason, where there is no such file system to write to.
    fn create(name: &str) -> Option<Self> {
        let mounts = fs::read_to_string("/proc/mounts").expect("mounts");
        let root = mounts.lines().find_map(|line| {
            let mut fields = line.split(' ');
            let root = fields.nth(1)?;
            (fields.next()? == "cgroup2").then_some(root)
        });
        let Some(root) = root else {
            eprintln!("skipped: no cgroup2 file system is mounted");
            return None;
        };
        let path = Path::new(root).join(format!("{name}-{}", std::process::id()));
        if let Err(error) = fs::create_dir_all(path.join("below")) {
            eprintln!("skipped: {}: {error}", path.display());
            return None;
        }
        Some(Self(path))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for path in [self.0.join("below"), self.0.clone()] {
            let _ = fs::remove_dir(path);
        }
    }
}

#[test]
fn a_control_group_is_all_that_is_below_it_and_nothing_else() {
    if !can_sample() {
        return;
    }
    let Some(group) = Group::create("goprof-test") else {
        return;
    };
    let folder = tempfile::tempdir().expect("a temporary directory");
    let inside = build(folder.path(), "inside", &[]);
    let outside = build(folder.path(), "outside", &[]);
    let (inner, _outer) = (Working::start(&inside), Working::start(&outside));
    fs::write(group.0.join("below/cgroup.procs"), inner.id().to_string()).expect("it moves");
    let mut survey = Survey::start(&Where::ControlGroup(group.0.clone()), HZ).expect("it samples");
    let surveyed = look_until(&mut survey, &inside, 300);
    let paths: Vec<&str> = surveyed
        .programs
        .iter()
        .map(|program| &*program.path)
        .collect();
    assert_eq!(paths, [common::text(&inside)]);
    assert_eq!(surveyed.other, 0, "{surveyed:?}");
    drop(inner);
}

#[test]
fn what_is_no_control_group_is_told() {
    for (path, why) in [
        ("/nowhere", "no file cgroup.procs"),
        ("/proc", "no file cgroup.procs"),
    ] {
        let error = Survey::start(&Where::ControlGroup(path.into()), HZ).map(drop);
        let text = error.as_ref().map_err(Error::to_string).expect_err(path);
        assert!(text.contains(why), "{text}");
    }
}
