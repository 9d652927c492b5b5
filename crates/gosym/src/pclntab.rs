//! `.gopclntab`: a header, then five tables that it locates: function names, compilation units,
//! file names, pc-value tables, and the functions themselves sorted by entry.

use std::borrow::Cow;

use crate::Error;
use crate::bytes::{c_str_at, i32_at, index_at, u32_at};

/// `pcHeader`, `runtime/symtab.go`: magic, two zero bytes, instruction quantum, pointer size, then
/// eight words: nfunc, nfiles, textStart (unused since 1.26), and the offsets of the five tables.
const HEADER_LEN: usize = 72;
const NFUNC_AT: usize = 8;
const NAMES_AT: usize = 32;
const CU_AT: usize = 40;
const FILES_AT: usize = 48;
const PC_AT: usize = 56;
const FUNCS_AT: usize = 64;

pub(crate) const MAGIC_1_20: u32 = 0xffff_fff1;
const MAGIC_1_18: u32 = 0xffff_fff0;
const MAGIC_1_16: u32 = 0xffff_fffa;
const MAGIC_1_2: u32 = 0xffff_fffb;

/// `_func`, `runtime/runtime2.go`: 44 bytes, then npcdata and nfuncdata words.
const FUNC_LEN: usize = 44;

const PCDATA_INL_TREE_INDEX: u32 = 2;
const FUNCDATA_INL_TREE: u32 = 3;

#[derive(Debug)]
pub(crate) struct Pclntab {
    data: Vec<u8>,
    pub quantum: u8,
    pub nfunc: usize,
    names: usize,
    cu: usize,
    files: usize,
    pcs: usize,
    funcs: usize,
}

/// One `_func` record. Offsets are as stored; `entry` and `end` are relative to the text start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawFunc {
    pub entry: u32,
    pub end: u32,
    pub name_off: i32,
    pub pcsp: u32,
    pub pcfile: u32,
    pub pcln: u32,
    npcdata: u32,
    cu_offset: u32,
    pub start_line: i32,
    pub func_id: u8,
    pub flag: u8,
    nfuncdata: u8,
    at: usize,
}

/// What the header's magic says, before any table is looked at.
pub(crate) fn check_magic(data: &[u8]) -> Result<(), Error> {
    match u32_at(data, 0) {
        Some(MAGIC_1_20) => Ok(()),
        Some(MAGIC_1_18) => Err(Error::TooOld {
            found: "1.18 or 1.19",
        }),
        Some(MAGIC_1_16) => Err(Error::TooOld {
            found: "1.16 or 1.17",
        }),
        Some(MAGIC_1_2) => Err(Error::TooOld {
            found: "1.15 or earlier",
        }),
        Some(other) if other.swap_bytes() == MAGIC_1_20 => Err(Error::Unsupported(
            "little-endian with a big-endian Go function table".to_owned(),
        )),
        _ => Err(Error::Damaged("its first word is no known magic number")),
    }
}

impl Pclntab {
    pub fn parse(data: Vec<u8>, quantum: u8) -> Result<Pclntab, Error> {
        if data.len() < HEADER_LEN {
            return Err(Error::Damaged("it ends inside its header"));
        }
        check_magic(&data)?;
        if data[4..8] != [0, 0, quantum, 8] {
            return Err(Error::Damaged(
                "padding, instruction size or pointer size in its header do not fit the machine",
            ));
        }
        let offset =
            |at| index_at(&data, at).ok_or(Error::Damaged("a header offset lies beyond its end"));
        let nfunc = offset(NFUNC_AT)?;
        let (names, cu, files) = (offset(NAMES_AT)?, offset(CU_AT)?, offset(FILES_AT)?);
        let (pcs, funcs) = (offset(PC_AT)?, offset(FUNCS_AT)?);
        if !(HEADER_LEN <= names && names <= cu && cu <= files && files <= pcs && pcs <= funcs) {
            return Err(Error::Damaged("its tables are out of order"));
        }
        // functab: nfunc pairs of u32, then the end of the last function.
        let need = nfunc.checked_mul(8).and_then(|n| n.checked_add(4));
        if nfunc == 0 || need.is_none_or(|n| n > data.len() - funcs) {
            return Err(Error::Damaged("its function count exceeds its size"));
        }
        Ok(Pclntab {
            quantum,
            nfunc,
            names,
            cu,
            files,
            pcs,
            funcs,
            data,
        })
    }

    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Bytes from an offset within the table on; since 1.26 `go:func.*` is among them.
    pub fn tail(&self, offset: usize) -> Option<&[u8]> {
        self.data.get(offset..)
    }

