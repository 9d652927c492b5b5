//! A lab as its `lab.toml` declares it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use crate::capability::Capability;
use crate::id::{CheckId, Slug, StepId};
use crate::words::words;

/// One lab.
#[derive(Debug, Clone, PartialEq)]
pub struct Lab {
    /// Identity, for ever; the folder's name after the number.
    pub slug: Slug,
    /// Order in the course: part × 100 + a multiple of 5.
    pub number: u16,
    /// `labs/NNN-slug`, as given to [`crate::Course::load`] and joined.
    pub dir: PathBuf,
    /// `solutions/NNN-slug`, whether or not it is there.
    pub solution: PathBuf,
    /// One line that names the lab.
    pub title: String,
    /// The part of the course: `number / 100`.
    pub part: u8,
    /// Grows when a verdict on the old text no longer holds.
    pub revision: u32,
    /// One sentence: what the learner builds.
    pub summary: String,
    /// Where its checks run.
    pub where_: Where,
    /// What its checks need of the machine.
    pub needs: Needs,
    /// The files a learner changes, relative to the lab. A submission may hold nothing else.
    pub edit: Vec<PathBuf>,
    /// What is built, or read, before checking.
    pub artifacts: Vec<Artifact>,
    /// How the learner's program is run, when the lab has one.
    pub run: Option<Run>,
    /// How the untouched starter must fail.
    pub starter: Starter,
    /// The steps in order. Each passes on its own.
    pub steps: Vec<Step>,
    /// Planted wrong answers.
    pub wrong: Vec<Wrong>,
    /// Labs that this one builds on technically.
    pub requires: Vec<Slug>,
}

impl Lab {
    /// The folder's name: `010-first-probe`.
    pub fn folder(&self) -> String {
        format!("{:03}-{}", self.number, self.slug)
    }

    /// The step of that id.
    pub fn step(&self, id: &str) -> Option<&Step> {
        self.steps.iter().find(|s| s.id == *id)
    }

    /// The artifact of that name.
    pub fn artifact(&self, name: &str) -> Option<&Artifact> {
        self.artifacts.iter().find(|a| a.name == *name)
    }

    /// How the program is run for a step: the step's own way, else the lab's.
    pub fn run_for<'a>(&'a self, step: &'a Step) -> Option<&'a Run> {
        step.run.as_ref().or(self.run.as_ref())
    }

    /// The artifacts that a step needs built: those it names, else all.
    pub fn artifacts_for<'a>(&'a self, step: &'a Step) -> Vec<&'a Artifact> {
        match &step.artifacts {
            Some(names) => names
                .iter()
                .filter_map(|n| self.artifact(n.as_str()))
                .collect(),
            None => self.artifacts.iter().collect(),
        }
    }

    /// The sum of its steps' points.
    pub fn points(&self) -> u32 {
        self.steps.iter().map(|s| s.points).sum()
    }

    /// The sum of its steps' minutes.
    pub fn minutes(&self) -> u32 {
        self.steps.iter().map(|s| s.minutes).sum()
    }

    /// Whether a step runs a program of the learner's, which could print an answer it was told.
    pub fn runs_a_program(&self) -> bool {
        self.steps.iter().any(|step| self.run_for(step).is_some())
    }
}

words! {
    /// Where a lab's checks run.
    pub enum Where {
        /// On this machine or in a virtual machine, as `lab check --on` says.
        Any = "any",
        /// In a virtual machine, always.
        Vm = "vm",
        /// On this machine, always: it needs the Go toolchain or honest timing, and no privilege.
        Host = "host",
        /// As `any`, but what steps `check.rs` lists in `ON_HOST` is judged on this machine in the
        /// end, from what the first part gave: the Go toolchain runs here, on trusted source.
        Split = "split",
    }
}

words! {
    /// A processor architecture, spelt as Rust does.
    pub enum Arch {
        /// amd64.
        X86_64 = "x86_64",
        /// arm64.
        Aarch64 = "aarch64",
    }
}

impl Arch {
    /// That of the machine which this program runs on. (The launcher starts on no other kind.)
    pub const HERE: Self = if cfg!(target_arch = "aarch64") {
        Self::Aarch64
    } else {
        Self::X86_64
    };

