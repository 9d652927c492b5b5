//! Whether a profile is of the program that a service's others are of.
//!
//! Every Go program has the runtime and much of the standard library, so only the program's own
//! functions tell: those of modules, and of package main.

use std::collections::HashSet;

use goprof::Edges;

/// A profile is set apart where less than this part of the weight on its own functions is on calls from or
/// to functions that the service is known to have. Two programs share `main.main` and a few libraries;
/// two versions of one, and two phases of its work, share more. A rule of thumb.
pub const KIN: f64 = 0.1;
/// Where less than this part of all weight is on own functions, they tell nothing.
const ENOUGH: f64 = 0.02;

/// What stands for a function's name: the first eight bytes of its BLAKE3.
pub fn name_key(name: &str) -> u64 {
    let hash = blake3::hash(name.as_bytes());
    u64::from_le_bytes(hash.as_bytes()[..8].try_into().unwrap_or_default())
}

/// The own functions of a profile.
pub fn own_names(edges: &Edges) -> impl Iterator<Item = u64> {
    let edges = edges.by_weight().into_iter();
    edges
        .flat_map(|(edge, _)| [edge.caller.as_str(), edge.callee.as_str()])
        .filter(|name| is_own(name))
        .map(name_key)
}

/// The part of the weight on own functions that is on `known` ones; `None` where that tells nothing.
pub fn share_known(edges: &Edges, known: &HashSet<u64>) -> Option<f64> {
    let (mut own, mut shared) = (0.0, 0.0);
    for (edge, weight) in edges.by_weight() {
        let mut names = [edge.caller.as_str(), edge.callee.as_str()]
            .into_iter()
            .filter(|name| is_own(name))
            .peekable();
        if names.peek().is_some() {
            own += weight as f64;
            if names.any(|name| known.contains(&name_key(name))) {
                shared += weight as f64;
            }
        }
    }
    let enough = own > ENOUGH * edges.total() as f64;
    enough.then(|| shared / own)
}

/// Whether the linker's name is of a function outside of Go's standard library.
fn is_own(name: &str) -> bool {
    // Type arguments and receivers may hold anything.
    let path = name.split(['[', '(']).next().unwrap_or_default();
    let first = match path.split_once('/') {
        Some((first, _)) => first,
        None => path.split('.').next().unwrap_or_default(),
    };
    // `type:.eq.…` is what the compiler makes; C has no packages.
    !first.is_empty() && !first.contains(':') && path.contains('.') && !STANDARD.contains(&first)
}

/// The first elements of the paths of the standard library's packages (`go list std`, Go 1.26), with
/// those that the linker adds.
const STANDARD: &[&str] = &[
    "archive",
    "arena",
    "bufio",
    "builtin",
    "bytes",
    "cmp",
    "compress",
    "container",
    "context",
    "crypto",
    "database",
    "debug",
    "embed",
    "encoding",
    "errors",
    "expvar",
    "flag",
    "fmt",
    "go",
    "hash",
    "html",
    "image",
    "index",
    "internal",
    "io",
    "iter",
    "log",
    "maps",
    "math",
    "mime",
    "net",
    "os",
    "path",
    "plugin",
    "reflect",
    "regexp",
    "runtime",
    "simd",
    "slices",
    "sort",
    "strconv",
    "strings",
    "structs",
    "sync",
    "syscall",
    "testing",
    "text",
    "time",
    "unicode",
    "unique",
    "unsafe",
    "vendor",
    "weak",
];

#[cfg(test)]
mod tests {
    use goprof::Edge;

    use super::*;

    fn edges(calls: &[(&str, &str, i64)]) -> Edges {
        let calls = calls.iter();
        calls
            .map(|(caller, callee, weight)| (Edge::new(caller, 1, callee), *weight))
            .collect()
    }

    #[test]
    fn own_functions_are_told_from_the_standard_library() {
        for name in [
            "main.run",
            "main.(*T).run",
            "github.com/a/b.F",
            "gopkg.in/yaml%2ev3.F",
            "probelab.dev/eventstore/internal/log.Append",
            "main.Map[go.shape.int]",
        ] {
            assert!(is_own(name), "{name}");
        }
        for name in [
            "",
            "runtime.mallocgc",
            "encoding/json.(*Decoder).Decode",
            "slices.SortFunc[go.shape.struct { main.x int }]",
            "type:.eq.main.T",
            "vendor/golang.org/x/net/http2.F",
            "memcpy",
            "internal/runtime/maps.(*Map).getWithKey",
        ] {
            assert!(!is_own(name), "{name}");
        }
    }

    #[test]
    fn go_itself_lists_no_other_package() {
        let Ok(output) = std::process::Command::new("go")
            .args(["list", "std"])
            .output()
        else {
            eprintln!("skipped: `go` is not on PATH");
            return;
        };
        let listed = String::from_utf8_lossy(&output.stdout);
        for package in listed.lines() {
            let name = format!("{package}.F");
            assert!(!is_own(&name), "{package} is in the standard library");
        }
        assert!(listed.lines().count() > 100, "{listed}");
    }

    #[test]
    fn another_program_shares_little_and_a_new_version_much() {
        let known: HashSet<u64> = own_names(&edges(&[
            ("main.main", "shop.dev/a.Sell", 1),
            ("shop.dev/a.Sell", "shop.dev/a.price", 1),
        ]))
        .collect();
        let changed = edges(&[
            ("main.main", "shop.dev/a.Sell", 10),
            ("shop.dev/a.Sell", "shop.dev/a.price", 60),
            ("shop.dev/a.Sell", "shop.dev/a.discount", 30),
            ("runtime.mallocgc", "runtime.nextFree", 500),
        ]);
        assert_eq!(share_known(&changed, &known), Some(1.0));
        let other = edges(&[
            ("main.main", "mail.dev/send.Run", 5),
            ("mail.dev/send.Run", "mail.dev/send.one", 95),
            ("runtime.mallocgc", "runtime.nextFree", 500),
        ]);
        assert_eq!(share_known(&other, &known), Some(0.05));
        let idle = edges(&[
            ("runtime.mallocgc", "runtime.nextFree", 500),
            ("main.main", "mail.dev/send.Run", 1),
        ]);
        assert_eq!(share_known(&idle, &known), None);
    }
}
