//! When a sample is taken.

/// What ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Event {
    /// The CPU's clock, by a timer of the kernel's (`PERF_COUNT_SW_CPU_CLOCK`): on every machine. It ticks
    /// late where interrupts are off.
    #[default]
    CpuClock,
    /// Cycles, by a counter in the processor (`PERF_COUNT_HW_CPU_CYCLES`), whose interrupt comes also where
    /// others are off. Few virtual machines have one.
    Cycles,
}

/// How often. With [`Event::Cycles`] the kernel adjusts how many cycles lie between two samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub event: Event,
    /// Samples for each second of CPU time.
    pub hz: u32,
}

impl From<u32> for Rate {
    /// By the CPU's clock.
    fn from(hz: u32) -> Self {
        Self {
            event: Event::default(),
            hz,
        }
    }
}
