//! User-space side of library-calls. Step 1 has work here; the report is done.

use std::num::NonZeroU32;

use aya::{
    maps::{Array, HashMap},
    programs::{UProbe, uprobe::UProbeScope},
};

fn main() -> anyhow::Result<()> {
    let pid: NonZeroU32 = labkit::option("--pid")?;

    let mut ebpf = labkit::load()?;
    let program: &mut UProbe = ebpf
        .program_mut("on_getenv")
        .expect("the BPF object has a program on_getenv")
        .try_into()?;
    labkit::loaded("on_getenv", program.load())?;
    program.attach(["getenv"], "libc", UProbeScope::OneProcess(pid))?;

    labkit::ready_and_wait()?;

    let total: Array<_, u64> = ebpf
        .map("TOTAL")
        .expect("the BPF object has a map TOTAL")
        .try_into()?;
    println!("calls {}", total.get(&0, 0)?);

    let by_name: HashMap<_, [u8; 32], u64> = ebpf
        .map("BY_NAME")
        .expect("the BPF object has a map BY_NAME")
        .try_into()?;
    let mut rows: Vec<([u8; 32], u64)> = by_name.iter().collect::<Result<_, _>>()?;
    rows.sort_by_key(|&(name, calls)| (std::cmp::Reverse(calls), name));
    for (name, calls) in rows {
        println!("{calls} {}", labkit::text(&name));
    }
    Ok(())
}
