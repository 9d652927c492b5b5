//! Reading pprof from anywhere: limits first, then everything that later code relies on.

use std::borrow::Cow;
use std::collections::HashSet;
use std::io::Read as _;

use flate2::read::MultiGzDecoder;
use prost::Message as _;

use crate::Error;
use crate::memory;
use crate::pprof::Profile;

/// Largest profile that [`read`] unpacks: 128 MiB, some hundred times a usual CPU profile.
pub const DEFAULT_LIMIT: u64 = 128 << 20;

/// Memory that a profile may take once it is decoded, for each byte that it may be long. Recorded
/// profiles take less than ten, merged ones up to twenty, a bomb 72.
const MEMORY: u64 = 32;

/// Reads a pprof, gzipped or not.
pub fn read(bytes: &[u8]) -> Result<Profile, Error> {
    read_limited(bytes, DEFAULT_LIMIT)
}

/// Like [`read`] with another limit on the unpacked size, in bytes. It bounds the memory that the
/// profile takes, too.
pub fn read_limited(bytes: &[u8], limit: u64) -> Result<Profile, Error> {
    read_unpacked(&unpack(bytes, limit)?, limit)
}

/// Like [`read_limited`], of what [`unpack`] returned.
pub fn read_unpacked(raw: &[u8], limit: u64) -> Result<Profile, Error> {
    let profile = decode(raw, limit)?;
    validate(&profile)?;
    Ok(profile)
}

/// The bytes of a pprof without gzip: what tells whether two are the same.
pub fn unpack(bytes: &[u8], limit: u64) -> Result<Cow<'_, [u8]>, Error> {
    let raw: Cow<'_, [u8]> = if is_packed(bytes) {
        let mut raw = Vec::new();
        MultiGzDecoder::new(bytes)
            .take(limit.saturating_add(1))
            .read_to_end(&mut raw)
            .map_err(Error::Gzip)?;
        raw.into()
    } else {
        bytes.into()
    };
    if raw.len() as u64 > limit {
        return Err(Error::TooLarge { limit });
    }
    Ok(raw)
}

