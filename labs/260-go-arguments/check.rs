//! The truth: events that we make up and feed to the Go event store, one at a time. Which
//! arguments three of its functions get follows from them (go-samples/eventstore/README.md).

use std::{collections::BTreeMap, ffi::OsStr, fmt::Write as _};

use labcheck::{elf, map::Entries, prelude::*};

pub const STEPS: Steps = &[("ints", ints), ("strings", strings), ("slices", slices)];

const SOURCE: &str = "ebpf/src/main.rs";
const PACKAGE: &str = "probelab.dev/go-samples/eventstore/internal/ingest";

/// What the three functions will have been told.
#[derive(Default)]
struct Truth {
    /// Sum of RecordSize's `size`, by `shard`.
    bytes: BTreeMap<u64, u64>,
    /// Calls of RouteTenant, by `tenant`.
    events: BTreeMap<String, u64>,
    /// Number and sum of all of SealBlock's `values`.
    values: (i64, i64),
}

impl Truth {
    fn report(&self) -> Vec<String> {
        let shards = self.bytes.iter();
        let tenants = self.events.iter();
        shards
            .map(|(shard, bytes)| format!("shard {shard} bytes {bytes}"))
            .chain(tenants.map(|(name, events)| format!("tenant {name} events {events}")))
            .chain([format!("values {} sum {}", self.values.0, self.values.1)])
            .collect()
    }
}

/// The store, and the learner's program beside it.
struct Scene {
    learner: Learner,
    store: Workload,
    events: Vec<String>,
    truth: Truth,
}

impl Scene {
    fn set(lab: &mut Session) -> Result<Self, Failure> {
        let (events, truth) = draw(lab);
        lab.set_truth(truth.report().join("\n"));
        // Blocks of up to twice this: 64 at most, as the learner is told.
        let block_events = lab.rng.between(5..=25).to_string();
        let args = [
            "replay",
            "--ack",
            "--data",
            "data",
            "--block-events",
            &block_events,
        ];
        let args: Vec<&OsStr> = args.iter().map(OsStr::new).collect();
        let mut store = Workload::program(&lab.artifact("store")?, &args, true)?;
        store.expect("ready")?;
        let learner = lab.learner()?.set("PID", store.pid()).start()?;
        Ok(Self {
            learner,
            store,
            events,
            truth,
        })
    }

    /// The learner's program at the entry of `function`.
    fn attached(&mut self, function: &str) -> Result<Program, Failure> {
        let store = self.store.executable()?;
        let offset = elf::function_offset(&store, &format!("{PACKAGE}.{function}"))?;
        self.learner.audit()?.attached(
            ProgramType::KPROBE,
            &format!("the entry of {function} in the store"),
            |hook| hook.is_uprobe_at(&store, offset),
        )
    }

    /// Feeds the store until it has sealed everything and ended, while the learner's processes
    /// stand still; reads the map `name` of `program`, with keys of `key` bytes.
    fn act(
        self,
        program: &Program,
        (name, key): (&str, usize),
    ) -> Result<(Learner, Truth, Witnessed<Entries>), Failure> {
        let Self {
            mut learner,
            mut store,
            events,
            truth,
        } = self;
        let map = learner.audit()?.map(program, name);
        let seen = learner.witness(
            program,
            || map.clone().and_then(|map| map.entries(key, 1024)),
            || {
                for (at, event) in events.iter().enumerate() {
                    store.send(event)?;
                    store.expect(&(at + 1).to_string())?;
                }
                store.finish().map(|_| ())
            },
        )?;
        Ok((learner, truth, seen))
    }
}

/// Makes up events.
///
/// What a tracer that looks for a zero byte reads behind a tenant's name must not be zero. So most
/// names, and the id that comes with a name's first event, have just the length of one of Go's
/// sizes of memory (internal/runtime/gc/sizeclasses.go): the one is then stored right behind the other.
fn draw(lab: &mut Session) -> (Vec<String>, Truth) {
    let tenants: Vec<String> = [16, 32, 48, 16, 32, 48, 5, 9]
        .into_iter()
        .map(|letters| lab.rng.word(letters))
        .collect();
    let mut truth = Truth::default();
    let count = lab.rng.between(120..=200);
    let events = (0..count)
        .map(|at| {
            // Each tenant has one event at least.
            let (tenant, letters) = match tenants.get(at as usize) {
                Some(tenant) => (tenant, tenant.len()),
                None => (lab.rng.pick(&tenants), lab.rng.between(3..=40) as usize),
            };
            let (id, kind) = (lab.rng.word(letters), lab.rng.word(4));
            let value = lab.rng.between(0..=2_000_000_000_000) as i64 - 1_000_000_000_000;
            let event = format!(
                r#"{{"tenant":"{tenant}","id":"{id}","kind":"{kind}","at":{at},"value":{value}}}"#
            );
            *truth.bytes.entry(shard(tenant)).or_default() += event.len() as u64;
            *truth.events.entry(tenant.clone()).or_default() += 1;
            truth.values.0 += 1;
            truth.values.1 += value;
            event
        })
        .collect();
    (events, truth)
}

/// The store's rule: the 32-bit FNV-1a hash of the tenant, modulo 8.
fn shard(tenant: &str) -> u64 {
    let hash = tenant.bytes().fold(2_166_136_261, |hash: u32, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(16_777_619)
    });
    u64::from(hash % 8)
}

