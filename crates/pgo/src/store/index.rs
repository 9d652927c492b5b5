//! The index: SQLite, in one file. What is written was synced to the disk when `write` returns.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        mpsc::{self, Receiver, Sender},
    },
    thread::JoinHandle,
    time::Duration,
};

use rusqlite::Connection;

use super::error::Error;

/// Raised with each change of the tables below.
const VERSION: i64 = 1;
const TABLES: &str = include_str!("index.sql");
/// How long a connection waits for another process, such as `lab pgo token`.
const PATIENCE: Duration = Duration::from_secs(10);
/// Connections for reading that are kept.
const READERS: usize = 4;

/// A change, made within a transaction that others share; or why there is none. It answers to its caller
/// only once that has been committed.
type Job = Box<dyn FnOnce(Result<&Connection, Error>) -> Answer + Send>;
/// Tells the caller, given whether the transaction was committed.
type Answer = Box<dyn FnOnce(Result<(), Error>) + Send>;

#[derive(Debug)]
pub struct Index {
    path: PathBuf,
    readers: Mutex<Vec<Connection>>,
    /// `None` once it is being dropped.
    jobs: Option<Sender<Job>>,
    writer: Option<JoinHandle<()>>,
}

impl Index {
    /// # Errors
    /// When the file is no index, or of a later version.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let mut connection = connect(path)?;
        prepare(&mut connection, path)?;
        let (jobs, inbox) = mpsc::channel();
        let of = path.to_owned();
        let writer = std::thread::Builder::new()
            .name("index".to_owned())
            .spawn(move || work(&connection, &inbox, &of))
            .map_err(|error| Error::io("start a thread for", path, error))?;
        Ok(Self {
            path: path.to_owned(),
            readers: Mutex::default(),
            jobs: Some(jobs),
            writer: Some(writer),
        })
    }

    /// Makes a change, whole or not at all. Changes that are asked for at one time share a transaction,
    /// and so the wait for the disk.
    ///
    /// # Errors
    /// What the change returns; a disk that is full.
    pub fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (reply, result) = mpsc::sync_channel(1);
        let job: Job = Box::new(move |connection| {
            let made = connection.and_then(|connection| in_savepoint(connection, change));
            Box::new(move |committed| {
                let told = made.and_then(|made| committed.map(|()| made));
                // Nobody waits any more: a caller that was dropped.
                let _ = reply.send(told);
            })
        });
        let sent = self
            .jobs
            .as_ref()
            .is_some_and(|jobs| jobs.send(job).is_ok());
        match sent.then(|| result.recv()) {
            Some(Ok(Err(Error::Index(error)))) => Err(told(&error, &self.path)),
            Some(Ok(told)) => told,
            _ => Err(lost(&self.path)),
        }
    }

    /// # Errors
    /// What `look` returns; an index that can't be opened.
    pub fn read<T>(&self, look: impl FnOnce(&Connection) -> Result<T, Error>) -> Result<T, Error> {
        let kept = || self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = match kept().pop() {
            Some(connection) => connection,
            None => connect(&self.path)?,
        };
        let seen = look(&connection);
        let mut readers = kept();
        if readers.len() < READERS {
            readers.push(connection);
        }
        seen
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

fn connect(path: &Path) -> Result<Connection, Error> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(PATIENCE)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    Ok(connection)
}

fn prepare(connection: &mut Connection, path: &Path) -> Result<(), Error> {
    let transaction = connection.transaction()?;
    let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match found {
        VERSION => {}
        0 => {
            transaction.execute_batch(TABLES)?;
            transaction.pragma_update(None, "user_version", VERSION)?;
        }
        _ => {
            return Err(Error::Later {
                path: path.display().to_string(),
                found,
                known: VERSION,
            });
        }
    }
    Ok(transaction.commit()?)
}

/// The writer: takes what is asked for at one time into one transaction.
fn work(connection: &Connection, inbox: &Receiver<Job>, path: &Path) {
    while let Ok(first) = inbox.recv() {
        if let Err(error) = connection.execute_batch("BEGIN IMMEDIATE") {
            first(Err(told(&error, path)))(Ok(()));
            continue;
        }
        let mut answers = Vec::new();
        let mut next = Some(first);
        // A full disk, among others, makes SQLite end the transaction by itself.
        while let Some(job) = next.take().filter(|_| !connection.is_autocommit()) {
            answers.push(job(Ok(connection)));
            next = inbox.try_recv().ok();
        }
        let ended = connection.is_autocommit();
        if let Some(late) = next {
            late(Err(lost(path)))(Ok(()));
        }
        let committed = match ended {
            true => Err(lost(path)),
            false => connection.execute_batch("COMMIT").map_err(|error| {
                let _ = connection.execute_batch("ROLLBACK");
                told(&error, path)
            }),
        };
        for answer in answers {
            answer(match &committed {
                Ok(()) => Ok(()),
                Err(Error::Full { path }) => Err(Error::Full { path: path.clone() }),
                Err(_) => Err(lost(path)),
            });
        }
    }
}

