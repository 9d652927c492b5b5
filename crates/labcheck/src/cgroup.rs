//! A control group of its own for each run of a learner's program.
//!
//! Membership in the cgroup2 folder is what attributes BPF programs and what is killed at the
//! end. Limits come from the same folder on a machine with unified control groups, and from the
//! version 1 hierarchies of `pids` and `memory` where a machine still mounts those.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::{
    ending::{self, Left},
    mounts,
    scratch::{self, Claim},
};

/// Processes and threads that a learner's program may have.
const MAX_TASKS: u32 = 64;
/// Bytes of memory that a learner's program may use.
const MAX_MEMORY: u64 = 512 << 20;

/// A control group; dropping it ends every process in it and removes it.
#[derive(Debug)]
pub struct Cgroup {
    /// The cgroup2 folder.
    unified: Folder,
    /// Folders of version 1 hierarchies that carry limits.
    limits: Vec<Folder>,
}

/// One folder that is a group.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    _left: ending::Token,
    _claim: Claim,
}

impl Folder {
    fn create(path: PathBuf) -> io::Result<Self> {
        fs::create_dir(&path).map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("cannot make the control group {}: {error}", path.display()),
            )
        })?;
        Ok(Self {
            _claim: Claim::take(&path)?,
            _left: ending::register(Left::Cgroup(path.clone())),
            path,
        })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        end(&self.path);
    }
}

impl Cgroup {
    /// Makes a new group. Needs root.
    ///
    /// # Errors
    /// When no cgroup2 hierarchy is mounted, or it may not be written.
    pub fn create(name: &str) -> io::Result<Self> {
        let mounts = mounts::all()?;
        let root = mounts::points(&mounts, "cgroup2", None)
            .into_iter()
            .next()
            .ok_or_else(|| {
                io::Error::other("no cgroup2 hierarchy is mounted (expected at /sys/fs/cgroup)")
            })?;
        remove_stale(&root);
        let name = format!("{}{name}", scratch::own_prefix());
        let unified = Folder::create(root.join(&name))?;
        // The controllers may not be offered to children, or be bound to version 1: then these
        // writes fail, and the resource limits set by `enter` remain.
        let _ = fs::write(unified.path.join("pids.max"), MAX_TASKS.to_string());
        let _ = fs::write(unified.path.join("memory.max"), MAX_MEMORY.to_string());
        let mut limits = Vec::new();
        for (controller, file, value) in [
            ("pids", "pids.max", u64::from(MAX_TASKS)),
            ("memory", "memory.limit_in_bytes", MAX_MEMORY),
        ] {
            for root in mounts::points(&mounts, "cgroup", Some(controller)) {
                remove_stale(&root);
                if let Ok(folder) = Folder::create(root.join(&name)) {
                    let _ = fs::write(folder.path.join(file), value.to_string());
                    limits.push(folder);
                }
            }
        }
        Ok(Self { unified, limits })
    }

    /// The cgroup2 folder.
    pub fn path(&self) -> &Path {
        &self.unified.path
    }

    /// Every folder that a process must be written into to be a member.
    pub(crate) fn folders(&self) -> impl Iterator<Item = &Path> {
        std::iter::once(&self.unified)
            .chain(&self.limits)
            .map(|folder| folder.path.as_path())
    }

    /// The process ids in the group.
    pub fn pids(&self) -> Vec<u32> {
        pids(&self.unified.path)
    }

    /// Stops every process in the group, and waits until that holds. A stopped process makes no
    /// system call, whatever signals it handles. Dropping what this gives lets them go on.
    ///
    /// # Errors
    /// On kernels before 5.2, which have no cgroup.freeze.
    pub fn freeze(&self) -> io::Result<Frozen<'_>> {
        let frozen = Frozen { group: self };
        self.set_frozen(true)?;
        Ok(frozen)
    }

    fn set_frozen(&self, frozen: bool) -> io::Result<()> {
        let (value, wanted) = if frozen {
            ("1", "frozen 1")
        } else {
            ("0", "frozen 0")
        };
        fs::write(self.unified.path.join("cgroup.freeze"), value)?;
        let deadline = Instant::now() + Duration::from_secs(5);
        while !fs::read_to_string(self.unified.path.join("cgroup.events"))?
            .lines()
            .any(|line| line == wanted)
        {
            if Instant::now() > deadline {
                return Err(io::Error::other(
                    "the learner's processes could not be stopped",
                ));
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        Ok(())
    }

    /// Ends every process in the group and waits until none is left. Returns how many there were.
    pub fn kill(&self) -> usize {
        let count = self.pids().len();
        if count > 0 {
            kill(&self.unified.path);
        }
        count
    }
}

/// A group whose processes stand still for as long as this is there.
#[must_use]
#[derive(Debug)]
pub struct Frozen<'a> {
    group: &'a Cgroup,
}

impl Frozen<'_> {
    /// Lets the processes go on.
    ///
    /// # Errors
    /// When the kernel refuses, which dropping this would hide.
    pub fn thaw(self) -> io::Result<()> {
        self.group.set_frozen(false)
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        let _ = fs::write(self.group.path().join("cgroup.freeze"), "0");
    }
}

/// Ends every process of the group `folder`, and removes it.
pub(crate) fn end(folder: &Path) {
    kill(folder);
    remove(folder);
}

/// The control groups that this process made for learners' programs and that are still there.
///
/// # Errors
/// When the machine does not tell what is mounted.
pub fn own() -> io::Result<Vec<PathBuf>> {
    let mounts = mounts::all()?;
    let prefix = scratch::own_prefix();
    let roots = mounts::points(&mounts, "cgroup2", None)
        .into_iter()
        .chain(mounts::points(&mounts, "cgroup", Some("pids")))
        .chain(mounts::points(&mounts, "cgroup", Some("memory")));
    Ok(roots
        .flat_map(|root| fs::read_dir(root).into_iter().flatten().flatten())
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
        .map(|entry| entry.path())
        .collect())
}

fn pids(folder: &Path) -> Vec<u32> {
    fs::read_to_string(folder.join("cgroup.procs"))
        .map(|text| text.lines().filter_map(|line| line.parse().ok()).collect())
        .unwrap_or_default()
}

/// Kills until nothing is left, for at most five seconds.
fn kill(folder: &Path) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !pids(folder).is_empty() && Instant::now() < deadline {
        // cgroup.kill is from Linux 5.14; before it, a loop outruns all but a fork bomb, which
        // pids.max bounds.
        if fs::write(folder.join("cgroup.kill"), "1").is_err() {
            for pid in pids(folder) {
                if let Some(pid) = i32::try_from(pid)
                    .ok()
                    .and_then(rustix::process::Pid::from_raw)
                {
                    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
                }
            }
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Removes an empty group; a member that is just ending makes that fail for a moment.
fn remove(folder: &Path) {
    for _ in 0..100 {
        match fs::remove_dir(folder) {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
                std::thread::sleep(Duration::from_millis(5));
            }
            _ => return,
        }
    }
}

/// Cleans up after a `lab` that was killed: groups whose maker no longer runs.
fn remove_stale(root: &Path) {
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        if scratch::is_abandoned(&entry.path(), &entry.file_name()) {
            end(&entry.path());
        }
    }
}
