//! What a Go program knows of its own code: the section `.gopclntab`, cut into its tables. All
//! of this is given.
//!
//! The layout is that of Go 1.20 to 1.26 (`pcHeader`, `_func` and `inlinedCall` in the Go tree's
//! src/runtime); the place of the code in memory is read where Go 1.26 keeps it.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use object::{Object as _, ObjectSection as _};

/// The tables of one program.
pub struct Tables {
    /// The address of the program's first instruction. Entries of functions count from here.
    pub text: u64,
    /// How many functions there are.
    pub count: usize,
    /// What a step in a PC table counts in: 1 byte on amd64, 4 on arm64, where all instructions
    /// have this length.
    pub quantum: u32,
    names: Vec<u8>,
    units: Vec<u8>,
    files: Vec<u8>,
    values: Vec<u8>,
    functions: Vec<u8>,
    trees: Vec<u8>,
}

/// One function with code of its own.
pub struct Function {
    /// The address of its first instruction.
    pub entry: u64,
    /// The linker's name.
    pub name: String,
    /// The line of its `func`.
    pub start_line: u32,
    /// PC table of file numbers, for [`Tables::file`].
    pub files: u32,
    /// PC table of lines.
    pub lines: u32,
    /// PC table of inlined calls, for [`Tables::inlined`]: -1 where nothing is inlined.
    pub inlined: u32,
    unit: u32,
    tree: usize,
}

/// A call whose callee was inlined.
pub struct Inlined {
    /// The callee's name.
    pub name: String,
    /// The line of the callee's `func`.
    pub start_line: u32,
    /// An instruction of the caller's that stands for the call, in bytes from the entry of the
    /// function that has the code.
    pub parent_pc: u32,
}

impl Tables {
    /// Reads the tables of the program in the file `path`.
    pub fn open(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let file = object::File::parse(&*bytes)?;
        let section = |name: &str| {
            let section = file.section_by_name(name);
            let section = section.with_context(|| format!("no section {name}: not of Go 1.26"))?;
            anyhow::Ok((section.address(), section.data()?))
        };
        let (address, table) = section(".gopclntab")?;
        ensure!(
            u32_at(table, 0)? == 0xffff_fff1,
            "no table of Go 1.20 or later"
        );
        // The header's word 2 is the address of the code in Go 1.25, and 0 in Go 1.26. The runtime's
        // description of the program has it, as the word before `etext`; and where inline trees are.
        let (_, module) = section(".go.module")?;
        let trees = u64_at(module, 320)? - address;
        // From the header's word `word` on: where this part of the table begins.
        let part = |word: usize| {
            let from = u64_at(table, 8 + 8 * word)? as usize;
            let rest = table.get(from..).context("a damaged table")?;
            anyhow::Ok(rest.to_vec())
        };
        let quantum = *table.get(6).context("a damaged table")?;
        Ok(Self {
            text: u64_at(module, 176)?,
            count: u64_at(table, 8)? as usize,
            quantum: quantum.into(),
            names: part(3)?,
            units: part(4)?,
            files: part(5)?,
            values: part(6)?,
            functions: part(7)?,
            trees: table
                .get(trees as usize..)
                .context("a damaged table")?
                .to_vec(),
        })
    }

    /// Where function number `index` begins, in bytes from `text`. They are sorted by it. Number
    /// `count` is where the last one ends.
    pub fn entry(&self, index: usize) -> u32 {
        u32_at(&self.functions, index * 8).unwrap_or(u32::MAX)
    }

    /// Function number `index`.
    pub fn function(&self, index: usize) -> Function {
        let at = u32_at(&self.functions, index * 8 + 4).unwrap_or(0) as usize;
        let word = |word: usize| u32_at(&self.functions, at + word * 4).unwrap_or(0);
        // After the eleven words that all have: the function's further PC tables, then offsets
        // of other data, the last byte says how many.
        let (tables, others) = (word(7) as usize, word(10) >> 24);
        Function {
            entry: self.text + u64::from(self.entry(index)),
            name: self.name(word(1)),
            start_line: word(9),
            files: word(5),
            lines: word(6),
            inlined: if tables > 2 { word(11 + 2) } else { 0 },
            unit: word(8),
            tree: if others > 3 {
                word(11 + tables + 3) as usize
            } else {
                usize::MAX
            },
        }
    }

    /// The bytes of a PC table, and of whatever follows it. Table number 0 is none.
    pub fn pc_table(&self, number: u32) -> &[u8] {
        match number {
            0 => &[],
            number => self.values.get(number as usize..).unwrap_or(&[]),
        }
    }

    /// The path of file number `number` of `function`.
    pub fn file(&self, function: &Function, number: i32) -> Option<String> {
        let index = function.unit.checked_add_signed(number)? as usize;
        let at = u32_at(&self.units, index * 4).ok()?;
        Some(text_at(&self.files, at))
    }

    /// The call of number `index` in the inline tree of `function`.
    pub fn inlined(&self, function: &Function, index: i32) -> Option<Inlined> {
        let at = function
            .tree
            .checked_add(usize::try_from(index).ok()? * 16)?;
        let word = |word: usize| u32_at(&self.trees, at.saturating_add(word * 4)).ok();
        Some(Inlined {
            name: self.name(word(1)?),
            parent_pc: word(2)?,
            start_line: word(3)?,
        })
    }

    fn name(&self, at: u32) -> String {
        text_at(&self.names, at)
    }
}

/// The text that begins at `at` and ends before a zero byte.
fn text_at(texts: &[u8], at: u32) -> String {
    labkit::text(texts.get(at as usize..).unwrap_or(b"?"))
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32> {
    let word = bytes.get(at..).and_then(|rest| rest.first_chunk());
    Ok(u32::from_le_bytes(*word.context("a damaged table")?))
}

fn u64_at(bytes: &[u8], at: usize) -> Result<u64> {
    let word = bytes.get(at..).and_then(|rest| rest.first_chunk());
    Ok(u64::from_le_bytes(*word.context("a damaged table")?))
}
