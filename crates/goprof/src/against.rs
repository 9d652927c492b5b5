//! A profile beside a program that it would optimise.

use std::collections::{BTreeMap, HashSet};

use gosym::Binary;

use crate::{
    check::{Finding, Severity},
    edges::{Edges, HOT},
};

/// Names that a message lists.
const LISTED: usize = 3;

/// What a profile has to do with a program.
#[derive(Clone, Debug, PartialEq)]
pub struct Against {
    /// The part of all weight that is on calls of which the program lacks the caller or the callee.
    pub stale: f64,
    /// The functions that it lacks, and the weight of the calls from and to each, the heaviest first.
    pub lacking: Vec<(String, i64)>,
    /// The part of all weight that is on calls from or to functions of the program's own module; `None`
    /// where the program does not tell its module.
    pub own: Option<f64>,
}

impl Against {
    /// Holds the calls of a profile against a program that was built from the source of today, with or
    /// without the profile: a function that it lacks is gone, was renamed, or is used no more.
    pub fn of(edges: &Edges, program: &Binary) -> Self {
        let names: HashSet<_> = program.names().collect();
        let module = program.main_module().map(symbol_prefix);
        let (mut stale, mut own) = (0_i64, 0_i64);
        let mut lacking: BTreeMap<&str, i64> = BTreeMap::new();
        for (edge, weight) in edges.by_weight() {
            let ends = [edge.caller.as_str(), edge.callee.as_str()];
            let gone: HashSet<&str> = ends
                .into_iter()
                // What was recorded without a name is not Go's: the vDSO, C code.
                .filter(|name| !name.is_empty() && !names.contains(*name))
                .collect();
            if !gone.is_empty() {
                stale = stale.saturating_add(weight);
            }
            for name in gone {
                let sum = lacking.entry(name).or_default();
                *sum = i64::saturating_add(*sum, weight);
            }
            if ends.iter().any(|name| is_of(module.as_deref(), name)) {
                own = own.saturating_add(weight);
            }
        }
        let share = |weight: i64| weight as f64 / (edges.total() as f64).max(1.0);
        let mut lacking: Vec<(String, i64)> = lacking
            .into_iter()
            .map(|(name, weight)| (name.to_owned(), weight))
            .collect();
        lacking.sort_by_key(|(_, weight)| std::cmp::Reverse(*weight));
        Self {
            stale: share(stale),
            lacking,
            own: module.is_some().then(|| share(own)),
        }
    }

    /// A warning where the build would lose more than the compiler itself leaves out.
    pub fn finding(&self) -> Option<Finding> {
        (self.stale > 1.0 - HOT).then(|| {
            let listed: Vec<&str> = self
                .lacking
                .iter()
                .take(LISTED)
                .map(|(name, _)| name.as_str())
                .collect();
            let more = match self.lacking.len().saturating_sub(LISTED) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            Finding {
                id: "stale-names",
                severity: Severity::Warning,
                message: format!(
                    "{:.0} % of the weight is on calls of functions that the program does not have: {}{more}",
                    self.stale * 100.0,
                    listed.join(", ")
                ),
                fix: "record a profile of the program as it is today; after a renaming the old one is lost",
            }
        })
    }
}

/// A module's path as symbols begin with it: dots behind the last slash are escaped (`PathToPrefix`,
/// `cmd/internal/objabi/path.go`).
fn symbol_prefix(path: &str) -> String {
    let last = path.rfind('/').map_or(0, |slash| slash + 1);
    format!("{}{}", &path[..last], path[last..].replace('.', "%2e"))
}

/// Whether the linker's name is of a package of `module`. Those of package main are `main.…`, whatever
/// its path. In a package below the module's own the dots of the latter are not the last element's.
fn is_of(module: Option<&str>, name: &str) -> bool {
    let Some(module) = module else { return false };
    let below = module.replace("%2e", ".");
    let begins = |prefix: &str, next: char| {
        name.strip_prefix(prefix)
            .is_some_and(|rest| rest.starts_with(next))
    };
    name.starts_with("main.") || begins(module, '.') || begins(&below, '/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_has_its_packages_and_not_its_namesakes() {
        for (name, own) in [
            ("main.run", true),
            ("example.com/shop.Sell", true),
            ("example.com/shop/cart.(*Cart).Add", true),
            ("example.com/shopping.Sell", false),
            ("runtime.mallocgc", false),
        ] {
            assert_eq!(is_of(Some("example.com/shop"), name), own, "{name}");
            assert!(!is_of(None, name));
        }
        let yaml = symbol_prefix("gopkg.in/yaml.v3");
        for name in [
            "gopkg.in/yaml%2ev3.Marshal",
            "gopkg.in/yaml.v3/internal.parse",
        ] {
            assert!(is_of(Some(&yaml), name), "{name} of {yaml}");
        }
    }
}
