//! What host and guest say to each other over a virtio-serial port: frames of a kind and a length,
//! each checked before it is believed. What the guest says are observations; a guest that a learner
//! has taken over can say anything.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

/// Begins each frame.
const MAGIC: [u8; 4] = *b"PLVM";
/// Grows when frames or what is in them change their meaning.
pub const VERSION: u8 = 1;
const HEADER: usize = 12;

/// The largest payload of each kind, bytes.
const LARGEST_MESSAGE: u32 = 24 << 20;
const LARGEST_FILE: u32 = 256 << 20;

/// From host to guest.
#[derive(Debug)]
pub enum ToGuest {
    /// First of all.
    Job(Job),
    /// A file of the job; all of them follow it.
    File(File),
    /// All files were sent: begin.
    Go,
    /// Instead of a job, before the guest is saved: do what all jobs would do again, and say hello again.
    Rehearse,
}

/// What to run, in words that only the two `lab`s understand.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Job {
    /// In every message of the guest from now on: 128 random bits that no program in the guest but
    /// ours is told.
    pub nonce: String,
    /// Random bytes, for the kernel's generator.
    pub entropy: Vec<u8>,
    /// Seconds and nanoseconds since 1970.
    pub time: (i64, i64),
    /// Modules to load, in order: file names below `/modules`.
    pub modules: Vec<String>,
    /// Given to the check runner on its standard input.
    pub plan: String,
}

/// A file of a job.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct File {
    /// Absolute, in the guest.
    pub path: String,
    /// Permissions, as for chmod(2).
    pub mode: u32,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// From guest to host.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum FromGuest {
    /// The guest is up; it waits for a job.
    Hello {
        /// As `uname -r` says.
        release: String,
    },
    /// The guest is alive: once a second.
    Alive {
        /// See [`Job::nonce`].
        nonce: String,
    },
    /// A line that the check runner printed.
    Line {
        /// See [`Job::nonce`].
        nonce: String,
        /// Counted from 0: none is missing and none comes twice.
        number: u64,
        /// The line.
        text: String,
    },
    /// The check runner has ended; nothing follows.
    Done {
        /// See [`Job::nonce`].
        nonce: String,
        /// Lines in all.
        lines: u64,
        /// Its exit status, or `None` when a signal ended it.
        status: Option<i32>,
    },
    /// The guest itself could not do its part.
    Broken {
        /// Why.
        why: String,
    },
}

/// Why a frame is not believed.
#[derive(Debug, thiserror::Error)]
pub enum Wrong {
    /// The other side closed the connection between two frames.
    #[error("the connection was closed")]
    Closed,
    /// The other side closed it in the middle of one.
    #[error("a message was cut short")]
    Cut,
    /// It is not of this protocol, or of another version.
    #[error("a message is not in our protocol: {0}")]
    Foreign(&'static str),
    /// It says that it is longer than any may be.
    #[error("a message says that it has {0} bytes")]
    TooLong(u32),
    /// Reading failed.
    #[error("{0}")]
    Io(io::Error),
}

const JOB: u8 = 1;
const FILE: u8 = 2;
const GO: u8 = 3;
const REHEARSE: u8 = 4;
const MESSAGE: u8 = 16;

/// Writes a frame of the host's.
///
/// # Errors
/// When the connection is broken.
pub fn send_to_guest(to: &mut impl Write, what: &ToGuest) -> io::Result<()> {
    match what {
        ToGuest::Job(job) => frame(to, JOB, &[&serde_json::to_vec(job)?]),
        ToGuest::File(file) => send_file(to, file),
        ToGuest::Go => frame(to, GO, &[]),
        ToGuest::Rehearse => frame(to, REHEARSE, &[]),
    }
}

/// Writes a file's frame, without taking it.
///
/// # Errors
/// When the connection is broken.
pub fn send_file(to: &mut impl Write, file: &File) -> io::Result<()> {
    let path = file.path.as_bytes();
    let length = u32::try_from(path.len()).map_err(io::Error::other)?;
    frame(
        to,
        FILE,
        &[
            &file.mode.to_le_bytes(),
            &length.to_le_bytes(),
            path,
            &file.bytes,
        ],
    )
}

/// Writes a frame of the guest's.
///
/// # Errors
/// When the connection is broken.
pub fn send_to_host(to: &mut impl Write, what: &FromGuest) -> io::Result<()> {
    frame(to, MESSAGE, &[&serde_json::to_vec(what)?])
}

fn frame(to: &mut impl Write, kind: u8, parts: &[&[u8]]) -> io::Result<()> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let length = u32::try_from(length).map_err(io::Error::other)?;
    let mut header = [0; HEADER];
    header[..4].copy_from_slice(&MAGIC);
    (header[4], header[5]) = (VERSION, kind);
    header[8..].copy_from_slice(&length.to_le_bytes());
    to.write_all(&header)?;
    for part in parts {
        to.write_all(part)?;
    }
    to.flush()
}

/// Reads the next frame of the host's.
///
/// # Errors
/// See [`Wrong`].
pub fn next_of_host(from: &mut impl Read) -> Result<ToGuest, Wrong> {
    let (kind, payload) = read(from)?;
    match kind {
        JOB => serde_json::from_slice(&payload)
            .map(ToGuest::Job)
            .map_err(|_| Wrong::Foreign("a job that can't be read")),
        FILE => file(&payload).map(ToGuest::File),
        GO => Ok(ToGuest::Go),
        REHEARSE => Ok(ToGuest::Rehearse),
        _ => Err(Wrong::Foreign("a kind that is not the host's")),
    }
}

