//! Samples one process from the kernel's side.

use std::{collections::BTreeMap, fs, os::linux::fs::MetadataExt as _};

use crate::{
    Error, Rate, RawStack, Symbolizer,
    kernel::{Kernel, Scope, Tally, Target},
};

/// Samples one process, all its threads, until it is dropped.
#[derive(Debug)]
pub struct Sampler {
    kernel: Kernel,
}

/// What was sampled.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    /// How often each stack was seen.
    pub stacks: BTreeMap<RawStack, u64>,
    /// Samples of the process in all.
    pub samples: u64,
    /// Of these, without a stack in user space.
    pub no_stack: u64,
    /// Of these, not in `stacks` since there was no room.
    pub lost: u64,
    /// How often the process has become another program (execve(2)).
    pub execs: u64,
    /// Ticks after that; in no other number.
    pub after_exec: u64,
}

impl Sampler {
    /// Begins to sample process `pid`, whose code `symbols` knows; with the kernel's stacks where those are
    /// known too.
    ///
    /// # Errors
    /// [`Error::Privilege`], [`Error::Rate`], [`Error::NoCycles`], [`Error::Process`] when it has ended, and
    /// [`Error::Sampler`] when the kernel refuses something else.
    pub fn start(pid: u32, rate: impl Into<Rate>, symbols: &Symbolizer) -> Result<Self, Error> {
        let target = target(pid).map_err(|source| Error::of_process(pid, source))?;
        let mut kernel = Kernel::load(&Scope::Process(target), symbols.knows_kernel())?;
        kernel.tell_code(&symbols.go_code())?;
        kernel.attach(rate.into())?;
        Ok(Self { kernel })
    }

    /// What was sampled so far.
    ///
    /// # Errors
    /// [`Error::Sampler`] when the kernel's maps can't be read.
    pub fn recording(&self) -> Result<Recording, Error> {
        let kernel = &self.kernel;
        let mut recording = Recording {
            execs: kernel.execs()?,
            samples: kernel.tally(Tally::Samples)?,
            no_stack: kernel.tally(Tally::NoStack)?,
            lost: kernel.tally(Tally::Lost)?,
            after_exec: kernel.tally(Tally::AfterExec)?,
            ..Recording::default()
        };
        for counted in kernel.counted()? {
            *recording.stacks.entry(counted.stack).or_default() += counted.count;
        }
        Ok(recording)
    }
}

/// The process, also by the number of one of its threads.
fn target(pid: u32) -> std::io::Result<Target> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    // In each namespace that it is in, its own last.
    let inner = status.lines().find_map(|line| {
        line.strip_prefix("NStgid:")?
            .split_whitespace()
            .last()?
            .parse()
            .ok()
    });
    let namespace = fs::metadata(format!("/proc/{pid}/ns/pid"))?;
    let device = namespace.st_dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    Ok(Target {
        pid: inner.unwrap_or(pid),
        device: u64::from(major) << 20 | u64::from(minor),
        inode: namespace.st_ino(),
    })
}
