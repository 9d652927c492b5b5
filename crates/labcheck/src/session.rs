//! What a step is given: randomness, the learner's program, and a place to record outcomes.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    learner::Launch,
    plan::{Plan, PlannedStep},
    scratch::Scratch,
    verdict::{CheckResult, Failure, Stop, Verdict},
};

/// One step being run.
#[derive(Debug)]
pub struct Session<'a> {
    plan: &'a Plan,
    step: &'a PlannedStep,
    /// Every random choice of the step.
    pub rng: Rng,
    pub(crate) results: Vec<CheckResult>,
    pub(crate) notes: Vec<String>,
    pub(crate) artefacts: BTreeMap<String, Vec<u8>>,
    truth: Option<String>,
    /// Where artifacts are copied for everyone to use.
    public: Option<Scratch>,
}

/// Seeded randomness: the same seed, lab and step give the same choices.
#[derive(Debug)]
pub struct Rng(fastrand::Rng);

impl Rng {
    fn new(seed: u64, step: &str) -> Self {
        // FNV-1a over the step's id, so that steps of one lab differ.
        let hash = step.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(fastrand::Rng::with_seed(seed ^ hash))
    }

    /// A number of `range`.
    pub fn between(&mut self, range: std::ops::RangeInclusive<u64>) -> u64 {
        self.0.u64(range)
    }

    /// One of `items`, which must not be empty.
    pub fn pick<'t, T>(&mut self, items: &'t [T]) -> &'t T {
        &items[self.0.usize(..items.len())]
    }

    /// Puts `items` in random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        self.0.shuffle(items);
    }

    /// A lower-case word of `letters` letters.
    pub fn word(&mut self, letters: usize) -> String {
        (0..letters).map(|_| self.0.lowercase()).collect()
    }
}

impl<'a> Session<'a> {
    pub(crate) fn new(plan: &'a Plan, step: &'a PlannedStep) -> Self {
        Self {
            plan,
            step,
            rng: Rng::new(plan.seed, &step.id),
            results: Vec::new(),
            notes: Vec::new(),
            artefacts: BTreeMap::new(),
            truth: None,
            public: None,
        }
    }

    /// Says what the right answer is. Only a planted wrong answer that may know the truth is
    /// told, in `$LAB_TRUTH`; it must fail all the same.
    pub fn set_truth(&mut self, truth: impl ToString) {
        self.truth = Some(truth.to_string());
    }

