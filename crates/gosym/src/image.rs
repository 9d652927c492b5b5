//! The ELF side: where sections and segments lie, how addresses map to file offsets, relative
//! relocations and build ids. Only headers are kept; contents are read on demand.

use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;

use object::elf::{self, FileHeader64};
use object::read::ReadCache;
use object::read::elf::{FileHeader as _, ProgramHeader as _, SectionHeader as _};
use object::{LittleEndian, ReadRef as _};

use crate::Error;
use crate::bytes::{u32_at, u64_at};

/// The processor a binary is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arch {
    Amd64,
    Arm64,
}

#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub vaddr: u64,
    pub offset: u64,
    pub filesz: u64,
    pub executable: bool,
    pub writable: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub name: String,
    pub vaddr: u64,
    pub offset: u64,
    pub size: u64,
}

#[derive(Debug)]
pub(crate) struct Layout {
    pub arch: Arch,
    pub pie: bool,
    /// PT_LOAD only.
    pub segments: Vec<Segment>,
    /// Those with bytes in the file.
    pub sections: Vec<Section>,
    notes: Vec<Range<u64>>,
    file_len: u64,
}

/// A section name longer than this is not one that we look for.
const MAX_NAME: usize = 256;
const MAX_NOTE: u64 = 64 << 10;
/// Contents are scanned in pieces of this size, so that a large data section costs no memory.
const CHUNK: u64 = 1 << 20;

impl Layout {
    pub fn parse<R: Read + Seek>(reader: R) -> Result<Layout, Error> {
        let cache = ReadCache::new(reader);
        let data = &cache;
        let ident = data.read_bytes_at(0, 16).map_err(|()| Error::NotElf)?;
        if !ident.starts_with(b"\x7fELF") {
            return Err(Error::NotElf);
        }
        if ident[4] != elf::ELFCLASS64.0 || ident[5] != elf::ELFDATA2LSB.0 {
            let what = format!(
                "{}-bit {}-endian",
                if ident[4] == elf::ELFCLASS64.0 {
                    64
                } else {
                    32
                },
                if ident[5] == elf::ELFDATA2LSB.0 {
                    "little"
                } else {
                    "big"
                },
            );
            return Err(Error::Unsupported(what));
        }
        let endian = LittleEndian;
        let header = FileHeader64::<LittleEndian>::parse(data).map_err(|_| Error::NotElf)?;
        let arch = match header.e_machine(endian) {
            elf::EM_X86_64 => Arch::Amd64,
            elf::EM_AARCH64 => Arch::Arm64,
            other => {
                return Err(Error::Unsupported(format!("for machine type {}", other.0)));
            }
        };
        let mut layout = Layout {
            arch,
            pie: header.e_type(endian) == elf::ET_DYN,
            segments: Vec::new(),
            sections: Vec::new(),
            notes: Vec::new(),
            file_len: data.len().map_err(|()| Error::NotElf)?,
        };
        for segment in header.program_headers(endian, data).unwrap_or(&[]) {
            let (offset, filesz) = segment.file_range(endian);
            match segment.p_type(endian) {
                elf::PT_LOAD => layout.segments.push(Segment {
                    vaddr: segment.p_vaddr(endian),
                    offset,
                    filesz,
                    executable: segment.p_flags(endian) & elf::PF_X == elf::PF_X,
                    writable: segment.p_flags(endian) & elf::PF_W == elf::PF_W,
                }),
                elf::PT_NOTE => layout.notes.push(offset..offset.saturating_add(filesz)),
                _ => {}
            }
        }
        // Damaged or removed section headers are no reason to give up: segments are enough.
        if let Ok(sections) = header.sections(endian, data) {
            for section in sections.iter() {
                let Some((offset, size)) = section.file_range(endian) else {
                    continue;
                };
                let name = sections.section_name(endian, section).unwrap_or_default();
                let name = &name[..name.len().min(MAX_NAME)];
                if section.sh_type(endian) == elf::SHT_NOTE {
                    layout.notes.push(offset..offset.saturating_add(size));
                }
                layout.sections.push(Section {
                    name: String::from_utf8_lossy(name).into_owned(),
                    vaddr: section.sh_addr(endian),
                    offset,
                    size,
                });
            }
        }
        Ok(layout)
    }

    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|s| s.name == name)
    }

    /// Executable segments first: one page of the file can be mapped by two segments, and it is
    /// code that callers ask about.
    fn by_preference(&self) -> impl Iterator<Item = &Segment> {
        let code = self.segments.iter().filter(|s| s.executable);
        code.chain(self.segments.iter().filter(|s| !s.executable))
    }

    pub fn vaddr_of_file_offset(&self, offset: u64) -> Option<u64> {
        self.by_preference().find_map(|s| {
            let within = offset.checked_sub(s.offset).filter(|d| *d < s.filesz)?;
            s.vaddr.checked_add(within)
        })
    }

    pub fn file_offset_of_vaddr(&self, vaddr: u64) -> Option<u64> {
        self.by_preference().find_map(|s| {
            let within = vaddr.checked_sub(s.vaddr).filter(|d| *d < s.filesz)?;
            s.offset.checked_add(within)
        })
    }

    pub fn is_code(&self, vaddr: u64) -> bool {
        self.segments
            .iter()
            .any(|s| s.executable && vaddr.wrapping_sub(s.vaddr) < s.filesz)
    }

    /// From `vaddr` to the end of its section (of its segment where there are no sections):
    /// file offset and length.
    pub fn tail_of(&self, vaddr: u64) -> Option<(u64, u64)> {
        let holds = |start: u64, size: u64| vaddr.checked_sub(start).filter(|d| *d < size);
        let section = self
            .sections
            .iter()
            .filter(|s| s.vaddr != 0)
            .find_map(|s| holds(s.vaddr, s.size).map(|d| (s.offset, d, s.size)));
        let (offset, within, size) = section.or_else(|| {
            self.by_preference()
                .find_map(|s| holds(s.vaddr, s.filesz).map(|d| (s.offset, d, s.filesz)))
        })?;
        Some((offset.checked_add(within)?, size - within))
    }

    /// Reads part of the file; what lies beyond its end is left out.
    pub fn read<R: Read + Seek>(
        &self,
        reader: &mut R,
        offset: u64,
        len: u64,
    ) -> Result<Vec<u8>, Error> {
        let len = len.min(self.file_len.saturating_sub(offset));
        let len = usize::try_from(len).map_err(|_| Error::Damaged("a section is too large"))?;
        let mut bytes = vec![0; len];
        reader.seek(SeekFrom::Start(offset))?;
        reader.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Calls `visit(address, bytes)` for consecutive pieces of `range` of the file, whose first
    /// byte is at `vaddr`. Pieces start 8-aligned relative to it and are a multiple of 8 long.
    pub fn scan<R: Read + Seek>(
        &self,
        reader: &mut R,
        vaddr: u64,
        offset: u64,
        len: u64,
        mut visit: impl FnMut(u64, &[u8]),
    ) -> Result<(), Error> {
        let len = len.min(self.file_len.saturating_sub(offset));
        let mut done = 0;
        while done < len {
            let piece = self.read(reader, offset + done, CHUNK.min(len - done))?;
            visit(vaddr.wrapping_add(done), &piece);
            done += CHUNK;
        }
        Ok(())
    }

    /// Relative relocations (`*base + addend` stored at an address) that `keep(address, addend)`
    /// picks, at most `limit`. External linkers leave the word itself zero in PIE binaries and
    /// keep its value only here.
    pub fn relative_relocations<R: Read + Seek>(
        &self,
        reader: &mut R,
        limit: usize,
        keep: impl Fn(u64, u64) -> bool,
    ) -> Result<Vec<(u64, u64)>, Error> {
        const RELA_LEN: usize = 24;
        let relative = match self.arch {
            Arch::Amd64 => elf::R_X86_64_RELATIVE,
            Arch::Arm64 => elf::R_AARCH64_RELATIVE,
        };
        let mut found = Vec::new();
        let Some(section) = self.section(".rela.dyn") else {
            return Ok(found);
        };
        // 24 does not divide the chunk size: carry the torn entry over.
        let mut rest: Vec<u8> = Vec::new();
        self.scan(reader, 0, section.offset, section.size, |_, piece| {
            rest.extend_from_slice(piece);
            let whole = rest.len() - rest.len() % RELA_LEN;
            for entry in rest[..whole].as_chunks::<RELA_LEN>().0 {
                let (Some(at), Some(info), Some(addend)) =
                    (u64_at(entry, 0), u32_at(entry, 8), u64_at(entry, 16))
                else {
                    continue;
                };
                if info == relative.0 && keep(at, addend) && found.len() < limit {
                    found.push((at, addend));
                }
            }
            rest.drain(..whole);
        })?;
        Ok(found)
    }

    /// The description of the first note with this owner and type, from `PT_NOTE` segments and
    /// note sections.
    pub fn note<R: Read + Seek>(&self, reader: &mut R, owner: &[u8], kind: u32) -> Option<Vec<u8>> {
        self.notes.iter().find_map(|range| {
            let len = range.end.saturating_sub(range.start).min(MAX_NOTE);
            let bytes = self.read(reader, range.start, len).ok()?;
            find_note(&bytes, owner, kind)
        })
    }
}

