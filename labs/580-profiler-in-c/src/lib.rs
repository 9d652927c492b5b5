//! The clock of a CPU, as perf_event_open(2) gives it. libbpf leaves that to its users.

use std::os::fd::{FromRawFd as _, OwnedFd};

use anyhow::Context as _;
use libbpf_rs::libbpf_sys::perf_event_attr;

/// include/uapi/linux/perf_event.h.
const PERF_TYPE_SOFTWARE: u32 = 1;
const PERF_COUNT_SW_CPU_CLOCK: u64 = 0;
const PERF_FLAG_FD_CLOEXEC: u64 = 8;

/// An event that happens `hz` times a second on `cpu`, whatever runs there.
pub fn clock_of(cpu: u32, hz: u64) -> anyhow::Result<OwnedFd> {
    let mut attr = perf_event_attr {
        type_: PERF_TYPE_SOFTWARE,
        size: size_of::<perf_event_attr>() as u32,
        config: PERF_COUNT_SW_CPU_CLOCK,
        ..Default::default()
    };
    attr.__bindgen_anon_1.sample_freq = hz;
    attr.set_freq(1);
    let (any_process, no_group) = (-1, -1);
    // SAFETY: the kernel reads as much of `attr` as its size says, and makes a new descriptor.
    unsafe {
        let fd = libc::syscall(
            libc::SYS_perf_event_open,
            &raw const attr,
            any_process,
            cpu,
            no_group,
            PERF_FLAG_FD_CLOEXEC,
        );
        if fd < 0 {
            return Err(std::io::Error::last_os_error())
                .with_context(|| format!("cannot open the clock of CPU {cpu}"));
        }
        Ok(OwnedFd::from_raw_fd(fd as i32))
    }
}
