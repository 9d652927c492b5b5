//! Stacks that a learner's sampler keeps in the kernel: a map of counts by stack id, and the
//! kernel's own map of stacks.

use std::collections::BTreeMap;

use crate::{
    audit::{Map, Program},
    learner::Learner,
    verdict::Failure,
};

/// The maps COUNTS and STACKS of a learner's sampler.
///
/// # Errors
/// As [`crate::audit::Audit::map`].
pub fn maps(learner: &mut Learner, program: &Program) -> Result<(Map, Map), Failure> {
    let counts = learner.audit()?.map(program, "COUNTS")?;
    let stacks = learner.audit()?.map(program, "STACKS")?;
    Ok((counts, stacks))
}

/// The user-space stacks, innermost address first, each with its count.
///
/// `counts` holds a `u64` for each id (or one for each CPU), `stacks` is a
/// `BPF_MAP_TYPE_STACK_TRACE` as `bpf_get_stackid` fills it: addresses, then zeros.
///
/// # Errors
/// [`Failure::Learner`] when a map has values of another shape.
pub fn of_process(counts: &Map, stacks: &Map) -> Result<Vec<(Vec<u64>, u64)>, Failure> {
    let mut found = all(counts, stacks)?;
    found.retain(|(stack, _)| !begins_in_kernel(stack));
    Ok(found)
}

/// As [`of_process`], with those that begin in the kernel. A stack without an address is left out.
///
/// # Errors
/// [`Failure::Learner`] when a map has values of another shape.
pub fn all(counts: &Map, stacks: &Map) -> Result<Vec<(Vec<u64>, u64)>, Failure> {
    let mut found = Vec::new();
    for id in counts.keys(1 << 17)? {
        let stack = addresses(&stacks.get(&id)?.concat());
        if !stack.is_empty() {
            found.push((stack, counts.sum_u64(&id)?));
        }
    }
    Ok(found)
}

/// Whether a stack's first address is the kernel's: the upper half of the address space is.
pub fn begins_in_kernel(stack: &[u64]) -> bool {
    stack.first().is_some_and(|pc| pc >> 63 == 1)
}

/// Whether a report is what the kernel has, and at most `slack` samples more.
///
/// # Errors
/// What differs, for the learner.
pub fn reported<'a>(
    kernel: impl IntoIterator<Item = (&'a [u64], u64)>,
    report: impl IntoIterator<Item = (&'a [u64], u64)>,
    slack: u64,
) -> Result<(), String> {
    let printed: BTreeMap<&[u64], u64> = report.into_iter().collect();
    let mut counted = 0;
    for (stack, count) in kernel {
        counted += count;
        let shown = printed.get(stack).copied().unwrap_or(0);
        if shown < count {
            return Err(format!(
                "the kernel counted the stack that begins with {:x} {count} times; your program printed it \
                 with {shown}.",
                stack.first().copied().unwrap_or_default()
            ));
        }
    }
    match printed.values().sum::<u64>().saturating_sub(counted) {
        more if more > slack => Err(format!(
            "your program printed {more} samples that the kernel never counted."
        )),
        _ => Ok(()),
    }
}

/// The addresses of one value of such a map of stacks.
pub fn addresses(bytes: &[u8]) -> Vec<u64> {
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

    #[test]
    fn a_report_may_have_a_little_more_and_nothing_less() {
        let (a, b): (&[u64], &[u64]) = (&[1, 2], &[3]);
        for (report, agrees) in [
            (vec![(a, 5), (b, 1)], true),
            (vec![(b, 2), (a, 6)], true),
            (vec![(b, 3), (a, 6)], false),
            (vec![(a, 6)], false),
            (vec![(a, 4), (b, 2)], false),
        ] {
            let found = reported([(a, 5), (b, 1)], report.clone(), 2);
            assert_eq!(found.is_ok(), agrees, "{report:?}: {found:?}");
        }
    }
}
