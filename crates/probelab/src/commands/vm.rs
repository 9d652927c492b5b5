//! `lab vm`.

use std::{fs, path::Path, process::Command};

use course::Arch;
use labvm::kernels::{self, Lock, Store};

use crate::{
    cli::Vm,
    site::Site,
    trouble::{Exit, OrTrouble as _, Outcome},
    vm,
};

/// Runs the command.
pub fn run(site: &Site, command: Vm) -> Outcome {
    match command {
        Vm::Kernels {
            fetch,
            arch,
            refresh,
        } => kernels(site, fetch.as_deref(), arch, refresh),
        Vm::VagrantTest { keep, directory } => vagrant_test(site, keep, directory.as_deref()),
    }
}

/// The script does it all, since it is about other programs: it says what they need and what is missing.
fn vagrant_test(site: &Site, keep: bool, directory: Option<&Path>) -> Outcome {
    let script = site.root.join("ci/vagrant-test");
    let status = Command::new(&script)
        .args(keep.then_some("--keep"))
        .args(directory)
        .status()
        .or_infrastructure(|| format!("cannot run {}", script.display()))?;
    Ok(match status.code() {
        Some(0) => Exit::Pass,
        Some(3) | None => Exit::Infrastructure,
        Some(_) => Exit::Fail,
    })
}

fn kernels(site: &Site, fetch: Option<&str>, arch: Arch, refresh: bool) -> Outcome {
    let file = site.root.join(kernels::LOCK);
    if refresh {
        let lock = Lock::resolve(|what| errln!("asking for {what} …"))?;
        let text = lock.text()?;
        // Beside it and renamed: never half a lock.
        let aside = file.with_extension("new");
        fs::write(&aside, text)
            .and_then(|()| fs::rename(&aside, &file))
            .or_infrastructure(|| format!("cannot write {}", file.display()))?;
    }
    if let Some(wanted) = fetch {
        vm::kernels(site, wanted, arch)?;
    }
    let lock = Lock::read(&file)?;
    let store = Store::default();
    outln!(
        "{:<6} {:<10} {:<14} {:>6}",
        "kernel",
        "Debian",
        "version",
        "MB"
    );
    for kernel in lock.of(arch) {
        let bytes: u64 = kernel.package.iter().map(|package| package.size).sum();
        let version = kernel
            .package
            .first()
            .map_or("", |package| &package.version);
        outln!(
            "{:<6} {:<10} {version:<14} {:>6}  {}",
            kernel.name,
            kernel.suite,
            bytes / 1_000_000,
            if store.has(kernel) {
                "here"
            } else {
                "fetched when it is asked for"
            }
        );
    }
    Ok(Exit::Pass)
}
