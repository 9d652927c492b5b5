//! Runs a plan in a virtual machine that is thrown away afterwards. Needs no root.

mod order;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use course::{Arch, ArtifactKind, Lab};
use labcheck::{
    Checks, machine,
    plan::Plan,
    runner,
    verdict::{StepResult, Verdict},
};
use labvm::{
    accelerator,
    host::{self, Limits, Ran},
    initramfs::{self, Contents, Initramfs},
    kernels::{self, Lock, Ready, Store},
    libraries,
    outcome::Outcome as Ending,
    qemu::{self, Accelerator, Machine},
    snapshot::Snapshot,
};

use crate::{
    build,
    elevate::{self, Line},
    registry,
    site::{self, Site},
    trouble::{Outcome, Trouble},
};

/// MiB: twice what a learner's control group may use.
const MEMORY: u32 = 1024;
/// MiB that QEMU takes beside it.
const OVERHEAD: usize = 256;
/// What a boot takes on the machine that the limits are for, without the processor's help.
const BOOT: Duration = Duration::from_secs(4);
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

    /// Of its processor.
    pub fn arch(&self) -> Arch {
        match self {
            Self::Native => Arch::HERE,
            Self::Vm(kernel) => kernel.arch,
        }
    }

    /// As `uname -r` says there.
    pub fn release(&self) -> String {
        match self {
            Self::Native => machine::release(),
            Self::Vm(kernel) => kernel.release.trim().to_owned(),
        }
    }
}

impl From<labvm::Error> for Trouble {
    fn from(error: labvm::Error) -> Self {
        Self::infrastructure(error.message, error.help)
    }
}

/// Written by the provisioning of the course's Vagrant machine.
const MEANT_FOR_IT: &str = "/etc/probelab-machine";

/// Whether checks that need root are meant to run on this machine when nothing else is asked for: it is
/// made for that, or it can't run virtual machines.
pub fn native_is_meant() -> bool {
    let for_it = machine::is_root()
        || std::env::var("CI").is_ok_and(|value| value == "true")
        || Path::new(MEANT_FOR_IT).exists();
    for_it && machine::has_the_kernels_process_numbers() || obstacle().is_some()
}

/// Why no virtual machine can be started here.
pub fn obstacle() -> Option<String> {
    qemu::path(Arch::HERE)
        .is_none()
        .then(|| format!("{} is not installed", qemu::program(Arch::HERE)))
}

/// What virtual machines have to work with here, in a sentence.
pub fn describe() -> String {
    let helped = if Path::new("/dev/kvm").exists() {
        "; whether the processor can help is found out by trying"
    } else {
        "; every instruction is translated, since there is no /dev/kvm"
    };
    format!("{} is installed{helped}", qemu::program(Arch::HERE))
}

/// How many of these machines may run at once: virtual ones as many as there are processors and there
/// is memory for; this one alone.
pub fn at_once<'a>(places: impl IntoIterator<Item = &'a On>) -> usize {
    if places.into_iter().any(|on| matches!(on, On::Native)) {
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

/// The kernels for `arch` that `wanted` names: `newest`, `6.12`, `5.10,6.1`, `all`, or a path.
pub fn kernels(site: &Site, wanted: &str, arch: Arch) -> Outcome<Vec<Ready>> {
    let lock = Lock::read(&site.root.join(kernels::LOCK))?;
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
                let own = kernels::own(Path::new(name))?;
                return if own.arch == arch {
                    Ok(own)
                } else {
                    Err(Trouble::usage(
                        format!("{name} is a kernel for {}", own.arch),
                        format!("say --arch {}", own.arch),
                    ))
                };
            }
            fetch(
                lock.find(name, arch)
                    .map_err(|error| Trouble::usage(error.message, error.help))?,
            )
        })
        .collect()
}

/// A kind of virtual machine, ready to be started: for one kernel, and for labs that want the same
/// lockdown.
pub struct Station<'a> {
    kernel: &'a Ready,
    initramfs: Initramfs,
    accelerator: Accelerator,
    lockdown: bool,
    /// What is in each guest.
    libraries: BTreeSet<(PathBuf, PathBuf)>,
    saved: Option<Snapshot>,
}

