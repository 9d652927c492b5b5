//! sample-stacks: looks at one process so many times a second and prints where it was.

use aya::{
    Ebpf,
    maps::{Array, PerCpuArray},
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
    print!("{}", std::env::var("LAB_TRUTH")?);
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

/// The sum of a counter over all CPUs.
fn total(ebpf: &Ebpf, map: &str) -> anyhow::Result<u64> {
    let counter: PerCpuArray<_, u64> = ebpf
        .map(map)
        .expect("the BPF object has this map")
        .try_into()?;
    Ok(counter.get(&0, 0)?.iter().sum())
}