fn find_note(bytes: &[u8], owner: &[u8], kind: u32) -> Option<Vec<u8>> {
    let padded = |len: usize| Some(len.checked_add(3)? & !3);
    let mut at = 0usize;
    loop {
        let name_len = u32_at(bytes, at)? as usize;
        let desc_len = u32_at(bytes, at + 4)? as usize;
        let found = u32_at(bytes, at + 8)?;
        let name_at = at + 12;
        let desc_at = name_at.checked_add(padded(name_len)?)?;
        let name = bytes.get(name_at..name_at.checked_add(name_len)?)?;
        let desc = bytes.get(desc_at..desc_at.checked_add(desc_len)?)?;
        if found == kind && name.split(|b| *b == 0).next() == Some(owner) {
            return Some(desc.to_vec());
        }
        at = desc_at.checked_add(padded(desc_len)?)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(owner: &[u8], kind: u32, desc: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for word in [owner.len() as u32, desc.len() as u32, kind] {
            out.extend(word.to_le_bytes());
        }
        for part in [owner, desc] {
            out.extend(part);
            out.resize(out.len().next_multiple_of(4), 0);
        }
        out
    }

    #[test]
    fn a_note_is_found_behind_others() {
        let mut bytes = note(b"GNU\0", 5, b"property");
        bytes.extend(note(b"Go\0\0", 4, b"abc/def"));
        assert_eq!(find_note(&bytes, b"Go", 4), Some(b"abc/def".to_vec()));
    }

    #[test]
    fn a_note_with_a_length_beyond_the_end_is_refused() {
        let mut bytes = note(b"Go\0\0", 4, b"abc");
        bytes[4] = 0xff;
        assert_eq!(find_note(&bytes, b"Go", 4), None);
    }
}
