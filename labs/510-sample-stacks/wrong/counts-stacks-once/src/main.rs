//! sample-stacks: looks at one process so many times a second and prints where it was.

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
    // ANCHOR: attach
    for cpu in labkit::cpus()? {
        program.attach(
            PerfEventConfig::Software(SoftwareEvent::CpuClock),
            PerfEventScope::AllProcessesOneCpu { cpu },
            SamplePolicy::Frequency(hz),
            false,
        )?;
    }
    // ANCHOR_END: attach
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
    // ANCHOR: lines
    for entry in counts.iter() {
        let (id, counts) = entry?;
        let count: u64 = counts.iter().sum();
        let stack = stacks.get(&id, 0)?;
        let addresses: Vec<String> = stack
            .frames()
            .iter()
            .map(|frame| format!("{:x}", frame.ip))
            .collect();
        writeln!(text, "{count} {}", addresses.join(";"))?;
    }
    // ANCHOR_END: lines
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
