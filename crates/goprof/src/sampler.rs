//! Samples a process from the kernel's side: a BPF program (`crates/goprof-ebpf`) that counts its stacks
//! where they are seen, so that user space has nothing to do until it asks.

use std::{collections::BTreeMap, fs, os::linux::fs::MetadataExt as _};

use aya::{
    Ebpf, EbpfLoader, Pod,
    maps::{Array, HashMap, MapError, PerCpuArray},
    programs::{
        PerfEvent, ProgramError, RawTracePoint,
        perf_event::{PerfEventConfig, PerfEventScope, SamplePolicy, SoftwareEvent},
    },
};

use crate::{Error, RawStack, Symbolizer};

#[path = "../../goprof-ebpf/src/shared.rs"]
mod shared;

use shared::{IN_KERNEL, Key, MAX_RANGES, NO_REGISTERS, Range, Stack, Tally};

// SAFETY: all are numbers, without padding, and valid whatever their bits.
unsafe impl Pod for Key {}
// SAFETY: as above.
unsafe impl Pod for Range {}
// SAFETY: as above.
unsafe impl Pod for Stack {}

/// The BPF object, by build.rs.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/sampler"));

/// Samples one process, all its threads, until it is dropped.
///
/// Each CPU's clock (`PERF_COUNT_SW_CPU_CLOCK`) ticks `hz` times a second, whatever runs there, and the
/// BPF program counts those ticks at which the process does: a sample is 1/`hz` seconds of CPU time.
#[derive(Debug)]
pub struct Sampler {
    ebpf: Ebpf,
}

/// What was sampled.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    /// How often each stack was seen.
    pub stacks: BTreeMap<RawStack, u64>,
    /// Samples of the process in all.
    pub samples: u64,
    /// Of these, without a stack in user space.
    pub no_stack: u64,
    /// Of these, not in `stacks` since there was no room.
    pub lost: u64,
    /// How often the process has become another program (execve(2)).
    pub execs: u64,
    /// Ticks after that; in no other number.
    pub after_exec: u64,
}

impl Sampler {
    /// Begins to sample process `pid`, whose code `symbols` knows.
    ///
    /// # Errors
    /// [`Error::Privilege`], [`Error::Rate`], [`Error::Process`] when it has ended, and
    /// [`Error::Sampler`] when the kernel refuses something else.
    pub fn start(pid: u32, hz: u32, symbols: &Symbolizer) -> Result<Self, Error> {
        let max = max_rate().unwrap_or(u32::MAX);
        if hz == 0 || hz > max {
            return Err(Error::Rate { hz, max });
        }
        let target = Target::of(pid).map_err(|source| Error::of_process(pid, source))?;
        let mut ebpf = EbpfLoader::new()
            .override_global("PID", &target.pid, true)
            .override_global("NAMESPACE_DEVICE", &target.device, true)
            .override_global("NAMESPACE_INODE", &target.inode, true)
            .load(OBJECT)
            .map_err(refused)?;
        tell_code(&mut ebpf, symbols)?;
        let exec: &mut RawTracePoint = program(&mut ebpf, "exec")?;
        exec.load().map_err(refused)?;
        exec.attach("sched_process_exec").map_err(refused)?;
        // Older kernels have no helper for the registers of a thread that is in the kernel.
        let sample: &mut PerfEvent = program(&mut ebpf, "sample")?;
        let sample = match sample.load() {
            Ok(()) => sample,
            Err(ProgramError::LoadError { .. }) => {
                let sample: &mut PerfEvent = program(&mut ebpf, "sample_5_10")?;
                sample.load().map_err(refused)?;
                sample
            }
            Err(error) => return Err(refused(error)),
        };
        let cpus = aya::util::online_cpus()
            .map_err(|(what, error)| Error::Sampler(format!("{what}: {error}")))?;
        for cpu in cpus {
            let attached = sample.attach(
                PerfEventConfig::Software(SoftwareEvent::CpuClock),
                PerfEventScope::AllProcessesOneCpu { cpu },
                SamplePolicy::Frequency(hz.into()),
                false,
            );
            attached.map_err(refused)?;
        }
        Ok(Self { ebpf })
    }

