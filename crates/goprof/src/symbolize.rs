//! Raw stacks to logical frames, told as the Go runtime tells its own (`runtime/traceback.go`):
//! return addresses looked up one byte earlier, inlined calls expanded, compiler-made wrappers
//! left out, nothing beyond the function that a stack begins with.

use std::sync::Arc;

use foldhash::HashMap;
use gosym::{Binary, FuncId};

use crate::kernel_symbols::is_of_kernel;
use crate::{Frame, KernelSymbols, Location, MapEntry, MappedFile};

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
    kernel: Option<Arc<KernelSymbols>>,
    /// By address, for each way to look it up.
    cache: [HashMap<u64, Resolved>; WAYS],
    /// What the cache shows, by number.
    shown: Vec<Arc<Location>>,
}

#[derive(Debug)]
struct Mapped {
    entry: MapEntry,
    binary: Option<Arc<Binary>>,
}

/// How an address is looked up: the same one gives different frames as a leaf and as a return
/// address, and below a panic.
#[derive(Clone, Copy, Debug)]
struct Lookup {
    addr: u64,
    exact: bool,
    hide_wrapper: bool,
}

impl Lookup {
    /// How, without the address: below [`WAYS`].
    fn way(self) -> usize {
        usize::from(self.exact) * 2 + usize::from(self.hide_wrapper)
    }
}

/// In how many ways an address is looked up.
const WAYS: usize = 4;

#[derive(Clone, Copy, Debug)]
struct Resolved {
    /// The number of its location among those shown; `None` where no frame is to be shown.
    shown: Option<u32>,
    /// The outermost function there: it decides how its caller is looked up.
    outermost: FuncId,
    ends_stack: bool,
}

/// What a look-up gives.
struct Found {
    /// `None` where no frame is to be shown.
    location: Option<Location>,
    outermost: FuncId,
    ends_stack: bool,
}

