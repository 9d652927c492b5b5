//! Stacks with names, to pprof. The same stacks and counts give the same bytes, in whatever order
//! they are added: a build that uses the profile is keyed by its content.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flate2::{Compression, GzBuilder};
use foldhash::HashMap;
use prost::Message as _;

use crate::pprof;

/// One logical call.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Frame {
    /// The linker's name: PGO matches by it.
    pub function: String,
    pub file: String,
    pub line: u32,
    pub start_line: u32,
}

/// One address of a stack with the calls there, innermost first. No frames: the address is in code
/// that could not be named.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    pub address: u64,
    /// Index into the mapped files.
    pub mapping: Option<usize>,
    pub frames: Vec<Frame>,
}

/// A file mapped by the process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MappedFile {
    pub start: u64,
    pub end: u64,
    pub offset: u64,
    pub path: String,
    /// Hexadecimal GNU build id, or Go's.
    pub build_id: String,
}

/// What the caller knows of the recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Nanoseconds of CPU between two samples: 10,000,000 at 100 Hz.
    pub period_nanos: i64,
    /// When it began, nanoseconds since 1970.
    pub time_nanos: i64,
    pub duration_nanos: i64,
}

impl Meta {
    /// Of a recording with `hz` samples for each second of CPU time.
    pub fn of(hz: u32, began: SystemTime, lasted: Duration) -> Self {
        let nanos = |time: Duration| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
        Self {
            period_nanos: 1_000_000_000 / i64::from(hz.max(1)),
            time_nanos: began.duration_since(UNIX_EPOCH).map_or(0, nanos),
            duration_nanos: nanos(lasted),
        }
    }
}

/// Collects stacks; [`ProfileBuilder::finish`] writes them down.
#[derive(Debug)]
pub struct ProfileBuilder {
    meta: Meta,
    files: Vec<MappedFile>,
    places: Places,
    /// The places of all stacks' locations, one stack after the other.
    steps: Vec<u32>,
    stacks: Vec<Added>,
}

/// A stack that was added; equal ones may follow.
#[derive(Clone, Copy, Debug)]
struct Added {
    /// Where it begins and ends among the steps.
    begin: usize,
    end: usize,
    count: u64,
}

impl ProfileBuilder {
    /// `files` in the order that [`Location::mapping`] counts.
    pub fn new(meta: Meta, files: Vec<MappedFile>) -> ProfileBuilder {
        ProfileBuilder {
            meta,
            files,
            places: Places::default(),
            steps: Vec::new(),
            stacks: Vec::new(),
        }
    }

    /// Adds `count` samples of a stack, leaf first. An empty stack has no place in a pprof and is
    /// ignored.
    pub fn add(&mut self, stack: Vec<Arc<Location>>, count: u64) {
        let places: Vec<u32> = stack.into_iter().map(|at| self.place(at)).collect();
        self.add_places(&places, count);
    }

    /// The number by which [`ProfileBuilder::add_places`] knows a location; equal ones have the same.
    pub(crate) fn place(&mut self, location: Arc<Location>) -> u32 {
        self.places.of(location)
    }

    /// As [`ProfileBuilder::add`], of locations that it has given a place.
    pub(crate) fn add_places(&mut self, stack: &[u32], count: u64) {
        if !stack.is_empty() && count > 0 {
            let begin = self.steps.len();
            self.steps.extend_from_slice(stack);
            let end = self.steps.len();
            self.stacks.push(Added { begin, end, count });
        }
    }

    pub fn finish(mut self) -> pprof::Profile {
        let (locations, ids) = self.places.sorted();
        for step in &mut self.steps {
            *step = ids[*step as usize];
        }
        let functions = Functions::of(&locations);
        let strings = Strings::collect(&self.files, &functions.sorted);

        let samples_count = value_type(&strings, "samples", "count");
        let cpu_nanos = value_type(&strings, "cpu", "nanoseconds");

        let steps = |stack: &Added| &self.steps[stack.begin..stack.end];
        // Numbers are in the locations' order, so this is the order of the stacks themselves.
        self.stacks.sort_unstable_by(|a, b| steps(a).cmp(steps(b)));
        let equal = self.stacks.chunk_by(|a, b| steps(a) == steps(b));
        let sample = equal.map(|equal| {
            let counts = equal.iter().map(|stack| stack.count);
            let count = counts.fold(0, u64::saturating_add);
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            pprof::Sample {
                location_id: steps(&equal[0]).iter().map(|id| u64::from(*id)).collect(),
                value: vec![count, count.saturating_mul(self.meta.period_nanos)],
                label: Vec::new(),
            }
        });
        let mut ids_of_frames = functions.ids.iter();
        let location = locations.iter().zip(1..).map(|(location, id)| {
            let frames = location.frames.iter().zip(&mut ids_of_frames);
            let line = frames.map(|(frame, function)| pprof::Line {
                function_id: *function,
                line: i64::from(frame.line),
                column: 0,
            });
            pprof::Location {
                id,
                mapping_id: location.mapping.map_or(0, |i| i as u64 + 1),
                address: location.address,
                line: line.collect(),
                is_folded: false,
            }
        });
        let function = functions.sorted.iter().zip(1..);
        let function = function.map(|(key, id)| pprof::Function {
            id,
            name: strings.index(key.0),
            system_name: strings.index(key.0),
            filename: strings.index(key.1),
            start_line: i64::from(key.2),
        });
        pprof::Profile {
            sample_type: vec![samples_count, cpu_nanos],
            sample: sample.collect(),
            mapping: mappings(&self.files, &locations, &strings),
            location: location.collect(),
            function: function.collect(),
            time_nanos: self.meta.time_nanos,
            duration_nanos: self.meta.duration_nanos,
            period_type: Some(cpu_nanos),
            period: self.meta.period_nanos,
            string_table: strings.table.iter().map(|s| (*s).to_owned()).collect(),
            ..pprof::Profile::default()
        }
    }
}

