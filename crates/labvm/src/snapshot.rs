//! A guest that waits for its job, saved: restoring it takes a fraction of a boot.

use std::{
    fs::{self, File},
    io,
    os::{fd::AsFd as _, unix::fs::MetadataExt as _},
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

/// A saved guest. Its files are open, so that what others make of the cache meanwhile does not matter.
#[derive(Debug)]
pub struct Snapshot {
    /// The state of the processor and the devices: QEMU's migration stream.
    pub(crate) state: File,
    /// Its memory, as it is; what was never written takes no room on the disk.
    pub(crate) memory: File,
    /// How long the guest took to come up, when it was saved.
    pub booted: Duration,
    at: Paths,
}

/// Where a snapshot is kept: beside each other in the cache.
#[derive(Debug)]
struct Paths {
    state: PathBuf,
    memory: PathBuf,
    booted: PathBuf,
    lock: PathBuf,
}

impl Paths {
    fn of(state: PathBuf) -> Self {
        Self {
            memory: state.with_extension("memory"),
            booted: state.with_extension("booted"),
            lock: state.with_extension("lock"),
            state,
        }
    }

    /// One process at a time makes or removes what is here; the others find it done.
    fn lock(&self) -> io::Result<File> {
        let lock = File::create(&self.lock)?;
        lock.lock()?;
        Ok(lock)
    }

    /// What is there, if it is all there.
    fn open(self) -> Result<Snapshot, Self> {
        let all = || -> Option<_> {
            let files = (
                File::open(&self.state).ok()?,
                File::open(&self.memory).ok()?,
                seconds_in(&self.booted)?,
            );
            for file in [&self.state, &self.memory, &self.booted] {
                cache::used(file);
            }
            Some(files)
        };
        match all() {
            Some((state, memory, booted)) => Ok(Snapshot {
                state,
                memory,
                booted,
                at: self,
            }),
            None => Err(self),
        }
    }
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
        let paths = Paths::of(folder.join(format!("snapshot-{}", key(machine)?)));
        let _lock = paths.lock().while_(what)?;
        let paths = match paths.open() {
            Ok(snapshot) => return Ok(snapshot),
            Err(paths) => paths,
        };
        cache::trim(folder);
        let aside = || {
            tempfile::Builder::new()
                .prefix(".snapshot-")
                .tempfile_in(folder)
                .while_(what)
        };
        let (state, memory) = (aside()?, aside()?);
        let booted = save(machine, state.as_file(), memory.as_file(), boot).map_err(|error| {
            Error::new(
                format!("a virtual machine could not be saved: {error}"),
                format!(
                    "its memory is a file in {}: that takes 300 MB of room, on a local file system",
                    folder.display()
                ),
            )
        })?;
        // A lost page would look like the learner's mistake.
        for file in [&state, &memory] {
            file.as_file().sync_all().while_(what)?;
        }
        // Never the state of one beside the memory of another.
        let _ = fs::remove_file(&paths.state);
        fs::write(&paths.booted, booted.as_secs_f64().to_string()).while_(what)?;
        memory.persist(&paths.memory).while_(what)?;
        state.persist(&paths.state).while_(what)?;
        paths
            .open()
            .map_err(|_| Error::new(format!("{}: it is gone at once", what()), ""))
    }

    /// Forgets it, since it does not work. What others have made in its place stays.
    pub fn forget(&self) {
        let Ok(_lock) = self.at.lock() else {
            return;
        };
        let number = |meta: io::Result<fs::Metadata>| meta.ok().map(|meta| meta.ino());
        if number(fs::metadata(&self.at.state)) == number(self.state.metadata()) {
            let _ = fs::remove_file(&self.at.state);
        }
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
        // Of the first of them: x86 tells the first two, arm64 the others.
        let words = [
            "model name",
            "microcode",
            "CPU implementer",
            "CPU part",
            "CPU revision",
        ];
        let told = |line: &&str| words.iter().any(|word| line.starts_with(word));
        let first = processor.split("\n\n").next().unwrap_or_default();
        let told: Vec<&str> = first.lines().filter(told).collect();
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

/// Boots the machine with its memory in the file `memory`, and saves the rest of it to `state` once its
/// guest waits for a job. Says how long it took to come up.
fn save(
    machine: &Machine<'_>,
    state: &File,
    memory: &File,
    boot: Duration,
) -> io::Result<Duration> {
    let begin = Instant::now();
    let mut qemu = machine
        .start(Memory::KeptIn(memory))
        .map_err(io::Error::other)?;
    let console = qemu.console.take();
    std::thread::spawn(move || console.map(|mut from| io::copy(&mut from, &mut io::sink())));
    let complaints = qemu.complaints.take();
    let complaints = std::thread::spawn(move || {
        complaints.map_or_else(String::new, |from| {
            qemu::read_capped(from, 4096, |_| {}).text()
        })
    });
    let saved = converse_and_save(&mut qemu, state, begin, boot);
    qemu.end();
    saved.map_err(|error| {
        let said = complaints.join().unwrap_or_default();
        io::Error::other(format!("{error} {}", said.trim()).trim().to_owned())
    })
}

fn converse_and_save(
    qemu: &mut Qemu,
    state: &File,
    begin: Instant,
    boot: Duration,
) -> io::Result<Duration> {
    let mut qmp = Qmp::greet(qemu.qmp.try_clone()?, boot)?;
    qemu.port.set_read_timeout(Some(boot))?;
    hello(qemu)?;
    let booted = begin.elapsed();
    protocol::send_to_guest(&mut qemu.port, &ToGuest::Rehearse)?;
    hello(qemu)?;
    qmp.ask("stop", json!({}))?;
    leave_memory_out(&mut qmp)?;
    qmp.give("state", state.as_fd())?;
    qmp.ask("migrate", json!({ "uri": "fd:state" }))?;
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
