//! A learner's files laid over a pristine copy of a lab. `lab check`, `verify`, `grade` and
//! planted wrong answers all go through here.
//!
//! What comes from a learner is read without following a link, so nothing outside their folder can
//! get into a build, and only the files that the lab's `edit` names are taken.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use miette::Diagnostic;
use thiserror::Error;

use crate::beneath::{Beneath, Refusal};
use crate::lab::Lab;
use crate::parse::{shown, shown_list};

/// The largest file that a learner may hand in.
pub const MAX_FILE: u64 = 256 * 1024;

/// Entries of a learner's folder that are looked at to say which were ignored.
const MAX_ENTRIES: usize = 10_000;

/// What builds leave in a tree, at any depth, and an overlay keeps.
const KEPT_FOLDER: &str = "target";
const KEPT_FILE: &str = "Cargo.lock";

/// What an overlay did.
#[derive(Debug, Clone, PartialEq)]
pub struct Overlaid {
    /// blake3 (hex) of the `edit` files as they now are, paths and bytes.
    pub hash: String,
    /// The `edit` files taken from the learner; none for the starter.
    pub taken: Vec<PathBuf>,
    /// Files of the learner's that differ from the lab's and were not taken.
    pub ignored: Vec<PathBuf>,
    /// Files written now, because they were missing or differed.
    pub written: Vec<PathBuf>,
}

/// Why an overlay could not be made.
#[derive(Debug, Error, Diagnostic)]
pub enum OverlayError {
    /// None of the learner's files is there.
    #[error("{} holds none of the lab's files: {files}", dir.display())]
    #[diagnostic(help("give the folder in which {files} would be found, under that name"))]
    NothingToTake {
        /// The learner's folder.
        dir: PathBuf,
        /// The `edit` files.
        files: String,
    },
    /// A learner's file is of a kind that is not accepted.
    #[error("{} is {what}, so it was not taken", path.display())]
    #[diagnostic(help("{fix}"))]
    Refused {
        /// The file.
        path: PathBuf,
        /// What it is.
        what: &'static str,
        /// What to do.
        fix: &'static str,
    },
    /// The lab itself holds something that can't be copied.
    #[error("the lab's own {} is no plain file", path.display())]
    #[diagnostic(help("put a file in its place: a lab holds files and folders only"))]
    BadLab {
        /// The entry.
        path: PathBuf,
    },
    /// Reading or writing failed.
    #[error("{} could not be {what}: {reason}", path.display())]
    #[diagnostic(help("check that it is there, is yours and that the disk has room"))]
    Io {
        /// "read" or "written".
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        reason: io::Error,
    },
}

/// Makes `into` hold the lab's files, with those of its `edit` files that `learner_dir` holds laid
/// on top; without a `learner_dir`, the starter.
///
/// The lab's `lab.toml`, `check.rs` and `wrong/` are not copied. A file is written only if its
/// content differs, so builds stay incremental; anything else in `into` is removed, except
/// `Cargo.lock` files and `target` folders. `into` must be this function's own folder.
///
/// # Errors
/// See [`OverlayError`]. A learner's link, pipe, device or folder in place of a file, a file over
/// 256 KiB and text that is not UTF-8 are refused (a `.pgo` profile may be binary).
pub fn overlay(
    lab: &Lab,
    learner_dir: Option<&Path>,
    into: &Path,
) -> Result<Overlaid, OverlayError> {
    let mut files = pristine(&lab.dir)?;
    let mut taken = Vec::new();
    let mut ignored = Vec::new();
    if let Some(dir) = learner_dir {
        let beneath = Beneath::open(dir).map_err(|e| failed("read", dir, e))?;
        for path in &lab.edit {
            if let Some(bytes) = learner_file(&beneath, dir, path)? {
                files.insert(path.clone(), File { bytes, runs: false });
                taken.push(path.clone());
            }
        }
        if taken.is_empty() {
            return Err(OverlayError::NothingToTake {
                dir: dir.to_owned(),
                files: shown_list(&lab.edit),
            });
        }
        ignored = not_taken(lab, dir).map_err(|e| failed("read", dir, e))?;
    }
    fs::create_dir_all(into).map_err(|e| failed("written", into, e))?;
    remove_strangers(into, Path::new(""), &files).map_err(|e| failed("written", into, e))?;
    let mut written = Vec::new();
    for (path, file) in &files {
        let to = into.join(path);
        if write_if_different(&to, file).map_err(|e| failed("written", &to, e))? {
            written.push(path.clone());
        }
    }
    Ok(Overlaid {
        hash: hash(lab, &files),
        taken,
        ignored,
        written,
    })
}

struct File {
    bytes: Vec<u8>,
    runs: bool,
}

fn failed(what: &'static str, path: &Path, reason: io::Error) -> OverlayError {
    OverlayError::Io {
        what,
        path: path.to_owned(),
        reason,
    }
}

