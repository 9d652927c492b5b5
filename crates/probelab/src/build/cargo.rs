//! Rust artifacts: user-space programs with the pinned stable toolchain, BPF objects with the
//! pinned nightly and a `core` of their own.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use cargo_metadata::{
    Message,
    diagnostic::{Diagnostic, DiagnosticLevel},
};
use course::{Arch, Artifact, ArtifactKind};

use super::{Builder, Built, Rejected};
use crate::{
    site::Site,
    trouble::{OrTrouble as _, Outcome, Trouble},
    versions,
};

/// The target triple of BPF objects: little-endian, as x86-64 and arm64 are.
const BPF_TARGET: &str = "bpfel-unknown-none";

/// Builds a user-space program.
pub fn user(builder: &Builder<'_>, artifact: &Artifact) -> Built<PathBuf> {
    let mut cargo = cargo(builder, artifact, versions::stable())?;
    cargo.env("CARGO_TARGET_DIR", builder.shared("learner"));
    // Dependencies are compiled once and used often; a learner's own code is compiled often.
    cargo
        .env("CARGO_PROFILE_DEV_OPT_LEVEL", "1")
        .env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only")
        .env("CARGO_ENCODED_RUSTFLAGS", rustflags(builder.arch));
    // Of a program's 13 MB eleven are debug information and names, and it is copied for
    // each run, into virtual machines too. Only a program that profiles itself has a use for it.
    let loads_bpf = builder
        .lab
        .artifacts
        .iter()
        .any(|artifact| matches!(artifact.kind, ArtifactKind::BpfRust | ArtifactKind::BpfC));
    if loads_bpf {
        cargo.env("CARGO_PROFILE_DEV_STRIP", "symbols");
    }
    cargo.arg("build");
    if builder.arch != Arch::HERE {
        cross(&mut cargo, builder.arch, "gnu");
    }
    finish(builder, artifact, cargo)
}

/// A profiler that unwinds the stack from a signal wants a table for every instruction; on arm64 it
/// otherwise runs into the void each time, and with it still now and then (pprof-rs, issue 75).
fn rustflags(arch: Arch) -> String {
    let mut flags = "-Cforce-unwind-tables=yes".to_owned();
    if arch != Arch::HERE {
        let libraries = labvm::sysroot::folder(arch).join(format!("usr/lib/{arch}-linux-gnu"));
        // The separator that cargo wants (CARGO_ENCODED_RUSTFLAGS).
        flags += &format!("\x1f-Lnative={}", libraries.display());
    }
    flags
}

/// Has cargo build for another architecture, with Debian's cross compiler for what is in C and for
/// linking.
fn cross(cargo: &mut Command, arch: Arch, libc: &str) {
    let target = format!("{arch}-unknown-linux-{libc}");
    let gcc = cross_compiler(arch);
    let upper = target.to_uppercase().replace('-', "_");
    cargo
        .args(["--target", &target])
        .env(format!("CARGO_TARGET_{upper}_LINKER"), &gcc)
        .env(format!("CC_{}", target.replace('-', "_")), &gcc);
}

/// gcc for another architecture, from the package of that name on Debian.
pub fn cross_compiler(arch: Arch) -> String {
    format!("{arch}-linux-gnu-gcc")
}

/// Builds `lab` itself for another architecture: a virtual machine's first process.
pub fn program(site: &Site, arch: Arch) -> Outcome<PathBuf> {
    let mut cargo = toolchain_command(versions::stable());
    cargo.current_dir(&site.root).stdin(Stdio::null()).args([
        "build",
        "--quiet",
        "--release",
        "--package",
        "probelab",
    ]);
    cross(&mut cargo, arch, "musl");
    let output = cargo
        .output()
        .or_infrastructure(|| "cannot start cargo".to_owned())?;
    if !output.status.success() {
        return Err(Trouble::infrastructure(
            format!(
                "lab could not be built for {arch}:\n{}",
                String::from_utf8_lossy(&output.stderr).trim_end()
            ),
            format!(
                "it takes {} and Rust's target {arch}-unknown-linux-musl: `./lab setup --all` installs both",
                cross_compiler(arch)
            ),
        ));
    }
    Ok(site
        .target()
        .join(format!("{arch}-unknown-linux-musl/release/lab")))
}

