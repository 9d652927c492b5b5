//! Strict reading of `lab.toml`. Every mistake in a file is reported, not only the first.

mod artifact;
mod files;
mod needs;
mod step;

pub use needs::PROGRAM_TYPES;

use std::path::{Path, PathBuf};

use artifact::Artifacts;

use crate::id::{CheckId, ID_RULE, Slug, StepId};
use crate::lab::{Lab, Starter, Step, Where, Wrong};
use crate::near::{list, suggest};
use crate::table::{At, Doc, Table};

/// Where a lab lies and what its folder's name says.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    pub(crate) slug: Slug,
    pub(crate) number: u16,
    pub(crate) dir: PathBuf,
    /// The folder as messages name it: `labs/010-first-probe`.
    pub(crate) shown: String,
    pub(crate) solution: PathBuf,
    pub(crate) solution_shown: String,
    /// Whether the course holds solutions at all; one given to learners may not.
    pub(crate) has_solutions: bool,
}

impl Folder {
    /// The course's own folder in this one's place, for the paths that are relative to it.
    pub(crate) fn course(&self) -> Self {
        let root = self.dir.ancestors().nth(2).unwrap_or(&self.dir);
        Self {
            dir: root.to_owned(),
            shown: ".".to_owned(),
            ..self.clone()
        }
    }
}

/// What came of reading a `lab.toml`.
pub(crate) struct Parsed {
    pub(crate) folder: Folder,
    pub(crate) doc: Doc,
    /// Sound only when `doc` has no problem.
    pub(crate) lab: Option<Lab>,
    pub(crate) requires: Vec<At<Slug>>,
}

/// Reads the text of the lab's `lab.toml` and looks at the files that it names.
pub(crate) fn lab(folder: &Folder, text: &str) -> Parsed {
    let doc = Doc::new(&format!("{}/lab.toml", folder.shown), text);
    let mut requires = Vec::new();
    let lab = doc.parse(text).and_then(|table| {
        whole(
            &doc,
            Table::root(&doc, &table, "a lab"),
            folder,
            &mut requires,
        )
    });
    Parsed {
        folder: folder.clone(),
        doc,
        lab,
        requires,
    }
}

fn whole(
    doc: &Doc,
    mut t: Table<'_>,
    folder: &Folder,
    requires: &mut Vec<At<Slug>>,
) -> Option<Lab> {
    let title = t.text("title", "\"First probe\"");
    let part = part(&mut t, folder);
    let revision = t.int("revision", 1..=u32::MAX, "1").map_or(1, |r| r.value);
    let summary = t.text("summary", "\"A tracepoint program counts …\"");
    let where_ = t.str("where", "\"any\"").and_then(|at| {
        doc.choice(&at, "where", Where::WORDS)?;
        Where::from_word(at.value)
    });
    let needs = needs::needs(&mut t);
    let edit = files::edit(&mut t, folder);
    let before_artifacts = doc.count();
    let artifacts = artifact::artifacts(&mut t, folder);
    let artifacts = Artifacts {
        sound: doc.count() == before_artifacts,
        all: artifacts,
    };
    let run = artifact::run(&mut t, &artifacts, None);
    let before_steps = doc.count();
    let steps = step::steps(&mut t, &artifacts, run.as_ref());
    // A step that could not be read would make every mention of it a mistake too.
    let steps_sound = doc.count() == before_steps;
    let starter = starter(&mut t, steps_sound.then_some(&steps));
    let before_wrongs = doc.count();
    let wrong = wrongs(&mut t, steps_sound.then_some(&steps), folder, &edit);
    let wrongs_sound = doc.count() == before_wrongs;
    for at in t.strings("requires") {
        if let Some(slug) = doc.id::<Slug>(&at, "a lab's slug") {
            requires.push(At {
                value: slug,
                span: at.span,
            });
        }
    }
    files::solution(doc, folder, &edit);
    t.finish();
    let lab = Lab {
        slug: folder.slug.clone(),
        number: folder.number,
        dir: folder.dir.clone(),
        solution: folder.solution.clone(),
        title,
        part,
        revision,
        summary,
        where_: where_?,
        needs,
        edit,
        artifacts: artifacts.all,
        run,
        starter: starter?,
        steps,
        wrong,
        requires: requires.iter().map(|r| r.value.clone()).collect(),
    };
    if wrongs_sound && lab.runs_a_program() && !lab.wrong.iter().any(|w| w.knows_truth) {
        doc.report(
            &(0..0),
            "no planted wrong answer knows the truth",
            "this lab runs a program",
            "give one [[wrong]] `knows-truth = true`: it prints the right answer ($LAB_TRUTH) \
             without tracing, and a check must catch it",
        );
    }
    Some(lab)
}

fn part(t: &mut Table<'_>, folder: &Folder) -> u8 {
    let expected = folder.number / 100;
    if let Some(part) = t.int("part", 0..=9, &expected.to_string())
        && part.value != u32::from(expected)
    {
        t.doc.report(
            &part.span,
            format!(
                "`part` is {}, and the folder's number {:03} belongs to part {expected}",
                part.value, folder.number
            ),
            "differs from the folder",
            format!(
                "write `part = {expected}`, or renumber the folder {}",
                folder.shown
            ),
        );
    }
    u8::try_from(expected).unwrap_or(u8::MAX)
}

