//! leaf-repair: samples a Go process and prints its stacks by name, with the callers put back that
//! frame pointers lose. Yours is `repair.rs`; the rest is given.
//!
//! `--pid PID --hz N`; with `--words` it prints what the kernel counted, as it is.

mod code;
mod repair;

use std::collections::BTreeMap;

use anyhow::Context as _;
use aya::{
    Ebpf,
    maps::{Array, Map, PerCpuHashMap, StackTraceMap},
    programs::PerfEvent,
};

use crate::code::{Code, Moved};

/// A key of COUNTS: the stack's id, then the two words.
type Key = [u64; 3];

fn main() -> anyhow::Result<()> {
    let pid: u32 = labkit::option("--pid")?;
    let hz: u64 = labkit::option("--hz")?;
    let only_words = std::env::args().any(|arg| arg == "--words");

    // Before anything is sampled: once the process has ended, nobody knows what was where in it.
    let mut code = Code::of_process(pid)?;
    let mut ebpf = labkit::load()?;
    let target = ebpf.map_mut("TARGET").context("no map TARGET")?;
    Array::<_, u32>::try_from(target)?.set(0, &pid, 0)?;
    let ranges = ebpf.map_mut("CODE").context("no map CODE")?;
    let mut ranges = Array::<_, [u64; 2]>::try_from(ranges)?;
    for (index, range) in (0..ranges.len()).zip(code.ranges()) {
        ranges.set(index, &[range.start, range.end], 0)?;
    }
    let program = ebpf.program_mut("sample").context("no program sample")?;
    let program: &mut PerfEvent = program.try_into()?;
    labkit::loaded("sample", program.load())?;
    labkit::on_cpu_clock(program, hz)?;

    labkit::ready_and_wait()?;

    let mut repaired: BTreeMap<String, u64> = BTreeMap::new();
    for (mut stack, words, count) in samples(&ebpf)? {
        if only_words {
            let addresses: Vec<String> = stack.iter().map(|pc| format!("{pc:x}")).collect();
            let [first, second] = words;
            println!("{count} {first:x} {second:x} {}", addresses.join(";"));
        } else {
            let leaf = stack.first();
            let moved = leaf.map_or(Moved::Further, |&leaf| code.moved(leaf));
            repair::repair(&mut stack, words, moved);
            *repaired.entry(code.names(&stack)).or_default() += count;
        }
    }
    for (names, count) in repaired {
        println!("{count} {names}");
    }
    Ok(())
}

/// A stack, the innermost address first; the two words; how often both were seen.
type Sample = (Vec<u64>, [u64; 2], u64);

/// What the kernel counted.
fn samples(ebpf: &Ebpf) -> anyhow::Result<Vec<Sample>> {
    let counts: PerCpuHashMap<_, Key, u64> = map(ebpf, "COUNTS")?.try_into()?;
    let stacks: StackTraceMap<_> = map(ebpf, "STACKS")?.try_into()?;
    let mut samples = Vec::new();
    for entry in counts.iter() {
        let ([id, first, second], counts) = entry?;
        let stack = stacks.get(&(id as u32), 0)?;
        let addresses = stack.frames().iter().map(|frame| frame.ip).collect();
        samples.push((addresses, [first, second], counts.iter().sum()));
    }
    Ok(samples)
}

fn map<'a>(ebpf: &'a Ebpf, name: &str) -> anyhow::Result<&'a Map> {
    ebpf.map(name).with_context(|| format!("no map {name}"))
}
