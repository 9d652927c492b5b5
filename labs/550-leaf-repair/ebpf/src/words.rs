//! What may be a return address that is on no chain.

#![allow(unused)] // Until the TODOs are done.

use labkit_ebpf::Registers;

use crate::{CODE, MAX_RANGES};

/// The two words among which a return address may be that frame pointers do not lead to; 0 for one that
/// is no address of the program's code.
pub fn words(registers: &Registers) -> [u64; 2] {
    // TODO (step words): `registers.words()` gives them as they are. Most are data, of which each is
    // another one, and would make a key of its own.
    [0; 2]
}

/// Whether `address` lies in one of the ranges of CODE.
fn is_code(address: u64) -> bool {
    // TODO (step words): look into the MAX_RANGES entries of CODE.
    false
}
