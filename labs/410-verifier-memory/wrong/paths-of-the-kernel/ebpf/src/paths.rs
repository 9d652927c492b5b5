//! Counts, by process, how often openat(2) is given an absolute path.
#![no_std]
#![no_main]

use aya_ebpf::{
    helpers::{bpf_get_current_pid_tgid, bpf_probe_read_kernel},
    macros::{map, tracepoint},
    maps::HashMap,
    programs::TracePointContext,
};

labkit_ebpf::license!();

/// Calls with an absolute path so far, by process id.
#[map]
static ABSOLUTE: HashMap<u32, u64> = HashMap::with_max_entries(10_240, 0);

/// Where the tracepoint's format file (events/syscalls/sys_enter_openat/format) has `filename`.
const FILENAME: usize = 24;

#[tracepoint]
pub fn count_absolute(ctx: TracePointContext) -> u32 {
    let pid = (bpf_get_current_pid_tgid() >> 32) as u32;
    // SAFETY: the tracepoint's record has a pointer there.
    let Ok(path) = (unsafe { ctx.read_at::<*const u8>(FILENAME) }) else {
        return 0;
    };

    // SAFETY: the helper copes with any address.
    let Ok(first) = (unsafe { bpf_probe_read_kernel(path) }) else {
        return 0;
    };

    if first == b'/' {
        // SAFETY: the value is copied at once.
        let calls = unsafe { ABSOLUTE.get(&pid) }.copied().unwrap_or(0);
        let _ = ABSOLUTE.insert(&pid, &(calls + 1), 0);
    }
    0
}
