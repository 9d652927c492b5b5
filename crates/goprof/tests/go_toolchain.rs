//! What the Go toolchain makes of our profiles: `go tool pprof`, `go tool preprofile`, and
//! `go build -pgo`.

mod common;

use std::path::PathBuf;

use goprof::{
    Against, Edge, Edges, MapEntry, Meta, Samples, Symbolizer, check, encode, to_profile,
};
use gosym::{Binary, Mapping};

const SAMPLES: u64 = 3000;

struct Recording {
    dir: tempfile::TempDir,
    profile: PathBuf,
    drive_start: u32,
    hot_line: u32,
}

impl Recording {
    fn path(&self) -> &str {
        common::text(&self.profile)
    }
}

/// The profile that sampling the fixture would give, without its noise: every sample in `next`,
/// called from the line of `drive` that is marked so, except a few in `drive` itself.
fn record() -> Recording {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let exe = dir.path().join("pgo");
    let flags = [
        "build",
        "-pgo=off",
        "-trimpath",
        "-o",
        common::text(&exe),
        ".",
    ];
    common::go_ok("pgo", &flags);
    let source = std::fs::read_to_string(common::fixture("pgo").join("main.go")).expect("source");
    let marked = source.lines().position(|l| l.contains("// the hot call"));
    let hot_line = marked.expect("a marked line") as u32 + 1;

    let bin = Binary::open(&exe).expect("it opens");
    let entry_of = |name: &str| {
        let function = bin.functions().find(|f| f.name == name);
        function.unwrap_or_else(|| panic!("no {name}"))
    };
    let (next, drive, main) = (
        entry_of("main.(*rng).next"),
        entry_of("main.drive"),
        entry_of("main.main"),
    );
    let runtime_main = entry_of("runtime.main");
    // Any byte of the line's code stands for the call: look-up is by line.
    let in_line = |line: u32| {
        let mut pcs = drive.entry..drive.end;
        pcs.find(|pc| bin.file_line(*pc).is_some_and(|(_, l)| l == line))
            .expect("the line has code")
    };
    let after_call = in_line(hot_line) + 1;
    let rest = [main.entry + 5, runtime_main.entry + 5];
    let mut samples = Samples::default();
    samples.add(
        [&[next.entry + 9, after_call][..], &rest].concat(),
        SAMPLES - 10,
    );
    samples.add([&[after_call][..], &rest].concat(), 10);

    // The fixture is linked at a fixed address: one mapping as the kernel would make it.
    let text = bin.text_range();
    let start = text.start & !0xfff;
    let map = MapEntry {
        mapping: Mapping {
            start,
            end: text.end.next_multiple_of(4096),
            offset: bin.file_offset_of_vaddr(text.start).expect("mapped") - (text.start - start),
        },
        executable: true,
        inode: 1,
        device: (8, 0),
        path: "/app/pgo".to_owned(),
        deleted: false,
    };
    let mut bin = Some(std::sync::Arc::new(bin));
    let mut symbolizer = Symbolizer::new(&[map], |_| bin.take());
    let meta = Meta {
        period_nanos: 10_000_000,
        time_nanos: 1_700_000_000_000_000_000,
        duration_nanos: 30_000_000_000,
    };
    let profile_path = dir.path().join("cpu.pprof");
    let profile = to_profile(&samples, &mut symbolizer, meta);
    assert!(
        check(&profile).iter().all(|f| f.id == "inlined-frames"),
        "{:?}",
        check(&profile)
    );
    std::fs::write(&profile_path, encode(&profile)).expect("it writes");
    Recording {
        dir,
        profile: profile_path,
        drive_start: source
            .lines()
            .position(|l| l.starts_with("func drive"))
            .expect("drive") as u32
            + 1,
        hot_line,
    }
}

#[test]
fn pprof_top_names_the_hot_function() {
    if !common::has_go() {
        return;
    }
    let recording = record();
    let top = common::go_ok(
        "pgo",
        &[
            "tool",
            "pprof",
            "-top",
            "-sample_index=samples",
            recording.path(),
        ],
    );
    let first = top
        .lines()
        .find(|l| l.trim_end().ends_with("main.(*rng).next"));
    let fields: Vec<&str> = first.expect(&top).split_whitespace().collect();
    assert_eq!(fields[0], "2990", "{top}");
    assert!(top.contains("Duration: 30s"), "{top}");
}

#[test]
fn pprof_raw_shows_types_mapping_and_lines() {
    if !common::has_go() {
        return;
    }
    let recording = record();
    let raw = common::go_ok("pgo", &["tool", "pprof", "-raw", recording.path()]);
    let hot_call = format!(
        "main.drive pgo/main.go:{}:0 s={}",
        recording.hot_line, recording.drive_start
    );
    for want in [
        "samples/count cpu/nanoseconds",
        "PeriodType: cpu nanoseconds",
        "/app/pgo",
        &hot_call,
    ] {
        assert!(raw.contains(want), "{want} is not in\n{raw}");
    }
}

