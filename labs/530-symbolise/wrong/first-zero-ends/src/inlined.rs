//! The calls at an address: more than one where the compiler inlined.

use crate::{
    lines::{place, value_at},
    tables::{Function, Tables},
};

/// One call that is under way.
pub struct Call {
    /// Of the function called.
    pub name: String,
    /// File and line that it has come to.
    pub place: (String, u32),
    /// The line of the function's `func`.
    pub start_line: u32,
}

/// The calls under way at `pc`, in the code of `function`: the innermost first, `function` itself
/// last.
pub fn calls(tables: &Tables, function: &Function, pc: u64) -> Vec<Call> {
    let mut calls = Vec::new();
    let mut pc = pc;
    loop {
        let distance = (pc - function.entry) as u32;
        let table = tables.pc_table(function.inlined);
        let index = value_at(table, tables.quantum, distance).unwrap_or(-1);
        let Some(inlined) = tables.inlined(function, index) else {
            break;
        };
        calls.push(Call {
            name: inlined.name,
            place: place(tables, function, pc),
            start_line: inlined.start_line,
        });
        pc = function.entry + u64::from(inlined.parent_pc);
    }
    calls.push(Call {
        name: function.name.clone(),
        place: place(tables, function, pc),
        start_line: function.start_line,
    });
    calls
}
