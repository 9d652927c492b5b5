//! `lab vm`.

use std::fs;

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
        Vm::Kernels { fetch, refresh } => kernels(site, fetch.as_deref(), refresh),
    }
}

fn kernels(site: &Site, fetch: Option<&str>, refresh: bool) -> Outcome {
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
        vm::kernels(site, wanted)?;
    }
    let lock = Lock::read(&file)?;
    let store = Store::default();
    let arch = std::env::consts::ARCH;
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
