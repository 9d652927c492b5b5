//! The kernel side of goprof's sampler: at each tick of a CPU clock, if a process runs there that is to be
//! sampled, counts its user-space stack together with what is needed to tell the caller of a function that
//! has no frame.
#![no_std]
#![no_main]
// Rust offers atomic addition only where there is compare-and-swap too; every BPF has the first.
#![feature(core_intrinsics)]
#![allow(internal_features)]

#[allow(dead_code)]
mod shared;

use core::intrinsics::{AtomicOrdering::Relaxed, atomic_xadd};

use aya_ebpf::{
    EbpfContext as _, Global,
    bindings::{BPF_F_USER_STACK, BPF_NOEXIST, bpf_pidns_info},
    helpers::{
        bpf_get_current_pid_tgid, bpf_ktime_get_ns,
        generated::{bpf_get_ns_current_pid_tgid, bpf_get_stack},
    },
    macros::{map, perf_event, raw_tracepoint},
    maps::{Array, CgroupArray, HashMap, PerCpuArray},
    programs::{PerfEventContext, RawTracePointContext},
};
use labkit_ebpf::Registers;
use shared::{
    ALL, CONTROL_GROUP, IN_KERNEL, Key, MAX_DEPTH, MAX_RANGES, NO_REGISTERS, Range, Stack, Tally,
};

/// Different stacks that can be kept: 16 MiB.
const MAX_STACKS: u32 = 16_384;
/// Different keys that can be counted.
const MAX_KEYS: u32 = 65_536;
/// Numbers in TALLY.
const TALLIES: u32 = Tally::AfterExec as u32 + 1;

labkit_ebpf::license!();

/// How far from a process's code other code of its may be, where its ranges are not told: as far as a
/// call reaches, on arm64 (`BL`).
const NEAR: u64 = 128 << 20;
/// Processes whose program can be kept.
const MAX_PROCESSES: u32 = 65_536;

/// What is sampled; set before loading. None begins as a number that stands elsewhere in the code: LLVM
/// makes one of equal constants, and setting the one sets the other.
#[unsafe(no_mangle)]
static SCOPE: Global<u32> = Global::new(!3);
/// 1 where the kernel's stacks are wanted as well.
#[unsafe(no_mangle)]
static KERNEL: Global<u32> = Global::new(!4);
/// A single process: its number in its own PID namespace, and which that is.
#[unsafe(no_mangle)]
static PID: Global<u32> = Global::new(!0);
#[unsafe(no_mangle)]
static NAMESPACE_DEVICE: Global<u64> = Global::new(!1);
#[unsafe(no_mangle)]
static NAMESPACE_INODE: Global<u64> = Global::new(!2);

#[map]
static STACKS: HashMap<u64, Stack> = HashMap::with_max_entries(MAX_STACKS, 0);
#[map]
static COUNTS: HashMap<Key, u64> = HashMap::with_max_entries(MAX_KEYS, 0);
/// Where the target's Go code is. What lies elsewhere is no return address into it, and would make
/// each stack many.
#[map]
static CODE: Array<Range> = Array::with_max_entries(MAX_RANGES, 0);
#[map]
static TALLY: PerCpuArray<u64> = PerCpuArray::with_max_entries(TALLIES, 0);
/// How often the single process became another program.
#[map]
static EXECS: Array<u64> = Array::with_max_entries(1, 0);
/// The control group that is sampled.
#[map]
static CGROUPS: CgroupArray = CgroupArray::with_max_entries(1, 0);
/// When each process became the program that it is. (One that gets the number of another that has
/// ended, and becomes no program, is taken for it.) Linux 5.10 lets a perf event's program use no map whose
/// entries are allocated as they come.
#[map]
static PROGRAMS: HashMap<u32, u64> = HashMap::with_max_entries(MAX_PROCESSES, 0);
/// A stack is larger than a program's own. One for the process's, one for the kernel's.
#[map]
static SCRATCH: PerCpuArray<Stack> = PerCpuArray::with_max_entries(2, 0);

/// With the registers of a process that is in the kernel (bpf_task_pt_regs, from Linux 5.15 on).
#[perf_event]
pub fn sample(ctx: PerfEventContext) -> u32 {
    tick(&ctx, |_| Registers::of_current())
}

/// Without that helper.
#[perf_event]
pub fn sample_5_10(ctx: PerfEventContext) -> u32 {
    tick(&ctx, Registers::under)
}

#[raw_tracepoint(tracepoint = "sched_process_exec")]
pub fn exec(_: RawTracePointContext) -> i32 {
    if matches!(SCOPE.load(), CONTROL_GROUP | ALL) {
        // SAFETY: the helper takes nothing.
        let now = unsafe { bpf_ktime_get_ns() };
        let _ = PROGRAMS.insert(&process_here(), &now, 0);
    } else if is_target()
        && let Some(execs) = EXECS.get_ptr_mut(0)
    {
        // SAFETY: a value of an array stays where it is.
        unsafe { add_one(execs) };
    }
    0
}

