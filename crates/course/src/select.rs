//! A `course.toml` applied to the labs that there are: which are chosen, in which tracks.

use std::collections::BTreeSet;
use std::path::Path;

use crate::config::{Config, RawTrack};
use crate::id::Slug;
use crate::lab::Lab;
use crate::load::Course;
use crate::near::{nearest, suggest};
use crate::table::At;
use crate::track::Track;

/// Reports every slug of a `course.toml` that is no lab's, and more first steps than a lab has.
pub(crate) fn check_mentions(config: &Config, labs: &[Lab], planned: &BTreeSet<Slug>) {
    let check = |at: &At<Slug>, place: &str| {
        if labs.iter().any(|lab| lab.slug == at.value) || planned.contains(&at.value) {
            return;
        }
        let known = labs.iter().map(|lab| &lab.slug).chain(planned);
        let help = match nearest(at.value.as_str(), known.map(Slug::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "name a lab that is there, or add it to `planned`".to_owned(),
        };
        config.doc.report(
            &at.span,
            format!("{place} names `{}`, and there is no such lab", at.value),
            "unknown lab",
            help,
        );
    };
    for at in config.include.iter().chain(&config.exclude) {
        check(at, "[labs]");
    }
    for (at, _) in &config.weights {
        check(at, "[weights]");
    }
    for track in &config.tracks {
        let place = format!("the track `{}`", track.name.value);
        for at in &track.labs {
            check(at, &place);
        }
        check_first_steps(config, track, &place, labs);
    }
}

fn check_first_steps(config: &Config, track: &RawTrack, place: &str, labs: &[Lab]) {
    for (slug, count) in &track.first_steps {
        if !track.labs.iter().any(|lab| lab.value == slug.value) {
            config.doc.report(
                &slug.span,
                format!(
                    "`first-steps` names `{}`, which is not a lab of {place}",
                    slug.value
                ),
                "not on this track",
                "add it to the track's `labs`, or remove it here",
            );
        }
        let Some(lab) = labs.iter().find(|lab| lab.slug == slug.value) else {
            continue;
        };
        let steps = lab.steps.len();
        if usize::try_from(count.value).is_ok_and(|n| n > steps) {
            config.doc.report(
                &count.span,
                format!(
                    "{place} asks for {} steps of `{}`, which has {steps}",
                    count.value, slug.value
                ),
                "more than there are",
                format!("ask for {steps} at most, or remove the line to ask for all"),
            );
        }
    }
}

/// The course of the labs chosen. `None` after a mistake.
pub(crate) fn course(
    root: &Path,
    mut labs: Vec<Lab>,
    planned: BTreeSet<Slug>,
    base: &Config,
    own: Option<&Config>,
) -> Option<Course> {
    let layers = || own.into_iter().chain([base]);
    let listed = |list: &[At<Slug>], slug: &Slug| list.iter().any(|at| at.value == *slug);
    labs.retain(|lab| {
        layers().all(|config| {
            (config.include.is_empty() || listed(&config.include, &lab.slug))
                && !listed(&config.exclude, &lab.slug)
        })
    });
    let tracks = tracks(base, own, |slug| {
        labs.iter().any(|lab| lab.slug == *slug) || planned.contains(slug)
    });
    let (default_track, from) =
        layers().find_map(|config| config.default_track.as_ref().map(|at| (at, config)))?;
    if !tracks.is_empty() && !tracks.iter().any(|t| t.name == default_track.value) {
        let names: Vec<&str> = tracks.iter().map(|t| t.name.as_str()).collect();
        from.doc.report(
            &default_track.span,
            format!("no track is called `{}`", default_track.value),
            "unknown track",
            suggest(
                default_track.value.as_str(),
                &names,
                "the course has no track yet",
            ),
        );
    }
    Some(Course {
        root: root.to_owned(),
        title: layers().find_map(|config| config.title.clone())?,
        labs,
        tracks,
        default_track: default_track.value.clone(),
        hint_level_cap: layers().find_map(|c| c.hint_level_cap).unwrap_or(3),
        hide_solutions: layers().find_map(|c| c.hide_solutions).unwrap_or(false),
        // The instructor's come last and so win.
        weights: [Some(base), own]
            .into_iter()
            .flatten()
            .flat_map(|c| {
                c.weights
                    .iter()
                    .map(|(at, weight)| (at.value.clone(), *weight))
            })
            .collect(),
        planned: planned.into_iter().collect(),
    })
}

fn tracks(base: &Config, own: Option<&Config>, keep: impl Fn(&Slug) -> bool) -> Vec<Track> {
    let own_tracks = own.map(|c| c.tracks.as_slice()).unwrap_or_default();
    let replaced = |name: &Slug| own_tracks.iter().any(|t| t.name.value == *name);
    base.tracks
        .iter()
        .filter(|t| !replaced(&t.name.value))
        .chain(own_tracks)
        .map(|raw| Track {
            name: raw.name.value.clone(),
            title: raw.title.clone(),
            summary: raw.summary.clone(),
            labs: raw
                .labs
                .iter()
                .map(|at| at.value.clone())
                .filter(&keep)
                .collect(),
            first_steps: raw
                .first_steps
                .iter()
                .map(|(lab, count)| (lab.value.clone(), count.value))
                .collect(),
        })
        .collect()
}
