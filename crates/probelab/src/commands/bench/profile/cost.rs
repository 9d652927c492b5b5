//! What a sample costs: the service that is looked at, and the profiler. From what the same work takes with
//! many samples and with few: what a profiler takes at one rate alone drowns in noise.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use goprof::{Edges, Sampler};
use labcheck::machine;
use pgo::ruler;
use rustix::process::{Pid, Signal};

use super::{Part, Row, Store, count, get, meta, read, scratch, told};
use crate::{
    commands::tour::arms::Arm,
    trouble::{OrTrouble as _, Outcome, Trouble},
};

/// Samples for each second of CPU time.
const RATES: [u32; 4] = [99, 499, 1_999, 4_999];
/// CPU seconds of the service's in a slice of work.
const SLICE: f64 = 0.7;
/// Slices of each round that nobody looks at: the others are told from their mean.
const ALONE: usize = 3;
/// Resamples that an interval rests on.
const RESAMPLES: usize = 2_000;

/// Who looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Profiler {
    Goprof,
    Perf,
    Bpftrace,
    Pprof,
}

impl Profiler {
    const ALL: [Self; 4] = [Self::Goprof, Self::Perf, Self::Bpftrace, Self::Pprof];

    fn name(self) -> &'static str {
        match self {
            Self::Goprof => "goprof",
            Self::Perf => "perf",
            Self::Bpftrace => "bpftrace",
            Self::Pprof => "runtime/pprof",
        }
    }

    /// Where it is; `None` for what is no program of its own.
    fn program(self) -> Option<&'static str> {
        match self {
            Self::Perf => Some("perf"),
            Self::Bpftrace => Some("bpftrace"),
            Self::Goprof | Self::Pprof => None,
        }
    }
}

/// Measures all that are here.
pub fn rows(store: &Store, rounds: u32) -> Outcome<Part> {
    let mut here = Vec::new();
    for profiler in Profiler::ALL {
        match profiler.program() {
            Some(program) if machine::on_path(program).is_none() => {
                errln!("{program} is not here, beside which the cost would be measured");
            }
            _ => here.push(profiler),
        }
    }
    const TRIAL: u64 = 100;
    let mut rng = fastrand::Rng::with_seed(1);
    let mut measured = Vec::new();
    for number in 1..=rounds {
        errln!("cost of a sample: round {number}/{rounds}");
        // A store for each: the more it holds, the more its queries take.
        let arm = Arm::start(&store.program)?;
        let cost = arm.slice(&store.load, 1, TRIAL)?.max(0.001);
        let requests = ((TRIAL as f64 * SLICE / cost) as u64).clamp(50, 20_000);
        arm.slice(&store.load, 2, requests)?;
        // The same work for each, in random order.
        let work = || arm.slice(&store.load, u64::from(number) + 2, requests);
        let with = here
            .iter()
            .flat_map(|profiler| RATES.map(|hz| Some((*profiler, hz))));
        let mut order: Vec<_> = with.chain([None; ALONE]).collect();
        rng.shuffle(&mut order);
        let mut round = Round::default();
        for which in order {
            match which {
                None => round.alone.push(work()?),
                Some((profiler, hz)) => {
                    let seen = look(profiler, hz, &arm, work)?;
                    round.seen.push((profiler, seen));
                }
            }
        }
        measured.push(round);
    }
    let peers = here
        .iter()
        .filter(|profiler| **profiler != Profiler::Goprof);
    let mut rows = Vec::new();
    for peer in peers {
        for (what, of) in [
            ("service", Cost::service as fn(&Cost) -> f64),
            ("profiler", Cost::profiler),
        ] {
            // What it takes itself is the service's.
            if *peer == Profiler::Pprof && what == "profiler" {
                continue;
            }
            rows.push(row(
                format!("CPU of the {what} for a sample, beside {}", peer.name()),
                &measured,
                *peer,
                of,
                &mut rng,
            ));
        }
    }
    let ours = Cost::of(&measured, Profiler::Goprof);
    let sentence = format!(
        "A sample of goprof takes {:.1} µs of the service's time and {:.1} µs of its own: of a busy core {:.2} % at 99 Hz, and {:.0} ms for each recording.",
        ours.service * 1e6,
        ours.profiler * 1e6,
        (ours.service + ours.profiler) * 99.0 * 100.0,
        ours.fixed * 1e3,
    );
    Ok((rows, sentence))
}

