//! The tables of a pprof. A sample names locations by id, a location functions by id, and all of
//! them texts by their place in the string table; whoever asks for the same thing twice gets the
//! same number.

use std::{collections::HashMap, hash::Hash};

use goprof::{
    Location, MappedFile,
    pprof::{self, Profile, ValueType},
};

/// Tables being filled.
pub struct Tables {
    strings: Table<String>,
    /// Name, file, start line: the texts by their numbers.
    functions: Table<(i64, i64, u32)>,
    locations: Table<Location>,
    files: Vec<MappedFile>,
}

impl Tables {
    /// Tables without a function or location. `files` are the mappings that locations refer to.
    pub fn new(files: Vec<MappedFile>) -> Self {
        let mut strings = Table::default();
        // Number 0 means that there is no text.
        strings.number(String::new());
        Self {
            strings,
            functions: Table::default(),
            locations: Table::default(),
            files,
        }
    }

    /// The number of a text.
    pub fn string(&mut self, text: &str) -> i64 {
        self.strings.number(text.to_owned()) as i64
    }

    /// A sample type, such as `("samples", "count")`.
    pub fn value_type(&mut self, what: &str, unit: &str) -> ValueType {
        ValueType {
            r#type: self.string(what),
            unit: self.string(unit),
        }
    }

    /// The id of a location.
    pub fn location(&mut self, location: &Location) -> u64 {
        self.locations.number(location.clone()) + 1
    }

    /// Puts the tables into `profile`.
    pub fn fill(mut self, profile: &mut Profile) {
        let locations = std::mem::take(&mut self.locations).into_items();
        for (location, id) in locations.into_iter().zip(1..) {
            let line = location.frames.iter().map(|frame| {
                let name = self.string(&frame.function);
                let file = self.string(&frame.file);
                let function_id = self.functions.number((name, file, frame.start_line)) + 1;
                pprof::Line {
                    function_id,
                    line: frame.line.into(),
                    column: 0,
                }
            });
            profile.location.push(pprof::Location {
                id,
                line: line.collect(),
                mapping_id: location.mapping.map_or(0, |index| index as u64 + 1),
                address: location.address,
                is_folded: false,
            });
        }
        let functions = std::mem::take(&mut self.functions).into_items();
        profile.function = functions
            .into_iter()
            .zip(1..)
            .map(|((name, filename, start_line), id)| pprof::Function {
                id,
                name,
                system_name: name,
                filename,
                start_line: start_line.into(),
            })
            .collect();
        let files = std::mem::take(&mut self.files);
        profile.mapping = files
            .iter()
            .zip(1..)
            .map(|(file, id)| pprof::Mapping {
                id,
                memory_start: file.start,
                memory_limit: file.end,
                file_offset: file.offset,
                filename: self.string(&file.path),
                build_id: self.string(&file.build_id),
                // Where this is not set, readers look for names themselves.
                has_functions: !file.build_id.is_empty(),
                has_filenames: !file.build_id.is_empty(),
                has_line_numbers: !file.build_id.is_empty(),
                has_inline_frames: !file.build_id.is_empty(),
            })
            .collect();
        profile.string_table = self.strings.into_items();
    }
}

/// Gives each thing a number, from 0 on, in the order of asking.
struct Table<T> {
    numbers: HashMap<T, u64>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            numbers: HashMap::new(),
        }
    }
}

impl<T: Eq + Hash> Table<T> {
    fn number(&mut self, item: T) -> u64 {
        let next = self.numbers.len() as u64;
        *self.numbers.entry(item).or_insert(next)
    }

    fn into_items(self) -> Vec<T> {
        let mut items: Vec<(T, u64)> = self.numbers.into_iter().collect();
        items.sort_unstable_by_key(|(_, number)| *number);
        items.into_iter().map(|(item, _)| item).collect()
    }
}
