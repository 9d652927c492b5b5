//! Where the bodies of profiles lie: gzipped, each under the BLAKE3 hash of its bytes without gzip.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use blake3::Hash;

/// A place for bodies. What was put is there for good when `put` returns.
pub trait Bodies: Send + Sync {
    /// Keeps a body; one that is there already stays.
    ///
    /// # Errors
    /// When there is no room, or the place can't be reached.
    fn put(&self, hash: &Hash, packed: &[u8]) -> io::Result<()>;

    /// # Errors
    /// When there is none (`NotFound`), or the place can't be reached.
    fn get(&self, hash: &Hash) -> io::Result<Vec<u8>>;

    /// Removes a body, if it is there.
    ///
    /// # Errors
    /// When the place can't be reached.
    fn remove(&self, hash: &Hash) -> io::Result<()>;

    /// All that there are.
    ///
    /// # Errors
    /// When the place can't be reached.
    fn list(&self) -> io::Result<Vec<Hash>>;

    /// Where that is, for messages.
    fn place(&self) -> String;
}

/// Files in a folder: `ab/cdef….pprof.gz`.
#[derive(Debug)]
pub struct Files {
    folder: PathBuf,
}

/// Bytes that are left free on the disk: with none, nothing could be removed either, since the index
/// writes down what it is about to do.
const RESERVE: u64 = 16 << 20;
const ENDING: &str = ".pprof.gz";
/// Files that are not whole yet; what an earlier process left there is removed.
const UNFINISHED: &str = "unfinished";

impl Files {
    /// # Errors
    /// When the folder can't be made.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let unfinished = folder.join(UNFINISHED);
        if unfinished.is_dir() {
            fs::remove_dir_all(&unfinished)?;
        }
        fs::create_dir_all(&unfinished)?;
        for first in 0..=u8::MAX {
            fs::create_dir_all(folder.join(format!("{first:02x}")))?;
        }
        sync(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// The folder of a body, and its name in there.
    fn path(&self, hash: &Hash) -> (PathBuf, String) {
        let hex = hash.to_hex();
        let (folder, name) = hex.split_at(2);
        (self.folder.join(folder), format!("{name}{ENDING}"))
    }
}

/// Makes the names in a folder last.
fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

impl Bodies for Files {
    fn put(&self, hash: &Hash, packed: &[u8]) -> io::Result<()> {
        let (folder, name) = self.path(hash);
        let path = folder.join(name);
        if path.is_file() {
            // Another push may have named it and not made it last yet.
            return sync(&folder);
        }
        let disk = rustix::fs::statvfs(&self.folder)?;
        if disk.f_bavail.saturating_mul(disk.f_frsize) < RESERVE {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let mut file = tempfile::NamedTempFile::new_in(self.folder.join(UNFINISHED))?;
        file.write_all(packed)?;
        file.as_file().sync_data()?;
        file.persist(&path).map_err(|error| error.error)?;
        sync(&folder)
    }

    fn get(&self, hash: &Hash) -> io::Result<Vec<u8>> {
        let (folder, name) = self.path(hash);
        fs::read(folder.join(name))
    }

    fn remove(&self, hash: &Hash) -> io::Result<()> {
        let (folder, name) = self.path(hash);
        match fs::remove_file(folder.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    fn list(&self) -> io::Result<Vec<Hash>> {
        let mut all = Vec::new();
        for first in 0..=u8::MAX {
            let first = format!("{first:02x}");
            for entry in fs::read_dir(self.folder.join(&first))? {
                let name = entry?.file_name();
                let rest = name.to_str().and_then(|name| name.strip_suffix(ENDING));
                let hash = rest.and_then(|rest| Hash::from_hex(format!("{first}{rest}")).ok());
                all.extend(hash);
            }
        }
        Ok(all)
    }

    fn place(&self) -> String {
        self.folder.display().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_come_back_are_listed_and_go() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = Files::open(folder.path()).expect("it opens");
        let (one, two) = (blake3::hash(b"one"), blake3::hash(b"two"));
        files.put(&one, b"1").expect("kept");
        files.put(&two, b"2").expect("kept");
        // Content decides the name: the first body is as good as any.
        files.put(&one, b"other packing").expect("kept");
        assert_eq!(files.get(&one).expect("there"), b"1");
        let mut all = files.list().expect("listed");
        let mut expected = vec![one, two];
        all.sort_by_key(|hash| *hash.as_bytes());
        expected.sort_by_key(|hash| *hash.as_bytes());
        assert_eq!(all, expected);
        files.remove(&one).expect("gone");
        files.remove(&one).expect("gone already");
        let error = files.get(&one).expect_err("gone");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn what_was_left_unfinished_is_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        Files::open(folder.path()).expect("it opens");
        let left = folder.path().join(UNFINISHED).join("half");
        fs::write(&left, "x").expect("written");
        let files = Files::open(folder.path()).expect("again");
        assert!(!left.exists() && files.list().expect("listed").is_empty());
    }
}
