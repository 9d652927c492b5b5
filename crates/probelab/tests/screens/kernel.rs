//! Screens that come of real builds and real programs in the kernel.

use std::{
    fs,
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal};

use crate::{
    Need, Test,
    checkout::{self, Checkout, assert_screen, screen},
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
    ("machine_formats", Need::KernelAndXmllint, machine_formats),
    ("variants_do_not_mix", Need::Kernel, variants_do_not_mix),
    (
        "nothing_is_left_behind",
        Need::Kernel,
        nothing_is_left_behind,
    ),
    (
        "an_interrupted_check_leaves_nothing",
        Need::Kernel,
        an_interrupted_check_leaves_nothing,
    ),
    (
        "grades_in_a_chroot_under_a_strict_umask",
        Need::Kernel,
        grades_in_a_chroot_under_a_strict_umask,
    ),
    ("profiles_a_command", Need::Kernel, profiles_a_command),
    (
        "an_idle_process_leaves_a_profile_alone",
        Need::Kernel,
        an_idle_process_leaves_a_profile_alone,
    ),
    (
        "profiles_until_it_is_told",
        Need::Kernel,
        profiles_until_it_is_told,
    ),
    (
        "profiles_every_program",
        Need::Kernel,
        profiles_every_program,
    ),
    (
        "a_process_that_becomes_another_is_told",
        Need::Kernel,
        a_process_that_becomes_another_is_told,
    ),
];

