//! What a learner has passed, in `progress.json`.
//!
//! The file's schema is `probelab/progress/v1`: per lab, a record of its present revision and of
//! earlier ones; per step, best points, last verdicts, attempts and the hint level seen. A field
//! more or less is a new version. A reader of v1 keeps a file of another version as it is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::{CheckId, Slug, StepId};
use crate::lab::{Lab, Step};
use crate::store::{self, Contents};
pub use crate::store::{Notice, ProgressError};
use crate::verdict::{StepResult, Verdict};

/// The name and version of the file's format.
pub const SCHEMA: &str = "probelab/progress/v1";

/// Everything in the file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// By lab.
    pub labs: BTreeMap<Slug, LabRecord>,
}

/// What is known of one lab.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabRecord {
    /// When the learner first started or checked it.
    pub started: Timestamp,
    /// By the lab's revision. The highest is the present one, the others are history.
    pub revisions: BTreeMap<u32, Revision>,
}

/// What is known of one revision of a lab.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revision {
    /// By step.
    pub steps: BTreeMap<StepId, StepRecord>,
}

/// What is known of one step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepRecord {
    /// The most points earned.
    pub best: u32,
    /// The points that there were to earn, at the attempt last graded.
    pub of: u32,
    /// How often it was graded: `error` and `skipped` do not count.
    pub attempts: u64,
    /// The last verdict, whichever.
    pub last: Option<Verdict>,
    /// When that was.
    pub last_at: Option<Timestamp>,
    /// When it first passed.
    pub passed_at: Option<Timestamp>,
    /// The last verdict of each check.
    pub checks: BTreeMap<CheckId, Verdict>,
    /// The highest hint level seen, 0 for none.
    pub hint_level: u8,
}

/// A learner's progress: the file's state and what was recorded since it was last read.
///
/// Changes are kept as events and applied to the file's newest state when saved, so two programs
/// that record at once lose nothing.
#[derive(Debug)]
pub struct Progress {
    dir: PathBuf,
    state: State,
    pending: Vec<(Timestamp, Event)>,
}

#[derive(Debug, Clone)]
enum Event {
    Started(Slug),
    Checked(Slug, u32, StepResult),
    HintSeen(Slug, u32, StepId, u8),
}

impl Progress {
    /// Reads `progress.json` in `dir`; without one, progress is empty.
    ///
    /// A file that can't be understood is kept aside as `progress.json.corrupt-<time>` and the
    /// notice, which must be shown, says so.
    ///
    /// # Errors
    /// A file of a newer schema, which is left alone, or a failure to read.
    pub fn open(dir: &Path) -> Result<(Self, Option<Notice>), ProgressError> {
        let (state, notice) = match store::read(dir)? {
            Contents::Nothing => (State::default(), None),
            Contents::State(state) => (state, None),
            // Look again under the lock: another program may have dealt with it.
            Contents::Corrupt(_) => store::locked(dir, || store::read_or_set_aside(dir))?,
        };
        let progress = Self {
            dir: dir.to_owned(),
            state,
            pending: Vec::new(),
        };
        Ok((progress, notice))
    }

    /// Records that the learner began a lab. Only the first time counts.
    pub fn record_start(&mut self, slug: &Slug) {
        self.push(Event::Started(slug.clone()));
    }

    /// Records a step's outcome. `error` and `skipped` never change points.
    pub fn record(&mut self, slug: &Slug, revision: u32, result: &StepResult) {
        self.push(Event::Checked(slug.clone(), revision, result.clone()));
    }

    /// Records that a hint of a level was shown.
    pub fn record_hint(&mut self, slug: &Slug, revision: u32, step: &StepId, level: u8) {
        self.push(Event::HintSeen(slug.clone(), revision, step.clone(), level));
    }

    fn push(&mut self, event: Event) {
        let now = Timestamp::now();
        apply(&mut self.state, now, &event);
        self.pending.push((now, event));
    }

