//! The user-space side of lab sample-stacks: raw stacks of one process.

use anyhow::Context as _;
use aya::{
    Ebpf,
    maps::{Array, MapError, PerCpuArray, PerCpuHashMap, StackTraceMap},
    programs::{
        PerfEvent,
        perf_event::{PerfEventConfig, PerfEventScope, SamplePolicy, SoftwareEvent},
    },
};
use goprof::Samples;

/// Samples as long as it is there.
pub struct Sampler {
    ebpf: Ebpf,
}

impl Sampler {
    /// Looks at the threads of `pid` `hz` times for each second of CPU time that they use.
    pub fn start(pid: u32, hz: u32) -> anyhow::Result<Self> {
        let mut ebpf = labkit::load()?;
        let target = ebpf.map_mut("TARGET").context("no map TARGET")?;
        Array::<_, u32>::try_from(target)?.set(0, &pid, 0)?;
        let program = ebpf.program_mut("sample").context("no program sample")?;
        let program: &mut PerfEvent = program.try_into()?;
        labkit::loaded("sample", program.load())?;
        for cpu in labkit::cpus()? {
            program.attach(
                PerfEventConfig::Software(SoftwareEvent::CpuClock),
                PerfEventScope::AllProcessesOneCpu { cpu },
                SamplePolicy::Frequency(hz.into()),
                false,
            )?;
        }
        Ok(Self { ebpf })
    }

    /// What was seen. Says on standard error what could not be kept.
    pub fn stop(mut self) -> anyhow::Result<Samples> {
        let program = self
            .ebpf
            .program_mut("sample")
            .context("no program sample")?;
        // Without it nothing more is counted while we read.
        <&mut PerfEvent>::try_from(program)?.unload()?;
        let map = |name| {
            self.ebpf
                .map(name)
                .with_context(|| format!("no map {name}"))
        };
        let counts: PerCpuHashMap<_, u32, u64> = map("COUNTS")?.try_into()?;
        let stacks: StackTraceMap<_> = map("STACKS")?.try_into()?;
        let lost: PerCpuArray<_, u64> = map("LOST")?.try_into()?;
        let mut samples = Samples::default();
        for entry in counts.iter() {
            let (id, counts) = entry?;
            match stacks.get(&id, 0) {
                Ok(stack) => {
                    let stack = stack.frames().iter().map(|frame| frame.ip).collect();
                    samples.add(stack, counts.iter().sum());
                }
                Err(MapError::KeyNotFound) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let lost: u64 = lost.get(&0, 0)?.iter().sum();
        if lost > 0 {
            eprintln!("{lost} samples had no stack, or one whose place in STACKS was taken");
        }
        Ok(samples)
    }
}