    /// What was sampled so far.
    ///
    /// # Errors
    /// [`Error::Sampler`] when the kernel's maps can't be read.
    pub fn recording(&self) -> Result<Recording, Error> {
        let stacks: HashMap<_, u64, Stack> = map(&self.ebpf, "STACKS")?;
        let counts: HashMap<_, Key, u64> = map(&self.ebpf, "COUNTS")?;
        let execs: Array<_, u64> = map(&self.ebpf, "EXECS")?;
        let mut recording = Recording {
            execs: execs.get(&0, 0).map_err(refused)?,
            samples: self.tally(Tally::Samples)?,
            no_stack: self.tally(Tally::NoStack)?,
            lost: self.tally(Tally::Lost)?,
            after_exec: self.tally(Tally::AfterExec)?,
            ..Recording::default()
        };
        for entry in counts.iter() {
            let (key, count) = entry.map_err(refused)?;
            let stack = stacks.get(&key.stack, 0).map_err(refused)?;
            let raw = RawStack {
                addresses: stack
                    .addresses
                    .iter()
                    .copied()
                    .take(stack.depth as usize)
                    .collect(),
                words: key.words,
                in_kernel: key.flags & IN_KERNEL != 0,
                has_words: key.flags & NO_REGISTERS == 0,
            };

            *recording.stacks.entry(raw).or_default() += count;
        }
        Ok(recording)
    }

    fn tally(&self, what: Tally) -> Result<u64, Error> {
        let tally: PerCpuArray<_, u64> = map(&self.ebpf, "TALLY")?;
        let values = tally.get(&(what as u32), 0).map_err(refused)?;
        Ok(values.iter().sum())
    }
}

/// Tells the kernel side where Go code is.
fn tell_code(ebpf: &mut Ebpf, symbols: &Symbolizer) -> Result<(), Error> {
    let code = ebpf.map_mut("CODE").ok_or_else(|| lacks("CODE"))?;
    let mut code: Array<_, Range> = code.try_into().map_err(refused)?;
    for (index, range) in (0..MAX_RANGES).zip(symbols.go_code()) {
        let range = Range {
            start: range.start,
            end: range.end,
        };
        code.set(index, &range, 0).map_err(refused)?;
    }
    Ok(())
}

fn map<'a, T>(ebpf: &'a Ebpf, name: &str) -> Result<T, Error>
where
    T: TryFrom<&'a aya::maps::Map, Error = MapError>,
{
    let map = ebpf.map(name).ok_or_else(|| lacks(name))?;
    map.try_into().map_err(refused)
}

fn program<'a, T>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut T, Error>
where
    &'a mut T: TryFrom<&'a mut aya::programs::Program, Error = ProgramError>,
{
    let program = ebpf.program_mut(name).ok_or_else(|| lacks(name))?;
    program.try_into().map_err(refused)
}

fn lacks(name: &str) -> Error {
    Error::Sampler(format!("its BPF object lacks {name}"))
}

/// What the kernel answered, with all causes that the library keeps apart. Root that is refused is not
/// told to become root: a container, a locked down kernel or the verifier refuses.
fn refused(error: impl std::error::Error) -> Error {
    let root = rustix::process::geteuid().is_root();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let not_allowed = error
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied);
        if not_allowed && !root {
            return Error::Privilege;
        }
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    Error::Sampler(text)
}

/// The highest frequency that the kernel allows, samples a second on each CPU.
fn max_rate() -> Option<u32> {
    let text = fs::read_to_string("/proc/sys/kernel/perf_event_max_sample_rate").ok()?;
    text.trim().parse().ok()
}

/// A process, also by the number of one of its threads, as `bpf_get_ns_current_pid_tgid` knows it (kernel/bpf/helpers.c).
struct Target {
    /// In its own PID namespace.
    pid: u32,
    /// Of the namespace's inode, as the kernel itself writes it (include/linux/kdev_t.h).
    device: u64,
    inode: u64,
}

impl Target {
    fn of(pid: u32) -> std::io::Result<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        // In each namespace that it is in, its own last.
        let inner = status.lines().find_map(|line| {
            line.strip_prefix("NStgid:")?
                .split_whitespace()
                .last()?
                .parse()
                .ok()
        });
        let namespace = fs::metadata(format!("/proc/{pid}/ns/pid"))?;
        let device = namespace.st_dev();
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        Ok(Self {
            pid: inner.unwrap_or(pid),
            device: u64::from(major) << 20 | u64::from(minor),
            inode: namespace.st_ino(),
        })
    }
}
