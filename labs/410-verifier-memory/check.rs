//! The truth: what a workload of ours does while the mended program watches it; and why the
//! kernel refuses each program as it is handed out.

use labcheck::{audit::Map, prelude::*, refusal::Class};

pub const STEPS: Steps = &[
    ("opens", opens),
    ("sizes", sizes),
    ("paths", paths),
    ("texts", texts),
];

const ANSWERS: &str = "answers.toml";
const SLOTS: usize = 16;
const KEPT: usize = 64;

/// One of the four programs.
struct Case {
    step: &'static str,
    /// Why the kernel refuses it as it is handed out.
    class: Class,
    file: &'static str,
    /// Where a learner's eyes belong when its behaviour is wrong.
    line: &'static str,
    hook: &'static str,
    map: &'static str,
}

const OPENS: Case = Case {
    step: "opens",
    class: Class::MaybeNullMapValue,
    file: "bpf/opens.bpf.c",
    line: "bpf_map_lookup_elem",
    hook: "sys_enter_openat",
    map: "OPENS",
};
const SIZES: Case = Case {
    step: "sizes",
    class: Class::OutOfBoundsMapValue,
    file: "bpf/sizes.bpf.c",
    line: "slot = call->count",
    hook: "sys_enter_pread64",
    map: "SIZES",
};
const PATHS: Case = Case {
    step: "paths",
    class: Class::ScalarAsPointer,
    file: "ebpf/src/paths.rs",
    line: "first",
    hook: "sys_enter_openat",
    map: "ABSOLUTE",
};
const TEXTS: Case = Case {
    step: "texts",
    class: Class::UnboundedSize,
    file: "ebpf/src/texts.rs",
    line: "let len",
    hook: "sys_enter_pwrite64",
    map: "LAST",
};

/// A program that is loaded, attached, and watches the workload.
struct Running {
    case: &'static Case,
    learner: Learner,
    program: Program,
    workload: Workload,
    key: [u8; 4],
    predicted: String,
}

impl Case {
    fn check(&self, what: &str) -> String {
        format!("{}-{what}", self.step)
    }

    /// The prediction, first of all: nothing of the verifier's is shown before there is one.
    fn predicted(&self, lab: &mut Session) -> Result<String, Stop> {
        let ids: Vec<&str> = Class::ALL.iter().map(|class| class.id()).collect();
        let questions = ["opens", "sizes", "paths", "texts"].map(|step| (step, ids.as_slice()));
        let answer = lab.answers(ANSWERS, &questions).and_then(|mut answers| {
            answers.remove(self.step).ok_or_else(|| {
                let place = lab.place(ANSWERS, &format!("{} =", self.step));
                Failure::learner(format!(
                    "write your prediction first: why will the verifier refuse {}? Put the id of a \
                     class into {place}. Until then the program is not loaded.",
                    self.file
                ))
            })
        });
        lab.require(&self.check("predicted"), answer)
    }

    /// Starts the learner's program and finds it in the kernel.
    fn start(&'static self, lab: &mut Session, workload: Workload) -> Result<Running, Stop> {
        let predicted = self.predicted(lab)?;
        let started = lab.learner()?.set("PID", workload.pid()).start();
        let started = started.map_err(|failure| match &failure {
            Failure::Refused(refusal) if refusal.class().id() == predicted => {
                let remark = format!("you predicted {predicted}, and so it is:");
                failure.remark(remark)
            }
            Failure::Refused(_) => {
                let remark = format!("you predicted {predicted}; compare:");
                failure.remark(remark)
            }
            _ => failure,
        });
        let mut learner = lab.require(&self.check("loads"), started)?;
        let found = learner.audit()?.attached(
            ProgramType::TRACEPOINT,
            &format!("the tracepoint {}", self.hook),
            |hook| matches!(hook, Hook::Tracepoint(name) if name == self.hook),
        );
        let program = lab.require(&self.check("attached"), found)?;
        let key = workload.pid().to_ne_bytes();
        Ok(Running {
            case: self,
            learner,
            program,
            workload,
            key,
            predicted,
        })
    }
}

impl Running {
    /// Makes `calls` while the learner's own processes stand still; has `read` read the process's
    /// entry before and afterwards.
    fn act<S>(
        &mut self,
        calls: &[(&str, u64)],
        read: impl Fn(&Map, &[u8]) -> Result<S, Failure>,
    ) -> Result<Witnessed<S>, Failure> {
        let Self {
            case,
            learner,
            program,
            workload,
            key,
            ..
        } = self;
        let map = learner.audit()?.map(program, case.map);
        learner.witness(
            program,
            || map.clone().and_then(|map| read(&map, key)),
            || workload.call(calls),
        )
    }

