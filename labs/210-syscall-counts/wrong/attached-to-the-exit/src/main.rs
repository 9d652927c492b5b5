//! User-space side of syscall-counts. Steps 1 and 2 need no change here; step 3 does.

use aya::{
    EbpfLoader,
    maps::{Array, HashMap},
    programs::TracePoint,
};
use syscalls::Sysno;

fn main() -> anyhow::Result<()> {
    let pid: u32 = labkit::option("--pid")?;

    let mut ebpf = EbpfLoader::new()
        .override_global("TARGET", &pid, true)
        .load_file(labkit::object_path()?)?;
    let program: &mut TracePoint = ebpf
        .program_mut("count_calls")
        .expect("the BPF object has a program count_calls")
        .try_into()?;
    labkit::loaded("count_calls", program.load())?;
    program.attach("raw_syscalls", "sys_exit")?;

    labkit::ready_and_wait()?;

    let total: Array<_, u64> = ebpf
        .map("TOTAL")
        .expect("the BPF object has a map TOTAL")
        .try_into()?;
    println!("calls {}", total.get(&0, 0)?);

    let by_number: HashMap<_, i64, u64> = ebpf
        .map("BY_NUMBER")
        .expect("the BPF object has a map BY_NUMBER")
        .try_into()?;
    let mut rows: Vec<(i64, u64)> = by_number.iter().collect::<Result<_, _>>()?;

    rows.sort_by_key(|&(_, calls)| std::cmp::Reverse(calls));
    for (number, calls) in rows {
        println!("{calls} {}", name(number));
    }
    Ok(())
}

/// The name of a system call: `openat`, or `syscall_1000` where the number is not known.
fn name(number: i64) -> String {
    usize::try_from(number)
        .ok()
        .and_then(Sysno::new)
        .map_or_else(
            || format!("syscall_{number}"),
            |call| call.name().to_owned(),
        )
}
