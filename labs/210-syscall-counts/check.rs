//! The truth: which system calls a workload of ours makes, how often each, in a random order of
//! bursts. A second process makes the same calls at the same time, so that counting all
//! processes is seen to be wrong on a quiet machine too.

use labcheck::{audit::Map, prelude::*, workload::syscall_number};

pub const STEPS: Steps = &[
    ("one-process", one_process),
    ("by-number", by_number),
    ("report", report),
];

const SOURCE: &str = "ebpf/src/main.rs";
/// Calls that the workload makes on purpose and its own machinery never does. `close` is not
/// among them: each openat that succeeds is followed by one.
const KINDS: [&str; 7] = [
    "openat",
    "getppid",
    "unlinkat",
    "mkdirat",
    "statx",
    "readlinkat",
    "umask",
];
/// The most calls that the workload makes of itself for one burst: a thread started, joined and
/// its memory given back, one line read and one written. strace shows 36.
const OWN_CALLS: u64 = 60;

/// A random plan of calls, the processes that make them, and the learner's program beside them.
struct Scene {
    learner: Learner,
    program: Program,
    workload: Workload,
    bystander: Workload,
    /// What the workload will do, burst by burst.
    bursts: Vec<(&'static str, u64)>,
    /// Calls of each kind.
    truth: Vec<(&'static str, u64)>,
}

impl Scene {
    /// Draws the plan and starts all three.
    fn set(lab: &mut Session) -> Result<Self, Failure> {
        let mut kinds = KINDS;
        lab.rng.shuffle(&mut kinds);
        let truth: Vec<(&str, u64)> = kinds[..5]
            .iter()
            .map(|kind| (*kind, lab.rng.between(40..=400)))
            .collect();
        let mut bursts = Vec::new();
        for &(kind, calls) in &truth {
            let first = lab.rng.between(1..=calls - 1);
            bursts.extend([(kind, first), (kind, calls - first)]);
        }
        lab.rng.shuffle(&mut bursts);

        let mut rows = truth.clone();
        rows.sort_by_key(|&(_, calls)| std::cmp::Reverse(calls));
        let mut lines = vec![format!("calls {}", total(&truth))];
        lines.extend(rows.iter().map(|(kind, calls)| format!("{calls} {kind}")));
        lab.set_truth(lines.join("\n"));

        let mut workload = Workload::syscalls()?;
        // What a process does once only, at its first thread, is behind it then.
        workload.call(&[("getppid", 1)])?;
        let bystander = Workload::syscalls()?;
        let mut learner = lab.learner()?.set("PID", workload.pid()).start()?;
        let program = learner.audit()?.attached(
            ProgramType::TRACEPOINT,
            "the tracepoint sys_enter of raw_syscalls",
            |hook| matches!(hook, Hook::Tracepoint(name) if name == "sys_enter"),
        )?;
        Ok(Self {
            learner,
            program,
            workload,
            bystander,
            bursts,
            truth,
        })
    }

    /// Makes the calls while the learner's processes stand still; reads the map `name` before
    /// and afterwards.
    fn act<S>(
        &mut self,
        name: &str,
        read: impl Fn(&Map, &[(&'static str, u64)]) -> Result<S, Failure>,
    ) -> Result<Witnessed<S>, Failure> {
        let Self {
            learner,
            program,
            workload,
            bystander,
            bursts,
            truth,
        } = self;
        let map = learner.audit()?.map(program, name);
        learner.witness(
            program,
            || map.clone().and_then(|map| read(&map, truth)),
            || {
                for burst in bursts.iter() {
                    workload.call(&[*burst])?;
                    // Ten times as much as the bound on the workload's own calls, and more.
                    bystander.call(&[(burst.0, burst.1 + 10 * OWN_CALLS)])?;
                }
                Ok(())
            },
        )
    }
}

fn total(truth: &[(&str, u64)]) -> u64 {
    truth.iter().map(|(_, calls)| calls).sum()
}

fn one_process(lab: &mut Session) -> Result<(), Stop> {
    let scene = Scene::set(lab);
    let mut scene = lab.require("traces", scene)?;
    let seen = scene.act("TOTAL", |map, _| map.sum_u64(&0u32.to_ne_bytes()))?;

    let made = total(&scene.truth);
    let most = made + OWN_CALLS * scene.bursts.len() as u64;
    let runs = seen.runs;
    let place = lab.place(SOURCE, "fn count_calls");
    lab.require_that("program-ran", runs >= made, || {
        format!("we made {made} calls; your program ran {runs} times. Look at {place}.")
    })?;

    let grown = seen
        .both()
        .map(|(before, after)| (after.wrapping_sub(before), after));
    let judged = match grown {
        Ok((grew, now)) if (made..=most).contains(&grew) => Ok(now),
        Ok((grew, _)) => Err(Failure::learner(format!(
            "process {} made {made} calls (and at most {} that are its own business); entry 0 of \
             TOTAL grew by {grew}. Another process made calls meanwhile, which must not count. \
             Look at {place}.",
            scene.workload.pid(),
            most - made,
        ))),
        Err(Failure::Learner(why)) => Err(Failure::learner(format!(
            "the kernel ran your program {runs} times, but it counted nothing: {why} Look at {place}."
        ))),
        Err(other) => Err(other),
    };
    let now = lab.require("total", judged)?;

    let printed = scene
        .learner
        .stop()
        .and_then(|output| reported(&output, now));
    lab.require("total-printed", printed)
}

/// The line `calls N`, where N is what the map said, or a few more: the workload goes back to waiting,
/// and that takes system calls too.
fn reported(output: &Output, counted: u64) -> Result<(), Failure> {
    let printed = output
        .stdout
        .lines()
        .find_map(|line| line.trim().strip_prefix("calls ")?.parse::<u64>().ok());
    match printed {
        Some(n) if (counted..=counted + OWN_CALLS).contains(&n) => Ok(()),
        // Says what was printed instead.
        _ => output.expect_line(&format!("calls {counted}")),
    }
}

/// Acts, and judges what BY_NUMBER grew by for each kind of call.
fn numbers(lab: &mut Session, scene: &mut Scene) -> Result<(), Failure> {
    let seen = scene.act("BY_NUMBER", |map, truth| {
        truth
            .iter()
            .map(|(kind, _)| map.sum_u64(&syscall_number(kind)?.to_ne_bytes()))
            .collect::<Result<Vec<u64>, Failure>>()
    })?;
    let place = lab.place(SOURCE, "fn count_calls");
    let entries = seen.both().map_err(|failure| match failure {
        Failure::Learner(why) => Failure::learner(format!(
            "we made calls of {} kinds; your program counted none by number: {why} Look at {place}.",
            scene.truth.len()
        )),
        other => other,
    });
    entries.and_then(|(before, after)| {
        for (((kind, calls), before), after) in scene.truth.iter().zip(before).zip(after) {
            let grew = after.wrapping_sub(before);
            if grew != *calls {
                return Err(Failure::learner(format!(
                    "process {} made {calls} calls of {kind}, which is number {}; that entry of \
                     BY_NUMBER grew by {grew}. Look at {place}.",
                    scene.workload.pid(),
                    syscall_number(kind)?,
                )));
            }
        }
        Ok(())
    })
}

fn by_number(lab: &mut Session) -> Result<(), Stop> {
    let scene = Scene::set(lab);
    let mut scene = lab.require("number-traces", scene)?;
    let counted = numbers(lab, &mut scene);
    lab.require("numbers", counted)?;
    let ended = scene.learner.stop().map(|_| ());
    lab.require("ends", ended)
}

fn report(lab: &mut Session) -> Result<(), Stop> {
    let scene = Scene::set(lab);
    let mut scene = lab.require("table-traces", scene)?;
    let counted = numbers(lab, &mut scene);
    lab.require("table-numbers", counted)?;
    let truth = scene.truth;
    let place = lab.place("src/main.rs", "rows");
    let printed = scene
        .learner
        .stop()
        .and_then(|output| table(&output.stdout, &truth, &place));
    lab.require("table", printed)
}

/// Whether the table has each call that was made, the most frequent first.
fn table(printed: &str, truth: &[(&str, u64)], place: &str) -> Result<(), Failure> {
    let rows: Vec<(u64, &str)> = printed
        .lines()
        .filter_map(|line| {
            let (count, name) = line.trim().split_once(' ')?;
            Some((count.parse().ok()?, name.trim()))
        })
        .collect();
    for (kind, calls) in truth {
        match rows.iter().find(|(_, name)| name == kind) {
            Some((printed, _)) if printed == calls => {}
            Some((printed, _)) => {
                return Err(Failure::learner(format!(
                    "we made {calls} calls of {kind}; your program printed `{printed} {kind}`. Look at {place}."
                )));
            }
            None => {
                return Err(Failure::learner(format!(
                    "we made {calls} calls of {kind}; your program printed no line `{calls} {kind}`. Look at {place}."
                )));
            }
        }
    }
    match rows.windows(2).find(|pair| pair[0].0 < pair[1].0) {
        None => Ok(()),
        Some(pair) => Err(Failure::learner(format!(
            "the most frequent call comes first, but your program printed `{} {}` before `{} {}`. Look at {place}.",
            pair[0].0, pair[0].1, pair[1].0, pair[1].1
        ))),
    }
}