    /// Records that the program ran for at least `calls` calls.
    fn ran(&self, lab: &mut Session, runs: u64, calls: u64) -> Result<(), Stop> {
        let Case { file, hook, .. } = self.case;
        let place = lab.place(file, "SEC(\"tracepoint");
        lab.require_that(&self.case.check("ran"), runs >= calls, || {
            format!("we made {calls} calls that pass {hook}; your program ran {runs} times. Look at {place}.")
        })
    }

    /// Records whether the map was right; `outcome` is what is wrong with it.
    fn counted(
        &self,
        lab: &mut Session,
        outcome: Result<Option<String>, Failure>,
    ) -> Result<(), Stop> {
        let place = lab.place(self.case.file, self.case.line);
        let outcome = match outcome {
            Ok(None) => Ok(()),
            Ok(Some(why)) | Err(Failure::Learner(why)) => Err(Failure::learner(format!(
                "the kernel takes the program, but {why} Look at {place}."
            ))),
            Err(other) => Err(other),
        };
        lab.require(&self.case.check("right"), outcome)
    }

    /// Stops the program; records whether it printed `line`, and whether the class is right.
    fn finish(self, lab: &mut Session, line: &str) -> Result<(), Stop> {
        let Self {
            case,
            learner,
            predicted,
            ..
        } = self;
        let printed = learner.stop().and_then(|output| output.expect_line(line));
        lab.require(&case.check("printed"), printed)?;
        let place = lab.place(ANSWERS, &format!("{} =", case.step));
        lab.require_that(&case.check("class"), predicted == case.class.id(), || {
            format!(
                "{} does its work now. But {place} says {predicted}, and that is not why the kernel \
                 refused it as it was handed out. Put the class there that it was, and why will stay with you.",
                case.file
            )
        })
    }
}

fn opens(lab: &mut Session) -> Result<(), Stop> {
    let calls = lab.rng.between(23..=61);
    let line = format!("opens {calls}");
    lab.set_truth(&line);
    let mut run = OPENS.start(lab, Workload::syscalls()?)?;
    let seen = run.act(&[("openat", calls), ("close", calls / 2)], Map::sum_u64)?;
    run.ran(lab, seen.runs, calls)?;
    let wrong = seen.both().map(|(before, after)| {
        let grew = after.wrapping_sub(before);
        (grew != calls).then(|| {
            format!("the process's entry in OPENS grew by {grew} while it made its first {calls} openat calls.")
        })
    });
    run.counted(lab, wrong)?;
    run.finish(lab, &line)
}

fn sizes(lab: &mut Session) -> Result<(), Stop> {
    // Inside slots, on their edges, and far beyond the last one.
    let mut asked: Vec<u64> = vec![511, 512, 7679, 7680, 8191, 8192, 8704, 1 << 20];
    asked.extend((0..8).map(|_| lab.rng.between(0..=12_000)));
    lab.rng.shuffle(&mut asked);
    let calls: Vec<(String, u64)> = asked
        .iter()
        .map(|size| (format!("pread64:{size}"), lab.rng.between(1..=9)))
        .collect();
    let calls: Vec<(&str, u64)> = calls.iter().map(|(call, n)| (call.as_str(), *n)).collect();
    let mut truth = [0u64; SLOTS];
    for (size, (_, n)) in asked.iter().zip(&calls) {
        let slot = usize::try_from(size / 512).unwrap_or(SLOTS).min(SLOTS - 1);
        truth[slot] += n;
    }
    let line = format!("sizes {}", truth.map(|n| n.to_string()).join(" "));
    lab.set_truth(&line);

    let mut run = SIZES.start(lab, Workload::syscalls()?)?;
    let seen = run.act(&calls, histogram)?;
    run.ran(lab, seen.runs, calls.iter().map(|(_, n)| n).sum())?;
    let wrong = seen.both().map(|(before, after)| {
        (0..SLOTS).find_map(|slot| {
            let grew = after[slot].wrapping_sub(before[slot]);
            (grew != truth[slot]).then(|| wrong_slot(slot, grew, truth[slot]))
        })
    });
    run.counted(lab, wrong)?;
    run.finish(lab, &line)
}