impl Symbolizer {
    /// `open` is asked for the binary behind each executable mapping with a file; `None` leaves its
    /// addresses unnamed. The same path is asked for once.
    pub fn new(
        maps: &[MapEntry],
        mut open: impl FnMut(&MapEntry) -> Option<Arc<Binary>>,
    ) -> Symbolizer {
        let mut opened: HashMap<&str, Option<Arc<Binary>>> = HashMap::default();
        let mut mapped = Vec::new();
        for entry in maps.iter().filter(|e| e.executable) {
            let binary = if entry.has_file() {
                let binary = opened.entry(&entry.path);
                binary.or_insert_with(|| open(entry)).clone()
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
            kernel: None,
            cache: Default::default(),
            shown: Vec::new(),
        }
    }

    /// Has it name the kernel's functions as well.
    pub fn with_kernel(mut self, symbols: Arc<KernelSymbols>) -> Self {
        self.kernel = Some(symbols);
        self
    }

    /// Whether it names the kernel's functions.
    pub fn knows_kernel(&self) -> bool {
        self.kernel.is_some()
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

    /// The first Go binary, by address: the program itself, where that is Go.
    #[cfg(feature = "sampler")]
    pub(crate) fn main(&self) -> Option<(&MapEntry, &Arc<Binary>)> {
        let mut mapped = self.mapped.iter();
        mapped.find_map(|mapped| Some((&mapped.entry, mapped.binary.as_ref()?)))
    }

    /// Where `other`, a process of the same program, has what this one has at `addr`.
    #[cfg(feature = "sampler")]
    pub(crate) fn translate(&self, addr: u64, other: &Symbolizer) -> Option<u64> {
        let from = &self.mapped[self.mapping_of(addr)?].entry;
        let offset = from.mapping.offset + (addr - from.mapping.start);
        other.mapped.iter().find_map(|Mapped { entry: to, .. }| {
            let same = (to.device, to.inode, &to.path) == (from.device, from.inode, &from.path);
            let there = to.mapping.start + offset.checked_sub(to.mapping.offset)?;
            (same && there < to.mapping.end).then_some(there)
        })
    }

    /// Of the Go function at `pc`: see [`gosym::Binary::sp_delta`].
    pub fn sp_delta(&self, pc: u64) -> Option<(gosym::Arch, i32)> {
        let (_, binary, pc) = self.place(pc)?;
        Some((binary.arch(), binary.sp_delta(pc)?))
    }

    /// Whether `pc` is in a Go function.
    pub(crate) fn is_go_code(&self, pc: u64) -> bool {
        self.place(pc)
            .is_some_and(|(_, binary, pc)| binary.is_code(pc))
    }

    /// See [`gosym::Binary::frame_pointer_gap`].
    pub(crate) fn frame_pointer_gap(&self, pc: u64) -> bool {
        self.place(pc)
            .is_some_and(|(_, binary, pc)| binary.frame_pointer_gap(pc))
    }

    /// The mapping that `addr` is in, by its place among them, the Go binary there, and the address in
    /// that.
    fn place(&self, addr: u64) -> Option<(usize, &Binary, u64)> {
        let index = self.mapping_of(addr)?;
        let mapped = &self.mapped[index];
        let binary = mapped.binary.as_deref()?;
        Some((
            index,
            binary,
            binary.runtime_to_file(addr, &mapped.entry.mapping)?,
        ))
    }

    /// Names a stack: the leaf's PC first, then return addresses; the kernel's part before the program's,
    /// whose own begins with a PC again.
    pub fn stack(&mut self, raw: &[u64]) -> Stack {
        let mut shown = Vec::with_capacity(raw.len());
        let complete = self.name(raw, &mut shown);
        let locations = shown
            .iter()
            .map(|number| Arc::clone(self.location(*number)));
        Stack {
            locations: locations.collect(),
            complete,
        }
    }

    /// The same by the numbers of its locations, added to `shown`; whether it is complete. The same address
    /// has the same number in each stack, but another address may have an equal location.
    pub(crate) fn name(&mut self, raw: &[u64], shown: &mut Vec<u32>) -> bool {
        let mut callee = FuncId::Normal;
        let mut above_kernel = true;
        for (depth, &addr) in raw.iter().enumerate() {
            // What the kernel was entered from was interrupted; nobody returns there.
            let interrupted = depth == 0 || above_kernel && !is_of_kernel(addr);
            above_kernel = is_of_kernel(addr);
            let resolved = self.resolve(Lookup {
                addr,
                exact: interrupted || callee.is_injected_call(),
                hide_wrapper: callee.hides_calling_wrapper(),
            });
            shown.extend(resolved.shown);
            if resolved.ends_stack {
                return true;
            }
            callee = resolved.outermost;
        }
        false
    }

    /// By its number.
    pub(crate) fn location(&self, number: u32) -> &Arc<Location> {
        &self.shown[number as usize]
    }

    fn resolve(&mut self, lookup: Lookup) -> Resolved {
        if let Some(found) = self.cache[lookup.way()].get(&lookup.addr) {
            return *found;
        }
        let found = self.look_up(lookup);
        let resolved = Resolved {
            shown: found.location.map(|location| {
                self.shown.push(Arc::new(location));
                self.shown.len() as u32 - 1
            }),
            outermost: found.outermost,
            ends_stack: found.ends_stack,
        };
        self.cache[lookup.way()].insert(lookup.addr, resolved);
        resolved
    }

    fn look_up(&self, lookup: Lookup) -> Found {
        let unnamed = |mapping| Found {
            location: Some(Location {
                address: lookup.addr.wrapping_sub(u64::from(!lookup.exact)),
                mapping,
                frames: Vec::new(),
            }),
            outermost: FuncId::Normal,
            ends_stack: false,
        };
        if is_of_kernel(lookup.addr) {
            let address = lookup.addr - u64::from(!lookup.exact);
            let name = self.kernel.as_ref().and_then(|kernel| kernel.name(address));
            return Found {
                location: Some(Location {
                    address,
                    mapping: None,
                    // As perf and the tools that draw tell the kernel's functions from others.
                    frames: vec![Frame {
                        function: format!("{}_[k]", name.unwrap_or("kernel")),
                        file: String::new(),
                        line: 0,
                        start_line: 0,
                    }],
                }),
                outermost: FuncId::Normal,
                ends_stack: false,
            };
        }
        let found = self
            .place(lookup.addr)
            .and_then(|(index, binary, pc)| Some((index, binary, pc, binary.function_at(pc)?)));
        let Some((index, binary, pc, function)) = found else {
            return unnamed(self.mapping_of(lookup.addr));
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
        let location = (!frames.is_empty()).then(|| Location {
            address: lookup.addr - back,
            mapping: Some(index),
            frames,
        });
        Found {
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

/// GNU's build id, else Go's.
pub(crate) fn build_id(binary: &Binary) -> String {
    match binary.gnu_build_id() {
        Some(id) => id.iter().map(|b| format!("{b:02x}")).collect(),
        None => binary.go_build_id().unwrap_or_default().to_owned(),
    }
}
