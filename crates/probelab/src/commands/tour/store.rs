//! The event store, built.

use std::{collections::BTreeSet, path::Path};

use pgo::decisions::{self, Decision};

use crate::{
    build::go,
    site::Site,
    trouble::{OrTrouble as _, Outcome, Trouble},
};

const MODULE: &str = "go-samples/eventstore";
/// Packages whose decisions are told: the service's own.
const OWN: &str = "probelab.dev/go-samples/eventstore/...";

/// Builds a program of the event store; returns what the compiler decided in its own packages.
/// # Errors
/// When go is missing, or refuses.
pub fn build(
    site: &Site,
    package: &str,
    to: &Path,
    profile: Option<&Path>,
) -> Outcome<BTreeSet<Decision>> {
    let pgo = profile.map_or_else(
        || "-pgo=off".into(),
        |profile| format!("-pgo={}", profile.display()),
    );
    let output = go::command()
        .current_dir(site.root.join(MODULE))
        .arg("build")
        .arg(pgo)
        // The account costs no code: the program is the same with and without it.
        .arg(format!("-gcflags={OWN}=-m=2"))
        .arg("-o")
        .arg(to)
        .arg(package)
        .output()
        .or_infrastructure(|| "cannot start go: `./lab setup` installs it".to_owned())?;
    let account = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        let first = account
            .lines()
            .find(|line| !line.starts_with('#'))
            .unwrap_or_default();
        return Err(Trouble::infrastructure(
            format!("{package} does not build: {first}"),
            "see `lab doctor`",
        ));
    }
    Ok(decisions::parse(&account))
}
