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

    // ANCHOR: total
    if pid != TARGET.load() {
        return 0;
    }
    if let Some(total) = TOTAL.get_ptr_mut(0) {
        // SAFETY: entries of an array live as long as the program does.
        unsafe { *total += 1 };
    }
    // ANCHOR_END: total

    // ANCHOR: number
    // SAFETY: any eight bytes of the event are a valid i64.
    let Ok(number) = (unsafe { ctx.read_at::<i64>(8) }) else {
        return 0;
    };
    // SAFETY: the value is copied at once.
    let calls = unsafe { BY_NUMBER.get(&number) }.copied().unwrap_or(0);
    let _ = BY_NUMBER.insert(&number, &(calls + 1), 0);
    // ANCHOR_END: number
    0
}
