//! User-space side of the two programs in C: nothing to change here.

use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use libbpf_rs::{ObjectBuilder, PrintLevel};

/// What libbpf prints; a verifier log is part of it.
static PRINTED: Mutex<String> = Mutex::new(String::new());

fn main() -> anyhow::Result<()> {
    let step: String = labkit::option("--step")?;
    let _pid: u32 = labkit::option("--pid")?;
    let (name, _) = match step.as_str() {
        "opens" => ("count_opens", "OPENS"),
        "sizes" => ("count_sizes", "SIZES"),
        other => anyhow::bail!("--step {other}: there are opens and sizes"),
    };

    libbpf_rs::set_print(Some((PrintLevel::Warn, |_, text| {
        PRINTED
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push_str(&text);
    })));
    let object = ObjectBuilder::default()
        .open_file(labkit::object_path()?)?
        .load()
        .map_err(|error| refused(name, error))?;
    let program = object
        .progs_mut()
        .find(|program| program.name() == name)
        .with_context(|| format!("the BPF object has no program {name}"))?;
    // Attached where its SEC says.
    let _link = program.attach()?;

    labkit::ready_and_wait()?;

    println!("{}", std::env::var("LAB_TRUTH")?);
    Ok(())
}

/// Passes on the verifier's log from what libbpf printed between its own marks.
fn refused(name: &str, error: libbpf_rs::Error) -> anyhow::Error {
    let printed = PRINTED.lock().unwrap_or_else(PoisonError::into_inner);
    let log = printed
        .split_once("-- BEGIN PROG LOAD LOG --")
        .and_then(|(_, rest)| rest.split_once("-- END PROG LOAD LOG --"));
    match log {
        Some((log, _)) => labkit::refused(name, log.trim_start()),
        None => anyhow::Error::new(error).context(printed.clone()),
    }
}
