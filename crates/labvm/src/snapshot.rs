//! A guest that waits for its job, saved: restoring it takes a fraction of a boot.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    Error, cache,
    error::While as _,
    protocol::{self, FromGuest, ToGuest},
    qemu::{self, Accelerator, Machine, Memory, Qemu},
    qmp::Qmp,
};

/// A saved guest.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The state of the processor and the devices: QEMU's migration stream.
    pub file: PathBuf,
    /// Its memory, as it is; what was never written takes no room on the disk.
    pub memory: PathBuf,
    /// How long the guest took to come up, when it was saved.
    pub booted: Duration,
}

impl Snapshot {
    /// The snapshot of `machine` in `folder`: made, if there is none. `boot` is how long the
    /// guest may take to come up.
    ///
    /// # Errors
    /// When it can't be made. A cold boot needs no snapshot.
    pub fn of(machine: &Machine<'_>, folder: &Path, boot: Duration) -> Result<Self, Error> {
        let what = || format!("cannot keep a snapshot in {}", folder.display());
        fs::create_dir_all(folder).while_(what)?;
        let file = folder.join(format!("snapshot-{}", key(machine)?));
        // One at a time: the others find it made.
        let lock = File::create(file.with_extension("lock")).while_(what)?;
        lock.lock().while_(what)?;
        let memory = file.with_extension("memory");
        let times = file.with_extension("booted");
        if let (true, true, Some(booted)) = (file.exists(), memory.exists(), seconds_in(&times)) {
            for file in [&file, &memory, &times] {
                cache::used(file);
            }
            return Ok(Self {
                file,
                memory,
                booted,
            });
        }
        cache::trim(folder);
        let aside = || {
            tempfile::Builder::new()
                .prefix(".snapshot-")
                .tempfile_in(folder)
                .while_(what)
        };
        let (state, ram) = (aside()?, aside()?);
        let booted = save(machine, state.path(), ram.path(), boot)
            .while_(|| "a virtual machine could not be saved".to_owned())?;
        fs::write(&times, booted.as_secs_f64().to_string()).while_(what)?;
        ram.persist(&memory).while_(what)?;
        state.persist(&file).while_(what)?;
        Ok(Self {
            file,
            memory,
            booted,
        })
    }

    /// Forgets it, since it does not work.
    pub fn forget(&self) {
        let _ = fs::remove_file(&self.file);
    }
}

fn seconds_in(file: &Path) -> Option<Duration> {
    let seconds = fs::read_to_string(file).ok()?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// Everything that a saved guest depends on, as one word.
fn key(machine: &Machine<'_>) -> Result<String, Error> {
    let mut hash = blake3::Hasher::new();
    hash.update(qemu::identity(machine.kernel.arch)?.as_bytes());
    hash.update(&[protocol::VERSION]);
    // A guest that is helped has this processor, as this kernel offers it.
    if machine.accelerator == Accelerator::Kvm {
        let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let told = |line: &&str| line.starts_with("model name") || line.starts_with("microcode");
        let told: Vec<&str> = processor.lines().filter(told).take(2).collect();
        let release = rustix::system::uname();
        hash.update(format!("{told:?} {:?}", release.release()).as_bytes());
    }
    for argument in machine.arguments() {
        hash.update(argument.as_encoded_bytes());
        hash.update(&[0]);
    }
    hash.update(machine.kernel.hash.as_bytes());
    hash.update(machine.initramfs.hash.as_bytes());
    Ok(hash.finalize().to_hex()[..16].to_owned())
}

/// Boots the machine with its memory in the file `ram`, and saves the rest of it once its guest waits
/// for a job. Says how long it took to come up.
fn save(machine: &Machine<'_>, to: &Path, ram: &Path, boot: Duration) -> io::Result<Duration> {
    let begin = Instant::now();
    let mut qemu = machine
        .start(Memory::KeptIn(ram))
        .map_err(io::Error::other)?;
    drain(&mut qemu);
    let mut qmp = Qmp::greet(qemu.qmp.try_clone()?, boot)?;
    qemu.port.set_read_timeout(Some(boot))?;
    hello(&mut qemu)?;
    let booted = begin.elapsed();
    protocol::send_to_guest(&mut qemu.port, &ToGuest::Rehearse)?;
    hello(&mut qemu)?;
    qmp.ask("stop", json!({}))?;
    leave_memory_out(&mut qmp)?;
    qmp.ask(
        "migrate",
        json!({ "uri": format!("exec:cat > {}", quoted(to)) }),
    )?;
    let deadline = Instant::now() + boot;
    loop {
        let answer = qmp.ask("query-migrate", json!({}))?;
        match answer["status"].as_str().unwrap_or_default() {
            "completed" => return Ok(booted),
            "failed" | "cancelled" => {
                let why = answer["error-desc"].as_str().unwrap_or("no reason");
                return Err(io::Error::other(format!("saving failed: {why}")));
            }
            _ if Instant::now() > deadline => {
                return Err(io::Error::other("saving took too long"));
            }
            _ => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

fn hello(qemu: &mut Qemu) -> io::Result<()> {
    match protocol::next_of_guest(&mut qemu.port) {
        Ok(FromGuest::Hello { .. }) => Ok(()),
        Ok(FromGuest::Broken { why }) => Err(io::Error::other(why)),
        Ok(_) => Err(io::Error::other("it said something else than hello")),
        Err(wrong) => Err(io::Error::other(wrong)),
    }
}

/// The memory is in a file, from which it need not be read at once, nor all of it (qapi/migration.json,
/// `x-ignore-shared`).
fn leave_memory_out(qmp: &mut Qmp) -> io::Result<()> {
    let capability = json!({ "capability": "x-ignore-shared", "state": true });
    qmp.ask(
        "migrate-set-capabilities",
        json!({ "capabilities": [capability] }),
    )?;
    Ok(())
}

/// Restores a guest that was saved, and lets it go on: what is saved is a guest that stands still.
///
/// # Errors
/// When it could not be restored.
pub(crate) fn resume(qmp: &mut Qmp, patience: Duration) -> io::Result<()> {
    leave_memory_out(qmp)?;
    qmp.ask("migrate-incoming", json!({ "uri": qemu::state_uri() }))?;
    let deadline = Instant::now() + patience;
    loop {
        let answer = qmp.ask("query-status", json!({}))?;
        // A `cont` while it is being restored would leave it standing for ever.
        if answer["status"] != "inmigrate" {
            break;
        }
        if Instant::now() > deadline {
            return Err(io::Error::other("restoring took too long"));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    qmp.ask("cont", json!({}))?;
    Ok(())
}

/// For a shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

/// Reads what nobody looks at, so that the guest does not wait for us to.
fn drain(qemu: &mut Qemu) {
    let console = qemu.console.take();
    std::thread::spawn(move || console.map(|mut from| io::copy(&mut from, &mut io::sink())));
    let complaints = qemu.complaints.take();
    std::thread::spawn(move || complaints.map(|mut from| io::copy(&mut from, &mut io::sink())));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_to_a_shell_whatever_is_in_it() {
        let path = Path::new("/a b/it's $HOME");
        let output = std::process::Command::new("sh")
            .args(["-c", &format!("printf %s {}", quoted(path))])
            .output()
            .expect("sh");
        assert_eq!(output.stdout, path.as_os_str().as_encoded_bytes());
    }
}
