#![no_std]
#![no_main]

use aya_ebpf::{
    helpers::bpf_probe_read_user_str_bytes,
    macros::{map, uprobe},
    maps::{Array, HashMap},
    programs::ProbeContext,
};

labkit_ebpf::license!();

/// All calls of getenv: entry 0, and no other.
#[map]
static TOTAL: Array<u64> = Array::with_max_entries(1, 0);

/// Calls of getenv by the name that was asked for, filled up with zero bytes.
#[map]
static BY_NAME: HashMap<[u8; 32], u64> = HashMap::with_max_entries(1024, 0);

/// The kernel runs this each time the process enters getenv, before its first instruction.
#[uprobe(multi)]
pub fn on_getenv(ctx: ProbeContext) -> u32 {
    if let Some(total) = TOTAL.get_ptr_mut(0) {
        // SAFETY: entries of an array live as long as the program does.
        unsafe { *total += 1 };
    }

    let Some(address) = ctx.arg::<*const u8>(0) else {
        return 0;
    };
    let mut name = [0u8; 32];
    // SAFETY: the helper checks the address, and writes no more than `name` holds.
    if unsafe { bpf_probe_read_user_str_bytes(address, &mut name) }.is_err() {
        return 0;
    }
    // SAFETY: the value is copied at once.
    let calls = unsafe { BY_NAME.get(&name) }.copied().unwrap_or(0);
    let _ = BY_NAME.insert(&name, &(calls + 1), 0);
    0
}
