//! The user-space side of both programs in C, by libbpf: nothing to change here, but read it once.
//!
//! `--step sample` prints the stacks of process `--pid`; `--step core` prints how often each of the
//! processes was seen that it has started.

use std::{
    fmt::Write as _,
    os::fd::AsRawFd as _,
    sync::{Mutex, PoisonError},
};

use anyhow::Context as _;
use libbpf_rs::{Link, Map, MapCore as _, MapFlags, Object, ObjectBuilder, PrintLevel};

/// What libbpf prints; a verifier log is part of it.
static PRINTED: Mutex<String> = Mutex::new(String::new());

fn main() -> anyhow::Result<()> {
    let step: String = labkit::option("--step")?;
    let pid: u32 = labkit::option("--pid")?;
    let hz: u64 = labkit::option("--hz")?;
    let program = if step == "core" {
        "sample_family"
    } else {
        "sample"
    };

    // ANCHOR: load
    let mut object = ObjectBuilder::default().open_file(labkit::object_path()?)?;
    let mut constants = object
        .maps_mut()
        .find(|map| map.name().to_string_lossy().ends_with(".rodata"))
        .context("the BPF object has no constants")?;
    // The only constant there is: `target`.
    let target = constants
        .initial_value_mut()
        .and_then(|bytes| bytes.first_chunk_mut())
        .context("the BPF object has no constant `target`")?;
    *target = pid.to_ne_bytes();
    let object = load(program, object)?;
    let _links = attach(&object, program, hz)?;
    // ANCHOR_END: load

    labkit::ready_and_wait()?;

    if step == "core" {
        print!("{}", names(&object)?);
    } else {
        print!("{}", stacks(&object)?);
    }
    Ok(())
}

/// Loads the object: libbpf relocates it for the running kernel, which then verifies it.
fn load(program: &str, object: libbpf_rs::OpenObject) -> anyhow::Result<Object> {
    libbpf_rs::set_print(Some((PrintLevel::Warn, |_, text| {
        let mut printed = PRINTED.lock().unwrap_or_else(PoisonError::into_inner);
        printed.push_str(&text);
    })));
    object.load().map_err(|error| {
        let printed = PRINTED.lock().unwrap_or_else(PoisonError::into_inner);
        let log = printed
            .split_once("-- BEGIN PROG LOAD LOG --")
            .and_then(|(_, rest)| rest.split_once("-- END PROG LOAD LOG --"));
        match log {
            Some((log, _)) => labkit::refused(program, log.trim_start()),
            None => anyhow::Error::new(error).context(printed.clone()),
        }
    })
}

/// Lets `program` run `hz` times a second on each CPU, for as long as the links are kept.
fn attach(object: &Object, program: &str, hz: u64) -> anyhow::Result<Vec<Link>> {
    let program = object
        .progs_mut()
        .find(|found| found.name() == program)
        .with_context(|| format!("the BPF object has no program {program}"))?;
    let mut links = Vec::new();
    for cpu in labkit::cpus()? {
        let clock = profiler_in_c::clock_of(cpu, hz)?;
        links.push(program.attach_perf_event(clock.as_raw_fd())?);
        // The link owns it now, and closes it.
        std::mem::forget(clock);
    }
    Ok(links)
}

/// One line a stack: how often, a space, the addresses in hexadecimal with `;` between them,
/// the innermost first.
fn stacks(object: &Object) -> anyhow::Result<String> {
    let (counts, stacks) = (map(object, "COUNTS")?, map(object, "STACKS")?);
    let mut text = String::new();
    for id in counts.keys() {
        let stack = stacks.lookup(&id, MapFlags::ANY)?.unwrap_or_default();
        let addresses: Vec<String> = words(&stack)
            .take_while(|&address| address != 0)
            .map(|address| format!("{address:x}"))
            .collect();
        writeln!(text, "{} {}", count(&counts, &id)?, addresses.join(";"))?;
    }
    Ok(text)
}

/// One line a name: the name, a space, how often.
fn names(object: &Object) -> anyhow::Result<String> {
    let by_name = map(object, "BY_NAME")?;
    let mut text = String::new();
    for name in by_name.keys() {
        writeln!(text, "{} {}", labkit::text(&name), count(&by_name, &name)?)?;
    }
    Ok(text)
}

fn count(counts: &Map<'_>, key: &[u8]) -> anyhow::Result<u64> {
    let value = counts.lookup(key, MapFlags::ANY)?.unwrap_or_default();
    Ok(words(&value).next().unwrap_or(0))
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u64> {
    let (words, _) = bytes.as_chunks();
    words.iter().map(|word| u64::from_ne_bytes(*word))
}

fn map<'a>(object: &'a Object, name: &str) -> anyhow::Result<Map<'a>> {
    object
        .maps()
        .find(|map| map.name() == name)
        .with_context(|| format!("the BPF object has no map {name}"))
}
