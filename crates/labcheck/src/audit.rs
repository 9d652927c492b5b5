//! What a learner's program put into the kernel: programs, where they are attached, how often
//! they ran, what their maps hold.
//!
//! What this proves: a program of the expected type was loaded by the learner's control group
//! while we watched, is attached to the expected hook, ran when the workload ran, and uses the
//! map that holds the answer. What it does not prove: that the program's own instructions, and
//! not the user-space side, wrote that map. The randomised workload and the comparison of the
//! map with the truth stand against that.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::MetadataExt as _,
    },
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd};

use crate::{
    bpf,
    perf::{Record, Ring},
    verdict::Failure,
};

/// Kinds of BPF programs that labs use (enum bpf_prog_type, include/uapi/linux/bpf.h).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ProgramType(u32);

impl ProgramType {
    /// `BPF_PROG_TYPE_SOCKET_FILTER`.
    pub const SOCKET_FILTER: Self = Self(1);
    /// `BPF_PROG_TYPE_KPROBE`; uprobes have this type too.
    pub const KPROBE: Self = Self(2);
    /// `BPF_PROG_TYPE_SCHED_CLS`.
    pub const SCHED_CLS: Self = Self(3);
    /// `BPF_PROG_TYPE_TRACEPOINT`.
    pub const TRACEPOINT: Self = Self(5);
    /// `BPF_PROG_TYPE_XDP`.
    pub const XDP: Self = Self(6);
    /// `BPF_PROG_TYPE_PERF_EVENT`.
    pub const PERF_EVENT: Self = Self(7);
    /// `BPF_PROG_TYPE_RAW_TRACEPOINT`.
    pub const RAW_TRACEPOINT: Self = Self(17);
    /// `BPF_PROG_TYPE_TRACING`: fentry, fexit, BTF tracepoints.
    pub const TRACING: Self = Self(26);
    /// `BPF_PROG_TYPE_LSM`.
    pub const LSM: Self = Self(29);
}

impl fmt::Display for ProgramType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self {
            Self::SOCKET_FILTER => "socket filter",
            Self::KPROBE => "kprobe or uprobe",
            Self::SCHED_CLS => "tc classifier",
            Self::TRACEPOINT => "tracepoint",
            Self::XDP => "XDP",
            Self::PERF_EVENT => "perf_event",
            Self::RAW_TRACEPOINT => "raw tracepoint",
            Self::TRACING => "tracing (fentry, fexit)",
            Self::LSM => "LSM",
            Self(number) => return write!(f, "type-{number}"),
        })
    }
}

/// Where a program is attached.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Hook {
    /// A tracepoint, by event name without its category: `sys_enter_openat`.
    Tracepoint(String),
    /// A raw tracepoint: `sched_switch`.
    RawTracepoint(String),
    /// The entry (or return) of a kernel function.
    Kprobe(String),
    /// An instruction of a user-space file.
    Uprobe {
        /// The file, as the learner's program sees it.
        path: String,
        /// Offset in the file, bytes.
        offset: u64,
        /// Whether it is a return probe.
        at_return: bool,
    },
    /// A counter or clock of perf: type and configuration (`PERF_TYPE_*`, `PERF_COUNT_*`).
    PerfEvent(u32, u64),
    /// Something else: `cgroup`, `xdp`, `tcx`, `tracing`, or the link type's number.
    Other(String),
}

impl Hook {
    /// Whether it is a probe on entry at this offset of this file, by whatever path.
    pub fn is_uprobe_at(&self, file: &Path, offset: u64) -> bool {
        let Self::Uprobe {
            path,
            offset: at,
            at_return: false,
        } = self
        else {
            return false;
        };
        let same = |a: &fs::Metadata, b: &fs::Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
        *at == offset
            && matches!((fs::metadata(path), fs::metadata(file)), (Ok(a), Ok(b)) if same(&a, &b))
    }

    /// Whether it is perf's CPU clock, `PERF_COUNT_SW_CPU_CLOCK`.
    ///
    /// A program asks for it as software event 0, but `perf_swevent_init` (kernel/events/core.c)
    /// puts the number of a PMU of its own in place of the type: one that the kernel gives out when
    /// it starts and, unlike those of other PMUs, shows nowhere in /sys.
    pub fn is_cpu_clock(&self) -> bool {
        // include/uapi/linux/perf_event.h: PERF_TYPE_SOFTWARE is 1, and 6 the first to be given out.
        match *self {
            Self::PerfEvent(1, 0) => true,
            Self::PerfEvent(kind @ 6.., 0) => !shown_pmu_types().contains(&kind),
            _ => false,
        }
    }
}

