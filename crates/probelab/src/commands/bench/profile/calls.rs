//! Who calls whom: beside what is true of a program made for it, and beside what Go's own profiler says of
//! a service.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use goprof::{Edge, Edges, KnownCalls, Samples};
use labcheck::machine;
use rustix::process::{Pid, Signal};

use super::{
    HZ, Load, Ours, Part, Row, Store, build,
    cost::{bpftrace, perf_record, perf_samples},
    count, fetch, read, scratch, told,
};
use crate::{
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
/// Of each round. A second of runtime/pprof has about a hundred samples.
const SPAN: Duration = Duration::from_secs(20);

/// Measures both.
pub fn rows(site: &Site, store: &Store, rounds: u32) -> Outcome<Part> {
    let folder = scratch()?;
    for file in KNOWN {
        let name = Path::new(file).file_name().unwrap_or_default();
        fs::copy(site.root.join(file), folder.path().join(name))
            .or_infrastructure(|| format!("cannot copy {file}"))?;
    }
    let program = build(folder.path(), ".", &folder.path().join("known"), None)?;
    let mut rng = fastrand::Rng::with_seed(1);

    let others = Other::here();
    let mut known = Known::default();
    for round in 1..=rounds {
        errln!("calls of known weight: round {round}/{rounds}");
        known.round(&program, &others, &mut rng)?;
    }
    let mut service = Service::default();
    let arm = Arm::start(&store.program)?;
    for round in 1..=rounds {
        errln!("calls of the event store: round {round}/{rounds}");
        service.round(&arm, &store.load, &mut rng)?;
    }
    let all = Row::paired(
        "known calls, beside frame pointers alone".into(),
        "overlap",
        &known.ours,
        &known.bare,
    )?;
    let mut rows = vec![];
    for (other, overlaps) in &known.others {
        rows.push(Row::paired(
            format!("the same, beside {}", other.name()),
            "overlap",
            &known.ours,
            overlaps,
        )?);
    }
    let equal = Row::paired(
        "the same, n as runtime/pprof's, beside it".into(),
        "overlap",
        &known.thinned,
        &known.theirs,
    )?;
    let both = Row::paired(
        "event store, with runtime/pprof, beside it with itself".into(),
        "overlap",
        &service.ours_with_theirs,
        &service.theirs_with_theirs,
    )?;
    let own = Row::paired(
        "the same, without calls inside the runtime".into(),
        "overlap",
        &service.ours_outside_runtime,
        &service.theirs_outside_runtime,
    )?;
    let sentence = format!(
        "{:.1} % of the weight of calls is where it truly is ({:.0} samples a round), {:.1} % by frame pointers alone.",
        all.ours * 100.0,
        known.samples as f64 / f64::from(rounds),
        all.peer * 100.0,
    );
    rows.insert(0, all);
    rows.extend([equal, both, own]);
    Ok((rows, sentence))
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
    others: Vec<(Other, Vec<f64>)>,
    samples: u64,
}

impl Known {
    fn round(&mut self, program: &Path, others: &[Other], rng: &mut fastrand::Rng) -> Outcome<()> {
        let folder = scratch()?;
        let path = folder.path().join("theirs.pprof");
        let mut child = Command::new(program)
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .or_infrastructure(|| "cannot start the program".to_owned())?;
        let truth = truth(&mut child)?;
        let data = folder.path().join("perf.data");
        let looking: Vec<_> = others
            .iter()
            .map(|other| Ok((*other, other.start(child.id(), &data)?)))
            .collect::<Outcome<_>>()?;
        let mut ours = Ours::record(child.id(), || {
            std::thread::sleep(SPAN);
            Ok(())
        })?;
        // While the program is there: one of them reads its symbols in the end.
        for (other, looking) in looking {
            let overlap = truth.overlap(&other.stop(looking, &data)?);
            match self.others.iter_mut().find(|(known, _)| *known == other) {
                Some((_, overlaps)) => overlaps.push(overlap),
                None => self.others.push((other, vec![overlap])),
            }
        }
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
    ours_outside_runtime: Vec<f64>,
    theirs_outside_runtime: Vec<f64>,
}

impl Service {
    fn round(&mut self, arm: &Arm, load: &Path, rng: &mut fastrand::Rng) -> Outcome<()> {
        let seconds = SPAN.as_secs();
        // Longer than two recordings.
        let work = Load::start(load, arm.address(), seconds * 2 + 6)?;
        std::thread::sleep(Duration::from_secs(2));
        let before = fetch(arm.address(), seconds)?;
        let mut during = None;
        let mut ours = Ours::record(arm.pid(), || {
            during = Some(fetch(arm.address(), seconds)?);
            Ok(())
        })?;
        drop(work);
        let during = during.ok_or_else(|| Trouble::infrastructure("nothing was recorded", ""))?;
        // As many samples in each of the three.
        let repaired = ours.repaired.clone();
        let n = count(&before).min(count(&during)).min(repaired.total());
        let thinned = thin(&repaired, n, rng);
        let [ours, before, during] = [ours.edges(&thinned), Edges::of(&before), Edges::of(&during)];
        self.ours_with_theirs.push(ours.overlap(&during));
        self.theirs_with_theirs.push(before.overlap(&during));
        let during = during.outside_runtime();
        self.ours_outside_runtime
            .push(ours.outside_runtime().overlap(&during));
        self.theirs_outside_runtime
            .push(before.outside_runtime().overlap(&during));
        Ok(())
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

/// Profilers that others use, as they tell calls themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Other {
    Perf,
    Bpftrace,
}

impl Other {
    /// Those that are installed.
    fn here() -> Vec<Self> {
        let here = [Self::Perf, Self::Bpftrace].into_iter();
        here.filter(|other| machine::on_path(other.name()).is_some())
            .collect()
    }

    fn name(self) -> &'static str {
        match self {
            Self::Perf => "perf",
            Self::Bpftrace => "bpftrace",
        }
    }

    fn start(self, pid: u32, data: &Path) -> Outcome<Child> {
        match self {
            Self::Perf => perf_record(HZ, pid, data),
            Self::Bpftrace => bpftrace(HZ, pid),
        }
    }

    /// The calls that it tells, from the innermost function and its caller.
    fn stop(self, child: Child, data: &Path) -> Outcome<Edges> {
        let _ = rustix::process::kill_process(Pid::from_child(&child), Signal::INT);
        match self {
            Self::Perf => {
                perf_samples(child)?;
                let output = Command::new("perf")
                    .args(["script", "-F", "ip,sym", "--no-inline", "-i"])
                    .arg(data)
                    .output()
                    .or_infrastructure(|| "perf script does not run".to_owned())?;
                Ok(calls_of_perf(&String::from_utf8_lossy(&output.stdout)))
            }
            Self::Bpftrace => {
                let output = child
                    .wait_with_output()
                    .or_infrastructure(|| "bpftrace is gone".to_owned())?;
                Ok(calls_of_bpftrace(&String::from_utf8_lossy(&output.stdout)))
            }
        }
    }
}

/// From what perf script prints: a line `ADDRESS NAME` for each frame, innermost first, and an empty one
/// behind each sample. The kernel's frames are passed over.
fn calls_of_perf(text: &str) -> Edges {
    let samples = text.split("\n\n").filter_map(|sample| {
        let frames = sample.lines().filter_map(|line| {
            let (address, name) = line.trim().split_once(' ')?;
            (!address.starts_with("ffff")).then_some(name)
        });
        call(frames).map(|edge| (edge, 1))
    });
    samples.collect()
}

/// From what bpftrace prints: `{"data": {"@": {"FRAME\nFRAME…": COUNT}}}`, each frame `NAME+OFFSET`.
fn calls_of_bpftrace(text: &str) -> Edges {
    let maps = text.lines().filter_map(|line| {
        let value: serde_json::Value = serde_json::from_str(line).ok()?;
        value.get("data")?.get("@")?.as_object().cloned()
    });
    let stacks = maps.flatten().filter_map(|(stack, count)| {
        let frames = stack.lines().map(str::trim).filter(|line| !line.is_empty());
        let names = frames.map(|frame| frame.rsplit_once('+').map_or(frame, |(name, _)| name));
        Some((call(names)?, count.as_i64()?))
    });
    stacks.collect()
}

/// The innermost call of a stack. (Nothing is told of lines.)
fn call<'a>(mut frames: impl Iterator<Item = &'a str>) -> Option<Edge> {
    let callee = frames.next()?;
    let caller = frames.next()?;
    Some(Edge::new(caller, 0, callee))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_read_from_what_others_print() {
        let perf = "\t  cce9a main.leaf\n\t  cceba main.middle\n\t cceff main.main\n\n\
            \tffffffff81000130 entry_SYSCALL_64\n\t  cce9a main.leaf\n\t  cceba main.middle\n\n";
        let bpftrace = r#"{"type": "attached_probes", "data": {"probes": 1}}
{"type": "map", "data": {"@": {"\n    main.leaf+1\n    main.middle+20\n": 2}}}"#;
        for edges in [calls_of_perf(perf), calls_of_bpftrace(bpftrace)] {
            let all = edges.by_weight();
            assert_eq!(all, [(&Edge::new("main.middle", 0, "main.leaf"), 2)]);
        }
    }
}
