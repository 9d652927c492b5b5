//! Files that a recording is written to: made sure of before it begins, whole when it is over.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

use crate::trouble::{Outcome, Trouble};

/// What is to be written.
pub enum File {
    /// A file that is there under its name once it is whole.
    Aside {
        aside: NamedTempFile,
        path: PathBuf,
        /// Whether what is there by then may be replaced.
        replace: bool,
    },
    /// A pipe or a device, which is not replaced.
    Through(fs::File, PathBuf),
}

impl File {
    /// # Errors
    /// When there is no such place, or it may not be written to.
    pub fn create(given: &Path, replace: bool) -> Outcome<Self> {
        Self::open(given, replace).map_err(|error| {
            Trouble::usage(
                format!("cannot write {}: {error}", given.display()),
                "name a place that you may write",
            )
        })
    }

    fn open(given: &Path, replace: bool) -> io::Result<Self> {
        // Where links lead is what is meant.
        let path = match fs::canonicalize(given) {
            Ok(path) => path,
            Err(_) => given.to_path_buf(),
        };
        let kind = fs::metadata(&path).map(|meta| meta.file_type());
        if kind.is_ok_and(|kind| !kind.is_file() && !kind.is_dir()) {
            let file = fs::File::options().write(true).open(&path)?;
            return Ok(Self::Through(file, path));
        }
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        if path.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if !folder.is_dir() {
            let why = format!("there is no folder {}", folder.display());
            return Err(io::Error::other(why));
        }
        // As readable as a file that is made in the usual way.
        let aside = tempfile::Builder::new()
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
            .tempfile_in(folder)?;
        Ok(Self::Aside {
            aside,
            path,
            replace,
        })
    }

    /// # Errors
    /// When there is no room.
    pub fn write(self, bytes: &[u8]) -> Outcome<()> {
        let (path, written) = match self {
            Self::Through(mut file, path) => (path, file.write_all(bytes)),
            Self::Aside {
                mut aside,
                path,
                replace,
            } => {
                let written = aside.write_all(bytes).and_then(|()| {
                    let kept = match replace {
                        true => aside.persist(&path),
                        false => aside.persist_noclobber(&path),
                    };
                    kept.map(drop).map_err(|error| error.error)
                });
                (path, written)
            }
        };
        written.map_err(|error| {
            Trouble::infrastructure(
                format!("cannot write {}: {error}", path.display()),
                "make room, or name another place",
            )
        })
    }
}
