//! Every way in which a guest can end, each brought about by a program in it that really does it, as
//! root: the worst that a learner could become.
//!
//! This program is the guest's first process and its misbehaving child, too.

mod deeds;

use std::{
    collections::BTreeSet,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use course::Arch;
use labvm::{
    guest,
    host::{self, Limits, Order, Ran},
    initramfs::{self, Contents, Initramfs},
    kernels::{Lock, Ready, Store},
    libraries,
    outcome::Outcome,
    qemu::{self, Accelerator, Machine},
    snapshot::Snapshot,
};
use libtest_mimic::{Arguments, Completion, Failed, Trial};

/// The oldest kernel, and one of today.
const KERNELS: [&str; 2] = ["5.10", "6.12"];
/// Short, but not so short that a busy machine takes them for over.
const LIMITS: Limits = Limits {
    boot: Duration::from_secs(90),
    work: Duration::from_secs(20),
    silence: Duration::from_secs(8),
};

fn main() {
    if guest::is_first_process() {
        guest::main(guest::Commands {
            run: || deeds::main(),
            rehearse: None,
        });
    }
    if std::env::args().nth(1).as_deref() == Some(HOST) {
        let _ = on("6.12", |kernel| {
            run(kernel, "works-for-ever");
            Ok(())
        });
        return;
    }
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    for kernel in KERNELS {
        for (deed, expected) in deeds::ALL {
            trials.push(Trial::ignorable_test(
                format!("{kernel} {deed}"),
                move || {
                    on(kernel, |kernel| {
                        judge(expected, &run(kernel, deed)).map_err(Failed::from)
                    })
                },
            ));
        }
    }
    trials.push(Trial::ignorable_test(
        "a guest that does not come up",
        || on("6.12", never_ready),
    ));
    trials.push(Trial::ignorable_test("a QEMU that fails", || {
        on("6.12", no_kernel)
    }));
    trials.push(Trial::ignorable_test("restored guests differ", || {
        on("6.12", restored)
    }));
    trials.push(Trial::ignorable_test(
        "a killed host leaves no QEMU",
        || on("6.12", killed),
    ));
    libtest_mimic::run(&arguments, trials).exit();
}

/// Runs `test` with the kernel of that name, if there are QEMU and that kernel.
fn on(name: &str, test: impl FnOnce(&Ready) -> Result<(), Failed>) -> Result<Completion, Failed> {
    let arch = Arch::HERE;
    let lock = Lock::read(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("kernels.lock"))?;
    let kernel = lock.find(name, arch)?;
    let store = Store::default();
    if qemu::path(arch).is_none() {
        return Ok(Completion::ignored_with(format!(
            "needs {}",
            qemu::program(arch)
        )));
    }
    if !store.has(kernel) {
        return Ok(Completion::ignored_with(format!(
            "needs Linux {name}: `lab vm kernels {name}` fetches it"
        )));
    }
    test(&store.ready(kernel, |_| {})?)?;
    Ok(Completion::Completed)
}

/// The argument by which this program is a host that is to be killed.
const HOST: &str = "__host";

fn cache() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("vm")
}

/// A guest whose first process is `init`.
fn guest_of(init: &std::path::Path, kernel: &Ready) -> Initramfs {
    let contents = Contents {
        init,
        libraries: &libraries::base(init, kernel.arch).expect("libraries"),
        arch: kernel.arch,
        modules: kernel.modules.as_deref(),
    };
    initramfs::make(&contents, &cache()).expect("an initramfs")
}

fn carry_out(kernel: &Ready, init: &std::path::Path, deed: &str) -> Ran {
    let machine = Machine {
        kernel,
        initramfs: &guest_of(init, kernel),
        accelerator: Accelerator::Tcg,
        memory: 256,
        lockdown: true,
    };
    let order = Order {
        plan: deed.to_owned(),
        modules: Vec::new(),
        files: Vec::new(),
    };
    let limits = if deed.starts_with("floods") {
        // A flood takes as long as the machine needs to bring forth so much.
        Limits {
            work: LIMITS.work * 8,
            ..LIMITS
        }
    } else {
        LIMITS
    };
    host::run(&machine, None, &order, limits).expect("QEMU starts")
}

