//! Registers of an interrupted thread, by what they are for. All that differs between processors is here.

use aya_ebpf::{
    bindings::bpf_perf_event_data,
    helpers::generated::{bpf_get_current_task_btf, bpf_task_pt_regs},
    programs::PerfEventContext,
};

#[cfg(bpf_target_arch = "x86_64")]
use aya_ebpf::bindings::pt_regs as RawRegisters;
#[cfg(bpf_target_arch = "aarch64")]
use aya_ebpf::bindings::user_pt_regs as RawRegisters;

/// Of a thread, where it was interrupted.
#[derive(Clone, Copy)]
pub struct Registers {
    /// Where the code was: the address of its next instruction.
    pub instruction: u64,
    /// Where the stack ends.
    pub stack: u64,
    /// Where the innermost frame is that the chain of frame pointers knows.
    pub frame: u64,
    /// arm64: where the last call returns to, unless it was stored; x86-64 has no such register: 0.
    pub link: u64,
    /// x86-64: the code segment. arm64: the processor state.
    mode: u64,
}

impl Registers {
    /// Where a perf event happened: in the program, or in the kernel if it was there.
    #[inline(always)]
    pub fn of_event(ctx: &PerfEventContext) -> Self {
        let event: *const bpf_perf_event_data = ctx.ctx;
        // SAFETY: the context of a perf event's program begins with the registers.
        unsafe { Self::read(&raw const (*event).regs as *const RawRegisters) }
    }

    /// Of the thread that runs here, where it entered the kernel; `None` for a thread of the kernel's
    /// own. From Linux 5.15 on (`bpf_task_pt_regs`): older ones refuse a program that asks.
    #[inline(always)]
    pub fn of_current() -> Option<Self> {
        // SAFETY: both helpers may be called from every program that samples or traces.
        unsafe {
            let registers = bpf_task_pt_regs(bpf_get_current_task_btf()) as *const RawRegisters;
            let registers = Self::read(registers);
            registers.in_user_space().then_some(registers)
        }
    }

    /// The same without that helper, before Linux 5.15: `kernel` are the registers of a thread that is in
    /// the kernel, on its own stack there, whose beginning holds what it entered with. `None` if it is
    /// on another stack, an interrupt's say, and on arm64.
    ///
    /// A stack is as large as it is aligned, 16 KiB (`THREAD_SIZE` and `THREAD_ALIGN`,
    /// arch/x86/include/asm/page_64_types.h and linux/thread_info.h), and the registers are its first
    /// words (`task_pt_regs`, arch/x86/include/asm/processor.h).
    #[inline(always)]
    pub fn under(kernel: &Self) -> Option<Self> {
        #[cfg(bpf_target_arch = "x86_64")]
        {
            const THREAD_SIZE: u64 = 16 << 10;
            let end = (kernel.stack & !(THREAD_SIZE - 1)) + THREAD_SIZE;
            let registers = (end - size_of::<RawRegisters>() as u64) as *const RawRegisters;
            // SAFETY: the helper looks whether the address can be read.
            let registers = unsafe { aya_ebpf::helpers::bpf_probe_read_kernel(registers) }.ok()?;
            // SAFETY: a copy of our own.
            let registers = unsafe { Self::read(&raw const registers) };
            // `__USER_CS` (asm/segment.h) and no more: on another stack nothing else tells.
            (registers.mode == 0x33).then_some(registers)
        }
        #[cfg(bpf_target_arch = "aarch64")]
        {
            let _ = kernel;
            None
        }
    }

    #[cfg(bpf_target_arch = "x86_64")]
    #[inline(always)]
    unsafe fn read(registers: *const RawRegisters) -> Self {
        // SAFETY: the caller's. Volatile, since the verifier wants each field read by itself, as wide as
        // it is.
        unsafe {
            Self {
                instruction: core::ptr::read_volatile(&raw const (*registers).rip),
                stack: core::ptr::read_volatile(&raw const (*registers).rsp),
                frame: core::ptr::read_volatile(&raw const (*registers).rbp),
                link: 0,
                mode: core::ptr::read_volatile(&raw const (*registers).cs),
            }
        }
    }

    #[cfg(bpf_target_arch = "aarch64")]
    #[inline(always)]
    unsafe fn read(registers: *const RawRegisters) -> Self {
        // SAFETY: the caller's. Volatile, since the verifier wants each field read by itself, as wide as
        // it is.
        unsafe {
            Self {
                instruction: core::ptr::read_volatile(&raw const (*registers).pc),
                stack: core::ptr::read_volatile(&raw const (*registers).sp),
                frame: core::ptr::read_volatile(&raw const (*registers).regs[29]),
                link: core::ptr::read_volatile(&raw const (*registers).regs[30]),
                mode: core::ptr::read_volatile(&raw const (*registers).pstate),
            }
        }
    }

    /// Whether the thread was in the program's own code (`user_mode`, arch/x86/include/asm/ptrace.h and
    /// arch/arm64/include/asm/ptrace.h).
    #[inline(always)]
    pub fn in_user_space(&self) -> bool {
        if cfg!(bpf_target_arch = "x86_64") {
            self.mode & 3 == 3
        } else {
            self.mode & 0xf == 0
        }
    }

    /// Where a return address may be that is not on the chain of frame pointers: on x86-64 the two words
    /// at the stack pointer, on arm64 the link register and the word at the stack pointer.
    #[inline(always)]
    pub fn words(&self) -> [u64; 2] {
        // SAFETY: the helper looks whether the address can be read.
        let words =
            unsafe { aya_ebpf::helpers::bpf_probe_read_user(self.stack as *const [u64; 2]) }
                .unwrap_or_default();
        if cfg!(bpf_target_arch = "x86_64") {
            words
        } else {
            [self.link, words[0]]
        }
    }
}
