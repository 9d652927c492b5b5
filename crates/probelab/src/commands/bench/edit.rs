//! How long a learner waits after saving a one-line edit of a BPF program.
//!
//! Ours: overlay, build, check: what `lab check` does, in this process. The peer: the same edit in
//! a project laid out as aya's template is (a `build.rs` that calls aya-build, a target folder of
//! its own), built by `cargo build`, and then the same check, whose time is taken from ours.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use course::Lab;
use labcheck::scratch::Scratch;
use pgo::ruler;

use super::{Measured, Row};
use crate::{
    check::{self, Job},
    report::Word,
    site::Site,
    trouble::{OrTrouble as _, Outcome, Trouble},
    versions,
    vm::On,
};

/// A solved lab with one BPF program and a user-space side, as most are.
const LAB: &str = "first-probe";
const SOURCE: &str = "ebpf/src/main.rs";

/// Runs the bench.
pub fn run(site: &Site, rounds: u32) -> Outcome<Measured> {
    let course = site.course()?;
    let lab = course.find(LAB)?;
    let work =
        Scratch::new("bench").or_infrastructure(|| "cannot make a folder to work in".to_owned())?;
    let source = fs::read_to_string(lab.solution.join(SOURCE))
        .or_infrastructure(|| "cannot read the solution".to_owned())?;

    let answer = work.path().join("answer");
    let template = template(site, lab, work.path())?;
    errln!("building both once (the template compiles a `core` of its own: about a minute) …");
    edit(&answer.join(SOURCE), &source, 0)?;
    checked(site, lab, &answer)?;
    edit(&template.join("first-probe-ebpf/src/main.rs"), &source, 0)?;
    let cold = built(&template)?;

    let (mut ours, mut peer, mut peer_build, mut ratios, mut build_ratios) =
        (vec![], vec![], vec![], vec![], vec![]);
    for round in 1..=rounds {
        let mut us = (0.0, 0.0, 0.0);
        let mut them = 0.0;
        // Whoever is second in a round finds the machine as the first left it: take turns.
        for turn in 0..2 {
            if (round + turn) % 2 == 0 {
                edit(&answer.join(SOURCE), &source, round)?;
                us = checked(site, lab, &answer)?;
            } else {
                edit(
                    &template.join("first-probe-ebpf/src/main.rs"),
                    &source,
                    round,
                )?;
                them = built(&template)?;
            }
        }
        let (whole, build, check) = us;
        ours.push(whole);
        peer.push(them + check);
        peer_build.push(them);
        ratios.push(whole / (them + check));
        build_ratios.push(build / them);
        errln!(
            "round {round}/{rounds}: ours {whole:.2} s (build {build:.2}), template {:.2} s (build {them:.2})",
            them + check
        );
    }
    let row = |name: &str, ours: &mut Vec<f64>, peer: &mut Vec<f64>, ratios: Vec<f64>| {
        let n = ratios.len();
        let estimate = ruler::estimate(&[ratios], 1).ok_or_else(|| {
            Trouble::infrastructure("no round was measured", "ask for more with --rounds")
        })?;
        Ok::<_, Trouble>(Row {
            name: name.to_owned(),
            unit: "s",
            ours: ruler::median(ours).unwrap_or_default(),
            peer: ruler::median(peer).unwrap_or_default(),
            ratio: estimate.ratio,
            ci95: [estimate.interval.0, estimate.interval.1],
            n,
        })
    };
    let mut build_only: Vec<f64> = build_ratios
        .iter()
        .zip(&peer_build)
        .map(|(ratio, peer)| ratio * peer)
        .collect();
    let rows = vec![
        row("save to verdict", &mut ours, &mut peer, ratios)?,
        row(
            "build alone",
            &mut build_only,
            &mut peer_build,
            build_ratios,
        )?,
    ];
    let sentence = format!(
        "A one-line BPF edit is judged in {:.2} s, {:.2} of the time that building it the template's way and checking it takes. \
         The template's first build took {cold:.0} s, which it takes once for each lab; here `core` is compiled once for all.",
        rows[0].ours, rows[0].ratio
    );
    Ok(Measured::new("edit", rows, sentence))
}

/// Writes the solution with a line that differs from round to round and changes the program's code.
fn edit(file: &Path, source: &str, round: u32) -> Outcome<()> {
    let edited = source.replace(
        "with_max_entries(10_240, 0)",
        &format!("with_max_entries({}, 0)", 10_240 + round),
    );
    if edited == source && round > 0 {
        return Err(Trouble::infrastructure(
            format!("{LAB} has changed: the line that this bench edits is gone"),
            "",
        ));
    }
    let write = || {
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(file, edited)
    };
    write().or_infrastructure(|| format!("cannot write {}", file.display()))
}

