//! What the code of one Go process says of its addresses.

use std::ops::Range;

use anyhow::Context as _;
use goprof::Symbolizer;
use gosym::Arch;

/// How far the stack pointer has moved since the function was entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// Not at all. The function has no frame: never, not yet, or not any more. The address that it
    /// returns to is the first of the two words.
    Nothing,
    /// By what is stored first when a frame is made. The address that the function returns to is the
    /// second word; whether the frame pointer is set already, only the chain can tell.
    ///
    /// On x86-64 that is the moment between two instructions. On arm64 the stack pointer moves once, by
    /// the whole frame, and the return address stays at its end: there it is all of a function's life.
    OneWord,
    /// Further: the frame pointer is set. Or it is no Go code, and nothing is known.
    Further,
}

/// The Go code that a process runs.
pub struct Code {
    symbols: Symbolizer,
}

impl Code {
    /// Reads the process's memory map and the Go tables of its program.
    pub fn of_process(pid: u32) -> anyhow::Result<Self> {
        let symbols = goprof::for_process(pid)
            .with_context(|| format!("cannot read the Go code of process {pid}"))?;
        Ok(Self { symbols })
    }

    /// Where it is.
    pub fn ranges(&self) -> Vec<Range<u64>> {
        self.symbols.go_code()
    }

    /// How far the stack pointer has moved at the instruction at `pc`: Go's tables know it, since its
    /// own tracebacks need it (`pcsp`, `runtime/symtab.go`).
    pub fn moved(&self, pc: u64) -> Moved {
        match self.symbols.sp_delta(pc) {
            Some((_, 0)) => Moved::Nothing,
            Some((Arch::Amd64, 8) | (Arch::Arm64, 1..)) => Moved::OneWord,
            _ => Moved::Further,
        }
    }

    /// The functions of a stack, innermost first, with `;` between them.
    pub fn names(&mut self, stack: &[u64]) -> String {
        let named = self.symbols.stack(stack);
        let frames = named.locations.iter().flat_map(|place| &place.frames);
        let names: Vec<&str> = frames.map(|frame| frame.function.as_str()).collect();
        names.join(";")
    }
}
