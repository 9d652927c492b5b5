//! The calls that Go's compiler reads from a profile: who called whom, from which line of the caller,
//! and with what weight.
//!
//! This is what `go tool preprofile` prints, by the same rules (`cmd/internal/pgo/pprof.go`,
//! `internal/profile/graph.go`): only the first two locations of a sample count, with all calls
//! inlined into them, and each call once a sample.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap, HashSet},
};

use crate::pprof::{Line, Location, Profile};

/// The part of all weight whose calls are hot: to these the compiler gives the larger inlining budget
/// (`inlineCDFHotCallSiteThresholdPercent`, `cmd/compile/internal/inline/inl.go`).
pub const HOT: f64 = 0.99;

/// A call, as the compiler knows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Edge {
    /// The calling function's name, as the linker spells it.
    pub caller: String,
    /// The called function's.
    pub callee: String,
    /// Line of the call, counted from the line of the caller's `func`.
    pub offset: i64,
}

impl Edge {
    /// The call of `callee` that is `offset` lines below the `func` of `caller`.
    pub fn new(caller: &str, offset: i64, callee: &str) -> Self {
        Self {
            caller: caller.to_owned(),
            callee: callee.to_owned(),
            offset,
        }
    }
}

/// Calls and their weights, in the profile's own unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edges {
    weight: BTreeMap<Edge, i64>,
}

/// A frame as the compiler tells frames apart: function, address, line, start line.
type Node = (i64, u64, i64, i64);

impl Edges {
    /// The calls of a profile; none where the compiler would find no weight in it.
    pub fn of(profile: &Profile) -> Self {
        let Some(index) = profile.pgo_value_index() else {
            return Self::default();
        };
        let functions: HashMap<u64, (i64, i64)> = profile
            .function
            .iter()
            .map(|function| (function.id, (function.name, function.start_line)))
            .collect();
        let node = |location: &Location, line: &Line| -> Node {
            match functions.get(&line.function_id) {
                Some(&(name, start)) => (name, location.address, line.line, start),
                None => (0, location.address, 0, 0),
            }
        };
        // Leaf first, as in the profile.
        let nodes: HashMap<u64, Vec<Node>> = profile
            .location
            .iter()
            .map(|location| {
                let lines = location.line.iter().map(|line| node(location, line));
                let mut nodes: Vec<Node> = lines.collect();
                if nodes.is_empty() {
                    nodes.push((0, location.address, 0, 0));
                }
                (location.id, nodes)
            })
            .collect();
        let mut between: HashMap<(Node, Node), i64> = HashMap::new();
        let (mut seen, mut counted) = (HashSet::new(), HashSet::new());
        for sample in &profile.sample {
            let weight = sample.value.get(index).copied().unwrap_or_default();
            if weight == 0 {
                continue;
            }
            seen.clear();
            counted.clear();
            let mut parent: Option<Node> = None;
            for location in sample.location_id.iter().take(2).rev() {
                for &node in nodes.get(location).into_iter().flatten().rev() {
                    let first = seen.insert(node);
                    if let Some(parent) = parent
                        && parent != node
                        && (first || !counted.contains(&(parent, node)))
                    {
                        counted.insert((parent, node));
                        let sum = between.entry((parent, node)).or_default();
                        *sum = i64::saturating_add(*sum, weight);
                    }
                    parent = Some(node);
                }
            }
        }
        let edges = between.into_iter().map(|((caller, callee), weight)| {
            let offset = caller.2.wrapping_sub(caller.3);
            let edge = Edge::new(profile.string(caller.0), offset, profile.string(callee.0));
            (edge, weight)
        });
        edges.collect()
    }

    /// How many calls there are.
    pub fn len(&self) -> usize {
        self.weight.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.weight.is_empty()
    }

    /// The sum of all weights.
    pub fn total(&self) -> i64 {
        self.weight
            .values()
            .fold(0, |sum, &weight| i64::saturating_add(sum, weight))
    }

    /// The weight of a call; 0 if it is not in the profile.
    pub fn weight(&self, edge: &Edge) -> i64 {
        self.weight.get(edge).copied().unwrap_or_default()
    }

    /// All calls, the heaviest first; those of one weight by caller, callee and offset.
    pub fn by_weight(&self) -> Vec<(&Edge, i64)> {
        let mut all: Vec<_> = self
            .weight
            .iter()
            .map(|(edge, &weight)| (edge, weight))
            .collect();
        all.sort_by_key(|&(_, weight)| Reverse(weight));
        all
    }

    /// The calls that are hot: the heaviest that together hold more than [`HOT`] of the weight.
    pub fn hot(&self) -> Vec<(&Edge, i64)> {
        let total = self.total() as f64;
        let mut sum = 0;
        let mut all = self.by_weight();
        let enough = all.iter().position(|&(_, weight)| {
            sum = i64::saturating_add(sum, weight);
            sum as f64 / total > HOT
        });
        all.truncate(enough.map_or(all.len(), |last| last + 1));
        all
    }

    /// The part of the weight that two profiles agree on: the sum over all calls of the smaller of
    /// their shares. 1 for profiles that differ in nothing but how much was recorded, 0 for those with
    /// no call in common.
    pub fn overlap(&self, other: &Self) -> f64 {
        let share = |edges: &Self, edge: &Edge| edges.weight(edge) as f64 / edges.total() as f64;
        self.weight
            .keys()
            .filter(|edge| other.weight.contains_key(edge))
            .map(|edge| share(self, edge).min(share(other, edge)))
            .sum()
    }