/// The types of the PMUs that /sys shows.
fn shown_pmu_types() -> Vec<u32> {
    fs::read_dir("/sys/bus/event_source/devices")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|pmu| fs::read_to_string(pmu.path().join("type")).ok())
        .filter_map(|text| text.trim().parse().ok())
        .collect()
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tracepoint(name) => write!(f, "the tracepoint {name}"),
            Self::RawTracepoint(name) => write!(f, "the raw tracepoint {name}"),
            Self::Kprobe(name) => write!(f, "the kernel function {name}"),
            Self::Uprobe {
                path,
                offset,
                at_return,
            } => write!(
                f,
                "{} {offset:#x} of {}",
                if *at_return {
                    "the return of the function at"
                } else {
                    "the instruction at"
                },
                Path::new(path)
                    .file_name()
                    .map_or(path.as_str().into(), |name| name.to_string_lossy())
            ),
            _ if self.is_cpu_clock() => f.write_str("the CPU clock"),
            Self::PerfEvent(kind, config) => write!(f, "the perf event {kind}:{config}"),
            Self::Other(name) => write!(f, "a {name} hook"),
        }
    }
}

/// One program of the learner, as of the last [`crate::learner::Learner::audit`].
#[derive(Clone, Debug)]
pub struct Program {
    /// Kernel-wide id.
    pub id: u32,
    /// Name in the kernel: at most 15 bytes of it.
    pub name: String,
    /// Its type.
    pub kind: ProgramType,
    /// Where it is attached.
    pub hooks: Vec<Hook>,
    /// How often it ran.
    pub runs: u64,
    /// Ids of its maps.
    pub map_ids: Vec<u32>,
    /// Bytes of translated code.
    size: u32,
}

impl Program {
    /// A program that a library loads only to learn what the kernel can do. They are small, and
    /// have no name but for the ones that try whether a name is allowed. A learner's program has
    /// its function's name, and may be as small while it is being written.
    fn is_feature_probe(&self) -> bool {
        self.hooks.is_empty()
            && self.runs == 0
            && self.map_ids.is_empty()
            && self.size <= 64
            && ["", "aya_name_check", "libbpf_nametest"].contains(&self.name.as_str())
    }
}

/// The watch over one control group.
#[derive(Debug)]
pub struct Audit {
    shared: Arc<Mutex<Shared>>,
    /// Written to in order to end the thread.
    wake: Arc<OwnedFd>,
    thread: Option<std::thread::JoinHandle<()>>,
    /// Run counting lasts as long as this is open.
    _stats: OwnedFd,
    programs: Vec<Program>,
}

struct Shared {
    rings: Vec<Ring>,
    /// Kept open, so that a program can be asked about until the run is judged.
    held: BTreeMap<u32, OwnedFd>,
    lost: bool,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("held", &self.held)
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn drain(&mut self) {
        let Self { rings, held, lost } = self;
        for ring in rings {
            ring.drain(|record| match record {
                Record::Lost => *lost = true,
                Record::Loaded(id) => {
                    // Gone already: a feature probe.
                    if let Ok(fd) = bpf::program(id) {
                        held.insert(id, fd);
                    }
                }
            });
        }
    }
}