/// The lab's own files, without what only the harness reads.
fn pristine(lab: &Path) -> Result<BTreeMap<PathBuf, File>, OverlayError> {
    let mut files = BTreeMap::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(under) = folders.pop() {
        let dir = lab.join(&under);
        let entries = fs::read_dir(&dir).map_err(|e| failed("read", &dir, e))?;
        for entry in entries {
            let entry = entry.map_err(|e| failed("read", &dir, e))?;
            let path = under.join(entry.file_name());
            let here = entry.path();
            if ["lab.toml", "check.rs", "wrong"]
                .iter()
                .any(|n| path == Path::new(n))
            {
                continue;
            }
            let meta = here
                .symlink_metadata()
                .map_err(|e| failed("read", &here, e))?;
            if meta.is_dir() {
                if entry.file_name() != KEPT_FOLDER {
                    folders.push(path);
                }
            } else if meta.is_file() {
                let bytes = fs::read(&here).map_err(|e| failed("read", &here, e))?;
                let runs =
                    std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o100 != 0;
                files.insert(path, File { bytes, runs });
            } else {
                return Err(OverlayError::BadLab { path: here });
            }
        }
    }
    Ok(files)
}

/// A file of the learner's, if it is there and acceptable.
fn learner_file(
    beneath: &Beneath,
    dir: &Path,
    path: &Path,
) -> Result<Option<Vec<u8>>, OverlayError> {
    let refused = |what, fix| {
        Err(OverlayError::Refused {
            path: dir.join(path),
            what,
            fix,
        })
    };
    let bytes = match beneath.read(path, MAX_FILE) {
        Ok(bytes) => bytes,
        Err(Refusal::NotThere) => return Ok(None),
        Err(Refusal::Link) => {
            return refused(
                "or passes through a symbolic link",
                "put the file itself there",
            );
        }
        Err(Refusal::NotAFile) => {
            return refused("no plain file", "put a file with your code there");
        }
        Err(Refusal::TooLarge) => {
            return refused(
                "larger than 256 KiB",
                "hand in source, not what was built from it",
            );
        }
        Err(Refusal::Io(e)) => return Err(failed("read", &dir.join(path), e)),
    };
    let may_be_binary = path.extension().is_some_and(|e| e == "pgo");
    if !may_be_binary && std::str::from_utf8(&bytes).is_err() {
        return refused("not UTF-8 text", "save it as UTF-8");
    }
    Ok(Some(bytes))
}

/// What else lies in the learner's folder and differs from the lab's own file of that name.
fn not_taken(lab: &Lab, dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut seen = 0;
    let mut folders = vec![PathBuf::new()];
    while let Some(under) = folders.pop() {
        for entry in fs::read_dir(dir.join(&under))? {
            let entry = entry?;
            seen += 1;
            if seen > MAX_ENTRIES {
                folders.clear();
                break;
            }
            let name = entry.file_name();
            let path = under.join(&name);
            let kind = entry.file_type()?;
            if kind.is_dir() {
                if name != KEPT_FOLDER && name != ".git" {
                    folders.push(path);
                }
            } else if !lab.edit.contains(&path)
                && name != KEPT_FILE
                && !(kind.is_file() && same(&entry.path(), &lab.dir.join(&path)))
            {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn same(a: &Path, b: &Path) -> bool {
    let size = |p: &Path| {
        p.symlink_metadata()
            .ok()
            .filter(|m| m.is_file())
            .map(|m| m.len())
    };
    match (size(a), size(b)) {
        (Some(x), Some(y)) if x == y => matches!(
            (fs::read(a), fs::read(b)),
            (Ok(a), Ok(b)) if a == b
        ),
        _ => false,
    }
}

/// Removes what is not part of the tree, links above all, so that writing can't leave it.
fn remove_strangers(into: &Path, under: &Path, files: &BTreeMap<PathBuf, File>) -> io::Result<()> {
    for entry in fs::read_dir(into.join(under))? {
        let entry = entry?;
        let path = under.join(entry.file_name());
        let here = entry.path();
        let kind = entry.file_type()?;
        if kind.is_dir() {
            if files.keys().any(|f| f.starts_with(&path) && *f != path) {
                remove_strangers(into, &path, files)?;
            } else if entry.file_name() != KEPT_FOLDER {
                fs::remove_dir_all(&here)?;
            }
        } else {
            let keep = files.contains_key(&path) || entry.file_name() == KEPT_FILE;
            if !kind.is_file() || !keep {
                fs::remove_file(&here)?;
            }
        }
    }
    Ok(())
}

fn write_if_different(to: &Path, file: &File) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    let there = to.symlink_metadata().ok().filter(fs::Metadata::is_file);
    let same_bytes = match &there {
        Some(meta) if meta.len() == file.bytes.len() as u64 => fs::read(to)? == file.bytes,
        _ => false,
    };
    if !same_bytes {
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(to, &file.bytes)?;
    }
    let mode = to.metadata()?.permissions().mode();
    if (mode & 0o100 != 0) != file.runs {
        let bits = if file.runs {
            mode | 0o111
        } else {
            mode & !0o111
        };
        fs::set_permissions(to, fs::Permissions::from_mode(bits))?;
    }
    Ok(!same_bytes)
}

/// Lengths go in too: no two sets of files may run together to the same bytes.
fn hash(lab: &Lab, files: &BTreeMap<PathBuf, File>) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut edit: Vec<&PathBuf> = lab.edit.iter().collect();
    edit.sort();
    for path in edit {
        let Some(file) = files.get(path) else {
            continue;
        };
        for part in [shown(path).as_bytes(), &file.bytes] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
    }
    hasher.finalize().to_hex().to_string()
}
