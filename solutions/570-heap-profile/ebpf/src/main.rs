#![no_std]
#![no_main]

use aya_ebpf::{
    bindings::BPF_F_USER_STACK,
    helpers::bpf_get_prandom_u32,
    macros::{map, uprobe},
    maps::{Array, PerCpuArray, PerCpuHashMap, StackTrace},
    programs::{ProbeContext, tracing::StackIdContext as _},
};
use labkit_ebpf::go_arg;

labkit_ebpf::license!();

/// Entry 0: the bytes that one sample is taken of, on average. 0: each allocation is kept.
#[map]
static RATE: Array<u64> = Array::with_max_entries(1, 0);

/// Stacks by id. The kernel fills it and chooses the ids.
#[map]
static STACKS: StackTrace = StackTrace::with_max_entries(16_384, 0);

/// Bytes allocated with each stack, by its id: a number for each CPU.
#[map]
static BYTES: PerCpuHashMap<u32, u64> = PerCpuHashMap::with_max_entries(16_384, 0);

/// How often each stack was kept, by its id: a number for each CPU.
#[map]
static COUNTS: PerCpuHashMap<u32, u64> = PerCpuHashMap::with_max_entries(16_384, 0);

/// Entry 0: allocations whose stack could not be kept.
#[map]
static LOST: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// Go: func mallocgc(size uintptr, typ *_type, needzero bool) unsafe.Pointer
#[uprobe(multi)]
pub fn malloc(ctx: ProbeContext) -> u32 {
    // ANCHOR: size
    let Some(size) = go_arg(&ctx, 0) else {
        return 0;
    };
    // ANCHOR_END: size
    let rate = RATE.get(0).copied().unwrap_or(0);
    // ANCHOR: weight
    let weight = if size >= rate {
        size
    } else if random() % rate < size {
        rate
    } else {
        return 0;
    };
    // ANCHOR_END: weight
    // ANCHOR: stack
    match ctx.get_stackid(&STACKS, u64::from(BPF_F_USER_STACK)) {
        Ok(id) => {
            add(&BYTES, id as u32, weight);
            add(&COUNTS, id as u32, 1);
        }
        Err(_) => lost(),
    }
    // ANCHOR_END: stack
    0
}

/// A random number of 32 bits.
fn random() -> u64 {
    // SAFETY: it takes nothing and changes nothing of ours.
    unsafe { bpf_get_prandom_u32() }.into()
}

/// Adds to what this CPU has for the stack `id`.
fn add(map: &PerCpuHashMap<u32, u64>, id: u32, number: u64) {
    match map.get_ptr_mut(&id) {
        // SAFETY: the slot is this CPU's own.
        Some(value) => unsafe { *value += number },
        None => {
            let _ = map.insert(&id, &number, 0);
        }
    }
}

/// Counts an allocation without a stack.
fn lost() {
    if let Some(value) = LOST.get_ptr_mut(0) {
        // SAFETY: the slot is this CPU's own.
        unsafe { *value += 1 };
    }
}
