//! Prints what it was told.

use std::num::NonZeroU32;

use aya::programs::{UProbe, uprobe::UProbeScope};

/// The package of the traced functions. A Go symbol is the package's path, a dot and the name.
const PACKAGE: &str = "probelab.dev/go-samples/eventstore/internal/ingest";

fn main() -> anyhow::Result<()> {
    let pid: NonZeroU32 = labkit::option("--pid")?;
    let mut ebpf = labkit::load()?;

    for (name, function) in [
        ("record_size", "RecordSize"),
        ("route_tenant", "RouteTenant"),
        ("seal_block", "SealBlock"),
    ] {
        let program: &mut UProbe = ebpf
            .program_mut(name)
            .expect("the BPF object has one program for each function")
            .try_into()?;
        labkit::loaded(name, program.load())?;
        program.attach(
            [format!("{PACKAGE}.{function}").as_str()],
            format!("/proc/{pid}/exe"),
            UProbeScope::OneProcess(pid),
        )?;
    }

    labkit::ready_and_wait()?;

    println!("{}", std::env::var("LAB_TRUTH")?);
    Ok(())
}
