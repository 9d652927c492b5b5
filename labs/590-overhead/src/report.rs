//! What a table of runs comes to.

use std::collections::BTreeSet;

use fastrand::Rng;

use crate::{
    estimate::{self, Cost},
    interval,
    table::{self, Run, Who},
};

/// Of the resampling, so that the same table gives the same report.
const SEED: u64 = 1;

/// Prints it.
pub fn report(text: &str) -> anyhow::Result<()> {
    let rounds = table::rounds(table::runs(text).map_err(anyhow::Error::msg)?);
    let here: BTreeSet<Who> = rounds.iter().flatten().map(|run| run.who).collect();
    let profilers = || here.iter().copied().filter(|who| *who != Who::Nobody);
    println!(
        "{} rounds; CPU time that a sample takes, in µs [95 % interval]\n",
        rounds.len()
    );
    println!(
        "{:<10}{:<24}{:<24}each recording",
        "", "of the service", "of the profiler"
    );
    for who in profilers() {
        let cost = estimate::of_rounds(&rounds, who);
        let sure = |of: fn(Cost) -> f64| {
            let each = of_each(&rounds, who, of);
            let nothing = vec![0.0; each.len()];
            shown(interval::interval(
                &each,
                &nothing,
                &mut Rng::with_seed(SEED),
            ))
        };
        println!(
            "{:<10}{:<24}{:<24}{:.1} ms",
            who.name(),
            format!("{:.2} {}", cost.service * 1e6, sure(|cost| cost.service)),
            format!("{:.2} {}", cost.profiler * 1e6, sure(|cost| cost.profiler)),
            cost.recording * 1e3,
        );
    }
    let both = |cost: Cost| cost.service + cost.profiler;
    let share = estimate::middle(of_each(&rounds, Who::Mine, both)) * 99.0 * 100.0;
    println!(
        "\nAt 99 Hz mine takes {share:.3} % of a busy core, the service's part and its own.\n"
    );
    let compare = |what: &str, who: Who, of: fn(Cost) -> f64| {
        let mut rng = Rng::with_seed(SEED);
        let (mine, theirs) = (of_each(&rounds, Who::Mine, of), of_each(&rounds, who, of));
        let interval = interval::interval(&mine, &theirs, &mut rng);
        let verdict = interval::verdict(interval).name();
        println!(
            "{what} of mine minus one of {}: {} µs: {verdict}",
            who.name(),
            shown(interval)
        );
    };
    for who in profilers().filter(|who| *who != Who::Mine) {
        compare("of the service: a sample", who, |cost| cost.service);
    }
    for who in profilers().filter(|who| *who != Who::Mine) {
        compare("of the profiler: a recording", who, |cost| cost.recording);
    }
    println!();
    for who in profilers() {
        let top = rounds.iter().flatten().filter(|run| run.who == who);
        let hz = top.clone().map(|run| run.hz).max().unwrap_or(0);
        let top: Vec<&Run> = top.filter(|run| run.hz == hz).collect();
        let samples: u64 = top.iter().map(|run| run.samples).sum();
        let seconds: f64 = top.iter().map(|run| run.service).sum();
        println!(
            "{} was asked for {hz} samples a second of CPU time, and had {:.0}",
            who.name(),
            samples as f64 / seconds
        );
    }
    Ok(())
}

/// A figure of each round.
fn of_each(rounds: &[Vec<Run>], who: Who, of: impl Fn(Cost) -> f64) -> Vec<f64> {
    let rounds = rounds.iter();
    rounds
        .map(|round| of(estimate::of_round(round, who)))
        .collect()
}

fn shown((low, high): (f64, f64)) -> String {
    format!("[{:.2}, {:.2}]", low * 1e6, high * 1e6)
}