/// The same work, looked at in each way.
#[derive(Default)]
struct Round {
    /// CPU seconds of the service, when nobody looked.
    alone: Vec<f64>,
    seen: Vec<(Profiler, Seen)>,
}

/// A slice of work that was looked at.
struct Seen {
    /// CPU seconds of the service.
    service: f64,
    /// CPU seconds of the profiler.
    profiler: f64,
    samples: u64,
}

/// Seconds of CPU time.
struct Cost {
    /// Of the service, for each sample.
    service: f64,
    /// Of the profiler, for each sample.
    profiler: f64,
    /// Of the profiler, for each recording.
    fixed: f64,
}

impl Cost {
    fn service(&self) -> f64 {
        self.service
    }

    fn profiler(&self) -> f64 {
        self.profiler
    }

    /// By least squares over all slices that `profiler` looked at: of the service through what the work
    /// takes alone, of the profiler with what it takes whatever it sees.
    fn of<'a>(rounds: impl IntoIterator<Item = &'a Round>, profiler: Profiler) -> Self {
        let (mut n, mut x, mut xx, mut y, mut xy, mut extra) = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
        for round in rounds {
            let alone = round.alone.iter().sum::<f64>() / round.alone.len() as f64;
            for (_, seen) in round.seen.iter().filter(|(which, _)| *which == profiler) {
                let samples = seen.samples as f64;
                n += 1.0;
                x += samples;
                xx += samples * samples;
                y += seen.profiler;
                xy += samples * seen.profiler;
                extra += samples * (seen.service - alone);
            }
        }
        let slope = (n * xy - x * y) / (n * xx - x * x);
        Self {
            service: extra / xx,
            profiler: slope,
            fixed: (y - slope * x) / n,
        }
    }
}

/// Microseconds for a sample, and the interval of their ratio by resampling rounds.
fn row(
    name: String,
    rounds: &[Round],
    peer: Profiler,
    of: fn(&Cost) -> f64,
    rng: &mut fastrand::Rng,
) -> Row {
    let both = |rounds: &[&Round]| {
        let cost = |profiler| of(&Cost::of(rounds.iter().copied(), profiler)) * 1e6;
        (cost(Profiler::Goprof), cost(peer))
    };
    let (ours, theirs) = both(&rounds.iter().collect::<Vec<_>>());
    let mut ratios: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let drawn: Vec<_> = rounds
                .iter()
                .map(|_| &rounds[rng.usize(..rounds.len())])
                .collect();
            let (ours, theirs) = both(&drawn);
            ours / theirs
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    let at = |share: f64| ratios[((RESAMPLES - 1) as f64 * share) as usize];
    Row {
        name,
        unit: "µs",
        ours,
        peer: theirs,
        ratio: ours / theirs,
        ci95: [at(0.025), at(0.975)],
        n: rounds.len(),
    }
}

fn look(profiler: Profiler, hz: u32, arm: &Arm, work: impl Fn() -> Outcome<f64>) -> Outcome<Seen> {
    match profiler {
        Profiler::Goprof => by_goprof(hz, arm.pid(), work),
        Profiler::Perf => by_perf(hz, arm.pid(), work),
        Profiler::Bpftrace => by_bpftrace(hz, arm.pid(), work),
        Profiler::Pprof => by_pprof(hz, arm.address(), work),
    }
}

