//! Tracks: the labs in an order for a purpose.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::Slug;
use crate::lab::Lab;
use crate::load::Course;
use crate::progress::Progress;

/// A way through the course.
#[derive(Debug, Clone, PartialEq)]
pub struct Track {
    /// Its name on the command line.
    pub name: Slug,
    /// One line that names it.
    pub title: String,
    /// Whom it is for.
    pub summary: String,
    /// Its labs in order. Some may be planned and not there yet.
    pub labs: Vec<Slug>,
    /// Labs of which it asks only that many first steps.
    pub first_steps: BTreeMap<Slug, u32>,
}

impl Track {
    /// Whether all that this track asks of `lab` is passed.
    pub fn is_passed(&self, lab: &Lab, progress: &Progress) -> bool {
        let steps = match self.first_steps.get(&lab.slug) {
            Some(count) => usize::try_from(*count).unwrap_or(usize::MAX),
            None => lab.steps.len(),
        };
        lab.steps
            .iter()
            .take(steps)
            .all(|step| progress.is_step_passed(lab, step))
    }
}

impl Course {
    /// The lab to do next on a track: the first one not fully passed whose required labs are.
    ///
    /// When every lab left on the track waits for a lab outside it, that lab is the answer.
    /// `None`: nothing is left to do. Planned labs that are not there are passed over.
    pub fn next<'a>(&'a self, progress: &Progress, track: &Track) -> Option<&'a Lab> {
        let left: Vec<&Lab> = track
            .labs
            .iter()
            .filter_map(|slug| self.lab(slug))
            .filter(|lab| !track.is_passed(lab, progress))
            .collect();
        left.iter()
            .copied()
            .find(|lab| self.unmet(lab, progress).is_none())
            .or_else(|| {
                let mut lab = *left.first()?;
                let mut seen = BTreeSet::new();
                while let Some(required) = self.unmet(lab, progress)
                    && seen.insert(&required.slug)
                {
                    lab = required;
                }
                Some(lab)
            })
    }

    /// The first lab that `lab` requires and that is not passed.
    pub fn unmet<'a>(&'a self, lab: &Lab, progress: &Progress) -> Option<&'a Lab> {
        lab.requires
            .iter()
            .filter_map(|slug| self.lab(slug))
            .find(|required| !progress.is_lab_passed(required))
    }
}
