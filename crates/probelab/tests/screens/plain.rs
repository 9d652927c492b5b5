//! Screens that need nothing but files.

use std::fs;

use crate::{
    Need, Test,
    checkout::{Checkout, assert_screen, screen},
};

pub const TESTS: &[Test] = &[
    ("help", Need::Nothing, help),
    ("list", Need::Nothing, list),
    ("start", Need::Nothing, start),
    ("start_twice", Need::Nothing, start_twice),
    ("unknown_lab", Need::Nothing, unknown_lab),
    ("nothing_started", Need::Nothing, nothing_started),
    ("hints_grow", Need::Nothing, hints_grow),
    ("reset_keeps_a_backup", Need::Nothing, reset_keeps_a_backup),
    ("diff_before_a_pass", Need::Nothing, diff_before_a_pass),
    (
        "corrupt_progress_is_kept_aside",
        Need::Nothing,
        corrupt_progress_is_kept_aside,
    ),
    ("mistakes_in_lab_toml", Need::Nothing, mistakes_in_lab_toml),
    ("a_link_is_refused", Need::Nothing, a_link_is_refused),
    (
        "an_empty_answer_is_refused",
        Need::Nothing,
        an_empty_answer_is_refused,
    ),
    ("new_lab_is_whole", Need::Nothing, new_lab_is_whole),
    ("outside_a_checkout", Need::Nothing, outside_a_checkout),
    ("unknown_bench", Need::Nothing, unknown_bench),
    ("pgo_check", Need::Nothing, pgo_check),
    ("pgo_store", Need::Nothing, pgo_store),
    ("profile_of_nothing", Need::Nothing, profile_of_nothing),
    (
        "a_reader_that_goes_changes_nothing",
        Need::Nothing,
        a_reader_that_goes_changes_nothing,
    ),
    ("a_full_disk_is_told", Need::Nothing, a_full_disk_is_told),
];

/// A profile that can be better, one that can't be used, and what is no profile.
fn pgo_check() {
    let checkout = Checkout::new();
    let profiles = "labs/610-first-pgo-build/profiles";
    let (one, two) = (
        format!("{profiles}/one.pprof"),
        format!("{profiles}/two.pprof"),
    );
    let mut text = checkout.lab(&["pgo", "check", &one, "--calls", "2"]);
    text += &checkout.lab(&["pgo", "check", &two, "--calls", "0"]);
    text += &checkout.lab(&["pgo", "check", &one, "--calls", "1", "--format", "json"]);
    fs::write(checkout.root().join("empty"), "").expect("written");
    fs::write(checkout.root().join("text"), "GO PREPROFILE V1\n").expect("written");
    for other in ["empty", "text", "course.toml", "missing", "labs"] {
        text += &checkout.lab(&["pgo", "check", other]);
    }
    assert_screen("pgo_check", &text, &checkout);
}

/// The profile store: its commands, and what is told where one can't be carried out.
fn pgo_store() {
    let checkout = Checkout::new();
    let lab = |line: &str| checkout.lab(&line.split(' ').collect::<Vec<_>>());
    let mut text = String::new();
    for line in [
        "pgo serve --help",
        "pgo push --help",
        "pgo pull --help",
        "pgo serve --listen 0.0.0.0:0",
        "pgo serve --window 1",
        "pgo serve --fetch checkout",
        "pgo serve --fetch checkout=https://10.0.0.7",
        "pgo push --service shop",
        "pgo push missing --service shop",
        "pgo push course.toml --service ../shop",
        // Nobody listens on port 1.
        "pgo push course.toml --service shop --server http://127.0.0.1:1",
        "pgo pull --service shop --server https://127.0.0.1:1",
        "pgo pull --service shop --output nowhere/default.pgo",
        "pgo token list",
        "pgo token add ci --scopes push,pull --data store",
        "pgo token add ci --scopes push --data store",
        "pgo token add me --scopes root --data store",
        "pgo token list --data store",
        "pgo token remove ci --data store",
        "pgo token remove ci --data store",
    ] {
        text += &lab(line);
    }
    assert!(!checkout.root().join("default.pgo").exists());
    assert_screen("pgo_store", &text, &checkout);
}

