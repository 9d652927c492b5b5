//! User-space side of first-probe: nothing to change here, but read it once.

use aya::programs::TracePoint;

fn main() -> anyhow::Result<()> {
    let pid: u32 = labkit::option("--pid")?;

    // ANCHOR: attach
    let mut ebpf = labkit::load()?;
    let program: &mut TracePoint = ebpf
        .program_mut("count_openat")
        .expect("the BPF object has a program count_openat")
        .try_into()?;
    labkit::loaded("count_openat", program.load())?;
    program.attach("syscalls", "sys_enter_openat")?;
    // ANCHOR_END: attach

    labkit::ready_and_wait()?;

    let _ = pid;
    println!("openat {}", std::env::var("LAB_TRUTH")?);
    Ok(())
}
