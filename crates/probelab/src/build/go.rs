//! Go programs, with the pinned toolchain, which the go command fetches itself.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use course::Artifact;

use super::{Builder, Built, Rejected};
use crate::{
    trouble::{OrTrouble as _, Trouble},
    versions,
};

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
        .args(["build", &format!("-pgo={profile}")])
        .args(
            artifact
                .ldflags
                .as_ref()
                .map(|flags| format!("-ldflags={flags}")),
        )
        .arg("-o")
        .arg(&program)
        .arg(artifact.package.as_deref().unwrap_or("."))
        .env("GOARCH", builder.arch.debian())
        .output()
        .or_infrastructure(|| "cannot start go: `./lab setup` installs it".to_owned())?;
    if output.status.success() {
        return Ok(Ok(program));
    }
    let text = builder.learner_paths(&String::from_utf8_lossy(&output.stderr));
    let errors: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let about_the_learners = |line: &&&str| {
        let source = folder.starts_with(&builder.tree) && names_a_place(line);
        let profile = artifact.pgo.as_ref().is_some_and(|profile| {
            builder.lab.edit.contains(profile) && line.contains(&*profile.to_string_lossy())
        });
        source || profile
    };
    match errors.iter().find(about_the_learners) {
        Some(first) => Ok(Err(Rejected {
            first_error: (*first).to_owned(),
            count: errors.iter().filter(about_the_learners).count(),
        })),
        None => Err(Trouble::infrastructure(
            format!("go could not build {}:\n{}", artifact.name, text.trim_end()),
            "this is not about your code; `lab doctor` looks at the tools",
        )),
    }
}

/// Whether a message begins with a place in a Go file: `./main.go:3:5: …`.
fn names_a_place(line: &str) -> bool {
    line.split_once(".go:").is_some_and(|(file, rest)| {
        !file.contains(' ') && rest.starts_with(|c: char| c.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_told_from_a_failure_of_the_tools() {
        for (line, expected) in [
            ("./main.go:3:5: undefined: greet", true),
            ("my/greet/work/work.go:12:1: syntax error", true),
            ("main.go:4:2: package nosuch is not in std", true),
            ("go: cannot find GOROOT directory: /nonexistent", false),
            ("write $WORK/b001/_pkg_.a: no space left on device", false),
            ("go: downloading go1.26.0 (linux/amd64)", false),
        ] {
            assert_eq!(names_a_place(line), expected, "{line}");
        }
    }
}
