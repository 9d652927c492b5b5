//! Compiles the sampler's kernel side, `crates/goprof-ebpf`, for the feature `sampler`.
//!
//! With the nightly and the bpf-linker that `./lab setup` installs, and into the folder where the labs'
//! BPF objects are compiled, so that `core` is compiled once for all.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

const TARGET: &str = "bpfel-unknown-none";

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("cargo::error={why}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), String> {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_SAMPLER").is_none() {
        return Ok(());
    }
    let source = Path::new("../goprof-ebpf");
    let versions = Path::new("../../versions.env");
    for name in ["src", "Cargo.toml", "Cargo.lock", "build.rs"] {
        println!("cargo::rerun-if-changed={}", source.join(name).display());
    }
    println!("cargo::rerun-if-changed=../labkit-ebpf");
    println!("cargo::rerun-if-changed={}", versions.display());
    println!("cargo::rerun-if-env-changed=PROBELAB_BPF_LINKER");

    let out = PathBuf::from(variable("OUT_DIR")?);
    let shared = target_folder(&out)?.join("bpf");
    let linker = variable("PROBELAB_BPF_LINKER").unwrap_or_else(|_| "bpf-linker".to_owned());
    let nightly = pinned(versions, "BPF_NIGHTLY")?;
    let mut cargo = Command::new("cargo");
    // Which cargo that is depends on who called: the toolchain's own where it is found, else rustup's.
    if let Some(bin) = bin_of(&nightly) {
        let path = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths(std::iter::once(bin.clone()).chain(env::split_paths(&path)))
            .map_err(|error| error.to_string())?;
        cargo = Command::new(bin.join("cargo"));
        cargo.env("PATH", path);
    }
    // What cargo tells a build script is about the crate that this is for.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let keep = ["CARGO_HOME", "CARGO_MAKEFLAGS"].contains(&&*text)
            || ["CARGO_NET_", "CARGO_HTTP_", "CARGO_REGISTR"]
                .iter()
                .any(|prefix| text.starts_with(prefix));
        if text.starts_with("RUSTC") || text == "RUSTFLAGS" || text.starts_with("CARGO") && !keep {
            cargo.env_remove(&name);
        }
    }
    let status = cargo
        .current_dir(source)
        .env("RUSTUP_TOOLCHAIN", nightly)
        .env("CARGO_TARGET_DIR", &shared)
        // Where the registers of the traced program are (aya-build).
        .env("AYA_BPF_TARGET_ARCH", variable("CARGO_CFG_TARGET_ARCH")?)
        .args([
            "build",
            "--quiet",
            "--release",
            "--locked",
            "-Zbuild-std=core",
        ])
        .args(["--target", TARGET, "-Zunstable-options", "--artifact-dir"])
        .arg(&out)
        .args(["--config", &format!("target.{TARGET}.linker={linker:?}")])
        // As the labs' objects, or `core` would be compiled once more.
        .args([
            "--config",
            &format!("target.{TARGET}.rustflags=['-Clink-arg=--btf']"),
        ])
        .args(["--config", "profile.release.strip='none'"])
        .status()
        .map_err(|error| format!("cargo could not be started: {error}"))?;
    if !status.success() {
        return Err(
            "the sampler's kernel side could not be compiled; `./lab setup` installs the Rust nightly \
             and the bpf-linker that it takes, and `. target/setup/env` makes a shell know them"
                .to_owned(),
        );
    }
    Ok(())
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|_| format!("the variable {name} is not set"))
}

/// Where a toolchain's programs are, if rustup has installed it.
fn bin_of(toolchain: &str) -> Option<PathBuf> {
    let home = env::var_os("RUSTUP_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(Path::new(&env::var_os("HOME")?).join(".rustup")))?;
    let host = env::var("HOST").ok()?;
    let bin = home.join(format!("toolchains/{toolchain}-{host}/bin"));
    bin.join("cargo").is_file().then_some(bin)
}

/// Cargo's target folder, from `target/[TRIPLE/]PROFILE/build/PACKAGE/out`.
fn target_folder(out: &Path) -> Result<PathBuf, String> {
    let profile = out.ancestors().nth(3);
    let folder = profile.and_then(Path::parent);
    let triple = variable("TARGET")?;
    match folder {
        Some(folder) if folder.ends_with(triple) => folder.parent(),
        other => other,
    }
    .map(Path::to_path_buf)
    .ok_or_else(|| format!("{} is no folder of cargo's", out.display()))
}

/// What versions.env says of `name`.
fn pinned(file: &Path, name: &str) -> Result<String, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
        .map(str::to_owned)
        .ok_or_else(|| format!("{} does not name {name}", file.display()))
}