    /// Entry of the `index`th function relative to the text start; `nfunc` gives the end.
    pub fn entry_off(&self, index: usize) -> Option<u32> {
        u32_at(&self.data, self.funcs + index.checked_mul(8)?)
    }

    /// Index of the last function that starts at or before `off`, as `runtime.findfunc` does.
    pub fn find(&self, off: u32) -> Option<usize> {
        if off < self.entry_off(0)? || off >= self.entry_off(self.nfunc)? {
            return None;
        }
        let (mut low, mut high) = (0, self.nfunc);
        while high - low > 1 {
            let mid = low + (high - low) / 2;
            if self.entry_off(mid)? <= off {
                low = mid;
            } else {
                high = mid;
            }
        }
        Some(low)
    }

    pub fn func(&self, index: usize) -> Option<RawFunc> {
        if index >= self.nfunc {
            return None;
        }
        let entry = self.entry_off(index)?;
        let end = self.entry_off(index + 1)?.max(entry);
        let func_off = u32_at(&self.data, self.funcs + index * 8 + 4)? as usize;
        let at = self.funcs.checked_add(func_off)?;
        let fixed = self.data.get(at..at.checked_add(FUNC_LEN)?)?;
        Some(RawFunc {
            entry,
            end,
            name_off: i32_at(fixed, 4)?,
            pcsp: u32_at(fixed, 16)?,
            pcfile: u32_at(fixed, 20)?,
            pcln: u32_at(fixed, 24)?,
            npcdata: u32_at(fixed, 28)?,
            cu_offset: u32_at(fixed, 32)?,
            start_line: i32_at(fixed, 36)?,
            func_id: fixed[40],
            flag: fixed[41],
            nfuncdata: fixed[43],
            at,
        })
    }

    /// The name at `name_off`; `?` where the table is damaged. Offset 0 is the first function's
    /// name: the runtime takes it for "no name" and prints an empty one, the linker means the name.
    pub fn name(&self, name_off: i32) -> Cow<'_, str> {
        let names = &self.data[self.names..self.cu];
        usize::try_from(name_off)
            .ok()
            .and_then(|at| c_str_at(names, at))
            .map_or(Cow::Borrowed("?"), String::from_utf8_lossy)
    }

    /// Every name of the table, which inlined calls use too.
    pub fn names(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let names = self.data[self.names..self.cu].split(|&byte| byte == 0);
        names
            .filter(|name| !name.is_empty())
            .map(String::from_utf8_lossy)
    }

    fn file_name(&self, func: &RawFunc, file_no: i32) -> Option<Cow<'_, str>> {
        let index = func.cu_offset.checked_add(u32::try_from(file_no).ok()?)? as usize;
        let offset = u32_at(&self.data[self.cu..self.files], index.checked_mul(4)?)?;
        if offset == u32::MAX {
            return None;
        }
        c_str_at(&self.data[self.files..self.pcs], offset as usize).map(String::from_utf8_lossy)
    }

    /// File and line of `off` in `func` (`runtime.funcline1`).
    pub fn file_line(&self, func: &RawFunc, off: u32) -> Option<(Cow<'_, str>, u32)> {
        let file_no = self.pc_value(func, func.pcfile, off)?;
        let line = self.pc_value(func, func.pcln, off)?;
        if file_no == -1 || line == -1 {
            return None;
        }
        let line = u32::try_from(line).unwrap_or(0);
        Some((self.file_name(func, file_no)?, line))
    }

    /// Index into the function's inline tree at `off`; negative where nothing is inlined.
    pub fn inline_index(&self, func: &RawFunc, off: u32) -> i32 {
        if func.npcdata <= PCDATA_INL_TREE_INDEX {
            return -1;
        }
        u32_at(
            &self.data,
            func.at + FUNC_LEN + 4 * PCDATA_INL_TREE_INDEX as usize,
        )
        .and_then(|table| self.pc_value(func, table, off))
        .unwrap_or(-1)
    }

    /// Offset of the function's inline tree from `go:func.*`.
    pub fn inline_tree(&self, func: &RawFunc) -> Option<usize> {
        if u32::from(func.nfuncdata) <= FUNCDATA_INL_TREE {
            return None;
        }
        let words = (func.npcdata as usize).checked_add(FUNCDATA_INL_TREE as usize)?;
        let at = func.at.checked_add(FUNC_LEN)?;
        let offset = u32_at(&self.data, at.checked_add(words.checked_mul(4)?)?)?;
        (offset != u32::MAX).then_some(offset as usize)
    }

    /// The value of a pc-value table at `off`; see [`Pclntab::pc_run`].
    pub fn pc_value(&self, func: &RawFunc, table: u32, off: u32) -> Option<i32> {
        Some(self.pc_run(func, table, off)?.value)
    }

    /// The run of equal values of a pc-value table at `off` (`runtime.pcvalue`): the table has pairs of a
    /// zig-zag value delta and a pc delta in quanta, both varints, starting from -1 at the entry. `None`
    /// when there is no table or it does not reach `off`.
    pub fn pc_run(&self, func: &RawFunc, table: u32, off: u32) -> Option<Run> {
        if table == 0 {
            return None;
        }
        let table = self.data[self.pcs..self.funcs].get(table as usize..)?;
        let mut at = 0;
        let mut run = Run {
            value: -1,
            ..Run::default()
        };
        let mut pc = u64::from(func.entry);
        // A sound table has at most one pair for each instruction.
        for step in 0..=u64::from(func.end - func.entry) {
            let delta = varint(table, &mut at)?;
            if delta == 0 && step != 0 {
                return None;
            }
            run.before = (step != 0).then_some(run.value);
            run.value = run.value.wrapping_add(zigzag(delta));
            run.start = pc;
            pc += u64::from(varint(table, &mut at)?) * u64::from(self.quantum);
            run.end = pc;
            if u64::from(off) < pc {
                let next = varint(table, &mut at).filter(|delta| *delta != 0);
                run.after = next.map(|delta| run.value.wrapping_add(zigzag(delta)));
                return Some(run);
            }
        }
        None
    }
}