/// Locations that were seen, each once: those of a stack are compared by a number, not by their texts.
#[derive(Debug, Default)]
struct Places {
    /// By place.
    all: Vec<Arc<Location>>,
    by_value: HashMap<Arc<Location>, u32>,
}

impl Places {
    fn of(&mut self, location: Arc<Location>) -> u32 {
        let next = self.all.len() as u32;
        let all = &mut self.all;
        *self
            .by_value
            .entry(location)
            .or_insert_with_key(|location| {
                all.push(Arc::clone(location));
                next
            })
    }

    /// The locations, sorted, and for each place the number of its location there, from 1.
    fn sorted(&self) -> (Vec<&Location>, Vec<u32>) {
        let mut order: Vec<usize> = (0..self.all.len()).collect();
        order.sort_unstable_by(|a, b| self.all[*a].cmp(&self.all[*b]));
        let mut ids = vec![0; order.len()];
        for (place, id) in order.iter().zip(1..) {
            ids[*place] = id;
        }
        (order.iter().map(|place| &*self.all[*place]).collect(), ids)
    }
}

/// Name, file, start line.
type FunctionKey<'a> = (&'a str, &'a str, u32);

/// The functions of all locations.
struct Functions<'a> {
    /// Each once.
    sorted: Vec<FunctionKey<'a>>,
    /// The number among them, from 1, of each frame of each location.
    ids: Vec<u64>,
}

impl<'a> Functions<'a> {
    fn of(locations: &[&'a Location]) -> Self {
        let mut seen: HashMap<FunctionKey<'a>, usize> = HashMap::default();
        let frames = locations.iter().flat_map(|location| &location.frames);
        let mut ids = Vec::new();
        for frame in frames {
            let next = seen.len();
            let key = (&*frame.function, &*frame.file, frame.start_line);
            ids.push(*seen.entry(key).or_insert(next) as u64);
        }
        let mut sorted: Vec<_> = seen.into_iter().collect();
        sorted.sort_unstable();
        let mut places = vec![0; sorted.len()];
        for ((_, first_seen), id) in sorted.iter().zip(1..) {
            places[*first_seen] = id;
        }
        for id in &mut ids {
            *id = places[*id as usize];
        }
        Self {
            sorted: sorted.into_iter().map(|(key, _)| key).collect(),
            ids,
        }
    }
}

fn value_type(strings: &Strings<'_>, kind: &str, unit: &str) -> pprof::ValueType {
    pprof::ValueType {
        r#type: strings.index(kind),
        unit: strings.index(unit),
    }
}

fn mappings(
    files: &[MappedFile],
    locations: &[&Location],
    strings: &Strings<'_>,
) -> Vec<pprof::Mapping> {
    let mapping = files.iter().enumerate().map(|(index, file)| {
        // Readers look up names themselves where these say that none are here.
        let mut inside = locations
            .iter()
            .filter(|l| l.mapping == Some(index))
            .peekable();
        let named = inside.peek().is_some() && inside.all(|l| !l.frames.is_empty());
        pprof::Mapping {
            id: index as u64 + 1,
            memory_start: file.start,
            memory_limit: file.end,
            file_offset: file.offset,
            filename: strings.index(&file.path),
            build_id: strings.index(&file.build_id),
            has_functions: named,
            has_filenames: named,
            has_line_numbers: named,
            has_inline_frames: named,
        }
    });
    mapping.collect()
}

/// The string table: the empty string, then the others sorted.
struct Strings<'a> {
    table: Vec<&'a str>,
}

