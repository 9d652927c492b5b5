//! The folder that a learner's program runs in.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use crate::{learner::LEARNER_UID, scratch::Scratch, verdict::Failure};

/// A folder of one run: what the program is made of, and `out`, which it may write.
#[derive(Debug)]
pub struct RunFolder {
    folder: Scratch,
}

impl RunFolder {
    pub(crate) fn new(is_root: bool) -> io::Result<Self> {
        let folder = Scratch::new("run")?;
        let out = folder.path().join("out");
        fs::create_dir(&out)?;
        if is_root {
            std::os::unix::fs::chown(&out, Some(LEARNER_UID), Some(LEARNER_UID))?;
        }
        Ok(Self { folder })
    }

    /// Where the program runs, and may write files (`$LAB_OUT`).
    pub fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    /// Reads a file that the program wrote to its folder.
    ///
    /// # Errors
    /// [`Failure::Learner`] when there is no such plain file, or it has more than `limit` bytes.
    pub fn read(&self, name: &str, limit: u64) -> Result<Vec<u8>, Failure> {
        let path = self.out().join(name);
        let meta = fs::symlink_metadata(&path).map_err(|_| {
            Failure::learner(format!(
                "your program wrote no file {name} into its folder ($LAB_OUT)."
            ))
        })?;
        if !meta.is_file() {
            return Err(Failure::learner(format!("{name} is not a plain file.")));
        }
        if meta.len() > limit {
            return Err(Failure::learner(format!(
                "{name} has {} bytes; at most {limit} are read.",
                meta.len()
            )));
        }
        Ok(fs::read(path)?)
    }

    /// Copies a file in, under its own name.
    pub(crate) fn bring(&self, from: &Path, mode: u32) -> io::Result<PathBuf> {
        let name = from
            .file_name()
            .ok_or_else(|| io::Error::other("an artifact has no file name"))?;
        let to = self.folder.path().join(name);
        fs::copy(from, &to)?;
        fs::set_permissions(&to, fs::Permissions::from_mode(mode))?;
        Ok(to)
    }
}
