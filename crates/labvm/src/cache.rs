//! What can be made again, and is kept only as long as there is room.

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// Bytes that may lie in a cache: saved guests of four kernels for two versions of `lab`.
const ROOM: u64 = 1 << 30;
/// What was used this lately stays, for it may be in use.
const LATELY: Duration = Duration::from_secs(30 * 60);

/// Notes that a file of a cache was used just now.
pub(crate) fn used(file: &Path) {
    let _ = File::options()
        .append(true)
        .open(file)
        .and_then(|file| file.set_modified(SystemTime::now()));
}

/// Removes what was used longest ago, until the rest has room.
pub(crate) fn trim(folder: &Path) {
    trim_to(folder, ROOM, LATELY);
}

fn trim_to(folder: &Path, room: u64, lately: Duration) {
    let mut files: Vec<(SystemTime, u64, PathBuf)> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let meta = entry.metadata().ok().filter(fs::Metadata::is_file)?;
            // In blocks of 512 bytes (stat(2)): a guest's memory is mostly holes.
            Some((meta.modified().ok()?, meta.blocks() * 512, entry.path()))
        })
        .collect();
    files.sort();
    let mut total: u64 = files.iter().map(|(_, size, _)| size).sum();
    let now = SystemTime::now();
    for (time, size, path) in files {
        let young = now.duration_since(time).unwrap_or_default() < lately;
        if total <= room || young {
            return;
        }
        if fs::remove_file(path).is_ok() {
            total -= size;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_first_and_what_is_young_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let now = SystemTime::now();
        for (name, minutes) in [("old", 90), ("older", 120), ("new", 60), ("in-use", 1)] {
            let path = folder.path().join(name);
            fs::write(&path, [1; 10_000]).expect("written");
            let time = now - Duration::from_secs(minutes * 60);
            let file = File::options().append(true).open(path).expect("opened");
            file.set_modified(time).expect("set");
        }
        // What one of them takes, which is the file system's to say.
        let meta = fs::metadata(folder.path().join("old")).expect("its size");
        let one = meta.blocks() * 512;
        let left = |room| {
            trim_to(folder.path(), room, LATELY);
            let mut names: Vec<_> = fs::read_dir(folder.path())
                .expect("readable")
                .flatten()
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
                .collect();
            names.sort();
            names.join(" ")
        };
        assert_eq!(left(4 * one), "in-use new old older");
        assert_eq!(left(2 * one), "in-use new");
        assert_eq!(left(0), "in-use");
        used(&folder.path().join("in-use"));
    }
}
