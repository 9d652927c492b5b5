//! Who calls whom: beside what is true of a program made for it, and beside what Go's own profiler says of
//! a service.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use goprof::{Edges, KnownCalls, Samples};

use super::{
    HZ, Load, Ours, Part, Row, Service, build, count, fetch, others::Other, read, scratch, told,
};
use crate::{
    commands::samples::{MARKDOWN, ORCHESTRATOR, arms::Arm},
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
pub fn rows(site: &Site, store: &Service, rounds: u32) -> Outcome<Part> {
    let folder = scratch()?;
    for file in KNOWN {
        let name = Path::new(file).file_name().unwrap_or_default();
        fs::copy(site.root.join(file), folder.path().join(name))
            .or_infrastructure(|| format!("cannot copy {file}"))?;
    }
    let program = build(folder.path(), &folder.path().join("known"))?;
    let mut rng = fastrand::Rng::with_seed(1);

    let others = Other::here();
    let mut known = Known::default();
    for round in 1..=rounds {
        errln!("calls of known weight: round {round}/{rounds}");
        known.round(&program, &others, &mut rng)?;
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
    let sentence = format!(
        "{:.1} % of the weight of calls is where it truly is ({:.0} samples a round), {:.1} % by frame pointers alone.",
        all.ours * 100.0,
        known.samples as f64 / f64::from(rounds),
        all.peer * 100.0,
    );
    rows.insert(0, all);
    rows.push(equal);
    let others = [
        Service::build(site, MARKDOWN)?,
        Service::build(site, ORCHESTRATOR)?,
    ];
    for service in [store].into_iter().chain(&others) {
        rows.extend(of_service(service, rounds, &mut rng)?);
    }
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
        let looking: Vec<_> = others
            .iter()
            .map(|other| Ok((*other, other.start(HZ, child.id(), true)?)))
            .collect::<Outcome<_>>()?;
        let mut ours = Ours::record(child.id(), || {
            std::thread::sleep(SPAN);
            Ok(())
        })?;
        // While the program is there: one of them reads its symbols in the end.
        for (other, mut looking) in looking {
            let seen = looking.stop()?;
            let overlap = truth.overlap(&looking.calls(&seen)?);
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

/// Of a service.
fn of_service(service: &Service, rounds: u32, rng: &mut fastrand::Rng) -> Outcome<[Row; 2]> {
    let name = service.sample.name;
    let mut overlaps = Overlaps::default();
    let arm = Arm::start(service.sample, &service.program)?;
    for round in 1..=rounds {
        errln!("calls of the {name} service: round {round}/{rounds}");
        overlaps.round(&arm, &service.load, rng)?;
    }
    Ok([
        Row::paired(
            format!("{name}, with runtime/pprof, beside it with itself"),
            "overlap",
            &overlaps.ours_with_theirs,
            &overlaps.theirs_with_theirs,
        )?,
        Row::paired(
            "the same, without calls inside the runtime".into(),
            "overlap",
            &overlaps.ours_outside_runtime,
            &overlaps.theirs_outside_runtime,
        )?,
    ])
}

/// Of a service: overlap of calls with runtime/pprof's of the same time, and of these with
/// those of the time before, with as many samples each.
#[derive(Default)]
struct Overlaps {
    ours_with_theirs: Vec<f64>,
    theirs_with_theirs: Vec<f64>,
    ours_outside_runtime: Vec<f64>,
    theirs_outside_runtime: Vec<f64>,
}

impl Overlaps {
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
