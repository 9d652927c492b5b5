//! Symbolising a process that runs, by its pid alone.

mod common;

use std::io::Read as _;
use std::process::{Child, Command, Stdio};

use goprof::{Samples, for_process};

/// The `stacks` fixture, waiting, and the raw stack that it printed first.
struct Waiting {
    child: Child,
    raw: Vec<u64>,
    exe: std::path::PathBuf,
    _dir: tempfile::TempDir,
}

impl Waiting {
    fn start() -> Waiting {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let exe = dir.path().join("stacks");
        let ldflags = "-ldflags=-checklinkname=0 -s -w";
        let args = [
            "build",
            "-buildmode=pie",
            ldflags,
            "-o",
            common::text(&exe),
            ".",
        ];
        common::go_ok("stacks", &args);
        let mut child = Command::new(&exe)
            .arg("wait")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut text = String::new();
        let mut stdout = child.stdout.take().expect("piped");
        stdout.read_to_string(&mut text).expect("UTF-8");
        let raw = text.lines().find_map(|l| l.strip_prefix("raw "));
        let samples = Samples::parse(&format!("1 {}", raw.expect("a stack"))).expect("addresses");
        let raw = samples.iter().next().expect("one").0.to_vec();
        Waiting {
            child,
            raw,
            exe,
            _dir: dir,
        }
    }

    fn names(&self) -> Vec<String> {
        let mut symbolizer = for_process(self.child.id()).expect("a Go process");
        let stack = symbolizer.stack(&self.raw);
        let frames = stack.locations.iter().flat_map(|l| &l.frames);
        frames.map(|f| f.function.clone()).collect()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // It ends when its input does; a failure here has already failed the test.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

const WANT: [&str; 6] = [
    "main.capture",
    "main.inlinedTwice",
    "main.inlinedOnce",
    "main.directly",
    "main.main",
    "runtime.main",
];

#[test]
fn a_stripped_pie_is_named_by_its_pid() {
    if !common::has_go() {
        return;
    }
    assert_eq!(Waiting::start().names(), WANT);
}

#[test]
fn a_binary_replaced_while_running_is_read_as_the_process_has_it() {
    if !common::has_go() {
        return;
    }
    let process = Waiting::start();
    std::fs::remove_file(&process.exe).expect("it is there");
    std::fs::write(&process.exe, "something else").expect("it writes");
    assert_eq!(process.names(), WANT);
}
