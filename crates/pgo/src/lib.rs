//! Profile-guided builds of Go programs: what a profile made the compiler do, and what that was
//! worth.
//!
//! - [`decisions`] reads the compiler's own account (`-gcflags=-m=2`) of two builds and tells the
//!   difference.
//! - [`ruler`] compares the CPU time of running processes, pair by pair.

pub mod decisions;
pub mod ruler;
