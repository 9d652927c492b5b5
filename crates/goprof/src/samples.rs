//! Raw stacks and how often each was seen.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::Error;

/// Deeper stacks are not accepted: the kernel's own limit for a sampled stack is 127 frames by
/// default, the runtime's for CPU profiles 64.
const MAX_DEPTH: usize = 4096;

/// Stacks of addresses, leaf first, with counts. Equal stacks are one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Samples {
    stacks: BTreeMap<Vec<u64>, u64>,
}

impl Samples {
    pub fn add(&mut self, stack: Vec<u64>, count: u64) {
        let total = self.stacks.entry(stack).or_default();
        *total = total.saturating_add(count);
    }

    pub fn iter(&self) -> impl Iterator<Item = (&[u64], u64)> {
        self.stacks.iter().map(|(stack, n)| (stack.as_slice(), *n))
    }

    /// Samples in all stacks together.
    pub fn total(&self) -> u64 {
        self.stacks
            .values()
            .fold(0, |sum, n| sum.saturating_add(*n))
    }

    /// Reads `COUNT ADDR;ADDR;…` lines: a decimal count, a space, hexadecimal addresses (with or
    /// without `0x`), leaf first. Empty lines and lines that begin with `#` are skipped.
    pub fn parse(text: &str) -> Result<Samples, Error> {
        let mut samples = Samples::default();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (stack, count) = parse_line(line).map_err(|what| Error::Stacks {
                line: index + 1,
                what,
            })?;
            samples.add(stack, count);
        }
        Ok(samples)
    }

    /// The text that [`Samples::parse`] reads, stacks sorted.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        for (stack, count) in self.iter() {
            let addresses: Vec<String> = stack.iter().map(|a| format!("{a:x}")).collect();
            // Writing to a String does not fail.
            let _ = writeln!(out, "{count} {}", addresses.join(";"));
        }
        out
    }
}

fn parse_line(line: &str) -> Result<(Vec<u64>, u64), String> {
    let (count, stack) = line
        .split_once(' ')
        .ok_or("there is no space between count and addresses")?;
    let count: u64 = count
        .parse()
        .map_err(|_| format!("the count `{count}` is not a whole number"))?;
    let stack: Vec<u64> = stack
        .trim()
        .split(';')
        .map(|text| {
            let digits = text.strip_prefix("0x").unwrap_or(text);
            u64::from_str_radix(digits, 16)
                .map_err(|_| format!("`{text}` is not a hexadecimal address"))
        })
        .collect::<Result<_, _>>()?;
    if stack.len() > MAX_DEPTH {
        return Err(format!(
            "it has {} frames, more than {MAX_DEPTH}",
            stack.len()
        ));
    }
    Ok((stack, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_and_written_back() {
        let text = "# recorded\n3 4010a0;4020b1\n\n2 0x4010a0;0x4020b1\n1 7f00\n";
        let samples = Samples::parse(text).expect("it parses");
        assert_eq!(samples.total(), 6);
        assert_eq!(samples.to_text(), "1 7f00\n5 4010a0;4020b1\n");
        assert_eq!(Samples::parse(&samples.to_text()).expect("again"), samples);
    }

    #[test]
    fn a_bad_line_is_named() {
        for (line, want) in [
            ("4010a0", "no space"),
            ("x 4010a0", "the count `x` is not a whole number"),
            ("-1 4010a0", "the count `-1`"),
            ("1 40z", "`40z` is not a hexadecimal address"),
            ("1 4010a0;", "`` is not a hexadecimal address"),
        ] {
            let error = Samples::parse(&format!("1 10\n{line}\n")).expect_err(want);
            let error = error.to_string();
            assert!(error.contains("line 2") && error.contains(want), "{error}");
        }
    }
}