/// What can't be profiled, each told before anything is recorded or written.
fn profile_of_nothing() {
    let checkout = Checkout::new();
    let mut text = checkout.lab(&["profile"]);
    // Above the highest id that Linux gives.
    text += &checkout.lab(&["profile", "4194305"]);
    // A program without Go code; it is stopped before its first instruction.
    text += &checkout.lab(&["profile", "--exec", "true"]);
    text += &checkout.lab(&["profile", "--exec", "./missing"]);
    text += &checkout.lab(&["profile", "4194305", "--output", "nowhere/cpu.pprof"]);
    text += &checkout.lab(&["profile", "4194305", "--output", "labs"]);
    text += &checkout.lab(&["profile", "4194305", "--hz", "0"]);
    text += &checkout.lab(&["profile", "4194305", "--output", "a", "--flamegraph", "a"]);
    assert!(!checkout.root().join("cpu.pprof").exists());
    fs::write(checkout.root().join("cpu.pprof"), "mine").expect("written");
    text += &checkout.lab(&["profile", "4194305"]);
    // Many go to a folder.
    text += &checkout.lab(&["profile", "--all", "--output", "cpu.pprof"]);
    text += &checkout.lab(&["profile", "--cgroup", "labs", "--output", "many"]);
    text += &checkout.lab(&["profile", "--all", "--flamegraph", "all.svg"]);
    fs::create_dir(checkout.root().join("profiles")).expect("made");
    text += &checkout.lab(&["profile", "--all"]);
    assert_screen("profile_of_nothing", &text, &checkout);
}

fn help() {
    let checkout = Checkout::new();
    let mut text = checkout.lab(&["--help"]);
    text += &checkout.lab(&["check", "--help"]);
    assert_screen("help", &text, &checkout);
}

fn list() {
    let checkout = Checkout::new();
    let mut text = checkout.lab(&["list"]);
    text += &checkout.lab(&["list", "--format", "json"]);
    text += &checkout.lab(&["next"]);
    assert_screen("list", &text, &checkout);
}

fn start() {
    let checkout = Checkout::new();
    let text = checkout.lab(&["start"]);
    assert!(
        checkout
            .root()
            .join("my/first-probe/ebpf/src/main.rs")
            .is_file()
    );
    // What is not a learner's business is not handed out.
    for hidden in ["check.rs", "lab.toml", "wrong"] {
        assert!(
            !checkout.root().join("my/first-probe").join(hidden).exists(),
            "{hidden}"
        );
    }
    assert_screen("start", &text, &checkout);
}

fn start_twice() {
    let checkout = Checkout::new();
    checkout.lab(&["start"]);
    assert_screen("start_twice", &checkout.lab(&["start", "10"]), &checkout);
}

fn unknown_lab() {
    let checkout = Checkout::new();
    assert_screen(
        "unknown_lab",
        &checkout.lab(&["check", "first-prob"]),
        &checkout,
    );
}

fn nothing_started() {
    let checkout = Checkout::new();
    let mut text = checkout.lab(&["check"]);
    text += &checkout.lab(&["check", "first-probe"]);
    text += &checkout.lab(&["reset", "first-probe"]);
    assert_screen("nothing_started", &text, &checkout);
}

fn hints_grow() {
    let checkout = Checkout::new();
    let mut text = String::new();
    for _ in 0..4 {
        text += &checkout.lab(&["hint", "first-probe"]);
    }
    text += &checkout.lab(&["hint", "first-probe", "--level", "1"]);
    assert_screen("hints_grow", &text, &checkout);
}

fn reset_keeps_a_backup() {
    let checkout = Checkout::new();
    checkout.lab(&["start"]);
    checkout.edit("ebpf/src/main.rs", "// TODO", "// mine");
    let text = checkout.lab(&["reset", "first-probe"]);
    let now = fs::read_to_string(checkout.root().join("my/first-probe/ebpf/src/main.rs"))
        .expect("the starter");
    assert!(now.contains("// TODO"));
    let backup = fs::read_dir(checkout.root().join("my/.backup"))
        .expect("backups")
        .next()
        .expect("one")
        .expect("it");
    let kept =
        fs::read_to_string(backup.path().join("ebpf/src/main.rs")).expect("the learner's file");
    assert!(kept.contains("// mine"));
    assert_screen("reset_keeps_a_backup", &text, &checkout);
}