fn run(kernel: &Ready, deed: &str) -> Ran {
    let this = std::env::current_exe().expect("this program");
    carry_out(kernel, &this, deed)
}

fn judge(expected: &[&str], ran: &Ran) -> Result<(), String> {
    let word = ran.outcome.word();
    if !expected.contains(&word) {
        let console: Vec<&str> = ran.console.lines().rev().take(12).collect();
        return Err(format!(
            "expected {expected:?}, and it was {word}: {}\n{}",
            ran.outcome,
            console.into_iter().rev().collect::<Vec<_>>().join("\n")
        ));
    }
    match &ran.outcome {
        Outcome::Done(Some(0)) if ran.lines != ["one", "two"] => {
            Err(format!("its lines: {:?}", ran.lines))
        }
        Outcome::Panic(why) if !why.contains("Kernel panic") => Err(format!("its reason: {why}")),
        _ => Ok(()),
    }
}

/// A first process that ends at once, which the kernel does not forgive.
fn never_ready(kernel: &Ready) -> Result<(), Failed> {
    let ran = carry_out(kernel, std::path::Path::new("/bin/true"), "");
    judge(&["never-ready"], &ran)?;
    assert!(ran.outcome.may_be_retried());
    let told = ran.outcome.to_string();
    if !told.contains("Attempted to kill init") {
        return Err(told.into());
    }
    Ok(())
}

/// A saved guest has one state of the kernel's generator of randomness, and one time.
fn restored(kernel: &Ready) -> Result<(), Failed> {
    let this = std::env::current_exe()?;
    let machine = Machine {
        kernel,
        initramfs: &guest_of(&this, kernel),
        accelerator: Accelerator::Tcg,
        memory: 256,
        lockdown: true,
    };
    let saved = Snapshot::of(&machine, &cache(), LIMITS.boot).expect("a snapshot");
    let order = Order {
        plan: "tells-random-and-time".into(),
        modules: Vec::new(),
        files: Vec::new(),
    };
    let mut seen = BTreeSet::new();
    for _ in 0..20 {
        let ran = host::run(&machine, Some(&saved), &order, LIMITS).expect("QEMU starts");
        let [random, time] = ran.lines.as_slice() else {
            return Err(format!("{:?} after {}", ran.lines, ran.outcome).into());
        };
        seen.insert(random.clone());
        let there = Duration::from_secs(time.parse()?);
        let here = SystemTime::now().duration_since(UNIX_EPOCH)?;
        if here.saturating_sub(there) > Duration::from_secs(20) || there > here {
            return Err(format!("the guest's clock says {there:?} and ours {here:?}").into());
        }
    }
    assert_eq!(seen.len(), 20, "{seen:?}");
    Ok(())
}

/// Whatever kills us, and whoever started QEMU for us.
fn killed(_: &Ready) -> Result<(), Failed> {
    let mut host = Command::new(std::env::current_exe()?).arg(HOST).spawn()?;
    let deadline = Instant::now() + Duration::from_secs(60);
    let qemu = loop {
        let children = format!("/proc/{0}/task", host.id());
        let child = std::fs::read_dir(children)?
            .flatten()
            .filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok())
            .find_map(|pids| pids.split_whitespace().next().map(str::to_owned));
        match child {
            Some(pid) => break PathBuf::from("/proc").join(pid),
            None if Instant::now() > deadline => return Err("no QEMU was started".into()),
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    };
    // Let it be on its way.
    std::thread::sleep(Duration::from_secs(1));
    assert!(qemu.exists(), "QEMU runs");
    host.kill()?;
    host.wait()?;
    while qemu.join("exe").read_link().is_ok() {
        if Instant::now() > deadline {
            return Err("QEMU runs on".into());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

fn no_kernel(kernel: &Ready) -> Result<(), Failed> {
    let kernel = Ready {
        vmlinux: "/nonexistent".into(),
        ..kernel.clone()
    };
    let ran = run(&kernel, "done");
    judge(&["qemu"], &ran)?;
    let told = ran.outcome.to_string();
    if !told.contains("/nonexistent") {
        return Err(told.into());
    }
    Ok(())
}
