//! `kill -9` at any moment: the progress file stays whole and never goes back.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::Fixture;
use course::{Progress, Slug, StepId, StepResult, Verdict};

const DIR: &str = "PROGRESS_TEST_DIR";
const KILLS: u64 = 50;

fn attempts(progress: &Progress) -> u64 {
    let lab = progress.state().labs.get("first-probe");
    lab.map_or(0, |lab| lab.revisions[&1].steps["count"].attempts)
}

fn record_one(progress: &mut Progress) {
    let result = StepResult {
        step: StepId::new("count").unwrap(),
        verdict: Verdict::Fail,
        points: 1,
        of: 10,
        checks: Vec::new(),
    };
    progress.record(&Slug::new("first-probe").unwrap(), 1, &result);
    progress.save().unwrap();
}

/// Records for ever, and says how much is saved each time. Does nothing when run by hand.
#[test]
#[ignore = "the program that the other test kills"]
fn writer() {
    let Some(dir) = std::env::var_os(DIR) else {
        return;
    };
    let (mut progress, notice) = Progress::open(Path::new(&dir)).unwrap();
    assert_eq!(notice, None);
    loop {
        record_one(&mut progress);
        println!("saved {}", attempts(&progress));
        std::io::stdout().flush().unwrap();
    }
}

#[test]
fn fifty_kills_leave_a_whole_file_with_all_that_was_acknowledged() {
    let fixture = Fixture::sound();
    let dir = fixture.path("my");
    let mut acknowledged = 0;
    let mut busy_rounds = 0;
    for round in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "writer",
                "--exact",
                "--ignored",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(DIR, &dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let saved = |line: &str| {
            line.rsplit_once("saved ")
                .and_then(|(_, n)| n.parse::<u64>().ok())
        };
        // Let it get going, then kill it somewhere within a save. The offsets cover one save of
        // a slow disk and many of a quick one, in no order that a save's length could follow.
        let first = lines.by_ref().find_map(|line| saved(&line.unwrap()));
        let microseconds = (round * 7_919) % 9_973;
        std::thread::sleep(Duration::from_micros(microseconds));
        child.kill().unwrap();
        child.wait().unwrap();
        let rest = lines
            .map_while(Result::ok)
            .filter_map(|line| saved(&line))
            .last();
        acknowledged = rest.or(first).unwrap_or(acknowledged);
        busy_rounds += u64::from(first.is_some());

        let (progress, notice) = Progress::open(&dir).unwrap();
        assert_eq!(notice, None, "round {round} broke the file");
        let kept = attempts(&progress);
        // One more than acknowledged: saved, and killed before saying so.
        assert!(
            kept == acknowledged || kept == acknowledged + 1,
            "round {round}: {acknowledged} acknowledged, {kept} kept"
        );
    }
    assert_eq!(busy_rounds, KILLS, "some writers never saved");
}
