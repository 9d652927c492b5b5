//! Who gets how much of the CPU: follows from a number that the check draws. `check.rs` has this
//! file too, so the truth and the work can't differ.

/// The functions that do the work, in the order of `STAGES`.
pub const NAMES: [&str; 6] = [
    "parse_fields",
    "checksum",
    "find_route",
    "pack_bits",
    "mix_hash",
    "count_words",
];

/// CPU time that the work takes by the clock of the profiler's timer, milliseconds.
pub const BUDGET_MS: u64 = 2_000;

/// Where the work writes how much of it it got, in the folder that it runs in.
pub const RECORD: &str = "work-ms";

/// Per cent of the CPU time, from the hottest function to the coldest.
pub const SHARES: [u64; 6] = [50, 18, 8, 8, 8, 8];

/// A generator good enough to shuffle with (splitmix64).
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % limit as u64) as usize
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// Indexes into `NAMES`, hottest first.
pub fn hottest_first(plan: u64) -> [usize; 6] {
    let mut order = [0, 1, 2, 3, 4, 5];
    Random(plan).shuffle(&mut order);
    order
}