/// Whether a pprof is gzipped.
pub fn is_packed(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

fn decode(raw: &[u8], limit: u64) -> Result<Profile, Error> {
    if raw.is_empty() {
        return Err(Error::Empty);
    }
    if raw.starts_with(b"GO PREPROFILE") {
        return Err(Error::Preprofile);
    }
    let limit = limit.saturating_mul(MEMORY);
    if memory::decoded(raw)? > limit {
        return Err(Error::TooManyParts { limit });
    }
    Ok(Profile::decode(raw)?)
}

fn validate(profile: &Profile) -> Result<(), Error> {
    let invalid = |what: String| Err(Error::Invalid(what));
    if profile.string_table.first().is_none_or(|s| !s.is_empty()) {
        return invalid("its string table does not begin with the empty string".to_owned());
    }
    let strings = profile.string_table.len();
    let known = |index: i64| usize::try_from(index).is_ok_and(|i| i < strings);
    let types = profile.sample_type.iter().chain(&profile.period_type);
    if !types.flat_map(|t| [t.r#type, t.unit]).all(known) {
        return invalid("a value type names a string that is not there".to_owned());
    }
    let mappings = ids("mapping", profile.mapping.iter().map(|m| m.id))?;
    let functions = ids("function", profile.function.iter().map(|f| f.id))?;
    let locations = ids("location", profile.location.iter().map(|l| l.id))?;
    for mapping in &profile.mapping {
        if !known(mapping.filename) || !known(mapping.build_id) {
            return invalid(format!(
                "mapping {} names a string that is not there",
                mapping.id
            ));
        }
    }
    for function in &profile.function {
        if ![function.name, function.system_name, function.filename]
            .into_iter()
            .all(known)
        {
            return invalid(format!(
                "function {} names a string that is not there",
                function.id
            ));
        }
    }
    for location in &profile.location {
        if location.mapping_id != 0 && !mappings.contains(&location.mapping_id) {
            return invalid(format!(
                "location {} names a mapping that is not there",
                location.id
            ));
        }
        if !location
            .line
            .iter()
            .all(|l| functions.contains(&l.function_id))
        {
            return invalid(format!(
                "location {} names a function that is not there",
                location.id
            ));
        }
    }
    for (index, sample) in profile.sample.iter().enumerate() {
        if sample.value.len() != profile.sample_type.len() {
            return invalid(format!(
                "sample {index} has {} values for {} sample types",
                sample.value.len(),
                profile.sample_type.len()
            ));
        }
        if !sample.location_id.iter().all(|id| locations.contains(id)) {
            return invalid(format!("sample {index} names a location that is not there"));
        }
        let labels = sample.label.iter();
        if !labels.flat_map(|l| [l.key, l.str, l.num_unit]).all(known) {
            return invalid(format!(
                "a label of sample {index} names a string that is not there"
            ));
        }
    }
    Ok(())
}

fn ids(what: &str, all: impl Iterator<Item = u64>) -> Result<HashSet<u64>, Error> {
    let mut seen = HashSet::new();
    for id in all {
        if id == 0 || !seen.insert(id) {
            return Err(Error::Invalid(format!(
                "{what} id {id} is zero or used twice"
            )));
        }
    }
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode;
    use crate::pprof::{Function, Line, Location, Sample, ValueType};

    fn sound() -> Profile {
        let strings = ["", "samples", "count", "main.main", "main.go"];
        Profile {
            string_table: strings.map(str::to_owned).to_vec(),
            sample_type: vec![ValueType { r#type: 1, unit: 2 }],
            function: vec![Function {
                id: 1,
                name: 3,
                filename: 4,
                ..Function::default()
            }],
            location: vec![Location {
                id: 1,
                line: vec![Line {
                    function_id: 1,
                    ..Line::default()
                }],
                ..Location::default()
            }],
            sample: vec![Sample {
                location_id: vec![1],
                value: vec![1],
                label: Vec::new(),
            }],
            ..Profile::default()
        }
    }

    #[test]
    fn gzipped_and_raw_profiles_read_the_same() {
        let profile = sound();
        assert_eq!(read(&profile.encode_to_vec()).expect("raw"), profile);
        assert_eq!(read(&encode(&profile)).expect("gzipped"), profile);
    }

    #[test]
    fn contradictions_are_named() {
        type Spoil = fn(&mut Profile);
        let cases: [(Spoil, &str); 8] = [
            (
                |p| p.string_table[0] = "x".into(),
                "does not begin with the empty string",
            ),
            (|p| p.function[0].name = 99, "function 1 names a string"),
            (
                |p| p.location[0].line[0].function_id = 9,
                "location 1 names a function",
            ),
            (
                |p| p.location[0].mapping_id = 9,
                "location 1 names a mapping",
            ),
            (
                |p| p.sample[0].location_id[0] = 9,
                "sample 0 names a location",
            ),
            (
                |p| p.sample[0].value.push(1),
                "sample 0 has 2 values for 1 sample types",
            ),
            (|p| p.function[0].id = 0, "function id 0 is zero"),
            (
                |p| p.sample_type[0].unit = -1,
                "a value type names a string",
            ),
        ];
        for (spoil, want) in cases {
            let mut profile = sound();
            spoil(&mut profile);
            let error = read(&encode(&profile)).expect_err(want).to_string();
            assert!(error.contains(want), "{error}");
        }
    }

    #[test]
    fn input_that_is_no_profile_is_told_apart() {
        let cases: [(&[u8], &str); 4] = [
            (b"", "empty (0 bytes)"),
            (b"GO PREPROFILE V1\n", "go tool preprofile"),
            (b"\x1f\x8b\x08garbage", "gzip data is damaged"),
            (b"heap profile: 1: 2", "not a pprof profile"),
        ];
        for (bytes, want) in cases {
            let error = read(bytes).expect_err(want).to_string();
            assert!(error.contains(want), "{error}");
        }
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let mut profile = sound();
        profile.string_table.push("a".repeat(1 << 20));
        let packed = encode(&profile);
        assert!(packed.len() < 10_000, "it packs well");
        let error = read_limited(&packed, 1 << 16).expect_err("refused");
        assert!(matches!(error, Error::TooLarge { limit: 65536 }), "{error}");
    }

    /// Messages of two bytes each, which would be 72 bytes of memory and more.
    #[test]
    fn a_bomb_of_many_parts_is_refused_before_it_is_decoded() {
        let bomb = [0x12, 0].repeat(50_000);
        let error = read_limited(&bomb, bomb.len() as u64).expect_err("refused");
        assert!(matches!(error, Error::TooManyParts { .. }), "{error}");
        // A sample with labels, and a location with lines, all empty.
        for (message, part) in [(0x12, 0x1a), (0x22, 0x22)] {
            let mut within = vec![message, 0xd0, 0x0f];
            within.extend([part, 0].repeat(1000));
            let memory = memory::decoded(&within).expect("it is whole");
            assert!(memory > 24 * within.len() as u64, "{memory}");
        }
        // A group would hide what is behind it.
        let error = read(&[0x0b, 0x12, 0]).expect_err("refused").to_string();
        assert!(error.contains("is a group"), "{error}");
    }

    #[test]
    fn what_is_recorded_is_far_from_the_limit_of_memory() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../labs/610-first-pgo-build/profiles/one.pprof"
        );
        let raw = read(&std::fs::read(path).expect("it is there")).expect("sound");
        let raw = raw.encode_to_vec();
        let memory = memory::decoded(&raw).expect("sound");
        assert!(memory < raw.len() as u64 * 10, "{memory} of {}", raw.len());
    }
}
