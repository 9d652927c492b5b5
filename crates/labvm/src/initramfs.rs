//! The guest's first file system: `lab` as its first process, the libraries of learners' programs,
//! the modules that bring up the connection to the host.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Write},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use course::Arch;
use cpio::newc::{Builder, trailer};

use crate::{Error, cache, error::While as _, modules};

/// What carries virtio-serial where it is not built in: Linux before 6.12.
const CONNECTION: [&str; 2] = ["virtio_pci", "virtio_console"];
/// Kinds of files (inode(7)).
const FOLDER: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
/// The dynamic linker's notes of where libraries are (ldconfig(8)).
const LINKER_CACHE: &str = "/etc/ld.so.cache";
/// Grows when the archive is made of other things, or differently.
const RECIPE: u32 = 1;
/// Where modules are in the guest.
pub const MODULES: &str = "/modules";

/// What goes into a guest.
#[derive(Debug)]
pub struct Contents<'a> {
    /// The program that is to be its first process.
    pub init: &'a Path,
    /// Libraries: the path in the guest, and the file here.
    pub libraries: &'a BTreeSet<(PathBuf, PathBuf)>,
    /// Of the program and the libraries.
    pub arch: Arch,
    /// The kernel's modules.
    pub modules: Option<&'a Path>,
}

/// An archive that is on disk.
#[derive(Clone, Debug)]
pub struct Initramfs {
    /// The file (cpio, "newc", not packed).
    pub file: PathBuf,
    /// Of everything in it, or of which files that is and when they were changed: BLAKE3, hexadecimal.
    pub hash: String,
}

/// Makes the archive in `folder`, unless it is there already.
///
/// # Errors
/// When something that belongs into it is missing, or there is no room.
pub fn make(contents: &Contents<'_>, folder: &Path) -> Result<Initramfs, Error> {
    let hash = contents.stamp()?;
    let file = file_in(folder, &hash);
    if file.exists() {
        cache::used(&file);
        return Ok(Initramfs { file, hash });
    }
    let mut archive = Archive::default();
    for folder in [
        "dev", "proc", "sys", "run", "tmp", "job", "modules", "etc", "root",
    ] {
        archive.folder(folder);
    }
    archive.file_of("init", contents.init, 0o755)?;
    for (path, file) in contents.libraries {
        archive.file_of(path.to_string_lossy().trim_start_matches('/'), file, 0o755)?;
    }
    archive.file(
        "etc/passwd",
        b"root:x:0:0:root:/root:/bin/sh\nlearner:x:61777:61777::/tmp:/bin/sh\n",
        0o644,
    );
    // Where some look for a library by its name. It names more than there are here.
    if contents.arch == Arch::HERE
        && let Ok(cache) = fs::read(LINKER_CACHE)
    {
        archive.file("etc/ld.so.cache", &cache, 0o644);
    }
    if let Some(folder) = contents.modules {
        let mut order = String::new();
        for module in modules::gather(folder, &CONNECTION)? {
            let name = format!("{}.ko", module.name);
            archive.file(&format!("modules/{name}"), &module.bytes, 0o644);
            order += &name;
            order.push('\n');
        }
        archive.file("modules/order", order.as_bytes(), 0o644);
    }
    archive.keep(folder, hash)
}

fn file_in(folder: &Path, hash: &str) -> PathBuf {
    folder.join(format!("initramfs-{}.cpio", &hash[..16]))
}

impl Contents<'_> {
    /// Stands for what the archive is made of, without reading it.
    fn stamp(&self) -> Result<String, Error> {
        let mut hash = blake3::Hasher::new();
        hash.update(format!("{RECIPE} {}", self.arch).as_bytes());
        let libraries = self
            .libraries
            .iter()
            .map(|(there, here)| (there, here.as_path()));
        let init = PathBuf::from("/init");
        let cache = PathBuf::from(LINKER_CACHE);
        let modules = self.modules.map(|folder| (&init, folder));
        let all = [(&init, self.init), (&cache, Path::new(LINKER_CACHE))];
        for (there, here) in libraries.chain(all).chain(modules) {
            hash.update(there.as_os_str().as_encoded_bytes());
            hash.update(here.as_os_str().as_encoded_bytes());
            match fs::metadata(here) {
                Ok(meta) => {
                    let changed = (meta.len(), meta.ino(), meta.mtime(), meta.mtime_nsec());
                    hash.update(format!("{changed:?}").as_bytes());
                }
                // Not everybody has it.
                Err(_) if here == cache.as_path() => {}
                Err(error) => {
                    return Err(error).while_(|| format!("cannot read {}", here.display()));
                }
            }
        }
        Ok(hash.finalize().to_hex().to_string())
    }
}

/// A guest of one program and a script that is its first process.
pub(crate) fn of_busybox(program: &[u8], script: &str, folder: &Path) -> Result<Initramfs, Error> {
    let mut archive = Archive::default();
    for name in ["dev", "proc"] {
        archive.folder(name);
    }
    archive.file("bin/busybox", program, 0o755);
    archive.file("init", script.as_bytes(), 0o755);
    let hash = blake3::hash(&archive.bytes).to_hex().to_string();
    archive.keep(folder, hash)
}

#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    folders: BTreeSet<String>,
    inodes: u32,
}

impl Archive {
    fn entry(&mut self, name: &str, mode: u32, content: &[u8]) {
        self.inodes += 1;
        let builder = Builder::new(name).mode(mode).ino(self.inodes).nlink(1);
        let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
        let written = (|| -> io::Result<()> {
            let mut writer = builder.write(&mut self.bytes, length);
            writer.write_all(content)?;
            writer.finish().map(|_| ())
        })();
        // Into memory, which takes it.
        debug_assert!(written.is_ok());
    }

    fn folder(&mut self, name: &str) {
        if self.folders.insert(name.to_owned()) {
            if let Some((above, _)) = name.rsplit_once('/') {
                self.folder(above);
            }
            self.entry(name, FOLDER | 0o755, &[]);
        }
    }

    fn file(&mut self, name: &str, content: &[u8], mode: u32) {
        if let Some((above, _)) = name.rsplit_once('/') {
            self.folder(above);
        }
        self.entry(name, FILE | mode, content);
    }

    fn file_of(&mut self, name: &str, from: &Path, mode: u32) -> Result<(), Error> {
        let content = fs::read(from).while_(|| format!("cannot read {}", from.display()))?;
        self.file(name, &content, mode);
        Ok(())
    }

    fn keep(mut self, folder: &Path, hash: String) -> Result<Initramfs, Error> {
        trailer(&mut self.bytes).while_(|| "cannot end the archive".to_owned())?;
        let file = file_in(folder, &hash);
        cache::trim(folder);
        let what = || format!("cannot write {}", file.display());
        fs::create_dir_all(folder).while_(what)?;
        let mut aside = tempfile::NamedTempFile::new_in(folder).while_(what)?;
        aside.write_all(&self.bytes).while_(what)?;
        // After a crash it is there and whole, or not there.
        aside.as_file().sync_all().while_(what)?;
        aside.persist(&file).while_(what)?;
        Ok(Initramfs { file, hash })
    }
}
