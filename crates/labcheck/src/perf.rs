//! Records that the kernel writes for us: which BPF programs a control group loads, and what runs when
//! a clock ticks.
//!
//! A perf event with `attr.bpf_event` makes the kernel write PERF_RECORD_BPF_EVENT for each
//! program that is loaded; opened with PERF_FLAG_PID_CGROUP it does so only for tasks of one
//! control group. So a load is attributed whatever its process did before: forked twice, changed
//! its session, or ended. (kernel/events/core.c: `perf_event_bpf_event`, `perf_cgroup_match`.)

use std::{
    fs::File,
    io,
    os::fd::{AsRawFd as _, BorrowedFd, OwnedFd},
};

use perf_event::{Builder, SampleFlag, Sampler, data::Record as Raw, events::Software};

/// Bytes of the ring of each CPU: for loads, of which there are few, and for samples, of 16 bytes each.
const LOADS: usize = 32 << 10;
const SAMPLES: usize = 256 << 10;
/// `PERF_RECORD_MISC_CPUMODE_MASK` and `PERF_RECORD_MISC_KERNEL` (include/uapi/linux/perf_event.h).
const MODE: u16 = 7;
const KERNEL: u16 = 1;
/// `PERF_BPF_EVENT_PROG_LOAD` (the same); others tell that a program is gone.
const PROGRAM_LOAD: u16 = 1;

/// The records of one CPU.
pub(crate) struct Ring {
    sampler: Sampler,
    /// Records that have room, each with its header of 8 bytes.
    most: usize,
}

/// One record of interest.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Record {
    /// A program was loaded; its id.
    Loaded(u32),
    /// A process was running when the clock ticked: its id, and whether it was in the kernel.
    Sample { process: u32, in_kernel: bool },
    /// The kernel dropped records, since the ring was full, or wrote one that we can't read.
    Lost,
}

impl Ring {
    /// Watches `cgroup`, an open folder of a cgroup2 hierarchy, on `cpu`.
    pub(crate) fn of_loads(cgroup: &File, cpu: u32) -> io::Result<Self> {
        let sampler = Builder::new(Software::DUMMY)
            .observe_cgroup(cgroup)
            .one_cpu(cpu as usize)
            .bpf_event(true)
            // Bytes. A number of events would be one of samples, and there are none.
            .wakeup_watermark(1)
            .enabled(true)
            .build()?
            .sampled(LOADS)?;
        Ok(Self {
            sampler,
            most: LOADS / 8,
        })
    }

    /// Looks `hz` times a second at what runs on `cpu`.
    pub(crate) fn of_samples(cpu: u32, hz: u64) -> io::Result<Self> {
        let sampler = Builder::new(Software::CPU_CLOCK)
            .any_pid()
            .one_cpu(cpu as usize)
            .sample_frequency(hz)
            .sample(SampleFlag::TID)
            .include_kernel()
            .include_hv()
            .exclude_idle(true)
            .enabled(true)
            .build()?
            .sampled(SAMPLES)?;
        Ok(Self {
            sampler,
            most: SAMPLES / 8,
        })
    }

    /// Takes all records written since the last call; who goes on loading does not keep us here.
    pub(crate) fn drain(&mut self, mut each: impl FnMut(Record)) {
        for _ in 0..self.most {
            let Some(record) = self.sampler.next_record() else {
                return;
            };
            match record.parse_record() {
                Ok(Raw::BpfEvent(event)) if event.ty.0 == PROGRAM_LOAD => {
                    each(Record::Loaded(event.id));
                }
                Ok(Raw::Sample(sample)) => each(Record::Sample {
                    process: sample.pid().unwrap_or_default(),
                    in_kernel: record.misc() & MODE == KERNEL,
                }),
                Ok(Raw::Lost(_)) | Err(_) => each(Record::Lost),
                Ok(_) => {}
            }
        }
    }

    /// What can be waited for until there are records.
    pub(crate) fn handle(&self) -> io::Result<OwnedFd> {
        // SAFETY: the descriptor is open for as long as the ring is, which outlives the borrow.
        let fd = unsafe { BorrowedFd::borrow_raw(self.sampler.as_raw_fd()) };
        fd.try_clone_to_owned()
    }
}
