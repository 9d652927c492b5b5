//! The sampler's kernel side, loaded: a BPF program (`crates/goprof-ebpf`) that counts stacks where they
//! are seen, so that user space has nothing to do until it asks.

use std::{fs, os::fd::AsRawFd as _};

use aya::{
    Ebpf, EbpfLoader, Pod,
    maps::{Array, CgroupArray, HashMap, MapError, PerCpuArray},
    programs::{
        PerfEvent, ProgramError, RawTracePoint,
        perf_event::{HardwareEvent, PerfEventConfig, PerfEventScope, SamplePolicy, SoftwareEvent},
    },
};

use crate::{Error, Event, Rate, RawStack};

#[path = "../../goprof-ebpf/src/shared.rs"]
mod shared;

pub use shared::Tally;
use shared::{
    ALL, CONTROL_GROUP, IN_KERNEL, Key, MAX_RANGES, NO_REGISTERS, ONE_PROCESS, Range, Stack,
};

// SAFETY: all are numbers, without padding, and valid whatever their bits.
unsafe impl Pod for Key {}
// SAFETY: as above.
unsafe impl Pod for Range {}
// SAFETY: as above.
unsafe impl Pod for Stack {}

/// The BPF object, by build.rs.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/sampler"));

/// Which processes are sampled.
pub enum Scope<'a> {
    Process(Target),
    /// Its directory in a cgroup2 file system.
    ControlGroup(&'a fs::File),
    All,
}

/// A process, as `bpf_get_ns_current_pid_tgid` knows it (kernel/bpf/helpers.c).
pub struct Target {
    /// In its own PID namespace.
    pub pid: u32,
    /// Of the namespace's inode, as the kernel itself writes it (include/linux/kdev_t.h).
    pub device: u64,
    pub inode: u64,
}

/// A stack that was counted.
pub struct Counted {
    /// Whose; 0 for a single process.
    pub process: u32,
    /// When that became the program that it is, in nanoseconds of CLOCK_MONOTONIC; 0 if before sampling
    /// began.
    pub since: u64,
    pub stack: RawStack,
    pub count: u64,
}

/// Samples until it is dropped.
///
/// On each CPU an [`Event`] ticks so many times a second, whatever runs there, and the BPF program counts
/// those ticks at which what is sampled does: a sample is 1/`hz` seconds of CPU time.
#[derive(Debug)]
pub struct Kernel {
    ebpf: Ebpf,
}

impl Kernel {
    /// Loads it, and has it see each program that a process becomes from now on. Of threads in the kernel
    /// the stack there is counted, too, if `kernel_stacks` are wanted.
    ///
    /// # Errors
    /// [`Error::Privilege`], and [`Error::Sampler`] when the kernel refuses something else.
    pub fn load(scope: &Scope, kernel_stacks: bool) -> Result<Self, Error> {
        let number = match scope {
            Scope::Process(_) => ONE_PROCESS,
            Scope::ControlGroup(_) => CONTROL_GROUP,
            Scope::All => ALL,
        };
        let kernel = u32::from(kernel_stacks);
        let mut loader = EbpfLoader::new();
        loader
            .override_global("SCOPE", &number, true)
            .override_global("KERNEL", &kernel, true);
        if let Scope::Process(target) = scope {
            loader
                .override_global("PID", &target.pid, true)
                .override_global("NAMESPACE_DEVICE", &target.device, true)
                .override_global("NAMESPACE_INODE", &target.inode, true);
        }
        let mut ebpf = loader.load(OBJECT).map_err(refused)?;
        if let Scope::ControlGroup(folder) = scope {
            let groups = ebpf.map_mut("CGROUPS").ok_or_else(|| lacks("CGROUPS"))?;
            let mut groups: CgroupArray<_> = groups.try_into().map_err(refused)?;
            groups.set(0, folder.as_raw_fd(), 0).map_err(refused)?;
        }
        let exec: &mut RawTracePoint = program(&mut ebpf, "exec")?;
        exec.load().map_err(refused)?;
        exec.attach("sched_process_exec").map_err(refused)?;
        Ok(Self { ebpf })
    }

    /// Tells where a single process has its Go code.
    ///
    /// # Errors
    /// [`Error::Sampler`].
    pub fn tell_code(&mut self, code: &[std::ops::Range<u64>]) -> Result<(), Error> {
        let map = self.ebpf.map_mut("CODE").ok_or_else(|| lacks("CODE"))?;
        let mut map: Array<_, Range> = map.try_into().map_err(refused)?;
        for (index, range) in (0..MAX_RANGES).zip(code) {
            let range = Range {
                start: range.start,
                end: range.end,
            };
            map.set(index, &range, 0).map_err(refused)?;
        }
        Ok(())
    }

