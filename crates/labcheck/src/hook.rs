//! Where programs are attached, as the kernel tells it.

use std::{
    collections::BTreeMap,
    fmt, fs,
    os::{fd::AsFd as _, unix::fs::MetadataExt as _},
    path::Path,
};

use crate::bpf;

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
    /// A link to some perf event (a tracepoint, a probe, a clock), of which kernels before 6.6 tell
    /// nothing more (`bpf_perf_link_fill_link_info`, kernel/bpf/syscall.c).
    Untold,
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

/// Whether the kernel tells where a link to a perf event leads. Linux 5.15 has such links, and 6.6
/// tells (`bpf_perf_link_fill_link_info`, kernel/bpf/syscall.c); before 5.15 there are none.
pub(crate) fn perf_links_tell(kernel: (u16, u16)) -> bool {
    !((5, 15)..(6, 6)).contains(&kernel)
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
            Self::Untold => f.write_str("a perf event, of which this kernel does not tell more"),
            Self::PerfEvent(kind, config) => write!(f, "the perf event {kind}:{config}"),
            Self::Other(name) => write!(f, "a {name} hook"),
        }
    }
}
/// Hooks by program id, from all links of the machine.
pub(crate) fn of_links() -> BTreeMap<u32, Vec<Hook>> {
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
                        _ => Hook::Untold,
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
pub(crate) fn of_descriptors(pids: &[u32]) -> Vec<(u32, Hook)> {
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

/// Whether one of the processes holds a perf event that has a program of type perf_event: of these the
/// kernel does not tell more (`bpf_get_perf_event_info`, kernel/trace/bpf_trace.c).
pub(crate) fn has_untold_event(pids: &[u32]) -> bool {
    pids.iter()
        .flat_map(|pid| fs::read_dir(format!("/proc/{pid}/fd")))
        .flat_map(|entries| entries.flatten())
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .any(|target| target.as_os_str() == "anon_inode:[perf_event]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_that_keep_perf_links_to_themselves_are_known() {
        let told = [(5, 10), (5, 14), (5, 15), (6, 1), (6, 5), (6, 6), (7, 2)];
        let told = told.map(perf_links_tell);
        assert_eq!(told, [true, true, false, false, false, true, true]);
    }

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
}