impl Audit {
    /// Begins to watch. Needs CAP_SYS_ADMIN (which BPF_PROG_GET_FD_BY_ID and BPF_ENABLE_STATS
    /// ask for) and a kernel with CONFIG_CGROUP_PERF.
    pub(crate) fn start(cgroup: &Path) -> io::Result<Self> {
        let folder = fs::File::open(cgroup)?;
        let stats = bpf::enable_stats()
            .map_err(|error| io::Error::other(format!("BPF run counts: {error}")))?;
        let rings = online_cpus()?
            .into_iter()
            .map(|cpu| Ring::open(folder.as_fd(), cpu))
            .collect::<io::Result<Vec<_>>>()
            .map_err(|error| io::Error::other(format!("records of BPF loads: {error}")))?;
        let shared = Arc::new(Mutex::new(Shared {
            rings,
            held: BTreeMap::new(),
            lost: false,
        }));
        let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC)?);
        let thread = std::thread::spawn({
            let (shared, wake) = (shared.clone(), wake.clone());
            move || watch(&shared, &wake)
        });
        Ok(Self {
            shared,
            wake,
            thread: Some(thread),
            _stats: stats,
            programs: Vec::new(),
        })
    }

    /// Looks again. `pids` are the processes of the learner's control group.
    pub(crate) fn refresh(&mut self, pids: &[u32]) -> Result<(), Failure> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.drain();
        if shared.lost {
            return Err(Failure::infrastructure(
                "the kernel dropped records of BPF loads, so the audit is incomplete",
            ));
        }
        let mut hooks = hooks_of_links();
        for (id, hook) in hooks_of_descriptors(pids) {
            let known = hooks.entry(id).or_default();
            if known.is_empty() {
                known.push(hook);
            }
        }
        self.programs = shared
            .held
            .iter()
            .map(|(&id, fd)| {
                let (info, map_ids) = bpf::program_info(fd.as_fd())?;
                Ok(Program {
                    id,
                    name: text(&info.name),
                    kind: ProgramType(info.type_),
                    hooks: hooks.remove(&id).unwrap_or_default(),
                    runs: info.run_cnt,
                    map_ids,
                    size: info.xlated_prog_len,
                })
            })
            .collect::<io::Result<Vec<_>>>()?;
        self.programs.retain(|program| !program.is_feature_probe());
        Ok(())
    }

    /// All programs that the learner's processes have loaded so far, feature probes left out.
    pub fn programs(&self) -> &[Program] {
        &self.programs
    }

    /// The program of type `kind` that is attached where `is_hook` says.
    ///
    /// # Errors
    /// [`Failure::Learner`], saying what was found instead. `expected` names the hook there.
    pub fn attached(
        &self,
        kind: ProgramType,
        expected: &str,
        is_hook: impl Fn(&Hook) -> bool,
    ) -> Result<Program, Failure> {
        if self.programs.is_empty() {
            return Err(Failure::learner(
                "your program loaded no BPF program into the kernel.",
            ));
        }
        let of_kind: Vec<&Program> = self
            .programs
            .iter()
            .filter(|program| program.kind == kind)
            .collect();
        if of_kind.is_empty() {
            let others: Vec<String> = self
                .programs
                .iter()
                .map(|program| format!("{} ({})", program.name, program.kind))
                .collect();
            return Err(Failure::learner(format!(
                "your program loaded {}, but no program of type {kind}.",
                others.join(", ")
            )));
        }
        if let Some(program) = of_kind
            .iter()
            .find(|program| program.hooks.iter().any(&is_hook))
        {
            return Ok((*program).clone());
        }
        let elsewhere: Vec<String> = of_kind
            .iter()
            .flat_map(|program| {
                program
                    .hooks
                    .iter()
                    .map(|hook| format!("{} to {hook}", program.name))
            })
            .collect();
        Err(Failure::learner(if elsewhere.is_empty() {
            format!(
                "the kernel has your program {}, but it is attached to nothing; it belongs at {expected}.",
                of_kind[0].name
            )
        } else {
            format!(
                "your program attached {}; it belongs at {expected}.",
                elsewhere.join(", ")
            )
        }))
    }

    /// How often `program` ran since it was looked up.
    pub fn runs_since(&self, program: &Program) -> u64 {
        self.programs
            .iter()
            .find(|now| now.id == program.id)
            .map_or(0, |now| now.runs.saturating_sub(program.runs))
    }

    /// One of the program's maps, by name (its first 15 bytes).
    ///
    /// # Errors
    /// [`Failure::Learner`] when the program uses no such map.
    pub fn map(&self, program: &Program, name: &str) -> Result<Map, Failure> {
        let mut others = Vec::new();
        for &id in &program.map_ids {
            let fd = bpf::map(id)?;
            let info = bpf::map_info(fd.as_fd())?;
            let its = text(&info.name);
            if its.as_bytes() == &name.as_bytes()[..name.len().min(15)] {
                return Ok(Map {
                    fd,
                    kind: info.type_,
                    key: info.key_size as usize,
                    value: info.value_size as usize,
                });
            }
            others.push(its);
        }
        Err(Failure::learner(if others.is_empty() {
            format!(
                "your program {} uses no map at all; the answer belongs in {name}.",
                program.name
            )
        } else {
            format!(
                "your program {} does not use the map {name}, only {}.",
                program.name,
                others.join(", ")
            )
        }))
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        let _ = rustix::io::write(&*self.wake, &1u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Whether the kernel still has the program `id`. Needs CAP_SYS_ADMIN.
pub fn is_loaded(id: u32) -> bool {
    bpf::program(id).is_ok()
}

/// Takes descriptors of programs as soon as they are loaded, until woken.
fn watch(shared: &Mutex<Shared>, wake: &OwnedFd) {
    let rings: Vec<OwnedFd> = {
        let shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared
            .rings
            .iter()
            .filter_map(|ring| ring.as_fd().try_clone_to_owned().ok())
            .collect()
    };
    loop {
        let mut fds: Vec<PollFd<'_>> = std::iter::once(wake)
            .chain(&rings)
            .map(|fd| PollFd::new(fd, PollFlags::IN))
            .collect();
        match rustix::event::poll(&mut fds, None) {
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => return,
            Ok(_) => {}
        }
        if !fds[0].revents().is_empty() {
            return;
        }
        shared
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .drain();
    }
}

/// Hooks by program id, from all links of the machine.
fn hooks_of_links() -> BTreeMap<u32, Vec<Hook>> {
    let mut hooks: BTreeMap<u32, Vec<Hook>> = BTreeMap::new();
    for id in bpf::link_ids() {
        let Ok(fd) = bpf::link(id) else { continue };
        let Ok((info, names)) = bpf::link_info(fd.as_fd()) else {
            continue;
        };
        let anon = &info.__bindgen_anon_1;
        let found = hooks.entry(info.prog_id).or_default();
        match info.type_ {
            bpf::LINK_RAW_TRACEPOINT => found.push(Hook::RawTracepoint(names.name())),
            bpf::LINK_UPROBE_MULTI => {
                // SAFETY: the kernel filled the member that belongs to this link type.
                let multi = unsafe { anon.uprobe_multi };
                let count = (multi.count as usize).min(names.offsets.len());
                found.extend(names.offsets[..count].iter().map(|&offset| Hook::Uprobe {
                    path: names.name(),
                    offset,
                    // BPF_F_UPROBE_MULTI_RETURN
                    at_return: multi.flags & 1 != 0,
                }));
            }
            bpf::LINK_PERF_EVENT => {
                // SAFETY: as above.
                let event = unsafe { anon.perf_event };
                // SAFETY: for each type the kernel fills the member of that name.
                let hook = unsafe {
                    match event.type_ {
                        bpf::PERF_TRACEPOINT => Hook::Tracepoint(names.name()),
                        bpf::PERF_KPROBE | bpf::PERF_KRETPROBE => Hook::Kprobe(names.name()),
                        bpf::PERF_UPROBE | bpf::PERF_URETPROBE => Hook::Uprobe {
                            path: names.name(),
                            offset: event.__bindgen_anon_1.uprobe.offset.into(),
                            at_return: event.type_ == bpf::PERF_URETPROBE,
                        },
                        bpf::PERF_EVENT => {
                            let event = event.__bindgen_anon_1.event;
                            Hook::PerfEvent(event.type_, event.config)
                        }
                        // Before Linux 6.6 the kernel tells nothing more than that it is one.
                        _ => continue,
                    }
                };
                found.push(hook);
            }
            bpf::LINK_TRACING => found.push(Hook::Other("tracing".into())),
            bpf::LINK_CGROUP => found.push(Hook::Other("cgroup".into())),
            bpf::LINK_XDP => found.push(Hook::Other("xdp".into())),
            bpf::LINK_TCX => found.push(Hook::Other("tcx".into())),
            bpf::LINK_KPROBE_MULTI => found.push(Hook::Other("kprobe-multi".into())),
            other => found.push(Hook::Other(format!("type-{other}"))),
        }
    }
    hooks
}

/// Hooks that are descriptors of a process rather than links: what older kernels and libraries use.
fn hooks_of_descriptors(pids: &[u32]) -> Vec<(u32, Hook)> {
    let mut hooks = Vec::new();
    for &pid in pids {
        for entry in fs::read_dir(format!("/proc/{pid}/fd"))
            .into_iter()
            .flatten()
            .flatten()
        {
            let Some(fd) = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok())
            else {
                continue;
            };
            let Ok((program, kind, name, offset)) = bpf::task_fd(pid, fd) else {
                continue;
            };
            // enum bpf_task_fd_type
            hooks.push((
                program,
                match kind {
                    0 => Hook::RawTracepoint(name),
                    1 => Hook::Tracepoint(name),
                    2 | 3 => Hook::Kprobe(name),
                    4 => Hook::Uprobe {
                        path: name,
                        offset,
                        at_return: false,
                    },
                    5 => Hook::Uprobe {
                        path: name,
                        offset,
                        at_return: true,
                    },
                    other => Hook::Other(format!("descriptor-{other}")),
                },
            ));
        }
    }
    hooks
}

/// CPUs that can run tasks, from the kernel's list such as `0-3,8`.
fn online_cpus() -> io::Result<Vec<u32>> {
    cpu_list(&fs::read_to_string("/sys/devices/system/cpu/online")?)
        .ok_or_else(|| io::Error::other("cannot read the list of CPUs"))
}

fn cpu_list(text: &str) -> Option<Vec<u32>> {
    let mut cpus = Vec::new();
    for part in text.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        cpus.extend(first.parse::<u32>().ok()?..=last.parse().ok()?);
    }
    Some(cpus)
}

