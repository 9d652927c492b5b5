//! What progress remembers, and what it does with a file that it can't read.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;

use common::{Fixture, LAB};
use course::progress::StepRecord;
use course::{CheckId, Course, Progress, Slug, StepId, StepResult, Verdict};

fn open(fixture: &Fixture) -> Progress {
    let (progress, notice) = Progress::open(&fixture.path("my")).unwrap();
    assert_eq!(notice, None);
    progress
}

fn slug() -> Slug {
    Slug::new("first-probe").unwrap()
}

fn result(verdict: Verdict, points: u32) -> StepResult {
    StepResult {
        step: StepId::new("count").unwrap(),
        verdict,
        points,
        of: 10,
        checks: vec![(CheckId::new("counts-match").unwrap(), verdict)],
    }
}

fn record<'a>(progress: &'a Progress, course: &Course) -> &'a StepRecord {
    let lab = course.find("first-probe").unwrap();
    progress.step(lab, &lab.steps[0].id).unwrap()
}

#[test]
fn a_saved_record_is_there_when_opened_again() {
    let fixture = Fixture::sound();
    let course = fixture.load().unwrap();
    let mut progress = open(&fixture);
    progress.record(&slug(), 1, &result(Verdict::Pass, 10));
    progress.record_hint(&slug(), 1, &StepId::new("count").unwrap(), 2);
    progress.save().unwrap();
    let again = open(&fixture);
    assert_eq!(again.state(), progress.state());
    assert_eq!(record(&again, &course).hint_level, 2);
    assert!(again.is_lab_passed(&course.labs[0]));
}

#[test]
fn the_best_points_stay_and_error_and_skipped_change_none() {
    use Verdict::{Error, Fail, Pass, Skipped};
    let fixture = Fixture::sound();
    let course = fixture.load().unwrap();
    let mut progress = open(&fixture);
    // Given, points given, then: best, attempts.
    for (verdict, points, best, attempts) in [
        (Error, 10, 0, 0),
        (Fail, 4, 4, 1),
        (Fail, 2, 4, 2),
        (Skipped, 10, 4, 2),
        (Pass, 10, 10, 3),
        (Fail, 0, 10, 4),
        (Error, 0, 10, 4),
    ] {
        progress.record(&slug(), 1, &result(verdict, points));
        let record = record(&progress, &course);
        assert_eq!(
            (record.best, record.attempts),
            (best, attempts),
            "{verdict} {points}"
        );
        assert_eq!(record.last, Some(verdict));
    }
}

#[test]
fn a_new_revision_keeps_the_old_record_and_asks_again() {
    let fixture = Fixture::sound();
    let mut progress = open(&fixture);
    progress.record(&slug(), 1, &result(Verdict::Pass, 10));
    fixture.lab(
        "010-first-probe",
        &LAB.replace("revision = 1", "revision = 2"),
    );
    let course = fixture.load().unwrap();
    let lab = &course.labs[0];
    assert!(progress.needs_recheck(lab) && !progress.is_lab_passed(lab));
    progress.record(&slug(), 2, &result(Verdict::Pass, 10));
    assert!(!progress.needs_recheck(lab) && progress.is_lab_passed(lab));
    let kept: Vec<u32> = progress.state().labs[&slug()]
        .revisions
        .keys()
        .copied()
        .collect();
    assert_eq!(kept, [1, 2]);
}

#[test]
fn two_programs_that_record_at_once_lose_nothing() {
    let fixture = Fixture::sound();
    let course = fixture.load().unwrap();
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                let mut progress = open(&fixture);
                for _ in 0..10 {
                    progress.record(&slug(), 1, &result(Verdict::Fail, 3));
                    progress.save().unwrap();
                }
            });
        }
    });
    assert_eq!(record(&open(&fixture), &course).attempts, 40);
}

#[test]
fn the_file_has_the_published_shape() {
    let fixture = Fixture::sound();
    let mut progress = open(&fixture);
    progress.record_start(&slug());
    progress.record(&slug(), 1, &result(Verdict::Pass, 10));
    progress.save().unwrap();
    let text = fs::read_to_string(fixture.path("my/progress.json")).unwrap();
    let mut in_time = String::new();
    for line in text.lines() {
        // Times differ from run to run.
        match line.split_once("\"20") {
            Some((before, rest)) if rest.ends_with(['"', ',']) => {
                in_time += before;
                in_time += if rest.ends_with(',') { "TIME," } else { "TIME" };
            }
            _ => in_time += line,
        }
        in_time.push('\n');
    }
    insta::assert_snapshot!("progress-json", in_time);
}

#[test]
fn a_broken_file_is_kept_aside_and_said() {
    let sound = r#"{"schema":"probelab/progress/v1","labs":{}"#;
    for (case, text) in [
        ("cut-short", sound.to_owned()),
        ("empty", String::new()),
        ("no-schema", "{}".to_owned()),
        ("other-schema", r#"{"schema":"todo/v1"}"#.to_owned()),
        ("unknown-field", format!("{sound},\"extra\":1}}")),
        (
            "bad-slug",
            sound.replace(
                "{}",
                "{\"../x\":{\"started\":\"2026-01-01T00:00:00Z\",\"revisions\":{}}}",
            ) + "}",
        ),
    ] {
        let fixture = Fixture::sound();
        fixture.write("my/progress.json", &text);
        let (progress, notice) = Progress::open(&fixture.path("my")).unwrap();
        let notice = notice.unwrap();
        assert_eq!(fs::read_to_string(&notice.kept).unwrap(), text, "{case}");
        assert!(progress.state().labs.is_empty());
        let name = notice
            .kept
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        let told = fixture
            .show(&notice)
            .replace(&name, "progress.json.corrupt-TIME");
        insta::assert_snapshot!(format!("corrupt-{case}"), told);
    }
}

#[test]
fn a_file_that_breaks_while_open_costs_nothing_that_was_known() {
    let fixture = Fixture::sound();
    let course = fixture.load().unwrap();
    let mut progress = open(&fixture);
    progress.record(&slug(), 1, &result(Verdict::Pass, 10));
    progress.save().unwrap();
    fixture.write("my/progress.json", "{");
    progress.record(&slug(), 1, &result(Verdict::Fail, 0));
    assert!(progress.save().unwrap().is_some());
    let again = open(&fixture);
    let record = record(&again, &course);
    assert_eq!((record.best, record.attempts), (10, 2));
}

#[test]
fn a_newer_file_is_refused_and_left_alone() {
    let fixture = Fixture::sound();
    let text = r#"{"schema":"probelab/progress/v2","people":[]}"#;
    let mut before = open(&fixture);
    before.record(&slug(), 1, &result(Verdict::Pass, 10));
    fixture.write("my/progress.json", text);
    let error = Progress::open(&fixture.path("my")).unwrap_err();
    insta::assert_snapshot!("newer-progress", fixture.show(&error));
    assert!(before.save().is_err());
    let files: Vec<_> = fs::read_dir(fixture.path("my"))
        .unwrap()
        .flatten()
        .collect();
    let names: Vec<_> = files.iter().map(|f| f.file_name()).collect();
    assert!(
        names
            .iter()
            .all(|n| n == "progress.json" || n == "progress.lock")
    );
    assert_eq!(
        fs::read_to_string(fixture.path("my/progress.json")).unwrap(),
        text
    );
}

#[test]
fn a_folder_that_cannot_be_made_is_told() {
    let fixture = Fixture::sound();
    fixture.write("my", "a file");
    let error = Progress::open(&fixture.path("my")).unwrap_err();
    insta::assert_snapshot!("progress-folder", fixture.show(&error));
}
