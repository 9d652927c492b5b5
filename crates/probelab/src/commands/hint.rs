//! `lab hint`.

use course::{CheckId, Verdict};

use super::{progress, save};
use crate::{
    site::Site,
    trouble::{Exit, Outcome, Trouble},
};

/// Runs the command.
pub fn run(site: &Site, name: &str, level: Option<u8>, step: Option<&str>) -> Outcome {
    let course = site.course()?;
    let lab = course.find(name)?;
    let mut progress = progress(site)?;
    let step = match step {
        Some(id) => lab.step(id).ok_or_else(|| {
            let ids: Vec<&str> = lab.steps.iter().map(|step| step.id.as_str()).collect();
            Trouble::usage(
                format!("{} has no step {id}", lab.slug),
                format!("its steps: {}", ids.join(", ")),
            )
        })?,
        None => match lab
            .steps
            .iter()
            .find(|step| !progress.is_step_passed(lab, step))
        {
            Some(step) => step,
            None => {
                outln!(
                    "You have passed {}. `lab diff {}` compares with the solution.",
                    lab.slug,
                    lab.slug
                );
                return Ok(Exit::Pass);
            }
        },
    };
    let (seen, failed): (u8, Option<CheckId>) =
        progress.step(lab, &step.id).map_or((0, None), |record| {
            // In the step's own order: the first check that failed is what the learner is looking at.
            let failed = step
                .checks
                .iter()
                .find(|id| record.checks.get(*id) == Some(&Verdict::Fail))
                .cloned();
            (record.hint_level, failed)
        });
    let cap = course.hint_level_cap;
    if cap == 0 {
        return Err(Trouble::usage(
            "this course gives no hints",
            "ask your instructor",
        ));
    }
    let level = level.unwrap_or((seen + 1).min(3)).min(cap);
    outln!("{} · {} · hint {level} of {cap}", lab.slug, step.title);
    for hint in step.hints_for(level, failed.as_ref()) {
        outln!("\n{}", hint.text.trim_end());
    }
    if level < cap {
        outln!("\nMore: lab hint {} --level {}", lab.slug, level + 1);
    }
    progress.record_hint(&lab.slug, lab.revision, &step.id, level.max(seen));
    save(&mut progress)?;
    Ok(Exit::Pass)
}