    /// How Debian and Go call it.
    pub fn debian(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::Aarch64 => "arm64",
        }
    }

    /// How the kernel's sources call it (the folders of arch/).
    pub fn kernel(self) -> &'static str {
        match self {
            Self::X86_64 => "x86",
            Self::Aarch64 => "arm64",
        }
    }
}

words! {
    /// What an artifact is and so how it is built.
    pub enum ArtifactKind {
        /// A Cargo package that runs in user space.
        Cargo = "cargo",
        /// A Cargo package compiled to a BPF object.
        BpfRust = "bpf-rust",
        /// C compiled to a BPF object.
        BpfC = "bpf-c",
        /// A Go main package.
        Go = "go",
        /// A kernel module.
        Kmod = "kmod",
        /// A classic BPF program.
        Cbpf = "cbpf",
        /// The learner's answers, a TOML file that is read and not built.
        Answers = "answers",
    }
}

words! {
    /// How the program under check writes what it found.
    pub enum OutputFormat {
        /// Lines of text.
        Lines = "lines",
        /// One JSON value a line.
        Json = "json",
    }
}

words! {
    /// A signal that asks a program to stop.
    pub enum Signal {
        /// As Ctrl-C does.
        Int = "SIGINT",
        /// As `kill` does.
        Term = "SIGTERM",
        /// As a closed terminal does.
        Hup = "SIGHUP",
        /// As Ctrl-\ does.
        Quit = "SIGQUIT",
        /// For the program's own use.
        Usr1 = "SIGUSR1",
        /// For the program's own use.
        Usr2 = "SIGUSR2",
    }
}

impl Signal {
    /// Its number on x86-64 and arm64 (include/uapi/asm-generic/signal.h).
    pub fn number(self) -> i32 {
        match self {
            Self::Hup => 1,
            Self::Int => 2,
            Self::Quit => 3,
            Self::Usr1 => 10,
            Self::Usr2 => 12,
            Self::Term => 15,
        }
    }
}

/// What a lab's checks need of the machine. Empty means nothing special.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Needs {
    /// The oldest kernel.
    pub kernel: Option<KernelVersion>,
    /// Kernel build options that must be set, `CONFIG_…`.
    pub config: Vec<String>,
    /// Whether `/sys/kernel/btf/vmlinux` must be there.
    pub btf: bool,
    /// BPF program types, each a name of [`crate::PROGRAM_TYPES`].
    pub program_types: Vec<String>,
    /// BPF helpers by name, `bpf_…`.
    pub helpers: Vec<String>,
    /// BPF attach types, in kebab case.
    pub attach: Vec<String>,
    /// Capabilities of the learner's program.
    pub capabilities: Vec<Capability>,
    /// Kernel modules.
    pub modules: Vec<String>,
    /// Architectures it runs on; empty means every one.
    pub arch: Vec<Arch>,
    /// Programs on the search path.
    pub tools: Vec<String>,
}

/// A kernel's version as far as labs care: `6.12`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KernelVersion {
    /// The number before the dot.
    pub major: u16,
    /// The number after it.
    pub minor: u16,
}

impl fmt::Display for KernelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl std::str::FromStr for KernelVersion {
    type Err = NotAKernelVersion;

    /// Reads `6.12`; more after it, as `uname -r` prints (`6.12.3-amd64`), is ignored.
    fn from_str(text: &str) -> Result<Self, NotAKernelVersion> {
        let wrong = || NotAKernelVersion(text.to_owned());
        let (major, rest) = text.split_once('.').ok_or_else(wrong)?;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if !rest[digits..].is_empty() && !rest[digits..].starts_with(['.', '-', '+']) {
            return Err(wrong());
        }
        let number = |n: &str| {
            let plain = !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit());
            n.parse::<u16>().ok().filter(|_| plain).ok_or_else(wrong)
        };
        Ok(Self {
            major: number(major)?,
            minor: number(&rest[..digits])?,
        })
    }
}

/// Text that is no kernel version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a kernel version: write it like `6.12`")]
pub struct NotAKernelVersion(pub String);

