//! The truth: tables that we have made; and of a measurement what the service itself and the kernel know
//! of it. No figure is judged for being small, or for being the same as yesterday.

mod measure;
mod reference;
#[path = "src/table.rs"]
#[allow(dead_code)]
mod table;
mod tables;
mod verdict;

use std::{fs, path::PathBuf};

use fastrand::Rng;
use labcheck::{prelude::*, scratch::Scratch};

use tables::{Kind, Known, Pairs};

pub const STEPS: Steps = &[
    ("estimate", estimate),
    ("interval", interval),
    ("measure", measure::measure),
    ("verdict", verdict::verdict),
];

const ESTIMATE: &str = "src/estimate.rs";
const INTERVAL: &str = "src/interval.rs";

/// Tables of each kind without noise, and with noise.
const EXACT: usize = 8;
const NOISY: usize = 40;
/// What an estimate of an exact table may be off by. (It has nanoseconds.)
const ROUNDING: f64 = 1e-3;

/// An estimate finds what we have put into a table.
fn estimate(lab: &mut Session) -> Result<(), Stop> {
    let mut rng = Rng::with_seed(lab.rng.between(0..=u64::MAX));
    let kinds = [
        (Kind::Plain, EXACT),
        (Kind::Drift, EXACT),
        (Kind::Spoiled, EXACT),
        (Kind::Noise, NOISY),
    ];
    let mut all = Vec::new();
    for (kind, count) in kinds {
        for _ in 0..count {
            // An odd number, so that one value is in the middle.
            let rounds = if kind == Kind::Noise {
                15
            } else {
                2 * rng.u32(2..=4) + 1
            };
            all.push((kind, tables::runs(&mut rng, kind, rounds)));
        }
    }
    let text = all.iter().map(|(_, known)| {
        let lines = known.runs.iter().map(|run| format!("{run}\n"));
        lines.collect::<String>()
    });
    let file = Input::new(&text.collect::<Vec<_>>())?;
    let ended = lab.learner()?.set("FILE", file.path.display()).run_to_end();
    let told = ended.and_then(|(output, _)| costs(&output, all.len()));
    let told = lab.require("runs", told)?;

    let of = |kind: Kind| {
        let tables = all.iter().zip(&told);
        tables.filter(move |((its, _), _)| *its == kind)
    };
    let (line, round) = (
        lab.place(ESTIMATE, "pub fn line"),
        lab.place(ESTIMATE, "pub fn of_round"),
    );
    let rounds = lab.place(ESTIMATE, "pub fn of_rounds");
    let first = |kind: Kind, part: fn(&Known, &[f64; 3]) -> Option<String>| {
        of(kind).find_map(|((_, known), told)| part(known, told))
    };
    let fails = |why: Option<String>, place: String| match why {
        Some(why) => Err(Failure::learner(format!("{why} Look at {place}."))),
        None => Ok(()),
    };

    let wrong = first(Kind::Plain, |known, told| {
        off(told[0], known.truth.service, ROUNDING * known.truth.service).then(|| {
            format!(
                "in a table without any noise a sample takes {} µs of the service's CPU time; you make it {}.",
                micros(known.truth.service),
                micros(told[0])
            )
        })
    });
    lab.require("costs", fails(wrong, format!("{line} and {round}")))?;
    let wrong = first(Kind::Plain, |known, told| {
        let truth = known.truth;
        let is_off = off(told[1], truth.profiler, ROUNDING * truth.profiler)
            || off(told[2], truth.recording, ROUNDING * truth.recording);
        is_off.then(|| {
            format!(
                "in a table without any noise the profiler takes {} µs for a sample and {:.2} ms for each \
                 recording besides; you make it {} µs and {:.2} ms.",
                micros(truth.profiler),
                truth.recording * 1e3,
                micros(told[1]),
                told[2] * 1e3
            )
        })
    });
    lab.require("own-costs", fails(wrong, round))?;
    let exact = |known: &Known, told: &[f64; 3]| {
        let truth = known.truth;
        let service = off(told[0], truth.service, ROUNDING * truth.service);
        let profiler = off(told[1], truth.profiler, ROUNDING * truth.profiler);
        (service || profiler).then(|| {
            format!(
                "a sample takes {} µs of the service and {} of the profiler; you make it {} and {}.",
                micros(truth.service),
                micros(truth.profiler),
                micros(told[0]),
                micros(told[1])
            )
        })
    };
    let wrong = first(Kind::Drift, exact).map(|why| {
        format!(
            "in a table in which the work takes another time in each round, and within a round exactly the \
             same, {why}"
        )
    });
    lab.require("each-round", fails(wrong, rounds.clone()))?;
    let wrong = first(Kind::Spoiled, exact).map(|why| {
        format!("in a table in which one round was spoiled, and all others tell the same, {why}")
    });
    lab.require("spoiled-round", fails(wrong, rounds))?;
    let wrong = first(Kind::Noise, |known, told| {
        let (truth, (service, profiler)) = (known.truth, known.tolerance);
        let is_off = off(told[0], truth.service, service) || off(told[1], truth.profiler, profiler);
        is_off.then(|| {
            format!(
                "in a table of 15 rounds with noise a sample takes {} µs of the service and {} of the profiler; \
                 you make it {} and {}, and the noise accounts for {} and {} at most.",
                micros(truth.service),
                micros(truth.profiler),
                micros(told[0]),
                micros(told[1]),
                micros(service),
                micros(profiler)
            )
        })
    });
    lab.require(
        "noise",
        fails(wrong, lab.place(ESTIMATE, "pub fn of_round")),
    )
}

