//! What may be a return address that is on no chain.

use labkit_ebpf::Registers;

use crate::{CODE, MAX_RANGES};

/// The two words among which a return address may be that frame pointers do not lead to; 0 for one that
/// is no address of the program's code.
pub fn words(registers: &Registers) -> [u64; 2] {
    let mut words = registers.words();
    for word in &mut words {
        if !is_code(*word) {
            *word = 0;
        }
    }
    words
}

/// Whether `address` lies in one of the ranges of CODE.
fn is_code(address: u64) -> bool {
    for index in 0..MAX_RANGES {
        if let Some(range) = CODE.get(index)
            && range.start <= address
            && address < range.end
        {
            return true;
        }
    }
    false
}
