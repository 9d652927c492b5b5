//! Profilers that others use, as they are used.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use goprof::{Edge, Edges};
use labcheck::{machine, scratch::Scratch};
use pgo::ruler;
use rustix::process::{Pid, Signal};

use super::scratch;
use crate::trouble::{OrTrouble as _, Outcome, Trouble};

/// How long one may take to end.
const GRACE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Other {
    Perf,
    Bpftrace,
}

impl Other {
    pub const ALL: [Self; 2] = [Self::Perf, Self::Bpftrace];

    /// Those that are installed; of the rest it is told.
    pub fn here() -> Vec<Self> {
        let here = Self::ALL.into_iter().filter(|other| {
            let here = machine::on_path(other.name()).is_some();
            if !here {
                errln!("{} is not here to be measured beside", other.name());
            }
            here
        });
        here.collect()
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Perf => "perf",
            Self::Bpftrace => "bpftrace",
        }
    }

    /// Looks `hz` times a second at a process. Unless `names` are wanted, what was seen is counted, and named
    /// by nobody: that can take bpftrace minutes.
    pub fn start(self, hz: u32, pid: u32, names: bool) -> Outcome<Looking> {
        let folder = scratch()?;
        let data = folder.path().join("perf.data");
        let printed = folder.path().join("printed");
        let mut command = match self {
            Self::Perf => {
                let mut command = Command::new("perf");
                command.args(["record", "-e", "cpu-clock", "--call-graph", "fp", "-F"]);
                command.args([hz.to_string(), "-p".to_owned(), pid.to_string()]);
                command.arg("-o").arg(&data);
                command
            }
            // Stacks of one process, counted in the kernel; in the end it names and prints what there is.
            Self::Bpftrace => {
                let (act, end) = match names {
                    true => ("@[ustack] = count();", ""),
                    false => ("@s[ustack] = count(); @ = count();", "END { clear(@s); }"),
                };
                let script = format!("profile:hz:{hz} /pid == {pid}/ {{ {act} }} {end}");
                let mut command = Command::new("bpftrace");
                // As many different stacks as goprof has room for.
                command.env("BPFTRACE_MAP_KEYS_MAX", "65536");
                command.args(["-f", "json", "-e", &script]);
                command
            }
        };
        let output = std::fs::File::create(&printed)
            .or_infrastructure(|| "cannot make a file".to_owned())?;
        let errors = match self {
            // It tells in its last words how much it has.
            Self::Perf => output.try_clone().map_or(Stdio::null(), Stdio::from),
            Self::Bpftrace => Stdio::null(),
        };
        let child = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .or_infrastructure(|| format!("cannot start {}", self.name()))?;
        let looking = Looking {
            other: self,
            child,
            printed,
            data,
            _folder: folder,
        };
        looking.await_readiness()?;
        Ok(looking)
    }
}

/// One that looks.
pub struct Looking {
    other: Other,
    child: Child,
    /// What it has printed.
    printed: PathBuf,
    /// What perf has recorded.
    pub data: PathBuf,
    _folder: Scratch,
}

/// What one has seen.
pub struct Seen {
    pub samples: u64,
    /// CPU seconds that it took.
    pub cpu: f64,
    /// Innermost calls; perf's have to be asked for.
    printed: String,
}

