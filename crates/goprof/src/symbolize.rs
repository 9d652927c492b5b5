//! Raw stacks to logical frames, told as the Go runtime tells its own (`runtime/traceback.go`):
//! return addresses looked up one byte earlier, inlined calls expanded, compiler-made wrappers
//! left out, nothing beyond the function that a stack begins with.

use std::collections::HashMap;
use std::sync::Arc;

use gosym::{Binary, FuncId};

use crate::{Frame, Location, MapEntry, MappedFile};

/// A stack with names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stack {
    /// Leaf first. Addresses of which only wrappers are left are not in it.
    pub locations: Vec<Arc<Location>>,
    /// It reached a function that stacks begin with. False for stacks cut by a depth limit, or
    /// that left Go code on the way.
    pub complete: bool,
}

/// Names addresses of one process. Keeps what it looked up.
#[derive(Debug)]
pub struct Symbolizer {
    mapped: Vec<Mapped>,
    cache: HashMap<Lookup, Resolved>,
}

#[derive(Debug)]
struct Mapped {
    entry: MapEntry,
    binary: Option<Arc<Binary>>,
}

/// How an address is looked up: the same one gives different frames as a leaf and as a return
/// address, and below a panic.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Lookup {
    addr: u64,
    exact: bool,
    hide_wrapper: bool,
}

#[derive(Clone, Debug)]
struct Resolved {
    /// `None` where no frame is to be shown.
    location: Option<Arc<Location>>,
    /// The outermost function there: it decides how its caller is looked up.
    outermost: FuncId,
    ends_stack: bool,
}

impl Symbolizer {
    /// `open` is asked for the binary behind each executable mapping with a file; `None` leaves its
    /// addresses unnamed. The same path is asked for once.
    pub fn new(maps: &[MapEntry], mut open: impl FnMut(&MapEntry) -> Option<Binary>) -> Symbolizer {
        let mut opened: HashMap<&str, Option<Arc<Binary>>> = HashMap::new();
        let mut mapped = Vec::new();
        for entry in maps.iter().filter(|e| e.executable) {
            let binary = if entry.has_file() {
                let binary = opened.entry(&entry.path);
                binary.or_insert_with(|| open(entry).map(Arc::new)).clone()
            } else {
                None
            };
            mapped.push(Mapped {
                entry: entry.clone(),
                binary,
            });
        }
        mapped.sort_by_key(|m| m.entry.mapping.start);
        Symbolizer {
            mapped,
            cache: HashMap::new(),
        }
    }

    /// Whether any mapping is a Go binary.
    pub fn has_go(&self) -> bool {
        self.mapped.iter().any(|m| m.binary.is_some())
    }

    /// The executable mappings, in the order that [`Location::mapping`] counts.
    pub fn mapped_files(&self) -> Vec<MappedFile> {
        let files = self.mapped.iter().map(|m| MappedFile {
            start: m.entry.mapping.start,
            end: m.entry.mapping.end,
            offset: m.entry.mapping.offset,
            path: m.entry.path.clone(),
            build_id: m.binary.as_deref().map(build_id).unwrap_or_default(),
        });
        files.collect()
    }

    /// Where Go code is mapped.
    pub fn go_code(&self) -> Vec<std::ops::Range<u64>> {
        let code = self.mapped.iter().filter_map(|mapped| {
            let binary = mapped.binary.as_deref()?;
            let (text, mapping) = (binary.text_range(), &mapped.entry.mapping);
            let start = binary.file_to_runtime(text.start, mapping)?;
            // The end may be that of the mapping, where nothing is.
            let last = binary.file_to_runtime(text.end.checked_sub(1)?, mapping)?;
            Some(start..last + 1)
        });
        code.collect()
    }

    /// Of the Go function at `pc`: see [`gosym::Binary::sp_delta`].
    pub fn sp_delta(&self, pc: u64) -> Option<(gosym::Arch, i32)> {
        let mapped = &self.mapped[self.mapping_of(pc)?];
        let binary = mapped.binary.as_deref()?;
        let pc = binary.runtime_to_file(pc, &mapped.entry.mapping)?;
        Some((binary.arch(), binary.sp_delta(pc)?))
    }

    /// Names a stack: the leaf's PC first, then return addresses.
    pub fn stack(&mut self, raw: &[u64]) -> Stack {
        let mut locations = Vec::with_capacity(raw.len());
        let mut callee = FuncId::Normal;
        for (depth, &addr) in raw.iter().enumerate() {
            let resolved = self.resolve(Lookup {
                addr,
                exact: depth == 0 || callee.is_injected_call(),
                hide_wrapper: callee.hides_calling_wrapper(),
            });
            locations.extend(resolved.location);
            if resolved.ends_stack {
                return Stack {
                    locations,
                    complete: true,
                };
            }
            callee = resolved.outermost;
        }
        Stack {
            locations,
            complete: false,
        }
    }

    fn resolve(&mut self, lookup: Lookup) -> Resolved {
        if let Some(found) = self.cache.get(&lookup) {
            return found.clone();
        }
        let resolved = self.look_up(lookup);
        self.cache.insert(lookup, resolved.clone());
        resolved
    }

    fn look_up(&self, lookup: Lookup) -> Resolved {
        let unnamed = |mapping| Resolved {
            location: Some(Arc::new(Location {
                address: lookup.addr.wrapping_sub(u64::from(!lookup.exact)),
                mapping,
                frames: Vec::new(),
            })),
            outermost: FuncId::Normal,
            ends_stack: false,
        };
        let Some(index) = self.mapping_of(lookup.addr) else {
            return unnamed(None);
        };
        let mapped = &self.mapped[index];
        let found = mapped.binary.as_deref().and_then(|binary| {
            let pc = binary.runtime_to_file(lookup.addr, &mapped.entry.mapping)?;
            Some((binary, pc, binary.function_at(pc)?))
        });
        let Some((binary, pc, function)) = found else {
            return unnamed(Some(index));
        };
        // A return address follows the call, and the call is what is meant. At a function's entry
        // there is no call before it (`symPC` in runtime/traceback.go).
        let back = u64::from(!lookup.exact && pc > function.entry);
        let mut callee_hides = lookup.hide_wrapper;
        let mut frames = Vec::new();
        for frame in binary.frames_at(pc - back) {
            let hides = frame.id.hides_calling_wrapper();
            let elided = frame.wrapper && callee_hides;
            // runtime/pprof leaves goexit out of its profiles as well.
            if !elided && frame.id != FuncId::Goexit {
                frames.push(Frame {
                    function: frame.function,
                    file: frame.file,
                    line: frame.line,
                    start_line: frame.start_line,
                });
            }
            callee_hides = hides;
        }
        let location = (!frames.is_empty()).then(|| {
            Arc::new(Location {
                address: lookup.addr - back,
                mapping: Some(index),
                frames,
            })
        });
        Resolved {
            location,
            outermost: function.id,
            ends_stack: function.is_top_frame(),
        }
    }

    fn mapping_of(&self, addr: u64) -> Option<usize> {
        let after = self
            .mapped
            .partition_point(|m| m.entry.mapping.start <= addr);
        let index = after.checked_sub(1)?;
        (addr < self.mapped[index].entry.mapping.end).then_some(index)
    }
}

fn build_id(binary: &Binary) -> String {
    match binary.gnu_build_id() {
        Some(id) => id.iter().map(|b| format!("{b:02x}")).collect(),
        None => binary.go_build_id().unwrap_or_default().to_owned(),
    }
}
