//! User-space side of go-arguments: nothing to change here, but read it once.

use std::num::NonZeroU32;

use aya::{
    maps::{Array, HashMap},
    programs::{UProbe, uprobe::UProbeScope},
};

/// The package of the traced functions. A Go symbol is the package's path, a dot and the name.
const PACKAGE: &str = "probelab.dev/go-samples/eventstore/internal/ingest";

fn main() -> anyhow::Result<()> {
    let pid: NonZeroU32 = labkit::option("--pid")?;
    let mut ebpf = labkit::load()?;

    // ANCHOR: attach
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
    // ANCHOR_END: attach

    labkit::ready_and_wait()?;

    let bytes: HashMap<_, u64, u64> = map(&ebpf, "BYTES").try_into()?;
    let mut shards: Vec<(u64, u64)> = bytes.iter().collect::<Result<_, _>>()?;
    shards.sort_unstable();
    for (shard, bytes) in shards {
        println!("shard {shard} bytes {bytes}");
    }

    let events: HashMap<_, [u8; 64], u64> = map(&ebpf, "EVENTS").try_into()?;
    let mut tenants: Vec<([u8; 64], u64)> = events.iter().collect::<Result<_, _>>()?;
    tenants.sort_by_key(|&(name, events)| (std::cmp::Reverse(events), name));
    for (name, events) in tenants {
        println!("tenant {} events {events}", labkit::text(&name));
    }

    let values: Array<_, i64> = map(&ebpf, "VALUES").try_into()?;
    println!("values {} sum {}", values.get(&0, 0)?, values.get(&1, 0)?);
    Ok(())
}

fn map<'a>(ebpf: &'a aya::Ebpf, name: &str) -> &'a aya::maps::Map {
    ebpf.map(name)
        .unwrap_or_else(|| panic!("the BPF object has no map {name}"))
}
