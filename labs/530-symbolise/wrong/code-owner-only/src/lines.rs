//! Tables of values by PC, and what two of them say: file and line.

use crate::tables::{Function, Tables};

/// The value that a PC table gives for the instruction `distance` bytes after its function's
/// entry; `None` where the table does not reach so far.
///
/// The table is pairs of varints. The first of a pair says how the value changes: 0, 1, 2, 3, 4 stand
/// for 0, -1, 1, -2, 2 (zigzag). The second says for how many quanta of code the new value holds.
/// Before the first pair the value is -1. A pair that changes nothing ends the table, unless
/// it is the first.
pub fn value_at(table: &[u8], quantum: u32, distance: u32) -> Option<i32> {
    let (mut at, mut value, mut end) = (0, -1, 0);
    loop {
        let is_first = at == 0;
        let change = varint(table, &mut at)?;
        if change == 0 && !is_first {
            return None;
        }
        let size = (change >> 1) as i32;
        value += if change & 1 == 0 { size } else { -size - 1 };
        end += varint(table, &mut at)? * quantum;
        if distance < end {
            return Some(value);
        }
    }
}

/// The number that begins at byte `at`, which moves on behind it: seven bits a byte, the lowest
/// first; the top bit of a byte says that another follows. `None` at the end of the table.
fn varint(table: &[u8], at: &mut usize) -> Option<u32> {
    let mut number = 0;
    for shift in [0, 7, 14, 21, 28] {
        let byte = *table.get(*at)?;
        *at += 1;
        number |= u32::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    Some(number)
}

/// File and line of the instruction at `pc`, which `function` has; `?` and 0 in a gap.
pub fn place(tables: &Tables, function: &Function, pc: u64) -> (String, u32) {
    let distance = (pc - function.entry) as u32;
    let value = |number| value_at(tables.pc_table(number), tables.quantum, distance);
    let (Some(number), Some(line)) = (value(function.files), value(function.lines)) else {
        return ("?".to_owned(), 0);
    };
    let file = tables.file(function, number).unwrap_or("?".to_owned());
    (file, line as u32)
}
