//! User-space side of the two programs in Rust: nothing to change here.

use anyhow::Context as _;
use aya::{maps::HashMap, programs::TracePoint};

/// A text as texts.rs keeps it.
#[repr(C)]
#[derive(Clone, Copy)]
struct Text {
    len: u64,
    bytes: [u8; 64],
}

// SAFETY: a plain structure of integers without padding, which any bytes are a value of.
unsafe impl aya::Pod for Text {}

const NONE: Text = Text {
    len: 0,
    bytes: [0; 64],
};

fn main() -> anyhow::Result<()> {
    let step: String = labkit::option("--step")?;
    let pid: u32 = labkit::option("--pid")?;
    let (name, hook) = match step.as_str() {
        "paths" => ("count_absolute", "sys_enter_openat"),
        "texts" => ("keep_text", "sys_enter_pwrite64"),
        other => anyhow::bail!("--step {other}: there are paths and texts"),
    };

    let mut ebpf = labkit::load()?;
    let program: &mut TracePoint = ebpf
        .program_mut(name)
        .with_context(|| format!("the BPF object has no program {name}"))?
        .try_into()?;
    labkit::loaded(name, program.load())?;
    program.attach("syscalls", hook)?;
    if step == "texts" {
        // The process to watch.
        let map = ebpf
            .map_mut("LAST")
            .context("the BPF object has no map LAST")?;
        let mut texts: HashMap<_, u32, Text> = map.try_into()?;
        texts.insert(&pid, &NONE, 0)?;
    }

    labkit::ready_and_wait()?;

    if step == "paths" {
        let map = ebpf
            .map("ABSOLUTE")
            .context("the BPF object has no map ABSOLUTE")?;
        let calls: HashMap<_, u32, u64> = map.try_into()?;
        println!("absolute {}", calls.get(&pid, 0).unwrap_or(0));
    } else {
        let map = ebpf.map("LAST").context("the BPF object has no map LAST")?;
        let texts: HashMap<_, u32, Text> = map.try_into()?;
        let text = texts.get(&pid, 0).unwrap_or(NONE);
        let bytes = text.bytes.get(..text.len as usize).unwrap_or(&text.bytes);
        println!("text {}", String::from_utf8_lossy(bytes));
    }
    Ok(())
}
