//! The files behind what processes have mapped, opened while they can be.

use std::{
    collections::HashMap,
    fs::File,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use gosym::Binary;

use crate::{MapEntry, process::candidates};

/// Files that are kept open, at most: programs may open 1,024 unless somebody says otherwise. More are
/// opened when they are needed, if they still are where they were.
const MAX_OPEN: usize = 512;

/// Tells files apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Id {
    device: (u32, u32),
    inode: u64,
    path: String,
}

impl Id {
    fn of(entry: &MapEntry) -> Self {
        Self {
            device: entry.device,
            inode: entry.inode,
            path: entry.path.clone(),
        }
    }
}

#[derive(Debug, Default)]
pub struct Files {
    open: HashMap<Id, Option<File>>,
    /// What was looked into; `None` is no Go binary.
    known: HashMap<Id, Option<Arc<Binary>>>,
}

impl Files {
    /// Opens what `process` has mapped, before it can be deleted, and the process be gone.
    pub fn keep(&mut self, process: u32, entry: &MapEntry) {
        let id = Id::of(entry);
        if entry.has_file() && self.open.len() < MAX_OPEN && !self.open.contains_key(&id) {
            let file = open(process, entry);
            self.open.insert(id, file);
        }
    }

    /// The Go binary that `process` has mapped.
    pub fn binary(&mut self, process: u32, entry: &MapEntry) -> Option<Arc<Binary>> {
        let id = Id::of(entry);
        if let Some(known) = self.known.get(&id) {
            return known.clone();
        }
        let file = self.open.remove(&id).flatten();
        let file = file.or_else(|| open(process, entry));
        let binary = file.and_then(|file| Binary::read(file).ok()).map(Arc::new);
        self.known.insert(id, binary.clone());
        binary
    }
}

/// Opens the file as the process has it, else the one with its path that is the same file.
fn open(process: u32, entry: &MapEntry) -> Option<File> {
    let with_its_path = Path::new(&entry.path).to_path_buf();
    let mut paths: Vec<PathBuf> = candidates(process, entry);
    paths.push(with_its_path);
    let is_it = |file: &File| {
        // The device is not compared: on btrfs and overlayfs stat(2) tells another one than is mapped.
        file.metadata()
            .is_ok_and(|meta| meta.is_file() && meta.ino() == entry.inode)
    };
    let mut open = paths.into_iter().filter_map(|path| File::open(path).ok());
    open.find(is_it)
}
