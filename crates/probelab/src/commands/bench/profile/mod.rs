//! The profiler: how well it knows who calls whom, what that costs, how quickly it is written, and what a
//! build gains from it; beside other profilers.

mod calls;
mod cost;
mod gain;
mod large;
mod others;
mod speed;

use std::{
    collections::BTreeSet,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use goprof::{Edges, Meta, Sampler, Samples, Symbolizer, pprof::Profile};
use labcheck::scratch::Scratch;
use pgo::decisions::Decision;

use super::{Measured, Row};
use crate::{
    build::go,
    commands::samples::{EVENT_STORE, Sample},
    site::Site,
    trouble::{OrTrouble as _, Outcome, Trouble},
};

/// Samples for each second of CPU time; odd, so that it keeps step with nothing.
const HZ: u32 = 1_997;

/// Whether callers are right.
pub fn calls(site: &Site, rounds: u32) -> Outcome<Measured> {
    let store = Service::build(site, EVENT_STORE)?;
    let (rows, sentence) = calls::rows(site, &store, rounds)?;
    Ok(Measured::new("profile-calls", rows, sentence))
}

/// What a sample costs.
pub fn cost(site: &Site, rounds: u32) -> Outcome<Measured> {
    let store = Service::build(site, EVENT_STORE)?;
    let (rows, sentence) = cost::rows(&store, rounds)?;
    Ok(Measured::new("profile-cost", rows, sentence))
}

/// How quickly a profile is named and written.
pub fn speed(site: &Site, rounds: u32) -> Outcome<Measured> {
    let store = Service::build(site, EVENT_STORE)?;
    let (rows, sentence) = speed::rows(&store, rounds)?;
    Ok(Measured::new("profile-speed", rows, sentence))
}

/// A large program: opened, and profiled.
pub fn large(site: &Site, rounds: u32) -> Outcome<Measured> {
    let store = Service::build(site, EVENT_STORE)?;
    let (rows, sentence) = large::rows(site, &store, rounds)?;
    Ok(Measured::new("profile-large", rows, sentence))
}

/// What a build gains from a profile.
pub fn gain(site: &Site, rounds: u32) -> Outcome<Measured> {
    let store = Service::build(site, EVENT_STORE)?;
    let (rows, sentence) = gain::rows(site, &store, rounds)?;
    Ok(Measured::new("profile-gain", rows, sentence))
}

/// All of them.
pub fn all(site: &Site, rounds: u32) -> Outcome<Measured> {
    let store = Service::build(site, EVENT_STORE)?;
    let parts = [
        calls::rows(site, &store, rounds)?,
        cost::rows(&store, rounds)?,
        speed::rows(&store, rounds)?,
        large::rows(site, &store, rounds)?,
        gain::rows(site, &store, rounds)?,
    ];
    let (rows, sentences): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
    let rows = rows.into_iter().flatten().collect();
    Ok(Measured::new("profile", rows, sentences.join("\n")))
}

/// What one part of the bench found: its rows, and what they mean.
type Part = (Vec<Row>, String);

/// A service, built without a profile, and its load.
struct Service {
    sample: Sample,
    folder: Scratch,
    program: PathBuf,
    load: PathBuf,
    /// What the compiler has decided in the service's own packages.
    decisions: BTreeSet<Decision>,
}

impl Service {
    fn build(site: &Site, sample: Sample) -> Outcome<Self> {
        let folder = scratch()?;
        let (program, load) = (folder.path().join("service"), folder.path().join("load"));
        let decisions = sample.build(site, &program, None)?;
        sample.build_load(site, &load)?;
        Ok(Self {
            sample,
            folder,
            program,
            load,
            decisions,
        })
    }
}

fn scratch() -> Outcome<Scratch> {
    Scratch::new("bench").or_infrastructure(|| "cannot make a folder".to_owned())
}

/// A recording of ours.
struct Ours {
    repaired: Samples,
    /// As frame pointers alone tell it.
    bare: Samples,
    symbols: Symbolizer,
}

impl Ours {
    /// Records `pid` while `act` runs.
    fn record(pid: u32, act: impl FnOnce() -> Outcome<()>) -> Outcome<Self> {
        let symbols = goprof::for_process(pid).map_err(told)?;
        let sampler = Sampler::start(pid, HZ, &symbols).map_err(told)?;
        act()?;
        let recording = sampler.recording().map_err(told)?;
        let (repaired, _) = goprof::repair(&recording.stacks, &symbols);
        let mut bare = Samples::default();
        for (stack, count) in recording.stacks {
            bare.add(stack.addresses, count);
        }
        Ok(Self {
            repaired,
            bare,
            symbols,
        })
    }

    fn edges(&mut self, samples: &Samples) -> Edges {
        Edges::of(&goprof::to_profile(samples, &mut self.symbols, meta(HZ)))
    }
}

/// Of a recording whose time is of no interest.
fn meta(hz: u32) -> Meta {
    Meta {
        period_nanos: 1_000_000_000 / i64::from(hz),
        time_nanos: 0,
        duration_nanos: 0,
    }
}

/// How many samples there are in a profile.
fn count(profile: &Profile) -> u64 {
    let counts = profile
        .sample
        .iter()
        .filter_map(|sample| sample.value.first());
    counts.map(|&count| count.unsigned_abs()).sum()
}

fn read(bytes: &[u8]) -> Outcome<Profile> {
    goprof::read(bytes).map_err(told)
}

fn told(error: goprof::Error) -> Trouble {
    Trouble::infrastructure(error.to_string(), "")
}

/// What runtime/pprof records of a service in so many seconds.
fn fetch(address: &str, seconds: u64) -> Outcome<Profile> {
    let body = get(address, &format!("/debug/pprof/profile?seconds={seconds}"))?;
    read(&body)
}

/// What a service answers.
fn get(address: &str, path: &str) -> Outcome<Vec<u8>> {
    let ask = || -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(address)?;
        // The older version ends the answer where the connection ends.
        write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    };
    let answer = ask().or_infrastructure(|| "the service does not answer".to_owned())?;
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    Ok(end.map_or(&[][..], |end| &answer[end + 4..]).to_vec())
}

/// The training load of a service, until it is dropped.
struct Load(Child);

impl Load {
    /// For so many seconds at most.
    fn start(load: &Path, address: &str, seconds: u64) -> Outcome<Self> {
        Command::new(load)
            .args(["--addr", address, "--seed", "1", "--mix", "train"])
            .args(["--requests", "2000", "--workers", "2", "--seconds"])
            .arg(seconds.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map(Self)
            .or_infrastructure(|| "cannot start the load".to_owned())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Builds a Go program, as it would be built for use.
fn build(module: &Path, to: &Path) -> Outcome<PathBuf> {
    let output = go::command()
        .current_dir(module)
        .args(["build", "-trimpath", "-o"])
        .arg(to)
        .arg(".")
        .output()
        .or_infrastructure(|| "cannot start go: `./lab setup` installs it".to_owned())?;
    if output.status.success() {
        return Ok(to.to_path_buf());
    }
    Err(Trouble::infrastructure(
        format!(
            "{} does not build: {}",
            module.display(),
            String::from_utf8_lossy(&output.stderr).trim()
        ),
        "see `lab doctor`",
    ))
}
