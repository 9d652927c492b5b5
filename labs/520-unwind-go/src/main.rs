//! unwind-go: looks at one process so many times a second and prints where it was. Nothing to change
//! here: what is yours is ebpf/src/walk.rs.

use std::fmt::Write as _;

use anyhow::Context as _;
use aya::{
    Ebpf,
    maps::{Array, HashMap, Map, PerCpuArray, PerCpuHashMap},
    programs::PerfEvent,
};

/// Addresses that a stack has room for.
const MAX_DEPTH: usize = 127;

fn main() -> anyhow::Result<()> {
    let pid: u32 = labkit::option("--pid")?;
    let hz: u64 = labkit::option("--hz")?;

    let mut ebpf = labkit::load()?;
    let target = ebpf.map_mut("TARGET").context("no map TARGET")?;
    Array::<_, u32>::try_from(target)?.set(0, &pid, 0)?;
    let program = ebpf.program_mut("sample").context("no program sample")?;
    let program: &mut PerfEvent = program.try_into()?;
    labkit::loaded("sample", program.load())?;
    labkit::on_cpu_clock(program, hz)?;

    labkit::ready_and_wait()?;

    println!("# without a stack {}", total(&ebpf, "NO_STACK")?);
    println!("# lost {}", total(&ebpf, "LOST")?);
    print!("{}", stacks(&ebpf)?);
    Ok(())
}

/// One line a stack: how often, a space, the addresses in hexadecimal with `;` between them,
/// the innermost first.
fn stacks(ebpf: &Ebpf) -> anyhow::Result<String> {
    let counts: PerCpuHashMap<_, u64, u64> = map(ebpf, "COUNTS")?.try_into()?;
    let stacks: HashMap<_, u64, [u64; MAX_DEPTH]> = map(ebpf, "STACKS")?.try_into()?;
    let mut text = String::new();
    for entry in counts.iter() {
        let (key, counts) = entry?;
        let count: u64 = counts.iter().sum();
        let addresses: Vec<String> = stacks
            .get(&key, 0)?
            .iter()
            .take_while(|&&address| address != 0)
            .map(|address| format!("{address:x}"))
            .collect();
        writeln!(text, "{count} {}", addresses.join(";"))?;
    }
    Ok(text)
}

/// The sum of a counter over all CPUs.
fn total(ebpf: &Ebpf, name: &str) -> anyhow::Result<u64> {
    let counter: PerCpuArray<_, u64> = map(ebpf, name)?.try_into()?;
    Ok(counter.get(&0, 0)?.iter().sum())
}

fn map<'a>(ebpf: &'a Ebpf, name: &str) -> anyhow::Result<&'a Map> {
    ebpf.map(name).with_context(|| format!("no map {name}"))
}
