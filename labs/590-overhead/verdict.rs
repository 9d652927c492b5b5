//! Step verdict: whether the learner reads the table right, whatever it says.

use std::{collections::BTreeSet, fs};

use course::answers::Question;
use labcheck::prelude::*;

use super::{
    measure::{lacks, unmixed},
    reference::{self, Cost},
    table::{self, Run, Who},
};

const TABLE: &str = "runs.txt";
const ANSWERS: &str = "answers.toml";
/// Rounds that a table must have: of fewer an interval says nothing.
const FEWEST: usize = 8;
/// How much narrower, or wider, than ours an interval may be from which the learner concludes: two who draw
/// by chance have not the same.
const LEEWAY: f64 = 0.15;

const SHOWS: &[&str] = &["less", "more", "not-shown", "not-measured"];
const PAYS: &[&str] = &["service", "profiler"];
const HAD: &[&str] = &["yes", "no", "not-measured"];
/// A part of what a sample costs.
type Part = fn(Cost) -> f64;
/// What is compared with mine.
const COMPARED: [(&str, Who, Part); 4] = [
    ("perf", Who::Perf, |cost| cost.service),
    ("bpftrace", Who::Bpftrace, |cost| cost.service),
    ("pprof", Who::Pprof, |cost| cost.service),
    ("perf-recording", Who::Perf, |cost| cost.recording),
];
const QUESTIONS: [Question<'static>; 7] = [
    ("perf", SHOWS),
    ("bpftrace", SHOWS),
    ("pprof", SHOWS),
    ("perf-recording", SHOWS),
    ("pays", PAYS),
    ("percent", &[]),
    ("pprof-had", HAD),
];

/// What an interval of mine - theirs shows.
pub(super) fn shows((low, high): (f64, f64)) -> &'static str {
    if high < 0.0 {
        "less"
    } else if low > 0.0 {
        "more"
    } else {
        "not-shown"
    }
}

/// The answers are what the learner's table says.
pub(super) fn verdict(lab: &mut Session) -> Result<(), Stop> {
    let ids = QUESTIONS.map(|(id, _)| id);
    let answers = lab.all_answers(ANSWERS, &QUESTIONS, &ids);
    let answers = lab.require("answered", answers)?;
    let answer = |id: &str| -> &str {
        let at = ids.iter().position(|its| *its == id);
        at.map_or("", |at| &answers[at])
    };
    let at = |why: String, place: String| Failure::learner(format!("{why} Look at {place}."));

    let rounds = read(lab).map_err(|why| at(format!("{TABLE}: {why}."), lab.place(TABLE, "-")));
    let rounds = lab.require("table", rounds)?;
    let here: BTreeSet<Who> = rounds.iter().flatten().map(|run| run.who).collect();

    let right = COMPARED.map(|(id, who, of)| {
        let given = answer(id);
        if !here.contains(&who) {
            return given == "not-measured";
        }
        accepted(&differences(&rounds, who, of)).contains(given)
    });
    let right = right.iter().filter(|right| **right).count();
    let place = lab.place(ANSWERS, "perf =");
    lab.require_that("comparisons", right == COMPARED.len(), || {
        format!(
            "{right} of your {} comparisons are what {TABLE} shows. An interval of the difference that holds 0 \
             shows nothing, whatever is in its middle; `report` prints them. Look at {}.",
            COMPARED.len(),
            place
        )
    })?;

    let pays = pays(&rounds);
    let place = lab.place(ANSWERS, "pays =");
    lab.require_that("pays", pays.contains(answer("pays")), || {
        format!(
            "of the two columns of {TABLE} it is not the {}'s that grows more with each sample of yours. Look at \
             {}.",
            answer("pays"),
            place
        )
    })?;
    let (low, high) = percent(&rounds);
    let place = lab.place(ANSWERS, "percent =");
    let given: Option<f64> = answer("percent").trim().parse().ok();
    lab.require_that(
        "percent",
        given.is_some_and(|given| (low..=high).contains(&given)),
        || match given {
            None => format!(
                "`percent` is a number such as \"0.25\", not `{}`. Look at {place}.",
                answer("percent")
            ),
            Some(given) => format!(
                "{given} % of a core is not what {TABLE} says of 99 samples a second, the service's part and the \
                 sampler's own for each. Look at {place}."
            ),
        },
    )?;
    let had = had(&rounds);
    let place = lab.place(ANSWERS, "pprof-had =");
    lab.require_that("pprof-had", had.contains(answer("pprof-had")), || {
        format!(
            "look at the column of samples in {TABLE}: was runtime/pprof given as many as it was asked for, at its \
             highest rate? Look at {}.",
            place
        )
    })?;
    for note in told(&rounds, &here) {
        lab.note(note);
    }
    Ok(())
}

