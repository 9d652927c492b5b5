//! From raw stacks of a Go process to a pprof profile that `go build -pgo` can use, and back.
//!
//! - `Sampler` (feature `sampler`): records a running process from the kernel's side; `Held` starts one;
//!   `Survey` records all processes, or those of a control group.
//! - [`repair`]: the callers that frame pointers lose, put back.
//! - [`Samples`]: stacks of addresses and how often each was seen.
//! - [`Symbolizer`]: addresses to logical frames, as the Go runtime itself would tell them.
//! - [`ProfileBuilder`], [`encode`]: the pprof file, the same bytes for the same input.
//! - [`read`], [`check`]: a pprof from anywhere, and whether Go's compiler can use it.
//! - [`Edges`]: the calls that Go's compiler reads from it; [`advice`], [`Against`]: what would make it better.
//! - [`Merge`], [`quantise`]: many profiles as one, of each only what the compiler reads, with rounded weights.
//! - [`KnownCalls`]: what profilers are judged by.
//! - [`folded`], [`flame_graph`]: the same profile as text and as a picture.
//!
//! Shapes: a stack lists its leaf first; in [`folded`] output the root comes first, as flame graph
//! tools expect. Addresses are those of the running process. Lines are 1-based, 0 is unknown.
//! Durations and periods are nanoseconds.
//!
//! What Go's compiler reads from a profile is in `cmd/internal/pgo/pprof.go` and
//! `internal/profile/graph.go`: the first sample type that is samples/count or cpu/nanoseconds,
//! and from each sample its first two locations with all their inlined lines. Callers and callees
//! are matched by linker name, call sites by `line - start_line`.

mod advice;
mod against;
mod builder;
mod check;
mod cpu_time;
mod edges;
mod error;
#[cfg(feature = "sampler")]
mod files;
mod flame;
#[cfg(feature = "sampler")]
mod images;
#[cfg(feature = "sampler")]
mod kernel;
mod kernel_symbols;
mod known;
#[cfg(feature = "sampler")]
mod launch;
mod maps;
mod memory;
mod merge;
pub mod pprof;
mod process;
mod quantise;
#[cfg(feature = "sampler")]
mod rate;
mod read;
#[cfg(feature = "sampler")]
mod records;
mod repair;
#[cfg(feature = "sampler")]
mod sampler;
mod samples;
#[cfg(feature = "sampler")]
mod survey;
mod symbolize;

use std::sync::Arc;

pub use advice::{advice, unseen};
pub use against::Against;
pub use builder::{Frame, Location, MappedFile, Meta, ProfileBuilder, encode, pack};
pub use check::{Expect, Finding, Severity, check, check_with};
pub use edges::{Edge, Edges, HOT};
pub use error::Error;
pub use flame::{flame_graph, flame_graph_of, folded};
pub use kernel_symbols::KernelSymbols;
pub use known::KnownCalls;
#[cfg(feature = "sampler")]
pub use launch::Held;
pub use maps::{MapEntry, parse_maps};
pub use merge::Merge;
pub use process::for_process;
pub use quantise::quantise;
#[cfg(feature = "sampler")]
pub use rate::{Event, Rate};
pub use read::{DEFAULT_LIMIT, is_packed, read, read_limited, read_unpacked, unpack};
pub use repair::{RawStack, Repairs, repair, repair_with_kernel};
#[cfg(feature = "sampler")]
pub use sampler::{Recording, Sampler};
pub use samples::Samples;
#[cfg(feature = "sampler")]
pub use survey::{Program, Survey, Surveyed, Where};
pub use symbolize::{Stack, Symbolizer};

/// Symbolises every stack and builds the profile. Stacks of which nothing is left (the whole stack
/// was `runtime.goexit`, say) are not in it.
pub fn to_profile(samples: &Samples, symbolizer: &mut Symbolizer, meta: Meta) -> pprof::Profile {
    let mut builder = ProfileBuilder::new(meta, symbolizer.mapped_files());
    // The builder's numbers of locations, by the symbolizer's.
    let mut places: Vec<Option<u32>> = Vec::new();
    let mut shown = Vec::new();
    for (stack, count) in samples.iter() {
        shown.clear();
        symbolizer.name(stack, &mut shown);
        if let Some(last) = shown.iter().max() {
            places.resize(places.len().max(*last as usize + 1), None);
        }
        let stack = shown.iter().map(|number| {
            *places[*number as usize]
                .get_or_insert_with(|| builder.place(Arc::clone(symbolizer.location(*number))))
        });
        let stack: Vec<u32> = stack.collect();
        builder.add_places(&stack, count);
    }
    builder.finish()
}
