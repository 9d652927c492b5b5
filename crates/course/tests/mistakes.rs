//! Every kind of mistake in a lab or `course.toml`, and what its author is told.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::Fixture;

/// A mistake: its name, and how to make it in a sound course.
type Mistake = (&'static str, fn(&Fixture));

const TOML: &str = "labs/010-first-probe/lab.toml";

macro_rules! edits {
    ($($name:literal: $from:expr => $to:expr;)+) => {
        &[$(($name, |f| f.edit(TOML, $from, $to)),)+]
    };
}

const IN_LAB_TOML: &[Mistake] = edits! {
    "syntax": "part = 0" => "part = ";
    "unknown-key": "revision = 1" => "revison = 1";
    "unknown-key-in-step": "minutes = 15" => "minutes = 15\nduration = 3";
    "missing-key": "title = \"First probe\"\n" => "";
    "missing-key-in-table": "kind = \"cargo\"\n" => "";
    "missing-starter": "[starter]\nstep = \"count\"\nfails = \"counts-match\"\n" => "";
    "empty-text": "\"First probe\"" => "\" \"";
    "wrong-type-number": "part = 0" => "part = \"zero\"";
    "wrong-type-string": "where = \"any\"" => "where = true";
    "wrong-type-list": "edit = [\"ebpf/src/main.rs\"]" => "edit = \"ebpf/src/main.rs\"";
    "wrong-type-in-list": "\"--pid\", \"$PID\"" => "\"--pid\", 7";
    "wrong-type-table": "[needs]\nkernel = \"5.10\"\nprogram-types = [\"tracepoint\"]\ncapabilities = [\"bpf\", \"perfmon\"]\n" => "needs = 3\n";
    "wrong-type-bool": "knows-truth = true" => "knows-truth = \"yes\"";
    "bad-id": "id = \"count\"" => "id = \"Count_Calls\"";
    "id-too-long": "name = \"bpf\"" => "name = \"a-name-that-has-more-letters-than-32\"";
    "duplicate-artifact": "name = \"bpf\"" => "name = \"program\"";
    "duplicate-in-list": "[\"bpf\", \"perfmon\"]" => "[\"bpf\", \"bpf\"]";
    "duplicate-check": "\"program-loads\", \"hook-is-right\"" => "\"counts-match\", \"program-loads\", \"hook-is-right\"";
    "duplicate-wrong": "name = \"counts-twice\"" => "name = \"prints-the-answer\"";
    "points-zero": "points = 10" => "points = 0";
    "points-many": "points = 10" => "points = 1000";
    "minutes-many": "minutes = 15" => "minutes = 45";
    "part-differs": "part = 0" => "part = 2";
    "unknown-where": "\"any\"" => "\"hots\"";
    "unknown-kind": "\"bpf-rust\"" => "\"bpf_rust\"";
    "unknown-capability": "\"perfmon\"" => "\"perfmom\"";
    "unknown-signal": "bpf = \"bpf\"" => "bpf = \"bpf\"\nstop = \"SIGKILL\"";
    "unknown-output": "bpf = \"bpf\"" => "bpf = \"bpf\"\noutput = \"jsn\"";
    "unknown-program-type": "\"tracepoint\"" => "\"tracepont\"";
    "program-type-is-a-hook": "\"tracepoint\"" => "\"uprobe\"";
    "unknown-arch": "kernel = \"5.10\"" => "arch = [\"amd64\"]";
    "bad-kernel": "\"5.10\"" => "\"5.10.3\"";
    "bad-config": "kernel = \"5.10\"" => "config = [\"BPF_LSM\"]";
    "bad-helper": "kernel = \"5.10\"" => "helpers = [\"get_stackid\"]";
    "bad-variable": "bpf = \"bpf\"" => "bpf = \"bpf\"\nenv = { LAB_TRUTH = \"3\" }";
    "path-absolute": "[\"ebpf/src/main.rs\"]" => "[\"/etc/passwd\"]";
    "path-upwards": "[\"ebpf/src/main.rs\"]" => "[\"../020-other/main.rs\"]";
    "path-with-a-dot": "[\"ebpf/src/main.rs\"]" => "[\"./ebpf/src/main.rs\"]";
    "edit-missing-file": "[\"ebpf/src/main.rs\"]" => "[\"ebpf/src/main.rs\", \"ebpf/src/maps.rs\"]";
    "edit-folder": "[\"ebpf/src/main.rs\"]" => "[\"ebpf/src/main.rs\", \"ebpf/src\"]";
    "edit-empty": "[\"ebpf/src/main.rs\"]" => "[]";
    "edit-build-file": "[\"ebpf/src/main.rs\"]" => "[\"ebpf/src/main.rs\", \"Cargo.toml\"]";
    "artifact-missing-path": "path = \"ebpf\"" => "path = \"bpf\"";
    "artifact-stray-key": "path = \"ebpf\"" => "path = \"ebpf\"\npgo = \"Cargo.toml\"";
    "run-unknown-artifact": "artifact = \"program\"" => "artifact = \"programme\"";
    "run-not-a-program": "artifact = \"program\"" => "artifact = \"bpf\"";
    "run-bpf-not-bpf": "\nbpf = \"bpf\"" => "\nbpf = \"program\"";
    "step-unknown-artifact": "points = 10" => "points = 10\nartifacts = [\"bfp\"]";
    "starter-unknown-check": "fails = \"counts-match\"" => "fails = \"count-matches\"";
    "starter-unknown-step": "step = \"count\"\nfails" => "step = \"cout\"\nfails";
    "caught-by-nothing": "caught-by = \"program-loads\"" => "caught-by = \"program-ran\"";
    "hint-on-nothing": "on = \"hook-is-right\"" => "on = \"hook-is-wrong\"";
    "hint-bad-level": "level = 3" => "level = 4";
    "hint-missing-level": "level = 1" => "level = 2";
    "checks-empty": "[\"program-loads\", \"hook-is-right\", \"counts-match\"]" => "[]";
    "no-truth": "knows-truth = true" => "knows-truth = false";
    "requires-unknown": "requires = []" => "requires = [\"frist-steps\"]";
    "requires-itself": "requires = []" => "requires = [\"first-probe\"]";
};

const IN_THE_FOLDER: &[Mistake] = &[
    ("no-step", |f| {
        let text = common::LAB;
        let start = text.find("[[step]]").unwrap();
        let end = text.find("[[wrong]]").unwrap();
        f.write(TOML, &format!("{}{}", &text[..start], &text[end..]));
    }),
    ("duplicate-step", |f| {
        let text = common::LAB;
        let start = text.find("[[step]]").unwrap();
        let end = text.find("[[wrong]]").unwrap();
        let again = text[start..end].replace("checks = [", "checks = [\"other\"] #");
        let again = again.replace("on = \"hook-is-right\"\n", "");
        f.write(TOML, &format!("{}{again}{}", &text[..end], &text[end..]));
    }),
    ("check-of-another-step", |f| {
        let text = common::LAB;
        let start = text.find("[[step]]").unwrap();
        let end = text.find("[[wrong]]").unwrap();
        let other = text[start..end]
            .replace("id = \"count\"", "id = \"other\"")
            .replace("checks = [", "checks = [\"other-check\"] #")
            .replace("on = \"hook-is-right\"\n", "");
        let rest = text[end..].replace(
            "caught-by = \"counts-match\"",
            "caught-by = \"other-check\"",
        );
        f.write(TOML, &format!("{}{other}{rest}", &text[..end]));
    }),
    ("one-wrong-answer", |f| {
        let cut = common::LAB.rfind("[[wrong]]").unwrap();
        f.write(TOML, &common::LAB[..cut]);
        f.remove("labs/010-first-probe/wrong/counts-twice");
    }),
    ("path-through-a-link", |f| {
        let link = f.path("labs/010-first-probe/ebpf/src/main.rs");
        f.remove("labs/010-first-probe/ebpf/src/main.rs");
        std::os::unix::fs::symlink("/etc/passwd", link).unwrap();
    }),
    ("wrong-folder-missing", |f| {
        f.remove("labs/010-first-probe/wrong/counts-twice")
    }),
    ("wrong-folder-empty", |f| {
        f.remove("labs/010-first-probe/wrong/counts-twice/ebpf")
    }),
    ("wrong-folder-stray-file", |f| {
        f.write("labs/010-first-probe/wrong/counts-twice/build.rs", "");
    }),
    ("wrong-folder-undeclared", |f| {
        f.write("labs/010-first-probe/wrong/forgotten/ebpf/src/main.rs", "");
    }),
    ("solution-missing", |f| {
        f.remove("solutions/010-first-probe")
    }),
    ("solution-stray-file", |f| {
        f.write("solutions/010-first-probe/Cargo.toml", "")
    }),
    ("two-labs-one-slug", |f| {
        f.lab("020-first-probe", common::LAB)
    }),
    ("two-labs-one-number", |f| {
        f.lab("010-second-probe", common::LAB)
    }),
    ("folder-number-short", |f| {
        f.lab("20-second-probe", common::LAB)
    }),
    ("folder-number-odd", |f| {
        f.lab("012-second-probe", common::LAB)
    }),
    ("folder-slug-bad", |f| {
        f.lab("020-Second_Probe", common::LAB)
    }),
    ("requires-in-a-circle", |f| {
        f.edit(TOML, "requires = []", "requires = [\"second-probe\"]");
        let second = common::LAB.replace("requires = []", "requires = [\"first-probe\"]");
        f.lab("020-second-probe", &second);
    }),
    ("lab-toml-not-utf-8", |f| {
        std::fs::write(f.path(TOML), b"title = \"\xff\"").unwrap()
    }),
    ("several-at-once", |f| {
        f.edit(TOML, "part = 0", "part = 1");
        f.edit(TOML, "points = 10", "points = 0");
        f.edit(TOML, "revision = 1", "revison = 1");
    }),
];

const IN_COURSE_TOML: &[Mistake] = &[
    ("course-missing", |f| f.remove("course.toml")),
    ("course-unknown-key", |f| {
        f.edit("course.toml", "default-track", "defualt-track")
    }),
    ("course-unknown-lab", |f| {
        f.edit(
            "course.toml",
            "labs = [\"first-probe\"",
            "labs = [\"frist-probe\"",
        );
    }),
    ("course-unknown-default", |f| {
        f.edit("course.toml", "\"full\"", "\"ful\"")
    }),
    ("course-no-track", |f| {
        f.write("course.toml", "title = \"T\"\ndefault-track = \"full\"\n");
    }),
    ("course-track-empty", |f| {
        f.edit("course.toml", "[\"first-probe\", \"go-arguments\"]", "[]");
    }),
    ("course-bad-weight", |f| {
        f.edit(
            "course.toml",
            "[track",
            "[weights]\nfirst-probe = -1\n\n[track",
        );
    }),
    ("course-bad-cap", |f| {
        f.edit("course.toml", "[track", "hint-level-cap = 4\n\n[track")
    }),
    ("course-private-missing", |f| {
        f.edit("course.toml", "[track", "private = [\"extra\"]\n\n[track");
    }),
    ("course-excludes-unknown", |f| {
        f.edit(
            "course.toml",
            "[track",
            "[labs]\nexclude = [\"second\"]\n\n[track",
        );
    }),
    ("course-first-steps-many", |f| {
        f.edit(
            "course.toml",
            "summary",
            "first-steps = { first-probe = 2 }\nsummary",
        );
    }),
    ("course-first-steps-elsewhere", |f| {
        f.edit(
            "course.toml",
            "summary",
            "first-steps = { monorepo = 1 }\nsummary",
        );
    }),
];

fn each_is_told(mistakes: &[Mistake]) {
    for (name, make) in mistakes {
        let fixture = Fixture::sound();
        make(&fixture);
        let told = match fixture.load() {
            Ok(_) => panic!("the mistake `{name}` was not noticed"),
            Err(problems) => fixture.show(&problems),
        };
        insta::assert_snapshot!(*name, told);
    }
}

#[test]
fn mistakes_in_lab_toml_are_told_with_place_and_fix() {
    each_is_told(IN_LAB_TOML);
}

#[test]
fn mistakes_in_a_labs_folder_are_told_with_a_fix() {
    each_is_told(IN_THE_FOLDER);
}

#[test]
fn mistakes_in_course_toml_are_told_with_place_and_fix() {
    each_is_told(IN_COURSE_TOML);
}
