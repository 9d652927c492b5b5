//! The user-space side of your sampler, as in lab sample-stacks.

use anyhow::Context as _;
use aya::{
    Ebpf,
    maps::{Array, MapError, PerCpuArray, PerCpuHashMap, StackTraceMap},
    programs::PerfEvent,
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
        labkit::on_cpu_clock(program, hz.into())?;
        Ok(Self { ebpf })
    }

    /// Ends it, and reads the stacks, as a profiler has to; gives the number of samples.
    pub fn stop(mut self) -> anyhow::Result<u64> {
        let program = self.ebpf.program_mut("sample");
        let program = program.context("no program sample")?;
        // Without it nothing more is counted while we read.
        <&mut PerfEvent>::try_from(program)?.unload()?;
        let map = |name| {
            let map = self.ebpf.map(name);
            map.with_context(|| format!("no map {name}"))
        };
        let counts: PerCpuHashMap<_, u32, u64> = map("COUNTS")?.try_into()?;
        let stacks: StackTraceMap<_> = map("STACKS")?.try_into()?;
        let mut kept = Samples::default();
        for entry in counts.iter() {
            let (id, counts) = entry?;
            match stacks.get(&id, 0) {
                Ok(stack) => {
                    let stack = stack.frames().iter().map(|frame| frame.ip).collect();
                    kept.add(stack, counts.iter().sum());
                }
                Err(MapError::KeyNotFound) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let samples: PerCpuArray<_, u64> = map("SAMPLES")?.try_into()?;
        Ok(samples.get(&0, 0)?.iter().sum())
    }
}
