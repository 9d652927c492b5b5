//! The repair.

#![allow(unused)] // Until the TODO is done.

use crate::code::{Code, Moved};

/// Puts the leaf's caller behind the leaf, where frame pointers have skipped it.
///
/// `stack` has the innermost address, the leaf, first. `words` are what the kernel kept beside it, 0
/// where there was no code address. What `code.moved` says of the leaf decides.
pub fn repair(stack: &mut Vec<u64>, words: [u64; 2], code: &Code) {
    // TODO (step repair): which of the words is the caller, if any? It belongs behind the leaf, and a
    // caller that is there already must not be there twice.
}
