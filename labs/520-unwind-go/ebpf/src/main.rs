//! The kernel side of unwind-go: the clock's program and its maps. What is yours is walk.rs.
#![no_std]
#![no_main]

mod walk;

use aya_ebpf::{
    bindings::BPF_NOEXIST,
    helpers::bpf_get_current_pid_tgid,
    macros::{map, perf_event},
    maps::{Array, HashMap, PerCpuArray, PerCpuHashMap},
    programs::PerfEventContext,
};

labkit_ebpf::license!();

/// Addresses that a stack has room for.
pub const MAX_DEPTH: usize = 127;

/// A stack, the innermost address first.
#[repr(C)]
pub struct Stack {
    /// How many of the addresses count.
    pub depth: u64,
    pub addresses: [u64; MAX_DEPTH],
}

/// Entry 0: the process to look at. Written by user space before the first sample.
#[map]
static TARGET: Array<u32> = Array::with_max_entries(1, 0);

/// Entry 0: the stack being walked, one for each CPU. A BPF program's own stack has 512 bytes.
#[map]
static SCRATCH: PerCpuArray<Stack> = PerCpuArray::with_max_entries(1, 0);

/// Stacks by a hash of their addresses; zeros after the last.
#[map]
static STACKS: HashMap<u64, [u64; MAX_DEPTH]> = HashMap::with_max_entries(4096, 0);

/// How often each stack was seen, by the same hash, a counter for each CPU.
#[map]
static COUNTS: PerCpuHashMap<u64, u64> = PerCpuHashMap::with_max_entries(4096, 0);

/// Entry 0: samples of the process that have no stack.
#[map]
static NO_STACK: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// Entry 0: samples for whose stack there was no room.
#[map]
static LOST: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// The kernel runs this at each tick of the CPU clock, on the CPU that ticked, whatever runs there.
#[perf_event]
pub fn sample(ctx: PerfEventContext) -> u32 {
    let process = (bpf_get_current_pid_tgid() >> 32) as u32;
    if TARGET.get(0).copied() != Some(process) {
        return 0;
    }
    let Some(scratch) = SCRATCH.get_ptr_mut(0) else {
        return 0;
    };
    // SAFETY: the value is this CPU's own, and no sample interrupts another on the same CPU.
    let stack = unsafe { &mut *scratch };
    stack.depth = 0;
    if let Some(registers) = walk::start(&ctx) {
        walk::walk(&registers, stack);
    }
    match hash(stack) {
        None => add_one(&NO_STACK),
        Some(key) if keep(key, stack).is_none() => add_one(&LOST),
        Some(_) => {}
    }
    0
}

/// Counts a stack; `None` if there is no room.
fn keep(key: u64, stack: &Stack) -> Option<()> {
    if STACKS.get_ptr(&key).is_none() {
        // Where it fails another CPU may have been faster.
        let _ = STACKS.insert(&key, &stack.addresses, BPF_NOEXIST.into());
        STACKS.get_ptr(&key)?;
    }
    match COUNTS.get_ptr_mut(&key) {
        // SAFETY: the slot is this CPU's own, and no sample interrupts another on the same CPU.
        Some(count) => unsafe { *count += 1 },
        None => COUNTS.insert(&key, &1, BPF_NOEXIST.into()).ok()?,
    }
    Some(())
}

/// Of the addresses that count; those left over from another stack become 0. `None` if none counts.
fn hash(stack: &mut Stack) -> Option<u64> {
    // Volatile, so that it is a number which the verifier does not know: it would follow each of the 127
    // that it can be.
    // SAFETY: it is a field of a reference.
    let depth = unsafe { core::ptr::read_volatile(&raw const stack.depth) };
    if depth == 0 {
        return None;
    }
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for (index, address) in stack.addresses.iter_mut().enumerate() {
        if index as u64 >= depth {
            *address = 0;
        }
        hash = (hash ^ *address).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash ^= hash >> 32;
    }
    Some(hash)
}

/// Adds one to this CPU's counter.
fn add_one(counter: &PerCpuArray<u64>) {
    if let Some(value) = counter.get_ptr_mut(0) {
        // SAFETY: the slot is this CPU's own, and no sample interrupts another on the same CPU.
        unsafe { *value += 1 };
    }
}
