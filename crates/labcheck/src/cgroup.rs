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

/// Processes and threads that a learner's program may have.
const MAX_TASKS: u32 = 64;
/// Bytes of memory that a learner's program may use.
const MAX_MEMORY: u64 = 512 << 20;
const PREFIX: &str = "probelab-";

/// A control group; dropping it ends every process in it and removes it.
#[derive(Debug)]
pub struct Cgroup {
    /// The cgroup2 folder.
    path: PathBuf,
    /// Folders of version 1 hierarchies that carry limits.
    limits: Vec<PathBuf>,
}

impl Cgroup {
    /// Makes a new group. Needs root.
    ///
    /// # Errors
    /// When no cgroup2 hierarchy is mounted, or it may not be written.
    pub fn create(name: &str) -> io::Result<Self> {
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        let root = mounts_of(&mounts, "cgroup2", None)
            .into_iter()
            .next()
            .ok_or_else(|| {
                io::Error::other("no cgroup2 hierarchy is mounted (expected at /sys/fs/cgroup)")
            })?;
        remove_stale(&root);
        let name = format!("{PREFIX}{}-{name}", std::process::id());
        let path = root.join(&name);
        fs::create_dir(&path).map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("cannot make the control group {}: {error}", path.display()),
            )
        })?;
        let mut group = Self {
            path,
            limits: Vec::new(),
        };
        // The controllers may not be offered to children, or be bound to version 1: then these
        // writes fail, and the resource limits set by `enter` remain.
        let _ = fs::write(group.path.join("pids.max"), MAX_TASKS.to_string());
        let _ = fs::write(group.path.join("memory.max"), MAX_MEMORY.to_string());
        for (controller, file, value) in [
            ("pids", "pids.max", u64::from(MAX_TASKS)),
            ("memory", "memory.limit_in_bytes", MAX_MEMORY),
        ] {
            for root in mounts_of(&mounts, "cgroup", Some(controller)) {
                remove_stale(&root);
                let path = root.join(&name);
                if fs::create_dir(&path).is_ok() {
                    let _ = fs::write(path.join(file), value.to_string());
                    group.limits.push(path);
                }
            }
        }
        Ok(group)
    }

    /// The cgroup2 folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Every folder that a process must be written into to be a member.
    pub(crate) fn folders(&self) -> impl Iterator<Item = &Path> {
        std::iter::once(self.path.as_path()).chain(self.limits.iter().map(PathBuf::as_path))
    }

    /// The process ids in the group.
    pub fn pids(&self) -> Vec<u32> {
        pids(&self.path)
    }

    /// Stops (or lets go on) every process in the group, and waits until that holds. A stopped
    /// process makes no system call, whatever signals it handles.
    ///
    /// # Errors
    /// On kernels before 5.2, which have no cgroup.freeze.
    pub fn freeze(&self, frozen: bool) -> io::Result<()> {
        let wanted = if frozen { "frozen 1" } else { "frozen 0" };
        fs::write(
            self.path.join("cgroup.freeze"),
            if frozen { "1" } else { "0" },
        )?;
        let deadline = Instant::now() + Duration::from_secs(5);
        while !fs::read_to_string(self.path.join("cgroup.events"))?
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
            kill(&self.path);
        }
        count
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        self.kill();
        for folder in self.limits.iter().chain([&self.path]) {
            remove(folder);
        }
    }
}

/// The control groups that this process made for learners' programs and that are still there.
///
/// # Errors
/// When the machine does not tell what is mounted.
pub fn own() -> io::Result<Vec<PathBuf>> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let prefix = format!("{PREFIX}{}-", std::process::id());
    let roots = mounts_of(&mounts, "cgroup2", None)
        .into_iter()
        .chain(mounts_of(&mounts, "cgroup", Some("pids")))
        .chain(mounts_of(&mounts, "cgroup", Some("memory")));
    Ok(roots
        .flat_map(|root| fs::read_dir(root).into_iter().flatten().flatten())
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
        .map(|entry| entry.path())
        .collect())
}

/// Mount points of a file-system type, for version 1 those with `controller` among its options.
fn mounts_of(mountinfo: &str, kind: &str, controller: Option<&str>) -> Vec<PathBuf> {
    // proc_pid_mountinfo(5): …, fifth field mount point, …, " - ", type, source, super options.
    mountinfo
        .lines()
        .filter_map(|line| {
            let (left, right) = line.split_once(" - ")?;
            let mut right = right.split(' ');
            if right.next()? != kind {
                return None;
            }
            let options = right.nth(1)?;
            if controller.is_some_and(|wanted| !options.split(',').any(|option| option == wanted)) {
                return None;
            }
            left.split(' ').nth(4).map(PathBuf::from)
        })
        .collect()
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
        let name = entry.file_name();
        let Some(maker) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else {
            continue;
        };
        let Some(pid) = maker
            .split('-')
            .next()
            .filter(|pid| pid.parse::<u32>().is_ok())
        else {
            continue;
        };
        if !Path::new("/proc").join(pid).exists() {
            kill(&entry.path());
            remove(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_found_by_type_and_controller() {
        let hybrid = "31 24 0:26 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids\n\
                      32 24 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                      33 24 0:28 / /sys/fs/cgroup/unified rw,nosuid - cgroup2 cgroup2 rw\n";
        assert_eq!(
            mounts_of(hybrid, "cgroup2", None),
            [PathBuf::from("/sys/fs/cgroup/unified")]
        );
        assert_eq!(
            mounts_of(hybrid, "cgroup", Some("pids")),
            [PathBuf::from("/sys/fs/cgroup/pids")]
        );
        assert!(mounts_of(hybrid, "cgroup", Some("cpu")).is_empty());
    }
}
