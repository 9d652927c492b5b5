//! The checks of all labs, linked in by `build.rs`.

use crate::commands::tour::sample;

include!(concat!(env!("OUT_DIR"), "/registry.rs"));

/// The steps of a lab, or of the tour.
pub fn steps(slug: &str) -> Option<labcheck::Steps> {
    if slug == sample::SLUG {
        return Some(sample::STEPS);
    }
    ALL.iter()
        .find(|(name, _)| *name == slug)
        .map(|(_, steps)| *steps)
}
