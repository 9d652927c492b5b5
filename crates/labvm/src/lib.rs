//! Throwaway virtual machines to run checks in: Debian's kernels, a guest whose first process is
//! `lab` itself, and the host's side of it.

pub mod accelerator;
pub mod apt;
mod cache;
pub mod error;
pub mod floor;
pub mod guest;
pub mod host;
mod image;
pub mod initramfs;
pub mod kernels;
pub mod libraries;
pub mod modules;
pub mod outcome;
mod package;
pub mod protocol;
pub mod qemu;
mod qmp;
pub mod snapshot;
pub mod sysroot;
mod unpack;

pub use error::Error;
