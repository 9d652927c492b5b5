//! What a learner's program put into the kernel: programs, where they are attached, how often
//! they ran, what their maps hold.
//!
//! What this proves: a program of the expected type was loaded by the learner's control group
//! while we watched, is attached to the expected hook, ran when the workload ran, and uses the
//! map that holds the answer. It does not prove that the program wrote that map, rather than the
//! user-space side: [`crate::learner::Learner::witness`] is for that.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd};

use crate::{
    bpf, cpus, hook,
    perf::{Record, Ring},
    verdict::Failure,
};
pub use crate::{hook::Hook, map::Map};

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
    /// Nanoseconds that it ran in all.
    pub run_nanos: u64,
    /// When it was loaded: nanoseconds of CLOCK_BOOTTIME.
    pub loaded_at: u64,
    /// Ids of its maps.
    pub map_ids: Vec<u32>,
    /// Bytes of translated code.
    size: u32,
}

impl Program {
    /// A program that a library loads only to learn what the kernel can do, some with a map. They are
    /// small, and have no name but for a few; a learner's program has its function's name, and may be as
    /// small while it is being written.
    fn is_feature_probe(&self) -> bool {
        self.hooks.is_empty()
            && self.runs == 0
            && self.size <= 64
            && [
                "",
                "aya_name_check",
                "libbpf_nametest",
                // libbpf's, whether it may mark arguments as contexts.
                "det_arg_ctx",
            ]
            .contains(&self.name.as_str())
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
    /// Whether a process of the learner's holds a perf event that the kernel tells nothing of.
    untold_event: bool,
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
                Record::Sample { .. } => {}
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
        let rings = cpus::online()?
            .into_iter()
            .map(|cpu| Ring::of_loads(&folder, cpu))
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
            untold_event: false,
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
        let mut hooks = hook::of_links();
        for (id, hook) in hook::of_descriptors(pids) {
            let known = hooks.entry(id).or_default();
            if known.iter().all(|known| *known == hook::Hook::Untold) {
                *known = vec![hook];
            }
        }
        self.untold_event = hook::has_untold_event(pids);
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
                    run_nanos: info.run_time_ns,
                    loaded_at: info.load_time,
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
    /// [`Failure::Unsupported`] when the kernel can't say where the program is attached.
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
        if of_kind
            .iter()
            .any(|program| program.hooks.contains(&Hook::Untold))
        {
            return Err(Failure::Unsupported(
                "this kernel does not tell where a program is attached by a perf link; Linux 6.6 \
                 and newer do, and so do those before 5.15, which have no such links"
                    .to_owned(),
            ));
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
        // What it is attached to shows in what it counts: the workload uses CPU time and nothing else.
        if elsewhere.is_empty() && kind == ProgramType::PERF_EVENT && self.untold_event {
            return Ok(of_kind[0].clone());
        }
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

    /// How often `program` has run so far, asked of the kernel now.
    pub(crate) fn runs(&self, program: &Program) -> io::Result<u64> {
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let fd = shared
            .held
            .get(&program.id)
            .ok_or_else(|| io::Error::other("the program to count is not held"))?;
        Ok(bpf::program_info(fd.as_fd())?.0.run_cnt)
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
                    fd: Arc::new(fd),
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
            .filter_map(|ring| ring.handle().ok())
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

/// A NUL-terminated name of the kernel.
fn text(name: &[std::ffi::c_char]) -> String {
    // Whether C's char has a sign differs between processors.
    name.iter()
        .map(|&c| char::from(c.to_ne_bytes()[0]))
        .take_while(|&c| c != '\0')
        .collect()
}
