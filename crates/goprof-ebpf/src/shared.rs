// What the sampler's kernel side and goprof both know; each includes this file.

/// Frames kept of a stack: `PERF_MAX_STACK_DEPTH` (include/uapi/linux/perf_event.h), the default of
/// the sysctl kernel.perf_event_max_stack.
pub const MAX_DEPTH: usize = 127;
/// Ranges of code that can be told.
pub const MAX_RANGES: u32 = 16;

/// A stack, the innermost address first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Stack {
    /// Addresses that count.
    pub depth: u64,
    pub addresses: [u64; MAX_DEPTH],
}

/// What was counted together.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Key of the [`Stack`], a hash of it.
    pub stack: u64,
    /// On amd64 the two words at the stack pointer, on arm64 the link register and the word at the
    /// stack pointer; a word that is in no range of code is 0.
    pub words: [u64; 2],
    /// [`IN_KERNEL`] and [`NO_REGISTERS`].
    pub flags: u32,
    /// Of all processes that are sampled: whose stack this is, as the machine's first PID namespace
    /// knows it. Of a single one: 0.
    pub process: u32,
    /// When the process became the program that it is, in nanoseconds of CLOCK_MONOTONIC; 0 if before
    /// sampling began, and for a single process.
    pub since: u64,
    /// Key of the [`Stack`] in the kernel; 0 where there is none, or it is not wanted.
    pub kernel: u64,
}

/// The process was in the kernel.
pub const IN_KERNEL: u32 = 1;
/// Its registers in user space could not be had.
pub const NO_REGISTERS: u32 = 2;

/// Which processes are sampled.
pub const ONE_PROCESS: u32 = 0;
/// Those in a control group, or in one below it.
pub const CONTROL_GROUP: u32 = 1;
/// All.
pub const ALL: u32 = 2;

/// Addresses from `start` to before `end`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    pub start: u64,
    pub end: u64,
}

/// What is counted, by place in the map TALLY.
#[repr(u32)]
#[derive(Clone, Copy)]
pub enum Tally {
    /// Samples of the target.
    Samples,
    /// Those without a stack in user space.
    NoStack,
    /// Those not counted since a map was full.
    Lost,
    /// Those after the target had become another program.
    AfterExec,
}
