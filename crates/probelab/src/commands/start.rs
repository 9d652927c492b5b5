//! `lab start`.

use course::Lab;

use super::{progress, save};
use crate::{
    site::Site,
    trouble::{Exit, Outcome, Trouble},
};

/// Runs the command.
pub fn run(site: &Site, name: Option<&str>) -> Outcome {
    let course = site.course()?;
    let mut progress = progress(site)?;
    let lab = match name {
        Some(name) => course.find(name)?,
        None => course.next(&progress, course.track(None)?).ok_or_else(|| {
            Trouble::usage(
                "you have passed every lab of this track",
                "name one to start it again: lab start LAB",
            )
        })?,
    };
    let folder = site.my_lab(lab);
    if folder.exists() {
        return Err(Trouble::usage(
            format!("{} is already there", site.shown(&folder)),
            format!(
                "check it: lab check {0}; or begin again, your files kept aside: lab reset {0}",
                lab.slug
            ),
        ));
    }
    if let Some(first) = course.unmet(lab, &progress) {
        outln!(
            "note: {} builds on {}, which you have not passed yet.",
            lab.slug,
            first.slug
        );
    }
    course::overlay(lab, None, &folder)?;
    progress.record_start(&lab.slug);
    save(&mut progress)?;
    out!("{}", screen(site, lab));
    Ok(Exit::Pass)
}

/// What a learner reads first about a lab.
fn screen(site: &Site, lab: &Lab) -> String {
    let mut out = format!(
        "{}  ({} min, {} points)\n{}\n\n",
        lab.title,
        lab.minutes(),
        lab.points(),
        lab.summary
    );
    for file in &lab.edit {
        out += &format!("Edit   {}\n", site.shown(&site.my_lab(lab).join(file)));
    }
    out += &format!(
        "Read   book/src/labs/{0}.md (or `lab book`)\nCheck  lab check {0}\nStuck  lab hint {0}\n",
        lab.slug
    );
    out
}
