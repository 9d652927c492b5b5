#![no_std]
#![no_main]

use aya_ebpf::{
    Global,
    helpers::bpf_get_current_pid_tgid,
    macros::{map, tracepoint},
    maps::{Array, HashMap},
    programs::TracePointContext,
};

labkit_ebpf::license!();

/// The process to watch. src/main.rs sets it before the kernel loads the program.
#[unsafe(no_mangle)]
static TARGET: Global<u32> = Global::new(0);

/// All calls of that process: entry 0, and no other.
#[map]
static TOTAL: Array<u64> = Array::with_max_entries(1, 0);

/// The calls of that process, by system call number.
#[map]
static BY_NUMBER: HashMap<i64, u64> = HashMap::with_max_entries(1024, 0);

/// The kernel runs this each time any process enters any system call.
#[tracepoint]
pub fn count_calls(ctx: TracePointContext) -> u32 {
    let pid = (bpf_get_current_pid_tgid() >> 32) as u32;

    // TODO, step 1: return 0 here unless `pid` is the one in TARGET.
    // TODO, step 1: add one to entry 0 of TOTAL.
    let _ = (pid, TARGET.load());

    // TODO, step 2: read the number of the system call from the event.
    // TODO, step 2: add one to its entry in BY_NUMBER.
    let _ = ctx;
    0
}
