//! How quickly samples are named and written: beside `perf script`, and beside `go tool pprof -proto`.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use goprof::{Sampler, Symbolizer, pprof::Profile};
use pgo::ruler;

use super::{HZ, Load, Part, Row, Service, meta, others::Other, scratch, told};
use crate::{
    build::go,
    commands::samples::{EVENT_STORE, arms::Arm},
    trouble::{OrTrouble as _, Outcome, Trouble},
};

/// What is recorded once, and then named in each round.
const SPAN: Duration = Duration::from_secs(15);
/// How often each names it in a round.
const TIMES: u32 = 5;

/// Measures both.
pub fn rows(store: &Service, rounds: u32) -> Outcome<Part> {
    let folder = scratch()?;
    let bare = folder.path().join("bare.pprof");
    let written = folder.path().join("written.pprof");
    let has_perf = Other::here().contains(&Other::Perf);
    let arm = Arm::start(EVENT_STORE, &store.program)?;
    let load = Load::start(&store.load, arm.address(), SPAN.as_secs() + 20)?;
    std::thread::sleep(Duration::from_secs(1));

    errln!("naming and writing: recording for {} s", SPAN.as_secs());
    let mut symbols = goprof::for_process(arm.pid()).map_err(told)?;
    let mut perf = match has_perf {
        true => Some(Other::Perf.start(HZ, arm.pid(), true)?),
        false => None,
    };
    let sampler = Sampler::start(arm.pid(), HZ, &symbols).map_err(told)?;
    std::thread::sleep(SPAN);
    let recording = sampler.recording().map_err(told)?;
    drop(sampler);
    let perf_has = match &mut perf {
        Some(perf) => perf.stop()?.samples as f64,
        None => 0.0,
    };
    drop(load);
    let (samples, _) = goprof::repair(&recording.stacks, &symbols);
    let stacks = samples.iter().count() as f64;
    let named = goprof::to_profile(&samples, &mut symbols, meta(HZ));
    write(&bare, &without_names(named))?;

    let (mut ours, mut script, mut ours_stacks, mut proto) = (vec![], vec![], vec![], vec![]);
    let mut opened = Vec::new();
    for round in 1..=rounds {
        errln!("naming and writing: round {round}/{rounds}");
        let seconds = own(|| {
            let mut symbols = open(arm.pid())?;
            let (samples, _) = goprof::repair(&recording.stacks, &symbols);
            let profile = goprof::to_profile(&samples, &mut symbols, meta(HZ));
            write(&written, &profile)
        })?;
        ours.push(recording.samples as f64 / seconds);
        ours_stacks.push(stacks / seconds);
        opened.push(own(|| open(arm.pid()).map(drop))?);
        if let Some(perf) = &perf {
            let mut command = Command::new("perf");
            command
                .args(["script", "-F", "comm,tid,time,ip,sym", "-i"])
                .arg(&perf.data);
            script.push(perf_has / child(&mut command)?);
        }
        let mut command = go::command();
        command.args(["tool", "pprof", "-proto", "-symbolize=local", "-output"]);
        command.arg(folder.path().join("theirs.pprof"));
        command.args([&store.program, &bare]);
        proto.push(stacks / child(&mut command)?);
    }
    let mut rows = vec![];
    if !script.is_empty() {
        rows.push(Row::paired(
            "samples named and written, beside perf script".into(),
            "1/s",
            &ours,
            &script,
        )?);
    }
    rows.push(Row::paired(
        "distinct stacks, beside go tool pprof -proto".into(),
        "1/s",
        &ours_stacks,
        &proto,
    )?);
    let sentence = format!(
        "{} samples in {stacks} distinct stacks; of the time {:.0} ms open the binary of {:.0} MB. CPU time.",
        recording.samples,
        ruler::median(&mut opened).unwrap_or_default() * 1e3,
        fs::metadata(&store.program).map_or(0, |meta| meta.len()) as f64 / 1e6,
    );
    Ok((rows, sentence))
}

/// Opens a process's program anew.
pub fn open(pid: u32) -> Outcome<Symbolizer> {
    goprof::for_process(pid).map_err(told)
}

fn write(path: &Path, profile: &Profile) -> Outcome<()> {
    fs::write(path, goprof::encode(profile)).or_infrastructure(|| "cannot write".to_owned())
}

/// As a profiler leaves it that knows addresses only.
fn without_names(mut profile: Profile) -> Profile {
    for location in &mut profile.location {
        location.line.clear();
    }
    profile.function.clear();
    for mapping in &mut profile.mapping {
        mapping.has_functions = false;
        mapping.has_filenames = false;
        mapping.has_line_numbers = false;
        mapping.has_inline_frames = false;
    }
    profile
}

/// CPU seconds that this process takes for it, once.
pub fn own(act: impl Fn() -> Outcome<()>) -> Outcome<f64> {
    let clock =
        || ruler::cpu_time(std::process::id()).or_infrastructure(|| "no clock of ours".to_owned());
    let begin = clock()?;
    for _ in 0..TIMES {
        act()?;
    }
    Ok((clock()? - begin).as_secs_f64() / f64::from(TIMES))
}

/// CPU seconds that a command and those it starts take.
fn child(command: &mut Command) -> Outcome<f64> {
    let begin = ruler::children_cpu_time();
    let status = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .or_infrastructure(|| format!("cannot start {}", command.get_program().display()))?;
    if !status.success() {
        let name = command.get_program().display();
        return Err(Trouble::infrastructure(
            format!("{name} fails: {status}"),
            "",
        ));
    }
    Ok((ruler::children_cpu_time() - begin).as_secs_f64())
}
