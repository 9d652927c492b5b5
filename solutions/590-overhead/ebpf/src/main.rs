//! The kernel side of lab sample-stacks: nothing to change here.
#![no_std]
#![no_main]

use aya_ebpf::{
    bindings::BPF_F_USER_STACK,
    helpers::bpf_get_current_pid_tgid,
    macros::{map, perf_event},
    maps::{Array, PerCpuArray, PerCpuHashMap, StackTrace},
    programs::{PerfEventContext, tracing::StackIdContext as _},
};

labkit_ebpf::license!();

/// Entry 0: the process to look at. Written by user space before the first sample.
#[map]
static TARGET: Array<u32> = Array::with_max_entries(1, 0);

/// Entry 0: samples of that process, a counter for each CPU.
#[map]
static SAMPLES: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// Stacks by id. The kernel fills it and chooses the ids.
#[map]
static STACKS: StackTrace = StackTrace::with_max_entries(16_384, 0);

/// How often each stack was seen, by its id, a counter for each CPU.
#[map]
static COUNTS: PerCpuHashMap<u32, u64> = PerCpuHashMap::with_max_entries(16_384, 0);

/// Entry 0: samples whose stack could not be kept.
#[map]
static LOST: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// The kernel runs this at each tick of the CPU clock, on the CPU that ticked, whatever runs there.
#[perf_event]
pub fn sample(ctx: PerfEventContext) -> u32 {
    let target = TARGET.get(0).copied();
    let process = (bpf_get_current_pid_tgid() >> 32) as u32;
    if target != Some(process) {
        return 0;
    }
    add_one(&SAMPLES);

    match ctx.get_stackid(&STACKS, u64::from(BPF_F_USER_STACK)) {
        Ok(id) => count(id as u32),
        Err(_) => add_one(&LOST),
    }
    0
}

/// Adds one to this CPU's counter.
fn add_one(counter: &PerCpuArray<u64>) {
    if let Some(value) = counter.get_ptr_mut(0) {
        // SAFETY: the slot is this CPU's own, and no sample interrupts another on the same CPU.
        unsafe { *value += 1 };
    }
}

/// Adds one to this CPU's counter of the stack `id`.
fn count(id: u32) {
    match COUNTS.get_ptr_mut(&id) {
        // SAFETY: the slot is this CPU's own, and no sample interrupts another on the same CPU.
        Some(value) => unsafe { *value += 1 },
        None => {
            let _ = COUNTS.insert(&id, &1, 0);
        }
    }
}
