//! User-space side of first-probe: nothing to change here, but read it once.

use std::time::{Duration, Instant};

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
    program.attach("syscalls", "sys_enter_openat")?;
    // ANCHOR_END: attach

    let truth: u64 = std::env::var("LAB_TRUTH")?.parse()?;
    let mut calls: HashMap<_, u32, u64> = ebpf
        .take_map("CALLS")
        .expect("the BPF object has a map CALLS")
        .try_into()?;
    // A gap in time: this process stood still, and goes on now.
    std::thread::spawn(move || {
        let mut last = Instant::now();
        while last.elapsed() < Duration::from_millis(2) {
            last = Instant::now();
            std::thread::yield_now();
        }
        let _ = calls.insert(&pid, &truth, 0);
    });
    labkit::ready_and_wait()?;
    println!("openat {truth}");
    Ok(())
}
