//! `lab diff`.

use std::fs;

use similar::{ChangeTag, TextDiff};

use super::progress;
use crate::{
    site::Site,
    trouble::{Exit, OrTrouble as _, Outcome, Trouble},
};

/// Runs the command.
pub fn run(site: &Site, name: &str) -> Outcome {
    let course = site.course()?;
    let lab = course.find(name)?;
    if course.hide_solutions {
        return Err(Trouble::usage(
            "this course does not show solutions",
            "ask your instructor",
        ));
    }
    let progress = progress(site)?;
    if !progress.is_lab_passed(lab) {
        return Err(Trouble::usage(
            format!("the solution of {} is shown once you have passed", lab.slug),
            format!("a hint may help: lab hint {}", lab.slug),
        ));
    }
    let mut same = true;
    for file in &lab.edit {
        let solution = lab.solution.join(file);
        // What the solution leaves as it is, is the starter's.
        let theirs = if solution.is_file() {
            solution
        } else {
            lab.dir.join(file)
        };
        let mine = site.my_lab(lab).join(file);
        let read = |path: &std::path::Path| {
            fs::read_to_string(path)
                .or_infrastructure(|| format!("cannot read {}", site.shown(path)))
        };
        let (mine_text, theirs_text) = (read(&mine)?, read(&theirs)?);
        let diff = TextDiff::from_lines(&mine_text, &theirs_text);
        if mine_text == theirs_text {
            continue;
        }
        same = false;
        outln!("--- {}\n+++ {}", site.shown(&mine), site.shown(&theirs));
        for hunk in diff.unified_diff().context_radius(3).iter_hunks() {
            outln!("{}", hunk.header());
            for change in hunk.iter_changes() {
                let line = change.to_string();
                let line = line.trim_end_matches('\n');
                match change.tag() {
                    ChangeTag::Delete => outln!("{}", console::style(format!("-{line}")).red()),
                    ChangeTag::Insert => outln!("{}", console::style(format!("+{line}")).green()),
                    ChangeTag::Equal => outln!(" {line}"),
                }
            }
        }
    }
    if same {
        outln!("Your files are the solution's, to the letter.");
    }
    Ok(Exit::Pass)
}
