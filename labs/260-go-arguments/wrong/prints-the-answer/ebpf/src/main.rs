#![no_std]
#![no_main]

use aya_ebpf::{
    helpers::{bpf_probe_read_user, bpf_probe_read_user_buf},
    macros::{map, uprobe},
    maps::{Array, HashMap},
    programs::ProbeContext,
};
use labkit_ebpf::go_arg;

labkit_ebpf::license!();

/// Step 1: bytes of events by shard.
#[map]
static BYTES: HashMap<u64, u64> = HashMap::with_max_entries(64, 0);

/// Step 2: events by tenant. The name is filled up with zero bytes.
#[map]
static EVENTS: HashMap<[u8; 64], u64> = HashMap::with_max_entries(1024, 0);

/// Step 3: of all sealed blocks, how many values they had (entry 0) and their sum (entry 1).
#[map]
static VALUES: Array<i64> = Array::with_max_entries(2, 0);

/// Go: func RecordSize(shard int, size int)
#[uprobe(multi)]
pub fn record_size(ctx: ProbeContext) -> u32 {
    let _ = (&ctx, go_arg);
    0
}

/// Go: func RouteTenant(tenant string) int
#[uprobe(multi)]
pub fn route_tenant(ctx: ProbeContext) -> u32 {
    let mut name = [0u8; 64];
    let _ = (&ctx, &mut name, bpf_probe_read_user_buf);
    0
}

/// Go: func SealBlock(values []int64) int
#[uprobe(multi)]
pub fn seal_block(ctx: ProbeContext) -> u32 {
    let _ = (&ctx, bpf_probe_read_user::<i64>);
    0
}