/// Reads the next frame of the guest's.
///
/// # Errors
/// See [`Wrong`].
pub fn next_of_guest(from: &mut impl Read) -> Result<FromGuest, Wrong> {
    match read(from)? {
        (MESSAGE, payload) => serde_json::from_slice(&payload)
            .map_err(|_| Wrong::Foreign("a message that can't be read")),
        _ => Err(Wrong::Foreign("a kind that is not the guest's")),
    }
}

fn read(from: &mut impl Read) -> Result<(u8, Vec<u8>), Wrong> {
    let mut header = [0; HEADER];
    let mut got = 0;
    while got < HEADER {
        match from.read(&mut header[got..]) {
            Ok(0) if got == 0 => return Err(Wrong::Closed),
            Ok(0) => return Err(Wrong::Cut),
            Ok(n) => got += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Wrong::Io(error)),
        }
    }
    if header[..4] != MAGIC {
        return Err(Wrong::Foreign("it lacks the mark"));
    }
    if header[4] != VERSION {
        return Err(Wrong::Foreign("another version"));
    }
    let length = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
    let largest = if header[5] == FILE {
        LARGEST_FILE
    } else {
        LARGEST_MESSAGE
    };
    if length > largest {
        return Err(Wrong::TooLong(length));
    }
    // Grows with what really comes, whatever the header says.
    let mut payload = Vec::new();
    let read = from
        .take(length.into())
        .read_to_end(&mut payload)
        .map_err(Wrong::Io)?;
    if read < length as usize {
        return Err(Wrong::Cut);
    }
    Ok((header[5], payload))
}

fn file(payload: &[u8]) -> Result<File, Wrong> {
    let wrong = || Wrong::Foreign("a file that can't be read");
    let (mode, rest) = payload.split_first_chunk::<4>().ok_or_else(wrong)?;
    let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(wrong)?;
    let (path, bytes) = rest
        .split_at_checked(u32::from_le_bytes(*length) as usize)
        .ok_or_else(wrong)?;
    Ok(File {
        path: String::from_utf8(path.to_vec()).map_err(|_| wrong())?,
        mode: u32::from_le_bytes(*mode),
        bytes: bytes.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> FromGuest {
        FromGuest::Line {
            nonce: "n".into(),
            number: 3,
            text: "it \u{1} passed\n".into(),
        }
    }

    #[test]
    fn what_is_sent_arrives() {
        let mut wire = Vec::new();
        send_to_host(&mut wire, &line()).expect("written");
        send_to_host(&mut wire, &FromGuest::Broken { why: "?".into() }).expect("written");
        let mut from = wire.as_slice();
        assert_eq!(next_of_guest(&mut from).expect("a line"), line());
        next_of_guest(&mut from).expect("another message");
        assert!(matches!(next_of_guest(&mut from), Err(Wrong::Closed)));

        let sent = File {
            path: "/job/a b".into(),
            mode: 0o755,
            bytes: vec![0, 1, 2],
        };
        let mut wire = Vec::new();
        send_to_guest(&mut wire, &ToGuest::File(sent.clone())).expect("written");
        match next_of_host(&mut wire.as_slice()) {
            Ok(ToGuest::File(file)) => assert_eq!(file, sent),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_message_that_is_cut_foreign_or_too_long_is_named() {
        let mut wire = Vec::new();
        send_to_host(&mut wire, &line()).expect("written");
        for cut in [1, 11, 12, wire.len() - 1] {
            let outcome = next_of_guest(&mut &wire[..cut]);
            assert!(matches!(outcome, Err(Wrong::Cut)), "{cut}: {outcome:?}");
        }
        for (at, byte) in [(0, b'X'), (4, 2), (5, FILE)] {
            let mut other = wire.clone();
            other[at] = byte;
            let outcome = next_of_guest(&mut other.as_slice());
            assert!(
                matches!(outcome, Err(Wrong::Foreign(_))),
                "{at}: {outcome:?}"
            );
        }
        let mut long = wire.clone();
        long[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(matches!(
            next_of_guest(&mut long.as_slice()),
            Err(Wrong::TooLong(u32::MAX))
        ));
    }

    /// Random damage is refused or read as something else; it never breaks the reader, and never
    /// makes it take more memory than came.
    #[test]
    fn damage_does_no_harm() {
        let mut rng = fastrand::Rng::with_seed(4);
        let mut wire = Vec::new();
        send_to_host(&mut wire, &line()).expect("written");
        send_to_guest(&mut wire, &ToGuest::Go).expect("written");
        for _ in 0..20_000 {
            let mut damaged = wire.clone();
            for _ in 0..rng.usize(1..6) {
                let at = rng.usize(..damaged.len());
                damaged[at] = rng.u8(..);
            }
            damaged.truncate(rng.usize(..=damaged.len()));
            let mut from = damaged.as_slice();
            while next_of_guest(&mut from).is_ok() {}
            let mut from = damaged.as_slice();
            while next_of_host(&mut from).is_ok() {}
        }
    }
}
