//! A sound course loads as written; names, tracks and an instructor's choices work.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use common::{COURSE, Fixture, LAB, render};
use course::{
    Arch, Capability, Course, KernelVersion, Needs, Progress, Signal, Slug, StepId, StepResult,
    Verdict,
};

fn slug(text: &str) -> Slug {
    Slug::new(text).unwrap()
}

/// Three labs: the third requires the second, and the track leaves the second out.
fn three_labs() -> Fixture {
    let fixture = Fixture::sound();
    fixture.lab("110-second", &LAB.replace("part = 0", "part = 1"));
    let third = LAB
        .replace("part = 0", "part = 2")
        .replace("requires = []", "requires = [\"second\"]");
    fixture.lab("210-third", &third);
    fixture.edit(
        "course.toml",
        "labs = [\"first-probe\", \"go-arguments\"]",
        "labs = [\"go-arguments\", \"third\", \"first-probe\"]",
    );
    fixture
}

fn pass(progress: &mut Progress, course: &Course, name: &str) {
    let lab = course.find(name).unwrap();
    for step in &lab.steps {
        progress.record(
            &lab.slug,
            lab.revision,
            &StepResult {
                step: step.id.clone(),
                verdict: Verdict::Pass,
                points: step.points,
                of: step.points,
                checks: Vec::new(),
            },
        );
    }
}

#[test]
fn a_sound_lab_is_read_as_written() {
    let fixture = Fixture::sound();
    let course = fixture.load().unwrap();
    let mut lab = course.find("first-probe").unwrap().clone();
    lab.dir = "LAB".into();
    lab.solution = "SOLUTION".into();
    for wrong in &mut lab.wrong {
        wrong.dir = wrong.dir.strip_prefix(fixture.root()).unwrap().to_owned();
    }
    insta::assert_debug_snapshot!(lab);
}

#[test]
fn needs_of_every_kind_are_read() {
    let fixture = Fixture::sound();
    let start = LAB.find("[needs]").unwrap();
    let end = LAB.find("[[artifact]]").unwrap();
    let needs = "[needs]\nkernel = \"6.6\"\nconfig = [\"CONFIG_BPF_LSM\"]\nbtf = true\n\
                 program-types = [\"lsm\"]\nhelpers = [\"bpf_get_stackid\"]\n\
                 attach = [\"lsm-mac\"]\ncapabilities = [\"sys-admin\"]\n\
                 modules = [\"veth\"]\narch = [\"x86_64\"]\ntools = [\"go\", \"bpf-linker\"]\n\n";
    let text = format!("{}{needs}{}", &LAB[..start], &LAB[end..]);
    fixture.lab("010-first-probe", &text);
    let course = fixture.load().unwrap();
    let expected = Needs {
        kernel: Some(KernelVersion { major: 6, minor: 6 }),
        config: vec!["CONFIG_BPF_LSM".to_owned()],
        btf: true,
        program_types: vec!["lsm".to_owned()],
        helpers: vec!["bpf_get_stackid".to_owned()],
        attach: vec!["lsm-mac".to_owned()],
        capabilities: vec![Capability::SYS_ADMIN],
        modules: vec!["veth".to_owned()],
        arch: vec![Arch::X86_64],
        tools: vec!["go".to_owned(), "bpf-linker".to_owned()],
    };
    assert_eq!(course.labs[0].needs, expected);
}

#[test]
fn mistakes_can_be_shown_a_line_each() {
    let fixture = Fixture::sound();
    fixture.edit("labs/010-first-probe/lab.toml", "points = 10", "points = 0");
    let problems = fixture.load().unwrap_err();
    let lines: Vec<String> = problems.lines().collect();
    assert_eq!(
        lines,
        [
            "labs/010-first-probe/lab.toml:37: `points` must be from 1 to 100, and here it is 0 \
          (choose a whole number from 1 to 100)"
        ]
    );
}

#[test]
fn a_steps_run_overrides_the_labs_key_by_key() {
    let fixture = Fixture::sound();
    let with_run = LAB.replace(
        "[[wrong]]\nname = \"prints",
        "[step.run]\nargs = []\nstop = \"SIGTERM\"\n\n[[wrong]]\nname = \"prints",
    );
    fixture.lab("010-first-probe", &with_run);
    let course = fixture.load().unwrap();
    let lab = course.find("10").unwrap();
    let run = lab.run_for(lab.step("count").unwrap()).unwrap();
    assert_eq!((run.stop, run.args.len()), (Signal::Term, 0));
    assert_eq!(run.bpf, Some(slug("bpf")));
}

#[test]
fn a_lab_answers_to_its_slug_and_its_number() {
    let fixture = three_labs();
    let course = fixture.load().unwrap();
    for name in ["first-probe", "010", "10", "010-first-probe"] {
        assert_eq!(course.find(name).unwrap().number, 10, "{name}");
    }
}

#[test]
fn a_name_that_no_lab_has_gets_the_nearest() {
    let fixture = Fixture::sound();
    let course = fixture.load().unwrap();
    for (case, name) in [
        ("slip", "frist-prob"),
        ("planned", "go-arguments"),
        ("none", "990"),
    ] {
        let error = course.find(name).unwrap_err();
        insta::assert_snapshot!(format!("not-found-{case}"), render(&error, 100));
    }
    let error = course.track(Some("go-pog")).unwrap_err();
    insta::assert_snapshot!("not-found-track", render(&error, 100));
}

