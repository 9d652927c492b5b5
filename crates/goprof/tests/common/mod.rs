//! Builds the Go fixtures that the tests profile.
#![allow(dead_code, reason = "each test file uses its part")]

#[cfg(feature = "sampler")]
pub mod known;
pub mod random;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures/gosym")
        .join(name)
}

pub fn has_go() -> bool {
    let found = Command::new("go").arg("version").output().is_ok();
    if !found {
        eprintln!("skipped: `go` is not on PATH");
    }
    found
}

/// Runs `go ARGS` in the fixture's folder and returns its output, whatever its exit code.
pub fn go(fixture_name: &str, args: &[&str]) -> Output {
    Command::new("go")
        .current_dir(fixture(fixture_name))
        .args(args)
        .env("GOTOOLCHAIN", "local")
        .env("GOWORK", "off")
        .env("CGO_ENABLED", "0")
        .env_remove("GOFLAGS")
        .output()
        .expect("go starts")
}

/// Like [`go`], for commands that must succeed: what it printed, standard error included.
pub fn go_ok(fixture_name: &str, args: &[&str]) -> String {
    let out = go(fixture_name, args);
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    );
    assert!(out.status.success(), "go {args:?} failed:\n{text}");
    text
}

pub fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}
