//! Which function an address lies in.

#![allow(unused)] // Until the TODO is done.

use crate::tables::Tables;

/// The number of the function that has the instruction at `pc`; `None` where no Go code is.
///
/// A function's code reaches to where the next one begins: what the linker fills gaps with
/// counts as the function's before it.
pub fn find(tables: &Tables, pc: u64) -> Option<usize> {
    // TODO (step functions): `tables.entry(0)` to `tables.entry(tables.count)` are sorted, and count
    // from `tables.text`. Find the last that is not beyond `pc`.
    None
}