/// From the start of the sampler to the profile's bytes.
fn by_goprof(hz: u32, pid: u32, work: impl Fn() -> Outcome<f64>) -> Outcome<Seen> {
    let clock =
        || ruler::cpu_time(std::process::id()).or_infrastructure(|| "no clock of ours".to_owned());
    let begin = clock()?;
    let mut symbols = goprof::for_process(pid).map_err(told)?;
    let sampler = Sampler::start(pid, hz, &symbols).map_err(told)?;
    let ready = clock()?;
    let service = work()?;
    let after = clock()?;
    let recording = sampler.recording().map_err(told)?;
    drop(sampler);
    let (samples, _) = goprof::repair(&recording.stacks, &symbols);
    let profile = goprof::to_profile(&samples, &mut symbols, meta(hz));
    let bytes = goprof::encode(&profile);
    let end = clock()?;
    // So that nothing of it is left out for being of no use.
    if bytes.is_empty() || Edges::of(&profile).is_empty() {
        return Err(Trouble::infrastructure("goprof has seen nothing", ""));
    }
    Ok(Seen {
        service,
        // Without what it takes to start the load.
        profiler: (ready - begin + (end - after)).as_secs_f64(),
        samples: recording.samples,
    })
}

/// Recording alone, without `perf script` to name what was seen.
fn by_perf(hz: u32, pid: u32, work: impl Fn() -> Outcome<f64>) -> Outcome<Seen> {
    let folder = scratch()?;
    let data: PathBuf = folder.path().join("perf.data");
    let mut child = perf_record(hz, pid, &data)?;
    // It says nothing when it is ready.
    std::thread::sleep(Duration::from_millis(500));
    let service = work();
    let _ = rustix::process::kill_process(Pid::from_child(&child), Signal::INT);
    let profiler = cpu_when_ended(&mut child)?;
    let samples = perf_samples(child)?;
    Ok(Seen {
        service: service?,
        profiler,
        samples,
    })
}

/// Starts `perf record`, as it is used for Go.
pub fn perf_record(hz: u32, pid: u32, to: &Path) -> Outcome<Child> {
    Command::new("perf")
        .args(["record", "-e", "cpu-clock", "--call-graph", "fp", "-F"])
        .args([
            hz.to_string(),
            "-p".to_owned(),
            pid.to_string(),
            "-o".to_owned(),
        ])
        .arg(to)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .or_infrastructure(|| "cannot start perf".to_owned())
}

/// How many samples a perf that is ending says that it has.
pub fn perf_samples(child: Child) -> Outcome<u64> {
    let output = child
        .wait_with_output()
        .or_infrastructure(|| "perf is gone".to_owned())?;
    let said = String::from_utf8_lossy(&output.stderr);
    said.split_once(" samples)")
        .and_then(|(before, _)| before.rsplit('(').next()?.parse().ok())
        .ok_or_else(|| {
            Trouble::infrastructure(format!("perf has recorded nothing: {}", said.trim()), "")
        })
}

/// As its users do: stacks of one process, counted in the kernel, named and printed in the end.
fn by_bpftrace(hz: u32, pid: u32, work: impl Fn() -> Outcome<f64>) -> Outcome<Seen> {
    let mut child = bpftrace(hz, pid)?;
    let mut output = BufReader::new(child.stdout.take().ok_or_else(nothing)?);
    let mut line = String::new();
    output
        .read_line(&mut line)
        .or_infrastructure(|| "bpftrace says nothing".to_owned())?;
    // It says that it attaches before it does.
    std::thread::sleep(Duration::from_millis(300));
    let service = work();
    let _ = rustix::process::kill_process(Pid::from_child(&child), Signal::INT);
    let mut printed = String::new();
    let _ = output.read_to_string(&mut printed);
    let profiler = cpu_when_ended(&mut child)?;
    let _ = child.wait();
    let samples = printed.lines().filter_map(counts).sum();
    if samples == 0 {
        return Err(nothing());
    }
    Ok(Seen {
        service: service?,
        profiler,
        samples,
    })
}

/// Starts bpftrace, as it is used to count stacks.
pub fn bpftrace(hz: u32, pid: u32) -> Outcome<Child> {
    let script = format!("profile:hz:{hz} /pid == {pid}/ {{ @[ustack] = count(); }}");
    Command::new("bpftrace")
        .args(["-f", "json", "-e", &script])
        // As many different stacks as goprof has room for.
        .env("BPFTRACE_MAP_KEYS_MAX", "65536")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .or_infrastructure(|| "cannot start bpftrace".to_owned())
}

