//! The least that a boot of a kernel takes: a busybox that switches the machine off at once. What our
//! own guest is measured beside.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    Error,
    error::While as _,
    initramfs::{Initramfs, of_busybox},
    qemu::{Machine, Memory},
};

/// Says what the machine does, in full.
const SCRIPT: &str =
    "#!/bin/busybox sh\n/bin/busybox mount -t proc proc /proc\n/bin/busybox poweroff -f\n";

/// A guest that is nothing but `busybox`, which must be linked statically.
///
/// # Errors
/// When it can't be read, or there is no room.
pub fn initramfs(busybox: &Path, folder: &Path) -> Result<Initramfs, Error> {
    let program = fs::read(busybox).while_(|| format!("cannot read {}", busybox.display()))?;
    of_busybox(&program, SCRIPT, folder)
}

/// Boots such a machine until QEMU ends.
///
/// # Errors
/// When QEMU can't be started, or has not ended within `patience`.
pub fn boot(machine: &Machine<'_>, patience: Duration) -> Result<Duration, Error> {
    let begin = Instant::now();
    let mut qemu = machine.start(Memory::Empty)?;
    let mut console = qemu.console.take();
    // It must not wait for us to read.
    let reader = std::thread::spawn(move || {
        console
            .as_mut()
            .map(|console| std::io::copy(console, &mut std::io::sink()))
    });
    while !qemu.has_ended() {
        if begin.elapsed() > patience {
            return Err(Error::new("a plain boot did not end in time", ""));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let took = begin.elapsed();
    let _ = reader.join();
    Ok(took)
}
