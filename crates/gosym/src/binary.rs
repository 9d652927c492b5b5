use std::borrow::Cow;
use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek};
use std::path::Path;
use std::sync::OnceLock;

use crate::image::Layout;
use crate::moduledata::{self, ModuleData};
use crate::pclntab::{self, Pclntab, RawFunc};
use crate::{Arch, Error, Frame, FuncId, GoVersion, buildinfo, inline};

/// A Go binary, ready for look-ups. Holds its function table, and the inline trees where they lie
/// outside it (before Go 1.26), not the whole file.
#[derive(Debug)]
pub struct Binary {
    layout: Layout,
    tab: Pclntab,
    tab_addr: u64,
    module: ModuleData,
    /// `go:func.*` when it is not inside the pclntab.
    go_func: Option<Vec<u8>>,
    version: Option<String>,
    main_module: Option<String>,
    main_package: Option<String>,
    gnu_build_id: Option<Vec<u8>>,
    go_build_id: Option<String>,
    ids: OnceLock<&'static [FuncId]>,
}

/// One function with code of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function<'a> {
    /// The linker's name.
    pub name: Cow<'a, str>,
    /// Address of its first instruction.
    pub entry: u64,
    /// Address of the next function's first instruction: padding is counted in.
    pub end: u64,
    /// Line of the `func` keyword, or of TEXT in assembly; 0 where unknown.
    pub start_line: u32,
    pub id: FuncId,
    /// Bits of `abi.FuncFlag`; see [`Function::is_top_frame`] and its siblings.
    pub flag: u8,
}

impl Function<'_> {
    /// A stack ends here (`goexit`, `mstart`, `rt0_go`, …).
    pub fn is_top_frame(&self) -> bool {
        self.flag & 1 != 0
    }

    /// Writes the stack pointer in ways that pcsp cannot describe.
    pub fn writes_sp(&self) -> bool {
        self.flag & 2 != 0
    }

    /// Written in assembly.
    pub fn is_asm(&self) -> bool {
        self.flag & 4 != 0
    }
}

/// Where a running process has mapped a part of a file: one line of `/proc/PID/maps`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    pub start: u64,
    pub end: u64,
    /// File offset of `start`.
    pub offset: u64,
}

impl Binary {
    /// Reads the tables of the file at `path`.
    pub fn open(path: impl AsRef<Path>) -> Result<Binary, Error> {
        let path = path.as_ref();
        let failed = |source| Error::Open {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(failed)?;
        if !file.metadata().map_err(failed)?.is_file() {
            return Err(failed(std::io::Error::other("not a regular file")));
        }
        Binary::read(file)
    }

    /// Reads the tables of an open file.
    pub fn read(file: File) -> Result<Binary, Error> {
        Binary::from_reader(BufReader::new(file))
    }

    /// Reads the tables of a binary that is in memory.
    pub fn parse(bytes: &[u8]) -> Result<Binary, Error> {
        Binary::from_reader(Cursor::new(bytes))
    }

    fn from_reader<R: Read + Seek>(mut reader: R) -> Result<Binary, Error> {
        let layout = Layout::parse(&mut reader)?;
        let r = &mut reader;
        let info = layout.section(".go.buildinfo").and_then(|s| {
            let bytes = layout.read(r, s.offset, s.size.min(1 << 20)).ok()?;
            Some(buildinfo::texts(&bytes))
        });
        let buildinfo::Texts {
            version,
            module: main_module,
            package: main_package,
        } = info.unwrap_or_default();
        let (tab_addr, tab) = find_pclntab(&layout, r)?;
        let Some(module) = moduledata::find(&layout, r, &tab, tab_addr)? else {
            return Err(Error::NoModuleData {
                version: version.unwrap_or_else(|| "an unknown Go version".to_owned()),
            });
        };
        let inside = (tab_addr..tab_addr.saturating_add(tab.len() as u64)).contains(&module.gofunc);
        let go_func = match layout.tail_of(module.gofunc) {
            Some((offset, len)) if !inside => Some(layout.read(r, offset, len)?),
            _ => None,
        };
        let go_build_id = layout.note(r, b"Go", 4);
        Ok(Binary {
            gnu_build_id: layout.note(r, b"GNU", 3),
            go_build_id: go_build_id.and_then(|id| String::from_utf8(id).ok()),
            ids: OnceLock::new(),
            layout,
            tab,
            tab_addr,
            module,
            go_func,
            version,
            main_module,
            main_package,
        })
    }

    /// All functions, by address. Includes runtime and assembly functions, not C code.
    pub fn functions(&self) -> impl Iterator<Item = Function<'_>> {
        (0..self.tab.nfunc).filter_map(|i| Some(self.function(self.tab.func(i)?)))
    }