#[inline(always)]
fn tick(ctx: &PerfEventContext, in_kernel: impl FnOnce(&Registers) -> Option<Registers>) -> u32 {
    let (mut process, mut since) = (0, 0);
    let scope = SCOPE.load();
    if matches!(scope, CONTROL_GROUP | ALL) {
        process = process_here();
        // What runs where nobody does.
        if process == 0
            || scope == CONTROL_GROUP && CGROUPS.current_task_under_cgroup(0) != Ok(true)
        {
            return 0;
        }
        // SAFETY: a number, which is read as one.
        since = unsafe { PROGRAMS.get(&process) }.copied().unwrap_or(0);
    } else {
        if !is_target() {
            return 0;
        }
        if EXECS.get(0).is_some_and(|execs| *execs > 0) {
            count(Tally::AfterExec);
            return 0;
        }
    }
    count(Tally::Samples);
    let Some(stack) = walk(ctx, 0, BPF_F_USER_STACK) else {
        count(Tally::NoStack);
        return 0;
    };
    let mut key = Key {
        stack: hash(stack),
        words: [0; 2],
        flags: 0,
        process,
        since,
        kernel: 0,
    };
    let here = Registers::of_event(ctx);
    let user = if here.in_user_space() {
        Some(here)
    } else {
        key.flags |= IN_KERNEL;
        in_kernel(&here)
    };
    match user {
        Some(registers) => {
            let words = registers.words();
            key.words = if process == 0 {
                words.map(if_code)
            } else {
                words.map(|word| if_near(word, registers.instruction))
            }
        }
        None => key.flags |= NO_REGISTERS,
    }

    if key.flags & IN_KERNEL != 0
        && KERNEL.load() == 1
        && let Some(in_kernel) = walk(ctx, 1, 0)
    {
        let hash = hash(in_kernel);
        // Without room the sample is told as the others are.
        if keep_stack(hash, in_kernel).is_some() {
            key.kernel = hash;
        }
    }
    if keep(&key, stack).is_none() {
        count(Tally::Lost);
    }
    0
}

/// Has the kernel walk a stack; `None` if there is none.
#[inline(always)]
fn walk(ctx: &PerfEventContext, place: u32, flags: u32) -> Option<&'static Stack> {
    let scratch = SCRATCH.get_ptr_mut(place)?;
    // SAFETY: the value is this CPU's own, and the kernel lets no sample interrupt another.
    let stack = unsafe { &mut *scratch };
    let size = size_of_val(&stack.addresses) as u32;
    // SAFETY: the buffer has that size.
    let bytes = unsafe {
        bpf_get_stack(
            ctx.as_ptr(),
            stack.addresses.as_mut_ptr().cast(),
            size,
            flags.into(),
        )
    };
    let depth = bytes / 8;
    if depth < 1 || depth > MAX_DEPTH as i64 {
        return None;
    }
    stack.depth = depth as u64;
    Some(stack)
}

/// Counts a stack; `None` if there is no room.
#[inline(always)]
fn keep(key: &Key, stack: &Stack) -> Option<()> {
    keep_stack(key.stack, stack)?;
    let total = match COUNTS.get_ptr_mut(key) {
        Some(total) => total,
        None => {
            let _ = COUNTS.insert(key, &0, BPF_NOEXIST.into());
            COUNTS.get_ptr_mut(key)?
        }
    };
    // SAFETY: nothing is ever deleted from the map.
    unsafe { add_one(total) };
    Some(())
}

/// Keeps a stack if it is not kept already; `None` if there is no room.
#[inline(always)]
fn keep_stack(hash: u64, stack: &Stack) -> Option<()> {
    if STACKS.get_ptr(&hash).is_none() {
        // Where it fails another CPU may have been faster.
        let _ = STACKS.insert(&hash, stack, BPF_NOEXIST.into());
        STACKS.get_ptr(&hash)?;
    }
    Some(())
}

/// Adds one to what other CPUs may be adding to.
///
/// # Safety
/// `total` is the value of a map.
#[inline(always)]
unsafe fn add_one(total: *mut u64) {
    // SAFETY: the caller's.
    unsafe { atomic_xadd::<u64, u64, { Relaxed }>(total, 1) };
}

/// Whether the target runs here. The kernel answers only where the process that runs is in the
/// namespace that is asked for: there its number is the one that the target has.
#[inline(always)]
fn is_target() -> bool {
    let mut here = bpf_pidns_info { pid: 0, tgid: 0 };
    // SAFETY: the buffer has the size told.
    let known = unsafe {
        bpf_get_ns_current_pid_tgid(
            NAMESPACE_DEVICE.load(),
            NAMESPACE_INODE.load(),
            &mut here,
            size_of::<bpf_pidns_info>() as u32,
        )
    };
    known == 0 && here.tgid == PID.load()
}

/// `word` if it is an address of the target's code, else 0.
#[inline(always)]
fn if_code(word: u64) -> u64 {
    for index in 0..MAX_RANGES {
        match CODE.get(index) {
            Some(range) if range.end == 0 => break,
            Some(range) if (range.start..range.end).contains(&word) => return word,
            _ => {}
        }
    }
    0
}

/// `word` if it may be an address of the code that has the instruction at `code`, else 0. Where many
/// processes are sampled nobody knows in time where each has its code; that the word is code is looked up
/// later, and here only what can't be is left out: the heap and the stacks are elsewhere.
#[inline(always)]
fn if_near(word: u64, code: u64) -> u64 {
    if word.wrapping_sub(code).wrapping_add(NEAR) < 2 * NEAR {
        word
    } else {
        0
    }
}

/// The process that runs here, as the first PID namespace knows it; 0 where none does.
#[inline(always)]
fn process_here() -> u32 {
    (bpf_get_current_pid_tgid() >> 32) as u32
}

/// Of the addresses that count: each is mixed in by a multiplication, whose high bits are brought down.
#[inline(always)]
fn hash(stack: &Stack) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for (index, address) in stack.addresses.iter().enumerate() {
        if index as u64 >= stack.depth {
            break;
        }
        hash = (hash ^ address).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash ^= hash >> 32;
    }
    hash
}

#[inline(always)]
fn count(what: Tally) {
    if let Some(value) = TALLY.get_ptr_mut(what as u32) {
        // SAFETY: the value is this CPU's own.
        unsafe { *value += 1 };
    }
}
