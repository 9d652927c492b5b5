//! What the kernel tells of processes while they run: which programs they become, what they map
//! (perf_event_open(2), `PERF_RECORD_MMAP2` and its siblings).

use std::io;

use gosym::Mapping;
use perf_event::{
    Builder, Clock, SampleFlag, Sampler,
    data::{Record, parse::ParseError},
    events::Software,
};

use crate::{
    Error, MapEntry,
    images::Event,
    kernel::{cpus, refused},
};

/// Bytes of each CPU's buffer: some thousands of records.
const BUFFER: usize = 512 << 10;
/// Set for a thread's name that it got with a program (`PERF_RECORD_MISC_COMM_EXEC`,
/// include/uapi/linux/perf_event.h).
const COMM_EXEC: u16 = 1 << 13;
/// `PROT_EXEC` (mman(2)).
const EXECUTABLE: u32 = 4;

/// Buffers that the kernel writes to, one for each CPU.
pub struct Records {
    buffers: Vec<Sampler>,
    /// Records that there was no room for.
    pub lost: u64,
}

impl std::fmt::Debug for Records {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_struct("Records").field("lost", &self.lost).finish()
    }
}

/// Something that happened to a process.
pub struct Happened {
    /// In nanoseconds of CLOCK_MONOTONIC.
    pub time: u64,
    pub process: u32,
    pub event: Event,
}

impl Records {
    /// Has the kernel tell of all processes, from now on.
    ///
    /// # Errors
    /// [`Error::Privilege`], and [`Error::Sampler`] when the kernel refuses something else.
    pub fn start() -> Result<Self, Error> {
        let buffers = cpus()?.into_iter().map(|cpu| {
            Builder::new(Software::DUMMY)
                .any_pid()
                .one_cpu(cpu as usize)
                // Of code; with the file, not its name only.
                .mmap(true)
                .mmap2(true)
                .comm(true)
                .comm_exec(true)
                .task(true)
                .sample_id_all(true)
                .sample(SampleFlag::TID | SampleFlag::TIME)
                .clockid(Clock::MONOTONIC)
                .enabled(true)
                .build()?
                .sampled(BUFFER)
        });
        let buffers: io::Result<Vec<Sampler>> = buffers.collect();
        Ok(Self {
            buffers: buffers.map_err(refused)?,
            lost: 0,
        })
    }

    /// What has happened since it was last asked; of one CPU in its order.
    ///
    /// # Errors
    /// [`Error::Sampler`] when a record is not as the kernel writes it.
    pub fn read(&mut self) -> Result<Vec<Happened>, Error> {
        let mut happened = Vec::new();
        for buffer in &mut self.buffers {
            while let Some(record) = buffer.next_record() {
                // The fields that all records have in the end: here process, thread and time.
                let bytes = record.to_contiguous();
                let time = bytes.last_chunk().copied().map_or(0, u64::from_ne_bytes);
                let exec = record.misc() & COMM_EXEC != 0;
                let malformed = |error: ParseError| Error::Sampler(format!("a record: {error}"));
                let (process, event) = match record.parse_record().map_err(malformed)? {
                    Record::Comm(comm) if exec => (comm.pid, Event::Begun),
                    // Not of threads.
                    Record::Fork(fork) if fork.pid != fork.ppid => {
                        (fork.pid, Event::Copied { parent: fork.ppid })
                    }
                    Record::Mmap2(map) => {
                        let entry = MapEntry {
                            mapping: Mapping {
                                start: map.addr,
                                end: map.addr.saturating_add(map.len),
                                offset: map.pgoff,
                            },
                            executable: map.prot & EXECUTABLE != 0,
                            inode: map.ino().unwrap_or(0),
                            device: (map.maj().unwrap_or(0), map.min().unwrap_or(0)),
                            path: map.filename_os().to_string_lossy().into_owned(),
                            deleted: false,
                        };
                        (map.pid, Event::Mapped(entry))
                    }
                    Record::Lost(lost) => {
                        self.lost += lost.lost;
                        continue;
                    }
                    _ => continue,
                };
                happened.push(Happened {
                    time,
                    process,
                    event,
                });
            }
        }
        Ok(happened)
    }
}
