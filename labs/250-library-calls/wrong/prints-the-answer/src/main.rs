//! Prints what it was told.

use std::num::NonZeroU32;

use aya::programs::{UProbe, uprobe::UProbeScope};

fn main() -> anyhow::Result<()> {
    let pid: NonZeroU32 = labkit::option("--pid")?;

    let mut ebpf = labkit::load()?;
    let program: &mut UProbe = ebpf
        .program_mut("on_getenv")
        .expect("the BPF object has a program on_getenv")
        .try_into()?;
    labkit::loaded("on_getenv", program.load())?;
    program.attach(["getenv"], "libc", UProbeScope::OneProcess(pid))?;

    labkit::ready_and_wait()?;

    println!("{}", std::env::var("LAB_TRUTH")?);
    Ok(())
}
