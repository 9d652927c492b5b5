//! Records that the kernel writes for us: which BPF programs a control group loads, and what runs when
//! a clock ticks.
//!
//! A perf event with `attr.bpf_event` makes the kernel write PERF_RECORD_BPF_EVENT for each
//! program that is loaded; opened with PERF_FLAG_PID_CGROUP it does so only for tasks of one
//! control group. So a load is attributed whatever its process did before: forked twice, changed
//! its session, or ended. (kernel/events/core.c: `perf_event_bpf_event`, `perf_cgroup_match`.)

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    ptr::NonNull,
    sync::atomic::{AtomicU64, Ordering, fence},
};

use perf_event_open_sys::bindings::{
    PERF_COUNT_SW_CPU_CLOCK, PERF_COUNT_SW_DUMMY, PERF_FLAG_FD_CLOEXEC, PERF_FLAG_PID_CGROUP,
    PERF_RECORD_BPF_EVENT, PERF_RECORD_MISC_CPUMODE_MASK, PERF_RECORD_MISC_KERNEL,
    PERF_RECORD_SAMPLE, PERF_SAMPLE_TID, PERF_TYPE_SOFTWARE, perf_event_attr, perf_event_mmap_page,
};

/// Pages of the ring of each CPU, without its control page: for loads, of which there are few, and for
/// samples, of 16 bytes each. Powers of two.
const LOAD_PAGES: usize = 8;
const SAMPLE_PAGES: usize = 64;
const PERF_BPF_EVENT_PROG_LOAD: u16 = 1;
const PERF_RECORD_LOST: u32 = 2;

/// The records of one CPU.
pub(crate) struct Ring {
    fd: OwnedFd,
    base: NonNull<u8>,
    page: usize,
    /// Data pages.
    pages: usize,
}

// SAFETY: the mapping belongs to this value alone and is only read through `&mut self`.
unsafe impl Send for Ring {}

/// One record of interest.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Record {
    /// A program was loaded; its id.
    Loaded(u32),
    /// A process was running when the clock ticked: its id, and whether it was in the kernel.
    Sample { process: u32, in_kernel: bool },
    /// The kernel dropped records: the ring was full.
    Lost,
}

impl Ring {
    /// Watches `cgroup`, an open folder of a cgroup2 hierarchy, on `cpu`.
    pub(crate) fn of_loads(cgroup: BorrowedFd<'_>, cpu: u32) -> io::Result<Self> {
        let mut attr = software(PERF_COUNT_SW_DUMMY)?;
        attr.__bindgen_anon_2.wakeup_events = 1;
        attr.set_bpf_event(1);
        let flags = PERF_FLAG_PID_CGROUP | PERF_FLAG_FD_CLOEXEC;
        Self::open(attr, cgroup.as_raw_fd(), cpu, flags, LOAD_PAGES)
    }

    /// Looks `hz` times a second at what runs on `cpu`.
    pub(crate) fn of_samples(cpu: u32, hz: u64) -> io::Result<Self> {
        let mut attr = software(PERF_COUNT_SW_CPU_CLOCK)?;
        attr.set_freq(1);
        attr.__bindgen_anon_1.sample_freq = hz;
        attr.sample_type = PERF_SAMPLE_TID.into();
        attr.set_exclude_idle(1);
        Self::open(attr, -1, cpu, PERF_FLAG_FD_CLOEXEC, SAMPLE_PAGES)
    }

    fn open(
        mut attr: perf_event_attr,
        pid: i32,
        cpu: u32,
        flags: u32,
        pages: usize,
    ) -> io::Result<Self> {
        let cpu = i32::try_from(cpu).map_err(io::Error::other)?;
        // SAFETY: `attr` is initialised, its size is in it, and the kernel only reads it.
        let fd = unsafe {
            perf_event_open_sys::perf_event_open(&raw mut attr, pid, cpu, -1, flags.into())
        };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just made this descriptor for us.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let page = rustix::param::page_size();
        // SAFETY: a new mapping of a descriptor that we own, at an address the kernel chooses.
        let base = unsafe {
            rustix::mm::mmap(
                std::ptr::null_mut(),
                (1 + pages) * page,
                rustix::mm::ProtFlags::READ | rustix::mm::ProtFlags::WRITE,
                rustix::mm::MapFlags::SHARED,
                &fd,
                0,
            )
        }?;
        let base = NonNull::new(base.cast()).ok_or_else(|| io::Error::other("mmap gave null"))?;
        Ok(Self {
            fd,
            base,
            page,
            pages,
        })
    }

    /// Takes all records written since the last call.
    pub(crate) fn drain(&mut self, mut each: impl FnMut(Record)) {
        let control = self.base.as_ptr().cast::<perf_event_mmap_page>();
        // SAFETY: the first page of the mapping is a perf_event_mmap_page for as long as `self`
        // lives; data_head is written by the kernel and data_tail by us, both as 64-bit words.
        let (head, tail) = unsafe {
            (
                AtomicU64::from_ptr(&raw mut (*control).data_head),
                AtomicU64::from_ptr(&raw mut (*control).data_tail),
            )
        };
        let end = head.load(Ordering::Acquire);
        let mut at = tail.load(Ordering::Relaxed);
        while at < end {
            let header = self.read::<8>(at);
            let kind = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]);
            let size = u64::from(u16::from_ne_bytes([header[6], header[7]]));
            if size < 8 {
                break;
            }
            if kind == PERF_RECORD_BPF_EVENT {
                let body = self.read::<8>(at + 8);
                if u16::from_ne_bytes([body[0], body[1]]) == PERF_BPF_EVENT_PROG_LOAD {
                    each(Record::Loaded(u32::from_ne_bytes([
                        body[4], body[5], body[6], body[7],
                    ])));
                }
            } else if kind == PERF_RECORD_SAMPLE {
                let misc = u32::from(u16::from_ne_bytes([header[4], header[5]]));
                // With PERF_SAMPLE_TID alone: process, thread.
                each(Record::Sample {
                    process: u32::from_ne_bytes(self.read(at + 8)),
                    in_kernel: misc & PERF_RECORD_MISC_CPUMODE_MASK == PERF_RECORD_MISC_KERNEL,
                });
            } else if kind == PERF_RECORD_LOST {
                each(Record::Lost);
            }
            at += size;
        }
        fence(Ordering::SeqCst);
        tail.store(end, Ordering::Release);
    }

    /// N bytes of the ring from position `at`, which wraps.
    fn read<const N: usize>(&self, at: u64) -> [u8; N] {
        let size = (self.pages * self.page) as u64;
        std::array::from_fn(|i| {
            let offset = ((at + i as u64) % size) as usize;
            // SAFETY: `offset` lies within the data pages, which follow the control page.
            unsafe { self.base.as_ptr().add(self.page + offset).read_volatile() }
        })
    }
}

fn software(config: u32) -> io::Result<perf_event_attr> {
    Ok(perf_event_attr {
        type_: PERF_TYPE_SOFTWARE,
        size: u32::try_from(size_of::<perf_event_attr>()).map_err(io::Error::other)?,
        config: config.into(),
        ..Default::default()
    })
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: unmaps exactly what `open` mapped; nothing borrows it any longer.
        let _ =
            unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), (1 + self.pages) * self.page) };
    }
}
