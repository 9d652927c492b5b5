//! C artifacts: BPF objects by clang, kernel modules by the kernel's own build.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use course::{Arch, Artifact};
use labcheck::machine;

use super::{Builder, Built, Rejected};
use crate::{
    trouble::{OrTrouble as _, Trouble},
    versions,
};

/// Builds a BPF object from one C file.
pub fn bpf(builder: &Builder<'_>, artifact: &Artifact) -> Built<PathBuf> {
    let source = builder.tree.join(&artifact.path);
    let object = builder.out.join(format!("{}.bpf.o", artifact.name));
    let mut clang = Command::new(clang_name());
    clang
        .args([
            "-g",
            "-O2",
            "-Wall",
            "-Werror=implicit-function-declaration",
            "-target",
            "bpf",
        ])
        .arg(format!("-D__TARGET_ARCH_{}", builder.arch.kernel()))
        // <asm/types.h> and its like: Debian keeps them in a folder by architecture. What BPF programs
        // want of them is the same for all.
        .arg(format!("-I/usr/include/{}-linux-gnu", Arch::HERE))
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
    let release = machine::release();
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
pub fn clang_name() -> OsString {
    if let Some(found) = env::var_os("PROBELAB_CLANG") {
        return found;
    }
    let pinned = format!("clang-{}", versions::pinned("CLANG"));
    if machine::on_path(&pinned).is_some() {
        pinned.into()
    } else {
        "clang".into()
    }
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
    let broken = |help: &str| {
        Err(Trouble::infrastructure(
            format!("{name} failed:\n{}", text.trim_end()),
            help,
        ))
    };
    let Some(&first) = errors.first() else {
        return broken("this is not about your code; `lab doctor` looks at the tools");
    };
    if let Some(header) = text.lines().nth(first).and_then(missing_header)
        && uses(&builder.lab.dir, header)
    {
        return broken("the lab's own files need that header; `./lab setup` installs it");
    }
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

/// The header that could not be found, if that is what an error says.
fn missing_header(error: &str) -> Option<&str> {
    let (_, rest) = error.split_once("fatal error: '")?;
    rest.strip_suffix("' file not found")
}

/// Whether a C file of the lab, as it is handed out, includes `header`.
fn uses(folder: &Path, header: &str) -> bool {
    let includes = |file: &Path| {
        fs::read_to_string(file).is_ok_and(|text| {
            text.lines()
                .any(|line| line.starts_with("#include") && line.contains(header))
        })
    };
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .any(|path| {
            if path.is_dir() {
                uses(&path, header)
            } else {
                path.extension()
                    .is_some_and(|kind| kind == "c" || kind == "h")
                    && includes(&path)
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_the_lab_itself_needs_is_not_the_learners_to_find() {
        let lab = tempfile::tempdir().expect("a folder");
        fs::create_dir(lab.path().join("bpf")).expect("a folder");
        fs::write(
            lab.path().join("bpf/opens.bpf.c"),
            "#include <bpf/bpf_helpers.h>\n",
        )
        .expect("a file");
        let named = |error| missing_header(error).map(|header| uses(lab.path(), header));
        assert_eq!(
            named("my/x/bpf/opens.bpf.c:2:10: fatal error: 'bpf/bpf_helpers.h' file not found"),
            Some(true)
        );
        assert_eq!(
            named("my/x/bpf/opens.bpf.c:2:10: fatal error: 'bpf/bpf_helper.h' file not found"),
            Some(false)
        );
        assert_eq!(
            named("opens.bpf.c:3:1: error: unknown type name 'u33'"),
            None
        );
    }
}
