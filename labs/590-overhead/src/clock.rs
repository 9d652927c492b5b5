//! Clocks of the kernel's that count CPU time.

use std::io;

/// What a clock says, in seconds. `id` is what clock_gettime(2) takes: a number that stands for one of
/// its clocks, or one that is made of a process's or thread's id.
///
/// # Errors
/// When there is no such clock, or no such process.
pub fn read(id: i32) -> io::Result<f64> {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a valid place for the answer; an id that means nothing is an error.
    if unsafe { libc::clock_gettime(id, &raw mut time) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9)
}

/// CPU seconds of all processes that this one has started, once they have ended and were waited for:
/// such as perf (getrusage(2)).
pub fn of_children() -> f64 {
    // SAFETY: numbers only, for which zeros stand.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is a valid place for the answer; the only error is of another first argument.
    unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage) };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 * 1e-6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}
