//! What gosym reads from the file against what the runtime of the same program says about itself.

mod common;

use std::collections::BTreeSet;
use std::process::Command;

use common::Mode;
use gosym::{Binary, Frame, FuncId, Mapping};
use serde::Deserialize;

#[derive(Deserialize)]
struct Header {
    maps: Vec<[u64; 3]>,
}

#[derive(Deserialize)]
struct Sample {
    pc: u64,
    sp: Option<i32>,
    frames: Vec<(String, String, u32, u32)>,
}

const MODES: [Mode; 5] = [
    Mode {
        name: "plain",
        flags: &[],
        ldflags: "",
        arch: "",
        external: false,
    },
    Mode {
        name: "stripped",
        flags: &[],
        ldflags: "-s -w",
        arch: "",
        external: false,
    },
    Mode {
        name: "trimpath",
        flags: &["-trimpath"],
        ldflags: "",
        arch: "",
        external: false,
    },
    Mode {
        name: "pie",
        flags: &["-buildmode=pie"],
        ldflags: "",
        arch: "",
        external: false,
    },
    Mode {
        name: "pie, stripped, linked by the C compiler",
        flags: &["-buildmode=pie"],
        ldflags: "-linkmode=external -s -w",
        arch: "",
        external: true,
    },
];

#[test]
fn frames_agree_with_the_runtime_in_every_build_mode() {
    if !common::has("go") {
        return;
    }
    for toolchain in common::toolchains() {
        for mode in MODES {
            if mode.external && Command::new("gcc").arg("--version").output().is_err() {
                eprintln!("skipped {}: no C compiler", mode.name);
                continue;
            }
            compare(&toolchain, mode);
        }
    }
}

fn compare(toolchain: &str, mode: Mode) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let exe = dir.path().join("selfdump");
    common::build("selfdump", mode, toolchain, &exe);
    let out = Command::new(&exe).arg("23").output().expect("it runs");
    assert!(out.status.success(), "{out:?}");
    let text = String::from_utf8(out.stdout).expect("UTF-8");
    let mut lines = text.lines();
    let header: Header = serde_json::from_str(lines.next().expect("a header")).expect("maps");
    let maps: Vec<Mapping> = header
        .maps
        .iter()
        .map(|&[start, end, offset]| Mapping { start, end, offset })
        .collect();

    let bin = Binary::open(&exe).expect("it opens");
    let what = format!("{toolchain}, {}", mode.name);
    assert_eq!(
        bin.is_pie(),
        mode.flags.contains(&"-buildmode=pie"),
        "{what}"
    );
    let minor = common::minor_version(toolchain);
    let sees_generics = minor >= 21;
    let (mut pcs, mut inlined, mut depths, mut unnamed) = (0u32, 0u32, 0u32, BTreeSet::new());
    for line in lines {
        let truth: Sample = serde_json::from_str(line).expect("a sample");
        let pc = maps
            .iter()
            .find_map(|m| bin.runtime_to_file(truth.pc, m))
            .unwrap_or_else(|| panic!("{what}: {:#x} is in no mapping", truth.pc));
        let ours = without_wrappers(bin.frames_at(pc), minor);
        assert_eq!(
            ours.len(),
            truth.frames.len(),
            "{what}: {pc:#x}: {ours:#?}\n{line}"
        );
        inlined += u32::from(ours.len() > 1);
        for (frame, (name, file, line, start)) in ours.iter().zip(&truth.frames) {
            if name.is_empty() {
                unnamed.insert(frame.function.clone());
            } else if sees_generics {
                assert_eq!(&frame.function, name, "{what}: {pc:#x}");
            } else {
                assert_eq!(&without_generics(&frame.function), name, "{what}: {pc:#x}");
            }
            let got = (&frame.file, frame.line, frame.start_line);
            assert_eq!(got, (file, *line, *start), "{what}: {pc:#x} {name}");
        }
        if let Some(sp) = truth.sp {
            assert_eq!(bin.sp_delta(pc), Some(sp), "{what}: {pc:#x}");
            depths += 1;
        }
        pcs += 1;
    }
    // The runtime prints the name at offset 0 as empty; it belongs to one function.
    assert!(unnamed.len() <= 1, "{what}: {unnamed:?}");
    assert!(pcs > 10_000, "{what}: only {pcs} PCs compared");
    assert!(inlined > 1_000, "{what}: {inlined} inlined");
    assert!(depths > 10_000 || minor < 23, "{what}: {depths} depths");
    eprintln!("{what}: {pcs} PCs agree, {inlined} with inlined calls, {depths} stack depths");
}

/// `runtime.expandFinalInlineFrame`'s rule: a PC with nothing inlined stands as it is. Go 1.20 also
/// kept the outermost frame always.
fn without_wrappers(frames: Vec<Frame>, minor: u32) -> Vec<Frame> {
    if frames.len() == 1 {
        return frames;
    }
    let mut callee = FuncId::Normal;
    let mut kept = Vec::new();
    for frame in frames {
        let id = frame.id;
        let last = minor <= 20 && !frame.inlined;
        if !frame.wrapper || !callee.hides_calling_wrapper() || last {
            kept.push(frame);
        }
        callee = id;
    }
    kept
}

/// `runtime.funcNameForPrint`.
fn without_generics(name: &str) -> String {
    match (name.find('['), name.rfind(']')) {
        (Some(open), Some(close)) if open < close => {
            format!("{}[...]{}", &name[..open], &name[close + 1..])
        }
        _ => name.to_owned(),
    }
}
