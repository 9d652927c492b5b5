//! Reads what a Go program knows about its own code, from outside: functions with their linker
//! names and start lines, file and line of a PC, the calls that were inlined there, and how far
//! the stack pointer has moved. No DWARF and no symbol table are needed, so stripped binaries
//! (`-ldflags='-s -w'`) work like any other.
//!
//! Read: 64-bit little-endian ELF for amd64 and arm64, linked by Go 1.20 or later, as plain
//! executable, PIE, shared object or cgo binary. Everything else is refused with an [`Error`]
//! that says what was found. Go 1.18 and 1.19 are refused too: their tables lack the start lines
//! that profile-guided optimisation needs.
//!
//! Units: every address is a link-time virtual address (what `go tool nm` prints) unless its name
//! says `runtime`; lines are 1-based, 0 where unknown; stack deltas are bytes.
//!
//! Layouts follow the Go sources `runtime/symtab.go`, `runtime/symtabinl.go`,
//! `runtime/runtime2.go` (`_func`), `internal/abi/symtab.go` and `cmd/link/internal/ld/pcln.go`.
//!
//! ```no_run
//! let bin = gosym::Binary::open("./server")?;
//! for frame in bin.frames_at(0x48_a3c0) {
//!     println!("{} {}:{}", frame.function, frame.file, frame.line);
//! }
//! # Ok::<(), gosym::Error>(())
//! ```
//!
//! Nothing in a damaged file makes this crate panic; memory stays within about twice the file's
//! size, and one look-up takes at most as many steps as its function has bytes.

mod binary;
mod buildinfo;
mod bytes;
mod error;
mod func_id;
mod image;
mod inline;
mod moduledata;
mod pclntab;

pub use binary::{Binary, Function, Mapping};
pub use buildinfo::GoVersion;
pub use error::Error;
pub use func_id::FuncId;
pub use image::Arch;
pub use inline::Frame;
