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
    let mut name = [0u8; 32];
    let _ = (&ctx, &mut name);
    let _ = bpf_probe_read_user_str_bytes;
    0
}
