//! Step measure. Two witnesses know what was done: the service tells of each slice of its work when that
//! was and what it took by its own clock; the kernel has each program that was loaded, when, and its maps.

use std::{collections::BTreeSet, time::Duration};

use labcheck::prelude::*;

use super::{
    reference,
    table::{self, Run, Who},
};

const MEASURE: &str = "src/measure.rs";
const ROUNDS: u32 = 3;
/// Of the work and of waiting in a slice, milliseconds: who reads another clock is off by a third.
const CPU: std::ops::RangeInclusive<u64> = 110..=170;
const SLEEP: std::ops::RangeInclusive<u64> = 60..=90;
/// What the learner's reading of the service's clock may be off from its own: what happens between the two
/// readings. With nineteen other programs on two CPUs it was 1 ms at most, and 4 ms where pprof was on. In an
/// emulated machine work takes twice the time, and at 4,999 Hz a twentieth more goes by between the readings.
/// Who reads the wall's clock is off by 60 ms at least.
const SLACK: f64 = 0.005;
const SLACK_SHARE: f64 = 0.1;
/// pprof has goroutines of its own, which may run between the two. Who reads another clock is also off in
/// the other runs.
const SLACK_OF_PPROF: f64 = 0.03;
/// Part of all CPU time of the learner's program, less its start, that it must account for.
const ACCOUNTED: f64 = 0.5;

/// A measurement of the learner's, in front of two witnesses.
pub(super) fn measure(lab: &mut Session) -> Result<(), Stop> {
    let (cpu, sleep) = (lab.rng.between(CPU), lab.rng.between(SLEEP));
    let socket = format!("probelab-{}-{}", std::process::id(), lab.rng.word(12));
    let seed = lab.rng.between(1..=1 << 40);
    lab.set_truth(format!("{ROUNDS} {}", cpu as f64 / 1000.0));
    let args = [
        ("-socket", socket.clone()),
        ("-cpu", cpu.to_string()),
        ("-sleep", sleep.to_string()),
        ("-seed", seed.to_string()),
    ];
    let args: Vec<&std::ffi::OsStr> = args
        .iter()
        .flat_map(|(name, value)| [name.as_ref(), value.as_ref()])
        .collect();
    let mut service = Workload::program(&lab.artifact("busy")?, &args, true)?;
    service.expect("ready")?;

    let started = lab
        .learner()?
        .set("PID", service.pid())
        .set("SOCKET", &socket)
        .set("ROUNDS", ROUNDS)
        .set("SEED", seed)
        .start();
    let mut learner = lab.require("measures", started)?;
    let own = cpu_seconds(learner.pid())?;
    let all = cpu_seconds(service.pid())?;
    let slices = slices(&mut service)?;
    let samplers = samplers(&mut learner)?;
    let place = lab.place(MEASURE, "pub fn run");
    let at = |why: String, place: &str| Failure::learner(format!("{why} Look at {place}."));
    let output = learner.stop()?;

    let runs = table::runs(&output.stdout).map_err(|why| at(why, &place));
    let runs = runs.and_then(|runs| {
        let in_rounds = runs.iter().all(|run| (1..=ROUNDS).contains(&run.round));
        // The first slice warms the machine up, before all rounds.
        if !runs.is_empty() && in_rounds && slices.len() == runs.len() + 1 {
            return Ok(runs);
        }
        Err(at(
            format!(
                "your table has {} runs; besides one that goes ahead, the service did its work {} times.",
                runs.len(),
                slices.len().saturating_sub(1)
            ),
            &lab.place(MEASURE, "pub fn order"),
        ))
    });
    let runs = lab.require("runs-made", runs)?;
    let seen: Vec<Seen> = slices
        .windows(2)
        .map(|pair| Seen::of(pair, &samplers))
        .collect();

    let who = runs
        .iter()
        .zip(&seen)
        .find_map(|(run, seen)| seen.contradicts(run));
    let who = who.map_or(Ok(()), |why| Err(at(why, &place)));
    lab.require("samples", who)?;
    let wrong = runs.iter().zip(&seen).find(|(run, seen)| {
        let slack = match run.who {
            Who::Pprof => SLACK_OF_PPROF,
            _ => SLACK,
        };
        let error = (run.service - seen.cpu).abs();
        error.is_nan() || error > slack + SLACK_SHARE * seen.cpu
    });
    let time = wrong.map_or(Ok(()), |(run, seen)| {
        Err(at(
            format!(
                "a run of {} at {} Hz: by its own clock the service used {:.1} ms of CPU time for its work, and \
                 {:.1} ms went by meanwhile; your table has {:.1} ms.",
                run.who.name(),
                run.hz,
                seen.cpu * 1e3,
                seen.lasted * 1e3,
                run.service * 1e3
            ),
            &lab.place(MEASURE, "pub fn cpu_seconds"),
        ))
    });
    lab.require("cpu-time", time)?;
    let beside = all - slices.iter().map(|slice| slice.cpu).sum::<f64>();
    lab.require(
        "profiler-time",
        profiler_time(&runs, own, beside).map_err(|why| at(why, &place)),
    )?;

    let order = lab.place(MEASURE, "pub fn order");
    let rounds = table::rounds(runs);
    let rates = rounds.iter().find_map(|round| lacks(round));
    lab.require(
        "rates",
        rates.map_or(Ok(()), |why| Err(at(format!("in a round {why}."), &order))),
    )?;
    let mixed = unmixed(&rounds).map_or(Ok(()), |why| Err(at(why, &order)));
    lab.require("mixed", mixed)?;
    lab.note(told(&rounds, &samplers));
    Ok(())
}

