//! The command line.

mod pgo;

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use course::Arch;

pub use pgo::{Pgo, Pull, Push, Remote, Serve, Token};

const EXITS: &str = "Exit status: 0 passed or done · 1 a check failed · 2 the command can't be carried out as given \
· 3 the machine or Probelab is at fault (points unchanged)";

/// Probelab: labs about Linux performance, eBPF and profile-guided optimisation.
#[derive(Debug, Parser)]
#[command(name = "lab", version, after_help = EXITS, max_term_width = 100)]
pub struct Cli {
    /// An instructor's folder: its course.toml and labs are laid over the course's own.
    #[arg(long, global = true, value_name = "DIR")]
    pub course: Option<PathBuf>,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// The whole path in five minutes: a graded lab, a kernel profile, a faster Go binary.
    Tour,
    /// Lists the labs and what you have passed.
    List {
        /// Only the labs of this track, in its order.
        #[arg(long)]
        track: Option<String>,
        #[arg(long, value_enum, default_value_t)]
        format: ListFormat,
    },
    /// Says which lab comes next.
    Next {
        /// Follow this track instead of the default one.
        #[arg(long)]
        track: Option<String>,
    },
    /// Puts a lab into my/, ready to be worked on.
    Start {
        /// Slug or number; the next lab if left out.
        lab: Option<String>,
    },
    /// Builds and checks your work.
    Check(Check),
    /// Shows the next hint; more of it each time.
    Hint {
        /// Slug or number.
        lab: String,
        /// 1: where to look; 2: what to do; 3: almost the code.
        #[arg(long, value_parser = clap::value_parser!(u8).range(1..=3))]
        level: Option<u8>,
        /// The step; the first that you have not passed if left out.
        #[arg(long)]
        step: Option<String>,
    },
    /// Puts the starter back; your files are kept aside.
    Reset {
        /// Slug or number.
        lab: String,
    },
    /// Shows how your files differ from the solution, once you have passed.
    Diff {
        /// Slug or number.
        lab: String,
    },
    /// Looks at this machine: what labs need, and how to get it.
    Doctor {
        /// What this lab needs, too.
        lab: Option<String>,
    },
    /// Records where a Go program spends its CPU time, from the kernel's side, for `go build -pgo`.
    Profile(Profile),
    /// Profiles for Go's profile-guided optimisation: judged, kept, given to builds.
    Pgo {
        #[command(subcommand)]
        command: Pgo,
    },
    /// For authors: starters fail as declared, solutions pass, wrong answers are caught.
    Verify(Verify),
    /// Virtual machines to check in.
    Vm {
        #[command(subcommand)]
        command: Vm,
    },
    /// For authors: makes a new lab that already verifies.
    New {
        /// NNN-slug, as 215-page-faults: part times 100, plus a multiple of five.
        folder: String,
        /// The lab's title.
        #[arg(long)]
        title: Option<String>,
    },
    /// Measures; without a name, lists what can be measured.
    Bench {
        name: Option<String>,
        /// Times each thing is measured.
        #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(3..=1000))]
        rounds: u32,
        #[arg(long, value_enum, default_value_t)]
        format: ListFormat,
    },
    /// Every test there is.
    Test {
        /// Only phases whose name contains this.
        #[arg(long)]
        only: Option<String>,
    },
    /// Builds the book and shows it in a browser.
    Book {
        /// Build only; don't serve.
        #[arg(long)]
        build: bool,
        /// For authors: the output that pages show is what a run prints, every link leads
        /// somewhere, the book builds without a warning.
        #[arg(long, conflicts_with = "build")]
        check: bool,
        /// For authors: writes what a run prints into the pages, then checks the rest.
        #[arg(long, conflicts_with_all = ["build", "check"])]
        update: bool,
        /// Run only the commands of pages whose path contains this.
        #[arg(long, value_name = "TEXT")]
        only: Option<String>,
    },
    /// Prints completions for a shell.
    Completions { shell: clap_complete::Shell },
}

