//! User-space side of first-probe: nothing to change here, but read it once.

use aya::{maps::HashMap, programs::TracePoint};

fn main() -> anyhow::Result<()> {
    let pid: u32 = labkit::option("--pid")?;

    // ANCHOR: attach
    let mut ebpf = labkit::load()?;
    let program: &mut TracePoint = ebpf
        .program_mut("count_openat")
        .expect("the BPF object has a program count_openat")
        .try_into()?;
    labkit::loaded("count_openat", program.load())?;
    program.attach("syscalls", "sys_exit_openat")?;
    // ANCHOR_END: attach

    labkit::ready_and_wait()?;

    // ANCHOR: read
    let calls: HashMap<_, u32, u64> = ebpf
        .map("CALLS")
        .expect("the BPF object has a map CALLS")
        .try_into()?;
    println!("openat {}", calls.get(&pid, 0).unwrap_or(0));
    // ANCHOR_END: read
    Ok(())
}
