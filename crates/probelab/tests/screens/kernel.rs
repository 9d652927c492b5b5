//! Screens that come of real builds and real programs in the kernel.

use std::{fs, os::unix::process::CommandExt as _};

use crate::{
    Need, Test,
    checkout::{Checkout, assert_screen, screen},
};

pub const TESTS: &[Test] = &[
    ("starter_fails", Need::Kernel, starter_fails),
    ("does_not_compile", Need::Kernel, does_not_compile),
    (
        "refused_by_the_verifier",
        Need::Kernel,
        refused_by_the_verifier,
    ),
    ("pass_and_diff", Need::Kernel, pass_and_diff),
    ("no_privilege", Need::Kernel, no_privilege),
    ("machine_formats", Need::Kernel, machine_formats),
    ("variants_do_not_mix", Need::Kernel, variants_do_not_mix),
    (
        "nothing_is_left_behind",
        Need::Kernel,
        nothing_is_left_behind,
    ),
];

fn starter_fails() {
    let checkout = Checkout::new();
    checkout.lab(&["start"]);
    let mut text = checkout.lab(&["check"]);
    text += &checkout.lab(&["hint", "first-probe"]);
    assert_screen("starter_fails", &text, &checkout);
}

fn does_not_compile() {
    let checkout = Checkout::new();
    checkout.lab(&["start"]);
    checkout.edit("ebpf/src/main.rs", "let _ = pid;", "let _ = pidd;");
    assert_screen("does_not_compile", &checkout.lab(&["check"]), &checkout);
}

fn refused_by_the_verifier() {
    let checkout = Checkout::new();
    checkout.lab(&["start"]);
    checkout.edit(
        "ebpf/src/main.rs",
        "let _ = pid;",
        "let calls = CALLS.get_ptr(&pid).unwrap_or(core::ptr::null());\n    let _ = CALLS.insert(&pid, &unsafe { *calls }, 0);",
    );
    assert_screen(
        "refused_by_the_verifier",
        &checkout.lab(&["check"]),
        &checkout,
    );
}

fn pass_and_diff() {
    let checkout = Checkout::new();
    checkout.lab(&["start"]);
    checkout.solve();
    checkout.edit("ebpf/src/main.rs", "calls + 1", "1 + calls");
    let mut text = checkout.lab(&["check"]);
    text += &checkout.lab(&["diff", "first-probe"]);
    text += &checkout.lab(&["list"]);
    assert_screen("pass_and_diff", &text, &checkout);
}

/// Without privilege nothing is graded, and points earned before stay.
fn no_privilege() {
    let checkout = Checkout::new();
    checkout.lab(&["start"]);
    checkout.solve();
    checkout.lab(&["check"]);
    let points = |text: &str| text.contains("10/10");
    assert!(points(&checkout.lab(&["list"])));
    // Builds what the unprivileged run then finds built; it could not write to this target folder.
    let args = ["check", "first-probe", "--format", "human"];
    for path in ["", "my", "my/progress.json", "my/.lock"] {
        let path = checkout.root().join(path);
        if path.exists() {
            std::os::unix::fs::chown(&path, Some(65_534), Some(65_534)).expect("chown");
        }
    }
    own_all(&checkout.root().join(".lab"));
    own_all(&checkout.root().join("my"));
    let mut command = checkout.command(&args);
    // No sudo on this path, and another user.
    let tools = tempfile::tempdir().expect("a folder");
    command.env("PATH", tools.path()).uid(65_534).gid(65_534);
    let output = command.output().expect("lab runs");
    assert_eq!(output.status.code(), Some(3));
    assert_screen("no_privilege", &screen(&args, &output), &checkout);
    assert!(points(&checkout.lab(&["list"])));
}

fn own_all(folder: &std::path::Path) {
    std::os::unix::fs::chown(folder, Some(65_534), Some(65_534)).expect("chown");
    for entry in fs::read_dir(folder).expect("readable") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            own_all(&path);
        } else {
            std::os::unix::fs::chown(&path, Some(65_534), Some(65_534)).expect("chown");
        }
    }
}

fn machine_formats() {
    let checkout = Checkout::new();
    let args = [
        "check",
        "first-probe",
        "--answer",
        "solutions/010-first-probe",
        "--seed",
        "7",
        "--format",
    ];
    for format in ["json", "jsonl", "junit"] {
        let args: Vec<&str> = args.iter().copied().chain([format]).collect();
        let output = checkout.command(&args).output().expect("lab runs");
        assert_eq!(output.status.code(), Some(0), "{}", screen(&args, &output));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        match format {
            "junit" => crate::junit::assert_valid(&text),
            _ => {
                let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
                assert_eq!(value["verdict"], "pass");
            }
        }
    }
}

/// All variants of a lab are built in one folder; none may be taken for another, even where its
/// files are older than the last build.
fn variants_do_not_mix() {
    let checkout = Checkout::new();
    let starter = "labs/010-first-probe";
    let solution = "solutions/010-first-probe";
    let status = |answer: &str| {
        let args = ["check", "first-probe", "--answer", answer];
        checkout
            .command(&args)
            .output()
            .expect("lab runs")
            .status
            .code()
    };
    let both = || (status(starter), status(solution), status(starter));
    assert_eq!(both(), (Some(1), Some(0), Some(1)));
    // Forget what was built, as a new version of `lab` does; the trees stay as old as they are.
    for entry in fs::read_dir(checkout.root().join("target/out"))
        .expect("built")
        .flatten()
    {
        if entry
            .file_name()
            .to_string_lossy()
            .starts_with("first-probe.answer-")
        {
            fs::remove_dir_all(entry.path()).expect("removed");
        }
    }
    assert_eq!(both(), (Some(1), Some(0), Some(1)));
}

/// Neither control groups nor run folders outlive a check.
fn nothing_is_left_behind() {
    let checkout = Checkout::new();
    // A folder and a process id of our own: other runs on this machine are none of our business.
    let temporary = tempfile::tempdir().expect("a folder");
    let args = [
        "check",
        "first-probe",
        "--answer",
        "solutions/010-first-probe",
    ];
    let mut lab = checkout
        .command(&args)
        .env("TMPDIR", temporary.path())
        .spawn()
        .expect("lab starts");
    let prefix = format!("probelab-{}-", lab.id());
    assert!(lab.wait().expect("lab ends").success());
    for root in [
        "/sys/fs/cgroup",
        "/sys/fs/cgroup/unified",
        "/sys/fs/cgroup/pids",
    ] {
        let left = fs::read_dir(root).into_iter().flatten().flatten();
        let left: Vec<_> = left
            .map(|entry| entry.file_name())
            .filter(|name| name.to_string_lossy().starts_with(&prefix))
            .collect();
        assert!(left.is_empty(), "{root}: {left:?}");
    }
    let left: Vec<_> = fs::read_dir(temporary.path())
        .expect("readable")
        .flatten()
        .collect();
    assert!(left.is_empty(), "{left:?}");
}
