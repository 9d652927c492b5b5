//! What was measured: a run is the same work, looked at in one way.

use std::{collections::BTreeMap, fmt, str::FromStr};

/// Who looks at the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// It is left alone.
    Nobody,
    /// Your sampler, ebpf/src/main.rs.
    Mine,
    Perf,
    Bpftrace,
    /// runtime/pprof: the service itself.
    Pprof,
}

impl Who {
    pub const ALL: [Self; 5] = [
        Self::Nobody,
        Self::Mine,
        Self::Perf,
        Self::Bpftrace,
        Self::Pprof,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::Mine => "mine",
            Self::Perf => "perf",
            Self::Bpftrace => "bpftrace",
            Self::Pprof => "pprof",
        }
    }
}

impl FromStr for Who {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut all = Self::ALL.into_iter();
        all.find(|who| who.name() == text)
            .ok_or_else(|| format!("`{text}` is none of nobody, mine, perf, bpftrace, pprof"))
    }
}

/// One run of the work.
#[derive(Clone, Debug)]
pub struct Run {
    /// Runs of one round follow each other; what slows the machine for a while slows all of them.
    pub round: u32,
    pub who: Who,
    /// Samples for each second of CPU time that were asked for; 0 where nobody looks.
    pub hz: u32,
    /// Samples that there were.
    pub samples: u64,
    /// CPU seconds of the service, while it did the work.
    pub service: f64,
    /// CPU seconds of whoever looked, for the whole recording: from before its start to its end.
    pub profiler: f64,
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            round,
            who,
            hz,
            samples,
            service,
            profiler,
        } = self;
        let who = who.name();
        write!(f, "{round} {who} {hz} {samples} {service:.9} {profiler:.9}")
    }
}

impl FromStr for Run {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [round, who, hz, samples, service, profiler] = fields[..] else {
            return Err(format!(
                "`{line}` is not ROUND WHO HZ SAMPLES SERVICE PROFILER"
            ));
        };
        Ok(Self {
            round: number(round)?,
            who: who.parse()?,
            hz: number(hz)?,
            samples: number(samples)?,
            service: number(service)?,
            profiler: number(profiler)?,
        })
    }
}

fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|_| format!("`{text}` is not a number that can stand there"))
}

/// Reads the lines of a table; one that begins with `#` says something else.
pub fn runs(text: &str) -> Result<Vec<Run>, String> {
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::parse)
        .collect()
}

/// The runs of each round.
pub fn rounds(runs: Vec<Run>) -> Vec<Vec<Run>> {
    let mut rounds: BTreeMap<u32, Vec<Run>> = BTreeMap::new();
    for run in runs {
        rounds.entry(run.round).or_default().push(run);
    }
    rounds.into_values().collect()
}
