//! Locks between several `lab` at once. The kernel gives them back when a process ends, however.

use std::{
    fs::{File, TryLockError},
    path::Path,
};

use crate::trouble::{OrTrouble as _, Outcome};

/// Held as long as this is there.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "closing it gives the lock up")] File);

impl Lock {
    /// Waits until nobody else holds the lock `file`, which is made if it is not there. `held_by`
    /// says who that may be.
    pub fn wait(file: &Path, held_by: &str) -> Outcome<Self> {
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(file)
            .or_infrastructure(|| format!("cannot make {}", file.display()))?;
        match lock.try_lock() {
            Ok(()) => return Ok(Self(lock)),
            Err(TryLockError::WouldBlock) => errln!("{}", notice(held_by)),
            // The system's reason comes with the attempt below.
            Err(TryLockError::Error(_)) => {}
        }
        lock.lock()
            .or_infrastructure(|| format!("cannot wait for {held_by}"))?;
        Ok(Self(lock))
    }
}

/// Said while another has the lock.
fn notice(held_by: &str) -> String {
    format!("waiting for {held_by} to end …")
}

/// Whether a line of output is such a notice: it tells of others on the machine, not of what was asked for.
pub fn is_notice(line: &str) -> bool {
    line.strip_prefix("waiting for ")
        .is_some_and(|rest| rest.ends_with(" to end …"))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn notices_are_known_as_such() {
        assert!(is_notice(&notice("another build")));
        assert!(!is_notice("waiting for the program to say `ready`"));
    }

    #[test]
    fn one_at_a_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("lock");
        let first = Lock::wait(&file, "nobody").expect("free");
        let released = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let second = scope.spawn(|| {
                let _lock = Lock::wait(&file, "the first").expect("in the end");
                released.load(Ordering::SeqCst)
            });
            std::thread::sleep(std::time::Duration::from_millis(50));
            released.store(true, Ordering::SeqCst);
            drop(first);
            assert!(second.join().expect("it ends"), "it did not wait");
        });
    }
}