fn diff_before_a_pass() {
    let checkout = Checkout::new();
    checkout.lab(&["start"]);
    assert_screen(
        "diff_before_a_pass",
        &checkout.lab(&["diff", "first-probe"]),
        &checkout,
    );
}

fn corrupt_progress_is_kept_aside() {
    let checkout = Checkout::new();
    checkout.lab(&["start"]);
    let file = checkout.root().join("my/progress.json");
    fs::write(&file, "{\"schema\": \"probelab/progress/v1\", \"labs\"").expect("written");
    let text = checkout.lab(&["list"]);
    let kept = fs::read_dir(checkout.root().join("my"))
        .expect("my")
        .filter(|entry| {
            entry
                .as_ref()
                .is_ok_and(|entry| entry.file_name().to_string_lossy().contains("corrupt"))
        })
        .count();
    assert_eq!(kept, 1);
    assert_screen("corrupt_progress_is_kept_aside", &text, &checkout);
}

fn mistakes_in_lab_toml() {
    let checkout = Checkout::new();
    let file = checkout.root().join("labs/010-first-probe/lab.toml");
    let text = fs::read_to_string(&file).expect("lab.toml");
    fs::write(
        &file,
        text.replace("points = 10", "points = 1000")
            .replace("summary = \"A", "sumary = \"A"),
    )
    .expect("written");
    assert_screen("mistakes_in_lab_toml", &checkout.lab(&["list"]), &checkout);
}

fn a_link_is_refused() {
    let checkout = Checkout::new();
    let answer = checkout.root().join("answer/ebpf/src");
    fs::create_dir_all(&answer).expect("a folder");
    std::os::unix::fs::symlink("/etc/passwd", answer.join("main.rs")).expect("a link");
    let text = checkout.lab(&["check", "first-probe", "--answer", "answer"]);
    assert_screen("a_link_is_refused", &text, &checkout);
}

fn an_empty_answer_is_refused() {
    let checkout = Checkout::new();
    fs::create_dir(checkout.root().join("answer")).expect("a folder");
    let mut text = checkout.lab(&["check", "first-probe", "--answer", "answer"]);
    text += &checkout.lab(&["check", "first-probe", "--answer", "absent"]);
    text += &checkout.lab(&["check", "--answer", "answer"]);
    assert_screen("an_empty_answer_is_refused", &text, &checkout);
}

fn new_lab_is_whole() {
    let checkout = Checkout::new();
    let mut text = checkout.lab(&["new", "215-page-faults", "--title", "Page faults"]);
    text += &checkout.lab(&["list"]);
    text += &checkout.lab(&["new", "215-other"]);
    text += &checkout.lab(&["new", "page-faults"]);
    assert_screen("new_lab_is_whole", &text, &checkout);
}

fn outside_a_checkout() {
    let checkout = Checkout::new();
    let mut command = checkout.command(&["list"]);
    let output = command
        .env("PROBELAB_ROOT", "/")
        .output()
        .expect("lab runs");
    assert_screen(
        "outside_a_checkout",
        &crate::checkout::screen(&["list"], &output),
        &checkout,
    );
}

fn unknown_bench() {
    let checkout = Checkout::new();
    let mut text = checkout.lab(&["bench"]);
    text += &checkout.lab(&["bench", "sped"]);
    assert_screen("unknown_bench", &text, &checkout);
}

/// `lab list | true`.
fn a_reader_that_goes_changes_nothing() {
    let checkout = Checkout::new();
    for args in [&["list"][..], &["completions", "bash"], &["--help"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = checkout
            .command(args)
            .stdout(writer)
            .stderr(std::process::Stdio::piped())
            .output()
            .expect("lab runs");
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{args:?}");
    }
}

fn a_full_disk_is_told() {
    let checkout = Checkout::new();
    let full = fs::File::create("/dev/full").expect("/dev/full");
    let args = ["list"];
    let output = checkout
        .command(&args)
        .stdout(full)
        .output()
        .expect("lab runs");
    assert_screen("a_full_disk_is_told", &screen(&args, &output), &checkout);
}
