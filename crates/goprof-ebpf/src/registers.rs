//! The registers that tell who called a function without a frame. All that differs between processors
//! is here.

use aya_ebpf::{
    bindings::bpf_perf_event_data,
    helpers::generated::{bpf_get_current_task_btf, bpf_task_pt_regs},
};

#[cfg(bpf_target_arch = "x86_64")]
use aya_ebpf::bindings::pt_regs as RawRegisters;
#[cfg(bpf_target_arch = "aarch64")]
use aya_ebpf::bindings::user_pt_regs as RawRegisters;

/// Of a thread, where it was interrupted.
pub struct Registers {
    stack: u64,
    /// arm64 only.
    link: u64,
    /// x86-64: the code segment. arm64: the processor state.
    mode: u64,
}

impl Registers {
    /// Where the event happened.
    ///
    /// # Safety
    /// `event` is the context of a perf event's program.
    #[inline(always)]
    pub unsafe fn of_event(event: *const bpf_perf_event_data) -> Self {
        // SAFETY: the caller's.
        unsafe { Self::read(&raw const (*event).regs as *const RawRegisters) }
    }

    #[cfg(bpf_target_arch = "x86_64")]
    #[inline(always)]
    unsafe fn read(registers: *const RawRegisters) -> Self {
        // SAFETY: the caller's.
        unsafe {
            Self {
                stack: core::ptr::read_volatile(&raw const (*registers).rsp),
                link: 0,
                mode: core::ptr::read_volatile(&raw const (*registers).cs),
            }
        }
    }

    #[cfg(bpf_target_arch = "aarch64")]
    #[inline(always)]
    unsafe fn read(registers: *const RawRegisters) -> Self {
        // SAFETY: the caller's.
        unsafe {
            Self {
                stack: core::ptr::read_volatile(&raw const (*registers).sp),
                link: core::ptr::read_volatile(&raw const (*registers).regs[30]),
                mode: core::ptr::read_volatile(&raw const (*registers).pstate),
            }
        }
    }

    /// `user_mode` (arch/x86/include/asm/ptrace.h, arch/arm64/include/asm/ptrace.h).
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

/// Of the running thread, when it entered the kernel.
#[inline(always)]
pub fn of_current() -> Option<Registers> {
    // SAFETY: both helpers may be called from every program of this kind.
    unsafe {
        let registers = bpf_task_pt_regs(bpf_get_current_task_btf()) as *const RawRegisters;
        let registers = Registers::read(registers);
        registers.in_user_space().then_some(registers)
    }
}
