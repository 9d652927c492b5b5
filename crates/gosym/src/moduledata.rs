//! `runtime.firstmoduledata`: the text start that function entries are relative to, and the base
//! of `go:func.*`, where inline trees lie. It has a section of its own, `.go.module`, since Go
//! 1.26; before that it is somewhere in a data section and found by its first word, which points
//! to the pclntab.

use std::io::{Read, Seek};

use crate::Error;
use crate::bytes::u64_at;
use crate::image::Layout;
use crate::pclntab::Pclntab;

/// Offsets in `moduledata`, `runtime/symtab.go`: the same from Go 1.20 to 1.26 on all 64-bit
/// machines, as every field before them is a word or a slice of three.
const PC_HEADER_AT: usize = 0;
const FTAB_LEN_AT: usize = 136;
const MIN_PC_AT: usize = 160;
const MAX_PC_AT: usize = 168;
const TEXT_AT: usize = 176;
const ETEXT_AT: usize = 184;
const GOFUNC_AT: usize = 320;
const LEN: u64 = 328;

/// Places that happen to hold the pclntab's address; more than this is not a sound binary.
const MAX_CANDIDATES: usize = 4096;

#[derive(Clone, Copy, Debug)]
pub(crate) struct ModuleData {
    pub text: u64,
    pub etext: u64,
    pub gofunc: u64,
}

const SECTIONS: [&str; 5] = [
    ".go.module",
    ".noptrdata",
    ".data.rel.ro",
    ".data",
    ".data.rel.ro.local",
];

pub(crate) fn find<R: Read + Seek>(
    layout: &Layout,
    reader: &mut R,
    tab: &Pclntab,
    tab_addr: u64,
) -> Result<Option<ModuleData>, Error> {
    let mut candidates = Vec::new();
    for (vaddr, offset, len) in places(layout) {
        layout.scan(reader, vaddr, offset, len, |base, piece| {
            for (index, word) in piece.as_chunks::<8>().0.iter().enumerate() {
                if candidates.len() < MAX_CANDIDATES && u64_at(word, 0) == Some(tab_addr) {
                    candidates.push(base.wrapping_add(8 * index as u64));
                }
            }
        })?;
    }
    let relocated =
        layout.relative_relocations(reader, MAX_CANDIDATES, |_, addend| addend == tab_addr)?;
    candidates.extend(relocated.iter().map(|(at, _)| *at));
    // Each candidate costs a pass over the relocations only if its own words do not fit.
    for at in &candidates {
        let bytes = bytes_at(layout, reader, *at)?;
        if let Some(found) = check(layout, tab, tab_addr, &bytes) {
            return Ok(Some(found));
        }
    }
    for (at, _) in relocated.iter().take(16) {
        let mut bytes = bytes_at(layout, reader, *at)?;
        let range = *at..at.saturating_add(LEN);
        let inside = |addr, _| range.contains(&addr);
        for (addr, value) in layout.relative_relocations(reader, LEN as usize / 8, inside)? {
            let from = (addr - at) as usize;
            if let Some(word) = bytes.get_mut(from..from + 8) {
                word.copy_from_slice(&value.to_le_bytes());
            }
        }
        if let Some(found) = check(layout, tab, tab_addr, &bytes) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Address, file offset and length of where to look.
fn places(layout: &Layout) -> Vec<(u64, u64, u64)> {
    if layout.sections.is_empty() {
        let writable = layout.segments.iter().filter(|s| s.writable);
        return writable.map(|s| (s.vaddr, s.offset, s.filesz)).collect();
    }
    let named = SECTIONS.iter().filter_map(|name| layout.section(name));
    named.map(|s| (s.vaddr, s.offset, s.size)).collect()
}

fn bytes_at<R: Read + Seek>(layout: &Layout, reader: &mut R, at: u64) -> Result<Vec<u8>, Error> {
    match layout.file_offset_of_vaddr(at) {
        Some(offset) => layout.read(reader, offset, LEN),
        None => Ok(Vec::new()),
    }
}

/// What `runtime.moduledataverify1` demands, and that the addresses lie where they must.
fn check(layout: &Layout, tab: &Pclntab, tab_addr: u64, bytes: &[u8]) -> Option<ModuleData> {
    let word = |at| u64_at(bytes, at);
    let (text, etext, gofunc) = (word(TEXT_AT)?, word(ETEXT_AT)?, word(GOFUNC_AT)?);
    let first = text.checked_add(u64::from(tab.entry_off(0)?))?;
    let last = text.checked_add(u64::from(tab.entry_off(tab.nfunc)?))?;
    let fits = word(PC_HEADER_AT)? == tab_addr
        && word(FTAB_LEN_AT)? == tab.nfunc as u64 + 1
        && word(MIN_PC_AT)? == first
        && word(MAX_PC_AT)? == last
        && text < etext
        && layout.is_code(text)
        && layout.tail_of(gofunc).is_some();
    fits.then_some(ModuleData {
        text,
        etext,
        gofunc,
    })
}
