//! Where functions begin in programs and libraries: what a probe's place is compared with.

use std::{fs, path::Path};

use object::{Object as _, ObjectSection as _, ObjectSymbol as _};

use crate::verdict::Failure;

/// The offset in the file, in bytes, at which the function `symbol` begins: what the kernel
/// tells of a uprobe. Both symbol tables are looked through, the linker's and the dynamic one.
///
/// # Errors
/// [`Failure::Infrastructure`] when the file is no ELF file or has no such function.
pub fn function_offset(path: &Path, symbol: &str) -> Result<u64, Failure> {
    let trouble = |why: String| Failure::infrastructure(format!("{}: {why}", path.display()));
    let bytes = fs::read(path).map_err(|error| trouble(error.to_string()))?;
    let file = object::File::parse(&*bytes).map_err(|error| trouble(error.to_string()))?;
    let found = file
        .symbols()
        .chain(file.dynamic_symbols())
        .find(|found| found.is_definition() && found.name() == Ok(symbol))
        .ok_or_else(|| trouble(format!("no function {symbol}")))?;
    // A symbol has an address in memory; its section says where that lies in the file.
    found
        .section_index()
        .and_then(|index| {
            let section = file.section_by_index(index).ok()?;
            let (start, _) = section.file_range()?;
            Some(found.address() - section.address() + start)
        })
        .ok_or_else(|| trouble(format!("{symbol} lies outside the file")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A function that the linker keeps under its own name.
    #[unsafe(no_mangle)]
    extern "C" fn probelab_elf_test_function() -> u32 {
        0x5eed_1e55
    }

    #[test]
    fn the_offset_is_where_the_function_s_code_is() {
        let function = probelab_elf_test_function as extern "C" fn() -> u32;
        let program = std::env::current_exe().unwrap();
        let offset = function_offset(&program, "probelab_elf_test_function").unwrap() as usize;
        // SAFETY: the first eight bytes of a function that is longer than that, code being
        // readable on the machines we build for.
        let code = unsafe { std::slice::from_raw_parts(function as *const u8, 8) };
        let bytes = fs::read(program).unwrap();
        assert_eq!(&bytes[offset..offset + 8], code);
    }

    #[test]
    fn an_absent_function_is_named() {
        let program = std::env::current_exe().unwrap();
        let Err(Failure::Infrastructure(why)) = function_offset(&program, "no_such_function")
        else {
            panic!("found a function that is not there");
        };
        assert!(why.ends_with("no function no_such_function"), "{why}");
    }

    #[test]
    fn another_kind_of_file_is_refused() {
        assert!(function_offset(Path::new("/proc/self/status"), "main").is_err());
    }
}
