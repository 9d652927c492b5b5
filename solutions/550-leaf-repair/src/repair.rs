//! The repair.

use crate::code::Moved;

/// Puts the leaf's caller behind the leaf, where frame pointers have skipped it.
///
/// `stack` has the innermost address, the leaf, first. `words` are what the kernel kept beside it, 0
/// where there was no code address. `moved` is how far the stack pointer has moved since the leaf was
/// entered: see src/code.rs.
pub fn repair(stack: &mut Vec<u64>, words: [u64; 2], moved: Moved) {
    // ANCHOR: repair
    let caller = match moved {
        Moved::Nothing => words[0],
        Moved::OneWord if stack.get(1) != Some(&words[1]) => words[1],
        Moved::OneWord | Moved::Further => 0,
    };
    if caller != 0 {
        stack.insert(1, caller);
    }
    // ANCHOR_END: repair
}
