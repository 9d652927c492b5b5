//! The progress file: read, set aside when broken, replaced in one piece.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use miette::Diagnostic;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::id::Slug;
use crate::progress::{LabRecord, SCHEMA, State};

const FILE: &str = "progress.json";
const LOCK: &str = "progress.lock";
const NEW: &str = "progress.json.new";

/// Something that happened to the progress file and must be shown.
#[derive(Debug, Clone, PartialEq, Error, Diagnostic)]
#[error("the progress file could not be understood ({why}), so it was kept aside as {}", kept.display())]
#[diagnostic(
    severity(warning),
    help("nothing of it was changed; mend it and put it back as progress.json, or go on afresh")
)]
pub struct Notice {
    /// Where the broken file is now.
    pub kept: PathBuf,
    /// What is wrong with it.
    pub why: String,
}

/// Why progress could not be read or saved.
#[derive(Debug, Error, Diagnostic)]
pub enum ProgressError {
    /// The file was written by a newer program.
    #[error("{} has the format `{found}`, and this program knows `{SCHEMA}`", path.display())]
    #[diagnostic(help("update the kit; the file was left as it is, and nothing was recorded"))]
    Newer {
        /// The file.
        path: PathBuf,
        /// The schema that it names.
        found: String,
    },
    /// Reading or writing failed.
    #[error("progress could not be {what} {}: {reason}", path.display())]
    #[diagnostic(help(
        "check that the folder is there, is yours and has room; points are unchanged"
    ))]
    Io {
        /// "read from", "written to" and the like.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        reason: io::Error,
    },
}

/// What the file holds.
pub(crate) enum Contents {
    Nothing,
    State(State),
    /// Why it can't be understood.
    Corrupt(String),
}

#[derive(Deserialize)]
struct Head {
    schema: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    #[serde(rename = "schema")]
    _schema: String,
    labs: BTreeMap<Slug, LabRecord>,
}

#[derive(Serialize)]
struct Written<'a> {
    schema: &'static str,
    labs: &'a BTreeMap<Slug, LabRecord>,
}

/// Reads the file as it is.
pub(crate) fn read(dir: &Path) -> Result<Contents, ProgressError> {
    let path = dir.join(FILE);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Contents::Nothing),
        Err(e) => return Err(io_error("read from", &path, e)),
    };
    let head: Head = match serde_json::from_slice(&bytes) {
        Ok(head) => head,
        Err(e) => return Ok(Contents::Corrupt(e.to_string())),
    };
    if is_newer(&head.schema) {
        return Err(ProgressError::Newer {
            path,
            found: head.schema,
        });
    }
    if head.schema != SCHEMA {
        let why = format!("its schema is `{}` and not `{SCHEMA}`", head.schema);
        return Ok(Contents::Corrupt(why));
    }
    Ok(match serde_json::from_slice::<Whole>(&bytes) {
        Ok(whole) => Contents::State(State { labs: whole.labs }),
        Err(e) => Contents::Corrupt(e.to_string()),
    })
}

/// Whether a schema is ours with a higher version.
fn is_newer(schema: &str) -> bool {
    let version = schema.strip_prefix("probelab/progress/v");
    version
        .filter(|v| !v.is_empty() && v.bytes().all(|b| b.is_ascii_digit()))
        // A number too long to parse is a higher one all the same.
        .is_some_and(|v| v.parse::<u64>().map_or(true, |v| v > 1))
}

/// Reads the file; a broken one is renamed out of the way. Call it under the lock.
pub(crate) fn read_or_set_aside(dir: &Path) -> Result<(State, Option<Notice>), ProgressError> {
    let why = match read(dir)? {
        Contents::Nothing => return Ok((State::default(), None)),
        Contents::State(state) => return Ok((state, None)),
        Contents::Corrupt(why) => why,
    };
    let path = dir.join(FILE);
    let time = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let mut kept = dir.join(format!("{FILE}.corrupt-{time}"));
    let mut another = 1;
    while kept.symlink_metadata().is_ok() {
        another += 1;
        kept = dir.join(format!("{FILE}.corrupt-{time}-{another}"));
    }
    fs::rename(&path, &kept).map_err(|e| io_error("kept aside in", &kept, e))?;
    Ok((State::default(), Some(Notice { kept, why })))
}

/// Runs `work` while no other program reads to write.
pub(crate) fn locked<T>(
    dir: &Path,
    work: impl FnOnce() -> Result<T, ProgressError>,
) -> Result<T, ProgressError> {
    fs::create_dir_all(dir).map_err(|e| io_error("written to", dir, e))?;
    let path = dir.join(LOCK);
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|e| io_error("locked with", &path, e))?;
    // Released when the file is closed, also by the kernel when the program is killed.
    lock.lock().map_err(|e| io_error("locked with", &path, e))?;
    work()
}

/// Replaces the file: after a crash it is the old one or the new one, whole. Call it under the
/// lock.
pub(crate) fn write(dir: &Path, state: &State) -> Result<(), ProgressError> {
    let written = Written {
        schema: SCHEMA,
        labs: &state.labs,
    };
    let path = dir.join(FILE);
    let failed = |e: io::Error| io_error("written to", &path, e);
    let mut bytes = serde_json::to_vec_pretty(&written).map_err(|e| failed(e.into()))?;
    bytes.push(b'\n');
    let new = dir.join(NEW);
    // A killed program may have left one; a link there must not be written through.
    match fs::remove_file(&new) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed(e)),
        _ => {}
    }
    let mut file = File::create_new(&new).map_err(failed)?;
    file.write_all(&bytes).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    fs::rename(&new, &path).map_err(failed)?;
    // The rename itself is on disk only once its folder is.
    File::open(dir).and_then(|d| d.sync_all()).map_err(failed)
}

fn io_error(what: &'static str, path: &Path, reason: io::Error) -> ProgressError {
    ProgressError::Io {
        what,
        path: path.to_owned(),
        reason,
    }
}
