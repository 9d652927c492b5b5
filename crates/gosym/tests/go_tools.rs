//! gosym against `go tool nm` and `go tool addr2line`, also for a machine this test does not run on.

mod common;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use common::Mode;
use gosym::{Arch, Binary};

fn built(name: &'static str, arch: &'static str) -> (tempfile::TempDir, std::path::PathBuf) {
    let mode = Mode {
        name: arch,
        flags: &["-trimpath"],
        ldflags: "",
        arch,
        external: false,
    };
    let dir = tempfile::tempdir().expect("a temporary directory");
    let exe = dir.path().join(name);
    common::build(name, mode, "local", &exe);
    (dir, exe)
}

fn tool(args: &[&str], input: &str) -> String {
    let mut child = Command::new("go")
        .arg("tool")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("go starts");
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let out = child.wait_with_output().expect("it ends");
    writer.join().expect("no panic").expect("it reads");
    assert!(out.status.success(), "go tool {args:?}");
    String::from_utf8(out.stdout).expect("UTF-8")
}

/// Every line of `addr2line` for the first, middle and last quarter of each function.
fn lines_agree(exe: &Path, bin: &Binary) -> usize {
    let step = if bin.arch() == Arch::Arm64 { 4 } else { 1 };
    let pcs: Vec<u64> = bin
        .functions()
        .flat_map(|f| {
            let quarter = (f.end - f.entry) / 4 / step * step;
            [f.entry, f.entry + quarter, f.entry + 2 * quarter]
        })
        .collect();
    let input: String = pcs.iter().map(|pc| format!("{pc:#x}\n")).collect();
    let answer = tool(&["addr2line", exe.to_str().expect("UTF-8")], &input);
    let mut told = answer.lines();
    let mut padding = 0;
    for pc in &pcs {
        let name = told.next().expect("a name");
        let place = told.next().expect("a place");
        assert_eq!(
            bin.function_at(*pc).expect("a function").name,
            name,
            "{pc:#x}"
        );
        let ours = bin
            .file_line(*pc)
            .map(|(file, line)| format!("{file}:{line}"));
        // Padding has no line; what the tool prints there means nothing.
        match ours {
            Some(ours) => assert_eq!(ours, place, "{pc:#x} in {name}"),
            None => padding += 1,
        }
    }
    assert!(
        padding * 20 < pcs.len(),
        "{padding} of {} without a line",
        pcs.len()
    );
    pcs.len()
}

#[test]
fn lines_agree_with_addr2line_on_both_machines() {
    if !common::has("go") {
        return;
    }
    for arch in ["amd64", "arm64"] {
        let (_dir, exe) = built("tiny", arch);
        let bin = Binary::open(&exe).expect("it opens");
        let compared = lines_agree(&exe, &bin);
        assert!(compared > 1000, "{arch}: only {compared} PCs");
    }
}

/// Each function against the symbols that `go tool nm` lists; returns how many there are.
fn symbols_agree(exe: &Path) -> usize {
    let bin = Binary::open(exe).expect("it opens");
    let listing = tool(&["nm", exe.to_str().expect("UTF-8")], "");
    let symbols: std::collections::HashSet<(u64, &str)> = listing
        .lines()
        .filter_map(|line| {
            let mut fields = line.trim().splitn(3, ' ');
            let addr = u64::from_str_radix(fields.next()?, 16).ok()?;
            let kind = fields.next()?;
            (kind.eq_ignore_ascii_case("t")).then_some((addr, fields.next()?))
        })
        .collect();
    let mut seen = 0;
    for function in bin.functions() {
        // In the symbol table alone the middle dot becomes a full stop, and assembly functions of
        // the stack calling convention get a suffix.
        let name = function.name.replace('·', ".");
        let stack_abi = format!("{name}.abi0");
        let known = [name.as_str(), stack_abi.as_str()]
            .iter()
            .any(|name| symbols.contains(&(function.entry, *name)));
        assert!(known, "{}: {:#x} {name}", exe.display(), function.entry);
        seen += 1;
    }
    seen
}

#[test]
fn every_function_is_a_symbol_of_nm_at_the_same_address() {
    if !common::has("go") {
        return;
    }
    for arch in ["amd64", "arm64"] {
        let (_dir, exe) = built("tiny", arch);
        let seen = symbols_agree(&exe);
        assert!(seen > 500, "{arch}: only {seen} functions");
    }
}

#[test]
fn a_shared_object_for_c_is_read_like_a_program() {
    if !common::has("go") {
        return;
    }
    if Command::new("gcc").arg("--version").output().is_err() {
        eprintln!("skipped: no C compiler");
        return;
    }
    let mode = Mode {
        name: "c-shared",
        flags: &["-buildmode=c-shared"],
        ldflags: "",
        arch: "",
        external: true,
    };
    let dir = tempfile::tempdir().expect("a temporary directory");
    let exe = dir.path().join("tiny.so");
    common::build("tiny", mode, "local", &exe);
    let seen = symbols_agree(&exe);
    assert!(seen > 500, "only {seen} functions");
}

#[test]
fn inlined_calls_are_found_for_arm64() {
    if !common::has("go") {
        return;
    }
    let (_dir, exe) = built("tiny", "arm64");
    let bin = Binary::open(&exe).expect("it opens");
    let main = bin
        .functions()
        .find(|f| f.name == "main.main")
        .expect("main.main");
    let inlined = (main.entry..main.end)
        .step_by(4)
        .map(|pc| bin.frames_at(pc))
        .find(|frames| frames.len() == 2)
        .expect("mix is inlined into main");
    let told: Vec<_> = inlined
        .iter()
        .map(|f| (f.function.as_str(), f.line, f.start_line))
        .collect();
    assert_eq!(told, [("main.mix", 7, 6), ("main.main", 14, 12)]);
}

#[test]
fn build_id_and_version_are_those_the_go_command_prints() {
    if !common::has("go") {
        return;
    }
    let (_dir, exe) = built("tiny", "amd64");
    let bin = Binary::open(&exe).expect("it opens");
    let path = exe.to_str().expect("UTF-8");
    let told = tool(&["buildid", path], "");
    assert_eq!(bin.go_build_id(), Some(told.trim()));
    let version = common::go(Path::new("."), "local", &["version", path], &[]);
    let version = String::from_utf8(version.stdout).expect("UTF-8");
    assert_eq!(bin.go_version_text(), version.trim().rsplit(": ").next());
}

#[test]
fn files_that_are_not_go_binaries_are_told_apart() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let script = dir.path().join("script");
    std::fs::write(&script, "#!/bin/sh\necho not an executable\n").expect("it writes");
    let cases = [
        (script.as_path(), "not an ELF file"),
        (Path::new("/proc/self/exe"), "this is not a Go program"),
        (dir.path(), "not a regular file"),
        (Path::new("/no/such/binary"), "cannot open /no/such/binary"),
    ];
    for (path, want) in cases {
        let error = Binary::open(path).expect_err("refused").to_string();
        assert!(error.contains(want), "{}: {error}", path.display());
    }
}