impl Looking {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// bpftrace says that it attaches before it does; perf says nothing when it is ready.
    fn await_readiness(&self) -> Outcome<()> {
        if self.other == Other::Bpftrace {
            let until = Instant::now() + GRACE;
            while self.read()?.is_empty() {
                if Instant::now() > until {
                    return Err(Trouble::infrastructure("bpftrace says nothing", ""));
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        std::thread::sleep(Duration::from_millis(500));
        Ok(())
    }

    fn read(&self) -> Outcome<String> {
        let bytes = std::fs::read(&self.printed).or_infrastructure(|| "it is gone".to_owned())?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Ends it.
    pub fn stop(&mut self) -> Outcome<Seen> {
        let name = self.other.name();
        let before = ruler::children_cpu_time();
        let _ = rustix::process::kill_process(Pid::from_child(&self.child), Signal::INT);
        let until = Instant::now() + GRACE;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > until {
                return Err(Trouble::infrastructure(format!("{name} does not end"), ""));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let cpu = (ruler::children_cpu_time() - before).as_secs_f64();
        let printed = self.read()?;
        let samples = match self.other {
            Other::Perf => samples_of_perf(&printed).unwrap_or(0),
            Other::Bpftrace => printed.lines().filter_map(counts).sum(),
        };
        if samples == 0 {
            let why = printed.trim();
            return Err(Trouble::infrastructure(
                format!("{name} has recorded nothing: {why}"),
                "",
            ));
        }
        Ok(Seen {
            samples,
            cpu,
            printed,
        })
    }

    /// The calls that it tells itself, from the innermost function and its caller.
    pub fn calls(&self, seen: &Seen) -> Outcome<Edges> {
        match self.other {
            Other::Perf => {
                let output = Command::new("perf")
                    .args(["script", "-F", "ip,sym", "--no-inline", "-i"])
                    .arg(&self.data)
                    .output()
                    .or_infrastructure(|| "perf script does not run".to_owned())?;
                Ok(calls_of_perf(&String::from_utf8_lossy(&output.stdout)))
            }
            Other::Bpftrace => Ok(calls_of_bpftrace(&seen.printed)),
        }
    }
}

impl Drop for Looking {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// From `[ perf record: Captured and wrote 0.1 MB FILE (123 samples) ]`.
fn samples_of_perf(said: &str) -> Option<u64> {
    let (before, _) = said.split_once(" samples)")?;
    before.rsplit('(').next()?.parse().ok()
}

/// How many samples bpftrace has printed: `{"data": {"@": N}}`, or with names
/// `{"data": {"@": {STACK: N, …}}}`.
fn counts(line: &str) -> Option<u64> {
    let value: serde_json::Value = serde_json::from_str(line).ok()?;
    let printed = value.get("data")?.get("@")?;
    let of_stacks = |stacks: &serde_json::Map<String, serde_json::Value>| {
        stacks.values().filter_map(serde_json::Value::as_u64).sum()
    };
    printed
        .as_u64()
        .or_else(|| printed.as_object().map(of_stacks))
}

/// From what perf script prints: a line `ADDRESS NAME` for each frame, innermost first, and an empty one
/// behind each sample. The kernel's frames are passed over.
fn calls_of_perf(text: &str) -> Edges {
    let samples = text.split("\n\n").filter_map(|sample| {
        let frames = sample.lines().filter_map(|line| {
            let (address, name) = line.trim().split_once(' ')?;
            (!address.starts_with("ffff")).then_some(name)
        });
        call(frames).map(|edge| (edge, 1))
    });
    samples.collect()
}

/// From what bpftrace prints: `{"data": {"@": {"FRAME\nFRAME…": COUNT}}}`, each frame `NAME+OFFSET`.
fn calls_of_bpftrace(text: &str) -> Edges {
    let maps = text.lines().filter_map(|line| {
        let value: serde_json::Value = serde_json::from_str(line).ok()?;
        value.get("data")?.get("@")?.as_object().cloned()
    });
    let stacks = maps.flatten().filter_map(|(stack, count)| {
        let frames = stack.lines().map(str::trim).filter(|line| !line.is_empty());
        let names = frames.map(|frame| frame.rsplit_once('+').map_or(frame, |(name, _)| name));
        Some((call(names)?, count.as_i64()?))
    });
    stacks.collect()
}

/// The innermost call of a stack. (Nothing is told of lines.)
fn call<'a>(mut frames: impl Iterator<Item = &'a str>) -> Option<Edge> {
    let callee = frames.next()?;
    let caller = frames.next()?;
    Some(Edge::new(caller, 0, callee))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_read_from_what_others_print() {
        let perf = "\t  cce9a main.leaf\n\t  cceba main.middle\n\t cceff main.main\n\n\
            \tffffffff81000130 entry_SYSCALL_64\n\t  cce9a main.leaf\n\t  cceba main.middle\n\n";
        let bpftrace = r#"{"type": "attached_probes", "data": {"probes": 1}}
{"type": "map", "data": {"@": {"\n    main.leaf+1\n    main.middle+20\n": 2}}}"#;
        for edges in [calls_of_perf(perf), calls_of_bpftrace(bpftrace)] {
            let all = edges.by_weight();
            assert_eq!(all, [(&Edge::new("main.middle", 0, "main.leaf"), 2)]);
        }
    }

    #[test]
    fn what_perf_says_in_the_end_is_read() {
        let said = "[ perf record: Woken up 1 times to write data ]\n\
            [ perf record: Captured and wrote 0.026 MB perf.data (123 samples) ]\n";
        assert_eq!(samples_of_perf(said), Some(123));
    }

    #[test]
    fn what_bpftrace_prints_is_summed() {
        let line = r#"{"type": "map", "data": {"@": {"a+1\nb+2": 3, "c+1": 4}}}"#;
        assert_eq!(counts(line), Some(7));
        assert_eq!(counts(r#"{"type": "map", "data": {"@": 7}}"#), Some(7));
        assert_eq!(
            counts(r#"{"type": "attached_probes", "data": {"probes": 1}}"#),
            None
        );
    }
}