/// A stripped Go program that works until its standard input ends.
fn known_calls(checkout: &Checkout) -> PathBuf {
    let program = checkout.root().join("known");
    let built = Command::new(std::env::var_os("PROBELAB_GO").unwrap_or_else(|| "go".into()))
        .args(["build", "-ldflags=-s -w", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(checkout::repository().join("fixtures/course/labs/940-known-calls"))
        .env("GOFLAGS", "")
        .output()
        .expect("go starts");
    assert!(built.status.success(), "{built:?}");
    program
}

/// `lab profile` with these arguments, of that program.
fn profiling(checkout: &Checkout, args: &[&str], environment: &[(&str, &str)]) -> Child {
    let program = known_calls(checkout);
    checkout
        .command(&[&["profile"], args, &["--exec"]].concat())
        .arg(program)
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("lab starts")
}

/// Waits for `lab`; what it printed, without what the program did.
fn printed(child: Child) -> String {
    let output = child.wait_with_output().expect("it ends");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

/// From its first instruction to the end of the time; the stripped program is told by its names.
fn profiles_a_command() {
    let checkout = Checkout::new();
    let args = ["--seconds", "3", "--hz", "997", "--flamegraph", "flame.svg"];
    let mut child = profiling(&checkout, &args, &[]);
    let input = child.stdin.take();
    let text = printed(child);
    drop(input);
    for expected in [
        "its caller found beside the stack",
        "Go's compiler can use it",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    let drawn = fs::read_to_string(checkout.root().join("flame.svg")).expect("a drawing");
    assert!(drawn.contains("main.multiplier.func1"));
    // What the kernel does in a system call stands upon what made it.
    assert!(drawn.contains("sys_getppid ("));
    let checked = checkout.lab(&["pgo", "check", "cpu.pprof", "--calls", "30"]);
    for expected in ["main.framelessHeavy:0 → main.frameless", "[exit 0]"] {
        assert!(checked.contains(expected), "{expected}: {checked}");
    }
}

/// Nothing to write is said, and what is there stays; a process may be named by one of its threads, and
/// a file by a link to it.
fn an_idle_process_leaves_a_profile_alone() {
    let checkout = Checkout::new();
    let mut child = Command::new(known_calls(&checkout))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts");
    let threads = format!("/proc/{}/task", child.id());
    let until = Instant::now() + Duration::from_secs(5);
    let mut thread = child.id().to_string();
    while thread == child.id().to_string() && Instant::now() < until {
        let last = fs::read_dir(&threads).expect("threads").flatten().last();
        thread = last
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .unwrap_or(thread);
    }
    let (file, link) = (
        checkout.root().join("kept.pprof"),
        checkout.root().join("link.pprof"),
    );
    fs::write(&file, "kept").expect("written");
    std::os::unix::fs::symlink("kept.pprof", &link).expect("a link");
    let args = [
        "profile",
        &thread,
        "--seconds",
        "1",
        "--output",
        "link.pprof",
    ];
    let process = Pid::from_child(&child);
    rustix::process::kill_process(process, Signal::STOP).expect("it runs");
    let idle = checkout.lab(&args);
    assert!(
        idle.contains("It used no CPU time") && idle.contains("[exit 1]"),
        "{idle}"
    );
    assert_eq!(fs::read_to_string(&file).expect("it is there"), "kept");

    rustix::process::kill_process(process, Signal::CONT).expect("it waits");
    let busy = checkout.lab(&args);
    let _ = child.kill();
    let _ = child.wait();
    assert!(busy.contains("[exit 0]"), "{busy}");
    assert!(link.is_symlink() && fs::read(&file).expect("it is there") != b"kept");
}

/// Ctrl-C ends the recording, and what was recorded is kept.
fn profiles_until_it_is_told() {
    let checkout = Checkout::new();
    let mut child = profiling(&checkout, &["--hz", "997", "--output", "some.pprof"], &[]);
    let input = child.stdin.take();
    std::thread::sleep(Duration::from_secs(2));
    let lab = Pid::from_child(&child);
    rustix::process::kill_process(lab, Signal::INT).expect("it runs");
    let text = printed(child);
    drop(input);
    assert!(text.contains("some.pprof: "), "{text}");
    assert!(checkout.root().join("some.pprof").is_file());
}

/// A profile for each program, named after its main package.
fn profiles_every_program() {
    let checkout = Checkout::new();
    let mut child = Command::new(known_calls(&checkout))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts");
    let text = checkout.lab(&["profile", "--all", "--seconds", "2", "--hz", "997"]);
    let _ = child.kill();
    let _ = child.wait();
    assert!(
        text.contains("profiles/known-calls.pprof (") && text.contains("[exit 0]"),
        "{text}"
    );
    let checked = checkout.lab(&[
        "pgo",
        "check",
        "profiles/known-calls.pprof",
        "--calls",
        "30",
    ]);
    assert!(
        checked.contains("main.framelessHeavy:0 → main.frameless"),
        "{checked}"
    );
}

/// What comes after execve(2) is another program's.
fn a_process_that_becomes_another_is_told() {
    let checkout = Checkout::new();
    let args = ["--hz", "997", "--seconds", "3"];
    let mut child = profiling(&checkout, &args, &[("BECOME", "1")]);
    let input = child.stdin.take();
    let text = printed(child);
    drop(input);
    assert!(text.contains("became another program (execve)"), "{text}");
}

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
    let pid = lab.id();
    assert!(lab.wait().expect("lab ends").success());
    assert_eq!(control_groups(pid), Vec::<PathBuf>::new());
    let left: Vec<_> = fs::read_dir(temporary.path())
        .expect("readable")
        .flatten()
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

/// Control groups that the process `lab` made.
fn control_groups(lab: u32) -> Vec<PathBuf> {
    let prefix = format!("probelab-{lab}-");
    ["", "unified", "pids", "memory"]
        .iter()
        .flat_map(|root| fs::read_dir(Path::new("/sys/fs/cgroup").join(root)))
        .flat_map(|entries| entries.flatten())
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
        .map(|entry| entry.path())
        .collect()
}

/// Whether a process has `word` among its arguments.
fn is_running(word: &str) -> bool {
    fs::read_dir("/proc")
        .expect("/proc")
        .flatten()
        .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
        .any(|line| {
            line.split(|&byte| byte == 0)
                .any(|arg| arg == word.as_bytes())
        })
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A signal that ends `lab` ends the learner's processes first and removes what was made for them;
/// what a kill leaves, the next check removes.
fn an_interrupted_check_leaves_nothing() {
    let checkout = Checkout::new();
    checkout.lab(&["start"]);
    // A number of seconds that nobody else sleeps.
    let seconds = format!("3{}", std::process::id());
    checkout.edit(
        "src/main.rs",
        "labkit::ready_and_wait()?;",
        &format!("std::process::Command::new(\"sleep\").arg(\"{seconds}\").spawn()?.wait()?;"),
    );
    let temporary = tempfile::tempdir().expect("a folder");
    let check = |slot: &str| {
        checkout
            .command(&["check", slot])
            .env("TMPDIR", temporary.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("lab starts")
    };
    for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::KILL] {
        let mut lab = check("first-probe");
        let pid = lab.id();
        eventually("the learner's child sleeps", || is_running(&seconds));
        rustix::process::kill_process(Pid::from_child(&lab), signal).expect("sent");
        let ended = lab.wait().expect("lab ends").signal();
        assert_eq!(ended, Some(signal.as_raw()), "ended by the signal");
        if signal == Signal::KILL {
            assert!(!control_groups(pid).is_empty(), "nobody could remove it");
            let mut next = checkout
                .command(&[
                    "check",
                    "first-probe",
                    "--answer",
                    "solutions/010-first-probe",
                ])
                .env("TMPDIR", temporary.path())
                .stdout(Stdio::null())
                .spawn()
                .expect("lab starts");
            assert!(next.wait().expect("lab ends").success());
        }
        assert!(!is_running(&seconds), "{signal:?}: its child runs on");
        assert_eq!(control_groups(pid), Vec::<PathBuf>::new(), "{signal:?}");
        let left: Vec<_> = fs::read_dir(temporary.path())
            .expect("readable")
            .flatten()
            .collect();
        assert!(left.is_empty(), "{signal:?}: {left:?}");
    }
}

/// In a chroot whose root is not a mount, as containers and build machines have it; and where the
/// user shares files with nobody.
fn grades_in_a_chroot_under_a_strict_umask() {
    let checkout = Checkout::new();
    let answer = checkout.root().join("solutions/010-first-probe");
    let args = [
        "check",
        "first-probe",
        "--answer",
        answer.to_str().expect("a path in UTF-8"),
    ];
    // Builds, since the new root need not hold the tool chains' settings.
    let built = checkout.lab(&args);
    assert!(built.contains("[exit 0]"), "{built}");
    // Mounts are shared, as systemd has them, but with nobody outside: what is mounted in the checkout
    // would be seen there, and removed with it.
    let script = r#"
        set -e
        mount --make-rshared /
        root=$1
        mkdir "$root"
        for place in /*; do
            if [ -L "$place" ] || [ ! -d "$place" ]; then
                cp -a "$place" "$root"
            else
                mkdir "$root$place"
                mount --rbind "$place" "$root$place"
            fi
        done
        umask 077
        shift
        # Not on everybody's search path.
        PATH=$PATH:/usr/sbin:/sbin
        exec chroot "$root" "$@"
    "#;
    let output = Command::new("unshare")
        .args([
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            script,
            "sh",
        ])
        .arg(checkout.root().join("root"))
        .arg(env!("CARGO_BIN_EXE_lab"))
        .args(args)
        .env("PROBELAB_ROOT", checkout.root())
        .output()
        .expect("unshare runs");
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mounts");
    if mounts.contains(&*checkout.root().to_string_lossy()) {
        // Nothing here may be removed: it is the machine's own.
        std::mem::forget(checkout);
        panic!("mounts of the test are seen outside:\n{mounts}");
    }
    let text = screen(&args, &output);
    assert!(
        text.contains("[exit 0]") && text.contains("10/10"),
        "{text}"
    );
}
