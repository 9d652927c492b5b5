//! Arguments of Go functions.
//!
//! Go has a calling convention of its own, described in the Go tree's
//! src/cmd/compile/abi-internal.md: arguments go into a fixed sequence of registers, word by
//! word. A whole number or a pointer is one word; a string is two, address and length; a slice
//! is three, address, length and capacity.

use aya_ebpf::programs::ProbeContext;

/// The `word`th word of a Go function's arguments, counted from 0 over all of them.
///
/// Right only on entry to the function, and only for functions whose arguments all fit into
/// registers; `None` past the last register (nine on x86-64, sixteen on arm64).
#[inline(always)]
pub fn go_arg(ctx: &ProbeContext, word: usize) -> Option<u64> {
    // SAFETY: the context of a uprobe is the registers of the interrupted thread.
    let regs = unsafe { &*ctx.regs };
    #[cfg(bpf_target_arch = "x86_64")]
    {
        Some(match word {
            0 => regs.rax,
            1 => regs.rbx,
            2 => regs.rcx,
            3 => regs.rdi,
            4 => regs.rsi,
            5 => regs.r8,
            6 => regs.r9,
            7 => regs.r10,
            8 => regs.r11,
            _ => return None,
        })
    }
    #[cfg(bpf_target_arch = "aarch64")]
    {
        match word {
            0..=15 => Some(regs.regs[word]),
            _ => None,
        }
    }
}