    /// The names of all functions that are in the program's code, as the linker spells them: also of those
    /// that were inlined wherever they are called. Not sorted.
    pub fn names(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.tab.names()
    }

    /// The path of the module that the main package belongs to; `None` when the build information was
    /// removed, or knows of no module.
    pub fn main_module(&self) -> Option<&str> {
        self.main_module.as_deref()
    }

    /// The import path of the main package; `command-line-arguments` when it was built from single files,
    /// `None` when the build information was removed.
    pub fn main_package(&self) -> Option<&str> {
        self.main_package.as_deref()
    }

    /// The function whose code or trailing padding holds `pc`.
    pub fn function_at(&self, pc: u64) -> Option<Function<'_>> {
        self.raw_at(pc).map(|(_, func)| self.function(func))
    }

    /// Whether a function's code or trailing padding holds `pc`.
    pub fn is_code(&self, pc: u64) -> bool {
        self.raw_at(pc).is_some()
    }

    /// File and line of the instruction at `pc`. For a return address pass it less one.
    pub fn file_line(&self, pc: u64) -> Option<(String, u32)> {
        let (off, func) = self.raw_at(pc)?;
        let (file, line) = self.tab.file_line(&func, off)?;
        Some((file.into_owned(), line))
    }

    /// All calls at `pc`, innermost first, the function that owns the code last. Empty when `pc`
    /// is in no Go function. For a return address pass it less one.
    pub fn frames_at(&self, pc: u64) -> Vec<Frame> {
        let Some((off, func)) = self.raw_at(pc) else {
            return Vec::new();
        };
        inline::frames(&self.tab, self.go_func(), self.ids(), &func, off)
    }

    /// How far the stack pointer is below its value at the function's entry (`pcsp`), in bytes: 0
    /// at entry and in functions without a frame. The return address lies there, on amd64.
    /// `None` when `pc` is in no Go function or its function keeps no table.
    pub fn sp_delta(&self, pc: u64) -> Option<i32> {
        let (off, func) = self.raw_at(pc)?;
        self.tab.pc_value(&func, func.pcsp, off)
    }

    /// Whether the chain of frame pointers skips this function's caller at `pc` although the frame is
    /// made. So Go 1.20 and its forerunners did on amd64: `SUBQ $n, SP; MOVQ BP, n-8(SP); LEAQ n-8(SP), BP`
    /// in the beginning, and `MOVQ n-8(SP), BP; ADDQ $n, SP` in the end (`cmd/internal/obj/x86/obj6.go`).
    /// The instructions are told by their lengths: small offsets make them shorter.
    pub fn frame_pointer_gap(&self, pc: u64) -> bool {
        let newest = GoVersion {
            major: 1,
            minor: 20,
        };
        if self.arch() != Arch::Amd64 || self.go_version().is_none_or(|version| version > newest) {
            return false;
        }
        let run = self.raw_at(pc).and_then(|(off, func)| {
            let run = self.tab.pc_run(&func, func.pcsp, off)?;
            Some((u64::from(off), run))
        });
        run.is_some_and(|(off, run)| {
            let making = run.before == Some(0) && off - run.start <= 8;
            let leaving = run.after == Some(0) && matches!(run.end - off, 4 | 7);
            run.value > 0 && (making || leaving)
        })
    }

    /// Address range of Go code.
    pub fn text_range(&self) -> std::ops::Range<u64> {
        self.module.text..self.module.etext
    }

    /// `go1.26.8`; `None` when the build information was removed.
    pub fn go_version_text(&self) -> Option<&str> {
        self.version.as_deref()
    }

    pub fn go_version(&self) -> Option<GoVersion> {
        self.version.as_deref().and_then(GoVersion::parse)
    }

    pub fn arch(&self) -> Arch {
        self.layout.arch
    }

    /// Linked to run at any address (PIE or shared object).
    pub fn is_pie(&self) -> bool {
        self.layout.pie
    }

    /// The GNU build id, as bytes.
    pub fn gnu_build_id(&self) -> Option<&[u8]> {
        self.gnu_build_id.as_deref()
    }

    /// What `go tool buildid` prints.
    pub fn go_build_id(&self) -> Option<&str> {
        self.go_build_id.as_deref()
    }

    pub fn vaddr_of_file_offset(&self, offset: u64) -> Option<u64> {
        self.layout.vaddr_of_file_offset(offset)
    }

    pub fn file_offset_of_vaddr(&self, vaddr: u64) -> Option<u64> {
        self.layout.file_offset_of_vaddr(vaddr)
    }

    /// An address of a running process, as an address of this file. `None` outside `mapping`.
    pub fn runtime_to_file(&self, addr: u64, mapping: &Mapping) -> Option<u64> {
        if addr >= mapping.end {
            return None;
        }
        let within = addr.checked_sub(mapping.start)?;
        self.vaddr_of_file_offset(mapping.offset.checked_add(within)?)
    }

    /// The inverse of [`Binary::runtime_to_file`].
    pub fn file_to_runtime(&self, vaddr: u64, mapping: &Mapping) -> Option<u64> {
        let within = self
            .file_offset_of_vaddr(vaddr)?
            .checked_sub(mapping.offset)?;
        let addr = mapping.start.checked_add(within)?;
        (addr < mapping.end).then_some(addr)
    }

    fn raw_at(&self, pc: u64) -> Option<(u32, RawFunc)> {
        let off = u32::try_from(pc.checked_sub(self.module.text)?).ok()?;
        Some((off, self.tab.func(self.tab.find(off)?)?))
    }

    fn function(&self, func: RawFunc) -> Function<'_> {
        let id = self.ids().get(usize::from(func.func_id));
        Function {
            name: self.tab.name(func.name_off),
            entry: self.module.text.wrapping_add(u64::from(func.entry)),
            end: self.module.text.wrapping_add(u64::from(func.end)),
            start_line: u32::try_from(func.start_line).unwrap_or(0),
            id: id.copied().unwrap_or(FuncId::Unknown),
            flag: func.flag,
        }
    }

    fn go_func(&self) -> &[u8] {
        match &self.go_func {
            Some(bytes) => bytes,
            None => usize::try_from(self.module.gofunc.wrapping_sub(self.tab_addr))
                .ok()
                .and_then(|at| self.tab.tail(at))
                .unwrap_or(&[]),
        }
    }

    fn ids(&self) -> &'static [FuncId] {
        self.ids.get_or_init(|| match self.go_version() {
            Some(version) => FuncId::table(version),
            None => {
                let raw = (0..self.tab.nfunc).filter_map(|i| self.tab.func(i));
                FuncId::table_ending_at(raw.map(|f| f.func_id).max().unwrap_or(0))
            }
        })
    }
}