/// Instructions at which a pc-value table has the same value, and those beside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Run {
    pub value: i32,
    /// Offset of the first one in the text.
    pub start: u64,
    /// Offset after the last one.
    pub end: u64,
    /// The value before; `None` at the function's entry.
    pub before: Option<i32>,
    /// The value after; `None` at the function's end.
    pub after: Option<i32>,
}

fn zigzag(delta: u32) -> i32 {
    ((delta >> 1) as i32) ^ -((delta & 1) as i32)
}

/// The runtime's `readvarint`, of at most five bytes.
fn varint(data: &[u8], at: &mut usize) -> Option<u32> {
    let mut value = 0u32;
    for shift in (0..35).step_by(7) {
        let byte = *data.get(*at)?;
        *at += 1;
        value |= u32::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_of_one_to_five_bytes() {
        for (bytes, want) in [
            (&[0x05][..], Some(5)),
            (&[0x80, 0x01], Some(128)),
            (&[0xff, 0xff, 0xff, 0xff, 0x0f], Some(u32::MAX)),
            (&[0x80], None),
            (&[0x80, 0x80, 0x80, 0x80, 0x80, 0x01], None),
        ] {
            assert_eq!(varint(bytes, &mut 0), want, "{bytes:x?}");
        }
    }

    #[test]
    fn old_magic_numbers_name_the_release() {
        for (magic, want) in [
            (MAGIC_1_18, "1.18 or 1.19"),
            (MAGIC_1_16, "1.16 or 1.17"),
            (MAGIC_1_2, "1.15 or earlier"),
        ] {
            match check_magic(&magic.to_le_bytes()) {
                Err(Error::TooOld { found }) => assert_eq!(found, want),
                other => panic!("{magic:x}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_function_count_beyond_the_table_is_refused() {
        let mut data = vec![0u8; 256];
        data[..4].copy_from_slice(&MAGIC_1_20.to_le_bytes());
        data[6] = 1;
        data[7] = 8;
        data[NFUNC_AT] = 200;
        for at in [NAMES_AT, CU_AT, FILES_AT, PC_AT, FUNCS_AT] {
            data[at] = 72;
        }
        let error = Pclntab::parse(data, 1).unwrap_err().to_string();
        assert!(error.contains("function count exceeds its size"), "{error}");
    }
}