#[derive(Args, Debug)]
pub struct Check {
    /// Slugs or numbers; the lab that you work on if left out.
    pub labs: Vec<String>,
    /// All labs that are in my/.
    #[arg(long, conflicts_with = "labs")]
    pub all: bool,
    /// Check the files found here instead of those in my/. One lab only.
    #[arg(long, value_name = "DIR")]
    pub answer: Option<PathBuf>,
    /// Only this step.
    #[arg(long)]
    pub step: Option<String>,
    /// Replay: the seed that a report names.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Where: on this machine, or in a virtual machine that needs no root and is thrown away.
    #[arg(long, value_enum, default_value_t)]
    pub on: Where,
    /// Kernels for virtual machines: 5.10, 6.1, 6.12, newest, several with commas, all, or the path of
    /// one of yours. Implies --on vm.
    #[arg(long, value_name = "LIST")]
    pub kernel: Option<String>,
    /// The processors that virtual machines have. Others than this machine's are emulated, which takes
    /// cross compilers and several times as long; for authors. Implies --on vm.
    #[arg(long, value_parser = arch, default_value_t = Arch::HERE, hide_default_value = true)]
    pub arch: Arch,
    /// Show in full what explanations were drawn from, such as the verifier's log.
    #[arg(long)]
    pub raw: bool,
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

#[derive(Args, Debug)]
pub struct Verify {
    /// Slugs or numbers; all labs if left out.
    pub labs: Vec<String>,
    /// Every random choice follows from it.
    #[arg(long)]
    pub seed: Option<u64>,
    /// In virtual machines with these kernels, as for `lab check`.
    #[arg(long, value_name = "LIST")]
    pub kernel: Option<String>,
    /// The processors that they have, as for `lab check`.
    #[arg(long, value_parser = arch, default_value_t = Arch::HERE, hide_default_value = true)]
    pub arch: Arch,
    /// Only the solution and one wrong answer of each lab.
    #[arg(long)]
    pub brief: bool,
}

#[derive(Args, Debug)]
#[command(
    override_usage = "lab profile [OPTIONS] PID\n       lab profile [OPTIONS] --exec COMMAND [ARGUMENT…]\n       lab profile [OPTIONS] --all\n       lab profile [OPTIONS] --cgroup DIR"
)]
pub struct Profile {
    /// The process to record, all its threads.
    #[arg(required_unless_present_any = ["exec", "all", "cgroup"])]
    pub pid: Option<u32>,
    /// Start this and record it from its first instruction on; all that follows belongs to the command.
    #[arg(
        long,
        value_name = "COMMAND",
        num_args = 1..,
        allow_hyphen_values = true,
        conflicts_with = "pid"
    )]
    pub exec: Vec<OsString>,
    /// Record all processes, and write a profile for each Go program that ran.
    #[arg(long, conflicts_with_all = ["pid", "exec", "flamegraph"])]
    pub all: bool,
    /// The same of the processes in a control group (its directory in a cgroup2 file system), and below it.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["pid", "exec", "all", "flamegraph"])]
    pub cgroup: Option<PathBuf>,
    /// How long: 30 by default, with --exec until the command ends. A command that still runs then is
    /// ended (SIGTERM). Ctrl-C ends the recording earlier; what was recorded is kept.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub seconds: Option<u64>,
    /// Samples for each second of CPU time.
    #[arg(long, default_value_t = 99, value_parser = clap::value_parser!(u32).range(1..))]
    pub hz: u32,
    /// What ticks: the CPU's clock, or its cycles where the machine has a counter of these.
    #[arg(long, value_enum, default_value_t)]
    pub event: Event,
    /// The profile: gzipped pprof. By default cpu.pprof, if there is no such file yet. With --all and
    /// --cgroup a folder for many, by default `profiles`.
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Draw a flame graph too, as SVG, with what the kernel does for the process.
    #[arg(long, value_name = "FILE")]
    pub flamegraph: Option<PathBuf>,
}

/// See [`goprof::Event`].
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
pub enum Event {
    #[default]
    CpuClock,
    Cycles,
}

impl Profile {
    /// When samples are taken.
    pub fn rate(&self) -> goprof::Rate {
        goprof::Rate {
            event: match self.event {
                Event::CpuClock => goprof::Event::CpuClock,
                Event::Cycles => goprof::Event::Cycles,
            },
            hz: self.hz,
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum Vm {
    /// Lists the kernels; fetches those that are named.
    Kernels {
        /// Fetch these: 6.12, newest, all.
        #[arg(value_name = "LIST")]
        fetch: Option<String>,
        /// For these processors: x86_64 or aarch64.
        #[arg(long, value_parser = arch, default_value_t = Arch::HERE, hide_default_value = true)]
        arch: Arch,
        /// For authors: pins the newest kernels that Debian has.
        #[arg(long)]
        refresh: bool,
    },
    /// For authors: brings the Vagrant machine up with libvirt, checks labs in it, destroys it.
    VagrantTest {
        /// Keep what was made in DIRECTORY, and use it again.
        #[arg(long)]
        keep: bool,
        /// Where everything goes; a temporary place if left out.
        directory: Option<PathBuf>,
    },
}

/// An architecture, by any of its names.
fn arch(word: &str) -> Result<Arch, String> {
    let known = |arch: &&Arch| arch.word() == word || arch.debian() == word;
    Arch::ALL
        .iter()
        .find(known)
        .copied()
        .ok_or_else(|| format!("it can be {}", Arch::WORDS.join(" or ")))
}

/// Where labs are checked.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum Where {
    /// On this machine where you are root, where CI=true, in the course's Vagrant machine, and for labs
    /// that need no root; else in a virtual machine, if QEMU is installed.
    #[default]
    Auto,
    /// On this machine.
    Native,
    /// In a virtual machine.
    Vm,
}

/// How a report is printed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum Format {
    /// For reading.
    #[default]
    Human,
    /// One object, probelab/report/v1.
    Json,
    /// A line a lab.
    Jsonl,
    /// JUnit XML.
    Junit,
}

/// How a list is printed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum ListFormat {
    /// For reading.
    #[default]
    Human,
    /// One object.
    Json,
}
