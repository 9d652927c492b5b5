//! The caller that frame pointers lose.
//!
//! Frame pointers lead from one frame to the next, so the caller of a function that has none (a leaf
//! whose locals fit into registers), or has it not yet or not any more, is skipped: the stack shows the
//! caller's caller. It is the edge that PGO needs most. How far the stack pointer is below its value at
//! the function's entry (`pcsp`) tells where the return address is then.

use std::collections::BTreeMap;

use crate::{Samples, Symbolizer};

/// A stack as the sampler has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RawStack {
    /// The leaf's PC, then return addresses as frame pointers lead to them.
    pub addresses: Vec<u64>,
    /// amd64: the two words at the stack pointer; arm64: the link register and the word at the stack
    /// pointer. 0 for what is no address of Go code.
    pub words: [u64; 2],
    /// The thread was in the kernel: the leaf is where it entered.
    pub in_kernel: bool,
    /// Whether `words` could be had.
    pub has_words: bool,
    /// The stack there, innermost address first; empty where it was not recorded.
    pub kernel: Vec<u64>,
}

/// What became of the stacks' leaves, in samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repairs {
    /// Stacks to which the leaf's caller was added.
    pub repaired: u64,
    /// Stacks whose leaf had no frame, and whose caller is not known.
    pub unrepaired: u64,
}

/// Adds to each stack the leaf's caller where frame pointers have skipped it. What the kernel did is not in
/// the stacks, as Go's PGO wants it: the compiler would take it for the program's calls.
pub fn repair(stacks: &BTreeMap<RawStack, u64>, symbols: &Symbolizer) -> (Samples, Repairs) {
    repaired(stacks, symbols, |_, addresses| addresses)
}

/// The same with what the kernel did for the program, as its callee: for people.
pub fn repair_with_kernel(
    stacks: &BTreeMap<RawStack, u64>,
    symbols: &Symbolizer,
) -> (Samples, Repairs) {
    repaired(stacks, symbols, |stack, addresses| {
        [&stack.kernel[..], &addresses].concat()
    })
}

fn repaired(
    stacks: &BTreeMap<RawStack, u64>,
    symbols: &Symbolizer,
    whole: impl Fn(&RawStack, Vec<u64>) -> Vec<u64>,
) -> (Samples, Repairs) {
    let mut samples = Samples::default();
    let mut repairs = Repairs::default();
    for (stack, &count) in stacks {
        // With room for one more.
        let mut addresses = Vec::with_capacity(stack.addresses.len() + 1);
        addresses.extend_from_slice(&stack.addresses);
        match missing(stack, symbols) {
            Missing::Nothing => {}
            Missing::Caller(caller) => {
                addresses.insert(1, caller);
                repairs.repaired += count;
            }
            Missing::Unknown => repairs.unrepaired += count,
        }
        samples.add(whole(stack, addresses), count);
    }
    (samples, repairs)
}

/// What a stack lacks behind its leaf.
enum Missing {
    Nothing,
    Caller(u64),
    Unknown,
}

fn missing(stack: &RawStack, symbols: &Symbolizer) -> Missing {
    let Some((&leaf, callers)) = stack.addresses.split_first() else {
        return Missing::Nothing;
    };
    // Not Go code: nothing is known of its frames.
    let Some((arch, delta)) = symbols.sp_delta(leaf) else {
        return Missing::Nothing;
    };
    // Frames as the assemblers make them: `cmd/internal/obj/x86/obj6.go` (since Go 1.21) and
    // `arm64/obj7.go`.
    let caller = match (arch, delta) {
        // At the entry, in a function without a frame, or before its RET.
        (_, 0) => stack.words[0],
        // The caller's frame pointer was pushed and the frame may not be linked yet, or the return
        // address stored and the frame pointer not set, or restored already. Where the chain begins
        // with it, nothing is missing.
        (gosym::Arch::Amd64, 8) | (gosym::Arch::Arm64, 1..) => {
            if callers.first() == Some(&stack.words[1]) {
                return Missing::Nothing;
            }
            stack.words[1]
        }
        // Before, the return address is further away than the sampler looks.
        _ if symbols.frame_pointer_gap(leaf) => return Missing::Unknown,
        _ => return Missing::Nothing,
    };
    match caller {
        _ if !stack.has_words => Missing::Unknown,
        0 => Missing::Unknown,
        caller if symbols.is_go_code(caller) => Missing::Caller(caller),
        _ => Missing::Unknown,
    }
}