/// Whether an estimate is further from the truth than it may be. One that is no number is.
fn off(told: f64, truth: f64, tolerance: f64) -> bool {
    let error = (told - truth).abs();
    error.is_nan() || error > tolerance
}

fn micros(seconds: f64) -> String {
    format!("{:.2}", seconds * 1e6)
}

/// Three figures for each table.
fn costs(output: &Output, tables: usize) -> Result<Vec<[f64; 3]>, Failure> {
    let lines: Vec<[f64; 3]> = output
        .stdout
        .lines()
        .filter_map(|line| {
            let numbers = line.split(' ').map(str::parse);
            let numbers: Vec<f64> = numbers.collect::<Result<_, _>>().ok()?;
            numbers.try_into().ok()
        })
        .collect();
    as_many(lines, tables)
}

fn as_many<T>(lines: Vec<T>, tables: usize) -> Result<Vec<T>, Failure> {
    if lines.len() == tables {
        return Ok(lines);
    }
    Err(Failure::learner(format!(
        "your program was given {tables} tables and told of {}.",
        lines.len()
    )))
}

/// Tables of pairs.
const TABLES: usize = 400;
/// How many of the intervals must hold the truth. That of a median from 12 to 20 rounds does in 93 to 96
/// of 100 tables, that of a mean in 91 to 93: of 400 tables fewer than 85 of 100 are less than once in
/// 10,000 runs.
const COVER: f64 = 0.85;
/// How wide intervals may be, in parts of ours. That of a mean is about 0.8.
const WIDEST: f64 = 1.5;

/// An interval holds the truth as often as it says, and is no wider than it has to be.
fn interval(lab: &mut Session) -> Result<(), Stop> {
    let mut rng = Rng::with_seed(lab.rng.between(0..=u64::MAX));
    let seed = lab.rng.between(1..=1 << 40);
    let tables: Vec<Pairs> = (0..TABLES).map(|_| Pairs::draw(&mut rng)).collect();
    let file = Input::new(&tables.iter().map(Pairs::text).collect::<Vec<_>>())?;
    let run = |lab: &Session| {
        let launch = lab.learner()?.set("FILE", file.path.display());
        launch.set("SEED", seed).run_to_end()
    };
    let ended = run(lab).and_then(|(output, _)| {
        let told: Vec<Told> = output.stdout.lines().filter_map(Told::parse).collect();
        Ok((as_many(told, TABLES)?, output.stdout))
    });
    let (told, printed) = lab.require("intervals", ended)?;
    let place = lab.place(INTERVAL, "pub fn interval");
    let at = |why: String, place: &str| Failure::learner(format!("{why} Look at {place}."));

    let held = tables.iter().zip(&told);
    let held = held.filter(|(table, told)| told.low <= table.truth && table.truth <= told.high);
    let held = held.count();
    let covers = if held as f64 >= COVER * TABLES as f64 {
        Ok(())
    } else {
        Err(at(
            format!(
                "of {TABLES} tables whose difference we know, your intervals hold it in {held}: of intervals \
                 that are to hold it in 95 of 100 we expect more than {:.0}.",
                COVER * TABLES as f64
            ),
            &place,
        ))
    };
    lab.require("covers", covers)?;
    let ours: f64 = tables
        .iter()
        .map(|table| {
            let (low, high) = reference::interval(&table.differences(), 1);
            high - low
        })
        .sum();
    let theirs: f64 = told.iter().map(|told| told.high - told.low).sum();
    let width = if theirs <= WIDEST * ours {
        Ok(())
    } else {
        Err(at(
            format!(
                "your intervals hold the truth in {held} of {TABLES} tables, but they are {:.1} times as wide as \
                 they have to be. What a round does to both is no part of the difference.",
                theirs / ours
            ),
            &place,
        ))
    };
    lab.require("width", width)?;

    let place = lab.place(INTERVAL, "pub fn verdict");
    let wrong = told.iter().find(|told| told.verdict != told.shows());
    let verdicts = wrong.map_or(Ok(()), |told| {
        Err(at(
            format!(
                "from [{}, {}] µs, an interval of mine - theirs, you conclude `{}`; it shows `{}`.",
                micros(told.low),
                micros(told.high),
                told.verdict,
                told.shows()
            ),
            &place,
        ))
    });
    lab.require("verdicts", verdicts)?;

    let again = run(lab).and_then(|(output, _)| {
        if output.stdout == printed {
            return Ok(());
        }
        Err(at(
            "with the same tables and the same seed your program says something else the second time: draw \
             from `rng` alone."
                .to_owned(),
            &lab.place(INTERVAL, "pub fn interval"),
        ))
    });
    lab.require("same-seed", again)
}

/// What the learner's program says of a table of pairs.
struct Told {
    low: f64,
    high: f64,
    verdict: String,
}

impl Told {
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split(' ');
        Some(Self {
            low: fields.next()?.parse().ok()?,
            high: fields.next()?.parse().ok()?,
            verdict: fields.next()?.to_owned(),
        })
    }

    fn shows(&self) -> &'static str {
        verdict::shows((self.low, self.high))
    }
}

/// A file for the learner's program, with an empty line between tables.
struct Input {
    path: PathBuf,
    _folder: Scratch,
}

impl Input {
    fn new(tables: &[String]) -> Result<Self, Failure> {
        let folder = Scratch::new("tables")?;
        let path = folder.path().join("tables");
        fs::write(&path, tables.join("\n"))?;
        // Whatever the umask is: another user reads it.
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
        Ok(Self {
            path,
            _folder: folder,
        })
    }
}
