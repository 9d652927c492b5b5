//! The kernel side of leaf-repair: the sampler of lab sample-stacks, which keeps two words beside each
//! stack. What is yours is words.rs.
#![no_std]
#![no_main]

mod words;

use aya_ebpf::{
    bindings::BPF_F_USER_STACK,
    helpers::bpf_get_current_pid_tgid,
    macros::{map, perf_event},
    maps::{Array, PerCpuArray, PerCpuHashMap, StackTrace},
    programs::{PerfEventContext, tracing::StackIdContext as _},
};
use labkit_ebpf::Registers;

labkit_ebpf::license!();

/// What is counted together.
#[repr(C)]
pub struct Key {
    /// The stack's id in STACKS.
    pub stack: u64,
    pub words: [u64; 2],
}

/// Addresses from `start` to before `end`.
#[repr(C)]
pub struct Range {
    pub start: u64,
    pub end: u64,
}

/// Ranges that CODE has room for.
pub const MAX_RANGES: u32 = 4;

/// Where the process's Go code is. Entries that are not needed are 0 to 0, a range without an address.
#[map]
pub static CODE: Array<Range> = Array::with_max_entries(MAX_RANGES, 0);

/// Entry 0: the process to look at. Written by user space before the first sample.
#[map]
static TARGET: Array<u32> = Array::with_max_entries(1, 0);

/// Stacks by id. The kernel fills it and chooses the ids.
#[map]
static STACKS: StackTrace = StackTrace::with_max_entries(16_384, 0);

/// How often each stack was seen with the same two words, a counter for each CPU.
#[map]
static COUNTS: PerCpuHashMap<Key, u64> = PerCpuHashMap::with_max_entries(16_384, 0);

/// Entry 0: samples of the process while it was in the kernel. They have no leaf of their own.
#[map]
static IN_KERNEL: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// Entry 0: samples that could not be kept.
#[map]
static LOST: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// The kernel runs this at each tick of the CPU clock, on the CPU that ticked, whatever runs there.
#[perf_event]
pub fn sample(ctx: PerfEventContext) -> u32 {
    let process = (bpf_get_current_pid_tgid() >> 32) as u32;
    if TARGET.get(0).copied() != Some(process) {
        return 0;
    }
    let registers = Registers::of_event(&ctx);
    if !registers.in_user_space() {
        add_one(&IN_KERNEL);
        return 0;
    }
    match ctx.get_stackid(&STACKS, u64::from(BPF_F_USER_STACK)) {
        Ok(id) => count(&Key {
            stack: id as u64,
            words: words::words(&registers),
        }),
        Err(_) => add_one(&LOST),
    }
    0
}

/// Adds one to this CPU's counter of `key`.
fn count(key: &Key) {
    match COUNTS.get_ptr_mut(key) {
        // SAFETY: the slot is this CPU's own, and no sample interrupts another on the same CPU.
        Some(value) => unsafe { *value += 1 },
        None => {
            if COUNTS.insert(key, &1, 0).is_err() {
                add_one(&LOST);
            }
        }
    }
}

/// Adds one to this CPU's counter.
fn add_one(counter: &PerCpuArray<u64>) {
    if let Some(value) = counter.get_ptr_mut(0) {
        // SAFETY: the slot is this CPU's own, and no sample interrupts another on the same CPU.
        unsafe { *value += 1 };
    }
}