impl<'a> Strings<'a> {
    fn collect(files: &'a [MappedFile], functions: &[FunctionKey<'a>]) -> Strings<'a> {
        let fixed = ["", "samples", "count", "cpu", "nanoseconds"];
        let mut all: BTreeSet<&str> = fixed.into_iter().collect();
        all.extend(files.iter().flat_map(|f| [f.path.as_str(), &f.build_id]));
        all.extend(functions.iter().flat_map(|(name, file, _)| [*name, *file]));
        // The empty string sorts first, where the format wants it.
        Strings {
            table: all.into_iter().collect(),
        }
    }

    fn index(&self, text: &str) -> i64 {
        self.table.binary_search(&text).map_or(0, |i| i as i64)
    }
}

/// The profile as a gzipped pprof file; equal profiles give equal bytes.
pub fn encode(profile: &pprof::Profile) -> Vec<u8> {
    pack(&profile.encode_to_vec())
}

/// The bytes of a pprof, gzipped. Compression level, time stamp and operating system in the gzip header
/// are fixed, so equal bytes give equal bytes.
pub fn pack(raw: &[u8]) -> Vec<u8> {
    // A fortieth larger than by level 6, in a quarter of the time.
    const LEVEL: Compression = Compression::new(2);
    const UNKNOWN_SYSTEM: u8 = 255;
    let mut gz = GzBuilder::new()
        .mtime(0)
        .operating_system(UNKNOWN_SYSTEM)
        .write(Vec::new(), LEVEL);
    gz.write_all(raw)
        .and_then(|()| gz.finish())
        .expect("writing to memory does not fail")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read;

    const META: Meta = Meta {
        period_nanos: 10_000_000,
        time_nanos: 1_700_000_000_000_000_000,
        duration_nanos: 30_000_000_000,
    };

    fn location(address: u64, names: &[(&str, u32)]) -> Arc<Location> {
        let frames = names.iter().map(|(name, line)| Frame {
            function: (*name).to_owned(),
            file: "main.go".to_owned(),
            line: *line,
            start_line: 3,
        });
        Arc::new(Location {
            address,
            mapping: Some(0),
            frames: frames.collect(),
        })
    }

    fn files() -> Vec<MappedFile> {
        vec![MappedFile {
            start: 0x40_0000,
            end: 0x50_0000,
            offset: 0,
            path: "/srv/app".to_owned(),
            build_id: "abc".to_owned(),
        }]
    }

    fn stacks() -> Vec<(Vec<Arc<Location>>, u64)> {
        let main = location(0x40_1000, &[("main.main", 20)]);
        let inlined = location(0x40_2000, &[("main.inner", 5), ("main.outer", 9)]);
        vec![
            (vec![inlined.clone(), main.clone()], 7),
            (
                vec![location(0x40_3000, &[("main.leaf", 4)]), main.clone()],
                2,
            ),
            (vec![main], 1),
        ]
    }

    fn built(stacks: Vec<(Vec<Arc<Location>>, u64)>) -> pprof::Profile {
        let mut builder = ProfileBuilder::new(META, files());
        for (stack, count) in stacks {
            builder.add(stack, count);
        }
        builder.finish()
    }

    #[test]
    fn what_was_written_is_read_back() {
        let profile = built(stacks());
        assert_eq!(read(&encode(&profile)).expect("it reads"), profile);
    }

    #[test]
    fn order_of_adding_leaves_no_trace_in_the_bytes() {
        let reversed = stacks().into_iter().rev().collect();
        assert_eq!(encode(&built(stacks())), encode(&built(reversed)));
    }

    #[test]
    fn equal_stacks_are_one_sample() {
        let mut twice = stacks();
        twice.extend(stacks());
        let profile = built(twice);
        let values: Vec<_> = profile.sample.iter().map(|s| s.value.clone()).collect();
        assert_eq!(values.len(), 3);
        assert!(values.contains(&vec![14, 140_000_000]), "{values:?}");
    }

    #[test]
    fn sample_types_and_period_are_what_go_expects() {
        let profile = built(stacks());
        let types: Vec<_> = profile.sample_types().collect();
        assert_eq!(types, [("samples", "count"), ("cpu", "nanoseconds")]);
        assert_eq!(profile.period_type, Some(profile.sample_type[1]));
        assert_eq!(profile.period, 10_000_000);
    }

    #[test]
    fn strings_are_sorted_and_unique() {
        let table = built(stacks()).string_table;
        assert_eq!(table[0], "");
        assert!(table.is_sorted_by(|a, b| a < b), "{table:?}");
    }

    #[test]
    fn inlined_calls_share_a_location_innermost_first() {
        let profile = built(stacks());
        let location = profile.location.iter().find(|l| l.line.len() == 2);
        let lines = &location.expect("one has two lines").line;
        let names: Vec<_> = lines
            .iter()
            .map(|l| profile.string(profile.function[l.function_id as usize - 1].name))
            .collect();
        assert_eq!(names, ["main.inner", "main.outer"]);
    }

    #[test]
    fn an_empty_stack_is_left_out() {
        assert!(built(vec![(Vec::new(), 5)]).sample.is_empty());
    }
}
