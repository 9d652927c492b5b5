//! The work that the lab profiles: nothing to change here.

mod plan;
mod stages;

use std::hint::black_box;

use plan::{BUDGET_MS, NAMES, Random, SHARES, hottest_first};
use stages::STAGES;

/// CPU time that one function gets before the next has its turn, on average, microseconds.
const TURN_US: u64 = 3_000;

/// Two seconds of CPU time, spent as `plan` says.
#[inline(never)]
pub fn serve(plan: u64) {
    let order = hottest_first(plan);
    let mut random = Random(!plan);
    let mut data: Vec<u8> = (0..8_192u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let end = cpu_us() + BUDGET_MS * 1_000;
    let mut ranks = [0, 1, 2, 3, 4, 5];
    while cpu_us() < end {
        // Turns of random order and length: a fixed rhythm could keep step with the sampler's.
        random.shuffle(&mut ranks);
        for rank in ranks {
            let turn = TURN_US * SHARES[rank] * NAMES.len() as u64 / 100;
            let turn = turn / 2 + random.below(turn as usize) as u64;
            handle_request(order[rank], turn, &mut data);
        }
    }
    black_box(&data);
}

/// One function's turn. Often in a stack, hardly ever at its top.
#[inline(never)]
fn handle_request(stage: usize, turn_us: u64, data: &mut [u8]) {
    let end = cpu_us() + turn_us;
    while cpu_us() < end {
        for _ in 0..2 {
            black_box(STAGES[stage](data));
        }
    }
}

/// CPU time of this thread, microseconds.
#[inline(never)]
fn cpu_us() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the kernel writes one timespec, which is ours.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    time.tv_sec as u64 * 1_000_000 + time.tv_nsec as u64 / 1_000
}