    /// The learner's program, to be started.
    ///
    /// # Errors
    /// [`Failure::Infrastructure`] when the lab declares no program for this step.
    pub fn learner(&self) -> Result<Launch<'a>, Failure> {
        let spec = self.step.run.as_ref().ok_or_else(|| {
            Failure::infrastructure(format!("step {} declares no [run]", self.step.id))
        })?;
        let mut env = BTreeMap::new();
        if let (true, Some(truth)) = (self.plan.tell_truth, &self.truth) {
            env.insert("LAB_TRUTH".to_owned(), truth.clone());
        }
        Ok(Launch {
            spec,
            artifacts: &self.plan.artifacts,
            capabilities: &self.plan.capabilities,
            privileged: self.plan.privileged,
            perf_events_only: self.plan.perf_events_only,
            values: BTreeMap::new(),
            env,
        })
    }

    /// What was built under this artifact name, as a copy that every user can read and run: the
    /// course may lie in a folder that only its owner can enter. The copy lasts as long as the
    /// session.
    ///
    /// # Errors
    /// [`Failure::Infrastructure`] when nothing was built, or it can't be copied.
    pub fn artifact(&mut self, name: &str) -> Result<PathBuf, Failure> {
        let built = self
            .plan
            .artifacts
            .get(name)
            .ok_or_else(|| Failure::infrastructure(format!("artifact {name} was not built")))?;
        let folder = match &self.public {
            Some(folder) => folder,
            None => self.public.insert(Scratch::new("artifacts")?),
        };
        let copy = folder.path().join(name);
        if !copy.exists() {
            fs::copy(built, &copy)?;
            fs::set_permissions(&copy, fs::Permissions::from_mode(0o755))?;
        }
        Ok(copy)
    }

    /// Hands a file out of the session: it is in the step's result under `name`.
    pub fn give(&mut self, name: &str, bytes: Vec<u8>) {
        self.artefacts.insert(name.to_owned(), bytes);
    }

    /// What the first part of the step gave under `name`.
    ///
    /// # Errors
    /// [`Failure::Infrastructure`] when it gave nothing of that name.
    pub fn given(&self, name: &str) -> Result<&[u8], Failure> {
        let bytes = self.artefacts.get(name).map(Vec::as_slice);
        bytes.ok_or_else(|| Failure::infrastructure(format!("the step gave no {name}")))
    }

    /// Makes the random choices the same again, for the second part of a step.
    pub(crate) fn start_again(&mut self, plan: &Plan, step: &PlannedStep) {
        self.rng = Rng::new(plan.seed, &step.id);
    }

    /// A file of the tree that was built, relative to the lab's folder.
    pub fn file(&self, relative: &str) -> PathBuf {
        self.plan.tree.join(relative)
    }

    /// The answers that the learner wrote into `file`, by question. One that is not answered yet
    /// is not among them.
    ///
    /// # Errors
    /// [`Failure::Learner`], with every mistake in the file.
    pub fn answers(
        &self,
        file: &str,
        questions: &[course::answers::Question<'_>],
    ) -> Result<BTreeMap<String, String>, Failure> {
        course::answers::read(&self.file(file), questions).map_err(|problems| {
            let tree = self.plan.tree.display().to_string();
            let told: Vec<String> = problems
                .lines()
                .map(|line| line.replace(&tree, &self.plan.learner_dir))
                .collect();
            Failure::learner(told.join("\n"))
        })
    }

    /// As [`Session::answers`], the answers to the questions `wanted`, in that order.
    ///
    /// # Errors
    /// As [`Session::answers`]; also when one of them is not answered yet.
    pub fn all_answers(
        &self,
        file: &str,
        questions: &[course::answers::Question<'_>],
        wanted: &[&str],
    ) -> Result<Vec<String>, Failure> {
        let mut given = self.answers(file, questions)?;
        wanted
            .iter()
            .map(|id| {
                given.remove(*id).ok_or_else(|| {
                    let place = self.place(file, &format!("{id} ="));
                    Failure::learner(format!("`{id}` is not answered yet. Look at {place}."))
                })
            })
            .collect()
    }

    /// A learner's file, for messages: `my/first-probe/ebpf/src/main.rs`, with the line where
    /// `text` first stands in it.
    pub fn place(&self, relative: &str, text: &str) -> String {
        let line = self
            .line_of(relative, text)
            .map_or(String::new(), |line| format!(":{line}"));
        format!("{}/{relative}{line}", self.plan.learner_dir)
    }

    /// Records check `id`: a pass when `outcome` is one, else a fail, which ends the step.
    ///
    /// # Errors
    /// [`Stop`] when the check did not pass.
    pub fn require<T>(&mut self, id: &str, outcome: Result<T, Failure>) -> Result<T, Stop> {
        match outcome {
            Ok(value) => {
                self.record(id, Verdict::Pass, String::new(), String::new());
                Ok(value)
            }
            Err(Failure::Learner(message)) => {
                self.record(id, Verdict::Fail, message, String::new());
                Err(Stop::Failed)
            }
            Err(Failure::Refused(refusal)) => {
                let message =
                    refusal.message(&self.plan.learner_dir, &self.plan.edit, |file, text| {
                        self.line_of(file, text)
                    });
                self.record(id, Verdict::Fail, message, refusal.log);
                Err(Stop::Failed)
            }
            Err(Failure::Infrastructure(message)) => Err(Stop::Error(message)),
            Err(Failure::Unsupported(message)) => Err(Stop::Skipped(message)),
        }
    }

    /// Records check `id` as [`Session::require`] does, from a condition.
    ///
    /// # Errors
    /// [`Stop::Failed`] when `ok` is false.
    pub fn require_that(
        &mut self,
        id: &str,
        ok: bool,
        message: impl FnOnce() -> String,
    ) -> Result<(), Stop> {
        self.require(
            id,
            if ok {
                Ok(())
            } else {
                Err(Failure::Learner(message()))
            },
        )
    }

    /// Says something that changes no verdict.
    pub fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// Waits a little, for something that the kernel does soon but not at once.
    pub fn settle(&self) {
        std::thread::sleep(Duration::from_millis(20));
    }

    /// Where a line with `text` first stands in a file of the tree, counted from 1.
    fn line_of(&self, file: impl AsRef<Path>, text: &str) -> Option<u32> {
        let source = fs::read_to_string(self.plan.tree.join(file)).ok()?;
        let at = source.lines().position(|line| line.contains(text))?;
        u32::try_from(at + 1).ok()
    }

    fn record(&mut self, id: &str, verdict: Verdict, message: String, detail: String) {
        self.results.push(CheckResult {
            id: id.to_owned(),
            verdict: Some(verdict),
            message,
            detail,
        });
    }
}
