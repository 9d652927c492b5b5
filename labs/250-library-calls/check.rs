//! The truth: which settings a program of ours looks up by getenv(3), how often each, in random
//! order. Another process of the same program looks up the same names meanwhile.

use std::fmt::Write as _;

use labcheck::{
    elf,
    map::{Entries, Map},
    prelude::*,
};

pub const STEPS: Steps = &[("attach", attach), ("names", names)];

const BPF: &str = "ebpf/src/main.rs";
const USER: &str = "src/main.rs";
/// Bytes of a key of BY_NAME.
const NAME: usize = 32;

/// The traced program, and the learner's beside it.
struct Scene {
    learner: Learner,
    app: Workload,
    bystander: Workload,
    /// Each name and how often it will be looked up.
    truth: Vec<(String, u64)>,
    /// All lookups, in order.
    lookups: String,
}

impl Scene {
    fn set(lab: &mut Session) -> Result<Self, Failure> {
        // Some names begin alike, and lengths differ, so that half a name is not enough.
        let prefix = format!("{}_", lab.rng.word(9)).to_uppercase();
        let truth: Vec<(String, u64)> = (0..8)
            .map(|at| {
                let letters = lab.rng.between(4..=18) as usize;
                let word = format!("{}{at}", lab.rng.word(letters)).to_uppercase();
                let name = if at % 2 == 0 {
                    format!("{prefix}{word}")
                } else {
                    word
                };
                (name, lab.rng.between(3..=40))
            })
            .collect();
        let mut order: Vec<&str> = truth
            .iter()
            .flat_map(|(name, calls)| std::iter::repeat_n(name.as_str(), *calls as usize))
            .collect();
        lab.rng.shuffle(&mut order);
        let lookups = order.join(" ");

        let mut rows = truth.clone();
        rows.sort_by_key(|(_, calls)| std::cmp::Reverse(*calls));
        let mut text = format!("calls {}", total(&truth));
        for (name, calls) in &rows {
            let _ = write!(text, "\n{calls} {name}");
        }
        lab.set_truth(text);

        let program = lab.artifact("app")?;
        let mut app = Workload::program(&program, &[], true)?;
        app.expect("ready")?;
        let mut bystander = Workload::program(&program, &[], true)?;
        bystander.expect("ready")?;
        let learner = lab.learner()?.set("PID", app.pid()).start()?;
        Ok(Self {
            learner,
            app,
            bystander,
            truth,
            lookups,
        })
    }

    /// The learner's program at getenv.
    fn attached(&mut self, place: &str) -> Result<Program, Failure> {
        let libc = self.app.library("libc.so")?;
        let offset = elf::function_offset(&libc, "getenv")?;
        self.learner
            .audit()?
            .attached(ProgramType::KPROBE, "the entry of getenv in libc", |hook| {
                hook.is_uprobe_at(&libc, offset)
            })
            .map_err(|failure| also(failure, &format!("Look at {place}.")))
    }

    /// Looks everything up while the learner's processes stand still; reads the map `name` of
    /// `program` before and afterwards.
    fn act<S>(
        &mut self,
        program: &Program,
        name: &str,
        read: impl Fn(&Map) -> Result<S, Failure>,
    ) -> Result<Witnessed<S>, Failure> {
        let Self {
            learner,
            app,
            bystander,
            lookups,
            ..
        } = self;
        let map = learner.audit()?.map(program, name);
        learner.witness(
            program,
            || map.clone().and_then(|map| read(&map)),
            || {
                for process in [bystander, app] {
                    process.send(lookups)?;
                    process.expect("done")?;
                }
                Ok(())
            },
        )
    }
}

fn total(truth: &[(String, u64)]) -> u64 {
    truth.iter().map(|(_, calls)| calls).sum()
}

/// Adds a sentence to what a learner is told.
fn also(failure: Failure, text: &str) -> Failure {
    match failure {
        Failure::Learner(why) => Failure::learner(format!("{why} {text}")),
        other => other,
    }
}

fn attach(lab: &mut Session) -> Result<(), Stop> {
    let scene = Scene::set(lab);
    let mut scene = lab.require("starts", scene)?;
    let attached = scene.attached(&lab.place(USER, "program.load()"));
    let program = lab.require("attached", attached)?;

    let seen = scene.act(&program, "TOTAL", |map| map.sum_u64(&0u32.to_ne_bytes()))?;
    let made = total(&scene.truth);
    let runs = seen.runs;
    let place = lab.place(BPF, "fn on_getenv");
    let counted = seen
        .both()
        .map(|(before, after)| (after, after.wrapping_sub(before)))
        .map_err(|failure| also(failure, &format!("Look at {place}.")))
        .and_then(|(now, grew)| {
            if grew == made {
                return Ok(now);
            }
            Err(Failure::learner(format!(
                "process {} called getenv {made} times, and another process as often; your program \
                 ran {runs} times and entry 0 of TOTAL grew by {grew}. Look at {place} and {}.",
                scene.app.pid(),
                lab.place(USER, "attach("),
            )))
        });
    let now = lab.require("total", counted)?;

    let printed = scene
        .learner
        .stop()
        .and_then(|output| output.expect_line(&format!("calls {now}")));
    lab.require("total-printed", printed)
}

fn names(lab: &mut Session) -> Result<(), Stop> {
    let scene = Scene::set(lab);
    let traced = scene.and_then(|mut scene| {
        let program = scene.attached(&lab.place(USER, "program.load()"))?;
        Ok((scene, program))
    });
    let (mut scene, program) = lab.require("names-traced", traced)?;

    let seen = scene.act(&program, "BY_NAME", |map| map.entries(NAME, 1024))?;
    let place = lab.place(BPF, "fn on_getenv");
    let counted = seen
        .growth()
        .and_then(|counted| judge(&counted, &scene.truth))
        .map_err(|failure| also(failure, &format!("Look at {place}.")));
    lab.require("names", counted)?;

    let truth = scene.truth;
    let printed = scene.learner.stop().and_then(|output| {
        truth
            .iter()
            .try_for_each(|(name, calls)| output.expect_line(&format!("{calls} {name}")))
    });
    lab.require("names-printed", printed)
}

/// Whether these names, and no other, were counted.
fn judge(counted: &Entries, truth: &[(String, u64)]) -> Result<(), Failure> {
    for (name, calls) in truth {
        let mut key = name.clone().into_bytes();
        key.resize(NAME, 0);
        let count = counted.get(&key).copied().unwrap_or(0);
        if count != *calls {
            let found = counted.keys().next().map_or("no entry".to_owned(), |key| {
                let zeros = key.iter().rev().take_while(|&&byte| byte == 0).count();
                let text = key[..key.len() - zeros].escape_ascii();
                format!("{} entries, `{text}` among them", counted.len())
            });
            return Err(Failure::learner(format!(
                "the process looked up {name} {calls} times, and BY_NAME says {count}; it has \
                 {found}."
            )));
        }
    }
    if counted.len() != truth.len() {
        return Err(Failure::learner(format!(
            "the process looked up {} names; BY_NAME has {} entries.",
            truth.len(),
            counted.len()
        )));
    }
    Ok(())
}
