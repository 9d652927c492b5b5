#![no_std]
#![no_main]

use aya_ebpf::{
    bindings::BPF_F_USER_STACK,
    helpers::{bpf_get_current_pid_tgid, bpf_ktime_get_ns},
    macros::{map, tracepoint},
    maps::{Array, HashMap, PerCpuHashMap, StackTrace},
    programs::{TracePointContext, tracing::StackIdContext as _},
};

labkit_ebpf::license!();

/// Where the event sched_switch has what; see
/// /sys/kernel/tracing/events/sched/sched_switch/format.
///
/// i64: why the thread leaves the CPU. 0: it could go on, but its time is up. [`PREEMPTED`]: it
/// could go on, but was interrupted in the kernel. All else: it waits for something.
const PREV_STATE: usize = 32;
/// u32: the id of the thread that comes next.
const NEXT_PID: usize = 56;

const PREEMPTED: i64 = 0x100;

/// Entry 0: the process to look at. Written by user space before the first switch.
#[map]
static TARGET: Array<u32> = Array::with_max_entries(1, 0);

/// A thread that waits.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Pause {
    /// When it left the CPU, in ns.
    since: u64,
    /// The id of its user-space stack at that time; less than 0: none could be kept.
    stack: i64,
}

/// Threads of the target that wait now, by thread id.
#[map]
static AWAY: HashMap<u32, Pause> = HashMap::with_max_entries(10_240, 0);

/// How long each thread of the target has waited, in ns, by thread id.
#[map]
static BLOCKED: HashMap<u32, u64> = HashMap::with_max_entries(10_240, 0);

/// Stacks by id. The kernel fills it and chooses the ids.
#[map]
static STACKS: StackTrace = StackTrace::with_max_entries(16_384, 0);

/// How long threads waited with each stack, in ns, by the stack's id: a number for each CPU.
#[map]
static WAITS: PerCpuHashMap<u32, u64> = PerCpuHashMap::with_max_entries(16_384, 0);

/// The kernel runs this each time a CPU turns from one thread to the next.
#[tracepoint]
pub fn switch(ctx: TracePointContext) -> u32 {
    // SAFETY: it only reads the clock.
    let now = unsafe { bpf_ktime_get_ns() };
    leaves(&ctx, now);
    returns(&ctx, now);
    0
}

/// The thread that leaves the CPU is still the current one.
fn leaves(ctx: &TracePointContext, now: u64) {
    let ids = bpf_get_current_pid_tgid();
    let (process, thread) = ((ids >> 32) as u32, ids as u32);
    let _ = (PREV_STATE, PREEMPTED);
    if TARGET.get(0) != Some(&process) {
        return;
    }
    let stack = match ctx.get_stackid(&STACKS, u64::from(BPF_F_USER_STACK)) {
        Ok(id) => id.into(),
        Err(_) => -1,
    };
    let _ = AWAY.insert(&thread, &Pause { since: now, stack }, 0);
}

/// Of the thread that comes back, the event has the id.
fn returns(ctx: &TracePointContext, now: u64) {
    // SAFETY: the event has this field there.
    let Ok(thread) = (unsafe { ctx.read_at::<u32>(NEXT_PID) }) else {
        return;
    };
    // SAFETY: nobody removes the entry meanwhile: the thread is here.
    let Some(&pause) = (unsafe { AWAY.get(&thread) }) else {
        return;
    };
    let _ = AWAY.remove(&thread);
    let waited = now - pause.since;
    // SAFETY: a thread comes back on one CPU at a time.
    let before = unsafe { BLOCKED.get(&thread) }.copied().unwrap_or(0);
    let _ = BLOCKED.insert(&thread, &(before + waited), 0);
    if pause.stack >= 0 {
        add(pause.stack as u32, waited);
    }
}

/// Adds to what this CPU has for the stack `id`.
fn add(id: u32, nanos: u64) {
    match WAITS.get_ptr_mut(&id) {
        // SAFETY: the slot is this CPU's own, and no switch interrupts another on the same CPU.
        Some(value) => unsafe { *value += nanos },
        None => {
            let _ = WAITS.insert(&id, &nanos, 0);
        }
    }
}