#[test]
fn preprofile_gives_the_expected_edges() {
    if !common::has_go() {
        return;
    }
    let recording = record();
    let out = recording.dir.path().join("edges");
    common::go_ok(
        "pgo",
        &[
            "tool",
            "preprofile",
            "-i",
            recording.path(),
            "-o",
            common::text(&out),
        ],
    );
    let edges = std::fs::read_to_string(out).expect("it was written");
    let mut lines = edges.lines();
    assert_eq!(lines.next(), Some("GO PREPROFILE V1"));
    let edges: Vec<_> = lines
        .collect::<Vec<_>>()
        .chunks(3)
        .map(<[_]>::to_vec)
        .collect();
    let offset = recording.hot_line - recording.drive_start;
    let hot = format!("{offset} {}", SAMPLES - 10);
    assert_eq!(edges[0], ["main.drive", "main.(*rng).next", &hot]);
    // The compiler reads two locations of each sample: the ten in `drive` give its caller's edge.
    assert_eq!(edges.len(), 2, "{edges:?}");
    assert_eq!(edges[1][..2], ["main.main", "main.drive"]);
}

#[test]
fn go_build_inlines_the_hot_call_only_with_our_profile() {
    if !common::has_go() {
        return;
    }
    let recording = record();
    let exe = recording.dir.path().join("with-profile");
    let decision = format!(
        "main.go:{}:18: inlining call to (*rng).next",
        recording.hot_line
    );
    let with = format!("-pgo={}", recording.path());
    for (pgo, inlined) in [("-pgo=off", false), (with.as_str(), true)] {
        let args = [
            "build",
            "-trimpath",
            pgo,
            "-gcflags=-m=2",
            "-o",
            common::text(&exe),
            ".",
        ];
        let told = common::go_ok("pgo", &args);
        assert_eq!(told.contains(&decision), inlined, "{pgo}:\n{told}");
    }
    let info = common::go_ok("pgo", &["version", "-m", common::text(&exe)]);
    assert!(info.contains("-pgo="), "{info}");
}

/// Byte for byte: weights, offsets, order.
#[test]
fn edges_are_those_that_go_tool_preprofile_prints() {
    if !common::has_go() {
        return;
    }
    let recording = record();
    let mut profiles = vec![recording.profile.clone()];
    // Recorded from real services, by runtime/pprof and by ours.
    let committed = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../labs/610-first-pgo-build/profiles");
    for name in ["one.pprof", "two.pprof", "three.pprof"] {
        profiles.push(committed.join(name));
    }
    let mut compared = 0;
    for path in profiles {
        let profile = goprof::read(&std::fs::read(&path).expect("it is there")).expect("a pprof");
        if check(&profile)
            .iter()
            .any(|found| found.severity == goprof::Severity::Error)
        {
            continue;
        }
        let out = recording.dir.path().join("edges");
        let (from, to) = (common::text(&path), common::text(&out));
        common::go_ok("pgo", &["tool", "preprofile", "-i", from, "-o", to]);
        let theirs = std::fs::read_to_string(&out).expect("it was written");
        assert_eq!(goprof::Edges::of(&profile).preprofile(), theirs, "{from}");
        compared += goprof::Edges::of(&profile).len();
    }
    assert!(compared > 100, "only {compared} calls were compared");
}

/// A profile of an older source: what is inlined everywhere is still there, what was renamed is not.
#[test]
fn functions_that_the_program_lacks_are_named() {
    if !common::has_go() {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let exe = dir.path().join("stacks");
    let ldflags = "-ldflags=-checklinkname=0 -s -w";
    let args = ["build", ldflags, "-o", common::text(&exe), "."];
    common::go_ok("stacks", &args);
    let program = Binary::open(&exe).expect("it opens");
    let edges = |calls: &[(&str, &str, i64)]| -> Edges {
        calls
            .iter()
            .map(|(caller, callee, weight)| (Edge::new(caller, 1, callee), *weight))
            .collect()
    };
    let today = [
        ("main.directly", "main.inlinedOnce", 40),
        ("runtime.main", "main.main", 10),
        ("runtime.mallocgc", "runtime.memclrNoHeapPointers", 30),
    ];
    let against = Against::of(&edges(&today), &program);
    assert_eq!((against.stale, against.own), (0.0, Some(0.625)));
    assert_eq!(against.finding(), None);

    let older = [&today[..], &[("main.main", "main.renamed", 20)]].concat();
    let against = Against::of(&edges(&older), &program);
    assert_eq!(against.lacking, [("main.renamed".to_owned(), 20)]);
    let finding = against.finding().expect("a fifth is gone");
    assert_eq!(finding.id, "stale-names");
    assert!(
        finding.message.starts_with("20 % ") && finding.message.ends_with(": main.renamed"),
        "{}",
        finding.message
    );
}