    /// Without those of which both sides are Go's runtime: how often that looks for work depends on chance.
    pub fn outside_runtime(&self) -> Self {
        let inside =
            |name: &str| name.starts_with("runtime.") || name.starts_with("internal/runtime/");
        let edges = self.weight.iter();
        edges
            .filter(|(edge, _)| !(inside(&edge.caller) && inside(&edge.callee)))
            .map(|(edge, weight)| (edge.clone(), *weight))
            .collect()
    }

    /// What `go tool preprofile` writes for the profile, and `-pgoprofile` reads
    /// (`cmd/internal/pgo/serialize.go`).
    pub fn preprofile(&self) -> String {
        let mut text = "GO PREPROFILE V1\n".to_owned();
        for (edge, weight) in self.by_weight() {
            text += &format!(
                "{}\n{}\n{} {weight}\n",
                edge.caller, edge.callee, edge.offset
            );
        }
        text
    }
}

impl FromIterator<(Edge, i64)> for Edges {
    fn from_iter<T: IntoIterator<Item = (Edge, i64)>>(edges: T) -> Self {
        let mut all = Self::default();
        for (edge, weight) in edges {
            let sum = all.weight.entry(edge).or_default();
            *sum = i64::saturating_add(*sum, weight);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Frame, Location as Place, Meta, ProfileBuilder};

    fn frame(function: &str, line: u32) -> Frame {
        Frame {
            function: function.to_owned(),
            file: "main.go".to_owned(),
            line,
            start_line: 10,
        }
    }

    /// An address, and the frames there with their lines, leaf first.
    type At<'a> = (u64, &'a [(&'a str, u32)]);

    /// Stacks, leaf first, and how often each was seen.
    fn profile(stacks: &[(&[At<'_>], u64)]) -> Profile {
        let meta = Meta {
            period_nanos: 1,
            time_nanos: 1,
            duration_nanos: 1,
        };
        let mut builder = ProfileBuilder::new(meta, Vec::new());
        for (stack, count) in stacks {
            let places = stack.iter().map(|(address, frames)| {
                Arc::new(Place {
                    address: *address,
                    mapping: None,
                    frames: frames
                        .iter()
                        .map(|(name, line)| frame(name, *line))
                        .collect(),
                })
            });
            builder.add(places.collect(), *count);
        }
        builder.finish()
    }

    fn told(edges: &Edges) -> Vec<String> {
        let one = |(edge, weight): (&Edge, i64)| {
            format!("{}:{}>{} {weight}", edge.caller, edge.offset, edge.callee)
        };
        edges.by_weight().into_iter().map(one).collect()
    }

    #[test]
    fn only_the_two_innermost_locations_count_with_what_is_inlined_into_them() {
        let edges = Edges::of(&profile(&[(
            &[
                (1, &[("leaf", 11), ("inlined", 12)]),
                (2, &[("caller", 13)]),
                (3, &[("root", 14)]),
            ],
            5,
        )]));
        assert_eq!(told(&edges), ["caller:3>inlined 5", "inlined:2>leaf 5"]);
    }

    #[test]
    fn recursion_counts_once_a_sample() {
        // fib calls itself from one line, at one address.
        let edges = Edges::of(&profile(&[(
            &[(1, &[("fib", 11)]), (1, &[("fib", 11)])],
            7,
        )]));
        assert!(edges.is_empty(), "a frame does not call itself: {edges:?}");
    }

    #[test]
    fn hot_are_the_heaviest_that_hold_the_threshold_together() {
        let call = |name: &'static str| {
            [
                (1, [("leaf", 11)]),
                (u64::from(name.as_bytes()[0]), [(name, 12)]),
            ]
        };
        let (a, b, c) = (call("a"), call("b"), call("c"));
        let stacks: Vec<_> = [(&a, 950), (&b, 45), (&c, 5)]
            .into_iter()
            .map(|(stack, count)| {
                let stack: Vec<(u64, &[(&str, u32)])> = stack
                    .iter()
                    .map(|(at, frames)| (*at, frames.as_slice()))
                    .collect();
                (stack, count)
            })
            .collect();
        let stacks: Vec<_> = stacks
            .iter()
            .map(|(stack, count)| (stack.as_slice(), *count))
            .collect();
        let hot = Edges::of(&profile(&stacks));
        let names: Vec<_> = hot
            .hot()
            .iter()
            .map(|(edge, _)| edge.caller.clone())
            .collect();
        assert_eq!(names, ["a", "b"]);
    }

    #[test]
    fn profiles_overlap_by_their_shares() {
        let of = |a, b| {
            Edges::of(&profile(&[
                (&[(1, &[("leaf", 11), ("a", 12)])], a),
                (&[(2, &[("leaf", 11), ("b", 12)])], b),
            ]))
        };
        for (one, other, expected) in [
            (of(10, 10), of(500, 500), 1.0),
            (of(10, 0), of(0, 10), 0.0),
            (of(75, 25), of(25, 75), 0.5),
        ] {
            assert!((one.overlap(&other) - expected).abs() < 1e-9, "{one:?}");
        }
    }

    #[test]
    fn no_number_is_too_large() {
        let mut profile = profile(&[
            (&[(1, &[("leaf", 11), ("a", 12)])], 1),
            (&[(2, &[("leaf", 11), ("a", 12)])], 1),
        ]);
        for sample in &mut profile.sample {
            sample.value = vec![i64::MAX; 2];
        }
        for function in &mut profile.function {
            function.start_line = i64::MIN;
        }
        let edges = Edges::of(&profile);
        assert_eq!(edges.total(), i64::MAX);
        assert_eq!(edges.hot().len(), 1);
    }
}
