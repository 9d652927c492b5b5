//! The walk.

#![allow(unused)] // Until the TODOs are done.

use aya_ebpf::{helpers::bpf_probe_read_user, programs::PerfEventContext};
use labkit_ebpf::Registers;

use crate::{MAX_DEPTH, Stack};

/// The registers to start from: those that the thread has, or had last, in the program's own code. `None`
/// where it has none.
pub fn start(ctx: &PerfEventContext) -> Option<Registers> {
    let registers = Registers::of_event(ctx);
    if registers.in_user_space() {
        return Some(registers);
    }
    // TODO (step system-calls): the clock found the thread in the kernel, and these are the registers
    // that it has there. Which did it have when it came?
    None
}

/// Fills `stack`: where the thread is, then the return addresses that frame pointers lead to.
///
/// At a frame pointer lie two words: the frame pointer of the caller's frame, and the address that the
/// function returns to.
pub fn walk(registers: &Registers, stack: &mut Stack) {
    // TODO (step walk): the innermost address is where the thread is.

    // TODO (step walk): from `registers.frame` on, read pair after pair, and keep the return address of
    // each. Stop where a pair can't be read, and where the next frame pointer is not higher than this
    // one. `stack.depth` says how many addresses there are.
}