/// A NUL-terminated name of the kernel.
fn text(name: &[std::ffi::c_char]) -> String {
    name.iter()
        .take_while(|&&c| c != 0)
        .map(|&c| char::from(c.cast_unsigned()))
        .collect()
}

/// A map of the learner's program, read from outside.
#[derive(Debug)]
pub struct Map {
    fd: OwnedFd,
    kind: u32,
    key: usize,
    value: usize,
}

impl Map {
    /// Whether each CPU has a value of its own (`BPF_MAP_TYPE_PERCPU_HASH`, `_PERCPU_ARRAY`,
    /// `_LRU_PERCPU_HASH`).
    pub fn is_per_cpu(&self) -> bool {
        matches!(self.kind, 5 | 6 | 10)
    }

    /// The values of `key`: one, or one for each possible CPU; empty where there is no entry.
    ///
    /// # Errors
    /// [`Failure::Learner`] when the map's key has another size than `key`.
    pub fn get(&self, key: &[u8]) -> Result<Vec<Vec<u8>>, Failure> {
        if key.len() != self.key {
            return Err(Failure::learner(format!(
                "the map's key has {} bytes; the check looks up one of {}.",
                self.key,
                key.len()
            )));
        }
        let copies = if self.is_per_cpu() {
            possible_cpus()?
        } else {
            1
        };
        let each = if self.is_per_cpu() {
            self.value.next_multiple_of(8)
        } else {
            self.value
        };
        let mut bytes = vec![0; each * copies];
        Ok(match bpf::lookup(self.fd.as_fd(), key, &mut bytes)? {
            None => Vec::new(),
            Some(()) => bytes
                .chunks(each)
                .map(|value| value[..self.value].to_vec())
                .collect(),
        })
    }

