//! `lab pgo check`: what a profile is worth to the compiler.

use std::{fs::File, io::Read as _, path::Path};

use console::style;
use goprof::{Against, Edges, Finding, Severity, pprof::Profile};
use gosym::Binary;
use serde_json::json;

use crate::{
    cli::ListFormat,
    trouble::{Exit, Outcome, Trouble},
};

/// A profile from a file.
fn read(path: &Path) -> Outcome<Profile> {
    let mut bytes = Vec::new();
    // One byte more than is taken: then it is told that it is too large.
    File::open(path)
        .and_then(|file| file.take(goprof::DEFAULT_LIMIT + 1).read_to_end(&mut bytes))
        .map_err(|error| {
            Trouble::usage(
                format!("cannot read {}: {error}", path.display()),
                "give a profile in pprof format",
            )
        })?;
    goprof::read(&bytes).map_err(|error| Trouble::usage(format!("{}: {error}", path.display()), ""))
}

/// What is known of a profile.
pub struct Checked {
    findings: Vec<Finding>,
    edges: Edges,
    profile: Profile,
    against: Option<Against>,
}

/// Runs the command.
pub fn run(path: &Path, program: Option<&Path>, calls: usize, format: ListFormat) -> Outcome {
    let mut checked = Checked::of(read(path)?);
    if let Some(program) = program {
        checked.hold_against(program)?;
    }
    match format {
        ListFormat::Human => checked.show(path, calls),
        ListFormat::Json => {
            let text = serde_json::to_string_pretty(&checked.json(path, calls));
            outln!("{}", text.unwrap_or_default());
        }
    }
    Ok(if checked.is_usable() {
        Exit::Pass
    } else {
        Exit::Fail
    })
}

impl Checked {
    pub fn of(profile: Profile) -> Self {
        let mut checked = Self {
            findings: goprof::check(&profile),
            edges: Edges::of(&profile),
            profile,
            against: None,
        };
        // What a profile could be better in matters once it can be used at all.
        if checked.is_usable() {
            let advice = goprof::advice(&checked.profile, &checked.edges);
            checked.findings.extend(advice);
        }
        checked
    }

    fn hold_against(&mut self, program: &Path) -> Outcome<()> {
        let binary = Binary::open(program).map_err(|error| {
            let what = match error {
                gosym::Error::Open { .. } => error.to_string(),
                _ => format!("{}: {error}", program.display()),
            };
            Trouble::usage(
                what,
                "give a program that `go build` made from the source of today",
            )
        })?;
        let against = Against::of(&self.edges, &binary);
        self.findings.extend(against.finding());
        self.against = Some(against);
        Ok(())
    }

    pub fn is_usable(&self) -> bool {
        self.findings
            .iter()
            .all(|found| found.severity != Severity::Error)
    }

    /// How many calls there are, and how many of them are hot.
    pub fn calls(&self) -> (usize, usize) {
        (self.edges.len(), self.edges.hot().len())
    }

    /// `good`, or what was found, by its names.
    pub fn verdict(&self) -> String {
        let found: Vec<&str> = self.findings.iter().map(|found| found.id).collect();
        match found.is_empty() {
            true => "good".to_owned(),
            false => found.join(", "),
        }
    }

    /// Samples; `None` where the profile does not say what one is.
    fn samples(&self) -> Option<i64> {
        Some(self.profile.weight()? / self.profile.sample_weight()?)
    }

    fn seconds(&self) -> f64 {
        self.profile.duration_nanos as f64 / 1e9
    }

    pub fn show(&self, path: &Path, calls: usize) {
        let samples = self.samples().map_or_else(
            || "samples of unknown weight".to_owned(),
            |samples| format!("{samples} samples"),
        );
        outln!(
            "{}: {samples} in {:.0} s; {} calls, {} of them hot",
            path.display(),
            self.seconds(),
            self.edges.len(),
            self.edges.hot().len()
        );
        if let Some(own) = self.against.as_ref().and_then(|against| against.own) {
            outln!(
                "{:.1} % of the weight is on calls from or to the program's own module",
                own * 100.0
            );
        }
        for found in &self.findings {
            let mark = match found.severity {
                Severity::Error => style("bad ").red(),
                Severity::Warning => style("warn").yellow(),
            };
            outln!("{mark}  {:<15} {}", found.id, found.message);
            outln!("      {:<15} {}", "", found.fix);
        }
        outln!(
            "{}",
            match (self.is_usable(), self.findings.len()) {
                (false, _) => style("Go's compiler can't use it.".to_owned()).red(),
                (true, 0) =>
                    style("Go's compiler can use it: go build -pgo=FILE".to_owned()).green(),
                (true, n) => style(format!(
                    "Go's compiler can use it; {n} thing{} could be better.",
                    if n == 1 { "" } else { "s" }
                ))
                .yellow(),
            }
        );
        let total = self.edges.total() as f64;
        for (at, (edge, weight)) in self.edges.by_weight().into_iter().take(calls).enumerate() {
            if at == 0 {
                outln!("\n weight  call (line counted from the caller's func)");
            }
            outln!(
                "{:>6.2} %  {}:{} → {}",
                weight as f64 / total * 100.0,
                edge.caller,
                edge.offset,
                edge.callee
            );
        }
    }

    fn json(&self, path: &Path, calls: usize) -> serde_json::Value {
        let findings: Vec<_> = self
            .findings
            .iter()
            .map(|found| {
                json!({
                    "id": found.id,
                    "severity": match found.severity {
                        Severity::Error => "error",
                        Severity::Warning => "warning",
                    },
                    "message": found.message,
                    "fix": found.fix,
                })
            })
            .collect();
        let heaviest = self.edges.by_weight().into_iter().take(calls);
        let heaviest: Vec<_> = heaviest
            .map(|(edge, weight)| {
                json!({
                    "caller": edge.caller,
                    "offset": edge.offset,
                    "callee": edge.callee,
                    "weight": weight,
                })
            })
            .collect();
        json!({
            "schema": "probelab/pgo-check/v1",
            "profile": path.display().to_string(),
            "usable": self.is_usable(),
            "samples": self.samples(),
            "seconds": self.seconds(),
            "calls": self.edges.len(),
            "hot": self.edges.hot().len(),
            "weight": self.edges.total(),
            "unseen": goprof::unseen(&self.profile, &self.edges),
            "stale": self.against.as_ref().map(|against| against.stale),
            "own": self.against.as_ref().and_then(|against| against.own),
            "findings": findings,
            "heaviest": heaviest,
        })
    }
}
