//! The checks of all labs, linked in by `build.rs`.

use labcheck::Checks;

use crate::commands::tour::sample;

include!(concat!(env!("OUT_DIR"), "/registry.rs"));

/// The checks of a lab, or of the tour.
pub fn checks(slug: &str) -> Option<Checks> {
    if slug == sample::SLUG {
        return Some(Checks {
            steps: sample::STEPS,
            on_host: &[],
        });
    }
    ALL.iter()
        .find(|(name, _)| *name == slug)
        .map(|(_, checks)| *checks)
}
