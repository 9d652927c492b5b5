//! What a build gains from a profile of ours, and from one of runtime/pprof's of the same work; and whether
//! profile, build, profile, build comes to rest.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use goprof::{Edges, pprof::Profile};
use pgo::decisions::Decision;

use super::{Load, Ours, Part, Row, Service, fetch, meta};
use crate::{
    commands::samples::{
        EVENT_STORE,
        arms::{self, Arm},
    },
    site::Site,
    trouble::{OrTrouble as _, Outcome, Trouble},
};

/// Of each recording.
const RECORDED: Duration = Duration::from_secs(40);
/// For each round that was asked for.
const COMPARED: Duration = Duration::from_secs(30);
/// How often a build is profiled and built again.
const GENERATIONS: usize = 5;

/// Measures both.
pub fn rows(site: &Site, store: &Service, rounds: u32) -> Outcome<Part> {
    errln!(
        "what a build gains: recording by both for {} s",
        RECORDED.as_secs()
    );
    let (ours, theirs) = record(&store.program, &store.load, true)?;
    let theirs = theirs.ok_or_else(|| Trouble::infrastructure("nothing was fetched", ""))?;
    let first = Edges::of(&ours);
    errln!("what a build gains: building with both");
    let by_ours = Built::with(site, store, "ours", &ours)?;
    let by_theirs = Built::with(site, store, "theirs", &theirs)?;

    // Each generation is profiled in the build that its forerunner's profile made.
    let mut program = by_ours.program.clone();
    let (mut last, mut overlaps, mut hot) = (first, Vec::new(), Vec::new());
    for generation in 2..=GENERATIONS {
        errln!("generation {generation}/{GENERATIONS}: recording and building");
        let (profile, _) = record(&program, &store.load, false)?;
        let edges = Edges::of(&profile);
        overlaps.push(edges.overlap(&last));
        hot.push(shared(&edges, &last));
        last = edges;
        program = Built::with(site, store, &format!("generation-{generation}"), &profile)?.program;
    }

    errln!(
        "what a build gains: comparing for {} s",
        COMPARED.as_secs() * u64::from(rounds)
    );
    let arms = [
        Arm::start(EVENT_STORE, &store.program)?,
        Arm::start(EVENT_STORE, &by_ours.program)?,
        Arm::start(EVENT_STORE, &by_theirs.program)?,
        Arm::start(EVENT_STORE, &program)?,
        Arm::start(EVENT_STORE, &store.program)?,
    ];
    let span = COMPARED * rounds;
    let compared = arms::compare(&arms, &store.load, span, 1, |_| {})?;
    let names = [
        "CPU with our profile, beside without",
        "CPU with runtime/pprof's, beside without",
        "CPU after five generations, beside without",
        "CPU of the same program once more",
    ];
    let mut rows = Vec::new();
    for (name, ratios) in names.iter().zip(&compared.ratios) {
        let alone = vec![1.0; ratios.len()];
        rows.push(Row::paired((*name).to_owned(), "of it", ratios, &alone)?);
    }
    let [ours, theirs] = [&by_ours, &by_theirs].map(|built| {
        let gained = built.decisions.difference(&store.decisions);
        gained.cloned().collect::<BTreeSet<Decision>>()
    });
    let both = ours.intersection(&theirs).count();
    let sentence = format!(
        "Because of the profile the compiler decides otherwise at {} places of the service's own packages by ours and {} by runtime/pprof's, {both} of them the same. From one generation to the next {} of the calls' weight is the same ({} of the hot calls).",
        ours.len(),
        theirs.len(),
        percents(&overlaps),
        percents(&hot),
    );
    Ok((rows, sentence))
}

fn percents(shares: &[f64]) -> String {
    let shares: Vec<String> = shares
        .iter()
        .map(|share| format!("{:.0} %", share * 100.0))
        .collect();
    shares.join(", ")
}

/// The share of the hot calls of either that are hot in both.
fn shared(edges: &Edges, others: &Edges) -> f64 {
    let hot = |edges: &Edges| -> BTreeSet<String> {
        let hot = edges.hot().into_iter();
        hot.map(|(edge, _)| format!("{edge:?}")).collect()
    };
    let (edges, others) = (hot(edges), hot(others));
    edges.intersection(&others).count() as f64 / edges.union(&others).count().max(1) as f64
}

/// A recording of a store at its training load; by runtime/pprof at the same time if that is wanted.
fn record(program: &Path, load: &Path, both: bool) -> Outcome<(Profile, Option<Profile>)> {
    let arm = Arm::start(EVENT_STORE, program)?;
    let work = Load::start(load, arm.address(), RECORDED.as_secs() + 10)?;
    std::thread::sleep(Duration::from_secs(2));
    let mut theirs = None;
    let mut ours = Ours::record(arm.pid(), || {
        match both {
            true => theirs = Some(fetch(arm.address(), RECORDED.as_secs())?),
            false => std::thread::sleep(RECORDED),
        }
        Ok(())
    })?;
    drop(work);
    let repaired = ours.repaired.clone();
    Ok((
        goprof::to_profile(&repaired, &mut ours.symbols, meta(super::HZ)),
        theirs,
    ))
}

/// A build with a profile.
struct Built {
    program: PathBuf,
    decisions: BTreeSet<Decision>,
}

impl Built {
    fn with(site: &Site, store: &Service, name: &str, profile: &Profile) -> Outcome<Self> {
        let folder = store.folder.path();
        let (program, path) = (folder.join(name), folder.join(format!("{name}.pprof")));
        fs::write(&path, goprof::encode(profile))
            .or_infrastructure(|| "cannot write a profile".to_owned())?;
        let decisions = EVENT_STORE.build(site, &program, Some(&path))?;
        Ok(Self { program, decisions })
    }
}
