//! The checks of all labs, linked in by `build.rs`.

include!(concat!(env!("OUT_DIR"), "/registry.rs"));

/// The steps of a lab.
pub fn steps(slug: &str) -> Option<labcheck::Steps> {
    ALL.iter()
        .find(|(name, _)| *name == slug)
        .map(|(_, steps)| *steps)
}
