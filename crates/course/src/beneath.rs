//! Reading files of a folder that someone else filled, without being led out of it.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, fstat, openat, statat};
use rustix::io::Errno;

/// A folder held open, so that it stays the same one while its files are read.
pub(crate) struct Beneath(OwnedFd);

/// Why a file was not read.
#[derive(Debug)]
pub(crate) enum Refusal {
    NotThere,
    Link,
    NotAFile,
    TooLarge,
    Io(io::Error),
}

impl Beneath {
    /// Opens the folder itself; the way to it may hold links.
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(openat(CWD, dir, flags, Mode::empty())?))
    }

    /// Reads the plain file at `path`, a relative path without `..`, of `max` bytes at most.
    pub(crate) fn read(&self, path: &Path, max: u64) -> Result<Vec<u8>, Refusal> {
        // One name at a time: O_NOFOLLOW guards only the last part of a path.
        let mut folder: Option<OwnedFd> = None;
        let mut names = path.iter().peekable();
        while let Some(name) = names.next() {
            let within = folder.as_ref().unwrap_or(&self.0);
            let last = names.peek().is_none();
            let wanted = if last {
                FileType::RegularFile
            } else {
                FileType::Directory
            };
            // Asked before opening: to open a pipe or a device can have effects.
            let stat = statat(within, name, AtFlags::SYMLINK_NOFOLLOW).map_err(refusal)?;
            expect(FileType::from_raw_mode(stat.st_mode), wanted)?;
            let mut flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
            if !last {
                flags |= OFlags::DIRECTORY;
            }
            let opened = openat(within, name, flags, Mode::empty()).map_err(refusal)?;
            // Asked again of what was opened: the name may mean something else by now.
            let stat = fstat(&opened).map_err(refusal)?;
            expect(FileType::from_raw_mode(stat.st_mode), wanted)?;
            folder = Some(opened);
        }
        let file = folder.map(File::from).ok_or(Refusal::NotAFile)?;
        let mut bytes = Vec::new();
        file.take(max + 1)
            .read_to_end(&mut bytes)
            .map_err(Refusal::Io)?;
        if bytes.len() as u64 > max {
            return Err(Refusal::TooLarge);
        }
        Ok(bytes)
    }
}

fn expect(found: FileType, wanted: FileType) -> Result<(), Refusal> {
    match found {
        _ if found == wanted => Ok(()),
        FileType::Symlink => Err(Refusal::Link),
        // A file where a folder should be: what is asked for can't be there.
        FileType::RegularFile => Err(Refusal::NotThere),
        _ => Err(Refusal::NotAFile),
    }
}

fn refusal(e: Errno) -> Refusal {
    match e {
        Errno::NOENT => Refusal::NotThere,
        Errno::LOOP => Refusal::Link,
        _ => Refusal::Io(e.into()),
    }
}
