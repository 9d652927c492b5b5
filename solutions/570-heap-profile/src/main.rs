//! User-space side of heap-profile: nothing to change here, but read it once.

use std::num::NonZeroU32;

use anyhow::Context as _;
use aya::{
    Ebpf,
    maps::{Array, Map, MapError, PerCpuArray, PerCpuHashMap, StackTraceMap},
    programs::{UProbe, uprobe::UProbeScope},
};

fn main() -> anyhow::Result<()> {
    let pid: NonZeroU32 = labkit::option("--pid")?;
    let rate: u64 = labkit::optional("--rate")?.unwrap_or(0);

    let mut ebpf = labkit::load()?;
    let map = ebpf.map_mut("RATE").context("no map RATE")?;
    Array::<_, u64>::try_from(map)?.set(0, &rate, 0)?;

    // ANCHOR: attach
    let program = ebpf.program_mut("malloc").context("no program malloc")?;
    let program: &mut UProbe = program.try_into()?;
    labkit::loaded("malloc", program.load())?;
    program.attach(
        ["runtime.mallocgc"],
        format!("/proc/{pid}/exe"),
        UProbeScope::OneProcess(pid),
    )?;
    // ANCHOR_END: attach

    labkit::ready_and_wait()?;

    let lost: PerCpuArray<_, u64> = map_of(&ebpf, "LOST")?.try_into()?;
    println!("lost {}", lost.get(&0, 0)?.iter().sum::<u64>());
    stacks(&ebpf)
}

/// A line for each stack: `stack`, bytes, how often it was seen, and the addresses in hexadecimal
/// with `;` between them, the innermost first.
fn stacks(ebpf: &Ebpf) -> anyhow::Result<()> {
    let bytes: PerCpuHashMap<_, u32, u64> = map_of(ebpf, "BYTES")?.try_into()?;
    let counts: PerCpuHashMap<_, u32, u64> = map_of(ebpf, "COUNTS")?.try_into()?;
    let stacks: StackTraceMap<_> = map_of(ebpf, "STACKS")?.try_into()?;
    for entry in bytes.iter() {
        let (id, bytes) = entry?;
        let bytes: u64 = bytes.iter().sum();
        let count: u64 = match counts.get(&id, 0) {
            Ok(counts) => counts.iter().sum(),
            Err(MapError::KeyNotFound) => 0,
            Err(error) => return Err(error.into()),
        };
        let stack = match stacks.get(&id, 0) {
            Ok(stack) => stack,
            Err(MapError::KeyNotFound) => continue,
            Err(error) => return Err(error.into()),
        };
        let frames = stack.frames().iter();
        let addresses: Vec<String> = frames.map(|frame| format!("{:x}", frame.ip)).collect();
        println!("stack {bytes} {count} {}", addresses.join(";"));
    }
    Ok(())
}

fn map_of<'a>(ebpf: &'a Ebpf, name: &str) -> anyhow::Result<&'a Map> {
    ebpf.map(name).with_context(|| format!("no map {name}"))
}
