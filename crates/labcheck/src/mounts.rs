//! What is mounted, as this process sees it.

use std::{io, path::PathBuf};

use procfs::{
    FromRead as _,
    process::{MountInfo, MountInfos, MountOptFields},
};
use rustix::mount::{MountPropagationFlags, mount_change};

/// All mounts below this process's root.
///
/// # Errors
/// When /proc does not tell.
pub(crate) fn all() -> io::Result<Vec<MountInfo>> {
    MountInfos::from_file("/proc/self/mountinfo")
        .map(|mounts| mounts.0)
        .map_err(io::Error::other)
}

/// Mount points of a file-system type, for version 1 control groups those with `controller` among
/// their options.
pub(crate) fn points(mounts: &[MountInfo], kind: &str, controller: Option<&str>) -> Vec<PathBuf> {
    mounts
        .iter()
        .filter(|mount| mount.fs_type == kind)
        .filter(|mount| controller.is_none_or(|name| mount.super_options.contains_key(name)))
        .map(|mount| mount.mount_point.clone())
        .collect()
}

/// In a mount namespace of its own: nothing mounted from now on is seen outside.
///
/// Not by one recursive change of `/`: in a chroot that need not be a mount.
pub(crate) fn stop_sharing() -> io::Result<()> {
    for mount in all()? {
        if mount
            .opt_fields
            .iter()
            .any(|field| matches!(field, MountOptFields::Shared(_)))
        {
            match mount_change(&mount.mount_point, MountPropagationFlags::PRIVATE) {
                // Hidden under a later mount, and so out of reach for us too.
                Ok(()) | Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use procfs::FromBufRead as _;

    use super::*;

    #[test]
    fn mount_points_are_found_by_type_and_controller() {
        let hybrid = "31 24 0:26 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids\n\
                      32 24 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                      33 24 0:28 / /sys/fs/cgroup/unified rw,nosuid - cgroup2 cgroup2 rw\n";
        let mounts = MountInfos::from_buf_read(hybrid.as_bytes())
            .expect("three mounts")
            .0;
        assert_eq!(
            points(&mounts, "cgroup2", None),
            [PathBuf::from("/sys/fs/cgroup/unified")]
        );
        assert_eq!(
            points(&mounts, "cgroup", Some("pids")),
            [PathBuf::from("/sys/fs/cgroup/pids")]
        );
        assert!(points(&mounts, "cgroup", Some("cpu")).is_empty());
    }
}
