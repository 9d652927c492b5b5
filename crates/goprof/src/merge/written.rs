//! A merge as a pprof, in an order that depends on nothing but what is in it.

use std::collections::BTreeSet;

use foldhash::HashMap;

use super::{Frame, Merge, Stack};
use crate::pprof;

/// A location of the written profile: its frames, and whether it is the one at another address.
type Key<'a> = (&'a [Frame], bool);

/// What of a merge is written, sorted.
pub struct Written<'a> {
    /// Sample by sample, with their locations' indexes.
    samples: Vec<(usize, Option<usize>, i64)>,
    locations: Vec<Key<'a>>,
    /// Names, in order, and the index of each of the merge's.
    names: Vec<&'a str>,
    rank: Vec<u32>,
}

impl<'a> Written<'a> {
    pub fn of(merge: &'a Merge) -> Self {
        let (names, rank) = sorted(&merge.names);
        let by_text = |frames: &[Frame]| -> Vec<(u32, i64, i64)> {
            let key = |frame: &Frame| (rank[frame.name as usize], frame.line, frame.start_line);
            frames.iter().map(key).collect()
        };
        let frames = |number: u32| &*merge.frames[number as usize];
        let leaf = |stack: &Stack| (frames(stack.leaf), false);
        let caller = |stack: &Stack| Some((frames(stack.caller?), stack.apart));

        let mut locations: Vec<Key<'_>> = merge
            .nanos
            .keys()
            .flat_map(|stack| [Some(leaf(stack)), caller(stack)])
            .flatten()
            .collect();
        locations.sort_by_cached_key(|(frames, apart)| (by_text(frames), *apart));
        locations.dedup();
        let indexes: HashMap<Key<'_>, usize> = (0..)
            .zip(&locations)
            .map(|(index, key)| (*key, index))
            .collect();
        let mut samples: Vec<_> = merge
            .nanos
            .iter()
            .map(|(stack, &nanos)| {
                let caller = caller(stack).map(|key| indexes[&key]);
                (indexes[&leaf(stack)], caller, nanos)
            })
            .collect();
        samples.sort_unstable();
        Self {
            samples,
            locations,
            names,
            rank,
        }
    }

    pub fn profile(&self, merge: &Merge) -> pprof::Profile {
        let functions = self.functions();
        let strings = self.strings();
        let string = |text: &str| strings.binary_search(&text).map_or(0, |at| at as i64);
        let cpu_nanoseconds = pprof::ValueType {
            r#type: string("cpu"),
            unit: string("nanoseconds"),
        };
        let function_id = |frame: &Frame| {
            let key = (self.rank[frame.name as usize], frame.start_line);
            functions.binary_search(&key).map_or(0, |at| at as u64 + 1)
        };
        let location = self.locations.iter().zip(1..).map(|((frames, apart), id)| {
            let line = frames.iter().map(|frame| pprof::Line {
                function_id: function_id(frame),
                line: frame.line,
                column: 0,
            });
            pprof::Location {
                id,
                address: u64::from(*apart),
                line: line.collect(),
                ..pprof::Location::default()
            }
        });
        let function = functions.iter().zip(1..).map(|((name, start_line), id)| {
            let name = string(self.names[*name as usize]);
            pprof::Function {
                id,
                name,
                system_name: name,
                start_line: *start_line,
                ..pprof::Function::default()
            }
        });
        let sample = self.samples.iter().map(|(leaf, caller, nanos)| {
            let ids = [Some(*leaf), *caller].into_iter().flatten();
            pprof::Sample {
                location_id: ids.map(|index| index as u64 + 1).collect(),
                value: vec![*nanos],
                label: Vec::new(),
            }
        });
        pprof::Profile {
            sample_type: vec![cpu_nanoseconds],
            sample: sample.collect(),
            location: location.collect(),
            function: function.collect(),
            time_nanos: merge.began.unwrap_or_default(),
            duration_nanos: merge.duration,
            period_type: Some(cpu_nanoseconds),
            period: merge.period.unwrap_or_default(),
            string_table: strings.iter().map(|text| (*text).to_owned()).collect(),
            ..pprof::Profile::default()
        }
    }

    /// Name and start line of each function, sorted.
    fn functions(&self) -> Vec<(u32, i64)> {
        let frames = self.locations.iter().flat_map(|(frames, _)| *frames);
        let mut all: Vec<_> = frames
            .map(|frame| (self.rank[frame.name as usize], frame.start_line))
            .collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The string table: the empty string sorts first, where the format wants it.
    fn strings(&self) -> Vec<&'a str> {
        let frames = self.locations.iter().flat_map(|(frames, _)| *frames);
        let mut all: BTreeSet<&str> = ["", "cpu", "nanoseconds"].into();
        all.extend(frames.map(|frame| self.names[self.rank[frame.name as usize] as usize]));
        all.into_iter().collect()
    }
}

/// The names in order, and by number in the merge the index of each.
fn sorted(names: &HashMap<Box<str>, u32>) -> (Vec<&str>, Vec<u32>) {
    let mut all: Vec<(&str, u32)> = names.iter().map(|(name, at)| (&**name, *at)).collect();
    all.sort_unstable();
    let mut rank = vec![0; all.len()];
    for (at, (_, number)) in (0..).zip(&all) {
        rank[*number as usize] = at;
    }
    (all.into_iter().map(|(name, _)| name).collect(), rank)
}