/// Something that is built, or read, before checking.
#[derive(Debug, Clone, PartialEq)]
pub struct Artifact {
    /// Its name in this lab.
    pub name: Slug,
    /// What it is.
    pub kind: ArtifactKind,
    /// Its folder or file, relative to the lab; `.` is the lab itself. A `go` artifact's path may
    /// start with `go-samples/`: then it is relative to the course.
    pub path: PathBuf,
    /// `go`: the profile for the build's `-pgo`, relative to the lab.
    pub pgo: Option<PathBuf>,
    /// `go`: what the build's `-ldflags` says: `-s -w` leaves out symbol table and DWARF.
    pub ldflags: Option<String>,
    /// `cargo`, `bpf-rust`: the package, when the path holds several. `go`: the main package,
    /// when it is not the path itself.
    pub package: Option<String>,
    /// `cargo`, `bpf-rust`: the binary, when the package has several.
    pub bin: Option<String>,
}

/// How the learner's program is run while it is checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// The program: a `cargo` artifact.
    pub artifact: Slug,
    /// The artifact whose object's path is given as `$LAB_BPF`.
    pub bpf: Option<Slug>,
    /// Its arguments. `$NAME` in them is the check's to fill in.
    pub args: Vec<String>,
    /// Added to its environment.
    pub env: BTreeMap<String, String>,
    /// The line it prints once its probes are in place.
    pub ready: String,
    /// What asks it to stop.
    pub stop: Signal,
    /// How it writes what it found.
    pub output: OutputFormat,
    /// Seconds until it is killed.
    pub seconds: u32,
    /// KiB of output until it is killed.
    pub output_kib: u32,
}

/// How the untouched starter must fail.
#[derive(Debug, Clone, PartialEq)]
pub struct Starter {
    /// The check that it must fail…
    pub fails: CheckId,
    /// …in this step.
    pub step: StepId,
}

/// A part of a lab that passes on its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Its name in the lab.
    pub id: StepId,
    /// One line that names it.
    pub title: String,
    /// What it takes a learner, 1 to 30.
    pub minutes: u32,
    /// What it is worth, 1 to 100.
    pub points: u32,
    /// Its checks in order, at least one; an id is unique in the lab.
    pub checks: Vec<CheckId>,
    /// Its hints, in the file's order.
    pub hints: Vec<Hint>,
    /// How the program is run for this step, if otherwise than for the lab.
    pub run: Option<Run>,
    /// The artifacts that it needs built, if not all.
    pub artifacts: Option<Vec<Slug>>,
}

impl Step {
    /// The hints of a level: those tied to the failed check if there are any, else the general
    /// ones.
    pub fn hints_for(&self, level: u8, failed: Option<&CheckId>) -> Vec<&Hint> {
        let of_level = |on: Option<&CheckId>| -> Vec<&Hint> {
            self.hints
                .iter()
                .filter(|h| h.level == level && h.on.as_ref() == on)
                .collect()
        };
        let tied = failed.map(|f| of_level(Some(f))).unwrap_or_default();
        if tied.is_empty() {
            of_level(None)
        } else {
            tied
        }
    }
}

/// A hint.
#[derive(Debug, Clone, PartialEq)]
pub struct Hint {
    /// 1: where to look. 2: what to do. 3: almost the code.
    pub level: u8,
    /// The failed check that it is for; none when it is for anyone.
    pub on: Option<CheckId>,
    /// Its text.
    pub text: String,
}

/// A planted wrong answer, which a check must catch.
#[derive(Debug, Clone, PartialEq)]
pub struct Wrong {
    /// Its name, and its folder's under `wrong/`.
    pub name: Slug,
    /// What is wrong with it.
    pub summary: String,
    /// The step that it gets wrong.
    pub step: StepId,
    /// The check of that step that must fail.
    pub caught_by: CheckId,
    /// Whether the harness tells it the true answer in `$LAB_TRUTH`, to prove that printing the
    /// truth without tracing fails.
    pub knows_truth: bool,
    /// `labs/NNN-slug/wrong/<name>`.
    pub dir: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_versions_are_read_and_ordered_as_numbers() {
        let version = |text: &str| text.parse::<KernelVersion>().ok();
        for (text, expected) in [
            ("5.10", Some((5, 10))),
            ("6.12.3-amd64", Some((6, 12))),
            ("7.3-rc1", Some((7, 3))),
            ("6", None),
            ("6.", None),
            ("6.x", None),
            ("+6.1", None),
            ("6.1beta", None),
            ("", None),
        ] {
            let expected = expected.map(|(major, minor)| KernelVersion { major, minor });
            assert_eq!(version(text), expected, "{text}");
        }
        assert!(version("6.9") < version("6.12"));
    }
}