/// Builds a BPF object.
pub fn bpf(builder: &Builder<'_>, artifact: &Artifact) -> Built<PathBuf> {
    let folder = builder.tree.join(&artifact.path);
    let package = package_name(&folder)?;
    let mut cargo = cargo(builder, artifact, versions::pinned("BPF_NIGHTLY"))?;
    cargo
        .env("CARGO_TARGET_DIR", builder.shared("bpf"))
        // Where the registers of the traced program are (aya-build).
        .env("AYA_BPF_TARGET_ARCH", builder.arch.word());
    cargo.args([
        "build",
        "--release",
        "-Zbuild-std=core",
        "--target",
        BPF_TARGET,
    ]);
    // Debug information becomes BTF, which gives source lines in verifier logs. The lab's own
    // crate has it and `core` has not: reading that is most of the linker's time.
    // aya-ebpf has it too, and is small: it defines memset, memcpy and memmove, and the kernel wants
    // BTF for all of a program's functions or for none.
    cargo
        .env("CARGO_PROFILE_RELEASE_DEBUG", "false")
        .env("CARGO_PROFILE_RELEASE_STRIP", "none")
        .arg("--config")
        .arg(format!("profile.release.package.{package}.debug=2"))
        .args(["--config", "profile.release.package.aya-ebpf.debug=2"])
        .arg("--config")
        .arg(format!(
            "target.{BPF_TARGET}.rustflags=['-Clink-arg=--btf']"
        ));
    let linker = crate::link::path(&builder.site.target())
        .or_infrastructure(|| "cannot make a link to this program".to_owned())?;
    cargo.arg("--config").arg(format!(
        "target.{BPF_TARGET}.linker={:?}",
        linker.display().to_string()
    ));
    finish(builder, artifact, cargo)
}

/// Puts the lock file of all labs beside the artifact, so that every lab shares the same compiled
/// dependencies. Cargo then takes out of it what this package does not use, so whether it is that of
/// all labs as they are now is written down.
fn share_lock_file(builder: &Builder<'_>, artifact: &Artifact, folder: &Path) -> Outcome<()> {
    let locked = builder.site.root.join("labs/Cargo.lock");
    let (here, stamp) = (
        folder.join("Cargo.lock"),
        builder.out.join(format!("{}.lock-file", artifact.name)),
    );
    let bytes = fs::read(&locked)
        .or_infrastructure(|| format!("cannot read {}", builder.site.shown(&locked)))?;
    let hash = blake3::hash(&bytes).to_hex();
    if here.exists() && fs::read(&stamp).is_ok_and(|old| old == hash.as_bytes()) {
        return Ok(());
    }
    fs::write(&here, bytes)
        .and_then(|()| fs::write(&stamp, hash.as_bytes()))
        .or_infrastructure(|| format!("cannot write {}", here.display()))
}

/// A `cargo` of `toolchain` in the artifact's folder. Variables that would compile dependencies in
/// another way, and so again, are left out; of a user's own cargo configuration all counts but flags for
/// rustc.
fn cargo(builder: &Builder<'_>, artifact: &Artifact, toolchain: &str) -> Outcome<Command> {
    let folder = builder.tree.join(&artifact.path);
    share_lock_file(builder, artifact, &folder)?;
    fetch(builder)?;
    let mut cargo = toolchain_command(toolchain);
    cargo.current_dir(&folder).stdin(Stdio::null());
    cargo
        .env("CARGO_NET_OFFLINE", "true")
        .env("CARGO_TERM_COLOR", "never");
    Ok(cargo)
}

/// `cargo` of a toolchain, called directly where it can be found: rustup's stand-in costs each
/// call of cargo and rustc some 20 ms.
fn toolchain_command(toolchain: &str) -> Command {
    let home = env::var_os("RUSTUP_HOME")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".rustup")));
    let arch = Arch::HERE;
    let bin = home.map(|home| {
        home.join(format!(
            "toolchains/{toolchain}-{arch}-unknown-linux-gnu/bin"
        ))
    });
    let mut command = match &bin {
        Some(bin) if bin.join("cargo").is_file() => {
            let mut command = Command::new(bin.join("cargo"));
            let path = env::var_os("PATH").unwrap_or_default();
            if let Ok(path) =
                env::join_paths(std::iter::once(bin.clone()).chain(env::split_paths(&path)))
            {
                command.env("PATH", path);
            }
            command
        }
        _ => Command::new("cargo"),
    };
    command.env("RUSTUP_TOOLCHAIN", toolchain);
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        // What would change how dependencies are compiled, and so compile them again.
        if [
            "RUSTFLAGS",
            "CARGO_ENCODED_RUSTFLAGS",
            "RUSTC",
            "RUSTC_WRAPPER",
            "CARGO_TARGET_DIR",
        ]
        .contains(&&*name)
            || name.starts_with("CARGO_PROFILE_")
            || name.starts_with("CARGO_BUILD_")
        {
            command.env_remove(&*name);
        }
    }
    command
}