/// CPU seconds that a process has used so far.
fn cpu_seconds(pid: u32) -> Result<f64, Failure> {
    Ok(pgo::ruler::cpu_time(pid)?.as_secs_f64())
}

/// A slice of the service's work, as it tells it.
struct Slice {
    /// Nanoseconds of CLOCK_BOOTTIME.
    from: u64,
    to: u64,
    /// Seconds.
    cpu: f64,
    /// Of runtime/pprof; 0 where that is off.
    hz: u64,
}

fn slices(service: &mut Workload) -> Result<Vec<Slice>, Failure> {
    service.set_patience(Duration::from_secs(60));
    service.send("tell")?;
    let mut slices = Vec::new();
    loop {
        let line = service.receive()?;
        if line == "end" {
            return Ok(slices);
        }
        let numbers = line.split(' ').map(str::parse);
        let numbers: Vec<u64> = numbers.collect::<Result<_, _>>().map_err(broken)?;
        let [from, to, cpu, hz] = numbers[..] else {
            return Err(broken(format!("the service told `{line}`")));
        };
        slices.push(Slice {
            from,
            to,
            cpu: cpu as f64 * 1e-9,
            hz,
        });
    }
}

/// A sampler that was loaded, as the kernel knows it.
struct Sampler {
    /// Nanoseconds of CLOCK_BOOTTIME.
    loaded_at: u64,
    /// What it has counted; `None` where it has no map of that name.
    samples: Option<u64>,
    runs: u64,
    nanos: u64,
}

fn samplers(learner: &mut Learner) -> Result<Vec<Sampler>, Failure> {
    let audit = learner.audit()?;
    let programs = audit.programs().iter();
    let samplers = programs.filter(|program| program.kind == ProgramType::PERF_EVENT);
    samplers
        .map(|program| {
            let samples = audit.map(program, "SAMPLES");
            Ok(Sampler {
                loaded_at: program.loaded_at,
                samples: samples.ok().and_then(|map| map.sum_u64(&[0; 4]).ok()),
                runs: program.runs,
                nanos: program.run_nanos,
            })
        })
        .collect()
}

/// What the witnesses know of a run.
struct Seen {
    /// Seconds.
    cpu: f64,
    lasted: f64,
    /// Of runtime/pprof.
    hz: u64,
    /// Samplers that were loaded since the slice before.
    loaded: usize,
    samples: u64,
    /// How often their programs ran.
    ticks: u64,
}

impl Seen {
    /// Of the second slice.
    fn of(pair: &[Slice], samplers: &[Sampler]) -> Self {
        let (before, slice) = (&pair[0], &pair[1]);
        let its = samplers
            .iter()
            .filter(|sampler| (before.to..slice.from).contains(&sampler.loaded_at));
        Self {
            cpu: slice.cpu,
            lasted: slice.to.saturating_sub(slice.from) as f64 * 1e-9,
            hz: slice.hz,
            loaded: its.clone().count(),
            samples: its.clone().filter_map(|sampler| sampler.samples).sum(),
            ticks: its.map(|sampler| sampler.runs).sum(),
        }
    }

    /// What is wrong with what a run says of who looked, and how often.
    ///
    /// Of the samples that CPU time would make a tenth is asked for, what the next rate but one would give:
    /// machines that stand still for a while lose ticks, and CPU time counts on. An emulated machine on a
    /// host with much else to do had a quarter.
    fn contradicts(&self, run: &Run) -> Option<String> {
        let Run {
            who, hz, samples, ..
        } = run;
        let name = who.name();
        let due = f64::from(*hz) * self.cpu;
        let possible = |samples: u64| samples as f64 <= due * 1.3 + 10.0;
        match who {
            Who::Nobody | Who::Pprof if self.loaded > 0 => Some(format!(
                "your table has a run of {name}, during which your sampler was there."
            )),
            Who::Nobody | Who::Mine if self.hz > 0 => Some(format!(
                "your table has a run of {name}, during which runtime/pprof was there."
            )),
            Who::Nobody if *samples > 0 => Some(format!(
                "your table has a run of nobody with {samples} samples."
            )),
            Who::Mine if self.loaded == 0 => Some(format!(
                "your table has a run of mine at {hz} Hz, and the kernel no sampler of it."
            )),
            Who::Mine if *samples != self.samples => Some(format!(
                "a run of mine at {hz} Hz: SAMPLES has counted {}; your table has {samples}.",
                self.samples
            )),
            Who::Mine
                if !possible(*samples)
                    || (*samples as f64) < due / 10.0 - 10.0
                    || *samples > self.ticks =>
            {
                Some(format!(
                    "a run of mine at {hz} Hz: the service used {:.1} ms of CPU time, for which there are {due:.0} \
                     samples at that rate, and the kernel ran the sampler {} times; it has {samples}.",
                    self.cpu * 1e3,
                    self.ticks
                ))
            }
            Who::Pprof if self.hz != u64::from(*hz) => Some(format!(
                "your table has a run of pprof at {hz} Hz; it was at {} Hz.",
                self.hz
            )),
            Who::Pprof if !possible(*samples) => Some(format!(
                "a run of pprof at {hz} Hz has {samples} samples, and there can't be more than {due:.0}."
            )),
            Who::Perf | Who::Bpftrace => Some(format!("nobody asked for a run of {name}.")),
            _ => None,
        }
    }
}

