//! Calls whose weights are known by how a program is made: what profilers are judged by.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Edges, Error};

/// Calls, and what part of the callee's time each has.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KnownCalls {
    /// By callee and caller; the parts of a callee add up to 1.
    parts: BTreeMap<String, BTreeMap<String, f64>>,
}

impl KnownCalls {
    /// Reads lines `call CALLER CALLEE WEIGHT`: names as the linker spells them, weights of the calls
    /// of one callee in the same unit.
    ///
    /// # Errors
    /// [`Error::Known`], which names the line.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut parts: BTreeMap<String, BTreeMap<String, f64>> = BTreeMap::new();
        for (index, line) in text.lines().enumerate() {
            let fields: Vec<&str> = line.split(' ').collect();
            let ["call", caller, callee, weight] = fields[..] else {
                return Err(Error::Known { line: index + 1 });
            };
            let weight: u32 = weight
                .parse()
                .map_err(|_| Error::Known { line: index + 1 })?;
            let callers = parts.entry(callee.to_owned()).or_default();
            *callers.entry(caller.to_owned()).or_default() += f64::from(weight);
        }
        for callers in parts.values_mut() {
            let total: f64 = callers.values().sum();
            for part in callers.values_mut() {
                *part /= total.max(1.0);
            }
        }
        Ok(Self { parts })
    }

    /// The part of all weight on calls of these callees that is on the call where it should be: 1 for
    /// a profiler that is right, 0 without any such call. Nothing is said of how weight is divided
    /// among callees, or lines of one caller.
    pub fn overlap(&self, edges: &Edges) -> f64 {
        let mut found: BTreeMap<&str, BTreeMap<&str, f64>> = BTreeMap::new();
        for (edge, weight) in edges.by_weight() {
            if self.parts.contains_key(&edge.callee) {
                let callers = found.entry(&edge.callee).or_default();
                *callers.entry(&edge.caller).or_default() += weight as f64;
            }
        }
        let (mut right, mut all) = (0.0, 0.0);
        for (callee, callers) in found {
            let total: f64 = callers.values().sum();
            all += total;
            let due = |caller: &str| self.parts[callee].get(caller).copied().unwrap_or(0.0);
            let at_most = callers
                .iter()
                .map(|(caller, weight)| weight.min(due(caller) * total));
            right += at_most.sum::<f64>();
        }
        if all > 0.0 { right / all } else { 0.0 }
    }

    /// The callees of which `edges` has no call at all.
    pub fn unseen<'a>(&'a self, edges: &Edges) -> Vec<&'a str> {
        let seen: BTreeSet<&str> = edges
            .by_weight()
            .into_iter()
            .map(|(edge, _)| edge.callee.as_str())
            .collect();
        let known = self.parts.keys().map(String::as_str);
        known.filter(|callee| !seen.contains(callee)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Edge;

    fn edges(weights: &[(&str, &str, i64)]) -> Edges {
        weights
            .iter()
            .map(|(caller, callee, weight)| (Edge::new(caller, 1, callee), *weight))
            .collect()
    }

    #[test]
    fn what_is_on_the_wrong_caller_is_not_right() {
        let known = KnownCalls::parse("call a x 3\ncall b x 1\ncall c y 7\n").expect("it parses");
        for (weights, right) in [
            (&[("a", "x", 30), ("b", "x", 10), ("c", "y", 10)][..], 1.0),
            // A quarter of x went to a instead of b, and x is four fifths of all.
            (&[("a", "x", 40), ("c", "y", 10)], 0.8),
            (&[("main", "x", 10)], 0.0),
            // Callees of which nothing is known count nothing.
            (&[("a", "z", 99)], 0.0),
            (&[("c", "y", 10), ("a", "z", 99)], 1.0),
        ] {
            let found = known.overlap(&edges(weights));
            assert!((found - right).abs() < 1e-9, "{weights:?}: {found}");
        }
        assert_eq!(known.unseen(&edges(&[("a", "x", 1)])), ["y"]);
    }

    #[test]
    fn a_bad_line_is_named() {
        for line in ["", "call a b", "call a b c", "edge a b 1", "call a b -1"] {
            let error = KnownCalls::parse(&format!("call a b 1\n{line}\n")).expect_err(line);
            assert!(error.to_string().contains("line 2"), "{error}");
        }
    }
}