    /// Begins to sample.
    ///
    /// # Errors
    /// [`Error::Rate`], [`Error::NoCycles`], and as for [`Kernel::load`].
    pub fn attach(&mut self, rate: Rate) -> Result<(), Error> {
        let Rate { event, hz } = rate;
        let max = max_rate().unwrap_or(u32::MAX);
        if hz == 0 || hz > max {
            return Err(Error::Rate { hz, max });
        }
        // Older kernels have no helper for the registers of a thread that is in the kernel.
        let sample: &mut PerfEvent = program(&mut self.ebpf, "sample")?;
        let sample = match sample.load() {
            Ok(()) => sample,
            Err(ProgramError::LoadError { .. }) => {
                let sample: &mut PerfEvent = program(&mut self.ebpf, "sample_5_10")?;
                sample.load().map_err(refused)?;
                sample
            }
            Err(error) => return Err(refused(error)),
        };
        for cpu in cpus()? {
            let config = match event {
                Event::CpuClock => PerfEventConfig::Software(SoftwareEvent::CpuClock),
                Event::Cycles => PerfEventConfig::Hardware(HardwareEvent::CpuCycles),
            };
            let attached = sample.attach(
                config,
                PerfEventScope::AllProcessesOneCpu { cpu },
                SamplePolicy::Frequency(hz.into()),
                false,
            );
            attached.map_err(|error| match event {
                Event::Cycles if is_no_counter(&error) => Error::NoCycles,
                _ => refused(error),
            })?;
        }
        Ok(())
    }

    /// What was counted so far.
    ///
    /// # Errors
    /// [`Error::Sampler`] when the kernel's maps can't be read.
    pub fn counted(&self) -> Result<Vec<Counted>, Error> {
        let stacks: HashMap<_, u64, Stack> = map(&self.ebpf, "STACKS")?;
        let counts: HashMap<_, Key, u64> = map(&self.ebpf, "COUNTS")?;
        let counted = counts.iter().map(|entry| {
            let (key, count) = entry.map_err(refused)?;
            let addresses = |key: u64| -> Result<Vec<u64>, Error> {
                let stack = stacks.get(&key, 0).map_err(refused)?;
                let depth = stack.depth as usize;
                Ok(stack.addresses.into_iter().take(depth).collect())
            };
            Ok(Counted {
                process: key.process,
                since: key.since,
                stack: RawStack {
                    addresses: addresses(key.stack)?,
                    kernel: match key.kernel {
                        0 => Vec::new(),
                        hash => addresses(hash)?,
                    },
                    words: key.words,
                    in_kernel: key.flags & IN_KERNEL != 0,
                    has_words: key.flags & NO_REGISTERS == 0,
                },
                count,
            })
        });
        counted.collect()
    }

    /// How often a single process has become another program.
    ///
    /// # Errors
    /// As for [`Kernel::counted`].
    pub fn execs(&self) -> Result<u64, Error> {
        let execs: Array<_, u64> = map(&self.ebpf, "EXECS")?;
        execs.get(&0, 0).map_err(refused)
    }

    /// # Errors
    /// As for [`Kernel::counted`].
    pub fn tally(&self, what: Tally) -> Result<u64, Error> {
        let tally: PerCpuArray<_, u64> = map(&self.ebpf, "TALLY")?;
        let values = tally.get(&(what as u32), 0).map_err(refused)?;
        Ok(values.iter().sum())
    }
}

/// The CPUs that are there.
pub fn cpus() -> Result<Vec<u32>, Error> {
    aya::util::online_cpus().map_err(|(what, error)| Error::Sampler(format!("{what}: {error}")))
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
pub fn refused(error: impl std::error::Error) -> Error {
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

/// Whether the machine lacks the counter that an event needs: perf_event_open(2) has no such event, or the
/// counter can't interrupt.
fn is_no_counter(error: &(dyn std::error::Error + 'static)) -> bool {
    use rustix::io::Errno;
    let io = std::iter::successors(Some(error), |error| error.source())
        .filter_map(|error| error.downcast_ref::<std::io::Error>());
    io.filter_map(Errno::from_io_error)
        .any(|errno| matches!(errno, Errno::NOENT | Errno::OPNOTSUPP | Errno::NODEV))
}

/// The highest frequency that the kernel allows, samples a second on each CPU.
fn max_rate() -> Option<u32> {
    let text = fs::read_to_string("/proc/sys/kernel/perf_event_max_sample_rate").ok()?;
    text.trim().parse().ok()
}
