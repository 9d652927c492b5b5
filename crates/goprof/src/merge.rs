//! Many profiles as one, of each only what Go's compiler reads.
//!
//! Kept are the first two locations of each sample with all calls inlined into them, the linker's
//! names, and how far below its `func` each call is (`cmd/internal/pgo/pprof.go`). Left out are
//! addresses, mappings, file names and labels. What is left is equal for all processes that run a
//! program, and stays equal when a function moves within its file. So memory grows with the number
//! of different calls, not with the number of profiles.
//!
//! Weights are CPU time. They are summed as they are: a profile of a busy process counts for more.
//! The same profiles give the same bytes, in whatever order they are added and however they were
//! grouped into merges before.

mod written;

use foldhash::{HashMap, HashMapExt as _};

use crate::{
    Error,
    cpu_time::CpuTime,
    pprof::{self, Profile},
};

/// Samples keep their two innermost locations.
const DEPTH: usize = 2;

/// A call in a location.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Frame {
    /// Index among the names.
    name: u32,
    line: i64,
    start_line: i64,
}

/// The locations of a sample, by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Stack {
    leaf: u32,
    caller: Option<u32>,
    /// The caller holds a frame that the leaf holds too, at another address. The compiler then counts
    /// a call of a function by itself, and needs to see two addresses.
    apart: bool,
}

/// Sums profiles.
#[derive(Debug, Default)]
pub struct Merge {
    names: HashMap<Box<str>, u32>,
    /// Locations, each the list of calls inlined there, innermost first.
    locations: HashMap<Box<[Frame]>, u32>,
    /// By number.
    frames: Vec<Box<[Frame]>>,
    nanos: HashMap<Stack, i64>,
    profiles: u64,
    began: Option<i64>,
    duration: i64,
    period: Option<i64>,
}

impl Merge {
    /// Adds a profile that [`read`](crate::read()) has found sound.
    ///
    /// # Errors
    /// When it does not tell CPU time, or holds less than nothing of it. Then nothing was added.
    pub fn add(&mut self, profile: &Profile) -> Result<(), Error> {
        let time = CpuTime::of(profile)?;
        if profile
            .sample
            .iter()
            .any(|sample| time.of_sample(sample) < 0)
        {
            return Err(Error::Negative);
        }
        let mut numbers = Numbers::of(profile);
        for sample in &profile.sample {
            let nanos = time.of_sample(sample);
            if nanos == 0 {
                continue;
            }
            let mut places = sample.location_id.iter().take(DEPTH);
            let Some(&leaf) = places.next() else { continue };
            let leaf_place = numbers.place(self, leaf);
            let stack = match places.next() {
                None => Stack {
                    leaf: leaf_place.number,
                    caller: None,
                    apart: false,
                },
                Some(&caller) => {
                    let caller_place = numbers.place(self, caller);
                    Stack {
                        leaf: leaf_place.number,
                        caller: Some(caller_place.number),
                        apart: leaf_place.address != caller_place.address
                            && self.share_a_frame(leaf_place.number, caller_place.number),
                    }
                }
            };
            let sum = self.nanos.entry(stack).or_default();
            *sum = sum.saturating_add(nanos);
        }
        self.profiles += 1;
        self.duration = self.duration.saturating_add(profile.duration_nanos.max(0));
        if profile.time_nanos > 0 {
            let first = self.began.unwrap_or(i64::MAX);
            self.began = Some(first.min(profile.time_nanos));
        }
        if let Some(period) = time.period {
            self.period = Some(self.period.map_or(period, |least| least.min(period)));
        }
        Ok(())
    }

    /// How many profiles were added.
    pub fn profiles(&self) -> u64 {
        self.profiles
    }

    /// CPU time in nanoseconds, as one sample type. Duration is the sum, the time that of the earliest,
    /// the period the shortest.
    pub fn finish(self) -> Profile {
        written::Written::of(&self).profile(&self)
    }

    fn share_a_frame(&self, one: u32, other: u32) -> bool {
        let [one, other] = [one, other].map(|place| &self.frames[place as usize]);
        // Code without a name has no frames, and is one place to the compiler.
        (one.is_empty() && other.is_empty()) || one.iter().any(|frame| other.contains(frame))
    }

    fn name(&mut self, text: &str) -> u32 {
        if let Some(&known) = self.names.get(text) {
            return known;
        }
        let next = self.names.len() as u32;
        self.names.insert(text.into(), next);
        next
    }

    fn location(&mut self, frames: &[Frame]) -> u32 {
        if let Some(&known) = self.locations.get(frames) {
            return known;
        }
        let next = self.frames.len() as u32;
        self.frames.push(frames.into());
        self.locations.insert(frames.into(), next);
        next
    }
}

/// A location of one profile.
#[derive(Clone, Copy)]
struct Place {
    /// Among those of the merge.
    number: u32,
    address: u64,
}

/// What one profile's ids stand for in the merge; found when first asked for, since most locations are
/// in nobody's first two.
struct Numbers<'a> {
    profile: &'a Profile,
    functions: HashMap<u64, &'a pprof::Function>,
    locations: HashMap<u64, &'a pprof::Location>,
    places: HashMap<u64, Place>,
    frames: Vec<Frame>,
}

impl<'a> Numbers<'a> {
    fn of(profile: &'a Profile) -> Self {
        let functions = profile.function.iter();
        let locations = profile.location.iter();
        Self {
            profile,
            functions: functions.map(|one| (one.id, one)).collect(),
            locations: locations.map(|one| (one.id, one)).collect(),
            places: HashMap::new(),
            frames: Vec::new(),
        }
    }

    fn place(&mut self, merge: &mut Merge, id: u64) -> Place {
        if let Some(place) = self.places.get(&id) {
            return *place;
        }
        self.frames.clear();
        let location = self.locations.get(&id);
        for line in location.into_iter().flat_map(|location| &location.line) {
            let function = self.functions.get(&line.function_id);
            let name = function.map_or("", |function| self.profile.string(function.name));
            let start = function.map_or(0, |function| function.start_line);
            let (line, start_line) = from_func(line.line, start);
            self.frames.push(Frame {
                name: merge.name(name),
                line,
                start_line,
            });
        }
        let place = Place {
            number: merge.location(&self.frames),
            address: location.map_or(0, |location| location.address),
        };
        self.places.insert(id, place);
        place
    }
}

/// Counts a line from the `func` of its function, which is then line 1: the compiler takes nothing else
/// from the two. Where that can't be said they stay as they are.
fn from_func(line: i64, start: i64) -> (i64, i64) {
    if start > 0 && line >= start {
        (line - start + 1, 1)
    } else {
        (line, start)
    }
}