    /// The sum over CPUs of a `u64` value; 0 where there is no entry.
    ///
    /// # Errors
    /// [`Failure::Learner`] when the map's values are not `u64`.
    pub fn sum_u64(&self, key: &[u8]) -> Result<u64, Failure> {
        self.get(key)?.into_iter().try_fold(0u64, |sum, value| {
            let bytes: [u8; 8] = value.as_slice().try_into().map_err(|_| {
                Failure::learner(format!(
                    "the map's values have {} bytes; the check expects a u64.",
                    value.len()
                ))
            })?;
            Ok(sum.wrapping_add(u64::from_ne_bytes(bytes)))
        })
    }

    /// All keys, at most `limit`.
    ///
    /// # Errors
    /// [`Failure::Infrastructure`] when the kernel refuses.
    pub fn keys(&self, limit: usize) -> Result<Vec<Vec<u8>>, Failure> {
        let mut keys: Vec<Vec<u8>> = Vec::new();
        let mut next = vec![0; self.key];
        while keys.len() < limit
            && bpf::next_key(self.fd.as_fd(), keys.last().map(Vec::as_slice), &mut next)?
        {
            keys.push(next.clone());
        }
        Ok(keys)
    }
}

fn possible_cpus() -> io::Result<usize> {
    let list = fs::read_to_string("/sys/devices/system/cpu/possible")?;
    cpu_list(&list)
        .map(|cpus| cpus.len())
        .ok_or_else(|| io::Error::other("cannot read the list of CPUs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_clock_is_known_by_either_of_its_types() {
        let unshown = (6..).find(|kind| !shown_pmu_types().contains(kind));
        let unshown = unshown.expect("there are few PMUs");
        for (hook, is_clock) in [
            (Hook::PerfEvent(1, 0), true),
            (Hook::PerfEvent(unshown, 0), true),
            (Hook::PerfEvent(1, 1), false),
            (Hook::PerfEvent(unshown, 1), false),
            (Hook::PerfEvent(0, 0), false),
            (Hook::Tracepoint("cpu_clock".into()), false),
        ] {
            assert_eq!(hook.is_cpu_clock(), is_clock, "{hook}");
        }
    }

    #[test]
    fn cpu_lists_are_ranges_and_single_numbers() {
        assert_eq!(cpu_list("0-2,5\n"), Some(vec![0, 1, 2, 5]));
        assert_eq!(cpu_list("0\n"), Some(vec![0]));
        assert_eq!(cpu_list("x"), None);
    }
}
