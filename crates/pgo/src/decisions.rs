//! What the Go compiler decided, from the lines that `go build -gcflags=PKG=-m=2` prints, and what
//! a profile changed about it.
//!
//! The lines are those of cmd/compile/internal/inline (`inlining call to`), …/devirtualize
//! (`devirtualizing`) and …/inline/interleaved, as printed by Go 1.22 to 1.26. Only what names a
//! place in the source is read; thresholds and weights change from run to run and are not.

use std::collections::BTreeSet;

/// One thing that the compiler did at one place.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Decision {
    /// The source file as the compiler names it.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
    /// What was done.
    pub act: Act,
}

/// What the compiler did.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Act {
    /// Put the callee's body in place of the call.
    Inlined {
        /// The callee, as the compiler names it.
        callee: String,
    },
    /// Turned a call through an interface or a function value into a test and a direct call.
    Devirtualised {
        /// The call as written: `dec.Decode`.
        call: String,
        /// The function that is called directly when the test holds.
        callee: String,
    },
}

/// Reads a build's output. Lines of other kinds are passed over.
pub fn parse(output: &str) -> BTreeSet<Decision> {
    output.lines().filter_map(line).collect()
}

fn line(text: &str) -> Option<Decision> {
    // FILE:LINE:COLUMN: MESSAGE, and the file may hold colons itself.
    let (place, message) = text.split_once(": ")?;
    let (rest, column) = place.rsplit_once(':')?;
    let (file, line) = rest.rsplit_once(':')?;
    let act = if let Some(callee) = message.strip_prefix("inlining call to ") {
        Act::Inlined {
            callee: callee.trim().to_owned(),
        }
    } else {
        // "PGO devirtualizing interface call s.Score to (*Mix).Score",
        // "PGO devirtualizing function call f to pkg.name"
        let rest = message.strip_prefix("PGO devirtualizing ")?;
        let (_, rest) = rest.split_once(" call ")?;
        let (call, callee) = rest.split_once(" to ")?;
        Act::Devirtualised {
            call: call.trim().to_owned(),
            callee: callee.trim().to_owned(),
        }
    };
    Some(Decision {
        file: file.to_owned(),
        line: line.parse().ok()?,
        column: column.parse().ok()?,
        act,
    })
}

/// What one build did and the other did not.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Change {
    /// Done only with the profile.
    pub gained: BTreeSet<Decision>,
    /// Done only without it.
    pub lost: BTreeSet<Decision>,
}

impl Change {
    /// From the decisions of a build without a profile to those of one with it.
    pub fn between(without: &BTreeSet<Decision>, with: &BTreeSet<Decision>) -> Self {
        Self {
            gained: with.difference(without).cloned().collect(),
            lost: without.difference(with).cloned().collect(),
        }
    }

    /// The calls that became direct because of the profile.
    pub fn devirtualised(&self) -> impl Iterator<Item = &Decision> {
        self.gained
            .iter()
            .filter(|decision| matches!(decision.act, Act::Devirtualised { .. }))
    }

    /// The calls that were inlined because of the profile.
    pub fn inlined(&self) -> impl Iterator<Item = &Decision> {
        self.gained
            .iter()
            .filter(|decision| matches!(decision.act, Act::Inlined { .. }))
    }
}

impl std::fmt::Display for Decision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: ", self.file, self.line)?;
        match &self.act {
            Act::Inlined { callee } => write!(f, "{callee} inlined"),
            Act::Devirtualised { call, callee } => write!(f, "{call} calls {callee} directly"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITHOUT: &str = "# probelab.dev/x\n\
        ./a.go:10:12: inlining call to min\n\
        ./a.go:30:7: inlining call to small\n\
        ./a.go:11:6: cannot inline next: function too complex: cost 106 exceeds budget 80\n";
    const WITH: &str = "# probelab.dev/x\n\
        ./a.go:10:12: inlining call to min\n\
        ./a.go:11:6: can inline next with cost 106 as: func() int { return 1 }\n\
        ./a.go:20:13: inlining call to next\n\
        ./a.go:21:9: PGO devirtualizing interface call s.Score to (*Mix).Score\n\
        ./a.go:22:3: PGO devirtualizing function call f to add\n";

    fn shown(decisions: impl IntoIterator<Item = Decision>) -> Vec<String> {
        decisions
            .into_iter()
            .map(|decision| decision.to_string())
            .collect()
    }

    #[test]
    fn the_change_is_what_only_one_build_did() {
        let change = Change::between(&parse(WITHOUT), &parse(WITH));
        assert_eq!(
            shown(change.gained.clone()),
            [
                "./a.go:20: next inlined",
                "./a.go:21: s.Score calls (*Mix).Score directly",
                "./a.go:22: f calls add directly",
            ]
        );
        assert_eq!(shown(change.lost.clone()), ["./a.go:30: small inlined"]);
        assert_eq!(
            (change.inlined().count(), change.devirtualised().count()),
            (1, 2)
        );
    }

    #[test]
    fn lines_that_are_no_decision_are_passed_over() {
        for text in [
            "",
            ":",
            "a.go: x",
            "a.go:1: inlining call to f",
            "a.go:x:1: inlining call to f",
            "PGO devirtualizing ",
        ] {
            assert!(parse(text).is_empty(), "{text:?}");
        }
    }
}
