//! A learner's files over a pristine lab, also when the learner means harm.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use common::{Fixture, LAB};
use course::{Overlaid, OverlayError, overlay};

const EDIT: &str = "learner/ebpf/src/main.rs";

fn lay(fixture: &Fixture, learner: Option<&str>) -> Result<Overlaid, OverlayError> {
    let course = fixture.load().unwrap();
    let learner = learner.map(|dir| fixture.path(dir));
    overlay(&course.labs[0], learner.as_deref(), &fixture.path("into"))
}

fn refusal(fixture: &Fixture) -> String {
    fixture.show(&lay(fixture, Some("learner")).unwrap_err())
}

/// Every file under a folder with its text.
fn tree(dir: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().display().to_string();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

fn names(dir: &Path) -> Vec<String> {
    tree(dir).into_iter().map(|(name, _)| name).collect()
}

#[test]
fn the_starter_is_the_lab_without_what_the_harness_reads() {
    let fixture = Fixture::sound();
    let done = lay(&fixture, None).unwrap();
    let files = names(&fixture.path("into"));
    assert_eq!(files, ["Cargo.toml", "ebpf/src/main.rs", "src/main.rs"]);
    assert_eq!((done.taken.len(), done.written.len()), (0, 3));
}

#[test]
fn a_learners_file_lies_on_top_and_the_lab_stays_pristine() {
    let fixture = Fixture::sound();
    fixture.write(EDIT, "// mine\n");
    let done = lay(&fixture, Some("learner")).unwrap();
    assert_eq!(done.taken, [PathBuf::from("ebpf/src/main.rs")]);
    let text = |rel: &str| fs::read_to_string(fixture.path(rel)).unwrap();
    assert_eq!(text("into/ebpf/src/main.rs"), "// mine\n");
    assert_eq!(text("labs/010-first-probe/ebpf/src/main.rs"), "// TODO\n");
}

#[test]
fn other_files_are_ignored_and_said_unless_they_are_the_labs_own() {
    let fixture = Fixture::sound();
    fixture.write(EDIT, "// mine\n");
    fixture.write("learner/Cargo.toml", "[package]\n");
    fixture.write("learner/src/main.rs", "fn main() { cheat() }\n");
    fixture.write("learner/build.rs", "fn main() {}\n");
    fixture.write("learner/target/debug/program", "ELF");
    let done = lay(&fixture, Some("learner")).unwrap();
    assert_eq!(
        done.ignored,
        [PathBuf::from("build.rs"), "src/main.rs".into()]
    );
    let main = fs::read_to_string(fixture.path("into/src/main.rs")).unwrap();
    assert_eq!(main, "fn main() {}\n");
    assert!(!fixture.path("into/build.rs").exists());
}

#[test]
fn a_file_is_written_only_when_it_differs() {
    let fixture = Fixture::sound();
    lay(&fixture, None).unwrap();
    let long_ago = SystemTime::now() - Duration::from_secs(3600);
    let main = fixture.path("into/src/main.rs");
    fs::File::options()
        .write(true)
        .open(&main)
        .unwrap()
        .set_modified(long_ago)
        .unwrap();
    fixture.write(EDIT, "// mine\n");
    let done = lay(&fixture, Some("learner")).unwrap();
    assert_eq!(done.written, [PathBuf::from("ebpf/src/main.rs")]);
    assert_eq!(fs::metadata(&main).unwrap().modified().unwrap(), long_ago);
}

#[test]
fn stale_files_go_and_what_builds_left_stays() {
    let fixture = Fixture::sound();
    fixture.write("into/ebpf/src/old.rs", "");
    fixture.write("into/old/main.rs", "");
    fixture.write("into/Cargo.lock", "lock");
    fixture.write("into/target/debug/program", "ELF");
    fixture.write("into/ebpf/target/object", "ELF");
    lay(&fixture, None).unwrap();
    assert_eq!(
        names(&fixture.path("into")),
        [
            "Cargo.lock",
            "Cargo.toml",
            "ebpf/src/main.rs",
            "ebpf/target/object",
            "src/main.rs",
            "target/debug/program"
        ]
    );
}

#[test]
fn the_hash_is_of_the_learners_part_alone() {
    let fixture = Fixture::sound();
    let starter = lay(&fixture, None).unwrap().hash;
    fixture.write(EDIT, "// TODO\n");
    fixture.write("learner/notes.txt", "");
    assert_eq!(lay(&fixture, Some("learner")).unwrap().hash, starter);
    fixture.write(EDIT, "// mine\n");
    assert_ne!(lay(&fixture, Some("learner")).unwrap().hash, starter);
}

#[test]
fn the_hash_tells_apart_files_whose_bytes_run_together() {
    let hash_of = |first: &str, second: &str| {
        let fixture = Fixture::sound();
        let two = "[\"ebpf/src/main.rs\", \"src/main.rs\"]";
        fixture.lab(
            "010-first-probe",
            &LAB.replace("[\"ebpf/src/main.rs\"]", two),
        );
        fixture.write(EDIT, first);
        fixture.write("learner/src/main.rs", second);
        lay(&fixture, Some("learner")).unwrap().hash
    };
    assert_ne!(hash_of("ab", "c"), hash_of("a", "bc"));
}

#[test]
fn a_folder_without_any_of_the_files_is_told() {
    let fixture = Fixture::sound();
    fixture.write("learner/main.rs", "// mine\n");
    insta::assert_snapshot!("nothing-to-take", refusal(&fixture));
}

#[test]
fn a_folder_that_is_not_there_is_told() {
    insta::assert_snapshot!("no-learner-folder", refusal(&Fixture::sound()));
}

#[test]
fn what_is_no_plain_text_file_is_refused() {
    type Trap = (&'static str, fn(&Fixture));
    let traps: &[Trap] = &[
        ("link-to-a-file", |f| {
            fs::create_dir_all(f.path("learner/ebpf/src")).unwrap();
            symlink("/etc/passwd", f.path(EDIT)).unwrap();
        }),
        ("link-to-a-folder", |f| {
            f.write("elsewhere/src/main.rs", "// not handed in\n");
            fs::create_dir_all(f.path("learner")).unwrap();
            symlink(f.path("elsewhere"), f.path("learner/ebpf")).unwrap();
        }),
        ("dangling-link", |f| {
            fs::create_dir_all(f.path("learner/ebpf/src")).unwrap();
            symlink("nowhere", f.path(EDIT)).unwrap();
        }),
        ("pipe", |f| {
            fs::create_dir_all(f.path("learner/ebpf/src")).unwrap();
            let made = Command::new("mkfifo").arg(f.path(EDIT)).status().unwrap();
            assert!(made.success());
        }),
        ("folder", |f| fs::create_dir_all(f.path(EDIT)).unwrap()),
        ("huge", |f| f.write(EDIT, &"x".repeat(256 * 1024 + 1))),
        ("not-utf-8", |f| {
            f.write(EDIT, "");
            fs::write(f.path(EDIT), b"\xff\xfe").unwrap();
        }),
    ];
    for (name, set) in traps {
        let fixture = Fixture::sound();
        set(&fixture);
        insta::assert_snapshot!(format!("refused-{name}"), refusal(&fixture));
        assert!(
            !fixture.path("into").exists(),
            "{name} left something behind"
        );
    }
}

#[test]
fn the_largest_file_allowed_is_taken() {
    let fixture = Fixture::sound();
    fixture.write(EDIT, &"x".repeat(256 * 1024));
    assert_eq!(lay(&fixture, Some("learner")).unwrap().taken.len(), 1);
}

#[test]
fn a_link_planted_in_the_tree_is_not_written_through() {
    let fixture = Fixture::sound();
    fixture.write("victim/main.rs", "precious");
    fs::create_dir_all(fixture.path("into/src")).unwrap();
    symlink(fixture.path("victim"), fixture.path("into/ebpf")).unwrap();
    symlink(
        fixture.path("victim/main.rs"),
        fixture.path("into/src/main.rs"),
    )
    .unwrap();
    symlink(fixture.path("victim"), fixture.path("into/target")).unwrap();
    lay(&fixture, None).unwrap();
    let victim = tree(&fixture.path("victim"));
    assert_eq!(victim, [("main.rs".to_owned(), "precious".to_owned())]);
    assert!(!fixture.path("into/target").exists());
}
