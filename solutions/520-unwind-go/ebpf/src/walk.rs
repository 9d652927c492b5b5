//! The walk.

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
    // ANCHOR: start
    Registers::of_current()
    // ANCHOR_END: start
}

/// Fills `stack`: where the thread is, then the return addresses that frame pointers lead to.
///
/// At a frame pointer lie two words: the frame pointer of the caller's frame, and the address that the
/// function returns to.
pub fn walk(registers: &Registers, stack: &mut Stack) {
    // ANCHOR: walk
    stack.addresses[0] = registers.instruction;
    stack.depth = 1;
    let mut frame = registers.frame;
    for index in 1..MAX_DEPTH {
        // SAFETY: the helper looks whether the address can be read.
        let pair = unsafe { bpf_probe_read_user(frame as *const [u64; 2]) };
        let Ok([callers_frame, return_address]) = pair else {
            break;
        };
        stack.addresses[index] = return_address;
        stack.depth = index as u64 + 1;
        if callers_frame <= frame {
            break;
        }
        frame = callers_frame;
    }
    // ANCHOR_END: walk
}
