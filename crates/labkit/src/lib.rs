//! What every lab program needs and no lab teaches: find the BPF object, say that the probes
//! are in place, wait to be told to stop.
//!
//! `lab` starts a learner's program with the object's path in `$LAB_BPF`, waits for the line
//! `ready`, drives its workload, and then sends SIGINT; the program prints what it saw and ends.

mod refusal;

use std::{
    io::Write as _,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use aya::programs::{
    PerfEvent,
    perf_event::{PerfEventConfig, PerfEventScope, SamplePolicy, SoftwareEvent},
};

pub use refusal::{loaded, refused};

/// The path of the BPF object that `lab` built, from `$LAB_BPF`.
///
/// # Errors
/// When the variable is not set, as when the program is started by hand.
pub fn object_path() -> Result<PathBuf> {
    std::env::var_os("LAB_BPF")
        .map(PathBuf::from)
        .context("LAB_BPF is not set: start this program with `lab check`, or set it to the path of a BPF object")
}

/// Reads the BPF object that `lab` built: creates its maps and readies its programs for loading.
///
/// # Errors
/// When the object is missing or damaged, or the kernel refuses one of its maps.
pub fn load() -> Result<aya::Ebpf> {
    let path = object_path()?;
    aya::Ebpf::load_file(&path).map_err(|error| {
        let error = anyhow::Error::new(error);
        // The loader meets the call before the verifier could, and speaks of neither.
        if error.chain().any(|why| why.to_string().contains("panic")) {
            error.context(MAY_PANIC)
        } else {
            error.context(format!("cannot use the BPF object {}", path.display()))
        }
    })
}

const MAY_PANIC: &str = "\
the BPF program may panic, and in the kernel there is nothing to panic to. The compiler has put in a check \
of its own, where it can't see that an index is small enough, a slice long enough, or an `unwrap` safe.";

/// The value that follows `name` on the command line: `--pid 1234` gives `1234` for `--pid`.
///
/// # Errors
/// When the option is absent, has no value, or its value has another form than `T`.
pub fn option<T: std::str::FromStr>(name: &str) -> Result<T> {
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        if arg == name {
            let Some(value) = args.next() else {
                bail!("{name} needs a value")
            };
            return value
                .parse()
                .ok()
                .with_context(|| format!("{name} {value}: not of the expected form"));
        }
    }
    bail!("{name} VALUE is missing")
}

/// The text in a map's key of fixed size: the bytes before the first zero byte.
pub fn text(bytes: &[u8]) -> String {
    let end = bytes
        .iter()
        .position(|&byte| byte == 0)
        .unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// The value that follows `name` on the command line, `None` where the option is absent.
///
/// # Errors
/// When the option has no value, or its value has another form than `T`.
pub fn optional<T: std::str::FromStr>(name: &str) -> Result<Option<T>> {
    if std::env::args().skip(1).any(|arg| arg == name) {
        option(name).map(Some)
    } else {
        Ok(None)
    }
}

/// The CPUs that run tasks now, by number. What counts "on every CPU" is attached to each.
///
/// # Errors
/// When /sys/devices/system/cpu/online can't be read.
pub fn cpus() -> Result<Vec<u32>> {
    aya::util::online_cpus().map_err(|(path, error)| anyhow::anyhow!("cannot read {path}: {error}"))
}

/// Lets `program` run `hz` times a second on each CPU, whatever process runs there: at the ticks of its
/// clock (`PERF_COUNT_SW_CPU_CLOCK`).
///
/// # Errors
/// When the kernel refuses.
pub fn on_cpu_clock(program: &mut PerfEvent, hz: u64) -> Result<()> {
    for cpu in cpus()? {
        program.attach(
            PerfEventConfig::Software(SoftwareEvent::CpuClock),
            PerfEventScope::AllProcessesOneCpu { cpu },
            SamplePolicy::Frequency(hz),
            false,
        )?;
    }
    Ok(())
}

/// Says that the probes are in place, then waits for SIGINT or SIGTERM.
///
/// The handler is in place before the line is printed, so a signal sent on seeing it is not lost.
///
/// # Errors
/// When standard output is closed or signals can't be caught.
pub fn ready_and_wait() -> Result<()> {
    ready_and_wait_at_most(None)
}

/// As [`ready_and_wait`], but no longer than `limit` where there is one.
///
/// # Errors
/// When standard output is closed or signals can't be caught.
pub fn ready_and_wait_at_most(limit: Option<Duration>) -> Result<()> {
    let mut signals = signal_hook::iterator::Signals::new([libc::SIGINT, libc::SIGTERM])
        .context("cannot catch signals")?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "ready")
        .and_then(|()| out.flush())
        .context("cannot write to standard output")?;
    let Some(limit) = limit else {
        signals.forever().next();
        return Ok(());
    };
    // The pipe behind the signals has no wait with a limit.
    let end = Instant::now() + limit;
    while signals.pending().next().is_none() {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        std::thread::sleep(left.min(Duration::from_millis(10)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_ends_at_the_first_zero_byte() {
        for (bytes, expected) in [
            (&b"acme\0\0"[..], "acme"),
            (b"a\0b\0", "a"),
            (b"full", "full"),
            (b"\0", ""),
        ] {
            assert_eq!(text(bytes), expected);
        }
    }
}
