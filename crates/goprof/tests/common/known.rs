//! The program whose calls have known weights.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
};

use goprof::KnownCalls;

use super::{go_ok, has_go, text};

pub fn can_sample() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("skipped: sampling needs root");
    }
    root && has_go()
}

/// The program of the fixture `known-calls`, at work.
pub struct Working {
    child: Child,
    pub truth: KnownCalls,
    input: Option<ChildStdin>,
}

impl Working {
    pub fn start(exe: &Path) -> Self {
        Self::from(&mut Command::new(exe))
    }

    pub fn from(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let truth: Vec<String> = lines
            .map(|line| line.expect("UTF-8"))
            .take_while(|line| line != "ready")
            .collect();
        Self {
            input: child.stdin.take(),
            child,
            truth: KnownCalls::parse(&truth.join("\n")).expect("calls"),
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}

/// Builds the program as `name` in `folder`, with the claims that are right.
pub fn build(folder: &Path, name: &str, flags: &[&str]) -> PathBuf {
    let course = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/course");
    for file in [
        "labs/940-known-calls/go.mod",
        "labs/940-known-calls/main.go",
        "solutions/940-known-calls/claims.go",
    ] {
        let name = Path::new(file).file_name().expect("a file");
        fs::copy(course.join(file), folder.join(name)).expect("it is there");
    }
    let exe = folder.join(name);
    let mut args = vec!["build", "-o", text(&exe)];
    args.extend(flags);
    args.push(".");
    go_ok(text(folder), &args);
    exe
}