    /// Writes what was recorded. After it returns, the record survives `kill -9` and a power cut.
    ///
    /// A file found broken is kept aside, and what this program knows is written afresh; the
    /// notice says so.
    ///
    /// # Errors
    /// A file of a newer schema, or a failure to write. What was recorded stays pending.
    pub fn save(&mut self) -> Result<Option<Notice>, ProgressError> {
        let dir = self.dir.clone();
        store::locked(&dir, || {
            let (newest, notice) = store::read_or_set_aside(&dir)?;
            let next = if notice.is_some() {
                self.state.clone()
            } else {
                let mut next = newest;
                for (at, event) in &self.pending {
                    apply(&mut next, *at, event);
                }
                next
            };
            store::write(&dir, &next)?;
            self.state = next;
            self.pending.clear();
            Ok(notice)
        })
    }

    /// All that is known.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What is known of a step at the lab's present revision.
    pub fn step(&self, lab: &Lab, step: &StepId) -> Option<&StepRecord> {
        let record = self.state.labs.get(&lab.slug)?;
        record.revisions.get(&lab.revision)?.steps.get(step)
    }

    /// Whether a step's points are all earned at the lab's present revision.
    pub fn is_step_passed(&self, lab: &Lab, step: &Step) -> bool {
        self.step(lab, &step.id)
            .is_some_and(|record| record.best >= step.points)
    }

    /// Whether every step is passed at the lab's present revision.
    pub fn is_lab_passed(&self, lab: &Lab) -> bool {
        lab.steps.iter().all(|step| self.is_step_passed(lab, step))
    }

    /// The points earned at the lab's present revision.
    pub fn points(&self, lab: &Lab) -> u32 {
        lab.steps
            .iter()
            .filter_map(|step| self.step(lab, &step.id).map(|r| r.best.min(step.points)))
            .sum()
    }

    /// Whether the lab has changed since the learner last checked it, so that it asks for another
    /// check: there is a record, and it is of an older revision.
    pub fn needs_recheck(&self, lab: &Lab) -> bool {
        let record = self.state.labs.get(&lab.slug);
        let newest = record.and_then(|r| r.revisions.keys().next_back());
        newest.is_some_and(|newest| *newest < lab.revision)
    }
}

fn apply(state: &mut State, at: Timestamp, event: &Event) {
    let slug = match event {
        Event::Started(slug) | Event::Checked(slug, ..) | Event::HintSeen(slug, ..) => slug,
    };
    let lab = state.labs.entry(slug.clone()).or_insert_with(|| LabRecord {
        started: at,
        revisions: BTreeMap::new(),
    });
    // Two programs may save in another order than they recorded.
    lab.started = lab.started.min(at);
    let (revision, step) = match event {
        Event::Started(_) => return,
        Event::Checked(_, revision, result) => (*revision, &result.step),
        Event::HintSeen(_, revision, step, _) => (*revision, step),
    };
    let steps = &mut lab.revisions.entry(revision).or_default().steps;
    let record = steps.entry(step.clone()).or_default();
    match event {
        Event::Started(_) => {}
        Event::Checked(_, _, result) => add_result(record, at, result),
        Event::HintSeen(_, _, _, level) => record.hint_level = record.hint_level.max(*level),
    }
}

fn add_result(record: &mut StepRecord, at: Timestamp, result: &StepResult) {
    if result.verdict.is_graded() {
        record.attempts += 1;
        record.best = record.best.max(result.points.min(result.of));
        record.of = result.of;
    }
    if result.verdict == Verdict::Pass {
        record.passed_at = Some(record.passed_at.map_or(at, |before| before.min(at)));
    }
    if record.last_at.is_none_or(|last| last <= at) {
        record.last = Some(result.verdict);
        record.last_at = Some(at);
        for (check, verdict) in &result.checks {
            record.checks.insert(check.clone(), *verdict);
        }
    }
}
