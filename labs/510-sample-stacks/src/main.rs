//! sample-stacks: looks at one process so many times a second and prints where it was.

#![allow(unused)] // Until the TODOs are done.

use std::fmt::Write as _;

use aya::{
    Ebpf,
    maps::{Array, PerCpuArray, PerCpuHashMap, StackTraceMap},
    programs::{
        PerfEvent,
        perf_event::{PerfEventConfig, PerfEventScope, SamplePolicy, SoftwareEvent},
    },
};

fn main() -> anyhow::Result<()> {
    let pid: u32 = labkit::option("--pid")?;
    let hz: u64 = labkit::option("--hz")?;

    let mut ebpf = labkit::load()?;
    let mut target: Array<_, u32> = ebpf
        .map_mut("TARGET")
        .expect("the BPF object has a map TARGET")
        .try_into()?;
    target.set(0, &pid, 0)?;

    let program: &mut PerfEvent = ebpf
        .program_mut("sample")
        .expect("the BPF object has a program sample")
        .try_into()?;
    labkit::loaded("sample", program.load())?;
    attach(program, hz)?;

    labkit::ready_and_wait()?;

    println!("# samples {}", total(&ebpf, "SAMPLES")?);
    println!("# lost {}", total(&ebpf, "LOST")?);
    print!("{}", stacks(&ebpf)?);
    Ok(())
}

/// Lets `program` run `hz` times a second on each CPU, whatever process runs there.
fn attach(program: &mut PerfEvent, hz: u64) -> anyhow::Result<()> {
    // TODO (step count): attach to the CPU clock, once for each CPU of labkit::cpus().
    Ok(())
}

/// One line a stack: how often, a space, the addresses in hexadecimal with `;` between them,
/// the innermost first.
fn stacks(ebpf: &Ebpf) -> anyhow::Result<String> {
    let counts: PerCpuHashMap<_, u32, u64> = ebpf
        .map("COUNTS")
        .expect("the BPF object has a map COUNTS")
        .try_into()?;
    let stacks: StackTraceMap<_> = ebpf
        .map("STACKS")
        .expect("the BPF object has a map STACKS")
        .try_into()?;
    let mut text = String::new();
    // TODO (step stacks): a line for each entry of COUNTS, whose key is the stack's id in STACKS.
    Ok(text)
}

/// The sum of a counter over all CPUs.
fn total(ebpf: &Ebpf, map: &str) -> anyhow::Result<u64> {
    let counter: PerCpuArray<_, u64> = ebpf
        .map(map)
        .expect("the BPF object has this map")
        .try_into()?;
    Ok(counter.get(&0, 0)?.iter().sum())
}
