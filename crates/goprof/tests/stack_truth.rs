//! Frame-pointer stacks, symbolised from outside, against what `runtime.Callers` told in the same
//! place of the same program.

mod common;

use std::process::Command;

use goprof::{Samples, Symbolizer, parse_maps};
use gosym::Binary;

#[derive(Debug, Default)]
struct Situation {
    name: String,
    raw: Vec<u64>,
    frames: Vec<(String, u32, u32)>,
}

fn situations(text: &str) -> Vec<Situation> {
    let mut all: Vec<Situation> = Vec::new();
    for line in text.lines() {
        let (kind, rest) = line.split_once(' ').expect("two fields");
        if kind == "stack" {
            all.push(Situation {
                name: rest.to_owned(),
                ..Situation::default()
            });
            continue;
        }
        let current = all.last_mut().expect("a stack line first");
        match kind {
            "raw" => {
                let samples = Samples::parse(&format!("1 {rest}")).expect("addresses");
                current.raw = samples.iter().next().expect("one").0.to_vec();
            }
            "frame" => {
                let mut fields = rest.split('\t');
                let mut next = || fields.next().expect("three fields");
                let name = next().to_owned();
                let line = next().parse().expect("a line");
                current
                    .frames
                    .push((name, line, next().parse().expect("a line")));
            }
            _ => panic!("{line}"),
        }
    }
    all
}

fn compare(flags: &[&str]) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let exe = dir.path().join("stacks");
    let mut args = vec!["build", "-o", common::text(&exe)];
    args.extend(flags);
    args.push(".");
    common::go_ok("stacks", &args);
    let out = Command::new(&exe).output().expect("it runs");
    assert!(out.status.success(), "{out:?}");
    let text = String::from_utf8(out.stdout).expect("UTF-8");
    let (stacks, maps) = text.split_once("maps\n").expect("both parts");
    let maps = parse_maps(maps).expect("maps");
    let mut symbolizer = Symbolizer::new(&maps, |entry| {
        Binary::open(&entry.path).ok().map(std::sync::Arc::new)
    });
    let situations = situations(stacks);
    assert_eq!(situations.len(), 12, "{flags:?}");
    for situation in &situations {
        let stack = symbolizer.stack(&situation.raw);
        let ours: Vec<_> = stack
            .locations
            .iter()
            .flat_map(|l| &l.frames)
            .map(|f| (f.function.clone(), f.line, f.start_line))
            .collect();
        assert_eq!(ours, situation.frames, "{flags:?}: {}", situation.name);
        assert!(stack.complete, "{flags:?}: {}", situation.name);
    }
}

#[test]
fn stacks_are_told_as_the_runtime_tells_them() {
    if !common::has_go() {
        return;
    }
    for flags in [
        &["-ldflags=-checklinkname=0"][..],
        &["-ldflags=-checklinkname=0 -s -w", "-trimpath"],
        &["-ldflags=-checklinkname=0", "-buildmode=pie"],
    ] {
        compare(flags);
    }
}

#[test]
fn addresses_outside_go_stay_in_the_stack_without_names() {
    let maps = parse_maps("1000-2000 r-xp 0 0:0 0 /lib/libc.so.6\n").expect("maps");
    let mut symbolizer = Symbolizer::new(&maps, |_| None);
    let stack = symbolizer.stack(&[0x1010, 0x1020, 0x9000]);
    let told: Vec<_> = stack
        .locations
        .iter()
        .map(|l| (l.address, l.mapping, l.frames.len()))
        .collect();
    assert_eq!(
        told,
        [
            (0x1010, Some(0), 0),
            (0x101f, Some(0), 0),
            (0x8fff, None, 0)
        ]
    );
    assert!(!stack.complete);
}
