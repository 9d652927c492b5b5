//! `lab reset`.

use std::fs;

use jiff::Timestamp;

use crate::{
    site::Site,
    trouble::{Exit, OrTrouble as _, Outcome, Trouble},
};

/// Runs the command.
pub fn run(site: &Site, name: &str) -> Outcome {
    let course = site.course()?;
    let lab = course.find(name)?;
    let folder = site.my_lab(lab);
    if !folder.is_dir() {
        return Err(Trouble::usage(
            format!("you have not started {}", lab.slug),
            format!("start it: lab start {}", lab.slug),
        ));
    }
    let backups = site.my().join(".backup");
    fs::create_dir_all(&backups)
        .or_infrastructure(|| format!("cannot make {}", site.shown(&backups)))?;
    let stamp = Timestamp::now().strftime("%Y%m%dT%H%M%S");
    // Two resets within a second must not meet.
    let backup = (0..)
        .map(|n: u32| {
            backups.join(if n == 0 {
                format!("{}-{stamp}", lab.slug)
            } else {
                format!("{}-{stamp}-{n}", lab.slug)
            })
        })
        .find(|path| !path.exists())
        .unwrap_or_else(|| backups.join(lab.slug.as_str()));
    fs::rename(&folder, &backup)
        .or_infrastructure(|| format!("cannot put {} aside", site.shown(&folder)))?;
    course::overlay(lab, None, &folder)?;
    outln!(
        "{} is as new. Your files are in {}. Your points stay.",
        site.shown(&folder),
        site.shown(&backup)
    );
    Ok(Exit::Pass)
}