/// Acts, and has `judge` compare what was counted in the map with the truth. Its complaint is
/// told after a sentence on what happened.
fn judged(
    lab: &Session,
    scene: Scene,
    program: &Program,
    function: &str,
    map: (&str, usize),
    judge: impl Fn(&Entries, &Truth) -> Result<(), Failure>,
) -> Result<(Learner, Truth), Failure> {
    let (learner, truth, seen) = scene.act(program, map)?;
    let runs = seen.runs;
    match seen.growth().and_then(|counted| judge(&counted, &truth)) {
        Ok(()) => Ok((learner, truth)),
        Err(Failure::Learner(why)) => Err(Failure::learner(format!(
            "the store called {function}, and your program ran {runs} times: {why} Look at {}.",
            lab.place(SOURCE, &format!("func {function}("))
        ))),
        Err(other) => Err(other),
    }
}

fn printed(learner: Learner, lines: Vec<String>) -> Result<(), Failure> {
    let output = learner.stop()?;
    lines.iter().try_for_each(|line| output.expect_line(line))
}

fn ints(lab: &mut Session) -> Result<(), Stop> {
    let scene = Scene::set(lab);
    let mut scene = lab.require("starts", scene)?;
    let attached = scene.attached("RecordSize");
    let program = lab.require("attached", attached)?;
    let outcome = judged(
        lab,
        scene,
        &program,
        "RecordSize",
        ("BYTES", 8),
        |counted, truth| {
            for (shard, bytes) in &truth.bytes {
                let count = entry(counted, &shard.to_ne_bytes());
                if count != *bytes {
                    return Err(Failure::learner(format!(
                        "shard {shard} took {bytes} bytes, and BYTES says {count}; {}.",
                        entries(counted, |key| match key.try_into() {
                            Ok(key) => u64::from_ne_bytes(key).to_string(),
                            Err(_) => key.escape_ascii().to_string(),
                        })
                    )));
                }
            }
            only(counted, truth.bytes.len())
        },
    );
    let (learner, truth) = lab.require("bytes", outcome)?;
    let lines = lines(&truth, "shard");
    lab.require("bytes-printed", printed(learner, lines))
}

fn strings(lab: &mut Session) -> Result<(), Stop> {
    let (scene, program) = traced(lab, "tenants-traced", "RouteTenant")?;
    let outcome = judged(
        lab,
        scene,
        &program,
        "RouteTenant",
        ("EVENTS", 64),
        |counted, truth| {
            for (name, events) in &truth.events {
                let mut key = name.clone().into_bytes();
                key.resize(64, 0);
                let count = entry(counted, &key);
                if count != *events {
                    return Err(Failure::learner(format!(
                        "tenant {name} had {events} events, and EVENTS says {count}; {}.",
                        entries(counted, |key| {
                            let zeros = key.iter().rev().take_while(|&&byte| byte == 0).count();
                            key[..key.len() - zeros].escape_ascii().to_string()
                        })
                    )));
                }
            }
            only(counted, truth.events.len())
        },
    );
    let (learner, truth) = lab.require("tenants", outcome)?;
    let lines = lines(&truth, "tenant");
    lab.require("tenants-printed", printed(learner, lines))
}

fn slices(lab: &mut Session) -> Result<(), Stop> {
    let (scene, program) = traced(lab, "values-traced", "SealBlock")?;
    let outcome = judged(
        lab,
        scene,
        &program,
        "SealBlock",
        ("VALUES", 4),
        |counted, truth| {
            let at = |at: u32| entry(counted, &at.to_ne_bytes()).cast_signed();
            let found = (at(0), at(1));
            if found == truth.values {
                return Ok(());
            }
            Err(Failure::learner(format!(
                "its blocks had {} values with the sum {}; VALUES says {} values and the sum {}.",
                truth.values.0, truth.values.1, found.0, found.1
            )))
        },
    );
    let (learner, truth) = lab.require("values", outcome)?;
    let lines = lines(&truth, "values");
    lab.require("values-printed", printed(learner, lines))
}

/// Sets the scene and records check `id`: the learner's program is at `function`.
fn traced(lab: &mut Session, id: &str, function: &str) -> Result<(Scene, Program), Stop> {
    let traced = Scene::set(lab).and_then(|mut scene| {
        let program = scene.attached(function)?;
        Ok((scene, program))
    });
    lab.require(id, traced)
}

fn lines(truth: &Truth, first_word: &str) -> Vec<String> {
    let mut lines = truth.report();
    lines.retain(|line| line.starts_with(first_word));
    lines
}

/// What was counted for `key`.
fn entry(counted: &Entries, key: &[u8]) -> u64 {
    counted.get(key).copied().unwrap_or(0)
}

/// The map's entries for a message: how many, and some of the keys.
fn entries(counted: &Entries, shown: impl Fn(&[u8]) -> String) -> String {
    if counted.is_empty() {
        return "it has no entry".to_owned();
    }
    let mut text = format!("its entries are ({} in all)", counted.len());
    for key in counted.keys().take(3) {
        let _ = write!(text, " `{}`", shown(key));
    }
    text
}

/// Whether the map has no more entries than it should.
fn only(counted: &Entries, expected: usize) -> Result<(), Failure> {
    match counted.len() {
        found if found == expected => Ok(()),
        found => Err(Failure::learner(format!(
            "{expected} entries belong in the map; it has {found}."
        ))),
    }
}
