//! Damaged binaries: whatever the bytes, an error or an answer, never a panic, and in bounded time.

mod common;

use std::time::{Duration, Instant};

use common::Mode;
use gosym::Binary;

/// xorshift64*: enough to spread damage, and the same for a seed on every machine.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

const SEED: u64 = 0x5eed_0001;

fn small_binary(mode: Mode) -> Vec<u8> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let exe = dir.path().join("tiny");
    common::build("tiny", mode, "local", &exe);
    std::fs::read(exe).expect("it was built")
}

const STRIPPED: Mode = Mode {
    name: "stripped",
    flags: &["-trimpath"],
    ldflags: "-s -w",
    arch: "",
    external: false,
};

/// Every kind of look-up, at random places.
fn poke(bin: &Binary, rng: &mut Rng, times: usize) -> usize {
    let text = bin.text_range();
    let span = text.end.wrapping_sub(text.start).clamp(1, 1 << 32);
    let mut frames = 0;
    for _ in 0..times {
        let pc = text.start.wrapping_add(rng.next() % span);
        frames += bin.frames_at(pc).len();
        frames += usize::from(bin.sp_delta(pc).is_some());
        frames += usize::from(bin.file_line(pc).is_some());
        frames += bin.function_at(pc).map_or(0, |f| f.name.len());
    }
    for pc in [0, u64::MAX, text.start.wrapping_sub(1), text.end] {
        frames += bin.frames_at(pc).len();
    }
    frames
}

/// Where the byte pattern of a little-endian pclntab header starts.
fn pclntab_at(bytes: &[u8]) -> usize {
    let header = [0xf1, 0xff, 0xff, 0xff, 0, 0];
    bytes
        .windows(header.len())
        .position(|w| w == header)
        .expect("a Go binary has one")
}

/// Runs `damage` on a copy of `sound` `rounds` times; returns how many copies still opened.
fn survive(sound: &[u8], rounds: usize, damage: impl Fn(&mut Vec<u8>, &mut Rng)) -> usize {
    let mut rng = Rng(SEED);
    let mut copy = sound.to_vec();
    let mut opened = 0;
    for round in 0..rounds {
        copy.clear();
        copy.extend_from_slice(sound);
        damage(&mut copy, &mut rng);
        let started = Instant::now();
        if let Ok(bin) = Binary::parse(&copy) {
            opened += 1;
            poke(&bin, &mut rng, 50);
            if round % 50 == 0 {
                assert!(bin.functions().count() <= copy.len());
                assert!(bin.names().count() <= copy.len());
            }
        }
        let took = started.elapsed();
        assert!(took < Duration::from_secs(5), "round {round} took {took:?}");
    }
    opened
}

#[test]
fn flipped_bytes_anywhere_are_survived() {
    if !common::has("go") {
        return;
    }
    let sound = small_binary(STRIPPED);
    let opened = survive(&sound, 300, |copy, rng| {
        for _ in 0..1 + rng.below(2000) {
            let at = rng.below(copy.len());
            copy[at] ^= 1 << rng.below(8);
        }
    });
    assert!(
        opened > 0,
        "no damaged copy opened: the look-ups went untested"
    );
}

#[test]
fn flipped_bytes_in_elf_headers_are_survived() {
    if !common::has("go") {
        return;
    }
    let sound = small_binary(STRIPPED);
    survive(&sound, 1500, |copy, rng| {
        for _ in 0..1 + rng.below(4) {
            let at = rng.below(4096);
            copy[at] = rng.next() as u8;
        }
    });
}

#[test]
fn flipped_bytes_in_the_pclntab_are_survived() {
    if !common::has("go") {
        return;
    }
    let sound = small_binary(STRIPPED);
    let start = pclntab_at(&sound);
    let opened = survive(&sound, 1500, |copy, rng| {
        let span = copy.len() - start;
        for _ in 0..1 + rng.below(3000) {
            let at = start + 72 + rng.below(span - 72);
            copy[at] = rng.next() as u8;
        }
    });
    assert!(opened > 100, "only {opened} damaged copies opened");
}

#[test]
fn flipped_bytes_in_the_pclntab_header_are_survived() {
    if !common::has("go") {
        return;
    }
    let sound = small_binary(STRIPPED);
    let start = pclntab_at(&sound);
    survive(&sound, 1500, |copy, rng| {
        for _ in 0..1 + rng.below(3) {
            let at = start + rng.below(72);
            copy[at] ^= 1 << rng.below(8);
        }
    });
}

#[test]
fn truncated_files_are_survived() {
    if !common::has("go") {
        return;
    }
    let sound = small_binary(STRIPPED);
    survive(&sound, 300, |copy, rng| {
        let len = rng.below(copy.len());
        copy.truncate(len);
    });
}

#[test]
fn a_binary_without_section_headers_is_read_by_its_segments() {
    if !common::has("go") {
        return;
    }
    let mut bytes = small_binary(STRIPPED);
    let whole = Binary::parse(&bytes).expect("it opens");
    // e_shoff, e_shnum and e_shstrndx of the ELF header.
    bytes[0x28..0x30].fill(0);
    bytes[0x3c..0x40].fill(0);
    let bare = Binary::parse(&bytes).expect("it opens without sections");
    let main = whole
        .functions()
        .find(|f| f.name == "main.main")
        .expect("main.main");
    assert_eq!(bare.function_at(main.entry), Some(main.clone()));
    for pc in main.entry..main.end {
        assert_eq!(bare.frames_at(pc), whole.frames_at(pc), "{pc:#x}");
    }
}