impl<'a> Station<'a> {
    /// Makes what is not there yet: the guest's first file system, and a saved guest.
    pub fn open(site: &Site, lab: &Lab, kernel: &'a Ready) -> Outcome<Self> {
        let init = if kernel.arch == Arch::HERE {
            site::this_program().map_err(|error| {
                Trouble::infrastructure(format!("cannot find this program: {error}"), "")
            })?
        } else {
            build::program(site, kernel.arch)?
        };
        let cache = site.target().join("vm");
        let libraries = libraries::base(&init, kernel.arch)?;
        let contents = Contents {
            init: &init,
            libraries: &libraries,
            arch: kernel.arch,
            modules: kernel.modules.as_deref(),
        };
        let mut station = Self {
            kernel,
            initramfs: initramfs::make(&contents, &cache)?,
            accelerator: Accelerator::Tcg,
            // It keeps out modules that Debian did not sign.
            lockdown: !lab
                .artifacts
                .iter()
                .any(|artifact| artifact.kind == ArtifactKind::Kmod),
            libraries,
            saved: None,
        };
        station.accelerator = accelerator::choose(&station.machine(), &cache);
        station.saved = match Snapshot::of(&station.machine(), &cache, LIMITS.boot) {
            Ok(saved) => Some(saved),
            Err(error) => {
                errln!("starting anew each time, since {error}\n{}", error.help);
                None
            }
        };
        Ok(station)
    }

    /// The machine, as QEMU is to start it.
    pub fn machine(&self) -> Machine<'_> {
        Machine {
            kernel: self.kernel,
            initramfs: &self.initramfs,
            accelerator: self.accelerator,
            memory: MEMORY,
            lockdown: self.lockdown,
        }
    }

    /// How slow this machine is, which showed when the guest was saved; never below 1.
    fn factor(&self) -> f64 {
        let booted = self.saved.as_ref().map_or(BOOT, |saved| saved.booted);
        (booted.as_secs_f64() / BOOT.as_secs_f64()).max(1.0)
    }

    /// Has a guest run `plan`: a restored one where that can be, unless `cold` is asked for.
    pub fn run(&self, lab: &Lab, plan: &Plan, cold: bool) -> Outcome<Ran> {
        let factor = self.factor();
        let order = order::of(lab, plan, self.kernel, &self.libraries, factor)?;
        let runs = plan.steps.iter().filter_map(|step| step.run.as_ref());
        let seconds: u64 = runs.map(|run| u64::from(run.seconds)).sum();
        let limits = Limits {
            work: LIMITS.work + Duration::from_secs(seconds),
            ..LIMITS
        }
        .scaled(factor);
        let saved = self.saved.as_ref().filter(|_| !cold);
        let mut ran = host::run(&self.machine(), saved, &order, limits)?;
        if ran.outcome.may_be_retried() {
            saved.into_iter().for_each(Snapshot::forget);
            ran = host::run(&self.machine(), None, &order, limits)?;
        }
        Ok(ran)
    }
}

/// What came of a virtual machine.
pub struct Verdicts {
    pub accelerator: Accelerator,
    pub outcome: Ending,
    /// Of each step; an `Err` says why they can't be known.
    pub results: Outcome<Vec<StepResult>>,
}

/// Runs `plan` on `kernel`.
pub fn run(site: &Site, lab: &Lab, plan: &Plan, kernel: &Ready) -> Outcome<Verdicts> {
    let station = Station::open(site, lab, kernel)?;
    let ran = station.run(lab, plan, false)?;
    if std::env::var_os("PROBELAB_TIMING").is_some() {
        errln!(
            "Linux {}: booted in {:.2} s, done in {:.2} s",
            kernel.release,
            ran.booted.unwrap_or_default().as_secs_f64(),
            ran.lasted.as_secs_f64()
        );
    }
    Ok(Verdicts {
        accelerator: station.accelerator,
        results: results(plan, &ran.outcome, &ran.lines),
        outcome: ran.outcome,
    })
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
            // Whoever says it, it is not ours: shown as far as it does no harm to a terminal.
            Err(_) => {
                let shown: String = line.chars().take(300).collect();
                errln!("from the virtual machine: {}", shown.escape_debug());
            }
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
    if let Some(result) = results
        .iter()
        .find(|result| !is_sound(plan, checks, result))
    {
        return Err(Trouble::infrastructure(
            format!(
                "the virtual machine says that step {} passed, and not that all its checks did",
                result.id
            ),
            "",
        ));
    }
    Ok(results
        .into_iter()
        .map(|result| runner::finish_on_host(plan, checks, result))
        .collect())
}

/// Whether a step that passed did so by all the checks that it has: those left to this machine are not
/// made yet.
fn is_sound(plan: &Plan, checks: Checks, result: &StepResult) -> bool {
    let left = checks.on_host.iter().any(|(id, _)| *id == result.id);
    let Some(step) = plan.steps.iter().find(|step| step.id == result.id) else {
        return false;
    };
    result.verdict != Verdict::Pass
        || step
            .checks
            .iter()
            .eq(result.checks.iter().map(|check| &check.id))
            && result.checks.iter().all(|check| match check.verdict {
                Some(verdict) => verdict == Verdict::Pass,
                None => left,
            })
}

/// Whether this process is the first of a guest; then it never returns.
pub fn guest() {
    if labvm::guest::is_first_process() {
        labvm::guest::main(labvm::guest::Commands {
            run: elevate::main,
            rehearse: Some(labcheck::REHEARSE),
        });
    }
}
