//! Names of the kernel's functions: `/proc/kallsyms`, lines `ADDRESS TYPE NAME[<TAB>[MODULE]]`
//! (kernel/kallsyms.c).

use crate::Error;

/// Functions by address.
#[derive(Clone, Debug, Default)]
pub struct KernelSymbols {
    names: Vec<(u64, Box<str>)>,
}

impl KernelSymbols {
    /// Those of the kernel that runs.
    ///
    /// # Errors
    /// [`Error::Kallsyms`] when it tells no addresses: who may not have them is told zeros.
    pub fn running() -> Result<Self, Error> {
        let no = |why: String| Error::Kallsyms { why };
        let text = std::fs::read("/proc/kallsyms").map_err(|error| no(error.to_string()))?;
        let symbols = Self::parse(&String::from_utf8_lossy(&text));
        if symbols.names.is_empty() {
            return Err(no("it tells no addresses".to_owned()));
        }
        Ok(symbols)
    }

    /// From the file's text; what is no function, and lines of another form, is left out.
    pub fn parse(text: &str) -> Self {
        let function = |line: &str| {
            let mut fields = line.split_ascii_whitespace();
            let address = u64::from_str_radix(fields.next()?, 16).ok()?;
            let is_code = matches!(fields.next()?, "t" | "T" | "w" | "W");
            let name = fields.next()?;
            (is_code && address != 0).then(|| (address, name.into()))
        };
        let mut names: Vec<(u64, Box<str>)> = text.lines().filter_map(function).collect();
        // Of several names of one place the first by the alphabet, whatever the order of the file.
        names.sort_unstable();
        names.dedup_by_key(|(address, _)| *address);
        Self { names }
    }

    /// The function that has the instruction at `address`; `None` below the first one.
    pub fn name(&self, address: u64) -> Option<&str> {
        let after = self.names.partition_point(|(start, _)| *start <= address);
        let (_, name) = self.names.get(after.checked_sub(1)?)?;
        Some(name)
    }
}

/// Whether an address is of the kernel's half (Documentation/arch/x86/x86_64/mm.rst,
/// Documentation/arch/arm64/memory.rst).
pub(crate) fn is_of_kernel(address: u64) -> bool {
    address >> 63 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_in_the_function_that_begins_before_it() {
        let text = "\
ffffffff81000000 T _stext
ffffffff81000000 T startup
ffffffff81000100 t do_read
ffffffff81000180 d a_table
ffffffffc0000000 t module_read\t[module]
0000000000000000 t hidden
nonsense
";
        let symbols = KernelSymbols::parse(text);
        for (address, want) in [
            (0xffff_ffff_80ff_ffff, None),
            (0xffff_ffff_8100_0000, Some("_stext")),
            (0xffff_ffff_8100_0100, Some("do_read")),
            (0xffff_ffff_8100_0190, Some("do_read")),
            (0xffff_ffff_c000_0010, Some("module_read")),
        ] {
            assert_eq!(symbols.name(address), want, "{address:x}");
        }
    }
}
