//! Six functions that keep a CPU busy. They call nothing, not even a small function of the
//! standard library that the compiler would inline: a sample taken in one of them has it as its
//! leaf. `inline(never)` keeps each one visible to a profiler.

// What these would have us write calls a function of the standard library.
#![allow(clippy::manual_range_contains, clippy::manual_rotate)]

pub type Stage = fn(&mut [u8]) -> u64;

/// In the order of [`crate::plan::NAMES`].
pub const STAGES: [Stage; 6] = [
    parse_fields,
    checksum,
    find_route,
    pack_bits,
    mix_hash,
    count_words,
];

/// Values are kept below 2³² in 64 bits, so that no sum or product overflows.
const LOW: u64 = 0xffff_ffff;

#[inline(never)]
pub fn parse_fields(data: &mut [u8]) -> u64 {
    let (mut at, mut value, mut sum) = (0, 0u64, 0u64);
    while at < data.len() {
        let byte = data[at];
        if byte >= b'0' && byte <= b'9' {
            value = (value * 10 + byte as u64) & LOW;
        } else {
            sum = (sum + value) & LOW;
            value = 0;
        }
        at += 1;
    }
    sum
}

#[inline(never)]
pub fn checksum(data: &mut [u8]) -> u64 {
    let (mut at, mut a, mut b) = (0, 1u64, 0u64);
    while at < data.len() {
        a = (a + data[at] as u64) % 65_521;
        b = (b + a) % 65_521;
        at += 1;
    }
    (b << 16) | a
}

#[inline(never)]
pub fn find_route(data: &mut [u8]) -> u64 {
    let (mut at, mut state) = (0, 7u64);
    while at < data.len() {
        let next = (state ^ data[at] as u64) as usize % data.len();
        state = (state * 31 + data[next] as u64) & LOW;
        at += 1;
    }
    state
}

#[inline(never)]
pub fn pack_bits(data: &mut [u8]) -> u64 {
    let (mut at, mut word, mut sum) = (0, 0u64, 0u64);
    while at < data.len() {
        word = ((word << 7 | word >> 25) & LOW) ^ data[at] as u64;
        data[at] = data[at] << 1 | data[at] >> 7;
        sum = (sum + (word & 0x7f)) & LOW;
        at += 1;
    }
    sum
}

#[inline(never)]
pub fn mix_hash(data: &mut [u8]) -> u64 {
    let (mut at, mut hash) = (0, 0x811c_9dc5u64);
    while at < data.len() {
        hash = ((hash ^ data[at] as u64) * 0x0100_0193) & LOW;
        hash ^= hash >> 15;
        at += 1;
    }
    hash
}

#[inline(never)]
pub fn count_words(data: &mut [u8]) -> u64 {
    let (mut at, mut words, mut inside) = (0, 0u64, false);
    while at < data.len() {
        let letter = data[at] | 0x20;
        let is_letter = letter >= b'a' && letter <= b'z';
        words += (is_letter && !inside) as u64;
        inside = is_letter;
        at += 1;
    }
    words
}
