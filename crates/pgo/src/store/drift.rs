//! How far a profile has moved from the published one, in what the compiler would do otherwise.
//!
//! Between two thresholds of weight nothing changes in a build: a call is hot or it is not, and an
//! indirect call has a heaviest callee. So what counts is the weight on calls that cross one.

use std::{
    collections::{HashMap, HashSet},
    fmt,
};

use goprof::{Edge, Edges};

/// Parts of all weight.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Drift {
    /// On calls that are hot now and were not, of the new weight.
    pub entered: f64,
    /// On calls that were hot and are no longer, of the old weight.
    pub left: f64,
    /// On hot calls from places whose heaviest callee is another now, of the new weight.
    pub turned: f64,
}

impl Drift {
    /// From what was published to what would be.
    pub fn between(published: &Edges, candidate: &Edges) -> Self {
        let hot = |edges: &Edges| -> HashSet<Edge> {
            let hot = edges.hot().into_iter();
            hot.map(|(edge, _)| edge.clone()).collect()
        };
        let (then, now) = (hot(published), hot(candidate));
        let share = |edges: &Edges, of: &mut dyn Iterator<Item = &Edge>| {
            // The sum of nothing would be −0.
            let weight = of.fold(0.0, |sum, edge| sum + edges.weight(edge) as f64);
            weight / (edges.total() as f64).max(1.0)
        };
        let heaviest = Callees::of(published);
        let heaviest_now = Callees::of(candidate);
        let turned = |edge: &&Edge| {
            let before = heaviest.0.get(&site(edge));
            before.is_some_and(|before| heaviest_now.0.get(&site(edge)) != Some(before))
        };
        Self {
            entered: share(candidate, &mut now.difference(&then)),
            left: share(published, &mut then.difference(&now)),
            turned: share(candidate, &mut now.intersection(&then).filter(turned)),
        }
    }

    /// The largest of the three.
    pub fn most(&self) -> f64 {
        self.entered.max(self.left).max(self.turned)
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [entered, left, turned] = [self.entered, self.left, self.turned].map(|s| s * 100.0);
        write!(
            f,
            "{entered:.1} % of the weight is on calls that became hot, {left:.1} % was on calls that are \
             no longer, {turned:.1} % is where another callee is the heaviest"
        )
    }
}

/// A place that calls: the caller and the line in it.
fn site(edge: &Edge) -> (&str, i64) {
    (&edge.caller, edge.offset)
}

/// The heaviest callee of each place.
struct Callees<'a>(HashMap<(&'a str, i64), &'a str>);

impl<'a> Callees<'a> {
    fn of(edges: &'a Edges) -> Self {
        let mut heaviest = HashMap::new();
        for (edge, _) in edges.by_weight() {
            heaviest.entry(site(edge)).or_insert(edge.callee.as_str());
        }
        Self(heaviest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edges(calls: &[(&str, i64, &str, i64)]) -> Edges {
        let calls = calls.iter();
        calls
            .map(|(caller, offset, callee, weight)| (Edge::new(caller, *offset, callee), *weight))
            .collect()
    }

    #[test]
    fn other_weights_of_the_same_hot_calls_are_no_drift() {
        let published = edges(&[("a", 1, "b", 500), ("a", 2, "c", 495), ("a", 3, "d", 5)]);
        let shifted = edges(&[("a", 1, "b", 30), ("a", 2, "c", 70), ("a", 4, "e", 0)]);
        assert_eq!(Drift::between(&published, &shifted), Drift::default());
    }

    #[test]
    fn what_became_hot_and_what_is_no_longer_is_weighed() {
        let published = edges(&[("a", 1, "b", 60), ("a", 2, "c", 40)]);
        let moved = edges(&[("a", 1, "b", 80), ("a", 3, "d", 20)]);
        let drift = Drift::between(&published, &moved);
        assert_eq!((drift.entered, drift.left, drift.turned), (0.2, 0.4, 0.0));
        assert_eq!(drift.most(), 0.4);
    }

    #[test]
    fn another_heaviest_callee_turns_a_call() {
        let published = edges(&[("a", 1, "b", 60), ("a", 1, "c", 40)]);
        let turned = edges(&[("a", 1, "b", 45), ("a", 1, "c", 55)]);
        let drift = Drift::between(&published, &turned);
        assert_eq!((drift.entered, drift.left, drift.turned), (0.0, 0.0, 1.0));
    }

    #[test]
    fn nothing_and_something_are_whole_drifts() {
        let some = edges(&[("a", 1, "b", 60)]);
        assert_eq!(Drift::between(&Edges::default(), &some).entered, 1.0);
        assert_eq!(Drift::between(&some, &Edges::default()).left, 1.0);
    }
}
