//! Tables of values by PC, and what two of them say: file and line.

#![allow(unused)] // Until the TODOs are done.

use crate::tables::{Function, Tables};

/// The value that a PC table gives for the instruction `distance` bytes after its function's
/// entry; `None` where the table does not reach so far.
///
/// The table is pairs of varints. The first of a pair says how the value changes: 0, 1, 2, 3, 4 stand
/// for 0, -1, 1, -2, 2 (zigzag). The second says for how many quanta of code the new value holds.
/// Before the first pair the value is -1. A pair that changes nothing ends the table, unless
/// it is the first.
pub fn value_at(table: &[u8], quantum: u32, distance: u32) -> Option<i32> {
    // TODO (step lines): go from pair to pair until one's code reaches beyond `distance`.
    None
}

/// The number that begins at byte `at`, which moves on behind it: seven bits a byte, the lowest
/// first; the top bit of a byte says that another follows. `None` at the end of the table.
fn varint(table: &[u8], at: &mut usize) -> Option<u32> {
    let byte = *table.get(*at)?;
    *at += 1;
    // TODO (step lines): the bytes that follow, where there are any.
    Some(u32::from(byte))
}

/// File and line of the instruction at `pc`, which `function` has; `?` and 0 in a gap.
pub fn place(tables: &Tables, function: &Function, pc: u64) -> (String, u32) {
    let distance = (pc - function.entry) as u32;
    let value = |number| value_at(tables.pc_table(number), tables.quantum, distance);
    // TODO (step lines): `function.files` and `function.lines` are the numbers of the two tables;
    // `tables.file` knows the path to a file's number.
    ("?".to_owned(), 0)
}