/// Checks the answer as `lab check` does. Returns seconds: all, building, checking.
fn checked(site: &Site, lab: &Lab, answer: &Path) -> Outcome<(f64, f64, f64)> {
    let begin = Instant::now();
    let report = check::check(&Job {
        site,
        lab,
        files: Some(answer.to_owned()),
        variant: "bench".into(),
        shown_as: "answer".into(),
        step: None,
        seed: 1,
        tell_truth: false,
        on: &[On::Native],
        interactive: false,
    })?;
    let seconds = begin.elapsed().as_secs_f64();
    if report.verdict != Word::Pass {
        let why = report
            .trouble()
            .and_then(|step| step.failed())
            .map_or(report.message.clone(), |check| check.message.clone());
        return Err(Trouble::infrastructure(
            format!("the solution of {LAB} does not pass here: {why}"),
            "see `lab doctor`",
        ));
    }
    Ok((seconds, report.build_seconds, report.check_seconds))
}

/// Seconds that `cargo build` takes in the template project.
fn built(template: &Path) -> Outcome<f64> {
    let begin = Instant::now();
    let output = Command::new("cargo")
        .args(["build", "--package", "first-probe"])
        .current_dir(template)
        .env("RUSTUP_TOOLCHAIN", versions::stable())
        .env_remove("CARGO_TARGET_DIR")
        .env_remove("RUSTFLAGS")
        .stdin(Stdio::null())
        .output()
        .or_infrastructure(|| "cannot start cargo".to_owned())?;
    if !output.status.success() {
        return Err(Trouble::infrastructure(
            format!(
                "the template project does not build:\n{}",
                String::from_utf8_lossy(&output.stderr)
            ),
            "",
        ));
    }
    Ok(begin.elapsed().as_secs_f64())
}

/// A project as aya's template lays it out, with the lab's own sources.
fn template(site: &Site, lab: &Lab, work: &Path) -> Outcome<PathBuf> {
    let root = work.join("template");
    let labkit = site.root.join("crates/labkit");
    let labkit_ebpf = site.root.join("crates/labkit-ebpf");
    let user = fs::read_to_string(lab.dir.join("src/main.rs"))
        .or_infrastructure(|| "cannot read the lab".to_owned())?;
    let files = [
        (
            "Cargo.toml",
            "[workspace]\nresolver = \"3\"\nmembers = [\"first-probe\", \"first-probe-ebpf\"]\n\
             default-members = [\"first-probe\"]\n\n[profile.release.package.first-probe-ebpf]\ndebug = 2\ncodegen-units = 1\n"
                .to_owned(),
        ),
        (
            "first-probe/Cargo.toml",
            format!(
                "[package]\nname = \"first-probe\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[dependencies]\nanyhow = \"1\"\n\
                 aya = {{ version = \"0.16.0\", default-features = false }}\nlabkit = {{ path = {:?} }}\n\n[build-dependencies]\n\
                 anyhow = \"1\"\naya-build = \"0.2.1\"\nfirst-probe-ebpf = {{ path = \"../first-probe-ebpf\" }}\n",
                labkit.display().to_string()
            ),
        ),
        (
            "first-probe/build.rs",
            format!(
                "fn main() -> anyhow::Result<()> {{\n    aya_build::build_ebpf(\n        [aya_build::Package {{ name: \"first-probe-ebpf\", \
                 root_dir: concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/../first-probe-ebpf\"), ..Default::default() }}],\n        \
                 aya_build::Toolchain::Custom({:?}),\n    )\n}}\n",
                versions::pinned("BPF_NIGHTLY")
            ),
        ),
        // The template embeds the object into the program, which is what relinks it for each edit.
        (
            "first-probe/src/main.rs",
            format!(
                "{user}\npub static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!(\"OUT_DIR\"), \"/first-probe-ebpf\"));\n"
            ),
        ),
        (
            "first-probe-ebpf/Cargo.toml",
            format!(
                "[package]\nname = \"first-probe-ebpf\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[dependencies]\naya-ebpf = \"0.3.0\"\n\
                 labkit-ebpf = {{ path = {:?} }}\n\n\
                 [[bin]]\nname = \"first-probe-ebpf\"\npath = \"src/main.rs\"\n",
                labkit_ebpf.display().to_string()
            ),
        ),
        ("first-probe-ebpf/src/lib.rs", "#![no_std]\n".to_owned()),
    ];
    for (name, text) in files {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap_or(&root))
            .and_then(|()| fs::write(&path, text))
            .or_infrastructure(|| format!("cannot write {}", path.display()))?;
    }
    fs::copy(site.root.join("labs/Cargo.lock"), root.join("Cargo.lock"))
        .or_infrastructure(|| "cannot copy labs/Cargo.lock".to_owned())?;
    Ok(root)
}
