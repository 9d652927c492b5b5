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
        let samples = profile.sample.iter();
        let weights = profile.pgo_value_index().map(|index| {
            samples.map(move |sample| sample.value.get(index).copied().unwrap_or_default())
        });
        Self::weighing(profile, weights.into_iter().flatten())
    }

    /// The same with other weights, one for each sample.
    pub(crate) fn weighing(profile: &Profile, weights: impl Iterator<Item = i64>) -> Self {
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
        for (sample, weight) in profile.sample.iter().zip(weights) {
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
                        *between.entry((parent, node)).or_default() += weight;
                    }
                    parent = Some(node);
                }
            }
        }
        let mut edges = Self::default();
        for ((caller, callee), weight) in between {
            let edge = Edge {
                caller: profile.string(caller.0).to_owned(),
                callee: profile.string(callee.0).to_owned(),
                offset: caller.2 - caller.3,
            };
            *edges.weight.entry(edge).or_default() += weight;
        }
        edges
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
        self.weight.values().sum()
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
            sum += weight;
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
