//! Prints what it was told.

use aya::{EbpfLoader, programs::TracePoint};

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
    program.attach("raw_syscalls", "sys_enter")?;

    labkit::ready_and_wait()?;

    println!("{}", std::env::var("LAB_TRUTH")?);
    Ok(())
}
