//! What gosym reads from the file against what the runtime of the same program says about itself.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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

/// A program that is made to print what its runtime knows: the fixture that is written for it, or any
/// other, by an overlay.
#[derive(Clone, Copy)]
struct Program {
    /// Its module, from the root of the checkout, and the folder of its main package in there.
    module: &'static str,
    main: &'static str,
    /// Bytes from one PC to the next.
    stride: u32,
}

const FIXTURE: Program = Program {
    module: "fixtures/gosym/selfdump",
    main: "",
    stride: 23,
};

const SERVICES: [Program; 3] = [
    service("go-samples/eventstore", "cmd/eventstore"),
    service("go-samples/markdown", "cmd/markdown"),
    service("go-samples/orchestrator", "cmd/orchestrator"),
];

/// More than 100 MB.
const LARGE: Program = Program {
    module: "fixtures/large",
    main: "",
    stride: 229,
};

const fn service(module: &'static str, main: &'static str) -> Program {
    Program {
        module,
        main,
        stride: 101,
    }
}

#[test]
fn frames_agree_with_the_runtime_in_every_build_mode() {
    if !common::has("go") {
        return;
    }
    for toolchain in common::toolchains() {
        for mode in MODES {
            compare(FIXTURE, &toolchain, mode);
        }
    }
}

#[test]
fn frames_agree_with_the_runtime_in_services() {
    if !common::has("go") {
        return;
    }
    for program in SERVICES {
        compare(program, "local", MODES[1]);
    }
}

#[test]
#[ignore = "builds 100 MB of Go in every mode: a quarter of an hour"]
fn frames_agree_with_the_runtime_in_large_programs_and_services_in_every_build_mode() {
    for mode in MODES {
        for program in SERVICES.into_iter().chain([LARGE]) {
            compare(program, "local", mode);
        }
    }
}

fn compare(program: Program, toolchain: &str, mode: Mode) {
    if mode.external && Command::new("gcc").arg("--version").output().is_err() {
        eprintln!("skipped {}: no C compiler", mode.name);
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let exe = dir.path().join("selfdump");
    let module = common::root().join(program.module);
    let main = format!("./{}", program.main);
    let overlay = (program.module != FIXTURE.module)
        .then(|| overlay(&module, &module.join(program.main), dir.path()));
    common::build_package(&module, &main, overlay.as_deref(), mode, toolchain, &exe);
    let mut child = Command::new(&exe)
        .env("SELFDUMP_STRIDE", program.stride.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut lines = BufReader::new(child.stdout.take().expect("its output"))
        .lines()
        .map(|line| line.expect("UTF-8"));
    let header: Header =
        serde_json::from_str(&lines.next().expect("a header")).expect("its mappings");
    let maps: Vec<Mapping> = header
        .maps
        .iter()
        .map(|&[start, end, offset]| Mapping { start, end, offset })
        .collect();

    let bin = Binary::open(&exe).expect("it opens");
    let what = format!(
        "{} {}, {toolchain}, {}",
        program.module, program.main, mode.name
    );
    assert_eq!(
        bin.is_pie(),
        mode.flags.contains(&"-buildmode=pie"),
        "{what}"
    );
    let minor = common::minor_version(toolchain);
    let sees_generics = minor >= 21;
    let (mut pcs, mut inlined, mut depths, mut unnamed) = (0u32, 0u32, 0u32, BTreeSet::new());
    for line in lines {
        let truth: Sample = serde_json::from_str(&line).expect("a sample");
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
    assert!(child.wait().expect("it ends").success(), "{what}");
    // The runtime prints the name at offset 0 as empty; it belongs to one function.
    assert!(unnamed.len() <= 1, "{what}: {unnamed:?}");
    assert!(pcs > 10_000, "{what}: only {pcs} PCs compared");
    assert!(inlined > 1_000, "{what}: {inlined} inlined");
    assert!(depths > 10_000 || minor < 23, "{what}: {depths} depths");
    eprintln!("{what}: {pcs} PCs agree, {inlined} with inlined calls, {depths} stack depths");
}

/// Puts the fixture's package `dump` into another module, and its import into the program, for `go build
/// -overlay`: neither is changed on disk.
fn overlay(module: &Path, main: &Path, dir: &Path) -> PathBuf {
    let go_mod = fs::read_to_string(module.join("go.mod")).expect("a module");
    let module_path = go_mod
        .lines()
        .find_map(|line| line.strip_prefix("module "))
        .expect("its path");
    let import = dir.join("import.go");
    fs::write(
        &import,
        format!("package main\n\nimport _ \"{module_path}/internal/selfdump\"\n"),
    )
    .expect("written");
    let dump = common::fixture("selfdump").join("dump");
    let mut replace = serde_json::Map::new();
    let mut add = |at: PathBuf, from: &Path| {
        replace.insert(
            at.to_str().expect("UTF-8").to_owned(),
            from.to_str().expect("UTF-8").into(),
        )
    };
    add(main.join("selfdump.go"), &import);
    for file in fs::read_dir(dump).expect("the fixture") {
        let file = file.expect("a file");
        add(
            module.join("internal/selfdump").join(file.file_name()),
            &file.path(),
        );
    }
    let path = dir.join("overlay.json");
    let text = serde_json::json!({ "Replace": replace }).to_string();
    fs::write(&path, text).expect("written");
    path
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
