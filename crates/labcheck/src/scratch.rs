//! Folders for the time of a run, and what becomes of them when `lab` is killed: the next run
//! removes what is left.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
    sync::Once,
};

use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;

use crate::ending::{self, Left};

/// What names of ours begin with, in the folder of temporary files and among control groups.
pub(crate) const PREFIX: &str = "probelab-";

/// A folder that everybody may read and only its owner may write. It is removed with this value,
/// or by a signal that ends `lab`, or by the next `lab` if this one was killed.
#[derive(Debug)]
pub struct Scratch {
    // Order matters: the claim is held until the folder is gone.
    folder: TempDir,
    _left: ending::Token,
    _claim: Claim,
}

impl Scratch {
    /// Makes a folder whose name says what it is `of`: a word in lower case.
    ///
    /// # Errors
    /// When there is no room, or the folder of temporary files may not be written.
    pub fn new(of: &str) -> io::Result<Self> {
        static SWEEP: Once = Once::new();
        let place = std::env::temp_dir();
        SWEEP.call_once(|| sweep(&place));
        Self::within(&place, of)
    }

    /// As [`Scratch::new`], in a folder of one's choice.
    pub(crate) fn within(place: &Path, of: &str) -> io::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix(&format!("{}{of}-", own_prefix()))
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir_in(place)?;
        // The permissions above lose what the umask takes away.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        Ok(Self {
            _claim: Claim::take(folder.path())?,
            _left: ending::register(Left::Folder(folder.path().to_owned())),
            folder,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// How names of what this process makes begin: with [`PREFIX`] and its id.
pub(crate) fn own_prefix() -> String {
    format!("{PREFIX}{}-", std::process::id())
}

/// A lock on a folder, by which others see that its maker lives. (Its process id does not say so in
/// another container, where it is another process's or nobody's.)
#[derive(Debug)]
pub(crate) struct Claim(
    #[expect(dead_code, reason = "held open: closing it gives the lock up")] File,
);

impl Claim {
    pub(crate) fn take(folder: &Path) -> io::Result<Self> {
        let file = File::open(folder)?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Self(file))
    }
}

/// Whether `name` is one that a process gave which no longer runs and holds no lock on `path`.
pub(crate) fn is_abandoned(path: &Path, name: &OsStr) -> bool {
    let maker = name
        .to_str()
        .and_then(|name| name.strip_prefix(PREFIX)?.split('-').next()?.parse().ok());
    maker.is_some_and(|pid: u32| !Path::new("/proc").join(pid.to_string()).exists())
        && Claim::take(path).is_ok()
}

/// Removes what killed processes of this user left in `folder`.
pub(crate) fn sweep(folder: &Path) {
    let us = rustix::process::geteuid().as_raw();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let ours = entry
            .metadata()
            .is_ok_and(|meta| meta.is_dir() && meta.uid() == us);
        if ours && is_abandoned(&entry.path(), &entry.file_name()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The id of a process that has ended.
    fn dead() -> u32 {
        let mut child = std::process::Command::new("true").spawn().expect("true");
        child.wait().expect("it ends");
        child.id()
    }

    #[test]
    fn what_a_dead_process_made_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let gone = format!("{PREFIX}{}-run-x", dead());
        let held = format!("{PREFIX}{}-run-held", dead());
        let names = [
            gone.as_str(),
            held.as_str(),
            &format!("{}run-x", own_prefix()),
            "probelab-notes",
            "other",
        ];
        for name in names {
            fs::create_dir_all(folder.path().join(name).join("inside")).expect("a folder");
        }
        // As a process in another container would.
        let _claim = Claim::take(&folder.path().join(&held)).expect("a lock");
        sweep(folder.path());
        let left = names.map(|name| folder.path().join(name).exists());
        assert_eq!(left, [false, true, true, true, true]);
    }

    #[test]
    fn everybody_may_look_into_a_scratch_folder_whatever_the_umask() {
        let scratch = Scratch::new("test").expect("a folder");
        let mode = fs::metadata(scratch.path())
            .expect("it is there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o755);
        let path = scratch.path().to_owned();
        drop(scratch);
        assert!(!path.exists());
    }
}