/// The table, if one can conclude from it.
fn read(lab: &Session) -> Result<Vec<Vec<Run>>, String> {
    let text = fs::read_to_string(lab.file(TABLE)).map_err(|error| error.to_string())?;
    let runs = table::runs(&text)?;
    let sound = |seconds: f64| (0.0..1e6).contains(&seconds);
    if let Some(run) = runs
        .iter()
        .find(|run| !(sound(run.service) && run.profiler.is_finite()))
    {
        return Err(format!("the line `{run}` has no times"));
    }
    let rounds = table::rounds(runs);
    if rounds.len() < FEWEST {
        return Err(format!(
            "it has {} rounds, and fewer than {FEWEST} show nothing",
            rounds.len()
        ));
    }
    if let Some(why) = rounds.iter().find_map(|round| lacks(round)) {
        return Err(why);
    }
    if let Some(why) = unmixed(&rounds) {
        return Err(why.trim_end_matches('.').to_owned());
    }
    for (_, who, _) in COMPARED {
        let has = |round: &Vec<Run>| reference::of_round(round, who).is_some();
        let any = rounds.iter().flatten().any(|run| run.who == who);
        if any && !rounds.iter().all(has) {
            return Err(format!(
                "{} is not in each round with two rates",
                who.name()
            ));
        }
    }
    if !COMPARED
        .iter()
        .any(|(_, who, _)| rounds.iter().flatten().any(|run| run.who == *who))
    {
        return Err("it has no other profiler beside yours".to_owned());
    }
    Ok(rounds)
}

/// A figure of each round.
fn of_each(rounds: &[Vec<Run>], who: Who, of: impl Fn(Cost) -> f64) -> Vec<f64> {
    let costs = rounds
        .iter()
        .filter_map(|round| reference::of_round(round, who));
    costs.map(of).collect()
}

/// Mine - theirs.
fn differences(rounds: &[Vec<Run>], who: Who, of: fn(Cost) -> f64) -> Vec<f64> {
    let of = |who| of_each(rounds, who, of);
    let pairs = of(Who::Mine).into_iter().zip(of(who));
    pairs.map(|(mine, theirs)| mine - theirs).collect()
}

/// What can be concluded: one word, or two where the interval ends close to 0.
fn accepted(differences: &[f64]) -> BTreeSet<&'static str> {
    let mut words = BTreeSet::new();
    for seed in 1..=5 {
        let (low, high) = reference::interval(differences, seed);
        let more = (high - low) * LEEWAY / 2.0;
        words.insert(shows((low - more, high + more)));
        words.insert(shows((low + more, high - more)));
    }
    words
}

/// Where more goes for each sample of mine: both answers will do where that is not shown.
fn pays(rounds: &[Vec<Run>]) -> BTreeSet<&'static str> {
    let more = accepted(&of_each(rounds, Who::Mine, |cost| {
        cost.service - cost.profiler
    }));
    let both = more.contains("not-shown");
    let word = |shown, word| (both || more.contains(shown)).then_some(word);
    [word("more", "service"), word("less", "profiler")]
        .into_iter()
        .flatten()
        .collect()
}

/// Per cent of a core at 99 Hz: within the interval, and what rounding makes of that.
fn percent(rounds: &[Vec<Run>]) -> (f64, f64) {
    let each = of_each(rounds, Who::Mine, |cost| {
        (cost.service + cost.profiler) * 99.0 * 100.0
    });
    let (low, high) = reference::interval(&each, 1);
    (low * 0.97 - 0.005, high * 1.03 + 0.005)
}

/// Whether runtime/pprof was given as many samples as it was asked for at its highest rate.
fn had(rounds: &[Vec<Run>]) -> BTreeSet<&'static str> {
    let its = || rounds.iter().flatten().filter(|run| run.who == Who::Pprof);
    let Some(highest) = its().map(|run| run.hz).max() else {
        return ["not-measured"].into();
    };
    let top = its().filter(|run| run.hz == highest);
    let (samples, due) = top.fold((0.0, 0.0), |(samples, due), run| {
        let its = f64::from(run.hz) * run.service;
        (samples + run.samples as f64, due + its)
    });
    match samples / due {
        share if share < 0.5 => ["no"].into(),
        share if share > 0.8 => ["yes"].into(),
        _ => ["yes", "no"].into(),
    }
}

/// The whole reading, once the answers are right.
fn told(rounds: &[Vec<Run>], here: &BTreeSet<Who>) -> Vec<String> {
    let micros = |mut values: Vec<f64>| {
        values.iter_mut().for_each(|value| *value *= 1e6);
        let (low, high) = reference::interval(&values, 1);
        let middle = pgo::ruler::median(&mut values).unwrap_or_default();
        format!("{middle:.1} [{low:.1}, {high:.1}] µs")
    };
    let mut notes = vec![format!(
        "A sample of mine takes {} of the service and {} of the sampler.",
        micros(of_each(rounds, Who::Mine, |cost| cost.service)),
        micros(of_each(rounds, Who::Mine, |cost| cost.profiler))
    )];
    for (_, who, of) in COMPARED.iter().filter(|(id, who, _)| *id == who.name()) {
        if here.contains(who) {
            let difference = micros(differences(rounds, *who, *of));
            notes.push(format!(
                "Minus one of {}: {difference} of the service.",
                who.name()
            ));
        }
    }
    notes
}