/// Downloads what all labs depend on, once for each content of the lock file.
fn fetch(builder: &Builder<'_>) -> Outcome<()> {
    let site = builder.site;
    let manifest = site.root.join("labs/Cargo.toml");
    let lock = fs::read(site.root.join("labs/Cargo.lock"))
        .or_infrastructure(|| "cannot read labs/Cargo.lock".to_owned())?;
    let key = format!(
        "{} {}",
        blake3::hash(&lock),
        versions::pinned("BPF_NIGHTLY")
    );
    let stamp = builder.shared("fetched");
    if fs::read_to_string(&stamp).is_ok_and(|old| old == key) {
        return Ok(());
    }
    let output = toolchain_command(versions::pinned("BPF_NIGHTLY"))
        .args([
            "fetch",
            "--locked",
            "-Zbuild-std=core",
            "--target",
            BPF_TARGET,
        ])
        // The target of programs too: its dependencies differ.
        .args(["--target", &format!("{}-unknown-linux-gnu", builder.arch)])
        .arg("--manifest-path")
        .arg(&manifest)
        .stdin(Stdio::null())
        .output()
        .or_infrastructure(|| "cannot start cargo".to_owned())?;
    if !output.status.success() {
        return Err(Trouble::infrastructure(
            format!(
                "the labs' dependencies could not be downloaded:\n{}",
                String::from_utf8_lossy(&output.stderr).trim_end()
            ),
            "check the network, or run `./lab setup` again where there is one",
        ));
    }
    fs::write(&stamp, key).or_infrastructure(|| "cannot record the download".to_owned())
}

/// Makes cargo compile the artifact's own package again.
///
/// Cargo names a package's build by its path relative to its workspace, which here is the tree, so
/// all variants of a lab are one package to it; and it takes a package for built when no source is
/// newer than the last build, which may have been another variant's. We build only what our own
/// key says has changed, so nothing is compiled in vain.
fn renew(folder: &Path) -> std::io::Result<()> {
    let now = std::time::SystemTime::now();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            renew(&path)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            fs::File::options()
                .append(true)
                .open(&path)?
                .set_modified(now)?;
        }
    }
    Ok(())
}

/// Runs the build; finds the program among cargo's messages, or the first error.
fn finish(builder: &Builder<'_>, artifact: &Artifact, mut cargo: Command) -> Built<PathBuf> {
    renew(&builder.tree.join(&artifact.path))
        .or_infrastructure(|| format!("cannot renew the files of {}", artifact.name))?;
    if let Some(package) = &artifact.package {
        cargo.args(["--package", package]);
    }
    if let Some(bin) = &artifact.bin {
        cargo.args(["--bin", bin]);
    }
    let output = cargo
        .arg("--message-format=json")
        .output()
        .or_infrastructure(|| {
            "cannot start cargo: is Rust installed? `./lab setup` installs it".to_owned()
        })?;
    let mut errors = Vec::new();
    let mut program = None;
    for message in Message::parse_stream(output.stdout.as_slice()).flatten() {
        match message {
            Message::CompilerMessage(message)
                if message.message.level == DiagnosticLevel::Error
                    && message.target.src_path.starts_with(&builder.tree)
                    && is_about_code(&message.message) =>
            {
                errors.push(message.message);
            }
            Message::CompilerArtifact(found) => program = found.executable.or(program),
            _ => {}
        }
    }
    if output.status.success() {
        return program
            .map(|program| Ok(program.into_std_path_buf()))
            .ok_or_else(|| {
                Trouble::infrastructure(format!("building {} gave no program", artifact.name), "")
            });
    }
    match errors.first() {
        Some(first) => {
            let text = first.rendered.as_deref().unwrap_or(&first.message);
            // Paths are relative to the package; learners know them from their own folder.
            let folder = Path::new(&builder.shown_as).join(&artifact.path);
            let folder = folder.to_string_lossy().trim_end_matches("/.").to_owned();
            let text = builder
                .learner_paths(text)
                .replace("--> src/", &format!("--> {folder}/src/"));
            Ok(Err(Rejected {
                first_error: text.trim_end().to_owned(),
                count: errors.len(),
            }))
        }
        None => Err(Trouble::infrastructure(
            format!(
                "cargo could not build {}:\n{}",
                artifact.name,
                String::from_utf8_lossy(&output.stderr).trim_end()
            ),
            "this is not about your code; `lab doctor` looks at the tools",
        )),
    }
}

/// Whether an error is about what somebody wrote, rather than about the machine. It has a place in
/// the source then, or comes from a linker that ran. (The summary, "aborting due to …", has no place
/// either.)
fn is_about_code(error: &Diagnostic) -> bool {
    let linked = error.message.starts_with("linking with ");
    let started = !error
        .children
        .iter()
        .any(|note| note.message.contains(crate::link::NOT_STARTED));
    !error.spans.is_empty() || linked && started
}

/// `name` of a package's Cargo.toml.
fn package_name(folder: &Path) -> Outcome<String> {
    let manifest = folder.join("Cargo.toml");
    let text = fs::read_to_string(&manifest)
        .or_infrastructure(|| format!("cannot read {}", manifest.display()))?;
    text.lines()
        .find_map(|line| {
            line.strip_prefix("name")?
                .trim_start()
                .strip_prefix('=')
                .map(|rest| rest.trim().trim_matches('"').to_owned())
        })
        .ok_or_else(|| {
            Trouble::infrastructure(format!("{} names no package", manifest.display()), "")
        })
}