/// `.gopclntab` by its section names; after an external linker has merged it into another section,
/// or without section headers, by its header.
fn find_pclntab<R: Read + Seek>(layout: &Layout, r: &mut R) -> Result<(u64, Pclntab), Error> {
    let quantum = match layout.arch {
        Arch::Amd64 => 1,
        Arch::Arm64 => 4,
    };
    for name in [".gopclntab", ".data.rel.ro.gopclntab"] {
        if let Some(section) = layout.section(name) {
            let data = layout.read(r, section.offset, section.size)?;
            return Ok((section.vaddr, Pclntab::parse(data, quantum)?));
        }
    }
    let mut pattern = [0, 0, 0, 0, 0, 0, quantum, 8];
    pattern[..4].copy_from_slice(&pclntab::MAGIC_1_20.to_le_bytes());
    let places: Vec<(u64, u64, u64)> = if layout.sections.is_empty() {
        let data = layout.segments.iter().filter(|s| !s.executable);
        data.map(|s| (s.vaddr, s.offset, s.filesz)).collect()
    } else {
        let names = [".data.rel.ro", ".rodata"];
        let found = names.iter().filter_map(|name| layout.section(name));
        found.map(|s| (s.vaddr, s.offset, s.size)).collect()
    };
    for (vaddr, offset, len) in places {
        let mut found = Vec::new();
        layout.scan(r, vaddr, offset, len, |base, piece| {
            let words = piece.as_chunks::<8>().0.iter().enumerate();
            let hits = words.filter(|(_, word)| **word == pattern);
            found.extend(hits.map(|(i, _)| base.wrapping_add(8 * i as u64)).take(16));
        })?;
        for at in found.into_iter().take(16) {
            let skip = at.wrapping_sub(vaddr);
            let data = layout.read(r, offset.saturating_add(skip), len.saturating_sub(skip))?;
            if let Ok(tab) = Pclntab::parse(data, quantum) {
                return Ok((at, tab));
            }
        }
    }
    Err(Error::NotGo)
}
