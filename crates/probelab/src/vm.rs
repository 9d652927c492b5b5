//! Runs a plan in a virtual machine that is thrown away afterwards. Needs no root.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use labcheck::{plan::Plan, runner, verdict::StepResult};
use labvm::{
    host::{self, Limits, Order},
    initramfs::{self, Contents},
    kernels::{self, Lock, Ready, Store},
    libraries,
    outcome::Outcome as Ending,
    protocol::File,
    qemu::{Accelerator, Machine},
    snapshot::Snapshot,
};

use crate::{
    elevate::{self, Line},
    registry,
    site::{self, Site},
    trouble::{Outcome, Trouble},
};

/// Where a job's files are in a guest.
const JOB: &str = "/job";
/// MiB: twice what a learner's control group may use.
const MEMORY: u32 = 1024;
/// MiB that QEMU takes beside it.
const OVERHEAD: usize = 256;
/// On a machine like the one that these were measured on, without the processor's help.
const LIMITS: Limits = Limits {
    boot: Duration::from_secs(60),
    work: Duration::from_secs(300),
    silence: Duration::from_secs(30),
};

/// Where a lab is checked.
#[derive(Clone, Debug)]
pub enum On {
    /// On this machine.
    Native,
    /// In a virtual machine with this kernel.
    Vm(Ready),
}

impl On {
    /// `native` or `vm`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Vm(_) => "vm",
        }
    }

    /// As `uname -r` says there.
    pub fn release(&self) -> String {
        match self {
            Self::Native => rustix::system::uname()
                .release()
                .to_string_lossy()
                .into_owned(),
            Self::Vm(kernel) => kernel.release.trim().to_owned(),
        }
    }
}

impl From<labvm::Error> for Trouble {
    fn from(error: labvm::Error) -> Self {
        Self::infrastructure(error.message, error.help)
    }
}

/// How many of these machines may run at once: virtual ones as many as there are processors and there
/// is memory for; this one alone.
pub fn at_once(places: &[On]) -> usize {
    if places.iter().any(|on| matches!(on, On::Native)) {
        return 1;
    }
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let available = fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text
            .lines()
            .find(|line| line.starts_with("MemAvailable:"))?;
        line.split_whitespace().nth(1)?.parse::<usize>().ok()
    });
    let room = available.map_or(1, |kib| (kib >> 10) / (MEMORY as usize + OVERHEAD));
    processors.min(room).max(1)
}

/// The kernels that `wanted` names: `newest`, `6.12`, `5.10,6.1`, `all`, or a path.
pub fn kernels(site: &Site, wanted: &str) -> Outcome<Vec<Ready>> {
    let lock = Lock::read(&site.root.join(kernels::LOCK))?;
    let arch = std::env::consts::ARCH;
    let store = Store::default();
    let fetch = |kernel: &kernels::Kernel| -> Outcome<Ready> {
        Ok(store.ready(kernel, |what| errln!("downloading {what} …"))?)
    };
    if wanted == "all" {
        return lock.of(arch).map(fetch).collect();
    }
    wanted
        .split(',')
        .map(|name| {
            if name.contains('/') {
                return Ok(kernels::own(Path::new(name))?);
            }
            fetch(
                lock.find(name, arch)
                    .map_err(|error| Trouble::usage(error.message, error.help))?,
            )
        })
        .collect()
}

/// Runs `plan` on `kernel`. What it can't find out is an error of every step.
pub fn run(site: &Site, plan: &Plan, kernel: &Ready) -> Outcome<Vec<StepResult>> {
    let init = site::this_program().map_err(|error| {
        Trouble::infrastructure(format!("cannot find this program: {error}"), "")
    })?;
    let cache = site.target().join("vm");
    let base = libraries::base(&init)?;
    let contents = Contents {
        init: &init,
        libraries: &base,
        modules: kernel.modules.as_deref(),
    };
    let machine = Machine {
        kernel,
        initramfs: &initramfs::make(&contents, &cache)?,
        accelerator: Accelerator::Tcg,
        memory: MEMORY,
        lockdown: true,
    };
    let order = order(plan, &base)?;
    let saved = Snapshot::of(&machine, &cache, LIMITS.boot);
    if let Err(error) = &saved {
        errln!("starting anew, since {error}");
    }
    let mut saved = saved.ok();
    let mut ran = host::run(&machine, saved.as_ref(), &order, LIMITS)?;
    if ran.outcome.may_be_retried() {
        saved.take().iter().for_each(Snapshot::forget);
        ran = host::run(&machine, None, &order, LIMITS)?;
    }
    if std::env::var_os("PROBELAB_TIMING").is_some() {
        errln!(
            "Linux {}: booted in {:.2} s, done in {:.2} s",
            kernel.release,
            ran.booted.unwrap_or_default().as_secs_f64(),
            ran.lasted.as_secs_f64()
        );
    }
    results(plan, &ran.outcome, &ran.lines)
}

