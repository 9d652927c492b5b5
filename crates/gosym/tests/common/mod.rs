//! Builds the Go fixtures that the tests read.
#![allow(dead_code, reason = "each test file uses its part")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// One way to build a fixture.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mode {
    pub name: &'static str,
    pub flags: &'static [&'static str],
    pub ldflags: &'static str,
    pub arch: &'static str,
    /// Needs a C compiler to link.
    pub external: bool,
}

/// The checkout.
pub fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().expect("the checkout")
}

pub fn fixture(name: &str) -> PathBuf {
    root().join("fixtures/gosym").join(name)
}

pub fn has(tool: &str) -> bool {
    let found = Command::new(tool).arg("version").output().is_ok();
    if !found {
        eprintln!("skipped: `{tool}` is not on PATH");
    }
    found
}

/// Toolchains to test with: the installed one, or those in `GOSYM_GO_TOOLCHAINS` (names as in
/// `GOTOOLCHAIN`, separated by spaces; the go command fetches what is missing).
pub fn toolchains() -> Vec<String> {
    match std::env::var("GOSYM_GO_TOOLCHAINS") {
        Ok(list) => list.split_whitespace().map(str::to_owned).collect(),
        Err(_) => vec!["local".to_owned()],
    }
}

pub fn go(dir: &Path, toolchain: &str, args: &[&str], envs: &[(&str, &str)]) -> Output {
    let mut command = Command::new("go");
    command.current_dir(dir).args(args);
    command.env("GOTOOLCHAIN", toolchain).env("GOWORK", "off");
    for name in ["GOFLAGS", "GOARCH", "GOOS"] {
        command.env_remove(name);
    }
    command
        .envs(envs.iter().copied())
        .output()
        .expect("go starts")
}

pub fn build(fixture_name: &str, mode: Mode, toolchain: &str, output: &Path) {
    build_package(&fixture(fixture_name), ".", None, mode, toolchain, output);
}

/// Builds a main package of a module, with files that an overlay adds.
pub fn build_package(
    module: &Path,
    package: &str,
    overlay: Option<&Path>,
    mode: Mode,
    toolchain: &str,
    output: &Path,
) {
    // Go 1.23 began to refuse `linkname` to runtime internals; the flag is unknown before.
    let minor = minor_version(toolchain);
    let allow_linkname = if minor >= 23 { "-checklinkname=0" } else { "" };
    let ldflags = format!("-ldflags={allow_linkname} {}", mode.ldflags);
    let mut args = vec!["build", "-o", output.to_str().expect("UTF-8"), &ldflags];
    args.extend(mode.flags);
    if let Some(overlay) = overlay {
        args.extend(["-overlay", overlay.to_str().expect("UTF-8")]);
    }
    args.push(package);
    let arch = if mode.arch.is_empty() {
        std::env::consts::ARCH
            .replace("x86_64", "amd64")
            .replace("aarch64", "arm64")
    } else {
        mode.arch.to_owned()
    };
    let cgo = if mode.external { "1" } else { "0" };
    let envs = [("GOARCH", arch.as_str()), ("CGO_ENABLED", cgo)];
    let out = go(module, toolchain, &args, &envs);
    assert!(
        out.status.success(),
        "go build of {package} in {} ({}) failed:\n{}",
        module.display(),
        mode.name,
        String::from_utf8_lossy(&out.stderr)
    );
}

pub fn minor_version(toolchain: &str) -> u32 {
    let out = go(Path::new("."), toolchain, &["version"], &[]);
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let number = text.split("go1.").nth(1).and_then(|rest| {
        rest.split(|c: char| !c.is_ascii_digit())
            .next()?
            .parse()
            .ok()
    });
    number.unwrap_or_else(|| panic!("go version printed {text:?}"))
}
