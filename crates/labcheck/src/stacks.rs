//! Stacks that a learner's sampler keeps in the kernel: a map of counts by stack id, and the
//! kernel's own map of stacks.

use crate::{audit::Map, verdict::Failure};

/// The user-space stacks, innermost address first, each with its count.
///
/// `counts` holds a `u64` for each id (or one for each CPU), `stacks` is a
/// `BPF_MAP_TYPE_STACK_TRACE` as `bpf_get_stackid` fills it: addresses, then zeros.
///
/// # Errors
/// [`Failure::Learner`] when a map has values of another shape.
pub fn of_process(counts: &Map, stacks: &Map) -> Result<Vec<(Vec<u64>, u64)>, Failure> {
    let mut found = Vec::new();
    for id in counts.keys(1 << 17)? {
        let stack = addresses(&stacks.get(&id)?.concat());
        // The upper half of the address space is the kernel's.
        if stack.first().is_some_and(|pc| pc >> 63 == 0) {
            found.push((stack, counts.sum_u64(&id)?));
        }
    }
    Ok(found)
}

fn addresses(bytes: &[u8]) -> Vec<u64> {
    bytes
        .as_chunks()
        .0
        .iter()
        .map(|word| u64::from_ne_bytes(*word))
        .take_while(|&pc| pc != 0)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_ends_at_its_first_zero() {
        let words: [u64; 5] = [0x40_1000, 0x40_2000, 0, 0x40_3000, 0];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        assert_eq!(addresses(&bytes), [0x40_1000, 0x40_2000]);
        assert_eq!(addresses(&[]), [0u64; 0]);
    }
}
