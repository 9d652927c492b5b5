//! What a lab needs of the machine, before anything is built.

use std::env;

use course::{ArtifactKind, Lab, Where};
use labcheck::machine;

use crate::{build, vm::On};

/// What this machine lacks that the lab can't do without.
pub fn lacking(lab: &Lab, on: &On) -> Option<String> {
    let (major, minor) = machine::parse_version(&on.release());
    let native = matches!(on, On::Native);
    if lab.where_ == Where::Vm && native {
        return Some("runs only in a virtual machine: `lab check --on vm`".into());
    }
    if lab.where_ == Where::Host && !native {
        return Some("runs only on this machine itself: `lab check --on native`".into());
    }
    if let Some(needed) = lab.needs.kernel
        && (major, minor) < (needed.major, needed.minor)
    {
        return Some(format!(
            "needs Linux {needed} or newer; this is {major}.{minor}"
        ));
    }
    if lab.needs.btf && native && !machine::has_btf() {
        return Some(
            "needs a kernel that describes its types; /sys/kernel/btf/vmlinux is missing".into(),
        );
    }
    if lab
        .artifacts
        .iter()
        .any(|artifact| artifact.kind == ArtifactKind::Kmod)
    {
        // It is built for the kernel that runs here.
        if !native {
            return Some("has a kernel module, and runs only on this machine itself so far".into());
        }
        if let Err(why) = build::kernel_headers() {
            return Some(why);
        }
    }
    if native
        && let Some(option) = lab
            .needs
            .config
            .iter()
            .find(|option| machine::is_built_with(option) == Some(false))
    {
        return Some(format!("needs a kernel that is built with {option}"));
    }
    if let Some(tool) = lab.needs.tools.iter().find(|tool| !is_there(tool)) {
        return Some(format!(
            "needs the program {tool}, which is not on the search path; `./lab setup --all` installs it"
        ));
    }
    let arch = on.arch();
    if !lab.needs.arch.is_empty() && !lab.needs.arch.contains(&arch) {
        return Some(format!("not for {arch}"));
    }
    None
}

/// Whether a program can be started by its name. The launcher may have found `go` elsewhere.
fn is_there(tool: &str) -> bool {
    (tool == "go" && env::var_os("PROBELAB_GO").is_some()) || machine::on_path(tool).is_some()
}
