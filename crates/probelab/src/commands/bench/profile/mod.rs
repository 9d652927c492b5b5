//! How well `goprof` knows who calls whom: beside what is true of a program made for it, and beside what
//! Go's own profiler says of a service. And what that costs.

mod cost;

use std::{
    fs,
    io::{BufRead, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use goprof::{Edges, KnownCalls, Meta, Sampler, Samples, Symbolizer, pprof::Profile};
use labcheck::scratch::Scratch;

use super::{Measured, Row};
use crate::{
    build::go,
    commands::tour::arms::Arm,
    site::Site,
    trouble::{OrTrouble as _, Outcome, Trouble},
};

/// A program whose calls have known weights; what it says of them is a learner's part.
const KNOWN: [&str; 3] = [
    "fixtures/course/labs/940-known-calls/go.mod",
    "fixtures/course/labs/940-known-calls/main.go",
    "fixtures/course/solutions/940-known-calls/claims.go",
];
const STORE: &str = "go-samples/eventstore";
/// Samples for each second of CPU time; odd, so that it keeps step with nothing.
const HZ: u32 = 1_997;
/// Of each round. A second of runtime/pprof has about a hundred samples.
const SPAN: Duration = Duration::from_secs(20);

/// Runs the bench.
pub fn run(site: &Site, rounds: u32) -> Outcome<Measured> {
    let folder = Scratch::new("bench").or_infrastructure(|| "cannot make a folder".to_owned())?;
    for file in KNOWN {
        let name = Path::new(file).file_name().unwrap_or_default();
        fs::copy(site.root.join(file), folder.path().join(name))
            .or_infrastructure(|| format!("cannot copy {file}"))?;
    }
    let program = build(folder.path(), ".", &folder.path().join("known"))?;
    let module = site.root.join(STORE);
    let store = build(&module, "./cmd/eventstore", &folder.path().join("store"))?;
    let load = build(&module, "./cmd/eventload", &folder.path().join("load"))?;
    let mut rng = fastrand::Rng::with_seed(1);

    let mut known = Known::default();
    for round in 1..=rounds {
        errln!("calls of known weight: round {round}/{rounds}");
        known.round(&program, &mut rng)?;
    }
    let mut service = Service::default();
    let arm = Arm::start(&store)?;
    for round in 1..=rounds {
        errln!("the event store: round {round}/{rounds}");
        service.round(&arm, &load, &mut rng)?;
    }
    let all = Row::paired(
        "known calls, beside frame pointers alone".into(),
        "overlap",
        &known.ours,
        &known.bare,
    )?;
    let equal = Row::paired(
        "the same, n as runtime/pprof's, beside it".into(),
        "overlap",
        &known.thinned,
        &known.theirs,
    )?;
    let service = Row::paired(
        "event store, with runtime/pprof, beside it with itself".into(),
        "overlap",
        &service.ours_with_theirs,
        &service.theirs_with_theirs,
    )?;
    let sentence = format!(
        "{:.1} % of the weight of calls is where it truly is ({:.0} samples a round), {:.1} % by frame pointers alone.",
        all.ours * 100.0,
        known.samples as f64 / f64::from(rounds),
        all.peer * 100.0,
    );
    let mut rows = vec![all, equal, service];
    rows.extend(cost::rows(&arm, &load, rounds, &mut rng)?);
    Ok(Measured::new("profile", rows, sentence))
}

/// Of the program whose calls have known weights.
#[derive(Default)]
struct Known {
    /// Overlap with the truth: all our samples, the same without the leaf's repair, as many of ours
    /// as runtime/pprof has, and runtime/pprof's.
    ours: Vec<f64>,
    bare: Vec<f64>,
    thinned: Vec<f64>,
    theirs: Vec<f64>,
    samples: u64,
}

impl Known {
    fn round(&mut self, program: &Path, rng: &mut fastrand::Rng) -> Outcome<()> {
        let folder =
            Scratch::new("bench").or_infrastructure(|| "cannot make a folder".to_owned())?;
        let path = folder.path().join("theirs.pprof");
        let mut child = Command::new(program)
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .or_infrastructure(|| "cannot start the program".to_owned())?;
        let truth = truth(&mut child)?;
        let mut ours = Ours::record(child.id(), || {
            std::thread::sleep(SPAN);
            Ok(())
        })?;
        drop(child.stdin.take());
        child
            .wait()
            .or_infrastructure(|| "the program is gone".to_owned())?;
        let bytes = fs::read(&path).or_infrastructure(|| "there is no profile".to_owned())?;
        let theirs = read(&bytes)?;
        let n = count(&theirs);

        let (repaired, bare) = (ours.repaired.clone(), ours.bare.clone());
        self.samples += repaired.total();
        self.ours.push(truth.overlap(&ours.edges(&repaired)));
        self.bare.push(truth.overlap(&ours.edges(&bare)));
        let thinned = thin(&repaired, n, rng);
        self.thinned.push(truth.overlap(&ours.edges(&thinned)));
        self.theirs.push(truth.overlap(&Edges::of(&theirs)));
        Ok(())
    }
}

/// Of the event store: overlap of calls with runtime/pprof's of the same time, and of these with
/// those of the time before, with as many samples each.
#[derive(Default)]
struct Service {
    ours_with_theirs: Vec<f64>,
    theirs_with_theirs: Vec<f64>,
}

impl Service {
    fn round(&mut self, arm: &Arm, load: &Path, rng: &mut fastrand::Rng) -> Outcome<()> {
        let seconds = SPAN.as_secs();
        let mut work = Command::new(load)
            .args(["--addr", arm.address(), "--seed", "1", "--mix", "train"])
            // Longer than two recordings.
            .args(["--requests", "2000", "--workers", "2", "--seconds"])
            .arg((seconds * 2 + 6).to_string())
            .stdout(Stdio::null())
            .spawn()
            .or_infrastructure(|| "cannot start the load".to_owned())?;
        let recorded = || -> Outcome<_> {
            std::thread::sleep(Duration::from_secs(2));
            let before = fetch(arm.address(), seconds)?;
            let mut during = None;
            let ours = Ours::record(arm.pid(), || {
                during = Some(fetch(arm.address(), seconds)?);
                Ok(())
            })?;
            Ok((before, during, ours))
        };
        let recorded = recorded();
        let _ = work.kill();
        let _ = work.wait();
        let (before, during, mut ours) = recorded?;
        let during = during.ok_or_else(|| Trouble::infrastructure("nothing was recorded", ""))?;
        // As many samples in each of the three.
        let repaired = ours.repaired.clone();
        let n = count(&before).min(count(&during)).min(repaired.total());
        let thinned = thin(&repaired, n, rng);
        let reference = Edges::of(&during);
        self.ours_with_theirs
            .push(ours.edges(&thinned).overlap(&reference));
        self.theirs_with_theirs
            .push(Edges::of(&before).overlap(&reference));
        Ok(())
    }
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

/// What the program says of itself before it works.
fn truth(child: &mut Child) -> Outcome<KnownCalls> {
    let output = child.stdout.take().map(BufReader::new);
    let lines = output.into_iter().flat_map(BufRead::lines);
    let lines: Vec<String> = lines
        .map_while(Result::ok)
        .take_while(|line| line != "ready")
        .collect();
    KnownCalls::parse(&lines.join("\n")).map_err(told)
}

/// `n` of the samples, drawn at random.
fn thin(samples: &Samples, n: u64, rng: &mut fastrand::Rng) -> Samples {
    let mut all: Vec<&[u64]> = samples
        .iter()
        .flat_map(|(stack, count)| std::iter::repeat_n(stack, count as usize))
        .collect();
    rng.shuffle(&mut all);
    let mut thinned = Samples::default();
    for stack in all.into_iter().take(n as usize) {
        thinned.add(stack.to_vec(), 1);
    }
    thinned
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
    let ask = || -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(address)?;
        // The older version ends the answer where the connection ends.
        write!(
            stream,
            "GET /debug/pprof/profile?seconds={seconds} HTTP/1.0\r\nHost: {address}\r\n\r\n"
        )?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    };
    let answer = ask().or_infrastructure(|| "the event store does not answer".to_owned())?;
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    let body = end.map_or(&[][..], |end| &answer[end + 4..]);
    read(body)
}

/// Builds a Go program, as it would be built for use.
fn build(module: &Path, package: &str, to: &Path) -> Outcome<PathBuf> {
    let output = go::command()
        .current_dir(module)
        .args(["build", "-trimpath", "-o"])
        .arg(to)
        .arg(package)
        .output()
        .or_infrastructure(|| "cannot start go: `./lab setup` installs it".to_owned())?;
    if output.status.success() {
        return Ok(to.to_path_buf());
    }
    Err(Trouble::infrastructure(
        format!(
            "{package} does not build: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        ),
        "see `lab doctor`",
    ))
}
