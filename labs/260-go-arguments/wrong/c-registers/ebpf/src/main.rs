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
    let (Some(shard), Some(size)) = (ctx.arg::<u64>(0), ctx.arg::<u64>(1)) else {
        return 0;
    };
    // SAFETY: the value is copied at once.
    let bytes = unsafe { BYTES.get(&shard) }.copied().unwrap_or(0);
    let _ = BYTES.insert(&shard, &(bytes + size), 0);
    0
}

/// Go: func RouteTenant(tenant string) int
#[uprobe(multi)]
pub fn route_tenant(ctx: ProbeContext) -> u32 {
    let (Some(address), Some(length)) = (go_arg(&ctx, 0), go_arg(&ctx, 1)) else {
        return 0;
    };
    let mut name = [0u8; 64];
    let Some(letters) = name.get_mut(..length as usize) else {
        return 0;
    };
    // SAFETY: the helper checks the address, and writes no more than `letters` holds.
    if unsafe { bpf_probe_read_user_buf(address as *const u8, letters) }.is_err() {
        return 0;
    }
    // SAFETY: the value is copied at once.
    let events = unsafe { EVENTS.get(&name) }.copied().unwrap_or(0);
    let _ = EVENTS.insert(&name, &(events + 1), 0);
    0
}

/// Go: func SealBlock(values []int64) int
#[uprobe(multi)]
pub fn seal_block(ctx: ProbeContext) -> u32 {
    let (Some(address), Some(length)) = (go_arg(&ctx, 0), go_arg(&ctx, 1)) else {
        return 0;
    };
    let mut sum = 0;
    for at in 0..64 {
        if at >= length {
            break;
        }
        // SAFETY: the helper checks the address; any eight bytes are a valid i64.
        let Ok(value) = (unsafe { bpf_probe_read_user((address + at * 8) as *const i64) }) else {
            return 0;
        };
        sum += value;
    }
    if let (Some(values), Some(total)) = (VALUES.get_ptr_mut(0), VALUES.get_ptr_mut(1)) {
        // SAFETY: entries of an array live as long as the program does.
        unsafe {
            *values += length as i64;
            *total += sum;
        }
    }
    0
}
