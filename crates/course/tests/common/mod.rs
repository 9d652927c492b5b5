//! A small sound course in a temporary folder, for tests to spoil.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::fs;
use std::path::{Path, PathBuf};

use course::{Course, Problems};
use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme};
use tempfile::TempDir;

pub const LAB: &str = r#"title = "First probe"
part = 0
revision = 1
summary = "A tracepoint program counts the openat calls of one process."
where = "any"
edit = ["ebpf/src/main.rs"]
requires = []

[needs]
kernel = "5.10"
program-types = ["tracepoint"]
capabilities = ["bpf", "perfmon"]

[[artifact]]
name = "program"
kind = "cargo"
path = "."

[[artifact]]
name = "bpf"
kind = "bpf-rust"
path = "ebpf"

[run]
artifact = "program"
bpf = "bpf"
args = ["--pid", "$PID"]

[starter]
step = "count"
fails = "counts-match"

[[step]]
id = "count"
title = "Count the calls"
minutes = 15
points = 10
checks = ["program-loads", "hook-is-right", "counts-match"]

  [[step.hint]]
  level = 1
  text = "Where the program is attached."
  [[step.hint]]
  level = 2
  text = "Add one to the map."
  [[step.hint]]
  level = 2
  on = "hook-is-right"
  text = "The tracepoint is sys_enter_openat."
  [[step.hint]]
  level = 3
  text = "COUNTS.increment(pid)"

[[wrong]]
name = "prints-the-answer"
step = "count"
summary = "Prints the right number without a program in the kernel."
caught-by = "program-loads"
knows-truth = true

[[wrong]]
name = "counts-twice"
step = "count"
summary = "Adds two for each call."
caught-by = "counts-match"
"#;

pub const COURSE: &str = r#"title = "Linux performance"
default-track = "full"
planned = ["go-arguments"]

[track.full]
title = "The whole course"
summary = "Every lab in order."
labs = ["first-probe", "go-arguments"]
"#;

/// A course on disk.
pub struct Fixture {
    dir: TempDir,
}

impl Fixture {
    /// A course of one lab, `010-first-probe`, without a mistake.
    pub fn sound() -> Self {
        let fixture = Self {
            dir: TempDir::new().unwrap(),
        };
        fixture.write("course.toml", COURSE);
        fixture.lab("010-first-probe", LAB);
        fixture
    }

    /// Writes a lab with the files that [`LAB`] names, and its solution.
    pub fn lab(&self, folder: &str, toml: &str) {
        let lab = format!("labs/{folder}");
        self.write(&format!("{lab}/lab.toml"), toml);
        self.write(&format!("{lab}/check.rs"), "// the checks\n");
        self.write(&format!("{lab}/Cargo.toml"), "[package]\n");
        self.write(&format!("{lab}/src/main.rs"), "fn main() {}\n");
        self.write(&format!("{lab}/ebpf/src/main.rs"), "// TODO\n");
        for wrong in ["prints-the-answer", "counts-twice"] {
            let file = format!("{lab}/wrong/{wrong}/ebpf/src/main.rs");
            self.write(&file, &format!("// {wrong}\n"));
        }
        let solution = format!("solutions/{folder}/ebpf/src/main.rs");
        self.write(&solution, "// solved\n");
    }

    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    pub fn path(&self, rel: &str) -> PathBuf {
        self.dir.path().join(rel)
    }

    pub fn write(&self, rel: &str, text: &str) {
        let path = self.path(rel);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Replaces the one occurrence of `from` in a file.
    pub fn edit(&self, rel: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(rel)).unwrap();
        assert_eq!(text.matches(from).count(), 1, "{from:?} in {rel}");
        fs::write(self.path(rel), text.replace(from, to)).unwrap();
    }

    pub fn remove(&self, rel: &str) {
        let path = self.path(rel);
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
    }

    pub fn load(&self) -> Result<Course, Problems> {
        Course::load(self.root())
    }

    /// What a learner or author sees, with the temporary folder's name taken out.
    pub fn show(&self, diagnostic: &dyn Diagnostic) -> String {
        let root = self.root().display().to_string();
        // The folder's name must not decide where lines break.
        let wide = render(diagnostic, 1000);
        if wide.contains(&root) {
            wide.replace(&root, "ROOT")
        } else {
            render(diagnostic, 100)
        }
    }
}

/// The diagnostic as a terminal of that width without colour shows it.
pub fn render(diagnostic: &dyn Diagnostic, width: usize) -> String {
    let mut text = String::new();
    GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor())
        .with_width(width)
        .render_report(&mut text, diagnostic)
        .unwrap();
    // Lines of source are padded; a file kept in git need not be.
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n")
}