/// What is told when a transaction was not committed, and the change may have nothing to do with it.
fn lost(path: &Path) -> Error {
    Error::Io {
        what: format!("write {}", path.display()),
        source: io::Error::other("the transaction was not committed"),
    }
}

fn told(error: &rusqlite::Error, path: &Path) -> Error {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DiskFull) => Error::Full {
            path: path.display().to_string(),
        },
        _ => Error::Io {
            what: format!("write {}", path.display()),
            source: io::Error::other(error.to_string()),
        },
    }
}

fn in_savepoint<T>(
    connection: &Connection,
    change: impl FnOnce(&Connection) -> Result<T, Error>,
) -> Result<T, Error> {
    connection.execute_batch("SAVEPOINT change")?;
    let made = change(connection);
    if made.is_err() && !connection.is_autocommit() {
        connection.execute_batch("ROLLBACK TO change")?;
    }
    if !connection.is_autocommit() {
        connection.execute_batch("RELEASE change")?;
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened() -> (tempfile::TempDir, Index) {
        let folder = tempfile::tempdir().expect("a folder");
        let index = Index::open(&folder.path().join("index.sqlite")).expect("it opens");
        (folder, index)
    }

    fn add(index: &Index, name: &'static str, then: Result<(), Error>) -> Result<(), Error> {
        index.write(move |connection| {
            connection.execute("INSERT INTO service (name, created) VALUES (?1, 0)", [name])?;
            then
        })
    }

    fn names(index: &Index) -> Vec<String> {
        let seen = index.read(|connection| {
            let mut query = connection.prepare("SELECT name FROM service ORDER BY name")?;
            let names = query.query_map([], |row| row.get(0))?;
            Ok(names.collect::<Result<Vec<String>, _>>()?)
        });
        seen.expect("it reads")
    }

    #[test]
    fn a_change_that_fails_leaves_nothing_and_others_stay() {
        let (_folder, index) = opened();
        add(&index, "a", Ok(())).expect("kept");
        add(&index, "b", Err(Error::NoSamples)).expect_err("it said so");
        add(&index, "a", Ok(())).expect_err("there is one");
        add(&index, "c", Ok(())).expect("kept");
        assert_eq!(names(&index), ["a", "c"]);
    }

    #[test]
    fn changes_of_many_threads_are_all_made() {
        let (_folder, index) = opened();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let index = &index;
                scope.spawn(move || {
                    for at in 0..50 {
                        let name = format!("{thread}-{at}");
                        let made = index.write(move |connection| {
                            let text = "INSERT INTO service (name, created) VALUES (?1, 0)";
                            Ok(connection.execute(text, [name])?)
                        });
                        assert_eq!(made.expect("kept"), 1);
                    }
                });
            }
        });
        assert_eq!(names(&index).len(), 200);
    }

    /// SQLite itself is told that the file may grow no more, and ends the whole transaction.
    #[test]
    fn a_full_disk_is_told_and_what_was_there_stays() {
        let (_folder, index) = opened();
        add(&index, "a", Ok(())).expect("kept");
        let limit = |pages: i64| {
            index.write(move |connection| {
                connection.pragma_update(None, "max_page_count", pages)?;
                Ok(())
            })
        };
        limit(1).expect("as small as it is");
        let fill = || {
            index.write(|connection| {
                let text = "INSERT INTO service (name, created) VALUES (?1, 0)";
                connection.execute(text, ["x".repeat(1 << 20)])?;
                Ok(())
            })
        };
        let error = fill().expect_err("there is no room");
        let told = error.to_string();
        assert!(told.contains("full"), "{told}");
        limit(1 << 20).expect("there is room again");
        add(&index, "b", Ok(())).expect("kept");
        assert_eq!(names(&index), ["a", "b"]);
    }

    #[test]
    fn a_later_version_is_left_alone() {
        let (folder, index) = opened();
        index
            .write(|connection| Ok(connection.pragma_update(None, "user_version", 99)?))
            .expect("written");
        drop(index);
        let error = Index::open(&folder.path().join("index.sqlite")).expect_err("refused");
        assert!(error.to_string().contains("of a later version"), "{error}");
    }
}
