//! C artifacts: BPF objects by clang, kernel modules by the kernel's own build.

use std::{
    env, fs,
    path::PathBuf,
    process::{Command, Stdio},
};

use course::Artifact;

use super::{Builder, Built, Rejected};
use crate::{
    trouble::{OrTrouble as _, Trouble},
    versions,
};

/// Builds a BPF object from one C file.
pub fn bpf(builder: &Builder<'_>, artifact: &Artifact) -> Built<PathBuf> {
    let source = builder.tree.join(&artifact.path);
    let object = builder.out.join(format!("{}.bpf.o", artifact.name));
    let arch = match env::consts::ARCH {
        "aarch64" => "arm64",
        "x86_64" => "x86",
        other => other,
    };
    let mut clang = clang();
    clang
        .args([
            "-g",
            "-O2",
            "-Wall",
            "-Werror=implicit-function-declaration",
            "-target",
            "bpf",
        ])
        .arg(format!("-D__TARGET_ARCH_{arch}"))
        // <asm/types.h> and its like: Debian keeps them in a folder by architecture.
        .arg(format!("-I/usr/include/{}-linux-gnu", env::consts::ARCH))
        .arg("-fno-color-diagnostics")
        .arg("-c")
        .arg(&source)
        .arg("-o")
        .arg(&object);
    compile(builder, clang, object)
}

/// The build folder of the running kernel, or `$PROBELAB_KERNEL_BUILD`.
///
/// # Errors
/// What is missing and what to do, in one sentence, where there is none.
pub fn kernel_headers() -> Result<PathBuf, String> {
    let release = rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned();
    let headers = env::var_os("PROBELAB_KERNEL_BUILD").map_or_else(
        || PathBuf::from(format!("/lib/modules/{release}/build")),
        PathBuf::from,
    );
    if headers.join("Makefile").exists() {
        return Ok(headers);
    }
    Err(format!(
        "no kernel headers at {}: install the package linux-headers-{release}, or set \
         PROBELAB_KERNEL_BUILD to a kernel's build folder",
        headers.display()
    ))
}

/// Builds a kernel module against [`kernel_headers`].
pub fn kernel_module(builder: &Builder<'_>, artifact: &Artifact) -> Built<PathBuf> {
    let headers = kernel_headers().map_err(|why| Trouble::infrastructure(why, ""))?;
    // Without a `.` in it, which kbuild would carry into every path that it prints.
    let folder: PathBuf = builder.tree.join(&artifact.path).components().collect();
    let name = fs::read_dir(&folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".c")?.to_owned()))
        .find(|name| !name.ends_with(".mod"))
        .ok_or_else(|| {
            Trouble::infrastructure(format!("{} holds no C file", folder.display()), "")
        })?;
    if !["Kbuild", "Makefile"]
        .iter()
        .any(|file| folder.join(file).exists())
    {
        fs::write(folder.join("Kbuild"), format!("obj-m := {name}.o\n"))
            .or_infrastructure(|| format!("cannot write into {}", folder.display()))?;
    }
    let mut make = Command::new("make");
    make.arg("-C")
        .arg(&headers)
        .arg(format!("M={}", folder.display()))
        .arg("modules");
    compile(builder, make, folder.join(format!("{name}.ko")))
}

/// The clang that the launcher found, else the pinned one, else the distribution's default.
fn clang() -> Command {
    if let Some(found) = env::var_os("PROBELAB_CLANG") {
        return Command::new(found);
    }
    let pinned = format!("clang-{}", versions::pinned("CLANG"));
    let path = env::var_os("PATH").unwrap_or_default();
    let there = env::split_paths(&path).any(|folder| folder.join(&pinned).is_file());
    Command::new(if there { pinned } else { "clang".to_owned() })
}

fn compile(builder: &Builder<'_>, mut compiler: Command, product: PathBuf) -> Built<PathBuf> {
    let name = compiler.get_program().to_string_lossy().into_owned();
    let output = compiler
        .stdin(Stdio::null())
        .output()
        .or_infrastructure(|| format!("cannot start {name}: `./lab setup` installs it"))?;
    if output.status.success() {
        return Ok(Ok(product));
    }
    let text = builder.learner_paths(&String::from_utf8_lossy(&output.stderr));
    let errors: Vec<usize> = text
        .lines()
        .enumerate()
        .filter(|(_, line)| line.contains(" error: "))
        .map(|(at, _)| at)
        .collect();
    let Some(&first) = errors.first() else {
        return Err(Trouble::infrastructure(
            format!("{name} failed:\n{}", text.trim_end()),
            "",
        ));
    };
    // The error with the source lines and notes that follow it.
    let end = errors.get(1).copied().unwrap_or(usize::MAX);
    let shown: Vec<&str> = text
        .lines()
        .take(end)
        .skip(first)
        .filter(|line| !line.contains(" generated."))
        .collect();
    Ok(Err(Rejected {
        first_error: shown.join("\n"),
        count: errors.len(),
    }))
}
