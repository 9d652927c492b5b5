/// What can be wrong with the input. Each message says what, where, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error(
        "line {line} of the stacks: {what}; each line is `COUNT ADDR;ADDR;…`, hexadecimal, leaf first"
    )]
    Stacks { line: usize, what: String },
    #[error("line {line} of the memory map: {what}; expected the format of /proc/PID/maps")]
    Maps { line: usize, what: String },
    #[error(
        "cannot read the memory map of process {pid}: {source}; is it still running, and may you trace it?"
    )]
    Process { pid: u32, source: std::io::Error },
    #[error("process {pid} runs no Go code that can be read: {why}")]
    NoGoCode { pid: u32, why: String },
    #[error(
        "sampling looks into another process, loads BPF programs and opens perf events, which takes root; CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE do where the sysctl kernel.perf_event_paranoid is 2 or less"
    )]
    Privilege,
    #[error(
        "the kernel allows at most {max} samples a second (sysctl kernel.perf_event_max_sample_rate), not {hz}; ask for fewer"
    )]
    Rate { hz: u32, max: u32 },
    #[error(
        "this machine has no hardware counter of CPU cycles that can be sampled, as is usual in virtual machines; sample by the CPU's clock"
    )]
    NoCycles,
    #[error(
        "processes of other PID namespaces can't be told from inside a container; run it on the machine itself, or give one process"
    )]
    Namespace,
    #[error(
        "{path} is no control group: {why}; give a directory of a cgroup2 file system, usually below /sys/fs/cgroup"
    )]
    ControlGroup { path: String, why: String },
    #[error("the sampler could not be started: {0}")]
    Sampler(String),
    #[error("the names of the kernel's functions can't be read from /proc/kallsyms: {why}")]
    Kallsyms { why: String },
    #[error("line {line} of the known calls: each line is `call CALLER CALLEE WEIGHT`")]
    Known { line: usize },
    #[error("the profile is empty (0 bytes); record it again")]
    Empty,
    #[error(
        "this is the text that `go tool preprofile` writes, not a pprof; give the pprof it was made from"
    )]
    Preprofile,
    #[error("the profile's gzip data is damaged: {0}; copy or record it again")]
    Gzip(std::io::Error),
    #[error(
        "the profile is larger than {limit} bytes once unpacked; raise the limit if you trust its source"
    )]
    TooLarge { limit: u64 },
    #[error(
        "the profile would take more than {limit} bytes of memory, far more than its size; if a profiler wrote it, raise the limit"
    )]
    TooManyParts { limit: u64 },
    #[error("not a pprof profile: {0}; give a file written by a profiler in pprof format")]
    Proto(#[from] prost::DecodeError),
    #[error(
        "not a pprof profile: its field {tag} is a group, which no pprof has; give a file written by a profiler in pprof format"
    )]
    Group { tag: u32 },
    #[error("the profile contradicts itself: {0}; record it again")]
    Invalid(String),
    #[error(
        "the profile does not tell CPU time (cpu/nanoseconds, or samples/count with a period), so it can't be summed with others; record a CPU profile"
    )]
    NoCpuTime,
    #[error(
        "the profile holds negative values: it is the difference of two; give one that was recorded"
    )]
    Negative,
    #[error("cannot draw the flame graph: {0}")]
    FlameGraph(String),
}

impl Error {
    /// Why what the kernel tells of a process can't be read.
    pub(crate) fn of_process(pid: u32, source: std::io::Error) -> Self {
        match source.kind() {
            std::io::ErrorKind::PermissionDenied => Self::Privilege,
            _ => Self::Process { pid, source },
        }
    }
}