/// What goes into the guest: the plan with the guest's paths, the files that it names, and those of
/// their libraries that are not in the guest's `base`.
fn order(plan: &Plan, base: &BTreeSet<(PathBuf, PathBuf)>) -> Outcome<Order> {
    let mut files = Vec::new();
    let mut inside = Plan {
        guest: true,
        tree: PathBuf::from(JOB).join("tree"),
        ..plan.clone()
    };
    for (name, file) in &plan.artifacts {
        let base = file.file_name().unwrap_or_default();
        let path = PathBuf::from(JOB).join("artifacts").join(name).join(base);
        files.push(take(file, &path)?);
        inside.artifacts.insert(name.clone(), path);
    }
    let tree = files_of(&plan.tree)?;
    for file in tree {
        let relative = file.strip_prefix(&plan.tree).unwrap_or(&file);
        files.push(take(&file, &inside.tree.join(relative))?);
    }
    let plan_text = serde_json::to_string(&inside)
        .map_err(|error| Trouble::infrastructure(error.to_string(), ""))?;
    let programs = plan.artifacts.values().map(PathBuf::as_path);
    for (path, file) in libraries::of(programs)?.difference(base) {
        files.push(take(file, path)?);
    }
    Ok(Order {
        plan: plan_text,
        modules: Vec::new(),
        files,
    })
}

fn take(from: &Path, to: &Path) -> Outcome<File> {
    let read = || -> std::io::Result<File> {
        Ok(File {
            path: to.display().to_string(),
            mode: fs::metadata(from)?.permissions().mode() & 0o777,
            bytes: fs::read(from)?,
        })
    };
    read().map_err(|error| {
        Trouble::infrastructure(format!("cannot read {}: {error}", from.display()), "")
    })
}

/// The files of a tree, without what builds leave in it.
fn files_of(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let mut files = Vec::new();
    let entries = fs::read_dir(folder).map_err(|error| {
        Trouble::infrastructure(format!("cannot read {}: {error}", folder.display()), "")
    })?;
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                files.extend(files_of(&path)?);
            }
        } else {
            files.push(path);
        }
    }
    Ok(files)
}

/// The guest's observations, held against what was asked for; the second part of split steps.
fn results(plan: &Plan, ending: &Ending, lines: &[String]) -> Outcome<Vec<StepResult>> {
    let checks = registry::checks(&plan.slug).ok_or_else(|| {
        Trouble::infrastructure(
            format!("this `lab` was built without the checks of {}", plan.slug),
            "",
        )
    })?;
    let mut results: Vec<StepResult> = Vec::new();
    for line in lines {
        match serde_json::from_str(line) {
            Ok(Line::Started) => {}
            Ok(Line::Result(result)) => results.push(*result),
            Ok(Line::Failed(why)) => return Err(Trouble::infrastructure(why, "")),
            Err(_) => errln!("{line}"),
        }
    }
    if *ending != Ending::Done(Some(0)) {
        return Err(Trouble::infrastructure(ending.to_string(), ""));
    }
    let asked = plan.steps.iter().map(|step| &step.id);
    if !asked.eq(results.iter().map(|result| &result.id)) {
        return Err(Trouble::infrastructure(
            "the virtual machine reported other steps than it was asked for",
            "",
        ));
    }
    Ok(results
        .into_iter()
        .map(|result| runner::finish_on_host(plan, checks, result))
        .collect())
}

/// Whether this process is the first of a guest; then it never returns.
pub fn guest() {
    if labvm::guest::is_first_process() {
        labvm::guest::main(elevate::COMMAND);
    }
}
