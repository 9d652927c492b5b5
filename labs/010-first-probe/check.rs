//! The truth: how often a workload of ours calls openat(2) while the program is ready.

use labcheck::prelude::*;

pub const STEPS: Steps = &[("count", count)];

const SOURCE: &str = "ebpf/src/main.rs";

fn count(lab: &mut Session) -> Result<(), Stop> {
    let calls = lab.rng.between(23..=61);
    lab.set_truth(calls);
    let mut workload = Workload::syscalls()?;
    let pid = workload.pid();

    let started = lab.learner()?.set("PID", pid).start();
    let mut learner = lab.require("starts", started)?;

    let program = learner.audit()?.attached(
        ProgramType::TRACEPOINT,
        "the tracepoint sys_enter_openat",
        |hook| matches!(hook, Hook::Tracepoint(name) if name == "sys_enter_openat"),
    );
    let program = lab.require("attached", program)?;

    let key = pid.to_ne_bytes();
    let map = learner.audit()?.map(&program, "CALLS");
    let seen = learner.witness(
        &program,
        || map.clone().and_then(|map| map.sum_u64(&key)),
        || workload.call(&[("openat", calls), ("close", calls / 2)]),
    )?;

    let runs = seen.runs;
    let place = lab.place(SOURCE, "fn count_openat");
    lab.require_that("program-ran", runs >= calls, || {
        format!(
            "we made {calls} openat calls; your program's probe ran {runs} times. Look at {place}."
        )
    })?;

    let grew = seen
        .both()
        .map(|(before, after)| after.wrapping_sub(before));
    let place = lab.place(SOURCE, "fn count_openat");
    let counted = match grew {
        Ok(n) if n == calls => Ok(()),
        Ok(n) => Err(Failure::learner(format!(
            "we made {calls} openat calls and the kernel ran your program for each, but the entry \
             of process {pid} in CALLS grew by {n}. Look at {place}."
        ))),
        Err(Failure::Learner(why)) => Err(Failure::learner(format!(
            "we made {calls} openat calls and the kernel ran your program for each, but it counted \
             none of them: {why} Look at {place}."
        ))),
        Err(other) => Err(other),
    };
    lab.require("map-counts", counted)?;

    let printed = learner
        .stop()
        .and_then(|output| output.expect_line(&format!("openat {calls}")));
    lab.require("report-agrees", printed)
}