fn wrong_slot(slot: usize, grew: u64, truth: u64) -> String {
    let from = slot * 512;
    let range = if slot + 1 == SLOTS {
        format!("{from} bytes and more")
    } else {
        format!("{from} to {} bytes", from + 511)
    };
    format!(
        "slot {slot} of SIZES, for reads of {range}, grew by {grew} when we made {truth} of them."
    )
}

/// The slots of a process; all zero when it has no entry yet.
fn histogram(map: &Map, key: &[u8]) -> Result<[u64; SLOTS], Failure> {
    let values = map.get(key)?;
    let Some(value) = values.first() else {
        return Ok([0; SLOTS]);
    };
    let (numbers, rest) = value.as_chunks::<8>();
    match <&[[u8; 8]; SLOTS]>::try_from(numbers) {
        Ok(numbers) if rest.is_empty() => Ok(numbers.map(u64::from_ne_bytes)),
        _ => Err(Failure::learner(format!(
            "the values of SIZES have {} bytes; a histogram has {}.",
            value.len(),
            SLOTS * 8
        ))),
    }
}

fn paths(lab: &mut Session) -> Result<(), Stop> {
    let absolute = lab.rng.between(17..=47);
    let relative = lab.rng.between(17..=47);
    let line = format!("absolute {absolute}");
    lab.set_truth(&line);
    let folder = lab.rng.word(9);
    let (inside, outside) = (
        format!("openat:/{folder}/none"),
        format!("openat:{folder}/none"),
    );

    let mut run = PATHS.start(lab, Workload::syscalls()?)?;
    let calls = [
        (inside.as_str(), absolute / 2),
        (&outside, relative),
        (&inside, absolute - absolute / 2),
    ];
    let seen = run.act(&calls, Map::sum_u64)?;
    run.ran(lab, seen.runs, absolute + relative)?;
    let wrong = seen.both().map(|(before, after)| {
        let grew = after.wrapping_sub(before);
        (grew != absolute).then(|| {
            format!(
                "the process's entry in ABSOLUTE grew by {grew} when it opened {absolute} absolute and \
                 {relative} relative paths."
            )
        })
    });
    run.counted(lab, wrong)?;
    run.finish(lab, &line)
}

fn texts(lab: &mut Session) -> Result<(), Stop> {
    // Longer than what is kept, exactly as long, shorter: each must come out right.
    let lengths = [
        lab.rng.between(70..=120),
        KEPT as u64,
        lab.rng.between(5..=40),
    ];
    let texts = lengths.map(|length| lab.rng.word(usize::try_from(length).unwrap_or(KEPT)));
    let line = format!("text {}", texts[2]);
    lab.set_truth(&line);

    let mut run = TEXTS.start(lab, Workload::syscalls()?)?;
    let mut wrong = Ok(None);
    let mut runs = 0;
    for text in &texts {
        let seen = run.act(&[(&format!("pwrite64:{text}"), 1)], last_text)?;
        runs += seen.runs;
        if matches!(wrong, Ok(None)) {
            wrong = seen.after.map(|last| wrong_text(last, text));
        }
    }
    run.ran(lab, runs, texts.len() as u64)?;
    run.counted(lab, wrong)?;
    run.finish(lab, &line)
}

/// The kept text of a process: the length it says, and the bytes; `None` without an entry.
fn last_text(map: &Map, key: &[u8]) -> Result<Option<(u64, Vec<u8>)>, Failure> {
    let values = map.get(key)?;
    let entry = values
        .first()
        .and_then(|value| value.split_first_chunk::<8>());
    Ok(entry.map(|(len, bytes)| (u64::from_ne_bytes(*len), bytes.to_vec())))
}

/// What is wrong with the kept text of a process that gave `text` last.
fn wrong_text(last: Option<(u64, Vec<u8>)>, text: &str) -> Option<String> {
    let Some((len, bytes)) = last else {
        return Some("LAST has no entry for the process that we watch.".into());
    };
    let expected = &text.as_bytes()[..text.len().min(KEPT)];
    let kept = usize::try_from(len).ok().and_then(|len| bytes.get(..len));
    (kept != Some(expected)).then(|| {
        format!(
            "after a text of {} bytes, LAST says {len} bytes: `{}`. It should hold {}: `{}`.",
            text.len(),
            String::from_utf8_lossy(kept.unwrap_or(&bytes)),
            expected.len(),
            String::from_utf8_lossy(expected)
        )
    })
}
