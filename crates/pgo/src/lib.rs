//! Profile-guided builds of Go programs: where their profiles are kept, what a profile made the compiler
//! do, and what that was worth.
//!
//! - [`decisions`] reads the compiler's own account (`-gcflags=-m=2`) of two builds and tells the
//!   difference.
//! - [`ruler`] compares the CPU time of running processes, pair by pair.
//! - [`store`] keeps the profiles of services and gives one for each build; [`server`] is that store behind
//!   HTTP, [`client`] asks such a server.

pub mod client;
pub mod decisions;
pub mod ruler;
pub mod server;
pub mod store;
