//! Writes one profile in three other spellings, for the lab first-pgo-build: two that Go's compiler
//! gets as much from, and one that it accepts and gets next to nothing from.
//!
//!     cargo run -p goprof --example respell -- go-samples/eventstore/profiles/train.pprof \
//!         labs/610-first-pgo-build/profiles

use std::{env, error::Error, fs, path::Path};

use goprof::{encode, pprof::Profile, read};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [from, to] = args.as_slice() else {
        return Err("give a profile and the folder to write to".into());
    };
    let profile = read(&fs::read(from)?)?;
    let write = |name: &str, respell: fn(&mut Profile)| {
        let mut other = profile.clone();
        respell(&mut other);
        fs::write(Path::new(to).join(name), encode(&other))
    };
    write("one.pprof", two_locations)?;
    write("two.pprof", forget_start_lines)?;
    write("three.pprof", forget_addresses)?;
    Ok(())
}

/// The compiler looks at no more of a stack than its two innermost locations.
fn two_locations(profile: &mut Profile) {
    for sample in &mut profile.sample {
        sample.location_id.truncate(2);
    }
}

/// As tools do that look names up again: all start lines are lost but the first. If it lost that
/// one too, the compiler would complain.
fn forget_start_lines(profile: &mut Profile) {
    for function in profile.function.iter_mut().skip(1) {
        function.start_line = 0;
    }
}

/// The compiler uses neither addresses nor the files that were mapped there.
fn forget_addresses(profile: &mut Profile) {
    profile.mapping.clear();
    for location in &mut profile.location {
        (location.address, location.mapping_id) = (0, 0);
    }
    for sample in &mut profile.sample {
        sample.label.clear();
    }
}
