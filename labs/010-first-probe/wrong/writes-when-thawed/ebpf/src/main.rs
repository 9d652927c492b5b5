#![no_std]
#![no_main]

use aya_ebpf::{
    helpers::bpf_get_current_pid_tgid,
    macros::{map, tracepoint},
    maps::HashMap,
    programs::TracePointContext,
};

labkit_ebpf::license!();

/// Calls seen so far, by process id.
#[map]
static CALLS: HashMap<u32, u64> = HashMap::with_max_entries(10_240, 0);

/// The kernel runs this each time any process enters the system call openat(2).
#[tracepoint]
pub fn count_openat(_ctx: TracePointContext) -> u32 {
    // The upper half is the process id, the lower half the thread id.
    let pid = (bpf_get_current_pid_tgid() >> 32) as u32;

    // SAFETY: the value is only looked at for being there.
    let known = unsafe { CALLS.get(&pid) }.is_some();
    u32::from(known)
}
