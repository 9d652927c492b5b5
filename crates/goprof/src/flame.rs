//! A profile as folded stacks and as a flame graph.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use inferno::flamegraph;

use crate::Error;
use crate::pprof::{Location, Profile};

/// One line for each distinct stack: frames joined by `;`, root first, a space, and the value that
/// Go's compiler would weigh by (the last one where there is no such value). Sorted.
///
/// Names may hold `;` in shapes of generic types (`struct { X int; Y int }`): written as `,`. A name with a
/// line break or the like is nobody's: written with `?`.
/// Addresses without a name are written as `[file]` or as the address.
pub fn folded(profile: &Profile) -> String {
    let locations: HashMap<u64, &Location> = profile.location.iter().map(|l| (l.id, l)).collect();
    let names: HashMap<u64, String> = profile
        .function
        .iter()
        .map(|f| (f.id, word(profile.string(f.name))))
        .collect();
    let value_index = profile
        .pgo_value_index()
        .or_else(|| profile.sample_type.len().checked_sub(1));
    let mut stacks: BTreeMap<String, i64> = BTreeMap::new();
    for sample in &profile.sample {
        let value = value_index.and_then(|i| sample.value.get(i)).copied();
        let frames: Vec<String> = sample
            .location_id
            .iter()
            .rev()
            .filter_map(|id| locations.get(id))
            .flat_map(|location| frame_names(profile, location, &names))
            .collect();
        if let Some(value) = value.filter(|v| *v > 0 && !frames.is_empty()) {
            let total = stacks.entry(frames.join(";")).or_default();
            *total = total.saturating_add(value);
        }
    }
    let mut out = String::new();
    for (stack, value) in stacks {
        // Writing to a String does not fail.
        let _ = writeln!(out, "{stack} {value}");
    }
    out
}

/// A name as it can stand between `;`.
fn word(name: &str) -> String {
    let letter = |c: char| match c {
        ';' => ',',
        c if c.is_control() => '?',
        c => c,
    };
    name.chars().map(letter).collect()
}

/// Names of a location, outermost first.
fn frame_names(
    profile: &Profile,
    location: &Location,
    names: &HashMap<u64, String>,
) -> Vec<String> {
    if location.line.is_empty() {
        let mapping = profile.mapping.iter().find(|m| m.id == location.mapping_id);
        let file = mapping.map_or("", |m| profile.string(m.filename));
        let file = file.rsplit('/').next().unwrap_or_default();
        return vec![match file.trim_matches(['[', ']']) {
            "" => format!("{:#x}", location.address),
            file => format!("[{}]", word(file)),
        }];
    }
    let lines = location.line.iter().rev();
    lines
        .filter_map(|line| names.get(&line.function_id).cloned())
        .collect()
}

/// The profile as an SVG flame graph, the same bytes for the same profile.
pub fn flame_graph(profile: &Profile, title: &str) -> Result<String, Error> {
    let unit = match profile.pgo_value_index() {
        Some(i) => profile.string(profile.sample_type[i].r#type),
        None => "units",
    };
    flame_graph_of(&folded(profile), title, unit)
}

/// As [`flame_graph`], of what [`folded`] wrote, or several such texts one after the other. `unit` is what
/// its values are.
pub fn flame_graph_of(folded: &str, title: &str, unit: &str) -> Result<String, Error> {
    if folded.is_empty() {
        return Err(Error::FlameGraph(
            "the profile holds no samples; record it again".to_owned(),
        ));
    }
    let mut options = flamegraph::Options::default();
    options.title = title.to_owned();
    options.count_name = unit.to_owned();
    // Colours by name instead of by chance.
    options.deterministic = true;
    options.hash = true;
    let mut svg = Vec::new();
    flamegraph::from_lines(&mut options, folded.lines(), &mut svg)
        .map_err(|error| Error::FlameGraph(error.to_string()))?;
    String::from_utf8(svg).map_err(|error| Error::FlameGraph(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Frame, MappedFile, Meta, ProfileBuilder};

    fn profile() -> Profile {
        let frame = |name: &str| Frame {
            function: name.to_owned(),
            file: "main.go".to_owned(),
            line: 1,
            start_line: 1,
        };
        let location = |address, frames| {
            Arc::new(crate::Location {
                address,
                mapping: Some(0),
                frames,
            })
        };
        let meta = Meta {
            period_nanos: 1,
            time_nanos: 0,
            duration_nanos: 1,
        };
        let file = MappedFile {
            start: 0,
            end: 100,
            offset: 0,
            path: "/usr/lib/libc.so.6".to_owned(),
            build_id: String::new(),
        };
        let main = location(1, vec![frame("main.main")]);
        let inlined = location(
            2,
            vec![
                frame("main.Put[go.shape.struct { X int; Y int }]"),
                frame("main.fill"),
            ],
        );
        let mut builder = ProfileBuilder::new(meta, vec![file]);
        builder.add(vec![inlined, main.clone()], 3);
        builder.add(vec![location(3, Vec::new()), main], 2);
        builder.finish()
    }

    #[test]
    fn stacks_are_folded_root_first_with_inlined_calls() {
        let want = "\
main.main;[libc.so.6] 2
main.main;main.fill;main.Put[go.shape.struct { X int, Y int }] 3
";
        assert_eq!(folded(&profile()), want);
    }

    #[test]
    fn a_flame_graph_names_every_frame_and_is_reproducible() {
        let svg = flame_graph(&profile(), "Test").expect("it draws");
        for name in ["main.main", "main.fill", "main.Put", "[libc.so.6]"] {
            assert!(svg.contains(name), "{name}");
        }
        assert_eq!(svg, flame_graph(&profile(), "Test").expect("again"));
    }

    #[test]
    fn no_name_adds_a_line() {
        let mut profile = profile();
        let at = profile.function[0].name as usize;
        profile.string_table[at] = "main.x\nmain.forged 99".to_owned();
        assert_eq!(folded(&profile).lines().count(), 2, "{}", folded(&profile));
        flame_graph(&profile, "Test").expect("it draws");
    }

    #[test]
    fn a_profile_without_samples_cannot_be_drawn() {
        let error = flame_graph(&Profile::default(), "Test").expect_err("refused");
        assert!(error.to_string().contains("holds no samples"), "{error}");
    }
}
