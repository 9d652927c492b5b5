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
    /// By the places of their locations.
    stacks: HashMap<Vec<u32>, u64>,
}

impl ProfileBuilder {
    /// `files` in the order that [`Location::mapping`] counts.
    pub fn new(meta: Meta, files: Vec<MappedFile>) -> ProfileBuilder {
        ProfileBuilder {
            meta,
            files,
            places: Places::default(),
            stacks: HashMap::default(),
        }
    }

    /// Adds `count` samples of a stack, leaf first. An empty stack has no place in a pprof and is
    /// ignored.
    pub fn add(&mut self, stack: Vec<Arc<Location>>, count: u64) {
        if !stack.is_empty() && count > 0 {
            let stack = stack.into_iter().map(|location| self.places.of(location));
            let total = self.stacks.entry(stack.collect()).or_default();
            *total = total.saturating_add(count);
        }
    }

    pub fn finish(self) -> pprof::Profile {
        let (locations, ids) = self.places.sorted();
        let frames = locations.iter().flat_map(|l| &l.frames);
        let functions: BTreeSet<FunctionKey> = frames.map(function_key).collect();
        let strings = Strings::collect(&self.files, &functions);

        let function_ids: HashMap<FunctionKey, u64> = functions.iter().copied().zip(1..).collect();
        let samples_count = value_type(&strings, "samples", "count");
        let cpu_nanos = value_type(&strings, "cpu", "nanoseconds");

        let sample = self.stacks.iter().map(|(stack, count)| {
            let count = i64::try_from(*count).unwrap_or(i64::MAX);
            pprof::Sample {
                location_id: stack.iter().map(|place| ids[*place as usize]).collect(),
                value: vec![count, count.saturating_mul(self.meta.period_nanos)],
                label: Vec::new(),
            }
        });
        let mut sample: Vec<pprof::Sample> = sample.collect();
        // Numbers are in the locations' order, so this is the order of the stacks themselves.
        sample.sort_unstable_by(|a, b| a.location_id.cmp(&b.location_id));
        let location = locations.iter().zip(1..).map(|(location, id)| {
            let line = location.frames.iter().map(|frame| pprof::Line {
                function_id: function_ids[&function_key(frame)],
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
        let function = functions.iter().zip(1..).map(|(key, id)| pprof::Function {
            id,
            name: strings.index(key.0),
            system_name: strings.index(key.0),
            filename: strings.index(key.1),
            start_line: i64::from(key.2),
        });
        pprof::Profile {
            sample_type: vec![samples_count, cpu_nanos],
            sample,
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
    /// In the order in which they were seen.
    all: Vec<Arc<Location>>,
    /// Places by address in memory, of locations that `kept` keeps there.
    by_address: HashMap<usize, u32>,
    kept: Vec<Arc<Location>>,
    by_value: HashMap<Arc<Location>, u32>,
}

impl Places {
    fn of(&mut self, location: Arc<Location>) -> u32 {
        let address = Arc::as_ptr(&location).addr();
        if let Some(place) = self.by_address.get(&address) {
            return *place;
        }
        let next = self.all.len() as u32;
        let place = *self.by_value.entry(Arc::clone(&location)).or_insert(next);
        if place == next {
            self.all.push(Arc::clone(&location));
        }
        self.by_address.insert(address, place);
        self.kept.push(location);
        place
    }

    /// The locations, sorted, and for each place the number of its location there, from 1.
    fn sorted(&self) -> (Vec<&Location>, Vec<u64>) {
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

fn function_key(frame: &Frame) -> FunctionKey<'_> {
    (&frame.function, &frame.file, frame.start_line)
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
    fn collect(files: &'a [MappedFile], functions: &BTreeSet<FunctionKey<'a>>) -> Strings<'a> {
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

/// The profile as a gzipped pprof file. Compression level, time stamp and operating system in the
/// gzip header are fixed, so equal profiles give equal bytes.
pub fn encode(profile: &pprof::Profile) -> Vec<u8> {
    // A fortieth larger than by level 6, in a quarter of the time.
    const LEVEL: Compression = Compression::new(2);
    const UNKNOWN_SYSTEM: u8 = 255;
    let mut gz = GzBuilder::new()
        .mtime(0)
        .operating_system(UNKNOWN_SYSTEM)
        .write(Vec::new(), LEVEL);
    let raw = profile.encode_to_vec();
    gz.write_all(&raw)
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
