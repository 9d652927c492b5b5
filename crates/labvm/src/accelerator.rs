//! Whether the processor can help guests run. Found out by running one: a machine may have the device
//! and still not be able to start an ordinary guest.

use std::{fs, path::Path, time::Duration};

use course::Arch;

use crate::{
    host,
    qemu::{self, Accelerator, Machine},
};

/// What a guest that is helped needs to come up, many times over.
const PATIENCE: Duration = Duration::from_secs(15);

/// The accelerator for this machine. The answer is kept in `folder` until the next boot, or until
/// QEMU or the kernel is another. `machine` is what is tried.
pub fn choose(machine: &Machine<'_>, folder: &Path) -> Accelerator {
    if machine.kernel.arch != Arch::HERE {
        return Accelerator::Tcg;
    }
    if fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/kvm")
        .is_err()
    {
        return Accelerator::Tcg;
    }
    // A kernel that does not come up at all says nothing about the others.
    let file = folder.join(format!("accelerator-{:.8}", machine.kernel.hash));
    let asked = question();
    let known = fs::read_to_string(&file).ok();
    if let Some((question, answer)) = known.as_deref().and_then(|text| text.split_once('\n'))
        && question == asked
    {
        return if answer == Accelerator::Kvm.word() {
            Accelerator::Kvm
        } else {
            Accelerator::Tcg
        };
    }
    let works = host::comes_up(
        &Machine {
            accelerator: Accelerator::Kvm,
            ..*machine
        },
        PATIENCE,
    );
    let accelerator = if works {
        Accelerator::Kvm
    } else {
        Accelerator::Tcg
    };
    let _ = fs::create_dir_all(folder);
    let _ = fs::write(&file, format!("{asked}\n{}", accelerator.word()));
    accelerator
}

/// What the answer depends on.
fn question() -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    format!(
        "{} {}",
        boot.trim(),
        qemu::identity(Arch::HERE).unwrap_or_default()
    )
}