fn nothing() -> Trouble {
    Trouble::infrastructure("bpftrace has recorded nothing", "")
}

/// The sum of a map that bpftrace has printed: `{"type": "map", "data": {"@": {STACK: COUNT, …}}}`.
fn counts(line: &str) -> Option<u64> {
    let value: serde_json::Value = serde_json::from_str(line).ok()?;
    let counts = value.get("data")?.get("@")?.as_object()?.values();
    Some(counts.filter_map(serde_json::Value::as_u64).sum())
}

/// The service looks at itself, and pays for all of it.
fn by_pprof(hz: u32, address: &str, work: impl Fn() -> Outcome<f64>) -> Outcome<Seen> {
    // It is told how long before it begins: until the work is done, and not much longer.
    let begin = Instant::now();
    work()?;
    let seconds = begin.elapsed().as_secs() + 2;
    std::thread::scope(|scope| {
        let path = format!("/debug/pprof/profile?seconds={seconds}&hz={hz}");
        let fetched = scope.spawn(move || get(address, &path));
        std::thread::sleep(Duration::from_millis(300));
        let service = work();
        let body = fetched
            .join()
            .map_err(|_| Trouble::infrastructure("no profile was fetched", ""))??;
        Ok(Seen {
            service: service?,
            profiler: 0.0,
            samples: count(&read(&body)?),
        })
    })
}

/// CPU seconds of a child that is ending; it is not waited for.
fn cpu_when_ended(child: &mut Child) -> Outcome<f64> {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let stat = procfs::process::Process::new(child.id().cast_signed())
            .and_then(|process| process.stat())
            .or_infrastructure(|| "the profiler is gone".to_owned())?;
        if stat.state == 'Z' {
            return Ok((stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64);
        }
        if Instant::now() > until {
            let _ = child.kill();
            return Err(Trouble::infrastructure("the profiler does not end", ""));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A profiler that takes 10 µs of the service and 2 µs of its own for a sample, and 5 ms for each
    /// recording; and one that takes twice that of the service.
    #[test]
    fn costs_are_told_apart() {
        let round = |noise: f64| {
            let seen = |profiler, samples: u64, each: f64| {
                let samples_ = samples as f64;
                let seen = Seen {
                    service: 1.0 + noise + each * samples_,
                    profiler: 5e-3 + 2e-6 * samples_,
                    samples,
                };
                (profiler, seen)
            };
            let both = |n| {
                [
                    seen(Profiler::Goprof, n, 10e-6),
                    seen(Profiler::Perf, n, 20e-6),
                ]
            };
            Round {
                alone: vec![1.0 + noise; 2],
                seen: [100, 500, 2_000].into_iter().flat_map(both).collect(),
            }
        };
        let rounds = [round(0.0), round(0.1)];
        let ours = Cost::of(&rounds, Profiler::Goprof);
        assert!((ours.service - 10e-6).abs() < 1e-9, "{}", ours.service);
        assert!((ours.profiler - 2e-6).abs() < 1e-9, "{}", ours.profiler);
        assert!((ours.fixed - 5e-3).abs() < 1e-9, "{}", ours.fixed);
        let mut rng = fastrand::Rng::with_seed(1);
        let row = row(
            String::new(),
            &rounds,
            Profiler::Perf,
            Cost::service,
            &mut rng,
        );
        assert!((row.ratio - 0.5).abs() < 1e-6, "{row:?}");
    }

    #[test]
    fn what_bpftrace_prints_is_summed() {
        let line = r#"{"type": "map", "data": {"@": {"a+1\nb+2": 3, "c+1": 4}}}"#;
        assert_eq!(counts(line), Some(7));
        assert_eq!(
            counts(r#"{"type": "attached_probes", "data": {"probes": 1}}"#),
            None
        );
    }
}
