//! The machine's CPUs, from the kernel's lists such as `0-3,8`
//! (Documentation/admin-guide/cputopology.rst).

use std::{fs, io};

/// CPUs that can run tasks.
pub(crate) fn online() -> io::Result<Vec<u32>> {
    list(&fs::read_to_string("/sys/devices/system/cpu/online")?)
        .ok_or_else(|| io::Error::other("cannot read the list of CPUs"))
}

fn list(text: &str) -> Option<Vec<u32>> {
    let mut cpus = Vec::new();
    for part in text.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        cpus.extend(first.parse::<u32>().ok()?..=last.parse().ok()?);
    }
    Some(cpus)
}
/// How many CPUs the machine could have: so many values has a per-CPU map for each key.
pub(crate) fn possible() -> io::Result<usize> {
    let text = fs::read_to_string("/sys/devices/system/cpu/possible")?;
    list(&text)
        .map(|cpus| cpus.len())
        .ok_or_else(|| io::Error::other("cannot read the list of CPUs"))
}
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_ranges_and_single_numbers() {
        assert_eq!(list("0-2,5\n"), Some(vec![0, 1, 2, 5]));
        assert_eq!(list("0\n"), Some(vec![0]));
        assert_eq!(list("x"), None);
    }
}
