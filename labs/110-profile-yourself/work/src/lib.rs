//! The work that the lab profiles: nothing to change here.

mod plan;
mod stages;

use std::{fs, hint::black_box};

use plan::{BUDGET_MS, NAMES, RECORD, Random, SHARES, hottest_first};
use stages::STAGES;

/// CPU time that one function gets before the next has its turn, on average, microseconds.
const TURN_US: u64 = 3_000;

/// How much more CPU time than its budget the work takes at most; see [`TIMER_CLOCK`].
const PATIENCE: u64 = 4;

/// CPU time of this thread, exactly.
const THREAD_CLOCK: libc::clockid_t = libc::CLOCK_THREAD_CPUTIME_ID;

/// CPU time of this process as ITIMER_PROF counts it: whoever is running when the kernel's clock
/// ticks is charged the whole tick. Where many programs compete for the CPU, a process can run
/// between ticks and be charged far less than it used. This number means CPUCLOCK_PROF of the
/// calling process (include/linux/posix-timers_types.h: `((~pid) << 3) | which`, both zero).
const TIMER_CLOCK: libc::clockid_t = -8;

/// Two seconds of CPU time, spent as `plan` says.
#[inline(never)]
pub fn serve(plan: u64) {
    let order = hottest_first(plan);
    let mut random = Random(!plan);
    let mut data: Vec<u8> = (0..8_192u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let begin = now_us(TIMER_CLOCK);
    let (end, latest) = (
        begin + BUDGET_MS * 1_000,
        now_us(THREAD_CLOCK) + PATIENCE * BUDGET_MS * 1_000,
    );
    let mut ranks = [0, 1, 2, 3, 4, 5];
    while now_us(TIMER_CLOCK) < end && now_us(THREAD_CLOCK) < latest {
        // Turns of random order and length: a fixed rhythm could keep step with the sampler's.
        random.shuffle(&mut ranks);
        for rank in ranks {
            let turn = TURN_US * SHARES[rank] * NAMES.len() as u64 / 100;
            let turn = turn / 2 + random.below(turn as usize) as u64;
            handle_request(order[rank], turn, &mut data);
        }
    }
    let spent = (now_us(TIMER_CLOCK) - begin) / 1_000;
    // Without it the check says that the work did not run.
    let _ = fs::write(RECORD, spent.to_string());
    black_box(&data);
}

/// One function's turn. Often in a stack, hardly ever at its top.
#[inline(never)]
fn handle_request(stage: usize, turn_us: u64, data: &mut [u8]) {
    let end = now_us(THREAD_CLOCK) + turn_us;
    while now_us(THREAD_CLOCK) < end {
        for _ in 0..2 {
            black_box(STAGES[stage](data));
        }
    }
}

/// Microseconds by a clock of CPU time.
#[inline(never)]
fn now_us(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the kernel writes one timespec, which is ours.
    unsafe { libc::clock_gettime(clock, &mut time) };
    time.tv_sec as u64 * 1_000_000 + time.tv_nsec as u64 / 1_000
}