/// Whether what the runs say of the profilers adds up to what was used: `own` by the learner's program,
/// `beside` by the service beside its work, both in seconds.
fn profiler_time(runs: &[Run], own: f64, beside: f64) -> Result<(), String> {
    let told: f64 = runs.iter().map(|run| run.profiler).sum();
    let used = own + beside;
    let slack = SLACK * runs.len() as f64;
    if told <= used + slack && told >= ACCOUNTED * used {
        return Ok(());
    }
    Err(format!(
        "your program has used {:.0} ms of CPU time, and the service {:.0} ms beside its work; the profilers in \
         your table take {:.0} ms in all.",
        own * 1e3,
        beside * 1e3,
        told * 1e3
    ))
}

/// What a round needs and has not, if anything.
pub(super) fn lacks(round: &[Run]) -> Option<String> {
    let mine = round.iter().filter(|run| run.who == Who::Mine);
    let rates: BTreeSet<u32> = mine.map(|run| run.hz).collect();
    let (lowest, highest) = (rates.first().copied(), rates.last().copied());
    if !round.iter().any(|run| run.who == Who::Nobody) {
        return Some("there is no run in which nobody looks".to_owned());
    }
    let wide = lowest
        .zip(highest)
        .is_some_and(|(low, high)| high >= 10 * low);
    (rates.len() < 3 || !wide).then(|| {
        let rates: Vec<String> = rates.iter().map(ToString::to_string).collect();
        format!(
            "your sampler should look at three rates at least, the highest ten times the lowest; it has \
             [{}] Hz",
            rates.join(", ")
        )
    })
}

/// What keeps the runs from being in random order, if anything does.
///
/// Of three rounds drawn by chance all are sorted, or all are the same, or in all each profiler's runs stand
/// together, less than once in a hundred million measurements.
pub(super) fn unmixed(rounds: &[Vec<Run>]) -> Option<String> {
    let order = |round: &Vec<Run>| -> Vec<(Who, u32)> {
        round.iter().map(|run| (run.who, run.hz)).collect()
    };
    let orders: Vec<Vec<(Who, u32)>> = rounds.iter().map(order).collect();
    let sorted = |order: &Vec<(Who, u32)>| {
        order.is_sorted_by_key(|(_, hz)| *hz) || order.iter().rev().is_sorted_by_key(|(_, hz)| *hz)
    };
    let together = |order: &Vec<(Who, u32)>| {
        let changes = order
            .windows(2)
            .filter(|pair| pair[0].0 != pair[1].0)
            .count();
        let who: BTreeSet<Who> = order.iter().map(|(who, _)| *who).collect();
        who.len() > 1 && changes + 1 == who.len()
    };
    let what = if orders.iter().all(sorted) {
        "go by their rates in each round"
    } else if orders.iter().all(together) {
        "of each profiler follow each other in each round"
    } else if orders.len() > 1 && orders.iter().all(|order| *order == orders[0]) {
        "come in the same order in each round"
    } else {
        return None;
    };
    Some(format!(
        "the runs {what}: whatever changes in the machine meanwhile would be taken for an effect."
    ))
}

/// What the table says, and the kernel besides.
fn told(rounds: &[Vec<Run>], samplers: &[Sampler]) -> String {
    let (runs, nanos) = samplers.iter().fold((0, 0), |(runs, nanos), sampler| {
        (runs + sampler.runs, nanos + sampler.nanos)
    });
    let costs = rounds
        .iter()
        .filter_map(|round| reference::of_round(round, Who::Mine));
    let services: Vec<f64> = costs.map(|cost| cost.service * 1e6).collect();
    let typical = pgo::ruler::median(&mut services.clone()).unwrap_or_default();
    let (low, high) = reference::interval(&services, 1);
    format!(
        "By your table a sample takes {typical:.1} [{low:.1}, {high:.1}] µs of the service. The kernel ran your \
         BPF program {runs} times, for {:.1} µs each: a tick of the clock is more than the program.",
        nanos as f64 / 1e3 / runs.max(1) as f64
    )
}
