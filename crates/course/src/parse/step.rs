//! `[[step]]` and its hints.

use super::artifact::{self, Artifacts};
use crate::id::{CheckId, StepId};
use crate::lab::{Hint, Run, Step};
use crate::near::suggest;
use crate::table::{Doc, Table};

pub(super) fn steps(lab: &mut Table<'_>, artifacts: &Artifacts, run: Option<&Run>) -> Vec<Step> {
    let doc = lab.doc;
    let mut all: Vec<Step> = Vec::new();
    let tables = lab.tables("step", "a step");
    if tables.is_empty() {
        doc.report(
            &lab.span,
            "a lab has no step",
            "no [[step]]",
            "add a [[step]] with `id`, `title`, `minutes`, `points`, `checks` and hints",
        );
    }
    for mut t in tables {
        let id_at = t.str("id", "\"count\"");
        let id = id_at
            .as_ref()
            .and_then(|at| doc.id::<StepId>(at, "a step's id"));
        if let (Some(id), Some(at)) = (&id, &id_at)
            && all.iter().any(|s| s.id == *id)
        {
            doc.report(
                &at.span,
                format!("two steps are called `{id}`"),
                "the second one",
                "give each its own id",
            );
        }
        let title = t.text("title", "\"Count the calls\"");
        let minutes = t.int("minutes", 1..=30, "15").map_or(1, |m| m.value);
        let points = t.int("points", 1..=100, "10").map_or(1, |p| p.value);
        let checks = checks(&mut t, &all);
        let run = artifact::run(&mut t, artifacts, run);
        let artifacts = artifact::names(&mut t, artifacts);
        let hints = hints(&mut t, &checks);
        t.finish();
        if let Some(id) = id {
            all.push(Step {
                id,
                title,
                minutes,
                points,
                checks,
                hints,
                run,
                artifacts,
            });
        }
    }
    all
}

fn checks(t: &mut Table<'_>, before: &[Step]) -> Vec<CheckId> {
    let doc = t.doc;
    let there = t.know("checks");
    let found = t.strings("checks");
    if found.is_empty() {
        doc.report(
            &t.span,
            "a step has no check",
            if there {
                "`checks` is empty"
            } else {
                "`checks` is missing"
            },
            "name its checks: `checks = [\"counts-match\"]`",
        );
    }
    let mut ids = Vec::new();
    for at in found {
        let Some(id) = doc.id::<CheckId>(&at, "a check's id") else {
            continue;
        };
        if let Some(other) = before.iter().find(|s| s.checks.contains(&id)) {
            doc.report(
                &at.span,
                format!("`{id}` is a check of step `{}` already", other.id),
                "the second one",
                "a check's id is unique in its lab: give this one another",
            );
        }
        ids.push(id);
    }
    ids
}

fn hints(t: &mut Table<'_>, checks: &[CheckId]) -> Vec<Hint> {
    let doc: &Doc = t.doc;
    let mut all = Vec::new();
    for mut h in t.tables("hint", "a hint") {
        let level = h.int("level", 1..=3, "1").map(|l| l.value);
        let on = h.opt_str("on").and_then(|at| {
            let id = doc.id::<CheckId>(&at, "a check's id")?;
            // A step without checks is told of that alone.
            if !checks.is_empty() && !checks.contains(&id) {
                let ids: Vec<&str> = checks.iter().map(CheckId::as_str).collect();
                doc.report(
                    &at.span,
                    format!("the hint is on `{id}`, which is not a check of its step"),
                    "unknown check",
                    suggest(at.value, &ids, "the step has no check yet"),
                );
            }
            Some(id)
        });
        let text = h.text("text", "\"Look at …\"");
        h.finish();
        if let Some(level) = level.and_then(|l| u8::try_from(l).ok()) {
            all.push(Hint { level, on, text });
        }
    }
    let missing: Vec<String> = (1..=3u8)
        .filter(|level| !all.iter().any(|h| h.level == *level && h.on.is_none()))
        .map(|level| level.to_string())
        .collect();
    if !missing.is_empty() {
        doc.report(
            &t.span,
            format!("a step lacks a hint of level {}", missing.join(" and ")),
            "hints are missing",
            "each step has a hint of level 1 (where to look), 2 (what to do) and 3 (almost the \
             code) without `on`",
        );
    }
    all
}