#[test]
fn a_lab_of_answers_and_go_needs_no_wrong_answer_that_knows_the_truth() {
    let fixture = Fixture::sound();
    let start = LAB.find("[[artifact]]").unwrap();
    let end = LAB.find("[starter]").unwrap();
    let go = "[[artifact]]\nname = \"service\"\nkind = \"go\"\npath = \"src\"\n\n";
    let text = format!("{}{go}{}", &LAB[..start], &LAB[end..]);
    fixture.lab("010-first-probe", &text.replace("knows-truth = true\n", ""));
    assert_eq!(fixture.load().unwrap().labs.len(), 1);
}

#[test]
fn a_course_without_any_solutions_loads() {
    let fixture = Fixture::sound();
    fixture.remove("solutions");
    assert_eq!(fixture.load().unwrap().labs.len(), 1);
}

#[test]
fn next_is_the_first_lab_left_whose_requirements_are_passed() {
    let fixture = three_labs();
    let course = fixture.load().unwrap();
    let track = course.track(None).unwrap();
    let (mut progress, _) = Progress::open(&fixture.path("my")).unwrap();
    let mut order = Vec::new();
    while let Some(lab) = course.next(&progress, track) {
        order.push(lab.slug.to_string());
        pass(&mut progress, &course, &order[order.len() - 1]);
    }
    // `third` waits for `second`, which is not on the track, until nothing else is left.
    assert_eq!(order, ["first-probe", "second", "third"]);
}

#[test]
fn a_track_may_ask_for_first_steps_only() {
    let fixture = Fixture::sound();
    let start = LAB.find("[[step]]").unwrap();
    let end = LAB.find("[[wrong]]").unwrap();
    let more = LAB[start..end]
        .replace("\"count\"", "\"more\"")
        .replace("checks = [", "checks = [\"more-match\"] #")
        .replace("on = \"hook-is-right\"\n", "");
    fixture.lab(
        "010-first-probe",
        &format!("{}{more}{}", &LAB[..end], &LAB[end..]),
    );
    let some = "first-steps = { first-probe = 1 }\nsummary";
    fixture.edit("course.toml", "summary", some);
    let course = fixture.load().unwrap();
    let (mut progress, _) = Progress::open(&fixture.path("my")).unwrap();
    let track = course.track(None).unwrap();
    assert_eq!(course.next(&progress, track).map(|l| l.number), Some(10));
    let first = StepResult {
        step: StepId::new("count").unwrap(),
        verdict: Verdict::Pass,
        points: 10,
        of: 10,
        checks: Vec::new(),
    };
    progress.record(&slug("first-probe"), 1, &first);
    assert_eq!(course.next(&progress, track), None);
    assert!(!progress.is_lab_passed(course.find("10").unwrap()));
}

#[test]
fn an_instructor_selects_reweights_caps_and_adds() {
    let fixture = three_labs();
    let own = "hint-level-cap = 1\nhide-solutions = true\nprivate = [\"extra\"]\n\
               default-track = \"ours\"\n[labs]\nexclude = [\"first-probe\"]\n\
               [weights]\nthird = 1.5\n\
               [track.ours]\ntitle = \"Ours\"\nsummary = \"For us.\"\nlabs = [\"private-lab\", \"third\"]\n";
    fixture.write("teaching/course.toml", own);
    let private = Fixture::sound();
    private.lab("300-private-lab", &LAB.replace("part = 0", "part = 3"));
    for tree in ["labs", "solutions"] {
        let to = fixture.path("teaching/extra").join(tree);
        std::fs::create_dir_all(&to).unwrap();
        let name = "300-private-lab";
        std::fs::rename(private.path(tree).join(name), to.join(name)).unwrap();
    }
    let course = Course::load_with(fixture.root(), &fixture.path("teaching")).unwrap();
    let numbers: Vec<u16> = course.labs.iter().map(|lab| lab.number).collect();
    assert_eq!(numbers, [110, 210, 300]);
    assert_eq!((course.hint_level_cap, course.hide_solutions), (1, true));
    assert_eq!(course.weights, BTreeMap::from([(slug("third"), 1.5)]));
    assert_eq!(course.title, "Linux performance");
    assert_eq!(course.track(None).unwrap().name, "ours");
    // The course's own track goes on without the lab left out.
    let full = &course.track(Some("full")).unwrap().labs;
    assert_eq!(full, &[slug("go-arguments"), slug("third")]);
}

#[test]
fn a_planned_lab_may_exist() {
    let fixture = Fixture::sound();
    let planned = COURSE.replace(
        "[\"go-arguments\"]\n\n",
        "[\"go-arguments\", \"first-probe\"]\n\n",
    );
    fixture.write("course.toml", &planned);
    assert_eq!(fixture.load().unwrap().labs.len(), 1);
}

#[test]
fn the_repositorys_own_course_toml_is_sound() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let fixture = Fixture::sound();
    let text = std::fs::read_to_string(root.join("course.toml")).unwrap();
    fixture.write("course.toml", &text);
    let course = fixture.load().unwrap();
    assert_eq!(course.track(Some("go-pgo")).unwrap().labs.len(), 11);
    assert_eq!(course.track(Some("workshop")).unwrap().labs.len(), 6);
}
