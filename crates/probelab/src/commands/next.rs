//! `lab next`.

use super::progress;
use crate::{
    site::Site,
    trouble::{Exit, Outcome},
};

/// Runs the command.
pub fn run(site: &Site, track: Option<&str>) -> Outcome {
    let course = site.course()?;
    let progress = progress(site)?;
    let track = course.track(track)?;
    match course.next(&progress, track) {
        None => outln!("You have passed every lab of the track {}.", track.title),
        Some(lab) => {
            let verb = if site.my_lab(lab).is_dir() {
                "check"
            } else {
                "start"
            };
            outln!(
                "{} ({} min): {}\n    lab {verb} {}",
                lab.title,
                lab.minutes(),
                lab.summary,
                lab.slug
            );
        }
    }
    Ok(Exit::Pass)
}
