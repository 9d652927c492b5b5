//! User-space side of off-cpu: nothing to change here, but read it once.

use anyhow::Context as _;
use aya::{
    Ebpf,
    maps::{Array, Map, MapError, PerCpuHashMap, StackTraceMap},
    programs::TracePoint,
};

fn main() -> anyhow::Result<()> {
    let pid: u32 = labkit::option("--pid")?;

    let mut ebpf = labkit::load()?;
    let target = ebpf.map_mut("TARGET").context("no map TARGET")?;
    Array::<_, u32>::try_from(target)?.set(0, &pid, 0)?;
    let program = ebpf.program_mut("switch").context("no program switch")?;
    let program: &mut TracePoint = program.try_into()?;
    labkit::loaded("switch", program.load())?;
    program.attach("sched", "sched_switch")?;

    labkit::ready_and_wait()?;

    println!("{}", std::env::var("LAB_TRUTH").unwrap_or_default());
    stacks(&ebpf)
}

/// A line for each stack: `stack`, microseconds, and the addresses in hexadecimal with `;` between
/// them, the innermost first.
fn stacks(ebpf: &Ebpf) -> anyhow::Result<()> {
    let waits: PerCpuHashMap<_, u32, u64> = map(ebpf, "WAITS")?.try_into()?;
    let stacks: StackTraceMap<_> = map(ebpf, "STACKS")?.try_into()?;
    for entry in waits.iter() {
        let (id, nanos) = entry?;
        let nanos: u64 = nanos.iter().sum();
        let stack = match stacks.get(&id, 0) {
            Ok(stack) => stack,
            Err(MapError::KeyNotFound) => continue,
            Err(error) => return Err(error.into()),
        };
        let frames = stack.frames().iter();
        let addresses: Vec<String> = frames.map(|frame| format!("{:x}", frame.ip)).collect();
        println!("stack {} {}", nanos / 1000, addresses.join(";"));
    }
    Ok(())
}

fn map<'a>(ebpf: &'a Ebpf, name: &str) -> anyhow::Result<&'a Map> {
    ebpf.map(name).with_context(|| format!("no map {name}"))
}