fn starter(t: &mut Table<'_>, steps: Option<&Vec<Step>>) -> Option<Starter> {
    if !t.has("starter") {
        t.doc.report(
            &t.span,
            "a lab lacks the table `[starter]`",
            "`[starter]` is missing",
            "add `[starter]` with `step` and `fails`: the check that the untouched starter must \
             fail",
        );
    }
    let mut s = t.table("starter", "a starter")?;
    let (step, check) = step_and_check(&mut s, "fails", steps);
    s.finish();
    Some(Starter {
        fails: check?,
        step: step?,
    })
}

/// Reads `step` and a check of that step.
fn step_and_check(
    t: &mut Table<'_>,
    key: &'static str,
    steps: Option<&Vec<Step>>,
) -> (Option<StepId>, Option<CheckId>) {
    let doc = t.doc;
    let step_at = t.str("step", "\"count\"");
    let check_at = t.str(key, "\"counts-match\"");
    let step = step_at
        .as_ref()
        .and_then(|at| doc.id::<StepId>(at, "a step's id"));
    let check = check_at
        .as_ref()
        .and_then(|at| doc.id::<CheckId>(at, "a check's id"));
    if let (Some(steps), Some(id), Some(at)) = (steps, &step, &step_at) {
        match steps.iter().find(|s| s.id == *id) {
            None => {
                let ids: Vec<&str> = steps.iter().map(|s| s.id.as_str()).collect();
                let help = suggest(at.value, &ids, "the lab has no step yet");
                doc.report(
                    &at.span,
                    format!("no step is called `{id}`"),
                    "unknown step",
                    help,
                );
            }
            Some(found) => {
                if let (Some(check), Some(at)) = (&check, &check_at)
                    && !found.checks.contains(check)
                {
                    doc.report(
                        &at.span,
                        format!("step `{id}` has no check `{check}`"),
                        "named nowhere in that step",
                        check_help(check, found, steps),
                    );
                }
            }
        }
    }
    (step, check)
}

fn check_help(check: &CheckId, wanted: &Step, steps: &[Step]) -> String {
    if let Some(other) = steps.iter().find(|s| s.checks.contains(check)) {
        return format!(
            "it is a check of step `{}`: name that step instead",
            other.id
        );
    }
    let ids: Vec<&str> = wanted.checks.iter().map(CheckId::as_str).collect();
    let known = suggest(check.as_str(), &ids, "the step has no check yet");
    format!("{known}. A new check goes into the step's `checks` first.")
}

fn wrongs(
    t: &mut Table<'_>,
    steps: Option<&Vec<Step>>,
    folder: &Folder,
    edit: &[PathBuf],
) -> Vec<Wrong> {
    let doc = t.doc;
    let mut all: Vec<Wrong> = Vec::new();
    let mut named: Vec<String> = Vec::new();
    for mut w in t.tables("wrong", "a planted wrong answer") {
        let name_at = w.str("name", "\"prints-the-answer\"");
        let name = name_at.as_ref().and_then(|at| doc.id::<Slug>(at, "a name"));
        let summary = w.text("summary", "\"Prints the right number without …\"");
        let (step, caught_by) = step_and_check(&mut w, "caught-by", steps);
        let knows_truth = w.opt_bool("knows-truth").unwrap_or(false);
        if let (Some(name), Some(at)) = (&name, &name_at) {
            named.push(name.to_string());
            if all.iter().any(|w| w.name == *name) {
                doc.report(
                    &at.span,
                    format!("two wrong answers are called `{name}`"),
                    "the second one",
                    "give each its own name and folder",
                );
            } else {
                files::wrong_folder(doc, folder, at, edit);
            }
        }
        w.finish();
        if let (Some(name), Some(step), Some(caught_by)) = (name, step, caught_by) {
            let dir = folder.dir.join("wrong").join(name.as_str());
            all.push(Wrong {
                name,
                summary,
                step,
                caught_by,
                knows_truth,
                dir,
            });
        }
    }
    files::undeclared_wrong_folders(doc, folder, &named);
    if named.len() < 2 {
        doc.report(
            &t.span,
            format!(
                "a lab needs two planted wrong answers at least, and this one has {}",
                named.len()
            ),
            "too few [[wrong]]",
            "add a [[wrong]] with `name`, `step`, `summary` and `caught-by`, and its files in \
             wrong/<name>/",
        );
    }
    all
}

impl Doc {
    /// The text as an id.
    pub(crate) fn id<T: TryFrom<String>>(&self, at: &At<&str>, what: &str) -> Option<T> {
        let id = T::try_from(at.value.to_owned()).ok();
        if id.is_none() {
            self.report(
                &at.span,
                format!("`{}` can't be {what}", at.value),
                "not an id",
                format!("use {ID_RULE}"),
            );
        }
        id
    }

    /// Reports a word that is none of the choices.
    pub(crate) fn choice(&self, at: &At<&str>, what: &str, choices: &[&str]) -> Option<()> {
        if choices.contains(&at.value) {
            return Some(());
        }
        self.report(
            &at.span,
            format!("`{}` is not a value of `{what}`", at.value),
            "unknown word",
            suggest(at.value, choices, "there is no choice"),
        );
        None
    }
}

/// The path as messages show it, with `/`.
pub(crate) fn shown(path: &Path) -> String {
    path.components()
        .map(|c| c.as_os_str().to_string_lossy())
        .collect::<Vec<_>>()
        .join("/")
}

/// "`a` and `b`" of paths.
pub(crate) fn shown_list(paths: &[PathBuf]) -> String {
    list(&paths.iter().map(|p| shown(p)).collect::<Vec<_>>())
}
