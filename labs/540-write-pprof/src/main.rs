//! write-pprof: samples a Go process from the kernel and writes a pprof. Yours are `symbolise.rs`
//! and `write.rs`; the rest is given.
//!
//! `--pid PID` names the process. Others may be left out: `--hz N` (99), `--seconds N` (until
//! SIGINT), `--out FILE`; without FILE it prints the stacks, named, instead of a profile.

mod code;
mod sampler;
mod symbolise;
mod tables;
mod write;

use std::{
    path::PathBuf,
    time::{Duration, Instant, SystemTime},
};

use anyhow::Context as _;

use crate::{code::Code, sampler::Sampler, write::Recording};

fn main() -> anyhow::Result<()> {
    let pid: u32 = labkit::option("--pid")?;
    let hz: u32 = labkit::optional("--hz")?.unwrap_or(99);
    anyhow::ensure!(
        hz > 0,
        "--hz 0: give how many samples a second are wanted, such as 99"
    );
    let seconds: Option<u64> = labkit::optional("--seconds")?;
    let out: Option<PathBuf> = labkit::optional("--out")?;

    // Before anything is sampled: once the process has ended, nobody knows what was where in it.
    let code = Code::of_process(pid)?;
    let sampler = Sampler::start(pid, hz)?;
    let (began, start) = (SystemTime::now(), Instant::now());
    labkit::ready_and_wait_at_most(seconds.map(Duration::from_secs))?;
    let samples = sampler.stop()?;
    let recording = Recording {
        hz,
        began,
        lasted: start.elapsed(),
    };

    let Some(out) = out else {
        print!("{}", symbolise::text(&samples, &code));
        return Ok(());
    };
    let profile = write::profile(&samples, &code, &recording);
    let bytes = goprof::encode(&profile);
    std::fs::write(&out, &bytes).with_context(|| format!("cannot write {}", out.display()))?;
    println!(
        "wrote {} ({} samples, {} bytes)",
        out.display(),
        samples.total(),
        bytes.len()
    );
    Ok(())
}
