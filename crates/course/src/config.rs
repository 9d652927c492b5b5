//! `course.toml`: tracks, and what an instructor chose.
//!
//! The course's own file stands at its root. An instructor's (`--course DIR`) is laid over it:
//! its keys win, its tracks are added or replace those of the same name.

use std::path::PathBuf;

use toml::de::DeValue;

use crate::id::Slug;
use crate::table::{At, Doc, Table};

/// One `course.toml` as read, before it is compared with the labs that there are.
pub(crate) struct Config {
    pub(crate) doc: Doc,
    pub(crate) title: Option<String>,
    pub(crate) tracks: Vec<RawTrack>,
    pub(crate) default_track: Option<At<Slug>>,
    pub(crate) planned: Vec<At<Slug>>,
    pub(crate) include: Vec<At<Slug>>,
    pub(crate) exclude: Vec<At<Slug>>,
    pub(crate) weights: Vec<(At<Slug>, f64)>,
    pub(crate) hint_level_cap: Option<u8>,
    pub(crate) hide_solutions: Option<bool>,
    pub(crate) private: Vec<At<PathBuf>>,
}

/// A track as read.
pub(crate) struct RawTrack {
    pub(crate) name: At<Slug>,
    pub(crate) title: String,
    pub(crate) summary: String,
    pub(crate) labs: Vec<At<Slug>>,
    pub(crate) first_steps: Vec<(At<Slug>, At<u32>)>,
}

/// Reads the text of a `course.toml`. The course's own (`is_root`) must have a title and a
/// default track; an instructor's may leave out what it does not change.
pub(crate) fn read(name: &str, text: &str, is_root: bool) -> Config {
    let mut config = Config {
        doc: Doc::new(name, text),
        title: None,
        tracks: Vec::new(),
        default_track: None,
        planned: Vec::new(),
        include: Vec::new(),
        exclude: Vec::new(),
        weights: Vec::new(),
        hint_level_cap: None,
        hide_solutions: None,
        private: Vec::new(),
    };
    // A document of its own while `config` is being filled: a table borrows it.
    let doc = Doc::new(name, text);
    if let Some(table) = doc.parse(text) {
        whole(Table::root(&doc, &table, "a course"), &mut config, is_root);
    }
    config.doc = doc;
    config
}

fn whole(mut t: Table<'_>, config: &mut Config, is_root: bool) {
    let doc = t.doc;
    let (title, default_track) = if is_root {
        (
            t.str("title", "\"Linux performance\""),
            t.str("default-track", "\"full\""),
        )
    } else {
        (t.opt_str("title"), t.opt_str("default-track"))
    };
    config.title = title.map(|at| at.value.to_owned());
    config.default_track = default_track.and_then(|at| slug(doc, at, "a track's name"));
    config.planned = slugs(&mut t, "planned");
    if let Some(mut labs) = t.table("labs", "[labs]") {
        config.include = slugs(&mut labs, "include");
        config.exclude = slugs(&mut labs, "exclude");
        labs.finish();
    }
    if let Some(weights) = t.table("weights", "[weights]") {
        config.weights = read_weights(&weights);
    }
    config.hint_level_cap = t
        .opt_int("hint-level-cap", 0..=3)
        .and_then(|at| u8::try_from(at.value).ok());
    config.hide_solutions = t.opt_bool("hide-solutions");
    config.private = t
        .strings("private")
        .into_iter()
        .map(|at| At {
            value: PathBuf::from(at.value),
            span: at.span,
        })
        .collect();
    if let Some(tracks) = t.table("track", "the tracks") {
        for (key, value) in tracks.entries() {
            if let Some(track) = tracks.entry(&key, value, "a track") {
                config.tracks.extend(read_track(doc, key, track));
            }
        }
    } else if is_root {
        doc.report(
            &(0..0),
            "the course has no track",
            "no [track.NAME]",
            "add a `[track.full]` with `title`, `summary` and `labs`",
        );
    }
    t.finish();
}

fn read_track(doc: &Doc, key: At<&str>, mut t: Table<'_>) -> Option<RawTrack> {
    let title = t.text("title", "\"The whole course\"");
    let summary = t.text("summary", "\"Every lab in order.\"");
    let there = t.know("labs");
    let labs = slugs(&mut t, "labs");
    if labs.is_empty() {
        doc.report(
            &t.span,
            format!("the track `{}` names no lab", key.value),
            if there {
                "`labs` is empty"
            } else {
                "`labs` is missing"
            },
            "name its labs in order: `labs = [\"first-probe\"]`",
        );
    }
    let mut first_steps = Vec::new();
    if let Some(table) = t.table("first-steps", "[first-steps]") {
        for (lab, value) in table.entries() {
            let count = number(value).filter(|n| n.fract() == 0.0 && (1.0..=100.0).contains(n));
            let Some(count) = count else {
                doc.report(
                    &value.span(),
                    format!("`first-steps` of `{}` is not a count of steps", lab.value),
                    "not a count",
                    "write how many of the lab's first steps the track asks for, from 1",
                );
                continue;
            };
            let span = value.span();
            if let Some(lab) = slug(doc, lab, "a lab's slug") {
                // In range: checked above.
                let value = count as u32;
                first_steps.push((lab, At { value, span }));
            }
        }
    }
    t.finish();
    Some(RawTrack {
        name: slug(doc, key, "a track's name")?,
        title,
        summary,
        labs,
        first_steps,
    })
}

fn read_weights(t: &Table<'_>) -> Vec<(At<Slug>, f64)> {
    let mut weights = Vec::new();
    for (lab, value) in t.entries() {
        match number(value).filter(|w| (0.0..=100.0).contains(w)) {
            Some(weight) => {
                weights.extend(slug(t.doc, lab, "a lab's slug").map(|lab| (lab, weight)));
            }
            None => t.doc.report(
                &value.span(),
                format!(
                    "the weight of `{}` is not a number from 0 to 100",
                    lab.value
                ),
                "not a weight",
                "1 is a lab's usual weight; 0 takes it out of the total",
            ),
        }
    }
    weights
}

fn number(value: &DeValueAt<'_>) -> Option<f64> {
    match value.get_ref() {
        DeValue::Integer(n) => i64::from_str_radix(n.as_str(), n.radix())
            .ok()
            .and_then(|n| i32::try_from(n).ok())
            .map(f64::from),
        DeValue::Float(x) => x.as_str().parse().ok(),
        _ => None,
    }
}

type DeValueAt<'t> = toml::Spanned<DeValue<'t>>;

fn slug(doc: &Doc, at: At<&str>, what: &str) -> Option<At<Slug>> {
    doc.id::<Slug>(&at, what).map(|value| At {
        value,
        span: at.span,
    })
}

fn slugs(t: &mut Table<'_>, key: &'static str) -> Vec<At<Slug>> {
    let doc = t.doc;
    t.strings(key)
        .into_iter()
        .filter_map(|at| slug(doc, at, "a lab's slug"))
        .collect()
}
