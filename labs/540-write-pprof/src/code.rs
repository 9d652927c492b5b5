//! What the addresses of one Go process mean.

use std::fs;

use anyhow::{Context as _, ensure};
use goprof::{MapEntry, MappedFile};
use gosym::{Binary, FuncId};

/// The program that a process runs, and where it lies in the process's memory.
pub struct Code {
    binary: Binary,
    /// The process's executable mappings, by address.
    mapped: Vec<MapEntry>,
    path: String,
}

impl Code {
    /// Reads the process's memory map and the Go tables of its program.
    pub fn of_process(pid: u32) -> anyhow::Result<Self> {
        let maps = fs::read_to_string(format!("/proc/{pid}/maps")).with_context(|| {
            format!("cannot read the memory map of process {pid}: is it running, and yours?")
        })?;
        let exe = format!("/proc/{pid}/exe");
        let path =
            fs::read_link(&exe).with_context(|| format!("cannot tell what process {pid} runs"))?;
        let path = path
            .to_string_lossy()
            .trim_end_matches(" (deleted)")
            .to_owned();
        let binary = Binary::open(&exe)
            .with_context(|| format!("process {pid} is no Go program that can be read"))?;
        let mut mapped = goprof::parse_maps(&maps)?;
        mapped.retain(|entry| entry.executable);
        ensure!(
            mapped.iter().any(|entry| entry.path == path),
            "process {pid} has no code of {path} in its memory"
        );
        Ok(Self {
            binary,
            mapped,
            path,
        })
    }

    /// The calls that are under way at the instruction at `pc`, innermost first: more than one
    /// where the compiler inlined, none in code that is not Go's.
    ///
    /// Left out, as Go leaves them out of its own profiles: wrappers made by the compiler, and
    /// `runtime.goexit`, which every goroutine's stack begins with.
    pub fn calls_at(&self, pc: u64) -> Vec<gosym::Frame> {
        let Some(entry) = self.mapping_of(pc).map(|index| &self.mapped[index]) else {
            return Vec::new();
        };
        if entry.path != self.path {
            return Vec::new();
        }
        let Some(pc) = self.binary.runtime_to_file(pc, &entry.mapping) else {
            return Vec::new();
        };
        let mut calls = self.binary.frames_at(pc);
        calls.retain(|call| !call.wrapper && call.id != FuncId::Goexit);
        calls
    }

    /// The mapping that `pc` lies in, as an index into [`Code::files`].
    pub fn mapping_of(&self, pc: u64) -> Option<usize> {
        self.mapped
            .iter()
            .position(|entry| (entry.mapping.start..entry.mapping.end).contains(&pc))
    }

    /// The process's executable mappings.
    pub fn files(&self) -> Vec<MappedFile> {
        let file = |entry: &MapEntry| MappedFile {
            start: entry.mapping.start,
            end: entry.mapping.end,
            offset: entry.mapping.offset,
            path: entry.path.clone(),
            build_id: match self.binary.go_build_id() {
                Some(id) if entry.path == self.path => id.to_owned(),
                _ => String::new(),
            },
        };
        self.mapped.iter().map(file).collect()
    }
}
