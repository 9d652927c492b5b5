//! Go programs, with the pinned toolchain, which the go command fetches itself.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use course::Artifact;

use super::{Builder, Built, Rejected};
use crate::{trouble::OrTrouble as _, versions};

/// A go command that uses the pinned toolchain and leaves go.mod as it is.
pub fn command() -> Command {
    // The launcher may have found, or fetched, a go that is not on the search path.
    let mut go = Command::new(std::env::var_os("PROBELAB_GO").unwrap_or_else(|| "go".into()));
    go.env("GOTOOLCHAIN", format!("go{}", versions::pinned("GO")))
        .env("GOFLAGS", "-mod=readonly")
        .env_remove("GOEXPERIMENT");
    go.stdin(Stdio::null());
    go
}

/// Builds a main package. Without a profile PGO is off, so that a stray `default.pgo` changes nothing.
pub fn build(builder: &Builder<'_>, artifact: &Artifact) -> Built<PathBuf> {
    let folder = builder.place(&artifact.path);
    let program = builder.out.join(format!("{}.bin", artifact.name));
    let profile = artifact.pgo.as_ref().map_or_else(
        || "off".to_owned(),
        |profile| builder.place(profile).display().to_string(),
    );
    let output = command()
        .current_dir(&folder)
        .args(["build", &format!("-pgo={profile}"), "-o"])
        .arg(&program)
        .arg(artifact.package.as_deref().unwrap_or("."))
        .output()
        .or_infrastructure(|| "cannot start go: `./lab setup` installs it".to_owned())?;
    if output.status.success() {
        return Ok(Ok(program));
    }
    let text = builder.learner_paths(&String::from_utf8_lossy(&output.stderr));
    let errors: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    Ok(Err(Rejected {
        first_error: errors.first().copied().unwrap_or_default().to_owned(),
        count: errors.len(),
    }))
}
